"""Every attack, fault and slip of this package has the outcome that is right."""

from pathlib import Path

import pytest

from tests.faults import Case, cases


@pytest.mark.parametrize(
    "one", [pytest.param(one, id=one.name, marks=pytest.mark.long if one.is_slow else ()) for one in cases()]
)
def test_the_outcome_is_right(one: Case, tmp_path: Path):
    outcome = one.run(tmp_path)
    assert outcome.right, outcome.words
