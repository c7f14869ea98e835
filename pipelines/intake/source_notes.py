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

from pipelines.files import sync_folder
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
    aside = folder / f".{code}.{os.getpid()}.part"
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(content + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    number = len(notes) + 1
    try:
        while True:
            try:
                os.link(
                    aside, folder / f"{number:06d}.json"
                )  # sources are looked at side by side: each takes a number of its own
                break
            except FileExistsError:
                number += 1
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(folder)


def all_notes(home: Home) -> list[SourceNote]:
    """Every note ever taken, in the order in which they were."""
    return [SourceNote(**json.loads(path.read_bytes())) for path in note_files(home)]


def note_files(home: Home) -> list[Path]:
    return sorted(_folder(home).glob("[0-9]*.json"))


def as_rows(notes: list[SourceNote]) -> list[tuple[object, ...]]:
    """The notes as rows of `landing.source_note`."""
    return [
        (number, note.county_code, utc(note.observed_at), note.problem) for number, note in enumerate(notes, start=1)
    ]


def _folder(home: Home) -> Path:
    return home.raw / "sources"


def _kind(problem: str | None) -> str | None:
    return None if problem is None else _PASSING.sub("#", problem)
