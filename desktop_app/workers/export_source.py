"""What an export starts from: the model, its base, how it was trained, and a conversation it knows.

The manifest of a result says how it was trained; a model from elsewhere has none, and then a conversation of ours
has to do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.domain.data_choice import DataChoice
from desktop_app.domain.data_report import Turn
from desktop_app.domain.export_spec import FORM_TITLES, ExportSpec, possible_forms
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import parse_spec
from desktop_app.errors import AppError, ModelError, SpecError
from desktop_app.library.model_folder import check_model_folder, model_facts
from desktop_app.library.origin import read_strange_manifest
from desktop_app.training_data.example import Example
from desktop_app.training_data.examples import examples_of

_OUR_CONVERSATION = (Turn(role="user", text="What is it?"), Turn(role="assistant", text="It is a test."))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """The model to export. `base`: the base of an adapter, else the model itself; `training`: None if nobody says."""

    facts: ModelFacts
    base: ModelFacts
    training: FinetuneSpec | None
    manifest: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where its files lie; a GGUF file's folder is the one it is in."""
        path = Path(self.facts.path)
        return path if path.is_dir() else path.parent

    @property
    def is_adapter(self) -> bool:
        """Whether it is an adapter beside a base."""
        return self.facts.kind == "adapter"

    @property
    def has_base(self) -> bool:
        """Whether all of it is here; an adapter can be exported without its base, but not tried."""
        return not self.is_adapter or self.base.kind != "adapter"

    @property
    def is_scorer(self) -> bool:
        """Whether it scores answers and writes none."""
        return self.training is not None and self.training.objective == "reward"

    @property
    def gguf_file(self) -> str:
        """The name of its GGUF file, '' if it is none."""
        if self.facts.kind != "gguf":
            return ""
        path = Path(self.facts.path)
        return path.name if path.is_file() else sorted(path.glob("*.gguf"))[0].name

    @property
    def tokenizer_folder(self) -> Path:
        """The adapter's own tokenizer, with the template it was trained with, else that of its base."""
        own = (self.folder / "tokenizer.json").is_file()
        return self.folder if own or not self.is_adapter else Path(self.base.path)

    def conversation(self) -> tuple[Example, str]:
        """Return the first example it was trained on, and where that is from; one of ours if it cannot be read."""
        if self.training is not None:
            try:
                first = next(iter(examples_of(DataChoice.of(self.training))))
                return first, f"the first row of {Path(self.training.data).name}"
            except (AppError, StopIteration):
                return Example(turns=_OUR_CONVERSATION), "a conversation of ours, for the training data is not here"
        return Example(turns=_OUR_CONVERSATION), "a conversation of ours"


def export_source(spec: ExportSpec) -> ExportSource:
    """Look at the model and refuse what cannot be exported in that form.

    Raises:
        ModelError: it is damaged or unsafe, or its base is not there.
        SpecError: it has no such form.
    """
    facts = _sound(Path(spec.model))
    base = facts
    if facts.kind == "adapter":
        if not Path(facts.base_model).is_dir() and spec.form != "adapter":
            raise ModelError(
                f"The adapter needs its base model {facts.base_model}, which is not there.",
                "Put that model back, or export the adapter alone.",
            )
        base = check_model_folder(Path(facts.base_model)) if Path(facts.base_model).is_dir() else facts
    forms = possible_forms(facts)
    if spec.form not in forms:
        raise SpecError(
            f"form: {FORM_TITLES[spec.form]} cannot be made of {facts.name}"
            f" ({facts.quantization or ('adapter' if facts.kind == 'adapter' else 'whole model')}).",
            f"Choose {' or '.join(forms)}.",
            "form",
        )
    manifest = _manifest(Path(spec.model))
    source = ExportSource(facts=facts, base=base, training=_training(manifest), manifest=manifest)
    if source.is_scorer and spec.form == "gguf":
        raise SpecError("form: a reward model scores answers, which GGUF has no form for.", "Choose whole.", "form")
    return source


def _sound(path: Path) -> ModelFacts:
    """Facts of a sound model; GGUF cannot be loaded for training, but exported."""
    facts = model_facts(path)
    if facts.problem and facts.kind != "gguf":
        raise ModelError(facts.problem, facts.hint)
    return facts


def _manifest(path: Path) -> dict[str, Any]:
    folder = path if path.is_dir() else path.parent
    manifest = read_strange_manifest(folder) or read_strange_manifest(folder.parent)
    earlier = manifest.get("origin")
    return earlier if isinstance(earlier, dict) else manifest


def _training(manifest: dict[str, Any]) -> FinetuneSpec | None:
    raw = manifest.get("spec")
    try:
        spec = parse_spec(raw) if isinstance(raw, dict) else None
    except AppError:
        return None
    return spec if isinstance(spec, FinetuneSpec) else None
