"""Measure models from a terminal: an original and what was made of it."""

import argparse

from desktop_app.domain.spec import parse_spec

from .export import result_or_folder
from .follow import run_to_end


def evaluate_models(asked: argparse.Namespace) -> int:
    """Hand in the evaluation and follow it; return the exit code that its end deserves.

    Raises:
        AppError: a model or file is not there or cannot be measured.
    """
    names = ("data", "questions", "scoring", "pattern", "max_tokens", "max_rows", "device")
    spec = {name: getattr(asked, name) for name in names}
    spec["held_out_of"] = result_or_folder(asked.held_out_of) if asked.held_out_of else None
    models = [result_or_folder(text) for text in (asked.model, *asked.variants)]
    return run_to_end(parse_spec({"kind": "evaluate", "model": models[0], "variants": models[1:], **spec}), asked.json)
