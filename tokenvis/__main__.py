"""The command line, ``tokenvis seed``, ``ingest``, ``export`` and so on: as the npm scripts call it."""

import io
import os
import sys
import traceback
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from tokenvis import __version__
from tokenvis.commands.checks import NO_ANSWER
from tokenvis.commands.compare import add_compare_options, run_compare
from tokenvis.commands.export import add_export_options, run_export
from tokenvis.commands.ingest import add_ingest_options, add_watch_options, run_ingest, run_watch
from tokenvis.commands.show import add_show_options, run_show
from tokenvis.commands.store import (
    add_backup_options,
    add_delete_options,
    add_verify_options,
    run_backup,
    run_delete,
    run_info,
    run_seed,
    run_traces,
    run_verify,
)
from tokenvis.commands.summary import add_summary_options, run_summary
from tokenvis.errors import TokenvisError, escaped


class Command(NamedTuple):
    """A command: the function that runs it and may return an exit code, its help, its options, and the exit code of errors."""

    run: Callable[[Namespace], int | None]
    help: str
    add_options: Callable[[ArgumentParser], None] | None = None
    error_code: int = 1


COMMANDS = {
    "seed": Command(run_seed, "write the two demo traces"),
    "ingest": Command(run_ingest, "read files of traces into the database", add_ingest_options),
    "watch": Command(run_watch, "follow session files of agents as they grow, and store their spans", add_watch_options),
    "show": Command(run_show, "write a page of a session or trace, and open it in the browser", add_show_options),
    "summary": Command(run_summary, "say what runs took, cost and did", add_summary_options, NO_ANSWER),
    "compare": Command(run_compare, "say whether runs became slower or dearer, and where", add_compare_options, NO_ANSWER),
    "export": Command(run_export, "write traces to a file, or to the folder of a fleet", add_export_options),
    "traces": Command(run_traces, "list the traces, newest first"),
    "delete": Command(run_delete, "delete traces and their spans", add_delete_options),
    "verify": Command(run_verify, "check a database, and report how to repair it", add_verify_options),
    "backup": Command(run_backup, "copy the database, safe while programs write to it", add_backup_options),
    "info": Command(run_info, "show the versions and the database in use"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 if a rule holds or a check fails, or that of errors, with the error on stderr."""
    args = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have characters that the terminal cannot show
    try:
        exit_code: int = args.run(args) or 0
        sys.stdout.flush()
    except TokenvisError as error:
        print(f"tokenvis: {error}", file=sys.stderr)
        return int(args.error_code)
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(args.error_code)
    except Exception:
        if args.error_code == 1:
            raise
        traceback.print_exc()  # Python's own exit code would be 1
        return int(args.error_code)
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
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, parents=[shared], help=command.help)
        if command.add_options is not None:
            command.add_options(options)
        options.set_defaults(run=command.run, error_code=command.error_code)
    return root


if __name__ == "__main__":
    sys.exit(main())
