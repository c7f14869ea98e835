"""What every row of a sheet is: data, a total, or something that is passed over. Every row is one of these, and is counted as it.

Belongs here: telling the rows under a header apart, and accounting for all of them. Nothing that may be data is passed over: a row
that could be either is `unclear` and refused where it stands, never dropped. What the cells of a data row hold is `tabulate`.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import groupby

from pipelines.characters import folded, is_digits, normalise_label
from pipelines.returns import Column, ReturnDefinition, declared_units, split_unit
from pipelines.returns.definition import MISSING_CODES
from pipelines.screening.units import units_said
from pipelines.workbooks.workbook import Sheet


class RowKind(StrEnum):
    """What a row is. `data` is read and `total` held against it; all others are passed over."""

    DATA = "data"
    TOTAL = "total"
    TITLE = "title"
    HEADER = "header"
    HEADER_AGAIN = "header_again"
    COLUMN_NUMBERS = "column_numbers"
    SUBTOTAL = "subtotal"
    NOTE = "note"
    SIGN_OFF = "sign_off"
    UNFILLED = "unfilled"
    UNCLEAR = "unclear"
    STRAY = "stray"
    HIDDEN = "hidden"
    BLANK = "blank"


ROW_KINDS: dict[RowKind, str] = {
    RowKind.DATA: "数据",
    RowKind.TITLE: "标题与封面",
    RowKind.HEADER: "表头",
    RowKind.HEADER_AGAIN: "重复的表头",
    RowKind.COLUMN_NUMBERS: "栏次",
    RowKind.TOTAL: "合计",
    RowKind.SUBTOTAL: "小计",
    RowKind.NOTE: "说明",
    RowKind.SIGN_OFF: "签名",
    RowKind.UNFILLED: "未填的模板行",
    RowKind.UNCLEAR: "分不清的行",
    RowKind.STRAY: "不成数据的行",
    RowKind.HIDDEN: "隐藏的工作表里的行",
    RowKind.BLANK: "空行",
}


class RowsUnaccounted(AssertionError):
    """A row of a sheet was counted not at all or twice: our fault, never the county's."""


@dataclass(frozen=True)
class RowCount:
    """So many rows of one kind. `rows`: their numbers as Excel shows them, `1、4–7`."""

    kind: RowKind
    rows_n: int
    rows: str


def account(kinds: Mapping[RowKind, Sequence[int]], first: int, last: int) -> list[RowCount]:
    """The rows from `first` to `last` (from 0, both included) counted by kind. Raises RowsUnaccounted when the counts do not add up."""
    placed = sorted(row for rows in kinds.values() for row in rows)
    if placed != list(range(first, last + 1)):
        raise RowsUnaccounted(f"{len(placed)} rows are accounted for between {first + 1} and {last + 1}")
    return [RowCount(kind, len(kinds[kind]), row_numbers(kinds[kind])) for kind in ROW_KINDS if kinds.get(kind)]


def row_numbers(rows: Iterable[int]) -> str:
    """Rows from 0 as Excel numbers them: [0, 3, 4, 5] → `1、4–6`."""
    spans = []
    for _, run in groupby(enumerate(sorted(rows)), lambda pair: pair[1] - pair[0]):
        numbers = [row + 1 for _, row in run]
        spans.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}")
    return "、".join(spans)


# --- notes and sign-offs ----------------------------------------------------------------------------------------------

