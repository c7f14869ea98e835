"""For every rule, a file that breaks it and nothing else: a faultless draft and one small change.

Belongs here: the changes, each with the one finding it must lead to. `test_rule_wiring` holds them against the
catalogue, so that no rule can be added without a file that breaks it.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

import openpyxl
from builders import DINGXIANG, FORMER, LOCKED, NEW, PAY, XINFU, CountyName, Draft, csv_bytes, xlsx
from formats import in_format

from pipelines.returns import Column, current_definitions
from pipelines.returns.definition import MISSING_LABELS
from pipelines.workbooks.workbook import cell_position

#: Made up, and impossible as a person's: no registry gives out the sequence 000. The check digits are right.
IDENTITY_NUMBER, IDENTITY_NUMBER_X = "140902198501010004", "14090219850102000X"
PHONE_NUMBER, BANK_CARD = "13800000000", "6222020000000000000"


@dataclass(frozen=True)
class BadFile:
    """A file and the finding it must lead to: (rule, cell). `owner`: whose catalogue the rule stands in."""

    owner: str
    rule: str
    file_name: str
    content: bytes
    sheet: str
    cell: str
    source: str | None = XINFU.code
    value: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.owner, self.rule


Made = tuple[Draft, str]  # the draft and the address of the cell at fault


# Cells: what each column must not hold --------------------------------------------------------------------------------


def wrong_value(column: Column, number: int) -> Any:
    """A value that the column cannot hold; another kind of mistake with each column."""
    if column.type == "code":
        return "暂定"
    if column.type == "date":
        return "2024年13月1日"
    if column.type == "text":
        return "140902" if column.pattern else None
    kinds = ["约三十", *([] if column.signed else [-5]), "12.5%", "—", "无", 0.125, None, "9" * 18]
    forbidden = [label for code, label in MISSING_LABELS.items() if code not in column.missing]
    if forbidden:
        kinds.append(forbidden[0])
    return kinds[number % len(kinds)]


def _cell(return_code: str, number: int) -> Made:
    draft = Draft(return_code)
    column = draft.definition.columns[number]
    at = 0
    if return_code == "population" and column.name in draft.definition.key:
        # A row of its own: the age that a spoilt row no longer reports would be missed as well.
        draft.rows.append(dict(draft.rows[-1]))
        at = len(draft.rows) - 1
    draft.rows[at][column.name] = 18 if column.name == "age" else wrong_value(column, number)
    return draft, draft.cell(at, column.name)


# Rows -----------------------------------------------------------------------------------------------------------------


def _key_twice(return_code: str) -> Made:
    draft = Draft(return_code)
    draft.rows.append(dict(draft.rows[0]))
    return draft, draft.cell(len(draft.rows) - 1, draft.definition.key[0])


def _full_width(return_code: str, column: str) -> Made:
    draft = Draft(return_code)
    shifted = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}
    draft.rows[1][column] = str(draft.rows[1][column]).translate(shifted)
    return draft, draft.cell(1, column)


def _age_left_out() -> Made:
    draft = Draft("population")
    del draft.rows[18 + 9]
    return draft, draft.cell(18, "age")


def _wrong_total(return_code: str, column: str) -> Made:
    draft = Draft(return_code).with_total()
    draft.totals[-1][column] += 1
    return draft, draft.total_cell(len(draft.totals) - 1, column)


def _changed(return_code: str, at: str, *, row: int = 0, **values: Any) -> Made:
    """A row with other values; the finding stands at its column `at`."""
    draft = Draft(return_code)
    draft.rows[row].update(values)
    return draft, draft.cell(row, at)


def _dated_twice() -> Made:
    draft = Draft("population")
    draft.rows[3]["vintage_on"] = "2024-06-30"
    return draft, draft.cell(3, "vintage_on")


def _emptied(return_code: str, at: str, rows: slice = slice(None), **kept: Any) -> Made:
    """Nothing but zeros in some rows; the finding stands at the column `at` of the first."""
    draft = Draft(return_code)
    for row in draft.rows[rows]:
        names = (column.name for column in draft.definition.number_columns if column.additive)
        row.update({name: 0 for name in names if not isinstance(row[name], str)} | kept)
    return draft, draft.cell(0, at)


def _staff_without_heads() -> Made:
    draft = Draft("civil_servant_pay")
    draft.rows[1]["civil_servants_average"] = 0
    return draft, draft.cell(1, "civil_servants_average")


#: Return → the columns that stand in another unit, how much larger it is, and where the one finding of it stands.
_OTHER_UNITS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "teacher_pay": (tuple(PAY), 10_000, "pay_total_yuan"),
    "civil_servant_pay": (tuple(PAY), 10_000, "pay_total_yuan"),
    "rural_subsidy": (("standard_yuan_per_month", "due_yuan", "paid_yuan"), 10_000, "standard_yuan_per_month"),
    "enrolment": ((), 1_000, "students_total"),
    "population": (("population_total", "population_male", "population_female"), 1_000, "population_total"),
}


def _in_another_unit(return_code: str) -> Made:
    """A whole table in 万元 or 千人."""
    draft = Draft(return_code)
    names, factor, at = _OTHER_UNITS[return_code]
    names = names or tuple(column.name for column in draft.definition.number_columns)
    for row in draft.rows:
        row |= {name: row[name] / factor for name in names if isinstance(row[name], int | float)}
        if "pay_total_yuan" in row:
            parts = [row[name] for name in names if name != "pay_total_yuan" and not isinstance(row[name], str)]
            row["pay_total_yuan"] = sum(parts)
    return draft, draft.cell(0, at)


ROWS: dict[tuple[str, str], Callable[[], Made]] = {
    ("enrolment", "XB02-4-nobody"): lambda: _emptied("enrolment", "students_total"),
    ("population", "XB03-4-nobody"): lambda: _emptied("population", "population_total", slice(0, 18)),
    ("population", "XB03-4-no-women"): lambda: _changed(
        "population", "population_female", population_total=600, population_male=600, population_female=0
    ),
    ("teacher_pay", "XB04-4-nobody"): lambda: _emptied("teacher_pay", "teachers_average"),
    ("teacher_pay", "XB04-4-pay-over-nobody"): lambda: _changed("teacher_pay", "teachers_average", teachers_average=0),
    ("civil_servant_pay", "XB05-4-nobody"): lambda: _emptied(
        "civil_servant_pay", "civil_servants_average", slice(0, 1)
    ),
    ("civil_servant_pay", "XB05-4-pay-over-nobody"): _staff_without_heads,
    ("rural_subsidy", "XB06-4-nobody"): lambda: _emptied("rural_subsidy", "teachers_entitled"),
    ("rural_subsidy", "XB06-4-paid-over-nothing"): lambda: _changed(
        "rural_subsidy", "due_yuan", teachers_entitled=0, teachers_paid=0, due_yuan=0, paid_yuan=900, arrears_yuan=-900
    ),
    ("enrolment", "XB02-1c-total-equals-ages"): lambda: _changed("enrolment", "students_total", age_13=2),
    ("enrolment", "XB02-1c-total-equals-grades"): lambda: _changed("enrolment", "students_total", grade_6=12),
    ("enrolment", "XB02-1c-female-within-total"): lambda: _changed("enrolment", "students_female", students_female=61),
    # An age that is not reported leaves the sums by age unjudged: only then can this rule be broken alone.
    ("enrolment", "XB02-1c-official-age-within-total"): lambda: _changed(
        "enrolment", "students_official_age", students_official_age=61, age_7="缺报"
    ),
    ("enrolment", "XB02-1c-official-age-equals-ages"): lambda: _changed(
        "enrolment", "students_official_age", students_official_age=59
    ),
    ("enrolment", "XB02-1c-entrants-within-grade-1"): lambda: _changed("enrolment", "new_entrants", new_entrants=11),
    ("enrolment", "XB02-1c-repeaters-within-total"): lambda: _changed("enrolment", "repeaters", repeaters=61),
    ("enrolment", "XB02-1c-boarders-within-total"): lambda: _changed("enrolment", "boarders", boarders=61),
    ("enrolment", "XB02-1c-grades-of-stage"): lambda: _changed("enrolment", "grade_5", row=1, grade_3=10, grade_5=10),
    ("enrolment", "XB02-4-age-outlier"): lambda: _changed(
        "enrolment", "age_5", row=1, age_12=19, age_5=1, students_official_age=59
    ),
    ("enrolment", "XB02-1c-total-row"): lambda: _wrong_total("enrolment", "age_7"),
    ("enrolment", "FILE-1a-text-number"): lambda: _full_width("enrolment", "boarders"),
    ("school", "XB01-1c-opened-before-closed"): lambda: _changed(
        "school", "opened_on", opened_on="2020-09-01", closed_on="2019年7月"
    ),
    ("school", "XB01-4-location"): lambda: _changed("school", "location_code", school_type="教学点"),
    ("school", "XB01-4-opened-on"): lambda: _changed("school", "opened_on", opened_on=date(1905, 7, 1)),
    ("school", "XB01-4-closed-on"): lambda: _changed("school", "closed_on", closed_on="2025-09-01"),
    ("population", "XB03-4-vintage"): lambda: _changed("population", "vintage_on", vintage_on="2024-06-29"),
    ("population", "XB03-4-vintage-mixed"): _dated_twice,
    ("population", "XB03-1b-complete-age"): _age_left_out,
    ("population", "XB03-1c-total-equals-sexes"): lambda: _changed(
        "population", "population_total", population_total=601
    ),
    ("population", "XB03-1c-total-row"): lambda: _wrong_total("population", "population_male"),
    ("population", "XB03-4-smooth"): lambda: _changed(
        "population", "population_total", row=5, population_total=1210, population_male=605, population_female=605
    ),
    ("population", "XB03-4-sex-ratio"): lambda: _changed(
        "population", "population_male", population_total=1200, population_male=900
    ),
    ("teacher_pay", "XB04-4-pay-per-head"): lambda: _changed(
        "teacher_pay",
        "pay_total_yuan",
        **{name: 0 for name in PAY if PAY[name] != "不适用"}
        | {"basic_salary_yuan": 285_000, "pay_total_yuan": 285_000},
    ),
    ("civil_servant_pay", "XB05-4-pay-per-head"): lambda: _changed(
        "civil_servant_pay", "pay_total_yuan", civil_servants_average=100
    ),
    ("rural_subsidy", "XB06-4-monthly-standard"): lambda: _changed(
        "rural_subsidy", "standard_yuan_per_month", standard_yuan_per_month=3, due_yuan=90, paid_yuan=90
    ),
    ("rural_subsidy", "XB06-4-paid-of-due"): lambda: _changed(
        "rural_subsidy", "paid_yuan", paid_yuan=9600, arrears_yuan=-600
    ),
    **{
        (code, f"{current_definitions()[code].form}-1c-level"): (lambda code=code: _in_another_unit(code))
        for code in _OTHER_UNITS
    },
    ("population", "FILE-1a-text-number"): lambda: _full_width("population", "population_total"),
    ("teacher_pay", "XB04-1c-total-equals-components"): lambda: _changed(
        "teacher_pay", "pay_total_yuan", pay_total_yuan=928000.81
    ),
    ("teacher_pay", "XB04-1c-total-row"): lambda: _wrong_total("teacher_pay", "teachers_average"),
    ("teacher_pay", "FILE-1a-text-number"): lambda: _changed(
        "teacher_pay", "pay_total_yuan", pay_total_yuan="928,000.75"
    ),
    ("civil_servant_pay", "XB05-1c-total-equals-components"): lambda: _changed(
        "civil_servant_pay", "pay_total_yuan", pay_total_yuan=928000.69
    ),
    ("civil_servant_pay", "XB05-1c-total-row"): lambda: _wrong_total("civil_servant_pay", "pay_total_yuan"),
    ("civil_servant_pay", "FILE-1a-text-number"): lambda: _full_width("civil_servant_pay", "basic_salary_yuan"),
    ("rural_subsidy", "XB06-1c-paid-within-entitled"): lambda: _changed(
        "rural_subsidy", "teachers_paid", teachers_paid=11
    ),
    ("rural_subsidy", "XB06-1c-due-equals-heads-by-standard"): lambda: _changed(
        "rural_subsidy", "due_yuan", due_yuan=9600, arrears_yuan=600
    ),
    ("rural_subsidy", "XB06-4-due-of-graded"): lambda: _changed(
        "rural_subsidy", "due_yuan", row=1, due_yuan=4200, arrears_yuan=600
    ),
    ("rural_subsidy", "XB06-1c-months-of-entitled"): lambda: _changed(
        "rural_subsidy", "months", months=0, due_yuan=0, paid_yuan=0, arrears_yuan=0
    ),
    ("rural_subsidy", "XB06-1c-arrears-equal-due-less-paid"): lambda: _changed(
        "rural_subsidy", "arrears_yuan", arrears_yuan=500
    ),
    ("rural_subsidy", "XB06-1c-months-within-period"): lambda: _changed(
        "rural_subsidy", "months", months=4, due_yuan=12000, paid_yuan=12000
    ),
    ("rural_subsidy", "XB06-1c-total-row"): lambda: _wrong_total("rural_subsidy", "paid_yuan"),
    ("rural_subsidy", "FILE-1a-text-number"): lambda: _full_width("rural_subsidy", "due_yuan"),
    **{
        (code, "FILE-1a-not-reported"): (lambda code=code, name=name: _changed(code, name, **{name: "缺报"}))
        for code, name in {
            "enrolment": "boarders",
            "population": "population_male",
            "teacher_pay": "basic_salary_yuan",
            "civil_servant_pay": "basic_salary_yuan",
            "rural_subsidy": "paid_yuan",
        }.items()
    },
    **{
        (code, f"{defined.form}-1b-unique-key"): (lambda code=code: _key_twice(code))
        for code, defined in current_definitions().items()
    },
}


# Whole files ----------------------------------------------------------------------------------------------------------


def _file(
    rule: str, content: bytes, *, name: str = "报表.xlsx", sheet: str = "", cell: str = "", **more: Any
) -> BadFile:
    return BadFile("file", rule, name, content, sheet, cell, **more)


def _draft(rule: str, made: Made, *, name: str = "报表.xlsx", owner: str = "file", **more: Any) -> BadFile:
    draft, cell = made
    return BadFile(owner, rule, name, draft.xlsx(), draft.sheet if cell else "", cell, **more)


def _covered(
    label: str, value: str, *, title: str | None = "在校（园）学生统计表", also: dict[str, str] | None = None
) -> Made:
    """Another value on the cover; the title says nothing of county or period."""
    draft = Draft("enrolment", title=title)
    for key, text in {label: value, **(also or {})}.items():
        draft.put_cover(key, text)
    return draft, draft.cover_cell(label)


def _of_another_day(rule: str, county: CountyName, period: str) -> BadFile:
    """A faultless return of a county that is not there on its reference day, in the county's own inbox."""
    draft = Draft("enrolment", county=county, period=period)
    return _draft(rule, (draft, draft.cover_cell("报告期")), source=county.code, value=county.name)


