"""One model to measure, of whatever kind: what it is and how it is loaded.

An adapter is put on its base, a GGUF file is read by transformers into fp32, an ONNX graph is run by onnxruntime on
the processor, any other folder is loaded as it is.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_app.domain.evaluation import Role
from desktop_app.domain.job import name_by_job
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.quantize_method import METHODS
from desktop_app.errors import ModelError, SpecError
from desktop_app.library.model_folder import check_model_folder, model_facts
from desktop_app.workers.quantize import weight_bytes

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Subject:
    """A checked model. `base` is an adapter's base; `size_bytes` counts all weight files it needs."""

    label: str
    facts: ModelFacts
    role: Role
    format: str
    size_bytes: int
    base: ModelFacts | None = None

    @property
    def gguf_file(self) -> Path | None:
        """Its GGUF file, None if it is none."""
        path = Path(self.facts.path)
        if self.facts.kind != "gguf":
            return None
        return path if path.is_file() else sorted(path.glob("*.gguf"))[0]

    @property
    def tokenizer_folder(self) -> Path:
        """An adapter's own tokenizer, with the template it was trained with, else its base's."""
        folder = Path(self.facts.path)
        own = (folder / "tokenizer.json").is_file()
        return folder if own or self.base is None else Path(self.base.path)

    def load(self, device: "torch.device", dtype: "torch.dtype") -> Any:
        """Load it for evaluation.

        Raises:
            ModelError: it cannot be loaded.
        """
        from desktop_app.workers.loading import load_model

        if self.gguf_file is not None:
            from desktop_app.workers.smoke_test import loaded_again

            return loaded_again(self.gguf_file.parent, self.gguf_file.name, device, dtype)
        if self.facts.kind == "onnx":
            from desktop_app.workers.onnx.session import GRAPH, OnnxModel  # imports onnxruntime

            return OnnxModel(Path(self.facts.path) / GRAPH)
        if self.base is None:
            return load_model(Path(self.facts.path), device, dtype)
        from desktop_app.workers.adapter_result import with_adapter  # imports peft

        return with_adapter(load_model(Path(self.base.path), device, dtype), Path(self.facts.path))


def subjects_of(model: str, variants: tuple[str, ...]) -> list[Subject]:
    """Check all models by their headers, the original first; each gets a label of its own.

    Raises:
        AppError: one is damaged, unsafe, or its base is not there.
    """
    subjects: list[Subject] = []
    for place, path in enumerate((model, *variants)):
        subject = _subject(Path(path), is_original=place == 0)
        if any(other.facts.path == subject.facts.path for other in subjects):
            raise SpecError(f"variants: {path} is named twice.", "Name each model once.", "variants")
        taken = [other.label for other in subjects]
        if subject.label in taken:
            subject = replace(subject, label=name_by_job(Path(path)) or subject.label)
        number = next(n for n in range(1, len(taken) + 2) if _numbered(subject.label, n) not in taken)
        subjects.append(replace(subject, label=_numbered(subject.label, number)))
    return subjects


def _numbered(label: str, number: int) -> str:
    return label if number == 1 else f"{label} {number}"


def _subject(path: Path, *, is_original: bool) -> Subject:
    facts = model_facts(path)
    if facts.kind in ("gguf", "onnx"):
        what = "a GGUF file" if facts.kind == "gguf" else "an ONNX graph"
        if is_original:
            raise ModelError(
                f"{path} is {what}; the original has to be a model folder with its tokenizer.",
                "Name the model that it was made of, and this one among the variants.",
            )
        return Subject(_label(path), facts, "copy", facts.quantization, _measured_bytes(facts))
    facts = check_model_folder(path)
    if facts.kind == "adapter":
        base = Path(facts.base_model)
        if not base.is_dir():
            raise ModelError(
                f"The adapter {path} needs its base model {facts.base_model}, which is not there.",
                "Put that model back, or write its new place into adapter_config.json (base_model_name_or_path).",
            )
        size = weight_bytes(path) + weight_bytes(base)
        role: Role = "original" if is_original else "tuned"
        return Subject(_label(path), facts, role, "adapter", size, check_model_folder(base))
    made_by = facts.origin.kind if facts.origin is not None else ""
    is_tuned = not facts.quantization and made_by in ("finetune", "export")
    role = "original" if is_original else "tuned" if is_tuned or not facts.quantization else "copy"
    return Subject(_label(path), facts, role, facts.quantization or facts.dtype, weight_bytes(path))


def _measured_bytes(facts: ModelFacts) -> int:
    return weight_bytes(Path(facts.path)) if facts.kind == "onnx" else facts.size_bytes


def _label(path: Path) -> str:
    """Name a model shortly: one of several copies of a job by its method, other results by their job."""
    method = METHODS.get(path.name)  # type: ignore[call-overload]  # any name may be asked for
    if method is not None and name_by_job(path):
        return str(method.title)
    return path.name if path.is_file() else name_by_job(path) or path.name
