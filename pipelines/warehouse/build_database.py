"""The private build database: landing tables that screening appends to and dbt reads, and the control tables beside them.

Belongs here: its schema (from the return definitions), what is still to be screened, and landing a batch in one transaction.
Nobody but the pipeline opens this file; a reader would lock the writer out. When its schema no longer fits the definitions it is
thrown away and filled again from `raw/`. It has an identity, so that the steps of one run know whether it still is the one that
they began with.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.home import Home
from pipelines.intake.raw_store import RawStore, RawSubmission
from pipelines.returns import ReturnVersions, current_definitions, reference_on, return_versions
from pipelines.screening.findings import Finding
from pipelines.screening.screen import Screening
from pipelines.workbooks.personal_data import mask_personal

_PLACE = "return_code VARCHAR, county_code VARCHAR, period VARCHAR"
_FINDING_TAIL = """
    rule_id VARCHAR, level VARCHAR, outcome VARCHAR, file_name VARCHAR, sheet VARCHAR, cell VARCHAR, source_row INTEGER,
    form_label VARCHAR, row_label VARCHAR, column_label VARCHAR, value VARCHAR, expected VARCHAR, difference VARCHAR,
    message VARCHAR, remedy VARCHAR, subject VARCHAR"""

_TABLES = {
    "landing.submission": """submission_id VARCHAR, file_name VARCHAR, source_county_code VARCHAR, source_uri VARCHAR,
        received_at TIMESTAMP, size_bytes BIGINT""",
    "landing.screened": """submission_id VARCHAR, screening_seq BIGINT, receipts_digest VARCHAR, arrivals_n INTEGER,
        rule_set_version VARCHAR""",
    "landing.filing_version": """submission_id VARCHAR, screening_seq BIGINT, return_code VARCHAR, return_version INTEGER,
        county_code VARCHAR, period VARCHAR, period_type VARCHAR, sheet VARCHAR, file_name VARCHAR, received_at TIMESTAMP,
        verdict VARCHAR, errors_n INTEGER, queries_n INTEGER, infos_n INTEGER, waived_n INTEGER, rows_n INTEGER,
        passed_over VARCHAR, content_digest VARCHAR, answers_submission_id VARCHAR, rule_set_version VARCHAR""",
    # Every time that a filing was sent, with the screening; whether it fell into a lock.
    "landing.sending": f"submission_id VARCHAR, screening_seq BIGINT, {_PLACE}, received_at TIMESTAMP, is_locked_out BOOLEAN",
    "landing.cell_column": """submission_id VARCHAR, screening_seq BIGINT, return_code VARCHAR, sheet VARCHAR,
        first_row INTEGER, last_row INTEGER, column_name VARCHAR, column_letter VARCHAR, header_label VARCHAR""",
    "landing.finding": f"finding_id VARCHAR, submission_id VARCHAR, screening_seq BIGINT, {_PLACE}, {_FINDING_TAIL}",
    "landing.rule_result": f"""submission_id VARCHAR, screening_seq BIGINT, {_PLACE}, rule_id VARCHAR, level VARCHAR,
        outcome VARCHAR, checked_n BIGINT, failed_n BIGINT""",
    "landing.context_evaluation": f"evaluation_seq BIGINT, submission_id VARCHAR, {_PLACE}",
    "landing.context_finding": f"finding_id VARCHAR, submission_id VARCHAR, evaluation_seq BIGINT, {_PLACE}, {_FINDING_TAIL}",
    "landing.context_rule_result": f"""evaluation_seq BIGINT, submission_id VARCHAR, {_PLACE}, rule_id VARCHAR,
        level VARCHAR, outcome VARCHAR, checked_n BIGINT, failed_n BIGINT""",
    # Of the rows of a filing, without regard to their order: all of them, and their figures without the schools they belong to;
    # `cells_n` that are not zero. Equal digests of as many rows: equal figures.
    "landing.filing_digest": f"""submission_id VARCHAR, screening_seq BIGINT, {_PLACE}, rows_n BIGINT, cells_n BIGINT,
        rows_digest VARCHAR, figures_digest VARCHAR""",
    "landing.census_2020": """area_code VARCHAR, area_name VARCHAR, age_from INTEGER, age_to INTEGER, male BIGINT,
        female BIGINT, submission_id VARCHAR, sheet VARCHAR, source_row INTEGER""",
    # Since when a source cannot be read, or can again.
    "landing.source_note": "note_n INTEGER, county_code VARCHAR, observed_at TIMESTAMP, problem VARCHAR",
    "landing.lateness": f"{_PLACE}, due_on DATE, observed_on DATE",
    # Replies of the counties to queries, as they stand in the files; `deviation`: how far the value was off when it was explained.
    "landing.explanation": f"""submission_id VARCHAR, screening_seq BIGINT, {_PLACE}, rule_id VARCHAR, subject VARCHAR,
        column_label VARCHAR, deviation VARCHAR, explanation VARCHAR, received_at TIMESTAMP""",
    # The bureau's log as far as it stands: `revoked_at` says since when a decision has been taken back.
    "landing.decision": f"""decision_n INTEGER, decided_at TIMESTAMP, decided_by VARCHAR, action VARCHAR, reason VARCHAR,
        {_PLACE}, rule_id VARCHAR, submission_id VARCHAR, until_on DATE, revokes_n INTEGER, revoked_at TIMESTAMP""",
    "control.county": """county_code VARCHAR, county_name VARCHAR, county_name_en VARCHAR, city_code VARCHAR,
        city_name VARCHAR, city_name_en VARCHAR, province_code VARCHAR, province_name VARCHAR, valid_from DATE,
        valid_to DATE, sort_order INTEGER""",
    # Which county passed into which, from when; the share as a part of the whole: [share_before, share_before + share) ÷ share_of.
    "control.county_successor": """county_code VARCHAR, successor_code VARCHAR, valid_from DATE, share BIGINT,
        share_before BIGINT, share_of BIGINT""",
    "control.calendar": """return_code VARCHAR, period VARCHAR, period_type VARCHAR, period_start DATE, period_end DATE,
        reference_on DATE, period_label VARCHAR, due_on DATE""",
    # What the periods are that anything was filed for.
    "control.period": """period VARCHAR, before_period VARCHAR, before_label VARCHAR, months_n INTEGER, school_year VARCHAR,
        calendar_year VARCHAR, starts_on DATE, ends_on DATE""",
    # What the models of rules across filings are told by the catalogue and the definitions: see `warehouse.checks`.
    "declared.check_rule": """rule_id VARCHAR, return_code VARCHAR, model VARCHAR, question VARCHAR, level VARCHAR,
        outcome VARCHAR, valid_from DATE, valid_to DATE, column_name VARCHAR""",
    "declared.check_parameter": """return_code VARCHAR, question VARCHAR, name VARCHAR, value DECIMAL(18,4), word VARCHAR""",
    "declared.check_column": """return_code VARCHAR, column_name VARCHAR, of_member VARCHAR, label VARCHAR, unit VARCHAR,
        type VARCHAR, units_in_one BIGINT, smallest DECIMAL(5,4), is_additive BOOLEAN, ordinal INTEGER""",
    "control.run": "status_on DATE, withhold_below DECIMAL(5,4)",
    # What stands in the way of skipping work: returns whose marts are out of date, and digests of what was last built.
    "control.dirty_return": "return_code VARCHAR",
    "control.state": "name VARCHAR, value VARCHAR",
    # What each county was answered: digest of the answer, names of its files, the receipt's data.
    "control.answer": """submission_id VARCHAR, county_code VARCHAR, arrivals_n INTEGER, digest VARCHAR, file_names VARCHAR,
        content VARCHAR""",
}

# Versions that the bureau has sent back: the last word on them was a return that stands.
_RETURNED = """
    CREATE OR REPLACE VIEW landing.returned_version AS
    SELECT submission_id, return_code, county_code, period FROM landing.decision
    WHERE action IN ('accept', 'return') AND revoked_at IS NULL
    GROUP BY ALL HAVING arg_max(action, decision_n) = 'return'
