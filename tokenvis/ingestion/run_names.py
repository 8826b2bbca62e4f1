"""The names of runs: as people know them, by what the source calls a run, or by its file or folder.

A trace is a **run**. It is **alone** if its files tell of no other run. A source gives a run a **title** (the own name of a
session or a trace), or only the name of its first span, or nothing; an id is no name. The rules:

1. A run alone in its file has its title, unless another run has it too, or two runs of its folder have the same.
2. Else it has the head of its place (`file_places`): "seed-3" of ``runs/seed-3/trace.jsonl``. Where heads are equal, the
   folders above tell them apart ("v1/run-1", "v2/run-1"), or the files in the folder ("seed-3/spans").
3. A run that shares its file has its title or the name of its span; the file's name comes before ("haiku/task 1"), if another
   file has the same and the names within the file differ. Without a name, it has its id, or the file's name and its id.

A run of several files has the folder that these have in common, unless the folder has files of other runs. A run without a
place has its title as it is. The names follow from the set of all files that a store has read, so the order of reading does not
matter; a file that is read later may change the names of others.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tokenvis.formats.files.file_places import FilePlace, common_place, file_place, has_id, is_bare_number
from tokenvis.spans.integers import INT64_MIN
from tokenvis.store.sources import TraceSource

SHORT_ID_LENGTH = 8
LONG_HEX = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}|[0-9a-f]{8})", re.IGNORECASE)


class Run(NamedTuple):
    """A trace as its sources tell of it.

    ``told`` is what they call it, and ``name`` the same unless that is an id, else ""; ``has_title`` is set if it is a title.
    """

    id: str
    told: str | None
    name: str
    has_title: bool
    place: FilePlace | None
    is_alone: bool

    @property
    def file(self) -> tuple[str, ...]:
        """The names of its folders and its file; empty if they are unknown."""
        return self.place.parts if self.place else ()

    @property
    def folder(self) -> tuple[str, ...]:
        """The folder above the name by which people know it."""
        return self.file[: self.place.head] if self.place else ()


def names_of_runs(sources: Iterable[TraceSource]) -> dict[str, str]:
    """The name of each trace, from all sources of a store.

    Examples
    --------
    >>> files = [TraceSource(f"t{seed}", f"digest {seed}", 0, "chat", f"runs/seed-{seed}/trace") for seed in (1, 2)]
    >>> names_of_runs(files)
    {'t1': 'seed-1', 't2': 'seed-2'}
    """
    runs = told_runs(sources)
    labels = place_labels({run.place for run in runs if run.place})
    ids = short_ids(run.id for run in runs)
    uses = Counter(run.name for run in runs if run.name)
    alone = Counter(labels[run.place] for run in runs if run.is_alone and run.place)
    unclear, repeated = folders_with_equal_titles(runs), files_with_names_of_others(runs)
    names = {}
    for run in runs:
        if not run.place:
            names[run.id] = run.id if run.told is None else run.told
            continue
        label, is_unique = labels[run.place], uses[run.name] == 1
        file_and_id = f"{label}/{ids[run.id]}"
        own_label = label if alone[label] == 1 else file_and_id
        if not run.is_alone:
            names[run.id] = name_in_shared_file(run, label if run.file in repeated else "", file_and_id)
        elif run.has_title and is_unique and run.folder not in unclear:
            names[run.id] = run.name
        elif not tells_nothing(run.place, label):
            names[run.id] = own_label
        elif run.name:
            names[run.id] = run.name if is_unique else f"{run.name} {ids[run.id]}"
        else:
            names[run.id] = own_label if has_id(run.id) and not has_id(run.file[-1]) else run.id
    return names


def told_runs(sources: Iterable[TraceSource]) -> list[Run]:
    """The runs that the sources tell of, by id."""
    by_trace: defaultdict[str, list[TraceSource]] = defaultdict(list)
    for source in sources:
        by_trace[source.trace_id].append(source)
    n_traces = Counter(source.origin for told in by_trace.values() for source in told)
    texts = {source.place for told in by_trace.values() for source in told if source.place is not None}
    places = {text: file_place(text) for text in texts}
    folders = runs_in_folders(by_trace, places) if any(len(told) > 1 for told in by_trace.values()) else Counter()
    runs = []
    for trace_id in sorted(by_trace):
        told = by_trace[trace_id]
        named_at, name = name_told(told)
        own = name if name and name != trace_id and not has_id(name) else ""
        found = [places[one.place] for one in told if one.place is not None]
        place = common_place(found) if len(found) == len(told) else None
        if place and len(told) > 1 and folders[place.parts[-2:]] != 1:
            place = place._replace(is_common=True)
        is_alone = all(n_traces[one.origin] == 1 for one in told)
        runs.append(Run(trace_id, name, own, bool(own) and named_at == INT64_MIN, place, is_alone))
    return runs


def name_told(told: list[TraceSource]) -> tuple[int, str | None]:
    """What the sources of a trace call it, and when the span that named it began: the earliest counts, a title before all."""
    names = ((INT64_MIN if one.named_at is None else one.named_at, one.name) for one in told if one.name is not None)
    return min(names, default=(INT64_MIN, None))


def runs_in_folders(by_trace: Mapping[str, list[TraceSource]], places: Mapping[str, FilePlace]) -> Counter[tuple[str, ...]]:
    """How many runs have files in a folder or below it; by the name of the folder, alone and after that of the one above."""
    n_runs: Counter[tuple[str, ...]] = Counter()
    for told in by_trace.values():
        folders = [places[one.place].parts[:-1] for one in told if one.place is not None]
        n_runs.update(
            {parts[max(end - size, 0) : end] for parts in folders for end in range(1, len(parts) + 1) for size in (1, 2)}
        )
    return n_runs


def folders_with_equal_titles(runs: Iterable[Run]) -> set[tuple[str, ...]]:
    """The folders in which two runs, each alone in its file, have the same title."""
    titles = Counter(
        (run.folder, run.name)
        for run in runs
        if run.is_alone and run.has_title and run.place and not (run.place.is_common or run.place.ends_in_id)
    )
    return {folder for (folder, _), count in titles.items() if count > 1}


def files_with_names_of_others(runs: Iterable[Run]) -> set[tuple[str, ...]]:
    """The files of several runs whose names differ, some of which are in another file too."""
    counts = Counter((run.file, run.name) for run in runs if run.place and run.name and not run.is_alone)
    n_files = Counter(name for _, name in counts)
    repeating = {file for (file, _), count in counts.items() if count > 1}
    return {file for file, name in counts if n_files[name] > 1} - repeating


def name_in_shared_file(run: Run, file: str, file_and_id: str) -> str:
    """The name of a run whose file tells of other runs too; ``file`` if others have the same names in another file."""
    if run.name:
        return f"{file}/{run.name}" if file else run.name
    return file_and_id if has_id(run.id) else run.id


def tells_nothing(place: FilePlace, label: str) -> bool:
    """Whether the label of a place is no name for a run: it is common, or has an id."""
    return place.is_common or (place.ends_in_id and label.endswith(place.parts[-1]))


def short_ids(trace_ids: Iterable[str]) -> dict[str, str]:
    """Each id of hexadecimal digits by its beginning, if no other begins so; other ids as they are."""
    short = {trace: trace[:SHORT_ID_LENGTH] if LONG_HEX.match(trace) else trace for trace in trace_ids}
    uses = Counter(short.values())
    return {trace: beginning if uses[beginning] == 1 else trace for trace, beginning in short.items()}


def place_labels(places: Iterable[FilePlace]) -> dict[FilePlace, str]:
    """How people name each of these places: with as many of the folders above as tell it from the others."""
    cores = cores_of(list(places))
    labels = {place: place_label(place, core, 0) for place, core in cores.items()}
    for n_above in (1, 2):
        uses = Counter(labels.values())
        for place in [place for place, label in labels.items() if uses[label] > 1]:
            labels[place] = place_label(place, cores[place], n_above)
    return labels


def place_label(place: FilePlace, core: tuple[str, ...], n_above: int) -> str:
    """The core of a place after some of the folders above it; a number is always after its folder."""
    n_above += is_bare_number(core[0])
    return "/".join((*place.parts[max(place.head - n_above, 0) : place.head], *core))


def cores_of(places: list[FilePlace]) -> Mapping[FilePlace, tuple[str, ...]]:
    """The head of each place, with as much of what is below as tells it from other files below the same head."""
    below: defaultdict[tuple[str, ...], list[FilePlace]] = defaultdict(list)
    for place in places:
        below[place.parts[: place.head + 1]].append(place)
    cores: dict[FilePlace, tuple[str, ...]] = {}
    for head, group in below.items():
        files = Counter(place.parts[-1] for place in group)
        for place in group:
            rest = place.parts[place.head + 1 :]
            if len(group) > 1 and rest:
                cores[place] = (head[-1], *(rest if files[rest[-1]] > 1 else rest[-1:]))
            else:
                cores[place] = head[-1:]
    return cores
