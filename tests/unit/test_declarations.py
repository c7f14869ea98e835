"""Families of indicators: how they expand, what they may not say, and what of them reaches the tables."""

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.declarations.declared import SHIPPED, DeclarationError, declared_rows, own_folder
from pipelines.declarations.families import powers_of, product_of, read_families
from pipelines.declarations.formulas import FormulaWrong, compiled
from pipelines.declarations.grammar import SHAPES
from pipelines.declarations.known import KnownPolicy
from pipelines.declarations.names import indicator_names
from pipelines.declarations.offers import offer_rows, read_offers
from pipelines.declarations.sentence import Sentences
from pipelines.declarations.tables import TABLES, columns_of, fill_tables
from pipelines.home import Home
from pipelines.policy.in_force import PolicyFiles, known_policy, lay_over, shipped
from pipelines.returns import current_definitions
from pipelines.warehouse.build_database import dirty_returns, open_build_database
from pipelines.warehouse.landed_declarations import land_declarations
from tests.homes import PROJECT

COLUMNS = {"needed": "number", "have": "number", "opened_on": "date", "closed_on": "date"}


@pytest.fixture(scope="module")
def known() -> KnownPolicy:
    return known_policy(lay_over(PolicyFiles({}, shipped(PROJECT / "pipelines" / "policy" / "defaults"))))


@pytest.fixture(scope="module")
def offers():
    found, problems = read_offers()
    assert not problems
    return found


def read(folder: Path, text: str, offers, known, *, also: tuple[Path, ...] = ()):
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    rows, problems = read_families([*also, folder], offers, known)
    return rows, [f"{problem.line}: {problem.message}" for problem in problems]


HEAD = """family: own
order: 9
anchor: enrolment
terms:
  pupils: {return: enrolment, sum: students_total, where: {stage: 小学}}
  boarders: {return: enrolment, sum: boarders, where: {stage: 小学}}
  schools: {return: school, rows: true, unit: 所}
  paid: {return: rural_subsidy, sum: paid_yuan}
  codes: {return: rural_subsidy, distinct: school_code, unit: 所}
  short: {return: enrolment, rows: true, at: 1 年前}
indicators:
"""


def one(**said: str) -> str:
    lines = {"name": "甲", "name_en": "A", "shape": "ratio", "unit": "'%'"} | said
    return HEAD + "  a:\n" + "".join(f"    {key.rstrip('_')}: {value}\n" for key, value in lines.items() if value)


def test_what_ships_holds_and_every_term_is_used(offers, known):
    rows, problems = read_families([SHIPPED], offers, known)
    assert problems == []
    assert {row["term"] for row in rows["term"]} == {row["term"] for row in rows["indicator_term"]}
    assert len({row["indicator_code"] for row in rows["indicator"]}) == len(rows["indicator"]) > 30


