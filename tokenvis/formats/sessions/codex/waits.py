"""The waits of Codex: the tools with which a thread waits for threads that it started.

A call names the ids of the threads; its result has the status of those that have reached a final one. Starting a thread does
not wait for it.
"""

from tokenvis.formats.sessions.codex.lines import CodexToolCall

WAITING_TOOLS = {"wait", "wait_agent"}
TARGET_KEYS = ("targets", "ids")
UNFINISHED_STATUSES = {"pending_init", "running"}


def awaited_thread(call: CodexToolCall) -> str | None:
    """The thread that a call waited for: the first named one whose status is final, else the first; None if it names none."""
    arguments = call.arguments if call.name in WAITING_TOOLS and isinstance(call.arguments, dict) else {}
    lists = [arguments[key] for key in TARGET_KEYS if isinstance(arguments.get(key), list)]
    threads = [target for targets in lists for target in targets if isinstance(target, str) and target.strip()]
    statuses = call.result.get("status") if isinstance(call.result, dict) else None
    statuses = statuses if isinstance(statuses, dict) else {}
    final = (thread for thread in threads if thread in statuses and not is_unfinished(statuses[thread]))
    return next(final, next(iter(threads), None))


def is_unfinished(status: object) -> bool:
    """Whether the status of a thread, a text or an object with one key, is that of a thread that still works."""
    return isinstance(status, str) and status in UNFINISHED_STATUSES
