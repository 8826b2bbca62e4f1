"""Time and memory of reading traces: ``npm run benchmarks:readers -- 100``, or more sizes, in MB.

A new OTLP file with one span per line is written to a temporary folder, as an agent's SDK sends it: 1.3 kB per span, a thousand
spans per trace. The time of parsing its lines with orjson alone is compared with the reader, which converts them to spans, and
with `ingest`, which also finds their agents and writes them to a new database. Then the same spans as one JSON document are
compared with Python's own json, which needs all of it in memory. Memory is the peak resident set of the process above its
initial size. By default 100 MB and 1 GB.
"""

import json
import os
import platform
import random
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from watching import measured

import tokenvis as tv
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.sources import Source
from tokenvis.formats.telemetry.otlp import reader as otlp

SIZES = (100, 1_000)
PER_TRACE = 1_000
START = 1_781_293_600_000_000_000
RESOURCE = ["service.name", "service.namespace", "service.version", "service.instance.id", "process.runtime.name"]


def pair(key: str, value: str | int) -> dict[str, Any]:
    """A key and its typed value."""
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}


def span(number: int) -> dict[str, Any]:
    """A span: an agent run, a tool call or a model call."""
    trace, index = divmod(number, PER_TRACE)
    attributes: dict[str, str | int] = {"gen_ai.conversation.id": "4a8f63f6-7626-4416-a874-fc7bd2c3f005"}
    if index % 20 == 0:
        name = "invoke_agent"
        attributes |= {"gen_ai.operation.name": name, "gen_ai.agent.name": f"Agent {index % 7}"}
    elif index % 3:
        name = "execute_tool get_file"
        attributes |= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_file",
            "gen_ai.tool.call.id": f"call_{number}",
        }
        attributes |= {
            "gen_ai.tool.description": "Read the contents of a file.",
            "gen_ai.tool.call.arguments": '{"path":"src/App.cs"}',
        }
        attributes |= {"gen_ai.tool.call.result": "namespace Example.App;\npublic class App { }\n" * 2}
    else:
        name = "chat"
        attributes |= {"gen_ai.operation.name": name, "gen_ai.request.model": "large", "gen_ai.response.id": f"resp_{number}"}
        attributes |= {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
    parent = {"parentSpanId": f"{trace * PER_TRACE + 1 + (index - 1) // 5:016x}"} if index else {}
    times = {"startTimeUnixNano": str(START + number * 10**6), "endTimeUnixNano": str(START + number * 10**6 + 5 * 10**9)}
    ids = {"traceId": f"{trace + 1:032x}", "spanId": f"{number + 1:016x}", **parent}
    return {**ids, "name": name, "kind": 1, **times, "attributes": [pair(key, value) for key, value in attributes.items()]}


def group(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Spans with their resource."""
    resource = {"attributes": [pair(key, f"a value of {key}") for key in RESOURCE]}
    return {"resource": resource, "scopeSpans": [{"scope": {}, "spans": spans}]}


def write_lines(path: Path, size: int) -> int:
    """Write shuffled lines of OTLP, up to a size in MB, and return their number; children may precede their parents."""
    rng, count, batch = random.Random(size), 0, []
    with path.open("wb") as file:
        while file.tell() < size * 10**6:
            batch += [span(count + index) for index in range(PER_TRACE)]
            count += PER_TRACE
            rng.shuffle(batch)
            for record in batch:
                file.write(orjson.dumps({"resourceSpans": [group([record])]}) + b"\n")
            batch.clear()
    return count


def write_document(path: Path, count: int) -> None:
    """The same spans as one document."""
    head, tail = orjson.dumps({"resourceSpans": [group([])]}).split(b'"spans":[')
    with path.open("wb") as file:
        file.write(head + b'"spans":[')
        for number in range(count):
            file.write((b"," if number else b"") + orjson.dumps(span(number)))
        file.write(tail)


def parse_lines(path: Path) -> None:
    """Parse each line and discard the result."""
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def read(path: Path) -> None:
    """Read the spans of a file and discard them."""
    for _ in otlp.read(Reading(Source(path, path.name, path.name))):
        pass


def row(name: str, measurement: tuple[float, float], baseline: float, count: int) -> None:
    """Print a row of the table."""
    seconds, memory = measurement
    print(f"| {name} | {seconds:.2f} s | {seconds / baseline:.1f}x | {seconds / count * 1e6:.1f} µs | {memory / 1e6:,.0f} MB |")


def compare(folder: Path, size: int) -> None:
    """Print the table of one size."""
    lines, document = folder / "lines.jsonl", folder / "document.json"
    count = write_lines(lines, size)
    write_document(document, count)
    sizes = " and ".join(f"{path.stat().st_size / 1e6:,.0f} MB" for path in (lines, document))
    print(f"\n{count:,} spans, {sizes}\n\n| | time | ratio to baseline | time per span | memory above the start |")
    print("| --- | --- | --- | --- | --- |")
    orjson_alone = measured(lambda: parse_lines(lines))
    row("lines: orjson alone", orjson_alone, orjson_alone[0], count)
    row("lines: the reader", measured(lambda: read(lines)), orjson_alone[0], count)
    row("lines: ingest", measured(lambda: tv.ingest(lines, store=folder / "a.db")), orjson_alone[0], count)
    row("lines: ingest again", measured(lambda: tv.ingest(lines, store=folder / "a.db")), orjson_alone[0], count)
    json_alone = measured(lambda: json.loads(document.read_bytes()))
    row("document: json alone", json_alone, json_alone[0], count)
    row("document: ingest", measured(lambda: tv.ingest(document, store=folder / "b.db")), json_alone[0], count)


def main() -> None:
    """Print the tables."""
    print(f"Python {platform.python_version()}, orjson {orjson.__version__}, {os.cpu_count()} cores, {platform.machine()}")
    for size in [int(size) for size in sys.argv[1:]] or SIZES:
        with TemporaryDirectory() as folder:
            compare(Path(folder), size)


if __name__ == "__main__":
    main()
