"""Scenes are reproducible, named rightly, and keep their held-out combinations."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from latentry_emoji.training.artwork import from_font, shipped
from latentry_emoji.training.concepts import concepts, names
from latentry_emoji.training.drawing import draw
from latentry_emoji.training.sampling import Mixture, held_out, held_out_scene, training_scene
from latentry_emoji.training.scenes import COLOURS, Background, Placed, Scene

DRAWN = Mixture((("plain", 0.7), ("gradient", 0.1), ("two-tone", 0.1), ("texture", 0.1)), 0.5)


def test_the_same_seed_draws_the_same_scene():
    first, second = (training_scene(np.random.default_rng(7), names(), DRAWN) for _ in range(2))
    assert first == second
    assert draw(first, shipped(), 64).tobytes() == draw(second, shipped(), 64).tobytes()


def test_training_never_sees_a_held_out_combination():
    generator = np.random.default_rng(0)
    scenes = [training_scene(generator, names(), DRAWN) for _ in range(500)]
    assert not any(held_out(combination) for scene in scenes for combination in scene.combinations)


def test_a_held_out_scene_has_a_held_out_combination_and_names_it():
    generator = np.random.default_rng(0)
    for scene in (held_out_scene(generator, names(), DRAWN) for _ in range(50)):
        assert any(map(held_out, scene.combinations))
        assert scene.background.key in scene.caption


def test_every_concept_is_held_out_on_two_colours_at_each_place():
    for name in names():
        for place in ("alone", "left", "below"):
            assert sum(held_out((name, colour, place)) for colour in COLOURS) == 2


def test_there_are_at_least_160_concepts_no_two_of_which_look_alike():
    assert len(set(names())) == len(concepts()) >= 160
    small = {name: _over_grey(picture) for name, picture in shipped().items()}
    assert set(small) == set(names())
    alike = [pair for pair in combinations(small, 2) if np.abs(small[pair[0]] - small[pair[1]]).mean() < 8]
    assert alike == []


def test_captions_read_like_sentences():
    apple, banana = Placed("red apple", 0.25, 0.5, 0.4), Placed("banana", 0.75, 0.5, 0.4)
    blue = Background("plain", ("blue",))
    assert Scene((apple,), blue).caption == "a red apple on a blue background"
    assert Scene((apple, banana), blue, "left").caption == "a red apple left of a banana on a blue background"
    octopus = Placed("octopus", 0.5, 0.5, 0.6)
    assert Scene((octopus,), Background("gradient", ("orange", "red"))).caption == (
        "an octopus on an orange to red gradient background"
    )
    assert Scene((octopus,), blue, background_named=False).caption == "an octopus"


@pytest.mark.parametrize("kind", ["plain", "gradient", "two-tone", "texture"])
def test_a_background_keeps_to_its_colours(kind):
    background = Background(kind, ("red", "blue"), "striped", seed=3)
    pixels = np.asarray(draw(Scene((), background), {}, 64), np.float64)
    assert pixels.shape == (64, 64, 3)
    assert pixels[..., 1].max() <= max(COLOURS["red"][1], COLOURS["blue"][1]) + 1


def test_photo_crops_for_training_and_scoring_do_not_overlap():
    pytest.importorskip("skimage")
    seen, kept = (
        np.asarray(draw(Scene((), Background("photo", (), "a tabby cat", 5, held_out)), {}, 64))
        for held_out in (False, True)
    )
    assert np.abs(seen.astype(int) - kept).mean() > 10


def test_a_missing_font_is_named_with_its_package(tmp_path):
    with pytest.raises(FileNotFoundError, match="fonts-noto-color-emoji"):
        from_font(tmp_path / "absent.ttf")


def _over_grey(picture: Image.Image) -> np.ndarray:
    grey = Image.new("RGBA", picture.size, (128, 128, 128, 255))
    return np.asarray(Image.alpha_composite(grey, picture).resize((16, 16)).convert("RGB"), np.float64)
