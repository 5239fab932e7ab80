"""Which rows are read and how, and how they become tokens: what window, services and workers say to each other."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .finetune_spec import BadRows, ChatTemplateName, FinetuneSpec, Layout, Objective, TrainOn
from .value import Value


class DataChoice(Value):
    """Rows to read: files or folders of files, their layout, edits kept beside them, and how many rows.

    `columns` is the mapping of layout 'columns'. `overlay` names the file with the user's edits, '' for none.
    """

    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    layout: Layout = "auto"
    columns: dict[str, str] = {}
    overlay: str = ""
    bad_rows: BadRows = "skip"
    max_bad_rows: int | None = None
    max_rows: int | None = None

    @classmethod
    def of(cls, spec: Any) -> "DataChoice":
        """Take the choice out of a spec of any kind that names `data`."""
        return cls(
            paths=(spec.data, *getattr(spec, "more_data", ())),
            layout=spec.layout,
            columns=spec.columns,
            overlay=getattr(spec, "overlay", None) or "",
            bad_rows=getattr(spec, "bad_rows", "skip"),
            max_bad_rows=getattr(spec, "max_bad_rows", None),
            max_rows=spec.max_rows,
        )


class TokenChoice(Value):
    """How rows become tokens; batch, epochs and share kept aside are for the estimate of padding and steps."""

    model: str
    objective: Objective = "sft"
    max_length: int = Field(1024, ge=1)
    train_on: TrainOn = "answers"
    chat_template: ChatTemplateName = "own"
    stride: int = Field(0, ge=0)
    batch_size: int = Field(2, ge=1)
    gradient_accumulation: int = Field(4, ge=1)
    epochs: float = Field(1, gt=0)
    held_out: float = Field(0, ge=0, le=0.5)

    @classmethod
    def of(cls, spec: FinetuneSpec) -> "TokenChoice":
        """Take the choice out of a fine-tuning spec."""
        return cls(
            model=spec.model,
            objective=spec.objective,
            max_length=spec.max_length,
            train_on=spec.train_on,
            chat_template=spec.chat_template,
            stride=spec.stride,
            batch_size=spec.batch_size,
            gradient_accumulation=spec.gradient_accumulation,
            epochs=spec.epochs,
            held_out=0 if spec.evaluation_data else spec.held_out,
        )


class RowEdit(Value):
    """One edit of the user's: of row `number` of the file `source` (as a page of rows names them), or a new row.

    'change' and 'add' carry a whole row in one of the forms {"messages": [{"role", "content"}]}, {"text"},
    {"prompt": [...], "chosen": [...], "rejected": [...]} or {"prompt": [...], "completion": [...], "label": true}.
    'restore' takes earlier edits of that row back.
    """

    action: Literal["change", "leave_out", "add", "restore"]
    source: str = ""
    number: int = Field(0, ge=0)
    row: dict[str, Any] | None = None
