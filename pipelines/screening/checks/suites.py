"""A return's rules as a suite of Great Expectations, and our rows as a frame that an ordinary GX project can hand to it.

Belongs here: the exchange with GX projects of others. Screening itself hands its checks to the engine without a suite.
"""

from typing import Any

import great_expectations as gx
import polars as pl

from pipelines.returns import ReturnDefinition
from pipelines.screening.checks.check import Check
from pipelines.screening.rules import checks_of


def gx_suite(defined: ReturnDefinition) -> Any:
    """The suite of a version: every check with its parameters, severity, description and meta. Whoever reads it imports
    `pipelines.screening.checks` first: GX drops expectations that it does not know, and says so in its log alone."""
    name = f"{defined.return_code}_v{defined.version}"
    return gx.ExpectationSuite(name=name, expectations=list(checks_of(defined)))


def read_suite(content: dict[str, Any]) -> Any:
    """A suite as it was written. Raises ValueError when GX read fewer expectations than are in it."""
    suite = gx.ExpectationSuite(**content)
    kept = [one for one in suite.expectations if isinstance(one, Check)]
    if len(kept) != len(content["expectations"]):
        raise ValueError(f"{content.get('name')}: {len(content['expectations'])} expectations, {len(kept)} known")
    return suite


def as_pandas(frame: pl.DataFrame, periods: dict[int, str]) -> Any:
    """The frame of `tabulate` for a pandas batch of GX, with the period code of each filing in `period`."""
    period = pl.col("filing").replace_strict(periods, default=None, return_dtype=pl.String)
    return frame.with_columns(period.alias("period")).to_pandas()
