from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from pandas.testing import assert_frame_equal
from pictures import boxes_of

from tokenvis import BadOption, BadSpan, MissingColumn, compare, occupancy, plot_compare
from tokenvis.plot.artists.style import LIGHT
from tokenvis.plot.comparisons.pair import ChangeTexts

MEASURES = [f"{measure}_{side}" for measure in ("n", "tokens") for side in ("before", "after", "change")]
TIMES = [f"{measure}_{side}_us" for measure in ("busy", "active") for side in ("before", "after", "change")]


def test_the_largest_change_of_busy_time_comes_first():
    before = spans_of("ann 0 10 desk", "bob 0 5 desk", "ann 10 12 lab")
    after = spans_of("ann 0 11 desk", "bob 0 25 desk", "bob 20 30 desk", "eve 0 2 lab").assign(trace_id="later")
    table = compare(before, after)
    assert table.columns.tolist() == ["agent_id", "location_id", *MEASURES[:3], *TIMES, *MEASURES[3:]]
    assert table[["agent_id", "location_id"]].to_numpy().tolist() == [
        ["bob", "desk"],
        ["ann", "lab"],
        ["eve", "lab"],
        ["ann", "desk"],
    ]
    assert table["busy_change_us"].tolist() == [30, -2, 2, 1]
    assert table["active_change_us"].tolist() == [25, -2, 2, 1]
    assert table[MEASURES[:3]].to_numpy().tolist() == [[1, 2, 1], [1, 0, -1], [0, 1, 1], [1, 1, 0]]


def test_agents_with_different_names_are_matched_by_role():
    before, after = spans_of("coder-1 0 10 desk", "coder-2 5 20 desk"), spans_of("coder-7 0 30 desk")
    table = compare(before, after, match=lambda agent: agent.split("-")[0])
    assert table.iloc[0][["role", "n_before", "n_after", "busy_change_us", "active_change_us"]].tolist() == [
        "coder",
        2,
        1,
        5,
        10,
    ]
    assert_frame_equal(table, compare(before.assign(role="coder"), after.assign(role="coder"), match="role"))


def test_tokens_are_missing_without_counts_and_0_without_spans():
    before = with_data(spans_of("ann 0 1 desk", "bob 0 1 desk"), a={"attributes": {"gen_ai.usage.input_tokens": 5}})
    table = compare(before, spans_of("ann 0 1 desk")).set_index("agent_id")
    assert table.loc["ann", ["tokens_before", "tokens_after", "tokens_change"]].isna().tolist() == [False, True, True]
    assert table.loc["bob", ["tokens_before", "tokens_after", "tokens_change"]].isna().tolist() == [True, False, True]
    alone = compare(before.iloc[:1], before.iloc[:0])
    assert alone[["tokens_before", "tokens_after", "tokens_change"]].to_numpy().tolist() == [[5, 0, -5]]


def test_a_missing_role_is_a_role():
    spans = spans_of("ann 0 1 desk", "bob 0 5 desk").assign(role=["x", None])
    table = compare(spans, spans, match="role")
    assert table["role"].fillna("none").tolist() == ["none", "x"] or table["role"].fillna("none").tolist() == ["x", "none"]
    assert table["n_change"].tolist() == [0, 0]


def test_several_traces_and_invalid_matches_are_refused():
    spans = spans_of("ann 0 1 desk t", "ann 0 1 desk u")
    with pytest.raises(
        BadSpan, match=r"^compare accepts one trace on each side, but a frame has 't', 'u'\. Filter by trace_id\.$"
    ):
        compare(spans.iloc[:1], spans)
    with pytest.raises(BadOption, match=r"^match=3 is neither a column name, nor a mapping or a function"):
        compare(spans.iloc[:1], spans.iloc[:1], match=3)
    with pytest.raises(MissingColumn, match=r"^The spans have no column 'team'\. They have: "):
        compare(spans.iloc[:1], spans.iloc[:1], match="team")


@pytest.mark.laws
@given(spans_frames(n_traces=1, parents=True, data=True), spans_frames(n_traces=1, parents=True, data=True))
def test_busy_and_active_are_those_of_occupancy_and_a_change_is_their_difference(before, after):
    table = compare(before, after).set_index(["agent_id", "location_id"])
    for side, spans in (("before", before), ("after", after)):
        there = occupancy(spans).set_index(["agent_id", "location_id"])
        for measure in ("busy", "active"):
            expected = there[f"{measure}_us"].reindex(table.index, fill_value=0)
            assert table[f"{measure}_{side}_us"].tolist() == expected.tolist()
        sizes = spans.groupby(["agent_id", "location_id"], observed=True).size().reindex(table.index, fill_value=0)
        assert table[f"n_{side}"].tolist() == sizes.tolist()
    for name in (*MEASURES, *TIMES):
        if "change" in name:
            old, new = name.replace("change", "before"), name.replace("change", "after")
            assert (table[new] - table[old]).equals(table[name])
    size = table["busy_change_us"].abs().tolist()
    keys = list(zip([-change for change in size], table.index, strict=True))
    assert keys == sorted(keys)
    back = compare(after, before)
    assert back["busy_change_us"].tolist() == (-table["busy_change_us"]).tolist()


