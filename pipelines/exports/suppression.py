"""Small-cell suppression with complements: which records of a publication to hide, so that none can be worked out from the rest.

Belongs here: the rule and its proof, over cells, records and equations. Pure; knows no table.

**The rule.** A record (one area, period, stage …) is hidden as a whole, rates, money and all, when

1. one of its counts of persons lies between 1 and its `threshold` − 1 (0 is shown: it tells of nobody); or
2. it must be hidden for another's sake. Readers know *equations*: totals are the sum of their parts, a year of its quarters, girls
   and boys make pupils, the same count stands under two calibers. The hidden cells are the unknowns of this linear system, and
   no cell of it may be **determined** (a unit vector in the row space: exactly then a reader can solve for it), nor may the hidden
   persons that an equation sums be fewer than `threshold` together (the largest of theirs), which would tell as much.

While a cell breaks 2, the smallest record is hidden that shares an equation with it, parts before totals, until nothing breaks it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

Cell = TypeVar("Cell", bound=Hashable)
Record = TypeVar("Record", bound=Hashable)
#: Cells with their coefficients; their weighted sum is 0. A total stands with −1, its parts with 1.
Equation = Mapping[Cell, int]


def determined(unknown: Collection[Cell], equations: Iterable[Equation[Cell]]) -> set[Cell]:
    """The unknown cells that follow from the known ones by the equations alone, by exact elimination."""
    # Reduced row echelon form over the rationals, a sparse row per pivot: a cell is determined when its row is it alone.
    rows: dict[Cell, dict[Cell, Fraction]] = {}
    using: dict[Cell, set[Cell]] = defaultdict(set)  # cell → pivots of the rows in which it stands
    for equation in equations:
        row = {cell: Fraction(factor) for cell, factor in equation.items() if cell in unknown and factor}
        for cell in [cell for cell in row if cell in rows]:
            _subtract(row, rows[cell], row[cell])
        if not row:
            continue
        pivot = next(iter(row))
        scale = row[pivot]
        row = {cell: factor / scale for cell, factor in row.items()}
        for other in list(using[pivot]):
            before = set(rows[other])
            _subtract(rows[other], row, rows[other][pivot])
            for cell in before - set(rows[other]):
                using[cell].discard(other)
            for cell in set(rows[other]) - before:
                using[cell].add(other)
        rows[pivot] = row
        for cell in row:
            using[cell].add(pivot)
    return {pivot for pivot, row in rows.items() if len(row) == 1}


def _subtract(row: dict[Cell, Fraction], other: Mapping[Cell, Fraction], factor: Fraction) -> None:
    for cell, coefficient in other.items():
        left = row.get(cell, Fraction(0)) - factor * coefficient
        if left:
            row[cell] = left
        else:
            row.pop(cell, None)


def hidden_records(
    values: Mapping[Cell, int | Decimal],
    record_of: Mapping[Cell, Record],
    persons: Collection[Cell],
    equations: Sequence[Equation[Cell]],
    threshold_of: Callable[[Record], int],
) -> set[Record]:
    """The records to hide, by the rule above.

    `values` holds every cell that would be shown, `record_of` the record of each, `persons` those that count people, `threshold_of`
    how many persons a record must be to be shown. Cells of
    an equation that stand in no record are not shown to anybody, and the equation is of no use to a reader: left out.
    """
    cells_of: dict[Record, list[Cell]] = defaultdict(list)
    for cell in values:
        cells_of[record_of[cell]].append(cell)
    known = [equation for equation in equations if all(cell in values for cell in equation)]
    of_cell: dict[Cell, list[Equation[Cell]]] = defaultdict(list)
    for equation in known:
        for cell in equation:
            of_cell[cell].append(equation)

    def is_small(persons_n: int | Decimal, of: Sequence[Cell]) -> bool:
        return 0 < persons_n < max((threshold_of(record_of[cell]) for cell in of), default=0)

    hidden = {record_of[cell] for cell in persons if cell in values and is_small(values[cell], [cell])}
    while True:
        unknown = {cell for record in hidden for cell in cells_of[record]}
        touched = _once(equation for cell in sorted(unknown, key=repr) for equation in of_cell[cell])
        # Where a cell stands alone in an equation, that equation needs another; only then what follows from several together.
        wanted = [[equation] for equation in touched if sum(cell in unknown for cell in equation) == 1]
        if not wanted:
            wanted = [_nearest(cell, of_cell, unknown) for cell in sorted(determined(unknown, touched), key=repr)]
        for equation in touched:
            inside = [cell for cell in equation if cell in unknown]
            one_sided = len({equation[cell] > 0 for cell in inside}) == 1
            if (
                one_sided
                and all(cell in persons for cell in inside)
                and is_small(sum(values[cell] for cell in inside), inside)
            ):
                wanted.append([equation])
        more: set[Record] = set()
        for choice in wanted:
            candidates = [
                (equation[cell] < 0, values[cell] == 0, values[cell], repr(record_of[cell]), record_of[cell])
                for equation in choice
                for cell in equation
                if cell not in unknown
            ]
            # One complement may serve several: what this round has already hidden is not hidden for nothing.
            if candidates and not any(candidate[-1] in more for candidate in candidates):
                more.add(min(candidates, key=lambda candidate: candidate[:-1])[-1])
        if not more:
            return hidden
        hidden |= more


def _once(equations: Iterable[Equation[Cell]]) -> list[Equation[Cell]]:
    return list({id(equation): equation for equation in equations}.values())


def _nearest(
    cell: Cell,
    of_cell: Mapping[Cell, list[Equation[Cell]]],
    unknown: Collection[Cell],
) -> list[Equation[Cell]]:
    """Equations with a cell still shown: those of the cell itself, else any that share unknowns with it, step by step."""
    reached, front = {cell}, [cell]
    while front:
        here = _once(equation for one in front for equation in of_cell[one])
        open_ones = [equation for equation in here if any(one not in unknown for one in equation)]
        if open_ones:
            return open_ones
        front = [one for one in dict.fromkeys(one for equation in here for one in equation) if one not in reached]
        reached.update(front)
    return []
