"""What counties get wrong: a catalogue of faults, each placed at a known cell of a known file.

Belongs here: the faults and the finding each must lead to. Six counties have them (`FAULTY_COUNTIES`); the other eight
stay sound. A filing holds one fault, or several of the same level that do not hide each other. Sums that a fault is not
about are made to agree again, so that only the fault is wrong. A faulty file stands in for the county's file, or
follows it as a second version where `_Case.second_version` says so: the good version then stays in force.

`data/encrypted.xlsx` is a workbook with the note that it is synthetic, encrypted once with msoffcrypto-tool (password
"xianbao"); its salts are random, which is why it is kept rather than made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

from pipelines.returns import current_definitions
from pipelines.sample.layout import Book, Formula, Grid, GridValue, address
from pipelines.sample.population import apportion
from pipelines.sample.workbooks import render
from pipelines.sample.world import AGE_COLUMNS, GRADE_COLUMNS, GRADES_N

FAULTY_COUNTIES = ("140902", "140921", "140922", "140924", "140925", "140981")
#: Made up, and impossible as a person's: no registry gives out the sequence 000. The check digit is right.
IDENTITY_NUMBER = "140902198501010004"
PHONE_NUMBER = "13800000000"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and the finding that must name it.

    `cells` are the addresses (such as F12) a finding must stand at, empty where no single cell is at fault; `level` and
    `outcome` are those of the finding expected of `rule`.
    """

    fault_id: str
    county_code: str
    return_code: str
    period: str
    file_name: str
    sheet: str
    cells: tuple[str, ...]
    rule: str
    level: str
    outcome: str
    description: str

    @classmethod
    def from_dict(cls, entry: dict) -> Fault:
        return cls(**{**entry, "cells": tuple(entry["cells"])})


@dataclass(frozen=True)
class FaultyFile:
    """The file as sent, with the faults that are in it."""

    file_name: str
    content: bytes
    faults: tuple[Fault, ...]
    second_version: bool


Cells = tuple[str, ...]
Breaking = Callable[[Book, Grid], Cells]


@dataclass(frozen=True)
class _Part:
    """One fault of a case. `break_` spoils the grid and returns the cells at fault."""

    rule: str
    description: str
    break_: Breaking
    outcome: str = "error"

    @property
    def level(self) -> str:
        return self.rule.split("-")[1]


@dataclass(frozen=True)
class _Case:
    """One faulty file. `spoil` works on the finished bytes; `file_name` changes the name given the sound one."""

    county_code: str
    return_code: str
    period: str
    parts: tuple[_Part, ...]
    spoil: Callable[[bytes], bytes] | None = None
    file_name: Callable[[str], str] | None = None
    second_version: bool = False


def faulty_files(make: Callable[[], Book], county_code: str, return_code: str, period: str) -> FaultyFile | None:
    """The faulty file of a filing, made from the sound one; None for a filing that has none."""
    case = _CASES.get((county_code, return_code, period))
    return None if case is None else _broken(case, make)


def example_file(make: Callable[[], Book]) -> FaultyFile:
    """A file with a few common slips that belongs to no delivery: what a clerk gets back for it is worth seeing. `make`: the sound book
    of `EXAMPLE`."""
    return _broken(_EXAMPLE, make)


def _broken(case: _Case, make: Callable[[], Book]) -> FaultyFile:
    county_code, return_code, period = case.county_code, case.return_code, case.period
    book = make()
    grid = book.grid(return_code)
    cells = [part.break_(book, grid) for part in case.parts]
    if case.second_version:
        stem, dot, suffix = book.file_name.rpartition(".")
        book.file_name = f"{stem}（第2次报送）{dot}{suffix}"
    if case.file_name:
        book.file_name = case.file_name(book.file_name)
    content = render(book)
    if case.spoil:
        content = case.spoil(content)
    faults = tuple(
        Fault(
            fault_id=f"{county_code}-{return_code}-{period}-{number}",
            county_code=county_code,
            return_code=return_code,
            period=period,
            file_name=book.file_name,
            sheet=_sheet(book, grid, part.rule),
            cells=found,
            rule=part.rule,
            level=part.level,
            outcome=part.outcome,
            description=part.description,
        )
        for number, (part, found) in enumerate(zip(case.parts, cells, strict=True), start=1)
    )
    return FaultyFile(book.file_name, content, faults, case.second_version)


