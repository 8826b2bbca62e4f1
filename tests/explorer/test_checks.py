import numpy as np
import pytest

from tokenvis import BadOption
from tokenvis.explorer.checks import checked_agents, checked_follow, checked_key, checked_trace, checked_window


def test_valid_values_are_normalised():
    assert checked_trace("t", ["t", "u"]) == "t"
    assert checked_trace(None, []) is None
    assert checked_window([np.int64(3), 5]) == (3, 5)
    assert checked_agents(["bob", "ann", "bob"], ["ann", "bob"]) == ("ann", "bob")
    assert checked_agents([], ["ann"]) == ()
    assert checked_key("by", "phase") == "phase"
    assert checked_follow(False, "It cannot.") is False
    assert checked_follow(True, None) is True


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: checked_trace(7, ["t"]), "trace=7 is not a trace id. These spans have: 't'."),
        (lambda: checked_trace(None, ["t"]), "trace=None is not a trace id. These spans have: 't'."),
        (lambda: checked_window((5, 5)), "window=(5, 5) is not (start, end): two integers in µs, the second one larger."),
        (lambda: checked_window(5), "window=5 is not (start, end): two integers in µs, the second one larger."),
        (lambda: checked_agents(["zoe"], ["ann"]), "The trace has no agents 'zoe'. It has: 'ann'."),
        (lambda: checked_key("hue", None), "hue=None is neither a column nor a key of data."),
        (lambda: checked_follow(1, None), "follow=1 is neither True nor False."),
        (lambda: checked_follow(True, "It cannot."), "It cannot."),
    ],
)
def test_invalid_values_are_refused(check, message):
    with pytest.raises(BadOption) as error:
        check()
    assert str(error.value) == message
