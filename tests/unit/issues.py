"""Issues and headings for the tests of what a county opens."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipelines.answers.annotated import Heading, Issue

_ISSUE = Issue(
    finding_id="0" * 20, submission_id="5" * 64, return_code="enrolment", county_code="140902", period="2024-2025",
    rule_id="XB02-1c-total-equals-ages", level="1c", outcome="error", file_name="报表.xlsx", sheet="在校（园）学生统计表",
    cell="D4", source_row=4, form_label="XB02 在校（园）学生统计表", row_label="南关小学", column_label="在校生数",
    value="99", expected="60", difference="+39", message="“在校生数”为 99，各年龄之和为 60，相差 +39。",
    remedy="请核对在校生数与分年龄人数。", subject="1409020001/小学",
)  # fmt: skip


def an_issue(**changes: Any) -> Issue:
    return replace(_ISSUE, **changes)


def heading(issues: Iterable[Issue], **changes: Any) -> Heading:
    counts = Counter(issue.rule_id for issue in issues)
    given = {
        "receipt_number": "140902-20241008-0001", "submission_id": "5" * 64, "county_name": "忻府区",
        "received_at": "2024-10-08T09:30:00+08:00", "verdict": "未接收，须改正", "counts": counts,
        "what_next": "请改正红色单元格后重新报送。",
    }  # fmt: skip
    return Heading(**{**given, **changes})