#: Who answers for a return, and the words under which a county names them.
SIGN_OFF_ROLES = {
    "填表人": ("填表人", "填报人", "制表人", "制表"),
    "审核人": ("审核人", "复核人"),
    "单位负责人": ("单位负责人", "负责人"),
}
_NOTES = (
    "注", "注释", "附注", "说明", "备注", "数据说明", "填表说明", "填报说明", "编制说明", "情况说明", "补充说明", "数据来源", "资料来源",
)  # fmt: skip
_NOTE_WORDS = f"(?:{'|'.join(_NOTES)})"
_NOTE = re.compile(_NOTE_WORDS + "(?:[:(、.,;]|[0-9]|[①-⑳]|$)")
#: Words that begin such a line, with or without a colon; and those that stand in one, with theirs.
_LEADING = (
    *(word for words in SIGN_OFF_ROLES.values() for word in words), "联系人", "联系电话", "报出日期", "填报日期", "填表日期",
    "制表日期", "报送日期", "上报日期", "填报时间", "填表时间",
)  # fmt: skip
_AMONG = (
    "电话", "手机", "传真", "邮箱", "电子邮箱", "日期", "时间", "填报单位", "报送单位", "单位公章", "单位", "公章", "盖章", "分管领导",
    "主管领导", "分管局长", "局长", "校长", "经办人", "统计负责人", "统计员", "校对人", "录入人",
)  # fmt: skip
_STAMP = r"(?:\((?:签字|签章|签名|盖章|公章)\))?"
_LEADS = "(?:" + "|".join(sorted(_LEADING, key=len, reverse=True)) + ")" + _STAMP
_WORDS = "(?:" + "|".join(sorted((*_LEADING, *_AMONG), key=len, reverse=True)) + ")" + _STAMP
_SIGN_OFF = re.compile(_LEADS)
_FIRST = frozenset(word[0] for word in (*_LEADING, *_NOTES))
#: A cell that names who or when and leaves the answer to the next cell; one that gives both; a day.
_ASKS = re.compile(f"{_WORDS}:?")
_ANSWERS = re.compile(rf"{_LEADS}:?.+|{_WORDS}:.+|[\u4e00-\u9fff()]{{2,10}}:.*|.*(?:盖章|公章)\)?")
_ASKS_A_NUMBER = re.compile(r"(?:.*(?:电话|手机|传真|日期|时间)):?")
_DAY = re.compile(r"[0-9]{0,4}[年./-][0-9]{0,2}[月./-][0-9]{0,2}日?")
_REMARK = re.compile(f"(?:{_LEADS}|{_NOTE_WORDS}):")


def is_remark(text: str) -> bool:
    """Whether a cell begins, with its colon, as a note or a line of names under a table does: 填表人：, 注："""
    return _REMARK.match(normalise_label(text)) is not None


def _signs_off(cells: Sequence[tuple[int, str]], patterns: Mapping[int, re.Pattern[str]]) -> bool:
    """Whether every cell of a row names who signs or when, or is the answer to the cell before it. `cells`: (column, text)."""
    asked = False
    for column, text in cells:
        plain = normalise_label(text)
        if _ASKS.fullmatch(plain):
            asked = True
            continue
        is_key = column in patterns and patterns[column].search(folded(text))
        if not (_ANSWERS.fullmatch(plain) or _DAY.fullmatch(plain) or (asked and not is_key)):
            return False
        asked = False
    return True


# --- totals -----------------------------------------------------------------------------------------------------------

_TOTAL_WORD = r"(?:总?合[计計]数?|[总總][计計]数?|总共|共[计計]|累计数?|汇总数?|总数|总和|(?:grand)?totals?|sum)"
_COUNTED = r"(?:[0-9]+[所校个行名人家])?"
_WHOLE = (
    r"(?:全[县区市州旗]|本?[县区市]|本表|各校|各学校|所有学校|全部|全体|中小学"
    r"|[\u4e00-\u9fff]{1,8}(?<![学校片园小社])[县区市州旗]级?|[\u4e00-\u9fff]{1,12}教[育科体]{1,3}局)?"
    r"(?:[0-9]{4}(?:-[0-9]{4})?(?:学年度?|年度?))?"
)
_TOTAL = re.compile(f"{_WHOLE}{_TOTAL_WORD}{_COUNTED}|全[县区市州旗]", re.IGNORECASE)
_SUBTOTAL = re.compile(
    f".{{0,30}}(?:小计数?|分计|subtotals?){_COUNTED}|.{{1,30}}{_TOTAL_WORD}{_COUNTED}|其中(?::.{{0,30}})?",
    re.IGNORECASE,
)
#: So a row of free text may be called as well that is a figure of its own: 教职工总数.
_MAY_BE_A_NAME = re.compile(f".+(?:总数|总和|总共|累计数?|汇总数?){_COUNTED}")
_HALVES = frozenset("合总共小")
_MAY_BE_TOTAL = re.compile(r"[计計总總汇]|其\s*中|^\W*全|^\W*[合共小]\W*$|^\W*[TSGＴＳＧ]", re.IGNORECASE)


def _total_label(text: str) -> str:
    """合计：, 合 计（104所）, 【合计】, 合计* → 合计."""
    bare = normalise_label(text).strip(":*【】[]《》<>〈〉「」“”\"'")
    return re.sub(r"\([^()]*\)$", "", bare).rstrip(":")


