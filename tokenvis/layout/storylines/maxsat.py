"""MaxSAT: the cheapest way to violate soft clauses, approached from both sides.

The solver assumes all soft literals. If they contradict each other, it finds a core: literals of which at least one is false.
The least weight in a core is added to the lower bound, and is subtracted from each of its literals. When the remaining
literals are consistent, the model gives an upper bound, and each core gets counters that price its second false literal, its
third, ... (OLL; A. Morgado, C. Dodaro, J. Marques-Silva, 2014); cores are counted only then (J. Berg, M. Järvisalo,
"Weight-aware core extraction", 2017). A literal whose violation would cost too much for a better model becomes a hard clause.
"""

from types import TracebackType
from typing import Any

from tokenvis.layout.storylines.deadline import Deadline

PROPAGATIONS_PER_CHECK = 300_000  # of the solver, between two looks at the clock: some hundredths of a second
TRIMMING_ROUNDS = 3  # attempts to find a smaller core within a core


class MaxSat:
    """A problem whose solution can be interrupted and continued; a context manager. Needs python-sat.

    ``weights`` are the literals that should be true. No model violates less than ``lower_bound``. A model that violates less
    than ``upper_bound`` is sought; the best one found is ``model`` (its true literals).
    """

    def __init__(
        self, clauses: list[list[int]], weights: dict[int, int], n_variables: int, likely: list[int], upper_bound: int
    ) -> None:
        from pysat.solvers import Solver

        self.solver = Solver("glucose3", bootstrap_with=clauses)
        self.solver.set_phases(likely)
        self.prices = weights
        self.weights = dict(weights)
        self.n_variables = n_variables
        self.lower_bound, self.upper_bound = 0, upper_bound
        self.model: set[int] = set()
        self.cores: list[tuple[list[int], int]] = []  # those that are not counted yet, and their weights
        self.counters: dict[int, tuple[Any, int]] = {}  # by literal: at most so many of a counter's inputs are true

    def __enter__(self) -> "MaxSat":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.solver.delete()

    @property
    def is_solved(self) -> bool:
        """Whether no model is better than the upper bound."""
        return self.lower_bound >= self.upper_bound

    def improve(self, deadline: Deadline) -> None:
        """Improve both bounds until they meet or time is over."""
        while not self.is_solved:
            self.harden()
            answer = self.ask(list(self.weights), deadline)
            if answer is None:
                return
            if answer:
                self.keep_model()
                self.count_cores()
            else:
                self.add_core(deadline)

    def ask(self, assumptions: list[int], deadline: Deadline) -> bool | None:
        """Whether a model satisfies the assumptions; None if time is over."""
        while not deadline.is_over:
            self.solver.prop_budget(PROPAGATIONS_PER_CHECK)
            answer: bool | None = self.solver.solve_limited(assumptions=assumptions)
            if answer is not None:
                return answer
        return None

    def harden(self) -> None:
        """Require the literals that every better model satisfies."""
        for literal, weight in list(self.weights.items()):
            if self.lower_bound + weight >= self.upper_bound:
                self.solver.add_clause([literal])
                del self.weights[literal]

    def keep_model(self) -> None:
        """Keep the solver's model if it is better than the upper bound."""
        model = set(self.solver.get_model())
        cost = sum(weight for literal, weight in self.prices.items() if literal not in model)
        if cost < self.upper_bound:
            self.upper_bound, self.model = cost, model

    def add_core(self, deadline: Deadline) -> None:
        """Raise the lower bound by the weight of a core."""
        core: list[int] = self.solver.get_core() or []
        for _ in range(TRIMMING_ROUNDS):
            smaller = self.solver.get_core() if len(core) > 1 and self.ask(core, deadline) is False else core
            if len(smaller) == len(core):
                break
            core = smaller
        if not core:  # the hard clauses alone: no model is better
            self.lower_bound = self.upper_bound
            return
        weight = min(self.weights[literal] for literal in core)
        self.lower_bound += weight
        for literal in core:
            self.weights[literal] -= weight
            if not self.weights[literal]:
                del self.weights[literal]
        self.cores.append((core, weight))

    def count_cores(self) -> None:
        """Price further false literals of each core; one is priced already."""
        from pysat.card import ITotalizer

        for core, weight in self.cores:
            for literal in core:
                if literal in self.counters:
                    counter, bound = self.counters[literal]
                    self.allow(counter, bound + 1, weight)
            if len(core) == 1:
                self.solver.add_clause([-core[0]])
            else:
                counter = ITotalizer(lits=[-literal for literal in core], ubound=1, top_id=self.n_variables)
                self.solver.append_formula(counter.cnf.clauses)
                self.allow(counter, 1, weight)
        self.cores = []

    def allow(self, counter: Any, bound: int, weight: int) -> None:
        """Price more than ``bound`` true inputs of a counter."""
        if bound >= len(counter.lits):
            return
        counter.increase(ubound=bound, top_id=self.n_variables)
        if counter.nof_new:
            self.solver.append_formula(counter.cnf.clauses[-counter.nof_new :])
        self.n_variables = max(self.n_variables, counter.top_id)
        literal = -counter.rhs[bound]
        self.counters[literal] = counter, bound
        self.weights[literal] = self.weights.get(literal, 0) + weight
