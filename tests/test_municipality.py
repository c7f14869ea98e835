"""The municipality's configuration: the template, what is read from it, and the refusal of every kind of mistake."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines.municipality import ConfigurationError, Municipality, Problem, load_municipality
from pipelines.periods import parse_period
from pipelines.returns import reference_on
from pipelines.sample import write_sample_municipality

RETURNS = {
    "school": ["school_year"],
    "enrolment": ["school_year"],
    "population": ["calendar_year"],
    "teacher_pay": ["calendar_year"],
    "civil_servant_pay": ["calendar_year"],
    "rural_subsidy": ["quarter", "month"],
}

SMALL = """\
city:
  code: "140900"
  name: 忻州市
  name_en: Xinzhou
  province_code: "140000"
  province: 山西省
counties:
  - code: "140902"
    name: 忻府区
    name_en: Xinfu
    valid_from: 1983-01-01
    source: counties/140902
  - code: "140921"
    name: 定襄县
    name_en: Dingxiang
    valid_from: 1983-01-01
    source: counties/140921
calendar:
  - return: enrolment
    first_period: 2023-2024
    last_period: 2024-2025
    due: {after: start, days: 45}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "municipality.yaml"


def load(file: Path, text: str) -> Municipality:
    file.write_text(text, encoding="utf-8")
    return load_municipality(file, RETURNS)


def problems(file: Path, text: str) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, text)
    assert all(problem.file == str(file) and problem.message and problem.remedy for problem in caught.value.problems)
    return caught.value.problems


def replaced(old: str, new: str, text: str = SMALL) -> str:
    assert old in text
    return text.replace(old, new, 1)


def line_of(text: str, words: str, occurrence: int = 1) -> int:
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if words in line]
    return lines[occurrence - 1]


# --- the template ----------------------------------------------------------------------------------------------------


def test_the_template_is_xinzhou_with_its_14_counties_and_six_returns(file: Path) -> None:
    write_sample_municipality(file)
    municipality = load_municipality(file, RETURNS)
    assert (municipality.city.code, municipality.city.name, municipality.city.province) == (
        "140900",
        "忻州市",
        "山西省",
    )
    assert [(county.code, county.name, county.name_en) for county in municipality.counties] == [
        ("140902", "忻府区", "Xinfu"),
        ("140921", "定襄县", "Dingxiang"),
        ("140922", "五台县", "Wutai"),
        ("140923", "代县", "Daixian"),
        ("140924", "繁峙县", "Fanshi"),
        ("140925", "宁武县", "Ningwu"),
        ("140926", "静乐县", "Jingle"),
        ("140927", "神池县", "Shenchi"),
        ("140928", "五寨县", "Wuzhai"),
        ("140929", "岢岚县", "Kelan"),
        ("140930", "河曲县", "Hequ"),
        ("140931", "保德县", "Baode"),
        ("140932", "偏关县", "Pianguan"),
        ("140981", "原平市", "Yuanping"),
    ]
    assert all(county.source == f"counties/{county.code}" for county in municipality.counties)
    assert Counter(row.return_code for row in municipality.calendar_rows()) == {
        "school": 3,
        "enrolment": 3,
        "population": 3,
        "teacher_pay": 3,
        "civil_servant_pay": 3,
        "rural_subsidy": 12,
    }
    due = {(row.return_code, row.period.code): row.due_on for row in municipality.calendar_rows()}
    assert due["school", "2024-2025"] == due["enrolment", "2024-2025"] == date(2024, 10, 16)
    assert due["population", "2024"] == due["teacher_pay", "2024"] == due["civil_servant_pay", "2024"]
    assert due["population", "2024"] == date(2025, 3, 1)
    assert due["rural_subsidy", "2024Q3"] == date(2024, 10, 20)
    assert len(municipality.expected_filings(reference_on)) == 14 * 27
    assert municipality.received_at == "modified"
    assert municipality.publish.withhold_below == Decimal("0.5")
    assert municipality.limits.model_dump() == {
        "file_mebibytes": 200,
        "cells": 2_000_000,
        "seconds": 60,
        "source_seconds": 300,
        "memory_mebibytes": 2048,
        "characters": 20_000_000,
        "county_seconds": 60,
        "batch_seconds": 900,
        "settle_seconds": 0.5,
        "history_days": 90,
        "history_runs": 500,
    }


