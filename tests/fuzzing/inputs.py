"""Inputs: what a name stands for, and what must hold after it is ingested.

Names are ``<target>/<number>`` and ``<target>/<bomb>/<variant>``, which may end in ``/<size>``. A target is a format, or one of
"archives", "frames" and "folders". Valid files come from the folder ``examples`` of the working directory, where the parent
writes those of `test_damage`.
"""

import io
import json
import random
from pathlib import Path

import pandas as pd
import pyarrow as pa

import tokenvis
from fuzzing.archives import ARCHIVE_BOMBS, archived
from fuzzing.bombs import BOMBS, N_VARIANTS, exploded
from fuzzing.frames import strange_frame
from fuzzing.mutations import mutated
from tokenvis import IngestError
from tokenvis.formats.registry import FORMATS
from tokenvis.spans.columns import as_spans

OTHER_TARGETS = ("archives", "frames", "folders")
TARGETS = (*FORMATS, *OTHER_TARGETS)
EXAMPLES = "examples"
GOOD = [
    {"id": f"good/{number}", "trace_id": "good", "agent_id": "ann", "location_id": "desk", "start_time": number, "end_time": 9}
    for number in range(3)
]
EXPORTED = [
    {**row, "id": f"t/{row['start_time']}", "trace_id": "t", "data": json.dumps({"label": "x", "attributes": {"n": 1}})}
    for row in GOOD
]
GOOD_LINES = "".join(f"{json.dumps(row)}\n" for row in GOOD)
GOOD_IDS = {row["id"] for row in GOOD}


def write_examples(folder: Path, examples: dict[str, list[bytes]]) -> None:
    """Write valid files, by format, into the folder in which children look for them; among them files that tokenvis exports."""
    for name, texts in examples.items():
        (folder / EXAMPLES / name).mkdir(parents=True)
        for number, text in enumerate(texts):
            (folder / EXAMPLES / name / f"{number}").write_bytes(text)
    rows = pd.DataFrame([json.loads(line) for line in examples["phoenix"][0].splitlines()])
    rows.to_parquet(folder / EXAMPLES / "phoenix" / "parquet")
    spans = as_spans(pd.DataFrame(EXPORTED))
    for name, suffix in (("chrome_trace", ".json"), ("otlp", ".otlp.json"), ("table", ".parquet"), ("table", ".csv")):
        tokenvis.export(spans, folder / EXAMPLES / name / f"exported{suffix}")


def examples_of(target):
    """The valid files of a format, or of all formats."""
    folders = [Path(EXAMPLES, target)] if target in FORMATS else sorted(Path(EXAMPLES).iterdir())
    return [path.read_bytes() for folder in folders for path in sorted(folder.iterdir())]


def bomb_names(target):
    """The names of all bombs of a target."""
    if target == "archives":
        return [f"archives/{bomb}/0" for bomb in ARCHIVE_BOMBS]
    return [f"{target}/{bomb}/{variant}" for bomb in BOMBS for variant in range(N_VARIANTS)] if target in FORMATS else []


def prepared(name: str, folder: Path):
    """Make the input of a name in a folder; returns the function that ingests it and checks the result."""
    target, kind, *of_bomb = name.split("/")
    chance = random.Random(name)
    source = folder / "source"
    options = random_options(target, chance)
    if of_bomb and target == "archives":
        source.write_bytes(ARCHIVE_BOMBS[kind]())
        options = {}
    elif of_bomb:
        source.write_bytes(bomb_bytes(target, kind, *map(int, of_bomb)))
        options = {"format": target} if int(of_bomb[0]) >= N_VARIANTS // 2 else {}
    elif target == "frames":
        source = strange_frame(random_rows(chance), chance)
    elif target == "archives":
        source.write_bytes(archived(chance.choice(examples_of(target)), chance, examples_of(target)))
    else:
        text = mutated(chance.choice(examples_of(target)), chance, examples_of(None))
        if target == "folders":
            source.mkdir()
            (source / chance.choice(["a", "z"])).write_bytes(text)
            (source / "good").write_text(GOOD_LINES)
        else:
            source.write_bytes(text)
            source = io.BytesIO(text) if chance.random() < 0.05 else source
    pa.default_memory_pool().release_unused()  # what making the input took is not measured
    is_thorough = bool(of_bomb) or chance.random() < 0.2
    return lambda: ingested(source, options, folder / "spans.db", is_thorough, GOOD_IDS if target == "folders" else set())


def bomb_bytes(target, kind, variant, size=None):
    """The bytes of a bomb of a size; where it is in a file does not depend on the size."""
    chance = random.Random(f"{target}/{kind}/{variant}")
    texts = [text for text in examples_of(target) if b"\0" not in text]
    texts = texts or [text for text in examples_of("table") if b"\0" not in text]  # the files of a fleet are binary
    return exploded(BOMBS[kind], chance.choice(texts), variant, chance, size)


def random_rows(chance):
    """Rows of a table, or of a format that reads frames."""
    lines = Path(EXAMPLES, chance.choice(["table", "phoenix"]), "0").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def random_options(target, chance):
    """Options of ingest: the format in half of the cases, and how much text is kept."""
    options = {}
    if target in FORMATS and chance.random() < 0.5:
        options["format"] = target
    if target == "frames" and chance.random() < 0.3:
        options["format"] = chance.choice(["table", "phoenix", "mlflow", "langfuse"])
    if chance.random() < 0.3:
        options["content"] = chance.choice(["none", "short"])
    if chance.random() < 0.1:
        options |= {"agent": "name", "location": chance.choice(["tool", "file", "folder", "host", "kind", "name"])}
    if chance.random() < 0.1:
        options |= {"unit": chance.choice(["s", "ms", "ns"]), "waits_for": "status"}
    return options


def ingested(source, options, database, is_thorough, expected_ids):
    """Ingest a source, and use the result as a notebook does; returns the number of spans, None if the source was refused."""
    report, refusal = None, ""
    try:
        report = tokenvis.ingest(source, store=database, **options)
    except IngestError as error:
        refusal = str(error)
    if report is None:
        assert refusal
        assert not expected_ids, "a good file was not read"
        return None
    assert str(report)
    assert all(str(problem) for problem in report.problems)
    spans = report.spans()
    assert len(spans) == report.n_spans or len(set(report.formats.values())) > 1  # a span may be in files of two formats
    assert expected_ids <= set(spans["id"]), "spans of a good file were lost"
    assert all(isinstance(json.loads(data), dict) for data in spans["data"].dropna())
    if is_thorough:
        assert report._repr_html_()
        assert len(tokenvis.load_spans(store=database)) == len(spans)
        tokenvis.summary(spans)
        tokenvis.diagnose(spans)
    return len(spans)
