"""How few crossings storylines have, how long that takes, and how stable they are: ``npm run benchmarks:storylines``.

First, stories with a known (those of the graph-drawing literature, if ``$TOKENVIS_REAL_TRACES`` names a folder that has them)
or proven (random stories) minimum of crossings: the results of barycentre sweeps, of the search, and of the solver. Then the
wall time of calls over their budgets: of random stories that no proof finishes, and of the fourth part of Les Misérables (if
the folder has it), with its agents named in several ways, because the time of a proof depends on their order. Then the layout
of a large town of agents that move at random, the hardest kind of story, without a proof. Then the stability while a story
grows by a twentieth at a time, from its half to its end: the share of all pairs of lines, at 400 moments, whose order stays
the same.
"""

import os
import platform
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd

import tokenvis as tv
from tokenvis.layout.storylines.blocks import LayerTable, count_crossings
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.ordering import barycenter_ranks, order_in_parts
from tokenvis.layout.storylines.orders import order_lines
from tokenvis.layout.storylines.search import search_ranks
from tokenvis.store.demo import multi_agent_workflow

sys.path.insert(0, str(Path(__file__).parents[1]))
from stories import FEWEST_CROSSINGS, REAL_TRACES_ROOT, blocks_in, random_visits, spans_in, spans_of_story, story, visits_of

MOMENTS = 400
TOWNS = ((50, 10_000, 3.0), (50, 100_000, 15.0))  # agents, spans, and the time limit in seconds


def stories_by_name() -> dict[str, LayerTable]:
    """The stories by name."""
    random_stories = {f"random {seed}": blocks_in(random_visits(seed), broken=False) for seed in range(4)}
    return ({name: story(name) for name in FEWEST_CROSSINGS} if REAL_TRACES_ROOT else {}) | random_stories


def compare_orders() -> None:
    """Print the crossings of each story, by method, and the seconds that each method took."""
    print(f"{'story':<20} {'agents':>6} {'layers':>6} {'fewest':>6} {'barycentres':>11} {'search':>13} {'proof':>13}")
    sums = {"fewest": 0, "barycentres": 0, "search": 0}
    for name, blocks in stories_by_name().items():
        swept = count_crossings(order_in_parts(blocks, barycenter_ranks))
        begin = perf_counter()
        found = count_crossings(order_in_parts(blocks, search_ranks))
        searched = perf_counter() - begin
        begin = perf_counter()
        [order] = order_lines([blocks], Deadline.after(60))
        took, proven = perf_counter() - begin, count_crossings(order.ranks)
        fewest = FEWEST_CROSSINGS.get(name, proven)
        sums = {key: sums[key] + count for key, count in zip(sums, (fewest, swept, found), strict=True)}
        cells = f"{blocks.shape[1]:>6} {len(blocks):>6} {fewest:>6} {swept:>11}"
        print(f"{name:<20} {cells} {found:>5} {searched:>5.2f} s {proven:>5} {took:>5.2f} s", flush=True)
    above = {key: f"{sums[key] / sums['fewest'] - 1:.1%}" for key in ("barycentres", "search")}
    print(f"above the fewest, of all together: barycentres {above['barycentres']}, search {above['search']}\n")


def spend_budgets() -> None:
    """Print the wall time of calls over their budgets, the processor time, and the bounds that they reach."""
    times = f"{'seconds':>8} {'of the budget':>13} {'processor':>9}"
    print(f"{'story':<26} {'traces':>6} {'budget':>6} {times} {'at least':>8} {'crossings':>9}")
    hard = spans_in(random_visits(0, n_agents=14, n_scenes=80, n_locations=7), "hard")
    stories = {"14 agents, random": hard, "the same": pd.concat([hard.assign(trace_id=f"{copy}") for copy in range(4)])}
    calls = [(name, spans, budget) for name, spans in stories.items() for budget in (0.2, 1, 5)]
    book = Path(REAL_TRACES_ROOT or ".", "storyline", "sgb", "jean.dat")
    if book.exists():
        visits = visits_of("jean 4")
        names = sorted({agent for agent, *_ in visits})
        for seed in range(5):
            renamed = dict(zip(names, np.random.default_rng(seed).permutation(names).tolist(), strict=True))
            spans = spans_in([(renamed[agent], *rest) for agent, *rest in visits], "jean 4")
            calls.append((f"Les Misérables 4, names {seed}", spans, 5))
    for name, spans, budget in calls:
        begin, worked = perf_counter(), process_time()
        totals = tv.storyline(spans, budget=budget).totals
        took, worked = perf_counter() - begin, process_time() - worked
        cells = (
            f"{took:>8.2f} {took / budget:>13.2f} {worked:>9.2f} {totals['at_least'].sum():>8} {totals['crossings'].sum():>9}"
        )
        print(f"{name:<26} {len(totals):>6} {budget:>6} {cells}", flush=True)
    print()


