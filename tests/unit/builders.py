"""Small files as counties send them, each cell of which can be found again by row and column name.

Belongs here: one faultless draft of every return, and the writing of drafts as xlsx, xls and CSV. What is done to a
draft to break one rule stands in `bad_files`.
"""

import copy
import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import xlwt
from openpyxl.worksheet.worksheet import Worksheet

from pipelines.decisions import Decision
from pipelines.intake.submission import Receipt, Submission
from pipelines.municipality import CountyName
from pipelines.periods import parse_period
from pipelines.returns import ReturnDefinition, definition
from pipelines.screening.identify import Table
from pipelines.screening.settings import ScreenSettings
from pipelines.workbooks.bounded import ReadLimits
from pipelines.workbooks.workbook import Sheet, cell_address

XINFU, DINGXIANG, YUANPING = (
    CountyName("140902", "忻府区"),
    CountyName("140921", "定襄县"),
    CountyName("140981", "原平市"),
)
COUNTIES = (XINFU, DINGXIANG, YUANPING)
#: One that went into 忻府区, and one that was made of it, in the course of 2024.
FORMER = CountyName("140998", "旧城县", valid_to=date(2024, 7, 1), passed_into=("140902",))
NEW = CountyName("140999", "新城县", valid_from=date(2024, 10, 1), came_from=("140902",))
PERIODS = {
    "school": {"2023-2024", "2024-2025"},
    "enrolment": {"2023-2024", "2024-2025"},
    "population": {"2023", "2024"},
    "teacher_pay": {"2023", "2024"},
    "civil_servant_pay": {"2023", "2024"},
    "rural_subsidy": {"2024Q3", "2024Q4"},
}
DEFAULT_PERIOD = {
    "school": "2024-2025",
    "enrolment": "2024-2025",
    "population": "2024",
    "teacher_pay": "2024",
    "civil_servant_pay": "2024",
    "rural_subsidy": "2024Q3",
}
RECEIVED_AT = datetime(2024, 10, 8, 1, 30)
#: The line that every return is signed with.
SIGNED: list[Any] = ["填表人：甲", None, "审核人：乙", None, "单位负责人：丙"]
#: A filing locked by the bureau: no other file here is for it.
LOCKED = ("civil_servant_pay", YUANPING, "2023")
_LOCK = Decision(1, datetime(2024, 10, 1), "市局甲", "lock", "数据已上报", LOCKED[0], LOCKED[1].code, LOCKED[2])
#: Few cells are allowed, so that a small file can hold too many.
SETTINGS = ScreenSettings((*COUNTIES, FORMER, NEW), PERIODS, ReadLimits(cells=100_000, seconds=60), (_LOCK,))
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

PAY = {
    "basic_salary_yuan": 480000,
    "performance_pay_yuan": 240000.5,
    "allowance_yuan": 36000,
    "year_end_bonus_yuan": 40000,
    "local_incentive_yuan": 0,
    "rural_living_allowance_yuan": 24000,
    "township_allowance_yuan": "不适用",
    "hardship_allowance_yuan": 0,
    "reform_allowance_yuan": 12000,
    "employer_insurance_yuan": 96000.25,
    "other_yuan": 0,
    "pay_total_yuan": 928000.75,
}


def _pupils(first_age: int, grades: int, pupils: int) -> dict[str, Any]:
    """Everyone of the official age, the same number in each grade."""
    ages = {"age_2_and_under": 0, **{f"age_{age}": 0 for age in range(3, 18)}, "age_18_and_over": 0}
    ages |= {f"age_{first_age + grade}": pupils for grade in range(grades)}
    return {
        "students_total": pupils * grades,
        "students_female": pupils * grades // 2 - 1,
        "students_official_age": pupils * grades,
        **ages,
        **{f"grade_{grade}": pupils if grade <= grades else 0 for grade in range(1, 7)},
        "new_entrants": pupils - 1,
        "repeaters": 1,
        "graduates_last_year": pupils,
        "boarders": 3,
    }


def _subsidy(programme: str, tier: str, entitled: int, standard: int, paid: int) -> dict[str, Any]:
    due = entitled * standard * 3
    return {
        "programme": programme,
        "tier": tier,
        "teachers_entitled": entitled,
        "teachers_paid": paid,
        "standard_yuan_per_month": standard,
        "months": 3,
        "due_yuan": due,
        "paid_yuan": paid * standard * 3,
        "arrears_yuan": (entitled - paid) * standard * 3,
    }


