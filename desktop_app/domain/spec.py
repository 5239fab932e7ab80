"""All kinds of job by their spec, and the one way to read a spec from outside."""

import difflib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from desktop_app.errors import SpecError

from .bring_in_spec import BringInSpec
from .bundle_spec import BundleSpec, OpenBundleSpec
from .convert_spec import ConvertSpec
from .download_spec import DownloadSpec
from .evaluate_spec import EvaluateSpec
from .export_spec import ExportSpec
from .finetune_spec import FinetuneSpec
from .quantize_spec import QuantizeSpec

ComputingSpec = FinetuneSpec | QuantizeSpec | EvaluateSpec  # those that load a model and need memory for it
AnySpec = ComputingSpec | BringInSpec | DownloadSpec | ConvertSpec | ExportSpec | BundleSpec | OpenBundleSpec
JobSpec = Annotated[AnySpec, Field(discriminator="kind")]
SPEC_TYPES: dict[str, type[AnySpec]] = {
    "finetune": FinetuneSpec,
    "quantize": QuantizeSpec,
    "evaluate": EvaluateSpec,
    "bring_in": BringInSpec,
    "download": DownloadSpec,
    "convert": ConvertSpec,
    "export": ExportSpec,
    "bundle": BundleSpec,
    "open_bundle": OpenBundleSpec,
}
_ADAPTER: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def parse_spec(raw: Mapping[str, Any]) -> JobSpec:
    """Check a spec that came from a file, a form or HTTP.

    Raises:
        SpecError: naming the first field that is wrong, its value and the bound or the nearest known name.
    """
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in SPEC_TYPES:
        known = ", ".join(SPEC_TYPES)
        raise SpecError(
            f"kind: {_shown(kind)} is no kind of job." if kind else "The spec has no 'kind'.",
            f"Known kinds are {known}.",
            "kind",
        )
    try:
        return _ADAPTER.validate_python(dict(raw))
    except ValidationError as error:
        raise _told_in_words(error, kind) from error


def parse_spec_text(text: str | bytes, origin: str = "The spec") -> JobSpec:
    """Check a spec in JSON; `origin` names where it came from in messages.

    Raises:
        SpecError: if it is no JSON object or a field is wrong.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SpecError(
            f"{origin} is not JSON{where}.", 'Write it as one JSON object: {"kind": "finetune", ...}.'
        ) from error
    if not isinstance(raw, dict):
        raise SpecError(f"{origin} holds {_shown(raw)}, not a JSON object.", 'Write it as {"kind": "finetune", ...}.')
    return parse_spec(raw)


def usual_value(kind: str, name: str) -> Any:
    """Return the default of a setting as JSON has it; None where it must be given, or nobody knows it."""
    spec_type = SPEC_TYPES.get(kind)
    field = spec_type.model_fields.get(name) if spec_type is not None else None
    return None if field is None or field.is_required() else as_json(field.get_default(call_default_factory=True))


def as_json(value: Any) -> Any:
    """Return a setting as JSON has it: a list in place of a tuple."""
    return list(value) if isinstance(value, tuple) else value


def _told_in_words(error: ValidationError, kind: str) -> SpecError:
    problem = error.errors(include_url=False)[0]
    place = [str(part) for part in problem["loc"] if part != kind]
    field = place[0] if place else ""
    fields = SPEC_TYPES[kind].model_fields
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, list(fields), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known fields are {', '.join(fields)}."
        return SpecError(f"{field}: a {kind} spec has no such field.", hint, field)
    if problem["type"] == "missing":
        return SpecError(f"{field}: missing.", fields[field].description or "", field)
    hint = fields[field].description or "" if field in fields else ""
    said = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not field:
        return SpecError(said + ".", hint, field)
    return SpecError(f"{'.'.join(place)}: {_shown(problem['input'])} is not allowed; {said}.", hint, field)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
