"""Files made to harm that are screened beside a good one: they are refused in words, and the good one is not held up."""

import sys
from pathlib import Path

from tests.faults import Outcome, case

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from builders import DINGXIANG, SETTINGS, XINFU, Draft, bare_xlsx, submission

from pipelines.screening.screen import screen
from tests.hostile import files


def _beside_a_good_one(folder: Path, name: str, content: bytes, rule_id: str) -> Outcome:
    """What comes of a file in one batch with a good file of another county; right where it alone is refused, by that rule."""
    bad, good = folder / "bad", folder / "good"
    bad.mkdir()
    good.mkdir()
    sent = [
        submission(bad, name, content, XINFU.code),
        submission(good, "教师工资.csv", Draft("teacher_pay", county=DINGXIANG).csv(), DINGXIANG.code),
    ]
    result = screen(sent, SETTINGS)
    verdicts = [
        [filing.verdict for filing in result.filings if filing.submission_id == one.submission_id] for one in sent
    ]
    told = [(one.rule_id, one.message) for one in result.findings if one.submission_id == sent[0].submission_id]
    right = verdicts == [["rejected"], ["accepted"]] and rule_id in {rule for rule, _ in told} and not result.faults
    return Outcome(told[0][1] if told else "没有提示", right)


@case("files made to harm", "a sheet whose entities unfold to gigabytes")
def entities_that_unfold(folder: Path) -> Outcome:
    return _beside_a_good_one(folder, "报表.xlsx", files.laughs(bare_xlsx("")), "FILE-0-unreadable")


@case("files made to harm", "an archive that unfolds to a thousand times its size")
def archive_that_unfolds(folder: Path) -> Outcome:
    return _beside_a_good_one(folder, "报表.zip", files.bomb(), "FILE-0-limits")


@case("files made to harm", "a mark that turns the direction of a word of choice")
def direction_of_a_choice(folder: Path) -> Outcome:
    draft = Draft("enrolment", county=XINFU)
    draft.rows[0]["stage"] = "\u202e学小"
    return _beside_a_good_one(folder, "在校生.csv", draft.csv(), "XB02-1a-stage")
