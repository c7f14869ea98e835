"""Receipts: for each submission, what was received and what came of it, as JSON.

    warehouse/receipts/140902/3f2a….json

Belongs here: writing them from the build database, which can always do it again. The annotated workbook is not theirs.
"""

import json
from typing import Any

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.warehouse.build_database import get_state, open_build_database, set_state

_NEXT_STEP = {
    "accepted": "已接收，无需处理。",
    "accepted_with_queries": "已接收；有需核实的问题，请核实后说明或更正重报。",
    "rejected": "未接收：请按问题清单更正后重新报送；此前已接收的版本继续有效。",
}


def write_receipts(home: Home) -> int:
    """Write the receipts of everything landed since they were last written; returns how many.

    The caller holds `home.writing()`. A run killed in between leaves them for the next.
    """
    folder = home.warehouse / "receipts"
    with open_build_database(home) as connection:
        done = int(get_state(connection, "receipts_written") or 0)
        rows = connection.sql(
            """SELECT filing.*, submission.source_county_code, submission.size_bytes, calendar.due_on,
                      in_force.submission_id AS in_force_submission_id
               FROM landing.filing_version AS filing
               SEMI JOIN (SELECT submission_id, max(screening_seq) AS screening_seq
                          FROM landing.screened GROUP BY ALL) AS latest USING (submission_id, screening_seq)
               JOIN landing.submission AS submission USING (submission_id)
               LEFT JOIN control.calendar AS calendar USING (return_code, period)
               LEFT JOIN landing.filing_in_force AS in_force
                   ON filing.return_code = in_force.return_code AND filing.county_code = in_force.county_code
                   AND filing.period = in_force.period
               WHERE filing.screening_seq > $1
               ORDER BY filing.submission_id, filing.return_code, filing.period""",
            params=[done],
        ).pl()
        written = 0
        for (submission_id,), filings in rows.group_by(["submission_id"], maintain_order=True):
            first = filings.row(0, named=True)
            path = folder / first["source_county_code"] / f"{str(submission_id)[:16]}.json"
            content = _receipt(str(submission_id), filings.to_dicts())
            replace_file(path, (json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n").encode())
            written += 1
        if written:
            set_state(connection, "receipts_written", str(rows["screening_seq"].max()))
    return written


def _receipt(submission_id: str, filings: list[dict[str, Any]]) -> dict[str, Any]:
    first = filings[0]
    return {
        "receipt_number": submission_id[:16],
        "submission_id": submission_id,
        "file_name": first["file_name"],
        "size_bytes": first["size_bytes"],
        "received_at": first["received_at"],
        "filings": [
            {
                "return_code": filing["return_code"],
                "county_code": filing["county_code"],
                "period": filing["period"],
                "verdict": filing["verdict"],
                "errors_n": filing["errors_n"],
                "queries_n": filing["queries_n"],
                "infos_n": filing["infos_n"],
                "rows_n": filing["rows_n"],
                "due_on": filing["due_on"],
                "in_force_submission_id": filing["in_force_submission_id"],
                "next_step": _NEXT_STEP[filing["verdict"]],
            }
            for filing in filings
        ],
    }
