import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, MissingColumn, spans_from_samples


def samples_of(*rows: str) -> pd.DataFrame:
    """Samples written as text: "step agent location", with "-" for nowhere."""
    fields = [row.split() for row in rows]
    places = [None if place == "-" else place for _, _, place in fields]
    return pd.DataFrame({"step": [int(f[0]) for f in fields], "who": [f[1] for f in fields], "room": places})


def read(samples: pd.DataFrame, **options: object) -> list[str]:
    spans = spans_from_samples(samples, time="step", agent="who", location="room", **options)
    columns = (spans[name].tolist() for name in ("agent_id", "start_time", "end_time", "location_id"))
    return [" ".join(map(str, row)) for row in zip(*columns, strict=True)]


def test_a_run_of_one_location_is_one_span():
    assert read(samples_of("0 ann hall", "1 ann hall", "2 ann attic")) == ["ann 0 2 hall", "ann 2 3 attic"]


def test_a_gap_in_the_steps_ends_a_run():
    assert read(samples_of("0 ann hall", "1 ann hall", "3 ann hall")) == ["ann 0 2 hall", "ann 3 4 hall"]


def test_a_step_without_a_location_ends_a_run():
    assert read(samples_of("0 ann hall", "1 ann -", "2 ann hall")) == ["ann 0 1 hall", "ann 2 3 hall"]


def test_the_order_of_samples_does_not_matter_and_repeated_samples_count_once():
    assert read(samples_of("2 ann hall", "0 ann hall", "1 bob hall", "1 ann hall", "0 ann hall")) == [
        "ann 0 3 hall",
        "bob 1 2 hall",
    ]


def test_steps_have_the_given_length():
    assert read(samples_of("6 ann hall"), step_us=10_000_000) == ["ann 60000000 70000000 hall"]


def test_index_levels_of_mesa_are_read():
    index = pd.MultiIndex.from_tuples([(0, 1), (0, 2), (1, 1), (1, 2)], names=["Step", "AgentID"])
    samples = pd.DataFrame({"pos": [(0, 0), (1, 0), (0, 0), (1, 1)]}, index=index)
    spans = spans_from_samples(samples, time="Step", agent="AgentID", location="pos")
    assert spans["agent_id"].tolist() == ["2", "1", "2"]
    assert spans["location_id"].tolist() == ["(1, 0)", "(0, 0)", "(1, 1)"]
    assert spans["id"].tolist() == ["simulation/2/0", "simulation/1/0", "simulation/2/1"]
    assert spans["end_time"].tolist() == [1, 2, 2]


def test_no_samples_give_no_spans():
    assert read(samples_of()) == []


@pytest.mark.filterwarnings("ignore:The steps in step are")
@pytest.mark.laws
@given(st.lists(st.tuples(st.integers(-2, 9), st.sampled_from("ab"), st.sampled_from(["x", "y", "-"])), max_size=25))
def test_spans_cover_the_steps_of_the_samples(rows):
    where = {(step, who): place for step, who, place in rows}
    spans = read(samples_of(*(f"{step} {who} {place}" for (step, who), place in where.items())))
    told = {}
    for span in spans:
        who, start, end, place = span.split()
        for step in range(int(start), int(end)):
            assert (step, who) not in told
            told[step, who] = place
    assert told == {key: place for key, place in where.items() if place != "-"}
    for span in spans:
        who, start, end, place = span.split()
        assert told.get((int(end), who)) != place
        assert told.get((int(start) - 1, who)) != place


def test_two_locations_at_one_step_are_refused():
    with pytest.raises(BadSpan, match=r"^Agent 'ann' is at two locations at step 4: 'attic', 'hall'\.$"):
        read(samples_of("4 ann hall", "4 ann attic"))


def test_steps_that_are_not_integers_are_refused():
    samples = pd.DataFrame({"step": [0.0, 1.5], "who": "ann", "room": "hall"})
    with pytest.raises(BadSpan, match=r"^step contains 1\.5, which is not an integer step\.$"):
        read(samples)
    with pytest.raises(BadSpan) as error:
        read(samples.assign(step=["one", "two"]))
    assert str(error.value) == (
        "step has type str, not integer steps. spans_from_events(..., event=None) takes other times: "
        "there a row lasts until the next of its agent."
    )
    with pytest.raises(BadSpan, match=r"^step is missing in row 1 of the samples\.$"):
        read(samples.assign(step=[1, None]))


def test_a_sample_without_an_agent_is_refused_unless_it_is_nowhere():
    samples = samples_of("0 ann hall", "1 ann hall", "2 ann -")
    assert read(samples.assign(who=["ann", "ann", None])) == ["ann 0 2 hall"]
    with pytest.raises(BadSpan, match=r"^who is missing in row 1 of the samples\.$"):
        read(samples.assign(who=["ann", None, "ann"]))


def test_samples_of_every_tenth_step_are_told():
    samples = samples_of("5 ann hall", "15 ann hall", "35 bob attic")
    with pytest.warns(UserWarning, match="10 apart") as warned:
        spans = read(samples, step_us=6)
    assert spans == ["ann 30 36 hall", "ann 90 96 hall", "bob 210 216 attic"]
    assert [(str(one.message), one.filename) for one in warned] == [
        (
            "The steps in step are 10 apart, but a sample lasts one step. If it lasts until the next: "
            "divide them by 10, rounded down, and pass step_us=60.",
            __file__,
        )
    ]
    assert read(samples.assign(step=samples["step"] // 10), step_us=60) == ["ann 0 120 hall", "bob 180 240 attic"]


def test_steps_that_are_dates_in_seconds_are_told():
    with pytest.warns(UserWarning, match=r"^step contains 1780000000, read as µs or steps; in seconds it is the year 2026"):
        read(samples_of("1780000000 ann hall", "1780000001 ann hall"))


def test_steps_outside_the_int64_range_of_microseconds_are_refused():
    with pytest.raises(BadSpan, match=r"^Step 9000000000000 times step_us=10000000 does not fit into a 64-bit integer\.$"):
        read(samples_of("9000000000000 ann hall"), step_us=10_000_000)


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumn, match=r"^The samples have no column 'place'\. They have: 'step', 'who', 'room'\.$"):
        spans_from_samples(samples_of("0 ann hall"), time="step", agent="who", location="place")


def test_samples_must_be_a_frame():
    with pytest.raises(BadSpan, match=r"^Samples must be a DataFrame with a row for each agent and step, not list\.$"):
        spans_from_samples([], time="step", agent="who", location="room")


def test_a_step_length_is_a_positive_integer():
    with pytest.raises(BadOption, match=r"^step_us=0\.5 is not a positive integer of µs\.$"):
        read(samples_of("0 ann hall"), step_us=0.5)