def test_a_family_expands_to_what_one_would_write_by_hand(tmp_path, offers, known):
    family = """family: own
order: 9
anchor: enrolment
unit: '%'
for:
  - {key: primary, stage: 小学}
  - {key: junior, stage: 初中}
terms:
  boarders: {return: enrolment, sum: boarders, where: {stage: $stage}}
  pupils: {return: enrolment, sum: students_total, where: {stage: $stage}}
indicators:
  boarding_$key:
    name: $stage寄宿率
    name_en: Boarding ${key}
    shape: ratio
    numerator: {$stage寄宿生: boarders}
    denominator: {$stage在校生: pupils}
    except: {junior: {name: 初中寄宿生占比}}
"""
    rows, problems = read(tmp_path, family, offers, known)
    assert problems == []
    assert [(row["indicator_code"], row["indicator_name"], row["numerator_wording"]) for row in rows["indicator"]] == [
        ("boarding_primary", "小学寄宿率", "小学寄宿生"),
        ("boarding_junior", "初中寄宿生占比", "初中寄宿生"),
    ]
    assert {row["term"] for row in rows["term"]} == {
        "own.boarders.primary", "own.boarders.junior", "own.pupils.primary", "own.pupils.junior"
    }  # fmt: skip
    by_hand = "\n".join(
        [
            "family: own", "order: 9", "anchor: enrolment", "unit: '%'", "terms:",
            *(f"  {name}_{key}: {{return: enrolment, sum: {column}, where: {{stage: {stage}}}}}"
              for key, stage in (("primary", "小学"), ("junior", "初中"))
              for name, column in (("boarders", "boarders"), ("pupils", "students_total"))),
            "indicators:",
            *(f"  boarding_{key}: {{name: {name}, name_en: Boarding {key}, shape: ratio, "
              f"numerator: {{{stage}寄宿生: boarders_{key}}}, denominator: {{{stage}在校生: pupils_{key}}}}}"
              for key, stage, name in (("primary", "小学", "小学寄宿率"), ("junior", "初中", "初中寄宿生占比"))),
        ]
    )  # fmt: skip
    other = tmp_path / "by_hand"
    other.mkdir()
    written, problems = read(other, by_hand, offers, known)
    assert problems == []

    def meaning(found):
        filters = {row["term"]: (row["dimension"], row["value"]) for row in found["term_filter"]}
        columns = {row["term"]: row["column_name"] for row in found["term"]}
        return [
            {name: value for name, value in row.items() if name not in ("template", "place")}
            for row in found["indicator"]
        ], [
            (row["indicator_code"], row["role"], columns[row["term"]], filters[row["term"]])
            for row in found["indicator_term"]
        ]

    assert meaning(rows) == meaning(written)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (one(numerator="boarders", denominater="pupils"), "不认识的配置项“denominater”"),
        (one(numerator="boarders"), "指标“a”是 ratio，缺少“denominator”"),
        (one(numerator="boarders", denominator="pupilz"), "项“pupilz”没有在 terms 中声明"),
        (one(numerator="boarders", denominator="pupils", meets="[b]"), "用不着“meets”"),
        (one(numerator="paid", denominator="pupils"), "按各项的单位得“元/人”，写的是“%”"),
        (one(numerator="[boarders, schools]", denominator="pupils"), "把不同单位的项相加减"),
        (one(numerator="codes", denominator="schools"), "一边数不重复的键、一边数行"),
        (one(numerator="boarders", denominator="pupils", caliber="peple"), "没有口径类“peple”"),
        (one(numerator="boarders", denominator="pupils", anchor="enrollment"), "没有报表“enrollment”"),
        (one(numerator="boarders", denominator="pupils", over_year="sum"), "不分季、分月"),
        (one(numerator="paid", denominator="pupils", unit="元/人", anchor="teacher_pay"), "没有对应的一期"),
        (one(numerator="boarders", denominator="pupils", anchor=None).replace("anchor: enrolment\n", ""), "没有说以哪张报表"),
        (one(numerator="boarders", denominator="pupils") + "  b: {name: 甲, name_en: B, shape: count, unit: 人, numerator: pupils}\n",
         "“甲”已是指标“a”的名称"),
        (one(shape="share_of_areas", meets="[a]", at_least="2"), "要达到 2 项，meets 只有 1 项"),
        (one(shape="share_of_areas", meets="[a]", others="0.85"), "没有写 at_least"),
        (one(shape="dispersion", per="school", numerator="boarders", denominator="pupils", unit="系数", weighting="caliber",
             caliber="population"), "口径“resident”没有说“weighting”取哪些"),
        (one(shape="share_of_areas", meets="[nobody]"), "的 meets 里没有这个指标：nobody"),
        (one(shape="change", of="a", since="1 年前"), "绕回到自己：a → a"),
        (one(shape="change", of="b", since="去年"), "since 不能是“去年”"),
        (one(shape="dispersion", numerator="boarders", denominator="pupils"), "缺少“per”"),
        (one(numerator="boarders", denominator="pupils", only="[x]"), "for 里没有 key 为“x”的行"),
        (one(name="$word", numerator="boarders", denominator="pupils"), "for 里没有“$word”"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused_at_its_line(tmp_path, offers, known, said, problem):
    _, problems = read(tmp_path, said, offers, known)
    assert any(problem in found for found in problems), problems
    assert all(not found.startswith("None") for found in problems)


@pytest.mark.parametrize(
    ("term", "problem"),
    [
        ("{return: enrollment, sum: boarders}", "没有报表“enrollment”"),
        ("{return: enrolment, sum: student_total}", "报表 enrolment 没有列“student_total”"),
        ("{return: enrolment, sum: school_name}", "“school_name”不是数"),
        ("{return: enrolment, sum: boarders, rows: true}", "要写 sum、rows、distinct 中的一个"),
        ("{return: enrolment, sum: boarders, where: {stage: 小学部}}", "没有“小学部”"),
        ("{return: enrolment, sum: boarders, where: {organiser: 公办}}", "不能按“organiser”筛选"),
        ("{return: enrolment, sum: boarders, where: {stage: caliber}}", "而这一族没有口径"),
        ("{return: enrolment, sum: boarders, at: 去年}", "at 不能是“去年”"),
    ],
)
def test_a_wrong_term_is_refused_at_its_line(tmp_path, offers, known, term, problem):
    text = one(numerator="boarders", denominator="pupils").replace(
        "  boarders: {return: enrolment, sum: boarders, where: {stage: 小学}}", f"  boarders: {term}"
    )
    _, problems = read(tmp_path, text, offers, known)
    assert [found for found in problems if problem in found and found.startswith("6: ")], problems


def test_a_caliber_that_says_nothing_of_a_dimension_is_named(tmp_path, offers, known):
    text = one(numerator="boarders", denominator="pupils", caliber="population").replace(
        "sum: boarders, where: {stage: 小学}", "sum: boarders, where: {stage: {caliber: teacher_stage}}"
    )
    _, problems = read(tmp_path, text, offers, known)
    assert "6: 口径“resident”没有说“teacher_stage”取哪些" in problems


def test_all_mistakes_of_all_files_come_at_once_and_a_familys_but_once(tmp_path, offers, known):
    (tmp_path / "second.yaml").write_text("family: second\norder: 1\nindicators: {b: {name: 乙}}\n", encoding="utf-8")
    text = one(numerator="boarders", denominator="pupils").replace(
        "indicators:", "for: [{key: x}, {key: y}]\nindicators:"
    )
    _, problems = read(
        tmp_path, text.replace("  a:", "  a_$key:").replace("sum: boarders", "sum: boader"), offers, known
    )
    assert len([found for found in problems if "没有列“boader”" in found]) == 1
    assert [found for found in problems if "缺少“shape”" in found]


def test_a_mistake_with_a_rows_own_word_is_told_of_the_first_row(tmp_path, offers, known):
    text = one(numerator="boarders", denominator="pupils").replace(
        "terms:", "for: [{key: x, stage: 小学}, {key: y, stage: 初中}]\nterms:"
    )
    text = (
        text.replace("  a:", "  a_$key:")
        .replace("name: 甲", "name: $stage")
        .replace("boarders, where: {stage: 小学}", "boarders, where: {stage: $stage部}")
    )
    _, problems = read(tmp_path, text, offers, known)
    assert [found for found in problems if "没有" in found] == ["7: 项“boarders”：学段（stage）没有“小学部”"]


def test_a_number_a_hundred_of_others_has_a_factor_and_a_unit_of_its_own(tmp_path, offers, known):
    rows, problems = read(
        tmp_path, one(numerator="boarders", denominator="pupils", unit="人/百名学生", factor="100"), offers, known
    )
    assert problems == [] and [row["factor"] for row in rows["indicator"]] == [100]


def test_several_must_be_met_and_the_others_nearly(tmp_path, offers, known):
    text = one(numerator="boarders", denominator="pupils", caliber="as_reported") + (
        "  b: {name: 乙, name_en: B, shape: share_of_areas, unit: '%', meets: [a], at_least: 1, others: 0.85}\n"
    )
    rows, problems = read(tmp_path, text, offers, known)
    assert problems == []
    assert [(row["caliber_kind"], row["at_least"], row["layer"]) for row in rows["indicator"]] == [
        (None, None, 0), (None, 1, 1)
    ]  # fmt: skip
    assert str(rows["indicator"][1]["others_share"]) == "0.85"


def test_indicators_of_indicators_have_at_most_two_layers(tmp_path, offers, known):
    text = one(numerator="boarders", denominator="pupils") + "".join(
        f"  {code}: {{name: {code}, name_en: x, shape: change, unit: 个百分点, of: {of}, since: 1 年前}}\n"
        for code, of in (("b", "a"), ("c", "b"), ("d", "c"))
    )
    rows, problems = read(tmp_path, text, offers, known)
    assert [found.split(": ")[1] for found in problems] == ["指标“d”叠了 3 层"]
    assert [row["layer"] for row in rows["indicator"]] == [0, 1, 2, 3]


def test_a_home_declares_indicators_of_its_own(tmp_path, known):
    home = Home(tmp_path / "home")
    own_folder(home).mkdir(parents=True)
    path = own_folder(home) / "own.yaml"
    path.write_text(one(numerator="{寄宿生数: boarders}", denominator="{在校生数: pupils}"), encoding="utf-8")
    rows = declared_rows(home, known)
    (found,) = [row for row in rows["indicator"] if row["indicator_code"] == "a"]
    assert (found["numerator_wording"], found["factor"], found["place"]) == ("寄宿生数", 100, "own.yaml:12")
    forms = {code: defined.form for code, defined in current_definitions().items()}
    assert Sentences(rows, forms, english=True).of("a") == (
        "A (%) = numerator ÷ denominator × 100; numerator: XB02 boarders, stage = 小学; denominator: XB02 students_total, stage = 小学"
    )
    assert Sentences(rows, forms).of("a") == (
        "甲（%）＝ 寄宿生数 ÷ 在校生数 × 100；寄宿生数：XB02“寄宿生数”，学段＝小学；在校生数：XB02“在校生数”，学段＝小学"
    )
    path.write_text(one(numerator="boarders"), encoding="utf-8")
    with pytest.raises(DeclarationError, match="缺少“denominator”"):
        declared_rows(home, known)


def test_what_ships_is_said_with_the_members_of_its_groups(offers, known):
    rows, _ = read_families([SHIPPED], offers, known)
    rows |= offer_rows(offers)
    said = Sentences(rows, {"enrolment": "XB02", "population": "XB03"}, known.groups)
    assert said.of("gross_enrolment_primary") == (
        "小学毛入学率（%）＝ 小学在校生数 ÷ 6–11周岁人口 × 100；小学在校生数：XB02“在校生数”，学段＝小学；"
        "6–11周岁人口：XB03“人口数”，人口口径＝按口径，年龄＝小学学龄（6、7、8、9、10、11）"
    )
    for code in (str(row["indicator_code"]) for row in rows["indicator"]):
        assert said.of(code) and Sentences(rows, {}, known.groups, english=True).of(code)


@pytest.mark.parametrize(
    ("said", "chinese", "english"),
    [
        ("shape: count, unit: 人, numerator: {寄宿生: boarders}", "寄宿生；", "= numerator;"),
        ("shape: change, unit: 个百分点, of: a, since: 3 年前", "甲 减去3 年前的", "A less that of 3 years before"),
        ("shape: change, unit: '%', of: a, since: 基期, as: reduction_percent", "甲 比基期下降的百分比", "reduction of A against the base"),
        ("shape: mean_of, unit: '%', of: {a: 2}", "甲 × 2 的平均", "mean of A × 2"),
        ("shape: dispersion, unit: 系数, per: school, numerator: {寄宿生: boarders}, denominator: {在校生: pupils}",
         "各单位“寄宿生 ÷ 在校生”的差异系数（按分母加权）", "coefficient of variation over units"),
        ("shape: quantile, unit: 人, per: school, quantile: 0.5, numerator: {寄宿生: boarders}",
         "各单位“寄宿生”的 0.5 分位数", "quantile 0.5 over units of numerator"),
        ("shape: share_of_areas, unit: '%', meets: [a], among: a, at_least: 1, others: 0.85",
         "达到甲的标准至少 1 项、其余不低于标准的 0.85 倍的县（市、区）数 ÷ 已判定的县（市、区）数 × 100（只评甲达标的）", "areas meeting A standard"),
    ],
)  # fmt: skip
def test_every_shape_is_said_in_both_languages(tmp_path, offers, known, said, chinese, english):
    text = one(numerator="boarders", denominator="pupils") + f"  b: {{name: 乙, name_en: B, {said}}}\n"
    rows, problems = read(tmp_path, text, offers, known)
    assert problems == []
    rows |= offer_rows(offers)
    assert chinese in Sentences(rows, {}).of("b")
    assert english in Sentences(rows, {}, english=True).of("b")


def test_what_the_document_shows_is_so(tmp_path, known):
    """Its files are those of a home, and its commands answer as it says."""
    text = (PROJECT / "docs" / "adding-an-indicator.md").read_text(encoding="utf-8")
    home = Home(tmp_path / "home")
    own_folder(home).mkdir(parents=True)
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)):
        (own_folder(home) / f"{number}.yaml").write_text(block, encoding="utf-8")
    rows = declared_rows(home, known)
    forms = {code: defined.form for code, defined in current_definitions().items()}
    codes = {row["indicator_name"]: str(row["indicator_code"]) for row in rows["indicator"]}
    shown = re.findall(r"```console\n\$ xianbao indicators (\S+)\n(.*?)\n```", text, re.DOTALL)
    assert len(shown) == 2
    for name, answer in shown:
        assert Sentences(rows, forms, known.groups).of(codes[name]) == answer
    for shape in SHAPES:
        assert f"| `{shape}` |" in text


