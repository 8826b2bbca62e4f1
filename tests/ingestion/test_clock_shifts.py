import pandas as pd
import pytest
from files import write_file

from tokenvis import BadOption, diagnose, expand_data, ingest
from tokenvis.formats.files.reading import Problem

ROWS = {
    "id": ["a", "b"], "trace_id": "t", "agent_id": "ann", "location_id": "x", "start_time": [1000, 300],
    "end_time": [2000, 700], "parent_id": [None, "a"], "host.name": ["A", "B"],
}  # fmt: skip


def test_the_times_of_a_host_are_shifted_and_marked():
    table = pd.DataFrame(ROWS)
    before = ingest(table).spans()
    assert diagnose(before).set_index("kind").loc["clock offset", "time_us"] == 1000
    report = ingest(table, clock_offsets={"B": 1000})
    spans = expand_data(report.spans(), ["clock_offset_us"])
    assert spans[["id", "start_time", "end_time"]].to_numpy().tolist() == [["t/a", 1000, 2000], ["t/b", 1300, 1700]]
    assert spans["clock_offset_us"].dropna().tolist() == [1000]
    assert "clock offset" not in diagnose(spans)["kind"].tolist()
    assert report.problems == []


def test_a_shifted_span_is_not_shifted_again():
    table = pd.DataFrame({**ROWS, "clock_offset_us": [None, 5.0]})
    assert ingest(table, clock_offsets={"B": 1000}).spans()["start_time"].tolist() == [300, 1000]


def test_a_host_of_no_span_is_a_problem():
    report = ingest(pd.DataFrame(ROWS), clock_offsets={"C": 1})
    assert report.problems == [Problem("clock_offsets['C']", None, "no span is from this host")]


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (5, "clock_offsets=5 is not a mapping from hosts to µs."),
        ({"B": 0.5}, "clock_offsets['B']=0.5 is not a 64-bit integer of µs."),
        ({"B": 2**63}, "clock_offsets['B']=9223372036854775808 is not a 64-bit integer of µs."),
    ],
)
def test_offsets_are_integers_by_host(offsets, message):
    with pytest.raises(BadOption) as caught:
        ingest(pd.DataFrame(ROWS), clock_offsets=offsets)
    assert str(caught.value) == message


def resource_with(attributes):
    pairs = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    record = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "x",
        "startTimeUnixNano": "5000",
        "endTimeUnixNano": "9000",
    }
    return {"resource": {"attributes": pairs}, "scopeSpans": [{"spans": [record]}]}


@pytest.mark.parametrize(
    ("resource", "kept"),
    [
        ({"host.name": "h", "service.instance.id": "i", "service.name": "s"}, {"host.name": "h"}),
        ({"service.instance.id": "i", "service.name": "s"}, {"service.instance.id": "i"}),
        ({"service.name": "s"}, None),
    ],
)
def test_the_host_of_an_opentelemetry_resource_is_kept(resource, kept):
    record = {
        "context": {"trace_id": "1" * 32, "span_id": "2" * 16}, "name": "x", "start_time": 5000, "end_time": 9000,
        "resource": {"attributes": resource},
    }  # fmt: skip
    observation = {
        "id": "a", "traceId": "t", "type": "SPAN", "startTime": 5, "endTime": 9, "metadata": {"resourceAttributes": resource},
    }  # fmt: skip
    for number, document in enumerate(({"resourceSpans": [resource_with(resource)]}, [record], [observation])):
        report = ingest(write_file(f"{number}.json", document), store=f"{number}.db", clock_offsets={"h": 7, "i": 7})
        attributes = expand_data(report.spans(), ["attributes"])["attributes"][0]
        hosts = {key: value for key, value in (attributes or {}).items() if key in ("host.name", "service.instance.id")}
        assert hosts == (kept or {})
        assert report.spans()["start_time"].tolist() == [(5 if number < 2 else 5000) + 7 * bool(kept)]
