"""Makers of hostile files: small to write, costly to open.

Belongs here: bytes. What must become of them stands in the tests.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import date

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def zipped(members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def parts_of(workbook: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_parts(workbook: bytes, **changed: Callable[[bytes], bytes] | bytes) -> bytes:
    """The workbook with parts replaced (keys: part names with / written as __ and . as _dot_)."""
    parts = parts_of(workbook)
    for key, change in changed.items():
        name = key.replace("__", "/").replace("_dot_", ".")
        parts[name] = change if isinstance(change, bytes) else change(parts[name])
    return zipped(parts)


def laughs(workbook: bytes) -> bytes:
    """A workbook whose sheet is made of entities that unfold to gigabytes."""
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    sheet = (
        f'<?xml version="1.0"?><!DOCTYPE worksheet [{entities}]><worksheet xmlns="{MAIN}"><sheetData><row r="1">'
        '<c r="A1" t="inlineStr"><is><t>&a11;</t></is></c></row></sheetData></worksheet>'
    )
    return with_parts(workbook, xl__worksheets__sheet1_dot_xml=sheet.encode())


def bomb(size: int = 64 << 20, name: str = "xl/workbook.xml") -> bytes:
    """One member of zeros."""
    return zipped({name: bytes(size), "[Content_Types].xml": b"<Types/>"})


def nested(depth: int, inner: bytes) -> bytes:
    for level in range(depth):
        inner = zipped({f"{level}.zip": inner})
    return inner


def with_symlink(members: dict[str, bytes], name: str, target: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        link = zipfile.ZipInfo(name)
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    return stream.getvalue()


def twice_named(name: str, first: bytes, second: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, first)
        archive.writestr("-" * len(name), second)
    # zipfile warns of a name that stands there already; so it is written afterwards
    return stream.getvalue().replace(b"-" * len(name), name.encode())


def gbk_named(members: dict[str, bytes]) -> bytes:
    """As Chinese Windows packs: names in GB18030, not marked as UTF-8."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        placeholders = {}
        for number, (name, content) in enumerate(members.items()):
            raw = name.encode("gb18030")
            placeholder = f"{number}".zfill(len(raw))
            placeholders[placeholder.encode()] = raw
            archive.writestr(placeholder, content)
    packed = stream.getvalue()
    for placeholder, raw in placeholders.items():
        packed = packed.replace(placeholder, raw)
    return packed


def overlapping(members: int = 50, size: int = 1 << 20) -> bytes:
    """Many directory entries over one and the same compressed data."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = bytes(size)
    data = compressor.compress(plain) + compressor.flush()
    crc = zlib.crc32(plain)
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0x21, crc, len(data), size, 5, 0) + b"00000"
    directory = b"".join(
        struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 8, 0, 0x21, crc, len(data), size, 5, 0, 0, 0, 0, 0, 0
        )
        + f"{number:05}".encode()
        for number in range(members)
    )
    body = local + data
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, members, members, len(directory), len(body), 0)
    return body + directory + end


def many_members(number: int) -> bytes:
    return zipped({f"{index}.csv": b"" for index in range(number)}, compression=zipfile.ZIP_STORED)


def lying_size(name: str, content: bytes, claimed: int) -> bytes:
    """A member that unpacks to more than the directory says."""
    packed = zipped({name: content})
    true = struct.pack("<I", len(content))
    return packed.replace(true, struct.pack("<I", claimed))


def encrypted_flag(packed: bytes) -> bytes:
    """Every member marked as encrypted."""
    changed = bytearray(packed)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(signature, at + 4)
    return bytes(changed)


def _record12(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = len(data)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return head + length + data


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb_with_error() -> bytes:
    """One row: 1, #DIV/0!, 甲."""
    cells = _record12(5, struct.pack("<IId", 0, 0, 1.0)) + _record12(3, struct.pack("<IIB", 1, 0, 0x07))
    return _xlsb_row(cells + _record12(6, struct.pack("<II", 2, 0) + _wide("甲")), 3)


def xlsb_of(*values: float | str) -> bytes:
    """One row of numbers and texts."""
    cells = [
        _record12(6, struct.pack("<II", place, 0) + _wide(value))
        if isinstance(value, str)
        else _record12(5, struct.pack("<IId", place, 0, value))
        for place, value in enumerate(values)
    ]
    return _xlsb_row(b"".join(cells), len(values))


def _xlsb_row(cells: bytes, columns_n: int) -> bytes:
    book = _record12(131) + _record12(143) + _record12(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide("表"))
    book += _record12(144) + _record12(132)
    row = _record12(0, struct.pack("<IIHHBI", 0, 0, 300, 0, 0, 1) + struct.pack("<II", 0, columns_n - 1))
    bounds = _record12(148, struct.pack("<IIII", 0, 0, 0, columns_n - 1))
    sheet = _record12(129) + bounds + _record12(145) + row + cells + _record12(146) + _record12(130)
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return zipped(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{office}/officeDocument" '
            'Target="xl/workbook.bin"/></Relationships>'.encode(),
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{package}"><Relationship Id="rId1" '
            f'Type="{office}/worksheet" Target="worksheets/sheet1.bin"/></Relationships>'.encode(),
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


def ods_with_error() -> bytes:
    """One row: 1, #DIV/0!, 甲."""
    return _ods_row(
        '<table:table-cell office:value-type="float" office:value="1"><text:p>1</text:p></table:table-cell>'
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="" '
        'calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>'
        '<table:table-cell office:value-type="string"><text:p>甲</text:p></table:table-cell>'
    )


def ods_of(*values: float | str | date) -> bytes:
    """One row of numbers, texts and days."""
    return _ods_row(
        "".join(
            f'<table:table-cell office:value-type="date" office:date-value="{value}"/>'
            if isinstance(value, date)
            else f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
            if isinstance(value, str)
            else f'<table:table-cell office:value-type="float" office:value="{value}"/>'
            for value in values
        )
    )


def _ods_row(cells: str) -> bytes:
    name = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{name}:office:1.0" xmlns:table="{name}:table:1.0" '
        f'xmlns:text="{name}:text:1.0" xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
        '<office:body><office:spreadsheet><table:table table:name="表"><table:table-row>'
        f"{cells}</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = b"<manifest/>"
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": manifest,
            "content.xml": content.encode(),
        }
    )
