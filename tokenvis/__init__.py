"""tokenvis: traces of multi-agent systems in the notebook: who was where, when, and with whom.

Traces come in at one door and become one table of spans; everything after is a function of that table.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenvis.analysis.colocation import colocation
from tokenvis.analysis.compare import compare
from tokenvis.analysis.concurrency import concurrency
from tokenvis.analysis.critical_path import critical_path
from tokenvis.analysis.diagnose import diagnose
from tokenvis.analysis.gaps import gaps
from tokenvis.analysis.handoffs import handoffs
from tokenvis.analysis.moves import moves
from tokenvis.analysis.occupancy import occupancy
from tokenvis.analysis.rollup import rollup
from tokenvis.analysis.summary import summary
from tokenvis.analysis.transitions import transitions
from tokenvis.analysis.usage import usage
from tokenvis.colors import palette
from tokenvis.errors import (
    BadOption,
    BadSpan,
    IngestError,
    MissingColumn,
    SpanError,
    StoreError,
    StoreNotFound,
    TokenvisError,
    TraceNotFound,
)
from tokenvis.frame import load_spans, load_traces
from tokenvis.intake import ingest
from tokenvis.layout.lanes import pack_lanes
from tokenvis.nesting import self_spans
from tokenvis.payload import expand_data
from tokenvis.samples import spans_from_samples
from tokenvis.seed import seed_demo
from tokenvis.store import Store

if TYPE_CHECKING:
    from tokenvis.plot.timeline import plot_timeline
    from tokenvis.style import theme

__version__ = "0.1.0"

__all__ = [
    "BadOption",
    "BadSpan",
    "IngestError",
    "MissingColumn",
    "SpanError",
    "Store",
    "StoreError",
    "StoreNotFound",
    "TokenvisError",
    "TraceNotFound",
    "__version__",
    "colocation",
    "compare",
    "concurrency",
    "critical_path",
    "diagnose",
    "expand_data",
    "gaps",
    "handoffs",
    "ingest",
    "load_spans",
    "load_traces",
    "moves",
    "occupancy",
    "pack_lanes",
    "palette",
    "plot_timeline",
    "rollup",
    "seed_demo",
    "self_spans",
    "spans_from_samples",
    "summary",
    "theme",
    "transitions",
    "usage",
]

ON_FIRST_USE = {"plot_timeline": "tokenvis.plot.timeline", "theme": "tokenvis.style"}  # they load matplotlib


def __getattr__(name: str) -> Any:
    """Load what needs matplotlib when it is first used."""
    if name not in ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(ON_FIRST_USE[name]), name)


def __dir__() -> list[str]:
    return __all__
