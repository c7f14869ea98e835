"""Something of a person in every place that a file has, and what becomes of a file in which it stands.

All numbers are made up: born on the first of January 1900, 138 0013 8000, cards under 6222 0000.
"""

import io
import json
import shutil
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import xlwt
from openpyxl.comments import Comment
from openpyxl.worksheet.datavalidation import DataValidation
from xlwt.CompoundDoc import XlsDoc

from pipelines.home import Home
from pipelines.intake.collect import collect
from pipelines.intake.raw_store import RawStore
from pipelines.operations.quarantine import EraseRefused, erase
from pipelines.releases.reconstruct import verify
from pipelines.releases.release import ReleaseLog
from pipelines.screening.screen import Screening, screen
from pipelines.warehouse.build_database import open_build_database, remove_build
from pipelines.warehouse.landing import land_new
from pipelines.workbooks.personal_data import PERSONAL_RULES
from tests.faults import Outcome, case
from tests.homes import deliver, marts_content, rows, small_home, update

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))
from builders import SETTINGS, XINFU, Draft, csv_bytes, submission  # isort: skip
from formats import in_format, record12  # isort: skip

IDENTITY, PHONE, CARD = "140922190001010015", "13800138000", "6222000000000000012"
HOLDS = f"联系 {PHONE}"
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

#: File name, content, and a word of the place at which it has to be told.
Placed = tuple[str, bytes, str]


def _draft() -> Draft:
    return Draft("enrolment")


