import pytest

from tokenvis.ingestion.column_names import proposed_columns


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        ("begin end worker desk", "start_time=begin end_time=end agent_id=worker location_id=desk"),
        ("when who till", "start_time=when end_time=till agent_id=who"),
        ("startTime endTime agentName toolName runId",
         "trace_id=runId start_time=startTime end_time=endTime agent_id=agentName location_id=toolName"),
        ("timestamp duration_ms user", "start_time=timestamp duration=duration_ms agent_id=user"),
        ("step agent room", "start_time=step agent_id=agent location_id=room"),
        ("end_place start_place start end", "start_time=start end_time=end location_id=end_place"),
        ("a b weekend starting", ""),
        ("", ""),
        (f"{'x' * 10_000} end", "end_time=end"),
    ],
)  # fmt: skip
def test_columns_are_proposed_by_their_words(names, proposed):
    assert " ".join(f"{field}={name}" for field, name in proposed_columns(names.split(" ")).items()) == proposed
