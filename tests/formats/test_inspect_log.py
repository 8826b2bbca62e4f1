import json
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pytest
from archives import zipped_by_hand, zstd, zstd_zipped
from files import problem_texts, reading_of, span_text
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import IngestError, ingest, load_spans, load_traces
from tokenvis.formats.evaluations.inspect_log import reader
from tokenvis.formats.evaluations.inspect_log.calls import inspect_tokens
from tokenvis.formats.evaluations.inspect_log.reader import read, recognises
from tokenvis.formats.files.head import head_of

EVAL = {"task": "browse", "task_id": "x", "run_id": "run", "model": "m"}


def at(seconds):
    return f"1970-01-01T00:00:{seconds:02d}+00:00"


def event(kind, time, within=None, **more):
    return {"event": kind, "timestamp": at(time), "span_id": within, "working_start": 0.5, "uuid": f"{kind}-{time}", **more}


def begin(time, own, name, kind, parent=None):
    return event("span_begin", time, own, id=own, name=name, type=kind, parent_id=parent)


def end(time, own):
    return event("span_end", time, own, id=own)


USAGE = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
EVENTS = [
    begin(0, "s", "solvers", "solvers"),
    begin(1, "a", "ann", "agent", "s"),
    event("model", 2, "a", model="opus", completed=at(3), output={"usage": USAGE, "model": "opus-1"}),
    event("tool", 3, "a", id="c1", function="search", arguments={"q": "attachment://h"}, result="ok", completed=at(6)),
    begin(3, "t", "search", "tool", "a"),
    event("sandbox", 4, "t", action="exec", cmd="ls", result=1, completed=at(5)),
    end(6, "t"),
    end(8, "a"),
    event("score", 9, "s", score={}),
    event("state", 9, "s", changes=[]),
    end(9, "s"),
]
SAMPLE = {"id": 1, "epoch": 2, "uuid": "U", "events": EVENTS, "attachments": {"h": "what is it?"}}
TOLD = [
    "- solvers 0-9",
    "ann agent 1-8 ^s",
    "- model:opus 2-3 ^a",
    "- tool:search 3-6 ^a",
    "- tool:search 3-6 ^tool-3",
    "- sandbox:exec 4-5 error ^t",
    "- score 9-9 ^s",
]


def log(*samples):
    return json.dumps({"version": 2, "status": "success", "eval": EVAL, "samples": list(samples)}, indent=1)


