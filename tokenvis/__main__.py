"""The command line: ``tokenvis seed | ingest | traces | info``, what the npm scripts call."""

import io
import os
import platform
import sqlite3
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tokenvis import __version__
from tokenvis.columns import EPOCH, YEAR_10000
from tokenvis.contents import CONTENTS
from tokenvis.database import path_of
from tokenvis.errors import IngestError, TokenvisError
from tokenvis.frame import load_traces
from tokenvis.intake import ingest
from tokenvis.seed import seed_demo
from tokenvis.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, or 1 with the error on stderr."""
    chosen = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names hold any character, and a terminal may not
    try:
        code: int = chosen.run(chosen) or 0
        sys.stdout.flush()
    except TokenvisError as error:
        print(f"tokenvis: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe has had enough; what is left is not worth a word
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def parser() -> ArgumentParser:
    """The commands and their options."""
    shared = ArgumentParser(add_help=False)
    root = ArgumentParser(prog="tokenvis", description="Traces of multi-agent systems: who was where, when, and with whom.")
    for place, default in ((root, None), (shared, SUPPRESS)):  # before the command or after it
        place.add_argument(
            "--database",
            metavar="FILE",
            default=default,
            help="the database (default: $TOKENVIS_DATABASE, else the nearest sqlite.db of the project)",
        )
    root.add_argument("--version", action="version", version=f"tokenvis {__version__}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    seed = commands.add_parser("seed", parents=[shared], help="write the two demo traces")
    seed.set_defaults(run=run_seed)

    take = commands.add_parser("ingest", parents=[shared], help="read files of traces into the database")
    take.add_argument("paths", nargs="+", metavar="PATH", help="a session file, or a folder of them")
    take.add_argument(
        "--content",
        choices=CONTENTS,
        default="full",
        help="how much free text (prompts, answers, tool output) is kept (default: full)",
    )
    take.set_defaults(run=run_ingest)

    traces = commands.add_parser("traces", parents=[shared], help="list the traces, newest first")
    traces.set_defaults(run=run_traces)

    info = commands.add_parser("info", parents=[shared], help="show the versions and the database in use")
    info.set_defaults(run=run_info)
    return root


def run_seed(chosen: Namespace) -> None:
    """Write the demo traces; print the file and what each trace holds."""
    with Store(chosen.database) as store:
        seeded = {written.trace_id for written in seed_demo(store=store)}
        print(f"Database: {store.path}")
        traces = load_traces(details=True, store=store)
        for trace in traces[traces["id"].isin(seeded)].itertuples():
            print(f"{trace.id}: {trace.n_spans} spans, {trace.n_agents} agents, {trace.n_locations} locations")


def run_ingest(chosen: Namespace) -> int:
    """Read files into the database; print a report for each path. One that cannot be read does not keep the others out."""
    code = 0
    for path in chosen.paths:
        try:
            print(ingest(path, content=chosen.content, store=chosen.database))
        except IngestError as error:
            print(f"tokenvis: {error}", file=sys.stderr)
            code = 1
    return code


def run_traces(chosen: Namespace) -> None:
    """Print the traces of the database."""
    with Store(chosen.database, create=False) as store:
        traces = load_traces(store=store)
        print(f"Database: {store.path}")
    shown = traces.assign(start_time=traces["start_time"].map(time_text))
    print(shown.to_string(index=False) if len(shown) else "No traces yet. `tokenvis seed` writes two.")


def time_text(start: Any) -> str:
    """When a trace began: a date where times count from 1970, else plain microseconds."""
    if pd.isna(start):
        return "-"
    if not EPOCH <= start < YEAR_10000:
        return f"{start} µs"
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=int(start)):%Y-%m-%d %H:%M:%S} UTC"


def run_info(chosen: Namespace) -> None:
    """Print what a report of a fault needs."""
    path = path_of(chosen.database)
    size = f"{path.stat().st_size:,} bytes" if path.is_file() else "not there yet"
    print(f"tokenvis {__version__}")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas {pd.__version__}")
    print(f"Database: {path} ({size})")


if __name__ == "__main__":
    sys.exit(main())