"""

#: The screening of each submission that counts.
LATEST = "SELECT submission_id, max(screening_seq) AS screening_seq FROM landing.screened GROUP BY ALL"

# When each filing was last sent, and when outside of a lock.
_SENT_LAST = """
    CREATE OR REPLACE VIEW landing.sent_last AS
    SELECT submission_id, screening_seq, return_code, county_code, period, max(received_at) AS sent_at,
           max(received_at) FILTER (WHERE NOT is_locked_out) AS taken_at
    FROM landing.sending GROUP BY ALL
"""

# The version in force of each filing, as everything is known now; the models have their own, as of a time.
_IN_FORCE = f"""
    CREATE OR REPLACE VIEW landing.filing_in_force AS
    SELECT filing.* FROM landing.filing_version AS filing
    SEMI JOIN ({LATEST}) AS newest
        ON filing.submission_id = newest.submission_id AND filing.screening_seq = newest.screening_seq
    ANTI JOIN landing.returned_version AS returned
        ON filing.submission_id = returned.submission_id AND filing.return_code = returned.return_code
        AND filing.county_code = returned.county_code AND filing.period = returned.period
    -- The county's own annotated workbook with the values as they were carries replies, and is no new version.
    ANTI JOIN landing.filing_version AS answered
        ON filing.answers_submission_id = answered.submission_id AND filing.return_code = answered.return_code
        AND filing.county_code = answered.county_code AND filing.period = answered.period
        AND filing.content_digest = answered.content_digest
    LEFT JOIN landing.sent_last AS sent
        ON filing.submission_id = sent.submission_id AND filing.screening_seq = sent.screening_seq
        AND filing.return_code = sent.return_code AND filing.county_code = sent.county_code AND filing.period = sent.period
    WHERE filing.verdict <> 'rejected' AND filing.return_code IS NOT NULL
    -- What was sent last; sent once more under a lock, it stands where it stood.
    QUALIFY row_number() OVER (
        PARTITION BY filing.return_code, filing.county_code, filing.period
        ORDER BY coalesce(sent.taken_at, filing.received_at) DESC, filing.submission_id DESC
    ) = 1
