"""Which return, county and period a file holds, and where: read from the content, never from the file name.

Belongs here: finding tables (a header that a definition knows, the rows under it) and reading covers. The result is a
`Table` a return found, with every cell's place kept, and what was wrong as `Observation`s: a rule id and a place. What the
rule says stands in `expectations/file.yaml`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from pipelines.characters import folded, folded_name, is_digits, visible
from pipelines.municipality import CountyName
from pipelines.periods import Period, PeriodType, read_period_in_name, read_period_label
from pipelines.returns import (
    ReturnDefinition,
    all_definitions,
    declared_units,
    normalise_label,
    reference_on,
    split_unit,
)
from pipelines.rule_files import read_once
from pipelines.screening.rows import (
    SIGN_OFF_ROLES,
    RowCount,
    RowKind,
    RowsUnaccounted,
    account,
    is_remark,
    leave_unfilled,
    row_numbers,
    sort_rows,
)
from pipelines.screening.units import asked_instead, units_said
from pipelines.workbooks.workbook import (
    FINDINGS_SHEET,
    METADATA_SHEET,
    NOTES_SHEET,
    QUOTE_PREFIX,
    REPLY_LABEL,
    TOKEN_LABEL,
    Sheet,
    Workbook,
    cell_address,
    next_filled,
)

#: Columns that counties add to any form; they carry nothing that is loaded.
IGNORED_LABELS = frozenset(["备注", "序号", "行次", "说明", "编号", "县区", "填报单位", "报告期"])
_HEADER_SEARCH_ROWS = 60
_COVER_SEARCH_ROWS = 60
_COVER_LINES = 8
_HEADER_DEPTH = 3
# A header is one when it holds this share of a form's required columns; a form that its cover names needs only a few.
_HEADER_SHARE = 0.5
_HEADER_SHARE_WHEN_NAMED = 0.2

_COVER_KEYS = {
    "form": ("表号",),
    "county": ("填报单位", "填报县区", "填报县(市、区)", "县(市、区)", "县区", "填报地区"),
    "county_code": ("行政区划代码", "区划代码", "县区代码"),
    "period": ("报告期", "报表期", "所属期", "统计时间", "报告时期"),
}
_COVER_KEY = {key: name for name, keys in _COVER_KEYS.items() for key in keys}
_COVER_PAIR = re.compile(
    "(?P<key>" + "|".join(sorted(map(re.escape, _COVER_KEY), key=len, reverse=True)) + r"):(?P<value>[^:]*?)"
    r"(?=(?:" + "|".join(map(re.escape, _COVER_KEY)) + r"|填表人|审核人|单位负责人|报出日期|(?:计量|金额)?单位):|$)"
)
_ROLE = {word: role for role, words in SIGN_OFF_ROLES.items() for word in words}
_ROLE_WORDS = "|".join(sorted(_ROLE, key=len, reverse=True))
_ROLE_PAIR = re.compile(
    rf"(?P<role>{_ROLE_WORDS})(?:\((?:签字|签章|签名|盖章)\))?:(?P<name>.*?)"
    rf"(?=(?:{_ROLE_WORDS}|报出日期|联系电话|填报日期|日期)[:(]|$)"
)
_NO_NAME = re.compile(r"^[\W_]*$")


@dataclass(frozen=True)
class Observation:
    """A structural rule broken at one place. `details` fill the message; a blank `cell` means the whole sheet or file.

    `last`: the last cell (row, column) of a range of which each of `cells_n` cells breaks the rule in the same way. `subject`: what the
    problem is known by in another version, where that is not the key of the row.
    """

    rule_id: str
    sheet: str = ""
    row: int | None = None
    column: int | None = None
    value: str = ""
    expected: str = ""
    difference: str = ""
    detail: str = ""
    column_name: str | None = None
    last: tuple[int, int] | None = None
    cells_n: int = 1
    subject: str | None = None

    @property
    def cell(self) -> str:
        return cell_address(self.row, self.column) if self.row is not None and self.column is not None else ""


#: What a cover says, and where: (text, sheet, row, column).
Claim = tuple[str, str, int, int]


@dataclass
class Cover:
    """What the cells around a table say of it; every claim is kept with its place, so that a conflict can be shown."""

    claims: dict[str, list[tuple[str, str, int, int]]] = field(default_factory=dict)

    def add(self, name: str, value: str, sheet: str, row: int, column: int) -> None:
        self.claims.setdefault(name, []).append((value, sheet, row, column))

    def merged_with(self, other: "Cover") -> "Cover":
        """This cover's claims; the other's where this one is silent."""
        return Cover({**other.claims, **self.claims})

    def before(self, above: "Cover") -> "Cover":
        """The cover of a table that stands below another: of county or period only what it says itself, if it says it."""
        silent_of = [
            name
            for names, speaks in (
                (("county", "county_code"), any(name in self.claims for name in ("county", "county_code"))),
                (("period",), self._names_period),
                (("title",), "title" in self.claims),
            )
            if not speaks
            for name in names
        ]
        kept = {name: claims for name, claims in above.claims.items() if name in silent_of or name == "form"}
        return Cover({**kept, **self.claims})

    @property
    def _names_period(self) -> bool:
        return "period" in self.claims or any(read_period_label(claim[0]) for claim in self.claims.get("title", []))

    @property
    def says_whose(self) -> bool:
        """Whether a county or a period is named anywhere on it."""
        return "county" in self.claims or "county_code" in self.claims or self._names_period

    def first(self, name: str) -> tuple[str, str, int, int] | None:
        return next(iter(self.claims.get(name, [])), None)


@dataclass
class Table:
    """One return, or a part of one, found on one sheet. Rows and columns are indexes from 0 in the sheet; `data_rows` are in order.

    Its rows are those from `first_row` (the titles above its header) to `last_data_row`; `passed_over` holds all of them that are
    neither data nor a total. `told_rows`, `told_cells`: of which one finding speaks already, so that no other need (see `structure`).
    """

    definition: ReturnDefinition
    sheet: Sheet
    header_row: int
    first_data_row: int
    last_data_row: int
    columns: dict[str, int]
    header_texts: dict[str, str]
    data_rows: list[int] = field(default_factory=list)
    total_rows: list[int] = field(default_factory=list)
    first_row: int = 0
    passed_over: dict[RowKind, list[int]] = field(default_factory=dict)
    cover: Cover = field(default_factory=Cover)
    county_code: str | None = None
    period: Period | None = None
    of_template: bool = False
    told_rows: frozenset[int] = frozenset()
    told_cells: frozenset[tuple[int, int]] = frozenset()
    observations: list[Observation] = field(default_factory=list)

    @property
    def slot(self) -> tuple[str, str | None, str | None]:
        """Return, county and period: what a filing is known by."""
        return self.definition.return_code, self.county_code, self.period.code if self.period else None

    def row_counts(self) -> list[RowCount]:
        """Every row of the table counted by kind. Raises RowsUnaccounted when one is counted not at all or twice."""
        kinds = {RowKind.DATA: self.data_rows, RowKind.TOTAL: self.total_rows, **self.passed_over}
        return account(kinds, self.first_row, self.last_data_row)

    def key_values(self, row: int) -> list[str]:
        """What the key columns of a row hold, folded; blank where one holds nothing or is not there."""
        return [folded(self._text(row, name)) for name in self.definition.key]

    def key_of(self, row: int) -> str:
        """What a data row is known by in another version or period."""
        return "/".join(self.key_values(row))

    def _text(self, row: int, name: str) -> str:
        index = self.columns.get(name)
        return (self.sheet.cell(row, index) or "") if index is not None else ""

    def is_data_row(self, row: int) -> bool:
        at = bisect_left(self.data_rows, row)
        return at < len(self.data_rows) and self.data_rows[at] == row


def data_table(tables: Iterable[Table]) -> Callable[[str, int], Table | None]:
    """(name of a sheet, row) → the table of which that is a row of data."""
    by_sheet: dict[str, list[Table]] = {}
    for table in sorted(tables, key=lambda table: table.first_row):
        by_sheet.setdefault(table.sheet.name, []).append(table)

    def at(sheet: str, row: int) -> Table | None:
        below = bisect_right(by_sheet.get(sheet, []), row, key=lambda table: table.first_row)
        table = by_sheet[sheet][below - 1] if below else None
        return table if table and table.is_data_row(row) else None

    return at


@dataclass(frozen=True)
class Identified:
    """`other_sheets`: (name, rows) of the sheets of the file on which no table stands: covers, notes, what is ours."""

    tables: list[Table]
    observations: list[Observation]
    other_sheets: tuple[tuple[str, int], ...] = ()

    @property
    def filings(self) -> list[list[Table]]:
        """The tables of each filing: a return may stand in parts, on several sheets or below each other."""
        found: dict[tuple[str, str | None, str | None], list[Table]] = {}
        for table in self.tables:
            found.setdefault(table.slot, []).append(table)
        return list(found.values())


def _label(text: str) -> tuple[str, str | None]:
    """A cell's text as a header's label and unit; brackets that are part of a declared label are no unit."""
    label, unit = split_unit(text, declared_units())
    if unit and label not in _owners() and (whole := normalise_label(text)) in _owners():
        return whole, None
    return label, unit


@read_once
def _owners() -> dict[str, list[tuple[ReturnDefinition, str]]]:
    """Label → every (return version, column) known by it."""
    owners: dict[str, list[tuple[ReturnDefinition, str]]] = {}
    for defined in all_definitions():
        for label, name in defined.label_owner.items():
            owners.setdefault(label, []).append((defined, name))
    return owners


def identify(
    workbook: Workbook,
    *,
    file_name: str,
    counties: Sequence[CountyName],
    source_counties: Iterable[str],
    periods: dict[str, set[str]],
) -> Identified:
    """Find every return in a workbook.

    `counties`: the municipality's. `source_counties`: codes of the counties whose inbox the bytes came from (empty: not
    from an inbox). `periods`: return code → period codes of the reporting calendar.
    """
    sheets = sheets_of_the_county(workbook)
    covers = {sheet.name: _read_cover(sheet) for sheet in sheets}
    metadata = _read_metadata(workbook)
    tables: list[Table] = []
    for sheet in sheets:
        tables += _find_tables(sheet, _named_returns(covers[sheet.name], metadata))
    with_tables = {table.sheet.name for table in tables}
    shared = Cover()
    for sheet in sorted(sheets, key=lambda sheet: sheet.hidden):  # what can be seen speaks first
        if sheet.name not in with_tables:
            shared = shared.merged_with(covers[sheet.name])
    if not tables:
        detail = "、".join(f"“{sheet.name}”" for sheet in sheets if sheet.name) or "全文"
        rule = "FILE-0-return-unknown" if any(sheet.rows for sheet in workbook.sheets) else "FILE-0-empty"
        return Identified([], [Observation(rule, detail=detail)])
    templates = {claim[0] for claim in metadata.claims.get("return", [])}
    hidden = frozenset(sheet.name for sheet in workbook.sheets if sheet.hidden or sheet.name == METADATA_SHEET)
    nothing = Cover()

    def resolve(table: Table) -> None:
        ours = metadata if table.of_template or not templates else nothing
        _resolve_county(table, counties, set(source_counties), ours, hidden, file_name)
        _resolve_period(table, periods.get(table.definition.return_code, set()), ours, hidden, file_name)
        _check_existence(table, counties)

    cover_sheets = [sheet for sheet in sheets if sheet.name not in with_tables]
    said_on_covers = [
        said for sheet in cover_sheets for row in range(min(len(sheet.rows), _COVER_SEARCH_ROWS))
        for said in _units_in(sheet, row, is_title=True) if said[-1]
    ]  # fmt: skip
    speaking, silent = [], []
    for table in tables:
        table.cover = table.cover.before(covers[table.sheet.name]).merged_with(shared)
        if table.definition.return_code in templates:
            table.of_template = True
            unfilled = set(leave_unfilled(table.definition, table.sheet, table.columns, table.data_rows))
            table.data_rows = [row for row in table.data_rows if row not in unfilled]
            if unfilled:
                table.passed_over[RowKind.UNFILLED] = sorted(unfilled)
        _check_form(table)
        _check_units(table, said_on_covers)
        if table.of_template or table.cover.says_whose:
            resolve(table)
            speaking.append(table)
        else:
            silent.append(table)
    spoken: dict[tuple[str, int], dict[tuple[str, str | None, str | None], Table]] = {}
    for table in speaking:
        spoken.setdefault((table.definition.return_code, table.definition.version), {}).setdefault(table.slot, table)
    for table in silent:
        # A sheet that says nothing of itself goes with the one that does, if there is one.
        same = spoken.get((table.definition.return_code, table.definition.version), {})
        if len(same) == 1:
            table.cover = next(iter(same.values())).cover.merged_with(table.cover)
        resolve(table)
    _account_for_every_row(workbook, tables)
    kept = _read_together(_shown(tables))
    read = {table.sheet.name for table in kept}
    others = tuple((sheet.name, len(sheet.rows)) for sheet in workbook.sheets if sheet.name not in read)
    found = Identified(kept, [], others)
    data_rows: dict[str, set[int]] = {}
    for table in kept:
        data_rows.setdefault(table.sheet.name, set()).update(table.data_rows)
    signed = {sheet.name: _signed(sheet, data_rows.get(sheet.name, set())) for sheet in sheets}
    on_covers = _all_signed(signed[sheet.name] for sheet in cover_sheets)
    for parts in found.filings:
        if not parts[0].sheet.hidden:
            own = dict.fromkeys(part.sheet.name for part in parts)
            _check_sign_off(parts[0], _all_signed([*(signed[name] for name in own), on_covers]))
    return found


def _account_for_every_row(workbook: Workbook, tables: Sequence[Table]) -> None:
    """Read and passed over are the rows of the sheet, on every sheet with a table. Raises RowsUnaccounted where they are not."""
    for sheet in workbook.sheets:
        mine = [table for table in tables if table.sheet is sheet]
        counted = sum(count.rows_n for table in mine for count in table.row_counts())
        if mine and counted != len(sheet.rows):
            raise RowsUnaccounted(f"{counted} of {len(sheet.rows)} rows are accounted for")


def sheets_of_the_county(workbook: Workbook) -> list[Sheet]:
    """The sheets that the county filled: all but those of ours (metadata, the notes of a template, a list of findings and the rows
    quoted with it). A sheet that holds a table is never passed over for its name, unless we quoted it ourselves."""
    ours = any(sheet.name == METADATA_SHEET for sheet in workbook.sheets)
    lists = [sheet for sheet in workbook.sheets if sheet.name == FINDINGS_SHEET and is_findings_sheet(sheet)]

    def is_passed_over(sheet: Sheet) -> bool:
        if sheet.name == METADATA_SHEET or (lists and ours and sheet.name.startswith(QUOTE_PREFIX)):
            return True
        return (sheet in lists or (ours and sheet.name == NOTES_SHEET)) and not _find_tables(sheet, set())

    kept = [sheet for sheet in workbook.sheets if not is_passed_over(sheet)]
    quotes = [sheet for sheet in workbook.sheets if sheet.name.startswith(QUOTE_PREFIX)]
    if quotes and any(_find_tables(sheet, set()) for sheet in kept):
        # Rows are quoted to a county whose own file could not be marked: beside a return nothing is a quotation.
        kept = [sheet for sheet in workbook.sheets if sheet in kept or sheet in quotes]
    return kept


def is_findings_sheet(sheet: Sheet) -> bool:
    """Whether a sheet is a list of findings of ours; its name alone is not enough, for it may hold a county's data."""
    return findings_header(sheet) is not None


