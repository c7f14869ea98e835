"""What holds of every kind of check: what it asks and does not ask, where it points, what it says, what the workbook shows."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from builders import table_of
from checked import Row

from pipelines.periods import parse_period
from pipelines.returns import ReturnDefinition
from pipelines.screening.checks import KINDS, Check
from pipelines.screening.checks.engine import Rows, failing
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import Form
from pipelines.screening.tabulate import tabulate

PERIOD = parse_period("2024Q3")
#: A form with a column of each sort.
DEFINED = ReturnDefinition.model_validate(
    {
        "return": "trial", "form": "XB99", "version": 1, "title": "试验表", "title_en": "Trial", "period_types": ["quarter"],
        "key": ["code", "kind"], "row_label": "code",
        "total_row": {"label_columns": ["code"], "labels": ["合计"]},
        "columns": [
            {"name": "code", "label": "代码", "type": "text", "required": True},
            {"name": "kind", "label": "类别", "type": "code", "codes": ["甲", "乙", "丙"], "required": True},
            *({"name": name, "label": label, "type": "count", "unit": "人", "group": group, "required": True,
               "missing": ["not_applicable", "not_reported", "included_elsewhere"]}
              for name, label, group in (("total", "总数", None), ("spare", "备", None), ("a", "子", "分项"), ("b", "丑", "分项"), ("c", "寅", "分项"))),
            {"name": "age", "label": "年龄", "type": "count", "unit": "岁", "additive": False, "required": True},
            {"name": "months", "label": "月数", "type": "count", "unit": "月", "additive": False, "required": True},
            {"name": "paid_yuan", "label": "金额", "type": "money", "unit": "元", "required": True, "missing": ["not_reported"]},
            {"name": "opened_on", "label": "起日", "type": "date", "required": False},
            {"name": "closed_on", "label": "止日", "type": "date", "required": False},
            {"name": "urban", "label": "城", "type": "code", "codes": ["是", "否"], "required": True},
            {"name": "rural", "label": "乡", "type": "code", "codes": ["是", "否"], "required": True},
        ],
    }
)  # fmt: skip
SOUND: Row = {
    "code": "x", "kind": "甲", "total": 6, "a": 1, "b": 2, "c": 3, "age": 5, "spare": 0, "months": 3, "paid_yuan": 100, "opened_on": date(2024, 8, 1),
    "closed_on": date(2024, 9, 1), "urban": "是", "rural": "否",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A check, how a sound row must change to break it (at which column), and how to be left unasked."""

    parameters: dict[str, Any]
    at: str
    broken: dict[str, Any]
    unasked: dict[str, Any] | None = None
    #: Changes a list of five sound rows instead, of which the one in the middle is at fault.
    rows: Callable[[list[Row]], None] | None = None


CASES: dict[str, Case] = {
    "reads_as": Case({"column": "total"}, "total", {"total": "约三十"}),
    "text_number": Case({}, "total", {"total": "６"}),
    "not_reported": Case({}, "total", {"total": "缺报"}),
    "in_set": Case({"column": "kind", "value_set": ["甲", "乙"]}, "kind", {"kind": "丙"}, {"kind": "丁"}),
    "matches": Case({"column": "code", "regex": "^x"}, "code", {"code": "y"}, {"code": None}),
    "not_null": Case({"column": "opened_on"}, "opened_on", {"opened_on": None}),
    "required_when": Case({"column": "opened_on", "when": {"kind": ("甲",)}}, "opened_on", {"opened_on": None}, {"kind": "乙"}),
    "equals_sum": Case({"column": "total", "parts": ("a", "b", "c")}, "total", {"total": 7}, {"a": "缺报"}),
    "equals_product": Case({"column": "c", "of": ("a", "months")}, "c", {"c": 4}, {"a": "缺报"}),
    "at_most": Case({"column_B": "a", "column_A": "total"}, "a", {"a": 7}, {"total": "缺报"}),
    "within_period": Case({"column": "months"}, "months", {"months": 4}, {"months": "三"}),
    "exactly_one": Case({"columns": ("urban", "rural")}, "urban", {"rural": "是"}, {"rural": "兼"}),
    "total_row": Case({}, "total", {}, rows=lambda rows: rows[-1].update(total=31)),
    "between": Case({"column": "paid_yuan", "min_value": 1, "max_value": 50, "per": "total"}, "paid_yuan", {"paid_yuan": 999},
                    {"total": 0}),
    "above_zero": Case({"column": "total", "beside": "paid_yuan"}, "total", {"total": 0}, {"paid_yuan": "缺报"}),
    "zero_in": Case({"by": "kind", "columns": {"甲": ("spare",)}}, "spare", {"spare": 2}, {"kind": "丙"}),
    "present": Case({"column": "total"}, "total", {}, rows=lambda rows: [row.update(total=0) for row in rows] and None),
    "smooth": Case({"column": "total", "along": "age", "share": 0.25}, "total", {}, rows=lambda rows: rows[2].update(total=60)),
    "unit_of_column": Case({"figures": ({"label": "人均", "column": "paid_yuan", "low": 100, "high": 1000},)}, "paid_yuan",
                           {}, rows=lambda rows: [row.update(paid_yuan=0.01) for row in rows] and None),
    "unique_key": Case({}, "code", {}, rows=lambda rows: rows[2].update(code=rows[1]["code"])),
    "complete": Case({"column": "age", "values": (1, 2, 3, 4, 5)}, "age", {}, rows=lambda rows: rows[2].update(age=1)),
    "date_between": Case({"column": "opened_on", "earliest": "2000-01-01"}, "opened_on", {"opened_on": date(1999, 1, 1)},
                         {"opened_on": None}),
    "date_order": Case({"column_B": "opened_on", "column_A": "closed_on"}, "opened_on", {"opened_on": date(2024, 9, 2)},
                       {"opened_on": None}),
    "date_near": Case({"column": "opened_on", "near": "start", "days": 62}, "opened_on", {"opened_on": date(2023, 1, 1)},
                      {"opened_on": None}),
    "date_same": Case({"column": "opened_on", "per": "kind"}, "opened_on", {}, rows=lambda rows: rows[2].update(opened_on=date(2024, 8, 2))),
}  # fmt: skip


