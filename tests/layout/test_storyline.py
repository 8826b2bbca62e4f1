import re
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from clocks import FakeClock
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from pandas.testing import assert_frame_equal
from stories import FEWEST_CROSSINGS, needs_stories, spans_of_story
from test_ordering import fewest_crossings

from tokenvis import BadOption, BadSpan, MissingColumn, palette, plot_storyline, self_spans, storyline, theme
from tokenvis.errors import quoted
from tokenvis.layout.storylines import layers as layers_module
from tokenvis.layout.storylines import storyline as layout
from tokenvis.layout.storylines.blocks import blocks_by_group
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.orders import order_lines
from tokenvis.plot.artists.colors import OTHERS_COLOR, QUALITATIVE_COLORS
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.storylines.lines import ABSENT_COLOR_SHARE, shaded_color
from tokenvis.plot.artists.storylines.names import LineLabels
from tokenvis.plot.artists.storylines.rooms import room_color
from tokenvis.plot.artists.style import LIGHT, THEMES, blend_colors
from tokenvis.plot.artists.text import FoldLabels

TABLES = ("lines", "branches", "totals")


def lines(drawn):
    """The lines as text: agent, layer, height, group, location."""
    table = drawn.lines[["agent_id", "layer", "y", "group", "location_id"]]
    return [" ".join(str(value) for value in row) for row in table.itertuples(index=False)]


def homes_at(begun, pieces, time):
    """The location of each agent, by its latest span (ties: the last in the order of the frame), and the other spans."""
    running = [piece for piece in pieces if piece.start_time <= time < piece.end_time]
    rows = {row.agent_id: row for row in sorted(running, key=lambda row: begun[row.id])}
    return {agent: row.location_id for agent, row in rows.items()}, {row.id for row in running} - {
        row.id for row in rows.values()
    }


def check(spans, drawn, *, free=True):
    """The validator: groups are together, crossings are recounted, each line has its own height."""
    for trace, table in drawn.lines.groupby("trace_id", observed=True):
        total = drawn.totals.set_index("trace_id").loc[trace]
        layers = [table[table["layer"] == number] for number in range(total["n_layers"])]
        for layer in layers:
            heights, groups = layer["y"].tolist(), layer["group"].tolist()
            assert len(set(heights)) == len(heights)
            assert list(dict.fromkeys(groups)) == list(range(len(set(groups))))
            assert groups == sorted(groups) or not free
            for (upper, one), (lower, two) in pairwise(zip(heights, groups, strict=True)):
                assert not free or (lower - upper == 1 if one == two else lower - upper >= 2)
            together = layer.dropna(subset="location_id").groupby("location_id", observed=True)["group"]
            assert together.nunique().max() <= 1 if len(together) else True
            assert layer.loc[layer["is_pause"], "location_id"].isna().all()
            shared = layer.groupby("group").filter(lambda group: len(group) > 1)
            assert (shared["location_id"].notna() | shared["is_pause"]).all()
            assert all(len(set(group.dropna())) <= 1 for _, group in shared.groupby("group")["location_id"])
        places = [dict(zip(layer["agent_id"], layer["y"], strict=True)) for layer in layers]
        crossed = sum(
            (upper[one] < upper[two]) != (lower[one] < lower[two])
            for upper, lower in pairwise(places)
            for one, two in combinations(sorted(upper.keys() & lower.keys()), 2)
        )
        ways = [abs(lower[agent] - upper[agent]) for upper, lower in pairwise(places) for agent in upper.keys() & lower.keys()]
        assert total[["crossings", "movement", "wiggles"]].tolist() == [crossed, sum(ways), sum(way > 0 for way in ways)]
        assert total["height"] == table["y"].max()
        assert total["n_agents"] == spans.loc[spans["trace_id"] == trace, "agent_id"].nunique()
        assert 0 <= total["at_least"] <= total["crossings"]
        assert total["is_proven"] == (total["at_least"] == total["crossings"])


