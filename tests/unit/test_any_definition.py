"""Whatever a legal definition says, its template can be written, filled, read, judged and landed: nothing of it crashes a batch."""

import io
import re
import tempfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from builders import COUNTIES, XINFU
from declared import declared
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.intake.submission import Submission
from pipelines.periods import parse_period
from pipelines.returns import DefinitionError, ReturnDefinition, all_definitions
from pipelines.returns.definition import MISSING_LABELS, TAKEN_RETURNS
from pipelines.rule_files import forget, rules_from
from pipelines.screening import screen as screening_module
from pipelines.screening.screen import screen
from pipelines.screening.settings import ScreenSettings
from pipelines.templates.template import template_workbook
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import landing_schema, open_build_database
from pipelines.warehouse.landed_policy import land_policy
from pipelines.warehouse.landing import land_batch, screen_batch
from tests.homes import small_home

PERIODS = {"school_year": "2024-2025", "calendar_year": "2024", "quarter": "2024Q3", "month": "2024-10",
           "semester": "2024-2025S1"}  # fmt: skip
NUMBERS = ["count", "headcount", "money", "decimal", "percent"]
CODES = ["甲类", "乙类（含丙）", "1", "有,逗号", "一" * 90]
UNITS = [None, "人", "个", "元", "平方米", "课时/人·学期"]
LABELS = ["班级数", "其中：女", "说明事项", "合计数", "面积（建筑）", "2岁及以下", "县区数", "x" * 300]
JUNK = [
    "约三十",
    "-",
    "１２",
    "1,234",
    "9" * 40,
    "12.5%",
    "2024.1",
    "=",
    " ",
    "1e5",
    "缺报",
    "不适用",
    "并入",
    "0.125",
    "-3",
]


@pytest.fixture(scope="module", autouse=True)
def checks_as_shipped():
    """The models of rules across filings, compiled once: what they ask of any return follows from no definition."""
    models = dbt.compiled_checks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt, "compiled_checks", lambda _home=None: models)
        yield


@st.composite
def definitions(draw: st.DrawFn, number: int, plain: bool = False) -> dict[str, Any]:
    """A legal definition as its file holds it; `plain`: without anything that compares figures."""
    columns = []
    for place in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from([*NUMBERS, "text", "note", "code", "flag", "ref", "date"]))
        unit = draw(st.sampled_from(UNITS)) if kind in ("count", "headcount", "money") else None
        unit = "平方米" if kind == "decimal" else unit
        columns.append(
            {
                "name": f"c{place}",
                "label": f"{'甲乙丙丁戊己'[place]}{number}{draw(st.sampled_from(LABELS))}",
                "type": kind,
                "required": draw(st.booleans()),
                "missing": draw(st.lists(st.sampled_from(sorted(MISSING_LABELS)), unique=True)),
                **({"unit": unit} if unit else {}),
                **({"codes": draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))} if kind == "code" else {}),
                **(
                    {"applies_when": {"c0": columns[0]["codes"][:1]}}
                    if place > 1 and columns[0]["type"] == "code" and columns[0]["required"] and not columns[0]["missing"] and draw(st.booleans())
                    else {}
                ),
                **({"group": draw(st.sampled_from(["组", "另一组"]))} if draw(st.booleans()) else {}),
                **({"signed": True} if kind in ("money", "decimal") and draw(st.booleans()) else {}),
                **({"places": draw(st.integers(0, 4))} if kind == "decimal" else {}),
                **({"ref": f"return_{'abcdefgh'[number]}.c0"} if kind == "ref" else {}),
                **({"additive": False} if kind != "percent" and draw(st.booleans()) else {}),
                **({"min": 1, "max": 100} if kind == "count" and draw(st.booleans()) else {}),
                **({"pattern": "^[0-9]{4}$"} if kind == "text" and draw(st.booleans()) else {}),
            }
        )  # fmt: skip
    names = [column["name"] for column in columns]
    some = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
    defined: dict[str, Any] = {
        "return": f"return_{'abcdefgh'[number]}", "form": f"XB{50 + number}", "version": 1,
        "title": f"任意报表{'一二三四五六七八'[number]}", "title_en": "Any", "columns": columns,
        "period_types": draw(st.lists(st.sampled_from(sorted(PERIODS)), min_size=1, unique=True)),
        "key": ["c0", *(name for name in draw(some) if name != "c0")][:2], "row_label": draw(st.sampled_from(names)),
    }  # fmt: skip
    if plain:
        return defined
    if draw(st.booleans()):
        at = draw(some)
        per = draw(st.lists(st.sampled_from(names), max_size=1))
        defined["total_row"] = {
            "label_columns": at,
            "labels": ["合计", "总计"],
            "per": [one for one in per if one not in at],
        }
    defined["rules"] = draw(rules(defined["form"], columns))
    return defined


