"""What a municipality may say about counties that were renamed, merged or split, and what it is refused for."""

from pathlib import Path

import pytest

from pipelines.municipality import ConfigurationError, Municipality, Problem, load_municipality

RETURNS = {"population": ["calendar_year"]}
HEAD = """\
city: {code: "140900", name: 忻州市, name_en: Xinzhou, province_code: "140000", province: 山西省}
calendar: [{return: population, first_period: "2022", last_period: "2024", due: {after: end, days: 60}}]
counties:
  - {code: "140902", name: 忻府区, name_en: A, valid_from: 1983-01-01, source: a}
  - {code: "140921", name: 定襄县, name_en: B, valid_from: 1983-01-01, valid_to: 2024-01-01, source: b}
  - {code: "140922", name: 五台县, name_en: C, valid_from: 2024-01-01, source: c}
  - {code: "140923", name: 代县, name_en: D, valid_from: 2023-06-01, valid_to: 2024-06-01, source: d}
"""
FIRST = HEAD.count("\n") + 2


def load(folder: Path, successors: str) -> Municipality:
    file = folder / "municipality.yaml"
    file.write_text(f"{HEAD}successors:\n{successors}", encoding="utf-8")
    return load_municipality(file, RETURNS)


def problems(folder: Path, successors: str) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, successors)
    return caught.value.problems


def test_a_rename_and_a_merger_pass_on_the_whole(tmp_path: Path) -> None:
    municipality = load(tmp_path, '  - {county: "140921", from: 2024-01-01, into: [{code: "140922"}]}\n')
    assert municipality.successors[0].shares() == [("140922", 1, 0, 1)]


def test_the_parts_of_a_split_tile_the_whole_in_the_order_of_their_codes(tmp_path: Path) -> None:
    municipality = load(
        tmp_path,
        '  - county: "140902"\n    from: 2024-01-01\n    into: [{code: "140922", weight: 3000}, {code: "140902", weight: 6000}]\n',
    )
    assert municipality.successors[0].shares() == [("140902", 2, 0, 3), ("140922", 1, 2, 3)]


def test_a_split_without_weights_has_no_shares(tmp_path: Path) -> None:
    municipality = load(
        tmp_path, '  - {county: "140902", from: 2024-01-01, into: [{code: "140902"}, {code: "140922"}]}\n'
    )
    assert municipality.successors[0].shares() == [("140902", None, None, 1), ("140922", None, None, 1)]


@pytest.mark.parametrize(
    ("successors", "message", "remedy"),
    [
        ('{county: "140924", from: 2024-01-01, into: [{code: "140902"}]}', "“140924”不在 counties 里", "140923"),
        ('{county: "140921", from: 2024-01-01, into: [{code: "140925"}]}', "“140925”不在 counties 里", "140923"),
        ('{county: "140921", from: 2024-02-01, into: [{code: "140902"}]}', "前后脱节", "valid_to"),
        ('{county: "140921", from: 2023-12-01, into: [{code: "140902"}]}', "前后重叠", "valid_to"),
        ('{county: "140902", from: 2024-01-01, into: [{code: "140922"}]}', "没有撤销日期，前后重叠", "valid_to"),
        ('{county: "140923", from: 2024-06-01, into: [{code: "140921"}]}', "定襄县在 2024-06-01 不存在", "valid_from"),
        ('{county: "140902", from: 2024-01-01, into: [{code: "140902"}]}', "只有它自己", "代码不变"),
        ('{county: "140902", from: 1983-01-01, into: [{code: "140902"}, {code: "140922"}]}', "并非都存在", "有效期"),
        (
            '{county: "140902", from: 2024-01-01, into: [{code: "140902", weight: 1}, {code: "140922"}]}',
            "有的没写",
            "都不写",
        ),
        ('{county: "140921", from: 2024-01-01, into: [{code: "140902"}, {code: "140902"}]}', "写了两次", "只写一次"),
        ('{county: "140921", from: 2024-01-01, into: []}', "没有写继承县区", "至少写一"),
        ('{county: "140921", form: 2024-01-01, from: 2024-01-01, into: [{code: "140902"}]}', "“form”", "from"),
        ('{county: "140921", from: 2024-01-01, into: [{code: "140902", weight: 0}]}', "过小", "大于 0"),
    ],
)
def test_what_does_not_fit_the_counties_is_refused_with_its_line(
    tmp_path: Path, successors: str, message: str, remedy: str
) -> None:
    found = problems(tmp_path, f"  - {successors}\n")
    (problem, *_) = [one for one in found if message in one.message]
    assert problem.line == FIRST
    assert remedy in problem.remedy


def test_a_succession_told_twice_and_a_circle_are_refused(tmp_path: Path) -> None:
    twice = problems(
        tmp_path,
        '  - {county: "140921", from: 2024-01-01, into: [{code: "140922"}]}\n'
        '  - {county: "140921", from: 2024-01-01, into: [{code: "140902"}]}\n',
    )
    assert [(one.line, f"第 {FIRST} 行重复" in one.message) for one in twice] == [(FIRST + 1, True)]
    circle = problems(
        tmp_path,
        '  - {county: "140921", from: 2024-01-01, into: [{code: "140923"}]}\n'
        '  - {county: "140923", from: 2024-06-01, into: [{code: "140921"}]}\n',
    )
    assert {one.line for one in circle if "绕了一圈" in one.message} == {FIRST, FIRST + 1}
