"""Units: which one a form asks for and which one a file says, and a figure that looks as if it stood in another.

Belongs here: reading a unit that is said beside the table; by which power of ten a figure is off what is expected of it, and how a
clerk says that. Silent unless it is one: a figure that is too large by 8 %, or by thirty times, stands in no other unit. Proposes;
nothing is ever converted.
"""

import re
from collections.abc import Iterable, Sequence

from pipelines.characters import normalise_label
from pipelines.returns import ReturnDefinition

#: How far from a power of ten, as a share of it, a figure may lie and still be taken for one.
NEAR = 0.2
#: Powers by which units differ; what a unit of so much is called.
_NAMES = {100: "百", 1_000: "千", 10_000: "万", 1_000_000: "百万", 100_000_000: "亿"}
FACTORS = tuple(_NAMES)

_MONEY_OR_PEOPLE = r"(?:人民币)?(?:[百千万]?亿|[十百千]?万|千|百|十)?(?:元|人次?)|[角分]"
_OTHER = r"所|个|名|岁|月|%|平方米|m2|㎡|台|册|件|辆|间|班|户|亩|公顷|套|节|次|星|学时|课时"
_UNIT = rf"(?:(?:{_MONEY_OR_PEOPLE}|{_OTHER})(?:/(?:人|月|年|人·月))?)"
_UNITS = rf"{_UNIT}(?:[、,;/和及与]{_UNIT})*"
_KIND = "(?:计量|计算|金额|货币|币种|数额|数据|统计|填列|填写|人数)?"
#: 单位：万元 within a line, and not 填报单位：元氏县: a unit ends where another thing is said, or the line does.
_SAID = re.compile(
    rf"{_KIND}单位[:为是]\(?(?P<units>{_UNITS})(?=$|[):;,.。]|[^\u4e00-\u9fffA-Za-z0-9%/·]|表号|填报|填表|报告期|报送|报出|行政区划|审核人|单位负责人|[12][0-9]{{3}}年)"
    rf"|以(?P<as>{_UNIT})为(?:计量|计算|金额)?单位"
)
_WHOLE = re.compile(rf"\(?{_KIND}单位[:为是]?\(?(?P<units>{_UNITS})\)*")
_LABEL = re.compile(rf"\(?{_KIND}单位[:)]*")
#: Before a unit in running text: that it is not this one; that it was another year's; that one is turned into another.
_DENIED = re.compile(r"(?:不[是再应得能要可宜用按]{0,2}|[并而绝]非|勿|没有)$")
_OF_ANOTHER_YEAR = re.compile(
    r"(?:^|:)(?:其中|而)?(?:上一?(?:学年|年|期|季)|去年|前年|往年|历年|以前年度)(?!.*(?:本年|今年|本期|均|都|一样|相同|一致))"
)
_TURNED = re.compile(r"(?<!已)[换折]算(?![为成后])")
_ENDS_A_TITLE = re.compile(rf".{{3,}}\((?P<units>{_UNITS})\)")


def units_said(text: str, beside: str | None = None, *, is_title: bool = False) -> list[str]:
    """The units that a cell beside a table says its numbers stand in: 单位：万元. Empty for 填报单位：五台县, and of running text for a
    unit that is denied, was that of another year, or is turned into another.

    `beside`: the next filled cell, where the unit stands when this one holds the label alone. `is_title`: whether a unit in
    brackets at the end speaks for the whole table.
    """
    plain = normalise_label(text)
    if not ("单位" in plain or (is_title and plain.endswith(")"))):
        return []
    if _LABEL.fullmatch(plain):
        match = re.fullmatch(rf"\(?(?P<units>{_UNITS})\)?", normalise_label(beside or ""))
    else:
        match = _WHOLE.fullmatch(plain) or (
            _ENDS_A_TITLE.fullmatch(plain) if is_title and "单位" not in plain else None
        )
    found = (
        [match["units"]]
        if match
        else [hit["units"] or hit["as"] for hit in _SAID.finditer(plain) if not _is_unsaid(plain[: hit.start()])]
    )
    return [unit.removeprefix("人民币") for units in found for unit in re.findall(_UNIT, units)]


