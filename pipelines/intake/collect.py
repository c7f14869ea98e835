"""Pulling new files from one county's source into `raw/`. A source is any fsspec URI; the code does not know which.

Belongs here: listing a source, telling what is new, and reading it whole or not at all. One county's failure stays that county's:
it comes back as the result's `problem`, never as an exception. Links, pipes and devices in a folder are never opened.
"""

import hashlib
import io
import json
import os
import posixpath
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from pipelines.files import replace_file
from pipelines.home import OUTBOX_INDEX, Home
from pipelines.intake.batches import unpack
from pipelines.intake.connections import is_local, masked, opened, protocols_of, what_failed
from pipelines.intake.parallel import in_parallel
from pipelines.intake.raw_store import AlreadyErased, Arrival, Erasure, RawStore, TooLarge
from pipelines.intake.sendings import Inbox, Lying, Moments, Sent, sources_folder
from pipelines.intake.source_notes import note_source
from pipelines.municipality import ConfigurationError, County, Reference
from pipelines.times import beijing_minute, utc
from pipelines.workbooks.archives import ZIP_SIGNATURES
from pipelines.workbooks.batch_contents import UNFINISHED, is_left_behind, plain_name
from pipelines.workbooks.personal_data import mask_personal, masked_as_written

#: So many files in a row that cannot be read are no fault of the files.
_FAILURES_OF_A_SOURCE = 3

#: What the pipeline itself puts into a county's outbox, which a county may have put into its inbox.
_OWN_ANSWER = re.compile(rf"_回执\.(?:html|json)$|(?:^|/){re.escape(OUTBOX_INDEX)}$")

#: What is said of bytes that came once more after they were erased.
_ERASED = "与市局已删除的含个人信息的文件相同"

#: So many files that programs left behind are named; the others are counted.
_NAMED = 5

#: The list of files seen is kept after so many, so that a long pull that is cut short has not been for nothing.
_KEEP_SEEN_AFTER = 500

#: Moments kept free for files in zips that have come before.
_AGAIN_IN_ZIPS = 10_000


@dataclass(frozen=True)
class SourceFile:
    """One file of a listing. `stamp` changes whenever the file does (size, time, and the store's own tag if it has one); `place`: where
    it lies within the source."""

    path: str
    place: str
    name: str
    size_bytes: int
    modified_at: datetime
    stamp: str


@dataclass
class Listing:
    """What stands in a source: files to be collected, and in words what else. `is_empty`: nothing at all, not even a folder;
    `is_whole`: no folder of it stayed closed."""

    files: list[SourceFile] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    is_empty: bool = True
    is_whole: bool = True


class NotThere(Exception):
    """A source that cannot be found."""


@dataclass
class Collected:
    """What pulling one source came to. `landed`: submissions new to the store, members of a zip included; `known`: bytes it already
    held; `left`: files for the next pull, or never; `passed_over`: what is no file to be collected; `remarks`: what else is to be
    known. The last three in Chinese words.
    """

    code: str
    listed: int = 0
    landed: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    problem: str | None = None


def place_in(root: str, path: str) -> str:
    """Where a file lies within its source: what stays when the whole of it is moved. Numbers of persons in it are masked."""
    inside = path.removeprefix(root).strip("/") if path.rstrip("/") != root.rstrip("/") else ""
    return _without_persons(_readable(inside or posixpath.basename(path)))


def _without_persons(place: str) -> str:
    """A place with the numbers of persons in it masked, and told from others that look alike then: by too little to guess one from."""
    told = masked_as_written(place)
    if told == place:
        return place
    return f"{told}#{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:3]}"


def list_source(uri: str, host_keys: Sequence[str] = ()) -> list[SourceFile]:
    """The files of a source, by time and path.

    Raises NotThere where there is no such place, and whatever the file system raises when it cannot be reached.
    """
    with opened(uri, host_keys) as (system, root):
        return _list(system, root).files


#: Stores that know no folders: a place without files cannot be told from one that is not there.
_WITHOUT_FOLDERS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "memory"}


