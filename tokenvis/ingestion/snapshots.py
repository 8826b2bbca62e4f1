"""Snapshots: what an earlier snapshot of a span said and the row that replaced it lacks is kept.

That is any key of its data or attributes, its parent, its agent, and a location that says more than "span".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tokenvis.conventions.marks import MARKS, split_marks, with_marks, without_marks
from tokenvis.ingestion.spool import Spool
from tokenvis.spans.integers import Int64Array
from tokenvis.spans.payload import parse, parse_exactly
from tokenvis.spans.redaction import Redactor, payload_json

NOT_KEPT = {*MARKS, "status", "estimated", "attributes"}


@dataclass
class LackingKeys:
    """The keys of data and attributes, and the columns, that rows lack and their snapshots had, by row."""

    data: dict[int, dict[str, Any]] = field(default_factory=dict)
    attributes: dict[int, dict[str, Any]] = field(default_factory=dict)
    columns: dict[int, set[str]] = field(default_factory=dict)  # "agent_id" and "location_id"

    def __iter__(self) -> Iterator[int]:
        return iter({**self.data, **self.attributes, **self.columns})

    def __contains__(self, row: int) -> bool:
        return row in self.data or row in self.attributes or row in self.columns

    def names(self, row: int) -> list[str]:
        """The names of the keys that a row has from snapshots."""
        return sorted({*self.data.get(row, ()), *self.attributes.get(row, ()), *self.columns.get(row, ())})

    def added_to(self, text: str | None, row: int, redactor: Redactor) -> str | None:
        """The text of a row's data with the keys that it lacked."""
        if row not in self.data and row not in self.attributes:
            return text
        marks, told = split_marks(text)
        payload = dict(parse_exactly(told))
        lacking = {**self.data.get(row, {}), **({"attributes": found} if (found := self.attributes.get(row)) else {})}
        lacking = redactor.redacted(lacking, None)
        attributes = dict(sorted(lacking.pop("attributes", {}).items()))
        if attributes:
            payload["attributes"] = {**payload.get("attributes", {}), **attributes}
        return with_marks(without_marks(payload_json({**payload, **dict(sorted(lacking.items()))})), marks)


def lacking_keys(data: Spool, winner: Int64Array, snapshot: Int64Array) -> LackingKeys:
    """What each row ``winner`` lacks of its ``snapshot``; of several, the last counts.

    Texts are read twice, and only the names of the keys of the winners are in memory together.
    """
    known: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
    shared: dict[tuple[frozenset[str], frozenset[str]], tuple[frozenset[str], frozenset[str]]] = {}
    for row, payload in payloads(data, np.unique(winner)):
        keys = frozenset(payload), frozenset(attributes_of(payload))
        known[row] = shared.setdefault(keys, keys)
    lacking = LackingKeys()
    pairs = {row: (place, of) for place, (row, of) in enumerate(zip(snapshot.tolist(), winner.tolist(), strict=True))}
    places: dict[tuple[int, bool, str], int] = {}  # of the snapshot that a key is from
    for row, payload in payloads(data, np.sort(snapshot)):
        place, of = pairs[row]
        own, own_attributes = known[of]
        for is_attribute, source, has in (
            (False, payload, own | NOT_KEPT),
            (True, attributes_of(payload), own_attributes),
        ):
            for key in source.keys() - has:
                if places.get((of, is_attribute, key), -1) < place:
                    places[of, is_attribute, key] = place
                    found = lacking.attributes if is_attribute else lacking.data
                    found.setdefault(of, {})[key] = source[key]
    return lacking


def payloads(data: Spool, rows: Int64Array) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each of these rows, in increasing order, with its payload, without marks."""
    for row, text in data.texts_of(rows):
        yield row, parse(split_marks(text)[1])


def attributes_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a payload."""
    attributes = payload.get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}
