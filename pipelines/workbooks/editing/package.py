"""An OOXML package that is edited so that every byte which nobody edits stays as it is.

Belongs here: parts, relations and content types. The workbook part, a sheet and its notes are `sheets`, the style sheet
is `styles`; what is marked and what is said stands in `annotated`.

Why not openpyxl: it reads a workbook into its own model and writes that model back. Charts, images, pivot tables, form
controls, slicers, rich text, extension lists (drop-downs that point at another sheet) and the cached values of formulas
do not survive, and a return whose formulas lost their values screens as empty. Here a part that is not edited is
copied, and of an edited sheet only the tags concerned change, so a value can neither be lost nor altered; the parts
around the sheets are trees (`trees`). The price: what cannot be edited safely (strict OOXML, a DOCTYPE, a damaged
package) is refused with `NotEditable`, and the caller answers in another way.
"""

import io
import re
import zipfile
from collections.abc import Callable
from typing import IO
from xml.etree.ElementTree import Element
from xml.parsers import expat
from xml.sax.saxutils import escape

from pipelines.workbooks.editing.trees import MAIN, OFFICE, NotEditable, Tree
from pipelines.workbooks.second_reading.package import target_part

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_RELATION = f"{{{_PACKAGE}/relationships}}Relationship"
_TYPES = f"{{{_PACKAGE}/content-types}}"
_CONTENT_TYPES = "[Content_Types].xml"
WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
#: Fixed, so that the same input gives the same bytes.
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)
_OPAQUE = re.compile(r"<!--.*?-->|<!\[CDATA\[(.*?)\]\]>", re.S)


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
        text = _OPAQUE.sub(lambda match: escape(match[1]) if match[1] is not None else "", text)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise NotEditable(f"部件 {name} 含有实体声明")
        return text

    def tree(self, name: str) -> Tree:
        """An XML part as a tree; to be handed to `write` when it was changed."""
        return Tree(self.read(name), name)

    def write(self, name: str, part: str | Tree) -> None:
        text = part if isinstance(part, str) else part.xml()
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
        folder, slash, name = part.rpartition("/")
        return f"{folder}{slash}_rels/{name}.rels"

    def relations(self, part: str) -> list[Relation]:
        """The relations of a part ("" for the package itself)."""
        name = self._relations_name(part)
        return [Relation(found.attrib) for found in self.tree(name).root.iter(_RELATION)] if name in self else []

    def write_relations(self, part: str, relations: list[Relation]) -> None:
        name = self._relations_name(part)
        tree = Tree(f'<Relationships xmlns="{_PACKAGE}/relationships"/>'.encode(), name)
        tree.root.extend(Element(_RELATION, relation) for relation in relations)
        self.write(name, tree)

    def relate(self, part: str, kind: str, target: str) -> str:
        """Add a relation from a part to another; returns its id."""
        relations = self.relations(part)
        taken = {relation.get("Id") for relation in relations}
        number = len(relations) + 1
        while f"rId{number}" in taken:
            number += 1
        relations.append(Relation(Id=f"rId{number}", Type=f"{OFFICE}/{kind}", Target=f"/{target}"))
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
        """Declare the content type of a part, or of an extension that has none."""
        tree = self.tree(_CONTENT_TYPES)
        if extension:
            defaults = {default.get("Extension", "").lower() for default in tree.root.iter(f"{_TYPES}Default")}
            if extension in defaults:
                return
            tree.root.insert(0, Element(f"{_TYPES}Default", Extension=extension, ContentType=content_type))
        else:
            self._forget_type(tree, part or "")
            tree.root.insert(0, Element(f"{_TYPES}Override", PartName=f"/{part}", ContentType=content_type))
        self.write(_CONTENT_TYPES, tree)

    @staticmethod
    def _forget_type(tree: Tree, part: str) -> None:
        for override in tree.root.findall(f"{_TYPES}Override"):
            if override.get("PartName", "").lower() == f"/{part}".lower():
                tree.root.remove(override)

    def remove(self, part: str) -> None:
        """Drop a part with its relations and its content type."""
        for name in (self._relations_name(part), part):
            self._members.pop(name, None)
            self._edited.pop(name, None)
        tree = self.tree(_CONTENT_TYPES)
        self._forget_type(tree, part)
        self.write(_CONTENT_TYPES, tree)

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
        names.sort(key=lambda name: name != _CONTENT_TYPES)
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
    package.write(_CONTENT_TYPES, f'<Types xmlns="{_PACKAGE}/content-types"></Types>')
    package.set_type(None, "application/vnd.openxmlformats-package.relationships+xml", "rels")
    package.set_type(None, "application/xml", "xml")
    package.write("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets></sheets></workbook>')
    package.set_type("xl/workbook.xml", WORKBOOK_TYPE)
    package.relate("", "officeDocument", "xl/workbook.xml")
    return package