def test_declarations_are_landed_when_they_have_changed_and_then_all_is_out_of_date(tmp_path, known):
    home = Home(tmp_path / "home")
    own_folder(home).mkdir(parents=True)
    in_force = lay_over(PolicyFiles({}, shipped(PROJECT / "pipelines" / "policy" / "defaults")))

    def land() -> tuple[bool, int]:
        with open_build_database(home) as connection:
            connection.execute("DELETE FROM control.dirty_return")
            land_declarations(connection, home, in_force)
            ((number,),) = connection.execute("SELECT count(*) FROM declared.indicator").fetchall()
            return bool(dirty_returns(connection)), number

    is_dirty, shipped_n = land()
    assert is_dirty and land() == (False, shipped_n)
    path = own_folder(home) / "own.yaml"
    path.write_text(one(numerator="boarders", denominator="pupils"), encoding="utf-8")
    assert land() == (True, shipped_n + 1)
    path.write_text(one(numerator="boarders"), encoding="utf-8")
    with pytest.raises(DeclarationError):
        land()
    with open_build_database(home) as connection:
        assert connection.execute("SELECT count(*) FROM declared.indicator").fetchall() == [(shipped_n + 1,)]


def test_names_are_those_of_the_declarations(tmp_path, offers, known):
    rows, _ = read_families([SHIPPED], offers, known)
    names = {row["indicator_code"]: row["indicator_name"] for row in rows["indicator"]}
    assert indicator_names() == names
    own = one(numerator="boarders", denominator="pupils").encode()
    assert indicator_names([own]) == names | {"a": "甲"}
    assert indicator_names([own, b"family: [broken"]) is None


