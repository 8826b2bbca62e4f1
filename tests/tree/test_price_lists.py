import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import genai_prices
import numpy as np
import pandas as pd
import pytest
from conftest import spans_of
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import ModelPrice, TieredPrices
from hypothesis import given
from hypothesis import strategies as st
from waiting import oracle

from tokenvis import BadOption, usage
from tokenvis.tree import price_lists
from tokenvis.tree.price_lists import EPOCH, CalledModel, since_1970
from tokenvis.tree.prices import cost_of_calls, price_lists_of

NAMES = {  # of kinds of tokens in genai-prices
    "input": "input_tokens",
    "cached": "cache_read_tokens",
    "cache_creation": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "output_reasoning_tokens",
}
MODELS = [(provider.id, model) for provider in providers for model in provider.models]
SPRING_2024 = since_1970(datetime(2024, 4, 1, 8, tzinfo=UTC))


def cost(*calls):
    """The cost of calls, each (provider, model, start, tokens by kind), NaN if unknown."""
    spans = spans_of(*(f"ann {n} {n} desk" for n in range(len(calls))))
    start = np.array([start for _, _, start, _ in calls], dtype=np.int64)
    spans = spans.assign(start_time=start, end_time=start)
    spans["gen_ai.provider.name"] = pd.Series([provider for provider, *_ in calls], dtype="str")
    spans["gen_ai.response.model"] = pd.Series([model for _, model, *_ in calls], dtype="str")
    tokens = {kind: np.array([given.get(kind, 0) for *_, given in calls], dtype=np.int64) for kind in NAMES}
    every = np.ones(len(calls), dtype=bool)
    priced = cost_of_calls(spans, every, tokens, price_lists_of("genai-prices"), single=every)
    return np.where(priced.known, priced.cost, np.nan).tolist()


def cost_by_the_library(provider, model, start, tokens):
    """The cost by the library's own function; NaN if it has no price for the input or the output tokens, or for neither."""
    given = genai_prices.Usage(**{NAMES[kind]: count for kind, count in tokens.items()})
    time = EPOCH + timedelta(microseconds=start)
    try:
        found = genai_prices.calc_price(given, model, provider_id=provider, genai_request_timestamp=time)
    except (LookupError, ValueError):
        return np.nan
    no_price = [kind for kind in ("input", "output") if getattr(found.model_price, f"{kind}_mtok") is None]
    is_unknown = len(no_price) == 2 or any(tokens[kind] for kind in no_price)
    return np.nan if is_unknown else float(found.total_price)


def edges(model):
    """Moments and numbers of input tokens around which the price of a model changes."""
    conditions = [] if isinstance(model.prices, ModelPrice) else model.prices
    prices = [condition.prices for condition in conditions] or [model.prices]
    limits = [condition.constraint for condition in conditions if condition.constraint]
    days = [datetime.combine(limit.start_date, datetime.min.time(), UTC) for limit in limits if hasattr(limit, "start_date")]
    hours = [time for limit in limits if hasattr(limit, "end_time") for time in (limit.start_time, limit.end_time)]
    moments = [*days, *(datetime.combine(datetime(2025, 5, 5), hour, UTC) for hour in hours)]
    steps = [
        tier.start
        for price in prices
        for value in vars(price).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    ]
    return [SPRING_2024, *map(since_1970, moments)], [0, 1000, *steps]


@st.composite
def calls(draw):
    """A call of any model of the list, often at the moment or the size at which its price changes."""
    provider, model = MODELS[draw(st.integers(0, len(MODELS) - 1))]
    moments, sizes = edges(model)
    start = draw(st.sampled_from(moments)) + draw(st.integers(-1, 1))
    size = max(draw(st.sampled_from(sizes)) + draw(st.integers(-1, 1)), 0)
    cached = draw(st.integers(0, size))
    output = draw(st.integers(0, 10_000))
    created, reasoning = draw(st.integers(0, size - cached)), draw(st.integers(0, output))
    tokens = {"input": size, "cached": cached, "cache_creation": created, "output": output, "reasoning": reasoning}
    return provider, model.id, start, tokens


@pytest.mark.laws
@oracle
@given(st.lists(calls(), max_size=5))
def test_the_cost_is_that_of_the_library(calls):
    assert cost(*calls) == pytest.approx([cost_by_the_library(*call) for call in calls], rel=1e-9, nan_ok=True)


