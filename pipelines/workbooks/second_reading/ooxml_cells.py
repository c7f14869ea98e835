"""What both ways of reading an OOXML sheet share: addresses and areas, references in texts, and values that are neither
number nor shared text."""

import re
from collections.abc import Sequence
from typing import Any

from pipelines.workbooks.second_reading.cells import SOME, Cell, Contradiction, SheetReading
from pipelines.workbooks.workbook import Area

#: What a worksheet can hold.
_LAST_COLUMN, LAST_ROW = 16_384, 1_048_576
RUBY = re.compile(r"<rPh\b.*?</rPh>", re.DOTALL)
TEXT = re.compile(r"<t(?: [^<>]*)?>([^<]*)</t>")
ENTITY_REFERENCE = re.compile(r"&(#x[0-9A-Fa-f]+|#[0-9]+|amp|lt|gt|quot|apos);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class _Columns(dict[str, int]):
    def __missing__(self, letters: str) -> int:
        column = 0
        for letter in letters:
            column = column * 26 + ord(letter) - 64
        if column > _LAST_COLUMN:
            raise Contradiction(f"单元格在 {letters} 列，工作表没有这一列")
        self[letters] = column - 1
        return column - 1


COLUMNS = _Columns()
_ADDRESS = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


def position(address: str) -> tuple[int, int]:
    match = _ADDRESS.fullmatch(address.strip())
    if not match or not 0 < int(match[2]) <= LAST_ROW:
        raise Contradiction(f"单元格地址“{address[:20]}”不成立")
    return int(match[2]) - 1, COLUMNS[match[1].upper()]


def area_of(reference: str) -> Area | None:
    first, _, last = reference.partition(":")
    try:
        (top, left), (bottom, right) = position(first), position(last or first)
    except Contradiction:
        return None
    return top, left, bottom, right


def note_areas(merged: Sequence[str], filters: Sequence[str], reading: SheetReading) -> None:
    """Note merged cells and the rows under a filter; a reference that names no area is none."""
    for reference in merged:
        area = area_of(reference)
        if area and area[:2] != area[2:]:
            reading.merged.append(area)
    for reference in filters:
        area = area_of(reference)
        if area:
            reading.filters.append((area[0], area[2]))


def shows(value: Any) -> bool:
    return not isinstance(value, str) or bool(value.strip())


def unescaped(text: str) -> str:
    if "&" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("#"):
            return chr(int(name[2:], 16) if name[1] == "x" else int(name[1:]))
        return _ENTITIES[name]

    return ENTITY_REFERENCE.sub(one, text)


def other_value(
    kind: str, value: str, inline: str, row: int, column: int, formula: str, reading: SheetReading
) -> Cell | None:
    if kind == "inlineStr":
        text = "".join(TEXT.findall(RUBY.sub("", inline))) if inline else value
        return (row, column, unescaped(text)) if text else None
    if kind == "e":
        reading.errors[(row, column)] = value or "#ERROR!"
        return row, column, SOME
    if kind == "b":
        return (row, column, value.strip() in ("1", "true")) if value else None
    if kind in ("str", "d"):
        return (row, column, unescaped(value)) if value else None
    if formula and not value and kind != "s":
        reading.valueless.add((row, column))
        return None
    return (row, column, SOME) if value else None
