"""Carrying the answers to a county's own folder: any fsspec URI; the code does not know which.

Belongs here: telling what is not yet there, and writing it whole. One county's failure stays that county's, and what was not
delivered is tried again with the next run.
"""

import json
import posixpath
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.files import GIVEN_UMASK, is_left_behind, replace_file
from pipelines.home import OUTBOX_INDEX, Home, is_answer
from pipelines.intake.connections import is_local, masked, opened, protocols_of, what_failed
from pipelines.intake.parallel import in_parallel
from pipelines.municipality import ConfigurationError, County

#: Stores in which an object appears whole or not at all; elsewhere a file is written aside and renamed.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "memory"}


def deliver_all(home: Home) -> dict[str, str]:
    """Bring every configured outbox in line with the home's own; returns county code → what went wrong."""
    counties = [county for county in home.municipality.counties if county.outbox is not None]
    answers = in_parallel(
        {county: partial(_deliver, home, county) for county in counties}, home.municipality.limits.source_seconds
    )
    problems = {}
    for county, answer in answers.items():
        if answer is None:
            problems[county.code] = f"{home.municipality.limits.source_seconds} 秒内没有应答"
        elif isinstance(answer, BaseException):
            problems[county.code] = f"{type(answer).__name__}: {answer}"
        elif answer:
            problems[county.code] = str(answer)
    return problems


def _deliver(home: Home, county: County) -> str:
    """Returns what went wrong, blank when nothing did."""
    delivered_file = home.private / "outbox" / f"{county.code}.json"
    delivered = _read(delivered_file)
    folder = home.outbox / county.code
    local = {path.name: _stamp(path) for path in folder.glob("*") if path.is_file() and not path.name.startswith(".")}
    uri = ""
    problem = ""
    try:
        uri = home.municipality.outbox_uri(county, home.root) or ""
        changed = delivered.get("uri") != _plain(uri)
        files: dict[str, str] = {} if changed else dict(delivered.get("files", {}))
        # The index comes last: what it links to is there.
        new = sorted(
            (name for name, stamp in local.items() if files.get(name) != stamp),
            key=lambda name: (name == OUTBOX_INDEX, name),
        )
        gone = sorted(set(files) - set(local))
        if not new and not gone and not changed and _is_remote(uri):
            return ""
        with opened(uri, county.host_keys) as (system, root):
            _clear_up(system, root)
            if not new and not gone and not changed:
                return ""
            try:
                _make_folder(system, root)
                for name in new:
                    _put(system, posixpath.join(root, name), (folder / name).read_bytes())
                    files[name] = local[name]
                for name in gone:
                    if system.exists(posixpath.join(root, name)):
                        system.rm_file(posixpath.join(root, name))
                    del files[name]
            finally:
                content = json.dumps({"uri": _plain(uri), "files": files}, ensure_ascii=False, sort_keys=True)
                replace_file(delivered_file, content.encode())
    except ConfigurationError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a remote file system raises is this county's problem, not the run's
        problem = what_failed(error, uri)
    return problem


def _is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith(("file://", "local://"))


def _make_folder(system: Any, root: str) -> None:
    if is_local(system) and not Path(root).exists():
        Path(root).mkdir(parents=True)
        Path(root).chmod(0o777 & ~GIVEN_UMASK)
    system.makedirs(root, exist_ok=True)


def _clear_up(system: Any, root: str) -> None:
    """Remove what a delivery that was killed has left: only one is under way at a time, and only what an answer is called is ours."""
    if is_local(system):
        for path in Path(root).glob(".*.part"):
            if is_left_behind(path, of=is_answer):
                path.unlink(missing_ok=True)
    for path in system.ls(root, detail=False) if system.exists(root) else ():
        name = posixpath.basename(path)
        if name.startswith(".") and name.endswith(".part") and is_answer(name[1 : -len(".part")]):
            system.rm_file(path)


def _put(system: Any, path: str, content: bytes) -> None:
    if is_local(system):
        # A county's folder is the county's: who may read there is what this process was told when it began.
        replace_file(Path(path), content, mode=0o666 & ~GIVEN_UMASK)
        return
    protocols = protocols_of(system)
    if protocols & _ATOMIC:
        system.pipe_file(path, content)
        return
    aside = f"{posixpath.dirname(path)}/.{posixpath.basename(path)}.part"
    system.pipe_file(aside, content)
    try:
        system.mv(aside, path)  # replaces what is there, on a disk and on most servers
    except OSError:
        if not system.exists(aside):
            raise
        if system.exists(path):
            system.rm_file(path)
        # An SFTP server without the extension that replaces.
        rename = system.ftp.rename if protocols & {"sftp", "ssh"} else system.mv
        rename(aside, path)


def _plain(uri: str) -> str:
    """The URI as it may be kept: without user and password."""
    return masked(uri, uri)


def _stamp(path: Any) -> str:
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def _read(path: Any) -> dict[str, Any]:
    """What was delivered. A cache: when it is lost everything is written once more."""
    try:
        known: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known