@st.composite
def rules(draw: st.DrawFn, form: str, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a catalogue on any of a form's columns."""
    kinds = {column["name"]: column["type"] for column in columns}
    names, numbers = list(kinds), [name for name, kind in kinds.items() if kind in NUMBERS]
    coded = [column for column in columns if column["type"] == "code"]
    found: list[dict[str, Any]] = []
    counts = [name for name in numbers if kinds[name] == "count"]
    if counts and draw(st.booleans()):
        column, per = draw(st.sampled_from(counts)), draw(st.lists(st.sampled_from(names), max_size=1))
        found.append(
            {"check": "complete", "per": [one for one in per if one != column], "column": column, "values": "1..3"}
        )
    if not numbers:
        return _named(form, found)
    of_some, number = st.lists(st.sampled_from(numbers), min_size=1, max_size=2, unique=True), st.sampled_from(numbers)
    for _ in range(draw(st.integers(0, 2))):
        column = draw(number)
        found.append(
            draw(
                st.sampled_from(
                    [
                        {"check": "equals_sum", "parts": draw(of_some), "less": draw(of_some), "tolerance": 0.05},
                        {"check": "equals_product", "of": draw(of_some)},
                        {"check": "within_period"},
                        {"check": "between", "low": 1, "high": 100, "least": 1, "per": draw(number)},
                        {"check": "between", "low": 0.5, "high": 2},
                        {"check": "above_zero", "beside": draw(number)},
                        {"check": "not_null"},
                        {"check": "smooth", "along": draw(number), "share": 0.25},
                        {"check": "present", "per": draw(st.lists(st.sampled_from(names), max_size=1))},
                    ]
                )
            )
            | {"column": column}
        )
    if coded and draw(st.booleans()):
        chosen = draw(st.sampled_from(coded))
        by, code = chosen["name"], chosen["codes"][0]
        found += [
            {"check": "equals_sum", "column": draw(number), "by": by, "parts": {code: draw(of_some)}},
            {"check": "present", "column": draw(number), "where": {by: [code]}},
            {"check": "in_set", "column": by, "values": [code]},
            {"check": "required_when", "column": draw(st.sampled_from(names)), "when": {by: [code]}},
            {"check": "zero_in", "by": by, "columns": {code: draw(of_some)}},
        ]
    return _named(form, found)


def _named(form: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"rule": f"{form}-4-rule-{number}", "outcome": "query", **one} for number, one in enumerate(entries)]


def truthful(column: Any, row: int, *, is_key: bool) -> Any:
    """A value that the column holds; keys differ from row to row."""
    if column.type in ("text", "note", "ref"):
        return f"{1000 + row}"
    if column.codes:
        return column.codes[row % len(column.codes)]
    if column.type == "date":
        return date(2024, 9, 1 + row)
    if column.missing and not is_key and row == 1:
        return MISSING_LABELS[column.missing[0]]
    return max(column.min, 1) + row + (0.5 if column.decimal_places else 0)


