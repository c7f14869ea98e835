"""Files that are no workbook and no CSV are told by name, with what to do; CSV that cannot be parted into columns by its line."""

import io
import re
import struct
import zipfile

import olefile
import pytest
from builders import SETTINGS, Draft, csv_bytes, submission

from pipelines.screening.screen import screen
from pipelines.workbooks.reader import read_file
from pipelines.workbooks.workbook import Refusal, Workbook

ROWS = Draft("enrolment").grid()


def zipped(**parts: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return target.getvalue()


def dbase() -> bytes:
    fields = b"XXMC".ljust(11, b"\0") + b"C" + bytes(4) + bytes([20]) + bytes(15)
    header = struct.pack("<4BIHH20x", 3, 124, 9, 1, 2, 32 + len(fields) + 1, 21) + fields + b"\r"
    return header + b" " + "南关小学".encode("gbk").ljust(20) + b" " + b"x".ljust(20) + b"\x1a"


def ole(stream: str) -> bytes:
    """The smallest container with one stream of that name."""
    name = stream.encode("utf-16-le")

    def entry(name: bytes, kind: int, child: int, start: int, size: int) -> bytes:
        return (
            name.ljust(64, b"\0") + struct.pack("<HBBiii", len(name) + 2, kind, 1, -1, -1, child) + bytes(36)
            + struct.pack("<iQ", start, size)
        )  # fmt: skip

    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIiIIiIiI", 0, 1, 1, 0, 4096, -2, 0, -2, 0) + struct.pack("<i", 0) + b"\xff" * 108 * 4
    fat = struct.pack("<4i", -3, -2, -2, -1).ljust(512, b"\xff")
    root = entry("Root Entry".encode("utf-16-le"), 5, 1, -2, 0) + entry(name, 2, -1, 2, 4096) + bytes(256)
    return header[:512] + fat + root + bytes(4096)


XML = '<?xml version="1.0"?>\n'
KINDS: dict[str, tuple[bytes, str, str]] = {
    "学生.slk": (b"ID;PWXL;N;E\r\nC;Y1;X1;K1\r\nE\r\n", "FILE-0-type", "SYLK"),
    "学生.csv": ("ID;P\r\nC;Y1;X1;K\"学校\"\r\nE\r\n".encode("gbk"), "FILE-0-type", "SYLK"),
    "学生.dif": (b'TABLE\r\n0,1\r\n"EXCEL"\r\nVECTORS\r\n0,2\r\n""\r\n', "FILE-0-type", "DIF"),
    "学生.xls": (
        f'{XML}<?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>'.encode(),
        "FILE-0-type", "XML 电子表格 2003",
    ),
    "学生2.xls": (b"\xef\xbb\xbf  <html><table><tr><td>1</td></tr></table></html>", "FILE-0-type", "网页（HTML）"),
    "学生3.xls": (
        b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\nContent-Type: multipart/related; boundary=\"x\"\r\n\r\n--x\r\n",
        "FILE-0-type", "MHTML",
    ),
    "学生4.xls": (b"\x09\x00\x04\x00\x07\x00\x10\x00", "FILE-0-type", "Excel 2"),
    "学生.fods": (
        f'{XML}<office:document xmlns:office="urn:o" office:mimetype="application/vnd.oasis.opendocument.spreadsheet"/>'.encode(),
        "FILE-0-type", ".fods",
    ),
    "学生.uos": (f'{XML}<uof:UOF xmlns:uof="http://schemas.uof.org/cn/2009/uof"/>'.encode(), "FILE-0-type", "UOF"),
    "学生.xml": (f"{XML}<data/>".encode(), "FILE-0-type", "XML"),
    "学生.wk1": (b"\x00\x00\x02\x00\x06\x04\x06\x00\x08\x00" + bytes(8), "FILE-0-type", "Lotus"),
    "学生.wks": (b"\xff\x00\x02\x00\x04\x04\x05\x54", "FILE-0-type", "Works"),
    "学生.dbf": (dbase(), "FILE-0-type", "dBase"),
    "学生.numbers": (zipped(Index__Document_dot_iwa=b"x", Index__CalculationEngine_dot_iwa=b"x"), "FILE-0-type", "Numbers"),
    "学生.mdb": (b"\x00\x01\x00\x00Standard Jet DB\x00" + bytes(99), "FILE-0-type", "Access"),
    "说明.doc": (ole("WordDocument"), "FILE-0-no-table", "Word"),
    "说明.xls": (ole("PowerPoint Document"), "FILE-0-no-table", "演示文稿"),
    "说明.docx": (
        zipped(
            _rels___dot_rels=b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            b'<Relationship Id="a" Type="x/officeDocument" Target="word/document.xml"/></Relationships>',
            word__document_dot_xml=b"<w/>", word__embeddings__a_dot_xlsx=b"x",
        ),
        "FILE-0-no-table", "Word",
    ),
    "说明.xlsx": (zipped(ppt__presentation_dot_xml=b"<p/>", _rels___dot_rels=b"<x/>"), "FILE-0-no-table", "演示文稿"),
    "说明.odt": (
        zipped(mimetype=b"application/vnd.oasis.opendocument.text", META__x=b"", content=b""), "FILE-0-no-table", "ODT",
    ),
    "说明.ofd": (zipped(OFD_dot_xml=b"<ofd/>"), "FILE-0-no-table", "OFD"),
    "说明.rtf": (b"{\\rtf1\\ansi", "FILE-0-no-table", "RTF"),
    "扫描.pdf": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "FILE-0-no-table", "PDF"),
    "照片.xlsx": (b"\x89PNG\r\n\x1a\n\0\0", "FILE-0-no-table", "图片（PNG）"),
    "照片.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "FILE-0-no-table", "图片（JPEG）"),
    "学生 - 快捷方式.lnk": (b"L\x00\x00\x00\x01\x14\x02\x00" + bytes(60), "FILE-0-no-table", "快捷方式"),
    "转发.eml": (
        b"From: a@b\r\nSubject: =?gbk?B?x+s=?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n", "FILE-0-no-table", "邮件",
    ),
    "全部.rar": (b"Rar!\x1a\x07\x01\x00", "FILE-0-archive", "rar"),
    "全部.xlsx": (b"7z\xbc\xaf\x27\x1c\x00\x04", "FILE-0-archive", "7z"),
}  # fmt: skip


