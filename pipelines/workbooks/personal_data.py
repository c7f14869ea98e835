"""Finds what must never be in an aggregate return: identity numbers, telephones, travel documents, bank cards, addresses of mail.

Belongs here: recognising them in a text and masking them, however they are written: grouped, dotted, in brackets, over several lines, with
characters that cannot be seen, in digits of any script, glued to words, or as a spreadsheet stores what it takes for a number. Where the
texts of a file are found is the business of `reader` and `other_texts`. Check digits, dates, regions and networks keep a sum of money or
a code from passing for a person; what has none (a passport, a telephone in odd groups) needs the word for it beside it. The telephone of
an office and a person's name are no alarm.

One pass over each text, in time proportional to its length. Standard library only: the reading process imports it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from pipelines.characters import FOLDS, INVISIBLE, unturned

IDENTITY, PHONE, CARD, DOCUMENT, MAIL = (
    "FILE-1a-identity-number",
    "FILE-1a-phone-number",
    "FILE-1a-bank-card",
    "FILE-1a-travel-document",
    "FILE-1a-mail-address",
)
#: The rules by which a file is quarantined.
PERSONAL_RULES = frozenset([IDENTITY, PHONE, CARD, DOCUMENT, MAIL])


class Where(NamedTuple):
    """Where a text stands: a cell (row and column from 0), or a place besides the cells, in Chinese (批注), of a sheet or of the file."""

    sheet: str = ""
    row: int | None = None
    column: int | None = None
    place: str = ""


class Found(NamedTuple):
    """Something of a person: the rule it breaks, itself masked, and where it stands."""

    rule_id: str
    value: str
    where: Where


class _Span(NamedTuple):
    rule_id: str
    start: int
    end: int


# Check digits ---------------------------------------------------------------------------------------------------------

#: First two digits of a region's code (GB/T 2260), and the next two, of its prefecture.
_REGION = re.compile(r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])(?:[0-6][0-9]|70|90)")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"
#: Ranges that people are given (numbers of things that speak to things have 13 digits).
_MOBILE = re.compile(r"1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9\d)\d{8}")


def is_identity_number(digits: str) -> bool:
    """GB 11643 resident identity number, also of residents from Hong Kong, Macao, Taiwan and abroad: 18 characters, a known region, a
    plausible date, the right check character (ISO 7064 MOD 11-2)."""
    if len(digits) != 18 or not digits[:17].isdigit() or not _is_birthday(digits[6:14]):
        return False
    if not _REGION.match(digits) and not (digits[0] == "9" and _REGION.match(digits[1:3] + "00")):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECK[total % 11] == digits[17].upper()


def is_old_identity_number(digits: str) -> bool:
    """The 15 digits in use until 1999: region, date of birth without century, sequence; they carry no check digit."""
    return (
        len(digits) == 15
        and digits.isdigit()
        and _REGION.match(digits) is not None
        and _is_birthday(f"19{digits[6:12]}")
    )


def is_rounded_identity_number(digits: str) -> bool:
    """An identity number that a spreadsheet took for a number: 15 to 17 digits are left of it, then zeros."""
    return (
        len(digits) == 18
        and digits.isdigit()
        and digits.endswith("0")
        and _REGION.match(digits) is not None
        and _is_birthday(digits[6:14])
    )


def _is_birthday(digits: str) -> bool:
    """Whether eight digits are a day from 1900 to 2099."""
    if not "1900" <= digits[:4] <= "2099":
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def is_bank_card(digits: str) -> bool:
    """A number of a network's range and length (UnionPay, older Chinese ranges, Visa, Mastercard, JCB, American Express) that passes
    the Luhn check."""
    if not _is_of_a_network(digits):
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if position % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _is_of_a_network(digits: str) -> bool:
    length = len(digits)
    if digits.startswith(("34", "37")):
        return length == 15
    if digits.startswith(("6", "81", "9558", "9559")):
        return 16 <= length <= 19
    if digits.startswith("4"):
        return length in (16, 19)
    return length == 16 and digits.startswith(("5", "35", *map(str, range(23, 27))))


def _is_rounded_card(digits: str) -> bool:
    """A UnionPay card that a spreadsheet took for a number: no sum of money has so many digits."""
    zeros = {16: 1, 17: 2, 18: 1, 19: 2}.get(len(digits))
    return bool(zeros) and digits.startswith("62") and digits.endswith("0" * (zeros or 1))


# One form for all ways to write ---------------------------------------------------------------------------------------


class _Forms(dict[int, str]):
    """Code → the one character that it is searched as, nothing for what cannot be seen; filled as characters are met.

    `marks_are_digits`: whether raised and circled digits count as digits, or stand beside a number as a footnote's mark does.
    """

    def __init__(self, *, marks_are_digits: bool, spoken: str = "") -> None:
        super().__init__()
        self.marks_are_digits = marks_are_digits
        self.update({ord(character): str(number % 10) for number, character in enumerate(spoken)})

    def __missing__(self, code: int) -> str:
        self[code] = found = self._form(chr(code))
        return found

    def _form(self, character: str) -> str:
        if character in FOLDS:
            return FOLDS[character]
        category = unicodedata.category(character)
        if character in _INVISIBLE or category in ("Cf", "Mn", "Me", "Cc"):
            return ""
        digit = unicodedata.digit(character, None)
        if digit is not None:
            return str(digit) if category == "Nd" or self.marks_are_digits else " "
        if character in "ХхΧχ×Ⅹⅹ":
            return "X"
        if category == "Pd" or character in "−ー":
            return "-"
        plain = unicodedata.normalize("NFKC", character)
        return plain if len(plain) == 1 and plain.isascii() else character


_INVISIBLE = frozenset(INVISIBLE)
_SPOKEN = "零一二三四五六七八九〇壹贰叁肆伍陆柒捌玖"
_FORMS = _Forms(marks_are_digits=True)
_FORMS_WITHOUT_MARKS = _Forms(marks_are_digits=False)
_FORMS_SPOKEN = _Forms(marks_are_digits=True, spoken=_SPOKEN)
_FORMS_SPOKEN[ord("〇")] = _FORMS_SPOKEN[ord("○")] = _FORMS_SPOKEN[ord("◯")] = "0"
_FORMS_SPOKEN |= {ord(character): str(number) for number, character in enumerate("壹贰叁肆伍陆柒捌玖幺", start=1)}
_FORMS_SPOKEN[ord("幺")] = "1"
_MARKS = frozenset("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉①②③④⑤⑥⑦⑧⑨⓪⑴⑵⑶⑷⑸⑹⑺⑻⑼⒈⒉⒊⒋⒌⒍⒎⒏⒐❶❷❸❹❺❻❼❽❾➀➁➂➃➄➅➆➇➈➊➋➌➍➎➏➐➑➒")
_SPOKEN_DIGITS = frozenset(_SPOKEN)
_SPOKEN_RUN = re.compile(rf"[{_SPOKEN}○◯幺](?:[ \-]?[{_SPOKEN}○◯幺0-9]){{10}}")


def _spans(text: str, label: str = "") -> list[_Span]:
    """Everything of persons in a text, without overlaps, in order. `label`: what the cells above or beside it call it."""
    if text.isascii() and text.isprintable():
        return _within(text, label)
    found = _in_form(text, label, _FORMS)
    if not found and not _MARKS.isdisjoint(text):
        found = _in_form(text, label, _FORMS_WITHOUT_MARKS)
    if not found and len(text) > 10 and not _SPOKEN_DIGITS.isdisjoint(text) and _SPOKEN_RUN.search(text):
        found = _in_form(text, label, _FORMS_SPOKEN)
    return found


def _in_form(text: str, label: str, form: _Forms) -> list[_Span]:
    """The spans of a text brought to a form, at their places in the text itself."""
    plain = text.translate(form)
    found = _within(plain, label)
    if not found or len(plain) == len(text):
        return found
    at = [place for place, character in enumerate(text) if form[ord(character)]]
    return [_Span(one.rule_id, at[one.start], at[one.end - 1] + 1) for one in found]


# Numbers ----------------------------------------------------------------------------------------------------------------

#: Between the groups of a number: up to three characters that are neither letters nor digits.
_RUN = re.compile(r"[0-9]+(?:[\W_]{1,3}[0-9]+)*")
_DIGITS = re.compile(r"[0-9]+")
_LAST_X = re.compile(r"[\W_]{0,3}[Xx](?![0-9])")
#: What stands between the groups of a telephone or a card. A comma parts thousands, and 、 the items of a list.
_TIGHT = re.compile(r"[ \-._/·•()\[\]~*+|]+")
_LOOSE = re.compile(r"[\W_]+")
_SCIENTIFIC = re.compile(r"(?<![0-9.])([0-9])[.]([0-9]{4,17})[Ee][+]?(1[0-9])(?![0-9])")
#: Numbers of receipts, digests and identifiers as programs write them: hexadecimal with letters in it. 1.4…e17 is none.
_HEX = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
    r"|(?<![0-9]\.)(?=[0-9]*[a-f])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{16})"
    r"|(?=[0-9]*[A-F])(?:[0-9A-F]{64}|[0-9A-F]{40}|[0-9A-F]{32}))(?![0-9A-Za-z])"
)
_PHONE_WORDS = re.compile(
    r"电话|手机|联系方式|联系人|移动|微信|tel(?![a-z])|telephone|phone|mobile|whatsapp", re.IGNORECASE
)
_CARD_WORDS = re.compile(r"卡号|银行卡|储蓄卡|信用卡|工资卡|账号|帐号|账户|帐户|bank|card|account", re.IGNORECASE)
#: So far before a number its word may stand.
_REACH = 24
_PHONE_GROUPS = {(11,), (3, 4, 4), (3, 3, 5), (1,) * 11}
_CARD_GROUPS = {(4, 6, 5), (6, 10), (6, 12), (6, 13), (8, 8), (8, 11)}
_OLD_GROUPS = {(15,), (6, 6, 3), (6, 9), (1,) * 15}
#: Most digits of anything: a card, or a telephone after 0086.
_MOST_DIGITS = 19


def _within(text: str, label: str) -> list[_Span]:
    """The spans in a text that has been brought to one form."""
    if not (_MAY_HOLD_CALLED_SO if label else _MAY_HOLD).search(text):
        return []
    found: list[_Span] = []
    if "@" in text or _AT.search(text):
        found += _mail_addresses(text)
    text = _HEX.sub(lambda match: "x" * len(match[0]), text)
    for match in _SCIENTIFIC.finditer(text):
        rule_id = _of_scientific(match[1] + match[2], int(match[3]) + 1)
        if rule_id:
            found.append(_Span(rule_id, *match.span()))
    text = _SCIENTIFIC.sub(lambda match: "x" * len(match[0]), text)
    for match in _RUN.finditer(text):
        if match.end() - match.start() >= 11:
            found += _numbers(text, match.start(), match.end(), label)
    found += _home_telephones(text, label)
    found += _foreign_telephones(text, label)
    found += _documents(text, label)
    return _without_overlaps(found)


#: A text without any of these holds nothing of a person: what most cells are.
_AT = re.compile(r"[(\[]at[)\]]", re.IGNORECASE)
_MAY_HOLD_CALLED_SO = re.compile(r"@|[(\[][Aa][Tt][)\]]|[0-9](?:[\W_]{0,3}[0-9]){5}")
_MAY_HOLD = re.compile(r"@|[(\[][Aa][Tt][)\]]|[0-9](?:[\W_]{0,3}[0-9]){6}|[0-9][.][0-9]{4}")


def _without_overlaps(found: list[_Span]) -> list[_Span]:
    kept: list[_Span] = []
    for span in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _of_scientific(digits: str, length: int) -> str | None:
    """The rule that a number broken off by its exponent breaks; with fewer than nine digits left it names nobody."""
    whole = digits[:length].ljust(length, "0")
    if length == 18 and len(digits) >= 14 and is_rounded_identity_number(whole[:17] + "0"):
        return IDENTITY
    if length == 15 and len(digits) >= 13 and is_old_identity_number(whole):
        return IDENTITY
    if length == 11 and len(digits) >= 8 and _MOBILE.fullmatch(whole):
        return PHONE
    if 16 <= length <= 19 and len(digits) >= 15 and (_is_rounded_card(whole) or is_bank_card(whole)):
        return CARD
    return None


def _numbers(text: str, start: int, end: int, label: str) -> Iterator[_Span]:
    """What groups of digits in text[start:end] are, taken together from one to many; of several readings the longest."""
    groups = [match.span() for match in _DIGITS.finditer(text, start, end)]
    digits = "".join(text[begin:stop] for begin, stop in groups)
    first = before = 0  # the group to begin with, and the digits before it
    while first < len(groups):
        best: _Span | None = None
        total, last, taken = 0, first, 1
        while last < len(groups):
            total += groups[last][1] - groups[last][0]
            if total > _MOST_DIGITS:
                break
            if total >= 11:
                found = _kind(text, digits[before : before + total], groups, first, last, label)
                if found:
                    best, taken = found, last - first + 1
            last += 1
        if best:
            yield best
        before += sum(stop - begin for begin, stop in groups[first : first + taken])
        first += taken


def _kind(text: str, digits: str, groups: list[tuple[int, int]], first: int, last: int, label: str) -> _Span | None:
    """What the groups from `first` to `last`, together `digits`, are as one number."""
    start, stop = groups[first][0], groups[last][1]
    rule_id = None
    if len(digits) == 18 and (is_identity_number(digits) or (first == last and is_rounded_identity_number(digits))):
        rule_id = IDENTITY
    elif len(digits) == 17 and (more := _LAST_X.match(text, stop)) and is_identity_number(f"{digits}X"):
        rule_id, stop = IDENTITY, more.end()
    elif _MAY_BE.match(digits):
        rule_id = _kind_in_groups(text, digits, groups[first : last + 1], label)
    if rule_id is None or _is_part_of_a_decimal(text, start, stop):
        return None
    if last == first + 1 and text[groups[first][1] : groups[last][0]] == ".":
        return None  # a number with decimals
    return _Span(rule_id, start, stop)


#: How a number without a check of its own, or a card, may begin.
_MAY_BE = re.compile(r"(?:0086|86|0)?1[3-9]|[2-9]|1[1-5]")


_MAY_BE_MOBILE = re.compile(r"(?:0086|86|0)?1[3-9][0-9]{9}")


def _kind_in_groups(text: str, digits: str, groups: list[tuple[int, int]], label: str) -> str | None:
    """The rule that a number breaks of which the groups matter."""
    start, stop = groups[0][0], groups[-1][1]
    sizes = tuple([end - begin for begin, end in groups])
    if not (len(sizes) == 1 or sizes in _OLD_GROUPS or _MAY_BE_MOBILE.fullmatch(digits) or is_bank_card(digits)):
        return None
    between = [text[one[1] : two[0]] for one, two in pairwise(groups)]
    if not all(map(_TIGHT.fullmatch, between)):
        return None
    if sizes in _OLD_GROUPS and is_old_identity_number(digits):
        return IDENTITY
    if _is_mobile(digits, sizes, between, text, start, label):
        return PHONE
    # Between strokes stand the numbers of a list; nobody writes a card so.
    is_list = any("/" in one for one in between)
    if is_bank_card(digits) and (
        (_is_card_grouped(sizes) and not is_list) or _has_word(_CARD_WORDS, text, start, label)
    ):
        return CARD
    # Not in a text: there it is an amount, or a number of something else.
    if len(sizes) == 1 and len(text.strip()) == stop - start and _is_rounded_card(digits):
        return CARD
    return None


_WHOLE = re.compile(r"\.0(?![\w.])")


def _is_part_of_a_decimal(text: str, start: int, stop: int) -> bool:
    """Whether a point parts the digits from others: 928000.75, 12.13800000000, .5. The point of a list or of "No." parts nothing, nor
    does the .0 that programs write behind a number which is whole."""
    if _WHOLE.match(text, stop) and not (start and (text[start - 1].isalnum() or text[start - 1] in ".,+-")):
        return False
    if text[stop : stop + 1] == "." and text[stop + 1 : stop + 2].isdigit():
        return True
    if text[start - 1 : start] != "." or not start:
        return False
    before = text[start - 2 : start - 1] if start > 1 else ""
    return not before or before.isdigit() or before in "+-("


def _is_mobile(digits: str, sizes: tuple[int, ...], between: list[str], text: str, start: int, label: str) -> bool:
    """A mobile number in groups that people write, after 86, 0086 or 0 or without. Other groups need the word for it before them."""
    for prefix in ("0086", "86", "0"):
        if len(digits) == 11 + len(prefix) and digits.startswith(prefix):
            digits = digits[len(prefix) :]
            if sizes[0] == len(prefix):
                sizes, between = sizes[1:], between[1:]
            elif sizes[0] > len(prefix):
                sizes = (sizes[0] - len(prefix), *sizes[1:])
            break
    if len(digits) != 11 or not _MOBILE.fullmatch(digits):
        return False
    if sizes in _PHONE_GROUPS:
        return True
    if sizes == (3, 8) and between[0] in ("-", " ", ")") and not _is_birthday(digits[3:]):
        return True
    return len(sizes) > 1 and _has_word(_PHONE_WORDS, text, start, label)


def _is_card_grouped(sizes: tuple[int, ...]) -> bool:
    if len(sizes) == 1 or sizes in _CARD_GROUPS or set(sizes) == {1}:
        return True
    return len(sizes) in (4, 5) and set(sizes[:-1]) == {4} and sizes[-1] <= 4


def _has_word(words: re.Pattern[str], text: str, start: int, label: str) -> bool:
    return bool(words.search(text, max(0, start - _REACH), start) or (label and words.search(label)))


_HOME_WORDS = re.compile(
    r"家庭(?:固定)?电话|家庭联系电话|住宅电话|住宅座机|家里电话|家电|宅电|home ?phone", re.IGNORECASE
)
_LANDLINE = re.compile(r"(?<![0-9])(?:\(?0[0-9]{2,3}\)?[ \-]{0,2})?[2-8][0-9]{2,3}[ \-]?[0-9]{4}(?![0-9])")
_ABROAD = re.compile(
    r"(?<![0-9A-Za-z])(?:[+]|00)(?:852[ \-]{0,2}[4-79][0-9]{3}[ \-]?[0-9]{4}|853[ \-]{0,2}6[0-9]{3}[ \-]?[0-9]{4}"
    r"|886[ \-]{0,2}0?9[0-9]{2}[ \-]?[0-9]{3}[ \-]?[0-9]{3})(?![0-9])"
)
_ANY_ABROAD = re.compile(r"[+](?!86)[1-9][0-9]{0,2}[ \-]?\(?[0-9][0-9 ()\-]{5,14}[0-9]")


def _home_telephones(text: str, label: str) -> Iterator[_Span]:
    """Numbers of a fixed line that is called somebody's home; that of an office is nobody's."""
    starts = [match.end() for match in _HOME_WORDS.finditer(text)] + ([0] if _HOME_WORDS.search(label) else [])
    for start in starts:
        if match := _LANDLINE.search(text, start, start + _REACH):
            yield _Span(PHONE, *match.span())


def _foreign_telephones(text: str, label: str) -> Iterator[_Span]:
    for match in _ABROAD.finditer(text):
        yield _Span(PHONE, *match.span())
    for match in _ANY_ABROAD.finditer(text) if "+" in text else ():
        if _has_word(_PHONE_WORDS, text, match.start(), label):
            yield _Span(PHONE, *match.span())


# Documents and addresses ------------------------------------------------------------------------------------------------

_DOCUMENT_WORDS = re.compile(
    r"护照|通行证|旅行证|居住证|居留|回乡证|台胞证|签证|身份证|证件|passport|permit", re.IGNORECASE
)
#: Passports of the People's Republic, by themselves: nothing else is written so.
_PASSPORT = re.compile(r"(?<![0-9A-Za-z.\-/])(?:[EG][0-9]{8}|E[A-HJ-NP-Z][0-9]{7}|[DSP]E[0-9]{7})(?![0-9A-Za-z])")
_NO_PASSPORT = re.compile(r"(?:编|文|批|型|票|单|序|合同|协议|档案|标准|设备|资产|条码|代码)号?(?:码)?[:： ]*$")
_HONG_KONG = re.compile(r"(?<![0-9A-Za-z])([A-Z]{1,2})([0-9]{6}) ?\(([0-9A])\)")
#: After the word for it: a letter or three and digits, or digits alone where the word ends in 号 or names a permit of 8 to 10 digits.
_LETTERED = re.compile(
    r"(?<![0-9A-Za-z])[A-Za-z]{1,3}[ \-]?(?:[0-9]{6,12}|[0-9]{4}[ \-][0-9]{4})(?:\([0-9A-Z]{1,2}\))?(?![0-9A-Za-z])"
)
_BARE = re.compile(
    r"(?:(?:护照|证件)号码?|澳门[^0-9]{0,9}身份证(?:号码?)?|(?:通行证|台胞证|回乡证|旅行证|passport|permit)(?:号码?|编号)?(?: ?no\.?)?)[:： ]{0,3}([0-9]{8,10}|[0-9]{7}(?=\())(?:\([0-9A-Z]{1,2}\))?(?![0-9])",
    re.IGNORECASE,
)


def _documents(text: str, label: str) -> Iterator[_Span]:
    """Passports, permits, and identity cards with letters."""
    for match in _PASSPORT.finditer(text):
        is_dated = _is_birthday(match[0][1:]) if match[0][1:].isdigit() else False
        if not is_dated and not _NO_PASSPORT.search(text, max(0, match.start() - 8), match.start()):
            yield _Span(DOCUMENT, *match.span())
    for match in _HONG_KONG.finditer(text):
        if _is_hong_kong(match[1], match[2], match[3]):
            yield _Span(IDENTITY, *match.span())
    words = [match.span() for match in _DOCUMENT_WORDS.finditer(text)]
    for start, end in [*words, *([(0, 0)] if label and _DOCUMENT_WORDS.search(label) else [])]:
        if lettered := _LETTERED.search(text, end, min(len(text), end + _REACH + 12)):
            word = text[start:end] or label
            yield _Span(IDENTITY if "身份证" in word else DOCUMENT, *lettered.span())
    for match in _BARE.finditer(text) if words else ():
        if not _is_birthday(match[1]):
            yield _Span(DOCUMENT, *match.span(1))
    if label and (bare := _BARE.fullmatch(f"{label}:{text.strip()}")) and not _is_birthday(bare[1]):
        yield _Span(DOCUMENT, 0, len(text))


def _is_hong_kong(letters: str, digits: str, check: str) -> bool:
    """The check of a Hong Kong identity card: weights 9 to 1 over two letters (a missing one counts 36), six digits and the check."""
    values = [36] * (2 - len(letters)) + [ord(letter) - 55 for letter in letters] + [int(digit) for digit in digits]
    total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True))
    return (total + (10 if check == "A" else int(check))) % 11 == 0


_LOCAL = re.compile(r"[\w.%+\-]{1,64}\Z")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w\-]{0,62}[^\W_])?[.。])+(?:[A-Za-z]{2,24}|中国|公司|网络|政务|公益)(?![0-9A-Za-z_])"
)


def _mail_addresses(text: str) -> Iterator[_Span]:
    for at in re.finditer(r" ?(?:@|[(\[][Aa][Tt][)\]]) ?", text):
        local = _LOCAL.search(text, max(0, at.start() - 64), at.start())
        domain = _DOMAIN.match(text, at.end(), min(len(text), at.end() + 255))
        if local and domain:
            yield _Span(MAIL, local.start(), domain.end())


# Masking and searching --------------------------------------------------------------------------------------------------


def mask(number: str) -> str:
    """The first three and last two digits, so that the clerk finds the cell and nobody finds the person. Gaps stay."""
    places = [place for place, character in enumerate(number) if _FORMS[ord(character)] in _SHOWN_AS_DIGITS]
    hidden = set(places[3:-2])
    return "".join("*" if place in hidden else character for place, character in enumerate(number))


_SHOWN_AS_DIGITS = frozenset("0123456789Xx")


def _masked(rule_id: str, text: str) -> str:
    """What was found, as it may be repeated. An address keeps its first character and the kind of its end."""
    if rule_id == MAIL:
        name, at, domain = re.split(r"(@|＠|﹫|[(\[][Aa][Tt][)\]])", text, maxsplit=1)
        return f"{name.strip()[:1]}***{at}***.{re.split('[.。]', domain)[-1]}"
    if not any(_FORMS[ord(character)] in _SHOWN_AS_DIGITS for character in text):
        return text[:2] + "*" * max(0, len(text) - 3) + text[-1:]  # written in words
    if rule_id == DOCUMENT or len(text) < 11:
        plain = [place for place, character in enumerate(text) if character.isalnum()]
        hidden = set(plain[2:-2])
        return "".join("*" if place in hidden else character for place, character in enumerate(text))
    return mask(text)


def mask_personal(text: str) -> str:
    """A text (a name of a file or sheet, a remark) as it may be repeated: what is of persons in it masked, read in the direction it is
    stored in."""
    return masked_as_written(unturned(text))


def masked_as_written(text: str) -> str:
    """A text with what is of persons in it masked, and otherwise as it was written."""
    masked = text
    for span in reversed(_spans(text)):
        masked = masked[: span.start] + _masked(span.rule_id, text[span.start : span.end]) + masked[span.end :]
    return masked


#: A cell that only calls the cells below it, or beside it, something; and the shortest text that may hold something of a person.
_LONGEST_WORD, _SHORTEST = 30, 6
_LABELS = re.compile(
    "|".join(one.pattern for one in (_DOCUMENT_WORDS, _PHONE_WORDS, _HOME_WORDS, _CARD_WORDS)), re.IGNORECASE
)


#: What their words begin with.
_FIRST_OF_LABELS = frozenset("护通旅居回台签身证电手联移微家住宅卡银储信工账帐pPtTmMwWhHbBcCaA")
#: A number as cells hold them: too short for anything, or with decimals.
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,6}(?:[.][0-9]*)?|-?[0-9]{7,18}[.](?!0\Z)[0-9]+")


def _calls(text: str) -> bool:
    """Whether a cell only says what others hold."""
    if len(text) > _LONGEST_WORD or _FIRST_OF_LABELS.isdisjoint(text) or (text.isascii() and not text[0].isalpha()):
        return False
    return _LABELS.search(text) is not None and not any(map(str.isdigit, text))


def search(texts: Iterable[tuple[Where, str]]) -> Iterator[Found]:
    """One thing found a text and rule. A cell that calls the cells below or right of it 护照号 or 手机 speaks for their numbers too.

    `texts`: those of a sheet's cells row by row.
    """
    above: dict[tuple[str, int | None], str] = {}
    beside: tuple[str, int | None, str] = ("", None, "")
    for where, text in texts:
        is_short = len(text) < _SHORTEST
        if (is_short and text.isascii()) or _PLAIN_NUMBER.fullmatch(text):
            continue
        label = ""
        if where.row is not None and not where.place:
            if _calls(text):
                above[(where.sheet, where.column)] = text
                beside = (where.sheet, where.row, text)
                continue
            if above or beside[2]:
                label = above.get((where.sheet, where.column), "")
                if beside[:2] == (where.sheet, where.row):
                    label = beside[2]
                    beside = ("", None, "")
        if is_short:
            continue
        rules: set[str] = set()
        for span in _spans(text, label):
            if span.rule_id not in rules:
                rules.add(span.rule_id)
                shown = "".join(
                    character
                    for character in text[span.start : span.end]
                    if _FORMS[ord(character)] or character == "\n"
                )
                yield Found(span.rule_id, _masked(span.rule_id, shown), where)
