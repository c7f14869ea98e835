"""The tables that the commands print, each one query on the published file."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

from pipelines.cli.terminal import console, county_text, figure, new_table, query, refuse, say, tell, whole_or_cents
from pipelines.home import Home
from pipelines.releases.labels import labels
from pipelines.returns import current_definitions
from pipelines.screening.reference import CENSUS, CENSUS_YEAR
from pipelines.screening.rules import OUTCOMES
from pipelines.screening.screen import Screening
from pipelines.warehouse.quotient import quotient

#: Colours of codes; their wordings are those of the published file (`labels.yaml`).
_COLOURS = {
    "outcome": {"error": "red", "query": "yellow", "info": "blue"},
    "status": {
        "complete": "green",
        "partial": "yellow",
        "implausible": "red",
        "withheld": "red",
        "not_applicable": "dim",
        "error": "red",
        "no_base": "dim",
        "not_comparable": "dim",
        "undefined": "dim",
        "not_rolled_up": "dim",
    },
    "verdict": {"accepted": "green", "accepted_with_queries": "yellow", "rejected": "red"},
}


def worded(column: str, code: str) -> str:
    """A code of a published column (`status`, `outcome`, `verdict`) as the published file words it; in English the code."""
    return say(labels().values[column].get(code, code), code)


def _words(column: str, code: str) -> Text:
    return Text(worded(column, code), style=_COLOURS[column].get(code, ""))


def show_municipal(home: Home) -> None:
    """The city's indicators for their newest period, the published figure beside each."""
    rows = query(
        home,
        """SELECT fact.*, indicator.indicator_name, indicator.indicator_name_en, indicator.factor, indicator.direction, indicator.shape,
                  period.period_label, published.published_value
           FROM marts.fct_indicator AS fact
           JOIN marts.dim_indicator AS indicator USING (indicator_code)
           JOIN marts.dim_caliber AS caliber ON fact.caliber_id = caliber.caliber_id AND caliber.is_default
           JOIN marts.dim_area AS area ON fact.area_code = area.area_code AND area.area_level = 'city'
           JOIN marts.dim_period AS period ON fact.period = period.period
           LEFT JOIN marts.mart_published_comparison AS published
               ON fact.indicator_code = published.indicator_code AND fact.caliber_id = published.caliber_id
               AND fact.period = published.period AND fact.area_code = published.area_code
           WHERE NOT (indicator.indicator_code LIKE '%_female' OR indicator.indicator_code LIKE '%_male')
           -- A year and its last quarter end on one day: the year, unless it is withheld.
           QUALIFY row_number() OVER (
               PARTITION BY fact.indicator_code, fact.caliber_id
               ORDER BY period.period_end DESC, fact.status = 'withheld', period.period_start
           ) = 1
           ORDER BY indicator.sort_order""",
    )
    city = query(home, "SELECT area_name FROM marts.dim_area WHERE area_level = 'city'").item(0, 0)
    table = new_table(
        say(f"{city}：市级指标（最近一期，默认口径）", f"{city}: municipal indicators (newest period, default caliber)"),
        (say("指标", "Indicator"), "left"), (say("报告期", "Period"), "left"), (say("数值", "Value"), "right"),
        (say("分子 ÷ 分母", "Numerator ÷ denominator"), "right"), (say("覆盖", "Coverage"), "right"),
        (say("状态", "Status"), "left"), (say("核实", "Queries"), "right"), (say("已公布", "Published"), "right"),
    )  # fmt: skip
    for row in rows.iter_rows(named=True):
        table.add_row(
            say(row["indicator_name"], row["indicator_name_en"]),
            say(row["period_label"], row["period"]),
            f"{whole_or_cents(_value(row)) if row['shape'] == 'count' else figure(_value(row))} {row['unit']}",
            _sides(row),
            f"{row['coverage_n']}/{row['expected_n']}",
            _words("status", row["status"]) + _sample(row),
            str(row["open_queries_n"] or ""),
            "" if row["published_value"] is None else figure(row["published_value"], 1),
        )
    console.print(table)
    if missing := _missing(rows["missing_areas"]):
        tell(say("缺数的县区：", "Counties without figures: ") + missing)
    _tell_queries(rows.to_dicts())
    _tell_samples(rows.to_dicts())


