"""Makes the golden cases `mmproj_*`: idefics3, internvl, mistral3, pixtral, qwen2_vl and qwen2_5_vl.

    python3 kernels-test/goldens/make_mmproj.py LLAMA_CPP [NAME]   # LLAMA_CPP: a folder with its convert_hf_to_gguf.py
    # needs torch, transformers 4.57, gguf, numpy, pillow, safetensors, tokenizers

Each is a small checkpoint with random weights in a pair of GGUF files, written by llama.cpp's own converter from what
transformers saved, a picture, and what transformers answers: ids of the prompt, greedy ids, and the logits of all steps. The
converter is told that the pre-tokenizer is qwen2's, for it knows no small vocabulary; transformers places the patches of
Idefics 3 where later versions do (see `settle_positions`). All numbers are kept in f16, so that nothing is rounded on the way. `atol` is 16 times what f32 is off f64, at least 2e-6 of the
largest logit. The first seed for which every greedy choice leads by MARGIN is taken.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
MARGIN = 0.004
NEW = 8
CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXT = "what is in the picture? the quick brown fox jumps over the lazy dog. is there a tree? yes, one two three."
IDEFICS = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
IDEFICS += [f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)]
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
MISTRAL = ["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"]
INTERN = ["<img>", "</img>", "<IMG_CONTEXT>"]
TOWER = dict(num_attention_heads=2, intermediate_size=40, hidden_size=32, patch_size=8)
TEXTS = dict(hidden_size=32, intermediate_size=48, num_attention_heads=2, num_key_value_heads=1, num_hidden_layers=2)
MROPE = {"type": "mrope", "mrope_section": [2, 3, 3]}


def tokenizer(more):
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(CUT), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *more]
    trainer = trainers.BpeTrainer(
        vocab_size=288, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special, show_progress=False
    )
    bpe.train_from_iterator([TEXT], trainer)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", additional_special_tokens=special,
        model_input_names=["input_ids", "attention_mask"],
    )


def idefics3():
    tok = tokenizer(IDEFICS)
    ids = {t: tok.convert_tokens_to_ids(t) for t in IDEFICS}
    vision = {**TOWER, "num_hidden_layers": 2, "image_size": 32, "layer_norm_eps": 1e-6}
    text = dict(TEXTS, model_type="llama", vocab_size=len(tok), rms_norm_eps=1e-5, pad_token_id=0, eos_token_id=2)
    config = tf.Idefics3Config(
        vision_config=vision, text_config=text, image_token_id=ids["<image>"], scale_factor=2, pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = tf.Idefics3ForConditionalGeneration(config)
    steps = tf.Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = tf.Idefics3Processor(steps, tok, image_seq_len=4)
    prompt = "User:<image>what is in the picture?<end_of_utterance>\nAssistant:"
    names = dict(text="LlamaForCausalLM", vision="Idefics3ForConditionalGeneration")
    return model, steps, names, (150, 90), prompt, lambda p: processor(text=p, images=[picture(150, 90)], return_tensors="pt")


def internvl():
    tok = tokenizer(INTERN)
    token = tok.convert_tokens_to_ids("<IMG_CONTEXT>")
    vision = {**TOWER, "num_hidden_layers": 4, "image_size": [32, 32], "patch_size": [8, 8], "attention_bias": True}
    vision["layer_scale_init_value"] = 0.1
    text = dict(TEXTS, model_type="qwen2", vocab_size=len(tok), bos_token_id=0, eos_token_id=2)
    config = tf.InternVLConfig(vision_config=vision, text_config=text, image_token_id=token, image_seq_length=4)
    model = tf.InternVLForConditionalGeneration(config)
    steps = tf.GotOcr2ImageProcessor(
        crop_to_patches=True, min_patches=1, max_patches=12, size={"height": 32, "width": 32},
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )

    def inputs(prompt):
        pixels = steps([picture(100, 60)], return_tensors="pt")["pixel_values"]
        rows = "<img>" + "<IMG_CONTEXT>" * (4 * len(pixels)) + "</img>"
        return {**tok(prompt.replace("<IMG_CONTEXT>", rows), return_tensors="pt"), "pixel_values": pixels}

    prompt = "<|im_start|>user\n<IMG_CONTEXT>\nwhat is in the picture?<|im_end|>\n<|im_start|>assistant\n"
    names = dict(text="Qwen2ForCausalLM", vision="InternVisionModel", whole="InternVLChatModel")
    return (model, tok), steps, names, (100, 60), prompt, inputs


def qwen(newer):
    tok = tokenizer(QWEN)
    ids = {t: tok.convert_tokens_to_ids(t) for t in QWEN}
    name = "Qwen2_5_VL" if newer else "Qwen2VL"
    vision = dict(depth=3, num_heads=2, patch_size=8, spatial_merge_size=2)
    if newer:
        vision |= dict(hidden_size=32, intermediate_size=40, out_hidden_size=32, fullatt_block_indexes=[1])
    else:
        vision |= dict(embed_dim=32, hidden_size=32, mlp_ratio=2)
    text = dict(TEXTS, vocab_size=len(tok), rope_scaling=MROPE, bos_token_id=0, eos_token_id=2, tie_word_embeddings=False)
    text |= dict(max_position_embeddings=1024, rope_theta=1e6)
    config = getattr(tf, name + "Config")(
        vision_config=vision, text_config=text, image_token_id=ids["<|image_pad|>"], tie_word_embeddings=False,
        video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = getattr(tf, name + "ForConditionalGeneration")(config)
    steps = tf.Qwen2VLImageProcessor(patch_size=8, min_pixels=3136, max_pixels=12845056)
    size = (200, 130) if newer else (100, 70)

    def inputs(prompt):
        seen = steps([picture(*size)], return_tensors="pt")
        rows = "<|image_pad|>" * (int(seen["image_grid_thw"].prod()) // 4)
        return {**tok(prompt.replace("<|image_pad|>", rows), return_tensors="pt"), **seen}

    prompt = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>what is in the picture?<|im_end|>\n<|im_start|>assistant\n"
    names = dict(vision=name + "ForConditionalGeneration")
    return (model, tok), steps, names, size, prompt, inputs


def mistral(merges):
    tok = tokenizer(MISTRAL)
    token = tok.convert_tokens_to_ids("[IMG]")
    vision = {**TOWER, "model_type": "pixtral", "num_hidden_layers": 3, "image_size": 96, "hidden_act": "silu"}
    text = dict(TEXTS, model_type="mistral", vocab_size=len(tok), rms_norm_eps=1e-5, pad_token_id=0, eos_token_id=2)
    text |= dict(head_dim=16, sliding_window=None)
    more = dict(vision_config=vision, text_config=text, image_token_index=token, vision_feature_layer=-1)
    if merges:
        config = tf.Mistral3Config(spatial_merge_size=2, multimodal_projector_bias=False, **more)
        model = tf.Mistral3ForConditionalGeneration(config)
    else:
        config = tf.LlavaConfig(vision_feature_select_strategy="full", **more)
        model = tf.LlavaForConditionalGeneration(config)
    patch = 16 if merges else 8
    steps = tf.PixtralImageProcessor(size={"longest_edge": 96}, patch_size={"height": patch, "width": patch})

    def inputs(prompt):
        seen = steps([picture(150, 90)], return_tensors="pt")
        height, width = seen["image_sizes"][0].tolist()
        row = "[IMG]" * (width // patch)
        rows = "[IMG_BREAK]".join([row] * (height // patch)) + "[IMG_END]"
        return {**tok(prompt.replace("[IMG]", rows), return_tensors="pt"), **seen}

    names = dict(vision=type(model).__name__) if merges else dict(vision=type(model).__name__, text="LlamaForCausalLM")
    return (model, tok), steps, names, (150, 90), "[INST][IMG]what is in the picture?[/INST]", inputs


CASES = {
    "mmproj_idefics3": idefics3,
    "mmproj_internvl": internvl,
    "mmproj_mistral3": lambda: mistral(True),
    "mmproj_pixtral": lambda: mistral(False),
    "mmproj_qwen2_vl": lambda: qwen(False),
    "mmproj_qwen2_5_vl": lambda: qwen(True),
}


def picture(width, height):
    """Shapes and slopes, no noise."""
    y, x = np.mgrid[0:height, 0:width]
    red = (x * 255 // width).astype(np.uint8)
    green = np.where((x // 16 + y // 12) % 2 == 0, 220, 40).astype(np.uint8)
    blue = np.where((x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 3) ** 2, 250, y * 200 // height)
    return Image.fromarray(np.stack([red, green, blue.astype(np.uint8)], -1))


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape, generator=generator)
        if "norm" in name and name.endswith("weight") or "lambda" in name or "ln_q.weight" in name:
            values = 1.0 + 0.2 * values
        elif "embed_tokens" not in name:
            values *= 0.2 if weight.ndim == 1 else 1.6 / np.sqrt(np.prod(weight.shape[1:]))
        weight.data = values.half().float()
    return model.eval()


def settle_positions():
    """Patches of a tile are placed at floor(i * trained / patches); 4.57 puts those on a bucket's edge one too early."""
    bucketize = torch.bucketize
    torch.bucketize = lambda at, edges, **more: bucketize(at + 2e-6, edges, **more)


