"""``tokenvis export``: stored traces to a file, or to the folder of a fleet."""

from argparse import ArgumentParser, Namespace

from tokenvis.errors import escaped, plural
from tokenvis.fleet.writing.export import EXPORT_FORMATS, FLEET, export_fleet
from tokenvis.formats.export import export_file
from tokenvis.spans.redaction import CONTENTS
from tokenvis.store.load import load_spans
from tokenvis.store.store import Store


def add_export_options(exporting: ArgumentParser) -> None:
    """Add the options of ``export``."""
    exporting.add_argument("file", metavar="FILE", help="its suffix sets the format: .json (Chrome), .parquet, .csv, .jsonl")
    exporting.add_argument("traces", nargs="*", metavar="TRACE", help="ids or names of traces (default: all traces)")
    exporting.add_argument("--format", choices=EXPORT_FORMATS, help="the format (default: by the suffix of FILE)")
    exporting.add_argument(
        "--content",
        choices=CONTENTS,
        default="full",
        help="how much free text (labels, prompts, answers, tool output) the file contains (default: full)",
    )


def run_export(args: Namespace) -> None:
    """Write traces to a file, or to the folder of a fleet."""
    path: object
    if args.format == FLEET:
        source, chosen = Store(args.database, create=False), args.traces or None
        path, n_spans, n_traces, n_cut, _ = export_fleet(source, args.file, content=args.content, traces=chosen)
    else:
        spans = load_spans(args.traces or None, store=args.database)
        path, n_cut = export_file(spans, args.file, format=args.format, content=args.content)
        n_spans, n_traces = len(spans), spans["trace_id"].nunique()
    print(f"{escaped(path)}: {plural(n_spans, 'span')}, {plural(n_traces, 'trace')}")
    if args.content != "full":
        print(f"Texts shortened or removed: {n_cut:,}")
