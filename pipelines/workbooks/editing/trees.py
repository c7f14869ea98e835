"""XML parts of a package as trees: names with their namespaces, written again with the prefixes that they came with.

Belongs here: reading a part, writing it, and text as XML takes it. Not here: what a part means; and no cells of a
sheet, which are edited as text (`sheets` says why).

Why the standard library and a writer of our own: its own writer renames prefixes and drops the declarations that only
`mc:Ignorable` needs, after which Excel takes a workbook for damaged. A document type is refused, so no entity is ever
defined or fetched.
"""

import re
from dataclasses import dataclass, field
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
    """Elements, with what they declare (`xmlns…`) among their attributes. Comments and instructions are dropped."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.prefixes: set[str] = set()
        self._declared: dict[str, str] = {}

    def start_ns(self, prefix: str | None, namespace: str | None) -> None:
        self.prefixes.add(prefix or "")
        self._declared[f"xmlns:{prefix}" if prefix else "xmlns"] = namespace or ""

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        if self._declared:
            attributes, self._declared = attributes | self._declared, {}
        return super().start(tag, attributes)

    def doctype(self, *_: str | None) -> None:
        raise NotEditable(f"部件 {self.part} 含有实体声明")


@dataclass
class _Scope:
    """The namespaces of the prefixes that hold within an element, and names already written with them."""

    namespaces: dict[str, str]
    names: dict[tuple[str, bool], str] = field(default_factory=dict)


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
        self._prefixes = builder.prefixes

    def xml(self) -> str:
        """The part as text, without the declaration that precedes it."""
        added: dict[str, str] = {}
        written = self._written(self.root, _Scope({}), added)
        for prefix, namespace in added.items():
            name = re.match(r"<[^\s/>]+", written)
            assert name
            written = f'{name[0]} xmlns:{prefix}="{quoted(namespace)}"{written[name.end() :]}'
        return written

    def _written(self, element: Element, scope: _Scope, added: dict[str, str]) -> str:
        declared = {key[6:]: value for key, value in element.attrib.items() if key.startswith("xmlns")}
        if declared:
            scope = _Scope(scope.namespaces | declared)
        name = self._name(element.tag, scope, added, is_attribute=False)
        attributes = "".join(
            f' {self._name(key, scope, added, is_attribute=True)}="{escape(value, _IN_ATTRIBUTES)}"'
            for key, value in element.attrib.items()
        )
        inner = _content(element.text)
        inner += "".join(self._written(child, scope, added) + _content(child.tail) for child in element)
        return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"

    def _name(self, qualified: str, scope: _Scope, added: dict[str, str], *, is_attribute: bool) -> str:
        known = scope.names.get((qualified, is_attribute))
        if known is None:
            namespace, _, local = qualified[1:].rpartition("}") if qualified[0] == "{" else ("", "", qualified)
            prefix = self._prefix(namespace, scope, added, is_attribute=is_attribute)
            known = scope.names[(qualified, is_attribute)] = f"{prefix}:{local}" if prefix else local
        return known

    def _prefix(self, namespace: str, scope: _Scope, added: dict[str, str], *, is_attribute: bool) -> str:
        if namespace == XML:
            return "xml"
        if not namespace:
            if not is_attribute and scope.namespaces.get(""):
                raise NotEditable("部件内的元素没有命名空间")
            return ""
        for prefix, declared in (scope.namespaces | added).items():
            if declared == namespace and (prefix or not is_attribute):
                return prefix
        prefix = next(name for number in range(1, 1000) if (name := f"ns{number}") not in self._prefixes | added.keys())
        added[prefix] = namespace
        return prefix


def _content(text: str | None) -> str:
    return escape(text, {"\r": "&#13;"}) if text else ""
