"""`xianbao init`: asking for the city and its counties, and the calendar that a new home begins with.

Belongs here: the questions, and what is refused of the answers at once. The text of the configuration is `pipelines.municipality`'s.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import typer

from pipelines.cli.terminal import refuse, say, tell
from pipelines.home import Home
from pipelines.municipality import NewArea, NewCalendarEntry, write_template
from pipelines.periods import Period, parse_period
from pipelines.policy.starter import README, write_policy_folder
from pipelines.returns import ReturnDefinition, current_definitions
from pipelines.times import beijing_day

_CODE_AND_NAME = re.compile(r"\s*(?P<code>[0-9]{6})[\s:：=,，、]*(?P<name>\S.*?)\s*")
#: Days after which a filing is due, as an example: of a school year from its first day, else from the period's last.
_DUE = {
    "school_year": ("start", 45),
    "calendar_year": ("end", 60),
    "semester": ("end", 20),
    "quarter": ("end", 20),
    "month": ("end", 20),
}


def write_configuration(
    home: Home, city: str | None, province: str | None, counties: Sequence[str] | None, *, force: bool
) -> None:
    """Write a home's `municipality.yaml` for a city; what was not given is asked for."""
    if home.configuration.exists() and not force:
        refuse(say(f"{home.configuration} 已经存在，没有覆盖。直接修改它；确要重来，加 --force。",
                   f"{home.configuration} is there already. Edit it; to start again: --force."))  # fmt: skip
    asked = city is None
    of_city = _area(city or _ask("本市的行政区划代码和名称（如 140900 忻州市）", "Code and name of the city"), "--city")
    if not of_city.code.endswith("00"):
        refuse(
            say(f"“{of_city.code}”不是市级代码：市级代码末两位是 00。", f"{of_city.code}: a city's code ends in 00.")
        )
    name = (province or _ask("所在省（自治区、直辖市）的名称", "Name of the province")).strip()
    if counties is None and asked:
        counties = _ask_counties()
    areas = [_area(county, "--county") for county in counties or ()]
    prefix = of_city.code[:2] if of_city.code.endswith("0000") else of_city.code[:4]
    for area in areas:
        if not area.code.startswith(prefix) or area.code.endswith("00"):
            refuse(
                say(f"“{area.code} {area.name}”：县区代码的前几位应是 {prefix}，末两位不是 00。",
                    f"{area.code} {area.name}: a county's code begins with {prefix} and does not end in 00.")
            )  # fmt: skip
        if sum(area.code == other.code or area.name == other.name for other in areas) > 1:
            refuse(
                say(f"“{area.code} {area.name}”与另一县区的代码或名称相同。", f"{area.code} {area.name}: given twice.")
            )
    home.make_root()
    write_template(
        home.configuration, city=of_city, province=NewArea(of_city.code[:2] + "0000", name), counties=areas,
        calendar=[_entry(defined) for defined in current_definitions().values()], command="xianbao init", force=force,
    )  # fmt: skip
    tell(
        say(f"已写出 {home.configuration}：{of_city.name}，{len(areas)} 个县区。请按注释核对报送日历和截止日期。",
            f"Wrote {home.configuration}: {of_city.name}, {len(areas)} counties. Check the calendar as its comments say.")
    )  # fmt: skip
    if write_policy_folder(home):
        tell(
            say(f"已写出 {home.policy}：口径、标准、补助标准等。请按其中的 {README} 换成本市的文件，再运行 xianbao policy check。",
                f"Wrote {home.policy}: calibers, standards, tiers. Replace the samples as its {README} says, then: xianbao policy check.")
        )  # fmt: skip


def _ask(chinese: str, english: str) -> str:
    try:
        return str(typer.prompt(say(chinese, english)))
    except typer.Abort as abort:
        _pass_on(abort)
        refuse(
            say("没有回答。也可以写成：xianbao init --city '代码 名称' --province 省名 --county '代码 名称' --county …",
                "No answer. Or: xianbao init --city 'CODE NAME' --province NAME --county 'CODE NAME' --county …")
        )  # fmt: skip


def _pass_on(abort: typer.Abort) -> None:
    """The end of the input is an answer too; Ctrl-C is none."""
    if isinstance(abort.__context__, KeyboardInterrupt):
        raise abort.__context__


def _ask_counties() -> list[str]:
    """Counties, one a line, until an empty line or the end."""
    found: list[str] = []
    while True:
        try:
            line = typer.prompt(
                say(f"第 {len(found) + 1} 个县区的代码和名称（没有了就直接回车）", f"Code and name of county {len(found) + 1} (Enter: no more)"),
                default="", show_default=False,
            )  # fmt: skip
        except typer.Abort as abort:
            _pass_on(abort)
            return found
        if not line.strip():
            return found
        found.append(line)


def _area(text: str, option: str) -> NewArea:
    read = _CODE_AND_NAME.fullmatch(text)
    if read is None:
        refuse(say(f"{option}：“{text}”应是 6 位行政区划代码和名称，如 '140900 忻州市'。",
                   f"{option}: '{text}' should be a code of six digits and a name."))  # fmt: skip
    return NewArea(read["code"], read["name"])


def _entry(defined: ReturnDefinition) -> NewCalendarEntry:
    """The first period of a return that is not yet due: on its first day a new home has nothing late."""
    kind = defined.period_types[0]
    after, days = _DUE[kind]
    today = beijing_day(datetime.now(UTC).replace(tzinfo=None))
    period = _earliest(kind, today)
    while (period.start if after == "start" else period.end) + timedelta(days=days) < today:
        period = period.next()
    return NewCalendarEntry(defined.return_code, f"{defined.form} {defined.title}", period, period, after, days)  # type: ignore[arg-type]


def _earliest(kind: str, today: date) -> Period:
    """A period of the kind that ended long ago."""
    year = today.year - 1
    return parse_period(
        {
            "school_year": f"{year - 1}-{year}",
            "semester": f"{year - 1}-{year}S1",
            "calendar_year": f"{year}",
            "quarter": f"{year}Q1",
            "month": f"{year}-01",
        }[kind]
    )
