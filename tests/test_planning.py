from typing import Any

import pytest

from unicorn_codec.errors import InvalidSetting
from unicorn_codec.network.planning import NetworkPlan, choose_heads, plan_network


def plan(latent_values: int = 262_144, **changes: Any) -> NetworkPlan:
    settings: dict[str, Any] = {
        "latent_values": latent_values,
        "pixels": latent_values * 16,
        "pictures": 64,
        "latent_channels": 16,
        "downsampling": 16,
        "wanted_bytes": None,
        "hidden_size": None,
        "depth": None,
        "weight_bits": 14,
    }
    return plan_network(**(settings | changes))


@pytest.mark.parametrize("latent_values", [20_000, 65_536, 262_144, 4_096_000])
def test_the_default_is_about_1_5_parameters_per_latent_value(latent_values: int) -> None:
    made = plan(latent_values)
    assert 1.2 <= made.parameters / latent_values <= 1.5


@pytest.mark.parametrize("rate", [0.5, 0.97, 2.0])
def test_the_rate_sets_the_width_and_is_not_exceeded(rate: float) -> None:
    made = plan(wanted_bytes=rate * 262_144 * 16 / 8)
    assert 0.85 * rate <= 8 * made.file_bytes / made.pixels <= rate


def test_the_papers_rate_gives_the_papers_network() -> None:
    made = plan(4_096_000, pictures=1000, wanted_bytes=0.98 * 65_536_000 / 8, depth=12, weight_bits=16)
    assert made.network.hidden_size == 144


def test_small_sets_get_fewer_blocks() -> None:
    depths = [plan(values).network.depth for values in (10_000, 100_000, 1_000_000, 10_000_000)]
    assert depths == sorted(depths) and depths[0] <= 3 and depths[-1] == 12


def test_width_and_depth_can_be_given() -> None:
    made = plan(hidden_size=108, depth=7)
    assert (made.network.hidden_size, made.network.depth) == (108, 7)


def test_a_token_is_sixteen_pixels_wide_for_every_autoencoder() -> None:
    assert plan().network.patch_size == 1
    assert plan(downsampling=8, latent_channels=4).network.patch_size == 2
    assert plan(downsampling=4, latent_channels=3).network.patch_size == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"wanted_bytes": 8}, "cannot hold a network"), ({"hidden_size": 7}, "hidden")],
)
def test_impossible_settings_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        plan(**changes)


@pytest.mark.parametrize("hidden_size", range(4, 400, 4))
def test_heads_divide_the_width(hidden_size: int) -> None:
    assert hidden_size % (4 * choose_heads(hidden_size)) == 0
