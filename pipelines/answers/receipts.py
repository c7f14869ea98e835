"""What a receipt says: for one submission and the county that sent it, what was received, what came of it, what is to be done.

Belongs here: gathering it from the build database, and the words. How the page looks is `answers.receipt_page`; when a receipt is
written, and the workbook that goes with it, is `answers`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb

from pipelines.answers.annotated import Issue
from pipelines.decisions import ACTION_LABELS, Decision, lock_at, ruling_on, waivers
from pipelines.intake.raw_store import Arrival, RawSubmission
from pipelines.periods import parse_period, read_period_in_name
from pipelines.screening.findings import Finding
from pipelines.screening.rules import OUTCOMES, form_label
from pipelines.times import beijing_day, beijing_iso, utc
from pipelines.warehouse.build_database import LATEST
from pipelines.workbooks.personal_data import mask_personal

VERDICT_LABELS = {
    "accepted": "已接收",
    "accepted_with_queries": "已接收，有须核实的问题",
    "rejected": "未接收，请更正后重新报送",
}
SYSTEM_FAULT = "系统故障，尚未判定"
NOT_OURS = "不是本单位的报表，本单位没有报入任何数据"
_GRAVITY = {"accepted": 0, "accepted_with_queries": 1, "rejected": 2}
_SHOWN_FINDINGS = 10
#: How long the county's own name for the file may be within the answer's name, in bytes; file systems take 255 in all.
_STEM_BYTES = 150


def receipt_number(submission_id: str) -> str:
    return submission_id[:16]


class Found:
    """What the database knows of some submissions: their filings, and their findings as they stand."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, submissions: Sequence[str]) -> None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE due AS SELECT unnest(?::VARCHAR[]) AS submission_id", [submissions]
        )
        connection.execute(_STANDING)
        self.filings: dict[str, list[dict[str, Any]]] = {}
        for row in _dicts(
            connection,
            """SELECT filing.*, calendar.period_label, calendar.due_on,
                      in_force.submission_id AS in_force_submission_id, in_force.version_n AS in_force_version_n,
                      in_force.file_name AS in_force_file_name, in_force.received_at AS in_force_received_at,
                      in_force.queries_n AS in_force_queries_n, in_force.explained_n AS in_force_explained_n,
                      newest.submission_id AS newest_submission_id, newest.version_n AS newest_version_n
               FROM standing_filing AS filing SEMI JOIN due USING (submission_id)
               LEFT JOIN control.calendar AS calendar
                   ON filing.return_code = calendar.return_code AND filing.period = calendar.period
               LEFT JOIN (SELECT * FROM standing_filing WHERE is_in_force) AS in_force
                   ON filing.return_code = in_force.return_code AND filing.county_code = in_force.county_code
                   AND filing.period = in_force.period
               LEFT JOIN (SELECT * FROM standing_filing WHERE is_newest) AS newest
                   ON filing.return_code = newest.return_code AND filing.county_code = newest.county_code
                   AND filing.period = newest.period
               ORDER BY filing.submission_id, filing.return_code, filing.period, filing.sheet, filing.version_n""",
        ):
            self.filings.setdefault(row["submission_id"], []).append(row)
        # A file that was sent several times is told of as the version that it was last.
        self.filings = {submission_id: _as_sent_last(rows) for submission_id, rows in self.filings.items()}
        names = ", ".join(f"finding.{one.name}" for one in fields(Finding))
        self.issues: dict[str, list[Issue]] = {}
        for row in _dicts(
            connection,
            f"""WITH finding AS (
                    SELECT * EXCLUDE (screening_seq) FROM landing.finding
                    SEMI JOIN ({LATEST}) USING (submission_id, screening_seq)
                    UNION ALL BY NAME
                    SELECT * EXCLUDE (evaluation_seq) FROM landing.context_finding
                    SEMI JOIN (SELECT finding_id FROM known_finding WHERE finding_kind = 'context') AS standing
                        USING (finding_id)
                    QUALIFY evaluation_seq = max(evaluation_seq) OVER (PARTITION BY finding_id)
                )
                SELECT {names}, coalesce(known.status, 'open') AS status, coalesce(known.explanation, '') AS explanation,
                       coalesce(known.proposal, '') AS proposal
                FROM finding SEMI JOIN due USING (submission_id)
                LEFT JOIN known_finding AS known USING (finding_id)
                ORDER BY finding.submission_id, finding.return_code, finding.period, finding.sheet, finding.source_row NULLS FIRST,
                         finding.cell, finding.rule_id, finding.finding_id""",
        ):
            self.issues.setdefault(row["submission_id"], []).append(Issue(**row))
        #: (submission, rule) → how often it is broken, however many of these findings are written out.
        self.counts: dict[tuple[str, str], int] = {
            (row["submission_id"], row["rule_id"]): int(row["failed_n"])
            for row in _dicts(
                connection,
                f"""SELECT submission_id, rule_id, sum(failed_n) AS failed_n FROM (
                       SELECT submission_id, rule_id, failed_n FROM landing.rule_result
                       SEMI JOIN ({LATEST}) USING (submission_id, screening_seq)
                       UNION ALL SELECT submission_id, rule_id, failed_n FROM asked_across
                   ) SEMI JOIN due USING (submission_id) WHERE failed_n > 0 GROUP BY ALL""",
            )
        }
        self.explanations: dict[str, int] = {
            row["submission_id"]: row["explanations_n"]
            for row in _dicts(
                connection,
                f"""SELECT submission_id, count(*) AS explanations_n FROM landing.explanation
                   SEMI JOIN due USING (submission_id)
                   SEMI JOIN ({LATEST}) USING (submission_id, screening_seq)
                   GROUP BY ALL""",
            )
        }
        #: Submission → the filings that its replies are about, with what is still asked of their versions in force.
        self.answered: dict[str, list[dict[str, Any]]] = {}
        for row in _dicts(
            connection,
            f"""SELECT DISTINCT explanation.submission_id, explanation.return_code, explanation.county_code, explanation.period,
                      calendar.period_label, in_force.version_n, in_force.submission_id AS in_force_submission_id,
                      coalesce(in_force.queries_n - in_force.explained_n, 0) AS open_queries_n
               FROM landing.explanation SEMI JOIN due USING (submission_id)
               SEMI JOIN ({LATEST}) AS newest USING (submission_id, screening_seq)
               LEFT JOIN control.calendar AS calendar
                   ON explanation.return_code = calendar.return_code AND explanation.period = calendar.period
               LEFT JOIN (SELECT * FROM standing_filing WHERE is_in_force) AS in_force
                   ON explanation.return_code = in_force.return_code AND explanation.county_code = in_force.county_code
                   AND explanation.period = in_force.period
               ORDER BY ALL""",
        ):
            self.answered.setdefault(row["submission_id"], []).append(row)


