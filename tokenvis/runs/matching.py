"""Matching: which agents of several runs are the same one, though their names may differ.

An agent that has its name in another run is matched by it. Others are matched by what they do and when: the profile of a name
is the share of its work at each location, and at each location in each part of the run. Two profiles are as similar as their
distributions overlap (the Bhattacharyya coefficient). The runs are read in order of their starts; the new names of each are
assigned to the roles that no agent of the run has, so that the similarity is highest in all (D. F. Crouse, "On implementing 2D
rectangular assignment algorithms", 2016, in SciPy). Two names that occur in one run are never one role.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, quoted
from tokenvis.runs.baseline import run_order
from tokenvis.spans.columns import as_categorical, codes_of, ranks_of, require, times_of, values_at
from tokenvis.spans.groups import Groups, groups_of
from tokenvis.spans.integers import Float64Array, Int64Array, count_ranks, difference, highest_of, lowest_of
from tokenvis.spans.intervals import Intervals, number_in_run
from tokenvis.tree.states import states_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Match: TypeAlias = str | Mapping[str, str] | Callable[[str], str]

BY_NAME, BY_ROLE = "agent_id", "role"
N_PARTS = 8  # of a run: an agent's time in it tells namesakes at the same locations apart
LOCATION_WEIGHT = 1 / 3  # of where an agent works; the rest of the similarity is where and when
MIN_SIMILARITY = 0.6


@dataclass(frozen=True)
class Matched:
    """The spans with the name of the role as ``agent_id``, and a row for each agent of each run.

    ``names`` has ``trace_id, agent_id`` (the role), ``name_in_run`` (str), and ``matched_by`` (str): "name" if the agent has
    the role's name, "role" if it does what that one does, "match" if ``match`` says so.
    """

    spans: pd.DataFrame
    names: pd.DataFrame


def matched(spans: pd.DataFrame, match: Match) -> Matched:
    """The agents of all runs as roles.

    ``match`` is a column of the frame; "agent_id" for names; a mapping or a function from names to roles; or "role", unless the
    frame has a column of that name, for names, and for agents without a namesake by what they do. `BadOption` for other values.
    """
    check_match(match)
    by_role = is_searched(match, [spans])
    column = [match] if isinstance(match, str) and not by_role else []
    require(spans, *column)
    agents = groups_of(spans, "trace_id", "agent_id", *column)
    roles = roles_by_activity(spans) if by_role else roles_of(spans, match)
    spans_with_roles = spans if match == BY_NAME else spans.assign(agent_id=as_categorical(roles))
    names = pd.DataFrame(
        {
            "trace_id": values_at(spans, "trace_id", agents.first),
            "agent_id": values_at(spans_with_roles, "agent_id", agents.first),
            "name_in_run": spans["agent_id"].iloc[agents.first].astype("str").array,
        }
    )
    same = names["agent_id"].astype("str").to_numpy() == names["name_in_run"].to_numpy()
    how = np.where(same, "name", "role" if by_role else "match")
    return Matched(spans_with_roles, names.assign(matched_by=pd.array(how, dtype="str")))


def is_searched(match: Match, frames: Iterable[pd.DataFrame]) -> bool:
    """Whether roles are found by what agents do: no frame has a column of that name."""
    return match == BY_ROLE and not any(BY_ROLE in frame.columns for frame in frames)


def check_match(match: object) -> None:
    """Raise `BadOption` unless this is a value of ``match``."""
    if not isinstance(match, str | Mapping) and not callable(match):
        raise BadOption(
            f"match={quoted(match)} is neither a column name, nor a mapping or a function of an agent's name, nor 'role'."
        )


def roles_of(spans: pd.DataFrame, match: Match) -> pd.Series:
    """The role of each span's agent: the column of that name, or by a mapping or function of its name, as ``str``."""
    if isinstance(match, str):
        return spans[match]
    codes, agents = codes_of(spans["agent_id"])
    roles = [match.get(agent, agent) if isinstance(match, Mapping) else match(agent) for agent in agents]
    for agent, role in zip(agents, roles, strict=True):
        if role is None or isinstance(role, float):
            raise BadOption(f"match= gives agent {quoted(agent)} the role {quoted(role)}. A role is a name.")
    roles = [str(role) for role in roles]
    return pd.Series(pd.Index(roles, dtype="str").take(codes), index=spans.index)