def test_the_template_can_be_written_for_file_times_and_with_references(file: Path) -> None:
    write_sample_municipality(file, received_at="modified", references={"census_2020": "资料/it's.xlsx"})
    municipality = load_municipality(file, RETURNS)
    assert municipality.received_at == "modified"
    assert [(reference.name, reference.source) for reference in municipality.references] == [
        ("census_2020", "资料/it's.xlsx")
    ]


def test_every_key_the_template_shows_is_explained_in_a_comment(file: Path) -> None:
    write_sample_municipality(file)
    text = file.read_text(encoding="utf-8")
    comments = " ".join(line.partition("#")[2] for line in text.splitlines())
    explained = ("code", "name_en", "valid_from", "valid_to", "source", "contact", "withhold_below", "census_2020")
    assert [key for key in explained if key not in comments] == []


def test_an_existing_configuration_is_not_overwritten_unless_forced(file: Path) -> None:
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="已经存在"):
        write_sample_municipality(file)
    assert file.read_text(encoding="utf-8") == "mine"
    write_sample_municipality(file, force=True)
    assert load_municipality(file, RETURNS).city.name == "忻州市"
    assert {path.name for path in file.parent.iterdir()} == {file.name, "policy"}


def test_a_template_that_cannot_be_written_is_refused_and_leaves_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = file.parent / "a_file" / "municipality.yaml"
    blocked.parent.write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="写不进去"):
        write_sample_municipality(blocked)

    def disk_full(*_paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.files.os.replace", disk_full)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_sample_municipality(file)
    assert [path.name for path in file.parent.iterdir()] == ["a_file"]


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_small_configuration_takes_the_defaults(file: Path) -> None:
    municipality = load(file, SMALL)
    assert municipality.references == ()
    assert municipality.received_at == "collected"
    assert municipality.limits.cells == 2_000_000
    assert municipality.county("140921").name == "定襄县"
    with pytest.raises(KeyError):
        municipality.county("140999")


def test_a_county_owes_the_periods_on_whose_reference_day_it_exists(file: Path) -> None:
    text = replaced("    source: counties/140902", "    valid_to: 2024-09-01\n    source: counties/140902")
    text = replaced(
        "    name_en: Dingxiang\n    valid_from: 1983-01-01",
        "    name_en: Dingxiang\n    valid_from: 2024-09-01",
        text,
    )
    municipality = load(file, text)
    # 忻府区 is gone on the first day of 2024-2025, on which 定襄县 begins.
    assert [(one.county_code, one.period.code) for one in municipality.expected_filings(reference_on)] == [
        ("140902", "2023-2024"),
        ("140921", "2024-2025"),
    ]


def test_due_days_count_from_the_first_or_the_last_day_of_the_period(file: Path) -> None:
    rows = load(file, SMALL).calendar_rows()
    assert [(row.period, row.due_on) for row in rows] == [
        (parse_period("2023-2024"), date(2023, 10, 16)),
        (parse_period("2024-2025"), date(2024, 10, 16)),
    ]
    after_end = load(file, replaced("after: start, days: 45", "after: end, days: 0"))
    assert [row.due_on for row in after_end.calendar_rows()] == [date(2024, 8, 31), date(2025, 8, 31)]


def test_codes_and_years_without_quotes_mean_the_same(file: Path) -> None:
    text = SMALL.replace('"', "") + (
        "  - return: population\n    first_period: 2024\n    last_period: 2024\n    due: {after: end, days: 60}\n"
    )
    municipality = load(file, text)
    assert municipality.county("140902").name == "忻府区"
    assert municipality.calendar_rows()[-1].period == parse_period("2024")


def test_a_byte_order_mark_from_notepad_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_municipality(file, RETURNS).city.name == "忻州市"


def test_one_return_may_change_from_quarters_to_months(file: Path) -> None:
    text = SMALL + (
        "  - return: rural_subsidy\n    first_period: 2023Q1\n    last_period: 2023Q4\n    due: {after: end, days: 20}\n"
        "  - return: rural_subsidy\n    first_period: 2024-01\n    last_period: 2024-03\n    due: {after: end, days: 10}\n"
    )
    subsidy = [row.period.code for row in load(file, text).calendar_rows() if row.return_code == "rural_subsidy"]
    assert subsidy == ["2023Q1", "2023Q2", "2023Q3", "2023Q4", "2024-01", "2024-02", "2024-03"]


def test_a_city_under_central_government_has_counties_of_several_prefixes(file: Path) -> None:
    text = SMALL.replace('"140900"', '"500000"').replace('"140000"', '"500000"')
    text = text.replace('"140902"', '"500101"').replace('"140921"', '"500229"')
    assert [county.code for county in load(file, text).counties] == ["500101", "500229"]


# --- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("counties/140902", "/srv/home/counties/140902"),
        ("../inbox/忻府区", "/srv/inbox/忻府区"),
        ("/data/140902", "/data/140902"),
        ("sftp://host/140902", "sftp://host/140902"),
        ("simplecache::s3://bucket/140902", "simplecache::s3://bucket/140902"),
        ("sftp://u:${SFTP_PASSWORD}@host/140902", "sftp://u:p@ss@host/140902"),
        ("${INBOX}/140902", "file:///inbox/140902"),
    ],
)
def test_a_source_is_a_uri_or_an_absolute_path_with_variables_filled_in(
    file: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: str
) -> None:
    monkeypatch.setenv("SFTP_PASSWORD", "p@ss")
    monkeypatch.setenv("INBOX", "file:///inbox")
    municipality = load(file, replaced("source: counties/140902", f'source: "{source}"'))
    assert municipality.source_uri(municipality.counties[0], Path("/srv/home")) == expected
    assert municipality.counties[0].source == source


