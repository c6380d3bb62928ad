import pytest
import torch

from latentry_sdk import CONDITIONING, JOB, PLACED, PROMPTS, InvalidRequest, Prompts, Span, TimedPrompt
from latentry_stable_diffusion.chunks import split
from latentry_stable_diffusion.embedding import EmbeddingCache
from latentry_stable_diffusion.prompts import encode_prompt

PROMPT = "a photo of a cat, highly detailed!"
LONG = "cat " * 90


def encoded(state, cache=None):
    """The stretches of each image."""
    return encode_prompt(state, cache or EmbeddingCache())[CONDITIONING]


def only(state):
    """The one conditioning of a job whose prompts do not change."""
    ((stretch,),) = encoded(state)
    return stretch


def of_diffusers(pipeline, prompt, negative):
    """diffusers' embeddings: (cond, uncond, pooled, uncond pooled)."""
    with torch.no_grad():
        found = pipeline.encode_prompt(
            prompt=prompt,
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
            negative_prompt=negative,
        )
    return (*found, None, None)[:4]


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl", "sdxl-refiner"])
@pytest.mark.parametrize("prompt", [PROMPT, ""])
@pytest.mark.parametrize("negative", ["ugly, blurred", ""])
def test_embeddings_equal_those_of_diffusers(tiny, start, name, prompt, negative):
    found = only(start(tiny(name).folder, prompt=prompt, negative=negative))
    cond, uncond, pooled, uncond_pooled = of_diffusers(tiny(name).pipeline, prompt, negative or None)
    torch.testing.assert_close(found.cond.hidden, cond)
    torch.testing.assert_close(found.uncond.hidden, uncond)
    if pooled is not None:
        torch.testing.assert_close(found.cond.pooled, pooled)
        torch.testing.assert_close(found.uncond.pooled, uncond_pooled)


def test_an_empty_negative_prompt_is_zeros_only_for_models_that_say_so(tiny, start):
    zeros = {
        name: not only(start(tiny(name).folder, prompt="a")).uncond.hidden.any()
        for name in ("sd1", "sdxl", "sdxl-refiner")
    }
    assert zeros == {"sd1": False, "sdxl": True, "sdxl-refiner": False}


def test_without_guidance_the_negative_prompt_is_not_encoded(tiny, start):
    assert only(start(tiny("sd1").folder, prompt="a", negative="b", guidance=1)).uncond is None


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_a_long_prompt_is_read_in_chunks_and_the_first_is_that_of_diffusers(tiny, start, name):
    state = start(tiny(name).folder, prompt=LONG, negative="ugly")
    found = only(state)
    cond, _, pooled, _ = of_diffusers(tiny(name).pipeline, LONG, "ugly")
    rest, empty, _, _ = of_diffusers(tiny(name).pipeline, "cat " * 15, "")
    torch.testing.assert_close(found.cond.hidden, torch.cat([cond, rest], dim=1))
    torch.testing.assert_close(found.uncond.hidden[:, 77:], zero_or(empty, tiny(name), start))
    assert state[JOB].warnings == ()
    if pooled is not None:
        torch.testing.assert_close(found.cond.pooled, pooled)


def zero_or(empty, made, start):
    """The embedding of an empty text, for which diffusers gives SDXL zeros where all of it is empty."""
    return only(start(made.folder, prompt="")).cond.hidden if not empty.any() else empty


def test_what_is_cut_from_a_prompt_is_told_once(tiny, start):
    state = start(tiny("sdxl").folder, prompt="cat " * 75 * 40 + "white dog")
    assert only(state).cond.hidden.shape[1] == 77 * 40
    assert state[JOB].warnings == ("the prompt is too long; left out: white dog",)


def test_a_chunk_ends_at_a_late_comma():
    tokens = [(1, 1.0)] * 60 + [(9, 1.0)] + [(1, 1.0)] * 30
    assert [len(part) for part in split(tokens, 75, comma=9)] == [61, 30]
    early = [(9, 1.0)] + [(1, 1.0)] * 90
    assert [len(part) for part in split(early, 75, comma=9)] == [75, 16]
    assert [len(part) for part in split([], 75, comma=9)] == [0]


def test_each_break_begins_a_chunk(tiny, start):
    state = start(tiny("sd1").folder, guidance=1)
    state = state.put(PROMPTS, (timed(((Span("a cat"),), (Span("a dog"),))),))
    cat, dog = (only(start(tiny("sd1").folder, prompt=text, guidance=1)) for text in ("a cat", "a dog"))
    torch.testing.assert_close(only(state).cond.hidden, torch.cat([cat.cond.hidden, dog.cond.hidden], dim=1))


def test_weights_multiply_the_states_and_keep_their_mean(tiny, start):
    state = start(tiny("sd1").folder, guidance=1)
    state = state.put(PROMPTS, (timed(((Span("a "), Span("cat", 1.5)),)),))
    plain = only(start(tiny("sd1").folder, prompt="a cat", guidance=1)).cond.hidden
    weights = torch.ones(1, 77, 1)
    weights[0, 2] = 1.5  # the start and "a" come first
    wanted = plain * weights * (plain.mean() / (plain * weights).mean())
    torch.testing.assert_close(only(state).cond.hidden, wanted)
    assert not torch.allclose(wanted, plain)