"""

# Submissions that were taken for a day on which their county does not exist, or refused for one on which it does: its life was
# configured otherwise then.
_MISPLACED = f"""
    SELECT DISTINCT filing.submission_id
    FROM landing.filing_version AS filing
    SEMI JOIN ({LATEST}) AS newest
        ON filing.submission_id = newest.submission_id AND filing.screening_seq = newest.screening_seq
    JOIN control.calendar AS calendar ON filing.return_code = calendar.return_code AND filing.period = calendar.period
    JOIN control.county AS county ON filing.county_code = county.county_code
    LEFT JOIN landing.finding AS refusal
        ON filing.submission_id = refusal.submission_id AND filing.screening_seq = refusal.screening_seq
        AND filing.return_code = refusal.return_code AND filing.period = refusal.period
        AND refusal.rule_id IN ('FILE-0-county-ended', 'FILE-0-county-not-yet')
    WHERE CASE
        WHEN calendar.reference_on >= county.valid_from
            AND (county.valid_to IS NULL OR calendar.reference_on < county.valid_to) THEN refusal.finding_id IS NOT NULL
        ELSE filing.verdict <> 'rejected'
    END
"""

#: What to mark dirty when every mart is out of date; when findings and verdicts changed but no figure; when figures stay what they
#: are but may have become final, or are so no longer.
ALL_RETURNS, FINDINGS_ONLY, FINALITY_ONLY = "*", "finding", "finality"


def return_table_columns(versions: ReturnVersions) -> str:
    """The column list of a return's landing table: what any of its versions has."""
    declared = ", ".join(f'"{column.name}" {column.sql_type}' for column in versions.columns)
    return f"""submission_id VARCHAR, screening_seq BIGINT, county_code VARCHAR, period VARCHAR, sheet VARCHAR,
        source_row INTEGER, {declared}, missing_codes VARCHAR"""


def landing_schema() -> dict[str, str]:
    """Every table of the build database that Python writes → its column list."""
    returns = {
        f"landing.{return_code}": return_table_columns(versions) for return_code, versions in return_versions().items()
    }
    return _TABLES | returns


