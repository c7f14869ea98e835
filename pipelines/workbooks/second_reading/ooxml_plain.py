"""OOXML parts written as office programs write them, which is nearly all, read by expressions, which is much faster
than a walk.

Whatever is written in another way that XML allows is told here and left to `ooxml`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pipelines.workbooks.second_reading.cells import Cell, Contradiction, SheetReading, Value, number_of, shared_text
from pipelines.workbooks.second_reading.marks import SharedTexts
from pipelines.workbooks.second_reading.ooxml_cells import (
    COLUMNS,
    ENTITY_REFERENCE,
    LAST_ROW,
    RUBY,
    TEXT,
    note_areas,
    other_value,
    shows,
    unescaped,
)

_CELL = re.compile(
    r'<c r="([A-Z]{1,3})([0-9]{1,7})"(?: s="[0-9]*")?(?: t="([a-zA-Z]+)")?(?:/>|>'
    r"(?:<f(?: [^<>]*)?(?:/>|>([^<>]*)</f>))?(?:<v>([^<>]*)</v>|<v ?/>)?(?:<is>(.*?)</is>)?</c>)"
)
_STYLE = re.compile(r'<c r="[A-Z]{1,3}[0-9]{1,7}"(?: s="([0-9]*)")?')
_ROW_HIDDEN = re.compile(r'<row (?=[^<>]*hidden="(?:1|true)")([^<>]*)>')
_ROW_NUMBER = re.compile(r'\br="([0-9]+)"')
_OUTLINED = re.compile(r'outlineLevel="[1-9]')
_MERGED = re.compile(r'<mergeCell ref="([^"<>]*)"')
_FILTER = re.compile(r'<autoFilter (?:[^<>]*? )?ref="([^"<>]*)"')
_COL_HIDDEN = re.compile(r'<col (?=[^<>]*hidden="(?:1|true)")([^<>]*)>')
_STRING = re.compile(r"<si(?: [^<>]*)?>(.*?)</si>|<si ?/>", re.DOTALL)
_SLICE = 1 << 20


def refuse_entities(content: bytes) -> None:
    """Raises Contradiction for a part that defines entities, which no office program writes and a few lines unfold to
    gigabytes."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Contradiction("XML 含有实体定义（DTD）")


def xml_text(content: bytes, root: str) -> str | None:
    """A part as text if it is written as office programs write it, plainly enough for expressions; None otherwise.

    `root`: its outermost element, unprefixed. Raises Contradiction for one that defines entities.
    """
    refuse_entities(content)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    head = text[:400]
    if "encoding=" in head and not re.match(r'<\?xml[^>]*encoding=["\'](?:utf-8|UTF-8)["\']', head):
        return None
    if "<!" in text or text.count("<?") > 1 or f"<{root}" not in text[:4000]:
        return None
    if "&" in text and len(ENTITY_REFERENCE.findall(text)) != text.count("&"):
        return None
    return text


def _needs_a_walk(text: str, start: int, end: int) -> bool:
    """Whether a part has there what expressions cannot tell: alternatives, other namespaces, runs that may be marked."""
    words = ("AlternateContent", "xmlns", "vertAlign", "<strike")
    return any(text.find(word, start, end) >= 0 for word in words)


def _slices(text: str, start: int, end: int) -> Iterator[str]:
    """The rows of a sheet in pieces."""
    while start < end:
        stop = text.find("</row>", start + _SLICE, end)
        stop = end if stop < 0 else stop
        yield text[start:stop]
        start = stop


def _hidden_columns(text: str, reading: SheetReading) -> None:
    for hidden in _COL_HIDDEN.findall(text):
        first, last = re.search(r'min="([0-9]+)"', hidden), re.search(r'max="([0-9]+)"', hidden)
        if first and last:
            reading.hide_columns(int(first[1]) - 1, int(last[1]) - 1, folded=bool(_OUTLINED.search(hidden)))


def _hidden_rows(text: str, reading: SheetReading) -> None:
    for hidden in _ROW_HIDDEN.findall(text):
        number = _ROW_NUMBER.search(hidden)
        if number:
            reading.hide_row(int(number[1]) - 1, folded=bool(_OUTLINED.search(hidden)))


