"""Finds what must never be in an aggregate return: identity numbers, mobile numbers, bank cards.

Belongs here: recognising and masking them. Check digits keep a long sum of money from passing for a person.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from pipelines.screening.identify import Observation
from pipelines.screening.workbook import Workbook

_LONG_NUMBER = re.compile(r"(?<![\d.])(\d{17}[Xx]|\d{15,19}|\d{11})(?![\d.]*\d)")
_MOBILE = re.compile(r"1[3-9]\d{9}")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"


def is_identity_number(digits: str) -> bool:
    """GB 11643 resident identity number: 18 characters, a plausible date, the right check character (ISO 7064 MOD 11-2)."""
    if len(digits) != 18 or not digits[:17].isdigit():
        return False
    if not ("1900" <= digits[6:10] <= "2099" and "01" <= digits[10:12] <= "12" and "01" <= digits[12:14] <= "31"):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECK[total % 11] == digits[17].upper()


def is_bank_card(digits: str) -> bool:
    """16 to 19 digits of a UnionPay, Visa or Mastercard range that pass the Luhn check."""
    if not 16 <= len(digits) <= 19 or digits[0] not in "3456":
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if position % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def mask(digits: str) -> str:
    """The first three and last two characters, so that the clerk finds the cell and nobody finds the person."""
    return f"{digits[:3]}{'*' * (len(digits) - 5)}{digits[-2:]}"


def mask_personal(text: str) -> str:
    """A name of a file or sheet with the numbers of persons in it masked."""
    if not _numbers(text):
        return text  # as it was written: a name is what people search by
    return _LONG_NUMBER.sub(
        lambda match: match[0].replace(match[1], mask(match[1])) if _kind(match[1]) else match[0],
        unicodedata.normalize("NFKC", text),
    )


def personal_data(workbook: Workbook, file_names: Iterable[str] = ()) -> Iterator[Observation]:
    """One observation a cell and kind of number found, anywhere in the file: hidden sheets, sheet names, file names too."""
    for name in sorted(set(file_names)):
        for rule_id, masked in _numbers(name).items():
            yield Observation(rule_id, value=masked, detail="文件名中")
    for sheet in workbook.sheets:
        for rule_id, masked in _numbers(sheet.name).items():
            yield Observation(rule_id, mask_personal(sheet.name), value=masked, detail="工作表名中")
        for row, cells in enumerate(sheet.rows):
            for column, text in enumerate(cells):
                if text is not None and len(text) >= 11:
                    for rule_id, masked in _numbers(text).items():
                        yield Observation(rule_id, sheet.name, row, column, value=masked)


def _numbers(text: str) -> dict[str, str]:
    """Rule id → the first number of that kind in a text, masked."""
    found: dict[str, str] = {}
    for match in _LONG_NUMBER.finditer(unicodedata.normalize("NFKC", text)):
        rule_id = _kind(match[1])
        if rule_id:
            found.setdefault(rule_id, mask(match[1]))
    return found


def _kind(digits: str) -> str | None:
    if is_identity_number(digits):
        return "FILE-1a-identity-number"
    if len(digits) == 11 and _MOBILE.fullmatch(digits):
        return "FILE-1a-phone-number"
    if is_bank_card(digits):
        return "FILE-1a-bank-card"
    return None
