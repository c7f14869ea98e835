"""`xianbao rules`: what is asked of a return, in words, or as a suite that Great Expectations reads.

Belongs here: the table and the two formats. What a rule says is the business of its kind (`screening.checks`) and its catalogue.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pipelines.cli.naming import return_named
from pipelines.cli.terminal import complain, console, county_text, new_table, refuse, say, tell
from pipelines.files import replace_file
from pipelines.returns import ReturnDefinition, current_definitions, definition
from pipelines.screening.rules import OUTCOMES, Rule, checks_of, suite

FORMATS = ("table", "gx")
_OUTCOMES = {"error": ("错误", "error"), "query": ("核实", "query"), "info": ("提示", "info")}
_PLACEHOLDER = re.compile(r"\{\w+\}")


def show_rules(which: str | None, version: int | None, shape: str, out: Path | None) -> None:
    """Print the rules of a return, or how many each return has; with `gx` write its suite. Raises CatalogueError."""
    if shape not in FORMATS:
        refuse(say(f"没有格式“{shape}”。可选：{'、'.join(FORMATS)}", f"No format {shape}. Known: {', '.join(FORMATS)}"))
    if out is not None and shape != "gx":
        refuse(say("--out 只与 --format gx 一起用。", "--out goes with --format gx."))
    if which is None:
        _show_counts()
        return
    defined = return_named(which)
    if version is not None:
        try:
            defined = definition(defined.return_code, version)
        except KeyError:
            refuse(say(f"{defined.form} 没有第 {version} 版。", f"{defined.form} has no version {version}."))
    if shape == "gx":
        _write_suite(defined, out)
    else:
        _show(defined)


def _show_counts() -> None:
    table = new_table(
        say("审核规则", "Rules"), (say("表号", "Form"), "left"), (say("报表", "Return"), "left"),
        *((say(*_OUTCOMES[outcome]), "right") for outcome in OUTCOMES), (say("跨表", "Across filings"), "right"),
    )  # fmt: skip
    for code, defined in current_definitions().items():
        rules = suite(code).rules.values()
        counts = [str(sum(rule.outcome == outcome for rule in rules)) for outcome in OUTCOMES]
        across = str(sum(rule.is_across for rule in rules))
        table.add_row(defined.form, say(defined.title, defined.title_en), *counts, across)
    console.print(table)


def _show(defined: ReturnDefinition) -> None:
    table = new_table(
        say(f"{defined.form} {defined.title}：审核规则", f"{defined.form} {defined.title_en}: rules"),
        (say("规则", "Rule"), "left"), (say("等级", "Outcome"), "left"), (say("要求", "What is asked"), "left"),
        (say("不符时怎么改", "What to do"), "left"),
    )  # fmt: skip
    asked = {check.rule_id: say(str(check.description), in_english(check)) for check in checks_of(defined)}  # type: ignore[attr-defined]
    for rule in suite(defined.return_code).rules.values():
        if not rule.is_across and rule.rule_id not in asked:
            continue  # of a column that only another version has
        words = asked.get(rule.rule_id) or _across(rule)
        table.add_row(
            rule.rule_id, say(*_OUTCOMES[rule.outcome]), county_text(words), county_text(_filled(rule.remedy))
        )
    console.print(table)


def _across(rule: Rule) -> str:
    parameters = ", ".join(f"{name} = {value}" for name, value in rule.parameters.items())
    english = f"{rule.question} of {rule.model}" + (f": {parameters}" if parameters else "")
    return say(f"（跨表）不出现：{_filled(rule.message)}", f"(across filings) {english}")


def _filled(words: str) -> str:
    return _PLACEHOLDER.sub("××", words)


def in_english(check: Any) -> str:
    """The kind of a check in the words of its class, with its parameters in their places."""
    names = {field: name for name, field in check.called.items()}
    given = {
        names.get(field, field): value
        for field, value in check.parameters().items()
        if value not in (None, (), [], {}, "")
    }
    said = re.split(r"(?<=[.;]) ", " ".join((type(check).__doc__ or "").split()), maxsplit=1)[0].rstrip(";")
    told = set(re.findall(r"`(\w+)`", said)) & set(given)
    said = re.sub(r"`(\w+)`", lambda name: _plain(given[name[1]]) if name[1] in given else name[1], said)
    others = "; ".join(f"{name} = {_plain(value)}" for name, value in given.items() if name not in told)
    return f"{said} ({others})" if others else said


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + "; ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}"
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _write_suite(defined: ReturnDefinition, out: Path | None) -> None:
    from pipelines.screening.checks.suites import gx_suite

    text = json.dumps(gx_suite(defined).to_json_dict(), ensure_ascii=False, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            replace_file(out, text.encode())
        except OSError as error:
            refuse(say(f"写不进 {out}：{error.strerror}", f"Cannot write {out}: {error.strerror}"))
        tell(say(f"已写出 {out}。", f"Wrote {out}."))
    across = sum(rule.is_across for rule in suite(defined.return_code).rules.values())
    if across:
        complain(say(f"另有 {across} 条跨表规则由 dbt 模型回答，不在其中。",
                     f"{across} rules across filings are answered by dbt models and are not in it."))  # fmt: skip
