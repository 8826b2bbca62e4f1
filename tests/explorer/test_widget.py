import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import spans_of, with_data

from tokenvis import BadOption, BadSpan, Store, TraceNotFound, explore, self_spans

SPANS = with_data(spans_of("ann 0 10 desk", "bob 5 20 lab", "eve 12 12 lab", "ann 1 2 desk u"), a={"kind": "tool"})


@pytest.fixture
def explorer():
    """An explorer that records its messages to the page."""
    made = explore(SPANS)
    made.sent = []
    made.send = lambda content, buffers=None: made.sent.append((content, buffers or []))
    return made


def user_did(explorer, state, *buffers, of=None, heard=10**6):
    """Report a user action from the page, which has received Python's updates up to ``heard``."""
    explorer._on_message(explorer, {"say": {"of": of or explorer.trace, "heard": heard, **state}}, list(buffers))


def asked(explorer, question, **parameters):
    """The answer to a request of the page."""
    explorer._on_message(explorer, {"ask": question, "number": 7, **parameters}, [])
    return explorer.sent.pop()


def test_the_initial_state_is_of_the_first_trace(explorer):
    assert (explorer.trace, explorer.window, explorer.agents) == ("t", (0, 20), ("ann", "bob", "eve"))
    assert (explorer.by, explorer.hue, len(explorer.selection)) == ("location_id", "agent_id", 0)
    assert list(explorer.selection.columns) == list(SPANS.columns)


def test_the_repr_is_the_same_for_the_same_spans(explorer):
    assert repr(explorer) == repr(explore(SPANS)) == "<Explorer of 't': 3 spans, 3 agents, 2 locations; and 1 more trace>"
    assert repr(explore(SPANS.iloc[:0])) == "<Explorer of no trace: 0 spans, 0 agents, 0 locations>"


def test_state_set_by_python_is_sent_to_the_page(explorer):
    explorer.window = (5, 15)
    explorer.agents = ["eve", "ann"]
    explorer.by = "agent_id"
    explorer.hue = "kind"
    explorer.selection = SPANS[SPANS["id"].isin(["c", "a"])]
    contents = [content["set"] for content, _ in explorer.sent]
    assert contents == [{"window": [5, 15]}, {"agents": [0, 2]}, {"by": "agent_id"}, {"hue": "kind"}, {}]
    content, [buffer] = explorer.sent[-1]
    assert (content["columns"][0]["name"], np.cumsum(np.frombuffer(buffer, np.uint8)).tolist()) == ("rows", [0, 2])
    assert explorer.agents == ("ann", "eve")
    assert explorer.selection["id"].tolist() == ["a", "c"]


def test_another_trace_resets_the_view(explorer):
    explorer.by = "agent_id"
    explorer.selection = SPANS.iloc[:1]
    explorer.trace = "u"
    assert (explorer.window, explorer.agents, len(explorer.selection), explorer.by) == ((1, 2), ("ann",), 0, "agent_id")
    content, _ = explorer.sent[-1]
    assert content["set"] == {"trace": "u", "window": [0, 1], "agents": [0], "by": "agent_id", "hue": "agent_id"}


def test_state_from_the_page_is_applied_and_not_sent_back(explorer):
    user_did(explorer, {"window": [2.4, 7.6]})
    user_did(explorer, {"agents": [1, 2]})
    user_did(explorer, {"by": "kind"})
    user_did(explorer, {"hue": "location_id"})
    user_did(explorer, {"selection": True, "as": "rows"}, memoryview(np.array([1, 2], "<u4").tobytes()))
    assert (explorer.window, explorer.agents, explorer.by, explorer.hue) == ((2, 8), ("bob", "eve"), "kind", "location_id")
    assert explorer.selection["id"].tolist() == ["b", "c"]
    user_did(explorer, {"selection": True, "as": "bits"}, memoryview(bytes([0b10000000])))
    assert explorer.selection["id"].tolist() == ["a"]
    user_did(explorer, {"trace": "u"})
    assert (explorer.trace, explorer.window, len(explorer.selection)) == ("u", (1, 2), 0)
    assert explorer.sent == []


