"""What all forms share: values as typed, an error per field, and the way to a spec and back.

A form knows no widgets. It may hold values that are wrong; only `to_spec` insists.
"""

from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ValidationError

from desktop_app.domain.model_facts import ModelFacts
from desktop_app.domain.spec import parse_spec
from desktop_app.domain.value import Value
from desktop_app.errors import SpecError

from .field import FieldError, FieldProblem, FormField, form_fields

S = TypeVar("S", bound=Value)


class Form(Generic[S]):
    """The fields of one spec as a person fills them in.

    `values` holds text as typed for numbers, names and paths; choices and switches as they are.
    `facts` is what the chosen model's folder says, None while it is not known.
    """

    spec_type: ClassVar[type[Any]]
    labels: ClassVar[dict[str, str]]
    chosen: ClassVar[tuple[str, ...]] = ("model",)  # what a reset keeps

    def __init__(self) -> None:
        self.fields: dict[str, FormField] = form_fields(self.spec_type, self.labels)
        self.values: dict[str, Any] = {name: field.shown(field.default) for name, field in self.fields.items()}
        self.facts: ModelFacts | None = None

    def reset(self) -> None:
        """Go back to the defaults, but keep what was chosen to work on."""
        for name, field in self.fields.items():
            if name not in self.chosen:
                self.values[name] = field.shown(field.default)

    def from_spec(self, spec: S) -> None:
        """Take over all settings of a spec, to run it again; facts of another model are forgotten."""
        for name, field in self.fields.items():
            self.values[name] = field.shown(getattr(spec, name))
        if self.facts is not None and self.facts.path != self.values["model"]:
            self.facts = None

    def error(self, name: str) -> FieldError | None:
        """Say what is wrong with one field, None if nothing is."""
        if name in self.chosen:
            return None  # not typed: `missing` asks for it
        try:
            self.fields[name].parse(self.values[name])
        except FieldProblem as problem:
            return problem.error
        return None

    @property
    def errors(self) -> dict[str, FieldError]:
        """What is wrong now, by field, in the order of the spec."""
        return {name: error for name in self.fields if (error := self.error(name)) is not None}

    def is_changed(self, name: str) -> bool:
        """Whether a field differs from its default, however it is written."""
        try:
            return bool(self.fields[name].parse(self.values[name]) != self.fields[name].default)
        except FieldProblem:
            return True

    def missing(self) -> str:
        """Say in one sentence why the job cannot start; '' if it can."""
        return self.missing_choice() or next((f"Start needs {error.need}." for error in self.errors.values()), "")

    def missing_choice(self) -> str:
        """Say what has to be chosen first; each form knows what it works on."""
        raise NotImplementedError

    def draft(self) -> S | None:
        """Make a spec with the default in place of each wrong value, to plan with; None until all is chosen."""
        if any(not self.values[name] for name in self.chosen if self._is_needed(name)):
            return None
        values = {name: self._value_or_default(name) for name in self.fields}
        try:
            draft: S = self.spec_type(**values)
        except ValidationError:  # each value is right, but not beside another one; `missing` says so
            return None
        return draft

    def _is_needed(self, name: str) -> bool:
        return self.fields[name].default is None and not self.fields[name].is_optional

    def _value_or_default(self, name: str) -> Any:
        try:
            return self.fields[name].parse(self.values[name])
        except FieldProblem:
            return self.fields[name].default

    def to_spec(self) -> S:
        """Make the spec of what is filled in.

        Raises:
            SpecError: naming the first field that is wrong, or what has to be chosen first.
        """
        if sentence := self.missing_choice():
            raise SpecError(sentence)
        values: dict[str, Any] = {"kind": self.spec_type.model_fields["kind"].default}
        for name, field in self.fields.items():
            try:
                values[name] = field.parse(self.values[name])
            except FieldProblem as problem:
                raise SpecError(f"{field.label}: {problem.error.message}", field.description, name) from problem
        spec: S = parse_spec(values)  # type: ignore[assignment]  # of the kind just given
        return spec
