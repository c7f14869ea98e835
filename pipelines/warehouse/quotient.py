"""Exact quotients of published terms, rounded once, as the models round them: half away from zero, in whole numbers.

Belongs here: the arithmetic for whoever shows fewer decimals than the published file holds, or proves its values. A value that is
already rounded is never rounded again: 70,164.164952 is 70,164.1650 at four decimals and 70,164.16 at two.
"""

from decimal import Decimal

Term = Decimal | int | None


def quotient(
    numerator: Term, base: Term, denominator: Term, other_base: Term, *, factor: int = 1, places: int = 4
) -> Decimal | None:
    """(numerator ÷ base) ÷ (denominator ÷ other_base) × factor at so many decimal places; terms have six at most.

    A base of None means "not divided". None when numerator or denominator is missing, or the divisor is 0.
    """
    if numerator is None or denominator is None:
        return None
    factors = [int(term * 10**6) for term in (numerator, 1 if other_base is None else other_base)]
    divisors = [int(term * 10**6) for term in (1 if base is None else base, denominator)]
    dividend, divisor = factors[0] * factors[1] * factor * 10**places, divisors[0] * divisors[1]
    if divisor <= 0 or factors[1] == 0:
        return None
    rounded = (2 * abs(dividend) + divisor) // (2 * divisor)
    return Decimal(rounded if dividend >= 0 else -rounded).scaleb(-places)