def test_a_window_is_at_least_a_microsecond(explorer):
    user_did(explorer, {"window": [2.2, 2.4]})
    assert explorer.window == (2, 3)


def test_observers_are_notified_of_changes_by_both(explorer):
    changes = []
    explorer.observe(lambda change: changes.append((change["name"], change["new"])), ["window", "agents"])
    explorer.window = (1, 2)
    user_did(explorer, {"window": [3, 4]})
    user_did(explorer, {"agents": [0]})
    assert changes == [("window", (1, 2)), ("window", (3, 4)), ("agents", ("ann",))]


def test_observers_are_notified_of_a_selection(explorer):
    changes = []
    explorer.observe(lambda change: changes.append(change["new"]["id"].tolist()), "selection")
    explorer.selection = SPANS[SPANS["id"] == "a"]
    user_did(explorer, {"selection": True, "as": "rows"}, np.array([2], "<u4").tobytes())
    assert changes == [["a"], ["c"]]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("window", (5, 5), BadOption, "window=(5, 5) is not (start, end): two integers in µs, the second one larger."),
        ("window", "all", BadOption, "window='all' is not (start, end): two integers in µs, the second one larger."),
        ("agents", ["zoe"], BadOption, "The trace has no agents 'zoe'. It has: 'ann', 'bob', 'eve'."),
        ("agents", 5, BadOption, "agents=5 is neither a name nor a list of names."),
        ("by", 5, BadOption, "by=5 is neither a column nor a key of data."),
        (
            "hue",
            "colour",
            BadOption,
            "'colour' is neither a column nor a key of data. Available: 'agent_id', 'location_id', 'kind'.",
        ),
        ("trace", "v", TraceNotFound, "No trace 'v'. These spans have: 't', 'u'."),
        ("trace", None, BadOption, "trace=None is not a trace id. These spans have: 't', 'u'."),
        ("selection", SPANS.assign(id="z"), BadSpan, "The selection contains 'z', which are not in trace 't'."),
        ("selection", ["a"], BadSpan, "Spans must be a DataFrame, not list. load_spans() returns one."),
    ],
)
def test_invalid_state_is_refused_and_changes_nothing(explorer, name, value, error, message):
    before = {key: getattr(explorer, key) for key in ("trace", "window", "agents", "by", "hue")}
    with pytest.raises(error) as raised:
        setattr(explorer, name, value)
    assert str(raised.value) == message
    assert before == {key: getattr(explorer, key) for key in before}
    assert explorer.sent == []


def test_answers_have_the_number_of_their_question(explorer):
    content, buffers = asked(explorer, "trace", trace="t")
    assert (content["answer"], content["trace"], len(buffers)) == (7, "t", 4)
    content, _ = asked(explorer, "opening")
    assert content == {
        "answer": 7,
        "told": 0,
        "traces": [{"id": "t", "n": 3}, {"id": "u", "n": 1}],
        "trace": "t",
        "steps": False,
        "fold": True,
        "height": 420,
        "state": {"by": "location_id", "hue": "agent_id", "window": [0, 20], "agents": [0, 1, 2]},
    }
    assert asked(explorer, "column", trace="t", key="nothing")[0]["error"].startswith("'nothing' is neither a column")
    explorer.selection = SPANS.iloc[:1]
    assert len(asked(explorer, "selection", trace="t")[1][0]) == 1


def test_the_saved_widget_state_contains_no_span_data(explorer):
    state = explorer.get_state()
    assert not {"trace", "window", "agents", "by", "hue", "selection"} & set(state)
    assert not any(
        name in json.dumps(value, default=str)
        for name in ("ann", "desk")
        for key, value in state.items()
        if key not in ("_esm", "_css")
    )


def test_a_picture_is_shown_where_widgets_do_not_run(explorer):
    data, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == repr(explorer)
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_first_trace_is_sent_without_a_question(monkeypatch):
    sent = []
    monkeypatch.setattr("tokenvis.explorer.widget.Explorer.send", lambda _, content, buffers=None: sent.append(content))
    explore(SPANS)
    assert [(content["answer"], "columns" in content) for content in sent] == [(-1, False), (-2, True)]
    sent.clear()
    explore(SPANS.iloc[:0])
    assert [(content["answer"], content["pushes"]) for content in sent] == [(-1, False)]


