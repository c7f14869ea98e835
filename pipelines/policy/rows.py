"""The rows of one file of policy, as clerks write them in Excel, WPS or an editor.

Belongs here: from bytes to typed values, each row with its line, and every mistake of the file at once. Read are UTF-8 (with or
without a mark) and GB18030, comma or tab, any line ends, headers in Chinese or by name, full-width digits, and days such as 2024/9/1;
what could mean two things is refused. What the rows mean together is `in_force`'s.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipelines.characters import folded, folded_name, normalise_label, strange, visible
from pipelines.municipality import Problem
from pipelines.periods import parse_period
from pipelines.policy.tables import PolicyColumn, PolicyTable, allowed_codes, members_of
from pipelines.workbooks.delimited import table_of
from pipelines.workbooks.workbook import Refusal

Value = str | int | Decimal | date | bool | None
#: A file of policy is a few hundred rows; what is larger is something else.
MOST_BYTES, MOST_ROWS, _LONGEST = 2 * 2**20, 20_000, 500
_MOST_PROBLEMS = 50
_LONGEST_TOLD = 60
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_INTEGER, _DECIMAL = re.compile(r"-?\d{1,9}"), re.compile(r"(-?\d{1,14})(?:\.(\d+))?")
_FLAGS = {"是": True, "true": True, "否": False, "false": False}
_EARLIEST, _LATEST = 1949, 2100


@dataclass(frozen=True)
class PolicyRow:
    """One row. `is_home`: the home's own, else one of the shipped defaults; `line` counts from 1."""

    table: str
    values: Mapping[str, Value]
    is_home: bool
    file: str
    line: int

    def key(self, columns: Iterable[str]) -> tuple[Value, ...]:
        return tuple(self.values[name] for name in columns)

    @property
    def is_never(self) -> bool:
        """Whether the row says that what the defaults say does not hold: it ends on the day on which it begins."""
        return self.values["valid_from"] is not None and self.values["valid_from"] == self.values["valid_to"]

    def problem(self, message: str, remedy: str) -> Problem:
        return Problem(self.file, self.line, message, remedy)


def read_rows(table: PolicyTable, content: bytes, file: str, *, is_home: bool) -> tuple[list[PolicyRow], list[Problem]]:
    """The rows of a table's file and what is wrong with it; a row with a mistake is not among the rows."""
    if len(content) > MOST_BYTES:
        return [], [Problem(file, None, f"文件有 {len(content):,} 字节，上限 {MOST_BYTES:,}", "只留本表的行")]
    if not content.strip():
        return [], [Problem(file, None, "文件是空的", "写上表头，或删去这个文件")]
    read = table_of(content, file, max_cells=MOST_ROWS * (len(table.columns) + 1))
    if isinstance(read, Refusal):
        return [], [Problem(file, None, read.detail, "在 Excel 或 WPS 中另存为“CSV UTF-8（逗号分隔）”")]
    lines = read.sheets[0].rows
    while lines and not any(lines[-1]):
        lines.pop()
    if len(lines) > MOST_ROWS:
        return [], [Problem(file, None, f"有 {len(lines):,} 行，上限 {MOST_ROWS:,}", "只留本表的行")]
    header_at = next((at for at, line in enumerate(lines) if any(line)), 0)
    places, problems = _header(table, lines[header_at] if lines else [], file, header_at + 1)
    if problems:
        return [], problems
    rows = []
    for number, line in enumerate(lines[header_at + 1 :], start=header_at + 2):
        if not any(line):
            continue
        if any(value and ("\n" in value or "\r" in value) for value in line):
            # The lines behind it would be counted wrongly.
            problems.append(Problem(file, number, "一格里有换行", "删去格内的换行；此后各行改正后再查"))
            break
        values, wrong = _values(table, places, line)
        problems += [Problem(file, number, message, remedy) for message, remedy in wrong]
        if not wrong:
            rows.append(PolicyRow(table.name, values, is_home, file, number))
        elif len(problems) > _MOST_PROBLEMS:
            problems.append(Problem(file, number, f"错误已超过 {_MOST_PROBLEMS} 处，后面的没有再查", "先改正以上各处"))
            break
    return rows, problems


