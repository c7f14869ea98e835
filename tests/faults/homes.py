"""Small homes for cases, and the command as an operator types it. One published home is made once and copied for each case."""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pipelines.home import Home
from tests.homes import deliver, small_home, update
from tests.unit.builders import DINGXIANG, XINFU, CountyName, Draft

COMMAND = str(Path(sys.executable).with_name("xianbao"))
COUNTIES = [(XINFU.code, XINFU.name, "Xinfu"), (DINGXIANG.code, DINGXIANG.name, "Dingxiang")]


def sent_home(folder: Path) -> Home:
    """A home of two counties, one of which has sent its register of schools; nothing has been run."""
    home = small_home(folder, COUNTIES)
    for county in home.municipality.counties:
        (folder / "counties" / county.code).mkdir(parents=True)
    send(home, Draft("school", period="2023-2024"))
    return home


def published_home(folder: Path) -> Home:
    """The same after a run: one release is out and answers lie in the outbox. A copy; the caller may break it."""
    shutil.copytree(_made_once(), folder, symlinks=True)
    return Home(folder)


#: What `days` count from.
OCTOBER = datetime(2024, 10, 1, tzinfo=UTC).timestamp()


def send(home: Home, draft: Draft, name: str = "", days: float | None = None) -> Path:
    """Put a draft into its county's inbox. `days`: how long after the beginning of October the file is dated; as it is made."""
    name = name or f"{draft.county.name}_{draft.period}_{draft.return_code}.xlsx"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(draft.xlsx())
        modified = None if days is None else OCTOBER + days * 86_400
        return deliver(home, draft.county.code, file, modified=modified)


def with_more_people(by: int, county: CountyName = XINFU) -> Draft:
    """A population return with that many more boys of six."""
    draft = Draft("population", county, "2024")
    for row in draft.rows:
        if row["age"] == 6:
            row["population_total"] += by
            row["population_male"] += by
    return draft


def environment(**more: str) -> dict[str, str]:
    """The environment without what names another home or instance."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XIANBAO_", "DAGSTER_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return plain | {"DAGSTER_DISABLE_TELEMETRY": "1"} | more


def xianbao(home: Home, *arguments: str, umask: int = -1, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `more`: variables of its environment."""
    return subprocess.run(
        [COMMAND, "--home", str(home.root), *arguments],
        env=environment(**more), cwd=home.root, capture_output=True, text=True, check=False, timeout=600, umask=umask,
    )  # fmt: skip


@cache
def _made_once() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="xianbao-faults-")) / "home"
    update(sent_home(folder))
    import atexit

    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    return folder
