"""Small formulas over the columns of a row: what a return's definition may compute, as text that is checked and made into SQL.

    max(0, needed_math - have_math)      days(opened_on, closed_on)      teachers_paid > 0      finished_on <= due_on

Belongs here: the grammar (numbers, columns, + - *, brackets, max, min, days, and one comparison), and its SQL. There is no division: a
quotient of a row is rounded, and what is summed must not be. Never SQL of the writer's own: each token is known or refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign><=|>=|!=|[-+*(),<>=]))", re.ASCII)
_COMPARISONS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "=": "=", "!=": "!="}
_FUNCTIONS = {"max": "greatest", "min": "least", "days": "date_diff"}
#: Of a formula; nobody reads a longer one.
_LONGEST = 300


class FormulaWrong(ValueError):
    """What is no formula: `reason` and `remedy` in Chinese."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}。{remedy}")
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True)
class Formula:
    """A formula as SQL over the columns that it names."""

    sql: str
    operands: tuple[str, ...]
    is_test: bool  # true or false, not a number


def compiled(text: str, columns: Mapping[str, str]) -> Formula:
    """A formula over `columns` (name → number | date). Raises FormulaWrong."""
    if len(text) > _LONGEST:
        raise FormulaWrong(f"算式有 {len(text)} 个字，最多 {_LONGEST} 个", "拆成几列")
    reading = _Reading(text, columns)
    sql, kind = reading.sum_of()
    is_test = reading.ahead in _COMPARISONS
    if is_test:
        sign = _COMPARISONS[reading.take()]
        other, other_kind = reading.sum_of()
        if kind != other_kind:
            raise FormulaWrong(f"“{text}”拿日期和数字相比", "两边都用日期，或都用数字")
        sql = f"{sql} {sign} {other}"
    elif kind == "date":
        raise FormulaWrong(f"“{text}”算出来是日期，不是数", "日期之间用 days(起, 止) 算天数")
    if reading.ahead:
        raise FormulaWrong(f"“{text}”在“{reading.ahead}”处读不下去", "检查括号和运算符")
    if not reading.operands:
        raise FormulaWrong(f"“{text}”没有用到任何列", "写上本表的列")
    return Formula(sql, tuple(dict.fromkeys(reading.operands)), is_test)


class _Reading:
    """A formula read from left to right; each method gives the SQL of what it read and whether it is a number or a date."""

    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self.text, self.columns = text, columns
        self.tokens, self.at, self.operands = list[tuple[str, str]](), 0, list[str]()
        start = 0
        while text[start:].strip():
            match = _TOKEN.match(text, start)
            if match is None:
                sign = text[start:].strip()[0]
                remedy = (
                    "不能相除：除出来的数要舍入，不能再相加；把分子、分母分别写成一项" if sign in "/÷" else "算式只用列名、数字、+ - *、括号、max、min、days 和一个比较"
                )  # fmt: skip
                raise FormulaWrong(f"算式“{text}”里的“{sign}”不能用", remedy)
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            start = match.end()

    @property
    def ahead(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def expect(self, sign: str) -> None:
        if self.ahead != sign:
            found = f"“{self.ahead}”" if self.ahead else "末尾"
            raise FormulaWrong(f"算式“{self.text}”在{found}处缺“{sign}”", "检查括号和逗号")
        self.take()

    def sum_of(self) -> tuple[str, str]:
        return self._chain(self._product_of, ("+", "-"))

    def _product_of(self) -> tuple[str, str]:
        return self._chain(self._value, ("*",))

    def _chain(self, part: "object", signs: tuple[str, ...]) -> tuple[str, str]:
        assert callable(part)
        sql, kind = part()
        while self.ahead in signs:
            sign = self.take()
            other, other_kind = part()
            self._numbers(kind, other_kind)
            sql = f"{sql} {sign} {other}"
        return sql, kind

    def _numbers(self, *kinds: str) -> None:
        if "date" in kinds:
            raise FormulaWrong(f"“{self.text}”拿日期加减乘", "日期之间用 days(起, 止) 算天数")

    def _value(self) -> tuple[str, str]:
        if not self.ahead:
            raise FormulaWrong(f"算式“{self.text}”没有写完", "补上后半部分")
        kind = self.tokens[self.at][0]
        word = self.take()
        if word == "-":
            sql, what = self._value()
            self._numbers(what)
            return f"-{sql}", "number"
        if word == "(":
            sql, what = self.sum_of()
            self.expect(")")
            return f"({sql})", what
        if kind == "number":
            return word, "number"
        if kind == "name" and word in _FUNCTIONS and self.ahead == "(":
            return self._function(word)
        if kind == "name" and word in self.columns:
            self.operands.append(word)
            return word, self.columns[word]
        if kind == "name":
            from pipelines.yaml_mistakes import did_you_mean

            raise FormulaWrong(f"本表没有可以计算的列“{word}”", did_you_mean(word, self.columns))
        raise FormulaWrong(f"算式“{self.text}”在“{word}”处读不下去", "检查括号和运算符")

    def _function(self, name: str) -> tuple[str, str]:
        self.expect("(")
        given = [self.sum_of()]
        while self.ahead == ",":
            self.take()
            given.append(self.sum_of())
        self.expect(")")
        kinds = {kind for _, kind in given}
        if name == "days":
            if len(given) != 2 or kinds != {"date"}:
                raise FormulaWrong(f"“{self.text}”里的 days 要两个日期", "写成 days(起始日期列, 终止日期列)")
            return f"date_diff('day', {given[0][0]}, {given[1][0]})", "number"
        if len(given) < 2 or len(kinds) > 1:
            raise FormulaWrong(f"“{self.text}”里的 {name} 要两个以上同类的数", f"写成 {name}(0, 某列)")
        return f"{_FUNCTIONS[name]}({', '.join(sql for sql, _ in given)})", kinds.pop()
