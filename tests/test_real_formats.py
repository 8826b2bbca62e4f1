"""Real files of every format; a separate script, not the readers, counted the expected numbers in the raw files."""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from pandas.testing import assert_frame_equal
from pictures import PICTURES, collisions
from test_real_traces import town

import tokenvis as tv
from tokenvis.tree.relations import requests_in

ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ROOT, reason="TOKENVIS_REAL_TRACES is not set to a folder of real traces"),
]
CHROME, CODEX, INSPECT, LANGFUSE = "Chrome traces", "Codex rollouts", "Inspect logs", "Langfuse traces and observations"
MLFLOW, OTLP, SDK, TOWN = (
    "MLflow traces",
    "OpenTelemetry OTLP files",
    "OpenTelemetry Python SDK dumps",
    "Smallville simulations",
)

#   file: format, traces, spans, agents, locations, input tokens, output tokens,
#         spans with an agent name, with an inherited and with a fallback agent, with an estimated time, open
EXPECTED_COUNTS = {
    "anyagent_otel/GOOGLE_trace.json": (SDK, 1, 7, 1, 5, 2251, 86, 1, 0, 6, 0, 0),
    "anyagent_otel/LANGCHAIN_trace.json": (SDK, 1, 7, 1, 4, 1262, 125, 1, 6, 0, 0, 0),
    "anyagent_otel/OPENAI_trace.json": (SDK, 1, 6, 1, 4, 1020, 76, 1, 5, 0, 0, 0),
    "chrome_trace/multi-thread-with-samples.json": (CHROME, 1, 2, 1, 2, 0, 0, 2, 0, 0, 0, 0),
    "chrome_trace/multiprocess.json": (CHROME, 1, 8, 4, 8, 0, 0, 8, 0, 0, 0, 0),
    "chrome_trace/simple.json": (CHROME, 1, 4, 1, 1, 0, 0, 4, 0, 0, 1, 0),
    "chrome_trace/viztracer_multithread.json": (CHROME, 1, 582, 1, 5, 0, 0, 582, 0, 0, 0, 0),
    "codex/agentsview/traex_rollout_subagent.jsonl": (CODEX, 1, 7, 1, 4, 4200, 180, 7, 0, 0, 4, 0),
    "codex/letta/tool-calls.jsonl": (CODEX, 1, 7, 1, 4, 0, 0, 7, 0, 0, 4, 0),
    "inspect/2025-05-12T20-27-36-04-00_browser.json": (INSPECT, 1, 28, 3, 8, 15235, 281, 2, 23, 3, 0, 0),
    "inspect/log_streaming.eval": (INSPECT, 4, 20, 3, 4, 252, 6, 8, 4, 8, 4, 0),
    "inspect/utility_subagent_loop.json": (INSPECT, 1, 7, 3, 4, 15, 3, 2, 4, 1, 0, 0),
    "langfuse/google-adk-2025-08-28.json": (LANGFUSE, 1, 5, 2, 4, 67, 9, 1, 3, 1, 0, 0),
    "langfuse/openai-agents-2025-09-30.json": (LANGFUSE, 1, 5, 2, 3, 140, 44, 1, 3, 1, 0, 0),
    "langfuse/pydantic-ai-tools-2025-12-04.json": (LANGFUSE, 1, 12, 3, 5, 1315, 209, 3, 8, 1, 0, 0),
    "mlflow/generated_3_spans.json": (MLFLOW, 1, 3, 2, 2, 0, 0, 2, 1, 0, 0, 0),
    "otlp/opentelemetry-proto_trace.json": (OTLP, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0),
    "otlp/sample-1_VSGitHubCopilot_traces.jsonl": (OTLP, 1, 4, 1, 4, 0, 0, 1, 3, 0, 0, 0),
    "otlp/sample-4_VSGitHubCopilot_traces.jsonl": (OTLP, 1, 5, 1, 4, 0, 0, 2, 3, 0, 0, 0),
    "smallville/ringworld_master_movement.json": (TOWN, 1, 78, 9, 19, 0, 0, 78, 0, 0, 0, 0),
    "smallville/ville_3agents_master_movement.json": (TOWN, 1, 251, 3, 18, 0, 0, 251, 0, 0, 0, 0),
}


