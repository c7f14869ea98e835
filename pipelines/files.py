"""Writing files so that nobody ever sees half of one: aside, flushed to disk, renamed; and folders aside for a time."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DAY_SECONDS = 86_400


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; Windows does so itself, and opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` at `path` atomically and durably, making its folder when needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """A folder of one's own under `parent`, gone afterwards; what a killed process left there a day ago and more goes too."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".aside-*"):
        if time.time() - left.stat().st_mtime > _DAY_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".aside-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
