"""One pass of expat over an XML part, whatever way it is written. Entities are refused: a few lines of them unfold to gigabytes."""

import io
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from pipelines.screening.second_reading.cells import Contradiction


class Walk:
    """One pass of expat over a part, handing on what it collected at the end of each piece read."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.EntityDeclHandler = self._entity
        self.parser.StartElementHandler = lambda name, attributes: self.start(name.rpartition("}")[2], attributes)
        self.parser.EndElementHandler = lambda name: self.end(name.rpartition("}")[2])
        self.parser.CharacterDataHandler = self.text
        self.found: list[Any] = []

    @staticmethod
    def _entity(*_: Any) -> None:
        raise Contradiction("XML 含有实体定义（DTD）")

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
            raise Contradiction(f"XML 不合格（{error}）") from error
        yield from self.found