def test_lines_of_agents_at_one_location_run_side_by_side():
    drawn = storyline(spans_of("ann 0 9 desk", "eve 0 9 desk", "zoe 0 5 lab", "zoe 5 9 desk"))
    first = ["ann 0 0 0 desk", "eve 0 1 0 desk", "zoe 0 3 1 lab"]
    assert lines(drawn) == [*first, "ann 1 0 0 desk", "eve 1 1 0 desk", "zoe 1 2 0 desk"]
    assert drawn.lines[["start", "end"]].drop_duplicates().to_numpy().tolist() == [[0, 5], [5, 9]]


def test_an_agent_without_a_span_keeps_its_line_or_breaks_it():
    spans = spans_of("ann 0 2 desk", "ann 6 9 desk", "bob 0 9 lab")
    assert [row for row in lines(storyline(spans)) if row.startswith("ann")][1] == "ann 1 0 0 nan"
    assert [row for row in lines(storyline(spans, absent="break")) if row.startswith("ann 1")] == []


def test_an_agent_at_two_locations_is_at_the_later_and_branches_to_the_other():
    drawn = storyline(spans_of("ann 0 9 desk", "ann 3 6 lab", "bob 3 6 lab"))
    assert [row for row in lines(drawn) if " 1 " in row and row.endswith("lab")] == ["ann 1 0 0 lab", "bob 1 1 0 lab"]
    assert drawn.branches.drop(columns="trace_id").values.tolist() == [["ann", "desk", "a", 3, 6, 0]]


def test_a_parent_is_not_a_branch():
    drawn = storyline(spans_of("ann 0 9 desk", "ann 3 6 lab", parents={"b": "a"}))
    assert drawn.lines["location_id"].tolist() == ["desk", "lab", "desk"]
    assert len(drawn.branches) == 0


def test_an_instant_shares_no_location():
    drawn = storyline(spans_of("ann 0 9 desk", "bob 4 4 desk"))
    assert lines(drawn) == ["ann 0 0 0 desk", "bob 0 2 1 nan"]


def test_groups_may_come_from_another_column():
    spans = spans_of("ann 0 9 desk", "bob 0 9 desk", "eve 0 9 lab").assign(team=["x", None, "x"])
    table = storyline(spans, by="team").lines
    assert list(table.columns[-2:]) == ["location_id", "team"]
    assert table.sort_values("agent_id")["group"].tolist() == [0, 1, 0]
    assert table.set_index("agent_id").loc["bob", "team"] is np.nan
    assert table["location_id"].notna().all()


def test_numbers_that_make_groups_stay_numbers():
    spans = spans_of("ann 0 9 desk", "bob 0 3 desk", "bob 6 9 desk", "eve 0 9 lab").assign(team=[1, 2, 2, 1])
    table = storyline(spans, by="team").lines
    assert str(table["team"].dtype) == "Int64"
    assert table["team"].isna().sum() == 1
    assert [tick.get_text() for tick in plot_storyline(spans, by="team", locations="bands").get_yticklabels()] == ["1", "2"]


def test_short_layers_are_merged_and_counted(monkeypatch):
    monkeypatch.setattr(layers_module, "MAX_LAYERS", 3)
    monkeypatch.setattr(layers_module, "MIN_LAYER_LIMIT", 3)
    spans = spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(10)))
    drawn = storyline(spans)
    assert drawn.totals[["n_layers", "n_merged", "shortest_us"]].values.tolist() == [[2, 8, 5]]
    assert drawn.lines["location_id"].tolist() == ["lab", "desk"]


def test_an_empty_frame_is_an_empty_story_with_the_same_columns():
    some, none = storyline(spans_of("ann 0 1 desk", "ann 0 1 lab")), storyline(spans_of())
    for name in TABLES:
        assert getattr(none, name).dtypes.astype(str).to_dict() == getattr(some, name).dtypes.astype(str).to_dict()
        assert len(getattr(none, name)) == 0


