"""`info`: what a call made, by the names that AUTOMATIC1111 gives it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentry_api_a1111 import infotext
from latentry_api_a1111.calls import Call
from latentry_api_a1111.fields import Asked
from latentry_sdk.queue import QueuedJob

SHORT = 10
"""Digits of AUTOMATIC1111's model hash."""

FIXED: Mapping[str, Any] = {
    "restore_faces": False,
    "face_restoration_model": None,
    "sd_vae_name": None,
    "sd_vae_hash": None,
    "seed_resize_from_w": -1,
    "seed_resize_from_h": -1,
    "extra_generation_params": {},
    "index_of_first_image": 0,
    "is_using_inpainting_conditioning": False,
}
"""What is so for every call."""


def info(asked: Asked, call: Call, jobs: Sequence[QueuedJob], infotexts: Sequence[str]) -> Mapping[str, Any]:
    """Seeds, sizes and names as they were applied; as they were asked for where no picture was made."""
    images = [image for job in jobs for image in _images(job)]
    applied = _applied(jobs[0]) if jobs else {}
    size = applied.get("hires", applied).get("size") or (asked.width, asked.height)
    said = infotext.read("".join(infotexts[:1]))
    return {
        **_listed("prompt", images, asked.prompt),
        **_listed("negative_prompt", images, asked.negative_prompt),
        **_listed("seed", images, asked.seed),
        **_listed("subseed", images, asked.subseed),
        "subseed_strength": asked.subseed_strength,
        "width": size[0],
        "height": size[1],
        "sampler_name": said.get("Sampler", asked.sampler_name or asked.sampler_index),
        "cfg_scale": asked.cfg_scale,
        "steps": asked.steps,
        "batch_size": asked.batch_size,
        "sd_model_name": call.model,
        "sd_model_hash": applied.get("model", {}).get("sha256", "")[:SHORT],
        "denoising_strength": asked.denoising_strength,
        "infotexts": list(infotexts),
        "styles": list(asked.styles),
        "job_timestamp": call.timestamp,
        "clip_skip": call.clip,
        **FIXED,
    }


def _listed(name: str, images: Sequence[Mapping[str, Any]], asked: Any) -> Mapping[str, Any]:
    """The first image's value and those of all."""
    values = [image[name] for image in images]
    return {name: values[0] if values else asked, f"all_{name}s": values}


def _images(job: QueuedJob) -> Iterator[Mapping[str, Any]]:
    """Prompts and seeds of each picture of a job; a subseed of -1 had no effect."""
    request, applied = job.submission.request, _applied(job)
    asked = {name: request.get(name, "") for name in ("prompt", "negative")}
    for index, artifact in enumerate(job.outcome.artifacts if job.outcome else ()):
        texts = applied["prompts"][index] if "prompts" in applied else asked
        yield {
            "prompt": texts["prompt"],
            "negative_prompt": texts["negative"],
            "seed": artifact.seed,
            "subseed": applied["variation"]["seeds"][index] if "variation" in applied else -1,
        }


def _applied(job: QueuedJob) -> Mapping[str, Any]:
    return job.outcome.applied if job.outcome else {}
