"""From bytes to cells. Runs only inside the bounded reading process (`worker`), never in the run's own.

Belongs here: telling what a file really is by its bytes, and taking every cell as it stands. Calamine reads the values; a
second reading of our own (`second_reading`) walks the same records and must see the same cells, or the file is refused. It
also finds what calamine drops: error cells, hidden rows and columns, formulas that were never calculated or that point out of
the file, and characters that are raised, lowered or struck out. Nothing is interpreted: that is `identify` and `tabulate`; nothing
is run: macros and objects are left where they are.
"""

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from pipelines.characters import UNSEEN
from pipelines.workbooks.archives import ZIP_SIGNATURES, Unsafe, damage, open_archive
from pipelines.workbooks.batch_contents import BATCH_KIND, batch_members, is_batch
from pipelines.workbooks.delimited import plain_text, read_text
from pipelines.workbooks.file_kinds import refused_by_first_bytes, refused_by_parts, refused_by_streams
from pipelines.workbooks.other_texts import compound_texts, package_texts, unread_cells
from pipelines.workbooks.personal_data import Found, Where, search
from pipelines.workbooks.second_reading.cells import (
    Cell,
    Contradiction,
    SheetReading,
    disagreement,
    is_active,
    no_number,
)
from pipelines.workbooks.second_reading.marks import SharedTexts
from pipelines.workbooks.second_reading.ods import as_usually_prefixed, read_ods
from pipelines.workbooks.second_reading.ooxml import (
    read_marked_styles,
    read_ooxml_sheet,
    read_shared_strings,
    read_table,
    read_workbook,
    says_more,
)
from pipelines.workbooks.second_reading.ooxml_plain import far_corner, refuse_entities
from pipelines.workbooks.second_reading.package import (
    active_link,
    is_usual,
    laid_out_as_usual,
    main_part,
    package_remarks,
    plain_workbook,
    related_part,
    relations_of,
    stored,
    table_parts,
    with_part,
)
from pipelines.workbooks.second_reading.xls import read_xls_globals, read_xls_sheet
from pipelines.workbooks.second_reading.xlsb import Xlsb, read_xlsb_sheet, read_xlsb_sheets, read_xlsb_table
from pipelines.workbooks.second_reading.xml_walk import Prolog
from pipelines.workbooks.workbook import Refusal, Sheet, Workbook, cell_address, cell_text

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CHUNK = 1 << 20
#: What Excel lets a cell hold.
_MOST_IN_A_CELL = 32_767
_MONTH = re.compile(r"[0-9]{4}\.(?:0[1-9]|1[0-2])")

#: One sheet's second reading: its cells, what else was seen, and whether days count from 1904.
Seen = tuple[Iterable[Cell], SheetReading, bool]
#: Position among all sheets, name, the first reader's grid → the second reading of that sheet; None: there is none to be had.
SecondReader = Callable[[int, str, list[list[Any]]], Seen | None]


def read_file(
    path: Path, name: str, *, max_bytes: int, max_cells: int, max_characters: int = 20_000_000
) -> Workbook | Refusal:
    """Read the file at `path`, which the county called `name`; the name decides nothing but the wording of a refusal."""
    outcome = _read_file(path, name, max_bytes=max_bytes, max_cells=max_cells)
    if isinstance(outcome, Refusal):
        return outcome
    refused = _refused_text(outcome, max_characters)
    return replace(refused, personal=outcome.personal) if refused else outcome


def _refused_text(workbook: Workbook, most: int) -> Refusal | None:
    """A file is looked at character by character: of these it may hold so many, and a cell as many as a spreadsheet lets it have. A text
    that starts a program or fetches where it is taken for a formula is refused like a formula, in whatever format it comes."""
    total = 0
    for sheet in workbook.sheets:
        for row, cells in enumerate(sheet.rows):
            for column, text in enumerate(cells):
                if text:
                    total += len(text)
                    if len(text) > _MOST_IN_A_CELL:
                        said = f"{_named(sheet, row, column)} 里有 {len(text):,} 个字，一格最多 {_MOST_IN_A_CELL:,} 个"
                        return Refusal("FILE-0-limits", said)
                    if is_active(text):
                        return Refusal("FILE-0-active-content", f"{_named(sheet, row, column)} 的公式")
        if total > most:
            return Refusal("FILE-0-limits", f"单元格里的文字超过 {most:,} 个")
    return None


def _named(sheet: Sheet, row: int, column: int) -> str:
    return (f"表“{sheet.name}”" if sheet.name else "") + cell_address(row, column)


