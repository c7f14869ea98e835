"""The two steps that write the build database: landing what is new, and building what that made out of date.

Belongs here: their order and their transactions. Both can be killed at any point and run again: what is to be screened follows
from `raw/` and what was landed, what is to be built from the dirty returns, and neither is forgotten before it is done.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace

import duckdb

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.intake.deadlines import all_late, as_rows, last_observed_on
from pipelines.intake.raw_store import RawStore, RawSubmission
from pipelines.screening.identify import CountyName
from pipelines.screening.reference import ReferenceScreening, screen_census
from pipelines.screening.rules import rule_set_version
from pipelines.screening.screen import Filing, Screening, ScreenSettings, screen, told
from pipelines.screening.worker import NO_BUDGET, Budget
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import (
    ALL_RETURNS,
    FINDINGS_ONLY,
    LATEST,
    dirty_returns,
    get_state,
    insert_rows,
    land,
    mark_dirty,
    open_build_database,
    set_state,
    to_screen,
    write_control,
)
from pipelines.warehouse.context import ContextResult, evaluate_context, store_context
from pipelines.warehouse.decided import land_decisions
from pipelines.warehouse.policy import policy_version


@dataclass(frozen=True)
class Scope:
    """What to screen again although it was screened before: a county, a period, or both. Both None: nothing."""

    county_code: str | None = None
    period: str | None = None
    everything: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.county_code or self.period)


@dataclass
class Landed:
    """What a batch came to. `filings`: one verdict a return found; findings by outcome; rows landed by return code; `faults`:
    submissions at which we failed, or returns whose rules across filings we could not ask, and how; `postponed`: county → how many of
    its files are left for the next run, since it has used up what one run may cost."""

    submissions_n: int = 0
    filings: list[Filing] = field(default_factory=list)
    findings_n: Counter[str] = field(default_factory=Counter)
    rows_n: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    postponed: Counter[str] = field(default_factory=Counter)


def land_new(
    home: Home,
    *,
    again: Scope = Scope(),
    budget: Budget = NO_BUDGET,
    progress: Callable[[int, int], None] | None = None,
) -> Landed:
    """Screen every submission in `raw/` that is not yet screened (and those of `again`), and land the batch at once.

    `budget`: what news may cost; what is over it stays news, and is named. What was published before, or is asked for again, is
    never split: figures would go and come back. The caller holds `home.writing()`.
    """
    store = RawStore(home.raw)
    landed = Landed()
    settings = home.screen_settings()
    with open_build_database(home) as connection:
        write_control(connection, home, status_on=last_observed_on(home))
        _land_lateness(connection, home)
        decided = land_decisions(connection, settings.decisions, home.decisions)
        if get_state(connection, "models") != dbt.project_digest():
            mark_dirty(connection, [ALL_RETURNS])
        entries = to_screen(connection, store)
        if again or decided.submissions:
            chosen = (
                {entry.submission_id for entry in entries} | decided.submissions | submissions_in(connection, again)
            )
            entries = [entry for entry in store if entry.submission_id in chosen]
        judged_by = f"{rule_set_version()}/{policy_version()}"
        rules_changed = get_state(connection, "judged_by") != judged_by
        if not entries and not decided.counties and not rules_changed:
            set_state(connection, "decisions_applied", decided.head)
            _note_postponed(home, {})
            return landed
        if again or decided.submissions or _is_rebuilt(connection, home):
            budget = NO_BUDGET
        batch = screen_batch(home, store, entries, settings, progress, budget)
        # What we failed at is not landed: it is tried again with every run until we are mended.
        not_judged = batch.screening.faults.keys() | batch.screening.postponed.keys()
        entries = [entry for entry in entries if entry.submission_id not in not_judged]
        connection.begin()
        try:
            # Rules across filings are asked again of everybody when they or the standards they go by have changed; a file's own
            # verdict stays as it is until it is screened again on purpose.
            context = land_batch(connection, entries, batch, batch.everyone if rules_changed else decided.counties)
            if not context.faults:  # else everybody is asked again with every run until we are mended
                set_state(connection, "judged_by", judged_by)
            set_state(connection, "decisions_applied", decided.head)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
    landed.submissions_n = len(entries)
    landed.faults = batch.screening.faults | context.faults
    landed.postponed.update(batch.screening.postponed.values())
    _note_postponed(home, batch.screening.postponed)
    _count(landed, batch.screening, context)
    landed.filings += [census_screening.filing for census_screening in batch.census]
    return landed


def _is_rebuilt(connection: duckdb.DuckDBPyConnection, home: Home) -> bool:
    """Whether nothing has landed in this database, though something was published before."""
    nothing = connection.execute("SELECT count(*) FROM landing.screened").fetchone() == (0,)
    return nothing and any((home.raw / "releases").glob("*.json"))


def _note_postponed(home: Home, postponed: Mapping[str, str]) -> None:
    """So that the next run is asked for though no source has news."""
    if postponed:
        replace_file(home.postponed, json.dumps(sorted(postponed)).encode())
    else:
        home.postponed.unlink(missing_ok=True)


@dataclass(frozen=True)
class Batch:
    """What screening made of a batch; `everyone`: every county, whom a census concerns alike."""

    screening: Screening
    census: list[ReferenceScreening]
    everyone: frozenset[str]


def screen_batch(
    home: Home,
    store: RawStore,
    entries: Sequence[RawSubmission],
    settings: ScreenSettings,
    progress: Callable[[int, int], None] | None,
    budget: Budget = NO_BUDGET,
) -> Batch:
    """Screen submissions, those of a reference as what they are."""
    references = {reference.name for reference in home.municipality.references}
    census = [entry for entry in entries if references & {arrival.county_code for arrival in entry.arrivals}]
    returns = [entry for entry in entries if entry not in census]
    city = home.municipality.city
    screening = screen([store.to_screen(entry) for entry in returns], settings, budget=budget, progress=progress)
    screened_census = []
    for entry in census:
        try:
            screened_census.append(
                screen_census(store.to_screen(entry), city=CountyName(city.code, city.name), counties=settings.counties,
                              limits=settings.limits)
            )  # fmt: skip
        except Exception as fault:  # noqa: BLE001 - our fault with a reference must not hold up the counties
            screening.faults[entry.submission_id] = told(fault)
    return Batch(screening, screened_census, frozenset(county.code for county in settings.counties))


def land_batch(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[RawSubmission], batch: Batch, also: Iterable[str]
) -> ContextResult:
    """Land a batch and judge what it touches, and the counties of `also`, anew. The caller opens and ends the transaction."""
    land(connection, entries, _together(batch.screening, batch.census))
    _land_census(connection, batch.census)
    touched = {filing.county_code for filing in batch.screening.filings if filing.county_code} | set(also)
    if batch.census:
        touched |= batch.everyone
    context = evaluate_context(connection, touched)
    store_context(connection, context)
    return context


def _together(screening: Screening, census: list[ReferenceScreening]) -> Screening:
    return replace(
        screening,
        filings=[*screening.filings, *(one.filing for one in census)],
        findings=[*screening.findings, *(finding for one in census for finding in one.findings)],
    )


def submissions_in(connection: duckdb.DuckDBPyConnection, again: Scope) -> set[str]:
    """Submissions with a filing in the scope."""
    if not again:
        return set()
    rows = connection.execute(
        """SELECT DISTINCT submission_id FROM landing.filing_version
           WHERE ? OR ((? IS NULL OR county_code = ?) AND (? IS NULL OR period = ?))""",
        [again.everything, again.county_code, again.county_code, again.period, again.period],
    ).fetchall()
    return {row[0] for row in rows}


def _land_census(connection: duckdb.DuckDBPyConnection, screened: list[ReferenceScreening]) -> None:
    for one in screened:
        connection.execute("DELETE FROM landing.census_2020 WHERE submission_id = ?", [one.filing.submission_id])
        insert_rows(connection, "landing.census_2020", [astuple(row) for row in one.rows])


def _land_lateness(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    records = as_rows(all_late(home))
    if str(len(records)) == get_state(connection, "lateness_n"):
        return
    connection.begin()
    connection.execute("DELETE FROM landing.lateness")
    insert_rows(connection, "landing.lateness", records)
    set_state(connection, "lateness_n", str(len(records)))
    mark_dirty(connection, [FINDINGS_ONLY])
    connection.commit()


def received_filings(home: Home) -> set[tuple[str, str, str]]:
    """(return, county, period) of which a version is in force. The caller holds `home.writing()`."""
    with open_build_database(home) as connection:
        rows = connection.execute("SELECT return_code, county_code, period FROM landing.filing_in_force").fetchall()
    return {(row[0], row[1], row[2]) for row in rows}


#: The newest version of every filing: what the rules of the file are held against.
_NEWEST = f"""SELECT filing.submission_id, filing.screening_seq, filing.return_code, filing.county_code, filing.period
    FROM landing.filing_version AS filing
    SEMI JOIN ({LATEST}) AS latest USING (submission_id, screening_seq)
    QUALIFY row_number() OVER (PARTITION BY return_code, county_code, period ORDER BY received_at DESC, submission_id DESC) = 1"""
#: The latest evaluation of every version in force: what the rules against other periods and returns are held against.
_EVALUATED = """SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
    FROM landing.context_evaluation SEMI JOIN landing.filing_in_force USING (submission_id, return_code, county_code, period)
    GROUP BY ALL"""


def standing(home: Home) -> dict[str, dict[str, tuple[int, int]]]:
    """Return code → rule id → (cells or rows judged, of which broken): by the rules of the file over the newest version of every
    filing, by those against other periods and returns over the version in force."""
    with open_build_database(home) as connection:
        rows = connection.execute(
            f"""SELECT return_code, rule_id, sum(checked_n), sum(failed_n)
               FROM (
                   SELECT return_code, rule_id, checked_n, failed_n
                   FROM landing.rule_result SEMI JOIN ({_NEWEST}) AS newest
                       USING (submission_id, screening_seq, return_code, county_code, period)
                   UNION ALL
                   SELECT return_code, rule_id, checked_n, failed_n
                   FROM landing.context_rule_result SEMI JOIN ({_EVALUATED}) AS evaluated
                       USING (submission_id, evaluation_seq, return_code, county_code, period)
               )
               GROUP BY ALL"""
        ).fetchall()
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for return_code, rule_id, checked_n, failed_n in rows:
        found.setdefault(return_code, {})[rule_id] = (int(checked_n), int(failed_n))
    return found


def standing_findings(home: Home, most: int) -> dict[str, list[tuple[str, ...]]]:
    """Return code → the findings behind `standing`, gravest first, at most so many a return: county's name, period, outcome, rule id,
    file name, place, message, remedy."""
    with open_build_database(home) as connection:
        rows = connection.execute(
            f"""WITH finding AS (
                   SELECT * EXCLUDE (screening_seq) FROM landing.finding SEMI JOIN ({_NEWEST}) AS newest
                       USING (submission_id, screening_seq, return_code, county_code, period)
                   UNION ALL BY NAME
                   SELECT * EXCLUDE (evaluation_seq) FROM landing.context_finding SEMI JOIN ({_EVALUATED}) AS evaluated
                       USING (submission_id, evaluation_seq, return_code, county_code, period)
               ), county AS (SELECT county_code, max(county_name) AS county_name FROM control.county GROUP BY ALL)
               SELECT return_code, coalesce(county_name, county_code), period, outcome, rule_id, file_name,
                      concat_ws(' ', nullif(sheet, ''), nullif(cell, '')), message, remedy
               FROM finding LEFT JOIN county USING (county_code)
               QUALIFY row_number() OVER (
                   PARTITION BY return_code
                   ORDER BY array_position(['error', 'query', 'info'], outcome), county_code, period, rule_id, source_row, finding_id
               ) <= ?
               ORDER BY return_code, array_position(['error', 'query', 'info'], outcome), county_code, period, rule_id, source_row,
                        finding_id""",
            [most],
        ).fetchall()
    found: dict[str, list[tuple[str, ...]]] = {}
    for return_code, *one in rows:
        found.setdefault(return_code, []).append(tuple(one))
    return found


def _count(landed: Landed, screening: Screening, context: ContextResult) -> None:
    landed.filings += screening.filings
    for filing in screening.filings:
        if filing.return_code:
            landed.rows_n[filing.return_code] += filing.rows_n if filing.verdict != "rejected" else 0
    landed.findings_n.update(finding.outcome for finding in [*screening.findings, *context.findings])


def build_marts(home: Home, *, everything: bool = False) -> list[dbt.BuiltNode]:
    """Build what is out of date; nothing when nothing is. The caller holds `home.writing()`.

    The returns stay dirty until a publish succeeds. Raises DbtFault.
    """
    with open_build_database(home) as connection:
        if everything:
            mark_dirty(connection, [ALL_RETURNS])
        dirty = dirty_returns(connection)
        seeded = get_state(connection, "models") == dbt.project_digest()
    if not dirty and home.marts_database.exists():
        return []
    built = dbt.build(home, dirty if home.marts_database.exists() else {ALL_RETURNS}, seeded=seeded and not everything)
    with open_build_database(home) as connection:
        set_state(connection, "models", dbt.project_digest())
    return built
