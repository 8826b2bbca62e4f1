"""Folders: fleet files as a source of traces.

A folder is listed once; files that are added later are seen by the next `FolderSource`. The names of files have ranges of
hashes, so that one trace is looked for in few of them. The index of a file is read when it is first needed, several in threads,
and kept.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokenvis.errors import MAX_LISTED_VALUES, FleetError, TraceNotFound, listed, nearest, quoted
from tokenvis.fleet.sources.places import Place, as_fleet_error, place_of
from tokenvis.fleet.sources.source import PART_SPANS, Part, bounds_of_parts, sorted_by_trace
from tokenvis.formats.files.inputs import LOG_FOLDERS
from tokenvis.formats.fleet.schema import CHECKSUM_KEY, FLEET_VERSION, may_have, trace_hash, unpacked_index, version_in
from tokenvis.spans.columns import COLUMNS, text_array_of
from tokenvis.store.load import TRACE_DTYPES

READ_COLUMNS = [*COLUMNS, "parent_id"]
MAX_THREADS = 16
N_NAME_CHECKS = 100  # traces of a file for which its name is checked
MAX_SEARCHED_FILES = 64  # for the nearest names of a trace that does not exist


class FileIndex(NamedTuple):
    """The traces of a file, in the order of its rows, with arrays of the first row and the number of rows of each.

    The rows are read later, of a file that is opened again: its index must still have this checksum.
    """

    table: pa.Table
    first_row: Any
    n_spans: Any
    row_group: Any
    group_starts: list[int]
    checksum: bytes

    def groups_of(self, first: int, n_rows: int) -> tuple[list[int], int]:
        """The row groups that have these rows, and how many rows of the first of them come before."""
        begin = int(np.searchsorted(self.group_starts, first, side="right")) - 1
        end = int(np.searchsorted(self.group_starts, first + n_rows, side="left"))
        return list(range(begin, end)), first - self.group_starts[begin]


class FilePiece(NamedTuple):
    """Rows of a file, of whole traces that follow each other: the row groups to read, the rows to skip, and to keep."""

    file: str
    checksum: bytes
    row_groups: list[int]
    n_skipped: int
    n_rows: int


class FolderSource:
    """The traces in a folder of fleet files, or in one such file.

    `FleetError` if there is no such folder, or if it has no fleet files.
    """

    def __init__(self, path: str | os.PathLike[str], filesystem: Any = None) -> None:
        place = place_of(path, filesystem).absolute()
        names = place.names()
        if names is None:
            place, name = place.parent()
            names = {name: False}
        self.place = place
        self.files = parquet_files(place, names)
        if not self.files:
            others = f" It has: {listed(names)}." if names else ""
            raise FleetError(f"{place} has no Parquet files.{others} export(source, folder, format='fleet') writes them.")
        self._indexes: dict[str, FileIndex] = {}

    @classmethod
    def of_files(cls, place: Place, files: list[str]) -> Self:
        """Some of the files of a folder."""
        source = cls.__new__(cls)
        source.place, source.files, source._indexes = place, files, {}
        return source

    def __str__(self) -> str:
        return str(self.place)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_indexes": {}}

    def traces(self) -> pd.DataFrame:
        """All traces, newest first."""
        self.check_distinct()
        table = pa.concat_tables(index.table for index in self.indexes(self.files).values()).select(list(TRACE_DTYPES))
        order = pc.sort_indices(table, sort_keys=[("start_time", "descending"), ("id", "ascending")])
        return trace_frame(table.take(order))

    def parts(self, n_spans: int = PART_SPANS) -> list[Part]:
        """All traces that have spans, in parts of about ``n_spans`` spans, in the order of the files."""
        self.check_distinct()
        parts: list[Part] = []
        ids: list[str] = []
        pieces: list[FilePiece] = []
        for file, index in self.indexes(self.files).items():
            names = index.table["id"].to_pylist()
            for traces in runs_of_traces(index, n_spans):
                size = int(index.n_spans[traces].sum())
                if pieces and sum(piece.n_rows for piece in pieces) + size > n_spans:
                    parts.append(part_of(ids, pieces))
                    ids, pieces = [], []
                ids += [names[trace] for trace in traces.tolist() if index.n_spans[trace]]
                add_piece(
                    pieces, FilePiece(file, index.checksum, *index.groups_of(int(index.first_row[traces[0]]), size), size)
                )
        return [*parts, part_of(ids, pieces)] if pieces else parts

    def read(self, part: Part) -> pa.Table:
        """The spans of a part."""
        table = pa.concat_tables([self.rows_of(piece) for piece in part.place]).unify_dictionaries()
        if sorted(pc.unique(table["trace_id"].cast(pa.large_string())).to_pylist()) != part.trace_ids:
            raise self.replaced(*dict.fromkeys(piece.file for piece in part.place))
        return table

    def table_of(self, trace_ids: Iterable[str]) -> pa.Table:
        """The spans of these traces, sorted by trace; `TraceNotFound` if there is none of an id."""
        wanted = sorted(set(trace_ids))
        places = self.places_of(wanted)
        missing = [trace_id for trace_id in wanted if trace_id not in places]
        if missing:
            raise self.trace_not_found(missing[0])
        pieces: dict[str, list[tuple[int, int]]] = {}
        for trace_id in wanted:
            file, row = places[trace_id]
            index = self._indexes[file]
            pieces.setdefault(file, []).append((int(index.first_row[row]), int(index.n_spans[row])))
        tables = [table for file, rows in pieces.items() for table in self.tables_of_rows(file, rows)]
        if not tables:
            [(file, index)] = self.indexes(self.files[:1]).items()
            return self.rows_of(FilePiece(file, index.checksum, [], 0, 0))
        table = pa.concat_tables(tables).unify_dictionaries()
        return table if len(pieces) == 1 else sorted_by_trace(table)

    def names_of(self, trace_ids: Iterable[str]) -> dict[str, str]:
        """The names of these traces."""
        places = self.places_of(sorted(set(trace_ids)))
        return {trace_id: self._indexes[file].table["name"][row].as_py() for trace_id, (file, row) in places.items()}

    def places_of(self, trace_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """The file of each of these traces that the folder has, and its row in the file's index."""
        found: dict[str, tuple[str, int]] = {}
        trace_ids = [name for name in trace_ids if is_unicode(name)]  # others are in no file
        hashes = sorted(map(trace_hash, trace_ids))
        wanted = pa.array(trace_ids, pa.string())
        for file, index in self.indexes(file for file in self.files if may_have(file, hashes)).items():
            rows = pc.index_in(wanted, index.table["id"].combine_chunks())
            for trace_id, row in zip(trace_ids, rows.to_pylist(), strict=True):
                if row is None:
                    continue
                if trace_id in found:
                    raise self.found_twice(trace_id, found[trace_id][0], file)
                found[trace_id] = file, row
        return found

    def indexes(self, files: Iterable[str]) -> dict[str, FileIndex]:
        """The indexes of these files; those that are not read yet are read in threads."""
        wanted = list(files)
        missing = [file for file in wanted if file not in self._indexes]
        if len(missing) > 1:
            with ThreadPoolExecutor(min(MAX_THREADS, len(missing))) as threads:
                self._indexes.update(zip(missing, threads.map(self.read_index, missing), strict=True))
        elif missing:
            self._indexes[missing[0]] = self.read_index(missing[0])
        return {file: self._indexes[file] for file in wanted}

    def read_index(self, file: str) -> FileIndex:
        """The index of a file; `FleetError` if it is not a fleet file that this version reads."""
        with as_fleet_error(self.place, file), self.place.opened(file) as opened, pq.ParquetFile(opened) as parquet:
            metadata, names = parquet.metadata.metadata or {}, parquet.schema_arrow.names
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
        version = version_in(metadata)
        if version is None:
            raise FleetError(
                f"{quoted(file)} in {self.place} is not a file of a fleet: it has the columns {listed(names)}. "
                "ingest(...) reads tables of spans into a store, and export(store, folder, format='fleet') writes a fleet."
            )
        if version > FLEET_VERSION:
            raise FleetError(
                f"{quoted(file)} in {self.place} has version {version} of the fleet format; this tokenvis reads version "
                f"{FLEET_VERSION}. Update tokenvis."
            )
        with as_fleet_error(self.place, file):
            index = index_of_file(unpacked_index(metadata), sizes, metadata[CHECKSUM_KEY])
        self.check_name(file, index)
        return index

    def check_name(self, file: str, index: FileIndex) -> None:
        """Raise `FleetError` if the name of a file tells that it has none of its traces, so that they would not be found."""
        for trace_id in index.table["id"].slice(0, N_NAME_CHECKS).to_pylist():
            if not may_have(file, [trace_hash(trace_id)]):
                raise FleetError(
                    f"{quoted(file)} in {self.place} has the name of a file with other traces: its trace {quoted(trace_id)} "
                    "would not be found. Give it its old name, or a free one, such as 'renamed.parquet'."
                )

    def rows_of(self, piece: FilePiece) -> pa.Table:
        """The rows of a piece."""
        options = {"page_checksum_verification": True, "pre_buffer": self.place.local is None}
        with (
            as_fleet_error(self.place, piece.file),
            self.place.opened(piece.file) as opened,
            pq.ParquetFile(opened, **options) as parquet,
        ):
            is_same = (parquet.metadata.metadata or {}).get(CHECKSUM_KEY) == piece.checksum
            table = parquet.read_row_groups(piece.row_groups if is_same else [], columns=READ_COLUMNS, use_threads=False)
            if missing := set(READ_COLUMNS).difference(table.column_names):
                raise ValueError(f"it has no column {listed(sorted(missing))}")
        if not is_same:
            raise self.replaced(piece.file)
        return table.slice(piece.n_skipped, piece.n_rows).replace_schema_metadata(None)

    def tables_of_rows(self, file: str, rows: Sequence[tuple[int, int]]) -> Iterator[pa.Table]:
        """The rows of traces, given by the first row and the number of rows of each; a row group is read once."""
        index = self._indexes[file]
        by_group: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for first, n_rows in rows:
            if n_rows:
                groups, skipped = index.groups_of(first, n_rows)
                by_group.setdefault(tuple(groups), []).append((skipped, n_rows))
        for groups_read, slices in by_group.items():
            size = sum(index.group_starts[group + 1] - index.group_starts[group] for group in groups_read)
            table = self.rows_of(FilePiece(file, index.checksum, list(groups_read), 0, size))
            wanted = np.concatenate([np.arange(skipped, skipped + n_rows) for skipped, n_rows in slices])
            yield table if len(wanted) == len(table) else table.take(pa.array(wanted))

    def check_distinct(self) -> None:
        """Raise `FleetError` if a trace is in two files."""
        indexes = self.indexes(self.files)
        ids = pa.chunked_array([index.table["id"].combine_chunks() for index in indexes.values()], pa.string())
        if len(pc.unique(ids)) == len(ids):
            return
        counts = pc.value_counts(ids)
        repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0].as_py()
        files = [file for file, index in indexes.items() for name in index.table["id"].to_pylist() if name == repeated]
        raise self.found_twice(repeated, files[0], files[1])

    def replaced(self, *files: str) -> FleetError:
        """The error for files that are others than those whose indexes were read."""
        return FleetError(f"{listed(files)} in {self.place} was replaced since it was listed. Open the fleet again.")

    def found_twice(self, trace_id: str, first: str, second: str) -> FleetError:
        """The error for a trace that is in two files."""
        return FleetError(
            f"Trace {quoted(trace_id)} is in {self.place} twice: in {quoted(first)} and in {quoted(second)}. "
            "Remove the file that was written by mistake."
        )

    def trace_not_found(self, trace_id: str) -> TraceNotFound:
        """The error for a missing trace, which lists those of the first files, similar names first."""
        indexes = self.indexes(self.files[:MAX_SEARCHED_FILES])
        ids = [name for index in indexes.values() for name in index.table["id"].slice(0, 2_000).to_pylist()]
        similar = nearest(trace_id, ids[:2_000])
        others = [name for name in ids if name not in similar]
        shown = [*similar, *others][:MAX_LISTED_VALUES]
        return TraceNotFound(f"No trace {quoted(trace_id)}. {self.place} has, among others: {listed(shown)}.")


