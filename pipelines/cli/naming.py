"""What a call names: returns, counties and periods, by whatever name a person knows them. A name nobody knows is refused with the
names that are known."""

from pipelines.cli.terminal import refuse, say
from pipelines.home import Home
from pipelines.municipality import County
from pipelines.periods import Period, parse_period, read_period_label
from pipelines.returns import ReturnDefinition, current_definitions, normalise_label


def return_named(which: str) -> ReturnDefinition:
    """By code (enrolment), form number (XB02) or Chinese title."""
    wanted = normalise_label(which)
    known = current_definitions()
    for code, defined in known.items():
        if wanted in (code, *defined.titles) or wanted.upper() == defined.form:
            break
    else:
        listed = "\n".join(f"  {one.form}  {code}  {one.title}" for code, one in known.items())
        refuse(say(f"没有报表“{which}”。可选：\n{listed}", f"No return {which}. Known:\n{listed}"))
    return defined


def county_named(home: Home, which: str) -> County:
    """By code, Chinese or English name."""
    for county in home.municipality.counties:
        if normalise_label(which) in (county.code, normalise_label(county.name), county.name_en):
            break
    else:
        listed = "、".join(f"{county.code} {county.name}" for county in home.municipality.counties)
        refuse(say(f"没有县区“{which}”。可选：{listed}", f"No county {which}. Known: {listed}"))
    return county


def period_named(text: str) -> Period:
    """By code (2024-2025) or label (2024-2025学年)."""
    try:
        return parse_period(text)
    except ValueError as error:
        period = read_period_label(text)
        if period is None:
            refuse(str(error))
        return period
