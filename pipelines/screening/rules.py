"""The catalogue of rules: what every rule asks, how grave it is, what it says and how to mend it.

The rules stand in `expectations/`: one catalogue a return, `file.yaml` for what is wrong with a file as such, `census_2020.yaml` for the
census as a reference, `cell_states.yaml` for what a cell is said to be. Level 1a of a return, one rule a column, follows from its
definition and stands nowhere. Belongs here: reading the catalogues and refusing what is wrong in them, all at once with line and remedy.
How a kind of check is computed, worded and shown is in `checks`, which imports Great Expectations and is imported only where a rule's
words or computation are asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.periods import Period
from pipelines.returns import ReturnDefinition, all_definitions, current_definitions
from pipelines.rule_files import catalogue_file, catalogue_files, definition_files, read_once
from pipelines.yaml_mistakes import YamlMistakes, YamlTree, did_you_mean, plain, told

if TYPE_CHECKING:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    from pipelines.screening.checks import Check

Outcome = Literal["error", "query", "info"]
OUTCOMES: tuple[Outcome, ...] = ("error", "query", "info")
SEVERITIES: dict[str, str] = {"error": "critical", "query": "warning", "info": "info"}
#: Levels at which a file is readable, its cells typed and its rows told apart: only what is judged beyond that can be waived.
WAIVABLE_LEVELS = frozenset(["1c", "2", "2b", "3", "4", "5"])
_RULE_ID = re.compile(r"^(?P<form>[A-Z]+[0-9]{0,2})-(?P<level>[0-9][a-z]?)-[a-z0-9_-]+$")
_EXAMPLE = " docs/rules.md"
_CALLED = "规则文件"


class CatalogueError(YamlMistakes):
    """Rules that cannot be used; `problems` holds every mistake with file, line and remedy."""


@dataclass(frozen=True)
class Rule:
    """One rule. `message` and `remedy` hold placeholders for what a finding fills in.

    `valid_from`, `valid_to`: the days for which the rule is in force (see `is_valid_for`); None is no bound. `of_the_table`: it speaks of
    a table as a whole. Of a rule across filings: the `model` that answers it, its `question` there, its tolerances (`parameters`), and
    the `column` to which its finding points; it is judged with the other periods or returns at hand.
    """

    rule_id: str
    level: str
    outcome: Outcome
    message: str
    remedy: str
    valid_from: date | None = None
    valid_to: date | None = None
    of_the_table: bool = False
    model: str | None = None
    question: str = ""
    column: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_waivable(self) -> bool:
        """Whether the bureau may let a filing pass that breaks the rule: what cannot be read, typed or told apart cannot be waived."""
        return self.level in WAIVABLE_LEVELS

    @property
    def is_across(self) -> bool:
        """Whether it is judged across filings, after landing; every other rule is judged on the file alone."""
        return self.model is not None

    def is_valid_for(self, period: Period | None) -> bool:
        """Whether the rule is asked of a period: one whose last day lies in the rule's days, both included."""
        if period is None:
            return True
        return (self.valid_from is None or self.valid_from <= period.end) and (
            self.valid_to is None or period.end <= self.valid_to
        )