def _schools(county_code: str) -> list[dict[str, Any]]:
    return [
        {"school_code": f"{county_code}0001", "school_name": "南关小学"},
        {"school_code": f"{county_code}0002", "school_name": "北关初级中学"},
    ]


def faultless_rows(return_code: str, county_code: str) -> list[dict[str, Any]]:
    """Rows of a return in which nothing is wrong."""
    one, two = _schools(county_code)
    if return_code == "school":
        kept = {"organiser": "公办", "boarding": "否", "opened_on": "1983-09-01", "closed_on": None}
        return [
            {**one, "school_type": "小学", "location_code": "111", "subsidy_tier": "不适用", **kept},
            {
                **two,
                "school_type": "教学点",
                "location_code": "220",
                "subsidy_tier": "一档",
                **kept,
                "closed_on": "2024-12-20",
            },
        ]
    if return_code == "enrolment":
        return [{**one, "stage": "小学", **_pupils(6, 6, 10)}, {**two, "stage": "初中", **_pupils(12, 3, 20)}]
    if return_code == "population":
        kept = {"source": "统计局", "vintage_on": "2024-08-31"}
        return [
            {
                "age": age,
                "register": register,
                "population_total": people + age,
                "population_male": people // 2 + age,
                "population_female": people // 2,
                **kept,
            }
            for register, people in (("常住", 600), ("户籍", 700))
            for age in range(18)
        ]
    if return_code == "teacher_pay":
        return [
            {**one, "stage": "小学", "teachers_average": 9.5, **PAY},
            {**two, "stage": "初中", "teachers_average": 10, **PAY},
        ]
    if return_code == "civil_servant_pay":
        return [
            {"staff_category": category, "civil_servants_average": 10, **PAY} for category in ("公务员", "参公人员")
        ]
    return [
        {**one, **_subsidy("乡村教师生活补助", "一档", 10, 300, 10)},
        {**two, **_subsidy("乡镇工作补贴", "不分档", 8, 200, 6)},
    ]


@dataclass
class Draft:
    """One return on one sheet: title, a row of cover cells, header, data, total row, notes.

    `columns` are column names in the order written; `headers` their header texts. Values are written as they stand;
    `"=…"` is a formula without a result in xlsx.
    """

    return_code: str
    county: CountyName = XINFU
    period: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    title: str | None = None
    cover: list[tuple[str, str]] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)
    notes: list[list[Any]] = field(default_factory=list)
    extra_columns: list[tuple[str, list[Any]]] = field(default_factory=list)
    sheet: str = ""
    hidden_rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        defined = self.definition
        self.period = self.period or DEFAULT_PERIOD[self.return_code]
        label = parse_period(self.period).label
        if not self.rows:
            self.rows = faultless_rows(self.return_code, self.county.code)
            if self.return_code == "population":
                self.rows = [row | {"vintage_on": f"{self.period}-08-31"} for row in self.rows]
        self.columns = self.columns or [column.name for column in defined.columns]
        self.headers = self.headers or {
            column.name: column.label + (f"（{column.unit}）" if column.unit else "") for column in defined.columns
        }
        self.title = f"{self.county.name}{label}{defined.title}" if self.title is None else self.title
        self.cover = self.cover or [
            ("表号", defined.form),
            ("填报单位", self.county.name),
            ("行政区划代码", self.county.code),
            ("报告期", label),
        ]
        self.notes = self.notes or [SIGNED, ["注：虚构数据。"]]
        self.sheet = self.sheet or defined.title[:20]

    @property
    def definition(self) -> ReturnDefinition:
        return definition(self.return_code)

    @property
    def first_data_row(self) -> int:
        """From 0, under title, cover and header."""
        return 3

    def with_total(self) -> "Draft":
        """The same draft with the total row that its form declares, one for each group."""
        declared = self.definition.total_row
        assert declared
        groups = {tuple(row[name] for name in declared.per) for row in self.rows}
        for group in sorted(groups):
            members = [row for row in self.rows if tuple(row[name] for name in declared.per) == group]
            total: dict[str, Any] = {declared.label_columns[0]: "合计", **dict(zip(declared.per, group, strict=True))}
            for column in self.definition.number_columns:
                if column.additive:
                    total[column.name] = sum(
                        row[column.name] for row in members if not isinstance(row[column.name], str)
                    )
            self.totals.append(total)
        return self

    def cell(self, row: int, column: str) -> str:
        """Address of a column in the n-th data row."""
        return cell_address(self.first_data_row + row, self.columns.index(column))

    def total_cell(self, total: int, column: str) -> str:
        return self.cell(len(self.rows) + total, column)

    def header_cell(self, column: str) -> str:
        return cell_address(2, self.columns.index(column))

    def extra_cell(self, number: int) -> str:
        """Header address of an extra column."""
        return cell_address(2, len(self.columns) + number)

    def cover_cell(self, label: str) -> str:
        return cell_address(1, [key for key, _ in self.cover].index(label) * 2 + 1)

    def note_cell(self, number: int, column: int = 0) -> str:
        return cell_address(self.first_data_row + len(self.rows) + len(self.totals) + number, column)

    def put_cover(self, label: str, value: str) -> None:
        self.cover = [(key, value if key == label else old) for key, old in self.cover]

    def grid(self) -> list[list[Any]]:
        """The sheet's cells, row by row."""
        grid: list[list[Any]] = [[self.title or None], [part for pair in self.cover for part in pair]]
        grid.append([*(self.headers[name] for name in self.columns), *(label for label, _ in self.extra_columns)])
        for number, row in enumerate(self.rows):
            grid.append(
                [*(row.get(name) for name in self.columns), *(values[number] for _, values in self.extra_columns)]
            )
        grid += [[row.get(name) for name in self.columns] for row in self.totals]
        return grid + copy.deepcopy(self.notes)

    def xlsx(self) -> bytes:
        return xlsx(self)

    def csv(self, encoding: str = "utf-8", delimiter: str = ",") -> bytes:
        return csv_bytes(self.grid(), encoding, delimiter)


