"""Put text on the clipboard, and say that it is there only when it is."""

import json

from nicegui import ui

# The page answers whether it could: a browser may refuse, and outside of localhost and https it has no clipboard.
_WRITE = "(navigator.clipboard?.writeText({text}) ?? Promise.reject()).then(() => true, () => false)"
_PATIENCE_S = 5.0


async def copy(text: str, said: str) -> None:
    """Copy `text`, then tell the user `said`, or what to do where the browser does not allow it."""
    try:
        is_copied = await ui.run_javascript(_WRITE.format(text=json.dumps(text)), timeout=_PATIENCE_S)
    except TimeoutError:
        is_copied = False
    if is_copied:
        ui.notify(said)
    else:
        ui.notify("This could not be copied.", caption="Select the text and press Ctrl+C instead.")
