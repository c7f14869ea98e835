"""SFTP as a county's source and outbox, against a server that speaks the protocol: everything once, nothing half, no password told."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from pipelines.answers.delivery import deliver_all
from pipelines.home import Home
from pipelines.intake.collect import Collected, collect, collect_all
from pipelines.intake.raw_store import RawStore
from pipelines.operations.run_log import StepResult
from pipelines.orchestration.sources import look_for_news
from tests.homes import run_in_own_instance, small_home
from tests.sftp_server import Server

USER = "jingle"
#: With everything in it that a URI might take for its own.
PASSWORD = "p4ss/w#rd:?@1%41"
CODE = "140926"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server" / "inbox").mkdir(parents=True)
    running = Server(tmp_path / "server", USER, PASSWORD)
    running.start()
    yield running
    running.end()


@pytest.fixture
def home(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SFTP_USER", USER)
    monkeypatch.setenv("SFTP_PASSWORD", PASSWORD)
    monkeypatch.setenv("SFTP_HOST", f"127.0.0.1:{server.port}")
    home = small_home(tmp_path / "home", [(CODE, "静乐县", "Jingle")])
    text = home.configuration.read_text(encoding="utf-8")
    place = "sftp://${SFTP_USER}:${SFTP_PASSWORD}@${SFTP_HOST}"
    text = text.replace(
        f'source: "counties/{CODE}"',
        f'source: "{place}/inbox", outbox: "{place}/outbox/回执", host_key: "{server.fingerprint}"',
    )
    home.configuration.write_text(text, encoding="utf-8")
    return Home(home.root)


def pull(home: Home) -> Collected:
    return collect(home, home.municipality.county(CODE))


def stored(home: Home) -> dict[str, bytes]:
    """The name of the first arrival → bytes, of all that is in the store."""
    store = RawStore(home.raw)
    return {entry.first.file_name: store.path(entry.submission_id).read_bytes() for entry in store}


def answer(home: Home, name: str, content: str) -> Path:
    path = home.outbox / CODE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def delivered(server: Server) -> dict[str, str]:
    folder = server.folder / "outbox" / "回执"
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("*")}


# --- source ---------------------------------------------------------------------------------------------------------


def test_new_files_are_collected_once_and_what_is_not_finished_is_left(home: Home, server: Server):
    inbox = server.folder / "inbox"
    (inbox / "2024").mkdir()
    (inbox / "2024" / "教师工资.xlsx").write_bytes(os.urandom(300_000))
    (inbox / "学校#名录 1?.csv").write_bytes(b"a,b")
    (inbox / "在校生.xlsx.part").write_bytes(b"half")
    (inbox / ".在校生.xlsx").write_bytes(b"half")
    (inbox / "链接.xlsx").symlink_to("2024/教师工资.xlsx")
    result = pull(home)
    assert (result.problem, result.left, len(result.landed)) == (None, [], 2)
    assert sorted(result.passed_over) == [
        ".在校生.xlsx: 是系统或软件自己留下的文件，不收取", "链接.xlsx: 不是普通文件，不收取",
    ]  # fmt: skip
    expected = {path.name: path.read_bytes() for path in (inbox / "2024" / "教师工资.xlsx", inbox / "学校#名录 1?.csv")}
    assert stored(home) == expected
    reads = []
    server.on_read = reads.append
    again = pull(home)
    assert (again.listed, again.landed, again.known, reads) == (2, [], [], [])
    (inbox / "在校生.xlsx.part").rename(inbox / "在校生.xlsx")
    assert len(pull(home).landed) == 1
    assert stored(home)["在校生.xlsx"] == b"half"


def test_where_a_file_came_from_is_kept_without_user_and_password(home: Home, server: Server):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    pull(home)
    kept = b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in kept and b"/inbox/" in kept


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_pull(home: Home, server: Server):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"first half,")

    def grow(path: Path) -> None:
        """Within the second, which is all that the server tells of the time."""
        if path.stat().st_size < 20:
            modified = path.stat().st_mtime_ns
            with path.open("ab") as stream:
                stream.write(b"second half,")
            os.utime(path, ns=(modified, modified))

    server.on_read = grow
    result = pull(home)
    assert (result.landed, result.problem) == ([], None)
    assert result.left == ["甲.csv: 读取时文件仍在变化，下次再收"]
    server.on_read = lambda path: None
    assert len(pull(home).landed) == 1


def test_a_wrong_password_is_told_and_never_repeated(home: Home, server: Server, monkeypatch, capfd):
    monkeypatch.setenv("SFTP_PASSWORD", "wr0ng/#one")
    problem = pull(home).problem
    assert problem and problem.startswith("服务器不接受所给的用户名和密码")
    answer(home, "a_回执.html", "1")
    problems = deliver_all(home)
    assert problems[CODE].startswith("服务器不接受所给的用户名和密码")
    shown = problem + problems[CODE] + "".join(capfd.readouterr())
    assert "wr0ng" not in shown and USER not in shown and "Traceback" not in shown
    assert server.logins == 2, "one attempt a visit: servers lock out who tries more"


def test_a_server_that_is_gone_is_a_problem_and_nothing_is_lost(home: Home, server: Server, capfd):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    server.stop()
    result = pull(home)
    assert result.problem and result.problem.startswith("连不上服务器") and PASSWORD not in result.problem
    assert stored(home) == {}
    server.start()
    assert pull(home).problem is None
    assert stored(home) == {"甲.csv": b"1"}
    # The thread, and so the connection that fsspec would keep, may be the same as before.
    server.stop()
    server.start()
    (server.folder / "inbox" / "乙.csv").write_bytes(b"2")
    assert pull(home).problem is None
    assert set(stored(home)) == {"甲.csv", "乙.csv"}
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_connection_that_breaks_amid_a_file_keeps_nothing_half(home: Home, server: Server, capfd):
    content = os.urandom(500_000)
    (server.folder / "inbox" / "甲.xlsx").write_bytes(content)
    reads = []

    def break_off(path: Path) -> None:
        reads.append(path)
        if len(reads) == 3:
            server.cut()

    server.on_read = break_off
    result = pull(home)
    assert result.problem or result.left
    assert stored(home) == {}
    server.on_read = lambda path: None
    assert pull(home).problem is None
    assert stored(home) == {"甲.xlsx": content}
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_folder_that_may_not_be_entered_is_mentioned_not_taken_for_empty(home: Home, server: Server, monkeypatch):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    (server.folder / "inbox" / "内部").mkdir()
    original = asyncssh.SFTPServer.scandir

    def scandir(self, path):
        if path.endswith("内部".encode()):
            raise asyncssh.SFTPPermissionDenied("closed")
        return original(self, path)

    monkeypatch.setattr(asyncssh.SFTPServer, "scandir", scandir)
    result = pull(home)
    assert result.passed_over == ["内部: 文件夹打不开，其中的文件没有收取"]
    assert set(stored(home)) == {"甲.csv"}


def test_no_connection_is_left_open(home: Home, server: Server):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    for _ in range(3):
        pull(home)
        look_for_news(home, None, pause=lambda _: None)
    for _ in range(100):
        if not server.open_connections:
            break
        threading.Event().wait(0.05)
    assert server.open_connections == 0


def test_a_server_that_never_answers_is_given_up_in_time(home: Home, monkeypatch):
    home.configuration.write_text(home.configuration.read_text().replace("limits: {", "limits: {source_seconds: 1, "))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SFTP_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        home = Home(home.root)
        (result,) = collect_all(home, home.municipality.counties)
    assert result.problem == "1 秒内没有应答"


def test_news_on_a_server_is_seen(home: Home, server: Server):
    look = look_for_news(home, None, pause=lambda _: None)
    assert (look.counties, look.problems) == ((), {})
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    news = look_for_news(home, look.cursor, pause=lambda _: None)
    assert news.counties == (CODE,)
    assert look_for_news(home, news.cursor, pause=lambda _: None).counties == ()


# --- host keys ------------------------------------------------------------------------------------------------------


def without_pin(home: Home, known_hosts: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home without a fingerprint in its configuration, and a user with these known hosts."""
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(re.sub(r', host_key: "[^"]*"', "", text), encoding="utf-8")
    ssh = home.root / "user" / ".ssh"
    ssh.mkdir(parents=True)
    (ssh / "known_hosts").write_text(known_hosts, encoding="utf-8")
    monkeypatch.setenv("HOME", str(ssh.parent))
    return Home(home.root)


