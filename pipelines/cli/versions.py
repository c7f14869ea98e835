"""`xianbao diff` and `xianbao rescreen --dry-run`: what changed between two versions, and whom changed rules would touch."""

from collections.abc import Callable

from pipelines.cli.boards import worded
from pipelines.cli.naming import county_named, period_named, return_named
from pipelines.cli.terminal import complain, console, county_text, new_table, query, refuse, say, tell
from pipelines.home import Home
from pipelines.intake.raw_store import RawDamaged, RawStore
from pipelines.screening.compare import ChangedCell, NotComparable, changed_cells
from pipelines.screening.settings import screen_settings

_CHANGES = {
    "changed": ("改动", "changed"),
    "row_added": ("增加的行", "row added"),
    "row_removed": ("删去的行", "row removed"),
}
_SHOWN = 200


def show_difference(home: Home, return_name: str, county: str, period: str, old: int | None, new: int | None) -> None:
    """The cells that differ between two versions of a filing; by default the two received last."""
    defined, one, which = return_named(return_name), county_named(home, county), period_named(period)
    slot = (defined.return_code, one.code, which.code)
    versions = {
        row["version_n"]: row
        for row in query(
            home,
            """SELECT version_n, submission_id, verdict, file_name FROM marts.mart_filing_version
               WHERE return_code = $1 AND county_code = $2 AND period = $3 ORDER BY version_n""",
            list(slot),
        ).to_dicts()
    }
    if len(versions) < 2:
        refuse(say(f"只有 {len(versions)} 个版本，无从比较。", f"Only {len(versions)} version(s): nothing to compare."))
    new = new or max(versions)
    old = old or max((number for number in versions if number < new), default=0)
    for number in (old, new):
        if number not in versions:
            refuse(say(f"没有第 {number} 版；共有 {len(versions)} 版。", f"No version {number} of {len(versions)}."))
    store = RawStore(home.raw)
    submissions = []
    for number in (old, new):
        entry = store.get(versions[number]["submission_id"])
        if entry is None:
            refuse(say(f"raw/ 里找不到第 {number} 版的文件。", f"Version {number} is not in raw/."))
        try:
            submissions.append(store.to_screen(entry))
        except RawDamaged as damaged:
            from pipelines.warehouse.landing import sender_names

            complain(damaged.words(sender_names(home)) + "。")
            raise SystemExit(1) from None
    try:
        changes = changed_cells(submissions[0], submissions[1], screen_settings(home), slot)
    except NotComparable as error:
        refuse(str(error))
    _show(changes, say(f"{one.name}{which.label}《{defined.title}》：第 {old} 版 → 第 {new} 版",
                       f"{defined.return_code} {which.code} {one.name_en}: version {old} → {new}"))  # fmt: skip


def _show(changes: list[ChangedCell], title: str) -> None:
    table = new_table(
        title, (say("改动", "Change"), "left"), (say("行", "Row"), "left"), (say("列", "Column"), "left"),
        (say("原值", "Was"), "right"), (say("现值", "Is"), "right"), (say("差额", "Difference"), "right"),
        (say("单元格", "Cell"), "left"),
    )  # fmt: skip
    for one in changes[:_SHOWN]:
        label = f"{one.row_label} {one.subject}".strip()
        cells = one.new_cell if one.old_cell == one.new_cell else f"{one.old_cell} → {one.new_cell}"
        table.add_row(say(*_CHANGES[one.change]), county_text(label), county_text(one.column_label),
                      county_text(one.old_text), county_text(one.new_text), one.difference, cells)  # fmt: skip
    console.print(table)
    counts = {key: sum(one.change == key for one in changes) for key in _CHANGES}
    tell(
        say(f"改动 {counts['changed']} 格，增加 {counts['row_added']} 行，删去 {counts['row_removed']} 行。",
            f"{counts['changed']} cells changed, {counts['row_added']} rows added, {counts['row_removed']} removed.")
    )  # fmt: skip


def show_affected(
    home: Home, county_code: str | None, period: str | None, *, progress: Callable[[int, int], None] | None = None
) -> int:
    """Whom the rules of today would judge otherwise than they were judged; returns how many filings. Nothing is changed."""
    from pipelines.operations.rehearsal import rehearse
    from pipelines.releases.reconstruct import ReconstructionFault
    from pipelines.warehouse.landing import Scope

    names = {county.code: county.name for county in home.municipality.counties}
    try:
        with home.writing():
            affected = rehearse(home, Scope(county_code, period), progress=progress)
    except ReconstructionFault as fault:
        complain(str(fault))
        raise SystemExit(1) from None
    table = new_table(
        say("按现行规则重新审核会受影响的填报", "Filings that the rules of today would judge otherwise"),
        (say("县区", "County"), "left"), (say("报表", "Return"), "left"), (say("报告期", "Period"), "left"),
        (say("结论", "Verdict"), "left"), (say("新增问题", "New findings"), "left"), (say("消除问题", "Gone"), "left"),
    )  # fmt: skip

    def counted(rules: dict[str, int]) -> str:
        return "\n".join(f"{rule_id} × {number}" for rule_id, number in sorted(rules.items()))

    for one in affected:
        was, now = (worded("verdict", key) for key in (one.verdict_before, one.verdict_after))
        table.add_row(
            names.get(one.county_code, one.county_code), one.return_code, one.period,
            was if was == now else f"{was} → {now}", counted(one.new_rules), counted(one.gone_rules),
        )  # fmt: skip
    console.print(table)
    rejected = sum(one.verdict_after == "rejected" != one.verdict_before for one in affected)
    tell(
        say(f"受影响 {len(affected)} 份填报，其中 {rejected} 份将不被接收；以上只是试审，什么都没有改。",
            f"{len(affected)} filings affected, {rejected} of them rejected; a rehearsal: nothing was changed.")
    )  # fmt: skip
    return len(affected)