def log_archive(path, *samples, header=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": EVAL} if header is None else header))
        archive.writestr("summaries.json", "[]")
        for sample in samples:
            text = sample if isinstance(sample, str) else json.dumps(sample)
            archive.writestr(f"samples/{len(archive.namelist())}_epoch_1.json", text)
    return Path(path)


def spans_of(text=None, path="log.json"):
    reading = reading_of(path, text) if text else reading_of(path)
    assert recognises(head_of(reading.source))
    return [span_text(span) for span in read(reading)], problem_texts(reading)


def test_both_forms_of_a_log_give_the_same():
    assert spans_of(log(SAMPLE)) == (TOLD, [])
    log_archive("log.eval", SAMPLE)
    assert spans_of(path="log.eval") == (TOLD, [])
    assert ingest("log.eval").names == {"U": "browse 1 epoch 2"}
    assert load_spans("U")["agent_id"].value_counts().to_dict() == {"ann": 5, "browse": 2}


def test_a_list_of_events_alone():
    text = json.dumps({"description": "x", "events": EVENTS})
    assert spans_of(text) == (TOLD, [])
    Path("of-ann.json").write_text(text)
    assert list(ingest("of-ann.json").names.values()) == ["of-ann"]


KEYS = ["inspect.task", "inspect.model", "inspect.sample", "inspect.epoch", "inspect.score"]


@pytest.mark.parametrize("form", ["json", "eval"])
def test_epochs_are_chosen_by_what_a_sample_was_given_and_its_score(form):
    evaluation = {**EVAL, "model": "opus", "task_args": {"level": "hard"}, "model_generate_config": {"seed": 7, "best_of": 1}}
    samples = [
        {**SAMPLE, "uuid": f"U{epoch}", "id": "q1", "epoch": epoch, "scores": {"match": {"value": "C" if epoch > 1 else "I"}}}
        for epoch in (1, 2, 3)
    ]
    if form == "eval":
        log_archive("log.eval", *samples, header={"eval": evaluation})
    else:
        Path("log.json").write_text(json.dumps({"eval": evaluation, "samples": samples}))
    report = ingest(f"log.{form}")
    assert sorted(report.names.values()) == ["browse q1 epoch 1", "browse q1 epoch 2", "browse q1 epoch 3"]
    more = ["inspect.score.match", "inspect.task_args.level", "gen_ai.request.seed", "gen_ai.request.best_of"]
    traces = load_traces(attributes=[*KEYS, *more]).set_index("id")
    assert traces.loc["U2", KEYS].tolist() == ["browse", "opus", "q1", 2, "C"]
    assert traces.loc["U2", more[:3]].tolist() == ["C", "hard", 7]
    assert traces[more[3]].isna().all()
    chosen = traces[(traces["inspect.sample"] == "q1") & (traces["inspect.score"] == "C")]
    assert set(load_spans(chosen.index)["trace_name"]) == {"browse q1 epoch 2", "browse q1 epoch 3"}


def test_the_attributes_of_other_logs():
    """Old logs have their settings in the plan, and one score; a sample may have several scorers, or none."""
    old = {"eval": EVAL, "plan": {"config": {"temperature": 0.5}}, "samples": [{**SAMPLE, "score": {"value": 1}}]}
    several = {**SAMPLE, "uuid": "V", "scores": {"match": {"value": 1}, "judge": {"value": {"style": 0.5}}, "bad": 5}}
    Path("old.json").write_text(json.dumps(old))
    Path("several.json").write_text(log(several))
    Path("none.json").write_text(log({**SAMPLE, "uuid": "W", "scores": None}))
    Path("odd.json").write_text(json.dumps({"eval": {**EVAL, "task_args": 5}, "plan": 5, "samples": [{**SAMPLE, "uuid": "X"}]}))
    ingest(".")
    keys = ["gen_ai.request.temperature", "inspect.score", "inspect.score.match", "inspect.score.judge"]
    traces = load_traces(attributes=keys).set_index("id")
    assert [[None if value is pd.NA else value for value in traces.loc[trace, keys]] for trace in "UVWX"] == [
        [0.5, 1, None, None],
        [None, None, 1, {"style": 0.5}],
        [None] * 4,
        [None] * 4,
    ]


def test_without_texts_names_and_numbers_remain():
    sample = {**SAMPLE, "id": "q1", "scores": {"match": {"value": "C"}}}
    Path("log.json").write_text(json.dumps({"eval": {**EVAL, "task_args": {"prompt": "secret"}}, "samples": [sample]}))
    ingest("log.json", content="none")
    traces = load_traces(attributes=[*KEYS, "inspect.task_args.prompt"])
    assert traces[["inspect.task", "inspect.sample", "inspect.epoch", "inspect.score"]].to_numpy().tolist() == [
        ["browse", "q1", 2, "C"]
    ]
    assert traces["inspect.task_args.prompt"].isna().all()


def test_kept_and_skipped_events():
    reading = reading_of("log.json", log(SAMPLE))
    spans = {span.id: span for span in read(reading)}
    assert reading.skipped == {"events of type 'state'": 1}
    assert spans["U/model-2"].data == {
        "label": "opus",
        "kind": "model",
        "status": "ok",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "opus",
            "gen_ai.response.model": "opus-1",
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 7,
        },
    }
    assert spans["U/tool-3"].data["label"] == "what is it?"
    assert spans["U/tool-3"].data["attributes"]["gen_ai.tool.call.arguments"] == {"q": "what is it?"}


def asking(time, *calls, within="a", **more):
    """A model event whose answer asks for these calls."""
    message = {"content": "", "tool_calls": [{"id": call, "function": "search", "arguments": {}} for call in calls]}
    return event(
        "model", time, within, model="opus", completed=at(time + 1), output={"choices": [{"message": message}]}, **more
    )


def used(time, call, within="a", **more):
    return event("tool", time, within, id=call, function="search", arguments={}, completed=at(time + 1), **more)


def data_by_name(*events, key, **sample):
    reading = reading_of("log.json", log({**SAMPLE, "events": list(events), **sample}))
    spans = {span.id.removeprefix("U/"): span.data[key] for span in read(reading) if key in span.data}
    assert problem_texts(reading) == []
    return spans


