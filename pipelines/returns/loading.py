"""Reading the files that declare the returns, and what is wrong in them: every mistake of every file at once, with line and remedy.

Belongs here: what a definition may not say, of one column, of one form, and of all of them together. What a definition is stands in
`definition`. A file without mistakes is read the fast way; only one with a mistake is read again with its lines.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.characters import normalise_label
from pipelines.periods import Period
from pipelines.returns.definition import (
    FLAGS,
    MISSING_CODES,
    NAME_OF_COLUMN,
    TAKEN_COLUMNS,
    TAKEN_RETURNS,
    Column,
    ReturnDefinition,
    ReturnVersions,
    split_unit,
    typed,
)
from pipelines.rule_files import definition_files, read_once
from pipelines.yaml_files import bounded
from pipelines.yaml_mistakes import Location, Unsupported, YamlMistakes, YamlTree, did_you_mean, listed, plain

_CALLED = "报表定义文件"
_EXAMPLE = " docs/adding-a-return.md 第 1 节"
_MISSING = "报表定义放在 pipelines/returns/definitions/ 或数据主目录的 returns/ 下，文件名如 class_size.v1.yaml"


class DefinitionError(YamlMistakes):
    """Declared returns that cannot be used; `problems` holds every mistake with file, line and remedy."""


@dataclass(frozen=True)
class _Mistake:
    """What is wrong at a place of a definition, and what to do (Chinese)."""

    at: Location
    message: str
    remedy: str


@dataclass(frozen=True)
class _Declared:
    """One file and what it declares."""

    path: Path
    defined: ReturnDefinition
    #: Keys, and places of columns, in whose stead something stands that the file does not say: nothing is told of them but that.
    made_up: frozenset[str | int] = frozenset()

    def is_told(self, mistake: _Mistake) -> bool:
        """Whether a mistake is one of what the file itself says."""
        key, *inside = mistake.at
        if key in self.made_up or (key == "columns" and inside and inside[0] in self.made_up):
            return False
        columns = self.defined.columns
        by = inside[2] if len(inside) == 3 and inside[1] in ("label_by", "applies_when") else None
        return by is None or by not in {columns[one].name for one in self.made_up if isinstance(one, int)}


@read_once
def all_definitions() -> tuple[ReturnDefinition, ...]:
    """Every version of every return, by form and version. Raises DefinitionError."""
    trees: dict[Path, YamlTree] = {}
    found: list[_Declared] = []
    unread: list[YamlMistakes] = []
    for path in definition_files():
        if (defined := _read(path)) is None:
            try:
                tree = _tree(path)
            except YamlMistakes as error:  # not YAML at all
                unread.append(error)
                continue
            trees[path] = tree
            tree.validated(tree.tree, ReturnDefinition, ())
            if told := _as_far_as_it_goes(path, tree):
                found.append(told)
        else:
            found.append(_Declared(path, defined))
    found.sort(key=lambda one: (one.defined.form, one.defined.version))
    for one in found:
        _report(trees, one.path, filter(one.is_told, _of_form(one.defined)))
    # Of a file that could not be read it is not known which return it declares.
    are_known = len(found) == len(trees.keys() | {one.path for one in found}) and not unread
    for one, mistake in _between(found, are_known=are_known):
        _report(trees, one.path, filter(one.is_told, [mistake]))
    problems = [problem for tree in trees.values() for problem in tree.problems]
    problems += [problem for error in unread for problem in error.problems]
    if problems:
        raise DefinitionError(sorted(problems, key=lambda one: (one.file, one.line or 0)))
    return tuple(_with_patterns(one.defined, found) for one in found)


def _read(path: Path) -> ReturnDefinition | None:
    """The definition, where its shape has no mistake; without lines, in half the time."""
    try:
        return ReturnDefinition.model_validate(YAML(typ="safe").load(bounded(path.read_text(encoding="utf-8-sig"))))
    except (ValidationError, YAMLError, UnicodeDecodeError, OSError, ValueError, RecursionError):
        return None


def _as_far_as_it_goes(path: Path, tree: YamlTree) -> _Declared | None:
    """A definition of wrong shape with what is right in it, so that its other mistakes are told as well; None where its columns are no
    list of columns at all."""
    try:
        content = plain(tree.tree)
    except Unsupported:
        return None
    if not isinstance(content, dict) or not isinstance(columns := content.get("columns"), list) or not columns:
        return None
    wrong: set[str | int] = set()
    try:
        ReturnDefinition.model_validate(content)
    except ValidationError as error:
        for at in (detail["loc"] for detail in error.errors(include_url=False)):
            wrong.add(at[1] if at[0] == "columns" and len(at) > 1 else at[0])
    for place in (one for one in wrong if isinstance(one, int)):
        said = columns[place] if isinstance(columns[place], dict) else {}
        name = said.get("name")
        label = said.get("label")
        columns[place] = {
            "name": name if isinstance(name, str) and re.fullmatch(NAME_OF_COLUMN, name) else f"column_{place}",
            "label": label if isinstance(label, str) else f"{place}",
            "type": "text",
            "required": True,
        }
    first = columns[0].get("name") if isinstance(columns[0], dict) else None
    instead = {
        "return": "unknown", "form": "XB00", "version": 1, "title": "?", "title_en": "?", "period_types": ["month"], "key": [first],
        "row_label": first,
    }  # fmt: skip
    for key in (one for one in wrong if isinstance(one, str)):
        content.pop(key, None)
        content |= {key: instead[key]} if key in instead else {}
    try:
        return _Declared(path, ReturnDefinition.model_validate(content), frozenset(wrong))
    except ValidationError:
        return None


def _tree(path: Path) -> YamlTree:
    return YamlTree.read(path, called=_CALLED, missing=_MISSING, example=_EXAMPLE)


def _report(trees: dict[Path, YamlTree], path: Path, mistakes: Iterable[_Mistake]) -> None:
    for mistake in mistakes:
        tree = trees.setdefault(path, _tree(path)) if path not in trees else trees[path]
        tree.report(mistake.at, mistake.message, mistake.remedy)


def _with_patterns(defined: ReturnDefinition, found: Iterable[_Declared]) -> ReturnDefinition:
    """The definition with the pattern of the column to which a reference points, where it has none of its own."""
    if not any(column.ref and column.pattern is None for column in defined.columns):
        return defined
    newest = {one.defined.return_code: one.defined for one in found}
    columns = []
    for column in defined.columns:
        if column.ref and column.pattern is None:
            return_code, _, name = column.ref.partition(".")
            target = newest[return_code].column(name)
            known = {"pattern": target.pattern, "pattern_hint": column.pattern_hint or target.pattern_hint}
            column = column.model_copy(update=known)
        columns.append(column)
    # Made anew: a copy would keep what has been remembered of the old columns.
    given = {field.alias or name: getattr(defined, name) for name, field in ReturnDefinition.model_fields.items()}
    return ReturnDefinition.model_validate({**given, "columns": tuple(columns)})


# --- one column ----------------------------------------------------------------------------------------------------------


def _of_column(column: Column) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong there, and what to do."""
    name = column.name
    if name in TAKEN_COLUMNS or "__" in name:
        yield "name", f"列名 {name} 是系统自用的（系统的列，或带两条下划线）", "换一个列名"
    for key, labels in (("label", (column.label,)), ("aliases", column.aliases)):
        if not all(normalise_label(label) for label in labels):
            yield key, f"{name} 的 {key} 是空白", "写上表头里的文字"
    if column.type == "code" and not column.codes:
        yield "type", f"{name} 是代码列，却没有写可选项", "补上 codes: [甲, 乙]；不限可选项的，type 写 text"
    if column.codes and column.type not in ("code", "flag"):
        yield "codes", f"{name} 写了 codes，类型却是 {column.type}", "把 type 改为 code，或删去 codes"
    if column.type == "flag" and column.codes != FLAGS:
        yield "codes", f"{name} 是是否列，可选项只能是{'、'.join(FLAGS)}", "删去 codes；要别的可选项，type 写 code"
    if len(set(map(typed, column.codes))) < len(column.codes):
        yield "codes", f"{name} 的可选项有重复（全角半角、空格不算区别）", "删去重复的一个"
    if unreadable := [code for code in column.codes if not typed(code) or typed(code) in MISSING_CODES]:
        yield "codes", f"{name} 的可选项不能叫{listed(f'“{one}”' for one in unreadable)}", "换一个说法"
    if unknown := [code for code in column.code_labels if code not in column.codes]:
        yield "code_labels", f"{name} 的可选项里没有{listed(unknown)}", did_you_mean(unknown[0], column.codes)
    if column.pattern is not None and column.type not in ("text", "ref"):
        yield "pattern", f"{name} 的类型是 {column.type}，不能写 pattern", "删去 pattern，或把 type 改为 text"
    elif column.pattern is not None and not _is_pattern(column.pattern):
        yield "pattern", f"{name} 的 pattern 不是可用的正则表达式", "改正写法；不支持前后查找（(?=、(?<=）"
    if (
        column.unit is not None
        and split_unit(f"数({column.unit})", frozenset([normalise_label(column.unit)]))[1] is None
    ):
        yield "unit", f"{name} 的单位“{column.unit}”不能用", "单位写 1 至 20 个字，不带括号"
    if (column.type == "decimal") != (column.places is not None):
        yield (
            ("type", f"{name} 是小数列，却没有写几位小数", "补上 places: 2（0 至 4）")
            if column.type == "decimal"
            else ("places", f"{name} 的类型是 {column.type}，不能写 places", "删去 places，或把 type 改为 decimal")
        )
    if column.type == "decimal" and column.unit is None:
        yield "type", f"{name} 是小数列，却没有写单位", "补上 unit: 平方米 这样的单位"
    if column.type == "percent" and column.unit != "%":
        yield "unit", f"{name} 是百分数列，单位只能是 %", "删去 unit；别的单位，type 写 decimal"
    if (column.type == "ref") != (column.ref is not None):
        yield (
            ("type", f"{name} 是引用列，却没有写引用哪张表的哪一列", "补上 ref: school.school_code")
            if column.type == "ref"
            else ("ref", f"{name} 的类型是 {column.type}，不能写 ref", "把 type 改为 ref，或删去 ref")
        )
    if column.signed and column.type not in ("money", "decimal"):
        yield (
            "signed",
            f"{name} 的类型是 {column.type}，不能写 signed",
            "删去 signed；可为负数的，type 写 money 或 decimal",
        )
    if column.max is not None and column.max < column.min:
        yield "max", f"{name} 的 max 小于 min", "改正 min 或 max"
    if column.is_number and max(column.min, column.max or 0) > column.largest:
        yield "max", f"{name} 的 min、max 超过 {column.type} 能读的最大数 {column.largest:,}", "改小，或换一种类型"


