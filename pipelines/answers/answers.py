"""Answers: what a county gets back for each file it sent: a receipt (data and a page) and its own workbook, annotated; and an index.

    warehouse/outbox/140902/index.html, XB02_2024-2025_3f2a…_回执.html, XB02_2024-2025_3f2a…_回执.json, 3f2a…_标注_在校学生.xlsx

Belongs here: keeping the outbox in line with what has landed and been decided. What a receipt says is `receipts`, what the index says
`answer_index`, how a page or a workbook looks `documents`; carrying them to a county's own folder is `answers.delivery`. Everything here
can be written again, and an answer whose content has not changed is left alone.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from pipelines.answers.annotated import ANNOTATING, Heading, Issue, annotate
from pipelines.answers.answer_index import Answer, Due, index_content
from pipelines.answers.index_page import index_page
from pipelines.answers.receipt_page import receipt_page
from pipelines.answers.receipts import Found, Known, receipt, receipt_stem
from pipelines.files import replace_file
from pipelines.home import ANSWER_NAME, OUTBOX_INDEX, Home
from pipelines.intake.raw_store import RawDamaged, RawStore, RawSubmission
from pipelines.screening.settings import read_limits
from pipelines.warehouse.build_database import get_state, insert_rows, open_screened, set_state
from pipelines.workbooks.bounded import Asking, task_process
from pipelines.workbooks.personal_data import mask_personal

#: After so many answers written it is noted that they were.
_NOTED_AT_ONCE = 200


@dataclass(frozen=True)
class Answered:
    """What writing the answers came to. `faults`: submission id → why there was no answer (Chinese): its original in `raw/` is no
    longer what came, and nothing of it goes back to anybody."""

    written_n: int
    faults: dict[str, str]


def write_answers(home: Home, *, database: str | None = None) -> Answered:
    """Write the answers that are new or say something else than before.

    The caller holds `home.writing()`, and the models are built; `database`: the identity of the build database that they were built
    in. A run killed in between leaves the rest to the next. Raises BuildDatabaseLost.
    """
    faults: dict[str, str] = {}
    with open_screened(home, database) as connection:
        written_n = _write_receipts(home, connection, faults)
        return Answered(written_n + _write_indexes(home, connection, again=written_n > 0), faults)


def _write_receipts(home: Home, connection: duckdb.DuckDBPyConnection, faults: dict[str, str]) -> int:
    entries = {entry.submission_id: entry for entry in RawStore(home.raw)}
    municipality = home.municipality
    written_n = 0
    if due := _due(connection, entries):
        known = Known(
            Found(connection, due),
            entries,
            tuple(home.decisions),
            {county.code: county.name for county in municipality.counties},
            municipality.city.name,
        )
        answered = {
            (row[0], row[1]): (row[2], json.loads(row[3]))
            for row in connection.execute(
                "SELECT submission_id, county_code, digest, file_names FROM control.answer"
            ).fetchall()
        }
        rows: list[tuple[object, ...]] = []
        with task_process(ANNOTATING, read_limits(home.municipality)) as process:
            for submission_id in due:
                entry = entries.get(submission_id)
                if entry is None or submission_id not in known.found.filings:
                    continue
                # The same bytes may have come from two counties: each is answered for what is its own.
                for code in sorted({arrival.county_code for arrival in entry.arrivals}):
                    own = replace(entry, arrivals=tuple(one for one in entry.arrivals if one.county_code == code))
                    issues = known.issues(submission_id, code)
                    content = receipt(known, own, issues)
                    digest, names = _digest(content, issues), _names(content)
                    old_digest, old_names = answered.get((submission_id, code), ("", []))
                    folder = home.outbox / code
                    if digest != old_digest or not all((folder / name).exists() for name in old_names):
                        try:
                            payloads = _files(home, known, own, content, issues, process)
                        except RawDamaged as damaged:
                            faults[submission_id] = damaged.words(known.names)
                            continue
                        for name, payload in payloads.items():
                            replace_file(folder / name, payload)
                        for name in set(old_names) - set(names):
                            (folder / name).unlink(missing_ok=True)
                        written_n += len(names)
                    rows.append(
                        (submission_id, code, len(entry.arrivals), digest, json.dumps(names), json.dumps(content))
                    )
                if len(rows) >= _NOTED_AT_ONCE:
                    _note(connection, rows)
        _note(connection, rows)
        if not faults:  # else the next run asks again
            set_state(connection, "answered", _standing(connection))
    return written_n


def _write_indexes(home: Home, connection: duckdb.DuckDBPyConnection, *, again: bool) -> int:
    """The index of every county's outbox; nothing is looked at where nothing has happened since, unless `again`."""
    counties = home.municipality.counties
    standing = f"{get_state(connection, 'answered')}/{get_state(connection, 'control')}"
    missing = any(not (home.outbox / county.code / OUTBOX_INDEX).exists() for county in counties)
    if standing == get_state(connection, "indexed") and not missing and not again:
        return 0
    answers: dict[str, list[Answer]] = {}
    for code, content, names in connection.execute(
        "SELECT county_code, content, file_names FROM control.answer ORDER BY county_code, submission_id"
    ).fetchall():
        answers.setdefault(code, []).append(Answer(json.loads(content), json.loads(names)))
    due: dict[str, list[Due]] = {}
    for code, *one in connection.execute(
        "SELECT county_code, return_code, period, period_label, due_on FROM staging.stg_expected_filing ORDER BY ALL"
    ).fetchall():
        due.setdefault(code, []).append(Due(*one))
    written_n = 0
    for county in counties:
        said = index_content(
            county.code,
            county.name,
            home.municipality.city.name,
            answers.get(county.code, ()),
            due.get(county.code, ()),
        )
        folder = home.outbox / county.code
        _remove_forgotten(folder, {name for answer in answers.get(county.code, ()) for name in answer.file_names})
        path, page = folder / OUTBOX_INDEX, index_page(said).encode()
        if not path.exists() or path.read_bytes() != page:
            replace_file(path, page)
            written_n += 1
    set_state(connection, "indexed", standing)
    return written_n