def _as_sent_last(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a filing: the newest version that a file is of it, with the numbers of those that it was before."""
    slots: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        slot = (row["return_code"], row["county_code"], row["period"])
        earlier = [*slots[slot]["earlier_versions"], slots[slot]["version_n"]] if slot in slots else []
        slots[slot] = {**row, "earlier_versions": earlier}
    return list(slots.values())


# What stands of every filing as it is known now: rules across filings are asked of the version in force; findings beyond the cap
# count too. `queries_n`, `infos_n`: of both kinds of rules, without what a waiver closes.
_STANDING = """
    CREATE OR REPLACE TEMP TABLE known_finding AS
    SELECT finding_id, submission_id, return_code, county_code, period, rule_id, outcome, finding_kind, status, explanation, proposal
    FROM intermediate.int_finding;

    CREATE OR REPLACE TEMP TABLE asked_across AS
    SELECT submission_id, return_code, county_code, period, rule_id, outcome, failed_n FROM landing.context_rule_result
    SEMI JOIN (SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
               FROM landing.context_evaluation GROUP BY ALL) AS newest
        USING (submission_id, return_code, county_code, period, evaluation_seq)
    SEMI JOIN (SELECT * FROM staging.stg_filing WHERE is_in_force) AS in_force
        USING (submission_id, return_code, county_code, period)
    WHERE failed_n > 0;

    CREATE OR REPLACE TEMP TABLE standing_filing AS
    WITH asked AS (
        SELECT submission_id, return_code, county_code, period,
               CAST(sum(failed_n) FILTER (WHERE outcome = 'query') AS BIGINT) AS queries_n,
               CAST(sum(failed_n) FILTER (WHERE outcome = 'info') AS BIGINT) AS infos_n
        FROM asked_across
        ANTI JOIN (SELECT * FROM known_finding WHERE status = 'waived') AS waived
            USING (submission_id, return_code, county_code, period, rule_id)
        GROUP BY ALL
    ), explained AS (
        SELECT submission_id, return_code, county_code, period, count(*) AS explained_n FROM known_finding
        WHERE status = 'explained' GROUP BY ALL
    )
    SELECT filing.* REPLACE (
               filing.queries_n + coalesce(asked.queries_n, 0) AS queries_n, filing.infos_n + coalesce(asked.infos_n, 0) AS infos_n
           ),
           coalesce(explained.explained_n, 0) AS explained_n,
           min(filing.version_n) OVER (
               PARTITION BY filing.return_code, filing.county_code, filing.period, filing.content_digest
           ) AS first_with_values_n
    FROM staging.stg_filing AS filing
    LEFT JOIN asked USING (submission_id, return_code, county_code, period)
    LEFT JOIN explained USING (submission_id, return_code, county_code, period);
"""


def _dicts(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterable[dict[str, Any]]:
    return connection.sql(sql).pl().iter_rows(named=True)


@dataclass(frozen=True)
class Known:
    """What receipts are written from. `names`: county code → name; `entries`: every submission of `raw/`, by id."""

    found: Found
    entries: dict[str, RawSubmission]
    decisions: Sequence[Decision]
    names: dict[str, str]
    city_name: str

    def concerns(self, county_code: str | None, sender: str) -> bool:
        """Whether what is said of a county (None: of the file as a whole) is for the sender to see; a reference is no county."""
        return county_code is None or county_code == sender or sender not in self.names

    def issues(self, submission_id: str, sender: str) -> list[Issue]:
        """The findings of a submission that its sender is told of."""
        filings = self.found.filings[submission_id]
        issues = [one for one in self.found.issues.get(submission_id, []) if self.concerns(one.county_code, sender)]
        if all(filing["is_reply"] and filing["verdict"] != "rejected" for filing in filings):
            # The findings are those of the version that it answers, and stand in that one's workbook.
            return [one for one in issues if one.rule_id == "FILE-0-reply-unreadable"]
        return issues


def receipt(known: Known, entry: RawSubmission, issues: Sequence[Issue]) -> dict[str, Any]:
    """The receipt of a submission as one county sent it (`entry` holds that county's arrivals alone), with the findings it is told of."""
    names, entries, sender = known.names, known.entries, entry.first.county_code
    every = known.found.filings[entry.submission_id]
    filings = [filing for filing in every if known.concerns(filing["county_code"], sender)]
    # A rejection that can name no reason is our fault; a county is never sent looking for it.
    system_fault = any(
        filing["verdict"] == "rejected" and not filing["is_locked_out"] for filing in filings
    ) and not any(one.outcome == "error" and one.status != "waived" for one in issues)
    first = entry.first
    arrivals = sorted(entry.arrivals, key=lambda arrival: (arrival.received_at, arrival.county_code, arrival.file_name))
    batch = entries.get(first.batch_id) if first.batch_id else None
    described = [_filing(known, filing, issues) for filing in filings if filing["return_code"]]
    if system_fault:
        described = [
            {**one, "verdict_label": SYSTEM_FAULT, "next_step": "无需处理，市局会另发回执。", "is_open": False}
            for one in described
        ]
    # What was found in the file as such, or in a sheet that nobody could identify, belongs to no filing.
    of_filings = {(one["return_code"], one["county_code"], one["period"]) for one in described if not one["is_reply"]}
    closed = {(one["return_code"], one["county_code"], one["period"]) for one in described if not one["is_open"]}
    unfiled = [one for one in issues if (one.return_code, one.county_code, one.period) not in of_filings]
    outcomes = {
        outcome: sum(one[f"{count}_n"] for one in described if not one["is_reply"])
        + sum(one.outcome == outcome and one.status != "waived" for one in unfiled)
        for outcome, count in (("error", "errors"), ("query", "queries"), ("info", "infos"))
    }
    to_do = [
        one for one in issues if one.status == "open" and (one.return_code, one.county_code, one.period) not in closed
    ]
    worst = max(
        (one["verdict"] for one in described or filings), key=lambda verdict: _GRAVITY[verdict], default="rejected"
    )
    explanations_n = known.found.explanations.get(entry.submission_id, 0)
    # Replies that came without their return: what they are about, and what is still asked there.
    answered = [
        {
            "form_label": form_label(one["return_code"]),
            "period_label": one["period_label"] or one["period"],
            "open_queries_n": one["open_queries_n"],
            "receipt_number": one["in_force_submission_id"] and receipt_number(one["in_force_submission_id"]),
        }
        for one in known.found.answered.get(entry.submission_id, [])
        if not described and known.concerns(one["county_code"], sender)
    ]
    if worst == "accepted" and any(one["open_queries_n"] for one in answered):
        worst = "accepted_with_queries"
    content = {
        "receipt_number": receipt_number(entry.submission_id),
        "submission_id": entry.submission_id,
        "file_name": mask_personal(first.file_name),
        "size_bytes": entry.size_bytes,
        "received_at": beijing_iso(utc(first.received_at)),
        "source_county_code": first.county_code,
        "source_county_name": names.get(first.county_code, first.county_code),
        "city_name": known.city_name,
        "arrivals": [
            {
                "file_name": mask_personal(arrival.file_name),
                "received_at": beijing_iso(utc(arrival.collected_at)),
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
        "erased": entry.erased
        and {"at": beijing_iso(utc(entry.erased.at)), "reason": mask_personal(entry.erased.reason)},
        "verdict": worst,
        "verdict_label": SYSTEM_FAULT if system_fault else _worst_label(worst, described) if filings else NOT_OURS,
        "system_fault": system_fault,
        "filings": described,
        "findings": outcomes,
        "first_findings": [
            {name: getattr(one, name) for name in ("outcome", "rule_id", "sheet", "cell", "message", "remedy")}
            for one in sorted(to_do, key=lambda one: OUTCOMES.index(one.outcome))
        ][:_SHOWN_FINDINGS],
        "open_findings_n": sum(
            one["errors_n"] + one["open_queries_n"] for one in described if one["is_open"] and not one["is_reply"]
        )
        + sum(one.outcome != "info" and one.status == "open" for one in unfiled),
        "explanations_n": explanations_n,
        "answered": answered,
        "annotated_file": annotated_name(entry) if issues and not entry.batch_members else None,
    }
    if not filings:
        owners = "、".join(sorted({names.get(one["county_code"], one["county_code"]) for one in every}))
        content["next_step"] = f"文件是{owners}的报表。如放错了信箱，请放入自己的报表；{owners}须从自己的信箱报送。"
        return content
    misnamed = _misnamed(arrivals, described)
    content["next_step"] = misnamed or _next_step(content, described)
    return content


def _misnamed(arrivals: Sequence[Arrival], filings: Sequence[dict[str, Any]]) -> str:
    """What to say where the same bytes came once more under the name of another period: blank when they did not."""
    periods = {filing["period"]: filing["period_label"] for filing in filings}
    for arrival in arrivals[1:]:
        hinted = read_period_in_name(arrival.file_name)
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


def _filing(known: Known, filing: dict[str, Any], issues: Sequence[Issue]) -> dict[str, Any]:
    decisions, names = known.decisions, known.names
    return_code, county_code, period = filing["return_code"], filing["county_code"], filing["period"]
    slot = (return_code, county_code, period)
    mine = [one for one in issues if (one.return_code, one.county_code, one.period) == slot]
    is_reply = filing["is_reply"] and filing["verdict"] != "rejected"
    # A reply changes no version: what it leaves open is what is still asked of the version in force.
    side = "in_force_" if is_reply else ""
    queries_n, explained_n = filing[f"{side}queries_n"] or 0, filing[f"{side}explained_n"] or 0
    is_standing = filing["is_reply"] or filing["is_in_force"] or filing["is_newest"]
    open_n = max(0, queries_n - explained_n) if is_standing else 0
    unread_n = sum(one.rule_id == "FILE-0-reply-unreadable" and one.status == "open" for one in mine) if is_reply else 0
    received_at = filing["received_at"]
    # As things stand now: after the last decision, which the log holds at its end.
    lock = lock_at(decisions, *slot, max(received_at, decisions[-1].at)) if decisions and all(slot) else None
    ruling = ruling_on(decisions, filing["submission_id"], slot)
    granted = waivers(decisions, *slot, received_at)
    same = filing["first_with_values_n"]
    described = {
        "return_code": return_code,
        "form_label": form_label(return_code),
        "county_code": county_code,
        "county_name": names.get(county_code, county_code),
        "period": period,
        "period_label": filing["period_label"] or period,
        "version_n": filing["version_n"],
        # The same file, sent before with others in between.
        "earlier_versions": filing["earlier_versions"],
        # As it stands: a query that is answered, or of a version that is superseded, is none any more.
        "verdict": "rejected"
        if filing["verdict"] == "rejected"
        else "accepted_with_queries"
        if open_n or unread_n
        else "accepted",
        "errors_n": filing["errors_n"],
        "queries_n": queries_n,
        "infos_n": filing["infos_n"],
        "open_queries_n": open_n,
        "explained_queries_n": explained_n if is_standing else 0,
        "unread_replies_n": unread_n,
        "rows_n": filing["rows_n"],
        "passed_over": json.loads(filing["passed_over"]) if filing["passed_over"] else None,
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
            "received_at": beijing_iso(filing["in_force_received_at"]),
        }
        if filing["in_force_submission_id"]
        else None,
        "newest": {
            "version_n": filing["newest_version_n"],
            "receipt_number": receipt_number(filing["newest_submission_id"]),
        }
        if filing["newest_submission_id"]
        else None,
        "is_in_force": filing["is_in_force"],
        "is_returned": filing["is_returned"],
        "is_reply": is_reply,
        "is_locked_out": filing["is_locked_out"] or any(one.rule_id == "FILE-0-locked" for one in mine),
        "locked": {"since": beijing_iso(lock.at), "until": None, "reason": lock.reason} if lock else None,
        "decision": ruling
        and {
            "action": ruling.action,
            "action_label": ACTION_LABELS[ruling.action],
            "by": ruling.by,
            "at": beijing_iso(ruling.at),
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
    return described | _standing(described)


def _standing(filing: dict[str, Any]) -> dict[str, Any]:
    """What is to be said of a filing as it stands now: `verdict_label`, `next_step`, and whether anything is left to do (`is_open`)."""
    in_force, newest, own = filing["in_force"], filing["newest"], filing["version_n"] or 0
    kept = f"第 {in_force['version_n']} 版继续有效" if in_force else "目前没有有效的版本"
    open_n = filing["open_queries_n"]
    explain = "在标注工作簿“问题清单”的“核实说明”列说明后发回，或更正后重新报送"

    def said(label: str, step: str, *, is_open: bool) -> dict[str, Any]:
        return {"verdict_label": label, "next_step": step, "is_open": is_open}

    if filing["is_reply"]:
        step = "数值与所标注的版本相同：只读取了核实说明，不算新版本"
        if unread_n := filing["unread_replies_n"]:
            step += f"；{unread_n} 条核实说明没有对应上，改法见下"
        if in_force is None and newest:
            step += f"；目前没有有效的版本，请按第 {newest['version_n']} 版的回执（{newest['receipt_number']}）处理"
        elif open_n and in_force:
            step += (
                f"；第 {in_force['version_n']} 版（回执 {in_force['receipt_number']}）还有 {open_n} 项须核实：{explain}"
            )
        elif not unread_n:
            step += "；核实问题均已说明，无需处理" if filing["queries_n"] else "；无需处理"
        label = f"已收到核实说明，还有 {open_n} 项须核实" if open_n else "已收到核实说明"
        return said(label, f"{step}。", is_open=bool(open_n or unread_n))
    rejected = filing["verdict"] == "rejected"
    label = "已被市局退回" if filing["is_returned"] else VERDICT_LABELS[filing["verdict"]]
    if not filing["is_in_force"] and in_force and in_force["version_n"] > own:
        later = f"第 {in_force['version_n']} 版"
        if rejected or filing["is_returned"]:
            return said(
                f"{label.partition('，')[0]}；此后的{later}有效", f"此后的{later}已接收有效，无需处理。", is_open=False
            )
        return said(f"已接收，已被{later}取代", f"已被{later}取代，无需处理。", is_open=False)
    if not filing["is_in_force"] and newest and newest["version_n"] > own:
        step = f"此后又报送了第 {newest['version_n']} 版，请按它的回执（{newest['receipt_number']}）处理；{kept}。"
        return said(label.partition("，")[0], step, is_open=False)
    if filing["is_returned"]:
        reason = f"（{filing['decision']['reason']}）" if filing["decision"] else ""
        return said(label, f"市局已退回{reason}，请更正后重新报送；{kept}。", is_open=True)
    if filing["is_locked_out"]:
        step = f"本期已锁定，这一版没有接收；确需更正的，请联系市局申请解锁，解锁期内把本文件再报一次即可；{kept}。"
        return said(label, step, is_open=True)
    if rejected:
        also = f"（另有 {open_n} 项须核实，请一并说明或更正）" if open_n else ""
        step = f"请按标注工作簿更正 {filing['errors_n']} 处错误{also}后重新报送；{kept}。"
        return said(label, step, is_open=True)
    step = f"有 {open_n} 项须核实：{explain}。" if open_n else "无需处理。"
    if newest and newest["version_n"] > own:
        step = (
            f"此后报送的第 {newest['version_n']} 版没有生效，请按它的回执（{newest['receipt_number']}）处理；本版继续有效。"
            + (step if open_n else "")
        )
    elif not open_n and filing["explained_queries_n"]:
        label = "已接收，核实问题均已说明"
    return said(label, step, is_open=bool(open_n))


def _next_step(content: dict[str, Any], filings: Sequence[dict[str, Any]]) -> str:
    if content["system_fault"]:
        return "这是本系统的故障，不是你们的错：无需重新报送，市局排除故障后会重新审核并另发回执。"
    if content["verdict"] == "rejected" and not filings:
        return "请按问题清单改正后重新报送。"
    if content["batch_members"]:
        return f"压缩包内 {len(content['batch_members'])} 个文件各有回执，请逐一查看。"
    if not filings and content["explanations_n"]:
        left = [
            f"{one['form_label']}{one['period_label']}还有 {one['open_queries_n']} 项须核实（见回执 {one['receipt_number']} 的标注工作簿）"
            for one in content["answered"]
            if one["open_queries_n"]
        ]
        unread = [f"另有 {content['open_findings_n']} 条没有对应上，改法见下"] if content["open_findings_n"] else []
        rest = "；".join([*unread, *left]) or "核实问题均已说明，无需处理"
        return f"已收到 {content['explanations_n']} 条核实说明；{rest}。"
    if not filings:
        return "文件里没有报表，也没有读到核实说明。如要答复，请在“问题清单”的“核实说明”列填写后发回。"
    return "；".join(dict.fromkeys(filing["next_step"].rstrip("。") for filing in filings)) + "。"


def receipt_stem(content: dict[str, Any]) -> str:
    """What the names of a receipt's files begin with, so that a folder sorts by return and period; the number keeps them apart.

    It follows from the file alone, so that a receipt keeps its name.
    """
    filings = content["filings"]
    forms = sorted({one["form_label"].partition(" ")[0] for one in filings})
    periods = {one["period"] for one in filings}
    parts = [forms[0] if len(forms) == 1 else f"{forms[0]}等{len(forms)}表"] if forms else []
    parts += [str(period) for period in periods if period] if len(periods) == 1 else []
    if not filings:
        parts = ["压缩包" if content["batch_members"] else "核实说明" if content["explanations_n"] else "其他文件"]
    return "_".join([*parts, content["receipt_number"]])


def annotated_name(entry: RawSubmission) -> str:
    """The annotated workbook's name, in which the county finds its own again."""
    stem = Path(mask_personal(entry.first.file_name)).stem
    stem = re.sub(r"^[0-9a-f]{16}_标注_", "", stem)  # one that came back is not called 标注_标注_…
    stem = "".join(character if character.isprintable() else "_" for character in stem)
    stem = re.sub(r'[\\/:*?"<>|\s.]+', "_", stem).strip("_")
    while len(stem.encode()) > _STEM_BYTES:
        stem = stem[:-1]
    return f"{receipt_number(entry.submission_id)}_标注_{stem or '报表'}.xlsx"
