"""Sheets and shared texts of OOXML (.xlsx, .xlsm).

Two ways to the same cells: expressions for parts written as office programs write them, which is nearly all, and expat for whatever
else XML allows.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pipelines.workbooks.second_reading.cells import (
    SOME,
    Cell,
    Contradiction,
    SheetReading,
    Value,
    number_of,
    shared_text,
)
from pipelines.workbooks.second_reading.marks import Runs, SharedTexts, mark_of, marked_text
from pipelines.workbooks.second_reading.xml_walk import Walk
from pipelines.workbooks.workbook import Area

_MAIN = frozenset(
    ["http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main"]
)
_RELATION_IDS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships}id",
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
_RUBY = re.compile(r"<rPh\b.*?</rPh>", re.DOTALL)
_TEXT = re.compile(r"<t(?: [^<>]*)?>([^<]*)</t>")
_STRING = re.compile(r"<si(?: [^<>]*)?>(.*?)</si>|<si ?/>", re.DOTALL)
_REFERENCE = re.compile(r"&(#x[0-9A-Fa-f]+|#[0-9]+|amp|lt|gt|quot|apos);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_SLICE = 1 << 20
#: What a worksheet can hold.
_LAST_COLUMN, _LAST_ROW = 16_384, 1_048_576


class _Columns(dict[str, int]):
    def __missing__(self, letters: str) -> int:
        column = 0
        for letter in letters:
            column = column * 26 + ord(letter) - 64
        if column > _LAST_COLUMN:
            raise Contradiction(f"单元格在 {letters} 列，工作表没有这一列")
        self[letters] = column - 1
        return column - 1


_COLUMNS = _Columns()


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("#"):
            return chr(int(name[2:], 16) if name[1] == "x" else int(name[1:]))
        return _ENTITIES[name]

    return _REFERENCE.sub(one, text)


def refuse_entities(content: bytes) -> None:
    """Raises Contradiction for a part that defines entities, which no office program writes and a few lines unfold to gigabytes."""
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
    if "&" in text and len(_REFERENCE.findall(text)) != text.count("&"):
        return None
    return text


def _needs_a_walk(text: str, start: int, end: int) -> bool:
    """Whether a part has there what expressions cannot tell: alternatives, other namespaces, runs that may be marked."""
    words = ("AlternateContent", "xmlns", "vertAlign", "<strike")
    return any(text.find(word, start, end) >= 0 for word in words)


def read_shared_strings(content: bytes) -> SharedTexts:
    """The table of texts of an OOXML workbook. Phonetic readings are no text."""
    text = xml_text(content, "sst")
    if (
        text is not None
        and not _needs_a_walk(text, text.find("<si"), len(text))
        and text.count("<si") == len(found := _STRING.findall(text))
    ):
        strings = SharedTexts()
        for inner in found:
            if "<rPh" in inner:
                inner = _RUBY.sub("", inner)
            parts = _TEXT.findall(inner)
            strings.append(_unescaped(parts[0] if len(parts) == 1 else "".join(parts)))
        return strings
    texts = SharedTexts()
    for text, runs in _Strings().over(content):
        if runs:
            texts.runs[len(texts)] = runs
        texts.append(text)
    return texts


def read_marked_styles(content: bytes) -> dict[int, str]:
    """Number of a cell's style → the mark of its font, of those whose font is raised, lowered or struck out."""
    if b"vertAlign" not in content and b"strike" not in content:
        return {}
    walk = _Styles()
    for _ in walk.over(content):
        pass
    return {
        style: walk.fonts[font] for style, font in enumerate(walk.used) if font < len(walk.fonts) and walk.fonts[font]
    }


def read_workbook(content: bytes) -> tuple[list[tuple[str, str, str]], bool]:
    """(name, relation id, state) of each sheet of a workbook part, in order, and whether its days count from 1904."""
    walk = _Book()
    return list(walk.over(content)), walk.from_1904


def says_more(content: bytes, sheets: Sequence[tuple[str, str, str]]) -> bool:
    """Whether a workbook part has other elements or attributes by the names that a reader goes by who looks at no namespace."""
    elements = re.findall(rb"<(?:[\w.-]+:)?sheet(?=[\s/>])[^<>]*", content)
    ids_n = sum(len(re.findall(rb"[\w.-]+:id\s*=", element)) for element in elements)
    properties_n = len(re.findall(rb"<(?:[\w.-]+:)?workbookPr\s[^<>]*date1904", content))
    return len(elements) != len(sheets) or ids_n != len(sheets) or properties_n > 1


