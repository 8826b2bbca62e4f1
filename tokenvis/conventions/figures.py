"""Figures: the token counts and the cost of a span, under whatever name its source has for them.

Every name in use becomes one of OpenTelemetry's, and its value a number. Of several names of one figure, the first in the
tables below that has a positive number counts, else the first that has a number: some sources write 0 for what they do not
count. OpenTelemetry's own names stand first, today's before older ones. A name with another value stays as it is, beside it. A
value that is not a number stays too, so that `usage` can report it. A figure that the source gives in parts only is their
sum; one that it gives in an object only is read from there; so is one that is 0 under its names.

Input tokens include cached tokens, and output tokens include reasoning tokens. Where a source counts them apart, they are
added: see `add_apart`.

Sources: OpenTelemetry's semantic conventions for generative AI, and their earlier versions; the instrumentations and
exporters named beside each name; what Langfuse, MLflow, LangWatch and OpenInference do with the spans of others.
"""

from collections.abc import Mapping
from typing import Any

from tokenvis.conventions.usage_objects import (
    CACHE_CREATION_TOKENS,
    CACHED_TOKENS,
    COST_TOTALS,
    INPUT_TOKENS,
    OBJECTS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    cost_figures,
    object_figures,
)
from tokenvis.conventions.values import decode_json_text, float_or_none, int_or_none, is_missing
from tokenvis.spans.fields import truth_of
from tokenvis.tree.tokens import COST, TOKEN_KEYS

