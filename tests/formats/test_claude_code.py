import json
from pathlib import Path

import pytest
from claude_sessions import (
    T0_US,
    agent,
    at,
    call,
    echo,
    hook,
    prompt,
    reasoning,
    reply,
    report_lines,
    result,
    seconds,
    span_texts,
    spans_in,
    write,
)
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tokenvis import agent_tree, diagnose, expand_data, gaps, ingest, load_traces, self_spans, summary, waits
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.sessions.claude_code.lines import add_transcript_line
from tokenvis.formats.sessions.claude_code.transcripts import Session, SessionFile, ToolCall, Transcript
from tokenvis.formats.sessions.claude_code.waits import INSTANT_TOOLS


def column(report, key):
    return spans_in(report, key)[key].tolist()


def marks(report, key):
    return spans_in(report, key)[key].dropna().tolist()


def agents(report):
    spans = spans_in(report, "gen_ai.agent.id")
    return list((spans["gen_ai.agent.id"] + " = " + spans["agent_id"].astype("str")).unique())


def name_of(*lines, **options):
    return name_in(ingest(write("s1.jsonl", *lines, reply(9, "m1", "hello")), **options))


def name_in(report):
    return load_traces(store=report.store)["name"].item()


def test_model_calls_and_tool_calls_become_spans():
    write(
        "s1.jsonl",
        prompt(0, "list the files"),
        reply(3, "m1", "I will look.", call("t1", "Bash", command="ls")),
        result(5, "t1"),
        reply(9, "m2", "Done."),
    )
    assert span_texts() == ["main model:opus 0-3", "main tool:Bash 3-5", "main model:opus 5-9"]


def test_the_data_of_a_model_calls_span():
    write("s1.jsonl", prompt(0, "why?"), reply(3, "m1", reasoning("hm"), "Because.", call("t1", "Bash"), usage=(7, 2)))
    assert json.loads(ingest("s1.jsonl").spans()["data"].iloc[0]) == {
        "label": "Because.",
        "kind": "model",
        "trigger": "user",
        "estimated": ["start_time"],
        "attributes": {
            "gen_ai.agent.name": "main",
            "gen_ai.agent.id": "main",
            "gen_ai.conversation.id": "s1",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "opus",
            "gen_ai.response.id": "m1",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Because."}],
                }
            ],
        },
    }


def test_the_first_span_has_the_version_the_branch_and_the_folder():
    program = {"version": "2.1.39", "gitBranch": "fix-1", "cwd": "/shop"}
    lines = [{**line, **program} for line in (prompt(0, "why?"), reply(3, "m1", call("t1", "Bash")))]
    write("s1.jsonl", *lines, {**result(5, "t1"), **program}, {**reply(9, "m2", "x"), **program, "version": "2.1.40", "cwd": 5})
    keys = ["service.version", "vcs.ref.head.name", "process.working_directory"]
    report = ingest("s1.jsonl")
    spans = expand_data(report.spans(), keys)
    assert spans[keys].notna().all(axis=1).tolist() == [True, False, False]
    traces = load_traces(attributes=keys, store=report.store)
    assert traces[keys].to_numpy().tolist() == [["2.1.39", "fix-1", "/shop"]]


def test_the_data_of_a_tool_calls_span():
    write("s1.jsonl", reply(3, "m1", call("t1", "Read", file_path="/home/ann/notes.md")), result(5, "t1", "text"))
    assert json.loads(ingest("s1.jsonl").spans()["data"].iloc[1]) == {
        "label": "notes.md",
        "kind": "tool",
        "status": "ok",
        "requested_by": "s1/m1",
        "attributes": {
            "gen_ai.agent.name": "main",
            "gen_ai.agent.id": "main",
            "gen_ai.conversation.id": "s1",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "Read",
            "gen_ai.tool.call.id": "t1",
            "gen_ai.tool.call.arguments": {"file_path": "/home/ann/notes.md"},
            "gen_ai.tool.call.result": "text",
        },
    }


def test_ids_are_the_trace_and_the_id_of_the_source():
    write("s1.jsonl", prompt(0, "go"), reply(3, "m1", call("t1")), reply(4, None, "x", uuid="u9"))
    assert ingest("s1.jsonl").spans()["id"].tolist() == ["s1/m1", "s1/t1", "s1/u9"]


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"description": "Run the tests", "command": "pytest"}, "Run the tests"),
        ({"command": "ls\n  -l"}, "ls -l"),
        ({"file_path": r"C:\work\notes.md"}, "notes.md"),
        ({"url": "https://example.org/a"}, "https://example.org/a"),
        ({"pattern": " ", "query": 5, "path": "src"}, "src"),
        ({"command": "x" * 90}, "x" * 79 + "…"),
        ({}, "Bash"),
    ],
)
def test_the_label_of_a_tool_call_is_its_main_argument(given, label):
    write("s1.jsonl", reply(3, "m1", call("t1", "Bash", **given)), result(5, "t1"))
    assert column(ingest("s1.jsonl"), "label")[1] == label


def test_a_message_on_several_lines_is_one_span_and_its_largest_usage_counts():
    write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(2, "m1", reasoning("hm"), usage=(100, 1)),
        reply(3, "m1", "I look.", usage=(100, 5)),
        reply(4, "m1", call("t1"), usage=(100, 40)),
        reply(5, "m1", call("t2", "Read"), usage=(100, 55)),
        reply(5, "m1", usage=(100, 3)),
        {**reply(5, "m1"), "message": {"role": "assistant", "id": "m1", "content": [], "usage": {}}},
        result(6, "t1"),
        result(8, "t2"),
    )
    report = ingest("s1.jsonl")
    assert report_lines(report) == ["main model:opus 0-5", "main tool:Bash 4-6", "main tool:Read 5-8"]
    assert column(report, "gen_ai.usage.output_tokens")[0] == 55
    assert column(report, "gen_ai.usage.input_tokens")[0] == 100
    assert column(report, "label")[0] == "I look."


