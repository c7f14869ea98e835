"""Edits inside an OOXML workbook that leave every other byte of it alone.

Belongs here: the package (parts, relations, content types), and text-level edits of a workbook, its styles, a sheet and its notes.
What is marked and what is said stands in `annotated`.

Why not openpyxl: it reads a workbook into its own model and writes that model back. Charts, images, pivot tables, form controls,
slicers, rich text, extension lists (drop-downs that point at another sheet) and the cached values of formulas do not survive, and
a return whose formulas lost their values screens as empty. Here a part that is not edited is copied, and of an edited sheet only
the tags concerned change, so a value can neither be lost nor altered. The price: what cannot be edited safely (strict OOXML, a
DOCTYPE, a damaged package) is refused with `NotEditable`, and the caller answers in another way.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO
from xml.parsers import expat
from xml.sax.saxutils import escape as _escape
from xml.sax.saxutils import unescape as _unescape

from pipelines.workbooks.second_reading.package import target_part

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
#: Fixed, so that the same input gives the same bytes.
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)
_ATTRIBUTE = re.compile(r"([^\s=<>/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ANY_TAG = re.compile(r"<(/?)([A-Za-z_][^\s/>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_OPAQUE = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>", re.S)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE_LIKE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class NotEditable(Exception):
    """The package is no workbook that can be edited without risk to what it holds; the message says why, in Chinese."""


# Text and tags --------------------------------------------------------------------------------------------------------


def xml_text(text: str) -> str:
    """Text of a cell or note as element content: escaped, without what XML or Excel's own `_x0041_` escapes would change."""
    plain = _NOT_XML.sub(" ", text).replace("\r\n", "\n").replace("\r", "\n")
    return _escape(_ESCAPE_LIKE.sub("_x005F_", plain))


def quoted(text: str) -> str:
    """Text as an attribute value, without its quotes."""
    return _escape(_NOT_XML.sub(" ", text), {'"': "&quot;", "\n": "&#10;", "\r": "&#10;", "\t": "&#9;"})


def plain(text: str) -> str:
    """Element content or attribute value back as text."""
    text = re.sub(r"&#(x[0-9A-Fa-f]+|\d+);", _character, text)
    return _unescape(text, {"&quot;": '"', "&apos;": "'"})


def _character(match: re.Match[str]) -> str:
    code = int(match[1][1:], 16) if match[1].startswith("x") else int(match[1])
    return chr(code) if 0 < code < 0x110000 else ""


def attributes(tag: str) -> dict[str, str]:
    """The attributes of a start tag, unescaped."""
    return {
        match[1]: plain(match[2] if match[2] is not None else match[3])
        for match in _ATTRIBUTE.finditer(tag, tag.find(" ") if " " in tag else len(tag))
    }


def with_attribute(tag: str, name: str, value: str | None) -> str:
    """A start tag with one attribute set; None takes it away."""
    bare = re.sub(rf"\s{re.escape(name)}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", tag)
    if value is None:
        return bare
    end = "/>" if bare.endswith("/>") else ">"
    return f'{bare[: -len(end)].rstrip()} {name}="{quoted(value)}"{end}'


def tag_pattern(name: str, prefix: str) -> re.Pattern[str]:
    """Start tags of one element name, attribute values holding `>` included."""
    return re.compile(rf"<{prefix}{name}(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")


