"""The command line, ``tokenvis seed``, ``ingest``, ``export`` and so on: as the npm scripts call it."""

import io
import os
import platform
import sqlite3
import sys
import webbrowser
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from tokenvis import __version__
from tokenvis.conventions.rules import LOCATION_PRESETS
from tokenvis.conventions.timestamps import UNITS
from tokenvis.errors import BadOption, IngestError, StoreNotFound, TokenvisError, TraceNotFound, escaped, plural, quoted
from tokenvis.fleet.writing.export import EXPORT_FORMATS, FLEET, export_fleet
from tokenvis.formats.export import export_file
from tokenvis.formats.registry import FORMATS
from tokenvis.ingestion.conversations import TRACE_CHOICES
from tokenvis.ingestion.ingest import ingest
from tokenvis.ingestion.sessions import find_sessions
from tokenvis.ingestion.watch.terminal import follow_in_terminal
from tokenvis.ingestion.watch.watch import Watch
from tokenvis.output import one_line
from tokenvis.spans.columns import YEAR_2000, YEAR_10000
from tokenvis.spans.redaction import CONTENTS
from tokenvis.store.connections import wal_size
from tokenvis.store.database import path_of
from tokenvis.store.demo import seed_demo
from tokenvis.store.load import load_spans, load_traces
from tokenvis.store.maintenance import backup, verify
from tokenvis.store.store import Store
from tokenvis.temporary import temporary_folder

MAX_PAUSE_S = 86_400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, or 1 with the error on stderr."""
    args = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have characters that the terminal cannot show
    try:
        exit_code: int = args.run(args) or 0
        sys.stdout.flush()
    except TokenvisError as error:
        print(f"tokenvis: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return exit_code


class Parser(ArgumentParser):
    """An argument parser whose messages are safe to print: `tokenvis verify *` passes on the names of files."""

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit."""
        super().error(escaped(message))


def parser() -> Parser:
    """The argument parser with all commands and their options."""
    shared = Parser(add_help=False)
    root = Parser(prog="tokenvis", description="Traces of multi-agent systems: who was where, when, and with whom.")
    for options, default in ((root, None), (shared, SUPPRESS)):  # before the command or after it
        options.add_argument(
            "--database",
            metavar="FILE",
            default=default,
            help="the database (default: $TOKENVIS_DATABASE, else the nearest sqlite.db of the project)",
        )
    root.add_argument("--version", action="version", version=f"tokenvis {__version__}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    seed = commands.add_parser("seed", parents=[shared], help="write the two demo traces")
    seed.set_defaults(run=run_seed)

    ingesting = commands.add_parser("ingest", parents=[shared], help="read files of traces into the database")
    add_ingest_options(ingesting)
    ingesting.set_defaults(run=run_ingest)

    watch = commands.add_parser(
        "watch", parents=[shared], help="follow session files of agents as they grow, and store their spans"
    )
    add_watch_options(watch)
    watch.set_defaults(run=run_watch)

    show = commands.add_parser("show", parents=[shared], help="write a page of a session or trace, and open it in the browser")
    add_show_options(show)
    show.set_defaults(run=run_show)

    exporting = commands.add_parser("export", parents=[shared], help="write traces to a file, or to the folder of a fleet")
    exporting.add_argument("file", metavar="FILE", help="its suffix sets the format: .json (Chrome), .parquet, .csv, .jsonl")
    exporting.add_argument("traces", nargs="*", metavar="TRACE", help="ids or names of traces (default: all traces)")
    exporting.add_argument("--format", choices=EXPORT_FORMATS, help="the format (default: by the suffix of FILE)")
    exporting.add_argument(
        "--content",
        choices=CONTENTS,
        default="full",
        help="how much free text (labels, prompts, answers, tool output) the file contains (default: full)",
    )
    exporting.set_defaults(run=run_export)

    traces = commands.add_parser("traces", parents=[shared], help="list the traces, newest first")
    traces.set_defaults(run=run_traces)

    remove = commands.add_parser("delete", parents=[shared], help="delete traces and their spans")
    remove.add_argument("traces", nargs="+", metavar="TRACE", help="ids, or exact names, of traces")
    remove.set_defaults(run=run_delete)

    check = commands.add_parser("verify", parents=[shared], help="check a database, and report how to repair it")
    check.add_argument("file", nargs="?", metavar="FILE", help="the database (default: the one in use)")
    check.set_defaults(run=run_verify)

    copy = commands.add_parser("backup", parents=[shared], help="copy the database, safe while programs write to it")
    copy.add_argument("destination", metavar="DEST", help="a new file, or a folder")
    copy.set_defaults(run=run_backup)

    info = commands.add_parser("info", parents=[shared], help="show the versions and the database in use")
    info.set_defaults(run=run_info)
    return root


def add_ingest_options(command: ArgumentParser) -> None:
    """Add the options of ``ingest``."""
    command.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a file, a folder, a .zip, .gz or .zst; - reads stdin. Without PATH, lists the sessions of agents on this machine",
    )
    command.add_argument(
        "--format", choices=FORMATS, metavar="NAME", help=f"one of {', '.join(FORMATS)} (default: detected by content)"
    )
    add_span_options(command)
    command.add_argument(
        "--columns",
        metavar="OURS=THEIRS,...",
        type=named_columns,
        help="for a table: which of its columns are which columns of spans, such as start_time=begin,end_time=stop",
    )
    command.add_argument("--unit", choices=UNITS, help="for a table: the unit of its times (default: us)")
    command.add_argument("--trace", choices=TRACE_CHOICES, default="trace", help="what becomes a trace (default: trace)")
    command.add_argument("--since", metavar="AGE", help="without PATH: only sessions of the last 7d, 12h, ..., or since a date")
    command.add_argument("--all", action="store_true", help="without PATH: read all listed sessions")


