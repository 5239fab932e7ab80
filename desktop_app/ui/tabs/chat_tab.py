"""Chat: talk to a model, or to several side by side; correct what they say and keep it to train on.

Left the conversations, in the middle what was said with the field to write in, right the models and settings.
"""

import json
import time

from nicegui import background_tasks, ui

from desktop_app import paths
from desktop_app.domain.conversation import TIE, markdown, whole_messages
from desktop_app.errors import AppError
from desktop_app.ui.chat_training import choose_file, file_of, keep_answer, start_training
from desktop_app.ui.widgets.banner import BannerPlace
from desktop_app.ui.widgets.button import button, icon_button
from desktop_app.ui.widgets.chat_list import ChatList, show_tally
from desktop_app.ui.widgets.chat_rounds import ChatRounds, RoundActions
from desktop_app.ui.widgets.chat_settings import ChatSettings
from desktop_app.ui.widgets.copying import copy
from desktop_app.ui.widgets.empty_state import empty_state
from desktop_app.ui.widgets.hint import hint
from desktop_app.ui.widgets.page import TitleBar
from desktop_app.ui.widgets.prompt_table import run_prompt_list
from desktop_app.ui.widgets.save_text import save_text
from desktop_app.ui.widgets.text_question import ask_for_text
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import duration_text

_FOLLOW_S = 0.1
_SLOW_S = 0.5
# Enter sends; with Shift it begins a new line, and while an input method composes a word it belongs to that.
_ENTER = "(e) => { if (!e.shiftKey && !e.isComposing) { e.preventDefault(); emit(); } }"


def draw(state: WindowState) -> None:
    """Draw the tab into the current page."""
    _ChatTab(state)


