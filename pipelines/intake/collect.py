"""Pulling new files from one county's source into `raw/`. A source is any fsspec URI; the code does not know which.

Belongs here: listing a source, telling what is new, and reading it whole or not at all. One county's failure stays that county's:
it comes back as the result's `problem`, never as an exception.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.intake.parallel import in_parallel
from pipelines.intake.raw_store import Arrival, RawStore, TooLarge
from pipelines.municipality import ConfigurationError, County, Reference

#: So many files in a row that cannot be read are no fault of the files.
_FAILURES_OF_A_SOURCE = 3

#: Names under which editors and transfer programs keep files that are not finished.
_UNFINISHED = (".part", ".filepart", ".tmp", ".crdownload", ".swp", ".lock")


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
    """What pulling one source came to. `landed`: submissions new to the store; `known`: bytes it already held."""

    code: str
    listed: int = 0
    landed: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: str | None = None


def list_source(uri: str) -> tuple[Any, list[SourceFile]]:
    """The file system of a source and its files, by path. A folder that does not exist yet is empty.

    Raises whatever the file system raises when it cannot be reached.
    """
    import fsspec

    system, root = fsspec.url_to_fs(uri)
    system.invalidate_cache()
    try:
        found = system.find(root, detail=True)
    except FileNotFoundError:
        return system, []
    files = []
    for path, info in found.items():
        name = posixpath.basename(path)
        if info.get("type") != "file" or info.get("islink") or name.startswith((".", "~$")):
            continue
        if name.lower().endswith(_UNFINISHED):
            continue
        modified = _modified_at(system, path, info)
        tag = str(info.get("ETag") or info.get("etag") or "")
        size = int(info.get("size") or 0)
        files.append(SourceFile(path, name, size, modified, f"{size}:{modified.isoformat()}:{tag}"))
    return system, sorted(files, key=lambda file: (file.modified_at, file.path))


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
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()[:24]


def collect(
    home: Home,
    source: County | Reference,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Collected:
    """Pull what is new from a county's (or a reference's) source.

    A file that changes while it is read is left for the next pull; what was already pulled, by path and stamp, is not read
    again. Never raises for a source that fails: the result says so.
    """
    code = source.code if isinstance(source, County) else source.name
    result = Collected(code)
    store = RawStore(home.raw)
    seen_file = home.private / "sources" / f"{code}.json"
    seen = _read_seen(seen_file)
    uri = ""
    try:
        municipality = home.municipality
        uri = municipality.source_uri(source, home.root)
        system, files = list_source(uri)
        result.listed = len(files)
        failed_in_a_row = 0
        for file in files:
            # Hashed: the URI may carry a password.
            key = hashlib.sha256(f"{uri}|{file.path}".encode()).hexdigest()
            if seen.get(key) == file.stamp:
                continue
            try:
                pulled = _pull(home, store, system, file, code, uri, now)
            except TooLarge:
                result.left.append(f"{file.name}: 超过 {municipality.limits.file_mebibytes} MiB，未收取")
                seen[key] = file.stamp
            except Exception as error:  # noqa: BLE001 - one file that cannot be read is that file's alone
                reason = _masked(f"{type(error).__name__}: {error}", uri)[:300]
                result.left.append(f"{file.name}: 读不出来（{reason}），下次再收")
                failed_in_a_row += 1
                if failed_in_a_row == _FAILURES_OF_A_SOURCE:
                    result.problem = reason
                    break
            else:
                failed_in_a_row = 0
                if pulled is None:
                    result.left.append(f"{file.name}: 读取时文件仍在变化，下次再收")
                    continue
                submission_id, is_new = pulled
                (result.landed if is_new else result.known).append(submission_id)
                seen[key] = file.stamp
    except ConfigurationError as error:
        result.problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a remote file system raises is this county's problem, not the run's
        result.problem = _masked(f"{type(error).__name__}: {error}", uri)[:500]
    if result.landed or result.known or result.left:
        replace_file(seen_file, json.dumps(seen, ensure_ascii=False, sort_keys=True).encode())
    return result


def collect_all(home: Home, sources: Sequence[County | Reference]) -> list[Collected]:
    """Pull from many sources at once, in the order given; one that does not answer in time is left, and says so."""
    patience = home.municipality.limits.source_seconds
    answers = in_parallel({source: partial(collect, home, source) for source in sources}, patience)
    results = []
    for source, answer in answers.items():
        code = source.code if isinstance(source, County) else source.name
        if isinstance(answer, Collected):
            results.append(answer)
        else:
            problem = f"{patience} 秒内没有应答" if answer is None else f"{type(answer).__name__}: {answer}"
            results.append(Collected(code, problem=problem))
    return results


def _pull(
    home: Home,
    store: RawStore,
    system: Any,
    file: SourceFile,
    code: str,
    uri: str,
    now: Callable[[], datetime],
) -> tuple[str, bool] | None:
    """Keep one file: (submission id, whether it is new), or None when it changed while it was read. Raises TooLarge."""
    municipality = home.municipality
    with system.open(file.path, "rb") as stream:
        submission_id, size = store.keep(stream, max_bytes=municipality.limits.file_mebibytes * 2**20)
    after = system.info(file.path)
    if size != int(after.get("size") or 0) or _modified_at(system, file.path, after) != file.modified_at:
        return None
    collected_at = now()
    received_at = min(file.modified_at, collected_at) if municipality.received_at == "modified" else collected_at
    arrival = Arrival(
        county_code=code,
        file_name=_plain_name(file.name),
        source_uri=_without_secret(uri, file.path),
        modified_at=file.modified_at.isoformat(),
        collected_at=collected_at.isoformat(),
        received_at=received_at.isoformat(),
    )
    return submission_id, store.record(submission_id, size, arrival)


def _read_seen(path: Path) -> dict[str, str]:
    """Path → stamp of what was pulled. A cache: when it is lost everything is read again, found to be known, and nothing
    changes."""
    try:
        seen: dict[str, str] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return seen


def _plain_name(name: str) -> str:
    return "".join(character if character.isprintable() else "_" for character in name)[:255]


def _without_secret(uri: str, path: str) -> str:
    """Where a file came from, without the user and password that a URI may carry."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Path(path).as_posix()
    # Some file systems name a file by its whole URI.
    return _masked(path if "://" in path else f"{scheme}://{path}", uri)


def _masked(text: str, uri: str) -> str:
    """A text without the user and password of any URI in it, and without the password of this one wherever it stands."""
    for secret in re.findall(r"://[^/@:]*:([^/@]+)@", uri):
        text = text.replace(f":{secret}@", "@").replace(secret, "***")
    return re.sub(r"://[^/\s@]*@", "://", text)
