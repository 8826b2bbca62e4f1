"""The waits of Claude Code: who waits for whom, as far as a session's files say it.

No call waits for agents that it starts in the background: the call's result says that it only launched them, or its input
asks for that and no result says otherwise. A call of `TaskOutput` waits for such an agent. Any other call that runs one agent
only waits for it, also before the agent's first span and after its last. A call that the user rejected never ran, so its time
is the wait for the answer; if an agent ran below it, it was interrupted instead. The files do not record how long the user
took to permit a call.
"""

from collections.abc import Iterable, Mapping

from tokenvis.formats.sessions.claude_code.lines import ToolCall, Transcript
from tokenvis.spans.states import USER

LAUNCHED_STATUSES = {"async_launched", "teammate_spawned", "remote_launched"}
OUTPUT_TOOLS = {"TaskOutput": "task_id", "AgentOutputTool": "agentId"}  # older versions: AgentOutputTool
REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected"


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


def awaited(call: ToolCall, agents: Mapping[str, str], run_by: Mapping[str, set[str]]) -> str | None:
    """Whom a call waits for: an agent, the user, or None.

    ``agents`` are the names of agents by their ids, ``run_by`` those of `agents_run_by_calls`.
    """
    if call.failed and not call.subagent_last_seen and isinstance(call.result, str) and call.result.startswith(REJECTED):
        return USER
    if call.name in OUTPUT_TOOLS:
        arguments = call.input if isinstance(call.input, dict) else {}
        agent = arguments.get(OUTPUT_TOOLS[call.name])
        return agents.get(agent) if isinstance(agent, str) and agent and arguments.get("block") is not False else None
    names = run_by.get(call.id, set()) | {agents[agent] for agent in [call.details.get("agentId")] if agent in agents}
    return next(iter(names)) if len(names) == 1 and not starts_in_background(call) else None
