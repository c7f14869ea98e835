"""What each run did: results of its steps, kept in a table of runs and one of their steps, written as the run proceeds.

Belongs here: the results as dataclasses, and keeping and reading them. Making them is the business of the steps; the
command and Dagster's metadata show them, both from here.

    warehouse/private/runs.sqlite     tables run and run_step

A file of its own beside the build database: that one nobody but a step at work may open, and it is thrown away whenever
its schema changes or it is damaged, while what runs did cannot be made again. So the log outlives a rebuild, can be
read while a run writes it, and goes with `warehouse/` alone; one that is damaged itself is put aside and begun anew. No
model reads it: it is full of clock times.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pipelines.warehouse.opened import FileUnusable, in_words

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS run (
        run_id TEXT PRIMARY KEY, job TEXT, started_at TEXT, ended_at TEXT, outcome TEXT, failure TEXT, failure_en TEXT);
    CREATE TABLE IF NOT EXISTS run_step (
        run_id TEXT, ordinal INTEGER, step TEXT, started_at TEXT, seconds REAL, result TEXT, faults_n INTEGER,
        failure TEXT, failure_en TEXT, PRIMARY KEY (run_id, ordinal));
"""
#: How a run can end. One that says nothing of it is at work, or its process is dead.
SUCCEEDED, FAILED, INTERRUPTED, KILLED = "succeeded", "failed", "interrupted", "killed"
RUNNING = "running"
#: What DuckDB raises when a database file of ours, or what it needs on disk or in memory, cannot be had.
_OF_A_FILE = frozenset(["IOException", "OutOfMemoryException", "SerializationException", "FatalException"])


@dataclass
class StepResult:
    """What a step came to. `remarks`: what was not as it should be and what was done about it; `faults`: submission,
    return or record → how we failed at it; `problems`: county, reference or copy → why it could not be reached (all in
    Chinese)."""

    step: ClassVar[str] = ""
    remarks: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass
class CollectResult(StepResult):
    """Pulling from sources: files listed, submissions new to `raw/` (with their ids) and known already; `left`: files
    for the next pull; `passed_over`: what is no file to be collected."""

    step: ClassVar[str] = "collect"
    listed_n: int = 0
    collected_n: int = 0
    known_n: int = 0
    submission_ids: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


@dataclass
class ReferencesResult(CollectResult):
    """The same of the external references."""

    step: ClassVar[str] = "references"


@dataclass
class LatenessResult(StepResult):
    """Recording who is late on a day (YYYY-MM-DD)."""

    step: ClassVar[str] = "lateness"
    day: str = ""
    late_filings_n: int = 0


@dataclass
class ScreenResult(StepResult):
    """Screening and landing: submissions screened; filings by verdict, findings by outcome, rows landed by return;
    `postponed`: county → how many of its files are left for the next run; the versions of the rules applied."""

    step: ClassVar[str] = "screen"
    screened_n: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    findings_n: dict[str, int] = field(default_factory=dict)
    rows_n: dict[str, int] = field(default_factory=dict)
    postponed: dict[str, int] = field(default_factory=dict)
    rule_set_versions: list[str] = field(default_factory=list)
    submission_ids: list[str] = field(default_factory=list)


@dataclass
class RescreenResult(ScreenResult):
    """The same of what was chosen to be screened again."""

    step: ClassVar[str] = "rescreen"


@dataclass
class BuildResult(StepResult):
    """Building models: how many nodes of dbt, tests and seeds among them."""

    step: ClassVar[str] = "models"
    nodes_n: int = 0
    model_version: str = ""


@dataclass
class PublishResult(StepResult):
    """Publishing; `is_changed`: whether the published file became another release; `refused`: why nothing was published
    although nothing failed (Chinese)."""

    step: ClassVar[str] = "publish"
    release_id: str = ""
    is_changed: bool = False
    size_bytes: int = 0
    refused: str = ""


@dataclass
class CopyResult(StepResult):
    """The copy in PostgreSQL."""

    step: ClassVar[str] = "postgres"
    release_id: str = ""
    is_changed: bool = False
    rows_n: int = 0


@dataclass
class AnswerResult(StepResult):
    """Writing the counties' answers and carrying them there."""

    step: ClassVar[str] = "answers"
    written_n: int = 0


_RESULTS: dict[str, type[StepResult]] = {
    one.step: one
    for one in (
        CollectResult,
        ReferencesResult,
        LatenessResult,
        ScreenResult,
        RescreenResult,
        BuildResult,
        PublishResult,
        CopyResult,
        AnswerResult,
    )
}
_R = TypeVar("_R", bound=StepResult)


@dataclass(frozen=True)
class Reason:
    """Why a step or a run failed, in words."""

    chinese: str
    english: str


@dataclass(frozen=True)
class StepRecord:
    """One step of a run. `seconds` is None while it is at work, and for ever when its process died."""

    step: str
    started_at: datetime
    seconds: float | None
    result: StepResult
    failure: Reason | None


