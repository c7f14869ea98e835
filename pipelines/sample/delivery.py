"""Dropping the sample into the county folders of a home.

Belongs here: when a file would have arrived, and writing it whole or not at all. A ledger beside the county folders
remembers what this package wrote: a second call with nothing new renders nothing, and a file that is no longer part of
the sample is taken away only if it is still byte for byte ours. Files of anybody else are never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

import xlsxwriter

from pipelines.periods import parse_period
from pipelines.returns import current_definitions
from pipelines.rule_files import definition_files
from pipelines.sample.faults import EXAMPLE, Fault, example_file, faulty_files
from pipelines.sample.layout import STYLES, lay_out
from pipelines.sample.queries import add_queried, sample_queries
from pipelines.sample.workbooks import render
from pipelines.sample.world import County, World, build_world

FOLDER = "counties"
LEDGER = ".sample.json"
ASIDE = ".sample-aside"
#: Where the example lies: no county's inbox, so that it never comes into the figures.
EXAMPLES = "examples"
#: Days from a period's reference day, its first or last, to the due date.
_DAYS_AFTER_START, _DAYS_AFTER_YEAR, _DAYS_AFTER_PART = 45, 60, 20


@dataclass(frozen=True)
class SampleReport:
    """What a call did: paths are relative to the home and sorted; `removed` are own files that left the sample; `example` is a file with
    slips that no county sends."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    faults: tuple[Fault, ...]
    example: str = ""


@dataclass(frozen=True)
class SampleFile:
    """One file to drop: path relative to the home, bytes, and the moment it is dropped (UTC)."""

    path: str
    content: bytes
    dropped_at: datetime


