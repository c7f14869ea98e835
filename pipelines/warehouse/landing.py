"""The two steps that write the build database: landing what is new, and building what that made out of date.

Belongs here: their order and their transactions. Both can be killed at any point and run again: what is to be screened follows
from `raw/` and what was landed, what is to be built from the dirty returns, and neither is forgotten before it is done. And
`making_again`: a private database that is damaged is no fault of anybody's, since both follow from `raw/`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import TypeVar

import duckdb

from pipelines.files import fingerprint, is_unchanged, replace_file
from pipelines.home import Home
from pipelines.intake.deadlines import all_late, as_rows, damaged_records, last_observed_on
from pipelines.intake.raw_store import RawDamaged, RawStore, RawSubmission
from pipelines.intake.source_notes import all_notes, damaged_notes, note_files
from pipelines.intake.source_notes import as_rows as note_rows
from pipelines.intake.submission import Submission
from pipelines.municipality import CountyName
from pipelines.screening.reference import ReferenceScreening, screen_census
from pipelines.screening.rules import rule_set_version
from pipelines.screening.screen import Filing, Screening, screen, told
from pipelines.screening.settings import ScreenSettings, screen_settings
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
    open_screened,
    remove_build,
    set_build_aside,
    set_state,
    to_screen,
    write_control,
)
from pipelines.warehouse.checks import (
    NEWEST_EVALUATION,
    CheckFault,
    ContextResult,
    evaluate_context,
    store_context,
)
from pipelines.warehouse.landed_decisions import land_decisions
from pipelines.warehouse.landed_declarations import land_declarations
from pipelines.warehouse.landed_policy import land_policy
from pipelines.warehouse.opened import FileUnusable, MartsNotOurs, in_words
from pipelines.workbooks.bounded import NO_BUDGET, Budget

_Made = TypeVar("_Made")


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
    submissions at which we failed or whose originals in `raw/` are no longer what came, or returns whose rules across filings we
    could not ask, and how (the originals are told in Chinese). `database`: the identity of the build database landed in. `remarks`: what
    else is to be known (Chinese). `postponed`: county → how many of its files are left for the next run, since it has used up what one run
    may cost."""

    database: str = ""
    submissions_n: int = 0
    filings: list[Filing] = field(default_factory=list)
    findings_n: Counter[str] = field(default_factory=Counter)
    rows_n: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    postponed: Counter[str] = field(default_factory=Counter)


class RawIsEmpty(RuntimeError):
    """`raw/` holds no submission and the warehouse does (Chinese): nothing is built of that."""


def land_new(
    home: Home,
    *,
    again: Scope = Scope(),
    budget: Budget = NO_BUDGET,
    progress: Callable[[int, int], None] | None = None,
) -> Landed:
    """Screen every submission in `raw/` that is not yet screened (and those of `again`), and land the batch at once.

    What `raw/` does not hold is not in the warehouse either: where it came from an older backup, everything is landed anew. `budget`:
    what news may cost; what is over it stays news, and is named. What was published before, or is asked for again, is never split:
    figures would go and come back. The caller holds `home.writing()`. Raises RawIsEmpty, and PolicyError or DeclarationError before anything is
    screened.
    """
    store = RawStore(home.raw)
    remarks: list[str] = []
    if lost_n := _not_in_raw(home, store):
        remove_build(home)
        remarks.append(
            f"raw/ 里没有仓库已有的 {lost_n} 件报送件（是从较早的备份恢复的？）：已按 raw/ 重建仓库，这些件不再计入"
        )
    settings = screen_settings(home)
    with open_build_database(home) as connection:
        landed = Landed(get_state(connection, "identity") or "", remarks=remarks)
        landed.faults |= _damaged(home, connection, store)
        write_control(connection, home, status_on=last_observed_on(home))
        policy = land_policy(connection, home)
        land_declarations(connection, home, policy)
        _land_lateness(connection, home)
        _land_source_notes(connection, home)
        decided = land_decisions(connection, settings.decisions, home.decisions)
        if get_state(connection, "models") != dbt.project_digest():
            mark_dirty(connection, [ALL_RETURNS])
        entries = to_screen(connection, store)
        if again or decided.submissions:
            chosen = (
                {entry.submission_id for entry in entries} | decided.submissions | submissions_in(connection, again)
            )
            entries = [entry for entry in store if entry.submission_id in chosen]
        judged_by = f"{rule_set_version()}/{dbt.project_digest()}/{policy.digest}"
        rules_changed = get_state(connection, "judged_by") != judged_by
        if not entries and not decided.counties and not rules_changed:
            set_state(connection, "decisions_applied", decided.head)
            _note_postponed(home, {})
            return landed
        if again or decided.submissions or _is_rebuilt(connection, home):
            budget = NO_BUDGET
        batch = screen_batch(home, store, entries, settings, progress, budget)
        _suspect(connection, batch.altered)
        # What we failed at is not landed: it is tried again with every run until we are mended.
        not_judged = batch.screening.faults.keys() | batch.screening.postponed.keys()
        entries = [entry for entry in entries if entry.submission_id not in not_judged]
        # Rules across filings are asked again of everybody when they or the standards they go by have changed; a file's own
        # verdict stays as it is until it is screened again on purpose.
        also = batch.everyone if rules_changed else decided.counties

        def settle(context: ContextResult) -> None:
            if not context.faults:  # else everybody is asked again with every run until we are mended
                set_state(connection, "judged_by", judged_by)
            set_state(connection, "decisions_applied", decided.head)
            connection.commit()

        context = land_batch(connection, home, entries, batch, also, settle)
    landed.submissions_n = len(entries)
    landed.faults |= batch.screening.faults | context.faults
    landed.postponed.update(batch.screening.postponed.values())
    _note_postponed(home, batch.screening.postponed)
    _count(landed, batch.screening, context)
    landed.filings += [census_screening.filing for census_screening in batch.census]
    return landed


