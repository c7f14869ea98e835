"""From entries of a catalogue to checks: the parameters of each kind, filled in and found fitting.

Belongs here: what follows from a definition (level 1a), groups of columns for lists of them, and what is wrong with parameters, in words.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from great_expectations.compatibility import pydantic

from pipelines.returns import ReturnDefinition
from pipelines.screening.checks import KINDS, MADE_FROM_DEFINITIONS
from pipelines.screening.checks.check import Check, Mistake, Words
from pipelines.screening.checks.form import Form
from pipelines.screening.rules import SEVERITIES, Catalogue, Entry
from pipelines.yaml_mistakes import did_you_mean, told


def generated(defined: ReturnDefinition) -> Iterator[Check]:
    """Level 1a: what each column may hold, and numbers that are typed as text or not reported."""
    for column in defined.columns:
        yield _made(Entry(rule=f"{defined.form}-1a-{column.name}", check="reads_as"), defined, {"column": column.name})
    if defined.number_columns:
        for kind in ("text_number", "not_reported"):
            rule = f"FILE-1a-{kind.replace('_', '-')}"
            yield _made(Entry(rule=rule, check=kind, outcome="info"), defined, {})


def checks_in(catalogue: Catalogue, defined: ReturnDefinition, others: Sequence[ReturnDefinition]) -> Iterator[Check]:
    """The checks of a catalogue that apply to a version; mistakes are reported there."""
    elsewhere = {column.name for other in others for column in other.columns}
    form = Form(defined)
    for number, entry in catalogue.entries.items():
        if entry.check in (None, "across"):
            continue
        kind = KINDS.get(str(entry.check))
        if kind is None or kind.check in MADE_FROM_DEFINITIONS:
            known = [*(name for name in KINDS if name not in MADE_FROM_DEFINITIONS), "across"]
            catalogue.report(
                number, "check", f"没有“{told(entry.check)}”这种检查", did_you_mean(str(entry.check), known)
            )
            continue
        check = _of_entry(catalogue, number, entry, kind, defined)
        if check is None:
            continue
        lacking = {
            parameter: [one for one in names if one not in form.names] for parameter, names in check.reads().items()
        }
        unknown = [(p, one) for p, names in lacking.items() for one in names if one not in elsewhere]
        for parameter, name in unknown:
            remedy = did_you_mean(name, sorted(form.names | elsewhere))
            catalogue.report(number, _written(kind, parameter), f"没有“{told(name)}”这一列", remedy)
        for mistake in check.mistakes(form):
            catalogue.report(
                number, _written(kind, mistake.parameter), mistake.args[0].partition(": ")[2], mistake.remedy
            )
        if not any(lacking.values()) and not catalogue.tree.problems:
            yield _worded(check, entry, form)
    if not catalogue.tree.problems:
        _whole(catalogue, defined)


def _whole(catalogue: Catalogue, defined: ReturnDefinition) -> None:
    """Report what no return goes without: two rows of one key would be two figures of one thing, a total row nobody added up."""
    asked = {(entry.check, tuple(entry.parameters.get("columns", ()))) for entry in catalogue.entries.values()}
    if not asked & {("unique_key", ()), ("unique_key", defined.key)}:
        line = f"{{rule: {defined.form}-1b-unique-key, check: unique_key}}"
        catalogue.tree.report(("rules",), "没有规则查关键字重复的行", f"补上一条：- {line}")
    if defined.total_row and "total_row" not in {check for check, _ in asked}:
        line = f"{{rule: {defined.form}-1c-total-row, check: total_row}}"
        catalogue.tree.report(("rules",), "表里有合计行，没有规则核对它", f"补上一条：- {line}")


def _of_entry(
    catalogue: Catalogue, number: int, entry: Entry, kind: type[Check], defined: ReturnDefinition
) -> Check | None:
    """The check of an entry, not yet worded; None where its parameters are none of its kind."""
    fields = _fields(kind)
    given: dict[str, Any] = {}
    for key, value in entry.parameters.items():
        if key not in fields:
            catalogue.report(number, key, f"“{entry.check}”没有“{key}”这一项", did_you_mean(key, fields))
        else:
            given[fields[key]] = _filled(kind, fields[key], value, defined)
    try:
        return kind(**given)
    except pydantic.ValidationError as error:
        for one in error.errors():
            key = _written(kind, str(one["loc"][0]))
            wrong, remedy = _in_words(key, one, entry.parameters.get(key))
            catalogue.report(number, key, wrong, remedy)
    except (TypeError, ValueError) as error:
        catalogue.report(number, "check", f"参数不能用（{told(str(error))}）", "对照 docs/rules.md 改正")
    return None


def _fields(kind: type[Check]) -> dict[str, str]:
    """What a parameter is called in a catalogue → the field of the class."""
    own = {
        name
        for one in kind.__mro__
        if one.__module__.startswith(__package__ or "")
        for name in vars(one).get("__annotations__", {})
    }
    fields = {name: name for name in kind.__fields__ if name in own}  # type: ignore[attr-defined]
    return {**fields, **_of_gx(kind), **kind.called}


def _of_gx(kind: type[Check]) -> dict[str, str]:
    """The fields that GX's own class asks for and our class does not rename."""
    renamed = set(kind.called.values())
    return {
        name: name
        for name in ("column", "regex")
        if name in kind.__fields__ and name not in renamed  # type: ignore[attr-defined]
    }