def test_a_server_that_nobody_has_confirmed_is_sent_nothing(home: Home, server: Server, monkeypatch):
    home = without_pin(home, "", monkeypatch)
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    problem = pull(home).problem
    assert problem and "没有确认过" in problem and f'host_key: "{server.fingerprint}"' in problem
    assert f"[127.0.0.1]:{server.port} ssh-ed25519 " in problem and PASSWORD not in problem
    answer(home, "a_回执.html", "第一")
    assert "没有确认过" in deliver_all(home)[CODE]
    assert look_for_news(home, None, pause=lambda _: None).problems[CODE] == problem
    assert (server.given, stored(home)) == ([], {})


def test_the_line_that_is_proposed_for_known_hosts_confirms_the_server(home: Home, server: Server, monkeypatch):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    line = f"[127.0.0.1]:{server.port} {server.key.export_public_key().decode()}"
    home = without_pin(home, line, monkeypatch)
    assert len(pull(home).landed) == 1
    was = server.fingerprint
    server.given.clear()
    server.change_key()
    problem = pull(home).problem
    assert problem and "主机密钥变了" in problem and was in problem and server.fingerprint in problem
    assert server.given == []


def test_another_server_at_the_same_address_is_sent_nothing(home: Home, server: Server):
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    assert len(pull(home).landed) == 1
    was = server.fingerprint
    server.given.clear()
    server.change_key()
    (server.folder / "inbox" / "乙.csv").write_bytes(b"2")
    problem = pull(home).problem
    assert problem and "主机密钥变了" in problem and was in problem and server.fingerprint in problem
    assert server.given == [] and set(stored(home)) == {"甲.csv"}


