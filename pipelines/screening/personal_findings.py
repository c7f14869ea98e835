"""What was found of persons in a file, as observations: at its cell, or with the place besides the cells.

Belongs here: the names of files, which the reading process does not know, and telling a misspelt code from a telephone. What is of a
person at all is `personal_data`'s business.
"""

from collections.abc import Iterable, Iterator, Sequence

from pipelines.characters import folded, is_digits
from pipelines.screening.identify import Observation, Table, data_table
from pipelines.workbooks.personal_data import PHONE, Found, Where, mask_personal, search
from pipelines.workbooks.workbook import Workbook


def personal_observations(personal: Iterable[Found], file_names: Iterable[str] = ()) -> Iterator[Observation]:
    """One observation a place and kind, anywhere in the file, hidden sheets and names included."""
    for rule_id, value, _ in search((Where(place="文件名"), name) for name in sorted(set(file_names))):
        yield Observation(rule_id, value=value, detail="文件名中")
    for rule_id, value, where in personal:
        is_cell = not where.place
        yield Observation(
            rule_id,
            where.sheet if where.place != "工作表名" else mask_personal(where.sheet),
            where.row,
            where.column,
            value=value,
            detail="" if is_cell else f"{where.place}中",
        )


def without_misspelt_codes(
    observations: Iterable[Observation], workbook: Workbook, tables: Sequence[Table]
) -> list[Observation]:
    """The observations without the "mobile numbers" that are a code of the county's own with a digit too many.

    A column with a fixed pattern refuses such a cell by its own rule, which tells the clerk what is really wrong.
    """
    sheets = {sheet.name: sheet for sheet in workbook.sheets}
    table_at = data_table(tables)

    def is_code(observation: Observation) -> bool:
        row, column = observation.row, observation.column
        if observation.rule_id != PHONE or observation.detail or row is None or column is None:
            return False
        text = folded(sheets[observation.sheet].cell(row, column) or "")
        table = table_at(observation.sheet, row)
        name = next((name for name, place in table.columns.items() if place == column), None) if table else None
        if table is None or name is None or not table.county_code:
            return False
        return bool(table.definition.column(name).pattern) and is_digits(text) and text.startswith(table.county_code)

    return [observation for observation in observations if not is_code(observation)]