def findings_header(sheet: Sheet) -> int | None:
    """The row of a list of findings that names its columns, from 0; None on any other sheet."""
    labels = {TOKEN_LABEL, REPLY_LABEL}
    rows = enumerate(sheet.rows)
    return next((row for row, cells in rows if labels <= {folded_name(text) for text in cells if text}), None)


def table_headers(sheet: Sheet) -> list[tuple[int, int]]:
    """(first row, first row below) of the header of each table on a sheet, from 0."""
    return [(table.header_row, table.first_data_row) for table in _find_tables(sheet, set())]


#: So many rows that stand twice are named, and so many with their keys; the rest are counted.
_NAMED_TWICE, _NAMED_WITH_KEY = 6, 3


def _shown(tables: list[Table]) -> list[Table]:
    """The tables without those that stand on hidden sheets: what nobody sees is not read.

    Beside a visible table of its return a hidden one is a copy, and asked about there; alone it is refused in words. A form in
    which nothing is filled is nothing beside a visible table.
    """
    kept = [table for table in tables if not table.sheet.hidden]
    copies: dict[str, list[Table]] = {}
    for table in tables:
        if table.sheet.hidden and (table.data_rows or not kept):
            copies.setdefault(table.definition.return_code, []).append(table)
    for return_code, hidden in copies.items():
        beside = next((table for table in kept if table.definition.return_code == return_code), None)
        if beside is None:
            for table in hidden:
                table.passed_over[RowKind.HIDDEN] = sorted([*table.data_rows, *table.total_rows])
                table.data_rows, table.total_rows = [], []
                table.observations = [Observation("FILE-0-hidden-sheet", detail=_hidden_sheet(table.sheet))]
            kept += hidden
            continue
        named = "、".join(f"{_hidden_sheet(table.sheet)}（{_said_of(table)}）" for table in hidden)
        at = min(beside.columns.values(), default=0)
        beside.observations.append(
            Observation("FILE-1b-hidden-copy", beside.sheet.name, beside.header_row, at, detail=named, subject=named)
        )
    ids = {id(table) for table in kept}
    return [table for table in tables if id(table) in ids]