def _without_cover(*labels: str) -> Made:
    draft = Draft("enrolment", title="在校（园）学生统计表")
    draft.cover = [(key, value) for key, value in draft.cover if key not in labels]
    return draft, cell_of_header(draft)


def cell_of_header(draft: Draft) -> str:
    return draft.header_cell(draft.columns[0])


def _two_periods() -> Made:
    draft = Draft("enrolment", title="忻府区2023-2024学年在校（园）学生统计表")
    return draft, "A1"


def _twice() -> BadFile:
    draft, again = Draft("enrolment"), Draft("enrolment", sheet="再报一次")
    return _file("FILE-0-return-repeated", xlsx(draft, again), sheet="再报一次", cell="A4")


def _edited(draft: Draft, change: Callable[[Any], None]) -> bytes:
    """The draft's workbook with something done to its sheet in a spreadsheet program."""
    book = openpyxl.load_workbook(io.BytesIO(draft.xlsx()))
    change(book.worksheets[0])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _on_a_hidden_sheet() -> BadFile:
    draft = Draft("enrolment")
    content = xlsx(draft, others={"说明": [["见隐藏的表"]]}, hidden_sheets=(draft.sheet,))
    return _file("FILE-0-hidden-sheet", content)


def _hidden_copy() -> BadFile:
    draft, old = Draft("enrolment"), Draft("enrolment", sheet="旧稿")
    content = xlsx(draft, old, hidden_sheets=("旧稿",))
    return _file("FILE-1b-hidden-copy", content, sheet=draft.sheet, cell="A3")


