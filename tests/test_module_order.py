"""A module may import only modules above it; heavy packages stay where they belong."""

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unicorn_codec

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "unicorn_codec"
COMMAND_LINE = ROOT / "cli"

LAYERS = (
    ("", "errors concurrency freed_memory atomic_files spool"),
    (
        "format",
        "limits fields header generator index_map bit_packing rans columns packed_bytes alpha_plane stored_model "
        "mending names name_pages chunks code_kinds cell_map picture_tiles records record_fields record_coding pages "
        "stored_files name_lookup blobs read_settings canary network_table function_table decoder_table carried_codes "
        "footer sources opening index_reading name_reading reader new_rows name_runs removed_pictures blob_writing "
        "index_writing writer record_scanning scanning repair integrity copying growth joining",
    ),
    ("", "model_registry effort quality regions config network_options"),
    ("weights", "weight_tables weight_coding minifloat weight_section"),
    ("", "exif_directory metadata inspection differences devices checkpoints"),
    (
        "codes",
        "context_model context_predictor compiled_kernels compiled_coding latent_coding code_reading rate_model "
        "context_update stored_update",
    ),
    (
        "pictures",
        "batches pixels picture_files file_writing recognise folders limits colour_space raster reducing tone_mapping "
        "colour transparency exif png_chunks png_bands png_writing png_files jpeg_markers jpeg_files pillow_files "
        "bmp_files heif_boxes heif_files tiff_pages tiff_samples tiff_files raw_files jpeg_transcoding png_rebuilding "
        "original_files reading code_carrying file_metadata metadata_writing picture_writing picture_table "
        "picture_folder output_files demo_pictures av1_stream avif_container avif avif_sequence metrics",
    ),
    (
        "network",
        "planning layers index_embedding conditioning denoiser diffusion weight_rounding training latent_set",
    ),
    (
        "transform",
        "coding_autoencoder ssimulacra2 distortion network_update spans bands resampling autoencoder "
        "stored_autoencoder folder_update",
    ),
    (
        "overfitted",
        "function_shape value_layout laplace_tables integer_context function_code synthesis function_rate rounding "
        "schedule fitting parameter_quantisation function_fitter multiplications",
    ),
    (
        "decoders",
        "thumbnail_decoder picture_decoder network_decoder code_decoder overfitted_decoder loading exact_pictures "
        "batch_reading",
    ),
    ("", "archive measurement editing pillow_plugin process_archive torch huggingface filesystem"),
    ("shards", "members exporting tar_files parquet_files remote_files temporary_folder inputs"),
    ("", "verification"),
    (
        "packing",
        "reports observer packed packed_decoding masks cell_importance picture_source taking_over original_metadata "
        "whole_files refinement candidates code_writer folder_encoder thumbnail_search near_duplicates avif_pictures "
        "size_forecast rate_control effort_planning targets allocation importance learning_windows learned_cost "
        "update_training learning quality_floor self_contained into_functions reuse into_codes model_choice preview "
        "into_network archive_writing pack add",
    ),
    ("portions", "partition survey decisions portion workers pack"),
    ("viewing", "catalogue small_pictures gallery pages server export contact_sheet histograms report"),
    (
        "bench",
        "picture_set rivals video_rivals anchors trial own_codec network_rivals bd_rate judge perceptual "
        "learned_metrics quality_metrics report equal_bytes plots provenance measuring comparison",
    ),
)
"""Folders and their modules, each after all that it imports. A folder is one layer; some modules lie beside them."""

ORDER = tuple(f"{folder}.{module}".lstrip(".") for folder, modules in LAYERS for module in modules.split())
LIGHT = (*ORDER[: ORDER.index("devices")], "network.planning")


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports at run time, inside functions too; not those for the type checker alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.is_relative_to(COMMAND_LINE), f"{path}: relative import"
            prefix = "unicorn_cli." if node.level else ""
            yield prefix + (node.module or "")
            yield from (f"{prefix}{node.module}.{alias.name}" for alias in node.names)


def packages_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


def path_of(module: str) -> Path:
    return LIBRARY / (module.replace(".", "/") + ".py")


