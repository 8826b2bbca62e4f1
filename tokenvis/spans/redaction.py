"""Redaction: how much of a trace's free text is kept, and the JSON text of the redacted payload.

"full" keeps everything; "short" keeps the first 200 characters of each text; "none" keeps numbers and, of the texts, only
names: ids, models, tools, kinds, and whom a span waits for. The ids of other spans are never cut.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import orjson
import pandas as pd

from tokenvis.spans.encoding import COMPACT_SEPARATORS
from tokenvis.spans.payload import no_object, parse_exactly
from tokenvis.spans.text import without_surrogates

Content: TypeAlias = Literal["full", "short", "none"]
CONTENTS = ("full", "short", "none")
MAX_STORED_NAME_CHARACTERS = 1 << 20  # of an id, an agent or a location, which are in memory several times
MAX_SHORT_CHARACTERS = 200  # of a text with content="short", and of a name with content="none"
REFERENCE_KEYS = {"parent_id", "links", "requested_by"}  # the ids of other spans
STRUCTURAL_KEYS = {  # their texts are not content
    *REFERENCE_KEYS,
    *("kind", "status", "estimated", "trigger", "continues", "source_id"),
    *("agent_from", "agent_in_source", "end_from", "from_snapshot", "disputed"),
    *("waits_for_kind", "span_kind"),
}
AGENT_KEY = "waits_for"  # the name of an agent or a person, kept whole as ``agent_id`` is
WHOLE_KEYS = {AGENT_KEY, *REFERENCE_KEYS}  # not cut by content="short"
NAMING_ATTRIBUTES = re.compile(
    r"gen_ai\.(operation\.name|provider\.name|system|output\.type|conversation\.id|data_source\.id|workflow\.name"
    r"|agent\.(id|name|version)|tool\.(name|type|call\.id)|request\.(?!messages|prompt|input|instructions|stop_sequences).*|response\.(id|model|finish_reasons))"
    r"|(service|telemetry|process\.runtime|os|host|server|client|network|rpc|k8s|cloud|container)\..*"
    r"|(session|user|error|http\.request|http\.response)\.(id|type|method|status_code)|http\.route|graph\.node\..*"
    r"|inspect\.(task|model|sample|score(\..*)?)"
    r"|code\.(file\.path|filepath|function(\.name)?|namespace|line\.number|lineno)"
)


class Redactor:
    """Redacts payloads according to ``content``; counts the texts that were cut and the attributes that were removed."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.n_cut = 0

    def redacted(self, data: dict[str, Any], name: str | None) -> dict[str, Any]:
        """The redacted payload; with content="none", ``name`` replaces the label, which is removed if there is no name."""
        if self.content == "full":
            return data
        if self.content == "short":
            return {key: value if key in WHOLE_KEYS else self.shortened(value) for key, value in data.items()}
        structure = {key: value for key, value in data.items() if key in (*STRUCTURAL_KEYS, AGENT_KEY)}
        kept = {key: value for key, value in structure.items() if is_structure(key, value)}
        self.n_cut += len(structure) - len(kept)
        if data.get("label") and name:
            kept["label"] = name
        elif data.get("label"):
            self.n_cut += 1
        separate = {*STRUCTURAL_KEYS, AGENT_KEY, "label", "attributes"}
        rest = {key: value for key, value in data.items() if key not in separate}
        kept |= self.names_and_numbers(rest)
        if isinstance(data.get("attributes"), dict):
            kept["attributes"] = self.names_and_numbers(data["attributes"])
        return kept

    def shortened(self, value: Any) -> Any:
        """A JSON value with its long texts cut."""
        if isinstance(value, str) and len(value) > MAX_SHORT_CHARACTERS:
            self.n_cut += 1
            return value[:MAX_SHORT_CHARACTERS] + "…"
        if isinstance(value, list):
            return [self.shortened(item) for item in value]
        if isinstance(value, dict):
            return {key: self.shortened(item) for key, item in value.items()}
        return value

    def names_and_numbers(self, values: dict[str, Any]) -> dict[str, Any]:
        """The numbers of a mapping, and the texts that are names."""
        kept = {}
        for key, value in values.items():
            if isinstance(value, int | float | Decimal) or (NAMING_ATTRIBUTES.fullmatch(key) and is_name(value)):
                kept[key] = self.shortened(value)
            elif value:
                self.n_cut += 1
        return kept


