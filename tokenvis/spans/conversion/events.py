"""Events: spans from logs and simulations that record when something starts, and when it ends.

An event is a row: a time, an agent, a location, and whether something starts or ends there (`vocabulary`). A start and its end
become one span (`pairing`). Events without a partner become spans too, and a warning counts them.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, escaped, plural, quoted
from tokenvis.spans.columns import as_spans, codes_of, in_frame_order, ranks_of, table_of
from tokenvis.spans.conversion.clock import check_complete, check_step_length, name_values, times_in_us, values_of
from tokenvis.spans.conversion.event_data import free_columns, payloads_of, unused_key
from tokenvis.spans.conversion.pairing import NO_PARTNER, partners_of
from tokenvis.spans.conversion.vocabulary import Roles, event_roles
from tokenvis.spans.integers import Int64Array, Mask, inverse_permutation, run_starts, sort_order

UNKNOWN_LOCATION = "unknown"  # of an end that names no location, and has no start
MAX_EXAMPLES = 3


def spans_from_events(
    events: pd.DataFrame | Iterable[Mapping[str, Any]],
    *,
    time: str,
    agent: str,
    location: str,
    event: str | None,
    id: str | None = None,  # noqa: A002  (the column's usual name)
    pairs: Mapping[Any, Any] | None = None,
    step_us: int = 1,
    trace_id: str = "events",
) -> pd.DataFrame:
    """Convert events (an agent starts or ends something at a location) to spans.

    An end belongs to the innermost open start of its agent at its location; an end without a location to the innermost open
    start of its agent. Events count in the order of time, those of one time in the order of their rows.

    Parameters
    ----------
    events
        A row for each event, in any order: a DataFrame, or mappings. Every column that is not named below becomes a key of the
        span's data, from the start, else from the end. If both have a value and these differ, the end's is ``end_<column>``,
        except for ``status``, where the end's replaces the start's.
    time, agent, location
        Names of the columns or index levels with the time, the agent and the location. Times are numbers, datetimes, texts in
        ISO 8601 (UTC if none has a zone), or durations. Agents and locations of other types are converted to text.
    event
        The column that tells starts from ends. Known are, in any case: start, begin, B with stop, end, E, finish, complete,
        done, fail, abort, cancel; enter, move with leave, exit; open, connect, log in, check in, acquire with their opposites;
        their past forms.
        If the data has "enter" or "move", but no "leave" or "exit", each of them lasts until the next of its agent. If it has
        more than two words, they are in data too (as ``event``, if the column is ``status``). None if there is no such column:
        every row is a move, and the agent is there until its next row, or, if the location is missing, nowhere.
    id
        The column with the id of what starts and ends: events with an id are paired by agent and id. The location is that of
        the start; another one of the end is ``end_<location>`` in data.
    pairs
        Words for starts and their ends, instead of the known ones: ``{"boarded": "alighted", "up": ["down", "broken"]}``. A
        start without ends, ``{"arrive": []}``, is a move, and lasts until the next of its agent.
    step_us
        Length in µs of the unit of times that are numbers: 1_000_000 if they are seconds; the result is rounded to µs. With the
        default of 1, times are µs or step numbers: draw step numbers with ``time_unit="step"``.
    trace_id
        The trace of the spans.

    Returns
    -------
    DataFrame
        A frame of spans, ordered by start_time, end_time, agent_id, id; ids are "<trace_id>/<agent>/<number>", the number of
        the span's first event among the events of its agent. A start without an end is ``open`` in ``status`` until the last
        time of the events. An end without a start begins at its agent's event before it, or at the first time of all events;
        its ``estimated`` contains "start_time", and its location is "unknown" if it names none. A `UserWarning` counts both
        kinds, except the last move of each agent, which is open.

    Raises
    ------
    MissingColumn
        There is no such column or index level.
    BadSpan
        A time, agent, event or a start's location is missing; a time is no time, or only some times have a zone; an event is
        neither a start nor an end; a column has a name that refers to spans in data, such as parent_id.
    BadOption
        ``step_us`` is not a positive integer, or ``pairs`` is not a mapping from starts to ends.

    Examples
    --------
    >>> log = [
    ...     {"t": 0, "who": "ann", "room": "hall", "what": "enter"},
    ...     {"t": 4, "who": "ann", "room": "hall", "what": "leave"},
    ...     {"t": 4, "who": "ann", "room": "lab", "what": "enter"},
    ...     {"t": 9, "who": "ann", "what": "leave"},
    ... ]
    >>> spans = spans_from_events(log, time="t", agent="who", location="room", event="what")
    >>> spans[["agent_id", "location_id", "start_time", "end_time"]]
      agent_id location_id  start_time  end_time
    0      ann        hall           0         4
    1      ann         lab           4         9
    """
    check_step_length(step_us)
    table = events if isinstance(events, pd.DataFrame) else table_of(events)
    if not isinstance(events, pd.DataFrame) and not len(table):
        return as_spans([])
    read = ordered_events(table, time, agent, location, event, id, pairs, step_us)
    spans = paired(read)
    spans.warn(read)
    frame = pd.DataFrame(
        {
            "trace_id": trace_id,
            "agent_id": read.agents[read.agent[spans.first]].astype("str"),
            "location_id": spans.locations(read),
            "start_time": spans.start,
            "end_time": spans.end,
        }
    )
    frame["id"] = f"{trace_id}/" + frame["agent_id"] + "/" + pd.Series(read.number[spans.first]).astype("str")
    columns = free_columns(table, {time, agent, location, event})
    if read.words is not None and read.words.nunique() > 2:
        columns[unused_key("event" if event == "status" else str(event), columns)] = read.words  # the status is ok or error
    frame["data"] = spans.payloads(read, columns, unused_key(f"end_{location}", columns))
    return in_frame_order(as_spans(frame)).reset_index(drop=True)


@dataclass(frozen=True)
class Events:
    """Events in the order of time: their rows, times in µs, agents, locations (-1 for none), ids (-1 for none) and roles."""

    row: Int64Array
    time: Int64Array
    agent: Int64Array
    agents: pd.Index
    place: Int64Array
    places: pd.Index
    id: Int64Array
    roles: Roles
    words: pd.Series | None

    @property
    def number(self) -> Int64Array:
        """The number of each event among those of its agent."""
        order = sort_order(self.agent, np.arange(len(self.agent)))
        is_first = run_starts(self.agent[order])
        number: Int64Array = np.arange(len(order)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
        return number[inverse_permutation(order)]

    @property
    def stack(self) -> Int64Array:
        """The stack of each event: its agent's, in its family of words, and of its id if it has one."""
        keys = np.stack([self.agent, self.roles.family, self.id])
        order = sort_order(*keys)
        stack: Int64Array = np.cumsum(run_starts(*keys[:, order])) - 1
        return stack[inverse_permutation(order)]