def _not_in_raw(home: Home, store: RawStore) -> int:
    """How many submissions were landed that `raw/` no longer holds. Raises RawIsEmpty."""
    with open_build_database(home) as connection:
        landed = {
            row[0] for row in connection.execute("SELECT DISTINCT submission_id FROM landing.screened").fetchall()
        }
    held = store.submission_ids
    if landed and not held:
        raise RawIsEmpty(
            f"raw/ 里一件报送件也没有，而仓库里有 {len(landed)} 件：raw/ 没有挂上，或被清空。请挂上或从备份恢复 raw/ 后再运行；已发布的指标库保持不变。"
        )
    return len(landed - held)


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
    """What screening made of a batch; `everyone`: every county, whom a census concerns alike; `altered`: submissions whose bytes are
    no longer those that came, which are among the faults."""

    screening: Screening
    census: list[ReferenceScreening]
    everyone: frozenset[str]
    altered: frozenset[str] = frozenset()


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
    submissions: list[Submission] = []
    altered = altered_originals(home, store, entries, submissions)
    whole = [entry for entry in entries if entry.submission_id not in altered]
    census = {
        entry.submission_id for entry in whole if references & {arrival.county_code for arrival in entry.arrivals}
    }
    city = home.municipality.city
    returns = [submission for submission in submissions if submission.submission_id not in census]
    screening = screen(returns, settings, budget=budget, progress=progress)
    screening.faults |= altered
    screened_census = []
    for submission in submissions:
        if submission.submission_id not in census:
            continue
        try:
            screened_census.append(
                screen_census(submission, city=CountyName(city.code, city.name), counties=settings.counties,
                              limits=settings.limits)
            )  # fmt: skip
        except Exception as fault:  # noqa: BLE001 - our fault with a reference must not hold up the counties
            screening.faults[submission.submission_id] = told(fault)
    everyone = frozenset(county.code for county in settings.counties)
    return Batch(screening, screened_census, everyone, frozenset(altered))


def altered_originals(
    home: Home, store: RawStore, entries: Iterable[RawSubmission], whole: list[Submission] | None = None
) -> dict[str, str]:
    """Submission id → in words what is wrong with its bytes, of those that are no longer what came; the others are added to `whole`."""
    names = sender_names(home)
    found: dict[str, str] = {}
    for entry in entries:
        try:
            submission = store.to_screen(entry)
        except RawDamaged as damaged:
            found[entry.submission_id] = damaged.words(names)
        else:
            if whole is not None:
                whole.append(submission)
    return found


def sender_names(home: Home) -> dict[str, str]:
    """Code of a county or name of a reference → what it is called."""
    return {county.code: county.name for county in home.municipality.counties} | {
        reference.name: f"外部资料 {reference.name} " for reference in home.municipality.references
    }


