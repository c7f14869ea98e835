"""Opening a published file to read it and, where DuckDB refuses, what stands in the way, in words.

Belongs here: every way in which DuckDB fails on a file, told in one sentence in Chinese and one in English, with what to do. What is
asked of the file is the caller's. Imports DuckDB only when a file is opened: the command line knows the exception without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


class FileUnusable(Exception):
    """A database file that cannot be read (or written) now. `chinese` and `english` say which, why and what to do.

    `is_fault`: something of ours is broken; else it lies with whoever called, and nothing was done. `is_held`: a client has the
    file open for writing. `is_damaged`: the file's own content cannot be read, and reading it again will not help.
    """

    def __init__(
        self, chinese: str, english: str, *, is_fault: bool = False, is_held: bool = False, is_damaged: bool = False
    ) -> None:
        super().__init__(chinese)
        self.chinese, self.english = chinese, english
        self.is_fault, self.is_held, self.is_damaged = is_fault, is_held, is_damaged


class MartsNotOurs(FileUnusable):
    """The unpublished marts are not what was built. The build database can make them again."""

    def __init__(self, path: Path) -> None:
        name = path.name
        super().__init__(
            f"{name} 不是上次建成的样子：什么都没有发布，已发布的指标库保持不变。再运行一次 xianbao run 即可。",
            f"{name} is not what was built: nothing was published. Run xianbao run again.",
            is_fault=True,
            is_damaged=True,
        )


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a published file, read-only and closed afterwards. Whatever DuckDB raises inside becomes FileUnusable."""
    import duckdb

    with telling_of(path), duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@contextmanager
def telling_of(path: Path) -> Iterator[None]:
    """Whatever DuckDB raises inside becomes FileUnusable of this file."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise in_words(str(error), path) from error


_LOCKED = re.compile(r"set lock on file|used by another process|already open in", re.IGNORECASE)
_NAMED = re.compile(r'(?:file|database) "(?P<path>[^"]+)"')
_HOLDER = re.compile(
    r"(?:held in|open in)\s+(?P<program>[^()\n]*?)\s*\(PID (?P<process>\d+)\)(?: by user (?P<user>\S+))?"
)
_MISSING = re.compile(r"database does not exist|No such file or directory", re.IGNORECASE)
_DENIED = re.compile(r"Permission denied|Operation not permitted|Access is denied|Read-only file system", re.IGNORECASE)
_FULL = re.compile(
    r"No space left|not enough space|disk (?:is )?full|Disk quota exceeded|max_temp_directory_size", re.IGNORECASE
)
_VERSION = re.compile(r"version number|storage version|Serialization Error|newer version", re.IGNORECASE)
_DAMAGED = re.compile(
    r"not a valid DuckDB|Corrupt|checksum|Could not read enough bytes|invalid .*block|replaying WAL|WAL does not match",
    re.IGNORECASE,
)
_LACKS = re.compile(r"^(?:Catalog|Binder) Error")
_NAME = re.compile(r'(?:with name|column|schema) "(?P<name>[^"]+)"')


def in_words(message: str, path: Path | None = None) -> FileUnusable:
    """What a DuckDB error means for the file: the one that is named, else the one that the message names."""
    named = _NAMED.search(message)
    file = str(path or (named["path"] if named else "")) or None
    zh, en = file or "数据库", file or "the database"
    if _LOCKED.search(message):
        holder_zh, holder_en = _holder(message)
        return FileUnusable(
            f"{zh} 正被另一个程序以可写方式打开（{holder_zh}）：请在那里关闭它，或改为只读方式打开，然后再试。",
            f"{en} is open for writing in another program ({holder_en}): close it there, or open it read-only, and try again.",
            is_held=True,
        )
    if _MISSING.search(message):
        return FileUnusable(
            f"没有 {zh} 这个文件。请先运行 xianbao run。", f"There is no file {en}. Run xianbao run first."
        )
    if "Is a directory" in message:
        return FileUnusable(f"{zh} 是一个文件夹，不是指标库：请把它移走，再运行 xianbao run。",
                            f"{en} is a folder and no database: move it away and run xianbao run.", is_damaged=True)  # fmt: skip
    if _DENIED.search(message):
        return FileUnusable(f"没有权限打开 {zh}：请检查这个文件和所在文件夹的权限。",
                            f"No permission to open {en}: check the rights of the file and its folder.")  # fmt: skip
    if _FULL.search(message):
        return FileUnusable("磁盘空间不足：请腾出空间再试。", "No space left on the disk: make room and try again.",
                            is_fault=True)  # fmt: skip
    if message.startswith("Out of Memory"):
        return FileUnusable("内存不足：请关闭其他程序再试。", "Out of memory: close other programs and try again.",
                            is_fault=True)  # fmt: skip
    if _LACKS.search(message):
        lacking = _NAME.search(message)
        what = f"“{lacking['name']}”" if lacking else "所需的表或列"
        return FileUnusable(
            f"{zh} 里没有{what}，它是另一版本的程序发布的：请运行 xianbao run 重新发布。",
            f"{en} has no {lacking['name'] if lacking else 'such table or column'}: another version of the program published it; "
            "run xianbao run to publish anew.",
            is_fault=True,
        )  # fmt: skip
    if _VERSION.search(message) and "checksum" not in message:
        return FileUnusable(
            f"{zh} 是用另一版本的 DuckDB 写的，这里读不了：请运行 xianbao run 重新发布。",
            f"{en} was written by another version of DuckDB: run xianbao run to publish anew.",
            is_fault=True,
        )
    if _DAMAGED.search(message):
        return FileUnusable(
            f"{zh} 已损坏，或者不是 DuckDB 数据库：请运行 xianbao run 重新发布；仍不行再运行 xianbao rebuild。",
            f"{en} is damaged, or no DuckDB database: run xianbao run to publish anew, and if that fails xianbao rebuild.",
            is_fault=True,
            is_damaged=True,
        )
    told = " ".join(message.split("\n\n", maxsplit=1)[0].split())[:200]
    return FileUnusable(f"{zh} 读写失败，请再试；仍不行请报告系统管理员（DuckDB：{told}）。",
                        f"{en} cannot be used: try again, else report it (DuckDB: {told}).", is_fault=True)  # fmt: skip


def _holder(message: str) -> tuple[str, str]:
    held = _HOLDER.search(message)
    if held is None:
        return "没有说是哪一个", "which one is not told"
    program = PureWindowsPath(held["program"]).name or "?"  # takes either separator
    user = held["user"] or _owner(int(held["process"]))
    by_zh, by_en = (f"，用户 {user}", f", user {user}") if user else ("", "")
    return f"{program}，进程号 {held['process']}{by_zh}", f"{program}, PID {held['process']}{by_en}"


def _owner(process: int) -> str:
    try:
        return Path(f"/proc/{process}").owner()
    except (OSError, KeyError, NotImplementedError):
        return ""
