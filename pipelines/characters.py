"""Which characters are one and the same to us: the one place where texts are folded before anything is compared, read or shown.

Belongs here: what counts as a blank, what cannot be seen, which characters are a keyboard's other width, and the few ways in which a
text is folded. Folded are full-width forms (U+FF01–FF5E, U+3000) and nothing else: a circled, raised or foreign digit is no digit, and
what else Unicode calls compatible never becomes part of a number or a code. Everything here takes time in proportion to the text's
length. Standard library only: the reading process imports it.
"""

import re
import unicodedata
from functools import lru_cache

#: No label, title or cover line is longer; what stands behind it is not looked at.
LONGEST_LABEL = 500


def _characters(*ranges: int | tuple[int, int]) -> str:
    pairs = [(one, one) if isinstance(one, int) else one for one in ranges]
    return "".join(chr(code) for first, last in pairs for code in range(first, last + 1))


#: Everything that looks like a blank: white space of any width, line breaks, fillers.
BLANKS = _characters(
    (0x09, 0x0D), (0x1C, 0x20), 0x85, 0xA0, 0x115F, 0x1160, 0x1680, (0x2000, 0x200A), 0x2028, 0x2029, 0x202F, 0x205F,
    0x2800, 0x3000, 0x3164, 0xFFA0,
)  # fmt: skip
_CONTROLS = _characters((0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F))
_MARKS = _characters(0x061C, 0x200E, 0x200F)  # they turn what stands behind or between them
_TURNING = _characters((0x202A, 0x202E), (0x2066, 0x2069))
_SELECTORS = _characters((0x180B, 0x180D), 0x180F, (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_ZERO_WIDTH = _characters((0x200B, 0x200D), 0x2060, 0xFEFF, 0x180E)
#: What cannot be seen at all: format characters (category Cf), variation selectors, what Unicode has ignored by default, controls.
INVISIBLE = _CONTROLS + _MARKS + _TURNING + _SELECTORS + _ZERO_WIDTH + _characters(
    0xAD, 0x034F, (0x0600, 0x0605), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x17B4, 0x17B5, (0x2061, 0x2065),
    (0x206A, 0x206F), (0xFFF0, 0xFFFB), 0x110BD, 0x110CD, (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF),
)  # fmt: skip

#: Full-width forms and blanks → the plain character; what takes no room and turns nothing → nothing. Few, for whole columns are
#: folded by them.
FOLDS: dict[str, str] = {
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(BLANKS, " "),
    **dict.fromkeys(_ZERO_WIDTH + _characters((0xFE00, 0xFE0F)), ""),
}
#: What is taken off both ends of a folded text: there a mark of direction turns nothing.
ENDS = " " + _MARKS


def ranges_of(characters: str) -> str:
    """A class of characters as both Python's and Rust's regular expressions read it."""
    codes = sorted(map(ord, characters))
    first = [code for code, before in zip(codes, [-2, *codes], strict=False) if code != before + 1]
    last = [code for code, behind in zip(codes, [*codes[1:], -2], strict=True) if code + 1 != behind]
    return "[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in zip(first, last, strict=True)) + "]"


_INVISIBLE = frozenset(INVISIBLE)
#: What a text begins with of which nothing may be seen.
UNSEEN = _INVISIBLE | frozenset(BLANKS)
_FOLD = str.maketrans(FOLDS)
_SEEN = str.maketrans(dict.fromkeys(INVISIBLE, "") | dict.fromkeys(BLANKS, " "))
_NAME = _FOLD | _SEEN
_SHOWN = _SEEN | str.maketrans(dict.fromkeys(_CONTROLS, " "))


_UNTURNED = str.maketrans(dict.fromkeys(_MARKS + _TURNING, ""))
_TURNS_DIRECTION = re.compile(f"[{re.escape(_MARKS + _TURNING)}]")


def _look_alikes() -> dict[str, str]:
    """Characters that fonts, slips and PDF files put for another: in a label they are that other."""
    found = {"巿": "市", "—": "-", "–": "-"}
    for code in (*range(0x2E80, 0x2FE0), *range(0xF900, 0xFB00), *range(0xFE10, 0xFE70), *range(0x2F800, 0x2FA20)):
        plain = unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and plain != chr(code):
            found[chr(code)] = plain
    return found


_LABEL = _NAME | str.maketrans(_look_alikes()) | str.maketrans(dict.fromkeys(BLANKS, ""))


def folded(text: str) -> str:
    """A number or code as it is compared: full-width forms plain, every blank a plain one and none at the ends, what takes no room gone.

    A character that cannot be seen but changes what is seen (a soft hyphen, a turn of direction) stays, and fails the comparison.
    """
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    return text.translate(_FOLD).strip(ENDS)


def folded_name(text: str) -> str:
    """A name as it is kept: full-width forms plain, runs of blanks one blank and none at the ends, nothing in it that cannot be seen."""
    return " ".join(text.translate(_NAME).split())


@lru_cache(maxsize=32_768)
def _normalised(text: str) -> str:
    return text.translate(_LABEL)


def normalise_label(text: str) -> str:
    """The form in which labels, titles and covers are compared: folded, look-alikes mended, blanks and the invisible gone."""
    return _normalised(text[:LONGEST_LABEL])


def visible(text: str) -> str:
    """The text as it may be repeated: blanks and controls plain blanks, what cannot be seen gone, all else as it was written."""
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)


