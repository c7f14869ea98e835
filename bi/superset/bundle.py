"""The Superset bundle: what its dashboards show, and the YAML that Superset imports.

    python bi/superset/bundle.py write warehouse/xianbao.duckdb        # bi/superset/xianbao/ anew, after a change here or in the views
    python bi/superset/bundle.py zip /srv/xianbao/warehouse/xianbao.duckdb xianbao-superset.zip

Belongs here: which chart shows which columns of schema 指标. Figures do not: a dataset adds to a view only what its charts choose by
(level of the area, newest period, default caliber). UUIDs are made from names, so that a second import replaces the first.
"""

import json
import sys
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

FOLDER = Path(__file__).with_name("xianbao")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "xianbao/superset")
DATABASE = "县报发布库"
SCHEMA = "指标"
CITY, COUNTY = "市", "县（市、区）"

_LEVEL = f'LEFT JOIN (SELECT DISTINCT "地区代码", "层级" FROM "{SCHEMA}"."地区") AS a ON a."地区代码" = v."地区代码"'
_CALIBER = f'LEFT JOIN (SELECT DISTINCT "口径代码", "是否默认口径" FROM "{SCHEMA}"."口径目录") AS k ON k."口径代码" = v."口径代码"'
_NEWEST = 'v."报告期代码" = max(v."报告期代码") OVER () AS "最新一期"'
#: File name → (name in Superset, view whose columns come first, SQL).
DATASETS = {
    "overview": (
        "指标对照（看板）",
        "指标对照",
        # In Superset's Chinese, 指标 is the word for its own metrics: a pivot table needs another name for ours.
        f"""SELECT v.*, v."指标" AS "指标名称", a."层级", i."排列顺序" FROM "{SCHEMA}"."指标对照" AS v {_LEVEL}
LEFT JOIN "{SCHEMA}"."指标目录" AS i ON i."指标代码" = v."指标代码\"""",
    ),
    "gross_enrolment": (
        "毛入学率（看板）",
        "毛入学率",
        f'SELECT v.*, a."层级", k."是否默认口径", {_NEWEST} FROM "{SCHEMA}"."毛入学率" AS v {_LEVEL} {_CALIBER}',
    ),
    "teacher_pay_parity": (
        "教师工资比较（看板）",
        "教师工资比较",
        f"""SELECT v.*, CASE v."是否达标" WHEN true THEN '达标' WHEN false THEN '未达标' ELSE '无数据' END AS "达标情况",
       a."层级", k."是否默认口径", {_NEWEST} FROM "{SCHEMA}"."教师工资比较" AS v {_LEVEL} {_CALIBER}""",
    ),
    "rural_subsidies": (
        "乡村教师补助（看板）",
        "乡村教师补助",
        f"""SELECT v.*, a."层级", p."报告期类型",
       v."报告期代码" = max(v."报告期代码") OVER (PARTITION BY p."报告期类型") AS "最新一期"
FROM "{SCHEMA}"."乡村教师补助" AS v {_LEVEL}
LEFT JOIN "{SCHEMA}"."报告期" AS p ON p."报告期代码" = v."报告期代码\"""",
    ),
    "release": ("发布（看板）", "发布", f'SELECT * FROM "{SCHEMA}"."发布"'),
}


@dataclass(frozen=True)
class Chart:
    """One chart. `where`: column → value, values, or None for any value at all; `metrics`: label → aggregate in SQL; `by`: what the rows or the axis are."""

    name: str
    title: str
    dataset: str
    kind: str
    width: int
    height: int
    by: tuple[str, ...]
    metrics: dict[str, str] = field(default_factory=dict)
    where: dict[str, Any] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    order: tuple[tuple[str, bool], ...] = ()

    @property
    def uuid(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"chart/{self.name}"))


def _mean(column: str) -> str:
    # There is one row behind every mark; max() takes what stands there.
    return f'max("{column}")'


