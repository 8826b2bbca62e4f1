"""The rules: who is the agent, and where is the location, when a source does not say it in these words.

An agent is called what people call it. A location is the tool that ran, else the model that was asked.
"""

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
    distinct: list[str] = []
    numbers: dict[str, int] = {}
    taken: set[str] = set()
    for name in names:
        candidate, number = name, numbers.get(name, 1)
        while candidate in taken:
            number += 1
            candidate = f"{name} {number}"
        numbers[name] = number
        taken.add(candidate)
        distinct.append(candidate)
    return distinct