def test_the_usage_of_a_message_is_the_largest_count_of_each_kind():
    counts = [{"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 60, "server_tool_use": {"web_search_requests": 1}}]
    counts += [{"input_tokens": 0, "output_tokens": 8, "cache_read_input_tokens": 5}, {"output_tokens": "many"}, {}, None]
    lines = [reply(2, "m1", f"part {number}") for number in range(len(counts))]
    for line, usage in zip(lines, counts, strict=True):
        line["message"]["usage"] = usage
    write("s1.jsonl", *lines)
    report = ingest("s1.jsonl")
    assert [column(report, f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")] == [[14], [60]]


def test_compactions_within_a_request_count_beside_its_own_tokens():
    line = reply(2, "m1", "hi")
    summary = {"type": "compaction", "input_tokens": 180, "output_tokens": 35}
    own = {"input_tokens": 23, "output_tokens": 10}
    line["message"]["usage"] = {**own, "iterations": [summary, {"type": "message", **own}, 5, {"type": "compaction"}]}
    write("s1.jsonl", line)
    report = ingest("s1.jsonl")
    assert [column(report, f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")] == [[203], [45]]


def test_input_tokens_include_cached_tokens():
    line = reply(2, "m1", "hi")
    line["message"]["usage"] = {"input_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 700, "x": {}}
    write("s1.jsonl", line)
    spans = spans_in(
        ingest("s1.jsonl"),
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.output_tokens",
    )
    assert spans.iloc[0, -4:].astype(object).where(spans.iloc[0, -4:].notna(), None).tolist() == [753, 50, 700, None]


def test_a_model_call_starts_at_what_it_answers_as_an_estimate():
    write(
        "s1.jsonl",
        reply(1, "m0", "I go first: nothing comes before."),
        prompt(20, "go"),
        {"type": "system", "subtype": "info", "timestamp": at(21)},
        reply(25, "m1", call("t1")),
        result(30, "t1"),
        hook(31),
        reply(34, "m2", "done"),
    )
    report = ingest("s1.jsonl")
    assert report_lines(report) == [
        "main model:opus 1-1",
        "main model:opus 20-25",
        "main tool:Bash 25-30",
        "main model:opus 31-34",
    ]
    assert [json.loads(data).get("estimated") for data in report.spans()["data"]] == [["start_time"]] * 2 + [
        None,
        ["start_time"],
    ]
    assert report.n_estimated == 3


def attached(time, **hook):
    return {"type": "attachment", "timestamp": at(time), "attachment": hook}


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ({"type": "system", "subtype": "api_error", "timestamp": at(59)}, 0),
        ({"type": "queue-operation", "operation": "enqueue", "timestamp": at(59)}, 0),
        ({"type": "progress", "timestamp": at(59), "data": {"type": "bash_progress"}}, 0),
        ({"type": "progress", "timestamp": at(59), "data": {"type": "hook_progress", "hookEvent": "Notification"}}, 0),
        (echo(59, "a9", "t1"), 0),
        (attached(59, type="queued_command", prompt="later"), 0),
        (attached(59, type="hook_success", hookEvent="PreToolUse", hookName="PreToolUse:Bash"), 0),
        (attached(59, type="hook_success", hookName="UserPromptSubmit"), 59),
        (hook(59), 59),
        (prompt(59, "<local-command-stdout>x</local-command-stdout>"), 0),
        (prompt(59, "<system-reminder>x</system-reminder>"), 0),
        (prompt(59, "Caveat", isMeta=True), 0),
        (prompt(59, "<task-notification>x</task-notification>"), 59),
        (prompt(59, "The summary", isCompactSummary=True), 59),
        (prompt(59, "one more thing"), 59),
        (prompt(59, [{"type": "image", "source": {}}]), 59),
        (prompt(59, " "), 59),
        (result(59, "a call of another file"), 59),
    ],
)
def test_what_comes_while_a_model_works_takes_no_time_from_it(line, start):
    write("s1.jsonl", prompt(-1, "x"), reply(-1, "m0", "hi"), prompt(0, "go"), line, reply(61, "m1", "done"))
    assert span_texts()[-1] == f"main model:opus {start}-61"


def test_a_remark_starts_a_model_call_that_nothing_else_starts():
    write("s1.jsonl", prompt(0, "go"), reply(2, "m1", "hi"), prompt(50, "Continue.", isMeta=True), reply(61, "m2", "done"))
    assert span_texts() == ["main model:opus 0-2", "main model:opus 50-61"]


KINDS = {
    "prompt": lambda number, time: prompt(time, "go"),
    "result": lambda number, time: result(time, f"t{number}"),
    "remark": lambda number, time: prompt(time, "meta", isMeta=True),
    "hook": lambda number, time: hook(time),
    "system": lambda number, time: {"type": "system", "timestamp": at(time)},
    "queue": lambda number, time: {"type": "queue-operation", "timestamp": at(time)},
    "reply": lambda number, time: reply(time, f"m{number}", "hi"),
}


def starts_by_brute_force(events):
    """The start of each reply: the latest of what it answers, found by looking at all lines before it."""
    starts = []
    for position in (position for position, (kind, _) in enumerate(events) if kind == "reply"):
        times = []
        for earlier, (kind, time) in enumerate(events[:position]):
            turn = next((n for n in range(earlier - 1, -1, -1) if events[n][0] == "reply"), -1)
            is_asked = {"prompt", "result"} & {kind for kind, _ in events[turn + 1 : earlier]}
            if kind in ("prompt", "result", "hook", "reply") or (kind == "remark" and not is_asked):
                times.append(time)
        starts.append(min([max(times, default=events[position][1]), events[position][1]]))
    return starts


@pytest.mark.laws
@given(events=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 9))))
def test_law_a_model_call_starts_at_the_latest_of_what_it_answers(events):
    transcript = Transcript("")
    source = Source(write("s1.jsonl"), "s1.jsonl", "s1.jsonl")
    session = Session(Reading(source), SessionFile(source), {"": transcript})
    transcript.tool_calls = {f"t{n}": ToolCall(f"t{n}", "Bash", {}, 0, "m0") for n in range(len(events))}
    for number, (kind, time) in enumerate(events):
        add_transcript_line(session, {"uuid": f"u{number}", **KINDS[kind](number, time)})
    starts = [(call.start - T0_US) // 1_000_000 for call in transcript.model_calls.values()]
    assert starts == starts_by_brute_force(events)


def test_lines_out_of_time_order_still_end_after_they_start():
    write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(2, "m1", call("t1"), call("t2", "Read")),
        result(9, "t2"),
        result(8, "t1"),
        reply(12, "m2", "done"),
        reply(11, "m2", "late"),
        reply(10, "m3", "later"),
    )
    assert span_texts() == [
        "main model:opus 0-2",
        "main tool:Bash 2-8",
        "main tool:Read 2-9",
        "main model:opus 9-12",
        "main model:opus 10-10",
    ]


def test_a_result_before_its_call_is_an_instant():
    write("s1.jsonl", reply(5, "m1", call("t1")), result(3, "t1"))
    assert span_texts() == ["main model:opus 5-5", "main tool:Bash 5-5"]


def test_status_is_ok_error_or_open():
    write("s1.jsonl", reply(2, "m1", call("t1"), call("t2"), call("t3")), result(5, "t1"), result(6, "t2", error=True))
    report = ingest("s1.jsonl")
    assert report_lines(report)[1:] == ["main tool:Bash 2-5", "main tool:Bash 2-6 error", "main tool:Bash 2-6 open"]
    assert report.n_open == 1


def test_an_open_call_ends_when_last_seen_not_when_the_session_continues():
    write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(2, "m1", call("t1"), call("t2")),
        result(5, "t2"),
        prompt(3600, "I killed it; go on"),
        reply(3602, "m2", call("t3")),
        reply(3610, "m3", call("t4")),
        hook(3620),
    )
    assert span_texts() == [
        "main model:opus 0-2",
        "main tool:Bash 2-5 open",
        "main tool:Bash 2-5",
        "main model:opus 3600-3602",
        "main tool:Bash 3602-3602 open",
        "main model:opus 3602-3610",
        "main tool:Bash 3610-3610 open",
    ]


def test_an_open_task_ends_when_its_subagent_was_last_seen():
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", subagent_type="Explore")))
    agent("a1", prompt(3, "look"), reply(8, "m2", "…"), meta={"toolUseId": "t1"})
    assert span_texts() == ["main model:opus 2-2", "main tool:Task 2-8 open", "Explore model:opus 3-8 ^t1"]


def test_repeated_lines_and_messages_count_once():
    lines = [prompt(0, "go"), reply(3, "m1", "hi", call("t1")), result(5, "t1")]
    again = [{**line, "uuid": f"s1-{number}"} for number, line in enumerate(lines)]
    write("s1.jsonl", *lines, *again, reply(6, "m1", "hi", call("t1"), usage=(10, 1)))
    report = ingest("s1.jsonl")
    assert report_lines(report) == ["main model:opus 0-3", "main tool:Bash 3-5"]
    assert report.skipped == {"repeated lines": 3, "repeated calls": 1}
    assert json.loads(report.spans()["data"].iloc[0])["attributes"]["gen_ai.output.messages"][0]["parts"] == [
        {"type": "text", "content": "hi"}
    ]


def test_a_copy_in_another_branch_stretches_nothing():
    lines = [prompt(0, "go"), reply(3, "m1", reasoning("hm")), reply(4, "m1", call("t1"), usage=(10, 9)), result(5, "t1")]
    late = [prompt(90, "go"), reply(91, "m1", reasoning("hm")), reply(92, "m1", call("t1")), result(93, "t1", "again")]
    write("s1.jsonl", *lines, *late, prompt(100, "else"), reply(103, "m2", "done"))
    report = ingest("s1.jsonl")
    assert report_lines(report) == ["main model:opus 0-4", "main tool:Bash 4-5", "main model:opus 100-103"]
    assert report.skipped == {"repeated calls": 1, "repeated results": 1}
    assert column(report, "gen_ai.tool.call.result")[1] == "done"


def test_a_subagent_that_replays_its_parent_adds_only_its_own_lines():
    mine = [prompt(0, "go"), reply(3, "m1", "hi", call("t1", "Task", prompt="look"))]
    write("s1.jsonl", *mine)
    agent("a1", *mine, reply(4, "m9", call("t1", "Task")), prompt(5, "look"), reply(7, "m2", "found"), meta={"toolUseId": "t1"})
    report = ingest("s1.jsonl")
    assert report.spans()["id"].tolist() == ["s1/m1", "s1/m9", "s1/t1", "s1/m2"]
    assert report.skipped == {"repeated lines": 1, "repeated calls": 1}


def test_messages_that_no_model_wrote_are_skipped():
    write("s1.jsonl", reply(3, "m1", "API Error", model="<synthetic>"), reply(4, "m2", "hi"))
    report = ingest("s1.jsonl")
    assert report_lines(report) == ["main model:opus 3-4"]
    assert report.skipped == {"synthetic messages": 1}


def test_other_lines_are_counted_by_type():
    write(
        "s1.jsonl",
        {"type": "file-history-snapshot", "messageId": "m1", "snapshot": {}},
        {"type": "queue-operation", "operation": "enqueue", "timestamp": at(0)},
        {"type": "mode", "mode": "normal"},
        {"no type": 1},
        {"type": "progress", "data": {"type": "bash_progress"}, "timestamp": at(1)},
        hook(1),
        reply(3, "m1", "hi"),
        hook(4),
        echo(5, "a9", "t1"),
        result(6, "t9"),
    )
    report = ingest("s1.jsonl")
    assert report_lines(report) == ["main model:opus 3-3"]
    assert report.skipped == {
        "lines of type 'file-history-snapshot'": 1,
        "lines of type 'queue-operation'": 1,
        "lines of type 'mode'": 1,
        "lines of type 'None'": 1,
        "progress lines": 2,
        "progress lines of hooks": 1,
        "echoes of a subagent": 1,
        "results of missing calls": 1,
    }


def test_a_model_without_a_name_is_unknown():
    write("s1.jsonl", reply(3, "m1", "hi", model=None))
    assert span_texts() == ["main model:unknown 3-3"]


# Subagents: the places of their files, and the calls that started them.

TASK = [
    prompt(0, "find it"),
    reply(2, "m1", call("t1", "Task", subagent_type="Explore", description="Look", prompt="look")),
    result(20, "t1", "found"),
]
WORK = [prompt(3, "look"), reply(6, "m2", call("t2", "Grep", pattern="x")), result(8, "t2"), reply(9, "m3", "found")]
BOTH = [
    "main model:opus 0-2",
    "main tool:Task 2-20",
    "Explore model:opus 3-6 ^t1",
    "Explore tool:Grep 6-8 ^t1",
    "Explore model:opus 8-9 ^t1",
]


def test_a_subagent_in_the_folder_of_the_session():
    write("s1.jsonl", *TASK)
    agent("a1", *WORK, meta={"agentType": "Explore", "toolUseId": "t1"})
    report = ingest("s1.jsonl")
    assert report_lines(report) == BOTH
    assert agents(report) == ["main = main", "a1 = Explore"]


def test_a_subagent_beside_the_session():
    write("s1.jsonl", *TASK)
    agent("a1", *WORK, folder=".")
    agent("b1", *WORK, folder=".", session="another")
    assert span_texts() == BOTH


@pytest.mark.parametrize("mark", [{"agentId": "a1"}, {}], ids=["with agentId", "chained by parentUuid"])
def test_a_subagent_in_the_lines_of_the_session(mark):
    side = [{**line, "isSidechain": True, "uuid": f"w{number}", **mark} for number, line in enumerate(WORK)]
    chained = [{**line, "parentUuid": f"w{number - 1}" if number else None} for number, line in enumerate(side)]
    write("s1.jsonl", *TASK[:2], *chained, TASK[2])
    assert span_texts() == BOTH


def requests(report):
    """The call and the model call that asked for it, without the trace."""
    spans = spans_in(report, "requested_by").dropna(subset="requested_by")
    pairs = zip(spans["id"], spans["requested_by"], strict=True)
    return [" ".join(span.removeprefix("s1/") for span in pair) for pair in pairs]


def test_a_call_is_requested_by_the_message_that_contains_it():
    write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(2, "m1", "Both.", call("t1")),
        reply(3, "m1", call("t2", "Task", prompt="look", subagent_type="Explore")),
        result(4, "t1"),
        result(9, "t2"),
        reply(11, "m2", call("t3")),
        reply(12, None, call("t4"), uuid="u9"),
        reply(13, "m3", call("t1")),
    )
    agent("a1", prompt(5, "look"), reply(6, "m9", call("t9")), meta={"toolUseId": "t2"})
    report = ingest("s1.jsonl")
    assert requests(report) == ["t1 m1", "t2 m1", "t9 m9", "t3 m2", "t4 u9"]
    assert report.skipped["repeated calls"] == 1
    assert requests(ingest("s1.jsonl", content="none", store="none.db")) == requests(report)