def _sample(row: dict[str, Any]) -> Text:
    """A mark at a figure that goes by a sample."""
    return Text(say(" 示例", " sample"), style="yellow") if row["policy_is_sample"] else Text("")


def _tell_samples(rows: list[dict[str, Any]]) -> None:
    if any(row["policy_is_sample"] or row["standard_is_sample"] for row in rows):
        tell(say("标“示例”的，所依据的口径或标准不是本市的正式文件，不能对外引用；见 xianbao policy show。",
                 "Marked sample: the caliber or standard behind it is no document of the city's; see xianbao policy show."))  # fmt: skip


def _value(row: dict[str, Any]) -> Decimal | None:
    """The figure at the two decimals that a table has room for, rounded once, from its terms where it is their quotient."""
    if row["value"] is None:
        return None
    if row["shape"] in ("count", "change", "dispersion", "quantile"):
        return quotient(row["value"], None, 1, None, places=2)
    terms = (row[f"{side}_sum"] for side in ("numerator", "numerator_base", "denominator", "denominator_base"))
    return quotient(*terms, factor=row["factor"], places=2)


def _sides(row: dict[str, Any]) -> str:
    """What the figure is made of: a quotient, what it has come from and to, or one number."""
    if row["shape"] == "count":
        return _side(row, "numerator")
    return f"{_side(row, 'numerator')} {'−' if row['shape'] == 'change' else '÷'} {_side(row, 'denominator')}"


def _side(row: dict[str, Any], side: str) -> str:
    """One side of the figure: a sum as it stands, an average (of a parity index a rate in per cent) rounded once."""
    total, base = row[f"{side}_sum"], row[f"{side}_base_sum"]
    if base is None:
        return whole_or_cents(total)
    return whole_or_cents(
        quotient(total, None, base, None, factor=100 if row["direction"] == "parity" else 1, places=2)
    )


def _missing(lists: Iterable[str]) -> str:
    """The counties that some figure leaves out, each once with all its reasons."""
    reasons: dict[str, list[str]] = {}
    for named in (one for text in lists if text for one in text.split("、")):
        county, _, reason = named.partition("（")
        found = reasons.setdefault(county, [])
        if reason and (reason := reason.removesuffix("）")) not in found:
            found.append(reason)
    return "、".join(
        f"{county}（{'；'.join(found)}）" if found else county for county, found in sorted(reasons.items())
    )


def _tell_queries(rows: list[dict[str, Any]]) -> None:
    """The heaviest open query of each figure that has one, each once; figures of one return mostly share it."""
    told = {row["heaviest_query"]: row for row in rows if row["open_queries_n"]}
    for message, row in told.items():
        tell(say("核实中：", "Open query: ") + f"{message}  {row['heaviest_rule_id']}")


def show_places(home: Home) -> None:
    """Where the published file, the findings and the receipts lie."""
    counts = dict(query(home, "SELECT outcome, count(*) FROM marts.mart_finding GROUP BY ALL ORDER BY ALL").iter_rows())
    said = "，".join(f"{worded('outcome', key)} {number}" for key, number in counts.items())
    release = query(home, "SELECT release_id FROM marts.release").item(0, 0)
    tell(say(f"指标库：{home.published}（发布 {release}）", f"Published file: {home.published} (release {release})"))
    tell(say(f"审核问题：marts.mart_finding（{said or '无'}），查看：xianbao findings",
                      f"Findings: marts.mart_finding ({said or 'none'}); see xianbao findings"))  # fmt: skip
    tell(say(f"回执与标注工作簿：{home.outbox}", f"Receipts and annotated workbooks: {home.outbox}"))


def show_example(home: Home) -> None:
    """What a county gets back for a file with slips, where the sample has written such an example."""
    example = next(iter(sorted((home.root / "examples").glob("标注_*.xlsx"))), None)
    if example is not None:
        tell(say(f"县区的文件有差错时发回什么：{example}（示例，不计入指标）",
                 f"What a county gets back for a faulty file: {example} (an example, in no figure)"))  # fmt: skip