def _header(table: PolicyTable, header: list[str | None], file: str, line: int) -> tuple[dict[int, str], list[Problem]]:
    """Place → name of the column, and what is wrong with the header."""
    names = {normalise_label(one): name for name, column in table.columns.items() for one in (name, column.label)}
    places: dict[int, str] = {}
    problems = []
    for at, text in enumerate(header):
        if not text:
            continue
        name = names.get(normalise_label(text))
        if name is None:
            near = difflib.get_close_matches(normalise_label(text), list(names), n=1, cutoff=0.6)
            mend = (
                f"是不是“{near[0]}”" if near else f"可用的列：{'、'.join(one.label for one in table.columns.values())}"
            )
            problems.append(Problem(file, line, f"不认识列“{_told(text)}”", mend))
        elif name in places.values():
            problems.append(Problem(file, line, f"列“{_told(text)}”出现两次", "只留一列"))
        else:
            places[at] = name
    lacking = [
        column.label for name, column in table.columns.items() if column.required and name not in places.values()
    ]
    if lacking:
        problems.append(Problem(file, line, f"缺少列：{'、'.join(lacking)}", "第一行写表头，补上这些列"))
    return places, problems


def _values(
    table: PolicyTable, places: Mapping[int, str], line: list[str | None]
) -> tuple[dict[str, Value], list[tuple[str, str]]]:
    """What a line says, and what is wrong with it: (message, remedy)."""
    values: dict[str, Value] = dict.fromkeys(table.columns)
    wrong: list[tuple[str, str]] = []

    def told(message: str, remedy: str) -> None:
        wrong.append((message, remedy))

    for at, text in enumerate(line):
        if text and at not in places:
            told(f"第 {at + 1} 栏“{_told(text)}”没有列名", "删去多出的内容；值里有逗号的，用英文双引号括起来")
    for at, name in places.items():
        column, text = table.columns[name], (line[at] if at < len(line) else None) or ""
        if not folded_name(text):
            if column.required:
                told(f"“{column.label}”没有填", _wanted(column))
            continue
        try:
            values[name] = _value(column, text)
        except _Wrong as error:
            told(f"“{column.label}”{error.message}", error.remedy)
    for name, column in table.columns.items():
        member = values[name]
        dimension = values.get(column.member_of or "")
        if column.member_of and isinstance(member, str) and isinstance(dimension, str):
            known = members_of(dimension)
            if known is not None and member not in known:
                told(f"“{column.label}”：“{dimension}”没有“{_told(member)}”", f"可用的：{'、'.join(known)}")
    if (
        table.documented
        and values["is_sample"] is False
        and not (values["document_number"] or values["document_title"])
    ):
        told("不是示例而没有写文号或文件名称", "写上依据的文件；没有依据的，“是否示例”写“是”")
    bounds = ("valid_from", "valid_to")
    for first, last in dict.fromkeys((bounds, table.bounds or bounds)):
        begins, ends = values[first], values[last]
        if begins is not None and ends is not None and ends < begins:  # type: ignore[operator]
            told(f"“{table.columns[last].label}”早于“{table.columns[first].label}”", "改正两者之一")
    if table.interval != "days" and values["valid_to"] is not None and values["valid_to"] != values["valid_from"]:
        told("本表的行不按日期失效", "失效日期留空；本市不采用默认的这一项的，失效日期写得与生效日期相同")
    return values, wrong


