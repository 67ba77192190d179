"""Writes the test vectors of UNI-1 from uni-1.md and the packaged models alone: nothing of the library is imported.

    python format_spec/make_vectors.py [FOLDER]

Everything random, packed, quantised or checked is written a second time here, slowly and plainly, in pure Python.
A change of any committed byte needs a line under "Revisions" in uni-1.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

from vector_makers.autoencoder_outputs import autoencoder_values
from vector_makers.av1_codes import avif_code_values, sequence_values
from vector_makers.carried_codes import carried_code_values
from vector_makers.cell_maps import cell_map_values
from vector_makers.coded_latents import code_values
from vector_makers.entropy_coder import rans_values
from vector_makers.fields import bit_packing_values
from vector_makers.generator import generator_values, index_map_values
from vector_makers.index_errors import footer_errors, page_errors, verifier_errors
from vector_makers.integer_weights import integer_weight_values
from vector_makers.network_errors import network_errors
from vector_makers.network_outputs import network_output_values
from vector_makers.opacity_planes import (
    files_with_opacity,
    opacity_psnr_values,
    opacity_rounding_values,
    opacity_values,
)
from vector_makers.overfitted_functions import errors_of_functions, files_of_functions, function_values
from vector_makers.pixel_values import canary_cases, gray_code_values
from vector_makers.record_errors import decoder_errors, framing_errors, record_errors
from vector_makers.self_contained import model_errors, self_contained_files
from vector_makers.small_floats import weight_code_values
from vector_makers.stored_files import whole_file_errors, whole_files
from vector_makers.transcoded_files import whole_file_values
from vector_makers.valid_archives import valid_files

ALSO = {
    "valid-codes.uni": ["UNI-80"],
    "valid-second-generation.uni": ["UNI-122"],
    "generator.json": ["UNI-71"],
    "weight-codes.json": ["UNI-56"],
    "avif-codes.json": ["UNI-92", "UNI-93"],
    "sequences.json": ["UNI-109"],
    "codes.json": ["UNI-81", "UNI-82", "UNI-83", "UNI-84", "UNI-85", "UNI-87", "UNI-111", "UNI-112", "UNI-113"],
    "network-outputs.json": ["UNI-73"],
    "autoencoder.json": ["UNI-98", "UNI-126"],
    "stored-files.json": ["UNI-137", "UNI-138"],
    "carried-codes.json": ["UNI-161", "UNI-162", "UNI-163"],
    "functions.json": ["UNI-170", "UNI-171", "UNI-172", "UNI-175"],
    "cell-maps.json": ["UNI-176", "UNI-178", "UNI-179", "UNI-180"],
}
"""Clauses that a file proves besides its own."""


def main(folder: Path) -> None:
    """Write all vectors and their manifest."""
    entries: list[dict[str, Any]] = []

    def write(name: str, clause: str, data: bytes, **outcome: Any) -> None:
        (folder / name).write_bytes(data)
        also = {"also": ALSO[name]} if name in ALSO else {}
        entries.append({"file": name, "clause": clause, **also, **outcome})

    valid = valid_files() + files_with_opacity() + self_contained_files() + whole_files() + files_of_functions()
    for name, clause, data, values in valid:
        write(f"valid-{name}.uni", clause, data, expected=values)
    invalid = framing_errors() + decoder_errors() + record_errors() + page_errors() + footer_errors() + network_errors()
    invalid += model_errors() + whole_file_errors() + errors_of_functions()
    for name, clause, error, data in invalid:
        write(f"invalid-{name}.uni", clause, data, error=error)
    for name, clause, data in verifier_errors():
        write(f"faulty-{name}.uni", clause, data, verifier_only=True)
    tables = [
        ("canary.json", "UNI-95", canary_cases()),
        ("generator.json", "UNI-70", generator_values()),
        ("index-map.json", "UNI-72", index_map_values()),
        ("bit-packing.json", "UNI-25", bit_packing_values()),
        ("weight-codes.json", "UNI-55", weight_code_values()),
        ("rans.json", "UNI-86", rans_values()),
        ("integer-weights.json", "UNI-104", integer_weight_values()),
        ("codes.json", "UNI-88", code_values()),
        ("network-outputs.json", "UNI-74", network_output_values()),
        ("autoencoder.json", "UNI-89", autoencoder_values()),
        ("gray-codes.json", "UNI-124", gray_code_values()),
        ("opacity.json", "UNI-142", opacity_values()),
        ("opacity-rounding.json", "UNI-144", opacity_rounding_values()),
        ("opacity-psnrs.json", "UNI-145", opacity_psnr_values()),
        ("carried-codes.json", "UNI-160", carried_code_values()),
        ("avif-codes.json", "UNI-91", avif_code_values()),
        ("sequences.json", "UNI-108", sequence_values()),
        ("stored-files.json", "UNI-136", whole_file_values()),
        ("functions.json", "UNI-174", function_values()),
        ("cell-maps.json", "UNI-177", cell_map_values()),
    ]
    for name, clause, table in tables:
        write(name, clause, as_json(table))
    (folder / "manifest.json").write_bytes(as_json(entries))


def as_json(value: Any) -> bytes:
    """Readable JSON, the same bytes everywhere."""
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "vectors")
