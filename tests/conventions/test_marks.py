import json

from hypothesis import given
from hypothesis import strategies as st

from tokenvis.conventions.marks import MARKS, split_marks, with_marks, with_same_marks, without_marks

TEXTS = st.text() | st.sampled_from(['"', "\\", '\\"}', "é\U0001f600", "$\\frac{ <b>\n", "]", ","])
VALUES = {
    **dict.fromkeys(MARKS[:4], TEXTS),
    "from_snapshot": st.lists(TEXTS, max_size=3),
    "disputed": st.just(True),
}


def test_marks_stand_before_the_keys_of_the_source():
    assert with_marks('{"label":"x"}', {"agent_from": "service"}) == '{"agent_from":"service","label":"x"}'
    assert with_marks(None, {"disputed": True}) == with_marks("{}", {"disputed": True}) == '{"disputed":true}'
    assert with_marks('{"label":"x"}', {}) == '{"label":"x"}'
    assert with_marks('{"agent_from":"trace","x":1}', {"agent_from": "ancestor"}) == '{"agent_from":"ancestor","x":1}'


@given(
    st.fixed_dictionaries({}, optional=VALUES),
    st.none() | st.dictionaries(TEXTS | st.sampled_from(MARKS), TEXTS | st.integers()),
)
def test_marks_are_taken_off_as_they_were_put_on(marks, payload):
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")) if payload else None
    text = without_marks(text)
    marked = with_marks(text, marks)
    assert split_marks(marked) == (marks, text)
    assert json.loads(marked or "{}") == {**marks, **(payload or {})}


def test_a_key_of_the_source_with_the_name_of_a_mark_is_no_mark():
    told = without_marks('{"agent_from":"e-mail","requested_by":"Bob"}')
    assert split_marks(told) == ({}, told)
    assert split_marks(with_marks(told, {"end_from": "trace"})) == ({"end_from": "trace"}, told)
    assert without_marks('{"label":"x","disputed":true}') == '{"label":"x","disputed":true}'
    assert without_marks(None) is None


@given(st.lists(st.none() | st.sampled_from(["{}", '{"x":1}', '{"agent_from":"trace","x":1}', '{ "disputed":1}'])))
def test_the_same_marks_for_many_texts(texts):
    for marks in ({}, {"agent_from": "ancestor"}, {"disputed": True, "end_from": "trace"}):
        assert with_same_marks(texts, marks) == [with_marks(text, marks) for text in texts]
