"""Pulling a county's files: everything once, nothing half, whatever the store and the order; nobody else's trouble."""

import hashlib
import io
import itertools
import json
import os
import shutil
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.home import Home
from pipelines.intake import collect as collect_module
from pipelines.intake.collect import Collected, NotThere, collect, list_source, listing_digest
from pipelines.intake.raw_store import Arrival, RawStore, RawSubmission, TooLarge
from pipelines.sample import write_sample_municipality

CODE = "140902"
NOW = datetime(2024, 10, 8, 1, 30, tzinfo=UTC)
SECRET = "p4ss-w0rd"


def home_at(
    root: Path, *, received_at: str = "collected", source: str = "counties/140902", mebibytes: int = 200
) -> Home:
    write_sample_municipality(root / "municipality.yaml", received_at=received_at)  # type: ignore[arg-type]
    text = (root / "municipality.yaml").read_text(encoding="utf-8")
    text = text.replace("source: counties/140902\n", f"source: '{source}'\n")
    text = text.replace("file_mebibytes: 200 ", f"file_mebibytes: {mebibytes} ")
    (root / "municipality.yaml").write_text(text, encoding="utf-8")
    return Home(root)


@pytest.fixture
def home(tmp_path) -> Home:
    (tmp_path / "counties/140902").mkdir(parents=True)
    return home_at(tmp_path)


def drop(home: Home, name: str, content: bytes, *, modified: datetime = NOW, code: str = CODE) -> Path:
    path = home.root / "counties" / code / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified.timestamp(), modified.timestamp()))
    return path


def pull(home: Home, code: str = CODE, *, now: datetime = NOW) -> Collected:
    return collect(home, home.municipality.county(code), now=lambda: now)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(home: Home) -> dict[str, RawSubmission]:
    return {entry.submission_id: entry for entry in RawStore(home.raw)}


# --- the store --------------------------------------------------------------------------------------------------------


def arrival(county: str = CODE, name: str = "a.xlsx", at: datetime = NOW, uri: str = "") -> Arrival:
    return Arrival(county, name, uri or f"/{county}/{name}", at.isoformat(), at.isoformat(), at.isoformat())


def test_bytes_are_kept_unchanged_under_their_hash_and_cannot_be_written_to(tmp_path):
    store = RawStore(tmp_path)
    content = os.urandom(3_000_000)  # more than one chunk
    submission_id, size = store.keep(io.BytesIO(content), max_bytes=10**7)
    assert (submission_id, size) == (sha(content), len(content))
    assert store.path(submission_id).read_bytes() == content
    assert stat.S_IMODE(store.path(submission_id).stat().st_mode) == 0o400


def test_the_same_bytes_are_kept_once_and_every_arrival_is_a_receipt(tmp_path):
    store = RawStore(tmp_path)
    for place in (arrival(), arrival(name="b.xlsx"), arrival("140921")):
        submission_id, size = store.keep(io.BytesIO(b"same"), max_bytes=100)
        store.record(submission_id, size, place)
    assert len([path for path in store.folder.glob("??/*") if path.is_file()]) == 2
    entry = store.get(sha(b"same"))
    assert entry and len(entry.arrivals) == 3
    assert [receipt.county_code for receipt in entry.receipts] == [CODE, "140921"]


def test_recording_the_same_arrival_again_changes_nothing(tmp_path):
    store = RawStore(tmp_path)
    assert store.record("ab" * 32, 4, arrival()) is True
    before = next(store.folder.rglob("*.json")).read_bytes()
    assert store.record("ab" * 32, 4, arrival()) is False
    assert next(store.folder.rglob("*.json")).read_bytes() == before


def test_too_much_is_not_kept_and_leaves_nothing_behind(tmp_path):
    store = RawStore(tmp_path)
    with pytest.raises(TooLarge):
        store.keep(io.BytesIO(b"x" * 101), max_bytes=100)
    store.keep(io.BytesIO(b"x" * 100), max_bytes=100)
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == [sha(b"x" * 100)]


