"""Releases: what was published can be told, kept, made again from `raw/`, and made as it was known on an earlier day."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from builders import DINGXIANG, XINFU, Draft

from pipelines.home import Home
from pipelines.intake.deadlines import record_late
from pipelines.releases.publish import publish
from pipelines.releases.reconstruct import publish_as_of, restore, verify
from pipelines.releases.release import NoSuchRelease, ReleaseLog, ReleaseLogDamaged, table_contents_of
from tests.faults.homes import send, with_more_people
from tests.homes import PROJECT, collect_all, rows, small_home, update


@pytest.fixture(scope="module")
def three_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has published three times: a first return, its correction, then another county, a decision and a deadline."""
    home = small_home(
        tmp_path_factory.mktemp("releases"), [(XINFU.code, "忻府区", "Xinfu"), (DINGXIANG.code, "定襄县", "Dingxiang")]
    )
    send(home, with_more_people(0), "人口.xlsx", 1)
    update(home)
    send(home, with_more_people(10), "人口（更正）.xlsx", 40)
    update(home)
    send(home, with_more_people(0, DINGXIANG), "人口.xlsx", 80)
    collect_all(home)
    home.decisions.append("lock", by="市局甲", reason="已上报", now=datetime.now(UTC), period="2024")
    record_late(home, set(), on=date(2025, 4, 1))
    update(home)
    return home.root


@pytest.fixture
def home(three_releases: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(three_releases, tmp_path / "home")))


def test_each_publish_with_other_content_is_a_release_with_a_manifest_beside_the_file(three_releases: Path):
    home = Home(three_releases)
    manifests = list(ReleaseLog(home))
    assert [manifest.number for manifest in manifests] == [1, 2, 3]
    assert [manifest.inputs.submissions_n for manifest in manifests] == [1, 2, 3]
    assert [manifest.previous for manifest in manifests] == [None, *(one.release_id for one in manifests[:-1])]
    beside = json.loads(home.manifest.read_text(encoding="utf-8"))
    ((published,),) = rows(home, "SELECT release_id FROM marts.release")
    assert beside["release_id"] == published == manifests[-1].release_id
    assert {name: one.sha256 for name, one in manifests[-1].tables.items()} == {
        name: one["sha256"] for name, one in beside["tables"].items()
    }
    for manifest in manifests:
        kept = ReleaseLog(home).kept_file(manifest)
        assert kept is not None
        assert table_contents_of(kept) == manifest.tables


def test_the_documentation_is_part_of_the_release_and_needs_nothing_else(three_releases: Path):
    home = Home(three_releases)
    page = home.documentation.read_text(encoding="utf-8")
    assert "model.xianbao.fct_indicator" in page
    assert json.dumps("代入数字的算式")[1:-1] in page
    assert [word for word in ("cloudfront", str(PROJECT), str(home.root)) if word in page] == []
    for manifest in ReleaseLog(home):
        assert (home.warehouse / "releases" / manifest.release_id / "docs.html").stat().st_size > 1_000_000


def test_a_run_that_changes_nothing_is_no_release(home: Home):
    before = home.published.stat().st_ino
    _, published = update(home)
    assert not published.changed
    assert home.published.stat().st_ino == before
    assert len(list(ReleaseLog(home))) == 3


def test_the_content_and_not_the_order_of_rows_makes_the_release(tmp_path: Path):
    def contents(*values: str) -> dict:
        file = tmp_path / "content.duckdb"
        file.unlink(missing_ok=True)
        with duckdb.connect(str(file)) as connection:
            connection.execute("CREATE SCHEMA marts; CREATE TABLE marts.t (a VARCHAR, b DECIMAL(38, 4), c TIMESTAMP)")
            for value in values:
                connection.execute(f"INSERT INTO marts.t VALUES {value}")
        return table_contents_of(file)

    one, two = "('甲', 1.5, '2024-10-01 08:00:00')", "('乙', NULL, NULL)"
    assert contents(one, two) == contents(two, one)
    assert contents(one, one, two) != contents(one, two, two)
    assert contents("('1:a', NULL, NULL)") != contents("(NULL, NULL, NULL)")
    assert contents("('甲', 1.50000, NULL)") == contents("('甲', 1.5, NULL)")
    assert contents("('甲', 1.5001, NULL)") != contents("('甲', 1.5, NULL)")