def read(tmp_path, name: str, content: bytes) -> Workbook | Refusal:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_file(path, name, max_bytes=1 << 24, max_cells=100_000)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_format_is_told_by_name_with_what_to_do(tmp_path, name):
    content, rule, words = KINDS[name]
    outcome = read(tmp_path, name, content)
    assert isinstance(outcome, Refusal), outcome
    assert (outcome.rule_id, words in outcome.detail) == (rule, True), outcome
    (finding,) = screen([submission(tmp_path, name, content)], SETTINGS).findings
    assert words in finding.message and finding.remedy
    told = re.sub(r"“[^”]*”", "", finding.message + finding.remedy)
    assert not re.search(r"\b(?:nan|None|Error|error|expected|failed|not)\b", told), finding


def test_the_container_made_here_is_one(tmp_path):
    path = tmp_path / "x.doc"
    path.write_bytes(ole("WordDocument"))
    with olefile.OleFileIO(str(path)) as container:
        assert container.listdir() == [["WordDocument"]]


@pytest.mark.parametrize("first", ["MZ,1", "BM,1", "L,2", "PK,3", "GIF,1", "TABLE,0", "ID,P", "From: 县局"])
def test_text_that_merely_begins_like_another_format_is_read(tmp_path, first):
    outcome = read(tmp_path, "x.csv", csv_bytes([[first], *ROWS]))
    assert isinstance(outcome, Workbook) and len(outcome.sheets[0].rows) == len(ROWS) + 1


