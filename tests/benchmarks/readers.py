"""How fast traces come in, and how much memory that takes: ``npm run benchmarks:readers -- 100``, or more sizes, in MB.

A file of OTLP, one span a line, is made anew, in a temporary folder, as an agent's SDK sends it: 1.3 kB a span, a thousand
spans a trace. Against the time of parsing its lines with orjson alone: the reader, which makes spans of them; and `ingest`,
which finds their agents, and writes them to a new database. Then the same spans as one JSON document, against Python's own
json, which needs all of it in memory. Memory is the highest resident set of the process, above what it had before. By default
100 MB and 1 GB.
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
    """A span: an agent's run, a call of a tool, or one of a model."""
    trace, place = divmod(number, PER_TRACE)
    said: dict[str, str | int] = {"gen_ai.conversation.id": "4a8f63f6-7626-4416-a874-fc7bd2c3f005"}
    if place % 20 == 0:
        name = "invoke_agent"
        said |= {"gen_ai.operation.name": name, "gen_ai.agent.name": f"Agent {place % 7}"}
    elif place % 3:
        name = "execute_tool get_file"
        said |= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_file",
            "gen_ai.tool.call.id": f"call_{number}",
        }
        said |= {
            "gen_ai.tool.description": "Read the contents of a file.",
            "gen_ai.tool.call.arguments": '{"path":"src/App.cs"}',
        }
        said |= {"gen_ai.tool.call.result": "namespace Example.App;\npublic class App { }\n" * 2}
    else:
        name = "chat"
        said |= {"gen_ai.operation.name": name, "gen_ai.request.model": "large", "gen_ai.response.id": f"resp_{number}"}
        said |= {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
    above = {"parentSpanId": f"{trace * PER_TRACE + 1 + (place - 1) // 5:016x}"} if place else {}
    times = {"startTimeUnixNano": str(START + number * 10**6), "endTimeUnixNano": str(START + number * 10**6 + 5 * 10**9)}
    ids = {"traceId": f"{trace + 1:032x}", "spanId": f"{number + 1:016x}", **above}
    return {**ids, "name": name, "kind": 1, **times, "attributes": [pair(key, value) for key, value in said.items()]}


def group(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Spans with their resource."""
    resource = {"attributes": [pair(key, f"a value of {key}") for key in RESOURCE]}
    return {"resource": resource, "scopeSpans": [{"scope": {}, "spans": spans}]}


def write_lines(path: Path, size: int) -> int:
    """Lines of OTLP up to a size in MB, in which children may stand before their parents; how many."""
    chance, count, waiting = random.Random(size), 0, []
    with path.open("wb") as file:
        while file.tell() < size * 10**6:
            waiting += [span(count + place) for place in range(PER_TRACE)]
            count += PER_TRACE
            chance.shuffle(waiting)
            for one in waiting:
                file.write(orjson.dumps({"resourceSpans": [group([one])]}) + b"\n")
            waiting.clear()
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
    """Parse each line, and keep nothing."""
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def read(path: Path) -> None:
    """Make spans of a file, and keep nothing."""
    for _ in otlp.read(Reading(Source(path, path.name, path.name))):
        pass


def row(name: str, took: tuple[float, float], peer: float, count: int) -> None:
    """Print a row of the table."""
    print(f"| {name} | {took[0]:.2f} s | {took[0] / peer:.1f}x | {took[0] / count * 1e6:.1f} µs | {took[1] / 1e6:,.0f} MB |")


def compare(folder: Path, size: int) -> None:
    """Print the table of one size."""
    lines, document = folder / "lines.jsonl", folder / "document.json"
    count = write_lines(lines, size)
    write_document(document, count)
    sizes = " and ".join(f"{path.stat().st_size / 1e6:,.0f} MB" for path in (lines, document))
    print(f"\n{count:,} spans, {sizes}\n\n| | time | over its peer | a span | memory above the start |")
    print("| --- | --- | --- | --- | --- |")
    bare = measured(lambda: parse_lines(lines))
    row("lines: orjson alone", bare, bare[0], count)
    row("lines: the reader", measured(lambda: read(lines)), bare[0], count)
    row("lines: ingest", measured(lambda: tv.ingest(lines, store=folder / "a.db")), bare[0], count)
    row("lines: ingest again", measured(lambda: tv.ingest(lines, store=folder / "a.db")), bare[0], count)
    peer = measured(lambda: json.loads(document.read_bytes()))
    row("document: json alone", peer, peer[0], count)
    row("document: ingest", measured(lambda: tv.ingest(document, store=folder / "b.db")), peer[0], count)


def main() -> None:
    """Print the tables."""
    print(f"Python {platform.python_version()}, orjson {orjson.__version__}, {os.cpu_count()} cores, {platform.machine()}")
    for size in [int(size) for size in sys.argv[1:]] or SIZES:
        with TemporaryDirectory() as folder:
            compare(Path(folder), size)


if __name__ == "__main__":
    main()