def test_requests_are_the_same_in_every_layout_of_a_session():
    write("s1.jsonl", *TASK)
    agent("a1", prompt(5, "look"), reply(6, "m3", call("t9")), folder=".")
    beside = requests(ingest("s1.jsonl"))
    side = [
        {**line, "isSidechain": True, "uuid": f"w{number}", "agentId": "a1"}
        for number, line in enumerate([prompt(5, "look"), reply(6, "m3", call("t9"))])
    ]
    Path("agent-a1.jsonl").unlink()
    write("s1.jsonl", *TASK[:2], *side, TASK[2])
    assert requests(ingest("s1.jsonl", store="inline.db")) == beside == ["t1 m1", "t9 m3"]


def tasks(report):
    """The spans that have a task, and the tasks."""
    spans = spans_in(report, "task").dropna(subset="task")
    return dict(zip(spans["id"], spans["task"], strict=True))


def test_the_first_span_of_a_subagent_has_its_task():
    write("s1.jsonl", prompt(0, "go"), *TASK)
    agent("a1", prompt(5, "look\nclosely"), reply(6, "m3", call("t9")), result(7, "t9"), prompt(8, "more"), reply(9, "m4", "x"))
    assert tasks(ingest("s1.jsonl")) == {"s1/m3": "look\nclosely"}


