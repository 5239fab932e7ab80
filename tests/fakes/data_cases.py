"""Data files to try the reader on, made from a seed, with what each must give written down beside it.

Many are after the published schemas of named data sets and tools. Nothing here knows the reader.
`python -m tests.fakes.data_cases > docs/data_cases.md` writes the tables of the documentation.
"""

import csv
import io
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Pair = tuple[str, str]
# Who says what; a rejected answer comes after the rest as ('rejected', ...), a label as ('label', 'good' or 'bad').
Said = list[tuple[str, str]]
_WORDS = [
    "tree",
    "brücke",
    "日本",
    "red",
    "seven",
    "\u2028",
    'say "so"',
    "a,b",
    "x;y",
    "line\nbreak",
    "🙂",
    "tab\there",
]
_SYSTEM = "Be brief."
_NO = "I would not know."
_CALL = {"name": "look", "arguments": {"place": "barn"}}


def pairs(seed: int, count: int = 30) -> list[Pair]:
    """Draw questions and answers, with all that makes CSV and JSON hard."""
    rng = random.Random(seed)
    return [
        (f"q{n} " + " ".join(rng.choices(_WORDS, k=4)) + "?", " ".join(rng.choices(_WORDS, k=5)) + f" a{n}")
        for n in range(count)
    ]


@dataclass(frozen=True)
class LayoutCase:
    """A file of the layout `layout`: `write` makes it of pairs, `said` tells what a pair must be read as."""

    name: str
    file: str
    layout: str
    write: Callable[[list[Pair]], bytes]
    said: Callable[[str, str], Said]
    after: str = ""


def _jsonl(row: Callable[[str, str], Any], end: str = "\n", last: str = "\n") -> Callable[[list[Pair]], bytes]:
    return lambda p: (end.join(json.dumps(row(*x), ensure_ascii=False) for x in p) + last).encode()


def _json(row: Callable[[str, str], Any], **around: Any) -> Callable[[list[Pair]], bytes]:
    def write(p: list[Pair]) -> bytes:
        rows = [row(*x) for x in p]
        return json.dumps({**around, "data": rows} if around else rows, indent=1 if around else None).encode()

    return write


def _csv(row: Callable[[str, str], dict[str, str]], delimiter: str = ",") -> Callable[[list[Pair]], bytes]:
    def write(p: list[Pair]) -> bytes:
        out = io.StringIO()
        rows = [row(*x) for x in p]
        writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()

    return write