def show_status(home: Home, period: str | None) -> None:
    """Counties × returns for one period, or for each return's newest."""
    rows = query(
        home,
        """SELECT status.* FROM marts.mart_submission_status AS status
           WHERE ($1 IS NOT NULL AND period = $1)
              OR ($1 IS NULL AND (return_code, period) IN (
                  SELECT (return_code, max_by(period, due_on)) FROM marts.mart_submission_status GROUP BY return_code))""",
        [period],
    )
    if rows.is_empty():
        known = query(home, "SELECT period FROM marts.dim_period ORDER BY period_start")["period"].to_list()
        refuse(say(f"没有报告期 {period}。可选：{'、'.join(known)}", f"No period {period}. Known: {', '.join(known)}"))
    forms = [(code, defined) for code, defined in current_definitions().items() if code in set(rows["return_code"])]
    periods = dict(rows.select("return_code", "period_label").unique().iter_rows())
    table = new_table(
        say("报送情况", "Submissions"),
        (say("县区", "County"), "left"),
        *(
            (f"{defined.form} {say(defined.title, defined.title_en)}\n{periods[code]}", "left")
            for code, defined in forms
        ),
    )
    cells = {(row["county_code"], row["return_code"]): row for row in rows.iter_rows(named=True)}
    counties = query(
        home,
        "SELECT area_code, area_name, area_name_en FROM marts.dim_area WHERE area_level = 'county' ORDER BY sort_order",
    )
    for code, name, name_en in counties.iter_rows():
        table.add_row(say(name, name_en), *(_filing_cell(cells.get((code, form))) for form, _ in forms))
    console.print(table)
    expected, in_force = rows.height, rows["in_force_submission_id"].is_not_null().sum()
    tell(say(f"应报 {expected}，有效 {in_force}。", f"{expected} expected, {in_force} in force."))
    # A county whose files cannot be read has not sent nothing.
    for code, problem in query(
        home,
        """SELECT DISTINCT county_code, source_problem FROM marts.mart_submission_status
           WHERE source_problem IS NOT NULL ORDER BY ALL""",
    ).iter_rows():
        name = next((say(one, english) for known, one, english in counties.iter_rows() if known == code), code)
        tell(say(f"来源读不出来：{name}：{problem}", f"Source could not be read: {name}: {problem}"))


def _filing_cell(row: dict[str, Any] | None) -> Text:
    if row is None:
        return Text(say("不报", "not due"), style="dim")
    if row["state"] == "pending":
        return Text(say("未到期", "not yet due"), style="dim")
    if not row["is_received"]:
        unread = say("（来源读不出来）", " (source unreadable)") if row["source_problem"] else ""
        return Text(say("未报", "missing") + unread, style="red")
    late = (
        ""
        if row["is_on_time"] or not row["days_late"]
        else say(f" 迟 {row['days_late']} 天", f" {row['days_late']} d late")
    )
    if row["state"] in ("returned", "in_force_newer_returned"):
        kept = say("，旧版有效", ", earlier in force") if row["in_force_submission_id"] else ""
        return Text(say("市局退回", "returned") + kept + late, style="red")
    if row["newest_is_locked_out"]:
        kept = say("，旧版有效", ", earlier in force") if row["in_force_submission_id"] else ""
        return Text(say("锁定后报送，未接收", "sent after the lock") + kept + late, style="red")
    if row["open_errors_n"]:
        kept = say("，旧版有效", ", earlier in force") if row["in_force_submission_id"] else ""
        return Text(say("未接收", "rejected") + f" {row['open_errors_n']}" + kept + late, style="red")
    if row["open_queries_n"]:
        return Text(say("核实", "queries") + f" {row['open_queries_n']}" + late, style="yellow")
    ruled = say("，已审定", ", accepted") if row["bureau_decision"] == "accepted" else ""
    locked = say("，已锁定", ", locked") if row["is_locked"] else ""
    return Text(say("有效", "in force") + ruled + locked + late, style="yellow" if late else "green")


