import pytest

from latentry_sdk import InvalidModel
from latentry_stable_diffusion.noise_levels import model_range


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
@pytest.mark.parametrize("zero", [False, True])
def test_levels_equal_those_of_diffusers(schedule, zero):
    from diffusers import EulerDiscreteScheduler

    config = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": schedule,
        "rescale_betas_zero_snr": zero,
    }
    alphas = EulerDiscreteScheduler(num_train_timesteps=1000, **config).alphas_cumprod
    sigmas = model_range(config).sigmas
    assert sigmas == pytest.approx((((1 - alphas) / alphas) ** 0.5).tolist(), rel=2e-3 if zero else 1e-4)


def test_the_default_is_that_of_stable_diffusion():
    levels = model_range({})
    assert (levels.sigma_min, levels.sigma_max) == pytest.approx((0.0291672, 14.6146), rel=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "sigmoid"},
        {"num_train_timesteps": 10**12},
        {"num_train_timesteps": 1},
        {"beta_end": 2.0},
        {"trained_betas": [0.1, -1.0]},
    ],
)
def test_impossible_betas_are_refused(config):
    with pytest.raises(InvalidModel):
        model_range(config)
