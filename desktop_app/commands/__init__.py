"""The same actions as in the window, from a terminal: a face of its own that knows neither window nor API.

Exit codes: 0 success, 1 a bug, 2 a problem told in words, 130 cancelled.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import get_args

from desktop_app import __version__
from desktop_app.domain.bundle_spec import BUNDLE_PARTS
from desktop_app.domain.chat import Sampling
from desktop_app.domain.export_spec import ExportForm
from desktop_app.domain.finetune_spec import Layout
from desktop_app.errors import AppError, SpecError, error_kind

SUCCESS, BUG, PROBLEM, CANCELLED = 0, 1, 2, 130
_JOB_ACTIONS = {
    "pause": "let a job hold still; one that waits is held back",
    "resume": "let a paused job go on",
    "stop": "let a job save what it has and end",
    "cancel": "end a job without a result",
    "continue": "go on with a fine-tuning that ended without a result, from its newest checkpoint",
    "delete": "remove a job that ended from the history, with its files",
}


def run_command(argv: Sequence[str]) -> int:
    """Run one command and return the exit code of the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows console that knows no ü must not end the program
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except AppError as error:
        return _told(error, as_json=getattr(arguments, "json", False))
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return SUCCESS


def _told(error: AppError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": error_kind(error), "message": error.message, "hint": error.hint}))
    else:
        print(error.message, error.hint, sep="\n", file=sys.stderr)
    return PROBLEM


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="whetstone",
        description="Fine-tune and quantize language models on this computer. Without a command the window opens.",
        epilog="Exit codes: 0 success, 1 a bug, 2 a problem told in words, 130 cancelled. "
        "Options of the window: --browser serves it on 127.0.0.1 and prints a one-time link.",
    )
    parser.add_argument("--version", action="version", version=f"whetstone {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = _command(commands, "run", "run a job from a spec and follow it to its end", _run)
    run.add_argument("spec", metavar="SPEC.json", help="the job's spec; paths in it are relative to the current folder")
    together = run.add_argument_group("a fine-tuning by several processes, one for each GPU")
    together.add_argument("--launch", choices=("torchrun",), help="start the processes by torchrun")
    together.add_argument("--nproc-per-node", type=int, metavar="N", help="processes on this computer")
    together.add_argument("--nnodes", type=int, metavar="M", help="computers; give each the same command")
    together.add_argument("--shard", action="store_true", help="split weights and optimizer among them (FSDP2)")
    together.add_argument("--rdzv-endpoint", metavar="HOST:PORT", help="where they meet: an address of the first one")
    _command(commands, "jobs", "list all jobs, the newest first", _jobs)
    _job_argument(_command(commands, "show", "show one job: settings, progress, result", _show))
    compared = _command(commands, "compare", "set jobs side by side: settings that differ, figures, the best", _compare)
    compared.add_argument("jobs", nargs="+", metavar="JOB", help="two or more ids, or their beginnings")
    _plan_arguments(
        _command(commands, "plan", "say how much memory, disk and time a job will need; starts no job", _plan)
    )
    inspect = _command(commands, "inspect", "look at a model folder or a data file without loading it", _inspect)
    inspect.add_argument("path", metavar="PATH", help="a model folder, a GGUF file or a data file")
    inspect.add_argument(
        "--layout",
        default="auto",
        choices=get_args(Layout),
        help="read a data file in this layout instead of finding it out",
    )
    _export_arguments(_command(commands, "export", "export a result: whole model, GGUF, adapter; tried first", _export))
    _command(commands, "doctor", "say what a bug report needs to say about this computer; names no path", _doctor)
    fetch = _command(
        commands,
        "fetch-list",
        "write what a computer that is online must get of a model, and the commands",
        _fetch_list,
    )
    fetch.add_argument("repo", metavar="OWNER/NAME", help="the model's name on the hub, or the link of its page")
    fetch.add_argument("output", metavar="FOLDER", help="new folder for the list, for example on a USB stick")
    fetch.add_argument("--ask-later", action="store_true", help="do not ask the hub now; the script does when it runs")
    _bundle_arguments(commands.add_parser("bundle", help="carry a job or a model to another computer: make, open"))
    _evaluate_arguments(
        _command(commands, "evaluate", "measure models against their original, in one report", _evaluate)
    )
    _chat_arguments(_command(commands, "chat", "talk to a model, an adapter or a GGUF file", _chat))
    _command(commands, "selftest", "try everything with the demo model, offline; takes about a minute", _selftest)
    token = _command(commands, "token", "let programs use the API: list, create NAME, revoke NAME, on, off", _token)
    token.add_argument("action", choices=("list", "create", "revoke", "on", "off"))
    token.add_argument("name", nargs="?", default="", metavar="NAME", help="who holds the token, in your words")
    # Carried out by main.py, like the window; it stands here to be found.
    commands.add_parser("serve", help="serve for a browser, on a computer without a display (serve --help)")
    for name, text in _JOB_ACTIONS.items():
        _job_argument(_command(commands, name, text, _act)).set_defaults(action=name)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    action: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=action)
    return parser


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="folder of a result or model, or the id of the job that made it")
    parser.add_argument("output", metavar="FOLDER", help="new folder for it, for example on a USB stick")
    parser.add_argument("--as", dest="form", default="", help=f"{', '.join(get_args(ExportForm))}; whole unless said")
    parser.add_argument("--type", default="q4_k_m", help="of GGUF: q4_k_m unless said, q8_0, f16, …")
    parser.add_argument("--dtype", default="auto", help="of a whole model: auto, bf16, fp16, fp32")
    parser.add_argument("--shard-size-mb", type=int, default=4000, help="size of one weight file of a whole model")
    parser.add_argument("--system", default="", help="system prompt for Ollama's Modelfile")


