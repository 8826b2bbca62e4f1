"""A brute-force oracle of states and waits: which span works or waits for whom, microsecond by microsecond.

It follows the rules in docs/questions.md with loops over rows, and shares no code with the package. Frames may have several
traces; ids are unique within a trace. `waiting_frames` generates frames with all the situations: callees, detached children,
marks of persons and agents, open and estimated ends, cycles, unknown parents.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from conftest import payloads, spans_frames, with_data
from hypothesis import settings
from hypothesis import strategies as st

from tokenvis import self_spans
from tokenvis.spans.columns import in_frame_order


@dataclass(eq=False)
class Node:
    """A span, with its parent and children as nodes."""

    id: str
    trace: str
    agent: str
    location: str
    start: int
    end: int
    data: dict[str, Any]
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    @property
    def mark(self) -> str | None:
        """Whom the source says that the span waits for."""
        value = self.data.get("waits_for")
        return "user" if value is True else value or None

    def own_times(self) -> list[int]:
        """The microseconds without those of children of the same agent."""
        covered = {time for child in self.children if child.agent == self.agent for time in range(child.start, child.end)}
        return [time for time in range(self.start, self.end) if time not in covered]

    def detached(self) -> bool:
        """Whether the parent does not wait for this span."""
        if self.data.get("detached") in (True, False):
            return bool(self.data["detached"])
        if self.data.get("span_kind") == "consumer" and self.parent.data.get("span_kind") == "producer":
            return True
        return self.has_ended and self.parent.has_ended and self.end > self.parent.end

    @property
    def has_ended(self) -> bool:
        """Whether the source gave the end."""
        return self.data.get("status") != "open" and "end_time" not in self.data.get("estimated", [])


@dataclass(eq=False)
class Callee:
    """Children of one other agent below one span, as one piece of work."""

    children: list[Node]

    @property
    def agent(self) -> str:
        return self.children[0].agent

    @property
    def start(self) -> int:
        return self.children[0].start

    @property
    def end(self) -> int:
        return max(child.end for child in self.children)

    def runs_at(self, time: int) -> bool:
        """Whether it has started and not ended."""
        return self.start <= time < self.end

    def waited_for(self, time: int) -> tuple[bool, int, int, str, str]:
        """The key of its rank among the running callees, the lowest first."""
        works = any(child.start <= time < child.end for child in self.children)
        return not works, -self.end, self.start, self.agent, self.children[0].id


def nodes_of(spans: pd.DataFrame) -> list[Node]:
    """All spans; the parent of a span that is its own ancestor, and an unknown parent, is None."""
    nodes = {}
    for row in spans.to_dict("records"):
        data = json.loads(row["data"]) if isinstance(row.get("data"), str) else {}
        times = int(row["start_time"]), int(row["end_time"])
        nodes[row["trace_id"], row["id"]] = Node(row["id"], row["trace_id"], row["agent_id"], row["location_id"], *times, data)
    named = {}
    for row in spans.to_dict("records"):
        named[row["trace_id"], row["id"]] = nodes.get((row["trace_id"], row.get("parent_id")))
    for key, node in nodes.items():
        ancestor = named[key]
        for _ in nodes:
            if ancestor is None or ancestor is node:
                break
            ancestor = named[ancestor.trace, ancestor.id]
        if ancestor is not node and named[key] is not None:
            node.parent = named[key]
            node.parent.children.append(node)
    return list(nodes.values())


def callees_of(node: Node, nodes: list[Node]) -> list[Callee]:
    """The callees of a span, in the order of start, end, agent, id."""
    by_agent = defaultdict(list)
    for child in sorted(node.children, key=lambda child: (child.start, child.end, child.id)):
        if child.agent != node.agent:
            by_agent[child.agent].append(child)
    starts = [other.start for other in nodes if other.trace == node.trace and other.agent == node.agent]
    callees = []
    for children in by_agent.values():
        run: Callee | None = None
        for child in children:
            if child.detached():
                run = None
            elif run is None or any(run.end <= start <= child.start for start in starts):
                callees.append(run := Callee([child]))
            else:
                run.children.append(child)
    return sorted(callees, key=lambda callee: (callee.start, callee.end, callee.agent, callee.children[0].id))


def state_at(node: Node, time: int, callees: list[Callee], nodes: list[Node]) -> str:
    """The state of a span at one of its own microseconds."""
    if node.mark:
        in_trace = node.mark != "user" and any(other.trace == node.trace and other.agent == node.mark for other in nodes)
        kind = node.data.get("waits_for_kind")
        is_agent = kind == "agent" or (in_trace and kind != "person")
        return "agent" if is_agent else "person"
    return "agent" if any(callee.runs_at(time) for callee in callees) else "work"


def states_of(spans: pd.DataFrame) -> dict[tuple[str, str, int], str]:
    """The state at each own microsecond of each span: (trace, id, time) -> state."""
    nodes, states = nodes_of(spans), {}
    for node in nodes:
        callees = callees_of(node, nodes)
        states |= {(node.trace, node.id, time): state_at(node, time, callees, nodes) for time in node.own_times()}
    return states


n_examples = settings.default.max_examples
oracle = settings(max_examples=500 if n_examples > 10 else n_examples)  # for tests against these rules

MARKS = {
    "waits_for": st.sampled_from(["user", "Ann", "bob", "eve", True, ""]),
    "waits_for_kind": st.sampled_from(["agent", "person"]),
    "detached": st.booleans(),
    "span_kind": st.sampled_from(["producer", "consumer"]),
    "status": st.sampled_from(["ok", "error", "open"]),
    "estimated": st.sampled_from([[], ["start_time"], ["end_time"]]),
    "trigger": st.sampled_from(["user", "timer"]),
}
OPTIONAL_MARKS = st.fixed_dictionaries({}, optional=MARKS)
ONE_OF_THREE = st.integers(0, 2)


@st.composite
def waiting_frames(draw: st.DrawFn, *, marks: bool = True, n_traces: int = 2) -> pd.DataFrame:
    """Small frames with parents and, for some spans, the keys that decide about work and waiting."""
    spans = draw(spans_frames(parents=True, n_traces=n_traces))
    if not marks:
        return spans
    ids = sorted(spans["id"].tolist())
    marked = [span for span in ids if draw(ONE_OF_THREE) == 0]
    return with_data(spans, **{span: draw(payloads(*ids)) | draw(OPTIONAL_MARKS) for span in marked})


def work_of(spans: pd.DataFrame) -> pd.DataFrame:
    """The pieces of work."""
    pieces = self_spans(spans)
    return pieces[pieces["state"] == "work"]


def presence_of(spans: pd.DataFrame) -> pd.DataFrame:
    """The pieces of the spans without their states: the time without children of the same agent."""
    pieces = self_spans(spans).sort_values(["trace_id", "id", "piece"])
    same = pieces[["trace_id", "id"]].shift().eq(pieces[["trace_id", "id"]]).all(axis=1)
    first = ~(same & pieces["end_time"].shift().eq(pieces["start_time"]))
    joined = pieces[first].assign(end_time=pieces.groupby(first.cumsum())["end_time"].max().to_numpy())
    joined["piece"] = joined.groupby(["trace_id", "id"], observed=True).cumcount()
    return in_frame_order(joined).reset_index(drop=True)
