import pandas as pd
import pytest

from tokenvis import BadOption, BadSpan
from tokenvis.spans.conversion.vocabulary import FAMILIES, event_roles


def roles(*words: object, pairs: object = None) -> list[str]:
    """The role of each word: its family, and "start", "end" or "move"."""
    found = event_roles(pd.Series(words, name="what", dtype=object), pairs)
    kinds = ["move" if move else "end" if ends else "start" for move, ends in zip(found.is_move, found.is_end, strict=True)]
    return [f"{family} {kind}" for family, kind in zip(found.family, kinds, strict=True)]


def test_a_known_word_counts_in_any_case_and_spelling():
    assert roles("Start", "STOP", " Logged_In", "logged-out", "B", "e", "LogIn") == [
        "1 start", "1 end", "4 start", "4 end", "1 start", "1 end", "4 start",
    ]  # fmt: skip


def test_no_known_word_is_in_two_families_or_on_both_sides():
    words = [word for sides in FAMILIES for words in sides for word in words.split(", ")]
    assert len(words) == len(set(words))


def test_entering_is_a_move_where_nobody_leaves():
    assert roles("enter", "moved to", "start") == ["0 move", "0 move", "1 start"]
    assert roles("enter", "exit") == ["0 start", "0 end"]


def test_failed_and_cancelled_ends_give_the_status():
    found = event_roles(pd.Series(["start", "failed", "cancelled", "done"], name="what"), None)
    assert found.status.tolist() == [None, "error", "cancelled", None]


def test_given_pairs_replace_the_known_words():
    pairs = {"up": ["down", "broken"], "boarded": "broken", 1: 0, "at": []}
    assert roles("up", "broken", "boarded", 1, "0", "at", pairs=pairs) == [
        "0 start", "0 end", "0 start", "1 start", "1 end", "2 move",
    ]  # fmt: skip


def test_an_unknown_word_is_an_error_that_lists_all():
    hint = "Name the pairs, such as pairs={'start': 'stop'}, and drop the rows of other events."
    with pytest.raises(BadSpan) as error:
        roles("start", "paused", "stop")
    assert str(error.value) == (
        "what contains 'paused' in row 1, which is neither a start nor an end. "
        f"It contains: 'paused', 'start', 'stop'. {hint}"
    )  # fmt: skip
    with pytest.raises(BadSpan, match=r"^what is missing in row 1 of the events\.$"):
        roles("start", None)


def test_an_error_names_the_pairs_that_the_events_contain():
    with pytest.raises(BadSpan) as error:
        roles("task_started", "task_completed", "TaskFailed", "on_tool_start", "on_tool_end", "message", "run begin")
    assert str(error.value).endswith(
        " Name the pairs, such as pairs={'task_started': ['TaskFailed', 'task_completed'], 'on_tool_start': 'on_tool_end'}, "
        "and drop the rows of other events."
    )


def test_an_end_whose_name_has_a_word_for_failure_gives_the_status():
    pairs = {"task_started": ["task_completed", "TaskFailed", "task-cancelled"]}
    found = event_roles(pd.Series(["task_started", "TaskFailed", "task-cancelled", "task_completed"], name="what"), pairs)
    assert found.status.tolist() == [None, "error", "cancelled", None]


def test_pairs_must_map_starts_to_ends():
    with pytest.raises(BadOption) as error:
        roles("up", pairs=["up", "down"])
    assert str(error.value) == (
        "pairs=['up', 'down'] is not a mapping from starts to their ends, such as {'arrive': 'depart'}."
    )
    with pytest.raises(BadOption, match=r"^pairs= has 'on' as a start and as an end\.$"):
        roles("on", pairs={"on": "on"})
