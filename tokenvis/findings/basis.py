"""The basis of findings: the recorded spans of a frame, and how they belong together, each computed when first used."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tokenvis.spans.fields import several_field_values
from tokenvis.spans.groups import Groups, groups_of
from tokenvis.spans.integers import Int64Array, inverse_permutation
from tokenvis.tree.arguments import argument_codes
from tokenvis.tree.callees import AgentStarts, Detachment, detachment_of
from tokenvis.tree.calls import Calls, calls_of, extents
from tokenvis.tree.costs import Costs, costs_of
from tokenvis.tree.forest import Forest, forest_of
from tokenvis.tree.price_lists import PriceList
from tokenvis.tree.relations import Relations, identities, relations_of
from tokenvis.tree.states import States, states_of
from tokenvis.tree.tokens import Usage, usage_of


class Basis:
    """Spans without loss markers, and what several findings are about.

    ``spans`` may have a span in several rows, such as pieces; ``distinct`` has the first row of each span.
    """

    def __init__(self, spans: pd.DataFrame, lists: tuple[PriceList, ...] = ()) -> None:
        """Keep the spans, and the price lists for calls without a cost."""
        self.spans, self.lists = spans, lists

    @cached_property
    def relations(self) -> Relations:
        """The relations of all rows."""
        return relations_of(self.spans)

    @cached_property
    def identity(self) -> Int64Array:
        """The number of each row's span."""
        return self.relations.identity if self.relations.has_references else identities(self.spans)[0]

    @cached_property
    def has_duplicates(self) -> bool:
        """Whether a span is in several rows."""
        return int(self.identity.max(initial=-1)) + 1 < len(self.identity)

    @cached_property
    def first(self) -> Int64Array:
        """The first row of each span, in the order of `distinct`."""
        return np.unique(self.identity, return_index=True)[1] if self.has_duplicates else np.arange(len(self.spans))

    @cached_property
    def number(self) -> Int64Array:
        """The row in `distinct` of each row's span."""
        return self.identity if self.has_duplicates else np.arange(len(self.spans))

    @cached_property
    def distinct(self) -> pd.DataFrame:
        """The first row of each span."""
        return self.spans.iloc[self.first] if self.has_duplicates else self.spans

    @cached_property
    def distinct_relations(self) -> Relations:
        """The relations of `distinct`."""
        return relations_of(self.distinct) if self.has_duplicates else self.relations

    @cached_property
    def parent(self) -> Int64Array:
        """The row in `distinct` of each span's parent, or -1."""
        return self.distinct_relations.parents()

    @cached_property
    def forest(self) -> Forest:
        """The spans of `distinct` in depth-first order."""
        return forest_of(self.parent)

    @cached_property
    def position(self) -> Int64Array:
        """The position of each row of `distinct` in `forest`."""
        return inverse_permutation(self.forest.node)

    @cached_property
    def times(self) -> tuple[Int64Array, Int64Array]:
        """The start and the end of each row's span, over all its rows."""
        return extents(self.spans, self.identity)

    @cached_property
    def agents(self) -> Groups:
        """The agents of all traces."""
        return groups_of(self.spans, "trace_id", "agent_id")

    @cached_property
    def places(self) -> Groups:
        """The agents of all traces at each of their locations."""
        return groups_of(self.spans, "trace_id", "agent_id", "location_id")

    @cached_property
    def starts(self) -> AgentStarts:
        """The starts of each agent's spans."""
        return AgentStarts(self.spans, self.agents.group)

    @cached_property
    def detachment(self) -> Detachment:
        """For which children their parents do not wait."""
        return detachment_of(self.spans, self.relations)

    @cached_property
    def states(self) -> States:
        """The pieces of the spans, with their states."""
        return states_of(self.spans, self.relations, detachment=self.detachment, starts=self.starts)

    @cached_property
    def fields(self) -> dict[str, tuple[Int64Array, list[Any]]]:
        """What the sources say about how sure the spans are, and how they ended."""
        return several_field_values(self.spans, "status", "estimated", "disputed")

    def with_status(self, status: str) -> Int64Array:
        """The rows with this status."""
        rows, statuses = self.fields["status"]
        return rows[[value == status for value in statuses]]

    @cached_property
    def arguments(self) -> Int64Array:
        """The number of each row's arguments, or -1."""
        return argument_codes(self.spans)

    @cached_property
    def calls(self) -> Calls:
        """The calls of all rows."""
        return calls_of(self.spans, arguments=self.arguments)

    @cached_property
    def figures(self) -> Usage:
        """The tokens and costs of `distinct`, counted once."""
        return usage_of(self.distinct, self.parent)

    @cached_property
    def costs(self) -> Costs:
        """What counts of the costs of `distinct`."""
        return costs_of(self.distinct, self.parent, self.figures, self.lists)
