"""Cells to typed columns: one frame a return and batch, the text kept beside every value.

Belongs here: deciding what a cell *is* against its declared type. A cell never changes its value: it is read as declared, or
its state says why not. Which states are allowed is a rule (`expectations/`), not decided here.

Frame: `entry` (which table of the batch), `filing` (which filing it is a part of), `source_row` (from 1, as Excel shows it), `is_total`, and for each declared column
`<name>` (typed: numbers Int64, scaled by their decimal places (headcounts in tenths, money in cents), dates Date, text), `<name>__text` (as stored) and
`<name>__state` (a `CellState`); for a column whose figure may be included elsewhere also `<name>__included_in`, the name of the column
that a cell answered 并入 names, null where it names none.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import polars as pl

from pipelines.characters import ENDS, FOLDS, INVISIBLE, ranges_of
from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import MISSING_CODES, typed
from pipelines.screening.identify import Table
from pipelines.screening.marked import refused_cells


class CellState(StrEnum):
    """What a cell was found to be."""

    VALUE = "value"
    TEXT_NUMBER = "text_number"
    NOT_APPLICABLE = "not_applicable"
    NOT_REPORTED = "not_reported"
    INCLUDED_ELSEWHERE = "included_elsewhere"
    INCLUDED_UNKNOWN = "included_unknown"
    INCLUDED_UNFIT = "included_unfit"
    INCLUDED_NOWHERE = "included_nowhere"
    BLANK = "blank"
    ERROR_CELL = "error_cell"  # or one refused for what is struck out in it: nothing can be read from either
    UNCALCULATED = "uncalculated"
    COLUMN_MISSING = "column_missing"
    TOLD = "told"
    UNIT_IN_DOUBT = "unit_in_doubt"
    DASH = "dash"
    PERCENT = "percent"
    NOT_NUMBER = "not_number"
    NOT_INTEGER = "not_integer"
    TOO_PRECISE = "too_precise"
    NEGATIVE = "negative"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    NOT_IN_LIST = "not_in_list"
    PATTERN = "pattern"
    TOO_LONG = "too_long"
    NOT_DATE = "not_date"
    NUMBER_NOT_DATE = "number_not_date"
    MONTH_AMBIGUOUS = "month_ambiguous"
    NOT_ASKED = "not_asked"  # filled in a row that has no such thing
    ASKED = "asked"  # answered 不适用 in a row that has


#: The states in which a cell holds something that is loaded.
READ_STATES = (CellState.VALUE, CellState.TEXT_NUMBER)
#: Cells that another rule has already reported at their place, or that a lower level covers.
REPORTED_ELSEWHERE = (
    CellState.ERROR_CELL,
    CellState.UNCALCULATED,
    CellState.COLUMN_MISSING,
    CellState.TOLD,
    CellState.UNIT_IN_DOUBT,
)
#: The states of a cell whose text is none of what its column takes.
UNREAD_STATES = (CellState.NOT_NUMBER, CellState.NOT_IN_LIST, CellState.PATTERN, CellState.NOT_DATE, CellState.PERCENT)

#: What cannot be seen, for a search in texts as they are stored.
UNSEEN = ranges_of(INVISIBLE)
#: The longest text that can be 并入 and a label with its brackets.
_LONGEST_INCLUDED = 64
_DASHES = ["-", "--", "—", "——", "/", "无", "…", "……", "...", "......", "N/A", "NA", "null", "NULL", "空"]
_THOUSANDS = r"^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$"
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"


def tabulate(
    defined: ReturnDefinition, tables: Sequence[tuple[int, Table]], filings: Mapping[int, int] | None = None
) -> pl.DataFrame:
    """The typed frame over all tables of one return in a batch; `tables` are (entry, table).

    `filings`: entry → filing; without it every table is a filing of its own.
    """
    entries: list[int] = []
    rows: list[int] = []
    totals: list[bool] = []
    texts: dict[str, list[str | None]] = {column.name: [] for column in defined.columns}
    marks: dict[str, list[str | None]] = {column.name: [] for column in defined.columns}
    for entry, table in tables:
        sheet = table.sheet
        errors = sheet.between("error_cells", table.first_data_row, table.last_data_row)
        refused = refused_cells(table).union(errors)
        marked = bool(refused or sheet.valueless_formulas or table.told_rows or table.told_cells)
        places = sorted([(row, False) for row in table.data_rows] + [(row, True) for row in table.total_rows])
        entries += [entry] * len(places)
        rows += [row + 1 for row, _ in places]
        totals += [total for _, total in places]
        for column in defined.columns:
            index = table.columns.get(column.name)
            if index is None:
                texts[column.name] += [None] * len(places)
                # An optional column that is not there is blank; a required one has its own finding.
                mark = CellState.COLUMN_MISSING.value if column.required else None
                marks[column.name] += [mark] * len(places)
                continue
            texts[column.name] += [sheet.cell(row, index) for row, _ in places]
            if marked or (sheet.month_numbers and column.type == "date"):
                marks[column.name] += [_mark(table, refused, row, index, column) for row, _ in places]
            else:
                marks[column.name] += [None] * len(places)
    frame = pl.DataFrame(
        {
            "entry": pl.Series(entries, dtype=pl.Int32),
            "filing": pl.Series([filings[entry] for entry in entries] if filings else entries, dtype=pl.Int32),
            "source_row": pl.Series(rows, dtype=pl.Int32),
            "is_total": pl.Series(totals, dtype=pl.Boolean),
            **{f"{name}__text": pl.Series(values, dtype=pl.String) for name, values in texts.items()},
            **{f"{name}__mark": pl.Series(values, dtype=pl.String) for name, values in marks.items()},
        }
    )
    for column in defined.columns:
        frame = frame.with_columns(*_typed(column, frame))
    for column in defined.columns:
        if column.applies_when:
            frame = frame.with_columns(_as_asked(column))
    return _with_included(defined, frame.drop([f"{column.name}__mark" for column in defined.columns]))


def _as_asked(column: Column) -> list[pl.Expr]:
    """The values and states of a column that only rows of some codes are asked for. A row whose codes could not be read has said so."""
    held = {by: pl.col(by).is_in(list(codes)) for by, codes in column.applies_when.items()}
    is_known = pl.all_horizontal(pl.col(by).is_not_null() for by in held)
    is_asked = pl.all_horizontal(held.values())
    value, state = pl.col(column.name), pl.col(f"{column.name}__state")
    is_blank, is_answered = state == CellState.BLANK.value, state == CellState.NOT_APPLICABLE.value
    is_told = state.is_in([one.value for one in REPORTED_ELSEWHERE])
    judged = (
        pl.when(is_told | pl.col("is_total"))
        .then(state)
        .when(~is_known)
        .then(pl.when(is_blank).then(pl.lit(CellState.TOLD.value)).otherwise(state))
        .when(is_asked)
        .then(pl.when(is_answered).then(pl.lit(CellState.ASKED.value)).otherwise(state))
        .when(is_blank | is_answered)
        .then(pl.lit(CellState.NOT_APPLICABLE.value))
        .otherwise(pl.lit(CellState.NOT_ASKED.value))
    )
    return [
        pl.when(judged != CellState.NOT_ASKED.value).then(value).alias(column.name),
        judged.alias(f"{column.name}__state"),
    ]


def _with_included(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """Cells answered 并入: which column holds their figure, and what is wrong where none does."""
    holds_nothing = [
        CellState.INCLUDED_ELSEWHERE.value, CellState.NOT_APPLICABLE.value, CellState.NOT_REPORTED.value,
    ]  # fmt: skip
    for column in defined.number_columns:
        if "included_elsewhere" not in column.missing:
            continue
        texts = frame[f"{column.name}__text"]
        written = texts.filter(texts.str.contains("并", literal=True)).unique()
        judged = ((text, _where(defined, column, text)) for text in written if len(text) <= _LONGEST_INCLUDED)
        found = {text: where for text, where in judged if where}
        states = {text: state.value for text, (state, _) in found.items()}
        targets = {text: target for text, (_, target) in found.items() if target}
        text, state = pl.col(f"{column.name}__text"), pl.col(f"{column.name}__state")
        # A cell that is refused for something else has said so.
        is_read = ~state.is_in([one.value for one in REPORTED_ELSEWHERE])
        target, answer = (text.replace_strict(by, default=None, return_dtype=pl.String) for by in (targets, states))
        frame = frame.with_columns(
            pl.when(is_read).then(target).alias(f"{column.name}__included_in"),
            pl.when(is_read & answer.is_not_null()).then(answer).otherwise(state).alias(f"{column.name}__state"),
        )
    nowhere = [
        pl.when(
            pl.any_horizontal(
                (pl.col(f"{column.name}__included_in") == other)
                & (pl.col(f"{other}__state").is_in(holds_nothing) | _holds_zero_throughout(column.name, other))
                for other in defined.may_hold(column.name)
            )
        )
        .then(pl.lit(CellState.INCLUDED_NOWHERE.value))
        .otherwise(pl.col(f"{column.name}__state"))
        .alias(f"{column.name}__state")
        for column in defined.number_columns
        if f"{column.name}__included_in" in frame.columns and defined.may_hold(column.name)
    ]
    return frame.with_columns(nowhere)


def _holds_zero_throughout(name: str, other: str) -> pl.Expr:
    """Whether a column is 0 in every row of the filing that says it holds the figures of another: a school without an allowance may
    say so like the schools that have one."""
    holds = (pl.col(f"{name}__included_in") == other) & (pl.col(other) > 0) & ~pl.col("is_total")
    return (pl.col(other) == 0) & ~holds.any().over("filing")


def _where(defined: ReturnDefinition, column: Column, text: str) -> tuple[CellState, str | None] | None:
    """State and target of a cell that says 并入; None where it says something else."""
    try:
        target = defined.included_in(text)
    except LookupError:
        return CellState.INCLUDED_UNKNOWN, None
    if target is None:
        return None
    if target and target not in defined.may_hold(column.name):
        return CellState.INCLUDED_UNFIT, None
    return CellState.INCLUDED_ELSEWHERE, target or None


def _mark(table: Table, refused: frozenset[tuple[int, int]], row: int, index: int, column: Column) -> str | None:
    if row in table.told_rows or (row, index) in table.told_cells:
        return CellState.TOLD.value
    if (row, index) in refused:
        return CellState.ERROR_CELL.value
    if (row, index) in table.sheet.valueless_formulas:
        return CellState.UNCALCULATED.value
    if column.type == "date" and (row, index) in table.sheet.month_numbers:
        return CellState.NUMBER_NOT_DATE.value
    return None


def _typed(column: Column, frame: pl.DataFrame) -> list[pl.Series]:
    """The column's values and states. Each distinct text is judged once: a column holds few, whatever its length."""
    texts = frame.select(pl.col(f"{column.name}__text").alias("text"), pl.col(f"{column.name}__mark").alias("mark"))
    judged = texts.lazy().unique().with_columns(*_judged(column)).collect()
    typed = texts.join(judged, on=["text", "mark"], how="left", nulls_equal=True, maintain_order="left")
    return [typed["value"].alias(column.name), typed["state"].alias(f"{column.name}__state")]


