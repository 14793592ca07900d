"""Write a GGUF file again with its weights dequantised to float32.

    python benchmarks/gguf_float32.py FILE.gguf OUT.gguf

llama.cpp then computes with the very numbers that tmap computes with, and without
rounding activations to 8 bits, as it does behind quantised weights.
"""

from __future__ import annotations

import sys
from pathlib import Path


def write(source: Path, target: Path) -> None:
    """Copy all fields and tensors; the matrices become float32."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, dequantize

    reader = GGUFReader(source)
    fields = {k: f for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    writer = GGUFWriter(target, fields.pop("general.architecture").contents())
    fields.pop("general.file_type", None)
    writer.add_file_type(LlamaFileType.ALL_F32)
    for name, field in fields.items():
        kind, *rest = field.types
        inner = rest[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
