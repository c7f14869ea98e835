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

from pipelines.screening.archives import Unsafe, damage, member_name, open_archive

BATCH_KIND = "batch"
#: More files than this in one zip are no county's returns.
MAX_FILES = 500
#: What marks a zip as a document of some program.
_DOCUMENT_PARTS = {
    "[content_types].xml",
    "mimetype",
    "xl/workbook.xml",
    "workbook.xml",
    "xl/workbook.bin",
    "content.xml",
}
_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz",
}  # fmt: skip
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

    Folders, hidden files and what macOS and Windows leave behind are not counted as files. Raises Unsafe for a batch that is to be
    refused as a whole: with a member that is too large, encrypted, damaged or an archive itself, or without any file.
    """
    members = []
    for info in archive.infolist():
        path = member_name(info)
        name = posixpath.basename(path)
        if not name or info.is_dir() or _is_left_behind(path, name):
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


def _is_left_behind(path: str, name: str) -> bool:
    return path.startswith("__MACOSX/") or name.startswith((".", "~$")) or name.lower() in ("thumbs.db", "desktop.ini")


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
    kind = next((kind for start, kind in _ARCHIVES.items() if head.startswith(start)), None)
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
