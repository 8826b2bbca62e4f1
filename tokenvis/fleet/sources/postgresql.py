"""PostgreSQL: a table of spans in a database as a source of traces.

The client is ADBC's: PostgreSQL copies the rows in its binary format, and the driver makes Arrow columns of them, without an
object of Python for each value. It contains no SQLite, so a process may also have a `Store` open. Each call is one statement,
which sees the table at one moment. Traces are compared by their bytes (``COLLATE "C"``), in the order of Python's texts.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenvis.errors import FleetError, MissingColumn, TraceNotFound, listed, plural, quoted
from tokenvis.fleet.sources.source import PART_SPANS, Part, bounds_of_parts
from tokenvis.spans.columns import COLUMNS, TIMES
from tokenvis.store.load import TRACE_DTYPES

POSTGRESQL_URL = re.compile(r"postgres(ql)?(\+\w+)?://")
URL_SCHEMES = ("postgresql://", "postgres://")
SECRET_OPTIONS = {"password", "sslpassword", "oauth_client_secret"}  # of libpq
TEXT_TYPES = {"text", "character varying"}
TIME_CASTS = {  # of times to integer microseconds, by the type of the column {0}
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "(extract(epoch FROM {0}) * 1000000)::bigint"),
    **dict.fromkeys(("real", "double precision", "numeric"), "round({0} * 1000000)::bigint, if its unit is the second"),
}
ENCODINGS = {"UTF8", "SQL_ASCII", "LATIN1"}  # whose order of bytes is that of UTF-8

COLUMN_TYPES = """
SELECT a.attname::text AS name, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)::text AS type
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass('spans') AND a.attnum > 0 AND NOT a.attisdropped
"""
TABLES = """
SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)' ORDER BY 1
"""
SETTINGS = """
SELECT current_setting('server_encoding') AS encoding, 2 = (
    SELECT count(*) FROM pg_attribute
    WHERE attrelid = to_regclass('traces') AND attname IN ('id', 'name') AND NOT attisdropped
) AS has_names
"""
SIZES = """
SELECT trace_id COLLATE "C" AS id, count(*) AS n_spans, min(id COLLATE "C") AS first_span{more}
FROM spans GROUP BY 1 ORDER BY 1
"""
SIZE_DETAILS = """,
min(start_time)::bigint AS start_time, max(end_time)::bigint AS end_time,
count(DISTINCT agent_id COLLATE "C") AS n_agents, count(DISTINCT location_id COLLATE "C") AS n_locations
"""
NAMED = """
SELECT coalesce(s.id, t.id) AS id, t.name, coalesce(s.n_spans, 0) AS n_spans, s.first_span,
s.start_time, s.end_time, coalesce(s.n_agents, 0) AS n_agents, coalesce(s.n_locations, 0) AS n_locations
FROM ({sizes}) s FULL JOIN (
    SELECT id::text COLLATE "C" AS id, min(name::text) AS name FROM traces WHERE id IS NOT NULL GROUP BY 1
) t ON t.id = s.id
"""
NAMES_OF = 'SELECT id::text AS id, min(name::text) AS name FROM traces WHERE id::text COLLATE "C" IN ({0}) GROUP BY 1'
IN_RANGE = 'trace_id COLLATE "C" BETWEEN {0} AND {1}'


class PostgresSource:
    """The traces of a PostgreSQL database: its table or view ``spans``, and their names in ``traces``, if there is one.

    Parameters
    ----------
    url
        ``postgresql://user:password@host:port/database``, as libpq reads it; ``?options=-csearch_path%3Druns`` selects a
        schema. Without a password in it, libpq takes it from ``$PGPASSWORD`` or ``~/.pgpass``.

    Raises
    ------
    FleetError
        It is not such a URL. The first call that asks the server raises it if the driver is not installed, the server does not
        answer, or the table is not one of spans (`MissingColumn` if it lacks a column).
    """

    def __init__(self, url: str) -> None:
        self._url = checked_url(url)
        self._opened: tuple[int, Any] | None = None  # the process, and its driver's database

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __str__(self) -> str:
        return url_without_password(self._url)

    def __repr__(self) -> str:
        return f"PostgresSource({str(self)!r})"

    def traces(self) -> pd.DataFrame:
        """All traces, newest first, with the columns and types of ``load_traces(details=True)``.

        A trace that the table ``traces`` does not have is named by its id.
        """
        sizes = SIZES.format(more=SIZE_DETAILS)
        self._check_table()
        has_names = self._settings["has_names"]
        found = self._rows(NAMED.format(sizes=sizes) if has_names else sizes)
        self._check_trace_ids(found)
        traces: pd.DataFrame = found.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        traces["name"] = traces["name"].fillna(traces["id"]) if has_names else traces["id"]
        newest = traces.sort_values(["start_time", "id"], ascending=[False, True], na_position="last", ignore_index=True)
        return newest[list(TRACE_DTYPES)].astype(TRACE_DTYPES)

    def parts(self, n_spans: int = PART_SPANS) -> list[Part]:
        """All traces, each in one part of about ``n_spans`` spans; a part is a range of trace ids."""
        self._check_table()
        self._check_index()
        found = self._rows(SIZES.format(more=""))
        self._check_trace_ids(found)
        counts = found["n_spans"].to_numpy()
        ids = found["id"]
        ranges = ((ids[begin:end].to_pylist(), int(counts[begin:end].sum())) for begin, end in bounds_of_parts(counts, n_spans))
        return [Part(names, total, (names[0], names[-1])) for names, total in ranges]

    def read(self, part: Part) -> pa.Table:
        """The spans of a part, sorted by trace.

        `FleetError` if a trace of the part has been deleted since `parts`; traces added since are left out.
        """
        spans = self._spans(IN_RANGE.format(*map(sql_text, part.place)))
        found, wanted = set(pc.unique(spans["trace_id"]).to_pylist()), set(part.trace_ids)
        if gone := sorted(wanted - found):
            raise FleetError(
                f"{self} no longer has {plural(len(gone), 'trace')} that it had when the call began: {listed(gone)}. "
                "Ask again when no program deletes traces."
            )
        return spans if found == wanted else spans.filter(pc.is_in(spans["trace_id"], pa.array(part.trace_ids, pa.string())))

    def table_of(self, trace_ids: Iterable[str]) -> pa.Table:
        """The spans of these traces, found by the index; `TraceNotFound` if there is none of an id."""
        self._check_table()
        self._check_index()
        wanted = list(dict.fromkeys(trace_ids))
        possible = [name for name in wanted if can_be_stored(name)]
        spans = self._spans(f'trace_id COLLATE "C" IN ({", ".join(map(sql_text, possible)) or "NULL"})')
        found = set(pc.unique(spans["trace_id"]).to_pylist())
        for name in wanted:
            if name not in found:
                raise TraceNotFound(f"No trace {quoted(name)} in {self}. Fleet(...).traces() lists its traces.")
        return spans

    def names_of(self, trace_ids: Iterable[str]) -> dict[str, str]:
        """The names of those of these traces that the table ``traces`` has, if there is one."""
        possible = [name for name in trace_ids if can_be_stored(name)]
        if not possible or not self._settings["has_names"]:
            return {}
        rows = self._rows(NAMES_OF.format(", ".join(map(sql_text, possible)))).to_pylist()
        return {row["id"]: row["name"] for row in rows if row["name"] is not None}

    def _spans(self, condition: str) -> pa.Table:
        """The spans for which an SQL condition holds, sorted by trace."""
        names = [*COLUMNS, *(["parent_id"] if "parent_id" in self._columns else [])]
        cast = {"start_time": "bigint", "end_time": "bigint"}
        columns = ", ".join(f"{name}::{cast.get(name, 'text')} AS {name}" for name in names)
        return self._rows(f'SELECT {columns} FROM spans WHERE {condition} ORDER BY spans.trace_id COLLATE "C"')

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The columns of the table ``spans``, and their types."""
        columns = {row["name"]: row["type"] for row in self._rows(COLUMN_TYPES).to_pylist()}
        if not columns:
            tables = self._rows(TABLES)["name"].to_pylist()
            raise FleetError(
                f"{self} has no table 'spans'. It has: {listed(tables)}. Create the table or a view of that name; "
                "?options=-csearch_path%3Dname at the end of the URL selects the schema."
            )
        return columns

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The encoding of the database, and whether it has a table of traces."""
        [settings] = self._rows(SETTINGS).to_pylist()
        return dict(settings)

    def _check_table(self) -> None:
        """Raise `MissingColumn` or `FleetError` unless the columns have the names and types of a span."""
        columns = self._columns
        if self._settings["encoding"] not in ENCODINGS:
            raise FleetError(
                f"{self} has the encoding {self._settings['encoding']}, which sorts texts in another order than UTF-8. "
                "Copy its tables into a database with the encoding UTF8."
            )
        if missing := [name for name in COLUMNS if name not in columns]:
            raise MissingColumn(
                f"The table spans of {self} has no column {listed(missing)}. It has: {listed(sorted(columns))}. "
                "Make a view named spans, in another schema, with the columns of a span."
            )
        for name in (*COLUMNS, *(["parent_id"] if "parent_id" in columns else [])):
            found = columns[name]
            if name in TIMES:
                allowed, expected, cast = (
                    {"bigint", "integer", "smallint"},
                    "bigint in microseconds",
                    TIME_CASTS.get(found, "{0}::bigint"),
                )
            else:
                allowed, expected, cast = TEXT_TYPES | ({"json", "jsonb"} if name == "data" else set()), "text", "{0}::text"
            if found not in allowed:
                raise FleetError(
                    f"The column {name} of the table spans of {self} is {found}, not {expected}. "
                    f"Convert it, in a view or by ALTER TABLE: {cast.format(name)}."
                )

    def _check_trace_ids(self, found: pa.Table) -> None:
        """Raise `FleetError` if spans have no trace: ranges of traces would omit them without a word."""
        for row in found.filter(pc.is_null(found["id"])).to_pylist():
            raise FleetError(
                f"{self} has {plural(row['n_spans'], 'span')} without trace_id, such as {quoted(row['first_span'])}. "
                "Every span needs one: set it, or leave these rows out in a view."
            )

    def _check_index(self) -> None:
        """Raise `FleetError` if PostgreSQL would read the whole table to find a trace."""
        if not self._is_indexed:
            raise FleetError(
                f"The table spans of {self} has no index that finds a trace. Create one: "
                'CREATE INDEX ON spans (trace_id COLLATE "C").'
            )

    @cached_property
    def _is_indexed(self) -> bool:
        """Whether every scan of the plan for a range of traces uses a condition of an index."""
        query = "EXPLAIN (FORMAT JSON) SELECT id FROM spans WHERE " + IN_RANGE.format("'a'", "'b'")
        [plan] = self._rows(query, "SET enable_seqscan = off", copy=False)[0].to_pylist()
        scans = scans_of(json.loads(plan)[0]["Plan"] if isinstance(plan, str) else plan[0]["Plan"])
        return all("Index Cond" in scan or scan["Node Type"] in ("Result", "Foreign Scan") for scan in scans)

    def _rows(self, query: str, *settings: str, copy: bool = True) -> pa.Table:
        """The answer to a query, on a connection of its own; ``copy=False`` for statements that PostgreSQL cannot copy."""
        manager = adbc_manager()
        try:
            with manager.AdbcConnection(self._database()) as connection, manager.AdbcStatement(connection) as statement:
                for setting in ("SET client_encoding = 'UTF8'", *settings):
                    statement.set_sql_query(setting)
                    statement.execute_update()
                statement.set_options(**{"adbc.postgresql.use_copy": str(copy).lower()})
                statement.set_sql_query(query)
                stream, _ = statement.execute_query()
                rows = pa.RecordBatchReader.from_stream(stream).read_all()
                rows.validate(full=True)  # a database in SQL_ASCII may have any bytes
                return rows.cast(pa.schema([field.remove_metadata() for field in rows.schema]))
        except (manager.Error, OSError, pa.ArrowInvalid) as error:
            raise FleetError(f"{self} did not answer: {reason_in(error)}.") from None

    def _database(self) -> Any:
        """The driver's database, opened once in each process, because it asks the server for all its types."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), opened_database(self._url)
        return self._opened[1]


