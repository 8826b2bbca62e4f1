"""The lines of a Codex rollout, grouped into tool calls and model responses.

A line is ``{"timestamp", "type", "payload"}``. The model's output consists of response items; a response is a run of items that
neither a tool's output nor a user's message interrupts. The start of a response is not recorded: it is the latest time at which
the model was asked, by a tool's output, a user's message, a compaction or the start of a turn. Other events repeat an item and
may be recorded just before it, so they start nothing. Token counts are running totals, so a response used the difference of two
totals.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from tokenvis.conventions.span import optional_value, required_value
from tokenvis.conventions.timestamps import microseconds
from tokenvis.conventions.values import decode_json_text
from tokenvis.formats.files.reading import Reading

CALL_TYPES = {"function_call", "custom_tool_call", "local_shell_call", "tool_search_call", "web_search_call", "mcp_tool_call"}
UNNAMED_TOOLS = {"local_shell_call": "shell", "tool_search_call": "tool_search", "web_search_call": "web_search"}
CODEX_NON_USER_PREFIXES = (
    "<environment_context",
    "<user_instructions",
    "<permissions",
    "# AGENTS.md",
    "<turn_aborted",
    "<subagent_",
)
TURN_START_TYPES = ("task_started", "turn_started")
TURN_END_TYPES = {"task_complete", "turn_complete", "turn_aborted", "shutdown_complete"}
EXIT_CODE = re.compile(r"(?:exited with code|exit code:?|\"exit_code\":)\s*(-?\d+)", re.IGNORECASE)
CODEX_TOKEN_KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}


@dataclass
class ModelResponse:
    """A model response, from the time at which the model was asked to its last item; or a compaction, to its line."""

    number: int
    start: int
    end: int
    model: str | None
    prompt: str | None
    texts: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    is_compaction: bool = False


@dataclass
class CodexToolCall:
    """A tool call, the number of the response that asked for it, and its result."""

    id: str
    name: str
    arguments: Any
    start: int
    response: int
    end: int | None = None
    result: Any = None
    failed: bool = False
    answered: bool = False
    estimated: bool = False


@dataclass
class CodexThread:
    """The work of one thread: its calls by id and its responses, in the order of their lines.

    ``asked`` is the latest time at which the model was asked. ``open_turn`` is the id of a turn that an event began, "" if the
    event has no id.
    """

    reading: Reading
    calls: dict[str, CodexToolCall] = field(default_factory=dict)
    responses: list[ModelResponse] = field(default_factory=list)
    current_response: ModelResponse | None = None
    model: str | None = None
    pending_prompt: str | None = None
    first_prompt: str | None = None
    asked: int | None = None
    open_turn: str | None = None
    last_event: int | None = None
    first_seen: int | None = None
    token_totals: dict[str, int] = field(default_factory=dict)


def add_rollout_line(thread: CodexThread, line: dict[str, Any]) -> None:
    """Add one line to the thread."""
    line_type, payload = optional_value(line, "type", str), required_value(line, "payload", dict)
    time = microseconds(required_value(line, "timestamp", str))
    payload_type = optional_value(payload, "type", str) or ""
    thread.asked = time if thread.asked is None else thread.asked
    if line_type == "response_item":
        add_item(thread, payload, payload_type, time)
    elif line_type == "event_msg":
        add_thread_event(thread, payload, payload_type, time)
    elif line_type == "turn_context":
        thread.model = optional_value(payload, "model", str) or thread.model
        if thread.open_turn is None or (optional_value(payload, "turn_id", str) or thread.open_turn) != thread.open_turn:
            start_turn(thread, time)
    elif line_type == "compacted":
        add_compaction(thread, time)
    elif line_type != "session_meta":
        thread.reading.skipped[f"lines of type {str(line_type)[:40]!r}"] += 1
        return
    thread.first_seen = time if thread.first_seen is None else min(thread.first_seen, time)
    thread.last_event = time if thread.last_event is None else max(thread.last_event, time)


def add_item(thread: CodexThread, item: dict[str, Any], item_type: str, time: int) -> None:
    """Add an item of the conversation."""
    if item_type.endswith("_output"):
        add_tool_output(thread, item, time)
    elif item_type in CALL_TYPES:
        add_tool_call(thread, item, item_type, time)
    elif item_type == "message" and item.get("role") == "user":
        add_prompt(thread, message_text(item.get("content")), time)
    elif item_type == "message" and item.get("role") == "assistant":
        response_at(thread, time).texts.append(message_text(item.get("content")))
    elif item_type == "reasoning":
        response_at(thread, time)
    else:
        thread.reading.skipped[f"items of type {item_type[:40]!r}"] += 1


def response_at(thread: CodexThread, time: int) -> ModelResponse:
    """The current response of the model, a new one if the last was interrupted."""
    if thread.current_response is None:
        start = time if thread.asked is None else min(thread.asked, time)
        thread.current_response = ModelResponse(len(thread.responses), start, time, thread.model, thread.pending_prompt)
        thread.responses.append(thread.current_response)
        thread.pending_prompt = None
    thread.current_response.end = max(thread.current_response.end, time)
    return thread.current_response


def ask(thread: CodexThread, time: int) -> None:
    """Record that the model was asked, after which its next response starts."""
    thread.asked = time if thread.asked is None else max(thread.asked, time)


def start_turn(thread: CodexThread, time: int) -> None:
    """Start a turn. Calls without an output, as of a killed program, ended before, unless their output follows."""
    end_calls(thread, time if thread.last_event is None else thread.last_event)
    ask(thread, time)


def end_calls(thread: CodexThread, time: int) -> None:
    """End the calls without an output, which stay open: an output extends them."""
    for call in thread.calls.values():
        call.end = max(call.start, time) if call.end is None else call.end


def add_compaction(thread: CodexThread, time: int) -> None:
    """Add the call of the model that summarised the conversation, which is recorded when it is over."""
    prompt, thread.pending_prompt, thread.current_response = thread.pending_prompt, None, None
    response_at(thread, time).is_compaction = True
    thread.pending_prompt, thread.current_response = prompt, None
    ask(thread, time)


def add_prompt(thread: CodexThread, text: str, time: int) -> None:
    """Add a message of the user, unless the program wrote it."""
    if text.strip() and not text.lstrip().startswith(CODEX_NON_USER_PREFIXES):
        ask(thread, time)
        thread.current_response = None
        thread.pending_prompt = text
        thread.first_prompt = thread.first_prompt or text


def add_tool_call(thread: CodexThread, item: dict[str, Any], item_type: str, time: int) -> None:
    """Add a tool call; a web search is logged when it is done and has no output."""
    name = optional_value(item, "name", str) or UNNAMED_TOOLS.get(item_type, item_type.removesuffix("_call"))
    done = item_type == "web_search_call" and "call_id" not in item
    asked = thread.current_response.end if thread.current_response else thread.asked
    start = min(time if asked is None else asked, time) if done else time
    call_id = optional_value(item, "call_id", str) or optional_value(item, "id", str) or f"{name}.{len(thread.calls)}"
    if call_id in thread.calls:
        thread.reading.skipped["repeated calls"] += 1
        return
    arguments = next((item[key] for key in ("arguments", "input", "action") if key in item), None)
    response = response_at(thread, time)
    response.tools.append(name)
    call = CodexToolCall(call_id, name, decode_json_text(arguments), start, response.number, answered=done, estimated=done)
    call.end = time if done else None
    thread.calls[call_id] = call


def add_tool_output(thread: CodexThread, item: dict[str, Any], time: int) -> None:
    """Add the output of a tool."""
    call = thread.calls.get(required_value(item, "call_id", str))
    thread.current_response = None
    ask(thread, time)
    if call is None:
        thread.reading.skipped["results of missing calls"] += 1
        return
    call.end = time if call.end is None else max(call.end, time)
    call.answered = True
    call.result = decode_json_text(next((item[key] for key in ("output", "tools") if key in item), None))
    call.failed = has_failed(call.result)


def has_failed(result: Any) -> bool:
    """Whether a result reports a failure, by a flag or by the exit code of a command."""
    if isinstance(result, dict):
        metadata = result.get("metadata")
        code = metadata.get("exit_code") if isinstance(metadata, dict) else result.get("exit_code")
        return result.get("success") is False or (isinstance(code, int) and code != 0)
    match = EXIT_CODE.search(result[:500]) if isinstance(result, str) else None
    return match is not None and int(match[1][:9]) != 0


def add_thread_event(thread: CodexThread, event: dict[str, Any], event_type: str, time: int) -> None:
    """Add an event outside the conversation: token counts, ends of turns, exact times of a call."""
    if event_type == "token_count":
        add_token_counts(thread, event)
    elif event_type == "user_message" and thread.pending_prompt is None and thread.current_response is None:
        add_prompt(thread, optional_value(event, "message", str) or "", time)
    elif event_type in TURN_START_TYPES:
        start_turn(thread, time)
        thread.open_turn = optional_value(event, "turn_id", str) or ""
    elif event_type in TURN_END_TYPES:
        thread.current_response = thread.open_turn = thread.asked = None
        end_calls(thread, time)
    elif event_type == "item_completed":
        set_call_times(thread, event)


def set_call_times(thread: CodexThread, event: dict[str, Any]) -> None:
    """Set the exact times of a call, in milliseconds in the source."""
    item = optional_value(event, "item", dict) or {}
    call = thread.calls.get(str(item.get("call_id") or item.get("id")))
    started, completed = optional_value(event, "started_at_ms", int), optional_value(event, "completed_at_ms", int)
    if call is not None and started and completed and 0 < started <= completed < 2**45:
        call.start, call.end, call.answered = started * 1_000, completed * 1_000, True


def add_token_counts(thread: CodexThread, event: dict[str, Any]) -> None:
    """Add the tokens since the last count to the latest response; a repeated count is skipped."""
    info = optional_value(event, "info", dict) or {}
    totals = usage_counts(info.get("total_token_usage"))
    last = usage_counts(info.get("last_token_usage"))
    if totals and totals == thread.token_totals:
        thread.reading.skipped["repeated token counts"] += 1
        return
    deltas = {key: count - thread.token_totals.get(key, 0) for key, count in totals.items()}
    if not totals or not thread.token_totals or min(deltas.values()) < 0:  # the first total may include an earlier thread
        deltas = last or deltas
    thread.token_totals = totals or thread.token_totals
    if thread.responses and all(count >= 0 for count in deltas.values()):
        usage = thread.responses[-1].usage
        for key, count in deltas.items():
            usage[CODEX_TOKEN_KEYS[key]] = usage.get(CODEX_TOKEN_KEYS[key], 0) + count


def usage_counts(usage: Any) -> dict[str, int]:
    """The token counts in a usage object."""
    usage = usage if isinstance(usage, dict) else {}
    return {key: usage[key] for key in CODEX_TOKEN_KEYS if type(usage.get(key)) is int}


def message_text(content: Any) -> str:
    """The text of a message."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))
