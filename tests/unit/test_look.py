"""What crosses from the bounded process: all that is judged later, and nothing else of the file."""

import json

import pytest
from builders import COUNTIES, PERIODS, XINFU, Draft, xlsx

from pipelines.screening.look import Known, Question, looked_from_json, looking
from pipelines.screening.structure import LONGEST_CELL
from pipelines.workbooks.bounded import Budget, ReadLimits, _Order
from pipelines.yaml_files import YamlTooMuch, bounded

KNOWN = Known(COUNTIES, PERIODS)


def looked(folder, content: bytes):
    path = folder / "报表.xlsx"
    path.write_bytes(content)
    question = Question(path, path.name, (), (XINFU.code,))
    known = Known.of(json.loads(json.dumps(KNOWN.plain())))
    assert known == KNOWN
    said = looking(known.plain(), vars(ReadLimits()))(question.plain())
    return looked_from_json(json.loads(json.dumps(said)))


def test_tables_cross_with_their_cells_and_what_stands_beside_them_does_not(tmp_path):
    draft = Draft("enrolment")
    draft.extra_columns = [("备注", ["外来的话"] * len(draft.rows))]
    found = looked(tmp_path, xlsx(draft, others={"附件": [["不相干的话"]]}))
    ((tables, own),) = found.filings
    (table,) = tables
    assert own == [] and table.slot == ("enrolment", XINFU.code, draft.period)
    name = table.columns["school_name"]
    assert [table.sheet.cell(row, name) for row in table.data_rows] == [row["school_name"] for row in draft.rows]
    texts = {text for sheet in found.sheets for cells in sheet.rows for text in cells if text}
    assert not {"外来的话", "不相干的话", draft.title} & texts
    assert sum(count.rows_n for count in table.row_counts()) == len(draft.grid())


def test_no_longer_text_crosses_than_a_column_takes(tmp_path):
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = "南关小学" * 500
    found = looked(tmp_path, draft.xlsx())
    ((_, own),) = found.filings
    assert [one.rule_id for one in own] == ["FILE-1a-text-too-long"]
    assert max(len(text) for sheet in found.sheets for cells in sheet.rows for text in cells if text) == LONGEST_CELL


def test_the_next_file_is_of_whom_has_fewest_under_way_and_has_cost_the_least():
    order = _Order(["甲", "甲", "甲", "乙"], Budget(county_seconds=1))

    class Answer:
        seconds, size_bytes = 2.0, 10

    assert order.next() == (0, "甲", True)
    assert order.next() == (3, "乙", True)
    order.charge("乙", Answer)
    order.charge("甲", Answer)
    # Over the budget: named, not looked at.
    assert [order.next(), order.next(), order.next()] == [(1, "甲", False), (2, "甲", False), None]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &a [1, 2]\nb: *a\n", None),
        ("a: 1 & 2\nb: '*x'\n", None),
        ("a: " + "[" * 21 + "]" * 21, 1),
        ("a: &a [" + "1," * 1000 + "]\nb: &b [" + "*a," * 1000 + "]\n", 2),
        ("x: 1\na: &a {b: *a}\n", 2),
        ("a: &a 1\n" * 2 + "x" * 1_000_001, 1),
    ],
)
def test_yaml_is_bounded_before_it_is_read(text, line):
    try:
        assert bounded(text) == text and line is None
    except YamlTooMuch as error:
        assert error.line == line and error.remedy