def test_save_keeps_the_view(explorer, tmp_path):
    explorer.window = (5, 15)
    explorer.selection = SPANS.iloc[:1]
    assert explorer.save(tmp_path / "a.html").n_spans == 4
    with pytest.raises(BadOption, match=r"^content='all' is not one of 'full', 'short', 'none'\.$"):
        explorer.save(tmp_path / "a.html", content="all")


def test_the_given_frame_is_not_changed():
    before = SPANS.copy(deep=True)
    made = explore(SPANS)
    made._repr_mimebundle_()
    made.selection = SPANS.iloc[:1]
    pd.testing.assert_frame_equal(SPANS, before)


def test_state_set_by_an_observer_is_sent_to_the_page(explorer):
    explorer.observe(lambda _: setattr(explorer, "window", (3, 4)), "agents")
    user_did(explorer, {"agents": [0]})
    assert explorer.window == (3, 4)
    assert [content["set"] for content, _ in explorer.sent] == [{"window": [3, 4]}]


def test_observers_of_the_trace_see_a_reset_view(explorer):
    explorer.selection = SPANS[SPANS["id"] == "a"]
    seen = []
    explorer.observe(lambda _: seen.append((explorer.agents, len(explorer.selection), explorer.window)), "trace")
    user_did(explorer, {"trace": "u"}, of="t")
    explorer.trace = "t"
    assert seen == [(("ann",), 0, (1, 2)), (("ann", "bob", "eve"), 0, (0, 20))]


def test_stale_user_actions_are_ignored(explorer):
    user_did(explorer, {"window": [2, 8]}, heard=0)
    explorer.window = (5, 15)
    user_did(explorer, {"window": [2, 8]}, heard=0)
    user_did(explorer, {"agents": [0]}, heard=0)  # Python has not set them
    assert (explorer.window, explorer.agents) == ((5, 15), ("ann",))
    user_did(explorer, {"window": [2, 8]}, heard=explorer._n_updates)
    assert explorer.window == (2, 8)
    explorer.trace = "u"
    user_did(explorer, {"selection": True, "as": "rows"}, np.array([2], "<u4").tobytes(), of="t")
    assert len(explorer.selection) == 0


def test_a_selection_is_of_the_shown_trace_and_of_pieces_if_there_are_any(explorer):
    with pytest.raises(BadSpan):
        explorer.selection = SPANS[SPANS["id"] == "a"].assign(trace_id="u")
    pieces = self_spans(spans_of("ann 0 10 desk", "ann 2 5 lab", parents={"b": "a"}))
    nested = explore(pieces)
    nested.selection = pieces.iloc[:1]
    assert nested.selection[["id", "piece"]].to_numpy().tolist() == [["a", 0]]


def test_later_changes_of_the_frame_have_no_effect():
    frame = SPANS.copy()
    made = explore(frame)
    frame["agent_id"] = "zzz"
    made.agents = ["ann"]
    assert made.agents == ("ann",)


