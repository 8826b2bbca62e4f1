import json
import shutil
from itertools import permutations
from pathlib import Path

import pytest
from claude_sessions import CONTINUATION, CONTINUED, agent, at, call, prompt, reply, report_lines, result, spans_in, write
from conftest import full_except
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import ingest, load_spans, load_traces, usage
from tokenvis.formats.sessions.claude_code import forks
from tokenvis.formats.sessions.claude_code.forks import relatives_of, sessions_in


def forked(line, **more):
    return {**line, "forkedFrom": {"sessionId": "a", "messageUuid": "x"}, **more}


def later(line):
    return {**line, "timestamp": at(50)}


COPIES = {  # how a session copies the lines of another
    "new uuids and session ids": (lambda line: line),
    "the old session id": (lambda line: {**line, "sessionId": "a"}),
    "the old uuid": (lambda line: {**line, "uuid": f"a-{CONTINUED.index(line)}"}),
    "forkedFrom": forked,
    "forkedFrom, with later times": (lambda line: forked(line, timestamp=at(50))),
    "later times": later,
}


def written(how="new uuids and session ids", folder=".", name="b"):
    write(f"{folder}/a.jsonl", *CONTINUED, session="a")
    write(f"{folder}/{name}.jsonl", *map(COPIES[how], CONTINUED), *CONTINUATION, session=name)


def outputs(store=None):
    """The output tokens of each session in the store."""
    table = usage(load_spans(store=store))
    return table.groupby("trace_id", observed=True)["output_tokens"].sum().to_dict()


@pytest.mark.parametrize("how", COPIES)
def test_messages_of_a_resumed_session_count_once(how):
    written(how)
    report = ingest(".")
    assert outputs() == {"a": 300, "b": 300}
    assert report.problems == []
    assert report.skipped["messages of session 'a', which this session continues"] == 2
    assert spans_in(report, "continues").set_index("id")["continues"].dropna().to_dict() == {"b/m3": "a"}
    assert load_traces().set_index("id")["name"].to_dict() == {"a": "go", "b": "more (continues a)"}


@pytest.mark.parametrize("how", full_except(COPIES, "new uuids and session ids", "later times"))
def test_the_order_of_reading_does_not_matter(how):
    written(how)
    frames = []
    for number, paths in enumerate([*permutations(["a.jsonl", "b.jsonl"]), ["."], ["b.jsonl", ".", "a.jsonl", "b.jsonl"]]):
        for path in paths:
            ingest(path, store=f"{number}.db")
        frames.append(load_spans(store=f"{number}.db"))
    assert len(frames[0]) == 4
    for frame in frames[1:]:
        assert_frame_equal(frame, frames[0])


def test_a_session_beside_the_one_that_it_continues_tells_only_its_own():
    written()
    report = ingest("b.jsonl")
    assert report_lines(report) == ["main model:opus 60-62"]
    assert report.skipped == {"messages of session 'a', which this session continues": 2, "copied results": 1}


def test_the_original_is_the_session_that_the_copies_name_whatever_its_name_is():
    write("z.jsonl", *CONTINUED, session="z")
    write("b.jsonl", *({**line, "sessionId": "z"} for line in CONTINUED), *CONTINUATION, session="b")
    ingest(".")
    assert outputs() == {"z": 300, "b": 300}


def test_the_original_is_the_session_whose_first_message_is_earlier():
    write("z.jsonl", *CONTINUED, session="z")
    write("b.jsonl", *map(later, CONTINUED), *CONTINUATION, session="b")
    ingest(".")
    assert outputs() == {"z": 300, "b": 300}


def test_a_copy_without_its_original_keeps_the_messages_and_tells_it():
    written("forkedFrom")
    Path("a.jsonl").unlink()
    report = ingest("b.jsonl")
    assert outputs() == {"b": 600}
    assert [str(problem) for problem in report.problems] == [
        "b.jsonl: contains messages of 'a', whose file is not in this folder: they count in this session."
    ]