def _is_pattern(pattern: str) -> bool:
    """Whether it is a regular expression to the engine that reads the cells, which knows no look-around."""
    import polars as pl

    try:
        pl.Series(["1"]).str.contains(pattern)
    except pl.exceptions.ComputeError:
        return False
    return True


# --- one form ------------------------------------------------------------------------------------------------------------


def _of_form(defined: ReturnDefinition) -> Iterator[_Mistake]:
    if defined.return_code in TAKEN_RETURNS:
        yield _Mistake(("return",), f"报表代码 {defined.return_code} 是系统自用的", "换一个报表代码")
    for key, titles in (("title", (defined.title,)), ("aliases", defined.aliases)):
        if not all(map(normalise_label, titles)):
            yield _Mistake((key,), f"{key} 是空白", "写上报表的名称")
    first: dict[str, int] = {}
    owner: dict[str, str] = {}
    for place, column in enumerate(defined.columns):
        at: Location = ("columns", place)
        yield from (_Mistake((*at, key), message, remedy) for key, message, remedy in _of_column(column))
        if first.setdefault(column.name, place) != place:
            yield _Mistake((*at, "name"), f"列 {column.name} 写了两次", "删去一个，或换一个列名")
            continue
        for label in column.labels:
            if owner.setdefault(label, column.name) != column.name:
                yield _Mistake(
                    (*at, "label"),
                    f"表头“{label}”既是 {owner[label]} 又是 {column.name}",
                    "改其中一个的 label 或 aliases",
                )
    used: list[tuple[Location, str]] = [(("key", place), name) for place, name in enumerate(defined.key)]
    used.append((("row_label",), defined.row_label))
    if total := defined.total_row:
        for key, names in (("label_columns", total.label_columns), ("per", total.per)):
            used += [(("total_row", key, place), name) for place, name in enumerate(names)]
        if shared := set(total.label_columns) & set(total.per):
            yield _Mistake(
                ("total_row", "per"),
                f"合计行的标志不能写在分组的列 {listed(sorted(shared))} 里",
                "改 label_columns 或 per",
            )
    used += [(("explanations", name), name) for name in defined.explanations]
    for place, column in enumerate(defined.columns):
        used += [(("columns", place, "label_by", name), name) for name in column.label_by]
        used += [(("columns", place, "applies_when", name), name) for name in column.applies_when]
        yield from _of_its_codes(defined, place, column, first)
    for at, name in used:
        if name not in first:
            yield _Mistake(at, f"没有“{name}”这一列", did_you_mean(name, first))
    if defined.kind == "ledger" and (
        asked := [name for name in defined.key if name in first and not defined.column(name).required]
    ):
        yield _Mistake(("key",), f"台账靠主键认出同一行，{listed(asked)} 却可以空着", "主键各列写 required: true")


