"""Search: orders of the agents with few crossings, as a search of fixed length finds them.

An agent is taken out and put back where it crosses the fewest of the others over all layers at once, by dynamic programming.
Then a few agents, those of one block or two that cross and some beside them, are taken out around some layer and put back,
again and again, and what is hardly worse is kept (ruin and recreate; G. Schrimpf et al., 2000). Several searches, which differ
in how they break ties, run in lockstep on one array. The search counts its steps, not its seconds, so the same blocks always
get the same order.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, Present, Table, crossings
from tokenvis.layout.storylines.ordering import barycentres

SEARCHES = 12  # in lockstep, at most; fewer where all rounds of so many would take more than half of the effort
EFFORT = 50_000_000  # cells that all steps of a search may take
MOST_EFFORT = 1_000_000_000  # and that it may take at most to put every agent back once
LAYER, STEP = 400, 20_000  # cells that stand for what a layer, and what a step, costs beside them
PATIENCE, LEAST_EFFORT = 8, 2_000_000  # it ends where so many times the effort of the last find, and the least, found no more
ROUNDS = 2  # in which every agent is taken out and put back, before that is done with a few,
REACH = 24  # in so many layers before and after some layer,
SHARE_OF_BLOCKS, MOST_OF_A_BLOCK = 0.6, 12  # so often with a block, at most so many of it,
MOST_REMOVED = 8  # else with two that cross, and others up to so many
SLACK = 1  # crossings that every second search may have more than its fewest, to get away from there
IMPOSSIBLE = 1 << 28
TIE = 1 << 12  # what a crossing costs; less than that decides between places with as many


def search(blocks: Table, *, effort: int = EFFORT) -> Table:
    """Ranks with few crossings; where all agents cannot be put back even once, those of barycentres."""
    fewest = barycentres(blocks)
    width = int((blocks >= 0).sum(axis=1).max()) + 1
    needed = int((blocks >= 0).sum()) * width * width
    if needed > MOST_EFFORT or not crossings(fewest):
        return fewest
    weave = Weave.of(blocks, fewest, max(min(SEARCHES, effort // (2 * ROUNDS * needed)), 1))
    everybody = np.ones(blocks.shape[1], dtype=bool)
    spent = 0
    if len(weave.ranks) > 1:  # all searches but one begin anew
        spent += weave.renew(weave.shuffled(everybody))
        weave.ranks[0] = fewest
    for agent in [agent for _ in range(ROUNDS) for agent in weave.shuffled(everybody)]:
        if spent < effort:
            spent += weave.renew([agent])
    return improved(weave, fewest, spent, effort)


def improved(weave: "Weave", fewest: Table, spent: int, effort: int) -> Table:
    """Take out and put back a few agents, again and again; the ranks with the fewest crossings."""
    weave.count()
    least, record = crossings(fewest), weave.totals
    slack = np.arange(len(record)) % 2 * SLACK
    until = min(PATIENCE * spent + LEAST_EFFORT, effort)
    while True:
        if record.min() < least:
            least, fewest = int(record.min()), weave.ranks[weave.totals.argmin()].copy()
            until = min(PATIENCE * spent + LEAST_EFFORT, effort)
        if not least or spent >= until:
            return fewest
        agents, layer = weave.some_agents()
        part = weave.within(slice(max(layer - REACH, 0), layer + REACH + 2))
        ranks, counts = part.ranks.copy(), part.counts.copy()
        spent += part.renew(agents)
        part.count()
        worse = weave.totals > record + slack
        part.ranks[worse], part.counts[worse] = ranks[worse], counts[worse]
        record = np.minimum(record, weave.totals)


@dataclass(frozen=True)
class Weave:
    """Several orders of the same blocks, from which agents are taken out and into which they are put back.

    ``ranks`` (searches x layers x agents) holds the ranks among the agents that are in; ``inside`` (layers x agents) marks
    these, the same in all searches. ``counts`` (searches x layers - 1) are the pairs that crossed between a layer and the next
    when they were last counted. ``held`` are layers at the ends in which all agents keep their places.
    """

    blocks: Table
    ranks: np.ndarray
    inside: Present
    counts: np.ndarray
    held: tuple[int, ...]
    random: np.random.Generator

    @classmethod
    def of(cls, blocks: Table, ranks: Table, searches: int) -> "Weave":
        """A weave of so many searches, each of which begins with these ranks."""
        whole = np.broadcast_to(ranks, (searches, *blocks.shape)).copy()
        counts = np.zeros((searches, len(blocks) - 1), dtype=np.int64)
        return cls(blocks, whole, ranks >= 0, counts, (), np.random.default_rng(0))

    def within(self, window: slice) -> "Weave":
        """Some layers, of which the first and the last are held where others lie beyond them; the same arrays."""
        last = min(window.stop, len(self.blocks)) - window.start - 1
        held = (0,) * (window.start > 0) + (last,) * (window.stop < len(self.blocks))
        steps = slice(window.start, window.stop - 1)
        arrays = self.blocks[window], self.ranks[:, window], self.inside[window], self.counts[:, steps]
        return Weave(*arrays, held, self.random)

    @property
    def here(self) -> Present:
        """Where agents have a line."""
        return self.blocks >= 0

    @property
    def totals(self) -> np.ndarray:
        """The crossings of each search, as they were counted last."""
        total: np.ndarray = self.counts.sum(axis=1)
        return total

    def count(self) -> None:
        """Count the pairs that cross."""
        both = self.here[:-1] & self.here[1:]
        agents = np.flatnonzero(both.any(axis=0))
        both, ranks = both[:, agents], self.ranks[:, :, agents]
        upper, lower = np.where(both, ranks[:, :-1], ABSENT), np.where(both, ranks[:, 1:], ABSENT)
        crossed = (upper[..., :, None] < upper[..., None, :]) & (lower[..., :, None] > lower[..., None, :])
        self.counts[...] = crossed.sum(axis=(2, 3))

    def renew(self, agents: list[int]) -> int:
        """Take agents out together, and put them back one after the other; the cells that this took."""
        before = self.ranks.copy()
        for agent in agents:
            own = self.ranks[:, :, agent, None]
            np.subtract(self.ranks, (self.ranks > own) & (own >= 0), out=self.ranks)
            self.ranks[:, :, agent] = ABSENT
            self.inside[:, agent] = False
        return sum(self.put_back(agent, before) for agent in agents)

    def put_back(self, agent: int, before: np.ndarray) -> int:
        """Put an agent in where it crosses the fewest lines; of several such ways, another one in each search."""
        (layers,) = np.nonzero(self.here[:, agent])
        if not len(layers):
            return 0
        span = slice(int(layers[0]), int(layers[-1]) + 1)
        width = int(self.inside[span].sum(axis=1).max()) + 1
        costs, allowed = self.costs(agent, span, width), self.allowed(agent, span, width)
        for layer in self.held:
            if span.start <= layer < span.stop:
                above = self.inside[layer] & (before[:, layer] < before[:, layer, agent, None])
                allowed[:, layer - span.start] = np.arange(width) == above.sum(axis=1)[:, None]
        ties = self.random.integers(0, max(TIE // (span.stop - span.start), 2), allowed.shape, dtype=np.int32)
        rank = cheapest(costs, np.where(allowed, ties, np.int32(IMPOSSIBLE)))
        here = self.here[span, agent]
        part = self.ranks[:, span]
        part += (part >= rank[:, :, None]) & here[None, :, None]
        part[:, :, agent] = np.where(here, rank, ABSENT)
        self.inside[span, agent] = here
        return max(costs.size, allowed.size) + LAYER * len(here) + STEP

    def costs(self, agent: int, span: slice, width: int) -> np.ndarray:
        """What it costs to go from each rank in a layer to each rank in the next: (searches, layers - 1, width, width)."""
        here = self.here[span, agent, None]
        pairs = self.inside[span][:-1] & self.inside[span][1:] & here[:-1] & here[1:]
        layer, other = np.nonzero(pairs)
        left = self.ranks[:, span.start + layer, other] + 1
        right = self.ranks[:, span.start + layer + 1, other] + 1
        costs = np.zeros((len(self.ranks), span.stop - span.start - 1, width, width), dtype=np.int32)
        costs[np.arange(len(self.ranks))[:, None], layer, left, right] = TIE
        np.cumsum(costs, axis=2, out=costs)
        np.cumsum(costs, axis=3, out=costs)  # of the others that stand above on both sides
        from_above = costs[:, :, :, -1:] + costs[:, :, -1:, :]
        costs *= -2
        costs += from_above
        return costs

    def allowed(self, agent: int, span: slice, width: int) -> np.ndarray:
        """Which ranks part no block and leave none: (searches, layers, width)."""
        layer, other = np.nonzero(self.inside[span])
        stand = np.full((len(self.ranks), span.stop - span.start, width + 1), -2, dtype=np.int32)
        stand[:, :, 0] = -3
        places = self.ranks[:, span.start + layer, other] + 1
        stand[np.arange(len(self.ranks))[:, None], layer, places] = self.blocks[span.start + layer, other]
        upper, lower = stand[:, :, :-1], stand[:, :, 1:]
        names = np.where(self.here[span], self.blocks[span], -4)
        own = names[None, :, agent, None]
        company = (stand == own).any(axis=2, keepdims=True)
        fits = np.where(company, (upper == own) | (lower == own), upper != lower)
        absent = own == -4
        first = np.arange(width) == 0
        allowed: np.ndarray = np.where(absent, first, fits)
        return allowed

    def some_agents(self) -> tuple[list[int], int]:
        """A few agents, and a layer: those of one block; or two that cross in some search, with others that stand there."""
        layer = int(self.random.integers(len(self.counts[0])))
        names, sizes = np.unique(self.blocks[layer][self.here[layer]], return_counts=True)
        if (sizes > 1).any() and self.random.random() < SHARE_OF_BLOCKS:
            members = self.blocks[layer] == self.random.choice(names[sizes > 1])
            return self.shuffled(members)[:MOST_OF_A_BLOCK], layer
        search = int(self.random.integers(len(self.ranks)))
        crossed = np.repeat(np.arange(len(self.counts[0])), self.counts[search])
        layer = int(self.random.choice(crossed)) if len(crossed) else layer
        two = self.crossed_pair(*self.ranks[search, layer : layer + 2]) if len(crossed) else []
        beside = self.shuffled(self.here[layer])[: int(self.random.integers(MOST_REMOVED - 1))]
        return list(dict.fromkeys([*two, *beside])), layer

    def crossed_pair(self, upper: np.ndarray, lower: np.ndarray) -> list[int]:
        """Two agents, by chance, that stand in one order in a layer and in the other in the next."""
        both = np.flatnonzero((upper >= 0) & (lower >= 0))
        pairs = np.argwhere((upper[both, None] < upper[both]) & (lower[both, None] > lower[both]))
        two: list[int] = both[self.random.choice(pairs)].tolist()
        return two

    def shuffled(self, chosen: np.ndarray) -> list[int]:
        """The agents that are marked, in any order."""
        agents: list[int] = self.random.permutation(np.flatnonzero(chosen)).tolist()
        return agents


def cheapest(costs: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The way through all layers that costs least, of each search: its rank in each layer."""
    n_searches, n_layers, width = at.shape
    goes = np.empty((n_layers, n_searches, width), dtype=np.intp)
    total = at[:, -1]
    for layer in range(n_layers - 2, -1, -1):
        ways = costs[:, layer] + total[:, None]
        ways.argmin(axis=2, out=goes[layer])
        total = ways.min(axis=2) + at[:, layer]
    ranks = np.empty((n_searches, n_layers), dtype=np.int32)
    ranks[:, 0] = rank = total.argmin(axis=1)
    for layer in range(n_layers - 1):
        ranks[:, layer + 1] = rank = goes[layer, np.arange(n_searches), rank]
    return ranks
