"""Every text of a file besides the values of its cells, with the place where a clerk finds it. Runs only inside the reading process.

Belongs here: walking the parts of a package (xlsx, xlsb, ods), the records of an .xls and what lies beside them, and saying in Chinese
what each of them is: 批注, 文档属性, 页眉或页脚. What is in the texts is `personal_data`'s business. A part that cannot be read as what it
should be is searched as mere characters: nothing is refused here. Pictures, fonts and compiled macros are not looked into.
"""

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from xml.parsers import expat

from pipelines.workbooks.archives import ZIP_SIGNATURES, Unsafe, member_name, open_archive
from pipelines.workbooks.personal_data import Where
from pipelines.workbooks.second_reading.cells import Contradiction
from pipelines.workbooks.second_reading.ooxml import read_workbook
from pipelines.workbooks.second_reading.package import main_part, relations_in, relations_of
from pipelines.workbooks.second_reading.records import Biff8, Biff12
from pipelines.workbooks.second_reading.xls import XlsReading, records8
from pipelines.workbooks.second_reading.xlsb import read_xlsb_sheets, records12
from pipelines.workbooks.workbook import cell_position

Texts = Iterator[tuple[Where, str]]

#: Parts by the beginning or a piece of their name → what a clerk knows them as, and where Excel shows it.
_PARTS: tuple[tuple[str, str], ...] = (
    (r"threadedcomments/|comments/|comments[^/]*$", "批注"),
    (r"persons/", "批注的作者"),
    (r"^docprops/|^meta\.xml$|^meta-inf/", "文档属性（文件→信息）"),
    (r"^customxml/", "自定义 XML（文件→信息→检查文档）"),
    (r"\.vml$", "批注、文本框或控件"),
    (r"charts?/|chartex", "图表"),
    (r"drawings/|diagrams/|^object ", "文本框或图形"),
    (r"sharedstrings", "已不在单元格里、仍留在文件中的文字（另存为新文件即可去掉）"),
    (r"styles\.(?:xml|bin)$", "单元格格式或样式"),
    (r"externallinks/", "外部链接（数据→编辑链接）"),
    (r"pivot", "数据透视表的缓存"),
    (r"tables/|querytables/", "表格的名称或列名"),
    (r"connections\.|xmlmaps\.", "数据连接（数据→连接）"),
    (r"revisions/|usernames|revision log|user names", "共享工作簿的修订记录"),
    (r"printersettings", "打印设置"),
    (r"slicer|timeline", "切片器"),
    (r"ctrlprops/|activex/|^ctls$", "控件"),
    (r"embeddings/|^mbd|objectpool", "嵌入的文件"),
    (r"\x05(?:document)?summaryinformation", "文档属性（文件→信息）"),
    (r"_sx_db_cur", "数据透视表的缓存"),
)  # fmt: skip
_HEADERS = "页眉或页脚"
#: What says how a header looks, between its characters.
_HEADER_CODES = re.compile(r'&(?:"[^"]*"|K(?:[0-9A-F]{6}|[0-9]{2}[+-][0-9]{3})|[A-Z]|[0-9]{1,2}(?![0-9]))')
#: Elements by name → the same. Those of a sheet, of a workbook part and of OpenDocument.
_ELEMENTS = {
    "f": "公式", "formula": "条件格式", "cfRule": "条件格式",
    "dataValidation": "数据有效性", "formula1": "数据有效性", "formula2": "数据有效性", "sqref": "数据有效性",
    "content-validation": "数据有效性", "help-message": "数据有效性", "error-message": "数据有效性",
    "hyperlink": "超链接",
    "definedName": "名称（公式→名称管理器）", "named-range": "名称（公式→名称管理器）",
    "named-expression": "名称（公式→名称管理器）", "database-range": "名称（公式→名称管理器）",
    **dict.fromkeys(("oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter", "headerFooter",
                     "header", "footer", "header-left", "footer-left", "header-first", "footer-first"), _HEADERS),
    "annotation": "批注", "comment": "批注",
    "scenario": "方案", "inputCells": "方案", "protectedRange": "允许编辑的区域",
    "frame": "文本框或图形", "custom-shape": "文本框或图形", "text-box": "文本框或图形", "shape": "文本框或图形",
    "fileSharing": "文件的保存者", "absPath": "文件保存过的位置",
    "rPh": "拼音标注",
}  # fmt: skip
#: Runs of one text: what is in them is read on, not apart.
_INLINE = frozenset(["r", "t", "span", "font", "b", "i", "u", "strong", "em", "s", "ph", "fld"])
_INLINE_TAGS = re.compile(rf"</?(?:\w+:)?(?:{'|'.join(sorted(_INLINE))})(?:\s[^<>]*)?/?>")
_BREAKS = frozenset(["br", "line-break", "tab"])
#: The value of an OpenDocument cell, which the readers of cells have seen.
_OF_CELLS = (":value", "date-value")
#: Elements that hold a formula; what it reckons with are numbers apart, however they look together: 139+1405+1322.
_FORMULAS = frozenset(["f", "formula", "formula1", "formula2", "definedName"])
_QUOTED_OR_SIGN = re.compile(r'"[^"]*"|[-+*/^]')
#: What only says how a run looks.
_PROPERTIES = frozenset(["rPr", "pPr", "endParaRPr"])
_ANCHORED = {"c": "r", "comment": "ref", "threadedComment": "ref", "hyperlink": "ref", "dataValidation": "sqref",
             "tableColumn": "", "protectedRange": "sqref"}  # fmt: skip