def test_invalid_options_are_refused(monkeypatch):
    spans = spans_of("ann 0 1 desk")
    for options, message in {
        "absent": ({"absent": "gone"}, r"^absent='gone' is not one of 'line', 'break'\.$"),
        "locations": ({"locations": "far"}, r"^locations='far' is not one of 'free', 'bands'\.$"),
        "budget": ({"budget": -1}, r"^budget=-1 is not a number of seconds from 0 to 1,000,000\.$"),
        "word": ({"budget": "much"}, r"^budget='much' is not a number of seconds from 0 to 1,000,000\.$"),
        "endless": ({"budget": 1e300}, r"^budget=1e\+300 is not a number of seconds from 0 to 1,000,000\.$"),
        "columns": ({"by": ["location_id"]}, r"^by=\['location_id'\] is not a column name\.$"),
        "agents": ({"by": "agent_id"}, r"^by='agent_id' is a column of the storyline, as are 'trace_id', 'agent_id', "),
    }.values():
        with pytest.raises(BadOption, match=message):
            storyline(spans, **options)
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'team'\. They have: "):
        storyline(spans, by="team")
    with pytest.raises(BadSpan, match="does not fit into a 64-bit integer"):
        storyline(spans_of(f"ann {-(2**62)} {2**62} desk", "bob 0 1 desk").assign(start_time=[-(2**63), 0]))
    monkeypatch.setattr(layout, "find_spec", lambda _: None)
    message = r"^budget=2 needs the extra with the solver: pip install 'tokenvis\[storyline\]'\.$"
    with pytest.raises(BadOption, match=message):
        storyline(spans, budget=2)
    assert storyline(spans).totals["is_proven"].tolist() == [True]


def test_without_a_proof_the_search_result_is_used():
    rounds = [(0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2)] * 3
    spans = spans_of(
        *(f"{who} {n} {n + 1} {'desk' if who in pair else who}" for n, pair in enumerate(rounds) for who in range(4))
    )
    found, proven = storyline(spans, budget=0).totals.iloc[0], storyline(spans).totals.iloc[0]
    assert (found["is_proven"], found["at_least"]) == (False, 0)
    assert (proven["is_proven"], proven["at_least"]) == (True, proven["crossings"])
    assert proven["crossings"] <= found["crossings"]


