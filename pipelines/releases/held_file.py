"""The published file held against what was published: whether somebody has put another in its place.

    warehouse/private/published.json   {"sha256": [those the file may have], "seen": [size, times and inode when it was last hashed]}

Belongs here: recognising the file, by its bytes where they are known and by its rows where not. Publishing and putting back is
`publish`. The file is hashed only when it may have been touched, so that a run costs the question and no more.
"""

import json
import stat
from collections.abc import Sequence
from pathlib import Path

from pipelines.files import replace_file, seen_as, sha256_of
from pipelines.home import Home
from pipelines.releases.release import Manifest, table_contents_of
from pipelines.warehouse.opened import FileUnusable


def expect(home: Home, sha256s: Sequence[str]) -> None:
    """Remember what the published file may be from here on. Around a swap: the one before and the one after."""
    replace_file(_record(home), json.dumps({"sha256": list(sha256s), "seen": None}).encode())


def expected(home: Home) -> list[str]:
    """What the published file may be; nothing where that is not known."""
    try:
        content = json.loads(_record(home).read_bytes())
        return [str(one) for one in content["sha256"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def what_is_wrong(home: Home, manifest: Manifest | None) -> str | None:
    """In words (Chinese) why the published file is not the release of its manifest (the newest of `raw/releases`); None when it is.

    A file that was moved, copied back or touched and has kept its bytes is right.
    """
    path, record = home.published, _record(home)
    known = expected(home)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return "不见了" if known else None
    if not stat.S_ISREG(status.st_mode):
        return "已不是一个文件"
    if write_ahead_log(home).exists():
        return f"旁边多了 {write_ahead_log(home).name}，打开时会改变其中的内容"
    if known and _seen(record) == seen_as(path):
        return None
    sha256 = sha256_of(path)
    if known and sha256 not in known:
        return "的内容已不是发布时的"
    if not known and manifest is not None and (differing := differing_tables(path, manifest)):
        return f"的内容与发布清单不符（{'、'.join(differing)}）"
    replace_file(record, json.dumps({"sha256": known or [sha256], "seen": seen_as(path)}).encode())
    return None


def differing_tables(path: Path, manifest: Manifest) -> tuple[str, ...]:
    """The tables whose rows are not those of the manifest; every row is read. A file that is held by a client cannot be read and
    differs in nothing; one that is no database differs in all."""
    try:
        tables = table_contents_of(path)
    except FileUnusable as unusable:
        return () if unusable.is_held else ("整个文件读不出来",)
    return tuple(sorted(name for name in {*tables, *manifest.tables} if tables.get(name) != manifest.tables.get(name)))


def write_ahead_log(home: Home) -> Path:
    """What a client leaves beside the file that it has written to: read with the file by whoever opens it."""
    return home.published.with_name(home.published.name + ".wal")


def _record(home: Home) -> Path:
    return home.private / "published.json"


def _seen(record: Path) -> object:
    try:
        return json.loads(record.read_bytes())["seen"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