#: Content of parts that hold no text of anybody.
_PICTURES = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf|wdp|ico|ttf|odttf|fntdata|wav|mp[34])$", re.IGNORECASE)
#: Cells with a number or a shared text and nothing else: the readers of cells have seen them.
_PLAIN_CELLS = re.compile(r'<c r="[A-Z]{1,3}[0-9]{1,7}"(?: s="[0-9]*")?(?: t="(?:s|n|b|e)")?(?:/>|><v>[^<>]*</v></c>)')
_SHORTEST = 6
_DEEPEST = 3


# Packages -------------------------------------------------------------------------------------------------------------


def package_texts(archive: zipfile.ZipFile, *, depth: int = 0) -> Texts:
    """Every text of a package besides the values of its cells: of its parts, their names, and the comments of the zip itself."""
    names = {name.replace("\\", "/"): name for name in archive.namelist()}
    sheets = _sheets_of_parts(archive, names)
    is_binary = any(name.lower().endswith("workbook.bin") for name in names)
    links: dict[str, dict[str, str]] = {}
    if archive.comment:
        yield Where(place="压缩包的注释"), _plain(archive.comment)
    members = sorted(archive.infolist(), key=lambda member: ("/_rels/" in member.filename, member.filename))
    for member in members:
        part = member_name(member)
        yield Where(place="文件内部的部件名"), part
        if member.comment:
            yield Where(place="压缩包的注释"), _plain(member.comment)
        if member.is_dir() or _PICTURES.search(part) or part.lower().endswith("vbaproject.bin"):
            continue
        content = archive.read(member)
        where = Where(sheets.get(part.lower(), ""), place=_place_of_part(part))
        if part.lower().endswith(".rels"):
            owner = part.replace("_rels/", "").removesuffix(".rels").lower()
            yield from _relations(content, sheets.get(owner, ""), links.get(owner, {}))
        elif content.startswith(ZIP_SIGNATURES) and depth < _DEEPEST:
            yield from _inner(content, where, depth)
        elif _is_xml(content):
            yield from _xml_texts(content, where, part, links)
        elif is_binary and part.lower().endswith(".bin") and "printersettings" not in part.lower():
            yield from _xlsb_texts(content, where, is_sheet="worksheets/" in part.lower())
        elif content.startswith(b"\xd0\xcf\x11\xe0"):
            yield from _inner_compound(content, where)
        else:
            for text in _characters(content):
                yield where, text


