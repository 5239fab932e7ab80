"""A conversation with one or several models: what was asked, what each answered, how the user judged it.

Every model has a column. Each sees what was asked of all and what it answered itself, so that one alone is just the
case of one column. What others read of it (messages, Markdown, rows to train on) is written here.
"""

import secrets
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from .chat import Answered, Sampling, Speaker
from .data_report import Turn
from .value import Value

TIE = -1
_LONGEST_TITLE = 60


class Answer(Value):
    """What one model answered. `name` is what it was called then; `problem` says in words why there is no answer.

    `correction` is what the user would have it say, '' for none; the conversation goes on from that.
    """

    speaker: Speaker
    name: str
    said: Answered = Answered(text="")
    correction: str = ""
    problem: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """What counts as its answer."""
        return self.correction or self.said.text


class Round(Value):
    """One question with the answer of each column, None while there is none.

    `order` is in which the columns are shown, by which a blind vote hides who is who; `vote` the column that was
    found best, -1 for none of them, None while nobody has said.
    """

    prompt: str
    answers: tuple[Answer | None, ...] = ()
    order: tuple[int, ...] = ()
    is_blind: bool = False
    vote: int | None = None

    @property
    def hides_names(self) -> bool:
        """Whether nobody is to know yet who answered what."""
        return self.is_blind and self.vote is None


class Conversation(Value):
    """All of it. `created` is in seconds since 1970."""

    id: str = Field(default_factory=lambda: f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
    created: float = Field(default_factory=time.time)
    system: str = ""
    sampling: Sampling = Sampling()
    speakers: tuple[Speaker, ...] = ()
    rounds: tuple[Round, ...] = ()

    @property
    def title(self) -> str:
        """How the first question begins."""
        words = " ".join(self.rounds[0].prompt.split()) if self.rounds else "New conversation"
        return words if len(words) <= _LONGEST_TITLE else words[: _LONGEST_TITLE - 1] + "…"

    def turns(self, column: int, at: int) -> tuple[Turn, ...]:
        """What the model of a column reads before it answers round `at`."""
        system = (Turn(role="system", text=self.system),) if self.system.strip() else ()
        before: list[Turn] = []
        for earlier in self.rounds[:at]:
            answer = _own_or_first(earlier, column)
            if answer is not None:
                before += [Turn(role="user", text=earlier.prompt), Turn(role="assistant", text=answer.text)]
        return (*system, *before, Turn(role="user", text=self.rounds[at].prompt))

    def with_round(self, at: int, **changes: Any) -> "Conversation":
        """Return the same with a round changed."""
        rounds = list(self.rounds)
        rounds[at] = rounds[at].model_copy(update=changes)
        return self.model_copy(update={"rounds": tuple(rounds)})

    def with_answer(self, at: int, column: int, answer: Answer | None) -> "Conversation":
        """Return the same with the answer of a column in a round."""
        answers = list(self.rounds[at].answers)
        answers += [None] * (column + 1 - len(answers))
        answers[column] = answer
        return self.with_round(at, answers=tuple(answers))


def messages(conversation: Conversation, column: int, at: int) -> list[dict[str, str]]:
    """The conversation of a column up to its answer in round `at`, as OpenAI messages: a row to train on."""
    turns = [{"role": turn.role, "content": turn.text} for turn in conversation.turns(column, at)]
    answer = _own_or_first(conversation.rounds[at], column)
    return [*turns, {"role": "assistant", "content": answer.text}] if answer is not None else turns


def whole_messages(conversation: Conversation, column: int = 0) -> list[dict[str, str]]:
    """All that was said in a column, as OpenAI messages; a last question without an answer is left out."""
    answered = [at for at, each in enumerate(conversation.rounds) if _own_or_first(each, column) is not None]
    return messages(conversation, column, answered[-1]) if answered else []


def preference_pairs(conversation: Conversation, at: int) -> list[dict[str, Any]]:
    """What the vote on a round says: the best answer against each other one, as rows of `prompt, chosen, rejected`."""
    voted = conversation.rounds[at]
    best = voted.answers[voted.vote] if voted.vote is not None and voted.vote >= 0 else None
    if best is None or voted.vote is None:
        return []
    prompt = [{"role": turn.role, "content": turn.text} for turn in conversation.turns(voted.vote, at)]
    others = [answer for answer in voted.answers if answer is not None and answer is not best and not answer.problem]
    return [
        {
            "prompt": prompt,
            "chosen": [{"role": "assistant", "content": best.text}],
            "rejected": [{"role": "assistant", "content": other.text}],
        }
        for other in others
        if other.text != best.text
    ]


def tally(conversations: Iterable[Conversation]) -> list[tuple[str, int, int]]:
    """Count the votes: each model's name with how often it was found best, and of how many votes it took part in."""
    won: Counter[str] = Counter()
    took_part: Counter[str] = Counter()
    for conversation in conversations:
        for each in conversation.rounds:
            if each.vote is None:
                continue
            for column, answer in enumerate(each.answers):
                if answer is not None and not answer.problem:
                    took_part[answer.name] += 1
                    won[answer.name] += column == each.vote
    return sorted(((name, won[name], count) for name, count in took_part.items()), key=lambda row: (-row[1], row[0]))


def markdown(conversation: Conversation) -> str:
    """The conversation to be read, each answer under the name of its model."""
    lines = [f"# {conversation.title}", ""]
    if conversation.system.strip():
        lines += ["**System**", "", conversation.system, ""]
    for each in conversation.rounds:
        lines += ["**User**", "", each.prompt, ""]
        for answer in each.answers:
            if answer is not None:
                lines += [f"**{answer.name}**", "", answer.text or f"*{answer.problem}*", ""]
    return "\n".join(lines)


def _own_or_first(each: Round, column: int) -> Answer | None:
    """A column that joined later goes on from what the first one answered."""
    own = each.answers[column] if column < len(each.answers) else None
    first = own or (each.answers[0] if each.answers else None)
    return first if first is not None and not first.problem else None
