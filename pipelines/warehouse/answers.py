"""Answers: what a county gets back for each file it sent: a receipt (data and a page) and its own workbook, annotated.

    warehouse/outbox/140902/3f2a…_回执.json, 3f2a…_回执.html, 3f2a…_标注_在校学生.xlsx

Belongs here: what the answers say, from the build database, and keeping the outbox in line with it. How a page or a workbook
looks is in `documents`; carrying them to a county's own folder is in `intake.deliver`. Everything here can be written again from
what has landed, and an answer whose content has not changed is left alone.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines.decisions import ACTION_LABELS, Decision, beijing_day, lock_at, waivers
from pipelines.documents.annotated import Heading, Issue, Tasks, annotate
from pipelines.documents.receipt_page import receipt_page
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore, RawSubmission
from pipelines.periods import parse_period, read_period_label
from pipelines.screening.findings import Finding
from pipelines.screening.personal_data import mask_personal
from pipelines.screening.rules import form_label
from pipelines.screening.worker import task_process
from pipelines.warehouse.build_database import get_state, insert_rows, open_build_database, set_state

VERDICT_LABELS = {
    "accepted": "已接收",
    "accepted_with_queries": "已接收，有待核实的问题",
    "rejected": "未接收，请更正后重新报送",
}
SYSTEM_FAULT = "系统故障，尚未判定"
_GRAVITY = {"accepted": 0, "accepted_with_queries": 1, "rejected": 2}
_SHOWN_FINDINGS = 10
#: After so many answers written it is noted that they were.
_NOTED_AT_ONCE = 200
#: How long the county's own name for the file may be within the answer's name, in bytes; file systems take 255 in all.
_STEM_BYTES = 150


@dataclass
class Answered:
    """What keeping the outbox in line came to: files written and removed, by county code."""

    written: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)


def receipt_number(submission_id: str) -> str:
    return submission_id[:16]


def write_answers(home: Home) -> Answered:
    """Write the answers that are new or say something else than before.

    The caller holds `home.writing()`, and the models are built. A run killed in between leaves the rest to the next.
    """
    answered = Answered()
    entries = {entry.submission_id: entry for entry in RawStore(home.raw)}
    decisions = tuple(home.decisions)
    with open_build_database(home) as connection:
        due = _due(connection, entries, decisions)
        if not due:
            return answered
        found = _Found(connection, due)
        municipality = home.municipality
        names = {county.code: county.name for county in municipality.counties}
        known = {
            (row[0], row[1]): (row[2], json.loads(row[3]))
            for row in connection.execute(
                "SELECT submission_id, county_code, digest, file_names FROM control.answer"
            ).fetchall()
        }
        rows: list[tuple[object, ...]] = []
        with task_process(home.read_limits()) as tasks:
            for submission_id in due:
                entry = entries.get(submission_id)
                filings = found.filings.get(submission_id)
                if entry is None or not filings:
                    continue
                issues = found.issues.get(submission_id, [])
                # The same bytes may have come from two counties: each is answered for what is its own.
                for code in sorted({arrival.county_code for arrival in entry.arrivals}):
                    mine = _of_county(entry, code)
                    own_issues = [one for one in issues if _is_own(one.county_code, code, names)]
                    if all(filing["is_reply"] and filing["verdict"] != "rejected" for filing in filings):
                        # The findings are those of the version that it answers, and stand in that one's workbook.
                        own_issues = [one for one in own_issues if one.rule_id == "FILE-0-reply-unreadable"]
                    content = _content(
                        mine, filings, own_issues, found, entries, decisions, names, municipality.city.name
                    )
                    digest, written = _write(
                        home,
                        mine,
                        content,
                        own_issues,
                        found,
                        answered,
                        tasks,
                        known.get((submission_id, code), ("", [])),
                    )
                    listed = json.dumps(written, ensure_ascii=False)
                    rows.append((submission_id, code, len(entry.arrivals), digest, listed))
                if len(rows) >= _NOTED_AT_ONCE:
                    _note(connection, rows)
        _note(connection, rows)
        set_state(connection, "answered", _standing(connection, decisions))
    return answered


def _of_county(entry: RawSubmission, county_code: str) -> RawSubmission:
    """The submission as one county sent it."""
    return replace(entry, arrivals=tuple(one for one in entry.arrivals if one.county_code == county_code))


def _is_own(county_code: str | None, sender: str, names: dict[str, str]) -> bool:
    """Whether what concerns a county (None: the file as a whole) is for the sender to see; a reference is no county."""
    return county_code is None or county_code == sender or sender not in names


def _note(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]]) -> None:
    """Remember what was answered; a run killed later does not write it again."""
    connection.begin()
    connection.execute("DELETE FROM control.answer WHERE list_contains(?, submission_id)", [[row[0] for row in rows]])
    insert_rows(connection, "control.answer", rows)
    connection.commit()
    rows.clear()


def _standing(connection: duckdb.DuckDBPyConnection, decisions: Sequence[Decision]) -> str:
    """Changes whenever something landed, was judged or decided."""
    return "/".join(str(number) for number in (*_sequences(connection), len(decisions)))


def _sequences(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    row = connection.execute(
        """SELECT (SELECT coalesce(max(screening_seq), 0) FROM landing.screened),
                  (SELECT coalesce(max(evaluation_seq), 0) FROM landing.context_evaluation)"""
    ).fetchall()[0]
    return int(row[0]), int(row[1])


def _due(
    connection: duckdb.DuckDBPyConnection, entries: dict[str, RawSubmission], decisions: Sequence[Decision]
) -> list[str]:
    """Submissions whose answer may have changed: never answered, sent once more, or of a county in which something happened."""
    rows = connection.execute("SELECT submission_id, arrivals_n FROM control.answer").fetchall()
    arrivals = {row[0]: row[1] for row in rows}
    screened, evaluated, decided = (int(part) for part in (get_state(connection, "answered") or "0/0/0").split("/"))
    due = {one for one, entry in entries.items() if arrivals.get(one) != len(entry.arrivals)}
    if decided != len(decisions):
        due |= set(entries)
    elif _sequences(connection) != (screened, evaluated):
        due |= {
            row[0]
            for row in connection.execute(
                """WITH touched AS (
                       SELECT county_code FROM landing.filing_version WHERE screening_seq > ?
                       UNION SELECT county_code FROM landing.context_evaluation WHERE evaluation_seq > ?
                   )
                   SELECT DISTINCT submission_id FROM landing.filing_version SEMI JOIN touched USING (county_code)""",
                [screened, evaluated],
            ).fetchall()
        }
    return sorted(due)


class _Found:
    """What the database knows of some submissions: their filings, and their findings as they stand."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, submissions: Sequence[str]) -> None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE due AS SELECT unnest(?::VARCHAR[]) AS submission_id", [submissions]
        )
        self.filings: dict[str, list[dict[str, Any]]] = {}
        for row in _dicts(
            connection,
            """WITH filing AS (
                   SELECT *, min(version_n) OVER (
                       PARTITION BY return_code, county_code, period, content_digest) AS first_with_values_n
                   FROM staging.stg_filing
               ), in_force AS (SELECT * FROM staging.stg_filing WHERE is_in_force)
               SELECT filing.*, calendar.period_label, calendar.due_on,
                      in_force.submission_id AS in_force_submission_id, in_force.version_n AS in_force_version_n,
                      in_force.file_name AS in_force_file_name, in_force.received_at AS in_force_received_at
               FROM filing SEMI JOIN due USING (submission_id)
               LEFT JOIN control.calendar AS calendar
                   ON filing.return_code = calendar.return_code AND filing.period = calendar.period
               LEFT JOIN in_force
                   ON filing.return_code = in_force.return_code AND filing.county_code = in_force.county_code
                   AND filing.period = in_force.period
               ORDER BY filing.submission_id, filing.return_code, filing.period, filing.sheet""",
        ):
            self.filings.setdefault(row["submission_id"], []).append(row)
        names = ", ".join(f"finding.{one.name}" for one in fields(Finding))
        self.issues: dict[str, list[Issue]] = {}
        for row in _dicts(
            connection,
            f"""WITH latest AS (
                    SELECT submission_id, max(screening_seq) AS screening_seq FROM landing.screened GROUP BY ALL
                ), finding AS (
                    SELECT * EXCLUDE (screening_seq) FROM landing.finding
                    SEMI JOIN latest USING (submission_id, screening_seq)
                    UNION ALL BY NAME
                    SELECT * EXCLUDE (evaluation_seq) FROM landing.context_finding
                    SEMI JOIN (SELECT finding_id FROM intermediate.int_finding WHERE finding_kind = 'context') AS standing
                        USING (finding_id)
                    QUALIFY evaluation_seq = max(evaluation_seq) OVER (PARTITION BY finding_id)
                )
                SELECT {names}, coalesce(known.status, 'open') AS status, coalesce(known.explanation, '') AS explanation,
                       coalesce(known.proposal, '') AS proposal
                FROM finding SEMI JOIN due USING (submission_id)
                LEFT JOIN intermediate.int_finding AS known USING (finding_id)
                ORDER BY finding.submission_id, finding.return_code, finding.period, finding.sheet, finding.source_row NULLS FIRST,
                         finding.cell, finding.rule_id, finding.finding_id""",
        ):
            self.issues.setdefault(row["submission_id"], []).append(Issue(**row))
        self.counts: dict[tuple[str, str], int] = {
            (row["submission_id"], row["rule_id"]): int(row["failed_n"])
            for row in _dicts(
                connection,
                """SELECT submission_id, rule_id, sum(failed_n) AS failed_n FROM landing.rule_result
                   SEMI JOIN due USING (submission_id)
                   SEMI JOIN (SELECT submission_id, max(screening_seq) AS screening_seq FROM landing.screened GROUP BY ALL)
                       USING (submission_id, screening_seq)
                   WHERE failed_n > 0 GROUP BY ALL""",
            )
        }
        self.explanations: dict[str, int] = {
            row["submission_id"]: row["explanations_n"]
            for row in _dicts(
                connection,
                """SELECT submission_id, count(*) AS explanations_n FROM landing.explanation
                   SEMI JOIN due USING (submission_id)
                   SEMI JOIN (SELECT submission_id, max(screening_seq) AS screening_seq FROM landing.screened GROUP BY ALL)
                       USING (submission_id, screening_seq)
                   GROUP BY ALL""",
            )
        }