def _remove_forgotten(folder: Path, known: Collection[str]) -> None:
    """Remove answers that nothing knows of any more: they were written into a build database that has been made anew since."""
    for path in folder.glob("*"):
        if ANSWER_NAME.search(path.name) and path.name not in known and path.is_file():
            path.unlink()


def _note(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]]) -> None:
    """Remember what was answered; a run killed later does not write it again."""
    connection.begin()
    connection.execute("DELETE FROM control.answer WHERE list_contains(?, submission_id)", [[row[0] for row in rows]])
    insert_rows(connection, "control.answer", rows)
    connection.commit()
    rows.clear()


def _standing(connection: duckdb.DuckDBPyConnection) -> str:
    """The last screening, the last evaluation and the decisions applied: changes whenever something landed, was judged or decided."""
    row = connection.execute(
        """SELECT (SELECT coalesce(max(screening_seq), 0) FROM landing.screened),
                  (SELECT coalesce(max(evaluation_seq), 0) FROM landing.context_evaluation)"""
    ).fetchall()[0]
    return f"{row[0]}/{row[1]}/{get_state(connection, 'decisions_applied') or ''}"


def _due(connection: duckdb.DuckDBPyConnection, entries: dict[str, RawSubmission]) -> list[str]:
    """Submissions whose answer may have changed: never answered, sent once more, or of a county in which something happened."""
    rows = connection.execute("SELECT submission_id, arrivals_n FROM control.answer").fetchall()
    arrivals = {row[0]: row[1] for row in rows}
    due = {one for one, entry in entries.items() if arrivals.get(one) != len(entry.arrivals)}
    before, now = get_state(connection, "answered") or "0/0/", _standing(connection)
    screened, evaluated, decided = before.split("/")
    if decided != now.split("/")[2]:
        due |= set(entries)
    elif before != now:
        due |= {
            row[0]
            for row in connection.execute(
                """WITH touched AS (
                       SELECT county_code FROM landing.filing_version WHERE screening_seq > ?
                       UNION SELECT county_code FROM landing.context_evaluation WHERE evaluation_seq > ?
                   )
                   SELECT DISTINCT submission_id FROM landing.filing_version SEMI JOIN touched USING (county_code)""",
                [int(screened), int(evaluated)],
            ).fetchall()
        }
    return sorted(due)


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _digest(content: dict[str, Any], issues: Sequence[Issue]) -> str:
    return hashlib.sha256(repr((_text(content), issues)).encode()).hexdigest()[:16]


def _names(content: dict[str, Any]) -> list[str]:
    stem = receipt_stem(content)
    annotated = [content["annotated_file"]] if content["annotated_file"] else []
    return [f"{stem}_回执.html", f"{stem}_回执.json", *annotated]


def _files(
    home: Home, known: Known, entry: RawSubmission, content: dict[str, Any], issues: Sequence[Issue], process: Asking
) -> dict[str, bytes]:
    """Name → content of an answer's files, in the order of `_names`."""
    payloads = [receipt_page(content).encode(), _text(content).encode()]
    if content["annotated_file"]:
        payloads.append(_annotated(home, known, entry, content, issues, process))
    return dict(zip(_names(content), payloads, strict=True))


def _annotated(
    home: Home, known: Known, entry: RawSubmission, content: dict[str, Any], issues: Sequence[Issue], process: Asking
) -> bytes:
    counts: dict[str, int] = {}
    for issue in issues:
        counts[issue.rule_id] = counts.get(issue.rule_id, 0) + 1
    # A rule's findings are capped; its count is not.
    counts = {
        rule: max(shown, known.found.counts.get((entry.submission_id, rule), 0)) for rule, shown in counts.items()
    }
    heading = Heading(
        receipt_number=content["receipt_number"],
        submission_id=entry.submission_id,
        county_name=content["source_county_name"],
        received_at=str(content["received_at"]),
        verdict=content["verdict_label"],
        counts=counts,
        what_next=content["next_step"],
        reply_key=home.reply_key,
    )
    store = RawStore(home.raw)
    store.check(entry)
    made = annotate(
        store.path(entry.submission_id),
        mask_personal(entry.first.file_name),
        issues,
        heading,
        read_limits(home.municipality),
        process,
    )
    assert made is not None  # there are findings
    return made.content