def test_prompts_change_while_sampling(tiny, start):
    folder = tiny("sd1").folder
    cat, dog = (((Span(text),),) for text in ("a cat", "a dog"))
    prompts = Prompts((TimedPrompt(5, cat), TimedPrompt(20, dog)), (TimedPrompt(20, ((),)),))
    ((first, second),) = encoded(start(folder).put(PROMPTS, (prompts,)))
    assert (first.until, second.until) == (5, 20)
    torch.testing.assert_close(first.cond.hidden, only(start(folder, prompt="a cat")).cond.hidden)
    torch.testing.assert_close(second.cond.hidden, only(start(folder, prompt="a dog")).cond.hidden)


def test_images_of_one_prompt_share_it_and_others_have_their_own(tiny, start):
    cat, dog = (timed(((Span(text),),)) for text in ("a cat", "a dog"))
    state = start(tiny("sd1").folder, seeds=(1, 2))
    assert len(encoded(state.put(PROMPTS, (cat, cat)))) == 1
    images = encoded(state.put(PROMPTS, (cat, dog)))
    assert len(images) == 2
    assert not images[0][0].cond.hidden.equal(images[1][0].cond.hidden)


@pytest.mark.parametrize("skip", [0, 1])
def test_the_second_prompt_and_clip_skip_are_those_of_diffusers(tiny, start, skip):
    made = tiny("sdxl")
    prompts = timed(((Span("a cat"),),), ((Span("ugly"),),), ((Span("a dog"),),), ((Span("blurred"),),), skip)
    found = only(start(made.folder, prompt="a cat", negative="ugly").put(PROMPTS, (prompts,)))
    with torch.no_grad():
        cond, uncond, pooled, uncond_pooled = made.pipeline.encode_prompt(
            "a cat",
            "a dog",
            device="cpu",
            negative_prompt="ugly",
            negative_prompt_2="blurred",
            clip_skip=skip or None,
        )
    torch.testing.assert_close(found.cond.hidden, cond)
    torch.testing.assert_close(found.cond.pooled, pooled)
    torch.testing.assert_close(found.uncond.pooled, uncond_pooled)
    if not skip:  # diffusers does not skip layers for the negative prompt
        torch.testing.assert_close(found.uncond.hidden, uncond)


def test_clip_skip_takes_earlier_states_through_the_last_norm(tiny, start):
    made = tiny("sd1")
    prompts = timed(((Span("a cat"),),), skip=1)
    found = only(start(made.folder, guidance=1).put(PROMPTS, (prompts,))).cond.hidden
    encoder, tokenizer = made.pipeline.text_encoder, made.pipeline.tokenizer
    ids = tokenizer("a cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        states = encoder(ids, output_hidden_states=True).hidden_states[-2]
        torch.testing.assert_close(found, encoder.final_layer_norm(states))


def test_more_layers_than_there_are_cannot_be_skipped(tiny, start):
    state = start(tiny("sd1").folder, guidance=1).put(PROMPTS, (timed(((Span("a"),),), skip=11),))
    with pytest.raises(InvalidRequest, match=r"can leave out \d layers, not clip_skip 11"):
        only(state)


def timed(prompt, negative=((),), prompt_2=None, negative_2=None, skip=0):
    """Prompts that do not change."""
    lines = [text and (TimedPrompt(20, text),) for text in (prompt, negative, prompt_2, negative_2)]
    return Prompts(*lines, skip)


class Calls:
    """A text encoder that counts how often it is called."""

    def __init__(self, inner):
        self.inner, self.home, self.dtype, self.count = inner, inner.home, inner.dtype, 0

    def __call__(self, *arrays):
        self.count += 1
        return self.inner(*arrays)


def test_texts_are_encoded_once_across_jobs_and_again_when_forgotten(tiny, start):
    def counted(cache, prompt):
        state = start(tiny("sd1").folder, prompt=prompt, negative="ugly")
        calls = Calls(state[PLACED]["text_encoder"])
        encoded(state.put(PLACED, {**state[PLACED], "text_encoder": calls}), cache)
        return calls.count

    cache = EmbeddingCache()
    assert [counted(cache, text) for text in ("a cat", "a cat", "a dog")] == [2, 0, 1]
    small = EmbeddingCache(max_bytes=1)
    assert [counted(small, "a cat"), counted(small, "a cat")] == [2, 2]


def test_another_model_or_skip_is_not_taken_for_the_same(tiny, start):
    cache = EmbeddingCache()
    states = [start(tiny(name).folder, prompt="a cat", guidance=1) for name in ("sd1", "sd2-v")]
    found = [encoded(state, cache)[0][0].cond.hidden for state in states]
    assert found[0].shape != found[1].shape or not found[0].equal(found[1])
    skipped = states[0].put(PROMPTS, (timed(((Span("a cat"),),), skip=1),))
    assert not encoded(skipped, cache)[0][0].cond.hidden.equal(found[0])


def test_emoji64_is_encoded_as_diffusers_does(emoji64, start):
    from diffusers import StableDiffusionXLInpaintPipeline

    pipeline = StableDiffusionXLInpaintPipeline.from_pretrained(
        emoji64, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    prompt = "a red apple on a blue background"
    found = only(start(emoji64, prompt=prompt))
    cond, uncond, pooled, _ = of_diffusers(pipeline, prompt, None)
    torch.testing.assert_close(found.cond.hidden, cond)
    torch.testing.assert_close(found.uncond.hidden, uncond)
    torch.testing.assert_close(found.cond.pooled, pooled)
