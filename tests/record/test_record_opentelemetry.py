import gc
import subprocess
import sys

import pytest
from conftest import few
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


def test_its_end_stores_all(provider):
    tv.record_opentelemetry(provider=provider)
    record_a_span(provider)
    provider.shutdown()
    assert agents() == ["Ann"]


def test_again_for_the_same_store_it_is_the_same_with_other_options(provider):
    first = tv.record_opentelemetry(store="run.db", provider=provider)
    assert tv.record_opentelemetry(store=tv.Store("run.db"), agent=lambda _: "Bob", provider=provider) is first
    record_a_span(provider)
    provider.force_flush()
    assert agents("run.db") == ["Bob"]


def test_each_store_and_each_provider_has_its_own(provider):
    other = TracerProvider(resource=Resource({}))
    exporters = [tv.record_opentelemetry(store=store, provider=of) for store in ("a.db", "b.db") for of in (provider, other)]
    assert len(set(exporters)) == 4
    record_a_span(provider)
    provider.force_flush()
    record_a_span(other, "invoke_agent Bob")
    other.shutdown()
    assert sorted(agents("a.db")) == sorted(agents("b.db")) == ["Ann", "Bob"]


def test_after_its_end_there_is_another(provider):
    first = tv.record_opentelemetry(provider=provider)
    first.shutdown()
    assert tv.record_opentelemetry(provider=provider) is not first
    record_a_span(provider)
    provider.force_flush()
    assert agents() == ["Ann"]


def test_a_provider_that_is_gone_is_forgotten(provider):
    tv.record_opentelemetry(provider=TracerProvider(resource=Resource({}), shutdown_on_exit=False))
    gc.collect()
    tv.record_opentelemetry(provider=provider)
    assert [of() for of, _ in telemetry.SET_UP].count(None) == 0


def test_a_provider_of_another_kind_is_refused():
    with pytest.raises(tv.TokenvisError) as refused:
        tv.record_opentelemetry(provider=NoOpTracerProvider())
    assert str(refused.value) == (
        "The tracer provider is a NoOpTracerProvider, which takes no span processors: it has no add_span_processor. "
        "Give provider= one of OpenTelemetry's SDK, opentelemetry.sdk.trace.TracerProvider()."
    )


def test_a_rule_that_is_none_changes_nothing(provider):
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
OWN = "from opentelemetry.sdk.trace import TracerProvider; trace.set_tracer_provider(TracerProvider())"


@pytest.mark.parametrize("set_up", few(["", OWN], ""), ids=["none yet", "one of the program"])
def test_the_global_provider_is_recorded_to_the_end_of_the_program(set_up):
    done = run(GLOBAL.format(set_up=set_up))
    assert (done.stdout, done.stderr) == ("", "")
    assert agents() == ["Ann", "Ann"]


def test_importing_tokenvis_loads_no_telemetry():
    code = "import sys, tokenvis; tokenvis.record_opentelemetry; print('opentelemetry' in sys.modules)"
    assert run(code).stdout == "False\n"


@pytest.mark.parametrize("missing", few(["opentelemetry", "opentelemetry.sdk"], "opentelemetry"))
def test_the_missing_extra_is_named(missing):
    code = "try: tokenvis.record_opentelemetry()\nexcept tokenvis.TokenvisError as error: print(error)"
    found = run(code, "import sys, tokenvis", f"sys.modules[{missing!r}] = None")
    assert found.stdout == "record_opentelemetry() needs the extra: pip install 'tokenvis[otel]'.\n"
