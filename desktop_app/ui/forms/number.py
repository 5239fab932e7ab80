"""Numbers as people type and read them: '1,024', '1 024', '2e-4', '0,0002'.

A comma before groups of three digits separates thousands, any other single comma is a decimal one;
a group after a leading 0 is never a thousand.
"""

import math
import re

_SPACES = re.compile(r"[\s\u00a0\u2009\u202f']+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_number(text: str) -> int | float:
    """Read a number as typed; whole numbers come back as int, also '2e3' and '3.0'.

    Raises:
        ValueError: if it is no finite number.
    """
    plain = _SPACES.sub("", text)
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    elif plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    if not _NUMBER.fullmatch(plain) or len(plain) > 40:
        raise ValueError(text)
    number = float(plain)
    if not math.isfinite(number):
        raise ValueError(text)
    if plain.lstrip("+-").isdigit():
        return int(plain)
    return int(number) if number.is_integer() else number


def shown_number(number: int | float) -> str:
    """Write a number the way a field shows it: thousands by comma, small ones without an exponent."""
    if float(number).is_integer():
        return f"{int(number):,}"
    plain = f"{number:.12f}".rstrip("0")
    return plain if float(plain) == number else repr(number)
