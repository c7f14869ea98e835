"""The normal form of the declarations: the tables of schema `declared` that the models read when they run.

Belongs here: their columns, and filling them in one statement each. No model names an indicator, a term or a return's column: what they
compute follows from these rows. An empty text never stands where null is meant.

**indicator**, one row an indicator:
  - `indicator_code`; `family` (the file's family); `template` (the code as the family writes it, `gross_enrolment_$key`: indicators of one
    template are the same thing for other members); `place` (file:line); `sort_order` (order of the families and of what is in them)
  - `shape`: ratio | ratio_of_averages | count | share_of_areas | share_of_units | change | dispersion | quantile | mean_of
  - `layer`: 0 computed from terms; 1 from figures of layer 0 (`indicator_of`); 2 from figures of layer 1
  - `anchor_return`: its expected filings are the parts of the figure; `caliber_kind`: each caliber of the kind gives a figure
    (null: the one caliber `as_reported`, with nothing to choose)
  - `unit`; `factor`: value = quotient × factor (100 for %); `side_factor`: a side's own average is shown × this (100 where sides are
    rates), and a unit of `per` is judged × this
  - `direction`: higher | lower | parity | none
  - `over_year`: `sum` where parts (quarters, months) add up to the calendar year; null: no figure of the year
  - `zero_denominator`: error | not_applicable, what something over 0 is
  - `is_nothing_counted`: a county that has nothing of what role `exists` counts. true: its answer is nothing, it counts and adds nothing.
    false: it has no figure and is named among the missing
  - `per`: the return whose rule `unit` is the grain of share_of_units, dispersion and quantile; null: the county
  - `weighting`: of a dispersion, `units` (by the denominator, the default), `equal`, or `caliber` (member of dimension `weighting`)
  - `quantile`: 0 < q < 1 of a quantile (0.5 the median)
  - `since`: of a change: years before (an integer as text) or `baseline` (policy's table of baselines)
  - `change_as`: difference | reduction_percent; `same_column`: return.column that must be one and the same in both figures
  - `at_least`, `others_share`: of share_of_units and share_of_areas with several `meets`: how many must be met, and what share of its
    standard (0–1) each of the others must reach; null: all, and no matter how far the others fall short
  - `ceiling`: above it the figure is impossible, by the default caliber; null: none
  - `numerator_wording`, `denominator_wording`: the sides in words; null where an indicator has no such side
  - `gap_counted`: what one more of the numerator is; `gap_below`, `gap_above`: how the distance is said, # is the amount
  - `indicator_name`, `indicator_name_en`, `source_document`

**indicator_subject** (indicator_code, dimension, member): what it is about, for screens, export and public declaration (stage 小学,
programme 乡村教师生活补助). Nothing is computed from it.

**indicator_term** (indicator_code, role, wording, term, sign, ordinal): terms in roles; role = Σ sign × term. Roles: numerator,
numerator_base, denominator, denominator_base; `needs`: must be known, adds nothing; `exists`: what there must be for the figure to mean
something (none given: what the numerator counts). `wording`: what the terms of the role are called together, or null.

**indicator_of** (indicator_code, of_code, relation, weight, ordinal): indicators made of indicators. relation `of` (change: the one that
changes; mean_of: the means, with `weight`), `meets` (share_of_areas, share_of_units: those judged by their standard), `among` (only areas
that meet this one are judged).

**term**, one row a term: `term` (unique), `return_code`, `kind`: sum | rows | distinct; `column_name`: the column or measure summed, or
the key counted; `times_column`: further factors, comma between, or null; `period_relation`: null (same kind of period: the same one; a
calendar-year return: the year in which the part begins; a school-year return: the school year in which it ends) or `N 年前` counted back
from there; `absent`: zero | missing, what a filing without a row of it means beside `return_rule`; `shown_column`: to which the trace points
when it is not `column_name`, or null; `label`: its words; `unit`: of its value (人, 元, 人·月; null: not known); `decimal_places` of its value.

**term_filter** (term, dimension, source, value): rows count whose `dimension` is one of: source `member`: the value; `group`: the
members of policy's member_groups of that dimension and group; `caliber`: the caliber's members of dimension `value` in policy's
caliber_members (null: of the same name; `pay_component`: policy's pay_components). Rows of a dimension are alternatives, dimensions all hold.

**return_dimension** (return_code, ordinal, dimension, label, kind, expression, operands, reference): what rows may be chosen by, in the
return's order. kind `column` (expression: the column), `test` (an SQL condition on `operands`, comma between; members 是 and 否),
`reference` (expression: a column of the return `reference`), `measure` (the column itself says the member, see return_measure).

**return_member** (return_code, dimension, member, ordinal): the members that a dimension can have, where they are known.

**return_measure** (return_code, measure, dimension, column_name, member, ordinal): columns that are one measure, and the member each
stands for. A plain column needs no row.

**return_column** (return_code, column_name, label, type, unit, decimal_places, expression, operands, ordinal): the columns of the newest
version, and computed ones: `expression` is SQL over the return's own columns `operands` (comma between); null for what is reported. A row
lacks a computed column where it lacks one of the operands.

**return_reference** (return_code, reference, key_column, periods, unmatched, is_open): how a row finds its row in another return: by
`key_column` (of that name in both), in the first of `periods` (comma between: same | calendar_year | school_year | school_year_starting |
school_year_ending) that has it. `unmatched`: missing | not_counted. `is_open`: it must exist on the row's reference day.

**return_rule** (return_code, rule, dimension, value, words): what else holds of a return. `unit` (value: column), `exists` (value: the
column of the day on which a row ends: a register), `due` (dimension: comma between; value: register | policy, by what rows of a member
must be there; words: # is what is not), `every` (dimension: each member asked for must be there; words), `vintage`, `source` (value:
column), `weight` (value: column by which a model's cells are multiplied), `lacking` (words: # is the number of rows), and of a model that
registers as a return `model` (value: the relation), `based_on` (value: the return on whose filings it rests), `as_asked` (its period is
the asking part's).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

SCHEMA = "declared"

#: Columns of each table, in DuckDB's words.
TABLES: dict[str, str] = {
    "indicator": """indicator_code VARCHAR, family VARCHAR, template VARCHAR, indicator_name VARCHAR, indicator_name_en VARCHAR,
        shape VARCHAR, layer INTEGER, anchor_return VARCHAR, caliber_kind VARCHAR, unit VARCHAR, factor INTEGER,
        side_factor INTEGER, direction VARCHAR, over_year VARCHAR, zero_denominator VARCHAR, is_nothing_counted BOOLEAN,
        per VARCHAR, weighting VARCHAR, quantile DECIMAL(5,4), since VARCHAR, change_as VARCHAR, same_column VARCHAR,
        at_least INTEGER, others_share DECIMAL(9,4), ceiling DECIMAL(18,4), numerator_wording VARCHAR,
        denominator_wording VARCHAR, gap_counted VARCHAR, gap_below VARCHAR, gap_above VARCHAR, source_document VARCHAR,
        sort_order INTEGER, place VARCHAR""",
    "indicator_subject": "indicator_code VARCHAR, dimension VARCHAR, member VARCHAR",
    "indicator_term": """indicator_code VARCHAR, role VARCHAR, wording VARCHAR, term VARCHAR, sign INTEGER,
        ordinal INTEGER""",
    "indicator_of": "indicator_code VARCHAR, of_code VARCHAR, relation VARCHAR, weight DECIMAL(18,6), ordinal INTEGER",
    "term": """term VARCHAR, return_code VARCHAR, kind VARCHAR, column_name VARCHAR, times_column VARCHAR,
        period_relation VARCHAR, absent VARCHAR, shown_column VARCHAR, label VARCHAR, unit VARCHAR,
        decimal_places INTEGER""",
    "term_filter": "term VARCHAR, dimension VARCHAR, source VARCHAR, value VARCHAR",
    "return_dimension": """return_code VARCHAR, ordinal INTEGER, dimension VARCHAR, label VARCHAR, kind VARCHAR,
        expression VARCHAR, operands VARCHAR, reference VARCHAR""",
    "return_member": "return_code VARCHAR, dimension VARCHAR, member VARCHAR, ordinal INTEGER",
    "return_measure": """return_code VARCHAR, measure VARCHAR, dimension VARCHAR, column_name VARCHAR, member VARCHAR,
        ordinal INTEGER""",
    "return_column": """return_code VARCHAR, column_name VARCHAR, label VARCHAR, type VARCHAR, unit VARCHAR,
        decimal_places INTEGER, expression VARCHAR, operands VARCHAR, ordinal INTEGER""",
    "return_reference": """return_code VARCHAR, reference VARCHAR, key_column VARCHAR, periods VARCHAR, unmatched VARCHAR,
        is_open BOOLEAN""",
    "return_rule": "return_code VARCHAR, rule VARCHAR, dimension VARCHAR, value VARCHAR, words VARCHAR",
}

#: What each table holds, and its columns, for the one who looks them up.
DESCRIPTIONS: dict[str, str] = {
    "indicator": "指标：一行一个，由指标声明展开。",
    "indicator_subject": "指标说的是什么（学段、补助项目），供展示、导出和公开；不参与计算。",
    "indicator_term": "指标各角色由哪些项相加减。",
    "indicator_of": "由指标算出的指标：由哪些指标、以何种关系算出。",
    "term": "项：一张报表里的一个数，是哪些列之和、多少行、多少个不重复的键。",
    "term_filter": "项取哪些行：同一维度的各行任一成立，各维度都成立。",
    "return_dimension": "报表的行可按什么筛选。",
    "return_member": "维度有哪些成员。",
    "return_measure": "合成一个指标项的几列，及各列所代表的成员。",
    "return_column": "报表最新版本的列和计算列。",
    "return_reference": "报表的行怎样找到另一张报表的行。",
    "return_rule": "指标从报表取数还要知道的事：单位、登记的终止、必有的行等。",
}
COLUMN_DESCRIPTIONS: dict[str, str] = {
    "indicator_code": "指标代码", "family": "所在的指标族", "template": "声明中的代码（展开前）", "indicator_name": "指标名称",
    "indicator_name_en": "指标英文名", "shape": "算法：ratio、ratio_of_averages、count、share_of_areas、share_of_units、change、dispersion、quantile、mean_of",
    "layer": "层：0 由项算出，1 由 0 层的指标算出，2 由 1 层的指标算出", "anchor_return": "以其应报各期为指标各期的报表",
    "caliber_kind": "口径类别；空为没有可选的口径", "unit": "单位", "factor": "乘数：百分数为 100", "side_factor": "分子、分母自身所乘的数",
    "direction": "方向：higher、lower、parity、none", "over_year": "sum：各季（月）相加为年度数；空为没有年度数",
    "zero_denominator": "分母为 0 而分子不为 0 时：error、not_applicable", "is_nothing_counted": "没有所计事物的县是否计入（加 0）",
    "per": "逐单位计算所据的报表；空为按县", "weighting": "差异系数的加权：units、equal、caliber", "quantile": "分位，0 到 1",
    "since": "变化的起点：几年前，或 baseline（基期）", "change_as": "变化的写法：difference、reduction_percent",
    "same_column": "变化的两端须相同的列（报表.列）", "at_least": "至少几项达标", "others_share": "其余各项至少达到标准的比例",
    "ceiling": "上限；空为没有", "numerator_wording": "分子的文字定义", "denominator_wording": "分母的文字定义",
    "gap_counted": "差距以什么计", "gap_below": "未达标时的说法，# 为数", "gap_above": "超出时的说法，# 为数",
    "source_document": "依据文件", "sort_order": "排列顺序", "place": "声明所在（文件:行）", "dimension": "维度", "member": "成员",
    "role": "角色：numerator、numerator_base、denominator、denominator_base、needs、exists", "wording": "该角色的说法", "term": "项的名称",
    "sign": "正负：1 或 -1", "ordinal": "次序", "of_code": "所据指标", "relation": "关系：of、meets、among", "weight": "权重",
    "return_code": "报表代码", "kind": "种类", "column_name": "列名", "times_column": "所乘的列，几列以逗号相隔",
    "period_relation": "相对于指标的报告期；空为同期", "absent": "没有该行时：zero 为 0，missing 为缺项", "shown_column": "追溯时指向的列",
    "label": "中文名称", "decimal_places": "小数位数", "source": "成员的来源：member、group、caliber", "value": "值",
    "expression": "列名，或计算列、条件的算式（SQL）", "operands": "算式用到的列，以逗号相隔", "reference": "另一张报表", "measure": "指标项",
    "type": "类型", "key_column": "两表相同的键", "periods": "依次查找的报告期", "unmatched": "找不到时：missing 为缺项，not_counted 为不计",
    "is_open": "是否须在基准日存续", "rule": "事项", "words": "缺少时的说法，# 为缺少的",
}  # fmt: skip

Row = dict[str, Any]
#: Table → its rows; a column that a row does not name is null.
Rows = Mapping[str, Iterable[Row]]


def columns_of(table: str) -> dict[str, str]:
    """Names of a table's columns, in order, and their types."""
    parts, depth, start, declared = [], 0, 0, TABLES[table] + ","
    for at, sign in enumerate(declared):  # a comma inside brackets parts nothing
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append(declared[start:at].split())
            start = at + 1
    return {name: "".join(rest) for name, *rest in parts}


def fill_tables(connection: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Make the tables anew with these rows, each in one statement; inserting row by row costs milliseconds a row."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for table, declared in TABLES.items():
        types = columns_of(table)
        given = [{name: row.get(name) for name in types} for row in rows.get(table, ())]
        connection.execute(f"CREATE OR REPLACE TABLE {SCHEMA}.{table} ({declared})")
        connection.execute(
            f"INSERT INTO {SCHEMA}.{table} SELECT unnest(from_json($1::JSON, $2), recursive := true)",
            [json.dumps(given, ensure_ascii=False, default=str), json.dumps([types])],
        )
