"""docs/adding-a-return.md and docs/adding-a-county.md are done, step by step, as they are written, in a copy of the tree and homes aside."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import openpyxl
import pytest
from ruamel.yaml import YAML

from tests.homes import PROJECT, deliver, small_home

RETURN_PAGE = (PROJECT / "docs" / "adding-a-return.md").read_text(encoding="utf-8")
COUNTY_PAGE = (PROJECT / "docs" / "adding-a-county.md").read_text(encoding="utf-8")
COUNTIES = [("140926", "静乐县", "Jingle"), ("140927", "神池县", "Shenchi")]


def steps(page: str) -> list[tuple[str, str, str]]:
    """(`file`, `add`, or the language; path or nothing; text) of every block of a page, in order."""
    found = []
    for before, language, text in re.findall(
        r"((?:[^\n]+\n)+)\n```(\w+)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL
    ):
        path = re.search(r"(?P<add>Add to )?`(?P<path>[\w./-]+)`:$", before.strip())
        if path and path["path"] != "municipality.yaml":
            found.append(("add" if path["add"] else "file", path["path"], text))
        else:
            found.append((language, path["path"] if path else "", text))
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is under version control, in which nothing was done yet."""
    copy = tmp_path_factory.mktemp("tree") / "xianbao"
    for name in ("pipelines", "expectations", "dbt_project"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    for name in ("pyproject.toml", "dagster.yaml", "README.md", "uv.lock"):
        shutil.copyfile(PROJECT / name, copy / name)
    return copy


def call(tree: Path, line: str, home: Path, *, code: int = 0) -> str:
    """A command of a page, run in the copy: the tools are this environment's, the program is the copy's."""
    words = shlex.split(line)
    program = {".venv/bin/python": [], ".venv/bin/xianbao": ["-m", "pipelines.cli.main"]}[words[0]]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_HOME", "XIANBAO_"))
    }
    done = subprocess.run(
        [sys.executable, *program, *words[1:]], cwd=tree, capture_output=True, text=True, check=False, timeout=400,
        env={**environment, "PYTHONPATH": str(tree), "XIANBAO_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == code, (line, done.stdout, done.stderr)
    return done.stdout + done.stderr


def put_into_calendar(home: Path, text: str) -> None:
    """What a page says to write into municipality.yaml, added to what is there."""
    yaml = YAML(typ="safe")
    configured = yaml.load(home / "municipality.yaml")
    for key, entries in yaml.load(text).items():
        configured[key] = [*configured.get(key, []), *entries]
    yaml.dump(configured, home / "municipality.yaml")


def fill(template: Path, target: Path, rows: list[list[object]]) -> None:
    """Rows under the header of a template, and the names of those who sign."""
    book = openpyxl.load_workbook(template)
    sheet = book.worksheets[0]
    for cells in sheet.iter_rows(max_row=10):
        for cell in cells:
            if isinstance(cell.value, str) and cell.value.rstrip("：") in ("填表人", "审核人", "单位负责人"):
                next(one for one in sheet[cell.row][cell.column :] if type(one).__name__ == "Cell").value = "张三"
    total = next(row for row in range(1, 20) if sheet.cell(row, 1).value == "合计")
    for number, row in enumerate(rows, start=total + 1):
        for place, value in enumerate(row, start=1):
            sheet.cell(number, place).value = value
    book.save(target)


def test_a_return_is_added_as_the_document_says(tree: Path, tmp_path: Path):
    home = small_home(tmp_path / "home", COUNTIES, {"school": ("2024-2025", "2024-2025", "start", 45)})
    done = []
    for kind, path, text in steps(RETURN_PAGE):
        done.append(kind)
        if kind == "file":
            assert not (tree / path).exists(), path
            (tree / path).write_text(text, encoding="utf-8")
        elif kind == "add":
            with (tree / path).open("a", encoding="utf-8") as stream:
                stream.write(text)
        elif kind == "sh":
            for line in text.strip().splitlines():
                call(tree, line, home.root)
        elif path == "municipality.yaml":
            put_into_calendar(home.root, text)
        else:
            raise AssertionError((kind, path))
    assert done == ["file", "file", "sh", "yaml", "add", "add", "add"]

    # The template of the new form, filled, is accepted; a slip in it is found at its cell.
    for county, classes in (("静乐县", [18, 15, 3]), ("神池县", [12, 12, 0])):
        call(
            tree,
            f".venv/bin/xianbao template XB07 --county {county} --period 2024-2025 --out {tmp_path / '模板'}",
            home.root,
        )
        code = {name: code for code, name, _ in COUNTIES}[county]
        (template,) = (tmp_path / "模板").glob(f"{county}*.xlsx")
        rows = [[f"{code}0001", "南关小学", *classes], [f"{code}0002", "北关小学", 10, 10, 0]]
        fill(template, tmp_path / f"{county}.xlsx", rows)
        checked = call(tree, f".venv/bin/xianbao check {tmp_path / f'{county}.xlsx'}", home.root)
        assert "错误 0" in checked and "核实 0" in checked, checked
        deliver(home, code, tmp_path / f"{county}.xlsx")
    fill(template, tmp_path / "错.xlsx", [[f"{code}0001", "南关小学", 18, 15, 4]])
    assert "错误 1" in call(tree, f".venv/bin/xianbao check {tmp_path / '错.xlsx'}", home.root, code=1)

    # It is published, its figure can be walked back to the cells, and a public export leaves it out by name.
    call(tree, ".venv/bin/xianbao run", home.root)
    shown = call(tree, ".venv/bin/xianbao show large_class_share", home.root)
    assert "6.0000 %" in shown and "2/2" in shown and "3 ÷ 50" in shown.replace("3.00", "3").replace("50.00", "50"), (
        shown
    )
    traced = call(tree, ".venv/bin/xianbao trace large_class_share --area 静乐县", home.root)
    assert "静乐县.xlsx" in traced and "南关小学" in traced, traced
    assert "XB07" in call(tree, ".venv/bin/xianbao status", home.root)
    exported = call(tree, f".venv/bin/xianbao export --out {tmp_path / 'out'} --format csv --profile public", home.root)
    assert "large_class_share" in exported and "public.yaml" in exported
    assert "大班额比例" not in "".join(
        path.read_text(encoding="utf-8-sig") for path in (tmp_path / "out").glob("*.csv")
    )


def test_a_return_of_the_home_alone_is_screened_landed_and_modelled(tmp_path: Path):
    """The checkout is this one and learns nothing of it."""
    home = small_home(tmp_path / "home", COUNTIES[:1], {"school": ("2024-2025", "2024-2025", "start", 45)})
    files = {path: text for kind, path, text in steps(RETURN_PAGE) if kind == "file"}
    for folder, path in (
        ("returns", "pipelines/returns/definitions/class_size.v1.yaml"),
        ("expectations", "expectations/class_size.yaml"),
    ):
        (home.root / folder).mkdir()
        (home.root / folder / Path(path).name).write_text(files[path], encoding="utf-8")
    put_into_calendar(home.root, next(text for _, path, text in steps(RETURN_PAGE) if path == "municipality.yaml"))
    code, county, _ = COUNTIES[0]
    wanted = f"xianbao template XB07 --county {county} --period 2024-2025 --out {tmp_path / '模板'}"
    call(PROJECT, f".venv/bin/{wanted}", home.root)
    (template,) = (tmp_path / "模板").glob(f"{county}*.xlsx")
    fill(template, tmp_path / "报表.xlsx", [[f"{code}0001", "南关小学", 18, 15, 3]])
    deliver(home, code, tmp_path / "报表.xlsx")
    call(PROJECT, ".venv/bin/xianbao run", home.root)
    assert "XB07" in call(PROJECT, ".venv/bin/xianbao status", home.root)
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        rows = connection.execute("SELECT school_code, classes_large, return_version FROM staging.stg_class_size")
        assert rows.fetchall() == [(f"{code}0001", 3, 1)]
    assert not [*(PROJECT / "dbt_project").rglob("stg_class_size*")]


def test_a_county_is_added_as_the_document_says(tmp_path: Path):
    home = small_home(tmp_path / "home", COUNTIES, {"school": ("2025-2026", "2025-2026", "start", 45)})
    entry, commands, check, successors = steps(COUNTY_PAGE)
    put_into_calendar(home.root, entry[2])
    for line in commands[2].strip().splitlines():
        told = call(PROJECT, line, home.root)
    assert "新城区" in told
    assert re.fullmatch(r"\.venv/bin/xianbao check \S+\n", check[2])
    # A successor belongs to counties that the example home has not: it is read by itself.
    assert [one["county"] for one in YAML(typ="safe").load(successors[2])["successors"]] == ["140921", "140981"]
