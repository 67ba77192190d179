"""A plain NumPy network, written from the specification alone, predicts and samples as the library does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.sample_network import DENOISING, HEADER
from unicorn_codec.decoders.network_decoder import NetworkDecoder
from unicorn_codec.format.generator import FREQUENCIES, noise, normals
from unicorn_codec.format.header import CONDITIONS, INDEX_EMBEDDINGS, NetworkConfig
from unicorn_codec.network.denoiser import Denoiser, tensors_of

Array = NDArray[np.float64]
IMAGES, SEED, CHANNELS, HEADS = 6, 5, 3, 2
H, K, P = 16, 3, 2


def norm(v: Array) -> Array:
    return v / np.sqrt((v**2).mean(-1, keepdims=True) + 1e-6)


def silu(z: Array) -> Array:
    return z / (1 + np.exp(-z))


def waves(angles: Array) -> Array:
    return np.sqrt(2) * np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def attention(w: Mapping[str, Array], x: Array, s: Array) -> Array:
    parts = []
    for head in range(HEADS):
        own = slice(head * H // HEADS, (head + 1) * H // HEADS)
        q, k, v = (y @ w[name].T[:, own] for y, name in ((x, "query"), (s, "key"), (s, "value")))
        weights = np.exp(norm(q) @ norm(k).T / np.sqrt(H / HEADS))
        parts.append(weights / weights.sum(-1, keepdims=True) @ v)
    return np.concatenate(parts, axis=-1) @ w["out"].T


def index_tokens(kind: str, w: Mapping[str, Array], index: int) -> Array:
    decaying = 10000.0 ** (-np.arange(H / 2) / (H / 2))
    if kind == "grf":
        frequencies = normals(SEED, FREQUENCIES, K * H // 2).astype(np.float64).reshape(K, H // 2) * 0.5
        return waves(2 * np.pi * (index * frequencies % 1))
    if kind == "let":
        return w["table"][index].reshape(K, H)
    u = waves(index * decaying) if kind == "edf" else np.array([(2 * index + 1) / IMAGES - 1, 1])
    return (w["mlp_out"] @ silu(w["mlp_in"] @ u)).reshape(K, H)


def block(kind: str, w: Mapping[str, Array], x: Array, c: Array) -> tuple[Array, Array]:
    def mix(y: Array) -> Array:
        return attention(below(w, "self_attention."), y, y)

    def mlp(y: Array) -> Array:
        return np.maximum(0, y @ w["mlp_in"].T) ** 2 @ w["mlp_out"].T

    if kind == "icc":
        s = np.concatenate([x, c])
        s = s + mix(norm(s))
        s = s + mlp(norm(s))
        return s[: len(x)], s[len(x) :]
    if kind == "alnz":
        modulation = w["modulation"] @ silu(c[:-1].sum(0) / np.sqrt(K) + c[-1])
        b1, a1, g1, b2, a2, g2 = modulation.reshape(6, H)
        x = x + g1 * mix((1 + a1) * norm(x) + b1)
        return x + g2 * mlp((1 + a2) * norm(x) + b2), c
    x = x + mix(norm(x))
    x = x + w.get("gate", np.float64(1)) * attention(below(w, "cross_attention."), norm(x), c)
    return x + mlp(norm(x)), c


def below(w: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensor for name, tensor in w.items() if name.startswith(prefix)}


def predict(config: NetworkConfig, w: Mapping[str, Array], x: Array, t: float, index: int) -> Array:
    rows, columns = x.shape[1] // P, x.shape[2] // P
    blocks = x.reshape(CHANNELS, rows, P, columns, P).transpose(1, 3, 0, 2, 4).reshape(rows * columns, -1)
    periods = 3 * 64 ** (np.arange(H // 4) / (H // 4 - 1))
    places = [(r, c) for r in range(rows) for c in range(columns)]
    angles = np.array([[2 * np.pi * (n + 0.5) / periods for n in place] for place in places])
    tokens = blocks @ w["patch_in"].T + waves(angles).reshape(len(places), H)
    of_timestep = waves(1000 * t * 10000.0 ** (-np.arange(H / 2) / (H / 2)))
    of_index = index_tokens(config.index_embedding, below(w, "index_embedding."), index)
    condition = np.concatenate([of_index, of_timestep[None]])
    for number in range(config.depth):
        tokens, condition = block(config.condition, below(w, f"blocks.{number}."), tokens, condition)
    out = (norm(tokens) @ w["patch_out"].T).reshape(rows, columns, CHANNELS, P, P)
    return out.transpose(2, 0, 3, 1, 4).reshape(x.shape)


def make_denoiser(condition: str, index_embedding: str) -> Denoiser:
    config = NetworkConfig(
        hidden_size=H, depth=2, heads=HEADS, patch_size=P, index_tokens=K,
        condition=condition, index_embedding=index_embedding,
    )  # fmt: skip
    torch.manual_seed(0)
    denoiser = Denoiser(config, pictures=IMAGES, seed=SEED, latent_channels=CHANNELS).double()
    for parameter in denoiser.parameters():  # zeros would hide every mistake
        torch.nn.init.normal_(parameter, std=0.3)
    return denoiser.float()


def weights_of(denoiser: Denoiser) -> dict[str, Array]:
    return {name: tensor.astype(np.float64) for name, tensor in tensors_of(denoiser).items()}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("index_embedding", INDEX_EMBEDDINGS)
def test_predictions_follow_the_specification(condition: str, index_embedding: str) -> None:
    denoiser = make_denoiser(condition, index_embedding)
    x, timesteps, indices = torch.randn(3, CHANNELS, 4, 6), torch.tensor([1.0, 0.3, 0.8]), torch.tensor([0, 4, 5])
    with torch.no_grad():
        found = denoiser(x, timesteps, indices).numpy()
    w = weights_of(denoiser)
    for i in range(3):
        wanted = predict(denoiser.config, w, x[i].double().numpy(), float(timesteps[i]), int(indices[i]))
        np.testing.assert_allclose(found[i], wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize(("prediction", "steps"), [("x0", 1), ("x0", 3), ("noise", 1), ("noise", 4)])
def test_sampling_follows_the_specification(prediction: str, steps: int) -> None:
    denoiser = make_denoiser("cag", "grf")
    means, stds = (0.0,) * CHANNELS, (1.0,) * CHANNELS
    denoising = replace(DENOISING, means=means, stds=stds, network=denoiser.config, prediction=prediction)
    reference = replace(HEADER.autoencoder, latent_channels=CHANNELS)
    header = replace(HEADER, pictures=IMAGES, seed=SEED, autoencoder=reference, denoising=denoising)
    unused: Any = Unused(reference)
    decoder = NetworkDecoder(header=header, denoising=denoising, denoiser=denoiser, autoencoder=unused)
    found = decoder.sample([4], 48, 32, steps=steps)[0].numpy()

    w = weights_of(denoiser)
    x = noise(SEED, 4, (CHANNELS, 4, 6)).astype(np.float64)
    highest = 0.999 if prediction == "noise" else 1.0
    for i in range(steps):
        now, then = (min(1 - n / steps, highest) * np.pi / 2 for n in (i, i + 1))
        given = predict(denoiser.config, w, x, now * 2 / np.pi, 4)
        reach = 4 * denoising.latent_std
        x0 = given if prediction == "x0" else np.clip((x - np.sin(now) * given) / np.cos(now), -reach, reach)
        x = np.cos(then) * x0 + np.sin(then) * (x - np.cos(now) * x0) / np.sin(now)
    np.testing.assert_allclose(found, x, atol=5e-3 * np.abs(x).max())


class Unused:
    """An autoencoder with a device and nothing else, which is all that sampling asks for."""

    device = torch.device("cpu")

    def __init__(self, reference: object) -> None:
        self.reference = reference
