"""What a fine-tuning job is asked to do.

The one place for its defaults; the `description` of each field is the tooltip in the window,
the text of the API's schema and of the documentation.
"""

from typing import Literal

from pydantic import Field, model_validator

from .value import Value

FinetuneMethod = Literal["lora", "qlora"]
Scheduler = Literal["linear", "cosine", "constant"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Layout = Literal["auto", "messages", "sharegpt", "alpaca", "prompt_completion", "preference", "kto", "columns", "text"]
DATA_PARTS = ("prompt", "completion", "system", "text", "messages", "chosen", "rejected", "label")
TrainOn = Literal["answers", "everything"]
BadRows = Literal["stop", "skip"]
ChatTemplateName = Literal["own", "plain", "chatml", "llama3", "mistral", "gemma", "phi", "alpaca", "zephyr", "vicuna"]


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
    method: FinetuneMethod = Field("lora", description="LoRA keeps the model as it is; QLoRA holds it in 4 bits (NF4).")
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

    learning_rate: float = Field(
        2e-4, gt=0, le=0.01, description="Step size of the optimizer. Usual: 0.0002 for adapters."
    )
    scheduler: Scheduler = Field("cosine", description="How the learning rate falls towards the end.")
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
    logging_steps: int = Field(1, ge=1, le=100_000, description="Steps between two points of the loss curve.")
    eval_steps: int | None = Field(None, ge=1, description="Steps between two measurements on the held-out examples.")
    save_steps: int | None = Field(
        None, ge=1, description="Steps between two checkpoints; every five minutes unless said."
    )
    output: str | None = Field(None, description="Folder for the result; inside the job's own folder unless said.")

    @model_validator(mode="after")
    def _columns_are_known(self) -> "FinetuneSpec":
        unknown = set(self.columns) - set(DATA_PARTS)
        if unknown:
            raise ValueError(f"columns: unknown part {sorted(unknown)[0]!r}; known are {', '.join(DATA_PARTS)}")
        return self
