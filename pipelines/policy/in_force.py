"""The policy in force: the home's rows laid over the shipped defaults, checked as a whole.

How rows are laid over: what a home says of a subject (`PolicyTable.subject`: an indicator and scope, a caliber's dimension, a county)
takes the place of *all* that the defaults say of it, whatever the days; of any other subject the defaults hold. A home's row that ends
on the day on which it begins says that nothing holds. Where a table has a scope, rows of all scopes are in force beside each other
and the models take the nearest. So nothing depends on the order of rows or files, and no row is a mixture of two.

Belongs here: which files there are, the laying over, and the rules between rows. One file's rows are read by `rows`.
"""

import csv
import difflib
import hashlib
import io
import json
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from pipelines.declarations.known import PAY_COMPONENT, KnownPolicy
from pipelines.declarations.names import indicator_names
from pipelines.home import Home
from pipelines.municipality import ConfigurationError, Municipality, Problem
from pipelines.policy.rows import MOST_BYTES, PolicyRow, Value, read_rows
from pipelines.policy.tables import (
    NOTHING_KNOWN,
    Known,
    PolicyColumn,
    PolicyTable,
    RowRule,
    allowed_codes,
    policy_tables,
)

COUNTRY = "CN"
_WORKBOOKS = frozenset([".xlsx", ".xls", ".xlsm", ".xlsb", ".et", ".ods"])
#: Where a home's own families of indicators lie, in its folder of policy.
FAMILIES = "indicators"


class PolicyError(ConfigurationError):
    """The policy cannot be used; every mistake, in the order of files and lines (Chinese)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(problems)
        self.problems = sorted(dict.fromkeys(self.problems), key=lambda one: (one.file, one.line or 0))
        self.args = ("\n".join(map(str, self.problems)),)


def own_folders(home: Home) -> dict[str, Path]:
    """Part → where a home keeps what it declares itself."""
    return {
        FAMILIES: home.policy / FAMILIES,
        "returns": home.root / "returns",
        "expectations": home.root / "expectations",
    }


@dataclass(frozen=True)
class PolicyFiles:
    """The bytes that policy is read from: the home's and the shipped ones, by file name. `folder`: what the home's are called by.
    `own`: what else a home declares and nobody could compute again, kept with its policy: part (see `own_folders`) → file → bytes. Its families
    of indicators are read by `declarations`, its returns by `returns`, their catalogues by `screening`."""

    home: Mapping[str, bytes]
    defaults: Mapping[str, bytes]
    folder: str = "policy"
    own: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    @staticmethod
    def of_home(home: Home) -> "PolicyFiles":
        """Those of a home as they lie there. Raises PolicyError for what lies there and is no table."""
        own = {part: _regular(folder, "*.yaml") for part, folder in own_folders(home).items()}
        return PolicyFiles(_files(home.policy), shipped(home.policy_defaults), str(home.policy), own)

    @property
    def parts(self) -> dict[str, Mapping[str, bytes]]:
        """Part → file → bytes."""
        return {"home": self.home, "defaults": self.defaults, **self.own}

    @property
    def sha256(self) -> dict[str, str]:
        """`<part>/<file>` → SHA-256."""
        return {
            f"{part}/{name}": hashlib.sha256(content).hexdigest()
            for part, files in self.parts.items()
            for name, content in sorted(files.items())
        }


@dataclass(frozen=True)
class InForce:
    """What is in force: table → rows, in the order of their grain."""

    rows: Mapping[str, tuple[PolicyRow, ...]]

    @property
    def digest(self) -> str:
        """Changes whenever a value in force does, or a column; where a row comes from plays no part."""
        content = {
            name: [[[column, str(value)] for column, value in row.values.items()] for row in rows]
            for name, rows in self.rows.items()
        }
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]

    def samples(self) -> dict[str, int]:
        """Title of a table → how many of its rows in force are samples, of those that have any."""
        counted = {
            policy_tables()[name].title: sum(row.values["is_sample"] is True for row in rows)
            for name, rows in self.rows.items()
        }
        return {title: number for title, number in counted.items() if number}


def policy_in_force(home: Home) -> InForce:
    """What is in force in a home. Raises PolicyError with all mistakes at once."""
    files = PolicyFiles.of_home(home)
    return lay_over(files, known_in(home.municipality, files))


def lay_over(files: PolicyFiles, known: Known = NOTHING_KNOWN) -> InForce:
    """The home's rows over the defaults, checked. Raises PolicyError with all mistakes at once."""
    tables = policy_tables()
    problems: list[Problem] = []
    rows: dict[str, tuple[PolicyRow, ...]] = {}
    broken = set()
    for name, table in tables.items():
        own, own_wrong = _read(table, files.home, files.folder, is_home=True)
        shipped_rows, shipped_wrong = _read(table, files.defaults, "defaults", is_home=False)
        problems += own_wrong + shipped_wrong
        if own_wrong:
            broken.add(name)
        problems += _unknown_codes(table, own, known)
        said = {row.key(table.subject) for row in own}
        laid = [*own, *(row for row in shipped_rows if row.key(table.subject) not in said)]
        problems += _conflicts(table, own) + _conflicts(table, shipped_rows)
        rows[name] = tuple(
            sorted((row for row in laid if not row.is_never), key=lambda row: _order(row.key(table.grain)))
        )
    for name, table in tables.items():
        # Of a file that could not be read whole nothing is said but that.
        if name not in broken:
            problems += _broken_refs(table, rows, broken)
            problems += _broken_rules(table, rows, broken)
    if problems:
        raise PolicyError(problems)
    return InForce(rows)