def test_a_missing_variable_is_that_county_alone_and_names_file_and_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SFTP_PASSWORD", raising=False)
    monkeypatch.setenv("SFTP_USER", "")
    text = replaced("source: counties/140902", "source: sftp://${SFTP_USER}:${SFTP_PASSWORD}@host/140902")
    municipality = load(file, text)
    with pytest.raises(ConfigurationError) as caught:
        municipality.source_uri(municipality.counties[0], Path("/srv/home"))
    assert [problem.line for problem in caught.value.problems] == [line_of(text, "sftp://")] * 2
    assert "SFTP_USER" in caught.value.problems[0].message
    assert "SFTP_PASSWORD" in caught.value.problems[1].message
    assert municipality.source_uri(municipality.counties[1], Path("/srv/home")) == "/srv/home/counties/140921"


def test_a_password_in_a_source_is_refused_and_not_repeated(file: Path) -> None:
    text = replaced("source: counties/140902", "source: sftp://u:hunter2@host/140902")
    (problem,) = problems(file, text)
    assert problem.line == line_of(text, "hunter2")
    assert "hunter2" not in str(problem)
    assert "环境变量" in problem.remedy


# --- outboxes --------------------------------------------------------------------------------------------------------


def with_outboxes(*outboxes: str, text: str = SMALL) -> str:
    for code, outbox in zip(("140902", "140921"), outboxes, strict=False):
        text = replaced(
            f"    source: counties/{code}\n", f'    source: counties/{code}\n    outbox: "{outbox}"\n', text
        )
    return text