def _of_its_codes(defined: ReturnDefinition, place: int, column: Column, known: Collection[str]) -> Iterator[_Mistake]:
    """What a column says of rows of some codes: of columns that have such codes and are filled in every row."""
    said = [("label_by", by, tuple(labels)) for by, labels in column.label_by.items()]
    said += [("applies_when", by, codes) for by, codes in column.applies_when.items()]
    for key, by, codes in said:
        if by not in known:
            continue  # which is told of every key that names a column
        at, other = ("columns", place, key, by), defined.column(by)
        if not other.is_coded:
            yield _Mistake(at, f"{by} 的类型是 {other.type}，没有可选项", "写一个代码列或是否列")
        elif unknown := [code for code in codes if code not in other.codes]:
            yield _Mistake(at, f"{by} 的可选项里没有{listed(f'“{one}”' for one in unknown)}", did_you_mean(unknown[0], other.codes))  # fmt: skip
        elif not codes:
            yield _Mistake(at, f"没有写 {by} 是哪些可选项", f"写成 {by}: [{other.codes[0]}]")
        elif key == "applies_when" and (not other.required or other.missing or other.applies_when):
            yield _Mistake(at, f"{by} 自己可以空着或填别的，认不出哪些行要填 {column.name}", f"{by} 写 required: true，不写 missing 和 applies_when")  # fmt: skip
    if column.applies_when and column.name in (*defined.key, defined.row_label):
        yield _Mistake(("columns", place, "applies_when"), f"{column.name} 是主键或行标签，每一行都要填", "删去 applies_when")  # fmt: skip


