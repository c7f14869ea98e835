"""What a county has sent: telling a sending from a file that only lies elsewhere than before, and the moment it is given.

Belongs here: what lay where in an inbox at the last look, the rule, and moments that never go back. Listing and reading are the
business of `collect`.

    warehouse/private/sources/140902.json   {"root", "until", "files": {place: [stamp, submission_id, collected_at]}}

A file is a sending when its bytes are new to the county's inbox: never received from it; or put back after they were not there at the
last look; or put once more where they lay (a new modification time), or beside it under a new name or time. It is none when it was
moved (the same bytes, and a place of theirs is gone), or when the whole inbox now lies elsewhere.

The file is a cache. What is lost of it is made again from the arrivals in `raw/`; then nobody knows what was moved or removed in the
meantime, and what is no newer than the last arrival is no sending.

What `raw/` has lost (a submission's bytes, or the sidecar that says who sent it and when) of a file that still lies as it lay is no
sending either: it is kept again, as received at the moment at which it was.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from pipelines.decisions import DecisionLogDamaged
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.periods import read_period_in_name
from pipelines.times import utc

_TICK = timedelta(microseconds=1)
#: A clock that is further behind than this is told; machines are set by less every day.
_TOLD_AFTER = timedelta(minutes=1)


class Sent(Enum):
    """How a file comes to lie where it lies."""

    FIRST = "bytes that the county has never sent"
    AGAIN = "known bytes, put there once more"
    BACK = "known bytes that were not in the inbox at the last look"
    NOT = "the same file as before, there or elsewhere"
    LOST = "the same file as before, of which raw/ no longer knows that it was sent"


@dataclass(frozen=True)
class Lying:
    """A file as it lay at the last look. `submission_id`: blank where it was not kept; `collected_at`: of the arrival that stands for
    it in `raw/`, blank where none of its own does."""

    stamp: str
    submission_id: str = ""
    collected_at: str = ""


@dataclass(frozen=True)
class History:
    """What `raw/` knows: the arrivals from one inbox by submission, and the newest moment of collection of all."""

    arrivals: dict[str, list[Arrival]]
    newest: datetime | None

    @staticmethod
    def of(home: Home, store: RawStore, code: str) -> "History":
        arrivals: dict[str, list[Arrival]] = {}
        newest: datetime | None = None
        for entry in store:
            for arrival in entry.arrivals:
                moment = utc(arrival.collected_at)
                newest = moment if newest is None else max(newest, moment)
                if arrival.county_code == code:
                    arrivals.setdefault(entry.submission_id, []).append(arrival)
        with suppress(DecisionLogDamaged):  # what the run is told next; what was sent is kept all the same
            for decision in home.decisions:
                newest = decision.at if newest is None else max(newest, decision.at)
        return History(arrivals, newest)


class Inbox:
    """One county's inbox as it lay at the last look, and as it is found now.

    `root`: where it is now, in a form that may be kept. `held_files`: how many lay in this very place.
    """

    def __init__(self, home: Home, code: str, root: str) -> None:
        self.code = code
        self._home, self._store = home, RawStore(home.raw)
        self._file = sources_folder(home) / f"{code}.json"
        self._root, self._root_digest = root, hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()
        self._until = ""
        self._history: History | None = None
        self._is_whole, self._is_same_root = False, False
        self._before: dict[str, Lying] = {}
        try:
            kept = json.loads(self._file.read_bytes())
            self._before = {place: Lying(*lying) for place, lying in kept["files"].items()}
            self._until = kept["until"]
            self._is_whole, self._is_same_root = True, kept["root"] == self._root_digest
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            pass
        self._now = dict(self._before)
        self._places: dict[str, list[str]] | None = None
        self._entries: dict[str, frozenset[tuple[str, str]] | None] = {}

    @property
    def history(self) -> History:
        """What `raw/` knows; read when it is first asked for, since most looks find nothing new."""
        if self._history is None:
            self._history = History.of(self._home, self._store, self.code)
            self._catch_up(self._history)
        return self._history

    def _catch_up(self, history: History) -> None:
        """Enter what `raw/` has received since the cache was kept: by a run that was killed, or all of it."""
        since = utc(self._until) if self._is_whole and self._until else None
        newest: dict[str, tuple[datetime, Lying]] = {}
        latest = since
        for submission_id, arrivals in history.arrivals.items():
            entry = self._store.get(submission_id)
            size = entry.size_bytes if entry else 0
            for arrival in arrivals:
                moment = utc(arrival.collected_at)
                latest = moment if latest is None else max(latest, moment)
                if arrival.batch_id or (since is not None and moment <= since):
                    continue
                place = arrival.place or self._place_of_old(arrival)
                lying = Lying(f"{size}:{arrival.modified_at}:", submission_id, arrival.collected_at)
                if place not in newest or newest[place][0] < moment:
                    newest[place] = (moment, lying)
                if not self._is_whole and arrival.source_uri.startswith(self._root):
                    self._is_same_root = True
        for place, (_, lying) in newest.items():
            self._before[place] = lying
            self._now.setdefault(place, lying)
        if latest is not None:
            self._until = latest.isoformat()

    def _place_of_old(self, arrival: Arrival) -> str:
        """Of an arrival that was kept before places were."""
        inside = arrival.source_uri.removeprefix(self._root)
        return inside.strip("/") if inside != arrival.source_uri else arrival.file_name

    @property
    def held_files(self) -> int:
        """How many files were here at the last look."""
        if not self._is_whole:
            _ = self.history
        return len(self._before) if self._is_same_root else 0

    @property
    def has_ever_sent(self) -> bool:
        return bool(self._before) or bool(self.history.arrivals)

    def is_taken(self, place: str, stamp: str) -> bool:
        """Whether this file was dealt with and `raw/` still holds what came of it."""
        lying = self._now.get(place)
        if lying is None or lying.stamp != stamp:
            return False
        return not lying.submission_id or self._holds(lying.submission_id, lying.collected_at)

    def is_seen(self, place: str, stamp: str) -> bool:
        """As `is_taken`, as far as it shows without opening anything in `raw/`."""
        lying = self._now.get(place)
        if lying is None or lying.stamp != stamp:
            return False
        return not lying.submission_id or self._store.has(lying.submission_id)

    def _holds(self, submission_id: str, collected_at: str) -> bool:
        if submission_id not in self._entries:
            entry = self._store.get(submission_id) if self._store.has(submission_id) else None
            whole = entry is not None and all(
                self._store.has(member) and self._store.get(member) for member in entry.batch_members
            )
            self._entries[submission_id] = (
                frozenset((arrival.county_code, arrival.collected_at) for arrival in entry.arrivals)
                if entry is not None and whole
                else None
            )
        known = self._entries[submission_id]
        if known is None:
            return False
        return (self.code, collected_at) in known if collected_at else any(code == self.code for code, _ in known)

    def received_at(self, place: str, stamp: str) -> str:
        """When a file was collected that lies as it lay at the last look; blank where it does not, or no arrival stood for it."""
        lying = self._before.get(place)
        return lying.collected_at if lying is not None and _is_same(lying.stamp, stamp) else ""

    def how_sent(self, place: str, name: str, stamp: str, modified_at: str, submission_id: str,
                 listed: Mapping[str, str], within: str | None = None) -> Sent:  # fmt: skip
        """How a file that was read comes to lie here. `listed`: place → stamp of what lies in the inbox now; a member of a zip has a
        place of its own that no listing knows, and `within` is that of the zip."""
        mine = self.history.arrivals.get(submission_id, [])
        if lay_since := self.received_at(within or place, stamp):
            if within is not None:
                return Sent.NOT if mine else Sent.LOST
            if self._before[place].submission_id == submission_id:
                return Sent.NOT if any(one.collected_at == lay_since for one in mine) else Sent.LOST
        if not mine:
            return Sent.FIRST
        lying = self._before.get(place)
        if lying is not None and lying.collected_at and not self._holds(lying.submission_id, lying.collected_at):
            return Sent.BACK  # `raw/` has lost it
        is_newer = utc(modified_at) > utc(self._until) if self._until else True
        if lying is not None and lying.submission_id == submission_id:
            if _is_same(lying.stamp, stamp) or not self._is_same_root:
                return Sent.NOT
            return Sent.AGAIN if self._is_whole or is_newer else Sent.NOT
        if self._places is None:
            self._places = {}
            for where, other in self._before.items():
                self._places.setdefault(other.submission_id, []).append(where)
        lay = [where for one in {submission_id, *(arrival.batch_id for arrival in mine)} if one
               for where in self._places.get(one, [])]  # fmt: skip
        if not lay:
            return Sent.BACK if self._is_whole or lying is not None or is_newer else Sent.NOT
        if any(not _is_same(self._before[where].stamp, listed.get(where, "")) for where in lay):
            # Moved. Under the name of another period it is meant as that period's.
            hinted = read_period_in_name(name)
            known = {read_period_in_name(arrival.file_name) for arrival in mine}
            return Sent.AGAIN if hinted and hinted not in known and None not in known else Sent.NOT
        is_copy = any((name, modified_at) == (one.file_name, one.modified_at) for one in mine)
        return Sent.NOT if is_copy or not (self._is_whole or is_newer) else Sent.AGAIN

    def sent_last(self, submission_id: str) -> tuple[str, str]:
        """When these bytes were last sent before this look, to sort by."""
        return max((utc(one.received_at).isoformat(), submission_id) for one in self.history.arrivals[submission_id])

    def is_behind(self, modified_at: datetime) -> bool:
        """Whether a file time is no newer than the newest of what the county has sent, and so does not tell when it was sent again."""
        moment = modified_at.astimezone(UTC).replace(tzinfo=None)
        return any(moment <= utc(one.received_at) for some in self.history.arrivals.values() for one in some)

    def collected_at(self, place: str, submission_id: str) -> str:
        """Of the arrival that stands for a file which is no sending: its own where it has one."""
        lying = self._before.get(place)
        return lying.collected_at if lying is not None and lying.submission_id == submission_id else ""

    def note(self, place: str, lying: Lying) -> None:
        """Remember what lies here now."""
        self._now[place] = lying
        self._entries.pop(lying.submission_id, None)

    def forget_all_but(self, places: Mapping[str, str]) -> None:
        """What lies there no longer, after a listing that was whole."""
        self._now = {place: lying for place, lying in self._now.items() if place in places}

    def keep(self) -> None:
        """Write down what was seen, where it differs from what is kept."""
        files = {place: [one.stamp, one.submission_id, one.collected_at] for place, one in self._now.items()}
        moments = [self._until, *(one.collected_at for one in self._now.values())]
        until = max(filter(None, moments), key=utc, default="")
        content = json.dumps(
            {"root": self._root_digest, "until": until, "files": files}, ensure_ascii=True, sort_keys=True
        )
        if not self._file.exists() or self._file.read_text(encoding="ascii", errors="replace") != content:
            replace_file(self._file, content.encode())

    def progress(self) -> str:
        """Changes whenever something was taken."""
        return hashlib.sha256(repr(sorted(self._now.items())).encode(errors="surrogateescape")).hexdigest()[:16]


def _is_same(before: str, now: str) -> bool:
    """Whether two stamps are of one state of a file. One made from an arrival knows no tag of the store's."""
    return before == now or (before.endswith(":") and now.startswith(before))


class Moments:
    """The moments that the files of one look are given: never one that is not later than all that `raw/` knows of.

    What has come again counts before what has come for the first time, and among itself in the order in which it came before: a folder
    that is sent once more as a whole takes nothing back.
    """

    def __init__(self, newest: datetime | None, now: Callable[[], datetime], again_n: int) -> None:
        self._now = now
        self._last = newest.replace(tzinfo=UTC) if newest else datetime.min.replace(tzinfo=UTC)
        self.clock = now()
        #: The newest moment that `raw/` knows of, where the clock lies well before it.
        self.behind = self._last if newest is not None and self._last - self.clock > _TOLD_AFTER else None
        self._again = max(self.clock - again_n * _TICK, self._last + _TICK)
        self._last = max(self._last, self._again + (again_n - 1) * _TICK) if again_n else self._last

    def first(self) -> datetime:
        """For the next file that came for the first time."""
        self._last = max(self._now(), self._last + _TICK)
        return self._last

    def again(self, rank: int) -> datetime:
        """For what came again, by its rank in the former order."""
        return self._again + rank * _TICK


def sources_folder(home: Home) -> Path:
    """Where it is kept what was seen in the sources."""
    return home.private / "sources"
