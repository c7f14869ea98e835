"""`xianbao decide`: the bureau's decisions. Each is written to the log in `raw/`, then the warehouse is brought in line with it.

Belongs here: reading a call against the municipality and the published board. What a decision means is `pipelines.decisions`.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from pipelines.cli.naming import county_named, period_named, return_named
from pipelines.cli.terminal import console, county_text, new_table, query, refuse, say, tell
from pipelines.decisions import ACTION_LABELS, Action, DecisionRefused
from pipelines.home import Home
from pipelines.screening.rules import WAIVABLE_LEVELS, level_of
from pipelines.times import beijing_minute

By = Annotated[str, typer.Option(help="由谁决定（姓名）")]
Reason = Annotated[str, typer.Option(help="理由或文件号")]
Return = Annotated[str, typer.Argument(metavar="RETURN", help="报表，如 enrolment 或 XB02")]
Rule = Annotated[str, typer.Argument(help="规则编号，见问题清单")]
SomePeriod = Annotated[str | None, typer.Option("--period", help="报告期；默认各期")]
County = Annotated[str, typer.Option(help="县区代码或名称")]
SomeCounty = Annotated[str | None, typer.Option(help="县区代码或名称；默认各县区")]
Period = Annotated[str, typer.Option(help="报告期，如 2024-2025")]
SomeReturn = Annotated[str | None, typer.Option("--return", help="报表，如 enrolment 或 XB02；默认各报表")]
Version = Annotated[int, typer.Option("--version", min=1, help="看过的是第几版，见 xianbao diff 或回执")]
NoRun = Annotated[bool, typer.Option("--no-run", help="只记下决定，下次运行时再生效")]
Until = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="到哪一天为止（含当天，北京时间）")]


def record(home: Home, action: Action, *, by: str, reason: str, **scope: Any) -> None:
    """Append a decision; refuses one that is incomplete or makes no sense, in words."""
    try:
        decision = home.decisions.append(action, by=by, reason=reason, now=datetime.now(UTC), **scope)
    except DecisionRefused as refused:
        refuse(str(refused))
    label = ACTION_LABELS[action]
    tell(say(f"第 {decision.number} 号决定：{label}，{by}。", f"Decision {decision.number}: {action}, by {by}."))


def rule_on(
    home: Home, action: Action, return_name: str, county: str, period: str, version: int, by: str, reason: str
) -> None:
    """Accept or return: of the version in force, or, where the newest was returned and is accepted after all, of that one.

    `version`: what the officer has looked at; refused when it is not the one concerned, for another may have come since.
    """
    defined, one, which = return_named(return_name), county_named(home, county), period_named(period)
    rows = query(
        home,
        """SELECT submission_id, version_n, is_in_force, is_returned, file_name, received_at, receipt_number
           FROM marts.mart_filing_version
           WHERE return_code = $1 AND county_code = $2 AND period = $3 AND (is_in_force OR is_returned)
           ORDER BY version_n DESC""",
        [defined.return_code, one.code, which.code],
    ).to_dicts()
    wanted = [row for row in rows if row["is_in_force"]]
    if action == "accept" and rows and rows[0]["is_returned"]:
        wanted = rows[:1]
    if not wanted:
        refuse(
            say(f"{one.name}{which.label}《{defined.title}》没有有效的版本，无从{ACTION_LABELS[action]}。",
                f"No version of {defined.return_code} {which.code} of {one.name_en} is in force: nothing to {action}.")
        )  # fmt: skip
    meant = wanted[0]
    number, received = meant["version_n"], beijing_minute(meant["received_at"])
    name, receipt = meant["file_name"], meant["receipt_number"]
    described = say(f"第 {number} 版：{name}，{received} 收到（北京时间），回执 {receipt}。",
                    f"version {number}: {name}, received {received} (Beijing), receipt {receipt}.")  # fmt: skip
    if version != number:
        state = say("有效的是" if meant["is_in_force"] else "待定的是",
                    "In force is " if meant["is_in_force"] else "Returned and newest is ")  # fmt: skip
        refuse(say(f"不能{ACTION_LABELS[action]}第 {version} 版。", f"Not version {version}. ") + state + described)
    tell(say("所指的是", "It concerns ") + described)
    record(home, action, by=by, reason=reason, return_code=defined.return_code, county_code=one.code, period=which.code,
           submission_id=meant["submission_id"])  # fmt: skip


def scope_of(home: Home, county: str | None, return_name: str | None, period: str | None) -> dict[str, str | None]:
    """The filings that a call names, by code; None is every one."""
    return {
        "return_code": return_named(return_name).return_code if return_name else None,
        "county_code": county_named(home, county).code if county else None,
        "period": period_named(period).code if period else None,
    }


def decided_scope(home: Home, county: str | None, return_name: str | None, period: str | None) -> dict[str, str | None]:
    """As `scope_of`; a period for which nothing is due is refused with those for which something is."""
    scope = scope_of(home, county, return_name, period)
    wanted = scope["return_code"]
    known = {row.period.code for row in home.municipality.calendar_rows() if wanted in (None, row.return_code)}
    if scope["period"] is not None and scope["period"] not in known:
        listed = "、".join(sorted(known))
        which = f"报表 {wanted} 的" if wanted else ""
        refuse(
            say(f"报送日历里没有{which}报告期“{scope['period']}”。可选：{listed or '（无）'}",
                f"The calendar has no {wanted or 'return'} due for {scope['period']}. Known: {listed or '-'}")
        )  # fmt: skip
    return scope


def waive(home: Home, rule_id: str, scope: dict[str, str | None], until: date, by: str, reason: str) -> None:
    level = level_of(rule_id)
    if level is None:
        refuse(say(f"没有规则“{rule_id}”。规则编号见问题清单。", f"No rule {rule_id}; findings name their rules."))
    if level not in WAIVABLE_LEVELS:
        refuse(
            say(f"规则 {rule_id} 不能豁免：数据读不出来、类型不对或行无法区分时，只能由县区更正。",
                f"Rule {rule_id} cannot be waived: what cannot be read, typed or told apart has to be corrected.")
        )  # fmt: skip
    record(home, "waive", by=by, reason=reason, rule_id=rule_id, until=until, **scope)


def show_log(home: Home) -> None:
    """Every decision, in order. Raises DecisionLogDamaged when the log is not whole."""
    decisions = list(home.decisions)
    revoked = {one.revokes: one.number for one in decisions if one.revokes}
    names = {county.code: county.name for county in home.municipality.counties}
    table = new_table(
        say("市局决定", "Decisions of the bureau"),
        (say("序号", "No."), "right"), (say("时间（北京）", "Time (Beijing)"), "left"), (say("决定", "Action"), "left"),
        (say("范围", "Scope"), "left"), (say("到", "Until"), "left"), (say("决定人", "By"), "left"), (say("理由", "Reason"), "left"),
    )  # fmt: skip
    for one in decisions:
        scope = [one.return_code or say("各报表", "all returns"), names.get(one.county_code or "", one.county_code or "") or
                 say("各县区", "all counties"), one.period or say("各期", "all periods"), one.rule_id or ""]  # fmt: skip
        if one.revokes:
            scope = [say(f"第 {one.revokes} 号", f"no. {one.revokes}")]
        action = say(ACTION_LABELS[one.action], one.action)
        if one.number in revoked:
            action += say(f"（已由第 {revoked[one.number]} 号撤销）", f" (revoked by no. {revoked[one.number]})")
        table.add_row(
            str(one.number), beijing_minute(one.at), action, " ".join(filter(None, scope)), str(one.until or ""),
            county_text(one.by), county_text(one.reason),
        )  # fmt: skip
    console.print(table)
    tell(say(f"共 {len(decisions)} 条，前后相接，无一缺改。", f"{len(decisions)} decisions; the chain is whole."))