def shipped(folder: Path) -> dict[str, bytes]:
    """The shipped tables, by file name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def known_in(municipality: Municipality, files: PolicyFiles) -> Known:
    """What a home's rows may name: its city and counties by code, the places above them, and the indicators, unless a family of these
    cannot be read: that is told with the declarations."""
    city = municipality.city
    counties = {county.code: county.name for county in municipality.counties}
    above = {city.province_code: city.province, COUNTRY: "全国"}
    codes: dict[str, Mapping[str, str]] = {
        "county": counties, "area": counties | {city.code: city.name}, "scope": counties | {city.code: city.name} | above
    }  # fmt: skip
    if (names := indicator_names(files.own.get(FAMILIES, {}).values())) is not None:
        codes["indicator"] = names
    return Known(codes)


def known_policy(in_force: InForce) -> KnownPolicy:
    """What declarations of indicators may name of the policy in force."""
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in in_force.rows["member_groups"]:
        group = groups[str(row.values["dimension"])][str(row.values["member_group"])]
        if row.values["scope_code"] == COUNTRY and str(row.values["member"]) not in group:
            group.append(str(row.values["member"]))
    kinds = {str(row.values["caliber_id"]): str(row.values["caliber_kind"]) for row in in_force.rows["calibers"]}
    calibers: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for caliber, kind in kinds.items():
        calibers[kind][caliber] = set()
    for row in in_force.rows["caliber_members"]:
        caliber = str(row.values["caliber_id"])
        calibers[kinds[caliber]][caliber].add(str(row.values["dimension"]))
    for row in in_force.rows["pay_components"]:
        caliber = str(row.values["caliber_id"])
        calibers[kinds[caliber]][caliber].add(PAY_COMPONENT)
    return KnownPolicy(
        {
            dimension: {name: tuple(sorted(members, key=_as_number)) for name, members in of_dimension.items()}
            for dimension, of_dimension in groups.items()
        },
        {kind: {caliber: frozenset(names) for caliber, names in found.items()} for kind, found in calibers.items()},
    )


def _as_number(member: str) -> tuple[int, str]:
    """Ages in their order; words as they stand."""
    return (int(member), "") if member.isdecimal() else (0, "")


# --- the files -------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> dict[str, bytes]:
    """Every table that lies in a home's folder of policy; none where there is no such folder."""
    problems = []
    found: dict[str, bytes] = {}
    tables = [f"{name}.csv" for name in policy_tables()]
    try:
        listed = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise PolicyError([Problem(str(folder), None, f"读不了（{error.strerror}）", "检查这个文件夹的权限")]) from None
    for path in listed:
        suffix = path.suffix.lower()
        if path.name.startswith((".", "~$")) or suffix not in (".csv", *_WORKBOOKS):
            continue
        if suffix in _WORKBOOKS:
            problems.append(
                Problem(str(path), None, "是工作簿，这里只读 CSV", "另存为“CSV UTF-8（逗号分隔）”，并移走这个文件")
            )
        elif path.name not in tables:
            near = difflib.get_close_matches(path.name, tables, n=1, cutoff=0.5)
            mend = f"是不是 {near[0]}" if near else f"可用的文件名：{'、'.join(tables)}"
            problems.append(Problem(str(path), None, "不是哪一张政策表", f"{mend}；不用的，移出这个文件夹"))
        else:
            try:
                # A pipe or device would never end; of a link what it leads to counts.
                if not stat.S_ISREG(path.stat().st_mode):
                    raise OSError(0, "不是普通文件")
                with path.open("rb") as stream:
                    found[path.name] = stream.read(MOST_BYTES + 1)
            except OSError as error:
                problems.append(Problem(str(path), None, f"读不了（{error.strerror}）", "检查这个文件及其权限"))
    if problems:
        raise PolicyError(problems)
    return found