@pytest.mark.parametrize(
    ("outboxes", "words"),
    [
        (["counties/140902"], "“counties/140902”之内"),
        (["counties/../counties//140902/回执"], "“counties/140902”之内"),
        (["{home}/counties/140902/回执"], "“counties/140902”之内"),
        (["file://{home}/counties/140902/回执"], "“counties/140902”之内"),
        (["link/回执"], "“counties/140902”之内"),
        (["${INBOX}/回执"], "“counties/140902”之内"),
        (["counties/140921/给忻府区"], "定襄县的来源“counties/140921”之内"),
        (["counties"], "的外层"),
        (["回执/甲", "回执/甲/"], "第 13 行忻府区的重合"),
        (["回执", "回执/乙"], "互相包含"),
        (["sftp://u@Host/回执", "sftp://u:${SFTP_PASSWORD}@host//回执/."], "第 13 行忻府区的重合"),
    ],
)
def test_an_outbox_that_is_a_source_or_another_countys_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, outboxes: list[str], words: str
) -> None:
    monkeypatch.setenv("INBOX", str(file.parent / "counties" / "140902"))
    monkeypatch.setenv("SFTP_PASSWORD", "hunter2")
    (file.parent / "counties" / "140902").mkdir(parents=True)
    (file.parent / "link").symlink_to(file.parent / "counties" / "140902")
    text = with_outboxes(*(outbox.replace("{home}", str(file.parent)) for outbox in outboxes))
    (problem,) = problems(file, text)
    assert (problem.line, words in problem.message) == (line_of(text, "outbox:", len(outboxes)), True), str(problem)
    assert "outbox" in problem.remedy and "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "outboxes",
    [
        ["counties/140902-回执", "counties/140921-回执"],
        ["sftp://甲@host/回执", "sftp://乙@host/回执"],
        ["s3://桶/甲", "oss://桶/甲"],
        ["${NO_SUCH_PLACE}/甲", "${NO_SUCH_PLACE}/乙"],
    ],
)
def test_outboxes_beside_every_source_and_each_other_are_taken(file: Path, outboxes: list[str]) -> None:
    assert [county.outbox for county in load(file, with_outboxes(*outboxes)).counties] == outboxes


def test_an_outbox_inside_a_reference_is_refused(file: Path) -> None:
    text = with_outboxes("census/回执") + "references:\n  - {name: census_2020, source: census}\n"
    (problem,) = problems(file, text)
    assert "census_2020的来源“census”之内" in problem.message


# --- refusals --------------------------------------------------------------------------------------------------------

