"""An indicator as a sentence, for a statistician who asks what exactly is divided by what.

    小学毛入学率（%）＝ 小学在校生数 ÷ 6–11周岁人口 × 100；小学在校生数：XB02“在校生数”，学段＝小学；…

Belongs here: the words, out of the rows of `declared`; no name of an indicator or a return.
"""

from collections.abc import Iterator, Mapping, Sequence

from pipelines.declarations.tables import Row

Rows = Mapping[str, Sequence[Row]]

_SINCE = {"baseline": "基期"}


def sentence(code: str, rows: Rows, forms: Mapping[str, str]) -> str:
    """One indicator in words; `forms`: return → the number of its form. Raises KeyError where it is not declared."""
    indicator = next((row for row in rows["indicator"] if row["indicator_code"] == code), None)
    if indicator is None:
        raise KeyError(code)
    unit = f"（{indicator['unit']}）" if indicator["unit"] else ""
    return "；".join(
        [f"{indicator['indicator_name']}{unit}＝ {_formula(indicator, rows)}", *_terms(indicator, rows, forms)]
    )


def _formula(indicator: Row, rows: Rows) -> str:
    shape = indicator["shape"]
    numerator, denominator = indicator["numerator_wording"], indicator["denominator_wording"]
    by = f" × {indicator['factor']}" if indicator["factor"] != 1 else ""
    of = [
        (row["relation"], _name(str(row["of_code"]), rows), row["weight"])
        for row in rows["indicator_of"]
        if row["indicator_code"] == indicator["indicator_code"]
    ]
    named = "、".join(name for relation, name, _ in of if relation != "among")
    if shape == "count":
        return str(numerator)
    if shape == "change":
        since = str(indicator["since"])
        since = _SINCE.get(since, f"{since} 年前")
        return (
            f"{named}比{since}下降的百分比" if indicator["change_as"] == "reduction_percent" else f"{named}减{since}的"
        )
    if shape == "mean_of":
        return "按权重平均：" + "、".join(f"{name}（{weight}）" for _, name, weight in of)
    if shape == "dispersion":
        weight = {"units": "按分母加权", "equal": "各校同权"}.get(str(indicator["weighting"]), "加权方式按口径")
        return f"各校{numerator} ÷ {denominator}的差异系数（{weight}）"
    if shape == "quantile":
        return f"各校{numerator or named}的 {indicator['quantile']} 分位数"
    among = "".join(f"（限{name}达标的）" for relation, name, _ in of if relation == "among")
    judged = f"：{named}都达到标准" if len(of) > 1 else f"：{named}达到标准" if named else ""
    return f"{numerator} ÷ {denominator or '已判定数'}{by}{judged}{among}"


def _terms(indicator: Row, rows: Rows, forms: Mapping[str, str]) -> Iterator[str]:
    """What each term is, once."""
    said = set()
    terms = {row["term"]: row for row in rows["term"]}
    for use in rows["indicator_term"]:
        if use["indicator_code"] != indicator["indicator_code"] or use["term"] in said:
            continue
        said.add(use["term"])
        term = terms[use["term"]]
        filters = _filters(term, rows)
        words = f"{use['wording']}：" if use["wording"] else ""
        if use["sign"] < 0:
            words = "其中减去："
        if use["role"] in ("needs", "exists"):
            words = "须有：" if use["role"] == "needs" else "有其事的依据："
        at = f"（{term['period_relation']}）" if term["period_relation"] else ""
        form = forms.get(str(term["return_code"]), str(term["return_code"]))
        yield f"{words}{form}“{term['label']}”{at}{filters}"


def _filters(term: Row, rows: Rows) -> str:
    labels = {
        row["dimension"]: row["label"] for row in rows["return_dimension"] if row["return_code"] == term["return_code"]
    }
    chosen: dict[str, list[str]] = {}
    for row in rows["term_filter"]:
        if row["term"] == term["term"]:
            chosen.setdefault(str(row["dimension"]), []).append(
                "按口径" if row["source"] == "caliber" else str(row["value"])
            )
    return "".join(f"，{labels.get(name, name)}＝{'或'.join(values)}" for name, values in chosen.items())


def _name(code: str, rows: Rows) -> str:
    return next((str(row["indicator_name"]) for row in rows["indicator"] if row["indicator_code"] == code), code)