def test_the_task_of_a_subagent_without_a_prompt_is_that_of_its_call():
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", prompt="look", subagent_type="Explore")))
    agent("a1", reply(6, "m3", "hi"), meta={"toolUseId": "t1"})
    assert tasks(ingest("s1.jsonl")) == {"s1/m3": "look"}
    Path("s1/subagents/agent-a1.meta.json").unlink()
    assert tasks(ingest("s1.jsonl", store="guessed.db")) == {}


def test_a_compaction_has_no_task():
    write("s1.jsonl", reply(2, "m1", "hi"))
    agent("acompact-1", prompt(3, "Summarize."), reply(5, "m2", "short"))
    assert tasks(ingest("s1.jsonl")) == {}


@pytest.mark.parametrize(("content", "task"), [("full", "x" * 300), ("short", "x" * 200 + "…"), ("none", None)])
def test_a_task_is_content(content, task):
    write("s1.jsonl", *TASK)
    agent("a1", prompt(5, "x" * 300), reply(6, "m3", "hi"))
    assert list(tasks(ingest("s1.jsonl", content=content)).values()) == ([task] if task else [])


def test_the_same_lines_inlined_and_in_a_file_count_once():
    side = [{**line, "isSidechain": True, "uuid": f"agent-a1-{number}", "agentId": "a1"} for number, line in enumerate(WORK)]
    write("s1.jsonl", *TASK[:2], *side, TASK[2])
    agent("a1", *WORK)
    assert span_texts() == BOTH


def test_two_sidechains_are_two_agents():
    lines = [
        prompt(3, "left", isSidechain=True, uuid="l0", parentUuid=None),
        prompt(3, "right", isSidechain=True, uuid="r0", parentUuid=None),
        reply(5, "m2", "L", isSidechain=True, uuid="l1", parentUuid="l0"),
        reply(6, "m3", "R", isSidechain=True, uuid="r1", parentUuid="r0"),
        reply(7, "m4", "R again", isSidechain=True, uuid="r2", parentUuid="r1"),
    ]
    tasks = [call("t1", "Task", subagent_type="Plan", prompt="right"), call("t2", "Task", subagent_type="Plan", prompt="left ")]
    write("s1.jsonl", reply(2, "m1", *tasks), *lines)
    assert span_texts()[3:] == ["Plan model:opus 3-5 ^t2", "Plan 2 model:opus 3-6 ^t1", "Plan 2 model:opus 6-7 ^t1"]


@pytest.mark.parametrize(
    ("how", "more"),
    [
        ("meta", {"meta": {"toolUseId": "t2"}}),
        ("echo", {"echo": [echo(4, "a1", "t2")]}),
        ("toolUseResult", {"result": {"toolUseResult": {"agentId": "a1"}}}),
        ("text of the result", {"text": "Launched.\nagentId: a1 (for resuming)"}),
        ("prompt", {"prompt": "look"}),
    ],
)
def test_the_call_of_a_subagent_is_found(how, more):
    write(
        "s1.jsonl",
        reply(2, "m1", call("t1", "Task", prompt="other"), call("t2", "Agent", prompt=more.get("prompt", "?"))),
        *more.get("echo", []),
        result(9, "t2", more.get("text", "ok"), **more.get("result", {})),
    )
    agent("a1", prompt(3, "look"), reply(5, "m2", "hi"), meta=more.get("meta"))
    report = ingest("s1.jsonl")
    assert report_lines(report)[-1].endswith(" model:opus 3-5 ^t2")
    assert column(report, "estimated")[-1] == ["start_time"]


