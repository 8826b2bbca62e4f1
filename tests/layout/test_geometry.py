import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.transforms import Bbox
from pictures import HOSTILE

from tokenvis import plot_storyline, storyline
from tokenvis.layout.storylines import geometry as geometry_module
from tokenvis.layout.storylines.geometry import branch_curves, storyline_geometry
from tokenvis.plot.artists.colors import OTHERS_COLOR
from tokenvis.plot.artists.storylines.lines import shaded_color
from tokenvis.plot.artists.storylines.names import LineLabels
from tokenvis.plot.artists.storylines.pixels import OccupiedPixels
from tokenvis.plot.artists.style import LIGHT, blend_colors


def geometry(spans, by="location_id", **options):
    """The geometry of a story whose axis is time itself."""
    return storyline_geometry(storyline(spans, by=by, budget=0, **options).lines, by, lambda times: times.astype(float))


def pieces(found):
    return [(found.agents[piece.agent], piece.curve.x[0], piece.curve.x[-1], piece.has_span) for piece in found.pieces()]


def test_a_line_is_split_where_its_spans_begin_and_end():
    found = geometry(spans_of("ann 0 10 desk", "ann 20 30 desk", "bob 0 30 lab"))
    assert pieces(found) == [("ann", 0, 10, True), ("ann", 10, 20, False), ("ann", 20, 30, True), ("bob", 0, 30, True)]
    assert found.moving_pieces() == []


def test_a_move_is_split_where_its_span_ends():
    found = geometry(spans_of("ann 0 100 desk", "eve 0 100 desk", "bob 0 50 desk", "bob 100 110 lab"))
    moves = [(found.agents[move.agent], move.curve.x[-1] > 50, move.has_span) for move in found.moving_pieces()]
    assert moves == [("bob", False, True), ("bob", True, False)]


def boxes_of(found):
    """Each box: its group, and its level parts as (start, end, number of lines)."""
    return [
        (found.groups[box.group], [(x0, x1, bottom - top + 1) for x0, x1, top, bottom in box.levels])
        for box in found.group_boxes()
    ]


def test_a_box_grows_and_shrinks_as_agents_come_and_go():
    assert boxes_of(geometry(spans_of("ann 0 30 desk", "bob 10 20 desk"))) == [("desk", [(0, 10, 1), (10, 20, 2), (20, 30, 1)])]


def test_a_box_ends_if_nobody_stays():
    found = geometry(spans_of("ann 0 10 desk", "bob 10 20 desk"))
    assert boxes_of(found) == [("desk", [(0, 10, 1)]), ("desk", [(10, 20, 1)])]


def test_a_short_pause_does_not_break_a_box_and_its_line_is_honest():
    found = geometry(spans_of("ann 0 10 desk", "ann 14 24 desk", "bob 0 24 desk"))
    assert boxes_of(found) == [("desk", [(0, 24, 2)])]
    assert [piece for piece in pieces(found) if piece[0] == "ann"] == [
        ("ann", 0, 10, True),
        ("ann", 10, 14, False),
        ("ann", 14, 24, True),
    ]
    assert found.moving_pieces() == []


def test_a_pause_of_all_agents_does_not_break_a_box_of_any_column():
    spans = spans_of("ann 0 10 desk", "ann 14 24 lab").assign(phase="plan")
    assert boxes_of(geometry(spans, by="phase")) == [("plan", [(0, 24, 1)])]
    assert boxes_of(geometry(spans)) == [("desk", [(0, 10, 1)]), ("lab", [(14, 24, 1)])]


def test_agents_without_a_group_have_no_box():
    spans = spans_of("ann 0 10 desk", "bob 0 10 desk").assign(phase=["plan", None])
    assert boxes_of(geometry(spans, by="phase")) == [("plan", [(0, 10, 1)])]


def test_the_outline_of_a_box_has_a_margin_above_and_below_and_is_inset_at_both_ends():
    found = geometry(spans_of("ann 0 40 desk", "bob 0 40 desk", "eve 0 20 lab", "eve 20 40 desk"))
    box = next(box for box in found.group_boxes() if found.groups[box.group] == "desk")
    top, bottom = box.levels[0][2:]
    outline = box.outline(0.25).tolist()
    assert [outline[0], outline[-1]] == [[0, top - 0.25], [0, bottom + 0.25]]
    assert box.outline(0.25, 2.0)[0].tolist() == [2, top - 0.25]
    assert max(box.outline(0.25, 2.0)[:, 0]) == 38
    first = box.levels[0][1]
    assert box.outline(0.25, 100.0)[0, 0] < first


def test_a_side_branch_runs_beside_its_line():
    spans = spans_of("ann 0 9 desk", "ann 3 6 lab", "ann 4 5 attic")
    drawn = storyline(spans)
    found = storyline_geometry(drawn.lines, "location_id", lambda times: times.astype(float))
    branches = branch_curves(found, drawn.branches, lambda times: times.astype(float))
    assert [(course.x[0], course.x[-1]) for _, course in branches] == [(3, 6), (4, 5)]
    heights = [float(course.y[0]) for _, course in branches]
    assert 0 < heights[0] < heights[1] < 1


def test_extents_are_the_heights_of_each_group():
    found = geometry(spans_of("ann 0 9 desk", "bob 0 9 lab", "eve 0 9 lab"), locations="bands")
    assert [(found.groups[name], top, bottom) for name, top, bottom in found.group_extents()] == [("desk", 0, 0), ("lab", 2, 3)]


