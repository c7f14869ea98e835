"""A rehearsal of changed rules: whom they would touch, before anybody is judged by them.

Belongs here: telling the judgements before from those after. What happens in between is the very landing of `update`, taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from pipelines.home import Home
from pipelines.intake.raw_store import RawStore
from pipelines.releases.reconstruct import ReconstructionFault
from pipelines.screening.settings import screen_settings
from pipelines.warehouse.build_database import LATEST, open_build_database
from pipelines.warehouse.landing import Scope, land_batch, screen_batch, submissions_in


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

    The caller holds `home.writing()`. Raises ValidationFault when a rule could not be evaluated, ReconstructionFault when an original
    is no longer what came.
    """
    store = RawStore(home.raw)
    settings = screen_settings(home)
    with open_build_database(home) as connection:
        chosen = submissions_in(connection, again)
        entries = [entry for entry in store if entry.submission_id in chosen]
        before = _judgements(connection)
        batch = screen_batch(home, store, entries, settings, progress)
        if batch.altered:
            told = "；".join(batch.screening.faults[submission_id] for submission_id in sorted(batch.altered))
            raise ReconstructionFault(f"有报送件不能试审：{told}。")
        after: dict[tuple[str, str, str, str], tuple[str, dict[str, int]]] = {}

        def settle(_context: object) -> None:
            after.update(_judgements(connection))
            connection.rollback()

        land_batch(connection, home, entries, batch, (), settle)
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
