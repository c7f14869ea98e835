"""The `xianbao` command as people meet it: what it prints, and with which exit code it leaves."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
from builders import XINFU, Draft
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import Home
from pipelines.returns import reference_on
from pipelines.times import beijing_day
from tests.homes import deliver, marts_content, small_home

COMMAND = str(Path(sys.executable).with_name("xianbao"))


def _xianbao(home: Path, *arguments: str, lang: str = "zh") -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_HOME", "XIANBAO_"))
    }
    return subprocess.run(
        [COMMAND, "--home", str(home), "--lang", lang, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _school_return(published_home: Path) -> Path:
    return next((published_home / "counties" / "140926").glob("*2024-2025*名录*"))


#: A city of nobody's: 99 is no province.
CITY = ["--city", "990100 某市", "--province", "某省", "--county", "990101 甲县", "--county", "990102：乙（示范）区"]


def test_init_writes_a_configuration_that_loads_and_does_not_overwrite_it(tmp_path: Path):
    assert _xianbao(tmp_path, "init", *CITY).returncode == 0
    municipality = Home(tmp_path).municipality
    assert (municipality.city.code, municipality.city.name, municipality.city.name_en) == ("990100", "某市", "某市")
    assert [(county.code, county.name, county.name_en) for county in municipality.counties] == [
        ("990101", "甲县", "甲县"), ("990102", "乙（示范）区", "乙（示范）区")
    ]  # fmt: skip
    text = (tmp_path / "municipality.yaml").read_text(encoding="utf-8")
    assert not re.search("忻|1409|五台|山西|name_en:", text), "nothing of the reference city"
    (tmp_path / "municipality.yaml").write_text("mine")
    again = _xianbao(tmp_path, "init", *CITY)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert (tmp_path / "municipality.yaml").read_text() == "mine"


def test_init_asks_for_what_it_was_not_told(tmp_path: Path):
    answers = "990100 某市\n某省\n990101 甲县\n990102 乙区\n\n"
    asked = CliRunner().invoke(app, ["--home", str(tmp_path), "init"], input=answers)
    assert asked.exit_code == 0, asked.output
    assert [county.name for county in Home(tmp_path).municipality.counties] == ["甲县", "乙区"]
    nobody = CliRunner().invoke(app, ["--home", str(tmp_path / "other"), "init"], input="")
    assert nobody.exit_code == 2 and "--city" in nobody.output
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--city", "某市"], "6 位"),
        (["--city", "990101 某市"], "市级代码"),
        (["--county", "980101 丙县"], "9901"),
        (["--county", "990100 丙县"], "9901"),
        (["--county", "990101 丙县"], "相同"),
        (["--county", "甲县"], "6 位"),
    ],
)
def test_init_refuses_answers_that_cannot_be_right(tmp_path: Path, options: list[str], told: str):
    given = [*options, *CITY] if options[0] == "--county" else [*CITY, *options]
    refused = CliRunner().invoke(app, ["--home", str(tmp_path / "home"), "init", *given])
    assert refused.exit_code == 2 and told in refused.output
    assert not (tmp_path / "home").exists()


def test_on_the_first_day_of_a_new_home_nothing_is_late_and_the_sample_stays_out_of_it(tmp_path: Path):
    assert _xianbao(tmp_path, "init", *CITY).returncode == 0
    today = beijing_day(datetime.now(UTC).replace(tzinfo=None))
    filings = Home(tmp_path).municipality.expected_filings(reference_on)
    assert len(filings) == 2 * 6 and all(filing.due_on >= today for filing in filings)
    refused = _xianbao(tmp_path, "sample")
    assert (refused.returncode, "xianbao --home" in refused.stderr) == (2, True)
    assert not (tmp_path / "counties").exists()
    ran = _xianbao(tmp_path, "run")
    assert ran.returncode == 0, ran.stderr
    board = _xianbao(tmp_path, "status")
    assert (
        board.returncode == 0 and "未到期" in board.stdout and "迟" not in board.stdout and "未报" not in board.stdout
    )


def test_a_wrong_configuration_is_refused_with_file_line_and_remedy_and_no_traceback(tmp_path: Path):
    home = small_home(tmp_path, [("140926", "静乐县", "Jingle")])
    home.configuration.write_text(home.configuration.read_text().replace("return: school", "return: shcool"))
    for command in ("run", "rebuild"):
        refused = _xianbao(tmp_path, command)
        assert refused.returncode == 2
        assert re.search(r"municipality\.yaml.*\d+", refused.stderr)
        assert "shcool" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_before_the_first_run_the_boards_say_what_to_do(tmp_path: Path):
    small_home(tmp_path, [("140926", "静乐县", "Jingle")])
    for command in (["status"], ["findings"], ["show", "gross_enrolment_preschool"]):
        refused = _xianbao(tmp_path, *command)
        assert (refused.returncode, "xianbao run" in refused.stderr) == (2, True)


def test_the_board_shows_every_county_and_return(published_home: Path):
    board = _xianbao(published_home, "status")
    assert board.returncode == 0
    assert all(name in board.stdout for name in ("忻府区", "原平市", "XB01", "XB06", "应报 84，有效 84"))
    english = _xianbao(published_home, "status", "--period", "2023-2024", lang="en")
    assert all(word in english.stdout for word in ("Yuanping", "in force", "28 expected, 28 in force"))
    assert _xianbao(published_home, "status", "--period", "1999").returncode == 2


def test_an_indicator_is_shown_by_code_or_name_with_its_terms_and_formula(published_home: Path):
    for name in ("gross_enrolment_preschool", "学前教育毛入园率"):
        shown = _xianbao(published_home, "show", name)
        assert shown.returncode == 0
        assert "÷" in shown.stdout and "14/14" in shown.stdout and "宁武县" in shown.stdout
    unknown = _xianbao(published_home, "show", "no_such")
    assert unknown.returncode == 2
    assert "gross_enrolment_preschool" in unknown.stderr


def test_findings_are_filtered_and_name_cell_and_remedy(faulty_home: Path):
    shown = _xianbao(faulty_home, "findings", "--county", "五台县", "--return", "enrolment", "--period", "2022-2023")
    assert shown.returncode == 0
    assert "XB02-1c-total-equals-grades" in shown.stdout
    assert "D15" in shown.stdout
    assert "学籍册" in shown.stdout
    nothing = _xianbao(faulty_home, "findings", "--county", "代县")
    assert "没有审核问题" in nothing.stdout


def test_a_file_is_checked_without_being_landed(published_home: Path, tmp_path: Path):
    home = small_home(tmp_path / "home", [("140926", "静乐县", "Jingle")])
    good = tmp_path / _school_return(published_home).name
    shutil.copyfile(_school_return(published_home), good)
    accepted = _xianbao(home.root, "check", str(good))
    assert (accepted.returncode, "接收" in accepted.stdout) == (0, True)
    workbook = openpyxl.load_workbook(good)
    sheet = workbook.worksheets[-1]
    cell = next(cell for row in sheet.iter_rows() for cell in row if cell.value == "公办")
    cell.value = "[red]公立"
    workbook.save(good)
    rejected = _xianbao(home.root, "check", str(good))
    assert rejected.returncode == 1
    assert cell.coordinate in rejected.stdout
    column = "".join(line.split("│")[5].strip() for line in rejected.stdout.splitlines() if line.count("│") > 5)
    assert "[red]公立" in column, "a county's text is shown as it stands, never read as markup"
    assert _xianbao(home.root, "check", str(tmp_path / "absent.xlsx")).returncode == 2
    assert not home.raw.exists()
    assert not home.private.exists()


def test_templates_are_written_for_what_the_call_names_and_prefilled_from_the_published_register(
    published_home: Path, tmp_path: Path
):
    out = tmp_path / "模板"
    whole = ["--county", "静乐县", "--period", "2024-2025学年", "--out", str(out), "--prefill"]
    written = _xianbao(published_home, "template", "all", *whole)
    assert (written.returncode, written.stderr) == (0, "")
    assert [path.name for path in sorted(out.iterdir())] == [
        "静乐县_2024-2025学年_XB01_学校（机构）名录.xlsx",
        "静乐县_2024-2025学年_XB02_在校（园）学生统计表.xlsx",
    ]
    unsigned = _xianbao(published_home, "check", *map(str, sorted(out.iterdir())))
    assert unsigned.returncode == 1
    assert re.search(r"学校（机构）名录 2024-2025 140926：\d{2,} 行，错误 1，", unsigned.stdout), (
        "all but the signature"
    )
    for name in ("XB02", "在校（园）学生统计表", "enrolment"):
        again = _xianbao(published_home, "template", name, "--county", "140926", *whole[2:])
        assert (again.returncode, "1 个模板" in again.stdout) == (0, True)
    everywhere = ["template", "XB03", "--county", "all", "--period", "2024", "--out", str(out)]
    assert "14 个模板" in _xianbao(published_home, *everywhere).stdout


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (["XB99", "静乐县", "2024-2025"], "XB02  enrolment  在校（园）学生统计表"),
        (["XB02", "平遥县", "2024-2025"], "140926 静乐县"),
        (["XB02", "静乐县", "2024"], "2023-2024、2024-2025"),
        (["XB02", "静乐县", "去年"], "学年"),
    ],
    ids=["return", "county", "period of another type", "period"],
)
def test_a_template_that_nothing_is_known_of_is_refused_with_what_is_known(tmp_path: Path, call: list[str], told: str):
    home = small_home(tmp_path, [("140926", "静乐县", "Jingle")])
    which, county, period = call
    out = tmp_path / "out"
    refused = _xianbao(home.root, "template", which, "--county", county, "--period", period, "--out", str(out))
    assert (refused.returncode, told in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)
    assert not out.exists()


def test_a_bundle_of_a_home_checks_as_the_home_does(published_home: Path, tmp_path: Path):
    bundle = tmp_path / "规则" / "xianbao-rules.zip"
    assert _xianbao(published_home, "bundle", "--out", str(bundle)).returncode == 0
    by_bundle = _xianbao(tmp_path, "check", str(_school_return(published_home)), "--bundle", str(bundle))
    by_home = _xianbao(published_home, "check", str(_school_return(published_home)))
    assert (by_bundle.returncode, by_home.returncode) == (0, 0)
    assert by_bundle.stdout.splitlines()[1:] == by_home.stdout.splitlines()


@pytest.mark.long
def test_run_then_rebuild_give_the_same_release(published_home: Path, tmp_path: Path):
    home = small_home(tmp_path, [("140926", "静乐县", "Jingle")])
    deliver(home, "140926", _school_return(published_home))
    ran = _xianbao(tmp_path, "run")
    assert ran.returncode == 0, ran.stderr
    assert "新收 1 件" in ran.stdout
    before = marts_content(home)
    again = _xianbao(tmp_path, "run")
    assert "没有新的报送件" in again.stdout
    rebuilt = _xianbao(tmp_path, "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert marts_content(home) == before


def test_a_system_fault_leaves_with_1_and_says_whose_it_is(published_home: Path, tmp_path: Path):
    home = small_home(tmp_path / "home", [("140926", "静乐县", "Jingle")])
    deliver(home, "140926", _school_return(published_home))
    home.warehouse.mkdir(parents=True)
    (home.warehouse / "private").write_text("in the way")
    failed = _xianbao(home.root, "run")
    assert failed.returncode == 1
    assert "系统故障" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("wrong", [["--lang", "fr", "status"], ["no-such-command"], ["check"]])
def test_a_mistake_in_the_call_leaves_with_2(tmp_path: Path, wrong: list[str]):
    outcome = subprocess.run([COMMAND, "--home", str(tmp_path), *wrong], capture_output=True, text=True, check=False)
    assert outcome.returncode == 2
    assert "Traceback" not in outcome.stderr


@pytest.mark.long
def test_the_bureau_decides_compares_and_rehearses_on_the_command_line(tmp_path: Path):
    home = small_home(tmp_path, [(XINFU.code, "忻府区", "Xinfu")])
    inbox = home.root / "counties" / XINFU.code
    inbox.mkdir(parents=True)
    later = Draft("enrolment")
    later.rows[0]["boarders"] = 12
    for name, draft, seconds in (("一.xlsx", Draft("enrolment"), 0), ("二.xlsx", later, 60)):
        (inbox / name).write_bytes(draft.xlsx())
        os.utime(inbox / name, (1_728_000_000 + seconds, 1_728_000_000 + seconds))
    assert _xianbao(home.root, "run").returncode == 0
    named = ["XB02", "--county", "忻府区", "--period", "2024-2025"]
    compared = _xianbao(home.root, "diff", *named)
    assert (compared.returncode, "第 1 版 → 第 2 版" in compared.stdout) == (0, True)
    assert "改动 1 格，增加 0 行，删去 0 行" in compared.stdout
    signed = ["--by", "市局甲", "--reason", "与年鉴不符"]
    mistaken = _xianbao(home.root, "decide", "return", *named, *signed, "--version", "1")
    assert (mistaken.returncode, "有效的是第 2 版：二.xlsx" in mistaken.stderr) == (2, True)
    returned = _xianbao(home.root, "decide", "return", *named, *signed, "--version", "2")
    assert (returned.returncode, "所指的是第 2 版：二.xlsx" in returned.stdout) == (0, True)
    assert "小学" not in returned.stdout, "what was decided is told, not every indicator"
    assert "旧版有效" in _xianbao(home.root, "status", "--period", "2024-2025").stdout
    logged = _xianbao(home.root, "decide", "log")
    assert "退回" in logged.stdout and "市局甲" in logged.stdout and "共 1 条" in logged.stdout
    rehearsed = _xianbao(home.root, "rescreen", "--period", "2024-2025", "--dry-run")
    assert (rehearsed.returncode, "受影响 0 份填报" in rehearsed.stdout) == (0, True)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (["decide", "waive", "XB02-1a-boarders", "--until", "2099-01-01"], "不能豁免"),
        (["decide", "waive", "XB99-9-no-such", "--until", "2099-01-01"], "没有规则"),
        (["decide", "waive", "XB02-1c-boarders-within-total", "--until", "2020-01-01"], "已经过去"),
        (["decide", "unlock", "--period", "2024-2025", "--until", "2099-01-01"], "没有锁定"),
        (["decide", "lock", "--period", "去年"], "学年"),
        (["decide", "lock", "--period", "2042-2043"], "可选：2023、2023-2024、2024、2024-2025"),
        (
            [
                "decide",
                "waive",
                "XB02-1c-boarders-within-total",
                "--until",
                "2099-01-01",
                "--period",
                "2024-2025",
                "--return",
                "population",
            ],
            "可选：2023、2024",
        ),
        (["decide", "revoke", "3"], "没有可撤销"),
        (["decide", "lock", "--period", "2024-2025", "--county", "平遥县"], "140902 忻府区"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_and_not_written_down(tmp_path: Path, call: list[str], told: str):
    home = small_home(tmp_path, [(XINFU.code, "忻府区", "Xinfu")])
    refused = _xianbao(home.root, *call, "--by", "市局甲", "--reason", "因")
    assert refused.returncode == 2
    assert told in refused.stderr and "Traceback" not in refused.stderr
    assert list(home.decisions) == []
