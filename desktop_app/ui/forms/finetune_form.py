"""The fine-tuning form: what is trained, on what, how, and which fields stand in which group."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from desktop_app.domain.data_report import DataReport, TokenStatistics
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.preset import Preset, preset_values, usual_learning_rate
from desktop_app.domain.training_limits import method_refusal, optimizer_refusal, split_refusal
from desktop_app.memory_plan.duration import rows_to_train, step_count
from desktop_app.paths import demo_data, demo_model

from .form import Form

SIMPLE_FIELDS = ("epochs", "max_length", "learning_rate")
ADVANCED_GROUPS: dict[str, tuple[str, ...]] = {
    "Adapter": ("rank", "alpha", "dropout", "target_modules", "modules_to_save", "merge", "measure_result"),
    "4 bits": ("quant_type", "double_quantization"),
    "Training": (
        "optimizer",
        "scheduler",
        "warmup_ratio",
        "decay_ratio",
        "weight_decay",
        "max_grad_norm",
        "max_steps",
        "batch_size",
        "gradient_accumulation",
        "beta",
        "neftune_alpha",
        "seed",
        "activation_checkpointing",
        "packing",
        "padding_free",
    ),
    "Watching": (
        "eval_steps",
        "early_stopping",
        "save_steps",
        "keep_checkpoints",
        "logging_steps",
        "on_out_of_memory",
        "keep_best",
    ),
    "Samples": ("sample_prompts", "sample_steps", "sample_tokens"),
    "Data": (
        "train_on",
        "chat_template",
        "stride",
        "bad_rows",
        "max_bad_rows",
        "max_rows",
        "held_out",
        "split_seed",
        "shuffle_seed",
    ),
    "Machine": ("device", "precision", "threads", "processes", "nodes", "rendezvous", "parallel", "name", "output"),
}
UNITS = {
    "max_length": "tokens",
    "warmup_ratio": "of steps",
    "held_out": "of rows",
    "batch_size": "rows",
    "gradient_accumulation": "batches",
    "max_steps": "steps",
    "max_rows": "rows",
    "max_bad_rows": "rows",
    "stride": "tokens",
    "logging_steps": "steps",
    "eval_steps": "steps",
    "save_steps": "steps",
    "decay_ratio": "of steps",
    "early_stopping": "measurements",
    "sample_steps": "steps",
    "sample_tokens": "tokens",
}


class FinetuneForm(Form[FinetuneSpec]):
    """The fields of a `FinetuneSpec`; `report` is what the chosen data file holds, None while not known."""

    spec_type = FinetuneSpec
    chosen = ("model", "data", "more_data", "evaluation_data", "overlay", "layout", "columns", "checkpoint")
    labels: ClassVar[dict[str, str]] = {
        "max_length": "Max length",
        "learning_rate": "Learning rate",
        "target_modules": "Layers",
        "processes": "GPUs (processes)",
        "nodes": "Computers",
        "rendezvous": "Meeting point",
        "parallel": "Each process holds",
        "scheduler": "Schedule",
        "warmup_ratio": "Warm-up",
        "weight_decay": "Weight decay",
        "max_grad_norm": "Max gradient",
        "max_steps": "Max steps",
        "batch_size": "Batch size",
        "gradient_accumulation": "Accumulation",
        "activation_checkpointing": "Save memory by recomputing",
        "train_on": "Train on",
        "chat_template": "Chat template",
        "stride": "Text overlap",
        "bad_rows": "Bad rows",
        "max_bad_rows": "Max bad rows",
        "split_seed": "Split seed",
        "shuffle_seed": "Shuffle seed",
        "max_rows": "Max rows",
        "held_out": "Held-out share",
        "logging_steps": "Logging interval",
        "eval_steps": "Evaluation interval",
        "save_steps": "Checkpoint interval",
        "name": "Name",
        "output": "Output folder",
        "objective": "Objective",
        "quant_type": "4-bit code",
        "double_quantization": "Double quantization",
        "modules_to_save": "Whole modules",
        "decay_ratio": "WSD fall",
        "neftune_alpha": "NEFTune noise",
        "packing": "Pack short examples into full rows",
        "padding_free": "Read each batch as one row without padding",
        "keep_checkpoints": "Kept checkpoints",
        "keep_best": "Keep the best checkpoint and use it for the result",
        "early_stopping": "Early stopping",
        "merge": "Also save the merged model",
        "measure_result": "Measure it against the original afterwards",
        "on_out_of_memory": "Out of memory",
        "sample_prompts": "Prompts to answer while it learns",
        "sample_steps": "Sample interval",
        "sample_tokens": "Sample length",
    }

    def __init__(self) -> None:
        super().__init__()
        self.report: DataReport | None = None
        self.statistics: TokenStatistics | None = None  # of the data with this model; None until somebody counts
        self._usual_rate = usual_learning_rate("sft", "lora")

    def from_spec(self, spec: FinetuneSpec) -> None:
        """Take over all settings of a spec; a report of other data is forgotten."""
        before = self.values["data"]
        super().from_spec(spec)
        self.values["checkpoint"] = ""  # the form trains
        self._usual_rate = usual_learning_rate(spec.objective, spec.method)
        if before != self.values["data"]:
            self.report = self.statistics = None

    def missing_choice(self) -> str:
        """Say which choice is missing or cannot be trained: the model first, then the data."""
        return self._model_problem() or self._data_problem() or self._method_problem()

    def take_preset(self, values: dict[str, Any]) -> None:
        """Take over settings; model, data and how it is read stay."""
        for name, value in values.items():
            self.values[name] = self.fields[name].shown(value)

    def take_ready(self, preset: Preset) -> None:
        """Take over one of the ready presets for the objective and method that are chosen."""
        self.take_preset(preset_values(preset, self.values["objective"], self.values["method"]))

    def follow_method(self) -> bool:
        """Put the usual learning rate in place of the one that was usual before; return whether it changed."""
        usual = usual_learning_rate(self.values["objective"], self.values["method"])
        typed = self._value_or_default("learning_rate")
        before, self._usual_rate = self._usual_rate, usual
        if usual == before or typed != before:
            return False
        self.values["learning_rate"] = self.fields["learning_rate"].shown(usual)
        return True

    def refusals(self, name: str, has_gpu: bool) -> dict[str, str]:
        """Say which values of a choice cannot be used with this model on this computer, each with its reason."""
        values = self.fields[name].choices
        found = dict.fromkeys(values, "")
        if name == "method":
            found = {value: method_refusal(value, self.facts) for value in values}  # type: ignore[arg-type]
        elif name == "optimizer":
            found = {value: optimizer_refusal(value, has_gpu) for value in values}  # type: ignore[arg-type]
        elif name == "parallel":
            found["fsdp2"] = self._split_refusal(has_gpu)
        return {value: reason for value, reason in found.items() if reason}

    @property
    def is_spread(self) -> bool:
        """Whether several processes train together."""
        return any(self._value_or_default(name) > 1 for name in ("processes", "nodes"))

    def steps(self, varied: FinetuneSpec | None = None) -> int | None:
        """About how many steps the training, or a variation of it, takes; None while the rows are not counted."""
        spec = varied or self.draft()
        if spec is None or self.report is None or not self.report.rows:
            return None
        in_file = (
            self.report.rows if self.report.complete else self.report.extra.get("estimated_rows", self.report.rows)
        )
        rows = rows_to_train(spec, min(in_file, spec.max_rows or in_file), self.statistics)
        return step_count(spec, rows)

    @property
    def advanced_changes(self) -> int:
        """How many fields are not as usual that the simple view leaves out."""
        return sum(self.is_changed(name) for names in ADVANCED_GROUPS.values() for name in names)

    def _split_refusal(self, has_gpu: bool) -> str:
        nodes = self._value_or_default("nodes")
        if not has_gpu and nodes == 1:
            return "the processes of one processor share its RAM; it saves memory between GPUs or computers."
        draft = self.draft()
        return "" if draft is None else split_refusal(draft, self.facts)

    def _model_problem(self) -> str:
        facts = self.facts
        if not self.values["model"]:
            return "Choose a model to fine-tune."
        return finetune_refusal(facts) if facts is not None and facts.path == self.values["model"] else ""

    def _method_problem(self) -> str:
        refusal = method_refusal(self.values["method"], self.facts)
        if refusal:
            return f"Choose another method: {refusal}"
        try:
            spec = self.spec_type(**{name: self._value_or_default(name) for name in self.fields})
            if spec.is_sharded and (refusal := split_refusal(spec, self.facts)):
                return f"Choose copies in place of parts: {refusal}"
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            name, _, text = said.partition(": ")
            return f"{self.fields[name].label}: {text}." if name in self.fields else f"{said}."
        return ""

    def _data_problem(self) -> str:
        report = self.report
        if not self.values["data"]:
            return "Choose data to train on."
        if report is None:
            return ""
        if report.problem:
            return report.problem
        if report.rows == 0:
            return f"{Path(report.path).name} has no usable row."
        if report.bad_row_count and self.values["bad_rows"] == "stop":
            return f"{Path(report.path).name} has bad rows; skip them or mend the file."
        return ""


def finetune_refusal(facts: ModelFacts) -> str:
    """Say why a model cannot be fine-tuned, '' if it can."""
    if facts.problem:
        return facts.problem
    if facts.kind == "adapter":
        return f"{facts.name} is an adapter; choose the model it belongs to."
    if facts.kind == "gguf":
        return f"{facts.name} is a GGUF file; choose the original model."
    return ""


def demo_spec() -> FinetuneSpec:
    """The demo's fine-tuning: settings with which a laptop without a GPU is done in about a minute."""
    return FinetuneSpec(
        model=str(demo_model()),
        data=str(demo_data()),
        name="demo",
        epochs=1,
        max_length=256,
        batch_size=8,
        gradient_accumulation=1,
        learning_rate=1e-3,
    )