class _ChatTab:
    def __init__(self, state: WindowState) -> None:
        self.state = state
        self.session = state.chat
        self.asked_at = 0.0
        self.is_pairs = False
        with TitleBar("Chat") as self.title:
            self._draw_actions()
        with ui.row().classes("w-full grow min-h-0 gap-0 no-wrap items-stretch"):
            self.list = ChatList(self.session)
            with ui.column().classes("grow min-w-0 h-full gap-0 no-wrap"):
                with ui.column().classes("w-full px-4 gap-0"):
                    self.banner = BannerPlace()
                with ui.column().classes("w-full grow min-h-0 no-wrap px-4") as self.empty:
                    self._draw_empty()
                self.rounds = ChatRounds(self.session, self._round_actions())
                self._draw_composer()
            self.settings = ChatSettings(state, self._show)
        self.shown_id = self.session.conversation.id
        self.session.changed.subscribe(self._show)
        state.models.changed.subscribe(self._look)
        ui.timer(_FOLLOW_S, self._follow)
        ui.timer(_SLOW_S, self._look)
        background_tasks.create(self.session.read())
        background_tasks.create(state.models.read_missing())
        self._look()
        self._show()

    def _draw_actions(self) -> None:
        self.menu = icon_button("o_menu", "Conversations", lambda: self.list.open_as_dialog())
        button("Prompt list", kind="quiet", on_click=self._run_list).mark("prompt-list")
        with button("Save", kind="quiet").mark("save-menu"), ui.menu():
            ui.menu_item("Copy as Markdown", lambda: copy(self._markdown(), "Copied the conversation."))
            ui.menu_item("Save as Markdown", lambda: save_text("Save as Markdown", self._name("md"), self._markdown()))
            ui.menu_item("Save as JSONL", lambda: save_text("Save as JSONL", self._name("jsonl"), self._jsonl()))
            ui.menu_item("Votes so far", lambda: show_tally(self.session.all))
            ui.menu_item("Keep answers in …", lambda: choose_file(self.state, is_pairs=False))
            ui.menu_item("Keep votes in …", lambda: choose_file(self.state, is_pairs=True))
            ui.menu_item("Train on saved answers", lambda: self._train(is_pairs=False)).mark("train-answers")
            ui.menu_item("Train on votes", lambda: self._train(is_pairs=True)).mark("train-votes")
        self.next_run = button("", "o_tune", on_click=lambda: self._train(self.is_pairs)).mark("train-next")
        hint(self.next_run, "Start a training of this model with what was saved here")
        self.next_run.set_visibility(False)
        kept = [is_pairs for is_pairs in (False, True) if file_of(self.state, is_pairs).is_file()]
        if kept:
            self._offer_run(kept[0])
        button("New", "o_add", on_click=self._begin).mark("new-chat")

    def _draw_empty(self) -> None:
        with (
            ui.column().classes("m-auto items-center") as self.no_model,
            empty_state(
                "o_forum",
                "Talk to a model",
                "Ask it what you like, or put two side by side: before and after the training, whole and quantized.",
                "Nothing leaves this computer.",
            ),
        ):
            button("Use the demo model", on_click=self._use_demo).mark("chat-demo")
            button("Go to Models", on_click=lambda: setattr(self.state, "tab", "models"))
        with ui.column().classes("m-auto items-center text-center gap-1") as self.ready:
            ui.icon("o_forum").classes("text-[32px] c-3").props("aria-hidden=true")
            ui.label("What shall it answer?").classes("t-lead").props("role=heading aria-level=2")
            ui.label("The first question loads the model.").classes("c-2")

    def _draw_composer(self) -> None:
        with ui.row().classes("w-full items-end gap-2 no-wrap px-4 py-3 shrink-0 rule-t"):
            self.text = ui.textarea(placeholder="Write a message").classes("grow").mark("message")
            self.text.props('outlined dense autogrow rows=1 input-style="max-height: 160px" aria-label="Message"')
            self.text.on("keydown.enter", self._send, js_handler=_ENTER)
            self.send = button("Send", kind="primary", on_click=self._send).mark("send")
            self.stop = button("Stop", "o_stop", on_click=self.session.stop).mark("stop")

    def _round_actions(self) -> RoundActions:
        return RoundActions(
            edit=self._edit,
            again=self._again,
            correct=self._correct,
            save=self._save_row,
            vote=self._vote,
            tell_loading=self._loading_text,
        )

    def _look(self) -> None:
        if self.state.tab in ("chat", "") or not self.session.conversation.speakers:
            self.settings.follow()
            self._show_parts()

    def _show(self) -> None:
        if self.shown_id != self.session.conversation.id:
            self.shown_id = self.session.conversation.id
            self.settings.take()
        self.rounds.marks_differences = bool(self.settings.marks.value)
        self._show_parts()
        self.list.show()
        self.rounds.show()
        problem = self.session.problem
        if problem is None:
            self.banner.clear()
        else:
            self.banner.show(problem)

    def _show_parts(self) -> None:
        has_model = bool(self.session.conversation.speakers)
        has_rounds = bool(self.session.conversation.rounds)
        self.empty.set_visibility(not has_rounds)
        self.rounds.scroll.set_visibility(has_rounds)
        self.no_model.set_visibility(not has_model)
        self.ready.set_visibility(has_model)
        is_alone = len(self.session.conversation.speakers) < 2
        self.menu.classes(
            add="min-[1000px]:hidden" if is_alone else "", remove="" if is_alone else "min-[1000px]:hidden"
        )
        self.send.set_visibility(not self.session.is_busy)
        self.send.set_enabled(has_model and not self.settings.problem)
        self.stop.set_visibility(self.session.is_busy)

    def _follow(self) -> None:
        if self.session.is_busy and self.state.tab in ("chat", ""):
            self.rounds.follow()

    def _loading_text(self) -> str:
        question = self.session.question
        if question is None or question.loaded is not None:
            return "Reading the question …"
        waited = duration_text(time.monotonic() - self.asked_at)
        if self.session.chat.loaded is None or question.loading is not None:
            return f"Loading the model … {waited}"
        return f"Waiting … {waited}"

    async def _send(self) -> None:
        text = str(self.text.value or "").strip()
        if not text or self.session.is_busy or not self.session.conversation.speakers or self.settings.problem:
            return
        self.text.value = ""
        self.asked_at = time.monotonic()
        ui.run_javascript(
            f"setTimeout(() => {{ const e = document.getElementById('c{self.rounds.scroll.id}');"
            " if (e) e.scrollTop = e.scrollHeight; }, 200)"
        )
        await self.session.send(text)

    async def _edit(self, at: int) -> None:
        text = await ask_for_text(
            "Edit the question",
            "It is asked again; what came after it is taken away.",
            self.session.conversation.rounds[at].prompt,
            "Ask again",
        )
        if text:
            self.asked_at = time.monotonic()
            await self.session.ask_again(at, text)

    async def _again(self, at: int) -> None:
        self.asked_at = time.monotonic()
        await self.session.ask_again(at)

    async def _correct(self, at: int, column: int) -> None:
        answer = self.session.conversation.rounds[at].answers[column]
        if answer is None:
            return
        text = await ask_for_text(
            "Correct the answer",
            "The conversation goes on from your words. Save it as a row to train on them.",
            answer.text,
            "Correct",
        )
        if text:
            await self.session.correct(at, column, text)

    async def _save_row(self, at: int, column: int) -> None:
        if await keep_answer(self.state, at, column):
            self._offer_run(is_pairs=False)

    def _offer_run(self, is_pairs: bool) -> None:
        """The next step stands in sight as soon as there is something to train on."""
        self.is_pairs = is_pairs
        self.next_run.set_text("Train on votes" if is_pairs else "Train on answers")
        self.next_run.set_visibility(True)

    async def _vote(self, at: int, column: int) -> None:
        file = file_of(self.state, is_pairs=True)
        kept = await self.session.vote(at, column, file)
        with self.empty:  # the button that was pressed is gone by now
            if kept:
                ui.notify("Kept your vote as a preference pair.", caption=str(file))
                self._offer_run(is_pairs=True)
            elif column != TIE and self.session.problem is None:
                ui.notify("Your vote counts. Answers in the same words make no pair to train on.")

    def _begin(self) -> None:
        self.session.begin()

    async def _use_demo(self) -> None:
        demo = str(paths.demo_model())
        await self.settings.choose(demo)
        self.state.choose_model(demo)

    async def _run_list(self) -> None:
        if self.session.is_busy:
            ui.notify("An answer is being written; stop it first.")
        elif not self.session.conversation.speakers:
            ui.notify("Choose a model first.")
        else:
            await run_prompt_list(self.session, self.state.settings.output_folder)

    def _train(self, is_pairs: bool) -> None:
        try:
            start_training(self.state, is_pairs)
        except AppError as error:
            self.banner.show(error)

    def _name(self, suffix: str) -> str:
        return f"{paths.portable_name(self.session.conversation.title)[:60]}.{suffix}"

    def _markdown(self) -> str:
        return markdown(self.session.conversation)

    def _jsonl(self) -> str:
        columns = range(max(1, len(self.session.conversation.speakers)))
        rows = [whole_messages(self.session.conversation, column) for column in columns]
        return "".join(json.dumps({"messages": row}, ensure_ascii=False) + "\n" for row in rows if row)
