"""Writing files so that nobody ever sees half of one: aside, flushed to disk, renamed; and folders aside for a time.

Belongs here too: telling whether a file is still what it was, removing what a process that is gone left aside, and who may read what is written. A file aside is called
`.<name>.<process id>.part`, a folder `.aside-<process id>-…`, and who makes one holds a lock on it, which the kernel releases.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_DAY_SECONDS = 86_400
_FILE_ASIDE = re.compile(r"\.(?P<name>.+)\.(?P<process>[1-9][0-9]{0,8})\.part", re.DOTALL)
_FOLDER_ASIDE = re.compile(r"\.aside-(?P<process>[1-9][0-9]{0,8})-\w+")
#: What versions before left without saying who made it.
_NAMELESS = re.compile(r"\.aside-\w+|\.compact-\w+|\.publishing|tmp\w{8}")


#: With it, whatever a process makes is its user's alone.
PRIVATE_UMASK = 0o077


def _umask() -> int:
    given = os.umask(PRIVATE_UMASK)
    os.umask(given)
    return given


#: What the process was told about new files when it began: it holds for what is not the home's own, a county's folder say.
GIVEN_UMASK = _umask()
FOR_ALL = 0o644


@contextmanager
def closed_to_others() -> Iterator[None]:
    """Whatever this process makes meanwhile is its user's alone, whoever makes it: a database, a log, dbt."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; Windows does so itself, and opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def aside_name(name: str) -> str:
    """What a file is called while it is written."""
    return f".{name}.{os.getpid()}.part"


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write `content` at `path` atomically and durably, making its folder when needed. `mode`: who may read it; by the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(aside_name(path.name))
    try:
        with aside.open("wb") as stream:
            hold(stream.fileno())
            stream.write(content)
            if mode is not None:
                aside.chmod(mode)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """A folder of one's own under `parent`, gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".aside-{os.getpid()}-", dir=parent))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        hold(descriptor)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def hold(descriptor: int) -> bool:
    """Lock an open file or folder for as long as it is open; false where another process holds it, or nothing can be locked."""
    try:
        import fcntl  # not on Windows, where counties check their files

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def is_left_behind(path: Path, *, of: Callable[[str], object] = bool) -> bool:
    """Whether a file or folder is one that was aside and whose process is gone. `of`: which names, as they would have become,
    are meant."""
    name = path.name
    made = _FILE_ASIDE.fullmatch(name) or _FOLDER_ASIDE.fullmatch(name)
    try:
        status = path.lstat()
        if made is None:
            is_old = time.time() - status.st_mtime > _DAY_SECONDS
            return bool(_NAMELESS.fullmatch(name)) and is_old and not _is_held(path)
        if made.re is _FILE_ASIDE and not of(made["name"]):
            return False
        return not _lives(int(made["process"]), status.st_mtime) and not _is_held(path)
    except OSError:
        return False


def _lives(process: int, since: float) -> bool:
    """Whether a process is there that can have made a file at a moment: its number may be that of one long gone."""
    try:
        os.kill(process, 0)
    except PermissionError:
        pass  # another user's
    except OSError:
        return False
    try:
        started = float(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return True
    # A second of grace: file systems and the kernel round their clocks.
    return since >= time.time() - up + started / os.sysconf("SC_CLK_TCK") - 1


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not hold(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Of a file's content. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seen_as(path: Path) -> list[int]:
    """Size, times and inode: nobody writes to a file without changing one of them. Raises OSError."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def fingerprint(path: Path) -> str:
    """A file's content and how it was seen, in one word, for `is_unchanged`. Raises OSError."""
    return json.dumps({"seen": seen_as(path), "sha256": sha256_of(path)})


def is_unchanged(path: Path, known: str) -> bool:
    """Whether a file is what it was when its fingerprint was taken; it is hashed only when it may have been touched."""
    try:
        before = json.loads(known)
        return before["seen"] == seen_as(path) or before["sha256"] == sha256_of(path)
    except (OSError, ValueError, KeyError, TypeError):
        return False
