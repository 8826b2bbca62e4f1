"""Real sessions; a separate script, not the reader, counted the expected numbers in the raw lines."""

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from claude_sessions import spans_in
from pictures import PICTURES, collisions

import tokenvis as tv
from tokenvis import ingest, spans_from_samples

ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ROOT, reason="TOKENVIS_REAL_TRACES is not set to a folder of real traces"),
]
FOLDER = Path(ROOT or ".", "claude_code")
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"

#                                       spans, models, agents, locations, input, output, estimated, open, errors, files
EXPECTED_COUNTS = {
    "spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl": (335, 152, 3, 11, 12_947_261, 28_899, 152, 0, 13, 3),
    "spotter/subagent.jsonl": (28, 12, 1, 10, 454_704, 1_586, 12, 0, 0, 1),
    "spotter/tool_heavy.jsonl": (10, 4, 1, 6, 105_981, 212, 4, 0, 0, 1),
    "zoetrope/demo.jsonl": (44, 24, 7, 9, 38_930, 3_840, 31, 0, 1, 7),
}


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_the_counts_of_a_session(name):
    report = ingest(FOLDER / name)
    spans = spans_in(report, "kind", "status", INPUT, OUTPUT)
    assert EXPECTED_COUNTS[name] == (
        len(spans),
        (spans["kind"] == "model").sum(),
        spans["agent_id"].nunique(),
        spans["location_id"].nunique(),
        spans[INPUT].sum(),
        spans[OUTPUT].sum(),
        report.n_estimated,
        (spans["status"] == "open").sum(),
        (spans["status"] == "error").sum(),
        len(report.formats),
    )
    gone = "the transcript of subagent 'afb92ff' is missing, so its work was skipped; echo lines in this file: 19"
    missing = [f"subagent.jsonl: {gone}."]
    assert [str(problem) for problem in report.problems] == (missing if name == "spotter/subagent.jsonl" else [])


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_a_session_is_consistent(name):
    spans = spans_in(ingest(FOLDER / name), "kind", "estimated", "parent_id").set_index("id")
    children = spans[spans["parent_id"].notna()]
    parents = spans.loc[children["parent_id"]]
    assert (children["start_time"].to_numpy() >= parents["start_time"].to_numpy()).all()
    assert (children["agent_id"].to_numpy() != parents["agent_id"].to_numpy()).all()
    models = spans[spans["kind"] == "model"].sort_values("end_time")
    assert ["start_time" in estimated for estimated in models["estimated"]] == [True] * len(models)
    for _, calls in models.groupby("agent_id", observed=True):  # an agent calls one model at a time
        assert (calls["start_time"].to_numpy()[1:] >= calls["end_time"].to_numpy()[:-1]).all()


@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl", {"main": 289, "Explore": 45, "compaction": 1}),
        (
            "zoetrope/demo.jsonl",
            {
                "main": 16,
                "general-purpose 2": 9,
                "Explore": 5,
                "general-purpose": 5,
                "claude-code-guide": 3,
                "code-review": 3,
                "code-review 2": 3,
            },
        ),
    ],
)
def test_the_agents_of_a_session(name, agents):
    assert ingest(FOLDER / name).spans()["agent_id"].value_counts().to_dict() == agents


def test_every_file_adds_its_session_and_a_folder_adds_all():
    report = ingest(FOLDER)
    assert sorted(written.added for written in report.written) == [10, 28, 44, 335]
    assert len(report.formats) == 12
    assert report.skipped["files of unknown format"] == 1  # a workflow's journal
    for path in sorted(FOLDER.rglob("agent-*.jsonl")):
        again = ingest(path)
        assert [(written.added, written.updated) for written in again.written] == [(0, 0)]
        assert again.written[0].unchanged in (44, 335)


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_content_none_keeps_no_text(name):
    full = spans_in(ingest(FOLDER / name, store="full.db"), "kind").drop(columns="data")
    report = ingest(FOLDER / name, content="none", store="none.db")
    bare = spans_in(report, "kind").drop(columns="data")
    same = ["id", "location_id", "start_time", "end_time", "kind"]
    assert (
        bare[same].sort_values("id").astype(str).to_numpy().tolist()
        == full[same].sort_values("id").astype(str).to_numpy().tolist()
    )
    assert report.n_cut > 0
    assert max(len(data) for data in report.spans()["data"]) < 1_000


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_no_text_of_a_picture_overlaps_another_or_leaves_the_figure(name, picture):
    spans = ingest(FOLDER / name).spans()
    assert collisions(PICTURES[picture](spans).figure) == []
    for width in (3.5, 7.2):
        figure, ax = plt.subplots(figsize=(width, 3.2), layout="constrained")
        PICTURES[picture](spans, ax=ax)
        assert collisions(figure) == []
    plt.close("all")


TOWNS = ["ville_3agents", "ringworld"]