_BARS = {"orientation": "vertical", "x_axis_sort_asc": False, "show_value": True, "y_axis_format": ",.1f"}
#: Dashboard → (title, rows of charts).
DASHBOARDS: dict[str, tuple[str, list[list[Chart]]]] = {
    "overview": (
        "县报·全市一览",
        [
            [
                Chart(
                    "overview_verdicts", "各指标达标的县（市、区）数", "overview", "echarts_timeseries_bar", 6, 50,
                    ("指标",), {"县数": "count(*)"}, {"层级": COUNTY, "达标情况": ["达标", "未达标"]}, ("达标情况",),
                    {"orientation": "horizontal", "stack": "Stack", "show_value": True, "y_axis_format": ",d", "legendOrientation": "top"},
                ),
                Chart(
                    "overview_standards", "有标准的指标：全市值", "overview", "table", 6, 50,
                    ("指标", "单位", "报告期", "指标值", "标准", "达标情况", "数据状态", "计入县数"), {}, {"层级": CITY, "达标情况": ["达标", "未达标"]},
                    order=(("排列顺序", True),),
                ),
            ],
            [
                Chart(
                    "overview_counties", "各县（市、区）有标准的指标", "overview", "pivot_table_v2", 12, 74,
                    ("地区代码", "地区"), {"指标值": _mean("指标值")}, {"达标情况": ["达标", "未达标"]}, ("指标名称",),
                    {"valueFormat": ",.2f"},
                ),
            ],
            [
                Chart(
                    "overview_city", "全市全部指标：本期与上期", "overview", "table", 12, 132,
                    ("指标", "单位", "报告期", "指标值", "上期", "上期指标值", "比上期增减", "达标情况", "数据状态", "计入县数", "应报县数"), {}, {"层级": CITY},
                    order=(("排列顺序", True),),
                ),
            ],
            [
                Chart(
                    "overview_release", "以上数据所属的发布", "release", "table", 12, 20,
                    ("发布编号", "最新版本收到时间", "在用报送件数", "程序版本", "审核规则版本", "模型版本"),
                ),
            ],
        ],
    ),
    "gross_enrolment": (
        "县报·毛入学率",
        [
            [
                Chart(
                    "enrolment_trend", "全市各学段毛入学率（%）", "gross_enrolment", "echarts_timeseries_line", 12, 48,
                    ("报告期代码",), {"毛入学率": _mean("毛入学率")}, {"层级": CITY, "是否默认口径": True}, ("学段",),
                    {"markerEnabled": True, "y_axis_format": ",.1f", "truncateYAxis": True, "y_axis_bounds": [None, None],
                     "x_axis_sort_asc": True, "x_axis_sort": "报告期代码"},
                ),
            ],
            [
                Chart(
                    "enrolment_preschool", "最新学年学前毛入园率（%）：全市与各县", "gross_enrolment", "echarts_timeseries_bar", 6, 50,
                    ("地区",), {"毛入园率": _mean("毛入学率")}, {"学段": "学前", "是否默认口径": True, "最新一期": True},
                    (), {**_BARS, "x_axis_sort": "毛入园率"},
                ),
                Chart(
                    "enrolment_senior", "最新学年高中阶段毛入学率（%）：全市与各县", "gross_enrolment", "echarts_timeseries_bar", 6, 50,
                    ("地区",), {"毛入学率": _mean("毛入学率")}, {"学段": "高中阶段", "是否默认口径": True, "最新一期": True},
                    (), {**_BARS, "x_axis_sort": "毛入学率"},
                ),
            ],
            [
                Chart(
                    "enrolment_counties", "最新学年各学段毛入学率（%）：全市与各县", "gross_enrolment", "pivot_table_v2", 12, 74,
                    ("地区代码", "地区"), {"毛入学率": _mean("毛入学率")}, {"是否默认口径": True, "最新一期": True}, ("学段",),
                    {"valueFormat": ",.2f"},
                ),
            ],
            [
                Chart(
                    "enrolment_terms", "毛入学率的分子与分母：全市", "gross_enrolment", "table", 12, 72,
                    ("报告期", "学段", "在校学生数", "学龄人口", "毛入学率", "数据状态", "计入县数", "应报县数"),
                    {}, {"层级": CITY, "是否默认口径": True}, (), {}, (("报告期", False), ("学段", True)),
                ),
            ],
            [
                Chart(
                    "enrolment_gaps", "最新学年有标准的学段：离标准差多少人", "gross_enrolment", "table", 12, 128,
                    ("学段", "地区代码", "地区", "毛入学率", "毛入学率标准", "毛入学率达标差额人数", "数据状态"),
                    {}, {"是否默认口径": True, "最新一期": True, "毛入学率标准": None}, (), {}, (("学段", True), ("地区代码", True)),
                ),
            ],
        ],
    ),
    "teacher_pay_parity": (
        "县报·教师工资比较",
        [
            [
                Chart(
                    "pay_trend", "全市教师与公务员平均工资之比", "teacher_pay_parity", "echarts_timeseries_line", 6, 50,
                    ("报告期代码",), {"工资之比": _mean("工资之比")}, {"层级": CITY}, ("口径",),
                    {"markerEnabled": True, "show_value": True, "y_axis_format": ",.4f", "truncateYAxis": True, "y_axis_bounds": [None, None],
                     "x_axis_sort_asc": True, "x_axis_sort": "报告期代码"},
                ),
                Chart(
                    "pay_ratio", "最新一年工资之比（默认口径）：全市与各县", "teacher_pay_parity", "echarts_timeseries_bar", 6, 50,
                    ("地区",), {"工资之比": _mean("工资之比")}, {"是否默认口径": True, "最新一期": True}, (),
                    {**_BARS, "y_axis_format": ",.3f", "x_axis_sort": "工资之比"},
                ),
            ],
            [
                Chart(
                    "pay_averages", "最新一年教师与公务员年平均工资（元/人，默认口径）", "teacher_pay_parity", "echarts_timeseries_bar", 12, 50,
                    ("地区",), {"教师": _mean("教师年平均工资"), "公务员": _mean("公务员年平均工资")},
                    {"是否默认口径": True, "最新一期": True}, (),
                    {**_BARS, "show_value": False, "y_axis_format": ",d", "x_axis_sort": "教师"},
                ),
            ],
            [
                Chart(
                    "pay_table", "最新一年工资比较明细", "teacher_pay_parity", "table", 12, 128,
                    ("地区代码", "地区", "口径", "教师年平均工资", "公务员年平均工资", "工资之比", "人均差额", "补足所需资金", "达标情况", "数据状态"),
                    {}, {"最新一期": True}, (), {}, (("地区代码", True), ("口径", True)),
                ),
            ],
        ],
    ),
    "rural_subsidies": (
        "县报·乡村教师补助",
        [
            [
                Chart(
                    "subsidy_quarters", "全市乡村教师生活补助：应发与实发（元），按季", "rural_subsidies", "echarts_timeseries_bar", 12, 50,
                    ("报告期代码",), {"应发": _mean("应发金额"), "实发": _mean("实发金额")},
                    {"层级": CITY, "补助项目": "乡村教师生活补助", "是否合计": True, "报告期类型": "季度"}, (),
                    {"orientation": "vertical", "y_axis_format": ",d", "x_axis_sort_asc": True, "x_axis_sort": "报告期代码"},
                ),
            ],
            [
                Chart(
                    "subsidy_shares", "最新季度生活补助发放率（%）：全市与各县", "rural_subsidies", "echarts_timeseries_bar", 6, 50,
                    ("地区",), {"发放率": _mean("发放率")},
                    {"补助项目": "乡村教师生活补助", "是否合计": True, "报告期类型": "季度", "最新一期": True}, (),
                    {**_BARS, "x_axis_sort": "发放率", "x_axis_sort_asc": True},
                ),
                Chart(
                    "subsidy_monthly", "最新季度人均月实发（元/人·月）：全市与各县", "rural_subsidies", "echarts_timeseries_bar", 6, 50,
                    ("地区",), {"人均月实发": _mean("人均月实发")},
                    {"补助项目": "乡村教师生活补助", "是否合计": True, "报告期类型": "季度", "最新一期": True}, (),
                    {**_BARS, "y_axis_format": ",.0f", "x_axis_sort": "人均月实发"},
                ),
            ],
            [
                Chart(
                    "subsidy_arrears", "最新一年各县生活补助：应发、实发与拖欠", "rural_subsidies", "table", 12, 74,
                    ("地区代码", "地区", "报告期", "应发金额", "实发金额", "拖欠金额", "发放率", "实发人月数", "人均月实发", "数据状态"), {},
                    {"补助项目": "乡村教师生活补助", "是否合计": True, "报告期类型": "年度", "最新一期": True}, (), {},
                    (("地区代码", True),),
                ),
            ],
            [
                Chart(
                    "subsidy_tiers", "最新一年全市各项目、各档次", "rural_subsidies", "table", 12, 40,
                    ("补助项目", "补助档次", "应发金额", "实发金额", "发放率", "人均月实发", "最低月标准", "最高月标准", "规定月标准", "月标准不符行数", "数据状态"),
                    {}, {"层级": CITY, "报告期类型": "年度", "最新一期": True, "是否合计": False}, (), {}, (("补助项目", True), ("补助档次", True)),
                ),
            ],
        ],
    ),
}  # fmt: skip


