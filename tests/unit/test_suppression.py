"""Small cells and their complements, on tables whose answer was worked out by hand, and on random ones by another method."""

import random
from pathlib import Path

import duckdb
import numpy
import pytest
from ruamel.yaml import YAML

from pipelines.declarations.names import indicator_names
from pipelines.exports import public
from pipelines.exports.public import Declared, declared, thresholds_of_records
from pipelines.exports.suppression import determined, hidden_records
from pipelines.returns import ReturnVersions, return_versions
from tests.homes import PROJECT


def hide(values: dict[str, int], equations: list[dict[str, int]], threshold: int = 5) -> set[str]:
    return hidden_records(values, {cell: cell for cell in values}, set(values), equations, lambda _: threshold)


def total(name: str, *parts: str) -> dict[str, int]:
    return {**dict.fromkeys(parts, 1), name: -1}


def test_a_small_count_takes_the_smallest_other_part_with_it():
    # 53 − 20 − 30 would give the 3 away; with the 20 hidden too, only 3 + 20 = 23 is known.
    assert hide({"a": 3, "b": 20, "c": 30, "city": 53}, [total("city", "a", "b", "c")]) == {"a", "b"}


def test_nobody_is_shown_as_nobody():
    assert hide({"a": 0, "b": 20, "city": 20}, [total("city", "a", "b")]) == set()


def test_two_small_counts_that_sum_to_a_small_count_take_a_third_with_them():
    # 33 − 30 = 3 people in two counties tells nearly as much as either.
    assert hide({"a": 2, "b": 1, "c": 30, "city": 33}, [total("city", "a", "b", "c")]) == {"a", "b", "c"}
    assert hide({"a": 4, "b": 3, "c": 30, "city": 37}, [total("city", "a", "b", "c")]) == {"a", "b"}


def test_the_only_part_hides_its_total():
    assert hide({"a": 3, "city": 3}, [total("city", "a")]) == {"a", "city"}


def test_the_corners_of_a_square_are_hidden_in_a_table_with_both_totals():
    #        x   y   z | sum
    #   a    2  10  20 |  32      a–x is small. Its row needs one more: y, the smallest. Its column needs one more: b, the smallest.
    #   b   11  12  30 |  53      Then b–x stands alone in row b, and a–y in column y: b–y closes the square.
    #   c   40  41  42 | 123      The 2 cannot be solved for: all four may move by the same amount, up and down in turn.
    # sum   53  63  92 | 208
    values = {"ax": 2, "ay": 10, "az": 20, "bx": 11, "by": 12, "bz": 30, "cx": 40, "cy": 41, "cz": 42}
    values |= {"a": 32, "b": 53, "c": 123, "x": 53, "y": 63, "z": 92}
    equations = [total(row, row + "x", row + "y", row + "z") for row in "abc"]
    equations += [total(column, "a" + column, "b" + column, "c" + column) for column in "xyz"]
    assert hide(values, equations) == {"ax", "ay", "bx", "by"}


def test_the_same_count_under_another_name_is_hidden_with_it():
    assert hide({"a": 3, "again": 3}, [{"a": 1, "again": -1}]) == {"a", "again"}


def test_a_record_may_have_a_threshold_of_its_own():
    values = {"a": 7, "b": 20, "c": 8, "d": 4, "e": 30, "city": 27}
    hidden = hidden_records(
        values, {cell: cell for cell in values}, set(values), [total("city", "a", "b")],
        lambda record: 10 if record in ("a", "b", "city") else 5,
    )  # fmt: skip
    assert hidden == {"a", "b", "d"}


def test_two_of_two_thresholds_sum_to_no_fewer_than_the_larger():
    # 4 and 4 are hidden, of a total that is shown: 8 persons in two records, one of which may not be told below 10.
    values = {"a": 4, "b": 4, "c": 30, "city": 38}
    hidden = hidden_records(
        values, {cell: cell for cell in values}, set(values), [total("city", "a", "b", "c")],
        lambda record: 10 if record == "a" else 5,
    )  # fmt: skip
    assert hidden == {"a", "b", "c"}


def test_all_cells_of_a_record_are_hidden_together():
    values = {
        ("r", "heads"): 3,
        ("r", "yuan"): 9000,
        ("s", "heads"): 30,
        ("s", "yuan"): 70000,
        ("t", "heads"): 90,
        ("t", "yuan"): 1,
    }
    equations: list[dict[tuple[str, str], int]] = []
    assert hidden_records(
        values, {c: c[0] for c in values}, {c for c in values if c[1] == "heads"}, equations, lambda _: 5
    ) == {"r"}