def elements(text: str, name: str, prefix: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each element of a name that never holds another of the same name."""
    end_tag = f"</{prefix}{name}>"
    position = 0
    pattern = tag_pattern(name, prefix)
    while match := pattern.search(text, position):
        position = match.end()
        if not match[0].endswith("/>"):
            position = text.find(end_tag, position) + len(end_tag)
            if position < len(end_tag):
                raise NotEditable(f"{name} 元素没有结束")
        yield match.start(), position


def children(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """(local name, start, end) of each element at the top level between two positions."""
    found: list[tuple[str, int, int]] = []
    depth, opened = 0, 0
    for match in _ANY_TAG.finditer(text, start, end):
        if match[1]:
            depth -= 1
            if depth == 0:
                found.append((match[2].rpartition(":")[2], opened, match.end()))
        else:
            if depth == 0:
                opened = match.start()
            if match[3].endswith("/"):
                if depth == 0:
                    found.append((match[2].rpartition(":")[2], opened, match.end()))
            else:
                depth += 1
        if depth < 0:
            break
    return found


# The package ----------------------------------------------------------------------------------------------------------


class Relation(dict[str, str]):
    """Id, Type, Target and TargetMode of one relation."""

    @property
    def kind(self) -> str:
        return self.get("Type", "").rpartition("/")[2]


class Package:
    """A zip of parts. Parts that nobody edits are copied as they are when it is saved."""

    def __init__(self, source: IO[bytes] | None = None) -> None:
        self._archive = zipfile.ZipFile(source) if source else None
        self._members: dict[str, str] = {}
        self._edited: dict[str, bytes] = {}
        if self._archive:
            for member in self._archive.infolist():
                name = member.filename.replace("\\", "/").lstrip("/")
                if name.endswith("/"):
                    continue
                if name in self._members or member.flag_bits & 1:
                    raise NotEditable("压缩包内有重名或加密的部件")
                self._members[name] = member.filename

    def names(self) -> list[str]:
        return [*self._members, *(name for name in self._edited if name not in self._members)]

    def __contains__(self, name: str) -> bool:
        return name in self._members or name in self._edited

    def read(self, name: str) -> bytes:
        if name in self._edited:
            return self._edited[name]
        if self._archive is None or name not in self._members:
            raise NotEditable(f"缺少部件 {name}")
        return self._archive.read(self._members[name])

    def text(self, name: str) -> str:
        """An XML part as text, comments and CDATA sections resolved; what declares entities is refused."""
        content = self.read(name)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = content.decode("utf-16")
        else:
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise NotEditable(f"部件 {name} 不是 UTF-8 编码") from error
            declared = re.match(r"<\?xml[^>]*encoding\s*=\s*[\"']([^\"']+)", text)
            if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
                raise NotEditable(f"部件 {name} 不是 UTF-8 编码")
        text = re.sub(r"^\s*<\?xml[^>]*\?>\s*", "", text)
        text = _OPAQUE.sub(lambda match: _escape(match[1]) if match[1] is not None else "", text)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise NotEditable(f"部件 {name} 含有实体声明")
        return text

    def write(self, name: str, text: str) -> None:
        self._edited[name] = ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text).encode()

    def write_bytes(self, name: str, content: bytes) -> None:
        self._edited[name] = content

    def free_name(self, pattern: str) -> tuple[str, int]:
        """The first name of a pattern such as `xl/worksheets/sheet{}.xml` that no part has, and its number."""
        taken = {name.lower() for name in self.names()}
        number = 1
        while pattern.format(number).lower() in taken:
            number += 1
        return pattern.format(number), number

    # Relations and content types

    @staticmethod
    def _relations_name(part: str) -> str:
        path = PurePosixPath(part)
        folder = "" if str(path.parent) == "." else f"{path.parent}/"
        return f"{folder}_rels/{path.name}.rels"

    def relations(self, part: str) -> list[Relation]:
        """The relations of a part ("" for the package itself)."""
        name = self._relations_name(part) if part else "_rels/.rels"
        if name not in self:
            return []
        return [
            Relation(attributes(match[0]))
            for match in re.finditer(r"<(?:\w+:)?Relationship\s(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", self.text(name))
        ]

    def write_relations(self, part: str, relations: list[Relation]) -> None:
        name = self._relations_name(part) if part else "_rels/.rels"
        lines = "".join(
            "<Relationship " + " ".join(f'{key}="{quoted(value)}"' for key, value in relation.items()) + "/>"
            for relation in relations
        )
        self.write(name, f'<Relationships xmlns="{_PACKAGE}/relationships">{lines}</Relationships>')

    def relate(self, part: str, kind: str, target: str) -> str:
        """Add a relation from a part to another; returns its id."""
        relations = self.relations(part)
        taken = {relation.get("Id") for relation in relations}
        number = len(relations) + 1
        while f"rId{number}" in taken:
            number += 1
        relations.append(Relation(Id=f"rId{number}", Type=f"{RELATIONS}/{kind}", Target=f"/{target}"))
        self.write_relations(part, relations)
        return f"rId{number}"

    def unrelate(self, part: str, unwanted: Callable[[Relation], bool]) -> list[str]:
        """Take relations away; returns the parts that they pointed at."""
        relations = self.relations(part)
        gone = [relation for relation in relations if unwanted(relation)]
        if gone:
            self.write_relations(part, [relation for relation in relations if relation not in gone])
        return [self.target(part, relation) for relation in gone if relation.get("TargetMode") != "External"]

    @staticmethod
    def target(part: str, relation: Relation) -> str:
        """The name of the part that a relation points at."""
        return target_part(part, relation.get("Target", ""))

    def set_type(self, part: str | None, content_type: str, extension: str | None = None) -> None:
        """Declare the content type of a part, or of an extension."""
        text = self.text("[Content_Types].xml")
        head = re.search(r"<((?:\w+:)?)Types\b[^>]*>", text)
        if head is None:
            raise NotEditable("缺少内容类型清单")
        text = self._without_type(text, part) if part else text
        if extension and re.search(rf"<(?:\w+:)?Default\s[^>]*Extension=[\"']{extension}[\"']", text, re.I):
            return
        entry = (
            f'<{head[1]}Override PartName="/{quoted(part)}" ContentType="{content_type}"/>'
            if part
            else f'<{head[1]}Default Extension="{extension}" ContentType="{content_type}"/>'
        )
        self.write("[Content_Types].xml", text[: head.end()] + entry + text[head.end() :])

    @staticmethod
    def _without_type(text: str, part: str) -> str:
        return re.sub(
            rf"<(?:\w+:)?Override\s[^>]*PartName=[\"']/{re.escape(quoted(part))}[\"'][^>]*>", "", text, flags=re.I
        )

    def remove(self, part: str) -> None:
        """Drop a part with its relations and its content type."""
        for name in (self._relations_name(part), part):
            self._members.pop(name, None)
            self._edited.pop(name, None)
        self.write("[Content_Types].xml", self._without_type(self.text("[Content_Types].xml"), part))

    def check(self) -> None:
        """Every edited XML part must be well-formed: what is not was broken before, or by us, and must not go out."""
        for name, content in self._edited.items():
            if name.endswith((".xml", ".rels")):
                try:
                    # No part that is edited declares entities: `text` refuses those that do.
                    expat.ParserCreate(namespace_separator=" ").Parse(content, True)
                except expat.ExpatError as error:
                    raise NotEditable(f"部件 {name} 的 XML 不合格") from error

    def save(self) -> bytes:
        target = io.BytesIO()
        names = self.names()
        names.sort(key=lambda name: name != "[Content_Types].xml")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name in names:
                member = zipfile.ZipInfo(name, _MEMBER_DATE)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 0
                archive.writestr(member, self.read(name))
        return target.getvalue()


def new_package() -> Package:
    """An empty workbook, to which sheets are added."""
    package = Package()
    package.write("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types"></Types>')
    package.set_type(None, "application/vnd.openxmlformats-package.relationships+xml", "rels")
    package.set_type(None, "application/xml", "xml")
    package.write("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets></sheets></workbook>')
    package.set_type("xl/workbook.xml", WORKBOOK_TYPE)
    package.relate("", "officeDocument", "xl/workbook.xml")
    return package


# Styles ---------------------------------------------------------------------------------------------------------------

_EMPTY_STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="宋体"/><charset val="134"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="常规" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_COLOUR = r"(?:rgb=[0-9A-Fa-f]{6,8}|theme=\d{1,3}|indexed=\d{1,3}|auto=1)(?: tint=-?[0-9.eE+-]{1,24})?"
_FILL_NOTE = re.compile(rf"(?P<type>[a-zA-Z0-9]{{1,20}})(?: fg\((?P<fg>{_COLOUR})\))?(?: bg\((?P<bg>{_COLOUR})\))?")


class Styles:
    """The style sheet of a workbook. Only ever appended to: no index that a cell of the county holds changes its meaning."""

    def __init__(self, text: str = _EMPTY_STYLES) -> None:
        root = re.search(r"<((?:\w+:)?)styleSheet\b[^>]*>", text)
        if root is None:
            raise NotEditable("样式表无法识别")
        self.prefix = root[1]
        self._text = text
        self._lists = {name: self._list(name, child) for name, child in
                       (("fonts", "font"), ("fills", "fill"), ("borders", "border"), ("cellXfs", "xf"))}  # fmt: skip
        if not self._lists["cellXfs"]:
            raise NotEditable("样式表没有单元格格式")
        self._sizes = {name: len(items) for name, items in self._lists.items()}
        self._known: dict[tuple[str, str], int] = {}

    def _span(self, name: str) -> tuple[int, int] | None:
        root = tag_pattern("styleSheet", self.prefix).search(self._text)
        assert root
        return next(
            ((start, end) for child, start, end in children(self._text, root.end(), len(self._text)) if child == name),
            None,
        )

    def _list(self, name: str, child: str) -> list[str]:
        span = self._span(name)
        if span is None:
            raise NotEditable("样式表不完整")
        inner = self._text[slice(*span)]
        head = _ANY_TAG.match(inner)
        assert head
        return [inner[start:end] for found, start, end in children(inner, head.end(), len(inner)) if found == child]

    def _add(self, name: str, xml: str) -> int:
        known = self._known.get((name, xml))
        if known is None:
            self._lists[name].append(re.sub(r"<(/?)(?=[A-Za-z])", rf"<\g<1>{self.prefix}", xml))
            known = self._known[(name, xml)] = len(self._lists[name]) - 1
        return known

    def font(self, *, size: float = 10, bold: bool = False, colour: str = "FF1F2933", underline: bool = False) -> int:
        marks = ("<b/>" if bold else "") + ("<u/>" if underline else "")
        return self._add(
            "fonts",
            f'<font>{marks}<sz val="{size:g}"/><color rgb="{colour}"/><name val="微软雅黑"/><family val="2"/><charset val="134"/></font>',
        )

    def solid(self, colour: str) -> int:
        return self._add(
            "fills",
            f'<fill><patternFill patternType="solid"><fgColor rgb="{colour}"/><bgColor indexed="64"/></patternFill></fill>',
        )

    def border(self, colour: str) -> int:
        sides = "".join(
            f'<{side} style="thin"><color rgb="{colour}"/></{side}>' for side in ("left", "right", "top", "bottom")
        )
        return self._add("borders", f"<border>{sides}<diagonal/></border>")

    def cell(
        self,
        *,
        font: int,
        fill: int = 0,
        border: int = 0,
        horizontal: str = "left",
        vertical: str = "top",
        locked: bool = True,
    ) -> int:
        """A format of ours for text (number format 49: a text stays a text when the clerk edits it)."""
        protection = "" if locked else '<protection locked="0"/>'
        return self._add(
            "cellXfs",
            f'<xf numFmtId="49" fontId="{font}" fillId="{fill}" borderId="{border}" xfId="0" applyNumberFormat="1" applyFont="1" '
            f'applyFill="1" applyBorder="1" applyAlignment="1" applyProtection="1">'
            f'<alignment horizontal="{horizontal}" vertical="{vertical}" wrapText="1"/>{protection}</xf>',
        )

    def with_fill(self, style: int, fill: int) -> int:
        """The same format with another fill."""
        xf = self._lists["cellXfs"][style if 0 <= style < len(self._lists["cellXfs"]) else 0]
        known = self._known.get((f"fill {fill}", xf))
        if known is None:
            head = _ANY_TAG.match(xf)
            assert head
            tag = with_attribute(with_attribute(head[0], "fillId", str(fill)), "applyFill", "1")
            self._lists["cellXfs"].append(tag + xf[head.end() :])
            known = self._known[(f"fill {fill}", xf)] = len(self._lists["cellXfs"]) - 1
        return known

    def fill_of(self, style: int) -> int:
        formats = self._lists["cellXfs"]
        head = _ANY_TAG.match(formats[style if 0 <= style < len(formats) else 0])
        number = attributes(head[0]).get("fillId", "0") if head else "0"
        return int(number) if number.isdigit() else 0

    def styles_filled(self, colours: frozenset[str]) -> frozenset[int]:
        """The formats that are filled solid in one of these colours (ARGB)."""
        fills = set()
        for index, fill in enumerate(self._lists["fills"]):
            found = re.search(r"fgColor\s[^>]*rgb=[\"']([0-9A-Fa-f]{6,8})[\"']", fill)
            if found and "solid" in fill and found[1].upper().rjust(8, "F") in colours:
                fills.add(index)
        return frozenset(index for index in range(len(self._lists["cellXfs"])) if self.fill_of(index) in fills)

    def fill_note(self, style: int) -> str:
        """The fill of a format in words that `fill_from_note` understands, "" for none and for gradients."""
        number = self.fill_of(style)
        fill = self._lists["fills"][number] if number < len(self._lists["fills"]) else ""
        pattern = re.search(r"patternType=[\"'](\w+)[\"']", fill)
        if pattern is None or pattern[1] == "none":
            return ""
        note = pattern[1]
        for short, name in (("fg", "fgColor"), ("bg", "bgColor")):
            tag = tag_pattern(name, self.prefix).search(fill)
            if tag:
                given = attributes(tag[0])
                wanted = [f"{key}={given[key]}" for key in ("rgb", "theme", "indexed", "auto") if key in given][:1]
                wanted += [f"tint={given['tint']}"] if wanted and "tint" in given else []
                note += f" {short}({' '.join(wanted)})" if wanted else ""
        return note if _FILL_NOTE.fullmatch(note) else ""

    def fill_from_note(self, note: str) -> int:
        """The fill that a note describes; a note comes back from a county, so what is not of the expected form is no fill."""
        match = _FILL_NOTE.fullmatch(note)
        if match is None:
            return 0
        colours = ""
        for name, given in (("fgColor", match["fg"]), ("bgColor", match["bg"])):
            if given:
                pairs = (pair.split("=", 1) for pair in given.split(" "))
                colours += f"<{name} " + " ".join(f'{key}="{value}"' for key, value in pairs) + "/>"
        return self._add("fills", f'<fill><patternFill patternType="{match["type"]}">{colours}</patternFill></fill>')

    def xml(self) -> str:
        for name, items in self._lists.items():
            added = items[self._sizes[name] :]
            span = self._span(name)
            if not added or span is None:
                continue
            inner = self._text[slice(*span)]
            head = _ANY_TAG.match(inner)
            assert head
            tag = with_attribute(head[0], "count", str(len(items)))
            end = f"</{self.prefix}{name}>"
            whole = tag + inner[head.end() : -len(end)] + "".join(added) + end
            self._text = self._text[: span[0]] + whole + self._text[span[1] :]
            self._sizes[name] = len(items)
        return self._text
