"""Releases: what was published, made of what, and proof of its content.

    raw/releases/000001.json          one manifest a release; the log of what was published cannot be recomputed
    raw/releases/held/<sha256>        the configuration that a release was made with; its policy lies in raw/policy/
    warehouse/xianbao.manifest.json   the manifest of the published file, beside it
    warehouse/releases/<id>/          the files of the newest releases, each with its manifest

Belongs here: the identity of a release, its manifest, the log and which files are kept. Making the file is `publish`, making an
earlier one again is `reconstruct`.

A release is identified by its content: the hashes of all tables, whatever order rows lie in. The same content is the same release,
whichever run made it; so a run that changes nothing publishes nothing.
"""

import filecmp
import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines.files import aside_name, replace_file, sync_folder
from pipelines.home import PROJECT, Home
from pipelines.intake.raw_store import RawStore, RawSubmission
from pipelines.returns import current_definitions
from pipelines.screening.rules import rule_set_version
from pipelines.times import utc
from pipelines.warehouse.dbt import project_digest
from pipelines.warehouse.opened import opened

#: Says who made the content, and so is no part of it.
_STAMP = "release"


class NoSuchRelease(LookupError):
    """No release goes by that name, or its file is no longer kept; the message says so (Chinese)."""


class ReleaseLogDamaged(RuntimeError):
    """A manifest in `raw/releases/` cannot be read; `raw/` must be restored (Chinese)."""


@dataclass(frozen=True)
class TableContent:
    """A table's rows as a number and a SHA-256, whatever order they lie in."""

    rows_n: int
    sha256: str


@dataclass(frozen=True)
class Inputs:
    """What of `raw/` a release knew: every arrival collected until a moment (UTC) and, where `as_of` is set, received by then.

    `exceptions`: submission id → how many of its arrivals were known, where that differs; `submissions_sha256`: over all that were
    known, so that a clock put back is noticed. `source_notes_n`: how many notes on sources. `configuration`: SHA-256 of municipality.yaml; `policy`: part and
    name of each file of policy (`pipelines.policy.kept`) → SHA-256; none in releases older than the keeping.
    """

    as_of: str | None
    collected_until: str | None
    exceptions: dict[str, int]
    submissions_n: int
    submissions_sha256: str
    decisions_n: int
    decisions_sha256: str
    lateness_until: str | None
    configuration: str
    policy: dict[str, str]
    source_notes_n: int = 0


@dataclass(frozen=True)
class Versions:
    """What a release was made by. `returns`: return code → version of its definition."""

    code: str
    rules: str
    models: str
    returns: dict[str, int]

    @staticmethod
    def of_today() -> "Versions":
        """Those of this installation."""
        returns = {code: defined.version for code, defined in sorted(current_definitions().items())}
        return Versions(code_version(), rule_set_version(), project_digest(), returns)


@dataclass(frozen=True)
class Manifest:
    """One release. `published_at`: UTC; `previous`: the release that was published before it, None for the first."""

    number: int
    release_id: str
    as_of: str | None
    published_at: str
    previous: str | None
    inputs: Inputs
    versions: Versions
    tables: dict[str, TableContent]
    size_bytes: int

    def as_json(self) -> bytes:
        return (json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_json(content: bytes) -> "Manifest":
        """Raises ValueError, KeyError or TypeError when it is no manifest."""
        read: dict[str, Any] = json.loads(content)
        if "policy" not in read["inputs"]:  # made before policy was kept
            read["inputs"] = {name: value for name, value in read["inputs"].items() if name != "seeds"} | {"policy": {}}
        return Manifest(
            **{
                **read,
                "inputs": Inputs(**read["inputs"]),
                "versions": Versions(**read["versions"]),
                "tables": {name: TableContent(**table) for name, table in read["tables"].items()},
            }
        )


@cache
def code_version() -> str:
    """Package version and eight digits of its source, so that two checkouts that compute alike say so."""
    digest = hashlib.sha256()
    package = PROJECT / "pipelines"
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".yaml") and path.is_file() and "sample" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{importlib.metadata.version('xianbao')}+{digest.hexdigest()[:8]}"


