"""One grid in every format that counties send, with runs of characters raised, lowered or struck out.

Belongs here: bytes. `runs`: (row, column) → the runs of its text, each with its mark (上标, 下标, 删除线 or blank); `fonts`: (row, column) →
the mark of the cell's own font. Values are texts and numbers.
"""

import io
import struct
import zipfile
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

import xlsxwriter
import xlwt
from builders import csv_bytes

Grid = list[list[Any]]
Runs = list[tuple[str, str]]
Marks = dict[tuple[int, int], Runs]
Fonts = dict[tuple[int, int], str]
#: Formats that know fonts.
MARKED_KINDS = ("xlsx", "xlsx_inline", "xls", "xlsb", "ods")
KINDS = ("xlsx", "xls", "xlsb", "ods", "csv")
_SCRIPT = {"上标": 1, "下标": 2}


def in_format(
    kind: str, grid: Grid, sheet: str = "表", *, runs: Marks | None = None, fonts: Fonts | None = None
) -> bytes:
    """The grid as a file of a format; a cell with runs holds their joined text."""
    runs, fonts = runs or {}, fonts or {}
    rows = [list(row) for row in grid]
    for (row, column), parts in runs.items():
        rows[row][column] = "".join(text for text, _ in parts)
    makers = {"xlsx": _xlsx, "xlsx_inline": _xlsx_inline, "xls": _xls, "xlsb": _xlsb, "ods": _ods}
    return csv_bytes(rows) if kind == "csv" else makers[kind](rows, sheet, runs, fonts)


def _cells(rows: Grid) -> Iterable[tuple[int, int, Any]]:
    return ((r, c, value) for r, row in enumerate(rows) for c, value in enumerate(row) if value is not None)


def zipped(parts: dict[str, bytes | str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def _xlsx(rows: Grid, sheet: str, runs: Marks, fonts: Fonts) -> bytes:
    """Rich texts in the table of shared texts, as Excel and WPS write them."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_numbers": False, "strings_to_formulas": False})
    page = book.add_worksheet(sheet)

    def font(mark: str) -> Any:
        plain = {"font_script": _SCRIPT.get(mark, 0)}
        return book.add_format(plain | ({"font_strikeout": True} if mark == "删除线" else {}))

    for row, column, value in _cells(rows):
        of_cell = font(fonts[row, column]) if (row, column) in fonts else None
        parts = [
            part for text, mark in runs.get((row, column), []) for part in ((font(mark), text) if mark else (text,))
        ]
        if len(parts) > 2:
            page.write_rich_string(row, column, *parts, *([of_cell] if of_cell else []))
        elif isinstance(value, str):
            page.write_string(row, column, value, of_cell)
        else:
            page.write_number(row, column, value, of_cell)
    book.close()
    return target.getvalue()


def _xlsx_inline(rows: Grid, sheet: str, runs: Marks, fonts: Fonts) -> bytes:
    """Rich texts in their cells, under a prefix, as libraries write them."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    properties = {
        "": "", "上标": '<x:vertAlign val="superscript"/>', "下标": '<x:vertAlign val="subscript"/>', "删除线": "<x:strike/>"
    }  # fmt: skip
    marks = list(properties)

    def cell(row: int, column: int, value: Any) -> str:
        style = marks.index(fonts.get((row, column), ""))
        if not isinstance(value, str):
            return f'<x:c s="{style}"><x:v>{value}</x:v></x:c>'
        inner = "".join(
            f"<x:r>{f'<x:rPr><x:b/>{properties[mark]}</x:rPr>' if mark else ''}<x:t>{escape(text)}</x:t></x:r>"
            for text, mark in runs.get((row, column), [])
        )
        return f'<x:c s="{style}" t="inlineStr"><x:is>{inner or f"<x:t>{escape(value)}</x:t>"}</x:is></x:c>'

    lines = "".join(
        f"<x:row>{''.join('<x:c/>' if value is None else cell(r, c, value) for c, value in enumerate(row))}</x:row>"
        for r, row in enumerate(rows)
    )
    plain_fonts = "".join(f"<x:font>{one}<x:sz val='11'/></x:font>" for one in properties.values())
    styles = "".join(f'<x:xf fontId="{number}"/>' for number in range(len(marks)))
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="a" Type="{office}/officeDocument" '
            'Target="/xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<x:workbook xmlns:x="{main}" xmlns:q="{office}"><x:sheets><x:sheet name="{sheet}" '
            'sheetId="1" q:id="b"/></x:sheets></x:workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="b" Type="{office}/worksheet" '
            f'Target="worksheets/sheet1.xml"/><Relationship Id="c" Type="{office}/styles" Target="styles.xml"/></Relationships>',
            "xl/styles.xml": f'<x:styleSheet xmlns:x="{main}"><x:fonts>{plain_fonts}</x:fonts><x:cellXfs>{styles}</x:cellXfs>'
            "<x:dxfs><x:dxf><x:font><x:strike/></x:font></x:dxf></x:dxfs></x:styleSheet>",
            "xl/worksheets/sheet1.xml": f'<x:worksheet xmlns:x="{main}"><x:sheetData>{lines}</x:sheetData></x:worksheet>',
        }
    )


