"""What the warehouse makes of the bureau's log: what is taken back is judged again, and so is all of it when the log is another."""

import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from builders import XINFU, Draft

from pipelines.home import Home
from pipelines.warehouse.build_database import remove_build
from tests.homes import marts_content, rows, small_home, update

FILING = {"return_code": "enrolment", "county_code": XINFU.code, "period": "2024-2025"}
RULE = "XB02-1c-boarders-within-total"
LATER = date(2099, 12, 31)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of one county that has sent nothing, its models built once for all tests."""
    home = small_home(tmp_path_factory.mktemp("built"), [(XINFU.code, "忻府区", "Xinfu")])
    update(home)
    return home.root


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(built, tmp_path / "home")))


def send(home: Home, name: str, boarders: int) -> None:
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = boarders
    inbox = home.root / "counties" / XINFU.code
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_bytes(draft.xlsx())
    os.utime(inbox / name, (1_728_000_000 + boarders, 1_728_000_000 + boarders))


def decide(home: Home, action: str, **scope: object) -> None:
    home.decisions.append(action, by="市局甲", reason="因", now=datetime.now(UTC), **scope)  # type: ignore[arg-type]


def board(home: Home) -> tuple:
    (row,) = rows(
        home,
        """SELECT state, in_force_version_n FROM marts.mart_submission_status
           WHERE return_code = 'enrolment' AND period = '2024-2025'""",
    )  # fmt: skip
    return row


def as_rebuilt(home: Home) -> None:
    """What was brought in line step by step is what `raw/` alone comes to."""
    before = marts_content(home)
    with home.writing():
        remove_build(home)
    update(home)
    assert marts_content(home) == before


def test_a_mistaken_lock_taken_back_lets_in_what_it_kept_out(home: Home):
    decide(home, "lock", period="2024-2025")
    send(home, "一.xlsx", 3)
    update(home)
    assert board(home) == ("rejected", None)
    decide(home, "revoke", revokes=1)
    update(home)
    assert board(home) == ("in_force", 1)
    as_rebuilt(home)


@pytest.mark.long
@pytest.mark.parametrize("instead", ["nothing", "another"])
def test_a_log_from_another_backup_is_applied_from_its_beginning(home: Home, instead: str):
    """Where the log is not the one that was applied, nothing of the one before stays in force."""
    send(home, "一.xlsx", 3)
    send(home, "二.xlsx", 10_000)
    update(home)
    before = board(home)
    assert before == ("in_force_newer_rejected", 1)
    decide(home, "waive", rule_id=RULE, until=LATER, **FILING)
    update(home)
    assert board(home) == ("in_force", 2)
    (submission,) = rows(home, "SELECT submission_id FROM marts.release_input WHERE return_code = 'enrolment'")[0]
    decide(home, "return", submission_id=submission, **FILING)
    update(home)
    assert board(home) == ("in_force_newer_returned", 1)
    shutil.rmtree(home.decisions.folder)
    if instead == "another":
        decide(home, "waive", rule_id="XB02-1c-total-equals-ages", until=LATER, **FILING)
        decide(home, "waive", rule_id="XB02-1c-total-equals-grades", until=LATER, **FILING)
    update(home)
    assert board(home) == before
    assert rows(home, "SELECT count(*) FROM marts.mart_decision") == [(0,) if instead == "nothing" else (2,)]
    as_rebuilt(home)