def _list(system: Any, root: str) -> Listing:
    """What stands in the source. Raises NotThere, and whatever the file system raises."""
    system.invalidate_cache()
    on_this_machine, protocols = is_local(system), protocols_of(system)
    listing = Listing()
    left_behind: list[str] = []
    try:
        if "sftp" in protocols:
            found = _walk_sftp(system, root, listing)
        else:
            if not protocols & _WITHOUT_FOLDERS:
                system.info(root)  # the walk takes a place that is not there for an empty one
            if on_this_machine and not os.access(root, os.R_OK | (os.X_OK if Path(root).is_dir() else 0)):
                raise PermissionError("文件夹打不开")
            found = system.find(root, detail=True, withdirs=True) if on_this_machine else system.find(root, detail=True)
            # The folder itself is no entry in it.
            found = {path: info for path, info in found.items() if path != root or info.get("type") != "directory"}
    except (FileNotFoundError, NotADirectoryError) as error:
        if protocols & _WITHOUT_FOLDERS:
            return listing
        raise NotThere from error
    listing.is_empty = listing.is_empty and not found
    for path, info in sorted(found.items()):
        name = _readable(posixpath.basename(path))
        shown = plain_name(name)
        if is_left_behind(_readable(path.removeprefix(root).strip("/") if path != root else name)):
            # One that is still being written comes under its own name.
            if info.get("type") != "directory" and not name.lower().endswith(UNFINISHED):
                left_behind.append(shown)
            continue
        if info.get("islink"):
            listing.passed_over.append(f"{shown}: 是链接，不收取")
        elif _OWN_ANSWER.search(name):
            listing.passed_over.append(f"{shown}: 是系统给出的回执，不是报表，不收取")
        elif info.get("type") == "directory":
            # The walk leaves out without a word what it may not enter.
            if on_this_machine and not os.access(path, os.R_OK | os.X_OK):
                listing.passed_over.append(f"{shown}: 文件夹打不开，其中的文件没有收取")
                listing.is_whole = False
        elif info.get("type") != "file":
            listing.passed_over.append(f"{shown}: 不是普通文件，不收取")
        else:
            info = info or system.info(path)  # nothing is told of a place that is itself a file
            modified = _modified_at(system, path, info)
            tag = str(info.get("ETag") or info.get("etag") or "")
            size = int(info.get("size") or 0)
            listing.files.append(
                SourceFile(path, place_in(root, path), name, size, modified, f"{size}:{modified.isoformat()}:{tag}")
            )
    if left_behind:
        listing.passed_over.append(_told(left_behind))
    listing.files.sort(key=lambda file: (file.modified_at, file.path))
    return listing


def _told(left_behind: Sequence[str]) -> str:
    """Files that systems and programs left, in one line."""
    names = "、".join(left_behind[:_NAMED]) + (f" 等 {len(left_behind)} 个" if len(left_behind) > _NAMED else "")
    return f"{names}: 是系统或软件自己留下的文件，不收取"


def _walk_sftp(system: Any, root: str, listing: Listing) -> dict[str, dict[str, Any]]:
    """Path → what the server says of it. By itself fsspec takes a folder that breaks off, or may not be entered, for an empty one.

    Links are listed, not followed. Raises FileNotFoundError when there is no such place.
    """
    at_root = system.info(root)
    if at_root["type"] == "file":
        return {root: at_root}
    found: dict[str, dict[str, Any]] = {}
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = {entry["name"]: entry for entry in system.ls(folder, detail=True)}
        except PermissionError:
            listing.passed_over.append(f"{plain_name(posixpath.basename(folder))}: 文件夹打不开，其中的文件没有收取")
            listing.is_whole = False
            continue
        except FileNotFoundError:
            continue  # removed in the meantime
        listing.is_empty = listing.is_empty and not entries
        folders += [path for path, entry in entries.items() if entry["type"] == "directory"]
        found |= {path: entry for path, entry in entries.items() if entry["type"] != "directory"}
    return found


