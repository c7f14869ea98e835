"""Sheets of OpenDocument (.ods): `content.xml`, with repeated cells written out, and the marks that `styles.xml` gives to texts."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from pipelines.workbooks.second_reading.cells import SOME, Cell, Contradiction, SheetReading, Value, number_of
from pipelines.workbooks.second_reading.marks import mark_of, marked_text
from pipelines.workbooks.second_reading.xml_walk import Walk

_NAMES = "urn:oasis:names:tc:opendocument:xmlns:"
#: The names that programs read, by the prefix under which all of them write it.
NAMESPACES = {prefix: f"{_NAMES}{prefix}:1.0" for prefix in ("office", "table", "text", "style")}
_PREFIXES = {namespace: prefix for prefix, namespace in NAMESPACES.items()}
#: LibreOffice marks an error cell with a value type of its own.
_CALC_VALUE_TYPE = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
#: So many steps from a style to its parents: more are a circle.
_DEEPEST_STYLE = 20


#: (struck out, 1 raised or -1 lowered) as a style says, None where it says nothing.
_Marks = tuple[bool | None, int | None]
_SILENT: _Marks = (None, None)


@dataclass
class _Style:
    """What a style says of marks itself, None where it leaves that to its parent."""

    parent: str = ""
    struck: bool | None = None
    raised: int | None = None


class _Styled(Walk):
    """The styles of a part, automatic or named: `styles` holds them by (family, name), under a blank name the family's default."""

    namespaces = frozenset(NAMESPACES.values())
    looks_into_foreign = True

    def __init__(self, styles: dict[tuple[str, str], _Style]) -> None:
        super().__init__()
        self.styles = styles
        self.style: _Style | None = None

    @staticmethod
    def plain(attributes: dict[str, str]) -> dict[str, str]:
        """Attributes of OpenDocument's own names, bare."""
        found = {}
        for key, value in attributes.items():
            namespace, _, local = key.rpartition("}")
            if not namespace or namespace in _Styled.namespaces:
                found[local] = value
        if attributes.get(_CALC_VALUE_TYPE) == "error":
            found["value-type"] = "error"
        return found

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("style", "default-style"):
            plain = self.plain(attributes)
            self.style = _Style(plain.get("parent-style-name", ""))
            own_name = plain.get("name", "") if name == "style" else ""
            self.styles[(plain.get("family", ""), own_name)] = self.style
        elif name == "text-properties" and self.style:
            plain = self.plain(attributes)
            lines = [plain[key] for key in ("text-line-through-style", "text-line-through-type") if key in plain]
            if lines:
                self.style.struck = "none" not in lines
            position = plain.get("text-position", "").split()
            if position:
                self.style.raised = _raised(position[0])

    def end(self, name: str) -> None:
        if name in ("style", "default-style"):
            self.style = None

    def properties(self, family: str, name: str) -> _Marks:
        """The marks of a style with what it has from its parents."""
        struck: bool | None = None
        raised: int | None = None
        for _ in range(_DEEPEST_STYLE):
            style = self.styles.get((family, name))
            if style is None:
                break
            struck = style.struck if struck is None else struck
            raised = style.raised if raised is None else raised
            if not name:
                break
            name = style.parent
        return struck, raised


def _raised(position: str) -> int:
    """1 for raised, -1 for lowered, 0 on the line; a position is a word or a share of the height."""
    if position in ("super", "sub"):
        return 1 if position == "super" else -1
    number = position.rstrip("%")
    try:
        height = float(number)
    except ValueError:
        return 0
    return (height > 0) - (height < 0)


