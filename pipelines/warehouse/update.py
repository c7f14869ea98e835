"""The two steps that write the build database: landing what is new, and building what that made out of date.

Belongs here: their order and their transactions. Both can be killed at any point and run again: what is to be screened follows
from `raw/` and what was landed, what is to be built from the dirty returns, and neither is forgotten before it is done.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta

import duckdb

from pipelines.decisions import Decision, DecisionLog, revoked_at
from pipelines.home import Home
from pipelines.intake.deadlines import all_late, as_rows, last_observed_on
from pipelines.intake.raw_store import RawStore, RawSubmission
from pipelines.screening.identify import CountyName
from pipelines.screening.reference import ReferenceScreening, screen_census
from pipelines.screening.rules import rule_set_version
from pipelines.screening.screen import Filing, Screening, ScreenSettings, screen
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
    submissions at which we failed, and how."""

    submissions_n: int = 0
    filings: list[Filing] = field(default_factory=list)
    findings_n: Counter[str] = field(default_factory=Counter)
    rows_n: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


def land_new(
    home: Home,
    *,
    again: Scope = Scope(),
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Landed:
    """Screen every submission in `raw/` that is not yet screened (and those of `again`), and land the batch at once.

    The caller holds `home.writing()`. Raises ValidationFault when a rule could not be evaluated; then nothing is landed.
    """
    store = RawStore(home.raw)
    landed = Landed()
    settings = home.screen_settings()
    with open_build_database(home) as connection:
        write_control(connection, home, as_of=as_of, status_on=last_observed_on(home))
        _land_lateness(connection, home)
        decided = _land_decisions(connection, settings.decisions, home.decisions)
        if get_state(connection, "models") != dbt.project_digest():
            mark_dirty(connection, [ALL_RETURNS])
        entries = to_screen(connection, store)
        if again or decided.submissions:
            chosen = {entry.submission_id for entry in entries} | decided.submissions | _named(connection, again)
            entries = [entry for entry in store if entry.submission_id in chosen]
        judged_by = f"{rule_set_version()}/{policy_version()}"
        rules_changed = get_state(connection, "judged_by") != judged_by
        if not entries and not decided.counties and not rules_changed:
            set_state(connection, "decisions_applied", decided.head)
            return landed
        batch = _screen(home, store, entries, settings, progress)
        # What we failed at is not landed: it is tried again with every run until we are mended.
        entries = [entry for entry in entries if entry.submission_id not in batch.screening.faults]
        connection.begin()
        try:
            # Rules across filings are asked again of everybody when they or the standards they go by have changed; a file's own
            # verdict stays as it is until it is screened again on purpose.
            context = _land(connection, entries, batch, batch.everyone if rules_changed else decided.counties)
            set_state(connection, "judged_by", judged_by)
            set_state(connection, "decisions_applied", decided.head)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
    landed.submissions_n = len(entries)
    landed.faults = batch.screening.faults
    _count(landed, batch.screening, context)
    landed.filings += [census_screening.filing for census_screening in batch.census]
    return landed


@dataclass(frozen=True)
class _Batch:
    """What screening made of a batch; `everyone`: every county, whom a census concerns alike."""

    screening: Screening
    census: list[ReferenceScreening]
    everyone: frozenset[str]


def _screen(
    home: Home,
    store: RawStore,
    entries: Sequence[RawSubmission],
    settings: ScreenSettings,
    progress: Callable[[int, int], None] | None,
) -> _Batch:
    references = {reference.name for reference in home.municipality.references}
    census = [entry for entry in entries if references & {arrival.county_code for arrival in entry.arrivals}]
    returns = [entry for entry in entries if entry not in census]
    city = home.municipality.city
    screened_census = [
        screen_census(store.to_screen(entry), city=CountyName(city.code, city.name), counties=settings.counties,
                      limits=settings.limits)
        for entry in census
    ]  # fmt: skip
    screening = screen([store.to_screen(entry) for entry in returns], settings, progress=progress)
    return _Batch(screening, screened_census, frozenset(county.code for county in settings.counties))


def _land(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[RawSubmission], batch: _Batch, also: Iterable[str]
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


@dataclass(frozen=True)
class Affected:
    """A filing's version that would be judged otherwise. `new_rules`, `gone_rules`: rule id → by how many findings more or less."""

    submission_id: str
    return_code: str
    county_code: str
    period: str
    verdict_before: str
    verdict_after: str
    new_rules: dict[str, int]
    gone_rules: dict[str, int]


def rehearse(home: Home, again: Scope, *, progress: Callable[[int, int], None] | None = None) -> list[Affected]:
    """Screen and land the submissions of a scope by the rules of today, say what would change, and take it all back.

    The caller holds `home.writing()`. Raises ValidationFault when a rule could not be evaluated.
    """
    store = RawStore(home.raw)
    settings = home.screen_settings()
    with open_build_database(home) as connection:
        chosen = _named(connection, again)
        entries = [entry for entry in store if entry.submission_id in chosen]
        before = _judgements(connection)
        batch = _screen(home, store, entries, settings, progress)
        connection.begin()
        try:
            _land(connection, entries, batch, ())
            after = _judgements(connection)
        finally:
            connection.rollback()
    affected = []
    for slot in sorted(after):
        was, now = before.get(slot), after[slot]
        if was is None or was == now:
            continue
        rules = {rule: now[1].get(rule, 0) - was[1].get(rule, 0) for rule in {*was[1], *now[1]}}
        affected.append(
            Affected(*slot, was[0], now[0], {rule: n for rule, n in rules.items() if n > 0},
                     {rule: -n for rule, n in rules.items() if n < 0})
        )  # fmt: skip
    return affected


def _judgements(
    connection: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str, str, str], tuple[str, dict[str, int]]]:
    """(submission, return, county, period) → verdict and findings by rule, as they stand."""
    found: dict[tuple[str, str, str, str], tuple[str, dict[str, int]]] = {}
    for *slot, verdict in connection.execute(
        f"""SELECT submission_id, return_code, county_code, period, verdict FROM landing.filing_version
            SEMI JOIN ({LATEST}) USING (submission_id, screening_seq)
            WHERE return_code IS NOT NULL AND county_code IS NOT NULL AND period IS NOT NULL"""
    ).fetchall():
        found[(slot[0], slot[1], slot[2], slot[3])] = (verdict, {})
    for *slot, rule_id, failed_n in connection.execute(
        f"""SELECT submission_id, return_code, county_code, period, rule_id, failed_n FROM landing.rule_result
            SEMI JOIN ({LATEST}) USING (submission_id, screening_seq) WHERE failed_n > 0
            UNION ALL
            SELECT submission_id, return_code, county_code, period, rule_id, failed_n FROM (
                SELECT * FROM landing.context_rule_result QUALIFY evaluation_seq = max(evaluation_seq) OVER (
                    PARTITION BY submission_id, return_code, county_code, period))
            SEMI JOIN landing.filing_in_force USING (submission_id, return_code, county_code, period)
            WHERE failed_n > 0"""
    ).fetchall():
        if (known := found.get((slot[0], slot[1], slot[2], slot[3]))) is not None:
            known[1][rule_id] = int(failed_n)
    return found


def end_of_day(day: str) -> datetime:
    """The last moment of a day in Beijing, as UTC without zone, which is how times are landed. Raises ValueError."""
    return datetime.fromisoformat(day).replace(hour=0) + timedelta(days=1, hours=-8, microseconds=-1)


def _together(screening: Screening, census: list[ReferenceScreening]) -> Screening:
    return Screening(
        filings=[*screening.filings, *(one.filing for one in census)],
        findings=[*screening.findings, *(finding for one in census for finding in one.findings)],
        rows=screening.rows,
        rule_results=screening.rule_results,
        cell_columns=screening.cell_columns,
        explanations=screening.explanations,
    )


def _named(connection: duckdb.DuckDBPyConnection, again: Scope) -> set[str]:
    """Submissions with a filing in the scope."""
    if not again:
        return set()
    rows = connection.execute(
        """SELECT DISTINCT submission_id FROM landing.filing_version
           WHERE ? OR ((? IS NULL OR county_code = ?) AND (? IS NULL OR period = ?))""",
        [again.everything, again.county_code, again.county_code, again.period, again.period],
    ).fetchall()
    return {row[0] for row in rows}


@dataclass(frozen=True)
class _Decided:
    """What decisions not yet applied ask for: submissions to be screened again, counties in which another version is in force.

    `head`: the log as it then is applied, to be kept once that is done.
    """

    head: str
    submissions: frozenset[str] = frozenset()
    counties: frozenset[str] = frozenset()


def _land_decisions(connection: duckdb.DuckDBPyConnection, decisions: Sequence[Decision], log: DecisionLog) -> _Decided:
    """Bring the landed log in line with `raw/`, and say what the decisions since the last landing ask for.

    Where the log is no continuation of the one that was applied (`raw/` came from another backup than the warehouse), everything
    that either has decided is judged anew.
    """
    head = _head(log, len(decisions))
    applied = get_state(connection, "decisions_applied") or "0"
    if applied == head:
        return _Decided(head)
    applied_n = int(applied.split(" ")[0])
    continued = applied == _head(log, applied_n)
    submissions: set[str] = set()
    counties: set[str] = set()
    connection.begin()
    try:
        _replace_decisions(connection, decisions)
        mark_dirty(connection, [FINDINGS_ONLY])
        if not continued:
            submissions |= _ever_decided(connection)
            counties |= _ones(connection, "SELECT DISTINCT county_code FROM landing.filing_version")
            mark_dirty(connection, [ALL_RETURNS])
        for decision in decisions[applied_n:] if continued else ():
            meant = decisions[decision.revokes - 1] if decision.revokes is not None else decision
            scope = [meant.return_code, meant.county_code, meant.period]
            if meant.action == "waive":
                submissions |= _ones(
                    connection, f"SELECT submission_id FROM landing.filing_version WHERE {_IN_SCOPE}", scope
                )
            elif meant.action == "unlock" or (meant.action == "lock" and decision is not meant):
                locked_out = (
                    f"SELECT submission_id FROM landing.finding WHERE rule_id = 'FILE-0-locked' AND {_IN_SCOPE}"
                )
                submissions |= _ones(connection, locked_out, scope)
            elif meant.action in ("accept", "return") and meant.return_code and meant.county_code:
                mark_dirty(connection, [meant.return_code])
                counties.add(meant.county_code)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return _Decided(head, frozenset(submissions), frozenset(counties))


#: Of a table with the columns of a filing, what lies in the scope given as three parameters (NULL: every one).
_IN_SCOPE = """return_code IS NOT NULL AND coalesce(?, return_code) = return_code
    AND coalesce(?, county_code) = county_code AND coalesce(?, period) = period"""


def _head(log: DecisionLog, first: int) -> str:
    """The first decisions of the log in one word, as it is kept in the build database."""
    count, sha256 = log.head(first)
    return f"{count} {sha256}".strip()


def _ones(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> set[str]:
    """The values of a query's one column, NULL left out."""
    return {row[0] for row in connection.execute(sql, list(parameters)).fetchall() if row[0] is not None}


def _ever_decided(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Submissions in whose verdict a lock, unlock or waiver had a part, of whatever log, or may have one by the landed log."""
    return _ones(
        connection,
        """SELECT filing.submission_id FROM landing.filing_version AS filing
           JOIN landing.decision AS decision
               ON coalesce(decision.return_code, filing.return_code) = filing.return_code
               AND coalesce(decision.county_code, filing.county_code) = filing.county_code
               AND coalesce(decision.period, filing.period) = filing.period
           WHERE decision.action IN ('lock', 'unlock', 'waive')
           UNION SELECT submission_id FROM landing.filing_version WHERE waived_n > 0
           UNION SELECT submission_id FROM landing.finding WHERE rule_id = 'FILE-0-locked'""",
    )


def _replace_decisions(connection: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]) -> None:
    gone = revoked_at(decisions)
    connection.execute("DELETE FROM landing.decision")
    insert_rows(
        connection,
        "landing.decision",
        [
            (one.number, one.at, one.by, one.action, one.reason, one.return_code, one.county_code, one.period, one.rule_id,
             one.submission_id, one.until, one.revokes, gone.get(one.number))
            for one in decisions
        ],
    )  # fmt: skip


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


def standing(home: Home) -> dict[str, dict[str, tuple[int, int]]]:
    """Return code → rule id → (cells or rows judged, of which broken): by the rules of the file over the newest version of every
    filing, by those against other periods and returns over the version in force."""
    with open_build_database(home) as connection:
        rows = connection.execute(
            """WITH newest AS (
                   SELECT filing.submission_id, filing.screening_seq, filing.return_code, filing.county_code, filing.period
                   FROM landing.filing_version AS filing
                   SEMI JOIN (SELECT submission_id, max(screening_seq) AS screening_seq
                              FROM landing.screened GROUP BY ALL) AS latest USING (submission_id, screening_seq)
                   QUALIFY row_number() OVER (PARTITION BY return_code, county_code, period
                                              ORDER BY received_at DESC, submission_id DESC) = 1
               )
               SELECT return_code, rule_id, sum(checked_n), sum(failed_n)
               FROM (
                   SELECT return_code, rule_id, checked_n, failed_n
                   FROM landing.rule_result SEMI JOIN newest
                       USING (submission_id, screening_seq, return_code, county_code, period)
                   UNION ALL
                   SELECT return_code, rule_id, checked_n, failed_n
                   FROM landing.context_rule_result SEMI JOIN landing.filing_in_force
                       USING (submission_id, return_code, county_code, period)
                   QUALIFY evaluation_seq = max(evaluation_seq) OVER (
                       PARTITION BY submission_id, return_code, county_code, period)
               )
               GROUP BY ALL"""
        ).fetchall()
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for return_code, rule_id, checked_n, failed_n in rows:
        found.setdefault(return_code, {})[rule_id] = (int(checked_n), int(failed_n))
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
    if not dirty and home.marts_database.exists():
        return []
    built = dbt.build(home, dirty if home.marts_database.exists() else {ALL_RETURNS})
    with open_build_database(home) as connection:
        set_state(connection, "models", dbt.project_digest())
    return built