@dataclass
class RunResult:
    """One run: times in UTC; `outcome` as the log has it, None as long as it has not ended."""

    run_id: str
    job: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    failure: Reason | None = None
    steps: list[StepRecord] = field(default_factory=list)

    def of(self, kind: type[_R]) -> list[_R]:
        """The results of one kind of step, those that make it more precise included."""
        return [record.result for record in self.steps if isinstance(record.result, kind)]

    @property
    def collected_n(self) -> int:
        return sum(result.collected_n for result in self.of(CollectResult))

    @property
    def known_n(self) -> int:
        return sum(result.known_n for result in self.of(CollectResult))

    @property
    def screened_n(self) -> int:
        return sum(result.screened_n for result in self.of(ScreenResult))

    @property
    def nodes_n(self) -> int:
        return sum(result.nodes_n for result in self.of(BuildResult))

    @property
    def is_changed(self) -> bool:
        return any(result.is_changed for result in self.of(PublishResult))

    @property
    def refused(self) -> str:
        """Why nothing was published although nothing failed."""
        return next((result.refused for result in self.of(PublishResult) if result.refused), "")

    @property
    def remarks(self) -> list[str]:
        return list(dict.fromkeys(remark for result in self.of(StepResult) for remark in result.remarks))

    @property
    def faults(self) -> dict[str, str]:
        return {name: words for result in self.of(StepResult) for name, words in result.faults.items()}

    def problems(self, kind: type[StepResult]) -> dict[str, str]:
        """Who could not be reached by one kind of step, and why."""
        return {name: words for result in self.of(kind) for name, words in result.problems.items()}


class RunLog:
    """The log of a home's runs. Writing makes the file; reading one that is not there finds no run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # Writing

    def begin(self, run_id: str, job: str) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO run (run_id, job, started_at) VALUES (?, ?, ?)", (run_id, job, _now())
            )

    def end(self, run_id: str, outcome: str, failure: Reason | None = None) -> None:
        """Say how a run ended, if nobody has yet."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE run SET ended_at = ?, outcome = ?, failure = ?, failure_en = ? WHERE run_id = ? AND outcome IS NULL",
                (_now(), outcome, *_words_of(failure), run_id),
            )

    def begin_step(self, run_id: str, step: str) -> int:
        """Returns the number of the step in its run."""
        with self._writing() as connection:
            counted = connection.execute("SELECT count(*) FROM run_step WHERE run_id = ?", (run_id,)).fetchone()
            ordinal = int(counted[0]) + 1
            connection.execute(
                "INSERT INTO run_step (run_id, ordinal, step, started_at) VALUES (?, ?, ?, ?)",
                (run_id, ordinal, step, _now()),
            )
        return ordinal

    def end_step(
        self, run_id: str, ordinal: int, seconds: float, result: StepResult, failure: Reason | None = None
    ) -> None:
        kept = json.dumps(asdict(result), ensure_ascii=False)
        with self._writing() as connection:
            connection.execute(
                """UPDATE run_step SET seconds = ?, result = ?, faults_n = ?, failure = ?, failure_en = ?
                   WHERE run_id = ? AND ordinal = ?""",
                (seconds, kept, len(result.faults), *_words_of(failure), run_id, ordinal),
            )

    def keep_newest(self, runs_n: int) -> None:
        """Forget all runs but the newest."""
        with self._writing() as connection:
            older = "(SELECT run_id FROM run ORDER BY started_at DESC, run_id LIMIT -1 OFFSET ?)"
            for table in ("run_step", "run"):
                connection.execute(f"DELETE FROM {table} WHERE run_id IN {older}", (runs_n,))

    # Reading

    def last(self, runs_n: int, run_id: str = "") -> list[RunResult]:
        """The newest runs, newest first; of those whose id begins with `run_id`. Raises FileUnusable where the log is
        damaged."""
        if not self.path.exists():
            return []
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as connection:
                runs = connection.execute(
                    """SELECT run_id, job, started_at, ended_at, outcome, failure, failure_en FROM run
                       WHERE substr(run_id, 1, ?) = ? ORDER BY started_at DESC, run_id LIMIT ?""",
                    (len(run_id), run_id, runs_n),
                ).fetchall()
                return [
                    RunResult(row[0], row[1], _time(row[2]), _time(row[3]) if row[3] else None, row[4],
                              Reason(row[5], row[6]) if row[5] else None, _steps(connection, row[0]))
                    for row in runs
                ]  # fmt: skip
        except sqlite3.DatabaseError as error:
            raise FileUnusable(
                f"运行记录 {self.path} 读不了（{error}）；下次运行会另起一份，报送件和指标库不受影响。",
                f"The log of runs {self.path} cannot be read ({error}); the next run begins another, nothing else rests on it.",
                is_fault=True,
            ) from error

    def get(self, run_id: str) -> RunResult | None:
        return next(iter(self.last(1, run_id)), None)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._connected()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
            connection = self._connected()
        with closing(connection), connection:
            yield connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection


def failure_of(error: BaseException) -> Reason:
    """Why something failed: the innermost cause. What we say of ourselves we say in words; all else is named as what it
    is."""
    while error.__cause__ is not None and not isinstance(error, FileUnusable):
        error = error.__cause__
    name, message = type(error).__name__, str(error)
    if isinstance(error, FileUnusable):
        return Reason(error.chinese, error.english)
    if name in _OF_A_FILE:
        unusable = in_words(message)
        return Reason(unusable.chinese, unusable.english)
    is_ours = any("\u4e00" <= character <= "\u9fff" for character in message.partition("\n")[0])
    words = message.strip() if is_ours else f"{name}: {message}".strip()
    return Reason(words, words)


def _words_of(failure: Reason | None) -> Sequence[str | None]:
    return (failure.chinese, failure.english) if failure else (None, None)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _steps(connection: sqlite3.Connection, run_id: str) -> list[StepRecord]:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT step, started_at, seconds, result, failure, failure_en FROM run_step WHERE run_id = ? ORDER BY ordinal",
        (run_id,),
    ).fetchall()
    return [
        StepRecord(row[0], _time(row[1]), row[2], _result(row[0], row[3]), Reason(row[4], row[5]) if row[4] else None)
        for row in rows
    ]


def _result(step: str, kept: str | None) -> StepResult:
    """A step's result as it was kept, by this version of the program or another."""
    kind = _RESULTS.get(step, StepResult)
    known = {one.name for one in fields(kind)}
    return kind(**{name: value for name, value in json.loads(kept or "{}").items() if name in known})
