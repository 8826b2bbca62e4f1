"""Names of agents and locations that are not there: an error, not an empty frame."""

from pathlib import Path

import pytest
from databases import UNCHECKED, with_sql

from tokenvis import BadOption, Store, TraceNotFound, load_spans

KITCHEN = [
    {"id": "1", "agent_id": "Ann", "location_id": "desk", "start_time": 0, "end_time": 5},
    {"id": "2", "agent_id": "Bob", "location_id": "lab", "start_time": 10, "end_time": 15},
]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"agents": "Anna"}, "The traces have no agents 'Anna'. They have: 'Ann', 'Bob'."),
        ({"agents": ["Bob", "bob", "Zoe"]}, "The traces have no agents 'Zoe', 'bob'. They have: 'Bob', 'Ann'."),
        ({"locations": "labs", "start": 0, "end": 5}, "The traces have no locations 'labs'. They have: 'lab', 'desk'."),
        ({"agents": "Ann", "locations": "roof"}, "The traces have no locations 'roof'. They have: 'desk', 'lab'."),
    ],
)
def test_an_unknown_agent_or_location_is_an_error_with_the_nearest_names(names, message):
    Store().write_trace("t", KITCHEN)
    with pytest.raises(BadOption) as error:
        load_spans("t", **names)
    assert str(error.value) == message


def test_an_agent_without_spans_in_the_window_gives_an_empty_frame():
    Store().write_trace("t", KITCHEN)
    Store().write_trace("u", [{**KITCHEN[0], "id": "u", "agent_id": "Cid"}])
    assert load_spans("t", agents="Bob", end=5).empty
    assert load_spans("t", agents="Bob", locations="desk").empty
    assert load_spans("t", agents=[]).empty
    assert load_spans(agents=["Ann", "Cid"])["id"].tolist() == ["1", "u"]
    with pytest.raises(BadOption, match=r"^The traces have no agents 'Cid'\. They have: 'Ann', 'Bob'\.$"):
        load_spans("t", agents=["Ann", "Cid"])


def test_hostile_names_are_compared_quickly():
    names = [f"{'x' * 9_990}{number:010}" for number in range(300)]
    rows = [{**KITCHEN[0], "id": name[-10:], "agent_id": name} for name in names]
    Store().write_trace("t", rows)
    with pytest.raises(BadOption, match=r"^The traces have no agents 'x{60}'… \(9,990 characters\)\. They have: 'x{60}'… "):
        load_spans("t", agents="x" * 9_990)


def test_traces_whose_ids_are_not_texts_are_listed():
    store = Store(
        with_sql(Path("theirs.db"), "CREATE TABLE traces (id, name)", UNCHECKED[1], "INSERT INTO traces VALUES (7, x'ff')")
    )
    with pytest.raises(TraceNotFound, match=r"^No trace 't'\. This store has: 7\.$"):
        load_spans("t", store=store)
