"""The tables of policy: how clerks may write them, what is refused and in which words, and how a home's rows lie over the defaults."""

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.declarations.names import indicator_names
from pipelines.home import PROJECT, Home
from pipelines.policy.in_force import (
    InForce,
    PolicyError,
    PolicyFiles,
    as_csv,
    known_in,
    lay_over,
    policy_in_force,
    shipped,
)
from pipelines.policy.kept import PolicyLost, held_files, home_with, keep, known_by, refuse_lost, versions
from pipelines.policy.rows import MOST_BYTES, MOST_ROWS, read_rows
from pipelines.policy.starter import README, write_policy_folder
from pipelines.policy.tables import Known, allowed_codes, policy_tables
from pipelines.sample import write_sample_municipality
from pipelines.times import end_of_day
from pipelines.warehouse.landed_policy import SOURCES, sources_yml

DEFAULTS = shipped(Home(PROJECT).policy_defaults)
SAMPLE = shipped(PROJECT / "pipelines" / "sample" / "policy")
KNOWN = Known(
    {
        "county": {"140902": "忻府区", "140921": "定襄县"},
        "scope": {"140902": "忻府区", "140921": "定襄县", "140900": "忻州市", "140000": "山西省", "CN": "全国"},
        "area": {"140902": "忻府区", "140921": "定襄县", "140900": "忻州市"},
        "indicator": indicator_names() or {},
    }
)
CATEGORIES = "county_code,category,valid_from,valid_to,document_number,is_sample\n"
STANDARDS = "indicator_code,level,scope_code,year_from,year_to,comparison,value,judged_at,document_number,is_sample\n"


def laid(**files: str | bytes) -> InForce:
    """What is in force when the home has these files."""
    own = {f"{name}.csv": text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return lay_over(PolicyFiles(own, DEFAULTS), KNOWN)


def refused(**files: str | bytes) -> list[str]:
    """What is said of these files, a line a mistake."""
    with pytest.raises(PolicyError) as error:
        laid(**files)
    return str(error.value).splitlines()


def values(in_force: InForce, table: str, *columns: str) -> list[tuple]:
    return [row.key(columns) for row in in_force.rows[table]]


# --- what ships ------------------------------------------------------------------------------------------------------


def test_the_shipped_defaults_are_in_order_and_of_no_city():
    in_force = lay_over(PolicyFiles({}, DEFAULTS), Known({"indicator": indicator_names() or {}}))
    assert {f"{name}.csv" for name in policy_tables()} == set(DEFAULTS)
    for name, column in (
        ("hardship_categories", "county_code"),
        ("subsidy_tiers", "scope_code"),
        ("targets", "scope_code"),
    ):
        assert {key for (key,) in values(in_force, name, column)} <= {"CN"}
    assert in_force.rows["published_figures"] == ()


def test_the_samples_own_policy_is_in_order():
    in_force = lay_over(PolicyFiles(SAMPLE, DEFAULTS), Known({"indicator": indicator_names() or {}}))
    assert len(in_force.rows["hardship_categories"]) == 14


def test_every_stage_of_a_rate_has_its_official_ages():
    in_force = laid()
    ages: dict[str, set[int]] = {}
    for dimension, group, member in values(in_force, "member_groups", "dimension", "member_group", "member"):
        if dimension == "age" and str(group).endswith("学龄"):
            ages.setdefault(str(group).removesuffix("学龄"), set()).add(int(str(member)))
    assert set(ages) == {str(one) for (one,) in values(in_force, "stages", "stage")}
    assert ages["小学"] | ages["初中"] == ages["义务教育"] == set(range(6, 15))


def test_the_sources_of_dbt_are_those_that_the_tables_declare():
    assert SOURCES.read_text(encoding="utf-8") == sources_yml(), "python -m pipelines.warehouse.landed_policy"


def test_the_subject_of_a_table_is_part_of_its_series_and_every_code_column_says_what_may_stand_there():
    for table in policy_tables().values():
        assert set(table.subject) <= set(table.series) <= set(table.columns), table.name
        for name, column in table.columns.items():
            if column.type == "code":
                assert allowed_codes(column) or column.ref or column.known or column.member_of, (table.name, name)


# --- how clerks write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_excel_and_wps_save_is_read(encoding: str, ends: str):
    text = (
        "县区代码,类别,文号,成文日期,生效日期,失效日期,是否示例,备注,,\n"
        "140902,无,国发〔2006〕22号,2006/6/1,2006/7/1,,否,列入范围的除外：一,,\n"
        "１４０９２１,一类,国发〔2006〕22号,2006年6月1日,２００６-０７-０１,2030.1.1,FALSE,,,\n"
        ",,,,,,,,,\n"
    ).replace("\n", ends)
    in_force = laid(hardship_categories=text.encode(encoding))
    assert values(
        in_force, "hardship_categories", "county_code", "category", "valid_from", "valid_to", "is_sample"
    ) == [
        ("140902", "无", date(2006, 7, 1), None, False),
        ("140921", "一类", date(2006, 7, 1), date(2030, 1, 1), False),
    ]
    assert in_force.rows["hardship_categories"][0].values["remark"] == "列入范围的除外：一"
    assert [row.line for row in in_force.rows["hardship_categories"]] == [2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9/1/2024", "看不出是哪一天"), ("24-9-1", "看不出是哪一天"), ("45536", "是不是 Excel 的日期序号"),
        ("2024-02-30", "没有这一天"), ("①", "看不出是哪一天|里有"),
    ],
)  # fmt: skip
def test_a_day_that_may_be_another_is_refused(text: str, said: str):
    (line,) = refused(hardship_categories=f"{CATEGORIES}140902,无,{text},,文,否\n")
    assert "hardship_categories.csv 第 2 行：“生效日期”" in line
    assert any(one in line for one in said.split("|"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("85%", "不写百分号"),
        ("1e2", "不是数"),
        ("8,500", "不是数"),
        ("85.00001", "小数超过 4 位"),
        ("-1", "超出范围"),
        ("", "没有填"),
    ],
)
def test_a_number_that_is_none_is_refused_with_what_to_write(value: str, said: str):
    (line,) = refused(standards=f'{STANDARDS}teacher_pay_ratio,area,140900,2020,,>=,"{value}",county,文,否\n')
    assert "“标准值”" in line
    assert said in line


