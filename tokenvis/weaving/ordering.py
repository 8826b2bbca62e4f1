"""Ordering: which agent stands above which, so that their lines cross as rarely as a search of fixed length can find.

An agent is taken out and put back where it crosses the fewest of the others over all layers at once, by dynamic programming;
then small sets of agents are taken out and put back, again and again, and what is not worse is kept (ruin and recreate; G.
Schrimpf et al., 2000). Agents that never stand together, and times that no two agents share, are searched apart. Several
searches, which differ in how they break ties, run in lockstep on one array. The search counts its steps, not its seconds, so
the same blocks always get the same order.
"""

import math
from collections.abc import Callable

import numpy as np

from tokenvis.blocks import ABSENT, Table, crossings, inversions, opens_layer

SEARCHES = 16  # in lockstep, at most,
SEARCHED = 200  # while they have so many agents together: of many agents, a longer search finds more than many short ones,
CELLS = 2_000_000  # and while their arrays have so many cells
EFFORT = 80_000_000  # cells that all steps of a search may take
MOST_EFFORT = 1_000_000_000  # and that it may take at most to put every agent back once
SWEEPS = 8  # of barycentres
STEP = 20_000  # cells that stand for what a step costs beside them
ROUNDS = 3  # in which every agent is taken out and put back, before that is done with a few
MOST_REMOVED = 5  # agents that are taken out at once
IMPOSSIBLE = 1 << 28
TIE = 1 << 12  # what a crossing costs; less than that decides between places with as many


def in_parts(blocks: Table, solve: Callable[[Table], Table]) -> Table:
    """Ranks of all layers, where ``solve`` gives those of blocks that hang together.

    Agents that never stand together, over any others, need not cross: they are solved apart, and stand one above the other.
    Where two layers share less than two agents, nothing can cross: before and after are solved apart. Equal neighbours are one.
    """
    opens = opens_layer(blocks)
    if not opens.all():
        ranks: Table = in_parts(blocks[opens], solve)[np.cumsum(opens) - 1]
        return ranks
    parts = families(blocks)
    if len(parts) > 1:
        return stacked(blocks, parts, solve)
    cuts = np.flatnonzero(((blocks[1:] >= 0) & (blocks[:-1] >= 0)).sum(axis=1) < 2) + 1
    if len(cuts):
        return joined([in_parts(piece, solve) for piece in np.split(blocks, cuts)])
    return upright(solve(blocks)) if blocks.shape[1] > 1 and len(blocks) > 1 else plain(blocks)


