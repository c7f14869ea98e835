"""One pass of expat over an XML part, whatever way it is written. Entities are refused: a few lines of them unfold to gigabytes.

Names are compared with their namespace, whatever its prefix: what an extension calls by the same word is another thing. A document type
is refused in every part of a package, also in those that nobody here reads (`Prolog`): others open the file after us.
"""

import io
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from pipelines.workbooks.second_reading.cells import Contradiction

_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"


class Walk:
    """One pass of expat over a part, handing on what it collected at the end of each piece read.

    `namespaces`: those whose names `start` and `end` get, bare; a name without any counts as one of theirs. Attributes keep their
    namespace before a `}`. Elements of other namespaces are passed over with all that is in them, or (`looks_into_foreign`)
    without. Of alternatives the fallback is taken: the others are for who knows more.
    """

    namespaces: frozenset[str] = frozenset()
    looks_into_foreign = False

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.EntityDeclHandler = self._entity
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.text
        self.found: list[Any] = []
        self._foreign_depth = 0

    @staticmethod
    def _entity(*_: Any) -> None:
        raise Contradiction("XML 含有实体定义（DTD）")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._foreign_depth:
            self._foreign_depth += 1
            return
        namespace, _, local = name.rpartition("}")
        if not namespace or namespace in self.namespaces:
            self.start(local, attributes)
        elif (namespace == _COMPATIBILITY and local == "Choice") or not (
            namespace == _COMPATIBILITY or self.looks_into_foreign
        ):
            self._foreign_depth = 1
            self.parser.CharacterDataHandler = None

    def _end(self, name: str) -> None:
        if self._foreign_depth:
            self._foreign_depth -= 1
            if not self._foreign_depth:
                self.parser.CharacterDataHandler = self.text
            return
        namespace, _, local = name.rpartition("}")
        if not namespace or namespace in self.namespaces:
            self.end(local)

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, text: str) -> None: ...

    def over(self, content: bytes) -> Iterator[Any]:
        stream = io.BytesIO(content)
        try:
            while piece := stream.read(1 << 16):
                self.parser.Parse(piece, False)
                yield from self.found
                self.found.clear()
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Contradiction(malformed(error)) from error
        except (ValueError, LookupError) as error:
            if "encoding" not in str(error):
                raise
            raise Contradiction("XML 不合格（文字编码无法识别）") from error
        yield from self.found


_DECLARED = re.compile(rb"""encoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
_BLANKS = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"
#: Document types that declare nothing and that well-known programs write: of pictures, of OpenOffice's lists of macros and toolbars.
_HARMLESS = ("-//W3C//DTD SVG ", "-//OpenOffice.org//DTD ")


class Prolog:
    """Watches a part of a package, piece by piece, up to its first element. Raises Contradiction at a document type.

    Expat reads what comes before the first element, in whatever encoding; where it cannot, the bytes are searched.
    """

    def __init__(self, name: str) -> None:
        self.name, self.is_over = name, False
        self._is_first = True
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._element

    def feed(self, piece: bytes) -> None:
        if self._is_first:
            self._is_first = False
            is_called_xml = self.name.lower().endswith((".xml", ".rels", ".vml", ".rdf", ".xhtml"))
            self.is_over = not is_called_xml and not piece.lstrip(_BLANKS).startswith(b"<")
        if self.is_over:
            return
        try:
            self._parser.Parse(piece, False)
        except (expat.ExpatError, ValueError, LookupError):
            self.is_over = True
            if b"<!DOCTYPE" in piece.replace(b"\0", b"") or "<!DOCTYPE" in _declared_text(piece):
                raise self._refused() from None

    def _element(self, *_: Any) -> None:
        self.is_over = True
        self._parser.StartElementHandler = None

    def _doctype(self, _: str, __: str | None, public: str | None, has_subset: bool) -> None:
        if has_subset or not (public or "").startswith(_HARMLESS):
            raise self._refused()

    def _refused(self) -> Contradiction:
        return Contradiction(f"XML 含有实体定义（DTD），在 {self.name}")


def _declared_text(piece: bytes) -> str:
    """A piece by the encoding that it names, where Python knows it and expat does not."""
    if piece.startswith(b"\x4c\x6f\xa7\x94"):  # <?xm in EBCDIC
        return piece.decode("cp037", "ignore")
    declared = _DECLARED.search(piece[:200])
    try:
        return piece.decode(declared[1].decode(), "ignore") if declared else ""
    except (LookupError, ValueError):
        return ""


def malformed(error: expat.ExpatError) -> str:
    """Where an XML part stops being one."""
    return f"XML 不合格（第 {error.lineno} 行第 {error.offset + 1} 个字符处）"
