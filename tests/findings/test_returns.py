import pandas as pd
import pytest
from conftest import spans_of, with_data
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import diagnose
from tokenvis.findings import returns as module


def returned(spans):
    """Returns as text: "agent location n ids"."""
    table = diagnose(spans).query("kind == 'return'")
    names = spans.set_index("id")[["agent_id", "location_id"]].astype(str)
    assert table["time_us"].isna().all()
    assert (table["n_spans"] == table["span_ids"].map(len)).all()
    return [f"{' '.join(names.loc[ids[0]])} {len(ids)} {''.join(ids)}" for ids in table["span_ids"]]


def path(*places, agent="ann"):
    """An agent at these places, one after the other."""
    return [f"{agent} {time} {time + 1} {place}" for time, place in enumerate(places)]


def test_an_agent_that_comes_back_at_least_five_times():
    assert returned(spans_of(*path(*["desk", "lab"] * 5, "desk"))) == ["ann desk 5 cegik"]
    assert returned(spans_of(*path(*["desk", "lab"] * 6))) == ["ann desk 5 cegik", "ann lab 5 dfhjl"]
    assert returned(spans_of(*path(*["desk", "lab"] * 5))) == []


def test_what_is_said_about_a_place():
    [row] = diagnose(spans_of(*path(*["desk", "lab"] * 5, "desk"))).query("kind == 'return'").to_dict("records")
    assert row["meaning"] == "'ann' came back to 'desk' 5 times after work elsewhere. Calls of models are not counted."
    assert (row["about"], pd.isna(row["time_us"]), pd.isna(row["cost"])) == ("behaviour", True, True)


def test_calls_of_models_are_no_places_between_tools():
    assert returned(spans_of(*path(*["model:m", "tool:Read"] * 9))) == []
    assert returned(spans_of(*path(*["model:m", "tool:Read", "model:m", "desk"] * 5, "tool:Read"))) == ["ann tool:Read 5 fjnru"]


def test_each_place_of_a_round_of_four_is_usual():
    assert returned(spans_of(*path(*["desk", "lab", "attic", "hall"] * 6))) == []
    assert len(returned(spans_of(*path(*["desk", "lab", "attic"] * 6)))) == 3


def test_a_visit_that_begins_while_the_agent_is_still_there_is_no_return():
    rows = [row for time in range(0, 24, 3) for row in (f"ann {time} {time + 4} desk", f"ann {time + 1} {time + 2} lab")]
    assert returned(spans_of(*rows)) == ["ann lab 7 dfhjlnp"]


def test_spans_around_others_of_the_agent_are_no_places():
    rows = [row for time in range(0, 60, 5) for row in (f"ann {time} {time + 4} agent", f"ann {time + 1} {time + 3} desk")]
    parents = {chr(98 + 2 * n): chr(97 + 2 * n) for n in range(12)}
    assert returned(spans_of(*rows, parents=parents)) == []
    assert [row[:8] for row in returned(spans_of(*rows))] == ["ann agen", "ann desk"]


@st.composite
def walks(draw):
    """One or two agents that are at three places, one of them a model, often at once."""
    agents, places = st.sampled_from(["ann", "ann", "bob"]), st.sampled_from(["x", "y", "model:m"])
    rows = draw(st.lists(st.tuples(agents, st.integers(0, 12), st.integers(0, 3), places), max_size=25))
    return spans_of(*(f"{agent} {start} {start + length} {place}" for agent, start, length, place in rows))


@pytest.mark.laws
@given(walks())
def test_returns_are_those_of_the_oracle(spans):
    expected = []
    for agent in ("ann", "bob"):
        last_end, visits, found, here = {}, {}, {}, None
        rows = spans[(spans["agent_id"] == agent) & ~spans["location_id"].isin(["model:m"])]
        for row in rows.sort_values(["start_time", "end_time", "id"]).to_dict("records"):
            place = row["location_id"]
            if place != here:
                visits[place] = visits.get(place, 0) + 1
                if place in last_end and last_end[place] <= row["start_time"]:
                    found.setdefault(place, []).append(row["id"])
            here, last_end[place] = place, max(row["end_time"], last_end.get(place, 0))
        expected += [
            f"{agent} {place} {len(ids)} {''.join(ids)}"
            for place, ids in sorted(found.items())
            if len(ids) >= module.MIN_RETURNS and 3 * visits[place] >= sum(visits.values())
        ]
    assert sorted(returned(spans.iloc[::-1])) == sorted(expected)


def test_the_share_of_visits_is_that_of_the_agent():
    spans = spans_of(*path(*["desk", "lab"] * 5, "desk"), *path(*["attic"] * 9, agent="bob"))
    assert len(returned(spans)) == 1
    assert returned(with_data(spans, k={"kind": "model"})) == []
