"""A list of prompts through several models: each is loaded once and answers them all, with the same seed.

Draws nothing; the table looks at `answers` while it goes on.
"""

import csv
import io
from collections.abc import Sequence

from nicegui import run

from desktop_app.domain.chat import Answered, Sampling, Speaker
from desktop_app.domain.conversation import Conversation, Round
from desktop_app.errors import AppError
from desktop_app.services.chat import Chat, Question
from desktop_app.services.client import CallCancelled


class PromptRun:
    """`answers` holds what was answered by (prompt, model), a text that begins with '! ' where there is no answer."""

    def __init__(self, chat: Chat, prompts: Sequence[str], speakers: Sequence[Speaker], names: Sequence[str]) -> None:
        self.prompts = list(prompts)
        self.speakers = list(speakers)
        self.names = list(names)
        self.answers: dict[tuple[int, int], Answered | AppError] = {}
        self.question: Question | None = None
        self._chat = chat
        self._is_ending = False

    @property
    def total(self) -> int:
        """How many answers there will be."""
        return len(self.prompts) * len(self.speakers)

    async def go(self, system: str, sampling: Sampling) -> None:
        """Ask everything; a model that cannot be loaded is told once and left out."""
        drawn = sampling.seeded()
        for column, speaker in enumerate(self.speakers):
            for at, prompt in enumerate(self.prompts):
                if self._is_ending:
                    return
                turns = Conversation(system=system, rounds=(Round(prompt=prompt),)).turns(0, 0)
                self.question = Question()
                try:
                    answered = await run.io_bound(self._chat.ask, speaker, turns, drawn, self.question)
                except CallCancelled:
                    return
                except AppError as error:
                    self.answers[at, column] = error
                    if self.question.loaded is None:
                        break
                    continue
                if answered is not None:
                    self.answers[at, column] = answered
        self.question = None

    def stop(self) -> None:
        """End it with the next token; what is there stays."""
        self._is_ending = True
        if self.question is not None:
            self._chat.stop(self.question)

    def text(self, at: int, column: int) -> str:
        """What stands in a cell."""
        answer = self.answers.get((at, column))
        return answer.text if isinstance(answer, Answered) else f"! {answer.message}" if answer is not None else ""

    def csv_text(self) -> str:
        """Write the table as CSV: the prompt, then each model's answer, its tokens and tokens per second."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        heads = [head for name in self.names for head in (name, f"{name}: tokens", f"{name}: tokens/s")]
        writer.writerow(["prompt", *heads])
        for at, prompt in enumerate(self.prompts):
            cells: list[str] = []
            for column in range(len(self.speakers)):
                answer = self.answers.get((at, column))
                is_there = isinstance(answer, Answered)
                figures = (
                    [str(answer.tokens), f"{answer.tokens_per_s:.2f}"] if isinstance(answer, Answered) else ["", ""]
                )
                cells += [self.text(at, column), *(figures if is_there else ["", ""])]
            writer.writerow([_harmless(cell) for cell in (prompt, *cells)])
        return out.getvalue()


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from taking a text for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