FIGURE_NAMES = {
    INPUT_TOKENS: (
        INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",  # OpenTelemetry until 1.27
        "llm.usage.prompt_tokens",  # OpenLLMetry, older versions
        "llm.usage.input_tokens",
        "llm.token_count.prompt",  # OpenInference
        "ai.usage.inputTokens",  # Vercel's AI SDK
        "ai.usage.promptTokens",  # AI SDK 4
        "ai.usage.tokens",  # AI SDK: embeddings
        "ai.prompt_tokens.used",  # Sentry, older versions
        "codex.turn.token_usage.input_tokens",  # Codex
    ),
    CACHED_TOKENS: (
        CACHED_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",  # OpenLLMetry, Strands Agents, LiteLLM, AgentOps
        "gen_ai.usage.details.cache_read_tokens",  # Pydantic AI
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.cache_read_tokens",  # OpenClaw, Agno, Braintrust
        "gen_ai.usage.cached_input_tokens",  # Mastra
        "gen_ai.usage.prompt_cache_hit_tokens",  # DeepSeek's name
        "gen_ai.usage.cache_hit_tokens",
        "gen_ai.usage.cache_input_tokens",
        "gen_ai.usage.input_cache_tokens",
        "gen_ai.usage.cacheReadTokens",
        "gen_ai.usage.input_cached_tokens",  # LiveKit Agents
        "gen_ai.usage.cached_tokens",  # rig
        "gen_ai.usage.cache.read_input_tokens",  # OpenLIT, older versions
        "gen_ai.usage.input_tokens.cached",  # Sentry
        "gen_ai.usage.input_tokens_details.cached",
        "gen_ai.usage.input_tokens_details.cached_tokens",  # Weave
        "gen_ai.usage.prompt_tokens_details.cached_tokens",  # Weave
        "gen_ai.usage.prompt_tokens_details.cache_read",  # OpenLIT
        "gen_ai.usage.experimental.cached_tokens",  # Google ADK, older versions
        "llm.usage.cache_read.input_tokens",
        "llm.usage.cache_read_input_tokens",  # OpenLLMetry for TypeScript
        "llm.usage.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",  # OpenInference
        "llm.token_count.prompt_details.cache_input",  # OpenInference
        "ai.usage.inputTokenDetails.cacheReadTokens",  # AI SDK 6
        "ai.usage.cachedInputTokens",  # AI SDK 5
        "codex.turn.token_usage.cached_input_tokens",  # Codex
    ),
    OUTPUT_TOKENS: (
        OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",  # OpenTelemetry until 1.27
        "llm.usage.completion_tokens",  # OpenLLMetry, older versions
        "llm.usage.output_tokens",
        "llm.token_count.completion",  # OpenInference
        "ai.usage.outputTokens",  # Vercel's AI SDK
        "ai.usage.completionTokens",  # AI SDK 4
        "ai.completion_tokens.used",  # Sentry, older versions
        "codex.turn.token_usage.output_tokens",  # Codex
    ),
    REASONING_TOKENS: (
        REASONING_TOKENS,
        "gen_ai.usage.reasoning_tokens",  # OpenLLMetry, OpenLIT, AgentOps, LiveKit Agents
        "gen_ai.usage.details.reasoning_tokens",  # Pydantic AI
        "gen_ai.usage.experimental.reasoning_tokens",  # Google ADK, older versions
        "gen_ai.usage.thinking_tokens",  # AG2, Qwen Code
        "gen_ai.usage.details.thinking_tokens",  # Pydantic AI: Anthropic
        "gen_ai.usage.details.thoughts_tokens",  # Pydantic AI: Google
        "gen_ai.usage.thoughts_token_count",
        "gen_ai.usage.output_reasoning_tokens",
        "gen_ai.usage.reasoning_output_tokens",
        "gen_ai.usage.output_tokens.reasoning",  # Sentry
        "gen_ai.usage.output_tokens_details.reasoning",
        "gen_ai.usage.output_tokens_details.reasoning_tokens",
        "gen_ai.usage.completion_tokens_details.reasoning_tokens",  # OpenLIT
        "gen_ai.usage.completion_tokens_details.reasoning",  # OpenLIT
        "llm.usage.reasoning_tokens",  # OpenLLMetry
        "llm.token_count.completion_details.reasoning",  # OpenInference
        "ai.usage.outputTokenDetails.reasoningTokens",  # AI SDK 6
        "ai.usage.reasoningTokens",  # AI SDK 5
        "codex.turn.token_usage.reasoning_output_tokens",  # Codex
        "codex.usage.reasoning_output_tokens",  # Codex
    ),
    CACHE_CREATION_TOKENS: (
        CACHE_CREATION_TOKENS,
        "gen_ai.usage.cache_write.input_tokens",  # OpenTelemetry's newest name
        "gen_ai.usage.cache_creation_input_tokens",  # OpenLLMetry, LiteLLM, AgentOps
        "gen_ai.usage.cache_write_input_tokens",  # Strands Agents
        "gen_ai.usage.cache_create_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",  # Pydantic AI
        "gen_ai.usage.details.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_tokens",  # OpenClaw, Agno, Braintrust
        "gen_ai.usage.cache_creation_tokens",
        "gen_ai.usage.input_cache_creation",
        "gen_ai.usage.cache.creation_input_tokens",  # OpenLIT, older versions
        "gen_ai.usage.input_tokens.cache_write",  # Sentry
        "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",  # OpenLIT
        "gen_ai.usage.prompt_tokens_details.cache_write",  # OpenLIT
        "llm.usage.cache_creation_input_tokens",  # OpenLLMetry for TypeScript
        "llm.usage.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",  # OpenInference
        "ai.usage.inputTokenDetails.cacheWriteTokens",  # AI SDK 6
        "ai.usage.cacheCreationInputTokens",
        "codex.turn.token_usage.cache_write_input_tokens",  # Codex
    ),
    COST: (
        COST,  # OpenLIT, Laminar, Langfuse
        "gen_ai.usage.cost_usd",
        "gen_ai.usage.total_cost",  # AgentOps, Latitude
        "gen_ai.usage.total_cost_usd",
        "gen_ai.usage.cost.total",  # genai-otel-instrument
        "gen_ai.cost.total_cost",  # LiteLLM
        "litellm.cost.total",  # LiteLLM
        "gen_ai.cost.total_tokens",  # Sentry
        "ai.total_cost",  # Sentry, older versions
        "gen_ai.cost.total",
        "operation.cost",  # Pydantic AI
        "llm.cost.total",  # OpenInference
        "llm.usage.total_cost",
        "llm.usage.cost",
        "llm.cost_usd",
        "langwatch.span.cost",  # LangWatch
        "gen_ai.usage.estimated_cost_usd",
        "gen_ai.usage.estimated_cost",
    ),
}
ESTIMATED_COSTS = ("gen_ai.usage.estimated_cost_usd", "gen_ai.usage.estimated_cost")
FIGURE_PARTS: dict[str, list[tuple[str, ...]]] = {
    INPUT_TOKENS: [tuple(f"gen_ai.usage.{kind}.input_tokens" for kind in ("text", "image", "audio"))],  # OpenTelemetry
    CACHED_TOKENS: [tuple(f"gen_ai.usage.{kind}.cache_read.input_tokens" for kind in ("text", "image", "audio"))],
    OUTPUT_TOKENS: [tuple(f"gen_ai.usage.{kind}.output_tokens" for kind in ("text", "image", "audio"))],
    CACHE_CREATION_TOKENS: [
        tuple(f"gen_ai.usage.cache_creation_{age}.input_tokens" for age in ("5m", "1h")),  # LangWatch
        tuple(f"gen_ai.usage.cache_creation.input_tokens.ephemeral_{age}" for age in ("5m", "1h")),  # Laminar
    ],
    COST: [
        ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),  # Laminar, any-agent, Latitude
        ("gen_ai.usage.prompt_cost", "gen_ai.usage.completion_cost"),  # AgentOps
        ("gen_ai.usage.cost.input", "gen_ai.usage.cost.output"),
        ("gen_ai.cost.input_cost", "gen_ai.cost.output_cost"),  # LiteLLM
        ("gen_ai.cost.input_tokens", "gen_ai.cost.output_tokens"),  # Sentry: with the parts for cached and reasoning tokens
        ("gen_ai.cost.input", "gen_ai.cost.output"),
        ("llm.cost.prompt", "llm.cost.completion"),  # OpenInference
    ],
}
TOTALS = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
    "codex.turn.token_usage.total_tokens",
)
ESTIMATED_FLAGS = ("gen_ai.usage.estimated", "langwatch.tokens.estimated")  # true: the token counts are estimates
CLAUDE_CODE_NAMES = {  # on its model calls; no other source is known to use these bare names on spans
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "cache_read_tokens": CACHED_TOKENS,
    "cache_creation_tokens": CACHE_CREATION_TOKENS,
}
CLAUDE_CODE_CALLS = ("llm_request", "claude_code.llm_request")
PROVIDER_KEYS = ("gen_ai.provider.name", "gen_ai.system")
AI_SDK_UNCACHED = "ai.usage.inputTokenDetails.noCacheTokens"
OPENLIT_TOTAL = "gen_ai.client.token.usage"  # as an attribute of a span
ADK_REASONING = "gen_ai.usage.experimental.reasoning_tokens"

