"""Kinds of work: a call of a model, a call of a tool, or other work.

The location decides if it begins with "model:" or "tool:", as readers name it: so the kind of a span is what each table and
picture shows. For other locations, ``kind`` in ``data`` decides; only these payloads are parsed.
"""

from typing import Final

import numpy as np
import pandas as pd

from tokenvis.spans.columns import codes_of
from tokenvis.spans.fields import field_values

KINDS_OF_WORK = ("model", "tool", "other")
MODEL, TOOL, OTHER = range(len(KINDS_OF_WORK))
LOCATION_PREFIXES: Final = {"model:": MODEL, "tool:": TOOL}
KINDS_IN_DATA: Final = {"model": MODEL, "embedding": MODEL, "tool": TOOL}

KindCodes = np.ndarray[tuple[int], np.dtype[np.int8]]


def kinds_of(spans: pd.DataFrame) -> KindCodes:
    """The kind of work of each row, as a code: `MODEL`, `TOOL` or `OTHER`."""
    location, labels = codes_of(spans["location_id"])
    kind = np.array([kind_of_location(str(label)) for label in labels.tolist()], dtype=np.int8)[location]
    rows, values = field_values(spans, "kind", np.flatnonzero(kind == OTHER))
    kind[rows] = [KINDS_IN_DATA.get(value, OTHER) if isinstance(value, str) else OTHER for value in values]
    return kind


def kind_of_location(name: str) -> int:
    """The kind of work at a location with a prefix, `OTHER` at any other location."""
    return next((kind for prefix, kind in LOCATION_PREFIXES.items() if name.startswith(prefix)), OTHER)