def test_equally_many_calls_and_subagents_are_paired_in_order_as_a_guess():
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", subagent_type="Plan"), call("t2", "Task", subagent_type="Test")))
    agent("z", reply(5, "m2", "hi"))
    agent("a", reply(6, "m3", call("t3")))
    report = ingest("s1.jsonl")
    assert report_lines(report)[-3:] == ["Plan model:opus 5-5 ^t1", "Test model:opus 6-6 ^t2", "Test tool:Bash 6-6 open ^t2"]
    assert column(report, "estimated")[-3:] == [["start_time", "parent_id"], ["start_time", "parent_id"], ["parent_id"]]


def test_a_subagent_with_an_unknown_call_has_no_parent():
    write("s1.jsonl", reply(2, "m1", "hi"))
    agent("a1234567890", reply(5, "m2", "hi"))
    assert span_texts() == ["main model:opus 2-2", "agent a1234567 model:opus 5-5"]


def test_a_subagent_of_a_subagent():
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", subagent_type="Plan", prompt="plan")))
    agent("a", prompt(3, "plan"), reply(4, "m2", call("t2", "Task", subagent_type="Explore", prompt="look")))
    agent("b", prompt(5, "look"), reply(6, "m3", "found"))
    assert span_texts()[2:] == ["Plan model:opus 3-4 ^t1", "Plan tool:Task 4-6 open ^t1", "Explore model:opus 5-6 ^t2"]


def test_agents_of_a_workflow_are_children_of_the_call_that_started_it():
    details = {"runId": "wf_x", "workflowName": "review"}
    write("s1.jsonl", reply(2, "m1", call("t1", "Workflow")), result(3, "t1", "launched", toolUseResult=details))
    folder = "s1/subagents/workflows/wf_x"
    agent("w2", reply(5, "m2", "a"), folder=folder)
    agent("w1", reply(6, "m3", "b"), folder=folder)
    Path(f"{folder}/journal.jsonl").write_text('{"type":"started","agentId":"w1"}\n')
    assert span_texts()[2:] == ["review model:opus 5-5 ^t1", "review 2 model:opus 6-6 ^t1"]


# Waits: agents in the background, and calls that wait for the user.

LAUNCH = {"toolUseResult": {"isAsync": True, "status": "async_launched", "agentId": "a1"}}


@pytest.mark.parametrize(
    ("asked", "status", "detached"),
    [
        ({}, {}, False),
        ({"run_in_background": True}, {}, True),
        ({"run_in_background": False}, {}, False),
        ({"run_in_background": "yes"}, {}, False),
        ({}, {"status": "async_launched"}, True),
        ({"run_in_background": False}, {"isAsync": True}, True),
        ({"run_in_background": True}, {"status": "completed"}, False),
        ({}, {"status": 5}, False),
    ],
)
def test_nobody_waits_for_an_agent_in_the_background(asked, status, detached):
    write(
        "s1.jsonl",
        reply(2, "m1", call("t1", "Agent", **asked)),
        result(3, "t1", toolUseResult={"agentId": "a1", **status}),
        reply(9, "m2", "meanwhile"),
    )
    agent("a1", prompt(3, "look"), reply(6, "m3", call("t2")), result(8, "t2"), meta={"agentType": "Explore"})
    report = ingest("s1.jsonl")
    values = zip(report_lines(report), column(report, "detached"), strict=True)
    assert {(text.split()[0], value is True) for text, value in values} == {("main", False), ("Explore", detached)}


def test_a_call_that_launches_an_agent_is_not_stretched():
    write("s1.jsonl", reply(2, "m1", call("t1", "Agent", run_in_background=True, prompt="look")))
    agent("a1", prompt(3, "look"), reply(60, "m2", "found"))
    assert span_texts()[1] == "main tool:Agent 2-2 open"
    write("s1.jsonl", reply(2, "m1", call("t1", "Agent", prompt="look")))
    assert span_texts(store="b.db")[1] == "main tool:Agent 2-60 open"


def test_an_agent_of_an_agent_in_the_background_is_waited_for():
    write("s1.jsonl", reply(2, "m1", call("t1", "Agent", prompt="plan")), result(3, "t1", **LAUNCH))
    agent("a1", prompt(3, "plan"), reply(4, "m2", call("t2", "Agent", prompt="look")), result(9, "t2"))
    agent("b1", prompt(5, "look"), reply(6, "m3", "found"))
    report = ingest("s1.jsonl")
    detached = dict(zip(report_lines(report), column(report, "detached"), strict=True))
    assert {text: value is True for text, value in detached.items()} == {
        "main model:opus 2-2": False,
        "main tool:Agent 2-3": False,
        "agent a1 model:opus 3-4 ^t1": True,
        "agent a1 tool:Agent 4-9 ^t1": True,
        "agent b1 model:opus 5-6 ^t2": False,
    }


@pytest.mark.parametrize(
    ("tool", "given", "waits_for"),
    [
        ("TaskOutput", {"task_id": "a1", "block": True}, "Explore"),
        ("TaskOutput", {"task_id": "a1"}, "Explore"),
        ("AgentOutputTool", {"agentId": "a1"}, "Explore"),
        ("TaskOutput", {"task_id": "a1", "block": False}, None),
        ("TaskOutput", {"task_id": "b7"}, None),
        ("TaskOutput", {"task_id": ["a1"]}, None),
        ("TaskOutput", {"task_id": ""}, None),
        ("Read", {"task_id": "a1"}, None),
        ("AskUserQuestion", {}, "user"),
        ("ExitPlanMode", {}, "user"),
    ],
)
def test_whom_a_call_waits_for(tool, given, waits_for):
    write("s1.jsonl", reply(2, "m1", call("t1", "Agent")), result(3, "t1", **LAUNCH), reply(4, "m2", call("w", tool, **given)))
    agent("a1", prompt(3, "look"), reply(6, "m3", "found"), meta={"agentType": "Explore"})
    report = ingest("s1.jsonl")
    waits = {text.split()[1]: value for text, value in zip(report_lines(report), column(report, "waits_for"), strict=True)}
    assert {place: value for place, value in waits.items() if isinstance(value, str)} == (
        {f"tool:{tool}": waits_for} if waits_for else {}
    )
    assert marks(report, "waits_for_kind") == (["agent"] if waits_for == "Explore" else [])


