"""The pane beside a conversation: which models answer, what they are told first, how tokens are drawn."""

from collections.abc import Callable
from pathlib import Path

from nicegui import ui

from desktop_app.domain.chat import LLAMA_CPP as BY_LLAMA_CPP
from desktop_app.domain.chat import TRANSFORMERS, LoadedModel, Speaker
from desktop_app.domain.model_facts import ModelFacts
from desktop_app.extras import LLAMA_CPP, missing_extra
from desktop_app.memory_plan import chat_plan
from desktop_app.ui.chat_session import MOST_COLUMNS
from desktop_app.ui.forms.sampling_form import SamplingForm
from desktop_app.ui.summary import distinct_names
from desktop_app.ui.window_state import WindowState
from desktop_app.ui.wording import memory_text

from .button import button, icon_button
from .form_controls import FormControls
from .hint import hint
from .path_picker import pick_folder

_LLAMA_CPP = "Quicker, in the memory of the file. Otherwise transformers unpacks it."
_OFF = "\nadapter off"  # behind a path in a list: no path on any system ends so


class ChatSettings:
    """Keeps the session's models, system prompt and sampling as they are typed."""

    def __init__(self, state: WindowState, on_change: Callable[[], None]) -> None:
        self.state = state
        self.session = state.chat
        self.on_change = on_change
        self.form = SamplingForm()
        self._options: dict[str, str] = {}
        self._selects: list[ui.select] = []
        self._is_showing = False
        with ui.column().classes(
            "w-[264px] max-[999px]:w-[216px] shrink-0 h-full well rule-l overflow-y-auto no-wrap gap-4 p-4"
        ):
            with ui.column().classes("w-full gap-2"):
                ui.label("Models").classes("t-small c-2 font-medium")
                self.none = ui.label("None is chosen yet.").classes("c-3")
                self.columns = ui.column().classes("w-full gap-2")
                with ui.row().classes("gap-1 -ml-3 -my-1"):
                    self.more = button("Compare with another", "o_add", "quiet", self._add).mark("add-model")
                self._draw_memory()
                self._draw_engine()
            self._draw_comparing()
            with ui.column().classes("w-full gap-1"):
                ui.label("System prompt").classes("t-small c-2 font-medium")
                self.system = (
                    ui.textarea(placeholder="What all of them are told first").classes("w-full").mark("system")
                )
                self.system.props('outlined dense autogrow input-style="max-height: 160px" aria-label="System prompt"')
                self.system.on_value_change(lambda event: self.session.set_up(system=event.value or ""))
            self._draw_sampling()
        self.take()

    def take(self) -> None:
        """Show what the conversation is set to."""
        self._is_showing = True
        conversation = self.session.conversation
        self.form.from_spec(conversation.sampling)
        self.controls.show()
        self.system.value = conversation.system
        self._is_showing = False
        self._draw_columns()

    async def choose(self, model: str) -> None:
        """Let this model alone answer, also if it is not on the list yet."""
        self.state.models.add([model])
        await self.state.models.read(model)
        self._set([Speaker(model=model)])

    @property
    def problem(self) -> str:
        """Why one of the chosen models cannot be talked to, '' if nothing is known against them."""
        for speaker in self.session.conversation.speakers:
            facts = self.state.models.facts.get(speaker.model)
            if facts is not None and facts.kind == "onnx":
                return f"{facts.name}: {facts.problem} {facts.hint}"
        return ""

    def follow(self) -> None:
        """Offer the models that are known now, and say what is in memory."""
        options = speaker_options(list(self.state.models.facts.values()), self.state.models.paths)
        speakers = self.session.conversation.speakers
        if not speakers and options and not self.session.is_busy:
            chosen = self.state.model if self.state.model in options else next(iter(options))
            self.session.set_up(speakers=(spoken(chosen),))
            self._draw_columns()
            self.on_change()
        if options != self._options:
            self._options = options
            self._draw_columns()
        loaded = self.session.chat.loaded
        self.memory.set_text(self._memory_text(loaded))
        self.memory.classes(add="c-warn" if self.problem else "c-3", remove="c-3" if self.problem else "c-warn")
        self.none.set_visibility(not self.session.conversation.speakers)
        self.memory_row.set_visibility(bool(self.memory.text))
        self.free.set_visibility(loaded is not None and not self.session.is_busy)
        self.engine.set_visibility(any(map(self._is_gguf, self.session.conversation.speakers)))
        many = len(self.session.conversation.speakers) > 1
        self.comparing.set_visibility(many)
        self.more.set_visibility(len(speakers) < MOST_COLUMNS and bool(self._others()))

    def _draw_memory(self) -> None:
        with ui.row().classes("w-full no-wrap items-start gap-2") as self.memory_row:
            self.memory = ui.label().classes("t-small c-3 min-w-0 flex-1 break-words").mark("chat-memory")
            self.free = button("Free", kind="quiet", on_click=self._free).classes("shrink-0 -mt-1.5")
            hint(self.free, "Give the memory back; the next question loads the model again").mark("free-model")

    def _draw_engine(self) -> None:
        missing = missing_extra(LLAMA_CPP.name)
        with ui.column().classes("w-full gap-1") as self.engine:
            box = ui.checkbox("GGUF files by llama.cpp", value=not missing and self.state.settings.chat_by_llama_cpp)
            box.props("dense size=sm").mark("by-llama-cpp").on_value_change(
                lambda event: self._use_llama_cpp(event.value)
            )
            box.set_enabled(not missing)
            words = f"llama.cpp {missing}. Until then transformers unpacks the file." if missing else _LLAMA_CPP
            ui.label(words).classes("t-small c-3 min-w-0 break-words")

    def _use_llama_cpp(self, is_used: bool) -> None:
        self.state.settings.chat_by_llama_cpp = bool(is_used)
        self.follow()

    def _is_gguf(self, speaker: Speaker) -> bool:
        facts = self.state.models.facts.get(speaker.model)
        return facts is not None and facts.kind == "gguf"

    def _draw_comparing(self) -> None:
        with ui.column().classes("w-full gap-1") as self.comparing:
            self.marks = ui.checkbox("Mark differing words", value=True, on_change=self.on_change).props(
                "dense size=sm"
            )
            hint(self.marks, "Nothing is marked where answers have hardly a word in common")
            blind = ui.checkbox("Blind: A and B without names", on_change=lambda event: self._set_blind(event.value))
            blind.props("dense size=sm").mark("blind")
        self.comparing.set_visibility(False)

    def _draw_sampling(self) -> None:
        self.controls = FormControls(self.form, lambda name: self._typed())
        with ui.element("div").classes("grid w-full gap-x-3 gap-y-2 grid-cols-2 items-start"):
            for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens"):
                self.controls.typed(name, unit="tokens" if name == "max_new_tokens" else "")
            self.controls.typed("seed", placeholder="new each time")

    def _draw_columns(self) -> None:
        speakers = self.session.conversation.speakers
        self.columns.clear()
        with self.columns:
            for column, speaker in enumerate(speakers):
                with ui.row().classes("w-full no-wrap gap-1 items-center"):
                    key = key_of(speaker)
                    options = (
                        self._options if key in self._options else {**self._options, key: self.session.name_of(speaker)}
                    )
                    select = ui.select(options, value=key).classes("grow w-0").mark(f"speaker-{column}")
                    hint(select, options[key])  # names differ at their end, which a narrow pane cuts off
                    select.props["aria-label"] = f"Model {column + 1}"
                    select.on_value_change(lambda event, column=column: self._choose(column, event.value))
                    if len(speakers) > 1:
                        icon_button(
                            "o_close", f"Leave out model {column + 1}", lambda column=column: self._drop(column)
                        )
                    else:
                        icon_button("o_folder_open", "Choose another model", self._pick)

    def _choose(self, column: int, key: str) -> None:
        speakers = list(self.session.conversation.speakers)
        if key and not self._is_showing:
            speakers[column] = spoken(key)
            self._set(speakers)

    def _add(self) -> None:
        speakers, free = list(self.session.conversation.speakers), self._others()
        last = speakers[-1] if speakers else None
        twin = key_of(last.model_copy(update={"adapter": False})) if last is not None else ""
        if free:
            self._set([*speakers, spoken(twin if twin in free else free[0])])

    def _others(self) -> list[str]:
        """Models that are known and not chosen yet."""
        return [key for key in self._options if spoken(key) not in self.session.conversation.speakers]

    def _drop(self, column: int) -> None:
        self._set([each for place, each in enumerate(self.session.conversation.speakers) if place != column])

    def _set(self, speakers: list[Speaker]) -> None:
        if self.session.is_busy:
            return
        if len(speakers) != len(self.session.conversation.speakers) and self.session.conversation.rounds:
            self.session.begin()  # other columns make another conversation; this one stays in the list
        self.session.set_up(speakers=tuple(speakers))
        self._draw_columns()
        self.follow()
        self.on_change()

    def _set_blind(self, is_blind: bool) -> None:
        self.session.is_blind = is_blind

    def _typed(self) -> None:
        draft = self.form.draft()
        if draft is not None and not self._is_showing:
            self.session.set_up(sampling=draft)

    async def _pick(self) -> None:
        picked = await pick_folder("Choose a model folder", self.state.model)
        if picked:
            await self.choose(picked)

    def _free(self) -> None:
        self.session.chat.free()
        self.follow()

    def _memory_text(self, loaded: LoadedModel | None) -> str:
        """What is loaded, or what it will take. Which one answered last would tell a blind vote who is who."""
        if loaded is None or self.problem:
            return self._need()
        is_secret = any(each.hides_names for each in self.session.conversation.rounds)
        return "A model is loaded; which one is told after your vote." if is_secret else loaded_text(loaded)

    def _need(self) -> str:
        """How much the first model will take, and how much is free; or that it cannot be loaded."""
        if self.problem:
            return self.problem
        speakers = self.session.conversation.speakers
        facts = self.state.models.facts.get(speakers[0].model) if speakers else None
        if facts is None or not self.state.machine:
            return ""
        base = self.state.models.facts.get(facts.base_model) if facts.kind == "adapter" else facts
        is_quick = self.state.settings.chat_by_llama_cpp and LLAMA_CPP.is_here
        engine = BY_LLAMA_CPP if is_quick else TRANSFORMERS
        return chat_plan(base, self.state.machine[-1], engine=engine).sentence if base is not None else ""