def _edited(edit: Callable[[openpyxl.Workbook, Any], None]) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(_draft().xlsx()))
    edit(book, book.worksheets[0])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _with_parts(content: bytes, parts: dict[str, str | bytes | Callable[[str], str]], comment: str = "") -> bytes:
    """A package with parts added or, by a function of their text, changed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            change = parts.get(member.filename)
            if change is None or callable(change):
                kept = old.read(member)
                new.writestr(member.filename, change(kept.decode()) if change else kept)
        for name, part in parts.items():
            if not callable(part):
                new.writestr(name, part)
        new.comment = comment.encode()
    return target.getvalue()


def excel_places() -> list[Placed]:
    """Workbooks with the number in one place each."""

    def names(book: openpyxl.Workbook, _: Any) -> None:
        book.defined_names["电话"] = openpyxl.workbook.defined_name.DefinedName("电话", attr_text=f'"{PHONE}"')

    def note(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["B2"].comment = Comment(f"问 {IDENTITY[:6]} {IDENTITY[6:14]} {IDENTITY[14:]}", "甲")

    def author(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["B2"].comment = Comment("见附件", HOLDS)

    def properties(field: str) -> Callable[[openpyxl.Workbook, Any], None]:
        return lambda book, _: setattr(book.properties, field, HOLDS)

    def custom(book: openpyxl.Workbook, _: Any) -> None:
        from openpyxl.packaging.custom import StringProperty

        book.custom_doc_props.append(StringProperty(name="联系", value=PHONE))

    def header(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet.oddHeader.center.text = HOLDS

    def even_footer(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet.evenFooter.left.text = HOLDS

    def choices(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet.add_data_validation(DataValidation("list", formula1=f'"{PHONE},13900139000"', sqref="Z9"))

    def error_of_choices(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet.add_data_validation(DataValidation("whole", formula1="0", sqref="Z9", error=HOLDS))

    def link(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["A1"].hyperlink = "mailto:jiaoshi@example.com"

    def tooltip(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["A1"].hyperlink = openpyxl.worksheet.hyperlink.Hyperlink("A1", location="A2", tooltip=HOLDS)

    def very_hidden(book: openpyxl.Workbook, _: Any) -> None:
        sheet = book.create_sheet("底稿")
        sheet["CZ90"], sheet.sheet_state = IDENTITY, "veryHidden"

    def chart(book: openpyxl.Workbook, sheet: Any) -> None:
        made = openpyxl.chart.BarChart()
        made.title = HOLDS
        made.add_data(openpyxl.chart.Reference(sheet, min_col=2, min_row=4, max_row=5))
        sheet.add_chart(made, "AA1")

    def rich(_: openpyxl.Workbook, sheet: Any) -> None:
        from openpyxl.cell.rich_text import CellRichText, TextBlock
        from openpyxl.cell.text import InlineFont

        sheet.cell(sheet.max_row + 1, 1).value = CellRichText("注：138", TextBlock(InlineFont(b=True), "0013"), "8000")

    def conditional(_: openpyxl.Workbook, sheet: Any) -> None:
        rule = openpyxl.formatting.rule.FormulaRule(formula=[f'A1="{PHONE}"'])
        sheet.conditional_formatting.add("A1", rule)

    def column_of_table(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["AA1"], sheet["AA2"] = "甲", "乙"
        sheet.add_table(openpyxl.worksheet.table.Table(displayName="表一", ref="AA1:AA2", comment=HOLDS))

    edits: list[tuple[str, Callable[[openpyxl.Workbook, Any], None], str]] = [
        ("名称", names, "名称"), ("批注", note, "批注"), ("批注作者", author, "批注"), ("标题", properties("title"), "文档属性"),
        ("关键词", properties("keywords"), "文档属性"), ("保存者", properties("lastModifiedBy"), "文档属性"),
        ("自定义属性", custom, "文档属性"), ("页眉", header, "页眉"), ("偶数页脚", even_footer, "页脚"), ("序列", choices, "数据有效性"),
        ("出错警告", error_of_choices, "数据有效性"), ("链接", link, "超链接"), ("提示", tooltip, "超链接"),
        ("深藏", very_hidden, "隐藏"), ("图表", chart, "图表"), ("分段", rich, ""), ("条件格式", conditional, "条件格式"),
        ("表格", column_of_table, "表格"),
    ]  # fmt: skip
    made = [(f"{name}.xlsx", _edited(edit), place) for name, edit, place in edits]
    drawing = (
        '<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><xdr:twoCellAnchor><xdr:sp><xdr:nvSpPr>'
        '<xdr:cNvPr id="2" name="a"{alt}/></xdr:nvSpPr><xdr:txBody><a:p><a:r><a:t>{one}</a:t></a:r><a:r><a:rPr b="1">'
        "<a:latin typeface='x'/></a:rPr><a:t>{two}</a:t></a:r></a:p></xdr:txBody></xdr:sp></xdr:twoCellAnchor></xdr:wsDr>"
    )
    in_parts: list[tuple[str, dict[str, Any], str]] = [
        ("文本框", {"xl/drawings/drawing9.xml": drawing.format(alt="", one="1380013", two="8000")}, "文本框"),
        ("替代文字", {"xl/drawings/drawing9.xml": drawing.format(alt=f' descr="{HOLDS}"', one="", two="")}, "文本框"),
        ("控件", {"xl/drawings/vmlDrawing9.vml": "<xml><v:shape xmlns:v='urn:x'><div><font>138</font><font>00138000</font></div></v:shape></xml>"}, "文本框"),
        ("会话批注", {"xl/threadedComments/threadedComment1.xml": f'<ThreadedComments><threadedComment ref="B2"><text>{HOLDS}</text></threadedComment></ThreadedComments>'}, "批注"),
        ("批注的人", {"xl/persons/person.xml": '<personList><person displayName="甲" userId="jia@example.com" providerId="AD"/></personList>'}, "批注的作者"),
        ("自定义XML", {"customXml/item1.xml": f"<list><id>{IDENTITY}</id><age>50</age></list>"}, "自定义 XML"),
        ("外部链接", {"xl/externalLinks/externalLink9.xml": f"<externalLink {_MAIN}><externalBook><sheetDataSet><sheetData><row><cell><v>{PHONE}</v></cell></row></sheetData></sheetDataSet></externalBook></externalLink>"}, "外部链接"),
        ("链接的目标", {"xl/externalLinks/_rels/externalLink9.xml.rels": f'<Relationships {_RELATIONS}><Relationship Id="r" Type="{_TYPES}/externalLinkPath" Target="file:///C:/{PHONE}/a.xlsx" TargetMode="External"/></Relationships>'}, "外部链接"),
        ("透视表", {"xl/pivotCache/pivotCacheDefinition9.xml": f'<pivotCacheDefinition {_MAIN}><sharedItems><s v="教师甲 {IDENTITY}"/></sharedItems></pivotCacheDefinition>'}, "数据透视表"),
        ("修订", {"xl/revisions/revisionLog1.xml": f"<revisions {_MAIN}><rcc><nc><is><t>{HOLDS}</t></is></nc></rcc></revisions>"}, "修订"),
        ("没有列出的表", {"xl/worksheets/sheet99.xml": f'<worksheet {_MAIN}><sheetData><row r="1"><c r="A1"><v>{PHONE}</v></c></row></sheetData></worksheet>'}, "没有列出的工作表"),
        ("部件名", {f"customXml/{PHONE}.xml": "<a/>"}, "部件名"),
        ("说明文件", {"docProps/readme.txt": HOLDS}, "文档属性"),
        ("嵌入", {"xl/embeddings/Workbook1.xlsx": _edited(note)}, "嵌入"),
        ("双字节", {"customXml/item1.xml": f"<?xml version='1.0' encoding='UTF-16'?><a>{HOLDS}</a>".encode("utf-16")}, "自定义 XML"),
        ("断行的控件", {"xl/drawings/vmlDrawing9.vml": "<xml><v:textbox xmlns:v='urn:x'><font>1380</font><font>0138000</font><br></v:textbox></xml>"}, "文本框"),
        ("坏XML", {"customXml/item1.xml": f"<a><b>{HOLDS}</a>"}, "自定义 XML"),
        ("XML注释", {"customXml/item1.xml": f"<a><!-- {HOLDS} --></a>"}, "自定义 XML"),
    ]  # fmt: skip
    made += [(f"{name}.xlsx", _with_parts(_draft().xlsx(), parts), place) for name, parts, place in in_parts]
    made.append(("压缩包注释.xlsx", _with_parts(_draft().xlsx(), {}, HOLDS), "压缩包的注释"))
    made.append(("首页页脚.xlsx", _headed(), "页脚"))
    made.append(("彩色页脚.xlsx", _headed('&amp;"宋体,常规"138&amp;K01+0000013&amp;KFF00008000'), "页脚"))
    made.append(("公式.xlsx", _formula(), "公式"))
    made.append(("格式.xlsx", _edited(lambda _, sheet: setattr(sheet["A1"], "number_format", f'"{PHONE}"0')), "格式"))
    made.append((f"报表{PHONE}.xlsx", _draft().xlsx(), "文件名"))
    made.append(("报表138 001 38000.csv", csv_bytes(_draft().grid()), "文件名"))
    return made


def _headed(text: str = f"&amp;R{HOLDS}") -> bytes:
    footer = f"<headerFooter><firstFooter>{text}</firstFooter></headerFooter>"
    return _with_parts(
        _draft().xlsx(),
        {"xl/worksheets/sheet1.xml": lambda text: text.replace("</worksheet>", f"{footer}</worksheet>")},
    )


def _formula() -> bytes:
    return _edited(lambda _, sheet: setattr(sheet["AA1"], "value", f'=0+N("{PHONE}")'))


def _record8(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def xls_places() -> list[Placed]:
    """Old workbooks: records put before the end of the last sheet, and what xlwt writes itself."""

    def made(*records: bytes, edit: Callable[[Any], None] = lambda sheet: None) -> bytes:
        book = xlwt.Workbook(encoding="utf-8")
        sheet = book.add_sheet("表")
        for row, line in enumerate(_draft().grid()):
            for column, value in enumerate(line):
                if value is not None:
                    sheet.write(row, column, value)
        edit(sheet)
        stream = book.get_biff_data()
        assert stream.endswith(b"\x0a\x00\x00\x00")
        target = io.BytesIO()
        XlsDoc().save(target, stream[:-4] + b"".join(records) + stream[-4:])
        return target.getvalue()

    wide = HOLDS.encode("utf-16-le")
    note = _record8(0x01B6, bytes(18)) + _record8(0x003C, b"\x01" + wide) + _record8(0x001C, bytes(8) + b"\x00\x00\x00")
    narrow = _record8(0x01B6, bytes(18)) + _record8(0x003C, b"\x00" + PHONE.encode())
    prompt = _record8(0x01BE, bytes(4) + struct.pack("<HB", len(HOLDS), 1) + wide)
    link = _record8(0x01B8, bytes(32) + f"tel:{PHONE}".encode("utf-16-le"))
    return [
        ("批注.xls", made(note), "批注"),
        ("单字节.xls", made(narrow), "批注"),
        ("有效性.xls", made(prompt), "数据有效性"),
        ("链接.xls", made(link), "超链接"),
        ("页眉.xls", made(edit=lambda sheet: setattr(sheet, "header_str", PHONE.encode())), "页眉"),
        ("公式.xls", made(edit=lambda sheet: sheet.write(0, 40, xlwt.Formula(f'N("{PHONE}")'))), "公式"),
        ("单元格.xls", made(edit=lambda sheet: sheet.write(60, 0, f"注：{IDENTITY}")), ""),
    ]  # fmt: skip


def other_places() -> list[Placed]:
    """xlsb, ods and csv."""
    grid = _draft().grid()
    xlsb, ods = in_format("xlsb", grid), in_format("ods", grid)
    wide = struct.pack("<I", len(HOLDS)) + HOLDS.encode("utf-16-le")
    note = '<office:annotation><dc:creator xmlns:dc="x">甲</dc:creator><text:p>1380013<text:span>8000</text:span></text:p></office:annotation>'
    beside = {
        "控件": f'<office:forms><form:text xmlns:form="x" form:value="{PHONE}"/></office:forms>',
        "字段": f'<text:user-field-decls><text:user-field-decl office:value-type="float" office:value="{PHONE}"/></text:user-field-decls>',
        "修订": f'<table:tracked-changes><table:change-track-table-cell office:value-type="float" office:value="{PHONE}"/></table:tracked-changes>',
    }
    return [
        ("批注.xlsb", _with_parts(xlsb, {"xl/comments1.bin": record12(637, b"\x00" + wide)}), "批注"),
        ("属性.xlsb", _with_parts(xlsb, {"docProps/core.xml": f"<a><b>{HOLDS}</b></a>"}), "文档属性"),
        ("剩余文字.xlsb", _with_parts(xlsb, {"xl/sharedStrings9.bin": record12(19, b"\x00" + wide)}), "不在单元格"),
        ("批注.ods", _with_parts(ods, {"content.xml": lambda text: text.replace("<text:p>", f"{note}<text:p>", 1)}), "批注"),
        ("空格.ods", _with_parts(ods, {"content.xml": lambda text: text.replace("<text:p>", f"{note.replace('0013', '<text:s/>0013<text:tab/>', 1)}<text:p>", 1)}), "批注"),
        *((f"{name}.ods", _with_parts(ods, {"content.xml": lambda text, one=one: text.replace("<office:spreadsheet>", f"<office:spreadsheet>{one}", 1)}), "其他内容") for name, one in beside.items()),
        ("属性.ods", _with_parts(ods, {"meta.xml": f"<a><b>{HOLDS}</b></a>"}), "文档属性"),
        ("页眉.ods", _with_parts(ods, {"styles.xml": f'<office:document-styles xmlns:office="x" xmlns:style="y" xmlns:text="z"><style:header><text:p>{HOLDS}</text:p></style:header></office:document-styles>'}), "页眉"),
        ("备注.csv", csv_bytes([*grid, [f"注：{CARD[:4]}.{CARD[4:8]}.{CARD[8:12]}.{CARD[12:16]}.{CARD[16:]}"]]), ""),
    ]  # fmt: skip


def _judged(folder: Path, placed: list[Placed]) -> tuple[Screening, list[str], list[str]]:
    """What came of the files: those not refused as personal data at their place, and those of which a number was told whole."""
    sent = {submission(folder, name, content).submission_id: (name, place) for name, content, place in placed}
    screening = screen([submission(folder, name, content) for name, content, _ in placed], SETTINGS)
    missed, whole = [], []
    for submission_id, (name, place) in sent.items():
        found = [one for one in screening.findings if one.submission_id == submission_id]
        told = [one.message for one in found if one.rule_id in PERSONAL_RULES]
        rejected = all(one.verdict == "rejected" for one in screening.filings if one.submission_id == submission_id)
        if not rejected or not any(place in message for message in told):
            missed.append(f"{name}（{told or [one.rule_id for one in found]}）")
        if any(number in repr(found) for number in (PHONE, IDENTITY, CARD, "jiaoshi@example.com")):
            whole.append(name)
    return screening, missed, whole


def _outcome(folder: Path, placed: list[Placed]) -> Outcome:
    _, missed, whole = _judged(folder, placed)
    words = f"{len(placed) - len(missed)} of {len(placed)} refused at their place, masked"
    return Outcome("; ".join([words, *missed, *(f"whole: {name}" for name in whole)]), not missed and not whole)


_KIND = "25-personal-data"


@case(_KIND, "a number in each place of an Excel workbook that is no cell, and in names")
def excel(folder: Path) -> Outcome:
    return _outcome(folder, excel_places())


@case(_KIND, "a number in notes, links, headers, formulas of an old .xls")
def old_excel(folder: Path) -> Outcome:
    return _outcome(folder, xls_places())


@case(_KIND, "a number in notes, properties and headers of .xlsb and .ods, and in a .csv")
def others(folder: Path) -> Outcome:
    return _outcome(folder, other_places())


@case(_KIND, "a number in a file that is refused for another reason")
def refused(folder: Path) -> Outcome:
    grid = _draft().grid()

    def fetches(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["AA1"], sheet["AA2"] = IDENTITY, '=WEBSERVICE("http://example.com")'

    dde = '<table:dde-links><office:dde-source office:dde-application="x"/></table:dde-links></office:spreadsheet>'
    placed = [
        ("联网.xlsx", _edited(fetches), "单元格中"),
        ("联网.ods", _with_parts(in_format("ods", [*grid, [f"注：{HOLDS}"]]), {"content.xml": lambda text: text.replace("</office:spreadsheet>", dde)}), "单元格中"),
        ("启动.csv", csv_bytes([*grid, [f"注：{HOLDS}"], ["=cmd|'/c calc'!A0"]]), ""),
        ("分号.csv", csv_bytes([*grid, [f"注：{HOLDS}"]]).replace(b",", b";"), "行中"),
        ("引号.csv", csv_bytes([*grid, [f"注：{HOLDS}"]]) + b'"a"b,c', "行中"),
        ("网页.xls", f"<html><table><tr><td>{HOLDS}</td></tr></table></html>".encode(), "行中"),
        (f"不完整{PHONE}.xlsx", b"PK\x03\x04" + bytes(99), "文件名中"),
    ]  # fmt: skip
    return _outcome(folder, placed)


@case(_KIND, "what programs write by themselves, names of people, offices' telephones, codes and amounts")
def controls(folder: Path) -> Outcome:
    def signed(book: openpyxl.Workbook, sheet: Any) -> None:
        book.properties.creator, book.properties.lastModifiedBy = "张三", "Administrator"
        sheet["A1"].comment = Comment("联系电话 0350-3030000，1409020001、1409020002", "李四")
        sheet.oddFooter.center.text = "第 &P 页 共 &N 页"

    wps = (
        '<Properties><property name="KSOProductBuildVer"><vt:lpwstr>2052-12.1.0.16729</vt:lpwstr></property>'
        '<property name="ICV"><vt:lpwstr>6B29FC40CA471067B31D13800138000A_13</vt:lpwstr></property></Properties>'
    )

    def sums(_: openpyxl.Workbook, sheet: Any) -> None:
        sheet["AA1"], sheet["AA2"] = "=138+1300+8000", "=6222+0000+0000+0000+012"

    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(_edited(sums))) as archive:
        summed = archive.read(sheet).decode().replace("<v />", "<v>1</v>").replace("<v></v>", "<v>1</v>")
    placed = [
        ("丁.xlsx", _with_parts(_edited(sums), {sheet: lambda _: summed}), ""),
        ("甲.xlsx", _draft().xlsx(), ""),
        ("乙.xlsx", _edited(signed), ""),
        ("丙.xlsx", _with_parts(_draft().xlsx(), {"docProps/custom.xml": wps}), ""),
    ]
    screening, *_ = _judged(folder, placed)
    alarms = sorted({one.message for one in screening.findings if one.rule_id in PERSONAL_RULES})
    refused = [one.file_name for one in screening.filings if one.verdict == "rejected"]
    return Outcome("; ".join(["no alarm" if not alarms else "alarms", *alarms, *refused]), not alarms and not refused)


# Quarantine -----------------------------------------------------------------------------------------------------------

_QUARANTINE = "26-quarantine"
_NAME = f"忻府区2024年学校（经办{PHONE}）.xlsx"


def _quarantined_home(folder: Path) -> tuple[Home, str]:
    """A home with a good file and a quarantined one, published; and the quarantined submission."""
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    (folder / "好.xlsx").write_bytes(Draft("school").xlsx())
    deliver(home, XINFU.code, folder / "好.xlsx", name="好.xlsx", modified=1_728_000_000)
    draft = _draft()
    content = _with_parts(draft.xlsx(), {"docProps/note.txt": f"经办 {IDENTITY}"})
    (folder / "坏.xlsx").write_bytes(content)
    deliver(home, XINFU.code, folder / "坏.xlsx", name=_NAME, modified=1_728_000_100)
    update(home)
    (submission_id,) = [one.submission_id for one in RawStore(home.raw) if one.first.personal]
    return home, submission_id


def _told_anywhere(home: Home) -> list[str]:
    """Files of the home, bytes in raw/ and the inbox aside, in which a number stands whole."""
    return [
        path.relative_to(home.root).as_posix()
        for path in home.root.rglob("*")
        if path.is_file()
        and "counties" not in path.parts
        and not (path.parent.parent.name == "submissions" and not path.suffix)
        and any(number.encode() in path.read_bytes() for number in (PHONE, IDENTITY))
    ]


@case(_QUARANTINE, "who can read a quarantined file, and where its numbers stand", slow=True)
def closed(folder: Path) -> Outcome:
    home, submission_id = _quarantined_home(folder)
    mode = stat.S_IMODE(RawStore(home.raw).path(submission_id).stat().st_mode)
    told = _told_anywhere(home)
    ((verdict, name),) = rows(
        home, "SELECT verdict, file_name FROM marts.mart_filing_version WHERE submission_id = $1", submission_id
    )
    right = mode == 0o400 and not told and verdict == "rejected" and PHONE not in name
    return Outcome(f"{verdict}, mode {mode:04o}, numbers stand whole in {told or 'no other file'}", right)


@case(_QUARANTINE, "erase a quarantined file, rebuild, verify, and send it once more", slow=True)
def erased(folder: Path) -> Outcome:
    home, submission_id = _quarantined_home(folder)
    store = RawStore(home.raw)
    before, manifest = marts_content(home), list(ReleaseLog(home))[-1]
    try:
        with home.writing():
            (good,) = [one.submission_id for one in store if not one.first.personal]
            erase(home, good, by="市局甲", reason="试")
    except EraseRefused:
        pass
    else:
        return Outcome("a good file was erased", right=False)
    with home.writing():
        erase(home, submission_id, by="市局甲", reason="含身份证号")
    entry = store.get(submission_id)
    receipts = [json.loads(path.read_bytes()) for path in home.outbox.rglob("*_回执.json")]
    told = [one["erased"] for one in receipts if one["submission_id"] == submission_id]
    with home.writing():
        remove_build(home)
    update(home)
    same = marts_content(home) == before
    holds = verify(home, manifest).holds
    # The same bytes under another name and in a zip.
    deliver(home, XINFU.code, folder / "坏.xlsx", name="又一份.xlsx", modified=1_728_100_000)
    with zipfile.ZipFile(folder / "包.zip", "w") as archive:
        archive.write(folder / "坏.xlsx", "坏.xlsx")
        archive.write(folder / "好.xlsx", "好.xlsx")
    deliver(home, XINFU.code, folder / "包.zip", name="包.zip", modified=1_728_100_001)
    again = collect(home, home.municipality.counties[0])
    shutil.rmtree(home.private / "sources")
    collect(home, home.municipality.counties[0])
    kept = [path for path in home.raw.rglob("*") if path.is_file() and IDENTITY.encode() in _unpacked(path)]
    right = (
        bool(
            entry and entry.erased and entry.erased.by == "市局甲" and told and told[0] and same and holds and not kept
        )
        and any("又一份" in line for line in again.left)
        and any("包.zip" in line for line in again.passed_over)
    )
    words = (
        f"erased with who and why; receipt says so: {bool(told and told[0])}; rebuilt alike: {same}; "
        f"verify holds: {holds}; kept again: {len(kept)}; told: {again.left + again.passed_over}"
    )
    return Outcome(words, right)


@case(_QUARANTINE, "erased files among others at a rebuild, in a zip with news, with a record that nobody can read")
def erased_among_others(folder: Path) -> Outcome:
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    content = _with_parts(_draft().xlsx(), {"docProps/note.txt": f"经办 {IDENTITY}"})
    members = {"坏.xlsx": content, "好.xlsx": Draft("school").xlsx()}
    (folder / "坏.xlsx").write_bytes(content)
    with zipfile.ZipFile(folder / "包.zip", "w") as archive:
        for name, of_it in members.items():
            archive.writestr(name, of_it)
    deliver(home, XINFU.code, folder / "坏.xlsx", name="坏.xlsx", modified=1_728_000_000)
    store, county, accepted = RawStore(home.raw), home.municipality.counties[0], []

    def landed() -> None:
        collect(home, county)
        with home.writing():
            faults.append(land_new(home).faults)
            with open_build_database(home) as connection:
                ((accepted_n,),) = connection.execute("SELECT count(*) FROM landing.filing_in_force").fetchall()
        accepted.append(accepted_n)

    faults: list[dict[str, str]] = []
    landed()
    (entry,) = store
    with home.writing():
        erase(home, entry.submission_id, by="市局甲", reason="含身份证号")
    deliver(home, XINFU.code, folder / "包.zip", name="包.zip", modified=1_728_000_100)
    landed()
    with home.writing():
        remove_build(home)
    landed()
    sidecar = store.path(entry.submission_id).with_suffix(".json")
    record = json.loads(sidecar.read_bytes())
    record["erased"]["screening"]["findings"][0]["of another version"] = 1
    sidecar.write_text(json.dumps(record), encoding="utf-8")
    with home.writing():
        remove_build(home)
    landed()
    told = [list(one) for one in faults]
    right = told == [[], [], [], [entry.submission_id]] and accepted == [0, 1, 1, 1]
    return Outcome(f"in force: {accepted}; faults: {[len(one) for one in faults]}", right)


@case(_QUARANTINE, "erase a file whose bytes are gone, or others")
def erased_without_bytes(folder: Path) -> Outcome:
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    (folder / "坏.xlsx").write_bytes(_with_parts(_draft().xlsx(), {"docProps/note.txt": f"经办 {IDENTITY}"}))
    deliver(home, XINFU.code, folder / "坏.xlsx", name="坏.xlsx", modified=1_728_000_000)
    collect(home, home.municipality.counties[0])
    (entry,) = RawStore(home.raw)
    original = RawStore(home.raw).path(entry.submission_id)
    told = []
    for damage in (lambda: (original.chmod(0o600), original.write_bytes(b"x")), original.unlink):
        damage()
        try:
            with home.writing():
                erase(home, entry.submission_id, by="市局甲", reason="含身份证号")
        except EraseRefused as refused:
            told.append(str(refused))
    return Outcome("; ".join(told), len(told) == 2 and all("从备份恢复" in one for one in told))


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [archive.read(member) for member in archive.infolist()]
    inner = [part for part in parts if part.startswith(b"PK")]
    for part in inner:
        with zipfile.ZipFile(io.BytesIO(part)) as archive:
            parts += [archive.read(member) for member in archive.infolist()]
    return b"".join(parts)