def _read_file(path: Path, name: str, *, max_bytes: int, max_cells: int) -> Workbook | Refusal:
    size = path.stat().st_size
    if size == 0:
        return Refusal("FILE-0-empty", "文件大小为 0 字节")
    if size > max_bytes:
        return Refusal("FILE-0-limits", f"文件 {size:,} 字节，上限 {max_bytes:,} 字节")
    with path.open("rb") as stream:
        head = stream.read(4096)
    try:
        if head.startswith(ZIP_SIGNATURES):
            return _read_zip(path, max_bytes=max_bytes, max_cells=max_cells)
        if head.startswith(_OLE):
            return _read_ole(path, max_bytes=max_bytes, max_cells=max_cells)
        return refused_by_first_bytes(head, size) or _searched(
            read_text(path, name, max_cells=max_cells), unread=_lines(path)
        )
    except Contradiction as contradiction:
        return Refusal("FILE-0-limits" if contradiction.beyond_limits else "FILE-0-unreadable", str(contradiction))


def _read_zip(source: Path | IO[bytes], *, max_bytes: int, max_cells: int) -> Workbook | Refusal:
    try:
        with open_archive(source) as archive:
            # Some report generators write xl\\workbook.xml, or leave the folder out.
            names = {name.replace("\\", "/"): name for name in archive.namelist()}
            if is_batch(names):
                batch_members(archive, max_bytes=max_bytes)
                return Workbook(BATCH_KIND)
            _read_every_part(archive)
            is_ods = "content.xml" in names and "mimetype" in names
            mime_type = archive.read(names["mimetype"])[:200].decode("latin-1") if "mimetype" in names else ""
            main = None if is_ods else main_part(archive, names)
            other = refused_by_parts([main] if main else names, mime_type)
            if other:
                return other
            link = active_link(archive, names)
            if link:
                return Refusal("FILE-0-active-content", f"{link} 是 DDE 或 OLE 链接")
            remarks = package_remarks(names)
            if main or is_ods:
                if main is None:
                    outcome = _read_ods(source, archive, names, remarks, max_cells=max_cells)
                elif main.lower().endswith(".bin"):
                    outcome = _read_xlsb(source, archive, names, main, remarks, max_cells=max_cells)
                else:
                    outcome = _read_ooxml(source, archive, names, main, remarks, max_cells=max_cells)
                return _searched(outcome, package_texts(archive), unread_cells(archive))
    except Unsafe as unsafe:
        if unsafe.damaged:
            return Refusal("FILE-0-unreadable", unsafe.reason)
        return Refusal("FILE-0-limits" if unsafe.beyond_limits else "FILE-0-archive", unsafe.reason)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        KeyError,
        zlib.error,
    ) as error:
        if isinstance(error, KeyError):
            return Refusal("FILE-0-unreadable", "文件不完整或已损坏（缺少必要的部分）")
        return Refusal("FILE-0-unreadable", damage(error))
    return Refusal("FILE-0-type", "内容是某个程序的文档，不是工作簿")


def _lines(path: Path) -> Iterator[tuple[Where, str]]:
    """The lines of a text of which no table was made."""
    for number, line in enumerate(plain_text(path.read_bytes()).splitlines(), start=1):
        yield Where(place=f"第 {number} 行"), line


def _searched(
    outcome: Workbook | Refusal,
    others: Iterable[tuple[Where, str]] = (),
    unread: Iterable[tuple[Where, str]] = (),
) -> Workbook | Refusal:
    """The workbook with what of persons is in its cells and in the `others`, the texts besides them. What a cell is said to hold is not
    said once more of the table of texts, or of the formula, that it comes from. Of a file that is refused the texts of its cells are
    those `unread` by any reader of cells."""
    if isinstance(outcome, Refusal):
        in_cells = list(search(unread))
        values = {(rule_id, value) for rule_id, value, _ in in_cells}
        besides = [found for found in search(others) if found[:2] not in values]
        return replace(outcome, personal=tuple(dict.fromkeys((*in_cells, *besides))))
    in_cells = list(search(_cell_texts(outcome)))
    sheets = {sheet.name: sheet for sheet in outcome.sheets}
    told = {sheets[where.sheet].cell(where.row or 0, where.column or 0) for _, _, where in in_cells if not where.place}
    places = {(rule_id, where[:3]) for rule_id, _, where in in_cells}
    # A sheet's name is repeated wherever something refers to it.
    names = {(rule_id, value) for rule_id, value, where in in_cells if where.place}
    besides_cells: dict[Found, None] = {}
    for found in search((where, text) for where, text in others if text not in told):
        is_told = found[:2] in names or (found.where.row is not None and (found.rule_id, found.where[:3]) in places)
        if not is_told:
            besides_cells.setdefault(found)
    return replace(outcome, personal=(*in_cells, *besides_cells))


