"""What the README and the docs say, held against the project: queries run, commands and paths exist."""

import importlib.util
import re
import shlex
from math import ceil
from pathlib import Path

import duckdb
import pytest
import typer.main
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import Home
from pipelines.municipality import load_municipality
from pipelines.periods import PeriodType
from pipelines.returns import ReturnDefinition, current_definitions
from pipelines.sample import write_sample_municipality
from pipelines.screening.checks import KINDS, MADE_FROM_DEFINITIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in
         [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]}  # fmt: skip
README = PAGES["README.md"]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
#: Commands that only look; the others write and are tested on homes of their own.
LOOKING = ("status", "findings", "show", "releases")
#: Commands that write, but nothing in the home.
WRITING_ASIDE = ("trace", "export", "template", "check", "bundle", "diff", "rules")
#: The return that docs/adding-a-return.md makes up.
EXAMPLE_RETURN = "reading_room"


def blocks(language: str, page: str = README) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def table(heading: str) -> list[tuple[str, str]]:
    """(code in the first cell, rest of the row) of the table under a heading of the README."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, flags=re.MULTILINE)


def said(pattern: str) -> set[tuple[str, str]]:
    """(page, first group) of every match over all pages."""
    return {(page, found) for page, text in PAGES.items() for found in re.findall(pattern, text, flags=re.MULTILINE)}


def command_calls() -> list[list[str]]:
    """The calls of the table of commands: each as it stands, and once more with each example option."""
    calls = []
    for call, rest in table("Commands"):
        words = shlex.split(call)[1:]
        calls.append(words)
        calls += [[*words, *shlex.split(option)] for option in re.findall(r"`(--[^`]+)`", rest)]
    return calls


@pytest.fixture
def warehouse(published_home: Path):
    with duckdb.connect(str(published_home / "warehouse" / "xianbao.duckdb"), read_only=True) as connection:
        yield connection


def test_the_readme_has_three_example_queries():
    assert len(blocks("sql")) == 3


def test_the_gross_enrolment_query_gives_the_city_as_the_sum_of_its_counties_and_the_gap_in_whole_persons(warehouse):
    (_, *city), *counties = warehouse.execute(blocks("sql")[0]).fetchall()
    assert len(counties) == 14
    assert city[1] == sum(county[2] for county in counties)
    assert city[2] == sum(county[3] for county in counties)
    for _, _, enrolled, population, standard, gap, coverage_n, expected_n in counties:
        assert gap == max(0, ceil(standard * population / 100 - enrolled))
        assert coverage_n == expected_n == 1


def test_the_pay_query_finds_the_counties_that_a_passing_municipal_average_hides(warehouse):
    rows = warehouse.execute(blocks("sql")[1]).fetchall()
    assert rows
    for period, _, ratio, gap, shortfall, municipal_ratio, compliant_n, judged_n in rows:
        assert ratio < 1 <= municipal_ratio
        assert gap < 0 < shortfall
        assert judged_n - compliant_n == sum(row[0] == period for row in rows)


def test_the_status_query_finds_every_filing_that_is_not_in_force_and_on_time(warehouse):
    rows = warehouse.execute(blocks("sql")[2]).fetchall()
    (late_n,) = warehouse.execute(
        "SELECT count(*) FROM marts.mart_submission_status WHERE state <> 'in_force' OR days_late > 0"
    ).fetchone()
    assert len(rows) == late_n > 0


def test_the_python_example_runs_in_a_home(published_home: Path, monkeypatch, capsys):
    monkeypatch.chdir(published_home)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert "release_id" in capsys.readouterr().out


def test_the_readme_lists_exactly_the_published_tables(warehouse):
    published = warehouse.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
    assert {name for name, _ in table("Asking the warehouse")} == {name for (name,) in published}


def test_the_places_of_a_home_are_there_after_a_run(published_home: Path):
    places = [name for name, _ in table("Where things lie")]
    assert len(places) >= 5
    assert [name for name in places if not (published_home / name).exists()] == []


def test_the_readme_lists_exactly_the_commands():
    assert {words[0] for words in command_calls()} == set(COMMANDS)


def test_every_option_that_is_named_belongs_to_its_command():
    for words in command_calls():
        command = COMMANDS[words[0]]
        parts = [command, *getattr(command, "commands", {}).values()]  # `decide` has commands of its own
        known = {option for part in parts for parameter in part.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("words", [words for words in command_calls() if words[0] in LOOKING], ids=" ".join)
def test_commands_that_only_look_run_as_the_readme_has_them(published_home: Path, words: list[str]):
    result = CliRunner().invoke(app, ["--home", str(published_home), "--lang", "en", *words])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("words", [words for words in command_calls() if words[0] in WRITING_ASIDE], ids=" ".join)
def test_commands_that_write_beside_a_home_run_as_the_readme_has_them(
    published_home: Path, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    if words[0] == "check":
        file = next((published_home / "counties" / "140926").glob("*2024-2025*名录*"))
        words = [str(file) if word == "FILE" else word for word in words]
    if words[0] == "export":  # every table in every format takes long, and is tested where exports are
        words = [*words, *(["--format", "parquet"] if "--format" not in words else [])]
        words += ["--profile", "public"] if "--suppress-below" in words else []
    result = CliRunner().invoke(app, ["--home", str(published_home), *words])
    if words[0] == "diff":  # nobody corrects a faultless sample
        assert (result.exit_code, "只有 1 个版本" in result.output) == (2, True), result.output
        return
    assert result.exit_code == 0, result.output
    assert words[0] in ("trace", "check", "rules") or any(tmp_path.iterdir())


def test_init_writes_the_city_of_the_readme_and_its_calendar_has_nothing_late(tmp_path):
    (_, *options), *_ = [words for words in command_calls() if words[0] == "init"]
    options += [word for words in command_calls() if words[0] == "init" for word in words[1:]]
    result = CliRunner().invoke(app, ["--home", str(tmp_path), "init", *options])
    assert result.exit_code == 0, result.output
    municipality = Home(tmp_path).municipality
    assert (municipality.city.name, [county.name for county in municipality.counties]) == ("忻州市", ["五台县"])


@pytest.mark.long
def test_commands_that_change_a_home_run_as_the_readme_has_them(tmp_path, monkeypatch):
    """In the order of a first day, on the sample; `decide` has options of its own and is tested where decisions are."""
    monkeypatch.chdir(tmp_path)
    for name in ("sample", "run", "rescreen", "rebuild", "publish", "verify", "changes"):
        for words in [words for words in command_calls() if words[0] == name]:
            result = CliRunner().invoke(app, ["--home", str(tmp_path / "home"), *words])
            assert result.exit_code == 0 or "--dry-run" in words, (words, result.output)


def test_every_xianbao_command_named_on_any_page_exists():
    named = said(r"(?<![\w/.-])(?:\.venv/bin/)?xianbao (?:--\w+ [^\s`]+ )*([a-z]+)(?=[ `\n])")
    assert len(named) > len(COMMANDS)
    assert {(page, name) for page, name in named if name not in COMMANDS} == set()


def test_every_make_target_named_on_any_page_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = said(r"(?:`|^)make ([a-z]+)\b")
    assert {("README.md", "run"), ("README.md", "test")} <= named
    assert {(page, name) for page, name in named if name not in targets} == set()


def test_every_module_that_is_run_on_any_page_exists():
    modules = said(r"python -m ([\w.]+)")
    assert [(page, name) for page, name in modules if importlib.util.find_spec(name) is None] == []


def test_every_link_leads_somewhere():
    links = said(r"\]\((?!https?:)([^)#]+)")
    assert len(links) >= 6
    assert [(page, link) for page, link in links if not ((ROOT / page).parent / link).exists()] == []


def test_every_file_that_is_named_on_any_page_exists():
    named = said(r"`((?:pipelines|dbt_project|expectations|tests|docs)/[\w./-]*[\w/])`")
    assert named
    missing = {name for _, name in named if not (ROOT / name).exists()}
    assert {name for name in missing if EXAMPLE_RETURN not in name} == set()


def test_the_example_return_is_a_definition_and_its_rules_fit_it():
    page = PAGES["docs/adding-a-return.md"]
    defined = ReturnDefinition.model_validate(YAML(typ="safe").load(blocks("yaml", page)[0]))
    assert defined.return_code == EXAMPLE_RETURN
    rules = YAML(typ="safe").load(blocks("yaml", page)[1])["rules"]
    (rule,) = [one for one in rules if one["check"] == "at_most"]
    assert {rule["column"], rule["of"]} <= {column.name for column in defined.columns}
    assert rule["rule"].startswith(f"{defined.form}-1c-")


def test_every_kind_of_check_is_on_the_page():
    said = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGES["docs/rules.md"], re.MULTILINE))
    named = {name for cell in said for name in re.findall(r"`(\w+)`", cell)}
    assert named - {"check"} == set(KINDS) - set(MADE_FROM_DEFINITIONS)


def test_the_example_entries_are_accepted_by_the_configuration(tmp_path: Path):
    write_sample_municipality(tmp_path / "municipality.yaml")
    plain = YAML(typ="safe")
    configured = plain.load(tmp_path / "municipality.yaml")
    for page in ("docs/adding-a-county.md", "docs/adding-a-return.md"):
        for block in blocks("yaml", PAGES[page]):
            entry = plain.load(block)
            configured["counties"] += entry.get("counties", [])
            configured["calendar"] += entry.get("calendar", [])
    plain.dump(configured, tmp_path / "municipality.yaml")
    returns = {code: defined.period_types for code, defined in current_definitions().items()}
    municipality = load_municipality(
        tmp_path / "municipality.yaml", {**returns, EXAMPLE_RETURN: (PeriodType.semester,)}
    )
    assert municipality.counties[-1].code == "140933"
    assert municipality.calendar[-1].return_code == EXAMPLE_RETURN
