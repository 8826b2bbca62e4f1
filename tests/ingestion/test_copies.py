"""Sessions that continue each other, in any order of their arrival: the store ends as if all had been there from the start."""

import json
from pathlib import Path

import pytest
from claude_sessions import CONTINUATION, CONTINUED, prompt, reply, write
from conftest import full_except
from pandas.testing import assert_frame_equal

from tokenvis import Store, ingest, load_spans, load_traces
from tokenvis.ingestion.copies import REMOVED_COPIES
from tokenvis.ingestion.watch.watch import Watch

AGAIN = [prompt(90, "again"), reply(92, "m4", "ok", usage=(1, 1000), requestId="r4")]
FILES = {"a": CONTINUED, "b": [*CONTINUED, *CONTINUATION], "c": [*CONTINUED, *CONTINUATION, *AGAIN]}


def put(name, folder="made"):
    return write(f"{folder}/{name}.jsonl", *FILES[name], session=name)


def assert_as_if_all_had_been_there(store="one.db"):
    ingest("made", store="fresh.db")
    assert_frame_equal(load_spans(store=store), load_spans(store="fresh.db"))
    names = [load_traces(store=database).set_index("id")["name"].to_dict() for database in (store, "fresh.db")]
    assert names[0] == names[1]


def test_a_session_that_is_read_before_the_one_that_it_continues():
    ingest(put("b"), store="one.db")
    assert len(load_spans(store="one.db")) == 4
    report = ingest(put("a"), store="one.db")
    assert report.skipped[REMOVED_COPIES] == 3
    assert_as_if_all_had_been_there()
    assert REMOVED_COPIES not in ingest("made", store="one.db").skipped


def test_copies_stay_until_the_store_has_the_originals():
    ingest(put("b"), store="one.db")
    put("a")
    ingest("made/b.jsonl", store="one.db")
    assert len(load_spans(store="one.db")) == 4
    ingest("made/a.jsonl", store="one.db")
    assert_as_if_all_had_been_there()


def test_a_copy_from_another_folder_is_deleted():
    ingest(put("b", "elsewhere"), store="one.db")
    put("a")
    put("b")
    ingest("made", store="one.db")
    assert_as_if_all_had_been_there()


@pytest.mark.parametrize("order", full_except(["abc", "acb", "bac", "bca", "cab", "cba"], "bca", "cba"))
@pytest.mark.parametrize("how", full_except(["ingest", "ingest all", "watch", "a watch each time"], "ingest", "watch"))
def test_any_order_of_arrival(order, how):
    Path("made").mkdir()
    watch = Watch("made", store="one.db")
    for name in order:
        path = put(name)
        if how == "a watch each time":
            watch.close()
            watch = Watch("made", store="one.db")
        if how.startswith("ingest"):
            ingest(path if how == "ingest" else "made", store="one.db")
        else:
            watch.look()
    watch.look()
    assert_as_if_all_had_been_there()


def test_a_watch_of_sessions_that_grow_together():
    store = Store("one.db")
    Path("made").mkdir()
    with Watch("made", store=store) as watch:
        for n_lines in range(1, 7):
            for name in "bca":
                lines = [{"uuid": f"{name}-{n}", "sessionId": name, **line} for n, line in enumerate(FILES[name][:n_lines])]
                Path(f"made/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
                watch.look()
        watch.look()
    assert sorted(load_spans(store=store)["id"]) == ["a/m1", "a/m2", "a/t1", "b/m3"]