def test_a_tool_call_is_requested_by_the_last_model_call_that_asked_for_it():
    start = begin(1, "a", "ann", "agent")
    spans = data_by_name(
        start, asking(2, "c1", "c2"), used(3, "c1"), used(4, "c2"), used(5, "c3"), used(6, None), key="requested_by"
    )
    assert spans == {"tool-3": "U/model-2", "tool-4": "U/model-2"}
    again = data_by_name(start, asking(2, "c1"), used(3, "c1"), asking(4, "c1"), used(5, "c1"), key="requested_by")
    assert again == {"tool-3": "U/model-2", "tool-5": "U/model-4"}
    pending = {**asking(2), "pending": True, "completed": None}
    assert data_by_name(start, pending, asking(2, "c1"), used(3, "c1"), key="requested_by") == {"tool-3": "U/model-2"}


@pytest.mark.parametrize(
    "output",
    [
        None,
        "x",
        {"choices": 5},
        {"choices": [None, {"message": {"tool_calls": "x"}}, {"message": {"tool_calls": [5, {"id": []}]}}]},
    ],
)
def test_an_answer_in_another_form_asks_for_nothing(output):
    start = begin(1, "a", "ann", "agent")
    strange = {**asking(2), "output": output}
    assert data_by_name(start, strange, used(3, "c1"), key="requested_by") == {}


@pytest.mark.parametrize(
    ("arguments", "task"),
    [
        ({"input": "look"}, "look"),
        ({"prompt": "attachment://h"}, "what is it?"),
        ({"n": 1, "task": "count", "input": " "}, "count"),
        ({"input": ["look"]}, None),
        ({}, None),
    ],
)
def test_an_agent_that_a_tool_call_started_has_its_task(arguments, task):
    started = event("tool", 3, "a", id="c1", function="bob", arguments=arguments, agent_span_id="b", completed=at(9))
    events = [begin(1, "a", "ann", "agent"), started, begin(4, "b", "bob", "agent", "a"), end(8, "b"), end(9, "a")]
    assert data_by_name(*events, key="task") == ({"b": task} if task else {})
    late = [events[0], events[2], started, *events[3:]]
    assert data_by_name(*late, key="task") == ({"b": task} if task else {})
    unknown = {**started, "agent_span_id": "gone"}
    assert data_by_name(begin(1, "a", "ann", "agent"), unknown, key="task") == {}


@pytest.mark.parametrize(
    ("given", "task"), [({"input": "look"}, {"subtask-2": "look"}), ("look", {"subtask-2": "look"}), ({"n": 1}, {})]
)
def test_a_subtask_has_its_input_as_its_task(given, task):
    assert data_by_name(event("subtask", 2, name="count", input=given, completed=at(3)), key="task") == task


def approval(time, approver="human", within="t", call="c1", **more):
    return event("approval", time, within, approver=approver, decision="approve", call={"id": call}, **more)


APPROVED = {**SAMPLE, "events": [*EVENTS[:5], approval(5), *EVENTS[6:]]}


@pytest.mark.parametrize(
    ("approvals", "spans"),
    [
        ([approval(5)], ["- approval 3-5 user ^t"]),
        ([approval(5, "inspect_ai/human")], ["- approval 3-5 user ^t"]),
        ([approval(5, within="a")], ["- approval 3-5 user ^tool-3"]),
        ([approval(5, "auto")], ["- approval 5-5 ^t"]),
        ([approval(4, "auto"), approval(5)], ["- approval 4-4 ^t", "- approval 4-5 user ^t"]),
        ([approval(5, stage="result")], ["- approval 5-5 user ^t"]),
        ([approval(5, call="c9", within="a")], ["- approval 5-5 user ^a"]),
        ([approval(2)], ["- approval 2-2 user ^t"]),
        ([{**approval(5), "call": "c1"}], ["- approval 5-5 user ^t"]),
        ([event("input", 5, "a", input="yes", input_ansi="yes")], ["- input 5-5 user ^a"]),
    ],
)
def test_an_approval_by_a_person_is_a_wait_from_the_call_on(approvals, spans):
    events = [*EVENTS[:5], *approvals, *EVENTS[6:]]
    made = list(read(reading_of("log.json", log({**SAMPLE, "events": events}))))
    texts = [span_text(span) for span in made if span.location in ("approval", "input")]
    waits = [span.data.get("waits_for") for span in made if span.location in ("approval", "input")]
    told = [text.replace(" ^", f" {waits_for} ^") if waits_for else text for text, waits_for in zip(texts, waits, strict=True)]
    assert told == spans
    assert [span.data.get("estimated") for span in made if span.end != span.start and "waits_for" in span.data] == [
        ["start_time"] for text in spans if "3-5" in text or "4-5" in text
    ]


