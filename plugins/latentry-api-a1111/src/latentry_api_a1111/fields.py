"""What AUTOMATIC1111's clients send, field by field: the descriptions are the table in docs/a1111.md."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, model_validator

from latentry_sdk import Count, Field, Number, Pixels, Seed, Text

Line = Annotated[str, Field(max_length=4096)]
"""A name as other programs write it."""

IGNORED = frozenset({"url", "auth"})
"""SillyTavern sends its own settings along, a password among them: they are not read and not sent back."""


class Asked(BaseModel):
    """What both kinds of picture share. `null` is as if a field were left out."""

    model_config = ConfigDict(extra="allow", frozen=True)

    prompt: Text = Field("", description="`prompt`")
    negative_prompt: Text = Field("", description="`negative`")
    styles: tuple[str, ...] = Field((), max_length=32, description="`styles` of latentry-prompt")
    seed: Seed = Field(-1, description="the first image's seed; image i has `seed + i`; -1 draws one")
    subseed: Seed = Field(-1, description="`variation_seed` of latentry-variation; -1 draws one")
    subseed_strength: Number = Field(0, description="`variation_strength`; above 0 all images have one seed")
    seed_resize_from_h: Number = Field(-1, description="only -1 or 0")
    seed_resize_from_w: Number = Field(-1, description="only -1 or 0")
    sampler_name: Line = Field("", description='`sampler`; "DPM++ 2M Karras" names the scheduler, too')
    sampler_index: Line = Field("Euler", description="the sampler where `sampler_name` is empty")
    scheduler: Line = Field("Automatic", description="`scheduler`; Automatic is AUTOMATIC1111's own choice")
    batch_size: Count = Field(1, ge=1, le=64, description="`batch`: images of one job")
    n_iter: Count = Field(1, ge=1, le=100, description="jobs that are run one after the other")
    steps: Count = Field(50, description="`steps`")
    cfg_scale: Number = Field(7, description="`guidance`")
    width: Pixels | None = Field(None, description="`width`; the model's own where AUTOMATIC1111 has 512")
    height: Pixels | None = Field(None, description="`height`; the model's own where AUTOMATIC1111 has 512")
    restore_faces: bool = Field(False, description="only false")
    tiling: bool = Field(False, description="`seamless_x` and `seamless_y` of latentry-seamless")
    eta: Number | None = Field(None, description="`eta` of samplers that have it; others take only 0 and 1")
    s_churn: Number = Field(0, description="only 0")
    s_tmax: Number = Field(0, description="only 0")
    s_tmin: Number = Field(0, description="only 0")
    s_noise: Number = Field(1, description="only 1")
    s_min_uncond: Number = Field(0, description="only 0")
    denoising_strength: Number = Field(
        0.75, description="`strength`; txt2img has a use for it in its second pass alone"
    )
    clip_skip: Count = Field(1, ge=1, le=12, description="as the setting `CLIP_stop_at_last_layers`")
    refiner_checkpoint: Line = Field("", description="`refiner` of latentry-refiner")
    refiner_switch_at: Number = Field(0.8, description="`switch_at`, where there is a refiner")
    override_settings: Mapping[str, Any] = Field(
        {}, max_length=256, description="settings of this call, see below"
    )
    override_settings_restore_afterwards: bool = Field(
        True, description="false keeps them for the caller's next calls"
    )
    script_name: Line = Field("", description="only empty")
    script_args: Any = Field((), description="not read: there is no script")
    alwayson_scripts: Mapping[str, Any] = Field(
        {}, max_length=64, description="only without arguments, or switched off"
    )
    send_images: bool = Field(True, description="false leaves the pictures out of the reply")
    save_images: bool = Field(False, description="accepted: the server keeps every result")
    do_not_save_samples: bool = Field(False, description="accepted, as `save_images`")
    do_not_save_grid: bool = Field(False, description="accepted: no grid is made")
    force_task_id: Line = Field("", max_length=256, description="accepted, and has no effect")
    infotext: Text = Field("", description="a picture's text: fills the fields that are left out")
    firstphase_width: Count = Field(0, description="only 0")
    firstphase_height: Count = Field(0, description="only 0")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @property
    def images(self) -> int:
        """How many pictures the call makes."""
        return self.batch_size * self.n_iter


class Txt2Img(Asked):
    """Text to image, with or without a second pass."""

    enable_hr: bool = Field(False, description="the task `hires` of latentry-hires instead of `txt2img`")
    hr_scale: Number = Field(2, description="`scale`")
    hr_upscaler: Line = Field("Latent", description="`upscaler`; None is `lanczos`")
    hr_second_pass_steps: Count = Field(0, description="`steps`, with `exact_steps`")
    hr_resize_x: Count = Field(0, description="`width`; 0 is left out")
    hr_resize_y: Count = Field(0, description="`height`; 0 is left out")
    hr_checkpoint_name: Line = Field("", description='only empty or "Use same checkpoint"')
    hr_sampler_name: Line = Field(
        "", description='`sampler`; empty and "Use same sampler" are the first one\'s'
    )
    hr_scheduler: Line = Field(
        "", description='`scheduler`; empty and "Use same scheduler" are the first one\'s'
    )
    hr_prompt: Text = Field("", description="`prompt`; empty is the first one's")
    hr_negative_prompt: Text = Field("", description="`negative`; empty is the first one's")


class Img2Img(Asked):
    """Image to image, and with a mask inpainting."""

    init_images: tuple[str, ...] = Field(
        (), max_length=1, description="one picture in base64: the input `image`"
    )
    resize_mode: Count = Field(
        0,
        ge=0,
        le=2,
        description="0 fixed, 1 crop, 2 fill; with a mask and without `inpaint_full_res` only 0",
    )
    image_cfg_scale: Number = Field(1.5, description="only 0 or 1.5")
    mask: str | None = Field(None, description="the input `mask` of the task `inpaint`: white changes")
    mask_blur: Count = Field(4, description="`mask_blur`")
    inpainting_fill: Count = Field(
        0, ge=0, le=3, description="`content`: 0 fill, 1 original, 2 latent_noise, 3 latent_nothing"
    )
    inpaint_full_res: bool = Field(True, description="`full_res`")
    inpaint_full_res_padding: Count = Field(0, description="`padding`")
    inpainting_mask_invert: bool = Field(False, description="`invert`")
    initial_noise_multiplier: Number = Field(1, description="only 1")
    include_init_images: bool = Field(False, description="true sends the inputs back in `parameters`")
