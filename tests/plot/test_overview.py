import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import seeded_spans, spans_of, with_data
from matplotlib.collections import PolyCollection
from pictures import boxes_of, collisions

from tokenvis import palette, plot_overview
from tokenvis.plot.artists.row_texts import RowTexts
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.parts.key_numbers import wrapped
from tokenvis.plot.parts.page import PAGE_LEFT, PageText

SECOND = 1_000_000


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * SECOND, end_time=spans["end_time"] * SECOND)


def workflow():
    return seeded_spans("multi-agent-workflow")


def parts_of(figure):
    return {ax.get_gid(): ax for ax in figure.axes}


def lines_of(ax):
    """The lines of text above an Axes: the bold beginning, and the rest."""
    [text] = [artist for artist in ax.get_children() if isinstance(artist, PageText)]
    return [(line.bold, line.rest) for line in text.lines]


def columns_of(ax):
    """The columns of numbers of an Axes."""
    return {artist.header: artist.row_texts for artist in ax.get_children() if isinstance(artist, RowTexts)}


def names_of(ax):
    return [ax.yaxis.get_major_formatter()(row + 0.5) for row in range(round(ax.get_ylim()[0]))]


def bars_of(ax):
    """The bars of an Axes: row, left, right, and colour, from the top."""
    bars = []
    for collection in ax.collections:
        if isinstance(collection, PolyCollection) and not collection.get_label().endswith("texture"):
            corners = [path.vertices for path in collection.get_paths()]
            colors = [tuple(color) for color in collection.get_facecolors()]
            bars += [(int(c[0, 1]), c[:, 0].min(), c[:, 0].max(), color) for c, color in zip(corners, colors, strict=True)]
    return sorted(bars)


def lengths_of(ax):
    """The lengths of the pieces of each row's bar, in seconds."""
    rows = {}
    for row, left, right, _ in bars_of(ax):
        rows.setdefault(row, []).append(round((right - left) / SECOND, 3))
    return rows


