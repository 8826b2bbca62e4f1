"""Search: orders of the agents with few crossings, by a search of fixed length.

An agent is removed and reinserted where it crosses the fewest other lines, over all layers at once, by dynamic programming.
Then a few agents (those of one block, or two that cross and some others) are removed around a layer and reinserted, repeatedly;
results that are only slightly worse are accepted (ruin and recreate; G. Schrimpf et al., 2000). Several searches, which break
ties differently, run in lockstep on one array. The search is limited by steps, so the same blocks always get the same
order, unless a deadline comes first.
"""

from dataclasses import dataclass

import numpy as np

from tokenvis.layout.storylines.blocks import ABSENT, LayerTable, PresenceTable, count_crossings
from tokenvis.layout.storylines.deadline import NO_DEADLINE, Deadline
from tokenvis.layout.storylines.ordering import barycenter_ranks

MAX_SEARCHES = 12  # in lockstep; fewer if all insertion rounds would take more than half of the effort
MAX_EFFORT_CELLS = 50_000_000  # array cells computed in all steps of a search
CELLS_PER_SECOND = 20_000_000  # fewer are planned if the deadline is near
MAX_PASS_CELLS = 1_000_000_000  # larger traces keep their barycentre ranks: reinserting every agent once would take too long
CELLS_PER_LAYER, CELLS_PER_INSERTION = 400, 20_000  # the overhead of a layer and of an insertion, in cells
# A search ends when its effort exceeds this many times the effort at its last improvement, plus a minimum.
PATIENCE_FACTOR, MIN_PATIENCE_CELLS = 8, 2_000_000
INSERTION_ROUNDS = 2  # rounds in which each agent is reinserted, before groups of agents are
WINDOW_REACH_LAYERS = 24  # layers before and after the chosen one in which a group is reinserted
BLOCK_REMOVAL_SHARE, MAX_REMOVED_OF_BLOCK = 0.6, 12  # share of steps that remove agents of one block, and how many at most
MAX_REMOVED = 8  # in the other steps: two crossing agents, and others
CROSSING_SLACK = 1  # crossings by which every second search may exceed its best result, to escape local minima
FORBIDDEN_COST = 1 << 28
CROSSING_COST = 1 << 12  # of one crossing; smaller random costs break ties


