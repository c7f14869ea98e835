"""From bytes to cells. Runs only inside the bounded reading process (`worker`), never in the run's own.

Belongs here: telling what a file really is by its bytes, and taking every cell as it stands. Calamine reads the values;
for OOXML one pass over the sheet's XML adds what calamine drops: error cells, hidden rows and columns, formulas that were
never calculated. Nothing is interpreted: that is `identify` and `tabulate`.
"""

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import IO, Any

from pipelines.screening.workbook import Refusal, Sheet, Workbook, cell_text

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORKBOOK_NAMES = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".et"}
# A workbook holds text and XML: more than this ratio of unpacked to packed bytes is an archive bomb, not a return.
_MAX_UNPACK_RATIO = 400
_MAX_UNPACKED_BYTES = 1 << 30
_SHEET_MARKS = re.compile(rb'hidden="(?:1|true)"|t="e"|<f[ >/]')
_MAIN = re.compile(r"^\{[^}]*\}")


def read_file(path: Path, name: str, *, max_bytes: int, max_cells: int) -> Workbook | Refusal:
    """Read the file at `path`, which the county called `name`; the name decides nothing but the wording of a refusal."""
    size = path.stat().st_size
    if size == 0:
        return Refusal("FILE-0-empty", "文件大小为 0 字节")
    if size > max_bytes:
        return Refusal("FILE-0-limits", f"文件 {size:,} 字节，上限 {max_bytes:,} 字节")
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(_ZIP):
        return _read_zip(path, max_cells=max_cells)
    if head.startswith(_OLE):
        return _read_ole(path, max_cells=max_cells)
    return _read_text(path, name, max_cells=max_cells)


def _read_zip(source: Path | IO[bytes], *, max_cells: int) -> Workbook | Refusal:
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            packed = max(1, sum(member.compress_size for member in members))
            if unpacked > _MAX_UNPACKED_BYTES or (unpacked > 10_000_000 and unpacked / packed > _MAX_UNPACK_RATIO):
                return Refusal("FILE-0-limits", f"解压后 {unpacked:,} 字节，疑为压缩炸弹")
            # Some report generators write xl\workbook.xml, or leave the folder out.
            names = {member.filename.replace("\\", "/"): member.filename for member in members}
            main = next((name for name in ("xl/workbook.xml", "workbook.xml") if name in names), None)
            damaged = archive.testzip()
            if damaged is not None:
                return Refusal("FILE-0-unreadable", f"压缩包内 {damaged} 已损坏")
            if main:
                extras = _sheet_extras(archive, names, main)
                return _read_calamine(source, "xlsx", max_cells=max_cells, extras=extras)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        return Refusal("FILE-0-unreadable", f"文件不完整或已损坏（{error}）")
    if "xl/workbook.bin" in names:
        return _read_calamine(source, "xlsb", max_cells=max_cells)
    if "content.xml" in names and "mimetype" in names:
        return _read_calamine(source, "ods", max_cells=max_cells)
    return Refusal("FILE-0-type", "是压缩包，但不是工作簿")


def _read_ole(path: Path, *, max_cells: int) -> Workbook | Refusal:
    import msoffcrypto

    with path.open("rb") as stream:
        try:
            office = msoffcrypto.OfficeFile(stream)
            encrypted = office.is_encrypted()
        except Exception:  # noqa: BLE001 - it raises many kinds, for old Excel files too: calamine knows those, and refuses the rest
            return _read_calamine(path, "xls", max_cells=max_cells)
        if not encrypted:
            return _read_calamine(path, "xls", max_cells=max_cells)
        opened = io.BytesIO()
        try:
            # Excel writes "read-only recommended" files with this password and opens them without a prompt.
            office.load_key(password="VelvetSweatshop")  # noqa: S106 - a published default, no secret
            office.decrypt(opened)
        except Exception:  # noqa: BLE001 - any failure to decrypt means another password
            return Refusal("FILE-0-encrypted", "文件设有打开密码")
    if opened.getvalue().startswith(_ZIP):
        return _read_zip(opened, max_cells=max_cells)
    return _read_calamine(opened, "xls", max_cells=max_cells)