def _cell_texts(workbook: Workbook) -> Iterator[tuple[Where, str]]:
    for sheet in workbook.sheets:
        yield Where(sheet.name, place="工作表名"), sheet.name
        for row, cells in enumerate(sheet.rows):
            for column, text in enumerate(cells):
                if text is not None:
                    yield Where(sheet.name, row, column), text


def _read_every_part(archive: zipfile.ZipFile) -> None:
    """Read every member to its end once: calamine does not look at check sums, nor anybody at most of the parts. Raises Contradiction
    at a document type in any of them."""
    for member in archive.infolist():
        prolog = Prolog(member.filename)
        with archive.open(member) as stream:
            while piece := stream.read(_CHUNK):
                if not prolog.is_over:
                    prolog.feed(piece)


def _read_ole(path: Path, *, max_bytes: int, max_cells: int) -> Workbook | Refusal:
    import msoffcrypto

    with path.open("rb") as stream:
        try:
            office = msoffcrypto.OfficeFile(stream)
            encrypted = office.is_encrypted()
        except Exception:  # noqa: BLE001 - it raises many kinds, for old Excel files too: calamine knows those, and refuses the rest
            return _read_xls(path, max_cells=max_cells)
        if not encrypted:
            return _read_xls(path, max_cells=max_cells)
        opened = io.BytesIO()
        try:
            # Excel writes "read-only recommended" files with this password and opens them without a prompt.
            office.load_key(password="VelvetSweatshop")  # noqa: S106 - a published default, no secret
            office.decrypt(opened)
        except Exception:  # noqa: BLE001 - any failure to decrypt means another password
            return Refusal("FILE-0-encrypted", "文件设有打开密码")
    if opened.getvalue().startswith(ZIP_SIGNATURES):
        return _read_zip(opened, max_bytes=max_bytes, max_cells=max_cells)
    return _read_xls(opened, max_cells=max_cells)


def _read_calamine(
    source: Path | IO[bytes],
    kind: str,
    second_reader: SecondReader,
    remarks: dict[str, str],
    *,
    max_cells: int,
    before: Callable[[str], None] = lambda _: None,
) -> Workbook | Refusal:
    """`before`: called with a sheet's name ahead of the first reading of it."""
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
        for number, meta in enumerate(book.sheets_metadata):
            if meta.typ == calamine.SheetTypeEnum.MacroSheet:
                remarks.setdefault("FILE-0-macros", f"宏表“{meta.name}”")
            if meta.typ != calamine.SheetTypeEnum.WorkSheet:
                continue
            before(meta.name)
            sheet = book.get_sheet_by_name(meta.name)
            cells += (sheet.total_height or 0) * (sheet.total_width or 0)
            if cells > max_cells:
                return Refusal("FILE-0-limits", f"单元格超过 {max_cells:,} 个（表“{meta.name}”）")
            grid = sheet.to_python(skip_empty_area=False)
            read = Sheet(
                meta.name,
                _as_text(grid),
                hidden=meta.visible != calamine.SheetVisibleEnum.Visible,
                very_hidden=meta.visible == calamine.SheetVisibleEnum.VeryHidden,
                month_numbers=_month_numbers(grid),
            )
            seen = second_reader(number, meta.name, grid)
            if seen is None:
                sheets.append(read)
                continue
            found, reading, from_1904 = seen
            difference = disagreement(found, grid, reading, from_1904=from_1904)
            if difference:
                return Refusal("FILE-0-readers-disagree", f"表“{meta.name}”{difference}")
            if reading.active:
                return Refusal("FILE-0-active-content", f"表“{meta.name}”{reading.active[0]}")
            sheets.append(_with_reading(read, reading))
    except (MemoryError, Contradiction, struct.error, zipfile.BadZipFile):
        raise
    except calamine.PasswordError:
        return Refusal("FILE-0-encrypted", "文件设有打开密码")
    except BaseException as error:  # a Rust panic is a BaseException, and leaves who knows what behind
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        doubt = not isinstance(error, calamine.CalamineError)
        detail = "内部结构不完整或已损坏，读不出其中的表"
        return Refusal("FILE-0-unreadable", detail, leaves_doubt=doubt, technical=technical(error))
    return Workbook(kind, sheets, remarks=tuple(sorted(remarks.items())))


def technical(error: BaseException) -> str:
    """What a program said, for an engineer: no clerk reads it."""
    return f"{type(error).__name__}: {error}"[:300]


