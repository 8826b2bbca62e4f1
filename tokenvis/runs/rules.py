"""Rules: ``cost > 1.2x`` and the like, which say when a run has become too slow or too dear.

A rule compares one metric of a run, or of one agent or location in it, with a limit. The grammar, in which spaces between the
parts do not matter::

    rule        = metric [ "of" [ "agent" | "location" ] name ] comparison limit
    metric      = "time" | "work" | "waiting" | "tokens" | "cost" | "errors" | "retries" | "spans"
    name        = a word without spaces, quotes, "<", ">" and "=", or any text in "double" (as in JSON) or 'single' quotes
    comparison  = ">" | ">=" | "<" | "<="
    limit       = number "x"                 times the baseline
                | sign number "%"            the baseline, and this part of it more or less
                | sign number [ unit ]       the baseline, and this much more or less
                | number [ unit ]            without the baseline
    sign        = "+" | "-"
    number      = digits, which may have commas between thousands, and decimals after a point
    unit        = "us" | "µs" | "ms" | "s" | "m" | "min" | "h" | "d"     needed by time, work, waiting; the others have none

Arithmetic is exact: 11 is not more than 10 and 10%. Money is compared in 12 significant digits. Between a value and a baseline
that are both 0 nothing has changed, so no rule with ``x`` or ``%`` holds; but anything is more than 1.2 times 0.

A value may be a lower bound, as tokens are if a call of a model has no count. Then a rule holds, or does not, only if this is
so for all values from the bound upwards; else it cannot be decided.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn, TypeAlias

from tokenvis.errors import BadOption, listed, nearest, quoted

DURATIONS = ("time", "work", "waiting")
METRICS = (*DURATIONS, "tokens", "cost", "errors", "retries", "spans")
UNITS_OF_TIME = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
OTHER_UNITS = {"\u00b5s": "us", "\u03bcs": "us", "m": "min"}  # both letters look like µ; pictures have "1m 30s"
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
MAX_NUMBER_LENGTH = 18

BARE_WORD, UNIT = re.compile(r"[^\s<>=\"']+"), re.compile(r"[^\W\d_]+|%")
KIND = re.compile(r"(?:agent|location)(?=\s*[\"']|\s+[^\s<>=])")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'[^']*'", re.DOTALL)
COMPARISON, SIGN = re.compile("|".join(COMPARISONS)), re.compile(r"[+-]?")
NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?", re.ASCII)

Bound: TypeAlias = Fraction | float


class Amount(NamedTuple):
    """The value of a metric, in µs if it is a time, and whether it is a lower bound; None if it is not known."""

    value: float | None
    is_lower_bound: bool = False

    def exact(self) -> Fraction:
        """The value, or bound, as an exact number; 0 if it is not known."""
        value = self.value or 0
        return Fraction(value if isinstance(value, int) else f"{value:.12g}")


@dataclass(frozen=True)
class Limit:
    """The number of a limit, its unit ("x", "%", one of time, or none), and its sign if it is a change from the baseline."""

    number: Decimal
    unit: str = ""
    sign: str = ""

    def __str__(self) -> str:
        return f"{self.sign}{self.number.normalize():f}{self.unit}"

    @property
    def is_relative(self) -> bool:
        """Whether the limit depends on the baseline."""
        return bool(self.sign) or self.unit == "x"

    def at(self, baseline: Fraction) -> Fraction:
        """The limit as a value of the metric."""
        number = Fraction(self.number) * UNITS_OF_TIME.get(self.unit, 1)
        if self.unit == "x":
            return baseline * number
        change = baseline * number / 100 if self.unit == "%" else number
        return baseline + change if self.sign == "+" else baseline - change if self.sign == "-" else number


@dataclass(frozen=True)
class MetricRule:
    """A rule about a metric of a run, or of what has that name in it: an agent or a location, if ``kind`` says which."""

    metric: str
    comparison: str
    limit: Limit
    name: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        if self.name is None:
            return f"{self.metric} {self.comparison} {self.limit}"
        is_word = BARE_WORD.fullmatch(self.name) and (self.kind or self.name not in ("agent", "location"))
        name = self.name if is_word else json.dumps(self.name, ensure_ascii=False)
        return f"{self.metric} of {f'{self.kind} ' if self.kind else ''}{name} {self.comparison} {self.limit}"

    def holds(self, value: Amount, baseline: Amount | None = None) -> bool | None:
        """Whether the rule holds for a value; None if this cannot be decided. Relative limits need the baseline.

        Examples
        --------
        >>> rule = parse_rule("cost > 1.2x")
        >>> rule.holds(Amount(1.3), Amount(1.0)), rule.holds(Amount(1.2), Amount(1.0)), rule.holds(Amount(None), Amount(1.0))
        (True, False, None)
        """
        against = baseline if self.limit.is_relative else Amount(0)
        if against is None or value.value is None or against.value is None:
            return None
        lowest, limit = value.exact(), self.limit.at(against.exact())
        highest: Bound = math.inf if value.is_lower_bound else lowest
        highest_limit: Bound = math.inf if against.is_lower_bound else limit
        compare = COMPARISONS[self.comparison]
        answers = {compare(lowest, highest_limit), compare(highest, limit)}
        if self.limit.unit in ("x", "%") and value.value == against.value == 0:  # they may be equal: nothing has changed
            answers = answers | {False} if value.is_lower_bound or against.is_lower_bound else {False}
        return answers.pop() if len(answers) == 1 else None

    def kind_of_name(self, agents: Collection[str], locations: Collection[str]) -> str:
        """The kind of what the name names, "agent" or "location"; `BadOption` if there is none, or both."""
        found = [kind for kind, names in (("agent", agents), ("location", locations)) if self.name in names]
        found = [kind for kind in found if self.kind in (kind, None)]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadOption(
                f"{quoted(str(self))}: {quoted(self.name)} is an agent and a location. Write 'of agent' or 'of location'."
            )
        kinds = {"agent": agents, "location": locations}
        names = {name for kind in kinds if self.kind in (kind, None) for name in kinds[kind]}
        raise BadOption(
            f"{quoted(str(self))}: there is no {self.kind or 'agent or location'} {quoted(self.name)}. "
            f"There is: {listed(nearest(str(self.name), sorted(names)) or sorted(names))}."
        )


def parse_rule(text: str) -> MetricRule:
    """The rule that a text says; `BadOption`, with the place of the mistake, if it says none.

    Examples
    --------
    >>> parse_rule("cost > 1.2x")
    MetricRule(metric='cost', comparison='>', limit=Limit(number=Decimal('1.2'), unit='x', sign=''), name=None, kind=None)
    >>> print(parse_rule('tokens of location "model:m">1,000'))
    tokens of location model:m > 1000
    """
    return RuleReader(text).rule()


class RuleReader:
    """A text of a rule, and how much of it has been read."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0

    def rule(self) -> MetricRule:
        """The rule that the text says."""
        start, metric = self.next(), self.take(BARE_WORD)
        if metric not in METRICS:
            self.refuse(f"is none of the metrics {', '.join(METRICS)}", start)
        kind, name = self.kind_and_name() if self.take(re.compile(r"of\b")) else (None, None)
        comparison = self.take(COMPARISON)
        if not comparison:
            hint = "" if name is None else ". A name with spaces is in quotes"
            self.refuse(f"is none of the comparisons >, >=, < and <={hint}")
        limit = self.limit(metric)
        if self.next() < len(self.text):
            self.refuse("comes after the end of the rule")
        return MetricRule(metric, comparison, limit, name, kind)

    def kind_and_name(self) -> tuple[str | None, str]:
        """The kind, or None, and the name of an agent or location."""
        kind = self.take(KIND) or None
        if word := self.take(BARE_WORD):
            return kind, word
        start, token = self.next(), self.take(QUOTED)
        if not token:
            self.refuse("is no name of an agent or location")
        if token.startswith("'"):
            return kind, token[1:-1]
        try:
            return kind, str(json.loads(token, strict=False))
        except json.JSONDecodeError:
            self.refuse("is no text as in JSON", start)

    def limit(self, metric: str) -> Limit:
        """A limit that fits the metric."""
        start, sign, number, unit = self.next(), self.take(SIGN), self.take(NUMBER), self.take(UNIT)
        if not number or len(number) > MAX_NUMBER_LENGTH:
            self.refuse(f"is no limit: it needs a number, of at most {MAX_NUMBER_LENGTH} characters", start)
        unit = OTHER_UNITS.get(unit, unit)
        if unit == "x" and sign:
            self.refuse("has a sign, but `x` is times the baseline; leave the sign out", start)
        if unit == "%" and not sign:
            self.refuse(f"has no sign; +{number}% is that much more than the baseline, -{number}% that much less", start)
        amount = Decimal(number.replace(",", ""))
        if unit == "%" and sign == "-" and amount > 100:
            self.refuse("is less than nothing", start)
        if unit not in ("x", "%"):
            self.check_unit(unit, metric, start)
        return Limit(amount, unit, sign)

    def check_unit(self, unit: str, metric: str, start: int) -> None:
        """Refuse the limit unless its unit, or that it has none, fits the metric."""
        if metric in DURATIONS and unit not in UNITS_OF_TIME:
            self.refuse(f"needs a unit of time: {', '.join(UNITS_OF_TIME)}", start)
        if metric not in DURATIONS and unit:
            self.refuse(f"has a unit, but {metric} has none", start)

    def next(self) -> int:
        """Skip spaces; the position after them."""
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1
        return self.position

    def take(self, pattern: re.Pattern[str]) -> str:
        """What the pattern matches next, after spaces; "" if nothing."""
        found = pattern.match(self.text, self.next())
        self.position = found.end() if found else self.position
        return found.group() if found else ""

    def refuse(self, reason: str, start: int | None = None) -> NoReturn:
        """Raise an error about the text from a position on, by default that which has been reached."""
        start = self.next() if start is None else start
        wrong = f"{quoted(self.text[start:])}, from character {start + 1}," if start < len(self.text) else "its end"
        raise BadOption(
            f"{quoted(self.text)} is not a rule: {wrong} {reason}. "
            "Rules are like cost > 1.2x, time > +10%, waiting of Reviewer > 5min, errors > 0."
        )
