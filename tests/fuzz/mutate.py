"""Broken copies of real files: the same seed and number give the same bytes.

Belongs here: what is done to a file. What must hold of the outcome stands in `run`.
"""

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

_VALUES = [
    "", "0", "-1", "1e308", "NaN", "inf", "99999999999999999999", "1.5", "#REF!", "甲", "=1+1", "=cmd|'/c calc'!A0", "\x00",
    "&amp;", "]]>", "缺报", "2024-13-45", "A" * 5000, "１２３", "𠮷", "\u202e", "1,234", " ",
]  # fmt: skip
_TYPES = ["s", "n", "b", "e", "str", "inlineStr", "d", "x", ""]
_INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]


@dataclass(frozen=True)
class Source:
    name: str
    content: bytes


Change = Callable[[bytes, random.Random], bytes]


def mutated(sources: list[Source], seed: int, number: int) -> tuple[str, bytes, str]:
    """(file name, bytes, what was done) of the n-th file."""
    rng = random.Random(f"{seed}:{number}")
    source = rng.choice(sources)
    content = source.content
    if content[:2] == b"PK":
        changes = [*_RAW, *_ZIP * 4]
    elif content[:4] == b"\xd0\xcf\x11\xe0":
        changes = [*_RAW, *_OLE * 2]
    else:
        changes = [*_RAW, *_TEXT * 2]
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        change = rng.choice(changes)
        done.append(change.__name__.strip("_"))
        try:
            content = change(content, rng)
        except (
            zipfile.BadZipFile,
            LookupError,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            struct.error,
            OSError,
            zlib.error,
        ):
            content = _flip_bits(content, rng)  # an earlier change left nothing to change in this way
    return f"{number:05}_{source.name}", content, "+".join(done)


# --- any bytes --------------------------------------------------------------------------------------------------------