def table_contents(connection: duckdb.DuckDBPyConnection) -> dict[str, TableContent]:
    """Every table of `marts` in the connection's database but the stamp → its content. The order of rows plays no part."""
    found: dict[str, TableContent] = {}
    for (table,) in connection.execute(
        """SELECT table_name FROM duckdb_tables()
           WHERE schema_name = 'marts' AND database_name = current_database() ORDER BY ALL"""
    ).fetchall():
        if table == _STAMP:
            continue
        columns = connection.execute(
            """SELECT column_name, data_type FROM duckdb_columns()
               WHERE schema_name = 'marts' AND database_name = current_database() AND table_name = ? ORDER BY column_index""",
            [table],
        ).fetchall()
        # Each value with its length before it, so that no two rows read alike; every client prints these types the same.
        values = ", ".join(
            f"""coalesce(length("{name}"::VARCHAR) || ':' || "{name}"::VARCHAR, '-')""" for name, _ in columns
        )
        ((rows_n, digest),) = connection.execute(
            f"""SELECT count(*), coalesce(sha256(string_agg(row_digest, '' ORDER BY row_digest)), '')
                FROM (SELECT md5(concat({values})) AS row_digest FROM marts."{table}")"""
        ).fetchall()
        whole = json.dumps([columns, rows_n, digest])
        found[table] = TableContent(int(rows_n), hashlib.sha256(whole.encode()).hexdigest())
    return found


def table_contents_of(file: Path) -> dict[str, TableContent]:
    """As `table_contents`, of a published file."""
    with opened(file) as connection:
        return table_contents(connection)


def release_id(as_of: str | None, tables: Mapping[str, TableContent]) -> str:
    """The name of a content: sixteen hex digits, the same wherever and whenever it was made."""
    whole = [as_of, sorted((name, table.sha256) for name, table in tables.items())]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def inputs_of(
    home: Home,
    known: Mapping[str, int],
    *,
    decisions: tuple[int, str],
    lateness_until: str | None,
    source_notes_n: int,
    policy: Mapping[str, str],
    as_of: str | None = None,
) -> Inputs:
    """What a release rests on. `known`: submission id → how many of its arrivals counted; `decisions`: how many, and the SHA-256
    of the last."""
    store = RawStore(home.raw)
    entries = list(store)
    times = [
        arrival.collected_at for entry in entries for arrival in entry.arrivals[: known.get(entry.submission_id, 0)]
    ]
    collected_until = max(times, key=utc, default=None)
    exceptions = {
        entry.submission_id: known.get(entry.submission_id, 0)
        for entry in entries
        if _collected_by(entry, collected_until) != known.get(entry.submission_id, 0)
    }
    # Its sidecar cannot be read now: once it is restored nobody shall think that it came later, or that it was known.
    unread = (known.keys() | store.submission_ids) - {entry.submission_id for entry in entries}
    exceptions |= {one: known.get(one, 0) for one in sorted(unread)}
    return Inputs(
        as_of=as_of,
        collected_until=collected_until,
        exceptions=exceptions,
        submissions_n=len(known),
        submissions_sha256=_known_digest(known),
        decisions_n=decisions[0],
        decisions_sha256=decisions[1],
        lateness_until=lateness_until,
        configuration=_sha256(home.configuration.read_bytes()),
        policy=dict(policy),
        source_notes_n=source_notes_n,
    )


def known_submissions(home: Home, inputs: Inputs) -> dict[str, int]:
    """Submission id → how many of its arrivals a release knew (the first so many). Raises ReleaseLogDamaged when `raw/` holds
    others than were known then."""
    known = {
        entry.submission_id: inputs.exceptions.get(entry.submission_id, _collected_by(entry, inputs.collected_until))
        for entry in RawStore(home.raw)
    }
    known = {submission_id: arrivals_n for submission_id, arrivals_n in known.items() if arrivals_n}
    if (len(known), _known_digest(known)) != (inputs.submissions_n, inputs.submissions_sha256):
        raise ReleaseLogDamaged(
            f"raw/ 与该发布的记录对不上：当时有 {inputs.submissions_n} 件报送件，现在按同一时点数出 {len(known)} 件或到达次数不同。"
            f"raw/ 被改动过，或系统时钟曾经回拨。{'；'.join(RawStore(home.raw).damaged_sidecars().values())}"
        )
    return known


