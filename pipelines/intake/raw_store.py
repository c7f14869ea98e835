"""`raw/`: every submission's bytes, unchanged, under their SHA-256, and beside them a sidecar of how they arrived.

    raw/submissions/ab/abcd…         the bytes
    raw/submissions/ab/abcd….json    {"submission_id", "size_bytes", "receipts": [{county_code, file_name, source_uri,
                                      modified_at, collected_at, received_at, batch_id if it came in a zip,
                                      place: where in the source it lay}],
                                      "batch": {"members": [submission ids]} if it is a zip of returns,
                                      "erased": {at, by, reason, screening} if the bytes were erased}

The same bytes are kept once, however often and from wherever they come; each time that they were sent is a receipt (what counts as
sending, `intake.sendings` says). Nothing here is ever changed, and everything in the warehouse follows from it. Removed are the bytes of
a quarantined file alone, and only by the bureau (`erase`): the sidecar stays, says so, and holds what screening made of them. Numbers of
persons in names are never written down: a name is kept masked, with what was found in it beside it.

Somebody or something else may have changed it: bytes are held against their SHA-256 whenever they are read, a sidecar that says nothing
is put aside as `abcd….json.damaged`, and neither holds up any other submission.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from pipelines.files import hold, replace_file, sha256_of, sync_folder
from pipelines.intake.submission import Receipt, Sending, Submission
from pipelines.times import utc
from pipelines.workbooks.personal_data import Where, mask_personal, masked_as_written, search

_CHUNK = 1 << 20


#: What is added to the name of a sidecar that cannot be read.
_DAMAGED = ".damaged"


class TooLarge(Exception):
    """The bytes exceed the limit; nothing was kept."""


class RawDamaged(RuntimeError):
    """The bytes under a submission's SHA-256 are gone or others. `words` tells it to the bureau (Chinese)."""

    def __init__(self, entry: "RawSubmission", what: str) -> None:
        super().__init__(f"{entry.submission_id}: {what}")
        self.entry, self.what = entry, what

    def words(self, names: Mapping[str, str]) -> str:
        """`names`: county code → name."""
        first = self.entry.first
        sender = names.get(first.county_code, first.county_code)
        return (
            f"{sender}的“{mask_personal(first.file_name)}”，raw/ 里的原件{self.what}，没有用它；"
            f"请从备份恢复 raw/submissions/{self.entry.submission_id[:2]}/{self.entry.submission_id}"
        )


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
    """One receipt as the sidecar holds it; times are ISO 8601 in UTC. `batch_id`: the zip that it came in, if any; `place`: where it
    lay within the source, which stays when the whole source is moved (None: kept before places were). `name_held`: what of persons its
    name held before it was masked, as JSON: (rule, value masked) of each.
    """

    county_code: str
    file_name: str
    source_uri: str
    modified_at: str
    collected_at: str
    received_at: str
    batch_id: str | None = None
    place: str | None = None
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
            file_name=masked_as_written(self.file_name),
            source_uri=masked_as_written(self.source_uri),
            place=masked_as_written(self.place) if self.place else self.place,
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
                own[0].personal,
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
        self.drafts = self.folder / ".incoming"

    def path(self, submission_id: str) -> Path:
        return self.folder / submission_id[:2] / submission_id

    def _sidecar(self, submission_id: str) -> Path:
        return self.path(submission_id).with_suffix(".json")

    def _aside(self, submission_id: str) -> Path:
        sidecar = self._sidecar(submission_id)
        return sidecar.with_name(sidecar.name + _DAMAGED)

    def keep(self, stream: IO[bytes], *, max_bytes: int) -> tuple[str, int]:
        """Copy a stream into the store; returns (SHA-256, size). Raises TooLarge beyond `max_bytes`, AlreadyErased.

        The submission exists only once its sidecar does: a crash between the two leaves bytes that the next pull finds again.
        """
        self.drafts.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=f".{os.getpid()}.part", dir=self.drafts)
        hold(descriptor)
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
            if not target.is_file() or sha256_of(target) != submission_id:
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
        known, sidecar = self.get(submission_id), self._sidecar(submission_id)
        if known is None and sidecar.exists():
            sidecar.replace(self._aside(submission_id))
        arrival = arrival.masked()
        arrivals = list(known.arrivals) if known else []
        members = batch_members or (known.batch_members if known else ())
        is_new_arrival = arrival not in arrivals
        if is_new_arrival or (known and members != known.batch_members):
            arrivals += [arrival] if is_new_arrival else []
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

    def has(self, submission_id: str) -> bool:
        """Whether both its bytes and its sidecar are there, or the bytes rightly are not."""
        if self.path(submission_id).exists():
            return self._sidecar(submission_id).exists()
        known = self.get(submission_id)
        return known is not None and known.erased is not None

    @property
    def submission_ids(self) -> set[str]:
        """Every submission, those among them whose sidecar was put aside; none of them opened."""
        return {sidecar.stem for sidecar in self._sidecars()} | self._set_aside()

    def get(self, submission_id: str) -> RawSubmission | None:
        """None where there is none, or one that cannot be read."""
        return _read(self._sidecar(submission_id))

    def __iter__(self) -> Iterator[RawSubmission]:
        """Every submission, by id; what cannot be read is left out, see `damaged_sidecars`."""
        for sidecar in self._sidecars():
            if (entry := _read(sidecar)) is not None:
                yield entry

    def _sidecars(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json"))

    def _set_aside(self) -> set[str]:
        return {
            aside.name.removesuffix(f".json{_DAMAGED}")
            for aside in self.folder.glob(f"[0-9a-f][0-9a-f]/*.json{_DAMAGED}")
        }

    def damaged_sidecars(self) -> dict[str, str]:
        """Submission id → in words what is wrong with its sidecar, of those that nobody has restored or written again."""
        found = [sidecar.stem for sidecar in self._sidecars() if _read(sidecar) is None]
        found += self._set_aside()
        return {
            submission_id: f"raw/submissions/{submission_id[:2]}/{submission_id}.json 读不出来，不知道这个报送件由谁、何时送到；"
            "请从备份恢复这个文件，或请县区再送一次"
            for submission_id in sorted(set(found))
            if self.get(submission_id) is None
        }

    def set_sidecars_aside(self, submission_ids: Iterable[str]) -> None:
        """Put away damaged sidecars, where they are not yet: the pull that finds their bytes once more writes them again."""
        for submission_id in submission_ids:
            sidecar = self._sidecar(submission_id)
            if os.access(sidecar, os.R_OK):
                sidecar.replace(self._aside(submission_id))

    def seems_whole(self, entry: RawSubmission) -> bool:
        """Whether the bytes are there and as many as they were, or rightly gone: what can be asked of every submission at every run."""
        try:
            return entry.erased is not None or self.path(entry.submission_id).stat().st_size == entry.size_bytes
        except OSError:
            return False

    def check(self, entry: RawSubmission) -> None:
        """Hold the bytes, where they were not erased, against their SHA-256. Raises RawDamaged."""
        if entry.erased is not None:
            return
        path = self.path(entry.submission_id)
        try:
            is_right = path.is_file() and sha256_of(path) == entry.submission_id
        except OSError as error:
            raise RawDamaged(entry, f"读不出来（{error.strerror}）") from None
        if not is_right:
            raise RawDamaged(entry, "已不是收到时的内容" if path.exists() else "不见了")

    def to_screen(self, entry: RawSubmission) -> Submission:
        """A stored submission as screening takes it. Raises RawDamaged when its bytes are no longer those that came."""
        self.check(entry)
        return Submission(
            entry.submission_id,
            self.path(entry.submission_id),
            entry.first.file_name,
            entry.receipts,
            erased=(entry.erased.screening or {}) if entry.erased else None,
        )


def _read(sidecar: Path) -> RawSubmission | None:
    """What a sidecar says; None when there is none, or it is not what `write` has written."""
    try:
        content = json.loads(sidecar.read_bytes())
        arrivals = tuple(Arrival(**receipt) for receipt in content["receipts"])
        members = tuple(content["batch"]["members"]) if "batch" in content else ()
        erased = Erasure(**content["erased"]) if "erased" in content else None
        entry = RawSubmission(content["submission_id"], content["size_bytes"], arrivals, members, erased)
        is_right = (
            entry.submission_id == sidecar.stem
            and type(entry.size_bytes) is int
            and bool(arrivals)
            and all(isinstance(member, str) for member in members)
            and all(_is_right(arrival) for arrival in arrivals)
            and (erased is None or all(isinstance(value, str) for value in (erased.at, erased.by, erased.reason)))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return entry if is_right else None


def _is_right(arrival: Arrival) -> bool:
    """Raises ValueError for a time that is none."""
    for moment in (arrival.modified_at, arrival.collected_at, arrival.received_at):
        utc(moment)
    values = [(item.name, getattr(arrival, item.name)) for item in fields(arrival)]
    return all(isinstance(value, str) or (name in ("batch_id", "place") and value is None) for name, value in values)
