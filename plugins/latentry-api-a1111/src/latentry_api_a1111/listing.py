"""The lists that clients fill their menus with, in AUTOMATIC1111's words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from latentry_api_a1111.solving import CHOSEN
from latentry_sdk import Host
from latentry_sdk.styles import read_styles

Items = Sequence[Mapping[str, Any]]


def samplers(host: Host) -> Items:
    """Each sampler by the name that other programs know, its own among the aliases."""
    return [
        {
            "name": spec.label or spec.name,
            "aliases": sorted({spec.name, *spec.aliases}),
            "options": {"scheduler": CHOSEN[spec.name]} if spec.name in CHOSEN else {},
        }
        for spec in host.registry.samplers.values()
    ]


def schedulers(host: Host) -> Items:
    """Automatic, then each scheduler; `need_inner_model` says that its ends cannot be chosen."""
    automatic = {"name": "automatic", "label": "Automatic", "aliases": None}
    return [{**automatic, "default_rho": -1.0, "need_inner_model": False}] + [
        {
            "name": spec.name,
            "label": spec.label or spec.name,
            "aliases": list(spec.aliases) or None,
            "default_rho": rho.default if (rho := spec.options.model_fields.get("rho")) else -1.0,
            "need_inner_model": "sigma_min" not in spec.options.model_fields,
        }
        for spec in host.registry.schedulers.values()
    ]


def models(host: Host) -> Items:
    """Each model; its hash is known when a job has run, and is in that job's `info`."""
    return [
        {
            "title": model.name,
            "model_name": model.name,
            "hash": None,
            "sha256": None,
            "filename": model.path.name,
            "config": None,
        }
        for model in host.models()
    ]


def upscalers(host: Host) -> Items:
    """What enlarges pixels in the second pass; None does it as Lanczos."""
    names = ["None", *(name.capitalize() for name in _hires(host) if not name.startswith("latent"))]
    known = {"model_name": None, "model_path": None, "model_url": None, "scale": 4}
    return [{"name": name, **known} for name in names]


def latent_upscale_modes(host: Host) -> Items:
    """What enlarges latents in the second pass: `latent_nearest_exact` is "Latent (nearest-exact)"."""
    return [{"name": _latent(name)} for name in _hires(host) if name.startswith("latent")]


def prompt_styles(host: Host) -> Items:
    """The styles of the data folder, where a plugin lays them around prompts."""
    if "prompt" not in host.registry.stages:
        return []
    known = read_styles(host.config.data_dir / "styles.csv")
    return [
        {"name": name, "prompt": style.prompt, "negative_prompt": style.negative}
        for name, style in known.items()
    ]


def memory(host: Host) -> Mapping[str, Any]:
    """Bytes of the processor's memory and of a GPU's, as their devices tell them."""
    reports = host.devices()

    def told(name: str) -> Mapping[str, Any]:
        report = reports.get(name)
        if report is None or not report.available or report.memory.total is None:
            return {"error": "unavailable"}
        total, free = report.memory.total, report.memory.free or 0
        return {"free": free, "used": total - free, "total": total}

    return {"ram": told("cpu"), "cuda": told("cuda")}


def _hires(host: Host) -> Sequence[str]:
    """The upscalers that the second pass knows; none where it is not installed."""
    task = host.registry.tasks.get("hires")
    field = task.options.model_fields.get("upscaler") if task else None
    return get_args(field.annotation) if field else ()


def _latent(name: str) -> str:
    kind = re.sub("_", " ", name.removeprefix("latent").strip("_")).replace("nearest exact", "nearest-exact")
    return f"Latent ({kind})" if kind else "Latent"
