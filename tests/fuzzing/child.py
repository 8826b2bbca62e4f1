"""The child: runs a batch of inputs, and writes a line of JSON before and after each.

``python -m fuzzing.child MODULE:FUNCTION FOLDER [KEEP]`` reads the names of inputs from its standard input, one a line.
``FUNCTION(name, folder)`` makes an input and returns a function, and only the call of that is measured. If the call raises, the
folder of the input is copied to ``KEEP``.
"""

import faulthandler
import gc
import importlib
import json
import os
import re
import resource
import shutil
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

KIB = 1 << 10


def reset_peak():
    """Forget the peak of resident memory so far; other systems than Linux cannot."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes():
    """The peak of resident memory since `reset_peak`, or of the process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIB)


def folder_of(keep, name):
    """The folder in which the input of this name is kept."""
    return Path(keep) / re.sub(r"[^\w.-]+", "_", name)


def keep_input(keep, name, folder, detail):
    """Copy the files of an input that was not survived, and what happened."""
    kept = folder_of(keep, name)
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept, symlinks=True)
    (kept / "failure.txt").write_text(f"{name}\n{detail}\n", errors="backslashreplace")


def last_lines(error):
    """An exception with its last calls, as text."""
    return "".join(traceback.format_exception(error, limit=-12))[-6_000:]


def main():
    """Run the inputs."""
    target, folder, keep = (*sys.argv[1:], None)[:3]
    module, function = target.split(":")
    prepare = getattr(importlib.import_module(module), function)
    messages = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the input prints is no message
    faulthandler.enable()
    gc.collect()
    gc.freeze()
    for name in sys.stdin.read().splitlines():
        work = Path(folder, "input")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        print(json.dumps({"name": name, "state": "prepares"}), file=messages)
        told = {"error": None, "result": None, "before": 0}
        start = time.process_time()
        try:
            run = prepare(name, work)
            gc.collect()
            reset_peak()
            told["before"] = peak_bytes()
            print(json.dumps({"name": name, "state": "runs"}), file=messages)
            start = time.process_time()
            told["result"] = run()
        except BaseException as error:
            told["error"] = last_lines(error)
        told |= {"seconds": time.process_time() - start, "peak": peak_bytes()}
        if told["error"] and keep:
            keep_input(keep, name, work, told["error"])
        run = None
        print(json.dumps({"name": name, "state": "ended", **told}), file=messages)


if __name__ == "__main__":
    main()