def test_old_logs_have_steps_and_record_a_call_when_it_ends():
    def step(time, action, kind, name):
        return {"event": "step", "timestamp": at(time), "action": action, "type": kind, "name": name}

    old = [
        step(0, "begin", "solver", "generate"),
        {"event": "model", "timestamp": at(5), "model": "opus", "output": {"time": 2.0}},
        {"event": "model", "timestamp": at(7), "model": "opus", "output": {}},
        {"event": "tool", "timestamp": at(9), "function": "sh", "events": [{"event": "info", "timestamp": at(9)}]},
        step(9, "end", "solver", "generate"),
        step(9, "end", "solver", "generate"),
    ]
    found, wrong = spans_of(log({"id": "x", "epoch": 1, "events": old}))
    first = "run/x/1/"
    assert ([text.replace(first, "") for text in found], wrong) == (
        ["generate solver 0-9", "- model:opus 3-5 ^event.0", "- model:opus 5-7 ^event.0", "- tool:sh 7-9 ^event.0"],
        [],
    )


def moment(seconds):
    return f"1970-01-01T00:{int(seconds) // 60:02d}:{seconds % 60:09.6f}+00:00"


def step(time, action, name="generate"):
    return {"event": "step", "timestamp": moment(time), "action": action, "type": "solver", "name": name}


def timed(time, duration, kind="model", **more):
    times = {"output": {"time": duration}} if kind == "model" else {"working_time": duration}
    return {"event": kind, "timestamp": moment(time), "model": "opus", "function": "sh", **times, **more}


def calls_of(*events):
    """The calls of a sample, as "start-end"."""
    spans = read(reading_of("log.json", log({"id": "x", "epoch": 1, "events": list(events)})))
    calls = [span for span in spans if span.data["kind"] in ("model", "tool", "sandbox")]
    return [f"{span.start / 10**6:g}-{span.end / 10**6:g}" for span in calls]


INFO = {"event": "info", "timestamp": moment(9)}


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        ([step(10, "begin"), timed(10.001, 0.8), step(10.805, "end")], ["10.001-10.801"]),
        ([step(10, "begin"), timed(10.803, 0.8), step(10.805, "end")], ["10.003-10.803"]),
        ([step(10, "begin"), timed(10.8, 0.8004), step(20, "end")], ["10-10.8"]),  # the clocks differ by 0.4 ms
        ([step(10, "begin"), timed(15, 2), step(30, "end")], ["13-15"]),  # both fit
        ([step(10, "begin"), timed(15, 2, working_start=1), step(30, "end")], ["15-17"]),
        ([step(10, "begin"), timed(15, 2), timed(16, 4, "tool"), step(30, "end")], ["13-15", "16-20"]),
        ([step(10, "begin"), timed(15, 20), step(30, "end")], ["15-30"]),  # neither fits
        ([step(10, "begin"), timed(11, 3), INFO, timed(20, 2), step(23, "end")], ["11-14", "20-22"]),
        ([step(10, "begin"), timed(11, 9), timed(21, None), step(23, "end")], ["11-20", "21-23"]),
        ([step(10, "begin"), timed(12, 1), timed(18, 1, "sandbox"), timed(19, 6, "tool"), timed(29, 2), step(30, "end")],
         ["11-12", "17-18", "13-19", "27-29"]),
        ([begin(10, "a", "ann", "agent"), timed(11, 3, span_id="a"), end(15, "a"), timed(16, 9)], ["11-14", "16-25"]),
        ([begin(10, "a", "ann", "agent"), timed(14, 3, span_id="a", working_start=1), end(15, "a")], ["11-14"]),
        ([timed(11, 3)], ["8-11"]),
    ],
)  # fmt: skip
def test_whether_a_call_is_stamped_at_its_start_follows_from_the_events_around_it(events, calls):
    assert calls_of(*events) == calls