# name: (words of SMALL, words in their place, line that is refused, words of the remedy)
ONE_MISTAKE: dict[str, tuple[str, str, int, str]] = {
    "unknown key in a county": ("name_en: Xinfu", "name_en: Xinfu\n    vaild_to: 2030-01-01", 11, "valid_to"),
    "unknown key at the top": ("calendar:", "limit: {cells: 1}\ncalendar:", 18, "limits"),
    "unknown key in a nested section": ("days: 45}", "days: 45, dayz: 1}", 22, "days"),
    "key missing": ("    name: 忻府区\n", "", 8, "补上 name"),
    "code of five digits": ('"140902"', '"14090"', 8, "6 位"),
    "code in full-width quotes": ('"140902"', "“140902”", 8, "6 位"),
    "code that is a list": ('"140902"', "[1]", 8, "6 位"),
    "code of a city": ('"140902"', '"140900"', 8, "6 位代码"),
    "code of another city": ('"140902"', '"141002"', 8, "1409"),
    "city code of a county": ('"140900"', '"140902"', 2, "00"),
    "province code of a city": ('"140000"', '"140100"', 5, "0000"),
    "province of another": ('"140000"', '"130000"', 5, "前两位"),
    "county code twice": ('"140921"', '"140902"', 13, "改正或删去"),
    "county name twice": ("name: 定襄县", "name: 忻府区", 14, "改正或删去"),
    "source twice": ("counties/140921", "counties/140902/", 17, "改正或删去"),
    "source empty": ("source: counties/140902", "source:", 12, "文件夹"),
    "source of unknown protocol": ("source: counties/140902", "source: stfp://h/d", 12, "sftp"),
    "source with a broken variable": ("source: counties/140902", "source: $HOME/x", 12, "${"),
    "date that does not exist": ("valid_from: 1983-01-01", "valid_from: 1983-02-30", 11, "1983-01-01"),
    "date in Chinese": ("valid_from: 1983-01-01", "valid_from: 1983年1月1日", 11, "1983-01-01"),
    "valid_to on valid_from": (
        "valid_from: 1983-01-01",
        "valid_from: 1983-01-01\n    valid_to: 1983-01-01",
        12,
        "valid_to",
    ),
    "unknown return": ("return: enrolment", "return: enrollment", 19, "enrolment"),
    "period type not the return's": ("return: enrolment", "return: population", 20, "年度"),
    "period that is none": ("2023-2024", "2023-2025", 20, "2024Q3"),
    "periods of two types": ("last_period: 2024-2025", "last_period: 2024Q4", 21, "同一类"),
    "first after last": ("last_period: 2024-2025", "last_period: 2022-2023", 21, "对调"),
    "due after something else": ("after: start", "after: middle", 22, "start、end"),
    "due before the period": ("days: 45", "days: -1", 22, "不小于 0"),
    "due days as text": ("days: 45", "days: 四十五", 22, "整数"),
    "due days as a truth value": ("days: 45", "days: true", 22, "整数"),
    "due missing its days": (", days: 45", "", 22, "补上 days"),
    "received_at unknown": ("city:", "received_at: now\ncity:", 1, "modified"),
    "password in the configuration": (
        "city:",
        "publish:\n  postgres: {host: h, database: d, user: u, password: x}\ncity:",
        2,
        "password_variable",
    ),
    "password for the name of its variable": (
        "city:",
        "publish:\n  postgres: {host: h, database: d, user: u, password_variable: s3cr-et}\ncity:",
        2,
        "不是口令",
    ),
    "address for a host": (
        "city:",
        "publish:\n  postgres: {host: 'u:x@h', database: d, user: u}\ncity:",
        2,
        "环境变量",
    ),
    "schema of PostgreSQL's own": (
        "city:",
        "publish:\n  postgres: {host: h, database: d, user: u, marts_schema: public}\ncity:",
        2,
        "另起一个名字",
    ),
    "one schema for two": (
        "city:",
        "publish:\n  postgres: {host: h, database: d, user: u, chinese_schema: marts}\ncity:",
        2,
        "各用一个",
    ),
    "share above one": ("city:", "publish: {withhold_below: 50}\ncity:", 1, "不大于 1"),
    "limit of zero": ("city:", "limits: {cells: 0}\ncity:", 1, "大于 0"),
    "limit without end": ("city:", "limits: {settle_seconds: .inf}\ncity:", 1, "半角数字"),
    "section not a mapping": ("city:", "limits: 3\ncity:", 1, "逐行"),
    "county not a mapping": ("calendar:", "  - 代县\ncalendar:", 18, "逐行"),
    "list that is a mapping": ("city:", "references: {name: census_2020}\ncity:", 1, "- "),
    "unknown reference": ("city:", "references: [{name: census_2021, source: a}]\ncity:", 1, "census_2020"),
    "name left empty": ("name: 忻府区", "name:", 9, "填上文字"),
    "name over two lines": ("name: 忻府区", 'name: "忻府\\n区"', 9, "换行"),
    "key written twice": ("name_en: Xinfu", "name_en: Xinfu\n    name_en: Xinfu", 11, "删去"),
    "full-width colon": ("    name: 忻府区", "    name：忻府区", 9, "半角"),
    "tab": ("    name: 忻府区", "\tname: 忻府区", 9, "空格"),
    "undefined alias": ("name: 忻府区", "name: *x", 9, "双引号"),
    "control character": ("name: 忻府区", "name: 忻\x07府区", 9, "控制字符"),
    "nested without end": (
        "name: 忻府区",
        "name: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        9,
        "括号",
    ),
}


@pytest.mark.parametrize("mistake", ONE_MISTAKE)
def test_a_mistake_is_refused_at_its_line_with_a_remedy(file: Path, mistake: str) -> None:
    old, new, line, remedy = ONE_MISTAKE[mistake]
    (problem,) = problems(file, replaced(old, new))
    assert (problem.line, remedy in problem.remedy) == (line, True), str(problem)