def rounds_of_pairs(n_traces, n_rounds):
    """Traces in which ten agents meet in random pairs: no proof of them ends soon."""
    random = np.random.default_rng(2)
    pairs = [random.permutation(10) // 2 for _ in range(n_rounds)]
    spans = spans_of(*(f"{who} {n} {n + 1} desk{place[who]}" for n, place in enumerate(pairs) for who in range(10)))
    return pd.concat([spans.assign(trace_id=f"{number}") for number in range(n_traces)], ignore_index=True)


@pytest.mark.parametrize("n_traces", [1, 3])
def test_the_budget_is_for_all_traces_of_a_call(n_traces):
    spans = rounds_of_pairs(n_traces, 20)
    with FakeClock.patched() as clock:
        totals = storyline(spans, budget=250 * n_traces).totals
        assert (
            clock.seconds <= 250 * n_traces
        )  # of which 15% are left for the rest: each search looks at the clock twice for each agent before it returns
    assert (totals["at_least"] > 0).all()
    assert (totals["at_least"] < totals["crossings"]).all()
    with FakeClock.patched() as clock:
        assert (storyline(spans, budget=1e-9).totals["at_least"] == 0).all()
        assert clock.seconds <= 50 * n_traces


@pytest.mark.parametrize(("budget", "seconds"), [(None, 10), (4, 4), (0, None)])
def test_the_default_budget_grows_with_the_traces(monkeypatch, budget, seconds):
    begun = []
    monkeypatch.setattr(layout, "order_lines", lambda tables, deadline: begun.append(deadline) or order_lines(tables, None))
    with FakeClock.patched():
        storyline(rounds_of_pairs(2, 1), budget=budget)
        assert begun == [seconds and Deadline(1 + 0.85 * seconds)]


@pytest.mark.laws
@given(
    spans_frames(parents=True),
    st.fixed_dictionaries(
        {
            "absent": st.sampled_from(["line", "break"]),
            "locations": st.sampled_from(["free", "bands"]),
            "budget": st.sampled_from([0, None]),
        }
    ),
)
def test_the_validator_agrees(spans, options):
    before = spans.copy(deep=True)
    drawn = storyline(spans, **options)
    check(spans, drawn, free=options["locations"] == "free")
    assert_frame_equal(spans, before)
    again = storyline(spans.sort_values("id", ascending=False), **options)
    for name in TABLES:
        assert_frame_equal(getattr(drawn, name), getattr(again, name))


@pytest.mark.laws
@given(spans_frames(parents=True, n_traces=1))
def test_locations_agree_with_the_spans_at_every_moment(spans):
    spans = spans.sort_values(["start_time", "end_time", "agent_id", "id"])
    drawn = storyline(spans, absent="break", budget=0)
    begun, pieces = {span: rank for rank, span in enumerate(spans["id"])}, list(self_spans(spans).itertuples())
    for time in range(15):
        homes, branches = homes_at(begun, pieces, time)
        layer = drawn.lines.query("start <= @time < end").dropna(subset="location_id")
        assert dict(zip(layer["agent_id"], layer["location_id"], strict=True)) == homes
        assert set(drawn.branches.query("start <= @time < end")["id"]) == branches


@pytest.mark.laws
@given(spans_frames(n_traces=1))
def test_no_order_has_fewer_crossings(spans):
    drawn = storyline(spans)
    if len(spans):
        agents = sorted(spans["agent_id"].unique())
        n_layers = int(drawn.lines["layer"].max()) + 1
        place = np.full((n_layers, len(agents)), -2, dtype=np.int32)
        for row in drawn.lines.itertuples():
            place[row.layer, agents.index(row.agent_id)] = row.group
        assert drawn.totals["crossings"].tolist() == [fewest_crossings(blocks_by_group(place, place > -2))]


@pytest.mark.laws
@given(spans_frames(parents=True))
def test_several_traces_are_laid_out_separately(spans):
    whole = storyline(spans, budget=0)
    for trace in spans["trace_id"].unique():
        part = storyline(spans[spans["trace_id"] == trace], budget=0)
        for name in TABLES:
            table = getattr(whole, name)
            assert_frame_equal(table[table["trace_id"] == trace].reset_index(drop=True), getattr(part, name))


def strokes(ax):
    """The strokes of the lines as they are drawn: (colour, width, places)."""
    [drawn] = [c for c in ax.collections if c.get_label() == "lines"]
    shapes = zip(drawn.get_colors(), drawn.get_linewidths(), drawn.get_segments(), strict=True)
    return [(to_hex(color), float(width), points) for color, width, points in shapes]


def block_colors(ax):
    """The colours of the group boxes."""
    return [to_hex(color) for c in ax.collections if c.get_label() == "boxes" for color in c.get_facecolor()]


def labels_of(ax):
    """The texts beside and among the lines."""
    [labels] = [artist for artist in ax.get_children() if isinstance(artist, LineLabels)]
    return labels.texts(ax.figure.canvas.get_renderer())


def names(ax):
    return [text.get_text() for text in labels_of(ax)]


def note(ax):
    ax.figure.canvas.draw()
    [found] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    return found.get_text()


def test_a_line_has_the_colour_of_its_agent_and_is_thin_and_pale_without_a_span():
    ax = plot_storyline(spans_of("ann 0 30 desk", "ann 60 90 desk", "bob 0 90 lab"))
    blue, clay = palette(["ann", "bob"]).values()
    drawn = {(color, width): points[[0, -1], 0].tolist() for color, width, points in strokes(ax)}
    thick = max(width for _, width in drawn)
    assert drawn[clay, thick] == [0, 90]
    assert [points[[0, -1], 0].tolist() for color, _, points in strokes(ax) if color == blue] == [[0, 30], [60, 90]]
    [[pale, thin]] = [key for key in drawn if key[0] not in (blue, clay)]
    assert (pale, thin < thick, drawn[pale, thin]) == (blend_colors(blue, LIGHT.background, ABSENT_COLOR_SHARE), True, [30, 60])


def test_a_line_that_moves_has_a_halo():
    ax = plot_storyline(spans_of("ann 0 90 desk", "bob 0 50 lab", "bob 50 90 desk"))
    drawn = strokes(ax)
    halo = [number for number, (color, _, _) in enumerate(drawn) if color == LIGHT.background]
    assert halo
    for number in halo:
        assert drawn[number][1] > drawn[number + 1][1]
        assert drawn[number + 1][2][0, 0] < drawn[number][2][0, 0] < drawn[number][2][-1, 0] < drawn[number + 1][2][-1, 0]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_rooms_are_neutral_and_named_and_colour_is_the_agents_alone(look):
    with plt.rc_context(theme(look)):
        ax = plot_storyline(spans_of("ann 0 90 desk", "bob 0 90 desk", "eve 0 90 lab"))
    red, green, blue = to_rgb(block_colors(ax)[0])
    assert len(block_colors(ax)) == 1
    assert max(red, green, blue) - min(red, green, blue) < 0.05
    assert block_colors(ax) == [room_color(THEMES[look])]
    colors = {text.get_text(): text.get_color() for text in labels_of(ax)}
    assert (colors["desk"], colors["lab"]) == (THEMES[look].muted, THEMES[look].muted)
    assert sorted(colors) == ["ann", "bob", "desk", "eve", "lab"]
    assert ax.get_legend() is None


def test_boxes_of_neighbouring_rooms_have_outlines_and_a_gap():
    ax = plot_storyline(spans_of("ann 0 45 desk", "ann 45 90 lab"))
    [outlines], [faces] = ([c for c in ax.collections if c.get_label() == label] for label in ("box outlines", "boxes"))
    assert to_hex(outlines.get_facecolor()[0]) != to_hex(faces.get_facecolor()[0])
    points = np.diff(ax.get_xlim())[0] / ax.bbox.width * ax.figure.dpi / 72
    desk, lab = (path.vertices[:, 0] for path in outlines.get_paths())
    gap = (lab.min() - desk.max()) / points - outlines.get_linewidths()[0]
    assert 0.5 < gap < 3


def test_many_narrow_boxes_do_not_touch():
    ax = plot_storyline(spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(300))))
    [outlines] = [c for c in ax.collections if c.get_label() == "box outlines"]
    points = np.diff(ax.get_xlim())[0] / ax.bbox.width * ax.figure.dpi / 72
    sides = [(path.vertices[:, 0].min() / points, path.vertices[:, 0].max() / points) for path in outlines.get_paths()]
    assert len(sides) == 300
    assert all(
        right - left > width
        for (_, left), (right, _), width in zip(sides[:-1], sides[1:], outlines.get_linewidths()[1:], strict=True)
    )


