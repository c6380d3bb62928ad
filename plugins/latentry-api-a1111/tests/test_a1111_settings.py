"""Settings: what may be changed, for whom, and what is refused."""

import pytest

from latentry_api_a1111.settings import FIXED, HIDDEN, Chosen, changed, current, current_model, known_model
from latentry_sdk import InvalidRequest, UnknownName


def test_the_whole_dictionary_can_be_sent_back_with_another_model(host):
    before = Chosen()
    other = next(model.name for model in host.models() if model.name != current_model(host, before))
    after = changed(host, before, {**current(host, before), "sd_model_checkpoint": other})
    assert after == Chosen(other, 1)
    assert current(host, after)["sd_model_checkpoint"] == other
    assert changed(host, after, current(host, after)) == after


def test_sending_back_what_is_so_chooses_nothing(host):
    assert changed(host, Chosen(), current(host, Chosen())) == Chosen()


@pytest.mark.parametrize("name", ["emoji", "emoji64", " emoji ", "emoji [31e35c80fc]"])
def test_a_model_is_found_by_name_title_and_file_name(host, name):
    assert known_model(host, name).name == "emoji"


@pytest.mark.parametrize(
    "name", ["../emoji64", "/etc", "C:\\emoji", "\0", "emo", "EMOJI [x]", "%2e%2e", "x" * 4000]
)
def test_no_other_name_is_a_model(host, name):
    with pytest.raises(UnknownName, match="known: emoji"):
        known_model(host, name)


@pytest.mark.parametrize(
    "name", [name for name in FIXED if name not in ("sd_vae", "forge_additional_modules")]
)
def test_a_fixed_setting_takes_its_own_value_and_no_other(host, name):
    assert changed(host, Chosen(), {name: FIXED[name][0]}) == Chosen()
    with pytest.raises(InvalidRequest, match=f"the setting {name} is .* cannot be changed"):
        changed(host, Chosen(), {name: "other"})


def test_an_unknown_setting_is_refused_with_the_known_ones(host):
    with pytest.raises(InvalidRequest, match="unknown setting 'sd_unet'; known: CLIP_stop_at_last_layers, "):
        changed(host, Chosen(), {"sd_unet": None})


@pytest.mark.parametrize("value", [0, 13, 1.5, True, "x", float("nan"), [1]])
def test_layers_of_clip_are_counted_from_1_to_12(host, value):
    assert changed(host, Chosen(), {"CLIP_stop_at_last_layers": 2}).clip == 2
    with pytest.raises(InvalidRequest, match="CLIP_stop_at_last_layers"):
        changed(host, Chosen(), {"CLIP_stop_at_last_layers": value})


@pytest.mark.parametrize("value", [5, ["emoji"], True])
def test_a_model_is_named_by_text(host, value):
    with pytest.raises(InvalidRequest, match="sd_model_checkpoint is a name"):
        changed(host, Chosen(), {"sd_model_checkpoint": value})


def test_what_sillytavern_sends_with_each_call_is_accepted(host):
    sent = {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic", "forge_additional_modules": []}
    assert changed(host, Chosen(), sent) == Chosen()
    assert not HIDDEN & current(host, Chosen()).keys()


def test_null_is_as_if_a_setting_were_left_out(host):
    sent = {"sd_model_checkpoint": None, "CLIP_stop_at_last_layers": None, "sd_vae": None}
    assert changed(host, Chosen("emoji", 2), sent) == Chosen("emoji", 2)
