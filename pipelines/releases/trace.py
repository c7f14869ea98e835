"""From a figure down to the cells of submissions, read from the published file, the sums proved at every level.

Belongs here: putting a figure, its counties, their parts of the period and the cells together, and the proof. Which cells a
figure rests on stands in marts.mart_lineage_term and marts.mart_lineage_cell; no condition and no formula of an indicator is
repeated here. What a terminal or a workbook shows is `pipelines.cli.trace`'s.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.warehouse.opened import opened
from pipelines.warehouse.quotient import quotient

#: The four terms of (numerator ÷ numerator base) ÷ (denominator ÷ denominator base), as mart_lineage_term names them.
ROLES = ("numerator", "numerator_base", "denominator", "denominator_base")
#: A term that is another indicator, and has no cells of its own.
_OF_INDICATOR = "indicator."
#: Shapes whose sides are other figures' values, not sums over counties; and those that go by the units of a county: its cells are the
#: units' own, and their sum is no side of the figure.
_OF_VALUES = ("change", "mean_of")
_OF_UNITS = ("share_of_units", "dispersion", "quantile")


class NoSuchFigure(LookupError):
    """The published file has no figure of this indicator, area, period and caliber."""


class TraceMismatch(RuntimeError):
    """What stands below a figure does not add up to it: a fault of ours, never a county's."""


@dataclass(frozen=True)
class Cell:
    """One cell that a figure rests on. `contribution` = sign × value (× multiplier), None where `missing_code` says why."""

    sheet: str
    source_row: int
    cell: str
    row_label: str
    column_label: str
    sign: int
    value: Decimal | None
    multiplier: int | None
    multiplier_cell: str | None
    contribution: Decimal | None
    missing_code: str | None
    included_in_label: str | None


@dataclass(frozen=True)
class Source:
    """The cells of one return in one submission; `total` is the sum of their contributions."""

    return_code: str
    period: str
    submission_id: str
    file_name: str
    version_n: int | None
    total: Decimal
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Part:
    """A county's contribution of one reported period. `made_of`: the county's figures that were judged, subtracted or averaged, where
    the term is one of an indicator of indicators."""

    period: str
    total: Decimal
    sources: tuple[Source, ...]
    made_of: "tuple[Trace, ...]" = ()


@dataclass(frozen=True)
class CountyTerm:
    """A county's contribution to a term, the sum of its parts."""

    county_code: str
    county_name: str
    total: Decimal
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Term:
    """One of the figure's four terms (see ROLES), the sum of its counties: persons, yuan, schools or person-months."""

    role: str
    total: Decimal
    counties: tuple[CountyTerm, ...]


@dataclass(frozen=True)
class Trace:
    """A figure as published (`figure`: the row of fct_indicator with the names of what it is about) and its terms.

    A withheld figure shows no terms, here as everywhere.
    """

    release_id: str
    figure: dict[str, Any]
    terms: tuple[Term, ...]


def trace(published: Path, indicator: str, area: str, period: str, caliber: str | None = None) -> Trace:
    """Trace the figure of an indicator (code or name), area (code or name) and period code, by caliber (default: the default one).

    Raises NoSuchFigure, FileUnusable, and TraceMismatch when any level does not add up to the one above.
    """
    with opened(published) as connection:
        return _Reader(connection).trace(indicator, area, period, caliber)


def trace_every_figure(published: Path) -> Iterable[Trace]:
    """Every figure that has a value, each proved; raises TraceMismatch at the first that does not add up."""
    with opened(published) as connection:
        reader = _Reader(connection, is_every=True)
        for key, figure in reader.figures.items():
            if figure["value"] is not None:
                yield reader.trace(*key)


