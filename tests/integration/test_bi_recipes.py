"""The recipes of docs/bi/README.md, run as they stand there: in a home, each in an environment with the packages it names."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from pipelines.home import PROJECT

PAGE = (PROJECT / "docs" / "bi" / "README.md").read_text(encoding="utf-8")
#: Heading → what `pip install` gets; None: the pipeline's own environment.
RECIPES = {
    "Polars, pandas, Arrow": (None, "assert len(polars_frame) == 15 and len(pandas_frame) % 15 == 0 and arrow_table.num_rows > 1000"),
    "SQLAlchemy": (("duckdb-sqlalchemy",), "assert len(rows) == 15 and '一览' in names"),
    "ADBC": (("duckdb", "adbc-driver-manager", "pyarrow"), "assert adbc_table.num_rows == 15 and '地区' in adbc_table.column_names"),
}  # fmt: skip


def recipe(heading: str) -> str:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    return str(block)


def python_with(packages: tuple[str, ...] | None, folder: Path) -> str:
    """Python of an environment that holds these packages; skips when they cannot be installed."""
    if packages is None:
        return sys.executable
    python = folder / "-".join(packages) / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"{packages} cannot be installed here (package index): {done.stderr.strip()[-200:]}")
    return str(python)


def test_every_recipe_in_python_is_run():
    assert len(re.findall(r"^```python$", PAGE, flags=re.MULTILINE)) == len(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("heading", RECIPES)
def test_the_recipe_runs_in_a_home(heading: str, published_home: Path, tmp_path_factory: pytest.TempPathFactory):
    packages, proof = RECIPES[heading]
    folder = Path(os.environ.get("XIANBAO_ENGINES") or tmp_path_factory.getbasetemp() / "engines")
    done = subprocess.run(
        [python_with(packages, folder), "-c", f"{recipe(heading)}\n{proof}"],
        cwd=published_home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
