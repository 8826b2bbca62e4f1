"""A PostgreSQL server for tests: Debian's, in a temporary folder, on a socket of its own.

The server refuses to run as root, so root starts it as the user that Debian's package creates.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "p@ss/w%rd"  # encoded in the URL
OPTIONS = "-c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c unix_socket_directories="


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of the database of a new server, which ends with the block."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert programs, "PostgreSQL is not installed: apt-get install postgresql"
    folder = Path(tempfile.mkdtemp(prefix="tokenvis-postgresql-", dir="/tmp"))  # the path of a socket is short
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    try:
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user["user"], user["group"])

        def run(program: str, *arguments: str) -> None:
            command = [programs[-1].with_name(program), "--pgdata", folder / "data", *arguments]
            log = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(command, cwd=folder, check=True, **log, **user)

        locale = ["--encoding=UTF8", "--locale=C"]
        run("initdb", "--no-sync", "--username=ann", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", *locale)
        run("pg_ctl", "--wait", f"--log={folder / 'log'}", f"--options={OPTIONS}{folder}", "start")
        try:
            yield f"postgresql://ann:p%40ss%2Fw%25rd@/postgres?host={folder}"
        finally:
            run("pg_ctl", "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)