def test_every_release_is_made_again_from_raw_whatever_came_later(home: Home):
    send(home, with_more_people(30), "人口（再更正）.xlsx", 90)  # kept out by the lock
    send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 91)
    (home.root / "municipality.yaml").write_text(
        (home.root / "municipality.yaml").read_text(encoding="utf-8").replace("name: 定襄县", "name: 定襄"),
        encoding="utf-8",
    )
    home = Home(home.root)
    update(home)
    manifests = list(ReleaseLog(home))
    assert len(manifests) == 4
    for manifest in manifests[:3:2]:
        verified = verify(home, manifest)
        assert (verified.differing, verified.kept_differs) == ({}, ())
        assert verified.holds
    assert not list(home.private.glob(".aside-*"))


def test_a_release_that_cannot_be_made_again_is_told_and_named(home: Home):
    log = ReleaseLog(home)
    first = log.find("1")
    kept = log.kept_file(first)
    assert kept is not None
    kept.chmod(0o644)
    with duckdb.connect(str(kept)) as connection:
        connection.execute("UPDATE marts.fct_indicator SET coverage_n = 99")
    path = home.raw / "releases" / "000001.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["tables"]["dim_period"]["sha256"] = "0" * 64
    content["versions"]["rules"] = "another"
    path.write_text(json.dumps(content), encoding="utf-8")
    verified = verify(home, log.find("1"))
    assert not verified.holds
    assert list(verified.differing) == ["dim_period"]
    assert set(verified.kept_differs) == {"dim_period", "fct_indicator"}
    assert verified.other_versions["审核规则"][0] == "another"


def test_raw_that_has_lost_a_submission_proves_no_release(home: Home):
    submission = json.loads(next(home.raw.glob("submissions/*/*.json")).read_text())["submission_id"]
    (home.raw / "submissions" / submission[:2] / f"{submission}.json").unlink()
    with pytest.raises(ReleaseLogDamaged, match="当时有 3 件报送件，现在按同一时点数出 2 件"):
        verify(home, ReleaseLog(home).find("current"))


def test_as_of_a_day_is_what_was_published_when_that_was_all_there_was(home: Home):
    before = home.published.read_bytes()
    first, _, third = ReleaseLog(home)
    manifest, path = publish_as_of(home, "2024-10-31")
    assert manifest.tables == first.tables
    assert table_contents_of(path) == first.tables
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT as_of FROM marts.release").fetchall() == [
            (datetime(2024, 10, 31, 15, 59, 59, 999999),)
        ]
    # The lock and the deadline came later; the other county's file on 20 December.
    december = publish_as_of(home, "2024-12-31", out=home.root / "年底.duckdb")[0]
    changed = {name for name, content in december.tables.items() if third.tables[name] != content}
    assert {"mart_decision", "mart_submission_status"} <= changed
    assert "mart_lineage_cell" not in changed
    assert table_contents_of(home.root / "年底.duckdb") == december.tables
    assert home.published.read_bytes() == before
    assert [manifest.as_of for manifest in ReleaseLog(home)][3:] == ["2024-10-31", "2024-12-31"]
    # It can be proved like any other.
    assert verify(home, december).holds


def test_old_files_are_removed_by_the_policy_and_can_be_made_again(home: Home):
    configuration = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(configuration + "publish: {keep_releases: 1, keep_months: 1}\n", encoding="utf-8")
    home = Home(home.root)
    log = ReleaseLog(home)
    log.forget_old()
    first, second, third = log
    assert [log.kept_file(one) is not None for one in (first, second, third)] == [False, False, True]
    assert table_contents_of(restore(home, first)) == first.tables
    with pytest.raises(NoSuchRelease):
        log.find("99")


def test_a_kill_between_the_swap_and_the_log_is_made_good_by_the_next_run(home: Home):
    log = ReleaseLog(home)
    last = log.find("current")
    (home.raw / "releases" / "000003.json").unlink()
    home.manifest.unlink()
    shutil.rmtree(home.warehouse / "releases" / last.release_id)
    with duckdb.connect(str(home.build_database)) as connection:
        connection.execute("INSERT INTO control.dirty_return VALUES ('*')")
        connection.execute("DELETE FROM control.state WHERE name = 'built'")
    with home.writing():
        assert not publish(home).changed
    again = log.find("current")
    assert (again.number, again.release_id, again.tables) == (3, last.release_id, last.tables)
    assert json.loads(home.manifest.read_text())["number"] == 3
    assert log.kept_file(again) is not None
