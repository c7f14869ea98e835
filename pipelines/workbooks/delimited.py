"""Rows of a text file with separators (CSV): its encoding, what parts its columns, and what is wrong with its quotes.

Belongs here: text that is read as it stands, or refused with the line. Commas and tabs part columns; any other separator is named
and refused, for what it parts in one file stands within a value in the next. Light on purpose (standard library only).
"""

import csv
import io
import re
from collections import Counter
from pathlib import Path

from pipelines.characters import is_blank
from pipelines.workbooks.file_kinds import refused_by_text
from pipelines.workbooks.workbook import Refusal, Sheet, Workbook

_WORKBOOK_NAMES = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".et"}
#: What else may part columns, and what it is called.
_OTHER_SEPARATORS = {
    ";": "分号（;）", "|": "竖线（|）", "，": "中文逗号（，）", "；": "中文分号（；）", "｜": "全角竖线（｜）", "、": "顿号（、）",
    "^": "脱字符（^）", "~": "波浪号（~）",
}  # fmt: skip
_WITHIN_A_NUMBER = re.compile(r"(?<=[0-9]),(?=[0-9])")
#: So much of a file tells what parts its columns.
_SAMPLE, _SAMPLE_LINES = 1 << 16, 200


def read_text(path: Path, name: str, *, max_cells: int) -> Workbook | Refusal:
    """The one sheet of a text file, which the county called `name`."""
    return table_of(path.read_bytes(), name, max_cells=max_cells)


def table_of(content: bytes, name: str, *, max_cells: int) -> Workbook | Refusal:
    """As `read_text`, of what stands in the file."""
    decoded = _decode(content)
    if isinstance(decoded, Refusal):
        return decoded
    text, encoding = decoded
    refusal = refused_by_text(text, name)
    if refusal:
        return refusal
    if Path(name).suffix.lower() in _WORKBOOK_NAMES:
        return Refusal("FILE-0-type", f"内容是纯文本，文件名却是“{name}”")
    other = _other_separator(text)
    if other:
        return Refusal("FILE-0-separator", other)
    first_lines = text[:8192]
    delimiter = "\t" if first_lines.count("\t") > first_lines.count(",") else ","
    rows: list[list[str | None]] = []
    cells = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begun = 0
    try:
        for row in reader:
            begun = reader.line_num
            cells += len(row)
            if cells > max_cells:
                return Refusal("FILE-0-limits", f"单元格超过 {max_cells:,} 个")
            rows.append([None if is_blank(value) else value for value in row])
    except csv.Error as error:
        return _broken(str(error), begun + 1, reader.line_num)
    return Workbook("csv", [Sheet("", rows)], encoding)


def plain_text(content: bytes) -> str:
    """A text whether or not a table can be made of it; blank where it is none."""
    decoded = _decode(content)
    return "" if isinstance(decoded, Refusal) else decoded[0]


def _broken(error: str, first: int, last: int) -> Refusal:
    """What is wrong with a row that begins on line `first` and was read until line `last`, both from 1."""
    if "field limit" in error:
        return Refusal(
            "FILE-0-limits", f"第 {first} 行有一栏超过 {csv.field_size_limit():,} 个字符（可能是引号没有成对）"
        )
    if "end of data" in error:
        return Refusal("FILE-0-quotes", f'第 {first} 行有一个英文双引号（"）没有与它成对的另一个，此后的内容无法分栏')
    if "expected after" in error:
        begun = f"（这一栏从第 {first} 行开始）" if first != last else ""
        return Refusal("FILE-0-quotes", f'第 {last} 行在成对的英文双引号（"）之后还有文字{begun}')
    return Refusal("FILE-0-quotes", f"第 {last} 行无法分栏")


def _other_separator(text: str) -> str | None:
    """What the columns of a text are parted by, in words, if plainly by something else than commas or tabs."""
    sample = text[:_SAMPLE]
    lines = [line for line in re.sub(r'"[^"\n]*"', "", sample).splitlines() if line.strip()][:_SAMPLE_LINES]

    def alike(separator: str, least: int = 2, pieces: list[str] = lines) -> tuple[int, int]:
        """Lines that have the same number of a separator, the most of them; and lines that have `least` of it."""
        counts = [count for line in pieces if (count := line.count(separator)) >= least]
        return (Counter(counts).most_common(1)[0][1] if counts else 0), len(counts)

    # Two columns have one comma or tab, which is then none within a number.
    usual = max(alike(",")[0], alike("\t", 1)[0], alike(",", 1, [_WITHIN_A_NUMBER.sub("", line) for line in lines])[0])
    found: list[tuple[int, str]] = []
    for separator, told in _OTHER_SEPARATORS.items():
        # The lines of a table have the same number of columns; those of a running text have not.
        alike_n, lines_n = alike(separator)
        if alike_n >= 3 and alike_n > 2 * usual and 2 * alike_n >= lines_n:
            found.append((alike_n, told))
    return max(found)[1] if found else None


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
            return Refusal("FILE-0-type", "内容是不认识的二进制数据")
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
