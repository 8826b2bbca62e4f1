"""``tokenvis ingest`` and ``tokenvis watch``: files and growing sessions into the database."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tokenvis.conventions.rules import LOCATION_PRESETS
from tokenvis.conventions.timestamps import UNITS
from tokenvis.errors import IngestError, escaped, plural
from tokenvis.formats.registry import FORMATS
from tokenvis.ingestion.conversations import TRACE_CHOICES
from tokenvis.ingestion.ingest import ingest
from tokenvis.ingestion.sessions import find_sessions
from tokenvis.ingestion.watch.terminal import follow_in_terminal
from tokenvis.ingestion.watch.watch import Watch
from tokenvis.spans.redaction import CONTENTS

MAX_PAUSE_S = 86_400


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