def add_watch_options(watch: ArgumentParser) -> None:
    """Add the options of ``watch``."""
    watch.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a session of Claude Code or Codex, or a folder of them (default: their usual folders, the last day)",
    )
    watch.add_argument("--since", metavar="AGE", help="only sessions of the last 7d, 12h, ..., or since a date")
    watch.add_argument(
        "--every", metavar="SECONDS", type=positive_seconds, default=1.0, help="pause between two polls (default: 1)"
    )
    watch.add_argument("--once", action="store_true", help="read what is new once, then exit")
    add_span_options(watch)


def add_span_options(command: ArgumentParser) -> None:
    """Add the options for each span: its agent, its location, its wait, and how much of its text is kept."""
    command.add_argument("--agent", metavar="NAME", help="the attribute or column with the name of the agent")
    command.add_argument(
        "--location",
        metavar="NAME",
        help=f"the attribute or column with the name of the location, or one of {', '.join(LOCATION_PRESETS)}",
    )
    command.add_argument(
        "--waits-for", metavar="NAME", help="the attribute or column with the name of the person or agent that a span waits for"
    )
    command.add_argument(
        "--content",
        choices=CONTENTS,
        default="full",
        help="how much free text (prompts, answers, tool output) is kept (default: full)",
    )


def add_show_options(show: ArgumentParser) -> None:
    """Add the options of ``show``."""
    show.add_argument(
        "source",
        nargs="?",
        metavar="PATH",
        help="a file of traces, or the id or name of a trace in the database (default: the newest session on this machine)",
    )
    show.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the page to FILE and do not open it (default: a file in this folder, which is opened)",
    )
    show.add_argument(
        "--content",
        choices=CONTENTS,
        default="none",
        help="how much free text (labels, prompts, answers, tool output) the page contains (default: none)",
    )