def _uuid(kind: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


def _metric(chart: Chart, label: str) -> dict[str, Any]:
    return {
        "expressionType": "SQL",
        "sqlExpression": chart.metrics[label],
        "label": label,
        "hasCustomLabel": True,
        "optionName": f"metric_{chart.name}_{list(chart.metrics).index(label)}",
    }


def _filters(chart: Chart) -> list[dict[str, Any]]:
    return [
        {
            "col": column,
            "op": "IS NOT NULL" if value is None else "IN" if isinstance(value, list) else "==",
            "val": value,
        }
        for column, value in chart.where.items()
    ]


_OPERATORS = {"IN": "IN", "==": "EQUALS", "IS NOT NULL": "IS_NOT_NULL"}


#: How a column of a table is written, in d3's words: by how its name ends; the first that fits. Text has none.
NUMBER_FORMATS = {
    ("金额", "资金", "工资", "差额", "月实发", "月标准"): ",.2f",
    ("数", "人口"): ",d",
    ("率",): ".2f",
    ("之比",): ".4f",
    ("值", "增减", "标准"): ",.4~f",
}


def _number_format(column: str) -> str | None:
    return next((d3 for endings, d3 in NUMBER_FORMATS.items() if column.endswith(endings)), None)


def _params(chart: Chart) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "viz_type": chart.kind,
        "adhoc_filters": [
            {
                "expressionType": "SIMPLE", "clause": "WHERE", "subject": one["col"], "operator": one["op"],
                "operatorId": _OPERATORS[one["op"]], "comparator": one["val"],
                "filterOptionName": f"filter_{chart.name}_{number}",
            }
            for number, one in enumerate(_filters(chart))
        ],
        "row_limit": 10000,
    }  # fmt: skip
    metrics = [_metric(chart, label) for label in chart.metrics]
    if chart.kind == "table":
        shown |= {
            "query_mode": "raw",
            "all_columns": list(chart.by),
            "order_by_cols": [json.dumps([column, up], ensure_ascii=False) for column, up in chart.order],
            "server_pagination": False,
            "page_length": 0,
            "show_cell_bars": False,
            "table_timestamp_format": "%Y-%m-%d %H:%M",
            "column_config": {
                column: {"d3NumberFormat": _number_format(column)} for column in chart.by if _number_format(column)
            },
        }
    elif chart.kind == "pivot_table_v2":
        shown |= {
            "groupbyRows": list(chart.by),
            "groupbyColumns": list(chart.series),
            "metrics": metrics,
            "metricsLayout": "COLUMNS",
            "aggregateFunction": "Maximum",
            "rowOrder": "key_a_to_z",
            "colOrder": "key_a_to_z",
        }
    else:
        shown |= {
            "x_axis": chart.by[0],
            "metrics": metrics,
            "groupby": list(chart.series),
            "show_legend": bool(chart.series) or len(metrics) > 1,
            "legendType": "scroll",
            "legendOrientation": "top",
            "rich_tooltip": True,
            "truncate_metric": True,
            "time_grain_sqla": None,
            "xAxisLabelInterval": "0",
            "color_scheme": "supersetColors",
        }
    return shown | chart.options


