"""Bundles from a terminal: make one of a job or a model, look at one, take one in."""

import argparse
import json
from pathlib import Path
from typing import Any

from desktop_app.domain.spec import parse_spec
from desktop_app.errors import SpecError
from desktop_app.services.bundle_inspection import look_at_bundle

from .follow import run_to_end
from .history import one_job
from .text import printable, size_text


def make(asked: argparse.Namespace) -> int:
    """Make a bundle of a job, or of a model alone; return the exit code that its end deserves.

    Raises:
        AppError: there is no such job or model, or it cannot be packed.
    """
    spec: dict[str, Any] = {"kind": "bundle", "output": asked.output, "as_zip": asked.zip}
    if Path(asked.what).exists():
        spec |= {"model": asked.what, "parts": ["model"]}
    else:
        job = one_job(asked.what)
        spec |= {"model": str(job.spec.get("model", "")), "job": job.id}
        if not spec["model"]:
            raise SpecError(f"Job {job.id} works on no model.", "Name a fine-tuning or a quantization.")
    if asked.parts:
        spec["parts"] = [part.strip() for part in asked.parts.split(",") if part.strip()]
    return run_to_end(parse_spec(spec), asked.json)


def open_one(asked: argparse.Namespace) -> int:
    """Take a bundle in, or only say what it holds; return the exit code that its end deserves.

    Raises:
        AppError: it is no bundle, or is damaged.
    """
    found = look_at_bundle(asked.bundle)
    if asked.look:
        print(json.dumps(found) if asked.json else "\n".join(_lines(found)))
        return 0
    if not asked.json:
        print("\n".join(_lines(found)))
    spec = {"kind": "open_bundle", "bundle": asked.bundle, "model": asked.model, "output": asked.to}
    return run_to_end(parse_spec(spec), asked.json)


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [
        ("bundle", found["name"]),
        ("holds", ", ".join([*found["parts"], *(["settings"] if found["job"] else [])])),
        ("size", f"{size_text(found['size_bytes'])} in {found['file_count']:,} files"),
        ("free here", size_text(found["free_bytes"])),
        ("job", found["job"]),
        ("needs", found["needs_model"] and f"{found['needs_model']} on this computer (--model FOLDER)"),
        ("this computer", found["sentence"]),
    ]
    return [f"{name:>16}  {printable(str(text))}" for name, text in lines if text]