def roles_by_activity(spans: pd.DataFrame) -> pd.Series:
    """The role of each span's agent, by name and by what agents do."""
    codes, names = codes_of(spans["agent_id"])
    role_of_name = np.arange(len(names))
    trace, agents = ranks_of(spans["trace_id"]), groups_of(spans, "trace_id", "agent_id")
    name_of_pair, trace_of_pair = codes[agents.first], trace[agents.first]
    occurs = np.bincount(name_of_pair, minlength=len(names))
    if len(agents) and occurs.min() < count_ranks(trace):
        order = run_order(spans, trace)
        profiles = profiles_of_names(spans, agents, name_of_pair, len(names))
        first_start = lowest_of(agents.group, times_of(spans)[0], len(agents))
        role_of_name = RoleSearch(name_of_pair, order[trace_of_pair], profiles, first_start).assigned()
    return pd.Series(names.take(role_of_name[codes]), index=spans.index)


def origins_and_walls(spans: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """The first start and the wall time of each row's run; the latter at least 1, so that it divides."""
    trace, (start, end) = ranks_of(spans["trace_id"]), times_of(spans)
    n_traces = count_ranks(trace)
    origin = lowest_of(trace, start, n_traces)
    wall = np.maximum(difference(highest_of(trace, end, n_traces), origin), 1)
    return origin[trace], wall[trace]


def profiles_of_names(spans: pd.DataFrame, agents: Groups, name_of_pair: Int64Array, n_names: int) -> "csr_array":
    """The profile of each name, as a row of length 1: the roots of its shares of work, so that a product is a similarity."""
    from scipy.sparse import csr_array, hstack  # takes long to import

    location = ranks_of(spans["location_id"])
    n_locations = count_ranks(location)
    row, start, end = work_or_presence(spans, agents)
    origin, wall = (values[row] for values in origins_and_walls(spans))
    begin, stop = ((time - origin) / wall * N_PARTS for time in (start, end))
    name, place = name_of_pair[agents.group[row]], location[row]
    overall = csr_array((stop - begin, (name, place)), shape=(n_names, n_locations))
    by_part = shares_by_part(name, place, begin, stop, (n_names, n_locations))
    blocks = unit_roots(overall) * np.sqrt(LOCATION_WEIGHT), unit_roots(by_part) * np.sqrt(1 - LOCATION_WEIGHT)
    return csr_array(hstack(blocks))


def shares_by_part(
    name: Int64Array, place: Int64Array, begin: Float64Array, stop: Float64Array, shape: tuple[int, int]
) -> "csr_array":
    """The time of each name (row) in each part of the run at each location (column), of which half is in the parts beside it.

    So an agent that works a little earlier or later is still alike.
    """
    from scipy.sparse import csr_array

    n_names, n_locations = shape
    first = np.minimum(begin.astype(np.int64), N_PARTS - 1)
    n_parts = np.clip(np.ceil(stop).astype(np.int64), first + 1, N_PARTS) - first
    piece = np.repeat(np.arange(len(name)), n_parts)
    part = first[piece] + number_in_run(n_parts)
    within = np.maximum(np.minimum(stop[piece], part + 1) - np.maximum(begin[piece], part), 0)
    exact = csr_array(
        (within, (name[piece], part * n_locations + place[piece])), shape=(n_names, N_PARTS * n_locations)
    ).tocoo()
    part, at = exact.col // n_locations, exact.col % n_locations
    columns = [np.clip(part + step, 0, N_PARTS - 1) * n_locations + at for step in (-1, 0, 1)]
    shares = np.concatenate([exact.data / 4, exact.data / 2, exact.data / 4])
    return csr_array((shares, (np.tile(exact.row, 3), np.concatenate(columns))), shape=exact.shape)


def work_or_presence(spans: pd.DataFrame, agents: Groups) -> Intervals:
    """The work of each agent; all of its time if it never works, and an interval of one µs if it has only instants."""
    states = states_of(spans)
    row, start, end = states.work()
    works = np.zeros(len(agents), dtype=bool)
    works[agents.group[row[end > start]]] = True
    others = np.flatnonzero(~works[agents.group])
    lasting = np.zeros(len(agents), dtype=bool)
    begin, stop = times_of(spans)
    lasting[agents.group[others[stop[others] > begin[others]]]] = True
    instants = np.where(lasting[agents.group[others]], 0, 1)
    kept = end > start
    return (
        np.concatenate([row[kept], others]),
        np.concatenate([start[kept], begin[others]]),
        np.concatenate([end[kept], stop[others] + instants]),
    )


def unit_roots(shares: "csr_array") -> "csr_array":
    """The roots of each row's shares of its sum."""
    from scipy.sparse import csr_array

    total = np.asarray(shares.sum(axis=1)).reshape(-1)
    scaled = csr_array(shares.multiply(1 / np.where(total > 0, total, 1)[:, None]))
    scaled.data = np.sqrt(scaled.data)
    return scaled


class RoleSearch:
    """The roles that the names of all runs have; names and runs are numbers, runs in order."""

    def __init__(self, name: Int64Array, run: Int64Array, profiles: "csr_array", first_start: Int64Array) -> None:
        """``name, run, first_start`` have an entry for each agent of each run, ``profiles`` a row for each name."""
        order = np.lexsort((name, first_start, run))
        self.name, self.run, self.profiles = name[order], run[order], profiles
        self.runs_of: list[set[int]] = [set() for _ in range(profiles.shape[0])]
        for each, of_run in zip(self.name.tolist(), self.run.tolist(), strict=True):
            self.runs_of[each].add(of_run)
        self.members: list[list[int]] = []  # the names of each role, the first that was found first
        self.runs: list[set[int]] = []  # the runs in which any name of the role occurs, also later ones
        self.known: set[int] = set()

    def assigned(self) -> Int64Array:
        """For each name, the name of its role: the member that occurs in most runs (ties: the first)."""
        starts = np.flatnonzero(np.diff(self.run)) + 1
        for number, names in zip(self.run[np.append(0, starts)].tolist(), np.split(self.name, starts), strict=True):
            self.add_run(number, [name for name in names.tolist() if name not in self.known])
        role = np.empty(len(self.runs_of), dtype=np.int64)
        for members in self.members:
            role[members] = max(members, key=lambda name: len(self.runs_of[name]))
        return role

    def add_run(self, run: int, new: list[int]) -> None:
        """Give each new name of a run the role that is most like it and occurs in none of its runs, or a role of its own."""
        from scipy.optimize import linear_sum_assignment

        similarity = self.similarities(new, run)
        for position, role in zip(*linear_sum_assignment(similarity, maximize=True), strict=True):
            if similarity[position, role] >= MIN_SIMILARITY:
                self.join(new[position], int(role))
        for name in new:
            if name not in self.known:
                self.members.append([])
                self.runs.append(set())
                self.join(name, len(self.members) - 1)

    def join(self, name: int, role: int) -> None:
        """Give a name a role."""
        self.members[role].append(name)
        self.runs[role] |= self.runs_of[name]
        self.known.add(name)

    def similarities(self, new: list[int], run: int) -> Float64Array:
        """How like each role each name is (equally like: in order of their starts), 0 if both occur in one run."""
        first_members = [members[0] for members in self.members]
        similarity: Float64Array = (self.profiles[new] @ self.profiles[first_members].T).toarray()
        for position, role in np.argwhere(similarity >= MIN_SIMILARITY).tolist():
            if not self.runs[role].isdisjoint(self.runs_of[new[position]]):
                similarity[position, role] = 0.0
        free = np.cumsum([run not in runs for runs in self.runs]) - 1  # the rank among the roles that the run lacks
        by_start = np.subtract.outer(np.arange(len(new)), free) ** 2 / max(len(free), len(new), 1) ** 2
        return np.where(similarity >= MIN_SIMILARITY, similarity - 1e-9 * by_start, 0.0)
