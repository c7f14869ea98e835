"""Every workbook that broke another parser is accepted or refused with a reason; none takes the run with it."""

import re
from collections import Counter

import pytest

from tests.hostile.corpus import WORKBOOKS, Outcome, run, workbooks

pytestmark = pytest.mark.skipif(
    not WORKBOOKS.is_dir(),
    reason="the collection of difficult workbooks is not beside the project (../shared/data/workbooks)",
)

#: Files that are not read, and why. Whoever makes the reader read more, or less, has to say so here.
REFUSED = {
    "FILE-0-encrypted": {"tests__pass_protected.ods", "tests__pass_protected.xlsb", "tests__pass_protected.xlsx"},
    # A cell at XFD1048576.
    "FILE-0-limits": {"tests__issue_174.xlsx"},
    # Text under the name of a workbook.
    "FILE-0-type": {"tests__too_small.xls"},
    # A sector beyond the end, a wrong check sum, a row repeated 2^20 times over.
    "FILE-0-unreadable": {"tests__OOM_alloc3.xls", "tests__issue252.xlsx", "tests__issue_594_dos.ods"},
    # The workbook stands in the file twice, in two encodings; a text that the first reader spells with gaps.
    "FILE-0-readers-disagree": {"tests__biff5-rich-text-string.xls", "tests__sheet_name_parsing.xls"},
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    assert len(workbooks()) > 200
    found, seconds = run(tmp_path_factory.mktemp("corpus") / "home")
    assert seconds < 120
    return found


def test_every_file_has_one_verdict_and_every_rejection_a_reason(outcomes):
    assert len({outcome.name for outcome in outcomes}) == len(outcomes) > 200
    for outcome in outcomes:
        errors = [rule for rule in outcome.rules if rule[1] == "error"]
        assert (outcome.verdict == "rejected") == bool(errors), outcome
        for _, _, message, remedy in outcome.rules:
            assert re.search(r"[\u4e00-\u9fff]", message) and message.endswith("。") and remedy.endswith("。"), outcome


def test_what_is_not_read_is_what_cannot_be_read(outcomes):
    refused: dict[str, set[str]] = {}
    for outcome in outcomes:
        if outcome.read_as.startswith("FILE-"):
            refused.setdefault(outcome.read_as, set()).add(outcome.name.partition("__")[2])
    assert refused == REFUSED


def test_nearly_all_are_read_whole(outcomes):
    read = Counter(outcome.read_as for outcome in outcomes)
    for kind, at_least in {"xlsx": 115, "xls": 40, "xlsb": 10, "ods": 10, "csv": 25}.items():
        assert read[kind] >= at_least, read
