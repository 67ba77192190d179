"""Every exception that a caller of unicorn-codec may catch. The command line prints each as one line."""


class UnicornError(Exception):
    """Base of all errors that the library raises on purpose."""


class FormatError(UnicornError):
    """The bytes are not a valid ``.uni`` file."""


class ArchiveUnreadable(UnicornError):
    """The archive is missing, is a folder, or may not be read."""


class NotUniFile(FormatError):
    """The signature is missing."""


class UnsupportedVersion(FormatError):
    """The file has a format version, or a critical section, that this software does not know."""


class TruncatedFile(FormatError):
    """The file ends before its end section."""


class ChecksumMismatch(FormatError):
    """A CRC-32 or the closing SHA-256 does not hold: the file is damaged."""


class InvalidField(FormatError):
    """A field holds a value that the format does not allow."""


class DamagedSectionWarning(UserWarning):
    """An ancillary section is damaged; the pictures are not touched by it."""


class CanaryWarning(UserWarning):
    """A picture decodes to other pixels than when the archive was made, or it could not be tried."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; the training goes on."""


class InvalidSetting(UnicornError, ValueError):
    """A setting that the caller chose is out of range or contradicts another one."""


class IndexOutOfRange(UnicornError, IndexError):
    """No picture of the archive has this index."""


class NameNotFound(UnicornError, KeyError):
    """No picture of the archive has a name like this."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class ImageFolderError(UnicornError):
    """The folder of pictures is missing, empty, or holds files that cannot be read."""


class OutputError(UnicornError):
    """The output cannot be written: it exists, or its folder is missing or read-only, or the disk is full."""


class ModelUnavailable(UnicornError):
    """A model of the package is missing or damaged."""


class AutoencoderUnavailable(UnicornError):
    """The autoencoder that was asked for cannot be loaded."""


class AutoencoderMismatch(UnicornError):
    """The archive was made with another autoencoder than the one at hand."""


class DecoderMismatch(UnicornError):
    """Pictures of the archive decode to other pixels here than when it was made."""


class PictureTooLarge(UnicornError):
    """A picture of the archive has more pixels than the caller allows to be decoded."""


class CheckpointMismatch(UnicornError):
    """A checkpoint belongs to another folder or to other settings."""


class Interrupted(UnicornError):
    """Packing was stopped by the user; a checkpoint holds the work done so far."""


class PackageMissing(UnicornError):
    """A package that is not installed by default is needed for what was asked."""


class RivalFailed(UnicornError):
    """A codec that a benchmark compares with could not store the pictures, or not give them back."""