def test_a_stream_that_breaks_leaves_nothing_behind(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size: int = -1, /) -> bytes:
            raise OSError("connection reset")

    store = RawStore(tmp_path)
    with pytest.raises(OSError, match="reset"):
        store.keep(Broken(), max_bytes=100)
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_bytes_without_their_sidecar_are_no_submission_yet(tmp_path):
    store = RawStore(tmp_path)
    submission_id, size = store.keep(io.BytesIO(b"killed here"), max_bytes=100)
    assert store.get(submission_id) is None and list(store) == []
    assert store.keep(io.BytesIO(b"killed here"), max_bytes=100) == (submission_id, size)
    assert store.record(submission_id, size, arrival()) is True
    assert [entry.submission_id for entry in store] == [submission_id]


def test_screening_is_told_the_name_of_the_first_arrival_and_each_countys_earliest(tmp_path):
    store = RawStore(tmp_path)
    submission_id, size = store.keep(io.BytesIO(b"abcd"), max_bytes=4)
    for place in (
        arrival(name="late.xlsx", at=NOW + timedelta(days=2)),
        arrival(name="early.xlsx"),
        arrival("140921", "x.xlsx", NOW + timedelta(days=1)),
    ):
        store.record(submission_id, size, place)
    entry = store.get(submission_id)
    assert entry
    submission = store.to_screen(entry)
    assert submission.file_name == "early.xlsx"
    assert [(receipt.county_code, receipt.received_at) for receipt in submission.receipts] == [
        (CODE, NOW.replace(tzinfo=None)),
        ("140921", (NOW + timedelta(days=1)).replace(tzinfo=None)),
    ]


