import matplotlib.pyplot as plt
import pytest
from conftest import spans_of

from tokenvis import plot_storyline
from tokenvis.plot.artists.notes import Note
from tokenvis.plot.artists.storylines.density import MIN_ROW_POINTS, MIN_TURN_POINTS, DensityReport


def zigzag(n, *, unit=1_000_000, agents=("ann", "bob", "eve")):
    """Agents that meet another one in each step."""
    rows = [
        f"{who} {step * unit} {(step + 1) * unit} {'desk' if number in (step % len(agents), (step + 1) % len(agents)) else who}"
        for step in range(n)
        for number, who in enumerate(agents)
    ]
    return spans_of(*rows)


def note(ax):
    ax.figure.canvas.draw()
    [found] = [artist for artist in ax.get_children() if isinstance(artist, Note)]
    return found.messages()


def report(ax):
    return [message for message in note(ax) if message.startswith("too dense")]


def test_a_story_that_can_be_followed_has_no_report():
    assert report(plot_storyline(zigzag(12), budget=0)) == []


def test_a_story_that_is_too_dense_says_so_and_what_to_do():
    assert report(plot_storyline(zigzag(300), budget=0)) == ["too dense: try agents=2, shortest_us=5_000_000, or another by="]


def test_the_options_that_it_names_help():
    spans = zigzag(300)
    assert report(plot_storyline(spans, budget=0, shortest_us=5_000_000)) == []
    assert report(plot_storyline(spans.assign(phase="all"), budget=0, by="phase")) == []


def test_two_agents_are_not_made_fewer():
    [message] = report(plot_storyline(zigzag(300).query("agent_id != 'eve'"), budget=0))
    assert "agents=" not in message


@pytest.mark.full
def test_a_larger_step_follows_one_that_did_not_help():
    spans = zigzag(390)
    _, ax = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    [first] = report(plot_storyline(spans, budget=0, ax=ax))
    step = int(first.split("shortest_us=")[1].split(",")[0])
    [second] = report(plot_storyline(spans, budget=0, shortest_us=step // 4, ax=plt.subplots(figsize=(3.3, 2.6))[1])) or [first]
    assert int(second.split("shortest_us=")[1].split(",")[0]) > step // 4


def test_a_part_of_the_time_can_be_followed():
    ax = plot_storyline(zigzag(300), budget=0)
    ax.set_xlim(0, 10_000_000)
    assert report(ax) == []


def test_lines_that_are_too_close_are_reported():
    _, ax = plt.subplots(figsize=(8, 1))
    spans = spans_of(*(f"agent{number} 0 9 room{number}" for number in range(40)))
    [message] = report(plot_storyline(spans, ax=ax))
    assert message.startswith("too dense: try agents=13, ")


def test_the_limits_are_exact():
    class Straight:
        def __init__(self, distance):
            self.distance = distance

        def mean_distance(self, low, high):
            return self.distance

    _, ax = plt.subplots(figsize=(10, 10))
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(0, 720)  # a point is one unit
    ax.set_ylim(720 / MIN_ROW_POINTS, 0)
    reports = [DensityReport(ax, Straight(MIN_TURN_POINTS + more), n_agents=3, shortest_us=0) for more in (0.0, -0.01)]
    assert [len(found.messages()) for found in reports] == [0, 1]
    ax.set_ylim(720 / MIN_ROW_POINTS + 1, 0)
    assert len(reports[0].messages()) == 1
