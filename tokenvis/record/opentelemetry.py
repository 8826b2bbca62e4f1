"""OpenTelemetry: whatever is instrumented with OpenTelemetry, recorded by one line."""

from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenvis.conventions.rules import Rule
from tokenvis.errors import TokenvisError
from tokenvis.store.database import Target
from tokenvis.store.store import Store, opened

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from tokenvis.record.exporter import TokenvisSpanExporter

SET_UP: list[tuple["ref[Any]", "TokenvisSpanExporter"]] = []  # with the providers that they serve
LOCK = Lock()


def record_opentelemetry(
    *,
    store: Store | Target = None,
    agent: Rule = None,
    location: Rule = None,
    open_spans: bool = False,
    provider: "TracerProvider | None" = None,
) -> "TokenvisSpanExporter":
    """Record what OpenTelemetry traces in this process into the store, span by span, as each ends.

    Where the program has a tracer provider, the exporter joins those that it has; where it has none, one is made. Done again
    for the same store, it gives the exporter that is there, with the options given now.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it is not there.
    agent, location
        What tells a span's agent and location, in place of the rules: the name of an attribute, or a function of the span, as
        in `ingest`.
    open_spans
        Whether a span is stored when it starts too, with the status "open" and the time of the last batch as its end.
    provider
        The tracer provider; by default the global one.

    Returns
    -------
    TokenvisSpanExporter
        ``exporter.force_flush()`` stores at once what has come; the end of the program does so by itself.

    Raises
    ------
    TokenvisError
        The extra ``tokenvis[otel]`` is not installed, or the provider takes no span processors.
    BadOption
        ``agent`` or ``location`` is no rule.
    StoreError
        The database cannot be used.

    Examples
    --------
    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> provider = TracerProvider()
    >>> exporter = record_opentelemetry(store="run.db", provider=provider)
    >>> with provider.get_tracer("my.app").start_as_current_span("invoke_agent Ann"):
    ...     pass
    >>> exporter.force_flush()
    True
    >>> provider.shutdown()
    """
    try:
        import opentelemetry.sdk.trace  # noqa: F401
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("opentelemetry"):
            raise
        raise TokenvisError("record_opentelemetry() needs the extra: pip install 'tokenvis[otel]'.") from None
    from tokenvis.record.exporter import LiveSpanProcessor, TokenvisSpanExporter

    with LOCK:
        target = global_provider() if provider is None else provider
        if not hasattr(target, "add_span_processor"):
            raise TokenvisError(
                f"The tracer provider is a {type(target).__name__}, which takes no span processors: it has no "
                "add_span_processor. Give provider= one of OpenTelemetry's SDK, opentelemetry.sdk.trace.TracerProvider()."
            )
        place = opened(store, create=True)
        SET_UP[:] = [(of, exporter) for of, exporter in SET_UP if of() is not None and not exporter.is_shut]
        for of, exporter in SET_UP:
            if of() is target and exporter.writer.store.path.resolve() == place.path.resolve():
                exporter.use(agent=agent, location=location, open_spans=open_spans)
                return exporter
        exporter = TokenvisSpanExporter(store=place, agent=agent, location=location, open_spans=open_spans)
        target.add_span_processor(LiveSpanProcessor(exporter))
        SET_UP.append((ref(target), exporter))
        return exporter


def global_provider() -> Any:
    """The tracer provider of the program; one of the SDK where it has none yet."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(TracerProvider())
    return trace.get_tracer_provider()
