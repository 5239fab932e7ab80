"""One field of a form: how a spec's field is shown, typed and checked.

Bounds, default and tooltip come from the spec's own field; nothing of it is repeated here.
"""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from .number import parse_number, shown_number

Kind = Literal["whole", "decimal", "switch", "choice", "text", "names", "lines", "mapping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with a typed value: `message` for below the field, `need` to follow 'Start needs'."""

    message: str
    need: str


class FieldProblem(ValueError):
    """A typed value cannot be used; `error` says why."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a spec, with the words it has in the window.

    `choices` are the allowed values of a choice. `is_optional`: an empty field means None.
    """

    name: str
    label: str
    description: str
    default: Any
    kind: Kind
    is_optional: bool
    choices: tuple[str, ...]
    adapter: TypeAdapter[Any]

    def shown(self, value: Any) -> Any:
        """Turn a value of the spec into what its widget holds."""
        if self.kind in ("switch", "choice", "mapping"):
            return value
        if value is None:
            return ""
        if self.kind in ("whole", "decimal"):
            return shown_number(value)
        if isinstance(value, tuple):
            return ("\n" if self.kind == "lines" else ", ").join(value)
        return str(value)

    def parse(self, typed: Any) -> Any:
        """Turn what the widget holds into a value of the spec.

        Raises:
            FieldProblem: with the bound that is broken and the usual value.
        """
        if self.is_optional and typed in ("", None):
            return None
        value = self._number(typed) if self.kind in ("whole", "decimal") else self._other(typed)
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise FieldProblem(self._told(error)) from error

    @property
    def usual(self) -> str:
        """The default as text, '' where there is none to tell."""
        text = self.shown(self.default)
        return text if isinstance(text, str) else ""

    def _number(self, typed: Any) -> int | float:
        text = str(typed).strip()
        try:
            number = parse_number(text)
        except ValueError as error:
            said = "Not a number." if text else "Empty."
            raise FieldProblem(self._error(said, f"a number for {self.label.lower()}")) from error
        if self.kind == "whole" and not isinstance(number, int):
            raise FieldProblem(self._error("Not a whole number.", f"a whole number for {self.label.lower()}"))
        return number

    def _other(self, typed: Any) -> Any:
        if self.kind == "lines":
            return tuple(filter(None, str(typed).splitlines()))
        if self.kind == "names":
            names = tuple(str(typed).replace(",", " ").split())
            return self.default if names == (self.default,) or not names else names
        return typed.strip() if isinstance(typed, str) else typed

    def _told(self, error: ValidationError) -> FieldError:
        problem = error.errors(include_url=False)[0]
        broken, context = problem["type"], problem.get("ctx", {})
        for key, side, bound in _BOUNDS:
            if broken == key:
                limit = next(iter(context.values()))
                limit = shown_number(limit) if isinstance(limit, int | float) else str(limit)
                return self._error(f"{side} {limit}.", f"{self._with_article} {bound} {limit}")
        return self._error(problem["msg"].rstrip(".") + ".", f"another {self.label.lower()}")

    def _error(self, said: str, need: str) -> FieldError:
        usual = f" Usual: {self.usual}" if self.usual and self.kind in ("whole", "decimal") else ""
        return FieldError(message=said + usual, need=need)

    @property
    def _with_article(self) -> str:
        word = self.label.lower()
        if word.endswith("s"):
            return word
        return f"an {word}" if word[0] in "aeiou" else f"a {word}"


# (pydantic's name of the broken bound, what stands below the field, what the Start button needs)
_BOUNDS = (
    ("less_than_equal", "Above", "of at most"),
    ("greater_than_equal", "Below", "of at least"),
    ("less_than", "Must be below", "below"),
    ("greater_than", "Must be above", "above"),
    ("string_too_long", "Longer than", "of at most"),
)


def form_fields(spec_type: type[BaseModel], labels: dict[str, str]) -> dict[str, FormField]:
    """Describe all fields of a spec but `kind`; a field without a label is called by its name."""
    return {
        name: _form_field(name, labels.get(name, name.replace("_", " ").capitalize()), info)
        for name, info in spec_type.model_fields.items()
        if name != "kind"
    }


def _form_field(name: str, label: str, info: FieldInfo) -> FormField:
    parts = _parts(info.annotation)
    kinds = [part for part in parts if part is not NoneType]
    return FormField(
        name=name,
        label=label,
        description=info.description or "",
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        kind=_kind(name, kinds),
        is_optional=NoneType in parts,
        choices=tuple(get_args(kinds[0])) if get_origin(kinds[0]) is Literal else (),
        adapter=_adapter(info),
    )


def _adapter(info: FieldInfo) -> TypeAdapter[Any]:
    checked: Any = info.annotation
    return TypeAdapter(Annotated[(checked, *info.metadata)] if info.metadata else checked)


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _kind(name: str, kinds: list[Any]) -> Kind:
    if any(get_origin(kind) is tuple for kind in kinds):
        # Paths and prompts hold spaces and commas, names do not.
        return "lines" if name.endswith(("data", "prompts")) else "names"
    first = kinds[0]
    if get_origin(first) is Literal:
        return "choice"
    if get_origin(first) is dict:
        return "mapping"
    plain: dict[Any, Kind] = {bool: "switch", int: "whole", float: "decimal"}
    return plain.get(first, "text")