def named_columns(text: str) -> dict[str, str]:
    """A mapping from text such as ``start_time=begin,end_time=stop``."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(ours and theirs for ours, _, theirs in pairs):
        raise ArgumentTypeError(f"{text!r} is not like start_time=begin,end_time=stop")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def positive_seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_PAUSE_S:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and {MAX_PAUSE_S:,}")
    return seconds


def run_seed(args: Namespace) -> None:
    """Write the demo traces; print the database and the size of each trace."""
    with Store(args.database) as store:
        seeded = {written.trace_id for written in seed_demo(store=store)}
        print(f"Database: {escaped(store.path)}")
        traces = load_traces(details=True, store=store)
        for trace in traces[traces["id"].isin(seeded)].itertuples():
            print(f"{trace.id}: {trace.n_spans} spans, {trace.n_agents} agents, {trace.n_locations} locations")


def run_ingest(args: Namespace) -> int:
    """Read files into the database; print a report for each path. A path that cannot be read does not stop the others."""
    paths = args.paths or listed_sessions(args)
    names = ("format", "agent", "location", "waits_for", "content", "columns", "unit", "trace")
    options = {name: getattr(args, name) for name in names}
    exit_code = 0
    for path in paths:
        try:
            print(ingest(sys.stdin.buffer if path == "-" else path, **options, store=args.database))
        except IngestError as error:
            print(f"tokenvis: {error}", file=sys.stderr)
            exit_code = 1
    return exit_code


def listed_sessions(args: Namespace) -> list[str]:
    """Print the sessions on this machine, newest first; returns the paths to read."""
    sessions = find_sessions(since=args.since)
    if sessions.empty:
        print(f"No sessions{f' since {args.since}' if args.since else ''} in the folders of Claude Code and Codex.")
        return []
    shown = sessions.assign(
        modified=sessions["modified"].dt.strftime("%Y-%m-%d %H:%M UTC"),
        size=[f"{size / 1e6:,.1f} MB" for size in sessions["size"]],
        **{name: sessions[name].map(escaped, na_action="ignore") for name in ("project", "path")},
    )
    print(shown.fillna("").to_string(index=False))
    if not args.all:
        print(f"{plural(len(sessions), 'session')}. `tokenvis ingest PATH` reads one, `tokenvis ingest --all` reads all.")
    return sessions["path"].tolist() if args.all else []


def run_watch(args: Namespace) -> None:
    """Follow sessions into the database, until Ctrl-C is pressed."""
    options = {name: getattr(args, name) for name in ("since", "agent", "location", "waits_for", "content")}
    with Watch(*args.paths, **options, store=args.database) as watch:
        follow_in_terminal(watch, every=args.every, once=args.once)


def run_show(args: Namespace) -> None:
    """Write a page of a file of traces, or of a stored trace; the database is not changed."""
    from tokenvis.explorer.page import is_page, write_page  # it loads matplotlib

    source = args.source or newest_session()
    spans = spans_to_show(source, args.database)
    page_path = Path(f"{as_file_name(source)}.html" if args.output is None else args.output)
    if args.output is None and page_path.is_file() and not is_page(page_path):
        raise BadOption(f"{page_path} exists and is not a page of tokenvis. Choose another file with -o FILE.")
    page = write_page(spans, page_path, content=args.content)
    print(page)
    if args.output is None:
        webbrowser.open(page.path.absolute().as_uri())


def newest_session() -> str:
    """The path of the session changed last on this machine; `IngestError` if there is none."""
    paths = find_sessions()["path"].tolist()
    if not paths:
        raise IngestError("No sessions in the folders of Claude Code and Codex. Pass a file: `tokenvis show PATH`.")
    return str(paths[0])


def spans_to_show(source: str, database: str | None) -> pd.DataFrame:
    """The spans of a file, read without the database, or of a stored trace."""
    if not path_exists(source):
        try:
            return load_spans(source, store=database)
        except (StoreNotFound, TraceNotFound) as error:
            raise IngestError(f"{quoted(source)} is neither a file nor a trace. {error}") from None
    with temporary_folder() as folder, Store(folder / "sqlite.db") as store:
        report = ingest(source, store=store)
        if report.problems:
            print(report, file=sys.stderr)
        return report.spans()


def as_file_name(source: str) -> str:
    """The name of a file or trace, without characters that are not allowed in file names."""
    name = Path(source).stem if path_exists(source) else source
    text = "".join(letter if letter.isalnum() or letter in "-_. " else "-" for letter in name).strip(" .")
    return text.encode(errors="replace")[:80].decode(errors="ignore") or "trace"


def path_exists(source: str) -> bool:
    """Whether this is the path of a file or folder; False for text that cannot be a path."""
    try:
        return Path(source).exists()
    except (OSError, ValueError):
        return False


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


def run_traces(args: Namespace) -> None:
    """Print the traces in the database."""
    with Store(args.database, create=False) as store:
        traces = load_traces(store=store)
        print(f"Database: {escaped(store.path)}")
    texts = {name: traces[name].map(one_line) for name in ("id", "name")}
    shown = traces.assign(**texts, start_time=traces["start_time"].map(time_text))
    print(shown.to_string(index=False) if len(shown) else "No traces yet. `tokenvis seed` writes two.")


def run_delete(args: Namespace) -> None:
    """Delete traces, each in its own transaction."""
    with Store(args.database, create=False) as store:
        print(f"Database: {escaped(store.path)}")
        for trace in args.traces:
            written = store.delete_trace(trace)
            print(f"{one_line(written.trace_id)}: deleted, with {plural(written.removed, 'span')}")


def run_verify(args: Namespace) -> int:
    """Print the findings about a database; 1 if there are any."""
    verdict = verify(args.file or args.database)
    print(verdict)
    return 1 if verdict.findings else 0


def run_backup(args: Namespace) -> None:
    """Copy the database."""
    copy = backup(args.destination, args.database)
    print(f"{escaped(copy)}: {copy.stat().st_size:,} bytes")


def time_text(start: Any) -> str:
    """The start of a trace: a date if times count from 1970, else microseconds."""
    if pd.isna(start):
        return "-"
    if not YEAR_2000 <= start < YEAR_10000:
        return f"{start} µs"
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=int(start)):%Y-%m-%d %H:%M:%S} UTC"


def run_info(args: Namespace) -> None:
    """Print the versions and the database that a bug report needs."""
    path = path_of(args.database)
    size = f"{path.stat().st_size:,} bytes" if path.is_file() else "not created yet"
    if wal_bytes := wal_size(path):
        size += f", and {wal_bytes:,} in its write-ahead log"
    print(f"tokenvis {__version__}")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, pandas {pd.__version__}")
    print(f"Database: {escaped(path)} ({size})")


if __name__ == "__main__":
    sys.exit(main())
