"""How long an evaluation takes on a computer that has none behind it: a start, then loading, reading and answering.

Stated guesses for a laptop; what evaluations took here corrects them. Every model is taken to be as large as the
original, for all of them compute with as many weights, however few bits those have on the disk.
"""

import os
from collections.abc import Mapping
from typing import Any

from .duration import CPU_CORE, OTHER_GPU

_START_S = 12.0  # most of it the import of PyTorch
_LOADING = 200e6  # bytes per second
# A processor or GPU goes through all weights for each token that it writes: bytes per second, and what each costs more.
_MEMORY = {False: 6e9, True: 200e9}
_TOKEN_S = {False: 0.008, True: 0.03}
_OUR_TOKENS = 3_000


def evaluation_guess_s(settings: Mapping[str, Any], work_bytes: int, is_gpu: bool) -> float:
    """Guess the seconds of an evaluation whose models, each as large as the original, have `work_bytes` together."""
    models = 1 + len(settings.get("variants") or ())
    read, written = tokens_of_each(settings)
    operations = (OTHER_GPU if is_gpu else CPU_CORE * max(1, (os.cpu_count() or 2) - 1)) * 1e12
    # Two operations for each weight and token, two bytes for each weight on the disk.
    each_byte_s = 1 / _LOADING + read / operations + written / _MEMORY[is_gpu]
    return _START_S + work_bytes * each_byte_s + models * written * _TOKEN_S[is_gpu]


def tokens_of_each(settings: Mapping[str, Any]) -> tuple[int, int]:
    """Say how many tokens each model of an evaluation reads, and how many it writes, at most."""
    asked_for = int(min(settings["max_tokens"], settings["max_rows"] * settings["max_length"]))
    if not settings.get("data") and not settings.get("held_out_of"):
        asked_for = min(asked_for, _OUR_TOKENS)
    questions = len(settings.get("prompts") or ()) or min(settings["questions"], settings["max_rows"])
    # Windows overlap by half; in a conversation the questions are read too.
    return 2 * asked_for, int(questions * settings["max_new_tokens"])
