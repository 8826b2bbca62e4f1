"""A brute-force oracle of instances: which spans of an agent one span started together.

It follows the rules in docs/questions.md with loops over the nodes of `waiting`, and shares no code with the package.
"""

import json

import pandas as pd
from hypothesis import strategies as st
from waiting import waiting_frames


class Expected:
    """The instances of nodes, by the rules."""

    def __init__(self, nodes):
        self.members, self.caller, self.evidence = [], [], []
        self.nodes, self.of_node = nodes, {}
        for node in self.in_order(nodes):
            if node.parent is None and node not in self.of_node:
                same = [other for other in nodes if other.parent is None and key_of(other) == key_of(node)]
                self.add(self.in_order(same), None)
        for node in nodes:
            for agent in {child.agent for child in node.children} - {node.agent}:
                for run in self.delegations(node, [child for child in node.children if child.agent == agent]):
                    for tops in self.apart(run):
                        self.add(tops, node)
        for node in nodes:
            top = node
            while top not in self.of_node:
                top = top.parent
            self.members[self.of_node[top]].append(node) if top is not node else None
        self.link()

    @staticmethod
    def in_order(nodes):
        return sorted(nodes, key=lambda node: (node.start, node.end, node.id))

    def add(self, tops, caller):
        self.of_node |= dict.fromkeys(tops, len(self.members))
        self.members.append(list(tops))
        self.caller.append(caller)
        self.evidence.append(None if caller is None else "parent")

    def delegations(self, node, children):
        """Children of one other agent, separated where the parent's agent starts something."""
        starts = [other.start for other in self.nodes if key_of(other) == key_of(node)]
        runs = []
        for child in self.in_order(children):
            end = max((other.end for other in runs[-1]), default=0) if runs else 0
            if not runs or any(end <= start <= child.start for start in starts):
                runs.append([])
            runs[-1].append(child)
        return runs

    @staticmethod
    def apart(children):
        """The children, separated if several agents of this name run."""
        runs = [child for child in children if not is_call(child)]
        meets = any(max(one.start, other.start) < min(one.end, other.end) for one in runs for other in runs if one is not other)
        if not meets and not any(run.data.get("kind") == "agent" for run in runs):
            return [children]
        groups = {run: [] for run in runs}
        for child in children:
            started = [run for run in runs if run.start <= child.start]
            groups[child if child in groups else (started or runs[:1])[-1]].append(child)
        return groups.values()

    def link(self):
        """Find the callers of instances without a parent, and drop those that are in a cycle."""
        for number, members in enumerate(self.members):
            first, linked = members[0], members[0].data.get("links", [])
            sources = [
                node
                for node in self.nodes
                if node.trace == first.trace
                and node.id in linked
                and node.start < first.start
                and self.number_of(node) != number
            ]
            if self.caller[number] is None and sources:
                self.caller[number] = min(sources, key=lambda node: (-node.end, node.start, node.agent, node.id))
                self.evidence[number] = "link"
        in_cycle = [number for number in range(len(self.members)) if number in self.ancestors(number)]
        for number in in_cycle:
            if self.evidence[number] == "link":
                self.caller[number] = self.evidence[number] = None

    def ancestors(self, number):
        found = []
        while self.caller[number] is not None and number not in found[:-1]:
            number = self.number_of(self.caller[number])
            found.append(number)
        return found

    def number_of(self, node):
        return next(number for number, members in enumerate(self.members) if node in members)


def key_of(node):
    return node.trace, node.agent


def is_call(node):
    return node.location.startswith(("model:", "tool:")) or node.data.get("kind") in ("model", "tool", "embedding")


@st.composite
def instance_frames(draw):
    """Frames of `waiting_frames` with kinds of work, and ids that repeat across traces."""
    parts = [draw(waiting_frames()), draw(waiting_frames(n_traces=1)).assign(trace_id="w")]
    spans = pd.concat([part.assign(trace_id=part["trace_id"].astype("str")) for part in parts], ignore_index=True)
    kinds = st.sampled_from([None, None, None, "agent", "chain", "model", "tool", 7])
    places = st.sampled_from(["desk", "desk", "desk", "model:m", "tool:t"])
    data = [json.loads(text) if isinstance(text, str) else {} for text in spans["data"]]
    data = [payload if (kind := draw(kinds)) is None else payload | {"kind": kind} for payload in data]
    return spans.assign(
        data=pd.Series([json.dumps(payload) if payload else None for payload in data], dtype="str"),
        location_id=[draw(places) for _ in data],
    )
