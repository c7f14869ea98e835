"""Residents of school age, county by county, by single year of age and sex.

Belongs here: splitting the age groups of the 2020 census into birth cohorts and carrying these forward. Nothing about
schools. Cohorts are closed (no deaths, no migration): who was aged a in 2020 is aged a + t in 2020 + t, so that a check
of the population return against the census finds them equal. Assumptions, none of them published figures:

- inside a five-year group ages lie on a straight line whose slope comes from the neighbouring groups, and add up to
  the group exactly;
- the group 15-19 is bent by boarders of senior schools and by students, so cohorts of 15 and over continue age 14;
- births after the census fall to the share of age 0 in 2020 that `BIRTHS_AGAINST_2020` gives.
"""

from __future__ import annotations

import csv
import random
from fractions import Fraction
from importlib import resources

CENSUS_YEAR = 2020
SEXES = ("male", "female")
BIRTHS_AGAINST_2020 = {2021: Fraction("0.95"), 2022: Fraction("0.90"), 2023: Fraction("0.86"), 2024: Fraction("0.85")}
OLDEST_BIRTH_YEAR = 2001
_GROUPS = {"0": range(1), "1_4": range(1, 5), "5_9": range(5, 10), "10_14": range(10, 15)}

Cohorts = dict[int, tuple[int, int]]
"""Birth year → (male, female) residents. The birth year of a person aged a in year y is y − a."""


def read_table(name: str) -> list[dict[str, str]]:
    """Read a data file of this package; lines that begin with `#` are its source line."""
    text = resources.files(__package__).joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def apportion(total: int, weights: list[Fraction] | list[int]) -> list[int]:
    """Split `total` into integers in proportion to `weights` (largest remainder, ties to the earlier place)."""
    whole = sum(weights)
    if total == 0 or whole == 0:
        return [0] * len(weights)
    exact = [Fraction(total) * weight / whole for weight in weights]
    parts = [int(share) for share in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def census_cohorts() -> dict[str, Cohorts]:
    """County code → birth cohorts 2001–2024, from `data/census_2020_xinzhou.csv`."""
    counties: dict[str, Cohorts] = {}
    for row in read_table("census_2020_xinzhou.csv"):
        by_sex = [_single_ages({group: int(row[f"{sex}_{group}"]) for group in _GROUPS}) for sex in SEXES]
        male, female = by_sex
        cohorts = {CENSUS_YEAR - age: (male[age], female[age]) for age in range(15)}
        for born in range(OLDEST_BIRTH_YEAR, CENSUS_YEAR - 14):
            cohorts[born] = (male[14], female[14])
        for born, share in BIRTHS_AGAINST_2020.items():
            cohorts[born] = (round(male[0] * share), round(female[0] * share))
        counties[row["county_code"]] = cohorts
    return counties


def registered(residents: int, share: Fraction) -> int:
    """People in the household register (户籍), given those who live in the county (常住) and the county's share."""
    return round(residents * share)


def rounded(exact: Fraction, rng: random.Random) -> int:
    """Round up or down at random so that the expectation is `exact`: shares of small cohorts are not lost."""
    whole = int(exact)
    return whole + (rng.random() < float(exact - whole))


def _single_ages(groups: dict[str, int]) -> list[int]:
    """Residents aged 0–14 of one sex; every census group is met exactly."""
    means = {group: Fraction(groups[group], len(ages)) for group, ages in _GROUPS.items()}
    middles = {group: Fraction(ages[0] + ages[-1], 2) for group, ages in _GROUPS.items()}
    names = list(_GROUPS)
    single: list[int] = []
    for place, group in enumerate(names):
        before, after = names[max(place - 1, 0)], names[min(place + 1, len(names) - 1)]
        slope = (means[after] - means[before]) / (middles[after] - middles[before])
        wanted = [means[group] + slope * (age - middles[group]) for age in _GROUPS[group]]
        single += apportion(groups[group], [max(value, Fraction(1)) for value in wanted])
    return single
