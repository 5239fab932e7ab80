"""Tell the user something through the system's notifications, while the window may be hidden or closed.

A courtesy: where the system has no way to do it, nothing happens. Titles and texts hold names that somebody
else chose, so they never become part of a script or of markup.
"""

import base64
import html
import sys

from desktop_app.paths import APP_NAME
from desktop_app.process import run_program

_LONGEST = 300
# Windows shows toasts only for programs that it knows; this is PowerShell's own name there.
_POWERSHELL_ID = r"{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe"
_TOAST = """
$read = {{ [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($args[0])) }}
$null = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$template = [Windows.UI.Notifications.ToastTemplateType]::ToastText02
$toast = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent($template)
$places = $toast.GetElementsByTagName('text')
$null = $places.Item(0).AppendChild($toast.CreateTextNode((& $read '{title}')))
$null = $places.Item(1).AppendChild($toast.CreateTextNode((& $read '{text}')))
$notifier = [Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('{program}')
$notifier.Show([Windows.UI.Notifications.ToastNotification]::new($toast))
"""


def notify(title: str, text: str = "") -> bool:
    """Show a notification; return whether the system took it. Never raises; takes up to a few seconds."""
    title, text = (part.replace("\0", "")[:_LONGEST] for part in (title, text))
    return any(run_program(command, wait_s=5.0) for command in notification_commands(title, text))


def play_sound() -> bool:
    """Play the system's sound for something that is complete; return whether it was played. Never raises."""
    return any(run_program(command, wait_s=5.0) for command in sound_commands())


def sound_commands() -> list[list[str]]:
    """Return what to try on this system, the best first."""
    if sys.platform == "win32":
        script = "[System.Media.SystemSounds]::Asterisk.Play(); Start-Sleep -Seconds 1"
        return [["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", script]]
    if sys.platform == "darwin":
        return [["afplay", "/System/Library/Sounds/Glass.aiff"]]
    sound = "/usr/share/sounds/freedesktop/stereo/complete.oga"
    return [["canberra-gtk-play", "--id=complete"], ["pw-play", sound], ["paplay", sound]]


def notification_commands(title: str, text: str) -> list[list[str]]:
    """Return what to try on this system, the best first."""
    if sys.platform == "win32":
        script = _TOAST.format(title=_base64(title), text=_base64(text), program=_POWERSHELL_ID)
        encoded = base64.b64encode(script.encode("utf-16-le")).decode()
        return [["powershell.exe", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded]]
    if sys.platform == "darwin":
        script = "display notification (item 2 of argv) with title (item 1 of argv)"
        return [["osascript", "-e", "on run argv", "-e", script, "-e", "end run", "--", title, text]]
    return [["notify-send", f"--app-name={APP_NAME}", "--", title, html.escape(text, quote=False)]]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()