def test_a_session_that_asks_its_user():
    write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(2, "m1", call("q1", "AskUserQuestion", questions=[{"question": "which?"}])),
        result(902, "q1", "the blue one"),
        reply(905, "m2", call("t1", "ExitPlanMode", plan="p")),
        result(1505, "t1", "User has approved your plan"),
        reply(1508, "m3", "done"),
    )
    spans = spans_in(ingest("s1.jsonl", content="none"), "waits_for")
    seconds_of = (spans["end_time"] - spans["start_time"]) // 1_000_000
    assert seconds_of.groupby(spans["waits_for"].fillna("work")).agg(list).to_dict() == {"user": [900, 600], "work": [2, 3, 3]}


REJECTION = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the "
    "new_string was NOT written to the file)."
)


def test_a_call_of_an_instant_tool_that_the_user_rejected_waited_for_the_user():
    write(
        "s1.jsonl",
        reply(2, "m1", call("t1", "Edit"), call("t2", "Edit"), call("t3", "Edit")),
        result(90, "t1", REJECTION, error=True),
        result(90, "t2", REJECTION),
        result(90, "t3", "The user doesn't want to take this action right now.", error=True),
    )
    report = ingest("s1.jsonl")
    waits = [isinstance(value, str) and value for value in column(report, "waits_for")]
    assert list(zip(report_lines(report), waits, strict=True))[1:] == [
        ("main tool:Edit 2-90 error", "user"),
        ("main tool:Edit 2-90", False),
        ("main tool:Edit 2-90 error", False),
    ]


@pytest.mark.parametrize("tool", [*sorted(INSTANT_TOOLS), "Bash", "WebFetch", "Task", "mcp__tracker__search", "edit"])
def test_a_rejected_call_of_another_tool_may_have_been_interrupted(tool):
    write("s1.jsonl", reply(2, "m1", call("t1", tool)), result(90, "t1", REJECTION, error=True))
    assert marks(ingest("s1.jsonl"), "waits_for") == (["user"] if tool in INSTANT_TOOLS else [])


def test_an_agent_that_the_user_interrupted_was_waited_for():
    write("s1.jsonl", reply(2, "m1", call("t4", "Agent", prompt="look")), result(90, "t4", REJECTION, error=True))
    agent("a1", prompt(3, "look"), reply(6, "m3", "found"))
    report = ingest("s1.jsonl")
    assert report_lines(report)[1] == "main tool:Agent 2-90 error"
    assert marks(report, "waits_for") == ["agent a1"]


def test_a_call_that_runs_one_agent_waits_for_it_all_the_time():
    write(
        "s1.jsonl",
        reply(2, "m1", call("t1", "Task", prompt="one"), call("t2", "Task", prompt="two")),
        result(60, "t1", "agentId: a1"),
        result(90, "t2", "agentId: a2"),
    )
    agent("a1", prompt(5, "one"), reply(6, "m3", "found"))
    agent("a2", prompt(61, "two"), reply(70, "m4", "found"))
    spans = ingest("s1.jsonl").spans()
    assert waits(spans)[["waits_for", "state", "wait_us", "evidence"]].to_numpy().tolist() == [
        ["agent a1", "agent", 58_000_000, "source"],
        ["agent a2", "agent", 88_000_000, "source"],
    ]
    assert summary(spans)["peak"].item() == 1


def test_a_compaction_is_a_separate_agent():
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", prompt="sum up")), result(3, "t1"))
    agent("acompact-1f", prompt(4, "sum up"), reply(9, "m2", "summary"))
    assert span_texts()[2:] == ["compaction model:opus 4-9"]


def boundary(time, trigger):
    metadata = {"trigger": trigger, "preTokens": 170_000}
    return {"type": "system", "subtype": "compact_boundary", "timestamp": at(time), "compactMetadata": metadata}


def compacted(trigger, *, line=True):
    return write(
        "s1.jsonl",
        prompt(0, "go"),
        reply(3, "m1", call("t1")),
        result(5, "t1"),
        *([boundary(20, trigger), prompt(20, "The summary", isCompactSummary=True)] if line else []),
        *([] if line else [prompt(20, "go on")]),
        reply(24, "m2", "done"),
    )


@pytest.mark.parametrize(
    ("trigger", "cause"), [("manual", "user"), ("auto", "context"), ("new", None), ({"by": "x"}, None), (None, None)]
)
def test_a_compaction_has_a_cause_and_a_place_among_the_calls(trigger, cause):
    compacted(trigger)
    agent("acompact-1f", prompt(7, "sum up"), reply(19, "c1", "The summary"))
    spans = ingest("s1.jsonl").spans()
    found = expand_data(spans, ["links", "trigger"]).set_index("id")
    assert found["links"].dropna().to_dict() == {"s1/c1": ["s1/t1"], "s1/m2": ["s1/c1"]}
    assert found["trigger"].dropna().to_dict() == {"s1/m1": "user"} | ({"s1/c1": cause} if cause else {})
    assert agent_tree(spans)[["path", "evidence"]].fillna("").to_numpy().tolist() == [
        ["main", ""],
        ["main / compaction", "link"],
    ]
    assert "orphan" not in diagnose(spans)["kind"].tolist()
    assert gaps(spans)["cause"].fillna("").tolist() == [cause or "", ""]


def test_a_compaction_without_a_boundary_is_linked():
    compacted("auto", line=False)
    agent("acompact-1f", prompt(7, "sum up"), reply(19, "c1", "The summary"))
    assert marks(ingest("s1.jsonl"), "links") == [["s1/t1"], ["s1/c1"]]


def test_a_compaction_without_a_transcript_is_the_cause_of_the_next_model_call():
    compacted("auto")
    assert marks(ingest("s1.jsonl"), "trigger") == ["user", "context"]
    compacted("manual")
    assert marks(ingest("s1.jsonl", store="manual.db"), "trigger") == ["user", "user"]


def test_the_compaction_of_a_subagent_is_linked_to_the_subagent():
    write("s1.jsonl", *TASK)
    agent("a1", *WORK[:3], boundary(15, "auto"), reply(17, "m3", "found"), meta={"agentType": "Explore", "toolUseId": "t1"})
    agent("acompact-1f", prompt(9, "sum up"), reply(14, "c1", "The summary"))
    assert marks(ingest("s1.jsonl"), "links") == [["s1/t2"], ["s1/c1"]]


