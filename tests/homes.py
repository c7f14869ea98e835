"""Making homes for tests: the whole sample, or a few filings of it under a calendar of their own."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ruamel.yaml import YAML

from pipelines.answers.answers import write_answers
from pipelines.cli.running import run_update
from pipelines.files import closed_to_others
from pipelines.home import Home
from pipelines.intake.collect import collect
from pipelines.operations.upkeep import look_after
from pipelines.policy.starter import write_policy_folder
from pipelines.releases.publish import Published, publish
from pipelines.rule_files import SHIPPED_EXPECTATIONS, forget
from pipelines.sample import write_sample, write_sample_municipality
from pipelines.warehouse.landing import Landed, build_marts, land_new

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"
CENSUS = SHARED / "data" / "census" / "census_county_2020_v1.xlsx"

#: The rules of a small home's calendar: return → (first period, last period, due after, days).
SMALL_CALENDAR = {
    "school": ("2023-2024", "2024-2025", "start", 45),
    "enrolment": ("2023-2024", "2024-2025", "start", 45),
    "population": ("2023", "2024", "end", 60),
}


def run_sample_home(folder: Path, *, faults: bool) -> None:
    """Write the sample into a folder and run the update job on it, as `xianbao sample` and `xianbao run` do."""
    references = {"census_2020": str(CENSUS)} if CENSUS.exists() else None
    write_sample_municipality(folder / "municipality.yaml", received_at="modified", references=references)
    report = write_sample(folder, faults=faults)
    (folder / "faults.json").write_text(json.dumps([fault.__dict__ for fault in report.faults], default=str))
    ran = run_in_own_instance(Home(folder))
    assert ran.failure is None, ran.failure


@contextmanager
def edited_rules(folder: Path, return_code: str, edit: Callable[[list[dict[str, Any]]], None]) -> Iterator[None]:
    """For a while the rules of a return are those that `edit` makes of the shipped entries, in a copy under `folder`."""
    shutil.copytree(SHIPPED_EXPECTATIONS, folder / "expectations")
    catalogue = folder / "expectations" / f"{return_code}.yaml"
    content = YAML(typ="safe").load(catalogue)
    edit(content["rules"])
    with catalogue.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XIANBAO_EXPECTATIONS", str(folder / "expectations"))
        forget()
        yield
    forget()


def run_in_own_instance(home: Home):
    """The update job with the home's own Dagster state, whatever the environment says."""
    for name in ("DAGSTER_HOME", "XIANBAO_STATE"):
        os.environ.pop(name, None)
    return run_update(home)


def small_home(
    folder: Path,
    counties: Sequence[tuple[str, str, str]],
    calendar: dict[str, tuple[str, str, str, int]] | None = None,
    *,
    references: dict[str, str] | None = None,
) -> Home:
    """A home of a few counties ((code, name, English name)); their inboxes are made when something is put there, or collected."""
    entries = "".join(
        f'  - {{code: "{code}", name: {name}, name_en: {name_en}, valid_from: 1983-01-01, source: "counties/{code}"}}\n'
        for code, name, name_en in counties
    )
    due = "".join(
        f'  - {{return: {code}, first_period: "{first}", last_period: "{last}", due: {{after: {after}, days: {days}}}}}\n'
        for code, (first, last, after, days) in (calendar or SMALL_CALENDAR).items()
    )
    listed = "".join(f'  - {{name: {name}, source: "{source}"}}\n' for name, source in (references or {}).items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "municipality.yaml").write_text(
        'city: {code: "140900", name: 忻州市, name_en: Xinzhou, province_code: "140000", province: 山西省}\n'
        f"received_at: modified\ncounties:\n{entries}"
        + (f"references:\n{listed}" if listed else "")
        + f"calendar:\n{due}limits: {{settle_seconds: 0}}\n",
        encoding="utf-8",
    )
    write_policy(Home(folder), [code for code, _, _ in counties])
    return Home(folder)


def write_policy(home: Home, counties: Sequence[str]) -> None:
    """The sample's policy as far as it speaks of these counties: a home may not name others."""
    own = {}
    for path in sorted((PROJECT / "pipelines" / "sample" / "policy").glob("*.csv")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        own[path.name] = "".join(
            line for line in lines if not re.match(r"14\d\d(?!00)\d\d,", line) or line[:6] in counties
        ).encode()
    write_policy_folder(home, own)


def deliver(
    home: Home, county_code: str, file: Path, *, name: str | None = None, modified: float | None = None
) -> Path:
    """Put a file into a county's inbox as a county would: whole, under its final name."""
    inbox = home.root / "counties" / county_code
    inbox.mkdir(parents=True, exist_ok=True)
    target = inbox / (name or file.name)
    aside = inbox / f".{target.name}.part"
    shutil.copyfile(file, aside)
    stamp = modified if modified is not None else file.stat().st_mtime
    os.utime(aside, (stamp, stamp))
    aside.replace(target)
    return target


def collect_all(home: Home, codes: Iterable[str] | None = None) -> None:
    for county in home.municipality.counties:
        if codes is None or county.code in codes:
            if not Path(county.source).is_absolute() and "://" not in county.source:
                (home.root / county.source).mkdir(parents=True, exist_ok=True)
            result = collect(home, county)
            assert result.problem is None, result.problem
    for reference in home.municipality.references:
        assert collect(home, reference).problem is None


def update(home: Home) -> tuple[Landed, Published]:
    """What the job's steps do, without Dagster around them."""
    look_after(home)
    with closed_to_others(), home.writing():
        collect_all(home)
        landed = land_new(home)
        build_marts(home)
        published = publish(home)
        write_answers(home)
    return landed, published


def marts_content(home: Home) -> dict[str, str]:
    """Table → digest of its sorted rows, for every table of the published file."""
    with duckdb.connect(str(home.published), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' ORDER BY 1"
        ).fetchall()
        return {
            table: hashlib.sha256(
                repr(sorted(map(repr, connection.execute(f"FROM marts.{table}").fetchall()))).encode()
            ).hexdigest()
            for (table,) in tables
        }


def rows(home: Home, sql: str, *parameters: object) -> list[tuple]:
    """Rows of a query on the published file."""
    with duckdb.connect(str(home.published), read_only=True) as connection:
        return connection.execute(sql, list(parameters)).fetchall()