def test_a_chain_of_forks():
    written()
    third = [prompt(90, "again"), reply(92, "m4", "ok", usage=(1, 1000), requestId="r4")]
    write("c.jsonl", *CONTINUED, *CONTINUATION, *third, session="c")
    report = ingest(".")
    assert outputs() == {"a": 300, "b": 300, "c": 1000}
    assert spans_in(report, "continues").set_index("id")["continues"].dropna().to_dict() == {"b/m3": "a", "c/m4": "b"}


def test_two_branches_of_one_session():
    written()
    write("c.jsonl", *CONTINUED, prompt(70, "else"), reply(72, "m9", "x", usage=(1, 7), requestId="r9"), session="c")
    write("a.jsonl", *CONTINUED, prompt(80, "on"), reply(82, "m8", "y", usage=(1, 9), requestId="r8"), session="a")
    ingest(".")
    assert outputs() == {"a": 309, "b": 300, "c": 7}


def test_a_copy_without_a_new_turn_is_empty():
    write("a.jsonl", *CONTINUED, session="a")
    write("b.jsonl", *CONTINUED, session="b")
    report = ingest(".")
    assert outputs() == {"a": 300}
    assert report.problems == []


@pytest.mark.parametrize(
    ("first", "second", "is_copy"),
    [
        ({"requestId": "r1"}, {"requestId": "r1"}, True),
        ({"requestId": "r1"}, {"requestId": "r2"}, False),
        ({"requestId": "r1"}, {}, False),
        ({}, {}, False),
        ({}, {"forkedFrom": {"sessionId": "a"}}, True),
        ({}, {"sessionId": "a"}, True),
        ({"requestId": ["r1"]}, {"forkedFrom": "a", "requestId": ["r1"]}, False),
    ],
)
def test_a_message_is_known_by_its_id_and_that_of_its_request(first, second, is_copy):
    write("a.jsonl", prompt(0, "go"), reply(2, "m1", "hi", usage=(1, 100), **first), session="a")
    write("b.jsonl", prompt(0, "go"), reply(2, "m1", "hi", usage=(1, 100), **second), *CONTINUATION, session="b")
    ingest(".")
    assert outputs() == {"a": 100, "b": 300 if is_copy else 400}


def test_ids_of_the_api_need_no_request():
    write("a.jsonl", prompt(0, "go"), reply(2, "msg_01", "hi", usage=(1, 100)), session="a")
    write("b.jsonl", prompt(0, "go"), reply(2, "msg_01", "hi", usage=(1, 100)), *CONTINUATION, session="b")
    ingest(".")
    assert outputs() == {"a": 100, "b": 300}


def test_copied_subagents_count_once():
    task = [prompt(0, "go"), reply(2, "m1", call("t1", "Task", prompt="look"), requestId="r1"), result(20, "t1", "agentId: x")]
    work = [prompt(3, "look"), reply(6, "m2", "found", usage=(1, 50), requestId="r2")]
    for session in "ab":
        write(f"{session}.jsonl", *task, *(CONTINUATION if session == "b" else []), session=session)
        agent("x", *work, folder=f"{session}/subagents", session=session)
    report = ingest(".")
    assert outputs() == {"a": 51, "b": 300}
    assert report.problems == []


def test_files_of_subagents_beside_the_sessions_belong_to_the_one_that_they_name():
    task = [prompt(0, "go"), reply(2, "m1", call("t1", "Task", prompt="look"), requestId="r1"), result(20, "t1", "agentId: x")]
    write("a.jsonl", *task, session="a")
    write("b.jsonl", *({**line, "sessionId": "a"} for line in task), *CONTINUATION, session="b")
    agent("x", prompt(3, "look"), reply(6, "m2", "found", usage=(1, 50)), folder=".", session="a")
    report = ingest(".")
    assert outputs() == {"a": 51, "b": 300}
    assert report.problems == []