def _judged(column: Column) -> list[pl.Expr]:
    """Expressions over `text` and `mark` that yield the cell's `value` and `state`."""
    stored = pl.col("text")
    text = stored.str.replace_many(list(FOLDS), list(FOLDS.values())).str.strip_chars(ENDS)  # as `characters.folded`
    mark = pl.col("mark")
    missing = text.replace_strict(MISSING_CODES, default=None, return_dtype=pl.String)
    if column.is_number:
        value, state = _number(column, stored, text)
    elif column.type == "date":
        value, state = _date(text)
    elif column.is_coded:
        codes = {typed(code): code for code in column.codes}
        value = text.replace_strict(codes, default=None, return_dtype=pl.String)
        state = pl.when(value.is_not_null()).then(pl.lit("value")).otherwise(pl.lit("not_in_list"))
    elif column.longest is not None:
        # Sentences, which nobody compares: as they were written, on one line.
        value = stored.str.replace_all(UNSEEN, "").str.replace_all(r"\s+", " ").str.strip_chars()
        is_long = value.str.len_chars() > column.longest
        state = pl.when(is_long).then(pl.lit("too_long")).otherwise(pl.lit("value"))
    else:
        value = text
        state = pl.lit("value")
        if column.pattern is None:
            plain = text.str.replace_all(UNSEEN, "").str.replace_all(" {2,}", " ")  # as `characters.folded_name`
            value = plain.str.strip_chars()
        else:
            state = pl.when(text.str.contains(column.pattern)).then(state).otherwise(pl.lit("pattern"))
    dash = text.is_in(_DASHES) if column.type not in ("text", "note") else pl.lit(False)
    state = (
        pl.when(mark.is_not_null())
        .then(mark)
        .when(text.is_null() | (text == ""))
        .then(pl.lit("blank"))
        .when(missing.is_not_null())
        .then(missing)
        .when(dash)
        .then(pl.lit("dash"))
        .otherwise(state)
    )
    read = state.is_in([state_.value for state_ in READ_STATES])
    return [pl.when(read).then(value).otherwise(None).alias("value"), state.alias("state")]


