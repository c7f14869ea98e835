"""What a workbook can check while a clerk types: formulas, lists and limits in the cells of one block of rows.

Belongs here: putting a formula together out of columns; each kind of check asks for what it shows (`excel`). How a workbook is laid out and
written is the business of `templates`. A colour comes and goes with what is typed, and says nothing that screening would not say.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.periods import Period
from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import MISSING_LABELS
from pipelines.workbooks.workbook import column_letter, runs

if TYPE_CHECKING:
    from pipelines.screening.checks.check import Check

_DIGITS_PATTERN = re.compile(r"^\^\[0-9\]\{(\d+)\}\$$")


@dataclass
class BlockOfRows:
    """One block: `first` and `last` row from 0, `listing` that says how a list of choices is written. What kinds ask for is collected:
    `colours` (column, formula, whether what is coloured is lacking rather than wrong) and `validations` (column → as xlsxwriter takes
    it, without its words)."""

    defined: ReturnDefinition
    period: Period
    first: int
    last: int
    listing: Callable[[Sequence[str]], Any]
    rows_are_printed: bool = False
    colours: list[tuple[str, str, bool]] = field(default_factory=list)
    validations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def _columns(self) -> dict[str, tuple[int, Column]]:
        return {column.name: (place, column) for place, column in enumerate(self.defined.columns)}

    def place(self, name: str) -> int:
        return self._columns[name][0]

    def cell(self, name: str, *, fixed: bool = True) -> str:
        """$D7, the cell of a column in the first row; not `fixed`: D7."""
        return f"{'$' if fixed else ''}{column_letter(self.place(name))}{self.first + 1}"

    def spans(self, names: Sequence[str]) -> list[str]:
        """$G7:$W7 of each run of neighbouring columns."""
        return [
            f"${column_letter(left)}{self.first + 1}:${column_letter(right)}{self.first + 1}"
            for left, right in runs(sorted({self.place(name) for name in names}))
        ]

    def sum(self, names: Sequence[str]) -> str:
        return f"SUM({','.join(self.spans(names))})" if names else "0"

    def by_code(self, by: str, formulas: Mapping[str, str], *, otherwise: str) -> str:
        """The formula of a row's code; of a code that is in no list what is `otherwise`."""
        formula = otherwise
        for code, of_code in formulas.items():
            formula = f'IF({self.cell(by)}="{code}",{of_code},{formula})'
        return formula

    def only_where(self, where: Mapping[str, Sequence[str]], expected: str, column: str) -> str:
        """What is expected in rows of some codes; in others a figure equals itself."""
        for by, codes in where.items():
            expected = self.by_code(by, dict.fromkeys(codes, expected), otherwise=self.cell(column))
        return expected

    def differing(
        self, column: str, expected: str, terms: Sequence[str], tolerance: Decimal, *, above_only: bool = False
    ) -> None:
        """Colour a figure that is further than `tolerance` from what is expected (`above_only`: above it), where every term is stated."""
        stated = [f"ISNUMBER({self.cell(column)})"]
        stated += [f"COUNTBLANK({span})=0" for span in self.spans(terms)]
        stated += [f'COUNTIF({span},"{MISSING_LABELS["not_reported"]}")=0' for span in self.spans(terms)]
        difference = f"ROUND({self.cell(column)}-({expected}),4)"
        beyond = difference if above_only else f"ABS({difference})"
        self.coloured(column, f"=AND({','.join(stated)},{beyond}>{tolerance})")

    def coloured(self, column: str, formula: str, *, lacking: bool = False) -> None:
        """Colour the cells of a column in which a formula is true."""
        self.colours.append((column, formula, lacking))

    def repeated(self, key: Sequence[str]) -> None:
        """Colour the first column of a key that stands more than once; where the rows are printed, none can."""
        if self.rows_are_printed:
            return
        row = self.first + 1
        letters = [column_letter(self.place(name)) for name in key]
        parts = ",".join(f"${letter}${row}:${letter}${self.last + 1},${letter}{row}" for letter in letters)
        started = "".join(f'${letter}{row}<>"",' for letter in letters)
        self.coloured(key[0], f"=AND({started}COUNTIFS({parts})>1)")

    def required(self, column: str, where: Mapping[str, Sequence[str]]) -> None:
        """Colour a cell that is blank in rows of some codes, or in which other columns are filled."""
        conditions = [f'{self.cell(column)}=""']
        for name, codes in where.items():
            among = ",".join(f'{self.cell(name)}="{code}"' for code in codes)
            conditions.append(f"OR({among})" if codes else f'{self.cell(name)}<>""')
        self.coloured(column, f"=AND({','.join(conditions)})", lacking=True)

    def asked(self, column: str) -> None:
        """Colour a cell that is blank in a row that is asked for the column, and one that is filled in another row."""
        declared, cell = self.defined.column(column), self.cell(column)
        if not declared.applies_when:
            return
        among = {
            by: ",".join(f'{self.cell(by)}="{code}"' for code in codes) for by, codes in declared.applies_when.items()
        }
        asked = [f"OR({one})" for one in among.values()]
        told = [f'{self.cell(by)}<>""' for by in declared.applies_when]
        if declared.required:
            self.required(column, declared.applies_when)
        answer = MISSING_LABELS["not_applicable"]
        self.coloured(column, f'=AND({cell}<>"",{cell}<>"{answer}",{",".join(told)},NOT(AND({",".join(asked)})))')

    def choices(self, column: str, values: Sequence[str]) -> None:
        """Offer some of a column's codes, and what may stand for one."""
        missing = [MISSING_LABELS[code] for code in self.defined.column(column).missing]
        self.validations[column] = {"validate": "list", "source": self.listing([*values, *missing])}

    def typed(self, column: str) -> None:
        """Take what a column may hold."""
        if not (self.rows_are_printed and column in self.defined.key) and column not in self.validations:
            self.validations[column] = self._validation(self._columns[column][1])

    def _validation(self, column: Column) -> dict[str, Any]:
        missing = [MISSING_LABELS[code] for code in column.missing]
        if column.is_coded:
            return {"validate": "list", "source": self.listing([*column.codes, *missing])}
        cell = self.cell(column.name, fixed=False)
        if column.type == "note":
            return {"validate": "length", "criteria": "<=", "value": column.longest}
        if column.type in ("text", "ref"):
            digits = _DIGITS_PATTERN.match(column.pattern or "")
            if not digits:
                return {"validate": "any"}
            condition = f"AND(LEN({cell})={digits[1]},ISNUMBER(VALUE({cell})))"
        elif column.type == "date":
            if not missing:
                return {"validate": "date", "criteria": "between", "minimum": date(1900, 1, 1),
                        "maximum": date(2199, 12, 31)}  # fmt: skip
            condition = f"AND(ISNUMBER({cell}),{cell}>=1)"
        else:
            least = "-1E+11" if column.signed else column.min
            limits = f"{cell}>={least}" + (f",{cell}<={column.max}" if column.max is not None else "")
            places = column.decimal_places
            if places == 0 and not missing:
                if column.max is None:
                    return {"validate": "integer", "criteria": ">=", "value": column.min}
                return {"validate": "integer", "criteria": "between", "minimum": column.min, "maximum": column.max}
            # A number typed with two decimals is no binary number of two decimals: it is compared with a margin.
            exact = f"{cell}=INT({cell})" if places == 0 else f"ABS({cell}-ROUND({cell},{places}))<0.000001"
            condition = f"AND(ISNUMBER({cell}),{limits},{exact})"
        # IF and not AND: in a spreadsheet every argument of AND is evaluated, and a comparison with text is true or an error.
        included = MISSING_LABELS["included_elsewhere"]
        codes = ",".join(
            f'LEFT({cell},{len(included)})="{included}"' if label == included else f'{cell}="{label}"'
            for label in missing
        )
        formula = f"=IF(ISNUMBER({cell}),{condition},{f'OR({codes})' if codes else 'FALSE'})"
        if column.type in ("text", "ref"):
            formula = f"={condition}" if not codes else f"=OR({condition},{codes})"
        return {"validate": "custom", "value": formula}


def show(checks: Sequence["Check"], block: BlockOfRows) -> BlockOfRows:
    """Let every kind show what it has to show in a block; narrower lists come before a column's own."""
    for check in sorted(checks, key=lambda check: check.check == "reads_as"):
        if check.excel is not None:
            check.excel(block)
    return block
