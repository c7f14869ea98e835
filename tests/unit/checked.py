"""Asking one rule of rows made up for it, by the very check that screens them.

Belongs here: from rows to what a check found, row by row. What is right stands in the tests.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl
from builders import table_of

from pipelines.periods import Period, parse_period
from pipelines.returns import ReturnDefinition, definition
from pipelines.screening.checks import Check
from pipelines.screening.checks.engine import Rows, judge
from pipelines.screening.checks.form import Form
from pipelines.screening.rules import checks_of, configurations
from pipelines.screening.tabulate import tabulate

Row = dict[str, Any]
#: A period of so many months.
PERIODS = {months: parse_period(code) for months, code in {1: "2024-08", 3: "2024Q3", 12: "2024"}.items()}


@dataclass(frozen=True)
class Asked:
    """Rows of one file as all checks of the return see them."""

    defined: ReturnDefinition
    frame: pl.DataFrame
    form: Form

    def check(self, rule_id: str) -> Check:
        return next(check for check in self.form.checks if check.rule_id == rule_id)

    def holds(self, rule: str | Check) -> list[bool | None]:
        """What a rule finds of each row, in the order of the sheet."""
        check = self.check(rule) if isinstance(rule, str) else rule
        places = check.places(self.form, self.frame)
        if places is None:
            return self.frame.select(check.truth(self.form)).to_series().to_list()
        found = self.frame.select("entry", "source_row").join(
            places.select("entry", "source_row", "holds"), on=["entry", "source_row"], how="left", maintain_order="left"
        )
        return found["holds"].to_list()

    def expected(self, rule_id: str) -> list[str | None]:
        """What a rule expects of each row's figure, as it is told."""
        (cell,) = self.check(rule_id).cells(self.form)
        return self.frame.select(cell.expected).to_series().to_list()

    def cells(self, rule_id: str) -> pl.DataFrame:
        """The cells in which a rule is broken, by one validation of Great Expectations over all of the return's."""
        known = configurations(self.defined.return_code, self.defined.version)
        return judge(Rows(self.frame.select(pl.exclude("^doubt__.*$")), self._plain_form), known)[rule_id].cells

    @property
    def _plain_form(self) -> Form:
        return Form(self.defined, self.form.checks, self.form.periods)


def asked(
    return_code: str,
    rows: list[Row],
    totals: list[Row] | None = None,
    *,
    period: Period | None = PERIODS[3],
    units: bool = True,
) -> Asked:
    """`units`: without the rule on a table's unit the numbers may be of any size."""
    defined = definition(return_code)
    frame = tabulate(defined, [(0, table_of(return_code, rows, totals))])
    checks = tuple(check for check in checks_of(defined) if units or check.check != "unit_of_column")
    form = Form(defined, checks, {0: period})
    for check in checks:
        form, frame = check.helpers(form, frame)
    return Asked(defined, frame, form)
