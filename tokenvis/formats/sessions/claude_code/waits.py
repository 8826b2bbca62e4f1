"""The waits of Claude Code: who waits for whom, as far as a session's files say it.

No call waits for agents that it starts in the background: the call's result says that it only launched them, or its input
asks for that and no result says otherwise. A call of `TaskOutput` waits for such an agent. A call that the user rejected never
ran, so its time is the wait for the answer; if an agent ran below it, it was interrupted instead. The files do not record
how long the user took to permit a call.
"""

from collections.abc import Mapping

from tokenvis.formats.sessions.claude_code.lines import ToolCall
from tokenvis.spans.states import USER

LAUNCHED_STATUSES = {"async_launched", "teammate_spawned", "remote_launched"}
OUTPUT_TOOLS = {"TaskOutput": "task_id", "AgentOutputTool": "agentId"}  # older versions: AgentOutputTool
REJECTED = "The user doesn't want to proceed with this tool use. The tool use was rejected"


def starts_in_background(call: ToolCall) -> bool:
    """Whether a call does not wait for the agents that it starts."""
    if call.launch_status:
        return call.launch_status in LAUNCHED_STATUSES
    return isinstance(call.input, dict) and call.input.get("run_in_background") is True


def awaited(call: ToolCall, agents: Mapping[str, str]) -> str | None:
    """Whom a call waits for: an agent, by ``agents``, the names of agents by their ids; the user; or None."""
    if call.failed and not call.subagent_last_seen and isinstance(call.result, str) and call.result.startswith(REJECTED):
        return USER
    if call.name not in OUTPUT_TOOLS or not isinstance(call.input, dict) or call.input.get("block") is False:
        return None
    agent = call.input.get(OUTPUT_TOOLS[call.name])
    return agents.get(agent) if isinstance(agent, str) and agent else None
