"""`xianbao trace`: a figure down to the cells of the counties' files, as a tree, a workbook or JSON.

Belongs here: words and layout. The figure, its terms and the proof that they add up are `pipelines.releases.trace`'s.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from rich.text import Text
from rich.tree import Tree

from pipelines.cli.naming import period_named
from pipelines.cli.terminal import complain, console, county_text, query, refuse, say, tell, whole_or_cents
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.releases.trace import Cell, CountyTerm, NoSuchFigure, Part, Source, Term, Trace, TraceMismatch, trace
from pipelines.returns import current_definitions

_ROLES = {
    "numerator": ("分子", "Numerator"),
    "numerator_base": ("分子的除数", "Numerator divided by"),
    "denominator": ("分母", "Denominator"),
    "denominator_base": ("分母的除数", "Denominator divided by"),
}
_MISSING = {
    "not_reported": ("缺报", "not reported"),
    "not_applicable": ("不适用", "not applicable"),
    "included_elsewhere": ("并入，没有写明栏目", "included elsewhere, no column named"),
}
_HEADINGS = (
    "项", "县区代码", "县区", "所含各期", "报表", "报表所属期", "版本", "文件", "报送件 SHA-256", "工作表", "行", "单元格", "行名", "列名",
    "加减", "数值", "乘以", "乘数单元格", "计入", "空值原因",
)  # fmt: skip
_FIRST_FIGURE_COLUMN = _HEADINGS.index("数值")


def show_trace(
    home: Home, indicator: str, area: str | None, period: str | None, caliber: str | None, *, cells_n: int,
    json_file: Path | None, workbook: Path | None,
) -> int:  # fmt: skip
    """Print the trace of a figure, or write it; by default the city's newest that is not withheld, newer ones told. Exit code 0; 1
    when a level does not add up, which is our fault."""
    area = area or str(query(home, "SELECT area_code FROM marts.dim_area WHERE area_level = 'city'").item(0, 0))
    if period is None:
        period = _newest(home, indicator, area, caliber)
    try:
        traced = trace(home.published, indicator, area, period_named(period).code, caliber)
    except NoSuchFigure:
        _refuse_figure(home, indicator, area, period, caliber)
    except TraceMismatch as error:
        complain(
            say(
                f"系统故障：下级合计与指标不符，请报告开发者。{error}",
                f"System fault: what stands below does not add up. {error}",
            )
        )
        return 1
    for target, content in ((json_file, trace_json), (workbook, trace_workbook)):
        if target is not None:
            try:
                replace_file(target, content(traced))
            except OSError as error:
                refuse(say(f"写不进 {target}：{error.strerror}", f"Cannot write {target}: {error.strerror}"))
            tell(say(f"已写出 {target}。", f"Wrote {target}."))
    if json_file is None and workbook is None:
        console.print(_tree(traced, cells_n))
    return 0


def _newest(home: Home, indicator: str, area: str, caliber: str | None) -> str:
    """The newest period of which something is to be shown: a figure, or terms that give none. Tells which newer ones are withheld, and
    why; where all are, the newest of them. Refuses where there is none."""
    found = query(
        home,
        """SELECT fact.period, fact.status, fact.formula, fact.missing_areas, period.period_label
           FROM marts.fct_indicator AS fact
           JOIN marts.dim_indicator AS indicator USING (indicator_code)
           JOIN (SELECT area_code, arg_max(area_name, valid_from) AS area_name, arg_max(area_name_en, valid_from) AS area_name_en
                 FROM marts.dim_area GROUP BY area_code) AS area ON fact.area_code = area.area_code
           JOIN marts.dim_caliber AS caliber ON fact.caliber_id = caliber.caliber_id
           JOIN marts.dim_period AS period ON fact.period = period.period
           WHERE $1 IN (fact.indicator_code, indicator.indicator_name) AND $2 IN (area.area_code, area.area_name, area.area_name_en)
             AND (($3 IS NULL AND caliber.is_default) OR $3 IN (fact.caliber_id, caliber.caliber_name))
           ORDER BY period.period_end DESC, period.period_start""",
        [indicator, area, caliber],
    ).to_dicts()
    if not found:
        _refuse_figure(home, indicator, area, None, caliber)
    chosen = next((row for row in found if row["status"] != "withheld"), found[0])
    for newer in found[: found.index(chosen)]:
        missing = newer["missing_areas"]
        why = newer["formula"] + (say("，缺 ", ", without ") + missing if missing else "")
        tell(
            say(
                f"{newer['period_label']}没有数（{why}），以下是{chosen['period_label']}的数。",
                f"No figure for {newer['period']} ({why}); below is {chosen['period']}.",
            )
        )
    return str(chosen["period"])


def _refuse_figure(home: Home, indicator: str, area: str, period: str | None, caliber: str | None) -> NoReturn:
    def known(sql: str, *wanted: str | None) -> None:
        rows = query(home, sql).rows()
        if wanted[0] is not None and not any(wanted[0] in row for row in rows):
            listed = "\n".join("  " + "  ".join(str(value) for value in row) for row in rows)
            refuse(say(f"没有“{wanted[0]}”。可选：\n{listed}", f"No {wanted[0]}. Known:\n{listed}"))

    known("SELECT indicator_code, indicator_name FROM marts.dim_indicator ORDER BY sort_order", indicator)
    known("SELECT DISTINCT area_code, area_name, area_name_en FROM marts.dim_area ORDER BY area_code", area)
    known("SELECT caliber_id, caliber_name FROM marts.dim_caliber ORDER BY caliber_id", caliber)
    periods = query(
        home,
        """SELECT DISTINCT fact.period || ' ' || caliber_id FROM marts.fct_indicator AS fact
           JOIN marts.dim_indicator USING (indicator_code) WHERE $1 IN (indicator_code, indicator_name) ORDER BY 1""",
        [indicator],
    ).to_series().to_list()  # fmt: skip
    refuse(say(f"{period or '这里'}没有这个指标的数。可选的报告期与口径：{'、'.join(periods)}",
               f"No figure{f' for {period}' if period else ''}. Periods and calibers there are: {', '.join(periods)}"))  # fmt: skip


def _tree(traced: Trace, cells_n: int) -> Tree:
    figure = traced.figure
    root = Tree(Text(
        f"{say(figure['indicator_name'], figure['indicator_name_en'])} · "
        f"{say(figure['area_name'], figure['area_name_en'])} · {say(figure['period_label'], figure['period'])} · "
        f"{figure['caliber_name']}", style="bold",
    ))  # fmt: skip
    root.add(Text(say("算式：", "Worked: ") + figure["formula"]))
    root.add(Text(say("覆盖：", "Coverage: ") + f"{figure['coverage_n']}/{figure['expected_n']} · "
                  + say("发布编号 ", "release ") + traced.release_id))  # fmt: skip
    if figure["missing_areas"]:
        root.add(Text(say("缺数的县区：", "Counties without figures: ") + figure["missing_areas"], style="red"))
    if figure["implausible_areas"]:
        said = say("数值不合理的县区：", "Counties with implausible figures: ") + figure["implausible_areas"]
        root.add(Text(said, style="red"))
    if figure["open_queries_n"]:
        said = say(f"核实中 {figure['open_queries_n']} 条：", f"{figure['open_queries_n']} open queries: ")
        root.add(county_text(f"{said}{figure['heaviest_query']}  {figure['heaviest_rule_id']}"))
    for term in traced.terms:
        branch = root.add(Text(f"{_term_label(traced, term)} = {whole_or_cents(term.total)}", style="bold"))
        for county in term.counties:
            _add_county(branch, county, cells_n)
    return root


def _term_label(traced: Trace, term: Term) -> str:
    label = say(*_ROLES[term.role])
    wording = traced.figure.get(f"{term.role}_wording")
    return f"{label}（{wording}）" if wording else label


def _add_county(branch: Tree, county: CountyTerm, cells_n: int) -> None:
    node = branch.add(Text(f"{county.county_name} {county.county_code} = {whole_or_cents(county.total)}"))
    for part in county.parts:
        under = node if len(county.parts) == 1 else node.add(Text(f"{part.period} = {whole_or_cents(part.total)}"))
        for below in part.made_of:
            under.add(Text(_verdict_words(below.figure)))
        for source in part.sources:
            _add_source(under, source, cells_n)


def _verdict_words(judged: dict[str, Any]) -> str:
    """A county's figure that was judged, and how."""
    said = f"{judged['indicator_name']}：{judged['formula']}，"
    if judged["is_standard_met"] is None:
        return said + say("不作判定", "not judged")
    met = say("达到", "meets") if judged["is_standard_met"] else say("未达到", "misses")
    sample = say("（示例）", " (a sample)") if judged["standard_is_sample"] else ""
    return said + met + say("标准 ", " the standard ") + f"{judged['standard']:f}" + sample


