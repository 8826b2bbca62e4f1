import json
import warnings
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, MissingColumn, Store, load_spans, spans_from_events
from tokenvis.spans.columns import require

NAMES = {"time": "at", "agent": "who", "location": "room", "event": "what"}
HOSTILE = "<b>$\\frac{\n\N{RAINBOW}\u202e" + "x" * 10_000


def events_of(*rows: str, **columns: list[Any]) -> pd.DataFrame:
    """Events written as text: "time agent location what", with "-" for no location."""
    fields = [row.split(maxsplit=3) for row in rows]
    table = pd.DataFrame(fields, columns=["at", "who", "room", "what"])
    return table.assign(at=table["at"].astype("int64"), room=table["room"].where(table["room"] != "-"), **columns)


def read(events: Any, **options: Any) -> list[str]:
    """The spans as text, each with its data."""
    spans = spans_from_events(events, **(NAMES | options))
    require(spans)
    columns = [spans[name].tolist() for name in ("agent_id", "start_time", "end_time", "location_id", "data")]
    return [" ".join(str(value) for value in row if value == value) for row in zip(*columns, strict=True)]


def told(events: Any, **options: Any) -> tuple[list[str], str]:
    """The spans as text, and the one warning."""
    with pytest.warns(UserWarning, match="without") as warned:
        spans = read(events, **options)
    [message] = warned
    assert message.filename == __file__
    return spans, str(message.message)


def test_a_start_and_its_end_are_a_span():
    assert read(events_of("0 ann hall enter", "4 ann hall leave", "4 bob lab enter", "9 bob lab leave")) == [
        "ann 0 4 hall",
        "bob 4 9 lab",
    ]


def test_an_end_without_a_location_ends_the_innermost():
    assert read(events_of("0 ann house enter", "1 ann hall enter", "3 ann - leave", "7 ann - leave")) == [
        "ann 0 7 house",
        "ann 1 3 hall",
    ]


def test_an_agent_that_enters_elsewhere_is_at_both_places_until_it_leaves():
    assert read(events_of("0 ann a enter", "1 ann b enter", "2 ann a leave", "3 ann b leave")) == ["ann 0 2 a", "ann 1 3 b"]


def test_an_end_does_not_end_what_a_word_of_another_family_started():
    assert read(events_of("0 ann lab enter", "1 ann lab start", "5 ann lab leave", "9 ann lab stop")) == [
        'ann 0 5 lab {"what":"enter","end_what":"leave"}',
        'ann 1 9 lab {"what":"start","end_what":"stop"}',
    ]


def test_without_ends_each_lasts_until_the_next_of_its_agent():
    spans = read(events_of("0 ann a enter", "1 bob b enter", "4 ann b enter", "9 bob a enter"))
    assert spans == ["ann 0 4 a", "bob 1 9 b", 'ann 4 9 b {"status":"open"}', 'bob 9 9 a {"status":"open"}']


def test_without_a_column_of_events_a_row_without_a_location_ends_the_stay():
    events = events_of("0 ann a x", "4 ann - x", "6 ann b x").drop(columns="what")
    assert read(events, event=None) == ["ann 0 4 a", 'ann 6 6 b {"status":"open"}']


def test_a_start_without_an_end_is_open_until_the_last_time_and_told():
    assert told(events_of("0 ann a start", "1 bob b start", "7 bob b stop")) == (
        ['ann 0 7 a {"status":"open"}', "bob 1 7 b"],
        "1 start without an end, open until the last time: row 0 ('start', 'ann').",
    )


def test_an_end_without_a_start_begins_at_the_event_before_and_is_told():
    spans, message = told(events_of("2 bob b start", "3 ann a stop", "5 bob b stop", "8 bob - stop"))
    assert spans == ['ann 2 3 a {"estimated":["start_time"]}', "bob 2 5 b", 'bob 5 8 unknown {"estimated":["start_time"]}']
    assert message == (
        "2 ends without a start, begun at the agent's event before, an estimate: row 1 ('stop', 'ann'); row 3 ('stop', 'bob')."
    )


