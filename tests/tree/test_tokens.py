import numpy as np
import pytest
from conftest import spans_of, with_data

from tokenvis import BadSpan
from tokenvis.tree.relations import relations_of
from tokenvis.tree.tokens import TOKEN_KEYS, tokens_of

INPUT, OUTPUT = TOKEN_KEYS["input_tokens"], TOKEN_KEYS["output_tokens"]


def using(spans, **attributes):
    """The spans with attributes, by id."""
    return with_data(spans, **{span: {"attributes": given} for span, given in attributes.items()})


def test_a_key_counts_only_if_no_descendant_has_it():
    spans = spans_of("ann 0 9 desk", "ann 1 8 desk", "bob 2 7 desk", "bob 8 9 desk", parents={"b": "a", "c": "b"})
    spans = using(spans, a={INPUT: 10, OUTPUT: 5}, c={INPUT: 10}, d={OUTPUT: 2})
    tokens = tokens_of(spans, relations_of(spans).parents())
    assert tokens["input_tokens"].counted.tolist() == [False, False, True, False]
    assert tokens["output_tokens"].counted.tolist() == [True, False, False, True]
    assert tokens["output_tokens"].values.tolist() == [5, 0, 0, 2]
    assert not tokens["cached_tokens"].present.any()


def test_a_count_may_be_an_integral_float():
    spans = using(spans_of("ann 0 9 desk", "ann 10 11 desk"), a={INPUT: 10.0}, b={INPUT: 3})
    assert tokens_of(spans, relations_of(spans).parents())["input_tokens"].values.tolist() == [10, 3]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.5, r"gen_ai\.usage\.input_tokens of span 'b' is 1\.5, not an integer\."),
        (1e30, r"gen_ai\.usage\.input_tokens of span 'b' is 1e\+30, not an integer\."),
        ("40", r"gen_ai\.usage\.input_tokens of span 'b' is '40', not a 64-bit number\."),
        ([4], r"gen_ai\.usage\.input_tokens of span 'b' is \[4\], not a 64-bit number\."),
        (True, r"gen_ai\.usage\.input_tokens of span 'b' is True, not a 64-bit number\."),
        (2**63, r"gen_ai\.usage\.input_tokens of span 'b' is 9223372036854775808, not a 64-bit number\."),
    ],
)
def test_a_count_that_is_not_an_integer_is_refused(value, message):
    spans = using(spans_of("ann 0 9 desk", "ann 1 8 desk"), a={INPUT: 10}, b={INPUT: value})
    with pytest.raises(BadSpan, match=f"^{message}$"):
        tokens_of(spans, relations_of(spans).parents())


def test_a_boolean_count_is_shown_as_written():
    with pytest.raises(BadSpan, match=r"^gen_ai\.usage\.input_tokens of span 'a' is True, not a 64-bit number\.$"):
        tokens_of(using(spans_of("ann 0 9 desk"), a={INPUT: True}), np.array([-1]))
