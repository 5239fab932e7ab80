"""What a model answered to the user's prompts while it was learning, side by side over time.

Of many rounds the first, the newest and two between are shown; all of them stand in the job's events.
"""

from collections.abc import Sequence

from nicegui import ui

from desktop_app.domain.event import Sample

_ROUNDS = 4


def shown_steps(steps: Sequence[int], limit: int = _ROUNDS) -> list[int]:
    """Choose at most `limit` (2 or more) of the steps: first, last, and evenly between."""
    ordered = sorted(set(steps))
    if len(ordered) <= limit:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(place * last / (limit - 1))] for place in range(limit)]


def draw_samples(samples: Sequence[Sample]) -> None:
    """Draw a column for each round and a row for each prompt; nothing without samples."""
    if not samples:
        return
    steps = shown_steps([sample.step for sample in samples])
    answers = {(sample.prompt, sample.step): sample.answer for sample in samples}
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    with ui.column().classes("box w-full gap-2 p-3").mark("samples"):
        ui.label("Sample answers").classes("t-lead")
        columns = f"minmax(0, 1fr) repeat({len(steps)}, minmax(0, 1.4fr))"
        with (
            ui.element("div")
            .classes("grid w-full gap-x-4 gap-y-2 items-start")
            .style(f"grid-template-columns: {columns}")
        ):
            ui.label("Prompt").classes("t-small c-3")
            for step in steps:
                ui.label("Before" if step == 0 else f"Step {step:,}").classes("t-small c-3")
            for prompt in prompts:
                ui.label(prompt).classes("c-2 min-w-0 break-words")
                for step in steps:
                    answer = answers.get((prompt, step))
                    text = ui.label("–" if answer is None else answer or "(nothing)")
                    text.classes("min-w-0 break-words whitespace-pre-line")