def _query_context(chart: Chart) -> str:
    """What the chart asks of the database, for those who ask over REST; the pages make their own from the parameters."""
    raw = chart.kind == "table"
    query = {
        "columns": [*chart.by, *chart.series],
        "metrics": None if raw else [_metric(chart, label) for label in chart.metrics],
        "filters": _filters(chart),
        "orderby": [[column, up] for column, up in chart.order],
        "row_limit": 10000,
    }
    context = {
        "datasource": {"id": 0, "type": "table"},  # Superset puts its own id here at import
        "queries": [query],
        "form_data": _params(chart),
        "result_format": "json",
        "result_type": "full",
    }
    return json.dumps(context, ensure_ascii=False)


def _position(title: str, rows: list[list[Chart]]) -> dict[str, Any]:
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
        "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": title}},
        "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": [f"ROW-{n}" for n in range(len(rows))], "parents": ["ROOT_ID"]},
    }  # fmt: skip
    for number, row in enumerate(rows):
        above = ["ROOT_ID", "GRID_ID", f"ROW-{number}"]
        position[f"ROW-{number}"] = {
            "id": f"ROW-{number}", "type": "ROW", "parents": above[:2], "children": [f"CHART-{chart.name}" for chart in row],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }  # fmt: skip
        for chart in row:
            position[f"CHART-{chart.name}"] = {
                "id": f"CHART-{chart.name}", "type": "CHART", "parents": above, "children": [],
                "meta": {"chartId": 0, "uuid": chart.uuid, "sliceName": chart.title, "width": chart.width, "height": chart.height},
            }  # fmt: skip
    return position