@pytest.mark.laws
@given(st.booleans(), st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), max_size=4), min_size=1, max_size=3))
def test_calls_lie_within_their_step_and_one_contradiction_decides(at_start, steps):
    time, events, expected, is_decided = 0, [], [], False
    for calls in steps:
        events.append(step(time, "begin"))
        stamps, first, spans = [time], time, []
        for gap, duration in calls:
            start = time + gap
            time = start + duration
            spans.append((start, time))
            stamps.append(start if at_start else time)
            events.append(timed(stamps[-1], duration))
        time += 1
        events.append(step(time, "end"))
        stamps.append(time)
        for number, (start, stop) in enumerate(spans, start=1):
            other = (start - (stop - start), start) if at_start else (stop, stop + (stop - start))
            is_decided |= other[0] < stamps[number - 1] or other[1] > stamps[number + 1]
        expected += [(first, span, time) for span in spans]
    found = [tuple(map(float, call.split("-"))) for call in calls_of(*events)]
    assert all(begin <= start <= stop <= close for (begin, _, close), (start, stop) in zip(expected, found, strict=True))
    if is_decided or not at_start:
        assert found == [span for _, span, _ in expected]


def test_a_pending_call_is_replaced_when_it_is_complete():
    pending = event("model", 2, model="opus", pending=True, uuid="m")
    complete = event("model", 2, model="opus", completed=at(4), uuid="m")
    assert spans_of(log({**SAMPLE, "events": [pending]}))[0] == ["- model:opus 2-?"]
    assert spans_of(log({**SAMPLE, "events": [pending, complete]}))[0] == ["- model:opus 2-4"]


def test_times_given_as_a_duration():
    [span] = read(reading_of("log.json", log({**SAMPLE, "events": [event("model", 2, model="opus", working_time=1.5)]})))
    assert (span_text(span), span.data["estimated"]) == ("- model:opus 2-3.5", ["end_time"])


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({**USAGE, "input_tokens_cache_read": 3}, (5, 3, 7)),
        ({**USAGE, "input_tokens_cache_read": 3, "total_tokens": 15}, (8, 3, 7)),
        ({"output_tokens": 7}, (None, None, 7)),
        (None, (None, None, None)),
        ({"input_tokens": "5"}, (None, None, None)),
    ],
)
def test_tokens(usage, counts):
    keys = ("input_tokens", "cache_read.input_tokens", "output_tokens")
    assert tuple(inspect_tokens(usage).get(f"gen_ai.usage.{key}") for key in keys) == counts


def test_samples_without_ids_are_identified_by_their_run():
    spans = list(read(reading_of("log.json", log({"id": "a", "epoch": 1, "events": EVENTS[:1]}))))
    assert spans[0].id == "run/a/1/s"


def test_a_log_without_samples_is_a_problem():
    assert spans_of(json.dumps({"eval": EVAL})) == ([], ["log.json: contains no samples."])
    assert spans_of(log({"id": 1})) == ([], ["log.json, sample 1: has no events."])


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    bad = [5, {"event": "model"}, event("model", 2, model=5), event("span_end", 3), {**EVENTS[1], "id": 5}]
    found, wrong = spans_of(log({**SAMPLE, "events": [*bad, *EVENTS]}))
    assert (found, wrong) == (
        TOLD,
        [
            "log.json, sample 1: an event: invalid value (it is of type int).",
            "log.json, sample 1: an event: 'timestamp' is missing.",
            "log.json, sample 1: an event: invalid value ('model' is of type int).",
            "log.json, sample 1: an event: 'id' is missing.",
            "log.json, sample 1: an event: invalid value ('id' is of type int).",
        ],
    )


def test_damaged_archives():
    log_archive("log.eval", SAMPLE, "{x", json.dumps({**SAMPLE, "uuid": "V", "scores": float("nan")}))
    assert spans_of(path="log.eval") == (
        TOLD * 2,
        [
            "log.eval, sample 2: not JSON from character 2 on.",
            "log.eval, sample 3: NaN is not valid JSON, replaced by null.",
        ],
    )
    whole = log_archive("log.eval", SAMPLE).read_bytes()
    place = whole.index(b"samples/2") + 40
    reading = reading_of("bad.eval", whole[:place] + b"\xff\xff\xff\xff" + whole[place + 4 :])
    assert list(read(reading)) == []
    assert problem_texts(reading)[0].startswith("bad.eval: samples/2_epoch_1.json cannot be read (")


def test_an_archive_that_unpacks_to_too_much_is_refused():
    header = json.dumps({"eval": EVAL}).encode()
    bomb = [("samples/1_epoch_1.json", b"?", (1 << 32) - 1, 0)]
    zipped_by_hand("bomb.eval", [("header.json", zstd(header), len(header), zlib.crc32(header)), *bomb])
    with pytest.raises(IngestError, match=r"^bomb\.eval unpacks to more than 200 times its size, and to more than the 100 MiB"):
        spans_of(path="bomb.eval")


