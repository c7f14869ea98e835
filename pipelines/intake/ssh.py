"""SFTP to a server whose host key is confirmed: by a fingerprint in the configuration, or by known_hosts. Nothing else is spoken to.

Belongs here: telling whose key it is before any user or password is sent, not crowding a server that serves many counties, and trying
again where one turned a connection away. Which files are meant is the business of `collect` and `deliver`.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

#: Connections to one server at a time; sshd turns away more than ten that have not logged in yet.
_AT_ONCE = 4
#: Pauses before a server that closed the door is asked again, in seconds.
_PAUSES = (1.0, 3.0)
#: What took longer than this was no closed door, and is not waited for once more.
_SOON_SECONDS = 5.0

#: Where OpenSSH keeps the keys of known servers: of the user, of the machine.
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")

_slots: dict[str, threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


class HostKeyRefused(Exception):
    """The server's key is not confirmed, or not the one that was (Chinese). Nothing was sent to it."""


class ConfirmedSFTP(SFTPFileSystem):
    """fsspec's SFTP, which by itself takes any key.

    `host_keys`: fingerprints (SHA256:…) any of which the server may have; none: known_hosts decides.
    """

    def __init__(self, host: str, host_keys: Sequence[str] = (), **ssh_kwargs: Any) -> None:
        if self._cached:
            return
        self.host_keys = tuple(host_keys)
        super().__init__(host, **ssh_kwargs)

    def _connect(self) -> None:
        pauses = iter(_PAUSES)
        while True:
            begun = time.monotonic()
            try:
                self._connect_once()
                return
            except (HostKeyRefused, paramiko.AuthenticationException, paramiko.ssh_exception.NoValidConnectionsError):
                raise
            except (paramiko.SSHException, EOFError, ConnectionError) as error:
                pause = next(pauses, None)
                if pause is None or time.monotonic() - begun > _SOON_SECONDS:
                    raise error
                time.sleep(pause)

    def _connect_once(self) -> None:
        self.client = paramiko.SSHClient()
        try:
            if not self.host_keys:
                _load_known_hosts(self.client)
            self.client.set_missing_host_key_policy(_Confirmed(self.host_keys))
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
        except paramiko.BadHostKeyException as error:
            self.client.close()
            raise _changed(
                error.hostname, [error.expected_key.fingerprint], error.key, "known_hosts 里的这一行"
            ) from None
        except BaseException:
            self.client.close()
            raise


class _Confirmed(paramiko.MissingHostKeyPolicy):
    """Asked after the keys are exchanged and before the login, for a server that known_hosts does not name."""

    def __init__(self, host_keys: Sequence[str]) -> None:
        self.host_keys = host_keys

    def missing_host_key(self, _client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if key.fingerprint in self.host_keys:
            return
        if self.host_keys:
            raise _changed(hostname, self.host_keys, key, "配置里的 host_key")
        raise HostKeyRefused(
            f"服务器的主机密钥没有确认过：{hostname} 的指纹是 {key.fingerprint}，用户名和口令都没有发出。请向对方管理员核实指纹，然后在配置里加一行 "
            f'host_key: "{key.fingerprint}"，或在 ~/.ssh/known_hosts 里加一行 {hostname} {key.get_name()} {key.get_base64()}'
        )


def _changed(hostname: str, expected: Sequence[str], key: paramiko.PKey, where: str) -> HostKeyRefused:
    return HostKeyRefused(
        f"服务器的主机密钥变了，可能有人冒充：{hostname} 确认过的指纹是 {'、'.join(expected)}，现在是 {key.fingerprint}，用户名和口令都没有发出。"
        f"请向对方管理员核实；确是换了密钥的，改正{where}"
    )


def _load_known_hosts(client: paramiko.SSHClient) -> None:
    for name in _KNOWN_HOSTS:
        try:
            client.load_system_host_keys(str(Path(name).expanduser()))
        except OSError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever stands in the file, nobody is trusted for it
            raise HostKeyRefused(
                f"{name} 读不出来（{type(error).__name__}），不能确认服务器的主机密钥。请改正这个文件"
            ) from None


@contextmanager
def one_of_few(server: str) -> Iterator[None]:
    """Wait for one of the few connections that a server is given at a time."""
    with _slots_lock:
        slot = _slots.setdefault(server, threading.BoundedSemaphore(_AT_ONCE))
    with slot:
        yield


def register() -> None:
    """Let fsspec speak SFTP in this way only, in chains of file systems too."""
    for protocol in ("sftp", "ssh"):
        fsspec.register_implementation(protocol, ConfirmedSFTP, clobber=True)
