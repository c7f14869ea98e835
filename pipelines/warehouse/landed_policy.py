"""Policy on its way into the build database: the tables of schema `policy`, as they are declared and in force.

Belongs here: writing them when they have changed, and what that makes out of date. What is in force is `pipelines.policy`.
"""

import json

import duckdb

from pipelines.home import Home
from pipelines.policy.in_force import InForce, PolicyFiles, known_in, lay_over
from pipelines.policy.kept import keep, refuse_lost
from pipelines.policy.tables import policy_tables
from pipelines.warehouse.build_database import ALL_RETURNS, get_state, insert_rows, mark_dirty, set_state
from pipelines.warehouse.dbt import DBT_PROJECT


def land_policy(connection: duckdb.DuckDBPyConnection, home: Home) -> InForce:
    """Keep the policy of a home in `raw/` and bring the tables in line with it; every mart is dirty where a value has changed.

    Returns what is in force. The caller holds `home.writing()`. Raises PolicyError, before anything is written.
    """
    files = PolicyFiles.of_home(home)
    refuse_lost(home)
    in_force = lay_over(files, known_in(home.municipality, files))
    version = keep(home, files)
    write_policy(connection, in_force)
    set_state(connection, "policy_files", json.dumps(version.files))
    return in_force


def write_policy(connection: duckdb.DuckDBPyConnection, in_force: InForce) -> None:
    """Write the tables where they are not what is in force."""
    if get_state(connection, "policy") == in_force.digest:
        return
    connection.begin()
    connection.execute("CREATE SCHEMA IF NOT EXISTS policy")
    for name, table in policy_tables().items():
        columns = ", ".join(f'"{column}" {declared.sql_type}' for column, declared in table.columns.items())
        connection.execute(f"CREATE OR REPLACE TABLE policy.{name} ({columns})")
        insert_rows(connection, f"policy.{name}", [row.key(table.columns) for row in in_force.rows[name]])
    set_state(connection, "policy", in_force.digest)
    mark_dirty(connection, [ALL_RETURNS])
    connection.commit()


def landed_files(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Part and name → SHA-256 of the files of policy that the tables are made of."""
    found: dict[str, str] = json.loads(get_state(connection, "policy_files") or "{}")
    return found


def samples_in_force(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Title of a table → how many of its rows are samples, of those that have any."""
    found = {}
    for name, table in policy_tables().items():
        ((number,),) = connection.execute(f"SELECT count(*) FROM policy.{name} WHERE is_sample").fetchall()
        if number:
            found[table.title] = int(number)
    return found


def sources_yml() -> str:
    """The tables as dbt sources, as they stand in `dbt_project/models/policy.yml`."""
    lines = [
        "# Written by `python -m pipelines.warehouse.landed_policy` from pipelines/policy/tables.yaml.",
        "version: 2",
        "",
        "sources:",
        "  - name: policy",
        "    schema: policy",
        "    tables:",
    ]
    for name, table in policy_tables().items():
        lines += [f"      - name: {name}", f"        description: {_quoted(table.description)}", "        columns:"]
        for column, declared in table.columns.items():
            said = (
                f"{declared.label}（{'、'.join(declared.value_labels.values())}）"
                if declared.value_labels
                else declared.label
            )
            lines += [
                f"          - name: {column}",
                f"            data_type: {declared.sql_type}",
                f"            description: {_quoted(said)}",
            ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


#: Where `sources_yml` stands.
SOURCES = DBT_PROJECT / "models" / "policy.yml"


if __name__ == "__main__":
    SOURCES.write_text(sources_yml(), encoding="utf-8")
