"""The modules of the page: their own tests, run by node, and checks that their results equal Python's.

One node process answers all cases (``modules/ask.mjs``): starting it takes longer than hundreds of cases.
"""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import spans_frames, spans_of
from hypothesis import given
from hypothesis import strategies as st
from waiting import waiting_frames

from tokenvis import moves, pack_lanes, self_spans, summary
from tokenvis.explorer.answers import Answers
from tokenvis.explorer.wire import Message, rows_from_page
from tokenvis.layout.time_map import time_map

MODULES = Path(__file__).parent / "modules"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="the tests of the modules need Node")


def test_the_modules_pass_their_own_tests():
    run = subprocess.run([NODE, MODULES / "all.mjs"], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, re.findall(r"^not ok .*?^  \.\.\.$", run.stdout, re.DOTALL | re.MULTILINE) or run.stderr
    assert int(re.search(r"^. pass (\d+)$", run.stdout, re.MULTILINE)[1]) > 100


@pytest.fixture(scope="module")
def ask():
    """Asks the modules a question."""
    with subprocess.Popen([NODE, MODULES / "ask.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:

        def answer(question, **parameters):
            node.stdin.write(json.dumps({"question": question, **parameters}) + "\n")
            node.stdin.flush()
            line = node.stdout.readline()
            assert line, "node ended: see stderr"
            return json.loads(line)

        yield answer


def as_json(message):
    """A message as JSON."""
    return {"header": message.header, "buffers": [base64.b64encode(buffer).decode() for buffer in message.buffers]}


def python_answers(spans, *questions):
    """Python's answers about the only trace of a frame."""
    answers = Answers(spans)
    return {question: as_json(answers.answer(question, "t")) for question in questions}


def traces(**options):
    """Frames of one trace."""
    return spans_frames(n_traces=1, **options).filter(len)


@pytest.mark.laws
@given(traces(max_spans=30))
def test_lanes_equal_those_of_python(ask, spans):
    assert ask("pack", **python_answers(spans, "trace")) == pack_lanes(spans)["lane"].tolist()


@pytest.mark.laws
@given(
    traces(max_spans=8),
    st.integers(1, 1000),
    st.sampled_from([0, 10**15]),
    st.lists(st.floats(-2000, 12_000), min_size=1, max_size=30),
)
def test_axis_times_equal_those_of_python(ask, spans, stretch, origin, offsets):
    start = spans["start_time"] * stretch + origin
    mapping = time_map(spans.assign(start_time=start, end_time=start + 3))
    knots = {"knots": mapping.offsets.tolist(), "images": mapping.positions.tolist()}
    places = mapping.offset_to_x(np.array(offsets))
    assert ask("places", **knots, offsets=offsets) == pytest.approx(places.tolist(), rel=1e-6, abs=1e-6)
    back = mapping.to_offset(np.array(offsets))
    assert ask("offsets", **knots, places=offsets) == pytest.approx(back.tolist(), rel=1e-6, abs=1e-6)
    times = start.to_numpy()
    offsets = (times - mapping.origin).tolist()
    assert ask("places", **knots, offsets=offsets) == pytest.approx(mapping.to_x(times).tolist(), rel=1e-6, abs=1e-6)


TIMES = {"active": "active_us", "busy": "busy_us", "waits": "waiting_us"}


def figures(ask, spans, rows):
    """The page's figures of some rows of the only trace of a frame, named as in `summary`."""
    shown = ask("figures", **python_answers(spans, "trace", "facts"), rows=rows)
    times = {column: shown["times"][name] for name, column in TIMES.items()}
    return {"n_spans": shown["n"], "wall_us": shown["wall"], **times}


def summarised(spans):
    """The same figures by `summary`, of the spans of one trace."""
    [row] = summary(spans).to_dict("records")
    return {name: row[name] for name in ("n_spans", "wall_us", *TIMES.values())}


def test_the_figures_of_a_lead_that_delegates_twice(ask):
    spans = spans_of("lead 0 22 desk", "w0 1 11 desk", "w1 11 21 desk", parents={"b": "a", "c": "a"})
    assert list(figures(ask, spans, [0, 1, 2]).values()) == [3, 22, 22, 22, 0]
    assert list(figures(ask, spans, [0]).values()) == [1, 22, 2, 2, 20]


@pytest.mark.laws
@given(waiting_frames(n_traces=1).filter(len))
def test_figures_equal_those_of_the_summary(ask, spans):
    assert figures(ask, spans, list(range(len(spans)))) == summarised(spans)


@pytest.mark.laws
@given(waiting_frames(n_traces=1).filter(len), st.data())
def test_figures_of_a_selection_equal_the_summary_of_its_pieces(ask, spans, data):
    rows = data.draw(st.lists(st.integers(0, len(spans) - 1), min_size=1, unique=True).map(sorted))
    selected = Answers(spans).spans_of_trace("t").iloc[rows]
    pieces = self_spans(spans)
    pieces = pieces[pieces["id"].isin(selected["id"])]
    expected = summarised(pieces) if len(pieces) else dict.fromkeys(TIMES.values(), 0)
    wall = selected["end_time"].max() - selected["start_time"].min()
    assert figures(ask, spans, rows) == expected | {"n_spans": len(rows), "wall_us": wall}


@pytest.mark.laws
@given(traces(parents=True))
def test_indexed_moves_are_the_moves_of_python(ask, spans):
    answers = Answers(spans)
    ids, origin = answers.spans_of_trace("t")["id"].tolist(), answers.time_map_of("t").origin
    indexed = {
        (left + origin, arrived + origin, ids[gone], ids[came])
        for left, arrived, gone, came in ask("moves", **python_answers(spans, "trace", "moves"))
    }
    table = moves(spans)
    assert indexed == set(zip(*(table[name].tolist() for name in ("left", "arrived", "from_span", "to_span")), strict=True))


def near(*numbers):
    """Numbers at the limits of types, and others."""
    return st.one_of(*(st.integers(number - 3, number + 3) for number in numbers))


@pytest.mark.laws
@given(st.lists(near(0, 2**8, 2**16, 2**32) | st.integers(-(2**53), 2**53), max_size=60))
def test_columns_are_decoded_exactly(ask, values):
    ascending = sorted(map(abs, values))
    message = Message({})
    message.add("any", np.array(values, dtype=np.int64))
    message.add("ascending", np.array(ascending, dtype=np.int64), ascending=True)
    assert ask("columns", message=as_json(message)) == {"any": values, "ascending": ascending}


@pytest.mark.laws
@given(st.integers(1, 6000), st.integers(1, 40), st.integers(0, 40))
def test_rows_are_decoded_by_python(ask, count, every, left_out):
    rows = [row for row in range(count) if row % every >= left_out]
    message = ask("rows", rows=rows, count=count)
    assert rows_from_page(message, base64.b64decode(message["buffer"]), count).tolist() == rows
