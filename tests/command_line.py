"""The command line in tests: as a program of its own, and what its tests share. The fixture `run` calls it in this process."""

import os
import subprocess
import sys
from pathlib import Path

from claude_sessions import call, prompt, reply, result, write

DATABASE = "Database: {}".format
SPAN = {"agent_id": "ann", "location_id": "desk", "start_time": 0, "end_time": 5}


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with these variables of the environment."""
    return subprocess.run(
        [sys.executable, "-m", "tokenvis", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def session(name: str = "s1") -> Path:
    """A small session of Claude Code in the working directory."""
    return write(f"{name}.jsonl", prompt(0, f"{name} go"), reply(2, "m1", call("t1")), result(5, "t1"), session=name)