def test_the_warning_shows_three_events_of_many_and_escapes_them():
    _, message = told(events_of(*(f"{second} ann\x1b[31m a start" for second in range(5))))
    assert message == (
        "5 starts without an end, open until the last time: "
        "row 0 ('start', 'ann\\x1b[31m'); row 1 ('start', 'ann\\x1b[31m'); row 2 ('start', 'ann\\x1b[31m'); 2 more."
    )


def test_events_with_an_id_are_paired_by_it():
    events = events_of("0 ann a start", "1 ann a start", "2 ann b stop", "5 ann - stop", "6 ann c start", "7 ann c stop")
    assert read(events.assign(job=["x", "y", "x", "y", None, None]), id="job") == [
        'ann 0 2 a {"job":"x","end_room":"b"}',
        'ann 1 5 a {"job":"y"}',
        "ann 6 7 c",
    ]


def test_other_columns_are_data_from_the_start_and_where_it_differs_from_the_end():
    table = events_of(
        "0 ann a start", "3 ann a failed", note=["in", "out"], size=[1, 1], status=["running", "error"], none=None
    )
    assert read(table) == ['ann 0 3 a {"note":"in","end_note":"out","size":1,"status":"error"}']
    assert read(table.drop(columns="status")[["at", "who", "room", "what"]]) == ['ann 0 3 a {"status":"error"}']


def test_the_status_is_that_of_the_end_in_any_case_else_that_of_its_word():
    table = events_of("0 ann a start", "3 ann a failed", "4 bob a start", "9 bob a stop")
    assert read(table.drop(columns="what").assign(status=["Running", None, "running", "OK"], what=table["what"])) == [
        'ann 0 3 a {"status":"error","what":"start","end_what":"failed"}',
        'bob 4 9 a {"status":"ok","what":"start","end_what":"stop"}',
    ]


def test_words_in_a_column_named_status_do_not_replace_the_status():
    table = events_of("0 ann a started", "3 ann a failed", "4 ann a started", "9 ann a done").rename(columns={"what": "status"})
    assert read(table, event="status") == [
        'ann 0 3 a {"event":"started","end_event":"failed","status":"error"}',
        'ann 4 9 a {"event":"started","end_event":"done"}',
    ]


def test_no_key_of_an_end_replaces_a_column():
    table = events_of("0 ann a start", "3 ann a stop", x=[1, 2], end_x=[7, 8])
    assert read(table) == ['ann 0 3 a {"x":1,"end_end_x":2,"end_x":7,"end_end_end_x":8}']


def test_integers_beside_missing_values_stay_integers():
    table = events_of("0 ann a start", "3 ann a stop").assign(room=[4, None], who=[1, 1], job=[7.0, 7.0])
    assert read(table, id="job") == ['1 0 3 4 {"job":7.0}']
    assert read(table) == ['1 0 3 4 {"job":7.0}']


def test_values_of_any_type_become_data():
    values = [float("nan"), float("inf"), 2**70, pd.Timestamp("2026-01-01"), {"deep": [1, None]}, "\ud800", (1, 2), b"x"]
    events = [{"at": n, "who": "ann", "room": "a", "what": "start", "value": value} for n, value in enumerate(values)]
    events += [{"at": 9, "who": "ann", "what": "stop"} for _ in values]
    spans = spans_from_events(events, **NAMES)
    found = [json.loads(data)["value"] if isinstance(data, str) else None for data in spans["data"]]
    assert read([{**event, "value": "\ud800"} for event in events[:1] + events[-1:]]) == ['ann 0 9 a {"value":"\\ud800"}']
    assert found == [None, "inf", 2**70, "2026-01-01 00:00:00", {"deep": [1, None]}, "\ud800", "(1, 2)", "b'x'"]


