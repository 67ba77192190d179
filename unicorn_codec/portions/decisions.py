"""Decisions that all portions share: model, quantisation step, rounds of refinement, and what a sample taught."""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unicorn_codec.checkpoints import write_checkpoint
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.errors import CheckpointMismatch
from unicorn_codec.packing.into_codes import find_groups, new_encoder, plan_codes
from unicorn_codec.packing.model_choice import choose_model
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import estimate_metadata_bytes
from unicorn_codec.packing.pack import load_packing_autoencoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.rate_control import fit_codes
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.reports import Learned, ModelChoice
from unicorn_codec.packing.self_contained import attached_bytes, is_wanted
from unicorn_codec.packing.targets import AsAvif, AtStep, OfSize, resolve
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.portions.partition import subset
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

SAMPLE_PICTURES, SAMPLE_PIXELS = 1024, 1 << 26
"""Limits of the sample, which are about what learning looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What is the same for all portions.

    Args:
        step: quantisation step of the codes; None where all pictures are stored as AVIF.
        rounds: of refinement.
        update: of the models; None without one.
        learned: None if nothing was to be learned.
        autoencoder: name of the model.
        model_choice: None unless packing chose the model.
    """

    step: float | None
    rounds: int
    update: bytes | None
    learned: Learned | None
    autoencoder: str
    model_choice: ModelChoice | None

    def options(self, wanted: CodesOptions) -> CodesOptions:
        """Return the options of a portion."""
        target = wanted.target if self.step is None else Target(Goal.STEP, self.step)
        return replace(
            wanted,
            target=target,
            autoencoder=self.autoencoder,
            effort=self.rounds,
            learning=None,
            self_contained=False,
            resume=False,
            overwrite=True,
        )

    def save(self, path: Path, digest: str) -> None:
        """Write a file from which packing resumes. Raises ``OutputError`` where that fails."""
        update = None if self.update is None else b64encode(self.update).decode()
        values = {"digest": digest, **asdict(self), "update": update}
        write_checkpoint(path, json.dumps(values).encode())

    @classmethod
    def load(cls, path: Path, digest: str) -> "Decisions":
        """Read what ``save`` wrote.

        Raises:
            CheckpointMismatch: the file is damaged, or was written for other pictures or settings.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
            update = None if values["update"] is None else b64decode(values["update"])
            learned = None if values["learned"] is None else Learned(**values["learned"])
            choice = None if values["model_choice"] is None else ModelChoice(**values["model_choice"])
            is_same = values.pop("digest") == digest
            found = cls(**(values | {"update": update, "learned": learned, "model_choice": choice}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointMismatch(f"{path}: not what packing wrote ({error})") from error
        if not is_same:
            raise CheckpointMismatch(
                f"{path.parent} was made with other pictures or settings: use the same ones, or --overwrite it"
            )
        return found


def decide(folder: Folder, options: CodesOptions, observer: Observer, work: Path) -> Decisions:
    """Decide by a sample of a folder's pictures.

    Args:
        folder: may hold no picture that is not exact.
        work: folder of temporary files.

    Raises:
        InvalidSetting: no step reaches the target size, or the step is too coarse.
    """
    sample = PictureSource(sample_of(folder), options.read)
    choice = choose_model(sample, options, observer)
    autoencoder = load_packing_autoencoder(options if choice is None else replace(options, autoencoder=choice.name))
    assert isinstance(autoencoder, PackagedAutoencoder), "CodesOptions name a model of the package"
    nothing = Decisions(
        step=None,
        rounds=0,
        update=None,
        learned=None,
        autoencoder=autoencoder.reference.name,
        model_choice=choice,
    )
    if not folder.pictures:
        return nothing
    share = sample.pixels / folder.pixels
    model = load_context_model(autoencoder.reference.name)
    encoder = new_encoder(sample, autoencoder, model, work, share=share)
    target = resolve(options.target, pixels=folder.pixels, coarsest=encoder.coarsest)
    if isinstance(target, AsAvif):
        return nothing
    if isinstance(target, OfSize):
        other_bytes = estimate_metadata_bytes(sample, options.metadata)
        encoder = replace(encoder, overhead_bytes=encoder.overhead_bytes + other_bytes)
        fixed = 0
        if is_wanted(options.self_contained, target.bytes, autoencoder):
            fixed = attached_bytes(autoencoder.reference.model(model.sha256))
        target = OfSize(max(1.0, (target.bytes - fixed) * share))
    groups = find_groups(encoder, options, observer)
    encoder, plan, learned = plan_codes(encoder, groups, target, options, observer)
    if isinstance(target, AtStep):
        step = target.step
    else:
        # The sample's file would hold the whole update, of which only its share counts.
        room = target.bytes + (1 - share) * len(encoder.update or b"")
        step, _ = fit_codes(encoder, room, plan.rounds, observer)
    return replace(nothing, step=max(step, FINEST), rounds=plan.rounds, update=encoder.update, learned=learned)


def sample_of(folder: Folder) -> Folder:
    """Return evenly chosen pictures of a folder; all of them if they are few."""
    count = len(folder.pictures)
    chosen = min(count, SAMPLE_PICTURES, max(1, SAMPLE_PIXELS * count // max(1, folder.pixels)))
    return subset(folder, [number * count // chosen for number in range(chosen)])
