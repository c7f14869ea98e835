"""Numbers of persons are found by their check digits and never repeated; sums of money are left in peace."""

import io
import time
from pathlib import Path

import openpyxl
import pytest
from bad_files import BANK_CARD, IDENTITY_NUMBER, IDENTITY_NUMBER_X, PHONE_NUMBER
from builders import SETTINGS, Draft, submission
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.screening.findings import shown
from pipelines.screening.identify import Observation, identify
from pipelines.screening.personal_findings import personal_observations, without_misspelt_codes
from pipelines.screening.screen import screen
from pipelines.workbooks.personal_data import (
    Where,
    is_bank_card,
    is_identity_number,
    mask,
    mask_personal,
    search,
)
from pipelines.workbooks.reader import read_file
from pipelines.workbooks.workbook import Sheet, Workbook, cell_address


def found(*texts: str | None) -> list[tuple[str, str, str]]:
    """(rule, cell, value) of everything found in a row of cells."""
    cells = [(Where("表", 0, column), text) for column, text in enumerate(texts) if text is not None]
    return [
        (rule_id, cell_address(where.row or 0, where.column or 0), value) for rule_id, value, where in search(cells)
    ]


def saved(book: openpyxl.Workbook) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def read(content: bytes, folder: Path, name: str = "报表.xlsx") -> Workbook:
    """The workbook as the reading process hands it on."""
    path = folder / name
    path.write_bytes(content)
    outcome = read_file(path, name, max_bytes=2**24, max_cells=100_000)
    assert isinstance(outcome, Workbook)
    return outcome


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