def filled(defined: ReturnDefinition, period: str, rows: list[dict[str, Any]], name: str = "") -> bytes:
    """The return's own template for a county, signed, with rows filled in under its header (over what is printed there);
    `name`: makes the bytes those of another file."""
    book = openpyxl.load_workbook(io.BytesIO(template_workbook(defined, XINFU, parse_period(period))))
    sheet = book.worksheets[0]
    for cells in sheet.iter_rows(max_row=40):
        for cell in cells:
            if isinstance(cell.value, str) and cell.value.rstrip("：") in ("填表人", "审核人", "单位负责人"):
                below = next(one for one in sheet[cell.row][cell.column :] if type(one).__name__ == "Cell")
                below.value = "张三"
    first = int(re.sub(r"\D", "", sheet.freeze_panes or "A1"))
    first += int(any(isinstance(cell.value, str) and cell.value.startswith("=SUM") for cell in sheet[first]))
    open_rows = [
        number for number in range(first, first + 200)
        if not any(isinstance(cell.value, str) and (cell.value.startswith("=SUM") or cell.value == "合计") for cell in sheet[number])
    ]  # fmt: skip
    for number, row in zip(open_rows, rows, strict=False):
        for place, column in enumerate(defined.columns, start=1):
            if column.name in row:
                sheet.cell(number, place).value = row[column.name]
    book.properties.title = name
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def landed(
    folder: Path, definitions: list[ReturnDefinition], files: dict[str, bytes]
) -> tuple[Any, dict[str, list[tuple]]]:
    """Files by name, all taken in as one batch and landed with the rules across filings, for which the shipped returns are declared
    `beside`: the batch and the rows by return."""
    calendar = {one.return_code: (PERIODS[one.period_types[0]],) * 2 + ("end", 30) for one in definitions}
    home = small_home(folder / "home", [("140902", "忻府区", "Xinfu")], calendar)
    store = RawStore(home.raw)
    for name, content in files.items():
        submission_id, size = store.keep(io.BytesIO(content), max_bytes=1 << 26)
        moment = "2024-10-08T01:30:00+00:00"
        store.record(submission_id, size, Arrival("140902", name, f"/{name}", moment, moment, moment))
    entries = list(store)
    periods = {defined.return_code: {PERIODS[one] for one in defined.period_types} for defined in definitions}
    config = ScreenSettings(COUNTIES, periods)
    with home.writing(), open_build_database(home) as connection:
        batch = screen_batch(home, store, entries, config, None)
        land_policy(connection, home)
        context = land_batch(connection, home, entries, batch, [], lambda _: connection.commit())
        assert context.faults == {}
        rows = {
            one.return_code: connection.execute(f"FROM landing.{one.return_code}").fetchall() for one in definitions
        }
    return batch.screening, rows


def tried(test: Callable[[st.DataObject], None], examples: int) -> None:
    """Run a property on so many batches of definitions, the same ones every time. (Shrinking such a batch takes minutes: left out.)"""
    chosen = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
                      database=None, phases=[Phase.generate])  # fmt: skip
    chosen(given(st.data())(test))()


@pytest.mark.parametrize("examples", [4, pytest.param(40, marks=pytest.mark.long)])
def test_no_legal_definition_crashes_a_batch(examples: int):
    tried(_crashes_nothing, examples)


@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.long)])
def test_a_truthful_file_of_any_plain_definition_is_accepted_and_lands_as_it_is(examples: int):
    tried(_lands_as_it_is, examples)


def _crashes_nothing(data: st.DataObject) -> None:
    """From the definition to landed rows, whatever stands in the cells; every file gets its verdict."""
    drawn = [data.draw(definitions(number)) for number in range(4)]
    with tempfile.TemporaryDirectory() as name, declared(Path(name) / "rules", drawn, beside=True) as found:
        files: dict[str, bytes] = {}
        for defined in found:
            period = PERIODS[defined.period_types[0]]
            for kind in ("truthful", "anything", "empty"):
                rows = [
                    {
                        column.name: data.draw(st.sampled_from([None, *JUNK]))
                        if kind == "anything" and data.draw(st.booleans())
                        else truthful(column, row, is_key=column.name in defined.key)
                        for column in defined.columns
                    }
                    for row in range(0 if kind == "empty" else 3)
                ]
                files[f"{defined.return_code}-{kind}.xlsx"] = filled(defined, period, rows, kind)
        screening, _ = landed(Path(name), found, files)
        assert list(screening.faults.values()) == []
        assert {filing.file_name for filing in screening.filings} == set(files)
        # What is recognised is recognised as what it is.
        for filing in screening.filings:
            assert filing.return_code in (None, filing.file_name.split("-")[0]), filing
            if "truthful" in filing.file_name:
                said = [one.message for one in screening.findings if one.submission_id == filing.submission_id]
                assert filing.return_code and filing.period and filing.county_code == XINFU.code, (
                    filing.file_name,
                    said,
                )


