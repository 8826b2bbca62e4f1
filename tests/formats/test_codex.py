import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from files import problem_texts, reading_of, span_text, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import expand_data, ingest, load_spans, load_traces
from tokenvis.formats.files.head import head_of
from tokenvis.formats.sessions.codex.reader import CodexFollower, read, recognises

T0 = datetime(2026, 6, 21, 10, tzinfo=UTC)
T0_US = 1_782_036_000_000_000
ROOT, CHILD, GRANDCHILD = "0190-root", "0191-child", "0192-grandchild"


def line(time, kind, **payload):
    stamp = (T0 + timedelta(seconds=time)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": stamp, "type": kind, "payload": payload}


def meta(time, thread=ROOT, parent=None, **more):
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}} if parent else "cli"
    return line(time, "session_meta", id=thread, cwd="/work", source=spawn, **more)


def turn(time, turn_id="turn-1", model="gpt-5"):
    return line(time, "turn_context", turn_id=turn_id, model=model)


def item(time, kind, **more):
    return line(time, "response_item", type=kind, **more)


def event(time, kind, **more):
    return line(time, "event_msg", type=kind, **more)


def user(time, text):
    return item(time, "message", role="user", content=[{"type": "input_text", "text": text}])


def assistant(time, text):
    return item(time, "message", role="assistant", content=[{"type": "output_text", "text": text}])


def call(time, call_id, name="exec_command", **arguments):
    return item(time, "function_call", name=name, call_id=call_id, arguments=json.dumps(arguments))


def output(time, call_id, text="done"):
    return item(time, "function_call_output", call_id=call_id, output=text)


def tokens(time, read, wrote, cached=0, *, last=None):
    counts = [
        {"input_tokens": r, "cached_input_tokens": cached, "output_tokens": w}
        for r, w in ((read, wrote), last or (read, wrote))
    ]
    return event(time, "token_count", info=dict(zip(("total_token_usage", "last_token_usage"), counts, strict=True)))


BASIC = [
    meta(0), turn(0), user(1, "<environment_context>"), user(1, "go"), item(2, "reasoning", summary=[]),
    call(3, "c1", cmd=["ls", "-l"]), output(5, "c1"), assistant(7, "done"), event(8, "task_complete"),
]  # fmt: skip
TOLD = ["codex model:gpt-5 1-3", "codex model:gpt-5 5-7", "codex tool:exec_command 3-5"]


def shifted(spans):
    for span in spans:
        span.start -= T0_US
        span.end = span.end and span.end - T0_US
        yield span


def spans_of(*lines, path="x.jsonl"):
    reading = reading_of(path, *lines)
    return sorted(span_text(span) for span in shifted(read(reading))), problem_texts(reading), dict(reading.skipped)


def tokens_of(*lines):
    return [
        tuple(span.data["attributes"].get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output"))
        for span in read(reading_of("x.jsonl", *lines))
        if span.data["kind"] == "model"
    ]


def test_calls_and_responses():
    assert recognises(head_of(reading_of("x.jsonl", *BASIC).source))
    assert spans_of(*BASIC) == (TOLD, [], {})


def test_the_data_of_a_codex_span():
    first, second, tool = read(reading_of("x.jsonl", *BASIC))
    assert first.data == {
        "label": "→ exec_command", "kind": "model", "trigger": "user", "estimated": ["start_time"],
        "attributes": {
            "gen_ai.agent.name": "codex", "gen_ai.agent.id": ROOT, "gen_ai.conversation.id": ROOT,
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "go"}]}],
            "process.working_directory": "/work",
        },
    }  # fmt: skip
    assert (second.data["label"], tool.data["label"], tool.data["status"]) == ("done", "ls -l", "ok")
    assert tool.data["attributes"]["gen_ai.tool.call.arguments"] == {"cmd": ["ls", "-l"]}
    assert (first.id, tool.id) == (f"{ROOT}/model.0", f"{ROOT}/c1")
    assert tool.data["requested_by"] == first.id


