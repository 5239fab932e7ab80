"""An evaluation as one HTML page that needs nothing from outside, and as a table for spreadsheets.

Everything that models or files said is escaped; the page holds no script.
"""

import csv
import io
from html import escape

from desktop_app.domain.advice import frontier
from desktop_app.domain.evaluation import Estimate, EvaluationReport, Measurement

_COLUMNS = (
    ("perplexity", "Perplexity", "{:,.2f}"),
    ("loss_difference", "Loss against original", "{:+.4f}"),
    ("mean_kl", "Mean KL", "{:.3g}"),
    ("p99_kl", "99 % KL", "{:.3g}"),
    ("top1_agreement", "Same top token", "{:.1%}"),
    ("accuracy", "Right answers", "{:.0%}"),
    ("refusal_share", "Refusals", "{:.0%}"),
    ("answer_tokens", "Answer length", "{:.1f}"),
    ("tokens_per_s", "Tokens/s", "{:.1f}"),
)
_ESTIMATES = ("loss", "word_perplexity", *(name for name, _, _ in _COLUMNS))
_PLAIN = ("label", "path", "role", "format", "size_bytes", "load_s", "peak_bytes", "tokens")
_STYLE = """
:root{--ink:#1d2126;--dim:#5d646c;--line:#dfe3e7;--page:#fff;--mark:#2f6fdb}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--dim:#a2aab2;--line:#2e3439;--page:#15181b;--mark:#7aa8f0}}
body{font:14px/1.5 system-ui,sans-serif;margin:32px auto;max-width:1320px;padding:0 24px}
body{color:var(--ink);background:var(--page)}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px}.dim{color:var(--dim)}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:6px 6px;border-bottom:1px solid var(--line);
vertical-align:top}th{font-weight:500;color:var(--dim);vertical-align:bottom}td.number{white-space:nowrap}
th:first-child,td:first-child,.words th,.words td{text-align:left}
small{display:block;color:var(--dim);font-size:11px;white-space:nowrap}pre{white-space:pre-wrap;margin:0;font:inherit}
.wide{overflow-x:auto}svg{max-width:720px;width:100%}svg text{font:12px system-ui,sans-serif;fill:var(--dim)}
svg path,svg polyline{fill:none;stroke:var(--dim)}svg polyline,circle{stroke:var(--mark);fill:none}
circle.edge{fill:var(--mark)}
"""


def page_of(report: EvaluationReport) -> str:
    """Return the whole page."""
    about = (
        f"{report.rows:,} windows, {report.tokens:,} tokens of {report.text}; "
        f"computed in {report.dtype} on {report.device}."
    )
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in report.advice)
    drawn = _frontier_drawing(report.models)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Evaluation of {escape(report.original.label)}</title><style>{_STYLE}</style>"
        f"<h1>Evaluation of {escape(report.original.label)}</h1><p class=dim>{escape(about)}</p>{said}"
        f"<h2>Figures</h2><div class=wide>{_figures_table(report)}</div>"
        "<p class=dim>Below a figure: the interval that holds 95 % of 1,000 bootstrap samples of the rows.</p>"
        f"{drawn}{_answers_table(report)}"
        f"<h2>What counts as a refusal</h2><p class=dim>{escape(', '.join(report.spec.refusals) or 'nothing')}</p>"
        "</html>\n"
    )


