"""A brute-force oracle of fan-outs: which branches an agent starts together, and how much they run at once.

It follows the rules in docs/questions.md with loops over rows, and shares no code with the package.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from instances import Expected
from waiting import Node, callees_of, nodes_of, state_at


@dataclass(eq=False)
class Branch:
    """A call, or the top spans of an instance, with all spans below."""

    first: Node
    spans: list[Node]
    end: int
    is_call: bool  # it is a branch only because it runs beside other calls
    is_instance: bool
    runs: list[range]  # between them, the branch pauses

    @property
    def start(self) -> int:
        return self.first.start


def all_below(*nodes: Node) -> list[Node]:
    """These nodes and all below."""
    return [*nodes, *(found for node in nodes for child in node.children for found in all_below(child))]


def branch_of(*tops: Node, is_call: bool = False, is_instance: bool = False) -> Branch:
    """The branch of a call, or of the top spans of an instance."""
    spans = all_below(*tops)
    runs = [range(top.start, max(node.end for node in all_below(top))) for top in tops]
    return Branch(tops[0], spans, max(node.end for node in spans), is_call, is_instance, runs)


def frame_key(node: Node) -> tuple[int, int, str, str]:
    """The order of a frame."""
    return node.start, node.end, node.agent, node.id


def in_order(branches: list[Branch]) -> list[Branch]:
    """Branches in the order of their first spans."""
    return sorted(branches, key=lambda branch: frame_key(branch.first))


def kind_of(node: Node) -> str:
    """The kind of work: "model", "tool" or "other"."""
    if node.location.startswith(("model:", "tool:")):
        return node.location.split(":")[0]
    kind = node.data.get("kind")
    return {"model": "model", "embedding": "model", "tool": "tool"}.get(kind, "other") if isinstance(kind, str) else "other"


def overlap(one: Node | Branch, other: Node | Branch) -> bool:
    """Whether both run at some time."""
    return max(one.start, other.start) < min(one.end, other.end)


class Rules:
    """The fan-outs of a frame by the rules: ``found`` has the caller, the evidence and the branches of each."""

    def __init__(self, spans: pd.DataFrame) -> None:
        self.nodes = nodes_of(spans)
        self.instances = Expected(self.nodes)
        self.instance_of = {node: number for number, nodes in enumerate(self.instances.members) for node in nodes}
        self.asked_by = {node: asked for node in self.nodes if (asked := self.last_request(node))}
        messages = [(node, self.calls_of(node)) for node in self.nodes]
        self.own_branches = {child for node in self.nodes for child in self.calls_below(node)}
        self.own_branches -= {node for _, calls in messages for node in self.wrappers(calls)}
        self.found = [(node, "message", batch) for node, calls in messages for batch in without_pipelines(calls)]
        for node in self.nodes:
            parts = [part for batch in self.batches_below(node) for part in without_pipelines(batch)]
            self.found += [(node, "parent", part) for part in parts]

    def last_request(self, node: Node) -> Node | None:
        """The span that asked for this one, of several the one that ends last."""
        ids = node.data.get("requested_by", [])
        ids = ids if isinstance(ids, list) else [ids]
        others = [other for other in self.nodes if other.trace == node.trace and other.id in ids and other is not node]
        return min(others, key=lambda other: (-other.end, -other.start, other.id), default=None)

    def is_asked_for(self, first: Node) -> bool:
        """Whether another agent asked for the instance with this first span."""
        return first in self.asked_by and self.asked_by[first].agent != first.agent

    def tops(self, number: int) -> list[Node]:
        """The top spans of an instance, the first first."""
        return [node for node in self.instances.members[number] if node.parent is None or node.parent.agent != node.agent]

    def started_by(self, node: Node) -> list[Node]:
        """The first spans of the instances that a span started, by their parent."""
        numbers = range(len(self.instances.members))
        started = [n for n in numbers if self.instances.caller[n] is node and self.instances.evidence[n] == "parent"]
        return sorted((self.tops(number)[0] for number in started), key=frame_key)

    def instance_branch(self, first: Node) -> Branch:
        """The branch of the instance with this first span."""
        return branch_of(*self.tops(self.instance_of[first]), is_instance=True)

    def calls_of(self, asker: Node) -> list[Branch]:
        """The branches that one span asked for."""
        branches = []
        for call in self.nodes:
            if self.asked_by.get(call) is asker:
                is_instance = self.tops(self.instance_of[call])[0] is call and self.is_asked_for(call)
                branches.append(self.instance_branch(call) if is_instance else branch_of(call))
        outer = [one for one in branches if not any(one.first in other.spans for other in branches if other is not one)]
        return in_order(outer)

    def runs_agent(self, node: Node) -> bool:
        """Whether a span is a call that runs an agent."""
        own = [child for child in node.children if child.agent == node.agent]
        return bool(self.started_by(node)) and (not own or kind_of(node) == "tool")

    def calls_below(self, caller: Node) -> list[Node]:
        """The children of the caller's agent that are branches: those that run agents, and the calls at once."""
        own = [child for child in caller.children if child.agent == caller.agent and child not in self.asked_by]
        alike = [(one, other) for one in own for other in own if one is not other and kind_of(one) == kind_of(other)]
        at_once = {one for one, other in alike if overlap(one, other)}
        return [child for child in own if self.runs_agent(child) or child in at_once]

    def wrappers(self, calls: list[Branch]) -> list[Node]:
        """The branches below one span that contain the calls of a message, if there are several."""
        around: dict[Node | None, set[Node]] = defaultdict(set)
        for call in calls if len(calls) > 1 else []:
            node = call.first.parent
            while node is not None and node not in self.own_branches:
                node = node.parent
            if node is not None:
                around[node.parent].add(node)
        return [node for nodes in around.values() if len(nodes) > 1 for node in nodes]

    def batches_below(self, caller: Node) -> list[list[Branch]]:
        """The batches below a span, before pipelines are left out."""
        own = [child for child in caller.children if child.agent == caller.agent]
        branches = [branch_of(node, is_call=not self.runs_agent(node)) for node in own if node in self.own_branches]
        branches += [self.instance_branch(first) for first in self.started_by(caller) if not self.is_asked_for(first)]
        work = [node for node in own if node not in self.own_branches]
        batches: list[list[Branch]] = []
        for branch in in_order(branches):
            if not batches or self.begins_batch(caller, batches[-1], branch, work):
                batches.append([])
            batches[-1].append(branch)
        return batches

    def begins_batch(self, caller: Node, batch: list[Branch], branch: Branch, work: list[Node]) -> bool:
        """Whether the caller works after the last branch of the batch starts, or calls begin when all have ended."""
        before = batch[-1]
        if any(frame_key(before.first) < frame_key(child) < frame_key(branch.first) for child in work):
            return True
        callees = callees_of(caller, self.nodes)
        between = [time for time in caller.own_times() if before.start <= time < branch.start]
        worked = [time for time in between if state_at(caller, time, callees, self.nodes) == "work"]
        after_all = max(other.end for other in batch) <= branch.start
        longer = max(before.end - before.start, branch.end - branch.start)
        return len(worked) > 0.05 * longer or (after_all and (branch.is_call or before.is_call))


