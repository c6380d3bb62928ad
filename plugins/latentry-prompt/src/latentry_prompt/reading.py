"""Read the prompts of a job's images."""

from latentry_prompt.attention import weighted
from latentry_prompt.choices import drawn, wildcard_lines
from latentry_prompt.options import PromptOptions
from latentry_prompt.styles import styled
from latentry_prompt.timing import timeline
from latentry_sdk import JOB, PROMPTS, SEEDS, SIGMAS, Job, Prompts, State, TimedPrompt, Timeline
from latentry_sdk.styles import read_styles


def read_prompts(state: State) -> State:
    """The prompts of each image: choices are drawn by its seed, schedules laid over the steps."""
    job, steps = state[JOB], len(state[SIGMAS]) - 1
    texts = [_texts(job, seed) for seed in state[SEEDS]]
    asked = job.plan.request.prompt, job.plan.request.negative
    if any(each[:2] != asked for each in texts):
        job.apply("prompts", [{"prompt": prompt, "negative": negative} for prompt, negative, *_ in texts])
    return state.put(PROMPTS, tuple(_prompts(job, each, steps) for each in texts))


def _texts(job: Job, seed: int) -> tuple[str, str, str | None, str | None]:
    """Prompt, negative prompt and those of the second encoder, with styles laid on and choices made."""
    options, folder, request = job.options(PromptOptions), job.plan.config.data_dir, job.plan.request
    lines = wildcard_lines(folder / "wildcards")
    known = read_styles(folder / "styles.csv") if options.styles else {}
    prompt, negative = styled(request.prompt, request.negative, options.styles, known)
    second = [text and drawn(text, seed, lines) for text in (options.prompt_2, options.negative_2)]
    return drawn(prompt, seed, lines), drawn(negative, seed, lines), second[0], second[1]


def _prompts(job: Job, texts: tuple[str, str, str | None, str | None], steps: int) -> Prompts:
    prompt, negative, prompt_2, negative_2 = texts
    return Prompts(
        _timed(prompt, steps),
        _timed(negative, steps),
        None if prompt_2 is None else _timed(prompt_2, steps),
        None if negative_2 is None else _timed(negative_2, steps),
        job.options(PromptOptions).clip_skip,
    )


def _timed(text: str, steps: int) -> Timeline:
    found = timeline(text, steps)
    read = {now: weighted(now) for now in {now for _, now in found}}
    return tuple(TimedPrompt(until, read[now]) for until, now in found)