def read(name, **options):
    return tv.ingest(Path(ROOT, name), **options)


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_the_counts_of_a_file(name):
    report = read(name)
    used = tv.usage(report.spans(), by="trace_id")
    counts = (len(report.written), report.n_spans, report.n_agents, report.n_locations)
    tokens = tuple(int(used[column].fillna(0).sum()) for column in ("input_tokens", "output_tokens"))
    found = report.agents_from
    inherited, fallback = found["ancestor"], found["service"] + found["trace"]
    agents = (found.total() - inherited - fallback, inherited, fallback)
    figures = (*counts, *tokens, *agents, report.n_estimated, report.n_open)
    assert (*set(report.formats.values()), *figures) == EXPECTED_COUNTS[name]
    assert report.problems == []


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_a_file_read_again_or_exported_has_the_same_spans(name):
    report = read(name)
    spans = report.spans()
    again = read(name)
    assert sum(one.unchanged for one in again.written) == len(spans)
    for suffix in ("parquet", "csv", "jsonl", "json", "otlp.json"):
        if suffix == "otlp.json" and spans["start_time"].min() < 0:
            continue
        back = tv.ingest(tv.export(spans, f"x.{suffix}"), store=f"{suffix}.db")
        assert back.problems == []
        names = [] if suffix in ("parquet", "csv", "jsonl") else ["trace_name"]  # the others have no place for it
        assert_frame_equal(*(frame.drop(columns=names, errors="ignore") for frame in (back.spans(), spans)))


