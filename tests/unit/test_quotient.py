"""Quotients of published terms are rounded once, half up, whatever the number of decimals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.warehouse.quotient import quotient

CENTS = st.integers(0, 10**14).map(lambda cents: Decimal(cents).scaleb(-2))


def test_an_average_is_not_rounded_a_second_time():
    # 70,164.164952…: 70,164.1650 at four decimals, which would read 70,164.17 at two.
    pay, heads = Decimal("1108032492.92"), Decimal(15792)
    assert quotient(pay, None, heads, None) == Decimal("70164.1650")
    assert quotient(pay, None, heads, None, places=2) == Decimal("70164.16")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ((5, None, 0, None), None),
        ((None, None, 3, None), None),
        ((5, 0, 3, 1), None),
        ((5, 1, 3, 0), None),
        ((900_000, 10, 1_600_000, 20), Decimal("1.1250")),
        ((-1, None, 8, None), Decimal("-0.1250")),
        ((0, None, 8, None), Decimal("0.0000")),
    ],
)
def test_over_nothing_there_is_no_quotient(terms, expected):
    assert quotient(*terms) == expected


@given(CENTS, CENTS, st.integers(0, 4))
def test_it_is_the_nearest_number_of_that_many_decimals(numerator, denominator, places):
    found = quotient(numerator, None, denominator, None, factor=100, places=places)
    if denominator == 0:
        assert found is None
    else:
        error = Fraction(found) - Fraction(numerator) * 100 / Fraction(denominator)
        assert -Fraction(1, 2) < error * 10**places <= Fraction(1, 2)