def _hidden_sheet(sheet: Sheet) -> str:
    return f"“{sheet.name}”" + ("（深度隐藏，右键菜单里不显示）" if sheet.very_hidden else "")


def _said_of(table: Table) -> str:
    return f"{table.period.label if table.period else ''}{table.definition.title}"


def _read_together(tables: list[Table]) -> list[Table]:
    """Tables of one filing are its parts and read together, unless a row stands twice: then none can be preferred.

    A table that only repeats rows, or is of another version of the form, is named and not looked at any further.
    """
    kept: dict[tuple[str, str | None, str | None], list[Table]] = {}
    #: Of each filing: key → the part in which it stands first, and its row there.
    standing: dict[tuple[str, str | None, str | None], dict[str, tuple[Table, int]]] = {}
    for table in tables:
        parts, stands = kept.setdefault(table.slot, []), standing.setdefault(table.slot, {})
        if parts and table.definition is not parts[0].definition:
            places = f"“{parts[0].sheet.name}”与“{table.sheet.name}”的表头不是同一版本"
            at = min(table.columns.values(), default=0)
            parts[0].observations.append(
                Observation("FILE-0-return-repeated", table.sheet.name, table.header_row, at, detail=places)
            )
            continue
        keys = list(_keys(table))
        if twice := [(key, *stands[key], row) for row, key in keys if key in stands]:
            parts[0].observations.append(_repeated(table, twice))
            if len(twice) == len(table.data_rows):
                continue
        parts.append(table)
        for row, key in keys:
            stands.setdefault(key, (table, row))
    ids = {id(table) for parts in kept.values() for table in parts}
    return [table for table in tables if id(table) in ids]


