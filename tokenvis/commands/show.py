"""``tokenvis show``: a page of the explorer, of a file or a stored trace."""

import sys
import webbrowser
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tokenvis.commands.sources import path_exists, read_source
from tokenvis.errors import BadOption, IngestError
from tokenvis.ingestion.sessions import find_sessions
from tokenvis.spans.redaction import CONTENTS


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


def run_show(args: Namespace) -> None:
    """Write a page of a file of traces, or of a stored trace; the database is not changed."""
    from tokenvis.explorer.page import is_page, write_page  # it loads matplotlib

    source = args.source or newest_session()
    spans, report = read_source(source, args.database)
    if report is not None and report.problems:
        print(report, file=sys.stderr)
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


def as_file_name(source: str) -> str:
    """The name of a file or trace, without characters that are not allowed in file names."""
    name = Path(source).stem if path_exists(source) else source
    text = "".join(letter if letter.isalnum() or letter in "-_. " else "-" for letter in name).strip(" .")
    return text.encode(errors="replace")[:80].decode(errors="ignore") or "trace"
