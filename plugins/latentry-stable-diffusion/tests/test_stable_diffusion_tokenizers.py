import pytest

from latentry_sdk import Span
from latentry_stable_diffusion.chunks import MOST, tokenized
from latentry_stable_diffusion.tokenizers import clip_tokenizer

CAT = [49406, 320, 1125, 539, 320, 2368, 49407]


def tokens(text, padding="!", limit=77):
    return tokenized(((Span(text),),), clip_tokenizer(padding), limit)


@pytest.mark.parametrize(("padding", "number"), [("<|endoftext|>", 49407), ("!", 0)])
def test_a_known_prompt_has_its_known_ids(padding, number):
    (chunk,) = tokens("a photo of a cat", padding).chunks
    assert chunk.ids == (*CAT, *[number] * 70)
    assert chunk.weights == (1.0,) * 77


def test_the_vocabulary_is_whole():
    assert len(clip_tokenizer("!")) == 49408


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", []), ("Hello  World", [3306, 1002]), ("don't", [847, 713]), ("日本", [39121, 19277, 361])],
)
def test_other_texts_have_their_ids(text, ids):
    (chunk,) = tokens(text, "<|endoftext|>").chunks
    assert [number for number in chunk.ids if number < 49406] == ids


def test_what_does_not_fit_goes_on_in_the_next_chunk():
    first, second = tokens("cat " * 76 + "dog").chunks
    assert [len(first.ids), len(second.ids)] == [77, 77]
    assert [number for number in second.ids if 0 < number < 49406] == [2368, 1929]


def test_what_is_too_long_for_all_chunks_is_told():
    found = tokens("cat " * 6 * MOST + "dog", limit=8)
    assert len(found.chunks) == MOST
    assert found.left_out == "dog"


def test_half_a_surrogate_pair_is_survived():
    (chunk,) = tokens("\ud800 cat\0").chunks
    assert len(chunk.ids) == 77
