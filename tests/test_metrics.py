"""Distortion against hand-worked values and another implementation; rate; summaries."""

import math
import time

import numpy as np
import pytest

from unicorn_codec.pictures.metrics import Distortion, bits_per_pixel, ms_ssim, psnr_db, summarize


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(np.cumsum(rng.normal(0, 1, (height, width, 3)), axis=0), axis=1)
    return np.clip(walk * 2 + 128, 0, 255).astype(np.uint8)


def disturbed(pixels: np.ndarray, deviation: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def test_psnr_of_hand_worked_pictures() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr_db(black, black + 1) == pytest.approx(20 * math.log10(255))
    assert psnr_db(black, black + 255) == 0
    one = black.copy()
    one[0, 0, 0] = 255
    assert psnr_db(black, one) == pytest.approx(10 * math.log10(48))
    assert psnr_db(one, black) == psnr_db(black, one)  # no wrap-around of uint8
    assert psnr_db(black, black) == math.inf


@pytest.mark.parametrize("shape", [(161, 161), (161, 300), (256, 256), (177, 333), (322, 163)])
@pytest.mark.parametrize("deviation", [2, 20, 80])
def test_ms_ssim_agrees_with_another_implementation(shape: tuple[int, int], deviation: float) -> None:
    other = pytest.importorskip("pytorch_msssim")
    torch = pytest.importorskip("torch")
    pixels = textured(*shape)
    noisy = disturbed(pixels, deviation)
    a, b = (torch.tensor(p).permute(2, 0, 1)[None].double() for p in (pixels, noisy))
    assert ms_ssim(pixels, noisy) == pytest.approx(float(other.ms_ssim(a, b, data_range=255)), abs=1e-4)


def test_ms_ssim_of_flat_pictures_is_the_luminance_term() -> None:
    dark, bright = np.full((256, 256, 3), 50, np.uint8), np.full((256, 256, 3), 100, np.uint8)
    floor = (0.01 * 255) ** 2
    luminance = (2 * 50 * 100 + floor) / (50**2 + 100**2 + floor)
    assert ms_ssim(dark, bright) == pytest.approx(luminance**0.1333, abs=1e-4)
    tiny = ms_ssim(dark[:1, :1], bright[:1, :1])
    assert tiny == pytest.approx(luminance**1.0001, abs=1e-4)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 10, 11, 12, 20, 21, 22, 40, 41, 80, 81, 160, 161])
def test_ms_ssim_of_small_pictures(side: int) -> None:
    for shape in ((side, side), (side, 200), (200, side)):
        pixels = textured(*shape)
        assert ms_ssim(pixels, pixels) == 1
        slight, strong = ms_ssim(pixels, disturbed(pixels, 5)), ms_ssim(pixels, disturbed(pixels, 60))
        assert 0 <= strong <= slight <= 1
        assert strong < 1


def test_ms_ssim_of_opposite_pictures_is_not_negative() -> None:
    pixels = textured(200, 200)
    assert ms_ssim(pixels, 255 - pixels) >= 0


def test_pictures_must_match() -> None:
    pixels = textured(20, 20)
    for measure in (psnr_db, ms_ssim):
        with pytest.raises(AssertionError):
            measure(pixels, pixels[:10])
        with pytest.raises(AssertionError):
            measure(pixels, pixels.astype(np.float32))


def test_a_thousand_pictures_take_less_than_a_minute() -> None:
    pixels, noisy = textured(256, 256), disturbed(textured(256, 256), 20)
    started = time.process_time()
    for _ in range(20):
        psnr_db(pixels, noisy)
        ms_ssim(pixels, noisy)
    assert time.process_time() - started < 20 * 0.06


def test_summary() -> None:
    assert summarize([3.0]) == Distortion(mean=3.0, min=3.0, p05=3.0)
    assert summarize([float(v) for v in range(100, 0, -1)]) == Distortion(mean=50.5, min=1.0, p05=5.0)
    assert summarize([math.inf, 30.0, math.inf]) == Distortion(mean=math.inf, min=30.0, p05=30.0)
    with pytest.raises(AssertionError):
        summarize([])


def test_bits_per_pixel() -> None:
    assert bits_per_pixel(1000, 16_000) == 0.5
