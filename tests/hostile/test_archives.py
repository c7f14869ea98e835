"""Zips made to harm, and zips of returns: bounded before anything is unpacked, refused with the member's name, or taken in whole."""

import io
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import DINGXIANG, SETTINGS, XINFU, Draft, bare_xlsx, submission

from pipelines.home import Home
from pipelines.intake.batches import unpack
from pipelines.intake.collect import collect
from pipelines.intake.raw_store import RawStore
from pipelines.screening.screen import screen
from pipelines.warehouse.landing import land_new
from pipelines.workbooks.batch_contents import plain_name
from pipelines.workbooks.bounded import ReadLimits, ReadRequest, read_files
from pipelines.workbooks.workbook import Refusal, Workbook
from tests.homes import small_home
from tests.hostile import files

GOOD = Draft("enrolment").xlsx()
OTHER = Draft("enrolment", county=DINGXIANG).xlsx()
NOW = datetime(2024, 10, 8, 1, 30, tzinfo=UTC)


def read(folder: Path, content: bytes, limits: ReadLimits = ReadLimits(seconds=20), name: str = "报表.zip"):
    path = folder / "file"
    path.write_bytes(content)
    return next(read_files([ReadRequest(path, name)], limits, processes=1))


BAD = {
    "bomb": (files.bomb(), "FILE-0-limits", "压缩炸弹"),
    "bomb in a batch": (files.bomb(name="a.csv").replace(b"[Content_Types].xml", b"[Content-Types].xml"), "FILE-0-limits", "压缩炸弹"),
    "overlapping members": (files.overlapping(50, 100_000), "FILE-0-limits", "占用同一段数据"),
    "too many members": (files.many_members(10_001), "FILE-0-limits", "10,000"),
    "too many files": (files.many_members(501), "FILE-0-limits", "501"),
    "billion laughs": (files.laughs(bare_xlsx("")), "FILE-0-unreadable", "实体"),
    "path out": (files.zipped({"../../etc/报表.xlsx": GOOD}), "FILE-0-archive", "../../etc/报表.xlsx"),
    "absolute path": (files.zipped({"/etc/报表.xlsx": GOOD}), "FILE-0-archive", "/etc/报表.xlsx"),
    "drive": (files.zipped({"C:\\报表.xlsx": GOOD}), "FILE-0-archive", "C:/报表.xlsx"),
    "backslashes out": (files.zipped({"..\\报表.xlsx": GOOD}), "FILE-0-archive", "../报表.xlsx"),
    "path out of a workbook": (files.zipped(files.parts_of(GOOD) | {"../x": b""}), "FILE-0-archive", "../x"),
    "link": (files.with_symlink({"a.xlsx": GOOD}, "b.xlsx", "/etc/passwd"), "FILE-0-archive", "b.xlsx"),
    "name twice": (files.twice_named("a.csv", b"1", b"2"), "FILE-0-archive", "两个“a.csv”"),
    "nested": (files.nested(3, files.zipped({"报表.xlsx": GOOD})), "FILE-0-archive", "本身又是压缩包"),
    "rar inside": (files.zipped({"x.xlsx": GOOD, "旧.rar": b"Rar!\x1a\x07\x01"}), "FILE-0-archive", "旧.rar"),
    "bomb inside": (files.zipped({"报表.xlsx": files.bomb()}), "FILE-0-limits", "压缩炸弹"),
    "encrypted": (files.encrypted_flag(files.zipped({"报表.xlsx": GOOD})), "FILE-0-archive", "设有密码"),
    "lying size": (files.lying_size("a.csv", b"1,2\n" * 9, 8), "FILE-0-archive", "a.csv"),
    "encrypted, with a name like a limit": (
        files.encrypted_flag(files.zipped({"超过标准班额.xlsx": GOOD})), "FILE-0-archive", "设有密码",
    ),
    "nothing": (files.zipped({}), "FILE-0-archive", "没有可收取的文件"),
    "rubbish only": (files.zipped({"__MACOSX/._a.xlsx": b"x", "Thumbs.db": b"x", "空/": b""}), "FILE-0-archive", "没有可收取"),
    "odd method": (files.zipped({"a.csv": b"1"}, compression=zipfile.ZIP_LZMA), "FILE-0-archive", "压缩方法"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused_fast_with_a_reason_that_names_it(tmp_path, name):
    content, rule, words = BAD[name]
    start = time.monotonic()
    outcome = read(tmp_path, content)
    assert isinstance(outcome, Refusal), outcome
    assert outcome.rule_id == rule and words in outcome.detail, outcome
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", BAD)
def test_the_intake_unpacks_nothing_of_a_bad_archive(tmp_path, name):
    store = RawStore(tmp_path)
    submission_id, _ = store.keep(io.BytesIO(BAD[name][0]), max_bytes=1 << 30)
    assert unpack(store, submission_id, max_bytes=200 << 20) is None
    assert [path.name for path in store.folder.glob("??/*")] == [submission_id]


def test_a_zip_that_holds_itself_is_refused():
    """The quine of zips needs its own bytes inside; a zip inside a zip is refused before it is looked into further."""
    once = files.zipped({"r.zip": files.zipped({"r.zip": b"PK\x05\x06" + bytes(18)})})
    from pipelines.workbooks.archives import Unsafe, open_archive
    from pipelines.workbooks.batch_contents import batch_members

    with open_archive(io.BytesIO(once)) as archive, pytest.raises(Unsafe, match="本身又是压缩包"):
        batch_members(archive, max_bytes=1 << 20)


def test_the_reading_process_keeps_to_its_memory_and_time(tmp_path):
    """Many plain cells: too much for 300 MiB, and too long for half a second."""
    row = "".join(f'<c r="{letter}{{0}}"><v>1</v></c>' for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    big = bare_xlsx("".join(f'<row r="{n}">{row.format(n)}</row>' for n in range(1, 60_001)))
    outcome = read(tmp_path, big, ReadLimits(memory_bytes=300 << 20))
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-limits" and "300 MiB" in outcome.detail
    start = time.monotonic()
    outcome = read(tmp_path, big, ReadLimits(seconds=0.5))
    assert outcome == Refusal("FILE-0-limits", "读取所用的处理器时间超过 0.5 秒")
    assert time.monotonic() - start < 3


def test_sparse_rows_that_would_unfold_are_refused(tmp_path):
    """42 kB that once took 25 s and 1.2 GB: one cell in each of many far rows."""
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 20_000))
    start = time.monotonic()
    outcome = read(tmp_path, bare_xlsx(rows), name="稀疏.xlsx")
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-limits" and "XFD19999" in outcome.detail
    assert time.monotonic() - start < 10


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path) -> Home:
    home = small_home(tmp_path / "home", [("140902", "忻府区", "Xinfu"), ("140921", "定襄县", "Dingxiang")])
    (home.root / "counties/140902").mkdir(parents=True)
    return home


