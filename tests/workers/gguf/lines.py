"""Lines of text in many scripts, with all that tokenizers cut at: numbers, signs, spaces, contractions, code."""

import random
from collections.abc import Iterator

_WORDS = {
    "latin": "the house of Anna stands beside a small river and nobody knows who built it Straße façade naïve Ærø "
    "coöperate señor żółw ğüzel Łódź smörgåsbord HTTPServer iPhone eBay McDonald",
    "cyrillic": "дом стоит у реки и никто не знает кто его построил Москва ёлка їжак",
    "greek": "το σπίτι στέκεται δίπλα στο ποτάμι και κανείς δεν ξέρει ποιος το έχτισε",
    "arabic": "البيت يقف بجانب النهر ولا أحد يعرف من بناه ١٢٣ كتاب",
    "hebrew": "הבית עומד ליד הנהר ואף אחד לא יודע מי בנה אותו",
    "devanagari": "घर नदी के पास खड़ा है और कोई नहीं जानता किसने इसे बनाया १२३",
    "bengali": "বাড়িটি নদীর পাশে দাঁড়িয়ে আছে কেউ জানে না",
    "thai": "บ้านตั้งอยู่ข้างแม่น้ำ และไม่มีใครรู้ว่าใครสร้าง ๑๒๓",
    "chinese": "房子 站在 河边 没有人 知道 是谁 建造的 一二三 龍門",
    "japanese": "家は 川の そばに 立っている 誰も 知らない カタカナ ひらがな",
    "korean": "집은 강 옆에 서 있고 누가 지었는지 아무도 모른다",
    "georgian": "სახლი მდინარის პირას დგას და არავინ იცის",
    "amharic": "ቤቱ በወንዙ አጠገብ ቆሟል ማንም አያውቅም",
    "emoji": "🚀 😶‍🌫️ ✅ 🦙🦙 👩‍👩‍👧 🇩🇪 ❤️ 🧑🏽‍🚒",
}
_SIGNS = [*".,!?()/\\#@%&*_\"'`“”…—。、؟।€§°+<>|~^$:;", "...", "--", "==", "//", "[]"]
_SPACES = [
    " ",
    " ",
    " ",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    " \n",
    "\r\n",
    "\n  ",
    "\t\t",
    "     ",
    "\u00a0",
    "\u3000",
]
_NUMBERS = ["3", "33", "333", "3333", "33333", "3.14", "1,000", "2026-11-21", "0x1F", "½", "²", "1e-5", "10%", "Ⅷ"]
_ENDINGS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'LL", "'x", "’s"]
_CODE = ["def f(x):", "    return x", "if (a && b)", "</div>", "https://example.org/a?b=c", "a_b_c", "fooBar", "x+=1;"]


def lines(count: int, seed: int = 1) -> Iterator[str]:
    """Yield `count` lines, the same for the same seed; every script comes up alone and mixed with others."""
    draw = random.Random(seed)
    scripts = {name: words.split(" ") for name, words in _WORDS.items()}
    names = list(scripts)
    for number in range(count):
        mixed = [names[number % len(names)], draw.choice(names) if draw.random() < 0.3 else names[number % len(names)]]
        parts: list[str] = []
        for _ in range(draw.randint(1, 14)):
            kind = draw.random()
            if kind < 0.62:
                word = draw.choice(scripts[draw.choice(mixed)])
                parts.append(word.upper() if draw.random() < 0.05 else word)
            elif kind < 0.72:
                parts.append(draw.choice(_SIGNS))
            elif kind < 0.82:
                parts.append(draw.choice(_NUMBERS))
            elif kind < 0.9:
                parts.append(draw.choice(scripts["latin"]) + draw.choice(_ENDINGS))
            else:
                parts.append(draw.choice(_CODE))
            if draw.random() < 0.85:
                parts.append(draw.choice(_SPACES))
        yield "".join(parts)
