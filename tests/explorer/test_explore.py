import subprocess
import sys

import pytest
from conftest import spans_of

from tokenvis import BadOption, MissingColumn, TraceNotFound, explore, seed_demo

SPANS = spans_of("ann 0 10 desk", "bob 5 20 lab")


def test_a_trace_is_explored_by_its_name():
    seed_demo()
    explorer = explore("multi-agent-workflow", by="agent_id", hue="phase")
    assert repr(explorer) == "<Explorer of 'multi-agent-workflow': 40 spans, 6 agents, 5 locations>"
    assert (explorer.window, explorer.by, explorer.hue) == ((0, 60_000_000), "agent_id", "phase")
    with pytest.raises(TraceNotFound):
        explore("nothing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gaps": "cut"}, "gaps='cut' is not one of 'fold', 'keep'."),
        ({"time_unit": "s"}, "time_unit='s' is not one of 'auto', 'step'."),
        ({"height": 5}, "height=5 is not a number of pixels from 100 to 10,000."),
        ({"height": "tall"}, "height='tall' is not a number of pixels from 100 to 10,000."),
        (
            {"by": "team"},
            "'team' is neither a column nor a key of data. Available: 'agent_id', 'location_id'.",
        ),
        ({"follow": "yes"}, "follow='yes' is neither True nor False."),
        (
            {"follow": True},
            "follow=True needs the id or name of a stored trace, as in explore('name', follow=True): a frame does not grow.",
        ),
        ({"palette": "red"}, "palette='red' is neither a mapping from name to colour nor a list of colours."),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(BadOption) as raised:
        explore(SPANS, **options)
    assert str(raised.value) == message


def test_a_followed_trace_must_exist():
    seed_demo()
    explorer = explore("kitchen-sink", follow=True)
    assert (explorer.follow, repr(explorer)) == (True, "<Explorer of 'kitchen-sink': 7 spans, 3 agents, 2 locations>")
    explorer.close()
    with pytest.raises(TraceNotFound):
        explore("nothing", follow=True)


def test_spans_without_a_column_are_refused():
    with pytest.raises(MissingColumn):
        explore(SPANS.drop(columns="agent_id"))


def test_an_empty_frame_can_be_explored():
    explorer = explore(SPANS.iloc[:0])
    assert (explorer.trace, explorer.agents, explorer.window) == (None, (), (0, 1))


@pytest.mark.full
def test_without_the_extra_the_error_names_it():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "import tokenvis as tv\n"
        "try: tv.explore('t')\n"
        "except tv.TokenvisError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "explore() needs the extra: pip install 'tokenvis[explorer]'.\n"
