"""What makes a zip a batch of returns, and which of its members are files to be taken in.

Belongs here: telling a batch from a workbook, and refusing a bad one as a whole. Both sides ask it, so that they cannot differ: the
intake, which keeps the members, and the reading process, which judges the zip itself. Light on purpose (standard library only).
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

from pipelines.workbooks.archives import OTHER_ARCHIVES, Unsafe, damage, member_name, open_archive

BATCH_KIND = "batch"
#: More files than this in one zip are no county's returns.
MAX_FILES = 500
#: What marks a zip as a document of some program.
_DOCUMENT_PARTS = {
    "[content_types].xml",
    "_rels/.rels",
    "index/document.iwa",
    "ofd.xml",
    "mimetype",
    "xl/workbook.xml",
    "workbook.xml",
    "xl/workbook.bin",
    "content.xml",
}
#: What systems keep in every folder that they show.
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "folder.htt", ".ds_store"}
#: How the folders of systems and of automatic backups are called; so begins or ends what a program puts aside while it works.
_SYSTEM_FOLDERS = {"__macosx", "$recycle.bin", "system volume information", "recycler", "@eadir", "lost+found"}
_BACKUP_FOLDERS = {"wps自动备份", "wps备份", "wps云备份", "wps backup", "wpsbackup", "wps_backup", "kingsoft backup"}
#: The path under which WPS keeps its own copies, below its folder of settings.
_BACKUP_PATH = ("office6", "backup")
_PUT_ASIDE_STARTS = (".", "~$", "._", "~wrl", "~wrd", "~df")
_PUT_ASIDE_ENDS = (".temp", ".bak", ".xlk", ".wbk", ".asd")
#: Names under which editors and transfer programs keep files that are not finished.
UNFINISHED = (".part", ".filepart", ".tmp", ".crdownload", ".swp", ".lock")
_PIECE = 1 << 18


@dataclass(frozen=True)
class Member:
    """A file of a batch. `path`: as the zip names it, with forward slashes; `name`: its last part."""

    info: zipfile.ZipInfo
    path: str
    name: str


def is_batch(names: Iterable[str]) -> bool:
    """Whether an archive with these members is a mere archive, not a document of some program."""
    return not ({name.replace("\\", "/").lower() for name in names} & _DOCUMENT_PARTS)


def batch_members(archive: zipfile.ZipFile, *, max_bytes: int) -> list[Member]:
    """The files of a batch, by path; each was read to its end once, so that its check sum holds.

    Folders, hidden files and what programs leave behind (`left_behind`) are not counted as files. Raises Unsafe for a batch that is to be
    refused as a whole: with a member that is too large, encrypted, damaged or an archive itself, or without any file.
    """
    members = []
    for info in archive.infolist():
        path = member_name(info)
        name = posixpath.basename(path)
        if not name or info.is_dir() or is_left_behind(path):
            continue
        if info.flag_bits & 0x1:
            raise Unsafe(f"压缩包内“{path}”设有密码")
        if info.file_size > max_bytes:
            size = f"{info.file_size:,} 字节，超过上限 {max_bytes:,} 字节"
            raise Unsafe(f"压缩包内“{path}”解压后 {size}", beyond_limits=True)
        members.append(Member(info, path, name))
    if not members:
        raise Unsafe("压缩包内没有可收取的文件")
    if len(members) > MAX_FILES:
        raise Unsafe(f"压缩包内有 {len(members):,} 个文件，超过上限 {MAX_FILES} 个", beyond_limits=True)
    for member in members:
        _check(archive, member)
    return sorted(members, key=lambda member: member.path)


def plain_name(name: str, *, longest: int = 255) -> str:
    """A name without control characters and excess length; what ends it stays, for that is the kind of file."""
    printable = "".join(character if character.isprintable() else "_" for character in name)
    if len(printable) <= longest:
        return printable
    return f"{printable[: longest - 21]}…{printable[-20:]}"


def is_left_behind(path: str) -> bool:
    """Whether a file is none that anybody sends: what a system or a program keeps in a folder, or puts aside while it works.

    `path`: within the archive or the inbox, with forward slashes.
    """
    *folders, name = path.lower().split("/")
    return (
        name in _SYSTEM_FILES
        or name.startswith(_PUT_ASIDE_STARTS)
        or name.endswith((*_PUT_ASIDE_ENDS, *UNFINISHED))
        or any(folder in _SYSTEM_FOLDERS or folder.startswith(".") for folder in folders)
        or any(folder in _BACKUP_FOLDERS for folder in folders)
        or _BACKUP_PATH in pairwise(folders)
    )


def left_behind(archive: zipfile.ZipFile) -> list[str]:
    """The paths of a batch that are passed over, in order; folders are not named."""
    paths = (member_name(info) for info in archive.infolist() if not info.is_dir())
    return sorted(path for path in paths if is_left_behind(path))


def _check(archive: zipfile.ZipFile, member: Member) -> None:
    try:
        with archive.open(member.info) as stream:
            head = stream.read(_PIECE)
            size = len(head)
            # What unpacks to more than the directory says ends with a wrong check sum, never beyond the stated size.
            while piece := stream.read(_PIECE):
                size += len(piece)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise Unsafe(f"压缩包内“{member.path}”：{damage(error)}") from error
    if size != member.info.file_size:
        raise Unsafe(f"压缩包内“{member.path}”已损坏（长度不符）")
    kind = next((kind for start, kind in OTHER_ARCHIVES.items() if head.startswith(start)), None)
    if kind or (head.startswith(b"PK") and _holds_an_archive(archive, member)):
        raise Unsafe(f"压缩包内“{member.path}”本身又是压缩包（{kind or 'zip'}）")


def _holds_an_archive(archive: zipfile.ZipFile, member: Member) -> bool:
    """Whether a member that is a zip is a mere archive; one that is not whole is judged when it is read by itself."""
    try:
        with open_archive(BytesIO(archive.read(member.info))) as inner:
            return is_batch(inner.namelist())
    except Unsafe as unsafe:
        if unsafe.damaged:
            return False
        raise Unsafe(f"压缩包内“{member.path}”：{unsafe.reason}", beyond_limits=unsafe.beyond_limits) from unsafe