def _template_of_another_period() -> BadFile:
    draft = Draft("enrolment")
    stated = [["form", "XB02"], ["return", "enrolment"], ["county_code", draft.county.code], ["period", "2023-2024"]]
    content = xlsx(draft, others={"_xianbao": stated}, hidden_sheets=("_xianbao",))
    return _file("FILE-0-template-reused", content, sheet=draft.sheet, cell=draft.cover_cell("报告期"))


def _stray_row() -> BadFile:
    draft = Draft("enrolment")
    content = _edited(draft, lambda sheet: sheet.cell(40, 8, "."))
    return _file("FILE-0-stray-row", content, sheet=draft.sheet, cell="H40", value=".")


def _unfilled_row() -> BadFile:
    draft = Draft("enrolment")
    draft.rows.append({"school_code": f"{draft.county.code}0003", "school_name": "新建小学", "stage": "小学"})
    at = draft.cell(2, "school_code")
    return _file("FILE-1a-row-unfilled", draft.xlsx(), sheet=draft.sheet, cell=at)


def _merged_key() -> BadFile:
    draft = Draft("enrolment")
    first, second = draft.cell(0, "school_name"), draft.cell(1, "school_name")
    content = _edited(draft, lambda sheet: sheet.merge_cells(f"{first}:{second}"))
    return _file("FILE-1b-merged-cells", content, sheet=draft.sheet, cell=first)