def _lands_as_it_is(data: st.DataObject) -> None:
    drawn = [data.draw(definitions(number, plain=True)) for number in range(4)]
    with tempfile.TemporaryDirectory() as name, declared(Path(name) / "rules", drawn, beside=True) as found:
        files, sent = {}, {}
        for defined in found:
            # As many rows as the key can tell apart; where the form prints its rows, all of them are its own.
            texts = [column for column in map(defined.column, defined.key) if not column.codes]
            least = min(len(column.codes) for column in map(defined.column, defined.key)) if not texts else 3
            rows = [
                {column.name: truthful(column, row, is_key=column.name in defined.key) for column in defined.columns}
                for row in range(least)
            ]
            if not texts and len(defined.key) > 1:
                continue  # every combination of codes is printed; filling some of them leaves others blank
            files[f"{defined.return_code}.xlsx"] = filled(defined, PERIODS[defined.period_types[0]], rows)
            sent[defined.return_code] = rows
        screening, rows_of = landed(Path(name), found, files)
        assert list(screening.faults.values()) == []
        told = [
            f"{finding.rule_id} {finding.cell} {finding.message}"
            for finding in screening.findings
            if finding.outcome == "error"
        ]
        assert told == []
        for return_code, rows in sent.items():
            assert len(rows_of[return_code]) == len(rows)


PLAIN: dict[str, Any] = {
    "return": "staffing", "form": "XB57", "version": 1, "title": "教职工编制统计表", "title_en": "Staffing",
    "period_types": ["school_year"], "key": ["school_code"], "row_label": "school_code",
    "columns": [
        {"name": "school_code", "label": "学校标识码", "type": "text", "required": True},
        {"name": "staff", "label": "在编教职工数", "type": "count", "unit": "人", "required": True},
        {"name": "kind", "label": "类别", "type": "code", "codes": ["甲", "乙"], "required": True},
    ],
}  # fmt: skip


def changed(column: str | None = None, **values: Any) -> dict[str, Any]:
    """The plain definition with other values, or one of its columns with others."""
    if column is None:
        return {**PLAIN, **values}
    return {**PLAIN, "columns": [{**one, **values} if one["name"] == column else one for one in PLAIN["columns"]]}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (changed(key=[]), "key"),
        (changed(period_types=[]), "period_types"),
        (changed(title=" "), "title"),
        (changed(**{"return": "finding"}), "系统自用"),
        (changed("staff", name="entry"), "系统自用"),
        (changed("staff", name="staff__state"), "两条下划线"),
        (changed("staff", label="　"), "label 是空白"),
        (changed("staff", unit="人（次）"), "单位“人（次）”"),
        (changed("staff", min=5, max=4), "max 小于 min"),
        (changed("staff", max=10**9), "最大数 10,000,000"),
        (changed("kind", codes=["甲", "甲 "]), "重复"),
        (changed("kind", codes=["不适用"]), "不能叫“不适用”"),
        (changed("kind", codes=[]), "没有写可选项"),
        (changed("school_code", pattern="(?<=a)b"), "不是可用的正则表达式"),
        (changed(total_row={"label_columns": [], "labels": ["合计"]}), "label_columns"),
        (changed(total_row={"label_columns": ["school_code"], "labels": []}), "labels"),
        (changed("staff", type="decimal"), "几位小数"),
        (changed("staff", type="decimal", places=5), "places “5”过大"),
        (changed("staff", places=2), "不能写 places"),
        (changed("staff", type="percent"), "单位只能是 %"),
        (changed("staff", signed=True), "不能写 signed"),
        (changed("kind", type="flag"), "只能是是、否"),
        (changed("school_code", type="ref"), "哪张表的哪一列"),
        (changed("school_code", type="ref", ref="scool.school_code"), "没有“scool”这张报表"),
        (changed("school_code", type="ref", ref="staffing.code"), "没有“code”这一列"),
        (changed("school_code", type="ref", ref="staffing.staff"), "不在它那张表的主键里"),
        (changed("school_code", pattern=12), "pattern 应是文字"),
        (changed("staff", applies_when={"kin": ["甲"]}), "没有“kin”这一列"),
        (changed("staff", applies_when={"kind": ["丙"]}), "没有“丙”"),
        (changed("staff", applies_when={"kind": []}), "没有写 kind 是哪些可选项"),
        (changed("staff", applies_when={"school_code": ["1"]}), "没有可选项"),
        (changed("kind", applies_when={"kind": ["甲"]}), "认不出哪些行要填"),
        (changed("school_code", applies_when={"kind": ["甲"]}), "每一行都要填"),
        (changed("staff", label_by={"kind": {"丙": "人数"}}), "没有“丙”"),
        (changed(kind="legder"), "可填：table、ledger"),
        (changed(period_type=["month"]), "不认识的配置项“period_type”.*period_types"),
        (changed(kind="ledger", key=["school_code", "staff"], columns=[{**one, "required": one["name"] == "school_code"} for one in PLAIN["columns"]]), "台账"),
    ],
)  # fmt: skip
def test_a_definition_that_could_not_be_used_is_refused_by_its_file_and_reason(
    tmp_path: Path, wrong: dict[str, Any], told: str
):
    with (
        pytest.raises(DefinitionError, match=rf"{wrong['return']}\.v1\.yaml.*{told}"),
        declared(tmp_path / "rules", [wrong]),
    ):
        pass