def _table(row: Callable[[str, str], Any], kind: str) -> Callable[[list[Pair]], bytes]:
    def write(p: list[Pair]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table, out = pa.Table.from_pylist([row(*x) for x in p]), io.BytesIO()
        if kind == "parquet":
            pq.write_table(table, out, row_group_size=7)
        else:
            with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(out, table.schema) as writer:
                writer.write_table(table, max_chunksize=7)
        return out.getvalue()

    return write


def _m(*turns: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


def _s(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": speaker, "value": value} for speaker, value in turns]


def _plain(q: str, a: str) -> Said:
    return [("user", q), ("assistant", a)]


def _system(q: str, a: str) -> Said:
    return [("system", _SYSTEM), *_plain(q, a)]


def _pair(q: str, a: str) -> Said:
    return [*_plain(q, a), ("rejected", _NO)]


def _kto(q: str, a: str) -> Said:
    return [*_plain(q, a), ("label", "good")]


def _called(q: str, a: str) -> Said:
    said = json.dumps([{"type": "function", "function": _CALL}])
    return [("user", q), ("assistant", said), ("tool", "a saw"), ("assistant", a)]


def _qa(q: str, a: str) -> dict[str, str]:
    return {"question": q, "answer": a}


def _openai(q: str, a: str) -> dict[str, Any]:
    return {"messages": _m(("user", q), ("assistant", a))}


def _tool_calls(q: str, a: str) -> dict[str, Any]:
    calls = [{"id": "1", "type": "function", "function": {**_CALL, "arguments": json.dumps(_CALL["arguments"])}}]
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    seen = {"role": "tool", "tool_call_id": "1", "content": "a saw"}
    return {"messages": [*_m(("user", q)), asked, seen, *_m(("assistant", a))], "tools": [{"type": "function"}]}


def _glaive(q: str, a: str) -> dict[str, Any]:
    turns = _s(("human", q), ("function_call", json.dumps(_CALL)), ("observation", "a saw"), ("gpt", a))
    return {"conversations": turns, "tools": json.dumps([{"name": "look"}])}


def _blocks(q: str, a: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": q[:3]}, {"type": "text", "text": q[3:]}]
    return {"messages": _m(("user", parts), ("assistant", [{"type": "text", "text": a}]))}


def _of(name: str, file: str, layout: str, write: Any, said: Any = _plain, after: str = "") -> LayoutCase:
    return LayoutCase(name, file, layout, write, said, after)


LAYOUTS = [
    _of("messages", "a.jsonl", "messages", _jsonl(_openai), after="OpenAI chat fine-tuning"),
    _of("messages with tool calls", "a.jsonl", "messages", _jsonl(_tool_calls), _called, "OpenAI chat fine-tuning"),
    _of("messages in blocks", "a.jsonl", "messages", _jsonl(_blocks), after="OpenAI, Anthropic"),
    _of(
        "messages beside a prompt",
        "a.parquet",
        "messages",
        _table(lambda q, a: {"prompt": q, "prompt_id": "7", **_openai(q, a)}, "parquet"),
        after="HuggingFaceH4/ultrachat_200k, no_robots",
    ),
    _of(
        "messages in conversations",
        "a.json",
        "messages",
        _json(lambda q, a: {"conversations": _openai(q, a)["messages"]}),
    ),
    _of(
        "texts in turn",
        "a.jsonl",
        "messages",
        _jsonl(lambda q, a: {"conversations": [q, a], "source": "x"}),
        after="GAIR/lima",
    ),
    _of(
        "input and output in turn",
        "a.jsonl",
        "messages",
        _jsonl(lambda q, a: {"source": "x", "conversation": [{"input": q, "output": a}]}),
        after="LDJnr/Capybara",
    ),
    _of(
        "sharegpt",
        "a.json",
        "sharegpt",
        _json(lambda q, a: {"id": "1", "conversations": _s(("human", q), ("gpt", a))}),
        after="ShareGPT, FastChat, Vicuna",
    ),
    _of(
        "sharegpt with system and weights",
        "a.jsonl",
        "sharegpt",
        _jsonl(
            lambda q, a: {
                "conversations": [{**turn, "weight": 1} for turn in _s(("system", _SYSTEM), ("human", q), ("gpt", a))]
            }
        ),
        _system,
        "Open-Orca/SlimOrca",
    ),
    _of(
        "sharegpt with a system column",
        "a.json",
        "sharegpt",
        _json(lambda q, a: {"system": _SYSTEM, "conversations": _s(("human", q), ("gpt", a))}),
        _system,
        "LLaMA-Factory, axolotl",
    ),
    _of("sharegpt with tool calls", "a.json", "sharegpt", _json(_glaive), _called, "LLaMA-Factory glaive_toolcall"),
    _of(
        "alpaca",
        "a.json",
        "alpaca",
        _json(lambda q, a: {"instruction": q, "input": "1 2", "output": a}),
        lambda q, a: _plain(f"{q}\n\n1 2", a),
        "tatsu-lab/alpaca",
    ),
    _of(
        "alpaca without input",
        "a.json",
        "alpaca",
        _json(lambda q, a: {"instruction": q, "input": "", "output": a}),
        after="tatsu-lab/alpaca",
    ),
    _of(
        "alpaca with history",
        "a.json",
        "alpaca",
        _json(lambda q, a: {"instruction": q, "input": "", "output": a, "system": _SYSTEM, "history": [["hi", "ho"]]}),
        lambda q, a: [("system", _SYSTEM), ("user", "hi"), ("assistant", "ho"), *_plain(q, a)],
        "LLaMA-Factory",
    ),
    _of(
        "instruction, context, response",
        "a.jsonl",
        "alpaca",
        _jsonl(lambda q, a: {"instruction": q, "context": "So.", "response": a, "category": "open_qa"}),
        lambda q, a: _plain(f"{q}\n\nSo.", a),
        "databricks/dolly-15k",
    ),
    _of(
        "alpaca under a key",
        "a.json",
        "alpaca",
        _json(lambda q, a: {"instruction": q, "output": a}, version="1", count=3),
    ),
    _of(
        "prompt and completion",
        "a.jsonl",
        "prompt_completion",
        _jsonl(lambda q, a: {"prompt": q, "completion": a}),
        after="trl, OpenAI's older fine-tuning",
    ),
    _of(
        "prompt and completion as turns",
        "a.jsonl",
        "prompt_completion",
        _jsonl(lambda q, a: {"prompt": _m(("user", q)), "completion": _m(("assistant", a))}),
        after="trl",
    ),
    _of(
        "prompt and response",
        "a.parquet",
        "prompt_completion",
        _table(lambda q, a: {"prompt": q, "response": a}, "parquet"),
    ),
    _of(
        "system_prompt, question, response",
        "a.jsonl",
        "columns",
        _jsonl(lambda q, a: {"id": "1", "system_prompt": _SYSTEM, "question": q, "response": a}),
        _system,
        "Open-Orca/OpenOrca",
    ),
    _of(
        "query and response",
        "a.jsonl",
        "columns",
        _jsonl(lambda q, a: {"type": "GSM_Rephrased", "query": q, "response": a}),
        after="meta-math/MetaMathQA",
    ),
    _of("question and answer", "a.jsonl", "columns", _jsonl(_qa), after="openai/gsm8k"),
    _of(
        "pairs as transcripts",
        "a.jsonl",
        "preference",
        _jsonl(
            lambda q, a: {
                f"{side}": f"\n\nHuman: {q.strip()}\n\nAssistant: {said.strip()}"
                for side, said in (("chosen", a), ("rejected", _NO))
            }
        ),
        lambda q, a: _pair(q.strip(), a.strip()),
        "Anthropic/hh-rlhf",
    ),
    _of(
        "pairs with whole conversations",
        "a.jsonl",
        "preference",
        _jsonl(
            lambda q, a: {
                "prompt": q,
                "chosen": _m(("user", q), ("assistant", a)),
                "rejected": _m(("user", q), ("assistant", _NO)),
                "score_chosen": 8.5,
            }
        ),
        _pair,
        "HuggingFaceH4/ultrafeedback_binarized",
    ),
    _of(
        "pairs with question and system",
        "a.jsonl",
        "preference",
        _jsonl(lambda q, a: {"system": _SYSTEM, "question": q, "chosen": a, "rejected": _NO}),
        lambda q, a: [*_system(q, a), ("rejected", _NO)],
        "Intel/orca_dpo_pairs",
    ),
    _of(
        "pairs beside a conversation",
        "a.json",
        "preference",
        _json(
            lambda q, a: {
                "conversations": _s(("human", q)),
                "chosen": {"from": "gpt", "value": a},
                "rejected": {"from": "gpt", "value": _NO},
            }
        ),
        _pair,
        "LLaMA-Factory dpo_en_demo",
    ),
    _of(
        "pairs with a prompt in turns",
        "a.parquet",
        "preference",
        _table(
            lambda q, a: {
                "prompt": _m(("user", q)),
                "chosen": _m(("assistant", a)),
                "rejected": _m(("assistant", _NO)),
            },
            "parquet",
        ),
        _pair,
        "trl",
    ),
    _of(
        "labelled completions",
        "a.jsonl",
        "kto",
        _jsonl(lambda q, a: {"prompt": _m(("user", q)), "completion": _m(("assistant", a)), "label": True}),
        _kto,
        "trl-lib/kto-mix-14k",
    ),
    _of(
        "labelled messages",
        "a.json",
        "kto",
        _json(lambda q, a: {**_openai(q, a), "label": True}),
        _kto,
        "LLaMA-Factory kto_en_demo",
    ),
    _of(
        "labelled texts in CSV",
        "a.csv",
        "kto",
        _csv(lambda q, a: {"prompt": q, "completion": a, "label": "True"}),
        _kto,
    ),
    _of(
        "a column of text",
        "a.jsonl",
        "text",
        _jsonl(lambda q, a: {"text": q, "url": "x", "timestamp": "y"}),
        lambda q, a: [("text", q)],
        "allenai/c4",
    ),
    _of("two columns of any name", "a.csv", "columns", _csv(lambda q, a: {"frage": q, "antwort": a})),
    _of("CSV", "a.csv", "columns", _csv(_qa)),
    _of("CSV with semicolons", "a.csv", "columns", _csv(_qa, ";")),
    _of("CSV with tabs", "a.csv", "columns", _csv(_qa, "\t")),
    _of("CSV with bars", "a.csv", "columns", _csv(_qa, "|")),
    _of("TSV, names in other letters", "a.tsv", "columns", _csv(lambda q, a: {"Question ": q, "ANSWER": a}, "\t")),
    _of("Arrow file", "a.arrow", "messages", _table(_openai, "file"), after="datasets.save_to_disk"),
    _of("Arrow stream", "a.arrow", "columns", _table(_qa, "stream"), after="datasets.save_to_disk"),
    _of("lines in a .json", "a.json", "columns", _jsonl(_qa)),
    _of("a list in a .jsonl", "a.jsonl", "columns", _json(_qa)),
    _of("line ends CR LF", "a.jsonl", "columns", _jsonl(_qa, end="\r\n")),
    _of("line ends CR", "a.jsonl", "columns", _jsonl(_qa, end="\r", last="\r")),
    _of("blank lines, no last line end", "a.jsonl", "columns", _jsonl(_qa, end="\n\n", last="")),
    _of("byte order mark", "a.jsonl", "columns", lambda p: b"\xef\xbb\xbf" + _jsonl(_qa)(p)),
    _of("byte order mark in JSON", "a.json", "columns", lambda p: b"\xef\xbb\xbf" + _json(_qa)(p)),
]


def document() -> str:
    """Write the tables of docs/data_cases.md."""
    from tests.fakes.damaged_files import BAD_ROWS, REFUSED

    lines = [
        "# Data files that are tried",
        "",
        "Made from a seed by `tests/fakes/data_cases.py` and `tests/fakes/damaged_files.py`, which say for each what a",
        "reader must give; the tests compare. This page is written by `python -m tests.fakes.data_cases`.",
        "",
        f"## {len(LAYOUTS)} layouts",
        "",
        "| what | file | layout found | schema of |",
        "|---|---|---|---|",
        *(f"| {case.name} | {case.file} | `{case.layout}` | {case.after or '–'} |" for case in LAYOUTS),
        "",
        f"## {len(BAD_ROWS)} files with one bad row",
        "",
        "| what is wrong | file | good rows | line | byte offset | reason holds |",
        "|---|---|---|---|---|---|",
    ]
    for name, (file, _, rows, line, byte_offset, reason) in BAD_ROWS.items():
        lines.append(f"| {name} | {file} | {rows} | {line} | {byte_offset} | {_cell(reason)} |")
    lines += [
        "",
        f"## {len(REFUSED)} files that are refused",
        "",
        "| what it is | file | message holds |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {file} | {_cell(message)} |" for name, (file, _, message) in REFUSED.items()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(document())