def _filtered() -> BadFile:
    draft = Draft("enrolment", hidden_rows=[1])

    def filtered(sheet: Any) -> None:
        sheet.auto_filter.ref = f"A3:{draft.cell(1, 'boarders')}"

    return _file("FILE-1b-filter-left-on", _edited(draft, filtered), sheet=draft.sheet, cell="A5")


def _folded() -> BadFile:
    draft = Draft("enrolment")
    content = _edited(draft, lambda sheet: sheet.row_dimensions.group(5, 5, hidden=True))
    return _file("FILE-1b-folded-group", content, sheet=draft.sheet, cell="A5")


def _missing_column() -> Made:
    draft = Draft("enrolment")
    draft.columns.remove("repeaters")
    return draft, "A3"


def _unknown_column() -> Made:
    draft = Draft("enrolment", extra_columns=[("经费来源", ["县级财政", None])])
    return draft, draft.extra_cell(0)


def _stray_cell() -> Made:
    draft = Draft("enrolment", extra_columns=[("", [None, 7])])
    letters = draft.extra_cell(0).rstrip("0123456789")
    row = draft.cell(1, "school_code").lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return draft, f"{letters}{row}"


def _column_twice() -> Made:
    draft = Draft("enrolment", extra_columns=[("寄宿生", [3, 3])])
    return draft, draft.extra_cell(0)