def test_versions_of_a_form_agree_on_what_a_column_is(tmp_path: Path):
    # A landed figure carries no version: 75 tenths and 75 whole ones would stand in one column.
    second = {**changed("staff", type="headcount"), "version": 2}
    with (
        pytest.raises(DefinitionError, match=r"v2\.yaml 第 \d+ 行：staff 的类型、单位或小数位数"),
        declared(tmp_path / "rules", [PLAIN, second]),
    ):
        pass


def test_all_mistakes_of_all_definitions_are_told_at_once_each_at_its_line(tmp_path: Path):
    folder = tmp_path / "definitions"
    folder.mkdir()
    first = """return: staffing
form: XB57
version: 1
title: 教职工编制统计表
title_en: Staffing
period_types: [school_year, term]
key: [school_code]
row_label: school_code
columns:
  - {name: school_code, label: 学校标识码, type: text, required: true}
  - {name: staff, label: 在编教职工数, type: number, required: true}
  - {name: kind, label: 类别, type: code, required: yes please}
"""
    second = """return: other
form: XB57
version: 1
title: 另一张表
title_en: Other
period_types: [month]
key: [school_cod]
row_label: staff
columns:
  - {name: staff, label: 人数, type: count, min: 5, max: 4, required: true}
  - {name: kind, label: 人数, type: code, required: true}
"""
    (folder / "staffing.v1.yaml").write_text(first, encoding="utf-8")
    (folder / "other.v1.yaml").write_text(second, encoding="utf-8")
    (folder / "third.v1.yaml").write_text("return: third\nform：XB59\n", encoding="utf-8")
    with rules_from(tmp_path), pytest.raises(DefinitionError) as refused:
        all_definitions()
    told = [(Path(problem.file).name, problem.line) for problem in refused.value.problems]
    assert told == [
        ("other.v1.yaml", 7), ("other.v1.yaml", 10), ("other.v1.yaml", 11), ("other.v1.yaml", 11),
        ("staffing.v1.yaml", 6), ("staffing.v1.yaml", 11), ("staffing.v1.yaml", 12), ("third.v1.yaml", 2),
    ]  # fmt: skip
    assert all(problem.remedy for problem in refused.value.problems)
    assert "没有“school_cod”这一列" in str(refused.value)