def adbc_manager() -> Any:
    """The module of ADBC's connections and statements; `FleetError` if ADBC or its driver is not installed."""
    try:
        import adbc_driver_manager
        import adbc_driver_postgresql  # noqa: F401
    except ImportError:
        raise FleetError("A URL of PostgreSQL needs the extra: pip install 'tokenvis[fleet]'.") from None
    return adbc_driver_manager


def opened_database(url: str) -> Any:
    """ADBC's handle of a database; `FleetError` if the server does not let us in."""
    manager = adbc_manager()
    import adbc_driver_postgresql

    try:
        return adbc_driver_postgresql.connect(url)
    except manager.Error as error:
        raise FleetError(
            f"{url_without_password(url)} cannot be opened: {reason_in(error)}. Check that the server runs, and the host, "
            "port, user, password and database of the URL."
        ) from None


def checked_url(url: str) -> str:
    """The URL; `FleetError` if libpq would misread it, and then perhaps print a part of its password in an error."""
    if not isinstance(url, str) or not url.startswith(URL_SCHEMES):
        shown = url_without_password(url) if isinstance(url, str) else url
        raise FleetError(f"{quoted(shown)} is no URL of PostgreSQL. Pass postgresql://user:password@host:port/database.")
    user, at, _ = url.split("://", 1)[1].rpartition("@")
    if (at and re.search(r"[/?#@\s]", user)) or re.search(r"%(?![0-9a-fA-F]{2})", url):
        raise FleetError(
            f"{url_without_password(url)} has a character that a URL must encode. In a name, password or option, write @ as "
            "%40, % as %25, / as %2F, ? as %3F, # as %23, a space as %20."
        )
    return url


