"""What changed between two releases, and why: each figure that moved, by cause, down to the cells.

Belongs here: the experiment. Starting from what the first release rests on, one input at a time is swapped for that of the second,
in the order of `CAUSES`, and the figures are built anew by the models of today; what a figure moves by in a step is that cause's
contribution. What is left between the experiment and the two releases as they were published is the residual: the models, the
rules or the program have changed. Contributions and residual sum to the change exactly, since they are differences of a chain.

The experiment runs in a home aside, on a copy of the landed tables: nothing is screened again, and nothing published is touched.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from pipelines.files import folder_aside
from pipelines.home import Home
from pipelines.intake.raw_store import RawDamaged, RawStore
from pipelines.policy.in_force import PolicyFiles, lay_over
from pipelines.policy.kept import held_files, home_with
from pipelines.releases.reconstruct import restore
from pipelines.releases.release import Manifest, ReleaseLog
from pipelines.screening.compare import NotComparable, changed_cells
from pipelines.screening.settings import screen_settings
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import LATEST, insert_rows, open_build_database, write_control
from pipelines.warehouse.landed_declarations import land_declarations
from pipelines.warehouse.landed_policy import write_policy
from pipelines.warehouse.landing import sender_names
from pipelines.warehouse.opened import opened

#: In the order in which they are swapped.
CAUSES = ("filings", "population", "calibers", "counties")
CAUSE_LABELS = {
    "filings": "报送数据（人口表以外）",
    "population": "人口数",
    "calibers": "口径、标准与目录",
    "counties": "县区、报送日历与发布门槛",
    "residual": "余数：模型、规则或程序",
}
Slot = tuple[str, str, str]
FigureKey = tuple[str, str, str, str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Figure:
    """A figure with the terms that it is made of; None where it was withheld or could not be computed."""

    value: Decimal | None
    numerator: Decimal | None
    numerator_base: Decimal | None
    denominator: Decimal | None
    denominator_base: Decimal | None
    status: str


_ABSENT = Figure(None, None, None, None, None, "absent")


@dataclass(frozen=True)
class Step:
    """What one cause did to a figure. `contribution`: value after less before; None where either is not given."""

    cause: str
    before: Figure
    after: Figure

    @property
    def contribution(self) -> Decimal | None:
        if self.before.value is None or self.after.value is None:
            return None
        return self.after.value - self.before.value

    @property
    def moved(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class ChangedFigure:
    """A figure that is not what it was: as published in both releases, and the steps between."""

    indicator_code: str
    caliber_id: str
    period: str
    area_code: str
    before: Figure
    after: Figure
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ChangedInput:
    """A cell, row or whole filing that differs. `change`: changed, row_added, row_removed, filing_added, filing_removed.

    `indicators`: codes of the indicators that count the cell, in either release; empty for a cell that none counts.
    """

    return_code: str
    county_code: str
    period: str
    change: str
    submission_before: str
    submission_after: str
    subject: str
    row_label: str
    column_label: str
    cell_before: str
    cell_after: str
    text_before: str
    text_after: str
    difference: str
    indicators: str


@dataclass(frozen=True)
class Changes:
    """Two releases held against each other. `swapped`: the causes of which the input differs."""

    before: Manifest
    after: Manifest
    swapped: tuple[str, ...]
    figures: tuple[ChangedFigure, ...]
    inputs: tuple[ChangedInput, ...]


@dataclass(frozen=True)
class _State:
    """One set of inputs: filings in force, files of policy, the configuration."""

    filings: frozenset[tuple[str, str, str, str]]
    policy: PolicyFiles
    configuration: bytes


def compare_releases(home: Home, before: Manifest, after: Manifest, progress: Progress | None = None) -> Changes:
    """Compare two releases. Raises NoSuchRelease when a file that is no longer kept cannot be made again, ReleaseLogDamaged,
    ReconstructionFault, DbtFault."""
    files = [restore(home, manifest) for manifest in (before, after)]
    log = ReleaseLog(home)
    ends = [_state_of(log, manifest, file) for manifest, file in zip((before, after), files, strict=True)]
    published = [_published_figures(file) for file in files]
    states = [ends[0]]
    swapped = []
    for cause in CAUSES:
        following = _swap(states[-1], ends[1], cause)
        if following != states[-1]:
            swapped.append(cause)
            states.append(following)
    built = []
    if swapped:
        with _workbench(home) as build:
            for number, state in enumerate(states, start=1):
                built.append(build(state))
                if progress:
                    progress(number, len(states))
    figures = []
    for key in sorted({*published[0], *published[1]}):
        was, now = (figures_of.get(key, _ABSENT) for figures_of in published)
        if was == now:
            continue
        chain = [figures_of.get(key, _ABSENT) for figures_of in built]
        steps = [Step(cause, *chain[place : place + 2]) for place, cause in enumerate(swapped)]
        figures.append(ChangedFigure(*key, was, now, tuple(step for step in steps if step.moved)))
    return Changes(before, after, tuple(swapped), tuple(figures), tuple(_changed_inputs(home, ends, files)))


def residual(figure: ChangedFigure) -> Decimal | None:
    """What the steps leave unexplained; None where a value is not given somewhere on the way."""
    given = [step.contribution for step in figure.steps]
    if figure.before.value is None or figure.after.value is None or any(one is None for one in given):
        return None
    return figure.after.value - figure.before.value - sum((one for one in given if one is not None), Decimal(0))


def _state_of(log: ReleaseLog, manifest: Manifest, file: Path) -> _State:
    with opened(file) as connection:
        filings = connection.execute(
            "SELECT submission_id, return_code, county_code, period FROM marts.release_input"
        ).fetchall()
    return _State(
        frozenset((row[0], row[1], row[2], row[3]) for row in filings),
        held_files(log.home, manifest.inputs.policy),
        log.held(manifest.inputs.configuration),
    )


def _swap(state: _State, end: _State, cause: str) -> _State:
    if cause == "calibers":
        return _State(state.filings, end.policy, state.configuration)
    if cause == "counties":
        return _State(state.filings, state.policy, end.configuration)
    population = cause == "population"
    kept = {filing for filing in state.filings if (filing[1] == "population") != population}
    taken = {filing for filing in end.filings if (filing[1] == "population") == population}
    return _State(frozenset(kept | taken), state.policy, state.configuration)


def _published_figures(file: Path) -> dict[FigureKey, Figure]:
    with opened(file) as connection:
        return _figures(connection)


def _figures(connection: duckdb.DuckDBPyConnection) -> dict[FigureKey, Figure]:
    return {
        (row[0], row[1], row[2], row[3]): Figure(*row[4:])
        for row in connection.execute(
            """SELECT indicator_code, caliber_id, period, area_code, value, numerator_sum, numerator_base_sum, denominator_sum,
                      denominator_base_sum, status
               FROM marts.fct_indicator"""
        ).fetchall()
    }


@contextmanager
def _workbench(home: Home) -> Iterator[Callable[[_State], dict[FigureKey, Figure]]]:
    """What builds the figures of any set of inputs, over a copy of the landed tables that is gone afterwards."""
    with folder_aside(home.private) as root:
        aside = Home(root)
        aside.private.mkdir(parents=True)
        with home.writing():
            with open_build_database(home):
                pass  # opened and closed: whatever a killed run left in its log is in the file
            shutil.copyfile(home.build_database, aside.build_database)
        aside.configuration.write_bytes(home.configuration.read_bytes())
        with open_build_database(aside) as connection:
            # A copy of every version by its latest screening; which of them count is said for each state.
            connection.execute(
                f"""CREATE TABLE landing.every_version AS
                    SELECT * FROM landing.filing_version SEMI JOIN ({LATEST}) USING (submission_id, screening_seq)"""
            )
            connection.execute("DELETE FROM landing.decision")

        def build(state: _State) -> dict[FigureKey, Figure]:
            aside.configuration.write_bytes(state.configuration)
            with open_build_database(aside) as connection:
                write_control(connection, Home(root))  # read anew
                # Each was in order beside its own configuration; here it may stand beside the other's.
                in_force = lay_over(state.policy)
                write_policy(connection, in_force)
                land_declarations(connection, home_with(root, state.policy), in_force)
                _replace_filings(connection, state.filings)
            dbt.build_figures(aside)
            with duckdb.connect(str(aside.marts_database), read_only=True) as connection:
                return _figures(connection)

        yield build


def _replace_filings(connection: duckdb.DuckDBPyConnection, chosen: frozenset[tuple[str, str, str, str]]) -> None:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen (submission_id VARCHAR, return_code VARCHAR, county_code VARCHAR, period VARCHAR)"
    )
    insert_rows(connection, "chosen", sorted(chosen))
    connection.execute("DELETE FROM landing.filing_version")
    # What the release went by is in force whatever it would be judged today.
    connection.execute(
        """INSERT INTO landing.filing_version
           SELECT * REPLACE ('accepted' AS verdict, NULL AS answers_submission_id) FROM landing.every_version
           SEMI JOIN chosen USING (submission_id, return_code, county_code, period)"""
    )


def _changed_inputs(home: Home, ends: Sequence[_State], files: Sequence[Path]) -> Iterator[ChangedInput]:
    """The cells that differ between the filings of two releases, each with the indicators that count it."""
    before, after = ({(row[1], row[2], row[3]): row[0] for row in end.filings} for end in ends)
    counted = [_counted_cells(file) for file in files]
    store, settings = RawStore(home.raw), screen_settings(home)
    for slot in sorted({*before, *after}):
        old, new = before.get(slot, ""), after.get(slot, "")
        if old == new:
            continue
        whole = ("", "", "", "", "", "", "", "", "")
        if not old or not new:
            yield ChangedInput(*slot, "filing_removed" if old else "filing_added", old, new, *whole)
            continue
        entries = [store.get(old), store.get(new)]
        try:
            was, now = (store.to_screen(entry) for entry in entries if entry is not None)
            changed = changed_cells(was, now, settings, slot)
        except (NotComparable, RawDamaged) as error:
            why = error.words(sender_names(home)) if isinstance(error, RawDamaged) else str(error)
            yield ChangedInput(*slot, "not_comparable", old, new, why, *whole[1:])
            continue
        for one in changed:
            indicators = counted[0].get((old, *slot, one.old_cell), set()) | counted[1].get(
                (new, *slot, one.new_cell), set()
            )
            yield ChangedInput(
                *slot, one.change, old, new, one.subject, one.row_label, one.column_label, one.old_cell, one.new_cell,
                one.old_text, one.new_text, one.difference, "、".join(sorted(indicators)),
            )  # fmt: skip


def _counted_cells(file: Path) -> dict[tuple[str, str, str, str, str], set[str]]:
    """(submission, return, county, period, cell) → the indicators that count it."""
    found: dict[tuple[str, str, str, str, str], set[str]] = {}
    with opened(file) as connection:
        for *place, indicators in connection.execute(
            """SELECT cell.submission_id, cell.return_code, cell.county_code, cell.period, cell.cell,
                      list(DISTINCT term.indicator_code)
               FROM marts.mart_lineage_cell AS cell
               JOIN (SELECT DISTINCT indicator_code, term, source_period FROM marts.mart_lineage_term) AS term
                   ON cell.term = term.term AND cell.period = term.source_period
               GROUP BY ALL"""
        ).fetchall():
            found[(place[0], place[1], place[2], place[3], place[4])] = set(indicators)
    return found
