import pytest

from latentry_stable_diffusion.tokenizers import clip_tokenizer, input_ids

CAT = [49406, 320, 1125, 539, 320, 2368, 49407]


@pytest.mark.parametrize(("padding", "number"), [("<|endoftext|>", 49407), ("!", 0)])
def test_a_known_prompt_has_its_known_ids(padding, number):
    ids, left_out = input_ids(clip_tokenizer(padding), "a photo of a cat", 77)
    assert ids.tolist() == [CAT + [number] * 70]
    assert left_out == ""


def test_the_vocabulary_is_whole():
    assert len(clip_tokenizer("!")) == 49408


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", []), ("Hello  World", [3306, 1002]), ("don't", [847, 713]), ("日本", [39121, 19277, 361])],
)
def test_other_texts_have_their_ids(text, ids):
    found, _ = input_ids(clip_tokenizer("<|endoftext|>"), text, 77)
    assert [number for number in found[0].tolist() if number < 49406] == ids


def test_what_does_not_fit_is_told():
    ids, left_out = input_ids(clip_tokenizer("!"), "cat " * 76 + "dog", 77)
    assert ids.shape == (1, 77)
    assert left_out == "cat dog"


def test_half_a_surrogate_pair_is_survived():
    assert input_ids(clip_tokenizer("!"), "\ud800 cat\0", 77)[0].shape == (1, 77)