class _Wrong(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def _value(column: PolicyColumn, text: str) -> Value:
    """The value that a cell means. Raises _Wrong where it means none, or may mean two."""
    if len(text) > _LONGEST:
        raise _Wrong(f"有 {len(text):,} 个字，上限 {_LONGEST}", "缩短")
    if column.type == "text":
        # As it was written: a full-width colon is right in a Chinese title.
        value = " ".join(visible(text).split())
        if column.pattern and not re.fullmatch(column.pattern, value):
            raise _Wrong(f"“{_told(text)}”不合要求", f"写成{column.hint}")
        return value
    plain = folded(text)
    if odd := strange(plain):
        raise _Wrong(f"“{_told(text)}”里有{odd}", "用键盘重新输入")
    match column.type:
        case "date":
            return _day(plain)
        case "flag":
            if plain.lower() not in _FLAGS:
                raise _Wrong(f"“{_told(text)}”不是“是”或“否”", "写“是”或“否”")
            return _FLAGS[plain.lower()]
        case "integer" | "year":
            if not _INTEGER.fullmatch(plain):
                raise _Wrong(f"“{_told(text)}”不是整数", "写整数，不加单位和分隔符")
            number = int(plain)
            low, high = (_EARLIEST, _LATEST) if column.type == "year" else (column.min, column.max)
            _refuse_outside(number, low, high)
            return number
        case "decimal":
            return _decimal(column, plain)
        case "period":
            try:
                return parse_period(plain).code
            except ValueError:
                raise _Wrong(f"“{_told(text)}”不是报告期", "写成 2024-2025、2024、2024Q3 或 2024-03 这样") from None
        case _:
            return _code(column, plain)


def _day(plain: str) -> date:
    read = _DAY.fullmatch(plain.partition(" ")[0])
    if read is None:
        hint = "（是不是 Excel 的日期序号）" if re.fullmatch(r"\d{5}", plain) else ""
        raise _Wrong(f"“{_told(plain)}”看不出是哪一天{hint}", "按年、月、日写成 2024-09-01 或 2024/9/1")
    try:
        return date(int(read[1]), int(read[2]), int(read[3]))
    except ValueError:
        raise _Wrong(f"“{_told(plain)}”没有这一天", "改正日期") from None


def _decimal(column: PolicyColumn, plain: str) -> Decimal:
    read = _DECIMAL.fullmatch(plain)
    if read is None:
        remedy = "不写百分号、单位和千位分隔符，如 99.5" if re.search(r"\d", plain) else "写数字，如 99.5"
        raise _Wrong(f"“{_told(plain)}”不是数", remedy)
    if len((read[2] or "").rstrip("0")) > column.places:
        raise _Wrong(f"“{_told(plain)}”的小数超过 {column.places} 位", "按文件的数写，不多写小数")
    number = Decimal(plain)
    _refuse_outside(number, column.min or 0, column.max)
    return number.quantize(Decimal(1).scaleb(-column.places))


def _refuse_outside(number: int | Decimal, low: int | None, high: int | None) -> None:
    if (low is not None and number < low) or (high is not None and number > high):
        span = (
            f"{low} 至 {high}"
            if high is not None and low is not None
            else f"不小于 {low}"
            if high is None
            else f"不大于 {high}"
        )
        raise _Wrong(f"“{number}”超出范围", f"应为 {span}")


def _code(column: PolicyColumn, plain: str) -> str:
    allowed = allowed_codes(column)
    spelt = {folded(label): value for value, label in column.value_labels.items()} | column.spellings
    plain = spelt.get(plain, plain)
    if allowed is None:
        return plain
    as_declared = {folded(one): one for one in allowed}
    if plain in as_declared:
        return as_declared[plain]
    near = difflib.get_close_matches(plain, allowed, n=1, cutoff=0.6)
    raise _Wrong(f"没有“{_told(plain)}”这一项", f"是不是“{near[0]}”" if near else _wanted(column))


def _wanted(column: PolicyColumn) -> str:
    allowed = allowed_codes(column)
    if allowed:
        return f"可用的：{'、'.join(column.value_labels.get(one, one) for one in allowed)}"
    return "写“是”或“否”" if column.type == "flag" else "补上"


def _told(text: str) -> str:
    seen = visible(text)
    return seen if len(seen) <= _LONGEST_TOLD else seen[:_LONGEST_TOLD] + "…"