@pytest.mark.laws
@given(
    spans_frames(parents=True, n_traces=1).filter(len), st.sampled_from(["line", "break"]), st.sampled_from(["free", "bands"])
)
def test_lines_and_blocks_are_within_their_time(spans, absent, locations):
    found = geometry(spans, absent=absent, locations=locations)
    low, high = found.edges[[0, -1]]
    assert (np.diff(found.edges) > 0).all()
    for piece in found.pieces() + found.moving_pieces():
        assert low <= piece.curve.x[0] <= piece.curve.x[-1] <= high
        assert (np.diff(piece.curve.x) >= 0).all()
    for box in found.group_boxes():
        times = [time for level in box.levels for time in level[:2]]
        assert times == sorted(times)
        assert low <= times[0] <= times[-1] <= high
    agents = np.arange(len(found.agents))
    for agent in agents.tolist():
        first = float(found.curves[agent][0].x[0])
        assert (
            found.heights_at(np.array([agent]), np.array([first]))[0] == found.heights[found.heights[:, agent] >= 0, agent][0]
        )


def labels_of(spans, **options):
    figure, ax = plt.subplots(figsize=(8, 3))
    found = geometry(spans)
    ax.set_xlim(found.edges[0] - 1, found.edges[-1] + 1)
    ax.set_ylim(found.bottom + 1, -1)
    options = {"by": "location_id", "at_left": True, "both_ends": False} | options
    labels = LineLabels(ax, found, found.group_boxes(), ["#000000"] * len(found.agents), LIGHT, **options)
    ax.add_artist(labels)
    renderer = figure.canvas.get_renderer()
    return ax, [(text.get_text(), text.get_window_extent(renderer)) for text in labels.texts(renderer)]


def test_names_are_beside_lines_and_labels_above_blocks():
    ax, texts = labels_of(spans_of("ann 0 90 desk", "bob 40 90 desk"))
    boxes = dict(texts)
    assert boxes["ann"].x1 <= ax.bbox.x0
    assert boxes["bob"].x0 > ax.bbox.x0
    assert "desk" in boxes
    assert [name for name, _ in labels_of(spans_of("ann 0 90 desk"), both_ends=True)[1]] == ["ann", "ann", "desk"]
    assert "ann" not in [name for name, box in labels_of(spans_of("ann 0 90 desk"), at_left=False)[1] if box.x1 <= ax.bbox.x0]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_drawn_as_text(name):
    spans = spans_of("ann 0 90 desk", "bob 50 90 desk")
    _, texts = labels_of(spans.assign(agent_id=[name, "bob"], location_id=name))
    assert texts
    assert all(box.width < 400 for _, box in texts)


def test_mixed_and_shaded_colours():
    assert (blend_colors("#000000", "#ffffff", 0.0), blend_colors("#102030", "#ffffff", 1.0)) == ("#ffffff", "#102030")
    assert len({shaded_color("#3863aa", step, LIGHT) for step in range(3)}) == 3
    assert shaded_color("#3863aa", 0, LIGHT) == "#3863aa"


def test_a_text_overlaps_no_line_even_if_steep():
    found = geometry(spans_of("ann 0 900 desk", "eve 0 450 roof", "eve 450 451 desk", "eve 451 900 roof"))
    _, ax = plt.subplots(figsize=(8, 3))
    ax.set_xlim(0, 900)
    ax.set_ylim(found.bottom + 1, -1)
    [eve] = found.curves[found.agents.index("eve")]
    before, after = eve.y_at(np.array([440.0, 450.5]))
    assert abs(before - after) == 1
    x, y = ax.transData.transform((450.0, (before + after) / 2))
    occupied = OccupiedPixels(ax, found)
    assert not occupied.is_free(Bbox([[x - 5, y - 2], [x + 5, y + 2]]))
    assert occupied.is_free(Bbox([[x - 45, y - 2], [x - 35, y + 2]]))


def test_a_coloured_name_takes_precedence_over_a_grey_one():
    found = geometry(spans_of(*(f"agent{number} 0 90 desk" for number in range(30))))
    figure, ax = plt.subplots(figsize=(8, 2))
    ax.set_xlim(0, 90)
    ax.set_ylim(found.bottom + 1, -1)
    colors = [OTHERS_COLOR] * len(found.agents)
    colors[4] = colors[15] = "#000000"
    labels = LineLabels(ax, found, [], colors, LIGHT, by="location_id", at_left=True, both_ends=False)
    ax.add_artist(labels)
    beside = [text for text in labels.texts(figure.canvas.get_renderer()) if text.get_position()[0] < ax.bbox.x0]
    assert {found.agents[4], found.agents[15]} < {text.get_text() for text in beside}
    assert len(beside) < len(found.agents)


def test_of_very_many_side_branches_the_longest_are_drawn(monkeypatch):
    monkeypatch.setattr(geometry_module, "MAX_BRANCHES", 1)
    spans = spans_of("ann 0 90 desk", "ann 10 20 lab", "ann 30 60 lab")
    branches = branch_curves(geometry(spans), storyline(spans).branches, lambda times: times.astype(float))
    assert [(course.x[0], course.x[-1]) for _, course in branches] == [(30, 60)]


def test_a_branch_below_float_precision_has_a_curve():
    far = 2**53
    spans = spans_of("ann 0 10 x", f"ann {far} {far + 9} x", f"ann {far + 8} {far + 9} y", f"bob {far + 1} {far + 2} x")
    assert plot_storyline(spans, gaps="keep").get_label().startswith("Storyline of")
