"""Numbers, sizes and times as a person reads them: short, with their unit."""

import math
from datetime import datetime

_SIZE_UNITS = ("B", "kB", "MB", "GB", "TB")


def number_text(value: float | None, digits: int = 3) -> str:
    """Write a measured value: 2310 -> '2,310', 1.2139 -> '1.214', 0.00014 -> '1.4e-4'; None -> '–'."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    if abs(value) < 0.001 or abs(value) >= 1e9:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.1f}"


def size_text(size_bytes: float) -> str:
    """Write a size in decimal units: 74_000_000 -> '74 MB', 3_100_000_000 -> '3.1 GB'."""
    size, unit = float(size_bytes), 0
    while size >= 999.5 and unit < len(_SIZE_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    digits = 1 if unit and size < 9.95 else 0
    return f"{size:.{digits}f} {_SIZE_UNITS[unit]}"


def memory_text(size_bytes: float) -> str:
    """Write an amount of memory in binary units, as memory is sold: 2**33 -> '8.0 GB', 2**20 -> '1 MB'."""
    if size_bytes >= 0.1 * 2**30:
        return f"{size_bytes / 2**30:.1f} GB"
    return f"{max(1, round(size_bytes / 2**20))} MB" if size_bytes > 0 else "0 MB"


def share_text(used_bytes: float, total_bytes: float) -> str:
    """Write how much of a memory is used: '6.1 of 8.0 GB', in binary gigabytes as memory is sold."""
    return f"{used_bytes / 2**30:.1f} of {total_bytes / 2**30:.1f} GB"


def percent_text(share: float, digits: int = 0) -> str:
    """Write a share as percent: 0.4512 -> '45 %'."""
    return f"{100 * share:.{digits}f} %"


def duration_text(seconds: float | None) -> str:
    """Write a time span in at most two units: '40 s', '18 min', '1 h 12 min', '2 d 3 h'; None -> ''."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(whole / 3600)
    return f"{hours // 24} d {hours % 24} h"


def time_left_text(eta_s: float | None) -> str:
    """Say how long it still takes: '18 min left', 'a few seconds left'; '' if nobody knows."""
    if eta_s is None or not math.isfinite(eta_s) or eta_s < 0:
        return ""
    if eta_s < 10:
        return "a few seconds left"
    if eta_s < 100:
        return f"{round(eta_s / 5) * 5} s left"
    return f"{duration_text(eta_s)} left"


def when_text(unix_s: float | None, now_s: float) -> str:
    """Say when it was, shorter the nearer it is: 'today 15:29', 'Fri 22:15', '17 Nov 19:31', '17 Nov 2025'."""
    if unix_s is None:
        return "–"
    moment, today = datetime.fromtimestamp(unix_s), datetime.fromtimestamp(now_s)
    days = (today.date() - moment.date()).days
    if days == 0:
        return f"today {moment:%H:%M}"
    if 0 < days < 7:
        return f"{moment:%a %H:%M}"
    if moment.year == today.year:
        return f"{moment.day} {moment:%b %H:%M}"
    return f"{moment.day} {moment:%b %Y}"


def clock_text(unix_s: float) -> str:
    """Write a moment of today as '16:17', of another day with its name."""
    moment = datetime.fromtimestamp(unix_s)
    return f"{moment:%H:%M}" if moment.date() == datetime.now().date() else f"{moment:%a %H:%M}"
