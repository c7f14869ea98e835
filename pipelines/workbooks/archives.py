"""What every archive from outside must satisfy before anything is unpacked from it, workbook or batch.

Belongs here: bounds on the directory of a zip and on what its members claim to hold, and the names of members. Unpacking itself
is the business of those who asked. Light on purpose (standard library only): the reading process and the intake use it.
"""

import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import IO

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
#: How archives of other kinds begin, which nobody unpacks here, and what they are called.
OTHER_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz",
}  # fmt: skip
#: Text and XML pack well, but not like this: what unpacks to more than so many times its size is a bomb.
MAX_UNPACK_RATIO = 400
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBERS = 10_000
#: Largest directory of an archive in bytes; Python keeps about a kilobyte for each of its entries of 46 bytes and more.
_MAX_DIRECTORY_BYTES = 2 << 20
_END_OF_DIRECTORY = b"PK\x05\x06"
_END_BYTES = 22
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DRIVE = re.compile(r"^[A-Za-z]:")


class Unsafe(Exception):
    """An archive that must not be unpacked. `reason` is Chinese and names the member where there is one.

    `damaged`: it is broken rather than hostile. `beyond_limits`: it is, or unpacks to, more than is taken.
    """

    def __init__(self, reason: str, *, damaged: bool = False, beyond_limits: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.damaged, self.beyond_limits = reason, damaged, beyond_limits


def open_archive(source: Path | IO[bytes]) -> zipfile.ZipFile:
    """Open a zip whose directory, sizes and places are in bounds. Raises Unsafe."""
    _check_directory(source)
    if not isinstance(source, Path):
        source.seek(0)
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise Unsafe(damage(error), damaged=True) from error
    try:
        _check_members(archive.infolist())
    except Unsafe:
        archive.close()
        raise
    return archive


def damage(error: Exception) -> str:
    """What a zip that could not be read suffers from, for a clerk."""
    text = str(error)
    if "CRC" in text:
        return "文件不完整或已损坏（校验和不符）"
    if "differ" in text:
        return "文件不完整或已损坏（目录与内容不符）"
    return "文件不完整或已损坏（压缩包的结构不完整）"


def _check_directory(source: Path | IO[bytes]) -> None:
    """The size of the directory, before Python builds an object for each of its entries."""
    stream = source.open("rb") if isinstance(source, Path) else source
    try:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _END_BYTES - 65_535))
        tail = stream.read()
    finally:
        if isinstance(source, Path):
            stream.close()
    at = tail.rfind(_END_OF_DIRECTORY)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise Unsafe("文件不完整或已损坏（压缩包没有目录）", damaged=True)
    entries, directory_bytes = struct.unpack("<HI", tail[at + 10 : at + 16])
    if entries == 0xFFFF or directory_bytes == 0xFFFFFFFF or entries > MAX_MEMBERS:
        raise Unsafe(f"压缩包内文件超过 {MAX_MEMBERS:,} 个", beyond_limits=True)
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise Unsafe(f"压缩包目录 {directory_bytes:,} 字节，上限 {_MAX_DIRECTORY_BYTES:,} 字节")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise Unsafe(f"压缩包内文件超过 {MAX_MEMBERS:,} 个", beyond_limits=True)
    unpacked = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if unpacked > MAX_UNPACKED_BYTES or (unpacked > 10_000_000 and unpacked / packed > MAX_UNPACK_RATIO):
        raise Unsafe(f"解压后 {unpacked:,} 字节，疑为压缩炸弹", beyond_limits=True)
    end, before = 0, ""
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            both = f"“{before}”与“{member_name(member)}”"
            raise Unsafe(f"压缩包内{both}占用同一段数据，疑为压缩炸弹", beyond_limits=True)
        # At least the fixed header lies before the data; the name's length there may differ from the directory's.
        end, before = member.header_offset + 30 + member.compress_size, member_name(member)
    seen: set[str] = set()
    for member in members:
        name = member_name(member)
        if member.compress_type not in _METHODS:
            raise Unsafe(f"压缩包内“{name}”的压缩方法不受支持")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Unsafe(f"压缩包内“{name}”是链接")
        if escapes(name):
            raise Unsafe(f"压缩包内“{name}”的路径指向包外")
        if name in seen:
            raise Unsafe(f"压缩包内有两个“{name}”，无法判断以哪一个为准")
        seen.add(name)


def member_name(member: zipfile.ZipInfo) -> str:
    """A member's name with forward slashes: UTF-8, marked or not, else GB18030, which is what Chinese Windows writes."""
    name = member.orig_filename
    if not member.flag_bits & 0x800:
        packed = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = packed.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return name.replace("\\", "/")


def escapes(name: str) -> bool:
    """Whether a path leads out of the folder it is unpacked in."""
    return name.startswith("/") or bool(_DRIVE.match(name)) or ".." in name.split("/") or "\x00" in name
