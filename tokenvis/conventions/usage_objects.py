"""Objects of figures: attributes and fields that contain all token counts, or the whole cost, of a span as one JSON object.

Sources: MLflow's ``mlflow.chat.tokenUsage`` and ``mlflow.llm.cost``; LangSmith's ``langsmith.usage_metadata``, which is that of
LangChain; Langfuse's page on usage: every usage type with "input" in its name counts as input, every one with "output" as
output, and `OtelIngestionProcessor` in its repository, which writes ``input`` without the cached tokens beside it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tokenvis.conventions.values import decode_json_text, float_or_none, int_or_none, is_missing
from tokenvis.tree.tokens import COST, TOKEN_KEYS

INPUT_TOKENS, CACHED_TOKENS, CACHE_CREATION_TOKENS, OUTPUT_TOKENS, REASONING_TOKENS = TOKEN_KEYS.values()
USAGE_NAMES = {
    "input_tokens": INPUT_TOKENS,
    "cache_read_input_tokens": CACHED_TOKENS,
    "cache_creation_input_tokens": CACHE_CREATION_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "reasoning_tokens": REASONING_TOKENS,
    "total_cost": COST,
}
DETAIL_NAMES = {
    "input_token_details": {"cache_read": CACHED_TOKENS, "cache_creation": CACHE_CREATION_TOKENS},
    "output_token_details": {"reasoning": REASONING_TOKENS},
}
LANGFUSE_SIDES = {"input": INPUT_TOKENS, "output": OUTPUT_TOKENS}
LANGFUSE_OLD_NAMES = {
    "promptTokens": "input",
    "prompt_tokens": "input",
    "completionTokens": "output",
    "completion_tokens": "output",
    "totalTokens": "total",
    "total_tokens": "total",
}
LANGFUSE_DETAILS = {
    CACHED_TOKENS: ("cache_read", "cached"),
    CACHE_CREATION_TOKENS: ("cache_creation", "cache_write"),
    REASONING_TOKENS: ("reasoning", "thinking", "thoughts"),
}
COST_TOTALS = ("total", "total_cost")
TOTAL_TOKENS = "gen_ai.usage.total_tokens"


def usage_figures(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of MLflow's or LangChain's object.

    Examples
    --------
    >>> usage_figures({"input_tokens": 9, "input_token_details": {"cache_read": 8}})
    {'gen_ai.usage.input_tokens': 9, 'gen_ai.usage.cache_read.input_tokens': 8}
    """
    figures = {key: usage[name] for name, key in USAGE_NAMES.items() if name in usage}
    for object_name, names in DETAIL_NAMES.items():
        details = usage.get(object_name)
        if isinstance(details, Mapping):
            figures |= {key: details[name] for name, key in names.items() if name in details}
    return figures


def cost_figures(costs: Mapping[str, Any]) -> dict[str, Any]:
    """The cost in an object of costs: its total, else the sum of its parts; a total of 0 beside positive parts says nothing.

    Examples
    --------
    >>> cost_figures({"input": 0.25, "input_cached_tokens": 0.5})
    {'gen_ai.usage.cost': 0.75}
    >>> cost_figures({"input": 0.25, "output": 0.5, "total": 0})
    {'gen_ai.usage.cost': 0.75}
    """
    totals = [costs[name] for name in COST_TOTALS if not is_missing(costs.get(name))]
    parts = [cost for name, value in costs.items() if name not in COST_TOTALS and (cost := float_or_none(value)) is not None]
    total = next((total for total in totals if float_or_none(total)), next(iter(totals), None))
    if total is not None and not (float_or_none(total) == 0 and any(part > 0 for part in parts)):
        return {COST: total}
    return {COST: sum(parts)} if parts else {}


def langfuse_figures(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The token counts in Langfuse's usage details; with their total, if a detail has neither "input" nor "output" in its name.

    Input is the sum of all counts with "input" in their name, unless the total shows that ``input`` includes the others;
    output likewise.

    Examples
    --------
    >>> langfuse_figures({"input": 5, "input_cached_tokens": 40, "total": 45})
    {'gen_ai.usage.input_tokens': 45, 'gen_ai.usage.cache_read.input_tokens': 40}
    """
    named = {LANGFUSE_OLD_NAMES.get(name, name): value for name, value in usage.items() if "cost" not in name.lower()}
    counts = {name: count for name, value in named.items() if (count := int_or_none(value)) is not None}
    total = counts.get("total")
    is_whole = total == counts.get("input", 0) + counts.get("output", 0)
    figures: dict[str, Any] = {}
    for side, key in LANGFUSE_SIDES.items():
        parts = {name: count for name, count in counts.items() if side in name}
        if parts:
            figures[key] = parts[side] if is_whole and side in parts else sum(parts.values())
        elif not is_missing(named.get(side)):
            figures[key] = named[side]
    for key, words in LANGFUSE_DETAILS.items():
        details = {name: count for name, count in counts.items() if any(word in name for word in words)}
        if details:
            figures[key] = sum(details.values())
        if total is not None and any(side not in name for name in details for side in LANGFUSE_SIDES if side in key):
            figures[TOTAL_TOKENS] = total
    return figures


def object_figures(name: str, value: Any) -> dict[str, Any]:
    """The figures in an attribute that contains an object, or its JSON; none if it is damaged."""
    content = decode_json_text(value)
    return OBJECTS[name](content) if isinstance(content, Mapping) else {}


OBJECTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "mlflow.chat.tokenUsage": usage_figures,
    "mlflow.llm.cost": cost_figures,
    "langsmith.usage_metadata": usage_figures,
    "langfuse.observation.usage_details": langfuse_figures,
    "langfuse.observation.cost_details": cost_figures,
}
