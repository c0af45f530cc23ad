"""The prediction log as a table in PostgreSQL, for servers whose disk does not outlive them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv

from mlops.errors import ConfigurationError, MlopsError
from mlops.serving.log.rows import AT, SCHEMA
from mlops.settings import DEFAULT_DATASET

_SQL_TYPES: Final = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", "UTC"): "timestamptz",
}
# A part that was committed while the connection broke is given again: its name tells.
# Answers come in order of time, which is what a BRIN index is small for.
_DEFINITION: Final = """
SELECT pg_advisory_xact_lock(hashtext('{table}'));
CREATE TABLE IF NOT EXISTS {table} ({columns});
CREATE INDEX IF NOT EXISTS {table}_at ON {table} USING brin (at);
CREATE TABLE IF NOT EXISTS {table}_parts
    (part text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now());
"""
_TAXI: Final = "prediction_log"
# A dead network must not hold the writer for the quarter of an hour that TCP would wait.
_LIMITS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=30s -c TimeZone=UTC",
}


def table_of(dataset: str) -> str:
    """Return the table that holds the answers about a dataset."""
    return _TAXI if dataset == DEFAULT_DATASET else f"{dataset}_{_TAXI}"


class PostgresqlSink:
    """Writes parts into a table, which it creates if missing.

    Args:
        url: Of the database. Connects at the first part, and anew after an outage.
        table: From `table_of`.
        schema: Of the log. Columns that a definition gained since are added to the table.

    Raises:
        ConfigurationError: If it is no such URL.
    """

    def __init__(self, url: str, table: str = _TAXI, schema: Any = SCHEMA) -> None:
        self._url = _plain_url(url)
        self._table, self._schema = table, schema
        self._connection: Any = None

    def write(self, part: str, table: Any) -> None:
        """Write a part in one transaction."""
        import psycopg2

        try:
            if self._connection is None:
                self._connection = psycopg2.connect(self._url, **_LIMITS)
                with self._connection, self._connection.cursor() as cursor:
                    columns = [*map(_column, self._schema)]
                    cursor.execute(
                        _DEFINITION.format(table=self._table, columns=", ".join(columns))
                    )
                    if self._schema is not SCHEMA:
                        added = ", ".join(f"ADD COLUMN IF NOT EXISTS {each}" for each in columns)
                        cursor.execute(f"ALTER TABLE {self._table} {added}")
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {self._table}_parts (part) VALUES (%s) ON CONFLICT DO NOTHING",
                    (part,),
                )
                if cursor.rowcount:
                    names = ", ".join(map(_quoted, self._schema.names))
                    cursor.copy_expert(
                        f"COPY {self._table} ({names}) FROM STDIN (FORMAT csv)", _as_csv(table)
                    )
        except psycopg2.DataError as error:
            raise ValueError(str(error)) from error
        except psycopg2.Error:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        with suppress(Exception):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


def read_postgresql(
    url: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str],
    table: str = _TAXI,
    schema: Any = SCHEMA,
) -> Any:
    """Read answers given from ``start`` to before ``end``, by time.

    Raises:
        MlopsError: If the database cannot be read.
    """
    import psycopg2

    output = io.BytesIO()
    try:
        connection = psycopg2.connect(_plain_url(url), **_LIMITS)
        try:
            with connection.cursor() as cursor:
                span = cursor.mogrify("at >= %s AND at < %s", (start, end)).decode()
                cursor.execute("SELECT to_regclass(%s)", (table,))
                if cursor.fetchone()[0] is None:
                    return schema.empty_table().select(columns)
                names = ", ".join(map(_quoted, columns))
                query = f"SELECT {names} FROM {table} WHERE {span} ORDER BY {AT}"
                cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", output)
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise MlopsError(
            f"the prediction log cannot be read: {str(error).strip()}",
            "check prediction_log.database_url, and that the database is up",
        ) from error
    output.seek(0)
    options = pyarrow.csv.ConvertOptions(
        column_types={name: schema.field(name).type for name in columns},
        null_values=["", "NaN"],
        true_values=["t"],
        false_values=["f"],
        strings_can_be_null=schema is not SCHEMA,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(output, convert_options=options)


def _plain_url(url: str) -> str:
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    # The name of the driver is SQLAlchemy's affair.
    plain = url.replace("postgresql+psycopg2://", "postgresql://", 1)
    try:
        parse_dsn(plain)
    except ProgrammingError:
        raise ConfigurationError(  # without the cause, which quotes the password
            "prediction_log.database_url: this is not the address of a PostgreSQL database",
            "set it to postgresql://user:password@host:port/database (percent-encoded)",
        ) from None
    return plain


def _column(field: Any) -> str:
    return f"{_quoted(field.name)} {_SQL_TYPES[_plain(field.type)]}"


def _quoted(name: str) -> str:
    """Return the name of a column, which may hold any character, as SQL."""
    return '"{}"'.format(name.replace('"', '""'))


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_csv(table: Any) -> io.BytesIO:
    plain = pa.schema([field.with_type(_plain(field.type)) for field in table.schema])
    output = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(table.cast(plain), output, options)
    output.seek(0)
    return output
