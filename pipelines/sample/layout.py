"""How each county writes a return down: a grid of cells, before it is any kind of file.

Belongs here: titles, cover cells, headers, order of columns, total rows, notes, sheet and file names, and the habits of
the fourteen counties in these. Every data cell can be found again by row and column name, which the faults rely on.
Writing bytes is `workbooks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Literal

from pipelines.periods import parse_period
from pipelines.returns import Column, ReturnDefinition, current_definitions
from pipelines.sample.world import AGE_COLUMNS, ENTRY_AGE, GRADE_COLUMNS, GRADES_N, NOT_APPLICABLE, County, Row

SYNTHETIC_NOTE = "注：本表为合成示例数据，非真实统计。"
EXPLANATION_SHEET = "说明"
EXPLANATION = (
    "填报说明",
    "一、金额以元为单位，人数以人为单位。",
    "二、没有的项目填 0；不适用、缺报的按代码填写；并入另一栏的写“并入”和栏目名。",
    SYNTHETIC_NOTE,
)
COVER_SHEET = "封面"
_SHORT_NAMES = {
    "school": "学校名录",
    "enrolment": "在校学生",
    "population": "学龄人口",
    "teacher_pay": "教师工资",
    "civil_servant_pay": "公务员工资",
    "rural_subsidy": "乡村教师补助",
}

FileFormat = Literal["xlsx", "xls", "csv"]


@dataclass(frozen=True)
class Formula:
    """A formula cell. `cached` None: the file carries no result, as when no spreadsheet program ever opened it."""

    text: str
    cached: int | str | None


GridValue = int | Decimal | str | date | Formula | None


@dataclass(frozen=True)
class CountyStyle:
    """The habits of one county's clerk."""

    file_format: FileFormat = "xlsx"
    encoding: str = "utf-8"  # of CSV
    cover: Literal["pairs", "lines", "joined", "sheet"] = "pairs"
    two_row_header: bool = True
    units: bool = True
    line_breaks: bool = False
    alias: int = 0
    order: Literal["declared", "name_first", "totals_last"] = "declared"
    total_label: int | None = 0
    total_in_name: bool = False
    blank_before_notes: bool = False
    explanation_sheet: bool = False
    file_name: int = 0
    days_late: int = 0
    not_applicable_ages: bool = False  # 不适用 rather than 0 for ages that a stage cannot have
    bundles: tuple[tuple[str, ...], ...] = ()  # returns sent together in one workbook


STYLES: dict[str, CountyStyle] = {
    "140902": CountyStyle(explanation_sheet=True),
    "140921": CountyStyle(cover="joined", units=False, alias=1, file_name=1),
    "140922": CountyStyle(cover="sheet", line_breaks=True, file_name=2, blank_before_notes=True),
    "140923": CountyStyle(file_format="csv", encoding="gb18030", cover="lines", file_name=3),
    "140924": CountyStyle(cover="lines", two_row_header=False, total_label=1, file_name=2),
    "140925": CountyStyle(cover="pairs", order="name_first", total_in_name=True, file_name=4, days_late=3),
    "140926": CountyStyle(cover="joined", two_row_header=False, units=False, total_label=None, file_name=0),
    "140927": CountyStyle(file_format="xls", cover="pairs", line_breaks=True, total_label=2, file_name=4),
    "140928": CountyStyle(
        alias=1,
        file_name=2,
        bundles=(("school", "enrolment"), ("population", "teacher_pay", "civil_servant_pay")),
    ),
    "140929": CountyStyle(
        file_format="csv", encoding="utf-8-sig", cover="joined", units=False, total_label=None, file_name=1
    ),
    "140930": CountyStyle(
        cover="sheet", two_row_header=False, order="totals_last", file_name=0, not_applicable_ages=True
    ),
    "140931": CountyStyle(cover="lines", alias=2, order="totals_last", total_in_name=True, file_name=1, days_late=6),
    "140932": CountyStyle(file_format="csv", encoding="gb18030", cover="joined", alias=1, units=True, file_name=0),
    "140981": CountyStyle(cover="sheet", order="name_first", explanation_sheet=True, file_name=3),
}


@dataclass
class Grid:
    """One sheet. Rows and columns count from 0; the first data row follows the header at once."""

    sheet: str
    return_code: str | None = None
    rows: list[list[GridValue]] = field(default_factory=list)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)  # top, left, bottom, right
    title_rows: set[int] = field(default_factory=set)
    header_rows: range = range(0)
    data_rows: list[int] = field(default_factory=list)
    total_rows: list[int] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    columns: dict[str, int] = field(default_factory=dict)
    cover_cells: dict[str, tuple[int, int]] = field(default_factory=dict)  # cover label → place of its value

    def width(self) -> int:
        return max((len(row) for row in self.rows), default=1)

    def put(self, row: int, column: int, value: GridValue) -> None:
        cells = self.rows[row]
        cells.extend([None] * (column + 1 - len(cells)))
        cells[column] = value

    def value(self, data_row: int, column: str) -> GridValue:
        """The value in the n-th data row of a named column."""
        return self.rows[self.data_rows[data_row]][self.columns[column]]


