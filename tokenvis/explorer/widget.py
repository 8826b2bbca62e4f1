"""The widget: an explorer of spans in a notebook, whose state is data that Python reads, sets and observes.

The page asks for what it shows, in messages of its own (`tokenvis.explorer.answers`), and says what a user did. Nothing of a
trace is in the widget's synchronised state, so none of it lands in a saved notebook.
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
from tokenvis.explorer.development import script_file, style_sheet_file
from tokenvis.explorer.follower import NOT_FOLLOWED, Follower
from tokenvis.explorer.page import Page, write_page
from tokenvis.explorer.places import agents_of, part_said, place_again, rows_again, rows_of, whole_of
from tokenvis.explorer.wire import Message
from tokenvis.layout.time_map import Gaps
from tokenvis.plot.artists.color_scales import Palette
from tokenvis.plot.still import still
from tokenvis.spans.columns import empty_spans, require
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.redaction import CONTENTS, Content
from tokenvis.store.follow import Following

NOTHING = Answers(empty_spans())
OPENING, PUSHED = -1, -2  # the numbers of what is sent without a question
STATE = ("trace", "by", "hue", "window", "agents", "selection")


class Part(traitlets.TraitType[Any, Any]):
    """A part of the state, which a validator of the explorer checks; None is checked too."""

    default_value = None

    def set(self, obj: Any, value: Any) -> None:
        """Change it, and tell of it, while nobody else changes the state."""
        with obj._lock:
            super().set(obj, value)


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
    follow
        Whether it follows the trace as that is recorded, which one that `explore` made with ``follow=True`` does until it is
        closed, or until this is set to False. It rests while its output is taken away, as by a cell that is run again.
    """

    _esm = script_file()
    _css = style_sheet_file()

    trace = Part()
    window = Part()
    agents = Part()
    by = Part()
    hue = Part()
    selection = Part()
    follow = Part()
    _follower: Follower | None = None

    def __init__(
        self,
        spans: pd.DataFrame | Following,
        *,
        by: str,
        hue: str,
        palette: Palette,
        gaps: Gaps,
        steps: bool,
        height: int | None,
    ) -> None:
        self._lock = threading.RLock()  # the page, Python and the follower change the state, each in a thread of its own
        frame = spans.spans if isinstance(spans, Following) else spans
        self._answers = Answers(frame, hue=hue, palette=palette)
        self._version = 0  # how often the spans were renewed,
        self._kept = {0: self._answers}  # and those of the last versions: a page may still show the one before
        self._options = {"steps": steps, "fold": gaps == "fold", "height": height}
        self._taking = threading.local()  # the part of the state that is changed without telling the page
        self._n_told = 0  # how often Python told the page something,
        self._told: dict[str, int] = {}  # and which time it told of each part last
        self._heard_in: Context | None = None  # where the page spoke last
        self._pages: set[int] = set()  # those that show it, each by the number that it gave itself
        self._rows: Int64Array = np.empty(0, dtype=np.int64)  # the selection, as rows of the trace
        super().__init__()
        if self._answers.rows:
            self._put("trace", next(iter(self._answers.rows)))
        else:
            self._begin()
        self._put("by", by)
        self._put("hue", hue)
        self.on_msg(self._hear)
        if isinstance(spans, Following):
            self._follower = Follower(spans, self._follow_up)
        self._put("follow", self._follower is not None)
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
        with self._lock:
            answers, rows, opening = self._answers, self._rows, self._opening()
        opening.pop("follow", None)
        spans, hue, palette = answers.spans, answers.hue, answers.palette
        return write_page(spans, path, opening=opening, selected=rows, content=content, hue=hue, palette=palette)

    def close(self) -> None:
        """Follow no longer, and take the explorer out of the page."""
        if self._follower is not None:
            self._follower.stop()
        super().close()

    # What Python sets

    @traitlets.validate("trace")
    def _check_trace(self, proposal: Any) -> str | None:
        trace = checked_trace(proposal["value"], self._answers.rows)
        if trace is not None:
            self._answers.of(trace)
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
        wanted = proposal["value"]
        require(wanted)
        spans = self._spans()
        self._rows = rows_of(wanted, spans, self.trace)
        return spans.iloc[self._rows]

    @traitlets.validate("follow")
    def _check_follow(self, proposal: Any) -> bool:
        return checked_follow(proposal["value"], NOT_FOLLOWED if self._follower is None else None)

    @traitlets.observe("follow")
    def _start_or_stop(self, change: Any) -> None:
        if self._follower is None:
            return
        if change["new"]:
            self._follower.start()
        else:
            self._follower.stop()
        self.send({"set": {"follow": change["new"]}, "told": self._n_told})

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
        message = Message({"set": self._state(name), "told": self._n_told, **self._now()})
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
        self._put("window", whole_of(self._spans()))
        self._put("agents", agents_of(self._spans()))
        self._put("selection", self._spans().iloc[:0])

    # What the page asks and says

    def _hear(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """Answer a question, or take over what a user did."""
        self._heard_in = copy_context()
        if "ask" in content:
            self._reply(**content)
        elif "page" in content:
            self._note_page(**content)
        elif "say" in content and self.trace is not None:
            self._take(content["say"], buffers)

    def _push(self) -> None:
        """Send what the page shows first, and the trace, before it asks."""
        self.send({**self._opening(), "told": self._n_told, "pushes": self.trace is not None, "answer": OPENING})
        if self.trace is not None:
            message = self._answers.answer("trace", self.trace)
            self.send({**message.header, **self._now(), "answer": PUSHED}, message.buffers)

    def _reply(self, ask: str, number: int, trace: str | None = None, version: int | None = None, **wish: Any) -> None:
        """Answer a question about the spans of a version, by default the last one."""
        began = perf_counter()
        with self._lock:
            now = self._now() if version is None else {"version": version}
            answers = self._kept.get(now.get("version", self._version))
        if answers is None:
            self.send({"stale": True, "answer": number})
            return
        try:
            if ask == "opening":
                with self._lock:
                    message = Message({**self._opening(), "told": self._n_told})
            elif ask == "selection":
                message = Message({"trace": trace})
                message.add("rows", self._selected_in(answers), ascending=True)
            else:
                message = answers.answer(ask, str(trace), **wish)
            message.header |= now
        except TokenvisError as error:
            message = Message({"error": str(error)})
        except Exception as error:
            self.send({"error": f"{type(error).__name__}: {error}", "answer": number})  # else the page waits for ever
            raise
        self.send({**message.header, "answer": number}, message.buffers)
        if self._follower is not None:
            self._follower.spent += perf_counter() - began

    def _take(self, said: dict[str, Any], buffers: list[Any]) -> None:
        """Take over what a user did; not what is out of date: of another trace, or from before Python set the same."""
        [name] = set(said) & {*STATE, "fold"}
        with self._lock:
            if said["heard"] < self._told.get(name, 0) or (name != "trace" and said["of"] != self.trace):
                return
            if name == "fold":
                self._options["fold"] = bool(said[name])
            elif name not in ("window", "agents", "selection"):
                self._put(name, said[name])
            elif self.trace in (answers := self._kept.get(said.get("version", self._version), NOTHING)).rows:
                origin = answers.mapping(self.trace).origin
                self._put(name, part_said(said, buffers, origin, answers.of(self.trace), self._spans()))

    def _note_page(self, page: int, shown: bool) -> None:
        """A page shows the explorer, or no longer. It follows while any does, and where none has shown it yet."""
        with self._lock:
            (self._pages.add if shown else self._pages.discard)(page)
            if self._follower is not None and self.follow:
                (self._follower.start if self._pages else self._follower.stop)()

    # What the follower brings

    def _follow_up(self, spans: pd.DataFrame | None, problem: str | None) -> None:
        """Take over what the follower brings, as if the page had asked for it.

        Jupyter has a page speak next to the thread that Python last answered it from; the main one may be busy with a cell.
        """
        context = copy_context() if self._heard_in is None else self._heard_in.copy()
        if spans is not None:
            context.run(self._renew, spans)
        if problem is not None:
            context.run(self.send, {"problem": problem})

    def _renew(self, spans: pd.DataFrame) -> None:
        """Show what the trace has become. What is shown of it stays as it is; the page asks for what it needs."""
        answers = Answers(spans, hue=self._answers.hue, palette=self._answers.palette)
        with self._lock:
            before, self._answers = self._answers, answers
            self._kept = {self._version: before, self._version + 1: answers}
            self._version += 1
            self.send({"renewed": self._version, "traces": self._traces()})
            if self.trace in answers.rows:
                self._rows = rows_again(self.selection, self._spans())
                place = place_again(self.window, self.agents, self.selection, before.of(self.trace), self._spans())
                for name, value in place.items():
                    self._put(name, value)
            else:
                self.trace = next(iter(answers.rows), None)

    # What is shown

    def _spans(self) -> pd.DataFrame:
        return self._answers.of(self.trace) if self.trace is not None else self._answers.spans

    def _selected_in(self, answers: Answers) -> Int64Array:
        """The selection, as rows of the trace in a version."""
        with self._lock:
            is_now = answers is self._answers or self.trace not in answers.rows
            return self._rows if is_now else rows_again(self.selection, answers.of(self.trace))

    def _palette(self) -> Palette:
        """The colours that were given, where they are those of what gives colours now."""
        return self._answers.palette if self.hue == self._answers.hue else None

    def _traces(self) -> list[dict[str, Any]]:
        return [{"id": trace, "n": len(rows)} for trace, rows in self._answers.rows.items()]

    def _now(self) -> dict[str, int]:
        """The version of the spans, where there are several."""
        return {} if self._follower is None else {"version": self._version}

    def _opening(self) -> dict[str, Any]:
        follow = {} if self._follower is None else {"follow": self.follow}
        state = self._state(*STATE[1:5])
        return {"traces": self._traces(), **self._options, "trace": self.trace, "state": state, **follow}

    def _state(self, *names: str) -> dict[str, Any]:
        """Parts of the state, as they cross; of another trace, all."""
        if self.trace is None:
            return {"by": self.by, "hue": self.hue, **({"trace": None} if "trace" in names else {})}
        wanted = set(STATE if "trace" in names else names)
        parts: dict[str, Any] = {name: getattr(self, name) for name in ("trace", "by", "hue") if name in wanted}
        if "window" in wanted:
            origin = self._answers.mapping(self.trace).origin
            parts["window"] = [time - origin for time in self.window]
            parts |= {} if self._follower is None else {"origin": float(origin)}  # the page may show another version
        if "agents" in wanted:
            shown, all_of_them = set(self.agents), agents_of(self._spans())
            parts["agents"] = [code for code, name in enumerate(all_of_them) if name in shown]
            parts |= {} if self._follower is None else {"names": list(shown) if len(shown) < len(all_of_them) else None}
        return parts
