"""Every rule of the catalogue is broken by a file of its own, at the cell of the mistake, and by no faultless file."""

import re
import shutil

import pytest
from bad_files import BadFile, bad_files
from ruamel.yaml import YAML

from pipelines.returns import current_definitions
from pipelines.rule_files import expectations_folder
from pipelines.screening.checks import KINDS, MADE_FROM_DEFINITIONS
from pipelines.screening.rules import OUTCOMES, SEVERITIES, cell_states, checks_of, file_rules, rule_set_version, suite
from pipelines.screening.tabulate import READ_STATES, REPORTED_ELSEWHERE, CellState

CASES = bad_files()
RETURNS = sorted(current_definitions())


def catalogue(*, across: bool = False) -> set[tuple[str, str]]:
    """(whose catalogue, rule id) of every rule that a file alone can break, or that only several can (`across`)."""
    return {("file", rule_id) for rule_id in file_rules()} | {
        (code, rule.rule_id) for code in RETURNS for rule in suite(code).rules.values() if rule.is_across == across
    }


def _beside(case) -> dict[str, int]:
    """What a bad file cannot be made without: where the ages are all known, this rule is never broken alone."""
    return {"FILE-1a-not-reported": 1} if case.rule == "XB02-1c-official-age-within-total" else {}


def test_every_rule_has_exactly_one_bad_file():
    keys = [case.key for case in CASES]
    assert len(keys) == len(set(keys))
    assert set(keys) == catalogue()


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.owner}:{case.rule}" for case in CASES])
def test_a_bad_file_leads_to_its_one_finding_at_its_cell(screened_once, number):
    submission_id, case = list(screened_once.bad.items())[number]
    findings = [one for one in screened_once.findings(submission_id) if one.rule_id not in _beside(case)]
    assert [(finding.rule_id, finding.sheet, finding.cell) for finding in findings] == [
        (case.rule, case.sheet, case.cell)
    ]
    if case.value is not None:
        assert findings[0].value == case.value


def test_faultless_files_are_accepted_without_a_finding(screened_once):
    assert {finding.message for one in screened_once.good for finding in screened_once.findings(one)} == set()
    filings = [filing for one in screened_once.good for filing in screened_once.filings(one)]
    assert {filing.verdict for filing in filings} == {"accepted"}
    assert {filing.return_code for filing in filings} == set(RETURNS)
    assert len(filings) == 6 + 5 + 6


def test_the_verdict_follows_from_the_gravest_finding(screened_once):
    for submission_id, case in screened_once.bad.items():
        outcome = _rule(case).outcome
        expected = {"error": "rejected", "query": "accepted_with_queries", "info": "accepted"}[outcome]
        filings = screened_once.filings(submission_id)
        assert {filing.verdict for filing in filings} == {expected}, case.key
        assert sum(filing.errors_n + filing.queries_n + filing.infos_n for filing in filings) == 1 + len(
            _beside(case)
        ), case.key


def test_rows_of_a_rejected_file_are_not_handed_on(screened_once):
    rejected = {filing.submission_id for filing in screened_once.screening.filings if filing.verdict == "rejected"}
    assert rejected
    for return_code, rows in screened_once.screening.rows.items():
        assert set(rows["submission_id"]).isdisjoint(rejected), return_code
        assert not rows.is_empty(), return_code


def test_passes_are_counted_and_only_the_broken_rule_fails(screened_once):
    results = screened_once.screening.rule_results
    for submission_id, case in screened_once.bad.items():
        mine = [result for result in results if result[0] == submission_id]
        assert {result[4]: result[8] for result in mine if result[8]} == {case.rule: 1} | _beside(case), case.key
    good = [result for result in results if result[0] in screened_once.good]
    assert all(failed_n == 0 for *_, failed_n in good)
    judged = {(result[1], result[4]) for result in good if result[7]}
    assert judged >= {(code, rule) for owner, rule in catalogue() for code in RETURNS if owner == code}


def test_a_finding_has_an_id_of_its_own(screened_once):
    ids = [finding.finding_id for finding in screened_once.screening.findings]
    assert len(ids) == len(set(ids))


def test_a_file_has_one_verdict_a_return_county_and_period(screened_once):
    slots = [
        (filing.submission_id, filing.return_code, filing.county_code, filing.period)
        for filing in screened_once.screening.filings
    ]
    assert len(slots) == len(set(slots))


