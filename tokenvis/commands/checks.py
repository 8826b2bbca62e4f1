"""Checks: the options, the answers and the exit codes that ``tokenvis summary`` and ``tokenvis compare`` share.

The exit code is 0; 1 if a rule of ``--fail-if`` holds; or 2 if a rule cannot be decided, or there is no answer at all.
"""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenvis.commands.sources import SourceRuns
from tokenvis.commands.texts import amount_text
from tokenvis.errors import BadOption, escaped, plural, quoted
from tokenvis.runs.rules import Amount, MetricRule, parse_rule
from tokenvis.tree.price_lists import GENAI_PRICES

HOLDS, NO_ANSWER = 1, 2


@dataclass(frozen=True)
class Check:
    """A rule and the value that it is about: whether it holds, or None if that cannot be decided.

    ``trace_id`` is that of the run, None if a side is checked.
    """

    rule: MetricRule
    side: str
    value: Amount
    baseline: Amount | None
    holds: bool | None
    trace_id: str | None = None

    def document(self) -> dict[str, Any]:
        """The check as values that JSON has."""
        baseline = None if self.baseline is None else self.baseline.value
        run = {} if self.trace_id is None else {"trace_id": self.trace_id}
        return {"rule": str(self.rule), "side": self.side, **run, "value": self.value.value, "baseline": baseline}

    def __str__(self) -> str:
        metric, limit = self.rule.metric, self.rule.limit
        against = ""
        if self.baseline is not None and limit.is_relative:
            against = f" (baseline {amount_text(metric, self.baseline)})"
        return f"{escaped(self.rule)}: {escaped(self.side)}: {amount_text(metric, self.value)}{against}"


def add_check_options(command: ArgumentParser) -> None:
    """Add the options that both commands have."""
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument(
        "--fail-if",
        metavar="RULE",
        type=rule_option,
        action="append",
        default=[],
        help="exit with 1 if the rule holds, such as 'cost > 1.2x', 'time > +10%%' or 'errors of Writer > 0'; repeatable",
    )
    command.add_argument(
        "--prices",
        metavar="LIST",
        type=price_option,
        action="append",
        help=f"prices of calls without a cost: {GENAI_PRICES}, or a JSON file; repeatable, the first that has a model counts",
    )
    command.add_argument(
        "--allow-problems",
        action="store_true",
        help="decide rules although a part of the files cannot be read (default: no rule is decided)",
    )


def rule_option(text: str) -> MetricRule:
    """The rule of ``--fail-if``."""
    try:
        return parse_rule(text)
    except BadOption as error:
        raise ArgumentTypeError(str(error)) from None


def price_option(text: str) -> Any:
    """A list of prices of ``--prices``: its name, or the content of a file."""
    if text == GENAI_PRICES:
        return text
    try:
        return json.loads(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ArgumentTypeError(f"{quoted(text)} is neither genai-prices nor a JSON file of prices: {reason}") from None


def give_answer(args: Namespace, document: dict[str, Any], lines: Iterable[str], checks: list[Check], runs: SourceRuns) -> int:
    """Print the answer, as text or as JSON, and what rules say about it; the exit code."""
    if runs.problems and not args.allow_problems:
        checks = [replace(check, holds=None) for check in checks]
    failed, undecided = [check for check in checks if check.holds], [check for check in checks if check.holds is None]
    print_messages([*runs.problems, *runs.notes])
    if args.json:
        rules = {"failed_rules": documents_of(failed), "undecided_rules": documents_of(undecided), "problems": runs.problems}
        print(json.dumps(document | rules, indent=2, allow_nan=False))
    else:
        print("\n".join([*lines, *rule_lines(checks)]))
    sys.stdout.flush()  # so that a log has the reasons after the answer
    print_messages(why_undecided(undecided, args, runs))
    return HOLDS if failed else NO_ANSWER if undecided else 0


def print_messages(messages: Iterable[str]) -> None:
    """Print messages beside the answer."""
    for message in messages:
        print(f"tokenvis: {message}", file=sys.stderr)


def documents_of(checks: list[Check]) -> list[dict[str, Any]]:
    """Checks as values that JSON has."""
    return [check.document() for check in checks]


def rule_lines(checks: list[Check]) -> list[str]:
    """Which rules hold, as lines after an empty one."""
    failed = [f"Failed: {check}" for check in checks if check.holds]
    n_rules = len({check.rule for check in checks})
    none_holds = n_rules and all(check.holds is False for check in checks)
    return ["", *failed] if failed else ["", f"{plural(n_rules, 'rule')} checked, none holds."] if none_holds else []


def why_undecided(undecided: list[Check], args: Namespace, runs: SourceRuns) -> Iterator[str]:
    """Why rules cannot be decided."""
    if undecided and runs.problems and not args.allow_problems:
        yield "No rule is decided, because a part of the files cannot be read. --allow-problems decides by the rest."
        return
    for check in undecided:
        yield f"Not decided: {check}."
    if any(check.rule.metric == "cost" for check in undecided):
        how = "They have no tokens, or a model without a price in --prices." if args.prices else "Pass --prices."
        yield f"Of some calls the cost is not known. {how}"
    if any(check.rule.metric == "tokens" for check in undecided):
        yield "Of some calls the tokens are not known."
