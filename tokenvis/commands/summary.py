"""``tokenvis summary``: what each run took, cost and did, in a few lines; many runs as a table."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from tokenvis.commands.checks import Check, add_check_options, give_answer
from tokenvis.commands.facts import facts_of
from tokenvis.commands.sources import SourceRuns, read_runs
from tokenvis.commands.texts import (
    WIDTH,
    amount_text,
    money_text,
    name_cell,
    number_text,
    percent_text,
    table_lines,
    wrapped_lines,
    written,
)
from tokenvis.commands.totals import SideTotals, amounts_of, median_amount
from tokenvis.errors import BadOption, plural, quoted
from tokenvis.plot.artists.times.durations import duration_text
from tokenvis.runs.rules import Amount
from tokenvis.tree.prices import FROM_TABLE

MAX_SHOWN_PARTS = 5  # agents, and parts of the critical path, that are shown
MAX_BEHAVIOURS = 3
RUN_WIDTH = 26  # of a name in the table of runs
GAP_NAMES = {"person": "nothing, until a person starts work", "agent": "nothing, between linked spans"}
WAITS = {"person": " waits for a person", "agent": " waits for an agent"}
RUN_COLUMNS: dict[str, Callable[[float], str]] = {  # of the table of runs, and how their values are written
    "spans": number_text,
    "agents": number_text,
    "time": duration_text,
    **dict.fromkeys(("working", "persons", "idle"), partial(percent_text, whole=1)),
    "tokens": number_text,
    "cost": money_text,
    "errors": number_text,
}


def add_summary_options(command: ArgumentParser) -> None:
    """Add the options of ``summary``."""
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a file, folder, archive or database of traces, which is only read; the id or name of a stored trace; - for stdin",
    )
    add_check_options(command)


def run_summary(args: Namespace) -> int:
    """Print the facts about each run."""
    for rule in args.fail_if:
        if rule.limit.is_relative:
            raise BadOption(f"{quoted(str(rule))} needs a baseline, which only tokenvis compare has.")
    runs = read_runs(args.sources, args.database)
    checks, facts = checks_of_runs(runs, args), facts_of(runs, args.prices)
    lines = lines_about(facts[0]) if len(facts) == 1 else table_of_facts(facts, runs.table["distinct_name"].tolist())
    return give_answer(args, {"runs": facts}, lines, checks, runs)


def checks_of_runs(runs: SourceRuns, args: Namespace) -> list[Check]:
    """Each rule about each run."""
    names = dict(zip(runs.table["trace_id"], runs.table["distinct_name"], strict=True))
    totals, checks = SideTotals(runs.spans, names, args.prices), []
    for rule in args.fail_if:
        values = totals.about(rule)
        for name, in_source in zip(names.values(), runs.table["id_in_source"], strict=True):
            checks.append(Check(rule, name, values[name], None, rule.holds(values[name]), in_source))
    return checks


def lines_about(run: dict[str, Any]) -> Iterator[str]:
    """The facts about one run."""
    of_trace = f" ({name_cell(run['trace_id'], WIDTH // 3)})" if run["name"] != run["trace_id"] else ""
    yield f"{name_cell(run['name'], WIDTH // 2)}{of_trace}"
    for head, text in head_texts(run):
        yield from wrapped_lines(f"  {head:<8} {text}", " " * 11)
    agents = [(name_cell(agent["agent_id"]), agent["busy_us"]) for agent in run["agents"] if agent["busy_us"]]
    yield from part_lines("Work by agent", agents, run["busy_us"])
    path = [(part_name(part), part["part_us"]) for part in run["critical_path"]]
    yield from part_lines("Critical path", path, run["wall_us"])
    yield from behaviour_lines([finding for finding in run["findings"] if finding["about"] == "behaviour"])


def head_texts(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What stands before the tables of a run: a word, and the text about it."""
    places = f"{plural(run['n_agents'], 'agent')} at {plural(run['n_locations'], 'location')}"
    yield "spans", f"{number_text(run['n_spans'])} by {places}{counted('; ', run['n_lost'], 'more span', ' lost')}"
    yield "time", f"{duration_text(run['wall_us'])}: {', '.join(times_of_run(run))}"
    parallel = f", parallel for {percent_text(run['share_parallel'], 1)} of the working time" if run["share_parallel"] else ""
    yield "work", f"{duration_text(run['busy_us'])}{parallel}, at most {plural(run['peak'], 'span')} at once"
    amounts = amounts_of(run)
    ways = [f"{number_text(run[f'{way}_tokens'])} {way}" for way in ("input", "output") if run[f"{way}_tokens"] is not None]
    parts = f": {', '.join(ways)}" if ways else ""
    yield (
        "tokens",
        f"{amount_text('tokens', amounts['tokens'])}{parts}{counted('; ', run['n_silent'], 'call', ' without tokens')}",
    )
    origin = f" from {run['price_source'].replace(FROM_TABLE, '--prices')}" if run["price_source"] else ""
    yield "cost", f"{amount_text('cost', amounts['cost'])}{origin}{counted('; ', run['n_unpriced'], 'call', ' without a cost')}"
    if run["n_errors"] or run["n_retries"]:
        tried = f", {number_text(run['n_retries'])} tried again" if run["n_retries"] else ""
        yield "errors", f"{plural(run['n_errors'], 'span')} failed{tried}"
    if doubts := [f"{finding['kind']} {finding['n_spans']:,}" for finding in run["findings"] if finding["about"] == "data"]:
        yield "doubts", ", ".join(doubts)