FIGURES = FIGURE_NAMES.keys()
DETAILS = {CACHED_TOKENS, CACHE_CREATION_TOKENS, REASONING_TOKENS}
KEY_OF = {name: key for key, names in FIGURE_NAMES.items() for name in names}
RANK = {name: rank for rank, name in enumerate(KEY_OF)}
PART_NAMES = {name for groups in FIGURE_PARTS.values() for group in groups for name in group}
KNOWN_NAMES = KEY_OF.keys() | PART_NAMES | OBJECTS.keys() | {*ESTIMATED_FLAGS, "span.type"}
OTHER_NAMES = KNOWN_NAMES - FIGURES - {"span.type"}


def normalise_figures(attributes: dict[str, Any]) -> list[str]:
    """Put the figures of a span under OpenTelemetry's names, as numbers; return the names of those that are estimates.

    Examples
    --------
    >>> attributes = {"gen_ai.usage.cache_read_tokens": "80", "gen_ai.usage.prompt_tokens": 20}
    >>> normalise_figures(attributes), attributes["gen_ai.usage.input_tokens"]
    ([], 100)
    """
    found = attributes.keys() & KNOWN_NAMES
    if found <= FIGURES:
        for key in sorted(found):  # the order of a set differs between runs
            if type(attributes[key]) is not int or key == COST:
                set_figure(attributes, key, attributes.pop(key))
        estimated = []
    else:
        estimated = rename_all(attributes, found)
    if not DETAILS.isdisjoint(attributes):
        add_apart(attributes, found)
    return estimated


