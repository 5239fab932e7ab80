"""What a look at data found: the report with its findings, a page of rows, the tokens of one row."""

from typing import Any, Literal

from .value import Value

Role = Literal["system", "user", "assistant", "tool", "text"]
Severity = Literal["problem", "warning", "note"]
FindingCode = Literal[
    "duplicates",
    "empty_answers",
    "no_end_of_turn",
    "same_answer",
    "overlap",
    "unknown_roles",
    "two_naming_schemes",
    "mojibake",
    "template_tokens",
    "personal_data",
    "answer_cut_away",
]


class Turn(Value):
    """One part of an example: who speaks and what.

    `calls` is a JSON list of the tool calls an assistant makes beside the text, '' for none.
    """

    role: Role
    text: str
    calls: str = ""


class BadRow(Value):
    """A row that cannot be used. `line` counts from 1 (0: not line-based), `byte_offset` from 0.

    `source` is the file if several are read, '' else; `number` counts all rows of that file from 1.
    """

    line: int
    byte_offset: int
    reason: str
    source: str = ""
    number: int = 0


class Preview(Value):
    """One example, rendered for reading; `row` counts from 1 within the usable rows."""

    row: int
    turns: tuple[Turn, ...]


class SourceCount(Value):
    """What one of several files holds."""

    path: str
    format: str
    encoding: str = ""
    layout: str = ""
    evidence: str = ""
    rows: int = 0
    bad_rows: int = 0
    size_bytes: int = 0
    problem: str = ""


class Fix(Value):
    """A safe way to mend a finding: `label` stands on the button, `apply_fix` with the finding's code does it."""

    label: str
    rows: int


class Finding(Value):
    """Something in the data that the user should know, with the places of the first rows that show it."""

    code: FindingCode
    severity: Severity
    message: str
    count: int
    examples: tuple[BadRow, ...] = ()
    fix: Fix | None = None


class TokenStatistics(Value):
    """How long the rows are in tokens of one model, and what becomes of them at `max_length`.

    `histogram` has the upper bounds of its bins (tokens, inclusive) and the rows in each. Shares are from 0 to 1.
    `padding_share` is the share of a batch that is padding when rows are taken in file order; `packed_share` the
    same when rows are packed into blocks of `max_length`. `steps` is for the whole training. Of a pair both answers
    count as rows; `trained_rows` are those with something left to train, of a long text each of its parts.
    """

    model: str
    max_length: int
    rows: int
    trained_rows: int
    tokens: int
    trained_tokens: int
    trained_is_estimate: bool = False
    longest: int
    median: int
    percentile_95: int
    histogram: tuple[tuple[int, int], ...]
    cut_rows: int
    cut_tokens: int
    without_answer: int
    padding_share: float
    packed_share: float
    packed_rows: int
    steps: int
    packed_steps: int
    refused: int = 0
    notes: tuple[str, ...] = ()

    @property
    def cut_share(self) -> float:
        """Share of the rows that are longer than `max_length`."""
        return self.cut_rows / self.rows if self.rows else 0.0

    @property
    def trained_share(self) -> float:
        """Share of the tokens within `max_length` that are trained."""
        return self.trained_tokens / self.tokens if self.tokens else 0.0


class DataReport(Value):
    """Data as it is: its `layout`, number of usable `rows`, and bad ones by line.

    `bad_rows` holds the first ones only; `bad_row_count` counts all and `bad_reasons` says how many for which reason.
    `evidence` says why this layout. `complete` is False if reading ended at a limit before the end of the file.
    """

    path: str
    format: str
    encoding: str = ""
    layout: str
    evidence: str = ""
    columns: tuple[str, ...] = ()
    mapping: dict[str, str] = {}
    rows: int
    bad_row_count: int = 0
    bad_rows: tuple[BadRow, ...] = ()
    bad_reasons: tuple[tuple[str, int], ...] = ()
    sources: tuple[SourceCount, ...] = ()
    changed: int = 0
    left_out: int = 0
    added: int = 0
    findings: tuple[Finding, ...] = ()
    statistics: TokenStatistics | None = None
    previews: tuple[Preview, ...] = ()
    size_bytes: int = 0
    complete: bool = True
    problem: str = ""
    hint: str = ""
    extra: dict[str, Any] = {}


class DataRow(Value):
    """One row to read: of file `source` row `number` (counted from 1, bad ones too), at `line` and `byte_offset`.

    `turns` hold the whole conversation; in preference rows they end with the chosen answer, the turns after
    `prompt_turns` are the answer, and `rejected` is the other one. `label` is that of a KTO row. `state` says
    whether the user changed, added or left the row out; a row with a `problem` cannot be used and has no turns.
    """

    source: str
    number: int
    line: int = 0
    byte_offset: int = 0
    turns: tuple[Turn, ...] = ()
    prompt_turns: int = 0
    rejected: tuple[Turn, ...] = ()
    label: bool | None = None
    tools: str = ""
    state: Literal["", "changed", "added", "left_out"] = ""
    problem: str = ""


class RowPage(Value):
    """Some rows in file order, from `start` (0: the first row). `is_last` says that no row follows."""

    start: int
    rows: tuple[DataRow, ...]
    is_last: bool


class ShownToken(Value):
    """One token in its place. A template token is written by the chat template; a cut one does not fit."""

    text: str
    id: int
    is_trained: bool = False
    is_template: bool = False
    is_cut: bool = False


class TokenView(Value):
    """The tokens of one row, exactly as they are trained; of a preference row also those of the `rejected` answer.

    `count` and `trained` are those within `max_length`, `cut` the number beyond; of very long rows not all are shown.
    `is_liked`: what is trained is to be written, not to be avoided. `note` is for the user.
    """

    tokens: tuple[ShownToken, ...]
    count: int
    trained: int
    cut: int
    rejected: tuple[ShownToken, ...] = ()
    is_liked: bool = True
    note: str = ""


class EditSummary(Value):
    """What the overlay file holds; `path` is '' if it holds nothing and was removed."""

    path: str
    changed: int = 0
    left_out: int = 0
    added: int = 0


class TemplateSample(Value):
    """A chat template to choose: how it writes a conversation, and whether it tells where answers are.

    `note` says in words what is done where it cannot mark answers, or which of its tokens the model does not know.
    """

    name: str
    label: str
    preview: str = ""
    has_markers: bool = False
    note: str = ""
    problem: str = ""
