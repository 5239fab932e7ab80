"""Choose among a model's layers: which get an adapter, and which are trained whole beside it."""

from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.model_facts import Matrix, ModelShape
from desktop_app.ui.summary import count_text

from .button import button
from .dialog import answer_of

ALL = "all-linear"


async def choose_layers(matrices: Sequence[Matrix], current: str) -> str | None:
    """Show the linear layers until some are chosen; return them as the field holds them, None if it was put away."""
    linear = [matrix for matrix in matrices if matrix.is_linear]
    names = {matrix.name for matrix in linear}
    chosen = await _chosen(
        "Layers that get an adapter",
        "All linear ones learn best; fewer need less memory.",
        linear,
        names if current.strip() == ALL else _names(current),
        may_be_none=False,
    )
    return None if chosen is None else ALL if set(chosen) == names else ", ".join(chosen)


async def choose_whole(shape: ModelShape, current: str) -> str | None:
    """Show embeddings, output layer and linear layers; return those chosen, '' for none, None if it was put away."""
    linear = [matrix for matrix in shape.matrices if matrix.is_linear]
    chosen = await _chosen(
        "Modules trained whole",
        "Beside the adapter, every weight of these is trained and saved: the embeddings where the data has new words.",
        [*shape.tables, *linear],
        _names(current),
        may_be_none=True,
    )
    return None if chosen is None else ", ".join(chosen)


async def _chosen(
    title: str, sentence: str, matrices: Sequence[Matrix], before: set[str], *, may_be_none: bool
) -> list[str] | None:
    weights: dict[str, int] = {}
    for matrix in matrices:
        weights[matrix.name] = weights.get(matrix.name, 0) + matrix.weights
    with ui.dialog() as dialog, ui.card().classes("!w-[420px] !max-w-full gap-3") as card:
        card.props["aria-label"] = title
        ui.label(title).classes("t-lead")
        ui.label(sentence).classes("c-2")
        boxes: dict[str, ui.checkbox] = {}
        with ui.column().classes("w-full gap-1"):
            for name, count in weights.items():
                with ui.row().classes("w-full items-center no-wrap"):
                    box = ui.checkbox(name, value=name in before).props("dense size=sm").mark(f"layer-{name}")
                    boxes[name] = box
                    ui.space()
                    ui.label(f"{count_text(count)} weights").classes("t-small c-3 whitespace-nowrap")

        def names() -> list[str]:
            return [name for name, box in boxes.items() if box.value]

        with ui.row().classes("w-full justify-end gap-2"):
            every = not may_be_none
            spread = button(
                "All" if every else "None",
                kind="quiet",
                on_click=lambda: [box.set_value(every) for box in boxes.values()],
            )
            spread.mark("all-layers" if every else "no-layers")
            button("Cancel", kind="quiet", on_click=dialog.close)
            use = button("Use these", kind="primary", on_click=lambda: dialog.submit(names())).mark("use-layers")
        for box in boxes.values():
            box.on_value_change(lambda: use.set_enabled(may_be_none or bool(names())))
    answer: list[str] | None = await answer_of(dialog)
    return answer


def _names(typed: str) -> set[str]:
    return set(typed.replace(",", " ").split())
