"""The questions and answers of a conversation, models side by side; the answer that is being written grows in place.

A round is drawn anew only when it has changed, so that a long conversation stays quick.
"""

import html
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import ui

from desktop_app.domain.conversation import TIE, Answer, Round
from desktop_app.ui.chat_session import ChatSession
from desktop_app.ui.word_difference import marked_words
from desktop_app.ui.wording import number_text

from .banner import error_banner
from .button import button, icon_button
from .copying import copy
from .hint import hint

_FINISHES = {
    "length": "cut at the longest answer",
    "context": "cut, the model reads no more",
    "stopped": "stopped",
    "stop_text": "",
    "end": "",
}
_FENCE = "```"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundActions:
    """What can be done with a round or an answer; `correct` and `save` are told round and column."""

    edit: Callable[[int], Awaitable[None]]
    again: Callable[[int], Awaitable[None]]
    correct: Callable[[int, int], Awaitable[None]]
    save: Callable[[int, int], Awaitable[None]]
    vote: Callable[[int, int], Awaitable[None]]
    tell_loading: Callable[[], str]


class ChatRounds:
    """Draws what `session` holds; `show` after a change, `follow` ten times a second."""

    def __init__(self, session: ChatSession, actions: RoundActions) -> None:
        self.session = session
        self.actions = actions
        self.marks_differences = True
        self._drawn: list[tuple[object, ui.element]] = []
        self._conversation = ""
        self._live: ui.label | None = None
        self._waiting: ui.label | None = None
        self._bar: ui.linear_progress | None = None
        with ui.column().classes("w-full grow min-h-0 overflow-y-auto no-wrap gap-0 px-4 chat-scroll") as self.scroll:
            self.place = ui.column().classes("w-full gap-6 py-4 no-wrap mx-auto")

    def show(self) -> None:
        """Draw what has changed."""
        session = self.session
        columns = len(session.conversation.speakers)
        self.place.classes(add="" if columns > 1 else "max-w-[760px]", remove="max-w-[760px]" if columns > 1 else "")
        if session.conversation.id != self._conversation:
            self._conversation = session.conversation.id
            self._cut(0)
        rounds = session.conversation.rounds
        self._cut(len(rounds))
        for at, each in enumerate(rounds):
            is_asked = session.is_busy and session.at == at
            key = (each, columns, is_asked and session.column, session.is_busy, self.marks_differences)
            if at < len(self._drawn) and self._drawn[at][0] == key:
                continue
            self._draw_at(at, each, key)
            if at == len(rounds) - 1:
                self.to_end()  # what stands below an answer that has just ended: its figures, the vote
        self.follow()

    def follow(self) -> None:
        """Show what has come of the answer that is being written."""
        question = self.session.question
        if question is None:
            self._live = self._waiting = self._bar = None
            return
        if self._live is not None and self._live.text != question.text:
            self._live.set_text(question.text)
            self.to_end()
        if self._waiting is not None and self._bar is not None:
            self._waiting.set_text(self.actions.tell_loading() if not question.text else "")
            self._waiting.set_visibility(not question.text)
            self._bar.set_visibility(question.loading is not None and not question.text)
            self._bar.set_value(question.loading or 0)

    def to_end(self) -> None:
        """Scroll to the newest, unless the user has scrolled away from it."""
        self.scroll.client.run_javascript(
            "setTimeout(() => {"  # after it is drawn
            f" const e = getElement({self.scroll.id})?.$el ?? document.getElementById('c{self.scroll.id}');"
            " if (e && e.scrollHeight - e.scrollTop - e.clientHeight < 160) e.scrollTop = e.scrollHeight; }, 50)"
        )

    def _cut(self, length: int) -> None:
        for _, element in self._drawn[length:]:
            element.delete()
        del self._drawn[length:]

    def _draw_at(self, at: int, each: Round, key: object) -> None:
        if at < len(self._drawn):
            element = self._drawn[at][1]
            element.clear()
            self._drawn[at] = (key, element)
        else:
            with self.place:
                element = ui.column().classes("w-full gap-3 no-wrap")
            self._drawn.append((key, element))
        with element:
            self._draw_prompt(at, each)
            self._draw_answers(at, each)
            self._draw_vote(at, each)

    def _draw_prompt(self, at: int, each: Round) -> None:
        with ui.row().classes("w-full justify-end items-start gap-1 no-wrap group"):
            if not self.session.is_busy:
                edit = icon_button("o_edit", "Edit the question and ask again", lambda: self.actions.edit(at))
                edit.classes("shrink-0").mark(f"edit-{at}")
            with ui.column().classes("bubble max-w-[80%] gap-0"):
                ui.label(each.prompt).classes("whitespace-pre-wrap break-words")

    def _draw_answers(self, at: int, each: Round) -> None:
        columns = max(len(self.session.conversation.speakers), len(each.answers))
        known = [column for column in each.order if column < columns]
        order = [*known, *(column for column in range(columns) if column not in known)]
        grid = ui.element("div").classes("w-full grid gap-x-6 gap-y-4 items-start")
        with grid.style(f"grid-template-columns: repeat({columns}, minmax(0, 1fr))"):
            for place, column in enumerate(order):
                with ui.column().classes("gap-1 min-w-0 no-wrap").mark(f"answer-{at}-{column}"):
                    self._draw_answer(at, column, each, chr(65 + place), order)

    def _draw_answer(self, at: int, column: int, each: Round, letter: str, order: list[int]) -> None:
        session = self.session
        answer = each.answers[column] if column < len(each.answers) else None
        is_asked = session.is_busy and (session.at, session.column) == (at, column)
        name = letter if each.hides_names else answer.name if answer else self._speaker_name(column)
        with ui.row().classes("w-full items-center gap-2 no-wrap"):
            ui.label(name).classes("t-small c-3 font-medium truncate")
            if answer is not None and answer.correction:
                ui.label("corrected").classes("t-small c-accent")
        if is_asked:
            self._live = ui.label(session.question.text if session.question else "").classes(
                "whitespace-pre-wrap break-words"
            )
            self._waiting = ui.label("").classes("c-3")
            self._bar = ui.linear_progress(0, show_value=False, size="4px").classes("max-w-[240px]")
            self._bar.props('aria-label="Loading the model"')
        elif answer is not None:
            self._draw_given(at, column, each, answer, order)
        else:
            ui.label("…" if session.is_busy and session.at == at else "No answer.").classes("c-3")

    def _draw_given(self, at: int, column: int, each: Round, answer: Answer, order: list[int]) -> None:
        if answer.text:
            self._draw_text(answer.text, self._other_text(each, column, order))
        if answer.problem:
            with ui.column().classes("w-full py-1"):
                error_banner(answer.problem, answer.hint)
        elif not answer.text:
            ui.label("The model answered nothing.").classes("c-3")
        with ui.row().classes("w-full items-center gap-0 -ml-1.5 answer-foot"):
            if answer.text:
                icon_button("o_content_copy", "Copy the answer", lambda: copy(answer.text, "Copied the answer."))
            if answer.text and not self.session.is_busy and not each.hides_names:
                icon_button("o_edit_note", "Correct the answer", lambda: self.actions.correct(at, column)).mark(
                    f"correct-{at}-{column}"
                )
                icon_button("o_bookmark_add", "Save as a row to train on", lambda: self.actions.save(at, column)).mark(
                    f"save-{at}-{column}"
                )
            if column == order[0] and not self.session.is_busy:
                icon_button("o_refresh", "Answer again", lambda: self.actions.again(at)).mark(f"again-{at}")
            short, whole = ("", "") if each.hides_names else figures_text(answer)
            hint(ui.label(short).classes("t-small c-3 pl-1.5 min-w-0"), whole)

    def _draw_text(self, text: str, other: str | None) -> None:
        if other is not None and self.marks_differences:
            runs = "".join(
                f'<span class="differs">{html.escape(run)}</span>' if differs else html.escape(run)
                for run, differs in marked_words(text, other)
            )
            ui.html(runs, sanitize=False).classes("whitespace-pre-wrap break-words")
            return
        for number, part_text in enumerate(text.split(_FENCE)):
            if number % 2:
                ui.label(part_text.partition("\n")[2].rstrip()).classes(
                    "t-mono box well p-3 w-full whitespace-pre overflow-x-auto"
                )
            elif part_text.strip():
                ui.label(part_text.strip("\n")).classes("whitespace-pre-wrap break-words")

    def _other_text(self, each: Round, column: int, order: list[int]) -> str | None:
        """What an answer is compared with: the first one, and the first one with the second."""
        texts = {place: answer.text for place, answer in enumerate(each.answers) if answer and answer.text}
        shown = [place for place in order if place in texts]
        if len(shown) < 2 or column not in shown:
            return None
        return texts[shown[0]] if column != shown[0] else texts[shown[1]] if len(shown) == 2 else None

    def _draw_vote(self, at: int, each: Round) -> None:
        answered = [column for column in each.order if column < len(each.answers) and _is_given(each.answers[column])]
        if not each.is_blind or len(answered) < 2 or self.session.is_busy:
            return
        if each.vote is not None:
            best = each.answers[each.vote] if each.vote != TIE else None
            ui.label(f"You found {best.name} best." if best else "You found none of them best.").classes("t-small c-2")
            return
        with ui.row().classes("gap-2 items-center").mark("vote"):
            for place, column in enumerate(each.order):
                if column in answered:
                    button(
                        f"{chr(65 + place)} is better", on_click=lambda column=column: self.actions.vote(at, column)
                    ).mark(f"vote-{at}-{column}")
            button("Neither", kind="quiet", on_click=lambda: self.actions.vote(at, TIE))

    def _speaker_name(self, column: int) -> str:
        speakers = self.session.conversation.speakers
        return self.session.name_of(speakers[column]) if column < len(speakers) else ""


def figures_text(answer: Answer) -> tuple[str, str]:
    """Say how long an answer is and how quick it was: '34 tokens · 21.3 tokens/s', and everything that is known."""
    said = answer.said
    if not said.tokens:
        return "", ""
    count = f"{said.tokens:,} {'token' if said.tokens == 1 else 'tokens'}"
    speed = f"{number_text(said.tokens_per_s, 1)} tokens/s" if said.tokens_per_s else ""
    more = (
        f"first after {number_text(said.first_token_s, 2)} s",
        f"question {said.prompt_tokens:,} tokens",
        f"seed {said.seed}",
    )
    short = [count, speed, _FINISHES[said.finish]]
    return " · ".join(filter(None, short)), " · ".join(filter(None, [*short, *more]))


def _is_given(answer: Answer | None) -> bool:
    return answer is not None and bool(answer.text) and not answer.problem