def are_linked(one: Branch, other: Branch) -> bool:
    """Whether a span of one branch links to a span of the other, which runs after it."""
    return one.end <= other.start and any(
        node.id in span.data.get("links", []) for a, b in ((one, other), (other, one)) for span in a.spans for node in b.spans
    )


def without_pipelines(batch: list[Branch]) -> list[list[Branch]]:
    """The fan-outs in a batch: a chain is one branch, and other links separate."""
    earlier = {two: [one for one in batch[:at] if are_linked(one, two)] for at, two in enumerate(batch)}
    later = {one: [two for two in batch[at + 1 :] if are_linked(one, two)] for at, one in enumerate(batch)}
    chains: dict[Branch, Branch] = {}
    parts: list[list[Branch]] = []
    for branch in batch:
        before = earlier[branch]
        if len(before) == 1 and len(later[before[0]]) == 1:
            chain = chains[branch] = chains[before[0]]
            chain.end, chain.is_call = max(chain.end, branch.end), chain.is_call and branch.is_call
            chain.runs = [range(chain.start, chain.end)]
            continue
        chains[branch] = replace(branch)
        if not parts or any(chains[other] in parts[-1] for other in before):
            parts.append([])
        parts[-1].append(chains[branch])
    return [part for part in parts if len(part) > 1 and (meet(part) or not all(branch.is_call for branch in part))]


def meet(branches: list[Branch]) -> bool:
    """Whether two branches overlap."""
    return any(overlap(one, other) for one in branches for other in branches if one is not other)


def times_in(branch: Branch, batch: list[Branch]) -> set[int]:
    """The microseconds in which a branch runs, or pauses, unless the others fill the pause."""
    found = {time for run in branch.runs for time in run}
    others = {time for other in batch for run in other.runs for time in run}
    pauses: list[list[int]] = []
    for time in range(branch.start, branch.end):
        if time not in found:
            begins = not pauses or pauses[-1][-1] != time - 1
            pauses += [[time]] if begins else []
            pauses[-1] += [] if begins else [time]
    return found.union(*(pause for pause in pauses if len(others & set(pause)) < 0.95 * len(pause)))


def fanouts_of(spans: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The table of `fanouts`: a tuple for each row."""
    rules, found = Rules(spans), []
    for caller, evidence, branches in rules.found:
        times = [times_in(branch, branches) for branch in branches]
        took, running = list(map(len, times)), Counter(time for of_branch in times for time in of_branch)
        start, end = min(branch.start for branch in branches), max(branch.end for branch in branches)
        total, longest, union = sum(took), max(took), len(running)
        share = (total - union) / (total - longest) if total > longest else None
        verdict = None if share is None else "serial" if share < 0.05 else "partly" if share <= 0.8 else "parallel"
        *_, second, last = sorted(branches, key=lambda branch: branch.end)
        agents = [] if last.is_instance else [node.agent for node in rules.started_by(last.first)]
        found.append(
            (
                *(caller.trace, caller.agent, caller.id, caller.location, evidence, len(branches)),
                *(start, end, end - start, total, union, longest, share, max(running.values(), default=0)),
                *(total / (end - start) if end > start else None, total / longest if longest else None),
                *(last.first.id, [*agents, last.first.agent][0], last.end - second.end, verdict),
                tuple(branch.first.id for branch in branches),
            )
        )
    return sorted(found, key=lambda row: (row[0], row[6], row[7], row[1], row[2]))
