"""Export: writes spans to a file that other programs read, or traces of any number to the folder of a fleet."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, overload, runtime_checkable

import pandas as pd
from tqdm import tqdm

from tokenvis.errors import BadOption, FleetError, TraceNotFound, check_choice, listed, quoted
from tokenvis.fleet.sources.folder import FolderSource, parquet_files
from tokenvis.fleet.sources.opening import opened_source
from tokenvis.fleet.sources.places import Place, place_of
from tokenvis.fleet.sources.source import FleetSource
from tokenvis.fleet.sources.stored import FrameSource, StoreSource
from tokenvis.fleet.writing.staging import check_target, staged_files
from tokenvis.fleet.writing.writer import files_of_traces, write_fleet_file
from tokenvis.formats.export import Format, export_file
from tokenvis.formats.fleet.schema import file_name_of
from tokenvis.formats.registry import WRITERS
from tokenvis.spans.redaction import CONTENTS, Content, Redactor
from tokenvis.store.store import Store

FLEET = "fleet"
EXPORT_FORMATS = (*WRITERS, FLEET)
PROGRESS_FROM_SPANS = 200_000  # from so many spans on, a progress bar is shown
ExportFormat: TypeAlias = Literal["chrome", "otlp", "parquet", "csv", "jsonl", "fleet"]


@runtime_checkable
class HasSource(Protocol):
    """A fleet: it has a source of traces."""

    source: FleetSource


ExportSource: TypeAlias = pd.DataFrame | Store | str | os.PathLike[str] | FleetSource | HasSource


class ExportedFleet(NamedTuple):
    """What was written to the folder of a fleet, and how many texts were shortened or removed because of ``content``."""

    place: Place
    n_spans: int
    n_traces: int
    n_cut: int
    files: list[str]


@overload
def export(
    source: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,
    content: Content = "full",
    filesystem: None = None,
) -> Path: ...
@overload
def export(
    source: ExportSource,
    path: str | os.PathLike[str],
    *,
    format: Literal["fleet"],
    content: Content = "full",
    filesystem: Any = None,
) -> Path | str: ...
def export(
    source: ExportSource,
    path: str | os.PathLike[str],
    *,
    format: ExportFormat | None = None,  # noqa: A002  (the usual name of such an option)
    content: Content = "full",
    filesystem: Any = None,
) -> Path | str:
    """Write spans to a file: for Perfetto, for OpenTelemetry, or as a table; or traces to the folder of a fleet.

    The file is written completely or not at all: if an error occurs, no new file appears, and an existing one is unchanged.
    `tokenvis.ingest` reads each of these formats back.

    Parameters
    ----------
    source
        A frame of spans, of one or several traces. For a fleet also a `Store`, the path or URL of a database, or a fleet or its
        folder: then a row group is in memory at a time, not all spans.
    path
        The file; an existing file is replaced. For a fleet, a folder, or a URL of an Arrow file system such as
        ``s3://bucket/spans``: files are added, and none is changed.
    format
        "chrome": trace events for ui.perfetto.dev, an agent as a process, a location as a thread, a link as an arrow.
        "otlp": a JSON document of OpenTelemetry. "parquet", "csv", "jsonl": a table with a row for each span; in CSV, a text
        that a spreadsheet would run as a formula gets an apostrophe. By default the file's suffix decides: ``.parquet``,
        ``.csv``, ``.jsonl``, ``.otlp.json`` (otlp), or any other ``.json`` (chrome). "fleet": a folder of Parquet files of
        whole traces, for any number of traces.
    content
        How much free text (labels, prompts, answers, inputs and outputs of tools) the file contains: "full"; "short", the first
        200 characters of each text; "none", only numbers and names: ids, agents, locations, models, tools, kinds, statuses.
    filesystem
        For a fleet: a file system of ``pyarrow.fs`` or fsspec, in which ``path`` is. By default that of the URL, or this
        machine.

    Returns
    -------
    Path
        The file or folder; the URL of a folder that is not on this machine.

    Raises
    ------
    MissingColumn, BadSpan
        ``source`` is not a frame of spans, or contains a span twice; ``data`` is nested more than 900 levels deep; a time is
        before 1970 or after 2554 (otlp), or beyond the year 9999 (csv, jsonl).
    BadOption
        The format or ``content`` is unknown, ``path`` is not valid, or ``source`` is no frame and the format is not "fleet".
    FleetError
        The folder of a fleet has one of the traces already, cannot be written, or has other Parquet files.
    StoreNotFound, StoreError
        There is no database, or it cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> spans = pd.DataFrame({
    ...     "id": ["a"], "trace_id": "t", "agent_id": ["Ann"], "location_id": "desk", "start_time": [0], "end_time": [5],
    ... })
    >>> print(export(spans, "spans.csv").read_text())
    id,trace_id,agent_id,location_id,start_time,end_time,data
    a,t,Ann,desk,0,5,
    """
    if format == FLEET:
        place = export_fleet(source, path, content=content, filesystem=filesystem).place
        return place.shown if place.local is None else place.local
    if format is not None:
        check_choice("format", format, EXPORT_FORMATS)
    if filesystem is not None:
        raise BadOption("filesystem= is for format='fleet' only. Other formats are written to a path on this machine.")
    if isinstance(source, Store | str | os.PathLike | HasSource | FleetSource):
        raise BadOption(
            f"source={quoted(source)} is not a frame of spans. Pass load_spans(...), or format='fleet', which takes a store."
        )
    return export_file(source, path, format=format, content=content).path  # type: ignore[arg-type]  # it refuses others


def export_fleet(
    source: Any,
    path: str | os.PathLike[str],
    *,
    content: Content = "full",
    filesystem: Any = None,
    traces: Iterable[str] | None = None,
) -> ExportedFleet:
    """Write the traces of a source to the folder of a fleet, as `export` does; ``traces`` are ids or names, None for all."""
    check_choice("content", content, CONTENTS)
    place = place_of(path, filesystem)
    check_target(place)
    origin = opened_source(source)
    redactor = Redactor(content)
    sizes = named_as(content, sizes_of(origin, traces), redactor)
    n_spans = int(sizes["n_spans"].sum())
    known = files_in(place)
    check_new(place, known, sizes)
    with staged_files(place) as stage, progress_bar(n_spans) as bar:
        written = 0
        for group in files_of_traces(sizes) if len(sizes) or known else [[]]:
            with stage.file(file_name_of(trace.id for trace in group)) as file:
                written += write_fleet_file(file, origin, group, None if content == "full" else redactor, bar.update)
        with stage.turn():
            check_new(place, set(files_in(place)).difference(known, stage.names), sizes)
            stage.publish()
    return ExportedFleet(place, written, len(sizes), redactor.n_cut, stage.names)


def sizes_of(source: FleetSource, traces: Iterable[str] | None) -> pd.DataFrame:
    """The columns ``id, name, n_spans`` of the traces to write; `TraceNotFound` if one has neither this id nor this name."""
    sizes: pd.DataFrame = source.sizes() if isinstance(source, StoreSource | FrameSource) else source.traces()
    sizes = sizes[["id", "name", "n_spans"]]
    if traces is None:
        return sizes
    wanted = set(traces)
    by_name = wanted.difference(sizes["id"])
    if unknown := by_name.difference(sizes["name"]):
        raise TraceNotFound(f"No trace {quoted(min(unknown))}. {source} has: {listed(sizes['id'])}.")
    return sizes[sizes["id"].isin(wanted) | sizes["name"].isin(by_name)]


def named_as(content: Content, sizes: pd.DataFrame, redactor: Redactor) -> pd.DataFrame:
    """The traces with as much of their names as ``content`` keeps: a name may be the beginning of a prompt."""
    if content == "full":
        return sizes
    names = sizes["id"] if content == "none" else sizes["name"].map(redactor.shortened).astype("str")
    if content == "none":
        redactor.n_cut += int((sizes["name"] != sizes["id"]).sum())
    return sizes.assign(name=names)


def files_in(place: Place) -> list[str]:
    """The fleet files in a folder, none if it does not exist."""
    return parquet_files(place, place.names() or {}) if place.exists() else []


def check_new(place: Place, files: Iterable[str], sizes: pd.DataFrame) -> None:
    """Raise `FleetError` if one of these files of the folder has one of the traces to write."""
    found = FolderSource.of_files(place, sorted(files)).places_of(sizes["id"].tolist())
    if found:
        trace_id, (file, _) = next(iter(found.items()))
        more = f", and {len(found) - 1:,} more of the traces to write" if len(found) > 1 else ""
        raise FleetError(
            f"{place} already has trace {quoted(trace_id)}, in {quoted(file)}{more}. Nothing was written. "
            "Leave these traces out, or export all of them to a new folder."
        )


def progress_bar(n_spans: int) -> "tqdm[Any]":
    """A progress bar over spans, shown for many of them in a terminal or a notebook."""
    return tqdm(
        total=n_spans, desc="Writing", unit="span", unit_scale=True, disable=None if n_spans > PROGRESS_FROM_SPANS else True
    )
