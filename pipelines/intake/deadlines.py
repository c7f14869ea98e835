"""The deadline record: who had sent nothing when a due date had passed.

Belongs here: taking and keeping the observation. It is made at a moment and cannot be made again afterwards, so it lies in `raw/`:

    raw/lateness/2025-03-05.json     [{return_code, county_code, period, due_on}]
"""

import json
from contextlib import suppress
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
    return _read(path) or []


def all_late(home: Home) -> list[Late]:
    """Every record ever taken, by day; those that cannot be read are left out, see `damaged_records`."""
    return [late for path in _records(home) for late in _read(path) or ()]


def damaged_records(home: Home) -> dict[str, str]:
    """File name → in words (Chinese) that it cannot be read. An observation cannot be made again: only a backup has it."""
    return {
        path.name: f"raw/lateness/{path.name} 读不出来，这一天的缺报情况没有用上；请从备份恢复这个文件"
        for path in _records(home)
        if _read(path) is None
    }


def last_observed_on(home: Home) -> date | None:
    """The newest day that was recorded, whether or not anybody was late on it."""
    for path in reversed(_records(home)):
        with suppress(ValueError):  # a day that is none is among the damaged
            return date.fromisoformat(path.stem)
    return None


def _records(home: Home) -> list[Path]:
    return sorted((home.raw / "lateness").glob("[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9].json"))


def _read(path: Path) -> list[Late] | None:
    """None when it is not what `record_late` has written."""
    try:
        found = [Late(**entry, observed_on=path.stem) for entry in json.loads(path.read_bytes())]
        date.fromisoformat(path.stem)
        for late in found:
            date.fromisoformat(late.due_on)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if all(isinstance(value, str) for late in found for value in asdict(late).values()) else None


def as_rows(records: list[Late]) -> list[tuple[str, ...]]:
    """The records as rows of `landing.lateness`."""
    return [tuple(asdict(late).values()) for late in records]
