import pandas as pd
import pytest
from conftest import spans_frames, spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pictures import PICTURES, collisions
from question_laws import plain
from test_questions import QUESTIONS, some

import tokenvis as tv
from tokenvis.formats.registry import WRITERS
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.parts.page import PageText
from tokenvis.spans.columns import as_spans
from tokenvis.spans.losses import LOST_LOCATION, losses_of, recorded_spans

LOSING = with_data(
    spans_of("ann 0 10 desk", "bob 5 20 lab", "tokenvis 12 30 tokenvis.lost", "tokenvis 40 40 tokenvis.lost"),
    c={"label": "1,234 spans lost", "kind": LOST_LOCATION, "status": "error", "n_lost": 1234},
    d={"label": "1 span lost", "kind": LOST_LOCATION, "status": "error", "n_lost": 1},
)


def seconds(spans):
    return spans.assign(start_time=spans["start_time"] * 1_000_000, end_time=spans["end_time"] * 1_000_000)


def with_loss_markers(spans, markers):
    """The spans with loss markers added: (trace, start, length, number of lost spans)."""
    rows = [
        {"id": f"lost {number}", "trace_id": trace, "agent_id": "tokenvis", "location_id": LOST_LOCATION, "start_time": start}
        | {"end_time": start + length, "data": {"kind": LOST_LOCATION, "status": "error", "n_lost": n_lost}}
        for number, (trace, start, length, n_lost) in enumerate(markers)
    ]
    both = pd.concat([spans, as_spans(pd.DataFrame(rows)).assign(data=[row["data"] for row in rows])] if rows else [spans])
    return both.sort_values("start_time", kind="stable", ignore_index=True)


MARKERS = st.lists(st.tuples(st.sampled_from("tuv"), st.integers(0, 12), st.integers(0, 9), st.integers(1, 5)), max_size=4)


def test_loss_markers_are_separated_from_recorded_spans():
    lost = losses_of(LOSING)
    assert (lost.rows.tolist(), lost.n_spans.tolist(), lost.total) == ([2, 3], [1234, 1], 1235)
    assert recorded_spans(LOSING)["id"].tolist() == ["a", "b"]
    assert lost.messages() == ["1,235 spans were lost while recording"]
    assert losses_of(LOSING.iloc[3:]).sentences() == ["1 span was lost while recording."]


def test_a_frame_without_loss_markers_is_returned_unchanged():
    spans = spans_of("ann 0 10 desk", "tokenvis 0 5 desk")
    assert recorded_spans(spans) is spans
    assert (losses_of(spans).total, losses_of(spans).messages()) == (0, [])
    filtered = LOSING.iloc[:2]  # its categories still contain the marker's location
    assert recorded_spans(filtered) is filtered


@pytest.mark.parametrize("count", [None, "many", 0, -3, 2.5, True, 2**63, [7]])
def test_a_loss_marker_without_a_valid_count_replaces_one_span(count):
    spans = with_data(spans_of("tokenvis 12 30 tokenvis.lost"), a={"n_lost": count})
    assert losses_of(spans).n_spans.tolist() == [1]
    assert losses_of(spans.drop(columns="data")).n_spans.tolist() == [1]


def test_intervals_are_united_and_an_instant_covers_one_microsecond():
    spans = spans_of(*(f"tokenvis {times} tokenvis.lost" for times in ("0 5", "3 8", "8 8", "20 20")))
    assert [edge.tolist() for edge in losses_of(spans).intervals()] == [[0, 20], [9, 21]]


@pytest.mark.laws
@pytest.mark.parametrize("ask", [QUESTIONS[name] for name in QUESTIONS if name not in ("summary", "summary by")])
@some
@given(spans=spans_frames(parents=True, data=True, n_traces=3), markers=MARKERS)
def test_loss_markers_change_no_answer(ask, spans, markers):
    both = with_loss_markers(spans, markers)
    answer = ask(both)
    if "kind" in answer:
        answer = answer[answer["kind"] != "lost"].reset_index(drop=True)
    assert_frame_equal(plain(answer), plain(ask(spans)))