def show_findings(
    home: Home, *, county: str | None, return_code: str | None, period: str | None, outcome: str | None, limit: int
) -> None:
    """The findings that stand, gravest first, with a summary by rule above; a filter that names nothing known is refused."""
    areas = query(
        home, "SELECT area_code, area_name FROM marts.dim_area WHERE area_level = 'county' ORDER BY sort_order"
    )
    periods = query(home, "SELECT period FROM marts.dim_period ORDER BY period_start")["period"].to_list()
    _among(county, [name for row in areas.iter_rows() for name in row], areas["area_name"].to_list())
    _among(return_code, [*current_definitions(), CENSUS], [*current_definitions()])
    _among(period, [*periods, str(CENSUS_YEAR)], periods)
    _among(outcome, list(OUTCOMES), list(OUTCOMES))
    rows = query(
        home,
        """SELECT * FROM marts.mart_finding
           WHERE ($1 IS NULL OR county_code = $1 OR county_name = $1) AND ($2 IS NULL OR return_code = $2)
             AND ($3 IS NULL OR period = $3) AND ($4 IS NULL OR outcome = $4)
           ORDER BY CASE outcome WHEN 'error' THEN 1 WHEN 'query' THEN 2 ELSE 3 END, county_code, file_name, sheet,
                    source_row, cell, rule_id""",
        [county, return_code, period, outcome],
    )
    if rows.is_empty():
        tell(say("没有审核问题。", "No findings."))
        return
    summary = new_table(say("按规则汇总", "By rule"), (say("规则", "Rule"), "left"), (say("等级", "Outcome"), "left"),
                        (say("条数", "Findings"), "right"))  # fmt: skip
    for rule_id, kind, number in rows.group_by("rule_id", "outcome", maintain_order=True).len().iter_rows():
        summary.add_row(rule_id, _words("outcome", kind), str(number))
    console.print(summary)
    console.print(_findings_table(rows.head(limit).iter_rows(named=True)))
    if rows.height > limit:
        tell(
            say(
                f"共 {rows.height} 条，显示前 {limit} 条（--limit）。",
                f"{rows.height} findings, first {limit} shown (--limit).",
            )
        )


def show_finding_counts(home: Home) -> None:
    """How many findings stand a county and period, over all returns: what the counties are bothered with."""
    counted = query(
        home,
        """SELECT county.area_name, count(DISTINCT filing.return_code || filing.period) FILTER (
                      WHERE filing.in_force_submission_id IS NOT NULL) AS filings_n,
                  any_value(found.errors_n) AS errors_n, any_value(found.queries_n) AS queries_n,
                  any_value(found.infos_n) AS infos_n, any_value(found.most_n) AS most_n
           FROM marts.dim_area AS county
           LEFT JOIN marts.mart_submission_status AS filing ON county.area_code = filing.county_code
           LEFT JOIN (
               SELECT county_code, sum(errors_n) AS errors_n, sum(queries_n) AS queries_n, sum(infos_n) AS infos_n,
                      max(queries_n) AS most_n
               FROM (SELECT county_code, period, count(*) FILTER (WHERE outcome = 'error') AS errors_n,
                            count(*) FILTER (WHERE outcome = 'query') AS queries_n,
                            count(*) FILTER (WHERE outcome = 'info') AS infos_n
                     FROM marts.mart_finding GROUP BY ALL)
               GROUP BY county_code
           ) AS found ON county.area_code = found.county_code
           WHERE county.area_level = 'county'
           GROUP BY county.area_code, county.area_name, county.sort_order ORDER BY county.sort_order""",
    )
    table = new_table(
        say("各县区的审核问题", "Findings by county"), (say("县区", "County"), "left"), (say("报送", "Filings"), "right"),
        (say("错误", "Errors"), "right"), (say("核实", "Queries"), "right"), (say("提示", "Infos"), "right"),
        (say("每期最多核实", "Most queries a period"), "right"),
    )  # fmt: skip
    for name, *numbers in counted.iter_rows():
        table.add_row(name, *(str(number or 0) for number in numbers))
    console.print(table)
    filings_n, errors_n, queries_n, infos_n = (int(counted[name].fill_null(0).sum()) for name in counted.columns[1:5])
    most_n = int(counted["most_n"].fill_null(0).max() or 0)  # type: ignore[arg-type]
    tell(
        say(f"{filings_n} 件报表：错误 {errors_n} 条，核实 {queries_n} 条，提示 {infos_n} 条；一县一期最多核实 {most_n} 条。",
            f"{filings_n} filings: {errors_n} errors, {queries_n} queries, {infos_n} infos; at most {most_n} queries a county "
            "and period.")
    )  # fmt: skip


