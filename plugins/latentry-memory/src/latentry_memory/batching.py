"""Give a component fewer images of a batch at once, where a stage can be told how many."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from latentry_sdk import Plan

AT_ONCE = "at_once"
"""The option of a stage that says how many images of the batch a component gets in one call."""

Key = tuple[str, str]


def fewer(plan: Plan) -> Plan | None:
    """The plan, and its further ones, with half as many images at once; None where they go one by one."""
    changes = dict(_halved(plan))
    further = {name: _fewer_in(other) for name, other in plan.further.items()}
    if not changes and further == dict(plan.further):
        return None
    told = [f"{name}: {count} at once, to spare memory" for (_, name), count in changes.items()]
    return replace(_with(plan, changes), further=further, notes=(*plan.notes, *told))


def _fewer_in(plan: Plan | None) -> Plan | None:
    return plan and (fewer(plan) or plan)


def _halved(plan: Plan) -> Iterator[tuple[Key, int]]:
    for key, options in plan.options.items():
        count = min(getattr(options, AT_ONCE, 1), plan.request.batch)
        if count > 1:
            yield key, count // 2


def _with(plan: Plan, changes: Mapping[Key, int]) -> Plan:
    changed = {key: plan.options[key].model_copy(update={AT_ONCE: count}) for key, count in changes.items()}
    return replace(plan, options={**plan.options, **changed})
