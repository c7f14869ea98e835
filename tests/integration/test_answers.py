"""What a county gets back, and what comes of it when it answers: receipts, annotated workbooks, replies, the bureau's decisions."""

import io
import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import fsspec
import openpyxl
import pytest
from builders import DINGXIANG, XINFU, CountyName, Draft

from pipelines.answers.delivery import deliver_all
from pipelines.home import OUTBOX_INDEX, Home
from pipelines.operations.rehearsal import rehearse
from pipelines.screening.rules import rule_set_version
from pipelines.warehouse.build_database import remove_build
from pipelines.warehouse.landing import Scope, land_new
from tests.homes import collect_all, edited_rules, marts_content, rows, small_home, update

RULE = "XB02-2-change-students-total"
BOARDERS = "XB02-1c-boarders-within-total"
SENT = datetime(2024, 10, 1, tzinfo=UTC).timestamp()
DAY = 86_400
LATER = date(2099, 12, 31)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of two counties that has sent nothing, its models built once for all tests."""
    home = small_home(
        tmp_path_factory.mktemp("built"), [(XINFU.code, "忻府区", "Xinfu"), (DINGXIANG.code, "定襄县", "Dingxiang")]
    )
    update(home)
    return home.root


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(built, tmp_path / "home")))


def grown(by: int, period: str = "2024-2025", county: CountyName = XINFU) -> Draft:
    """A faultless enrolment return; its first school has that many pupils more in each grade than in the period before."""
    draft = Draft("enrolment", county, period)
    row = draft.rows[0]
    for number in range(6):
        row[f"age_{6 + number}"] += by
        row[f"grade_{number + 1}"] += by
    row["students_total"] += 6 * by
    row["students_official_age"] += 6 * by
    return draft


def send(home: Home, content: bytes | Draft, name: str, days: float = 0, county: str = XINFU.code) -> None:
    import os

    inbox = home.root / "counties" / county
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_bytes(content if isinstance(content, bytes) else content.xlsx())
    os.utime(inbox / name, (SENT + days * DAY, SENT + days * DAY))


def receipt(home: Home, file_name: str, county: str = XINFU.code) -> dict:
    """The receipt of the file that was sent under a name."""
    found = [json.loads(path.read_text()) for path in (home.outbox / county).glob("*_回执.json")]
    (mine,) = [one for one in found if any(file_name == arrival["file_name"] for arrival in one["arrivals"])]
    return mine


def page_of(home: Home, said: dict) -> str:
    (path,) = (home.outbox / said["source_county_code"]).glob(f"*{said['receipt_number']}_回执.html")
    return path.read_text()


def index_of(home: Home, county: str = XINFU.code) -> str:
    return (home.outbox / county / OUTBOX_INDEX).read_text()


def annotated(home: Home, file_name: str) -> bytes:
    content = receipt(home, file_name)
    return (home.outbox / XINFU.code / content["annotated_file"]).read_bytes()


def replied(workbook: bytes, rule: str, text: str) -> bytes:
    """The annotated workbook with a reply beside every finding of a rule, as a clerk types it."""
    book = openpyxl.load_workbook(io.BytesIO(workbook))
    sheet = book["问题清单"]
    header = next(row for row in sheet.iter_rows() if any(cell.value == "核实说明" for cell in row))
    columns = {cell.value: cell.column for cell in header}
    answered = 0
    for row in sheet.iter_rows(min_row=header[0].row + 1):
        if any(cell.value == rule for cell in row):
            sheet.cell(row[0].row, columns["核实说明"]).value = text
            answered += 1
    assert answered
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def standing(home: Home, rule: str = RULE, period: str = "2024-2025") -> list[tuple]:
    return rows(
        home,
        "SELECT status, explanation, proposal FROM marts.mart_finding WHERE rule_id = ? AND period = ? ORDER BY ALL",
        rule, period,
    )  # fmt: skip


def board(home: Home, *columns: str, period: str = "2024-2025") -> tuple:
    (row,) = rows(
        home,
        f"""SELECT {", ".join(columns)} FROM marts.mart_submission_status
            WHERE return_code = 'enrolment' AND county_code = ? AND period = ?""",
        XINFU.code, period,
    )  # fmt: skip
    return row


def rebuilt(home: Home) -> dict[str, str]:
    before = marts_content(home)
    with home.writing():
        remove_build(home)
    update(home)
    assert marts_content(home) == before
    return before


def test_a_query_is_closed_by_the_reply_in_the_returned_workbook_until_the_value_moves_further_away(home: Home):
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    assert standing(home) == [("open", None, None)]
    open_before = board(home, "open_queries_n")[0]
    assert receipt(home, "本年.xlsx")["filings"][0]["open_queries_n"] == open_before >= 1

    send(home, replied(annotated(home, "本年.xlsx"), RULE, "撤点并校，三所教学点并入"), "本年（说明）.xlsx", 11)
    update(home)
    assert standing(home) == [("explained", "撤点并校，三所教学点并入", None)]
    assert board(home, "open_queries_n", "explained_queries_n", "in_force_version_n") == (open_before - 1, 1, 1)
    said = receipt(home, "本年（说明）.xlsx")
    assert said["filings"][0]["is_reply"] and said["explanations_n"] == 1
    assert "只读取了核实说明" in said["next_step"]
    assert receipt(home, "本年.xlsx")["filings"][0]["explained_queries_n"] == 1

    send(home, grown(14), "本年更正.xlsx", 12)
    update(home)
    assert standing(home)[0][0] == "explained"
    send(home, grown(16), "本年再更正.xlsx", 13)
    update(home)
    assert standing(home) == [("open", None, None)]
    rebuilt(home)


def test_a_reply_to_some_queries_is_told_how_many_are_left(home: Home):
    """Queries of the file itself (hidden rows) and of the period before, answered one after the other."""
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, hidden(grown(15)), "本年.xlsx", 10)
    update(home)
    said = receipt(home, "本年.xlsx")
    asked = said["filings"][0]["open_queries_n"]
    assert asked == said["findings"]["query"] == board(home, "open_queries_n")[0] >= 3
    assert said["verdict"] == "accepted_with_queries" and f"有 {asked} 项须核实" in said["next_step"]
    assert f"核实 {asked}" in page_of(home, said)

    returned = annotated(home, "本年.xlsx")
    answers = replied(returned, RULE, "撤点并校")
    send(home, answers, "说明一.xlsx", 11)
    update(home)
    first = receipt(home, "说明一.xlsx")
    left = board(home, "open_queries_n")[0]
    assert left == asked - 1
    assert first["filings"][0]["is_reply"] and first["verdict"] == "accepted_with_queries"
    assert f"还有 {left} 项须核实" in first["next_step"] and "无需处理" not in first["next_step"]
    assert f"还须核实 {left}" in page_of(home, first)
    assert f"有 {left} 项须核实" in receipt(home, "本年.xlsx")["next_step"]
    assert f"有 {left} 项须核实" in index_of(home)

    for rule in {
        one[0] for one in rows(home, "SELECT DISTINCT rule_id FROM marts.mart_finding WHERE outcome = 'query'")
    }:
        if rule != RULE:
            answers = replied(answers, rule, "属实")
    send(home, answers, "说明二.xlsx", 12)
    update(home)
    assert board(home, "open_queries_n") == (0,)
    for name in ("说明一.xlsx", "说明二.xlsx", "本年.xlsx"):
        done = receipt(home, name)
        assert (
            done["verdict"] == "accepted" and done["next_step"].endswith("无需处理。") and not done["first_findings"]
        ), name
    assert "没有要办的事" in index_of(home)


def hidden(draft: Draft) -> bytes:
    """The return with two data rows hidden."""
    book = openpyxl.load_workbook(io.BytesIO(draft.xlsx()))
    for row in (0, 1):
        cell = book[draft.sheet][draft.cell(row, "stage")]
        book[draft.sheet].row_dimensions[cell.row].hidden = True
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_the_receipt_of_a_version_that_another_follows_asks_for_nothing(home: Home):
    draft = Draft("enrolment")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft, "一.xlsx")
    update(home)
    assert "更正 1 处错误" in receipt(home, "一.xlsx")["next_step"]
    send(home, hidden(Draft("enrolment")), "二.xlsx", 1)
    update(home)
    first = receipt(home, "一.xlsx")
    assert first["next_step"] == "此后的第 2 版已接收有效，无需处理。" and not first["first_findings"]
    assert "待处理的问题" not in page_of(home, first)
    draft.rows[1]["boarders"] = "约四十"
    send(home, draft, "三.xlsx", 2)
    update(home)
    assert "第 3 版没有生效" in receipt(home, "二.xlsx")["next_step"]
    assert "第 2 版继续有效" in receipt(home, "三.xlsx")["next_step"]
    draft.rows[1]["boarders"] = "约五十"
    send(home, draft, "四.xlsx", 3)
    update(home)
    assert "第 4 版" in receipt(home, "三.xlsx")["next_step"]
    send(home, grown(1), "五.xlsx", 4)
    update(home)
    second = receipt(home, "二.xlsx")
    assert second["verdict"] == "accepted" and second["next_step"] == "已被第 5 版取代，无需处理。"
    assert second["filings"][0]["open_queries_n"] == 0


def test_the_index_of_an_outbox_leads_to_everything_and_follows_from_what_has_landed(home: Home):
    hostile = "'\"><img src=x onerror=alert(1)>.xlsx"
    draft = Draft("enrolment")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft, hostile.replace("/", ""), 0)
    send(home, grown(1), "更正.xlsx", 1)
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx", 2)
    send(home, "不是报表".encode(), "说明.txt", 3)
    update(home)
    page = index_of(home)
    assert "<img" not in page and "<script" not in page and "default-src 'none'" in page
    folder = home.outbox / XINFU.code
    targets = {unquote(one) for one in re.findall(r'href="([^"]*)"', page)}
    assert targets and all((folder / one).is_file() for one in targets)
    assert {path.name for path in folder.iterdir() if path.suffix != ".json"} == targets | {OUTBOX_INDEX}
    assert page.index("2024-2025学年") < page.index("2023-2024学年")
    assert "还没有收到的报表" in page and "XB01 学校（机构）名录" in page
    assert "第 2 版　更正.xlsx" in page and "说明.txt" in page
    assert (home.outbox / DINGXIANG.code / OUTBOX_INDEX).is_file(), "a county that has sent nothing is told what is due"
    names = {path.name for path in folder.iterdir()}
    stamp = (folder / OUTBOX_INDEX).stat().st_mtime_ns
    update(home)
    assert (folder / OUTBOX_INDEX).stat().st_mtime_ns == stamp
    (folder / "0123456789abcdef_回执.html").write_text("of a build database that is gone")
    with home.writing():
        remove_build(home)
    update(home)
    assert index_of(home) == page and {path.name for path in folder.iterdir()} == names


@pytest.mark.long
def test_last_periods_reply_is_proposed_and_is_no_reply_until_the_clerk_makes_it_one(home: Home):
    calendar = {"enrolment": ("2022-2023", "2024-2025", "start", 45)}
    home = small_home(home.root, [(XINFU.code, "忻府区", "Xinfu")], calendar)
    send(home, Draft("enrolment", period="2022-2023"), "一.xlsx")
    send(home, grown(15, "2023-2024"), "二.xlsx", 1)
    send(home, grown(60), "三.xlsx", 2)
    update(home)
    send(home, replied(annotated(home, "二.xlsx"), RULE, "新建小区"), "二（说明）.xlsx", 3)
    update(home)
    assert standing(home) == [("open", None, "新建小区")]
    book = openpyxl.load_workbook(io.BytesIO(annotated(home, "三.xlsx")))
    texts = [str(cell.value) for row in book["问题清单"].iter_rows() for cell in row if cell.value]
    assert any("上期说明" in text and "新建小区" in text for text in texts)
    send(home, annotated(home, "三.xlsx"), "三（原样发回）.xlsx", 4)
    update(home)
    assert standing(home) == [("open", None, "新建小区")]


def test_a_reply_to_another_countys_query_counts_for_nobody(home: Home):
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    send(home, replied(annotated(home, "本年.xlsx"), RULE, "冒充"), "冒充.xlsx", 11, DINGXIANG.code)
    update(home)
    assert standing(home) == [("open", None, None)]
    found = rows(home, "SELECT DISTINCT county_code FROM marts.mart_finding WHERE rule_id = 'FILE-0-reply-unreadable'")
    assert found == [(DINGXIANG.code,)]


@pytest.mark.long
def test_a_late_reply_takes_back_no_correction_and_no_acceptance(home: Home):
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    returned = annotated(home, "本年.xlsx")
    send(home, grown(14), "本年更正.xlsx", 11)
    update(home)
    corrected = in_force(home)
    decide(home, "accept", submission_id=corrected, **slot(home))
    send(home, replied(returned, RULE, "并校"), "本年（说明）.xlsx", 12)
    update(home)
    assert board(home, "in_force_submission_id", "in_force_version_n", "versions_n", "bureau_decision") == (
        corrected, 2, 2, "accepted",
    )  # fmt: skip
    # What was said of a difference of 90 holds for one of 84.
    assert standing(home) == [("explained", "并校", None)]
    rebuilt(home)


@pytest.mark.long
def test_a_workbook_sent_back_with_a_correction_and_a_reply_is_both(home: Home):
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    book = openpyxl.load_workbook(io.BytesIO(replied(annotated(home, "本年.xlsx"), RULE, "并校")))
    draft = grown(15)
    book[draft.sheet][draft.cell(0, "boarders")].value = 4
    stream = io.BytesIO()
    book.save(stream)
    send(home, stream.getvalue(), "更正并说明.xlsx", 11)
    update(home)
    assert standing(home) == [("explained", "并校", None)]
    assert board(home, "versions_n", "in_force_version_n") == (2, 2)


def test_a_reply_to_a_query_that_was_never_asked_counts_for_nothing(home: Home):
    from pipelines.screening.explanations import token

    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    with_token = openpyxl.Workbook()
    with_token.active.title = "问题清单"
    with_token.active.append(["核实说明", "问题编号"])
    query = next(
        Forged(*row)
        for row in rows(home, "SELECT return_code, county_code, period, rule_id, subject, column_label, '+99999999' "
                              "FROM marts.mart_finding WHERE rule_id = ?", RULE)
    )  # fmt: skip
    with_token.active.append(["随便说说", token(query)])
    bad = "X1|enrolment|140902|2024-2025|R|%00D800|x|+1|aaaaaaaaaaaa"
    with_token.active.append(["随便说说", bad])
    stream = io.BytesIO()
    with_token.save(stream)
    send(home, stream.getvalue(), "伪造.xlsx", 11)
    update(home)
    assert standing(home) == [("open", None, None)]
    assert receipt(home, "伪造.xlsx")["findings"]["query"] == 2


@dataclass(frozen=True)
class Forged:
    """What a token is made of, made up by a county."""

    return_code: str
    county_code: str
    period: str
    rule_id: str
    subject: str
    column_label: str
    difference: str


def test_a_correction_on_the_quoted_rows_is_told_that_nobody_reads_it(home: Home):
    draft = Draft("enrolment")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft.csv(), "本年.csv")
    update(home)
    book = openpyxl.load_workbook(io.BytesIO(annotated(home, "本年.csv")))
    stream = io.BytesIO()
    book.save(stream)
    send(home, stream.getvalue(), "在摘录上改.xlsx", 1)
    update(home)
    said = receipt(home, "在摘录上改.xlsx")
    assert (said["verdict"], said["first_findings"][0]["rule_id"]) == ("rejected", "FILE-0-no-reply")
    assert "摘录" in said["first_findings"][0]["remedy"]


def test_a_file_in_the_wrong_inbox_is_answered_there_and_where_it_belongs(home: Home):
    content = Draft("enrolment").xlsx()
    send(home, content, "忻府.xlsx", 0, DINGXIANG.code)
    update(home)
    assert receipt(home, "忻府.xlsx", DINGXIANG.code)["verdict"] == "rejected"
    send(home, content, "忻府.xlsx", 1)
    update(home)
    theirs, own = receipt(home, "忻府.xlsx", DINGXIANG.code), receipt(home, "忻府.xlsx")
    assert (own["verdict"], own["source_county_code"], len(own["filings"])) == ("accepted", XINFU.code, 1)
    assert (theirs["verdict"], theirs["filings"]) == ("rejected", [])
    assert "忻府区" in theirs["next_step"] and not theirs["system_fault"]


def test_last_years_file_under_this_years_name_is_told_to_be_last_years(home: Home):
    content = Draft("enrolment", period="2023-2024").xlsx()
    send(home, content, "2023-2024学年在校学生.xlsx")
    update(home)
    send(home, content, "2024-2025学年在校学生（更正）.xlsx", 5)
    update(home)
    said = receipt(home, "2024-2025学年在校学生（更正）.xlsx")
    assert "是2023-2024学年的报表，不是2024-2025学年的" in said["next_step"]


@pytest.mark.long
def test_a_list_of_findings_alone_is_a_reply_and_no_filing(home: Home):
    """What comes back for a CSV holds no return, only the list."""
    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15).csv(), "本年.csv", 10)
    update(home)
    send(home, replied(annotated(home, "本年.csv"), RULE, "并校"), "答复.xlsx", 11)
    update(home)
    assert standing(home) == [("explained", "并校", None)]
    assert board(home, "versions_n", "in_force_version_n") == (1, 1)
    said = receipt(home, "答复.xlsx")
    assert (said["verdict"], said["filings"]) == ("accepted", [])
    assert "1 条核实说明" in said["next_step"] and said["filings"] == []
    left = board(home, "open_queries_n")[0]
    assert (f"还有 {left} 项须核实" in said["next_step"]) == (left > 0)


def test_the_same_bytes_once_more_are_answered_and_nothing_else_happens(home: Home):
    content = Draft("enrolment").xlsx()
    send(home, content, "一.xlsx")
    update(home)
    before = marts_content(home)
    send(home, content, "又报一次.xlsx", 5)
    update(home)
    said = receipt(home, "又报一次.xlsx")
    assert [(arrival["file_name"], arrival["again"]) for arrival in said["arrivals"]] == [
        ("一.xlsx", False), ("又报一次.xlsx", True),
    ]  # fmt: skip
    page = page_of(home, said)
    assert "又报一次.xlsx" in page
    assert marts_content(home) == before
    assert board(home, "versions_n") == (1,)


def test_a_rejected_file_comes_back_with_its_bad_cell_marked(home: Home):
    draft = Draft("enrolment")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft, "在校生.xlsx")
    update(home)
    said = receipt(home, "在校生.xlsx")
    assert said["verdict"] == "rejected" and not said["system_fault"]
    book = openpyxl.load_workbook(io.BytesIO(annotated(home, "在校生.xlsx")))
    assert book.sheetnames[0] == "问题清单"
    cell = book[draft.sheet][draft.cell(1, "boarders")]
    assert cell.value == "约三十"
    assert "XB02-1a-boarders" in cell.comment.text
    assert cell.fill.fill_type == "solid"
    # Sent back as it is, it is judged as it was.
    send(home, annotated(home, "在校生.xlsx"), "没有改.xlsx", 1)
    update(home)
    assert receipt(home, "没有改.xlsx")["findings"] == said["findings"]


def decide(home: Home, action: str, **scope: object) -> None:
    home.decisions.append(action, by="市局甲", reason="因", now=datetime.now(UTC), **scope)  # type: ignore[arg-type]


def slot(home: Home) -> dict[str, str]:
    return {"return_code": "enrolment", "county_code": XINFU.code, "period": "2024-2025"}


def in_force(home: Home) -> str:
    return board(home, "in_force_submission_id")[0]


@pytest.mark.long
def test_a_returned_version_gives_way_to_the_one_before_and_the_county_is_told(home: Home):
    send(home, Draft("enrolment"), "一.xlsx")
    send(home, grown(1), "二.xlsx", 1)
    update(home)
    second = in_force(home)
    decide(home, "return", submission_id=second, **slot(home))
    update(home)
    assert board(home, "state", "in_force_version_n", "bureau_decision", "bureau_reason") == (
        "in_force_newer_returned", 1, "returned", "因",
    )  # fmt: skip
    said = receipt(home, "二.xlsx")
    assert "市局已退回（因）" in said["next_step"] and not said["filings"][0]["is_in_force"]
    rebuilt(home)
    decide(home, "accept", submission_id=second, **slot(home))
    update(home)
    assert board(home, "state", "in_force_version_n", "bureau_decision") == ("in_force", 2, "accepted")
    decide(home, "revoke", revokes=2)
    update(home)
    assert board(home, "state", "bureau_decision") == ("in_force_newer_returned", "returned")
    decide(home, "revoke", revokes=1)
    update(home)
    assert board(home, "state", "bureau_decision") == ("in_force", None)
    assert rows(home, "SELECT action, revoked_at IS NOT NULL FROM marts.mart_decision ORDER BY decision_n") == [
        ("return", True), ("accept", True), ("revoke", False), ("revoke", False),
    ]  # fmt: skip
    rebuilt(home)


@pytest.mark.long
def test_a_waived_rule_lets_the_file_in_that_lies_there_already(home: Home):
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = draft.rows[0]["students_total"] + 1
    send(home, draft, "一.xlsx")
    update(home)
    assert board(home, "state") == ("rejected",)
    decide(home, "waive", rule_id=BOARDERS, county_code=XINFU.code, until=LATER)
    update(home)
    assert board(home, "state", "open_errors_n", "waived_n") == ("in_force", 0, 1)
    assert standing(home, BOARDERS) == [("waived", None, None)]
    assert receipt(home, "一.xlsx")["filings"][0]["waivers"][0]["by"] == "市局甲"
    rebuilt(home)
    decide(home, "revoke", revokes=1)
    update(home)
    assert board(home, "state", "open_errors_n", "waived_n") == ("rejected", 1, 0)
    assert rows(home, "SELECT count(*) FROM marts.release_input WHERE return_code = 'enrolment'") == [(0,)]


def test_a_locked_period_refuses_new_versions_and_takes_the_same_file_after_it_is_opened(home: Home):
    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    decide(home, "lock", period="2024-2025")
    late = grown(1).xlsx()
    send(home, late, "迟到.xlsx", 1)
    update(home)
    assert board(home, "state", "in_force_version_n", "is_locked") == ("in_force_newer_rejected", 1, True)
    said = receipt(home, "迟到.xlsx")
    assert said["filings"][0]["locked"]["reason"] == "因"
    assert "已于" in said["first_findings"][0]["message"] and "解锁" in said["first_findings"][0]["remedy"]
    decide(home, "unlock", period="2024-2025", county_code=XINFU.code, until=LATER)
    update(home)
    assert board(home, "is_locked", "in_force_version_n") == (False, 1)
    send(home, late, "再报.xlsx", 2)
    update(home)
    assert board(home, "state", "in_force_version_n") == ("in_force", 2)
    rebuilt(home)


@pytest.mark.long
def test_a_rehearsal_names_who_would_be_affected_and_changes_nothing(home: Home, tmp_path):
    def stricter(rules: list[dict]) -> None:
        rules.append({"rule": "XB02-1c-no-boarders", "check": "at_most", "column": "boarders", "of": "repeaters"})

    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    before = marts_content(home)
    with edited_rules(tmp_path, "enrolment", stricter):
        with home.writing():
            (affected,) = rehearse(home, Scope(period="2024-2025"))
            assert rehearse(home, Scope(period="2023-2024")) == []
        assert (affected.verdict_before, affected.verdict_after) == ("accepted", "rejected")
        assert affected.new_rules == {"XB02-1c-no-boarders": 2} and affected.gone_rules == {}
        update(home)
        after = marts_content(home)
        assert {**after, "release": before["release"]} == before  # which names the rules
        with home.writing():
            land_new(home, again=Scope(period="2024-2025"))
        update(home)
        assert board(home, "state") == ("rejected",)


@pytest.mark.long
def test_a_rule_asks_only_of_the_periods_for_which_it_is_in_force(home: Home, tmp_path):
    def dated(rules: list[dict]) -> None:
        entry(rules, BOARDERS)["valid_from"] = date(2025, 1, 1)
        entry(rules, RULE)["valid_to"] = date(2025, 1, 1)

    with edited_rules(tmp_path, "enrolment", dated):
        for period, name in (("2023-2024", "上年.xlsx"), ("2024-2025", "本年.xlsx")):
            draft = grown(0 if period == "2023-2024" else 15, period)
            draft.rows[0]["boarders"] = draft.rows[0]["students_total"] + 1
            send(home, draft, name)
        update(home)
        assert rows(home, f"SELECT period FROM marts.mart_finding WHERE rule_id = '{BOARDERS}'") == [("2024-2025",)]
        send(home, grown(15), "本年更正.xlsx", 5)
        update(home)
        assert standing(home) == []


def entry(rules: list[dict], rule: str) -> dict:
    return next(one for one in rules if one["rule"] == rule)


# Carrying them to the counties -----------------------------------------------------------------------------------------


def with_outbox(home: Home, uri: str) -> Home:
    text = home.configuration.read_text()
    source = f'source: "counties/{XINFU.code}"'
    home.configuration.write_text(text.replace(source, f'{source}, outbox: "{uri}"'))
    return Home(home.root)


def test_answers_reach_the_countys_own_folder_and_follow_every_change(home: Home, tmp_path: Path):
    home = with_outbox(home, str(tmp_path / "发回" / "忻府区"))
    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    assert deliver_all(home) == {}
    there = tmp_path / "发回" / "忻府区"
    assert {path.name for path in there.iterdir()} == {path.name for path in (home.outbox / XINFU.code).iterdir()}
    stamps = {path.name: path.stat().st_mtime_ns for path in there.iterdir()}
    assert deliver_all(home) == {}
    assert {path.name: path.stat().st_mtime_ns for path in there.iterdir()} == stamps
    send(home, grown(1), "二.xlsx", 1)
    update(home)
    assert deliver_all(home) == {}
    for path in (home.outbox / XINFU.code).iterdir():
        assert (there / path.name).read_bytes() == path.read_bytes()


def test_an_object_store_is_an_outbox_too(home: Home):
    fsspec.filesystem("memory").store.clear()
    home = with_outbox(home, "memory://answers/140902")
    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    assert deliver_all(home) == {}
    assert len(fsspec.filesystem("memory").ls("/answers/140902")) == 3


def test_a_folder_that_cannot_be_reached_holds_up_nobody_and_is_tried_again(home: Home, tmp_path: Path):
    blocked = tmp_path / "没有这个盘"
    blocked.write_text("一个文件，不是文件夹")
    home = with_outbox(home, str(blocked / "忻府区"))
    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    assert list(deliver_all(home)) == [XINFU.code]
    blocked.unlink()
    assert deliver_all(home) == {}
    assert len(list((blocked / "忻府区").iterdir())) == 3


def test_nothing_is_collected_from_an_inbox_that_is_also_where_answers_go(home: Home):
    from pipelines.municipality import ConfigurationError

    with pytest.raises(ConfigurationError, match="回执文件夹"):
        with_outbox(home, f"counties/{XINFU.code}/回执").municipality  # noqa: B018


def test_a_rejection_without_a_reason_is_told_as_our_fault(home: Home):
    """It must never happen; if it does, the county is not sent looking for a mistake of its own."""
    import duckdb

    from pipelines.answers.answers import write_answers

    draft = Draft("enrolment")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft, "一.xlsx")
    collect_all(home)
    update(home)
    with home.writing():
        with duckdb.connect(str(home.build_database)) as connection:
            connection.execute("DELETE FROM landing.finding; DELETE FROM control.answer")
        write_answers(home)
    said = receipt(home, "一.xlsx")
    assert said["system_fault"] and "系统的故障" in said["next_step"]
    page = page_of(home, said)
    assert "系统" in page and "请更正后重新报送" not in page


def test_timestamps_of_receipts_are_in_beijing_time(home: Home):
    send(home, Draft("enrolment"), "一.xlsx")
    update(home)
    assert (
        receipt(home, "一.xlsx")["received_at"] == (datetime(2024, 10, 1) + timedelta(hours=8)).isoformat() + "+08:00"
    )


def test_rules_across_filings_are_asked_again_of_everybody_when_they_change(home: Home, tmp_path):
    def gentler(rules: list[dict]) -> None:
        entry(rules, RULE)["persons"] = 100

    send(home, Draft("enrolment", period="2023-2024"), "上年.xlsx")
    send(home, grown(15), "本年.xlsx", 10)
    update(home)
    assert standing(home) == [("open", None, None)]
    with edited_rules(tmp_path, "enrolment", gentler):
        landed, _ = update(home)
        assert landed.submissions_n == 0
        assert standing(home) == []
        versions = rows(home, "SELECT DISTINCT rule_set_version FROM marts.mart_filing_version")
        assert len(versions) == 1 and versions[0][0] != rule_set_version()
    assert versions[0][0] == rule_set_version()


def test_our_own_fault_with_one_file_holds_up_nobody_else_and_is_tried_again(home: Home, monkeypatch):
    from pipelines.screening import screen as module

    send(home, Draft("enrolment"), "一.xlsx")
    send(home, Draft("enrolment", DINGXIANG), "二.xlsx", 0, DINGXIANG.code)
    original = module._identified

    def fail(submission, *more):
        if submission.file_name == "一.xlsx":
            raise ZeroDivisionError("ours")
        return original(submission, *more)

    monkeypatch.setattr(module, "_identified", fail)
    landed, _ = update(home)
    assert list(landed.faults.values()) == ["ZeroDivisionError: ours"]
    in_force_n = "SELECT county_code FROM marts.mart_submission_status WHERE in_force_submission_id IS NOT NULL"
    assert rows(home, in_force_n) == [(DINGXIANG.code,)]
    monkeypatch.undo()
    landed, _ = update(home)
    assert landed.faults == {}
    assert sorted(rows(home, in_force_n)) == [(XINFU.code,), (DINGXIANG.code,)]
