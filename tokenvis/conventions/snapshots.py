"""Snapshots of running spans: some tools send a span when it starts, and again when it has ended.

Logfire's pending span is such a snapshot. It has an id of its own, no length, the id of the real span as its parent, and the
parent of the real span in an attribute. It is read as the real span without an end: whichever of the two is read, they are one
span, and the ended one has all that the snapshot has.

Source: the processor of pending spans in Logfire's SDKs for Python and Rust.
"""

from typing import Any, NamedTuple

from tokenvis.conventions.rules import as_name

SPAN_TYPE, PENDING, PENDING_PARENT = "logfire.span_type", "pending_span", "logfire.pending_parent_id"
PENDING_SUFFIX = " (pending)"


class SnapshotIds(NamedTuple):
    """The id, the parent and the name of the real span of a snapshot."""

    id: str
    parent: str | None
    name: str


def snapshot_ids(attributes: dict[str, Any], parent: str, name: str) -> SnapshotIds:
    """The ids of the real span of a pending span with this ``parent``; the marks of a pending span leave its attributes.

    Examples
    --------
    >>> snapshot_ids({"logfire.pending_parent_id": "0000000000000000"}, "00f067aa0ba902b7", "chat (pending)")
    SnapshotIds(id='00f067aa0ba902b7', parent=None, name='chat')
    """
    attributes[SPAN_TYPE] = "span"
    real_parent = as_name(attributes.pop(PENDING_PARENT, None))
    if real_parent is not None and not real_parent.strip("0"):
        real_parent = None
    return SnapshotIds(parent, real_parent, name.removesuffix(PENDING_SUFFIX) or name)