class _Content(_Styled):
    """`content.xml`: found holds (sheet number, row, column, value); repeated cells are written out."""

    def __init__(self, max_cells: int, styles: dict[tuple[str, str], _Style]) -> None:
        super().__init__(styles)
        self.max_cells = max_cells
        self.known: dict[tuple[str, str], _Marks] = {}
        #: Whether any style has a mark: in most files none has, and no text need be looked at.
        self.may_be_marked = False
        self.within: list[_Marks] = []
        self.runs: list[tuple[str, str | None]] = []
        self.column_ends: list[int] = []
        self.column_styles: list[str] = []
        self.row_style = ""
        self.names: list[str] = []
        self.readings: list[SheetReading] = []
        self.row, self.row_repeat, self.column = 0, 1, 0
        self.row_cells: list[tuple[int, int, Value | None, str, str]] = []
        self.cell: dict[str, str] | None = None
        self.paragraphs: list[list[str]] = []
        self.notes = 0
        self.in_text = 0
        self.written = 0
        self.has_dde = False
        self.folded: list[bool] = []  # for each group that is open: whether it, or one around it, is folded up

    @property
    def in_folded(self) -> bool:
        return bool(self.folded) and self.folded[-1]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.names and name in ("style", "default-style", "text-properties"):
            super().start(name, attributes)
            return
        plain = self.plain(attributes)
        if name == "table":
            self.may_be_marked = self.may_be_marked or any(one.struck or one.raised for one in self.styles.values())
            self.column_ends, self.column_styles, self.row_style = [], [], ""
            self.names.append(plain.get("name", ""))
            self.readings.append(SheetReading())
            self.row = self.column = 0
            self.folded = []
        elif name in ("table-row-group", "table-column-group"):
            self.folded.append(plain.get("display") == "false" or self.in_folded)
        elif name == "table-column":
            end, folded = self.column + _count(plain, "number-columns-repeated"), self.in_folded
            if folded or plain.get("visibility") in ("collapse", "filter"):
                self.readings[-1].hide_columns(self.column, end - 1, folded=folded)
            self.column_ends.append(end)
            self.column_styles.append(plain.get("default-cell-style-name", ""))
            self.column = end
        elif name == "table-row":
            self.row_style = plain.get("default-cell-style-name", "")
            self.column, self.row_repeat, self.row_cells = 0, _count(plain, "number-rows-repeated"), []
            folded, visibility = self.in_folded, plain.get("visibility")
            if folded or visibility in ("collapse", "filter"):
                for row in range(self.row, self.row + min(self.row_repeat, 10_000)):
                    self.readings[-1].hide_row(row, folded=folded)
                    if visibility == "filter":
                        self.readings[-1].known_filtered.add(row)
        elif name in ("table-cell", "covered-table-cell"):
            self.cell, self.paragraphs, self.runs = plain, [], []
        elif name in ("dde-source", "dde-link"):
            self.has_dde = True
        elif name == "annotation":
            self.notes += 1
        elif name == "p" and self.cell is not None and not self.notes:
            self.in_text += 1
            self.paragraphs.append([])
            self._enter("paragraph", plain.get("style-name", ""))
            if self.runs:
                self.runs.append(("\n", ""))
        elif name == "span" and self.in_text:
            self._enter("text", plain.get("style-name", ""))
        elif name in ("s", "tab", "line-break") and self.in_text:
            self.paragraphs[-1].append(" ")

    def end(self, name: str) -> None:
        super().end(name)
        if name == "annotation":
            self.notes -= 1
        elif name == "p" and self.in_text and not self.notes:
            self.in_text -= 1
            self.within.pop()
        elif name == "span" and self.in_text and self.within:
            self.within.pop()
        elif name in ("table-cell", "covered-table-cell") and self.cell is not None:
            self._end_cell(self.cell)
            self.cell = None
        elif name in ("table-row-group", "table-column-group") and self.folded:
            self.folded.pop()
        elif name == "table-row":
            filled = sum(repeat for _, repeat, value, *_ in self.row_cells if value is not None)
            self.written += filled * self.row_repeat
            if self.written > self.max_cells:
                raise Contradiction(f"单元格超过 {self.max_cells:,} 个", beyond_limits=True)
            for row in range(self.row, self.row + self.row_repeat) if filled else ():
                for column, repeat, value, error, marked in self.row_cells:
                    for place in range(column, column + repeat) if value is not None else ():
                        if error:
                            self.readings[-1].errors[(row, place)] = error
                        if marked:
                            self.readings[-1].marked[(row, place)] = marked
                        self.found.append((len(self.names) - 1, row, place, value))
            self.row += self.row_repeat

    def _end_cell(self, cell: dict[str, str]) -> None:
        repeat = _count(cell, "number-columns-repeated")
        text = "\n".join(map("".join, self.paragraphs))
        kind = cell.get("value-type", "")
        value: Value | None = None
        error = ""
        # LibreOffice marks an error with a second value-type of its own namespace, which comes last; others only show it.
        if text.startswith(("#", "Err:")) and (kind == "error" or "formula" in cell) and _ODS_ERROR.fullmatch(text):
            value, error = SOME, text
        elif kind in ("float", "percentage", "currency"):
            value = number_of(cell.get("value", ""), self.row, self.column)
        elif kind == "boolean":
            value = cell.get("boolean-value") == "true"
        elif kind in ("date", "time"):
            value = SOME
        elif kind == "string" and cell.get("string-value"):
            value = cell["string-value"]
        elif text:
            value = text
        formula = cell.get("formula")
        if formula:
            if not kind and not text:
                self.readings[-1].valueless.add((self.row, self.column))
            self.readings[-1].formula(self.row, self.column, formula.partition(":")[2] or formula)
        down, across = _count(cell, "number-rows-spanned"), _count(cell, "number-columns-spanned")
        if down > 1 or across > 1:
            self.readings[-1].merged.append((self.row, self.column, self.row + down - 1, self.column + across - 1))
        self.row_cells.append((self.column, repeat, value, error, self._marked(cell)))
        self.column += repeat

    def text(self, text: str) -> None:
        if self.in_text and not self.notes and self.paragraphs:
            self.paragraphs[-1].append(text)
            if self.may_be_marked:
                own = self.within[-1]
                self.runs.append((text, None if own == _SILENT else _mark(*own)))

    def _enter(self, family: str, style: str) -> None:
        """A paragraph or span begins: what its style leaves open is as around it."""
        struck, raised = self.within[-1] if self.within else _SILENT
        own_struck, own_raised = self._properties(family, style) if style else _SILENT
        self.within.append((struck if own_struck is None else own_struck, raised if own_raised is None else own_raised))

    def _properties(self, family: str, style: str) -> _Marks:
        key = (family, style)
        if key not in self.known:
            self.known[key] = self.properties(family, style)
        return self.known[key]

    def _marked(self, cell: dict[str, str]) -> str:
        """What is marked in a cell: runs of its text, or all of it by its style, its row's or its column's."""
        if not self.may_be_marked:
            return ""
        style = cell.get("style-name") or self.row_style
        if not style:
            at = bisect_right(self.column_ends, self.column)
            style = self.column_styles[at] if at < len(self.column_styles) else ""
        of_cell = _mark(*self._properties("table-cell", style))
        if any(mark is not None for _, mark in self.runs):
            return marked_text(self.runs, of_cell)
        return of_cell