def unturned(text: str) -> str:
    """A name as it may be repeated: without what turns the direction of what stands around it, so that it is read as it is stored."""
    return text if text.isascii() else text.translate(_UNTURNED)


def turning(text: str) -> str:
    """The characters of a text that turn its direction, by name; blank when there are none."""
    if text.isascii():
        return ""
    return "、".join(_told(one) for one in dict.fromkeys(_TURNS_DIRECTION.findall(text[:LONGEST_LABEL])))


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return not text or (text[0] in UNSEEN and not text.translate(_SEEN).strip(" "))


def is_digits(text: str) -> bool:
    """Whether a text is made of the ten digits alone; `str.isdigit` takes those of every script and shape."""
    return text.isascii() and text.isdigit()


class _Digits(dict[int, str]):
    """Code → what a person may read it as; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = FOLDS.get(character) or character
        digit = unicodedata.digit(plain, None)
        self[code] = plain if digit is None else str(digit)
        return self[code]


_DIGITS = _Digits()


def searchable(text: str) -> str:
    """The text with every character in its place and a digit of any script or shape as that digit: to search, never to read by."""
    return text if text.isascii() else text.translate(_DIGITS)


# --- telling characters -----------------------------------------------------------------------------------------------

_KINDS = {
    _ZERO_WIDTH: "零宽字符",
    _MARKS: "文字方向标记",
    _TURNING: "改变文字方向的控制符",
    _SELECTORS: "变体选择符",
    _CONTROLS: "控制字符",
    "\u00ad": "软连字符",
    _characters((0xE0000, 0xE007F)): "标签字符",
}
_COMPATIBLE = {
    "<circle>": "带圈字符",
    "<super>": "上标",
    "<sub>": "下标",
    "<fraction>": "分数字符",
    "<square>": "合写字符",
}


def _told(character: str) -> str:
    code = f"U+{ord(character):04X}"
    if character in _INVISIBLE:
        kind = next((kind for characters, kind in _KINDS.items() if character in characters), "格式字符")
        return f"看不见的{kind}（{code}）"
    category = unicodedata.category(character)
    if category == "Nd":
        kind = "其他文字的数字"
    elif 0x2160 <= ord(character) <= 0x2188:
        kind = "罗马数字字符"
    else:
        mark, *parts = unicodedata.decomposition(character).split(" ")
        kind = "带括号字符" if parts[:1] == ["0028"] else _COMPATIBLE.get(mark, "带圈字符" if not mark else "特殊字符")
    return f"“{character}”（{kind}，{code}）"


def _is_strange(character: str) -> bool:
    """Whether a character passes for another, or cannot be seen: what a clerk does not find by looking."""
    if character.isascii() and character.isprintable():
        return False
    if FOLDS.get(character):
        return False
    if character in _INVISIBLE:
        return True
    category = unicodedata.category(character)
    return (
        category in ("Nd", "No", "Mn", "Me")
        or (category == "Nl" and character != "〇")
        or bool(unicodedata.decomposition(character))
    )


def strange(text: str) -> str:
    """The characters of a text that pass for others or cannot be seen, by name: “①”（带圈字符，U+2460）. Blank when there are none."""
    found = dict.fromkeys(character for character in text[:LONGEST_LABEL] if _is_strange(character))
    return "、".join(_told(character) for character in list(found)[:3])


def unseen(text: str) -> str:
    """The characters of a text that cannot be seen, by name; blank when there are none."""
    found = dict.fromkeys(character for character in text[:LONGEST_LABEL] if character in _INVISIBLE)
    return "、".join(_told(character) for character in list(found)[:3])
