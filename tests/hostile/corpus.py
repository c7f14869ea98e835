"""The workbooks of other parsers' test suites, through one county's inbox in one run.

    python -m tests.hostile.corpus

Prints what became of each kind of file, every refusal with its reason, and how long it took. Belongs here: the run and its report;
what must hold of it stands in `test_corpus`.
"""

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.screening.settings import read_limits
from pipelines.warehouse.landing import land_new
from pipelines.workbooks.bounded import ReadRequest, read_files
from pipelines.workbooks.workbook import Refusal
from tests.homes import SHARED, collect_all, deliver, small_home

WORKBOOKS = SHARED / "data" / "workbooks"
COUNTY = ("140902", "忻府区", "Xinfu")
KINDS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".csv", ".txt"}


@dataclass(frozen=True)
class Outcome:
    """One file. `rules`: (rule, outcome, message, remedy) of its findings; `read_as`: the kind it was read as, or the refusal."""

    name: str
    verdict: str
    rules: tuple[tuple[str, str, str, str], ...]
    read_as: str


def workbooks() -> list[Path]:
    return sorted(path for path in WORKBOOKS.rglob("*") if path.is_file() and path.suffix.lower() in KINDS)


def run(folder: Path) -> tuple[list[Outcome], float]:
    """Collect, screen and land every workbook in a new home; outcomes by file name, and seconds of the whole run."""
    home = small_home(folder, [COUNTY])
    paths = workbooks()
    by_name = {f"{path.parent.name}__{path.name}": path for path in paths}
    for name, path in by_name.items():
        deliver(home, COUNTY[0], path, name=name)
    start = time.monotonic()
    collect_all(home)
    with home.writing():
        land_new(home)
    seconds = time.monotonic() - start
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        filings = connection.execute(
            "SELECT submission_id, file_name, verdict FROM landing.filing_version ORDER BY file_name"
        ).fetchall()
        findings: dict[str, list[tuple[str, str, str, str]]] = {}
        for submission_id, *rest in connection.execute(
            "SELECT submission_id, rule_id, outcome, message, remedy FROM landing.finding ORDER BY ALL"
        ).fetchall():
            findings.setdefault(submission_id, []).append(tuple(rest))
    names = sorted(by_name)
    reads = read_files([ReadRequest(by_name[name], name) for name in names], read_limits(home.municipality))
    read_as = {
        name: outcome.rule_id if isinstance(outcome, Refusal) else outcome.kind
        for name, outcome in zip(names, reads, strict=True)
    }
    # The same bytes under several names are one submission, known by the first of them.
    return [
        Outcome(name, verdict, tuple(findings.get(submission_id, [])), read_as[name])
        for submission_id, name, verdict in filings
    ], seconds


def main() -> int:
    if not WORKBOOKS.is_dir():
        print("the collection of difficult workbooks is not beside the project (../shared/data/workbooks)")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        outcomes, seconds = run(Path(folder))
    read = Counter(outcome.read_as for outcome in outcomes)
    print(f"{len(workbooks())} files, {len(outcomes)} distinct, in {seconds:.1f} s")
    print("verdicts:", dict(Counter(outcome.verdict for outcome in outcomes)))
    print("read whole:", {kind: n for kind, n in sorted(read.items()) if not kind.startswith("FILE-")})
    print("not read:", {kind: n for kind, n in sorted(read.items()) if kind.startswith("FILE-")})
    print(
        "rules:",
        dict(Counter(rule for outcome in outcomes for rule in {one[0] for one in outcome.rules}).most_common()),
    )
    for outcome in outcomes:
        if outcome.read_as.startswith("FILE-"):
            print(f"  {outcome.name}: {outcome.rules[0][2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