def test_the_tables_hold_the_rows_with_their_types(offers, known):
    rows, _ = read_families([SHIPPED], offers, known)
    rows |= offer_rows(offers)
    connection = duckdb.connect()
    fill_tables(connection, rows)
    fill_tables(connection, rows)
    for table in TABLES:
        ((count,),) = connection.execute(f"SELECT count(*) FROM declared.{table}").fetchall()
        assert count == len(rows[table]), table
        described = connection.execute(
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'declared' AND table_name = '{table}'"
        ).fetchall()
        assert {name: kind.replace(" ", "") for name, kind in described} == columns_of(table)


@pytest.mark.parametrize(
    ("text", "sql", "is_test"),
    [
        ("max(0, needed - have)", "greatest(0, needed - have)", False),
        ("days(opened_on, closed_on)", "date_diff('day', opened_on, closed_on)", False),
        ("needed > 0", "needed > 0", True),
        ("opened_on <= closed_on", "opened_on <= closed_on", True),
    ],
)
def test_a_formula_becomes_sql_over_its_columns(text, sql, is_test):
    formula = compiled(text, COLUMNS)
    assert (formula.sql, formula.is_test) == (sql, is_test)
    assert set(formula.operands) <= set(COLUMNS)


@pytest.mark.parametrize(
    "text", ["needed / have", "needed; drop table x", "unknown + 1", "opened_on + 1", "max(needed)", "(needed", "1 + 1", "needed > opened_on", "'x' = needed", "needed needed", "x" * 400]
)  # fmt: skip
def test_what_is_no_formula_is_refused_in_words(text):
    with pytest.raises(FormulaWrong) as refused:
        compiled(text, COLUMNS)
    assert refused.value.reason and refused.value.remedy


@given(st.text(alphabet="needhav 0123+-*()<>=,/;'\"maxin", max_size=40))
def test_no_text_becomes_sql_of_anything_but_the_grammar(text):
    try:
        formula = compiled(text, COLUMNS)
    except FormulaWrong:
        return
    assert not set(";'\"/") & set(formula.sql.replace("'day'", ""))
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (needed BIGINT, have BIGINT, opened_on DATE, closed_on DATE)")
    connection.execute(f"SELECT {formula.sql} FROM t")


def test_units_multiply_as_powers():
    assert product_of(["元/人·月", "人", "月"]) == "元"
    assert powers_of("元/人·月") == {"元": 1, "人": -1, "月": -1}
    assert product_of(["人", "月"]) == "人·月"