#: Rules whose finding stands on the cover, which some counties keep on a sheet of its own.
_COVER_RULES = ("FILE-0-county-conflict", "FILE-0-return-conflict", "FILE-0-period-type")


def _sheet(book: Book, grid: Grid, rule: str) -> str:
    if rule in _COVER_RULES:
        return next(sheet.sheet for sheet in book.grids if sheet.cover_cells)
    return grid.sheet


# How a grid is spoilt ------------------------------------------------------------------------------------------------


def _place(grid: Grid, data_row: int, column: str) -> tuple[int, int]:
    return grid.data_rows[data_row], grid.columns[column]


def _count(grid: Grid, data_row: int, column: str) -> int:
    value = grid.value(data_row, column)
    if not isinstance(value, int):
        raise TypeError(f"{column} of data row {data_row} is not a count: {value!r}")
    return value


def _amount(grid: Grid, data_row: int, column: str) -> Decimal:
    value = grid.value(data_row, column)
    if not isinstance(value, (int, Decimal)):
        raise TypeError(f"{column} of data row {data_row} is not a number: {value!r}")
    return Decimal(value)


def _set(data_row: int, column: str, value: GridValue) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        row, place = _place(grid, data_row, column)
        grid.put(row, place, value)
        return (address(row, place),)

    return break_


def _add(data_row: int, column: str, amount: int, at: str, also: dict[str, int] | None = None) -> Breaking:
    """Add to a number; the finding stands at the column `at` of the row. `also`: what else moves with it."""

    def break_(book: Book, grid: Grid) -> Cells:
        for name, more in {column: amount, **(also or {})}.items():
            row, place = _place(grid, data_row, name)
            value = grid.rows[row][place]
            if not isinstance(value, (int, Decimal)):
                raise TypeError(f"{name} of data row {data_row} is not a number: {value!r}")
            grid.put(row, place, value + more)
        _retotal(grid)
        return (address(*_place(grid, data_row, at)),)

    return break_


def _exceed(data_row: int, column: str, by: str, more: int) -> Breaking:
    """Raise a count above the column it is a part of."""

    def break_(book: Book, grid: Grid) -> Cells:
        row, place = _place(grid, data_row, column)
        grid.put(row, place, _count(grid, data_row, by) + more)
        _retotal(grid)
        return (address(row, place),)

    return break_


def _retotal(grid: Grid) -> None:
    """Total rows as a SUM formula would have them, each over the rows that share its labels."""
    definition = current_definitions()[grid.return_code or ""]
    if definition.total_row is None:
        return
    for total_row in grid.total_rows:
        per = {name: grid.rows[total_row][grid.columns[name]] for name in definition.total_row.per}
        members = [n for n in range(len(grid.data_rows)) if all(grid.value(n, name) == per[name] for name in per)]
        for name, place in grid.columns.items():
            if isinstance(grid.rows[total_row][place], (int, Decimal)):
                values = (grid.value(n, name) for n in members)
                grid.put(total_row, place, sum(value for value in values if isinstance(value, (int, Decimal))))


def _first(stage: str, at_least: int = 20) -> Callable[[Grid], int]:
    """The first data row of a stage with that many pupils in every grade of it."""

    def find(grid: Grid) -> int:
        for n in range(len(grid.data_rows)):
            if grid.value(n, "stage") == stage and _count(grid, n, "grade_1") >= at_least:
                return n
        raise LookupError(f"no row of {stage} with {at_least} pupils a grade")

    return find


def _in_stage(stage: str, make: Callable[[int], Breaking]) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        return make(_first(stage)(grid))(book, grid)

    return break_


def _thousands_as_text(column: str) -> Breaking:
    """The first number of four digits becomes text with a comma, as copied from a report."""

    def break_(book: Book, grid: Grid) -> Cells:
        for n in range(len(grid.data_rows)):
            if _amount(grid, n, column) >= 1000:
                row, place = _place(grid, n, column)
                grid.put(row, place, f"{_amount(grid, n, column):,}")
                return (address(row, place),)
        raise LookupError(f"no {column} of 1000 and more")

    return break_


def _duplicate(data_row: int, key: str) -> Breaking:
    """Repeat a row at the end of the data; the finding stands at the key of the repeated row."""

    def break_(book: Book, grid: Grid) -> Cells:
        end = grid.data_rows[-1] + 1
        grid.rows.insert(end, list(grid.rows[grid.data_rows[data_row]]))
        grid.data_rows.append(end)
        grid.total_rows = [n + (n >= end) for n in grid.total_rows]
        _retotal(grid)
        return (address(end, grid.columns[key]),)

    return break_