def _is_unsaid(before: str) -> bool:
    """Whether what stands before a unit in a line takes it back."""
    clause = re.split(r"[,;。()]", before)[-1]
    return bool(
        _DENIED.search(clause) or _OF_ANOTHER_YEAR.search(clause) or _TURNED.search(before.rsplit("。", maxsplit=1)[-1])
    )


def asked_instead(said: Iterable[str], defined: ReturnDefinition, *, alone: bool = True) -> list[tuple[str, str]]:
    """(unit said, units that the form asks for) of each unit of money or people that no number of the form stands in.

    What else is counted (所, 个) leaves money and people as they are. `alone`: whether it is said of this form alone, so that yuan are
    wrong where the form counts people only; beside a unit that is right they are not.
    """
    units = list(dict.fromkeys(_base(one) for one in said))
    if not units:
        return []
    asked = {_base(column.unit) for column in defined.number_columns if column.unit}
    alone = alone and not asked & set(units)
    wrong = []
    for unit in units:
        alike = sorted(one for one in asked if _is_money(one) == _is_money(unit) and _is_measured(one))
        if not asked or not _is_measured(unit) or unit in asked:
            continue
        if alike or alone or unit not in ("元", "人"):
            wrong.append((unit, "、".join(alike or sorted(filter(_is_measured, asked)) or sorted(asked))))
    return wrong


def _base(unit: str) -> str:
    """元/人·月 → 元: in what the number is counted, per whatever."""
    return unit.split("/", maxsplit=1)[0].replace("人次", "人")


def _is_measured(unit: str) -> bool:
    return re.fullmatch(_MONEY_OR_PEOPLE, unit) is not None


def _is_money(unit: str) -> bool:
    return unit.endswith(("元", "角", "分"))


def too_small(factor: int, unit: str) -> str:
    """疑似以万元填报（相差约 10000 倍）: the figure would fit, were it `factor` times as large."""
    return _in_words([1 / factor], unit)


def too_large(factor: int, unit: str) -> str:
    """The figure would fit, were it divided by `factor`."""
    return _in_words([float(factor)], unit)


def _in_words(times: Sequence[float], unit: str) -> str:
    """`times`: what the figure may be of what it should be, all above 1 or all below."""
    if not times:
        return ""
    factors = [round(one if one > 1 else 1 / one) for one in times]
    by = " 或 ".join(map(str, factors))
    if times[0] < 1:
        return f"疑似以{'或'.join(f'{_NAMES[factor]}{unit}' for factor in factors)}填报（相差约 {by} 倍）"
    return "疑似以分填报（相差约 100 倍）" if unit == "元" and factors == [100] else f"疑似放大了约 {by} 倍"


def off_by(value: float, expected: float) -> float | None:
    """What a figure is of the one expected: one of FACTORS or 1 over one; None where it lies farther than NEAR from all of them."""
    if value <= 0 or expected <= 0:
        return None
    ratio = value / expected
    for factor in FACTORS:
        if abs(ratio / factor - 1) <= NEAR:
            return float(factor)
        if abs(ratio * factor - 1) <= NEAR:
            return 1 / factor
    return None


def suspected(value: float, expected: float, unit: str) -> str:
    """What a figure looks like beside the one that is expected; blank where it is off by no power of ten."""
    times = off_by(value, expected)
    return "" if times is None else _in_words([times], unit)


def suspected_within(value: float, low: float, high: float, unit: str, *, alone: bool = True) -> str:
    """The same where only a range is expected: blank for a figure that is less than ten times outside, and, with `alone`, where more than
    one factor would bring it inside; without it, all of them are named."""
    if value <= 0 or low <= 0 or (low <= value * 10 and value <= high * 10):
        return ""
    times = [1 / factor for factor in FACTORS if low <= value * factor <= high]
    times += [float(factor) for factor in FACTORS if low <= value / factor <= high]
    return "" if alone and len(times) > 1 else _in_words(times, unit)
