"""The receipt page: says what the receipt says, safely, on its own."""

from html.parser import HTMLParser
from typing import Any

import pytest

from pipelines.answers.receipt_page import receipt_page

_FILING: dict[str, Any] = {
    "return_code": "enrolment", "form_label": "XB02 在校（园）学生统计表", "county_code": "140902", "county_name": "忻府区",
    "period": "2024-2025", "period_label": "2024-2025学年", "version_n": 2, "verdict": "accepted", "verdict_label": "已接收",
    "errors_n": 0, "queries_n": 0, "infos_n": 0, "open_queries_n": 0, "explained_queries_n": 0, "rows_n": 156,
    "due_on": "2024-10-31", "is_on_time": True, "same_values_as_version_n": None,
    "in_force": {"version_n": 2, "receipt_number": "8f14e45fceea167a", "file_name": "在校生.xlsx",
                 "received_at": "2024-10-08T09:30:00+08:00"},
    "is_in_force": True, "locked": None, "decision": None, "waivers": [], "next_step": "无需处理。",
}  # fmt: skip


def filing(**changes: Any) -> dict[str, Any]:
    return {**_FILING, **changes}


def receipt(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "receipt_number": "8f14e45fceea167a", "submission_id": "8f14e45fceea167a" * 4, "file_name": "在校生.xlsx", "size_bytes": 48213,
        "received_at": "2024-10-08T09:30:00+08:00", "source_county_code": "140902", "source_county_name": "忻府区",
        "city_name": "忻州市", "arrivals": [{"file_name": "在校生.xlsx", "received_at": "2024-10-08T09:30:00+08:00", "again": False}],
        "batch": None, "verdict": "accepted", "verdict_label": "已接收", "system_fault": False, "filings": [filing()],
        "findings": {"error": 0, "query": 0, "info": 0}, "first_findings": [], "explanations_n": 0, "annotated_file": None,
        "next_step": "无需处理。",
    }  # fmt: skip
    return {**content, **changes}


QUERIES = receipt(
    verdict="accepted_with_queries", verdict_label="已接收，有须核实的问题", findings={"error": 0, "query": 14, "info": 2}, explanations_n=3, open_findings_n=11,
    annotated_file="8f14e45fceea167a_标注_在校生.xlsx", next_step="有 11 处须核实：在标注工作簿“问题清单”的“核实说明”列说明后发回。",
    filings=[filing(verdict="accepted_with_queries", verdict_label="已接收，有须核实的问题", queries_n=14, open_queries_n=11, explained_queries_n=3, infos_n=2,
                    waivers=[{"rule_id": "XB02-2-change", "by": "李主任", "reason": "撤点并校", "until": "2025-08-31"}])],
    first_findings=[{"outcome": "query", "rule_id": "XB02-2-change", "sheet": "在校（园）学生统计表", "cell": f"D{row}",
                     "message": f"在校生数比上年多 {row * 10} 人（+{row}0%）。", "remedy": "属实的，在核实说明中写明原因。"} for row in range(4, 14)],
)  # fmt: skip
REJECTED = receipt(
    verdict="rejected", verdict_label="未接收，请更正", findings={"error": 3, "query": 0, "info": 0}, next_step="请按标注工作簿更正 3 处错误后重新报送。",
    annotated_file="8f14e45fceea167a_标注_在校生.xlsx",
    filings=[filing(verdict="rejected", verdict_label="未接收，请更正", errors_n=3, is_in_force=False, is_on_time=False, version_n=3,
                    next_step="请按标注工作簿更正 3 处错误后重新报送；第 2 版继续有效。")],
    first_findings=[{"outcome": "error", "rule_id": "XB02-1c-total", "sheet": "在校（园）学生统计表", "cell": "D4",
                     "message": "“在校生数”为 99，各年龄之和为 60，相差 +39。", "remedy": "请核对在校生数与分年龄人数。"},
                    {"outcome": "error", "rule_id": "FILE-0-x", "sheet": "", "cell": "", "message": "文件打不开。", "remedy": "请另存。"}],
)  # fmt: skip
FAULT = receipt(verdict="rejected", verdict_label="系统故障，尚未判定", system_fault=True, filings=[],
                next_step="无需重新报送，市局排除故障后会重新审核并另发回执。")  # fmt: skip