def _xls(rows: Grid, sheet: str, runs: Marks, fonts: Fonts) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    page = book.add_sheet(sheet)

    def font(mark: str) -> xlwt.Font:
        one = xlwt.Font()
        one.escapement = _SCRIPT.get(mark, 0)
        one.struck_out = mark == "删除线"
        return one

    styles: dict[str, xlwt.XFStyle] = {}
    for mark in set(fonts.values()):
        styles[mark] = xlwt.XFStyle()
        styles[mark].font = font(mark)
    known = {mark: font(mark) for mark in ("", "上标", "下标", "删除线")}
    for row, column, value in _cells(rows):
        style = styles.get(fonts.get((row, column), ""), xlwt.Style.default_style)
        if (row, column) in runs:
            parts = [text if not mark else (text, known[mark]) for text, mark in runs[row, column]]
            page.write_rich_text(row, column, parts, style)
        else:
            page.write(row, column, value, style)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def record12(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = len(data), b""
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return head + length + data


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _xlsb(rows: Grid, sheet: str, runs: Marks, fonts: Fonts) -> bytes:
    marks = ["", "上标", "下标", "删除线"]
    styles = record12(278) + record12(611, struct.pack("<I", 4))
    for mark in marks:
        flags = 8 if mark == "删除线" else 0
        styles += record12(
            43, struct.pack("<HHHHBBBB", 220, flags, 400, _SCRIPT.get(mark, 0), 0, 0, 134, 0) + bytes(9) + wide("宋体")
        )
    styles += record12(612) + record12(617, struct.pack("<I", 4))
    styles += b"".join(
        record12(47, struct.pack("<HHHHHBBHBB", 0, 0, number, 0, 0, 0, 0, 0, 0, 0)) for number in range(4)
    )
    styles += record12(618) + record12(279)
    texts: list[bytes] = []
    body = b""
    for number, row in enumerate(rows):
        body += record12(0, struct.pack("<IIHHBI", number, 0, 300, 0, 0, 0))
        for column, value in enumerate(row):
            if value is None:
                continue
            head = struct.pack("<II", column, marks.index(fonts.get((number, column), "")))
            if isinstance(value, str):
                parts = runs.get((number, column))
                told = b""
                if parts:
                    starts = [sum(len(text) for text, _ in parts[:at]) for at in range(len(parts))]
                    pairs = [(start, marks.index(mark)) for start, (_, mark) in zip(starts, parts, strict=True)]
                    told = struct.pack("<I", len(pairs)) + b"".join(struct.pack("<HH", *pair) for pair in pairs)
                body += record12(7, head + struct.pack("<I", len(texts)))
                texts.append(record12(19, bytes([1 if parts else 0]) + wide(value) + told))
            else:
                body += record12(5, head + struct.pack("<d", value))
    width = max(len(row) for row in rows)
    page = record12(129) + record12(148, struct.pack("<IIII", 0, len(rows) - 1, 0, width - 1)) + record12(145)
    page += body + record12(146) + record12(130)
    book = record12(131) + record12(143) + record12(156, struct.pack("<II", 0, 1) + wide("a") + wide(sheet))
    book += record12(144) + record12(132)
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    related = "".join(
        f'<Relationship Id="{key}" Type="{office}/{kind}" Target="{target}"/>'
        for key, kind, target in (
            ("a", "worksheet", "worksheets/sheet1.bin"), ("b", "sharedStrings", "sharedStrings.bin"), ("c", "styles", "styles.bin")
        )
    )  # fmt: skip
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{office}/officeDocument" '
            'Target="xl/workbook.bin"/></Relationships>',
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{package}">{related}</Relationships>',
            "xl/worksheets/sheet1.bin": page,
            "xl/sharedStrings.bin": record12(159, struct.pack("<II", len(texts), len(texts)))
            + b"".join(texts)
            + record12(160),
            "xl/styles.bin": styles,
        }
    )


def _ods(rows: Grid, sheet: str, runs: Marks, fonts: Fonts) -> bytes:
    """Marks of runs by automatic styles, of cells by a named style and its child."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    names = " ".join(f'xmlns:{one}="{space}:{one}:1.0"' for one in ("office", "table", "text", "style"))
    properties = {
        "上标": 'style:text-position="super 58%"', "下标": 'style:text-position="-33% 58%"',
        "删除线": 'style:text-line-through-style="solid"',
    }  # fmt: skip
    keys = {mark: f"M{number}" for number, mark in enumerate(properties)}
    automatic = "".join(
        f'<style:style style:name="{keys[mark]}" style:family="text"><style:text-properties {told}/></style:style>'
        f'<style:style style:name="C{keys[mark]}" style:family="table-cell" style:parent-style-name="N{keys[mark]}"/>'
        for mark, told in properties.items()
    )
    named = "".join(
        f'<style:style style:name="N{keys[mark]}" style:family="table-cell"><style:text-properties {told}/></style:style>'
        for mark, told in properties.items()
    )

    def cell(row: int, column: int, value: Any) -> str:
        if value is None:
            return "<table:table-cell/>"
        font = fonts.get((row, column))
        style = f' table:style-name="C{keys[font]}"' if font else ""
        text = "".join(
            f'<text:span text:style-name="{keys[mark]}">{escape(part)}</text:span>' if mark else escape(part)
            for part, mark in runs.get((row, column), [(str(value), "")])
        )
        kind = (
            'office:value-type="string"'
            if isinstance(value, str)
            else f'office:value-type="float" office:value="{value}"'
        )
        return f"<table:table-cell {kind}{style}><text:p>{text}</text:p></table:table-cell>"

    lines = "".join(
        f"<table:table-row>{''.join(cell(r, c, value) for c, value in enumerate(row))}</table:table-row>"
        for r, row in enumerate(rows)
    )
    content = (
        f"<office:document-content {names}><office:automatic-styles>{automatic}</office:automatic-styles><office:body>"
        f'<office:spreadsheet><table:table table:name="{sheet}">{lines}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    styles = f"<office:document-styles {names}><office:styles>{named}</office:styles></office:document-styles>"
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": content,
            "styles.xml": styles,
        }
    )
