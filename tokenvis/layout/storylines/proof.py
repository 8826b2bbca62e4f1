"""Proof: the fewest crossings of a story, approached from both sides by a MaxSAT solver (`formula`, `maxsat`).

A proof can be interrupted and continued, and takes better orders from elsewhere; it ends when its bounds meet.
"""

from types import TracebackType

from tokenvis.layout.storylines.blocks import LayerTable, count_crossings
from tokenvis.layout.storylines.deadline import Deadline
from tokenvis.layout.storylines.formula import OrderFormula, estimate_clauses
from tokenvis.layout.storylines.maxsat import MaxSat

MAX_CLAUSES = 2_000_000  # larger formulas take too much memory, and would not be solved
CLAUSES_PER_SECOND = 500_000  # formulas that take longer to build than the time limit are not tried


class Proof:
    """``ranks`` with few ``crossings``, and the ``lower_bound`` of any order; a context manager. Needs python-sat."""

    def __init__(self, blocks: LayerTable, ranks: LayerTable) -> None:
        self.blocks = blocks
        self.ranks, self.crossings = ranks, count_crossings(ranks)
        self.lower_bound = 0
        self.formula: OrderFormula | None = None
        self.solver: MaxSat | None = None

    def __enter__(self) -> "Proof":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.solver is not None:
            self.solver.__exit__(kind, error, traceback)

    @property
    def is_complete(self) -> bool:
        """Whether no order has fewer crossings."""
        return self.lower_bound >= self.crossings

    def offer(self, ranks: LayerTable) -> None:
        """Continue from these ranks if they have fewer crossings."""
        crossings = count_crossings(ranks)
        if crossings < self.crossings:
            self.ranks, self.crossings = ranks, crossings

    def improve(self, deadline: Deadline) -> None:
        """Improve both bounds until they meet or time is over."""
        if self.is_complete or (self.solver is None and not self.prepare(deadline)):
            return
        assert self.solver is not None
        assert self.formula is not None
        self.solver.upper_bound = min(self.solver.upper_bound, self.crossings)
        self.solver.improve(deadline)
        self.lower_bound = self.solver.lower_bound
        if self.solver.upper_bound < self.crossings:
            self.ranks, self.crossings = self.formula.ranks_of(self.solver.model), self.solver.upper_bound

    def prepare(self, deadline: Deadline) -> bool:
        """Build the formula; False if it is too large, or takes too long."""
        if estimate_clauses(self.blocks) > min(MAX_CLAUSES, deadline.seconds_left * CLAUSES_PER_SECOND):
            return False
        formula = OrderFormula(self.blocks, deadline)
        if deadline.is_over:
            return False
        self.formula = formula
        likely = formula.literals_of(self.ranks)
        self.solver = MaxSat(formula.clauses, formula.weights, formula.n_variables, likely, self.crossings)
        return True
