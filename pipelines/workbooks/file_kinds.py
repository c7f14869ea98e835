"""What a file is that the readers do not read: told by its bytes, in words for the clerk, with the rule that says what to do about it.

Belongs here: the marks by which other formats are known. A table of another program is to be saved as a workbook (`FILE-0-type`), what
is no table at all is to be filled into the form (`FILE-0-no-table`), an archive of another kind to be packed anew (`FILE-0-archive`).
Light on purpose (standard library only).
"""

import re
import struct
from collections.abc import Iterable

from pipelines.workbooks.archives import OTHER_ARCHIVES
from pipelines.workbooks.workbook import Refusal

_TABLE, _NO_TABLE, _ARCHIVE = "FILE-0-type", "FILE-0-no-table", "FILE-0-archive"

#: First bytes → (rule, what it is).
_FIRST_BYTES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", _NO_TABLE, "PDF 文档"),
    (b"{\\rtf", _NO_TABLE, "RTF 文档"),
    (b"\x89PNG", _NO_TABLE, "图片（PNG）"),
    (b"\xff\xd8\xff", _NO_TABLE, "图片（JPEG）"),
    (b"GIF8", _NO_TABLE, "图片（GIF）"),
    (b"II*\x00", _NO_TABLE, "图片（TIFF）"),
    (b"MM\x00*", _NO_TABLE, "图片（TIFF）"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", _NO_TABLE, "快捷方式，不是文件本身"),
    (b"[InternetShortcut]", _NO_TABLE, "网页快捷方式，不是文件本身"),
    (b"MZ\x90\x00", _NO_TABLE, "程序"),
    (b"SQLite format 3\x00", _TABLE, "SQLite 数据库"),
    (b"\x00\x01\x00\x00Standard ", _TABLE, "Access 数据库"),
    *((start, _ARCHIVE, f"{kind} 压缩包，系统只收 .zip") for start, kind in OTHER_ARCHIVES.items()),
    # Lotus 1-2-3, Works and Quattro Pro begin with a record that says so; so does Excel before it had a container.
    (b"\x00\x00\x02\x00\x04\x04", _TABLE, "Lotus 1-2-3 表格"),
    (b"\x00\x00\x02\x00\x05\x04", _TABLE, "Lotus 1-2-3 表格"),
    (b"\x00\x00\x02\x00\x06\x04", _TABLE, "Lotus 1-2-3 表格"),
    (b"\x00\x00\x1a\x00", _TABLE, "Lotus 1-2-3 表格"),
    (b"\x00\x00\x02\x00", _TABLE, "Quattro Pro 表格"),
    (b"\xff\x00\x02\x00", _TABLE, "Works 表格"),
    (b"\x09\x00\x04\x00", _TABLE, "Excel 2 的老式工作簿"),
    (b"\x09\x02\x06\x00", _TABLE, "Excel 3 的老式工作簿"),
    (b"\x09\x04\x06\x00", _TABLE, "Excel 4 的老式工作簿"),
)  # fmt: skip

#: How text begins (spaces before it and the case aside) → (rule, what it is).
_BEGINNINGS: tuple[tuple[str, str, str], ...] = (
    ("id;p", _TABLE, "SYLK 表格（.slk）"),
    ("{\\rtf", _NO_TABLE, "RTF 文档"),
    ("[internetshortcut]", _NO_TABLE, "网页快捷方式，不是文件本身"),
)
_DIF = re.compile(r"TABLE\s*\r?\n0,1\s*\r?\n", re.IGNORECASE)
_MAIL_HEADER = re.compile(r"(?:[A-Za-z][A-Za-z-]*: [^\n]*\n(?:[ \t][^\n]*\n)*){0,30}?mime-version:", re.IGNORECASE)
_XML_OR_HTML = re.compile(r"<(?:\?xml|!doctype|!--|[a-z][\w:.-]*[\s>/])", re.IGNORECASE)

#: Parts by which a document in a zip is known.
_ZIP_PARTS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), rule, kind)
    for pattern, rule, kind in (
        (r"word/", _NO_TABLE, "Word 文档"),
        (r"ppt/", _NO_TABLE, "演示文稿"),
        (r"visio/", _NO_TABLE, "Visio 绘图"),
        (r"ofd\.xml$", _NO_TABLE, "OFD 版式文件"),
        (r"index/calculationengine.*\.iwa$", _TABLE, "Numbers 表格"),
        (r"index/document\.iwa$", _TABLE, "Numbers 表格（或其他 iWork 文档）"),
        (r"meta-inf/manifest\.mf$", _NO_TABLE, "程序"),
    )
)  # fmt: skip
_MIME_TYPES = {
    "application/vnd.oasis.opendocument.text": "ODT 文档",
    "application/vnd.oasis.opendocument.presentation": "ODP 演示文稿",
    "application/vnd.oasis.opendocument.graphics": "ODG 绘图",
    "application/epub+zip": "电子书",
}
#: Streams by which a document in an OLE container is known.
_OLE_STREAMS = (
    ("worddocument", _NO_TABLE, "Word 文档（或 WPS 文字）"),
    ("powerpoint document", _NO_TABLE, "演示文稿"),
    ("visiodocument", _NO_TABLE, "Visio 绘图"),
    ("__properties_version1.0", _NO_TABLE, "Outlook 邮件"),
    ("catalog", _NO_TABLE, "Windows 自动生成的缩略图"),
    ("wksbooks", _TABLE, "Works 表格"),
    ("matost", _NO_TABLE, "Works 文档"),
    ("pwd0", _NO_TABLE, "数据库"),
)


