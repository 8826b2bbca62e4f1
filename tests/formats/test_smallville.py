import json

import pandas as pd
import pytest
from files import problem_texts, reading_of, span_text, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import ingest, load_spans, spans_from_samples
from tokenvis.formats.files.head import head_of
from tokenvis.formats.simulations.smallville import read, recognises

META = {"start_date": "January 01, 1970", "curr_time": "January 02, 1970, 00:00:00", "sec_per_step": 10}


def at(place, activity="rest", **more):
    return {
        "movement": [1, 2],
        "pronunciatio": "🎧",
        "description": place and f"{activity} @ the Ville:{place}",
        "chat": None,
        **more,
    }


STEPS = {
    "0": {"Ann": at("Cafe:bar:stool", "open"), "Bob": at("")},
    "1": {"Ann": at("Cafe:bar:stove", "open")},
    "2": {},
    "3": {"Ann": at("Cafe:bar:stool", "cook"), "Bob": at("Dorm:room")},
    "5": {"Ann": at(""), "Bob": at("Dorm:room", "sleep", chat=[["Bob", "hi"]])},
    "6": {"Ann": at("Dorm：hall ： bed")},
}
TOLD = ["Ann Cafe:bar 0-30", "Bob Dorm:room 30-50", "Ann Cafe:bar 30-60", "Ann Dorm:hall 60-70", "Bob Dorm:room 50-70"]


def spans_of(steps, meta=META, path="world/master_movement.json"):
    if meta is not None:
        write_file(path.replace("master_movement", "meta"), meta)
    reading = reading_of(path, json.dumps(steps, indent=1, ensure_ascii=False))
    return [span_text(span) for span in read(reading)], problem_texts(reading)


def test_a_run_is_an_activity_at_a_place():
    assert spans_of(STEPS) == (TOLD, [])
    assert recognises(head_of(reading_of("world/master_movement.json").source))


def test_the_meta_file_has_either_name():
    assert spans_of(STEPS, {**META, "sec_per_step": 20}, "a/town_master_movement.json")[0][0] == "Ann Cafe:bar 0-60"
    assert spans_of(STEPS, {**META, "start_date": "February 13, 2003"})[0][0].startswith("Ann Cafe:bar 1.04509e+09-")


def test_a_missing_or_damaged_clock_is_a_problem():
    assert spans_of(STEPS, None, "bare/master_movement.json") == (
        TOLD,
        ["master_movement.json: there is no meta.json in its folder, so times start at 0 and a step takes 10 s."],
    )
    assert spans_of(STEPS, {"start_date": "noon"}) == (
        TOLD,
        ["meta.json: invalid value (time data 'noon' does not match format '%B %d, %Y')."],
    )
    assert spans_of(STEPS, {**META, "sec_per_step": -1})[1] == ["meta.json: invalid value ('sec_per_step' is -1)."]
    assert spans_of(STEPS, [])[1] == ["meta.json: invalid value (it is of type list)."]


def test_the_data_of_a_run():
    write_file("world/meta.json", META)
    spans = list(read(reading_of("world/master_movement.json", json.dumps(STEPS))))
    assert spans[1].data == {
        "label": "rest",
        "kind": "activity",
        "attributes": {"pronunciatio": "🎧", "movement": [1, 2]},
    }
    assert spans[4].data["attributes"]["chat"] == [["Bob", "hi"]]
    assert spans[0].data["attributes"]["object"] == "stool"


def test_a_world_is_named_by_its_folder_or_its_file():
    for path in ("towns/one/master_movement.json", "towns/two_master_movement.json"):
        write_file(path.replace("master_movement", "meta"), META)
        write_file(path, json.dumps(STEPS))
    report = ingest("towns")
    assert sorted(report.names.values()) == ["one", "two"]
    assert report.skipped == {"files of unknown format": 2}
    assert len(load_spans("one")) == 5


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    steps = {"x": {}, **STEPS, "7": {"Ann": {"description": 5}}, "8": 5, "4": {"Ann": at("Pub:bar")}}
    found, wrong = spans_of(steps)
    assert found[:4] == [*TOLD[:3], "Ann Dorm:hall 60-90"]
    assert wrong == [
        "master_movement.json, step 1: 'x' is not a step.",
        "master_movement.json, step 7: invalid value ('description' is of type int).",
        "master_movement.json, step 8: is of type int, not an object.",
        "master_movement.json, step 4: invalid value (it comes after step 6).",
    ]


def test_an_earlier_step_does_not_undo_a_later_one():
    late = {
        "0": {"Ann": at("a:b")},
        "3": {"Ann": at("a:b")},
        "1": {"Ann": at("c:d")},
        "03": {"Ann": at("c:d")},
        "4": {"Ann": "x"},
    }
    assert spans_of({**late, "2": {}}) == (
        ["Ann a:b 0-50"],
        [
            "master_movement.json, step 1: invalid value (it comes after step 3).",
            "master_movement.json, step 3: invalid value (it comes after step 3).",
            "master_movement.json, step 4: invalid value ('Ann' is of type str).",
        ],
    )


def test_steps_beyond_all_times_are_problems():
    steps = {"0": {"Ann": at("a:b")}, "1" * 5_000: {}, "99999999": {"Ann": at("c:d")}}
    write_file("far/meta.json", {**META, "start_date": "January 01, 9999", "sec_per_step": 86_400})
    report = ingest(write_file("far/master_movement.json", json.dumps(steps)))
    assert report.n_spans == 2
    assert [str(problem) for problem in report.problems] == [f"master_movement.json, step 2: '{'1' * 40}' is not a step."]
    assert spans_of(STEPS, {**META, "sec_per_step": 86_401})[1] == ["meta.json: invalid value ('sec_per_step' is 86401)."]