def damaged_in_raw(home: Home) -> dict[str, str]:
    """Submission id, or name of a record → in words what is wrong, of everything that a rebuild reads: every byte."""
    store = RawStore(home.raw)
    return (
        altered_originals(home, store, store) | store.damaged_sidecars() | damaged_records(home) | damaged_notes(home)
    )


def remember_damaged(home: Home, submission_ids: Iterable[str]) -> None:
    """Have every run look at these again, and say so, until they are whole. The caller holds `home.writing()`."""
    with open_build_database(home) as connection:
        _suspect(connection, submission_ids)


def _suspect(connection: duckdb.DuckDBPyConnection, submission_ids: Iterable[str]) -> None:
    """What was found damaged once may have been landed before, so that nobody would read it again: it is remembered."""
    known = set(json.loads(get_state(connection, "suspects") or "[]"))
    if not known.issuperset(submission_ids):
        set_state(connection, "suspects", json.dumps(sorted(known | set(submission_ids))))


def _damaged(home: Home, connection: duckdb.DuckDBPyConnection, store: RawStore) -> dict[str, str]:
    """Submission id → in words, of what can be told damaged in `raw/` without reading every byte: sidecars, sizes, and what was found
    damaged before. Sidecars are put aside, so that a pull can write them again."""
    suspects = set(json.loads(get_state(connection, "suspects") or "[]"))
    entries = [entry for entry in store if entry.submission_id in suspects or not store.seems_whole(entry)]
    found = altered_originals(home, store, entries)
    if suspects:
        set_state(connection, "suspects", json.dumps(sorted(found)))
    found |= damaged_records(home) | damaged_notes(home)
    sidecars = store.damaged_sidecars()
    store.set_sidecars_aside(sidecars)
    landed = {
        row[0]: (row[1], row[2])
        for row in connection.execute(
            "SELECT submission_id, source_county_code, file_name FROM landing.submission WHERE list_contains(?, submission_id)",
            [list(sidecars)],
        ).fetchall()
    }
    names = sender_names(home)
    for submission_id, what in sidecars.items():
        code, file_name = landed.get(submission_id, ("", ""))
        known = f"{names.get(code, code)}的“{file_name}”，" if file_name else ""
        found[submission_id] = f"{known}{what}"
    return found


def making_again(home: Home, step: Callable[[], _Made], before: Callable[[], object], told: list[str]) -> _Made:
    """What a step makes. Where a private database turns out to be damaged, both are put aside, `before` (what the earlier steps did)
    makes them again from `raw/`, and the step is done once more; `told` gains a sentence that says so.

    The caller holds `home.writing()`. Whatever else fails is raised, a full disk or a database held by somebody else among it.
    """
    try:
        return step()
    except (duckdb.Error, dbt.DbtFault, FileUnusable) as error:
        if not _is_damage(error):
            raise
        marts_only = isinstance(error, MartsNotOurs)
    set_build_aside(home, marts_only=marts_only)
    made_of = "构建库" if marts_only else " raw/ "
    told.append(
        f"私有数据库（warehouse/private/）已损坏，已移到一旁（private/damaged/），并由{made_of}重新建好；已发布的内容不受影响，无须处理。"
    )
    before()
    return step()


def _is_damage(error: Exception) -> bool:
    if isinstance(error, FileUnusable):
        return error.is_damaged
    # What makes DuckDB fail within itself, or not understand what it has written, is in what it has read.
    is_nonsense = isinstance(error, duckdb.InternalException | duckdb.SerializationException)
    return is_nonsense or in_words(str(error)).is_damaged


def land_batch(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    entries: Sequence[RawSubmission],
    batch: Batch,
    also: Iterable[str],
    settle: Callable[[ContextResult], object],
) -> ContextResult:
    """Land a batch and ask the rules across filings of what it touches, and of the counties of `also`, in one transaction.

    `settle` ends the transaction; whatever is raised takes everything back. A model that fails takes the transaction with it: then the
    batch is landed without that model, whose returns are among the faults.
    """
    touched = {filing.county_code for filing in batch.screening.filings if filing.county_code} | set(also)
    if batch.census:
        touched |= batch.everyone
    left_out: dict[str, str] = {}
    while True:
        connection.begin()
        try:
            land(connection, entries, _together(batch.screening, batch.census))
            _land_census(connection, batch.census)
            context = evaluate_context(connection, home, touched, left_out)
            store_context(connection, context)
            settle(context)
        except CheckFault as fault:
            connection.rollback()
            left_out[fault.model] = fault.what
        except BaseException:
            connection.rollback()
            raise
        else:
            return context


