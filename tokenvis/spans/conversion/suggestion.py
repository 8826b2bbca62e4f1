"""Suggestion: the call that converts a table of samples or events, whose rows are not spans, judged by its first rows."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenvis.errors import quoted
from tokenvis.spans.conversion.vocabulary import known_role, named_pairs, pairs_text

TIMES_OF_ROWS = "time timestamp time:timestamp ts t at when datetime date step tick hour minute second frame round turn simtime"
ACTORS = "agent agentid agentname who person personid persona worker actor resource org:resource user robot vehicle player name"
PLACES = "location locationid room place where position pos zone area site station cell"
TASKS = "activity acttype task job tool machine desk link concept:name"
ACTIONS = "event eventtype eventname type action what transition lifecycle lifecycle:transition phase ph state status kind"
SPAN_STATES = ("state", "status")  # of spans that have a start: not the kind of an event
IDS = "id taskid jobid callid workid"
ENDS = (  # a table with one of these columns has a span in each row
    "end endtime endedat ended enddate endtimestamp stop stoptime stoppedat finish finishtime finishedat completedat "
    "duration durationms durationus durations dur"
)
STARTS = "starttime start startedat started startdate starttimestamp begin"


def suggested_call(columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The call of `spans_from_events` or `spans_from_samples` for a table, None if it looks like neither."""
    by_name = {re.sub(r"[\s_.-]", "", name.casefold()): name for name in reversed(list(columns)) if isinstance(name, str)}
    start, agent, place = (first_of(names, by_name) for names in (STARTS, ACTORS, PLACES))
    time = first_of(TIMES_OF_ROWS, by_name) or start
    if time is None or agent is None or first_of(ENDS, by_name) is not None:
        return None
    actions = (by_name[name] for name in ACTIONS.split() if name in by_name and (time != start or name not in SPAN_STATES))
    event = next((name for name in actions if marks_ends(rows, name, among_spans=time == start)), None)
    if event is not None:
        place = place or first_of(TASKS, by_name)
        table = "events" if place else "events.assign(location='work')"
        options = {"time": time, "agent": agent, "location": place or "location", "event": event}
        pairs = {} if has_known_words(rows, event) else named_pairs(words_in(rows, event))
        call = f"tv.spans_from_events({table}, {arguments(options | {'id': paired_id(by_name, rows)})}"
        return f"{call}, pairs={pairs_text(pairs)})" if pairs else f"{call})"
    if place is None or start is not None:
        return None
    options = {"time": time, "agent": agent, "location": place}
    if all(is_step(row.get(time)) for row in rows):
        return f"tv.spans_from_samples(samples, {arguments(options)})"
    return f"tv.spans_from_events(events, {arguments(options)}, event=None)"


def first_of(names: str, by_name: Mapping[str, str]) -> str | None:
    """The first of these columns that a table has."""
    return next((by_name[name] for name in names.split() if name in by_name), None)


def words_in(rows: Iterable[Mapping[str, Any]], column: str) -> list[Any]:
    """The distinct texts in a column, in the order of the rows."""
    return list(dict.fromkeys(row[column] for row in rows if isinstance(row.get(column), str)))


def has_known_words(rows: Iterable[Mapping[str, Any]], column: str) -> bool:
    """Whether a column has a known start and its end."""
    roles = [role for word in words_in(rows, column) if (role := known_role(word)) is not None]
    return bool({role.family for role in roles if role.is_end} & {role.family for role in roles if not role.is_end})


def marks_ends(rows: Iterable[Mapping[str, Any]], column: str, *, among_spans: bool) -> bool:
    """Whether a column tells starts from ends: it has a start and its end, or, unless rows may be spans, only known starts."""
    words = words_in(rows, column)
    roles = [known_role(word) for word in words]
    only_starts = bool(roles) and all(role is not None and not role.is_end for role in roles)
    return has_known_words(rows, column) or bool(named_pairs(words)) or (only_starts and not among_spans)


def paired_id(by_name: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column with the id of what starts and ends: its values occur in at most two rows, and one in two."""
    for name in IDS.split():
        if name in by_name:
            counts = Counter(str(row[by_name[name]]) for row in rows if row.get(by_name[name]) is not None)
            if max(counts.values(), default=0) == 2:
                return by_name[name]
    return None


def is_step(value: Any) -> bool:
    """Whether a value of a file or a frame is an integer."""
    text = str(value).strip() if isinstance(value, int | str) or hasattr(value, "dtype") else ""
    return re.fullmatch("-?[0-9]{1,18}", text) is not None


def arguments(options: Mapping[str, str | None]) -> str:
    """Options as they are written in a call, without those that are None."""
    return ", ".join(f"{name}={quoted(value)}" for name, value in options.items() if value is not None)
