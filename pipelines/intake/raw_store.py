"""`raw/`: every submission's bytes, unchanged, under their SHA-256, and beside them a sidecar of how they arrived.

    raw/submissions/ab/abcd…         the bytes
    raw/submissions/ab/abcd….json    {"submission_id", "size_bytes", "receipts": [{county_code, file_name, source_uri,
                                      modified_at, collected_at, received_at, batch_id if it came in a zip,
                                      place: where in the source it lay}],
                                      "batch": {"members": [submission ids]} if it is a zip of returns}

The same bytes are kept once, however often and from wherever they come; each time that they were sent is a receipt (what counts as
sending, `intake.sendings` says). Nothing here is ever changed or removed, and everything in the warehouse follows from it.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pipelines.files import replace_file, sync_folder
from pipelines.screening.screen import Receipt, Sending, Submission
from pipelines.times import utc

_CHUNK = 1 << 20


class TooLarge(Exception):
    """The bytes exceed the limit; nothing was kept."""


@dataclass(frozen=True)
class Arrival:
    """One receipt as the sidecar holds it; times are ISO 8601 in UTC. `batch_id`: the zip that it came in, if any; `place`: where it
    lay within the source, which stays when the whole source is moved (None: kept before places were)."""

    county_code: str
    file_name: str
    source_uri: str
    modified_at: str
    collected_at: str
    received_at: str
    batch_id: str | None = None
    place: str | None = None

    def as_json(self) -> dict[str, str]:
        """The fields that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class RawSubmission:
    """One submission of the store. `batch_members`: for a zip of returns, the submissions that were in it."""

    submission_id: str
    size_bytes: int
    arrivals: tuple[Arrival, ...]
    batch_members: tuple[str, ...] = ()

    @property
    def first(self) -> Arrival:
        """The earliest arrival, whatever order they were recorded in."""
        return min(self.arrivals, key=lambda arrival: (arrival.received_at, arrival.county_code, arrival.file_name))

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """What each county sent: under which name first, and every time that it did."""
        of_county: dict[str, list[Arrival]] = {}
        for arrival in sorted(self.arrivals, key=lambda one: (one.received_at, one.file_name)):
            of_county.setdefault(arrival.county_code, []).append(arrival)
        return tuple(
            Receipt(
                code,
                own[0].file_name,
                utc(own[0].received_at),
                tuple(sorted({Sending(utc(one.received_at), utc(one.collected_at)) for one in own})),
            )
            for code, own in sorted(of_county.items())
        )

    @property
    def receipts_digest(self) -> str:
        """Changes with every receipt that is added: what was sent again is judged again, for it may stand otherwise now."""
        plain = [
            (receipt.county_code, sending.received_at.isoformat(), sending.collected_at.isoformat())
            for receipt in self.receipts
            for sending in receipt.sendings
        ]
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
        """Copy a stream into the store; returns (SHA-256, size). Raises TooLarge beyond `max_bytes`.

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
            target = self.path(submission_id)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(name).chmod(0o444)
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
        arrivals = list(known.arrivals) if known else []
        members = batch_members or (known.batch_members if known else ())
        is_new_arrival = arrival not in arrivals
        if is_new_arrival or (known and members != known.batch_members):
            arrivals += [arrival] if is_new_arrival else []
            self.write(RawSubmission(submission_id, size_bytes, tuple(arrivals), members))
        return known is None

    def write(self, entry: RawSubmission) -> None:
        """Write a submission's sidecar, whose bytes lie there already."""
        content: dict[str, Any] = {
            "submission_id": entry.submission_id,
            "size_bytes": entry.size_bytes,
            "receipts": [arrival.as_json() for arrival in entry.arrivals],
        }
        if entry.batch_members:
            content["batch"] = {"members": list(entry.batch_members)}
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        replace_file(self._sidecar(entry.submission_id), text.encode())

    def has(self, submission_id: str) -> bool:
        """Whether both its bytes and its sidecar are there."""
        return self.path(submission_id).exists() and self._sidecar(submission_id).exists()

    @property
    def submission_ids(self) -> set[str]:
        """Every submission, none of them opened."""
        return {sidecar.stem for sidecar in self.folder.glob("[0-9a-f][0-9a-f]/*.json")}

    def get(self, submission_id: str) -> RawSubmission | None:
        sidecar = self._sidecar(submission_id)
        return _read(sidecar) if sidecar.exists() else None

    def __iter__(self) -> Iterator[RawSubmission]:
        """Every submission, by id."""
        for sidecar in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json")):
            yield _read(sidecar)

    def to_screen(self, entry: RawSubmission) -> Submission:
        """A stored submission as screening takes it."""
        return Submission(entry.submission_id, self.path(entry.submission_id), entry.first.file_name, entry.receipts)


def _read(sidecar: Path) -> RawSubmission:
    content = json.loads(sidecar.read_bytes())
    arrivals = tuple(Arrival(**receipt) for receipt in content["receipts"])
    members = tuple(content.get("batch", {}).get("members", ()))
    return RawSubmission(content["submission_id"], content["size_bytes"], arrivals, members)