def test_the_compaction_of_a_copy_is_that_of_its_original():
    boundary = {"type": "system", "subtype": "compact_boundary", "timestamp": at(6), "compactMetadata": {"trigger": "auto"}}
    for session in "ab":
        write(
            f"{session}.jsonl",
            *CONTINUED[:3],
            boundary,
            CONTINUED[3],
            *(CONTINUATION if session == "b" else []),
            session=session,
        )
    found = spans_in(ingest("."), "trigger").set_index("id")["trigger"].dropna().to_dict()
    assert found == {"a/m1": "user", "a/m2": "context", "b/m3": "user"}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$\\frac{1}{0}$", "🦊" * 50], ids=["HTML", "mathtext", "emoji"])
def test_hostile_names_of_sessions(name):
    write("a.jsonl", *CONTINUED, session=name)
    write("b.jsonl", *({**line, "forkedFrom": {"sessionId": name}} for line in CONTINUED), *CONTINUATION, session="b")
    ingest(".")
    assert outputs() == {name: 300, "b": 300}


def test_damaged_files_and_values_beside_a_session_are_ignored():
    written()
    Path("c.jsonl").write_bytes(b"\xff{[[[\n" + b"[" * 10_000 + b"\n{}\n5\n")
    write(
        "d.jsonl",
        {**CONTINUED[0], "sessionId": 5, "forkedFrom": {"sessionId": ["a"]}},
        {**CONTINUED[1], "message": 5},
        session="d",
    )
    Path("e.jsonl").mkdir()
    Path("f.jsonl").symlink_to("nowhere")
    report = ingest("b.jsonl")
    assert report_lines(report) == ["main model:opus 60-62"]


def test_only_relatives_are_read_as_a_whole(monkeypatch):
    written()
    for number in range(5):
        lines = [prompt(0, "go"), reply(2, f"n{number}", "x", requestId=f"q{number}")]
        write(f"other{number}.jsonl", *lines, session=f"other{number}")
    forks.messages_in.cache_clear()
    read = []
    messages_in = forks.messages_in
    monkeypatch.setattr(forks, "messages_in", lambda path, state: read.append(path.name) or messages_in(path, state))
    ingest("b.jsonl")
    ingest("other1.jsonl")
    assert read == ["a.jsonl"]


@pytest.mark.laws
@given(
    parents=st.lists(st.integers(0, 9), max_size=5),
    keeps=st.lists(st.integers(0, 4), min_size=5, max_size=5),
    marks=st.booleans(),
)
def test_law_each_message_counts_once_in_the_session_where_it_happened(parents, keeps, marks):
    folder = Path("law")
    shutil.rmtree(folder, ignore_errors=True)
    sessions = [["s0:0", "s0:1"]]
    for number, (parent, keep) in enumerate(zip(parents, keeps, strict=False), start=1):
        copied = sessions[parent % number][: 1 + keep]  # all copies begin with the first message
        sessions.append([*copied, f"s{number}:0"])
    for number, messages in enumerate(sessions):
        own = [key for key in messages if key.startswith(f"s{number}:")]
        lines = []
        for position, key in enumerate(messages):
            mark = {"forkedFrom": {"sessionId": key.split(":")[0]}} if marks and key not in own else {}
            lines.append(
                reply(100 * number + position if key in own else position, key, "x", usage=(1, 1), requestId=key, **mark)
            )
        write(folder / f"s{number}.jsonl", *lines, session=f"s{number}")
    Path("law.db").unlink(missing_ok=True)
    ingest(folder, store="law.db")
    spans = load_spans(store="law.db")
    distinct = {key for messages in sessions for key in messages}
    assert sorted(spans["id"]) == sorted(f"{key.split(':')[0]}/{key}" for key in distinct)


def test_the_relatives_of_a_session_have_one_order():
    written()
    index = sessions_in(Path())
    assert [head.path.name for head in relatives_of(Path("b.jsonl"), index)] == ["a.jsonl", "b.jsonl"]
    assert relatives_of(Path("a.jsonl"), index) == relatives_of(Path("b.jsonl"), index)
    assert relatives_of(Path("none.jsonl"), index) == []


def test_without_texts_the_name_of_a_fork_is_its_id():
    written()
    ingest(".", content="none")
    assert load_traces()["name"].tolist() == ["b", "a"]
    assert json.loads(load_spans("b")["data"].iloc[0])["continues"] == "a"
