"""OpenTelemetry: record all OpenTelemetry instrumentation of a process with one call."""

from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenvis.conventions.rules import Rule
from tokenvis.errors import TokenvisError
from tokenvis.store.database import Target
from tokenvis.store.store import Store, as_store

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from tokenvis.record.exporter import TokenvisSpanExporter

INSTALLED_EXPORTERS: list[tuple["ref[Any]", "TokenvisSpanExporter"]] = []  # each with its tracer provider
INSTALL_LOCK = Lock()


def record_opentelemetry(
    *,
    store: Store | Target = None,
    agent: Rule = None,
    location: Rule = None,
    waits_for: Rule = None,
    open_spans: bool = False,
    provider: "TracerProvider | None" = None,
) -> "TokenvisSpanExporter":
    """Record the OpenTelemetry spans of this process into the store, each when it ends.

    The exporter is added to the program's tracer provider; without one, a provider is created. A second call for the same
    provider and store returns the same exporter, with the new options.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if it does not exist.
    agent, location, waits_for
        Rules for a span's agent, its location and whom it waits for that replace the default rules: the name of an
        attribute, or a function of the span, as in `ingest`. A function returns None to keep the default, and that of
        ``waits_for`` returns "" for a span that does not wait.
    open_spans
        Whether to store a span when it starts too, with the status "open" and the time of the last batch as its end.
    provider
        The tracer provider; by default the global provider.

    Returns
    -------
    TokenvisSpanExporter
        ``exporter.force_flush()`` stores all spans that have ended; the end of the program does so automatically.

    Raises
    ------
    TokenvisError
        The extra ``tokenvis[otel]`` is not installed, or the provider accepts no span processors.
    BadOption
        ``agent``, ``location`` or ``waits_for`` is neither an attribute name nor a function.
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

    with INSTALL_LOCK:
        tracer_provider = global_provider() if provider is None else provider
        if not hasattr(tracer_provider, "add_span_processor"):
            raise TokenvisError(
                f"The tracer provider is a {type(tracer_provider).__name__}, which has no add_span_processor. "
                "Pass provider=opentelemetry.sdk.trace.TracerProvider(), the provider of OpenTelemetry's SDK."
            )
        destination = as_store(store, create=True)
        INSTALLED_EXPORTERS[:] = [
            (reference, exporter)
            for reference, exporter in INSTALLED_EXPORTERS
            if reference() is not None and not exporter.is_shut_down
        ]
        for reference, exporter in INSTALLED_EXPORTERS:
            if reference() is tracer_provider and exporter.writer.store.path.resolve() == destination.path.resolve():
                exporter.configure(agent=agent, location=location, waits_for=waits_for, open_spans=open_spans)
                return exporter
        exporter = TokenvisSpanExporter(
            store=destination, agent=agent, location=location, waits_for=waits_for, open_spans=open_spans
        )
        tracer_provider.add_span_processor(LiveSpanProcessor(exporter))
        INSTALLED_EXPORTERS.append((ref(tracer_provider), exporter))
        return exporter


def global_provider() -> Any:
    """The program's tracer provider; if there is none yet, a new one from the SDK."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(TracerProvider())
    return trace.get_tracer_provider()