def _told(rule_id: str, kind: str, name: str = "") -> Refusal:
    space = " " if kind[0].isascii() else ""
    return Refusal(rule_id, f"内容是{space}{kind}" + (f"，文件名却是“{name}”" if name else ""))


def refused_by_first_bytes(head: bytes, size: int) -> Refusal | None:
    """What no reader of ours reads, by its first bytes; None for what may be text or a workbook. `size`: of the whole file."""
    for start, rule_id, kind in _FIRST_BYTES:
        if head.startswith(start):
            return _told(rule_id, kind)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _told(_NO_TABLE, "图片（WebP）")
    if head.startswith(b"BM") and len(head) > 26 and head[6:10] == bytes(4):
        return _told(_NO_TABLE, "图片（BMP）")
    if head[4:8] == b"ftyp":
        return _told(_NO_TABLE, "图片或视频")
    if _is_dbase(head, size):
        return _told(_TABLE, "dBase 或 FoxPro 数据表（.dbf）")
    return None


def _is_dbase(head: bytes, size: int) -> bool:
    """Whether the first bytes are a header of a .dbf: version, a date, and sizes that agree with the file's."""
    if len(head) < 33 or head[0] not in (0x02, 0x03, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0xCB, 0xF5, 0xFB):
        return False
    _, month, day = head[1:4]
    records, header, record = struct.unpack_from("<IHH", head, 4)
    return month <= 12 and day <= 31 and header >= 33 and record > 0 and header + records * record <= size + 1


def refused_by_text(text: str, name: str) -> Refusal | None:
    """What is text, but no table of lines and separators: the page of a browser, or the text form of another program."""
    start = text.lstrip("\ufeff \t\r\n")[:65_536]
    for beginning, rule_id, kind in _BEGINNINGS:
        if start[: len(beginning)].lower() == beginning:
            return _told(rule_id, kind, name)
    if _DIF.match(start):
        return _told(_TABLE, "DIF 表格", name)
    if _MAIL_HEADER.match(start[:8192]):
        is_page = "multipart/related" in start.lower() or "text/html" in start.lower()
        return _told(_TABLE, "单个文件网页（MHTML）", name) if is_page else _told(_NO_TABLE, "邮件", name)
    if not _XML_OR_HTML.match(start):
        return None
    lowered = start.lower()
    if "urn:schemas-microsoft-com:office:spreadsheet" in lowered or 'progid="excel.sheet"' in lowered:
        return _told(_TABLE, "XML 电子表格 2003", name)
    if "office:document" in lowered and "opendocument.spreadsheet" in lowered:
        return _told(_TABLE, "单文件 OpenDocument 表格（.fods）", name)
    if "<uof:" in lowered:
        return _told(_TABLE, "标文通文档（UOF）", name)
    if 'progid="word.document"' in lowered or "/word/2003/wordml" in lowered:
        return _told(_NO_TABLE, "Word 文档（XML）", name)
    if re.search(r"<(?:!doctype html|html|head|body|table|meta|div|style)\b", lowered):
        return _told(_TABLE, "网页（HTML）", name)
    return _told(_TABLE, "XML 文本", name) if lowered.startswith("<?xml") else None


def refused_by_parts(names: Iterable[str], mime_type: str) -> Refusal | None:
    """What a zip holds that is a document of some program, but no workbook. `names`: with forward slashes; `mime_type`: as it states."""
    lowered = sorted(name.lower() for name in names)
    for pattern, rule_id, kind in _ZIP_PARTS:
        if any(pattern.match(name) for name in lowered):
            return _told(rule_id, kind)
    for mime, told in _MIME_TYPES.items():
        if mime_type.startswith(mime):
            return _told(_NO_TABLE, told)
    return None


def refused_by_streams(streams: Iterable[str]) -> Refusal | None:
    """What an OLE container holds that is no workbook, by the names of its topmost streams."""
    lowered = {stream.lower() for stream in streams}
    for stream, rule_id, kind in _OLE_STREAMS:
        if stream in lowered:
            return _told(rule_id, kind)
    return None