#   file: tool calls, calls with the id of a call, calls that name the model call that asked for them, spans with a task
REQUESTS = {
    "anyagent_otel/GOOGLE_trace.json": (3, 3, 0, 0),  # the answers have no ids
    "anyagent_otel/LANGCHAIN_trace.json": (2, 0, 0, 0),
    "anyagent_otel/OPENAI_trace.json": (2, 0, 0, 0),
    "claude_code/spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl": (183, 183, 183, 1),
    "claude_code/spotter/subagent.jsonl": (16, 16, 16, 0),
    "claude_code/spotter/tool_heavy.jsonl": (6, 6, 6, 0),
    "claude_code/zoetrope/demo.jsonl": (20, 20, 20, 6),
    "codex/agentsview/traex_rollout_subagent.jsonl": (3, 3, 3, 1),
    "codex/letta/tool-calls.jsonl": (3, 3, 3, 0),
    "inspect/2025-05-12T20-27-36-04-00_browser.json": (8, 4, 4, 0),  # each call is an event and a span
    "inspect/utility_subagent_loop.json": (1, 1, 1, 0),
    "langfuse/google-adk-2025-08-28.json": (1, 1, 0, 0),  # the id is not in the answer
    "langfuse/openai-agents-2025-09-30.json": (1, 0, 0, 0),
    "langfuse/pydantic-ai-tools-2025-12-04.json": (3, 3, 3, 0),
    "mlflow/generated_3_spans.json": (1, 0, 0, 0),
    "otlp/sample-1_VSGitHubCopilot_traces.jsonl": (3, 3, 0, 0),  # the model calls are not recorded
    "otlp/sample-4_VSGitHubCopilot_traces.jsonl": (3, 3, 0, 0),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_tool_call_names_a_model_call_of_its_agent_that_started_before_it(name):
    keys = ["kind", "gen_ai.tool.call.id", "requested_by", "task"]
    spans = tv.expand_data(read(name).spans(), keys)
    tools = spans[spans["kind"] == "tool"]
    assert REQUESTS[name] == (len(tools), *(spans.loc[spans["kind"].notna(), key].notna().sum() for key in keys[1:]))
    call, asked_by = requests_in(spans)
    assert len(call) == REQUESTS[name][2]
    calls, models = spans.iloc[call], spans.iloc[asked_by]
    assert set(models["kind"]) <= {"model"}
    assert calls["agent_id"].astype(str).tolist() == models["agent_id"].astype(str).tolist()
    assert (calls["start_time"].to_numpy() >= models["start_time"].to_numpy()).all()
    assert "unknown link" not in set(tv.diagnose(spans)["kind"])


def test_the_folder_with_all_files_is_read_at_once():
    report = tv.ingest(ROOT, store="all.db")
    assert set(report.formats.values()) == {CHROME, CODEX, INSPECT, LANGFUSE, MLFLOW, OTLP, SDK, TOWN, "Claude Code sessions"}
    assert report.n_spans == 335 + 28 + 10 + 44 + sum(counts[2] for counts in EXPECTED_COUNTS.values())


def test_the_agents_of_a_town_have_the_times_of_its_samples():
    spans = read("smallville/ville_3agents_master_movement.json").spans()
    samples = town("ville_3agents")
    assert spans["agent_id"].nunique() == samples["agent_id"].nunique() == 3
    for agent, walked in spans.groupby("agent_id", observed=True):
        seen = samples[samples["agent_id"] == agent]
        assert walked["end_time"].max() - walked["start_time"].min() == seen["end_time"].max() - seen["start_time"].min()


DRAWN = [
    "codex/agentsview/traex_rollout_subagent.jsonl",
    "inspect/2025-05-12T20-27-36-04-00_browser.json",
    "langfuse/pydantic-ai-tools-2025-12-04.json",
    "chrome_trace/viztracer_multithread.json",
    "smallville/ringworld_master_movement.json",
    "anyagent_otel/GOOGLE_trace.json",
]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_of_a_picture_overlaps_another_or_leaves_the_figure(name, picture):
    spans = read(name).spans()
    assert collisions(PICTURES[picture](spans).figure) == []
    plt.close("all")


def test_the_epochs_of_a_sample_take_the_same_steps():
    spans = read("inspect/log_streaming.eval").spans()
    first, *others = (spans[spans["trace_id"] == trace] for trace in spans["trace_id"].unique())
    assert len(others) == 3
    for other in others:
        steps = tv.alignment(first, other)
        assert len(steps) == 5
        assert set(steps["step"]) <= {"same", "changed"}
        assert set(steps["difference"].dropna()) <= {"slower", "faster"}


def test_two_sessions_part_at_the_tools_that_they_use_first():
    a, b = (read(f"otlp/sample-{number}_VSGitHubCopilot_traces.jsonl").spans() for number in (1, 4))
    steps = tv.alignment(a, b)
    [first] = steps[steps["first_divergence"]].to_dict("records")
    assert (first["step"], first["label"]) == ("only in a", "execute_tool get_file")
    assert "execute_tool" in b.loc[b["id"] == first["instead"], "data"].item()
    assert steps["step"].tolist() == ["same", "only in a", "changed", "changed", "only in b", "only in b"]


def test_real_traces_have_the_names_by_which_people_know_them():
    """Titles and prompts of sessions, samples of an evaluation; else the files."""
    store = tv.Store("all.db")
    for folder in ("claude_code", "inspect", "otlp", "chrome_trace", "codex"):
        tv.ingest(Path(ROOT, folder), store=store)
    names = tv.load_traces(store=store).set_index("id")["name"]
    assert len(names) == names.nunique() == 19
    assert names[["demo", "d6e0bada-1959-4eec-a9d2-0bfade768d8f", "3RWm2YmdLiKCyQMzEcERin/1/2"]].tolist() == [
        "Add a dark mode toggle to settings",
        "start phoenix in background",
        "popularity 1 epoch 2",
    ]
    assert {"opentelemetry-proto_trace", "viztracer_multithread", "utility_subagent_loop"} <= set(names)


def test_the_epochs_of_a_sample_are_runs_of_one_task():
    store = tv.ingest(Path(ROOT, "inspect")).store
    keys = ["inspect.task", "inspect.sample", "inspect.epoch", "inspect.score"]
    traces = tv.load_traces(attributes=keys, store=store)
    chosen = traces[(traces["inspect.task"] == "popularity") & (traces["inspect.sample"] == 1)].sort_values("inspect.epoch")
    assert chosen[keys[2:]].to_numpy().tolist() == [[1, "I"], [2, "C"]]
    assert tv.load_spans(chosen["id"], store=store)["trace_id"].nunique() == 2


def test_the_attributes_of_real_sessions():
    store = tv.Store("sessions.db")
    for folder in ("claude_code/spotter", "codex/letta", "otlp"):
        tv.ingest(Path(ROOT, folder), store=store)
    keys = ["service.version", "vcs.ref.head.name", "gen_ai.request.model"]
    traces = tv.load_traces(attributes=keys, store=store).set_index("id")
    assert traces.loc["4d5611e5-241a-462a-8d15-5122611a9569", keys].tolist() == [
        "2.1.39",
        "spotter-dov",
        ["claude-opus-4-6", "claude-sonnet-4-5-20250929"],
    ]
    assert traces.loc["s1", keys[1:]].tolist() == ["feature/retry", "gpt-5.3-codex"]
    assert set(traces["service.version"].dropna()) == {"2.1.38", "2.1.39", "18.6.11822.322"}