_FIGURES = """
    SELECT fact.*, indicator.indicator_name, indicator.indicator_name_en, indicator.numerator_wording,
           indicator.denominator_wording, indicator.factor, indicator.shape, caliber.caliber_name, area.area_name,
           area.area_name_en, area.area_level, period.period_label
    FROM marts.fct_indicator AS fact
    JOIN marts.dim_indicator AS indicator USING (indicator_code)
    JOIN marts.dim_caliber AS caliber USING (caliber_id)
    JOIN (SELECT area_code, area_level, arg_max(area_name, valid_from) AS area_name,
                 arg_max(area_name_en, valid_from) AS area_name_en
          FROM marts.dim_area GROUP BY ALL) AS area USING (area_code)
    JOIN marts.dim_period AS period ON fact.period = period.period
"""
#: What a call for a figure names.
_FIGURE_KEY = ("indicator_code", "area_code", "period", "caliber_id")
#: What tells the files below a figure apart.
_FILE_OF = ("role", "county_code", "part_period", "return_code", "submission_id")


@dataclass(frozen=True)
class _Below:
    """Covered counties; their figures by part of the period; the figures they are made of (role, indicator, period), or their
    files."""

    counties: list[dict[str, Any]]
    parts: dict[str, list[dict[str, Any]]]
    made_of: list[tuple[str, str, str]]
    shape: str
    sources: dict[tuple[str, str, str], list[Source]]