def _number(column: Column, stored: pl.Expr, text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    places = column.decimal_places
    is_percentage = pl.lit(False)
    if column.type == "percent":  # 85% in a column of per cent says what 85 does
        is_percentage = text.str.ends_with("%")
        text = text.str.replace(r"\s*%$", "")
    plain = text.str.replace_all(",", "")
    is_thousands = text.str.contains(_THOUSANDS)
    is_number = text.str.contains(_NUMBER) | is_thousands
    exact = pl.when(is_number & (plain.str.len_chars() <= 32)).then(plain).otherwise(None)
    exact = exact.cast(pl.Decimal(38, 10), strict=False)
    scaled = exact * 10**places
    whole = scaled.round(0)
    # Sums made by a spreadsheet carry binary noise beyond their fifteenth digit; a real extra decimal is larger than this.
    tolerance = (scaled.abs().cast(pl.Float64) * 1e-14).clip(1e-6, 1e-3)
    noise = (scaled - whole).abs().cast(pl.Float64) <= tolerance
    limit = column.largest
    too_fine = "not_integer" if places == 0 else "too_precise"
    state = (
        pl.when(text.str.contains(r"^-?[0-9.,]+%$"))
        .then(pl.lit("percent"))
        .when(~is_number)
        .then(pl.lit("not_number"))
        .when(exact.is_null() | (exact.abs() > limit))
        .then(pl.lit("above_maximum"))
        .when(~noise)
        .then(pl.lit(too_fine))
        .when((exact < 0) & pl.lit(not column.signed))
        .then(pl.lit("negative"))
        .when((exact < column.min) & pl.lit(not column.signed))
        .then(pl.lit("below_minimum"))
        .when(exact > (column.max if column.max is not None else limit))
        .then(pl.lit("above_maximum"))
        .when(is_thousands | is_percentage | (stored.str.strip_chars() != text))
        .then(pl.lit("text_number"))
        .otherwise(pl.lit("value"))
    )
    return whole.cast(pl.Int64, strict=False), state


def _date(text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """A day, or a month as its first day. A number is no date: it may be a year, a month, or the days since 1900."""
    text = text.str.replace(r"[ T]0?0:00(:00(\.0+)?)?$", "").str.replace_all(r"\s", "")
    flat = text.str.replace(r"日$", "").str.replace_all(r"[年月/.]", "-").str.strip_chars_end("-")
    parts = flat.str.extract_groups(r"^([0-9]{4})-([0-9]{1,2})(?:-([0-9]{1,2}))?$")
    iso = pl.concat_str(
        parts.struct.field("1"),
        pl.lit("-"),
        parts.struct.field("2").str.zfill(2),
        pl.lit("-"),
        parts.struct.field("3").fill_null("01").str.zfill(2),
    )
    value = iso.str.to_date("%Y-%m-%d", strict=False)
    state = (
        # Somewhere on its way 2009.10 may have been a number, which is 2009.1.
        pl.when(text.str.contains(r"^[0-9]{4}\.[0-9]\.?$"))
        .then(pl.lit("month_ambiguous"))
        # Written with both digits of the month it was a text all along, or it would be marked as a number.
        .when(text.str.contains(r"^[-+]?[0-9]+(\.[0-9]*)?$") & ~text.str.contains(r"^[0-9]{4}\.[0-9]{2}$"))
        .then(pl.lit("number_not_date"))
        .when(value.is_null())
        .then(pl.lit("not_date"))
        .otherwise(pl.lit("value"))
    )
    return value, state
