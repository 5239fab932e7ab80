"""What the user should know about the rows before training on them, collected in one pass over the data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from desktop_app.domain.data_report import BadRow, Finding, FindingCode, Fix, Severity, Turn

from .duplicates import ROWS_AT_MOST, Copies, FrequentAnswers, fingerprint
from .example import Example
from .examples import Item
from .text_signs import is_mojibake, personal_data, template_token, without_mojibake

SHOWN = 20
_SAME_ANSWER_ROWS = 10
_SAME_ANSWER_SHARE = 0.02
_SHORT_ANSWER = 40
_SCHEMES = {"user": "user/assistant", "assistant": "user/assistant", "human": "human/gpt", "gpt": "human/gpt"}


@dataclass(slots=True)
class _Places:
    """Rows that show something: how many, and the first ones."""

    count: int = 0
    fixable: int = 0
    first: list[BadRow] = field(default_factory=list)

    def add(self, place: BadRow, is_fixable: bool = False) -> None:
        self.count += 1
        self.fixable += is_fixable
        if len(self.first) < SHOWN:
            self.first.append(place)


class Findings:
    """Take in the items of the data one after another, then ask for the `all`.

    `evaluation` holds the fingerprints of the questions of the evaluation rows, `source_name` names a file by its
    number.
    """

    def __init__(self, evaluation: set[int], source_name: Callable[[int], str]) -> None:
        self._evaluation = evaluation
        self._source_name = source_name
        self._places: dict[FindingCode, _Places] = {}
        self._copies = Copies()
        self._answers = FrequentAnswers()
        self._schemes: dict[str, BadRow] = {}
        self._kinds: set[str] = set()
        self._rows = 0

    def add(self, item: Item) -> None:
        """Look at one row."""
        if item.code in ("empty_answers", "unknown_roles"):
            self._note(item.code, item, item.bad.reason if item.bad else "", item.code == "empty_answers")
        example = item.example
        if example is None:
            return
        self._look_at_texts(item, example)
        self._look_at_names(item)
        value = fingerprint((*example.turns, *example.rejected))
        self._copies.add(value, item.source, item.number)
        if not example.is_text:
            self._answers.add(example.turns[-1].text, item.source, item.number)
        if self._evaluation and question_of(example) in self._evaluation:
            self._note("overlap", item, "its question stands in the evaluation data too", True)
        self._rows += 1

    def all(self) -> tuple[Finding, ...]:
        """Return what was found, the gravest first."""
        found = [*self._of_places(), *self._duplicates(), *self._same_answer(), *self._naming()]
        grave: dict[Severity, int] = {"problem": 0, "warning": 1, "note": 2}
        return tuple(sorted(found, key=lambda finding: grave[finding.severity]))

    def _look_at_texts(self, item: Item, example: Example) -> None:
        for turn in (*example.turns, *example.rejected):
            text = turn.text
            if is_mojibake(text):
                self._note("mojibake", item, _around(text), without_mojibake(text) != text)
                break
        for turn in (*example.turns, *example.rejected):
            if not example.is_text and (token := template_token(turn.text)):
                self._note(
                    "template_tokens", item, f"{token!r} stands in the text of the {turn.role}", token[:1] in "<["
                )
                break
        kind = next(filter(None, (personal_data(turn.text) for turn in (*example.turns, *example.rejected))), "")
        if kind:
            self._kinds.add(kind)
            self._note("personal_data", item, f"seems to hold {kind}")

    def _look_at_names(self, item: Item) -> None:
        """Note which names the roles have in the file."""
        for value in (item.columns or {}).values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                speaker = value[0].get("role", value[0].get("from"))
                scheme = _SCHEMES.get(speaker) if isinstance(speaker, str) else None
                if scheme and scheme not in self._schemes:
                    self._schemes[scheme] = self._place(item, f"calls a speaker {speaker!r}")

    def _note(self, code: FindingCode, item: Item, reason: str, is_fixable: bool = False) -> None:
        self._places.setdefault(code, _Places()).add(self._place(item, reason), is_fixable)

    def _place(self, item: Item, reason: str) -> BadRow:
        return BadRow(
            line=item.line,
            byte_offset=item.byte_offset,
            reason=reason,
            source=self._source_name(item.source),
            number=item.number,
        )

    def _unplaced(self, source: int, number: int, reason: str) -> BadRow:
        return BadRow(line=0, byte_offset=0, reason=reason, source=self._source_name(source), number=number)

    def _of_places(self) -> Iterable[Finding]:
        for code, places in self._places.items():
            severity, message, label = _WORDS[code]
            said = message.format(count=rows_text(places.count), kinds=" or ".join(sorted(self._kinds)))
            fix = (
                Fix(label=label.format(count=rows_text(places.fixable)), rows=places.fixable)
                if places.fixable
                else None
            )
            yield Finding(
                code=code,
                severity=severity,
                message=said,
                count=places.count,
                examples=tuple(places.first),
                fix=fix if label else None,
            )

    def _duplicates(self) -> Iterable[Finding]:
        count, places = self._copies.later_ones(SHOWN)
        if not count:
            return
        more = f" Only the first {ROWS_AT_MOST:,} rows were compared." if self._copies.is_full else ""
        yield Finding(
            code="duplicates",
            severity="warning",
            message=f"{rows_text(count)} word for word like an earlier one; they weigh more in training.{more}",
            count=count,
            examples=tuple(self._unplaced(source, number, "repeats an earlier row") for source, number in places),
            fix=Fix(label=f"Leave out {rows_text(count)}", rows=count),
        )

    def _same_answer(self) -> Iterable[Finding]:
        count, source, number, answer = self._answers.most_frequent()
        if count < max(_SAME_ANSWER_ROWS, _SAME_ANSWER_SHARE * self._rows):
            return
        is_short = len(answer) <= _SHORT_ANSWER
        yield Finding(
            code="same_answer",
            severity="note" if is_short else "warning",
            message=f"{rows_text(count)} with the same answer: {answer[:80]!r}. The model will tend to give it always.",
            count=count,
            examples=(self._unplaced(source, number, "has that answer"),),
        )

    def _naming(self) -> Iterable[Finding]:
        if len(self._schemes) > 1:
            yield Finding(
                code="two_naming_schemes",
                severity="note",
                message=f"Speakers have names of two kinds: {' and '.join(self._schemes)}. Both are understood.",
                count=len(self._schemes),
                examples=tuple(self._schemes.values()),
            )


# severity, what is said, what the button says ('': there is no safe fix)
_WORDS: dict[FindingCode, tuple[Severity, str, str]] = {
    "empty_answers": ("warning", "{count} with an empty answer, of no use.", "Leave out {count}"),
    "unknown_roles": ("warning", "{count} with a speaker of an unknown role, of no use.", ""),
    "mojibake": (
        "warning",
        "{count} in the wrong encoding, as it seems (UTF-8 taken for Windows-1252).",
        "Mend the text of {count}",
    ),
    "template_tokens": (
        "warning",
        "{count} with tokens of a chat template in the text; the model would learn to write them.",
        "Remove them from {count}",
    ),
    "personal_data": ("warning", "{count} with personal data, as it seems ({kinds}); the model may repeat it.", ""),
    "overlap": (
        "problem",
        "{count} with a question of the evaluation data; the measurement would be too good.",
        "Leave out {count}",
    ),
}


def question_of(example: Example) -> int:
    """Return the fingerprint by which training and evaluation rows are compared: what is asked, or the text."""
    asked: tuple[Turn, ...] = example.turns if example.is_text else example.prompt
    return fingerprint([turn for turn in asked if turn.role != "system"])


def rows_text(count: int) -> str:
    """Write a number of rows: 1 -> '1 row'."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _around(text: str) -> str:
    place = next((index for index, character in enumerate(text) if not character.isascii()), 0)
    return f"reads {text[max(0, place - 20) : place + 30]!r}"