def test_a_number_of_tokens_that_does_not_fit_is_refused():
    spans = with_data(spans_of("ann 0 9 desk"), a={"gen_ai.usage.input_tokens": 2**62, "gen_ai.usage.output_tokens": 2**62})
    with pytest.raises(BadSpan, match=r"^A sum over the spans does not fit into a 64-bit integer"):
        compare(spans, spans)


def test_the_picture_has_both_traces_from_zero_and_labels_each_change():
    before = spans_of("ann 100 110 desk t", "bob 105 107 lab t")
    after = spans_of("ann 500 530 desk u", "bob 505 507 lab u")
    ax = plot_compare(before, after)
    [bars] = [c for c in ax.collections if c.get_label() == "spans"]
    ends = sorted((path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths())
    assert ends == [(0, 10), (0, 30), (5, 7), (5, 7)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ann", "bob"]
    assert row_texts(ax) == ["before", "+20 µs", "after", "before", "±0 s", "after"]
    assert ends_of(ax) == [10, 30, 10, 30]
    assert ax.get_title(loc="left") == "t → u"


def test_the_changes_are_beside_the_axes_at_their_rows():
    spans = spans_of(*(f"agent{n} {start} {start + 5 + n} desk" for n in range(6) for start in (n, n + 3)))
    ax = plot_compare(spans, spans[spans["agent_id"] != "agent0"].assign(trace_id="later"))
    boxes = boxes_of(ax.figure)
    names = {
        label.get_text(): box.y0 + box.y1 for label in ax.get_yticklabels() for text, box in boxes if text == label.get_text()
    }
    change_texts = [text.get_text() for text in changes_in(ax) if text.get_text() not in ("before", "after", "gone")]
    assert len(change_texts) == len(names) == 6
    assert all(box.x1 < ax.bbox.x0 for text, box in boxes if text in (*names, *change_texts, "before", "after", "gone"))
    assert row_texts(ax).count("gone") == 1
    assert row_texts(ax).count("before") == row_texts(ax).count("after") == 5


def test_the_picture_says_that_an_agent_was_matched_by_what_it_does():
    before = spans_of("ann 0 10 desk t", "bob 10 30 lab t")
    after = spans_of("ann 0 10 desk u", "bobby 10 40 lab u")
    note = "1 agent matched by what it does, in 1 run"
    ax = plot_compare(before, after, match="role")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bob", "ann"]
    assert note in [text for text, _ in boxes_of(ax.figure)]
    assert ax.get_label().endswith(f"the largest change is bob, +10 µs busy. {note}.")
    for match in ("agent_id", {"bobby": "bob"}):
        assert note not in plot_compare(before, after, match=match).get_label()
    sides = (side.assign(role=side["agent_id"].str[:3]) for side in (before, after))  # a column of its own is no search
    assert note not in plot_compare(*sides, match="role").get_label()


def test_low_rows_have_the_change_only_and_the_note_says_which_is_which():
    spans = spans_of(*(f"agent{n:02} {n} {n + 5} desk" for n in range(8)))
    figure, ax = plt.subplots(figsize=(6, 2.2))
    plot_compare(spans, spans.assign(end_time=spans["end_time"] + 2), ax=ax)
    assert set(row_texts(ax)) == {"+2 µs"}
    assert "each agent: before above, after below" in [text for text, _ in boxes_of(figure)]
    assert "each agent: before above, after below" not in [text for text, _ in boxes_of(plot_compare(spans, spans).figure)]


@pytest.mark.parametrize("n_agents", [6, 14])
def test_changes_of_low_rows_do_not_touch(n_agents):
    spans = spans_of(*(f"agent{n:02} {n} {n + 5} desk" for n in range(n_agents)))
    figure, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    plot_compare(spans, spans.assign(end_time=spans["end_time"] + 2), ax=ax)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in changes_in(ax)]
    assert len(boxes) > 1
    assert all(below.y1 <= above.y0 + 1 for above, below in pairwise(boxes))


def test_agents_without_bands_of_their_own_have_no_change_and_none_is_gone_by_mistake():
    spans = spans_of(*(f"agent{n:02} {n} {n + 5} desk" for n in range(40)))
    figure, ax = plt.subplots(figsize=(6, 2.2))
    plot_compare(spans, spans.assign(end_time=spans["end_time"] + 2), ax=ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[-1].endswith(" others") or not any(name.endswith("others") for name in names)
    assert set(row_texts(ax)) <= {"+2 µs", "before", "after"}


def test_the_legend_has_the_change_of_each_location_the_largest_first():
    before = spans_of("ann 0 10 desk", "bob 0 20 lab", "bob 20 25 hall", "eve 0 3 attic")
    after = spans_of("ann 0 12 desk", "bob 0 5 lab", "bob 20 25 hall", "eve 0 3 attic").assign(trace_id="u")
    ax = plot_compare(before, after)
    texts = ax.get_legend().get_texts()
    assert [text.get_text() for text in texts] == ["lab −15 µs", "desk +2 µs", "attic ±0 s", "hall ±0 s", "end of the trace"]
    assert ax.get_legend().get_title().get_text() == "change of busy time"
    assert texts[1].get_color() == LIGHT.error
    assert len({text.get_color() for text in texts[:3]}) == 3
    locations = spans_of(*(f"ann {n} {n + 1} place{n:02}" for n in range(30)))
    slower = locations.assign(end_time=locations["end_time"] + 1, trace_id="u")
    assert [text.get_text() for text in plot_compare(locations, slower).get_legend().get_texts()][-2:] == [
        "18 others +18 µs",
        "end of the trace",
    ]
    _, small = plt.subplots(figsize=(7, 2.6), layout="constrained")
    shown = [text.get_text() for text in plot_compare(locations, slower, ax=small).get_legend().get_texts()]
    assert shown == ["place00 +1 µs", "place01 +1 µs", "11 more +28 µs", "end of the trace"]


def changes_in(ax):
    """The texts beside the rows, from above."""
    [texts] = [artist for artist in ax.get_children() if isinstance(artist, ChangeTexts)]
    ax.figure.draw_without_rendering()
    return sorted(texts.texts(ax.figure.canvas.get_renderer()), key=lambda text: -text.get_position()[1])


def row_texts(ax):
    return [text.get_text() for text in changes_in(ax)]


def ends_of(ax):
    """Where the line of each band is, from above."""
    [lines] = [c for c in ax.collections if c.get_label() == "end"]
    return [line[0, 0] for line in lines.get_segments()]


def test_the_picture_takes_roles_and_an_empty_side():
    before, after = spans_of("coder-1 0 10 desk t", "coder-2 5 20 desk t"), spans_of("coder-9 0 30 desk u")
    ax = plot_compare(before, after, match=lambda agent: agent.split("-")[0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["coder"]
    numbered = [spans.assign(team=[7.0] * len(spans)) for spans in (before, after)]
    assert [label.get_text() for label in plot_compare(*numbered, match="team").get_yticklabels()] == ["7.0"]
    nameless = [spans.assign(team=None) for spans in (before, after)]
    assert [label.get_text() for label in plot_compare(*nameless, match="team").get_yticklabels()] == ["none"]
    gone = plot_compare(before, after.iloc[:0])
    assert gone.get_title(loc="left") == "t → an empty trace"
    assert row_texts(gone) == ["gone", "−10 µs", "gone", "−15 µs"] or row_texts(gone) == ["gone", "−15 µs", "gone", "−10 µs"]


def waits_in(ax):
    """Starts and ends of the waits in a picture, by whom they are for."""
    return {
        name: [
            tuple(path.vertices[:2, 0])
            for c in ax.collections
            if c.get_label() == f"waits for {name}"
            for path in c.get_paths()
        ]
        for name in ("an agent", "a person")
    }


def test_the_picture_shows_waits_on_both_sides():
    before = spans_of("ann 0 10 desk", "bob 2 8 lab", parents={"b": "a"})
    after = with_data(spans_of("ann 100 110 desk u", "bob 103 104 lab u", parents={"b": "a"}), b={"waits_for": True})
    ax = plot_compare(before, after, gaps="keep")
    assert waits_in(ax) == {"an agent": [(2, 8), (3, 4)], "a person": [(3, 4)]}
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["lab −6 µs", "desk +5 µs", "works", "waits for an agent", "waits for a person", "end of the trace"]


def test_the_picture_reads_waits_from_columns_of_either_frame():
    before = spans_of("ann 0 10 desk", "bob 2 8 lab", parents={"b": "a"})
    after = spans_of("ann 0 10 desk u", "bob 3 4 lab u").assign(waits_for=["Eve", None])
    ax = plot_compare(before.assign(detached=[None, True]), after, gaps="keep")
    assert waits_in(ax) == {"an agent": [], "a person": [(0, 10)]}


def test_two_runs_of_one_name_are_told_apart_by_their_ids():
    before = spans_of("ann 0 10 desk").assign(trace_name="nightly")
    after = spans_of("ann 0 15 desk").assign(trace_id="u", trace_name="nightly")
    assert plot_compare(before, after).get_title(loc="left") == "t → u"
    assert plot_compare(before, after.assign(trace_name="again")).get_title(loc="left") == "nightly → again"


def test_the_bands_of_a_renamed_agent_are_beside_each_other():
    before = spans_of("ann 0 10 desk", "coder-1 10 40 lab")
    after = spans_of("ann 0 12 desk", "coder-2 12 50 lab").assign(trace_id="u")
    for match in ("role", {"coder-2": "coder-1"}):
        ax = plot_compare(before, after, match=match)
        assert {label.get_text() for label in ax.get_yticklabels()} == {"coder-1", "ann"}
    assert len(plot_compare(before, after).get_yticklabels()) == 3
