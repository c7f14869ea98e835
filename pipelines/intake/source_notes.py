"""When a source could not be read, and when it could again: written down as it changes, since it cannot be observed afterwards.

Belongs here: the log and what counts as a change. What is wrong with a source, `collect` says.

    raw/sources/000001.json     {"county_code", "observed_at", "problem": in Chinese words, null when it could be read again}
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.files import aside_name, hold, sync_folder
from pipelines.home import Home
from pipelines.times import utc

#: What differs from one failure to the next of the same kind: counts, ports, addresses in memory.
_PASSING = re.compile(r"0x[0-9a-fA-F]+|\d+")
_LONGEST = 500


@dataclass(frozen=True)
class SourceNote:
    """Since `observed_at` (ISO, UTC) a county's or reference's source cannot be read (`problem`), or can again (None)."""

    county_code: str
    observed_at: str
    problem: str | None


def note_source(home: Home, code: str, problem: str | None, *, now: datetime) -> None:
    """Write down how a look at a source ended, where that is not how the last one did."""
    notes = all_notes(home)
    before = next((note.problem for note in reversed(notes) if note.county_code == code), None)
    problem = problem[:_LONGEST] if problem else None
    if _kind(before) == _kind(problem):
        return
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(asdict(SourceNote(code, now.astimezone(UTC).isoformat(), problem)), ensure_ascii=False)
    aside = folder / aside_name(code)
    number = max((int(path.stem) for path in note_files(home)), default=0) + 1
    try:
        with aside.open("w", encoding="utf-8") as stream:
            hold(stream.fileno())
            stream.write(content + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        while True:  # sources are looked at side by side: each takes a number of its own
            try:
                os.link(aside, folder / f"{number:06d}.json")
                break
            except FileExistsError:
                number += 1
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(folder)


def all_notes(home: Home) -> list[SourceNote]:
    """Every note ever taken, in the order in which they were; those that cannot be read are left out, see `damaged_notes`."""
    return [note for path in note_files(home) if (note := read_note(path)) is not None]


def damaged_notes(home: Home) -> dict[str, str]:
    """File name → in words (Chinese) that it cannot be read. An observation cannot be made again: only a backup has it."""
    return {
        f"sources/{path.name}": f"raw/sources/{path.name} 读不出来，何时起读不到某个来源的这一条记录没有用上；请从备份恢复这个文件"
        for path in note_files(home)
        if read_note(path) is None
    }


def note_files(home: Home) -> list[Path]:
    return sorted(path for path in _folder(home).glob("[0-9]*.json") if path.stem.isdecimal())


def read_note(path: Path) -> SourceNote | None:
    """None when it is not what `note_source` has written."""
    try:
        note = SourceNote(**json.loads(path.read_bytes()))
        utc(note.observed_at)
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    is_right = isinstance(note.county_code, str) and isinstance(note.problem, str | None)
    return note if is_right else None


def as_rows(notes: list[SourceNote]) -> list[tuple[object, ...]]:
    """The notes as rows of `landing.source_note`."""
    return [
        (number, note.county_code, utc(note.observed_at), note.problem) for number, note in enumerate(notes, start=1)
    ]


def _folder(home: Home) -> Path:
    return home.raw / "sources"


def _kind(problem: str | None) -> str | None:
    return None if problem is None else _PASSING.sub("#", problem)
