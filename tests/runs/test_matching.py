import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import BadOption, BadSpan, MissingColumn
from tokenvis.runs.matching import matched


def runs_of(**spans_by_run: tuple[str, ...]) -> pd.DataFrame:
    """Runs in one frame."""
    frames = [spans_of(*spans).assign(trace_id=run) for run, spans in spans_by_run.items()]
    return pd.concat(frames, ignore_index=True)


def roles_in(spans, match) -> list[str]:
    """Each agent of each run: run, name, role, and how it was matched."""
    names = matched(spans, match).names
    columns = ("trace_id", "name_in_run", "agent_id", "matched_by")
    return [" ".join(map(str, row)) for row in zip(*(names[column] for column in columns), strict=True)]


THREE_RUNS = runs_of(
    a=("ann 0 10 desk", "bob 10 20 lab"),
    b=("ann 0 10 desk", "rob 10 20 lab"),
    c=("ann 0 9 desk", "bob 9 20 lab", "eve 0 20 moon"),
)


def test_an_agent_without_a_namesake_has_the_role_of_the_one_that_does_the_same():
    assert roles_in(THREE_RUNS, "role")[:4] == ["a ann ann name", "a bob bob name", "b ann ann name", "b rob bob role"]
    assert roles_in(THREE_RUNS, "role")[4:] == ["c ann ann name", "c bob bob name", "c eve eve name"]
    assert matched(THREE_RUNS, "role").spans["agent_id"].tolist() == ["ann", "bob"] * 2 + ["ann", "eve", "bob"]


def test_names_a_mapping_a_function_and_a_column():
    assert set(matched(THREE_RUNS, "agent_id").names["matched_by"]) == {"name"}
    assert roles_in(THREE_RUNS, {"rob": "bob"})[3] == "b rob bob match"
    assert roles_in(THREE_RUNS, lambda name: name[-1])[0] == "a ann n match"
    with_roles = THREE_RUNS.assign(role=["x", "y", "x", "y", "x", None, "y"])
    assert roles_in(with_roles, "role")[:2] == ["a ann x match", "a bob y match"], "a column of that name is the role"
    assert matched(with_roles, "role").spans["agent_id"].isna().tolist() == [False] * 5 + [True, False]


def test_agents_at_the_same_location_are_told_apart_by_when_they_work():
    spans = runs_of(a=("w1 0 10 desk", "w2 10 20 desk", "w3 20 30 desk"), b=("x 20 30 desk", "y 0 10 desk", "z 10 20 desk"))
    assert roles_in(spans, "role")[3:] == ["b x w3 role", "b y w1 role", "b z w2 role"]


def test_agents_that_do_the_same_at_once_are_matched_in_order():
    first = ["lead", "boss", *(f"worker{number}" for number in range(5))]
    second = ["lead", "boss", *(f"helper{number}" for number in range(5))]
    spans = runs_of(a=tuple(f"{agent} 0 10 desk" for agent in first), b=tuple(f"{agent} 0 10 desk" for agent in second))
    assert [row for row in roles_in(spans, "role") if row.startswith("b helper")] == [
        f"b helper{number} worker{number} role" for number in range(5)
    ]


def test_an_agent_that_works_at_another_time_is_a_new_one_though_all_share_a_location():
    team = ["plan", "code", "test", "review", "doc"]

    def rounds(agents):
        return tuple(f"{agent} {10 * place} {10 * place + 10} model" for place, agent in enumerate([*agents, *agents]))

    spans = runs_of(a=rounds(team), b=rounds(team), c=rounds([*team[1:], "critic"]))
    assert "c critic critic name" in roles_in(spans, "role")


def test_runs_that_are_too_long_are_refused_and_a_role_is_a_name():
    spans = runs_of(a=(f"ann {-(2**62)} 0 desk", f"ann 0 {2**62 + 5} desk"), b=("bob 0 5 desk",))
    with pytest.raises(BadSpan):
        matched(spans, "role")
    with pytest.raises(BadOption) as error:
        matched(THREE_RUNS, {"rob": None})
    assert str(error.value) == "match= gives agent 'rob' the role None. A role is a name."


def test_agents_that_do_something_else_are_not_matched():
    spans = runs_of(a=("ann 0 10 desk",), b=("bob 0 10 lab",))
    assert roles_in(spans, "role") == ["a ann ann name", "b bob bob name"]
    assert roles_in(runs_of(a=("ann 0 0 desk",), b=("bob 5 5 desk",)), "role")[1] == "b bob ann role", "instants are presence"


def test_two_agents_of_one_run_are_never_one_role():
    spans = runs_of(a=("ann 0 10 desk",), b=("bob 0 10 desk",), c=("ann 0 10 desk", "bob 0 10 desk"))
    assert roles_in(spans, "role") == ["a ann ann name", "b bob bob name", "c ann ann name", "c bob bob name"]


def test_the_name_in_most_runs_names_the_role():
    spans = runs_of(a=("rob 0 10 lab",), b=("bob 0 10 lab",), c=("bob 0 10 lab",))
    assert roles_in(spans, "role") == ["a rob bob role", "b bob bob name", "c bob bob name"]


def test_no_run_and_integers_as_names():
    assert matched(spans_of().iloc[:0], "role").names.columns.tolist() == ["trace_id", "agent_id", "name_in_run", "matched_by"]
    spans = THREE_RUNS.assign(agent_id=[1, 2, 1, 3, 1, 4, 2])
    assert roles_in(spans, "role")[3] == "b 3 2 role"
    assert roles_in(spans, "agent_id")[3] == "b 3 3 name"


def test_another_match_is_refused():
    with pytest.raises(BadOption) as error:
        matched(THREE_RUNS, 5)
    assert str(error.value) == "match=5 is neither a column name, nor a mapping or a function of an agent's name, nor 'role'."
    with pytest.raises(MissingColumn):
        matched(THREE_RUNS, "team")


@pytest.mark.laws
@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 5), st.integers(0, 3)), max_size=5)))
def test_roles_are_found_in_any_order_of_the_rows_and_never_join_agents_of_one_run(runs):
    rows = [
        (f"a{agent}", start, start + length, f"p{place}", f"r{run}")
        for run, of in enumerate(runs)
        for agent, place, start, length in of
    ]
    spans = spans_of(*(" ".join(map(str, row)) for row in rows))
    names = matched(spans, "role").names
    assert not names.duplicated(["trace_id", "agent_id"]).any()
    assert len(names) == len({(agent, run) for agent, *_, run in rows})
    shuffled = spans.iloc[np.random.default_rng(0).permutation(len(spans))].reset_index(drop=True)
    assert roles_in(shuffled, "role") == roles_in(spans, "role")
