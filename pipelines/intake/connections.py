"""A configured place, a county's source or outbox, opened for one visit and closed after it.

Belongs here: what fsspec leaves open or waits for without end, and telling what a place answered without its password. Which files
are meant is the business of `collect` and `deliver`.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

#: A server that says nothing for so long is gone. What a whole visit may take is `limits.source_seconds`.
_SILENCE_SECONDS = 30.0
_SSH = ("sftp", "ssh")

# Its threads report a broken connection as a traceback, besides raising it where we hear of it.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@contextmanager
def opened(uri: str, host_keys: Sequence[str] = ()) -> Iterator[tuple[Any, str]]:
    """The file system of a URI and the path in it, on a connection of its own that is closed at the end.

    `host_keys`: fingerprints that an SSH server may have (none: known_hosts decides). fsspec keeps connections for the next caller in
    the same thread: one that broke in the meantime would be broken for as long as the daemon lives. Raises whatever the file system raises when it cannot be reached.
    """
    import fsspec

    address, options = _options(uri, host_keys)
    with ExitStack() as waiting:
        if _protocol(uri) in _SSH:
            from pipelines.intake.ssh import one_of_few

            waiting.enter_context(one_of_few(address.partition("://")[2].partition("/")[0]))
        yield from _connected(fsspec.url_to_fs(address, **options), uri)


def _connected(place: tuple[Any, str], uri: str) -> Iterator[tuple[Any, str]]:
    system, root = place
    try:
        if _protocol(uri) in _SSH:
            system.ftp.get_channel().settimeout(_SILENCE_SECONDS)
        yield system, root
    finally:
        for name in ("ftp", "client"):
            close = getattr(getattr(system, name, None), "close", None)
            if callable(close):
                close()


def protocols_of(system: Any) -> set[str]:
    """What a file system is called by in URIs."""
    return {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)


def is_local(system: Any) -> bool:
    """Whether a file system is this machine's own."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)


def _protocol(uri: str) -> str:
    """Blank for a local folder and for a chain of several."""
    return uri.split("://", maxsplit=1)[0] if "://" in uri and "::" not in uri else ""


def _options(uri: str, host_keys: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The URI as fsspec is to be given it, and what it is to be given besides."""
    protocol = _protocol(uri)
    over_ssh = {link.partition("://")[0] for link in uri.split("::") if "://" in link} & set(_SSH)
    if over_ssh:
        from pipelines.intake.ssh import register

        register()
    if not protocol:
        return uri, {link: {"host_keys": tuple(host_keys)} for link in over_ssh}
    options: dict[str, Any] = {"skip_instance_cache": True}
    if protocol not in _SSH:
        return uri, options
    options["host_keys"] = tuple(host_keys)
    options |= dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), _SILENCE_SECONDS)
    for user in _users(uri):
        # Taken out of the URI, so that a password may hold any character.
        uri = uri.replace(f"{user}@", "", 1)
        options["username"], given, password = user.partition(":")
        if given:
            # Keys that happen to lie on this machine are not tried before it: servers count the attempts.
            options |= {"password": password, "look_for_keys": False, "allow_agent": False}
    return uri, options


def what_failed(error: BaseException, uri: str) -> str:
    """What a place answered, in words where they are known, without its user and password."""
    text = masked(f"{type(error).__name__}: {error}", uri)[:300]
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "HostKeyRefused" in kinds:
        return str(error)  # it knows of no password
    if "AuthenticationException" in kinds:
        return f"服务器不接受所给的用户名和密码（{text}）"
    if kinds & {"NoValidConnectionsError", "ConnectionRefusedError"}:
        return f"连不上服务器（{text}）"
    return text


def masked(text: str, uri: str) -> str:
    """A text without the user and password of any URI in it, and without the password of this one wherever it stands."""
    for user in _users(uri):
        secret = user.partition(":")[2]
        text = text.replace(f"{user}@", "")
        text = text.replace(secret, "***") if secret else text
    return re.sub(r"://[^/\s@]*@", "://", text)


def _users(uri: str) -> list[str]:
    """`user` or `user:password` of each URI in a chain. A password may hold `@`, `/`, `#`: variables are filled in as they are."""
    found = []
    for link in uri.split("::"):
        rest = link.partition("://")[2]
        server = rest.partition("/")[0]
        if "@" in server:
            found.append(server.rpartition("@")[0])
        elif "@" in rest and re.search(r":(?!\d+$)", server):  # what looks like a port is none: a password with a slash
            found.append(rest.rpartition("@")[0])
    return found
