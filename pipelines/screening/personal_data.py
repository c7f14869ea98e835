"""Finds what must never be in an aggregate return: identity numbers, mobile numbers, bank cards.

Belongs here: recognising and masking them, also in groups (138 0000 0000) and as a spreadsheet stores them that takes them for
numbers. Check digits, dates and region codes keep a sum of money from passing for a person; a sum with cents never does.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from pipelines.characters import folded, is_digits, searchable
from pipelines.screening.identify import Observation, Table, data_table
from pipelines.screening.workbook import Workbook

_GAP = r"[ \-\u2010-\u2015]"
_LONG_NUMBER = re.compile(
    r"(?<![\d.])("
    rf"\d{{6}}{_GAP}\d{{8}}{_GAP}\d{{3}}[\dXx]"  # an identity number: region, date of birth, rest
    rf"|(?:\+?86{_GAP}?)?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}"
    rf"|\+?86{_GAP}?1[3-9]\d{{9}}"
    rf"|\d{{4}}(?:{_GAP}\d{{4}}){{3}}(?:{_GAP}\d{{1,3}})?"  # as embossed on a card
    r"|\d\.\d{13,17}[Ee]\+?17"
    r"|\d{17}[Xx]|\d{15,19}|\d{11}"
    r")(?![\d.]*\d)"
)
#: Numbers of receipts and digests of files, as we write them ourselves into names, receipts and templates. 1.4…e17 is none.
_OUR_HEX = re.compile(r"(?<![0-9A-Za-z])(?<!\d\.)(?=\d*[a-f])(?:[0-9a-f]{64}|[0-9a-f]{16})(?![0-9A-Za-z])")
_SCIENTIFIC = re.compile(r"(\d)\.(\d+)[Ee]\+?17")
_MOBILE = re.compile(r"(?:86)?1[3-9]\d{9}")
#: First two digits of a region's code (GB/T 2260).
_PROVINCES = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"


def is_identity_number(digits: str) -> bool:
    """GB 11643 resident identity number: 18 characters, a plausible date, the right check character (ISO 7064 MOD 11-2)."""
    if len(digits) != 18 or not digits[:17].isdigit() or not _is_birthday(digits[6:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECK[total % 11] == digits[17].upper()


def is_old_identity_number(digits: str) -> bool:
    """The 15 digits in use until 1999: region, date of birth without century, sequence; they carry no check digit."""
    return (
        len(digits) == 15
        and digits.isdigit()
        and _PROVINCES.fullmatch(digits[:2]) is not None
        and _is_birthday(f"19{digits[6:12]}")
    )


def is_rounded_identity_number(digits: str) -> bool:
    """An identity number that a spreadsheet took for a number: 15 to 17 digits are left of it, then zeros."""
    return (
        len(digits) == 18
        and digits.isdigit()
        and digits.endswith("0")
        and _PROVINCES.fullmatch(digits[:2]) is not None
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
    """16 to 19 digits of a UnionPay, Visa or Mastercard range that pass the Luhn check."""
    if not 16 <= len(digits) <= 19 or digits[0] not in "3456":
        return False
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if position % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def mask(number: str) -> str:
    """The first three and last two digits, so that the clerk finds the cell and nobody finds the person. Gaps stay."""
    places = [place for place, character in enumerate(number) if character.isdigit() or character in "Xx"]
    hidden = set(places[3:-2])
    return "".join("*" if place in hidden else character for place, character in enumerate(number))


def mask_personal(text: str) -> str:
    """A name of a file or sheet with the numbers of persons in it masked."""
    if not _numbers(text):
        return text  # as it was written: a name is what people search by
    for match in _LONG_NUMBER.finditer(_without_our_hex(searchable(text))):
        if _kind(match[1]):
            text = f"{text[: match.start(1)]}{mask(text[slice(*match.span(1))])}{text[match.end(1) :]}"
    return text


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


def without_misspelt_codes(
    observations: Iterable[Observation], workbook: Workbook, tables: Sequence[Table]
) -> list[Observation]:
    """The observations without the "mobile numbers" that are a code of the county's own with a digit too many.

    A column with a fixed pattern refuses such a cell by its own rule, which tells the clerk what is really wrong.
    """
    sheets = {sheet.name: sheet for sheet in workbook.sheets}
    table_at = data_table(tables)

    def is_code(observation: Observation) -> bool:
        row, column = observation.row, observation.column
        if observation.rule_id != "FILE-1a-phone-number" or row is None or column is None:
            return False
        text = folded(sheets[observation.sheet].cell(row, column) or "")
        table = table_at(observation.sheet, row)
        name = next((name for name, place in table.columns.items() if place == column), None) if table else None
        if table is None or name is None or not table.county_code:
            return False
        return bool(table.definition.column(name).pattern) and is_digits(text) and text.startswith(table.county_code)

    return [observation for observation in observations if not is_code(observation)]


def _numbers(text: str) -> dict[str, str]:
    """Rule id → the first number of that kind in a text, masked."""
    found: dict[str, str] = {}
    for match in _LONG_NUMBER.finditer(_without_our_hex(searchable(text))):
        rule_id = _kind(match[1])
        if rule_id:
            found.setdefault(rule_id, mask(match[1]))
    return found


def _without_our_hex(text: str) -> str:
    """The text with every place kept, and letters where a number of ours stands."""
    return _OUR_HEX.sub(lambda match: "x" * len(match[0]), text)


def _kind(number: str) -> str | None:
    scientific = _SCIENTIFIC.fullmatch(number)
    digits = "".join(character for character in number if character.isdigit() or character in "Xx")
    if scientific:
        digits = (scientific[1] + scientific[2])[:17].ljust(18, "0")
    if is_identity_number(digits) or is_old_identity_number(digits) or is_rounded_identity_number(digits):
        return "FILE-1a-identity-number"
    if len(digits) in (11, 13) and _MOBILE.fullmatch(digits):
        return "FILE-1a-phone-number"
    if is_bank_card(digits):
        return "FILE-1a-bank-card"
    return None
