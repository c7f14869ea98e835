"""The rule bundle: what goes in, what does not, what is refused; and that checking by it needs nothing but screening."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import COUNTIES, PERIODS, SETTINGS, Draft, xlsx

from pipelines.bundle import BUNDLE_NAME, BundleDamaged, bundle_bytes, opened_bundle
from pipelines.intake.submission import Submission
from pipelines.municipality import load_municipality
from pipelines.periods import parse_period
from pipelines.returns import all_definitions, current_definitions, definition
from pipelines.rule_files import definitions_folder, expectations_folder, rules_from
from pipelines.sample import write_sample_municipality
from pipelines.screening.rules import CatalogueError, file_rules, rule_set_version
from pipelines.screening.screen import screen
from pipelines.screening.settings import ScreenSettings
from pipelines.templates.template import template_workbook
from pipelines.workbooks.bounded import ReadLimits
from tests.homes import PROJECT

CITY = ("140900", "忻州市")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / BUNDLE_NAME
    path.write_bytes(bundle_bytes(*CITY, SETTINGS))
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, contents: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_a_bundle_brings_counties_calendar_limits_returns_and_rules_and_gives_the_rules_back(bundle: Path):
    own = (definitions_folder(), expectations_folder(), rule_set_version())
    with opened_bundle(bundle) as opened:
        assert opened.settings == ScreenSettings(SETTINGS.counties, PERIODS, SETTINGS.limits)
        assert (opened.city_name, opened.rule_set_version) == ("忻州市", own[2])
        assert definitions_folder() != own[0]
        assert expectations_folder() != own[1]
        assert len(all_definitions()) == 6
        inside = definitions_folder()
    assert (definitions_folder(), expectations_folder(), rule_set_version()) == own
    assert not inside.exists()


def test_the_rules_of_a_bundle_are_those_that_judge(bundle: Path, tmp_path: Path):
    contents = members(bundle)
    rules = contents["expectations/file.yaml"].decode().replace("表头下没有任何数据行。", "一行数据也没有。")
    edited = tmp_path / "expectations"
    shutil.copytree(expectations_folder(), edited)
    (edited / "file.yaml").write_text(rules, encoding="utf-8")
    before = file_rules()["FILE-0-no-rows"].message
    environment = {**os.environ, "XIANBAO_EXPECTATIONS": str(edited), "PYTHONPATH": str(PROJECT)}
    other = tmp_path / "other.zip"
    code = (
        "import sys; sys.path.insert(0, 'tests/unit'); from builders import SETTINGS; from pathlib import Path;"
        "from pipelines.bundle import bundle_bytes;"
        f"Path({str(other)!r}).write_bytes(bundle_bytes('140900', '忻州市', SETTINGS))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, check=True, timeout=120)
    file = tmp_path / "empty.xlsx"
    file.write_bytes(template_workbook(definition("enrolment"), COUNTIES[0], parse_period("2024-2025")))
    with opened_bundle(other) as opened:
        said = {one.message for one in screen([Submission("1", file, file.name)], opened.settings).findings}
    assert "一行数据也没有。" in said
    assert file_rules()["FILE-0-no-rows"].message == before


def test_the_same_rules_give_the_same_bytes_and_the_bundle_is_small():
    assert bundle_bytes(*CITY, SETTINGS) == bundle_bytes(*CITY, SETTINGS)
    assert len(bundle_bytes(*CITY, SETTINGS)) < 200_000


def test_no_source_contact_or_secret_is_in_a_bundle(tmp_path: Path):
    configuration = tmp_path / "municipality.yaml"
    write_sample_municipality(configuration)
    text = configuration.read_text(encoding="utf-8")
    text = text.replace("    # contact: 忻府区教育局发展规划股", "    contact: 联系人某某 0350-3022331", 1)
    text = text.replace("counties/140902", "sftp://${COUNTY_USER}:${COUNTY_PASSWORD}@inbox.example/140902", 1)
    configuration.write_text(text, encoding="utf-8")
    returns = {code: defined.period_types for code, defined in current_definitions().items()}
    municipality = load_municipality(configuration, returns)
    assert municipality.counties[0].contact
    path = tmp_path / BUNDLE_NAME
    path.write_bytes(bundle_bytes(municipality.city.code, municipality.city.name, SETTINGS))
    everything = b"".join(members(path).values()).decode()
    assert [word for word in ("3022331", "COUNTY_", "inbox.example", "sftp", "counties/") if word in everything] == []


def test_a_file_cut_short_or_of_another_kind_is_refused_in_words(bundle: Path, tmp_path: Path):
    content = bundle.read_bytes()
    middle = bytearray(content)
    middle[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    for number, damaged in enumerate(
        [b"", b"PK\x03\x04", content[: len(content) // 2], bytes(middle), b"x" * (5 << 20)]
    ):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(damaged)
        with pytest.raises(BundleDamaged, match="重新索取"), opened_bundle(path):
            pass


def _edited(member: str, old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def edit(contents: dict[str, bytes]) -> None:
        text = contents[member].decode()
        assert old in text
        contents[member] = text.replace(old, new, 1).encode()

    return edit


def _added(name: str, content: bytes = b"x") -> Callable[[dict[str, bytes]], None]:
    return lambda contents: contents.__setitem__(name, content)


_BOMB = b"a: &a [1,1]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"

HOSTILE = {
    "no manifest": lambda contents: contents.pop("bundle.json"),
    "manifest of another format": _edited("bundle.json", "xianbao-rules", "something"),
    "manifest of a later version": _edited("bundle.json", '"format_version": 1', '"format_version": 2'),
    "county without a code": _edited("bundle.json", "140902", "1409"),
    "limits beyond reason": _edited("bundle.json", '"seconds": 60', '"seconds": 999999'),
    "period that is none": _edited("bundle.json", '"2023-2024"', '"2023-2025"'),
    "path out of the folder": _added("definitions/../../evil.v1.yaml"),
    "absolute path": _added("/tmp/evil.yaml"),
    "program": _added("expectations/evil.py"),
    "too large": _added("expectations/large.yaml", b" " * (2 << 20)),
    "aliases in a definition": _added("definitions/bomb.v1.yaml", _BOMB),
    "definition that is none": _added("definitions/other.v1.yaml", b"return: 1\n"),
    "broken YAML": _added("expectations/enrolment.yaml", b"rules: {"),
    "nested without end": _added("expectations/file.yaml", b"[" * 100_000),
    "aliases in a catalogue": _added("expectations/bomb.yaml", _BOMB),
    "parameter that no kind has": _edited(
        "expectations/enrolment.yaml",
        "    check: at_most\n",
        "    check: at_most\n    row_condition: __import__('os')\n",
    ),
    "kind of check that the program does not have": _edited(
        "expectations/enrolment.yaml", "check: at_most", "check: unexpected_rows_expectation"
    ),
    "message with a format that is more than a placeholder": _edited(
        "expectations/file.yaml", "{detail}", "{detail:>99999999}"
    ),
    "message altered": _edited("expectations/file.yaml", "文件是空的", "文件很好"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bundle_that_was_tampered_with_is_refused_in_words_and_leaves_the_rules_as_they_were(
    name: str, bundle: Path, tmp_path: Path
):
    contents = members(bundle)
    HOSTILE[name](contents)
    own = rule_set_version()
    with pytest.raises(BundleDamaged, match="规则包不能用"), opened_bundle(packed(tmp_path / "hostile.zip", contents)):
        pass
    assert rule_set_version() == own


@pytest.mark.parametrize(("mebibytes", "words"), [(9, "过大"), (200, "炸弹")])
def test_a_bundle_that_unpacks_to_much_is_read_no_further_than_allowed(tmp_path: Path, mebibytes: int, words: str):
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("expectations/x.yaml", "w") as stream,
    ):
        for _ in range(mebibytes):
            stream.write(bytes(1 << 20))
    path = tmp_path / "bomb.zip"
    path.write_bytes(target.getvalue())
    with pytest.raises(BundleDamaged, match=words), opened_bundle(path):
        pass


def test_a_catalogue_with_a_mistake_is_refused_when_the_bundle_is_written(tmp_path: Path):
    shutil.copytree(definitions_folder(), tmp_path / "definitions")
    shutil.copytree(expectations_folder(), tmp_path / "expectations")
    wrong = tmp_path / "expectations" / "school.yaml"
    wrong.write_text(wrong.read_text(encoding="utf-8").replace("unique_key", "uniqe_key"), encoding="utf-8")
    with rules_from(tmp_path), pytest.raises(CatalogueError, match="unique_key"):
        bundle_bytes(*CITY, SETTINGS)


#: Run in a process of its own: any import of what a county does not install (or has not on its system) fails.
_BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError("absent: " + name, name=name)
sys.meta_path.insert(0, Absent())
sys.modules.pop("fcntl", None)
from pipelines.cli.main import main
main()
"""
ABSENT = ("dagster", "dagster_dbt", "dbt", "duckdb", "fsspec", "xlwt", "fcntl")


