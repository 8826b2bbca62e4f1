"""The demo: two demo traces, identical in every database; they use no clock and no random numbers.

``kitchen-sink`` is small enough to read completely. ``multi-agent-workflow`` is a release in one minute: six agents plan,
research, build in parallel, have one change rejected, fail to deploy, fix it and deploy again. docs/demo-traces.md describes
both, with the expected results. Times below are in seconds; spans are stored in microseconds.
"""

from typing import Any

from tokenvis.errors import BadSpan, quoted
from tokenvis.store.database import Target
from tokenvis.store.store import Store, Written, as_store

KITCHEN_SINK = "kitchen-sink"
WORKFLOW = "multi-agent-workflow"

KITCHEN, OFFICE = "Kitchen", "Office"
ROOM, LAB, STUDIO, BAY, ZONE = "Planning Room", "Research Lab", "Code Studio", "Review Bay", "Deploy Zone"


def seed_demo(*, store: Store | Target = None) -> list[Written]:
    """Write both demo traces, replacing traces of the same ids; all other traces are unchanged.

    Parameters
    ----------
    store
        A `Store`, a path or URL, or None for the default database, which is created if missing.

    Returns
    -------
    list of Written
        The result of the write for each trace.

    Raises
    ------
    BadSpan
        A span of another trace has the id of a demo span. Nothing is written.
    StoreError
        The database cannot be written.

    Examples
    --------
    >>> [(written.trace_id, written.added) for written in seed_demo(store="demo.db")]
    [('kitchen-sink', 7), ('multi-agent-workflow', 40)]
    """
    database = as_store(store, create=True)
    traces = {KITCHEN_SINK: kitchen_sink(), WORKFLOW: multi_agent_workflow()}
    check_ids_are_free(database, traces)
    return [database.write_trace(trace_id, spans, name=trace_id) for trace_id, spans in traces.items()]


def check_ids_are_free(store: Store, traces: dict[str, list[dict[str, Any]]]) -> None:
    """Raise `BadSpan` if a span of another trace has the id of one of these spans."""
    trace_of = {row["id"]: trace for trace, spans in traces.items() for row in spans}
    for span_id, owner in store.traces_of(list(trace_of)).items():
        if owner != trace_of[span_id]:
            raise BadSpan(
                f"Span {quoted(span_id)} of the demo has the id of a span in trace {quoted(owner)}. Delete that one with "
                f"Store({str(store.path)!r}).delete_spans({owner!r}, {span_id!r}), or seed another database."
            )


def span(number: str, agent: str, location: str, start: float, end: float, label: str, **data: Any) -> dict[str, Any]:
    """One span of a demo trace; `with_full_ids` completes its id from ``number``."""
    times = {"start_time": round(start * 1_000_000), "end_time": round(end * 1_000_000)}
    return {"id": number, "agent_id": agent, "location_id": location, **times, "data": {"label": label, **data}}