class Entry(BaseModel):
    """One entry of a catalogue; what else stands in it are the parameters of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")

    rule: str
    check: str | None = None
    outcome: Outcome | None = None
    say: str | None = Field(default=None, min_length=1)
    mend: str | None = Field(default=None, min_length=1)
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def level(self) -> str:
        match = _RULE_ID.match(self.rule)
        return match["level"] if match else ""

    @property
    def given_outcome(self) -> Outcome:
        """As written; else an error at the levels of one file, and a query beyond."""
        return self.outcome or ("error" if self.level[:1] in ("0", "1") else "query")

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def as_rule(self, message: str, remedy: str, **more: Any) -> Rule:
        """The rule, in its own words where it has any."""
        return Rule(
            self.rule, self.level, self.given_outcome, self.say or message, self.mend or remedy, self.valid_from,
            self.valid_to, **more,
        )  # fmt: skip


@dataclass
class Catalogue:
    """A file of rules as it was read: entry number → entry, and the tree that knows its lines."""

    tree: YamlTree
    entries: dict[int, Entry]

    def report(self, number: int, key: str, message: str, remedy: str) -> None:
        self.tree.report(("rules", number, key), f"{self.entries[number].rule}：{message}", remedy)

    def refuse(self) -> None:
        """Raise CatalogueError with what was reported so far, if anything."""
        if self.tree.problems:
            raise CatalogueError(self.tree.problems)


def _read(name: str, prefixes: tuple[str, ...], others: tuple[str, ...] = ()) -> Catalogue:
    """A catalogue with what is wrong in its shape reported. Raises CatalogueError where nothing can be read."""
    path = catalogue_file(name)
    try:
        tree = YamlTree.read(
            path,
            called=_CALLED,
            missing="每张报表在 expectations/ 下有一份规则文件，没有规则的写 rules: []",
            example=_EXAMPLE,
        )
    except YamlMistakes as error:
        raise CatalogueError(error.problems) from None
    for key in tree.tree:
        if key not in ("rules", *others):
            tree.report((key,), f"不认识的一节“{key}”", did_you_mean(str(key), ("rules", *others)))
    written = tree.tree.get("rules")
    if not isinstance(written, list):
        tree.report(("rules",), "rules 应是列表", "在 rules: 下每条规则以“- ”开头；没有规则的写 rules: []")
        written = []
    found = {number: tree.validated(one, Entry, ("rules", number)) for number, one in enumerate(written)}
    catalogue = Catalogue(tree, {number: entry for number, entry in found.items() if entry})
    first: dict[str, int] = {}
    for number, entry in catalogue.entries.items():
        match = _RULE_ID.match(entry.rule)
        if not match or match["form"] not in prefixes:
            catalogue.report(
                number, "rule", "规则编号写法不对", f"写成 {prefixes[0]}-级别-名称，如 {prefixes[0]}-1c-total-row"
            )
        if first.setdefault(entry.rule, number) != number:
            line = tree.line(("rules", first[entry.rule]))
            catalogue.report(number, "rule", f"与第 {line} 行的规则编号重复", "改用另一个编号，或删去其中一条")
        if entry.valid_from and entry.valid_to and entry.valid_from > entry.valid_to:
            catalogue.report(number, "valid_to", "失效日早于生效日", "改正 valid_from 或 valid_to")
        for key, words in (("say", entry.say), ("mend", entry.mend)):
            if words and (stray := re.search(r"[{}]", re.sub(r"\{[a-z_]+\}", "", words))):
                catalogue.report(number, key, f"“{stray[0]}”不成对", "占位写成 {value} 这样的英文名，整句加半角引号")
    return catalogue


def _without_kinds(name: str, prefix: str, others: tuple[str, ...] = ()) -> Catalogue:
    """A catalogue of rules that the program itself raises: each says what it says."""
    catalogue = _read(name, (prefix,), others)
    for number, entry in catalogue.entries.items():
        for key in ("say", "mend"):
            if getattr(entry, key) is None:
                catalogue.report(number, key, f"没有写 {key}", f"补上 {key}:")
        for key in (["check"] if entry.check else []) + list(entry.parameters):
            catalogue.report(number, key, f"这类规则没有“{key}”一项", "删去它")
    catalogue.refuse()
    return catalogue


@read_once
def file_rules() -> dict[str, Rule]:
    """Rule id → rule, for what is wrong with a file as such."""
    return {one.rule: one.as_rule("", "") for one in _without_kinds("file", "FILE").entries.values()}


@read_once
def reference_rules() -> dict[str, Rule]:
    """Rule id → rule, for the census as an external reference."""
    return {
        one.rule: one.as_rule("", "") for one in _without_kinds("census_2020", "CENSUS", ("censuses",)).entries.values()
    }


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
    written: Any = plain(_without_kinds("census_2020", "CENSUS", ("censuses",)).tree.tree["censuses"])
    return tuple(
        Census(one["year"], one["name"], tuple(map(str, one["words"])), tuple(one["national_totals"]))
        for one in written
    )


@read_once
def cell_states() -> dict[str, str]:
    """Cell state → what the message says of the cell. Raises CatalogueError."""
    path = catalogue_file("cell_states")
    try:
        tree = YamlTree.read(path, called=_CALLED, missing="从程序的发布包里恢复它", example=_EXAMPLE)
    except YamlMistakes as error:
        raise CatalogueError(error.problems) from None
    return {str(state): str(words) for state, words in tree.tree.items()}


# --- a return ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suite:
    """The rules of one return: those of its newest version, with those of columns that only an older one has."""

    return_code: str
    rules: dict[str, Rule]

    @cached_property
    def in_file(self) -> dict[str, Rule]:
        return {rule_id: rule for rule_id, rule in self.rules.items() if not rule.is_across}


def _versions(return_code: str) -> list[ReturnDefinition]:
    return [defined for defined in all_definitions() if defined.return_code == return_code]


@read_once
def _catalogue(return_code: str) -> Catalogue:
    """A return's catalogue, whole or refused. Whether the parameters of kinds fit is found by `_checked`."""
    catalogue = _shaped(return_code)
    if catalogue.tree.problems:
        _with_kinds(catalogue, return_code)  # a clerk mends all of it at once
    catalogue.refuse()
    return catalogue


def _shaped(return_code: str) -> Catalogue:
    form = current_definitions()[return_code].form
    catalogue = _read(return_code, (form,), ("return",))
    written = catalogue.tree.tree.get("return")
    if written != return_code:
        catalogue.tree.report(
            ("return",), f"return 写的是“{told(written)}”", f"写成 return: {return_code}，与文件名一致"
        )
    for number, entry in catalogue.entries.items():
        if entry.check is None:
            catalogue.report(number, "check", "没有写明是哪一种检查", "补上 check:，各种检查见 docs/rules.md")
        elif entry.check == "across":
            _check_across(catalogue, number, entry, return_code)
    return catalogue


