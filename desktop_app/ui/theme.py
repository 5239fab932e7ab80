"""The one place with colours, type, spacing and the restyling of Quasar's components.

Knows nothing of jobs or models. Surprising choice: the rules live in the CSS layer `components`,
which NiceGUI declares after Quasar's layer and before Tailwind's: our rules beat Quasar without
`!important`, and a Tailwind class on one element still beats our rule.
"""

from typing import Any

from nicegui import app, ui

from .widgets.steady_table import SteadyTable

LIGHT = {
    "page": "#FFFFFF",
    "side": "#F5F5F3",
    "well": "#FAFAF8",
    "hover": "#EDEDEA",
    "select": "#E4E4E0",
    "line": "#E3E3DF",
    "edge": "#8A8D91",
    "ink": "#1C1E21",
    "ink-2": "#51555B",
    "ink-3": "#5F636A",
    "accent": "#0E6A86",
    "accent-hover": "#0B5A72",
    "accent-soft": "#E3EFF2",
    "on-accent": "#FFFFFF",
    "second": "#A2582C",
    "good": "#2A7A3F",
    "warn": "#8F5A00",
    "bad": "#B3261E",
    "bad-soft": "#FCEEEC",
    "run-1": "#0E6A86",
    "run-2": "#B4531B",
    "run-3": "#6B4FB0",
    "run-4": "#2A7A3F",
    "run-5": "#B0357A",
    "run-6": "#6E6A00",
    "run-7": "#2F5FC4",
    "run-8": "#51555B",
    "pop-shadow": "0 8px 24px rgb(0 0 0 / .14)",
}
DARK = {
    "page": "#1B1C1E",
    "side": "#151618",
    "well": "#212325",
    "hover": "#242629",
    "select": "#2E3135",
    "line": "#303336",
    "edge": "#72777E",
    "ink": "#E9EAEB",
    "ink-2": "#B0B4BA",
    "ink-3": "#989DA5",
    "accent": "#63B9D6",
    "accent-hover": "#7FC7DF",
    "accent-soft": "#20343B",
    "on-accent": "#0B1A20",
    "second": "#E0A07A",
    "good": "#69BF7F",
    "warn": "#E0A84A",
    "bad": "#F2867C",
    "bad-soft": "#372422",
    "run-1": "#63B9D6",
    "run-2": "#E89A66",
    "run-3": "#B79CF0",
    "run-4": "#69BF7F",
    "run-5": "#EE86BC",
    "run-6": "#D0C452",
    "run-7": "#86A6F5",
    "run-8": "#B0B4BA",
    "pop-shadow": "0 8px 24px rgb(0 0 0 / .5)",
}
# Quasar's colour names become references, so both themes work without calling ui.colors again.
QUASAR_BRAND = {
    "primary": "var(--accent)",
    "secondary": "var(--ink-2)",
    "accent": "var(--accent)",
    "positive": "var(--good)",
    "negative": "var(--bad)",
    "warning": "var(--warn)",
    "info": "var(--accent)",
    "dark": "var(--page)",
    "dark_page": "var(--page)",
}
# NOTE: named fonts first; `system-ui` is left out because bare Linux maps it to DejaVu Sans, 12 % wider than Roboto.
# Roboto comes with NiceGUI, so the last name always exists, offline too.
SANS = '"Segoe UI Variable Text", "Segoe UI", -apple-system, BlinkMacSystemFont, "Adwaita Sans", Cantarell, "Noto Sans", Roboto, sans-serif'
MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Consolas, "Adwaita Mono", "Noto Sans Mono", "DejaVu Sans Mono", monospace'

