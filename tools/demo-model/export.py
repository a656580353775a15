"""Writes a checkpoint folder in the layout that the engine reads (`model_type` omma_demo).

    python export.py STATE OUT [--dtype f32|f16]
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

import tokens
import uhd
from grid import matrices, put_on_grid
from model import Model, Shape

LONGEST = 2048


def config_of(shape, size, most, special):
    heads = shape.width // shape.head
    vision = {
        "model_type": "pixtral", "hidden_size": shape.width, "num_hidden_layers": shape.tower_layers,
        "num_attention_heads": heads, "intermediate_size": shape.tower_mlp, "hidden_act": "silu", "patch_size": uhd.PATCH,
        "image_size": size, "rope_theta": shape.theta, "num_channels": 3,
    }  # fmt: skip
    text = {
        "model_type": "llama", "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": heads,
        "num_key_value_heads": heads, "head_dim": shape.head, "intermediate_size": shape.mlp, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_theta": shape.text_theta, "partial_rotary_factor": shape.rotary / shape.head,
        "max_position_embeddings": LONGEST, "vocab_size": shape.vocab,
        "tie_word_embeddings": True, "bos_token_id": special(tokens.START), "eos_token_id": special(tokens.END),
        "pad_token_id": special(tokens.PAD),
    }  # fmt: skip
    reader = {"num_queries": shape.side**2, "num_attention_heads": shape.reader_heads, "layer_norm_eps": 1e-6}
    config = {
        "architectures": ["OmmaDemoForConditionalGeneration"], "model_type": "omma_demo", "vision_config": vision,
        "text_config": text, "resampler_config": reader, "place_width": shape.place, "image_token_id": special(tokens.IMAGE),
        "tie_word_embeddings": True,
    }  # fmt: skip
    pictures = {
        "image_processor_type": "OmmaDemoImageProcessor", "max_slices": most, "slice_size": size, "patch_size": uhd.PATCH,
        "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    return config, pictures


def tensors_of(model, dtype):
    shape, tensors = model.shape, {}
    for name, value in model.state_dict().items():
        if name.startswith(("patch_head", "cell_head")):
            continue
        if name == "vision_tower.patch_conv.weight":
            value = value.view(shape.width, 3, uhd.PATCH, uhd.PATCH)
        name = name.replace("language_model.", "language_model.model.")
        tensors[name] = value.detach().to(dtype).contiguous()
    return tensors


def write(model, tokenizer_file, out, dtype=torch.float32, size=uhd.SIZE, most=uhd.MOST):
    out.mkdir(parents=True, exist_ok=True)
    special = tokens.load(tokenizer_file).token_to_id
    config, pictures = config_of(model.shape, size, most, special)
    config["dtype"] = str(dtype).removeprefix("torch.")
    marks = {"bos_token_id": special(tokens.START), "eos_token_id": special(tokens.END), "pad_token_id": special(tokens.PAD)}
    names = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": tokens.START, "eos_token": tokens.END,
        "pad_token": tokens.PAD, "add_bos_token": False, "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    files = {
        "config.json": config,
        "preprocessor_config.json": pictures,
        "generation_config.json": {**marks, "max_new_tokens": 128},
        "tokenizer_config.json": names,
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, indent=2) + "\n")
    shutil.copy(tokenizer_file, out / "tokenizer.json")
    save_file(tensors_of(model, dtype), str(out / "model.safetensors"), metadata={"format": "pt"})


def restore(state, best="state.pt"):
    tokenizer = tokens.load(state / "tokenizer.json")
    mark = lambda text: tokenizer.encode(text).ids[0]
    model = Model(Shape(vocab=tokens.VOCAB), mark(","), mark("\n"), tokenizer.token_to_id(tokens.START))
    saved = torch.load(state / best, weights_only=True)
    model.load_state_dict({k: v for k, v in saved["model"].items() if "_head." not in k}, strict=False)
    if saved["place"].get("grid"):
        put_on_grid(matrices(model))
    return model.eval(), tokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", default="f32", choices=["f32", "f16"])
    args = parser.parse_args()
    model, _ = restore(args.state)
    write(model, args.state / "tokenizer.json", args.out, {"f32": torch.float32, "f16": torch.float16}[args.dtype])


if __name__ == "__main__":
    main()
