"""The rule catalogue: what every rule is called, how grave it is, what it says and how to mend it.

The rules stand in `expectations/`: `file.json` for what is wrong with a file as such, one suite in Great Expectations' own
JSON for each return, `cell_states.json` for the wording of what a cell is. The level-1a part of a suite (one expectation a
column) follows from the return's definition: `python -m pipelines.screening.rules` writes it anew, and a test holds both
against each other. It also adds, in the words of `routine.json`, a rule for whatever the definition declares and no rule asserts
yet; from then on that rule is written by hand, like everything else in a suite.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pipelines.periods import Period
from pipelines.returns import Column, Identity, ReturnDefinition, all_definitions, current_definitions
from pipelines.returns.definition import MISSING_LABELS
from pipelines.rule_files import definitions_folder, expectations_folder, read_once
from pipelines.screening.tabulate import READ_STATES, REPORTED_ELSEWHERE

Outcome = Literal["error", "query", "info"]
OUTCOMES: tuple[Outcome, ...] = ("error", "query", "info")
#: Levels at which a file is readable, its cells typed and its rows told apart: only what is judged beyond that can be waived.
WAIVABLE_LEVELS = frozenset(["1c", "2", "2b", "3", "4", "5"])


@dataclass(frozen=True)
class Rule:
    """One rule. `truth`: the derived column that it asserts; `state_of`: the column whose cell state it asserts.

    `valid_from`, `valid_to`: the days for which the rule is in force (see `is_valid_for`); None is no bound.
    `column`: where its finding points when the rule is about one column. `scope` context: it needs other periods or
    returns and is judged on `frame`, with the tolerances in `parameters`; everything else is judged on the file alone.
    """

    rule_id: str
    level: str
    outcome: Outcome
    message: str
    remedy: str
    column: str | None = None
    truth: str | None = None
    state_of: str | None = None
    scope: Literal["file", "context"] = "file"
    frame: str = "rows"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def is_waivable(self) -> bool:
        """Whether the bureau may let a filing pass that breaks the rule: what cannot be read, typed or told apart cannot be waived."""
        return self.level in WAIVABLE_LEVELS

    def is_valid_for(self, period: Period | None) -> bool:
        """Whether the rule is asked of a period: one whose last day lies in the rule's days, both included."""
        if period is None:
            return True
        return (self.valid_from is None or self.valid_from <= period.end) and (
            self.valid_to is None or period.end <= self.valid_to
        )

    @property
    def model(self) -> str:
        """The model that asks a rule across filings (`dbt_project/models/checks/<model>.sql`)."""
        return self.frame

    @property
    def question(self) -> str:
        """What a rule across filings is called in its model."""
        return self.truth or ""

    @property
    def asserted(self) -> str:
        """The frame column that the rule's expectation looks at."""
        return f"ok__{self.truth}" if self.truth else f"{self.state_of}__state"


@dataclass(frozen=True)
class Suite:
    """The expectations of one return, as Great Expectations reads them, and their rules."""

    return_code: str
    expectations: tuple[dict[str, Any], ...]
    rules: dict[str, Rule]

    def select(self, scope: str, frame: str = "rows", version: ReturnDefinition | None = None) -> list[dict[str, Any]]:
        """The expectations of one scope and frame; those that a version of the form has no column or identity for left out."""
        return [
            expectation
            for expectation in self.expectations
            if (rule := self.rules[expectation["meta"]["rule"]]).scope == scope
            and rule.frame == frame
            and (version is None or _applies(rule, version))
        ]


def _applies(rule: Rule, version: ReturnDefinition) -> bool:
    """False only for what another version of the form declares and this one does not: a slip of the pen still applies, and
    fails when it is evaluated."""
    others = [other for other in all_definitions() if other.return_code == version.return_code and other is not version]
    if rule.state_of:
        elsewhere = any(column.name == rule.state_of for other in others for column in other.columns)
        return not elsewhere or any(column.name == rule.state_of for column in version.columns)
    elsewhere = any(rule.truth in other.declared_truths for other in others)
    return not elsewhere or rule.truth in version.declared_truths


def _load(name: str) -> Any:
    return json.loads((expectations_folder() / f"{name}.json").read_text(encoding="utf-8"))


@read_once
def file_rules() -> dict[str, Rule]:
    """Rule id → rule, for what is wrong with a file as such."""
    return _catalogue("file")


@read_once
def reference_rules() -> dict[str, Rule]:
    """Rule id → rule, for the census as an external reference."""
    return _catalogue("census_2020")