def test_two_compactions_of_a_session_have_their_own_causes():
    lines = [prompt(0, "go"), reply(3, "m1", "x"), boundary(10, "auto"), reply(12, "m2", "y"), boundary(20, "manual")]
    write("s1.jsonl", *lines, reply(23, "m3", "z"))
    agent("acompact-2", prompt(14, "sum up"), reply(19, "c2", "two"))
    agent("acompact-1", prompt(4, "sum up"), reply(9, "c1", "one"))
    found = spans_in(ingest("s1.jsonl"), "links", "trigger").set_index("id")
    assert found["links"].dropna().to_dict() == {
        "s1/c1": ["s1/m1"],
        "s1/m2": ["s1/c1"],
        "s1/c2": ["s1/m2"],
        "s1/m3": ["s1/c2"],
    }
    assert found["trigger"].dropna().to_dict() == {"s1/m1": "user", "s1/c1": "context", "s1/c2": "user"}


def test_repeated_names_are_numbered_by_first_start_and_the_raw_id_is_kept():
    calls = [call(f"t{number}", "Task", subagent_type="Explore") for number in range(3)]
    write("s1.jsonl", reply(2, "m1", *calls))
    agent("a", reply(7, "x1", "third"), meta={"toolUseId": "t0"})
    agent("b", reply(5, "x2", "first"), meta={"toolUseId": "t1"})
    agent("c", reply(6, "x3", "second"), meta={"toolUseId": "t2"})
    assert agents(ingest("s1.jsonl")) == ["main = main", "b = Explore", "c = Explore 2", "a = Explore 3"]


@pytest.mark.parametrize(
    ("meta", "given", "name"),
    [
        ({"agentType": "Tester"}, {"subagent_type": "Explore"}, "Tester"),
        ({"agentType": ["x"]}, {"subagent_type": "Explore", "description": "Look"}, "Explore"),
        ({"agentType": " "}, {"subagent_type": 5, "description": "Look\n for it"}, "Look for it"),
        ({}, {"description": "x" * 100}, "x" * 59 + "…"),
        ({}, {}, "agent a1"),
        ({"agentType": "main"}, {}, "main 2"),
    ],
)
def test_a_subagent_is_named_by_its_type_or_task(meta, given, name):
    write("s1.jsonl", reply(2, "m1", call("t1", "Task", **given)))
    agent("a1", reply(5, "m2", "hi"), meta={"toolUseId": "t1", **meta})
    assert ingest("s1.jsonl").spans()["agent_id"].tolist() == ["main", "main", name]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"[" * 5000, b'{"agentType": 1e999}', b'{"toolUseId": ["t1"]}'])
def test_a_damaged_metadata_file_of_a_subagent_is_ignored(text):
    write("s1.jsonl", *TASK)
    agent("a1", *WORK).with_suffix(".meta.json").write_bytes(text)
    assert span_texts() == BOTH


def test_a_file_of_a_subagent_leads_to_its_session():
    write("s1.jsonl", *TASK)
    path = agent("a1", *WORK)
    assert span_texts(path) == BOTH
    path.rename("agent-a1.jsonl")
    assert span_texts("agent-a1.jsonl") == BOTH


def test_a_file_of_a_subagent_without_its_session():
    path = agent("a1", *WORK, meta={"agentType": "Explore", "toolUseId": "t1"})
    report = ingest(path)
    assert report_lines(report) == BOTH[2:]
    assert report.names == {"s1": "look"}


def test_a_session_copied_under_another_name_keeps_its_id():
    write("copy.jsonl", *TASK)
    assert set(ingest("copy.jsonl").spans()["trace_id"]) == {"s1"}


def test_a_resumed_session_has_the_id_of_its_file_name():
    write("s2.jsonl", {**TASK[0], "sessionId": "s1"}, TASK[1], session="s2")
    assert set(ingest("s2.jsonl").spans()["trace_id"]) == {"s2"}


def test_a_session_without_an_id_has_the_id_of_its_file_name():
    write("s7.jsonl", *TASK, session=None)
    assert set(ingest("s7.jsonl").spans()["trace_id"]) == {"s7"}


# The name of the trace.

TITLES = [
    {"type": "summary", "summary": "The summary", "leafUuid": "x"},
    {"type": "ai-title", "aiTitle": "The title"},
    {"type": "custom-title", "customTitle": "My title"},
]


@pytest.mark.parametrize(("count", "name"), [(0, "the prompt"), (1, "The summary"), (2, "The title"), (3, "My title")])
def test_the_name_of_a_trace(count, name):
    assert name_of(prompt(0, "the prompt"), *TITLES[:count][::-1]) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\n\n  b", "a b"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        (
            "<command-message>go</command-message>\n<command-name>/go</command-name>\n<command-args>far</command-args>",
            "/go far",
        ),
        ("<command-name>/go</command-name>", "/go"),
        ("<command-name></command-name>", "s1"),
        ("", "s1"),
    ],
)
def test_the_first_prompt_as_a_name(text, name):
    assert name_of(prompt(0, text)) == name


def test_text_that_the_user_did_not_write_is_not_a_name():
    assert (
        name_of(
            prompt(0, "Caveat: meta", isMeta=True),
            prompt(0, "A summary of before", isCompactSummary=True),
            prompt(0, "<local-command-stdout>x</local-command-stdout>"),
            prompt(0, "<system-reminder>x</system-reminder>"),
            prompt(0, [{"type": "image", "source": {}}, {"type": "text", "text": "look at this"}]),
            prompt(0, "not this"),
            {"type": "ai-title", "aiTitle": " "},
        )
        == "look at this"
    )


# The amount of text that is kept.

SECRETS = ["PROMPT", "ANSWER", "THOUGHT", "COMMAND", "OUTPUT", "TITLE", "TASKTEXT", "SUBPROMPT", "SUBANSWER"]


def secret_session():
    write(
        "s1.jsonl",
        {"type": "ai-title", "aiTitle": "TITLE"},
        prompt(0, "PROMPT"),
        reply(2, "m1", reasoning("THOUGHT"), "ANSWER", call("t0", "Bash", command="COMMAND")),
        result(3, "t0", "OUTPUT"),
        reply(4, "m2", call("t1", "Task", description="TASKTEXT", prompt="SUBPROMPT")),
    )
    agent("a1", prompt(5, "SUBPROMPT"), reply(6, "m3", "SUBANSWER"))
    return "s1.jsonl"