def test_given_pairs_and_numbers_as_events():
    events = events_of("0 ann lift up", "3 ann lift broken", "4 ann lift up", "6 ann lift down")
    assert read(events, pairs={"up": ["down", "broken"]}) == [
        'ann 0 3 lift {"what":"up","end_what":"broken"}',
        'ann 4 6 lift {"what":"up","end_what":"down"}',
    ]
    assert read(events.assign(what=[1.0, 0.0, 1.0, 0.0]), pairs={1: 0}) == ["ann 0 3 lift", "ann 4 6 lift"]


def test_events_of_one_time_count_in_the_order_of_their_rows():
    assert read(events_of("5 ann a start", "5 ann a stop", "5 ann a start", "9 ann a stop")) == ["ann 5 5 a", "ann 5 9 a"]


def test_times_have_units_and_dates():
    events = events_of("0 ann a start", "3 ann a stop")
    assert read(events, step_us=60_000_000) == ["ann 0 180000000 a"]
    dated = events.assign(at=["2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z"])
    assert read(dated) == ["ann 1767225600000000 1767225602000000 a"]


def test_numbers_that_are_seconds_are_told_to_the_caller():
    events = events_of("1780000000 ann a start", "1780000009 ann a stop")
    with pytest.warns(UserWarning, match=r"in seconds it is the year 2026: step_us=1_000_000\.$") as warned:
        read(events)
    assert [one.filename for one in warned] == [__file__]
    assert read(events, step_us=1_000_000) == ["ann 1780000000000000 1780000009000000 a"]


def test_index_levels_are_columns():
    events = events_of("0 ann a start", "3 ann a stop").assign(step=[7, 7]).set_index(["at", "who", "step"])
    assert read(events) == ['ann 0 3 a {"step":7}']


def test_ids_stay_when_a_log_grows():
    events = events_of("0 ann a start", "0 bob a start", "2 ann a stop", "3 ann b start", "4 ann b stop", "9 bob a stop")
    whole = spans_from_events(events, trace_id="run", **NAMES).set_index("id")
    assert sorted(whole.index) == ["run/ann/0", "run/ann/2", "run/bob/0"]
    with pytest.warns(UserWarning, match="without an end"):
        begun = spans_from_events(events[:4], trace_id="run", **NAMES).set_index("id")
    assert begun["location_id"].astype("str").equals(whole.loc[begun.index, "location_id"].astype("str"))


def test_hostile_names_stay_as_they_are():
    name = HOSTILE.replace("\n", " ")
    events = events_of("0 a b start", "1 a b stop", x=[name, name]).assign(who=HOSTILE, room=HOSTILE)
    [row] = spans_from_events(events, **NAMES).to_dict("records")
    assert (row["agent_id"], row["location_id"], json.loads(row["data"])) == (HOSTILE, HOSTILE, {"x": name})
    with pytest.raises(BadSpan) as error:
        read(events.assign(what=HOSTILE))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("column", ["who", "room", "what", "job"])
def test_half_of_a_surrogate_pair_in_a_name_is_an_error(column):
    row = {"at": 0, "who": "ann", "room": "a", "what": "start", "job": "x", column: "\ud800"}
    with pytest.raises(BadSpan, match=rf"^{column} contains '\\ud800', which cannot be encoded as UTF-8\.$"):
        read([row], id="job")


@pytest.mark.parametrize("events", [[], pd.DataFrame(columns=list(NAMES.values())), events_of()])
def test_no_events_give_no_spans(events):
    spans = spans_from_events(events, **NAMES)
    assert len(spans) == 0
    require(spans)


