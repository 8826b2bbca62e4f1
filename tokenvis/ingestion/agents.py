"""The agents of an assembly: each span's own, told apart from others of its name, else the nearest ancestor's, else a fallback.

A span that names no agent has that of its nearest ancestor that names one, else its service's name, else its trace's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from tokenvis.conventions.namesakes import namesake_numbers
from tokenvis.conventions.rules import distinct_names
from tokenvis.ingestion.spool import NameCodes, Names
from tokenvis.spans.integers import Int64Array, Mask, packed
from tokenvis.tree.relations import nearest_marked

Pairs: TypeAlias = tuple[Int64Array, Int64Array]
AGENT_SOURCES = np.array(["own", "ancestor", "service", "trace"], dtype=object)
OWN, ANCESTOR, SERVICE, TRACE = range(len(AGENT_SOURCES))


@dataclass(frozen=True)
class AgentNames:
    """The names of agents and of their ids, of services and of traces, by the codes in the index of an assembly."""

    agents: NameCodes
    agent_keys: NameCodes
    services: NameCodes

    def own_agents(
        self, table: pa.Table, codes: Mapping[str, Int64Array], kept: Mask, parent: Int64Array, ends: Int64Array
    ) -> Int64Array:
        """The code of the agent that each span names, -1 if none; agents with one name that run at once get a code each.

        ``codes`` has the ``agent`` and the ``agent_key`` that each span names.
        """
        named, agent_key = codes["agent"], codes["agent_key"]
        keyed: Mask = kept & (named >= 0) & (agent_key >= 0)
        rows = np.flatnonzero(keyed)
        if not len(rows):
            return named
        trace = table["trace"].to_numpy().astype(np.int64)
        key_rank = self.agent_keys.ranks()[agent_key[rows]]
        agents, agent = distinct_pairs(trace[rows], named[rows])
        identities, identity = distinct_pairs(agent, key_rank)
        numbers = namesake_numbers(agent, identity, table["start_time"].to_numpy()[rows], ends[rows])
        if not numbers.any():
            return named
        own = named.copy()
        own[rows] = self.namesake_codes(agents, identities[0], numbers, (trace, named))[identity]
        source = nearest_marked(parent, keyed)
        heirs = np.flatnonzero((named >= 0) & ~keyed & (source >= 0))
        heirs = heirs[named[heirs] == named[source[heirs]]]
        own[heirs] = own[source[heirs]]
        return own

    def namesake_codes(self, agents: Pairs, agent: Int64Array, numbers: Int64Array, named: Pairs) -> Int64Array:
        """The code of each identity's name: of its agent's, or of a new one that its trace does not have yet.

        ``agents`` are the trace and the code of each agent, ``agent`` is the agent of each identity, sorted, ``numbers`` are
        those of `namesake_numbers`, and ``named`` are the trace and the code of every span's agent.
        """
        codes = agents[1][agent]
        (traces, in_trace), _ = distinct_pairs(*(column[np.isin(named[0], agents[0]) & (named[1] >= 0)] for column in named))
        labels = self.agents.array()
        added: dict[int, list[str]] = {}
        for number in np.unique(agent[numbers > 0]).tolist():
            trace, code = int(agents[0][number]), int(agents[1][number])
            names = labels[in_trace[slice(*np.searchsorted(traces, [trace, trace + 1]))]].tolist()
            names += added.setdefault(trace, [])
            identities = slice(*np.searchsorted(agent, [number, number + 1]))
            new = distinct_names([*names, *[labels[code]] * int(numbers[identities].max())])[len(names) :]
            added[trace] += new
            codes[identities] = np.array([code, *map(self.agents.code_of, new)])[numbers[identities]]
        return codes

    def resolve(self, table: pa.Table, own: Int64Array, parent: Int64Array, trace_names: Names) -> tuple[Names, Int64Array]:
        """The name of each span's agent, and where it comes from, as a position in `AGENT_SOURCES`."""
        service, trace = (table[name].to_numpy() for name in ("service", "trace"))
        agents, services = self.agents.array(), self.services.array()
        source = nearest_marked(parent, own >= 0)
        code = np.where(service >= 0, len(agents) + service, len(agents) + len(services) + trace)
        code = np.where(source >= 0, own[source] if len(own) else source, code)
        origin = np.where(own >= 0, OWN, np.where(source >= 0, ANCESTOR, np.where(service >= 0, SERVICE, TRACE)))
        return np.concatenate([agents, services, trace_names])[code], origin


def distinct_pairs(first: Int64Array, second: Int64Array) -> tuple[Pairs, Int64Array]:
    """The distinct pairs of two columns, sorted, and the number of each row's pair."""
    pair = packed(first, second)
    assert pair is not None, "two codes fit into 63 bits"
    _, rows, number = np.unique(pair, return_index=True, return_inverse=True)
    return (first[rows], second[rows]), number.reshape(-1)