def _plain_cells(
    cells: list[tuple[str, ...]], strings: Sequence[str], reading: SheetReading, grid: Sequence[Sequence[Any]]
) -> Iterator[Cell]:
    columns = COLUMNS
    agreed = 0
    at, row, firsts = "", -1, cast(Sequence[Any], ())
    height = len(grid)
    for letters, digits, kind, formula, value, inline in cells:
        if digits != at:
            at, row = digits, int(digits) - 1
            if not 0 <= row < LAST_ROW:
                raise Contradiction(f"单元格在第 {digits} 行，工作表没有这一行")
            firsts = grid[row] if row < height else ()
        column = columns[letters]
        if formula:
            reading.formula(row, column, unescaped(formula))
        mine: Value
        try:
            if kind == "s" and value:
                mine = strings[int(value)]
            elif not kind or kind == "n":
                if not value:
                    if formula:
                        reading.valueless.add((row, column))
                    continue
                mine = float(value)
            else:
                cell = other_value(kind, value, inline, row, column, formula, reading)
                if cell is not None:
                    yield cell
                continue
        except (ValueError, IndexError):
            mine = (
                shared_text(strings, value, row, column) if kind == "s" else number_of(value, row, column)
            )  # says what is wrong
        if column < len(firsts) and firsts[column] == mine and mine != "":
            agreed += 1
        else:
            yield row, column, mine
    reading.agreed_n += agreed


def _plain_marks(
    piece: str,
    cells: list[tuple[str, ...]],
    strings: SharedTexts,
    reading: SheetReading,
    grid: Sequence[Sequence[Any]],
    styles: dict[int, str],
) -> None:
    """Note the cells of a piece that hold a text with marked runs, or whose own font is marked."""
    for (letters, digits, kind, _, value, _), style in zip(cells, _STYLE.findall(piece), strict=True):
        of_cell = styles.get(int(style or 0), "") if styles else ""
        text = int(value) if kind == "s" and value.isdecimal() else -1
        if of_cell or text in strings.runs:
            row, column = int(digits) - 1, COLUMNS[letters]
            if row < len(grid) and column < len(grid[row]) and shows(grid[row][column]):
                reading.mark(row, column, strings.marked(text, of_cell))


def far_corner(content: bytes) -> tuple[int, int]:
    """(rows, columns) that the last cell of an OOXML sheet reaches, (0, 0) if that is not plain to see."""
    at = content.rfind(b'<c r="')
    match = re.match(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"', content[at : at + 32]) if at >= 0 else None
    return (int(match[2]), COLUMNS[match[1].decode()] + 1) if match else (0, 0)


def plain_shared_strings(content: bytes) -> SharedTexts | None:
    """The table of texts; None where it takes a walk."""
    text = xml_text(content, "sst")
    if text is None or _needs_a_walk(text, text.find("<si"), len(text)):
        return None
    found = _STRING.findall(text)
    if text.count("<si") != len(found):
        return None
    strings = SharedTexts()
    for inner in found:
        if "<rPh" in inner:
            inner = RUBY.sub("", inner)
        parts = TEXT.findall(inner)
        strings.append(unescaped(parts[0] if len(parts) == 1 else "".join(parts)))
    return strings


def plain_sheet(
    content: bytes,
    strings: SharedTexts,
    reading: SheetReading,
    grid: Sequence[Sequence[Any]],
    styles: dict[int, str],
) -> Iterator[Cell] | None:
    """As `ooxml.read_ooxml_sheet`; None where it takes a walk, and then nothing is noted yet."""
    text = xml_text(content, "worksheet")
    if text is None:
        return None
    start = text.find("<sheetData")
    end = text.find("</sheetData>", start)
    if start < 0 or "<sheetData/>" in text:
        return iter(())
    if end < 0 or text.count("<sheetData") != 1 or _needs_a_walk(text, start, end):
        return None
    pieces = list(_slices(text, start, end))
    found = [_CELL.findall(piece) for piece in pieces]
    if any(
        piece.count("<c ") + piece.count("<c>") + piece.count("<c/") != len(cells)
        for piece, cells in zip(pieces, found, strict=True)
    ):
        return None

    def cells_of_pieces() -> Iterator[Cell]:
        _hidden_columns(text[:start], reading)
        for piece, cells in zip(pieces, found, strict=True):
            if 'hidden="' in piece:
                _hidden_rows(piece, reading)
            if styles or strings.runs:
                _plain_marks(piece, cells, strings, reading, grid, styles)
            yield from _plain_cells(cells, strings, reading, grid)
        after = text[end:]
        note_areas(_MERGED.findall(after), _FILTER.findall(after), reading)

    return cells_of_pieces()