def _as_text(grid: list[list[Any]]) -> list[list[str | None]]:
    """`cell_text` of every cell. Raises Contradiction at a number that is none."""
    try:
        return _texts(grid)
    except ValueError:
        for row, cells in enumerate(grid):
            for column, value in enumerate(cells):
                if isinstance(value, float) and not math.isfinite(value):
                    raise no_number(value, row, column) from None
        raise


def _texts(grid: list[list[Any]]) -> list[list[str | None]]:
    """The two kinds that nearly all cells are come first."""
    return [
        [
            None
            if value == ""
            else value
            if value.__class__ is str and value[0] not in UNSEEN
            else str(int(value))
            if value.__class__ is float and value.is_integer() and -1e15 < value < 1e15
            else cell_text(value)
            for value in row
        ]
        for row in grid
    ]


def _month_numbers(grid: list[list[Any]]) -> frozenset[tuple[int, int]]:
    """Where a number reads like a year and a month: 2009.11 is one, while the text 2009.11 is a date."""
    return frozenset(
        (row, column)
        for row, values in enumerate(grid)
        for column, value in enumerate(values)
        if value.__class__ is float and 1000 < value < 10_000 and _MONTH.fullmatch(cell_text(value) or "")
    )


def _with_reading(sheet: Sheet, reading: SheetReading) -> Sheet:
    rows = sheet.rows
    for (row, column), text in (reading.errors | reading.left_out).items():
        while len(rows) <= row:
            rows.append([])
        rows[row].extend([None] * (column + 1 - len(rows[row])))
        rows[row][column] = cell_text(text)
    marked = {
        place: what
        for place, what in reading.marked.items()
        if place[0] < len(rows) and place[1] < len(rows[place[0]]) and rows[place[0]][place[1]]
    }
    return replace(
        sheet,
        rows=rows,
        hidden_rows=frozenset(reading.hidden_rows),
        hidden_columns=frozenset(reading.hidden_columns),
        error_cells=frozenset(reading.errors),
        valueless_formulas=frozenset(reading.valueless),
        external_formulas=frozenset(reading.external),
        filtered_rows=frozenset(reading.filtered_rows),
        folded_rows=frozenset(reading.folded_rows),
        folded_columns=frozenset(reading.folded_columns),
        merged=tuple(reading.merged),
        marked_cells=marked,
    )


def _read_ooxml(
    source: Path | IO[bytes],
    archive: zipfile.ZipFile,
    names: dict[str, str],
    main: str,
    remarks: dict[str, str],
    *,
    max_cells: int,
) -> Workbook | Refusal:
    relations = relations_of(archive, names, main)
    content = archive.read(names[main])
    refuse_entities(content)
    sheets, from_1904 = read_workbook(content)
    by_id = {one.id: one.part for one in relations}
    parts = {name: by_id.get(relation_id, "") for name, relation_id, _ in sheets}
    folder = main[: main.rfind("/") + 1]
    strings_part = related_part(relations, names, "sharedStrings", f"{folder}sharedStrings.xml")
    strings = read_shared_strings(archive.read(names[strings_part])) if strings_part else SharedTexts()
    styles_part = related_part(relations, names, "styles", f"{folder}styles.xml")
    styles = read_marked_styles(archive.read(names[styles_part])) if styles_part else {}
    if not is_usual(main, relations, names) or says_more(content, sheets):
        plain = plain_workbook(sheets, from_1904)
        source = laid_out_as_usual(archive, names, relations, plain, "xml")

    contents: dict[str, bytes] = {}

    def before(name: str) -> None:
        member = stored(names, parts.get(name, ""))
        if member is None:
            raise Contradiction(f"表“{name}”的内容不在文件中")
        contents.clear()
        contents[name] = archive.read(names[member])
        refuse_entities(contents[name])
        rows, columns = far_corner(contents[name])
        if rows * columns > max_cells:  # the first reader would lay out the whole rectangle
            corner = cell_address(rows - 1, columns - 1)
            raise Contradiction(f"单元格超过 {max_cells:,} 个（表“{name}”的末格远在 {corner}）", beyond_limits=True)

    def read(_: int, name: str, grid: list[list[Any]]) -> Seen | None:
        reading = SheetReading()
        for content in table_parts(archive, names, parts[name]):
            read_table(content, reading)
        return read_ooxml_sheet(contents[name], strings, reading, grid, styles), reading, from_1904

    return _read_calamine(source, "xlsx", read, remarks, max_cells=max_cells, before=before)