def town(n_agents: int, n_spans: int) -> pd.DataFrame:
    """Agents that move from location to location at random times."""
    random = np.random.default_rng(1)
    each = n_spans // n_agents
    end = np.cumsum(random.gamma(2.0, 20_000_000, (n_agents, each)).astype(np.int64) + 1, axis=1)
    start = np.column_stack([np.zeros(n_agents, dtype=np.int64), end[:, :-1]])
    agent = np.repeat(np.arange(n_agents), each)
    names = {"id": np.arange(len(agent)).astype(str), "trace_id": "town", "agent_id": np.char.mod("agent %d", agent)}
    places = np.char.mod("place %d", random.integers(0, 20, len(agent)))
    return pd.DataFrame({**names, "location_id": places, "start_time": start.ravel(), "end_time": end.ravel()})


def lay_out_towns() -> None:
    """Print how long the layout of many spans takes."""
    print(f"{'agents':>6} {'spans':>8} {'layers':>6} {'merged':>7} {'crossings':>9} {'seconds':>8} {'of the limit':>12}")
    for n_agents, n_spans, limit in TOWNS:
        spans = town(n_agents, n_spans)
        begin = perf_counter()
        total = tv.storyline(spans, budget=0).totals.iloc[0]
        took = perf_counter() - begin
        cells = f"{total['n_layers']:>6} {total['n_merged']:>7,} {total['crossings']:>9,}"
        print(f"{n_agents:>6} {n_spans:>8,} {cells} {took:>8.2f} {took / limit:>12.2f}", flush=True)
    print()


def heights_at(lines: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """The height of each agent at each time."""
    table = pd.DataFrame(np.nan, index=times, columns=sorted(lines["agent_id"].astype(str).unique()))
    for row in lines.itertuples():
        table.loc[(times >= row.start) & (times < row.end), str(row.agent_id)] = row.y
    return table


def share_kept(before: pd.DataFrame, after: pd.DataFrame, until: int) -> float:
    """The share of all pairs of lines that are in the same order in both, up to a time."""
    times = np.linspace(before["start"].min(), until - 1, MOMENTS)
    heights_before, heights_after = heights_at(before, times), heights_at(after, times)
    names = heights_before.columns.intersection(heights_after.columns)
    signs = [
        np.sign(table[names].to_numpy()[:, :, None] - table[names].to_numpy()[:, None, :])
        for table in (heights_before, heights_after)
    ]
    comparable = ~np.isnan(signs[0]) & ~np.isnan(signs[1]) & (signs[0] != 0)
    return float((signs[0] == signs[1])[comparable].mean())


def grow_stories() -> None:
    """Print how stable storylines are."""
    demo = pd.DataFrame(multi_agent_workflow()).drop(columns="data").assign(trace_id="demo")
    stories = {"multi-agent-workflow": (demo, "location_id")}
    stories |= {f"random {seed}": (spans_in(random_visits(seed), "random"), "location_id") for seed in range(2)}
    stories |= {name: (spans_of_story(name), "session") for name in ("Inception", "StarWars", "TheMatrix") if REAL_TRACES_ROOT}
    print(f"{'growing story':<20} {'budget':>7} {'pairs in the same order, mean':>30} {'least':>6}")
    for name, (spans, by) in stories.items():
        for budget in (None, 0):
            low, high = spans["start_time"].min(), spans["end_time"].max()
            ends = [int(low + (high - low) * share / 20) for share in range(10, 21)]
            grown = [spans[spans["start_time"] < end].assign(end_time=spans["end_time"].clip(upper=end)) for end in ends]
            lines = [tv.storyline(part, by=by, budget=budget).lines for part in grown]
            kept = [share_kept(*pair) for pair in zip(lines, lines[1:], ends, strict=False)]
            cells = f"{'proof' if budget is None else 'search':>7} {np.mean(kept):>30.3f} {min(kept):>6.3f}"
            print(f"{name:<20} {cells}", flush=True)


def main() -> None:
    """Print the tables."""
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, {os.cpu_count()} processors")
    compare_orders()
    spend_budgets()
    lay_out_towns()
    grow_stories()


if __name__ == "__main__":
    main()