def landing_views() -> dict[str, str]:
    """What any return has, whatever its columns are called: view → its query. Rows of every version that was landed.

    `landing.reported_school`: a row a row of a return by school. `landing.reported_number`: a row a number, in the smallest unit
    (cents, tenths of heads) as a whole number. `landing.reported_reference`: a cell a row that names an entry of another return (type ref).
    `landing.reported_entry`: what such cells may name, by the column that they name, and the entries of ledgers by their whole key (column
    ''), each with the day on which it ends (`exists` of the definition).
    """
    slot = "submission_id, screening_seq, county_code, period, sheet, source_row"
    referred = {
        column.ref for versions in return_versions().values() for column in versions.columns if column.ref is not None
    }
    schools, numbers, references, entries = [], [], [], []
    for code, versions in return_versions().items():
        defined = versions.newest
        key = " || '/' || ".join(f'CAST("{name}" AS VARCHAR)' for name in defined.key)
        label = f'"{defined.row_label}"'
        if "school_code" in defined.key:
            beside = next((name for name in defined.key if name != "school_code"), None)
            of_stage = label + (f""" || '（' || "{beside}" || '）'""" if beside else "")
            schools.append(
                f"SELECT '{code}' AS return_code, {slot}, school_code, {key} AS row_key, {of_stage} AS row_label FROM landing.{code}"
            )
        columns = {column.name: 10**column.decimal_places for column in defined.number_columns}
        if columns:
            scaled = ", ".join(f'CAST("{name}" * {times} AS BIGINT) AS "{name}"' for name, times in columns.items())
            names = ", ".join(f'"{name}"' for name in columns)
            numbers.append(
                f"""SELECT '{code}' AS return_code, {slot}, row_key, column_name, number
                    FROM (SELECT {slot}, {key} AS row_key, {scaled} FROM landing.{code})
                    UNPIVOT (number FOR column_name IN ({names}))"""
            )
        row = f"SELECT '{code}' AS return_code, {slot}, {key} AS row_key, {label} AS row_label"
        for column in versions.columns:
            if column.ref is not None:
                of_return, _, of_column = column.ref.partition(".")
                references.append(
                    f"""{row}, '{column.name}' AS column_name, '{of_return}' AS of_return, '{of_column}' AS of_column,
                        "{column.name}" AS value FROM landing.{code} WHERE "{column.name}" IS NOT NULL"""
                )
        until = defined.analysis.get("exists", {}).get("until")
        ends_on = f'"{until}"' if until else "CAST(NULL AS DATE)"
        named = [name for name in defined.names if f"{code}.{name}" in referred]
        entries += [
            f"""{row}, '{name}' AS column_name, "{name}" AS value, {ends_on} AS ends_on FROM landing.{code}"""
            for name in named
        ]
        if defined.kind == "ledger":
            entries.append(f"{row}, '' AS column_name, {key} AS value, {ends_on} AS ends_on FROM landing.{code}")
    place = dict.fromkeys(("return_code", *slot.split(", ")), "VARCHAR") | {
        "screening_seq": "BIGINT",
        "source_row": "INTEGER",
    }
    return {
        f"landing.{name}": " UNION ALL ".join(queries) or _no_rows(place | dict.fromkeys(own, "VARCHAR") | {last: kind})
        for name, queries, own, last, kind in (
            ("reported_school", schools, ("school_code", "row_key", "row_label"), "row_label", "VARCHAR"),
            ("reported_number", numbers, ("row_key", "column_name", "number"), "number", "BIGINT"),
            ("reported_reference", references, ("row_key", "row_label", "column_name", "of_return", "of_column", "value"), "value", "VARCHAR"),
            ("reported_entry", entries, ("row_key", "row_label", "column_name", "value", "ends_on"), "ends_on", "DATE"),
        )
    }  # fmt: skip


def _no_rows(columns: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(f'CAST(NULL AS {kind}) AS {name}' for name, kind in columns.items())} WHERE false"


def _schema_digest() -> str:
    return hashlib.sha256(json.dumps([landing_schema(), landing_views()], sort_keys=True).encode()).hexdigest()[:16]


