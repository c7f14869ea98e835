"""Folders that counties, or somebody with their password, fill with what is no return: nothing hangs, leaks or stalls the others."""

import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.home import Home
from pipelines.intake import collect as collect_module
from pipelines.intake.collect import collect, list_source, listing_digest
from pipelines.intake.raw_store import RawStore
from tests.homes import small_home

NOW = datetime(2024, 10, 8, 1, 30, tzinfo=UTC)
CODE = "140902"


@pytest.fixture
def home(tmp_path) -> Home:
    home = small_home(tmp_path / "home", [(CODE, "忻府区", "Xinfu")])
    inbox(home).mkdir(parents=True)
    return home


def inbox(home: Home) -> Path:
    return home.root / "counties" / CODE


def put(home: Home, name: str, content: bytes = b"x") -> Path:
    path = inbox(home) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    return path


def pull(home: Home, **more):
    return collect(home, home.municipality.county(CODE), now=lambda: NOW, **more)


def names(home: Home) -> set[str]:
    return {arrival.file_name for entry in RawStore(home.raw) for arrival in entry.arrivals}


def stored_bytes(home: Home) -> set[bytes]:
    store = RawStore(home.raw)
    return {store.path(entry.submission_id).read_bytes() for entry in store}


def test_links_pipes_sockets_and_devices_are_named_and_never_opened(home, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inner.csv").write_bytes(b"inner")
    here = inbox(home)
    (here / "链接.csv").symlink_to(secret)
    (here / "文件夹链接").symlink_to(tmp_path / "folder")
    (here / "断链.csv").symlink_to(tmp_path / "none")
    (here / "自己").symlink_to(here)
    os.mkfifo(here / "管道.csv")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(here / "套接字.csv"))
    put(home, "报表.csv", b"good")
    start = time.monotonic()
    result = pull(home)
    listener.close()
    assert time.monotonic() - start < 5
    assert stored_bytes(home) == {b"good"}
    told = {entry.partition(":")[0]: entry for entry in result.passed_over}
    assert set(told) == {"链接.csv", "文件夹链接", "断链.csv", "自己", "管道.csv", "套接字.csv"}
    assert "链接" in told["自己"] and "不是普通文件" in told["管道.csv"]
    assert result.problem is None and result.left == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder link"])
def test_a_file_exchanged_between_listing_and_reading_is_not_followed(home, tmp_path, monkeypatch, kind):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/报表.csv").write_bytes(b"secret")
    path = put(home, "乡镇/报表.csv", b"good")
    opened = collect_module._open

    def exchange_first(system, root, listed):
        path.unlink()
        if kind == "link":
            path.symlink_to(tmp_path / "elsewhere/报表.csv")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.parent.rmdir()
            path.parent.symlink_to(tmp_path / "elsewhere")
        return opened(system, root, listed)

    monkeypatch.setattr(collect_module, "_open", exchange_first)
    start = time.monotonic()
    result = pull(home)
    assert time.monotonic() - start < 5
    assert stored_bytes(home) == set() and len(result.left) == 1 and result.landed == []


def test_a_file_replaced_between_listing_and_reading_waits_for_the_next_pull(home, monkeypatch):
    path = put(home, "报表.csv", b"old")
    opened = collect_module._open

    def replace_first(system, root, listed):
        monkeypatch.undo()
        other = path.with_name(".new")
        other.write_bytes(b"new")
        other.replace(path)
        return opened(system, root, listed)

    monkeypatch.setattr(collect_module, "_open", replace_first)
    result = pull(home)
    assert stored_bytes(home) == set() and "仍在变化" in result.left[0]
    assert len(pull(home).landed) == 1 and stored_bytes(home) == {b"new"}


def test_a_file_that_grows_while_it_is_read_is_never_half_taken(home):
    path = put(home, "报表.csv", b"1\n" * 1000)
    stop = threading.Event()

    def grow() -> None:
        while not stop.wait(0.001):
            with path.open("ab") as stream:
                stream.write(b"2\n" * 500)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(5):
            pull(home)
    finally:
        stop.set()
        writer.join()
    kept = stored_bytes(home)
    # Whatever was taken while it grew had stood still while it was read.
    assert all(path.read_bytes().startswith(content) for content in kept)
    pull(home)
    assert path.read_bytes() in stored_bytes(home)


def test_names_of_255_bytes_and_with_control_characters_are_kept_readable(home):
    longest = "报" * 83 + ".csv"  # 253 bytes
    odd = "a\x1b[2J\n\u202evsc.xlsx"
    put(home, longest, b"1")
    put(home, odd, b"2")
    put(home, "  .csv", b"3")
    put(home, "-rf.csv", b"4")
    result = pull(home)
    assert len(result.landed) == 4 and result.problem is None
    assert names(home) == {longest, "a_[2J__vsc.xlsx", "  .csv", "-rf.csv"}