class _Reader:
    def __init__(self, connection: duckdb.DuckDBPyConnection, *, is_every: bool = False) -> None:
        self.connection = connection
        self.is_every = is_every
        self.kept: dict[tuple[Any, ...], _Below] = {}
        self.figures: dict[tuple[Any, ...], dict[str, Any]] = {}
        if is_every:
            rows = self._rows(f"{_FIGURES} ORDER BY indicator_code, fact.caliber_id, fact.period, area_code")
            self.figures = {tuple(row[name] for name in _FIGURE_KEY): row for row in rows}
        self.release_id = str(self._rows("SELECT release_id FROM marts.release")[0]["release_id"])
        self.versions: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(
            """SELECT submission_id, return_code, county_code, period, version_n, file_name
               FROM marts.mart_filing_version WHERE is_in_force ORDER BY period"""
        ):
            self.versions[row["submission_id"], row["return_code"], row["county_code"]].append(row)

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        cursor = self.connection.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def trace(self, indicator: str, area: str, period: str, caliber: str | None) -> Trace:
        figure = self._figure(indicator, area, period, caliber)
        totals = {role: figure[f"{role}_sum"] for role in ROLES if figure[f"{role}_sum"] is not None}
        if not totals:
            return Trace(self.release_id, figure, ())
        below = self._below(figure)
        of_area = [
            county
            for county in below.counties
            if figure["area_code"] in (county["area_code"], county["parent_area_code"])
        ]
        terms = tuple(
            Term(role, total, tuple(self._county_term(role, county, below) for county in of_area))
            for role, total in totals.items()
        )
        for term in terms:
            # The city's sides of a change are rolled up over the same counties and subtracted, they are no sums.
            if figure["shape"] not in _OF_VALUES:
                _prove(figure, term.role, term.total, (county.total for county in term.counties))
        _prove_value(figure)
        return Trace(self.release_id, figure, terms)

    def _below(self, figure: dict[str, Any]) -> "_Below":
        """What stands below the figures of an indicator, caliber and period: of all areas when every figure is asked for."""
        key = [figure[name] for name in ("indicator_code", "caliber_id", "period")]
        kept = (*key, None if self.is_every else figure["area_code"])
        if kept not in self.kept:
            counties = self._figures_of_counties(key, kept[-1], is_covered=self.is_every or figure["coverage_n"] > 0)
            codes = [county["area_code"] for county in counties]
            lineage = self._rows(
                """SELECT DISTINCT part_period, role, term, source_period FROM marts.mart_lineage_term
                   WHERE indicator_code = $1 AND caliber_id = $2 AND period = $3 ORDER BY ALL""",
                key,
            )
            made_of = [
                (row["role"], row["term"].removeprefix(_OF_INDICATOR), row["source_period"])
                for row in lineage
                if row["term"].startswith(_OF_INDICATOR)
            ]
            while len(self.kept) > 20:  # an indicator, and those that it is made of
                self.kept.pop(next(iter(self.kept)))
            self.kept[kept] = _Below(
                counties,
                self._figures_of_parts(key, counties, sorted({row["part_period"] for row in lineage})),
                made_of,
                figure["shape"],
                {} if made_of else self._sources(key, codes),
            )
        return self.kept[kept]

    def _figure(self, indicator: str, area: str, period: str, caliber: str | None) -> dict[str, Any]:
        if (known := self.figures.get((indicator, area, period, caliber))) is not None:
            return known
        rows = self._rows(
            f"""{_FIGURES}
                WHERE $1 IN (indicator.indicator_code, indicator.indicator_name)
                  AND $2 IN (area.area_code, area.area_name, area.area_name_en) AND fact.period = $3
                  AND (($4 IS NULL AND caliber.is_default) OR fact.caliber_id = $4 OR caliber.caliber_name = $4)""",
            [indicator, area, period, caliber],
        )
        if len(rows) != 1:
            raise NoSuchFigure(indicator, area, period, caliber)
        return rows[0]

    def _figures_of_counties(self, key: list[str], area_code: str | None, *, is_covered: bool) -> list[dict[str, Any]]:
        """The figures of the counties that a figure is the sum of: those that it covers, or, where none has a figure of its own
        (a zero below the line), all of them; a county's own figure is that of one county."""
        return self._rows(
            """SELECT fact.*, area.area_name, area.parent_area_code FROM marts.fct_indicator AS fact
               JOIN (SELECT area_code, any_value(parent_area_code) AS parent_area_code,
                            arg_max(area_name, valid_from) AS area_name, min(sort_order) AS sort_order
                     FROM marts.dim_area WHERE area_level = 'county' AND ($4 IS NULL OR $4 IN (area_code, parent_area_code))
                     GROUP BY area_code) AS area USING (area_code)
               WHERE indicator_code = $1 AND caliber_id = $2 AND period = $3 AND (coverage_n = expected_n OR NOT $5)
               ORDER BY area.sort_order, area_code""",
            [*key, area_code, is_covered],
        )

    def _figures_of_parts(
        self, key: list[str], counties: list[dict[str, Any]], periods: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """County → its figures of the reported periods that make up the figure's period."""
        if periods == [key[2]]:
            return {county["area_code"]: [county] for county in counties}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(
            """SELECT * FROM marts.fct_indicator
               WHERE indicator_code = $1 AND caliber_id = $2 AND list_contains($3, period) AND list_contains($4, area_code)
               ORDER BY period""",
            [key[0], key[1], periods, [county["area_code"] for county in counties]],
        ):
            found[row["area_code"]].append(row)
        return found

    def _sources(self, key: list[str], counties: list[str]) -> dict[tuple[str, str, str], list[Source]]:
        """(role, county, part of the period) → the files below with their cells, in the order of the sheets."""
        by_file: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(
            """SELECT term.role, term.part_period, term.sign, cell.* FROM marts.mart_lineage_term AS term
               JOIN marts.mart_lineage_cell AS cell ON term.term = cell.term AND term.source_period = cell.period
               WHERE indicator_code = $1 AND caliber_id = $2 AND term.period = $3 AND list_contains($4, cell.county_code)
                 AND (term.county_code IS NULL OR term.county_code = cell.county_code)
               ORDER BY cell.return_code, cell.submission_id, cell.sheet, cell.source_row, cell.cell, term.sign DESC""",
            [*key, counties],
        ):
            by_file[tuple(row[name] for name in _FILE_OF)].append(row)
        found: dict[tuple[str, str, str], list[Source]] = defaultdict(list)
        for (role, county, part, return_code, submission_id), rows in by_file.items():
            versions = self.versions[submission_id, return_code, county]
            # One file may fill several periods of a return; a register counts in the quarters of its school year.
            same_period = [one for one in versions if one["period"] == rows[0]["period"]]
            version = next(iter(same_period or versions), None)
            if version is None:
                raise TraceMismatch(f"{submission_id} is in force in no filing of {return_code}")
            cells = tuple(_cell(row) for row in rows)
            found[role, county, part].append(
                Source(return_code, version["period"], submission_id, version["file_name"], version["version_n"],
                       _sum(cell.contribution for cell in cells if cell.contribution is not None), cells)
            )  # fmt: skip
        return found

    def _county_term(self, role: str, county: dict[str, Any], below: "_Below") -> CountyTerm:
        parts = []
        for figure in below.parts[county["area_code"]]:
            if below.made_of:
                parts.append(self._part_of_figures(role, figure, below))
            else:
                sources = tuple(below.sources.get((role, county["area_code"], figure["period"]), ()))
                is_of_units = below.shape in _OF_UNITS
                total = figure[f"{role}_sum"] if is_of_units else _sum(source.total for source in sources)
                parts.append(Part(figure["period"], total, sources))
            _prove(figure, role, figure[f"{role}_sum"], [parts[-1].total])
        _prove(county, role, county[f"{role}_sum"], (part.total for part in parts))
        return CountyTerm(county["area_code"], county["area_name"], county[f"{role}_sum"], tuple(parts))

    def _part_of_figures(self, role: str, figure: dict[str, Any], below: "_Below") -> Part:
        """What figures of the county come to in a role: judged and met (a county that fails one is judged, whatever is missing beside
        it), subtracted, or averaged (weights are not published, so the sum is as stated)."""
        traces = tuple(
            self._of_county(code, figure, period) for of_role, code, period in below.made_of if of_role == role
        )
        stated = figure[f"{role}_sum"]
        if below.shape == "change":
            total = _sum(one.figure["value"] for one in traces if one.figure["value"] is not None)
        elif below.shape == "mean_of":
            total = stated or Decimal(0)
        else:
            verdicts = [one.figure["is_standard_met"] for one in traces]
            is_judged = False in verdicts or None not in verdicts
            total = Decimal(is_judged if role == "denominator" else all(verdicts))
        return Part(figure["period"], total, (), traces)

    def _of_county(self, indicator: str, figure: dict[str, Any], period: str) -> Trace:
        """The figure of the same county that another is made of: by the same caliber, or by the default one of its own kind."""
        try:
            return self.trace(indicator, figure["area_code"], period, figure["caliber_id"])
        except NoSuchFigure:
            return self.trace(indicator, figure["area_code"], period, None)


def _cell(row: dict[str, Any]) -> Cell:
    contribution = row["contribution"]
    return Cell(
        row["sheet"], row["source_row"], row["cell"], row["row_label"], row["column_label"], row["sign"], row["value"],
        row["multiplier"], row["multiplier_cell"], None if contribution is None else row["sign"] * contribution,
        row["missing_code"], row["included_in_label"],
    )  # fmt: skip


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def _prove(figure: dict[str, Any], role: str, stated: Decimal | None, below: Iterable[Decimal]) -> None:
    found = _sum(below)
    if stated is None or stated != found:
        place = "/".join(str(figure[name]) for name in ("indicator_code", "caliber_id", "period", "area_code"))
        raise TraceMismatch(f"{place}: {role} is {stated}, what stands below adds up to {found}")


def _prove_value(figure: dict[str, Any]) -> None:
    """The value follows from its four sums, half up to four decimals, in whole numbers; a change from its two sides."""
    if figure["value"] is None or figure["shape"] in ("dispersion", "quantile"):
        return
    numerator, base, denominator, other_base = (figure[f"{role}_sum"] for role in ROLES)
    if figure["shape"] == "change":
        value = numerator - denominator
        if value != figure["value"]:
            value = quotient(denominator - numerator, None, denominator, None, factor=100)
    elif figure["shape"] == "count":
        value = quotient(numerator, None, Decimal(1), None, factor=figure["factor"])
    else:
        value = quotient(numerator, base, denominator, other_base, factor=figure["factor"])
    if value != figure["value"]:
        raise TraceMismatch(f"{figure['indicator_code']}: {figure['formula']} gives {value}")