BATCH = receipt(
    file_name="忻府区.zip", filings=[], next_step="压缩包内 2 个文件各有回执，请逐一查看。",
    batch_members=[{"receipt_number": "0123456789abcdef", "file_name": "在校生.xlsx"},
                   {"receipt_number": "fedcba9876543210", "file_name": "教师工资.xlsx"}],
)  # fmt: skip
LOCKED = receipt(
    verdict="rejected", verdict_label="未接收", findings={"error": 1, "query": 0, "info": 0},
    filings=[filing(verdict="rejected", verdict_label="未接收", errors_n=1, is_in_force=False,
                    locked={"since": "2024-11-01T00:00:00+08:00", "until": None, "reason": "年报已上报省厅"},
                    decision={"action": "return", "action_label": "退回", "by": "李主任", "at": "2024-11-02T10:00:00+08:00", "reason": "口径有误"})],
    next_step="本期已锁定，请联系市局。", batch={"file_name": "忻府区.zip", "receipt_number": "00ff00ff00ff00ff"},
    arrivals=[{"file_name": "在校生.xlsx", "received_at": "2024-10-08T09:30:00+08:00", "again": False},
              {"file_name": "在校生(1).xlsx", "received_at": "2024-10-09T08:00:00+08:00", "again": True}],
)  # fmt: skip
ALL = {
    "accepted": receipt(),
    "queries": QUERIES,
    "rejected": REJECTED,
    "fault": FAULT,
    "batch": BATCH,
    "locked": LOCKED,
}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def parsed(content: dict[str, Any]) -> _Page:
    page = _Page()
    page.feed(receipt_page(content))
    assert page.open == []
    return page


def words(content: dict[str, Any]) -> str:
    return " ".join(parsed(content).words)


@pytest.mark.parametrize("name", ALL)
def test_a_page_stands_alone(name):
    page = parsed(ALL[name])
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & set(page.tags)
    assert not {key for key, _ in page.attributes if key.startswith("on") or key in ("src", "href", "style")}
    html = receipt_page(ALL[name])
    assert "default-src 'none'" in html
    assert "url(" not in html and "@import" not in html and "http" not in html.replace("http-equiv", "")


@pytest.mark.parametrize("name", ALL)
def test_a_page_says_number_time_hash_file_and_what_to_do(name):
    content, said = ALL[name], words(ALL[name])
    for value in (content["receipt_number"], content["submission_id"], content["file_name"], content["next_step"]):
        assert value in said
    assert "2024年10月8日 09:30" in said


def test_a_system_fault_is_not_the_countys():
    said = words(FAULT)
    assert "系统故障" in said and "不是报送错误" in said and "无需处理" in said
    assert "退回" not in said
    assert "系统故障" not in words(REJECTED)


def test_a_rejection_names_what_stays_in_force():
    said = words(REJECTED)
    assert "逾期" in said
    assert "第 3 版" in said
    assert "第 2 版　在校生.xlsx　2024年10月8日 09:30收到" in said
    assert "本次报送：" not in said


def test_queries_are_counted_by_what_is_answered():
    said = words(QUERIES)
    assert "核实 14（已说明 3，还须核实 11）" in said
    assert "列出 8 处" in said
    assert "XB02-2-change（李主任，至 2025年8月31日）：撤点并校" in said


def test_every_row_of_the_sheet_is_accounted_for():
    told = {"sheet_rows_n": 118, "sheets": [{"sheet": "封面", "rows_n": 8}],
            "kinds": [{"label": "表头", "rows_n": 2, "rows": "2–3"}, {"label": "合计", "rows_n": 1, "rows": "115"},
                      {"label": "空行", "rows_n": 8, "rows": "1、5、7、9、11、13、15、17"}]}  # fmt: skip
    said = words(receipt(filings=[filing(passed_over=told)]))
    assert "全表 118 行，其余：表头 2 行（第 2–3 行）；合计 1 行（第 115 行）" in said
    assert "空行 8 行（第 1、5、7、9、11、13 等 行）" in said
    assert "没有报表的工作表：“封面” 8 行" in said
    assert "未读入的行" not in words(receipt())


def test_a_lock_a_decision_and_a_second_arrival_are_said():
    said = words(LOCKED)
    assert "年报已上报省厅" in said and "口径有误" in said
    assert "在校生(1).xlsx" in said and "内容完全相同" in said
    assert "00ff00ff00ff00ff" in said


def test_a_batch_names_the_receipt_of_each_file():
    assert "fedcba9876543210" in words(BATCH)


def _hostile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hostile(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hostile(inner) for inner in value]
    return "'\"><script>alert(1)</script><img src=x onerror=y>\u202e" if isinstance(value, str) else value


@pytest.mark.parametrize("name", ALL)
def test_everything_is_escaped(name):
    page = parsed(_hostile(ALL[name]))
    assert "script" not in page.tags and "img" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert "\u202e" not in receipt_page(_hostile(ALL[name]))


def test_the_same_receipt_is_the_same_page():
    assert receipt_page(QUERIES) == receipt_page(dict(QUERIES))
