"""The rules: who is the agent, and where is the location, when a source does not say it in these words.

An agent is called what people call it. A location is the tool that ran, else the model that was asked.
"""

from collections import Counter
from collections.abc import Iterable

UNKNOWN_MODEL = "unknown"


def location_of(*, tool: str | None = None, model: str | None = None) -> str:
    """The location of a piece of work: "tool:Bash", else "model:claude-opus-4-8".

    Examples
    --------
    >>> location_of(tool="Bash"), location_of(model="claude-opus-4-8")
    ('tool:Bash', 'model:claude-opus-4-8')
    """
    return f"tool:{tool}" if tool else f"model:{model or UNKNOWN_MODEL}"


def distinct_names(names: Iterable[str]) -> list[str]:
    """Names made unique by a number, in the order given.

    Examples
    --------
    >>> distinct_names(["Explore", "Plan", "Explore", "Explore 2"])
    ['Explore', 'Plan', 'Explore 2', 'Explore 2 2']
    """
    seen: Counter[str] = Counter()
    taken: set[str] = set()
    distinct = []
    for name in names:
        seen[name] += 1
        number, candidate = seen[name], name
        while candidate in taken or (number > 1 and candidate == name):
            candidate = f"{name} {number}" if number > 1 else name
            number += 1
        taken.add(candidate)
        distinct.append(candidate)
    return distinct
