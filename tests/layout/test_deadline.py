import math

from tokenvis.layout.storylines import deadline as deadline_module
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline


def test_a_share_of_the_time_left_ends_earlier(monkeypatch):
    now = 100.0
    monkeypatch.setattr(deadline_module, "monotonic", lambda: now)
    deadline = Deadline.after(8)
    half = deadline.share(0.5)
    assert (deadline.seconds_left, half.seconds_left) == (8, 4)
    now = 104.0
    assert (deadline.is_over, half.is_over) == (False, True)
    assert deadline.share(0.5).time == 106
    assert NO_DEADLINE.share(0.5).seconds_left == math.inf
