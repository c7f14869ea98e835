"""A zip of returns: its members become submissions of their own.

Belongs here: keeping the bytes of a batch's members in `raw/`. What a batch is, and which one is refused as a whole,
`workbooks.batch_contents` says; the reader asks the same when it judges the zip itself. Each member's arrival, which names the zip
and the path in it, is recorded by `collect`.
"""

from dataclasses import dataclass

from pipelines.intake.raw_store import AlreadyErased, RawStore
from pipelines.workbooks.archives import Unsafe, open_archive
from pipelines.workbooks.batch_contents import batch_members, is_batch, left_behind, plain_name


@dataclass(frozen=True)
class Member:
    """One file of a batch, its bytes kept. `path`: where it lies in the zip."""

    path: str
    name: str
    submission_id: str
    size_bytes: int


@dataclass(frozen=True)
class Unpacked:
    """The members of a batch, by path. `passed_over`: what is none, by path. `erased`: names of files that the bureau has erased before."""

    members: tuple[Member, ...]
    passed_over: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()

    @property
    def submission_ids(self) -> tuple[str, ...]:
        """Every member once, in the order of their paths."""
        return tuple(dict.fromkeys(member.submission_id for member in self.members))


def unpack(store: RawStore, submission_id: str, *, max_bytes: int) -> Unpacked | None:
    """Keep the members of a stored zip; None when it is no batch, or one that is refused (its own screening says why).

    Doing it again, after a kill say, changes nothing.
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
                kept.append(Member(member.path, member.name, member_id, size))
            return Unpacked(tuple(kept), tuple(left_behind(archive)), tuple(erased))
    except Unsafe:
        return None
