"""Printing what changed between two releases: in the terminal, as a workbook, as JSON.

Belongs here: presentation. What changed and why is `releases.changes`; the tables a BI tool opens are `releases.changes_table`.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.cli.terminal import complain, console, county_text, new_table, refuse, say, tell
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.releases.changes import (
    CAUSE_LABELS,
    CAUSES,
    ChangedFigure,
    ChangedInput,
    Changes,
    compare_releases,
    residual,
)
from pipelines.releases.changes_table import TABLES, change_rows, input_rows, keep_changes
from pipelines.releases.reconstruct import ReconstructionFault
from pipelines.releases.release import NoSuchRelease, ReleaseLog, ReleaseLogDamaged
from pipelines.warehouse.dbt import DbtFault

_CAUSES_EN = {"filings": "filings (other than population)", "population": "population", "calibers": "calibers, standards",
              "counties": "counties, calendar", "residual": "residual: models, rules, code"}  # fmt: skip
_SHOWN = 40


def show_changes(
    home: Home,
    before: str,
    after: str,
    *,
    json_file: Path | None,
    workbook: Path | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Compare two releases, keep the comparison as tables, and show it."""
    log = ReleaseLog(home)
    try:
        changes = compare_releases(home, log.find(before), log.find(after), progress)
    except NoSuchRelease as error:
        refuse(str(error))
    except (ReleaseLogDamaged, ReconstructionFault, DbtFault) as error:
        complain(str(error))
        raise SystemExit(1) from None
    kept = keep_changes(home, changes)
    names = _Names(home)
    _print(changes, names)
    for target, content in ((json_file, lambda: _json(changes)), (workbook, lambda: _workbook(changes, names))):
        if target is not None:
            try:
                replace_file(target, content())
            except OSError as error:
                refuse(say(f"写不进 {target}：{error.strerror}", f"Cannot write {target}: {error.strerror}"))
            tell(say(f"已写出 {target}。", f"Wrote {target}."))
    tell(say(f"可用 BI 工具打开：{kept}（marts.mart_change、marts.mart_change_input）", f"For BI tools: {kept}"))


class _Names:
    """What codes are called."""

    def __init__(self, home: Home) -> None:
        from pipelines.cli.terminal import query

        self.indicators: dict[str, tuple[str, str]] = {
            row[0]: (row[1], row[2])
            for row in query(home, "SELECT indicator_code, indicator_name, unit FROM marts.dim_indicator").rows()
        }
        self.areas: dict[str, str] = dict(
            query(home, "SELECT area_code, arg_max(area_name, valid_from) FROM marts.dim_area GROUP BY 1").rows()
        )
        self.city = home.municipality.city.code

    def indicator(self, code: str) -> str:
        return self.indicators.get(code, (code, ""))[0]

    def area(self, code: str) -> str:
        return self.areas.get(code, code)


def _print(changes: Changes, names: _Names) -> None:
    order = " → ".join(say(CAUSE_LABELS[cause], _CAUSES_EN[cause]) for cause in CAUSES)
    tell(
        say(
            f"依次替换（每次一项，影响为替换前后之差）：{order}；其余为余数。",
            f"Swapped one at a time: {order}; then the residual.",
        )
    )
    unchanged = [cause for cause in CAUSES if cause not in changes.swapped]
    if unchanged:
        listed = "、".join(say(CAUSE_LABELS[cause], _CAUSES_EN[cause]) for cause in unchanged)
        tell(say(f"两个发布之间没有变的：{listed}。", f"The same in both: {listed}."))
    city = [figure for figure in changes.figures if figure.area_code == names.city]
    table = new_table(
        say(f"全市变动了的数（{changes.before.release_id} → {changes.after.release_id}）",
            f"Figures of the city that changed ({changes.before.release_id} → {changes.after.release_id})"),
        (say("指标", "Indicator"), "left"), (say("报告期", "Period"), "left"), (say("口径", "Caliber"), "left"),
        (say("此前", "Before"), "right"), (say("此后", "After"), "right"), (say("原因与影响", "Causes"), "left"),
    )  # fmt: skip
    for figure in city[:_SHOWN]:
        table.add_row(county_text(names.indicator(figure.indicator_code)), figure.period, figure.caliber_id,
                      _value(figure.before.value), _value(figure.after.value), "\n".join(_causes(figure)))  # fmt: skip
    if city:
        console.print(table)
    if len(city) > _SHOWN:
        rest = len(city) - _SHOWN
        tell(say(f"另有 {rest} 个，见 --xlsx。", f"{rest} more: --xlsx."))
    cells = sum(one.change == "changed" for one in changes.inputs)
    filings = len({(one.return_code, one.county_code, one.period) for one in changes.inputs})
    tell(
        say(f"变动的数 {len(changes.figures)} 个（其中全市 {len(city)} 个）；换了版本的填报 {filings} 份，改动 {cells} 格。",
            f"{len(changes.figures)} figures changed ({len(city)} of the city); {filings} filings, {cells} cells.")
    )  # fmt: skip
    for one in changes.inputs[:10]:
        tell("  " + _input_words(one, names))
    if len(changes.inputs) > 10:
        tell(say(f"  另有 {len(changes.inputs) - 10} 处，见 --xlsx。", f"  {len(changes.inputs) - 10} more: --xlsx."))


