"""What every run does first, whatever it finds in the home: closes it to others, and removes what processes that are gone left aside.

Belongs here: going over `raw/` and `warehouse/`. What is left behind, `pipelines.files` tells; who may read what is said here:

    the published file, its manifest, its page, comparisons of releases     everybody on this machine, whatever the umask
    all else in raw/ and warehouse/                                         the user that the pipeline runs as, nobody else
"""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.files import is_left_behind
from pipelines.home import Home
from pipelines.intake.raw_store import RawStore

_OTHERS = 0o077
_READ, _READ_FOLDER = 0o044, 0o055


@dataclass
class Upkeep:
    """What was done: paths that were `closed` or `removed`, and those of somebody else that could not be closed."""

    closed: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    not_ours: list[Path] = field(default_factory=list)


def look_after(home: Home) -> Upkeep:
    """Close a home to others and remove what dead processes left in it. Safe beside processes at work: what they hold stays."""
    done = Upkeep()
    public = {path for path in home.for_all if path.exists()}
    home.warehouse.mkdir(parents=True, exist_ok=True)
    _open(home.warehouse, _READ_FOLDER, done)
    for path in public:
        _open(path, _READ, done)
    # A release that is kept may be the published file itself under a second name.
    shared = {(status.st_dev, status.st_ino) for status in map(Path.stat, public)}
    drafts = RawStore(home.raw).drafts
    if home.raw.is_dir():
        _close(home.raw, home.raw.stat(), done)
    for entry in (*_below(home.raw), *_below(home.warehouse)):
        path = Path(entry.path)
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if (entry.name.startswith(".") or path.parent == drafts) and is_left_behind(path):
            _remove(path, done)
        elif not entry.is_symlink() and path not in public and (status.st_dev, status.st_ino) not in shared:
            _close(path, status, done)
    for path in home.root.glob(".municipality.yaml.*.part"):
        if is_left_behind(path):
            _remove(path, done)
    return done


def _below(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Every file and folder below, a folder before what is in it; links are not followed."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except PermissionError:
        return
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))


def _close(path: Path, status: os.stat_result, done: Upkeep) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHERS:
        _change(path, mode & ~_OTHERS, done.closed, done)


def _open(path: Path, wanted: int, done: Upkeep) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & wanted != wanted:
        _change(path, mode | wanted, [], done)


def _change(path: Path, mode: int, into: list[Path], done: Upkeep) -> None:
    try:
        path.chmod(mode)
    except PermissionError:
        done.not_ours.append(path)
    except OSError:  # gone meanwhile, or a file system without modes
        return
    else:
        into.append(path)


def _remove(path: Path, done: Upkeep) -> None:
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:
        return
    done.removed.append(path)
