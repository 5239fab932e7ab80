"""One training example: who says what, or a piece of plain text; for preference training also the worse answer."""

from dataclasses import dataclass

from desktop_app.domain.data_report import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Turns of a conversation, or one turn with the role `text`.

    Preference and KTO rows say with `prompt_turns` how many of the turns are the prompt; the others are the answer
    (of preference rows the chosen one, so that supervised training on them learns it). `rejected` is the other
    answer, `label` whether the answer is a good one. `tools` is the JSON list of tools the conversation may use, ''
    for none; `continues` marks a piece of text that goes on in the next one. `line` and `byte_offset` say where it
    stands in the file `source` (counted from 0), of which it is row `number` (from 1; 0: added by the user).
    """

    turns: tuple[Turn, ...]
    line: int = 0
    byte_offset: int = 0
    tools: str = ""
    continues: bool = False
    prompt_turns: int = 0
    rejected: tuple[Turn, ...] = ()
    label: bool | None = None
    source: int = 0
    number: int = 0

    @property
    def is_text(self) -> bool:
        """Whether this is plain text and no conversation."""
        return self.turns[0].role == "text"

    @property
    def is_pair(self) -> bool:
        """Whether there are a chosen and a rejected answer."""
        return bool(self.rejected)

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """The turns before the answer that is judged; the last turn is the answer where no prompt is marked."""
        return self.turns[: self.prompt_turns or len(self.turns) - 1]

    @property
    def answer(self) -> tuple[Turn, ...]:
        """The turns that are judged: chosen, or labelled good or bad."""
        return self.turns[len(self.prompt) :]