def _unit() -> Made:
    draft = Draft("teacher_pay")
    draft.headers["pay_total_yuan"] = "工资总额（万元）"
    return draft, draft.header_cell("pay_total_yuan")


def _no_rows() -> Made:
    draft = Draft("enrolment")
    draft.rows = []
    return draft, "A3"


def _hidden() -> Made:
    draft = Draft("enrolment", hidden_rows=[1])
    return draft, draft.cell(1, "school_code")


def _unsigned() -> Made:
    draft = Draft("enrolment", notes=[["填表人：甲", None, "审核人：____", None, "单位负责人：丙"]])
    return draft, draft.note_cell(0, 2)


def _marked(rule: str, column: str, runs: list[tuple[str, str]], value: str) -> BadFile:
    draft = Draft("enrolment")
    cell = draft.cell(0, column)
    content = in_format("xlsx", draft.grid(), draft.sheet, runs={cell_position(cell): runs})
    return _file(rule, content, sheet=draft.sheet, cell=cell, value=value)


def _locked() -> BadFile:
    """A filing that SETTINGS has locked since before every file was received."""
    _, county, period = LOCKED
    draft = Draft("civil_servant_pay", county, period)
    return BadFile("file", "FILE-0-locked", "报表.xlsx", draft.xlsx(), draft.sheet, "", county.code)


def _remark(text: str) -> Made:
    draft = Draft("enrolment")
    draft.notes.append([f"备注：经办人 {text}"])
    return draft, draft.note_cell(len(draft.notes) - 1)


def _unclear() -> Made:
    """A note that fills two columns of the table: it could be a row whose code was written over."""
    draft = Draft("enrolment")
    draft.notes.append(["说明：", "见附件"])
    return draft, draft.note_cell(len(draft.notes) - 1)


def _subtotal() -> Made:
    draft = Draft("enrolment")
    draft.rows.insert(1, {"school_code": "小学小计", "students_total": 60})
    return draft, draft.cell(1, "school_code")


