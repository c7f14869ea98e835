"""`raw/`: every submission's bytes, unchanged, under their SHA-256, and beside them a sidecar of how they arrived.

    raw/submissions/ab/abcd…         the bytes
    raw/submissions/ab/abcd….json    {"submission_id", "size_bytes", "receipts": [{county_code, file_name, source_uri,
                                      modified_at, collected_at, received_at, batch_id if it came in a zip}],
                                      "batch": {"members": [submission ids]} if it is a zip of returns,
                                      "erased": {at, by, reason, screening} if the bytes were erased}

The same bytes are kept once, however often and from wherever they come; each arrival is a receipt. Nothing here is ever
changed, and everything in the warehouse follows from it. Removed are the bytes of a quarantined file alone, and only by the bureau
(`erase`): the sidecar stays, says so, and holds what screening made of them. Numbers of persons in names are never written down: a name
is kept masked, with what was found in it beside it.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pipelines.files import replace_file, sync_folder
from pipelines.screening.personal_data import Where, mask_personal, search
from pipelines.screening.screen import Receipt, Submission
from pipelines.times import utc

_CHUNK = 1 << 20


class TooLarge(Exception):
    """The bytes exceed the limit; nothing was kept."""


class AlreadyErased(Exception):
    """The bytes are those of a submission that the bureau has erased; nothing was kept."""


@dataclass(frozen=True)
class Erasure:
    """That a submission's bytes were erased: when (ISO 8601 in UTC), by whom and why. `screening`: what screening had made of them, as
    `screen.recorded` gives it; nothing of a zip, of which nothing is ever said."""

    at: str
    by: str
    reason: str
    screening: dict[str, Any] | None = None


@dataclass(frozen=True)
class Arrival:
    """One receipt as the sidecar holds it; times are ISO 8601 in UTC. `batch_id`: the zip that it came in, if any. `name_held`: what of
    persons its name held before it was masked, as JSON: (rule, value masked) of each.
    """

    county_code: str
    file_name: str
    source_uri: str
    modified_at: str
    collected_at: str
    received_at: str
    batch_id: str | None = None
    name_held: str = ""

    def as_json(self) -> dict[str, str]:
        """The fields that are set."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    @property
    def personal(self) -> tuple[tuple[str, str], ...]:
        """`name_held`, read."""
        return tuple((rule_id, value) for rule_id, value in json.loads(self.name_held or "[]"))

    def masked(self) -> "Arrival":
        """The same without numbers of persons in its names."""
        held = [[found.rule_id, found.value] for found in search([(Where(place="文件名"), self.file_name)])]
        return replace(
            self,
            file_name=mask_personal(self.file_name),
            source_uri=mask_personal(self.source_uri),
            name_held=json.dumps(held, ensure_ascii=False) if held else self.name_held,
        )