def bare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where only the screening dependencies are there, in a folder, without a home."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XIANBAO_")}
    return subprocess.run(
        [sys.executable, "-c", _BARE.format(absent=set(ABSENT)), "--home", str(folder / "no-home"), *arguments],
        cwd=folder, env={**environment, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_files_are_checked_by_a_bundle_without_a_home_and_without_orchestrator_or_database(bundle: Path):
    folder = bundle.parent
    (folder / "好.xlsx").write_bytes(xlsx(Draft("enrolment")))
    wrong = Draft("enrolment")
    wrong.rows[0]["grade_1"] += 1
    (folder / "错.xlsx").write_bytes(xlsx(wrong))
    good = bare(folder, "check", "好.xlsx")
    assert (good.returncode, "忻州市" in good.stdout, "接收" in good.stdout) == (0, True, True), good.stderr
    both = bare(folder, "check", "好.xlsx", "错.xlsx", "--annotate", "标注")
    assert both.returncode == 1, both.stderr
    assert "XB02-1c-total-equals-grade" in both.stdout
    assert [path.name for path in (folder / "标注").iterdir()] == ["标注_错.xlsx"]
    (folder / "elsewhere").mkdir()
    named = bare(folder / "elsewhere", "check", str(folder / "好.xlsx"), "--bundle", str(bundle))
    assert named.returncode == 0
    none = bare(folder / "elsewhere", "check", str(folder / "好.xlsx"))
    assert (none.returncode, BUNDLE_NAME in none.stderr, "Traceback" in none.stderr) == (2, True, False)
    absent = bare(folder, "check", "好.xlsx", "没有.xlsx")
    assert (absent.returncode, "没有.xlsx" in absent.stderr) == (2, True)
    bundle.write_bytes(b"not a zip")
    damaged = bare(folder, "check", "好.xlsx")
    assert (damaged.returncode, "规则包不能用" in damaged.stderr, "Traceback" in damaged.stderr) == (2, True, False)


@pytest.mark.long
def test_the_files_in_a_zip_are_checked_each_under_its_name_and_a_bad_zip_is_refused(bundle: Path):
    folder = bundle.parent
    wrong = Draft("enrolment")
    wrong.rows[0]["grade_1"] += 1
    with zipfile.ZipFile(folder / "报送.zip", "w") as archive:
        archive.writestr("一/好.xlsx", xlsx(Draft("enrolment")))
        archive.writestr("一/错.xlsx", xlsx(wrong))
        archive.writestr("二/错.xlsx", xlsx(wrong))
        archive.writestr("__MACOSX/._好.xlsx", b"left behind")
    checked = bare(folder, "check", "报送.zip", "--annotate", "标注")
    assert checked.returncode == 1, checked.stderr
    assert "报送.zip 内有 3 个文件：好.xlsx、一_错.xlsx、二_错.xlsx" in checked.stdout
    assert checked.stdout.count("结论") == 3 and "XB02-1c-total-equals-grade" in checked.stdout
    assert {path.name for path in (folder / "标注").iterdir()} == {"标注_一_错.xlsx", "标注_二_错.xlsx"}
    with zipfile.ZipFile(folder / "只有好的.zip", "w") as archive:
        archive.writestr("好.xlsx", xlsx(Draft("enrolment")))
    assert bare(folder, "check", "只有好的.zip").returncode == 0
    with zipfile.ZipFile(folder / "坏.zip", "w") as archive:
        archive.writestr("好.xlsx", xlsx(Draft("enrolment")))
        archive.writestr("../错.xlsx", xlsx(wrong))
    bad = bare(folder, "check", "坏.zip")
    assert (bad.returncode, "路径指向包外" in bad.stdout.replace("\n", ""), "Traceback" in bad.stderr) == (
        1,
        True,
        False,
    )
    assert not (folder.parent / "错.xlsx").exists() and not (folder / "错.xlsx").exists()


def test_a_command_of_the_pipeline_says_what_is_not_installed(tmp_path: Path):
    write_sample_municipality(tmp_path / "no-home" / "municipality.yaml")
    refused = bare(tmp_path, "run")
    assert (refused.returncode, "xianbao[pipeline]" in refused.stderr, "Traceback" in refused.stderr) == (
        2,
        True,
        False,
    )


def test_default_limits_can_travel():
    assert bundle_bytes(*CITY, ScreenSettings(COUNTIES, PERIODS, ReadLimits()))
