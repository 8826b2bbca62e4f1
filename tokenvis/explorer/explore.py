"""Explore: the door to the explorer."""

from typing import TYPE_CHECKING, Literal

import pandas as pd

from tokenvis.errors import BadOption, TokenvisError, check_choice, quoted
from tokenvis.explorer.follower import NOT_FOLLOWED
from tokenvis.layout.time_map import Gaps
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.spans.columns import is_integer
from tokenvis.store.database import Target
from tokenvis.store.follow import Following
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store

if TYPE_CHECKING:
    from tokenvis.explorer.widget import Explorer


def explore(
    spans: pd.DataFrame | str,
    *,
    by: str = "location_id",
    hue: str = "agent_id",
    palette: Palette = None,
    gaps: Gaps = "fold",
    time_unit: Literal["auto", "step"] = "auto",
    height: int = 420,
    follow: bool = False,
    store: Store | Target = None,
) -> "Explorer":
    """Explore spans in the notebook: who was where, and when, to zoom into, to search, to select from.

    What is selected there is data here: ``explorer.selection`` is a frame, and with ``window``, ``agents``, ``by``, ``hue`` and
    ``trace`` it can be read, set, and observed (``explorer.observe(f, "selection")``). ``explorer.save("trace.html")`` makes a
    page of it that works anywhere, offline. Where widgets do not run, the notebook shows the picture of `plot_timeline`.

    With ``follow=True`` it shows a trace that is being recorded, by this process or by another one, and keeps up with it: a
    second or two after spans are in the store they are in the picture, where your place stays as it is. It follows until
    ``explorer.close()``, or until ``explorer.follow = False``.

    Parameters
    ----------
    spans
        A frame of spans, of one trace or of several; or the id, or exact name, of a trace in the store.
    by
        The column, or key of ``data``, whose values make the bands.
    hue
        The column, or key, whose values give the colours; of more than twelve numbers, a scale.
    palette
        Colours of the values of ``hue``: a mapping, or a list for the values in lexical order. By default `tokenvis.palette`.
    gaps
        "fold": where idle time is more than half of the wall time, long gaps are folded. "keep": time is linear.
    time_unit
        "auto": µs to days, as it fits. "step": times are step numbers.
    height
        Of the timeline, in CSS pixels; it scrolls where there are more lanes.
    follow
        Whether the explorer keeps up with the trace, which is named, and which is there already.
    store
        Where a trace that is named is: a `Store`, a path or URL, or None for the default database.

    Returns
    -------
    Explorer
        A widget of Jupyter. `tokenvis.explorer.widget.Explorer` tells its attributes.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans.
    TraceNotFound, StoreNotFound, StoreError
        There is no trace of that id or name, or no database that can be read.
    BadOption
        An argument is none of its choices, there is no such key, or a frame is to be followed.
    TokenvisError
        The extra ``tokenvis[explorer]`` is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a", "b"], "trace_id": "t", "agent_id": ["Ann", "Bob"], "location_id": "desk",
    ...     "start_time": [0, 2_000_000], "end_time": [5_000_000, 9_000_000],
    ... })
    >>> explorer = explore(spans)
    >>> explorer
    <Explorer of 't': 2 spans, 2 agents, 1 location>
    >>> explorer.window, explorer.agents
    ((0, 9000000), ('Ann', 'Bob'))
    """
    try:
        from tokenvis.explorer.widget import Explorer
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "traitlets", "ipywidgets"):
            raise
        raise TokenvisError("explore() needs the extra: pip install 'tokenvis[explorer]'.") from None
    check_choice("gaps", gaps, ("fold", "keep"))
    check_choice("time_unit", time_unit, ("auto", "step"))
    if not is_integer(height) or not 100 <= height <= 10_000:
        raise BadOption(f"height={quoted(height)} is not a number of pixels from 100 to 10,000.")
    if not isinstance(follow, bool):
        raise BadOption(f"follow={quoted(follow)} is neither True nor False.")
    if follow and not isinstance(spans, str):
        raise BadOption(NOT_FOLLOWED)
    load = Following if follow else load_spans
    frame = load(spans, store=store) if isinstance(spans, str) else spans
    return Explorer(frame, by=by, hue=hue, palette=palette, gaps=gaps, steps=time_unit == "step", height=int(height))