def modules() -> Iterator[str]:
    """Dotted names of the library's modules, below ``unicorn_codec``."""
    for path in LIBRARY.rglob("*.py"):
        if path.stem != "__init__":
            yield ".".join(path.relative_to(LIBRARY).with_suffix("").parts)


def siblings_of(module: str) -> set[str]:
    """Modules of the library that a module of it imports."""
    own = "unicorn_codec."
    names = {name.removeprefix(own) for name in imports_of(path_of(module)) if name.startswith(own)}
    return names & set(modules())


def test_the_order_names_every_module() -> None:
    assert set(modules()) == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


def test_a_folder_is_one_layer() -> None:
    folders = [folder for folder, _ in LAYERS if folder]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_modules_above_it(module: str) -> None:
    assert siblings_of(module) <= set(ORDER[: ORDER.index(module)])


def test_the_package_itself_imports_nothing_until_it_is_asked_for_a_name() -> None:
    assert packages_of(LIBRARY / "__init__.py") == {"typing", "importlib"}
    for name in unicorn_codec._MODULES:
        assert name in dir(unicorn_codec) and getattr(unicorn_codec, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'unheard_of'"):
        unicorn_codec.unheard_of  # noqa: B018


def test_the_reader_needs_nothing_of_the_packer() -> None:
    reader = ORDER[: ORDER.index("packing.reports")]
    assert {"archive", "measurement", "verification"} <= set(reader)
    program = (
        "import sys, unicorn_codec.verification, unicorn_codec.archive\n"
        "print(*(name for name in sys.modules if name.startswith('unicorn_codec.packing')))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_neither_torch_nor_pillow(module: str) -> None:
    assert not packages_of(path_of(module)) & {"torch", "PIL", "diffusers", "safetensors"}


@pytest.mark.parametrize(
    ("package", "owners"),
    [
        ("diffusers", {"transform.autoencoder"}),
        (
            "PIL",
            {
                *(f"pictures.{name}_files" for name in ("jpeg", "png", "pillow", "bmp", "heif", "tiff")),
                "pictures.png_bands",
                *(
                    f"pictures.{name}"
                    for name in (
                        "exif",
                        "reading",
                        "pixels",
                        "picture_writing",
                        "avif",
                        "avif_sequence",
                        "file_metadata",
                        "metadata_writing",
                        "transparency",
                    )
                ),
                "viewing.small_pictures",
                "viewing.contact_sheet",
                "pillow_plugin",
                "bench.rivals",
            },
        ),
        ("tifffile", {"pictures.tiff_files", "pictures.tiff_pages", "pictures.tiff_samples"}),
        ("simplejpeg", {"pictures.jpeg_files"}),
        ("pillow_heif", {"pictures.heif_files", "pictures.file_metadata"}),
        ("rawpy", {"pictures.raw_files"}),
        ("numba", {"codes.compiled_kernels"}),
    ],
)
def test_a_heavy_package_has_its_importers(package: str, owners: set[str]) -> None:
    assert {module for module in modules() if package in packages_of(path_of(module))} == owners
    assert not any(package in packages_of(path) for path in COMMAND_LINE.glob("*.py"))


def test_the_library_does_not_know_the_command_line() -> None:
    assert not any({"click", "tqdm", "unicorn_cli"} & packages_of(path) for path in LIBRARY.rglob("*.py"))


@pytest.mark.parametrize("module", ["unicorn_codec", *(f"unicorn_codec.{name}" for name in LIGHT), "unicorn_cli.main"])
def test_importing_a_light_module_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({{'torch', 'PIL', 'diffusers', 'tqdm'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("folder", ["benchmarks", "models", "docs", "format_spec"])
def test_scripts_ask_for_what_the_library_has(folder: str) -> None:
    """No type checker reads them, and few of their lines run in tests."""
    paths = list((ROOT / folder).rglob("*.py"))
    assert paths
    for name in {name for path in paths for name in imports_of(path) if name.startswith("unicorn_codec.")}:
        pkgutil.resolve_name(name)
