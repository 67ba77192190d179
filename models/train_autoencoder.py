"""Train the decoder, then encoder, decoder and context model together, as a variable-rate transform codec.

    python models/train_autoencoder.py --data PICTURES --features FEATURES --start photo-1 --teacher photo-1 --out RUN
    python models/train_on_refined.py --data PICTURES --features FEATURES --start RUN --out REFINED
    python models/export.py --run REFINED --name light-1

Encoder and context model begin as those of the package's model ``--start``; so does the decoder if its shape is the
same, else only its first layer. With a teacher, the decoder alone is distilled first: it learns to give the pictures
that the teacher's decoder gives, which unlike the originals hold nothing that cannot be known from a code. Then
everything is trained together, on pictures.

Every sample draws its own quantisation step, log-uniform over the network's range. Its loss is distortion /
(75 step^2) + rate, times the step: else the finest steps, where both terms are largest, would own the gradient.
Distortion is that of refinement with twice its structure, and a perceptual distance; while the decoder is distilled,
the squared error. The run can be stopped and started again: it goes on from RUN/checkpoint.pt.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from gradients import gradients_on
from judging import described
from muon import Muon
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from training_pictures import (
    Crops,
    Photos,
    as_pictures,
    judged_pictures,
    load_drawn,
    load_pictures,
    training_pictures,
)

from unicorn_codec.bench.perceptual import PerceptualDistance
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import WEIGHT_NAMES, RateModel
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.model_registry import AUTOENCODER, get_model, names
from unicorn_codec.transform.autoencoder import LEADING_CHANNELS, PackagedAutoencoder, weights_of
from unicorn_codec.transform.coding_autoencoder import BOTTLENECK, RESIDUAL, CodingAutoencoder
from unicorn_codec.transform.distortion import STRUCTURES, distortion

PHOTO: dict[str, Any] = {
    "latent_channels": 64,
    "encoder_widths": [32, 64, 128, 160],
    "encoder_depths": [1, 2, 3, 2],
    "decoder_widths": [160, 128, 64, 32],
    "decoder_depths": [6, 6, 3, 1],
    "decoder_blocks": RESIDUAL,
    "max_step": 12.0,
}
LIGHT = {**PHOTO, "decoder_widths": [160, 128, 56], "decoder_depths": [5, 3, 1], "decoder_blocks": BOTTLENECK}
NETWORKS = {"photo": PHOTO, "light": LIGHT}

HIDDEN = 16
"""Hidden values a channel of the context model."""

RD_LAMBDA = 75.0
"""Squared error (255 scale) that one bit per pixel is worth, over the squared step."""

STRUCTURES_WORTH = tuple(2 * weight for weight in STRUCTURES)
"""Weights of structure: twice those that pictures are refined with. Held-out pictures gained MS-SSIM by it, and lost
no PSNR and no SSIMULACRA2."""

PERCEPTUAL_WORTH = 200.0
"""Weight of the perceptual distance: without it there is more of everything else, and it grows by a tenth."""

PERCEIVED_PART = 0.25
"""Of a batch's crops, those whose perceptual distance is worked out: it takes longer than the decoder itself."""

RATE_MODEL_PACE = 1e-3

LEADING_PART = 0.1
"""Of the crops, that the decoder sees the leading channels of alone."""

SPIKE = 4.0
"""A batch whose loss is so many times the usual is left out."""

DECAY_FROM = 0.1
"""Part of a phase after which the learning rates fall."""

TOLD_EVERY = 30
"""Seconds."""

LARGEST_ERROR = 2000.0
"""Squared error (255 scale) of a distilled picture that counts in full. A decoder that is new answers a few codes with
values far out of range; left out, as other spikes are, they would stay so."""

DECODER, JOINT = PHASES = ("decoder", "joint")

DECAY = {DECODER: 0.3, JOINT: 0.0}
"""Of Muon's weights: those of a new decoder else grow until it answers some codes with values far out of range."""


