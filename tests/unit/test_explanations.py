"""Replies to queries: what a clerk types beside a query comes back as it was typed, or is reported at its cell."""

import io
import random
import re
from dataclasses import replace

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from issues import an_issue, heading

from pipelines.answers.annotated import quoting
from pipelines.screening.explanations import PROPOSAL_MARK, UNREADABLE, clean, deviation, read_explanations, token
from pipelines.workbooks.workbook import FINDINGS_SHEET, REPLY_LABEL, TOKEN_LABEL, Sheet, Workbook, cell_text


def listed(*issues):
    """The list of findings as openpyxl opens it: workbook, sheet, header row, columns by label."""
    book = openpyxl.load_workbook(io.BytesIO(quoting(None, "报表.csv", issues, heading(issues), ())))
    return opened(book)


def opened(book):
    sheet = book[FINDINGS_SHEET]
    header = next(row for row in range(1, 30) if sheet.cell(row, 1).value == "序号")
    columns = {sheet.cell(header, column).value: column for column in range(1, sheet.max_column + 1)}
    return book, sheet, header, columns


def as_read(book):
    """The workbook as the reader hands it on, after openpyxl has written it and read it again."""
    target = io.BytesIO()
    book.save(target)
    again = openpyxl.load_workbook(target)
    sheets = [
        Sheet(sheet.title, [[cell_text(value) for value in row] for row in sheet.iter_rows(values_only=True)])
        for sheet in again.worksheets
    ]
    return Workbook("xlsx", sheets)


def grid(*rows):
    return Workbook("xlsx", [Sheet(FINDINGS_SHEET, [[TOKEN_LABEL, REPLY_LABEL], *map(list, rows)])])


QUERY = an_issue(outcome="query", rule_id="XB02-2-change", difference="+120", value="520", expected="400")


def test_a_reply_comes_back_for_its_query():
    book, sheet, header, columns = listed(QUERY)
    sheet.cell(header + 1, columns[REPLY_LABEL], "  新建小区入住，转入较多。\n已核对学籍  ")
    explanations, observations = read_explanations(as_read(book))
    assert observations == []
    (found,) = explanations
    assert (found.return_code, found.county_code, found.period) == ("enrolment", "140902", "2024-2025")
    assert (found.rule_id, found.subject, found.column_label) == ("XB02-2-change", QUERY.subject, QUERY.column_label)
    assert found.deviation == "120"
    assert found.text == "新建小区入住，转入较多。 已核对学籍"
    assert found.cell == f"{sheet.cell(header + 1, columns[REPLY_LABEL]).coordinate}"


def test_rows_sorted_and_deleted_and_columns_moved_are_fine():
    issues = [replace(QUERY, subject=f"14090200{number:02d}/小学", difference=f"+{number}") for number in range(20)]
    _, sheet, header, columns = listed(*issues)
    rows = [(sheet.cell(header + n, columns[TOKEN_LABEL]).value, f"说明{n}") for n in range(1, 21)]
    random.Random(3).shuffle(rows)
    moved = openpyxl.Workbook()
    page = moved.active
    page.title = FINDINGS_SHEET
    page.append(["备注", REPLY_LABEL, "等级", TOKEN_LABEL])
    for found, reply in rows[:15]:
        page.append([None, reply, "核实", found])
    explanations, observations = read_explanations(as_read(moved))
    assert observations == []
    assert len(explanations) == 15
    typed = {found.split("|")[5]: reply for found, reply in rows}
    assert all(typed[found.subject] == found.text for found in explanations)


@settings(max_examples=60, deadline=None)
@given(
    subject=st.text(max_size=30),
    column=st.text(max_size=20),
    difference=st.sampled_from(["", "+12", "-3.5", "+1200000.00", "1,204", "不可比"]),
    reply=st.text(min_size=1, max_size=600),
)
def test_what_is_written_is_read_again(subject, column, difference, reply):
    query = replace(QUERY, subject=subject.strip(" "), column_label=column.strip(" "), difference=difference)
    explanations, observations = read_explanations(grid([token(query), reply]))
    assert observations == []
    typed = clean(reply)
    if not typed or typed.startswith(PROPOSAL_MARK):
        assert explanations == []
        return
    (found,) = explanations
    assert (found.subject, found.column_label) == (query.subject, query.column_label)
    assert (found.text, found.deviation) == (typed, deviation(difference))
    assert len(found.text) <= 500 and found.text.isprintable()


