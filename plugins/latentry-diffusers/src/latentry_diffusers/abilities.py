"""Which class of diffusers does a task with the components of a folder."""

from latentry_diffusers.sources import Pipeline, automatic, pipeline

NEEDED = ("prompt", "generator", "num_inference_steps", "output_type")
SUPPLIED = frozenset({"prompt", "image", "mask_image", *NEEDED})
FOREIGN = ("control_image", "frame_size")
"""What no task here has: a picture that steers another one, and views of a body."""


def ability(named: str, task: str) -> Pipeline | None:
    """The class that does `task` (txt2img, img2img or inpaint) in a folder whose class is `named`.

    That is the class itself where it can, else the one that diffusers' `AutoPipeline` has for the same kind
    of model; None where there is none.
    """
    own = pipeline(named)
    if own is not None and serves(own, task):
        return own
    tables = [automatic(each) for each in ("txt2img", "img2img", "inpaint")]
    kinds = [kind for table in tables for kind, name in table.items() if name == named]
    names = [automatic(task)[kind] for kind in kinds if kind in automatic(task)]
    others = [pipeline(name) for name in dict.fromkeys(names)]
    return next((other for other in others if other is not None and serves(other, task)), None)


def serves(kind: Pipeline, task: str) -> bool:
    """Whether a class draws still pictures from what the task has, and from nothing more."""
    if not kind.takes(*NEEDED) or kind.required - SUPPLIED or any(map(kind.takes, FOREIGN)):
        return False
    image, mask = kind.takes("image"), kind.takes("mask_image")
    is_listed = kind.name in automatic(task).values()
    if "frames" in kind.gives:
        return task == "txt2img" and kind.takes("num_frames") and not image
    if "images" not in kind.gives and not is_listed:
        return False
    if task == "txt2img":
        return not mask and (not image or is_listed)
    return image and mask == (task == "inpaint")
