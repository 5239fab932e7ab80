"""The original's log probabilities on disk, one file for each window, so that many copies cost one pass of it.

Kept as fp16 and made a distribution again when read: measured, a mean KL divergence moves by less than 1e-5 nats. Where
they lie is named after model, windows and number format; what was not used longest goes first.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from desktop_app import paths
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.durable_file import move_into_place
from desktop_app.workers.provenance import headers_fingerprint, library_versions

_MOST_BYTES = 8_000_000_000
_ABOUT = "about.json"


class ReferenceLogits:
    """The cached pass of one model over one text. Windows are added in order, then `finish`."""

    def __init__(self, facts: ModelFacts, text_key: str, dtype: str, device: str) -> None:
        folders = [Path(each) for each in (facts.path, facts.base_model if facts.kind == "adapter" else "") if each]
        weights = [[headers_fingerprint(each), _changed(each)] for each in folders]
        named = [weights, text_key, dtype, device, library_versions()]
        key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:32]
        self._final = paths.reference_logits_dir() / key
        self._part = self._final.with_name(f".{key}.part-{os.getpid()}")

    @property
    def is_complete(self) -> bool:
        """Whether the whole pass is there."""
        return (self._final / _ABOUT).is_file()

    def begin(self) -> None:
        """Begin to write; what was left of an earlier attempt goes."""
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)

    def add(self, number: int, logits: torch.Tensor) -> None:
        """Keep the logits of a window, (wanted, vocabulary)."""
        np.save(self._part / f"{number:06}.npy", logits.float().log_softmax(-1).half().cpu().numpy())

    def finish(self, losses: list[np.ndarray[Any, Any]]) -> None:
        """Show the pass, with the loss of each token, under its name, and make room."""
        np.savez(self._part / "losses.npz", *losses)
        (self._part / _ABOUT).write_text(json.dumps({"windows": len(losses)}), encoding="utf-8")
        shutil.rmtree(self._final, ignore_errors=True)
        move_into_place(self._part, self._final)
        self._make_room()

    def discard(self) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self._part, ignore_errors=True)

    def losses(self) -> list["np.ndarray[Any, Any]"]:
        """Return the loss of each token that is asked for, in nats, window by window."""
        (self._final / _ABOUT).touch()  # used just now
        with np.load(self._final / "losses.npz") as kept:
            return [kept[f"arr_{number}"] for number in range(len(kept.files))]

    def window(self, number: int, device: torch.device) -> torch.Tensor:
        """Return the log probabilities of a window in fp32, (wanted, vocabulary)."""
        kept = torch.from_numpy(np.load(self._final / f"{number:06}.npy")).to(device)
        return kept.float().log_softmax(-1)

    def _make_room(self) -> None:
        used = 0
        for folder in sorted(_passes(), key=lambda each: (each / _ABOUT).stat().st_mtime, reverse=True):
            used += sum(file.stat().st_size for file in folder.iterdir())
            if used > _MOST_BYTES and folder != self._final:
                shutil.rmtree(folder, ignore_errors=True)


def _passes() -> Iterator[Path]:
    return (about.parent for about in paths.reference_logits_dir().glob(f"*/{_ABOUT}") if about.parent.name[0] != ".")


def _changed(folder: Path) -> list[tuple[str, int, int]]:
    files = sorted(folder.glob("*.safetensors"))
    return [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
