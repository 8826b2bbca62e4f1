import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.spans.conversion.pairing import partners_of


def partners(events: str) -> list[int]:
    """The partners of events written as "+a" (start at a), "-a" (end at a), "-" (an end without a place), of one stack."""
    places = {"": -1, "a": 0, "b": 1}
    words = events.split()
    place = np.array([places[word[1:]] for word in words], dtype=np.int64)
    is_end = np.array([word[0] == "-" for word in words], dtype=bool)
    return partners_of(np.zeros(len(words), dtype=np.int64), place, is_end).tolist()


def test_an_end_belongs_to_the_innermost_start_at_its_place():
    assert partners("+a +a -a -a") == [3, 2, 1, 0]
    assert partners("+a +b -a -b") == [2, 3, 0, 1]


def test_an_end_without_a_place_belongs_to_the_innermost_start():
    assert partners("+a +b - -") == [3, 2, 1, 0]


def test_both_kinds_of_ends_in_one_stack():
    assert partners("+a +b -a -") == [2, 3, 0, 1]
    assert partners("+a +b - -a") == [3, 2, 1, 0]
    assert partners("+a +b -b - -") == [3, 2, 1, 0, -1]


def test_an_event_without_a_partner():
    assert partners("-a +a +a -a -b") == [-1, -1, 3, 2, -1]
    assert partners("- +a") == [-1, -1]
    assert partners("") == []


def partners_one_by_one(stack: list[int], place: list[int], is_end: list[bool]) -> list[int]:
    """The oracle: a list of open starts for each stack."""
    partner, open_rows = [-1] * len(stack), {}
    for row in range(len(stack)):
        rows = open_rows.setdefault(stack[row], [])
        if not is_end[row]:
            rows.append(row)
            continue
        start = next((one for one in reversed(rows) if place[row] in (-1, place[one])), None)
        if start is not None:
            rows.remove(start)
            partner[start], partner[row] = row, start
    return partner


EVENTS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans())


@pytest.mark.laws
@given(st.lists(EVENTS, max_size=40))
def test_every_stack_is_read_as_one_event_after_another(events):
    stack = [stack for stack, *_ in events]
    is_end = [ends for _, _, ends, _ in events]
    place = [-1 if ends and placeless else place for _, place, ends, placeless in events]
    found = partners_of(*(np.array(values, dtype=np.int64) for values in (stack, place)), np.array(is_end, dtype=bool))
    assert found.tolist() == partners_one_by_one(stack, place, is_end)