def read_ooxml_sheet(
    content: bytes,
    strings: SharedTexts,
    reading: SheetReading,
    grid: Sequence[Sequence[Any]],
    styles: dict[int, str],
) -> Iterator[Cell]:
    """Every cell of a sheet part that holds something, but for those found equal to the first reader's at once.

    `styles`: as `read_marked_styles` gives them.
    """
    text = xml_text(content, "worksheet")
    if text is not None:
        start = text.find("<sheetData")
        end = text.find("</sheetData>", start)
        if start < 0 or "<sheetData/>" in text:
            return
        if end > 0 and text.count("<sheetData") == 1 and not _needs_a_walk(text, start, end):
            pieces = list(_slices(text, start, end))
            found = [_CELL.findall(piece) for piece in pieces]
            if all(
                piece.count("<c ") + piece.count("<c>") + piece.count("<c/") == len(cells)
                for piece, cells in zip(pieces, found, strict=True)
            ):
                _hidden_columns(text[:start], reading)
                for piece, cells in zip(pieces, found, strict=True):
                    if 'hidden="' in piece:
                        _hidden_rows(piece, reading)
                    if styles or strings.runs:
                        _plain_marks(piece, cells, strings, reading, grid, styles)
                    yield from _plain_cells(cells, strings, reading, grid)
                after = text[end:]
                _areas(_MERGED.findall(after), _FILTER.findall(after), reading)
                return
    yield from _Sheet(strings, reading, styles).over(content)


def read_table(content: bytes, reading: SheetReading) -> None:
    """Note the filter of a table object, which stands in a part of its own."""
    for _ in _Table(reading).over(content):
        pass


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


def _areas(merged: Sequence[str], filters: Sequence[str], reading: SheetReading) -> None:
    """Note merged cells and the rows under a filter; a reference that names no area is none."""
    for reference in merged:
        area = _area(reference)
        if area and area[:2] != area[2:]:
            reading.merged.append(area)
    for reference in filters:
        area = _area(reference)
        if area:
            reading.filters.append((area[0], area[2]))


def _area(reference: str) -> Area | None:
    first, _, last = reference.partition(":")
    try:
        (top, left), (bottom, right) = _position(first), _position(last or first)
    except Contradiction:
        return None
    return top, left, bottom, right


def _plain_cells(
    cells: list[tuple[str, ...]], strings: Sequence[str], reading: SheetReading, grid: Sequence[Sequence[Any]]
) -> Iterator[Cell]:
    columns = _COLUMNS
    agreed = 0
    at, row, firsts = "", -1, cast(Sequence[Any], ())
    height = len(grid)
    for letters, digits, kind, formula, value, inline in cells:
        if digits != at:
            at, row = digits, int(digits) - 1
            if not 0 <= row < _LAST_ROW:
                raise Contradiction(f"单元格在第 {digits} 行，工作表没有这一行")
            firsts = grid[row] if row < height else ()
        column = columns[letters]
        if formula:
            reading.formula(row, column, _unescaped(formula))
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
                cell = _other(kind, value, inline, row, column, formula, reading)
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
            row, column = int(digits) - 1, _COLUMNS[letters]
            if row < len(grid) and column < len(grid[row]) and _shows(grid[row][column]):
                reading.mark(row, column, strings.marked(text, of_cell))


def _shows(value: Any) -> bool:
    return not isinstance(value, str) or bool(value.strip())


def _other(
    kind: str, value: str, inline: str, row: int, column: int, formula: str, reading: SheetReading
) -> Cell | None:
    if kind == "inlineStr":
        text = "".join(_TEXT.findall(_RUBY.sub("", inline))) if inline else value
        return (row, column, _unescaped(text)) if text else None
    if kind == "e":
        reading.errors[(row, column)] = value or "#ERROR!"
        return row, column, SOME
    if kind == "b":
        return (row, column, value.strip() in ("1", "true")) if value else None
    if kind in ("str", "d"):
        return (row, column, _unescaped(value)) if value else None
    if formula and not value and kind != "s":
        reading.valueless.add((row, column))
        return None
    return (row, column, SOME) if value else None


