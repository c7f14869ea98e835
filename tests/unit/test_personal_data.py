"""Numbers of persons are found by their check digits and never repeated; sums of money are left in peace."""

import time

import pytest
from bad_files import BANK_CARD, IDENTITY_NUMBER, IDENTITY_NUMBER_X, PHONE_NUMBER
from builders import SETTINGS, Draft, submission
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.screening.findings import shown
from pipelines.screening.identify import Observation, identify
from pipelines.screening.personal_data import (
    is_bank_card,
    is_identity_number,
    mask,
    mask_personal,
    personal_data,
    without_misspelt_codes,
)
from pipelines.screening.screen import screen
from pipelines.screening.workbook import Sheet, Workbook


def found(*texts: str | None) -> list[tuple[str, str, str]]:
    """(rule, cell, value) of everything found in a row of cells."""
    workbook = Workbook("xlsx", [Sheet("表", [list(texts)])])
    return [(seen.rule_id, seen.cell, seen.value) for seen in personal_data(workbook)]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (IDENTITY_NUMBER, "FILE-1a-identity-number"),
        (IDENTITY_NUMBER_X, "FILE-1a-identity-number"),
        (IDENTITY_NUMBER_X.lower(), "FILE-1a-identity-number"),
        (f"经办人{IDENTITY_NUMBER}，男", "FILE-1a-identity-number"),
        (f"经办人{IDENTITY_NUMBER_X}。", "FILE-1a-identity-number"),
        ("１４０９０２１９８５０１０１０００４", "FILE-1a-identity-number"),
        (PHONE_NUMBER, "FILE-1a-phone-number"),
        (f"电话：{PHONE_NUMBER}。", "FILE-1a-phone-number"),
        (f"+86{PHONE_NUMBER}"[3:], "FILE-1a-phone-number"),
        (BANK_CARD, "FILE-1a-bank-card"),
        (f"卡号{BANK_CARD}（工行）", "FILE-1a-bank-card"),
        ("138 0000 0000", "FILE-1a-phone-number"),
        ("138-0000-0000", "FILE-1a-phone-number"),
        ("+86 13800000000", "FILE-1a-phone-number"),
        ("+86 138 0000 0000", "FILE-1a-phone-number"),
        ("8613800000000", "FILE-1a-phone-number"),
        ("１３８－００００－００００", "FILE-1a-phone-number"),
        ("140902 19850101 0004", "FILE-1a-identity-number"),
        ("140902850101000", "FILE-1a-identity-number"),  # fifteen digits, as issued until 1999
        ("140902198501010000", "FILE-1a-identity-number"),  # what a spreadsheet leaves of one taken for a number
        ("1.40902198501010E+17", "FILE-1a-identity-number"),
        ("1.4090219850101e17", "FILE-1a-identity-number"),
        ("1.40902198501E+17", None),  # too little is left of it to name anyone
        ("6222 0200 0000 0000 000", "FILE-1a-bank-card"),
    ],
)
def test_a_number_of_a_person_is_found_in_any_company(text, rule):
    assert [entry[:2] for entry in found(text)] == ([(rule, "A1")] if rule else [])


@pytest.mark.parametrize(
    "text",
    [
        "928000.75",
        "13800000000.50",
        "12.13800000000",
        "1234567890123456",  # sixteen digits, no card: begins with 1
        "6222020000000000001",  # Luhn does not hold
        "140902198501010005",  # wrong check digit
        "140902198513010004",  # thirteenth month
        "12345678901",  # eleven digits, no mobile prefix
        "1409020001",  # a school
        "1,380,000,000,0",
        "2024-09-01",
        "2024-09-01 2025-08-31",
        "140902851301000",  # fifteen digits, thirteenth month
        "990902850101000",  # no such province
        "138,000,000,00",
        "1380 0000",
        "1234 5678 9012 3456",
        "6222 0200 0000 0000 001",
        "1.23456789012345E+17",
        "0350-3022331",
        "9" * 30,
        None,
        "",
    ],
)
def test_money_codes_and_landlines_are_left_in_peace(text):
    assert found(text) == []


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 10**15))
def test_money_with_cents_is_never_taken_for_a_person(cents):
    assert found(f"{cents // 100}.{cents % 100:02d}") == []


@pytest.mark.parametrize("position", range(17))
def test_one_wrong_digit_breaks_an_identity_number(position):
    digit = str((int(IDENTITY_NUMBER[position]) + 1) % 10)
    assert is_identity_number(IDENTITY_NUMBER)
    assert not is_identity_number(IDENTITY_NUMBER[:position] + digit + IDENTITY_NUMBER[position + 1 :])


def test_one_wrong_digit_breaks_a_card_number():
    assert is_bank_card(BANK_CARD)
    assert not any(is_bank_card(BANK_CARD[:-1] + str(digit)) for digit in range(10) if str(digit) != BANK_CARD[-1])


def test_several_numbers_of_a_kind_in_a_cell_are_one_thing_to_mend():
    assert found(None, f"{PHONE_NUMBER}、13900000000，{IDENTITY_NUMBER}") == [
        ("FILE-1a-phone-number", "B1", "138******00"),
        ("FILE-1a-identity-number", "B1", "140*************04"),
    ]


def test_hidden_sheets_are_searched_too():
    workbook = Workbook("xlsx", [Sheet("表", [["a"]]), Sheet("底稿", [[None], [None, PHONE_NUMBER]], hidden=True)])
    assert [(seen.sheet, seen.cell) for seen in personal_data(workbook)] == [("底稿", "B2")]