def _remove_row(find: Callable[[Grid], int]) -> Breaking:
    """Take a data row out; nothing in the sheet is wrong but what is missing."""

    def break_(book: Book, grid: Grid) -> Cells:
        row = grid.data_rows[find(grid)]
        del grid.rows[row]
        grid.data_rows = [n - (n > row) for n in grid.data_rows if n != row]
        grid.total_rows = [n - (n > row) for n in grid.total_rows]
        _retotal(grid)
        return ()

    return break_


def _age_row(register: str, age: int) -> Callable[[Grid], int]:
    def find(grid: Grid) -> int:
        rows = range(len(grid.data_rows))
        return next(n for n in rows if (grid.value(n, "register"), grid.value(n, "age")) == (register, age))

    return find


def _kindergarten(nth: int) -> Callable[[Grid], int]:
    def find(grid: Grid) -> int:
        return [n for n in range(len(grid.data_rows)) if grid.value(n, "stage") == "学前"][nth]

    return find


def _remove_column(column: str) -> Breaking:
    """Delete a whole column under the header, as with a form of the year before."""

    def break_(book: Book, grid: Grid) -> Cells:
        place = grid.columns.pop(column)
        for row in (*grid.header_rows, *grid.data_rows, *grid.total_rows):
            del grid.rows[row][place]
        grid.columns = {name: n - (n > place) for name, n in grid.columns.items()}
        grid.merges = [
            (top, left - (left > place), bottom, right - (right >= place))
            for top, left, bottom, right in grid.merges
            if not (left == right == place)
        ]
        return ()

    return break_


def _hide_row(data_row: int) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        row = grid.data_rows[data_row]
        grid.hidden_rows.add(row)
        return (address(row, 0),)

    return break_


def _note(text: str) -> Breaking:
    """A remark below the table."""

    def break_(book: Book, grid: Grid) -> Cells:
        grid.rows.append([text])
        return (address(len(grid.rows) - 1, 0),)

    return break_


def _header_unit(column: str, unit: str, right_unit: str) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        row, place = _header_cell(grid, column)
        text = str(grid.rows[row][place])
        if f"（{right_unit}）" not in text:
            raise LookupError(f"the header of {column} carries no unit: {text}")
        grid.put(row, place, text.replace(f"（{right_unit}）", f"（{unit}）"))
        return (address(row, place),)

    return break_


def _header_cell(grid: Grid, column: str) -> tuple[int, int]:
    place = grid.columns[column]
    for row in reversed(grid.header_rows):
        if grid.rows[row][place] is not None:
            return row, place
    raise LookupError(f"{column} has no header")


def _cover(label: str, text: str | None) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        for sheet in book.grids:
            if label in sheet.cover_cells:
                row, place = sheet.cover_cells[label]
                joined = str(sheet.rows[row][place]).startswith(f"{label}：")
                sheet.put(row, place, f"{label}：{text}" if joined and text else text)
                return (address(row, place),)
        raise LookupError(f"no cover cell {label}")

    return break_


def _without_period(book: Book, grid: Grid) -> Cells:
    """No period on the cover, in the title, in the sign-off line; the file name has none either."""
    _cover("报告期", None)(book, grid)
    grid.rows[0][0] = current_definitions()[grid.return_code or ""].title
    grid.rows[-1] = ["填表人：填报员甲", None, "审核人：审核员乙", None, "单位负责人：负责人丙"]
    return ()


def _other_form(book: Book, grid: Grid) -> Cells:
    """A form that is not one of ours, though it comes from the county and for the period."""
    _cover("表号", "JY-31")(book, grid)
    grid.rows[0][0] = "忻州市中小学教学仪器设备情况表"
    top = grid.header_rows.start
    header: list[GridValue] = ["序号", "装备名称", "规格型号", "购置年份", "存放地点", "保管情况"]
    grid.rows[top:] = [
        header,
        [1, "显微镜", "XSP-1", 2019, "生物实验室", "完好"],
        [2, "投影机", "T-200", 2020, "一年级教室", "完好"],
    ]
    grid.merges = [merge for merge in grid.merges if merge[2] < top]
    grid.data_rows, grid.total_rows = [top + 1, top + 2], []
    return ()


