"""Every reader, on damaged copies of small valid files."""

import json

import pytest
import test_chrome_trace
import test_codex
import test_fleet_reader
import test_inspect_log
import test_langfuse
import test_mlflow
import test_otlp
import test_phoenix
import test_python_sdk
import test_smallville
import test_table
from claude_sessions import call, prompt, reply, result
from damage import damaged, read_damaged
from files import write_file
from fleet_files import fleet_bytes

from tokenvis.formats.files.head import head_of
from tokenvis.formats.registry import FORMATS

COUNT = 30
CLAUDE = [
    {"type": "ai-title", "aiTitle": "title"},
    prompt(0, "go", uuid="u0"),
    reply(2, "m1", "hi", call("t1", "Task", subagent_type="Explore", prompt="look")),
    result(5, "t1", "agentId: a1", toolUseResult={"agentId": "a1", "status": "async_launched"}),
    reply(6, "m3", call("t2", "Bash", command="ls"), call("t3", "TaskOutput", task_id="a1")),
]
OTLP = test_otlp.request(
    test_otlp.AGENT,
    {**test_otlp.CHAT, "events": [{"name": "x", "timeUnixNano": "5"}], "links": [{"traceId": "aa" * 16, "spanId": "bb" * 8}]},
    test_otlp.TOOL,
)


CHROME = [
    *test_chrome_trace.NAMES,
    *(test_chrome_trace.event(phase, 3, id=1, cat="x") for phase in "BEbeSFstfinC"),
    test_chrome_trace.event("X", 5, dur="7", args={"tokenvis": {}}),
]


def text_of(*parts):
    return write_file("example", *parts).read_bytes()


def examples():
    """Small valid files, by format."""
    tempo = json.dumps({"trace": OTLP, "status": "PARTIAL", "message": "too large"}, indent=1)
    otlp = [text_of(OTLP, test_otlp.request(test_otlp.TOOL)), text_of(tempo), *test_otlp.messages(OTLP)]
    return {
        "claude_code": [
            text_of(*({**line, "sessionId": "s1"} for line in CLAUDE)),
            text_of(json.dumps({"loglines": [{**line, "sessionId": "s1"} for line in CLAUDE]}, indent=1)),
        ],
        "chrome_trace": [text_of(json.dumps({"traceEvents": CHROME})), text_of(json.dumps(CHROME, indent=1))],
        "fleet": [fleet_bytes(test_fleet_reader.SPANS, u="A walk")],
        "codex": [text_of(*test_codex.BASIC, *test_codex.SPAWN, *test_codex.WAIT, test_codex.tokens(30, 5, 7))],
        "inspect_log": [
            text_of(test_inspect_log.log(test_inspect_log.APPROVED)),
            test_inspect_log.log_archive("example.eval", test_inspect_log.SAMPLE).read_bytes(),
        ],
        "langfuse": [
            text_of({"trace": test_langfuse.TRACE, "observations": test_langfuse.OBSERVATIONS}),
            text_of(*test_langfuse.OBSERVATIONS),
            text_of({"data": test_langfuse.OBSERVATIONS, "meta": {"page": 1, "limit": 4, "totalItems": 8, "totalPages": 2}}),
        ],
        "mlflow": [text_of(test_mlflow.WHOLE)],
        "otlp": otlp,
        "phoenix": [text_of(*test_phoenix.ROWS)],
        "python_sdk": [text_of({"spans": [test_python_sdk.AGENT, test_python_sdk.CHAT]})],
        "smallville": [text_of(json.dumps(test_smallville.STEPS)), text_of(json.dumps(test_smallville.REPLAY))],
        "table": [text_of(*test_table.ROWS), b"agent_id,location_id,start_time,end_time\nann,desk,0,1\nbob,lab,1,2"],
    }  # fmt: skip


def examples_of(name):
    """The small valid files of a format."""
    every = examples()
    if name not in every:
        pytest.fail(f"The format {name!r} has no small valid file to damage: put one into `examples` of this module.")
    return every[name]


def test_a_format_without_an_example_is_reported():
    with pytest.raises(pytest.fail.Exception, match=r"^The format 'new' has no small valid file to damage: put one into"):
        examples_of("new")


@pytest.mark.parametrize("name", FORMATS)
def test_a_valid_file_is_recognised_by_its_format_alone_and_gives_spans(name):
    for number, text in enumerate(examples_of(name)):
        path = write_file(f"{number}.{name}", text)
        source = test_otlp.reading_of(path).source
        assert [other for other, reader in FORMATS.items() if reader.recognises(head_of(source))] == [name]
        assert read_damaged(name, path) > 0


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_survived(name):
    every = examples_of(name)
    for seed in range(COUNT):
        text = damaged(every[seed % len(every)], seed)
        read_damaged(name, write_file("damaged", text), "none" if seed % 5 == 0 else "full")


def with_one_replaced(value, new):
    """The JSON value with each of its values replaced, one at a time."""
    for key, nested in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for replaced in (new, *with_one_replaced(nested, new)):
            copied = value.copy()
            copied[key] = replaced
            yield copied


@pytest.mark.full
@pytest.mark.parametrize("new", [{}, [{"a": []}], 10**20], ids=repr)
@pytest.mark.parametrize("name", FORMATS)
def test_any_value_may_be_of_another_type(name, new):
    for text in examples_of(name):
        try:
            records = [json.loads(line) for line in text.splitlines()]
        except ValueError:
            continue
        for replaced in with_one_replaced(records, new):
            path = write_file("replaced", *replaced)
            head = head_of(test_otlp.reading_of(path).source)
            assert {reader.recognises(head) for reader in FORMATS.values()} <= {True, False}
            read_damaged(name, path)
