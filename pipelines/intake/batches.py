"""A zip of returns: its members become submissions of their own.

Belongs here: keeping the members of a batch in `raw/`, each with an arrival that names the zip and the path in it. What a batch is,
and which one is refused as a whole, `screening.batch_contents` says; the reader asks the same when it judges the zip itself.
"""

from dataclasses import dataclass, replace

from pipelines.intake.raw_store import AlreadyErased, Arrival, RawStore
from pipelines.screening.archives import Unsafe, open_archive
from pipelines.screening.batch_contents import batch_members, is_batch, left_behind, plain_name


@dataclass(frozen=True)
class Unpacked:
    """The members of a batch, by path: (submission id, whether it is new to the store). `passed_over`: what is none, by path. `erased`: names of
    files that the bureau has erased before."""

    members: tuple[tuple[str, bool], ...]
    passed_over: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()

    @property
    def submission_ids(self) -> tuple[str, ...]:
        """Every member once, in the order of their paths."""
        return tuple(dict.fromkeys(submission_id for submission_id, _ in self.members))


def unpack(store: RawStore, submission_id: str, arrival: Arrival, *, max_bytes: int) -> Unpacked | None:
    """Keep the members of a stored zip; None when it is no batch, or one that is refused (its own screening says why).

    Members arrive when the zip does. Doing it again, after a kill say, changes nothing.
    """
    try:
        with open_archive(store.path(submission_id)) as archive:
            if not is_batch(archive.namelist()):
                return None
            kept, erased = [], []
            for member in batch_members(archive, max_bytes=max_bytes):
                try:
                    with archive.open(member.info) as stream:
                        member_id, size = store.keep(stream, max_bytes=max_bytes)
                except AlreadyErased:
                    erased.append(plain_name(member.name))
                    continue
                inside = replace(
                    arrival,
                    file_name=plain_name(member.name),
                    source_uri=f"{arrival.source_uri}!/{plain_name(member.path, longest=1000)}",
                    batch_id=submission_id,
                )
                kept.append((member_id, store.record(member_id, size, inside)))
            return Unpacked(tuple(kept), tuple(left_behind(archive)), tuple(erased))
    except Unsafe:
        return None
