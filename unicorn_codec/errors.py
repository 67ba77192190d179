"""Exceptions that a caller of unicorn-codec may catch, one class per reason.

A message says what was found, where, what is allowed, and what to do about it, in one line: the command line prints
nothing else. Anything that is not a ``UnicornError`` is a bug.
"""


class UnicornError(Exception):
    """Base of all errors that the library raises on purpose."""


class FormatError(UnicornError):
    """The bytes are not a valid ``.uni`` file."""


class ArchiveUnreadable(UnicornError):
    """The archive is missing, is a folder, or cannot be read for lack of permission."""


class NotUniFile(FormatError):
    """The file does not start with the signature of a ``.uni`` file."""


class UnsupportedVersion(FormatError):
    """The file has a format version or a feature that this software does not know."""


class TruncatedFile(FormatError):
    """The file has no valid footer, or ends before it does."""


class ChecksumMismatch(FormatError):
    """A CRC-32 or a digest does not match: the file is damaged."""


class InvalidField(FormatError):
    """A field holds a value that the format does not allow."""


class DamagedSectionWarning(UserWarning):
    """A part of an archive is damaged that its pictures do not need, such as their names; or bytes follow its end."""


class CanaryWarning(UserWarning):
    """A picture decodes to other pixels than when the archive was made, or this could not be checked."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written. Work continues without it."""


class InvalidSetting(UnicornError, ValueError):
    """A setting that the caller chose is out of range or contradicts another one."""


class ForkRefused(UnicornError):
    """A decoder's threads did not survive the fork of this process, and it would wait for them for ever."""


class IndexOutOfRange(UnicornError, IndexError):
    """The archive has no picture with this index."""


class NotAPicture(UnicornError):
    """A member of the archive is a file that is no picture."""


class NameNotFound(UnicornError, KeyError):
    """The archive has no picture with a matching name."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class ImageFolderError(UnicornError):
    """The folder of pictures is missing, empty, or holds files that cannot be read."""


class OutputError(UnicornError):
    """The output cannot be written: it exists, its folder is missing or read-only, or the disk is full."""


class ModelUnavailable(UnicornError):
    """A model of the package is missing or damaged."""


class AutoencoderUnavailable(UnicornError):
    """The chosen autoencoder cannot be loaded."""


class AutoencoderMismatch(UnicornError):
    """The archive was made with another autoencoder than the one in use."""


class DecoderMismatch(UnicornError):
    """Pictures of the archive decode to other pixels here than when the archive was made."""


class PictureTooLarge(UnicornError):
    """A picture of the archive has more pixels than the caller allows to decode."""


class CheckpointMismatch(UnicornError):
    """A checkpoint is missing, unreadable, or belongs to other pictures or settings."""


class Interrupted(UnicornError):
    """The user stopped packing. A checkpoint holds the work done so far."""


class WorkerLost(UnicornError):
    """A worker ended before its work did, for example because the system ran out of memory."""


class PackageMissing(UnicornError):
    """The request needs an optional package that is not installed."""


class RivalFailed(UnicornError):
    """A codec in a benchmark could not encode the pictures or could not decode its files."""


class ArchiveBusy(UnicornError):
    """Another process is writing to the archive."""


class NothingToRepair(UnicornError):
    """A damaged file holds nothing that can be recovered."""