def _among(chosen: str | None, known: list[str], shown: list[str]) -> None:
    if chosen is not None and chosen not in known:
        refuse(say(f"没有“{chosen}”。可选：{'、'.join(shown)}", f"No {chosen}. Known: {', '.join(shown)}"))


def _findings_table(rows: Iterable[dict[str, Any]]) -> Table:
    table = new_table(
        say("审核问题", "Findings"), (say("等级", "Outcome"), "left"), (say("文件", "File"), "left"),
        (say("位置", "Place"), "left"), (say("表/行/列", "Form/row/column"), "left"), (say("问题", "Finding"), "left"),
        (say("怎么改", "Remedy"), "left"),
    )  # fmt: skip
    for row in rows:
        place = "!".join(part for part in (row["sheet"], row["cell"]) if part)
        labels = " / ".join(part for part in (row["form_label"], row["row_label"], row["column_label"]) if part)
        table.add_row(
            _words("outcome", row["outcome"]), county_text(row["file_name"]), county_text(place), county_text(labels),
            Text(f"{row['message']}\n", end="") + Text(row["rule_id"], style="dim"), county_text(row["remedy"]),
        )  # fmt: skip
    return table


def _shown(row: dict[str, Any]) -> str:
    """A figure to four places; what is only counted as it was counted."""
    return whole_or_cents(row["value"]) if row["shape"] == "count" else figure(row["value"], 4)


def show_indicator(home: Home, indicator: str, period: str | None, caliber: str | None) -> None:
    """One indicator for the city and each county, with its terms and the worked formula of the city."""
    known = query(home, "SELECT indicator_code, indicator_name FROM marts.dim_indicator ORDER BY sort_order")
    codes = {code for code, name in known.iter_rows() if indicator in (code, name)}
    if not codes:
        listed = "\n".join(f"  {code}  {name}" for code, name in known.iter_rows())
        refuse(say(f"没有指标“{indicator}”。可选：\n{listed}", f"No indicator {indicator}. Known:\n{listed}"))
    code = codes.pop()
    rows = query(
        home,
        """SELECT fact.*, area.area_name, area.area_name_en, area.area_level, indicator.indicator_name,
                  indicator.numerator_wording, indicator.denominator_wording, indicator.direction, indicator.shape,
                  caliber.caliber_name, period.period_label,
                  gap.gap_wording, gap.met_in_year
           FROM marts.fct_indicator AS fact
           LEFT JOIN marts.mart_gap AS gap
               ON fact.indicator_code = gap.indicator_code AND fact.caliber_id = gap.caliber_id
               AND fact.period = gap.period AND fact.area_code = gap.area_code
           JOIN marts.dim_area AS area ON fact.area_code = area.area_code
           JOIN marts.dim_indicator AS indicator ON fact.indicator_code = indicator.indicator_code
           JOIN marts.dim_caliber AS caliber ON fact.caliber_id = caliber.caliber_id
           JOIN marts.dim_period AS period ON fact.period = period.period
           WHERE fact.indicator_code = $1 AND (($2 IS NULL AND caliber.is_default) OR fact.caliber_id = $2)
             AND ($3 IS NULL OR fact.period = $3)
           QUALIFY dense_rank() OVER (ORDER BY period.period_end DESC, period.period_start) = 1
           ORDER BY area.area_level = 'county', area.sort_order""",
        [code, caliber, period],
    )
    if rows.is_empty():
        refuse(say("没有这个报告期或口径的数。", "No figures for this period or caliber."))
    first = rows.row(0, named=True)
    table = new_table(
        f"{first['indicator_name']} · {first['period_label']} · {first['caliber_name']}",
        (say("地区", "Area"), "left"), (say("数值", "Value"), "right"), (say("分子", "Numerator"), "right"),
        (say("分母", "Denominator"), "right"), (say("标准", "Standard"), "right"), (say("覆盖", "Coverage"), "right"),
        (say("状态", "Status"), "left"), (say("核实", "Queries"), "right"),
        *([(say("离标准", "Gap to standard"), "left")] if first["gap_wording"] else []),
    )  # fmt: skip
    for row in rows.iter_rows(named=True):
        table.add_row(
            say(row["area_name"], row["area_name_en"]), f"{_shown(row)} {row['unit']}",
            _side(row, "numerator"), _side(row, "denominator"),
            _standard(row), f"{row['coverage_n']}/{row['expected_n']}", _words("status", row["status"]) + _sample(row),
            str(row["open_queries_n"] or ""),
            *([_gap_words(row)] if first["gap_wording"] else []),
        )  # fmt: skip
    console.print(table)
    for side, words in (("numerator", say("分子：", "Numerator: ")), ("denominator", say("分母：", "Denominator: "))):
        if first[f"{side}_wording"]:  # what is only counted has no denominator, what is made of figures neither
            tell(words + first[f"{side}_wording"])
    if first["formula"]:
        tell(say("算式：", "Worked: ") + first["formula"])
    if first["missing_areas"]:
        tell(say("缺数的县区：", "Counties without figures: ") + first["missing_areas"])
    if first["implausible_areas"]:
        tell(say("数值不合理的县区：", "Counties with implausible figures: ") + first["implausible_areas"])
    _tell_queries([first])
    _tell_samples(rows.to_dicts())