@settings(max_examples=25, deadline=None)
@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20),
    reply=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1),
)
def test_what_a_clerk_types_survives_being_saved(subject, reply):
    query = replace(QUERY, subject=subject)
    book, sheet, header, columns = listed(query)
    cell = sheet.cell(header + 1, columns[REPLY_LABEL])
    cell.value = reply
    cell.data_type = "s"
    explanations, observations = read_explanations(as_read(book))
    assert observations == []
    assert [found.text for found in explanations] == ([clean(reply)] if clean(reply) else [])
    assert all(found.subject == query.subject.strip(" ") for found in explanations)


@pytest.mark.parametrize("position", [*range(0, 60, 3), 1_000])  # beyond the end: its last character
def test_a_damaged_token_is_reported_at_its_cell(position):
    good = token(QUERY)
    position = min(position, len(good) - 1)
    damaged = good[:position] + ("甲" if good[position] != "甲" else "乙") + good[position + 1 :]
    explanations, (observed,) = read_explanations(grid([good, "属实"], [damaged, "属实，已核"]))
    assert [found.text for found in explanations] == ["属实"]
    assert (observed.rule_id, observed.sheet, observed.cell, observed.value) == (
        UNREADABLE, FINDINGS_SHEET, "B3", "属实，已核",
    )  # fmt: skip


def test_a_reply_beside_an_error_is_reported():
    book, sheet, header, columns = listed(an_issue(outcome="error"))
    assert not sheet.cell(header + 1, columns[TOKEN_LABEL]).value
    sheet.cell(header + 1, columns[REPLY_LABEL], "属实")
    explanations, (observed,) = read_explanations(as_read(book))
    assert explanations == []
    assert "错误须改正" in observed.detail


def test_an_empty_reply_is_none():
    book, *_ = listed(QUERY)
    assert read_explanations(as_read(book)) == ([], [])


def test_a_proposal_left_untouched_is_no_reply_and_one_taken_over_is():
    book, sheet, header, columns = listed(replace(QUERY, proposal="新建小区入住"))
    cell = sheet.cell(header + 1, columns[REPLY_LABEL])
    assert cell.value == PROPOSAL_MARK + "新建小区入住"
    assert read_explanations(as_read(book)) == ([], [])
    cell.value = "(上期说明) 新建小区入住"  # as WPS writes brackets in half width
    assert read_explanations(as_read(book)) == ([], [])
    cell.value = "新建小区入住"
    assert [found.text for found in read_explanations(as_read(book))[0]] == ["新建小区入住"]


def test_a_reply_already_given_stands_in_its_cell():
    explained = replace(QUERY, status="explained", explanation="转入较多")
    book, *_ = listed(explained)
    assert [found.text for found in read_explanations(as_read(book))[0]] == ["转入较多"]


def test_numbers_of_persons_are_masked_in_a_reply():
    (found,), _ = read_explanations(grid([token(QUERY), "联系 13800000000"]))
    assert found.text == "联系 138******00"


def test_a_token_never_holds_a_run_of_figures_of_its_own():
    for number in range(2000):
        digest = token(replace(QUERY, subject=str(number))).rpartition("|")[2]
        assert re.fullmatch("[a-p]{12}", digest)


def test_a_sheet_of_the_county_with_our_name_is_not_read():
    workbook = Workbook("xlsx", [Sheet(FINDINGS_SHEET, [["序号", REPLY_LABEL], ["1", "属实"]])])
    assert read_explanations(workbook) == ([], [])


@pytest.mark.parametrize(
    ("difference", "size"),
    [
        ("+12", "12"),
        ("-3.50", "-3.5"),
        ("", ""),
        ("+1,200", "1200"),
        ("＋５", "5"),
        ("不可比", ""),
        ("-0", "0"),
        ("NaN", ""),
    ],
)
def test_the_deviation_is_the_size_of_the_difference(difference, size):
    assert deviation(difference) == size


@pytest.mark.parametrize(
    "text", ["1E+999999999", "1e40", "1E-999999", "9" * 400, "NaN", "Infinity", "0x10", "１e９", "--3", ""]
)
def test_a_difference_that_is_no_plain_number_is_none_and_crashes_nothing(text: str):
    assert deviation(text) == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [("+12", "12"), ("-3.50", "-3.5"), ("-0", "0"), ("007", "7"), ("+1,234.00", "1234"), ("＋１２", "12")],
)
def test_the_size_of_a_difference_is_plain_decimal_text(text: str, size: str):
    assert deviation(text) == size
