"""One pass of expat over an XML part, whatever way it is written. Entities are refused: a few lines of them unfold to gigabytes.

Names are compared with their namespace, whatever its prefix: what an extension calls by the same word is another thing.
"""

import io
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from pipelines.screening.second_reading.cells import Contradiction

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


def malformed(error: expat.ExpatError) -> str:
    """Where an XML part stops being one."""
    return f"XML 不合格（第 {error.lineno} 行第 {error.offset + 1} 个字符处）"