def delegating():
    """A lead that starts two agents one after the other, and asks its user for 20 s."""
    spans = spans_of(
        *("lead 0 100 desk", "ann 10 30 model:m", "bob 30 70 tool:web", "lead 75 95 tool:ask"),
        parents={"b": "a", "c": "a", "d": "a"},
    )
    used = {"attributes": {"gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 100, "gen_ai.usage.cost": 0.25}}
    return with_data(seconds(spans), b=used, c={"status": "error"}, d={"waits_for": True})


def test_the_page_has_a_title_key_numbers_and_a_heading_for_each_part():
    figure = plot_overview(workflow())
    parts = parts_of(figure)
    assert list(parts) == ["timeline", "concurrency", "agents", "locations"]
    assert figure.get_suptitle() == "multi-agent-workflow"
    assert lines_of(parts["timeline"]) == [
        (
            "",
            "40 spans · 6 agents · 5 locations · 1m wall · 58.6 s active, two or more at once for 55% of it · idle for 1.4 s"
            " · peak 4 · 1 error · 17.2k tokens",
        ),
        ("Timeline", "a band for each location"),
    ]
    assert lines_of(parts["concurrency"]) == [("Concurrency", "spans running at once, by agent")]
    assert [lines_of(parts[name])[0][0] for name in ("agents", "locations")] == ["Agents", "Locations"]
    assert [ax.get_title(loc=side) for ax in figure.axes for side in ("left", "right")] == [""] * 8
    assert len(plt.get_fignums()) == 1


def test_all_parts_have_the_same_edges_and_their_headings_start_at_the_left_edge_of_the_page():
    figure = plot_overview(delegating())
    figure.canvas.draw()
    assert {(round(ax.bbox.x0, 3), round(ax.bbox.x1, 3)) for ax in figure.axes} == {
        tuple(round(x, 3) for x in (figure.axes[0].bbox.x0, figure.axes[0].bbox.x1))
    }
    renderer = figure.canvas.get_renderer()
    texts = [artist for ax in figure.axes for artist in ax.get_children() if isinstance(artist, PageText)]
    left = {min(text.get_window_extent(renderer).x0 for text in artist.texts(renderer)) for artist in texts}
    assert left == pytest.approx([figure.bbox.width * PAGE_LEFT] * len(left), abs=1.5)
    assert collisions(figure) == []


def test_the_parts_over_time_share_one_axis():
    parts = parts_of(plot_overview(asking(60, 50)))
    over_time = [parts[name] for name in ("timeline", "concurrency", "fan-outs")]
    assert len({ax.get_xlim() for ax in over_time}) == 1
    assert all(ax.get_shared_x_axes().joined(ax, over_time[0]) for ax in over_time[1:])


def test_the_wait_for_a_person_is_told_with_its_share_and_its_location():
    lines = lines_of(plot_overview(delegating()).axes[0])
    assert lines[0] == (
        "",
        "4 spans · 3 agents · 4 locations · 1m 40s wall · 1m 20s active, two or more at once for 0% of it · peak 1 · 1 error"
        " · 500 tokens · cost 0.25",
    )
    assert lines[1] == ("Waiting for you 20 s (20% of the wall time)", "tool:ask 20 s")


def test_a_wait_beside_work_is_told_apart():
    spans = seconds(spans_of("ann 0 40 tool:ask", "bob 0 30 desk"))
    longer = spans.assign(end_time=[50 * SECOND, 40 * SECOND])  # bob's row is the first
    assert lines_of(plot_overview(with_data(spans, a={"waits_for": "Zoe"})).axes[0])[1] == (
        "Waiting for Zoe while nothing works: 10 s (25% of the wall time)",
        "tool:ask 40 s",
    )
    assert lines_of(plot_overview(with_data(longer, a={"waits_for": True})).axes[0])[1] == (
        "Waiting for you while others work",
        "tool:ask 40 s",
    )
    both = with_data(longer, a={"waits_for": "Zoe"}, b={"waits_for": "Max", "waits_for_kind": "person"})
    assert (
        lines_of(plot_overview(both).axes[0])[1][0] == "Waiting for 2 people while nothing works: 50 s (100% of the wall time)"
    )


def test_a_row_for_each_agent_has_its_times_as_a_bar_and_its_numbers():
    ax = parts_of(plot_overview(delegating()))["agents"]
    assert names_of(ax) == ["bob", "ann", "lead"]
    assert columns_of(ax) == {
        "work": ["40 s", "20 s", "20 s"],
        "waits": ["0", "0", "1m 20s"],
        "tokens": ["–", "500", "–"],
        "cost": ["–", "0.25", "–"],
        "errors": ["1", "0", "0"],
    }
    assert lengths_of(ax) == {0: [40], 1: [20], 2: [20, 20, 40]}  # lead: other work, the user, and agents, cut at 80 s
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *("model", "tool", "other work", "waits for a person", "waits for an agent")
    ]
    [cut] = [c for c in ax.collections if c.get_label() == "cut"]
    assert cut.get_offsets().tolist() == [[80 * SECOND, 2.5]]
    assert ax.get_label() == "Agents of t, and where their time went: bob works most, for 40 s."


def test_columns_that_the_source_does_not_give_are_left_out():
    ax = parts_of(plot_overview(seconds(spans_of("ann 0 9 desk", "bob 2 4 lab"))))["agents"]
    assert columns_of(ax) == {"work": ["9 s", "2 s"]}
    assert ax.get_legend() is None


def test_agents_that_only_wait_come_last_and_many_agents_end_in_others():
    rows = [f"agent-{n:02} 0 {n + 1} desk" for n in range(20)]
    spans = seconds(spans_of("flow 0 3 flow", *rows, parents=dict.fromkeys("bcdefghijklmnopqrstu", "a")))
    ax = parts_of(plot_overview(spans[spans["agent_id"].isin(["flow", "agent-01", "agent-02"])]))["agents"]
    assert names_of(ax) == ["agent-02", "agent-01", "flow"]
    ax = parts_of(plot_overview(spans[spans["agent_id"] != "flow"].drop(columns="parent_id")))["agents"]
    assert names_of(ax) == [*(f"agent-{n:02}" for n in range(19, 8, -1)), "9 others"]
    assert columns_of(ax)["work"][-1] == "45 s"
    assert bars_of(ax)[-1] == (11, 0.0, 40 * SECOND, (*np.array([0xA9, 0xAE, 0xB8]) / 255, 1.0))


def test_locations_have_the_work_of_each_agent():
    spans = seconds(spans_of("ann 0 9 desk", "bob 2 6 desk", "bob 6 11 lab"))
    ax = parts_of(plot_overview(spans))["locations"]
    assert names_of(ax) == ["desk", "lab"]
    assert columns_of(ax) == {"work": ["13 s", "5 s"], "spans": ["2", "1"]}
    assert lengths_of(ax) == {0: [9, 4], 1: [5]}
    colors = palette(["ann", "bob"])
    assert [plt.matplotlib.colors.to_hex(color) for *_, color in bars_of(ax)] == [colors["ann"], colors["bob"], colors["bob"]]
    assert ax.get_label() == "Locations of t, and the work of each agent there: the most is at desk, 13 s."


def test_each_fan_out_has_its_verdict_and_what_it_could_save():
    ax = parts_of(plot_overview(delegating()))["fan-outs"]
    assert lines_of(ax) == [("Fan-outs", "1 serial; pale: saved if all had started at once")]
    assert names_of(ax) == ["lead starts 2"]
    assert columns_of(ax) == {"verdict": ["serial"], "overlap": ["0%"], "speed-up": ["1.0× of 1.5×"], "to save": ["≤ 20 s"]}
    assert [(left / SECOND, right / SECOND) for _, left, right, _ in bars_of(ax)] == [(10, 50), (50, 70)]
    assert ax.get_label() == "1 fan-out of t: 1 serial; at most 20 s could be saved in one."


def asking(*ends, every=100):
    """A lead whose model calls, so many seconds apart, each ask for two calls of tools: one of 1 s, and one of these."""
    rows, data = [], []
    for n, end in enumerate(ends):
        start = every * n
        rows += [
            f"lead {start} {start + 1} model:m",
            f"lead {start + 1} {start + 2} tool:a",
            f"lead {start + 1} {start + 1 + end} tool:b",
        ]
        data += [None, *[json.dumps({"requested_by": f"{3 * n:02}"})] * 2]
    spans = seconds(spans_of(*rows)).assign(id=[f"{n:02}" for n in range(len(rows))])
    return spans.assign(data=pd.array(data, dtype="str"))


def test_the_fan_outs_that_could_save_most_are_drawn_and_all_are_counted():
    ax = parts_of(plot_overview(asking(90, 80, 70, 60, 50, 40, 30, 3)))["fan-outs"]
    assert lines_of(ax)[0][1] == "8 parallel; here the 6 that could save most; pale: saved if all had started at once"
    assert len(names_of(ax)) == 6
    assert lines_of(parts_of(plot_overview(asking(30, 20)))["fan-outs"])[0][1].startswith("2 parallel; pale")
    ax = parts_of(plot_overview(asking(2, 3, every=1_000), gaps="keep"))["fan-outs"]
    assert lines_of(ax)[0][1].startswith("2 parallel; here the one that could save most;")


def test_parts_without_content_are_left_out():
    assert list(parts_of(plot_overview(spans_of("ann 0 9 desk")))) == ["timeline", "agents"]
    assert list(parts_of(plot_overview(spans_of("ann 0 9 desk", "bob 9 12 lab")))) == ["timeline", "agents", "locations"]
    assert list(parts_of(plot_overview(spans_of("ann 3 3 desk", "bob 3 3 lab")))) == ["timeline", "agents", "locations"]


def test_an_empty_trace_has_a_message():
    figure = plot_overview(spans_of("ann 0 1 desk").iloc[:0])
    assert [ax.get_label() for ax in figure.axes] == ["No span is left of trace 't': the frame is empty after a filter."]


def test_filtering_keeps_the_colours():
    spans = workflow()
    figure = plot_overview(spans[spans["agent_id"] == "Reviewer"])
    [text] = figure.axes[0].get_legend().get_texts()[:1]
    assert text.get_text() == "Reviewer"
    last = bars_of(parts_of(figure)["locations"])[-1][-1]
    assert plt.matplotlib.colors.to_hex(last) == palette(spans["agent_id"])["Reviewer"]


def test_lines_that_are_too_long_are_cut_and_nothing_leaves_the_page():
    spans = delegating().assign(trace_id="t" * 3_000)
    spans["location_id"] = [f"{name}{'x' * 300}" for name in spans["location_id"]]
    figure = plot_overview(spans)
    assert collisions(figure) == []
    assert any(text.startswith("tool:ask") and text.count("…") == 1 for text, _ in boxes_of(figure))
    assert figure.get_suptitle().endswith("t…")


def test_key_numbers_that_do_not_fit_on_a_line_take_two():
    assert wrapped(["40 spans", "6 agents"], 200) == ["40 spans · 6 agents"]
    assert wrapped(["40 spans", "6 agents", "5 locations", "peak 4"], 100) == ["40 spans · 6 agents", "5 locations · peak 4"]


def test_the_parts_of_one_agent_only_have_the_colours_of_its_locations():
    spans = seconds(spans_of("ann 0 9 desk", "ann 2 5 lab"))
    parts = parts_of(plot_overview(spans))
    colors = palette(["desk", "lab"])
    assert [plt.matplotlib.colors.to_hex(color) for *_, color in bars_of(parts["locations"])] == list(colors.values())
    assert {plt.matplotlib.colors.to_hex(color) for *_, color in bars_of(parts["agents"])} == {LIGHT.accent}
    assert "agents" not in lines_of(parts["locations"])[-1][1]


def test_the_id_of_a_trace_is_beside_its_name():
    figure = plot_overview(delegating().assign(trace_name="Nightly run"))
    assert [text.get_text() for text in figure.texts] == ["Nightly run", "t"]
    assert [text.get_text() for text in plot_overview(delegating()).texts] == ["t", ""]
    long = plot_overview(delegating().assign(trace_id="4d5611e5" * 40, trace_name="Nightly run " * 40))
    long.draw_without_rendering()
    title, trace_id = (text.get_window_extent() for text in long.texts)
    assert title.x1 < trace_id.x0
    assert trace_id.x1 < long.bbox.width