def answer(model, inputs, dtype):
    model = model.to(dtype)
    moved = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    with torch.no_grad():
        out = model.generate(
            **moved, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, output_logits=True,
            return_dict_in_generate=True, eos_token_id=None,
        )
    model.to(torch.float32)
    return out.sequences[0, inputs["input_ids"].shape[1] :].tolist(), torch.stack(out.logits)[:, 0].double()


def convert(llama, folder, out):
    """The converter on a folder; no small vocabulary is among those that it knows, so it is told."""
    sys.path[:0] = [str(llama), str(llama / "gguf-py")]
    from conversion import base
    import runpy

    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
    for flags, name in [([], "model.gguf"), (["--mmproj"], "mmproj-model.gguf")]:
        sys.argv = ["convert", str(folder), "--outtype", "f16", "--outfile", str(out / name), *flags]
        runpy.run_path(str(llama / "convert_hf_to_gguf.py"), run_name="__main__")


def make(llama, name):
    out = HERE / name
    out.mkdir(exist_ok=True)
    for seed in range(200):
        model, steps, names, size, prompt, inputs = CASES[name]()
        model, tok = model if isinstance(model, tuple) else (model, tokenizer(IDEFICS))
        randomize(model, seed)
        given = inputs(prompt)
        ids, logits = answer(model, given, torch.float32)
        top = logits.topk(2, dim=-1).values
        if (top[:, 0] - top[:, 1]).min() > MARGIN and len(set(ids)) > 4:
            break
    exact = answer(model, given, torch.float64)
    assert exact[0] == ids, "f64 chooses otherwise"
    atol = max(16 * (exact[1] - logits).abs().max().item(), 2e-6 * logits.abs().max().item())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model.save_pretrained(folder)
        tok.save_pretrained(folder)
        steps.save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        config["vision_config"]["architectures"] = [names["vision"]]
        if "text" in names:
            config["text_config"]["architectures"] = [names["text"]]
        if "whole" in names:
            # The converter knows the names of transformers 5.
            config["architectures"] = [names["whole"]]
            weights = load_file(folder / "model.safetensors")
            renamed = {k if k.startswith("language_model") else f"model.{k}": v for k, v in weights.items()}
            save_file(renamed, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
        convert(llama, folder, out)
    picture(*size).save(out / "image.png")
    said = {
        "seed": seed,
        "transformers": tf.__version__,
        "prompt": prompt,
        "input_ids": given["input_ids"][0].tolist(),
        "generated_ids": ids,
        "atol": atol,
        "logits": [[float(f"{v:.7g}") for v in row] for row in logits.tolist()],
    }
    (out / "answer.json").write_text(json.dumps(said) + "\n")
    print(name, "seed", seed, "tokens", len(said["input_ids"]), "atol", atol, ids)


if __name__ == "__main__":
    settle_positions()
    chosen = sys.argv[2:] or list(CASES)
    for name in chosen:
        make(pathlib.Path(sys.argv[1]).resolve(), name)
