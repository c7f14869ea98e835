"""What screening needs to know of a home: counties, calendar, limits, decisions.

Belongs here: taking these from the configuration. Screening itself is given them and knows no home.
"""

import secrets
from dataclasses import dataclass, field

from pipelines.decisions import Decision
from pipelines.home import Home
from pipelines.municipality import CountyName, Municipality
from pipelines.workbooks.bounded import Budget, ReadLimits

#: What is held of one county's files, and of all, for judging them together; a return of a county takes some 20 kB.
_COUNTY_BYTES, _BATCH_BYTES = 32 << 20, 128 << 20


@dataclass(frozen=True)
class ScreenSettings:
    """What screening knows of the municipality. `periods`: return code → period codes of the calendar; `decisions`: the bureau's log;
    `reply_key`: what the home signs its queries with."""

    counties: tuple[CountyName, ...]
    periods: dict[str, set[str]] = field(default_factory=dict)
    limits: ReadLimits = ReadLimits()
    decisions: tuple[Decision, ...] = ()
    reply_key: str = ""


def screen_settings(home: Home) -> ScreenSettings:
    """What screening needs to know of the municipality. Raises ConfigurationError, DecisionLogDamaged."""
    periods: dict[str, set[str]] = {}
    for row in home.municipality.calendar_rows():
        periods.setdefault(row.return_code, set()).add(row.period.code)
    return ScreenSettings(
        counties=tuple(home.municipality.county_name(county) for county in home.municipality.counties),
        periods=periods,
        limits=read_limits(home.municipality),
        decisions=tuple(home.decisions),
        # Without a key nothing was ever asked, and no reply is known; looking at a file must not make one.
        reply_key=home.reply_key if (home.raw / "reply.key").exists() else secrets.token_hex(32),
    )


def read_limits(municipality: Municipality) -> ReadLimits:
    """What one file may cost."""
    limits = municipality.limits
    return ReadLimits(
        file_bytes=limits.file_mebibytes * 2**20,
        cells=limits.cells,
        seconds=limits.seconds,
        memory_bytes=limits.memory_mebibytes * 2**20,
        characters=limits.characters,
    )


def batch_budget(municipality: Municipality) -> Budget:
    """What the files of one county, and all files, may cost in one run: one county's must not keep the others waiting."""
    limits = municipality.limits
    return Budget(
        county_seconds=limits.county_seconds,
        batch_seconds=limits.batch_seconds,
        county_bytes=_COUNTY_BYTES,
        batch_bytes=_BATCH_BYTES,
    )
