"""A library that is hidden is missing while it is, and afterwards there as before."""

import sys

import pytest

from latentry_sdk.hiding import hidden


def test_what_was_imported_is_missing_for_so_long_and_then_the_same_again():
    import json.decoder

    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "json"}
    with hidden("json"):
        for name in ("json", "json.decoder", "json.tool"):
            with pytest.raises(ImportError):
                __import__(name)
    after = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "json"}
    assert after == before
    assert sys.modules["json.decoder"] is json.decoder


def test_what_was_not_imported_can_be_imported_afterwards():
    sys.modules.pop("this_module_is_nowhere", None)
    with hidden("this_module_is_nowhere"), pytest.raises(ImportError):
        __import__("this_module_is_nowhere")
    assert "this_module_is_nowhere" not in sys.modules


def test_an_error_inside_leaves_nothing_hidden():
    with pytest.raises(RuntimeError), hidden("json"):
        raise RuntimeError
    assert __import__("json").dumps(1) == "1"