def parquet_files(place: Place, names: dict[str, bool]) -> list[str]:
    """The Parquet files among the names in a folder; hidden files, and those of other kinds, do not count."""
    for folder, kind in LOG_FOLDERS.items():
        if folder in names:
            raise FleetError(
                f"{place} is a {kind} table: its log says which of its files count, and the others have deleted rows. "
                f"Read it with a reader of {kind} tables, and pass its batches to tokenvis.fleet.mapper."
            )
    shown = {name: is_folder for name, is_folder in names.items() if name[:1] not in "._"}
    files = [name for name, is_folder in shown.items() if not is_folder and name.endswith(".parquet")]
    folders = [name for name, is_folder in shown.items() if is_folder]
    if files and folders:
        warnings.warn(f"{place} has folders, whose files are not part of the fleet: {listed(folders)}.", stacklevel=4)
    return files


def index_of_file(table: pa.Table, sizes: list[int], checksum: bytes) -> FileIndex:
    """The index of a file with row groups of these sizes; `ValueError` if they do not fit."""
    n_spans, row_group = table["n_spans"].to_numpy(), table["row_group"].to_numpy()
    has_spans = n_spans > 0
    groups = row_group[has_spans]
    is_valid = (n_spans >= 0).all() and ((groups >= 0) & (groups < len(sizes))).all() and (np.diff(groups) >= 0).all()
    if not is_valid or np.bincount(groups, n_spans[has_spans], len(sizes)).tolist() != sizes:
        raise ValueError("its index does not fit its rows")
    return FileIndex(table, np.cumsum(n_spans) - n_spans, n_spans, row_group, [0, *np.cumsum(sizes).tolist()], checksum)