def _check_across(catalogue: Catalogue, number: int, entry: Entry, return_code: str) -> None:
    for key in ("model", "question"):
        if not isinstance(entry.parameters.get(key), str):
            catalogue.report(number, key, f"没有写 {key}", "model 是回答它的模型，question 是它在模型里的名字")
    for key in ("say", "mend"):
        if getattr(entry, key) is None:
            catalogue.report(number, key, f"没有写 {key}", f"跨表的规则自己说明：补上 {key}:")
    if entry.given_outcome == "error":
        catalogue.report(number, "outcome", "跨表的规则只能提问，不能拒收", "写 outcome: query 或 info")
    column = entry.parameters.get("column")
    known = {one.name for defined in _versions(return_code) for one in defined.columns}
    if column is not None and column not in known:
        catalogue.report(number, "column", f"没有“{told(column)}”这一列", did_you_mean(str(column), known))


def across_rules(return_code: str) -> dict[str, dict[str, Rule]]:
    """Model → question → rule, of a return's rules across filings. Raises CatalogueError."""
    found: dict[str, dict[str, Rule]] = {}
    for entry in _catalogue(return_code).entries.values():
        if entry.check == "across":
            rule = _across(entry)
            found.setdefault(rule.model or "", {})[rule.question] = rule
    return found


def _across(entry: Entry) -> Rule:
    parameters = entry.parameters
    known = {key: parameters.pop(key, None) for key in ("model", "question", "column")}
    return entry.as_rule("", "", parameters=parameters, **known)


@read_once
def suite(return_code: str) -> Suite:
    """The rules of a return in the order of its columns and its catalogue. Raises CatalogueError."""
    rules: dict[str, Rule] = {}
    for defined in _versions(return_code):
        rules |= {check.rule_id: rule_of(check) for check in checks_of(defined)}
    across = {
        entry.rule: _across(entry) for entry in _catalogue(return_code).entries.values() if entry.check == "across"
    }
    return Suite(return_code, rules | across)


def level_of(rule_id: str) -> str | None:
    """The level of a rule of files or of any return; None of one that is not there. Imports no kind. Raises CatalogueError."""
    known = {
        *file_rules(),
        *(entry.rule for code in current_definitions() for entry in _catalogue(code).entries.values()),
    }
    known |= {f"{defined.form}-1a-{column.name}" for defined in all_definitions() for column in defined.columns}
    match = _RULE_ID.match(rule_id)
    return match["level"] if match and rule_id in known else None


def checks_of(defined: ReturnDefinition) -> tuple[Check, ...]:
    """What is asked of the rows of one version of a form: level 1a out of the definition, then the catalogue, entries left out of which it
    lacks a column that another version has. Raises CatalogueError."""
    known = next((one for one in all_definitions() if one is defined), None)
    return _remembered(defined.return_code, defined.version) if known else _made(defined)


@read_once
def _remembered(return_code: str, version: int) -> tuple[Check, ...]:
    return _made(next(one for one in _versions(return_code) if one.version == version))


@read_once
def configurations(return_code: str, version: int) -> tuple[ExpectationConfiguration, ...]:
    """The same as GX runs them."""
    return tuple(check.configuration for check in _remembered(return_code, version))  # type: ignore[attr-defined]


def _made(defined: ReturnDefinition) -> tuple[Check, ...]:
    catalogue = _catalogue(defined.return_code)
    checks = _with_kinds(catalogue, defined.return_code, defined)
    catalogue.refuse()
    return tuple(checks)


def _with_kinds(catalogue: Catalogue, return_code: str, version: ReturnDefinition | None = None) -> list[Check]:
    """The checks of a version (the newest where none is named), with what is wrong in the parameters of any version's reported once."""
    from pipelines.screening.checks.reading import checks_in, generated

    newest = current_definitions()[return_code]
    defined = version or newest
    others = [one for one in _versions(return_code) if one is not defined]
    return [*generated(defined), *checks_in(catalogue, defined, others)]


def rule_of(check: Check) -> Rule:
    """The rule of a check, worded in the labels of its form; raises KeyError when it was made without `meta`."""
    meta: Mapping[str, Any] = check.meta or {}  # type: ignore[attr-defined]
    return Rule(
        meta["rule"], meta["level"], meta["outcome"], meta["message"], meta["remedy"], _day(meta.get("valid_from")),
        _day(meta.get("valid_to")), check.of_the_table,
    )  # fmt: skip


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@read_once
def rule_set_version() -> str:
    """Twelve hex digits that change whenever a rule, a message or a definition does."""
    digest = hashlib.sha256()
    for path in rule_files():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def rule_files() -> list[Path]:
    """Every file that says what is asked: catalogues, then definitions."""
    return [*catalogue_files(), *definition_files()]


def form_label(return_code: str | None) -> str:
    """表: form number and title, as a finding names it; a reference, which is no form of ours, by its code."""
    defined = next((defined for defined in all_definitions() if defined.return_code == return_code), None)
    return f"{defined.form} {defined.title}" if defined else return_code or ""
