"""Evaluation logs of Inspect: .json, or .eval, which is a zip with a file for each sample.

A log is ``{"eval", "samples": [{"id", "epoch", "uuid", "events": [...]}]}``; the events of a sample become spans (`events`).

Source: Inspect's documentation of its logs, and logs of several of its versions.
"""

import zipfile
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from tokenvis.conventions.rules import as_name
from tokenvis.conventions.span import SpanRead, shorten, with_first_data
from tokenvis.errors import plural
from tokenvis.formats.evaluations.inspect_log.calls import nested_value
from tokenvis.formats.evaluations.inspect_log.events import Sample, add_events
from tokenvis.formats.files.archives import SPARE_MIB, check_excess, excess_bytes
from tokenvis.formats.files.documents import document_envelopes, document_items
from tokenvis.formats.files.head import Head, head_of
from tokenvis.formats.files.lenient_json import MAX_RECORD_BYTES, UNREADABLE, parse_damaged, parse_json
from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.zip_members import damage_text, member_names, member_pieces

NAME = "Inspect logs"
MODEL_SETTINGS = ("seed", "temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty")


def recognises(head: Head) -> bool:
    """Whether the head contains an evaluation or a list of its events; of an archive, whether it has a log's members."""
    if head.kind == "archive":
        return "header.json" in head.names or "_journal/start.json" in head.names
    if head.values and isinstance(head.values[0], list):
        return False  # several logs in one array
    return any(
        (isinstance(item.get("eval"), dict) and {"task", "task_id", "run_id"} & item["eval"].keys())
        or is_sample_event(next(iter(events), None) if isinstance(events := item.get("events"), list) else None)
        for item in head.objects
    )


def is_sample_event(event: Any) -> bool:
    """Whether a value looks like an event of a sample."""
    return isinstance(event, dict) and isinstance(event.get("event"), str) and "timestamp" in event


def read(reading: Reading) -> Iterator[SpanRead]:
    """The spans of every sample."""
    head = head_of(reading.source)
    is_one_sample = head.kind != "archive" and any("events" in item and "eval" not in item for item in head.objects[:1])
    reading.record_noun = "sample"
    log: dict[str, Any] = {}
    if head.kind == "archive":
        log, samples = archive_samples(reading)
    elif is_one_sample:
        samples = document_items(reading, "")
    else:
        log = next(document_envelopes(reading, "", ("eval", "plan", "results", "status")))
        samples = document_items(reading, "samples[*]")
    evaluation = log["eval"] if isinstance(log.get("eval"), dict) else {}
    given = given_attributes(evaluation, log.get("plan"))
    for number, sample in samples:
        reading.record_noun = "sample"
        reading.n_records += 1
        spans = spans_of_sample(reading, evaluation, number, sample)
        yield from with_first_data(spans, {}, {**given, **sample_attributes(sample)})
    if not reading.n_records and not reading.problems:
        reading.add_problem(None, "contains no samples")
    elif not is_one_sample:
        report_missing_samples(reading, log)


def report_missing_samples(reading: Reading, log: dict[str, Any]) -> None:
    """Report samples that the results of a log count and that it does not have, and an evaluation that did not finish."""
    results, n_samples = log.get("results"), reading.n_records
    if log.get("status") == "started":
        reading.add_problem(None, f"is the log of an evaluation that had not ended, with {plural(n_samples, 'sample')}")
        return
    key = "total_samples" if log.get("status") == "success" else "completed_samples"
    expected = results.get(key) if isinstance(results, dict) else None
    if type(expected) is int and n_samples < expected:
        reading.add_problem(None, f"has {n_samples:,} of the {expected:,} samples that its results count")
    elif log.get("status") in ("cancelled", "error"):
        ended = "was cancelled" if log["status"] == "cancelled" else "failed"
        reading.add_problem(None, f"is the log of an evaluation that {ended}, with {plural(n_samples, 'sample')}")


def archive_samples(reading: Reading) -> tuple[dict[str, Any], Iterator[tuple[int, Any]]]:
    """The header of an archive, and its samples; `IngestError` if it unpacks to too much."""
    try:
        with zipfile.ZipFile(reading.source.path) as archive:
            check_excess(excess_bytes(archive.infolist(), reading.source), SPARE_MIB << 20, reading.source)
            names = member_names(reading.source)
            start = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
            header = parse_json(member_bytes(archive, start)) if start else {}
            if isinstance(header, dict) and start != "header.json":
                header |= {"status": "started"}  # the header is written when an evaluation ends
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        reading.add_problem(None, f"is a damaged archive ({damage_text(error)})")
        return {}, iter(())
    samples = sample_members(reading, [name for name in names if is_sample_name(name)])
    return header if isinstance(header, dict) else {}, samples


