"""Reading families of indicators: a family expanded over its rows of `for`, checked, and written as rows of `declared`.

Belongs here: substitution, what the names in a declaration mean, and the rows. Every mistake of all files is told at once, at its line;
one of a family is told once, not for each of its rows. The form is `grammar`, what a return offers is `offers`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.declarations.grammar import (
    ALLOWED,
    AS_REPORTED,
    FACTORS,
    NEEDED,
    ROLES,
    SIDES,
    FamilyForm,
    IndicatorForm,
    TermForm,
)
from pipelines.declarations.known import PAY_COMPONENT, KnownPolicy
from pipelines.declarations.names import PLACEHOLDER, filled
from pipelines.declarations.offers import Offer
from pipelines.declarations.tables import Row
from pipelines.yaml_mistakes import Location, Problem, YamlMistakes, YamlTree, did_you_mean, listed, plain

_EXAMPLE = "随附的 enrolment.yaml"
_CODE = re.compile(r"[a-z][a-z0-9_]*")
_YEARS_BEFORE = re.compile(r"([1-9]|1[0-9]) 年前")
_BASELINE = "基期"
#: Layers above the figures that are computed from terms.
_MOST_LAYERS = 2
#: Units that say how two quantities of one kind compare.
_OF_ONE_KIND = ("%", "‰", "比值", "系数", "倍", "个百分点")
#: Periods of which each lies within one year of either kind.
_YEARS = frozenset(["school_year", "calendar_year"])
_PERIOD_WORDS = {
    "school_year": "学年", "calendar_year": "年度", "quarter": "季度", "month": "月度", "semester": "学期"
}  # fmt: skip


@dataclass
class _Term:
    """A term as a row, and the dimensions (in the sense of physics) of its value."""

    row: Row
    filters: list[Row]
    unit: str | None
    caliber_dimensions: set[str]


@dataclass
class _Indicator:
    code: str
    template: str
    form: IndicatorForm
    family: FamilyForm
    about: Mapping[str, str]
    terms: list[Row]
    of: list[Row]
    tree: YamlTree
    at: Location
    caliber_dimensions: dict[str, tuple[Location, str]] = field(default_factory=dict)


class _Families:
    """All families on their way to rows."""

    def __init__(self, offers: Mapping[str, Offer], known: KnownPolicy) -> None:
        self.offers, self.known = offers, known
        self.trees: list[YamlTree] = []
        self.problems: list[Problem] = []
        self.terms: dict[str, _Term] = {}
        self.indicators: dict[str, _Indicator] = {}
        self.families: dict[str, str] = {}
        self.names: dict[str, str] = {}

    # --- one file -----------------------------------------------------------------------------------------------------

    def read(self, path: Path) -> tuple[YamlTree, FamilyForm] | None:
        try:
            tree = YamlTree.read(path, called="指标声明文件", missing="", example=_EXAMPLE)
        except YamlMistakes as error:
            self.problems += error.problems
            return None
        self.trees.append(tree)
        form = tree.validated(tree.tree, FamilyForm, ())
        if form is None:
            return None
        if form.family in self.families:
            tree.report(("family",), f"“{form.family}”在 {self.families[form.family]} 里已经有了", "换一个名字")
            return None
        self.families[form.family] = path.name
        return tree, form

    def expand(self, tree: YamlTree, family: FamilyForm) -> None:
        """Each indicator of a family, a row of `for` after the other."""
        sound = {
            "terms": [name for name, said in family.terms.items() if tree.validated(said, TermForm, ("terms", name))],
            "indicators": [
                name
                for name, said in family.indicators.items()
                if tree.validated(said, IndicatorForm, ("indicators", name))
            ],
        }
        rows: list[dict[str, str]] = family.for_ or [{}]
        keys = [row.get("key", "") for row in rows] if family.for_ else []
        for index, row in enumerate(family.for_):
            if lacking := sorted({name for one in family.for_ for name in one} - set(row)):
                tree.report(("for", index), f"这一行缺少“{'、'.join(lacking)}”", "各行写同样的几项")
            if not _CODE.fullmatch(row.get("key", "")):
                tree.report(("for", index), "每一行要有 key，用小写字母", "如 key: primary")
        told: set[tuple[int | None, str]] = set()
        for row in rows:
            before = len(tree.problems)
            for template in sound["indicators"]:
                self._indicator(tree, family, template, row, keys)
            # What is wrong in every row, with the row's own word in it, is told of the first.
            found, tree.problems[before:] = tree.problems[before:], []
            tree.problems += [one for one in found if _kind_of(one) not in told]
            told |= {_kind_of(one) for one in found}

    def _filled(self, value: Any, row: Mapping[str, str], tree: YamlTree, at: Location) -> Any:
        """A value with the row's words in place of $names."""

        def unknown(name: str) -> None:
            tree.report(at, f"for 里没有“${name}”", did_you_mean(name, row) if row else "在 for 下给出各行的词")

        return filled(value, row, unknown)

    def _indicator(
        self, tree: YamlTree, family: FamilyForm, template: str, row: Mapping[str, str], keys: Sequence[str]
    ) -> None:
        at: Location = ("indicators", template)
        said = plain(family.indicators[template])
        assert isinstance(said, dict)
        for part in ("only", "except"):
            for key in said.get(part, ()):
                if key not in keys:
                    tree.report(
                        (*at, part), f"for 里没有 key 为“{key}”的行", did_you_mean(key, keys) if keys else "删去"
                    )
        key = row.get("key", "")
        if keys and said.get("only") and key not in said["only"]:
            return
        said = said | said.get("except", {}).get(key, {})
        said.pop("only", None)
        said.pop("except", None)
        form = tree.validated(self._filled(said, row, tree, at), IndicatorForm, at)
        code = self._filled(template, row, tree, at)
        if form is None:
            return
        if not _CODE.fullmatch(code):
            tree.report(at, f"“{template}”不能作指标代码", "用小写字母、数字和下划线")
            return
        if code in self.indicators:
            tree.report(at, f"指标“{code}”声明了两次", "换一个代码；有 for 的，在代码里写 $key")
            return
        if self.names.setdefault(form.name, code) != code:
            tree.report((*at, "name"), f"“{form.name}”已是指标“{self.names[form.name]}”的名称", "换一个名称")
        about = self._filled(dict(form.about if form.about is not None else family.about), row, tree, ("about",))
        found = _Indicator(code, template, form, family, about, [], [], tree, at)
        self._check_shape(found)
        for role in ROLES:
            for words, terms in (form.role(role) or {}).items():
                for term in terms:
                    self._use(found, role, words, term, row)
        self._of_others(found)
        self._check_units(found)
        self.indicators[code] = found

    # --- what the names mean ------------------------------------------------------------------------------------------

    def _check_shape(self, found: _Indicator) -> None:
        form, tree = found.form, found.tree
        named = f"指标“{found.template}”"
        given = [side for side in SIDES if form.role(side)]
        for side in NEEDED[form.shape]:
            if side not in given:
                tree.report(found.at, f"{named}是 {form.shape}，缺少“{side}”", f"补上 {side}: 项名")
        for side in given:
            if side not in (*NEEDED[form.shape], *ALLOWED.get(form.shape, ())):
                tree.report((*found.at, side), f"{named}是 {form.shape}，用不着“{side}”", "删去，或换一个 shape")
        needed = {
            "change": ("of", "since"), "share_of_areas": ("meets",), "mean_of": ("of",), "dispersion": ("per",),
            "share_of_units": ("per",), "quantile": ("per", "quantile"),
        }.get(form.shape, ())  # fmt: skip
        of_shapes = {
            "of",
            "since",
            "meets",
            "per",
            "quantile",
            "among",
            "at_least",
            "others",
            "weighting",
            "as_",
            "same",
        }
        allowed = {*needed, *{
            "change": ("as_", "same"), "share_of_areas": ("among", "at_least", "others"),
            "share_of_units": ("meets", "at_least", "others"),
            "dispersion": ("weighting",),
        }.get(form.shape, ())}  # fmt: skip
        for key in sorted(of_shapes):
            name = key.removesuffix("_")
            if key in needed and not getattr(form, key):
                tree.report(found.at, f"{named}是 {form.shape}，缺少“{name}”", f"补上 {name}:")
            if key not in allowed and getattr(form, key):
                tree.report((*found.at, name), f"{named}是 {form.shape}，用不着“{name}”", "删去，或换一个 shape")
        if form.since and form.since != _BASELINE and not _YEARS_BEFORE.fullmatch(form.since):
            tree.report((*found.at, "since"), f"since 不能是“{form.since}”", f"写 1 年前、3 年前 等，或 {_BASELINE}")
        if form.since == _BASELINE and form.same:
            tree.report((*found.at, "same"), "基期的数没有报表可比", "删去 same")
        if form.same:
            code, _, column = form.same.partition(".")
            if code not in self.offers or column not in self.offers[code].columns:
                tree.report((*found.at, "same"), f"没有“{form.same}”这一列", "写成 报表.列")
        if form.at_least is not None and form.at_least > len(form.meets):
            message = f"{named}要达到 {form.at_least} 项，meets 只有 {len(form.meets)} 项"
            tree.report((*found.at, "at_least"), message, "at_least 不多于 meets 的项数")
        if form.others is not None and form.at_least is None:
            tree.report((*found.at, "others"), f"{named}写了 others，没有写 at_least", "补上 at_least:，或删去 others")
        anchor = form.anchor or found.family.anchor
        if anchor is None:
            tree.report(found.at, f"{named}没有说以哪张报表的各期为准", "写 anchor: 报表代码")
        if anchor is not None and anchor not in self.offers:
            tree.report(
                (*found.at, "anchor") if form.anchor else ("anchor",), f"没有报表“{anchor}”",
                did_you_mean(anchor, self.offers),
            )  # fmt: skip
        elif form.per and anchor is not None and self.offers[anchor].analysis.unit is None:
            tree.report(
                (*found.at, "per"), f"报表 {anchor} 的 analysis 没有说 unit（一所学校是什么）", "补上 unit: 列名"
            )
        caliber = _caliber(found.form, found.family)
        if caliber is not None and caliber not in self.known.calibers:
            tree.report(
                (*found.at, "caliber") if form.caliber else ("caliber",), f"没有口径类“{caliber}”",
                did_you_mean(caliber, [*self.known.calibers, AS_REPORTED]),
            )  # fmt: skip
        if form.weighting == "caliber":
            self._check_caliber(found, (*found.at, "weighting"), "weighting", f"{named}的加权")
        if form.over_year and anchor is not None and anchor in self.offers:
            kinds = set(self.offers[anchor].period_types)
            if not kinds & {"quarter", "month", "semester"}:
                tree.report((*found.at, "over_year"), f"报表 {anchor} 不分季、分月，没有可以相加的", "删去 over_year")

    def _use(self, found: _Indicator, role: str, words: str, said: str, row: Mapping[str, str]) -> None:
        sign, name = (-1, said[1:].strip()) if said.startswith("-") else (1, said)
        tree, family = found.tree, found.family
        if name not in family.terms:
            message = f"指标“{found.template}”的 {role} 用到的项“{name}”没有在 terms 中声明"
            tree.report((*found.at, role), message, did_you_mean(name, family.terms))
            return
        term = self._term(tree, family, name, row)
        if term is None:
            return
        for dimension in sorted(term.caliber_dimensions):
            self._check_caliber(found, ("terms", name), dimension, f"项“{name}”")
        self._check_period(found, role, name, term)
        found.terms.append({
            "indicator_code": found.code, "role": role, "wording": words or None, "term": term.row["term"],
            "sign": sign, "ordinal": len(found.terms) + 1,
        })  # fmt: skip

    def _check_caliber(self, found: _Indicator, at: Location, dimension: str, what: str) -> None:
        """Every caliber of the indicator says what it takes of a dimension."""
        caliber = _caliber(found.form, found.family)
        if caliber is None:
            found.tree.report(at, f"{what}按口径取，而这一族没有口径", "写上 caliber:，或写明取哪些")
        for one, dimensions in self.known.calibers.get(caliber or "", {}).items():
            if dimension not in dimensions:
                table = "pay_components.csv" if dimension == PAY_COMPONENT else "caliber_members.csv"
                found.tree.report(at, f"口径“{one}”没有说“{dimension}”取哪些", f"在 policy/{table} 中补上")

    def _check_period(self, found: _Indicator, role: str, name: str, term: _Term) -> None:
        """The calendar has one period of the term's return for a part of the indicator: the same, or the year in which it lies."""
        anchor = found.form.anchor or found.family.anchor
        if anchor is None or anchor not in self.offers:
            return
        asking = self.offers[anchor].period_types
        asked = self.offers[str(term.row["return_code"])].period_types
        if not set(asking) & set(asked) and not _YEARS & set(asked):
            said, has = (listed(_PERIOD_WORDS.get(kind, kind) for kind in kinds) for kinds in (asking, asked))
            message = (
                f"项“{name}”的报表 {term.row['return_code']} 按{has}，而指标“{found.template}”按 {anchor} 的{said}"
            )
            remedy = f"写 anchor: {term.row['return_code']}（要年度数的再写 over_year: sum），或换一项"
            found.tree.report((*found.at, role), f"{message}：没有对应的一期", remedy)
        elif term.row["period_relation"] and not _YEARS & set(asked):
            message = f"项“{name}”写了 {term.row['period_relation']}，而报表 {term.row['return_code']} 不按年填"
            found.tree.report(("terms", name), message, "删去 at，或换一张按年填的报表")

    def _term(self, tree: YamlTree, family: FamilyForm, name: str, row: Mapping[str, str]) -> _Term | None:
        said = plain(family.terms[name])
        at: Location = ("terms", name)
        code = f"{family.family}.{name}" + (f".{row['key']}" if PLACEHOLDER.search(str(said)) and row else "")
        if code in self.terms:
            return self.terms[code]
        form = tree.validated(self._filled(said, row, tree, at), TermForm, at)
        offer = self.offers.get(form.return_code) if form else None
        if form is None:
            return None
        if offer is None:
            tree.report((*at, "return"), f"没有报表“{form.return_code}”", did_you_mean(form.return_code, self.offers))
            return None
        kinds = [kind for kind in ("sum", "rows", "distinct") if getattr(form, kind)]
        if len(kinds) != 1:
            tree.report(at, f"项“{name}”要写 sum、rows、distinct 中的一个", "如 sum: students_total")
            return None
        made = self._counted(tree, at, name, form, kinds[0], offer)
        if made is None:
            return None
        columns, label, unit, places = made
        if form.at is not None and not _YEARS_BEFORE.fullmatch(form.at):
            tree.report((*at, "at"), f"at 不能是“{form.at}”", "写 1 年前、3 年前、9 年前")
        if form.shown is not None and form.shown not in offer.columns:
            tree.report(
                (*at, "shown"),
                f"报表 {offer.return_code} 没有列“{form.shown}”",
                did_you_mean(form.shown, offer.columns),
            )
        filters, by_caliber = self._filters(tree, at, name, form, offer)
        term = _Term(
            {
                "term": code,
                "return_code": offer.return_code,
                "kind": kinds[0],
                "column_name": columns[0] if columns else None,
                "times_column": ",".join(columns[1:]) or None,
                "period_relation": form.at,
                "absent": form.absent or (offer.analysis.absent if isinstance(offer.analysis.absent, str) else "zero"),
                "shown_column": form.shown,
                "label": form.label or label,
                "unit": form.unit or unit,
                "decimal_places": places,
            },
            [{"term": code, **one} for one in filters],
            form.unit or unit,
            by_caliber,
        )
        self.terms[code] = term
        return term

    def _counted(
        self, tree: YamlTree, at: Location, name: str, form: TermForm, kind: str, offer: Offer
    ) -> tuple[list[str], str, str | None, int] | None:
        """Columns, their words, unit and decimal places of what a term counts."""
        if kind == "rows":  # a place to point at: the column of the unit, else the first
            return [offer.analysis.unit or next(iter(offer.columns))], f"{offer.title}的行数", None, 0
        said = str(getattr(form, kind))
        columns = [part.strip() for part in re.split(r"[×*]", said)]
        if kind == "distinct":
            if said not in offer.columns:
                tree.report(
                    (*at, kind),
                    f"项“{name}”：报表 {offer.return_code} 没有列“{said}”",
                    did_you_mean(said, offer.columns),
                )
                return None
            return columns, f"不重复的{offer.columns[said].label}数", None, 0
        for column in columns:
            if column not in offer.summable:
                known = column in offer.columns
                what = f"“{column}”不是数" if known else f"报表 {offer.return_code} 没有列“{column}”"
                tree.report((*at, kind), f"项“{name}”：{what}", did_you_mean(column, offer.summable))
                return None
            if column in offer.measures and len(columns) > 1:
                tree.report((*at, kind), f"项“{name}”：“{column}”是一组列，不能相乘", "写成一列")
                return None
        labels, units, places = [], list[str | None](), 0
        for column in columns:
            measure = offer.measures.get(column)
            one = offer.columns[next(iter(measure.members)) if measure else column]
            labels.append(f"按{measure.label}分的各列" if measure else one.label)
            units.append(one.unit)
            places += one.decimal_places
        unit = None if None in units else product_of([str(one) for one in units])
        return columns, "×".join(labels), unit, places

    def _filters(
        self, tree: YamlTree, at: Location, name: str, form: TermForm, offer: Offer
    ) -> tuple[list[Row], set[str]]:
        filters: list[Row] = []
        by_caliber: set[str] = set()
        for dimension, said in form.where.items():
            place: Location = (*at, "where")
            if dimension not in offer.dimensions:
                tree.report(
                    place,
                    f"项“{name}”：报表 {offer.return_code} 不能按“{dimension}”筛选",
                    f"可按：{listed(offer.dimensions)}",
                )
                continue
            if said == "caliber" or isinstance(said, dict):
                other = said.get("caliber") if isinstance(said, dict) else None
                if isinstance(said, dict) and (set(said) != {"caliber"} or not isinstance(other, str)):
                    tree.report(place, f"项“{name}”：“{dimension}”的写法不对", "写 {caliber: 口径维度}、一个值或几个值")
                    continue
                filters.append({"dimension": dimension, "source": "caliber", "value": other})
                by_caliber.add(other or dimension)
                continue
            members = offer.dimensions[dimension].members
            groups = self.known.groups.get(dimension, {})
            for value in said if isinstance(said, list) else [said]:
                word = str(value)
                is_group = word in groups
                if not is_group and members and word not in members:
                    label = offer.dimensions[dimension].label
                    tree.report(
                        place,
                        f"项“{name}”：{label}（{dimension}）没有“{word}”",
                        did_you_mean(word, [*members, *sorted(groups)]),
                    )
                filters.append({"dimension": dimension, "source": "group" if is_group else "member", "value": word})
        return filters, by_caliber

    def _of_others(self, found: _Indicator) -> None:
        form = found.form
        others: list[tuple[str, str, Decimal | None]] = [("of", code, weight) for code, weight in form.of.items()]
        others += [("meets", code, None) for code in form.meets]
        others += [("among", form.among, None)] if form.among else []
        found.of = [
            {"indicator_code": found.code, "of_code": code, "relation": relation, "weight": weight, "ordinal": place}
            for place, (relation, code, weight) in enumerate(others, 1)
        ]

    def _check_units(self, found: _Indicator) -> None:
        form, tree = found.form, found.tree
        unit = form.unit or found.family.unit
        if form.shape not in ("ratio", "ratio_of_averages", "count", "dispersion"):
            return
        sides: dict[str, Counter[str] | None] = {}
        for side in SIDES:
            units = [
                self.terms[one["term"]].unit for one in found.terms if one["role"] == side and one["term"] in self.terms
            ]
            if not units:
                sides[side] = Counter()
                continue
            of_terms = [None if one is None else powers_of(one) for one in units]
            if any(one != of_terms[0] for one in of_terms):
                words = "、".join(one or "?" for one in units)
                tree.report(
                    (*found.at, side), f"指标“{found.template}”的 {side} 把不同单位的项相加减：{words}", "核对各项"
                )
                return
            sides[side] = of_terms[0]
        kinds = {
            self.terms[one["term"]].row["kind"]
            for one in found.terms
            if one["term"] in self.terms and one["role"] in SIDES
        }
        if {"distinct", "rows"} <= kinds:
            message = f"指标“{found.template}”一边数不重复的键、一边数行：全市合计时两边数法不同"
            tree.report(found.at, message, "两边都用 distinct")
        if None in sides.values():
            return
        powers = _difference(
            _difference(sides["numerator"], sides["numerator_base"]),
            _difference(sides["denominator"], sides["denominator_base"]),
        )
        wanted = Counter() if unit in _OF_ONE_KIND else powers_of(unit)
        # A number a hundred of others is called freely: 人/百名学生.
        if form.factor and unit not in FACTORS and not any(powers.values()):
            return
        if {name: power for name, power in powers.items() if power} != dict(wanted):
            tree.report(
                found.at,
                f"指标“{found.template}”按各项的单位得“{_unit_words(powers)}”，写的是“{unit}”",
                "核对单位或各项",
            )

    # --- all of them --------------------------------------------------------------------------------------------------

    def check_relations(self) -> dict[str, int]:
        """The layer of each indicator; what names an unknown one, goes round or is too deep is reported."""
        layers: dict[str, int] = {}

        def layer(code: str, path: tuple[str, ...]) -> int:
            if code in layers:
                return layers[code]
            found = self.indicators[code]
            if code in path:
                circle = " → ".join((*path[path.index(code) :], code))
                found.tree.report(found.at, f"指标“{code}”绕回到自己：{circle}", "去掉其中一环")
                layers[code] = 0
                return 0
            deepest = 0
            for row in found.of:
                if row["of_code"] not in self.indicators:
                    message = f"指标“{found.template}”的 {row['relation']} 里没有这个指标：{row['of_code']}"
                    found.tree.report(found.at, message, did_you_mean(str(row["of_code"]), self.indicators))
                else:
                    deepest = max(deepest, 1 + layer(str(row["of_code"]), (*path, code)))
            own = 0 if found.form.shape == "share_of_units" else deepest
            if own > _MOST_LAYERS:
                found.tree.report(found.at, f"指标“{found.template}”叠了 {own} 层", f"指标的指标最多 {_MOST_LAYERS} 层")
            return layers.setdefault(code, own)

        for code in self.indicators:
            layer(code, ())
        return layers

    def rows(self) -> dict[str, list[Row]]:
        layers = self.check_relations()
        used = {row["term"] for found in self.indicators.values() for row in found.terms}
        terms = [term for code, term in sorted(self.terms.items()) if code in used]
        return {
            "indicator": [
                self._row(found, layers[code], place) for place, (code, found) in enumerate(self.indicators.items(), 1)
            ],
            "indicator_subject": [
                {"indicator_code": code, "dimension": dimension, "member": member}
                for code, found in self.indicators.items()
                for dimension, member in found.about.items()
            ],
            "indicator_term": [row for found in self.indicators.values() for row in found.terms],
            "indicator_of": [row for found in self.indicators.values() for row in found.of],
            "term": [term.row for term in terms],
            "term_filter": [row for term in terms for row in term.filters],
        }

    def _row(self, found: _Indicator, layer: int, place: int) -> Row:
        form, family = found.form, found.family
        unit = form.unit or family.unit
        gap = form.gap or family.gap
        line = found.tree.line(found.at)
        since = {None: None, _BASELINE: "baseline"}.get(form.since, (form.since or "").split(" ")[0])
        return {
            "indicator_code": found.code,
            "family": family.family,
            "template": found.template,
            "indicator_name": form.name,
            "indicator_name_en": form.name_en,
            "shape": form.shape,
            "layer": layer,
            "anchor_return": form.anchor or family.anchor,
            "caliber_kind": _caliber(form, family),
            "unit": unit,
            "factor": form.factor or FACTORS.get(unit, 1),
            "side_factor": form.side_factor,
            "direction": form.direction or family.direction,
            "over_year": form.over_year,
            "zero_denominator": form.zero_denominator,
            "is_nothing_counted": family.nothing == "counts",
            "per": (form.anchor or family.anchor) if form.per else None,
            "weighting": (form.weighting or "units") if form.shape == "dispersion" else None,
            "quantile": form.quantile,
            "since": since,
            "change_as": (form.as_ or "difference") if form.shape == "change" else None,
            "same_column": form.same,
            "at_least": form.at_least,
            "others_share": form.others,
            "ceiling": form.ceiling,
            "numerator_wording": _wording(form, "numerator"),
            "denominator_wording": _wording(form, "denominator"),
            "gap_counted": gap.counted if gap else None,
            "gap_below": gap.below if gap else None,
            "gap_above": gap.above if gap else None,
            "source_document": form.source if form.source is not None else family.source,
            "sort_order": place,
            "place": f"{Path(found.tree.file).name}:{line}" if line else Path(found.tree.file).name,
        }


