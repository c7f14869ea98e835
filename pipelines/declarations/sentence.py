"""An indicator as a sentence, for a statistician who asks what exactly is divided by what.

    小学毛入学率（%）＝ 小学在校生数 ÷ 6–11周岁人口 × 100；小学在校生数：XB02“在校生数”，学段＝小学；…
    Primary gross enrolment ratio (%) = numerator ÷ denominator × 100; numerator: XB02 students_total, stage = 小学; …

Belongs here: the words in both languages, out of the rows of `declared`; no name of an indicator or a return. Words of forms and members
are Chinese in both, as a county reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.declarations.grammar import SIDES
from pipelines.declarations.tables import Row

#: Dimension → group → members, as `KnownPolicy.groups`.
Groups = Mapping[str, Mapping[str, Sequence[str]]]

_ROLES = {
    "numerator": ("分子", "numerator"),
    "numerator_base": ("分子的除数", "numerator base"),
    "denominator": ("分母", "denominator"),
    "denominator_base": ("分母的除数", "denominator base"),
    "needs": ("须有", "must be known"),
    "exists": ("有其事的依据", "must exist"),
}
_WEIGHTING = {
    "units": ("按分母加权", "weighted by the denominator"),
    "equal": ("各单位同权", "all alike"),
    "caliber": ("加权方式按口径", "weighted as the caliber says"),
}


@dataclass(frozen=True)
class Sentences:
    """`rows`: of the tables; `forms`: return → the number of its form; `groups`: the members that policy puts into groups."""

    rows: Mapping[str, Sequence[Row]]
    forms: Mapping[str, str]
    groups: Groups = field(default_factory=dict)
    english: bool = False

    def of(self, code: str) -> str:
        """One indicator in words. Raises KeyError where it is not declared."""
        indicator = next((row for row in self.rows["indicator"] if row["indicator_code"] == code), None)
        if indicator is None:
            raise KeyError(code)
        unit = self._said(f"（{indicator['unit']}）＝ ", f" ({indicator['unit']}) = ")
        said = [f"{self._name(code)}{unit}{self._formula(indicator)}", *self._terms(indicator)]
        return self._said("；", "; ").join(said)

    def _said(self, chinese: str, english: str) -> str:
        return english if self.english else chinese

    def _name(self, code: str) -> str:
        column = "indicator_name_en" if self.english else "indicator_name"
        return next((str(row[column]) for row in self.rows["indicator"] if row["indicator_code"] == code), code)

    def _side(self, indicator: Row, side: str) -> str:
        """What a side is called: its words, or its role where it has none and where English is read."""
        words = indicator.get(f"{side}_wording")
        return str(words) if words and not self.english else self._said(*_ROLES[side])

    def _formula(self, indicator: Row) -> str:
        shape = indicator["shape"]
        above, below = self._side(indicator, "numerator"), self._side(indicator, "denominator")
        by = f" × {indicator['factor']}" if indicator["factor"] != 1 else ""
        made_of = [row for row in self.rows["indicator_of"] if row["indicator_code"] == indicator["indicator_code"]]
        names = {relation: [] for relation in ("of", "meets", "among")}  # type: dict[str, list[str]]
        for row in made_of:
            weight = f" × {row['weight']}" if row["weight"] is not None and shape == "mean_of" else ""
            names[str(row["relation"])].append(self._name(str(row["of_code"])) + weight)
        of, meets, among = (self._said("、", ", ").join(names[relation]) for relation in names)
        match shape:
            case "count":
                formula = above
            case "change":
                formula = self._change(indicator, of)
            case "mean_of":
                formula = self._said(f"{of} 的平均", f"mean of {of}")
            case "dispersion":
                weighting = self._said(*_WEIGHTING[str(indicator["weighting"])])
                formula = self._said(
                    f"各单位“{above} ÷ {below}”的差异系数（{weighting}）",
                    f"coefficient of variation over units of {above} ÷ {below} ({weighting})",
                )
            case "quantile":
                each = f"{above} ÷ {below}" if self._has(indicator, "denominator") else above
                formula = self._said(
                    f"各单位“{each}”的 {indicator['quantile']} 分位数",
                    f"quantile {indicator['quantile']} over units of {each}",
                )
            case "share_of_areas" | "share_of_units":
                formula = self._share(indicator, meets) + by
            case _:
                formula = f"{above} ÷ {below}{by}"
        return formula + (self._said(f"（只评{among}达标的）", f" (of those that meet {among})") if among else "")

    def _has(self, indicator: Row, role: str) -> bool:
        return any(
            row["indicator_code"] == indicator["indicator_code"] and row["role"] == role
            for row in self.rows["indicator_term"]
        )

    def _change(self, indicator: Row, of: str) -> str:
        since = str(indicator["since"])
        then = (
            self._said("基期", "the base")
            if since == "baseline"
            else self._said(f"{since} 年前", f"{since} years before")
        )
        if indicator["change_as"] == "reduction_percent":
            return self._said(f"{of} 比{then}下降的百分比", f"reduction of {of} against {then}, in per cent")
        return self._said(f"{of} 减去{then}的", f"{of} less that of {then}")

    def _share(self, indicator: Row, meets: str) -> str:
        units = (
            self._said("县（市、区）", "areas")
            if indicator["shape"] == "share_of_areas"
            else self._said("单位", "units")
        )
        wanted = (
            self._said("达到", "meeting ") + (meets or self._said("本指标", "its")) + self._said("的标准", " standard")
        )
        if indicator["at_least"] is not None:
            wanted += self._said(f"至少 {indicator['at_least']} 项", f", at least {indicator['at_least']} of them")
            if indicator["others_share"] is not None:
                wanted += self._said(
                    f"、其余不低于标准的 {indicator['others_share']} 倍",
                    f", the others at {indicator['others_share']} of it or more",
                )
        return self._said(f"{wanted}的{units}数 ÷ 已判定的{units}数", f"{units} {wanted} ÷ {units} judged")

    def _terms(self, indicator: Row) -> Iterator[str]:
        """What each role is made of."""
        terms = {row["term"]: row for row in self.rows["term"]}
        uses = [row for row in self.rows["indicator_term"] if row["indicator_code"] == indicator["indicator_code"]]
        for role in (*SIDES, "needs", "exists"):
            of_role = [row for row in uses if row["role"] == role]
            if not of_role:
                continue
            words = "、".join(dict.fromkeys(str(row["wording"]) for row in of_role if row["wording"]))
            called = self._said(words or _ROLES[role][0], _ROLES[role][1])
            parts = []
            for place, row in enumerate(of_role):
                sign = self._said("减 ", "less ") if row["sign"] < 0 else self._said("加 ", "plus ") if place else ""
                joined = self._said("，", ", ") if place and role in SIDES else self._said("、", ", ") if place else ""
                parts.append(f"{joined}{sign if role in SIDES else ''}{self._term(terms[row['term']])}")
            yield f"{called}{self._said('：', ': ')}{''.join(parts)}"

    def _term(self, term: Row) -> str:
        form = self.forms.get(str(term["return_code"]), str(term["return_code"]))
        years = str(term["period_relation"] or "").split(" ")[0]
        before = self._said(f"（{years} 年前）", f" ({years} years before)") if years else ""
        column = str(term["column_name"]) + "".join(
            f" × {one}" for one in str(term["times_column"] or "").split(",") if one
        )
        kind = {"rows": "rows of ", "distinct": "distinct "}.get(str(term["kind"]), "")
        what = self._said(f"“{term['label']}”", f" {kind}{column}" if kind != "rows of " else " rows")
        return f"{form}{what}{before}{self._filters(term)}"

    def _filters(self, term: Row) -> str:
        labels = {
            row["dimension"]: str(row["dimension"] if self.english else row["label"])
            for row in self.rows["return_dimension"]
            if row["return_code"] == term["return_code"]
        }
        chosen: dict[str, list[str]] = {}
        for row in self.rows["term_filter"]:
            if row["term"] == term["term"]:
                chosen.setdefault(str(row["dimension"]), []).append(self._member(row))
        equals, between = self._said("，", ", "), self._said("＝", " = ")
        return "".join(
            f"{equals}{labels.get(name, name)}{between}{self._said('或', ' or ').join(values)}"
            for name, values in chosen.items()
        )

    def _member(self, row: Row) -> str:
        if row["source"] == "caliber":
            return self._said("按口径", "as the caliber says")
        value = str(row["value"])
        members = self.groups.get(str(row["dimension"]), {}).get(value, ()) if row["source"] == "group" else ()
        if not members or list(members) == [value]:
            return value
        return self._said(f"{value}（{'、'.join(members)}）", f"{value} ({', '.join(members)})")
