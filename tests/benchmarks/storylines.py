"""How few crossings storylines have, how long that takes, and how stable they are: ``npm run benchmarks:storylines``.

First, stories whose fewest crossings are known (those of the graph-drawing literature, where ``$TOKENVIS_REAL_TRACES`` names a
folder that has them) or proven (plays of our own): what sweeps of barycentres leave, what the search leaves, what the solver
proves. Then the layout of a large town of agents who wander at random, which is as hard as a story can be, without a proof.
Then how much of the earlier part stays when a story grows by a twentieth at a time, from its half to its end: how many of all
pairs of lines, at 400 moments, stand in the order in which they stood before.
"""

import os
import platform
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

import tokenvis as tv
from tokenvis.layout.storylines.blocks import Table, crossings
from tokenvis.layout.storylines.ordering import barycentres, in_parts
from tokenvis.layout.storylines.proof import prove
from tokenvis.layout.storylines.search import search
from tokenvis.store.demo import multi_agent_workflow

sys.path.insert(0, str(Path(__file__).parents[1]))
from stories import FEWEST, ROOT, blocks_in, play, spans_in, spans_of_story, story

MOMENTS = 400
TOWNS = ((50, 10_000, 3.0), (50, 100_000, 15.0))  # agents, spans, and the seconds that the layout may take


def known() -> dict[str, Table]:
    """The stories by name."""
    plays = {f"play {seed}": blocks_in(play(seed), broken=False) for seed in range(4)}
    return ({name: story(name) for name in FEWEST} if ROOT else {}) | plays


def compare_orders() -> None:
    """Print the crossings of each story, by method, and the seconds that they took."""
    print(f"{'story':<20} {'agents':>6} {'layers':>6} {'fewest':>6} {'barycentres':>11} {'search':>13} {'proof':>13}")
    sums = {"fewest": 0, "barycentres": 0, "search": 0}
    for name, blocks in known().items():
        swept = crossings(in_parts(blocks, barycentres))
        begin = perf_counter()
        found = crossings(in_parts(blocks, search))
        searched = perf_counter() - begin
        begin = perf_counter()
        proven = crossings(in_parts(blocks, lambda part: prove(part, seconds=60).ranks))
        took = perf_counter() - begin
        fewest = FEWEST.get(name, proven)
        sums = {key: sums[key] + count for key, count in zip(sums, (fewest, swept, found), strict=True)}
        cells = f"{blocks.shape[1]:>6} {len(blocks):>6} {fewest:>6} {swept:>11}"
        print(f"{name:<20} {cells} {found:>5} {searched:>5.2f} s {proven:>5} {took:>5.2f} s", flush=True)
    above = {key: f"{sums[key] / sums['fewest'] - 1:.1%}" for key in ("barycentres", "search")}
    print(f"above the fewest, of all together: barycentres {above['barycentres']}, search {above['search']}\n")


def town(n_agents: int, n_spans: int) -> pd.DataFrame:
    """Agents who go from place to place at random, at times of their own."""
    random = np.random.default_rng(1)
    each = n_spans // n_agents
    end = np.cumsum(random.gamma(2.0, 20_000_000, (n_agents, each)).astype(np.int64) + 1, axis=1)
    start = np.column_stack([np.zeros(n_agents, dtype=np.int64), end[:, :-1]])
    agent = np.repeat(np.arange(n_agents), each)
    names = {"id": np.arange(len(agent)).astype(str), "trace_id": "town", "agent_id": np.char.mod("agent %d", agent)}
    places = np.char.mod("place %d", random.integers(0, 20, len(agent)))
    return pd.DataFrame({**names, "location_id": places, "start_time": start.ravel(), "end_time": end.ravel()})


def lay_out_towns() -> None:
    """Print how long a layout of many spans takes."""
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
    """Which share of all pairs of lines stands in the same order in both, up to some time."""
    times = np.linspace(before["start"].min(), until - 1, MOMENTS)
    one, two = heights_at(before, times), heights_at(after, times)
    names = one.columns.intersection(two.columns)
    ways = [np.sign(table[names].to_numpy()[:, :, None] - table[names].to_numpy()[:, None, :]) for table in (one, two)]
    known = ~np.isnan(ways[0]) & ~np.isnan(ways[1]) & (ways[0] != 0)
    return float((ways[0] == ways[1])[known].mean())


def grow_stories() -> None:
    """Print how stable storylines are."""
    demo = pd.DataFrame(multi_agent_workflow()).drop(columns="data").assign(trace_id="demo")
    stories = {"multi-agent-workflow": (demo, "location_id")}
    stories |= {f"play {seed}": (spans_in(play(seed), "play"), "location_id") for seed in range(2)}
    stories |= {name: (spans_of_story(name), "session") for name in ("Inception", "StarWars", "TheMatrix") if ROOT}
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
    lay_out_towns()
    grow_stories()


if __name__ == "__main__":
    main()
