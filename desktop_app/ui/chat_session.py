"""What goes on in Chat: the conversation, the question that is on its way, and what the user does with the answers.

Draws nothing. Questions are asked in threads, one after the other; `changed` tells pages to draw anew, while the text
of an answer that is being written stands in `question`, to be looked at often.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nicegui import Event, run

from desktop_app.domain.chat import Answered, Sampling, Speaker
from desktop_app.domain.conversation import TIE, Answer, Conversation, Round, preference_pairs
from desktop_app.errors import AppError
from desktop_app.services.chat import Chat, Question
from desktop_app.services.client import CallCancelled
from desktop_app.storage.conversations import Conversations, append_rows

MOST_COLUMNS = 4


class ChatSession:
    """One for the window. `at` and `column` say which answer `question` is for, None while nothing is asked."""

    def __init__(self, chat: Chat, kept: Conversations, name_of: Callable[[Speaker], str]) -> None:
        self.chat = chat
        self.kept = kept
        self.name_of = name_of
        self.conversation = Conversation()
        self.all: list[Conversation] = []
        self.question: Question | None = None
        self.at = self.column = 0
        self.is_blind = False
        self.problem: AppError | None = None
        self.changed = Event[[]]()
        self._is_ending = False

    @property
    def is_busy(self) -> bool:
        """Whether an answer is being written, or waited for."""
        return self.question is not None

    async def read(self) -> None:
        """Read what was kept."""
        self.all = await run.io_bound(self.kept.all) or []
        self.changed.emit()

    def begin(self) -> None:
        """Start a new conversation with the same models and settings."""
        old = self.conversation
        self._show(Conversation(system=old.system, sampling=old.sampling, speakers=old.speakers))

    def open(self, conversation_id: str) -> None:
        """Show a conversation of the list."""
        found = next((each for each in self.all if each.id == conversation_id), None)
        if found is not None:
            self._show(found)

    async def delete(self, conversation_id: str) -> None:
        """Remove a conversation for good."""
        if await self._try(self.kept.delete, conversation_id):
            self.all = [each for each in self.all if each.id != conversation_id]
        if conversation_id == self.conversation.id:
            self.begin()
        self.changed.emit()

    def set_up(self, **changes: object) -> None:
        """Change system prompt, sampling or models; heeded by the next question."""
        self.conversation = self.conversation.model_copy(update=changes)

    async def send(self, prompt: str) -> None:
        """Ask all models."""
        order = list(range(len(self.conversation.speakers)))
        if self.is_blind:
            random.shuffle(order)
        new = Round(prompt=prompt, order=tuple(order), is_blind=self.is_blind and len(order) > 1)
        self.set_up(rounds=(*self.conversation.rounds, new))
        await self._answer(len(self.conversation.rounds) - 1)

    async def ask_again(self, at: int, prompt: str = "") -> None:
        """Answer a round anew, with another question if one is given; what came after it is taken away."""
        before = self.conversation.rounds[:at]
        again = self.conversation.rounds[at]
        self.set_up(rounds=(*before, again.model_copy(update={"answers": (), "vote": None})))
        if prompt:
            self.conversation = self.conversation.with_round(at, prompt=prompt)
        await self._answer(at)

    def stop(self) -> None:
        """End the answer that is being written; what it has stays."""
        self._is_ending = True
        if self.question is not None:
            self.chat.stop(self.question)

    async def vote(self, at: int, column: int, pairs_file: Path) -> int:
        """Say which answer is best, or TIE; return how many preference pairs of it are kept in the file."""
        voted = self.conversation.with_round(at, vote=column)
        rows = [] if column == TIE else preference_pairs(voted, at)
        if rows and not await self._try(append_rows, pairs_file, rows):
            return 0
        self.conversation = voted
        await self._keep()
        return len(rows)

    async def correct(self, at: int, column: int, text: str) -> None:
        """Put other words into a model's mouth."""
        answer = self.conversation.rounds[at].answers[column]
        if answer is not None:
            corrected = answer.model_copy(update={"correction": "" if text == answer.said.text else text})
            self.conversation = self.conversation.with_answer(at, column, corrected)
            await self._keep()

    async def save_rows(self, file: Path, rows: Sequence[dict[str, Any]]) -> bool:
        """Put rows to train on into a file of the user's; whether it went well."""
        return await self._try(append_rows, file, rows)

    async def _answer(self, at: int) -> None:
        self.problem, self._is_ending = None, False
        sampling = self.conversation.sampling.seeded()  # the same numbers for all
        speakers = self.conversation.speakers
        loaded = self.chat.loaded
        first = loaded.base if loaded else ""
        by_load = sorted(range(len(speakers)), key=lambda column: not self._is_loaded(speakers[column], first))
        for column in by_load:
            if self._is_ending:
                break
            answer = await self._answer_of(at, column, speakers[column], sampling)
            if answer is not None:
                self.conversation = self.conversation.with_answer(at, column, answer)
            self.changed.emit()
        self.question = None
        await self._keep()

    def _is_loaded(self, speaker: Speaker, base: str) -> bool:
        loaded = self.chat.loaded
        return loaded is not None and speaker.model in (loaded.model, base)

    async def _answer_of(self, at: int, column: int, speaker: Speaker, sampling: Sampling) -> Answer | None:
        self.question, self.at, self.column = Question(), at, column
        self.changed.emit()
        name = self.name_of(speaker)
        try:
            turns = self.conversation.turns(column, at)
            said = await run.io_bound(self.chat.ask, speaker, turns, sampling, self.question)
        except CallCancelled:
            return None
        except AppError as error:
            kept = Answered(text=self.question.text, finish="stopped") if self.question.text else Answered(text="")
            return Answer(speaker=speaker, name=name, said=kept, problem=error.message, hint=error.hint)
        return None if said is None else Answer(speaker=speaker, name=name, said=said)

    def _show(self, conversation: Conversation) -> None:
        if not self.is_busy:
            self.conversation, self.problem = conversation, None
            self.changed.emit()

    async def _keep(self) -> bool:
        others = [each for each in self.all if each.id != self.conversation.id]
        self.all = sorted([self.conversation, *others], key=lambda each: each.created, reverse=True)
        is_kept = await self._try(self.kept.keep, self.conversation)
        self.changed.emit()
        return is_kept

    async def _try(self, act: Callable[..., None], *arguments: object) -> bool:
        try:
            await run.io_bound(act, *arguments)
        except AppError as error:
            self.problem = error
            self.changed.emit()
            return False
        return True
