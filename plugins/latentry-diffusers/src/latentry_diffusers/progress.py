"""Tell of a pipeline's steps, and stop it between two of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry_diffusers.sources import Pipeline
from latentry_sdk import Job, Stepped


@dataclass
class Progress:
    """The steps of image number `image` of `images`; `steps` is how many one image takes, as far as is known.

    A pipeline says how many it takes once it runs; image to image of some classes rounds up.
    """

    job: Job
    images: int
    steps: int
    image: int = 0

    def callbacks(self, kind: Pipeline) -> Mapping[str, Any]:
        """The arguments by which a class tells of its steps; a class that does not is warned of."""
        if kind.takes("callback_on_step_end"):
            return {"callback_on_step_end": self.step_ended}
        if kind.takes("callback", "callback_steps"):
            return {"callback": self.stepped, "callback_steps": 1}
        self.job.warn(f"{kind.name} tells nothing of its steps, and stops between images only")
        return {}

    def step_ended(self, pipeline: Any, index: int, _timestep: Any, _tensors: Any) -> Mapping[str, Any]:
        """What newer classes call after each step; it changes none of their tensors."""
        self.steps = getattr(pipeline, "num_timesteps", None) or self.steps
        self.stepped(index)
        return {}

    def stepped(self, index: int, *_more: Any) -> None:
        """What older classes call after each step; raises `Cancelled` if the job was asked to stop."""
        self.job.check_cancelled()
        self.job.notify(Stepped(self.job.id, self.image * self.steps + index + 1, self.images * self.steps))
