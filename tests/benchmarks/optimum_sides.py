"""One side of against_optimum.py, in a process of its own: pictures by Latentry's host or by optimum-intel.

    python optimum_sides.py SIDE WORK

SIDE is "ours" or "theirs", WORK a JSON object: model, folder, cache, size, steps, guidance, threads, static.
A prompt a line comes in, and a JSON object a line goes out: the seconds up to a PNG file, and the picture's
values as base64.
"""

import base64
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

Work = Mapping[str, Any]
Draw = Callable[[str], "Image"]
SEED = 1


def ours(work: Work) -> Draw:
    """The work by a host, everything placed on `openvino`."""
    from latentry import Host, Request

    host = Host()
    options = {
        "threads": work["threads"],
        "shapes": "static" if work["static"] else "dynamic",
        "cache": str(Path(work["cache"]) / "ours"),
    }

    def draw(prompt: str) -> "Image":
        request = Request(
            task="txt2img", prompt=prompt, model=work["folder"], seed=SEED, steps=work["steps"],
            guidance=work["guidance"], sampler="euler", width=work["size"], height=work["size"],
            dtype="float32", place={"*": "openvino"}, options={"openvino": options},
        )  # fmt: skip
        return host.run(request).artifacts[0].open()

    return draw


def theirs(work: Work) -> Draw:
    """The work by optimum-intel's pipeline, which is exported first and kept in the cache."""
    import torch
    from diffusers import EulerDiscreteScheduler

    torch.set_num_threads(work["threads"])
    pipeline = exported(work)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="linspace"
    )
    pipeline.set_progress_bar_config(disable=True)
    side, more = work["size"], dict[str, Any]()
    if work["static"]:
        pipeline.reshape(batch_size=1, height=side, width=side, num_images_per_prompt=1)
    pipeline.compile()
    if work["model"] == "emoji":
        from PIL import Image

        full = Image.new("L", (side, side), 255)
        more = {"image": Image.new("RGB", (side, side)), "mask_image": full, "strength": 1.0}

    def draw(prompt: str) -> "Image":
        made = pipeline(
            prompt, num_inference_steps=work["steps"], guidance_scale=work["guidance"],
            width=side, height=side, generator=torch.Generator().manual_seed(SEED), **more,
        )  # fmt: skip
        picture: Image.Image = made.images[0]
        picture.save(io.BytesIO(), "PNG")
        return picture

    return draw


def exported(work: Work) -> Any:
    """Their pipeline of the folder, for float32 and so many threads, not compiled yet."""
    from optimum.intel import OVStableDiffusionPipeline, OVStableDiffusionXLInpaintPipeline

    kind: Any = OVStableDiffusionXLInpaintPipeline if work["model"] == "emoji" else OVStableDiffusionPipeline
    kept = Path(work["cache"]) / "theirs"
    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(work["threads"]), "CACHE_DIR": ""}
    if not (kept / "model_index.json").is_file():
        made = kind.from_pretrained(work["folder"], export=True, compile=False, load_in_8bit=False)
        made.save_pretrained(kept)
    return kind.from_pretrained(kept, compile=False, ov_config=how)


def main(arguments: Sequence[str]) -> None:
    """Draw a picture for each line of the input."""
    side, work = arguments[0], json.loads(arguments[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    draw = {"ours": ours, "theirs": theirs}[side](work)
    for line in sys.stdin:
        began = perf_counter()
        picture = draw(line.strip())
        seconds = perf_counter() - began
        values = base64.b64encode(picture.convert("RGB").tobytes()).decode()
        print(json.dumps({"seconds": seconds, "values": values}), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
