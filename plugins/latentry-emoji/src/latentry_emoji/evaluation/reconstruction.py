"""Score how well pictures are reproduced: PSNR, SSIM, and PSNR for each hue."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.float64]]

HUES = {"red": 0.0, "yellow": 1 / 6, "green": 1 / 3, "cyan": 1 / 2, "blue": 2 / 3, "magenta": 5 / 6}
COLOURFUL = 60
WINDOW = 7


def reconstruction_scores(made: Sequence[Image.Image], seen: Sequence[Image.Image]) -> dict[str, float]:
    """Mean PSNR in dB and SSIM over pictures, and the PSNR of all pixels of each hue, keyed ``psnr_red`` etc.

    Pixels whose channels differ by less than 60 of 255 count as ``psnr_neutral``.
    """
    pairs = [(_pixels(one), _pixels(other)) for one, other in zip(made, seen, strict=True)]
    scores = {
        "psnr": float(np.mean([psnr(one, other) for one, other in pairs])),
        "ssim": float(np.mean([ssim(one, other) for one, other in pairs])),
    }
    made_all, seen_all = (np.concatenate([pair[side].reshape(-1, 3) for pair in pairs]) for side in (0, 1))
    labels = hue_labels(seen_all)
    for label in np.unique(labels):
        scores[f"psnr_{label}"] = psnr(made_all[labels == label], seen_all[labels == label])
    return scores


def psnr(made: Pixels, seen: Pixels) -> float:
    """The peak signal-to-noise ratio in dB of values between 0 and 255; 99 for equal ones."""
    error = float(np.mean((made - seen) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(made: Pixels, seen: Pixels) -> float:
    """The structural similarity of two (height, width, 3) pictures, windows of 7 × 7, mean over channels.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, with even weights in the window.
    """
    mean_made, mean_seen = _local_mean(made), _local_mean(seen)
    variance_made = _local_mean(made**2) - mean_made**2
    variance_seen = _local_mean(seen**2) - mean_seen**2
    covariance = _local_mean(made * seen) - mean_made * mean_seen
    low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_made * mean_seen + low) / (mean_made**2 + mean_seen**2 + low)
    structure = (2 * covariance + high) / (variance_made + variance_seen + high)
    return float(np.mean(luminance * structure))


def hue_labels(pixels: Pixels) -> np.ndarray[Any, np.dtype[np.str_]]:
    """The nearest of six hues of each of (count, 3) pixels, or "neutral"."""
    steps = np.clip(pixels / 16, 0, 15).astype(int)
    table = {tuple(step): _hue(step * 16 + 8.0) for step in np.unique(steps, axis=0)}
    return np.array([table[tuple(step)] for step in steps])


def _hue(colour: Pixels) -> str:
    if colour.max() - colour.min() < COLOURFUL:
        return "neutral"
    hue = colorsys.rgb_to_hsv(*(colour / 255))[0]
    return min(HUES, key=lambda name: min(abs(hue - HUES[name]), 1 - abs(hue - HUES[name])))


def _local_mean(values: Pixels) -> Pixels:
    sums = values.cumsum(0).cumsum(1)
    padded = np.pad(sums, ((1, 0), (1, 0), (0, 0)))
    end, start = slice(WINDOW, None), slice(None, -WINDOW)
    window = padded[end, end] - padded[start, end] - padded[end, start] + padded[start, start]
    return np.asarray(window / WINDOW**2)


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), np.float64)