def test_messages_are_whole_sentences_without_gaps(screened_once):
    for finding in screened_once.screening.findings:
        for text in (finding.message, finding.remedy):
            assert text.endswith("。") and "{" not in text and "}" not in text and "（）" not in text, finding
            assert "“”" not in text, finding
            assert not re.search(r"为 [，。]|相差 [，。]|多 [，。]|\s{2}|None|nan", text), finding


def test_a_message_uses_only_words_that_findings_know():
    known = {"value", "stated", "expected", "difference", "detail", "problem", "cell", "column", "row"}
    rules = [*file_rules().values(), *(rule for code in RETURNS for rule in suite(code).rules.values())]
    for rule in rules:
        assert set(re.findall(r"\{(\w*)\}", rule.message + rule.remedy)) <= known, rule.rule_id


def test_a_remedy_says_what_to_do_and_a_query_both_ways_out():
    """请核对 alone leaves a clerk where the message did; what may be true needs the other way out."""
    for return_code in RETURNS:
        for rule in suite(return_code).rules.values():
            assert not re.match(r"请?(核对|核实|检查)", rule.remedy), rule.rule_id
            if rule.outcome == "query":
                assert "核实说明" in rule.remedy and re.search(r"重新报送|更正|改|删除|补报", rule.remedy), rule.rule_id


def test_choices_stand_once_and_codes_in_words():
    for rule in suite("school").rules.values():
        if rule.rule_id == "XB01-1a-location_code":
            assert "111" not in rule.message and "111（主城区）" in rule.remedy and "220（村庄）" in rule.remedy


def test_a_rule_says_its_level_and_outcome_in_known_terms():
    for owner, rule_id in catalogue() | catalogue(across=True):
        rule = file_rules()[rule_id] if owner == "file" else suite(owner).rules[rule_id]
        assert rule.outcome in OUTCOMES
        assert rule_id.split("-")[1] == rule.level
        form = current_definitions()[owner].form if owner != "file" else "FILE"
        assert rule_id.startswith((form, "FILE-"))


def test_the_severity_that_great_expectations_sees_is_the_outcome():
    for code in RETURNS:
        for check in checks_of(current_definitions()[code]):
            assert check.severity == SEVERITIES[suite(code).rules[check.rule_id].outcome], check.rule_id


def test_every_entry_is_a_check_or_a_rule_across_filings_and_ids_are_unique():
    seen: dict[str, str] = {}
    for code in RETURNS:
        entries = YAML(typ="safe").load(expectations_folder() / f"{code}.yaml")["rules"]
        defined = current_definitions()[code]
        generated = [check for check in checks_of(defined) if check.check in MADE_FROM_DEFINITIONS]
        assert len(generated) == len(defined.columns) + (2 if defined.number_columns else 0)
        assert len(suite(code).rules) == len(entries) + len(generated), code
        for entry in entries:
            assert seen.setdefault(entry["rule"], code) == code, entry["rule"]
            assert entry["check"] in KINDS or entry["check"] == "across", entry["rule"]


def test_every_kind_says_itself_what_it_computes_shows_and_says():
    for kind in KINDS.values():
        own = vars(kind)
        assert {"holds", "cells", "words", "excel"} <= set(own), kind.check
        assert own["holds"].__doc__ or kind.__doc__


def test_every_state_of_a_cell_that_can_be_refused_has_words():
    refused = set(CellState) - {*READ_STATES, *REPORTED_ELSEWHERE}
    assert set(cell_states()) == {state.value for state in refused}


def test_the_rule_set_version_changes_with_a_message(tmp_path, monkeypatch):
    before = rule_set_version()
    for path in expectations_folder().glob("*.yaml"):
        shutil.copy(path, tmp_path)
    changed = tmp_path / "file.yaml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("文件是空的", "文件为空"), encoding="utf-8")
    monkeypatch.setenv("XIANBAO_EXPECTATIONS", str(tmp_path))
    rule_set_version.cache_clear()
    try:
        assert rule_set_version() != before
    finally:
        monkeypatch.undo()
        rule_set_version.cache_clear()
    assert rule_set_version() == before


def _rule(case: BadFile):
    return file_rules()[case.rule] if case.owner == "file" else suite(case.owner).rules[case.rule]