def _sheets_of_parts(archive: zipfile.ZipFile, names: dict[str, str]) -> dict[str, str]:
    """Part, in small letters → the sheet it belongs to: the sheet's own, and what is related to it (notes, drawings, charts)."""
    try:
        main = main_part(archive, names)
        if main is None:
            return {}
        content = archive.read(names[main])
        if main.lower().endswith(".bin"):
            of_ids = {relation: name for name, relation in read_xlsb_sheets(content)[0]}
        else:
            of_ids = {relation: name for name, relation, _ in read_workbook(content)[0]}
        owned = {one.part: of_ids[one.id] for one in relations_of(archive, names, main) if one.id in of_ids}
    except (Contradiction, KeyError, struct.error, ValueError):
        return {}
    found: dict[str, str] = {}
    while owned:
        part, sheet = owned.popitem()
        if part.lower() in found:
            continue
        found[part.lower()] = sheet
        try:
            related = relations_of(archive, names, part)
        except (Contradiction, KeyError):
            continue
        owned |= {
            one.part: sheet for one in related if one.part.lower() not in found and "pivot" not in one.kind.lower()
        }
    return found


def _place_of_part(part: str) -> str:
    lowered = part.lower()
    for pattern, place in _PARTS:
        if re.search(pattern, lowered):
            return place
    return f"文件内部的“{part[-60:]}”"


def _is_xml(content: bytes) -> bool:
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") or content[:4] in (b"\xff\xfe<\x00", b"\xfe\xff\x00<")


def _inner(content: bytes, where: Where, depth: int) -> Texts:
    """An embedded package, its cells and all else."""
    try:
        with open_archive(io.BytesIO(content)) as archive:
            for inner, text in package_texts(archive, depth=depth + 1):
                yield Where(where.sheet, place=f"嵌入的文件的{inner.place or '单元格'}"), text
            for _, text in unread_cells(archive):
                yield Where(where.sheet, place="嵌入的文件"), text
    except (Unsafe, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError):
        return  # broken or locked: nobody reads a text in it, and compressed bytes look like anything


def unread_cells(archive: zipfile.ZipFile) -> Texts:
    """What stands in the cells of a package that no reader of cells reads."""
    sheets = _sheets_of_parts(archive, {name.replace("\\", "/"): name for name in archive.namelist()})
    for member in archive.infolist():
        part = member_name(member)
        if re.search(r"worksheets/[^/]*\.xml$|sharedstrings\.xml$|^content\.xml$", part, re.IGNORECASE):
            for text in re.findall(r"(?<=>)[^<>]{6,}", archive.read(member).decode("utf-8", "replace")):
                yield Where(sheets.get(part.lower(), ""), place="单元格"), text


def _inner_compound(content: bytes, where: Where) -> Texts:
    for _, text in compound_texts(io.BytesIO(content), None):
        yield where._replace(place=where.place or "嵌入的文件"), text


def _relations(content: bytes, sheet: str, links: dict[str, str]) -> Texts:
    """Where the links of a part lead. `links`: id of a link → the cell it stands in."""
    try:
        relations = relations_in(content)
    except Contradiction:
        for text in _characters(content):
            yield Where(sheet, place="外部链接（数据→编辑链接）"), text
        return
    for relation in relations:
        place = "超链接" if relation.get("Type", "").endswith("/hyperlink") else "外部链接（数据→编辑链接）"
        cell = _cell(links.get(relation.get("Id", ""), ""))
        target = relation.get("Target", "")
        yield Where(sheet, *cell, place=place), target
        if "%" in target:
            yield Where(sheet, *cell, place=place), _decoded(target)


def _decoded(target: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), target)


def _cell(reference: str) -> tuple[int | None, int | None]:
    """The first cell of a reference such as B4:B9 C1; (None, None) where it names none."""
    match = re.match(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})", reference)
    return cell_position(match[1] + match[2]) if match else (None, None)


