"""Sheets and shared texts of BIFF5 and BIFF8 (.xls, .et). Layout: [MS-XLS].

Not to be had here: which formula reads from another workbook, and whether a formula was ever calculated (one always holds a result).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

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
from pipelines.workbooks.second_reading.records import Biff8

#: The version that a BOF record states.
_BIFF8 = 0x0600
#: Where the characters of a text take on a font: (first character, number of the font).
_FontRuns = list[tuple[int, int]]


@dataclass
class XlsReading:
    """What the second reader saw of an .xls stream: a sheet's type (0 worksheet, 1 Excel 4 macros) and offset by position.

    `font_marks`: the mark of each font; `styles`: number of a cell's style → the mark of its font, of those that have one.
    """

    sheets: list[tuple[int, int]] = field(default_factory=list)
    strings: SharedTexts = field(default_factory=SharedTexts)
    font_marks: list[str] = field(default_factory=list)
    styles: dict[int, str] = field(default_factory=dict)
    from_1904: bool = False
    is_encrypted: bool = False
    has_dde: bool = False
    version: int = _BIFF8

    def mark_of_font(self, number: int) -> str:
        """The mark of a font as runs and styles count them: there is no fourth."""
        at = number - (number > 4)
        return self.font_marks[at] if at < len(self.font_marks) else ""

    def runs(self, text: str, fonts: _FontRuns) -> Runs:
        """The runs of a text of which is told where which font begins."""
        marks = [(start, self.mark_of_font(font)) for start, font in fonts]
        return counted_runs(text, marks) if self.version == _BIFF8 else counted_runs(text, marks, "gb18030", 1)

    def marked(self, style: int, text: Value, fonts: _FontRuns | None = None) -> str:
        """What is marked in a cell that holds a text of its own, or no text at all."""
        of_cell = self.styles.get(style, "")
        if not isinstance(text, str):
            return of_cell
        if fonts and any(self.mark_of_font(font) for _, font in fonts):
            return marked_text(self.runs(text, fonts), of_cell)
        return of_cell if text.strip() else ""


def read_xls_globals(stream: bytes) -> XlsReading:
    """The first substream of an .xls: its sheets, texts and links."""
    found = XlsReading()
    fonts_of_styles: list[int] = []
    fonts_of_texts: dict[int, _FontRuns] = {}
    for kind, data, following in records8(stream, 0):
        if kind == Biff8.BOF and len(data) >= 4 and not found.sheets:
            (found.version,) = struct.unpack_from("<H", data, 0)
        elif kind == Biff8.FILE_PASS:
            found.is_encrypted = True
        elif kind == Biff8.DATE_1904 and data[:2] == b"\x01\x00":
            found.from_1904 = True
        elif kind == Biff8.BOUND_SHEET_8 and len(data) >= 6:
            offset, _, sheet_type = struct.unpack_from("<IBB", data, 0)
            found.sheets.append((sheet_type, offset))
        elif kind == Biff8.SST:
            texts, fonts_of_texts = _sst([data, *_continued(stream, following)])
            found.strings = SharedTexts(texts)
        elif kind == Biff8.FONT and len(data) >= 10:
            flags, raised_or_lowered = struct.unpack_from("<2xH4xH", data, 0)
            found.font_marks.append(
                mark_of(struck=bool(flags & 8), raised=raised_or_lowered == 1, lowered=raised_or_lowered == 2)
            )
        elif kind == Biff8.XF and len(data) >= 2:
            fonts_of_styles.append(struct.unpack_from("<H", data, 0)[0])
        elif kind == Biff8.SUP_BOOK and len(data) > 4 and found.version == _BIFF8:
            # A DDE or OLE link names its program and topic apart by \x03; a workbook's name stands alone.
            count, length, flags = struct.unpack_from("<HHB", data, 0)
            name = data[5:].decode("utf-16-le", "replace") if flags & 1 else data[5:].decode("latin-1")
            found.has_dde |= count == 0 and "\x03" in name[:length]
        elif kind == Biff8.EOF:
            break
    if any(found.font_marks):
        marks = ((style, found.mark_of_font(font)) for style, font in enumerate(fonts_of_styles))
        found.styles = {style: mark for style, mark in marks if mark}
        found.strings.runs = {
            number: found.runs(found.strings[number], fonts)
            for number, fonts in fonts_of_texts.items()
            if any(found.mark_of_font(font) for _, font in fonts)
        }
    return found


def records8(stream: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """(kind, data, offset of the next record)."""
    end = len(stream)
    while at + 4 <= end:
        kind, size = struct.unpack_from("<HH", stream, at)
        at += 4
        if at + size > end:
            raise Contradiction("工作簿在记录中间断开")
        yield kind, stream[at : at + size], at + size
        at += size


def _continued(stream: bytes, at: int) -> Iterator[bytes]:
    for kind, data, _ in records8(stream, at):
        if kind != Biff8.CONTINUE:
            return
        yield data


def _sst(pieces: list[bytes]) -> tuple[list[str], dict[int, _FontRuns]]:
    """The table of texts, which runs on over CONTINUE records; characters cut there begin anew with a byte of flags.

    With the runs of those texts that have any, by number.
    """
    strings: list[str] = []
    runs_of: dict[int, _FontRuns] = {}
    piece, at = 0, 8

    def take(size: int) -> bytes:
        nonlocal piece, at
        taken = b""
        while size and piece < len(pieces):
            part = pieces[piece][at : at + size]
            taken, at, size = taken + part, at + len(part), size - len(part)
            if size:
                piece, at = piece + 1, 0
        if size:
            raise Contradiction("文字表不完整")
        return taken

    (total,) = struct.unpack_from("<I", pieces[0], 4)
    for _ in range(total):
        if piece >= len(pieces) - 1 and at >= len(pieces[piece]):
            break  # some writers count more texts than they write
        length, flags = struct.unpack("<HB", take(3))
        runs = struct.unpack("<H", take(2))[0] if flags & 8 else 0
        extended = struct.unpack("<I", take(4))[0] if flags & 4 else 0
        text = ""
        while length:
            if at >= len(pieces[piece]):
                piece, at = piece + 1, 0
                if piece >= len(pieces):
                    raise Contradiction("文字表不完整")
                flags = pieces[piece][0]
                at = 1
            width = 2 if flags & 1 else 1
            fits = min(length, (len(pieces[piece]) - at) // width)
            if fits == 0:
                raise Contradiction("文字表不完整")
            text += pieces[piece][at : at + fits * width].decode("utf-16-le" if width == 2 else "latin-1", "replace")
            at += fits * width
            length -= fits
        if runs:
            runs_of[len(strings)] = list(struct.iter_unpack("<HH", take(4 * runs)))
        take(extended)
        strings.append(text)
    return strings, runs_of


#: Records of one number, truth value or formula; their style follows row and column.
_NUMBERS = frozenset([Biff8.NUMBER, Biff8.RK, Biff8.BOOL_ERR, Biff8.FORMULA, Biff8.FORMULA_3, Biff8.FORMULA_4])


def read_xls_sheet(stream: bytes, offset: int, book: XlsReading, reading: SheetReading) -> Iterator[Cell]:
    """Every cell of a sheet's substream that holds something."""
    depth = 0
    awaits: tuple[int, int, int] | None = None
    may_be_marked = any(book.font_marks)
    for kind, data, _ in records8(stream, offset):
        if kind == Biff8.BOF:
            depth += 1
        elif kind == Biff8.EOF:
            depth -= 1
            if depth <= 0:
                return
        elif depth != 1:
            continue  # a chart within the sheet
        elif kind == Biff8.ROW and len(data) >= 14:
            if data[12] & 0x20:
                reading.hide_row(struct.unpack_from("<H", data, 0)[0], folded=bool(data[12] & 0x07))
        elif kind == Biff8.COL_INFO and len(data) >= 10:
            first, last, _, _, flags = struct.unpack_from("<HHHHH", data, 0)
            if flags & 1:
                reading.hide_columns(first, last, folded=bool(flags & 0x0700))
        elif kind == Biff8.FILTER_MODE:  # a filter hides rows; where it stands is said elsewhere
            reading.filters.append((0, 0xFFFF))
        elif kind == Biff8.MERGE_CELLS and len(data) >= 2:
            for at in range(2, len(data) - 7, 8):
                top, bottom, left, right = struct.unpack_from("<HHHH", data, at)
                reading.merged.append((top, left, bottom, right))
        elif kind == Biff8.STRING and awaits:
            value = _xls_text(data, book)
            row, column, style = awaits
            if value:
                if may_be_marked:
                    reading.mark(row, column, book.marked(style, value))
                yield row, column, value
            awaits = None
        elif len(data) >= 6:
            row, column, style = struct.unpack_from("<HHH", data, 0)
            if style in book.styles and kind in _NUMBERS:
                reading.mark(row, column, book.styles[style])
            if kind == Biff8.NUMBER:
                yield row, column, float(struct.unpack_from("<d", data, 6)[0])
            elif kind == Biff8.RK:
                yield row, column, packed_number(struct.unpack_from("<I", data, 6)[0])
            elif kind == Biff8.MUL_RK:
                for number in range((len(data) - 6) // 6):
                    if may_be_marked:
                        (style,) = struct.unpack_from("<H", data, 4 + 6 * number)
                        reading.mark(row, column + number, book.styles.get(style, ""))
                    yield row, column + number, packed_number(struct.unpack_from("<I", data, 4 + 6 * number + 2)[0])
            elif kind == Biff8.LABEL_SST:
                index = struct.unpack_from("<I", data, 6)[0]
                text = shared_text(book.strings, str(index), row, column)
                if text:
                    if may_be_marked:
                        reading.mark(row, column, book.strings.marked(index, book.styles.get(style, "")))
                    yield row, column, text
            elif kind in (Biff8.LABEL, Biff8.R_STRING):
                text_or_some = _xls_text(data[6:], book)
                if text_or_some:
                    if may_be_marked:
                        fonts = _own_fonts(data[6:], book) if kind == Biff8.R_STRING else None
                        reading.mark(row, column, book.marked(style, _readable(text_or_some, data[6:]), fonts))
                    yield row, column, text_or_some
            elif kind == Biff8.BOOL_ERR:
                if data[7]:
                    reading.errors[(row, column)] = ERROR_TEXTS.get(data[6], "#ERROR!")
                    yield row, column, SOME
                else:
                    yield row, column, bool(data[6])
            elif kind in (Biff8.FORMULA, Biff8.FORMULA_3, Biff8.FORMULA_4) and len(data) >= 14:
                result = data[6:14]
                if result[6:8] != b"\xff\xff":
                    yield row, column, float(struct.unpack("<d", result)[0])
                elif result[0] == 0:
                    awaits = (row, column, style)
                elif result[0] == 1:
                    yield row, column, bool(result[2])
                elif result[0] == 2:
                    reading.errors[(row, column)] = ERROR_TEXTS.get(result[2], "#ERROR!")
                    yield row, column, SOME


def _readable(text: Value, data: bytes) -> str:
    """A text as it may be shown: one of an old file in the code page of Chinese systems."""
    if isinstance(text, str):
        return text
    (length,) = struct.unpack_from("<H", data, 0)
    return data[2 : 2 + length].decode("gb18030", "replace") or "有"


def _own_fonts(data: bytes, book: XlsReading) -> _FontRuns | None:
    """The runs that follow a text which stands in its cell."""
    (length,) = struct.unpack_from("<H", data, 0)
    if book.version == _BIFF8:
        at, count, one = 3 + length * (2 if data[2] & 1 else 1), "<H", "<HH"
    else:
        at, count, one = 2 + length, "<B", "<BB"
    try:
        (runs_n,) = struct.unpack_from(count, data, at)
        at += struct.calcsize(count)
        return list(struct.iter_unpack(one, data[at : at + runs_n * struct.calcsize(one)]))
    except struct.error:
        return None


def _xls_text(data: bytes, book: XlsReading) -> Value | None:
    (length,) = struct.unpack_from("<H", data, 0)
    if not length:
        return None
    if book.version != _BIFF8:
        return SOME  # in the code page of whoever wrote it
    if data[2] & 1:
        text = data[3 : 3 + 2 * length].decode("utf-16-le", "replace")
    else:
        text = data[3 : 3 + length].decode("latin-1")
    return text if len(text) == length or data[2] & 1 else SOME  # longer ones run on in the next record
