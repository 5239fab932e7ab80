"""Choose which layers get an adapter, from a list of those that the model has."""

from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.model_facts import Matrix
from desktop_app.ui.summary import count_text

from .button import button
from .dialog import answer_of

ALL = "all-linear"


async def choose_layers(matrices: Sequence[Matrix], current: str) -> str:
    """Show the linear layers until some are chosen; return them as the field holds them, '' if none were."""
    weights: dict[str, int] = {}
    for matrix in matrices:
        if matrix.is_linear:
            weights[matrix.name] = weights.get(matrix.name, 0) + matrix.weights
    before = set(weights) if current.strip() == ALL else {name.strip() for name in current.split(",")}
    with ui.dialog() as dialog, ui.card().classes("!w-[420px] !max-w-full gap-3") as card:
        card.props["aria-label"] = "Layers that get an adapter"
        ui.label("Layers that get an adapter").classes("t-lead")
        ui.label("All linear ones learn best; fewer need less memory.").classes("c-2")
        boxes: dict[str, ui.checkbox] = {}
        with ui.column().classes("w-full gap-1"):
            for name, count in weights.items():
                with ui.row().classes("w-full items-center no-wrap"):
                    box = ui.checkbox(name, value=name in before).props("dense size=sm").mark(f"layer-{name}")
                    boxes[name] = box
                    ui.space()
                    ui.label(f"{count_text(count)} weights").classes("t-small c-3 whitespace-nowrap")

        def chosen() -> str:
            names = [name for name, box in boxes.items() if box.value]
            return ALL if len(names) == len(boxes) else ", ".join(names)

        with ui.row().classes("w-full justify-end gap-2"):
            everything = button("All", kind="quiet", on_click=lambda: [box.set_value(True) for box in boxes.values()])
            everything.mark("all-layers")
            button("Cancel", kind="quiet", on_click=dialog.close)
            use = button("Use these", kind="primary", on_click=lambda: dialog.submit(chosen())).mark("use-layers")
        for box in boxes.values():
            box.on_value_change(lambda: use.set_enabled(any(each.value for each in boxes.values())))
    answer = await answer_of(dialog)
    return str(answer or "")