def xlsx(
    *drafts: "Draft", others: dict[str, list[list[Any]]] | None = None, hidden_sheets: tuple[str, ...] = ()
) -> bytes:
    """A workbook of drafts, then of other sheets given as rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for draft in drafts:
        sheet = book.create_sheet(draft.sheet)
        _fill(sheet, draft.grid())
        for row in draft.hidden_rows:
            sheet.row_dimensions[draft.first_data_row + row + 1].hidden = True
    for name, rows in (others or {}).items():
        _fill(book.create_sheet(name), rows)
    for name in hidden_sheets:
        book[name].sheet_state = "hidden"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _fill(sheet: Worksheet, rows: list[list[Any]]) -> None:
    for row, values in enumerate(rows, start=1):
        for column, value in enumerate(values, start=1):
            if value is not None:
                sheet.cell(row, column, value)


def xls(rows: list[list[Any]], sheet: str = "表") -> bytes:
    """Genuine BIFF8."""
    book = xlwt.Workbook(encoding="utf-8")
    page = book.add_sheet(sheet)
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is not None:
                page.write(row, column, value)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def csv_bytes(rows: list[list[Any]], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter).writerows(["" if cell is None else cell for cell in row] for row in rows)
    return target.getvalue().encode(encoding)


def bare_xlsx(sheet_data: str, *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An xlsx whose one sheet holds the given XML between `<sheetData>` and its end."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>'
        '<sheet name="表" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet_data}</sheetData></worksheet>',
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def submission(folder: Path, file_name: str, content: bytes, source: str | None = XINFU.code) -> Submission:
    """Bytes on disk as screening takes them; `source` None: a file that never came in."""
    digest = hashlib.sha256(content + file_name.encode()).hexdigest()
    path = folder / digest
    path.write_bytes(content)
    receipts = (Receipt(source, file_name, RECEIVED_AT),) if source else ()
    return Submission(digest, path, file_name, receipts)


def table_of(
    return_code: str | ReturnDefinition, rows: list[dict[str, Any]], totals: list[dict[str, Any]] | None = None
) -> Table:
    """A table as `identify` would hand it on, its cells in the order of the definition's columns."""
    defined = definition(return_code) if isinstance(return_code, str) else return_code
    names = [column.name for column in defined.columns]
    body = [*rows, *(totals or [])]
    cells = [[None if row.get(name) is None else str(row[name]) for name in names] for row in body]
    table = Table(
        defined,
        Sheet("表", [list(names), *cells]),
        header_row=0,
        first_data_row=1,
        last_data_row=len(body),
        columns={name: index for index, name in enumerate(names)},
        header_texts={name: name for name in names},
        data_rows=list(range(1, len(rows) + 1)),
        total_rows=list(range(len(rows) + 1, len(body) + 1)),
    )
    table.period = parse_period(DEFAULT_PERIOD.get(defined.return_code, "2024"))
    return table