def _bundle_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    make = _command(commands, "make", "make a bundle of a job that ended, or of a model", _bundle_make)
    make.add_argument("what", metavar="JOB|MODEL", help="id of a job, or folder of a model")
    make.add_argument("output", metavar="FOLDER", help="new folder for it, for example on a USB stick")
    make.add_argument("--parts", default="", help=f"separated by commas: {', '.join(BUNDLE_PARTS)}")
    make.add_argument("--zip", action="store_true", help="one zip file in the folder")
    take = _command(commands, "open", "check a bundle file by file and take it in", _bundle_open)
    take.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle, or its zip file")
    take.add_argument("--look", action="store_true", help="only say what it holds and whether this computer will do")
    take.add_argument("--model", metavar="FOLDER", help="the model here, where the bundle holds none")
    take.add_argument("--to", metavar="FOLDER", help="new folder for model and data; among the models unless said")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the original: its folder, or the id of the job that made it")
    parser.add_argument("variants", metavar="VARIANT", nargs="*", help="adapters, merged, quantized, GGUF; or job ids")
    parser.add_argument("--data", default=None, help="file with text, conversations or questions; ours unless said")
    parser.add_argument("--held-out-of", default=None, help="result of a fine-tuning, or job id: its held-out rows")
    parser.add_argument("--questions", type=int, default=10, help="how many examples are asked")
    parser.add_argument("--scoring", default="none", help="none, exact, number, choice or regex")
    parser.add_argument("--pattern", default="", help="for regex: what is taken out of each answer and compared")
    parser.add_argument("--max-tokens", type=int, default=4096, help="measure on at most so many tokens")
    parser.add_argument("--max-rows", type=int, default=64, help="read at most so many rows of the file")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


def _plan_arguments(plan: argparse.ArgumentParser) -> None:
    plan.add_argument(
        "spec", metavar="SPEC.json", help="the job's spec; paths in it are relative to the current folder"
    )
    plan.add_argument(
        "--probe", action="store_true", help="train a few steps first (about ten seconds) and take the time from them"
    )


def _chat_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="folder of a model or adapter, a GGUF file, or a job's id")
    parser.add_argument("--adapter", default="", metavar="FOLDER", help="an adapter of that model to answer with")
    parser.add_argument("--no-adapter", action="store_true", help="answer by the base of an adapter, in its template")
    parser.add_argument("--prompt", default="", help="ask this once, and end")
    parser.add_argument("--system", default="", help="what the model is told first")
    for name, field in Sampling.model_fields.items():
        if name != "stop":
            kind: Callable[[str], object] = int if name in ("top_k", "max_new_tokens", "seed") else float
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=field.default, help=field.description)


def _job_argument(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("job", metavar="JOB", help="the job's id; its beginning is enough if no other begins so")
    return parser


# Imported where they are used: most commands need little, and a terminal should answer at once.


def _run(arguments: argparse.Namespace) -> int:
    from .follow import run_spec

    together = {
        "processes": arguments.nproc_per_node,
        "nodes": arguments.nnodes,
        "rendezvous": arguments.rdzv_endpoint,
        "parallel": "fsdp2" if arguments.shard else None,
    }
    asked = {name: value for name, value in together.items() if value is not None}
    if asked and not arguments.launch:
        raise SpecError("Several processes need a launcher.", "Add '--launch torchrun'.")
    return run_spec(arguments.spec, arguments.json, asked)


def _jobs(arguments: argparse.Namespace) -> int:
    from .history import print_jobs

    return print_jobs(arguments.json)


def _show(arguments: argparse.Namespace) -> int:
    from .history import print_job

    return print_job(arguments.job, arguments.json)


def _compare(arguments: argparse.Namespace) -> int:
    from .compare import print_comparison

    return print_comparison(arguments.jobs, arguments.json)


def _act(arguments: argparse.Namespace) -> int:
    from .history import act

    return act(arguments.action, arguments.job, arguments.json)


def _plan(arguments: argparse.Namespace) -> int:
    from .plan import print_plan

    return print_plan(arguments.spec, arguments.json, arguments.probe)


def _inspect(arguments: argparse.Namespace) -> int:
    from .inspection import inspect_path

    return inspect_path(arguments.path, arguments.layout, arguments.json)


def _export(arguments: argparse.Namespace) -> int:
    from .export import export_result

    return export_result(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import print_doctor

    return print_doctor(arguments.json)


def _fetch_list(arguments: argparse.Namespace) -> int:
    from .fetch_list import make_fetch_list

    return make_fetch_list(arguments)


def _bundle_make(arguments: argparse.Namespace) -> int:
    from .bundle import make

    return make(arguments)


def _bundle_open(arguments: argparse.Namespace) -> int:
    from .bundle import open_one

    return open_one(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from .evaluate import evaluate_models

    return evaluate_models(arguments)


def _chat(arguments: argparse.Namespace) -> int:
    from .chat import talk

    return talk(arguments)


def _selftest(arguments: argparse.Namespace) -> int:
    from .selftest import selftest

    return selftest(arguments.json)


def _token(arguments: argparse.Namespace) -> int:
    from .tokens import run_token_command

    return run_token_command(arguments.action, arguments.name, arguments.json)
