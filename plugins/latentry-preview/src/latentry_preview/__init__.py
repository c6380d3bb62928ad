"""Small pictures while a job samples, for whoever listens to its events."""

from collections.abc import Sequence

from latentry_sdk import DENOISE, JOB, LATENTS, SIGMAS, Count, Field, Options, StageSpec, State, hookimpl


class PreviewOptions(Options):
    """How often to show how the pictures look, and how large."""

    preview_every: Count = Field(
        0, ge=0, le=1000, description="Send small pictures every so many steps; 0 sends none"
    )
    preview_size: Count | None = Field(
        None, ge=8, le=512, description="Longest side of a small picture in pixels; otherwise one a latent"
    )


@hookimpl
def register_stages() -> Sequence[StageSpec]:
    """The stage before the sampling."""
    return [
        StageSpec(
            "preview",
            preview,
            needs=(JOB, DENOISE, LATENTS, SIGMAS),
            gives=(JOB, DENOISE),
            options=PreviewOptions,
            description="Send small pictures while sampling, without decoding",
        )
    ]


def preview(state: State) -> State:
    """Have `Previewed` sent after each `Stepped` whose step is a multiple of `preview_every`."""
    job, steps = state[JOB], len(state[SIGMAS]) - 1
    options = job.options(PreviewOptions)
    if not options.preview_every:
        return state
    if options.preview_every > steps:
        job.warn(
            f"there is no preview: every {options.preview_every} is more than the {steps} steps that run"
        )
        return state
    if getattr(state[LATENTS], "ndim", None) != 4:
        job.warn("there is no preview: this model has no latents of 4 dimensions")
        return state
    from latentry_preview.watching import watched

    return watched(state, options.preview_every, options.preview_size)
