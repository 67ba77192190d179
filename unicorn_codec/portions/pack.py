"""Packing of a large folder in portions, by any executor, into one file that does not depend on who did the work.

walk > survey > group near-duplicates > partition > decide on a sample > pack portions > join > report
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.checkpoints import digest_settings, portions_path
from unicorn_codec.config import CodesOptions
from unicorn_codec.errors import CheckpointMismatch, Interrupted, InvalidSetting, OutputError
from unicorn_codec.format.joining import JoinedPart, join
from unicorn_codec.format.names import check_name
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.measurement import Measured, PictureDistortion
from unicorn_codec.model_registry import AUTOENCODER, CONTEXT_MODEL, models
from unicorn_codec.packing.archive_writing import check_output
from unicorn_codec.packing.observer import Observer, cumulative
from unicorn_codec.packing.pack import load_packing_autoencoder, report_on
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.packing.self_contained import attach_model, is_wanted
from unicorn_codec.pictures.picture_files import reason_of
from unicorn_codec.pictures.picture_folder import Folder, check_listed, find_in, folder_digest, notes_on_names
from unicorn_codec.portions.decisions import Decisions, decide
from unicorn_codec.portions.partition import group_near_duplicates, merged, partition
from unicorn_codec.portions.portion import PortionFacts, PortionTask, pack_portion, read_facts
from unicorn_codec.portions.survey import Surveyed, blocks_of, survey
from unicorn_codec.portions.workers import run_all
from unicorn_codec.shards.inputs import Inputs, folder_of
from unicorn_codec.transform.autoencoder import Autoencoder


def pack_in_portions(
    inputs: Inputs,
    output: Path | str,
    executor: Executor,
    options: CodesOptions | None = None,
    observer: Observer | None = None,
    names: Sequence[str] | None = None,
) -> PackReport:
    """Pack all pictures below a folder, or in shards, in portions that an executor packs.

    The file is the same whatever the executor. Finished portions, and the checkpoints of begun ones, lie in a folder
    next to the output until the file is complete; ``options.resume`` continues from there.

    Args:
        executor: runs functions on pickled arguments where the same files have the same paths, such as
            ``WorkerProcesses``. A lost worker costs what its portion's checkpoint does not hold.
        names: of the files to pack, relative to the folder; None: all below it.

    Raises:
        InvalidSetting: the options have a time budget, which the work of others would have to be measured for, or a
            goal or importance, which need all pictures at once.
        WorkerLost: a portion cost several workers.
        Interrupted: Ctrl-C; what is finished is kept.
        UnicornError: as ``pack``.
    """
    output, options, observer = Path(output).absolute(), options or CodesOptions(), observer or Observer()
    if options.seconds is not None:
        raise InvalidSetting("a time budget (--time) is for one process: with workers, give an effort")
    if options.goal is not None or options.importance is not None or options.roi is not None:
        raise InvalidSetting("--goal, --importance and --roi are for one process: pack without --workers")
    check_output(output, overwrite=options.overwrite)
    work = portions_path(output)
    check_work(work, options)
    with folder_of(inputs, output, observer.of_stage("unpacking")) as found:
        try:
            run = _Run(
                root=found.root.absolute(),
                output=output,
                work=work,
                executor=executor,
                options=options,
                observer=observer,
            )
            report = run.pack(names)
        except KeyboardInterrupt:
            executor.shutdown(wait=False, cancel_futures=True)
            if not work.exists():
                raise
            finished = len(list(work.glob("[0-9]*.json")))
            raise Interrupted(
                f"stopped; {work} holds {finished} finished portions: give the same command with --resume to continue"
            ) from None
    return replace(report, left_out=(*found.left_out, *report.left_out))


def check_work(work: Path, options: CodesOptions) -> None:
    """Check that packing neither discards unfinished portions unasked nor resumes from nothing.

    Raises ``OutputError`` and ``CheckpointMismatch`` as ``checkpoints.check_checkpoint``.
    """
    if options.resume and not work.exists():
        raise CheckpointMismatch(f"there is no {work} to resume from; pack without --resume")
    if work.exists() and not (options.resume or options.overwrite):
        raise OutputError(f"{work} holds unfinished work: --resume continues it, --overwrite discards it")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run of ``pack_in_portions``.

    Args:
        work: folder of the portions.
    """

    root: Path
    output: Path
    work: Path
    executor: Executor
    options: CodesOptions
    observer: Observer

    def pack(self, names: Sequence[str] | None) -> PackReport:
        started = time.monotonic()
        folder, portions = self.survey(names)
        self.observer.found(folder, None)
        decisions = self.decide(folder)
        autoencoder = load_packing_autoencoder(decisions.options(self.options))
        tasks = [
            PortionTask(
                output=self.work / f"{number:06}.uni",
                folder=portion,
                options=decisions.options(self.options),
                update=decisions.update,
            )
            for number, portion in enumerate(portions)
        ]
        self.pack_portions(tasks)
        parts = self.join(tasks, autoencoder)
        seconds = time.monotonic() - started
        facts = [read_facts(task.facts) for task in tasks]
        measured = Measured.of(rows_of(parts, facts))
        with Archive.of(ContainerReader(FileSource(self.output)), autoencoder) as written:
            report = report_on(
                written,
                PictureSource(folder, self.options.read),
                self.options,
                measured,
                rounds=max(one.rounds for one in facts),
                learned=decisions.learned,
                taken_over=sum(one.taken_over for one in facts),
                seconds=seconds,
            )
        report = replace(report, model_choice=decisions.model_choice)
        shutil.rmtree(self.work)
        notes = (note for one in facts for note in one.notes)
        return replace(report, notes=(*report.notes, *notes), alpha_bytes=sum(one.alpha_bytes for one in facts))

    def survey(self, names: Sequence[str] | None) -> tuple[Folder, list[Folder]]:
        """Read all files once, and return the folder and its portions."""
        found = find_in(self.root, self.options.originals, self.output, names)
        blocks = blocks_of(self.root, found.names, self.options)
        add = cumulative(self.observer.of_stage("reading"), 0, len(found.names))
        add(0)
        by_number = dict[int, Surveyed]()
        for number, surveyed in run_all(self.executor, survey, blocks):
            by_number[number] = surveyed
            add(len(blocks[number].names))
        read = [by_number[number] for number in range(len(blocks))]
        folder = merged(self.root, [block.folder for block in read], found)
        check_listed(folder, self.options.read)
        for name in folder.all_names:
            check_name(name)
        groups = np.arange(len(folder.pictures))
        thumbnails = np.concatenate([block.thumbnails for block in read])
        if len(thumbnails):
            groups = group_near_duplicates(folder, thumbnails, self.options.depends_on + 1)
        return replace(folder, notes=(*folder.notes, *notes_on_names(folder))), partition(folder, groups)

    def decide(self, folder: Folder) -> Decisions:
        """Make the decisions that all portions share, or read those of the run that is resumed."""
        path, digest = self.work / "decisions.json", self.digest(folder)
        try:
            if not self.options.resume and self.work.exists():
                shutil.rmtree(self.work)
            self.work.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.work}: {reason_of(error)}") from error
        if path.exists():
            return Decisions.load(path, digest)
        decisions = decide(folder, self.options, self.observer, self.work)
        decisions.save(path, digest)
        return decisions

    def digest(self, folder: Folder) -> str:
        """Return the SHA-256 of all that the portions depend on."""
        settings = replace(self.options, resume=False, overwrite=False)
        whole = [picture.sha256 for picture in folder.exact], [file.name for file in folder.others]
        pictures = folder_digest(folder, self.options.read)
        packaged = [(model.name, model.sha256) for role in (AUTOENCODER, CONTEXT_MODEL) for model in models(role)]
        return digest_settings(settings, pictures, whole, packaged)

    def pack_portions(self, tasks: Sequence[PortionTask]) -> None:
        """Pack the portions that are not finished."""
        left = [task for task in tasks if not (task.facts.exists() and task.output.exists())]
        count = sum(task.files for task in tasks)
        add = cumulative(self.observer.of_stage("packing"), count - sum(task.files for task in left), count)
        add(0)
        for number, _ in run_all(self.executor, pack_portion, left):
            add(left[number].files)

    def join(self, tasks: Sequence[PortionTask], autoencoder: Autoencoder) -> list[JoinedPart]:
        """Join the archives of the portions."""

        def attach(writer: ContainerWriter) -> None:
            if is_wanted(self.options.self_contained, writer.offset, autoencoder):
                attach_model(writer, writer.decoders[0])

        return join([task.output for task in tasks], self.output, self.observer.of_stage("joining"), attach=attach)


def rows_of(parts: Sequence[JoinedPart], facts: Sequence[PortionFacts]) -> Iterator[PictureDistortion]:
    """Yield what was measured on all portions, with the indices of the joined archive."""
    for part, of_portion in zip(parts, facts, strict=True):
        for row in of_portion.rows:
            yield replace(row, index=row.index + part.first)