def test_codes_are_taken_by_their_labels_and_signs():
    text = f"{STANDARDS}teacher_pay_ratio,地区,140900,2020,,≥,1.05,县（市、区）和全市,文,否\n"
    in_force = laid(standards=text)
    own = [row for row in in_force.rows["standards"] if row.is_home]
    assert [row.key(("level", "comparison", "value", "judged_at")) for row in own] == [
        ("area", ">=", Decimal("1.0500"), "county")
    ]


def test_what_is_written_for_clerks_reads_back_as_it_was():
    in_force = lay_over(PolicyFiles(SAMPLE, DEFAULTS))
    for name, table in policy_tables().items():
        rows = in_force.rows[name]
        read, problems = read_rows(table, as_csv(table, [row.values for row in rows]), name, is_home=True)
        assert problems == []
        assert [dict(row.values) for row in read] == [dict(row.values) for row in rows]


# --- what is refused -------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once_with_file_and_line():
    said = refused(
        hardship_categories=f"{CATEGORIES}140902,七类,2006-07-01,,文,否\n999999,无,2006-07-01,,文,否\n140921,无,某日,,文,可能\n",
        standards=f"{STANDARDS}teacher_pay_ration,area,CN,2020,,>=,1,county,文,否\n",
    )
    assert [line.split("：")[0] for line in said] == [
        "policy/hardship_categories.csv 第 2 行",
        "policy/hardship_categories.csv 第 3 行",
        "policy/hardship_categories.csv 第 4 行",
        "policy/hardship_categories.csv 第 4 行",
        "policy/standards.csv 第 2 行",
    ]
    assert "没有“七类”这一项" in said[0]
    assert "“县区代码”没有“999999”" in said[1]
    assert "是不是 teacher_pay_ratio" in said[4]


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ("140902,无,2006-07-01,,文,否\n140902,一类,2006-07-01,,文,否\n", 3, "重复，第 2 行已有"),
        ("140902,无,2006-07-01,,文,否\n140902,一类,2020-01-01,,文,否\n", 3, "在同一时间都有效。处理办法：前一行的失效日期写 2020-01-01"),
        ("140902,一类,2020-01-01,,文,否\n140902,无,2006-07-01,2020-01-02,文,否\n", 2, "在同一时间都有效"),
        ("140902,无,2006-07-01,2019-01-01,文,否\n140902,一类,2020-01-01,,文,否\n", 3, "之后中断"),
        ("140902,无,2006-07-01,2005-01-01,文,否\n", 2, "“失效日期”早于“生效日期”"),
        ("140902,无,2006-07-01,,,否\n", 2, "没有写文号或文件名称"),
        ("140902,无,2006-07-01,,文\n", 2, "“是否示例”没有填"),
        ("140902,无,2006-07-01,,文,否,多\n", 2, "第 7 栏“多”没有列名"),
        ('140902,无,2006-07-01,,"文\n号",否\n', 2, "一格里有换行"),
    ],
)  # fmt: skip
def test_rows_that_contradict_each_other_or_say_too_little_are_refused(rows: str, line: int, said: str):
    (told,) = refused(hardship_categories=CATEGORIES + rows)
    assert told.startswith(f"policy/hardship_categories.csv 第 {line} 行：")
    assert said in told