def _kind_of(problem: Problem) -> tuple[int | None, str]:
    """A mistake without the words that are quoted in it, which a row may have given."""
    return problem.line, re.sub("“[^”]*”", "“”", problem.message)


def _caliber(form: IndicatorForm, family: FamilyForm) -> str | None:
    """The kind of caliber; None where there is nothing to choose."""
    said = form.caliber or family.caliber
    return None if said == AS_REPORTED else said


def _wording(form: IndicatorForm, side: str) -> str | None:
    """What a side is called: the words of its terms, or those given."""
    if given := form.words.get(side):  # type: ignore[call-overload]
        return str(given)
    return "、".join(words for words in form.role(side) or () if words) or None


def powers_of(unit: str) -> Counter[str]:
    """A unit as powers: 元/人·月 → 元¹ 人⁻¹ 月⁻¹."""
    over, *under = unit.split("/")
    powers: Counter[str] = Counter()
    for part, sign in ((over, 1), *((one, -1) for one in under)):
        for name in part.split("·"):
            powers[name] += sign
    return Counter({name: power for name, power in powers.items() if power and name not in ("", *_OF_ONE_KIND)})


def product_of(units: Sequence[str]) -> str:
    """The unit of a product."""
    powers: Counter[str] = Counter()
    for unit in units:
        for name, power in powers_of(unit).items():
            powers[name] += power
    return _unit_words(powers)


def _difference(one: Counter[str] | None, other: Counter[str] | None) -> Counter[str]:
    found = Counter(one or {})
    found.subtract(other or {})
    return found


def _unit_words(powers: Mapping[str, int]) -> str:
    over = "·".join(name for name, power in powers.items() for _ in range(power) if power > 0)
    under = "·".join(name for name, power in powers.items() for _ in range(-power) if power < 0)
    return (f"{over}/{under}" if under else over) or "无单位"


def read_families(
    folders: Sequence[Path], offers: Mapping[str, Offer], known: KnownPolicy
) -> tuple[dict[str, list[Row]], list[Problem]]:
    """Rows of `declared.indicator` and its like from the families in some folders, and every mistake, by file and line."""
    reading = _Families(offers, known)
    families = [found for path in _paths(folders) if (found := reading.read(path)) is not None]
    for tree, family in sorted(families, key=lambda one: (one[1].order, one[1].family)):
        reading.expand(tree, family)
    rows = reading.rows()
    problems = reading.problems + [problem for tree in reading.trees for problem in tree.problems]
    return rows, sorted(dict.fromkeys(problems), key=lambda one: (one.file, one.line or 0))


def _paths(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob("*.yaml"))
