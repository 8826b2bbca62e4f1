"""Explore: opens the explorer."""

from typing import TYPE_CHECKING, Literal

import pandas as pd

from tokenvis.errors import BadOption, TokenvisError, check_choice, quoted
from tokenvis.explorer.follower import FRAME_NOT_FOLLOWED
from tokenvis.layout.time_map import GapMode
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
    gaps: GapMode = "fold",
    time_unit: Literal["auto", "step"] = "auto",
    height: int = 420,
    follow: bool = False,
    store: Store | Target = None,
) -> "Explorer":
    """Explore spans in the notebook: an interactive timeline to zoom, search, filter and select.

    Your selection is a DataFrame: ``explorer.selection``. You can read, set and observe it, and also ``window``, ``agents``,
    ``by``, ``hue`` and ``trace`` (``explorer.observe(f, "selection")``). ``explorer.save("trace.html")`` saves a page that
    works anywhere, offline. Where widgets do not run, the notebook shows the picture of `plot_timeline`.

    With ``follow=True`` it follows a trace that is being recorded, by this process or another one: new spans appear a second or
    two after they are stored, and your view stays as it is. It follows until ``explorer.close()`` or
    ``explorer.follow = False``.

    Parameters
    ----------
    spans
        A frame of spans of one or several traces; or the id or exact name of a trace in the store.
    by
        The column, or key of ``data``, whose values are the bands.
    hue
        The column, or key, whose values give the colours; more than twelve numbers use a colour scale.
    palette
        Colours of the values of ``hue``: a mapping, or a list for the values in lexical order. Default: `tokenvis.palette`.
    gaps
        "fold": folds long gaps if more than half of the wall time is idle. "keep": time is linear.
    time_unit
        "auto": from µs to days, by size. "step": times are step numbers.
    height
        Height of the timeline in CSS pixels; it scrolls if the lanes do not fit.
    follow
        Whether to follow the trace; needs the id or name of a trace that is already in the store.
    store
        The store of a trace given by id or name: a `Store`, a path or URL, or None for the default database.

    Returns
    -------
    Explorer
        A Jupyter widget. See `tokenvis.explorer.widget.Explorer` for its attributes.

    Raises
    ------
    MissingColumn, BadSpan
        ``spans`` is not a frame of spans.
    TraceNotFound, StoreNotFound, StoreError
        No trace has that id or name, or the database cannot be read.
    BadOption
        An argument is not one of its choices, a key does not exist, or ``follow`` is used with a frame.
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
        raise BadOption(FRAME_NOT_FOLLOWED)
    load = Following if follow else load_spans
    frame = load(spans, store=store) if isinstance(spans, str) else spans
    return Explorer(frame, by=by, hue=hue, palette=palette, gaps=gaps, steps=time_unit == "step", height=int(height))
