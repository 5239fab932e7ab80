"""What a fine-tuning job is asked to do.

The one place for its defaults; the `description` of each field is the tooltip in the window,
the text of the API's schema and of the documentation.
"""

from typing import Literal

from pydantic import Field, model_validator

from .value import Value

Objective = Literal["sft", "dpo", "kto", "orpo", "reward"]
FinetuneMethod = Literal["lora", "qlora", "lora_8bit", "dora", "rslora", "pissa", "full"]
FourBitType = Literal["nf4", "fp4"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor"]
Scheduler = Literal["linear", "cosine", "constant", "wsd"]
OutOfMemory = Literal["ask", "smaller"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Layout = Literal["auto", "messages", "sharegpt", "alpaca", "prompt_completion", "preference", "kto", "columns", "text"]
DATA_PARTS = ("prompt", "completion", "system", "text", "messages", "chosen", "rejected", "label")
Parallel = Literal["ddp", "fsdp2"]
TrainOn = Literal["answers", "everything"]
BadRows = Literal["stop", "skip"]
ChatTemplateName = Literal["own", "plain", "chatml", "llama3", "mistral", "gemma", "phi", "alpaca", "zephyr", "vicuna"]
CHAT_TEMPLATES: dict[ChatTemplateName, str] = {
    "own": "The model's own",
    "plain": "Plain text",
    "chatml": "ChatML (Qwen, Yi, SmolLM)",
    "llama3": "Llama 3",
    "mistral": "Mistral",
    "gemma": "Gemma",
    "phi": "Phi 3",
    "alpaca": "Alpaca",
    "zephyr": "Zephyr",
    "vicuna": "Vicuna",
}


class FinetuneSpec(Value):
    """Train an adapter for `model` on `data`."""

    kind: Literal["finetune"] = "finetune"
    model: str = Field(min_length=1, description="Folder of the model to fine-tune.")
    data: str = Field(
        min_length=1,
        description="File with the training examples: JSONL, JSON, CSV, Parquet, Arrow or text; or a folder of such.",
    )
    more_data: tuple[str, ...] = Field((), description="Further files or folders to learn from, after the first.")
    evaluation_data: str | None = Field(
        None, description="File to measure what was learned on, in place of a held-out share."
    )
    overlay: str | None = Field(None, description="File with your edits of the rows, as the Data tab writes it.")
    objective: Objective = Field(
        "sft",
        description="What is learned: to write the answers (SFT), to prefer one answer to another (DPO, KTO, ORPO), or "
        "to score answers (reward model).",
    )
    method: FinetuneMethod = Field(
        "lora", description="LoRA keeps the model as it is; QLoRA holds it in 4 bits; full trains every weight."
    )
    quant_type: FourBitType = Field("nf4", description="Code of the 4-bit weights: NF4 is closer to most weights.")
    double_quantization: bool = Field(True, description="Quantize the scales of the 4-bit weights too: 0.4 bits less.")
    name: str = Field(
        "", max_length=80, description="What the job is called in lists; made from model and method if empty."
    )

    rank: int = Field(16, ge=1, le=1024, description="Rank of the adapter: how much it can learn. Usual: 8 to 64.")
    alpha: float = Field(32, gt=0, le=4096, description="Scale of the adapter, usually once or twice the rank.")
    dropout: float = Field(
        0.05, ge=0, lt=1, description="Share of the adapter's inputs left out at random while training."
    )
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="Which layers get an adapter; all linear ones unless named."
    )
    modules_to_save: tuple[str, ...] = Field(
        (), description="Modules trained whole beside the adapter, such as embed_tokens for new words."
    )

    learning_rate: float = Field(
        2e-4, gt=0, le=0.01, description="Step size of the optimizer. Usual: 0.0002 for adapters."
    )
    optimizer: Optimizer = Field(
        "adamw", description="Turns gradients into steps; the 8-bit ones and Adafactor keep less memory for it."
    )
    scheduler: Scheduler = Field(
        "cosine", description="How the learning rate falls towards the end; WSD holds it and falls at the last."
    )
    decay_ratio: float = Field(
        0.1, gt=0, lt=1, description="Share of the steps in which WSD lets the learning rate fall."
    )
    warmup_ratio: float = Field(
        0.03, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0."
    )
    weight_decay: float = Field(0.0, ge=0, le=1, description="Pull of the weights towards 0 at each step.")
    max_grad_norm: float = Field(1.0, gt=0, le=100, description="Gradients longer than this are shortened to it.")
    epochs: float = Field(3, gt=0, le=1000, description="How often every example is read.")
    max_steps: int | None = Field(
        None, ge=1, le=10_000_000, description="Stop after this many steps, whatever the epochs."
    )
    batch_size: int = Field(2, ge=1, le=4096, description="Examples read at once; more need more memory.")
    gradient_accumulation: int = Field(
        4, ge=1, le=4096, description="Batches added up before one step; the effective batch is the product of both."
    )
    beta: float = Field(
        0.1, gt=0, le=10, description="How closely DPO, KTO and ORPO hold on to the model as it was; higher is closer."
    )
    neftune_alpha: float = Field(
        0.0, ge=0, le=100, description="Noise on the embeddings while training (NEFTune); 5 is usual, 0 is none."
    )
    packing: bool = Field(False, description="Join short examples into rows of the full length, best fit first.")
    padding_free: bool = Field(False, description="Read the examples of a batch as one row, without padding.")
    max_length: int = Field(1024, ge=8, le=1_048_576, description="Longest example in tokens; longer ones are cut.")
    activation_checkpointing: bool = Field(False, description="Less memory for activations, about a third more time.")
    seed: int = Field(42, ge=0, le=2**31 - 1, description="The same seed on the same machine gives the same run.")

    chat_template: ChatTemplateName = Field(
        "own", description="How conversations are written; the model's own, or a plain one if it has none."
    )
    stride: int = Field(
        0,
        ge=0,
        le=1_048_576,
        description="Tokens that each piece of a long plain text repeats from the one before; at most half a piece.",
    )
    train_on: TrainOn = Field("answers", description="Learn only to write the answers, or the questions too.")
    layout: Layout = Field("auto", description="How the examples are laid out; found out from the file unless said.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Which column holds what, for layout 'columns': prompt, completion, system, text; also messages, "
        "chosen, rejected, label.",
    )
    bad_rows: BadRows = Field("skip", description="What to do with rows that cannot be read; skipped ones are counted.")
    max_bad_rows: int | None = Field(None, ge=0, description="Stop all the same when more rows than this are bad.")
    max_rows: int | None = Field(None, ge=1, description="Use only the first rows of the data.")
    held_out: float = Field(
        0.05, ge=0, le=0.5, description="Share of the examples kept aside to measure what was learned."
    )
    split_seed: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Draws the examples kept aside; the seed above unless given."
    )
    shuffle_seed: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Draws the order of the examples; the seed above unless given."
    )

    precision: Precision = Field("auto", description="Number format of the weights that are not quantized.")
    device: Device = Field("auto", description="Where to train: the GPU if there is one.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Processor threads; one core is left free unless said."
    )
    processes: int = Field(
        1, ge=1, le=1024, description="How many train at once on this computer, one for each GPU, each on its own rows."
    )
    nodes: int = Field(1, ge=1, le=1024, description="How many computers train together, all with the same spec.")
    rendezvous: str = Field(
        "",
        max_length=300,
        description="Where several computers meet: address and port of the first, as 10.0.0.5:29500.",
    )
    parallel: Parallel = Field(
        "ddp",
        description="What each of several processes holds: a copy of everything (DDP), or a part of weights, gradients "
        "and optimizer (FSDP2): far less memory where every weight is trained, hardly less for an adapter.",
    )
    logging_steps: int = Field(1, ge=1, le=100_000, description="Steps between two points of the loss curve.")
    eval_steps: int | None = Field(None, ge=1, description="Steps between two measurements on the held-out examples.")
    save_steps: int | None = Field(
        None, ge=1, description="Steps between two checkpoints; every five minutes unless said."
    )
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="How many of the newest checkpoints stay.")
    keep_best: bool = Field(
        False, description="Keep the checkpoint with the lowest held-out loss too, and make the result from it."
    )
    early_stopping: int | None = Field(
        None, ge=1, le=1000, description="End after so many measurements in a row without a lower held-out loss."
    )
    merge: bool = Field(False, description="Also save the model with the adapter merged into it, as a whole model.")
    measure_result: bool = Field(
        False, description="Afterwards measure the result against the original, on the rows kept aside."
    )
    on_out_of_memory: OutOfMemory = Field(
        "ask", description="When memory runs out: wait for you, or go on by itself with a plan that needs less."
    )
    sample_prompts: tuple[str, ...] = Field(
        (), max_length=8, description="Prompts that the model answers now and then while it learns, one to a line."
    )
    sample_steps: int | None = Field(None, ge=1, description="Steps between two rounds of sample answers.")
    sample_tokens: int = Field(64, ge=1, le=2048, description="Longest sample answer, in tokens.")
    checkpoint: str | None = Field(
        None, description="Checkpoint of an earlier job with the same settings: the result is made of it, untrained."
    )
    output: str | None = Field(None, description="Folder for the result; inside the job's own folder unless said.")

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter is trained, and the model stays as it is."""
        return self.method != "full"

    @property
    def needs_reference(self) -> bool:
        """Whether the model as it was is held a second time; where it can, an adapter is left out instead.

        PiSSA takes its adapter out of the model's own weights, which without it are no longer the model's.
        """
        return self.objective in ("dpo", "kto") and self.method in ("full", "pissa")

    @property
    def answers_per_row(self) -> int:
        """Answers that the model reads of a row, each with its prompt: those that are compared come in twos."""
        return 2 if self.objective in ("dpo", "orpo", "reward") else 1

    @property
    def effective_batch(self) -> int:
        """Examples that make up one step, of all processes together."""
        return self.batch_size * self.gradient_accumulation * self.process_count

    @property
    def process_count(self) -> int:
        """Processes that train together, on all computers."""
        return self.processes * self.nodes

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds a part of the weights only."""
        return self.parallel == "fsdp2" and self.process_count > 1

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "FinetuneSpec":
        if self.early_stopping and not (self.eval_steps and self.has_held_out):
            raise ValueError("early_stopping: needs eval_steps and examples kept aside (held_out, evaluation_data)")
        if self.keep_best and not (self.eval_steps and self.has_held_out):
            raise ValueError("keep_best: needs eval_steps and examples kept aside (held_out, evaluation_data)")
        if self.objective != "sft" and (self.packing or self.padding_free):
            raise ValueError("packing: only for the objective 'sft'; answers are compared row by row otherwise")
        if self.objective == "kto" and self.batch_size < 2:
            raise ValueError("batch_size: KTO compares answers within a batch, so it needs at least 2")
        host, _, port = self.rendezvous.rpartition(":")
        if self.nodes > 1 and not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("rendezvous: several computers need a place to meet, such as 10.0.0.5:29500")
        if self.merge and not self.is_adapter:
            raise ValueError("merge: a full fine-tuning has no adapter to merge")
        return self

    @property
    def has_held_out(self) -> bool:
        """Whether examples are kept aside to measure with."""
        return self.held_out > 0 or bool(self.evaluation_data)

    @model_validator(mode="after")
    def _columns_are_known(self) -> "FinetuneSpec":
        unknown = set(self.columns) - set(DATA_PARTS)
        if unknown:
            raise ValueError(f"columns: unknown part {sorted(unknown)[0]!r}; known are {', '.join(DATA_PARTS)}")
        return self