def test_years_overlap_and_break_off_as_days_do():
    ends_before = f"{STANDARDS}teacher_pay_ratio,area,140900,2018,{{}},>=,1,county,文,否\nteacher_pay_ratio,area,140900,2024,,>=,1.1,county,文,否\n"
    assert "在同一时间都有效。处理办法：前一行的终止年份写 2023" in refused(standards=ends_before.format(2024))[0]
    assert "之后中断" in refused(standards=ends_before.format(2022))[0]
    assert laid(standards=ends_before.format(2023))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"calibers": "口径代码,类别,口径名称,是否默认,文号,是否示例\nmine,population,本市口径,是,文,否\n"},
         ["类别“population”应有一个默认口径，现有 2 个", "人口口径“mine”应取一种人口口径，现有 0 种"]),
        ({"caliber_members": "caliber_id,dimension,member,document_number,is_sample\nnobody,population_register,常住,文,否\n"},
         ["calibers.csv 中没有“nobody”"]),
        ({"caliber_members": "caliber_id,dimension,member,document_number,is_sample\nresident,population_register,暂住,文,否\n"},
         ["“population_register”没有“暂住”。处理办法：可用的：户籍、常住、公安"]),
        ({"pay_components": "component,component_name,caliber_id,is_included,document_number,is_sample\nother_yuan,其他,pay_comparable,是,文,否\n"},
         ["工资口径“pay_comparable”没有说“basic_salary_yuan”是否计入"]),
        ({"exclusive_programmes": "programme_a,programme_b,valid_from,document_number,is_sample\n乡镇工作补贴,乡镇工作补贴,2020-01-01,文,否\n"},
         ["两个项目是同一个"]),
    ],
)  # fmt: skip
def test_rules_between_rows_and_tables_hold(files: dict[str, str], said: list[str]):
    told = refused(**files)
    for one in said:
        assert any(one in line for line in told), told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "文件是空的"),
        (b"\x00" * 100, "二进制"),
        ("縣區代碼,類別,備註".encode("big5") * 50, "编码"),
        (b"county_code,category\n" + b"140902,\xff\xfe\n", "编码"),
        (b"x" * (MOST_BYTES + 1), "字节，上限"),
        ((CATEGORIES + "140902,无,2006-07-01,,文,否\n" * (MOST_ROWS + 1)).encode(), "行，上限|单元格超过"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "网页"),
        ("县区代码；类别；生效日期\n140902；无；2020\n140921；无；2020\n140902；一类；2021\n".encode(), "分号"),
        (b'county_code,category\n"140902,1\n', "引号"),
        (b"county_code,kategory\n1,2\n", "不认识列“kategory”。处理办法：是不是“category”"),
        (b"county_code,county_code\n1,2\n", "出现两次"),
        (b"county_code\n140902\n", "缺少列：类别、生效日期、是否示例"),
        (("县区代码,类别,生效日期,是否示例\n140902,无," + "长" * 600 + ",否\n").encode(), "有 600 个字"),
    ],
)  # fmt: skip
def test_a_hostile_or_broken_file_is_refused_in_words(content: bytes, said: str):
    told = refused(hardship_categories=content)
    assert all(line.startswith("policy/hardship_categories.csv") and "处理办法：" in line for line in told)
    assert any(one in told[0] for one in said.split("|")), told[0]


def test_hundreds_of_mistakes_are_told_up_to_a_number():
    told = refused(hardship_categories=CATEGORIES + "140902,无,某日,,文,否\n" * 900)
    assert len(told) <= 53
    assert "后面的没有再查" in told[-1]


def test_what_lies_in_the_folder_and_is_no_table_is_told(tmp_path: Path):
    write_sample_municipality(tmp_path / "municipality.yaml")
    home = Home(tmp_path)
    (home.policy / "standrads.csv").write_text("x", encoding="utf-8")
    (home.policy / "standards.xlsx").write_bytes(b"PK")
    (home.policy / "~$standards.xlsx").write_bytes(b"")
    (home.policy / "targets.csv").unlink()
    (home.policy / "targets.csv").mkdir()
    with pytest.raises(PolicyError) as error:
        policy_in_force(home)
    assert [("是工作簿" in line, "是不是 standards.csv" in line, "不是普通文件" in line) for line in str(error.value).splitlines()] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(sorted(policy_tables())))