def town(name):
    """The spans of a simulated town: the location of each agent at each step, from the last record of the agent."""
    meta = json.loads(Path(ROOT, "smallville", f"{name}_meta.json").read_text())
    moves = json.loads(Path(ROOT, "smallville", f"{name}_master_movement.json").read_text())
    now, rows = {}, []
    for step in range(max(map(int, moves)) + 1):
        now |= {
            who: ":".join(what["description"].split(" @ ")[-1].split(":")[:3]) for who, what in moves.get(str(step), {}).items()
        }
        rows += [(step, who, place) for who, place in now.items()]
    samples = pd.DataFrame(rows, columns=["step", "who", "place"])
    step_us = int(meta["sec_per_step"]) * 1_000_000
    return spans_from_samples(samples, time="step", agent="who", location="place", step_us=step_us, trace_id=name)


@pytest.mark.parametrize("name", [*EXPECTED_COUNTS, *TOWNS])
def test_the_answers_about_a_trace_are_consistent(name):
    spans = town(name) if name in TOWNS else ingest(FOLDER / name).spans()
    [size] = tv.summary(spans).to_dict("records")
    steps = tv.concurrency(spans)
    assert steps["running"].max() == size["peak"]
    assert steps["running"].iloc[-1] == 0
    lasts = steps["time"].diff().shift(-1).fillna(0)
    assert (lasts * steps["running"]).sum() == size["busy_us"] == tv.occupancy(spans)["busy_us"].sum()
    assert lasts[steps["running"] > 0].sum() == size["active_us"]
    assert tv.gaps(spans)["gap_us"].sum() == size["wall_us"] - size["active_us"]
    path = tv.critical_path(spans)
    assert path["part_us"].sum() == size["wall_us"]
    spent = tv.time_spent(spans)
    assert (spent.filter(like="_us").drop(columns="wall_us").sum(axis=1) == spent["wall_us"]).all()
    waiting = tv.self_spans(spans).query("state != 'work'")
    assert tv.waits(spans)["wait_us"].sum() == (waiting["end_time"] - waiting["start_time"]).sum()
    assert tv.transitions(spans)["n_moves"].sum() == len(tv.moves(spans))
    assert tv.rollup(spans, "10min")["busy_us"].sum() == size["busy_us"]
    assert (tv.compare(spans, spans)["busy_change_us"] == 0).all()
    assert set(tv.alignment(spans, spans)["step"]) == {"same"}
    together = tv.colocation(spans)
    assert (together["overlap_us"] <= size["active_us"]).all()
    assert (together["agent_id"].astype("str") < together["other_agent_id"].astype("str")).all()


@pytest.mark.parametrize("name", EXPECTED_COUNTS)
def test_the_tokens_of_a_session_are_counted_once(name):
    spans = ingest(FOLDER / name).spans()
    *_, read, wrote, _, _, n_errors, _ = EXPECTED_COUNTS[name]
    for by in ("agent_id", "model", "trace_id", "location_id"):
        table = tv.usage(spans, by=by)
        assert (table["input_tokens"].sum(), table["output_tokens"].sum()) == (read, wrote)
        assert table["n_calls"].sum() == EXPECTED_COUNTS[name][1]
    assert tv.summary(spans)["n_errors"].tolist() == [n_errors]


def test_a_subagent_with_many_calls_has_one_delegation():
    spans = ingest(FOLDER / "spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl").spans()
    table = tv.handoffs(spans)
    assert table[["from_agent", "to_agent", "evidence"]].to_numpy().tolist() == [
        ["main", "Explore", "delegate"],
        ["Explore", "main", "return"],
        ["main", "compaction", "link"],
        ["compaction", "main", "link"],
    ]
    path = tv.critical_path(spans)
    waited = path[path["agent_id"] == "Explore"]
    assert waited["start"].min() == table["arrived"].iloc[0]
    assert waited["end"].max() == table["left"].iloc[1]
    longest = tv.gaps(spans, min_us=60_000_000)
    assert longest["cause"].tolist() == ["user", "user"]  # a prompt, and an answer
    found = tv.diagnose(spans).set_index("kind")
    assert found.query("about == 'data'")["n_spans"].to_dict() == {"self-overlap": 52, "estimated": 152, "idle": 2}


def test_what_the_agents_of_a_session_did_again():
    spans = ingest(FOLDER / "spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl").spans()
    found = tv.diagnose(spans).query("about == 'behaviour'")
    assert found[["kind", "n_spans", "time_us"]].to_numpy().tolist() == [
        ["stall", 1, 159_999_000],  # a command of 161 s
        ["repeated call", 3, 9_000],  # a file that was read three times
        ["retry", 6, 4_000],  # files that the subagent could not read at first
    ]


def test_a_simulation_without_links_has_no_handoffs():
    spans = town("ville_3agents")
    assert len(tv.handoffs(spans)) == 0
    assert tv.diagnose(spans).query("about == 'data'")["kind"].tolist() == ["unconnected"]
    [peak] = tv.summary(spans)["peak"]
    assert peak == 3