def test_a_mistake_of_shape_hides_no_other_mistake_of_its_file(tmp_path: Path):
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "staffing.v1.yaml").write_text(
        """return: staffing
form: XB57
version: one
title: 教职工编制统计表
title_en: Staffing
period_types: [school_year]
key: [school_cod]
row_label: school_code
kind: legder
columns:
  - {name: school_code, label: 学校标识码, type: ref, ref: scool.school_code, required: true}
  - {name: staff, label: 在编教职工数, type: counts, min: 9, max: 4, required: true}
  - {name: staff, label: 教职工数, type: count, min: 9, max: 4, required: true}
  - {name: kind, label: 类别, type: coded, codes: [甲], required: true}
  - {name: other, label: 其他, type: count, label_by: {kind: {乙: 别的}}, required: true}
  - {name: last, label: 最后, type: ref, ref: other.school_code, required: true}
""",
        encoding="utf-8",
    )
    with rules_from(tmp_path):
        with pytest.raises(DefinitionError) as refused:
            all_definitions()
        (folder / "other.v1.yaml").write_text("return: other\ncolumns: 3\n", encoding="utf-8")
        forget()
        with pytest.raises(DefinitionError) as with_another:
            all_definitions()
    told = [(problem.line, problem.message) for problem in refused.value.problems]
    assert [line for line, _ in told] == [3, 7, 9, 11, 12, 13, 13, 14, 16]
    assert {message for line, message in told if line in (7, 11, 13, 14)} == {
        "没有“school_cod”这一列", "没有“scool”这张报表", "staff 的 max 小于 min", "列 staff 写了两次", "type 不能是“coded”",
    }  # fmt: skip
    # Which returns there are is not known while a file cannot be read.
    of_same = [problem.line for problem in with_another.value.problems if "staffing" in problem.file]
    assert of_same == [3, 7, 9, 12, 13, 13, 14]


def test_a_reference_is_read_by_the_pattern_of_what_it_names(tmp_path: Path):
    columns = [
        {"name": "school_code", "label": "学校标识码", "type": "text", "pattern": "^[0-9]{10}$", "pattern_hint": "10 位数字",
         "required": True},
        {"name": "parent_code", "label": "中心校标识码", "type": "ref", "ref": "staffing.school_code", "required": False},
    ]  # fmt: skip
    with declared(tmp_path / "rules", [{**PLAIN, "columns": columns}]) as (defined,):
        parent = defined.column("parent_code")
        assert (parent.pattern, parent.pattern_hint, parent.sql_type) == ("^[0-9]{10}$", "10 位数字", "VARCHAR")


def test_a_template_of_every_type_filled_is_landed_as_it_was_filled(tmp_path: Path):
    columns = [
        {"name": "school_code", "label": "学校标识码", "type": "text", "pattern": "^[0-9]{4}$", "required": True},
        {"name": "parent_code", "label": "中心校标识码", "type": "ref", "ref": "staffing.school_code", "required": False},
        {"name": "area", "label": "校舍面积", "type": "decimal", "places": 2, "unit": "平方米", "required": True},
        {"name": "gain", "label": "面积增减", "type": "decimal", "places": 4, "unit": "公顷", "signed": True, "required": True},
        {"name": "share", "label": "楼房占比", "type": "percent", "required": True, "missing": ["not_applicable"]},
        {"name": "leased", "label": "是否租用", "type": "flag", "required": True},
        {"name": "remark", "label": "情况说明", "type": "note", "required": False},
    ]  # fmt: skip
    defined = {**PLAIN, "period_types": ["semester"], "kind": "ledger", "columns": columns}
    rows = [
        {"school_code": "1001", "area": 1200.25, "gain": -0.0125, "share": 96.25, "leased": "是", "remark": "借用，年底归还。"},
        {"school_code": "1002", "parent_code": "1001", "area": 80, "gain": 0, "share": "不适用", "leased": "否"},
    ]  # fmt: skip
    with declared(tmp_path / "rules", [defined], beside=True) as (found,):
        content = filled(found, "2024-2025S1", rows)
        sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
        kinds = {one.type for one in sheet.data_validations.dataValidation}
        assert {"custom", "list", "textLength"} <= kinds
        formats = [sheet.cell(sheet.max_row, place).number_format for place in range(1, 8)]
        assert formats == ["@", "@", "#,##0.00", "#,##0.0000", "0.00", "@", "@"]
        screening, landed_rows = landed(tmp_path, [found], {"a.xlsx": content})
        assert [finding.message for finding in screening.findings if finding.outcome == "error"] == []
    values = [row[6:] for row in sorted(landed_rows["staffing"], key=lambda row: row[6])]
    assert values == [
        ("1001", None, Decimal("1200.25"), Decimal("-0.0125"), Decimal("96.25"), "是", "借用，年底归还。", "{}"),
        ("1002", "1001", Decimal("80.00"), Decimal("0.0000"), None, "否", None, '{"share":"not_applicable"}'),
    ]