def _regular(folder: Path, pattern: str) -> dict[str, bytes]:
    """Files of a folder by name; what cannot be read is left to who reads it for what it says."""
    found = {}
    for path in sorted(folder.glob(pattern)):
        try:
            if stat.S_ISREG(path.stat().st_mode) and not path.name.startswith("."):
                with path.open("rb") as stream:
                    found[path.name] = stream.read(MOST_BYTES + 1)
        except OSError:
            continue
    return found


def _read(
    table: PolicyTable, files: Mapping[str, bytes], folder: str, *, is_home: bool
) -> tuple[list[PolicyRow], list[Problem]]:
    name = f"{table.name}.csv"
    content = files.get(name)
    return read_rows(table, content, f"{folder}/{name}", is_home=is_home) if content is not None else ([], [])


# --- the rules between rows ------------------------------------------------------------------------------------------


def _order(key: tuple[Value, ...]) -> list[tuple[bool, str]]:
    return [(value is not None, str(value)) for value in key]


def _named(table: PolicyTable, row: PolicyRow, columns: Iterable[str]) -> str:
    """What a row speaks of, in words."""
    return "、".join(str(row.values[name]) for name in columns if row.values[name] is not None) or table.title


def _conflicts(table: PolicyTable, rows: Iterable[PolicyRow]) -> list[Problem]:
    """Rows that are there twice, hold at one time, or leave a time between them."""
    series: dict[tuple[Value, ...], list[PolicyRow]] = defaultdict(list)
    for row in rows:
        series[row.key(table.series)].append(row)
    problems = []
    for of_one in series.values():
        ordered = sorted(of_one, key=lambda row: (_first(table, row), row.line))
        for row, following in pairwise(ordered):
            what = _named(table, row, table.series)
            at = f"第 {row.line} 行"
            last, first = _last(table, row), _first(table, following)
            if row.key(table.grain) == following.key(table.grain):
                problems.append(following.problem(f"“{what}”重复，{at}已有", "只留一行"))
            elif row.is_never or following.is_never:
                problems.append(following.problem(f"“{what}”又有又不采用（{at}）", "不采用的，只留不采用的那一行"))
            elif last >= first:
                problems.append(following.problem(f"“{what}”与{at}在同一时间都有效", _close(table, following)))
            elif table.gaps == "refused" and last + timedelta(days=1) < first:
                problems.append(
                    following.problem(f"“{what}”在{at}之后中断，到这一行才又有", "补上中间的一行，或改正起止")
                )
    return problems


def _first(table: PolicyTable, row: PolicyRow) -> date:
    """The first day on which a row holds."""
    if table.bounds is None:
        return date.min
    begins = row.values[table.bounds[0]]
    return date(begins, 1, 1) if isinstance(begins, int) else begins if isinstance(begins, date) else date.min


def _last(table: PolicyTable, row: PolicyRow) -> date:
    """The last day on which a row holds."""
    ends = row.values[table.bounds[1]] if table.bounds else None
    if ends is None:
        return date.max - timedelta(days=1)
    return (
        date(ends, 12, 31)
        if isinstance(ends, int)
        else ends - timedelta(days=1)
        if isinstance(ends, date)
        else date.max
    )


def _close(table: PolicyTable, following: PolicyRow) -> str:
    if table.interval == "years":
        return f"前一行的终止年份写 {_first(table, following).year - 1}"
    return f"前一行的失效日期写 {_first(table, following)}" if table.bounds else "只留一行"