def ordered_events(
    table: pd.DataFrame,
    time: str,
    agent: str,
    location: str,
    event: str | None,
    id: str | None,  # noqa: A002
    pairs: Mapping[Any, Any] | None,
    step_us: int,
) -> Events:
    """The events of a table in the order of time; `BadSpan` for a row that cannot be an event."""
    if event is None and pairs is not None:
        raise BadOption("pairs= is about the words in the column event=, which is None.")
    columns = {name: name_values(table, name, "events") for name in (agent, location, event, id) if name is not None}
    check_complete(columns[agent], "events")
    times = times_in_us(values_of(table, time, "events"), step_us, "events")
    words = None if event is None else columns[event]
    roles = all_moves(len(table)) if words is None else event_roles(words, pairs)
    (agents, agent_names), (places, place_names) = codes_of(columns[agent]), codes_of(columns[location])
    nowhere = (places < 0) & ~roles.is_end & ~roles.is_move
    if nowhere.any():
        raise BadSpan(f"{location} is missing in row {int(nowhere.argmax())} of the events, which is a start.")
    ids = np.full(len(table), -1, dtype=np.int64) if id is None else ranks_of(columns[id])
    order = np.argsort(times, kind="stable")
    return Events(
        order, times[order], agents[order], agent_names, places[order], place_names, ids[order], roles.in_order(order), words
    )


def all_moves(n_events: int) -> Roles:
    """The roles of events of which each is a move."""
    none = np.zeros(n_events, dtype=bool)
    return Roles(np.zeros(n_events, dtype=np.int64), none, ~none, np.full(n_events, None, dtype=object))


