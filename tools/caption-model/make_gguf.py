"""Writes the picture part of a GGUF checkpoint (`mmproj`) from a CLIP ViT-B/16 in ONNX and a connector:

    python3 make_gguf.py clip_encoder.int8.onnx connector.safetensors OUT.gguf

Without packages: `cargo xtask real` runs it. The matrices of the ONNX file are int8 with a scale for each output, [inputs,
outputs], zero point 0; a row of q8_0 blocks holds the same integers, and that scale in f16 in every block. What is f32 stays
f32. The last of the tower's twelve layers is left out, as LLaVA's connectors take what the one before gives.
"""

import json
import struct
import sys
from pathlib import Path

F32, F16, Q8_0 = 0, 1, 8
LAYERS, WIDTH, HEADS, INNER, SIDE, PATCH = 11, 768, 12, 3072, 224, 16
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out", "layer_norm1": "ln1", "layer_norm2": "ln2", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
}  # fmt: skip


def varint(data, i):
    value = shift = 0
    while True:
        byte = data[i]
        i, value, shift = i + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, i


def fields(data, i, end):
    """(number, value or start, end or None) of a protobuf message."""
    while i < end:
        key, i = varint(data, i)
        kind = key & 7
        if kind == 0:
            value, i = varint(data, i)
            yield key >> 3, value, None
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, i = varint(data, i)
        if size is None or i + size > end:
            raise SystemExit("not an ONNX file that can be read")
        yield key >> 3, i, i + size
        i += size


def tensor(data, start, end):
    """(name, shape, bytes) of a TensorProto; floats and integers that are listed one by one become bytes, too."""
    name, shape, raw, listed = "", [], b"", b""
    for number, a, b in fields(data, start, end):
        if number == 1:
            shape += [a] if b is None else packed(data, a, b)
        elif number == 8:
            name = data[a:b].decode()
        elif number == 9:
            raw = data[a:b]
        elif number == 4:
            listed += data[a:b]
        elif number == 5 and b is not None:
            listed += bytes(value & 255 for value in packed(data, a, b))
        elif number == 5:
            listed += bytes((a & 255,))
    return name, shape, raw or listed


def packed(data, i, end):
    values = []
    while i < end:
        value, i = varint(data, i)
        values.append(value)
    return values


def read_onnx(path):
    """({name: (shape, bytes)}, {name of an initializer: name of the node that multiplies by it})."""
    data = path.read_bytes()
    graph = next((a, b) for number, a, b in fields(data, 0, len(data)) if number == 7)
    tensors, users = {}, {}
    for number, a, b in fields(data, *graph):
        if number == 5:
            name, shape, content = tensor(data, a, b)
            tensors[name] = (shape, content)
        elif number == 1:
            parts = [(n, data[x:y].decode()) for n, x, y in fields(data, a, b) if n in (1, 3, 4)]
            if (4, "MatMulInteger") in parts:
                name = next(text for n, text in parts if n == 3)
                users.update((text, name) for n, text in parts if n == 1)
    return tensors, users


def blocks(shape, integers, scales):
    """Rows of q8_0 of a matrix [inputs, outputs]."""
    inputs, outputs = shape
    halves = [struct.pack("<e", *struct.unpack_from("<f", scales, 4 * n)) for n in range(outputs)]
    out = bytearray()
    for n in range(outputs):
        row = integers[n::outputs]
        out += b"".join(halves[n] + row[k : k + 32] for k in range(0, inputs, 32))
    return bytes(out)


def tower(path):
    """[(name, shape with rows first, type, bytes)]."""
    tensors, users = read_onnx(path)
    front = "vision_model."
    plain = [
        ("v.class_embd", "embeddings.class_embedding"), ("v.patch_embd.weight", "embeddings.patch_embedding.weight"),
        ("v.position_embd.weight", "embeddings.position_embedding.weight"),
        ("v.pre_ln.weight", "pre_layrnorm.weight"), ("v.pre_ln.bias", "pre_layrnorm.bias"),
    ]  # fmt: skip
    for i in range(LAYERS):
        for theirs, ours in PARTS.items():
            kinds = ("weight", "bias") if ours.startswith("ln") else ("bias",)
            plain += [(f"v.blk.{i}.{ours}.{kind}", f"encoder.layers.{i}.{theirs}.{kind}") for kind in kinds]
    found = [(ours, tensors[front + theirs][0], F32, tensors[front + theirs][1]) for ours, theirs in plain]
    matrices = {node: name for name, node in users.items() if name.endswith("_quantized") and name in tensors}
    for i in range(LAYERS):
        for theirs, ours in PARTS.items():
            if ours.startswith("ln"):
                continue
            part = f"/layers.{i}/{theirs.replace('.', '/')}/"
            name = next(name for node, name in matrices.items() if part in node)
            (shape, integers), base = tensors[name], name.removesuffix("_quantized")
            if any(tensors[f"{base}_zero_point"][1]):
                raise SystemExit(f"{name}: a zero point that is not 0")
            content = blocks(shape, integers, tensors[f"{base}_scale"][1])
            found.append((f"v.blk.{i}.{ours}.weight", shape[::-1], Q8_0, content))
    return found


def connector(path):
    data = path.read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + size])
    kinds = {"F32": F32, "F16": F16}
    entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
    at = lambda entry: [8 + size + offset for offset in entry["data_offsets"]]
    return [(name, e["shape"], kinds[e["dtype"]], data[at(e)[0] : at(e)[1]]) for name, e in entries]


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(v):
    """A metadata value with its type."""
    if isinstance(v, bool):
        return struct.pack("<I?", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    return struct.pack("<IIQ", 9, 6, len(v)) + struct.pack(f"<{len(v)}f", *v)


def write(path, metadata, tensors):
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(v) for key, v in metadata.items())
    offset, body = 0, []
    for name, shape, kind, content in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, offset)
        body.append(content + bytes(-len(content) % 32))
        offset += len(body[-1])
    path.write_bytes(head + bytes(-len(head) % 32) + b"".join(body))


def main():
    onnx, joint, out = (Path(argument) for argument in sys.argv[1:4])
    metadata = {
        "general.architecture": "clip", "general.name": "CLIP ViT-B/16 with omma's connector to SmolLM2-135M",
        "clip.has_vision_encoder": True, "clip.projector_type": "mlp", "clip.use_gelu": False, "clip.use_silu": False,
        "clip.vision.embedding_length": WIDTH, "clip.vision.feed_forward_length": INNER, "clip.vision.block_count": LAYERS,
        "clip.vision.attention.head_count": HEADS, "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_size": SIDE, "clip.vision.patch_size": PATCH, "clip.vision.image_mean": MEAN,
        "clip.vision.image_std": STD,
    }  # fmt: skip
    write(out, metadata, tower(onnx) + connector(joint))


if __name__ == "__main__":
    main()
