import gc
import subprocess
import sys

import pytest
from conftest import full_except
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

import tokenvis as tv
from tokenvis.record import opentelemetry as telemetry


@pytest.fixture
def provider():
    provider = TracerProvider(resource=Resource({}))
    yield provider
    provider.shutdown()


def record_a_span(provider, name="invoke_agent Ann"):
    with provider.get_tracer("x").start_as_current_span(name, attributes={"gen_ai.operation.name": "invoke_agent"}):
        pass


def agents(store="sqlite.db"):
    return tv.load_spans(store=store)["agent_id"].tolist()


def test_one_line_records_a_provider(provider):
    exporter = tv.record_opentelemetry(provider=provider)
    record_a_span(provider)
    assert provider.force_flush()
    assert agents() == ["Ann"]
    assert repr(exporter).endswith("sqlite.db')")


def test_shutdown_stores_all_spans(provider):
    tv.record_opentelemetry(provider=provider)
    record_a_span(provider)
    provider.shutdown()
    assert agents() == ["Ann"]


def test_a_second_call_for_the_same_store_changes_the_options(provider):
    first = tv.record_opentelemetry(store="run.db", provider=provider)
    assert tv.record_opentelemetry(store=tv.Store("run.db"), agent=lambda _: "Bob", provider=provider) is first
    record_a_span(provider)
    provider.force_flush()
    assert agents("run.db") == ["Bob"]


def test_each_store_and_each_provider_has_its_own_exporter(provider):
    other = TracerProvider(resource=Resource({}))
    pairs = [(store, each) for store in ("a.db", "b.db") for each in (provider, other)]
    exporters = [tv.record_opentelemetry(store=store, provider=each) for store, each in pairs]
    assert len(set(exporters)) == 4
    record_a_span(provider)
    provider.force_flush()
    record_a_span(other, "invoke_agent Bob")
    other.shutdown()
    assert sorted(agents("a.db")) == sorted(agents("b.db")) == ["Ann", "Bob"]


def test_after_shutdown_a_new_exporter_is_installed(provider):
    first = tv.record_opentelemetry(provider=provider)
    first.shutdown()
    assert tv.record_opentelemetry(provider=provider) is not first
    record_a_span(provider)
    provider.force_flush()
    assert agents() == ["Ann"]


def test_a_garbage_collected_provider_is_removed(provider):
    tv.record_opentelemetry(provider=TracerProvider(resource=Resource({}), shutdown_on_exit=False))
    gc.collect()
    tv.record_opentelemetry(provider=provider)
    assert [reference() for reference, _ in telemetry.INSTALLED_EXPORTERS].count(None) == 0


def test_a_provider_without_span_processors_is_refused():
    with pytest.raises(tv.TokenvisError) as refused:
        tv.record_opentelemetry(provider=NoOpTracerProvider())
    assert str(refused.value) == (
        "The tracer provider is a NoOpTracerProvider, which has no add_span_processor. "
        "Pass provider=opentelemetry.sdk.trace.TracerProvider(), the provider of OpenTelemetry's SDK."
    )


def test_an_invalid_rule_changes_nothing(provider):
    with pytest.raises(tv.BadOption):
        tv.record_opentelemetry(location="", provider=provider)
    record_a_span(provider)
    assert tv.load_spans(store=tv.Store()).empty


def run(code, *before):
    return subprocess.run([sys.executable, "-c", "\n".join([*before, code])], capture_output=True, text=True, check=True)


GLOBAL = """
from opentelemetry import trace
import tokenvis as tv
early = trace.get_tracer("early")
{set_up}
exporter = tv.record_opentelemetry()
assert tv.record_opentelemetry() is exporter
for tracer in (early, trace.get_tracer("late")):
    with tracer.start_as_current_span("invoke_agent Ann", attributes={{"gen_ai.operation.name": "invoke_agent"}}):
        pass
"""
EXISTING = "from opentelemetry.sdk.trace import TracerProvider; trace.set_tracer_provider(TracerProvider())"


@pytest.mark.parametrize("set_up", full_except(["", EXISTING], ""), ids=["no provider yet", "the program's provider"])
def test_the_global_provider_is_recorded_to_the_end_of_the_program(set_up):
    done = run(GLOBAL.format(set_up=set_up))
    assert (done.stdout, done.stderr) == ("", "")
    assert agents() == ["Ann", "Ann"]


@pytest.mark.parametrize("missing", full_except(["opentelemetry", "opentelemetry.sdk"], "opentelemetry"))
def test_the_missing_extra_is_named(missing):
    code = "try: tokenvis.record_opentelemetry()\nexcept tokenvis.TokenvisError as error: print(error)"
    found = run(code, "import sys, tokenvis", f"sys.modules[{missing!r}] = None")
    assert found.stdout == "record_opentelemetry() needs the extra: pip install 'tokenvis[otel]'.\n"