BASE = """
  body { font: 400 13px/20px var(--sans); color: var(--ink); background: var(--page); -webkit-font-smoothing: antialiased;
         font-variant-numeric: tabular-nums; letter-spacing: 0 }
  body { --nicegui-default-padding: 0; --nicegui-default-gap: 8px }
  .nicegui-content { padding: 0; gap: 0 }
  .t-small { font-size: 12px; line-height: 16px }
  .t-lead  { font-size: 15px; line-height: 20px; font-weight: 600 }
  .t-title { font-size: 20px; line-height: 28px; font-weight: 600; letter-spacing: -.01em }
  .t-big   { font-size: 32px; line-height: 36px; font-weight: 600; letter-spacing: -.02em }
  .t-mono  { font-family: var(--mono); font-size: 12px; line-height: 18px }
  .c-2 { color: var(--ink-2) }  .c-3 { color: var(--ink-3) }  .c-accent { color: var(--accent) }
  .c-good { color: var(--good) }  .c-warn { color: var(--warn) }  .c-bad { color: var(--bad) }
  .box { border: 1px solid var(--line); border-radius: 8px; background: var(--page) }
  .well { background: var(--well) }
  .banner { background: var(--bad-soft); border-radius: 8px; padding: 12px 16px }
  .rule-b { border-bottom: 1px solid var(--line) }  .rule-t { border-top: 1px solid var(--line) }  .rule-r { border-right: 1px solid var(--line) }  .rule-l { border-left: 1px solid var(--line) }
  .dot { width: 8px; height: 8px; border-radius: 50%; flex: none; background: currentColor }
  .chart-fill { flex: 1 1 0; height: auto; overflow: hidden }  /* basis 0: else chart and box grow each other */
  .dot.hollow { background: none; box-shadow: inset 0 0 0 2px currentColor }
  .kbd { font: 500 11px/16px var(--sans); color: var(--ink-3); padding: 0 4px; border: 1px solid var(--line); border-radius: 4px }
  /* Quasar puts `outline: 0 !important` on buttons; among important rules the EARLIER layer wins, so this one does */
  :focus-visible { outline: 2px solid var(--accent) !important; outline-offset: 2px }
  /* Quasar moves the focus into a span without a size when a box was clicked; the box shows it. */
  .no-outline:focus-visible { outline: none !important }
  :is(.q-checkbox, .q-radio, .q-toggle):has(> .no-outline:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px }
  .q-field :focus-visible { outline: none !important }  /* the field's own border shows its focus */
  .q-field .q-btn:focus-visible, .q-field .q-icon:focus-visible { outline: 2px solid var(--accent) !important }
  .q-focus-helper { display: none }
  ::selection { background: var(--accent-soft) }
  * { scrollbar-width: thin; scrollbar-color: var(--line) transparent }
  @media (prefers-reduced-motion: reduce) { *, *::before, *::after { transition: none !important; animation: none !important } }
"""
BUTTONS = """
  .q-btn { font: 500 13px/18px var(--sans); letter-spacing: 0; text-transform: none; min-height: 28px; padding: 0 12px; border-radius: 6px; color: var(--ink) }
  .q-btn::before { box-shadow: none; border: 1px solid var(--edge); border-radius: inherit; opacity: .55 }
  .q-btn:hover { background: var(--hover) }
  .q-btn__content { flex-wrap: nowrap; white-space: nowrap }
  .q-btn .q-icon { font-size: 16px }
  .q-btn .on-left { margin-right: 6px }
  .q-btn.disabled { opacity: 1 !important; color: var(--ink-3) !important; background: var(--well) !important; cursor: not-allowed }
  .q-btn.disabled::before { border: 1px dashed var(--edge) }
  .btn-icon.disabled { background: none }  .btn-icon.disabled::before { border-color: transparent }
  .btn-primary { background: var(--accent); color: var(--on-accent); font-weight: 600 }
  .btn-primary::before, .btn-quiet::before { border-color: transparent }
  .btn-primary:hover { background: var(--accent-hover) }
  .btn-quiet { color: var(--ink-2) }
  .btn-icon { width: 28px; padding: 0; color: var(--ink-2) }
  .q-btn-group { box-shadow: none; border: 1px solid var(--line); border-radius: 7px; background: var(--well); padding: 1px }
  .q-btn-group > .q-btn { min-height: 24px; border-radius: 5px !important; padding: 0 10px; color: var(--ink-2) }
  .q-btn-group > .q-btn::before { border-color: transparent }
  .q-btn-group > .q-btn[aria-pressed=true] { background: var(--page); color: var(--ink) }
  .q-btn-group > .q-btn:focus-visible { outline-offset: 0 }
  .q-btn-group > .q-btn[aria-pressed=true]::before { border-color: var(--edge) }
  .q-chip { font: 500 12px/16px var(--sans); height: 24px; margin: 0; padding: 0 8px; border-radius: 12px; background: none; color: var(--ink-2); box-shadow: inset 0 0 0 1px var(--line) }
  .q-chip:hover { background: var(--hover) }
  .q-chip .q-icon { display: none }
  .q-field.tags .q-field__control { height: auto; min-height: 30px }
  .q-field.tags .q-field__native { flex-wrap: wrap; gap: 4px; padding: 3px 0; max-height: 116px; overflow-y: auto }
  .tags .q-chip__icon--remove { display: inline-flex; font-size: 14px; margin-left: 4px; color: var(--ink-3) }
  .tag { border-radius: 8px; padding: 0 6px; box-shadow: inset 0 0 0 1px var(--line) }
  .link { color: var(--accent); cursor: pointer }  .link:hover { text-decoration: underline }
  .q-chip--selected { background: var(--accent-soft); color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent) }
"""
FIELDS = """
  .q-field--dense .q-field__control, .q-field--dense .q-field__marginal { height: 30px; min-height: 30px }
  .q-field--dense .q-field__native, .q-field--dense .q-field__input { min-height: 28px; padding: 0; color: var(--ink); font-size: 13px; line-height: 20px }
  .q-textarea .q-field__control { height: auto !important }
  .q-textarea .q-field__native { padding: 4px 0 !important }
  .q-field--outlined .q-field__control { border-radius: 6px; padding: 0 8px 0 10px; background: var(--page) }
  .q-field__control::before, .q-field__control::after { transition: border-color .1s !important }
  .q-field--outlined .q-field__control::before { border-color: var(--edge) }
  .q-field--outlined .q-field__control:hover::before { border-color: var(--ink-2) }
  .q-field--outlined.q-field--focused .q-field__control::after { border: 2px solid var(--accent) }
  .q-field--outlined.q-field--error .q-field__control::after { border: 1px solid var(--bad) }
  .q-field .q-field__suffix, .q-field .q-field__prefix { color: var(--ink-3); font-size: 12px; line-height: 28px; padding: 0 0 0 6px }
  .q-field__append .q-icon, .q-field__prepend .q-icon { font-size: 16px; color: var(--ink-3) }
  .q-field--with-bottom { padding-bottom: 0 }
  .q-field__bottom { position: static; transform: none; font: 400 12px/16px var(--sans); padding: 4px 0 0; min-height: 0; color: var(--bad) }
  .q-menu { border: 1px solid var(--line); border-radius: 8px; box-shadow: var(--pop-shadow); background: var(--page) }
  .q-item:focus-visible { outline-offset: -2px; border-radius: 4px }  /* its list clips what stands outside */
  .q-item { min-height: 28px; padding: 4px 9px; font-size: 13px }
  .q-checkbox__label, .q-toggle__label { font-size: 13px }
  .q-slider--h .q-slider__track-container { padding: 9px 0 }  .q-slider__track { height: 3px !important; background: var(--line) }
"""
TABLES = """
  .q-table__card { background: none; box-shadow: none; border-radius: 0; color: inherit }
  .q-table th { font: 500 12px/16px var(--sans); color: var(--ink-3); height: 28px; background: var(--page) }
  .q-table td { font-size: 13px; height: 34px; border-color: var(--line) }
  .q-table thead th { border-color: var(--line); position: sticky; top: 0; z-index: 1 }
  .q-table--dense .q-table th, .q-table--dense .q-table td { padding: 0 8px }
  .q-table--dense .q-table th:first-child, .q-table--dense .q-table td:first-child { padding-left: 16px }
  .q-table--dense .q-table th:last-child, .q-table--dense .q-table td:last-child { padding-right: 16px }
  .q-table { table-layout: fixed }  /* long text is cut, nothing scrolls sideways; widths come from headerClasses */
  .q-table td { overflow: hidden; text-overflow: ellipsis }
  .q-table tbody td::before { display: none }
  .q-table tbody tr:hover { background: var(--hover) }
  .q-table tbody tr.selected { background: var(--accent-soft) }
  .q-table tbody tr.chosen { background: var(--select) }
  .q-table th.q-table--col-auto-width { width: 44px }
  .q-table td.q-table--col-auto-width { padding-right: 0; text-overflow: clip }
  .q-table tbody td::after { display: none }
  .q-table th.sortable .q-table__sort-icon { font-size: 12px }
  .spark { width: 72px; height: 18px; display: block; fill: none; stroke: var(--accent); stroke-width: 1.5 }
"""
FRAME = """
  .frame { display: grid; grid-template: 1fr 28px / 176px 1fr; height: 100vh; width: 100vw; overflow: hidden; gap: 0 }
  .nav { background: var(--side); border-right: 1px solid var(--line); padding: 12px 8px 8px; display: flex; flex-direction: column; gap: 8px; min-height: 0 }
  .strip { grid-column: 1 / 3; background: var(--side); border-top: 1px solid var(--line); font-size: 12px; display: flex; align-items: center; gap: 12px; padding: 0 12px; color: var(--ink-2); white-space: nowrap }
  .strip-job { min-height: 22px; padding: 0 4px; margin-left: -4px; font-size: 12px; font-weight: 400 }
  .strip-job .q-btn__content { gap: 12px }
  .strip-name { font-weight: 500; color: var(--ink); max-width: 240px; overflow: hidden; text-overflow: ellipsis }
  .mark { width: 18px; height: 12px; border-radius: 2px; transform: skewX(-16deg); background: linear-gradient(var(--accent) 62%, var(--edge) 62%) }
  .nav .q-tabs { width: 100% }
  .nav .q-tab { min-height: 30px; padding: 0 8px; border-radius: 6px; justify-content: flex-start; text-transform: none; color: var(--ink-2) }
  .nav .q-tab + .q-tab { margin-top: 2px }
  .nav .q-tab__content { width: 100%; flex-direction: row; justify-content: flex-start; gap: 8px; min-width: 0; padding: 0 }
  .nav .q-tab__icon { width: 18px; height: 18px; font-size: 18px }
  .nav .q-tab__label { font: 500 13px/20px var(--sans); margin: 0; padding: 0 }
  .nav .q-tab__indicator, .nav .q-tab .q-focus-helper { display: none }
  .nav .q-tab:focus-visible { outline-offset: -2px }  /* the tab list clips what stands outside */
  .nav .q-tab:hover { background: var(--hover) }
  .nav .q-tab--active, .nav .q-tab--active:hover { background: var(--select); color: var(--ink) }
  .nav .q-tab--active .q-tab__icon { color: var(--accent) }
  .nav .hint { margin-left: auto; font-size: 11px; color: var(--ink-3) }
  .q-tab-panels { background: none; width: 100%; height: 100% }
  .q-tab-panel { padding: 0 }
  @media (max-width: 999px) {  /* rail: icon above its name; nothing loses its words */
    .frame { grid-template-columns: 76px 1fr }
    .nav { padding: 8px 4px }
    .nav .hint, .nav .wordmark, .nav .hide-rail { display: none }
    .nav .q-tab { min-height: 46px; padding: 0 }
    .nav .q-tab__content { flex-direction: column; gap: 0; justify-content: center }
    .nav .q-tab__label { font-size: 11px; line-height: 14px; margin-top: 2px }
  }
"""
METERS = """
  .q-linear-progress { border-radius: 3px; color: var(--accent) }
  .q-linear-progress__track { opacity: 1; background: var(--line) }
  .meter { display: flex; gap: 2px; height: 20px; border-radius: 5px; overflow: hidden }
  .meter > * { min-width: 2px }
  .part-1 { background: var(--accent) }
  .part-2 { background: color-mix(in srgb, var(--accent) 74%, var(--page)) }
  .part-3 { background: color-mix(in srgb, var(--accent) 52%, var(--page)) }
  .part-4 { background: color-mix(in srgb, var(--accent) 32%, var(--page)) }
  .part-other { background: repeating-linear-gradient(-45deg, var(--edge) 0 2px, var(--line) 2px 5px) }
  .part-free { background: var(--well); box-shadow: inset 0 0 0 1px var(--line) }
  .swatch { width: 10px; height: 10px; border-radius: 3px; flex: none }
  .tok { border-radius: 3px; padding: 1px 0; box-decoration-break: clone; -webkit-box-decoration-break: clone }
  .tok.trained { background: var(--accent-soft); border-bottom: 2px solid var(--accent) }
  .tok.template { border-bottom: 1px dotted var(--edge) }
  .tok.template.trained { border-bottom: 2px solid var(--accent) }
  .differs { background: var(--accent-soft); border-bottom: 1px solid var(--accent) }
  .bubble { background: var(--well); border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px }
  .answer-foot .q-btn { flex: none }
  .chat-line { border-radius: 6px }  .chat-line:hover { background: var(--hover) }  .chat-line.chosen { background: var(--select) }
  .chat-open { min-height: 40px; padding: 4px 8px; font-weight: 400; color: var(--ink) }  .chat-open:hover { background: none }
  .chat-open .q-btn__content { width: 100%; min-width: 0 }
  .chat-open.disabled { background: none !important }  .chat-open.disabled::before { border-color: transparent }
  .chat-delete { opacity: 0 }  .chat-line:hover .chat-delete, .chat-delete:focus-visible { opacity: 1 }
  .tok.cut { text-decoration: line-through; color: var(--ink-3) }
  .nicegui-log { outline: none; background: none; height: 100% }
  .nicegui-log .q-scrollarea__content { font: 12px/18px var(--mono); padding: 8px 12px; color: var(--ink-2) }
  .q-card { box-shadow: none; border: 1px solid var(--line); border-radius: 10px; background: var(--page); color: inherit }
  .q-dialog .q-card { box-shadow: var(--pop-shadow); padding: 16px; gap: 12px; width: 420px; align-items: stretch }
  .q-dialog .q-card.question { width: min-content; min-width: min(420px, 100%) }  /* as wide as its buttons in one row */
  .q-dialog__backdrop { background: rgb(0 0 0 / .35) }
  .q-notifications__list--bottom { top: -6px; bottom: auto }  /* in the title bar: below it people read, at the bottom they write */
  .q-notification { background: var(--ink); color: var(--page); border-radius: 8px; min-height: 36px; box-shadow: var(--pop-shadow); font-size: 13px }
  .q-notification__content { color: var(--page) }  /* Quasar says white, with more weight, on the box itself */
  .q-skeleton { background: var(--line); border-radius: 4px }
  .q-tooltip { background: var(--ink); color: var(--page); font-size: 12px; border-radius: 6px }
"""