def runs_of_traces(index: FileIndex, n_spans: int) -> Iterator[Any]:
    """The traces that have spans as arrays of rows of the index: those of a row group, in runs of at most ``n_spans`` spans."""
    rows = np.flatnonzero(index.n_spans > 0)
    for group in np.split(rows, np.flatnonzero(np.diff(index.row_group[rows])) + 1):
        yield from (group[begin:end] for begin, end in bounds_of_parts(index.n_spans[group], n_spans))


def add_piece(pieces: list[FilePiece], piece: FilePiece) -> None:
    """Add a piece, to the last one if it continues it."""
    last = pieces[-1] if pieces else None
    if last is not None and last.file == piece.file and not piece.n_skipped and piece.row_groups[0] == last.row_groups[-1] + 1:
        pieces[-1] = last._replace(row_groups=last.row_groups + piece.row_groups, n_rows=last.n_rows + piece.n_rows)
    else:
        pieces.append(piece)


def part_of(trace_ids: list[str], pieces: list[FilePiece]) -> Part:
    """A part of these traces."""
    return Part(sorted(trace_ids), sum(piece.n_rows for piece in pieces), tuple(pieces))


def trace_frame(table: pa.Table) -> pd.DataFrame:
    """A list of traces as a frame, with the types of `load_traces`."""
    texts = {name: text_array_of(table[name].cast(pa.large_string())) for name in ("id", "name")}
    numbers = {
        name: table[name].to_pandas(types_mapper=lambda _: pd.Int64Dtype()) for name in TRACE_DTYPES if name not in texts
    }
    return pd.DataFrame({**texts, **numbers}).astype(TRACE_DTYPES)


def is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
