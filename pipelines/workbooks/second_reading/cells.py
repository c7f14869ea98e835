"""What the second readers have in common: what a cell is, what they note beside cells, and how they are held against the first.

Belongs here: comparing, and the notes. How cells are stored is the business of one module a format.
"""

import math
import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from pipelines.characters import BLANKS, INVISIBLE, folded
from pipelines.workbooks.workbook import Area, cell_address, cell_text


class _Some:
    """A cell of which only is known that something stands there."""


SOME = _Some()
Value = float | str | bool | _Some
Cell = tuple[int, int, Value]

#: What a formula does that no return needs: starting programs, or fetching values from the network.
_ACTIVE = re.compile(
    r"(?<![A-Za-z_])(?:WEBSERVICE|RTD|DDE|CALL|REGISTER(?:\.ID)?|EXEC)\s*\(|^[=+\-@\s]*[A-Za-z_][\w.]*\s*\|[^|]*!",
    re.IGNORECASE,
)
#: A reference to a cell of another workbook: [1]Sheet1!A1, '[1]Sheet 1'!A1, '[name.xlsx]Sheet 1'!A1, 'file:///…'#$Sheet.A1
_EXTERNAL = re.compile(
    r"(?<![\w\]])\[\d+\](?:[^\[\]!'\"+\-*/^&=<>(),]*!|[^'\[\]]*'!)|\[[^\[\]]+\.(?:xl\w+|ods|et|csv)\]|'file:[^']*'#",
    re.IGNORECASE,
)


class Contradiction(Exception):
    """What a file says of its own cells cannot be followed; the message is Chinese. `beyond_limits`: there are too many of them."""

    def __init__(self, reason: str, *, beyond_limits: bool = False) -> None:
        super().__init__(reason)
        self.beyond_limits = beyond_limits


@dataclass
class SheetReading:
    """What the second reader saw of one sheet besides its cells; complete when its cells have been walked. Indexes from 0.

    `agreed_n`: cells that a reader held against the first reader's grid itself, found equal, and did not hand on. `marked`: what a
    cell's raised, lowered or struck-out characters are: the text with those runs named, or the mark alone where the cell's own font
    has it. `left_out`: texts of cells that the first reader does not know how to read. `filters`: the rows, first and last, over which
    a filter stands; `known_filtered`: where rows say themselves that one hides them.
    """

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    valueless: set[tuple[int, int]] = field(default_factory=set)
    external: set[tuple[int, int]] = field(default_factory=set)
    marked: dict[tuple[int, int], str] = field(default_factory=dict)
    left_out: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    folded_rows: set[int] = field(default_factory=set)
    folded_columns: set[int] = field(default_factory=set)
    filters: list[tuple[int, int]] = field(default_factory=list)
    known_filtered: set[int] = field(default_factory=set)
    merged: list[Area] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    agreed_n: int = 0

    def mark(self, row: int, column: int, what: str) -> None:
        """Note what is marked in a cell; blank: nothing."""
        if what:
            self.marked[(row, column)] = what

    @property
    def filtered_rows(self) -> set[int]:
        """The hidden rows under a filter: that of the sheet, or of one of its tables."""
        under: set[int] = set()
        last_seen = -1  # filters may overlap: no row is looked at twice
        hidden = sorted(self.hidden_rows - self.folded_rows)
        for first, last in sorted(self.filters):
            under.update(hidden[bisect_left(hidden, max(first, last_seen + 1)) : bisect_right(hidden, last)])
            last_seen = max(last_seen, last)
        return under | self.known_filtered

    def hide_columns(self, first: int, last: int, *, folded: bool) -> None:
        """Note hidden columns; what a sheet of ours could hold is far below the limit."""
        columns = range(first, min(last + 1, 1024))
        self.hidden_columns.update(columns)
        if folded:
            self.folded_columns.update(columns)

    def hide_row(self, row: int, *, folded: bool) -> None:
        self.hidden_rows.add(row)
        if folded:
            self.folded_rows.add(row)

    def formula(self, row: int, column: int, text: str) -> None:
        if _EXTERNAL.search(text):
            self.external.add((row, column))
        if _ACTIVE.search(text):
            self.active.append(f"{cell_address(row, column)} 的公式")


#: How a formula may begin, in every width of its sign → the plain sign.
_SIGNS = {
    sign: plain for plain, signs in {"=": "=＝﹦", "+": "+＋﹢", "-": "-－﹣−", "@": "@＠﹫"}.items() for sign in signs
}
#: What may stand before it and is not seen, or is taken off when a text file is opened.
_BEFORE = f"{BLANKS}{INVISIBLE}'\""
_MAY_BEGIN = frozenset([*_SIGNS, *_BEFORE])
#: What a text does that is taken for a formula where it is opened: fetch, or start a program (application|topic!item).
_ACTIVE_TEXT = re.compile(
    r"(?<![A-Za-z_.])(?:_xl[a-z]{2,4}\.){0,3}(?:WEBSERVICE|HYPERLINK|IMPORT(?:XML|DATA|HTML|FEED|RANGE)|IMAGE|RTD|DDE|CALL|REGISTER(?:\.ID)?|EXEC"
    r"|SQL\.REQUEST|STOCKHISTORY)\s{0,99}\("
    r"|(?<![A-Za-z_.0-9])(?:cmd|powershell|pwsh|mshta|rundll32|regsvr32|[wc]script|msexcel|excel|winword|soffice)(?:\.exe)?['\"]?\s{0,99}\|"
    r"|(?<![A-Za-z_.0-9])[A-Za-z_][A-Za-z_.0-9]{0,99}['\"]?\s{0,99}\|[^|!]{0,999}!"
    r"|'\[?(?:https?://|ftp://|file://|\\\\)[^'\n]{1,255}'!",
    re.IGNORECASE,
)