def _written(kind: type[Check], parameter: str) -> str:
    return next((key for key, name in kind.called.items() if name == parameter), parameter)


def _filled(kind: type[Check], name: str, value: Any, defined: ReturnDefinition) -> Any:
    """A value as the class takes it: a group for the columns in it, 0..17 for the numbers, one code for a list of one."""
    groups: dict[str, tuple[str, ...]] = {}
    for column in defined.columns:
        if column.group:
            groups[column.group] = (*groups.get(column.group, ()), column.name)
    if name in ("parts", "less", "of", "per", "columns", "group", "values") and isinstance(value, str):
        if name == "values" and ".." in value:
            first, _, last = value.partition("..")
            return tuple(range(int(first), int(last) + 1)) if first.isdigit() and last.isdigit() else value
        if value in groups:
            return groups[value]
        if kind.__fields__[name].outer_type_ is not str:  # type: ignore[attr-defined]
            return (value,)
    if isinstance(value, Mapping) and name in ("where", "when", "parts", "columns"):
        return {str(key): (one,) if isinstance(one, str) else one for key, one in value.items()}
    return Decimal(str(value)) if name == "tolerance" and isinstance(value, float) else value


def _made(entry: Entry, defined: ReturnDefinition, parameters: dict[str, Any]) -> Check:
    return _worded(KINDS[str(entry.check)](**parameters), entry, Form(defined))


def _worded(check: Check, entry: Entry, form: Form) -> Check:
    """The check with what its rule is and says: `meta`, `severity`, `description`."""
    words: Words = check.words(form)
    meta = {
        "rule": entry.rule,
        "level": entry.level,
        "outcome": entry.given_outcome,
        "message": entry.say or words.message,
        "remedy": entry.mend or words.remedy,
        "return": form.defined.return_code,
        "version": form.defined.version,
        **{name: day.isoformat() for name in ("valid_from", "valid_to") if (day := getattr(entry, name))},
    }
    check.meta = meta  # type: ignore[attr-defined]
    check.severity = SEVERITIES[entry.given_outcome]  # type: ignore[attr-defined]
    rule = form.of_rows(getattr(check, "where", None) or {}) + words.rule
    check.description = rule.replace("{{", "{").replace("}}", "}")  # type: ignore[attr-defined]
    return check


_OF_TYPE = {
    "integer": ("应是整数", "填半角整数，不加引号和单位"),
    "float": ("应是数字", "填半角数字，不加引号和单位"),
    "decimal": ("应是数字", "填半角数字"),
    "str": ("应是文字", "给它加上半角双引号"),
    "list": ("应是列表", "写成 [列, 列]"),
    "tuple": ("应是列表", "写成 [列, 列]"),
    "dict": ("应是“键: 值”的形式", "写成 {代码: [列, 列]}"),
    "bool": ("应是 true 或 false", "填 true 或 false"),
}


def _in_words(key: str, error: Mapping[str, Any], value: Any) -> tuple[str, str]:
    """What pydantic (the version of GX) complains of, and what to do."""
    kind = str(error["type"])
    inner = ".".join(str(one) for one in error["loc"][1:])
    of = f"{key} 里的 {inner} " if inner else f"{key} "
    if kind.endswith("missing"):
        missing = inner.split(".")[-1] if inner else key
        return f"缺少“{missing}”", f"补上 {missing}:"
    if kind.endswith("extra"):
        return f"{of}不认识", "删去它，或改正写法"
    for name, (wrong, remedy) in _OF_TYPE.items():
        if kind.startswith(f"type_error.{name}"):
            return f"{of}{wrong}，现为“{told(value)}”", remedy
    return f"{of}的值“{told(value)}”不合要求", "对照 docs/rules.md 改正"


__all__ = ["Mistake", "checks_in", "generated"]