def test_what_is_no_event_is_an_error():
    events = events_of("0 ann a start", "1 ann a stop")
    with pytest.raises(MissingColumn, match=r"^The events have no column 'x'\. They have: 'at', 'who', 'room', 'what'\.$"):
        read(events, location="x")
    with pytest.raises(BadSpan, match=r"^room is missing in row 0 of the events, which is a start\.$"):
        read(events.assign(room=[None, "a"]))
    with pytest.raises(BadSpan, match=r"^who is missing in row 1 of the events\.$"):
        read(events.assign(who=["ann", None]))
    with pytest.raises(BadOption, match=r"^step_us=0\.5 is not a positive integer of µs\.$"):
        read(events, step_us=0.5)
    with pytest.raises(BadSpan, match=r"^The events have several columns 'x'\. Drop all but one\.$"):
        read(pd.concat([events, events[["at"]].set_axis(["x"], axis=1), events[["at"]].set_axis(["x"], axis=1)], axis=1))
    with pytest.raises(BadOption, match=r"^pairs= is about the words in the column event=, which is None\.$"):
        read(events, event=None, pairs={"a": "b"})
    with pytest.raises(BadSpan) as error:
        read(events.assign(parent_id="p"))
    assert str(error.value) == "The events have a column 'parent_id', which in data refers to spans. Rename or drop it."


def spans_one_by_one(events: list[tuple[int, str, str | None, str]]) -> list[tuple[str, int, int, str, str]]:
    """The oracle: events in the order of time, a list of open starts for each agent."""
    events = sorted(events, key=lambda event: event[0])
    first, last = min((at for at, *_ in events), default=0), max((at for at, *_ in events), default=0)
    open_starts: dict[str, list[tuple[int, str]]] = {}
    seen: dict[str, int] = {}
    spans = []
    for at, who, room, what in events:
        starts = open_starts.setdefault(who, [])
        if what == "start":
            starts.append((at, str(room)))
        else:
            begun = next((one for one in reversed(range(len(starts))) if room in (None, starts[one][1])), None)
            if begun is None:
                spans.append((who, seen.get(who, first), at, room or "unknown", "estimated"))
            else:
                spans.append((who, starts[begun][0], at, starts.pop(begun)[1], ""))
        seen[who] = at
    spans += [(who, at, last, room, "open") for who, starts in open_starts.items() for at, room in starts]
    return sorted(spans)


ROWS = st.tuples(
    st.integers(-2, 9), st.sampled_from("ab"), st.sampled_from(["x", "y", None]), st.sampled_from(["start", "stop"])
).map(lambda row: (*row[:2], "x", row[3]) if row[2] is None and row[3] == "start" else row)


def tuples_of(events: pd.DataFrame) -> list[tuple[str, int, int, str, str]]:
    """The spans as tuples, each with what is not known of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spans = spans_from_events(events, **NAMES)
    data = spans["data"].fillna("")
    unknown = ["open" if "open" in text else "estimated" if "estimated" in text else "" for text in data]
    columns = (spans[name].tolist() for name in ("agent_id", "start_time", "end_time", "location_id"))
    return sorted(zip(*columns, unknown, strict=True))


@pytest.mark.laws
@given(st.lists(ROWS, max_size=25))
def test_spans_are_those_of_reading_event_after_event(rows):
    assert tuples_of(pd.DataFrame(rows, columns=list(NAMES.values()))) == spans_one_by_one(rows)


@pytest.mark.laws
@given(st.lists(ROWS, max_size=12, unique_by=lambda row: row[0]), st.randoms())
def test_the_order_of_rows_does_not_matter_where_times_differ(rows, chance):
    shuffled = chance.sample(rows, len(rows))
    assert tuples_of(pd.DataFrame(shuffled, columns=list(NAMES.values()))) == spans_one_by_one(rows)


def test_the_frame_can_be_stored_and_loaded():
    spans = spans_from_events(events_of("0 ann a start", "3 ann a stop", note=["x", "x"]), trace_id="log", **NAMES)
    Store().write_trace("log", spans)
    assert load_spans("log").equals(spans)
