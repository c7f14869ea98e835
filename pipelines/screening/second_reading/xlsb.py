"""Sheets and shared texts of BIFF12 (.xlsb). Layout: [MS-XLSB]."""

import struct
from collections.abc import Iterator, Sequence

from pipelines.screening.second_reading.cells import (
    ERROR_TEXTS,
    SOME,
    Cell,
    Contradiction,
    SheetReading,
    Value,
    packed_number,
    shared_text,
)


def _records12(content: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 0, len(content)
    while at < end:
        kind = content[at]
        at += 1
        if kind & 0x80 and at < end:
            kind = (kind & 0x7F) | ((content[at] & 0x7F) << 7)
            at += 1
        size = shift = 0
        while at < end and shift < 28:
            byte = content[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if at + size > end:
            raise Contradiction("二进制工作表在记录中间断开")
        yield kind, content[at : at + size]
        at += size


def _wide(data: bytes, at: int) -> tuple[str | None, int]:
    (length,) = struct.unpack_from("<I", data, at)
    if length == 0xFFFFFFFF:
        return None, at + 4
    stop = at + 4 + 2 * length
    if stop > len(data):
        raise Contradiction("文字长度超出记录")
    return data[at + 4 : stop].decode("utf-16-le", "replace"), stop


def read_xlsb_strings(content: bytes) -> list[str]:
    """The table of texts of an .xlsb workbook."""
    return [_wide(data, 1)[0] or "" for kind, data in _records12(content) if kind == 19]


def read_xlsb_sheets(content: bytes) -> tuple[list[tuple[str, str]], bool]:
    """(sheet name, relation id) in the order of an .xlsb workbook, and whether its days count from 1904."""
    sheets = []
    from_1904 = False
    for kind, data in _records12(content):
        if kind == 153:
            from_1904 = bool(data[0] & 1)
        elif kind == 156:
            relation, at = _wide(data, 8)
            sheets.append((_wide(data, at)[0] or "", relation or ""))
    return sheets, from_1904


def is_dde_link12(content: bytes) -> bool:
    """Whether an external link part of an .xlsb is a DDE link."""
    return any(kind == 360 and data[:2] == b"\x01\x00" for kind, data in _records12(content))


def read_xlsb_sheet(content: bytes, strings: Sequence[str], reading: SheetReading) -> Iterator[Cell]:
    """Every cell of a BIFF12 sheet part that holds something."""
    row = column = -1
    for kind, data in _records12(content):
        if kind == 0:
            (row,) = struct.unpack_from("<I", data, 0)
            column = -1
            if len(data) > 11 and data[11] & 0x10:
                reading.hidden_rows.add(row)
        elif kind == 60:
            first, last = struct.unpack_from("<II", data, 0)
            if len(data) >= 18 and data[16] & 1:
                reading.hidden_columns.update(range(first, min(last + 1, 1024)))
        elif 1 <= kind <= 18:
            if kind <= 11:
                (column,) = struct.unpack_from("<I", data, 0)
                at, content_kind = 8, kind
            else:  # the short forms stand right of the cell before
                column += 1
                at, content_kind = 4, kind - 11
            value = _value12(content_kind, data, at, strings, (row, column), reading)
            if value is not None:
                yield row, column, value


def _value12(
    kind: int, data: bytes, at: int, strings: Sequence[str], place: tuple[int, int], reading: SheetReading
) -> Value | None:
    if kind == 1:
        return None
    if kind == 2:
        return packed_number(struct.unpack_from("<I", data, at)[0])
    if kind in (3, 11):
        reading.errors[place] = ERROR_TEXTS.get(data[at], "#ERROR!")
        return SOME
    if kind in (4, 10):
        return bool(data[at])
    if kind in (5, 9):
        return float(struct.unpack_from("<d", data, at)[0])
    if kind in (6, 8):
        return _wide(data, at)[0] or None
    index = struct.unpack_from("<I", data, at)[0]
    return shared_text(strings, str(index), *place) or None
