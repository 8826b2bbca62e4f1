"""Divergence: where two single runs part, for ``tokenvis compare``."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from tokenvis.commands.comparison import Comparison
from tokenvis.commands.facts import records
from tokenvis.commands.texts import WIDTH, name_cell, wrapped_lines
from tokenvis.errors import plural
from tokenvis.runs.alignment import STEP_KINDS, alignment
from tokenvis.spans.fields import field_values

MAX_STEPS = 100_000  # of a run: the alignment of longer ones takes more than some seconds
STEP_FACTS = ("same", "changed", "only_in_baseline", "only_in_other")


def divergence_facts(comparison: Comparison) -> dict[str, Any] | None:
    """The numbers of steps of two runs that are the same or not, and the first divergence.

    None for several runs, very long ones, or without the extra; the first divergence is None if there is none.
    """
    if not has_two_runs(comparison) or is_too_long(comparison) or find_spec("rapidfuzz") is None:
        return None
    sides = [comparison.spans_of(side) for side in (str(comparison.baseline), *comparison.others)]
    has_labels = any(len(field_values(spans, "label")[0]) for spans in sides)
    steps = alignment(*sides, by=("agent_id", "location_id", *["label"] * has_labels), match="agent_id")
    n_steps = steps["step"].value_counts()
    first = records(steps[steps["first_divergence"]].drop(columns="first_divergence"))
    counts = {fact: int(n_steps.get(kind, 0)) for fact, kind in zip(STEP_FACTS, STEP_KINDS, strict=True)}
    return {**counts, "first_divergence": first[0] if first else None}


def has_two_runs(comparison: Comparison) -> bool:
    """Whether a run is compared with one other."""
    return len(comparison.names) == 2 and comparison.baseline is not None and len(comparison.runs.table) == 2


def is_too_long(comparison: Comparison) -> bool:
    """Whether a run has too many steps for an answer in some seconds."""
    return int(comparison.totals.spans["trace_id"].value_counts().max()) > MAX_STEPS


def divergence_lines(comparison: Comparison) -> Iterator[str]:
    """The same as text; how to get it for long runs, or if the extra is missing."""
    if not has_two_runs(comparison):
        return
    yield ""
    if is_too_long(comparison):
        yield f"The runs have more than {MAX_STEPS:,} steps: alignment(a, b) says where they part."
        return
    facts = divergence_facts(comparison)
    if facts is None:
        yield "Where the runs part is shown with the extra: pip install 'tokenvis[alignment]'"
        return
    yield (
        f"{plural(facts['same'], 'step')} the same, {facts['changed']:,} changed, {facts['only_in_baseline']:,} only before, "
        f"{facts['only_in_other']:,} only after."
    )
    first = facts["first_divergence"]
    if first is not None:
        where = f"{name_cell(first['agent_id'])} at {name_cell(first['location_id'])}"
        label = f", {name_cell(first['label'])}" if first.get("label") else ""
        yield from wrapped_lines(f"First divergence: {where}{label}: {step_text(first)}.", "  ")


def step_text(step: dict[str, Any]) -> str:
    """What differs in a step, and its spans."""
    ids = {key: name_cell(str(step[key]), WIDTH) for key in ("id_a", "id_b", "instead") if step[key] is not None}
    instead = f", instead of span {ids['instead']}" if "instead" in ids else ""
    if "id_a" not in ids:
        return f"only after (span {ids['id_b']}{instead})"
    if "id_b" not in ids:
        return f"only before (span {ids['id_a']}{instead})"
    return f"{step['difference']} (span {ids['id_a']}, then {ids['id_b']})"
