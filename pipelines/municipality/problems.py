"""Mistakes in a configuration that a person wrote: where, what, and what to do about it.

Belongs here: how a mistake is told, and choosing what may have been meant. What counts as one is said by `model` and
`loading`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration. ``line`` counts from 1; None when the file as a whole is meant."""

    file: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file} 第 {self.line} 行"
        return f"{place}：{self.message}。处理办法：{self.remedy}。"


class ConfigurationError(Exception):
    """The configuration cannot be used; ``problems`` holds every mistake found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def refused(message: str, remedy: str) -> PydanticCustomError:
    """What fails a validation of pydantic in our own words."""
    return PydanticCustomError("refused", "{message}", {"message": message, "remedy": remedy})


def shown_value(value: object) -> str:
    return "空值" if value is None else f"“{value}”"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for a word that is not known: the one that is like it, or all that are known."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"是不是想写“{near[0]}”？改正后再运行"
    return f"可用的有：{choices(known)}"


def choices(words: Iterable[object]) -> str:
    return "、".join(str(word) for word in words)
