"""Price lists: what a call costs by its model, its provider and its time.

A list has tariffs for a call: the prices of a token of each kind, by the number of input tokens. The one installed list is
that of genai-prices (Pydantic, MIT), as it is in the package: nothing is downloaded, and prices that another library of
the process has downloaded are not used. Its own functions match models and calculate; this module only asks for the price
of one token at a time, so that many calls can be priced with few questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from tokenvis.errors import BadOption
from tokenvis.spans.integers import Int64Array

TOKEN_KINDS = ("input", "cached", "cache_creation", "output", "reasoning")
TOKENS_PER_PRICE = 1_000_000
GENAI_PRICES = "genai-prices"
ONE_TOKEN = {  # one more token of each kind, under the names of genai-prices
    "input": {"input_tokens": 1},
    "cached": {"input_tokens": 1, "cache_read_tokens": 1},
    "cache_creation": {"input_tokens": 1, "cache_write_tokens": 1},
    "output": {"output_tokens": 1},
    "reasoning": {"output_tokens": 1, "output_reasoning_tokens": 1},
}
PROVIDERS = {  # names of OpenTelemetry that genai-prices lacks or takes for another provider
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}
ANY_PROVIDER = "litellm"  # to genai-prices: find the provider by the model, which may be "provider/model"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000


class CalledModel(NamedTuple):
    """The name of the model of a call, and of its provider or None."""

    name: str
    provider: str | None


@dataclass(frozen=True)
class Tariff:
    """The prices of a call with more than ``above`` input tokens: of the ``call``, and of a million tokens of each kind.

    The kinds are those of `TOKEN_KINDS` and do not overlap: input is neither cached nor written to a cache, output is not
    reasoning. An unknown price is NaN.
    """

    above: int
    call: float
    tokens: Mapping[str, float]


@dataclass(frozen=True)
class PriceChanges:
    """When a price changes, in µs: at ``times`` since 1970, and at ``times_of_day``, both sorted."""

    times: Int64Array
    times_of_day: Int64Array

    def __len__(self) -> int:
        return (len(self.times) + 1) * (len(self.times_of_day) + 1)

    def periods(self, moments: Int64Array) -> Int64Array:
        """The period of each moment, from 0 to the number of periods: within one, the price is the same."""
        of_day: Int64Array = np.searchsorted(self.times_of_day, moments % DAY_US, side="right")
        return np.searchsorted(self.times, moments, side="right") * (len(self.times_of_day) + 1) + of_day


class PriceList(Protocol):
    """A list of prices."""

    @property
    def name(self) -> str:
        """The list, as results name it."""

    @property
    def newest(self) -> int:
        """The moment, in µs since 1970, whose prices apply to calls without a date."""

    def changes(self, called: CalledModel) -> PriceChanges | None:
        """When the prices of a model change; None if never."""

    def tariffs(self, called: CalledModel, moment: int) -> list[Tariff]:
        """The tariffs of a model at a moment, ordered by ``above``, the first -1; empty if the list has no price."""


@cache
def genai_prices() -> "GenaiPrices":
    """The list in the installed genai-prices; `BadOption` if it is not installed."""
    if find_spec("genai_prices") is None:
        raise BadOption("prices='genai-prices' needs the extra with the list: pip install 'tokenvis[prices]'.")
    return GenaiPrices()


class GenaiPrices:
    """The prices in genai-prices; its date is that of the newest price in it, which may be announced for a later day."""

    def __init__(self) -> None:
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        conditions = [price for provider in providers for model in provider.models for price in conditional_prices(model)]
        newest = max(price.constraint.start_date for price in conditions if hasattr(price.constraint, "start_date"))
        noon = datetime.combine(newest, time(12), UTC)
        self.name = f"{GENAI_PRICES} {version(GENAI_PRICES)} (newest price: {newest})"
        self.newest = since_1970(noon)
        self.snapshot = DataSnapshot(providers=providers, from_auto_update=False, timestamp=noon)

    def model_of(self, called: CalledModel) -> Any:
        """The list's entry of a model; None if it has none with that provider."""
        provider = (called.provider or ANY_PROVIDER).strip().lower()
        try:
            return self.snapshot.find_provider_model(called.name, None, PROVIDERS.get(provider, provider), None)[1]
        except LookupError:
            return None

    def changes(self, called: CalledModel) -> PriceChanges | None:
        """When the prices of a model change; None if never."""
        constraints = [price.constraint for price in conditional_prices(self.model_of(called)) if price.constraint is not None]
        dates = [constraint.start_date for constraint in constraints if hasattr(constraint, "start_date")]
        daily = [constraint for constraint in constraints if not hasattr(constraint, "start_date")]
        times_of_day = [moment for constraint in daily for moment in (constraint.start_time, constraint.end_time)]
        if not constraints:
            return None
        return PriceChanges(
            np.unique(np.array([start_of(date) for date in dates], dtype=np.int64)),
            np.unique(np.array([time_of_day(moment) for moment in times_of_day], dtype=np.int64)),
        )

    def tariffs(self, called: CalledModel, moment: int) -> list[Tariff]:
        """The tariffs of a model at a moment, ordered by ``above``, the first -1; empty if the list has no price."""
        model = self.model_of(called)
        price = None if model is None else model.get_prices(EPOCH + timedelta(microseconds=moment))
        if price is None or (price.input_mtok is None and price.output_mtok is None):
            return []
        steps = {tier.start for tiered in vars(price).values() for tier in getattr(tiered, "tiers", ())}
        return [tariff_of(price, above) for above in sorted({-1, *steps})]


def conditional_prices(model: Any) -> list[Any]:
    """The prices of a model that depend on the time."""
    prices = getattr(model, "prices", None)
    return prices if isinstance(prices, list) else []


def tariff_of(price: Any, above: int) -> Tariff:
    """The tariff of a price: what one more token of each kind adds to a call with the fewest input tokens of the tariff."""
    from genai_prices import Usage

    def total(more: Mapping[str, int]) -> Any:
        usage = {"input_tokens": above + 1, "output_tokens": 0}
        return price.calc_price(Usage(**{**more, **{key: n + more.get(key, 0) for key, n in usage.items()}}))["total_price"]

    without = total({})
    added = {kind: total(more) - without for kind, more in ONE_TOKEN.items()}
    unpriced = {
        key for key, of_key in (("input_tokens", price.input_mtok), ("output_tokens", price.output_mtok)) if of_key is None
    }
    tokens = {
        kind: float(amount * TOKENS_PER_PRICE) if unpriced.isdisjoint(ONE_TOKEN[kind]) else np.nan
        for kind, amount in added.items()
    }
    return Tariff(above, float(without - (above + 1) * added["input"]), tokens)


def since_1970(moment: datetime) -> int:
    """A moment in µs since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def start_of(day: date) -> int:
    """The start of a day in UTC, in µs since 1970."""
    return since_1970(datetime.combine(day, time(0), UTC))


def time_of_day(moment: time) -> int:
    """A time of day in UTC, in µs since midnight; a time without a zone is UTC."""
    return since_1970(datetime.combine(EPOCH, moment, moment.tzinfo or UTC)) % DAY_US