def test_boxes_have_the_names_of_the_column_that_defines_the_groups():
    spans = spans_of("ann 0 90 desk", "bob 0 90 lab").assign(phase="planning")
    assert sorted(names(plot_storyline(spans, by="phase"))) == ["ann", "bob", "planning"]


def test_bands_are_neutral_and_named_and_have_no_boxes():
    spans = spans_of("ann 0 90 desk", "bob 0 90 desk", "eve 0 90 lab")
    ax = plot_storyline(spans, locations="bands")
    [faces] = [c for c in ax.collections if c.get_label() == "boxes"]
    assert len(faces.get_paths()) == 0
    assert {to_hex(patch.get_facecolor()) for patch in ax.patches} == {room_color(LIGHT)}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["desk", "lab"]
    assert sorted(names(ax)) == ["ann", "bob", "eve"]
    assert ax.get_legend() is None


def test_the_busiest_agents_alone_have_a_line():
    spans = spans_of("ann 0 10 desk", "bob 0 90 desk", "eve 0 40 lab", "dan 5 5 lab")
    ax = plot_storyline(spans, agents=2)
    colors = palette(spans["agent_id"])
    assert {color for color, _, _ in strokes(ax)} == {colors["bob"], colors["eve"]}
    assert ax.get_title(loc="right") == "2 agents · 2 locations · 0 crossings"
    assert note(ax) == "2 of 4 agents drawn, those with the most work"
    assert ax.get_label().endswith("0 crossings. 2 of 4 agents drawn, those with the most work.")
    assert ax.get_xlim() == plot_storyline(spans).get_xlim()
    assert note(plot_storyline(spans, agents=4)) == note(plot_storyline(spans)) == ""