def _read_calamine(
    source: Path | IO[bytes], kind: str, *, max_cells: int, extras: dict[str, dict[str, Any]] | None = None
) -> Workbook | Refusal:
    import python_calamine as calamine

    if not isinstance(source, Path):
        source.seek(0)
    try:
        book = (
            calamine.CalamineWorkbook.from_path(str(source))
            if isinstance(source, Path)
            else calamine.CalamineWorkbook.from_filelike(source)
        )
        sheets: list[Sheet] = []
        cells = 0
        for meta in book.sheets_metadata:
            if meta.typ != calamine.SheetTypeEnum.WorkSheet:
                continue
            sheet = book.get_sheet_by_name(meta.name)
            cells += (sheet.total_height or 0) * (sheet.total_width or 0)
            if cells > max_cells:
                return Refusal("FILE-0-limits", f"单元格超过 {max_cells:,} 个（表“{meta.name}”）")
            rows = [[cell_text(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
            hidden = meta.visible != calamine.SheetVisibleEnum.Visible
            sheets.append(_with_extras(Sheet(meta.name, rows, hidden), (extras or {}).get(meta.name)))
    except MemoryError:
        raise
    except calamine.PasswordError:
        return Refusal("FILE-0-encrypted", "文件设有打开密码")
    except BaseException as error:  # a Rust panic is a BaseException; the process is thrown away after a refusal
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return Refusal("FILE-0-unreadable", f"读取失败（{type(error).__name__}：{str(error)[:120]}）")
    return Workbook(kind, sheets)


def _with_extras(sheet: Sheet, extras: dict[str, Any] | None) -> Sheet:
    if not extras:
        return sheet
    rows = sheet.rows
    for (row, column), text in extras["errors"].items():
        while len(rows) <= row:
            rows.append([])
        rows[row].extend([None] * (column + 1 - len(rows[row])))
        rows[row][column] = text
    return Sheet(
        sheet.name,
        rows,
        sheet.hidden,
        frozenset(extras["hidden_rows"]),
        frozenset(extras["hidden_columns"]),
        frozenset(extras["errors"]),
        frozenset(extras["valueless"]),
    )


def _sheet_extras(archive: zipfile.ZipFile, names: dict[str, str], main: str) -> dict[str, dict[str, Any]]:
    """Sheet name → what calamine leaves out; a sheet without any of it costs one search over its bytes.

    `names`: part name → name in the archive; `main`: the workbook part.
    """
    from defusedxml import ElementTree

    folder = main.removesuffix("workbook.xml")
    relations = {
        relation.get("Id"): relation.get("Target", "")
        for relation in ElementTree.fromstring(archive.read(names[f"{folder}_rels/workbook.xml.rels"]))
    }
    found: dict[str, dict[str, Any]] = {}
    for element in ElementTree.fromstring(archive.read(names[main])).iter():
        if _MAIN.sub("", element.tag) != "sheet":
            continue
        relation_id = next((value for key, value in element.attrib.items() if key.endswith("}id")), None)
        target = relations.get(relation_id, "")
        member = target.lstrip("/") if target.startswith("/") else f"{folder}{target}"
        if member not in names:
            continue
        content = archive.read(names[member])
        if _SHEET_MARKS.search(content):
            found[element.attrib["name"]] = _parse_sheet(ElementTree.iterparse(io.BytesIO(content), events=("end",)))
    return found


def _parse_sheet(events: Any) -> dict[str, Any]:
    errors: dict[tuple[int, int], str] = {}
    valueless: set[tuple[int, int]] = set()
    hidden_rows: set[int] = set()
    hidden_columns: set[int] = set()
    for _, element in events:
        tag = _MAIN.sub("", element.tag)
        if tag == "c":
            children = {_MAIN.sub("", child.tag): child for child in element}
            value = children.get("v")
            if element.get("t") == "e" and element.get("r"):
                errors[_position(element.get("r"))] = (value.text if value is not None else None) or "#ERROR!"
            elif (
                "f" in children
                and (value is None or not value.text)
                and "is" not in children
                and element.get("t") != "str"  # a formula that yields "" is stored as an empty string
                and element.get("r")
            ):
                valueless.add(_position(element.get("r")))
        elif tag == "row":
            if element.get("hidden") in ("1", "true") and element.get("r"):
                hidden_rows.add(int(element.get("r")) - 1)
            element.clear()
        elif tag == "col" and element.get("hidden") in ("1", "true"):
            first, last = int(element.get("min", 0)), int(element.get("max", 0))
            hidden_columns.update(range(first - 1, min(last, 1024)))
    return {"errors": errors, "valueless": valueless, "hidden_rows": hidden_rows, "hidden_columns": hidden_columns}


def _position(address: str) -> tuple[int, int]:
    letters = address.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter.upper()) - 64
    return int(address[len(letters) :]) - 1, column - 1


def _read_text(path: Path, name: str, *, max_cells: int) -> Workbook | Refusal:
    content = path.read_bytes()
    decoded = _decode(content)
    if isinstance(decoded, Refusal):
        return decoded
    text, encoding = decoded
    start = text.lstrip()[:512].lower()
    if start.startswith(("<html", "<!doctype html", "<table", "<?xml", "<meta")):
        return Refusal("FILE-0-type", f"内容是网页或 XML，文件名却是“{name}”")
    if Path(name).suffix.lower() in _WORKBOOK_NAMES:
        return Refusal("FILE-0-type", f"内容是纯文本，文件名却是“{name}”")
    first_lines = text[:8192]
    delimiter = "\t" if first_lines.count("\t") > first_lines.count(",") else ","
    rows: list[list[str | None]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            cells += len(row)
            if cells > max_cells:
                return Refusal("FILE-0-limits", f"单元格超过 {max_cells:,} 个")
            rows.append([value if value.strip() else None for value in row])
    except csv.Error as error:
        return Refusal("FILE-0-unreadable", f"不是合格的 CSV：第 {len(rows) + 1} 行 {error}")
    return Workbook("csv", [Sheet("", rows)], encoding)


def _decode(content: bytes) -> tuple[str, str] | Refusal:
    """Strict decoding, the marked encodings first. GB18030 takes almost any bytes, so what it yields must look Chinese."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        candidates = ["utf-16"]
    elif content.startswith(b"\xef\xbb\xbf"):
        candidates = ["utf-8-sig"]
    else:
        candidates = ["utf-8", "gb18030"]
    for encoding in candidates:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            return Refusal("FILE-0-type", "内容是二进制数据，不是工作簿也不是 CSV")
        if encoding == "gb18030" and _is_garbled(text):
            break
        return text, encoding
    return Refusal("FILE-0-encoding", "不是 UTF-8、GB18030 或 UTF-16 编码，或编码已损坏")


def _is_garbled(text: str) -> bool:
    """Big5 and binary data decode as GB18030 into rare characters: real returns are made of level-1 and level-2 hanzi."""
    wide = [character for character in text[:20_000] if ord(character) > 0x7F]
    if not wide:
        return False
    rare = 0
    for character in wide:
        try:
            character.encode("gb2312")
        except UnicodeEncodeError:
            rare += 1
    return rare / len(wide) > 0.15
