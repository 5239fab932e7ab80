"""Signs in a text that something went wrong with it before, and how to mend what can be mended.

Wrong encoding (UTF-8 that was read as Windows-1252), tokens of a chat template, personal data. Knows no rows.
"""

import re

# What the bytes 0x80 to 0xBF, which follow the first of a character in UTF-8, become when read as Windows-1252.
_FOLLOWING = "[\u0080-\u00bf\u0152-\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122\u20ac]"
_SURE = re.compile(f"Ã{_FOLLOWING}|â€{_FOLLOWING}|Â[\u00a0-\u00bf]|ï»¿|ðŸ{_FOLLOWING}|\ufffd")
_LIKELY = re.compile(f"[ÅÎÏÐÑ×ØÙÚÛ]{_FOLLOWING}|[à-ï]{_FOLLOWING}{{2}}")
_TEMPLATE_TOKEN = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|begin_of_text|end_of_text|start_header_id|end_header_id|user|assistant"
    r"|system|end)\|>(?:\w+\n)?|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?s>|<bos>|<eos>"
)
_SECTION = re.compile(r"^### (?:Instruction|Response|Human|Assistant|Input):", re.MULTILINE)
_MAIL = re.compile(r"[\w.+-]{1,64}@(?!example\.)[\w-]{1,63}(?:\.[\w-]{2,63})+")
_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|hf_[A-Za-z0-9]{30,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35})\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Bytes without a meaning in Windows-1252; programs pass them on as the characters of the same number.
_UNDEFINED = {0x81, 0x8D, 0x8F, 0x90, 0x9D}


def is_mojibake(text: str) -> bool:
    """Whether a text was probably read in the wrong encoding."""
    if text.isascii():
        return False
    if _SURE.search(text):
        return True
    # One can be meant, such as an é before a quote and dots. Three in a text that can be mended whole cannot.
    return len(_LIKELY.findall(text)) > 2 and _as_it_was(text) is not None


def without_mojibake(text: str) -> str:
    """Return the text as it was before it was read as Windows-1252; unchanged where that cannot be told for sure."""
    return _as_it_was(text) or text if is_mojibake(text) else text


def _as_it_was(text: str) -> str | None:
    try:
        return b"".join(map(_byte, text)).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None


def _byte(character: str) -> bytes:
    if ord(character) in _UNDEFINED:
        return bytes([ord(character)])
    return character.encode("cp1252")


def template_token(text: str) -> str:
    """Return the first token of a chat template that stands in a text, '' if none does."""
    found = _TEMPLATE_TOKEN.search(text) if "<" in text or "[" in text else None
    if found is None and "###" in text:
        found = _SECTION.search(text)
    return found.group().strip() if found else ""


def without_template_tokens(text: str) -> str:
    """Return the text without tokens of chat templates; headings such as '### Response:' stay."""
    return _TEMPLATE_TOKEN.sub("", text).strip() if "<" in text or "[" in text else text


def personal_data(text: str) -> str:
    """Say what kind of personal data a text seems to hold: 'an e-mail address', 'a key', '' for none."""
    if _may_hold_key(text) and _KEY.search(text):
        return "a key"
    return "an e-mail address" if "@" in text and _MAIL.search(text) else ""


def _may_hold_key(text: str) -> bool:
    """Whether a text has the beginning of a key; many times as fast as the expression, and asked of every text."""
    return (
        "sk-" in text
        or "_" in text  # GitHub, Hugging Face
        or "AKIA" in text
        or "AIza" in text
        or "xox" in text
        or "-----BEGIN" in text
    )