def _no_rows(book: Book, grid: Grid) -> Cells:
    """Title, cover and header, and nothing below but the notes."""
    del grid.rows[grid.header_rows.stop : max(grid.data_rows + grid.total_rows) + 1]
    grid.data_rows, grid.total_rows = [], []
    return (address(grid.header_rows.stop - 1, 0),)


def _extra_column(label: str, text: str) -> Breaking:
    """A column of the county's own at the right end of the table."""

    def break_(book: Book, grid: Grid) -> Cells:
        place = len(grid.columns)
        grid.put(grid.header_rows.start, place, label)
        for row in grid.data_rows:
            grid.put(row, place, text)
        return (address(grid.header_rows.start, place),)

    return break_


def _year_for_quarter(label: str) -> Breaking:
    """Cover and title name a year where the return is by quarter."""

    def break_(book: Book, grid: Grid) -> Cells:
        grid.rows[0][0] = f"{label}{current_definitions()[grid.return_code or ''].title}"
        return _cover("报告期", label)(book, grid)

    return break_


def _untouched(book: Book, grid: Grid) -> Cells:
    return ()


def _wrong_total(column: str, more: int) -> Breaking:
    def break_(book: Book, grid: Grid) -> Cells:
        row, place = grid.total_rows[0], grid.columns[column]
        value = grid.rows[row][place]
        if not isinstance(value, (int, Decimal)):
            raise TypeError(f"no total of {column}")
        grid.put(row, place, value + more)
        return (address(row, place),)

    return break_