@pytest.mark.parametrize(
    ("separator", "told"),
    [
        (";", "分号（;）"),
        ("|", "竖线（|）"),
        ("，", "中文逗号（，）"),
        ("；", "中文分号（；）"),
        ("｜", "全角竖线（｜）"),
    ],
)
@pytest.mark.parametrize("return_code", ["enrolment", "civil_servant_pay", "population"])
def test_a_separator_that_is_not_read_is_named(tmp_path, separator, told, return_code):
    grid = [*Draft(return_code).grid(), ["注：县城区，含、街道，不含乡镇"], ['“引号",与逗号']]
    content = csv_bytes(grid, "gb18030", separator)
    (finding,) = screen([submission(tmp_path, "报表.csv", content)], SETTINGS).findings
    assert (finding.rule_id, told in finding.message) == ("FILE-0-separator", True)
    assert "分列" in finding.remedy


def test_commas_within_numbers_part_no_columns_where_something_else_does(tmp_path):
    rows = [
        ["学校", *(f"列{n}" for n in range(6))],
        *[[f"学校{n}", *(f"{n * k},5" for k in range(n % 6 + 1)), *"xyzuvw"][:7] for n in range(9)],
    ]
    outcome = read(tmp_path, "x.csv", "\n".join(";".join(row) for row in rows).encode())
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-separator"


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_commas_and_tabs_part_columns_whatever_stands_in_the_notes(tmp_path, delimiter):
    draft = Draft("enrolment")
    draft.notes += [["注：一；二；三；四"]] * 6 + [["注：口径|甲|乙|丙，丁，戊，己"]] * 6
    result = screen([submission(tmp_path, "报表.csv", draft.csv(delimiter=delimiter))], SETTINGS)
    assert [(filing.verdict, filing.rows_n) for filing in result.filings] == [("accepted", len(draft.rows))]


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("remark", ["甲、乙、丙", "甲;乙;丙", "一；二；三", "5、6、7"])
def test_two_columns_are_parted_by_one_comma_or_tab(tmp_path, delimiter, remark):
    rows = [["学校", "说明"], *([f"第{number}小学", remark] for number in range(6))]
    outcome = read(tmp_path, "x.csv", csv_bytes(rows, delimiter=delimiter))
    assert isinstance(outcome, Workbook) and outcome.sheets[0].rows[1] == ["第0小学", remark]


def test_a_decimal_comma_in_each_line_parts_no_columns(tmp_path):
    rows = ["学校;人数;金额", *(f"第{number}小学;{number};{number},5" for number in range(9))]
    outcome = read(tmp_path, "x.csv", "\n".join(rows).encode())
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-separator"


def test_running_text_is_no_table_of_some_separator(tmp_path):
    lines = ["说明" + "，请按时报送" * number for number in range(2, 12)] + [
        "一、二、三",
        "甲、乙、丙、丁",
        "子、丑、寅、卯、辰",
    ]
    outcome = read(tmp_path, "说明.txt", "\n".join(lines).encode())
    assert isinstance(outcome, Workbook)


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ('a,b\nc,"d\ne,f\n', "FILE-0-quotes", "第 2 行有一个英文双引号"),
        ('a,b\nc,"d"e\n', "FILE-0-quotes", '第 2 行在成对的英文双引号（"）之后还有文字'),
        ('a,b\n"c\nd"e,f\n', "FILE-0-quotes", '第 3 行在成对的英文双引号（"）之后还有文字（这一栏从第 2 行开始）'),
        ('"x\ny",b\nc,"d\ne,f\n', "FILE-0-quotes", "第 3 行有一个英文双引号"),
        ("a,b\n" + "长" * 140_000 + ",c\n", "FILE-0-limits", "第 2 行有一栏超过"),
    ],
)
def test_what_is_wrong_with_a_line_of_csv_is_told_at_the_line(tmp_path, text, rule, words):
    outcome = read(tmp_path, "报表.csv", text.encode())
    assert isinstance(outcome, Refusal) and outcome.rule_id == rule
    assert words in outcome.detail and not re.search("[A-Za-z]{4}", outcome.detail), outcome
