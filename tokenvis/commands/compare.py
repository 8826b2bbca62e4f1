"""``tokenvis compare``: whether runs became slower, dearer or worse, and which agents or locations made the change."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from tokenvis.commands.causes import cause_facts, cause_lines
from tokenvis.commands.checks import Check, add_check_options, give_answer
from tokenvis.commands.comparison import Comparison, comparison_facts, comparison_of
from tokenvis.commands.divergence import divergence_facts, divergence_lines
from tokenvis.commands.texts import (
    amount_text,
    change_text,
    name_cell,
    ratio_text,
    table_lines,
    text_of_metric,
    wrapped_lines,
)
from tokenvis.commands.totals import METRIC_COLUMNS, Amounts
from tokenvis.errors import listed, plural, quoted
from tokenvis.plot.artists.times.durations import duration_text
from tokenvis.runs.baseline import MEDIAN
from tokenvis.runs.matching import BY_NAME, BY_ROLE

BY = ("agent_id", "location_id")
MATCH = (BY_ROLE, BY_NAME)
MAX_CHANGES, MAX_MATCHES = 8, 8
PART_METRICS = ("work", "waiting", "tokens", "cost", "errors")  # the metrics whose changes are shown of each agent or location


def add_compare_options(command: ArgumentParser) -> None:
    """Add the options of ``compare``."""
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a file, folder, archive or database, or the id or name of a trace; each is a side, or each run of a single one",
    )
    command.add_argument("--baseline", metavar="NAME", help=f"{MEDIAN}, that of the sides, or a side (default: the first side)")
    command.add_argument("--by", choices=BY, default=BY[0], help="what is compared within the runs (default: agent_id)")
    command.add_argument(
        "--match",
        choices=MATCH,
        default=MATCH[0],
        help=f"agents of different runs are the same by name, or, with {BY_ROLE}, also by what they do (default: {BY_ROLE})",
    )
    add_check_options(command)


def run_compare(args: Namespace) -> int:
    """Print what changed."""
    comparison = comparison_of(args)
    checks = checks_of_sides(comparison, args)
    details = {"steps": divergence_facts(comparison), "causes": cause_facts(comparison)} if args.json else {}
    facts = comparison_facts(comparison, args.by) | details if args.json else {}
    return give_answer(args, facts, comparison_lines(comparison, args), checks, comparison.runs)


def checks_of_sides(comparison: Comparison, args: Namespace) -> list[Check]:
    """Each rule about each side but the baseline."""
    checks: list[Check] = []
    for rule in args.fail_if:
        values = comparison.totals.about(rule)
        baseline = comparison.baseline_of(values)
        checks += [Check(rule, side, values[side], baseline, rule.holds(values[side], baseline)) for side in comparison.others]
    return checks


def comparison_lines(comparison: Comparison, args: Namespace) -> Iterator[str]:
    """The answer as text."""
    whole = comparison.totals.whole
    baseline = comparison.baseline_amounts(whole)
    if len(comparison.names) == 2 and comparison.baseline is not None:
        [other] = comparison.others
        yield verdict(other, whole[other], comparison.baseline, baseline)
        yield from two_sides(comparison, other, whole[other], baseline)
        yield from part_changes(comparison, other, args.by)
    else:
        yield from many_sides(comparison, whole, baseline)
    yield from cause_lines(comparison)
    yield from matches(comparison)
    yield from doubt_lines(comparison)
    yield from divergence_lines(comparison)


def verdict(other: str, amounts: Amounts, name: str, baseline: Amounts) -> str:
    """Whether a side is slower, and whether it is dearer, in a line."""
    time = change_words("time", amounts, baseline, ("slower", "faster", "same time"))
    cost = change_words("cost", amounts, baseline, ("dearer", "cheaper", "same cost"))
    return f"{name_cell(other)} against {name_cell(name)}: {time}, {cost}"


def change_words(metric: str, amounts: Amounts, baselines: Amounts, words: tuple[str, str, str]) -> str:
    """How a metric relates to its baseline: the words are for more, less and the same."""
    (value, is_bound), (baseline, is_baseline_bound) = amounts[metric], baselines[metric]
    if value is None or baseline is None:
        return f"{metric} not known"
    if value == baseline:
        return words[2]
    ratio = f"{ratio_text(value, baseline)}, " if baseline else ""
    known = ", as far as it is known" if is_bound or is_baseline_bound else ""
    return f"{words[value < baseline]} ({ratio}{change_text(value, baseline, text_of_metric(metric))}{known})"


def two_sides(comparison: Comparison, other: str, amounts: Amounts, baseline: Amounts) -> list[str]:
    """The metrics of the baseline and of another side, as a table."""
    heads = [f"{name_cell(side)}{runs_text(comparison, side)}" for side in (str(comparison.baseline), other)]
    rows = [["", *heads, "change", "ratio"]]
    for metric in METRIC_COLUMNS:
        value, before = amounts[metric], baseline[metric]
        texts = [amount_text(metric, before), amount_text(metric, value)]
        rows.append([metric, *texts, *difference_cells(metric, value.value, before.value)])
    return table_lines(rows)


def runs_text(comparison: Comparison, side: str) -> str:
    """How many runs a side has, if there are several."""
    count = comparison.n_runs(side)
    return f" (median of {count:,})" if count > 1 else ""


def difference_cells(metric: str, value: float | None, baseline: float | None) -> list[str]:
    """The difference from a baseline, and the ratio to it; "?" if it is not known."""
    if value is None or baseline is None:
        return ["?", "?"]
    return [change_text(value, baseline, text_of_metric(metric)), ratio_text(value, baseline)]


def part_changes(comparison: Comparison, other: str, by: str) -> Iterator[str]:
    """The agents or locations whose work changed most, and what else changed of them."""
    parts = comparison.totals.by(by)
    changes = [(name, sides[other], sides[str(comparison.baseline)]) for name, sides in parts.items()]
    rows = []
    for name, amounts, baseline in sorted(changes, key=lambda change: -work_change(*change[1:])):
        cells = [difference_cells(metric, amounts[metric].value, baseline[metric].value)[0] for metric in PART_METRICS]
        if not set(cells) <= {"=", "?"}:
            work = [duration_text(side["work"].value or 0) for side in (baseline, amounts)]
            rows.append([name_cell(name), *work, *cells])
    if rows:
        heads = ["before", "after", *(f"±{metric}" for metric in PART_METRICS)]
        yield ""
        yield from table_lines([[f"work by {by.removesuffix('_id')}", *heads], *rows[:MAX_CHANGES]])
    if len(rows) > MAX_CHANGES:
        yield f"{len(rows) - MAX_CHANGES:,} more, whose work changed less"


def work_change(amounts: Amounts, baseline: Amounts) -> float:
    """The change of work, without its sign."""
    return abs((amounts["work"].value or 0) - (baseline["work"].value or 0))


def many_sides(comparison: Comparison, whole: dict[str, Amounts], baseline: Amounts) -> Iterator[str]:
    """The metrics of each side, and their ratios to the baseline, as two tables."""
    sides = [(f"{name_cell(side)}{runs_text(comparison, side)}", whole[side]) for side in comparison.names]
    if comparison.baseline is None:
        sides.append((MEDIAN, baseline))
    rows = [[side, *(amount_text(metric, amounts[metric]) for metric in METRIC_COLUMNS)] for side, amounts in sides]
    yield from table_lines([["side", *METRIC_COLUMNS], *rows])
    yield ""
    rows = [[name_cell(side), *ratio_cells(whole[side], baseline)] for side in comparison.others]
    yield from table_lines([[f"against {name_cell(comparison.baseline or MEDIAN)}", *METRIC_COLUMNS], *rows])


def ratio_cells(amounts: Amounts, baseline: Amounts) -> Iterator[str]:
    """The ratio of each metric to its baseline, or the difference from a baseline of 0."""
    for metric in METRIC_COLUMNS:
        change, ratio = difference_cells(metric, amounts[metric].value, baseline[metric].value)
        yield change if ratio == "-" else ratio


def doubt_lines(comparison: Comparison) -> Iterator[str]:
    """The doubts about the totals of sides."""
    for side, counts in comparison.doubts.items():
        if counts:
            doubts = ", ".join(
                f"{kind} in {count:,} of {plural(comparison.n_runs(side), 'run')}" for kind, count in counts.items()
            )
            yield from ["", *wrapped_lines(f"Doubts about {quoted(side)}: {doubts}.", "  ")]


def matches(comparison: Comparison) -> Iterator[str]:
    """Which agents were matched by what they do, and which are in one side only."""
    agents, lines = comparison.agents.astype({"agent_id": "str"}), []
    by_role = agents[agents["matched_by"] == BY_ROLE]
    pairs = by_role[["side", "name_in_run", "agent_id"]].drop_duplicates().to_numpy().tolist()
    if pairs:
        shown = [f"{quoted(name)} in {quoted(side)} is {quoted(agent)}" for side, name, agent in pairs[:MAX_MATCHES]]
        more = f", and {len(pairs) - MAX_MATCHES:,} more" if len(pairs) > MAX_MATCHES else ""
        lines += wrapped_lines(f"Matched by what they do: {', '.join(shown)}{more}.", "  ")
    in_sides = agents.groupby("agent_id")["side"].agg(set)
    for side in comparison.names if len(comparison.names) == 2 else ():
        if only := [agent for agent, sides in in_sides.items() if sides == {side}]:
            lines += wrapped_lines(f"Only in {quoted(side)}: {listed(only)}.", "  ")
    yield from ["", *lines] if lines else []
