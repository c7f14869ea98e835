"""The warehouse as it was known at another moment: made again from `raw/`, aside, by the same landing and the same models.

Belongs here: cutting `raw/` down to what was known (by links; no bytes are copied), building over it, and what that proves of a
release. The published file, the private databases and the log of decisions stay as they are; the writer's lock is not needed,
since nothing in `raw/` is ever changed.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines.files import folder_aside, replace_file
from pipelines.home import Home
from pipelines.intake.deadlines import last_observed_on
from pipelines.intake.raw_store import RawStore
from pipelines.intake.source_notes import note_files, read_note
from pipelines.policy.in_force import PolicyFiles, known_in, lay_over
from pipelines.policy.kept import held_files, home_with, keep, known_by
from pipelines.releases.held_file import differing_tables, what_is_wrong
from pipelines.releases.publish import Stamped, refusal, refuse_lost_manifest, stamp, swap_in
from pipelines.releases.release import (
    Inputs,
    Manifest,
    NoSuchRelease,
    ReleaseLog,
    TableContent,
    Versions,
    inputs_of,
    known_submissions,
)
from pipelines.times import end_of_day, utc
from pipelines.warehouse.landing import build_marts, land_new

Progress = Callable[[int, int], None]


class ReconstructionFault(RuntimeError):
    """Something of what was known then could not be screened; no partial warehouse is given out (Chinese)."""


@dataclass(frozen=True)
class Verified:
    """A release held against its making again. `differing`: table → why; `kept_differs`: tables of the kept file that are no longer
    what was published; `published_wrong`: why the published file is not this release, where it should be (Chinese), None when it is;
    `other_versions`: what it was made by, where that is not what it is made by today: (then, now)."""

    manifest: Manifest
    differing: dict[str, str]
    kept_differs: tuple[str, ...]
    other_versions: dict[str, tuple[str, str]]
    published_wrong: str | None = None

    @property
    def holds(self) -> bool:
        return not self.differing and not self.kept_differs and self.published_wrong is None


@contextmanager
def home_aside(home: Home, inputs: Inputs, configuration: bytes, release: str) -> Iterator[Home]:
    """A home with what the inputs of a release name and nothing else, gone afterwards. Raises ReleaseLogDamaged or DecisionLogDamaged
    when `raw/` has been changed."""
    known = known_submissions(home, inputs)
    policy = held_files(home, inputs.policy)
    with folder_aside(home.private) as root:
        aside = home_with(root, policy)
        aside.configuration.write_bytes(configuration)
        moment = end_of_day(inputs.as_of) if inputs.as_of else None
        _link_submissions(RawStore(home.raw), RawStore(aside.raw), known, moment)
        home.decisions.prove(inputs.decisions_n, inputs.decisions_sha256, release)
        home.decisions.copy(aside.raw, inputs.decisions_n, moment)
        last_day = min((day for day in (inputs.lateness_until, inputs.as_of) if day), default=None)
        for path in sorted((home.raw / "lateness").glob("*.json")) if inputs.lateness_until else ():
            if last_day is not None and path.stem <= last_day:
                _link(path, aside.raw / "lateness" / path.name)
        for path in note_files(home)[: inputs.source_notes_n]:
            note = read_note(path)
            if moment is None or note is None or utc(note.observed_at) <= moment:  # of a damaged one landing says so
                _link(path, aside.raw / "sources" / path.name)
        if (home.raw / "reply.key").exists():
            _link(home.raw / "reply.key", aside.raw / "reply.key")
        yield aside


def _link_submissions(source: RawStore, target: RawStore, known: dict[str, int], moment: datetime | None) -> None:
    for entry in source:
        arrivals = [
            arrival
            for arrival in entry.arrivals[: known.get(entry.submission_id, 0)]
            if moment is None or utc(arrival.received_at) <= moment
        ]
        if arrivals:
            if entry.erased is None and source.path(entry.submission_id).exists():  # else landing says what is wrong
                _link(source.path(entry.submission_id), target.path(entry.submission_id))
            target.write(replace(entry, arrivals=tuple(arrivals)))


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def build_aside(aside: Home, as_of: str | None, progress: Progress | None = None) -> Stamped:
    """Land, model and stamp a home aside. Raises ReconstructionFault, DbtFault, ValidationFault."""
    with aside.writing():
        landed = land_new(aside, progress=progress)
        if landed.faults:
            told = "；".join(f"{submission_id[:16]}：{fault}" for submission_id, fault in landed.faults.items())
            raise ReconstructionFault(f"有报送件未能审核：{told}")
        build_marts(aside, everything=True)
        return stamp(aside, end_of_day(as_of) if as_of else None)


def publish_as_of(
    home: Home, day: str, *, out: Path | None = None, progress: Progress | None = None
) -> tuple[Manifest, Path]:
    """The warehouse as it was known at the end of a day in Beijing (YYYY-MM-DD), by the policy that was in force then (the earliest
    that is known, where the day lies before) and the rules and configuration of today.

    It becomes a release of its own and its file is kept like any other's (or written to `out`); what is published stays. Raises as
    `build_aside` does, and ReleaseLogDamaged or ReconstructionFault where `raw/` lacks what was published before.
    """
    _refuse_lost(home)
    policy = known_by(home, end_of_day(day))
    if policy is None:
        with home.writing():
            policy = keep(home, PolicyFiles.of_home(home))
    files = held_files(home, policy.files)
    in_force = lay_over(files, known_in(home.municipality, files))
    if home.municipality.publish.require_policy and (samples := in_force.samples()):
        raise ReconstructionFault(refusal(samples))
    inputs = inputs_of(
        home,
        {entry.submission_id: len(entry.arrivals) for entry in RawStore(home.raw)},
        decisions=home.decisions.head(),
        lateness_until=observed_on.isoformat() if (observed_on := last_observed_on(home)) else None,
        source_notes_n=len(note_files(home)),
        policy=policy.files,
        as_of=day,
    )
    with home_aside(home, inputs, home.configuration.read_bytes(), f"（截至 {day}）") as aside:
        stamped = build_aside(aside, day, progress)
        swap_in(aside)
        with home.writing():  # a run that is at work ends first
            log = ReleaseLog(home)
            manifest = log.append(
                stamped.release_id, inputs, Versions.of_today(), stamped.tables, aside.published.stat().st_size,
                datetime.now(UTC),
            )  # fmt: skip
            kept = log.keep(manifest, aside.published)
            log.forget_old()
    if out is not None:
        out.with_name(out.name + ".wal").unlink(missing_ok=True)  # of a file that lay there before
        replace_file(out, kept.read_bytes())
        replace_file(out.with_suffix(".manifest.json"), manifest.as_json())
    return manifest, out or kept


def _refuse_lost(home: Home) -> None:
    """What `raw/` has lost since the newest release must not be left out of another one without a word."""
    refuse_lost_manifest(home)
    if newest := ReleaseLog(home).newest():
        known_submissions(home, newest.inputs)
    if damaged := RawStore(home.raw).damaged_sidecars():
        raise ReconstructionFault("；".join(damaged.values()))


def restore(home: Home, manifest: Manifest, progress: Progress | None = None) -> Path:
    """The file of a release; made again where it is no longer kept. Raises NoSuchRelease when it comes out otherwise than it was
    published, and as `verify` does."""
    log = ReleaseLog(home)
    if kept := log.kept_file(manifest):
        return kept
    with home_aside(home, manifest.inputs, log.held(manifest.inputs.configuration), manifest.release_id) as aside:
        made = build_aside(aside, manifest.as_of, progress)
        if made.release_id != manifest.release_id:
            raise NoSuchRelease(
                f"发布 {manifest.release_id} 的文件已不保留，由 raw/ 重算的内容又与当时不同（规则、口径或程序已变），不能拿来用。"
            )
        swap_in(aside)
        with home.writing():
            return log.keep(manifest, aside.published)


def verify(home: Home, manifest: Manifest, progress: Progress | None = None) -> Verified:
    """Make a release again from `raw/` and compare every table's content. Raises as `home_aside` and `build_aside` do."""
    log = ReleaseLog(home)
    kept = log.kept_file(manifest)
    with home.writing():  # a run that publishes ends first
        published_wrong = _published_wrong(home, manifest) if manifest == log.newest() else None
    with home_aside(home, manifest.inputs, log.held(manifest.inputs.configuration), manifest.release_id) as aside:
        made = build_aside(aside, manifest.as_of, progress).tables
    return Verified(
        manifest,
        _differences(manifest.tables, made),
        differing_tables(kept, manifest) if kept else (),
        other_versions(manifest),
        published_wrong,
    )


