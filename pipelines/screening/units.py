"""A figure that stands in another unit than its form asks for: what it looks like. Proposes; nothing is ever converted."""

#: Times too small or too large → how a clerk would say the unit.
_NAMES = {10_000: "万", 1_000: "千", 100: "百"}
FACTORS = tuple(_NAMES)


def too_small(factor: int, unit: str) -> str:
    """疑似以万元填报: the figure would fit, were it `factor` times as large."""
    return f"疑似以{_NAMES[factor]}{unit}填报"


def too_large(factor: int, unit: str) -> str:
    """The figure would fit, were it divided by `factor`."""
    return "疑似以分填报" if (factor, unit) == (100, "元") else f"疑似放大了 {factor} 倍"


def suspected(value: float, low: float, high: float, unit: str) -> str:
    """What a figure outside [low, high] looks like when a factor brings it inside; blank when none does."""
    for factor in FACTORS:
        if low <= value * factor <= high:
            return too_small(factor, unit)
        if low <= value / factor <= high:
            return too_large(factor, unit)
    return ""
