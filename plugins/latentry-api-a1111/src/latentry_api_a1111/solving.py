"""Which sampler and which schedule AUTOMATIC1111's names stand for."""

from collections.abc import Mapping
from typing import Any

from latentry_sdk import Host, InvalidRequest, SamplerSpec, SchedulerSpec, UnknownName

AUTOMATIC = frozenset({"", "automatic"})
SAME = frozenset({"", "use same sampler", "use same scheduler"})

CHOSEN: Mapping[str, str] = {
    "dpmpp_2m": "karras",
    "dpmpp_sde": "karras",
    "dpmpp_2s_ancestral": "karras",
    "dpm_2": "karras",
    "dpm_2_ancestral": "karras",
    "dpmpp_2m_sde": "exponential",
    "dpmpp_2m_sde_heun": "exponential",
    "dpmpp_3m_sde": "exponential",
    "ddim": "ddim_uniform",
}
"""The schedules that AUTOMATIC1111 1.9 takes for "Automatic"; for other samplers it is the model's own."""

PLAIN = "normal"
"""The schedule of models of Stable Diffusion."""

NO_EFFECT = (None, 0, 1)
"""Values of eta that clients send with every sampler."""


def split(host: Host, sampler: str, scheduler: str) -> tuple[SamplerSpec, SchedulerSpec | None]:
    """Both by their names, where the sampler's may end in the scheduler's; no scheduler is "Automatic".

    Raises `UnknownName`, and `InvalidRequest` for two schedulers that differ.
    """
    solver, fused = _parted(host, sampler)
    named = None if scheduler.lower() in AUTOMATIC else host.registry.schedulers.find(scheduler)
    if named and fused and named is not fused:
        raise InvalidRequest(
            f"the sampler {ascii(sampler)[:80]} has another scheduler than {named.name}",
            fix="name one of them",
        )
    return solver, fused or named


def schedule(sampler: SamplerSpec, scheduler: SchedulerSpec | None) -> str | None:
    """The scheduler's name, or what AUTOMATIC1111 chooses; None leaves it to the model."""
    return scheduler.name if scheduler else CHOSEN.get(sampler.name)


def eta_of(sampler: SamplerSpec, eta: float | None) -> Mapping[str, Any]:
    """The sampler's option, if it has one; raises `InvalidRequest` for an eta that would have no effect."""
    if "eta" in sampler.options.model_fields:
        return {} if eta is None else {"eta": eta}
    if eta not in NO_EFFECT:
        raise InvalidRequest(f"the sampler {sampler.name} has no eta", fix="leave it out")
    return {}


def _parted(host: Host, name: str) -> tuple[SamplerSpec, SchedulerSpec | None]:
    """The sampler of a name, and the scheduler where the name ends in one."""
    samplers, schedulers = host.registry.samplers, host.registry.schedulers
    words = name.split(" ")
    for count in range(min(len(words), 5)):
        first, last = " ".join(words[: len(words) - count]), " ".join(words[len(words) - count :])
        try:
            return samplers.find(first), schedulers.find(last) if last else None
        except UnknownName:
            continue
    return samplers.find(name), None  # which raises, and lists the names