@dataclass(frozen=True)
class _Form:
    """What telling rows apart needs of a form as one sheet lays it out; columns are indexes in the sheet."""

    defined: ReturnDefinition
    mapped: list[int]
    keys: list[tuple[int, Column]]
    numbers: list[tuple[int, Column]]
    named: list[int]
    beside: list[int]
    total_labels: frozenset[str]
    groups: tuple[str, ...]
    patterns: dict[int, re.Pattern[str]]

    @classmethod
    def of(cls, defined: ReturnDefinition, columns: Mapping[str, int]) -> "_Form":
        total = defined.total_row
        numbers = [(columns[one.name], one) for one in defined.number_columns if one.name in columns]
        keys = [(columns[name], defined.column(name)) for name in defined.key if name in columns]
        names = dict.fromkeys([*(total.label_columns if total else ()), *defined.key, defined.row_label])
        mapped = sorted(columns.values())
        first_number = min((index for index, one in numbers if one.name not in names), default=max(mapped, default=0))
        return cls(
            defined=defined,
            mapped=mapped,
            keys=keys,
            numbers=numbers,
            named=[columns[name] for name in names if name in columns],
            beside=[index for index in range(first_number) if index not in mapped],
            total_labels=frozenset(normalise_label(label) for label in (total.labels if total else ())),
            groups=tuple(code for name in (total.per if total else ()) for code in defined.column(name).codes),
            patterns={columns[one.name]: re.compile(one.pattern) for one in defined.columns
                      if one.pattern and one.name in columns},
        )  # fmt: skip

    def labels_within(self, width: int) -> list[int]:
        """The columns in which a row so wide may say that it is a total: those that name it first, then those beside the form's own."""
        return [*self.named, *self.beside[: bisect_left(self.beside, width)]]

    def is_keyed(self, cells: Sequence[str | None]) -> bool:
        """Whether a row holds a key: a code or number of its own, or everything that the form knows a row by."""
        held = [(column, holds(column, _at(cells, index))) for index, column in self.keys]
        return any(is_held and not column.codes for column, is_held in held) or (
            bool(held) and all(is_held for _, is_held in held)
        )

    def may_be_data(self, cells: Sequence[str | None], leading: int) -> bool:
        """Whether a row that begins as a note does may be data: a figure or a key stands in its column."""
        return self.is_keyed(cells) or any(
            index != leading and (text := _at(cells, index)) and (folded(text) in MISSING_CODES or _number(text) is not None)
            for index, _ in self.numbers
        )  # fmt: skip

    @property
    def is_told_by_its_keys(self) -> bool:
        """Whether the form has a key that can be told from any other text."""
        return any(column.codes or column.pattern or column.is_number for _, column in self.keys)

    def is_named_and_counted(self, cells: Sequence[str | None]) -> bool:
        """Whether a row holds a key of free text and a figure that is not the answer to the cell before it: 联系电话, 3022331."""
        if self.is_told_by_its_keys or not any(_at(cells, index) for index, _ in self.keys):
            return False
        keys = {index for index, _ in self.keys}
        for index, _ in self.numbers:
            text = _at(cells, index)
            if index in keys or not text or not (folded(text) in MISSING_CODES or _number(text) is not None):
                continue
            before = next((one for one in reversed(cells[:index]) if one), "")
            if not _ASKS_A_NUMBER.fullmatch(normalise_label(before)):
                return True
        return False


def _at(cells: Sequence[str | None], index: int) -> str | None:
    return cells[index] if index < len(cells) else None


def holds(column: Column, text: str | None) -> bool:
    """Whether a text is plainly one of a column's: a code of its list, of its pattern, a number. Of free text nothing is plain."""
    if not text:
        return False
    plain = folded(text)
    if column.codes:
        return plain in {folded(code) for code in column.codes}
    if column.pattern:
        return re.search(column.pattern, plain) is not None
    return _number(plain) is not None if column.is_number else False