def is_structure(key: str, value: Any) -> bool:
    """Whether a value under one of the structural keys is no content: a name, an agent, or ids of other spans of any length."""
    if key == AGENT_KEY:
        return isinstance(value, str | int | float | None)
    if key not in REFERENCE_KEYS:
        return is_name(value)
    return all(isinstance(item, str) or is_name(item) for item in (value if isinstance(value, list) else [value]))


def is_name(value: Any) -> bool:
    """Whether a value can be a name: a short text of one line, a number, or a list of these."""
    if isinstance(value, list):
        return all(is_name(item) and not isinstance(item, list) for item in value)
    if isinstance(value, str):
        return len(value) <= MAX_SHORT_CHARACTERS and "\n" not in value
    return not isinstance(value, dict)


def redacted_data(spans: pd.DataFrame, redactor: Redactor) -> pd.Series:
    """The data of each row as redacted JSON text, missing where it is missing; a removed label is not replaced."""
    texts = []
    has_data = spans["data"].notna().tolist()
    for row, (value, has_payload) in enumerate(zip(spans["data"].tolist(), has_data, strict=True)):
        try:
            payload = redactor.redacted(dict(parse_exactly(value)), None)
            texts.append(payload_json(payload) or ("{}" if has_payload else None))
        except (ValueError, TypeError, RecursionError) as error:
            raise no_object(spans, row, error) from None
    return pd.Series(texts, index=spans.index, dtype="str")


def payload_json(data: dict[str, Any], max_bytes: int | None = None) -> str | None:
    """A payload as JSON text, None if it is empty; `TypeError` or `RecursionError` if JSON cannot represent it.

    `ValueError` if it is longer than ``max_bytes``.
    """
    if not data:
        return None
    try:
        text = orjson.dumps(data, default=float_or_null)
    except orjson.JSONEncodeError:
        text = json.dumps(json_safe(data), ensure_ascii=False, allow_nan=False, separators=COMPACT_SEPARATORS).encode()
    if max_bytes is not None:
        check_size(len(text), max_bytes)
    return text.decode()


def check_size(n_bytes: int, max_bytes: int) -> None:
    """Raise `ValueError` for data that has too many bytes."""
    if n_bytes > max_bytes:
        raise ValueError(f'its data has {n_bytes:,} bytes, more than {max_bytes:,}; content="short" shortens its texts')


def storable_name(text: str | None) -> str | None:
    """A name or an id that a database can store: lone surrogates become U+FFFD; `ValueError` if it is too long.

    `TypeError` if it is not a text.
    """
    if text is None or (type(text) is str and len(text) <= MAX_STORED_NAME_CHARACTERS and text.isascii()):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a name is of type {type(text).__name__}")
    if len(text) > MAX_STORED_NAME_CHARACTERS:
        raise ValueError(f"a name has {len(text):,} characters, more than {MAX_STORED_NAME_CHARACTERS:,}")
    return without_surrogates(text)


def float_or_null(value: Any) -> Any:
    """A `Decimal` as a float, or None if it is not finite as a float."""
    if isinstance(value, Decimal):
        return as_float if math.isfinite(as_float := float(value)) else None
    raise TypeError(f"{type(value).__name__} cannot be represented in JSON")


def json_safe(value: Any) -> Any:
    """A value without lone surrogates, with decimals as floats, and None for NaN and infinity."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    if isinstance(value, dict):
        return {json_safe(str(key)): json_safe(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return float_or_null(value) if isinstance(value, Decimal) else value
