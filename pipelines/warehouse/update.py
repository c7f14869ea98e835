"""The two steps that write the build database: landing what is new, and building what that made out of date.

Belongs here: their order and their transactions. Both can be killed at any point and run again: what is to be screened follows
from `raw/` and what was landed, what is to be built from the dirty returns, and neither is forgotten before it is done.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from pipelines.home import Home
from pipelines.intake.raw_store import RawStore, RawSubmission
from pipelines.screening.identify import CountyName
from pipelines.screening.reference import CENSUS, ReferenceScreening, screen_census
from pipelines.screening.screen import Filing, Screening, screen
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import (
    ALL_RETURNS,
    dirty_returns,
    get_state,
    land,
    mark_dirty,
    open_build_database,
    remove_build,
    set_state,
    to_screen,
    write_control,
)
from pipelines.warehouse.context import ContextResult, evaluate_context, store_context


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
    """What a batch came to. `filings`: one verdict a return found; `failed`, `checked`: rule results by return code."""

    submissions_n: int = 0
    filings: list[Filing] = field(default_factory=list)
    findings_n: Counter[str] = field(default_factory=Counter)
    rows_n: Counter[str] = field(default_factory=Counter)
    checked: dict[str, Counter[str]] = field(default_factory=dict)
    failed: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, return_code: str | None, rule_id: str, checked_n: int, failed_n: int) -> None:
        code = return_code or ""
        self.checked.setdefault(code, Counter())[rule_id] += checked_n
        self.failed.setdefault(code, Counter())[rule_id] += failed_n


def land_new(
    home: Home,
    *,
    again: Scope = Scope(),  # noqa: B008 - frozen
    as_of: datetime | None = None,
    status_on: date | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Landed:
    """Screen every submission in `raw/` that is not yet screened (and those of `again`), and land the batch at once.

    The caller holds `home.writing()`. Raises ValidationFault when a rule could not be evaluated; then nothing is landed.
    """
    store = RawStore(home.raw)
    landed = Landed()
    settings = home.screen_settings()
    references = {reference.name for reference in home.municipality.references}
    with open_build_database(home) as connection:
        write_control(connection, home, as_of=as_of, status_on=status_on)
        if get_state(connection, "models") != dbt.project_digest():
            mark_dirty(connection, [ALL_RETURNS])
        entries = to_screen(connection, store)
        if again:
            entries = _with_again(connection, store, entries, again)
        if not entries:
            return landed
        census = [entry for entry in entries if references & {arrival.county_code for arrival in entry.arrivals}]
        returns = [entry for entry in entries if entry not in census]
        city = home.municipality.city
        screened_census = [
            screen_census(store.to_screen(entry), city=CountyName(city.code, city.name), counties=settings.counties,
                          limits=settings.limits)
            for entry in census
        ]  # fmt: skip
        screening = screen([store.to_screen(entry) for entry in returns], settings, progress=progress)
        connection.begin()
        try:
            sequence = land(connection, entries, _together(screening, screened_census))
            _land_census(connection, screened_census)
            touched = {filing.county_code for filing in screening.filings if filing.county_code}
            if screened_census:
                touched |= {county.code for county in settings.counties}
            context = evaluate_context(connection, touched)
            store_context(connection, context)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
    assert sequence  # noqa: S101 - a landed batch has one
    landed.submissions_n = len(entries)
    _count(landed, screening, context)
    landed.filings += [census_screening.filing for census_screening in screened_census]
    return landed


def _together(screening: Screening, census: list[ReferenceScreening]) -> Screening:
    return Screening(
        filings=[*screening.filings, *(one.filing for one in census)],
        findings=[*screening.findings, *(finding for one in census for finding in one.findings)],
        rows=screening.rows,
        rule_results=screening.rule_results,
        cell_columns=screening.cell_columns,
    )


def _with_again(connection, store: RawStore, entries: list[RawSubmission], again: Scope) -> list[RawSubmission]:  # type: ignore[no-untyped-def]
    rows = connection.execute(
        """SELECT DISTINCT submission_id FROM landing.filing_version
           WHERE ? OR ((? IS NULL OR county_code = ?) AND (? IS NULL OR period = ?))""",
        [again.everything, again.county_code, again.county_code, again.period, again.period],
    ).fetchall()
    chosen = {row[0] for row in rows} | {entry.submission_id for entry in entries}
    return [entry for entry in store if entry.submission_id in chosen]


def _land_census(connection, screened: list[ReferenceScreening]) -> None:  # type: ignore[no-untyped-def]
    for one in screened:
        connection.execute("DELETE FROM landing.census_2020 WHERE submission_id = ?", [one.filing.submission_id])
        for row in one.rows:
            connection.execute(
                "INSERT INTO landing.census_2020 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row.area_code, row.area_name, row.age_from, row.age_to, row.male, row.female, row.submission_id,
                 row.sheet, row.source_row],
            )  # fmt: skip


def _count(landed: Landed, screening: Screening, context: ContextResult) -> None:
    landed.filings += screening.filings
    for filing in screening.filings:
        if filing.return_code:
            landed.rows_n[filing.return_code] += filing.rows_n if filing.verdict != "rejected" else 0
    for _, return_code, _, _, rule_id, _, _, checked_n, failed_n in screening.rule_results:
        landed.count(return_code, rule_id, checked_n, failed_n)
    for result in context.rule_results:
        landed.count(result[1], result[4], result[7], result[8])
    landed.findings_n.update(finding.outcome for finding in [*screening.findings, *context.findings])


def build_marts(home: Home) -> list[dbt.BuiltNode]:
    """Build what is out of date; nothing when nothing is. The caller holds `home.writing()`.

    The returns stay dirty until a publish succeeds. Raises DbtFault.
    """
    with open_build_database(home) as connection:
        dirty = dirty_returns(connection)
    if not dirty and home.marts_database.exists():
        return []
    built = dbt.build(home, dirty if home.marts_database.exists() else {ALL_RETURNS})
    with open_build_database(home) as connection:
        set_state(connection, "models", dbt.project_digest())
    return built


def forget_build(home: Home) -> None:
    """Throw the private databases away, so that the next run rebuilds them from `raw/`."""
    remove_build(home)


__all__ = ["CENSUS", "Landed", "Scope", "build_marts", "forget_build", "land_new"]
