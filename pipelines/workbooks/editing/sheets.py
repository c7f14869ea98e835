"""Edits of a workbook's list of sheets, of one sheet's cells, and of the notes on them, the cells as text and the rest
as trees: `package` says why.

Belongs here: adding, replacing and removing sheets; filling cells and clearing fills; writing notes beside those of the
county.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import unescape

from pipelines.workbooks.editing.package import Package
from pipelines.workbooks.editing.styles import Styles
from pipelines.workbooks.editing.trees import (
    MAIN,
    OFFICE,
    XML,
    NotEditable,
    Tree,
    fragment,
    local_name,
    main,
    quoted,
    xml_text,
)
from pipelines.workbooks.workbook import cell_address, cell_position

_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_STYLES_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"
_COMMENTS_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.comments+xml"
_VML_TYPE = "application/vnd.openxmlformats-officedocument.vmlDrawing"
_MAX_ROWS, _MAX_COLUMNS = 1_048_576, 16_384

_ID = f"{{{OFFICE}}}id"
_ATTRIBUTE = re.compile(r"([^\s=<>/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ANY_TAG = re.compile(r"<(/?)([A-Za-z_][^\s/>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")

Cell = tuple[int, int]  # row and column, from 0


def position(address: str) -> Cell | None:
    """F12 or $F$12 → (11, 5); None for anything else, or outside a sheet."""
    match = re.fullmatch(r"\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})", address.strip())
    if match is None:
        return None
    row, column = cell_position(match[1] + match[2])
    return (row, column) if row < _MAX_ROWS and column < _MAX_COLUMNS else None


def area(address: str) -> str:
    """An address as a link names it: of one cell, or of a range (F4:F160); blank for anything else."""
    corners = address.split(":")
    return address if len(corners) <= 2 and all(position(corner) for corner in corners) else ""


def link_to(sheet: str, cell: str) -> str:
    """The place of a cell as a link or formula names it: 'it''s'!F12."""
    return "'" + sheet.replace("'", "''") + "'!" + cell


def width_of(text: str) -> int:
    """Width in half-width characters."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def lines_of(text: str, width: int) -> int:
    """Lines that a text takes when wrapped to a width in half-width characters."""
    return sum(max(1, -(-width_of(line) // max(1, width))) for line in text.split("\n"))


# Text and tags --------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Element content or attribute value back as text."""
    text = re.sub(r"&#(x[0-9A-Fa-f]+|\d+);", _character, text)
    return unescape(text, {"&quot;": '"', "&apos;": "'"})


def _character(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16) if match[1].startswith("x") else int(match[1])
    return chr(code) if 0 < code < 0x110000 else ""


def attributes(tag: str) -> dict[str, str]:
    """The attributes of a start tag, unescaped."""
    return {
        match[1]: plain(match[2] if match[2] is not None else match[3])
        for match in _ATTRIBUTE.finditer(tag, tag.find(" ") if " " in tag else len(tag))
    }


def with_attribute(tag: str, name: str, value: str | None) -> str:
    """A start tag with one attribute set; None takes it away."""
    bare = re.sub(rf"\s{re.escape(name)}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", tag)
    if value is None:
        return bare
    end = "/>" if bare.endswith("/>") else ">"
    return f'{bare[: -len(end)].rstrip()} {name}="{quoted(value)}"{end}'


def tag_pattern(name: str, prefix: str) -> re.Pattern[str]:
    """Start tags of one element name, attribute values holding `>` included."""
    return re.compile(rf"<{prefix}{name}(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")


def elements(text: str, name: str, prefix: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each element of a name that never holds another of the same name."""
    end_tag = f"</{prefix}{name}>"
    position = 0
    pattern = tag_pattern(name, prefix)
    while match := pattern.search(text, position):
        position = match.end()
        if not match[0].endswith("/>"):
            position = text.find(end_tag, position) + len(end_tag)
            if position < len(end_tag):
                raise NotEditable(f"{name} 元素没有结束")
        yield match.start(), position


def children(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """(local name, start, end) of each element at the top level between two positions."""
    found: list[tuple[str, int, int]] = []
    depth, opened = 0, 0
    for match in _ANY_TAG.finditer(text, start, end):
        if match[1]:
            depth -= 1
            if depth == 0:
                found.append((match[2].rpartition(":")[2], opened, match.end()))
        else:
            if depth == 0:
                opened = match.start()
            if match[3].endswith("/"):
                if depth == 0:
                    found.append((match[2].rpartition(":")[2], opened, match.end()))
            else:
                depth += 1
        if depth < 0:
            break
    return found


# The workbook ---------------------------------------------------------------------------------------------------------


@dataclass
class _Entry:
    name: str
    sheet_id: int
    part: str
    element: Element
    kind: str
    before: int | None  # position among the sheets as they came


class Book:
    """The workbook part: its sheets in order, and what counts them by position."""

    def __init__(self, package: Package) -> None:
        self.package = package
        stated = next((relation for relation in package.relations("") if relation.kind == "officeDocument"), None)
        named = package.target("", stated) if stated else ""
        self.part = next((name for name in (named, "xl/workbook.xml", "workbook.xml") if name and name in package), "")
        if not self.part:
            raise NotEditable("找不到工作簿部件")
        self.tree = package.tree(self.part)
        self.root = self.tree.root
        if self.root.tag != main("workbook"):
            raise NotEditable("是“严格”格式的 OOXML")
        listed = self.root.find(main("sheets"))
        if listed is None:
            raise NotEditable("工作簿没有工作表清单")
        self._listed = listed
        relations = package.relations(self.part)
        targets = {relation.get("Id", ""): relation for relation in relations}
        self.sheets: list[_Entry] = []
        for number, element in enumerate(listed.findall(main("sheet"))):
            relation = targets.get(element.get(_ID, ""))
            part = package.target(self.part, relation) if relation else ""
            kind = relation.kind if relation else ""
            sheet_id = element.get("sheetId", "0")
            sheet_number = int(sheet_id) if sheet_id.isdigit() else 0
            self.sheets.append(_Entry(element.get("name", ""), sheet_number, part, element, kind, number))
        styles = next((relation for relation in relations if relation.kind == "styles"), None)
        self.styles_part = package.target(self.part, styles) if styles else ""
        if self.styles_part not in package and "xl/styles.xml" in package:
            raise NotEditable("样式表没有登记")
        if self.styles_part not in package:
            self.styles_part = ""
        self.styles = Styles(package.tree(self.styles_part) if self.styles_part else None)
        self._names: list[Element] = []

    def add_sheet(self, name: str, xml: str, *, first: bool = False, state: str = "") -> str:
        """Add a sheet of ours; returns the name of its part."""
        part, _ = self.package.free_name("xl/worksheets/sheet{}.xml")
        self.package.write(part, xml)
        self.package.set_type(part, _SHEET_TYPE)
        relation_id = self.package.relate(self.part, "worksheet", part)
        sheet_id = max((entry.sheet_id for entry in self.sheets), default=0) + 1
        shown = {"state": state} if state else {}
        element = Element(main("sheet"), {"name": name, "sheetId": str(sheet_id), **shown, _ID: relation_id})
        entry = _Entry(name, sheet_id, part, element, "worksheet", None)
        self.sheets.insert(0 if first else len(self.sheets), entry)
        return part

    def remove_sheet(self, entry: _Entry) -> None:
        """Take a sheet of ours away, with its notes, drawings and names."""
        self.package.unrelate(self.part, lambda relation: self.package.target(self.part, relation) == entry.part)
        for relation in self.package.relations(entry.part):
            target = self.package.target(entry.part, relation)
            if relation.get("TargetMode") != "External" and target in self.package:
                self.package.remove(target)
        self.package.remove(entry.part)
        self.sheets.remove(entry)

    def add_name(self, name: str, refers_to: str, sheet: str, *, hidden: bool = False) -> None:
        """Define a name that belongs to one sheet (`_xlnm.Print_Titles` and the like)."""
        local = next(number for number, entry in enumerate(self.sheets) if entry.name == sheet)
        shown = ' hidden="1"' if hidden else ""
        self._names.append(
            fragment(f'<definedName name="{name}" localSheetId="{local}"{shown}>{xml_text(refers_to)}</definedName>')
        )

    def save(self) -> None:
        """Write the workbook part and the styles. The first sheet is the one that opens, and no other is selected."""
        package = self.package
        for entry in self.sheets:
            if entry.before is not None and entry.part in package:
                content = package.read(entry.part)
                head, data, tail = content.partition(b"sheetData")
                if b"tabSelected" in head:
                    package.write_bytes(
                        entry.part, re.sub(rb"\stabSelected\s*=\s*[\"'](?:1|true)[\"']", b"", head) + data + tail
                    )
        self._listed[:] = [entry.element for entry in self.sheets]
        views = self.root.findall(f"{main('bookViews')}/{main('workbookView')}")
        if not views:
            shown = fragment("<bookViews><workbookView/></bookViews>")
            self.root.insert(list(self.root).index(self._listed), shown)
            views = list(shown)
        for view in views:
            view.set("activeTab", "0")
            view.attrib.pop("firstSheet", None)
        self._save_names()
        package.write(self.part, self.tree)
        if not self.styles_part:
            self.styles_part = "xl/styles.xml"
            package.relate(self.part, "styles", self.styles_part)
            package.set_type(self.styles_part, _STYLES_TYPE)
        package.write(self.styles_part, self.styles.tree)

    def _save_names(self) -> None:
        """Names that belong to a sheet go with it: where it stands now, or nowhere when it is gone."""
        moved = {str(entry.before): str(number) for number, entry in enumerate(self.sheets) if entry.before is not None}
        listed = self.root.find(main("definedNames"))
        names = []
        for name in listed if listed is not None else []:
            local = name.get("localSheetId", "")
            if local in moved:
                name.set("localSheetId", moved[local])
            if local in moved or not local.isdigit():
                names.append(name)
        names += self._names
        if listed is None and names:
            listed = Element(main("definedNames"))
            # After functionGroups and externalReferences, as the schema orders them.
            before = (main("sheets"), main("functionGroups"), main("externalReferences"))
            self.root.insert(max(at for at, one in enumerate(self.root, start=1) if one.tag in before), listed)
        if names and listed is not None:
            listed[:] = names
        elif listed is not None:
            self.root.remove(listed)


# One sheet ------------------------------------------------------------------------------------------------------------


class SheetText:
    """One worksheet of the county, of which only the tags of single cells are changed."""

    def __init__(self, package: Package, part: str) -> None:
        self.package, self.part = package, part
        self.text = package.text(part)
        root = re.search(r"<((?:\w+:)?)worksheet(?=[\s>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", self.text)
        if root is None:
            raise NotEditable("工作表无法识别")
        self.prefix = root[1]
        self._root_end = root.end()
        data = tag_pattern("sheetData", self.prefix).search(self.text, root.end())
        if data is None:
            raise NotEditable("工作表没有数据区")
        if data[0].endswith("/>"):
            end_tag = f"</{self.prefix}sheetData>"
            self.text = self.text[: data.end() - 2] + ">" + end_tag + self.text[data.end() :]
            self._data = (data.end() - 1, data.end() - 1)
        else:
            end = self.text.rfind(f"</{self.prefix}sheetData>")
            if end < 0:
                raise NotEditable("工作表数据区没有结束")
            self._data = (data.end(), end)
        self._column_styles, self.widths, self.default_width = self._columns()

    def _tail(self) -> list[tuple[str, int, int]]:
        start = self._data[1] + len(f"</{self.prefix}sheetData>")
        return children(self.text, start, len(self.text))

    def _columns(self) -> tuple[dict[int, int], dict[int, float], float]:
        head = self.text[: self._data[0]]
        styles: dict[int, int] = {}
        widths: dict[int, float] = {}
        form = tag_pattern("sheetFormatPr", self.prefix).search(head)
        given = attributes(form[0]) if form else {}
        default = _number(given.get("defaultColWidth"), 8.43)
        for match in tag_pattern("col", self.prefix).finditer(head):
            col = attributes(match[0])
            first, last = int(_number(col.get("min"), 1)), int(_number(col.get("max"), 1))
            for number in range(first - 1, min(last, first + 255)):
                if col.get("style", "").isdigit():
                    styles[number] = int(col["style"])
                widths[number] = 0.0 if col.get("hidden") in ("1", "true") else _number(col.get("width"), default)
        return styles, widths, default

    def top_left(self) -> dict[Cell, Cell]:
        """Cells inside a merged range → its top-left cell."""
        found: dict[Cell, Cell] = {}
        for name, start, end in self._tail():
            if name == "mergeCells":
                for match in tag_pattern("mergeCell", self.prefix).finditer(self.text, start, end):
                    first, _, last = attributes(match[0]).get("ref", "").partition(":")
                    corner, opposite = position(first), position(last)
                    if corner and opposite and (opposite[0] - corner[0] + 1) * (opposite[1] - corner[1] + 1) <= 100_000:
                        for row in range(corner[0], opposite[0] + 1):
                            for column in range(corner[1], opposite[1] + 1):
                                found[(row, column)] = corner
        return found

    def restyle(
        self,
        ours: frozenset[int],
        cleared: Callable[[Cell, int], int],
        marks: Mapping[Cell, Callable[[int], int]],
    ) -> None:
        """Give cells other formats, in one pass.

        `ours`: formats to be taken away, by `cleared` (cell, format → format). `marks`: cell → (format → format),
        applied after.
        """
        by_row: dict[int, dict[int, Callable[[int], int]]] = {}
        for (row, column), change in marks.items():
            by_row.setdefault(row, {})[column] = change
        held = re.compile(r"\ss=[\"'](?:" + "|".join(map(str, sorted(ours))) + r")[\"']") if ours else None
        start, end = self._data
        data = self.text[start:end]
        pieces: list[str] = []
        waiting = sorted(by_row, reverse=True)
        position_in_data, previous = 0, -1
        end_tag = f"</{self.prefix}row>"
        for match in tag_pattern("row", self.prefix).finditer(data):
            if match.start() < position_in_data:
                continue
            given = attributes(match[0])
            number = int(given["r"]) - 1 if given.get("r", "").isdigit() else previous + 1
            closed = match[0].endswith("/>")
            row_end = match.end() if closed else data.index(end_tag, match.end()) + len(end_tag)
            missing = []
            while waiting and waiting[-1] < number:
                row = waiting.pop()
                if row in by_row:
                    missing.append(row)
            if missing:
                pieces.append(data[position_in_data : match.start()])
                pieces += [
                    self._row(f'<{self.prefix}row r="{row + 1}">', "", row, by_row.pop(row), given={})
                    for row in missing
                ]
                position_in_data = match.start()
            previous = number
            changes = by_row.pop(number, {})
            inner = "" if closed else data[match.end() : row_end - len(end_tag)]
            if changes or (held and held.search(match[0] + inner)):
                pieces.append(data[position_in_data : match.start()])
                pieces.append(self._row(match[0], inner, number, changes, given, ours, cleared))
                position_in_data = row_end
        pieces.append(data[position_in_data:])
        pieces += [
            self._row(f'<{self.prefix}row r="{row + 1}">', "", row, by_row[row], given={}) for row in sorted(by_row)
        ]
        data = "".join(pieces)
        self.text = self.text[:start] + data + self.text[end:]
        self._data = (start, start + len(data))

    def _row(
        self,
        tag: str,
        inner: str,
        row: int,
        changes: Mapping[int, Callable[[int], int]],
        given: Mapping[str, str],
        ours: frozenset[int] = frozenset(),
        cleared: Callable[[Cell, int], int] = lambda _, style: style,
    ) -> str:
        row_style = (
            int(given["s"]) if given.get("customFormat") in ("1", "true") and given.get("s", "").isdigit() else None
        )
        if row_style in ours and row_style is not None:
            row_style = cleared((row, -1), row_style)
            tag = with_attribute(tag, "s", str(row_style))
        cells: list[tuple[int, str]] = []
        previous = -1
        waiting = dict(changes)
        for start, end in elements(inner, "c", self.prefix):
            whole = inner[start:end]
            cell_tag = whole[: _tag_end(whole)]
            held = attributes(cell_tag)
            place = position(held["r"]) if "r" in held else None
            column = place[1] if place else previous + 1
            style = int(held["s"]) if held.get("s", "").isdigit() else 0
            wanted = cleared((row, column), style) if style in ours else style
            change = waiting.pop(column, None)
            if change:
                wanted = change(wanted)
            if wanted != style:
                whole = with_attribute(cell_tag, "s", str(wanted)) + whole[len(cell_tag) :]
            if "r" not in held:
                rest = _tag_end(whole)
                whole = with_attribute(whole[:rest], "r", cell_address(row, column)) + whole[rest:]
            cells.append((column, whole))
            previous = column
        for column, change in waiting.items():
            base = row_style if row_style is not None else self._column_styles.get(column, 0)
            cells.append((column, f'<{self.prefix}c r="{cell_address(row, column)}" s="{change(base)}"/>'))
        if waiting:
            cells.sort(key=lambda item: item[0])
            tag = with_attribute(tag, "spans", None)
        opened = tag[:-2].rstrip() + ">" if tag.endswith("/>") else tag
        return opened + "".join(whole for _, whole in cells) + f"</{self.prefix}row>"

    def heights(self, rows: Iterable[int]) -> dict[int, float]:
        """Heights in points of the rows asked for that have one of their own; 0 for hidden rows."""
        wanted = set(rows)
        found: dict[int, float] = {}
        previous = -1
        for match in tag_pattern("row", self.prefix).finditer(self.text, *self._data):
            given = attributes(match[0])
            previous = int(given["r"]) - 1 if given.get("r", "").isdigit() else previous + 1
            if previous in wanted:
                if given.get("hidden") in ("1", "true"):
                    found[previous] = 0.0
                elif "ht" in given:
                    found[previous] = _number(given["ht"], 15)
        return found

    # What stands around the cells

    def tab_colour(self) -> str:
        """The ARGB colour of the sheet's tab, "" when it has none, "?" when it is given in another way."""
        head = self.text[: self._data[0]]
        tag = tag_pattern("tabColor", self.prefix).search(head)
        if tag is None:
            return ""
        return attributes(tag[0]).get("rgb", "?").upper()

    def set_tab_colour(self, colour: str) -> None:
        """Colour the sheet's tab; "" takes the colour away."""
        prefix = self.prefix
        head, rest = self.text[: self._data[0]], self.text[self._data[0] :]
        before = len(head)
        head = re.sub(rf"<{prefix}tabColor(?=[\s/>])[^>]*?(?:/>|>\s*</{prefix}tabColor>)", "", head)
        tab = f'<{prefix}tabColor rgb="{colour}"/>' if colour else ""
        properties = tag_pattern("sheetPr", prefix).search(head)
        if tab and properties is None:
            head = head[: self._root_end] + f"<{prefix}sheetPr>{tab}</{prefix}sheetPr>" + head[self._root_end :]
        elif tab and properties and properties[0].endswith("/>"):
            opened = properties[0][:-2].rstrip() + ">"
            head = head[: properties.start()] + opened + tab + f"</{prefix}sheetPr>" + head[properties.end() :]
        elif tab and properties:
            head = head[: properties.end()] + tab + head[properties.end() :]
        self.text = head + rest
        self._data = (self._data[0] + len(head) - before, self._data[1] + len(head) - before)

    def set_notes_drawing(self, relation_id: str | None) -> None:
        """Point the sheet at the drawing that holds its notes."""
        for name, start, end in self._tail():
            if name == "legacyDrawing":
                self.text = self.text[:start] + self.text[end:]
                break
        if relation_id is None:
            return
        after = {
            "legacyDrawingHF",
            "drawingHF",
            "picture",
            "oleObjects",
            "controls",
            "webPublishItems",
            "tableParts",
            "extLst",
        }
        tail = self._tail()
        place = next((start for name, start, _ in tail if name in after), None)
        if place is None:
            place = tail[-1][2] if tail else self._data[1] + len(f"</{self.prefix}sheetData>")
        drawing = f'<{self.prefix}legacyDrawing xmlns:r="{OFFICE}" r:id="{relation_id}"/>'
        self.text = self.text[:place] + drawing + self.text[place:]

    def notes_drawing(self) -> str | None:
        """The relation id of the drawing that holds the sheet's notes."""
        for name, start, end in self._tail():
            if name == "legacyDrawing":
                return next((v for k, v in attributes(self.text[start:end]).items() if k.endswith(":id")), None)
        return None

    def save(self) -> None:
        self.package.write(self.part, self.text)


def _number(text: str | None, default: float) -> float:
    try:
        number = float(text) if text is not None else default
    except ValueError:
        return default
    return number if math.isfinite(number) else default


def _tag_end(element: str) -> int:
    match = re.match(r"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", element)
    if match is None:
        raise NotEditable("标签不完整")
    return match.end()


# Notes ----------------------------------------------------------------------------------------------------------------


@dataclass
class _Note:
    cell: Cell
    author: str
    text: Element
    touched: bool = False


@dataclass
class Notes:
    """The notes (批注) of one sheet: those of the county stay, above ours where both are on one cell."""

    sheet: SheetText
    author: str
    mark: str
    notes: dict[Cell, _Note] = field(default_factory=dict)
    removed: dict[Cell, str] = field(default_factory=dict)  # text of ours from an earlier round
    converted: list[str] = field(default_factory=list)  # cells whose threaded comments became a plain note
    _part: str = ""
    _drawing: str = ""

    def __post_init__(self) -> None:
        package, part = self.sheet.package, self.sheet.part
        for relation in package.relations(part):
            if relation.kind == "comments":
                self._part = package.target(part, relation)
        wanted = self.sheet.notes_drawing()
        for relation in package.relations(part):
            if relation.kind == "vmlDrawing" and relation.get("Id") == wanted:
                self._drawing = package.target(part, relation)
        if self._part and self._part in package:
            self._read(package.tree(self._part).root)
        else:
            self._part = ""

    def _read(self, root: Element) -> None:
        authors = [author.text or "" for author in root.iter(main("author"))]
        for comment in root.iter(main("comment")):
            cell, text = position(comment.get("ref", "")), comment.find(main("text"))
            if cell is None:
                continue
            text = Element(main("text")) if text is None else text
            number = comment.get("authorId", "")
            author = authors[int(number)] if number.isdigit() and int(number) < len(authors) else ""
            words = _words(text)
            if author == self.author:
                self.removed[cell] = words
            elif self.mark in words:
                self.removed[cell] = words[words.index(self.mark) :]
                _cut_ours(text, self.mark)
                if len(text):
                    self.notes[cell] = _Note(cell, author, text, touched=True)
            else:
                self.notes[cell] = _Note(cell, author, text)

    @property
    def unchanged(self) -> bool:
        return not self.removed and not any(note.touched for note in self.notes.values())

    def add(self, cell: Cell, text: str) -> None:
        """Put a note of ours on a cell, below the county's own if it has one. The first line is set in bold."""
        first, _, rest = text.partition("\n")
        runs = [*_run(f"{self.mark}{first}\n", bold=True), *_run(rest)]
        known = self.notes.setdefault(cell, _Note(cell, self.author, Element(main("text"))))
        known.touched = True
        if len(known.text):
            for bare in known.text.findall(main("t")):
                run = Element(main("r"))
                run.append(bare)
                known.text[list(known.text).index(bare)] = run
            runs = [*_run("\n\n"), *runs]
        if known.author.startswith("tc={"):
            known.author = "批注"
            self._end_thread(cell)
        known.text.extend(runs)

    def _end_thread(self, cell: Cell) -> None:
        """Take the thread of a cell away: where there is one, Excel shows it instead of the note that stands for it."""
        package, address = self.sheet.package, cell_address(*cell)
        for relation in package.relations(self.sheet.part):
            part = package.target(self.sheet.part, relation)
            if relation.kind == "threadedComment" and part in package:
                tree = package.tree(part)
                for thread in list(tree.root):
                    if local_name(thread) == "threadedComment" and thread.get("ref") == address:
                        tree.root.remove(thread)
                package.write(part, tree)
        self.converted.append(address)

    def save(self) -> None:
        """Write the notes and their drawing. Shapes of the drawing that are no notes (form controls) stay."""
        if self.unchanged:
            return
        package, part = self.sheet.package, self.sheet.part
        if not self.notes:
            package.unrelate(part, lambda relation: relation.kind == "comments")
            package.remove(self._part)
            self._save_drawing()
            return
        if not self._part:
            self._part, _ = package.free_name("xl/comments{}.xml")
            package.set_type(self._part, _COMMENTS_TYPE)
            package.relate(part, "comments", self._part)
        authors = list(dict.fromkeys(note.author for note in self.notes.values()))
        number = {author: index for index, author in enumerate(authors)}
        tree = Tree(f'<comments xmlns="{MAIN}"><authors/><commentList/></comments>'.encode(), self._part)
        named, listed = tree.root
        for author in authors:
            ElementTree.SubElement(named, main("author")).text = author
        for note in sorted(self.notes.values(), key=lambda note: note.cell):
            given = {"ref": cell_address(*note.cell), "authorId": str(number[note.author])}
            ElementTree.SubElement(listed, main("comment"), given).append(note.text)
        package.write(self._part, tree)
        self._save_drawing()

    def _save_drawing(self) -> None:
        package, part = self.sheet.package, self.sheet.part
        known = ""
        if self._drawing and self._drawing in package:
            known = package.read(self._drawing).decode("utf-8-sig", errors="surrogateescape")
            kinds = set(re.findall(r"ObjectType=[\"'](\w+)[\"']", known))
            if not all(f"xmlns:{prefix}=" in known for prefix in "vox"):
                # Written by a program with prefixes of its own: notes can be drawn anew, anything else not.
                if kinds - {"Note"}:
                    raise NotEditable("批注图形无法识别")
                package.unrelate(part, lambda relation: package.target(part, relation) == self._drawing)
                package.remove(self._drawing)
                self.sheet.set_notes_drawing(None)
                known = ""
        if not known:
            if not self.notes:
                return
            self._drawing, number = package.free_name("xl/drawings/vmlDrawing{}.vml")
            package.set_type(None, _VML_TYPE, "vml")
            self.sheet.set_notes_drawing(package.relate(part, "vmlDrawing", self._drawing))
            text = (
                '<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
                'xmlns:x="urn:schemas-microsoft-com:office:excel"><o:shapelayout v:ext="edit">'
                f'<o:idmap v:ext="edit" data="{number}"/></o:shapelayout></xml>'
            )
            first_id = 1024 * number + 1  # the first of a block of shape ids is not for shapes
        else:
            text = known
            first_id = max((int(n) for n in re.findall(r"_s(\d{1,9})[\"']", text)), default=1024) + 1
        touched = {cell for cell, note in self.notes.items() if note.touched}
        shaped: set[Cell] = set()

        def keep(match: re.Match[str]) -> str:
            shape = match[0]
            if not re.search(r"ObjectType=[\"']Note[\"']", shape):
                return shape
            row, column = re.search(r"<x:Row>\s*(\d+)\s*<", shape), re.search(r"<x:Column>\s*(\d+)\s*<", shape)
            cell = (int(row[1]), int(column[1])) if row and column else None
            if cell is None or cell not in self.notes or cell in touched:
                return ""
            shaped.add(cell)
            return shape

        text = re.sub(r"<v:shape(?=[\s>]).*?</v:shape>", keep, text, flags=re.S)
        if not self.notes and not re.search(r"<v:(?:shape|group|rect|oval|line)[\s>]", text):
            self.sheet.set_notes_drawing(None)
            package.unrelate(part, lambda relation: package.target(part, relation) == self._drawing)
            package.remove(self._drawing)
            return
        wanted = sorted(set(self.notes) - shaped)
        heights = self.sheet.heights({row + below for row, _ in wanted for below in range(60)})
        shapes = "".join(self._shape(first_id + index, self.notes[cell], heights) for index, cell in enumerate(wanted))
        if 'id="_x0000_t202"' not in text and shapes:
            shapes = (
                '<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">'
                '<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>' + shapes
            )
        end = text.rfind("</xml>")
        if end < 0:
            raise NotEditable("批注图形无法识别")
        text = text[:end] + shapes + text[end:]
        package.write_bytes(self._drawing, text.encode("utf-8", errors="surrogateescape"))

    def _shape(self, number: int, note: _Note, heights: Mapping[int, float]) -> str:
        row, column = note.cell
        words = _words(note.text)
        # 9-point text: a half-width character takes about 6.2 pixels, a line 16.
        longest = max((width_of(line) for line in words.split("\n")), default=10)
        width = min(400, max(180, int(longest * 6.2) + 24))
        height = min(620, lines_of(words, int((width - 20) / 6.2)) * 17 + 16)
        from_column, left = column + 1, 12
        to_column, right = from_column, left + width
        while right > (pixels := self._width(to_column)) and to_column < from_column + 60:
            right -= pixels
            to_column += 1
        from_row, top = max(0, row - 1), 4
        to_row, bottom = from_row, top + height
        while bottom > (pixels := round(heights.get(to_row, 15) * 96 / 72)) and to_row < from_row + 59:
            bottom -= pixels
            to_row += 1
        return (
            f'<v:shape id="_x0000_s{number}" type="#_x0000_t202" fillcolor="#fffbe6" strokecolor="#8a6d1f" o:insetmode="auto" '
            f'style="position:absolute;margin-left:80pt;margin-top:5pt;width:{width * 0.75:g}pt;height:{height * 0.75:g}pt;'
            'z-index:1;visibility:hidden"><v:fill color2="#fffbe6"/><v:shadow on="t" color="black" obscured="t"/>'
            '<v:path o:connecttype="none"/><v:textbox style="mso-direction-alt:auto"><div style="text-align:left"></div></v:textbox>'
            '<x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>'
            f"<x:Anchor>{from_column}, {left}, {from_row}, {top}, {to_column}, {right}, {to_row}, {bottom}</x:Anchor>"
            f"<x:AutoFill>False</x:AutoFill><x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
        )

    def _width(self, column: int) -> int:
        characters = self.sheet.widths.get(column, self.sheet.default_width)
        return round(characters * 7 + 5) if characters else 0


def _run(text: str, *, bold: bool = False) -> list[Element]:
    if not text:
        return []
    return [
        fragment(
            f'<r><rPr>{"<b/>" if bold else ""}<sz val="9"/><color indexed="81"/><rFont val="微软雅黑"/><charset val="134"/></rPr>'
            f'<t xml:space="preserve">{xml_text(text)}</t></r>'
        )
    ]


def _words(text: Element) -> str:
    """The plain text of a note."""
    return "".join(words.text or "" for words in text.iter(main("t")))


def _cut_ours(text: Element, mark: str) -> None:
    """Leave what the county wrote in a note: everything before our mark, in its own runs.

    The blank lines that we put between the county's text and ours go too: they are a run of their own or, once the file
    was saved elsewhere, the end of the county's last run.
    """
    runs = list(text)
    cut = next((number for number, run in enumerate(runs) if mark in _words(run)), None)
    if cut is None:
        return
    for run in runs[cut + 1 :]:
        text.remove(run)
    for run in reversed(runs[: cut + 1]):
        words = run if run.tag == main("t") else run.find(main("t"))
        if words is None:
            return
        words.text = (words.text or "").split(mark)[0].rstrip()
        words.set(f"{{{XML}}}space", "preserve")
        if words.text:
            return
        text.remove(run)