def _dicts(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterable[dict[str, Any]]:
    return connection.sql(sql).pl().iter_rows(named=True)


def _beijing(moment: datetime | None) -> str | None:
    """A UTC time without zone as Beijing time in ISO form."""
    return f"{(moment + timedelta(hours=8)).isoformat(timespec='seconds')}+08:00" if moment else None


def _content(
    entry: RawSubmission,
    filings: Sequence[dict[str, Any]],
    issues: Sequence[Issue],
    found: _Found,
    entries: dict[str, RawSubmission],
    decisions: Sequence[Decision],
    names: dict[str, str],
    city_name: str,
) -> dict[str, Any]:
    """What the receipt says; the annotated workbook's heading is taken from it."""
    sender = entry.first.county_code
    others = [filing for filing in filings if not _is_own(filing["county_code"], sender, names)]
    filings = [filing for filing in filings if _is_own(filing["county_code"], sender, names)]
    worst = max((filing["verdict"] for filing in filings), key=lambda verdict: _GRAVITY[verdict], default="rejected")
    outcomes = {
        outcome: sum(one.outcome == outcome and one.status != "waived" for one in issues)
        for outcome in ("error", "query", "info")
    }
    # A rejection that can name no reason is our fault; a county is never sent looking for it.
    system_fault = worst == "rejected" and outcomes["error"] == 0 and bool(filings)
    first = entry.first
    arrivals = sorted(entry.arrivals, key=lambda arrival: (arrival.received_at, arrival.county_code, arrival.file_name))
    batch = entries.get(first.batch_id) if first.batch_id else None
    described = [_filing(filing, issues, decisions, names) for filing in filings if filing["return_code"]]
    if system_fault:
        described = [
            {**one, "verdict_label": SYSTEM_FAULT, "next_step": "无需处理，市局会另发回执。"} for one in described
        ]
    explanations_n = found.explanations.get(entry.submission_id, 0)
    content = {
        "receipt_number": receipt_number(entry.submission_id),
        "submission_id": entry.submission_id,
        "file_name": mask_personal(first.file_name),
        "size_bytes": entry.size_bytes,
        "received_at": _beijing(_plain_utc(first.received_at)),
        "source_county_code": first.county_code,
        "source_county_name": names.get(first.county_code, first.county_code),
        "city_name": city_name,
        "arrivals": [
            {
                "file_name": mask_personal(arrival.file_name),
                "received_at": _beijing(_plain_utc(arrival.collected_at)),
                "again": number > 0,
            }
            for number, arrival in enumerate(arrivals)
        ],
        "batch": batch
        and {"file_name": mask_personal(batch.first.file_name), "receipt_number": receipt_number(batch.submission_id)},
        "batch_members": [
            {"receipt_number": receipt_number(member), "file_name": mask_personal(entries[member].first.file_name)}
            for member in entry.batch_members
            if member in entries
        ],
        "verdict": worst,
        "verdict_label": SYSTEM_FAULT
        if system_fault
        else _worst_label(worst, described)
        if filings
        else "不是本单位的报表，本单位没有报入任何数据",
        "system_fault": system_fault,
        "filings": described,
        "findings": outcomes,
        "first_findings": [
            {name: getattr(one, name) for name in ("outcome", "rule_id", "sheet", "cell", "message", "remedy")}
            for one in sorted(issues, key=lambda one: ("error", "query", "info").index(one.outcome))
            if one.status == "open"
        ][:_SHOWN_FINDINGS],
        "explanations_n": explanations_n,
        "annotated_file": _annotated_name(entry) if issues and not entry.batch_members else None,
    }
    if not filings:
        owners = "、".join(sorted({names.get(one["county_code"], one["county_code"]) for one in others}))
        content["next_step"] = f"文件是{owners}的报表。如放错了信箱，请放入自己的报表；{owners}须从自己的信箱报送。"
        return content
    misnamed = _misnamed(arrivals, described)
    content["next_step"] = misnamed or _next_step(content, described)
    return content


def _misnamed(arrivals: Sequence[Arrival], filings: Sequence[dict[str, Any]]) -> str:
    """What to say where the same bytes came once more under the name of another period: blank when they did not."""
    periods = {filing["period"]: filing["period_label"] for filing in filings}
    for arrival in arrivals[1:]:
        hinted = read_period_label(arrival.file_name)
        if (
            hinted
            and periods
            and hinted.code not in periods
            and hinted.type in {parse_period(one).type for one in periods}
        ):
            told = "、".join(periods.values())
            return f"“{mask_personal(arrival.file_name)}”与此前收到的文件完全相同，是{told}的报表，不是{hinted.label}的：{hinted.label}的报表还没有收到。"
    return ""


def _worst_label(worst: str, filings: Sequence[dict[str, Any]]) -> str:
    """The one label of all filings where they share it, else that of the worst verdict."""
    labels = {filing["verdict_label"] for filing in filings}
    return labels.pop() if len(labels) == 1 else VERDICT_LABELS[worst]


def _plain_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset()
    return moment.replace(tzinfo=None) - offset if offset is not None else moment


def _filing(
    filing: dict[str, Any], issues: Sequence[Issue], decisions: Sequence[Decision], names: dict[str, str]
) -> dict[str, Any]:
    return_code, county_code, period = filing["return_code"], filing["county_code"], filing["period"]
    slot = (return_code, county_code, period)
    mine = [one for one in issues if (one.return_code, one.county_code, one.period) == slot and one.outcome == "query"]
    explained_n = sum(one.status == "explained" for one in mine)
    open_n = sum(one.status == "open" for one in mine)
    received_at = filing["received_at"]
    lock = lock_at(decisions, *slot, max([received_at, *(one.at for one in decisions)])) if all(slot) else None
    ruling = _ruling(decisions, filing["submission_id"], slot)
    granted = waivers(decisions, *slot, received_at)
    same = filing["first_with_values_n"]
    described = {
        "return_code": return_code,
        "form_label": form_label(return_code) if _is_declared(return_code) else return_code,
        "county_code": county_code,
        "county_name": names.get(county_code, county_code),
        "period": period,
        "period_label": filing["period_label"] or period,
        "version_n": filing["version_n"],
        "verdict": filing["verdict"],
        "verdict_label": _label(filing, open_n, explained_n),
        "errors_n": filing["errors_n"],
        "queries_n": filing["queries_n"],
        "infos_n": filing["infos_n"],
        "open_queries_n": open_n,
        "explained_queries_n": explained_n,
        "rows_n": filing["rows_n"],
        "due_on": filing["due_on"].isoformat() if filing["due_on"] else None,
        "is_on_time": None
        if filing["due_on"] is None or received_at is None
        else beijing_day(received_at) <= filing["due_on"],
        "same_values_as_version_n": same
        if filing["content_digest"] and filing["rows_n"] and same < filing["version_n"]
        else None,
        "in_force": {
            "version_n": filing["in_force_version_n"],
            "receipt_number": receipt_number(filing["in_force_submission_id"]),
            "file_name": filing["in_force_file_name"],
            "received_at": _beijing(filing["in_force_received_at"]),
        }
        if filing["in_force_submission_id"]
        else None,
        "is_in_force": filing["is_in_force"],
        "is_reply": filing["is_reply"],
        "is_locked_out": any(
            one.rule_id == "FILE-0-locked" for one in issues if (one.return_code, one.county_code, one.period) == slot
        ),
        "locked": {"since": _beijing(lock.at), "until": None, "reason": lock.reason} if lock else None,
        "decision": ruling
        and {
            "action": ruling.action,
            "action_label": ACTION_LABELS[ruling.action],
            "by": ruling.by,
            "at": _beijing(ruling.at),
            "reason": ruling.reason,
        },
        "waivers": [
            {
                "rule_id": rule_id,
                "by": one.by,
                "reason": one.reason,
                "until": one.until.isoformat() if one.until else None,
            }
            for rule_id, one in sorted(granted.items())
            if any(issue.rule_id == rule_id for issue in issues)
        ],
    }
    described["next_step"] = _filing_step(described)
    return described


def _label(filing: dict[str, Any], open_n: int, explained_n: int) -> str:
    if filing["is_returned"]:
        return "已被市局退回"
    if filing["verdict"] == "accepted_with_queries" and explained_n and not open_n:
        return "已接收，疑问均已说明"
    return VERDICT_LABELS[filing["verdict"]]


def _is_declared(return_code: str) -> bool:
    from pipelines.returns import current_definitions

    return return_code in current_definitions()


def _ruling(decisions: Sequence[Decision], submission_id: str, slot: tuple[Any, Any, Any]) -> Decision | None:
    """The bureau's last word on the version, None when it said none or took it back."""
    gone = {one.revokes for one in decisions}
    said = [
        one
        for one in decisions
        if one.action in ("accept", "return")
        and one.number not in gone
        and one.submission_id == submission_id
        and (one.return_code, one.county_code, one.period) == slot
    ]
    return said[-1] if said else None


def _filing_step(filing: dict[str, Any]) -> str:
    kept = f"第 {filing['in_force']['version_n']} 版继续有效" if filing["in_force"] else "目前没有有效的版本"
    if filing["decision"] and filing["decision"]["action"] == "return":
        return f"市局已退回（{filing['decision']['reason']}），请更正后重新报送；{kept}。"
    if filing["is_locked_out"]:
        return f"本期已锁定，这一版没有接收；确需更正的，请联系市局申请解锁，解锁期内把本文件再报一次即可；{kept}。"
    if filing["is_reply"] and filing["verdict"] != "rejected":
        return "数值与所标注的版本相同：只读取了核实说明，不算新版本，无需处理。"
    if filing["verdict"] == "rejected":
        return f"请按标注工作簿更正 {filing['errors_n']} 处错误后重新报送；{kept}。"
    if not filing["is_in_force"] and filing["in_force"]:
        return f"已被第 {filing['in_force']['version_n']} 版取代，无需处理。"
    if filing["open_queries_n"]:
        return f"有 {filing['open_queries_n']} 处待核实：在标注工作簿“问题清单”的“核实说明”列说明后发回，或更正后重新报送。"
    return "无需处理。"


def _next_step(content: dict[str, Any], filings: Sequence[dict[str, Any]]) -> str:
    if content["system_fault"]:
        return "这是本系统的故障，不是你们的错：无需重新报送，市局排除故障后会重新审核并另发回执。"
    if content["verdict"] == "rejected" and not filings:
        return "请按问题清单改正后重新报送。"
    if content["batch_members"]:
        return f"压缩包内 {len(content['batch_members'])} 个文件各有回执，请逐一查看。"
    if not filings and content["explanations_n"]:
        return f"已收到 {content['explanations_n']} 条核实说明，无需处理。"
    if not filings:
        return "文件里没有报表，也没有读到核实说明。如要答复，请在“问题清单”的“核实说明”列填写后发回。"
    return "；".join(dict.fromkeys(filing["next_step"].rstrip("。") for filing in filings)) + "。"


def _annotated_name(entry: RawSubmission) -> str:
    """The annotated workbook's name, in which the county finds its own again."""
    stem = Path(mask_personal(entry.first.file_name)).stem
    stem = re.sub(r"^[0-9a-f]{16}_标注_", "", stem)  # one that came back is not called 标注_标注_…
    stem = re.sub(r'[\\/:*?"<>|\s.]+', "_", stem).strip("_")
    while len(stem.encode()) > _STEM_BYTES:
        stem = stem[:-1]
    return f"{receipt_number(entry.submission_id)}_标注_{stem or '报表'}.xlsx"


def _write(
    home: Home,
    entry: RawSubmission,
    content: dict[str, Any],
    issues: Sequence[Issue],
    found: _Found,
    answered: Answered,
    tasks: Tasks,
    known: tuple[str, list[str]],
) -> tuple[str, list[str]]:
    """Write one submission's answer where it says something else than before; returns its digest and its files' names."""
    number, code = content["receipt_number"], entry.first.county_code
    folder = home.outbox / code
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    digest = hashlib.sha256(repr((text, issues)).encode()).hexdigest()[:16]
    before = known[1]
    if known[0] == digest and all((folder / name).exists() for name in before):
        return known
    files = {f"{number}_回执.json": text.encode(), f"{number}_回执.html": receipt_page(content).encode()}
    if content["annotated_file"]:
        files[content["annotated_file"]] = _annotated(home, entry, content, issues, found, tasks)
    for name, payload in files.items():
        replace_file(folder / name, payload)
        answered.written.setdefault(code, []).append(name)
    for name in set(before) - set(files):
        (folder / name).unlink(missing_ok=True)
        answered.removed.setdefault(code, []).append(name)
    return digest, sorted(files)


def _annotated(
    home: Home, entry: RawSubmission, content: dict[str, Any], issues: Sequence[Issue], found: _Found, tasks: Tasks
) -> bytes:
    counts: dict[str, int] = {}
    for issue in issues:
        counts[issue.rule_id] = counts.get(issue.rule_id, 0) + 1
    # A rule's findings are capped; its count is not.
    counts = {rule: max(shown, found.counts.get((entry.submission_id, rule), 0)) for rule, shown in counts.items()}
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
    made = annotate(
        RawStore(home.raw).path(entry.submission_id),
        mask_personal(entry.first.file_name),
        issues,
        heading,
        home.read_limits(),
        tasks,
    )
    assert made is not None  # there are findings
    return made.content
