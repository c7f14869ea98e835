"""Templates: what stands in them, and that one that was filled passes the screen, whichever program saved it."""

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from builders import COUNTIES, DEFAULT_PERIOD, SETTINGS, XINFU, faultless_rows
from openpyxl.utils import range_boundaries
from openpyxl.worksheet.worksheet import Worksheet

from pipelines.answers.annotated import Heading, Issue, annotate
from pipelines.intake.submission import Submission
from pipelines.periods import parse_period
from pipelines.returns import current_definitions, definition, split_unit
from pipelines.screening.checks.form import Form
from pipelines.screening.rules import checks_of, file_rules, suite
from pipelines.screening.screen import Screening, screen
from pipelines.templates.prefill import STAGES, TIER_PROGRAMME, prefilled
from pipelines.templates.template import (
    ROOM_ROWS,
    known_rows,
    template_hash,
    template_name,
    template_workbook,
)
from pipelines.workbooks.workbook import METADATA_SHEET, NOTES_SHEET

RETURNS = sorted(current_definitions())
PEOPLE = {"填表人：": "填报员甲", "审核人：": "审核员乙", "单位负责人：": "负责人丙", "报出日期：": "2024-10-08"}


def template(return_code: str, **options: Any) -> bytes:
    return template_workbook(definition(return_code), XINFU, parse_period(DEFAULT_PERIOD[return_code]), **options)


def opened(content: bytes) -> tuple[openpyxl.Workbook, Worksheet]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return book, book.worksheets[0]


def header_places(sheet: Worksheet, return_code: str) -> dict[str, tuple[int, int]]:
    """Column name → (row of its header cell, column), both from 1."""
    owner = definition(return_code).label_owner
    found: dict[str, tuple[int, int]] = {}
    for row in sheet.iter_rows(min_row=3, max_row=16):
        for cell in row:
            name = owner.get(split_unit(cell.value)[0]) if isinstance(cell.value, str) else None
            if name and name not in found:
                found[name] = (cell.row, cell.column)
    return found


def sign(sheet: Worksheet) -> None:
    """Write a name into the cell behind each role, as a clerk would."""
    for row in sheet.iter_rows(min_row=1, max_row=10):
        for cell in row:
            if cell.value in PEOPLE:
                beside = next((merged for merged in sheet.merged_cells.ranges if cell.coordinate in merged), None)
                sheet.cell(cell.row, (beside.max_col if beside else cell.column) + 1).value = PEOPLE[cell.value]


def fill(content: bytes, return_code: str, rows: list[dict[str, Any]]) -> bytes:
    """What a clerk does in a template: names on the cover, figures into cells that are open, totals left alone."""
    book, sheet = opened(content)
    sign(sheet)
    places = header_places(sheet, return_code)
    defined = definition(return_code)
    if known_rows(defined) is None:
        first = sheet.freeze_panes and int("".join(filter(str.isdigit, sheet.freeze_panes)))
        targets = dict(zip(range(first, first + len(rows)), rows, strict=True))
    else:
        at = {
            tuple(str(sheet.cell(row, places[name][1]).value) for name in defined.key): row
            for row in range(1, sheet.max_row + 1)
        }
        targets = {at[tuple(str(values[name]) for name in defined.key)]: values for values in rows}
    for row, values in targets.items():
        for name, value in values.items():
            cell = sheet.cell(row, places[name][1])
            if cell.value is not None:
                assert str(cell.value) == str(value), "a printed label is not overwritten"
                continue
            assert not cell.protection.locked, f"{return_code}: {cell.coordinate} ({name}) is not open for input"
            cell.value = value
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def screened(folder: Path, files: dict[str, bytes]) -> Screening:
    sent = []
    for return_code, content in files.items():
        path = folder / f"{return_code}.xlsx"
        path.write_bytes(content)
        name = template_name(definition(return_code), XINFU, parse_period(DEFAULT_PERIOD[return_code]))
        sent.append(Submission(return_code, path, name))
    return screen(sent, SETTINGS)


def assert_accepted(result: Screening) -> None:
    assert [(one.return_code, one.rule_id, one.cell, one.message) for one in result.findings] == []
    assert {filing.return_code: filing.verdict for filing in result.filings} == dict.fromkeys(RETURNS, "accepted")
    assert all(filing.rows_n == len(faultless_rows(filing.return_code, XINFU.code)) for filing in result.filings)


