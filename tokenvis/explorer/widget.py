"""The widget: an explorer of spans in a notebook, whose state is data that Python reads, sets and observes.

The page asks for what it shows, in messages of its own (`tokenvis.explorer.answers`), and says what a user did. Nothing of a
trace is in the widget's synchronised state, so none of it lands in a saved notebook.
"""

import base64
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets

from tokenvis.arrays import Int64Array
from tokenvis.columns import codes_of, is_integer, require, times_of
from tokenvis.contents import CONTENTS, Content
from tokenvis.errors import BadOption, BadSpan, SpanError, TokenvisError, check_choice, listed, plural, quoted, several
from tokenvis.explorer.answers import Answers
from tokenvis.explorer.bundle import bundle, style_sheet
from tokenvis.explorer.page import Page, write_page
from tokenvis.explorer.wire import Message, rows_in
from tokenvis.ink.hues import Palette
from tokenvis.layout.time_map import Gaps
from tokenvis.plot.still import still

OPENING, PUSHED = -1, -2  # the numbers of what is sent without a question
STATE = ("trace", "by", "hue", "window", "agents", "selection")


class Part(traitlets.TraitType[Any, Any]):
    """A part of the state, which a validator of the explorer checks; None is checked too."""

    default_value = None


class Explorer(anywidget.AnyWidget):
    """An interactive timeline of spans; `tokenvis.explore` makes one.

    Attributes
    ----------
    trace
        The id of the trace that is shown. Another one begins anew: all of it, all agents, nothing selected.
    window
        The time that is shown: (start, end), in µs as in the spans.
    agents
        The names of the agents that are shown, sorted.
    by, hue
        The column, or key of ``data``, that makes the bands, and the one that gives colours.
    selection
        The spans that are selected, rows of the frame that was given. To select others, set a frame of them.
    """

    _esm = bundle("widget")
    _css = style_sheet()

    trace = Part()
    window = Part()
    agents = Part()
    by = Part()
    hue = Part()
    selection = Part()

    def __init__(
        self, spans: pd.DataFrame, *, by: str, hue: str, palette: Palette, gaps: Gaps, steps: bool, height: int | None
    ) -> None:
        self._answers = Answers(spans, hue=hue, palette=palette)
        self._options = {"steps": steps, "fold": gaps == "fold", "height": height}
        self._taking = threading.local()  # the part of the state that is changed without telling the page
        self._n_told = 0  # how often Python told the page something,
        self._told: dict[str, int] = {}  # and which time it told of each part last
        self._rows: Int64Array = np.empty(0, dtype=np.int64)  # the selection, as rows of the trace
        super().__init__()
        if self._answers.rows:
            self._put("trace", next(iter(self._answers.rows)))
        else:
            self._begin()
        self._put("by", by)
        self._put("hue", hue)
        self.on_msg(self._hear)
        self._push()  # at once: the page reads it while Python draws the picture

    def __repr__(self) -> str:
        """What is explored, in a line; the same for the same spans."""
        spans = self._spans()
        counts = [plural(len(spans), "span"), *(plural(spans[f"{name}_id"].nunique(), name) for name in ("agent", "location"))]
        others = len(self._answers.rows) - 1
        more = f"; and {plural(others, 'trace')} more" if others > 0 else ""
        return f"<Explorer of {quoted(self.trace) if self.trace is not None else 'no trace'}: {', '.join(counts)}{more}>"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and the picture that is shown where widgets do not run."""
        data, metadata = super()._repr_mimebundle_(**options) or ({"text/plain": repr(self)}, {})
        gaps = "fold" if self._options["fold"] else "keep"
        unit = "step" if self._options["steps"] else "auto"
        look = {"palette": self._palette(), "gaps": gaps, "time_unit": unit}
        with suppress(SpanError):  # of data that is no JSON object; the explorer tells which
            picture = still(self._spans(), by=self.by, hue=self.hue, **look)
            data = {**data, "image/png": base64.b64encode(picture).decode()}
        return {**data, "text/plain": repr(self)}, metadata

    def save(self, path: str | os.PathLike[str], *, content: Content = "none") -> Page:
        """Save the explorer as one HTML file that works anywhere, offline: all traces, as they are shown now.

        Parameters
        ----------
        path
            The file. One that is there is replaced.
        content
            How much free text (labels, prompts, answers, what tools said) is in it: "none", the first 200 characters of each
            ("short"), or "full". Names of agents, locations and traces, ids and numbers always are.

        Returns
        -------
        Page
            A path, which says how large the file is.

        Raises
        ------
        BadOption
            There can be no file, or ``content`` is none of its choices.
        """
        check_choice("content", content, CONTENTS)
        return write_page(
            self._answers.spans,
            path,
            opening=self._opening(),
            selected=self._rows,
            content=content,
            hue=self._answers.hue,
            palette=self._answers.palette,
        )

    # What Python sets

    @traitlets.validate("trace")
    def _check_trace(self, proposal: Any) -> str:
        trace = proposal["value"]
        if not isinstance(trace, str):
            raise BadOption(f"trace={quoted(trace)} is no id of a trace. These spans have: {listed(self._answers.rows)}.")
        self._answers.of(trace)
        return trace

    @traitlets.validate("window")
    def _check_window(self, proposal: Any) -> tuple[int, int]:
        ends = proposal["value"]
        if not isinstance(ends, Sequence) or len(ends) != 2 or not all(map(is_integer, ends)) or ends[0] >= ends[1]:
            raise BadOption(f"window={quoted(ends)} is not (start, end): two whole numbers of µs, the second one larger.")
        return int(ends[0]), int(ends[1])

    @traitlets.validate("agents")
    def _check_agents(self, proposal: Any) -> tuple[str, ...]:
        agents = set(several("agents", proposal["value"]))
        strange = sorted(agents - set(self._agents()))
        if strange:
            raise BadOption(f"agents={listed(strange)} are not in the trace. It has: {listed(self._agents())}.")
        return tuple(sorted(agents))

    @traitlets.validate("by", "hue")
    def _check_key(self, proposal: Any) -> str:
        key = proposal["value"]
        if not isinstance(key, str):
            raise BadOption(f"{proposal['trait'].name}={quoted(key)} is no column of the spans, nor a key of their data.")
        if self.trace is not None:
            self._answers.column(self.trace, key)
        return key

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> pd.DataFrame:
        wanted = proposal["value"]
        require(wanted)
        spans = self._spans()
        self._rows = self._rows_of(wanted, spans)
        return spans.iloc[self._rows]

    @traitlets.observe(*STATE)
    def _tell(self, change: Any) -> None:
        """Tell the page what Python changed; what the page changed, it knows."""
        name = change["name"]
        is_known, self._taking.name = getattr(self._taking, "name", None) == name, None
        if name == "trace":
            self._begin()
        if is_known:
            return
        self._n_told += 1
        self._told[name] = self._n_told
        message = Message({"set": self._state(name), "told": self._n_told})
        if name == "selection":
            message.add("rows", self._rows, ascending=True)
        self.send(message.header, message.buffers)

    def _put(self, name: str, value: Any) -> None:
        """Change a part of the state without telling the page; what observers of it change is told."""
        self._taking.name = name
        try:
            self.set_trait(name, value)
        finally:
            self._taking.name = None

    def _begin(self) -> None:
        """What a trace shows at first: all of it."""
        start, end = times_of(self._spans())
        first, last = (int(start.min()), int(end.max())) if len(start) else (0, 1)
        self._put("window", (first, max(last, first + 1)))
        self._put("agents", self._agents())
        self._put("selection", self._spans().iloc[:0])

    # What the page asks and says

    def _hear(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """Answer a question, or take over what a user did."""
        if "ask" in content:
            self._reply(**content)
        elif "say" in content and self.trace is not None:
            self._take(content["say"], buffers)

    def _push(self) -> None:
        """Send what the page shows first, and the trace, before it asks."""
        self.send({**self._opening(), "told": self._n_told, "pushes": self.trace is not None, "answer": OPENING})
        if self.trace is not None:
            message = self._answers.answer("trace", self.trace)
            self.send({**message.header, "answer": PUSHED}, message.buffers)

    def _reply(self, ask: str, number: int, trace: str | None = None, **wish: Any) -> None:
        try:
            if ask == "opening":
                message = Message({**self._opening(), "told": self._n_told})
            elif ask == "selection":
                message = Message({"trace": trace})
                message.add("rows", self._rows, ascending=True)
            else:
                message = self._answers.answer(ask, str(trace), **wish)
        except TokenvisError as error:
            message = Message({"error": str(error)})
        except Exception as error:
            self.send({"error": f"{type(error).__name__}: {error}", "answer": number})  # else the page waits for ever
            raise
        self.send({**message.header, "answer": number}, message.buffers)

    def _take(self, said: dict[str, Any], buffers: list[Any]) -> None:
        """Take over what a user did; not what is out of date: of another trace, or from before Python set the same."""
        [name] = set(said) & {*STATE, "fold"}
        if said["heard"] < self._told.get(name, 0) or (name != "trace" and said["of"] != self.trace):
            return
        value = said[name]
        if name == "fold":
            self._options["fold"] = bool(value)
        elif name == "window":
            origin = self._answers.mapping(self.trace).origin
            first, last = (origin + round(offset) for offset in value)
            self._put("window", (first, max(last, first + 1)))
        elif name == "agents":
            names = self._agents()
            self._put("agents", [names[code] for code in value])
        elif name == "selection":
            self._put("selection", self._spans().iloc[rows_in(said, buffers[0], len(self._spans()))])
        else:
            self._put(name, value)

    # What is shown

    def _spans(self) -> pd.DataFrame:
        return self._answers.of(self.trace) if self.trace is not None else self._answers.spans

    def _rows_of(self, wanted: pd.DataFrame, spans: pd.DataFrame) -> Int64Array:
        """The rows of spans, or pieces, that are named; `BadSpan` where one is not in the trace."""
        if not len(wanted):
            return np.empty(0, dtype=np.int64)
        columns = ["trace_id", "id", *(["piece"] if "piece" in spans and "piece" in wanted else [])]
        own = list(zip(*(spans[column].tolist() for column in columns), strict=True))
        named = set(zip(*(wanted[column].tolist() for column in columns), strict=True))
        strange = sorted({span for _, span, *_ in named.difference(own)}, key=str)
        if strange:
            raise BadSpan(f"The selection holds {listed(strange)}, which trace {quoted(self.trace)} does not.")
        return np.flatnonzero([span in named for span in own])

    def _agents(self) -> list[str]:
        return [str(name) for name in codes_of(self._spans()["agent_id"])[1]]

    def _palette(self) -> Palette:
        """The colours that were given, where they are those of what gives colours now."""
        return self._answers.palette if self.hue == self._answers.hue else None

    def _opening(self) -> dict[str, Any]:
        traces = [{"id": trace, "n": len(rows)} for trace, rows in self._answers.rows.items()]
        return {"traces": traces, **self._options, "trace": self.trace, "state": self._state(*STATE[1:5])}

    def _state(self, *names: str) -> dict[str, Any]:
        """Parts of the state, as they cross; of another trace, all."""
        if self.trace is None:
            return {"by": self.by, "hue": self.hue}
        wanted = set(STATE if "trace" in names else names)
        parts: dict[str, Any] = {name: getattr(self, name) for name in ("trace", "by", "hue") if name in wanted}
        if "window" in wanted:
            origin = self._answers.mapping(self.trace).origin
            parts["window"] = [time - origin for time in self.window]
        if "agents" in wanted:
            shown = set(self.agents)
            parts["agents"] = [code for code, name in enumerate(self._agents()) if name in shown]
        return parts