IDENTITY, P, C, D, M = (
    "FILE-1a-identity-number",
    "FILE-1a-phone-number",
    "FILE-1a-bank-card",
    "FILE-1a-travel-document",
    "FILE-1a-mail-address",
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        # Identity numbers: groups of any size, for date and check digit speak for themselves.
        ("140922 1900 0101 0015", IDENTITY),
        ("140922.19000101.0015", IDENTITY),
        ("140922-19000101-0015", IDENTITY),
        ("140922/1900/0101/0015", IDENTITY),
        ("1409 2219 0001 0100 15", IDENTITY),
        ("140 922 190 001 010 015", IDENTITY),
        ("140922、19000101、0015", IDENTITY),
        ("140922\n19000101\n0015", IDENTITY),
        ("140922\r\n1900\t0101 0015", IDENTITY),
        ("1 4 0 9 2 2 1 9 0 0 0 1 0 1 0 0 1 5", IDENTITY),
        ("1-4-0-9-2-2-1-9-0-0-0-1-0-1-0-0-1-5", IDENTITY),
        ("140922\u00b719000101\u00b70015", IDENTITY),
        ("140922\u3000190001010015", IDENTITY),
        ("\u200b".join("140922190001010015"), IDENTITY),
        ("\u2060".join("140922190001010015"), IDENTITY),
        ("1409221900\u00ad01010015", IDENTITY),
        ("140922\u202e190001010015", IDENTITY),
        ("\u0336".join("140922190001010015"), IDENTITY),
        ("①④⓪⑨②②①⑨⓪⓪⓪①⓪①⓪⓪①⑤", IDENTITY),
        ("¹⁴⁰⁹²²¹⁹⁰⁰⁰¹⁰¹⁰⁰¹⁵", IDENTITY),
        ("۱۴۰۹۲۲۱۹۰۰۰۱۰۱۰۰۱۵", IDENTITY),
        ("一四〇九二二一九〇〇〇一〇一〇〇一五", IDENTITY),
        ("14092219000101004x", IDENTITY),
        ("14092219000101004Ｘ", IDENTITY),
        ("14092219000101004Х", IDENTITY),  # Cyrillic
        ("140922 19000101 004-x", IDENTITY),
        ("张三14092219000101004X女", IDENTITY),
        ("ID140922190001010015abc", IDENTITY),
        ("G140922190001010015", IDENTITY),  # a pupil's number
        ("１４０９２２１９０００１０１００１５", IDENTITY),
        ("140922 000101 001", IDENTITY),
        ("140922190001010015①", IDENTITY),
        ("810000190001010018", IDENTITY),
        ("1.4092219000101E+17", IDENTITY),
        ("1.40922190001010e17", IDENTITY),
        ("91108419000101001X", IDENTITY),  # of a resident from abroad
        ("A123456(3)", IDENTITY),  # Hong Kong
        ("身份证 A123456789", IDENTITY),  # Taiwan
        ("140922190001010015.0", IDENTITY),  # as programs write a column of numbers with gaps
        # Telephones
        ("138 001 38000", P),
        ("138.0013.8000", P),
        ("(138)0013-8000", P),
        ("（138）00138000", P),
        ("138_0013_8000", P),
        ("138/0013/8000", P),
        ("138-00138000", P),
        ("1-3-8-0-0-1-3-8-0-0-0", P),
        ("138\n0013\n8000", P),
        ("008613800138000", P),
        ("0086 138 0013 8000", P),
        ("+86-138-0013-8000", P),
        ("（+86）13800138000", P),
        ("013800138000", P),
        ("138\u20600013\u20608000", P),
        ("１３８００１３８０００", P),
        ("١٣٨٠٠١٣٨٠٠٠", P),
        ("๑๓๘๐๐๑๓๘๐๐๐", P),
        ("𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎", P),
        ("一三八〇〇一三八〇〇〇", P),
        ("壹叁捌零零壹叁捌零零零", P),
        ("1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", P),
        ("填报员13800138000。", P),
        ("电话.13800138000", P),
        ("1、13800138000；2、13900139000", P),
        ("13800138000-8001", P),
        ("手机：13800 138000", P),
        ("手机 1380 0138 000", P),
        ("1.3800138E+10", P),
        ("13800138000.0", P),
        ("+852 9123 4567", P),
        ("00853-66123456", P),
        ("+886 912 345 678", P),
        ("Tel: +44 7700 900123", P),
        ("家庭电话：0350-3030000", P),
        ("住宅电话 3030000", P),
        # Cards
        ("6222.0000.0000.0000.012", C),
        ("6222-0000-0000-0000-012", C),
        ("6222000000000000012", C),
        ("622200 0000000000012", C),
        ("工资卡号 622 20000 0000 0000 012", C),
        ("6222000000000000000", C),  # what a spreadsheet leaves of one taken for a number
        ("6.222000000000000E+18", C),
        # Documents
        ("护照 E00000001", D),
        ("护照号码：E00000001", D),
        ("E00000001", D),
        ("EA0000001", D),
        ("G00000001", D),
        ("护照Ｅ０００００００１", D),
        ("护照 e0000 0001", D),
        ("passport no. 150000001", D),
        ("港澳居民来往内地通行证 H00000001", D),
        ("往来港澳通行证C00000001", D),
        ("往来台湾通行证：L00000001", D),
        ("台胞证 00000001", D),
        ("澳门居民身份证 10000000", D),
        ("澳门身份证号：1000000(0)", D),
        ("外国人永久居留证 USA110000000001", D),
        # Addresses
        ("zhangsan@example.com", M),
        ("填报员zhangsan@example.com。", M),
        ("zhang.san+a@mail.example.gov.cn", M),
        ("zhangsan＠example．com", M),
        ("zhangsan@exa\u200bmple.com", M),
        ("mailto:zhangsan@example.com?subject=x", M),
        ("zhangsan(at)example.com", M),
        ("zhangsan @ example.com", M),
        ("教师甲@例子.中国", M),
    ],
)
def test_every_way_to_write_something_of_a_person_is_one(text, rule):
    assert [entry[:2] for entry in found(text)] == ([(rule, "A1")] if rule else [])
    if rule:
        masked = mask_personal(text)
        assert masked != text and found(masked) == []
        assert found(text)[0][2].count("*") >= 3