def test_the_first_span_has_the_version_the_branch_and_the_folder():
    first, *others = BASIC
    program = {"cli_version": "0.51.0", "git": {"branch": "fix-1", "commit_hash": "abc"}, "cwd": "/shop"}
    write_file("x.jsonl", {**first, "payload": {**first["payload"], **program}}, *others)
    keys = ["service.version", "vcs.ref.head.name", "process.working_directory", "gen_ai.request.model"]
    traces = load_traces(attributes=keys, store=ingest("x.jsonl").store)
    assert traces[keys].to_numpy().tolist() == [["0.51.0", "fix-1", "/shop", "gpt-5"]]
    damaged = {"cli_version": 5, "git": "main", "cwd": ""}
    write_file("y.jsonl", {**first, "payload": {**first["payload"], **damaged}}, *others)
    assert "service.version" not in next(read(reading_of("y.jsonl"))).data["attributes"]


def test_tools_that_run_in_parallel_belong_to_one_response():
    lines = [meta(0), turn(0), user(1, "go"), call(2, "a"), call(3, "b"), output(4, "a"), output(6, "b"), assistant(7, "x")]
    assert spans_of(*lines)[0] == [
        "codex model:gpt-5 1-3", "codex model:gpt-5 6-7", "codex tool:exec_command 2-4", "codex tool:exec_command 3-6",
    ]  # fmt: skip


def test_every_kind_of_call():
    lines = [
        meta(0), turn(0), item(1, "custom_tool_call", name="apply_patch", call_id="a", input="*** Begin"),
        item(2, "custom_tool_call_output", call_id="a", output="ok"),
        item(3, "local_shell_call", call_id="b", action={"command": ["ls"]}), output(4, "b"),
        item(5, "tool_search_call", call_id="c", arguments={"query": "x"}),
        item(6, "tool_search_output", call_id="c", tools=[]),
        item(8, "web_search_call", status="completed", action={"query": "y"}),
    ]  # fmt: skip
    assert [text for text in spans_of(*lines)[0] if "tool:" in text] == [
        "codex tool:apply_patch 1-2", "codex tool:shell 3-4", "codex tool:tool_search 5-6", "codex tool:web_search 6-8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ("fine", ""),
        ("Process exited with code 0\nok", ""),
        ("Process exited with code 2\nno", " error"),
        ('{"output": "x", "metadata": {"exit_code": 1}}', " error"),
        ('{"output": "x", "metadata": {"exit_code": 0}}', ""),
        ({"content": "x", "success": False}, " error"),
    ],
)
def test_a_failure(result, status):
    lines = [meta(0), turn(0), call(1, "c1"), output(2, "c1", result)]
    assert spans_of(*lines)[0][1] == f"codex tool:exec_command 1-2{status}"


def test_a_call_without_a_result_ends_with_its_turn_or_the_file():
    assert spans_of(meta(0), call(1, "a"), event(5, "turn_aborted"), user(9, "go"))[0][1] == "codex tool:exec_command 1-5 open"
    assert spans_of(meta(0), call(1, "a"), user(9, "go"))[0][1] == "codex tool:exec_command 1-9 open"


@pytest.mark.parametrize("start", [event(3000, "task_started"), turn(3000, "turn-2")], ids=["event", "context"])
def test_a_call_without_a_result_ends_before_the_turn_that_resumes_a_killed_program(start):
    killed = [turn(0), user(0, "go"), call(2, "c1"), event(4, "token_count", info=None)]
    resumed = [start, user(3000, "again"), assistant(3005, "done")]
    late = [start, output(3001, "c1"), assistant(3005, "done")]
    write_file("x.jsonl", meta(0), *killed, *resumed)
    spans = expand_data(ingest("x.jsonl").spans(), ["status"]).set_index("location_id").loc["tool:exec_command"]
    assert (spans["end_time"] - T0_US, spans["status"]) == (4_000_000, "open")
    [answered] = [text for text in spans_of(meta(0), *killed, *late)[0] if "tool:exec_command" in text]
    assert " 2-3001" in answered


