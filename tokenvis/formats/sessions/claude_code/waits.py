"""The waits of Claude Code: who waits for whom, as far as a session's files say it.

No call waits for agents that it starts in the background: the call's result says that it only launched them, or its input
asks for that and no result says otherwise. A call of `TaskOutput` waits for such an agent. Any other call that runs one agent
only waits for it, also before the agent's first span and after its last.

The result of a call is the same whether the user rejected the call before it ran, or interrupted it with Esc while it ran. A
call of an instant tool with that result waited for the user; for any other tool, the files do not tell which of the two it
was, and the call is not marked. Nor do the files record how long the user took to permit a call.
"""

from collections.abc import Iterable, Mapping

from tokenvis.formats.sessions.claude_code.transcripts import ToolCall, Transcript
from tokenvis.tree.states import USER

LAUNCHED_STATUSES = {"async_launched", "teammate_spawned", "remote_launched"}
OUTPUT_TOOLS = {"TaskOutput": "task_id", "AgentOutputTool": "agentId"}  # older versions: AgentOutputTool
REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected"
INSTANT_TOOLS = frozenset(  # they read or write one file, or the state of the session: only their permission takes time
    ["Edit", "MultiEdit", "Write", "NotebookEdit", "Read", "TodoWrite", "EnterPlanMode", "ExitPlanMode"]
)


def starts_in_background(call: ToolCall) -> bool:
    """Whether a call does not wait for the agents that it starts."""
    if call.launch_status:
        return call.launch_status in LAUNCHED_STATUSES
    return isinstance(call.input, dict) and call.input.get("run_in_background") is True


def agents_run_by_calls(transcripts: Iterable[Transcript]) -> dict[str, set[str]]:
    """The names of the agents that each call runs."""
    run_by: dict[str, set[str]] = {}
    for transcript in transcripts:
        if transcript.parent_call:
            run_by.setdefault(transcript.parent_call, set()).add(transcript.name)
    return run_by


def wait_data(call: ToolCall, agents: Mapping[str, str], run_by: Mapping[str, set[str]]) -> dict[str, str]:
    """The keys of a call's data that name the user or the agent that it waits for; empty if it waits for neither.

    ``agents`` are the names of agents by their ids, ``run_by`` those of `agents_run_by_calls`.
    """
    if waited_for_permission(call):
        return {"waits_for": USER}
    agent = awaited_agent(call, agents, run_by)
    return {"waits_for": agent, "waits_for_kind": "agent"} if agent else {}


def waited_for_permission(call: ToolCall) -> bool:
    """Whether a call waited for the user, who rejected it."""
    is_rejected = call.failed and isinstance(call.result, str) and call.result.startswith(REJECTED)
    return is_rejected and call.name in INSTANT_TOOLS


def awaited_agent(call: ToolCall, agents: Mapping[str, str], run_by: Mapping[str, set[str]]) -> str | None:
    """The agent that a call waits for, None if there is none; the parameters are those of `wait_data`."""
    if call.name in OUTPUT_TOOLS:
        arguments = call.input if isinstance(call.input, dict) else {}
        agent = arguments.get(OUTPUT_TOOLS[call.name])
        return agents.get(agent) if isinstance(agent, str) and agent and arguments.get("block") is not False else None
    names, launched = run_by.get(call.id, set()), call.details.get("agentId")
    if isinstance(launched, str) and launched in agents:
        names = names | {agents[launched]}
    return next(iter(names)) if len(names) == 1 and not starts_in_background(call) else None