def test_no_bytes_make_anything_but_rows_or_words(content: bytes, name: str):
    table = policy_tables()[name]
    header = ",".join(table.columns).encode() + b"\n"
    for whole in (content, header + content):
        rows, problems = read_rows(table, whole, "f", is_home=True)
        assert all(set(row.values) == set(table.columns) for row in rows)
        assert all(problem.message and problem.remedy for problem in problems)


# --- a home over the defaults ----------------------------------------------------------------------------------------


def test_a_home_speaks_of_a_subject_as_a_whole_and_of_no_other():
    text = "caliber_id,dimension,member,document_number,is_sample\nrural_village,rural_school_type,小学,文,否\n"
    members = values(laid(caliber_members=text), "caliber_members", "caliber_id", "dimension", "member")
    of_types = [one for one in members if one[1] == "rural_school_type"]
    assert of_types == [("rural_village", "rural_school_type", "小学")]
    without = [one for one in members if one[1] != "rural_school_type"]
    everything = values(laid(), "caliber_members", "caliber_id", "dimension", "member")
    assert without == [one for one in everything if one[1] != "rural_school_type"]


def test_another_scope_lies_beside_the_defaults_and_the_same_takes_their_place():
    row = "gross_enrolment_preschool,area,{},2020,,>=,95,county,文,否\n"
    beside = values(
        laid(standards=STANDARDS + row.format("140900")), "standards", "indicator_code", "scope_code", "value"
    )
    assert {one[1:] for one in beside if one[0] == "gross_enrolment_preschool"} == {
        ("CN", Decimal(85)), ("410000", Decimal(90)), ("140900", Decimal(95)),
    }  # fmt: skip
    instead = values(laid(standards=STANDARDS + row.format("CN")), "standards", "indicator_code", "scope_code", "value")
    assert {one[1:] for one in instead if one[0] == "gross_enrolment_preschool"} == {
        ("CN", Decimal(95)), ("410000", Decimal(90)),
    }  # fmt: skip


def test_what_ends_on_the_day_it_begins_says_that_nothing_holds():
    text = STANDARDS.replace("year_from", "valid_from,valid_to,year_from")
    text += "net_enrolment_primary,area,CN,2020-01-01,2020-01-01,2020,,>=,99,county,文,否\n"
    codes = {code for (code,) in values(laid(standards=text), "standards", "indicator_code")}
    assert "net_enrolment_primary" not in codes
    assert "net_enrolment_junior" in codes


def test_ages_of_a_county_from_a_day_on_lie_beside_the_countrys():
    text = "dimension,member_group,member,scope_code,valid_from,document_number,is_sample\n"
    text += "".join(f"age,小学学龄,{age},140902,2024-09-01,文,否\n" for age in range(6, 11))
    ages = values(laid(member_groups=text), "member_groups", "member_group", "scope_code", "member")
    assert {one[2] for one in ages if one[:2] == ("小学学龄", "140902")} == {"6", "7", "8", "9", "10"}
    assert len([one for one in ages if one[:2] == ("小学学龄", "CN")]) == 6


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_and_files_plays_no_part(chance: random.Random):
    def shuffled(content: bytes) -> bytes:
        lines = [line.split(",") for line in content.decode().splitlines()]
        order = chance.sample(range(len(lines[0])), len(lines[0]))
        body = chance.sample(lines[1:], len(lines) - 1)
        return "\n".join(",".join(line[at] for at in order) for line in [lines[0], *body]).encode()

    own = {name: shuffled(content) for name, content in chance.sample(sorted(SAMPLE.items()), len(SAMPLE))}
    defaults = {name: shuffled(content) for name, content in chance.sample(sorted(DEFAULTS.items()), len(DEFAULTS))}
    assert lay_over(PolicyFiles(own, defaults)).digest == lay_over(PolicyFiles(SAMPLE, DEFAULTS)).digest


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["140902", "140921"]), st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20))),
        max_size=5,
    )
)
def test_what_passes_has_one_category_on_every_day_from_the_first_to_the_last(spans: list):
    def day(number: int) -> date:
        return date(2020, 1, 1 + number)

    text = CATEGORIES + "".join(
        f"{code},无,{day(low)},{'' if high is None else day(high)},文,否\n" for code, low, high in spans
    )
    try:
        rows = laid(hardship_categories=text).rows["hardship_categories"]
    except PolicyError:
        return
    for code in ("140902", "140921"):
        own = [row for row in rows if row.values["county_code"] == code]
        holding = [
            sum(
                row.values["valid_from"] <= day(at)
                and (row.values["valid_to"] is None or day(at) < row.values["valid_to"])
                for row in own
            )
            for at in range(25)
        ]
        assert set(holding) <= {0, 1}
        assert "".join(map(str, holding)).strip("0").count("0") == 0


