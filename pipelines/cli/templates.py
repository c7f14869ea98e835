"""`xianbao template`: which templates are meant, where they are written, what they are prefilled with.

Belongs here: reading the call against the municipality, and one query on the published file. The workbook is `templates.template`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.cli.naming import county_named, period_named, return_named
from pipelines.cli.terminal import query, refuse, say, tell
from pipelines.files import replace_file
from pipelines.home import Home
from pipelines.municipality import County, CountyName
from pipelines.periods import Period, parse_period
from pipelines.returns import ReturnDefinition, current_definitions
from pipelines.templates.prefill import prefilled
from pipelines.templates.template import known_rows, template_name, template_workbook

ALL = "all"


def write_templates(home: Home, which: str, county: str, period: str, folder: Path, *, prefill: bool) -> None:
    """Write the templates that a call names into a folder; refuses a call that names nothing, with what can be named."""
    definitions = _returns(which)
    counties = _counties(home, county)
    wanted = period_named(period)
    due = {(row.return_code, row.period) for row in home.municipality.calendar_rows()}
    definitions = [defined for defined in definitions if (defined.return_code, wanted) in due]
    asked = [
        (one, [defined for defined in definitions if one.valid_on(defined.reference_on(wanted))]) for one in counties
    ]
    asked = [(one, theirs) for one, theirs in asked if theirs]
    if not asked:
        _refuse_period(which, wanted, sorted(due), bool(definitions))
    known_n = written_n = 0
    for one, theirs in asked:
        name = CountyName(one.code, one.name)
        schools = _last_register(home, one.code, wanted) if prefill else []
        known_n += bool(schools)
        for defined in theirs:
            rows = prefilled(defined, schools, wanted) if known_rows(defined) is None else []
            path = folder / template_name(defined, name, wanted)
            content = template_workbook(defined, name, wanted, rows=rows)
            try:
                replace_file(path, content)
            except OSError as error:
                refuse(say(f"写不进 {path}：{error.strerror}", f"Cannot write {path}: {error.strerror}"))
            written_n += 1
    tell(say(f"已写出 {written_n} 个模板，在 {folder}。", f"{written_n} templates written to {folder}."))
    if prefill and known_n < len(asked):
        tell(
            say(
                f"{len(asked) - known_n} 个县区还没有已接收的学校名录，模板未预填。",
                f"{len(asked) - known_n} counties have no accepted register yet: nothing prefilled for them.",
            )
        )


def _returns(which: str) -> list[ReturnDefinition]:
    return list(current_definitions().values()) if which == ALL else [return_named(which)]


def _counties(home: Home, named: str) -> list[County]:
    return list(home.municipality.counties) if named == ALL else [county_named(home, named)]


def _refuse_period(which: str, period: Period, due: Sequence[tuple[str, Period]], has_returns: bool) -> None:
    if has_returns:
        refuse(say(f"该县区在 {period.label} 不存在。", f"The county does not exist in {period.code}."))
    codes = {defined.return_code for defined in _returns(which)}
    known = "、".join(dict.fromkeys(one.code for code, one in due if code in codes))
    refuse(
        say(
            f"填报日历里没有 {period.label} 的这张报表。可选的报告期：{known}",
            f"The calendar has no such return for {period.code}. Periods: {known}",
        )
    )


def _last_register(home: Home, county_code: str, period: Period) -> list[dict[str, Any]]:
    """The schools of the newest published register that begins no later than the period ends."""
    rows = query(
        home,
        """SELECT school_code, school_name, school_type, organiser, location_code,
                  CASE is_boarding WHEN true THEN '是' WHEN false THEN '否' END AS boarding,
                  coalesce(subsidy_tier, '不适用') AS subsidy_tier, opened_on, closed_on, period
           FROM marts.dim_school WHERE county_code = $1 ORDER BY school_code""",
        [county_code],
    ).to_dicts()
    starts = {row["period"]: parse_period(row["period"]).start for row in rows}
    eligible = [code for code, start in starts.items() if start <= period.end]
    if not eligible:
        return []
    last = max(eligible, key=lambda code: starts[code])
    return [row for row in rows if row["period"] == last]