# --- all of them ---------------------------------------------------------------------------------------------------------


def _between(every: list[_Declared], *, are_known: bool) -> Iterator[tuple[_Declared, _Mistake]]:
    """What files say against each other, each where the later one says it. A file that is wrong in itself is held against none but
    by its references, and none against it. `are_known`: whether these are all returns that are declared."""
    found = [one for one in every if not one.made_up]
    versions: dict[tuple[str, int], _Declared] = {}
    forms: dict[str, _Declared] = {}
    columns: dict[tuple[str, str], tuple[_Declared, Column]] = {}
    returns: dict[str, list[ReturnDefinition]] = {}
    for one in found:
        defined = one.defined
        returns.setdefault(defined.return_code, []).append(defined)
        other = versions.setdefault((defined.return_code, defined.version), one)
        if other is not one:
            yield one, _Mistake(("version",), f"{defined.return_code} 第 {defined.version} 版在 {other.path.name} 里已经有了", "改 version，或删去其中一个文件")  # fmt: skip
            continue
        holder = forms.setdefault(defined.form, one)
        if holder.defined.return_code != defined.return_code:
            yield one, _Mistake(("form",), f"表号 {defined.form} 已是 {holder.defined.return_code}（{holder.path.name}）的", "换一个表号")  # fmt: skip
        if (
            same := next(o for o in found if o.defined.return_code == defined.return_code)
        ).defined.form != defined.form:
            yield one, _Mistake(("form",), f"{defined.return_code} 的表号在 {same.path.name} 里是 {same.defined.form}", "同一报表各版用同一个表号")  # fmt: skip
        for place, column in enumerate(defined.columns):
            before, known = columns.setdefault((defined.return_code, column.name), (one, column))
            # One landing table holds all versions: under one name a figure means the same in each.
            if (known.type, known.unit, known.places) != (column.type, column.unit, column.places):
                yield one, _Mistake(("columns", place, "type"), f"{column.name} 的类型、单位或小数位数与 {before.path.name} 里的不同", "各版同名的列是同一个数；不同的数换一个列名")  # fmt: skip
    in_doubt = {one.defined.return_code for one in every if one.made_up}
    are_known = are_known and not any("return" in one.made_up for one in every)
    for one in every:
        for place, column in enumerate(one.defined.columns):
            if column.ref is None or column.ref.partition(".")[0] in in_doubt:
                continue
            return_code, _, name = column.ref.partition(".")
            at: Location = ("columns", place, "ref")
            if return_code not in returns and not are_known:
                continue
            if return_code not in returns:
                yield one, _Mistake(at, f"没有“{return_code}”这张报表", did_you_mean(return_code, returns))
            elif name not in returns[return_code][-1].names:
                yield one, _Mistake(at, f"{return_code} 没有“{name}”这一列", did_you_mean(name, returns[return_code][-1].names))  # fmt: skip
            elif name not in returns[return_code][-1].key:
                yield one, _Mistake(at, f"{column.ref} 不在它那张表的主键里，认不出是哪一行", f"引用主键里的列：{listed(returns[return_code][-1].key)}")  # fmt: skip