class _MainWalk(Walk):
    namespaces = _MAIN


class _RichText:
    """The runs of the `si` or `is` that is being walked. Phonetic readings are no text."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.runs, self.pieces = [], []
        self.in_text = False
        self.ruby = 0
        self.font: dict[str, bool] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "rPh":
            self.ruby += 1
        elif name == "r":
            self.font = None
        elif name == "rPr":
            self.font = {}
        elif self.font is not None and name != "t":
            self.font = {**_PLAIN, **self.font, **_font_of(name, attributes)}
        self._settle()
        self.in_text = name == "t" and not self.ruby
        if self.in_text:
            # An empty list of properties says nothing: the run looks as its cell does.
            self.runs.append(("", mark_of(**self.font) if self.font else None))

    def end(self, name: str) -> None:
        self._settle()
        self.in_text = False
        if name == "rPh":
            self.ruby -= 1
        elif name == "r":
            self.font = None

    def text(self, text: str) -> None:
        if self.in_text:
            self.pieces.append(text)

    def _settle(self) -> None:
        """A text comes in as many pieces as its file likes: it is put together once."""
        if self.pieces:
            _, mark = self.runs[-1]
            self.runs[-1], self.pieces = ("".join(self.pieces), mark), []

    @property
    def whole(self) -> str:
        return "".join(text for text, _ in self.runs)

    def marked(self, of_cell: str = "") -> Runs | None:
        """The runs, if one of them is marked (or, in a marked cell, is not)."""
        named = any(mark if not of_cell else mark is not None for _, mark in self.runs)
        return tuple(self.runs) if named else None


_PLAIN = {"struck": False, "raised": False, "lowered": False}


def _font_of(name: str, attributes: dict[str, str]) -> dict[str, bool]:
    """What one property of a font says of marks."""
    value = attributes.get("val", "")
    if name == "strike":
        return {"struck": value not in ("0", "false", "off")}
    if name == "vertAlign":
        return {"raised": value == "superscript", "lowered": value == "subscript"}
    return {}


class _Strings(_MainWalk):
    """The table of texts: found holds (text, its runs if one is marked)."""

    def __init__(self) -> None:
        super().__init__()
        self.rich = _RichText()
        self.text = self.rich.text  # type: ignore[method-assign]
        self.parser.CharacterDataHandler = self.text

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self.rich.begin()
        else:
            self.rich.start(name, attributes)

    def end(self, name: str) -> None:
        self.rich.end(name)
        if name == "si":
            self.found.append((self.rich.whole, self.rich.marked()))


class _Styles(_MainWalk):
    """`fonts`: the mark of each font; `used`: the font of each style of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.within = ""
        self.fonts: list[str] = []
        self.used: list[int] = []
        self.font = dict(_PLAIN)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("fonts", "cellXfs"):
            self.within = name
        elif self.within == "cellXfs" and name == "xf":
            font = attributes.get("fontId", "0")
            self.used.append(int(font) if font.isdigit() else 0)
        elif self.within == "fonts" and name == "font":
            self.font = dict(_PLAIN)
        elif self.within == "fonts":
            self.font |= _font_of(name, attributes)

    def end(self, name: str) -> None:
        if name == self.within:
            self.within = ""
        elif self.within == "fonts" and name == "font":
            self.fonts.append(mark_of(**self.font))


