"""From Chat back to training: answers as rows, votes as pairs, in the user's data files; the form filled with them."""

from pathlib import Path

from nicegui import ui

from desktop_app import paths
from desktop_app.domain.conversation import messages
from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.errors import DataError

from .widgets.path_picker import pick_file
from .window_state import WindowState


def file_of(state: WindowState, is_pairs: bool) -> Path:
    """Where votes are kept as pairs, or else answers as rows; it need not be there yet."""
    if is_pairs:
        return Path(state.settings.chat_pairs_file or paths.chat_pairs_file())
    return Path(state.settings.chat_answers_file or paths.chat_answers_file())


async def keep_answer(state: WindowState, at: int, column: int) -> bool:
    """Put the conversation up to an answer into the file of answers, and say so; whether it went well."""
    file = file_of(state, is_pairs=False)
    row = {"messages": messages(state.chat.conversation, column, at)}
    if not await state.chat.save_rows(file, [row]):
        return False
    ui.notify("Saved as a row to train on.", caption=str(file))
    return True


async def choose_file(state: WindowState, is_pairs: bool) -> None:
    """Let the user choose another data file to add to."""
    current = file_of(state, is_pairs)
    picked = await pick_file("Choose a JSONL file to add to", (".jsonl",), current.parent)
    if picked and is_pairs:
        state.settings.chat_pairs_file = picked
    elif picked:
        state.settings.chat_answers_file = picked


def start_training(state: WindowState, is_pairs: bool) -> None:
    """Train the model that was asked on what was kept here; the form of Fine-tune shows with which settings.

    Raises:
        DataError: nothing was kept yet.
    """
    file = file_of(state, is_pairs)
    if not file.is_file():
        what = "Vote on answers side by side" if is_pairs else "Save an answer as a row"
        raise DataError(f"{file} is not there yet.", f"{what} first.")
    speakers = state.chat.conversation.speakers
    facts = state.models.facts.get(speakers[0].model) if speakers else None
    model = state.model if facts is None else facts.trainable
    state.files.add(str(file))
    state.files.reports.pop(str(file), None)  # it has grown
    spec = FinetuneSpec(model=model or str(paths.demo_model()), data=str(file), objective="dpo" if is_pairs else "sft")
    state.fill_form(spec.model_dump(mode="json"), starts=True)