def _keys(table: Table) -> Iterator[tuple[int, str]]:
    """(row, key) of the rows whose key is filled, its characters folded."""
    for row in table.data_rows:
        values = table.key_values(row)
        if all(values):
            yield row, "/".join(values)


def _repeated(table: Table, twice: list[tuple[str, Table, int, int]]) -> Observation:
    """The rows that stand twice, at both places: few by their keys, many by their numbers alone.

    `twice`: (key, the part in which it stands already, its row there, its row in the table) of each.
    """
    by_part: dict[str, list[tuple[str, int, int]]] = {}
    for key, part, there, row in twice:
        by_part.setdefault(part.sheet.name, []).append((key, there + 1, row + 1))
    keyed = len(twice) <= _NAMED_WITH_KEY
    named = []
    for sheet_name, rows in by_part.items():
        places = f"“{sheet_name}”与“{table.sheet.name}”" if sheet_name != table.sheet.name else f"“{sheet_name}”"
        pairs = "、".join(
            f"第 {there} 行与第 {row} 行" + (f"（{key}）" if keyed else "") for key, there, row in rows[:_NAMED_TWICE]
        )
        named.append(f"{places}的{pairs}" + ("等" if len(rows) > _NAMED_TWICE else ""))
    name = next(name for name in table.definition.key if name in table.columns)
    return Observation(
        "FILE-0-return-repeated",
        table.sheet.name,
        twice[0][3],
        table.columns[name],
        detail="；".join(named) + ("" if keyed else f"，共 {len(twice)} 行"),
        column_name=name,
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _find_tables(sheet: Sheet, named: set[str]) -> list[Table]:
    tables: list[Table] = []
    row = 0
    while row < len(sheet.rows):
        if not tables and row > _HEADER_SEARCH_ROWS:
            break
        header = _header_at(sheet, row, named)
        if header is None:
            row += 1
            continue
        defined, depth, columns, texts, observations = header
        previous = tables[-1] if tables else None
        cover, top = _cover_above(sheet, row, previous.first_data_row) if previous else (Cover(), 0)
        if previous and previous.definition is defined and previous.columns == columns and not cover.claims:
            # A header repeated at a page break: the same table goes on.
            previous.passed_over.setdefault(RowKind.HEADER_AGAIN, []).extend(range(row, row + depth))
            row += depth
            continue
        if previous:
            previous.last_data_row = top - 1
        table = Table(defined, sheet, row, row + depth, len(sheet.rows) - 1, columns, texts, first_row=top, cover=cover)
        table.observations += observations
        tables.append(table)
        row += depth
    for table in tables:
        _sort_rows(table)
        table.observations += _stray_cells(table)
    return tables


def _cover_above(sheet: Sheet, header_row: int, stop: int) -> tuple[Cover, int]:
    """What the lines straight above a second header say of its table, and the first row of these lines."""
    cover, top = Cover(), header_row
    for row in range(header_row - 1, max(stop, header_row - _COVER_LINES) - 1, -1):
        line = Cover()
        _read_cover_row(line, sheet, row)
        if line.claims:
            cover, top = cover.merged_with(line), row
        elif any(sheet.rows[row]):
            break
    return cover, top


def _stray_cells(table: Table) -> list[Observation]:
    """The first cell of each column that holds data under no header: it cannot be read, and must not be dropped silently."""
    headed = {
        index
        for row in range(table.header_row, table.first_data_row)
        for index, text in enumerate(table.sheet.rows[row])
        if text
    }
    first: dict[int, int] = {}
    for row in table.data_rows:
        for index, text in enumerate(table.sheet.rows[row]):
            if text and index not in headed and index not in first:
                first[index] = row
    return [
        Observation("FILE-0-stray-cell", table.sheet.name, row, index, value=table.sheet.cell(row, index) or "")
        for index, row in sorted(first.items())
    ]


def _header_at(
    sheet: Sheet, row: int, named: set[str]
) -> tuple[ReturnDefinition, int, dict[str, int], dict[str, str], list[Observation]] | None:
    """The header that starts in this row, if one does: the definition and depth that know the most of its labels."""
    # The first row of a header names at least two columns; a data row may hold one label as a value (a programme, say). Of a form that
    # the cover names one may do: there may be no more, or they stand under their groups.
    known = [_owners()[label] for text in sheet.rows[row] if text and (label := _label(text)[0]) in _owners()]
    if len(known) < 2 and not any(defined.return_code in named for owners in known for defined, _ in owners):
        return None
    best: tuple[tuple[int, int, int, int, int], ReturnDefinition, int] | None = None
    for depth in range(1, _HEADER_DEPTH + 1):
        if row + depth > len(sheet.rows):
            break
        matched: dict[tuple[str, int], set[str]] = {}
        definitions: dict[tuple[str, int], ReturnDefinition] = {}
        first_row: dict[tuple[str, int], bool] = {}
        for column in range(max(len(sheet.rows[row + below]) for below in range(depth))):
            for below in range(depth - 1, -1, -1):
                text = sheet.cell(row + below, column)
                if not text:
                    continue
                for defined, name in _owners().get(_label(text)[0], ()):
                    key = (defined.return_code, defined.version)
                    matched.setdefault(key, set()).add(name)
                    definitions[key] = defined
                    first_row[key] = first_row.get(key, False) or below == 0
                break
        for key, names in matched.items():
            defined = definitions[key]
            required = sum(1 for column in defined.columns if column.required)
            share = _HEADER_SHARE_WHEN_NAMED if defined.return_code in named else _HEADER_SHARE
            least = min(2, len(defined.columns)) if defined.return_code in named else 2
            if len(names) < max(least, share * required) or not first_row[key]:
                continue
            # Of two versions of a form that know the same labels, the one that lacks none of its own.
            missing_n = sum(1 for column in defined.columns if column.required and column.name not in names)
            rank = (len(names), int(defined.return_code in named), -missing_n, -depth, defined.version)
            if best is None or rank > best[0]:
                best = (rank, defined, depth)
    if best is None:
        return None
    _, defined, depth = best
    return (defined, depth, *_map_columns(sheet, row, depth, defined))


def _map_columns(
    sheet: Sheet, row: int, depth: int, defined: ReturnDefinition
) -> tuple[dict[str, int], dict[str, str], list[Observation]]:
    columns: dict[str, int] = {}
    texts: dict[str, str] = {}
    observations: list[Observation] = []
    for index in range(max(len(sheet.rows[row + below]) for below in range(depth))):
        place = next((below for below in range(depth - 1, -1, -1) if sheet.cell(row + below, index)), None)
        if place is None:
            continue
        text = sheet.cell(row + place, index) or ""
        label, unit = _label(text)
        name = defined.label_owner.get(label)
        at = {"sheet": sheet.name, "row": row + place, "column": index}
        if name is None:
            if label not in IGNORED_LABELS and sheet.last_filled.get(index, -1) >= row + depth:
                observations.append(Observation("FILE-0-unknown-column", **at, value=text))  # type: ignore[arg-type]
            continue
        if name in columns:
            observations.append(Observation("FILE-0-column-repeated", **at, value=text))  # type: ignore[arg-type]
            continue
        columns[name] = index
        texts[name] = " ".join(visible(text).split())
        declared = defined.column(name).unit
        if unit and declared and normalise_label(unit) != normalise_label(declared):
            observations.append(
                Observation("FILE-0-unit-conflict", **at, value=text, expected=declared, detail=unit, column_name=name)  # type: ignore[arg-type]
            )
    observations += [
        Observation("FILE-0-missing-column", sheet.name, row, 0, expected=column.label, column_name=column.name)
        for column in defined.columns
        if column.required and column.name not in columns
    ]
    return columns, texts, observations


def _sort_rows(table: Table) -> None:
    """Tell data rows from totals and from what is passed over. What may be data is: nothing is dropped silently."""
    sheet, columns, again = table.sheet, table.columns, {*table.passed_over.get(RowKind.HEADER_AGAIN, [])}
    under = [row for row in range(table.first_data_row, table.last_data_row + 1) if row not in again]
    found = sort_rows(table.definition, sheet, columns, under)
    table.data_rows, table.total_rows = found.pop(RowKind.DATA, []), found.pop(RowKind.TOTAL, [])
    found[RowKind.HEADER_AGAIN] = sorted([*again, *found.get(RowKind.HEADER_AGAIN, [])])
    found[RowKind.HEADER] = list(range(table.header_row, table.first_data_row))
    above = range(table.first_row, table.header_row)
    found[RowKind.TITLE] = [row for row in above if any(sheet.rows[row])]
    found[RowKind.BLANK] = [*(row for row in above if not any(sheet.rows[row])), *found.get(RowKind.BLANK, [])]
    table.passed_over = {kind: rows for kind, rows in found.items() if rows}
    table.observations += [
        Observation("FILE-0-row-unclear", sheet.name, row, *next((index, text) for index, text in enumerate(sheet.rows[row]) if text))
        for row in found.get(RowKind.UNCLEAR, [])
    ]  # fmt: skip
    if parts := found.get(RowKind.SUBTOTAL):
        table.observations.append(_subtotals(table, parts))


def _subtotals(table: Table, rows: Sequence[int]) -> Observation:
    """One observation about all rows that repeat the sum of others and that the form does not ask for."""
    sheet = table.sheet
    column, label = next((index, text) for index, text in enumerate(sheet.rows[rows[0]]) if text)
    what = "小计" if table.definition.total_row else "合计，本表不设合计行"
    detail = f"第 {row_numbers(rows)} 行（“{folded_name(label)[:20]}”）是{what}"
    return Observation("FILE-1b-subtotal", sheet.name, rows[0], column, value=label, detail=detail)


# --- covers -----------------------------------------------------------------------------------------------------------


def _read_cover(sheet: Sheet) -> Cover:
    cover = Cover()
    for row, cells in enumerate(sheet.rows[:_COVER_SEARCH_ROWS]):
        if sum(1 for text in cells if text and _label(text)[0] in _owners()) >= 3:
            break  # a header: what stands below is the table
        _read_cover_row(cover, sheet, row)
    return cover


def _read_cover_row(cover: Cover, sheet: Sheet, row: int) -> None:
    cells = sheet.rows[row]
    for column, text in enumerate(cells):
        if not text or is_digits(text.strip()):
            continue
        flat = folded_name(text)
        normal = normalise_label(text)
        if normal.rstrip(":") in _COVER_KEY:
            value = next_filled(cells, column)
            if value:
                cover.add(_COVER_KEY[normal.rstrip(":")], folded_name(value[1]), sheet.name, row, value[0])
            continue
        for match in _COVER_PAIR.finditer(normal):
            if match["value"]:
                cover.add(_COVER_KEY[match["key"]], match["value"], sheet.name, row, column)
        for defined in all_definitions():
            if any(title in normal for title in defined.titles if len(title) > 3):
                cover.add("title", flat, sheet.name, row, column)
                break


def _read_metadata(workbook: Workbook) -> Cover:
    """The hidden sheet of our own templates: two columns, a key and its value."""
    cover = Cover()
    for row, key, value in _metadata_rows(workbook):
        if key in ("form", "county_code", "period", "return"):
            cover.add(key, value, METADATA_SHEET, row, 1)
    return cover


def _metadata_rows(workbook: Workbook) -> Iterator[tuple[int, str, str]]:
    """(row, key, value) of what the metadata sheet states."""
    for sheet in workbook.sheets:
        if sheet.name == METADATA_SHEET:
            for row, cells in enumerate(sheet.rows):
                if len(cells) >= 2 and cells[0] and cells[1]:
                    yield row, cells[0], folded_name(cells[1])


def answered_submission(workbook: Workbook) -> str | None:
    """The submission whose annotated workbook this is, None when it is none; written in groups by `answers.annotated`."""
    told = next((value.replace("-", "") for _, key, value in _metadata_rows(workbook) if key == "answer_to"), "")
    return told if re.fullmatch(r"[0-9a-f]{64}", told) else None


def _named_returns(cover: Cover, metadata: Cover) -> set[str]:
    """Return codes that the sheet's own cover, title or the metadata sheet name."""
    named = set()
    forms = [claim[0] for source in (cover, metadata) for claim in source.claims.get("form", [])]
    titles = [normalise_label(claim[0]) for claim in cover.claims.get("title", [])]
    for defined in all_definitions():
        if defined.form in forms or any(title in text for text in titles for title in defined.titles):
            named.add(defined.return_code)
    return named


def _check_form(table: Table) -> None:
    claim = table.cover.first("form")
    forms = {value for value, *_ in table.cover.claims.get("form", [])}
    if claim and table.definition.form not in forms:
        _, sheet, row, column = claim
        table.observations.append(
            Observation("FILE-0-return-conflict", sheet, row, column, claim[0], table.definition.form,
                        detail=table.definition.title)
        )  # fmt: skip


#: A cell that says units: (sheet, row, column, text, units).
_Said = tuple[Sheet, int, int, str, list[str]]


def _units_in(sheet: Sheet, row: int, *, is_title: bool) -> Iterator[_Said]:
    """The cells of a row with the units that they say, none of most."""
    cells = sheet.rows[row]
    for column, text in enumerate(cells):
        if text:
            following = next_filled(cells, column)
            yield sheet, row, column, text, units_said(text, following[1] if following else None, is_title=is_title)


def _check_units(table: Table, on_covers: Sequence[_Said]) -> None:
    """A unit said beside the table (单位：万元) is a claim like a header's, wherever it stands: above, below, in the header's rows, on a cover."""
    beside = (RowKind.TITLE, RowKind.HEADER, RowKind.NOTE, RowKind.SIGN_OFF)
    found: list[tuple[_Said, RowKind | None]] = [
        (said, kind)
        for kind in beside
        for row in table.passed_over.get(kind, [])
        for said in _units_in(table.sheet, row, is_title=kind is RowKind.TITLE)
    ]
    for (sheet, row, column, text, units), kind in [*found, *((said, None) for said in on_covers)]:
        if kind is RowKind.HEADER and any(sheet.cell(below, column) for below in range(row + 1, table.first_data_row)):
            units += [unit for unit in [split_unit(text)[1]] if unit]  # of a group of columns: 工资构成（万元）
        for unit, asked in asked_instead(units, table.definition, alone=kind is not None):
            table.observations.append(
                Observation("FILE-0-unit-conflict", sheet.name, row, column, text, expected=asked, detail=unit)
            )


#: The roles that are signed by name; and those that are named without one, with the first place.
_Signed = tuple[set[str], dict[str, tuple[str, int, int]]]


def _signed(sheet: Sheet, data_rows: set[int]) -> _Signed:
    """Who has signed on a sheet, outside the rows of data; the names go no further than this."""
    signed: set[str] = set()
    places: dict[str, tuple[str, int, int]] = {}
    for role, name, row, column in _sign_offs(sheet, data_rows):
        if name and not _NO_NAME.match(name):
            signed.add(role)
        elif not sheet.hidden:
            places.setdefault(role, (sheet.name, row, column))
    return signed, places


def _all_signed(several: Iterable[_Signed]) -> _Signed:
    """The sheets together; of the places to sign the first."""
    signed: set[str] = set()
    places: dict[str, tuple[str, int, int]] = {}
    for roles, empty in several:
        signed |= roles
        places = {**empty, **places}
    return signed, places


def _check_sign_off(table: Table, on_its_sheets: _Signed) -> None:
    """Every role must be signed by name, on a sheet of the filing's own or on a cover. `table`: the filing's first part."""
    signed, places = on_its_sheets
    lacking = [role for role in SIGN_OFF_ROLES if role not in signed]
    if lacking:
        sheet_name, row, column = next(
            (places[role] for role in lacking if role in places), (table.sheet.name, table.header_row, 0)
        )
        table.observations.append(
            Observation("FILE-0-sign-off-missing", sheet_name, row, column, detail="、".join(lacking))
        )


def _sign_offs(sheet: Sheet, data_rows: set[int]) -> Iterable[tuple[str, str, int, int]]:
    """(role, name or blank, row, column) wherever a sheet names a role: `填表人：甲` in a cell, or the name in the next one."""
    for row, cells in enumerate(sheet.rows):
        if row in data_rows:
            continue
        for column, text in enumerate(cells):
            if not text or ("人" not in text and "制表" not in text):
                continue
            normal = normalise_label(text)
            bare = re.sub(r"\((?:签字|签章|签名|盖章)\)", "", normal).rstrip(":")
            if bare in _ROLE:
                _, beside = next_filled(cells, column) or (column, "")
                named = normalise_label(beside).rstrip(":") not in _ROLE and not is_remark(beside)
                yield _ROLE[bare], beside if named else "", row, column
                continue
            for match in _ROLE_PAIR.finditer(normal):
                yield _ROLE[match["role"]], match["name"], row, column


def _resolve_county(
    table: Table,
    counties: Sequence[CountyName],
    sources: set[str],
    template: Cover,
    hidden: frozenset[str],
    file_name: str,
) -> None:
    """What can be seen says whose a table is; what the hidden sheet of a template says is held against it (`hidden`: such sheets)."""
    by_code = {county.code: county for county in counties}
    claims: list[tuple[str, tuple[str, str, int, int]]] = []
    unknown: list[tuple[str, str, int, int]] = []
    for claim in table.cover.claims.get("county_code", []):
        (claims.append((claim[0], claim)) if claim[0] in by_code else unknown.append(claim))
    for claim in table.cover.claims.get("county", []):
        code = county_in(claim[0], counties)
        (claims.append((code, claim)) if code else unknown.append(claim))
    if not claims:
        titled = [(county_in(claim[0], counties), claim) for claim in table.cover.claims.get("title", [])]
        claims = [(code, claim) for code, claim in titled if code]
    claims.sort(key=lambda one: one[1][1] in hidden)  # what can be seen counts before what cannot
    made_for = template.first("county_code")
    if made_for and not claims:
        (claims.append((made_for[0], made_for)) if made_for[0] in by_code else unknown.append(made_for))
    if not claims:
        place = unknown[0] if unknown else ("", table.sheet.name, table.header_row, 0)
        rule = "FILE-0-county-unknown" if unknown else "FILE-0-county-missing"
        table.observations.append(Observation(rule, *_seen_at(table, place, hidden), value=place[0]))
        return
    claimed = table.county_code = claims[0][0]
    for claim in unknown:
        table.observations.append(Observation("FILE-0-county-unknown", *_seen_at(table, claim, hidden), value=claim[0]))
    reused = made_for is not None and made_for[0] != claimed
    if made_for and reused:
        made = f"{by_code[made_for[0]].name} {made_for[0]}" if made_for[0] in by_code else made_for[0]
        table.observations.append(
            Observation("FILE-0-template-reused", *_seen_at(table, claims[0][1], hidden), claims[0][1][0], made,
                        detail=by_code[claimed].name)
        )  # fmt: skip
    for code, claim in claims[1:]:
        if code != claimed and not (made_for and reused and code == made_for[0]):
            table.observations.append(
                _conflict("FILE-0-county-conflict", table, claims[0][1], claim,
                          (f"{by_code[claimed].name} {claimed}", f"{by_code[code].name} {code}"), hidden)
            )  # fmt: skip
    if sources and table.county_code not in sources:
        sheet, row, column = _seen_at(table, claims[0][1], hidden)
        source = "、".join(
            sorted(f"{by_code[code].name if code in by_code else ''} {code}".strip() for code in sources)
        )
        table.observations.append(
            Observation("FILE-0-county-conflict", sheet, row, column, claims[0][1][0], source, detail="来源")
        )
        # What one county sends stands on its own board, not on that of the county it names by mistake.
        table.county_code = min(sources)
    hinted = _county_in_name(file_name, counties)
    if hinted and hinted not in (claimed, table.county_code):
        table.observations.append(
            Observation("FILE-0-name-conflict", value=file_name, expected=by_code[claimed].name,
                        detail=by_code[hinted].name)
        )  # fmt: skip


def county_in(text: str, counties: Sequence[CountyName]) -> str | None:
    """Code of the county whose full name stands in the text; the longest name wins (原平市 over 平市)."""
    normal = normalise_label(text)
    found = [county for county in counties if normalise_label(county.name) in normal]
    return max(found, key=lambda county: len(county.name)).code if found else None


#: What a county's name follows in the name of a file, if anything: no hanzi (a separator, a digit), the city or province, a time.
_BEFORE_A_COUNTY = r"(?:^|[^\u4e00-\u9fff]|[市省州盟]|地区|自治区|[年度月季期])"


def _county_in_name(file_name: str, counties: Sequence[CountyName]) -> str | None:
    """Code of the one county whose full name a file's name gives as a name; 代县 within 当代县区 is none. None where it gives several."""
    text = folded(file_name)
    found: dict[str, bool] = {}
    for county in sorted(counties, key=lambda county: -len(county.name)):
        name = r"\s*".join(map(re.escape, normalise_label(county.name)))
        if re.search(rf"{name}(?![域级际])", text):
            found[county.code] = re.search(rf"{_BEFORE_A_COUNTY}{name}(?![域级际])", text) is not None
            text = re.sub(name, " ", text)
    return next((code for code, is_a_name in found.items() if is_a_name), None) if len(found) == 1 else None


def _seen_at(table: Table, claim: Claim, hidden: frozenset[str]) -> tuple[str, int, int]:
    """Where a claim can be seen: its own place, or the table's header where it stands on a hidden sheet."""
    if claim[1] in hidden:
        return table.sheet.name, table.header_row, min(table.columns.values(), default=0)
    return claim[1], claim[2], claim[3]


def _conflict(
    rule_id: str, table: Table, first: Claim, other: Claim, labels: tuple[str, str], hidden: frozenset[str]
) -> Observation:
    """Two claims that contradict each other, shown at the second, or at the first where the second stands on a hidden sheet."""
    if other[1] in hidden:
        return Observation(
            rule_id, *_seen_at(table, first, hidden), first[0], labels[1], detail=f"隐藏的工作表“{other[1]}”"
        )
    said_at = f"隐藏的工作表“{first[1]}”" if first[1] in hidden else "封面"
    return Observation(rule_id, other[1], other[2], other[3], other[0], labels[0], detail=said_at)


def _resolve_period(table: Table, calendar: set[str], template: Cover, hidden: frozenset[str], file_name: str) -> None:
    """As `_resolve_county`, for the period."""
    claims: list[tuple[Period, tuple[str, str, int, int]]] = []
    unread: list[tuple[str, str, int, int]] = []

    def said(text: str) -> Period | None:
        """What a text claims. A term on a form that goes by years is when it was filled in, and claims no year."""
        period = read_period_label(text)
        is_term = period is not None and period.type is PeriodType.semester
        return None if is_term and "semester" not in table.definition.period_types else period

    for claim in table.cover.claims.get("period", []):
        period = said(claim[0])
        (claims.append((period, claim)) if period else unread.append(claim))
    titled = [(said(claim[0]), claim) for claim in table.cover.claims.get("title", [])]
    claims += [(period, claim) for period, claim in titled if period]
    claims.sort(key=lambda one: one[1][1] in hidden)
    prepared = template.first("period")
    made_for = said(prepared[0]) if prepared else None
    if prepared and made_for and not claims:
        claims = [(made_for, prepared)]
    if not claims:
        place = unread[0] if unread else ("", table.sheet.name, table.header_row, 0)
        rule = "FILE-0-period-unreadable" if unread else "FILE-0-period-missing"
        hint = read_period_in_name(file_name)
        detail = f"（文件名写的是{hint.label}，但不能以文件名为准）" if hint else ""
        table.observations.append(Observation(rule, *_seen_at(table, place, hidden), value=place[0], detail=detail))
        return
    period, first = claims[0]
    value, (sheet, row, column) = first[0], _seen_at(table, first, hidden)
    table.period = period
    reused = made_for is not None and made_for != period
    if made_for and reused:
        table.observations.append(
            Observation("FILE-0-template-reused", sheet, row, column, value, made_for.label, detail=period.label)
        )
    for other, claim in claims[1:]:
        if other != period and not (reused and other == made_for):
            table.observations.append(
                _conflict("FILE-0-period-conflict", table, first, claim, (period.label, other.label), hidden)
            )
    if reused:
        return  # whatever else is wrong with the period goes with the right template
    if period.type.value not in table.definition.period_types:
        table.observations.append(Observation("FILE-0-period-type", sheet, row, column, value, detail=period.label))
    elif calendar and period.code not in calendar:
        table.observations.append(Observation("FILE-0-period-unexpected", sheet, row, column, value))
    hinted = read_period_in_name(file_name)
    if hinted and hinted != period and hinted.type is period.type:
        table.observations.append(
            Observation("FILE-0-name-conflict", value=file_name, expected=period.label, detail=hinted.label)
        )


def _check_existence(table: Table, counties: Sequence[CountyName]) -> None:
    """A return is filed by the counties of its reference day: a file of one that is gone by then, or not yet there, is refused."""
    # Of another county's file, or of a period that nobody reports, enough has been said.
    if {"FILE-0-county-conflict", "FILE-0-period-type", "FILE-0-period-unexpected"} & {
        observation.rule_id for observation in table.observations
    }:
        return
    county = next((county for county in counties if county.code == table.county_code), None)
    period = table.period
    if county is None or period is None:
        return
    day = reference_on(table.definition.return_code, period)
    if county.valid_on(day):
        return
    ended = county.valid_to if county.valid_to and county.valid_to <= day else None
    turn = ended or county.valid_from or day
    others = _counties_of(county, day, counties, "passed_into" if ended else "came_from")
    by_whom = f"应由{'、'.join(others)}报送" if others else "不由它报送"
    claim = table.cover.first("period") or table.cover.first("title") or ("", table.sheet.name, table.header_row, 0)
    _, sheet, row, column = claim
    table.observations.append(
        Observation(
            "FILE-0-county-ended" if ended else "FILE-0-county-not-yet",
            sheet,
            row,
            column,
            value=county.name,
            expected=turn.isoformat(),
            detail=f"{period.label}的本表以 {day.isoformat()} 的县区为准，{by_whom}",
        )
    )


def _counties_of(county: CountyName, day: date, counties: Sequence[CountyName], link: str) -> list[str]:
    """Names of the counties that hold on a day what belongs to a county that is not there on it, in the order of the municipality.

    `link`: the attribute to follow, forwards or backwards in time.
    """
    by_code = {one.code: one for one in counties}
    found: set[str] = set()
    seen = {county.code}
    waiting = [county]
    while waiting:
        for code in getattr(waiting.pop(), link):
            if code in by_code and code not in seen:
                seen.add(code)
                other = by_code[code]
                (found.add(code) if other.valid_on(day) else waiting.append(other))
    return [one.name for one in counties if one.code in found]
