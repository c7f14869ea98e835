"""Decisions of the bureau on their way into the build database, and what they ask to be done there.

Belongs here: the landed log, kept in line with `raw/`, and which submissions and counties a new decision touches. What a decision
means for a filing is `pipelines.decisions`; the version in force follows in SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from pipelines.decisions import Decision, DecisionLog, revoked_at
from pipelines.warehouse.build_database import (
    ALL_RETURNS,
    FINALITY_ONLY,
    FINDINGS_ONLY,
    get_state,
    insert_rows,
    mark_dirty,
)


@dataclass(frozen=True)
class Decided:
    """What decisions not yet applied ask for: submissions to be screened again, counties in which another version is in force.

    `head`: the log as it then is applied, to be kept once that is done.
    """

    head: str
    submissions: frozenset[str] = frozenset()
    counties: frozenset[str] = frozenset()


def land_decisions(connection: duckdb.DuckDBPyConnection, decisions: Sequence[Decision], log: DecisionLog) -> Decided:
    """Bring the landed log in line with `raw/`, and say what the decisions since the last landing ask for.

    Where the log is no continuation of the one that was applied (`raw/` came from another backup than the warehouse), everything
    that either has decided is judged anew.
    """
    head = _head(log, len(decisions))
    applied = get_state(connection, "decisions_applied") or "0"
    if applied == head:
        return Decided(head)
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
            if meant.action in ("lock", "unlock"):
                mark_dirty(connection, [FINALITY_ONLY])
            if meant.action == "waive":
                submissions |= _ones(
                    connection, f"SELECT submission_id FROM landing.filing_version WHERE {_IN_SCOPE}", scope
                )
            elif meant.action == "unlock" or (meant.action == "lock" and decision is not meant):
                locked_out = f"SELECT submission_id FROM landing.sending WHERE is_locked_out AND {_IN_SCOPE}"
                submissions |= _ones(connection, locked_out, scope)
            elif meant.action in ("accept", "return") and meant.return_code and meant.county_code:
                mark_dirty(connection, [meant.return_code])
                counties.add(meant.county_code)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return Decided(head, frozenset(submissions), frozenset(counties))


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
           UNION SELECT submission_id FROM landing.sending WHERE is_locked_out""",
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
