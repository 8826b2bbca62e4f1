import inspect
import pickle

import pytest

from tokenvis import errors
from tokenvis.errors import BadOption, TokenvisError, check_choice, listed, name_list, plural, quoted


def test_the_class_tree_matches_the_docstring():
    classes = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, TokenvisError)}
    assert all(name in errors.__doc__ for name in classes)
    assert {name: kind.__bases__[0].__name__ for name, kind in classes.items()} == {
        "TokenvisError": "Exception",
        "StoreNotFound": "TokenvisError",
        "StoreError": "TokenvisError",
        "TraceNotFound": "TokenvisError",
        "BadOption": "TokenvisError",
        "SpanError": "TokenvisError",
        "BadSpan": "SpanError",
        "MissingColumn": "SpanError",
        "IngestError": "TokenvisError",
        "FleetError": "TokenvisError",
    }
    assert {name for name, kind in classes.items() if issubclass(kind, ValueError)} == {
        "BadOption",
        "SpanError",
        "BadSpan",
        "MissingColumn",
    }


def test_a_long_value_is_cut():
    assert quoted("x" * 10_000) == f"'{'x' * 60}'… (10,000 characters)"
    assert quoted("it's") == '"it\'s"'
    assert quoted(3) == "3"
    assert quoted(["x"] * 1_000).endswith("… (5,000 characters)")


def test_a_value_without_a_text_is_described():
    assert quoted(10**5_000) == "a value of type int with too many digits to show"


def test_a_long_list_is_cut():
    assert listed("abc") == "'a', 'b', 'c'"
    assert listed(range(1_010)) == "0, 1, 2, 3, 4, 5, 6, 7 and 1,002 more"
    assert listed([]) == "none"


def test_one_name_or_several_are_a_list():
    assert name_list("agents", "ann") == ["ann"]
    assert name_list("agents", iter(("ann", "bob"))) == ["ann", "bob"]
    for wrong in (7, None, ["ann", 7]):
        with pytest.raises(BadOption, match=r"^agents=(7|None|\['ann', 7\]) is neither a name nor a list of names\.$"):
            name_list("agents", wrong)


def test_a_count_has_its_noun():
    assert [plural(count, "span") for count in (0, 1, 2_000)] == ["0 spans", "1 span", "2,000 spans"]


def test_a_choice_is_one_of_the_list():
    check_choice("gaps", "fold", ("fold", "keep"))
    with pytest.raises(BadOption, match=r"^gaps='hide' is not one of 'fold', 'keep'\.$"):
        check_choice("gaps", "hide", ("fold", "keep"))


def test_an_error_can_be_pickled():
    again = pickle.loads(pickle.dumps(BadOption("height=5 is too small.")))
    assert (type(again), str(again)) == (BadOption, "height=5 is too small.")
