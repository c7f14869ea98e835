"""The part of the dbt project that follows from the definitions of the returns: sources, and the models that every return has; and the
tables of the declarations as sources.

Belongs here: its text, and writing it. A return's landing table is a source; its staging view has contract, grain and descriptions; each
file of `dbt_project/per_return/` is a model that every return has, the same text with the return's names filled in. None of it is kept
under version control: it lies in a folder `generated` beside the models written by hand and is written anew whenever it would differ.
What is landed is `build_database`'s, which columns there are `returns`'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from pipelines.declarations.offers import Offer, read_offers
from pipelines.declarations.tables import COLUMN_DESCRIPTIONS, DESCRIPTIONS, SCHEMA, TABLES, columns_of
from pipelines.files import replace_file
from pipelines.returns import Column, ReturnVersions, return_versions

#: The folder of every layer in which nothing is written by hand.
GENERATED = "generated"
PER_RETURN = "per_return"
_SAYS_SO = "Follows from pipelines/returns/definitions and dbt_project/per_return; written anew before dbt reads it."

_Described = dict[str, str]
_SUBMISSION = {"name": "submission_id", "data_type": "varchar", "description": "报送件编号：文件字节的 SHA-256"}
_PLACE: list[_Described] = [
    {"name": "county_code", "data_type": "varchar", "description": "县区行政区划代码（6 位）"},
    {"name": "period", "data_type": "varchar", "description": "报告期代码"},
    {"name": "sheet", "data_type": "varchar", "description": "工作表名"},
    {"name": "source_row", "data_type": "integer", "description": "工作表中的行号"},
]
_MISSING = {"name": "missing_codes", "data_type": "varchar"}
_WHY = "空值的原因，JSON：列名 → "


def generated_files(project: Path) -> dict[str, str]:
    """Path within the project → text, of everything that follows from the definitions in use and the project's templates."""
    files: dict[str, str] = {}
    returns = return_versions()
    templates = sorted((project / PER_RETURN).rglob("*.sql"))
    for template in templates:
        layer = template.parent.relative_to(project / PER_RETURN).as_posix()
        text = Template(template.read_text(encoding="utf-8"))
        for code, versions in returns.items():
            name = template.name.replace("RETURN", code)
            files[f"models/{layer}/{GENERATED}/{name}"] = f"-- {_SAYS_SO}\n{text.substitute(_filled_in(versions))}"
    offers, _ = read_offers()  # what is wrong in them is told where they are landed
    for code, offer in offers.items():
        files[f"models/intermediate/{GENERATED}/int_atom_{code}.sql"] = _atoms(code, offer)
    files[f"models/intermediate/{GENERATED}/int_atom.sql"] = _all_atoms(list(offers))
    files[f"models/marts/{GENERATED}/mart_lineage_cell.sql"] = _lineage_cells(offers, returns)
    tables = [_source(code, versions) for code, versions in returns.items()]
    landing = {
        "name": "landing",
        "description": "私有构建库的入库表，只追加：各报表已接收的数据行。",
        "schema": "landing",
        "config": {"freshness": None},
        "tables": tables,
    }
    files[f"models/staging/{GENERATED}/landing.yml"] = _as_yaml({"version": 2, "sources": [landing]})
    files[f"models/intermediate/{GENERATED}/declared.yml"] = _as_yaml({"version": 2, "sources": [_declarations()]})
    models = [_staging(code, versions) for code, versions in returns.items()]
    files[f"models/staging/{GENERATED}/staging.yml"] = _as_yaml({"version": 2, "models": models})
    return files


def _atoms(code: str, offer: Offer) -> str:
    """The sums of a return's rows that indicators count, and of a model's that registers as a return."""
    return f"""-- {_SAYS_SO}
-- {offer.title}：指标所计的行，按同类合计。
{{{{ config(meta={{'local_to': 'county'}}) }}}}
{{{{ atoms_of('{code}', ref('{_relation(code, offer)}'), references={_references(offer)}) }}}}
"""


def _all_atoms(codes: list[str]) -> str:
    parts = "\nunion all\n".join(f"select * from {{{{ ref('int_atom_{code}') }}}}" for code in codes)
    return f"-- {_SAYS_SO}\n{{{{ config(materialized='view') }}}}\n{parts}\n"


def _lineage_cells(offers: Mapping[str, Offer], returns: Mapping[str, ReturnVersions]) -> str:
    cells = ",\n    ".join(
        f"cells_of('{code}', ref('{_relation(code, offer)}'), \"{_row_label(code, offer, returns)}\", {_references(offer)})"
        for code, offer in offers.items()
    )
    return f"-- {_SAYS_SO}\n-- Every cell that a figure rests on, once.\n{{{{ lineage_cells([\n    {cells},\n]) }}}}\n"


