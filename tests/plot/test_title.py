from conftest import seeded_spans

import tokenvis as tv
from tokenvis.plot.artists.title import column_title, short_number


def test_large_numbers_are_short():
    assert [short_number(n) for n in (0, 999, 9_999, 12_345, 1_234_567, 12_900_000_000)] == [
        "0",
        "999",
        "9,999",
        "12.3k",
        "1.23M",
        "12.9G",
    ]
    assert [short_number(n, reference=20_000) for n in (0, 5_000, 20_000)] == ["0", "5k", "20k"]
    assert column_title("agent_id") == "agent"


def test_a_custom_title_stays():
    ax = tv.plot_timeline(seeded_spans("kitchen-sink"))
    ax.set_title("My title", loc="left")
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left") == "My title"
