"""dbt, in this process: the parsed manifest, and building the models that are out of date.

Belongs here: everything that knows dbt. The manifest is parsed once per state of the project (at set-up, `python -m
pipelines.warehouse.dbt`) and read from then on: parsing costs ten times what the touched models do. Starting the dbt command
would cost more than the whole build. Where the checkout may not be written, whatever is made after set-up lies in the home. A home
with returns of its own gets the whole project there, with the models that follow from them: the checkout knows the shipped ones only.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.files import folder_aside, replace_file
from pipelines.home import PROJECT, Home
from pipelines.rule_files import SHIPPED_DEFINITIONS, definitions_folders, own_home, read_once
from pipelines.warehouse.build_database import ALL_RETURNS, FINALITY_ONLY, FINDINGS_ONLY
from pipelines.warehouse.generated_models import GENERATED, generated_files, is_written, write_generated

DBT_PROJECT = PROJECT / "dbt_project"
_TARGET = DBT_PROJECT / "target"
#: What dbt's page would load if usage statistics were on.
_TRACKER = "//d1fc8wv8zag5ca.cloudfront.net/2.9.0/sp.js"

#: Models that change with every screened file, whatever it holds: the filings in force, the boards, and the figures for the open
#: queries beside them.
_BOARDS = (
    "stg_filing",
    "int_source",
    "mart_finding",
    "mart_submission_status",
    "mart_filing_version",
    "mart_decision",
    "fct_indicator",
    "mart_overview",
)


#: Beside the manifest: the models of rules across filings, compiled.
_CHECKS = "checks.json"


class DbtFault(RuntimeError):
    """A model failed to build, or what it built breaks a test. Ours, never a county's."""


@dataclass(frozen=True)
class BuiltNode:
    """One model, seed or test that ran."""

    unique_id: str
    status: str
    seconds: float


@read_once
def project_digest() -> str:
    """Changes whenever a model, seed, macro or setting does, or a definition from which models follow."""
    digest = hashlib.sha256()
    for path in _written_by_hand():
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode())
        digest.update(path.read_bytes())
    for name, text in generated_files(DBT_PROJECT).items():
        digest.update(name.encode() + text.encode())
    return digest.hexdigest()[:16]


def _written_by_hand() -> list[Path]:
    return [
        path
        for path in sorted(DBT_PROJECT.rglob("*"))
        if path.is_file()
        and path.suffix in (".sql", ".yml", ".csv", ".md")
        and not {"target", "logs", GENERATED} & set(path.relative_to(DBT_PROJECT).parts)
    ]