def table_of(report: EvaluationReport) -> str:
    """Return the figures as CSV, one model a line; intervals in columns of their own."""
    out = io.StringIO()
    writer = csv.writer(out)
    bounds = [f"{name}{end}" for name in _ESTIMATES for end in ("", "_low", "_high")]
    writer.writerow([*_PLAIN, *bounds, "note"])
    for model in report.models:
        values = [getattr(model, name) for name in _PLAIN]
        for name in _ESTIMATES:
            found: Estimate | None = getattr(model, name)
            values += [found.value, found.low, found.high] if found is not None else [None] * 3
        writer.writerow([*map(_harmless, values), _harmless(model.note)])
    return out.getvalue()


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _figures_table(report: EvaluationReport) -> str:
    shown = [
        column for column in _COLUMNS if any(getattr(model, column[0]) is not None for model in report.models)
    ]  # fmt: skip
    head = "".join(f"<th>{title}" for _, title, _ in shown)
    rows = []
    for model in report.models:
        cells = "".join(f"<td>{_cell(getattr(model, name), form)}" for name, _, form in shown)
        load = "" if model.load_s is None else f"{model.load_s:.1f} s"
        peak = "" if model.peak_bytes is None else f"{model.peak_bytes / 1e6:,.0f} MB"
        note = f"<small>{escape(model.note)}</small>" if model.note else ""
        rows.append(
            f"<tr><td>{escape(model.label)}<small>{escape(model.format)}</small>{note}{cells}"
            f"<td class=number>{model.size_bytes / 1e6:,.1f} MB<td class=number>{load}<td class=number>{peak}"
        )
    return f"<table><tr><th>Model{head}<th>Size<th>Load<th>Memory{''.join(rows)}</table>"


def _cell(found: Estimate | None, form: str) -> str:
    if found is None:
        return "–"
    between = (
        f"<small>{form.format(found.low)} to {form.format(found.high)}</small>"
        if found.low is not None and found.high is not None
        else ""
    )
    return form.format(found.value) + between


def _frontier_drawing(models: tuple[Measurement, ...]) -> str:
    copies = [each for each in models if each.role == "copy"]  # what was tuned is meant to differ
    points = [(each.size_bytes / 1e6, each.mean_kl.value, each.label) for each in copies if each.mean_kl is not None]
    if len(points) < 2:
        return ""
    edge = {each.label for each in frontier(copies)}
    right, top = max(point[0] for point in points) * 1.1, max(point[1] for point in points) * 1.1 or 1.0
    dots, line = [], []
    for size, kl, label in sorted(points):
        x, y = 60 + 560 * size / right, 260 - 230 * kl / top
        if label in edge:
            line.append(f"{x:.1f},{y:.1f}")
        edged = " class=edge" if label in edge else ""
        dots.append(
            f"<circle cx={x:.1f} cy={y:.1f} r=5{edged} /><text x={x + 9:.1f} y={y + 4:.1f}>{escape(label)}</text>"
        )
    return (
        "<h2>Size against divergence</h2><svg viewBox='0 0 720 300' role=img aria-label='Size against divergence'>"
        "<path d='M60 20V260H640'/>"
        f"<polyline points='{' '.join(line)}' stroke-dasharray=4 />{''.join(dots)}"
        f"<text x=60 y=280>0</text><text x=560 y=280>{right:,.4g} MB</text>"
        f"<text x=4 y=30>{top:.3g}</text><text x=66 y=16>mean KL, nats per token</text></svg>"
        "<p class=dim>Filled: no copy is both smaller and closer to the original.</p>"
    )


def _answers_table(report: EvaluationReport) -> str:
    models = [(place, model) for place, model in enumerate(report.models) if model.answers]
    if not report.questions or not models:
        return ""
    has_expected = any(question.expected for question in report.questions)
    head = ("<th>In the file" if has_expected else "") + "".join(f"<th>{escape(model.label)}" for _, model in models)
    rows = []
    for number, question in enumerate(report.questions):
        cells = []
        for _, model in models:
            answer = model.answers[number]
            judged = "" if answer.is_right is None else "right" if answer.is_right else "wrong"
            signs = ", ".join(filter(None, (judged, "refusal" if answer.is_refusal else "")))
            cells.append(f"<td><pre>{escape(answer.answer)}</pre><small>{signs}</small>")
        expected = f"<td><pre>{escape(question.expected)}</pre>" if has_expected else ""
        rows.append(f"<tr><td><pre>{escape(question.question)}</pre>{expected}{''.join(cells)}")
    return f"<h2>Answers</h2><div class=wide><table class=words><tr><th>Question{head}{''.join(rows)}</table></div>"