def _grow(per_cent: int) -> Breaking:
    """A school grows by so many per cent against last year; every identity still holds."""

    def break_(book: Book, grid: Grid) -> Cells:
        n = next(n for n in range(len(grid.data_rows)) if _is_growing(grid, n))
        stage = str(grid.value(n, "stage"))
        for column in (*AGE_COLUMNS, "students_female", "boarders"):
            grid.put(*_place(grid, n, column), _count(grid, n, column) * (100 + per_cent) // 100)
        total = sum(_count(grid, n, column) for column in AGE_COLUMNS)
        grades = [_count(grid, n, column) for column in GRADE_COLUMNS[: GRADES_N[stage]]]
        for column, pupils in zip(GRADE_COLUMNS, apportion(total, grades), strict=False):
            grid.put(*_place(grid, n, column), pupils)
        official = sum(_count(grid, n, f"age_{age}") for age in range(6, 12))
        grid.put(*_place(grid, n, "students_official_age"), official)
        grid.put(*_place(grid, n, "students_total"), total)
        grid.put(*_place(grid, n, "new_entrants"), _count(grid, n, "grade_1"))
        _retotal(grid)
        return (address(*_place(grid, n, "students_total")),)

    return break_


def _is_growing(grid: Grid, n: int) -> bool:
    return grid.value(n, "stage") == "小学" and 150 <= _count(grid, n, "students_total") <= 250


def _more_people(find: Callable[[Grid], int], people: int) -> Breaking:
    """So many people more of an age, boys and girls alike; every sum still holds."""

    def break_(book: Book, grid: Grid) -> Cells:
        also = {"population_male": people // 2, "population_female": people - people // 2}
        return _add(find(grid), "population_total", people, "population_total", also)(book, grid)

    return break_


def _allowance(data_row: int, column: str, yuan: int) -> Breaking:
    """Money in a column in which the county has none, with the total that belongs to it."""

    def break_(book: Book, grid: Grid) -> Cells:
        total = _amount(grid, data_row, "pay_total_yuan")
        grid.put(*_place(grid, data_row, "pay_total_yuan"), total + yuan)
        grid.put(*_place(grid, data_row, column), yuan)
        _retotal(grid)
        return (address(*_place(grid, data_row, column)),)

    return break_


def _standard(yuan: int) -> Breaking:
    """Another monthly standard than policy sets in the first row of the living allowance, with the money that belongs to it."""

    def break_(book: Book, grid: Grid) -> Cells:
        n = next(n for n in range(len(grid.data_rows)) if grid.value(n, "programme") == "乡村教师生活补助")
        money = _amount(grid, n, "teachers_entitled") * yuan * _amount(grid, n, "months")
        for column, value in (("standard_yuan_per_month", yuan), ("due_yuan", money), ("paid_yuan", money)):
            grid.put(*_place(grid, n, column), value)
        _retotal(grid)
        return (address(*_place(grid, n, "standard_yuan_per_month")),)

    return break_


def _of_tier(grid: Grid, tier: str) -> int:
    return next(n for n in range(len(grid.data_rows)) if grid.value(n, "tier") == tier)


def _tier(before: str, after: str) -> Breaking:
    """A tier other than the register's in the first row of one; the money stays."""

    def break_(book: Book, grid: Grid) -> Cells:
        return _set(_of_tier(grid, before), "tier", after)(book, grid)

    return break_


def _standard_of(tier: str) -> Breaking:
    """Nothing changed: where the standard of the first row of a tier stands."""

    def break_(book: Book, grid: Grid) -> Cells:
        return (address(*_place(grid, _of_tier(grid, tier), "standard_yuan_per_month")),)

    return break_


def _heads(tier: str, more: int) -> Breaking:
    """More teachers entitled than the first school of a tier has; nobody is paid more, so the money is in arrears."""

    def break_(book: Book, grid: Grid) -> Cells:
        n = _of_tier(grid, tier)
        money = more * _amount(grid, n, "standard_yuan_per_month") * _amount(grid, n, "months")
        for column, added in (("teachers_entitled", more), ("due_yuan", money), ("arrears_yuan", money)):
            value = _amount(grid, n, column) + added
            grid.put(*_place(grid, n, column), int(value) if column == "teachers_entitled" else value)
        _retotal(grid)
        return (address(*_place(grid, n, "teachers_entitled")),)

    return break_


def _pay_in_ten_thousands(book: Book, grid: Grid) -> Cells:
    """One school's pay in 万元, the rest in yuan."""
    row = 2  # a school in the county seat, which has no allowances
    parts = [name for name in grid.columns if name.endswith("_yuan") and name != "pay_total_yuan"]
    for name in parts:
        value = grid.value(row, name)
        if isinstance(value, (int, Decimal)):
            grid.put(*_place(grid, row, name), (Decimal(value) / 10_000).quantize(Decimal("0.01")))
    values = [grid.value(row, name) for name in parts]
    total = sum((Decimal(value) for value in values if isinstance(value, (int, Decimal))), Decimal(0))
    grid.put(*_place(grid, row, "pay_total_yuan"), total)
    _retotal(grid)
    return (address(*_place(grid, row, "pay_total_yuan")),)


def _months(months: int) -> Breaking:
    """So many months in the first row, with the money that belongs to them."""

    def break_(book: Book, grid: Grid) -> Cells:
        money = _amount(grid, 0, "teachers_entitled") * _amount(grid, 0, "standard_yuan_per_month") * months
        for column, value in (("due_yuan", money), ("paid_yuan", money)):
            grid.put(*_place(grid, 0, column), value)
        grid.put(*_place(grid, 0, "months"), months)
        _retotal(grid)
        return (address(*_place(grid, 0, "months")),)

    return break_


# How bytes are spoilt ------------------------------------------------------------------------------------------------


def _truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def _html(content: bytes) -> bytes:
    """What an office system exports as .xls: a web page."""
    page = (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=gb2312"></head><body><table>'
        "<tr><td>表号</td><td>XB06</td></tr><tr><td>注：本表为合成示例数据，非真实统计。</td></tr></table></body></html>"
    )
    return page.encode("gb18030")


def _tabs(content: bytes) -> bytes:
    """Text with tabs, renamed to .xlsx."""
    return "表号\tXB05\r\n注：本表为合成示例数据，非真实统计。\r\n".encode()


def _nothing(content: bytes) -> bytes:
    return b""


def _encrypted(content: bytes) -> bytes:
    return resources.files(__package__).joinpath("data", "encrypted.xlsx").read_bytes()


# The catalogue -------------------------------------------------------------------------------------------------------


#: County, return and period of the example.
EXAMPLE = ("140921", "enrolment", "2024-2025")
_EXAMPLE = _Case(
    *EXAMPLE,
    (
        _Part("XB02-1a-boarders", "寄宿生数写成了文字", _set(1, "boarders", "约三十")),
        _Part("XB02-1c-repeaters-within-total", "留级生多于在校生", _exceed(2, "repeaters", "students_total", 3)),
        _Part("FILE-1b-hidden-data", "隐藏的行里有数据", _hide_row(4), "query"),
    ),
    file_name=lambda name: f"示例_有差错_{name}",
)


def _one(
    county: str, return_code: str, period: str, rule: str, description: str, break_: Breaking, **more: Any
) -> _Case:
    outcome = more.pop("outcome", "error")
    return _Case(county, return_code, period, (_Part(rule, description, break_, outcome),), **more)


_ALL = (
    # 忻府区: the clerk types what comes to mind.
    _Case(
        "140902",
        "enrolment",
        "2022-2023",
        (
            _Part("XB02-1a-students_total", "人数写成汉字", _set(0, "students_total", "三十二")),
            _Part("XB02-1a-students_female", "人数为负数", _set(1, "students_female", -5)),
            _Part("XB02-1a-age_12", "人数带小数", _set(2, "age_12", Decimal("12.5"))),
            _Part("XB02-1a-new_entrants", "必填单元格为空", _set(3, "new_entrants", None)),
        ),
    ),
    _Case(
        "140902",
        "enrolment",
        "2023-2024",
        (
            _Part("XB02-1a-students_total", "该列不允许的缺失代码", _set(0, "students_total", "不适用")),
            _Part("XB02-1a-repeaters", "以破折号代替数字", _set(1, "repeaters", "—")),
            _Part("XB02-1a-boarders", "以“无”代替数字", _set(2, "boarders", "无")),
            _Part("XB02-1a-graduates_last_year", "人数写成百分数", _set(3, "graduates_last_year", "12.5%")),
        ),
    ),
    _one(
        "140902",
        "enrolment",
        "2024-2025",
        "XB02-1c-total-equals-ages",
        "第2次报送：在校生数不等于各年龄之和",
        _in_stage("小学", lambda n: _add(n, "age_13", 5, "students_total")),
        second_version=True,
    ),
    _Case(
        "140902",
        "school",
        "2024-2025",
        (
            _Part("XB01-1a-opened_on", "不存在的日期", _set(4, "opened_on", "2019年13月1日")),
            _Part("XB01-1a-organiser", "举办者不在代码表中", _set(5, "organiser", "私立")),
            _Part("XB01-1a-location_code", "城乡分类代码不存在", _set(6, "location_code", "999")),
        ),
    ),
    _one(
        "140902", "population", "2022", "XB03-1b-complete-age", "缺少常住人口9岁一行", _remove_row(_age_row("常住", 9))
    ),
    _one(
        "140902",
        "population",
        "2023",
        "XB03-1c-total-equals-sexes",
        "男女之和不等于人口数",
        _add(7, "population_male", 7, "population_total"),
    ),
    _one(
        "140902",
        "teacher_pay",
        "2022",
        "FILE-0-unit-conflict",
        "表头单位写成万元",
        _header_unit("basic_salary_yuan", "万元", "元"),
    ),
    _one(
        "140902",
        "teacher_pay",
        "2023",
        "FILE-0-formula-no-value",
        "公式没有计算结果",
        _set(5, "pay_total_yuan", Formula("=SUM(E11:O11)", None)),
    ),
    _one(
        "140902",
        "civil_servant_pay",
        "2022",
        "FILE-0-county-conflict",
        "封面行政区划代码是另一个县",
        _cover("行政区划代码", "140921"),
    ),
    _one(
        "140902",
        "civil_servant_pay",
        "2023",
        "XB05-1c-total-equals-components",
        "工资总额不等于各项之和",
        _add(0, "pay_total_yuan", 10000, "pay_total_yuan"),
    ),
    _one("140902", "civil_servant_pay", "2024", "FILE-0-type", "制表符文本改名为xlsx", _untouched, spoil=_tabs),
    _one("140902", "rural_subsidy", "2022Q1", "XB06-1a-months", "季度报表填13个月", _months(13)),
    _one("140902", "rural_subsidy", "2022Q2", "XB06-1c-months-within-period", "季度报表填4个月", _months(4)),
    _one(
        "140902",
        "rural_subsidy",
        "2022Q3",
        "XB06-1c-due-equals-heads-by-standard",
        "应发金额不等于人数×标准×月数",
        _add(3, "due_yuan", 600, "due_yuan", {"arrears_yuan": 600}),
    ),
    _one(
        "140902",
        "rural_subsidy",
        "2022Q4",
        "XB06-1c-arrears-equal-due-less-paid",
        "拖欠金额不等于应发减实发",
        _add(2, "arrears_yuan", 500, "arrears_yuan"),
    ),
    _one(
        "140902",
        "rural_subsidy",
        "2023Q1",
        "XB06-1c-paid-within-entitled",
        "实发人数多于应发人数",
        _exceed(3, "teachers_paid", "teachers_entitled", 1),
    ),
    _one("140902", "rural_subsidy", "2023Q2", "FILE-0-unreadable", "文件传输不完整", _untouched, spoil=_truncated),
    _one(
        "140902",
        "rural_subsidy",
        "2023Q3",
        "FILE-0-type",
        "网页改名为xls",
        _untouched,
        spoil=_html,
        file_name=lambda name: name.removesuffix("x"),
    ),
    _one("140902", "rural_subsidy", "2023Q4", "FILE-0-encrypted", "工作簿设有打开密码", _untouched, spoil=_encrypted),
    # 定襄县: forms mixed up; figures that jump.
    _Case(
        "140921",
        "enrolment",
        "2024-2025",
        (
            _Part("XB02-2-change-students-total", "一所小学比上年多60%", _grow(60), "query"),
            _Part("XB02-4-net-compulsory", "因此净入学率高于100%", _untouched, "query"),
            _Part("XB02-4-net-primary", "因此净入学率高于100%", _untouched, "query"),
        ),
    ),
    _one(
        "140921",
        "population",
        "2024",
        "XB03-2-cohort",
        "户籍10岁人口多报了三百人",
        _more_people(_age_row("户籍", 10), 300),
        outcome="query",
    ),
    _one(
        "140921",
        "teacher_pay",
        "2023",
        "XB04-5-hardship-category",
        "不在名单内的县填了艰苦边远地区津贴",
        _allowance(6, "hardship_allowance_yuan", 12000),
        outcome="query",
    ),
    _Case(
        "140921",
        "teacher_pay",
        "2024",
        (
            _Part("XB04-4-pay-per-head", "一所学校的工资以万元填报", _pay_in_ten_thousands, "query"),
            _Part("XB04-2-change-pay-per-head", "因此人均工资与上年相差悬殊", _untouched, "query"),
        ),
    ),
    _one(
        "140921",
        "rural_subsidy",
        "2023Q4",
        "XB06-5-standard",
        "一所学校按310元的标准发放",
        _standard(310),
        outcome="query",
    ),
    _one("140921", "school", "2022-2023", "XB01-1b-unique-key", "同一学校标识码填了两行", _duplicate(3, "school_code")),
    _one("140921", "rural_subsidy", "2024Q1", "FILE-0-return-unknown", "报来另一张表", _other_form),
    _one(
        "140921",
        "rural_subsidy",
        "2024Q2",
        "FILE-0-period-missing",
        "没有报告期",
        _without_period,
        file_name=lambda name: "乡村教师补助发放表（最终版）.xlsx",
    ),
    _one("140921", "rural_subsidy", "2024Q3", "FILE-0-no-rows", "只有表头没有数据", _no_rows),
    # 五台县: arithmetic; personal data in remarks.
    _one(
        "140922",
        "enrolment",
        "2022-2023",
        "XB02-1c-total-equals-grades",
        "在校生数不等于各年级之和",
        _in_stage("小学", lambda n: _add(n, "grade_6", 3, "students_total")),
    ),
    _one(
        "140922",
        "enrolment",
        "2023-2024",
        "XB02-1c-female-within-total",
        "女生多于在校生",
        _exceed(4, "students_female", "students_total", 4),
    ),
    _one(
        "140922",
        "enrolment",
        "2024-2025",
        "XB02-1c-official-age-equals-ages",
        "学龄学生数不等于学龄各岁之和",
        _in_stage("小学", lambda n: _add(n, "students_official_age", -2, "students_official_age")),
    ),
    _one(
        "140922",
        "teacher_pay",
        "2024",
        "XB04-1c-total-equals-components",
        "工资总额不等于各项之和",
        _add(6, "pay_total_yuan", 3000, "pay_total_yuan"),
    ),
    _one(
        "140922",
        "rural_subsidy",
        "2022Q1",
        "FILE-1a-identity-number",
        "备注里有身份证号",
        _note(f"备注：经办人身份证号{IDENTITY_NUMBER}"),
    ),
    _one(
        "140922",
        "rural_subsidy",
        "2022Q2",
        "FILE-1a-phone-number",
        "备注里有手机号",
        _note(f"备注：联系电话{PHONE_NUMBER}"),
    ),
    # 繁峙县: rows and totals.
    _one(
        "140924",
        "enrolment",
        "2022-2023",
        "XB02-1c-total-row",
        "合计行不等于各行之和",
        _wrong_total("students_total", 100),
    ),
    _one(
        "140924",
        "enrolment",
        "2023-2024",
        "XB02-1b-unique-key",
        "同一学校同一学段填了两行",
        _duplicate(6, "school_code"),
    ),
    _one(
        "140924",
        "enrolment",
        "2024-2025",
        "XB02-1b-register",
        "名录中在办的幼儿园没有填报",
        _remove_row(_kindergarten(2)),
        outcome="query",
    ),
    _one(
        "140924",
        "teacher_pay",
        "2022",
        "XB04-1a-teachers_average",
        "平均人数有两位小数",
        _set(2, "teachers_average", Decimal("12.34")),
    ),
    _one("140924", "teacher_pay", "2023", "FILE-1b-hidden-data", "隐藏行里有数据", _hide_row(4), outcome="query"),
    _one(
        "140924",
        "rural_subsidy",
        "2022Q1",
        "XB06-1a-due_yuan",
        "第2次报送：金额写成文字",
        _set(3, "due_yuan", "约5万元"),
        second_version=True,
    ),
    _Case(
        "140924",
        "rural_subsidy",
        "2024Q2",
        (
            _Part("XB06-2b-tier", "补助档次与名录不符", _tier("二档", "三档"), "query"),
            _Part("XB06-5-standard", "因此月标准不是该档的标准", _standard_of("三档"), "query"),
        ),
    ),
    _one(
        "140924",
        "rural_subsidy",
        "2024Q3",
        "XB06-2b-heads",
        "应发人数多于在岗教师",
        _heads("二档", 9),
        outcome="query",
    ),
    # 宁武县: the sheet itself.
    _one("140925", "enrolment", "2022-2023", "FILE-0-missing-column", "缺少留级生数一列", _remove_column("repeaters")),
    _one(
        "140925",
        "enrolment",
        "2023-2024",
        "FILE-1b-error-cell",
        "单元格是#REF!错误",
        _set(5, "boarders", Formula("=#REF!", "#REF!")),
    ),
    _Case(
        "140925",
        "enrolment",
        "2024-2025",
        (
            _Part("XB02-1a-stage", "学段不在代码表中", _set(2, "stage", "高中")),
            _Part("XB02-1a-school_code", "学校标识码只有9位", _set(5, "school_code", "140925006")),
        ),
    ),
    _Case(
        "140925",
        "population",
        "2022",
        (
            _Part("XB03-1a-age", "年龄超出0至17岁", _set(17, "age", 18)),
            _Part("XB03-1a-register", "人口口径不在代码表中", _set(20, "register", "暂住")),
        ),
    ),
    _one(
        "140925",
        "rural_subsidy",
        "2023Q1",
        "FILE-0-period-type",
        "季度报表的报告期写成年度",
        _year_for_quarter("2023年"),
        file_name=lambda name: "乡村教师补助（宁武县教育科技局报）2023年.xlsx",
    ),
    # 原平市: nearly right.
    _one("140981", "civil_servant_pay", "2022", "FILE-0-empty", "文件是0字节", _untouched, spoil=_nothing),
    _one(
        "140981",
        "rural_subsidy",
        "2023Q1",
        "FILE-0-unknown-column",
        "自己加了一列",
        _extra_column("经费来源", "县级财政"),
    ),
    _one("140981", "rural_subsidy", "2023Q2", "FILE-0-return-conflict", "封面表号是另一张表", _cover("表号", "XB04")),
    _one(
        "140981",
        "enrolment",
        "2023-2024",
        "FILE-1a-text-number",
        "数字以带千分位的文本保存",
        _thousands_as_text("students_total"),
        outcome="info",
    ),
    _one(
        "140981",
        "enrolment",
        "2022-2023",
        "XB02-1c-entrants-within-grade-1",
        "招生数多于一年级人数",
        _exceed(3, "new_entrants", "grade_1", 2),
    ),
    _one(
        "140981",
        "enrolment",
        "2024-2025",
        "XB02-1c-boarders-within-total",
        "寄宿生多于在校生",
        _exceed(3, "boarders", "students_total", 6),
    ),
)

_CASES: dict[tuple[str, str, str], _Case] = {(case.county_code, case.return_code, case.period): case for case in _ALL}