LOGS = """
  .log-lines { overflow: auto; font: 12px/18px var(--mono); padding: 6px 12px; color: var(--ink-2) }
  .log-lines:focus-visible { outline-offset: -2px }
  .log-block { white-space: pre-wrap; overflow-wrap: anywhere }
  ::highlight(log-found) { background-color: var(--accent-soft); color: var(--ink) }
  ::highlight(log-current) { background-color: var(--accent); color: var(--on-accent) }
  .log-search .q-field__control, .log-search .q-field__marginal { height: 24px !important; min-height: 24px !important }
  .log-search .q-field__native { min-height: 22px !important; font-size: 12px !important }
  .q-table td.with-dot::before { content: ''; display: inline-block; position: static; width: 8px; height: 8px; border-radius: 50%; margin-right: 8px; background: currentColor }
  .q-table td.with-dot.hollow::before { background: none; box-shadow: inset 0 0 0 2px currentColor }
  .q-table td.with-dot { color: var(--ink); cursor: pointer }
  .with-dot.c-accent::before { color: var(--accent) }  .with-dot.c-good::before { color: var(--good) }  .with-dot.c-3::before { color: var(--ink-3) }
  .with-dot.c-warn::before { color: var(--warn) }  .with-dot.c-bad::before { color: var(--bad) }
  .fit-columns .q-table { table-layout: auto }
  .row-bar { width: 44px; height: 4px; border-radius: 2px; background: var(--line); flex: none; overflow: hidden }
  .row-bar > span { display: block; height: 100%; background: var(--accent) }
  .job-queue { max-height: 148px }
  .quiet-expansion .q-item { padding: 0; min-height: 26px; color: var(--ink-3) }
  .quiet-expansion .q-expansion-item__content > * { padding: 4px 0 0 }
  @media (min-height: 901px) { .job-queue { max-height: 233px } }
  @media (max-height: 700px) { .job-queue { max-height: 97px } }
"""


