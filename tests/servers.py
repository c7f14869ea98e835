"""Servers that tests talk to, real ones, started for the test and stopped after it. Where the program is not installed, the test is
skipped with the reason."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _postgres_program(name: str) -> str | None:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(newest[-1]) if newest else shutil.which(name)


@contextmanager
def postgres_server(port: int | None = None) -> Iterator[Path]:
    """A PostgreSQL of its own on a socket; gives the folder of the socket, which is the `host` of a connection.

    With `port` it listens there on 127.0.0.1 too (for drivers that know no sockets), and the socket is that port's.

    Database and superuser are both `postgres`, no password is asked for. initdb refuses to run as root: then the server runs as
    the system's user `postgres`.
    """
    initdb, pg_ctl = _postgres_program("initdb"), _postgres_program("pg_ctl")
    if not initdb or not pg_ctl:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    as_user: list[str] = []
    if os.geteuid() == 0:
        runuser = shutil.which("runuser")
        if not runuser or subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
            pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres' to run it as")
        as_user = [runuser, "-u", "postgres", "--"]
    # Not pytest's tmp_path, into which only root may look; and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        subprocess.run(
            [*as_user, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        listens = f"-p {port} -c listen_addresses=127.0.0.1" if port else "-p 5432 -c listen_addresses=''"
        options = f"-k {folder} {listens} -c fsync=off -c shared_buffers=32MB"
        control = [*as_user, pg_ctl, "-D", str(data), "-w"]
        log = str(folder / "log")
        subprocess.run(
            [*control, "-l", log, "-o", options, "start"], check=True, cwd="/",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield folder
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
