"""The bureau's decisions: the log can only grow, and what a set of decisions means does not depend on when one asks."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from builders import SETTINGS, XINFU, Draft, submission

from pipelines.decisions import (
    Decision,
    DecisionLog,
    DecisionLogDamaged,
    DecisionRefused,
    lock_at,
    waivers,
)
from pipelines.intake.submission import Receipt, Sending, Submission
from pipelines.screening.screen import screen
from pipelines.screening.settings import ScreenSettings
from pipelines.times import beijing_day

NOW = datetime(2024, 11, 1, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SLOT = ("enrolment", XINFU.code, "2024-2025")
LATER = date(2024, 11, 30)


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path)


def lock(log: DecisionLog, days: int = 0, **scope: str) -> Decision:
    return log.append("lock", by="甲", reason="上报", now=NOW + days * DAY, **{"period": "2024-2025", **scope})


def at(days: float) -> datetime:
    return (NOW + days * DAY).replace(tzinfo=None)


# The log ---------------------------------------------------------------------------------------------------------------


def test_what_was_written_down_is_read_back_in_order(log: DecisionLog):
    one = lock(log)
    two = log.append("unlock", by="乙 ", reason="更正", now=NOW + DAY, period="2024-2025", until=LATER)
    three = log.append("revoke", by="乙", reason="误", now=NOW + DAY, revokes=2)
    assert list(log) == list(DecisionLog(log.folder.parent)) == [one, two, three]
    assert [decision.number for decision in log] == [1, 2, 3]
    assert two.by == "乙"


@pytest.mark.parametrize("harm", ["altered", "removed", "reordered", "put in between", "not json"])
def test_a_log_that_was_tampered_with_is_not_believed(log: DecisionLog, harm: str):
    for days in range(3):
        lock(log, days)
    first, second, third = sorted(log.folder.glob("0*.json"))
    if harm == "altered":
        second.write_text(second.read_text().replace("甲", "乙"))
    elif harm == "removed":
        second.unlink()
    elif harm == "reordered":
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)
    elif harm == "put in between":
        third.rename(log.folder / "000004.json")
        (log.folder / "000003.json").write_bytes(second.read_bytes())
    else:
        second.write_text("{}")
    with pytest.raises(DecisionLogDamaged, match="恢复整个 raw/"):
        list(log)
    with pytest.raises(DecisionLogDamaged):
        lock(log, 9)


@pytest.mark.parametrize(
    ("left", "said"), [(2, "缺最后 1 条（第 3 号）"), (1, "缺最后 2 条（第 2 至 3 号）"), (0, "缺最后 3 条")]
)
def test_a_log_whose_last_decisions_are_gone_says_which(log: DecisionLog, left: int, said: str):
    for days in range(3):
        lock(log, days)
    for path in sorted(log.folder.glob("0*.json"))[left:]:
        path.unlink()
    with pytest.raises(DecisionLogDamaged, match=said) as caught:
        list(log)
    assert "应有 3 条" in str(caught.value)
    with pytest.raises(DecisionLogDamaged):
        lock(log, 9)


@pytest.mark.parametrize("harm", ["the last altered", "head removed", "head not json", "head of an older backup"])
def test_a_head_that_does_not_fit_is_not_believed(log: DecisionLog, harm: str):
    lock(log)
    old = (log.folder / "head.json").read_bytes()
    for days in (1, 2):
        lock(log, days)
    last, head = log.folder / "000003.json", log.folder / "head.json"
    if harm == "the last altered":
        last.write_text(last.read_text().replace("甲", "乙"))
    elif harm == "head removed":
        head.unlink()
    elif harm == "head not json":
        head.write_text("{}")
    else:
        head.write_bytes(old)
    with pytest.raises(DecisionLogDamaged):
        list(log)


@pytest.mark.parametrize("before", [0, 1])
def test_a_crash_between_a_decision_and_the_head_loses_nothing(log: DecisionLog, before: int):
    for days in range(before):
        lock(log, days)
    head = log.folder / "head.json"
    kept = head.read_bytes() if before else None
    lock(log, before)
    head.write_bytes(kept) if kept else head.unlink()
    assert len(list(log)) == before + 1
    assert lock(log, 5).number == before + 2
    assert json.loads(head.read_text()) == dict(zip(("count", "sha256"), log.head(), strict=True))


def test_the_head_stands_for_every_decision_before_it(log: DecisionLog, tmp_path: Path):
    assert log.head() == log.head(3) == (0, "")
    heads = []
    for days in range(3):
        lock(log, days)
        heads.append(log.head())
    assert [log.head(first) for first in (1, 2, 3, 9)] == [*heads, heads[-1]]
    other = DecisionLog(tmp_path / "other")
    other.append("lock", by="乙", reason="上报", now=NOW, period="2024-2025")
    lock(other, 1)
    assert other.head(2)[0] == 2 and other.head(2) != heads[1]


def test_half_a_decision_left_by_a_crash_is_none(log: DecisionLog):
    lock(log)
    (log.folder / ".000002.json.1.part").write_text('{"number": 2, "at"')
    assert len(list(log)) == 1
    assert lock(log, 1).number == 2


def test_the_order_of_the_log_is_the_order_of_its_times_even_when_the_clock_goes_back(log: DecisionLog):
    first = lock(log)
    second = log.append("lock", by="甲", reason="因", now=NOW - timedelta(minutes=10), period="2023-2024")
    assert second.at == first.at
    with pytest.raises(
        DecisionRefused, match="系统时钟早于上一条决定：现在 2024-11-01 09:49，第 2 号决定 2024-11-01 10:00"
    ):
        log.append("lock", by="甲", reason="因", now=NOW - timedelta(minutes=11), period="2023-2024")
    assert len(list(log)) == 2


def test_nobody_may_write_over_a_decision(log: DecisionLog):
    lock(log)
    before = sorted(log.folder.iterdir())
    with pytest.raises(DecisionRefused):
        log.append("waive", by="甲", reason="", now=NOW, rule_id="r", until=LATER)
    assert sorted(log.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("action", "given", "said"),
    [
        ("lock", {}, "报告期"),
        ("lock", {"period": "2024-2025", "by": " "}, "由谁"),
        ("lock", {"period": "2024-2025", "reason": ""}, "理由"),
        ("unlock", {"period": "2024-2025"}, "到哪一天"),
        ("unlock", {"period": "2023-2024", "until": LATER}, "没有锁定"),
        ("waive", {"until": LATER}, "哪|一条规则"),
        ("waive", {"rule_id": "r"}, "到哪一天"),
        ("waive", {"rule_id": "r", "until": date(2024, 10, 31)}, "已经过去"),
        ("accept", {"return_code": "school"}, "版本"),
        ("revoke", {"revokes": 7}, "没有可撤销"),
    ],
)
def test_an_incomplete_decision_is_refused_in_words(log: DecisionLog, action, given, said):
    lock(log)
    with pytest.raises(DecisionRefused, match=said):
        log.append(action, **{"by": "甲", "reason": "因", "now": NOW, **given})


def test_a_decision_is_taken_back_once(log: DecisionLog):
    lock(log)
    log.append("revoke", by="甲", reason="误", now=NOW, revokes=1)
    with pytest.raises(DecisionRefused, match="已经撤销"):
        log.append("revoke", by="甲", reason="误", now=NOW, revokes=1)
    with pytest.raises(DecisionRefused, match="没有可撤销"):
        log.append("revoke", by="甲", reason="误", now=NOW, revokes=2)


def test_an_entry_names_everything_it_needs_to_be_understood(log: DecisionLog):
    lock(log, county_code=XINFU.code)
    entry = json.loads((log.folder / "000001.json").read_text())
    assert entry["action"] == "lock" and entry["by"] == "甲" and entry["county_code"] == XINFU.code
    assert entry["at"] == "2024-11-01T02:00:00" and entry["previous"] == ""


# What they mean --------------------------------------------------------------------------------------------------------


def test_a_lock_holds_from_when_it_was_put_until_it_is_opened_and_again_when_that_runs_out(log: DecisionLog):
    lock(log)
    log.append("unlock", by="甲", reason="更正", now=NOW + 2 * DAY, period="2024-2025", county_code=XINFU.code,
               until=date(2024, 11, 5))  # fmt: skip
    decisions = list(log)
    held = [lock_at(decisions, *SLOT, at(days)) is not None for days in (-1, 0, 1, 2, 4, 5)]
    assert held == [False, True, True, False, False, True]
    other = ("enrolment", "140921", "2024-2025")
    assert [lock_at(decisions, *other, at(days)) is not None for days in (-1, 0, 3)] == [False, True, True]
    assert lock_at(decisions, "enrolment", XINFU.code, "2023-2024", at(1)) is None


def test_a_lock_taken_back_is_as_if_it_had_never_been_and_one_put_after_an_unlock_holds(log: DecisionLog):
    lock(log)
    log.append("revoke", by="甲", reason="误", now=NOW + DAY, revokes=1)
    assert [lock_at(list(log), *SLOT, at(days)) for days in (0, 0.5, 1)] == [None, None, None]
    lock(log, 2)
    log.append("unlock", by="甲", reason="更正", now=NOW + 3 * DAY, period="2024-2025", until=LATER)
    lock(log, 4)
    assert not lock_at(list(log), *SLOT, at(3.5))
    assert lock_at(list(log), *SLOT, at(4)) is not None
    log.append("revoke", by="甲", reason="误", now=NOW + 5 * DAY, revokes=4)
    assert not lock_at(list(log), *SLOT, at(3.5)), "what came in under the unlock stays in"
    assert lock_at(list(log), *SLOT, at(6)) is not None


def test_a_waiver_counts_for_files_received_until_its_last_day_whenever_it_was_granted(log: DecisionLog):
    log.append("waive", by="甲", reason="并校", now=NOW, rule_id="r", county_code=XINFU.code, until=date(2024, 11, 5))
    decisions = list(log)
    # 5 November in Beijing ends at 16:00 UTC.
    moments = [datetime(2024, 10, 1), datetime(2024, 11, 5, 15, 59), datetime(2024, 11, 5, 16, 0)]
    assert [set(waivers(decisions, *SLOT, moment)) for moment in moments] == [{"r"}, {"r"}, set()]
    assert waivers(decisions, "enrolment", "140921", "2024-2025", moments[0]) == {}
    log.append("revoke", by="甲", reason="误", now=NOW, revokes=1)
    assert waivers(list(log), *SLOT, moments[0]) == {}


def test_a_day_begins_in_beijing():
    assert beijing_day(datetime(2024, 11, 5, 15, 59)) == date(2024, 11, 5)
    assert beijing_day(datetime(2024, 11, 5, 16, 0)) == date(2024, 11, 6)


# In screening ----------------------------------------------------------------------------------------------------------


def _settings(*decisions: Decision) -> ScreenSettings:
    return ScreenSettings(SETTINGS.counties, SETTINGS.periods, SETTINGS.limits, decisions)


def _sent(folder: Path, draft: Draft, *arrivals: datetime) -> Submission:
    one = submission(folder, "报表.xlsx", draft.xlsx(), XINFU.code)
    return Submission(one.submission_id, one.path, one.file_name,
                      (Receipt(XINFU.code, one.file_name, min(arrivals), tuple(Sending(at, at) for at in sorted(arrivals))),))  # fmt: skip


@pytest.mark.parametrize(
    ("arrivals", "verdict"),
    [((-1,), "accepted"), ((1,), "rejected"), ((1, 1.5), "rejected"), ((1, 2.5), "accepted"), ((5,), "rejected")],
)
def test_a_file_is_kept_out_when_every_arrival_fell_into_the_lock(tmp_path, log, arrivals, verdict):
    lock(log)
    log.append("unlock", by="甲", reason="更正", now=NOW + 2 * DAY, period="2024-2025", until=date(2024, 11, 5))
    file = _sent(tmp_path, Draft("enrolment"), *(at(days) for days in arrivals))
    result = screen([file], _settings(*log))
    assert [filing.verdict for filing in result.filings] == [verdict]
    if verdict == "rejected":
        (finding,) = result.findings
        assert finding.rule_id == "FILE-0-locked"
        assert "2024-2025学年已于 2024-11-01 锁定（上报）" in finding.message
        assert "解锁" in finding.remedy


def test_a_waived_error_is_shown_and_does_not_reject(tmp_path, log):
    draft = Draft("enrolment")
    draft.rows[0]["students_total"] = 61
    file = _sent(tmp_path, draft, at(0))
    broken = {finding.rule_id for finding in screen([file], _settings()).findings}
    assert broken == {"XB02-1c-total-equals-ages", "XB02-1c-total-equals-grades"}
    for rule_id in sorted(broken):
        log.append("waive", by="甲", reason="并校", now=NOW, rule_id=rule_id, until=LATER)
    one, both = screen([file], _settings(*list(log)[:1])), screen([file], _settings(*log))
    assert [(filing.verdict, filing.errors_n, filing.waived_n) for filing in one.filings] == [("rejected", 1, 1)]
    assert [(filing.verdict, filing.errors_n, filing.waived_n) for filing in both.filings] == [("accepted", 0, 2)]
    assert {finding.rule_id for finding in both.findings} == broken
    assert both.rows["enrolment"]["students_total"].to_list() == [61, 60]


def test_what_cannot_be_typed_cannot_be_waived(tmp_path, log):
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = "约三十"
    log.append("waive", by="甲", reason="因", now=NOW, rule_id="XB02-1a-boarders", until=LATER)
    (filing,) = screen([_sent(tmp_path, draft, at(0))], _settings(*log)).filings
    assert (filing.verdict, filing.waived_n) == ("rejected", 0)


def test_the_same_values_have_the_same_digest_however_they_are_laid_out(tmp_path):
    plain, turned, typed, other = Draft("enrolment"), Draft("enrolment"), Draft("enrolment"), Draft("enrolment")
    turned.rows.reverse()
    turned.columns.reverse()
    typed.rows[0]["students_total"] = "60"
    other.rows[0]["boarders"] = 4
    missing = Draft("enrolment")
    missing.rows[0]["boarders"] = "缺报"
    digests = []
    for number, draft in enumerate((plain, turned, typed, other, missing)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (filing,) = screen([_sent(folder, draft, at(0))], _settings()).filings
        digests.append(filing.content_digest)
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 3
