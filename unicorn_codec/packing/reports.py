"""Reports of packing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unicorn_codec.inspection import ArchivePart
from unicorn_codec.measurement import Measured, PictureDistortion
from unicorn_codec.pictures.picture_files import LeftOut, OtherFile
from unicorn_codec.pictures.picture_folder import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The packaged model that suits a folder.

    Args:
        name: of the model.
        excess: part of its bytes that each other model would take more at equal distortion, by a sample. Empty where
            the codes that files carry decided.
    """

    name: str
    excess: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Outcome of learning a folder.

    Args:
        kept: whether the archive holds an update, because it saves more than its bytes.
        bytes: of the update.
        saved_bytes: estimated bytes that it saves at equal distortion, its own taken off. Negative if it does not pay.
        code_bytes: estimated bytes of all codes without it.
        steps: of training.
        seconds: that learning took.
        tried: whether training began. Where the codes take few bytes, no update can pay.
    """

    kept: bool
    bytes: int = 0
    saved_bytes: int = 0
    code_bytes: int = 0
    steps: int = 0
    seconds: float = 0.0
    tried: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReport:
    """Figures of an archive with a network.

    Args:
        ceiling_psnr_db: mean PSNR of the autoencoder alone, which no network can exceed.
        other_noise_psnr_db: mean PSNR of some pictures, decoded from other noise than the stored seed's.
        stored_noise_psnr_db: mean PSNR of the same pictures from the stored seed's noise.
    """

    parameters: int
    steps: int
    ceiling_psnr_db: float
    other_noise_psnr_db: float
    stored_noise_psnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsReport:
    """Figures of an archive of overfitted functions.

    Args:
        parameters: of each function.
        common_bytes: of the common function, which the archive stores once; 0 without one.
        multiplications_per_pixel: of decoding a function, without the autoencoder.
        candidates: functions that began for each picture; the best ones got the candidates' steps.
        main_steps: of the best one. All three also as at full effort.
        ceiling_psnr_db: mean PSNR of the autoencoder alone on some pictures, which no function can exceed by much.
    """

    parameters: int
    common_bytes: int
    multiplications_per_pixel: float
    candidates: int
    candidate_steps: int
    main_steps: int
    full_candidates: int
    full_candidate_steps: int
    full_main_steps: int
    ceiling_psnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """Outcome of packing, measured on the written file.

    Args:
        wanted_bytes: target size, if any.
        latent_step: quantisation step of the codes, or of most of them; in an archive with a network the step that the
            decoder gets.
        other_steps: steps of the other codes, ascending.
        rounds: of refinement.
        seconds: without the time for measuring.
        model_choice: None unless packing chose the model.
        learned: None if packing was not to learn, or had nothing to.
        network: None for an archive of codes.
        functions: None unless its codes are overfitted functions.
        sequence_pictures: pictures stored in sequences of near-duplicates, in ``sequence_bytes`` together.
        avif_pictures: pictures stored as AVIF alone, in ``avif_bytes`` together.
        taken_over: pictures whose files carried their code, which the archive holds unchanged.
        transparent: pictures that keep their transparency, in ``alpha_bytes`` together.
        exact_pictures: pictures whose files are stored whole, in ``exact_bytes`` together.
        kept_files: files that are no pictures, in ``kept_bytes`` together; ``kept`` lists them with the reasons.
        below_target: pictures below the quality floor even as AVIF, the worst first.
    """

    pictures: int
    file_bytes: int
    pixels: int
    bits_per_pixel: float
    bits_per_pixel_with_autoencoder: float
    index_bits: int
    latent_step: float
    other_steps: Sequence[float]
    rounds: int
    wanted_bytes: float | None
    seconds: float
    measured: Measured
    model_choice: ModelChoice | None
    learned: Learned | None
    network: NetworkReport | None
    functions: FunctionsReport | None
    sequence_pictures: int
    sequence_bytes: int
    avif_pictures: int
    avif_bytes: int
    taken_over: int
    transparent: int
    alpha_bytes: int
    exact_pictures: int
    exact_bytes: int
    kept_files: int
    kept_bytes: int
    kept: Sequence[OtherFile]
    below_target: Sequence[PictureDistortion]
    left_out: Sequence[LeftOut]
    notes: Sequence[Note]
    flattened: int
    scaled: int
    parts: Sequence[ArchivePart]
