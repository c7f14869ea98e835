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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from pipelines.files import replace_file
from pipelines.home import OUTBOX_INDEX, Home
from pipelines.intake.batches import unpack
from pipelines.intake.parallel import in_parallel
from pipelines.intake.places import masked, opened, what_failed
from pipelines.intake.raw_store import AlreadyErased, Arrival, Erasure, RawStore, TooLarge
from pipelines.municipality import ConfigurationError, County, Reference
from pipelines.screening.archives import ZIP_SIGNATURES
from pipelines.screening.batch_contents import UNFINISHED, is_left_behind, plain_name
from pipelines.screening.personal_data import mask_personal

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


@dataclass(frozen=True)
class SourceFile:
    """One file of a listing. `stamp` changes whenever the file does (size, time, and the store's own tag if it has one)."""

    path: str
    name: str
    size_bytes: int
    modified_at: datetime
    stamp: str


@dataclass
class Collected:
    """What pulling one source came to. `landed`: submissions new to the store, members of a zip included; `known`: bytes it already
    held; `left`: files for the next pull, or never; `passed_over`: what is no file to be collected. The last two in Chinese words.
    """

    code: str
    listed: int = 0
    landed: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    problem: str | None = None


def list_source(uri: str) -> list[SourceFile]:
    """The files of a source, by time and path. A folder that does not exist yet is empty.

    Raises whatever the file system raises when it cannot be reached.
    """
    with opened(uri) as (system, root):
        return _list(system, root)[0]


def _list(system: Any, root: str) -> tuple[list[SourceFile], list[str]]:
    """The files, and in words what stands in the source and will not be collected."""
    from fsspec.implementations.local import LocalFileSystem

    system.invalidate_cache()
    is_local = isinstance(system, LocalFileSystem)
    files: list[SourceFile] = []
    passed_over: list[str] = []
    left_behind: list[str] = []
    try:
        if "sftp" in system.protocol:
            found = _walk_sftp(system, root, passed_over)
        else:
            found = system.find(root, detail=True, withdirs=True) if is_local else system.find(root, detail=True)
    except FileNotFoundError:
        return [], []
    for path, info in sorted(found.items()):
        name = _readable(posixpath.basename(path))
        shown = plain_name(name)
        if is_left_behind(_readable(path.removeprefix(root).strip("/") if path != root else name)):
            # One that is still being written comes under its own name.
            if info.get("type") != "directory" and not name.lower().endswith(UNFINISHED):
                left_behind.append(shown)
            continue
        if info.get("islink"):
            passed_over.append(f"{shown}: 是链接，不收取")
        elif _OWN_ANSWER.search(name):
            passed_over.append(f"{shown}: 是系统给出的回执，不是报表，不收取")
        elif info.get("type") == "directory":
            # The walk leaves out without a word what it may not enter.
            if is_local and not os.access(path, os.R_OK | os.X_OK):
                passed_over.append(f"{shown}: 文件夹打不开，其中的文件没有收取")
        elif info.get("type") != "file":
            passed_over.append(f"{shown}: 不是普通文件，不收取")
        else:
            info = info or system.info(path)  # nothing is told of a place that is itself a file
            modified = _modified_at(system, path, info)
            tag = str(info.get("ETag") or info.get("etag") or "")
            size = int(info.get("size") or 0)
            files.append(SourceFile(path, name, size, modified, f"{size}:{modified.isoformat()}:{tag}"))
    if left_behind:
        passed_over.append(_told(left_behind))
    return sorted(files, key=lambda file: (file.modified_at, file.path)), passed_over


def _told(left_behind: Sequence[str]) -> str:
    """Files that systems and programs left, in one line."""
    names = "、".join(left_behind[:_NAMED]) + (f" 等 {len(left_behind)} 个" if len(left_behind) > _NAMED else "")
    return f"{names}: 是系统或软件自己留下的文件，不收取"