def test_agents_may_be_numbers():
    spans = spans_of("a 0 5 desk", "b 0 9 desk", "c 0 7 lab").assign(agent_id=[1, 2, 3])
    assert plot_storyline(spans, agents=2).get_label().endswith("2 of 3 agents drawn, those with the most work.")


def test_work_is_not_waiting():
    rows = "ann 0 80 desk", "bob 0 50 lab", "eve 0 40 hall"
    assert {"ann", "bob"} < set(names(plot_storyline(spans_of(*rows), agents=2)))
    assert {"bob", "eve"} < set(names(plot_storyline(spans_of(*rows, parents={"b": "a"}), agents=2)))


@pytest.mark.parametrize("agents", [0, -1, 2.5, True, "all"])
def test_a_number_of_agents_is_needed(agents):
    message = rf"^agents={re.escape(quoted(agents))} is not a number of agents to draw: 1, 2, 3, \.\.\.$"
    with pytest.raises(BadOption, match=message):
        plot_storyline(spans_of("ann 0 9 desk"), agents=agents)


def test_short_intervals_can_be_merged():
    spans = spans_of("ann 0 100 desk", "ann 100 102 lab", "ann 102 104 hall", "ann 104 200 desk")
    drawn = storyline(spans, shortest_us=5)
    assert drawn.totals[["n_layers", "n_merged", "shortest_us", "n_hidden"]].values.tolist() == [[3, 1, 5, 1]]
    assert note(plot_storyline(spans, shortest_us=5)).startswith("1 interval under 5 µs merged · 1 stay too short to show")
    assert storyline(spans, shortest_us=2).totals[["n_layers", "n_merged", "shortest_us"]].values.tolist() == [[4, 0, 0]]
    assert storyline(spans_of("ann 5 5 desk"), shortest_us=5).totals["n_layers"].tolist() == [1]


@pytest.mark.parametrize("shortest_us", [-1, 2.5, True, "5s", 2**63])
def test_a_number_of_microseconds_is_needed(shortest_us):
    message = rf"^shortest_us={re.escape(quoted(shortest_us))} is not a number of µs, such as 5_000_000 for 5 s\.$"
    with pytest.raises(BadOption, match=message):
        storyline(spans_of("ann 0 9 desk"), shortest_us=shortest_us)


def test_markers_are_on_the_line_of_their_agent():
    spans = spans_of("ann 0 90 desk", "bob 0 90 lab", "bob 30 30 lab", "ann 90 95 desk")
    spans["data"] = ['{"status": "error"}', None, None, '{"status": "open"}']
    ax = plot_storyline(spans)
    height = dict(storyline(spans).lines[["agent_id", "y"]].drop_duplicates("agent_id").itertuples(index=False))
    marks = {
        c.get_label(): c.get_offsets().tolist() for c in ax.collections if len(c.get_offsets()) and c.get_label() != "lines"
    }
    assert marks["error"] == [[90, height["ann"]]]
    assert marks["instant"] == [[30, height["bob"]]]
    assert marks["open"] == [[95, height["ann"]]]


def test_the_title_shows_whether_the_crossings_are_minimal():
    pairs = [("ann", "bob"), ("eve", "dan"), ("ann", "eve"), ("bob", "dan"), ("ann", "dan"), ("bob", "eve")] * 2
    rows = [(who, n, "desk" if who in pair else who) for n, pair in enumerate(pairs) for who in ("ann", "bob", "dan", "eve")]
    spans = spans_of(*(f"{who} {n} {n + 1} {place}" for who, n, place in rows))
    count = int(storyline(spans).totals["crossings"].iloc[0])
    assert count > 1
    assert plot_storyline(spans).get_title(loc="right").endswith(f"{count} crossings, the fewest possible")
    assert plot_storyline(spans, budget=0).get_title(loc="right").endswith(" crossings")