def test_a_name_that_is_no_utf8_is_collected(home):
    raw = os.fsencode(inbox(home)) + b"/" + "忻府.csv".encode("gbk")  # 忻府 in GBK, as an old FTP server stores it
    with open(raw, "wb") as stream:  # noqa: PTH123 - pathlib knows no names in bytes
        stream.write(b"x")
    result = pull(home)
    assert len(result.landed) == 1 and result.problem is None
    assert names(home) == {"忻府.csv"}
    (entry,) = RawStore(home.raw)
    assert entry.first.source_uri.endswith("/忻府.csv")
    assert pull(home).known == [] and listing_digest(list_source(str(inbox(home))))


def test_an_empty_file_is_collected_and_judged_like_any_other(home):
    put(home, "空.xlsx", b"")
    assert len(pull(home).landed) == 1 and stored_bytes(home) == {b""}


def test_a_folder_that_may_not_be_entered_is_named(home):
    folder = put(home, "锁住/报表.csv").parent
    put(home, "报表.csv", b"good")
    folder.chmod(0)
    try:
        if os.access(folder, os.R_OK):
            pytest.skip("who runs this may enter any folder")
        assert ["锁住" in one for one in pull(home).passed_over] == [True]
    finally:
        folder.chmod(0o755)
    assert b"good" in stored_bytes(home)


def test_our_own_answers_are_no_returns(home):
    put(home, "R20241008-0001_回执.html")
    put(home, "R20241008-0001_回执.json")
    put(home, "回执说明.csv")
    result = pull(home)
    assert names(home) == {"回执说明.csv"} and len(result.passed_over) == 2


def test_ten_thousand_files_are_listed_in_seconds_and_pulled_once(home, monkeypatch):
    for number in range(10_000):
        path = inbox(home) / f"{number:05}.csv"
        path.write_bytes(b"same" if number else b"other")
    start = time.monotonic()
    files = list_source(str(inbox(home)))
    assert len(files) == 10_000 and time.monotonic() - start < 5
    # Reading and keeping each has tests of its own.
    monkeypatch.setattr(RawStore, "keep", lambda _, stream, **__: ("ab" * 32, len(stream.read())))
    monkeypatch.setattr(RawStore, "record", lambda *_, **__: True)
    monkeypatch.setattr(collect_module, "_is_zip", lambda *_: False)
    result = pull(home)
    assert (result.listed, len(result.landed), result.problem) == (10_000, 10_000, None)
    monkeypatch.setattr("pipelines.intake.sendings.Inbox._holds", lambda *_: True)
    start = time.monotonic()
    again = pull(home)
    assert again.landed == [] and again.left == [] and time.monotonic() - start < 5


def test_a_pull_that_runs_out_of_time_keeps_what_it_has_and_goes_on_next_time(home, monkeypatch):
    for number in range(30):
        put(home, f"{number}.csv", str(number).encode())
    clock = iter(range(1000))
    monkeypatch.setattr(collect_module.time, "monotonic", lambda: next(clock))
    first = pull(home, seconds=10)
    assert 0 < len(first.landed) < 30 and first.problem is None
    assert "下次再收" in first.left[0] and str(30 - len(first.landed)) in first.left[0]
    second = pull(home)
    assert len(first.landed) + len(second.landed) == 30 and second.known == []


def test_a_long_pull_that_is_killed_has_not_been_for_nothing(home, monkeypatch):
    for number in range(1200):
        put(home, f"{number}.csv", str(number).encode())
    monkeypatch.setattr("pipelines.files.os.fsync", lambda _: None)
    monkeypatch.setattr("pipelines.intake.raw_store.os.fsync", lambda _: None)
    recorded = RawStore.record
    count = iter(range(5000))

    def killed(store, *args, **more):
        if next(count) == 1100:
            raise KeyboardInterrupt
        return recorded(store, *args, **more)

    monkeypatch.setattr(RawStore, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        pull(home)
    monkeypatch.setattr(RawStore, "record", recorded)
    second = pull(home)
    assert len(second.landed) == 100 and len(second.known) < 200


def test_a_file_from_the_future_or_before_the_epoch_stalls_nothing(home):
    for name, moment in {"a.csv": NOW + timedelta(days=9999), "b.csv": datetime(1970, 1, 1, tzinfo=UTC)}.items():
        path = put(home, name, name.encode())
        os.utime(path, (moment.timestamp(), moment.timestamp()))
    assert len(pull(home).landed) == 2