def is_sample_name(name: str) -> bool:
    """Whether a name in an archive is a sample's."""
    return name.startswith("samples/") and name.endswith(".json")


def sample_members(reading: Reading, names: list[str]) -> Iterator[tuple[int, Any]]:
    """The samples of an archive; a sample that cannot be read becomes a problem."""
    with zipfile.ZipFile(reading.source.path) as archive:
        for number, name in enumerate(sorted(names), start=1):
            try:
                text = member_bytes(archive, name)
            except (zipfile.BadZipFile, ValueError) as error:
                reading.add_problem(None, f"{name} cannot be read ({damage_text(error)})")
                continue
            value = parse_damaged(text, number, reading, reading.source)  # scores may be NaN
            if value is not UNREADABLE:
                yield number, value


def member_bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of an archive's member; `ValueError` if they are too many, `zipfile.BadZipFile` if they cannot be read."""
    entry = archive.getinfo(name)
    if entry.file_size > MAX_RECORD_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_RECORD_BYTES:,} bytes")
    return b"".join(member_pieces(archive, entry))


def spans_of_sample(reading: Reading, evaluation: dict[str, Any], number: int, record: Any) -> Iterator[SpanRead]:
    """The spans of one sample, which is a trace."""
    if not isinstance(record, dict) or not isinstance(record.get("events"), list):
        reading.add_problem(number, "has no events")
        return
    task = as_name(evaluation.get("task")) or "sample"
    attachments = record.get("attachments")
    sample = Sample(
        reading, sample_trace_id(reading, evaluation, record), task, attachments if isinstance(attachments, dict) else {}
    )
    epoch = f" epoch {record['epoch']}" if isinstance(record.get("epoch"), int) else ""
    if evaluation.get("task") or as_name(record.get("id")):
        reading.name_trace(sample.trace_id, shorten(f"{task} {as_name(record.get('id')) or number}{epoch}"))
    add_events(sample, record["events"], number)
    for source_id in sample.tasks.keys() & sample.spans_by_source_id.keys():
        sample.spans_by_source_id[source_id].data["task"] = sample.tasks[source_id]
    for span in sample.spans.values():
        span.line = number
        yield span


def given_attributes(evaluation: dict[str, Any], plan: Any) -> dict[str, Any]:
    """What all samples of a log were given: the task and its arguments, the model and its settings."""
    arguments = evaluation.get("task_args")
    settings = evaluation.get("model_generate_config") or nested_value(plan, "config")
    return {
        "inspect.task": as_name(evaluation.get("task")),
        "inspect.model": as_name(evaluation.get("model")),
        **{f"inspect.task_args.{name}": value for name, value in (arguments if isinstance(arguments, dict) else {}).items()},
        **{f"gen_ai.request.{name}": nested_value(settings, name) for name in MODEL_SETTINGS},
    }


def sample_attributes(record: Any) -> dict[str, Any]:
    """The sample's id, its epoch and its scores."""
    if not isinstance(record, dict):
        return {}
    scores = record.get("scores")
    scores = scores if isinstance(scores, dict) else {"": record.get("score")}
    values = {name: nested_value(score, "value") for name, score in scores.items()}
    return {
        "inspect.sample": record.get("id"),
        "inspect.epoch": record.get("epoch"),
        "inspect.score": next(iter(values.values()), None) if len(values) == 1 else None,
        **{f"inspect.score.{name}": value for name, value in values.items() if name},
    }


def sample_trace_id(reading: Reading, evaluation: dict[str, Any], record: dict[str, Any]) -> str:
    """The trace id of a sample: its own id, else its run, number and epoch."""
    if uuid := as_name(record.get("uuid")):
        return uuid
    run = as_name(evaluation.get("run_id")) or as_name(evaluation.get("eval_id"))
    run = run or blake2b(reading.source.origin.encode(), digest_size=8).hexdigest()
    return f"{run}/{as_name(record.get('id')) or 'sample'}/{as_name(record.get('epoch')) or 1}"
