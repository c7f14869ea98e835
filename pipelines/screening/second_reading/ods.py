"""Sheets of OpenDocument (.ods): `content.xml`, with repeated cells written out."""

import re

from pipelines.screening.second_reading.cells import SOME, Cell, Contradiction, SheetReading, Value, number_of
from pipelines.screening.second_reading.xml_walk import Walk


class _Content(Walk):
    """`content.xml`: found holds (sheet number, row, column, value); repeated cells are written out."""

    def __init__(self, max_cells: int) -> None:
        super().__init__()
        self.max_cells = max_cells
        self.names: list[str] = []
        self.readings: list[SheetReading] = []
        self.row, self.row_repeat, self.column = 0, 1, 0
        self.row_cells: list[tuple[int, int, Value | None, str]] = []
        self.cell: dict[str, str] | None = None
        self.paragraphs: list[str] = []
        self.notes = 0
        self.in_text = 0
        self.written = 0
        self.has_dde = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        plain = {key.rpartition("}")[2]: value for key, value in attributes.items()}
        if name == "table":
            self.names.append(plain.get("name", ""))
            self.readings.append(SheetReading())
            self.row = self.column = 0
        elif name == "table-column" and plain.get("visibility") in ("collapse", "filter"):
            self.readings[-1].hidden_columns.update(
                range(self.column, min(self.column + _count(plain, "number-columns-repeated"), 1024))
            )
            self.column += _count(plain, "number-columns-repeated")
        elif name == "table-column":
            self.column += _count(plain, "number-columns-repeated")
        elif name == "table-row":
            self.column, self.row_repeat, self.row_cells = 0, _count(plain, "number-rows-repeated"), []
            if plain.get("visibility") in ("collapse", "filter"):
                self.readings[-1].hidden_rows.update(range(self.row, self.row + min(self.row_repeat, 10_000)))
        elif name in ("table-cell", "covered-table-cell"):
            self.cell, self.paragraphs = plain, []
        elif name in ("dde-source", "dde-link"):
            self.has_dde = True
        elif name == "annotation":
            self.notes += 1
        elif name == "p" and self.cell is not None and not self.notes:
            self.in_text += 1
            self.paragraphs.append("")
        elif name in ("s", "tab", "line-break") and self.in_text:
            self.paragraphs[-1] += " "

    def end(self, name: str) -> None:
        if name == "annotation":
            self.notes -= 1
        elif name == "p" and self.in_text and not self.notes:
            self.in_text -= 1
        elif name in ("table-cell", "covered-table-cell") and self.cell is not None:
            self._end_cell(self.cell)
            self.cell = None
        elif name == "table-row":
            filled = sum(repeat for _, repeat, value, _ in self.row_cells if value is not None)
            self.written += filled * self.row_repeat
            if self.written > self.max_cells:
                raise Contradiction(f"单元格超过 {self.max_cells:,} 个", beyond_limits=True)
            for row in range(self.row, self.row + self.row_repeat) if filled else ():
                for column, repeat, value, error in self.row_cells:
                    for place in range(column, column + repeat) if value is not None else ():
                        if error:
                            self.readings[-1].errors[(row, place)] = error
                        self.found.append((len(self.names) - 1, row, place, value))
            self.row += self.row_repeat

    def _end_cell(self, cell: dict[str, str]) -> None:
        repeat = _count(cell, "number-columns-repeated")
        text = "\n".join(self.paragraphs)
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
        elif text.strip():
            value = text
        formula = cell.get("formula")
        if formula:
            if not kind and not text:
                self.readings[-1].valueless.add((self.row, self.column))
            self.readings[-1].formula(self.row, self.column, formula.partition(":")[2] or formula)
        self.row_cells.append((self.column, repeat, value, error))
        self.column += repeat

    def text(self, text: str) -> None:
        if self.in_text and not self.notes and self.paragraphs:
            self.paragraphs[-1] += text


_ODS_ERROR = re.compile(r"#(?:NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A|N/V)|Err:[0-9]{3}")


def _count(attributes: dict[str, str], name: str) -> int:
    value = attributes.get(name, "1")
    return max(1, min(int(value), 1 << 20)) if value.isdigit() and len(value) < 9 else 1


def read_ods(content: bytes, *, max_cells: int) -> tuple[list[str], list[SheetReading], list[list[Cell]], bool]:
    """Sheet names, readings and cells of an OpenDocument `content.xml`, and whether it has a DDE link.

    Raises Contradiction, also when more than `max_cells` cells are written out.
    """
    walk = _Content(max_cells)
    cells: dict[int, list[Cell]] = {}
    for sheet, row, column, value in walk.over(content):
        cells.setdefault(sheet, []).append((row, column, value))
    return walk.names, walk.readings, [cells.get(number, []) for number in range(len(walk.names))], walk.has_dde
