"""Whatever the bytes, the cells, the headers and the encoding: a verdict, a reason, a place; never an exception."""

import io
import re
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.run import _AT_ONCE, run, sources

# The makers of drafts lie beside the unit tests; `run` has put them on the path.
from builders import SETTINGS, Draft, csv_bytes, submission  # isort: skip

from pipelines.returns import current_definitions
from pipelines.screening.screen import Screening, screen

#: `python -m tests.fuzz` runs more of them, from 0 on.
FILES, SEED = 2 * _AT_ONCE, 20_241_008


def test_five_hundred_mutated_files_are_judged_and_none_breaks_the_screen():
    report = run(FILES, SEED)
    assert report.failures == []
    assert report.files_n == FILES
    assert report.verdicts["rejected"] > FILES / 2 and report.verdicts["accepted"] > 0
    assert len(report.rules) > 20, "the mutations reach beyond the reader"


def test_the_same_seed_gives_the_same_files():
    known = sources()
    for number in (0, 7, 99):
        assert mutated(known, 3, number) == mutated(known, 3, number)
    assert len({mutated(known, 3, number)[1] for number in range(20)}) == 20


cells = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40),
    st.sampled_from(
        ["缺报", "不适用", "并入", "合计", "小计", "#REF!", "—", "1,234", "１２", "12.5%", "注：", "填表人：甲", "=1+1"]
    ),
)
codes = st.sampled_from(sorted(current_definitions()))
#: So many files an example: most of a screening's time is spent on starting it.
_FILES_AN_EXAMPLE = 8
calm = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(result: Screening) -> None:
    """What holds of every screening."""
    assert result.filings
    for filing in result.filings:
        errors = [
            one for one in result.findings if one.submission_id == filing.submission_id and one.outcome == "error"
        ]
        assert (filing.verdict == "rejected") <= bool(errors)
    for finding in result.findings:
        assert re.search(r"[\u4e00-\u9fff]", finding.message) and finding.remedy
        assert finding.cell or finding.level == "0" or "名中" in finding.message
        assert "\n" not in finding.message and "\x00" not in finding.message


def as_xlsx(grid: list[list]) -> bytes:
    book = openpyxl.Workbook()
    for row, values in enumerate(grid, start=1):
        for column, value in enumerate(values, start=1):
            if value is not None:
                cell = book.active.cell(row, column)
                cell.value = value
                if isinstance(value, str) and value.startswith("="):
                    cell.data_type = "s"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


@calm
@given(codes, st.data())
def test_any_cells_in_the_data_are_judged_at_their_place(tmp_path, code, data):
    sent = []
    for number in range(_FILES_AN_EXAMPLE):
        draft = Draft(code)
        for _ in range(data.draw(st.integers(1, 4))):
            row = data.draw(st.sampled_from(draft.rows))
            row[data.draw(st.sampled_from(draft.columns))] = data.draw(cells)
        sent.append(submission(tmp_path, f"{number}.xlsx", as_xlsx(draft.grid())))
    check(screen(sent, SETTINGS))


@calm
@given(codes, st.data())
def test_any_headers_and_covers_are_judged(tmp_path, code, data):
    sent = []
    for number in range(_FILES_AN_EXAMPLE):
        grid = Draft(code).grid()
        for _ in range(data.draw(st.integers(1, 4))):
            row = grid[data.draw(st.integers(0, 2))]
            at = data.draw(st.integers(0, len(row) - 1))
            row[at] = data.draw(st.one_of(cells, st.sampled_from([value for value in row if value] or [None])))
        sent.append(submission(tmp_path, f"{number}.csv", csv_bytes(grid)))
    check(screen(sent, SETTINGS))


@calm
@given(codes, st.lists(st.integers(0, 12), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_rows_moved_doubled_or_lost_are_judged(tmp_path, code, rows, random):
    sent = []
    for number in range(_FILES_AN_EXAMPLE):
        grid = Draft(code).grid()
        for moved in rows:
            grid.insert(random.randrange(len(grid)), grid[moved % len(grid)])
            if random.random() < 0.5:
                del grid[random.randrange(len(grid))]
        sent.append(submission(tmp_path, f"{number}.csv", csv_bytes(grid)))
    check(screen(sent, SETTINGS))


ENCODINGS = ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be", "big5", "shift_jis", "euc-kr"]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_any_encoding_is_read_right_or_refused(tmp_path, delimiter):
    """What is accepted holds the very rows that were sent, whatever the encoding."""
    sent = {}
    for code in current_definitions():
        draft = Draft(code)
        text = csv_bytes(draft.grid(), "utf-8", delimiter).decode()
        for encoding in ENCODINGS:
            one = submission(tmp_path, f"{code}_{encoding}.csv", text.encode(encoding, "replace"))
            sent[one.submission_id] = (one, encoding, len(draft.rows))
    result = screen([one for one, *_ in sent.values()], SETTINGS)
    check(result)
    assert {filing.submission_id for filing in result.filings} == set(sent)
    accepted = [filing for filing in result.filings if filing.verdict == "accepted"]
    for filing in accepted:
        _, encoding, rows_n = sent[filing.submission_id]
        assert encoding not in ("big5", "shift_jis", "euc-kr") and filing.rows_n == rows_n
    assert bool(accepted) == (delimiter in ",\t")


@calm
@given(
    st.lists(
        st.tuples(st.binary(max_size=400), st.sampled_from(["xlsx", "csv", "xls", "zip"])), min_size=8, max_size=20
    )
)
def test_any_bytes_are_refused_in_words(tmp_path, files):
    sent = [submission(tmp_path, f"{number}.{suffix}", content) for number, (content, suffix) in enumerate(files)]
    check(screen(sent, SETTINGS))


@pytest.mark.parametrize(
    "head", [b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\xff\xfe", b"\xef\xbb\xbf", b"<?xml"]
)
def test_a_head_without_a_body_is_refused_in_words(tmp_path, head):
    for size in (0, 1, 30, 600, 5000):
        result = screen([submission(Path(tmp_path), f"{size}.xlsx", head + bytes(size))], SETTINGS)
        check(result)
        assert {filing.verdict for filing in result.filings} == {"rejected"}