def test_a_column_of_some_rows_is_asked_of_them_and_of_no_others(tmp_path: Path):
    staff = {**PLAIN["columns"][1], "applies_when": {"kind": ["甲"]}, "missing": ["not_reported"]}
    defined = {**PLAIN, "columns": [PLAIN["columns"][0], PLAIN["columns"][2], staff]}
    rows = [{"school_code": "1001", "kind": "甲", "staff": 5}, {"school_code": "1002", "kind": "乙"}]
    with declared(tmp_path / "rules", [defined], beside=True) as (found,):
        content = filled(found, "2024-2025", rows)
        sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
        colours = [rule.formula[0] for rules in sheet.conditional_formatting for rule in rules.rules if rule.formula]
        assert any("NOT(AND(OR($B" in formula and '<>"不适用"' in formula for formula in colours)
        screening, landed_rows = landed(tmp_path, [found], {"a.xlsx": content})
        assert [finding.message for finding in screening.findings if finding.outcome == "error"] == []
        assert [row[6:] for row in sorted(landed_rows["staffing"], key=lambda row: row[6])] == [
            ("1001", "甲", 5, "{}"), ("1002", "乙", None, '{"staff":"not_applicable"}'),
        ]  # fmt: skip
        wrong = [
            {**rows[0], "staff": None},
            {**rows[1], "staff": 3},
            {**rows[0], "school_code": "1003", "staff": "不适用"},
        ]
        path = tmp_path / "wrong"
        path.write_bytes(filled(found, "2024-2025", wrong))
        told = screen([Submission("wrong", path, "报表.xlsx")], ScreenSettings(COUNTIES)).findings
    assert [(finding.message, finding.remedy) for finding in told if finding.outcome == "error"] == [
        (
            f"“在编教职工数”{said}。",
            "“类别”为甲的，请填写不小于 0 的整数（人）；没有数据时填“缺报”；其余各行空着，或填“不适用”。",
        )
        for said in ("是空白", "填的是“3”，在这一行不用填", "填的是“不适用”，在这一行要填，不能填“不适用”")
    ]


@pytest.mark.parametrize(("unit", "is_wrong"), [("册", False), ("万册", True), ("千册", True), ("人", True)])
def test_a_header_in_a_multiple_of_its_unit_is_told_as_such(tmp_path: Path, unit: str, is_wrong: bool):
    books = {"name": "books", "label": "图书", "type": "decimal", "places": 2, "unit": "册", "required": True}
    with declared(tmp_path / "rules", [{**PLAIN, "columns": [*PLAIN["columns"], books]}]) as (defined,):
        book = openpyxl.load_workbook(io.BytesIO(filled(
            defined, "2024-2025", [{"school_code": "1001", "staff": 5, "kind": "甲", "books": 7}]
        )))  # fmt: skip
        header = next(
            cell for row in book.worksheets[0].iter_rows() for cell in row if str(cell.value).startswith("图书")
        )
        header.value = f"图书（{unit}）"
        book.save(tmp_path / "sent")
        told = screen([Submission("sent", tmp_path / "sent", "报表.xlsx")], ScreenSettings(COUNTIES)).findings
    assert [one.rule_id for one in told if one.outcome == "error"] == (["FILE-0-unit-conflict"] if is_wrong else [])


def test_two_returns_share_no_form_number(tmp_path: Path):
    other = {**PLAIN, "return": "other", "title": "另一张表"}
    with pytest.raises(DefinitionError, match="XB57"), declared(tmp_path / "rules", [PLAIN, other]):
        pass


def test_no_return_can_be_called_like_a_table_or_file_of_the_pipeline():
    ours = {name.removeprefix("landing.") for name in landing_schema() if name.startswith("landing.")}
    from pipelines.returns import current_definitions

    assert {name for name in ours - set(current_definitions()) if re.fullmatch("[a-z][a-z_]*", name)} <= TAKEN_RETURNS