def counted(before: str, count: int, noun: str, after: str) -> str:
    """A count of a noun between two texts; nothing if it is 0."""
    return f"{before}{plural(count, noun)}{after}" if count else ""


def times_of_run(run: dict[str, Any]) -> Iterator[str]:
    """The parts of the wall time that are not 0."""
    parts = {"working": run["active_us"], "waiting for persons": run["person_us"], "idle": run["idle_us"]}
    for what, time in parts.items():
        if time or what == "working":
            yield f"{duration_text(time)} {what} ({percent_text(time, run['wall_us'])})"


def part_name(part: dict[str, Any]) -> str:
    """A part of the critical path: who is where, and whether it waits."""
    if part["agent_id"] is None:
        return GAP_NAMES.get(part["state"], "nothing runs")
    return f"{name_cell(part['agent_id'])}{WAITS.get(part['state'], '')} at {name_cell(part['location_id'])}"


def part_lines(title: str, parts: list[tuple[str, int]], whole: int) -> Iterator[str]:
    """A table of the largest parts of a whole, and how many others there are."""
    if not parts:
        return
    yield title
    rows = [[name, duration_text(time), percent_text(time, whole)] for name, time in parts[:MAX_SHOWN_PARTS]]
    if others := parts[MAX_SHOWN_PARTS:]:
        rest = sum(time for _, time in others)
        rows.append([f"{len(others):,} more", duration_text(rest), percent_text(rest, whole)])
    yield from table_lines(rows, "  ")


def behaviour_lines(findings: list[dict[str, Any]]) -> Iterator[str]:
    """What agents do that loses time, the most time first."""
    if not findings:
        return
    yield "Behaviour"
    for finding in findings[:MAX_BEHAVIOURS]:
        time = "" if finding["time_us"] is None else f" {duration_text(finding['time_us'])}"
        yield from wrapped_lines(f"  {finding['kind']}{time}: {finding['meaning']}", "    ")
    if len(findings) > MAX_BEHAVIOURS:
        yield f"  {len(findings) - MAX_BEHAVIOURS:,} more"


def table_of_facts(facts: list[dict[str, Any]], names: list[str]) -> Iterator[str]:
    """A line for each run, by its name, the median of each column, and in how many runs something is found."""
    rows = [cells_of(run) for run in facts]
    rows.append([median_amount(column) for column in zip(*rows, strict=True)])
    cells = [*(name_cell(name, RUN_WIDTH) for name in names), "median"]
    texts = [map(written, row, RUN_COLUMNS.values()) for row in rows]
    yield from table_lines([["run", *RUN_COLUMNS], *([name, *row] for name, row in zip(cells, texts, strict=True))])
    for title, about in (("Doubts", "data"), ("Behaviour", "behaviour")):
        found = ({finding["kind"]: None for finding in run["findings"] if finding["about"] == about} for run in facts)
        kinds = Counter(chain.from_iterable(found))
        if kinds:
            counts = ", ".join(f"{kind} in {plural(count, 'run')}" for kind, count in kinds.most_common())
            yield from wrapped_lines(f"{title}: {counts}.", "  ")


def cells_of(run: dict[str, Any]) -> list[Amount]:
    """The values of a run in the columns of the table."""
    amounts, wall = amounts_of(run), run["wall_us"]
    shares = [Amount(run[part] / wall if wall else None) for part in ("active_us", "person_us", "idle_us")]
    sizes = [amounts["spans"], Amount(run["n_agents"]), amounts["time"]]
    return [*sizes, *shares, *(amounts[metric] for metric in ("tokens", "cost", "errors"))]
