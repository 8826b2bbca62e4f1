"""The widget: an explorer of spans in a notebook. Python can read, set and observe its state.

The page requests the data that it shows in custom messages (`tokenvis.explorer.answers`), and reports user actions. The
synchronised widget state contains no trace data, so a saved notebook contains none.
"""

import base64
import os
import threading
from contextlib import suppress
from contextvars import Context, copy_context
from time import perf_counter
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets

from tokenvis.errors import SpanError, TokenvisError, check_choice, plural, quoted
from tokenvis.explorer.answers import Answers
from tokenvis.explorer.checks import checked_agents, checked_follow, checked_key, checked_trace, checked_window
from tokenvis.explorer.development import script_source, style_sheet_source
from tokenvis.explorer.follower import FRAME_NOT_FOLLOWED, TraceFollower
from tokenvis.explorer.page import Page, write_page
from tokenvis.explorer.places import agents_of, full_window, rows_with_ids, selected_rows, state_from_page, updated_view
from tokenvis.explorer.wire import Message
from tokenvis.layout.time_map import GapMode
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.plot.still import timeline_png
from tokenvis.spans.columns import empty_spans, require
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.redaction import CONTENTS, Content
from tokenvis.store.follow import Following

NO_ANSWERS = Answers(empty_spans())
OPENING_NUMBER, PUSHED_TRACE_NUMBER = -1, -2  # answer numbers of messages that were not requested
STATE_NAMES = ("trace", "by", "hue", "window", "agents", "selection")


class StateTrait(traitlets.TraitType[Any, Any]):
    """A part of the state that a validator of the explorer checks, also if it is None."""

    default_value = None

    def set(self, obj: Any, value: Any) -> None:
        """Set it and notify its observers, while holding the lock of the state."""
        with obj._lock:
            super().set(obj, value)