def test_a_product_is_rounded_as_a_clerk_rounds(tmp_path: Path):
    # 7.5 × 33.33 = 249.975: stated to the cent it is 249.98.
    columns = [
        {"name": "school_code", "label": "学校标识码", "type": "text", "required": True},
        {"name": "heads", "label": "人数", "type": "headcount", "required": True},
        {"name": "rate_yuan", "label": "标准", "type": "money", "required": True},
        {"name": "due_yuan", "label": "金额", "type": "money", "required": True},
    ]
    rule = {"rule": "XB57-1c-product", "check": "equals_product", "column": "due_yuan", "of": ["heads", "rate_yuan"]}
    rows = [{"school_code": "1", "heads": 7.5, "rate_yuan": 33.33, "due_yuan": due} for due in (249.98,)]
    with declared(tmp_path / "rules", [{**PLAIN, "columns": columns, "rules": [rule]}], beside=True) as (defined,):
        screening, _ = landed(tmp_path, [defined], {"a.xlsx": filled(defined, "2024-2025", rows)})
        assert [finding.message for finding in screening.findings if finding.outcome == "error"] == []


def test_a_fault_in_judging_one_file_takes_no_other_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing is said of the guilty file, not even of its other return; all others are judged as they would be without it."""
    second = {**PLAIN, "return": "other", "form": "XB58", "title": "另一张表", "columns": [{**one, "label": one["label"] + "二"} for one in PLAIN["columns"]]}  # fmt: skip
    with declared(tmp_path / "rules", [PLAIN, second]) as found:
        sent = []
        for number in range(7):
            books = [
                filled(defined, "2024-2025", [{"school_code": f"{number}", "staff": number, "kind": "甲"}])
                for defined in found
            ]
            for defined, content in zip(found, books, strict=True):
                path = tmp_path / f"{number}-{defined.return_code}"
                path.write_bytes(content)
                sent.append(Submission(path.name, path, f"{path.name}.xlsx"))
        alone = screen([one for one in sent if one.submission_id != "3-staffing"], ScreenSettings(COUNTIES))
        original = screening_module.judged

        def fail(defined: ReturnDefinition, frame: Any, periods: Any) -> Any:
            if defined.return_code == "staffing" and (frame["school_code"] == "3").any():
                raise ZeroDivisionError("ours")
            return original(defined, frame, periods)

        monkeypatch.setattr(screening_module, "judged", fail)
        result = screen(sent, ScreenSettings(COUNTIES))
    assert result.faults == {"3-staffing": "XB57 v1: ZeroDivisionError: ours"}

    def said(screening: Any) -> list[Any]:
        rows = {code: sorted(map(str, frame.rows())) for code, frame in screening.rows.items()}
        return [sorted(map(str, screening.filings)), sorted(map(str, screening.findings)), sorted(map(str, screening.rule_results)),
                sorted(screening.cell_columns), rows]  # fmt: skip

    assert said(result) == said(alone)
    assert len(result.filings) == 13


def test_a_return_whose_rules_cannot_be_used_takes_no_other_down(tmp_path: Path):
    second = {**PLAIN, "return": "other", "form": "XB58", "title": "另一张表", "columns": [{**one, "label": one["label"] + "二"} for one in PLAIN["columns"]]}  # fmt: skip
    with declared(tmp_path / "rules", [PLAIN, second]) as found:
        for defined in found:
            path = tmp_path / defined.return_code
            path.write_bytes(filled(defined, "2024-2025", [{"school_code": "1", "staff": 1, "kind": "甲"}]))
        sent = [Submission(one, tmp_path / one, f"{one}.xlsx") for one in ("staffing", "other")]
        catalogue = tmp_path / "rules" / "expectations" / "staffing.yaml"
        catalogue.write_text(catalogue.read_text(encoding="utf-8").replace("unique_key", "uniqe_key"), encoding="utf-8")
        forget()
        result = screen(sent, ScreenSettings(COUNTIES))
    assert [filing.submission_id for filing in result.filings] == ["other"]
    assert list(result.faults) == ["staffing"] and "uniqe_key" in result.faults["staffing"]
