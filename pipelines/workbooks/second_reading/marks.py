"""Runs of a text that are raised, lowered or struck out: characters of which a reader of values sees no more than that they are there.

Belongs here: what the marks are called, and how a text with marked runs is written out. Where a format keeps its fonts and runs is
the business of that format's module.
"""

from collections.abc import Iterable, Sequence

from pipelines.workbooks.workbook import LOWERED, RAISED, STRUCK

#: How much of the text before, between and after marked runs is repeated, and of a text in all.
_BESIDE, _LONGEST = 40, 200

#: The runs of a text: each with its mark, blank for none, None for that of the cell's own font.
Runs = tuple[tuple[str, str | None], ...]


def mark_of(*, struck: bool, raised: bool, lowered: bool) -> str:
    """The mark of a font, blank for a plain one; what is crossed out is that first of all."""
    return STRUCK if struck else RAISED if raised else LOWERED if lowered else ""


def marked_text(runs: Iterable[tuple[str, str | None]], of_cell: str = "") -> str:
    """The text with its marked runs named, `7[上标 1]`; blank when no run that shows anything is marked.

    `of_cell`: the mark of the cell's own font.
    """
    pieces: list[tuple[list[str], str]] = []
    for text, own in runs:
        mark = of_cell if own is None else own
        if pieces and (pieces[-1][1] == mark or not text.strip()):
            pieces[-1][0].append(text)
        elif text:
            pieces.append(([text], mark))
    joined = [("".join(texts), mark) for texts, mark in pieces]
    if not any(mark and text.strip() for text, mark in joined):
        return ""
    shown = ""
    for number, (text, mark) in enumerate(joined):
        if mark and text.strip():
            shown += f"[{mark} {text[:_BESIDE].strip()}]"
        elif len(text) <= _BESIDE:
            shown += text
        else:
            half = _BESIDE // 2
            shown += ("" if number == 0 else text[:half]) + "…" + ("" if number == len(joined) - 1 else text[-half:])
        if len(shown) > _LONGEST:
            return shown[: _LONGEST - 1] + "…"
    return shown


def counted_runs(text: str, fonts: Sequence[tuple[int, str]], encoding: str = "utf-16-le", width: int = 2) -> Runs:
    """The runs of a text of which is told at which character a font begins, and its mark: what stands before is in the cell's own.

    `encoding`, `width`: in what the characters are counted, and the bytes of each.
    """
    units = text.encode(encoding, "surrogatepass" if width == 2 else "replace")
    starts = [0, *(width * start for start, _ in fonts), len(units)]
    marks = [None, *(mark for _, mark in fonts)]
    return tuple(
        (units[first : max(first, last)].decode(encoding, "replace"), mark)
        for first, last, mark in zip(starts, starts[1:], marks, strict=False)
    )


class SharedTexts(list[str]):
    """The shared texts of a workbook. `runs`: of those, by number, of which a run is marked."""

    def __init__(self, texts: Iterable[str] = (), runs: dict[int, Runs] | None = None) -> None:
        super().__init__(texts)
        self.runs = runs or {}
        self._told: dict[tuple[int, str], str] = {}

    def marked(self, number: int, of_cell: str) -> str:
        """What is marked in a cell that holds this text, `of_cell` being the mark of the cell's own font; blank: nothing."""
        runs = self.runs.get(number)
        if runs is None:
            return of_cell
        # Many cells may hold one long text: it is gone through once.
        if (number, of_cell) not in self._told:
            self._told[(number, of_cell)] = marked_text(runs, of_cell)
        return self._told[(number, of_cell)]
