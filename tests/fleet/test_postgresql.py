"""PostgreSQL as a source: a real server, its plans, its errors; and URLs whose passwords are never shown."""

import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT, spans_of, with_data
from hostile import SHORT
from pandas.testing import assert_frame_equal
from postgresql import running_server

import tokenvis as tv
from tokenvis.fleet.sources.postgresql import PostgresSource, reason_in
from tokenvis.fleet.sources.source import bounds_of_parts
from tokenvis.spans.columns import COLUMNS, NAMES

PAGE = ROOT / "docs" / "fleet.md"
SECTION = PAGE.read_text().split("\n## PostgreSQL\n")[1].split("\n## ")[0]
[TABLES] = re.findall(r"^```sql\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
INSERT = "INSERT INTO spans (id, trace_id, agent_id, location_id, start_time, end_time) VALUES "
ANY_TYPES = TABLES.replace("BIGINT NOT NULL", "TEXT").replace("    CHECK (start_time <= end_time),\n", "")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of an empty schema of the test's own."""
    schema = re.sub(r"\W", "_", request.node.name)[:60]
    run(server, f'CREATE SCHEMA "{schema}"')
    return f"{server}&options=-csearch_path%3D{schema}"


def run(url: str, *statements: str) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            for part in statement.split(";\n"):
                if part.strip():
                    cursor.execute(part)


def copy_into(url: str, spans: pd.DataFrame) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    rows = pa.Table.from_pandas(spans[list(COLUMNS)].astype(dict.fromkeys(NAMES, "str")), preserve_index=False)
    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("spans", rows, mode="append")


def frame(table: pa.Table) -> pd.DataFrame:
    """The columns of spans, as texts and integers, in order."""
    return table.select(COLUMNS).to_pandas().sort_values(["trace_id", "id"], ignore_index=True)


def plain(spans: pd.DataFrame) -> pd.DataFrame:
    return spans[list(COLUMNS)].astype(dict.fromkeys(NAMES, "str")).sort_values(["trace_id", "id"], ignore_index=True)


def without_folder(error: pytest.ExceptionInfo[Exception]) -> str:
    """The message, with a short URL."""
    return re.sub(r"postgresql://ann:\*\*\*@/postgres\?\S*?(?=[.:]? )", "URL", str(error.value))


@pytest.mark.full
def test_the_documented_tables_and_copy_give_the_spans_and_names_of_a_store(url):
    run(url, TABLES)
    for code in re.findall(r"^```python postgresql\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE):
        exec(code, {"url": url, "store": tv.Store()} if "seed" not in code else {"url": url})
    source, spans = PostgresSource(url), tv.load_spans()
    assert_frame_equal(frame(source.table_of(["kitchen-sink"])), plain(tv.load_spans("kitchen-sink")))
    assert_frame_equal(source.traces(), tv.load_traces(details=True))
    parts = source.parts(30)
    assert [part.trace_ids for part in parts] == [["kitchen-sink"], ["multi-agent-workflow"]]
    assert [part.n_spans for part in parts] == spans["trace_id"].value_counts().sort_index().tolist()
    tables = [pickle.loads(pickle.dumps(source)).read(part) for part in parts]
    assert_frame_equal(frame(pa.concat_tables(tables)), plain(spans))
    fleet = tv.Fleet(url)
    assert repr(fleet) == f"Fleet({str(source)!r}): 2 traces, {len(spans)} spans"
    assert_frame_equal(fleet.load_spans("kitchen-sink"), tv.load_spans("kitchen-sink"))
    assert_frame_equal(fleet.map(tv.summary, workers=1), tv.summary(spans))


@pytest.mark.full
def test_hostile_names_are_read_as_they_are_and_no_trace_is_in_two_parts(url):
    run(url, TABLES)
    names = [name for name in [*SHORT, "", "x" * 10_000] if "\0" not in name]
    rows = [f"a{n} {n} {n + 5} p{n % 7} {n}" for n in range(len(names))]
    spans = spans_of(*rows, *rows)
    by_number = dict(zip(map(str, range(len(names))), names, strict=True))
    spans["id"] = [f"{name}{row}" for row, name in enumerate(spans["trace_id"].astype("str").map(by_number))]
    spans["trace_id"] = spans["agent_id"] = spans["location_id"] = spans["trace_id"].astype("str").map(by_number)
    spans = with_data(spans, **{span: {"label": span} for span in spans["id"]})
    copy_into(url, spans)
    source = PostgresSource(url)
    parts = source.parts(5)
    assert [name for part in parts for name in part.trace_ids] == sorted(names)
    assert {part.n_spans for part in parts[:-1]} == {4}
    assert_frame_equal(frame(pa.concat_tables(map(source.read, parts))), plain(spans))
    assert_frame_equal(frame(source.table_of(names)), plain(spans))
    assert source.traces()["name"].tolist() == source.traces()["id"].tolist()
    assert [column.type for column in source.table_of(names[:1]).columns] == [
        *[pa.string()] * 4,
        *[pa.int64()] * 2,
        pa.string(),
    ]


@pytest.mark.full
def test_a_view_may_cast_and_bring_parents(url):
    run(
        url,
        "CREATE TABLE events (run text, span text, who varchar, began timestamptz, payload jsonb, caller text);\n"
        'CREATE INDEX ON events (run COLLATE "C");\n'
        "INSERT INTO events VALUES ('r', 'a', 'ann', '1970-01-01 00:00:01Z', '{\"label\": \"x\"}', NULL),"
        " ('r', 'b', 'bob', '1970-01-01 00:00:02Z', NULL, 'a');\n"
        "CREATE VIEW spans AS SELECT span AS id, run AS trace_id, who AS agent_id, who AS location_id, "
        "(extract(epoch FROM began) * 1000000)::bigint AS start_time, "
        "(extract(epoch FROM began) * 1000000)::bigint AS end_time, payload AS data, caller AS parent_id FROM events",
    )
    source = PostgresSource(url)
    assert source.table_of(["r"]).to_pylist() == [
        dict(zip([*COLUMNS, "parent_id"], row, strict=True))
        for row in [
            ("a", "r", "ann", "ann", 1_000_000, 1_000_000, '{"label": "x"}', None),
            ("b", "r", "bob", "bob", 2_000_000, 2_000_000, None, "a"),
        ]
    ]
    assert [part.trace_ids for part in source.parts()] == [["r"]]


@pytest.mark.full
def test_an_empty_table_has_no_traces(url):
    run(url, TABLES)
    source = PostgresSource(url)
    assert source.parts() == []
    assert_frame_equal(source.traces(), tv.load_traces(details=True, store=tv.Store()))
    run(url, "INSERT INTO traces VALUES ('t', 'T')")
    assert source.parts() == []
    assert source.traces().to_dict("records") == [
        {"id": "t", "name": "T", "n_spans": 0, "start_time": None, "end_time": None, "n_agents": 0, "n_locations": 0}
    ]


@pytest.mark.full
def test_a_trace_that_is_missing_or_impossible_is_named(url):
    run(url, TABLES, INSERT + "('a', 't', 'ann', 'desk', 0, 1)")
    for name in ("u", "nul\0", "half \ud83d", "'; DROP TABLE spans; --", "\\' OR TRUE --"):
        with pytest.raises(tv.TraceNotFound) as error:
            PostgresSource(url).table_of(["t", name])
        assert without_folder(error) == f"No trace {name!r} in URL. Fleet(...).traces() lists its traces."
    assert len(PostgresSource(url).table_of(["t", "t"])) == 1
    assert len(PostgresSource(url).table_of([])) == 0


@pytest.mark.full
def test_traces_added_since_are_left_out_and_traces_deleted_since_are_named(url):
    run(url, TABLES, INSERT + "('a', 't', 'ann', 'desk', 0, 1), ('b', 'v', 'ann', 'desk', 0, 1)")
    source = PostgresSource(url)
    [part] = source.parts()
    run(url, INSERT + "('c', 'u', 'ann', 'desk', 0, 1), ('d', 't', 'ann', 'desk', 0, 1)")
    assert source.read(part)["id"].to_pylist() == ["a", "d", "b"]
    run(url, "DELETE FROM spans WHERE trace_id = 'v'")
    with pytest.raises(tv.FleetError) as error:
        source.read(part)
    assert without_folder(error) == (
        "URL no longer has 1 trace that it had when the call began: 'v'. Ask again when no program deletes traces."
    )


@pytest.mark.full
def test_a_table_without_an_index_of_traces_is_refused_with_the_line_that_adds_one(url):
    run(url, TABLES.replace(' COLLATE "C"', ' COLLATE "POSIX"'))
    with pytest.raises(tv.FleetError) as error:
        PostgresSource(url).table_of(["t"])
    message = (
        'The table spans of URL has no index that finds a trace. Create one: CREATE INDEX ON spans (trace_id COLLATE "C").'
    )
    assert without_folder(error) == message
    run(url, message.split("Create one: ")[1].rstrip("."))
    assert PostgresSource(url).parts() == []


BAD_TABLES = {  # statements after those of the page, and the message
    "no table": ("DROP TABLE spans", "URL has no table 'spans'. It has: "),
    "no column": (
        "ALTER TABLE spans DROP COLUMN data",
        "The table spans of URL has no column 'data'. It has: 'agent_id', 'end_time', 'id', 'location_id', 'start_time', "
        "'trace_id'. Make a view named spans, in another schema, with the columns of a span.",
    ),
    "timestamps": (
        "ALTER TABLE spans DROP COLUMN start_time;\nALTER TABLE spans ADD start_time timestamptz",
        "The column start_time of the table spans of URL is timestamp with time zone, not bigint in microseconds. "
        "Convert it, in a view or by ALTER TABLE: (extract(epoch FROM start_time) * 1000000)::bigint.",
    ),
    "floats": (
        "ALTER TABLE spans ALTER end_time TYPE double precision",
        "The column end_time of the table spans of URL is double precision, not bigint in microseconds. "
        "Convert it, in a view or by ALTER TABLE: round(end_time * 1000000)::bigint, if its unit is the second.",
    ),
    "numbers as names": (
        "ALTER TABLE spans ALTER agent_id TYPE bigint USING 1",
        "The column agent_id of the table spans of URL is bigint, not text. "
        "Convert it, in a view or by ALTER TABLE: agent_id::text.",
    ),
    "no trace": (
        "ALTER TABLE spans DROP CONSTRAINT spans_pkey;\nALTER TABLE spans ALTER trace_id DROP NOT NULL;\n"
        "CREATE INDEX ON spans (trace_id);\n" + INSERT + "('b', NULL, 'ann', 'desk', 0, 1), ('a', NULL, 'ann', 'desk', 0, 1)",
        "URL has 2 spans without trace_id, such as 'a'. Every span needs one: set it, or leave these rows out in a view.",
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("case", BAD_TABLES)
def test_an_unusable_table_is_refused(url, case):
    statements, message = BAD_TABLES[case]
    run(url, TABLES, statements)
    for ask in (PostgresSource(url).traces, PostgresSource(url).parts):
        with pytest.raises((tv.FleetError, tv.MissingColumn)) as error:
            ask()
        assert without_folder(error).startswith(message)
        assert case == "no table" or without_folder(error) == message


@pytest.mark.full
def test_a_wrong_password_a_missing_database_and_a_failing_query_are_explained(url, server):
    checks = "Check that the server runs, and the host, port, user, password and database of the URL."
    socket = re.search(r"host=(\S+)", server)[1]
    reason = f'connection to server on socket "{socket}/.s.PGSQL.5432" failed: FATAL: '
    wrong = {
        server.replace("p%40ss", "secret"): 'password authentication failed for user "ann"',
        server.replace("/postgres", "/runs"): 'database "runs" does not exist',
    }
    for wrong_url, why in wrong.items():
        with pytest.raises(tv.FleetError) as error:
            PostgresSource(wrong_url).traces()
        assert str(error.value) == f"{PostgresSource(wrong_url)} cannot be opened: {reason}{why}. {checks}"
    run(url, "CREATE VIEW spans AS SELECT id, id AS trace_id, id AS agent_id, id AS location_id, 1 / n AS start_time, "
        "n AS end_time, id AS data FROM (VALUES ('a', 1), ('b', 0)) v (id, n)")  # fmt: skip
    with pytest.raises(tv.FleetError) as error:
        PostgresSource(url).traces()
    assert without_folder(error) == "URL did not answer: ERROR: division by zero."


@pytest.mark.full
def test_the_driver_contains_no_sqlite_library(url):
    run(url, TABLES)
    script = (
        "import sys; from tokenvis.fleet.sources.postgresql import PostgresSource; PostgresSource(sys.argv[1]).traces()\n"
        "with open('/proc/self/maps') as maps: print(*{line.split(maxsplit=5)[-1] for line in maps if '/' in line})"
    )
    done = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=True)
    [driver] = [path.strip() for path in done.stdout.splitlines() if "libadbc_driver_postgresql" in path]
    assert b"sqlite3_open" not in Path(driver).read_bytes()


def test_a_missing_driver_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    message = r"^A URL of PostgreSQL needs the extra: pip install 'tokenvis\[fleet\]'\.$"
    with pytest.raises(tv.FleetError, match=message):
        PostgresSource("postgresql://ann@nowhere/runs").traces()


NEEDS_CODE = (
    " has a character that a URL must encode. In a name, password or option, write @ as %40, % as %25, / as %2F, ? as %3F, "
    "# as %23, a space as %20."
)
NO_URL = " is no URL of PostgreSQL. Pass postgresql://user:password@host:port/database."
BAD_URLS = {
    "postgresql://ann:sec@ret@db/runs": "postgresql://ann:***@db/runs" + NEEDS_CODE,
    "postgresql://ann:sec/ret@db/runs": "postgresql://ann:***@db/runs" + NEEDS_CODE,
    "postgresql://ann:sec%ret@db/runs": "postgresql://ann:***@db/runs" + NEEDS_CODE,
    "postgresql://ann:sec ret@db/runs": "postgresql://ann:***@db/runs" + NEEDS_CODE,
    "postgresql+psycopg://ann:secret@db/runs": "'postgresql+psycopg://ann:***@db/runs'" + NO_URL,
    "mysql://ann:secret@db/runs?password=secret": "'mysql://ann:***@db/runs?password=***'" + NO_URL,
    "spans/": "'spans/'" + NO_URL,
    7: "7" + NO_URL,
}


@pytest.mark.parametrize("wrong", BAD_URLS)
def test_a_url_that_libpq_would_misread_is_refused_and_its_password_not_shown(wrong):
    with pytest.raises(tv.FleetError) as error:
        PostgresSource(wrong)
    assert str(error.value) == BAD_URLS[wrong]


def test_a_password_is_never_shown():
    source = PostgresSource("postgres://ann:secret@db:5433/runs?sslmode=require&pass%77ord=secret")
    assert str(source) == "postgres://ann:***@db:5433/runs?sslmode=require&pass%77ord=***"
    assert repr(source) == f"PostgresSource({str(source)!r})"
    assert str(pickle.loads(pickle.dumps(source))) == str(source)
    assert str(PostgresSource("postgresql:///runs?host=/tmp")) == "postgresql:///runs?host=/tmp"


def test_an_error_of_the_driver_is_cut_to_its_reason():
    libpq = 'IO: [libpq] Failed to connect: connection to server at "db", port 1 failed: refused\n\tIs the server running?\n'
    assert reason_in(OSError(libpq)) == 'connection to server at "db", port 1 failed: refused'
    query = 'NOT_FOUND: Failed to prepare query: ERROR:  column "x" does not exist\nLINE 1: x\n\nQuery was: x. SQLSTATE: 42703'
    assert reason_in(OSError(query)) == 'ERROR: column "x" does not exist LINE 1: x'


def test_parts_hold_whole_traces():
    assert list(bounds_of_parts([], 5)) == []
    assert list(bounds_of_parts([5, 1, 5, 6, 0, 1, 2, 3], 5)) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 7), (7, 8)]