def url_without_password(url: str) -> str:
    """The URL with ``***`` for passwords.

    Examples
    --------
    >>> url_without_password("postgresql://ann:secret@db/runs?sslpassword=secret")
    'postgresql://ann:***@db/runs?sslpassword=***'
    """
    scheme, colons, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    place, question, query = place.partition("?")
    options = (option.partition("=") for option in query.split("&"))
    shown = (f"{key}={'***' if unquote(key) in SECRET_OPTIONS else value}" if equal else key for key, equal, value in options)
    return f"{scheme}{colons}{name}{colon and ':***'}{at}{place}{question}{'&'.join(shown)}"


def reason_in(error: Exception) -> str:
    """What PostgreSQL or libpq says in an error of ADBC, in one line, without the query and the driver's own words."""
    text = str(error).split("Query was:")[0].split("\n\tIs the server running")[0]
    own_words = r"^[A-Z_]+: |\[libpq\] |Failed to [\w ]+: |could not begin COPY: |Execution error \[\w+\]: "
    return " ".join(re.sub(own_words, "", text).split())


def sql_text(text: str) -> str:
    """A text as a literal of SQL, whatever the server's settings are."""
    escaped_text = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped_text}'"


def can_be_stored(text: str) -> bool:
    """Whether PostgreSQL can have the text: it is Unicode, without NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def scans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table or an index."""
    parts = plan.get("Plans", [])
    if not parts:
        yield plan
    for part in parts:
        yield from scans_of(part)