def test_the_note_shows_what_is_merged(monkeypatch):
    monkeypatch.setattr(layers_module, "MAX_LAYERS", 3)
    monkeypatch.setattr(layers_module, "MIN_LAYER_LIMIT", 3)
    spans = spans_of(*(f"ann {n} {n + 1} {'desk' if n % 2 else 'lab'}" for n in range(10)))
    assert note(plot_storyline(spans)) == "8 intervals under 5 µs merged · 4 stays too short to show"


def test_a_name_overlaps_no_label_of_a_folded_gap():
    spans = spans_of("ann 0 9 desk", *(f"{who} 2000 2009 desk" for who in ("bob", "dan", "eve", "kim", "lou")))
    ax = plot_storyline(spans, absent="break")
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.canvas.draw()
    [folds] = [artist.texts(renderer) for artist in ax.get_children() if isinstance(artist, FoldLabels)]
    [labels] = [artist.texts(renderer) for artist in ax.get_children() if isinstance(artist, LineLabels)]
    assert len(folds) == 1
    assert not [text.get_text() for text in labels if text.get_window_extent().overlaps(folds[0].get_window_extent())]


def test_more_agents_have_shades_and_of_very_many_those_with_the_most_work_have_colours():
    few = [f"agent{number:02}" for number in range(14)]
    colors = {color for color, _, _ in strokes(plot_storyline(spans_of(*(f"{who} 0 9 {who}" for who in few))))}
    assert colors == {
        *QUALITATIVE_COLORS,
        shaded_color(QUALITATIVE_COLORS[0], 1, LIGHT),
        shaded_color(QUALITATIVE_COLORS[1], 1, LIGHT),
    }
    many = [f"agent{number:02}" for number in range(40)]
    spans = spans_of(*(f"{who} 0 {99 if who > 'agent34' else 9} {'desk' if who > 'agent34' else who}" for who in many))
    ax = plot_storyline(spans)
    drawn = [color for color, _, _ in strokes(ax)]
    assert drawn.count(OTHERS_COLOR) == 28
    grey = {float(points[0, 1]) for color, _, points in strokes(ax) if color == OTHERS_COLOR}
    busy = storyline(spans).lines.query("location_id == 'desk'")["y"]
    assert len(set(busy)) == 5
    assert not grey & set(busy.astype(float))


def test_a_custom_palette():
    spans = spans_of("ann 0 9 desk", "bob 0 9 lab")
    assert [color for color, _, _ in strokes(plot_storyline(spans, palette={"bob": "red"}))] == [OTHERS_COLOR, "#ff0000"]
    with pytest.raises(BadOption, match="palette has no colour for 'bob'"):
        plot_storyline(spans, palette=["red"])


def test_a_side_branch_is_a_thin_line_in_the_colour_of_its_agent():
    ax = plot_storyline(spans_of("ann 0 90 desk", "ann 30 60 lab"))
    [branch] = [c for c in ax.collections if c.get_label() == "branches"]
    assert [points[[0, -1], 0].tolist() for points in branch.get_segments()] == [[30, 60]]
    assert to_hex(branch.get_colors()[0]) == palette(["ann"])["ann"]


def test_the_same_spans_give_the_same_drawing():
    spans = spans_of("ann 0 90 desk", "bob 0 50 lab", "bob 50 90 desk", "eve 20 70 lab")
    one, two = (strokes(plot_storyline(frame)) for frame in (spans, spans.iloc[::-1]))
    assert all((a[2] == b[2]).all() and a[:2] == b[:2] for a, b in zip(one, two, strict=True))


@pytest.mark.real
@needs_stories
@pytest.mark.parametrize("name", FEWEST_CROSSINGS)
def test_each_story_of_the_literature_has_the_minimum_of_crossings(name):
    spans = spans_of_story(name)
    drawn = storyline(spans, by="session", absent="break" if name.endswith("broken") else "line")
    fewest = FEWEST_CROSSINGS[name]
    assert drawn.totals[["crossings", "at_least", "is_proven"]].values.tolist() == [[fewest, fewest, True]]
