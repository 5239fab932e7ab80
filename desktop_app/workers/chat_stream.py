"""Turn the tokens that `generate` draws into text as they come: never half a character, never a text to stop at."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

_HALF = "\ufffd"  # what a decoder writes for a character whose bytes are not all there
_TELL_EVERY_S = 0.04


class Stream(BaseStreamer):
    """Hears each token; `tell` gets pieces of text that, put together, are `text`."""

    def __init__(self, tokenizer: Any, prompt_tokens: int, stop: Sequence[str], tell: Callable[[str], None]) -> None:
        self.text = ""
        self.first_token = 0.0
        self.has_stop_text = False
        self._tokenizer = tokenizer
        self._to_skip = prompt_tokens
        self._stop = [text for text in stop if text]
        self._held_back = max((len(text) for text in self._stop), default=1) - 1
        self._tell = tell
        self._ids: list[int] = []
        self._shown = 0  # characters told
        self._told_at = 0.0

    def put(self, value: torch.Tensor) -> None:
        """Take tokens; the first ones are the prompt."""
        ids = value.flatten().tolist()
        if self._to_skip:
            self._to_skip = 0
            return
        now = time.perf_counter()
        self.first_token = self.first_token or now
        self._ids.extend(ids)
        if self._stop or now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            self._read()

    def end(self) -> None:
        """Tell what was held back."""
        self._held_back = 0
        self._read(is_last=True)

    def _read(self, is_last: bool = False) -> None:
        # The whole answer is decoded anew: some tokenizers drop a space at the start of what they are given.
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if not is_last:
            text = text.rstrip(_HALF)
        found = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:
            text, self.has_stop_text = text[: min(found)], True
        end = len(text) if self.has_stop_text else max(self._shown, len(text) - self._held_back)
        piece, self._shown, self.text = text[self._shown : end], max(self._shown, end), text
        if piece:
            self._tell(piece)


class StopWhen(StoppingCriteria):
    """Ends the answer at the next token once `is_over` says so."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """Say so for each row."""
        return torch.full((input_ids.shape[0],), self._is_over(), dtype=torch.bool, device=input_ids.device)
