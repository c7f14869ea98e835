"""The style sheet of a workbook: formats that are added for our marks, and fills told in words so that they can be
given back.

Belongs here: the part `styles.xml`. Which cell gets which format is `annotated`'s business.
"""

import copy
import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pipelines.workbooks.editing.trees import MAIN, NotEditable, Tree, fragment, main

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
    """The style sheet of a workbook. Only ever appended to: no index that a cell of the county holds changes its
    meaning.

    Raises NotEditable for one without its lists.
    """

    def __init__(self, tree: Tree | None = None) -> None:
        self.tree = tree or Tree(_EMPTY_STYLES.encode(), "xl/styles.xml")
        if self.tree.root.tag != main("styleSheet"):
            raise NotEditable("样式表无法识别")
        self._lists: dict[str, Element] = {}
        self._items: dict[str, list[Element]] = {}
        for name, child in (("fonts", "font"), ("fills", "fill"), ("borders", "border"), ("cellXfs", "xf")):
            found = self.tree.root.find(main(name))
            if found is None:
                raise NotEditable("样式表不完整")
            self._lists[name], self._items[name] = found, found.findall(main(child))
        if not self._items["cellXfs"]:
            raise NotEditable("样式表没有单元格格式")
        self._known: dict[tuple[str, str], int] = {}

    def _append(self, name: str, item: Element, known_as: tuple[str, str]) -> int:
        items = self._items[name]
        items.append(item)
        self._lists[name].append(item)
        self._lists[name].set("count", str(len(items)))
        self._known[known_as] = len(items) - 1
        return len(items) - 1

    def _add(self, name: str, xml: str) -> int:
        known = self._known.get((name, xml))
        return self._append(name, fragment(xml), (name, xml)) if known is None else known

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

    def _format(self, style: int) -> Element:
        formats = self._items["cellXfs"]
        return formats[style if 0 <= style < len(formats) else 0]

    def with_fill(self, style: int, fill: int) -> int:
        """The same format with another fill."""
        known_as = (f"fill {fill}", ElementTree.tostring(self._format(style), encoding="unicode"))
        if known_as in self._known:
            return self._known[known_as]
        xf = copy.deepcopy(self._format(style))
        xf.set("fillId", str(fill))
        xf.set("applyFill", "1")
        return self._append("cellXfs", xf, known_as)

    def fill_of(self, style: int) -> int:
        number = self._format(style).get("fillId", "0")
        return int(number) if number.isdigit() else 0

    def styles_filled(self, colours: frozenset[str]) -> frozenset[int]:
        """The formats that are filled solid in one of these colours (ARGB)."""
        fills = set()
        for index, fill in enumerate(self._items["fills"]):
            pattern = fill.find(main("patternFill"))
            colour = pattern.find(main("fgColor")) if pattern is not None else None
            is_solid = pattern is not None and pattern.get("patternType") == "solid"
            if is_solid and colour is not None and colour.get("rgb", "").upper().rjust(8, "F") in colours:
                fills.add(index)
        return frozenset(index for index in range(len(self._items["cellXfs"])) if self.fill_of(index) in fills)

    def fill_note(self, style: int) -> str:
        """The fill of a format in words that `fill_from_note` understands, "" for none and for gradients."""
        number, fills = self.fill_of(style), self._items["fills"]
        pattern = fills[number].find(main("patternFill")) if number < len(fills) else None
        if pattern is None or pattern.get("patternType", "none") == "none":
            return ""
        note = pattern.get("patternType", "")
        for short, name in (("fg", "fgColor"), ("bg", "bgColor")):
            colour = pattern.find(main(name))
            if colour is not None:
                wanted = [
                    f"{key}={colour.get(key)}" for key in ("rgb", "theme", "indexed", "auto") if key in colour.attrib
                ][:1]
                wanted += [f"tint={colour.get('tint')}"] if wanted and "tint" in colour.attrib else []
                note += f" {short}({' '.join(wanted)})" if wanted else ""
        return note if _FILL_NOTE.fullmatch(note) else ""

    def fill_from_note(self, note: str) -> int:
        """The fill that a note describes; a note comes back from a county, so what is not of the expected form is no
        fill."""
        match = _FILL_NOTE.fullmatch(note)
        if match is None:
            return 0
        colours = ""
        for name, given in (("fgColor", match["fg"]), ("bgColor", match["bg"])):
            if given:
                pairs = (pair.split("=", 1) for pair in given.split(" "))
                colours += f"<{name} " + " ".join(f'{key}="{value}"' for key, value in pairs) + "/>"
        return self._add("fills", f'<fill><patternFill patternType="{match["type"]}">{colours}</patternFill></fill>')