def with_full_ids(trace_id: str, spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spans with full ids, ``<trace id>/<number>``, also in parent_id and links."""
    for row in spans:
        row["id"] = f"{trace_id}/{row['id']}"
        data = row["data"]
        if "parent_id" in data:
            data["parent_id"] = f"{trace_id}/{data['parent_id']}"
        if "links" in data:
            data["links"] = [f"{trace_id}/{number}" for number in data["links"]]
    return spans


def model_call(model: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """The payload keys of a call of a language model."""
    usage = {"gen_ai.usage.input_tokens": input_tokens, "gen_ai.usage.output_tokens": output_tokens}
    return {"kind": "model", "attributes": {"gen_ai.request.model": model, **usage}}


def kitchen_sink() -> list[dict[str, Any]]:
    """Three people, two rooms, seven spans: overlaps, moves, an instant, and two spans that touch without overlap."""
    return with_full_ids(
        KITCHEN_SINK,
        [
            span("1", "Alice", KITCHEN, 0.0, 4.0, "Chop vegetables"),
            span("2", "Charlie", KITCHEN, 0.5, 2.0, "Make coffee"),
            span("3", "Bob", KITCHEN, 1.0, 5.0, "Boil water"),
            span("4", "Charlie", OFFICE, 2.5, 6.0, "Answer mail"),
            span("5", "Alice", KITCHEN, 4.0, 4.0, "Ring the bell"),
            span("6", "Alice", KITCHEN, 4.5, 6.0, "Lay the table"),
            span("7", "Bob", KITCHEN, 5.0, 5.8, "Wash up"),
        ],
    )


def multi_agent_workflow() -> list[dict[str, Any]]:
    """Six agents release a feature in sixty seconds."""
    large, small = "demo-large", "demo-small"
    return with_full_ids(
        WORKFLOW,
        [
            span("01", "Planner", ROOM, 0.0, 8.0, "Plan the release", phase="plan", **model_call(large, 1_200, 450)),
            span("02", "Planner", LAB, 3.0, 4.5, "Look up the old design", phase="plan", parent_id="01", kind="tool"),
            span("03", "Researcher", ROOM, 6.0, 8.0, "Join the kick-off", phase="plan"),
            span("04", "Planner", ROOM, 8.0, 8.0, "Plan approved", phase="plan", kind="checkpoint"),
            span("05", "Researcher", LAB, 8.5, 14.0, "Survey the libraries", phase="research", links=["04"]),
            span("06", "Researcher", LAB, 9.0, 11.5, "Fetch the API docs", phase="research", parent_id="05", kind="tool"),
            span("07", "Planner", LAB, 12.0, 14.5, "Read the findings", phase="research"),
            span("08", "Researcher", LAB, 14.0, 16.0, "Write the summary", phase="research", **model_call(large, 3_000, 800)),
            span("09", "Planner", ROOM, 16.0, 18.0, "Split the work", phase="plan", links=["08"]),
            span("10", "Researcher", ROOM, 16.2, 17.0, "Explain the summary", phase="plan"),
            span("11", "Coder-A", ROOM, 17.4, 18.0, "Take the API task", phase="plan"),
            span("12", "Coder-B", ROOM, 17.5, 18.0, "Take the UI task", phase="plan"),
            span("13", "Coder-A", STUDIO, 18.0, 27.0, "Write the API", phase="build", links=["09"]),
            span("14", "Coder-B", STUDIO, 18.5, 25.0, "Write the UI", phase="build", links=["09"]),
            span("15", "Coder-A", STUDIO, 22.0, 23.5, "Draft", phase="build", parent_id="13", **model_call(small, 1_500, 900)),
            span("16", "Researcher", LAB, 24.5, 27.0, "Answer questions", phase="build"),
            span("17", "Coder-B", LAB, 25.0, 26.5, "Ask about the docs", phase="build"),
            span("18", "Coder-B", STUDIO, 26.5, 30.0, "Finish the UI", phase="build"),
            span("19", "Coder-A", STUDIO, 27.0, 29.0, "Run the tests", phase="build", kind="tool"),
            span("20", "Coder-A", STUDIO, 29.0, 29.3, "Sync the branches", phase="build", kind="tool"),
            span("21", "Coder-A", BAY, 29.5, 30.5, "Submit the API", phase="review"),
            span("22", "Coder-B", BAY, 30.0, 30.8, "Submit the UI", phase="review"),
            span(
                "23",
                "Reviewer",
                BAY,
                31.0,
                36.0,
                "Review the API",
                phase="review",
                links=["21"],
                **model_call(large, 4_000, 600),
            ),
            span("24", "Coder-A", BAY, 35.0, 36.0, "Discuss the API", phase="review"),
            span("25", "Reviewer", BAY, 36.0, 36.0, "Changes requested", phase="review", kind="checkpoint"),
            span(
                "26",
                "Reviewer",
                BAY,
                36.0,
                39.0,
                "Review the UI",
                phase="review",
                links=["22"],
                **model_call(large, 2_500, 300),
            ),
            span("27", "Coder-A", STUDIO, 36.5, 41.0, "Fix the API", phase="fix", links=["25"]),
            span("28", "Coder-B", STUDIO, 37.0, 39.5, "Document the UI", phase="fix"),
            span("29", "Deployer", ZONE, 38.0, 44.0, "Prepare staging", phase="deploy", kind="tool"),
            span(
                "30",
                "Coder-A",
                STUDIO,
                39.0,
                40.5,
                "Run the tests",
                phase="fix",
                parent_id="27",
                kind="tool",
                attempt=2,
            ),
            span("31", "Coder-A", BAY, 41.0, 41.4, "Resubmit the API", phase="review"),
            span(
                "32",
                "Reviewer",
                BAY,
                41.4,
                44.0,
                "Review the fix",
                phase="review",
                links=["31"],
                **model_call(small, 1_800, 150),
            ),
            span("33", "Reviewer", ZONE, 44.2, 45.0, "Sign off", phase="deploy"),
            span("34", "Deployer", ZONE, 45.0, 49.0, "Deploy", phase="deploy", links=["33"], status="error", attempt=1),
            span("35", "Coder-B", ZONE, 47.0, 49.5, "Read the logs", phase="deploy"),
            span("36", "Deployer", ZONE, 49.0, 50.0, "Roll back", phase="deploy", kind="tool"),
            span("37", "Coder-B", STUDIO, 49.5, 52.5, "Fix the settings", phase="fix", links=["34"]),
            span("38", "Deployer", ZONE, 53.0, 58.0, "Deploy again", phase="deploy", links=["37"], status="ok", attempt=2),
            span("39", "Planner", ZONE, 57.0, 60.0, "Watch the release", phase="deploy"),
            span("40", "Deployer", ZONE, 58.0, 60.0, "Verify the release", phase="deploy", kind="tool"),
        ],
    )
