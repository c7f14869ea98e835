"""Declarations on their way into the build database: the tables of schema `declared`, made anew when a declaration has changed.

Belongs here: when they are written, and what that makes out of date. What is declared is `pipelines.declarations`.
"""

import duckdb

from pipelines.declarations.declared import declaration_digest, declared_rows
from pipelines.declarations.tables import fill_tables
from pipelines.home import Home
from pipelines.policy.in_force import InForce, known_policy
from pipelines.warehouse.build_database import ALL_RETURNS, get_state, mark_dirty, set_state


def land_declarations(connection: duckdb.DuckDBPyConnection, home: Home, in_force: InForce) -> None:
    """Bring the tables in line with the declarations; every mart is dirty where one has changed.

    Raises DeclarationError, before anything is written.
    """
    digest = declaration_digest(home, in_force.digest)
    if get_state(connection, "declarations") == digest:
        return
    rows = declared_rows(home, known_policy(in_force))
    connection.begin()
    fill_tables(connection, rows)
    set_state(connection, "declarations", digest)
    mark_dirty(connection, [ALL_RETURNS])
    connection.commit()