def made(kind: str) -> Check:
    check = KINDS[kind](**CASES[kind].parameters)
    words = check.words(Form(DEFINED))
    check.meta = {"rule": f"XB99-1c-{kind}", "outcome": "error", "message": words.message, "remedy": words.remedy}  # type: ignore[attr-defined]
    return check


def found(check: Check, rows: list[Row]) -> tuple[int, list[tuple[str, ...]]]:
    """(rows asked, what is said of each failing cell) of a check alone on rows; the last is a total row where its code is 合计."""
    totals = [row for row in rows if row["code"] == "合计"]
    data = [row for row in rows if row["code"] != "合计"]
    frame = tabulate(DEFINED, [(0, table_of(DEFINED, data, totals or None))])
    form = Form(DEFINED, (check,), {0: PERIOD})
    (answer,) = failing(Rows(frame, form), [check])
    return sum(answer.asked.values()), answer.cells.drop("entry", "source_row", "cause").rows()


def five(**values: Any) -> list[Row]:
    rows = [SOUND | {"code": f"x{number}", "age": number} | values for number in range(1, 6)]
    total = dict.fromkeys(SOUND) | {"code": "合计", "total": 30}
    return [*rows, total]


def test_every_kind_has_its_case():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_a_sound_row_holds_and_a_broken_one_names_its_cell(kind: str):
    case, check = CASES[kind], made(kind)
    sound = five()
    asked_n, cells = found(check, sound)
    assert cells == [] and asked_n > 0
    wrong = five()
    if case.rows:
        case.rows(wrong)
    else:
        wrong[2] |= case.broken
    _, cells = found(check, wrong)
    assert [column for column, *_ in cells] == [case.at], cells


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if case.unasked])
def test_a_row_that_cannot_be_judged_is_not_asked(kind: str):
    check, unasked = made(kind), five()
    asked_n, _ = found(check, unasked)
    unasked[2] |= CASES[kind].unasked or {}
    left_n, cells = found(check, unasked)
    assert (left_n, cells) == (asked_n - 1, [])


@pytest.mark.parametrize("answer", ["不适用", "缺报", "并入总数"])
@pytest.mark.parametrize("kind", ["equals_sum", "at_most", "above_zero", "zero_in", "smooth", "total_row", "present"])
def test_a_missing_code_is_no_figure(kind: str, answer: str):
    """It never counts as a number of its own: the row is left unasked, or it adds nothing."""
    check, rows = made(kind), five()
    rows[2] |= {CASES[kind].at: answer}
    if kind == "total_row":
        rows[-1] |= {"total": 24}
    _, cells = found(check, rows)
    assert cells == []


@pytest.mark.parametrize("answer", ["不适用", "并入子"])
def test_a_part_by_which_nothing_is_to_be_added_counts_nothing(answer: str):
    rows = five()
    rows[2] |= {"c": answer}
    _, ((column, value, expected, difference, *_),) = found(made("equals_sum"), rows)
    assert (column, value, expected, difference) == ("total", "6", "3", "+3")


@pytest.mark.parametrize("kind", CASES)
def test_words_name_labels_and_leave_no_column_name_and_no_strange_placeholder(kind: str):
    words = made(kind).words(Form(DEFINED))
    names = {column.name for column in DEFINED.columns if len(column.name) > 1}
    for text in (words.rule, words.message, words.remedy):
        assert not set(re.findall(r"[a-z_]{2,}", re.sub(r"\{\w+\}", "", text))) & names, text
        assert set(re.findall(r"\{(\w*)\}", text)) <= {
            "value",
            "stated",
            "expected",
            "difference",
            "detail",
            "problem",
            "column",
        }
    assert words.message.endswith("。") and words.remedy.endswith("。") and not words.rule.endswith("。")


@pytest.mark.parametrize("kind", CASES)
def test_what_a_workbook_shows_is_a_formula_over_its_cells_or_nothing(kind: str):
    check = made(kind)
    block = BlockOfRows(DEFINED, PERIOD, 6, 20, list)
    if check.excel is None:
        return
    check.excel(block)
    assert block.colours or block.validations
    for column, formula, _ in block.colours:
        assert column in {one.name for one in DEFINED.columns} and formula.startswith("=")
        assert formula.count("(") == formula.count(")") and re.search(r"\$?[A-Z]+\$?7", formula)
