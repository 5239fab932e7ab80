"""What the page shows while its program is still being read: the empty frame and the wordmark, in the right theme.

Plain HTML, for nothing else is there yet. It hides itself as soon as the real frame is drawn.
"""

from nicegui import ui

from desktop_app.settings import Theme

from .theme import DARK, LIGHT

_HTML = """<style>
  .first-picture { LIGHT position: fixed; inset: 0; z-index: -1; padding: 14px 15px; color: var(--ink);
    font: 600 15px/16px sans-serif;
    background: linear-gradient(90deg, var(--side) 175px, var(--line) 175px 176px, var(--page) 176px) }
  SYSTEM
  .first-picture svg { width: 22px; height: 12px; margin-right: 5px; fill: var(--accent) }
  body:has(.frame) .first-picture { display: none }
</style>
<div class="first-picture" aria-hidden="true">
  <svg viewBox="0 0 22 12"><path d="M4 0h18l-4 12H0z"/></svg>Whetstone
</div>"""
_NAMES = ("side", "line", "page", "ink", "accent")


def show_first_picture(theme: Theme) -> None:
    """Put the first picture into the current page."""
    first = DARK if theme == "dark" else LIGHT
    html = _HTML.replace("LIGHT", _variables(first))
    if theme == "system":
        dark = f"@media (prefers-color-scheme: dark) {{ .first-picture {{ {_variables(DARK)} }} }}"
    else:
        dark = ""
    ui.add_body_html(html.replace("SYSTEM", dark))


def _variables(tokens: dict[str, str]) -> str:
    return " ".join(f"--{name}: {tokens[name]};" for name in _NAMES)