@pytest.fixture(scope="module")
def filled() -> dict[str, bytes]:
    """Every template with faultless rows, saved by openpyxl, which keeps formulas and calculates none."""
    return {code: fill(template(code), code, faultless_rows(code, XINFU.code)) for code in RETURNS}


def test_a_template_filled_through_openpyxl_is_accepted_without_a_finding(filled, tmp_path: Path):
    assert_accepted(screened(tmp_path, filled))


def saved_by_libreoffice(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files as LibreOffice saves them; formulas that openpyxl left without a value are calculated on the way."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice (soffice) is not installed: apt-get install libreoffice-calc")
    given, saved = folder / "given", folder / "saved"
    given.mkdir()
    for name, content in files.items():
        (given / f"{name}.xlsx").write_bytes(content)
    subprocess.run(
        [soffice, "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to", "xlsx:Calc MS Excel 2007 XML",
         "--outdir", str(saved), *map(str, sorted(given.iterdir()))],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return {name: (saved / f"{name}.xlsx").read_bytes() for name in files}


@pytest.mark.slow
def test_a_template_saved_by_libreoffice_is_accepted_and_its_totals_are_calculated(filled, tmp_path: Path):
    contents = saved_by_libreoffice(tmp_path, filled)
    assert_accepted(screened(tmp_path, contents))
    values = openpyxl.load_workbook(io.BytesIO(contents["enrolment"]), data_only=True).worksheets[0]
    row, column = header_places(values, "enrolment")["students_total"]
    expected = sum(row["students_total"] for row in faultless_rows("enrolment", XINFU.code))
    assert [values.cell(below, column).value for below in range(row + 1, row + 4)].count(expected) == 1


def with_checks_as_cells(content: bytes, change: Callable[[Worksheet, int, int], None]) -> bytes:
    """The template with every formula of a check beside its first row: validations from column 100 on, red marks from 200 on."""
    book, sheet = opened(content)
    first = int("".join(filter(str.isdigit, sheet.freeze_panes)))
    custom = [one for one in sheet.data_validations.dataValidation if one.type == "custom"]
    for one in custom:
        change(sheet, first, range_boundaries(str(one.sqref))[0])
    for one in custom:
        place = range_boundaries(str(one.sqref))[0]
        sheet.cell(first, 100 + place).value = f"={one.formula1.lstrip('=')}"
    for cells, rules in sheet.conditional_formatting._cf_rules.items():
        for rule in rules:
            if rule.dxf.font is not None:  # the mark of what is wrong; the others only fill or frame
                place, at = range_boundaries(str(cells.sqref))[0], 200
                while sheet.cell(first, at + place).value is not None:
                    at += 40
                sheet.cell(first, at + place).value = f"={rule.formula[0]}"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def checks(content: bytes) -> tuple[dict[int, bool], list[bool]]:
    """(column → what its validation says, what every red mark says) of the first row."""
    sheet = openpyxl.load_workbook(io.BytesIO(content), data_only=True).worksheets[0]
    values = {cell.column: cell.value for row in sheet.iter_rows(min_col=101) for cell in row if cell.value is not None}
    return {at - 100: bool(value) for at, value in values.items() if at <= 200}, [
        bool(value) for at, value in sorted(values.items()) if at > 200
    ]


#: One more in this column breaks so many identities of its row.
BROKEN = {
    ("enrolment", "students_total"): 2,
    ("enrolment", "students_official_age"): 1 + 1,
    ("enrolment", "new_entrants"): 0,
    ("enrolment", "age_6"): 1 + 1,
    ("teacher_pay", "pay_total_yuan"): 1,
    ("rural_subsidy", "arrears_yuan"): 1,
    ("rural_subsidy", "due_yuan"): 1 + 1,
    ("rural_subsidy", "teachers_paid"): 1,
}
CHECKED = ("school", "enrolment", "teacher_pay", "rural_subsidy")


@pytest.mark.slow
def test_the_checks_while_typing_say_of_a_cell_what_screening_says_of_it(filled, tmp_path: Path):
    def put(value: Any) -> Callable[[Worksheet, int, int], None]:
        return lambda sheet, row, place: setattr(sheet.cell(row, place), "value", value)

    def one_more(name: str) -> Callable[[Worksheet, int, int], None]:
        def change(sheet: Worksheet, row: int, place: int) -> None:
            if names[sheet.title[:4]].get(place) == name:
                sheet.cell(row, place).value += 1

        return change

    names = {definition(code).form: {place: name for name, (_, place) in header_places(opened(filled[code])[1], code).items()}
             for code in CHECKED}  # fmt: skip
    changes = {
        "as filled": lambda sheet, row, place: None,
        "words": put("约三十"),
        "negative": put(-5),
        "fraction": put(0.123),
        "not reported": put("缺报"),
        "not applicable": put("不适用"),
    }
    files = {f"{code}-{name}": with_checks_as_cells(filled[code], change)
             for code in CHECKED for name, change in changes.items()}  # fmt: skip
    files |= {f"{code}-{name}": with_checks_as_cells(filled[code], one_more(name)) for code, name in BROKEN}
    saved = saved_by_libreoffice(tmp_path, files)
    for (code, name), broken_n in BROKEN.items():
        assert sum(checks(saved[f"{code}-{name}"])[1]) == broken_n, (code, name)
    for code in CHECKED:
        defined, at = definition(code), names[definition(code).form]
        said = {name: checks(saved[f"{code}-{name}"]) for name in changes}
        assert set(said["as filled"][0].values()) == {True}, code
        assert not any(said["as filled"][1]), code
        for name in ("words", "fraction"):
            assert set(said[name][0].values()) == {False}, (code, name)
        # Arrears of an earlier period that are settled are below zero.
        assert {at[place] for place, taken in said["negative"][0].items() if taken} == {
            column.name for column in defined.columns if column.signed
        }, code
        for name, missing in (("not reported", "not_reported"), ("not applicable", "not_applicable")):
            allowed = {place for place in said[name][0] if missing in defined.column(at[place]).missing}
            assert {place for place, taken in said[name][0].items() if taken} == allowed, (code, name)


def test_an_untouched_template_has_no_rows_and_no_signature_and_nothing_else(tmp_path: Path):
    result = screened(tmp_path, {code: template(code) for code in RETURNS})
    for code in RETURNS:
        found = sorted(one.rule_id for one in result.findings if one.return_code == code)
        assert found == ["FILE-0-no-rows", "FILE-0-sign-off-missing"], code


def test_a_register_that_is_left_empty_is_not_reported_but_a_row_left_empty_is_an_error(tmp_path: Path):
    rows = [row for row in faultless_rows("population", XINFU.code) if row["register"] == "常住"]
    whole = fill(template("population"), "population", rows)
    assert not screened(tmp_path, {"population": whole}).findings
    lacking = screened(tmp_path, {"population": fill(template("population"), "population", rows[1:])})
    assert [one.rule_id for one in lacking.findings if one.outcome == "error"] == ["FILE-1a-row-unfilled"]
    assert {one.row_label for one in lacking.findings} == {"0"}


def test_a_wrong_total_typed_over_the_formula_is_found(tmp_path: Path):
    content = fill(template("enrolment"), "enrolment", faultless_rows("enrolment", XINFU.code))
    book, sheet = opened(content)
    _, column = header_places(sheet, "enrolment")["students_total"]
    total = next(cell.row for cell in sheet["A"] if cell.value == "合计")
    sheet.cell(total, column).value = 7
    target = io.BytesIO()
    book.save(target)
    result = screened(tmp_path, {"enrolment": target.getvalue()})
    assert [one.rule_id for one in result.findings] == ["XB02-1c-total-row"]


@pytest.mark.parametrize("return_code", RETURNS)
def test_the_same_input_gives_the_same_bytes_and_another_county_others(return_code: str):
    assert template(return_code) == template(return_code)
    other = template_workbook(definition(return_code), COUNTIES[1], parse_period(DEFAULT_PERIOD[return_code]))
    assert other != template(return_code)


@pytest.mark.parametrize("return_code", RETURNS)
def test_every_formula_carries_a_value(return_code: str):
    with zipfile.ZipFile(io.BytesIO(template(return_code))) as archive:
        text = archive.read("xl/worksheets/sheet1.xml").decode()
    assert text.count("<f>") == text.count("</f><v>")
    total = definition(return_code).total_row
    if total:
        assert text.count("<f>SUM(") > 0


@pytest.mark.parametrize("return_code", RETURNS)
def test_header_cells_are_locked_and_explained_and_cells_for_input_are_checked(return_code: str):
    _, sheet = opened(template(return_code))
    defined = definition(return_code)
    assert sheet.protection.sheet and not sheet.protection.password
    assert sheet.protection.insertRows is False, "False: not forbidden"
    places = header_places(sheet, return_code)
    assert set(places) == {column.name for column in defined.columns}
    first_input = max(row for row, _ in places.values()) + 2
    validated = {
        column
        for validation in sheet.data_validations.dataValidation
        for cells in validation.sqref.ranges
        for column in range(cells.min_col, cells.max_col + 1)
        if cells.max_row >= first_input
    }
    for column in defined.columns:
        row, place = places[column.name]
        header = sheet.cell(row, place)
        assert header.protection.locked
        rule = suite(return_code).rules[f"{defined.form}-1a-{column.name}"]
        assert rule.remedy in header.comment.text
        printed = known_rows(defined) is not None and column.name in defined.key
        assert (place in validated) is not printed


def test_drop_downs_offer_the_codes_and_the_missing_codes_that_a_column_allows():
    _, sheet = opened(template("school"))
    _, place = header_places(sheet, "school")["subsidy_tier"]
    (validation,) = [
        one for one in sheet.data_validations.dataValidation
        if one.type == "list" and range_boundaries(str(one.sqref))[0] == place
    ]  # fmt: skip
    assert validation.formula1 == '"一档,二档,三档,不适用"'


def test_codes_too_long_for_a_cell_are_listed_out_of_sight_on_the_notes_sheet():
    codes = tuple(f"第{number}类学校（机构）办学形式" for number in range(30))
    plain = definition("school")
    columns = tuple(column.model_copy(update={"codes": codes}) if column.name == "school_type" else column
                    for column in plain.columns)  # fmt: skip
    defined = plain.model_copy(update={"columns": columns})
    book, sheet = opened(template_workbook(defined, XINFU, parse_period("2024-2025")))
    (validation,) = [one for one in sheet.data_validations.dataValidation if NOTES_SHEET in str(one.formula1)]
    reference = validation.formula1.split("!")[1].replace("$", "")
    assert tuple(cell.value for (cell,) in book[NOTES_SHEET][reference]) == codes


@pytest.mark.parametrize(
    ("return_code", "column", "formula"),
    [
        ("enrolment", "students_total", '=IF(ISNUMBER({0}),AND(ISNUMBER({0}),{0}>=0,{0}=INT({0})),OR({0}="缺报"))'),
        (
            "teacher_pay",
            "basic_salary_yuan",
            "=IF(ISNUMBER({0}),AND(ISNUMBER({0}),{0}>=0,ABS({0}-ROUND({0},2))<0.000001),"
            'OR({0}="不适用",{0}="缺报",LEFT({0},2)="并入"))',
        ),
    ],
)
def test_a_number_column_takes_a_number_or_its_missing_codes(return_code: str, column: str, formula: str):
    _, sheet = opened(template(return_code))
    _, place = header_places(sheet, return_code)[column]
    (validation,) = [
        one for one in sheet.data_validations.dataValidation
        if one.type == "custom" and range_boundaries(str(one.sqref))[0] == place
    ]  # fmt: skip
    cell = str(validation.sqref).split(":")[0]
    assert f"={validation.formula1.lstrip('=')}" == formula.format(cell)
    assert "缺报" in validation.error and validation.errorStyle in (None, "stop")


@pytest.mark.parametrize("return_code", RETURNS)
def test_the_notes_hold_every_column_every_identity_and_every_rule_of_the_period(return_code: str):
    book, _ = opened(template(return_code))
    texts = {cell.value for row in book[NOTES_SHEET].iter_rows() for cell in row if cell.value}
    defined, period = definition(return_code), parse_period(DEFAULT_PERIOD[return_code])
    assert {column.heading for column in defined.columns} <= texts
    for check in checks_of(defined):
        assert set(check.in_cells(Form(defined), period)) <= texts
    asked = [
        rule for rule in suite(return_code).rules.values() if "-1a-" not in rule.rule_id and rule.is_valid_for(period)
    ]
    assert {rule.rule_id for rule in asked} <= texts
    assert {re.sub(r"{\w+}", "××", rule.remedy) for rule in asked} <= texts
    assert set(file_rules()) <= texts
    assert not any("{" in text for text in texts), "no placeholder of a message is left"


@pytest.mark.parametrize("defined", current_definitions().values(), ids=lambda defined: defined.return_code)
def test_every_column_is_explained_on_the_notes_and_over_its_header(defined):
    assert [column.name for column in defined.columns if not defined.explanations.get(column.name)] == []
    book = openpyxl.load_workbook(io.BytesIO(template(defined.return_code)))
    notes = " ".join(str(cell.value) for row in book[NOTES_SHEET].iter_rows() for cell in row if cell.value)
    over = " ".join(cell.comment.text for row in book.worksheets[0].iter_rows() for cell in row if cell.comment)
    for text in defined.explanations.values():
        assert text in notes and text in over
    assert "{" not in notes


def test_a_kindergarten_is_asked_for_classes_and_codes_stand_in_words():
    book = openpyxl.load_workbook(io.BytesIO(template("enrolment")))
    heads = {str(cell.value) for row in book.worksheets[0].iter_rows(max_row=12) for cell in row if cell.value}
    assert {"一年级（学前小班）\n（人）", "三年级（学前大班）\n（人）", "四年级\n（人）"} <= heads
    book = openpyxl.load_workbook(io.BytesIO(template("school")))
    over = " ".join(cell.comment.text for row in book.worksheets[0].iter_rows() for cell in row if cell.comment)
    assert "111（主城区）" in over and "220（村庄）" in over


def test_relations_are_said_in_the_labels_of_the_form():
    defined, period = definition("rural_subsidy"), parse_period("2024Q3")
    said = {check.rule_id[5:]: check.in_cells(Form(defined), period) for check in checks_of(defined)}
    assert {rule: words for rule, words in said.items() if words} == {
        "1c-paid-within-entitled": ["实发人数 ≤ 应发人数"],
        "1c-due-equals-heads-by-standard": [
            "补助项目为“乡村教师生活补助”、“三区人才计划”时：应发金额 = 应发人数 × 月标准 × 发放月数"
        ],
        "4-due-of-graded": ["补助项目为“乡镇工作补贴”、“艰苦边远地区津贴”时：应发金额 = 应发人数 × 月标准 × 发放月数"],
        "1c-arrears-equal-due-less-paid": ["拖欠金额 = 应发金额 − 实发金额"],
        "1c-months-within-period": ["发放月数 ≤ 报告期的月数（3）"],
    }


def test_the_metadata_sheet_says_what_the_file_is_and_cannot_be_shown_from_the_menu():
    book, _ = opened(template("enrolment"))
    sheet = book[METADATA_SHEET]
    assert sheet.sheet_state == "veryHidden"
    assert {row[0]: row[1] for row in sheet.iter_rows(max_col=2, values_only=True)} == {
        "form": "XB02",
        "return": "enrolment",
        "return_version": "1",
        "county_code": "140902",
        "period": "2024-2025",
        "template_hash": template_hash(definition("enrolment")),
    }


def test_the_hash_changes_with_a_column_and_with_a_rule(monkeypatch):
    defined = definition("enrolment")
    before = template_hash(defined)
    other = defined.model_copy(update={"columns": defined.columns[:-1]})
    assert template_hash(other) != before
    rules = dict(file_rules())
    rules["FILE-0-empty"] = replace(rules["FILE-0-empty"], message="别的说法")
    monkeypatch.setattr("pipelines.templates.template.file_rules", lambda: rules)
    assert template_hash(defined) != before


def test_rows_that_are_known_in_advance_are_printed_and_locked():
    assert len(known_rows(definition("population")) or ()) == 3 * 18
    assert known_rows(definition("civil_servant_pay")) == [{"staff_category": "公务员"}, {"staff_category": "参公人员"}]
    assert known_rows(definition("enrolment")) is None
    _, sheet = opened(template("population"))
    (row, age), (_, register) = (header_places(sheet, "population")[name] for name in ("age", "register"))
    printed = [
        (cells[register - 1].value, cells[age - 1].value) for cells in sheet.iter_rows(min_row=row + 1, max_col=7)
    ]
    assert printed[:19] == [*(("户籍", age) for age in range(18)), ("户籍", "合计")]
    assert sheet.cell(row + 1, age).protection.locked


def test_prefilled_rows_stand_first_open_to_change_and_are_followed_by_room():
    rows = [
        {"school_code": f"1409020{number:03}", "school_name": f"第{number}小学", "opened_on": None}
        for number in range(700)
    ]
    _, sheet = opened(template("school", rows=rows))
    row, place = header_places(sheet, "school")["school_code"]
    cells = [sheet.cell(row + 1 + number, place) for number in range(800)]
    assert [cell.value for cell in cells] == [*(one["school_code"] for one in rows), *[None] * 100]
    assert not any(cell.protection.locked for cell in cells)
    assert sheet.cell(row + 801, place).protection.locked
    assert ROOM_ROWS >= 600


def test_a_period_of_another_type_is_refused():
    with pytest.raises(ValueError, match="XB02"):
        template_workbook(definition("enrolment"), XINFU, parse_period("2024"))


def test_a_template_returned_with_its_findings_marked_is_still_a_template(tmp_path: Path):
    rows = faultless_rows("population", XINFU.code)
    rows[0]["population_total"] += 1
    file = tmp_path / "population.xlsx"
    file.write_bytes(fill(template("population"), "population", rows))
    found = screen([Submission("1", file, file.name)], SETTINGS)
    heading = Heading("1", "1", XINFU.name, "2024-10-08", "未接收", {}, "请改正")
    annotated = annotate(file, file.name, [Issue.of(one) for one in found.findings], heading, SETTINGS.limits)
    assert annotated is not None and annotated.is_own
    book = openpyxl.load_workbook(io.BytesIO(annotated.content))
    assert book[METADATA_SHEET].sheet_state == "veryHidden"
    sheet = book[openpyxl.load_workbook(file).sheetnames[0]]
    assert sheet.data_validations.dataValidation and sheet.protection.sheet
    marked = tmp_path / "marked.xlsx"
    marked.write_bytes(annotated.content)
    again = screen([Submission("2", marked, file.name)], SETTINGS)
    assert [(one.rule_id, one.cell) for one in again.findings] == [(one.rule_id, one.cell) for one in found.findings]
    assert {filing.rows_n for filing in again.filings} == {36}


SCHOOLS = [
    {"school_code": "1409020001", "school_name": "南关小学", "school_type": "小学", "organiser": "公办",
     "location_code": "111", "boarding": "否", "subsidy_tier": "不适用", "opened_on": date(1983, 9, 1), "closed_on": None},
    {"school_code": "1409020002", "school_name": "播明九年制学校", "school_type": "九年一贯", "organiser": "公办",
     "location_code": "220", "boarding": "是", "subsidy_tier": "一档", "opened_on": None, "closed_on": None},
    {"school_code": "1409020003", "school_name": "撤并教学点", "school_type": "教学点", "organiser": "公办",
     "location_code": "220", "boarding": "否", "subsidy_tier": "三档", "opened_on": None, "closed_on": date(2023, 7, 1)},
    {"school_code": "1409020004", "school_name": "特教学校", "school_type": "特教", "organiser": "公办",
     "location_code": "111", "boarding": "是", "subsidy_tier": "不适用", "opened_on": None, "closed_on": None},
]  # fmt: skip


def test_the_register_is_prefilled_whole_and_is_accepted_as_it_stands_once_signed(tmp_path: Path):
    rows = prefilled(definition("school"), SCHOOLS, parse_period("2024-2025"))
    assert rows == SCHOOLS
    result = screened(tmp_path, {"school": fill(template("school", rows=rows), "school", [])})
    assert [(one.rule_id, one.message) for one in result.findings] == []
    assert [filing.rows_n for filing in result.filings] == [4]


def test_returns_by_school_are_prefilled_with_open_schools_by_stage_or_tier():
    def keys(return_code: str, *names: str) -> list[tuple[object, ...]]:
        rows = prefilled(definition(return_code), SCHOOLS, parse_period(DEFAULT_PERIOD[return_code]))
        return [tuple(row.get(name) for name in names) for row in rows]

    by_stage = [("1409020001", "小学"), ("1409020002", "小学"), ("1409020002", "初中"), ("1409020004", None)]
    assert keys("enrolment", "school_code", "stage") == by_stage
    assert keys("teacher_pay", "school_code", "stage") == by_stage
    assert keys("rural_subsidy", "school_code", "programme", "tier") == [("1409020002", "乡村教师生活补助", "一档")]
    assert keys("population", "age") == keys("civil_servant_pay", "staff_category") == []


def test_every_kind_of_school_and_stage_that_is_prefilled_is_one_that_the_forms_know():
    assert set(STAGES) <= set(definition("school").column("school_type").codes)
    assert {stage for stages in STAGES.values() for stage in stages} == set(
        definition("enrolment").column("stage").codes
    )
    assert TIER_PROGRAMME in definition("rural_subsidy").column("programme").codes


def test_a_prefilled_template_that_nobody_filled_has_no_rows(tmp_path: Path):
    rows = prefilled(definition("enrolment"), SCHOOLS, parse_period("2024-2025"))
    result = screened(tmp_path, {"enrolment": fill(template("enrolment", rows=rows), "enrolment", [])})
    assert [one.rule_id for one in result.findings] == ["FILE-0-no-rows"]