@pytest.mark.parametrize("number", [IDENTITY_NUMBER, IDENTITY_NUMBER_X, PHONE_NUMBER, BANK_CARD])
def test_a_masked_number_names_nobody(number):
    masked = mask(number)
    assert len(masked) == len(number) and masked[:3] == number[:3] and masked[-2:] == number[-2:]
    assert set(masked[3:-2]) == {"*"}


@pytest.mark.parametrize("number", [IDENTITY_NUMBER, IDENTITY_NUMBER_X, PHONE_NUMBER, BANK_CARD])
def test_a_finding_never_repeats_a_number_of_a_person(number):
    assert number not in shown(f"南关小学{number}")
    assert "南关小学" in shown(f"南关小学{number}")


def test_a_finding_repeats_a_countys_text_without_control_characters_or_length():
    assert shown("甲\x00乙\n丙") == "甲 乙 丙"
    assert len(shown("甲" * 1000)) == 200


def test_a_number_in_groups_is_masked_with_its_gaps_kept():
    assert mask("138 0000 0000") == "138 **** **00"
    assert shown("电话 138-0000-0000 转") == "电话 138-****-**00 转"
    assert mask_personal("花名册 138 0000 0000.xlsx") == "花名册 138 **** **00.xlsx"
    assert mask_personal("140902 19850101 0004") == "140*** ******** **04"


@pytest.mark.parametrize("count", range(1, 13))
def test_any_whole_number_of_at_most_ten_digits_is_left_in_peace(count):
    assert found(*(str(digit) * min(count, 10) for digit in range(1, 10))) == []


def test_a_code_with_a_digit_too_many_is_a_wrong_code_and_no_telephone(tmp_path):
    """Codes of this province begin like a mobile number; the column's own rule says what is wrong."""
    draft = Draft("enrolment")
    draft.rows[0]["school_code"] = "14090200011"
    result = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS)
    assert [(one.rule_id, one.cell) for one in result.findings] == [
        ("XB02-1a-school_code", draft.cell(0, "school_code"))
    ]
    assert "14090200011" not in result.findings[0].message + result.findings[0].value
    draft.rows[0]["school_code"] = PHONE_NUMBER
    result = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS)
    assert "FILE-1a-phone-number" in {one.rule_id for one in result.findings}


def test_names_of_files_and_sheets_are_masked_wherever_they_are_repeated(tmp_path):
    draft = Draft("enrolment", sheet="138 0000 0000")
    result = screen([submission(tmp_path, f"忻府区{PHONE_NUMBER}.xlsx", draft.xlsx())], SETTINGS)
    assert {one.rule_id for one in result.findings} == {"FILE-1a-phone-number"}
    everything = repr(result.findings) + repr(result.filings) + repr(result.cell_columns)
    assert PHONE_NUMBER not in everything and "138 0000 0000" not in everything


#: The first characters of SHA-256 digests and one whole, each with eleven digits in a row that would be a mobile number; the last
#: is sixteen characters with a run that passes for the fifteen digits of an old identity number.
OUR_HEX = [
    "14063697603e22d6",
    "9ae2bdd7beedc2e766c6b76585530e16925115707dc7a06ab5ee4aa2776b2c7b",
    "140902850101000a",
]


@pytest.mark.parametrize("number", OUR_HEX)
def test_receipt_numbers_and_digests_of_ours_are_nobodys(number, tmp_path):
    assert found(f"{number}z"), "or there would be nothing in it to take for a person"
    assert found(number, f"回执 {number}，见附件", f"{number}_回执") == []
    workbook = Workbook("xlsx", [Sheet(f"答复{number}", [])])
    assert list(personal_data(workbook, [f"{number}_标注_教师工资.xlsx"])) == []
    assert mask_personal(f"{number}_标注.xlsx") == f"{number}_标注.xlsx"


@pytest.mark.parametrize("number", OUR_HEX)
def test_a_number_of_a_person_beside_one_of_ours_is_found_and_masked(number):
    for text in (f"{number} {PHONE_NUMBER}", f"{PHONE_NUMBER}_{number}", f"{number}：{PHONE_NUMBER}、{number}"):
        assert found(text) == [("FILE-1a-phone-number", "A1", mask(PHONE_NUMBER))]
        assert mask_personal(text) == text.replace(PHONE_NUMBER, mask(PHONE_NUMBER))


@pytest.mark.parametrize(
    "text",
    [
        f"a{PHONE_NUMBER}",
        f"{PHONE_NUMBER}abcd",  # fifteen characters
        f"{PHONE_NUMBER}abcdef",  # seventeen
        f"{PHONE_NUMBER}ABCDE",  # we write small letters
        f"{PHONE_NUMBER}abcdg",
        f"z{PHONE_NUMBER}abcde",
        BANK_CARD[:16] if len(BANK_CARD) == 16 else BANK_CARD,
        IDENTITY_NUMBER,
    ],
)
def test_what_only_resembles_a_number_of_ours_hides_nobody(text):
    assert len(found(text)) == 1


def test_a_sheet_full_of_numbers_is_looked_through_in_time():
    """Every row of a long table holds one: what is asked of each must not look through all the others."""
    draft = Draft("enrolment")
    lines = [[None if value is None else str(value) for value in line] for line in draft.grid()]
    workbook = Workbook("xlsx", [Sheet("表", lines[:3] + [lines[3]] * 60_000)])
    table = identify(workbook, file_name="", counties=SETTINGS.counties, source_counties=[], periods={}).tables[0]
    place = table.columns["school_name"]
    seen = [Observation("FILE-1a-phone-number", "表", row, place) for row in table.data_rows]
    start = time.process_time()
    assert len(without_misspelt_codes(seen, workbook, [table])) == 60_000
    assert time.process_time() - start < 4