def _mark(struck: bool | None, raised: int | None) -> str:
    return mark_of(struck=bool(struck), raised=(raised or 0) > 0, lowered=(raised or 0) < 0)


_ODS_ERROR = re.compile(r"#(?:NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A|N/V)|Err:[0-9]{3}")


def _count(attributes: dict[str, str], name: str) -> int:
    value = attributes.get(name, "1")
    return max(1, min(int(value), 1 << 20)) if value.isdigit() and len(value) < 9 else 1


def as_usually_prefixed(content: bytes) -> bytes | None:
    """The part with the prefixes by which the first reader knows the names; None if it has them, as what all programs write does."""
    head = content[:8192]
    if all(f'xmlns:{prefix}="{NAMESPACES[prefix]}"'.encode() in head for prefix in ("office", "table", "text")):
        return None
    walk = _Rewritten()
    for _ in walk.over(content):
        pass
    return "".join(walk.written).encode()


class _Rewritten(Walk):
    """The part again, under the usual prefixes; names that the readers do not look at are left out, what is in them is not."""

    namespaces = frozenset(NAMESPACES.values())
    looks_into_foreign = True

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        declared = "" if self.written else "".join(f' xmlns:{p}="{n}"' for p, n in NAMESPACES.items())
        told = [(self._named(key), value) for key, value in attributes.items()]
        own = self._named(name) or "office:foreign"
        self.written.append(f"<{own}{declared}{''.join(f' {k}={quoteattr(v)}' for k, v in told if k)}>")

    def _close(self, name: str) -> None:
        self.written.append(f"</{self._named(name) or 'office:foreign'}>")

    def _named(self, name: str) -> str:
        namespace, _, local = name.rpartition("}")
        prefix = _PREFIXES.get(namespace)
        return f"{prefix}:{local}" if prefix else ""

    def text(self, text: str) -> None:
        self.written.append(escape(text))


def read_ods(
    content: bytes, styles: bytes, *, max_cells: int
) -> tuple[list[str], list[SheetReading], list[list[Cell]], bool]:
    """Sheet names, readings and cells of an OpenDocument `content.xml`, and whether it has a DDE link. `styles`: its `styles.xml`.

    Raises Contradiction, also when more than `max_cells` cells are written out.
    """
    known: dict[tuple[str, str], _Style] = {}
    for _ in _Styled(known).over(styles) if styles else ():
        pass
    walk = _Content(max_cells, known)
    cells: dict[int, list[Cell]] = {}
    for sheet, row, column, value in walk.over(content):
        cells.setdefault(sheet, []).append((row, column, value))
    return walk.names, walk.readings, [cells.get(number, []) for number in range(len(walk.names))], walk.has_dde