def with_figures(data: dict[str, Any]) -> dict[str, Any]:
    """The data that a program or a table gives for a span, with its figures under OpenTelemetry's names.

    The names of those that are estimates are added to ``estimated``. Data without other names is returned as it is: its
    figures may have been normalised before.

    Examples
    --------
    >>> with_figures({"gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.estimated_cost_usd": 0.5})
    {'gen_ai.usage.input_tokens': 20, 'gen_ai.usage.cost': 0.5, 'estimated': ['gen_ai.usage.cost']}
    """
    if OTHER_NAMES.isdisjoint(data) and type(data.get(COST)) is not dict:
        return data
    data = data.copy()
    if names := normalise_figures(data):
        before = data.get("estimated")
        known = before if isinstance(before, list | tuple) else [] if is_missing(before) else [before]
        data["estimated"] = [*known, *(name for name in names if name not in known)]
    return data


def rename_all(attributes: dict[str, Any], found: set[str]) -> list[str]:
    """Put the figures of a span with other names than OpenTelemetry's under these; returns the names of estimated figures."""
    if attributes.get("span.type") not in CLAUDE_CODE_CALLS:
        found.discard("span.type")
    else:
        for name, key in CLAUDE_CODE_NAMES.items():
            if name in attributes and key not in attributes:
                attributes[key] = attributes.pop(name)
                found.add(key)
    estimated = rename_figures(attributes, sorted(found & KEY_OF.keys(), key=RANK.__getitem__))
    if not found <= KEY_OF.keys():
        objects = [object_figures(name, attributes[name]) for name in OBJECTS if name in found]
        for figures in (parts_figures(attributes), *objects):
            for key, value in figures.items():
                if key not in attributes or (is_zero(key, attributes[key]) and is_positive(key, figure_of(key, value))):
                    set_figure(attributes, key, value)
    if any(truth_of(attributes.get(flag)) for flag in ESTIMATED_FLAGS):
        estimated += [key for key in TOKEN_KEYS.values() if key in attributes]
    return estimated


def rename_figures(attributes: dict[str, Any], names: list[str]) -> list[str]:
    """Put figures under their keys; ``names`` are those found, in the order in which they count. Returns estimated keys."""
    by_key: dict[str, dict[str, Any]] = {}
    for name in names:
        value = attributes.pop(name)
        if not is_missing(value):
            by_key.setdefault(KEY_OF[name], {})[name] = figure_of(KEY_OF[name], value)
    estimated = []
    for key, figures in by_key.items():
        numeric = [name for name, value in figures.items() if is_numeric(key, value)]
        used = next((name for name in numeric if is_positive(key, figures[name])), next(iter(numeric or figures)))
        attributes |= {name: value for name, value in figures.items() if name != key and value != figures[used]}
        attributes[key] = figures[used]
        if used in ESTIMATED_COSTS:
            estimated.append(key)
    return estimated


def figure_of(key: str, value: Any) -> Any:
    """A count as an integer, a cost, or the total of an object of costs, as a float; any other value unchanged."""
    number = float_or_none(total_cost_of(value)) if key == COST else int_or_none(value)
    return value if number is None else number


def total_cost_of(value: Any) -> Any:
    """The cost in an object with a total, or in its JSON; any other value unchanged."""
    content = decode_json_text(value)
    has_total = isinstance(content, Mapping) and not content.keys().isdisjoint(COST_TOTALS)
    return cost_figures(content).get(COST, value) if has_total else value


