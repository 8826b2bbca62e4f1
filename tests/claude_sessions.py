"""Claude Code sessions made by tests: `write` makes a file of lines, `span_texts` reads it and returns its spans as text.

Times are seconds since T0. A line gets a uuid (file and number) and the session's id unless it has its own; lines of a file
``agent-<id>.jsonl`` belong to that agent. Text and bytes are written unchanged.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from tokenvis import expand_data, ingest

T0 = datetime(2026, 6, 21, 10, tzinfo=UTC)
T0_US = 1_782_036_000_000_000


def at(time):
    return (T0 + timedelta(seconds=time)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prompt(time, text, **more):
    return {"type": "user", "timestamp": at(time), "message": {"role": "user", "content": text}, **more}


def reply(time, message, *blocks, usage=None, model="opus", **more):
    """A line of a message; a block is a text, or a `call`. Usage is (input, output) tokens."""
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    counts = dict(zip(("input_tokens", "output_tokens"), usage or (10, 1), strict=True))
    body = {"role": "assistant", "id": message, "model": model, "content": content, "usage": counts}
    return {"type": "assistant", "timestamp": at(time), "message": body, **more}


def call(tool_use, name="Bash", **given):
    return {"type": "tool_use", "id": tool_use, "name": name, "input": given}


def reasoning(text):
    return {"type": "thinking", "thinking": text, "signature": "s"}


def result(time, tool_use, text="done", *, error=False, **more):
    block = {"type": "tool_result", "tool_use_id": tool_use, "content": text, "is_error": error}
    return prompt(time, [block], **more)


def echo(time, agent, tool_use):
    """An echo of a subagent in its parent's file."""
    data = {"type": "agent_progress", "agentId": agent, "message": reply(time, "echoed", "echo", usage=(1000, 1000))}
    return {"type": "progress", "timestamp": at(time), "parentToolUseID": tool_use, "data": data}


def hook(time):
    return {"type": "progress", "timestamp": at(time), "data": {"type": "hook_progress", "hookEvent": "PostToolUse"}}


def write(path, *lines, session="s1"):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = {"sessionId": session, "isSidechain": False}
    if path.stem.startswith("agent-"):
        mine |= {"isSidechain": True, "agentId": path.stem.removeprefix("agent-")}
    texts = []
    for number, line in enumerate(lines):
        if isinstance(line, dict):
            line = json.dumps({**mine, "uuid": f"{path.stem}-{number}", **line})
        texts.append(line.encode() if isinstance(line, str) else line)
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    return path


def agent(name, *lines, folder="s1/subagents", meta=None, **more):
    """A subagent's file, with its metadata file."""
    path = write(f"{folder}/agent-{name}.jsonl", *lines, **more)
    if meta:
        path.with_suffix(".meta.json").write_text(json.dumps(meta))
    return path


def seconds(times):
    return [f"{(time - T0_US) / 1e6:g}" for time in times]


def spans_in(report, *keys):
    """The spans as a frame, with keys of their data."""
    return expand_data(report.spans(), keys)


def report_lines(report):
    """Each span as text: "agent location start-end", its status unless it is ok, "^" and its parent."""
    spans = spans_in(report, "status", "parent_id")
    texts = []
    for span, start, end in zip(spans.itertuples(), seconds(spans["start_time"]), seconds(spans["end_time"]), strict=True):
        status = "" if span.status == "ok" or pd.isna(span.status) else f" {span.status}"
        parent = "" if pd.isna(span.parent_id) else f" ^{span.parent_id.removeprefix(span.trace_id + '/')}"
        texts.append(f"{span.agent_id} {span.location_id} {start}-{end}{status}{parent}")
    return texts


def span_texts(path="s1.jsonl", **options):
    return report_lines(ingest(path, **options))


CONTINUED = [
    prompt(0, "go"),
    reply(2, "m1", call("t1"), usage=(10, 100), requestId="r1"),
    result(5, "t1"),
    reply(7, "m2", "done", usage=(20, 200), requestId="r2"),
]
CONTINUATION = [prompt(60, "more"), reply(62, "m3", "more done", usage=(30, 300), requestId="r3")]
