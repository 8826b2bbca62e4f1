from conftest import spans_of

import tokenvis as tv


def test_the_height_of_a_new_figure_grows_with_the_lanes_up_to_a_page():
    heights = []
    for count in (1, 20, 60, 400):
        spans = spans_of(*(f"ann 0 9 room-{n}" for n in range(count)))
        heights.append(tv.plot_timeline(spans).figure.get_size_inches()[1])
    assert heights == sorted(heights)
    assert heights[-1] <= 15