def test_the_postgres_section_of_the_template_is_right_once_it_is_no_longer_a_comment(tmp_path: Path) -> None:
    write_sample_municipality(tmp_path / "municipality.yaml")
    text = (tmp_path / "municipality.yaml").read_text(encoding="utf-8")
    section = re.search(r"^  # postgres:\n(?:  #   .*\n)+", text, flags=re.MULTILINE)
    assert section
    uncommented = text.replace(section[0], re.sub(r"^  # ", "  ", section[0], flags=re.MULTILINE))
    (postgres,) = [load(tmp_path / "municipality.yaml", uncommented).publish.postgres]
    assert postgres is not None
    assert (postgres.marts_schema, postgres.chinese_schema, postgres.password_variable) == (
        "marts",
        "指标",
        "XIANBAO_PG_PASSWORD",
    )
    assert load(tmp_path / "municipality.yaml", text).publish.postgres is None


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(file: Path) -> None:
    text = SMALL
    for old, new in [
        ("name_en: Xinzhou", "name_eng: Xinzhou"),
        ('"140902"', '"14090"'),
        ("name_en: Dingxiang\n    valid_from: 1983-01-01", "name_en: Dingxiang\n    valid_from: 昨天"),
        ("return: enrolment", "return: enrollment"),
        ("last_period: 2024-2025", "last_period: 2022-2023"),
        ("days: 45", "days: x"),
    ]:
        text = replaced(old, new, text)
    found = problems(file, text)
    lines = [problem.line for problem in found]
    assert lines == sorted(line for line in lines if line is not None)
    assert {line_of(text, words) for words in ("name_eng", '"14090"', "昨天", "2022-2023", "days: x")} <= set(lines)
    with pytest.raises(ConfigurationError) as caught:
        load_municipality(file, RETURNS)
    assert str(caught.value).count("处理办法") == len(found)


def test_a_doubled_code_is_seen_even_where_its_entry_is_wrong_otherwise(file: Path) -> None:
    text = replaced('"140921"', '"140902"')
    text = replaced("name_en: Dingxiang\n    valid_from: 1983-01-01", "name_en: Dingxiang\n    valid_from: x", text)
    doubled, bad_date = problems(file, text)
    assert "重复" in doubled.message
    assert f"第 {line_of(text, '140902')} 行" in doubled.message
    assert "日期" in bad_date.message


def test_two_calendar_entries_of_one_return_may_not_overlap(file: Path) -> None:
    text = SMALL + (
        "  - return: enrolment\n    first_period: 2024-2025\n    last_period: 2025-2026\n    due: {after: end, days: 1}\n"
    )
    (problem,) = problems(file, text)
    assert problem.line == line_of(text, "return: enrolment", occurrence=2)
    assert "重叠" in problem.message


@pytest.mark.parametrize("section", ["city", "counties", "calendar"])
@pytest.mark.parametrize("left", ["absent", "empty"])
def test_a_section_that_must_be_there_is_asked_for(file: Path, section: str, left: str) -> None:
    data = YAML(typ="safe").load(SMALL)
    rest = {key: value for key, value in data.items() if key != section}
    yaml = YAML()
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump({**rest, section: None} if left == "empty" else rest, stream)
    (problem,) = problems(file, file.read_text(encoding="utf-8"))
    assert section in problem.message + problem.remedy


def test_no_county_is_refused(file: Path) -> None:
    text = SMALL[: SMALL.index("counties:")] + "counties: []\n" + SMALL[SMALL.index("calendar:") :]
    (problem,) = problems(file, text)
    assert problem.line == line_of(text, "counties")


def test_a_missing_file_says_how_to_get_one(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_municipality(file, RETURNS)
    (problem,) = caught.value.problems
    assert problem.line is None
    assert "xianbao init" in problem.remedy


@pytest.mark.parametrize("text", ["", "# 只有注释\n", "- 140902\n", "忻州市\n"])
def test_a_file_that_is_no_configuration_is_refused(file: Path, text: str) -> None:
    (problem,) = problems(file, text)
    assert "xianbao init" in problem.remedy


def test_a_file_saved_as_gbk_is_refused_at_its_first_foreign_line(file: Path) -> None:
    file.write_bytes(SMALL.encode("gb18030"))
    with pytest.raises(ConfigurationError) as caught:
        load_municipality(file, RETURNS)
    (problem,) = caught.value.problems
    assert problem.line == line_of(SMALL, "忻州市")
    assert "UTF-8" in problem.remedy


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="读不出来"):
        load_municipality(tmp_path, RETURNS)


def test_a_configuration_cannot_be_changed_once_read(file: Path) -> None:
    municipality = load(file, SMALL)
    with pytest.raises(ValueError, match="frozen"):
        municipality.counties[0].name = "代县"
