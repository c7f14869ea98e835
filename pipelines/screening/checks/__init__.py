"""The kinds of checks: each a Great Expectations expectation that knows how it is computed, worded and shown in the workbook.

Belongs here: kinds, and the engine by which GX runs them on Polars. What is asked of a return is data (`expectations/<return>.yaml`, read by
`screening.rules`). Importing this package imports GX, which takes seconds: import it inside the function that judges. In an ordinary GX
project, import it before a suite is read: GX drops expectations that it does not know, and says so in its log alone.
"""

import os

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when GX is imported: no event leaves the machine

from pipelines.screening.checks import cells, dates, figures, rows, sums
from pipelines.screening.checks.check import Check, Mistake


def _all(kind: type[Check]) -> list[type[Check]]:
    return [one for sub in kind.__subclasses__() for one in ([sub] if "check" in vars(sub) else []) + _all(sub)]


#: Name in a catalogue → class.
KINDS: dict[str, type[Check]] = {kind.check: kind for kind in _all(Check) if kind.__module__.startswith(__name__)}
#: Kinds that follow from a definition, one for each column or for the form; none stands in a catalogue.
MADE_FROM_DEFINITIONS = ("reads_as", "text_number", "not_reported")

__all__ = ["KINDS", "MADE_FROM_DEFINITIONS", "Check", "Mistake", "cells", "dates", "figures", "rows", "sums"]