@dataclass(frozen=True)
class SearchLimits:
    """When a search ends: at ``fewest`` crossings, after ``effort`` cells, or at the deadline."""

    fewest: int
    effort: int
    deadline: Deadline

    def affordable_searches(self, pass_cells: int) -> int:
        """How many searches can run in lockstep if one reinsertion of all agents computes this many cells."""
        return max(min(MAX_SEARCHES, self.effort // (2 * INSERTION_ROUNDS * pass_cells)), 1)

    def patience(self, used_cells: int) -> int:
        """The cells after which a search ends that has just found its best result."""
        return min(PATIENCE_FACTOR * used_cells + MIN_PATIENCE_CELLS, self.effort)


def search_ranks(
    blocks: LayerTable,
    *,
    start: LayerTable | None = None,
    fewest: int = 0,
    effort: int = MAX_EFFORT_CELLS,
    deadline: Deadline = NO_DEADLINE,
) -> LayerTable:
    """Ranks with few crossings; if even one reinsertion of all agents is too expensive, the first ranks.

    These are ``start``, or barycentre ranks. No order has less than ``fewest`` crossings.
    """
    best_ranks = barycenter_ranks(blocks, deadline) if start is None else start
    width = int((blocks >= 0).sum(axis=1).max()) + 1
    pass_cells = int((blocks >= 0).sum()) * width * width
    if pass_cells > MAX_PASS_CELLS or count_crossings(best_ranks) <= fewest:
        return best_ranks
    limits = SearchLimits(fewest, int(min(effort, max(deadline.seconds_left, 0) * CELLS_PER_SECOND)), deadline)
    state = OrderSearch.start(blocks, best_ranks, limits.affordable_searches(pass_cells))
    all_agents = np.ones(blocks.shape[1], dtype=bool)
    used_cells = 0
    if len(state.ranks) > 1:  # all searches but one start from a random insertion order
        used_cells += state.reinsert(state.shuffled(all_agents))
        state.ranks[0] = best_ranks
    for agent in [agent for _ in range(INSERTION_ROUNDS) for agent in state.shuffled(all_agents)]:
        if used_cells < limits.effort and not deadline.is_over:
            used_cells += state.reinsert([agent])
    return ruin_and_recreate(state, best_ranks, used_cells, limits)


def ruin_and_recreate(state: "OrderSearch", best_ranks: LayerTable, used_cells: int, limits: SearchLimits) -> LayerTable:
    """Remove and reinsert a few agents, repeatedly; returns the ranks with the fewest crossings."""
    state.recount()
    best_crossings, best_totals = count_crossings(best_ranks), state.crossing_totals
    slack = np.arange(len(best_totals)) % 2 * CROSSING_SLACK
    max_cells = limits.patience(used_cells)
    while True:
        if best_totals.min() < best_crossings:
            best_crossings, best_ranks = int(best_totals.min()), state.ranks[state.crossing_totals.argmin()].copy()
            max_cells = limits.patience(used_cells)
        if best_crossings <= limits.fewest or used_cells >= max_cells or limits.deadline.is_over:
            return best_ranks
        agents, layer = state.pick_agents()
        part = state.window(slice(max(layer - WINDOW_REACH_LAYERS, 0), layer + WINDOW_REACH_LAYERS + 2))
        ranks, counts = part.ranks.copy(), part.counts.copy()
        used_cells += part.reinsert(agents)
        part.recount()
        worse = state.crossing_totals > best_totals + slack
        part.ranks[worse], part.counts[worse] = ranks[worse], counts[worse]
        best_totals = np.minimum(best_totals, state.crossing_totals)


@dataclass(frozen=True)
class OrderSearch:
    """Several orders of the same blocks, from which agents are removed and into which they are reinserted.

    ``ranks`` (searches x layers x agents) are the ranks among the inserted agents; ``is_inserted`` (layers x agents) marks
    these, the same in all searches. ``counts`` (searches x layers - 1) are the crossings between each layer and the next at the
    last count. ``fixed_layers`` are layers at the ends in which all agents keep their ranks.
    """

    blocks: LayerTable
    ranks: np.ndarray
    is_inserted: PresenceTable
    counts: np.ndarray
    fixed_layers: tuple[int, ...]
    random: np.random.Generator

    @classmethod
    def start(cls, blocks: LayerTable, ranks: LayerTable, n_searches: int) -> "OrderSearch":
        """A number of searches, each of which begins with these ranks."""
        all_ranks = np.broadcast_to(ranks, (n_searches, *blocks.shape)).copy()
        counts = np.zeros((n_searches, len(blocks) - 1), dtype=np.int64)
        return cls(blocks, all_ranks, ranks >= 0, counts, (), np.random.default_rng(0))

    def window(self, window: slice) -> "OrderSearch":
        """Some layers, as views of the same arrays; the first and the last are fixed if there are layers beyond them."""
        last = min(window.stop, len(self.blocks)) - window.start - 1
        fixed_layers = (0,) * (window.start > 0) + (last,) * (window.stop < len(self.blocks))
        steps = slice(window.start, window.stop - 1)
        arrays = self.blocks[window], self.ranks[:, window], self.is_inserted[window], self.counts[:, steps]
        return OrderSearch(*arrays, fixed_layers, self.random)

    @property
    def is_present(self) -> PresenceTable:
        """Where agents have a line."""
        return self.blocks >= 0

    @property
    def crossing_totals(self) -> np.ndarray:
        """The crossings of each search at the last count."""
        total: np.ndarray = self.counts.sum(axis=1)
        return total

    def recount(self) -> None:
        """Count the crossings."""
        in_both = self.is_present[:-1] & self.is_present[1:]
        agents = np.flatnonzero(in_both.any(axis=0))
        in_both, ranks = in_both[:, agents], self.ranks[:, :, agents]
        upper, lower = np.where(in_both, ranks[:, :-1], ABSENT), np.where(in_both, ranks[:, 1:], ABSENT)
        crossed = (upper[..., :, None] < upper[..., None, :]) & (lower[..., :, None] > lower[..., None, :])
        self.counts[...] = crossed.sum(axis=(2, 3))

    def reinsert(self, agents: list[int]) -> int:
        """Remove agents together, and reinsert them one after the other; returns the number of cells computed."""
        before = self.ranks.copy()
        for agent in agents:
            own = self.ranks[:, :, agent, None]
            np.subtract(self.ranks, (self.ranks > own) & (own >= 0), out=self.ranks)
            self.ranks[:, :, agent] = ABSENT
            self.is_inserted[:, agent] = False
        return sum(self.insert(agent, before) for agent in agents)

    def insert(self, agent: int, before: np.ndarray) -> int:
        """Insert an agent where it crosses the fewest lines, with random ties in each search; returns the number of cells."""
        (layers,) = np.nonzero(self.is_present[:, agent])
        if not len(layers):
            return 0
        span = slice(int(layers[0]), int(layers[-1]) + 1)
        width = int(self.is_inserted[span].sum(axis=1).max()) + 1
        costs, allowed = self.transition_costs(agent, span, width), self.allowed_ranks(agent, span, width)
        for layer in self.fixed_layers:
            if span.start <= layer < span.stop:
                above = self.is_inserted[layer] & (before[:, layer] < before[:, layer, agent, None])
                allowed[:, layer - span.start] = np.arange(width) == above.sum(axis=1)[:, None]
        ties = self.random.integers(0, max(CROSSING_COST // (span.stop - span.start), 2), allowed.shape, dtype=np.int32)
        rank = cheapest_paths(costs, np.where(allowed, ties, np.int32(FORBIDDEN_COST)))
        is_present = self.is_present[span, agent]
        part = self.ranks[:, span]
        part += (part >= rank[:, :, None]) & is_present[None, :, None]
        part[:, :, agent] = np.where(is_present, rank, ABSENT)
        self.is_inserted[span, agent] = is_present
        return max(costs.size, allowed.size) + CELLS_PER_LAYER * len(is_present) + CELLS_PER_INSERTION

    def transition_costs(self, agent: int, span: slice, width: int) -> np.ndarray:
        """The cost of each rank in a layer with each rank in the next: (searches, layers - 1, width, width)."""
        is_present = self.is_present[span, agent, None]
        pairs = self.is_inserted[span][:-1] & self.is_inserted[span][1:] & is_present[:-1] & is_present[1:]
        layer, other = np.nonzero(pairs)
        left = self.ranks[:, span.start + layer, other] + 1
        right = self.ranks[:, span.start + layer + 1, other] + 1
        costs = np.zeros((len(self.ranks), span.stop - span.start - 1, width, width), dtype=np.int32)
        costs[np.arange(len(self.ranks))[:, None], layer, left, right] = CROSSING_COST
        np.cumsum(costs, axis=2, out=costs)
        np.cumsum(costs, axis=3, out=costs)  # of agents that are above on both sides
        from_above = costs[:, :, :, -1:] + costs[:, :, -1:, :]
        costs *= -2
        costs += from_above
        return costs

    def allowed_ranks(self, agent: int, span: slice, width: int) -> np.ndarray:
        """Which ranks neither split a block nor leave their own: (searches, layers, width)."""
        layer, other = np.nonzero(self.is_inserted[span])
        block_at_rank = np.full((len(self.ranks), span.stop - span.start, width + 1), -2, dtype=np.int32)
        block_at_rank[:, :, 0] = -3
        rank = self.ranks[:, span.start + layer, other] + 1
        block_at_rank[np.arange(len(self.ranks))[:, None], layer, rank] = self.blocks[span.start + layer, other]
        upper, lower = block_at_rank[:, :, :-1], block_at_rank[:, :, 1:]
        own_blocks = np.where(self.is_present[span], self.blocks[span], -4)
        own_block = own_blocks[None, :, agent, None]
        has_own_block = (block_at_rank == own_block).any(axis=2, keepdims=True)
        fits = np.where(has_own_block, (upper == own_block) | (lower == own_block), upper != lower)
        is_absent = own_block == -4
        is_first = np.arange(width) == 0
        allowed: np.ndarray = np.where(is_absent, is_first, fits)
        return allowed

    def pick_agents(self) -> tuple[list[int], int]:
        """A few agents and a layer: agents of one block there, or two that cross in one of the searches, and others."""
        layer = int(self.random.integers(len(self.counts[0])))
        block_numbers, sizes = np.unique(self.blocks[layer][self.is_present[layer]], return_counts=True)
        if (sizes > 1).any() and self.random.random() < BLOCK_REMOVAL_SHARE:
            in_block = self.blocks[layer] == self.random.choice(block_numbers[sizes > 1])
            return self.shuffled(in_block)[:MAX_REMOVED_OF_BLOCK], layer
        search = int(self.random.integers(len(self.ranks)))
        crossed_steps = np.repeat(np.arange(len(self.counts[0])), self.counts[search])
        layer = int(self.random.choice(crossed_steps)) if len(crossed_steps) else layer
        pair = self.random_crossed_pair(*self.ranks[search, layer : layer + 2]) if len(crossed_steps) else []
        others = self.shuffled(self.is_present[layer])[: int(self.random.integers(MAX_REMOVED - 1))]
        return list(dict.fromkeys([*pair, *others])), layer

    def random_crossed_pair(self, upper: np.ndarray, lower: np.ndarray) -> list[int]:
        """Two random agents that are in opposite orders in the two layers."""
        in_both = np.flatnonzero((upper >= 0) & (lower >= 0))
        pairs = np.argwhere((upper[in_both, None] < upper[in_both]) & (lower[in_both, None] > lower[in_both]))
        pair: list[int] = in_both[self.random.choice(pairs)].tolist()
        return pair

    def shuffled(self, is_chosen: np.ndarray) -> list[int]:
        """The marked agents, in random order."""
        agents: list[int] = self.random.permutation(np.flatnonzero(is_chosen)).tolist()
        return agents


def cheapest_paths(costs: np.ndarray, rank_costs: np.ndarray) -> np.ndarray:
    """The cheapest path through all layers in each search: its rank in each layer."""
    n_searches, n_layers, width = rank_costs.shape
    next_rank = np.empty((n_layers, n_searches, width), dtype=np.intp)
    total = rank_costs[:, -1]
    for layer in range(n_layers - 2, -1, -1):
        path_costs = costs[:, layer] + total[:, None]
        path_costs.argmin(axis=2, out=next_rank[layer])
        total = path_costs.min(axis=2) + rank_costs[:, layer]
    ranks = np.empty((n_searches, n_layers), dtype=np.int32)
    ranks[:, 0] = rank = total.argmin(axis=1)
    for layer in range(n_layers - 1):
        ranks[:, layer + 1] = rank = next_rank[layer, np.arange(n_searches), rank]
    return ranks
