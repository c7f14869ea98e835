"""Which characters are one and the same to us: as a clerk sees them, never more than the other width of a keyboard."""

import sys
import time
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.characters import (
    BLANKS,
    ENDS,
    FOLDS,
    INVISIBLE,
    LONGEST_LABEL,
    folded,
    folded_name,
    is_blank,
    is_digits,
    normalise_label,
    searchable,
    strange,
    unseen,
    visible,
)
from pipelines.screening.tabulate import UNSEEN

ODD_DIGITS = "①⑴⒈²³₃⁷➀❶⓪٣۴०৩𝟑𝟛🄀½Ⅳⅷ㎡㈠㊀㏠"


@pytest.mark.parametrize("character", ODD_DIGITS)
def test_what_only_resembles_a_digit_never_becomes_one_and_is_named(character):
    for text in (f"80{character}", f"{character}80", character):
        assert folded(text) == text
        assert normalise_label(text) == text
        assert character in strange(text) and f"U+{ord(character):04X}" in strange(text)
    assert not is_digits(f"80{character}")


def test_full_width_forms_are_the_same_characters_and_nothing_odd():
    assert folded("１４０９２２０００１") == "1409220001"
    assert folded("　（Ａ－１）　") == "(A-1)"
    assert strange("１，２３４　五台县第一小学〇") == ""


def test_every_format_character_is_known_to_be_invisible():
    everything = map(chr, range(sys.maxunicode + 1))
    hidden = {character for character in everything if unicodedata.category(character) in ("Cf", "Cc")}
    assert hidden - set(INVISIBLE) - set(BLANKS) == set()


@pytest.mark.parametrize("character", INVISIBLE[::37] + "\u200b\u200e\u202e\u00ad\ufeff\ufe0f\U000e0041")
def test_what_cannot_be_seen_is_seen_through_in_labels_and_names_and_told(character):
    text = f"学校{character}名称"
    assert normalise_label(text) == folded_name(text) == "学校名称"
    assert f"U+{ord(character):04X}" in unseen(text) and "看不见" in unseen(text)
    assert is_blank(character) and is_blank(f" {character}")


@pytest.mark.parametrize("character", "\u200b\u200c\u200d\u2060\ufeff\ufe0f")
def test_a_character_without_room_is_no_part_of_a_code_wherever_it_stands(character):
    for text in (f"14092{character}20001", f"{character}1409220001", f"1409220001{character}"):
        assert folded(text) == "1409220001"


def test_a_mark_of_direction_is_taken_off_the_ends_only():
    assert folded("\u200e1409220001\u200f") == "1409220001"
    assert folded("12\u200f34") == "12\u200f34"  # shown as 3412


@pytest.mark.parametrize("character", "\u202a\u202d\u202e\u2066\u2067\u2069\u00ad\U000e0041")
def test_a_character_that_changes_what_is_seen_is_never_taken_out_of_a_code(character):
    for text in (f"{character}1409220001", f"14092{character}20001"):
        assert character in folded(text)


@pytest.mark.parametrize("blank", BLANKS)
def test_every_kind_of_blank_is_a_blank(blank):
    assert folded(f"{blank}12{blank}") == "12"
    assert folded(f"1{blank}2") == "1 2"
    assert folded_name(f"{blank}五台县{blank}{blank}第一小学") == "五台县 第一小学"
    assert normalise_label(f"学{blank}校{blank}{blank}名称") == "学校名称"
    assert is_blank(blank)


def test_characters_that_fonts_and_files_put_for_another_are_mended_in_labels_alone():
    assert normalise_label("⼈⼝数（⼥）") == "人口数(女)"
    assert normalise_label("原平巿") == "原平市"
    assert folded("⼩学") == "⼩学" and "U+2F29" in strange("⼩学")


ANY_TEXT = st.text(
    st.sampled_from("01A人小０１，。ａ①² \n" + BLANKS + INVISIBLE[:60] + "\u200b\u200e\u202e\ufeff\ufe0f"), max_size=12
)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(ANY_TEXT, min_size=40, max_size=200))
def test_a_column_is_folded_as_a_single_text_is(texts):
    code = pl.col("text").str.replace_many(list(FOLDS), list(FOLDS.values())).str.strip_chars(ENDS)
    name = code.str.replace_all(UNSEEN, "").str.replace_all(" {2,}", " ").str.strip_chars()
    frame = pl.DataFrame({"text": texts}).select(code.alias("code"), name.alias("name"))
    assert frame["code"].to_list() == [folded(text) for text in texts]
    assert frame["name"].to_list() == [folded_name(text) for text in texts]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_folding_is_done_once_and_for_all_and_keeps_places_where_it_says_so(text):
    for fold in (folded, folded_name, normalise_label, visible):
        assert fold(fold(text)) == fold(text)
    assert len(searchable(text)) == len(text)
    assert is_blank(text) == (not folded_name(text))


def test_a_number_of_a_person_is_searched_for_in_every_shape_of_digits():
    assert searchable("１３⑧ ٠٠１³") == "138 0013"


@pytest.mark.parametrize("mark", ["\u0301", "\u0f73", "\u0301\u0316", "①", "\u200b", "　"])
def test_time_goes_with_the_length_and_no_further(mark):
    long = ("单位" + mark * 50) * 10_000
    start = time.process_time()
    for fold in (folded, folded_name, visible, searchable, is_blank, strange, unseen, normalise_label):
        fold(long)
    assert time.process_time() - start < 5
    assert len(normalise_label("单" * 10**6)) == LONGEST_LABEL
