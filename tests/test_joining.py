"""Archives are joined without coding anything again: every member is as it was, under a new index."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import draw
from tests.sample_archive import DECODER, ID, MODEL, archive
from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, OriginalOptions, ReadOptions
from unicorn_codec.editing import join_files, remove
from unicorn_codec.errors import FormatError, InvalidSetting
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.joining import join
from unicorn_codec.format.limits import MAX_DECODERS
from unicorn_codec.format.read_settings import ReadSettings
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import record_of_code
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.transparency import WHITE


def opened(path: Path) -> ContainerReader:
    return ContainerReader(FileSource(path))


def named(prefix: str, count: int) -> list[str]:
    return [f"{prefix}/{number}.jpg" for number in range(count)]


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Archives of five and seven pictures, the last two of each a sequence, of one decoder."""
    paths = [tmp_path / "a.uni", tmp_path / "b.uni"]
    paths[0].write_bytes(archive(5, names=named("a", 5)))
    paths[1].write_bytes(archive(7, names=named("b", 7), archive_id=ID[::-1]))
    return paths


def test_members_follow_each_other_and_keep_code_name_and_psnr(two: list[Path], tmp_path: Path) -> None:
    parts = join(two, tmp_path / "out.uni")
    assert [part.first for part in parts] == [0, 5]
    joined = opened(tmp_path / "out.uni")
    assert problems_of(joined) == []
    assert (joined.footer.members, joined.footer.next_index, len(joined.footer.decoders)) == (12, 12, 1)
    for part in parts:
        single = opened(part.path)
        for leaf in single.leaves():
            for index in map(int, leaf.living):
                before, after = single.row(index), joined.row(index + part.first)
                assert (before.width, before.height, before.psnr) == (after.width, after.height, after.psnr)
                assert single.name(index) == joined.name(index + part.first)
                assert joined.find(single.name(index) or "") == [index + part.first]
                if before.parent is None:
                    assert single.record(before).code == joined.record(after).code


def test_a_sequence_still_refers_to_its_own_pictures(two: list[Path], tmp_path: Path) -> None:
    join(two, tmp_path / "out.uni")
    joined = opened(tmp_path / "out.uni")
    assert joined.row(4).parent == 3 and joined.row(11).parent == 10
    assert joined.record(joined.row(11)).parent == 10


def test_removed_members_stay_away_and_their_indices_free(two: list[Path], tmp_path: Path) -> None:
    remove(two[0], [1, 3])  # 3 is what 4 depends on
    join(two, tmp_path / "out.uni")
    joined = opened(tmp_path / "out.uni")
    assert problems_of(joined) == []
    assert joined.pictures().tolist() == [0, 2, 4, *range(5, 12)]
    assert [row.index for row in joined.chain(joined.row(4))] == [3, 4]


def test_updates_are_kept_each_for_its_own_pictures_and_equal_ones_once(tmp_path: Path) -> None:
    changes = [b"\1\0first", b"\1\0other", b"\1\0first"]
    paths = [tmp_path / f"{number}.uni" for number in range(3)]
    for number, (path, change) in enumerate(zip(paths, changes, strict=True)):
        path.write_bytes(archive(2, names=named(str(number), 2), change=change))
    join(paths, tmp_path / "out.uni")
    joined = opened(tmp_path / "out.uni")
    stored = [joined.weights(decoder.weights) for decoder in joined.footer.decoders if decoder.weights]
    assert stored == changes[:2]
    assert [joined.row(index).decoder for index in range(6)] == [0, 0, 1, 1, 0, 0]


def test_equal_names_are_refused(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"have these names: 'a/0.jpg', 'a/1.jpg'.*remove those pictures"):
        join([two[0], two[1], two[0]], tmp_path / "out.uni")
    assert not (tmp_path / "out.uni").exists()


def test_different_settings_for_reading_are_refused(two: list[Path], tmp_path: Path) -> None:
    with open(tmp_path / "c.uni", "wb") as file:
        writer = ContainerWriter(file, ID)
        writer.add(record_of_code(0, 8, 8, writer.add_decoder(DECODER), b"\24code"), "c.jpg")
        writer.commit(read=ReadSettings(max_side=100))
    with pytest.raises(InvalidSetting, match="different --max-side or --background"):
        join([two[0], tmp_path / "c.uni"], tmp_path / "out.uni")