def _number(text: str | None) -> Decimal | None:
    plain = folded(text or "").replace(",", "")
    if not plain.isascii() or len(plain) > 40:
        return None
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def sort_rows(
    defined: ReturnDefinition, sheet: Sheet, columns: Mapping[str, int], rows: Iterable[int]
) -> dict[RowKind, list[int]]:
    """The rows under a header by kind. `columns`: column name → index in the sheet; `rows`: indexes from 0, in order."""
    form = _Form.of(defined, columns)
    found: dict[RowKind, list[int]] = {kind: [] for kind in ROW_KINDS}
    under_header = True  # the numbers of columns stand there, and nowhere else
    for row in rows:
        kind = _kind(form, sheet.rows[row], under_header)
        found[kind].append(row)
        under_header = kind in (RowKind.BLANK, RowKind.HEADER_AGAIN) and (under_header or kind is RowKind.HEADER_AGAIN)
    _tell_subtotals(form, sheet, found)
    return {kind: sorted(rows) for kind, rows in found.items() if rows}


def _kind(form: _Form, cells: Sequence[str | None], under_header: bool) -> RowKind:
    filled = [text for index in form.mapped if index < len(cells) and (text := cells[index])]
    if not filled:
        leading = next((text for text in cells if text), None)
        if leading is None:
            return RowKind.BLANK
        return RowKind.SIGN_OFF if _SIGN_OFF.match(normalise_label(leading)) else RowKind.NOTE
    kind = _total_kind(form, cells)
    if kind is not None:
        return kind
    if under_header and _is_column_numbers(filled, form):
        return RowKind.COLUMN_NUMBERS
    if is_header_again(filled, form.defined):
        return RowKind.HEADER_AGAIN
    leading = next(filter(None, cells))
    plain = normalise_label(leading)
    if plain[:1] not in _FIRST and "盖章" not in plain and "单位" not in plain:
        return RowKind.DATA
    if sum(1 for text in cells if text) == 1 and units_said(leading):
        return RowKind.NOTE
    leading_at = cells.index(leading)
    if _NOTE.match(plain):
        if len(filled) == 1 and leading_at in form.mapped:
            return RowKind.NOTE
    elif _SIGN_OFF.match(plain) or "盖章" in plain:
        if not form.is_named_and_counted(cells) and _signs_off(
            [(index, text) for index, text in enumerate(cells) if text], form.patterns
        ):
            return RowKind.SIGN_OFF
    else:
        return RowKind.DATA
    is_row = form.is_keyed(cells) or (form.may_be_data(cells, leading_at) and 2 * len(filled) >= len(form.mapped))
    return RowKind.DATA if is_row else RowKind.UNCLEAR


def _total_kind(form: _Form, cells: Sequence[str | None]) -> RowKind | None:
    """A total or subtotal by its label, None where the row is neither; one that has a key of its own is data whatever its name."""
    spread: str | None = None
    for index in form.labels_within(len(cells)):
        text = _at(cells, index)
        if not text or is_digits(text) or not _MAY_BE_TOTAL.search(text):
            continue
        label = _total_label(text)
        if label in _HALVES:  # 合 and 计 in two cells, as they are spread over a wide column
            if spread is None:
                places = sorted(form.labels_within(len(cells)))
                spread = "".join(_total_label(one) for at in places if (one := _at(cells, at)))
            label = spread
        is_total = label in form.total_labels or _TOTAL.fullmatch(label) is not None
        # Beside the form's own columns stand remarks too: there only a total's very word makes a row one.
        is_part = (
            _SUBTOTAL.fullmatch(label) is not None
            and not _NOTE.match(label)
            and (form.is_told_by_its_keys or not _MAY_BE_A_NAME.fullmatch(label))
            and (index in form.mapped or label in ("小计", "合计"))
        )
        if not (is_total or is_part) or form.is_keyed(cells):
            continue
        # The total of a group that the form adds up by itself, named in its label: 常住合计.
        is_total = is_total or any(label.startswith(group) and label.endswith("计") for group in form.groups)
        return RowKind.TOTAL if is_total and form.defined.total_row else RowKind.SUBTOTAL
    return None


