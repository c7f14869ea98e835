"""One term a thing, in everything that a county or the bureau reads."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A word that is not used → the word that is.
REPLACED = {"疑问": "核实", "待核实": "核实（作谓语时：须核实）", "未通过": "未接收", "通过审核": "已接收"}
READ_BY_PEOPLE = [
    ROOT / "README.md",
    *sorted((ROOT / "expectations").glob("*.json")),
    *sorted((ROOT / "pipelines").rglob("*.py")),
    *sorted((ROOT / "pipelines").rglob("*.yaml")),
    *sorted((ROOT / "dbt_project" / "models").rglob("*.*")),
    *sorted((ROOT / "dbt_project" / "macros").rglob("*.sql")),
    *sorted((ROOT / "dbt_project" / "seeds").rglob("*.*")),
    *sorted((ROOT / "pipelines").rglob("*.csv")),
]


@pytest.mark.parametrize("word", REPLACED)
def test_a_thing_has_one_name(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in READ_BY_PEOPLE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word in line
    ]
    assert not found, f"say {REPLACED[word]} for {word}:\n" + "\n".join(found)