def _standard(row: dict[str, Any]) -> str:
    if row["standard"] is None:
        return ""
    return figure(row["standard"]) + (say("（示例）", " (sample)") if row["standard_is_sample"] else "")


def _gap_words(row: dict[str, Any]) -> str:
    """How far from the standard, as the published file says it, and the year in which it would be met at the present pace."""
    wording = row["gap_wording"] or ""
    if row["met_in_year"]:
        wording += say(f"（按现有进度 {row['met_in_year']} 年达标）", f" (at this pace met in {row['met_in_year']})")
    return wording


def show_check(result: Screening) -> None:
    """The verdict on each return of the files that were checked, and the findings."""
    several = len({filing.submission_id for filing in result.filings}) > 1
    for filing in result.filings:
        if several:
            tell(filing.file_name)
        form = (
            current_definitions()[filing.return_code].title
            if filing.return_code
            else say("未识别的文件", "unidentified")
        )
        said = say(
            f"{form} {filing.period or ''} {filing.county_code or ''}：{filing.rows_n} 行，错误 {filing.errors_n}，"
            f"核实 {filing.queries_n}，提示 {filing.infos_n}，结论：",
            f"{form} {filing.period or ''} {filing.county_code or ''}: {filing.rows_n} rows, {filing.errors_n} errors, "
            f"{filing.queries_n} queries, {filing.infos_n} infos: ",
        )
        console.print(Text(said) + _words("verdict", filing.verdict))
        if filing.passed_over:
            told = json.loads(filing.passed_over)
            kinds = "、".join(f"{one['label']} {one['rows_n']}（{one['rows']}）" for one in told["kinds"])
            sheets = "、".join(f"“{one['sheet']}” {one['rows_n']}" for one in told["sheets"])
            others = say(f"；没有报表的工作表：{sheets}", f"; sheets without a return: {sheets}") if sheets else ""
            tell(say(f"  全表 {told['sheet_rows_n']} 行，未作数据：{kinds or '无'}{others}",
                     f"  {told['sheet_rows_n']} rows on the sheet, passed over: {kinds or 'none'}{others}"))  # fmt: skip
    if result.findings:
        console.print(_findings_table(finding.__dict__ for finding in result.findings))


def show_faults(faults: Iterable[Any]) -> None:
    """The faults that a faulty sample holds."""
    table = new_table(say("放入的差错", "Faults placed"), ("ID", "left"), (say("文件", "File"), "left"),
                      (say("单元格", "Cells"), "left"), (say("说明", "What"), "left"))  # fmt: skip
    for fault in faults:
        table.add_row(fault.fault_id, fault.file_name, "、".join(fault.cells), fault.description)
    console.print(table)
