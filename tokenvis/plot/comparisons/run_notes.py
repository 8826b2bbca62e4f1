"""Notes on many runs: what is not known about them, and which agents were matched by what they do."""

import pandas as pd

from tokenvis.errors import plural

UNKNOWN_CALLS = {"tokens": ("n_silent", "a token count"), "cost": ("n_unpriced", "a cost")}  # of measures: column, what lacks


def unknown_notes(runs: pd.DataFrame, measure: str) -> list[str]:
    """The note on calls of which a measure is not known, so that its sums are lower bounds."""
    column, what = UNKNOWN_CALLS.get(measure, ("", ""))
    n_unknown = int(runs[column].sum()) if column else 0
    return [f"{plural(n_unknown, 'call')} without {what}"] if n_unknown else []


def role_notes(names: pd.DataFrame) -> list[str]:
    """The note on agents that were matched by what they do: how many they are, and in how many runs.

    ``names`` has ``trace_id``, ``agent_id`` (the role) and ``matched_by``, as in `matched`; an agent may have several rows.

    Examples
    --------
    >>> names = {"trace_id": ["mon", "tue", "wed"], "agent_id": "tester", "matched_by": ["name", "role", "role"]}
    >>> role_notes(pd.DataFrame(names))
    ['1 agent matched by what it does, in 2 runs']
    """
    by_role = names[names["matched_by"] == "role"]
    n_agents, n_runs = by_role["agent_id"].nunique(dropna=False), by_role["trace_id"].nunique()
    does = "it does" if n_agents == 1 else "they do"
    return [f"{plural(n_agents, 'agent')} matched by what {does}, in {plural(n_runs, 'run')}"] if n_agents else []
