"""Policy of a home in its figures: homes share nothing, a change rebuilds, what was published stays provable, samples are told."""

import json
import shutil
from pathlib import Path

import pytest
from builders import XINFU, Draft
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import Home
from pipelines.policy.in_force import PolicyError
from pipelines.policy.kept import versions
from pipelines.releases.reconstruct import ReconstructionFault, publish_as_of, verify
from pipelines.releases.release import ReleaseLog
from tests.faults.homes import send, with_more_people
from tests.homes import rows, small_home, update

STANDARDS = "指标代码,标准的对象,适用范围,起始年份,比较,标准值,在哪一级评定,文号,是否示例\n"
_VERDICTS = """SELECT area_code, standard, is_standard_met, standard_is_sample FROM marts.fct_indicator
    WHERE indicator_code = 'gross_enrolment_primary' AND caliber_id = 'resident' AND period = '2024-2025' ORDER BY 1"""


def set_standard(home: Home, value: str, *, sample: str = "否") -> None:
    row = f"gross_enrolment_primary,地区,140900,2020,不低于,{value},县（市、区）和全市,忻教〔2024〕1号,{sample}\n"
    (home.policy / "standards.csv").write_bytes((STANDARDS + row).encode("gb18030"))


def verdicts(home: Home) -> list[tuple]:
    return [(area, float(standard), met, sample) for area, standard, met, sample in rows(home, _VERDICTS)]


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that published by a standard that is missed, then by one that is met."""
    home = small_home(tmp_path_factory.mktemp("policy"), [(XINFU.code, "忻府区", "Xinfu")])
    set_standard(home, "99")
    send(home, Draft("enrolment", XINFU, "2024-2025"), "学生.xlsx", 1)
    send(home, with_more_people(0), "人口.xlsx", 1)
    update(home)
    assert verdicts(home) == [("140900", 99, False, False), ("140902", 99, False, False)]
    set_standard(home, "0.5")
    update(home)
    return home.root


@pytest.fixture
def home(two_versions: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(two_versions, tmp_path / "home")))


def test_another_standard_rebuilds_the_figures_and_both_releases_can_be_proved(home: Home):
    assert verdicts(home) == [("140900", 0.5, True, False), ("140902", 0.5, True, False)]
    assert [one.number for one in versions(home)] == [1, 2]
    older, newer = list(ReleaseLog(home))
    assert older.inputs.policy["home/standards.csv"] != newer.inputs.policy["home/standards.csv"]
    assert older.inputs.policy["defaults/stages.csv"] == newer.inputs.policy["defaults/stages.csv"]
    for manifest in (older, newer):
        assert verify(home, manifest).differing == {}


def test_nothing_new_is_published_when_only_the_way_of_writing_changed(home: Home):
    path = home.policy / "standards.csv"
    path.write_text(path.read_text(encoding="gb18030").replace("0.5", "０.50"), encoding="utf-8-sig")
    landed, published = update(home)
    assert (landed.submissions_n, published.changed, len(list(ReleaseLog(home)))) == (0, False, 2)


def test_as_of_a_day_goes_by_the_policy_of_that_day(home: Home):
    first = home.raw / "policy" / "000001.json"
    known = json.loads(first.read_bytes())
    first.write_text(json.dumps({**known, "known_at": "2025-01-01T00:00:00"}), encoding="utf-8")
    manifest, path = publish_as_of(home, "2025-03-01")
    assert manifest.inputs.policy == known["files"]
    aside = Home(path.parent)
    shutil.copyfile(path, path.parent / "copy.duckdb")
    assert verify(home, manifest).differing == {}
    assert verdicts(home)[0][1] == 0.5, "what is published stays"
    assert aside.root.name == manifest.release_id


def test_other_defaults_reach_a_home_and_leave_what_was_published_provable(home: Home, tmp_path: Path):
    defaults = Path(shutil.copytree(home.policy_defaults, tmp_path / "defaults"))
    text = (defaults / "standards.csv").read_text(encoding="utf-8")
    assert "gross_enrolment_preschool,area,CN,,,2020,,>=,85" in text
    (defaults / "standards.csv").write_text(
        text.replace(
            "gross_enrolment_preschool,area,CN,,,2020,,>=,85", "gross_enrolment_preschool,area,CN,,,2020,,>=,80"
        ),
        encoding="utf-8",
    )
    upgraded = Home(home.root, policy_defaults=defaults)
    update(upgraded)
    preschool = "SELECT DISTINCT standard FROM marts.dim_standard WHERE indicator_code = 'gross_enrolment_preschool'"
    assert [float(one) for (one,) in rows(home, preschool)] == [80]
    assert verify(home, next(iter(ReleaseLog(home)))).differing == {}


def test_two_homes_share_nothing(home: Home, tmp_path: Path):
    other = Home(Path(shutil.copytree(home.root, tmp_path / "other")))
    set_standard(other, "88")
    update(other)
    update(home)
    assert (verdicts(home)[0][1], verdicts(other)[0][1]) == (0.5, 88)


def test_a_file_that_is_wrong_stops_the_run_and_leaves_what_is_published(home: Home):
    inode, files = home.published.stat().st_ino, sorted(home.raw.rglob("*"))
    set_standard(home, "99%")
    with pytest.raises(PolicyError, match=r"standards\.csv 第 2 行：“标准值”“99%”不是数"):
        update(home)
    told = CliRunner().invoke(app, ["--home", str(home.root), "run"])
    assert (told.exit_code, "不写百分号" in told.output) == (2, True)
    assert CliRunner().invoke(app, ["--home", str(home.root), "policy", "check"]).exit_code == 2
    assert (home.published.stat().st_ino, sorted(home.raw.rglob("*"))) == (inode, files)
    assert verdicts(home)[0][1] == 0.5
    set_standard(home, "0.5")
    update(home)


def test_policy_that_is_gone_from_the_records_is_missed(home: Home):
    older = next(iter(ReleaseLog(home)))
    (home.raw / "policy" / "held" / older.inputs.policy["home/standards.csv"]).unlink()
    told = CliRunner().invoke(app, ["--home", str(home.root), "verify", "1"])
    assert (told.exit_code, "standards.csv 不见了，或被改动" in told.output) == (1, True)


def test_a_standard_that_is_a_sample_is_marked_at_every_verdict_and_on_the_screen(home: Home):
    set_standard(home, "0.5", sample="是")
    update(home)
    assert {one[3] for one in verdicts(home)} == {True}
    for table in ("mart_gap", "mart_overview"):
        found = rows(home, f"SELECT DISTINCT standard_is_sample FROM marts.{table} WHERE indicator_code = 'gross_enrolment_primary' AND standard IS NOT NULL AND value IS NOT NULL")  # fmt: skip
        assert found == [(True,)], table
    shown = CliRunner().invoke(app, ["--home", str(home.root), "show", "gross_enrolment_primary"])
    assert "0.50（示例）" in shown.output
    listed = CliRunner().invoke(app, ["--home", str(home.root), "policy", "show", "standards"])
    assert "忻教" in listed.output
    assert "默认" in listed.output


def official(home: Home) -> None:
    """Every row of policy by a document, as after a city has replaced the samples."""
    for path in home.policy.glob("*.csv"):
        if path.name != "standards.csv":
            text = path.read_text(encoding="utf-8-sig")
            lines = [line.split(",") for line in text.splitlines()]
            at = lines[0].index("是否示例")
            for line in lines[1:]:
                line[at] = "否"
            path.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    ended = "".join(
        f"{code},地区,CN,2020,不低于,99,县（市、区）和全市,忻教〔2024〕1号,否\n"
        for code in ("net_enrolment_compulsory", "net_enrolment_primary", "net_enrolment_junior")
    )
    (home.policy / "standards.csv").write_text(STANDARDS + ended, encoding="utf-8")


def test_a_city_that_wants_official_policy_publishes_nothing_on_samples(home: Home):
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(text + "publish: {require_policy: true}\n", encoding="utf-8")
    home, inode, answered = Home(home.root), home.published.stat().st_ino, set(home.outbox.rglob("*_回执.html"))
    send(home, with_more_people(10), "人口（更正）.xlsx", 40)
    landed, published = update(home)
    assert landed.submissions_n == 1
    assert "现行的政策表里还有示例：口径 6 行" in published.refused
    assert home.published.stat().st_ino == inode
    assert len(set(home.outbox.rglob("*_回执.html")) - answered) == 1, "the county gets its answer"
    with pytest.raises(ReconstructionFault, match="还有示例"):
        publish_as_of(home, "2025-03-01")
    told = CliRunner().invoke(app, ["--home", str(home.root), "run"])
    assert (told.exit_code, "没有发布：配置要求" in told.output) == (1, True)
    official(home)
    _, published = update(home)
    assert (published.refused, published.samples, published.changed) == ("", {}, True)
    assert rows(home, "SELECT DISTINCT policy_is_sample FROM marts.fct_indicator") == [(False,)]
