import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tokenvis import Store, load_spans
from tokenvis.store.schema import Span, Trace

GOOD = {
    "id": "'s'",
    "trace_id": "'t'",
    "agent_id": "'a'",
    "location_id": "'l'",
    "start_time": "0",
    "end_time": "5",
    "data": "NULL",
}


@pytest.fixture
def store() -> Store:
    store = Store()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO traces VALUES ('t', 'T')")
    return store


def insert(store: Store, **changed: str) -> None:
    values = {**GOOD, **changed}
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO spans ({', '.join(values)}) VALUES ({', '.join(values.values())})")


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"end_time": "0"},
        {"start_time": str(-(2**63)), "end_time": str(2**63 - 1)},
        {"data": "'{}'"},
        {"data": """'{"label": "x", "attributes": {"a.b": [1, null]}}'"""},
        {"id": "''"},
    ],
)
def test_the_database_accepts_a_valid_span(store, good):
    insert(store, **good)


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "NULL"},
        {"id": "x'00'"},
        {"trace_id": "NULL"},
        {"trace_id": "'unknown'"},
        {"agent_id": "NULL"},
        {"location_id": "NULL"},
        {"start_time": "NULL"},
        {"end_time": "NULL"},
        {"start_time": "'soon'"},
        {"end_time": "5.5"},
        {"end_time": "x'05'"},
        {"start_time": "6"},
        {"data": "'[]'"},
        {"data": "'7'"},
        {"data": "'null'"},
        {"data": "'\"text\"'"},
        {"data": "'{'"},
        {"data": "'{\"a\": NaN}'"},
        {"data": "x'7b7d'"},
    ],
    ids=str,
)
def test_the_database_refuses_an_invalid_span(store, bad):
    with pytest.raises(IntegrityError):
        insert(store, **bad)
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM spans")).scalar() == 0


@pytest.mark.parametrize("bad", ["NULL, 'T'", "'u', NULL", "x'00', 'T'"])
def test_the_database_refuses_an_invalid_trace(store, bad):
    with pytest.raises(IntegrityError), store.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO traces VALUES ({bad})")


def test_a_trace_with_spans_cannot_be_deleted_alone(store):
    insert(store)
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM traces")


def test_missing_data_is_null_and_not_the_text_null(store):
    times = {"agent_id": "a", "location_id": "l", "start_time": 0, "end_time": 1}
    with Session(store.engine) as session:
        session.add_all(
            [Span(id="s", trace_id="t", data=None, **times), Span(id="r", trace_id="t", data={"label": "µ"}, **times)]
        )
        session.commit()
        kinds = session.execute(text("SELECT id, typeof(data) FROM spans ORDER BY id")).all()
        assert kinds == [("r", "text"), ("s", "null")]
        assert session.get(Span, "r").data == {"label": "µ"}


def test_a_trace_has_its_spans_in_order_and_deletes_them_with_it(store):
    for name, start, end, agent in (("z", 3, 5, "a"), ("y", 1, 9, "a"), ("x", 1, 5, "b"), ("w", 1, 5, "a"), ("v", 1, 5, "a")):
        insert(store, id=f"'{name}'", start_time=str(start), end_time=str(end), agent_id=f"'{agent}'")
    with Session(store.engine) as session:
        trace = session.get(Trace, "t")
        assert [span.id for span in trace.spans] == ["v", "w", "x", "y", "z"] == load_spans("t", store=store)["id"].tolist()
        session.delete(trace)
        session.commit()
        assert session.scalars(select(Span)).all() == []


def test_the_schema_has_a_version(store):
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 1
