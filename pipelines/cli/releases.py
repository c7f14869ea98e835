"""Printing releases: the list of them, one as of a day, the proof of one.

Belongs here: words. What a release is stands in `releases.release`, making one again in `releases.reconstruct`.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rich.table import Table

from pipelines.cli.terminal import complain, console, refuse, say, tell
from pipelines.home import Home
from pipelines.releases.presentation import SCHEMA
from pipelines.releases.publish import published_release
from pipelines.releases.reconstruct import ReconstructionFault, publish_as_of, verify
from pipelines.releases.release import Manifest, NoSuchRelease, ReleaseLog, ReleaseLogDamaged
from pipelines.times import beijing_minute
from pipelines.warehouse.dbt import DbtFault

Progress = Callable[[int, int], None]

#: Schemas of the published file, and names that DuckDB keeps for itself.
_RESERVED = frozenset(
    [SCHEMA, "marts", "main", "temp", "system", "memory", "information_schema", "pg_catalog", "pg_temp"]
)


def show_releases(home: Home) -> None:
    """Every release, the newest last."""
    log = ReleaseLog(home)
    manifests = _listed(home)
    if not manifests:
        refuse(say("还没有发布过。请先 xianbao run。", "Nothing has been published yet: xianbao run."))
    published = published_release(home)
    table = Table(title=say("发布", "Releases"))
    for heading in (say("序号", "No."), say("编号", "Release"), say("发布时间（北京）", "Published (Beijing)"),
                    say("数据截至", "As of"), say("报送件", "Submissions"), say("改变的表", "Tables changed"),
                    say("文件", "File")):  # fmt: skip
        table.add_column(heading)
    before: dict[str | None, Manifest] = {}
    current = next((m for m in reversed(manifests) if m.as_of is None and m.release_id == published), None)
    for manifest in manifests:
        earlier = before.get(manifest.as_of)
        changed = [name for name, content in manifest.tables.items() if earlier and earlier.tables.get(name) != content]
        kept = log.kept_file(manifest)
        table.add_row(
            str(manifest.number),
            manifest.release_id,
            beijing_minute(datetime.fromisoformat(manifest.published_at)),
            manifest.as_of or "",
            str(manifest.inputs.submissions_n),
            (f"{len(changed)}/{len(manifest.tables)}" if earlier else ""),
            say("现行", "current") if manifest is current else say("保留", "kept") if kept else "",
        )
        before[manifest.as_of] = manifest
    console.print(table)


def publish_day(home: Home, day: str, out: Path | None, *, progress: Progress | None) -> None:
    """Make the warehouse as it was known on a day."""
    if out is not None:
        _refuse_name(home, day, out)
    try:
        manifest, path = publish_as_of(home, day, out=out, progress=progress)
    except (ReconstructionFault, DbtFault, ReleaseLogDamaged) as error:
        _fail(error)
    except OSError as error:
        at = Path(error.filename or "")
        if out is None or (at.parent != out.parent and at not in (out.parent, *out.parent.parents)):
            raise  # ours
        refuse(say(f"写不进 {out}：{error.strerror}", f"Cannot write {out}: {error.strerror}"))
    tell(
        say(f"截至 {day} 已知的指标库：发布 {manifest.release_id}，文件 {path}。现行的发布库不变。",
            f"The warehouse as known on {day}: release {manifest.release_id}, {path}. What is published stays.")
    )  # fmt: skip


def _refuse_name(home: Home, day: str, out: Path) -> None:
    """Refuse a file that no client could ask anything, or that would take the place of one of ours, before any work is done."""
    # DuckDB calls a database what its file is called up to the first dot, whatever the case.
    name = out.name.partition(".")[0]
    if name.casefold() in _RESERVED or not name:
        better = out.with_name(f"{name or 'xianbao'}_{day}.duckdb")
        refuse(
            say(f"文件不能叫 {out.name}：库名会与库里的“{name or '.'}”混淆，打开后查不了。请换一个名字，如 {better}",
                f"A file called {out.name} cannot be queried: its name is that of a schema. Call it {better}, say.")
        )  # fmt: skip
    where = out.resolve()
    if any(where.is_relative_to(folder.resolve()) for folder in (home.raw, home.warehouse)):
        refuse(
            say(f"不能写到 {out}：raw/ 和 warehouse/ 由系统自己管理。请写到别处；不写 --out 则留在 warehouse/releases/。",
                f"{out} lies in raw/ or warehouse/, which are the system's own: name another place.")
        )  # fmt: skip


def verify_release(home: Home, name: str, *, progress: Progress | None) -> int:
    """Prove a release from `raw/`; returns the exit code."""
    try:
        manifest = ReleaseLog(home).find(name)
        verified = verify(home, manifest, progress)
    except NoSuchRelease as error:
        refuse(str(error))
    except (ReconstructionFault, DbtFault, ReleaseLogDamaged) as error:
        _fail(error)
    if verified.published_wrong:
        complain(say(f"现行的发布库 {home.published.name} {verified.published_wrong}。运行 xianbao run 会按清单放回。",
                     f"The published {home.published.name} is not this release; xianbao run puts it back."))  # fmt: skip
    for table in verified.kept_differs:
        complain(say(f"保留的文件与发布清单不符：{table}", f"The kept file is not what was published: {table}"))
    if verified.holds:
        tell(
            say(f"发布 {manifest.release_id} 由 raw/ 重算一致：{len(manifest.tables)} 张表，内容逐表相同。",
                f"Release {manifest.release_id} made again from raw/: {len(manifest.tables)} tables, the same content.")
        )  # fmt: skip
    for table, why in verified.differing.items():
        complain(say(f"重算不一致：{table}（{why}）", f"Differs: {table} ({why})"))
    for what, (then, now) in verified.other_versions.items():
        tell(say(f"发布时的{what}为 {then}，现在为 {now}。", f"{what}: then {then}, now {now}."))
    if verified.differing and not verified.other_versions:
        complain(say("程序、规则和口径都未变，差别来自 raw/ 本身，请查备份。",
                     "Nothing of code, rules or calibers has changed: raw/ itself has."))  # fmt: skip
    return 0 if verified.holds else 1


def _listed(home: Home) -> list[Manifest]:
    try:
        return list(ReleaseLog(home))
    except ReleaseLogDamaged as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    complain(str(error))
    raise SystemExit(1)