arrivals = st.builds(
    lambda county, name, days: arrival(county, name, NOW + timedelta(days=days)),
    st.sampled_from(["140902", "140921", "140981"]),
    st.sampled_from(["a.xlsx", "b.xlsx"]),
    st.integers(0, 3),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(arrivals, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_arrivals_gives_the_same_submission(tmp_path_factory, some, random):
    views = []
    again = [*some, *random.choices(some, k=2)]
    random.shuffle(again)
    for order in (some, again):
        store = RawStore(tmp_path_factory.mktemp("raw"))
        for place in order:
            store.record("cd" * 32, 7, place)
        entry = store.get("cd" * 32)
        assert entry
        views.append(
            (
                entry.submission_id,
                entry.size_bytes,
                entry.first,
                entry.receipts,
                entry.receipts_digest,
                set(entry.arrivals),
            )
        )
    assert views[0] == views[1]


def test_the_receipts_digest_changes_only_with_what_could_change_the_screening():
    def digest(*places: Arrival) -> str:
        return RawSubmission("ab" * 32, 4, places).receipts_digest

    alone = digest(arrival())
    assert digest(arrival(), arrival()) == alone
    assert digest(arrival(), arrival(name="again.xlsx", at=NOW + timedelta(days=1))) != alone
    assert digest(arrival(), arrival("140921")) != alone
    assert digest(arrival(), arrival(name="older.xlsx", at=NOW - timedelta(days=1))) != alone


def test_any_order_of_receipts_names_the_same_first_and_digest():
    places = [arrival(), arrival("140921"), arrival(name="b.xlsx", at=NOW - timedelta(hours=1)), arrival("140981")]
    seen = {
        (entry.first, entry.receipts_digest)
        for order in itertools.permutations(places)
        for entry in [RawSubmission("ab" * 32, 4, order)]
    }
    assert len(seen) == 1


# --- listing ----------------------------------------------------------------------------------------------------------


def test_unfinished_hidden_and_lock_files_are_not_listed(home):
    for name in (
        "a.xlsx.part",
        "b.TMP",
        "c.crdownload",
        "~$报表.xlsx",
        ".报表.xlsx.swp",
        ".DS_Store",
        "d.xlsx.filepart",
    ):
        drop(home, name, b"x")
    drop(home, "报表.xlsx", b"x")
    drop(home, "2024/报表.xlsx", b"y")
    files = list_source(str(home.root / "counties/140902"))
    assert [file.name for file in files] == ["报表.xlsx", "报表.xlsx"]


def test_what_systems_and_programs_leave_in_a_folder_is_passed_over_and_told_in_one_line(home):
    left = ["Thumbs.db", "desktop.ini", ".DS_Store", "~$报表.xlsx", ".~lock.报表.xlsx#", "._报表.xlsx", "报表.xlsx.bak", "__MACOSX/报表.xlsx",
            "WPS自动备份/报表.xlsx", "Kingsoft/office6/backup/报表.xlsx", ".~trash/报表.xlsx", "$RECYCLE.BIN/报表.xlsx"]  # fmt: skip
    for name in left:
        drop(home, name, b"x")
    for name in ("1.tmp", "2.xlsx.part"):  # still being written: they come under a name of their own
        drop(home, name, b"x")
    for name in ("报表.xlsx", "备份/报表.xlsx", "desktop.ini.xlsx", "~报表.xlsx", "联系电话3022000.xlsx",
                 "金山区2024年数据备份/教师工资.xlsx", "wps导出（备份）/a.xlsx", "备份/WPS表格/b.xlsx"):  # fmt: skip
        drop(home, name, name.encode())
    result = collect(home, home.municipality.counties[0])
    assert (len(result.landed), result.left, result.problem) == (8, [], None)
    (told,) = result.passed_over
    assert f"等 {len(left)} 个" in told and "不收取" in told and "报表.xlsx.part" not in told


def test_what_systems_leave_in_a_zip_is_passed_over_and_told(home):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (
            "县/报表.csv",
            "县/Thumbs.db",
            "县/__MACOSX/._报表.csv",
            "县/~$报表.csv",
            "县/.DS_Store",
            "县/1.tmp",
        ):
            archive.writestr(name, name)
    drop(home, "全部.zip", stream.getvalue())
    result = collect(home, home.municipality.counties[0])
    assert len(result.landed) == 2  # the zip and the one file in it
    (told,) = result.passed_over
    assert told.startswith("全部.zip 中的 ") and all(
        name in told for name in ("Thumbs.db", "~$报表.csv", ".DS_Store", "1.tmp")
    )


def test_a_link_out_of_the_folder_is_not_followed(home, tmp_path):
    (tmp_path / "outside.xlsx").write_bytes(b"secret")
    (home.root / "counties/140902/link.xlsx").symlink_to(tmp_path / "outside.xlsx")
    assert list_source(str(home.root / "counties/140902")) == []


def test_a_folder_that_is_not_there_yet_is_told_as_what_it_is(home):
    with pytest.raises(NotThere):
        list_source(str(home.root / "counties/none"))
    problem = pull(home, "140921").problem
    assert problem and problem.startswith("收件夹还没有建立：") and "counties/140921" in problem


def test_the_listing_digest_changes_with_every_file_added_removed_or_altered(home):
    def digest() -> str:
        return listing_digest(list_source(str(home.root / "counties/140902")))

    seen = [digest()]
    one = drop(home, "a.xlsx", b"1")
    seen.append(digest())
    drop(home, "a.xlsx", b"12")
    seen.append(digest())
    drop(home, "a.xlsx", b"12", modified=NOW + timedelta(seconds=1))
    seen.append(digest())
    drop(home, "b.xlsx", b"1")
    seen.append(digest())
    assert len(set(seen)) == 5
    assert digest() == seen[-1]
    one.unlink()
    assert digest() not in seen


# --- pulling ----------------------------------------------------------------------------------------------------------


def test_new_files_land_once_and_a_second_pull_reads_nothing(home, monkeypatch):
    drop(home, "a.xlsx", b"one")
    drop(home, "b.csv", b"two")
    result = pull(home)
    assert (result.listed, sorted(result.landed), result.known, result.left, result.problem) == (
        2, sorted([sha(b"one"), sha(b"two")]), [], [], None
    )  # fmt: skip
    monkeypatch.setattr(RawStore, "keep", lambda *_, **__: pytest.fail("read again"))
    assert pull(home) == Collected(CODE, listed=2)


def test_the_same_bytes_under_another_name_or_from_another_county_are_known(home):
    drop(home, "a.xlsx", b"one")
    pull(home)
    drop(home, "b.xlsx", b"one", modified=NOW + timedelta(days=1))
    drop(home, "c.xlsx", b"one", code="140921")
    assert (pull(home).known, pull(home, "140921").known) == ([sha(b"one")], [sha(b"one")])
    entry = stored(home)[sha(b"one")]
    assert [(place.county_code, place.file_name) for place in entry.arrivals] == [
        (CODE, "a.xlsx"), (CODE, "b.xlsx"), ("140921", "c.xlsx")
    ]  # fmt: skip


def test_an_altered_file_is_a_new_submission_and_the_old_one_stays(home):
    drop(home, "a.xlsx", b"one")
    pull(home)
    drop(home, "a.xlsx", b"two", modified=NOW + timedelta(days=1))
    assert pull(home).landed == [sha(b"two")]
    assert set(stored(home)) == {sha(b"one"), sha(b"two")}


@pytest.mark.parametrize("cache", [None, b"", b"{half"])
def test_a_lost_or_broken_cache_costs_a_read_and_nothing_else(home, cache):
    drop(home, "a.xlsx", b"one")
    pull(home)
    before = stored(home)
    (seen,) = (home.private / "sources").glob("*.json")
    seen.unlink()
    if cache is not None:
        seen.write_bytes(cache)
    result = pull(home, now=NOW + timedelta(days=9))
    assert (result.landed, result.known, result.problem) == ([], [sha(b"one")], None)
    assert stored(home) == before


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_pull(home, monkeypatch):
    path = drop(home, "a.xlsx", b"half")
    keep = RawStore.keep

    def and_grow(store: RawStore, stream, *, max_bytes: int):
        kept = keep(store, stream, max_bytes=max_bytes)
        path.write_bytes(b"half and the rest")
        return kept

    monkeypatch.setattr(RawStore, "keep", and_grow)
    result = pull(home)
    assert result.landed == [] and "仍在变化" in result.left[0]
    assert stored(home) == {}
    monkeypatch.undo()
    assert pull(home).landed == [sha(b"half and the rest")]


def test_a_file_rewritten_at_the_same_size_while_it_is_read_is_left_too(home, monkeypatch):
    path = drop(home, "a.xlsx", b"1111")
    keep = RawStore.keep

    def and_rewrite(store: RawStore, stream, *, max_bytes: int):
        kept = keep(store, stream, max_bytes=max_bytes)
        path.write_bytes(b"2222")
        return kept

    monkeypatch.setattr(RawStore, "keep", and_rewrite)
    assert "仍在变化" in pull(home).left[0] and stored(home) == {}


def test_a_file_that_is_too_large_is_left_with_a_message_and_the_next_is_pulled(tmp_path):
    home = home_at(tmp_path, mebibytes=1)
    drop(home, "huge.xlsx", b"x" * (2**20 + 1))
    drop(home, "small.xlsx", b"x", modified=NOW + timedelta(seconds=1))
    result = pull(home)
    assert result.left == ["huge.xlsx: 超过 1 MiB，未收取"]
    assert result.landed == [sha(b"x")] and result.problem is None


def test_a_file_that_cannot_be_read_is_left_and_the_others_are_pulled(home, monkeypatch):
    for name in ("a.xlsx", "b.xlsx", "c.xlsx"):
        drop(home, name, name.encode())
    opened = RawStore.keep

    def refuse_b(store: RawStore, stream, *, max_bytes: int):
        if "b.xlsx" in str(stream.name):
            raise PermissionError("拒绝访问")
        return opened(store, stream, max_bytes=max_bytes)

    monkeypatch.setattr(RawStore, "keep", refuse_b)
    result = pull(home)
    assert (sorted(result.landed), result.problem) == (sorted([sha(b"a.xlsx"), sha(b"c.xlsx")]), None)
    assert result.left == ["b.xlsx: 读不出来（PermissionError: 拒绝访问），下次再收"]
    monkeypatch.undo()
    assert pull(home).landed == [sha(b"b.xlsx")]


def test_a_source_that_fails_is_that_countys_problem_and_what_was_pulled_stays(home, monkeypatch):
    drop(home, "a.xlsx", b"one", modified=NOW - timedelta(days=1))
    for name in ("b.xlsx", "c.xlsx", "d.xlsx", "e.xlsx"):
        drop(home, name, name.encode())
    opened = RawStore.keep

    def fail_on_second(store: RawStore, stream, *, max_bytes: int):
        if stored(home):
            raise ConnectionResetError("连接中断")
        return opened(store, stream, max_bytes=max_bytes)

    monkeypatch.setattr(RawStore, "keep", fail_on_second)
    result = pull(home)
    assert result.landed == [sha(b"one")]
    assert result.problem == "ConnectionResetError: 连接中断"
    assert len(result.left) == 3, "after three in a row it is the source, and nobody waits for the rest"
    monkeypatch.undo()
    assert len(pull(home).landed) == 4


def test_a_variable_that_is_not_set_is_that_countys_problem_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv("XINFU_PASSWORD", raising=False)
    home = home_at(tmp_path, source="sftp://xinfu:${XINFU_PASSWORD}@host/inbox")
    result = pull(home)
    assert result.problem and "XINFU_PASSWORD" in result.problem and result.landed == []


def test_a_control_character_in_a_name_does_not_reach_the_sidecar(home):
    drop(home, "报\n表\x1b[31m.xlsx", b"one")
    pull(home)
    assert stored(home)[sha(b"one")].first.file_name == "报_表_[31m.xlsx"


@pytest.mark.parametrize(
    ("received_at", "modified", "expected"),
    [
        ("collected", NOW - timedelta(days=3), NOW),
        ("modified", NOW - timedelta(days=3), NOW - timedelta(days=3)),
        ("modified", NOW + timedelta(days=3), NOW),  # a clock that runs ahead
    ],
)
def test_the_time_received_is_as_configured_and_never_in_the_future(tmp_path, received_at, modified, expected):
    home = home_at(tmp_path, received_at=received_at)
    drop(home, "a.xlsx", b"one", modified=modified)
    pull(home)
    assert datetime.fromisoformat(stored(home)[sha(b"one")].first.received_at) == expected


# --- what counts as sending -------------------------------------------------------------------------------------------


def sendings(home: Home) -> list[tuple[bytes, str]]:
    """(Bytes, place) of every sending, in the order in which they count."""
    store = RawStore(home.raw)
    found = [
        (one.received_at, store.path(entry.submission_id).read_bytes(), one.place or "")
        for entry in store
        for one in entry.arrivals
    ]
    return [(content, place) for _, content, place in sorted(found)]


steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "move", "remove"]), st.sampled_from("abc"), st.sampled_from("甲乙丙")),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(steps)
def test_to_look_again_to_move_the_home_or_to_lose_the_caches_sends_nothing(tmp_path_factory, some):
    """What the disk is told to keep is no part of this, and slow."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipelines.files", "pipelines.intake.raw_store", "pipelines.intake.source_notes"):
            patch.setattr(f"{module}.os.fsync", lambda _: None)
        _play_steps(tmp_path_factory, some)


def _play_steps(tmp_path_factory, some):
    home = home_at(tmp_path_factory.mktemp("home") / "home")
    inbox = home.root / "counties/140902"
    inbox.mkdir(parents=True)
    (inbox / "文件夹").mkdir()
    for number, (what, content, name) in enumerate(some):
        at = NOW + timedelta(days=number)
        path = inbox / name
        if what == "put":
            drop(home, name, content.encode(), modified=at)
        elif what == "move" and path.exists():
            path.rename(inbox / "文件夹" / f"{name}{number}")
        elif what == "remove":
            path.unlink(missing_ok=True)
        before_n = len(sendings(home))
        assert pull(home, now=at).problem is None
        sent = sendings(home)
        if what == "put":
            assert sent[-1][0] == content.encode(), "what was put there last counts last"
        else:
            assert len(sent) == before_n
        assert pull(home, now=at + timedelta(hours=1)).landed == [] and sendings(home) == sent
    shutil.rmtree(home.private)
    assert pull(home, now=NOW + timedelta(days=30)).problem is None
    assert sendings(home) == sent
    for copy in (shutil.copy2, shutil.copyfile):
        moved = Home(home.root.with_name(copy.__name__))
        shutil.copytree(home.root, moved.root, copy_function=copy)
        assert pull(moved, now=NOW + timedelta(days=31)).problem is None
        assert sendings(moved) == sent


def test_a_folder_that_stays_closed_for_one_look_makes_nobody_forget(home, monkeypatch):
    drop(home, "锁住/a.xlsx", b"one")
    pull(home)
    drop(home, "b.xlsx", b"two", modified=NOW + timedelta(days=1))
    pull(home, now=NOW + timedelta(days=1))
    listed = collect_module._list

    def closed(system, root):
        listing = listed(system, root)
        listing.files = [file for file in listing.files if "锁住" not in file.path]
        listing.is_whole = False
        return listing

    with monkeypatch.context() as patch:
        patch.setattr(collect_module, "_list", closed)
        pull(home, now=NOW + timedelta(days=2))
    pull(home, now=NOW + timedelta(days=3))
    assert [content for content, _ in sendings(home)] == [b"one", b"two"]


def test_a_file_renamed_for_another_period_is_sent_as_that_periods(home):
    path = drop(home, "2023年人口.xlsx", b"one")
    pull(home)
    path.rename(path.with_name("2024年人口.xlsx"))
    pull(home, now=NOW + timedelta(days=1))
    assert [place for _, place in sendings(home)] == ["2023年人口.xlsx", "2024年人口.xlsx"]


# --- other stores -----------------------------------------------------------------------------------------------------


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_source_in_any_store_is_pulled_the_same_way(tmp_path, memory):
    home = home_at(tmp_path, source="memory://inbox/140902")
    assert pull(home) == Collected(CODE)
    memory.pipe_file("/inbox/140902/2024/a.xlsx", b"one")
    memory.pipe_file("/inbox/140902/b.xlsx.part", b"half")
    memory.pipe_file("/inbox/140921/c.xlsx", b"another county's")
    assert pull(home).landed == [sha(b"one")]
    assert pull(home) == Collected(CODE, listed=1)
    assert stored(home)[sha(b"one")].first.source_uri == "memory:///inbox/140902/2024/a.xlsx"
    memory.pipe_file("/inbox/140902/2024/a.xlsx", b"other")
    assert pull(home).landed == [sha(b"other")]


class WholeUriFileSystem(MemoryFileSystem):
    """A store that names its files by their whole URI, user and password included, as web stores do."""

    protocol = "vault"
    store: dict = {}  # noqa: RUF012 - as in the class above
    refuse = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def find(self, path: str, maxdepth=None, withdirs=False, **kwargs):
        if WholeUriFileSystem.refuse:
            raise PermissionError(f"403 for {path} ({SECRET})")
        return {f"{path}/a.xlsx": self.info(f"{path}/a.xlsx")}

    def info(self, path: str, **kwargs):
        return {"name": path, "size": 3, "type": "file", "mtime": NOW.timestamp()}

    def open(self, path: str, mode="rb", **kwargs):
        return io.BytesIO(b"one")


def files_with(root: Path, secret: str) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_password_reaches_neither_sidecar_nor_cache_nor_message(tmp_path, monkeypatch):
    monkeypatch.setitem(known_implementations, "vault", {"class": f"{__name__}.WholeUriFileSystem", "err": ""})
    monkeypatch.setenv("XINFU_PASSWORD", SECRET)
    home = home_at(tmp_path, source="vault://xinfu:${XINFU_PASSWORD}@host/inbox")
    result = pull(home)
    assert (result.landed, result.problem) == ([sha(b"one")], None)
    assert stored(home)[sha(b"one")].first.source_uri == "vault://host/inbox/a.xlsx"
    assert files_with(tmp_path, SECRET) == []
    monkeypatch.setattr(WholeUriFileSystem, "refuse", True)
    problem = pull(home).problem
    assert problem and problem.startswith("PermissionError: 403 for vault://host/inbox")
    assert SECRET not in problem


def test_a_sidecar_is_plain_json_of_the_declared_fields(home):
    drop(home, "a.xlsx", b"one")
    pull(home)
    content = json.loads(RawStore(home.raw)._sidecar(sha(b"one")).read_text(encoding="utf-8"))
    assert content == {
        "submission_id": sha(b"one"),
        "size_bytes": 3,
        "receipts": [
            {
                "county_code": CODE,
                "file_name": "a.xlsx",
                "source_uri": str(home.root / "counties/140902/a.xlsx"),
                "modified_at": NOW.isoformat(),
                "collected_at": NOW.isoformat(),
                "received_at": NOW.isoformat(),
                "place": "a.xlsx",
            }
        ],
    }