def _walk_sftp(system: Any, root: str, passed_over: list[str]) -> dict[str, dict[str, Any]]:
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
            passed_over.append(f"{plain_name(posixpath.basename(folder))}: 文件夹打不开，其中的文件没有收取")
            continue
        except FileNotFoundError:
            continue  # removed in the meantime
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
    from fsspec.implementations.local import LocalFileSystem

    if not isinstance(system, LocalFileSystem):
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

    A file that changes while it is read is left for the next pull; what was already pulled, by path and stamp, is not read
    again. After `seconds` the rest is left for the next pull too. Never raises for a source that fails: the result says so.
    """
    deadline = time.monotonic() + seconds if seconds is not None else None
    result = Collected(_code(source))
    seen_file = home.private / "sources" / f"{result.code}.json"
    seen = _read_seen(seen_file)
    uri = ""
    is_finished = False
    try:
        municipality = home.municipality
        uri = municipality.source_uri(source, home.root)
        with opened(uri) as (system, root):
            files, result.passed_over = _list(system, root)
            result.listed = len(files)
            is_finished = _pull_new(home, result, _Pulling(system, root, uri, now), files, seen, seen_file, deadline)
    except ConfigurationError as error:
        result.problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a remote file system raises is this county's problem, not the run's
        result.problem = what_failed(error, uri)
    # What is told goes into logs and onto boards: a name may hold the number of a person.
    result.left = [mask_personal(line) for line in result.left]
    result.passed_over = [mask_personal(line) for line in result.passed_over]
    if result.landed or result.known or result.left:
        _write_seen(seen_file, seen)
    _mark_unfinished(home, result.code, None if is_finished else seen)
    return result


def unfinished(home: Home, source: County | Reference) -> str:
    """A token of how far the last pull came that did not come to its end; blank when it did.

    It differs from the one before only when something was pulled in between: who goes by it asks again, but not for ever.
    """
    try:
        return _unfinished_file(home, _code(source)).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _unfinished_file(home: Home, code: str) -> Path:
    return home.private / "sources" / f"{code}.unfinished"


def _mark_unfinished(home: Home, code: str, seen: dict[str, str] | None) -> None:
    """`seen`: what was pulled so far; None when the pull came to its end."""
    marker = _unfinished_file(home, code)
    if seen is None:
        marker.unlink(missing_ok=True)
    else:
        replace_file(marker, hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16].encode())


@dataclass(frozen=True)
class _Pulling:
    """A source that is open, and the clock to go by."""

    system: Any
    root: str
    uri: str
    now: Callable[[], datetime]


def _pull_new(
    home: Home,
    result: Collected,
    source: _Pulling,
    files: Sequence[SourceFile],
    seen: dict[str, str],
    seen_file: Path,
    deadline: float | None,
) -> bool:
    """Pull what `seen` does not hold yet and enter it there; returns whether the listing was gone through to its end."""
    store = RawStore(home.raw)
    kept = 0
    failed_in_a_row = 0
    for number, file in enumerate(files):
        # Hashed: the URI may carry a password.
        key = hashlib.sha256(f"{source.uri}|{file.path}".encode(errors="surrogateescape")).hexdigest()
        if seen.get(key) == file.stamp:
            continue
        if deadline is not None and time.monotonic() > deadline:
            result.left.append(f"其余 {len(files) - number} 个文件未及收取，下次再收")
            return False
        if len(result.landed) + len(result.known) > kept + _KEEP_SEEN_AFTER:
            kept = len(result.landed) + len(result.known)
            _write_seen(seen_file, seen)
        try:
            pulled = _pull(home, store, source, file, result.code)
        except TooLarge:
            mebibytes = home.municipality.limits.file_mebibytes
            result.left.append(f"{plain_name(file.name)}: 超过 {mebibytes} MiB，未收取")
            seen[key] = file.stamp
        except AlreadyErased:
            result.left.append(f"{plain_name(file.name)}: {_ERASED}，没有再收，请从收件夹里删去")
            seen[key] = file.stamp
        except Exception as error:  # noqa: BLE001 - one file that cannot be read is that file's alone
            reason = what_failed(error, source.uri)
            result.left.append(f"{plain_name(file.name)}: 读不出来（{reason}），下次再收")
            failed_in_a_row += 1
            if failed_in_a_row == _FAILURES_OF_A_SOURCE:
                result.problem = reason
                return False
        else:
            failed_in_a_row = 0
            if pulled is None:
                result.left.append(f"{plain_name(file.name)}: 读取时文件仍在变化，下次再收")
                continue
            members, passed_over = pulled
            result.passed_over += passed_over
            for submission_id, is_new in members:
                (result.landed if is_new else result.known).append(submission_id)
            seen[key] = file.stamp
    return True


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
    return results


def _pull(
    home: Home, store: RawStore, source: _Pulling, file: SourceFile, code: str
) -> tuple[list[tuple[str, bool]], list[str]] | None:
    """Keep one file, and the files in it if it is a zip of returns: (submission id, whether it is new) of each, and in words what
    of the zip was passed over.

    None when it changed while it was read. Raises TooLarge.
    """
    municipality = home.municipality
    max_bytes = municipality.limits.file_mebibytes * 2**20
    system = source.system
    with _open(system, source.root, file.path) as stream:
        submission_id, size = store.keep(stream, max_bytes=max_bytes)
    after = system.info(file.path)
    # The size in the listing too: some servers tell the time in whole seconds.
    if {size, int(after.get("size") or 0)} != {file.size_bytes} or _modified_at(
        system, file.path, after
    ) != file.modified_at:
        return None
    collected_at = source.now()
    received_at = min(file.modified_at, collected_at) if municipality.received_at == "modified" else collected_at
    arrival = Arrival(
        county_code=code,
        file_name=plain_name(file.name),
        source_uri=_without_secret(source.uri, _readable(file.path)),
        modified_at=file.modified_at.isoformat(),
        collected_at=collected_at.isoformat(),
        received_at=received_at.isoformat(),
    )
    # The members first: a zip that is recorded is unpacked, whenever the process ends.
    unpacked = unpack(store, submission_id, arrival, max_bytes=max_bytes) if _is_zip(store, submission_id) else None
    members = unpacked.submission_ids if unpacked else ()
    is_new = store.record(submission_id, size, arrival, batch_members=members)
    left = [plain_name(path) for path in unpacked.passed_over] if unpacked else []
    passed_over = [f"{plain_name(file.name)} 中的 {_told(left)}"] if left else []
    if unpacked and unpacked.erased:
        # The zip holds the same bytes once more.
        store.erase(submission_id, Erasure(arrival.collected_at, "系统", "压缩包里有市局删除过的含个人信息的文件"))
        told = "、".join(unpacked.erased)
        passed_over.append(f"{plain_name(file.name)} 中的 {told}: {_ERASED}，没有再收，压缩包也没有留存")
    return [(submission_id, is_new), *(unpacked.members if unpacked else ())], passed_over


def _is_zip(store: RawStore, submission_id: str) -> bool:
    with store.path(submission_id).open("rb") as stream:
        return stream.read(4) in ZIP_SIGNATURES


def _write_seen(path: Path, seen: dict[str, str]) -> None:
    replace_file(path, json.dumps(seen, ensure_ascii=False, sort_keys=True).encode())


def _read_seen(path: Path) -> dict[str, str]:
    """Path → stamp of what was pulled. A cache: when it is lost everything is read again, found to be known, and nothing
    changes."""
    try:
        seen: dict[str, str] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return seen


def _without_secret(uri: str, path: str) -> str:
    """Where a file came from, without the user and password that a URI may carry."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Path(path).as_posix()
    # Some file systems name a file by its whole URI.
    return masked(path if "://" in path else f"{scheme}://{path}", uri)