# --- what is asked of them -----------------------------------------------------------------------------------------------


@read_once
def declared_units() -> frozenset[str]:
    """Every unit that a definition declares, normalised."""
    return frozenset(
        normalise_label(column.unit) for defined in all_definitions() for column in defined.columns if column.unit
    )


def current_definitions() -> dict[str, ReturnDefinition]:
    """The newest version of each return, by return code."""
    return {defined.return_code: defined for defined in all_definitions()}


@read_once
def return_versions() -> dict[str, ReturnVersions]:
    """Every version of each return, by return code."""
    found: dict[str, list[ReturnDefinition]] = {}
    for defined in all_definitions():
        found.setdefault(defined.return_code, []).append(defined)
    return {code: ReturnVersions(tuple(versions)) for code, versions in found.items()}


def reference_on(return_code: str, period: Period) -> date:
    """The day on which a county must exist to file a return for a period, by the return's newest version."""
    return current_definitions()[return_code].reference_on(period)


def definition(return_code: str, version: int | None = None) -> ReturnDefinition:
    """The named version, or the newest. Raises KeyError when there is none."""
    if version is None:
        return current_definitions()[return_code]
    for defined in all_definitions():
        if (defined.return_code, defined.version) == (return_code, version):
            return defined
    raise KeyError(f"{return_code} v{version}")