def drop(home: Home, name: str, content: bytes) -> None:
    (home.root / "counties/140902" / name).write_bytes(content)


def pull(home: Home):
    return collect(home, home.municipality.county("140902"), now=lambda: NOW)


def test_a_zip_of_returns_is_taken_in_file_by_file(home):
    batch = files.zipped({"2024/在校生.xlsx": GOOD, "2024/教师.csv": b"a,b", "__MACOSX/2024/._x": b"", "2024/": b""})
    drop(home, "上报.zip", batch)
    result = pull(home)
    assert (len(result.landed), result.left, result.problem) == (3, [], None)
    stored = {entry.first.file_name: entry for entry in RawStore(home.raw)}
    assert set(stored) == {"上报.zip", "在校生.xlsx", "教师.csv"}
    zip_id = stored["上报.zip"].submission_id
    assert set(stored["上报.zip"].batch_members) == {stored[name].submission_id for name in ("在校生.xlsx", "教师.csv")}
    inside = stored["在校生.xlsx"].first
    assert inside.batch_id == zip_id and inside.source_uri.endswith("上报.zip!/2024/在校生.xlsx")
    assert stored["上报.zip"].first.batch_id is None
    before = {path: path.read_bytes() for path in home.raw.rglob("*.json")}
    for seen in (home.private / "sources").glob("*.json"):
        seen.unlink()
    again = pull(home)
    assert (again.landed, len(again.known)) == ([], 3)
    assert {path: path.read_bytes() for path in home.raw.rglob("*.json")} == before


def test_names_packed_by_chinese_windows_are_read(home):
    drop(home, "上报.zip", files.gbk_named({"忻府区在校生.xlsx": GOOD, "説明䶮.csv": b"a"}))
    pull(home)
    assert {entry.first.file_name for entry in RawStore(home.raw)} == {"上报.zip", "忻府区在校生.xlsx", "説明䶮.csv"}


def test_the_members_are_judged_each_by_itself_and_the_zip_as_a_file_without_a_return(home):
    drop(home, "上报.zip", files.zipped({"好.xlsx": GOOD, "别县.xlsx": OTHER, "坏.xlsx": GOOD[:500]}))
    drop(home, "坏包.zip", files.zipped({"a.xlsx": GOOD, "b.7z": b"7z\xbc\xaf\x27\x1c"}))
    pull(home)
    with home.writing():
        landed = land_new(home)
    found = {filing.file_name: (filing.return_code, filing.county_code, filing.verdict) for filing in landed.filings}
    assert found.pop("好.xlsx")[:2] == ("enrolment", "140902")
    assert found == {
        "上报.zip": (None, "140902", "accepted"),
        "坏包.zip": (None, "140902", "rejected"),
        "别县.xlsx": ("enrolment", "140902", "rejected"),
        "坏.xlsx": (None, "140902", "rejected"),
    }


def test_a_zip_of_returns_is_read_as_a_batch_and_a_document_is_not(tmp_path):
    outcome = read(tmp_path, files.zipped({"a.xlsx": GOOD, "b.csv": b"1"}))
    assert isinstance(outcome, Workbook) and (outcome.kind, outcome.sheets) == ("batch", [])
    document = files.zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
    outcome = read(tmp_path, document)
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-no-table"


def test_a_batch_is_accepted_without_a_finding_and_a_bad_one_with_its_reason(tmp_path):
    good = submission(tmp_path, "a.zip", files.zipped({"a.xlsx": GOOD}), XINFU.code)
    bad = submission(tmp_path, "b.zip", files.zipped({"../a.xlsx": GOOD}), XINFU.code)
    result = screen([good, bad], SETTINGS)
    verdicts = {filing.submission_id: (filing.return_code, filing.verdict) for filing in result.filings}
    assert verdicts == {good.submission_id: (None, "accepted"), bad.submission_id: (None, "rejected")}
    (finding,) = result.findings
    assert finding.rule_id == "FILE-0-archive" and "../a.xlsx" in finding.message


def test_a_long_or_unprintable_name_is_kept_short_with_its_suffix():
    assert plain_name("报" * 300 + ".xlsx").endswith(".xlsx") and len(plain_name("报" * 300 + ".xlsx")) == 255
    assert plain_name("a\x00\x1b[31m\u202ex.xlsx") == "a__[31m_x.xlsx"
