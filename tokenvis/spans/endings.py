"""Endings: how a span ended, by ``status`` and ``cancelled`` in ``data``."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.fields import several_field_values, truth_of
from tokenvis.spans.integers import Mask

CANCELLED_STATUSES = ("cancelled", "canceled")


STATUSES = {**{status: status for status in ("ok", "error", "open", "cancelled")}, "canceled": "cancelled"}


@dataclass(frozen=True)
class Endings:
    """The rows of spans that failed, were cancelled, or are still open."""

    failed: Mask
    cancelled: Mask
    is_open: Mask


def endings_of(spans: pd.DataFrame) -> Endings:
    """Which spans failed, were cancelled, or are still open."""
    failed, cancelled, is_open = (np.zeros(len(spans), dtype=bool) for _ in range(3))
    fields = several_field_values(spans, "status", "cancelled")
    rows, statuses = fields["status"]
    failed[rows[[status == "error" for status in statuses]]] = True
    is_open[rows[[status == "open" for status in statuses]]] = True
    cancelled[rows[[isinstance(status, str) and status in CANCELLED_STATUSES for status in statuses]]] = True
    rows, values = fields["cancelled"]
    cancelled[rows[[truth_of(value) is True for value in values]]] = True
    return Endings(failed, cancelled, is_open)


def with_known_status(data: dict[str, Any]) -> dict[str, Any]:
    """The data with a status of tokenvis, in any case and in either spelling of "cancelled", as tokenvis writes it."""
    status = data.get("status")
    if isinstance(status, str) and (known := STATUSES.get(status.strip().lower())):
        data["status"] = known
    return data
