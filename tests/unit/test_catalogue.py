"""A catalogue that cannot be used is refused with file, line and remedy, all of it at once; one that can becomes what it says."""

import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.cli.terminal import speak
from pipelines.returns import current_definitions, definition
from pipelines.rule_files import expectations_folder, forget
from pipelines.screening.rules import (
    CatalogueError,
    across_rules,
    cell_states,
    censuses,
    checks_of,
    file_rules,
    level_of,
    reference_rules,
    suite,
)

HEAD = "return: enrolment\nrules:\n  - {rule: XB02-1b-unique-key, check: unique_key}\n  - {rule: XB02-1c-total-row, check: total_row}\n"


@pytest.fixture
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of catalogues, in a copy that may be written to."""
    shutil.copytree(expectations_folder(), tmp_path / "expectations")
    monkeypatch.setenv("XIANBAO_EXPECTATIONS", str(tmp_path / "expectations"))
    forget()
    yield tmp_path / "expectations"
    monkeypatch.undo()
    forget()


def refused(catalogues: Path, text: str) -> list[tuple[int | None, str, str]]:
    """(line, what is wrong, what to do) of each mistake in XB02's catalogue with this text."""
    (catalogues / "enrolment.yaml").write_text(text, encoding="utf-8")
    forget()
    with pytest.raises(CatalogueError) as error:
        suite("enrolment")
    assert {problem.file for problem in error.value.problems} == {str(catalogues / "enrolment.yaml")}
    return [(problem.line, problem.message, problem.remedy) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("entry", "wrong", "remedy"),
    [
        ("{rule: XB03-1c-a, check: at_most, column: boarders, of: students_total}", "编号写法不对", "XB02-级别-名称"),
        ("{rule: XB02-1b-unique-key, check: unique_key}", "第 3 行的规则编号重复", "另一个编号"),
        ("{rule: XB02-1c-a}", "没有写明是哪一种检查", "check:"),
        ("{rule: XB02-1c-a, check: equal_sum}", "没有“equal_sum”这种检查", "“equals_sum”"),
        ("{rule: XB02-1c-a, check: reads_as, column: stage}", "没有“reads_as”这种检查", "可用的有"),
        ("{rule: XB02-1c-a, check: at_most, column: boarder, of: students_total}", "没有“boarder”这一列", "“boarders”"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders}", "缺少“of”", "补上 of:"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders, of: students_total, off: 1}", "没有“off”这一项", "“of”"),
        ("{rule: XB02-1c-a, check: at_most, column: stage, of: students_total}", "“stage”不是数", "数的列"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders, of: grade_1, where: {stage: [大学]}}", "没有代码大学", "学前"),
        ("{rule: XB02-1c-a, check: equals_sum, column: boarders}", "没有写明等于哪些列之和", "parts:"),
        ("{rule: XB02-1c-a, check: equals_sum, column: boarders, by: stage, parts: [grade_1]}", "要一起写", "by:"),
        ("{rule: XB02-1c-a, check: equals_sum, column: boarders, parts: [grade_1], tolerance: 少许}", "不合要求|应是数字", ""),
        ("{rule: XB02-1c-a, check: equals_product, column: boarders, of: [boarders, boarders, boarders, boarders, boarders, boarders]}",
         "数太大", "减少"),
        ("{rule: XB02-4-a, check: between, column: boarders, low: 5, high: 1}", "下限大于上限", "对调"),
        ("{rule: XB02-4-a, check: between, column: boarders, high: 1}", "下限", "low"),
        ("{rule: XB02-4-a, check: matches, column: school_code, regex: '(?<=a)b'}", "正则表达式", "改正"),
        ("{rule: XB02-1b-a, check: complete, column: stage, values: 1..3}", "不是整数的列|不是数", "列"),
        ("{rule: XB02-1b-a, check: complete, column: boarders, values: []}", "没有写明要报齐哪些值", "0..17"),
        ("{rule: XB02-1c-a, check: date_between, column: boarders, earliest: 2000-01-01}", "不是日期", "日期的列"),
        ("{rule: XB02-1c-a, check: unit_of_column, figures: [{label: 人, column: boarders, low: 1}]}", "缺少“high”", "high"),
        ("{rule: XB02-1c-a, check: required_when, column: boarders, when: {}}", "什么时候须填", "when"),
        ("{rule: XB02-1c-a, check: exactly_one, columns: [stage]}", "少于两列", "各列"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders, of: grade_1, outcome: warning}", "outcome 不能是“warning”", "query"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders, of: grade_1, valid_from: 2025-01-01, valid_to: 2024-01-01}",
         "失效日早于生效日", "改正"),
        ("{rule: XB02-1c-a, check: at_most, column: boarders, of: grade_1, say: '为 {value'}", "“{”不成对", "占位"),
        ("{rule: XB02-2-a, check: across, question: q, say: 问。, mend: 改。}", "没有写 model", "model"),
        ("{rule: XB02-2-a, check: across, model: m, question: q}", "没有写 say", "say:"),
        ("{rule: XB02-2-a, check: across, model: m, question: q, say: 问。, mend: 改。, outcome: error}", "不能拒收", "query"),
        ("{rule: XB02-2-a, check: across, model: m, question: q, say: 问。, mend: 改。, column: boarder}", "没有“boarder”", "boarders"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line_with_what_to_do(catalogues: Path, entry: str, wrong: str, remedy: str):
    problems = refused(catalogues, HEAD + f"  - {entry}\n")
    assert {line for line, *_ in problems} == {5}
    assert any(re.search(wrong, message) and remedy in mend for _, message, mend in problems), problems


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(catalogues: Path):
    text = HEAD.replace("return: enrolment", "return: enrollment").replace("check: unique_key", "check: uniqe_key")
    text += "  - {rule: XB02-1c-a, check: at_most, column: boarder, of: grade_9}\nruels: []\n"
    assert [(line, message) for line, message, _ in refused(catalogues, text)] == [
        (1, "return 写的是“enrollment”"),
        (3, "XB02-1b-unique-key：没有“uniqe_key”这种检查"),
        (5, "XB02-1c-a：没有“boarder”这一列"),
        (5, "XB02-1c-a：没有“grade_9”这一列"),
        (6, "不认识的一节“ruels”"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return: enrolment\nrules:\n", "rules 应是列表"),
        ("- a\n", "最外层"),
        ("return: enrolment\nrules: [\n", "语法错误"),
        ("return：enrolment\nrules: []\n", "全角冒号"),
    ],
)
def test_what_is_no_catalogue_is_told_as_such(catalogues: Path, text: str, message: str):
    assert any(message in told for _, told, _ in refused(catalogues, text))


def test_no_return_goes_without_its_key_and_its_total_row(catalogues: Path):
    problems = refused(catalogues, "return: enrolment\nrules: []\n")
    assert ["XB02-1b-unique-key" in mend or "XB02-1c-total-row" in mend for *_, mend in problems] == [True, True]


def test_a_return_without_a_catalogue_is_told(catalogues: Path):
    (catalogues / "enrolment.yaml").unlink()
    forget()
    with pytest.raises(CatalogueError, match=r"enrolment\.yaml：找不到规则文件"):
        across_rules("enrolment")


def test_a_rule_of_files_says_what_it_says_and_takes_no_parameters(catalogues: Path):
    path = catalogues / "file.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("mend:", "colour: red\n    mend:", 1), encoding="utf-8")
    forget()
    with pytest.raises(CatalogueError, match="FILE-0-empty：这类规则没有“colour”一项"):
        file_rules()


def test_level_outcome_and_days_follow_from_the_entry(catalogues: Path):
    text = HEAD + (
        "  - {rule: XB02-1c-a, check: at_most, column: boarders, of: grade_1, valid_from: 2024-09-01}\n"
        "  - {rule: XB02-4-b, check: between, column: boarders, low: 0, high: 9}\n"
        "  - {rule: XB02-1c-c, check: at_most, column: boarders, of: grade_1, outcome: info, say: 问。, mend: 改。}\n"
        "  - {rule: XB02-2-d, check: across, model: m, question: q, share: 0.1, persons: 30, column: boarders, say: 问。, mend: 改。}\n"
    )
    (catalogues / "enrolment.yaml").write_text(text, encoding="utf-8")
    forget()
    rules = suite("enrolment").rules
    a, b, c, d = (rules[f"XB02-{one}"] for one in ("1c-a", "4-b", "1c-c", "2-d"))
    assert [(one.level, one.outcome) for one in (a, b, c, d)] == [
        ("1c", "error"),
        ("4", "query"),
        ("1c", "info"),
        ("2", "query"),
    ]
    assert (a.valid_from, a.valid_to) == (date(2024, 9, 1), None)
    assert (c.message, c.remedy) == ("问。", "改。")
    assert (d.model, d.question, d.column, d.parameters) == ("m", "q", "boarders", {"share": 0.1, "persons": 30})
    assert across_rules("enrolment") == {"m": {"q": d}}
    assert [one.is_across for one in (a, b, c, d)] == [False, False, False, True]


def test_a_group_stands_for_its_columns_and_a_column_for_a_list_of_one():
    checks = {check.rule_id: check for check in checks_of(definition("enrolment"))}
    ages = checks["XB02-1c-total-equals-ages"].parts
    assert ages == tuple(column.name for column in definition("enrolment").columns if column.group == "按年龄分")
    assert checks["XB02-1c-entrants-within-grade-1"].where == {"stage": ("小学", "初中", "普通高中")}


def test_references_states_and_levels_are_read_without_any_kind():
    assert censuses()[0].year == 2020 and "七普" in censuses()[0].words
    assert reference_rules()["CENSUS-5-total-open"].outcome == "info"
    assert cell_states()["blank"] == "是空白"
    assert level_of("XB02-1a-students_total") == "1a" and level_of("XB02-2-cohort-flow") == "2"
    assert level_of("FILE-0-empty") == "0" and level_of("XB02-1c-nothing") is None
    assert all(across_rules(code) for code in current_definitions())


# --- what the command shows -------------------------------------------------------------------------------------------


def shown(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["--home", "/nowhere", *words], env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return re.sub(r"\s+", " ", result.output)


def test_the_rules_of_a_return_are_listed_in_words():
    said = shown("rules", "XB02")
    assert "“在校生数”等于各年龄之和" in said and "“其中女生”不大于“在校生数”" in said
    assert "错误" in said and "核实" in said and "{" not in said
    for rule_id in suite("enrolment").rules:
        assert rule_id in said, rule_id


def test_the_rules_are_listed_in_english_by_their_kinds():
    said = shown("--lang", "en", "rules", "XB06")
    assert "teachers_paid ≤ teachers_entitled" in said and "error" in said
    speak("zh")


def test_without_a_return_the_rules_are_counted():
    said = shown("rules")
    for defined in current_definitions().values():
        assert defined.form in said


def test_the_suite_is_written_whole_and_says_how_many_rules_are_not_in_it(tmp_path: Path):
    out = tmp_path / "suite.json"
    said = shown("rules", "XB06", "--format", "gx", "--out", str(out))
    content = json.loads(out.read_text(encoding="utf-8"))
    assert len(content["expectations"]) == len(suite("rural_subsidy").in_file)
    assert "15 条跨表规则" in said
    assert "没有格式“xml”" in shown("rules", "XB06", "--format", "xml", code=2)
    assert "--format gx" in shown("rules", "XB06", "--out", str(out), code=2)
    assert "没有第 9 版" in shown("rules", "XB06", "--version", "9", code=2)


def test_a_catalogue_with_a_mistake_is_refused_by_the_command(catalogues: Path):
    (catalogues / "enrolment.yaml").write_text(HEAD + "  - {rule: XB02-1c-a, check: equal_sum}\n", encoding="utf-8")
    forget()
    said = shown("rules", "XB02", code=2)
    assert "enrolment.yaml 第 5 行" in said and "equals_sum" in said and "Traceback" not in said
