"""Comparisons of releases as tables that a BI tool can open: `warehouse/xianbao_changes.duckdb`.

Belongs here: their columns, rows and the file. What changed and why is found by `changes`. The file lies beside the published one,
which is a function of `raw/` alone; which releases somebody compared is not.
"""

from dataclasses import astuple
from pathlib import Path

import duckdb

from pipelines.files import folder_aside, sync_folder
from pipelines.home import Home
from pipelines.releases.changes import CAUSE_LABELS, CAUSES, Changes, Step, residual
from pipelines.releases.presentation import create_described_table
from pipelines.releases.publish import STORAGE_VERSION
from pipelines.warehouse.build_database import insert_rows

#: The tables in which comparisons are kept: column → (type, what it holds).
_PAIR = {"release_before": ("VARCHAR", "较早的发布编号"), "release_after": ("VARCHAR", "较晚的发布编号")}
_FIGURE = {
    "indicator_code": ("VARCHAR", "指标代码"),
    "caliber_id": ("VARCHAR", "口径"),
    "period": ("VARCHAR", "报告期"),
    "area_code": ("VARCHAR", "地区代码"),
}
_TERMS = {
    name: ("DECIMAL(38, 2)", text)
    for name, text in (
        ("numerator_before", "此前分子合计（人、元或个）"),
        ("numerator_after", "此后分子合计（人、元或个）"),
        ("denominator_before", "此前分母合计（人、元或个）"),
        ("denominator_after", "此后分母合计（人、元或个）"),
    )
}
_CHANGE = {
    **_PAIR,
    **_FIGURE,
    "step_n": ("INTEGER", "第几步替换；0 为整个变动，99 为余数"),
    "cause": ("VARCHAR", "原因代码：total、filings、population、calibers、counties、residual"),
    "cause_label": ("VARCHAR", "原因"),
    "value_before": ("DECIMAL(38, 4)", "此前数值（单位见指标）；不予公布的为空"),
    "value_after": ("DECIMAL(38, 4)", "此后数值（单位见指标）；不予公布的为空"),
    "contribution": ("DECIMAL(38, 4)", "影响（单位见指标）：此后减此前；一方为空则为空"),
    **_TERMS,
    "status_before": ("VARCHAR", "此前数据状态；absent 为没有这个数"),
    "status_after": ("VARCHAR", "此后数据状态；absent 为没有这个数"),
}
_INPUT_TEXTS = {
    "return_code": "报表",
    "county_code": "县区代码",
    "period": "报告期",
    "change": "变动：changed 单元格、row_added 增加的行、row_removed 删去的行、filing_added 新报、filing_removed 不再采用、"
    "not_comparable 不能比较",
    "submission_before": "此前采用的报送件编号",
    "submission_after": "此后采用的报送件编号",
    "subject": "行的主键",
    "row_label": "行名",
    "column_label": "列名",
    "cell_before": "此前单元格",
    "cell_after": "此后单元格",
    "text_before": "此前的内容",
    "text_after": "此后的内容",
    "difference": "差额",
    "indicators": "计入该单元格的指标代码",
}
TABLES = {
    "mart_change": (
        "粒度：较早发布 × 较晚发布 × 指标 × 口径 × 报告期 × 地区 × 步。两个发布之间每个变动了的数及其原因：依次替换报送数据、人口数、口径、"
        "县区，每次一项，影响为替换前后之差；余数为模型、规则或程序的变动。",
        _CHANGE,
    ),
    "mart_change_input": (
        "粒度：较早发布 × 较晚发布 × 报表 × 县区 × 报告期 × 单元格。两个发布之间改动的单元格，以及计入它的指标。",
        {**_PAIR, **{name: ("VARCHAR", text) for name, text in _INPUT_TEXTS.items()}},
    ),
}


def change_rows(changes: Changes) -> list[tuple[object, ...]]:
    """The rows of `mart_change`: for each figure the whole change, its steps and the residual where it is not 0."""
    rows: list[tuple[object, ...]] = []
    pair = (changes.before.release_id, changes.after.release_id)
    for figure in changes.figures:
        key = (*pair, figure.indicator_code, figure.caliber_id, figure.period, figure.area_code)
        whole = Step("total", figure.before, figure.after)
        rows.append((*key, 0, "total", "合计", *_moved(whole)))
        rows += [
            (*key, CAUSES.index(step.cause) + 1, step.cause, CAUSE_LABELS[step.cause], *_moved(step))
            for step in figure.steps
        ]
        left = residual(figure)
        if left != 0:
            rows.append((*key, 99, "residual", CAUSE_LABELS["residual"], None, None, left, *[None] * 6))
    return rows


def _moved(step: Step) -> tuple[object, ...]:
    before, after = step.before, step.after
    return (before.value, after.value, step.contribution, before.numerator, after.numerator, before.denominator,
            after.denominator, before.status, after.status)  # fmt: skip


def input_rows(changes: Changes) -> list[tuple[object, ...]]:
    """The rows of `mart_change_input`."""
    pair = (changes.before.release_id, changes.after.release_id)
    return [(*pair, *astuple(one)) for one in changes.inputs]


def keep_changes(home: Home, changes: Changes) -> Path:
    """Put a comparison into `warehouse/xianbao_changes.duckdb`, in place of an earlier one of the same two releases.

    The file is replaced as a whole, so that no reader is ever locked out.
    """
    target = home.comparisons
    pair = [changes.before.release_id, changes.after.release_id]
    content = {"mart_change": change_rows(changes), "mart_change_input": input_rows(changes)}
    with home.writing(), folder_aside(home.warehouse) as folder:
        aside = folder / target.name
        with duckdb.connect() as connection:
            if target.exists():
                connection.execute(f"ATTACH '{_sql(target)}' AS earlier (READ_ONLY)")
            connection.execute(f"ATTACH '{_sql(aside)}' AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute("CREATE SCHEMA made.marts")
            for table, (comment, columns) in TABLES.items():
                create_described_table(connection, f"made.marts.{table}", columns, comment)
                if target.exists():
                    connection.execute(
                        f"""INSERT INTO made.marts.{table} BY NAME SELECT * FROM earlier.marts.{table}
                                WHERE (release_before, release_after) <> (?, ?)""",
                        pair,
                    )
                insert_rows(connection, f"made.marts.{table}", content[table])
        aside.chmod(0o444)
        aside.replace(target)
        sync_folder(target.parent)
    return target


def _sql(path: Path) -> str:
    return str(path).replace("'", "''")
