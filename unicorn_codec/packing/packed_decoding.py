"""Decoding of codes before they are in an archive, each by its own step and update."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from unicorn_codec.decoders.code_decoder import CodeDecoder, CodeSource
from unicorn_codec.packing.packed import Coding
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.folder_update import UpdatedModels


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedDecoder:
    """Decodes codes by position.

    Args:
        codes: read one by one.
        main: coding of all codes but the others.
        other: coding of the others, by position.
        shipped: models without an update.
    """

    codes: CodeSource
    main: Coding
    other: Mapping[int, Coding]
    shipped: UpdatedModels
    _models: dict[bytes | None, UpdatedModels] = field(default_factory=dict)

    def read(self, positions: Sequence[int], width: int, height: int) -> Callable[[], Iterator[Pixels]]:
        """Entropy-decode pictures of one size, and return a function that yields their pixels in this order.

        Raises ``FormatError`` if a code or an update is damaged.
        """
        of_coding: dict[Coding, list[int]] = {}
        for position in positions:
            of_coding.setdefault(self.coding_of(position), []).append(position)
        parts = {coding: self._decoder(coding).read(some, width, height) for coding, some in of_coding.items()}

        def pictures() -> Iterator[Pixels]:
            decoded = {coding: part() for coding, part in parts.items()}
            for position in positions:
                yield next(decoded[self.coding_of(position)])

        return pictures

    def coding_of(self, position: int) -> Coding:
        """Return the coding of the code at a position."""
        return self.other.get(position, self.main)

    def _decoder(self, coding: Coding) -> CodeDecoder:
        if coding.update not in self._models:
            updated = self.shipped if coding.update is None else self.shipped.with_update(coding.update)
            self._models[coding.update] = updated
        models = self._models[coding.update]
        return CodeDecoder(
            codes=self.codes,
            latent_step=coding.latent_step,
            level=coding.level,
            short=coding.short,
            autoencoder=models.autoencoder,
            model=models.context_model,
        )
