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

_SQL_TYPES: Final = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", "UTC"): "timestamptz",
}
# A part that was committed while the connection broke is given again: its name tells.
# Answers come in order of time, which is what a BRIN index is small for.
_DEFINITION: Final = """
SELECT pg_advisory_xact_lock(hashtext('prediction_log'));
CREATE TABLE IF NOT EXISTS prediction_log ({columns});
CREATE INDEX IF NOT EXISTS prediction_log_at ON prediction_log USING brin (at);
CREATE TABLE IF NOT EXISTS prediction_log_parts
    (part text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now());
"""
# A dead network must not hold the writer for the quarter of an hour that TCP would wait.
_LIMITS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=30s -c TimeZone=UTC",
}


class PostgresqlSink:
    """Writes parts into the table ``prediction_log``, which it creates if missing.

    Args:
        url: Of the database. Connects at the first part, and anew after an outage.

    Raises:
        ConfigurationError: If it is no such URL.
    """

    def __init__(self, url: str) -> None:
        self._url = _plain_url(url)
        self._connection: Any = None

    def write(self, part: str, table: Any) -> None:
        """Write a part in one transaction."""
        import psycopg2

        try:
            if self._connection is None:
                self._connection = psycopg2.connect(self._url, **_LIMITS)
                with self._connection, self._connection.cursor() as cursor:
                    cursor.execute(_DEFINITION.format(columns=_columns()))
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO prediction_log_parts (part) VALUES (%s) ON CONFLICT DO NOTHING",
                    (part,),
                )
                if cursor.rowcount:
                    names = ", ".join(SCHEMA.names)
                    cursor.copy_expert(
                        f"COPY prediction_log ({names}) FROM STDIN (FORMAT csv)", _as_csv(table)
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


def read_postgresql(url: str, start: datetime, end: datetime, columns: Sequence[str]) -> Any:
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
                cursor.execute("SELECT to_regclass('prediction_log')")
                if cursor.fetchone()[0] is None:
                    return SCHEMA.empty_table().select(columns)
                query = (
                    f"SELECT {', '.join(columns)} FROM prediction_log WHERE {span} ORDER BY {AT}"
                )
                cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", output)
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise MlopsError(
            f"the prediction log cannot be read: {str(error).strip()}",
            "check prediction_log.database_url, and that the database is up",
        ) from error
    output.seek(0)
    types = {name: SCHEMA.field(name).type for name in columns}
    return pyarrow.csv.read_csv(
        output, convert_options=pyarrow.csv.ConvertOptions(column_types=types)
    )


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


def _columns() -> str:
    return ", ".join(f"{field.name} {_SQL_TYPES[_plain(field.type)]}" for field in SCHEMA)


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_csv(table: Any) -> io.BytesIO:
    plain = pa.schema([field.with_type(_plain(field.type)) for field in SCHEMA])
    output = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(table.cast(plain), output, options)
    output.seek(0)
    return output