def _add_source(node: Tree, source: Source, cells_n: int) -> None:
    defined = current_definitions()[source.return_code]
    file = node.add(
        Text(f"{defined.form} {say(defined.title, defined.title_en)} {source.period} "
             + say(f"第 {source.version_n} 版", f"version {source.version_n}") + " = " + whole_or_cents(source.total) + " · ")
        + county_text(source.file_name) + Text(f" · SHA-256 {source.submission_id}", style="dim")
    )  # fmt: skip
    for cell in source.cells[:cells_n]:
        file.add(county_text(_cell_words(cell)))
    if len(source.cells) > cells_n:
        rest = source.cells[cells_n:]
        total = sum((cell.contribution for cell in rest if cell.contribution is not None), Decimal(0))
        file.add(Text(say(f"另 {len(rest)} 格，合计 {whole_or_cents(total)}（--cells 或 --xlsx 看全部）",
                          f"{len(rest)} more cells, {whole_or_cents(total)} (--cells or --xlsx shows all)"), style="dim"))  # fmt: skip


def _cell_words(cell: Cell) -> str:
    place = f"{cell.sheet}!{cell.cell}  {cell.row_label} / {cell.column_label}："
    if cell.contribution is None:
        return place + say(*_why_missing(cell))
    value = whole_or_cents(cell.value)
    if cell.multiplier is not None:
        value += f" × {cell.multiplier}（{cell.multiplier_cell}）= {whole_or_cents(abs(cell.contribution))}"
    return place + ("−" if cell.sign < 0 else "") + value


