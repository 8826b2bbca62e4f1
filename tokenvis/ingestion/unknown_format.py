"""The error for a source in no known format: what it looks like, and what to do next.

The next step depends on the content: a file of a tool that tokenvis does not read is named as such, a table gets a proposal for
``columns=``, and a document whose rows are in one of its lists gets the line that loads them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenvis.errors import IngestError, listed, nearest, plural, quoted
from tokenvis.formats.files.head import Head
from tokenvis.formats.files.reading import Problem
from tokenvis.formats.files.sources import Source
from tokenvis.formats.registry import FORMATS
from tokenvis.ingestion.column_names import SAMPLE_TIMES, proposed_columns
from tokenvis.ingestion.unsupported import unsupported_tool

MAX_REASONS = 5  # problems in the error if no file can be read
SEPARATORS = ("\t", ";", "|")  # of columns, in a file that is not CSV
MAX_FILES = 5  # files of a folder that the error describes
FORMAT_ALIASES = {  # names of formats that a caller may try, and the right one
    **dict.fromkeys(["csv", "parquet", "jsonl", "dataframe", "pandas"], "table"),
    **dict.fromkeys(["opentelemetry", "otel", "tempo", "protobuf"], "otlp"),
    **dict.fromkeys(["perfetto", "viztracer", "trace_event"], "chrome_trace"),
    "openinference": "phoenix",
    "generative_agents": "smallville",
}


def unknown_format_name(name: object) -> str:
    """What is wrong with a ``format`` option that is none, and which one it may be."""
    key = name.strip().lower().replace("-", "_") if isinstance(name, str) else ""
    similar = [FORMAT_ALIASES[key]] if key in FORMAT_ALIASES else nearest(key, FORMATS)[:1]
    question = f" Did you mean {similar[0]!r}?" if similar else ""
    return f"{quoted(name)} is not one of {', '.join(map(repr, FORMATS))}.{question}"


def unknown_format(source_input: Any, heads: list[tuple[Source, Head]], n_files: int, problems: list[Problem]) -> IngestError:
    """The error if no source has a known format; ``heads`` has the sources that can be opened."""
    formats = f"Known formats: {', '.join(f'{reader.NAME} ({name})' for name, reader in FORMATS.items())}."
    reasons = "".join(f" {problem}" for problem in problems[:MAX_REASONS])
    if len(problems) > MAX_REASONS:
        reasons += f" And {plural(len(problems) - MAX_REASONS, 'other problem')}."
    if not n_files:
        return IngestError(f"No file in {source_input} can be read{what_is_in(source_input)}.{reasons}")
    if not heads:
        return IngestError(reasons.removeprefix(" "))
    if n_files == 1:
        source, head = heads[0]
        step = next_step(source, head)
        return IngestError(f"{source.name} has no known format: it looks like {head}. {step}{formats}{reasons}")
    looks = "; ".join(f"{source.name} looks like {head}" for source, head in heads[:MAX_FILES])
    more = f"; and {len(heads) - MAX_FILES:,} more" if len(heads) > MAX_FILES else ""
    tools = dict.fromkeys(tool for _, head in heads if (tool := unsupported_tool(head)))
    steps = "".join(f"{tool} " for tool in list(tools)[:MAX_FILES])
    return IngestError(
        f"None of the {plural(n_files, 'file')} in {source_input} has a known format: {looks}{more}. {steps}{formats}{reasons}"
    )


def what_is_in(source_input: Any) -> str:
    """What a folder or archive without readable files contains."""
    try:
        names = sorted(path.name for path in Path(source_input).iterdir())
    except (OSError, TypeError, ValueError):
        return ""
    if not names:
        return ": the folder is empty"
    return f": it contains {listed(names)}, and databases are not read. A store is read with load_spans(store=path)"


def next_step(source: Source, head: Head) -> str:
    """What to do with a file of this head, with a blank at its end; empty if nothing but the formats can be named."""
    if tool := unsupported_tool(head):
        return f"{tool} "
    if head.kind in ("lines", "document") and len(head.objects) == 1 and not isinstance(head.values[0], list):
        return step_into(source, head.objects[0])
    separator = next((mark for mark in SEPARATORS if mark in "".join(head.names)), None) if head.kind == "text" else None
    if separator:
        load = f"pd.read_csv({source.name!r}, sep={separator!r})"
        step = table_step(head.names[0].split(separator), is_table=True)
        return f"It may be a table: load it with {load}, and ingest the DataFrame. {step}"
    if head.kind == "text":
        return ""
    return table_step(head.names or dict.fromkeys(key for item in head.objects for key in item), is_table=bool(head.names))


def step_into(source: Source, document: dict[str, Any]) -> str:
    """How to load the rows in a document, from the first list of objects in it; empty if it has none."""
    lists = [key for key, value in document.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if not lists:
        return ""
    load = f"pd.DataFrame(json.load(open({source.name!r}))[{lists[0]!r}])"
    names = dict.fromkeys(str(key) for item in document[lists[0]] if isinstance(item, dict) for key in item)
    rows = f"Its rows may be under {quoted(lists[0])}: load them with {load}, and ingest the DataFrame."
    return f"{rows} {table_step(names)}"


def table_step(names: Iterable[str], *, is_table: bool = False) -> str:
    """How to read a table with these columns: as spans, samples or events; empty if it need not be one."""
    names = list(names)
    if "start_time" in names and {"agent_id", "location_id"} & set(names):
        return ""  # a table of spans, once it is loaded
    columns = proposed_columns(names)
    if not is_table and "start_time" not in columns:
        return ""
    shown = ", ".join(f"{field!r}: {quoted(name)}" for field, name in columns.items())
    if "end_time" in columns or "duration" in columns:
        return f"If its rows are spans, name its columns: columns={{{shown}}}, and unit= of numbers, such as unit='s'. "
    start, agent, place = (columns.get(field) for field in ("start_time", "agent_id", "location_id"))
    if start is None or agent is None:
        known = f"{shown}, " if shown else ""
        missing = [field for field in ("start_time", "end_time", "agent_id", "location_id") if field not in columns]
        rest = ", ".join(f"{field!r}: ..." for field in missing)
        return f"If its rows are spans, name its columns: columns={{{known}{rest}}}. "
    arguments = f"time={quoted(start)}, agent={quoted(agent)}, location={quoted(place) if place else '...'}"
    samples = f"If its rows are samples, who is where at a step, use spans_from_samples(table, {arguments}, step_us=...)"
    events = f"if they are events, such as an arrival, spans_from_events(table, {arguments}, event=...)"
    if any(word in start.lower() for word in SAMPLE_TIMES):
        return f"{samples}; {events}. "
    return f"{samples}; {events}; if they are spans without ends, columns={{{shown}}}. "
