"""Two versions of a filing held against each other: by the key of the row, wherever it stands and however it is written."""

from pathlib import Path

import pytest
from builders import SETTINGS, XINFU, Draft, submission

from pipelines.screening.compare import NotComparable, changed_cells
from pipelines.screening.screen import screen

SLOT = ("enrolment", XINFU.code, "2024-2025")


def changes(folder: Path, old: Draft, new: Draft, slot=SLOT):
    sent = []
    for name, draft in (("旧.xlsx", old), ("新.xlsx", new)):
        sent.append(submission(folder, name, draft.xlsx(), XINFU.code))
    return changed_cells(sent[0], sent[1], SETTINGS, slot)


def test_a_changed_cell_is_named_with_both_values_both_places_and_the_difference(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    new.rows.reverse()
    new.rows[1]["boarders"] = 12
    (change,) = changes(tmp_path, old, new)
    assert (change.change, change.subject, change.row_label) == ("changed", "1409020001/小学", "南关小学")
    assert (change.column_label, change.old_text, change.new_text, change.difference) == ("寄宿生数", "3", "12", "+9")
    assert (change.old_cell, change.new_cell) == (old.cell(0, "boarders"), new.cell(1, "boarders"))


def test_rows_and_columns_in_another_order_and_numbers_in_another_dress_are_no_change(tmp_path):
    old, new = Draft("teacher_pay"), Draft("teacher_pay")
    new.rows.reverse()
    new.columns.reverse()
    new.rows[0]["pay_total_yuan"] = "928,000.75"
    assert changes(tmp_path, old, new, ("teacher_pay", XINFU.code, "2024")) == []


def test_rows_that_only_one_version_has_are_told_once(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    added = {**new.rows[0], "school_code": "1409020003", "school_name": "东关小学"}
    new.rows = [new.rows[0], added]
    found = [(change.change, change.subject, change.row_label) for change in changes(tmp_path, old, new)]
    assert found == [
        ("row_removed", "1409020002/初中", "北关初级中学"),
        ("row_added", "1409020003/小学", "东关小学"),
    ]


def test_a_missing_code_and_a_zero_and_what_cannot_be_read_are_told_apart(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    old.rows[0]["boarders"], new.rows[0]["boarders"] = 0, "缺报"
    old.rows[1]["boarders"], new.rows[1]["boarders"] = "约三十", "约四十"
    found = [(one.old_text, one.new_text, one.difference) for one in changes(tmp_path, old, new)]
    assert found == [("0", "缺报", ""), ("约三十", "约四十", "")]


def test_a_file_that_does_not_hold_the_filing_is_named(tmp_path):
    with pytest.raises(NotComparable, match=r"旧\.xlsx 里没有这份填报"):
        changes(tmp_path, Draft("enrolment", period="2023-2024"), Draft("enrolment"))


def test_a_persons_number_is_masked_in_a_difference_too(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    new.rows[0]["school_name"] = "南关小学13800000000"
    (change,) = changes(tmp_path, old, new)
    assert "13800000000" not in change.new_text


def test_rows_that_share_a_key_are_told_apart_by_their_turn(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    old.rows = [old.rows[0]] * 3
    new.rows = [new.rows[0]] * 4
    found = [(change.change, change.subject) for change in changes(tmp_path, old, new)]
    assert found == [("row_added", "1409020001/小学（第 4 行）")]


def test_a_total_that_was_mended_is_the_cell_that_changed(tmp_path):
    wrong, right = Draft("enrolment").with_total(), Draft("enrolment").with_total()
    wrong.totals[0]["boarders"] += 1
    (change,) = changes(tmp_path, wrong, right)
    assert (change.change, change.subject, change.column_label) == ("changed", "合计", "寄宿生数")
    assert (change.old_text, change.new_text, change.difference) == ("7", "6", "-1")
    assert change.new_cell == right.total_cell(0, "boarders")


def test_a_total_row_is_known_by_its_group_and_not_by_its_label(tmp_path):
    old, new = Draft("population").with_total(), Draft("population").with_total()
    for total in new.totals:
        total["age"] = "合计："
    new.totals[1]["population_male"] += 5
    slot = ("population", XINFU.code, "2024")
    found = [(one.subject, one.column_label, one.difference) for one in changes(tmp_path, old, new, slot)]
    assert found == [(f"合计/{new.totals[1]['register']}", "其中男性", "+5")]
    assert [one.change for one in changes(tmp_path, Draft("population"), old, slot)] == ["row_added", "row_added"]


def test_a_name_or_code_with_what_nobody_sees_in_it_is_the_same_row(tmp_path):
    old, new = Draft("enrolment"), Draft("enrolment")
    new.rows[0]["school_code"] = "1409020001\u200b"
    new.rows[1]["school_code"] = "１４０９０２０００２"
    assert changes(tmp_path, old, new) == []


def test_the_same_values_are_those_of_the_total_row_too(tmp_path):
    def digest(draft: Draft) -> str | None:
        (filing,) = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS).filings
        return filing.content_digest

    one, other, wrong = (Draft("population").with_total() for _ in range(3))
    other.totals.reverse()
    other.totals[0]["age"] = "总计"
    assert digest(one) == digest(other)
    wrong.totals[0]["population_male"] += 1
    assert digest(wrong) != digest(one)
    assert digest(Draft("population")) != digest(one)


def test_a_stray_cell_is_no_row_that_was_added(tmp_path):
    old, new = Draft("teacher_pay"), Draft("teacher_pay")
    new.notes = [*new.notes, [], [None, None, None, "."]]
    assert changes(tmp_path, old, new, ("teacher_pay", XINFU.code, "2024")) == []