class DarkMode(ui.dark_mode, component="steady_dark_mode.js"):  # type: ignore[call-arg]  # seen as object
    """NiceGUI's dark mode, at less cost: `steady_dark_mode.js` says why."""


def apply(dark: bool | None = None) -> DarkMode:
    """Install the theme on the current page; call before anything is drawn. `dark` None follows the system."""
    _set_defaults()
    ui.colors(**QUASAR_BRAND)
    ui.add_css(stylesheet())
    return DarkMode(dark)


def _set_defaults() -> None:
    """Make quiet, dense components the default for the whole program; doing it again changes nothing."""
    app.config.quasar_config["ripple"] = False
    ui.button.default_props("unelevated no-caps")
    ui.toggle.default_props("unelevated no-caps toggle-color=none toggle-text-color=none")
    for control in (ui.input, ui.number, ui.select):
        control.default_props("outlined dense hide-bottom-space no-error-icon")
    ui.select.default_props("options-dense dropdown-icon=unfold_more")
    SteadyTable.default_props("flat dense hide-bottom")
    ui.linear_progress.default_props("instant-feedback")
    ui.tooltip.default_props("transition-duration=0")


def stylesheet() -> str:
    """All CSS: tokens outside the layers, component rules in the layer between Quasar and Tailwind."""
    tokens = f"body {{ {variables(LIGHT)} --sans: {SANS}; --mono: {MONO} }}\nbody.body--dark {{ {variables(DARK)} }}\n"
    return tokens + "@layer components {" + BASE + BUTTONS + FIELDS + TABLES + FRAME + METERS + LOGS + "}"


