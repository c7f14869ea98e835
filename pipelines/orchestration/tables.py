"""Tables in what Dagster is told: Markdown that its pages show, whatever a county has written into it.

Belongs here: escaping and the cap. What stands in a table is the business of the assets.
"""

import re
from collections.abc import Sequence
from html import escape

import dagster as dg

#: Rows that a table shows; Dagster keeps metadata in its own database for ever.
SHOWN_ROWS = 50
_LONGEST = 300
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], *, total: int | None = None
) -> dg.MarkdownMetadataValue:
    """A table as Markdown. `total`: how many rows there are in all, where `rows` are the first of them."""
    total = len(rows) if total is None else total
    if not rows:
        return dg.MetadataValue.md("（无）")
    lines = [_line(heads), "|" + "---|" * len(heads), *map(_line, rows[:SHOWN_ROWS])]
    if total > min(len(rows), SHOWN_ROWS):
        lines += ["", f"共 {total} 条，列出前 {min(len(rows), SHOWN_ROWS)} 条。"]
    return dg.MetadataValue.md("\n".join(lines))


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value: object) -> str:
    """One cell's text: on one line, of bounded length, nothing in it taken for markup."""
    plain = "" if value is None else str(value)
    plain = " ".join("".join(character if character.isprintable() else " " for character in plain).split())
    plain = plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
    return escape(_MARKS.sub(r"\\\1", plain), quote=False)
