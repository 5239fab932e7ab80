"""The text that a copy is made with, as rows of tokens of equal length: for importance matrices, GPTQ and AWQ."""

from pathlib import Path

import torch

from desktop_app.domain.quantized_size import CALIBRATION_TOKENS
from desktop_app.errors import DataError
from desktop_app.training_data.examples import read_examples
from desktop_app.training_data.tokenization import Tokenization

from .reporter import Reporter
from .token_rows import tokenized

_LEAST_TOKENS = 32


def calibration_rows(text: Path, source: Path, most_rows: int, what: str, reporter: Reporter) -> torch.Tensor:
    """Read a text with the tokenizer of the model at `source`; return at most so many rows, (rows, tokens).

    `what` wants the text, for the error: 'an importance matrix'.

    Raises:
        DataError: it is too short, or cannot be read.
    """
    reporter.stage("Reading the text")
    most = CALIBRATION_TOKENS * most_rows
    found = tokenized(read_examples(text), Tokenization(source), most, look=reporter.heed_cancel)
    ids = torch.from_numpy(found.rows.ids.astype("int64"))[:most]
    length = min(CALIBRATION_TOKENS, len(ids))
    if length < _LEAST_TOKENS:
        raise DataError(
            f"{text} holds {len(ids)} tokens; {what} needs {_LEAST_TOKENS} and wants thousands.", "Name a longer text."
        )
    return ids[: len(ids) // length * length].view(-1, length)