def plain(blocks: Table) -> Table:
    """Ranks of one layer, or of one agent: by block, then by number."""
    names = np.where(blocks >= 0, blocks, np.iinfo(np.int32).max)
    ranks = np.argsort(np.argsort(names, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(blocks >= 0, ranks, ABSENT).astype(np.int32)


def families(blocks: Table) -> list[np.ndarray]:
    """The agents that stand together in any layer, over any others: lists of numbers, by the lowest of each."""
    family = np.arange(blocks.shape[1])
    layer, agent = np.nonzero(blocks >= 0)
    links = np.unique(np.column_stack([agent, blocks[layer, agent]]), axis=0)
    while True:
        before = family.copy()
        np.minimum.at(family, links[:, 0], family[links[:, 1]])
        np.minimum.at(family, links[:, 1], family[links[:, 0]])
        if (family == before).all():
            return [np.flatnonzero(family == first) for first in np.unique(family)]


def stacked(blocks: Table, parts: list[np.ndarray], solve: Callable[[Table], Table]) -> Table:
    """Ranks of families that stand one above the other."""
    ranks = np.full_like(blocks, ABSENT)
    above = np.zeros((len(blocks), 1), dtype=np.int32)
    for part in parts:
        own = blocks[:, part]
        own = np.where(own >= 0, np.searchsorted(part, own), ABSENT).astype(np.int32)
        found = in_parts(own, solve)
        ranks[:, part] = np.where(found >= 0, found + above, ABSENT)
        above += (own >= 0).sum(axis=1, keepdims=True, dtype=np.int32)
    return ranks


def flipped(ranks: Table) -> Table:
    """The same from below, which has as many crossings."""
    return np.where(ranks >= 0, (ranks >= 0).sum(axis=1, keepdims=True) - 1 - ranks, ABSENT).astype(np.int32)


def upright(ranks: Table) -> Table:
    """The one of both ways up that has the lower numbers above in the first layer where that differs.

    Agents are numbered as they appear, so what is added at the end of a story does not turn over its beginning.
    """
    for row in ranks:
        wrong = 2 * inversions(row[row >= 0].tolist()) - math.comb(int((row >= 0).sum()), 2)
        if wrong:
            return flipped(ranks) if wrong > 0 else ranks
    return ranks


def joined(pieces: list[Table]) -> Table:
    """Pieces of time one after the other, turned over where the agent that goes on has a shorter way then."""
    turned = pieces[:1]
    for piece in pieces[1:]:
        before = turned[-1][-1]
        both = (before >= 0) & (piece[0] >= 0)
        ways = [np.abs(way[0, both] - before[both]).sum() for way in (piece, flipped(piece))]
        turned.append(flipped(piece) if ways[1] < ways[0] else piece)
    return np.concatenate(turned)


def barycentres(blocks: Table) -> Table:
    """Ranks by sweeps to and fro; a block stands at the mean of where its agents stood last (K. Sugiyama et al., 1981)."""
    stood = np.arange(blocks.shape[1], dtype=float)
    best, fewest = plain(blocks), crossings(plain(blocks))
    for sweep in range(SWEEPS):
        ranks = np.full_like(blocks, ABSENT)
        for layer in range(len(blocks))[:: -1 if sweep % 2 else 1]:
            (agents,) = np.nonzero(blocks[layer] >= 0)
            block = blocks[layer, agents]
            mean = np.bincount(block, weights=stood[agents])[block] / np.bincount(block)[block]
            order = np.lexsort((stood[agents], block, mean))
            ranks[layer, agents[order]] = stood[agents[order]] = np.arange(len(agents))
        found = crossings(ranks)
        if found < fewest:
            best, fewest = ranks, found
    return best


def search(blocks: Table, *, effort: int = EFFORT) -> Table:
    """Ranks with few crossings.

    Of many agents, all of which cannot be put back a few times, the search begins where barycentres end; of very many it does
    not begin.
    """
    width = int((blocks >= 0).sum(axis=1).max()) + 1
    needed = len(blocks) * width * width * blocks.shape[1]
    middle = barycentres(blocks)
    if needed > MOST_EFFORT or not crossings(middle):
        return middle
    weave = Weave(blocks, middle if ROUNDS * needed > effort else np.full_like(blocks, ABSENT))
    agents = np.arange(blocks.shape[1])
    for _ in range(ROUNDS):
        if weave.spent > effort:
            break
        for agent in weave.random.permutation(agents).tolist():
            weave.take_out([agent])
            weave.put_back(agent)
    best = weave.crossings()
    while best.min() > 0 and weave.spent < effort:
        kept = weave.ranks.copy()
        chosen = weave.some_agents()
        weave.take_out(chosen)
        for agent in chosen:
            weave.put_back(agent)
        found = weave.crossings()
        worse = found > best
        weave.ranks[worse] = kept[worse]
        best = np.minimum(best, found)
    fewest: Table = weave.ranks[int(best.argmin())] if best.min() <= crossings(middle) else middle
    return fewest


class Weave:
    """Several orders of the same blocks, from which agents are taken out and into which they are put back.

    ``ranks`` (searches x layers x agents) holds the ranks among the agents that are in; ``inside`` (layers x agents) marks
    these, the same in all searches. ``spent`` counts the cells that all steps have taken.
    """

    def __init__(self, blocks: Table, ranks: Table) -> None:
        self.blocks, self.here = blocks, blocks >= 0
        width = int(self.here.sum(axis=1).max()) + 1
        self.searches = max(min(SEARCHES, SEARCHED // blocks.shape[1], CELLS // (len(blocks) * width * width)), 1)
        self.ranks = np.broadcast_to(ranks, (self.searches, *blocks.shape)).copy()
        self.inside = ranks >= 0
        self.both = self.here[:-1] & self.here[1:]
        self.random = np.random.default_rng(0)
        self.spent = 0

    def take_out(self, agents: list[int]) -> None:
        """Close the ranks above which these agents stood."""
        for agent in agents:
            own = self.ranks[:, :, agent, None]
            self.ranks -= (self.ranks > own) & (own >= 0)
            self.ranks[:, :, agent] = ABSENT
            self.inside[:, agent] = False

    def put_back(self, agent: int) -> None:
        """Put an agent in where it crosses the fewest lines; of several such ways, another one in each search."""
        (layers,) = np.nonzero(self.here[:, agent])
        span = slice(int(layers[0]), int(layers[-1]) + 1)
        width = int(self.inside[span].sum(axis=1).max()) + 1
        costs, allowed = self.costs(agent, span, width), self.allowed(agent, span, width)
        self.spent += max(costs.size, allowed.size) + STEP
        spread = max(TIE // (span.stop - span.start), 2)
        ties = self.random.integers(0, spread, allowed.shape, dtype=np.int32)
        rank = cheapest(costs * np.int32(TIE), np.where(allowed, ties, np.int32(IMPOSSIBLE)))
        here = self.here[span, agent]
        part = self.ranks[:, span]
        part += (part >= rank[:, :, None]) & here[None, :, None]
        part[:, :, agent] = np.where(here, rank, ABSENT)
        self.inside[span, agent] = here

    def costs(self, agent: int, span: slice, width: int) -> np.ndarray:
        """What it crosses from each rank in a layer to each rank in the next: (searches, layers - 1, width, width)."""
        steps = slice(span.start, span.stop - 1)
        pairs = self.inside[steps] & self.inside[span.start + 1 : span.stop] & self.both[steps, agent, None]
        layer, other = np.nonzero(pairs)
        left = self.ranks[:, span.start + layer, other] + 1
        right = self.ranks[:, span.start + layer + 1, other] + 1
        above = np.zeros((self.searches, span.stop - span.start - 1, width, width), dtype=np.int32)
        above[np.arange(self.searches)[:, None], layer, left, right] = 1
        np.cumsum(above, axis=2, out=above)
        np.cumsum(above, axis=3, out=above)
        crossed: np.ndarray = above[:, :, :, -1:] + above[:, :, -1:, :] - 2 * above
        return crossed

    def allowed(self, agent: int, span: slice, width: int) -> np.ndarray:
        """Which ranks part no block and leave none: (searches, layers, width)."""
        layer, other = np.nonzero(self.inside[span])
        stand = np.full((self.searches, span.stop - span.start, width + 1), -2, dtype=np.int32)
        stand[:, :, 0] = -3
        places = self.ranks[:, span.start + layer, other] + 1
        stand[np.arange(self.searches)[:, None], layer, places] = self.blocks[span.start + layer, other]
        upper, lower = stand[:, :, :-1], stand[:, :, 1:]
        names = np.where(self.here[span], self.blocks[span], -4)
        own = names[None, :, agent, None]
        company = (stand == own).any(axis=2, keepdims=True)
        fits = np.where(company, (upper == own) | (lower == own), upper != lower)
        absent = own == -4
        first = np.arange(width) == 0
        allowed: np.ndarray = np.where(absent, first, fits)
        return allowed

    def some_agents(self) -> list[int]:
        """A few agents that stand in the same layer, by chance."""
        layer = int(self.random.integers(len(self.here)))
        agents: list[int] = self.random.permutation(np.flatnonzero(self.here[layer])).tolist()
        return agents[: int(self.random.integers(2, MOST_REMOVED + 1))]

    def crossings(self) -> np.ndarray:
        """The crossings of each search."""
        total = np.zeros(self.searches, dtype=np.int64)
        for step, both in enumerate(self.both):
            upper, lower = self.ranks[:, step, both], self.ranks[:, step + 1, both]
            total += ((upper[:, :, None] < upper[:, None]) & (lower[:, :, None] > lower[:, None])).sum(axis=(1, 2))
            self.spent += upper.size * upper.shape[1]
        return total


def cheapest(costs: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The way through all layers that costs least, of each search: its rank in each layer."""
    total = at[:, 0]
    came = []
    for step in range(costs.shape[1]):
        ways = total[:, :, None] + costs[:, step]
        best = ways.argmin(axis=1)
        came.append(best)
        total = np.take_along_axis(ways, best[:, None], axis=1)[:, 0] + at[:, step + 1]
    rank = total.argmin(axis=1)
    ranks = [rank]
    for best in reversed(came):
        rank = np.take_along_axis(best, rank[:, None], axis=1)[:, 0]
        ranks.append(rank)
    return np.stack(ranks[::-1], axis=1).astype(np.int32)
