"""The normal form of the declarations: the tables of schema `declared` that the models read when they run.

Belongs here: their columns, and filling them in one statement each. No model names an indicator, a term or a return's column: what they
compute follows from these rows. An empty text never stands where null is meant, but in a key.

**indicator**, one row an indicator:
  - `indicator_code`; `family` (the file's family); `template` (the code as the family writes it, `gross_enrolment_$key`: indicators of one
    template are the same thing for other members); `place` (file:line); `sort_order` (order of the files and of the lines in them)
  - `shape`: ratio | ratio_of_averages | count | share_of_areas | share_of_units | change | dispersion | quantile | mean_of
  - `layer`: 0 computed from terms; 1 from figures of layer 0 (`indicator_of`); 2 from figures of layer 1
  - `anchor_return`: its expected filings are the parts of the figure; `caliber_kind`: each caliber of the kind gives a figure
    (null: the one caliber `as_reported`, with nothing to choose)
  - `unit`; `factor`: value = quotient × factor (100 for %); `side_factor`: a side's own average is shown × this (100 where sides are rates),
    and a unit of `per` is judged × this
  - `direction`: higher | lower | parity | none
  - `over_year`: `sum` where parts (quarters, months) add up to the calendar year; null: no figure of the year
  - `zero_denominator`: error | not_applicable, what something over 0 is
  - `is_nothing_counted`: a county that has nothing of what role `exists` counts. true: its answer is nothing, it counts and adds nothing.
    false: it has no figure and is named among the missing
  - `per`: the return whose `unit` is the grain (`school`): of share_of_units, dispersion, quantile; null: the county
  - `weighting`: of a dispersion, `units` (by the denominator, the default), `equal`, or `caliber` (member of dimension `weighting`)
  - `quantile`: 0 < q < 1 of a quantile (0.5 the median)
  - `since`: of a change: `N` years before (text of an integer) or `baseline` (policy's table of baselines)
  - `change_as`: difference | reduction_percent; `same_column`: return.column that must be one and the same in both figures
  - `at_least`, `others_share`: of share_of_units with several `meets`: how many must be met, and what share of its standard (0–1) each of
    the others must reach; null: all
  - `ceiling`: above it the figure is impossible, by the default caliber; null: none
  - `numerator_wording`, `denominator_wording`: the sides in words; of an indicator without that side null
  - `gap_counted`: what one more of the numerator is; `gap_below`, `gap_above`: how the distance is said, # is the amount
  - `indicator_name`, `indicator_name_en`, `source_document`; `remark` (null: none)

**indicator_subject** (indicator_code, dimension, member): what it is about, for screens, export and public declaration (stage 小学,
programme 乡村教师生活补助). Nothing is computed from it.

**indicator_term** (indicator_code, role, wording, term, sign, ordinal): terms in roles. role = Σ sign × term. Roles: numerator,
numerator_base, denominator, denominator_base; `needs`: must be known, adds nothing; `exists`: what there must be for the figure to mean
something (`is_nothing_counted`). `wording`: what the pieces of the role are called together.

**indicator_of** (indicator_code, of_code, relation, weight, ordinal): indicators made of indicators. relation `of` (change: the one that
changes; mean_of: the means, with `weight`; quantile, dispersion: none), `meets` (share_of_areas, share_of_units: those judged by their
standard), `among` (only areas that meet this one are judged).

**term**, one row a term: `term` (family.name, unique), `return_code`, `kind`: sum | rows | distinct; `column_name`: the measure (sum) or
the counted key (rows, distinct); `times_column`: its second factor, or null; `period_relation`: which period of the return a part asks
for: same | calendar_year_of_start (a calendar-year return of a part that is no calendar year: the year in which it begins) |
school_year_of_end (the school year in which a part's last day lies) | school_year_of_start; then N years earlier by `years_back` (0);
`as_of`: for a register (`return_dimension`, `exists_until`), part | reference: counted as it stands on the part's reference day, or on its
own return's; `absent`: zero | missing | every | offered, and `absent_dimension` (see return_offer); `shown_column`: the column to which the
trace points when it is not `column_name`; `label`: its words; `unit`: of its value (人, 元, 人·月); `decimal_places`.

**term_filter** (term, dimension, source, value, ordinal): rows count whose `dimension` is one of: `member`: the value; `group`: the members of
policy's member_groups of that dimension and group; `caliber`: the caliber's members of dimension `value` (policy's caliber_members).
Several rows of a dimension are alternatives, dimensions all hold.

**return_offer**, one row a return: `return_code`, `unit_column` (what `per` means), `model` (the staging model or relation to read),
`weight_column` (null, or what each row's cells are multiplied by: a model that registers itself), `absent`: what a filing in force without
a row of a member means: zero | missing | every (each member asked for must be there, dimension `absent_dimension`) | offered (a member
must be there where the return's `offered` model says that the county has it; elsewhere it is nothing), `exists_until`: the column of the
date on which a row of the register ends, null: no register. `anchor_on`: the return's reference day.

**return_dimension** (return_code, dimension, kind, expression, column_name, reference_return, label, members): what rows may be chosen by.
kind `column`: a code column; `test`: an SQL condition in `expression`, members 是, 否 (null: unknown); `reference`: column of
`reference_return`; `measure`: the column itself says the member (`return_measure`); `model`: given by the model.
`members`: list of all, null: open.

**return_measure** (return_code, measure, column_name, dimension, member): columns that are one measure, with the member each stands for.
A plain column is a measure of its own name, with dimension and member null.

**return_column** (return_code, column_name, label, type, unit, decimal_places, is_additive, expression, ordinal): all columns of the newest
version, and computed ones: `expression` is SQL over the return's own columns, null for a reported one.

**return_reference** (return_code, reference_return, key_column, of_column, at_relation, ordinal, unmatched): how a row finds its row in another return:
by `key_column` = `of_column`, in the first of the periods in `ordinal` order (`at_relation` as period_relation: calendar_year_of_start,
school_year_of_start, school_year_of_end, same) that has it. `unmatched`: missing | not_counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

SCHEMA = "declared"

#: Columns of each table, in DuckDB's words.
TABLES: dict[str, str] = {
    "indicator": """indicator_code VARCHAR, family VARCHAR, template VARCHAR, indicator_name VARCHAR, indicator_name_en VARCHAR,
        shape VARCHAR, layer INTEGER, anchor_return VARCHAR, caliber_kind VARCHAR, unit VARCHAR, factor INTEGER,
        side_factor INTEGER, direction VARCHAR, over_year VARCHAR, zero_denominator VARCHAR, is_nothing_counted BOOLEAN,
        per VARCHAR, weighting VARCHAR, quantile DECIMAL(5,4), since VARCHAR, change_as VARCHAR, same_column VARCHAR,
        at_least INTEGER, others_share DECIMAL(9,4), ceiling DECIMAL(18,4), numerator_wording VARCHAR,
        denominator_wording VARCHAR, gap_counted VARCHAR, gap_below VARCHAR, gap_above VARCHAR, source_document VARCHAR,
        remark VARCHAR, sort_order INTEGER, place VARCHAR""",
    "indicator_subject": "indicator_code VARCHAR, dimension VARCHAR, member VARCHAR",
    "indicator_term": "indicator_code VARCHAR, role VARCHAR, wording VARCHAR, term VARCHAR, sign INTEGER, ordinal INTEGER",
    "indicator_of": """indicator_code VARCHAR, of_code VARCHAR, relation VARCHAR, weight DECIMAL(18,6), ordinal INTEGER""",
    "term": """term VARCHAR, return_code VARCHAR, kind VARCHAR, column_name VARCHAR, times_column VARCHAR,
        period_relation VARCHAR, years_back INTEGER, as_of VARCHAR, absent VARCHAR, absent_dimension VARCHAR,
        shown_column VARCHAR, label VARCHAR, unit VARCHAR, decimal_places INTEGER""",
    "term_filter": "term VARCHAR, dimension VARCHAR, source VARCHAR, value VARCHAR, ordinal INTEGER",
    "return_offer": """return_code VARCHAR, unit_column VARCHAR, model VARCHAR, weight_column VARCHAR, absent VARCHAR,
        absent_dimension VARCHAR, exists_until VARCHAR, anchor_on VARCHAR""",
    "return_dimension": """return_code VARCHAR, dimension VARCHAR, kind VARCHAR, expression VARCHAR, column_name VARCHAR,
        reference_return VARCHAR, label VARCHAR, members VARCHAR[]""",
    "return_measure": "return_code VARCHAR, measure VARCHAR, column_name VARCHAR, dimension VARCHAR, member VARCHAR",
    "return_column": """return_code VARCHAR, column_name VARCHAR, label VARCHAR, type VARCHAR, unit VARCHAR,
        decimal_places INTEGER, is_additive BOOLEAN, expression VARCHAR, ordinal INTEGER""",
    "return_reference": """return_code VARCHAR, reference_return VARCHAR, key_column VARCHAR, of_column VARCHAR, at_relation VARCHAR,
        ordinal INTEGER, unmatched VARCHAR""",
}

Rows = Mapping[str, Iterable[Mapping[str, Any]]]


def columns_of(table: str) -> list[str]:
    """Names of a table's columns, in order."""
    return [part.split()[0] for part in _split(TABLES[table])]


def _split(declared: str) -> list[str]:
    """The columns of a DDL: commas inside brackets part nothing."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(declared):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append(declared[start:at])
            start = at + 1
    return [*parts, declared[start:]]


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The schema and its tables, empty where they are not there."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table} ({columns})")


def fill_tables(connection: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Replace what stands in the tables, each in one statement; a column that a row does not name is null."""
    import json

    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for table, declared in TABLES.items():
        names = columns_of(table)
        given = [{name: row.get(name) for name in names} for row in rows.get(table, ())]
        types = json.dumps([{part.split()[0]: " ".join(part.split()[1:]) for part in _split(declared)}])
        connection.execute(f"CREATE OR REPLACE TABLE {SCHEMA}.{table} ({declared})")
        connection.execute(
            f"INSERT INTO {SCHEMA}.{table} SELECT unnest(from_json($1, $2), recursive := true)",
            [json.dumps(given, ensure_ascii=False, default=str), types],
        )
