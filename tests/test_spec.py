"""The specification of the storage, a test for each WHEN. The seed is ``npm run seed``, run twice in an empty folder."""

import pandas as pd
import pytest
from conftest import seeded_database, seeded_spans
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from tokenvis import Store, expand_data, load_traces, moves
from tokenvis.store.schema import Base, Span, Trace

SECOND = 1_000_000
AGENTS = ["Coder-A", "Coder-B", "Deployer", "Planner", "Researcher", "Reviewer"]
LOCATIONS = ["Code Studio", "Deploy Zone", "Planning Room", "Research Lab", "Review Bay"]


@pytest.fixture
def kitchen() -> pd.DataFrame:
    return seeded_spans("kitchen-sink")


@pytest.fixture
def workflow() -> pd.DataFrame:
    return seeded_spans("multi-agent-workflow")


def overlap(one: pd.Series, other: pd.Series) -> int:
    return min(one["end_time"], other["end_time"]) - max(one["start_time"], other["start_time"])


def test_when_the_database_helper_initialises_then_wal_is_set_and_the_file_is_created(tmp_path):
    assert not (tmp_path / "sqlite.db").exists()
    store = Store()
    assert store.path == tmp_path / "sqlite.db"
    assert (tmp_path / "sqlite.db").is_file()
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_when_the_orm_connects_with_the_schema_then_both_tables_exist_with_these_columns():
    inspector = inspect(Store().engine)
    assert inspector.get_table_names() == ["spans", "traces"]
    columns = {
        table: [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }
    assert columns == {
        "traces": [("id", "TEXT", False), ("name", "TEXT", False)],
        "spans": [
            ("id", "TEXT", False),
            ("trace_id", "TEXT", False),
            ("agent_id", "TEXT", False),
            ("location_id", "TEXT", False),
            ("start_time", "INTEGER", False),
            ("end_time", "INTEGER", False),
            ("data", "JSON", True),
        ],
    }
    assert [inspector.get_pk_constraint(table)["constrained_columns"] for table in columns] == [["id"], ["id"]]
    [key] = inspector.get_foreign_keys("spans")
    assert (key["constrained_columns"], key["referred_table"], key["referred_columns"]) == (["trace_id"], "traces", ["id"])


def test_when_the_orm_connects_with_the_schema_then_the_index_is_present():
    [index] = inspect(Store().engine).get_indexes("spans")
    assert (index["name"], index["column_names"]) == ("spans_trace_start_idx", ["trace_id", "start_time"])
    with Session(Store().engine) as session:
        session.add(Trace(id="t", name="T", spans=[Span(id="s", agent_id="a", location_id="l", start_time=0, end_time=1)]))
        session.commit()
        assert session.get(Span, "s").trace.name == "T"
    assert set(Base.metadata.tables) == {"traces", "spans"}


def test_when_npm_run_seed_runs_then_kitchen_sink_has_its_overlapping_spans(kitchen):
    rows = {name: kitchen[(kitchen["agent_id"] == name) & (kitchen["location_id"] == "Kitchen")] for name in ("Alice", "Bob")}
    assert overlap(rows["Alice"].iloc[0], rows["Bob"].iloc[0]) == 3 * SECOND
    assert sorted(kitchen["agent_id"].unique()) == ["Alice", "Bob", "Charlie"]


def test_when_npm_run_seed_runs_then_kitchen_sink_has_its_cross_location_spans(kitchen):
    [move] = moves(kitchen).to_dict("records")
    assert [move[key] for key in ("agent_id", "from_location", "to_location")] == ["Charlie", "Kitchen", "Office"]


def test_when_npm_run_seed_runs_then_kitchen_sink_has_its_zero_duration_span(kitchen):
    assert (kitchen["start_time"] == kitchen["end_time"]).sum() == 1


def test_when_npm_run_seed_runs_then_multi_agent_workflow_has_6_agents_5_locations_and_40_spans(workflow):
    assert len(workflow) == 40
    assert sorted(workflow["agent_id"].unique()) == AGENTS
    assert sorted(workflow["location_id"].unique()) == LOCATIONS
    assert (workflow["start_time"].min(), workflow["end_time"].max()) == (0, 60 * SECOND)


def test_multi_agent_workflow_shows_parallel_work(workflow):
    coders = [workflow[(workflow["agent_id"] == name) & (workflow["location_id"] == "Code Studio")] for name in AGENTS[:2]]
    assert max(overlap(a, b) for _, a in coders[0].iterrows() for _, b in coders[1].iterrows()) > 5 * SECOND


def test_multi_agent_workflow_shows_sequential_handoffs(workflow):
    rows = expand_data(workflow, "links").set_index("id")
    handed = [(rows.loc[link], row) for _, row in rows.iterrows() for link in (row["links"] or [])]
    between = [(before, after) for before, after in handed if before["agent_id"] != after["agent_id"]]
    assert len(between) == 11
    assert all(after["start_time"] >= before["end_time"] for before, after in between)
    assert {agent for pair in between for agent in (pair[0]["agent_id"], pair[1]["agent_id"])} == set(AGENTS)


def test_multi_agent_workflow_shows_location_revisits_by_several_agents(workflow):
    arrivals = moves(workflow).groupby(["agent_id", "to_location"], observed=True).size()
    first = workflow.groupby("agent_id", observed=True)["location_id"].first()
    returned = {agent for (agent, place), count in arrivals.items() if count + (first[agent] == place) > 1}
    assert returned == {"Planner", "Researcher", "Coder-A", "Coder-B"}


def test_multi_agent_workflow_shows_varied_durations_and_a_parent_with_a_child(workflow):
    duration = workflow["end_time"] - workflow["start_time"]
    assert (duration == 0).sum() == 2
    assert ((duration > 0) & (duration < SECOND)).sum() == 7
    assert duration.max() == 9 * SECOND
    assert workflow["parent_id"].notna().sum() == 4


def test_when_npm_run_seed_runs_twice_in_a_row_then_nothing_is_stored_twice():
    with Store(seeded_database(), create=False).engine.connect() as connection:
        count = connection.exec_driver_sql
        assert count("SELECT count(*), count(DISTINCT id) FROM traces").one() == (2, 2)
        assert count("SELECT count(*), count(DISTINCT id) FROM spans").one() == (47, 47)
    traces = load_traces(store=seeded_database())
    assert dict(zip(traces["id"], traces["n_spans"], strict=True)) == {"kitchen-sink": 7, "multi-agent-workflow": 40}
    assert traces["name"].tolist() == traces["id"].tolist()
