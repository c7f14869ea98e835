"""Sheets and shared texts of OOXML (.xlsx, .xlsm): parts written plainly by `ooxml_plain`, and here by a walk whatever
else XML allows."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.workbooks.second_reading.cells import Cell, SheetReading, number_of, shared_text
from pipelines.workbooks.second_reading.marks import Runs, SharedTexts, mark_of, marked_text
from pipelines.workbooks.second_reading.ooxml_cells import note_areas, other_value, position, shows
from pipelines.workbooks.second_reading.ooxml_plain import plain_shared_strings, plain_sheet
from pipelines.workbooks.second_reading.xml_walk import Walk

_MAIN = frozenset(
    ["http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main"]
)
_RELATION_IDS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships}id",
)


def read_shared_strings(content: bytes) -> SharedTexts:
    """The table of texts of an OOXML workbook. Phonetic readings are no text."""
    plain = plain_shared_strings(content)
    if plain is not None:
        return plain
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
    """Whether a workbook part has other elements or attributes by the names that a reader goes by who looks at no
    namespace."""
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
    plain = plain_sheet(content, strings, reading, grid, styles)
    yield from plain if plain is not None else _Sheet(strings, reading, styles).over(content)


def read_table(content: bytes, reading: SheetReading) -> None:
    """Note the filter of a table object, which stands in a part of its own."""
    for _ in _Table(reading).over(content):
        pass


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
                self.row, self.column = position(address)
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
            note_areas([attributes.get("ref", "")], [], self.reading)
        elif name == "autoFilter":
            note_areas([], [attributes.get("ref", "")], self.reading)
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
                cell = other_value(self.kind, self.value, "", row, column, self.formula_text, self.reading)
                if cell is not None:
                    # expat has resolved the references already
                    self.found.append((row, column, self.value) if self.kind in ("str", "d") else cell)
            if len(self.found) > before and shows(self.found[-1][2]):
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
            note_areas([], [attributes.get("ref", "")], self.reading)