class Explorer(anywidget.AnyWidget):
    """An interactive timeline of spans, returned by `tokenvis.explore`.

    Attributes
    ----------
    trace
        The id of the shown trace. Setting another one resets the view: the whole trace, all agents, no selection.
    window
        The shown time range: (start, end), in µs as in the spans.
    agents
        The names of the shown agents, sorted.
    by, hue
        The columns, or keys of ``data``, that define the bands and the colours.
    selection
        The selected spans, as rows of the given frame. To select spans, set a frame of them.
    follow
        Whether it follows the trace while it is recorded. With ``explore(..., follow=True)`` it does, until it is closed or
        until you set this to False. It pauses while its output is removed, for example when its cell runs again.
    """

    _esm = script_source()
    _css = style_sheet_source()

    trace = StateTrait()
    window = StateTrait()
    agents = StateTrait()
    by = StateTrait()
    hue = StateTrait()
    selection = StateTrait()
    follow = StateTrait()
    _follower: TraceFollower | None = None

    def __init__(
        self,
        spans: pd.DataFrame | Following,
        *,
        by: str,
        hue: str,
        palette: Palette,
        gaps: GapMode,
        steps: bool,
        height: int | None,
    ) -> None:
        self._lock = threading.RLock()  # page messages, Python and the follower change the state in different threads
        frame = spans.spans if isinstance(spans, Following) else spans
        self._answers = Answers(frame, hue=hue, palette=palette)
        self._version = 0  # number of updates of the spans
        self._answers_by_version = {0: self._answers}  # the last two: a page may still show the one before
        self._options = {"steps": steps, "fold": gaps == "fold", "height": height}
        self._silent = threading.local()  # per thread: the name of the state that changes silently
        self._n_updates = 0  # number of updates sent to the page
        self._last_update: dict[str, int] = {}  # number of the last update of each part of the state
        self._page_context: Context | None = None  # the context of the last message from the page
        self._pages: set[int] = set()  # ids of the pages that show it
        self._selected: Int64Array = np.empty(0, dtype=np.int64)  # the selection, as rows of the trace
        super().__init__()
        if self._answers.rows:
            self._set_silently("trace", next(iter(self._answers.rows)))
        else:
            self._reset_view()
        self._set_silently("by", by)
        self._set_silently("hue", hue)
        self.on_msg(self._on_message)
        if isinstance(spans, Following):
            self._follower = TraceFollower(spans, self._on_poll)
        self._set_silently("follow", self._follower is not None)
        self._send_opening()  # now: the page reads it while Python draws the picture

    def __repr__(self) -> str:
        """The trace and its counts in one line; deterministic for the same spans."""
        spans = self._spans()
        counts = [plural(len(spans), "span"), *(plural(spans[f"{name}_id"].nunique(), name) for name in ("agent", "location"))]
        others = len(self._answers.rows) - 1
        more = f"; and {plural(others, 'more trace')}" if others > 0 else ""
        return f"<Explorer of {quoted(self.trace) if self.trace is not None else 'no trace'}: {', '.join(counts)}{more}>"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and the picture for places where widgets do not run."""
        data, metadata = super()._repr_mimebundle_(**options) or ({"text/plain": repr(self)}, {})
        gaps = "fold" if self._options["fold"] else "keep"
        unit = "step" if self._options["steps"] else "auto"
        plot_options = {"palette": self._palette(), "gaps": gaps, "time_unit": unit}
        with suppress(SpanError):  # data that is not a JSON object; the explorer shows where
            picture = timeline_png(self._spans(), by=self.by, hue=self.hue, **plot_options)
            data = {**data, "image/png": base64.b64encode(picture).decode()}
        return {**data, "text/plain": repr(self)}, metadata

    def save(self, path: str | os.PathLike[str], *, content: Content = "none") -> Page:
        """Save the explorer as one HTML file that works anywhere, offline: all traces, in the current view.

        Parameters
        ----------
        path
            The file. An existing file is replaced.
        content
            How much free text (labels, prompts, answers, tool outputs) to include: "none", the first 200 characters of each
            ("short"), or "full". Names of agents and locations, ids and numbers are always included; the name of a trace may
            be the beginning of a prompt, and is text.

        Returns
        -------
        Page
            The path and the size of the file.

        Raises
        ------
        BadOption
            The path cannot be a file, or ``content`` is not one of its choices.
        """
        check_choice("content", content, CONTENTS)
        with self._lock:
            answers, rows, opening = self._answers, self._selected, self._opening()
        opening.pop("follow", None)
        spans, hue, palette = answers.spans, answers.hue, answers.palette
        return write_page(spans, path, opening=opening, selected=rows, content=content, hue=hue, palette=palette)

    def close(self) -> None:
        """Stop following, and remove the explorer from the page."""
        if self._follower is not None:
            self._follower.stop()
        super().close()

    # Validation of state that Python sets

    @traitlets.validate("trace")
    def _check_trace(self, proposal: Any) -> str | None:
        trace = checked_trace(proposal["value"], self._answers.rows)
        if trace is not None:
            self._answers.spans_of_trace(trace)
        return trace

    @traitlets.validate("window")
    def _check_window(self, proposal: Any) -> tuple[int, int]:
        return checked_window(proposal["value"])

    @traitlets.validate("agents")
    def _check_agents(self, proposal: Any) -> tuple[str, ...]:
        return checked_agents(proposal["value"], agents_of(self._spans()))

    @traitlets.validate("by", "hue")
    def _check_key(self, proposal: Any) -> str:
        key = checked_key(proposal["trait"].name, proposal["value"])
        if self.trace is not None:
            self._answers.column(self.trace, key)
        return key

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> pd.DataFrame:
        chosen = proposal["value"]
        require(chosen)
        spans = self._spans()
        self._selected = selected_rows(chosen, spans, self.trace)
        return spans.iloc[self._selected]

    @traitlets.validate("follow")
    def _check_follow(self, proposal: Any) -> bool:
        return checked_follow(proposal["value"], FRAME_NOT_FOLLOWED if self._follower is None else None)

    @traitlets.observe("follow")
    def _start_or_stop(self, change: Any) -> None:
        if self._follower is None:
            return
        if change["new"]:
            self._follower.start()
        else:
            self._follower.stop()
        self.send({"set": {"follow": change["new"]}, "told": self._n_updates})

    @traitlets.observe(*STATE_NAMES)
    def _send_update(self, change: Any) -> None:
        """Send a change to the page, unless the page made it."""
        name = change["name"]
        is_silent, self._silent.name = getattr(self._silent, "name", None) == name, None
        if name == "trace":
            self._reset_view()
        if is_silent:
            return
        self._n_updates += 1
        self._last_update[name] = self._n_updates
        message = Message({"set": self._state(name), "told": self._n_updates, **self._version_header()})
        if name == "selection":
            message.add("rows", self._selected, ascending=True)
        self.send(message.header, message.buffers)

    def _set_silently(self, name: str, value: Any) -> None:
        """Set a part of the state without sending it to the page; changes by its observers are sent."""
        self._silent.name = name
        try:
            self.set_trait(name, value)
        finally:
            self._silent.name = None

    def _reset_view(self) -> None:
        """Reset the view: the whole trace, all agents, no selection."""
        self._set_silently("window", full_window(self._spans()))
        self._set_silently("agents", agents_of(self._spans()))
        self._set_silently("selection", self._spans().iloc[:0])

    # Messages from the page

    def _on_message(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """Answer a request, or apply a user action."""
        self._page_context = copy_context()
        if "ask" in content:
            self._answer(**content)
        elif "page" in content:
            self._on_page_shown(**content)
        elif "say" in content and self.trace is not None:
            self._apply_user_change(content["say"], buffers)

    def _send_opening(self) -> None:
        """Send the initial state and the trace before the page requests them."""
        self.send({**self._opening(), "told": self._n_updates, "pushes": self.trace is not None, "answer": OPENING_NUMBER})
        if self.trace is not None:
            message = self._answers.answer("trace", self.trace)
            self.send({**message.header, **self._version_header(), "answer": PUSHED_TRACE_NUMBER}, message.buffers)

    def _answer(self, ask: str, number: int, trace: str | None = None, version: int | None = None, **parameters: Any) -> None:
        """Answer a request about a version of the spans; by default the latest."""
        started_at = perf_counter()
        with self._lock:
            version_header = self._version_header() if version is None else {"version": version}
            answers = self._answers_by_version.get(version_header.get("version", self._version))
        if answers is None:
            self.send({"stale": True, "answer": number})
            return
        try:
            if ask == "opening":
                with self._lock:
                    message = Message({**self._opening(), "told": self._n_updates})
            elif ask == "selection":
                message = Message({"trace": trace})
                message.add("rows", self._selected_in(answers), ascending=True)
            else:
                message = answers.answer(ask, str(trace), **parameters)
            message.header |= version_header
        except TokenvisError as error:
            message = Message({"error": str(error)})
        except Exception as error:
            self.send({"error": f"{type(error).__name__}: {error}", "answer": number})  # else the page waits forever
            raise
        self.send({**message.header, "answer": number}, message.buffers)
        if self._follower is not None:
            self._follower.callback_seconds += perf_counter() - started_at

    def _apply_user_change(self, change: dict[str, Any], buffers: list[Any]) -> None:
        """Apply a user action, unless it is stale: about another trace, or older than the value that Python set."""
        [name] = set(change) & {*STATE_NAMES, "fold"}
        with self._lock:
            if change["heard"] < self._last_update.get(name, 0) or (name != "trace" and change["of"] != self.trace):
                return
            if name == "fold":
                self._options["fold"] = bool(change[name])
            elif name not in ("window", "agents", "selection"):
                self._set_silently(name, change[name])
            elif self.trace in (answers := self._answers_by_version.get(change.get("version", self._version), NO_ANSWERS)).rows:
                origin = answers.time_map_of(self.trace).origin
                self._set_silently(
                    name, state_from_page(change, buffers, origin, answers.spans_of_trace(self.trace), self._spans())
                )

    def _on_page_shown(self, page: int, shown: bool) -> None:
        """Record whether a page shows the explorer. It follows while a page does, and before the first one does."""
        with self._lock:
            (self._pages.add if shown else self._pages.discard)(page)
            if self._follower is not None and self.follow:
                (self._follower.start if self._pages else self._follower.stop)()

    # Updates from the follower

    def _on_poll(self, spans: pd.DataFrame | None, problem: str | None) -> None:
        """Apply new spans or a problem, in the context of the last message from the page.

        Jupyter routes the page's next messages to the thread that last answered it; the main thread may be busy with a cell.
        """
        context = copy_context() if self._page_context is None else self._page_context.copy()
        if spans is not None:
            context.run(self._replace_spans, spans)
        if problem is not None:
            context.run(self.send, {"problem": problem})

    def _replace_spans(self, spans: pd.DataFrame) -> None:
        """Show a new version of the spans and keep the view; the page requests the data that it needs."""
        answers = Answers(spans, hue=self._answers.hue, palette=self._answers.palette)
        with self._lock:
            old_answers, self._answers = self._answers, answers
            self._answers_by_version = {self._version: old_answers, self._version + 1: answers}
            self._version += 1
            self.send({"renewed": self._version, "traces": self._answers.traces()})
            if self.trace in answers.rows:
                self._selected = rows_with_ids(self.selection, self._spans())
                view = updated_view(
                    self.window, self.agents, self.selection, old_answers.spans_of_trace(self.trace), self._spans()
                )
                for name, value in view.items():
                    self._set_silently(name, value)
            else:
                self.trace = next(iter(answers.rows), None)

    # State

    def _spans(self) -> pd.DataFrame:
        return self._answers.spans_of_trace(self.trace) if self.trace is not None else self._answers.spans

    def _selected_in(self, answers: Answers) -> Int64Array:
        """The selection, as rows of the trace in a version."""
        with self._lock:
            is_current = answers is self._answers or self.trace not in answers.rows
            return self._selected if is_current else rows_with_ids(self.selection, answers.spans_of_trace(self.trace))

    def _palette(self) -> Palette:
        """The given palette, if it belongs to the current ``hue``."""
        return self._answers.palette if self.hue == self._answers.hue else None

    def _version_header(self) -> dict[str, int]:
        """The version of the spans as a message field; empty if the explorer does not follow."""
        return {} if self._follower is None else {"version": self._version}

    def _opening(self) -> dict[str, Any]:
        follow = {} if self._follower is None else {"follow": self.follow}
        state = self._state(*STATE_NAMES[1:5])
        return {"traces": self._answers.traces(), **self._options, "trace": self.trace, "state": state, **follow}

    def _state(self, *names: str) -> dict[str, Any]:
        """Parts of the state as they are sent to the page; all parts if the trace is among them."""
        if self.trace is None:
            return {"by": self.by, "hue": self.hue, **({"trace": None} if "trace" in names else {})}
        requested = set(STATE_NAMES if "trace" in names else names)
        parts: dict[str, Any] = {name: getattr(self, name) for name in ("trace", "by", "hue") if name in requested}
        if "window" in requested:
            origin = self._answers.time_map_of(self.trace).origin
            parts["window"] = [time - origin for time in self.window]
            parts |= {} if self._follower is None else {"origin": float(origin)}  # the page may show another version
        if "agents" in requested:
            shown, all_agents = set(self.agents), agents_of(self._spans())
            parts["agents"] = [code for code, name in enumerate(all_agents) if name in shown]
            parts |= {} if self._follower is None else {"names": list(shown) if len(shown) < len(all_agents) else None}
        return parts