def test_an_unexpected_error_is_answered(explorer, monkeypatch):
    monkeypatch.setattr(explorer._answers, "answer", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        explorer._on_message(explorer, {"ask": "facts", "number": 7, "trace": "t"}, [])
    assert explorer.sent == [({"error": "ZeroDivisionError: division by zero", "answer": 7}, [])]


def test_data_that_is_not_a_json_object_omits_only_the_picture():
    data, _ = explore(SPANS.assign(data="[1]"))._repr_mimebundle_()
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


@pytest.mark.parametrize(("given", "other"), [("agent_id", "location_id"), ("location_id", "agent_id"), ("kind", "agent_id")])
def test_a_palette_applies_only_to_its_hue(tmp_path, given, other):
    names = ["ann", "bob", "eve", "desk", "lab", "tool"]
    made = explore(SPANS, hue=given, palette=dict.fromkeys(names, "#ff0101"))
    made.hue = other
    page = made.save(tmp_path / "a.html").path.read_text()
    blocks = [gzip.decompress(base64.b64decode(text)) for text in re.findall(r'id="trace-0-\d+">([^<]*)<', page)]
    headers = [json.loads(block[4 : 4 + int.from_bytes(block[:4], "little")]) for block in blocks if block[:1] != b"["]
    colored = {header["key"] for header in headers if "key" in header and "#ff0101" in header["colors"]}
    assert colored == {given}


# An explorer that follows its trace; the tests trigger its polls

START = 10**15 + 100  # a timestamp; the axis counts from it


@pytest.fixture
def growing(monkeypatch):
    """An explorer that follows trace t of a store, with spans a and b, and that store; messages are recorded."""
    monkeypatch.setattr("tokenvis.explorer.follower.MIN_POLL_INTERVAL_S", 3_600.0)
    store = Store()
    store.write_trace("t", later("bob 0 10 desk", "eve 5 20 lab"))
    made = explore("t", follow=True, store=store)
    made.sent = []
    made.send = lambda content, buffers=None: made.sent.append((content, buffers or []))
    yield made, store
    made.close()


def later(*rows):
    """Spans written as text, with timestamps."""
    spans = spans_of(*rows)
    return spans.assign(start_time=spans["start_time"] + START, end_time=spans["end_time"] + START)


def one(row, span):
    """A span written as text, with an id."""
    return later(row).assign(id=span)


def poll(explorer):
    """Poll once; the messages to the page."""
    explorer.sent.clear()
    assert explorer._follower.poll()
    return [content for content, _ in explorer.sent]


def test_new_spans_are_announced_and_requested_by_the_page(growing):
    explorer, store = growing
    assert poll(explorer) == []
    store.add_spans("t", one("zoe 1 2 lab", "c"))
    assert poll(explorer) == [{"renewed": 1, "traces": [{"id": "t", "n": 3}]}]
    content, _ = asked(explorer, "trace", trace="t")
    assert (content["version"], content["origin"]) == (1, START)
    assert content["keys"]["agent_id"]["names"] == ["bob", "eve", "zoe"]
    assert asked(explorer, "column", trace="t", key="agent_id", version=0)[0]["names"] == ["bob", "eve"]
    store.add_spans("t", one("ann 0 1 desk", "d"))
    poll(explorer)
    assert asked(explorer, "column", trace="t", key="agent_id", version=0)[0] == {"stale": True, "answer": 7}


def test_a_view_of_everything_keeps_showing_everything(growing):
    explorer, store = growing
    changes = []
    explorer.observe(lambda change: changes.append(change["name"]), ["window", "agents", "selection", "trace", "by", "hue"])
    store.add_spans("t", one("ann -7 30 lab", "c"))
    poll(explorer)
    assert (explorer.window, explorer.agents) == ((START - 7, START + 30), ("ann", "bob", "eve"))
    assert sorted(changes) == ["agents", "window"]


def test_the_view_stays_while_the_trace_grows(growing):
    explorer, store = growing
    explorer.window, explorer.agents = (START + 3, START + 8), ["eve"]
    explorer.by, explorer.hue = "agent_id", "location_id"
    explorer.selection = later("bob 0 10 desk", "eve 5 20 lab")
    changes = []
    explorer.observe(lambda change: changes.append(change["name"]), ["window", "agents", "selection", "trace", "by", "hue"])
    store.add_spans("t", one("ann -7 3 attic", "early"))
    assert poll(explorer) == [{"renewed": 1, "traces": [{"id": "t", "n": 3}]}]
    assert (explorer.window, explorer.agents) == ((START + 3, START + 8), ("eve",))
    assert (explorer.by, explorer.hue) == ("agent_id", "location_id")
    assert (explorer.selection["id"].tolist(), changes) == (["a", "b"], [])
    assert np.cumsum(np.frombuffer(asked(explorer, "selection", trace="t")[1][0], np.uint8)).tolist() == [1, 2]
    store.add_spans("t", one("bob 0 11 desk", "a"))
    poll(explorer)
    assert (explorer.selection["end_time"] - START).tolist() == [11, 20]
    assert changes == ["selection"]
    store.write_trace("t", later("ann -7 3 attic", "eve 5 20 lab").iloc[1:])
    poll(explorer)
    assert (explorer.selection["id"].tolist(), explorer.agents) == (["b"], ("eve",))


def test_user_actions_on_the_previous_version_are_applied(growing):
    explorer, store = growing
    store.add_spans("t", one("ann -7 3 attic", "early"))
    poll(explorer)
    user_did(explorer, {"selection": True, "as": "rows", "version": 0}, np.array([1], "<u4").tobytes())
    user_did(explorer, {"agents": [1], "version": 0})
    user_did(explorer, {"window": [2, 8], "version": 0})
    assert (explorer.selection["id"].tolist(), explorer.agents) == (["b"], ("eve",))
    assert explorer.window == (START + 2, START + 8)
    user_did(explorer, {"window": [0, 20], "version": 0})  # the whole trace
    assert explorer.window == (START - 7, START + 20)
    user_did(explorer, {"window": [1, 2], "version": -1})  # a version that is no longer kept
    assert explorer.window == (START - 7, START + 20)
    explorer.sent.clear()
    explorer.window = (START + 1, START + 2)
    assert explorer.sent[-1][0] == {"set": {"window": [8, 9], "origin": START - 7}, "told": 1, "version": 1}


def test_an_emptied_trace_is_shown_again_when_it_is_rewritten(growing):
    explorer, store = growing
    store.write_trace("t", [])
    assert poll(explorer)[1]["set"] == {"by": "location_id", "hue": "agent_id", "trace": None}
    assert repr(explorer) == "<Explorer of no trace: 0 spans, 0 agents, 0 locations>"
    store.write_trace("t", later("bob 0 10 desk"))
    assert poll(explorer)[-1]["set"]["trace"] == "t"
    assert (explorer.trace, explorer.window) == ("t", (START, START + 10))


def test_a_problem_is_shown_and_following_goes_on(growing):
    explorer, store = growing
    away = store.path.rename(store.path.with_name("away.db"))
    [content] = poll(explorer)
    assert content["problem"].startswith(f"{store.path} no longer exists.")
    away.rename(store.path)
    assert poll(explorer) == [{"problem": ""}]


def test_following_can_be_read_and_set(growing, explorer):
    following, _ = growing
    assert (following.follow, asked(following, "opening")[0]["follow"]) == (True, True)
    following.follow = False
    assert following.sent.pop() == ({"set": {"follow": False}, "told": 0}, [])
    assert following._follower._stopped is None
    following.follow = True
    assert following._follower._stopped is not None
    following.close()
    assert following._follower._stopped is None
    with pytest.raises(BadOption, match=r"^follow='yes' is neither True nor False\.$"):
        following.follow = "yes"
    assert explorer.follow is False
    with pytest.raises(
        BadOption, match=r"^follow=True needs the id or name of a stored trace, as in explore\('name', follow=True\): "
    ):
        explorer.follow = True


def test_it_pauses_when_no_page_shows_it_any_more(growing):
    explorer, _ = growing
    for page, shown, follows in [(1, True, True), (2, True, True), (1, False, True), (2, False, False), (3, True, True)]:
        explorer._on_message(None, {"page": page, "shown": shown}, [])
        assert ((explorer._follower._stopped is not None), explorer.follow) == (follows, True)
    explorer._on_message(None, {"page": 3, "shown": False}, [])
    explorer.follow = False
    explorer._on_message(None, {"page": 3, "shown": True}, [])
    assert (explorer._follower._stopped, explorer.follow) == (None, False)


def test_a_saved_page_does_not_follow(growing, tmp_path):
    explorer, _ = growing
    page = explorer.save(tmp_path / "a.html").path.read_text()
    [contents] = re.findall(r'id="contents">([^<]*)<', page)
    assert "follow" not in json.loads(gzip.decompress(base64.b64decode(contents)))["opening"]
