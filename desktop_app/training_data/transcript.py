"""Conversations written as one text, the way Anthropic's hh-rlhf does: "\\n\\nHuman: ...\\n\\nAssistant: ..."."""

import re

from desktop_app.domain.data_report import Turn

from .turns import RowProblem, whole

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):")


def is_transcript(text: str) -> bool:
    """Whether a text begins as such a conversation."""
    return text.lstrip("\n").startswith("Human:")


def transcript_turns(text: str) -> list[Turn]:
    """Cut a transcript into its turns.

    Raises:
        RowProblem: if a turn is empty.
    """
    pieces = _SPEAKER.split("\n\n" + text.lstrip("\n"))[1:]
    turns: list[Turn] = []
    for speaker, said in zip(pieces[::2], pieces[1::2], strict=True):
        if not said.strip():
            raise RowProblem(f"{speaker} says nothing in turn {len(turns) + 1}", "empty_answers")
        turns.append(Turn(role="user" if speaker == "Human" else "assistant", text=whole(said.strip(), speaker)))
    return turns