def _flip_bits(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice([1, 3, 20, 200])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut_out(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice([1, 2, 16, 512]) :]


def _double(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[max(0, start - rng.choice([1, 4, 64, 4096])) :]


def _overwrite_number(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    size = rng.choice([1, 2, 4])
    at = rng.randrange(max(1, len(changed) - size))
    changed[at : at + size] = (rng.choice(_INTERESTING) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(changed)


_RAW: list[Change] = [_flip_bits, _truncate, _cut_out, _double, _overwrite_number]


# --- zips -------------------------------------------------------------------------------------------------------------


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(parts: list[tuple[str, bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _shuffle_members(content: bytes, rng: random.Random) -> bytes:
    parts = list(_parts(content).items())
    rng.shuffle(parts)
    return _packed(parts)


def _drop_member(content: bytes, rng: random.Random) -> bytes:
    parts = list(_parts(content).items())
    parts.pop(rng.randrange(len(parts)))
    return _packed(parts)


def _swap_members(content: bytes, rng: random.Random) -> bytes:
    parts = _parts(content)
    one, other = rng.choices(list(parts), k=2)
    parts[one], parts[other] = parts[other], parts[one]
    return _packed(list(parts.items()))


def _rename_member(content: bytes, rng: random.Random) -> bytes:
    parts = list(_parts(content).items())
    at = rng.randrange(len(parts))
    name = parts[at][0]
    new = rng.choice(
        [name.upper(), name.replace("/", "\\"), "/" + name, "../" + name, "xl/" + name, name + ".bak", "数据"]
    )
    parts[at] = (new, parts[at][1])
    return _packed(parts)


def _damage_member(content: bytes, rng: random.Random) -> bytes:
    """Bits of a member's own bytes, packed again, so that the check sum holds."""
    parts = _parts(content)
    name = rng.choice(list(parts))
    parts[name] = rng.choice(_RAW)(parts[name], rng) if parts[name] else b"x"
    return _packed(list(parts.items()))


def _edit_cell(content: bytes, rng: random.Random) -> bytes:
    """Attributes and values of cells, rows and texts in the XML of a sheet, the shared texts or the workbook."""
    parts = _parts(content)
    names = [
        name for name in parts if re.search(r"sheet\d*\.xml$|sharedStrings\.xml$|workbook\.xml$|content\.xml$", name)
    ]
    name = rng.choice(names or list(parts))
    text = parts[name].decode("utf-8", "replace")
    for _ in range(rng.choice([1, 2, 10])):
        pattern, make = rng.choice(_EDITS)
        places = list(re.finditer(pattern, text))
        if places:
            place = rng.choice(places)
            text = text[: place.start()] + make(place, rng) + text[place.end() :]
    parts[name] = text.encode("utf-8", "replace")
    return _packed(list(parts.items()))


def _random_address(rng: random.Random) -> str:
    return rng.choice(["A1", "XFD1048576", "ZZZ1", "A0", "B2", "AA100", "a1", "1A", "", "$B$3", "C99999999"])


_EDITS: list[tuple[str, Callable[[re.Match[str], random.Random], str]]] = [
    (r'\br="[A-Z]+[0-9]+"', lambda _, rng: f'r="{_random_address(rng)}"'),
    (r'<row [^>]*\br="[0-9]+"', lambda _, rng: f'<row r="{rng.choice([0, 1, 7, 1048576, 1048577, -1])}"'),
    (r'\bt="[a-zA-Z]+"', lambda _, rng: f't="{rng.choice(_TYPES)}"'),
    (r"<v>[^<]*</v>", lambda _, rng: f"<v>{rng.choice(_VALUES)}</v>"),
    (r"<v>[^<]*</v>", lambda m, rng: m[0] * 2),
    (r"<t[^>]*>[^<]*</t>", lambda _, rng: f"<t>{rng.choice(_VALUES)}</t>"),
    (r"<c [^>]*>", lambda m, rng: m[0] + rng.choice(["<!-- x -->", "<f>[1]表!A1</f>", "<f>1+1</f>", "<extLst/>"])),
    (r"<c [^>]*>.*?</c>", lambda m, rng: m[0] * rng.choice([0, 2])),
    (r"<(row|si|sheet|table:table-row)[ >]", lambda m, rng: rng.choice(["", "<" + m[1] + "/>" + m[0]])),
    (r"</(row|c|si|sheetData|worksheet)>", lambda m, rng: rng.choice(["", m[0] * 2])),
    (r'repeated="[0-9]+"', lambda _, rng: f'repeated="{rng.choice([0, 2, 1048576, 999999999, -1])}"'),
    (r'office:value="[^"]*"', lambda _, rng: f'office:value="{rng.choice(["1e9", "x", "", "-0"])}"'),
    (r'name="[^"]*"', lambda _, rng: f'name="{rng.choice(["", "表", "x" * 40, "13800000000", "a/b"])}"'),
    (r"<\?xml[^>]*\?>", lambda _, rng: rng.choice(["", '<?xml version="1.0" encoding="gb2312"?>', '<!DOCTYPE x [<!ENTITY a "b">]>'])),
]  # fmt: skip

_ZIP: list[Change] = [
    _shuffle_members, _drop_member, _swap_members, _rename_member, _damage_member, _edit_cell, _edit_cell, _edit_cell,
]  # fmt: skip


# --- old workbooks ----------------------------------------------------------------------------------------------------


def _edit_record(content: bytes, rng: random.Random) -> bytes:
    """A field of what looks like a record of a BIFF stream: its kind, its length, or its data."""
    changed = bytearray(content)
    kinds = [0x0203, 0x027E, 0x00BD, 0x00FD, 0x00FC, 0x0006, 0x0208, 0x0085, 0x0809, 0x003C, 0x0205]
    kind = struct.pack("<H", rng.choice(kinds))
    places = [match.start() for match in re.finditer(re.escape(kind), content[512:])]
    at = 512 + rng.choice(places) if places else rng.randrange(len(changed) - 16)
    offset = rng.choice([0, 2, 4, 6, 8, 10])
    struct.pack_into("<H", changed, min(at + offset, len(changed) - 2), rng.choice(_INTERESTING) & 0xFFFF)
    return bytes(changed)


_OLE: list[Change] = [_edit_record, _edit_record, _overwrite_number]


# --- text -------------------------------------------------------------------------------------------------------------


def _edit_text(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(",")
    spot = rng.randrange(len(cells))
    cells[spot] = rng.choice([*_VALUES, '"', cells[spot] + "\ufeff", f" {cells[spot]}\u3000", cells[spot].upper()])
    lines[at] = ",".join(cells)
    return "\n".join(lines).encode("utf-8", "replace")


def _move_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines[: rng.choice([len(lines), one + 1])])


def _recode(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = rng.choice(
        ["gb18030", "gbk", "big5", "utf-16", "utf-16-le", "utf-8-sig", "shift_jis", "latin-1", "utf-7", "hz"]
    )
    return text.encode(encoding, "replace")


def _other_ends(content: bytes, rng: random.Random) -> bytes:
    return content.replace(b"\n", rng.choice([b"\r", b"\r\n", b"\n\n", b"\x0b"])).replace(
        b",", rng.choice([b",", b"\t", b";"])
    )


_TEXT: list[Change] = [_edit_text, _edit_text, _move_lines, _recode, _other_ends]
