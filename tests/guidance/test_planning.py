"""Guidance options are refused at planning for models whose guidance cannot be changed."""

from types import SimpleNamespace
from typing import Any

import pytest

import latentry_cfg_zero
import latentry_guidance_end
import latentry_guidance_rescale
import latentry_pag
import latentry_toy
from latentry import Host, Request, UserError
from latentry_sdk import TaskSpec, hookimpl

WAYS = ("guidance_end", "pag", "guidance_rescale", "cfg_zero")
PLUGINS = (latentry_cfg_zero, latentry_guidance_end, latentry_guidance_rescale, latentry_pag)
STAGES = ("load", "@encode_prompt", *WAYS, "@noise", "@denoise", "toy.start", "sample", "@decode")
CHANGED: dict[str, dict[str, Any]] = {
    "guidance_end": {"guidance_end": 0.5},
    "pag": {"pag_scale": 3},
    "guidance_rescale": {"guidance_rescale": 0.7},
    "cfg_zero": {"cfg_zero": True},
}


@pytest.fixture
def host() -> Host:
    """The toy, whose guidance is its own, with a task that has the stages."""
    task = TaskSpec("guided", STAGES, model="toy")
    plugin = SimpleNamespace(register_tasks=hookimpl(lambda: (task,)))
    return Host([latentry_toy, *PLUGINS, plugin])


@pytest.mark.parametrize("owner", WAYS)
def test_what_changes_guidance_is_refused_before_anything_is_loaded(host: Host, owner: str) -> None:
    with pytest.raises(UserError, match="the guidance of 'toy' models cannot be changed"):
        host.plan(Request(task="guided", prompt="a cross", options={owner: CHANGED[owner]}))


def test_the_defaults_are_no_change(host: Host) -> None:
    defaults = {
        "guidance_end": {"guidance_start": 0, "guidance_end": 1},
        "guidance_rescale": {"guidance_rescale": 0.0},
    }
    for options in ({}, defaults, {"cfg_zero": {"cfg_zero": False}}):
        plan = host.plan(Request(task="guided", prompt="a cross", options=options))
        assert [stage.name for stage in plan.stages if stage.name in WAYS] == list(WAYS)
