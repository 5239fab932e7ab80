"""One training example: who says what, or a piece of plain text."""

from dataclasses import dataclass

from desktop_app.domain.data_report import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Turns of a conversation, or one turn with the role `text`.

    `line` and `byte_offset` say where it stands in the file; `tools` is the JSON list of tools the
    conversation may use, '' for none; `continues` marks a piece of text that goes on in the next one.
    """

    turns: tuple[Turn, ...]
    line: int = 0
    byte_offset: int = 0
    tools: str = ""
    continues: bool = False

    @property
    def is_text(self) -> bool:
        """Whether this is plain text and no conversation."""
        return self.turns[0].role == "text"
