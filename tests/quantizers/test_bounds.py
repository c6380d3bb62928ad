"""docs/quantizers.md has a row for every scheme, within the bounds that its plugin declares."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from latentry import Host

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quantizers.md").read_text(encoding="utf-8")
COMPONENTS = ("text_encoder", "text_encoder_2", "unet", "vae_encoder", "vae_decoder")
PLAIN = "float32"


def rows() -> Mapping[str, Mapping[str, str]]:
    """The measured table: its cells by scheme and column."""
    table = re.split("<!-- /?measured -->", PAGE)[1].strip().splitlines()
    head, _, *lines = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in table)
    return {line[0]: dict(zip(head, line, strict=True)) for line in lines}


@pytest.fixture(scope="module")
def specs():
    """Every quantizer of real models, by name."""
    with Host() as host:
        return {name: spec for name, spec in host.registry.quantizers.items() if name != "toy-round"}


def test_every_scheme_has_a_row_and_no_other(specs):
    made = {f"{name}:{scheme}" for name, spec in specs.items() for scheme in spec.schemes}
    assert rows().keys() - {PLAIN} == made - {"gguf:stored"}


def test_each_component_is_within_the_declared_error(specs):
    for label, row in rows().items():
        if label != PLAIN:
            name, _, scheme = label.partition(":")
            assert all(0 < float(row[part]) < specs[name].errors[scheme] for part in COMPONENTS), label


def test_8_bits_take_less_than_a_third_and_4_less_than_a_fourth_of_the_room():
    """But GGUF's: its blocks of 32 values divide few of the small model's rows, so other layers stay."""
    whole = float(rows()[PLAIN]["MB"])
    for label, row in rows().items():
        name, _, scheme = label.partition(":")
        if label != PLAIN:
            share = 0.75 if name == "gguf" else 1 / 4 if "4" in scheme else 1 / 3
            assert float(row["MB"]) < whole * share, label


def test_no_scheme_costs_much_of_what_is_recognised():
    whole = float(rows()[PLAIN]["recognised"])
    assert all(float(row["recognised"]) >= whole - 0.1 for row in rows().values())