@pytest.mark.full
def test_the_cost_of_each_model_is_that_of_the_library():
    tokens = [{"input": n, "cached": n // 3, "cache_creation": n // 5, "output": 900, "reasoning": 70} for n in (999, 300_000)]
    calls = [
        (provider, model.id, start + 1, given) for provider, model in MODELS for start in edges(model)[0] for given in tokens
    ]
    assert cost(*calls) == pytest.approx([cost_by_the_library(*call) for call in calls], rel=1e-9, nan_ok=True)


def test_the_provider_helps_to_find_the_model():
    names = [
        ("anthropic", "claude-3-5-sonnet-20241022"),
        (None, "claude-3-5-sonnet-20241022"),
        (None, "anthropic/claude-3-5-sonnet-20241022"),
        (" Anthropic ", "Claude-3-5-Sonnet-20241022"),
        ("my-gateway", "claude-3-5-sonnet-20241022"),
        ("openai", "claude-3-5-sonnet-20241022"),
        (None, "demo-large"),
    ]
    assert cost(*((*name, SPRING_2024, {"input": 1_000_000}) for name in names)) == pytest.approx(
        [3] * 4 + [np.nan] * 3, nan_ok=True
    )


@pytest.mark.parametrize(
    ("provider", "entry"),
    [
        ("anthropic", "anthropic"), ("aws.bedrock", "aws"), ("azure.ai.inference", "azure"), ("azure.ai.openai", "azure"),
        ("cohere", "cohere"), ("deepseek", "deepseek"), ("gcp.gemini", "google"), ("gcp.gen_ai", "google"),
        ("gcp.vertex_ai", "google"), ("groq", "groq"), ("mistral_ai", "mistral"), ("openai", "openai"),
        ("perplexity", "perplexity"), ("x_ai", "x-ai"),
    ],
)  # fmt: skip
def test_the_providers_of_opentelemetry_are_in_the_list(provider, entry):
    price_list = price_lists.genai_prices()
    models = next(listed.models for listed in providers if listed.id == entry)
    assert any(price_list.model_of(CalledModel(model.id, provider)) is model for model in models)


def test_calls_without_a_date_have_the_newest_price():
    tokens = {"input": 1000, "cached": 10, "cache_creation": 0, "output": 50, "reasoning": 5}
    named = [(provider, model.id) for provider, model in MODELS if not isinstance(model.prices, ModelPrice)][:50]
    newest = price_lists.genai_prices().newest
    expected = [cost_by_the_library(*name, newest, tokens) for name in named]
    for undated in (0, -5, since_1970(datetime(1999, 12, 31, tzinfo=UTC))):
        assert cost(*((*name, undated, tokens) for name in named)) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_the_result_names_the_version_and_the_newest_price():
    spans = spans_of("ann 0 1 desk", "ann 1 2 desk").assign(**{"gen_ai.usage.input_tokens": [1000, 10]})
    spans["gen_ai.request.model"] = ["claude-3-5-sonnet-20241022", "$\\frac{" * 2000]
    [row] = usage(spans, prices=[{"other": {"input": 1, "output": 1}}, "genai-prices"]).to_dict("records")
    dates = [limit.start_date for _, model in MODELS if not isinstance(model.prices, ModelPrice)
             for price in model.prices if hasattr(limit := price.constraint, "start_date")]  # fmt: skip
    assert row["price_source"] == f"genai-prices {version('genai-prices')} (newest price: {max(dates)})"
    assert (row["cost"], row["n_unpriced"], row["unpriced_models"]) == (0.003, 1, ["$\\frac{" * 2000])
    mine = usage(spans, prices=[{"claude-3-5-sonnet-20241022": {"input": 1, "output": 1}}, "genai-prices"])
    assert mine[["cost", "price_source"]].to_numpy().tolist() == [[0.001, "prices="]]


def test_prices_that_another_library_downloaded_are_not_used():
    free = DataSnapshot(providers=[], from_auto_update=True)
    call = ("anthropic", "claude-3-5-sonnet-20241022", SPRING_2024, {"input": 1_000_000})
    set_custom_snapshot(free)
    try:
        assert cost(call) == [3]
    finally:
        set_custom_snapshot(None)


def test_pricing_opens_no_socket_and_reads_no_clock(monkeypatch):
    class NoSocket(socket.socket):
        def __init__(self, *args, **options):
            raise AssertionError("a socket was opened")

    class NoClock(datetime):
        @classmethod
        def now(cls, tz=None):
            raise AssertionError("the clock was read")

    monkeypatch.setattr(socket, "socket", NoSocket)
    for module in (genai_prices, genai_prices.data_snapshot, genai_prices.types):
        monkeypatch.setattr(module, "datetime", NoClock)
    price_lists.genai_prices.cache_clear()
    assert cost(("anthropic", "claude-3-5-sonnet-20241022", SPRING_2024, {"input": 1_000_000})) == [3]
    assert np.isnan(cost(("anthropic", "x", 0, {"input": 1}), (None, "x", 0, {"input": 1}))).all()


@pytest.mark.full
def test_importing_the_list_opens_no_socket():
    code = (
        "import sys\n"
        "sys.addaudithook(lambda event, args: event.startswith('socket.') and sys.exit(event))\n"
        "from tokenvis.tree.price_lists import genai_prices\n"
        "print(genai_prices().name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith("genai-prices ")) == (0, True), done.stderr


def test_the_extra_is_named_if_the_package_is_missing(monkeypatch):
    price_lists.genai_prices.cache_clear()
    monkeypatch.setattr(price_lists, "find_spec", lambda name: None)
    with pytest.raises(
        BadOption, match=r"^prices='genai-prices' needs the extra with the list: pip install 'tokenvis\[prices\]'\.$"
    ):
        usage(spans_of("ann 0 1 desk"), prices="genai-prices")