def formula_of(text: str) -> str | None:
    """A text as the formula that a spreadsheet may take it for, its signs plain; None for what begins as no formula does."""
    if not text or text[0] not in _MAY_BEGIN:
        return None
    plain = text.lstrip(_BEFORE)
    return folded(_SIGNS[plain[0]] + plain[1:]) if plain and plain[0] in _SIGNS else None


def is_active(text: str) -> bool:
    """Whether a text is a formula that starts a program or fetches from the network."""
    formula = formula_of(text)
    return formula is not None and len(formula) > 3 and bool(_ACTIVE_TEXT.search(formula))


def disagreement(
    cells: Iterable[Cell], grid: Sequence[Sequence[Any]], reading: SheetReading, *, from_1904: bool = False
) -> str | None:
    """Where the second reading of a sheet differs from the first reader's grid (A1 first), None where nowhere.

    Walks `cells` to the end. A blank text is no cell.
    """
    errors, left_out = reading.errors, reading.left_out
    met = 0
    for row, column, value in cells:
        try:
            first = grid[row][column]
        except IndexError:
            first = ""
        if first == value and first != "":
            met += 1
        elif first != "":
            met += 1
            if (row, column) not in errors and not _same(value, first, from_1904):
                if isinstance(value, float) and not math.isfinite(value):
                    raise no_number(value, row, column)
                return f"单元格 {cell_address(row, column)}：一种读法为“{_shown(first)}”，另一种为“{_shown(value)}”"
        elif (
            not (isinstance(value, str) and not value.strip())
            and (row, column) not in errors
            and (row, column) not in left_out
        ):
            return f"单元格 {cell_address(row, column)}：一种读法为空，另一种为“{_shown(value)}”"
    met += reading.agreed_n
    filled = sum(len(row) - row.count("") for row in grid)
    if filled != met:
        return f"一种读法有 {filled:,} 个非空单元格，另一种有 {met:,} 个"
    return None


def _same(value: Value, first: Any, from_1904: bool) -> bool:
    if value is SOME:
        return True
    if isinstance(value, str):
        if isinstance(first, str):
            # One reader resolves _x000D_ and its like, the other may not; neither looks at blanks the same way.
            return _plain(first) in (_plain(value), _plain(_resolved(value)))
        return isinstance(first, date | time | timedelta)  # a date in ISO form
    if isinstance(first, str) or isinstance(value, _Some):
        return False
    if isinstance(first, bool | int | float):
        return abs(float(first) - float(value)) <= 1e-9 * max(1.0, abs(float(value)))
    serial = _serial(first, from_1904)
    # Excel's calendar knows a 29 February 1900; readers differ on how to count before it.
    return serial is not None and abs(serial - float(value)) <= (1.01 if value < 62 else 2e-5)


def _plain(text: str) -> str:
    return "".join(text.split())


def _resolved(text: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)


def _serial(value: Any, from_1904: bool) -> float | None:
    start = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a calendar, no zone
    if isinstance(value, datetime):
        return (value - start) / timedelta(days=1)
    if isinstance(value, date):
        return float((value - start.date()).days)
    if isinstance(value, time):
        return (value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6) / 86_400
    if isinstance(value, timedelta):
        return value / timedelta(days=1)
    return None


def _shown(value: Any) -> str:
    if isinstance(value, _Some) or (isinstance(value, float) and not math.isfinite(value)):
        return "其他内容"
    return (cell_text(value) or "")[:60]


_NUMERAL = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")

ERROR_TEXTS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip


def number_of(value: str, row: int, column: int) -> float:
    """The number that a cell's text states. Raises Contradiction: Python reads more than numbers (NaN, 1_000) as such."""
    if _NUMERAL.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    raise no_number(value, row, column)


def no_number(value: Any, row: int, column: int) -> Contradiction:
    """What is to be raised at a cell that says that it is a number and is none."""
    told = "不是有限的数" if isinstance(value, float) else f"内容却是“{value[:30]}”"
    return Contradiction(f"单元格 {cell_address(row, column)} 标为数字，{told}")


def shared_text(strings: Sequence[str], value: str, row: int, column: int) -> str:
    try:
        return strings[int(value)]
    except (IndexError, ValueError) as error:
        raise Contradiction(f"单元格 {cell_address(row, column)} 指向不存在的文字（第 {value[:20]} 条）") from error


def packed_number(packed: int) -> float:
    """A number of 30 bits: an integer or the upper half of a double, perhaps in hundredths."""
    if packed & 2:
        number = float((packed >> 2) - (1 << 30 if packed & 0x80000000 else 0))
    else:
        number = float(struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))[0])
    return number / 100 if packed & 1 else number
