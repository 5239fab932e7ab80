"""Talk to a model in a terminal: answers stream, Ctrl+C ends the answer, and at the prompt it ends the talk."""

import argparse
import json
import sys
import threading
from pathlib import Path

from pydantic import ValidationError

from desktop_app.domain.chat import Answered, Sampling, Speaker
from desktop_app.domain.data_report import Turn
from desktop_app.errors import AppError, SpecError
from desktop_app.library.model_folder import model_facts
from desktop_app.services.chat import Chat, Question

from .export import result_or_folder


def talk(asked: argparse.Namespace) -> int:
    """Answer one prompt, or each line that is typed or piped in; return the exit code.

    Raises:
        AppError: the model cannot be loaded, or `--adapter` is not one of it.
    """
    speaker, sampling = _speaker(asked), _sampling(asked)
    system = [Turn(role="system", text=asked.system)] if asked.system else []
    chat = Chat()
    try:
        if asked.prompt:
            answered = _told(chat, speaker, [*system, Turn(role="user", text=asked.prompt)], sampling, asked.json)
            if asked.json:
                print(answered.model_dump_json())
            return 0
        _converse(chat, speaker, system, sampling)
    finally:
        chat.free()
    return 0


def _converse(chat: Chat, speaker: Speaker, turns: list[Turn], sampling: Sampling) -> None:
    is_typed = sys.stdin.isatty()
    if is_typed:
        print("Ctrl+C ends an answer, and here the talk.", file=sys.stderr)
    while True:
        try:
            line = input("\n> " if is_typed else "")
        except (EOFError, KeyboardInterrupt):
            return
        if not line.strip():
            continue
        asked = [*turns, Turn(role="user", text=line)]
        try:
            answered = _told(chat, speaker, asked, sampling, is_quiet=False)
        except AppError as error:
            if not is_typed or chat.loaded is None:
                raise
            print(error, file=sys.stderr)
            continue
        turns = [*asked, Turn(role="assistant", text=answered.text)]


def _told(chat: Chat, speaker: Speaker, turns: list[Turn], sampling: Sampling, is_quiet: bool) -> Answered:
    """Ask in a thread, so that Ctrl+C is heard at once; print the pieces as they come."""
    question = Question()
    found: list[Answered | AppError] = []
    if not is_quiet:
        question.on_piece = lambda piece: print(piece, end="", flush=True)
        if chat.loaded is None:
            print("Loading the model …", file=sys.stderr)

    def ask() -> None:
        try:
            found.append(chat.ask(speaker, turns, sampling, question))
        except AppError as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while thread.is_alive():
        try:
            thread.join(0.1)
        except KeyboardInterrupt:
            chat.stop(question)
    if not is_quiet:
        print()
    if not found:
        raise SpecError("There is no answer.", "Ask again; the log file of chat says more.")
    if isinstance(found[0], AppError):
        raise found[0]
    return found[0]


def _speaker(asked: argparse.Namespace) -> Speaker:
    model = result_or_folder(asked.model)
    if not asked.adapter:
        return Speaker(model=str(Path(model).absolute()), adapter=not asked.no_adapter)
    adapter = Path(result_or_folder(asked.adapter)).absolute()
    facts = model_facts(adapter)
    if facts.kind != "adapter" or Path(facts.base_model).absolute() != Path(model).absolute():
        told = f"belongs to {facts.base_model}" if facts.kind == "adapter" else "is no adapter"
        raise SpecError(f"--adapter: {adapter} {told}.", "Name the model that it belongs to.", "adapter")
    return Speaker(model=str(adapter), adapter=not asked.no_adapter)


def _sampling(asked: argparse.Namespace) -> Sampling:
    values = {name: getattr(asked, name) for name in Sampling.model_fields if name != "stop"}
    try:
        return Sampling(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise SpecError(
            f"--{name.replace('_', '-')}: {json.dumps(values[name])}: {first['msg']}.", "See chat --help.", name
        ) from error