def variables(tokens: dict[str, str]) -> str:
    """Write tokens as CSS variables."""
    return " ".join(f"--{name}: {value};" for name, value in tokens.items())


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two `#RRGGBB` colours (section 'contrast ratio')."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2, 'relative luminance')."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# --- charts: the SVG renderer passes `var(--name)` through, so charts follow the theme by themselves ---

AXIS = {
    "axisLine": {"lineStyle": {"color": "var(--line)"}},
    "axisTick": {"show": False},
    "splitLine": {"show": False},
    "axisLabel": {"color": "var(--ink-3)", "fontSize": 11, "hideOverlap": True},
    "axisPointer": {"label": {"precision": 0, "formatter": "Step {value}"}},
}
GRID_LINES = {
    "axisLine": {"show": False},
    "splitLine": {"show": True, "lineStyle": {"color": "var(--line)", "width": 1}},
}


def chart(series: list[dict[str, Any]], **options: Any) -> ui.echart:
    """A calm line chart; `options` are merged over ECharts' own names (`xAxis`, `yAxis`, `grid`, …)."""
    return ui.echart(
        {
            "animation": False,
            "textStyle": {"fontFamily": SANS, "color": "var(--ink-2)"},
            "grid": {"left": 8, "right": 12, "top": 12, "bottom": 4, "containLabel": True} | options.pop("grid", {}),
            "xAxis": AXIS | {"type": "value"} | options.pop("xAxis", {}),
            "yAxis": AXIS | GRID_LINES | {"type": "value", "scale": True} | options.pop("yAxis", {}),
            "tooltip": {
                "trigger": "axis",
                "backgroundColor": "var(--page)",
                "borderColor": "var(--line)",
                "textStyle": {"color": "var(--ink)", "fontSize": 12},
                "axisPointer": {"lineStyle": {"color": "var(--edge)"}},
            },
            "series": series,
        }
        | options,
        renderer="svg",
    )


def line(name: str, points: list[Any], colour: str = "accent", **extra: Any) -> dict[str, Any]:
    """One series of `chart` in the token `colour`; sampled, because SVG pays for each point."""
    return {
        "type": "line",
        "name": name,
        "data": points,
        "showSymbol": False,
        "sampling": "lttb",
        "silent": True,
        "itemStyle": {"color": f"var(--{colour})"},
        "emphasis": {"disabled": True},
        "lineStyle": {"width": 1.75, "color": f"var(--{colour})"},
    } | extra
