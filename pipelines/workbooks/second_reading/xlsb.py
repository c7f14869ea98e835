"""Sheets and shared texts of BIFF12 (.xlsb). Layout: [MS-XLSB]."""

import struct
from collections.abc import Iterator

from pipelines.workbooks.second_reading.cells import (
    ERROR_TEXTS,
    SOME,
    Cell,
    Contradiction,
    SheetReading,
    Value,
    packed_number,
    shared_text,
)
from pipelines.workbooks.second_reading.marks import Runs, SharedTexts, counted_runs, mark_of, marked_text
from pipelines.workbooks.second_reading.records import Biff12


def records12(content: bytes) -> Iterator[tuple[int, bytes]]:
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


class Xlsb:
    """What cells refer to in an .xlsb: its shared texts, and the marks of its fonts.

    `styles`: number of a cell's style → the mark of its font, of those that have one.
    """

    def __init__(self, strings: bytes = b"", styles: bytes = b"") -> None:
        self.fonts: list[str] = []
        self.styles: dict[int, str] = {}
        self._read_styles(styles)
        self.strings = SharedTexts()
        for kind, data in records12(strings):
            if kind == Biff12.SST_ITEM:
                text, runs = self.rich_text(data, 0)
                if runs:
                    self.strings.runs[len(self.strings)] = runs
                self.strings.append(text)

    def _read_styles(self, content: bytes) -> None:
        used: list[int] = []
        in_cell_styles = False
        for kind, data in records12(content):
            if kind == Biff12.FONT and len(data) >= 8:
                flags, raised_or_lowered = struct.unpack_from("<2xH2xH", data, 0)
                self.fonts.append(
                    mark_of(struck=bool(flags & 8), raised=raised_or_lowered == 1, lowered=raised_or_lowered == 2)
                )
            elif kind in (Biff12.BEGIN_CELL_XFS, Biff12.END_CELL_XFS):
                in_cell_styles = kind == Biff12.BEGIN_CELL_XFS
            elif kind == Biff12.XF and in_cell_styles and len(data) >= 6:
                used.append(struct.unpack_from("<H", data, 4)[0])
        marks = ((style, self.fonts[font]) for style, font in enumerate(used) if font < len(self.fonts))
        self.styles = {style: mark for style, mark in marks if mark}

    def rich_text(self, data: bytes, at: int) -> tuple[str, Runs | None]:
        """A text that may have runs, and these if one of them is marked."""
        text, end = _wide(data, at + 1)
        if not text or not data[at] & 1 or len(data) < end + 4:
            return text or "", None
        (runs_n,) = struct.unpack_from("<I", data, end)
        numbers = struct.iter_unpack("<HH", data[end + 4 : end + 4 + 4 * runs_n][: (len(data) - end - 4) // 4 * 4])
        fonts = [(start, self.fonts[font] if font < len(self.fonts) else "") for start, font in numbers]
        return text, counted_runs(text, fonts) if any(mark for _, mark in fonts) else None


def read_xlsb_sheets(content: bytes) -> tuple[list[tuple[str, str]], bool]:
    """(sheet name, relation id) in the order of an .xlsb workbook, and whether its days count from 1904."""
    sheets = []
    from_1904 = False
    for kind, data in records12(content):
        if kind == Biff12.WB_PROP:
            from_1904 = bool(data[0] & 1)
        elif kind == Biff12.BUNDLE_SH:
            relation, at = _wide(data, 8)
            sheets.append((_wide(data, at)[0] or "", relation or ""))
    return sheets, from_1904


def is_dde_link12(content: bytes) -> bool:
    """Whether an external link part of an .xlsb is a DDE link."""
    return any(kind == Biff12.BEGIN_SUP_BOOK and data[:2] == b"\x01\x00" for kind, data in records12(content))


def read_xlsb_sheet(content: bytes, book: Xlsb, reading: SheetReading) -> Iterator[Cell]:
    """Every cell of a BIFF12 sheet part that holds something."""
    row = column = -1
    may_be_marked = bool(book.styles or book.strings.runs)
    for kind, data in records12(content):
        if kind == Biff12.ROW_HDR:
            (row,) = struct.unpack_from("<I", data, 0)
            column = -1
            if len(data) > 11 and data[11] & 0x10:
                reading.hide_row(row, folded=bool(data[11] & 0x07))
        elif kind == Biff12.COL_INFO:
            first, last = struct.unpack_from("<II", data, 0)
            if len(data) >= 18 and data[16] & 1:
                reading.hide_columns(first, last, folded=bool(data[17] & 0x07))
        elif kind == Biff12.MERGE_CELL and len(data) >= 16:
            top, bottom, left, right = struct.unpack_from("<IIII", data, 0)
            reading.merged.append((top, left, bottom, right))
        elif kind == Biff12.BEGIN_A_FILTER and len(data) >= 16:
            top, bottom = struct.unpack_from("<II", data, 0)
            reading.filters.append((top, bottom))
        elif Biff12.CELL_BLANK <= kind <= Biff12.SHORT_ISST or kind == Biff12.CELL_R_STRING:
            if kind <= Biff12.FMLA_ERROR or kind == Biff12.CELL_R_STRING:
                (column,) = struct.unpack_from("<I", data, 0)
                at, content_kind = 8, kind
            else:  # the short forms stand right of the cell before
                column += 1
                at, content_kind = 4, kind - Biff12.SHORT
            runs: Runs | None = None
            value: Value | None
            if kind == Biff12.CELL_R_STRING:  # a text with runs in its cell, which the first reader passes over
                value, runs = book.rich_text(data, at)
                if value:
                    reading.left_out[(row, column)] = value
            else:
                value = _value12(content_kind, data, at, book.strings, (row, column), reading)
            if value is None or value == "":
                continue
            if may_be_marked or runs:
                style = struct.unpack_from("<I", data, at - 4)[0] & 0xFFFFFF
                of_cell = book.styles.get(style, "")
                if content_kind == Biff12.CELL_ISST:
                    told = book.strings.marked(struct.unpack_from("<I", data, at)[0], of_cell)
                else:
                    told = marked_text(runs, of_cell) if runs else of_cell
                reading.mark(row, column, told)
            yield row, column, value


def read_xlsb_table(content: bytes, reading: SheetReading) -> None:
    """Note the filter of a table object, which stands in a part of its own."""
    for kind, data in records12(content):
        if kind == Biff12.BEGIN_A_FILTER and len(data) >= 16:
            top, bottom = struct.unpack_from("<II", data, 0)
            reading.filters.append((top, bottom))


def _value12(
    kind: int, data: bytes, at: int, strings: SharedTexts, place: tuple[int, int], reading: SheetReading
) -> Value | None:
    if kind == Biff12.CELL_BLANK:
        return None
    if kind == Biff12.CELL_RK:
        return packed_number(struct.unpack_from("<I", data, at)[0])
    if kind in (Biff12.CELL_ERROR, Biff12.FMLA_ERROR):
        reading.errors[place] = ERROR_TEXTS.get(data[at], "#ERROR!")
        return SOME
    if kind in (Biff12.CELL_BOOL, Biff12.FMLA_BOOL):
        return bool(data[at])
    if kind in (Biff12.CELL_REAL, Biff12.FMLA_NUM):
        return float(struct.unpack_from("<d", data, at)[0])
    if kind in (Biff12.CELL_ST, Biff12.FMLA_STRING):
        return _wide(data, at)[0] or None
    index = struct.unpack_from("<I", data, at)[0]
    return shared_text(strings, str(index), *place) or None