def test_a_run_keeps_every_line_of_its_conversations_once():
    a, b, c = (["Ann", text] for text in "abc")
    said = [[a], [a], [a, b], None, [c], [c]]
    steps = {str(step): {"Ann": at("Pub:bar", chat=chat)} for step, chat in enumerate(said)}
    [span] = read(reading_of("talk/master_movement.json", json.dumps(steps)))
    assert span.data["attributes"]["chat"] == [a, b, c]


def test_a_conversation_may_be_one_text_a_step():
    steps = {str(step): {"Ann": at("Pub:bar", chat=chat)} for step, chat in enumerate(["", "Ann: a", "Ann: a", "Ann: b", None])}
    [span] = read(reading_of("talk/master_movement.json", json.dumps(steps)))
    assert span.data["attributes"]["chat"] == ["Ann: a", "Ann: b"]
    path = write_file("talk/master_movement.json", json.dumps(steps))
    assert "Ann: a" not in ingest(path, content="none").spans()["data"].iloc[0]


WHAT = st.tuples(st.sampled_from(["", "desk", "lab"]), st.sampled_from(["rest", "work"]))


def merged(runs):
    """Runs of locations; a run that begins at the location and time at which another run of its agent ends continues it."""
    joined = []
    for agent, place, start, end in sorted(runs, key=lambda run: (run[0], run[2])):
        if joined and joined[-1][:2] == (agent, place) and joined[-1][3] == start:
            start = joined.pop()[2]
        joined.append((agent, place, start, end))
    return set(joined)


@pytest.mark.laws
@given(st.dictionaries(st.integers(0, 8), st.dictionaries(st.sampled_from(["Ann", "Bob"]), WHAT), min_size=1))
def test_runs_equal_the_runs_of_sampled_steps(tmp_path_factory, changes):
    steps = {str(step): {who: at(place, act) for who, (place, act) in now.items()} for step, now in sorted(changes.items())}
    path = tmp_path_factory.mktemp("law") / "master_movement.json"
    write_file(path.with_name("meta.json"), {**META, "sec_per_step": 1})
    found = merged((span.agent, span.location, span.start, span.end) for span in read(reading_of(path, json.dumps(steps))))
    now, rows = {}, []
    for step in range(max(changes) + 1):
        now |= {who: place for who, (place, _) in changes.get(step, {}).items() if place}
        rows += [(step, who, place) for who, place in now.items()]
    samples = pd.DataFrame(rows, columns=["step", "who", "place"])
    spans = spans_from_samples(samples, time="step", agent="who", location="place", step_us=1_000_000, trace_id="t")
    columns = ("agent_id", "location_id", "start_time", "end_time")
    assert found == set(zip(*(spans[column].tolist() for column in columns), strict=True))


def frame(location, action="rest", **more):
    return {"location": location, "movement": [1, 2], "action": action, **more}


REPLAY = {
    "start_datetime": "1970-01-01T00:01:00",
    "stride": 10,
    "sec_per_step": 10,
    "persona_init_pos": {"Ann": [1, 2], "Bob": [1, 2]},
    "all_movement": {
        "description": {"Ann": {"currently": "x"}},
        "conversation": {"19700101-00:01": "\n地点：…", "19700101-00:11": ""},
        "0": {"Ann": {"location": "家，卧室，床", "movement": [1, 2], "description": "睡觉"}, "Bob": frame("店")},
        "1": {"Ann": frame("店，柜台", "前往 店")},
        "2": {},
        "3": {"Ann": frame("店，柜台", "a@b")},
    },
}
REPLAYED = ["Ann 家:卧室 50-60", "Ann 店:柜台 60-80", "Ann 店:柜台 80-90", "Bob 店 50-90"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_replay_of_the_chinese_generative_agents(indent):
    reading = reading_of("my-town/movement.json", json.dumps(REPLAY, indent=indent, ensure_ascii=False))
    assert recognises(head_of(reading.source))
    spans = list(read(reading))
    assert ([span_text(span) for span in spans], problem_texts(reading)) == (REPLAYED, [])
    assert [span.data["label"] for span in spans] == ["睡觉", "前往 店", "a b", "rest"]
    assert ["estimated" in span.data for span in spans] == [True, False, False, True]
    assert spans[0].data["attributes"]["object"] == "床"
    assert {name for _, name in reading.names.values()} == {"my-town"}
    assert reading.skipped == {"conversations of a replay, which belong to no one agent": 1}


def test_a_replay_with_long_conversations_before_its_frames_is_recognised():
    moves = {**REPLAY["all_movement"], "conversation": {"19700101-00:01": "话" * 400_000}}
    reading = reading_of("movement.json", json.dumps({**REPLAY, "all_movement": moves}, ensure_ascii=False))
    assert recognises(head_of(reading.source))
    assert [span_text(span) for span in read(reading)] == REPLAYED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start_datetime": "noon"}, "invalid value (Invalid isoformat string: 'noon')"),
        ({"start_datetime": 5}, "invalid value ('start_datetime' is of type int)"),
        ({"sec_per_step": -1}, "invalid value ('sec_per_step' is -1)"),
    ],
)
def test_a_replay_without_a_clock_is_a_problem(change, reason):
    reading = reading_of("movement.json", json.dumps(REPLAY | change, indent=1))
    assert [span_text(span) for span in read(reading)] == [text.replace("50-", "-10-").replace("60-80", "0-20").replace(
        "-60", "-0").replace("80-90", "20-30").replace("-90", "-30") for text in REPLAYED]  # fmt: skip
    assert problem_texts(reading) == [f"movement.json: {reason}, so times start at 0 and a step takes 10 s."]
