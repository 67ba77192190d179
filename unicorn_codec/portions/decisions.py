"""Decisions that all portions share: quantisation step, rounds of refinement, and what was learned of a sample."""

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
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import estimate_metadata_bytes
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.rate_control import fit_codes
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.reports import Learned
from unicorn_codec.packing.self_contained import attached_bytes, is_wanted
from unicorn_codec.packing.targets import AsAvif, AtStep, OfSize, resolve
from unicorn_codec.pictures.images import Folder
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
    """

    step: float | None
    rounds: int
    update: bytes | None
    learned: Learned | None

    def options(self, wanted: CodesOptions) -> CodesOptions:
        """Return the options of a portion."""
        target = wanted.target if self.step is None else Target(Goal.STEP, self.step)
        return replace(
            wanted,
            target=target,
            effort=self.rounds,
            learning=None,
            self_contained=False,
            resume=False,
            overwrite=True,
        )

    def save(self, path: Path, digest: str) -> None:
        """Write a file from which packing resumes. Raises ``OutputError`` where that fails."""
        update = None if self.update is None else b64encode(self.update).decode()
        learned = None if self.learned is None else asdict(self.learned)
        values = {"digest": digest, "step": self.step, "rounds": self.rounds, "update": update, "learned": learned}
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
            found = cls(step=values["step"], rounds=values["rounds"], update=update, learned=learned)
            is_same = values["digest"] == digest
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointMismatch(f"{path}: not what packing wrote ({error})") from error
        if not is_same:
            raise CheckpointMismatch(
                f"{path.parent} was made with other pictures or settings: use the same ones, or --overwrite it"
            )
        return found


def decide(
    folder: Folder, autoencoder: PackagedAutoencoder, options: CodesOptions, observer: Observer, work: Path
) -> Decisions:
    """Decide by a sample of a folder's pictures.

    Args:
        folder: with at least one picture that is not exact.
        work: folder of temporary files.

    Raises:
        InvalidSetting: no step reaches the target size, or the step is too coarse.
    """
    sample = PictureSource(sample_of(folder), options.read)
    share = sample.pixels / folder.pixels
    model = load_context_model(autoencoder.reference.name)
    encoder = new_encoder(sample, autoencoder, model, work, share=share)
    target = resolve(options.target, pixels=folder.pixels, coarsest=encoder.coarsest)
    if isinstance(target, AsAvif):
        return Decisions(step=None, rounds=0, update=None, learned=None)
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
    return Decisions(step=max(step, FINEST), rounds=plan.rounds, update=encoder.update, learned=learned)


def sample_of(folder: Folder) -> Folder:
    """Return evenly chosen pictures of a folder; all of them if they are few."""
    count = len(folder.pictures)
    chosen = min(count, SAMPLE_PICTURES, max(1, SAMPLE_PIXELS * count // folder.pixels))
    return subset(folder, [number * count // chosen for number in range(chosen)])
