"""The prompt syntax that users of AUTOMATIC1111 know, for every task and family that reads prompts."""

from collections.abc import Sequence

from latentry_prompt.options import PromptOptions
from latentry_sdk import JOB, PROMPTS, SEEDS, SIGMAS, StageSpec, State, hookimpl


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage that reads the prompts, before any model is loaded."""
    return [
        StageSpec(
            "prompt",
            read,
            needs=(JOB, SEEDS, SIGMAS),
            gives=(PROMPTS,),
            options=PromptOptions,
            description="Read weights, schedules, choices and styles",
        )
    ]


def read(state: State) -> State:
    """The prompts of each image. The readers are imported here, since only jobs need them."""
    from latentry_prompt.reading import read_prompts

    return read_prompts(state)