def _operands(formula: str) -> str:
    """A formula with commas for the signs outside of its texts."""
    return _QUOTED_OR_SIGN.sub(lambda match: match[0] if match[0][0] == '"' else ",", formula)


# XML --------------------------------------------------------------------------------------------------------------------


class _Walk:
    """One pass of expat over a part; runs of one text are put together, elements are known by their names without prefixes."""

    def __init__(self, where: Where, links: dict[str, str], *, is_sheet: bool) -> None:
        self.where, self.links, self.is_sheet = where, links, is_sheet
        self.found: list[tuple[Where, str]] = []
        self.open: list[tuple[str, Where]] = []
        self.text: list[str] = []
        self.properties = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text.append
        self.parser.CommentHandler = self.aside
        self.parser.ProcessingInstructionHandler = lambda _, data: self.aside(data)
        self.parser.EntityDeclHandler = self.entity

    @staticmethod
    def entity(*_: Any) -> None:
        raise ValueError("entities are not unfolded")

    @property
    def here(self) -> Where:
        return self.open[-1][1] if self.open else self.where

    def aside(self, text: str) -> None:
        self.found.append((self.where, text))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if self.properties:
            self.properties += 1
            return
        if local in _PROPERTIES:
            self.properties = 1
            return
        if local in _BREAKS or name == "text:s":
            self.text.append(" ")
        elif local not in _INLINE or (self.open and self.open[-1][0] in ("si", "is") and local == "rPh"):
            self.flush()
        where = self.here
        if local in _ELEMENTS:
            where = where._replace(place=_ELEMENTS[local])
        elif local == "property":
            where = where._replace(place="文档属性（文件→信息→属性→高级属性→自定义）")
        if local in _ANCHORED:
            row, column = _cell(attributes.get(_ANCHORED[local], ""))
            where = where._replace(row=row, column=column)
            if local == "hyperlink":
                for key, value in attributes.items():
                    if key.rpartition(":")[2] == "id":
                        self.links[value] = attributes.get("ref", "")
        elif local == "ClientData":
            where = where._replace(place="批注、文本框或控件")
        is_cell = local in ("table-cell", "covered-table-cell")
        for key, value in attributes.items():
            if len(value) >= _SHORTEST and not key.startswith("xmlns") and not (is_cell and key.endswith(_OF_CELLS)):
                is_link = key.endswith("href") and not where.place.startswith("文本框")
                text = _operands(value) if local == "table-cell" and key.endswith("formula") else value
                self.found.append((where._replace(place="超链接") if is_link else where, text))
        self.open.append((local, where))

    def end(self, _: str) -> None:
        if self.properties:
            self.properties -= 1
            return
        if not self.open:
            return
        local, _where = self.open[-1]
        if local not in _INLINE and local not in _BREAKS:
            self.flush()
        self.open.pop()

    def flush(self) -> None:
        if not self.text:
            return
        text = "".join(self.text)
        self.text.clear()
        if len(text) < _SHORTEST or not self.open:
            return
        if self.is_sheet and self.open[-1][0] == "v":
            return  # a cell's value, which the readers of cells have seen
        self.found.append((self.here, _operands(text) if self.open[-1][0] in _FORMULAS else text))
        if "&" in text and self.here.place == _HEADERS:
            self.found.append((self.here, _HEADER_CODES.sub("", text)))


def _xml_texts(content: bytes, where: Where, part: str, links: dict[str, dict[str, str]]) -> Texts:
    lowered = part.lower()
    # A sheet that the workbook does not list is read by nobody else.
    is_sheet = "worksheets/" in lowered and bool(where.sheet)
    if "worksheets/" in lowered:
        where = where._replace(place="工作表的其他设置" if is_sheet else "工作簿中没有列出的工作表")
    if is_sheet:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        else:
            if "encoding=" not in text[:200] or re.search("utf-8", text[:200], re.IGNORECASE):
                content = _PLAIN_CELLS.sub("", text).encode()
    elif re.search(r"(?:^|/)workbook\.xml$", lowered):
        where = where._replace(place="工作簿的其他设置")
    elif lowered in ("content.xml", "styles.xml", "settings.xml"):
        where = where._replace(place=_OF_ODS[lowered])
    walk = _Walk(where, links.setdefault(lowered, {}), is_sheet=is_sheet)
    stream = io.BytesIO(content)
    try:
        while piece := stream.read(1 << 16):
            walk.parser.Parse(piece, False)
            yield from walk.found
            walk.found.clear()
        walk.parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError):
        plain = _plain(content)
        for text in (re.sub(r"<[^<>]*>", " ", _INLINE_TAGS.sub("", plain)), plain):
            yield where, text
    yield from walk.found


