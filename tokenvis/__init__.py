"""tokenvis: traces of multi-agent systems in the notebook: who was where, when, and with whom.

- A **span** records that an agent was at a location from ``start_time`` to ``end_time`` (µs), with free JSON in ``data``.
- A **trace** is the spans of one run. Traces are stored in one SQLite file, ``sqlite.db``.
- A **door** is a way into the store: `ingest` for files, `Recorder` for running programs, `Store.write_trace` for your own
  code.
- The **table** is a DataFrame with a row per span, from `load_spans`. Everything below is a function of it.
- A **question** returns another table: `summary`, `concurrency`, `handoffs`, `gaps`, `usage`, `critical_path`, ...
- A **picture** draws the table, and returns Axes: `plot_timeline`, `plot_storyline`, ...; `explore` shows it in a widget.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenvis.analysis.agent_tree import agent_tree
from tokenvis.analysis.colocation import colocation
from tokenvis.analysis.concurrency import concurrency
from tokenvis.analysis.critical_path import critical_path
from tokenvis.analysis.diagnose import diagnose
from tokenvis.analysis.fanouts import fanouts
from tokenvis.analysis.gaps import gaps
from tokenvis.analysis.handoffs import handoffs
from tokenvis.analysis.moves import moves
from tokenvis.analysis.occupancy import occupancy
from tokenvis.analysis.rollup import rollup
from tokenvis.analysis.summary import summary
from tokenvis.analysis.time_spent import time_spent
from tokenvis.analysis.transitions import transitions
from tokenvis.analysis.usage import usage
from tokenvis.analysis.waits import waits
from tokenvis.errors import (
    BadOption,
    BadSpan,
    FleetError,
    IngestError,
    MissingColumn,
    SpanError,
    StoreError,
    StoreNotFound,
    TokenvisError,
    TraceNotFound,
)
from tokenvis.fleet.fleet import Fleet
from tokenvis.fleet.writing.export import export
from tokenvis.ingestion.ingest import ingest
from tokenvis.ingestion.sessions import find_sessions
from tokenvis.layout.lanes import pack_lanes
from tokenvis.layout.storylines.storyline import storyline
from tokenvis.plot.artists.colors import palette
from tokenvis.record.recorder import Recorder
from tokenvis.runs.alignment import alignment
from tokenvis.runs.compare import compare
from tokenvis.runs.contributions import contributions
from tokenvis.spans.conversion.events import spans_from_events
from tokenvis.spans.conversion.samples import spans_from_samples
from tokenvis.spans.typed_columns import expand_data
from tokenvis.store.demo import seed_demo
from tokenvis.store.load import load_spans, load_traces
from tokenvis.store.store import Store
from tokenvis.tree.states import self_spans

if TYPE_CHECKING:
    from tokenvis.explorer.explore import explore
    from tokenvis.plot.agent_tree import plot_agent_tree
    from tokenvis.plot.artists.style import theme
    from tokenvis.plot.colocation import plot_colocation
    from tokenvis.plot.compare import plot_compare
    from tokenvis.plot.concurrency import plot_concurrency
    from tokenvis.plot.critical_path import plot_critical_path
    from tokenvis.plot.handoffs import plot_handoffs
    from tokenvis.plot.occupancy import plot_occupancy
    from tokenvis.plot.overview import plot_overview
    from tokenvis.plot.runs import plot_runs
    from tokenvis.plot.storyline import plot_storyline
    from tokenvis.plot.timeline import plot_timeline
    from tokenvis.plot.transitions import plot_transitions
    from tokenvis.plot.usage import plot_usage
    from tokenvis.plot.waits import plot_waits
    from tokenvis.record.opentelemetry import record_opentelemetry

__version__ = "0.1.0"

__all__ = [
    "BadOption",
    "BadSpan",
    "Fleet",
    "FleetError",
    "IngestError",
    "MissingColumn",
    "Recorder",
    "SpanError",
    "Store",
    "StoreError",
    "StoreNotFound",
    "TokenvisError",
    "TraceNotFound",
    "__version__",
    "agent_tree",
    "alignment",
    "colocation",
    "compare",
    "concurrency",
    "contributions",
    "critical_path",
    "diagnose",
    "expand_data",
    "explore",
    "export",
    "fanouts",
    "find_sessions",
    "gaps",
    "handoffs",
    "ingest",
    "load_spans",
    "load_traces",
    "moves",
    "occupancy",
    "pack_lanes",
    "palette",
    "plot_agent_tree",
    "plot_colocation",
    "plot_compare",
    "plot_concurrency",
    "plot_critical_path",
    "plot_handoffs",
    "plot_occupancy",
    "plot_overview",
    "plot_runs",
    "plot_storyline",
    "plot_timeline",
    "plot_transitions",
    "plot_usage",
    "plot_waits",
    "record_opentelemetry",
    "rollup",
    "seed_demo",
    "self_spans",
    "spans_from_events",
    "spans_from_samples",
    "storyline",
    "summary",
    "theme",
    "time_spent",
    "transitions",
    "usage",
    "waits",
]

PLOT_NAMES = [name for name in __all__ if name.startswith("plot_")]
LAZY_IMPORTS = {name: f"tokenvis.plot.{name.removeprefix('plot_')}" for name in PLOT_NAMES}  # these load matplotlib
LAZY_IMPORTS |= {"explore": "tokenvis.explorer.explore", "theme": "tokenvis.plot.artists.style"}
LAZY_IMPORTS |= {"record_opentelemetry": "tokenvis.record.opentelemetry"}


def __getattr__(name: str) -> Any:
    """Import names that load matplotlib or OpenTelemetry on first use."""
    if name not in LAZY_IMPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY_IMPORTS[name]), name)


def __dir__() -> list[str]:
    return __all__
