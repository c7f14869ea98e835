"""SFTP as a county's source and outbox, against a server that speaks the protocol: everything once, nothing half, no password told."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from pipelines.home import Home
from pipelines.intake.collect import Collected, collect, collect_all
from pipelines.intake.deliver import deliver_all
from pipelines.intake.raw_store import RawStore
from pipelines.orchestration.sources import look_for_news
from tests.homes import run_in_own_instance, small_home

USER = "jingle"
#: With everything in it that a URI might take for its own.
PASSWORD = "p4ss/w#rd:?@1%41"
CODE = "140926"


class Server:
    """An SFTP server of one user, rooted in a folder, on a thread of its own; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.logins = 0
        self.open_connections = 0
        self.replaces = True
        #: Called with the path of a file whenever a piece of it is read; may raise asyncssh.SFTPError.
        self.on_read = lambda path: None
        self.on_write = lambda path: None
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def start(self) -> None:
        outer = self

        class Login(asyncssh.SSHServer):
            def connection_made(self, conn):
                self.connection = conn
                outer._connections.add(conn)
                outer.open_connections += 1

            def connection_lost(self, exc):
                outer._connections.discard(self.connection)
                outer.open_connections -= 1

            def begin_auth(self, username):
                return True

            def password_auth_supported(self):
                return True

            def validate_password(self, username, password):
                outer.logins += 1
                return (username, password) == (USER, PASSWORD)

        class Files(asyncssh.SFTPServer):
            def __init__(self, chan):
                super().__init__(chan, chroot=str(outer.folder).encode())

            def read(self, file_obj, offset, size):
                outer.on_read(Path(os.fsdecode(file_obj.name)))
                return super().read(file_obj, offset, size)

            def write(self, file_obj, offset, data):
                outer.on_write(Path(os.fsdecode(file_obj.name)))
                return super().write(file_obj, offset, data)

            def posix_rename(self, oldpath, newpath):
                if not outer.replaces:
                    raise asyncssh.SFTPOpUnsupported("no such extension")
                return super().posix_rename(oldpath, newpath)

        async def listen():
            return await asyncssh.listen(
                "127.0.0.1", self.port, server_host_keys=[self._key], server_factory=Login, sftp_factory=Files
            )

        self._acceptor = self._do(listen())
        self.port = self._acceptor.get_port()

    def stop(self) -> None:
        async def close():
            self._acceptor.close()
            self.cut()
            await self._acceptor.wait_closed()

        self._do(close())

    def cut(self) -> None:
        """Break every connection, as a cable that is pulled does."""
        for connection in list(self._connections):
            connection.abort()

    def end(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server" / "inbox").mkdir(parents=True)
    running = Server(tmp_path / "server")
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
    text = text.replace(f'source: "counties/{CODE}"', f'source: "{place}/inbox", outbox: "{place}/outbox/回执"')
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
    assert (ran.failure, ran.problems, ran.undelivered, ran.landed_n) == (None, {}, {}, 1)
    names = set(delivered(server))
    assert any(name.endswith("_回执.html") for name in names) and any(name.endswith("_回执.json") for name in names)
    assert not any(name.startswith(".") for name in names)
    assert all("坏文件" in text for name, text in delivered(server).items() if name.endswith("回执.html"))