@dataclass(frozen=True)
class Census:
    """A count of the country's people: the words by which a table names it, and the totals that were published (with servicemen and
    without)."""

    year: int
    name: str
    words: tuple[str, ...]
    national_totals: tuple[int, ...]

    def is_named_in(self, text: str) -> bool:
        """Whether a title names it; a year only where no further digit makes it part of another number."""
        return any(re.search(rf"(?<![0-9]){re.escape(word)}(?![0-9])", text) for word in self.words)

    def counted(self, total: int, share: Decimal) -> bool:
        """Whether a total of the country is this census's, give or take a share of it."""
        return any(abs(total - published) <= share * published for published in self.national_totals)


@read_once
def censuses() -> tuple[Census, ...]:
    """The censuses that a table may be of, that of the reference first."""
    return tuple(
        Census(one["year"], one["name"], tuple(one["words"]), tuple(one["national_totals"]))
        for one in _load("census_2020")["censuses"]
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _catalogue(name: str) -> dict[str, Rule]:
    return {
        entry["rule"]: Rule(
            entry["rule"],
            entry["level"],
            entry["outcome"],
            entry["message"],
            entry["remedy"],
            valid_from=_day(entry.get("valid_from")),
            valid_to=_day(entry.get("valid_to")),
        )
        for entry in _load(name)["rules"]
    }


@read_once
def cell_states() -> dict[str, str]:
    """Cell state → what the message says of the cell."""
    states: dict[str, str] = _load("cell_states")
    return states


@read_once
def suite(return_code: str) -> Suite:
    """The suite of a return. Raises KeyError when an expectation lacks its meta, so that no rule goes unnamed."""
    expectations = tuple(_load(return_code)["expectations"])
    rules = {}
    for expectation in expectations:
        meta = expectation["meta"]
        rules[meta["rule"]] = Rule(
            rule_id=meta["rule"],
            level=meta["level"],
            outcome=meta["outcome"],
            message=meta["message"],
            remedy=meta["remedy"],
            column=meta.get("column"),
            truth=meta.get("truth"),
            state_of=meta["column"] if "truth" not in meta else None,
            scope=meta.get("scope", "file"),
            frame=meta.get("frame", "rows"),
            parameters=meta.get("parameters", {}),
            valid_from=_day(meta.get("valid_from")),
            valid_to=_day(meta.get("valid_to")),
        )
    return Suite(return_code, expectations, rules)


def bounds_of(return_code: str, truth: str) -> Mapping[str, float]:
    """The parameters of the rule that asserts a truth. Raises LookupError when no rule does."""
    for rule in suite(return_code).rules.values():
        if rule.truth == truth:
            return rule.parameters
    raise LookupError(f"no rule of {return_code} asserts {truth}")


@read_once
def rule_set_version() -> str:
    """Twelve hex digits that change whenever a rule, a message or a definition does."""
    digest = hashlib.sha256()
    for path in [*sorted(expectations_folder().glob("*.json")), *sorted(definitions_folder().glob("*.yaml"))]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# --- level 1a, from the definitions -----------------------------------------------------------------------------------


def cell_expectation(defined: ReturnDefinition, column: Column) -> dict[str, Any]:
    """The level-1a expectation of a column: which states its cells may be in."""
    allowed = [state.value for state in (*READ_STATES, *REPORTED_ELSEWHERE)] + list(column.missing)
    if not column.required:
        allowed += ["blank", "not_applicable"] if "not_applicable" not in column.missing else ["blank"]
    wanted = _wanted(column)
    codes = "、".join(missing_in_words(defined, column))
    gap = " " if wanted[0].isdigit() else ""
    remedy = f"请填写{gap}{wanted}" + (f"；没有数据时填{codes}。" if codes else "。")
    if column.type == "date":
        remedy = f"请填写{wanted}；只知道年、月的，写成 2024-09 或 2024年9月，按该月 1 日读取。"
    return {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": f"{column.name}__state", "value_set": allowed},
        "severity": "critical",
        "meta": {
            "rule": f"{defined.form}-1a-{column.name}",
            "level": "1a",
            "outcome": "error",
            "column": column.name,
            "message": "“{column}”{stated}{problem}。",
            "remedy": remedy,
        },
    }


def missing_in_words(defined: ReturnDefinition, column: Column) -> list[str]:
    """What may stand for a number in a column, as a clerk is told it."""
    example = next((defined.column(name).label for name in defined.may_hold(column.name)), "")
    return [
        f"“{MISSING_LABELS[code]}”" + (f"加栏目名（如“并入{example}”）" if code == "included_elsewhere" else "")
        for code in column.missing
    ]


def _wanted(column: Column) -> str:
    unit = f"（{column.unit}）" if column.unit else ""
    if column.type == "count":
        top = f" 至 {column.max}" if column.max is not None else ""
        return f"不小于 {column.min} 的整数{unit}" if not top else f"{column.min}{top} 的整数{unit}"
    if column.type == "headcount":
        return f"不小于 0、至多一位小数的人数{unit}"
    if column.type == "money":
        return f"至多两位小数的金额{unit}，可为负" if column.signed else f"不小于 0、至多两位小数的金额{unit}"
    if column.type == "date":
        return "日期（如 2024-09-01）"
    if column.type == "code":
        return "以下之一：" + "、".join(column.choices)
    return column.pattern_hint or f"{column.label}（文字）"


def with_cell_expectations(return_code: str, written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A suite's expectations with its level-1a part made anew from the definitions: a rule for each column of any version."""
    by_hand = [expectation for expectation in written if not expectation["kwargs"]["column"].endswith("__state")]
    columns = {
        column.name: cell_expectation(defined, column)
        for defined in all_definitions()
        if defined.return_code == return_code
        for column in defined.columns
    }
    return [*columns.values(), *by_hand]


def with_routine_expectations(return_code: str, written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A suite's expectations and, for what the definition declares and nothing asserts yet (key, identities, total row, completeness,
    numbers as text or not reported), a rule in the words of `routine.json`. What is written stays as it is."""
    defined = current_definitions()[return_code]
    asserted = {expectation["kwargs"]["column"] for expectation in written}
    labels = {column.name: column.label for column in defined.columns}
    added = []
    for truth, words, at in _routine_truths(defined):
        if f"ok__{truth}" in asserted:
            continue
        given = dict(_load("routine")[words])
        identity = next((one for one in defined.identities if one.name == truth), None)
        said = {
            "key": "与".join(labels[name] for name in defined.key),
            "label": labels[at] if at else "",
            "right": _right_side(identity, labels) if identity else "",
            "terms": "、".join(f"“{labels[name]}”" for name in identity.terms) or "报告期" if identity else "",
        }
        rule = given.pop("rule", f"{defined.form}-{given['level']}-{truth.replace('_', '-')}")
        severity = {"error": "critical", "query": "warning", "info": "info"}[given["outcome"]]
        meta = {"rule": rule, **given, "truth": truth, **({"column": at} if at else {})}
        meta |= {name: given[name].format(**said) for name in ("message", "remedy")}
        added.append(
            {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": f"ok__{truth}", "value_set": [True]},
             "severity": severity, "meta": meta}
        )  # fmt: skip
    return [*written, *added]


def _routine_truths(defined: ReturnDefinition) -> Iterator[tuple[str, str, str | None]]:
    """(truth, its words in routine.json, the column that it is about) of what every definition of the kind is asked."""
    yield "unique_key", "unique_key", None
    for identity in defined.identities:
        yield identity.name, "equal" if identity.relation == "=" else "within", identity.left
    if defined.complete:
        yield "complete", "complete", defined.complete.column
    if defined.total_row:
        yield "total_row", "total_row", None
    if defined.number_columns:
        yield "text_number", "text_number", None
        yield "not_reported", "not_reported", None


def _right_side(identity: Identity, labels: Mapping[str, str]) -> str:
    """What an identity compares with, in words: “一年级”与“二年级”之和."""
    if identity.period_months:
        return "报告期的月数"
    names = [f"“{labels[name]}”" for name in identity.product or identity.sum]
    if identity.selector:
        return f"“{labels[identity.selector[0]]}”所定各列之和"
    if len(names) == 1 and not identity.minus:
        return names[0]
    text = "与".join(names) + ("之积" if identity.product else "之和" if len(names) > 1 else "")
    return text + (f"减去{'、'.join(f'“{labels[name]}”' for name in identity.minus)}" if identity.minus else "")


def write_suites() -> None:
    """Bring every suite up to date: its level-1a part, and a routine rule for whatever the definition declares and no rule asserts.

    A return without a suite gets one.
    """
    for return_code in current_definitions():
        path = expectations_folder() / f"{return_code}.json"
        content = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"name": return_code, "expectations": []}
        )
        written = with_cell_expectations(return_code, content["expectations"])
        content["expectations"] = with_routine_expectations(return_code, written)
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def form_label(return_code: str | None) -> str:
    """表: form number and title, as a finding names it; a reference, which is no form of ours, by its code."""
    defined = next((defined for defined in all_definitions() if defined.return_code == return_code), None)
    return f"{defined.form} {defined.title}" if defined else return_code or ""


if __name__ == "__main__":
    write_suites()
