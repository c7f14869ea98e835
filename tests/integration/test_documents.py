"""docs/adding-a-return.md and docs/adding-a-county.md are done, step by step, as they are written, in a copy of the tree and homes aside."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
from builders import CountyName, Draft, _pupils, faultless_rows, xlsx
from ruamel.yaml import YAML

from pipelines.home import Home
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


#: Where the files of a return lie that ships with the product, by where they lie in a home.
SHIPPED = {
    "returns": "pipelines/returns/definitions",
    "expectations": "expectations",
    "policy/indicators": "pipelines/declarations/indicators",
}
#: Of a county: pupils of two schools, books, and new ones.
SCHOOLS = {"静乐县": [(480, 9000, 100), (300, 3000, 0)], "神池县": [(420, 7000, 50), (180, 1000, 1)]}


def register_and_enrolment(folder: Path, county: CountyName, pupils: list[int]) -> list[Path]:
    """The school register and the enrolment of a county whose primary schools have so many pupils, as files."""
    schools = [{"school_code": f"{county.code}000{n}", "school_name": f"第{n}小学"} for n in range(1, len(pupils) + 1)]
    register = faultless_rows("school", county.code)[0]
    drafts = [
        Draft("school", county, rows=[register | one for one in schools]),
        Draft(
            "enrolment",
            county,
            rows=[
                {**one, "stage": "小学", **_pupils(6, 6, number // 6)}
                for one, number in zip(schools, pupils, strict=True)
            ],
        ),
    ]
    files = []
    for draft in drafts:
        files.append(folder / f"{county.name}-{draft.return_code}.xlsx")
        files[-1].write_bytes(xlsx(draft))
    return files


@pytest.fixture(params=["in the home alone", "in the product"])
def added(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> tuple[Path, Home]:
    """The tree and a home in which all of the page was done, and nothing else."""
    home = small_home(
        tmp_path / "home",
        COUNTIES,
        {"school": ("2024-2025", "2024-2025", "start", 45), "enrolment": ("2024-2025", "2024-2025", "start", 45)},
    )
    is_shipped = request.param == "in the product"
    if is_shipped:
        tree = Path(shutil.copytree(tree, tmp_path / "tree"))
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    done = []
    for kind, path, text in steps(RETURN_PAGE):
        done.append(kind)
        if kind == "file":
            folder, _, name = path.rpartition("/")
            target = (tree / SHIPPED[folder] if is_shipped else home.root / folder) / name
            assert not target.exists(), target
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif kind == "sh":
            for line in text.strip().splitlines():
                assert "XB91-2b-pupils" in call(tree, line, home.root)
        elif path == "municipality.yaml":
            put_into_calendar(home.root, text)
        else:
            raise AssertionError((kind, path))
    assert done == ["file", "file", "sh", "yaml", "file", "file"]
    assert all(path.read_bytes() == content for path, content in before.items())
    return tree, home


def test_a_return_is_added_as_the_document_says(added: tuple[Path, Home], tmp_path: Path):
    tree, home = added

    def run(line: str, code: int = 0) -> str:
        return call(tree, f".venv/bin/xianbao {line}", home.root, code=code)

    files = {}
    for county, numbers in SCHOOLS.items():
        county_code = {name: code for code, name, _ in COUNTIES}[county]
        run(f"template XB91 --county {county} --period 2024-2025S1 --out {tmp_path / '模板'}")
        (template,) = (tmp_path / "模板").glob(f"{county}*.xlsx")
        rows = [
            [f"{county_code}000{n}", f"第{n}小学", "小学", pupils, "是", "2019-09-01", books, new, 85.5]
            for n, (pupils, books, new) in enumerate(numbers, start=1)
        ]
        fill(template, files.setdefault(county, tmp_path / f"{county}.xlsx"), rows)
        assert "错误 0" in run(f"check {files[county]}")
        deliver(home, county_code, files[county])
        pupils = [pupils for pupils, _, _ in numbers]
        for file in register_and_enrolment(tmp_path, CountyName(county_code, county), pupils):
            deliver(home, county_code, file)

    # Each rule of the page is broken by one file, at its cell.
    rows[0][7] = rows[0][6] + 1
    rows[1][5] = None
    fill(template, tmp_path / "错.xlsx", rows)
    told = run(f"check {tmp_path / '错.xlsx'}", code=1)
    assert "错误 2" in told and "XB91-1c-new-within-books" in told and "XB91-1c-opened" in told, told

    run("run")
    shown = run("show books_per_pupil --period 2024-2025S1")
    assert "14.4928 册/人" in shown and "2/2" in shown and "20000 ÷ 1380" in shown, shown
    counted = run("show reading_rooms_n --period 2024-2025S1")
    assert "4 所" in counted and "分母：" not in counted, counted
    traced = run("trace books_per_pupil --area 静乐县 --period 2024-2025S1")
    assert "静乐县.xlsx" in traced and "第1小学" in traced and "12,000" in traced, traced
    assert "XB91" in run("status")
    assert "XB91-2b" not in run("findings")
    exported = run(f"export --out {tmp_path / 'out'} --format csv --profile public")
    assert "books_per_pupil" in exported and "public.yaml" in exported
    assert "生均藏书" not in "".join(path.read_text("utf-8-sig") for path in (tmp_path / "out").glob("*.csv"))

    # What crosses filings: pupils of another number than the enrolment says, a school that the register does not know.
    before = run("releases")
    rows[0][3], rows[0][7], rows[1][5], rows[1][0] = 410, 50, "2019-09-01", f"{county_code}0009"
    fill(template, tmp_path / "再报.xlsx", rows)
    deliver(home, county_code, tmp_path / "再报.xlsx")
    run("run")
    found = run("findings")
    assert "XB91-2b-pupils" in found and "XB91-2b-not-in-register" in found, found
    assert run("releases") != before
    (first, *_) = re.findall(r"[0-9a-f]{16}", before)
    changed = run(f"changes {first}")
    assert "生均藏书" in changed, changed
    assert "一致" in run("verify")

    # What nobody could compute again is kept, and missed where it is lost.
    for path in (home.root / "returns").glob("*.yaml"):
        (version, *_) = sorted((home.raw / "policy").glob("*.json"))[-1:]
        held = json.loads(version.read_text())["files"][f"returns/{path.name}"]
        assert (home.raw / "policy" / "held" / held).read_bytes() == path.read_bytes()
        path.unlink()
        assert path.name in run("run", code=2)


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