def _published_wrong(home: Home, manifest: Manifest) -> str | None:
    """As `what_is_wrong`, and every row is read."""
    if not home.published.exists():
        return "不见了"
    differing = differing_tables(home.published, manifest)
    return f"的内容与发布清单不符（{'、'.join(differing)}）" if differing else what_is_wrong(home, manifest)


def _differences(then: dict[str, TableContent], now: dict[str, TableContent]) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in sorted({*then, *now}):
        if table not in now:
            found[table] = "重算后没有这张表"
        elif table not in then:
            found[table] = "发布时没有这张表"
        elif then[table].rows_n != now[table].rows_n:
            found[table] = f"发布时 {then[table].rows_n} 行，重算 {now[table].rows_n} 行"
        elif then[table] != now[table]:
            found[table] = f"{now[table].rows_n} 行，内容不同"
    return found


def other_versions(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """What a release was made by that is not what this installation is: name → (then, now)."""
    then, now = manifest.versions, Versions.of_today()
    found = {
        name: (before, after)
        for name, before, after in (
            ("程序", then.code, now.code),
            ("审核规则", then.rules, now.rules),
            ("模型与口径", then.models, now.models),
        )
        if before != after
    }
    for return_code in sorted({*then.returns, *now.returns}):
        before, after = then.returns.get(return_code), now.returns.get(return_code)
        if before != after:
            found[f"报表 {return_code}"] = (f"第 {before} 版", f"第 {after} 版")
    return found