# --- the folder of a home, and what is kept --------------------------------------------------------------------------


def test_a_new_home_gets_the_samples_to_replace_and_words_for_each_file(tmp_path: Path):
    home = Home(tmp_path)
    assert write_policy_folder(home)
    assert not write_policy_folder(home), "what is there stays"
    written = {path.name for path in home.policy.glob("*.csv")}
    assert written == {f"{name}.csv" for name, table in policy_tables().items() if table.filled_by == "city"}
    readme = (home.policy / README).read_text(encoding="utf-8")
    assert all(f"`{name}.csv`" in readme for name in policy_tables())
    files = PolicyFiles(shipped(home.policy), DEFAULTS)
    own = [row for rows in lay_over(files).rows.values() for row in rows if row.is_home]
    assert own
    assert all(row.values["is_sample"] for row in own)
    assert lay_over(files).digest == laid().digest


def test_a_home_that_does_not_know_a_county_refuses_its_rows(tmp_path: Path):
    write_sample_municipality(tmp_path / "municipality.yaml")
    home = Home(tmp_path)
    assert policy_in_force(home)
    text = (
        home.configuration.read_text(encoding="utf-8")
        .replace('"140981"', '"140998"')
        .replace("counties/140981", "counties/140998")
    )
    home.configuration.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match="没有“140981”"):
        policy_in_force(Home(tmp_path))
    assert known_in(Home(tmp_path).municipality, PolicyFiles({}, DEFAULTS)).codes["scope"]["CN"] == "全国"


def test_a_homes_own_indicators_are_kept_with_its_policy(tmp_path: Path):
    home = Home(tmp_path)
    folder = home.policy / "indicators"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_bytes(b"family: own\n")
    version = keep(home, PolicyFiles.of_home(home))
    assert "indicators/own.yaml" in version.files
    (folder / "own.yaml").unlink()
    assert "indicators/own.yaml" not in keep(home, PolicyFiles.of_home(home)).files
    then = home_with(tmp_path / "aside", held_files(home, version.files))
    assert (then.policy / "indicators" / "own.yaml").read_bytes() == b"family: own\n"
    assert PolicyFiles.of_home(then).sha256 == version.files


def test_a_version_is_kept_once_and_found_by_the_day(tmp_path: Path):
    home = Home(tmp_path)
    first = keep(home, PolicyFiles({}, DEFAULTS))
    assert keep(home, PolicyFiles({}, DEFAULTS)) == first
    second = keep(home, PolicyFiles(SAMPLE, DEFAULTS))
    back = keep(home, PolicyFiles({}, DEFAULTS))
    assert [one.number for one in versions(home)] == [1, 2, 3]
    assert (back.files == first.files, back.number) == (True, 3)
    assert known_by(home, end_of_day("2000-01-01")) == first, "the earliest that is known"
    assert known_by(home, end_of_day("2100-01-01")) == back
    assert held_files(home, second.files).home == SAMPLE
    aside = home_with(tmp_path / "aside", held_files(home, second.files))
    assert shipped(aside.policy) == SAMPLE
    assert PolicyFiles.of_home(aside).sha256 == second.files


def test_a_kept_file_that_was_touched_is_missed(tmp_path: Path):
    home = Home(tmp_path)
    version = keep(home, PolicyFiles(SAMPLE, DEFAULTS))
    (home.raw / "policy" / "held" / version.files["home/subsidy_tiers.csv"]).write_bytes(b"")
    with pytest.raises(PolicyLost, match=r"subsidy_tiers\.csv 不见了，或被改动"):
        held_files(home, version.files)
    (home.raw / "policy" / "000001.json").write_text("{", encoding="utf-8")
    with pytest.raises(PolicyLost, match="政策版本读不出来"):
        list(versions(home))


def test_a_folder_that_was_gone_by_and_is_lost_is_missed(tmp_path: Path):
    home = Home(tmp_path)
    refuse_lost(home)
    keep(home, PolicyFiles({}, DEFAULTS))
    refuse_lost(home)
    keep(home, PolicyFiles(SAMPLE, DEFAULTS))
    with pytest.raises(PolicyError, match="文件夹不见了，而上次运行用过其中的 3 个文件"):
        refuse_lost(home)
    home.policy.mkdir()
    refuse_lost(home)
