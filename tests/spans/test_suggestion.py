import pandas as pd
import pytest

from tokenvis import spans_from_events, spans_from_samples
from tokenvis.spans.conversion.suggestion import suggested_call

EVENTS = [
    {"timestamp": 0, "agent_id": "ann", "room": "a", "Event Type": "START"},
    {"timestamp": 4, "agent_id": "ann", "room": "a", "Event Type": "STOP"},
]
CALL = "tv.spans_from_events(events, time='timestamp', agent='agent_id', location='room', event='Event Type')"


def call_for(rows):
    return suggested_call(list(rows[0]), rows)


def changed(**columns):
    """The events with these columns added, or dropped where the value is None."""
    rows = pd.DataFrame(EVENTS).assign(**columns)
    return rows.drop(columns=[name for name, value in columns.items() if value is None]).to_dict("records")


def test_events_with_all_columns():
    assert call_for(EVENTS) == CALL
    assert call_for(changed(note=["x", "y"])) == CALL
    assert call_for(changed(job=[7, 7], state="fine")) == CALL


def test_an_activity_is_the_location_of_events_without_a_place():
    named = "tv.spans_from_events(events, time='timestamp', agent='agent_id', location='activity', event='Event Type')"
    assert call_for(changed(room=None, activity="pack")) == named
    assert call_for(changed(room=None)) == (
        "tv.spans_from_events(events.assign(location='work'), "
        "time='timestamp', agent='agent_id', location='location', event='Event Type')"
    )


def test_an_id_of_pairs():
    assert call_for(changed(task_id=["x", "x"])).endswith("event='Event Type', id='task_id')")
    assert call_for(changed(id=["x", "y"])) == CALL


def test_names_of_events_that_contain_known_words_become_pairs():
    rows = changed(**{"Event Type": ["task_started", "task_completed"]})
    assert call_for(rows) == f"{CALL[:-1]}, pairs={{'task_started': 'task_completed'}})"


def test_a_start_time_is_the_time_of_events_without_ends():
    rows = [{"start_time": row["timestamp"], "agent_id": "ann", "type": row["Event Type"]} for row in EVENTS]
    assert call_for(rows).startswith("tv.spans_from_events(events.assign(location='work'), time='start_time',")


def test_samples_have_steps_and_changes_have_other_times():
    samples = [{"Step": "0", "AgentID": "1", "pos": "(0, 0)"}, {"Step": "1", "AgentID": "1", "pos": "(0, 1)"}]
    assert call_for(samples) == "tv.spans_from_samples(samples, time='Step', agent='AgentID', location='pos')"
    dated = [{**row, "Step": f"2026-01-01T00:00:0{row['Step']}Z"} for row in samples]
    assert call_for(dated) == "tv.spans_from_events(events, time='Step', agent='AgentID', location='pos', event=None)"


@pytest.mark.parametrize(
    "rows",
    [
        changed(end=[5, 6]),
        changed(duration=5),
        changed(timestamp=None),
        changed(agent_id=None),
        changed(room=None, **{"Event Type": ["message", "answer"]}),
        changed(room=None, **{"Event Type": "done"}),
        [{"start_time": 0, "agent_id": "ann", "status": status} for status in ("started", "done")],
        [{"start_time": 0, "agent_id": "ann", "location_id": "a"}],
        [{1: 2}],
    ],
)
def test_other_tables_have_no_call(rows):
    assert call_for(rows) is None


def test_the_calls_do_what_they_say():
    events, samples = pd.DataFrame(EVENTS), pd.DataFrame({"step": [0, 1], "who": "ann", "room": "hall"})
    for table in (events, events.drop(columns="room"), samples):
        call = suggested_call(list(table.columns), table.to_dict("records"))
        names = {"spans_from_events": spans_from_events, "spans_from_samples": spans_from_samples}
        spans = eval(call.replace("tv.", ""), {**names, "events": table, "samples": table})
        assert len(spans) == 1