@dataclass(frozen=True)
class RawSubmission:
    """One submission of the store. `batch_members`: for a zip of returns, the submissions that were in it. `erased`: its bytes are gone."""

    submission_id: str
    size_bytes: int
    arrivals: tuple[Arrival, ...]
    batch_members: tuple[str, ...] = ()
    erased: Erasure | None = None

    @property
    def first(self) -> Arrival:
        """The earliest arrival, whatever order they were recorded in."""
        return min(self.arrivals, key=lambda arrival: (arrival.received_at, arrival.county_code, arrival.file_name))

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The earliest receipt of each county, with every time that it sent the bytes."""
        earliest: dict[str, Arrival] = {}
        collected: dict[str, list[datetime]] = {}
        for arrival in sorted(self.arrivals, key=lambda arrival: (arrival.received_at, arrival.file_name)):
            earliest.setdefault(arrival.county_code, arrival)
            collected.setdefault(arrival.county_code, []).append(utc(arrival.collected_at))
        return tuple(
            Receipt(code, arrival.file_name, utc(arrival.received_at), tuple(sorted(collected[code])), arrival.personal)
            for code, arrival in sorted(earliest.items())
        )

    @property
    def receipts_digest(self) -> str:
        """Changes when a receipt is added that could change the screening: another county's, or an earlier one. (What a lock kept
        out is looked at again with every arrival.)"""
        plain = [(receipt.county_code, receipt.received_at.isoformat()) for receipt in self.receipts]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


class RawStore:
    """The submissions under one `raw/` folder."""

    def __init__(self, raw: Path) -> None:
        self.folder = raw / "submissions"

    def path(self, submission_id: str) -> Path:
        return self.folder / submission_id[:2] / submission_id

    def _sidecar(self, submission_id: str) -> Path:
        return self.path(submission_id).with_suffix(".json")

    def keep(self, stream: IO[bytes], *, max_bytes: int) -> tuple[str, int]:
        """Copy a stream into the store; returns (SHA-256, size). Raises TooLarge beyond `max_bytes`, AlreadyErased.

        The submission exists only once its sidecar does: a crash between the two leaves bytes that the next pull finds again.
        """
        incoming = self.folder / ".incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(dir=incoming)
        try:
            with os.fdopen(descriptor, "wb") as aside:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    if size > max_bytes:
                        raise TooLarge
                    digest.update(chunk)
                    aside.write(chunk)
                aside.flush()
                os.fsync(aside.fileno())
            submission_id = digest.hexdigest()
            known = self.get(submission_id)
            if known and known.erased:
                raise AlreadyErased(submission_id)
            target = self.path(submission_id)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(name).chmod(0o400)
                Path(name).replace(target)
                sync_folder(target.parent)
            return submission_id, size
        finally:
            Path(name).unlink(missing_ok=True)

    def record(
        self, submission_id: str, size_bytes: int, arrival: Arrival, *, batch_members: Sequence[str] = ()
    ) -> bool:
        """Add a receipt; returns whether the submission is new."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two inboxes may hold the same bytes at once
            return self._record(submission_id, size_bytes, arrival, tuple(batch_members))

    def _record(self, submission_id: str, size_bytes: int, arrival: Arrival, batch_members: tuple[str, ...]) -> bool:
        known = self.get(submission_id)
        arrival = arrival.masked()
        arrivals = list(known.arrivals) if known else []
        members = batch_members or (known.batch_members if known else ())
        place = (arrival.county_code, arrival.source_uri, arrival.modified_at)
        is_new_place = all(place != (other.county_code, other.source_uri, other.modified_at) for other in arrivals)
        if is_new_place or (known and members != known.batch_members):
            arrivals += [arrival] if is_new_place else []
            self.write(
                RawSubmission(submission_id, size_bytes, tuple(arrivals), members, known.erased if known else None)
            )
        return known is None

    def erase(self, submission_id: str, erasure: Erasure) -> None:
        """Remove a submission's bytes for good. Written down first: a crash in between is finished by doing it again.

        Raises LookupError for a submission that is not there.
        """
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entry = self.get(submission_id)
            if entry is None:
                raise LookupError(submission_id)
            if entry.erased is None:
                masked = tuple(arrival.masked() for arrival in entry.arrivals)
                self.write(replace(entry, arrivals=masked, erased=erasure))
            path = self.path(submission_id)
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def write(self, entry: RawSubmission) -> None:
        """Write a submission's sidecar, whose bytes lie there already."""
        content: dict[str, Any] = {
            "submission_id": entry.submission_id,
            "size_bytes": entry.size_bytes,
            "receipts": [arrival.as_json() for arrival in entry.arrivals],
        }
        if entry.batch_members:
            content["batch"] = {"members": list(entry.batch_members)}
        if entry.erased:
            content["erased"] = asdict(entry.erased)
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        replace_file(self._sidecar(entry.submission_id), text.encode())

    def get(self, submission_id: str) -> RawSubmission | None:
        sidecar = self._sidecar(submission_id)
        return _read(sidecar) if sidecar.exists() else None

    def __iter__(self) -> Iterator[RawSubmission]:
        """Every submission, by id."""
        for sidecar in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json")):
            yield _read(sidecar)

    def to_screen(self, entry: RawSubmission) -> Submission:
        """A stored submission as screening takes it."""
        return Submission(
            entry.submission_id,
            self.path(entry.submission_id),
            entry.first.file_name,
            entry.receipts,
            erased=(entry.erased.screening or {}) if entry.erased else None,
        )


def _read(sidecar: Path) -> RawSubmission:
    content = json.loads(sidecar.read_bytes())
    arrivals = tuple(Arrival(**receipt) for receipt in content["receipts"])
    members = tuple(content.get("batch", {}).get("members", ()))
    erased = Erasure(**content["erased"]) if "erased" in content else None
    return RawSubmission(content["submission_id"], content["size_bytes"], arrivals, members, erased)