def test_a_sample_that_is_too_long_is_a_problem(monkeypatch):
    monkeypatch.setattr(reader, "MAX_RECORD_BYTES", 100_000)
    log_archive("log.eval", SAMPLE, {**SAMPLE, "text": "x" * 100_000})
    assert spans_of(path="log.eval") == (
        TOLD,
        ["log.eval: samples/3_epoch_1.json cannot be read (it unpacks to more than 100,000 bytes)."],
    )


def test_samples_compressed_with_zstandard_are_read_on_every_version_of_python():
    members = {"header.json": {"eval": EVAL}, "summaries.json": [], "samples/1_epoch_1.json": SAMPLE}
    zstd_zipped("log.eval", **{name: json.dumps(value).encode() for name, value in members.items()})
    assert spans_of(path="log.eval") == (TOLD, [])


def test_a_file_that_is_not_an_inspect_log():
    for text in ('{"eval": {}}', '{"events": []}', '{"events": [{"event": 5}]}'):
        assert not recognises(head_of(reading_of("x", text).source))


def agents_of(*events):
    write_sample = {"version": 2, "status": "success", "eval": EVAL, "samples": [{**SAMPLE, "events": list(events)}]}
    Path("agents.json").write_text(json.dumps(write_sample))
    spans = ingest("agents.json").spans()
    return dict(zip(spans["id"].str.removeprefix("U/"), spans["agent_id"], strict=True))


def test_agents_of_one_name_that_run_at_once_are_told_apart():
    events = [begin(0, "l", "lead", "agent"), begin(1, "a", "ann", "agent", "l"), begin(2, "b", "ann", "agent", "l")]
    events += [begin(3, "t", "search", "tool", "b"), end(4, "t"), end(5, "a"), end(6, "b"), begin(7, "c", "ann", "agent", "l")]
    assert agents_of(*events, end(8, "c"), end(9, "l")) == {
        "l": "lead", "a": "ann", "b": "ann 2", "t": "ann 2", "c": "ann",
    }  # fmt: skip


def test_a_solver_and_the_agent_that_it_runs_are_one_agent():
    events = [begin(0, "s", "react", "solver"), begin(1, "x", "init", "span", "s"), begin(1, "a", "react", "agent", "x")]
    assert set(agents_of(*events, end(5, "a"), end(5, "x"), end(6, "s")).values()) == {"react"}
    cycle = [begin(0, "x", "p", "span", "y"), begin(0, "y", "q", "span", "x"), begin(1, "a", "react", "agent", "y")]
    assert agents_of(*cycle, end(2, "a"))["a"] == "react"


COUNTED = " samples that its results count"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (
            {"status": "success", "results": {"total_samples": 3, "completed_samples": 1}},
            "has 1 of the 3" + COUNTED,
        ),
        ({"status": "success", "results": {"total_samples": 1}}, None),
        (
            {"status": "error", "results": {"total_samples": 9, "completed_samples": 2}},
            "has 1 of the 2" + COUNTED,
        ),
        (
            {"status": "cancelled", "results": {"total_samples": 9, "completed_samples": 1}},
            "is the log of an evaluation that was cancelled, with 1 sample",
        ),
        ({"status": "error", "results": None}, "is the log of an evaluation that failed, with 1 sample"),
        ({"status": "started"}, "is the log of an evaluation that had not ended, with 1 sample"),
        ({"status": "success", "results": {"total_samples": "x"}}, None),
        ({"status": 5, "results": 5}, None),
        ({"status": [], "results": None}, None),
    ],
)
def test_missing_samples_are_told(header, reason):
    told = [] if reason is None else [f"{reason}."]
    reading = reading_of("log.json", json.dumps({"eval": EVAL, **header, "samples": [SAMPLE]}))
    assert len(list(read(reading))) > 0
    assert [problem.split(": ", 1)[1] for problem in problem_texts(reading)] == told
    reading = reading_of(log_archive("log.eval", SAMPLE, header={"eval": EVAL, **header}))
    assert len(list(read(reading))) > 0
    assert [problem.split(": ", 1)[1] for problem in problem_texts(reading)] == told


def test_an_archive_without_the_header_of_its_end_is_told():
    with zipfile.ZipFile("log.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": EVAL}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(SAMPLE))
    reading = reading_of("log.eval")
    assert len(list(read(reading))) > 0
    assert problem_texts(reading) == ["log.eval: is the log of an evaluation that had not ended, with 1 sample."]