def bytes_of_database():
    return b"".join(file.read_bytes() for file in Path.cwd().glob("sqlite.db*"))


def test_all_text_is_kept_by_default():
    report = ingest(secret_session())
    kept = bytes_of_database().decode("utf-8", "replace")
    assert [word for word in SECRETS if word not in kept] == []
    assert report.n_cut == 0


def test_content_none_keeps_no_text():
    report = ingest(secret_session(), content="none")
    kept = bytes_of_database().decode("utf-8", "replace")
    assert [word for word in SECRETS if word in kept] == []
    assert report_lines(report) == [
        "main model:opus 0-2",
        "main tool:Bash 2-3",
        "main model:opus 3-4",
        "main tool:Task 4-6 open",
        "agent a1 model:opus 5-6 ^t1",
    ]
    assert column(report, "label") == ["→ Bash", "Bash", "→ Task", "Task", "opus"]
    assert name_in(report) == "s1"
    assert report.n_cut == 8  # two prompts, two answers, the arguments of two tool calls, one tool result, one task


def test_short_keeps_the_first_200_characters_of_each_text():
    write(
        "s1.jsonl",
        prompt(0, "p" * 200),
        reply(2, "m1", "a" * 201, call("t1", "Bash", command="c" * 300, flags=["f" * 300, 5])),
        result(3, "t1", "o" * 300),
    )
    report = ingest("s1.jsonl", content="short")
    attributes = [json.loads(data)["attributes"] for data in report.spans()["data"]]
    assert attributes[0]["gen_ai.input.messages"][0]["parts"][0]["content"] == "p" * 200
    assert attributes[0]["gen_ai.output.messages"][0]["parts"][0]["content"] == "a" * 200 + "…"
    assert attributes[1]["gen_ai.tool.call.arguments"] == {"command": "c" * 200 + "…", "flags": ["f" * 200 + "…", 5]}
    assert attributes[1]["gen_ai.tool.call.result"] == "o" * 200 + "…"
    assert report.n_cut == 4


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "image", "source": {}}, "b"], "a\n[image]\nb"),
        ({"odd": 1}, "{'odd': 1}"),
        (None, None),
    ],
)
def test_the_result_of_a_tool_is_text(content, text):
    write("s1.jsonl", reply(2, "m1", call("t1")), result(3, "t1", content))
    attributes = json.loads(ingest("s1.jsonl").spans()["data"].iloc[1])["attributes"]
    assert attributes.get("gen_ai.tool.call.result") == text


# Times and order.


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-06-21T10:00:05Z",
        "2026-06-21T10:00:05.000000Z",
        "2026-06-21T10:00:05",
        "2026-06-21 12:00:05.0+02:00",
        "2026-06-21T05:30:05-04:30",
    ],
)
def test_times_with_and_without_fractions_and_zones(timestamp):
    write("s1.jsonl", {**reply(0, "m1", "hi"), "timestamp": timestamp})
    assert seconds(ingest("s1.jsonl").spans()["start_time"]) == ["5"]


def test_times_are_exact_to_the_microsecond():
    write("s1.jsonl", {**reply(0, "m1", "hi"), "timestamp": "2026-06-21T10:00:00.123457999Z"})
    assert ingest("s1.jsonl").spans()["end_time"].item() == T0_US + 123_457


def test_the_names_of_files_do_not_change_their_spans():
    for names in (("a", "b"), ("b", "a")):
        write("s1.jsonl", *TASK[:1], reply(2, "m1", call("t1", "Task", prompt="look"), call("t2", "Task", prompt="plan")))
        agent(names[0], prompt(3, "look"), reply(5, "m2", "hi"), meta={"agentType": "Explore"})
        agent(names[1], prompt(4, "plan"), reply(6, "m3", "ho"), meta={"agentType": "Plan"})
        assert span_texts()[-2:] == ["Explore model:opus 3-5 ^t1", "Plan model:opus 4-6 ^t2"]


def test_the_order_of_a_sessions_files_does_not_matter():
    paths = ["s1.jsonl", "s1/subagents/agent-a1.jsonl", "agent-b1.jsonl"]
    write(paths[0], *TASK)
    agent("a1", *WORK)
    agent("b1", reply(4, "m8", "hi"), folder=".")
    first, *others = [ingest(path, store=f"{number}.db").spans() for number, path in enumerate(paths)]
    assert len(first) == 6
    for other in others:
        assert_frame_equal(first, other)


def test_a_hook_after_a_late_line_is_still_the_previous_event():
    write("s1.jsonl", reply(1, "m1", call("t1")), hook(6), result(5, "t1"), reply(9, "m2", "hi"))
    assert span_texts()[-1] == "main model:opus 6-9"


def test_a_later_reading_with_less_text_removes_kept_text():
    ingest(secret_session())
    report = ingest("s1.jsonl", content="none")
    assert [word for word in SECRETS if word in "".join(report.spans()["data"])] == []
    assert name_in(report) == "s1"


def test_the_finish_reason_of_a_message_is_kept():
    line = reply(2, "m1", "hi")
    line["message"]["stop_reason"] = "end_turn"
    write("s1.jsonl", line)
    assert column(ingest("s1.jsonl"), "gen_ai.response.finish_reasons") == [["end_turn"]]


def test_no_call_is_its_own_parent():
    write("s1.jsonl", reply(2, "m1", "hi"))
    agent("a1", reply(3, "m2", call("t2", "Task")), meta={"agentType": "Loop", "toolUseId": "t2"})
    agent("b1", reply(3, "m3", call("t3", "Task")), meta={"agentType": "Knot", "toolUseId": "t4"})
    agent("c1", reply(3, "m4", call("t4", "Task")), meta={"agentType": "Knot", "toolUseId": "t3"})
    report = ingest("s1.jsonl")
    assert [line for line in report_lines(report) if line.startswith("Loop")] == [
        "Loop model:opus 3-3",
        "Loop tool:Task 3-3 open",
    ]
    assert len(self_spans(report.spans())) == 7


def test_a_subagent_without_a_transcript_is_reported():
    lines = [prompt(0, "go"), reply(2, "m1", call("t1", "Task")), echo(3, "a9", "t1"), echo(4, "a9", "t1"), result(5, "t1")]
    report = ingest(write("s1.jsonl", *lines))
    assert [str(problem) for problem in report.problems] == [
        "s1.jsonl: the transcript of subagent 'a9' is missing, so its work was skipped; echo lines in this file: 2."
    ]
    assert report.n_spans == 2