def _value(value: Decimal | None) -> str:
    return "—" if value is None else f"{value:f}"


def _causes(figure: ChangedFigure) -> list[str]:
    found = [
        f"{say(CAUSE_LABELS[step.cause], _CAUSES_EN[step.cause])} {_moved(step.contribution, step.before.status, step.after.status)}"
        for step in figure.steps
    ]
    left = residual(figure)
    if left != 0:
        found.append(f"{say(CAUSE_LABELS['residual'], _CAUSES_EN['residual'])} {_moved(left, '', '')}")
    return found


def _moved(contribution: Decimal | None, before: str, after: str) -> str:
    if contribution is not None:
        return f"{contribution:+f}"
    return f"{before} → {after}" if before or after else say("不能计算", "not computable")


def _input_words(one: ChangedInput, names: _Names) -> str:
    place = f"{names.area(one.county_code)} {one.return_code} {one.period}"
    if one.change == "changed":
        counted = "、".join(names.indicator(code) for code in one.indicators.split("、") if code)
        return f"{place} {one.cell_after} {one.row_label} {one.column_label}：{one.text_before} → {one.text_after}" + (
            say(f"（计入：{counted}）", f" (counted in: {counted})") if counted else ""
        )
    words = {
        "row_added": ("增加一行", "row added"),
        "row_removed": ("删去一行", "row removed"),
        "filing_added": ("新报", "new filing"),
        "filing_removed": ("不再采用", "no longer in force"),
        "not_comparable": ("不能逐格比较", "cannot be compared"),
    }
    return f"{place} {say(*words[one.change])} {one.row_label} {one.subject}".rstrip()


def _jsonable(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _json(changes: Changes) -> bytes:
    content = {
        "before": changes.before.release_id,
        "after": changes.after.release_id,
        "order": list(CAUSES),
        "swapped": list(changes.swapped),
        "figures": [
            {
                **{name: getattr(figure, name) for name in ("indicator_code", "caliber_id", "period", "area_code")},
                "before": asdict(figure.before),
                "after": asdict(figure.after),
                "steps": [{**asdict(step), "contribution": step.contribution} for step in figure.steps],
                "residual": residual(figure),
            }
            for figure in changes.figures
        ],
        "inputs": [asdict(one) for one in changes.inputs],
    }
    return (json.dumps(content, ensure_ascii=False, indent=1, default=_jsonable) + "\n").encode()


def _workbook(changes: Changes, names: _Names) -> bytes:
    import xlsxwriter

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})  # the same comparison gives the same bytes
    bold, number = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.####"})

    def write(title: str, notes: Sequence[str], headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        sheet = book.add_worksheet(title)
        for row, note in enumerate(notes):
            sheet.write_string(row, 0, note)
        for column, heading in enumerate(headings):
            sheet.write_string(len(notes), column, heading, bold)
        for row, values in enumerate(rows, start=len(notes) + 1):
            for column, value in enumerate(values):
                if isinstance(value, Decimal | int):
                    sheet.write_number(row, column, value, number)
                elif value is not None:
                    sheet.write_string(row, column, str(value))
        sheet.freeze_panes(len(notes) + 1, 0)
        sheet.autofilter(len(notes), 0, len(notes) + max(len(rows), 1), len(headings) - 1)
        sheet.set_column(0, len(headings) - 1, 16)

    order = " → ".join(CAUSE_LABELS[cause] for cause in CAUSES)
    notes = (
        f"发布 {changes.before.release_id} → {changes.after.release_id}",
        f"依次替换，每次一项，影响为替换前后之差：{order}；其余为余数（模型、规则或程序）。",
    )
    figures = [
        (names.indicator(str(row[2])), names.indicators.get(str(row[2]), ("", ""))[1], row[4], row[3], names.area(str(row[5])),
         *row[8:])
        for row in change_rows(changes)
    ]  # fmt: skip
    write(
        "变动的数", notes,
        ("指标", "单位", "报告期", "口径", "地区", "原因", "此前", "此后", "影响", "此前分子", "此后分子", "此前分母", "此后分母",
         "此前状态", "此后状态"), figures,
    )  # fmt: skip
    headings = [text.split("：")[0] for _, (_, text) in list(TABLES["mart_change_input"][1].items())[2:]]
    write("改动的单元格", notes[:1], headings, [row[2:] for row in input_rows(changes)])
    book.close()
    return target.getvalue()