def _unknown_codes(table: PolicyTable, rows: Iterable[PolicyRow], known: Known) -> Iterator[Problem]:
    """Codes of places and indicators that the home does not know."""
    for name, column in table.columns.items():
        codes = known.codes.get(column.known or "")
        if codes is None:
            continue
        for row in rows:
            value = row.values[name]
            if value is None or value in codes or (column.also and value in _with_prefix(column.also)):
                continue
            near = difflib.get_close_matches(str(value), [*codes, *codes.values()], n=1, cutoff=0.6)
            by_name = [code for code, called in codes.items() if called == value]
            if by_name:
                mend = f"写代码 {by_name[0]}"
            elif near:
                mend = f"是不是 {near[0]}"
            else:
                mend = f"可用的：{'、'.join(codes)}"
            yield row.problem(f"“{column.label}”没有“{value}”", mend)


def _with_prefix(also: object) -> list[str]:
    return [f"{also.prefix}{value}" for value in also.values]  # type: ignore[attr-defined]


def _broken_refs(table: PolicyTable, rows: Mapping[str, tuple[PolicyRow, ...]], broken: set[str]) -> Iterator[Problem]:
    for name, column in table.columns.items():
        if column.ref is None:
            continue
        other, _, key = column.ref.partition(".")
        if other in broken:
            continue
        known = {row.values[key] for row in rows[other]}
        for row in rows[table.name]:
            if (value := row.values[name]) is not None and value not in known:
                yield row.problem(
                    f"“{column.label}”：{other}.csv 中没有“{value}”", f"可用的：{'、'.join(sorted(map(str, known)))}"
                )


def _broken_rules(table: PolicyTable, rows: Mapping[str, tuple[PolicyRow, ...]], broken: set[str]) -> Iterator[Problem]:
    own = rows[table.name]
    for rule in table.rules:
        if {rule.has, (rule.of_table or "").partition(".")[0]} & broken:
            continue
        if rule.ordered or rule.differ:
            yield from (
                row.problem(rule.say, rule.mend)
                for row in own
                if (rule.ordered and row.values[rule.ordered[0]] > row.values[rule.ordered[1]])  # type: ignore[operator]
                or (rule.differ and row.values[rule.differ[0]] == row.values[rule.differ[1]])
            )
        elif rule.every:
            yield from _lacking(table, rule, rows)
        elif rule.has:
            for row in own:
                if not _holds(row, rule.when):
                    continue
                key = row.key(rule.on)
                number = sum(one.key(rule.on) == key and _holds(one, rule.where) for one in rows[rule.has])
                if number < (rule.at_least or 0) or (rule.exactly is not None and number != rule.exactly):
                    yield row.problem(_said(rule, row, n=number), rule.mend)
        else:
            groups: dict[tuple[Value, ...], list[PolicyRow]] = defaultdict(list)
            for row in own:
                groups[row.key(rule.per)].append(row)
            for group in groups.values():
                if rule.one:
                    number = sum(row.values[rule.one] is True for row in group)
                    if number != 1:
                        yield group[-1].problem(_said(rule, group[-1], n=number), rule.mend)
                elif rule.same and len({row.values[rule.same] for row in group}) > 1:
                    yield group[-1].problem(_said(rule, group[-1]), rule.mend)


def _lacking(table: PolicyTable, rule: RowRule, rows: Mapping[str, tuple[PolicyRow, ...]]) -> Iterator[Problem]:
    """Values of a column that the table lacks for a row of another."""
    other, _, key = (rule.of_table or "").partition(".")
    asked = allowed_codes(table.columns[rule.every or ""]) or ()
    for one in rows[other]:
        if not _holds(one, rule.when):
            continue
        there = {row.values[rule.every or ""] for row in rows[table.name] if row.values[key] == one.values[key]}
        for value in asked:
            if value not in there:
                yield one.problem(_said(rule, one, **{rule.every or "": value}), rule.mend)


def _holds(row: PolicyRow, wanted: Mapping[str, str]) -> bool:
    return all(row.values[name] == value for name, value in wanted.items())


def _said(rule: RowRule, row: PolicyRow, **more: object) -> str:
    return rule.say.format(**{**row.values, **more})


def as_csv(table: PolicyTable, rows: Iterable[Mapping[str, Value]]) -> bytes:
    """A table's file as a clerk opens it in Excel: a mark of UTF-8, headers and codes in Chinese."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([column.label for column in table.columns.values()])
    for values in rows:
        writer.writerow([in_chinese(column, values[name]) for name, column in table.columns.items()])
    return stream.getvalue().encode("utf-8-sig")


def in_chinese(column: PolicyColumn, value: Value) -> str:
    """A value as a clerk reads and writes it; the reading takes it back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return column.value_labels.get(str(value), str(value))
