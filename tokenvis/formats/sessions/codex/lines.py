"""The lines of a Codex rollout, gathered into calls of tools and responses of the model.

A line is ``{"timestamp", "type", "payload"}``. What the model gave are response items; a response is a run of them that neither
a tool's output nor a user's message interrupts. When a response began is nowhere recorded: it is taken to be the event before.
Token counts are running totals, so a response used what they grew by.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from tokenvis.conventions.opentelemetry import opened_json
from tokenvis.conventions.span import given, needed
from tokenvis.conventions.timestamps import microseconds
from tokenvis.formats.files.reading import Reading

CALLS = {"function_call", "custom_tool_call", "local_shell_call", "tool_search_call", "web_search_call", "mcp_tool_call"}
NAMED = {"local_shell_call": "shell", "tool_search_call": "tool_search", "web_search_call": "web_search"}
NOT_THE_USER = ("<environment_context", "<user_instructions", "<permissions", "# AGENTS.md", "<turn_aborted", "<subagent_")
ENDS_OF_TURNS = {"task_complete", "turn_complete", "turn_aborted", "shutdown_complete"}
EXIT_CODE = re.compile(r"(?:exited with code|exit code:?|\"exit_code\":)\s*(-?\d+)", re.IGNORECASE)
COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}


@dataclass
class Response:
    """What the model gave at once: from the event before, to its last item."""

    number: int
    start: int
    end: int
    model: str | None
    prompt: str | None
    texts: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)


@dataclass
class Call:
    """A call of a tool, and what came back."""

    id: str
    name: str
    given: Any
    start: int
    end: int | None = None
    result: Any = None
    failed: bool = False
    answered: bool = False
    estimated: bool = False


@dataclass
class Thread:
    """What one thread did: its calls by id, its responses, in the order of their lines."""

    reading: Reading
    calls: dict[str, Call] = field(default_factory=dict)
    responses: list[Response] = field(default_factory=list)
    current: Response | None = None
    model: str | None = None
    asked: str | None = None
    first_prompt: str | None = None
    last_event: int | None = None
    first_seen: int | None = None
    totals: dict[str, int] = field(default_factory=dict)


def take_line(thread: Thread, line: dict[str, Any]) -> None:
    """Take in one line."""
    kind, payload = given(line, "type", str), needed(line, "payload", dict)
    time = microseconds(needed(line, "timestamp", str))
    what = given(payload, "type", str) or ""
    if kind == "response_item":
        take_item(thread, payload, what, time)
    elif kind == "event_msg":
        take_event(thread, payload, what, time)
    elif kind == "turn_context":
        thread.model = given(payload, "model", str) or thread.model
    elif kind != "session_meta":
        thread.reading.skipped[f"lines of type {str(kind)[:40]!r}"] += 1
        return
    thread.first_seen = time if thread.first_seen is None else min(thread.first_seen, time)
    thread.last_event = time if thread.last_event is None else max(thread.last_event, time)


def take_item(thread: Thread, item: dict[str, Any], what: str, time: int) -> None:
    """An item of the conversation."""
    if what.endswith("_output"):
        take_output(thread, item, time)
    elif what in CALLS:
        take_call(thread, item, what, time)
    elif what == "message" and item.get("role") == "user":
        take_prompt(thread, text_of(item.get("content")))
    elif what == "message" and item.get("role") == "assistant":
        response_at(thread, time).texts.append(text_of(item.get("content")))
    elif what == "reasoning":
        response_at(thread, time)
    else:
        thread.reading.skipped[f"items of type {what[:40]!r}"] += 1


def response_at(thread: Thread, time: int) -> Response:
    """The response that the model is giving, a new one where it was interrupted."""
    if thread.current is None:
        start = time if thread.last_event is None else min(thread.last_event, time)
        thread.current = Response(len(thread.responses), start, time, thread.model, thread.asked)
        thread.responses.append(thread.current)
        thread.asked = None
    thread.current.end = max(thread.current.end, time)
    return thread.current


def take_prompt(thread: Thread, text: str) -> None:
    """A message of the user, unless the program wrote it."""
    if text.strip() and not text.lstrip().startswith(NOT_THE_USER):
        thread.current = None
        thread.asked = text
        thread.first_prompt = thread.first_prompt or text


def take_call(thread: Thread, item: dict[str, Any], what: str, time: int) -> None:
    """A call of a tool; a search of the web is written when it is done, and has no output."""
    name = given(item, "name", str) or NAMED.get(what, what.removesuffix("_call"))
    done = what == "web_search_call" and "call_id" not in item
    start = min(thread.last_event or time, time) if done else time
    call_id = given(item, "call_id", str) or given(item, "id", str) or f"{name}.{len(thread.calls)}"
    if call_id in thread.calls:
        thread.reading.skipped["calls that repeat another"] += 1
        return
    asked = next((item[key] for key in ("arguments", "input", "action") if key in item), None)
    thread.calls[call_id] = Call(
        call_id, name, opened_json(asked), start, time if done else None, answered=done, estimated=done
    )
    response_at(thread, time).tools.append(name)


def take_output(thread: Thread, item: dict[str, Any], time: int) -> None:
    """What came back from a tool."""
    call = thread.calls.get(needed(item, "call_id", str))
    thread.current = None
    if call is None:
        thread.reading.skipped["results of calls that are not there"] += 1
        return
    call.end = time if call.end is None else max(call.end, time)
    call.answered = True
    call.result = opened_json(next((item[key] for key in ("output", "tools") if key in item), None))
    call.failed = has_failed(call.result)


def has_failed(result: Any) -> bool:
    """Whether a result says that it is a failure: by a flag, or by the exit code of a command."""
    if isinstance(result, dict):
        inner = result.get("metadata")
        code = inner.get("exit_code") if isinstance(inner, dict) else result.get("exit_code")
        return result.get("success") is False or (isinstance(code, int) and code != 0)
    found = EXIT_CODE.search(result[:500]) if isinstance(result, str) else None
    return found is not None and int(found[1][:9]) != 0


def take_event(thread: Thread, event: dict[str, Any], what: str, time: int) -> None:
    """An event beside the conversation: counts of tokens, ends of turns, exact times of a call."""
    if what == "token_count":
        take_counts(thread, event)
    elif what == "user_message" and thread.asked is None and thread.current is None:
        take_prompt(thread, given(event, "message", str) or "")
    elif what in ENDS_OF_TURNS:
        thread.current = None
        for call in thread.calls.values():
            call.end = time if call.end is None else call.end
    elif what == "item_completed":
        take_times(thread, event)


def take_times(thread: Thread, event: dict[str, Any]) -> None:
    """When a call began and ended, to the millisecond."""
    item = given(event, "item", dict) or {}
    call = thread.calls.get(str(item.get("call_id") or item.get("id")))
    started, completed = given(event, "started_at_ms", int), given(event, "completed_at_ms", int)
    if call is not None and started and completed and 0 < started <= completed < 2**45:
        call.start, call.end, call.answered = started * 1_000, completed * 1_000, True


def take_counts(thread: Thread, event: dict[str, Any]) -> None:
    """Tokens since the last count, used by the latest response; a count that repeats the last one is nothing."""
    info = given(event, "info", dict) or {}
    totals = counts_in(info.get("total_token_usage"))
    last = counts_in(info.get("last_token_usage"))
    if totals and totals == thread.totals:
        thread.reading.skipped["token counts that repeat another"] += 1
        return
    grown = {key: count - thread.totals.get(key, 0) for key, count in totals.items()}
    if not totals or not thread.totals or min(grown.values()) < 0:  # the first may carry what an earlier thread used
        grown = last or grown
    thread.totals = totals or thread.totals
    if thread.responses and all(count >= 0 for count in grown.values()):
        usage = thread.responses[-1].usage
        for key, count in grown.items():
            usage[COUNTS[key]] = usage.get(COUNTS[key], 0) + count


def counts_in(usage: Any) -> dict[str, int]:
    """The counts of tokens in an object."""
    usage = usage if isinstance(usage, dict) else {}
    return {key: usage[key] for key in COUNTS if type(usage.get(key)) is int}


def text_of(content: Any) -> str:
    """The text of a message."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))