@pytest.mark.parametrize(
    "text",
    [
        "联系电话 0350-3030000",
        "电话：（0350）3030000转8001",
        "+86-350-3030000",
        "400-800-1234",
        "1409220001、1409220002、1409220003",
        "1380013800",  # ten digits: a school
        "14090200011",  # eleven that begin like no mobile number
        "140922001001",
        "12140922MB0012345X",  # of an organisation
        "121409224061234567",
        "13,800,138,000",
        "138,001,380.00",
        "13800138000.00",
        "0.13800138000",
        "138.00138000",
        "人数分别为138、1001、2000人",
        "5998/4116/5596/5772",  # a list that passes for a card when it is read as one number
        "2024-09-01 08:30:15",
        "20240901083015",
        "2024年9月1日—2025年8月31日",
        "150-20240901",
        "2024.09.01-2025.08.31",
        "晋教发〔2024〕13号",
        "文号 E20240001",
        "合同编号：G00012345",
        "E20240901",
        "XB020001",
        "办理居住证 120000 人",
        "持有护照的外籍教师 12 人",
        "132-0350",
        "192.168.100.1",
        "1.3.6.1.4.1.311.2.1.12",
        "{6B29FC40-CA47-1067-B31D-00DD010662DA}",
        "6B29FC40CA471067B31D13800138000A",
        "2052-12.1.0.16729",
        "16.0300",
        "openpyxl",
        "Microsoft Excel",
        "张三",
        "WPS_1554870291",
        "=@SUM(A1:A2)",
        '_ * #,##0.00_ ;_ * -#,##0.00_ ;_ * "-"??_ ;_ @_ ',
        "单价@3.50",
        "6222 1000 2000 3000",
        "1234567890.12",
        "1.38001E+10",  # too little is left of it
    ],
)
def test_codes_amounts_dates_and_offices_are_left_in_peace(text):
    assert found(text) == []
    assert mask_personal(text) == text


def test_what_a_column_or_the_cell_before_is_called_speaks_for_the_number():
    header = [(Where("表", 0, 0), "姓名"), (Where("表", 0, 1), "通行证号")]
    rows = [(Where("表", 1, 0), "教师甲"), (Where("表", 1, 1), "M00000002")]
    assert [entry.rule_id for entry in search([*header, *rows])] == [D]
    assert list(search(rows)) == []
    beside = [(Where("表", 5, 0), "家庭电话"), (Where("表", 5, 1), "0350-3030000")]
    assert [(entry.rule_id, entry.value) for entry in search(beside)] == [(P, "035*-*****00")]
    assert list(search([(Where("表", 5, 0), "联系电话"), (Where("表", 5, 1), "0350-3030000")])) == []


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1", "138 ", "138-0013-", "E0", "护照 ", "电话 138 ", "a@", "@a.", "家庭电话", "1.3", "+1 ", "a-1.b@", "①"],
)
def test_a_long_text_is_searched_in_proportion_to_its_length(piece):
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        start = time.process_time()
        found(text)
        mask_personal(text)
        return time.process_time() - start

    seconds(1000)
    short, long = min(seconds(4_000) for _ in range(2)), seconds(32_000)
    assert long < 20 * short + 0.2


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


def test_hidden_sheets_are_searched_too(tmp_path):
    draft = Draft("enrolment")
    book = openpyxl.load_workbook(io.BytesIO(draft.xlsx()))
    hidden = book.create_sheet("底稿")
    hidden["B2"], hidden.sheet_state = PHONE_NUMBER, "veryHidden"
    workbook = read(saved(book), tmp_path)
    assert [(seen.sheet, seen.cell) for seen in personal_observations(workbook.personal)] == [("底稿", "B2")]


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
    "1fc17466542072fc",
    "a934c244755c66aebb0d6f9f5687038ffae8f00b00b28b4e17521016393f38b9",
    "140902850101000a",
]


@pytest.mark.parametrize("number", OUR_HEX)
def test_receipt_numbers_and_digests_of_ours_are_nobodys(number):
    assert found(f"{number}z"), "or there would be nothing in it to take for a person"
    assert found(number, f"回执 {number}，见附件", f"{number}_回执") == []
    assert list(personal_observations((), [f"{number}_标注_教师工资.xlsx"])) == []
    assert list(search([(Where(f"答复{number}", place="工作表名"), f"答复{number}")])) == []
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