@pytest.mark.laws
@some
@given(spans_frames(parents=True, data=True, n_traces=3), MARKERS)
def test_loss_markers_change_no_measure_and_their_count_is_kept(spans, markers):
    for by in ((), ("agent_id",), ("location_id", "agent_id")):
        table, without = (tv.summary(frame, by=by) for frame in (with_loss_markers(spans, markers), spans))
        work = table[table["n_spans"] > 0].reset_index(drop=True)
        assert_frame_equal(plain(work).drop(columns="n_lost"), plain(without).drop(columns="n_lost"))
        assert table.groupby("trace_id", observed=True)["n_lost"].sum().to_dict() == {
            trace: sum(marker[3] for marker in markers if marker[0] == trace) for trace in table["trace_id"].unique()
        }
        alone = table[table["n_spans"] == 0].select_dtypes("int64").drop(columns="n_lost")
        assert not alone.to_numpy().any()


@pytest.mark.laws
@some
@given(spans_frames(parents=True, data=True, n_traces=1), MARKERS)
def test_loss_markers_change_no_comparison(spans, markers):
    both = with_loss_markers(spans, [("t", *marker[1:]) for marker in markers])
    assert_frame_equal(plain(tv.compare(both, spans)), plain(tv.compare(spans, spans)))


@pytest.mark.parametrize("kind", WRITERS)
def test_loss_markers_are_written_and_read_back(kind, tmp_path):
    spans = LOSING.assign(start_time=LOSING["start_time"] + 10**15, end_time=LOSING["end_time"] + 10**15)
    store = tv.Store(tmp_path / "sqlite.db")
    tv.ingest(tv.export(spans, tmp_path / "made", format=kind), store=store)
    back = losses_of(tv.load_spans(store=store))
    assert (back.n_spans.tolist(), back.rows.tolist()) == ([1234, 1], [2, 3])
    assert [back.start.tolist(), back.end.tolist()] == [[10**15 + time for time in times] for times in ((12, 40), (30, 40))]


@pytest.mark.parametrize("picture", PICTURES)
def test_no_picture_shows_a_loss_marker_as_work(picture):
    ax = PICTURES[picture](seconds(with_data(LOSING, a={"links": ["b"]}, c={"n_lost": 7})))
    texts = [text.get_text() for text in (*ax.get_yticklabels(), *ax.get_xticklabels())]
    texts += [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []
    assert not [text for text in texts if "tokenvis" in text]
    assert collisions(ax.figure) == []


@pytest.mark.parametrize("picture", ["timeline", "storyline", "concurrency", "critical path", "usage"])
def test_pictures_over_time_hatch_and_report_losses(picture):
    tokens = {"attributes": {"gen_ai.usage.input_tokens": 5}}
    spans = with_data(LOSING, a=tokens, c={"n_lost": 1234}, d={"n_lost": 1})
    ax = PICTURES[picture](spans)
    [hatched] = [c for c in ax.collections if c.get_label() == "lost"]
    edges = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in hatched.get_paths()]
    assert edges == [(12, 30), (40, 41)]
    assert "spans lost" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert "1,235 spans were lost while recording" in noted(ax)
    assert ax.get_label().endswith(" 1,235 spans were lost while recording.")
    low, high = ax.get_xlim()
    assert low < 0
    assert high > 40
    plain_ax = PICTURES[picture](spans.iloc[:2])
    assert not [c for c in plain_ax.collections if c.get_label() == "lost"]
    assert "lost" not in plain_ax.get_label() + noted(plain_ax)


def noted(ax):
    """The text of a picture's notes, after drawing."""
    ax.figure.canvas.draw()
    return " ".join(artist.get_text() for artist in ax.get_children() if isinstance(artist, Note))


@pytest.mark.parametrize("picture", ["timeline", "storyline", "concurrency", "critical path", "usage"])
def test_a_trace_of_only_losses_reports_them(picture):
    ax = PICTURES[picture](LOSING.iloc[2:3])
    assert [text.get_text() for text in ax.texts] == ["1,234 spans were lost while recording."]


def test_a_comparison_reports_losses_per_side():
    ax = tv.plot_compare(LOSING, LOSING.iloc[:3].assign(trace_id="u"))
    expected = "lost while recording: 1,235 spans before, 1,234 spans after"
    assert expected in noted(ax)
    assert ax.get_label().endswith(f" {expected.capitalize()}.")


def test_the_overview_counts_lost_spans():
    figure = tv.plot_overview(seconds(LOSING))
    [text] = [artist for artist in figure.axes[0].get_children() if isinstance(artist, PageText)]
    assert text.lines[0].rest == (
        "2 spans · 2 agents · 2 locations · 20 s wall · 20 s active, two or more at once for 25% of it"
        " · peak 2 · 1,235 spans lost"
    )
    assert [ax.get_label() for ax in tv.plot_overview(LOSING.iloc[2:3]).axes] == ["1,234 spans were lost while recording."]