def speaker_options(known: list[ModelFacts], order: list[str]) -> dict[str, str]:
    """Offer what can answer, by its path: an adapter also switched off, which asks its base in the same template."""
    place = {path: number for number, path in enumerate(order)}
    usable = [facts for facts in known if not facts.problem or facts.kind == "gguf"]
    usable.sort(key=lambda facts: place.get(facts.path, len(place)))
    names = distinct_names({facts.path: facts.name for facts in usable})
    options = {}
    for facts in usable:
        options[facts.path] = names[facts.path]
        if facts.kind == "adapter":
            options[facts.path + _OFF] = f"{names[facts.path]}, adapter off"
    return options


def key_of(speaker: Speaker) -> str:
    """Name a speaker in a list."""
    return speaker.model if speaker.adapter else speaker.model + _OFF


def spoken(key: str) -> Speaker:
    """Understand what was chosen of a list."""
    return Speaker(model=key.removesuffix(_OFF), adapter=not key.endswith(_OFF))


def loaded_text(loaded: LoadedModel) -> str:
    """Say what is in memory: 'lindow in memory: 7 MB on the processor, float32'."""
    where = "the processor" if loaded.device == "cpu" else "the GPU"
    form = loaded.quantization or loaded.dtype
    template = "" if loaded.has_own_template else " It has no chat template; plain text is used."
    base = "" if loaded.base == loaded.model else f" with {Path(loaded.base).name}"
    engine = " by llama.cpp" if loaded.engine == BY_LLAMA_CPP else ""
    return f"{loaded.name}{base} is loaded{engine}: {memory_text(loaded.memory_bytes)} on {where}, {form}.{template}"