def _zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def _with_parts(workbook: bytes, parts: dict[str, bytes]) -> bytes:
    """The workbook with parts added or replaced."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        return _zipped({name: archive.read(name) for name in archive.namelist()} | parts)


_FIRST_SHEET = "xl/worksheets/sheet1.xml"


def _changed_sheet(workbook: bytes, old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        content = archive.read(_FIRST_SHEET)
    assert content.count(old) == 1
    return _with_parts(workbook, {_FIRST_SHEET: content.replace(old, new)})


def _two_values_in_one_cell(workbook: bytes) -> bytes:
    """The title cell stands twice; readers differ on which one counts."""
    return _changed_sheet(workbook, b'</row><row r="2">', b'<c r="A1" t="n"><v>7</v></c></row><row r="2">')


def _linked() -> BadFile:
    """A number that a formula took from another workbook when the file was last calculated."""
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = "=[1]花名册!B2"
    cell = draft.cell(0, "boarders")
    content = _changed_sheet(draft.xlsx(), "<f>[1]花名册!B2</f><v />".encode(), "<f>[1]花名册!B2</f><v>3</v>".encode())
    return _file("FILE-0-external-link", content, sheet=draft.sheet, cell=cell, value="3")


def _file_cases() -> list[BadFile]:
    good = Draft("enrolment").xlsx()
    page = "<html><body><table><tr><td>表号</td></tr></table></body></html>".encode("gb18030")
    big5 = csv_bytes(
        [["學校名稱", "學段", "在校學生數", "備註"], ["縣立第一國民小學", "國小", "320", "無"]] * 5, "big5"
    )
    encrypted = resources.files("pipelines.sample").joinpath("data/encrypted.xlsx").read_bytes()
    equipment = [["序号", "装备名称", "规格型号"], [1, "显微镜", "XSP-1"]]
    return [
        _file("FILE-0-empty", b""),
        _file("FILE-0-limits", b"," * 100_001, name="报表.csv"),
        _file("FILE-0-unreadable", good[: len(good) * 2 // 3]),
        _file("FILE-0-encrypted", encrypted),
        _file("FILE-0-type", page, name="报表.xls"),
        _file("FILE-0-no-table", b"%PDF-1.7\n", name="报表.pdf"),
        _file("FILE-0-separator", Draft("enrolment").csv(delimiter=";"), name="报表.csv"),
        _file("FILE-0-quotes", '表号,XB02\n"填报单位,忻府区\n'.encode(), name="报表.csv"),
        _file("FILE-0-encoding", big5, name="报表.csv"),
        _file("FILE-0-return-unknown", xlsx(others={"仪器设备": equipment})),
        _draft("FILE-0-return-conflict", _covered("表号", "XB04")),
        _twice(),
        _draft("FILE-0-county-missing", _without_cover("填报单位", "行政区划代码")),
        _draft("FILE-0-county-unknown", _covered("行政区划代码", "149999"), value="149999"),
        _draft("FILE-0-county-conflict", _covered("填报单位", DINGXIANG.name), value=DINGXIANG.name),
        _draft("FILE-0-period-missing", _without_cover("报告期")),
        _draft("FILE-0-period-unreadable", _covered("报告期", "本学期"), value="本学期"),
        _draft("FILE-0-period-type", _covered("报告期", "2024年第3季度")),
        _draft("FILE-0-period-unexpected", _covered("报告期", "2019-2020学年")),
        _of_another_day("FILE-0-county-ended", FORMER, "2024-2025"),
        _of_another_day("FILE-0-county-not-yet", NEW, "2024-2025"),
        _draft("FILE-0-period-conflict", _two_periods()),
        _draft("FILE-0-name-conflict", (Draft("enrolment"), ""), name="定襄县在校学生.xlsx"),
        _draft("FILE-0-missing-column", _missing_column()),
        _draft("FILE-0-unknown-column", _unknown_column(), value="经费来源"),
        _draft("FILE-0-stray-cell", _stray_cell(), value="7"),
        _draft("FILE-0-column-repeated", _column_twice(), value="寄宿生"),
        _draft("FILE-0-unit-conflict", _unit()),
        _draft("FILE-0-no-rows", _no_rows()),
        _draft("FILE-0-sign-off-missing", _unsigned()),
        _locked(),
        _file("FILE-0-no-reply", xlsx(others={"问题清单": [["问题编号", "核实说明"], ["", ""]]})),
        _draft("FILE-0-formula-no-value", _changed("teacher_pay", "pay_total_yuan", pay_total_yuan="=SUM(E4:O4)")),
        _file("FILE-0-archive", _zipped({"../报表.xlsx": good}), name="报表.zip"),
        _file("FILE-0-readers-disagree", _two_values_in_one_cell(good)),
        _file("FILE-0-active-content", _with_parts(good, {"xl/externalLinks/externalLink1.xml": b"<ddeLink/>"})),
        _linked(),
        _file("FILE-0-macros", _with_parts(good, {"xl/vbaProject.bin": b"\0"})),
        _file("FILE-0-embedded", _with_parts(good, {"xl/embeddings/oleObject1.bin": b"\0"})),
        _file(
            "FILE-0-reply-unreadable",
            xlsx(Draft("enrolment"), others={"问题清单": [["问题编号", "核实说明"], ["X1|已改动", "新建住宅区入住"]]}),
            sheet="问题清单",
            cell="B2",
            value="新建住宅区入住",
        ),
        _draft("FILE-1a-identity-number", _remark(IDENTITY_NUMBER), value="140*************04"),
        _draft("FILE-1a-phone-number", _remark(f"电话{PHONE_NUMBER}"), value="138******00"),
        _draft("FILE-1a-bank-card", _remark(BANK_CARD), value="622**************00"),
        _draft("FILE-1a-travel-document", _remark("护照 E00000001"), value="E0*****01"),
        _draft("FILE-1a-mail-address", _remark("jiaoshi@example.com"), value="j***@***.com"),
        _draft("FILE-1b-error-cell", _changed("enrolment", "boarders", boarders="#REF!"), value="#REF!"),
        _draft("FILE-1b-hidden-data", _hidden()),
        _draft("FILE-0-row-unclear", _unclear(), value="说明："),
        _draft(
            "FILE-1a-unseen-character",
            _changed("enrolment", "school_name", school_name="南关\u200b小学"),
            value="南关小学",
        ),
        _draft("FILE-1a-text-too-long", _changed("enrolment", "school_name", school_name="南关小学" * 300)),
        _draft("FILE-1a-formula-as-text", _changed("enrolment", "school_name", school_name="＝1+1"), value="＝1+1"),
        _file(
            "FILE-1a-turned-text",
            xlsx(Draft("enrolment"), others={"说明": [["由南关\u202e学小填报"]]}),
            sheet="说明",
            cell="A1",
            value="由南关学小填报",
        ),
        _draft("FILE-1b-subtotal", _subtotal(), value="小学小计"),
        _marked("FILE-1b-marked-figure", "boarders", [("3", ""), ("1", "上标")], "3[上标 1]"),
        _marked(
            "FILE-1b-marked-text",
            "school_name",
            [("南关", ""), ("完全", "删除线"), ("小学", "")],
            "南关[删除线 完全]小学",
        ),
        _on_a_hidden_sheet(),
        _hidden_copy(),
        _template_of_another_period(),
        _stray_row(),
        _unfilled_row(),
        _merged_key(),
        _filtered(),
        _folded(),
    ]


def bad_files() -> list[BadFile]:
    """Every bad file, in a fixed order."""
    cells = [
        _draft(f"{defined.form}-1a-{column.name}", _cell(code, number), owner=code)
        for code, defined in current_definitions().items()
        for number, column in enumerate(defined.columns)
    ]
    rows = [_draft(rule, make(), owner=owner) for (owner, rule), make in ROWS.items()]
    return [*_file_cases(), *cells, *rows]


def good_files() -> list[tuple[str, bytes, CountyName]]:
    """(file name, bytes, county): each return once without and once with its total row, and all in one workbook."""
    drafts = [Draft(code) for code in current_definitions()]
    totalled = [Draft(code).with_total() for code, defined in current_definitions().items() if defined.total_row]
    return [
        *((f"{draft.return_code}.xlsx", draft.xlsx(), XINFU) for draft in drafts),
        *((f"{draft.return_code}_total.csv", draft.csv("gb18030"), XINFU) for draft in totalled),
        ("全部报表.xlsx", xlsx(*(Draft(code, county=DINGXIANG) for code in current_definitions())), DINGXIANG),
    ]