def test_more_decoders_than_an_archive_may_have_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.uni", tmp_path / "b.uni"]
    for first, path in zip((0, MAX_DECODERS - 1), paths, strict=True):
        with open(path, "wb") as file:
            writer = ContainerWriter(file, ID)
            for step in range(MAX_DECODERS - 1):
                writer.add_decoder(Decoder(model=MODEL, latent_step=1.0 + first + step))
            writer.add(record_of_code(0, 8, 8, 0, b"\24code"), path.name)
            writer.commit()
    with pytest.raises(InvalidSetting, match="more than 64 models"):
        join(paths, tmp_path / "out.uni")
    assert [path.name for path in tmp_path.iterdir() if path not in paths] == []


def test_a_damaged_record_stops_joining_and_leaves_no_file(two: list[Path], tmp_path: Path) -> None:
    data = bytearray(two[1].read_bytes())
    data[opened(two[1]).row(2).offset + 8] ^= 1
    two[1].write_bytes(data)
    with pytest.raises(FormatError, match="picture 2"):
        join(two, tmp_path / "out.uni")
    assert not (tmp_path / "out.uni").exists()


def test_decoded_pictures_metadata_and_whole_files_survive(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_picture(draw(30, 64, 48), other / "single.png")
    (other / "notes.txt").write_bytes(b"kept whole")
    kept = CodesOptions(effort=0, learning=None, originals=OriginalOptions(keep_others=True))
    pack(folder, tmp_path / "a.uni", CodesOptions(effort=0, learning=None))
    pack(other, tmp_path / "b.uni", kept)
    members, size = join_files([tmp_path / "a.uni", tmp_path / "b.uni"], tmp_path / "out.uni")
    assert members == 8 and size == (tmp_path / "out.uni").stat().st_size
    with Archive.open(tmp_path / "out.uni") as joined:
        assert len(joined) == 7
        for name in ("a.uni", "b.uni"):
            with Archive.open(tmp_path / name) as single:
                for index, own in single.names.items():
                    (moved,) = joined.indices_of([own])
                    np.testing.assert_array_equal(np.asarray(joined[moved]), np.asarray(single[index]))
                    assert joined.metadata(moved) == single.metadata(index)
        (notes,) = joined.reader.find("notes.txt")
        assert b"".join(joined.file_pieces(notes)) == b"kept whole"


def test_a_network_is_joined_with_codes(folder: Path, tiny_options: NetworkOptions, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_picture(draw(30, 64, 48), other / "single.png")
    on_white = ReadOptions(background=WHITE)  # a network's archive keeps no transparency
    pack(other, tmp_path / "a.uni", CodesOptions(effort=0, learning=None, read=on_white))
    pack(folder, tmp_path / "b.uni", tiny_options)
    join_files([tmp_path / "a.uni", tmp_path / "b.uni"], tmp_path / "out.uni")
    with Archive.open(tmp_path / "b.uni") as single, Archive.open(tmp_path / "out.uni") as joined:
        for index in single.names:
            np.testing.assert_array_equal(np.asarray(joined[index + 1]), np.asarray(single[index]))
    shown = CliRunner().invoke(cli, ["inspect", str(tmp_path / "out.uni")]).stdout
    assert "codes by photo-1, step" in shown and "network by photo-1, step" in shown


def test_the_command_joins_and_refuses_to_write_over_an_input(two: list[Path], tmp_path: Path) -> None:
    runner, output = CliRunner(), tmp_path / "out of both.uni"
    done = runner.invoke(cli, ["join", *map(str, two), "-o", str(output)])
    assert done.exit_code == 0 and done.stdout.startswith(f"{output}: 12 members of 2 archives")
    assert runner.invoke(cli, ["join", *map(str, two), "-o", str(output)]).exit_code == 1
    refused = runner.invoke(cli, ["join", *map(str, two), "-o", str(two[0]), "--overwrite"])
    assert refused.exit_code == 2 and "is one of the archives to join" in refused.stderr