def test_what_follows_from_two_equations_together_is_found():
    # a + b and b alone: a follows. a + b, b + c, a + c: all three follow.
    assert determined({"a", "b"}, [{"a": 1, "b": 1}, {"b": 1}]) == {"a", "b"}
    assert determined(set("abc"), [{"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1}]) == set("abc")
    assert determined(set("abc"), [{"a": 1, "b": 1}, {"b": 1, "c": 1}]) == set()


@pytest.mark.parametrize("seed", range(60))
def test_no_hidden_cell_of_a_random_table_can_be_solved_for(seed: int):
    # Checked by another method than it was made: a cell is solvable exactly when its unit vector adds nothing to the rank.
    chance = random.Random(seed)
    rows, columns = [f"r{n}" for n in range(chance.randint(2, 5))], [f"c{n}" for n in range(chance.randint(2, 5))]
    values = {row + column: chance.choice([0, 1, 2, 4, 7, 12, 40, 90]) for row in rows for column in columns}
    equations = []
    for row in rows:
        values[row] = sum(values[row + column] for column in columns)
        equations.append(total(row, *(row + column for column in columns)))
    for column in columns:
        values[column] = sum(values[row + column] for row in rows)
        equations.append(total(column, *(row + column for row in rows)))
    values["all"] = sum(values[row] for row in rows)
    equations += [total("all", *rows), total("all", *columns)]
    hidden = hide(values, equations)
    assert {cell for cell, value in values.items() if 0 < value < 5} <= hidden
    names = sorted(hidden)
    if not names:
        return
    matrix = numpy.array([[equation.get(name, 0) for name in names] for equation in equations])
    rank = numpy.linalg.matrix_rank(matrix)
    for number in range(len(names)):
        unit = numpy.eye(len(names))[number]
        assert numpy.linalg.matrix_rank(numpy.vstack([matrix, unit])) == rank + 1, names[number]


def test_every_indicator_and_every_column_of_a_mart_is_declared_public_or_internal():
    """A new one is left out of a public export until somebody has said to what record it belongs."""
    said = declared()
    assert {*(indicator_names() or ())} == {*said.indicators, *said.internal.indicators}
    models = YAML(typ="safe").load(PROJECT / "dbt_project" / "models" / "marts" / "marts.yml")["models"]
    for model in models:
        name = model["name"]
        if name not in said.tables:
            assert name in said.internal.tables, name
            continue
        columns = {column["name"]: column for column in model["columns"]}
        assert set(columns) == {*said.tables[name].columns, *said.internal.columns.get(name, ())}, name


def test_a_record_of_a_return_with_sensitive_columns_is_told_of_no_fewer_than_ten(monkeypatch: pytest.MonkeyPatch):
    with_one = {
        code: ReturnVersions(tuple(
            defined.model_copy(update={"columns": tuple(
                column.model_copy(update={"privacy": "sensitive"}) if (code, column.name) == ("enrolment", "boarders") else column
                for column in defined.columns
            )}) for defined in versions.versions
        ))
        for code, versions in return_versions().items()
    }  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS source")
        connection.execute("CREATE SCHEMA source.marts")
        connection.execute(
            """CREATE TABLE source.marts.dim_indicator AS SELECT * FROM (VALUES ('gross_enrolment_senior', 'enrolment'),
               ('teacher_pay_ratio', 'teacher_pay')) AS t (indicator_code, return_code)"""
        )
        assert set(thresholds_of_records(connection, 5).values()) == {5}
        monkeypatch.setattr(public, "return_versions", lambda: with_one)
        assert thresholds_of_records(connection, 5) == {"enrolment": 10, "pay": 5, "subsidy": 5}
        assert thresholds_of_records(connection, 20)["enrolment"] == 20


RAW = Path(PROJECT / "pipelines" / "exports" / "public.yaml")


@pytest.mark.parametrize(
    ("at", "wrong", "told"),
    [
        (["records", "pay", "indicators"], ["gross_enrolment_senior"], "one record"),
        (["records", "pay", "table"], "mart_gross_enrolment", "one record"),
        (["records", "pay", "table"], "mart_new", "to be kept"),
        (["records", "enrolment", "of"], {}, "names each key"),
        (["tables", "mart_teacher_pay_parity", "persons"], ["standard"], "are figures"),
        (["tables", "mart_new"], {"keep": ["area_code"], "figures": ["boarders_n"]}, "without a record"),
        (["internal", "tables"], ["fct_indicator"], "both public and internal"),
        (["tables", "dim_area", "figure"], ["x"], "figure"),
    ],
)
def test_a_declaration_that_would_show_what_nobody_looked_at_is_refused(at: list[str], wrong: object, told: str):
    content = YAML(typ="safe").load(RAW)
    inside = content
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = wrong
    with pytest.raises(ValueError, match=told):
        Declared.model_validate(content)