@dataclass(frozen=True)
class EventSpans:
    """Spans as positions in the events: the first event and the end (-1 for none) of each, its times, and what is not known."""

    first: Int64Array
    last: Int64Array
    start: Int64Array
    end: Int64Array
    is_open: Mask
    is_estimated: Mask

    @property
    def ends(self) -> Int64Array:
        """The end of each span, which of one without a start is its first event, -1 for none."""
        return np.where(self.is_estimated, self.first, self.last)

    def locations(self, events: Events) -> Any:
        """The location of each span."""
        names = np.append(events.places.astype("str").to_numpy(dtype=object), UNKNOWN_LOCATION)
        return pd.array(names[events.place[self.first]], dtype="str")

    def payloads(self, events: Events, columns: dict[str, pd.Series], end_location: str) -> Any:
        """The data of each span; ``end_location`` is the key of an end's location that is not the span's."""
        status = np.append(events.roles.status, [None])[self.ends]
        marks = defaultdict[int, dict[str, Any]](dict)
        with_status = np.flatnonzero(status != None)  # noqa: E711  (element by element)
        if "status" in columns:
            columns = columns | {"status": filled(columns["status"], events.row[self.ends[with_status]], status[with_status])}
        else:
            for position in with_status.tolist():
                marks[position]["status"] = status[position]
        for position in np.flatnonzero(self.is_open).tolist():
            marks[position]["status"] = "open"
        for position in np.flatnonzero(self.is_estimated).tolist():
            marks[position]["estimated"] = ["start_time"]
        place, end_place = events.place[self.first], np.where(self.last < 0, -1, events.place[self.last])
        for position in np.flatnonzero((end_place >= 0) & (end_place != place)).tolist():
            marks[position][end_location] = str(events.places[end_place[position]])
        rows = np.append(events.row, -1)
        return pd.array(payloads_of(columns, rows[self.first], rows[self.last], marks), dtype="str")

    def warn(self, events: Events) -> None:
        """Warn of events without a partner."""
        open_starts = self.first[self.is_open & ~events.roles.is_move[self.first]]
        without_start = self.first[self.is_estimated]
        texts = []
        if len(open_starts):
            texts.append(
                f"{plural(len(open_starts), 'start')} without an end, open until the last time: "
                f"{examples(events, open_starts)}."
            )
        if len(without_start):
            texts.append(
                f"{plural(len(without_start), 'end')} without a start, begun at the agent's event before, an estimate: "
                f"{examples(events, without_start)}."
            )
        if texts:
            warnings.warn(escaped(" ".join(texts)), stacklevel=3)


def filled(values: pd.Series, rows: Int64Array, others: Any) -> pd.Series:
    """The values with the others at these rows where they are missing."""
    items = values.astype(object).to_numpy(copy=True)
    items[rows] = np.where(values.isna().to_numpy()[rows], others, items[rows])
    return pd.Series(items, dtype=object)


def examples(events: Events, positions: Int64Array) -> str:
    """The first of these events, for a message."""
    rows = [
        f"row {events.row[at]} ({'' if events.words is None else f'{quoted(events.words[events.row[at]])}, '}"
        f"{quoted(str(events.agents[events.agent[at]]))})"
        for at in positions[:MAX_EXAMPLES].tolist()
    ]
    more = [f"{len(positions) - MAX_EXAMPLES:,} more"] if len(positions) > MAX_EXAMPLES else []
    return "; ".join([*rows, *more])


def paired(events: Events) -> EventSpans:
    """The spans of events: each pair, each move until the next of its agent, and each event without a partner."""
    is_end, is_move = events.roles.is_end, events.roles.is_move
    partner = np.full(len(is_end), NO_PARTNER, dtype=np.int64)
    of_pairs, of_moves = np.flatnonzero(~is_move), np.flatnonzero(is_move)
    stack = events.stack
    place = np.where(events.id >= 0, 0, events.place)
    found = partners_of(stack[of_pairs], place[of_pairs], is_end[of_pairs])
    partner[of_pairs[found >= 0]] = of_pairs[found[found >= 0]]
    partner[of_moves] = next_move(events, of_moves)
    is_stay = is_move & (events.place >= 0)
    first = np.flatnonzero(is_stay | (~is_move & (~is_end | (partner < 0))))
    is_estimated = is_end[first]
    last = np.where(is_move[first], NO_PARTNER, partner[first])  # the data of a move is its own
    is_open = ~is_estimated & (partner[first] < 0)
    begins = np.where(is_estimated, times_before(events)[first], events.time[first])
    ends = np.where(is_open, events.time[-1:], events.time[partner[first]])  # -1: the last time of all
    return EventSpans(first, last, begins, np.where(is_estimated, events.time[first], ends), is_open, is_estimated)


def next_move(events: Events, moves: Int64Array) -> Int64Array:
    """The position of the next move of the same agent and family, -1 for the last."""
    following = np.full(len(moves), NO_PARTNER, dtype=np.int64)
    order = sort_order(events.agent[moves], events.roles.family[moves], moves)
    agent, family = events.agent[moves][order], events.roles.family[moves][order]
    is_next = ~run_starts(agent, family)[1:]
    following[order[:-1][is_next]] = moves[order[1:][is_next]]
    return following


def times_before(events: Events) -> Int64Array:
    """The time of the event of the same agent before each event, the first time of all events where there is none."""
    order = sort_order(events.agent, np.arange(len(events.agent)))
    before = np.append(0, events.time[order][:-1])[: len(order)]
    before[run_starts(events.agent[order])] = events.time.min() if len(order) else 0
    return before[inverse_permutation(order)]
