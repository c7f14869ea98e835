"""Mutated real workbooks through the bounded reader and the screen.

    python -m tests.fuzz [--files 10000] [--seed 1] [--from 0]

Belongs here: the run, what must hold of every outcome, and the report. Exits 1 when it does not hold for some file, and says which.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from bad_files import bad_files, good_files
from builders import COUNTIES, PERIODS, Draft, submission, xls

from pipelines.intake.submission import Submission
from pipelines.returns import current_definitions
from pipelines.screening.screen import screen
from pipelines.screening.settings import ScreenSettings
from pipelines.workbooks.bounded import ReadLimits
from tests.fuzz.mutate import Source, mutated
from tests.hostile.corpus import WORKBOOKS, workbooks

#: Small files, so what takes longer or more is a find.
LIMITS = ReadLimits(seconds=15, memory_bytes=1 << 30)
#: The bounds are kept by a timer in another process, on a machine that may be busy.
_GRACE_SECONDS = 10
_AT_ONCE = 250
_LARGEST_SOURCE = 300_000


@dataclass
class Report:
    """What became of the files. `failures`: one line a file of which something does not hold."""

    files_n: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0


def sources() -> list[Source]:
    """Returns as counties send them, those of the rule catalogue, and the difficult workbooks where they are at hand.

    Our own returns come three times: what is nearly right reaches deeper than what is no return at all.
    """
    own = [
        Source(f"{draft.return_code}.xls", xls(draft.grid(), draft.sheet))
        for draft in map(Draft, current_definitions())
    ]
    own += [Source(name, content) for name, content, _ in good_files()]
    own += [
        Source(f"bad_{n}{Path(bad.file_name).suffix}", bad.content) for n, bad in enumerate(bad_files()) if bad.content
    ]
    found = []
    if WORKBOOKS.is_dir():
        found = [
            Source(path.name, path.read_bytes()) for path in workbooks() if 0 < path.stat().st_size < _LARGEST_SOURCE
        ]
    return [*own * max(1, 3 * len(found) // len(own)), *found]


def run(files: int, seed: int, *, first: int = 0, tell=lambda _: None) -> Report:
    """Screen the mutated files number `first` to `first + files`."""
    report = Report()
    start = time.monotonic()
    known = sources()
    for begin in range(first, first + files, _AT_ONCE):
        with tempfile.TemporaryDirectory() as folder:
            batch: list[tuple[Submission, str]] = []
            for number in range(begin, min(begin + _AT_ONCE, first + files)):
                name, content, done = mutated(known, seed, number)
                batch.append((submission(Path(folder), name, content), f"{name} ({done})"))
            _screen(batch, report)
        tell(report)
    report.seconds = time.monotonic() - start
    return report


def _screen(batch: list[tuple[Submission, str]], report: Report) -> None:
    times: list[float] = [time.monotonic()]
    settings = ScreenSettings(COUNTIES, PERIODS, LIMITS)
    try:
        result = screen([one for one, _ in batch], settings, progress=lambda *_: times.append(time.monotonic()))
    except Exception as error:
        if len(batch) == 1:
            report.files_n += 1
            report.failures.append(f"{batch[0][1]}: {type(error).__name__}: {error}")
            return
        half = len(batch) // 2
        _screen(batch[:half], report)
        _screen(batch[half:], report)
        return
    labels = {one.submission_id: label for one, label in batch}
    report.files_n += len(batch)
    for (_, label), earlier, later in zip(batch, times, times[1:], strict=False):
        report.slowest.append((later - earlier, label))
        if later - earlier > LIMITS.seconds + _GRACE_SECONDS:
            report.failures.append(f"{label}: {later - earlier:.0f} s")
    report.slowest = sorted(report.slowest, reverse=True)[:5]
    _check(result, labels, report)


def _check(result, labels: dict[str, str], report: Report) -> None:
    findings: dict[tuple[str, str | None, str | None, str | None], list] = {}
    for finding in result.findings:
        findings.setdefault(finding.submission_id, []).append(finding)
        report.rules[finding.rule_id] += 1
        told = f"{finding.message}{finding.remedy}"
        if not re.search(r"[\u4e00-\u9fff]", finding.message) or re.search(r"\{[a-z_]+\}", finding.remedy):
            report.failures.append(f"{labels[finding.submission_id]}: message {finding.message!r}")
        if finding.level != "0" and not finding.cell and not re.search("名中|中出现", finding.message):
            report.failures.append(
                f"{labels[finding.submission_id]}: {finding.rule_id} without a place: {finding.message}"
            )
        if re.search(r"(?<![\d.])\d{17}[\dXx](?!\d)", told):
            report.failures.append(f"{labels[finding.submission_id]}: {finding.rule_id} repeats a long number")
    judged: dict[str, list] = {}
    for filing in result.filings:
        judged.setdefault(filing.submission_id, []).append(filing)
        report.verdicts[filing.verdict] += 1
        mine = [one for one in findings.get(filing.submission_id, []) if one.outcome == "error"]
        if filing.verdict == "rejected" and not mine:
            report.failures.append(f"{labels[filing.submission_id]}: rejected without a finding")
    report.failures += [f"{label}: no verdict" for one, label in labels.items() if one not in judged]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first")
    asked = parser.parse_args()
    report = run(
        asked.files, asked.seed, first=asked.first,
        tell=lambda so_far: print(f"{so_far.files_n} files, {len(so_far.failures)} failures", file=sys.stderr),
    )  # fmt: skip
    print(
        f"{report.files_n} files, seed {asked.seed}, {report.seconds:.0f} s, {report.files_n / report.seconds:.1f} files/s"
    )
    print("verdicts:", dict(report.verdicts.most_common()))
    print("rules:", dict(report.rules.most_common()))
    print("slowest:", ", ".join(f"{seconds:.1f} s {label}" for seconds, label in report.slowest))
    print(f"failures: {len(report.failures)}")
    for failure in report.failures[:50]:
        print(" ", failure)
    return 1 if report.failures else 0
