"""The commands about the database itself: ``seed``, ``traces``, ``delete``, ``verify``, ``backup`` and ``info``."""

import platform
import sqlite3
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tokenvis import __version__
from tokenvis.errors import escaped, plural
from tokenvis.output import one_line
from tokenvis.spans.columns import YEAR_2000, YEAR_10000
from tokenvis.store.connections import wal_size
from tokenvis.store.database import path_of
from tokenvis.store.demo import seed_demo
from tokenvis.store.load import load_traces
from tokenvis.store.maintenance import backup, verify
from tokenvis.store.store import Store


def run_seed(args: Namespace) -> None:
    """Write the demo traces; print the database and the size of each trace."""
    with Store(args.database) as store:
        seeded = {written.trace_id for written in seed_demo(store=store)}
        print(f"Database: {escaped(store.path)}")
        traces = load_traces(details=True, store=store)
        for trace in traces[traces["id"].isin(seeded)].itertuples():
            print(f"{trace.id}: {trace.n_spans} spans, {trace.n_agents} agents, {trace.n_locations} locations")


def run_traces(args: Namespace) -> None:
    """Print the traces in the database."""
    with Store(args.database, create=False) as store:
        traces = load_traces(store=store)
        print(f"Database: {escaped(store.path)}")
    texts = {name: traces[name].map(one_line) for name in ("id", "name")}
    shown = traces.assign(**texts, start_time=traces["start_time"].map(time_text))
    print(shown.to_string(index=False) if len(shown) else "No traces yet. `tokenvis seed` writes two.")


def time_text(start: Any) -> str:
    """The start of a trace: a date if times count from 1970, else microseconds."""
    if pd.isna(start):
        return "-"
    if not YEAR_2000 <= start < YEAR_10000:
        return f"{start} µs"
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=int(start)):%Y-%m-%d %H:%M:%S} UTC"


def add_delete_options(remove: ArgumentParser) -> None:
    """Add the options of ``delete``."""
    remove.add_argument("traces", nargs="+", metavar="TRACE", help="ids, or exact names, of traces")


def run_delete(args: Namespace) -> None:
    """Delete traces, each in its own transaction."""
    with Store(args.database, create=False) as store:
        print(f"Database: {escaped(store.path)}")
        for trace in args.traces:
            written = store.delete_trace(trace)
            print(f"{one_line(written.trace_id)}: deleted, with {plural(written.removed, 'span')}")


def add_verify_options(check: ArgumentParser) -> None:
    """Add the options of ``verify``."""
    check.add_argument("file", nargs="?", metavar="FILE", help="the database (default: the one in use)")


def run_verify(args: Namespace) -> int:
    """Print the findings about a database; 1 if there are any."""
    verdict = verify(args.file or args.database)
    print(verdict)
    return 1 if verdict.findings else 0


def add_backup_options(copy: ArgumentParser) -> None:
    """Add the options of ``backup``."""
    copy.add_argument("destination", metavar="DEST", help="a new file, or a folder")


def run_backup(args: Namespace) -> None:
    """Copy the database."""
    copy = backup(args.destination, args.database)
    print(f"{escaped(copy)}: {copy.stat().st_size:,} bytes")


def run_info(args: Namespace) -> None:
    """Print the versions and the database that a bug report needs."""
    path = path_of(args.database)
    size = f"{path.stat().st_size:,} bytes" if path.is_file() else "not created yet"
    if wal_bytes := wal_size(path):
        size += f", and {wal_bytes:,} in its write-ahead log"
    print(f"tokenvis {__version__}")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas {pd.__version__}")
    print(f"Database: {escaped(path)} ({size})")
