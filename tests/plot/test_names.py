import matplotlib.pyplot as plt
import numpy as np
from conftest import spans_of

import tokenvis as tv


def test_names_that_do_not_fit_are_left_out():
    spans = spans_of(*(f"ann {n} {n + 1} place-{n:03}" for n in range(100)))
    figure, ax = plt.subplots(figsize=(8, 3))
    tv.plot_timeline(spans, ax=ax, legend=False)
    figure.canvas.draw()
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert 5 < len(names) < 40
    assert np.all(np.diff(ax.get_yticks()) > 0)