def project_folder(home: Home | None = None) -> Path:
    """The whole project, with what follows from the definitions in use: the checkout's; the home's, where definitions beside the
    shipped ones are in use or the checkout may not be written."""
    is_shipped = definitions_folders() == (SHIPPED_DEFINITIONS,)
    if is_shipped and (home is None or _may_be_written(DBT_PROJECT) or is_written(DBT_PROJECT)):
        if not is_written(DBT_PROJECT):
            write_generated(DBT_PROJECT)
        return DBT_PROJECT
    own = own_home()
    place = (Home(own) if own else home or Home.default()).private / "dbt"
    whole = place / f"project-{project_digest()}"
    if not whole.exists():
        with folder_aside(place) as aside:
            for path in _written_by_hand():
                copy = aside / path.relative_to(DBT_PROJECT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            write_generated(aside)
            for stale in place.glob("project-*"):
                shutil.rmtree(stale, ignore_errors=True)
            with suppress(OSError):  # another process was faster
                aside.rename(whole)
    return whole


def _made(name: str, home: Home | None, is_there: Callable[[Path], bool]) -> Path:
    """Where something made of the project as it stands lies, or is to be: in the checkout, or in the home where nothing may be written
    there or the project itself lies."""
    if (project := project_folder(home)) != DBT_PROJECT:
        return project.parent / name
    places = [folder / name for folder in (_TARGET, *([home.private / "dbt"] if home else []))]
    there = next((place for place in places if is_there(place)), None)
    return there or (places[0] if _may_be_written(_TARGET) else places[-1])


def _is_whole(target: Path) -> bool:
    return all((target / name).exists() for name in ("partial_parse.msgpack", "manifest.json", _CHECKS))


def _may_be_written(folder: Path) -> bool:
    return os.access(folder if folder.exists() else folder.parent, os.W_OK)


def manifest_json(home: Home | None = None) -> Path:
    """`manifest.json` of the project as it stands, parsed when it has not been yet: into the checkout, or the home where that may not
    be written. Raises DbtFault when it does not parse."""
    target = _made(f"parsed-{project_digest()}", home, _is_whole)
    if not _is_whole(target):
        _parse(target, project_folder(home))
    return target / "manifest.json"


def _parse(target: Path, project: Path) -> None:
    from dbt.cli.main import dbtRunner

    aside = target.with_name(f".{target.name}.{os.getpid()}")
    # Only the files' names enter the manifest (as database names), and they are the same in every home.
    with _environment(Home(aside)):
        outcome = dbtRunner().invoke(["parse", *_folders(project, aside), "--quiet"])
        if outcome.success:
            compiled = _compile_checks(project, aside)
    if not outcome.success:
        shutil.rmtree(aside, ignore_errors=True)
        raise DbtFault(f"dbt parse failed: {outcome.exception or outcome.result}")
    (aside / _CHECKS).write_text(json.dumps(compiled, ensure_ascii=False), encoding="utf-8")
    for stale in target.parent.glob("parsed-*"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        aside.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(aside, ignore_errors=True)


@dataclass(frozen=True)
class CompiledModel:
    """A model as the SQL that dbt has made of it. `relation`: as the SQL of others names it; `needs`: the models that it reads."""

    name: str
    relation: str
    sql: str
    needs: tuple[str, ...]


def _compile_checks(project: Path, target: Path) -> dict[str, list[dict[str, Any]]]:
    """The models of rules across filings with all that they rest on, each after what it needs. Needs no database."""
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((target / "partial_parse.msgpack").read_bytes())
    quiet = ["--no-introspect", "--no-populate-cache", "--no-write-json", "--quiet"]
    outcome = dbtRunner(manifest=manifest).invoke(
        ["compile", "--select", "+path:models/checks", *_folders(project, target), *quiet]
    )
    if not outcome.success:
        raise DbtFault(f"dbt compile failed: {outcome.exception or outcome.result}")
    shutil.rmtree(target / "compiled", ignore_errors=True)
    nodes = {result.node.unique_id: result.node for result in outcome.result if result.node.resource_type == "model"}
    models: list[CompiledModel] = []
    while len(models) < len(nodes):
        made = {model.name for model in models}
        for node in sorted(nodes.values(), key=lambda one: str(one.name)):
            needs = tuple(nodes[one].name for one in node.depends_on.nodes if one in nodes)
            if node.name not in made and made.issuperset(needs):
                models.append(CompiledModel(node.name, node.relation_name, node.compiled_code, needs))
    return {"models": [asdict(model) for model in models]}


@cache
def _checks(path: Path) -> dict[str, list[dict[str, Any]]]:
    content: dict[str, list[dict[str, Any]]] = json.loads(path.read_bytes())
    return content


def compiled_checks(home: Home | None = None) -> list[CompiledModel]:
    """The models of rules across filings as SQL, with all that they rest on, each after what it needs. Raises DbtFault."""
    rows = _checks(manifest_json(home).with_name(_CHECKS))["models"]
    return [CompiledModel(row["name"], row["relation"], row["sql"], tuple(row["needs"])) for row in rows]


def _folders(project: Path, target: Path) -> list[str]:
    return [
        "--project-dir", str(project),
        "--profiles-dir", str(project),
        "--target-path", str(target),
        "--log-path", str(target / "logs"),
    ]  # fmt: skip


class _environment:
    """The environment variables that the profile reads, for the time of one call."""

    def __init__(self, home: Home) -> None:
        self.values = {
            "XIANBAO_BUILD_DB": str(home.build_database),
            "XIANBAO_MARTS_DB": str(home.marts_database),
            "DO_NOT_TRACK": "1",
        }
        self.before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.values}
        os.environ.update(self.values)

    def __exit__(self, *_: object) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def selection(dirty: Iterable[str]) -> list[str]:
    """The `--select` words that bring the marts of dirty returns up to date; none means everything."""
    returns = sorted(set(dirty))
    if ALL_RETURNS in returns:
        return []
    changed = [code for code in returns if code not in (FINDINGS_ONLY, FINALITY_ONLY)]
    settled = ["int_role_term+"] if FINALITY_ONLY in returns else []
    return [*(f"source:landing.{code}+" for code in changed), *settled, *_BOARDS]


def build(home: Home, dirty: Iterable[str]) -> list[BuiltNode]:
    """Build and test what the dirty returns touch. Raises DbtFault with the failing nodes' messages."""
    select = selection(dirty)
    # Views of checks do not change with what is landed.
    narrowed = ["--select", *select, "--exclude", "path:models/checks"] if select else []
    return _invoke(home, "build", ["--exclude-resource-type", "unit_test", *narrowed])


def build_figures(home: Home) -> None:
    """Build `fct_indicator` and what it rests on; no tests. Raises DbtFault."""
    _invoke(home, "run", ["--select", "+fct_indicator"])


def docs_page(home: Home) -> Path:
    """What every model is made of and every column means, as one page that needs nothing else; made once for each state of the
    project, from any home that has been built. Raises DbtFault."""
    page = _made(f"docs-{project_digest()}.html", home, Path.exists)
    if page.exists():
        return page
    manifest, project = manifest_json(home), project_folder(home)
    from dbt.cli.main import dbtRunner

    aside = home.private / "dbt_docs"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.copyfile(manifest, aside / manifest.name)
    wanted = ["docs", "generate", "--static", "--no-compile", *_folders(project, aside)]
    with _environment(home):
        outcome = dbtRunner().invoke(
            [*wanted, "--log-level", "none", "--no-version-check", "--log-level-file", "error"]
        )
        _close_connections()
    if not outcome.success:
        raise DbtFault(f"dbt docs failed: {outcome.exception or outcome.result}")
    content = (aside / "static_index.html").read_text(encoding="utf-8")
    # No path of this machine, and no tracker, though it is switched off by the project's settings.
    content = content.replace(str(project), DBT_PROJECT.name).replace(_TRACKER, "")
    for stale in page.parent.glob("docs-*.html"):
        stale.unlink(missing_ok=True)
    replace_file(page, content.encode())
    shutil.rmtree(aside, ignore_errors=True)
    return page


def run_unit_tests(home: Home) -> list[BuiltNode]:
    """Run the models' unit tests against a built home; nothing in it changes. Raises DbtFault when one fails."""
    return _invoke(home, "test", ["--select", "test_type:unit"])


def _invoke(home: Home, command: str, arguments: list[str]) -> list[BuiltNode]:
    parsed, project = manifest_json(home).with_name("partial_parse.msgpack"), project_folder(home)
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(parsed.read_bytes())
    # What fails is told by the exception; a debug log of every event would cost a fifth of the build.
    quiet = ["--log-level", "none", "--no-write-json", "--no-version-check", "--log-level-file", "error"]
    with _environment(home):
        outcome = dbtRunner(manifest=manifest).invoke(
            [command, *_folders(project, home.private / "dbt"), *quiet, *arguments]
        )
        _close_connections()
    if outcome.exception is not None:
        raise DbtFault(f"dbt {command} failed: {outcome.exception}") from outcome.exception
    results = list(outcome.result or [])
    good = ("success", "pass", "warn", "no-op")
    failed = [f"{result.node.unique_id}: {result.message}" for result in results if result.status not in good]
    if failed or not outcome.success:
        raise DbtFault(f"dbt {command} failed:\n" + "\n".join(failed[:20]))
    return [BuiltNode(result.node.unique_id, str(result.status), result.execution_time) for result in results]


def _close_connections() -> None:
    """dbt-duckdb keeps the database open in the process after a run; the next writer in this process needs it closed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


if __name__ == "__main__":
    manifest_json(Home.default())