def _why_missing(cell: Cell) -> tuple[str, str]:
    """Why a cell holds no number, in Chinese and English; two empty texts where it holds one."""
    code = cell.missing_code or ""
    if cell.included_in_label:
        return f"并入“{cell.included_in_label}”", f"included in “{cell.included_in_label}”"
    return _MISSING.get(code, (code, code))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"  # as text: a number would pass through binary fractions in most readers
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def trace_json(traced: Trace) -> bytes:
    """The whole trace as JSON (UTF-8); decimals are texts, so that no reader rounds them."""
    return (json.dumps(asdict(traced), ensure_ascii=False, indent=1, default=_jsonable) + "\n").encode()


def _flat(traced: Trace, prefix: str = "") -> Iterator[tuple[str, CountyTerm, Part, Source, Cell]]:
    for term in traced.terms:
        label = prefix + _ROLES[term.role][0]
        for county in term.counties:
            for part in county.parts:
                for source in part.sources:
                    for cell in source.cells:
                        yield label, county, part, source, cell
                # Both sides of a share are judged by the same figures: their cells are told once.
                for below in part.made_of if term.role == "denominator" or traced.figure["shape"] == "change" else ():
                    yield from _flat(below, f"{county.county_name} {below.figure['indicator_name']} ")


def trace_workbook(traced: Trace) -> bytes:
    """Two sheets: 算式 (the figure and what each county adds to each term) and 单元格 (a row for every cell)."""
    import xlsxwriter

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    # The same trace gives the same bytes.
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
    bold, number = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.##"})
    figure = traced.figure
    sheet = book.add_worksheet("算式")
    for row, (label, value) in enumerate((
        ("指标", figure["indicator_name"]), ("地区", figure["area_name"]), ("报告期", figure["period_label"]),
        ("口径", figure["caliber_name"]), ("算式", figure["formula"]),
        ("覆盖", f"{figure['coverage_n']}/{figure['expected_n']}"), ("缺数的县区", figure["missing_areas"]),
        ("发布编号", traced.release_id),
    )):  # fmt: skip
        sheet.write_string(row, 0, label, bold)
        sheet.write_string(row, 1, str(value))
    row = 9
    for column, heading in enumerate(("项", "县区代码", "县区", "所含各期", "数值", "由何判定")):
        sheet.write_string(row, column, heading, bold)
    for term in traced.terms:
        for county in term.counties:
            for part in county.parts:
                row += 1
                judged = "；".join(below.figure["formula"] for below in part.made_of)
                for column, text in enumerate(
                    (_ROLES[term.role][0], county.county_code, county.county_name, part.period)
                ):
                    sheet.write_string(row, column, text)
                sheet.write_number(row, 4, part.total, number)
                sheet.write_string(row, 5, judged)
        row += 1
        sheet.write_string(row, 0, _ROLES[term.role][0], bold)
        sheet.write_string(row, 2, "合计", bold)
        sheet.write_number(row, 4, term.total, number)
    sheet.set_column(0, 5, 18)
    listed = book.add_worksheet("单元格")
    for column, heading in enumerate(_HEADINGS):
        listed.write_string(0, column, heading, bold)
    cells = list(_flat(traced))
    for row, (label, county, part, source, cell) in enumerate(cells, start=1):
        values = (
            label, county.county_code, county.county_name, part.period, current_definitions()[source.return_code].title,
            source.period, source.version_n, source.file_name, source.submission_id, cell.sheet, cell.source_row, cell.cell,
            cell.row_label, cell.column_label, cell.sign, cell.value, cell.multiplier, cell.multiplier_cell, cell.contribution,
            _why_missing(cell)[0],
        )  # fmt: skip
        for column, value in enumerate(values):
            if isinstance(value, str):
                listed.write_string(row, column, value)
            elif value is not None:
                listed.write_number(row, column, value, number if column >= _FIRST_FIGURE_COLUMN else None)
    listed.freeze_panes(1, 0)
    listed.autofilter(0, 0, len(cells), len(_HEADINGS) - 1)
    listed.set_column(0, len(_HEADINGS) - 1, 14)
    book.close()
    return target.getvalue()
