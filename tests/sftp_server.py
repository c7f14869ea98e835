"""An SFTP server for tests, that can be stopped, cut off and exchanged for another."""

import asyncio
import os
import threading
from pathlib import Path

import asyncssh


class Server:
    """An SFTP server of one user, rooted in a folder, on a thread of its own; it can be stopped and started again."""

    def __init__(self, folder: Path, user: str, password: str) -> None:
        self.folder, self.user, self.password = folder, user, password
        #: What was given at each login, and the most connections that were open at a time.
        self.given: list[tuple[str, str]] = []
        self.most_connections = 0
        #: So many connections are closed before a word is said.
        self.turned_away = 0
        self.port = 0
        self.logins = 0
        self.open_connections = 0
        self.replaces = True
        #: Called with the path of a file whenever a piece of it is read; may raise asyncssh.SFTPError.
        self.on_read = lambda path: None
        self.on_write = lambda path: None
        self.key = asyncssh.generate_private_key("ssh-ed25519")
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
                outer.most_connections = max(outer.most_connections, outer.open_connections)
                if outer.turned_away:
                    outer.turned_away -= 1
                    conn.abort()

            def connection_lost(self, exc):
                outer._connections.discard(self.connection)
                outer.open_connections -= 1

            def begin_auth(self, username):
                return True

            def password_auth_supported(self):
                return True

            def validate_password(self, username, password):
                outer.logins += 1
                outer.given.append((username, password))
                return (username, password) == (outer.user, outer.password)

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
                "127.0.0.1", self.port, server_host_keys=[self.key], server_factory=Login, sftp_factory=Files
            )

        self._acceptor = self._do(listen())
        self.port = self._acceptor.get_port()

    @property
    def fingerprint(self) -> str:
        return self.key.get_fingerprint()

    def change_key(self) -> None:
        """Another server takes its place."""
        self.stop()
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.start()

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
