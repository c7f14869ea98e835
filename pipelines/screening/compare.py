"""What changed between two versions of a filing: cell by cell, by the key of the row rather than by where it stands.

Belongs here: reading two submissions alike and holding them against each other. Rejected versions are compared too: they are read
from their bytes, not from what was landed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.characters import folded, folded_name
from pipelines.intake.submission import Submission
from pipelines.returns import ReturnDefinition
from pipelines.screening.findings import shown, signed
from pipelines.screening.identify import Table
from pipelines.screening.screen import look_at
from pipelines.screening.settings import ScreenSettings
from pipelines.screening.tabulate import tabulate
from pipelines.workbooks.workbook import Refusal, cell_address

#: What a total row is known by.
_TOTAL = "合计"


class NotComparable(ValueError):
    """A version cannot be read, or does not hold the filing; the message says which and why (Chinese)."""


@dataclass(frozen=True)
class ChangedCell:
    """One cell that differs. `change`: changed, or row_added / row_removed for a row that only one version has (then no cell).

    `difference`: new less old, where both are numbers.
    """

    change: str
    subject: str
    row_label: str
    column_label: str
    old_text: str
    new_text: str
    old_cell: str
    new_cell: str
    difference: str


@dataclass(frozen=True)
class _Row:
    values: dict[str, Any]
    label: str
    cells: dict[str, str]


def changed_cells(
    old: Submission, new: Submission, settings: ScreenSettings, slot: tuple[str, str, str]
) -> list[ChangedCell]:
    """The cells of the filing (return, county, period) that differ, in the order of the rows' keys. Raises NotComparable."""
    outcomes = look_at((old, new), settings)
    filings = []
    for submission, outcome in zip((old, new), outcomes, strict=True):
        if isinstance(outcome, Refusal):
            raise NotComparable(f"{submission.file_name} 读不出来：{outcome.detail}")
        mine = next((tables for tables, _ in outcome.filings if tables[0].slot == slot), None)
        if mine is None:
            raise NotComparable(f"{submission.file_name} 里没有这份填报。")
        filings.append(mine)
    before, after = (_rows(parts) for parts in filings)
    return list(_compared(filings[1][0].definition, before, after))


def _rows(tables: Sequence[Table]) -> dict[str, _Row]:
    """Subject → the row, total rows too. A key that stands twice is told apart by its turn.

    Of a filing on several sheets a cell names its own.
    """
    defined = tables[0].definition
    several = len({table.sheet.name for table in tables}) > 1
    rows: dict[str, _Row] = {}
    repeats: Counter[str] = Counter()
    for row in tabulate(defined, list(enumerate(tables))).iter_rows(named=True):
        table = tables[row["entry"]]
        sheet = f"{table.sheet.name}!" if several else ""
        if row["is_total"]:
            group = [
                folded(row[f"{name}__text"] or "") for name in (defined.total_row.per if defined.total_row else ())
            ]
            key = "/".join([_TOTAL, *filter(None, group)])
        else:
            key = table.key_of(row["source_row"] - 1)
        subject = key
        while subject in rows:
            repeats[key] += 1
            subject = f"{key}（第 {repeats[key] + 1} 行）"
        cells = {name: sheet + cell_address(row["source_row"] - 1, index) for name, index in table.columns.items()}
        label = "" if row["is_total"] else folded_name(row[f"{defined.row_label}__text"] or "")
        rows[subject] = _Row(row, label, cells)
    return rows


def _compared(defined: ReturnDefinition, before: dict[str, _Row], after: dict[str, _Row]) -> Iterable[ChangedCell]:
    for subject in sorted({*before, *after}):
        old, new = before.get(subject), after.get(subject)
        whole = ChangedCell("", shown(subject), shown((new or old or _Row({}, "", {})).label), "", "", "", "", "", "")
        if old is None or new is None:
            yield replace(whole, change="row_added" if old is None else "row_removed")
            continue
        # Of a total row only its sums are judged.
        for column in defined.sum_columns if old.values["is_total"] else defined.columns:
            old_state, new_state = (one.values.get(f"{column.name}__state") for one in (old, new))
            was, now = old.values.get(column.name), new.values.get(column.name)
            texts = [shown((one.values.get(f"{column.name}__text") or "").strip()) for one in (old, new)]
            # The same number written otherwise (1,234 for 1234) is no change; what could not be read is compared as text.
            if was == now and (was is not None or (old_state == new_state and texts[0] == texts[1])):
                continue
            comparable = column.is_number and was is not None and now is not None
            yield replace(
                whole,
                change="changed",
                column_label=column.label,
                old_text=texts[0],
                new_text=texts[1],
                old_cell=old.cells.get(column.name, ""),
                new_cell=new.cells.get(column.name, ""),
                difference=signed(now - was, column.decimal_places) if comparable else "",  # type: ignore[operator]
            )