def _together(screening: Screening, census: list[ReferenceScreening]) -> Screening:
    return replace(
        screening,
        filings=[*screening.filings, *(one.filing for one in census)],
        findings=[*screening.findings, *(finding for one in census for finding in one.findings)],
        sendings=[*screening.sendings, *(row for one in census for row in one.sendings)],
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
    if damaged_records(home):
        return  # what has been landed of them stays
    records = as_rows(all_late(home))
    if str(len(records)) == get_state(connection, "lateness_n"):
        return
    connection.begin()
    connection.execute("DELETE FROM landing.lateness")
    insert_rows(connection, "landing.lateness", records)
    set_state(connection, "lateness_n", str(len(records)))
    mark_dirty(connection, [FINDINGS_ONLY])
    connection.commit()


def _land_source_notes(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    notes = all_notes(home)
    if len(notes) != len(note_files(home)):
        return  # one is damaged: what has been landed of them stays
    if str(len(notes)) == (get_state(connection, "source_notes_n") or "0"):
        return
    connection.begin()
    connection.execute("DELETE FROM landing.source_note")
    insert_rows(connection, "landing.source_note", note_rows(notes))
    set_state(connection, "source_notes_n", str(len(notes)))
    mark_dirty(connection, [FINDINGS_ONLY])
    connection.commit()


def received_filings(home: Home) -> set[tuple[str, str, str]]:
    """(return, county, period) of which a version is in force. The caller holds `home.writing()`, and everything was screened.

    Raises BuildDatabaseLost.
    """
    with open_screened(home) as connection:
        rows = connection.execute("SELECT return_code, county_code, period FROM landing.filing_in_force").fetchall()
    return {(row[0], row[1], row[2]) for row in rows}


#: The newest version of every filing: what the rules of the file are held against.
_NEWEST = f"""SELECT filing.submission_id, filing.screening_seq, filing.return_code, filing.county_code, filing.period
    FROM landing.filing_version AS filing
    SEMI JOIN ({LATEST}) AS latest USING (submission_id, screening_seq)
    LEFT JOIN landing.sent_last AS sent
        ON filing.submission_id = sent.submission_id AND filing.screening_seq = sent.screening_seq
        AND filing.return_code = sent.return_code AND filing.county_code = sent.county_code AND filing.period = sent.period
    QUALIFY row_number() OVER (
        PARTITION BY filing.return_code, filing.county_code, filing.period
        ORDER BY coalesce(sent.sent_at, filing.received_at) DESC, filing.submission_id DESC
    ) = 1"""
#: The latest evaluation of every version in force: what the rules against other periods and returns are held against.
_EVALUATED = f"""SELECT * FROM ({NEWEST_EVALUATION})
    SEMI JOIN landing.filing_in_force USING (submission_id, return_code, county_code, period)"""


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


def build_marts(home: Home, *, everything: bool = False, database: str | None = None) -> list[dbt.BuiltNode]:
    """Build what is out of date; nothing when nothing is. The caller holds `home.writing()`.

    The returns stay dirty until a publish succeeds. `database`: see `Landed`. Raises DbtFault, BuildDatabaseLost.
    """
    with open_screened(home, database) as connection:
        left = get_state(connection, "marts_left")
        if left and home.marts_database.exists() and not is_unchanged(home.marts_database, left):
            raise MartsNotOurs(home.marts_database)
        if everything or not home.marts_database.exists():
            mark_dirty(connection, [ALL_RETURNS])
        dirty = dirty_returns(connection)
        if not dirty:
            return []
        set_state(connection, "marts_left", "")  # until they are built they are like nothing that was before
    if home.marts_database.exists():
        # What cannot be opened is told by its own error, and not by dbt's.
        duckdb.connect(str(home.marts_database)).close()
    built = dbt.build(home, dirty)
    with open_screened(home, database) as connection:
        set_state(connection, "models", dbt.project_digest())
        set_state(connection, "marts_left", fingerprint(home.marts_database))
    return built
