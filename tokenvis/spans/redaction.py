"""Redaction: how much of the free text of a trace is kept, and how what is kept is written.

"full" keeps all; "short" the first 200 characters of each text; "none" keeps numbers, and of the texts only those that name
things: ids, models, tools, kinds.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import orjson

from tokenvis.spans.encoding import COMPACT
from tokenvis.spans.text import without_surrogates

Content: TypeAlias = Literal["full", "short", "none"]
CONTENTS = ("full", "short", "none")
SHORT = 200  # characters of a text that content="short" keeps
OURS = {"kind", "parent_id", "links", "status", "estimated", "trigger"}  # keys of data whose texts are no content
NAMES = re.compile(
    r"gen_ai\.(operation\.name|provider\.name|system|output\.type|conversation\.id|data_source\.id|workflow\.name"
    r"|agent\.(id|name|version)|tool\.(name|type|call\.id)|request\.(?!messages|prompt|input|instructions|stop_sequences).*|response\.(id|model|finish_reasons))"
    r"|(service|telemetry|process\.runtime|os|host|server|client|network|rpc|k8s|cloud|container)\..*"
    r"|(session|user|error|http\.request|http\.response)\.(id|type|method|status_code)|http\.route|graph\.node\..*"
    r"|code\.(file\.path|filepath|function(\.name)?|namespace|line\.number|lineno)"
)


class Keeper:
    """Keeps as much of the texts as ``content`` says, and counts those that were cut or left out."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.n_cut = 0

    def kept(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        """A payload with what is kept of it; ``name`` is the label of a span whose texts are not wanted."""
        if self.content == "full":
            return data
        if self.content == "short":
            return {key: self.shortened(value) for key, value in data.items()}
        kept = {key: value for key, value in data.items() if key in OURS and is_name(value)}
        if data.get("label"):
            kept["label"] = name
        rest = {key: value for key, value in data.items() if key not in OURS and key not in ("label", "attributes")}
        kept |= self.names_of(rest)
        if isinstance(data.get("attributes"), dict):
            kept["attributes"] = self.names_of(data["attributes"])
        return kept

    def shortened(self, value: Any) -> Any:
        """A JSON value whose long texts are cut."""
        if isinstance(value, str) and len(value) > SHORT:
            self.n_cut += 1
            return value[:SHORT] + "…"
        if isinstance(value, list):
            return [self.shortened(item) for item in value]
        if isinstance(value, dict):
            return {key: self.shortened(item) for key, item in value.items()}
        return value

    def names_of(self, values: dict[str, Any]) -> dict[str, Any]:
        """Numbers, and the texts that name things."""
        kept = {}
        for key, value in values.items():
            if isinstance(value, int | float | Decimal) or (NAMES.fullmatch(key) and is_name(value)):
                kept[key] = self.shortened(value)
            elif value:
                self.n_cut += 1
        return kept


def is_name(value: Any) -> bool:
    """Whether a value may name things: a short text of one line, a number, or a list of such."""
    if isinstance(value, list):
        return all(is_name(item) and not isinstance(item, list) for item in value)
    if isinstance(value, str):
        return len(value) <= SHORT and "\n" not in value
    return not isinstance(value, dict)


def encoded(data: dict[str, Any]) -> str | None:
    """A payload as JSON text, None where there is nothing in it; an error of its own where it has no form in JSON."""
    if not data:
        return None
    try:
        return orjson.dumps(data, default=number).decode()
    except orjson.JSONEncodeError:
        return json.dumps(whole(data), ensure_ascii=False, allow_nan=False, separators=COMPACT)


def storable(text: str | None) -> str | None:
    """A name as a database can hold it: half of a surrogate pair becomes U+FFFD; `TypeError` where it is no text."""
    if text is None or (type(text) is str and text.isascii()):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a name is {type(text).__name__}")
    return without_surrogates(text)


def number(value: Any) -> Any:
    """An exact number as a float, or null where no float holds it."""
    if isinstance(value, Decimal):
        return as_float if math.isfinite(as_float := float(value)) else None
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def whole(value: Any) -> Any:
    """A value without halves of surrogate pairs, with exact numbers as floats, and null for numbers that JSON does not have."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {whole(str(key)): whole(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return number(value) if isinstance(value, Decimal) else value