class BuildDatabaseLost(RuntimeError):
    """What a step was to go on with is not what its run has screened into; nothing is published of it (Chinese)."""


@contextmanager
def open_build_database(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database, made or made anew where its schema is not today's. The caller holds `home.writing()`."""
    home.private.mkdir(parents=True, exist_ok=True)
    existed = home.build_database.exists()
    connection = _connected(home)
    if existed and not _fits(connection):
        connection.close()
        remove_build(home)
        connection = duckdb.connect(str(home.build_database))
    try:
        connection.execute("CREATE SCHEMA IF NOT EXISTS landing; CREATE SCHEMA IF NOT EXISTS control")
        connection.execute("CREATE SCHEMA IF NOT EXISTS declared")
        for table, columns in landing_schema().items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        connection.execute(_RETURNED)
        connection.execute(_SENT_LAST)
        connection.execute(_IN_FORCE)
        if get_state(connection, "schema") is None:
            for view, query in landing_views().items():
                connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
            set_state(connection, "schema", _schema_digest())
            connection.execute("INSERT INTO control.dirty_return VALUES (?)", [ALL_RETURNS])
        if get_state(connection, "identity") is None:
            set_state(connection, "identity", secrets.token_hex(16))
        yield connection
    finally:
        connection.close()


@contextmanager
def open_screened(home: Home, identity: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `open_build_database`, for a step after screening: `identity` is that of the database which this run has screened into.

    Raises BuildDatabaseLost when it is another one by now, or one into which nothing was ever screened.
    """
    with open_build_database(home) as connection:
        if identity is not None and get_state(connection, "identity") != identity:
            raise BuildDatabaseLost(
                "构建库在本次运行中途被移走或换成了另一个（例如另一处在重建）：本次到此为止，什么都没有发布，已发布的指标库保持不变。"
                "再运行一次 xianbao run 即可。"
            )
        if get_state(connection, "decisions_applied") is None:
            raise BuildDatabaseLost(
                "构建库是新建的，还没有审核过任何报送件：什么都没有发布，已发布的指标库保持不变。再运行一次 xianbao run 即可。"
            )
        yield connection


def _connected(home: Home) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(home.build_database))
    except duckdb.SerializationException:  # written by a DuckDB that is newer than ours
        remove_build(home)
        return duckdb.connect(str(home.build_database))


def _fits(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        return get_state(connection, "schema") == _schema_digest()
    except (duckdb.CatalogException, duckdb.SerializationException):
        return False


def remove_build(home: Home) -> None:
    """Throw away everything private that `raw/` can rebuild. The published file stays until the next one replaces it."""
    for path in _private_files(home):
        _remove(path)


def set_build_aside(home: Home, *, marts_only: bool = False) -> None:
    """As `remove_build`, of what is damaged: it lies in `private/damaged/` until the next time, for whoever wants to know why."""
    aside = home.private / "damaged"
    _remove(aside)
    aside.mkdir(parents=True)
    for path in _private_files(home, marts_only=marts_only):
        if path.exists():
            path.rename(aside / path.name)


def _private_files(home: Home, *, marts_only: bool = False) -> list[Path]:
    databases = (home.marts_database,) if marts_only else (home.build_database, home.marts_database)
    return [path for one in databases for path in (one, one.with_name(one.name + ".wal"))]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def get_state(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    rows = connection.execute("SELECT value FROM control.state WHERE name = ?", [name]).fetchall()
    return str(rows[0][0]) if rows else None


def next_sequence(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> int:
    """One more than the highest `name` in `table`."""
    return int(connection.execute(f"SELECT coalesce(max({name}), 0) + 1 FROM {table}").fetchall()[0][0])


def set_state(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    connection.execute("DELETE FROM control.state WHERE name = ?", [name])
    connection.execute("INSERT INTO control.state VALUES (?, ?)", [name, value])


def mark_dirty(connection: duckdb.DuckDBPyConnection, return_codes: Iterable[str]) -> None:
    """Remember that the marts of these returns are out of date; kept until a publish succeeds."""
    for return_code in sorted(set(return_codes) - dirty_returns(connection)):
        connection.execute("INSERT INTO control.dirty_return VALUES (?)", [return_code])


def dirty_returns(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT return_code FROM control.dirty_return").fetchall()}


def write_control(connection: duckdb.DuckDBPyConnection, home: Home, *, status_on: date | None = None) -> bool:
    """Bring the control tables in line with the configuration; returns whether anything changed (then every mart is dirty)."""
    municipality = home.municipality
    city = municipality.city
    counties = [
        (county.code, county.name, county.name_en, city.code, city.name, city.name_en, city.province_code, city.province,
         county.valid_from, county.valid_to, order)
        for order, county in enumerate(municipality.counties, start=1)
    ]  # fmt: skip
    successors = [
        (succession.county, code, succession.from_day, share, before, whole)
        for succession in municipality.successors
        for code, share, before, whole in succession.shares()
    ]
    calendar = [
        (row.return_code, row.period.code, row.period.type.value, row.period.start, row.period.end,
         reference_on(row.return_code, row.period), row.period.label, row.due_on)
        for row in municipality.calendar_rows()
    ]  # fmt: skip
    run = [(status_on, municipality.publish.withhold_below)]
    content: dict[str, list[Any]] = {
        "control.county": counties,
        "control.county_successor": successors,
        "control.calendar": calendar,
        "control.run": run,
    }
    digest = hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()
    if get_state(connection, "control") == digest:
        return False
    connection.begin()
    for table, rows in content.items():
        connection.execute(f"DELETE FROM {table}")
        insert_rows(connection, table, rows)
    set_state(connection, "control", digest)
    mark_dirty(connection, [ALL_RETURNS])
    connection.commit()
    return True


def to_screen(connection: duckdb.DuckDBPyConnection, store: RawStore) -> list[RawSubmission]:
    """Submissions that were never screened, or were sent once more since, or were screened when other days were configured on which
    a county begins or ends."""
    done = set(connection.execute("SELECT submission_id, receipts_digest FROM landing.screened").fetchall())
    misplaced = {row[0] for row in connection.execute(_MISPLACED).fetchall()}
    return [
        entry
        for entry in store
        if (entry.submission_id, entry.receipts_digest) not in done or entry.submission_id in misplaced
    ]


def land(connection: duckdb.DuckDBPyConnection, entries: Sequence[RawSubmission], screening: Screening) -> int:
    """Append a screened batch. The caller opens and commits the transaction; returns the batch's screening_seq."""
    sequence = next_sequence(connection, "landing.screened", "screening_seq")
    versions = {filing.submission_id: filing.rule_set_version for filing in screening.filings}
    ids = [entry.submission_id for entry in entries]
    connection.execute("DELETE FROM landing.submission WHERE list_contains(?, submission_id)", [ids])
    insert_rows(
        connection,
        "landing.submission",
        [
            (entry.submission_id, mask_personal(entry.first.file_name), entry.first.county_code, mask_personal(entry.first.source_uri),
             min(receipt.received_at for receipt in entry.receipts), entry.size_bytes)
            for entry in entries
        ],
    )  # fmt: skip
    insert_rows(
        connection,
        "landing.screened",
        [
            (
                entry.submission_id,
                sequence,
                entry.receipts_digest,
                len(entry.arrivals),
                versions.get(entry.submission_id),
            )
            for entry in entries
        ],
    )
    filings = [astuple(filing) for filing in screening.filings]
    insert_rows(connection, "landing.filing_version", [(row[0], sequence, *row[1:]) for row in filings])
    insert_rows(connection, "landing.sending", [(row[0], sequence, *row[1:]) for row in screening.sendings])
    insert_rows(
        connection,
        "landing.cell_column",
        [(row[0], sequence, *row[1:]) for row in screening.cell_columns],
    )
    insert_findings(connection, "landing.finding", "screening_seq", sequence, screening.findings)
    insert_rows(connection, "landing.explanation", [(row[0], sequence, *row[1:]) for row in screening.explanations])
    insert_rows(connection, "landing.rule_result", [(row[0], sequence, *row[1:]) for row in screening.rule_results])
    for return_code, rows in screening.rows.items():
        if not rows.is_empty():
            _insert_rows(connection, return_code, rows, sequence)
            _land_digests(connection, return_code, sequence)
    # A rejected file changes no figure, unless an earlier screening accepted it: only the boards of findings and status, which are
    # built whenever anything is.
    figures = {
        filing.return_code for filing in screening.filings if filing.return_code and filing.verdict != "rejected"
    } | {
        row[0]
        for row in connection.execute(
            """SELECT DISTINCT return_code FROM landing.filing_version
               WHERE list_contains(?, submission_id) AND screening_seq < ? AND verdict <> 'rejected'
                   AND return_code IS NOT NULL""",
            [ids, sequence],
        ).fetchall()
    }
    mark_dirty(connection, {*(code for code in figures if code in current_definitions()), FINDINGS_ONLY})
    return sequence


def insert_findings(
    connection: duckdb.DuckDBPyConnection, table: str, sequence_name: str, sequence: int, findings: Sequence[Finding]
) -> None:
    """Append findings to `landing.finding` or `landing.context_finding`."""
    names = [item.name for item in fields(Finding)]
    at = names.index("submission_id") + 1
    insert_rows(
        connection,
        table,
        [(*row[:at], sequence, *row[at:]) for row in map(astuple, findings)],
        columns=[*names[:at], sequence_name, *names[at:]],
    )


def _insert_rows(connection: duckdb.DuckDBPyConnection, return_code: str, rows: pl.DataFrame, sequence: int) -> None:
    """Scaled integers become exact decimals here: a DuckDB product of integer and decimal is exact, a quotient is not."""
    selected = []
    for column in return_versions()[return_code].columns:
        places = column.decimal_places
        factor = f" * CAST('{10**-places:.{places}f}' AS DECIMAL({places + 1},{places}))" if places else ""
        selected.append(f'CAST("{column.name}"{factor} AS {column.sql_type})')
    connection.register("screened_rows", rows.to_arrow())
    connection.execute(
        f"""INSERT INTO landing.{return_code}
            SELECT submission_id, {sequence}, county_code, period, sheet, source_row, {", ".join(selected)}, missing_codes
            FROM screened_rows"""
    )
    connection.unregister("screened_rows")


def _land_digests(connection: duckdb.DuckDBPyConnection, return_code: str, sequence: int) -> None:
    """A digest of the figures of every filing of a return that this batch landed."""
    defined = current_definitions()[return_code]
    numbers = [column.name for column in defined.number_columns]
    of_school = dict.fromkeys([*defined.key, *numbers])
    figures = [name for name in of_school if name != "school_code"]

    def digest(names: Iterable[str]) -> str:
        texts = ", ".join(f"coalesce(CAST(\"{name}\" AS VARCHAR), '')" for name in names)
        return f"CAST(sum(md5_number_lower(concat_ws(chr(31), '', {texts}))) AS VARCHAR)"

    cells = " + ".join(["0", *(f'CAST(coalesce("{name}", 0) <> 0 AS INTEGER)' for name in numbers)])
    connection.execute(
        f"""INSERT INTO landing.filing_digest
            SELECT submission_id, screening_seq, '{return_code}', county_code, period, count(*), CAST(sum({cells}) AS BIGINT),
                   {digest(of_school)}, {digest(figures)}
            FROM landing.{return_code} WHERE screening_seq = ? GROUP BY ALL""",
        [sequence],
    )


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str] = ()
) -> None:
    """Insert tuples by way of an Arrow table: `executemany` costs a statement a row."""
    if not rows:
        return
    schema = {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info('{table}')").fetchall()}
    names = list(columns) or list(schema)
    frame = pl.DataFrame(
        {
            name: pl.Series(name, [None if row[index] is None else str(row[index]) for row in rows], dtype=pl.String)
            for index, name in enumerate(names)
        }
    )
    connection.register("new_rows", frame.to_arrow())
    cast = ", ".join(f'CAST("{name}" AS {schema[name]})' for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    connection.execute(f"INSERT INTO {table} ({quoted}) SELECT {cast} FROM new_rows")
    connection.unregister("new_rows")