def _tell_subtotals(form: _Form, sheet: Sheet, found: dict[RowKind, list[int]]) -> None:
    """Move the totals of a part of the table to the subtotals: those that name a part, and those in the middle beside a whole one."""
    total, data = form.defined.total_row, found[RowKind.DATA]
    # What lies astray under a total makes it no subtotal.
    data = [row for row in data if form.is_keyed(sheet.rows[row])] or data
    if not found[RowKind.TOTAL] or not data or total is None:
        return
    parts = [
        (index, column) for index, column in form.keys
        if column.codes and column.name not in total.per and column.name not in total.label_columns
    ]  # fmt: skip
    values = {index: {folded(sheet.cell(row, index) or "") for row in data} for index, _ in parts}
    of_part: set[int] = set()
    for row in found[RowKind.TOTAL]:
        for index, column in parts:
            if holds(column, text := sheet.cell(row, index)) and values[index] != {folded(text or "")}:
                of_part.add(row)
                break
    totals = [row for row in found[RowKind.TOTAL] if row not in of_part]
    if not total.per and any(data[0] < row < data[-1] for row in totals):
        whole = _sums(form, sheet, data)
        left, start = len(totals), 0
        for row in totals:
            end = bisect_left(data, row)
            block = _sums(form, sheet, data[start:end])
            start = end
            is_within = data[0] < row < data[-1]
            if not _equals(sheet, row, whole) and (_equals(sheet, row, block) or (is_within and left > 1)):
                of_part.add(row)
                left -= 1
    found[RowKind.TOTAL] = [row for row in found[RowKind.TOTAL] if row not in of_part]
    found[RowKind.SUBTOTAL] += of_part


def _sums(form: _Form, sheet: Sheet, rows: Sequence[int]) -> dict[int, Decimal]:
    """Column → the sum of what can be read of it."""
    return {
        index: sum((number for row in rows if (number := _number(sheet.cell(row, index))) is not None), Decimal(0))
        for index, column in form.numbers
        if column.additive
    }


def _equals(sheet: Sheet, row: int, sums: Mapping[int, Decimal]) -> bool:
    """Whether every number of a row is the sum of its column, and there is one."""
    stated = {index: number for index in sums if (number := _number(sheet.cell(row, index))) is not None}
    return bool(stated) and all(abs(number - sums[index]) < Decimal("0.05") for index, number in stated.items())


# --- headers ----------------------------------------------------------------------------------------------------------

_COLUMN_LETTERS, _LATIN_LETTERS = "甲乙丙丁戊己庚辛壬癸", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _is_column_numbers(filled: Sequence[str], form: _Form) -> bool:
    """The row `甲 乙 1 2 3 …` that statistical forms print under the header: nothing but letters and numbers in their order."""
    texts = [text.strip("()") for text in map(normalise_label, filled)]
    is_said = texts[0] == "栏次"
    texts = texts[is_said:]
    letters = [text for text in texts if text in _COLUMN_LETTERS or text in _LATIN_LETTERS]
    numbers = [int(text) for text in texts if is_digits(text) and len(text) < 4]
    if len(letters) + len(numbers) < max(len(texts), 3, len(form.mapped) / 2):
        return False
    if not letters and not is_said and (len(numbers) < len(form.mapped) or len(form.numbers) == len(form.mapped)):
        return False  # numbers alone could be figures, where they do not stand in every column, those of text too
    first = numbers[0] if numbers else 1
    return (
        first in (1, len(letters) + 1)
        and numbers == list(range(first, first + len(numbers)))
        and ("".join(letters) in _COLUMN_LETTERS[: len(letters)] + " " + _LATIN_LETTERS[: len(letters)])
    )


def is_header_again(filled: Sequence[str], defined: ReturnDefinition) -> bool:
    """Whether the filled cells of a row are the labels of the form once more, and no figure among them."""
    if len(filled) < 2 or split_unit(filled[0], declared_units())[0] not in defined.label_owner:
        return False
    known_n = sum(split_unit(text, declared_units())[0] in defined.label_owner for text in filled)
    return known_n >= 0.8 * len(filled) and all(_number(text) is None for text in filled)


def leave_unfilled(
    defined: ReturnDefinition, sheet: Sheet, columns: Mapping[str, int], data_rows: Sequence[int]
) -> Iterator[int]:
    """The rows of a template's blocks in which nobody filled anything beside the labels that we printed: not reported, no data.

    A block is what one total row sums (a register with its ages), or the table. Where one cell of it is filled, every row
    of it is data, and what is blank in it is told.
    """
    labels = {*defined.key, defined.row_label}
    # Where the form asks for nothing but labels, they are what is stated.
    stated = [index for name, index in columns.items() if name not in labels] or [*columns.values()]
    per = [columns[name] for name in (defined.total_row.per if defined.total_row else ()) if name in columns]
    blocks: dict[tuple[str | None, ...], list[int]] = {}
    for row in data_rows:
        blocks.setdefault(tuple(sheet.cell(row, index) for index in per), []).append(row)
    for rows in blocks.values():
        if not any(sheet.cell(row, index) for row in rows for index in stated):
            yield from rows