def _row_label(code: str, offer: Offer, returns: Mapping[str, ReturnVersions]) -> str:
    """How a row is called: by its label, with what else of the key no term tells apart; where the label tells rows apart by
    itself, by the whole key."""
    if offer.model:
        return "row_label"
    newest = returns[code].newest
    chosen_by = {one.expression for one in offer.dimensions.values() if one.kind == "column"}
    columns = {column.name: column for column in newest.columns}
    if newest.row_label in newest.key:
        shown = [f"{name} || ' {columns[name].unit}'" if columns[name].unit else name for name in newest.key]
        return " || ' ' || ".join(f"cast({name} as string)" if " " not in name else name for name in shown)
    others = [name for name in newest.key if name not in chosen_by and columns[name].codes]
    return newest.row_label + "".join(f" || '（' || {name} || '）'" for name in others)


def _relation(code: str, offer: Offer) -> str:
    return offer.model.relation if offer.model else f"stg_{code}"


def _references(offer: Offer) -> str:
    return json.dumps(sorted(offer.analysis.references))


def _declarations() -> dict[str, Any]:
    """The tables of the declarations of indicators, which the models read when they run."""
    return {
        "name": SCHEMA,
        "description": "指标声明展开成的表，声明一变就重写。",
        "schema": SCHEMA,
        "config": {"freshness": None},
        "tables": [
            {
                "name": table,
                "description": DESCRIPTIONS[table],
                "columns": [
                    {"name": name, "data_type": kind.lower(), "description": COLUMN_DESCRIPTIONS[name]}
                    for name, kind in columns_of(table).items()
                ],
            }
            for table in TABLES
        ],
    }


def is_written(project: Path) -> bool:
    """Whether exactly this lies in the project."""
    return _there(project) == generated_files(project)


def write_generated(project: Path) -> None:
    """Write what differs and remove what no longer follows. Other processes may do the same."""
    wanted, there = generated_files(project), _there(project)
    for name in there.keys() - wanted.keys():
        (project / name).unlink(missing_ok=True)
    for name, text in wanted.items():
        if there.get(name) != text:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(project / name, text.encode())


def _there(project: Path) -> dict[str, str]:
    return {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8")
        for path in (project / "models").rglob(f"{GENERATED}/*")
        if path.suffix in (".sql", ".yml")
    }


def _filled_in(versions: ReturnVersions) -> Mapping[str, str]:
    """What a template may name: `$return`, `$form`, `$title`, `$landed_columns`."""
    newest = versions.newest
    return {
        "return": newest.return_code,
        "form": newest.form,
        "title": newest.title,
        "landed_columns": "\n".join(f"    landed.{column.name}," for column in versions.columns),
    }


def _source(code: str, versions: ReturnVersions) -> dict[str, Any]:
    screening = {
        "name": "screening_seq",
        "data_type": "bigint",
        "description": "审核序号；规则变动后可重新审核，取最大者",
    }
    columns = [
        _SUBMISSION,
        screening,
        *_PLACE,
        *_declared(versions),
        {**_MISSING, "description": f"{_WHY}原因"},
    ]
    about = f"{versions.newest.form} {versions.newest.title}：已接收的数据行。"
    return {"name": code, "description": about, "columns": columns}


def _staging(code: str, versions: ReturnVersions) -> dict[str, Any]:
    reasons = "not_applicable 不适用、not_reported 缺报、included_elsewhere 并入（写明栏目的，冒号后为列名）"
    columns = [
        _SUBMISSION,
        {"name": "received_at", "data_type": "timestamp", "description": "收到时间（UTC）"},
        {"name": "return_version", "data_type": "integer", "description": "按报表的第几版填报"},
        *_PLACE,
        *_declared(versions),
        {**_MISSING, "description": f"{_WHY}{reasons}"},
    ]
    grain = ["county_code", "period", *versions.key]
    # A version without a column of the key holds null in it.
    only_some = {name for name in versions.key if versions.lacking(name)}
    tested = [f"coalesce(cast({name} as string), '')" if name in only_some else name for name in grain]
    name = f"stg_{code}"
    about = f"粒度：{' × '.join(grain)}。{versions.newest.form} {versions.newest.title}现行有效版本的行。"
    unique = {"name": f"{name}_has_one_row_per_grain", "arguments": {"columns": tested}}
    return {"name": name, "description": about, "data_tests": [{"unique_grain": unique}], "columns": columns}


def _declared(versions: ReturnVersions) -> list[_Described]:
    return [
        {"name": column.name, "data_type": column.sql_type.lower(), "description": described(column, versions)}
        for column in versions.columns
    ]


def described(column: Column, versions: ReturnVersions) -> str:
    """What a column holds, in words: label, unit, where the reason of a null stands, and which versions do not ask for it."""
    text = f"{column.label}（{column.unit}）" if column.unit else column.label
    if rows := versions.newest_with(column.name).applies_in(column.name):
        text += f"；只由{rows}的行填"
    if column.missing:
        text += "；空值的原因见 missing_codes"
    if lacking := versions.lacking(column.name):
        text += f"；第 {'、'.join(map(str, lacking))} 版报表没有这一列，其行为空"
    return text


def _as_yaml(content: dict[str, Any]) -> str:
    # JSON is YAML.
    return f"# {_SAYS_SO}\n{json.dumps(content, ensure_ascii=False, indent=1)}\n"