_OF_ODS = {"content.xml": "工作表的其他内容", "styles.xml": "单元格格式或样式", "settings.xml": "工作簿的其他设置"}


# Binary -----------------------------------------------------------------------------------------------------------------

_BYTES_RUN = re.compile(rb"[\x09\x0a\x0d\x20-\x7e]{6,}")
_NARROW_RUN = re.compile(rb"[\x09\x0a\x0d\x20-\xff]{6,}")
_WIDE_RUN = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){6,}")


def _plain(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030", "utf-16"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _characters(content: bytes) -> Iterator[str]:
    """Plain characters in something that is no text, in one byte or two."""
    if not content[:4096].translate(None, bytes(range(0x20, 0x100)) + b"\t\r\n\f"):
        yield _plain(content)
        return
    for run in _BYTES_RUN.findall(content):
        yield run.decode("ascii")
    for run in _WIDE_RUN.findall(content):
        yield run.decode("utf-16-le")


def _wide(data: bytes) -> Iterator[str]:
    """A record's texts, wherever in it they begin."""
    if len(data) >= _SHORTEST:
        yield data.decode("utf-16-le", "ignore")
        yield data[1:].decode("utf-16-le", "ignore")
        for run in _NARROW_RUN.findall(data):
            yield run.decode("gbk", "ignore")


#: BIFF12 records that are cells, rows or styles of cells, or where a part says more than its name.
_CELLS12 = frozenset(
    [
        Biff12.ROW_HDR,
        *range(Biff12.CELL_BLANK, Biff12.FMLA_STRING),
        *range(Biff12.SHORT_BLANK, Biff12.SHORT_ISST + 1),
        Biff12.CELL_R_STRING,
    ]
)
_PLACES12 = {
    Biff12.NAME: "名称（公式→名称管理器）",
    Biff12.D_VAL: "数据有效性",
    Biff12.BEGIN_HEADER_FOOTER: "页眉或页脚",
    Biff12.H_LINK: "超链接",
    Biff12.COMMENT_AUTHOR: "批注",
    Biff12.BEGIN_COMMENT: "批注",
    Biff12.COMMENT_TEXT: "批注",
    Biff12.FMLA_STRING: "公式",
    Biff12.FMLA_NUM: "公式",
    Biff12.FMLA_BOOL: "公式",
    Biff12.FMLA_ERROR: "公式",
    Biff12.ARR_FMLA: "公式",
    Biff12.SHR_FMLA: "公式",
    Biff12.BEGIN_CONDITIONAL_FORMATTING: "条件格式",
    Biff12.BEGIN_CF_RULE: "条件格式",
}


def _xlsb_texts(content: bytes, where: Where, *, is_sheet: bool) -> Texts:
    if is_sheet:
        where = where._replace(place="工作表的其他设置")
    try:
        for kind, data in records12(content):
            if is_sheet and kind in _CELLS12:
                continue
            place = where._replace(place=_PLACES12.get(kind, where.place))
            for text in _wide(data):
                yield place, text
    except (Contradiction, struct.error):
        for text in _characters(content):
            yield where, text


#: BIFF records that are numbers, styles or pictures; the table of texts is read by itself.
_NO_TEXT8 = frozenset(
    [
        Biff8.NUMBER,
        Biff8.RK,
        Biff8.MUL_RK,
        Biff8.LABEL_SST,
        Biff8.BLANK,
        Biff8.MUL_BLANK,
        Biff8.ROW,
        Biff8.DB_CELL,
        Biff8.BOOL_ERR,
        Biff8.SST,
        Biff8.EXT_SST,
        Biff8.MSO_DRAWING_GROUP,
        Biff8.XF,
        Biff8.FONT,
        Biff8.LABEL,
        Biff8.R_STRING,
        Biff8.MSO_DRAWING,
        Biff8.PUB,
        Biff8.SER_AUX_ERR_BAR,
        Biff8.XF_EXT,
        Biff8.STYLE_EXT,
    ]
)
_PLACES8 = {
    Biff8.NOTE: "批注",
    Biff8.TXO: "批注或文本框",
    Biff8.HEADER: "页眉或页脚",
    Biff8.FOOTER: "页眉或页脚",
    Biff8.HEADER_FOOTER: "页眉或页脚",
    Biff8.LBL: "名称（公式→名称管理器）",
    Biff8.NAME_CMT: "名称（公式→名称管理器）",
    Biff8.D_VAL: "数据有效性",
    Biff8.DV: "数据有效性",
    Biff8.H_LINK: "超链接",
    Biff8.H_LINK_TOOLTIP: "超链接",
    Biff8.FORMULA: "公式",
    Biff8.STRING: "公式",
    Biff8.SHR_FMLA: "公式",
    Biff8.ARRAY: "公式",
    Biff8.FORMAT: "单元格格式或样式",
    Biff8.SUP_BOOK: "外部链接（数据→编辑链接）",
    Biff8.EXTERN_NAME: "外部链接（数据→编辑链接）",
    Biff8.CRN: "外部链接（数据→编辑链接）",
    Biff8.WRITE_ACCESS: "文件的保存者",
    Biff8.FILE_SHARING: "文件的保存者",
    Biff8.CF: "条件格式",
    Biff8.SERIES_TEXT: "图表",
    Biff8.BOUND_SHEET_8: "工作表名",
    Biff8.SCENARIO: "方案",
}


def compound_texts(source: IO[bytes] | str, book: XlsReading | None) -> Texts:
    """Every text of an OLE container besides the cells' own. `book`: what the readers of cells have read of it, its shared texts above all."""
    import olefile  # type: ignore[import-untyped]

    if book is not None:
        for text in book.strings:
            yield Where(place=_place_of_part("sharedStrings")), text
    try:
        with olefile.OleFileIO(source) as compound:
            for entry in compound.listdir():
                path = "/".join(entry)
                if entry[0].lower() in ("_vba_project_cur", "macros"):
                    continue
                content = compound.openstream(entry).read()
                if entry[-1].lower() in ("workbook", "book"):
                    within = "" if len(entry) == 1 else "嵌入的文件"
                    yield from _records_texts(content, within, is_cells=len(entry) > 1 or book is None)
                elif content.startswith(ZIP_SIGNATURES):
                    yield from _inner(content, Where(place="嵌入的文件"), 1)
                elif entry[0].lower() == "_sx_db_cur":
                    yield from _records_texts(content, _place_of_part("pivot"), is_cells=True)
                else:
                    for text in _characters(content):
                        yield Where(place=_place_of_part(path)), text
    except Exception:  # noqa: BLE001 - a container that is not whole: the readers of cells have said so, or could read it all the same
        return


def _records_texts(content: bytes, within: str, *, is_cells: bool) -> Texts:
    """`is_cells`: the cells' own texts too, which nobody else reads."""
    place, skips = "", False
    try:
        for kind, data, _ in records8(content, 0):
            if kind != Biff8.CONTINUE:
                place = within or _PLACES8.get(kind, "工作簿的其他设置")
                skips = kind in _NO_TEXT8 and not (is_cells and kind in (Biff8.SST, Biff8.LABEL, Biff8.R_STRING))
            if skips or (kind == Biff8.FORMULA and len(data) < 32):
                continue
            for text in _wide(data):
                yield Where(place=place), text
    except (Contradiction, struct.error):
        return