def _readable(name: str) -> str:
    """A name whose bytes are no UTF-8 as GB18030, which is what old servers and Windows store names in."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("gb18030", "replace")
    return name


def _open(system: Any, root: str, path: str) -> IO[bytes]:
    """Open a listed file for reading. On a local disk what was listed as a file may have been exchanged since: a link is not
    followed, a pipe not waited for. Raises OSError.
    """
    if not is_local(system):
        stream: IO[bytes] = system.open(path, "rb")
        return stream
    no_waiting = os.O_NOFOLLOW | os.O_NONBLOCK
    opened = io.BufferedReader(io.FileIO(path, opener=lambda name, flags: os.open(name, flags | no_waiting)))
    # A source may be a folder, or (a reference) the one file itself.
    inside = path == root or Path(path).parent.resolve().is_relative_to(Path(root).resolve())
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode) or not inside:
        opened.close()
        raise OSError("不是收件夹内的普通文件")
    return opened


def _modified_at(system: Any, path: str, info: dict[str, Any]) -> datetime:
    value = next(
        (info[key] for key in ("mtime", "LastModified", "last_modified", "modified", "updated") if info.get(key)), None
    )
    if value is None:
        value = system.modified(path)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def listing_digest(files: Iterable[SourceFile]) -> str:
    """Changes whenever a file is added to the listing, removed from it or altered."""
    plain = sorted((file.path, file.stamp) for file in files)
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode(errors="surrogateescape")).hexdigest()[:24]


def collect(
    home: Home,
    source: County | Reference,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    seconds: float | None = None,
) -> Collected:
    """Pull what is new from a county's (or a reference's) source.

    A file that changes while it is read is left for the next pull; what was already pulled and is still in `raw/` is not read
    again. After `seconds` the rest is left for the next pull too. Never raises for a source that fails: the result says so.
    """
    deadline = time.monotonic() + seconds if seconds is not None else None
    result = Collected(_code(source))
    uri = ""
    inbox: Inbox | None = None
    is_finished = False
    try:
        municipality = home.municipality
        uri = municipality.source_uri(source, home.root)
        with opened(uri, source.host_keys) as (system, root):
            inbox = Inbox(home, result.code, _without_secret(uri, root))
            listing = _list(system, root)
            result.listed, result.passed_over = len(listing.files), listing.passed_over
            if listing.is_empty and (before_n := inbox.held_files):
                raise Emptied(before_n)
            pulling = _Pulling(system, root, uri, now, listing)
            is_finished = _pull_new(home, result, pulling, inbox, deadline)
    except ConfigurationError as error:
        result.problem = str(error)
    except NotThere:
        inbox = inbox or Inbox(home, result.code, uri)
        result.problem = _not_there(_without_secret(uri, uri), is_new=not inbox.has_ever_sent)
    except Emptied as emptied:
        result.problem = _emptied(_without_secret(uri, uri), emptied.before_n)
    except Exception as error:  # noqa: BLE001 - whatever a remote file system raises is this county's problem, not the run's
        result.problem = what_failed(error, uri)
    if result.problem:  # the same wherever the home lies
        result.problem = result.problem.replace(f"{home.root}/", "")
    # What is told goes into logs and onto boards: a name may hold the number of a person.
    result.left = [mask_personal(line) for line in result.left]
    result.passed_over = [mask_personal(line) for line in result.passed_over]
    if inbox is not None and (result.landed or result.known or result.left or is_finished):
        inbox.keep()
    _mark_unfinished(home, result.code, None if is_finished or inbox is None else inbox)
    note_source(home, result.code, result.problem, now=now())
    return result


class Emptied(Exception):
    """A source that held files at the last look and holds nothing at all now."""

    def __init__(self, before_n: int) -> None:
        super().__init__(before_n)
        self.before_n = before_n


def _not_there(place: str, *, is_new: bool) -> str:
    if is_new:
        return f"收件夹还没有建立：{place}（从未收到过它的文件）。请建立这个文件夹，或改正配置里的 source"
    return f"找不到来源：{place}（以前从这里收到过文件）。请查看是否改名、移走，或共享没有挂上"


def _emptied(place: str, before_n: int) -> str:
    return (
        f"来源是空的：{place}，上次查看时有 {before_n} 个文件，现在一个也没有。请查看共享是否挂上；"
        "确是县区自己清空的，在其中建一个任意名称的子文件夹即可"
    )


def not_taken(home: Home, source: County | Reference, files: Sequence[tuple[str, str]]) -> int:
    """How many of the files of a listing ((place, stamp)) no pull has dealt with, or `raw/` has lost since."""
    inbox = Inbox(home, _code(source), "")
    return sum(not inbox.is_seen(place, stamp) for place, stamp in files)


def unfinished(home: Home, source: County | Reference) -> str:
    """A token of how far the last pull came that did not come to its end; blank when it did.

    It differs from the one before only when something was pulled in between: who goes by it asks again, but not for ever.
    """
    try:
        return _unfinished_file(home, _code(source)).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _unfinished_file(home: Home, code: str) -> Path:
    return sources_folder(home) / f"{code}.unfinished"


def _mark_unfinished(home: Home, code: str, inbox: Inbox | None) -> None:
    """`inbox`: what was pulled so far; None when the pull came to its end, or never began."""
    marker = _unfinished_file(home, code)
    if inbox is None:
        marker.unlink(missing_ok=True)
    else:
        replace_file(marker, inbox.progress().encode())


@dataclass(frozen=True)
class _Pulling:
    """A source that is open, what stands in it, and the clock to go by."""

    system: Any
    root: str
    uri: str
    now: Callable[[], datetime]
    listing: Listing


@dataclass
class _Kept:
    """A file whose bytes lie in the store, with its place and how it was sent; `members` of a zip likewise. `holds_erased`: it is a zip in
    which bytes lie once more that the bureau has erased."""

    file: SourceFile
    place: str
    submission_id: str
    size_bytes: int
    how: Sent
    members: list["_Kept"] = field(default_factory=list)
    holds_erased: bool = False

    @property
    def is_first(self) -> bool:
        """Whether nothing of it has been sent before."""
        return all(one.how in (Sent.FIRST, Sent.NOT) for one in (self, *self.members)) and self.how is Sent.FIRST


def _pull_new(home: Home, result: Collected, source: _Pulling, inbox: Inbox, deadline: float | None) -> bool:
    """Pull what is new to the inbox and enter it there; returns whether the listing was gone through to its end."""
    files = source.listing.files
    pull = _Pull(home, result, source, inbox)
    kept_n = 0
    failed_in_a_row = 0
    is_finished = True
    for number, file in enumerate(files):
        place = file.place
        if inbox.is_taken(place, file.stamp):
            continue
        if deadline is not None and time.monotonic() > deadline:
            result.left.append(f"其余 {len(files) - number} 个文件未及收取，下次再收")
            is_finished = False
            break
        if len(result.landed) + len(result.known) > kept_n + _KEEP_SEEN_AFTER:
            kept_n = len(result.landed) + len(result.known)
            inbox.keep()
        try:
            is_still = pull.take(file, place)
        except TooLarge:
            mebibytes = home.municipality.limits.file_mebibytes
            result.left.append(f"{plain_name(file.name)}: 超过 {mebibytes} MiB，未收取")
            inbox.note(place, Lying(file.stamp))
        except AlreadyErased:
            result.left.append(f"{plain_name(file.name)}: {_ERASED}，没有再收，请从收件夹里删去")
            inbox.note(place, Lying(file.stamp))
        except Exception as error:  # noqa: BLE001 - one file that cannot be read is that file's alone
            reason = what_failed(error, source.uri)
            result.left.append(f"{plain_name(file.name)}: 读不出来（{reason}），下次再收")
            failed_in_a_row += 1
            if failed_in_a_row == _FAILURES_OF_A_SOURCE:
                result.problem = reason
                is_finished = False
                break
        else:
            failed_in_a_row = 0
            if not is_still:
                result.left.append(f"{plain_name(file.name)}: 读取时文件仍在变化，下次再收")
    pull.record_what_came_again()
    if is_finished and source.listing.is_whole:
        inbox.forget_all_but(pull.listed)
    return is_finished


class _Pull:
    """Taking files one by one: what comes for the first time is recorded at once, what has come before at the end."""

    def __init__(self, home: Home, result: Collected, source: _Pulling, inbox: Inbox) -> None:
        self.home, self.result, self.source, self.inbox = home, result, source, inbox
        self.store = RawStore(home.raw)
        self.listed = {file.place: file.stamp for file in source.listing.files}
        self._again: list[_Kept] = []
        self._moments: Moments | None = None

    @property
    def moments(self) -> Moments:
        """The moments of this look; made when the first is needed."""
        if self._moments is None:
            self._moments = Moments(self.inbox.history.newest, self.source.now, len(self.listed) + _AGAIN_IN_ZIPS)
            if behind := self._moments.behind:
                self.result.remarks.append(
                    f"本机时钟是 {beijing_minute(utc(self._moments.clock.isoformat()))}，早于 raw/ 已有的最近时间 "
                    f"{beijing_minute(utc(behind.isoformat()))}（北京时间）：这次收到的文件按其后一刻记收到时间。请校准时钟"
                )
        return self._moments

    def take(self, file: SourceFile, place: str) -> bool:
        """Keep one file, and the files in it if it is a zip of returns; False when it changed while it was read. Raises TooLarge."""
        max_bytes = self.home.municipality.limits.file_mebibytes * 2**20
        system = self.source.system
        with _open(system, self.source.root, file.path) as stream:
            submission_id, size = self.store.keep(stream, max_bytes=max_bytes)
        after = system.info(file.path)
        # The size in the listing too: some servers tell the time in whole seconds.
        if {size, int(after.get("size") or 0)} != {file.size_bytes} or _modified_at(
            system, file.path, after
        ) != file.modified_at:
            return False
        how = self._how(file, file.name, place, submission_id)
        kept = _Kept(file, place, submission_id, size, how)
        if _is_zip(self.store, submission_id):
            unpacked = unpack(self.store, submission_id, max_bytes=max_bytes)
            for member in unpacked.members if unpacked else ():
                inside = _without_persons(f"{place}!/{plain_name(member.path, longest=1000)}")
                of_member = self._how(file, member.name, inside, member.submission_id, within=place)
                # A zip that is sent once more sends all that is in it.
                if of_member is not Sent.FIRST and how in (Sent.AGAIN, Sent.BACK):
                    of_member = how
                renamed = replace(file, name=member.name)
                kept.members.append(_Kept(renamed, inside, member.submission_id, member.size_bytes, of_member))
            if unpacked and unpacked.passed_over:
                names = [plain_name(path) for path in unpacked.passed_over]
                self.result.passed_over.append(f"{plain_name(file.name)} 中的 {_told(names)}")
            if unpacked and unpacked.erased:
                kept.holds_erased = True
                erased = "、".join(unpacked.erased)
                self.result.passed_over.append(
                    f"{plain_name(file.name)} 中的 {erased}: {_ERASED}，没有再收，压缩包也没有留存"
                )
        if kept.is_first:
            self._record(kept, self.moments.first(), {})
        elif any(one.how is not Sent.NOT for one in (kept, *kept.members)):
            self._again.append(kept)
        else:
            self.inbox.note(place, Lying(file.stamp, submission_id, self.inbox.collected_at(place, submission_id)))
            self.result.known += [one.submission_id for one in (kept, *kept.members)]
        return True

    def _how(self, file: SourceFile, name: str, place: str, submission_id: str, within: str | None = None) -> Sent:
        return self.inbox.how_sent(
            place,
            masked_as_written(plain_name(name)),
            file.stamp,
            file.modified_at.isoformat(),
            submission_id,
            self.listed,
            within,
        )

    def record_what_came_again(self) -> None:
        """Record what was put off: in the order in which it came before."""
        again = [one for kept in self._again for one in (kept, *kept.members) if one.how in (Sent.AGAIN, Sent.BACK)]
        ordered = sorted({one.submission_id for one in again}, key=self.inbox.sent_last)
        ranks = {submission_id: rank for rank, submission_id in enumerate(ordered)}
        for kept in self._again:
            self._record(kept, self.moments.first(), ranks)

    def _record(self, kept: _Kept, collected_at: datetime, ranks: Mapping[str, int]) -> None:
        """The members first: a zip that is recorded is unpacked, whenever the process ends."""
        members = tuple(dict.fromkeys(one.submission_id for one in kept.members))
        told: list[tuple[str, bool]] = []
        own = self.inbox.collected_at(kept.place, kept.submission_id)
        for one in (*kept.members, kept):
            is_new = False
            if one.how is not Sent.NOT:
                moment = collected_at
                if one.how is Sent.LOST:
                    moment = datetime.fromisoformat(self.inbox.received_at(kept.place, kept.file.stamp))
                elif one.how is not Sent.FIRST:
                    moment = self.moments.again(ranks[one.submission_id])
                arrival = self._arrival(one, moment, kept.submission_id if one is not kept else None)
                is_new = self.store.record(
                    one.submission_id, one.size_bytes, arrival, batch_members=members if one is kept else ()
                )
                own = arrival.collected_at if one is kept else own
            told.append((one.submission_id, is_new))
        for submission_id, is_new in (told[-1], *told[:-1]):
            (self.result.landed if is_new else self.result.known).append(submission_id)
        if kept.holds_erased:
            why = "压缩包里有市局删除过的含个人信息的文件"
            self.store.erase(kept.submission_id, Erasure(collected_at.isoformat(), "系统", why))
        self.inbox.note(kept.place, Lying(kept.file.stamp, kept.submission_id, own))

    def _arrival(self, kept: _Kept, moment: datetime, batch_id: str | None) -> Arrival:
        file = kept.file
        received_at = moment
        # What was put back with the time it had before does not tell by it when it was put back.
        if self.home.municipality.received_at == "modified" and not (
            kept.how is Sent.BACK and self.inbox.is_behind(file.modified_at)
        ):
            received_at = min(file.modified_at, moment)
        _, inside, member = kept.place.partition("!/") if batch_id else ("", "", "")
        return Arrival(
            county_code=self.inbox.code,
            file_name=plain_name(file.name),
            source_uri=_without_secret(self.source.uri, _readable(file.path)) + inside + member,
            modified_at=file.modified_at.isoformat(),
            collected_at=moment.isoformat(),
            received_at=received_at.isoformat(),
            batch_id=batch_id,
            place=kept.place,
        )


def _code(source: County | Reference) -> str:
    return source.code if isinstance(source, County) else source.name


def collect_all(home: Home, sources: Sequence[County | Reference]) -> list[Collected]:
    """Pull from many sources at once, in the order given; one that does not answer in time is left, and says so."""
    patience = home.municipality.limits.source_seconds
    answers = in_parallel(
        {source: partial(collect, home, source, seconds=0.9 * patience) for source in sources}, patience
    )
    results = []
    for source, answer in answers.items():
        if isinstance(answer, Collected):
            results.append(answer)
        else:
            problem = f"{patience} 秒内没有应答" if answer is None else f"{type(answer).__name__}: {answer}"
            results.append(Collected(_code(source), problem=problem))
            note_source(home, _code(source), problem, now=datetime.now(UTC))
    return results


def _is_zip(store: RawStore, submission_id: str) -> bool:
    with store.path(submission_id).open("rb") as stream:
        return stream.read(4) in ZIP_SIGNATURES


def _without_secret(uri: str, path: str) -> str:
    """Where a file came from, without the user and password that a URI may carry."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Path(path).as_posix()
    # Some file systems name a file by its whole URI.
    return masked(path if "://" in path else f"{scheme}://{path}", uri)