@dataclass
class Book:
    """One file as a county sends it."""

    county_code: str
    period: str
    return_codes: tuple[str, ...]
    file_name: str
    file_format: FileFormat
    encoding: str
    grids: list[Grid]

    def grid(self, return_code: str) -> Grid:
        return next(grid for grid in self.grids if grid.return_code == return_code)


def column_letter(column: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def address(row: int, column: int) -> str:
    """The name of a cell, such as F12, from its place counted from 0."""
    return f"{column_letter(column)}{row + 1}"


def lay_out(county: County, period: str, filings: Sequence[tuple[str, list[Row]]], reported_on: date) -> Book:
    """One file with the given returns (return code, rows) of a county and period, in the county's own manner."""
    style = STYLES[county.code]
    definitions = current_definitions()
    grids: list[Grid] = []
    if style.cover == "sheet":
        grids.append(_cover_sheet(county, period, definitions[filings[0][0]]))
    for return_code, rows in filings:
        grids.append(_data_sheet(county, period, definitions[return_code], rows, style, reported_on))
    if style.explanation_sheet:
        grids.append(Grid(EXPLANATION_SHEET, rows=[[line] for line in EXPLANATION]))
    codes = tuple(return_code for return_code, _ in filings)
    return Book(
        county.code,
        period,
        codes,
        _file_name(county, period, codes, style),
        style.file_format,
        style.encoding,
        grids,
    )


def short_name(definition: ReturnDefinition) -> str:
    """What clerks call a return."""
    return _SHORT_NAMES.get(definition.return_code, definition.title.removesuffix("统计表").removesuffix("表"))


def _file_name(county: County, period: str, return_codes: tuple[str, ...], style: CountyStyle) -> str:
    definition = current_definitions()[return_codes[0]]
    label = parse_period(period).label
    short = "、".join(short_name(current_definitions()[code]) for code in return_codes)
    form = "+".join(current_definitions()[code].form for code in return_codes)
    title = definition.title if len(return_codes) == 1 else short
    stem = (
        f"{county.name}_{label}_{short}",
        f"{county.code}-{form}-{period}",
        f"{county.name}{label}{title}",
        f"{form}_{county.name}_{label}",
        f"{short}（{county.name}教育科技局报）{label}",
    )[style.file_name]
    return f"{stem}.{style.file_format}"


def _cover_pairs(county: County, period: str, definition: ReturnDefinition) -> list[tuple[str, str]]:
    return [
        ("表号", definition.form),
        ("填报单位", county.name),
        ("行政区划代码", county.code),
        ("报告期", parse_period(period).label),
    ]


def _cover_sheet(county: County, period: str, definition: ReturnDefinition) -> Grid:
    grid = Grid(COVER_SHEET, rows=[["忻州市教育统计报表"], []], merges=[(0, 0, 0, 3)], title_rows={0})
    for label, text in _cover_pairs(county, period, definition):
        grid.cover_cells[label] = (len(grid.rows), 2)
        grid.rows.append([None, label, text])
    grid.rows += [[], [None, SYNTHETIC_NOTE]]
    return grid


def _data_sheet(
    county: County, period: str, definition: ReturnDefinition, rows: list[Row], style: CountyStyle, reported_on: date
) -> Grid:
    columns = _ordered(definition, style)
    sheet = (short_name(definition), definition.form, "Sheet1")[style.file_name % 3]
    if len(style.bundles) and any(definition.return_code in bundle for bundle in style.bundles):
        sheet = short_name(definition)
    grid = Grid(sheet, definition.return_code, columns={column.name: place for place, column in enumerate(columns)})
    grid.rows.append([f"{county.name}{parse_period(period).label}{definition.title}"])
    grid.title_rows.add(0)
    grid.merges.append((0, 0, 0, len(columns) - 1))
    _add_cover(grid, _cover_pairs(county, period, definition), style)
    _add_header(grid, columns, style)
    per = definition.total_row.per if definition.total_row else ()
    for group, members in groupby(rows, key=lambda row: tuple(row[name] for name in per)):
        block = list(members)
        for row in block:
            grid.data_rows.append(len(grid.rows))
            grid.rows.append([_written(row, column, style) for column in columns])
        _add_total(grid, definition, columns, dict(zip(per, group, strict=True)), block, style)
    if style.blank_before_notes:
        grid.rows.append([])
    grid.rows.append([SYNTHETIC_NOTE])
    signed = f"报出日期：{reported_on.year}年{reported_on.month}月{reported_on.day}日"
    grid.rows.append(["填表人：填报员甲", None, "审核人：审核员乙", None, "单位负责人：负责人丙", None, signed])
    return grid


def _ordered(definition: ReturnDefinition, style: CountyStyle) -> list[Column]:
    columns = list(definition.columns)
    if style.order == "name_first" and columns[0].name == "school_code":
        columns[0], columns[1] = columns[1], columns[0]
    if style.order == "totals_last":
        # Labels, then the grouped columns, then all other figures.
        columns.sort(key=lambda column: 0 if not column.is_number or column.name == "age" else 1 if column.group else 2)
    return columns


def _add_cover(grid: Grid, pairs: list[tuple[str, str]], style: CountyStyle) -> None:
    top = len(grid.rows)
    if style.cover == "sheet":
        return
    if style.cover == "lines":
        for label, text in pairs:
            grid.cover_cells[label] = (len(grid.rows), 1)
            grid.rows.append([label, text])
    elif style.cover == "joined":
        for place in (0, 2):
            line: list[GridValue] = []
            for offset, (label, text) in enumerate(pairs[place : place + 2]):
                grid.cover_cells[label] = (len(grid.rows), 3 * offset)
                line += [f"{label}：{text}", None, None]
            grid.rows.append(line[:4])
    else:
        grid.rows += [[], []]
        for place, (label, text) in enumerate(pairs):
            row, column = top + place // 2, 3 * (place % 2)
            grid.put(row, column, label)
            grid.put(row, column + 1, text)
            grid.cover_cells[label] = (row, column + 1)


def header_text(column: Column, style: CountyStyle) -> str:
    """The label, or the alias the county is used to, with unit and line break as the county writes them."""
    labels = (column.label, *column.aliases)
    text = labels[min(style.alias, len(labels) - 1)]
    if style.line_breaks and len(text) > 4:
        text = f"{text[:3]}\n{text[3:]}"
    if style.units and column.unit:
        text += ("\n" if style.line_breaks else "") + f"（{column.unit}）"
    return text


def _add_header(grid: Grid, columns: list[Column], style: CountyStyle) -> None:
    top = len(grid.rows)
    texts: list[GridValue] = [header_text(column, style) for column in columns]
    grouped = style.two_row_header and style.file_format != "csv" and any(column.group for column in columns)
    if not grouped:
        grid.rows.append(texts)
        grid.header_rows = range(top, top + 1)
        return
    upper: list[GridValue] = [None] * len(columns)
    lower: list[GridValue] = [None] * len(columns)
    place = 0
    while place < len(columns):
        group = columns[place].group
        if group is None:
            upper[place] = texts[place]
            grid.merges.append((top, place, top + 1, place))
            place += 1
            continue
        last = place
        while last + 1 < len(columns) and columns[last + 1].group == group:
            last += 1
        upper[place] = group
        lower[place : last + 1] = texts[place : last + 1]
        if last > place:
            grid.merges.append((top, place, top, last))
        place = last + 1
    grid.rows += [upper, lower]
    grid.header_rows = range(top, top + 2)


def _written(row: Row, column: Column, style: CountyStyle) -> GridValue:
    value = row[column.name]
    if style.not_applicable_ages and value == 0 and not _can_have(str(row.get("stage")), column.name):
        return NOT_APPLICABLE
    if isinstance(value, date) and style.file_format == "csv":
        return value.isoformat()
    return value


def _can_have(stage: str, column: str) -> bool:
    """Whether pupils of a stage can be of this age (a year early and late included) or in this grade."""
    if column in AGE_COLUMNS:
        age = AGE_COLUMNS.index(column) + 2
        return ENTRY_AGE[stage] - 1 <= age <= ENTRY_AGE[stage] + GRADES_N[stage]
    return column not in GRADE_COLUMNS[GRADES_N[stage] :] if column in GRADE_COLUMNS else True


def _add_total(
    grid: Grid,
    definition: ReturnDefinition,
    columns: list[Column],
    group: Row,
    rows: list[Row],
    style: CountyStyle,
) -> None:
    """The total row under the rows it adds up, where the form has one and the county writes it."""
    declared = definition.total_row
    if declared is None or style.total_label is None:
        return
    at = len(grid.rows)
    grid.total_rows.append(at)
    grid.rows.append([group.get(column.name, _total(column, rows, definition)) for column in columns])
    label_column = declared.label_columns[-1 if style.total_in_name else 0]
    grid.put(at, grid.columns[label_column], declared.labels[style.total_label])


def _total(column: Column, rows: list[Row], definition: ReturnDefinition) -> GridValue:
    """The sum, or an empty cell where adding up means nothing (a standard, a number of months)."""
    if not column.is_number or column.name in definition.key or not column.additive:
        return None
    numbers = [value for row in rows if isinstance(value := row[column.name], (int, Decimal))]
    return sum(numbers) if numbers else None
