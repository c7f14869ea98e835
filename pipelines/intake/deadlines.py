"""The deadline record: who had sent nothing when a due date had passed.

Belongs here: taking and keeping the observation. It is made at a moment and cannot be made again afterwards, so it lies in `raw/`:

    raw/lateness/2025-03-05.json     [{return_code, county_code, period, due_on}]
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.returns import reference_on


@dataclass(frozen=True)
class Late:
    """A filing that was due before `observed_on` and of which nothing acceptable was there on that day."""

    return_code: str
    county_code: str
    period: str
    due_on: str
    observed_on: str


def record_late(home: Home, received: set[tuple[str, str, str]], *, on: date) -> list[Late]:
    """Record every expected filing that is overdue on a day and not in `received` ((return, county, period) slots).

    A day is recorded once: what was seen then stays, whatever arrives later.
    """
    path = home.raw / "lateness" / f"{on.isoformat()}.json"
    if not path.exists():
        late = [
            {
                "return_code": filing.return_code,
                "county_code": filing.county_code,
                "period": filing.period.code,
                "due_on": filing.due_on.isoformat(),
            }
            for filing in home.municipality.expected_filings(reference_on)
            if filing.due_on < on and (filing.return_code, filing.county_code, filing.period.code) not in received
        ]
        replace_file(path, (json.dumps(late, ensure_ascii=False, indent=1) + "\n").encode())
    return list(_read(path))


def all_late(home: Home) -> list[Late]:
    """Every record ever taken, by day."""
    return [late for path in sorted((home.raw / "lateness").glob("*.json")) for late in _read(path)]


def last_observed_on(home: Home) -> date | None:
    """The newest day that was recorded, whether or not anybody was late on it."""
    days = sorted(path.stem for path in (home.raw / "lateness").glob("*.json"))
    return date.fromisoformat(days[-1]) if days else None


def _read(path: Path) -> Iterator[Late]:
    for entry in json.loads(path.read_bytes()):
        yield Late(**entry, observed_on=path.stem)


def as_rows(records: list[Late]) -> list[tuple[str, ...]]:
    """The records as rows of `landing.lateness`."""
    return [tuple(asdict(late).values()) for late in records]