class _Book(_MainWalk):
    """The workbook part: found holds (name, relation id, state) of its sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.from_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            relation_id = next((attributes[key] for key in _RELATION_IDS if key in attributes), "")
            self.found.append((attributes.get("name", ""), relation_id, attributes.get("state", "visible")))
        elif name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")


class _Sheet(_MainWalk):
    """A sheet part written in any way that XML allows: prefixes, comments, cells without addresses."""

    def __init__(self, strings: SharedTexts, reading: SheetReading, styles: dict[int, str]) -> None:
        super().__init__()
        self.strings, self.reading, self.styles = strings, reading, styles
        self.row, self.column = -1, -1
        self.kind, self.value, self.formula_text, self.of_cell = "", "", "", ""
        self.has_formula = False
        self.into: str | None = None
        self.pieces: list[str] = []
        self.rich = _RichText()
        self.in_cell = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self.in_cell = True
            address = attributes.get("r", "")
            if address:
                self.row, self.column = _position(address)
            else:
                self.column += 1
            self.kind = attributes.get("t", "")
            self.value = self.formula_text = ""
            style = attributes.get("s", "0")
            self.of_cell = self.styles.get(int(style) if style.isdigit() else 0, "")
            self.has_formula = False
            self.rich.begin()
        elif name == "row":
            number = attributes.get("r", "")
            self.row = int(number) - 1 if number.isdigit() else self.row + 1
            self.column = -1
            if attributes.get("hidden") in ("1", "true"):
                self.reading.hide_row(self.row, folded=attributes.get("outlineLevel", "0") != "0")
        elif name == "col" and attributes.get("hidden") in ("1", "true"):
            first, last = attributes.get("min", ""), attributes.get("max", "")
            if first.isdigit() and last.isdigit():
                folded = attributes.get("outlineLevel", "0") != "0"
                self.reading.hide_columns(int(first) - 1, int(last) - 1, folded=folded)
        elif name == "mergeCell":
            _areas([attributes.get("ref", "")], [], self.reading)
        elif name == "autoFilter":
            _areas([], [attributes.get("ref", "")], self.reading)
        elif self.in_cell:
            if name == "f":
                self.has_formula = True
            self._settle()
            self.into = name if name in ("v", "f") else None
            self.rich.start(name, attributes)

    def end(self, name: str) -> None:
        self._settle()
        self.into = None
        if name == "c":
            self.in_cell = False
            row, column = self.row, self.column
            inline, before = self.rich.whole, len(self.found)
            if self.formula_text:
                self.reading.formula(row, column, self.formula_text)
            if not self.kind or self.kind == "n":
                if self.value.strip():
                    self.found.append((row, column, number_of(self.value, row, column)))
                elif inline:
                    self.found.append((row, column, inline))
                elif self.has_formula:
                    self.reading.valueless.add((row, column))
            elif self.kind == "s" and self.value:
                self.found.append((row, column, shared_text(self.strings, self.value, row, column)))
            elif self.kind == "inlineStr":
                if inline or self.value:
                    self.found.append((row, column, inline or self.value))
            else:
                cell = _other(self.kind, self.value, "", row, column, self.formula_text, self.reading)
                if cell is not None:
                    # expat has resolved the references already
                    self.found.append((row, column, self.value) if self.kind in ("str", "d") else cell)
            if len(self.found) > before and _shows(self.found[-1][2]):
                if self.kind == "s":
                    told = self.strings.marked(int(self.value), self.of_cell)
                else:
                    runs = self.rich.marked(self.of_cell)
                    told = marked_text(runs, self.of_cell) if runs else self.of_cell
                self.reading.mark(row, column, told)
        else:
            self.rich.end(name)

    def text(self, text: str) -> None:
        if self.into:
            self.pieces.append(text)
        else:
            self.rich.text(text)

    def _settle(self) -> None:
        """As `_RichText._settle`, of a value or formula."""
        text, self.pieces = "".join(self.pieces), []
        if self.into == "v":
            self.value += text
        elif self.into == "f":
            self.formula_text += text


class _Table(_MainWalk):
    """A table part: its filter is the same element as a sheet's."""

    def __init__(self, reading: SheetReading) -> None:
        super().__init__()
        self.reading = reading

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "autoFilter":
            _areas([], [attributes.get("ref", "")], self.reading)


_ADDRESS = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")


def _position(address: str) -> tuple[int, int]:
    match = _ADDRESS.fullmatch(address.strip())
    if not match or not 0 < int(match[2]) <= _LAST_ROW:
        raise Contradiction(f"单元格地址“{address[:20]}”不成立")
    return int(match[2]) - 1, _COLUMNS[match[1].upper()]


def far_corner(content: bytes) -> tuple[int, int]:
    """(rows, columns) that the last cell of an OOXML sheet reaches, (0, 0) if that is not plain to see."""
    at = content.rfind(b'<c r="')
    match = re.match(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"', content[at : at + 32]) if at >= 0 else None
    return (int(match[2]), _COLUMNS[match[1].decode()] + 1) if match else (0, 0)
