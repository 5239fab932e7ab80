"""All fields of the fine-tuning form, in the groups in which people look for them."""

from collections.abc import Callable, Mapping

from nicegui import ui

from desktop_app.domain.finetune_spec import CHAT_TEMPLATES
from desktop_app.ui.forms.finetune_form import ADVANCED_GROUPS, SIMPLE_FIELDS, UNITS

from .form_controls import FormControls

WORDS: dict[str, str] = {
    "sft": "Supervised (SFT)",
    "dpo": "Preferences (DPO)",
    "kto": "Likes (KTO)",
    "orpo": "Preferences (ORPO, experimental)",
    "reward": "Reward model",
    "lora": "LoRA",
    "qlora": "QLoRA, 4 bits",
    "lora_8bit": "LoRA on 8 bits",
    "dora": "DoRA",
    "rslora": "rsLoRA",
    "pissa": "LoRA from a PiSSA start",
    "full": "Full, every weight",
    "nf4": "NF4",
    "fp4": "FP4",
    "adamw": "AdamW",
    "adamw_8bit": "AdamW, 8 bits",
    "paged_adamw": "AdamW, paged",
    "paged_adamw_8bit": "AdamW, 8 bits, paged",
    "adafactor": "Adafactor",
    "wsd": "Warm up, hold, fall (WSD)",
    "ask": "Stop and ask",
    "smaller": "Go on with a smaller plan",
    "all-linear": "All linear layers",
    "linear": "Linear",
    "cosine": "Cosine",
    "constant": "Constant",
    "auto": "Automatic",
    "cpu": "Processor",
    "cuda": "GPU",
    "answers": "Answers only",
    "everything": "Everything",
    "ddp": "A copy of everything (DDP)",
    "fsdp2": "A part (FSDP2)",
    **{str(name): label for name, label in CHAT_TEMPLATES.items()},
    "stop": "Stop at the first",
    "skip": "Leave them out",
}
METHOD_NOTES = {
    "lora": "The model stays as it is; a small adapter beside it is trained.",
    "qlora": "The model is held in 4 bits; a small adapter beside it is trained.",
    "lora_8bit": "The model is held in 8 bits; a small adapter beside it is trained.",
    "dora": "Like LoRA, and the length of each row of weights is trained apart from its direction.",
    "rslora": "Like LoRA, scaled by the root of the rank: for ranks above 32.",
    "pissa": "Like LoRA, started from the strongest directions of the weights: learns faster at first.",
    "full": "Every weight is trained: the most memory, and the result is a whole model.",
}
_EMPTY = {
    "max_steps": "no limit",
    "max_rows": "all",
    "max_bad_rows": "any number",
    "split_seed": "the seed above",
    "shuffle_seed": "the seed above",
    "threads": "all but one",
    "eval_steps": "automatic",
    "save_steps": "automatic",
    "name": "automatic",
    "output": "in the job's folder",
    "early_stopping": "off",
    "modules_to_save": "none",
    "sample_steps": "automatic",
    "sample_prompts": "one to a line",
}


def simple_fields(controls: FormControls) -> None:
    """Draw the three fields that everybody looks at, in one row."""
    with ui.row().classes("gap-3 items-start no-wrap w-full"):
        for name in SIMPLE_FIELDS:
            controls.typed(name, UNITS.get(name, ""))


def advanced_fields(controls: FormControls, beside: Mapping[str, Callable[[], object]]) -> dict[str, list[ui.element]]:
    """Draw all other fields, three to a row, each group named in the gutter; `beside` draws more next to some.

    Returns what belongs to each group.
    """
    groups: dict[str, list[ui.element]] = {}
    for group, names in ADVANCED_GROUPS.items():
        word = ui.label(group).classes("t-small c-3 text-right pt-[25px]")
        with ui.element("div").classes("grid w-full gap-3 grid-cols-3 items-start") as grid:
            for name in names:
                if name in beside:
                    with ui.row().classes("w-full gap-1 no-wrap items-end"):
                        _field(controls, name)
                        beside[name]()
                else:
                    _field(controls, name)
        groups[group] = [word, grid]
    return groups


def _field(controls: FormControls, name: str) -> None:
    kind = controls.form.fields[name].kind
    if kind == "choice":
        controls.choice(name, WORDS)
    elif kind == "lines":
        with ui.row().classes("col-span-3"):
            controls.lines(name, _EMPTY.get(name, ""))
    elif kind == "switch":
        with ui.row().classes("col-span-3"):
            controls.switch(name)
    else:
        controls.typed(name, UNITS.get(name, ""), _EMPTY.get(name, ""))