def test_known_hosts_that_cannot_be_read_confirm_nobody(home: Home, server: Server, monkeypatch):
    home = without_pin(home, f"[127.0.0.1]:{server.port} ssh-ed25519 AAAA!", monkeypatch)
    assert pull(home).problem and server.given == []


# --- a server of many counties --------------------------------------------------------------------------------------


def test_a_server_of_fourteen_counties_is_not_crowded(tmp_path: Path, server: Server, monkeypatch):
    monkeypatch.setenv("SFTP_PASSWORD", PASSWORD)
    codes = [f"1409{number:02}" for number in range(21, 35)]
    home = small_home(tmp_path / "many", [(code, f"甲{code[-2:]}县", "Jia") for code in codes])
    text = home.configuration.read_text(encoding="utf-8")
    for code in codes:
        (server.folder / code).mkdir()
        (server.folder / code / "甲.csv").write_text(code)
        place = f"sftp://{USER}:${{SFTP_PASSWORD}}@127.0.0.1:{server.port}/{code}"
        text = text.replace(f'source: "counties/{code}"', f'source: "{place}", host_key: "{server.fingerprint}"')
    home.configuration.write_text(text, encoding="utf-8")
    home = Home(home.root)
    results = collect_all(home, home.municipality.counties)
    assert [result.problem for result in results] == [None] * 14 and len(stored_ids(home)) == 14
    # The server notices a moment later that one was closed.
    assert 1 <= server.most_connections <= 8


def stored_ids(home: Home) -> set[str]:
    return {entry.submission_id for entry in RawStore(home.raw)}


def test_a_connection_that_is_turned_away_is_tried_again_after_a_pause(home: Home, server: Server, monkeypatch):
    monkeypatch.setattr("pipelines.intake.ssh._PAUSES", (0.05, 0.05))
    (server.folder / "inbox" / "甲.csv").write_bytes(b"1")
    server.turned_away = 2
    assert pull(home).problem is None and set(stored(home)) == {"甲.csv"}
    server.turned_away = 3
    assert pull(home).problem


# --- outbox ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replaces", [True, False], ids=["a server that replaces", "a server that only renames"])
def test_answers_are_delivered_replaced_when_they_change_and_removed(home: Home, server: Server, replaces: bool):
    server.replaces = replaces
    answer(home, "a_回执.html", "第一")
    answer(home, "b_回执.html", "第二")
    assert deliver_all(home) == {}
    assert delivered(server) == {"a_回执.html": "第一", "b_回执.html": "第二"}
    writes = []
    server.on_write = writes.append
    assert deliver_all(home) == {} and writes == [], "nothing new: nothing is written"
    answer(home, "a_回执.html", "第一，改").touch()
    answer(home, "b_回执.html", "第二").unlink()
    assert deliver_all(home) == {}
    assert delivered(server) == {"a_回执.html": "第一，改"}


def test_an_outbox_that_is_gone_is_a_problem_and_the_next_run_delivers(home: Home, server: Server):
    answer(home, "a_回执.html", "第一")
    assert deliver_all(home) == {}
    server.stop()
    answer(home, "a_回执.html", "第一，改")
    answer(home, "b_回执.html", "第二")
    problems = deliver_all(home)
    assert problems[CODE].startswith("连不上服务器") and PASSWORD not in problems[CODE]
    assert delivered(server) == {"a_回执.html": "第一"}
    server.start()
    assert deliver_all(home) == {}
    assert delivered(server) == {"a_回执.html": "第一，改", "b_回执.html": "第二"}


def test_a_connection_that_breaks_amid_an_answer_leaves_the_former_one_whole(home: Home, server: Server):
    answer(home, "a_回执.html", "第一")
    assert deliver_all(home) == {}
    answer(home, "a_回执.html", "改" * 200_000)
    server.on_write = lambda path: server.cut()
    assert CODE in deliver_all(home)
    assert (server.folder / "outbox" / "回执" / "a_回执.html").read_text(encoding="utf-8") == "第一"
    server.on_write = lambda path: None
    assert deliver_all(home) == {}
    assert delivered(server) == {"a_回执.html": "改" * 200_000}, "and nothing is left of the attempt"


# --- the whole way --------------------------------------------------------------------------------------------------


def test_a_file_comes_in_and_its_receipt_goes_back_over_sftp(home: Home, server: Server):
    (server.folder / "inbox" / "坏文件.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    ran = run_in_own_instance(home)
    assert (ran.failure, ran.problems(StepResult), ran.collected_n) == (None, {}, 1)
    names = set(delivered(server))
    assert any(name.endswith("_回执.html") for name in names) and any(name.endswith("_回执.json") for name in names)
    assert not any(name.startswith(".") for name in names)
    assert all("坏文件" in text for name, text in delivered(server).items() if name.endswith("回执.html"))
