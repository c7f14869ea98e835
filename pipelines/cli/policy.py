"""`xianbao policy`: checking the policy of a home, and showing what is in force with where each row comes from.

Belongs here: words and tables. What policy is and what may be wrong with it is `pipelines.policy`.
"""

from pathlib import Path

from pipelines.cli.terminal import console, county_text, new_table, refuse, say, tell
from pipelines.home import Home
from pipelines.policy.in_force import InForce, in_chinese, policy_in_force
from pipelines.policy.rows import PolicyRow
from pipelines.policy.tables import policy_tables

#: Told in one column.
_TOGETHER = frozenset(["document_number", "document_title", "issuer", "document_date", "is_sample", "remark"])


def check_policy(home: Home) -> None:
    """Say that the policy is in order, how much of it is the home's own and how much is a sample. Raises PolicyError."""
    in_force = policy_in_force(home)
    own = sum(row.is_home for rows in in_force.rows.values() for row in rows)
    every = sum(map(len, in_force.rows.values()))
    tell(
        say(f"政策表没有错误：现行 {every} 行，本市的 {own} 行，默认的 {every - own} 行。",
            f"The policy is in order: {every} rows in force, {own} of this home, {every - own} shipped.")
    )  # fmt: skip
    if told := samples_told(in_force):
        tell(told)


def samples_told(in_force: InForce) -> str:
    """Which of what is in force is a sample, in words; blank where nothing is."""
    samples = in_force.samples()
    if not samples:
        return ""
    titles = "、".join(f"{title} {number} 行" for title, number in samples.items())
    return say(f"其中是示例的：{titles}。请换成本市的正式文件。",
               f"Samples among them: {', '.join(f'{name} {number}' for name, number in samples.items())}.")  # fmt: skip


def show_policy(home: Home, which: str | None) -> None:
    """Every table, or the rows of one with the place that each comes from. Raises PolicyError."""
    in_force = policy_in_force(home)
    tables = policy_tables()
    if which is None:
        _show_tables(in_force)
        return
    name = next((name for name, table in tables.items() if which in (name, f"{name}.csv", table.title)), None)
    if name is None:
        refuse(say(f"没有“{which}”这张表。有：{'、'.join(f'{one.title}（{key}）' for key, one in tables.items())}",
                   f"No table {which}. There are: {', '.join(tables)}"))  # fmt: skip
    table = tables[name]
    rows = in_force.rows[name]
    shown = [
        column for column in table.columns
        if column not in _TOGETHER and any(row.values[column] is not None for row in rows)
    ]  # fmt: skip
    headings = [say(table.columns[column].label, column) for column in shown]
    headings += [say("依据", "document"), say("示例", "sample"), say("出处", "from")]
    title = say(f"{table.title}（{name}）", f"{name}: {table.en}")
    grid = new_table(title, *((heading, "left") for heading in headings))
    for row in rows:
        cells = [in_chinese(table.columns[column], row.values[column]) for column in shown]
        cells += [_document(row), say("示例", "sample") if row.values["is_sample"] else "", place(row)]
        grid.add_row(*map(county_text, cells))
    console.print(grid)


def _document(row: PolicyRow) -> str:
    """What a row rests on, the remark behind it."""
    said = [row.values["document_number"] or row.values["document_title"], row.values["remark"]]
    return "；".join(str(one) for one in dict.fromkeys(said) if one)


def _show_tables(in_force: InForce) -> None:
    grid = new_table(
        say("现行的政策", "The policy in force"),
        (say("表", "table"), "left"), (say("文件", "file"), "left"), (say("现行行数", "rows"), "right"),
        (say("本市的", "of this home"), "right"), (say("示例", "samples"), "right"),
    )  # fmt: skip
    for name, table in policy_tables().items():
        rows = in_force.rows[name]
        own, samples = sum(row.is_home for row in rows), sum(row.values["is_sample"] is True for row in rows)
        grid.add_row(say(table.title, table.en), f"{name}.csv", str(len(rows)), str(own or ""), str(samples or ""))
    console.print(grid)


def place(row: PolicyRow) -> str:
    """Where a row stands."""
    where = f"{Path(row.file).name}:{row.line}"
    return say(f"本市 {where}", f"home {where}") if row.is_home else say(f"默认 {where}", f"default {where}")