def write_sample(
    home: Path,
    *,
    faults: bool = False,
    seed: int = 2024,
    progress: Callable[[int, int], None] | None = None,
) -> SampleReport:
    """Write the sample into `<home>/counties/<county code>/` and say what was written.

    The same seed gives the same bytes and modification times. `progress` is told (files done, files in all).
    One call at a time for a home. Raises OSError when the home cannot be written to.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = _fingerprint(seed, faults)
    ledger = _read_ledger(folder)
    known: dict[str, list] = ledger["files"]  # path → [SHA-256, bytes, modification time in ns]
    if ledger["fingerprint"] == fingerprint and all(_stands(home / path, *entry[1:]) for path, entry in known.items()):
        if progress:
            progress(len(known), len(known))
        own = tuple(sorted(path for path in known if path != ledger["example"]))
        faults_known = tuple(Fault.from_dict(entry) for entry in ledger["faults"])
        return SampleReport((), own, (), faults_known, ledger["example"])
    world = build_world(seed)
    add_queried(world)
    placed: list[Fault] = []
    written, unchanged, files = [], [], {}
    total = files_n(world)
    with _aside(folder) as aside:
        for done, file in enumerate(sample_files(world, faults=faults, placed=placed), start=1):
            digest = hashlib.sha256(file.content).hexdigest()
            target = home / file.path
            dropped_ns = int(file.dropped_at.timestamp()) * 1_000_000_000
            if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
                unchanged.append(file.path)
            else:
                _write_whole(target, file.content, dropped_ns, aside)
                written.append(file.path)
            files[file.path] = [digest, len(file.content), target.stat().st_mtime_ns]
            if progress:
                progress(done, max(total, done))
        example = _example(world)
        if example:
            modified_ns = int(example.dropped_at.timestamp()) * 1_000_000_000
            _write_whole(home / example.path, example.content, modified_ns, aside)
            digest = hashlib.sha256(example.content).hexdigest()
            files[example.path] = [digest, len(example.content), (home / example.path).stat().st_mtime_ns]
        removed = _remove_stale(home, known, files)
        record = {
            "fingerprint": fingerprint,
            "files": files,
            "faults": [asdict(fault) for fault in placed],
            "example": example.path if example else "",
        }
        text = json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True)
        _write_whole(folder / LEDGER, text.encode(), None, aside)
    return SampleReport(
        tuple(sorted(written)), tuple(sorted(unchanged)), tuple(removed), tuple(placed), str(record["example"])
    )


def _example(world: World) -> SampleFile | None:
    """The example; None in a world without its county."""
    county_code, return_code, period = EXAMPLE
    county = next((county for county in world.counties if county.code == county_code), None)
    if county is None:
        return None
    dropped_at = dropped(county_code, period, return_code)
    filings = [(return_code, world.rows(return_code, county_code, period))]
    made = example_file(partial(lay_out, county, period, filings, dropped_at.date()))
    return SampleFile(f"{EXAMPLES}/{made.file_name}", made.content, dropped_at)


def sample_files(world: World, *, faults: bool, placed: list[Fault] | None = None) -> Iterator[SampleFile]:
    """Every file of the sample in a fixed order; faults that are placed are appended to `placed`."""
    for county in world.counties:
        for period, return_codes in _parcels(world, county):
            dropped_at = dropped(county.code, period, return_codes[0])
            filings = [(code, world.rows(code, county.code, period)) for code in return_codes]

            book = partial(lay_out, county, period, filings, dropped_at.date())
            if faults and len(return_codes) == 1:
                broken = faulty_files(book, county.code, return_codes[0], period)
                if broken is not None:
                    if placed is not None:
                        placed.extend(broken.faults)
                    if broken.second_version:
                        good = book()
                        yield SampleFile(f"{FOLDER}/{county.code}/{good.file_name}", render(good), dropped_at)
                        dropped_at += timedelta(days=2, hours=3)
                    yield SampleFile(f"{FOLDER}/{county.code}/{broken.file_name}", broken.content, dropped_at)
                    continue
            sound = book()
            yield SampleFile(f"{FOLDER}/{county.code}/{sound.file_name}", render(sound), dropped_at)


def files_n(world: World) -> int:
    """Files of the faultless sample."""
    return sum(1 for county in world.counties for _ in _parcels(world, county))


def due_after(return_code: str) -> tuple[Literal["start", "end"], int]:
    """When a return is due: so many days after the first or last day of its period."""
    defined = current_definitions()[return_code]
    if defined.reference_day == "start":
        return "start", _DAYS_AFTER_START
    is_of_years = defined.period_types[0] in ("school_year", "calendar_year")
    return "end", _DAYS_AFTER_YEAR if is_of_years else _DAYS_AFTER_PART


def due_on(return_code: str, period: str) -> date:
    """The day a return is due."""
    reported = parse_period(period)
    after, days = due_after(return_code)
    return (reported.start if after == "start" else reported.end) + timedelta(days=days)


def dropped(county_code: str, period: str, return_code: str) -> datetime:
    """When the county drops the file (UTC): in office hours, two to nine days early or, by habit, late."""
    rng = random.Random(f"{county_code}/{period}/{return_code}")
    late = STYLES[county_code].days_late
    days = late if late and rng.random() < 0.5 else -rng.randint(2, 9)
    # 9 to 17 o'clock in China is 1 to 9 o'clock UTC.
    return datetime.combine(due_on(return_code, period) + timedelta(days=days), time(1), UTC) + timedelta(
        minutes=rng.randrange(480)
    )


def _parcels(world: World, county: County) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(period, returns sent in one file) of a county."""
    bundled = {code: bundle for bundle in STYLES[county.code].bundles for code in bundle}
    for return_code, county_code, period in world.filings():
        if county_code != county.code:
            continue
        bundle = bundled.get(return_code, (return_code,))
        if return_code == bundle[0]:
            yield period, bundle


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A place on the same file system to write drafts in; what a killed call left there goes first."""
    aside = folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_whole(target: Path, content: bytes, modified_ns: int | None, aside: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = aside / "draft"
    with draft.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    if modified_ns is not None:
        os.utime(draft, ns=(modified_ns, modified_ns))
    draft.replace(target)


def _remove_stale(home: Path, known: dict[str, list], files: dict[str, list]) -> list[str]:
    removed = []
    for path in sorted(set(known) - set(files)):
        target = home / path
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == known[path][0]:
            target.unlink()
            removed.append(path)
    return removed


def _stands(path: Path, size: int, modified_ns: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_size == size and found.st_mtime_ns == modified_ns


def _read_ledger(folder: Path) -> dict:
    try:
        ledger = json.loads((folder / LEDGER).read_text("utf-8"))
        return {
            "fingerprint": ledger["fingerprint"],
            "files": dict(ledger["files"]),
            "faults": list(ledger["faults"]),
            "example": str(ledger.get("example", "")),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {"fingerprint": None, "files": {}, "faults": [], "example": ""}


def _fingerprint(seed: int, faults: bool) -> str:
    """Everything the bytes depend on: seed, code, data, form definitions, and the libraries that write."""
    package = Path(__file__).parent
    digest = hashlib.sha256(f"{seed}/{faults}/{xlsxwriter.__version__}/{zlib.ZLIB_RUNTIME_VERSION}".encode())
    returns = package.parent / "returns"
    sources = [*package.glob("*.py"), *package.glob("data/*"), *returns.glob("*.py"), *definition_files()]
    sources += sample_queries().values()
    sources.append(package.parent / "periods.py")
    for source in sorted(sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()