def _read_xlsb(
    source: Path | IO[bytes],
    archive: zipfile.ZipFile,
    names: dict[str, str],
    main: str,
    remarks: dict[str, str],
    *,
    max_cells: int,
) -> Workbook | Refusal:
    relations = relations_of(archive, names, main)
    content = archive.read(names[main])
    sheets, from_1904 = read_xlsb_sheets(content)
    by_id = {one.id: one.part for one in relations}
    parts = {name: by_id.get(relation_id, "") for name, relation_id in sheets}
    folder = main[: main.rfind("/") + 1]
    strings_part = related_part(relations, names, "sharedStrings", f"{folder}sharedStrings.bin")
    styles_part = related_part(relations, names, "styles", f"{folder}styles.bin")
    book = Xlsb(
        archive.read(names[strings_part]) if strings_part else b"",
        archive.read(names[styles_part]) if styles_part else b"",
    )
    if not is_usual(main, relations, names):
        source = laid_out_as_usual(archive, names, relations, content, "bin")

    def read(_: int, name: str, __: list[list[Any]]) -> Seen | None:
        member = stored(names, parts.get(name, ""))
        if member is None:
            raise Contradiction(f"表“{name}”的内容不在文件中")
        reading = SheetReading()
        for content in table_parts(archive, names, parts[name]):
            read_xlsb_table(content, reading)
        return read_xlsb_sheet(archive.read(names[member]), book, reading), reading, from_1904

    return _read_calamine(source, "xlsb", read, remarks, max_cells=max_cells)


def _read_ods(
    source: Path | IO[bytes],
    archive: zipfile.ZipFile,
    names: dict[str, str],
    remarks: dict[str, str],
    *,
    max_cells: int,
) -> Workbook | Refusal:
    manifest = archive.read(names["META-INF/manifest.xml"]) if "META-INF/manifest.xml" in names else b""
    if b"encryption-data" in manifest:
        return Refusal("FILE-0-encrypted", "文件设有打开密码")
    content = archive.read(names["content.xml"])
    named_styles = archive.read(names["styles.xml"]) if "styles.xml" in names else b""
    sheets, readings, cells, has_dde = read_ods(content, named_styles, max_cells=max_cells)
    if has_dde:
        return Refusal("FILE-0-active-content", "content.xml 含有 DDE 链接")
    usual = as_usually_prefixed(content)
    if usual is not None:
        source = with_part(archive, "content.xml", usual)

    def read(_: int, name: str, __: list[list[Any]]) -> Seen | None:
        number = sheets.index(name)
        return cells[number], readings[number], False

    return _read_calamine(source, "ods", read, remarks, max_cells=max_cells)


def _read_xls(source: Path | IO[bytes], *, max_cells: int) -> Workbook | Refusal:
    import olefile  # type: ignore[import-untyped]

    if not isinstance(source, Path):
        source.seek(0)
    remarks: dict[str, str] = {}
    stream = None
    entries: list[str] = []
    try:
        with olefile.OleFileIO(str(source) if isinstance(source, Path) else source) as compound:
            for entry in compound.listdir():
                top = entry[0].lower()
                entries.append(top)
                if top == "_vba_project_cur":
                    remarks.setdefault("FILE-0-macros", entry[0])
                elif top.startswith("mbd") or top in ("ctls", "objectpool"):
                    remarks.setdefault("FILE-0-embedded", entry[0])
                elif len(entry) == 1 and (top == "workbook" or (top == "book" and stream is None)):
                    stream = compound.openstream(entry).read()
    except Exception:  # noqa: BLE001 - a container that is not whole: whether its cells are is the first reader's to say
        stream = None
    other = refused_by_streams(entries) if stream is None else None
    if other:
        return other
    if stream is None:
        first = _read_calamine(source, "xls", lambda *_: None, remarks, max_cells=max_cells)
        if isinstance(first, Refusal):
            return first
        return Refusal("FILE-0-unreadable", "文件不完整：只有一种读法读得出内容")
    content = stream
    book = read_xls_globals(content)
    if book.has_dde:
        return Refusal("FILE-0-active-content", "工作簿含有 DDE 或 OLE 链接")

    def read(number: int, _: str, __: list[list[Any]]) -> Seen | None:
        if book.is_encrypted or number >= len(book.sheets):
            raise Contradiction("两种读法得到的工作表不同")
        reading = SheetReading()
        return read_xls_sheet(content, book.sheets[number][1], book, reading), reading, book.from_1904

    outcome = _read_calamine(source, "xls", read, remarks, max_cells=max_cells)
    if not isinstance(source, Path):
        source.seek(0)
    return _searched(outcome, compound_texts(str(source) if isinstance(source, Path) else source, book))