def _dataset(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    title, view, sql = DATASETS[name]
    described = dict(
        connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?", [SCHEMA, view]
        ).fetchall()
    )
    columns = connection.execute(f"DESCRIBE {sql}").fetchall()
    return {
        "table_name": title,
        "uuid": _uuid("dataset", name),
        "schema": SCHEMA,
        "sql": sql,
        "database_uuid": _uuid("database", DATABASE),
        "version": "1.0.0",
        "metrics": [{"metric_name": "count", "verbose_name": "行数", "metric_type": "count", "expression": "count(*)"}],
        "columns": [
            {"column_name": column, "type": kind, "description": described.get(column), "groupby": True, "filterable": True, "is_dttm": False}
            for column, kind, *_ in columns
        ],
    }  # fmt: skip


def bundle(published: Path) -> dict[str, Any]:
    """Path in the bundle → content of the YAML file; the columns are those of the published file."""
    files: dict[str, Any] = {
        "metadata.yaml": {"version": "1.0.0", "type": "Dashboard", "timestamp": "2024-01-01T00:00:00+00:00"},
        "databases/xianbao.yaml": {
            "database_name": DATABASE,
            "sqlalchemy_uri": "duckdb:////srv/xianbao/warehouse/xianbao.duckdb?access_mode=read_only",
            "uuid": _uuid("database", DATABASE),
            "expose_in_sqllab": True,
            "allow_ctas": False,
            "allow_cvas": False,
            "allow_dml": False,
            "extra": {"allows_virtual_table_explore": True},
            "version": "1.0.0",
        },
    }
    with duckdb.connect(str(published), read_only=True) as connection:
        files |= {f"datasets/xianbao/{name}.yaml": _dataset(connection, name) for name in DATASETS}
    for name, (title, rows) in DASHBOARDS.items():
        for chart in (chart for row in rows for chart in row):
            files[f"charts/{chart.name}.yaml"] = {
                "slice_name": chart.title,
                "uuid": chart.uuid,
                "viz_type": chart.kind,
                "params": _params(chart),
                "query_context": _query_context(chart),
                "dataset_uuid": _uuid("dataset", chart.dataset),
                "version": "1.0.0",
            }
        files[f"dashboards/{name}.yaml"] = {
            "dashboard_title": title,
            "uuid": _uuid("dashboard", name),
            "slug": f"xianbao-{name.replace('_', '-')}",
            "published": True,
            "position": _position(title, rows),
            "metadata": {"cross_filters_enabled": True, "refresh_frequency": 0, "color_scheme": "supersetColors"},
            "version": "1.0.0",
        }
    return files


def write(published: Path, folder: Path = FOLDER) -> None:
    """The bundle as files."""
    yaml = YAML()
    yaml.width = 130
    for path, content in bundle(published).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)


def zip_bundle(published: Path, out: Path, folder: Path = FOLDER) -> None:
    """The bundle as Superset imports it, with the place of the published file on Superset's machine."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            text = text.replace("/srv/xianbao/warehouse/xianbao.duckdb", published.as_posix())
            archive.writestr(f"xianbao/{path.relative_to(folder).as_posix()}", text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", file]:
            write(Path(file))
        case ["zip", file, out]:
            zip_bundle(Path(file), Path(out))
        case _:
            sys.exit(__doc__)
