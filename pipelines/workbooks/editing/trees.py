"""XML parts of a package as trees: names with their namespaces, written again with the prefixes that they came with.

Belongs here: reading a part, writing it, and text as XML takes it. Not here: what a part means; and no cells of a
sheet, which are edited as text (`sheets` says why).

Why the standard library and a writer of our own: its own writer renames prefixes and drops the declarations that only
`mc:Ignorable` needs, after which Excel takes a workbook for damaged. A document type is refused, so no entity is ever
defined or fetched.
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
XML = "http://www.w3.org/XML/1998/namespace"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE_LIKE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_IN_ATTRIBUTES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


class NotEditable(Exception):
    """The package is no workbook that can be edited without risk to what it holds; the message says why, in Chinese."""


def xml_text(text: str) -> str:
    """Text of a cell or note as element content: escaped, without what XML or Excel's own `_x0041_` escapes would
    change."""
    plain = _NOT_XML.sub(" ", text).replace("\r\n", "\n").replace("\r", "\n")
    return escape(_ESCAPE_LIKE.sub("_x005F_", plain))


def quoted(text: str) -> str:
    """Text as an attribute value, without its quotes."""
    return escape(_NOT_XML.sub(" ", text), _IN_ATTRIBUTES | {"\r": "&#10;"})


def main(name: str) -> str:
    """The name of an element of a workbook, with its namespace."""
    return f"{{{MAIN}}}{name}"


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def fragment(xml: str) -> Element:
    """An element of ours, written without prefixes, in the namespace of workbooks."""
    return ElementTree.fromstring(f'<of xmlns="{MAIN}">{xml}</of>')[0]  # noqa: S314 - our own text


class _Builder(ElementTree.TreeBuilder):
    """Elements, and the (prefix, namespace) that the part declares. Comments and instructions are dropped."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.declared: list[tuple[str, str]] = []

    def start_ns(self, prefix: str | None, namespace: str | None) -> None:
        self.declared.append((prefix or "", namespace or ""))

    def doctype(self, *_: str | None) -> None:
        raise NotEditable(f"部件 {self.part} 含有实体声明")


class Tree:
    """One part: `root`, to be changed in place, and `xml()` to write it. Raises NotEditable for what is no XML or
    declares entities."""

    def __init__(self, content: bytes, part: str) -> None:
        builder = _Builder(part)
        try:
            parser = ElementTree.XMLParser(target=builder)  # noqa: S314 - the builder refuses document types
            parser.feed(content)
            self.root: Element = parser.close()
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise NotEditable(f"部件 {part} 的 XML 不合格") from error
        # A prefix means one namespace in what is written: whatever is declared further in is declared at the root.
        self._declared: dict[str, str] = {}
        for prefix, namespace in builder.declared:
            self._declared.setdefault(prefix, namespace)
        self._names: dict[tuple[str, bool], str] = {}

    def xml(self) -> str:
        """The part as text, without the declaration that precedes it."""
        body, name = self._written(self.root), self._name(self.root.tag, is_attribute=False)
        declared = "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{quoted(namespace)}"'
            for prefix, namespace in self._declared.items()
        )
        return f"<{name}{declared}{body[1 + len(name) :]}"

    def _written(self, element: Element) -> str:
        name = self._name(element.tag, is_attribute=False)
        attributes = "".join(
            f' {self._name(key, is_attribute=True)}="{escape(value, _IN_ATTRIBUTES)}"'
            for key, value in element.attrib.items()
        )
        inner = _content(element.text) + "".join(self._written(child) + _content(child.tail) for child in element)
        return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"

    def _name(self, qualified: str, *, is_attribute: bool) -> str:
        known = self._names.get((qualified, is_attribute))
        if known is None:
            namespace, _, local = qualified[1:].rpartition("}") if qualified[0] == "{" else ("", "", qualified)
            prefix = self._prefix(namespace, is_attribute=is_attribute)
            known = self._names[(qualified, is_attribute)] = f"{prefix}:{local}" if prefix else local
        return known

    def _prefix(self, namespace: str, *, is_attribute: bool) -> str:
        if namespace == XML:
            return "xml"
        if not namespace:
            if not is_attribute and self._declared.get(""):
                raise NotEditable("部件内的元素没有命名空间")
            return ""
        for prefix, declared in self._declared.items():
            if declared == namespace and (prefix or not is_attribute):
                return prefix
        prefix = next(name for number in range(1, 1000) if (name := f"ns{number}") not in self._declared)
        self._declared[prefix] = namespace
        return prefix


def _content(text: str | None) -> str:
    return escape(text, {"\r": "&#13;"}) if text else ""