def shown_channels(batch: int, channels: int, device: torch.device) -> Tensor:
    """(N, C, 1, 1) which latent channels the decoder sees: of some crops the leading ones alone."""
    leading = torch.rand(batch, 1, 1, 1, device=device) < LEADING_PART
    return ~leading | (torch.arange(channels, device=device).view(-1, 1, 1) < LEADING_CHANNELS)


def partly_perceived(perceptual: nn.Module, decoded: Tensor, pictures: Tensor) -> Tensor:
    """(N,) perceptual distances of (N, 3, H, W) in [-1, 1], estimated by those of the first ``PERCEIVED_PART``."""
    batch = len(decoded)
    some = max(1, round(PERCEIVED_PART * batch))
    found = perceptual(decoded[:some] / 2 + 0.5, pictures[:some] / 2 + 0.5).float()
    return torch.cat([found * (batch / some), found.new_zeros(batch - some)])


class Trainer:
    """Networks, their averages and optimisers of one run."""

    def __init__(self, pictures: Photos, judged: Photos, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.out, self.args, self.device = args.out, args, torch.device(args.device)
        self.fast_bfloat16 = has_fast_bfloat16(self.device)
        torch.backends.cudnn.benchmark = True  # all batches have one shape
        self.crops = Crops(pictures, args.batch, args.crop, self.device)
        self.judged = judged
        self.shape = NETWORKS[args.network]
        self.network = CodingAutoencoder(**self.shape).to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rate = RateModel(self.shape["latent_channels"], HIDDEN).to(self.device)
        self.perceptual = PerceptualDistance(args.features).to(self.device)
        self.perceptual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.start(args.start)
        self.teacher = PackagedAutoencoder(self.device, name=args.teacher).network if args.teacher else None
        self.gradients = gradients_on(self.device, args.parts)
        self.begin(DECODER if self.teacher else JOINT)

    def start(self, name: str) -> None:
        """Take over the weights of a model of the package; of a decoder of another shape its first layer alone."""
        weights = weights_of(load_tensors(get_model(AUTOENCODER, name).read()))
        own = self.network.state_dict()
        if {key: weight.shape for key, weight in weights.items()} != {key: weight.shape for key, weight in own.items()}:
            weights = {key: weight for key, weight in weights.items() if key.startswith(("encoder.", "decoder.0."))}
        self.network.load_state_dict(own | weights)
        model = load_context_model(name)
        self.rate.load_integers({name: getattr(model, name) for name in WEIGHT_NAMES})

    def begin(self, phase: str) -> None:
        """Begin a phase with new optimisers."""
        self.phase, self.elapsed, self.step = phase, 0.0, 0
        self.usual_loss: Tensor | None = None
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        joint = phase == JOINT
        self.network.encoder.requires_grad_(requires_grad=joint)
        self.rate.requires_grad_(requires_grad=joint)
        self.optimizers = self._optimizers()

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        ends = {layers[place].weight for layers, place in (
            (self.network.encoder, 1), (self.network.encoder, -1), (self.network.decoder, 0), (self.network.decoder, -2)
        )}  # fmt: skip
        trained = [p for p in self.network.parameters() if p.requires_grad]
        hidden = [p for p in trained if p.ndim == 4 and p not in ends]
        rest = [p for p in trained if p.ndim != 4 or p in ends]
        # Muon wants matrices: each kernel's storage is given to it as (out, in * k * k).
        self.kernels = [(p, nn.Parameter(p.data.permute(0, 2, 3, 1).flatten(1))) for p in hidden]
        for kernel, matrix in self.kernels:
            assert matrix.data_ptr() == kernel.data_ptr(), "the optimiser must see the weights, not a copy"
        kind = torch.bfloat16 if self.fast_bfloat16 else torch.float32
        pace, other_pace = self.args.paces[PHASES.index(self.phase)], self.args.other_paces[PHASES.index(self.phase)]
        muon = Muon([m for _, m in self.kernels], lr=pace, decay=DECAY[self.phase], kind=kind)
        groups = [{"params": rest, "lr": other_pace}]
        if self.phase == JOINT:
            groups.append({"params": list(self.rate.parameters()), "lr": RATE_MODEL_PACE})
        adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
        for optimizer in (muon, adam):
            for group in optimizer.param_groups:
                group["peak_lr"] = group["lr"]
        return [muon, adam]

    def run(self) -> None:
        """Train to the end of all phases."""
        for phase in PHASES[PHASES.index(self.phase) :]:
            if phase != self.phase:
                self.network.load_state_dict(self.average)
                self.begin(phase)
            self.run_phase(60 * self.args.minutes[PHASES.index(phase)])

    def run_phase(self, budget: float) -> None:
        """Train for what is left of a phase's ``budget`` seconds."""
        if self.elapsed >= budget:
            return
        logged = saved = self.elapsed
        started = time.monotonic() - self.elapsed
        totals: list[Tensor] = []
        for crops in self.crops:
            self._set_rates(self.elapsed / budget)
            totals.append(self.train_step(crops))
            self.step += 1
            if self.step % 10 == 0:
                totals[-1].tolist()  # a GPU is at most ten steps behind the clock
            self.elapsed = time.monotonic() - started
            if self.elapsed - logged > TOLD_EVERY or self.elapsed >= budget:
                loss, squared, bits = torch.stack(totals).mean(0).tolist()
                print(
                    f"{self.phase} {self.elapsed:6.0f}s step {self.step} loss {loss:.4f} mse {squared:.1f} "
                    f"bpp {bits:.4f}",
                    flush=True,
                )
                totals, logged = [], self.elapsed
            if self.elapsed - saved > 120:
                self.save()
                saved = self.elapsed
            if self.elapsed >= budget:
                break
        self.save()
        self.validate()

    def _set_rates(self, progress: float) -> None:
        decay = max(0.0, min(1.0, (1 - progress) / (1 - DECAY_FROM)))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * decay * min(1.0, (self.step + 1) / 100)

    def train_step(self, crops: Tensor) -> Tensor:
        """One step on crops (N, S, S, 3), uint8; returns loss, squared error and bits per pixel, (3,)."""
        parameters = self._trained()
        compute = self._distilled if self.phase == DECODER else self._coded
        terms = self.gradients.differentiate(compute, parameters, [crops])
        usual = terms[0] if self.usual_loss is None else self.usual_loss
        spike = ~(terms[0] < SPIKE * usual)  # one such batch can undo an hour; NaN is none either
        terms[0] = torch.where(spike, usual, terms[0])
        self.usual_loss = torch.lerp(usual, terms[0], 0.02)
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.masked_fill_(spike, 0.0)
        for kernel, matrix in self.kernels:
            assert kernel.grad is not None
            matrix.grad = kernel.grad.permute(0, 2, 3, 1).flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), 1 - decay)
        return terms

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in (*self.network.parameters(), *self.rate.parameters()) if p.requires_grad]

    def _fast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast_bfloat16)

    def _distilled(self, crops: Tensor) -> Tensor:
        """Loss, squared error (255 scale) to the teacher's pictures, and zero, (3,): means over crops (N, S, S, 3)."""
        assert self.teacher is not None
        pictures = as_pictures(crops, self.device)
        steps = self.shape["max_step"] ** torch.rand(len(pictures), device=self.device)
        with torch.no_grad(), self._fast():
            scale = steps.view(-1, 1, 1, 1)
            symbols = (self.network.encode(pictures).float() / scale).round()
            symbols = symbols * shown_channels(len(symbols), symbols.shape[1], self.device)
            latents = (symbols * scale).contiguous(memory_format=torch.channels_last)
            taught = self.teacher.decode(latents, steps).float().clamp(-1, 1)
        with self._fast():
            decoded = self.network.decode(latents, steps)
        squared = (decoded.float() - taught).square().mean((1, 2, 3)) * 127.5**2
        capped = squared * (LARGEST_ERROR / squared.detach()).clamp_max(1)
        loss = (capped / (RD_LAMBDA * steps)).mean()
        return torch.stack([loss, squared.detach().mean(), torch.zeros_like(loss)])

    def _coded(self, crops: Tensor) -> Tensor:
        """Loss, squared error (255 scale) and bits per pixel of codes, (3,): means over crops (N, S, S, 3)."""
        pictures = as_pictures(crops, self.device)
        batch, channels = len(pictures), self.shape["latent_channels"]
        steps = self.shape["max_step"] ** torch.rand(batch, device=self.device)
        levels = torch.round(4 * torch.log2(steps)).long()  # as level_of, which would wait for the device
        mask, each_step = shown_channels(batch, channels, self.device), steps.view(-1, 1, 1, 1)
        with self._fast():
            latents = self.network.encode(pictures)
        scaled = latents.float() / each_step * mask
        noisy = scaled + (torch.rand_like(scaled) - 0.5) * mask
        rounded = scaled + (scaled.round() - scaled).detach()
        with self._fast():
            decoded = self.network.decode(rounded * each_step, steps).float()
            seen = partly_perceived(self.perceptual, decoded, pictures)
        bits = (self.rate.bits(noisy, levels, context=rounded) * mask).sum((1, 2, 3)) / pictures[0, 0].numel()
        squared = (decoded - pictures).square().mean((1, 2, 3)) * 127.5**2
        worth = distortion(decoded, pictures, structures=STRUCTURES_WORTH) + self.args.perceptual * seen
        loss = (worth / (RD_LAMBDA * steps) + bits * steps).mean()
        return torch.stack([loss, squared.detach().mean(), bits.detach().mean()])

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "network": self.network.state_dict(),
            "rate": self.rate.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "phase": self.phase,
            "elapsed": self.elapsed,
            "step": self.step,
        }
        torch.save(state, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def resume(self) -> None:
        """Go on from the checkpoint."""
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.rate.load_state_dict(state["rate"])
        self.begin(state["phase"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.elapsed, self.step = state["elapsed"], state["step"]
        torch.manual_seed(self.step)

    def validate(self) -> None:
        """Print what the averaged weights reach on the judged pictures."""
        network = CodingAutoencoder(**self.shape).to(self.device)
        network.load_state_dict(self.average)
        for kind, pictures in self.judged._asdict().items():
            print(f"{kind}: {described(network, self.rate, pictures)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--features", type=Path, required=True, help="SqueezeNet 1.1 features (safetensors)")
    parser.add_argument("--drawn", type=Path, help="folder of drawn pictures, instead of drawing them")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="light", help="shape of what is trained")
    parser.add_argument("--teacher", choices=names(AUTOENCODER), help="model whose decoder is distilled first")
    parser.add_argument("--start", required=True, choices=names(AUTOENCODER), help="the package's model to begin with")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--minutes", type=float, nargs=2, default=(20, 45), help="of the decoder alone, of all together"
    )
    parser.add_argument("--crop", type=int, default=192, help="side of a step's crops, a multiple of 16")
    parser.add_argument("--batch", type=int, default=4, help="crops of a step")
    parser.add_argument("--parts", type=int, default=2, help="of a step's crops, each worked on by a CPU thread")
    parser.add_argument("--perceptual", type=float, default=PERCEPTUAL_WORTH, help="weight of the perceptual distance")
    parser.add_argument("--paces", type=float, nargs=2, default=(0.004, 0.002), help="of Muon, in the two phases")
    parser.add_argument("--other-paces", type=float, nargs=2, default=(1e-3, 5e-4), help="of AdamW, likewise")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "settings.json").write_text(
        json.dumps({**vars(args), "network": NETWORKS[args.network]}, default=str, indent=2)
    )
    pictures = Photos(load_pictures(args.data), load_drawn(args.drawn))
    trainer = Trainer(training_pictures(pictures), judged_pictures(pictures), args)
    if (args.out / "checkpoint.pt").exists():
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
