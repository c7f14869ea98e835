"""Where the addresses of sources and outboxes lead, without going there.

Belongs here: protocols, variables of the environment, and which folder lies in which. Reading what lies there is
`intake`.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path


def protocols(source: str) -> list[str]:
    links = source.split("::")
    return [link.split("://")[0] for link in links if "://" in link] + [
        link for link in links[:-1] if "://" not in link
    ]


def known_protocols() -> list[str]:
    import fsspec

    return list(fsspec.available_protocols())


VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def place_of(address: str, home: Path) -> str:
    """Where an address leads, so that two addresses of one folder are equal: links followed, ``..`` and ``//`` gone, no
    password.

    A variable that is not set stays as it is written: the address is compared again when it is.
    """
    text = VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], address)
    links = text.split("::")
    while len(links) > 1 and "cache" in links[0]:
        links.pop(0)  # a cache before an address leads to the same place
    protocol, separator, rest = links[-1].partition("://")
    if len(links) == 1 and (not separator or protocol in ("file", "local")):
        return str((home / Path(rest if separator else text).expanduser()).resolve())
    host, _, path = rest.partition("/")
    user, sign, server = host.rpartition("@")
    host = f"{user.partition(':')[0]}{sign}{server.lower()}"
    folder = posixpath.normpath("/" + path.lstrip("/")).rstrip("/")
    return "::".join([*links[:-1], f"{protocol}://{host}{folder}"])


#: What a home keeps for itself: what cannot be computed again, and what can.
OWN_FOLDERS = ("raw", "warehouse")


def local_place(address: str, home: Path) -> str | None:
    """The folder of this machine that an address leads to, whatever stands before it (``dir::``, ``file://``); None: it
    leads elsewhere."""
    text = VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], address)
    protocol, separator, rest = text.split("::")[-1].partition("://")
    if separator and protocol.lower() not in ("file", "local", "dir"):
        return None
    return str((home / Path(rest if separator else protocol).expanduser()).resolve())


def is_within(inner: str, outer: str) -> bool:
    """Whether a place is another or lies in it."""
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")