class ReleaseLog:
    """The releases of one home, oldest first."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.raw / "releases"

    def __iter__(self) -> Iterator[Manifest]:
        """Raises ReleaseLogDamaged."""
        for number, path in enumerate(sorted(self.folder.glob("[0-9]*.json")), start=1):
            try:
                manifest = Manifest.from_json(path.read_bytes())
            except (ValueError, KeyError, TypeError) as error:
                raise ReleaseLogDamaged(f"{path}：发布清单读不出来（{error}）。请从备份恢复整个 raw/。") from None
            if manifest.number != number:
                raise ReleaseLogDamaged(f"{path}：发布清单的编号不连续，有清单被删去。请从备份恢复整个 raw/。")
            yield manifest

    def newest(self) -> Manifest | None:
        """The newest release of what is known now, which is the one that is published; None before the first. Raises
        ReleaseLogDamaged."""
        return next((manifest for manifest in reversed(list(self)) if manifest.as_of is None), None)

    def find(self, name: str) -> Manifest:
        """A release by its id (or at least four digits of it), by its number, or `current`. Raises NoSuchRelease."""
        manifests = list(self)
        if name in ("current", "latest"):
            found = [manifest for manifest in manifests if manifest.as_of is None]
        elif name.isdecimal() and len(name) < 7:
            found = [manifest for manifest in manifests if manifest.number == int(name)]
        else:
            found = [manifest for manifest in manifests if len(name) >= 4 and manifest.release_id.startswith(name)]
            if len({manifest.release_id for manifest in found}) > 1:
                raise NoSuchRelease(f"“{name}”可以是几个发布，请多写几位编号。")
        if not found:
            raise NoSuchRelease(f"没有“{name}”这个发布。用 xianbao releases 查看全部发布。")
        return found[-1]

    def append(
        self,
        release: str,
        inputs: Inputs,
        versions: Versions,
        tables: dict[str, TableContent],
        size_bytes: int,
        now: datetime,
    ) -> Manifest:
        """Write down a release, unless the newest of its kind (now, or as of that day) is the same; returns its manifest."""
        manifests = list(self)
        before = [manifest for manifest in manifests if manifest.as_of is None]
        alike = [manifest for manifest in manifests if manifest.as_of == inputs.as_of][-1:]
        if alike and alike[0].release_id == release:
            return alike[0]
        self._hold(self.home.configuration.read_bytes())
        manifest = Manifest(
            number=len(manifests) + 1,
            release_id=release,
            as_of=inputs.as_of,
            published_at=now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
            previous=before[-1].release_id if before else None,
            inputs=inputs,
            versions=versions,
            tables=tables,
            size_bytes=size_bytes,
        )
        replace_file(self.folder / f"{manifest.number:06d}.json", manifest.as_json())
        return manifest

    def held(self, sha256: str) -> bytes:
        """A configuration as a release was made with it. Raises ReleaseLogDamaged when it is gone or altered."""
        path = self.folder / "held" / sha256
        if not path.exists() or _sha256(content := path.read_bytes()) != sha256:
            raise ReleaseLogDamaged(f"{path}：发布时的配置文件不见了，或被改动。请从备份恢复整个 raw/。")
        return content

    def _hold(self, content: bytes) -> None:
        path = self.folder / "held" / _sha256(content)
        if not path.exists():
            replace_file(path, content)

    def kept_file(self, manifest: Manifest) -> Path | None:
        """The database of a release, None when it is no longer kept."""
        path = kept_folder(self.home, manifest.release_id) / self.home.published.name
        return path if path.exists() else None

    def keep(self, manifest: Manifest, file: Path) -> Path:
        """Keep a copy of a release's file (none of its own inode: what happens to the one must not happen to the other), the
        documentation as it now is, and the manifest; returns where the file lies."""
        folder = kept_folder(self.home, manifest.release_id)
        target = folder / self.home.published.name
        folder.mkdir(parents=True, exist_ok=True)
        for source, kept in ((file, target), (self.home.documentation, folder / "docs.html")):
            if not source.exists() or (kept.exists() and _is_copy(source, kept)):
                continue
            aside = folder / aside_name(kept.name)
            try:
                shutil.copyfile(source, aside)
                aside.chmod(0o444)
                with aside.open("rb") as stream:
                    os.fsync(stream.fileno())
                aside.replace(kept)
            finally:
                aside.unlink(missing_ok=True)
        sync_folder(folder)
        replace_file(folder / "manifest.json", manifest.as_json())
        return target

    def forget_old(self) -> None:
        """Remove the files (never the manifests) of releases that the policy of `publish` keeps no longer."""
        policy = self.home.municipality.publish
        manifests = list(self)
        main = [manifest for manifest in manifests if manifest.as_of is None]
        last_of_month = {manifest.published_at[:7]: manifest for manifest in main}
        kept = [
            *main[-policy.keep_releases :],
            *(last_of_month[month] for month in sorted(last_of_month)[-policy.keep_months :]),
            *[manifest for manifest in manifests if manifest.as_of is not None][-policy.keep_releases :],
        ]
        names = {manifest.release_id for manifest in kept}
        for folder in (self.home.warehouse / "releases").glob("*"):
            if folder.is_dir() and folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)


def _is_copy(source: Path, kept: Path) -> bool:
    """Whether the same bytes lie there, and not the same file."""
    return not source.samefile(kept) and filecmp.cmp(source, kept, shallow=False)


def kept_folder(home: Home, release: str) -> Path:
    """Where a release's file lies as long as it is kept."""
    return home.warehouse / "releases" / release


def _collected_by(entry: RawSubmission, moment: str | None) -> int:
    return sum(moment is not None and utc(arrival.collected_at) <= utc(moment) for arrival in entry.arrivals)


def _known_digest(known: Mapping[str, int]) -> str:
    return _sha256(json.dumps(sorted(known.items())).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