def test_exact_times_of_a_call():
    times = {"started_at_ms": T0_US // 1_000 + 1_500, "completed_at_ms": T0_US // 1_000 + 2_250}
    lines = [meta(0), turn(0), call(1, "a"), event(3, "item_completed", item={"id": "a"}, **times), output(4, "a")]
    assert spans_of(*lines)[0][1] == "codex tool:exec_command 1.5-4"
    assert spans_of(*lines[:2], lines[2], lines[4], lines[3])[0][1] == "codex tool:exec_command 1.5-2.25"


def test_tokens_are_differences_of_the_totals():
    lines = [
        meta(0),
        turn(0),
        user(1, "go"),
        call(2, "a"),
        tokens(2, 100, 10),
        tokens(2, 100, 10),
        output(3, "a"),
        assistant(4, "x"),
    ]
    assert tokens_of(*lines, tokens(5, 250, 30, last=(150, 20))) == [(100, 10), (150, 20)]


def test_the_tokens_of_an_earlier_thread_are_not_counted():
    assert tokens_of(meta(0), assistant(1, "x"), tokens(2, 1_100, 110, last=(100, 10))) == [(100, 10)]
    assert tokens_of(meta(0), assistant(1, "x"), tokens(2, 50, 5), tokens(3, 20, 2, last=(20, 2))) == [(70, 7)]
    assert tokens_of(meta(0), assistant(1, "x"), event(2, "token_count", info=None)) == [(None, None)]


CHILD_TURN = [turn(20, "turn-9"), user(20, "look"), assistant(22, "found")]
SPAWN = [call(10, "s1", "spawn_agent", message="look"), output(11, "s1", json.dumps({"agent_id": CHILD}))]


def family(folder="sessions/2026/06/21"):
    """A thread and a thread that it starts, whose file begins with a copy of its parent's lines."""
    copied = [meta(19), turn(19), user(19, "go"), call(19, "c1"), output(19, "c1")]
    child = [meta(19, CHILD, ROOT, agent_nickname="Sartre"), *copied, *CHILD_TURN]
    grandchild = [meta(30, GRANDCHILD, CHILD, agent_role="explorer"), turn(31, "turn-12"), assistant(32, "deep")]
    end = [event(11.5, "collab_agent_spawn_end", call_id="s1", new_thread_id=CHILD)]
    write_file(f"{folder}/rollout-1-{ROOT}.jsonl", *BASIC[:-1], *SPAWN, *end)
    write_file(
        f"{folder}/rollout-2-{CHILD}.jsonl", *child, call(23, "s2", "spawn_agent"), output(24, "s2", {"agent_id": GRANDCHILD})
    )
    write_file(f"{folder}/rollout-3-{GRANDCHILD}.jsonl", *grandchild)


@pytest.mark.parametrize("source", ["sessions", "each"])
def test_related_threads_are_one_trace(source):
    family()
    if source == "each":
        family("sessions/2026/06/22")
        for name in (f"rollout-3-{GRANDCHILD}", f"rollout-2-{CHILD}", f"rollout-1-{ROOT}"):
            ingest(f"sessions/2026/06/22/{name}.jsonl")
    else:
        report = ingest("sessions")
        assert [one.trace_id for one in report.written] == [ROOT]
        assert report.names == {ROOT: "go"}
        assert report.skipped["lines copied from the parent thread"] == 6
    spans = load_spans(ROOT)
    spans = spans.assign(name=spans["id"].str.removeprefix(f"{ROOT}/"), above=spans["parent_id"].str.removeprefix(f"{ROOT}/"))
    children = spans[spans["agent_id"] != "codex"]
    assert children[["agent_id", "name", "above"]].astype(str).to_numpy().tolist() == [
        ["Sartre", f"{CHILD}/model.0", "s1"],
        ["Sartre", f"{CHILD}/s2", "s1"],
        ["explorer hild", f"{GRANDCHILD}/model.0", f"{CHILD}/s2"],
    ]


WAITED = "0193-waited"
WAIT = [call(14, "w", "wait", ids=[CHILD]), output(25, "w", json.dumps({"status": {CHILD: {"completed": "x"}}}))]


@pytest.mark.parametrize(
    ("tool", "arguments", "result", "agent"),
    [
        ("wait_agent", {"targets": [CHILD]}, {"status": {CHILD: {"completed": "found"}}}, "Sartre"),
        ("wait", {"ids": [CHILD]}, {"status": {}, "timed_out": True}, "Sartre"),
        ("wait", {"ids": [CHILD]}, "aborted", "Sartre"),
        ("wait", {"ids": [CHILD, WAITED]}, {"status": {WAITED: {"completed": "done"}}}, "Camus"),
        ("wait", {"ids": [CHILD, WAITED]}, {"status": {CHILD: "running", WAITED: {"errored": "no"}}}, "Camus"),
        ("wait", {"ids": [CHILD, WAITED]}, {"status": {CHILD: "running", WAITED: "pending_init"}}, "Sartre"),
        ("wait", {"ids": [CHILD, WAITED]}, {"status": {CHILD: "shutdown", WAITED: {"completed": "x"}}}, "Sartre"),
        ("wait", {"ids": ["0199-far"]}, {"status": {}}, "0199-far"),
        ("wait", {"ids": ["rollout"]}, {"status": {}}, "rollout"),
        ("wait", {"ids": ["", 5]}, {"status": []}, None),
        ("wait", {"ids": CHILD}, {"status": 5}, None),
        ("wait", {"cell_id": "3"}, "done", None),
        ("exec_command", {"ids": [CHILD]}, "done", None),
        ("request_user_input", {"questions": []}, "yes", "user"),
    ],
)
def test_a_call_waits_for_the_agent_of_a_thread(tool, arguments, result, agent):
    family()
    spawned = [call(12, "s2", "spawn_agent"), output(13, "s2", json.dumps({"agent_id": WAITED, "nickname": "Camus"}))]
    wait = [call(14, "w", tool, **arguments), output(25, "w", json.dumps(result))]
    write_file(f"sessions/2026/06/21/rollout-1-{ROOT}.jsonl", *BASIC[:-1], *SPAWN, *spawned, *wait)
    spans = expand_data(ingest("sessions").spans(), ["waits_for", "waits_for_kind"]).set_index("id")
    assert spans["waits_for"].dropna().to_dict() == ({f"{ROOT}/w": agent} if agent else {})
    assert spans["waits_for_kind"].dropna().tolist() == (["agent"] if agent not in (None, "user") else [])


def test_a_call_is_requested_by_the_response_that_contains_it():
    lines = [
        meta(0), turn(0), user(1, "go"), call(2, "a"), call(3, "b"), output(4, "a"), output(6, "b"), assistant(7, "so"),
        call(8, "c"), item(9, "web_search_call", action={"query": "x"}), user(10, "and?"), call(11, "d"),
    ]  # fmt: skip
    spans = expand_data(ingest(write_file("x.jsonl", *lines)).spans(), ["requested_by"])
    names = [spans[key].dropna().str.removeprefix(f"{ROOT}/").tolist() for key in ("id", "requested_by")]
    calls = [name for name in names[0] if not name.startswith("model.")]
    assert dict(zip(calls, names[1], strict=True)) == {
        "a": "model.0", "b": "model.0", "c": "model.1", "web_search.3": "model.1", "d": "model.2",
    }  # fmt: skip


def test_the_requests_and_tasks_of_related_threads():
    family()
    spans = expand_data(ingest("sessions").spans(), ["requested_by", "task"]).set_index("id")
    requests = spans["requested_by"].dropna()
    assert requests[f"{ROOT}/{CHILD}/s2"] == f"{ROOT}/{CHILD}/model.0"
    assert set(requests) <= set(spans.index)
    assert spans["task"].dropna().to_dict() == {f"{ROOT}/{CHILD}/model.0": "look"}


@pytest.mark.parametrize(
    ("source", "task"),
    [
        ({"source": {"subagent": {"thread_spawn": {"parent_thread_id": ROOT}}}}, "look"),
        ({"parent_thread_id": ROOT, "source": "cli"}, "look"),
        ({"forked_from_id": ROOT, "source": "cli"}, None),
        ({"source": "cli"}, None),
    ],
)
def test_only_a_thread_that_another_one_started_has_a_task(source, task):
    first = line(0, "session_meta", id=CHILD, cwd="/work", **source)
    spans = list(read(reading_of("x.jsonl", first, turn(0), user(1, "look"), call(2, "a"), output(3, "a"), assistant(4, "x"))))
    assert [span.data.get("task") for span in spans] == [task, None, None]


def test_a_thread_does_not_wait_for_the_threads_that_it_starts():
    family()
    spans = expand_data(ingest("sessions").spans(), ["detached"])
    assert spans.groupby("agent_id", observed=True)["detached"].agg(list).to_dict() == {
        "Sartre": [True, True],
        "explorer hild": [True],
        "codex": [pd.NA] * 4,
    }


def test_a_child_alone_belongs_to_its_parents_trace():
    copied = [meta(19), event(19, "task_started", turn_id="turn-1", started_at=int(T0_US // 10**6) + 1), call(19, "c1")]
    own = [
        event(20, "task_started", turn_id="turn-9", started_at=T0_US // 1_000 + 20_000),
        user(20, "look"),
        assistant(22, "x"),
    ]
    reading = reading_of("x.jsonl", meta(19, CHILD, ROOT), *copied, *own)
    [span] = shifted(read(reading))
    assert span_text(span) == "codex hild model:unknown 20-22"
    assert (span.trace_id, span.parent, reading.names[ROOT][1]) == (ROOT, None, "look")
    assert "trigger" not in span.data


def test_a_child_with_only_copied_lines_has_no_spans():
    assert spans_of(meta(19, CHILD, ROOT), meta(19), call(19, "c1"))[1] == ["x.jsonl: contains no model or tool calls."]


def test_content_none_keeps_texts_out_of_trace_names():
    write_file("x.jsonl", *BASIC)
    assert ingest("x.jsonl", content="none").names == {ROOT: "x"}
    assert "go" not in "".join(load_spans(ROOT)["data"])


def test_a_damaged_record_is_a_problem_and_the_rest_is_kept():
    bad = [
        {"type": "response_item", "payload": {"type": "message"}},
        {**line(1, "event_msg", type="x"), "payload": 5},
        item(1, "function_call_output", output="x"),
        item(1, "function_call_output", call_id="unknown"),
        line(1, "mode", message="x"),
    ]
    assert spans_of(*BASIC[:4], *bad, *BASIC[4:]) == (
        TOLD,
        [
            "x.jsonl, line 5: 'timestamp' is missing.",
            "x.jsonl, line 6: invalid value ('payload' is of type int).",
            "x.jsonl, line 7: 'call_id' is missing.",
        ],
        {"results of missing calls": 1, "lines of type 'mode'": 1},
    )


def started(time, turn_id="turn-1"):
    return event(time, "task_started", turn_id=turn_id)


def model_spans(*lines):
    """The spans of the model, without the agent and the location."""
    spans = [span for span in shifted(read(reading_of("x.jsonl", *lines))) if span.data["kind"] == "model"]
    return [f"{span.start / 10**6:g}-{span.end / 10**6:g}" for span in spans]


def test_an_echo_of_an_item_does_not_start_a_response():
    echoes = [event(60, "agent_reasoning", text="so"), event(60, "agent_reasoning_raw_content", text="so")]
    asked = [meta(0), started(0), user(0, "go"), event(0, "user_message", message="go"), turn(0.01), event(0.9, "token_count")]
    answer = [item(60, "reasoning", summary=[]), event(61, "agent_message", message="x"), assistant(61, "x")]
    assert model_spans(*asked, *echoes, *answer) == ["0-61"]


@pytest.mark.parametrize(
    ("lines", "spans"),
    [
        ([turn(1), user(1, "go"), turn(2), assistant(5, "x")], ["2-5"]),  # without an event for its start
        ([started(1), user(1, "go"), turn(2), turn(3, "turn-2"), assistant(5, "x")], ["3-5"]),
        ([started(1), turn(2), event(3, "task_complete"), turn(4), assistant(5, "x")], ["4-5"]),
        ([call(2, "a"), call(3, "b"), output(4, "a"), call(5, "c"), output(6, "b"), assistant(9, "x")], ["0-3", "4-5", "6-9"]),
        ([started(1), user(1, "go"), event(4, "turn_aborted"), event(7, "token_count"), assistant(9, "x")], ["7-9"]),
        ([started(1), event(4, "turn_aborted"), started(6, "turn-2"), user(6, "on"), assistant(9, "x")], ["6-9"]),
        ([call(2, "a"), output(4, "a"), line(7, "compacted", message=""), assistant(9, "x")], ["0-2", "4-7", "7-9"]),
        ([assistant(2, "x"), user(4, "and?"), user(5, "<environment_context>"), assistant(9, "y")], ["0-2", "4-9"]),
    ],
)
def test_a_response_starts_when_the_model_is_asked(lines, spans):
    assert model_spans(meta(0), *lines) == spans


def test_a_compaction_is_a_call_of_the_model_and_leaves_the_prompt_to_the_response():
    lines = [meta(0), turn(0), user(1, "go"), line(7, "compacted", message=""), assistant(9, "x")]
    spans = list(read(reading_of("x.jsonl", *lines)))
    assert [(span.data["label"], span.data.get("trigger")) for span in spans] == [("compaction", None), ("x", "user")]


def test_a_web_search_starts_after_the_previous_item_and_not_after_an_echo():
    lines = [meta(0), started(1), item(3, "reasoning", summary=[]), event(8, "web_search_end"), item(8, "web_search_call")]
    assert spans_of(*lines)[0][1] == "codex tool:web_search 3-8"


ITEMS = {"reason": ("reasoning", {}), "answer": ("message", {"role": "assistant", "content": "x"})}
STEPS = st.sampled_from(["start", "context", "user", "output", "echo", "count", "reason", "answer", "abort", "compact"])


def step_line(time, step):
    if step in ITEMS:
        return item(time, ITEMS[step][0], **ITEMS[step][1])
    if step in ("echo", "count"):
        return event(time, {"echo": "agent_reasoning", "count": "token_count"}[step])
    lines = {
        "start": lambda: started(time), "context": lambda: turn(time), "user": lambda: user(time, "go"),
        "output": lambda: output(time, "none"), "abort": lambda: event(time, "turn_aborted"),
        "compact": lambda: line(time, "compacted"),
    }  # fmt: skip
    return lines[step]()


def expected_responses(steps):
    """Brute force: each run of items, from the latest line before it that asks the model; without one, from the first line."""
    spans, run_open = [], False
    for row, (time, step) in enumerate(steps):
        if step in ITEMS and run_open:
            spans[-1] = (spans[-1][0], time)
        elif step in ITEMS or step == "compact":
            begin = max((n for n in range(row) if steps[n][1] == "abort"), default=-1) + 1
            before = steps[begin:row]
            begins = [n for n, (_, kind) in enumerate(before) if kind == "start"]
            asks = [at for at, kind in before if kind in ("user", "output", "start", "compact")]
            asks += [at for n, (at, kind) in enumerate(before) if kind == "context" and not (begins and begins[0] < n)]
            spans.append((max(asks, default=steps[begin][0]), time))
        run_open = step in ITEMS or (run_open and step not in ("user", "output", "abort", "compact"))
    return [f"{start}-{end}" for start, end in spans]


@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(0, 3), STEPS), min_size=1, max_size=12))
def test_responses_are_those_of_brute_force(moves):
    time, steps = 0, [(0, "start"), (0, "abort")]
    for wait, step in moves:
        time += wait
        steps.append((time, step))
    lines = [step_line(*step) for step in steps]
    assert model_spans(*lines) == expected_responses(steps)
    reading = reading_of("grown.jsonl", *lines[:1])
    follower = CodexFollower(reading)
    for n_lines in range(1, len(lines) + 1):
        write_file("grown.jsonl", *(json.dumps(one) for one in lines[:n_lines]), "")
        follower.advance()
    assert [f"{span.start / 10**6:g}-{span.end / 10**6:g}" for span in shifted(follower.spans())] == model_spans(*lines)


def test_threads_with_one_nickname_that_run_at_once_are_told_apart():
    def spawned(thread):
        spawn = {"subagent": {"thread_spawn": {"parent_thread_id": ROOT, "depth": 1, "agent_nickname": "Atlas"}}}
        return line(2, "session_meta", id=thread, cwd="/work", source=spawn)

    write_file("s/rollout-1.jsonl", *BASIC)
    for number, thread in enumerate((CHILD, GRANDCHILD), start=2):
        write_file(
            f"s/rollout-{number}.jsonl",
            spawned(thread),
            turn(2),
            user(3, "go"),
            call(4, "c"),
            output(9, "c"),
            assistant(9, "x"),
        )
    assert set(ingest("s").spans()["agent_id"]) == {"codex", "Atlas", "Atlas 2"}