def is_numeric(key: str, figure: Any) -> bool:
    """Whether a figure is a number, after `figure_of`."""
    return type(figure) is (float if key == COST else int)


def is_zero(key: str, figure: Any) -> bool:
    """Whether a figure is the number 0, after `figure_of`."""
    return is_numeric(key, figure) and figure == 0


def is_positive(key: str, figure: Any) -> bool:
    """Whether a figure is a positive number, after `figure_of`."""
    return is_numeric(key, figure) and figure > 0


def parts_figures(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a span has in parts: their sums; a part that is not a number stands for its figure."""
    figures: dict[str, Any] = {}
    for key, groups in FIGURE_PARTS.items():
        for group in groups:
            parts = [figure_of(key, attributes[name]) for name in group if not is_missing(attributes.get(name))]
            if parts:
                wrong = next((part for part in parts if not is_numeric(key, part)), None)
                figures.setdefault(key, sum(parts) if wrong is None else wrong)
    return figures


def set_figure(attributes: dict[str, Any], key: str, value: Any) -> None:
    """Set a figure, as a number if it is one, unless the value says nothing."""
    if not is_missing(value):
        attributes[key] = figure_of(key, value)


def add_apart(attributes: dict[str, Any], found: set[str]) -> None:
    """Add cached tokens to the input tokens, and reasoning tokens to the output tokens, if their source counts them apart.

    ``found`` are the known names that the source has used. It counts them apart if one of these shows it:

    - Fewer input than cached tokens.
    - A total that is the sum of input, output and what is apart. So it is for Amazon Bedrock, whose counts Strands Agents
      passes on (OpenInference's processor for Strands says so), and for Gemini's reasoning tokens.
    - Vercel's AI SDK gives the tokens that are not cached, and they are all input tokens.
    - Anthropic's API counts them apart. Claude Code passes its counts on under bare names (Langfuse and MLflow read them so),
      and OpenLIT under OpenTelemetry's. OpenLLMetry and OpenInference add them up themselves.
    - Google ADK, before it had OpenTelemetry's name for reasoning tokens, passed on Gemini's counts, which are apart.

    OpenTelemetry's convention is that they are included, and so it is taken everywhere else.
    """
    cached = count_in(attributes, CACHED_TOKENS) + count_in(attributes, CACHE_CREATION_TOKENS)
    reasoning = count_in(attributes, REASONING_TOKENS)
    total = next((count for name in TOTALS if (count := int_or_none(attributes.get(name))) is not None), None)
    has_both = all(type(attributes.get(key)) is int for key in (INPUT_TOKENS, OUTPUT_TOKENS))
    left = total - attributes[INPUT_TOKENS] - attributes[OUTPUT_TOKENS] if total is not None and has_both else 0
    by_total = apart_by_total(left, cached, reasoning)
    if type(tokens := attributes.get(INPUT_TOKENS)) is int and cached:
        is_anthropic = any(attributes.get(key) == "anthropic" for key in PROVIDER_KEYS)
        by_source = is_anthropic and ("span.type" in found or OPENLIT_TOTAL in attributes)
        if tokens < cached or by_total[0] or by_source or int_or_none(attributes.get(AI_SDK_UNCACHED)) == tokens:
            attributes[INPUT_TOKENS] = tokens + cached
    if type(tokens := attributes.get(OUTPUT_TOKENS)) is int and reasoning and (by_total[1] or ADK_REASONING in found):
        attributes[OUTPUT_TOKENS] = tokens + reasoning


def apart_by_total(left: int, cached: int, reasoning: int) -> tuple[bool, bool]:
    """Whether a total shows that cached and reasoning tokens are apart; ``left`` is the total less input and output."""
    if left <= 0 or cached == reasoning == left:  # it may be either of them
        return False, False
    both = left == cached + reasoning
    return bool(cached) and (left == cached or both), bool(reasoning) and (left == reasoning or both)


def count_in(attributes: Mapping[str, Any], key: str) -> int:
    """A count, 0 if it is missing or not a number."""
    value = attributes.get(key)
    return value if type(value) is int else 0
