"""Makes the golden case `qwen2_chat`: answers of a small random Qwen2 with a chat template, by transformers.

    python3 kernels-test/goldens/make_chat.py      # needs torch, transformers and safetensors; rewrites the folder

The checkpoint is saved by transformers as any user saves one. `chat.json` holds what transformers answered: turns of a
conversation, stop strings, a repetition penalty, several end ids, log-probabilities and a padded batch, all greedy.
Every greedy choice must lead by MARGIN, a hundred times what adapters differ by, so that no rounding decides it: the
first seed for which that holds is taken.
"""

import json
import pathlib
import shutil

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
import transformers

FOLDER = pathlib.Path(__file__).parent / "qwen2_chat"
MARGIN = 0.004
NEW = 12
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = """the quick brown fox jumps over the lazy dog. which one has a dog? is there a tree in the picture? read the text.
system user assistant. You are a helpful assistant. What is the colour of the sky? how many birds do you see? yes no one
two three four five. a small house beside the river, under the old tree; the water is cold and clear in the morning."""
# Python string methods and a raised error, as published templates have them.
TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message.role not in ['system', 'user', 'assistant'] -%}"
    "{{ raise_exception('unknown role ' + message.role) }}{%- endif -%}"
    "{{ '\n' if not loop.first or messages[0].role != 'system' }}"
    "<|im_start|>{{ message.role }}\n{{ message.content.strip() if message.role != 'assistant' else message.content }}"
    "<|im_end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '\n<|im_start|>assistant\n' }}{%- endif -%}"
)


def tokenizer():
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=SPECIALS, show_progress=False
    )
    bpe.train_from_iterator(TEXT.splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        chat_template=TEMPLATE, clean_up_tokenization_spaces=False,
    )


def model(vocabulary, seed):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary + 4, hidden_size=64, intermediate_size=90, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, rope_theta=10000.0, tie_word_embeddings=False,
        initializer_range=0.3, bos_token_id=0, eos_token_id=2, pad_token_id=0, attn_implementation="eager",
    )
    made = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        # Biases and gains away from what makes them vanish.
        for name, weight in made.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0.0, 0.2)
            elif "norm" in name:
                weight.uniform_(0.7, 1.3)
    made.generation_config.eos_token_id = [2, 0]
    made.generation_config.pad_token_id = 0
    return made


class Unfit(Exception):
    """With this seed the case would prove less, or rounding would decide."""


class Maker:
    def __init__(self, seed):
        self.tokens = tokenizer()
        self.model = model(len(self.tokens), seed)

    def generate(self, prompts, new=NEW, **options):
        """New ids of every prompt, up to its end, and whether each choice was clear."""
        batch = self.tokens(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        out = self.model.generate(
            **batch, max_new_tokens=new, do_sample=False, return_dict_in_generate=True, output_logits=True,
            output_scores=True, **options,
        )
        ids = out.sequences[:, batch.input_ids.shape[1]:].tolist()
        ends = options.get("eos_token_id", [2, 0])
        rows = []
        for row, line in enumerate(ids):
            end = next((at for at, token in enumerate(line) if token in ends), len(line) - 1)
            line = line[: end + 1]
            for step, token in enumerate(line):
                best = torch.topk(out.scores[step][row].double(), 2).values
                if best[0] - best[1] <= MARGIN:
                    raise Unfit
            logprobs = [torch.log_softmax(out.logits[i][row].double(), -1)[t].item() for i, t in enumerate(line)]
            prompt = self.tokens(prompts[row], add_special_tokens=False).input_ids
            text = self.tokens.decode(line, skip_special_tokens=True)
            rows.append({"prompt_ids": prompt, "ids": line, "text": text, "logprobs": logprobs})
        return rows

    def write(self, messages):
        return self.tokens.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def turns(self, system, asked):
        messages = [{"role": "system", "content": system}] if system else []
        told = []
        for text in asked:
            messages.append({"role": "user", "content": text})
            prompt = self.write(messages)
            row = self.generate([prompt])[0]
            told.append({"user": text, "prompt": prompt, **row})
            messages.append({"role": "assistant", "content": row["text"]})
        return {"system": system, "turns": told}

    def stop(self, asked, at):
        """Stops at a string that spans the border of two tokens of the answer."""
        prompt = self.write([{"role": "user", "content": asked}])
        whole = self.generate([prompt])[0]
        parts = [self.tokens.decode([token], skip_special_tokens=True) for token in whole["ids"]]
        string = parts[at][-1:] + parts[at + 1][:1]
        if len(string) != 2 or not string.isascii() or whole["text"].find(string) <= 0:
            raise Unfit
        row = self.generate([prompt], stop_strings=["never said", string], tokenizer=self.tokens)[0]
        assert len(row["ids"]) < len(whole["ids"])
        return {"user": asked, "stop": ["never said", string], **row, "cut": row["text"][: row["text"].find(string)]}

    def one(self, asked, **options):
        prompt = self.write([{"role": "user", "content": asked}])
        return {"user": asked, **options, **self.generate([prompt], **options)[0]}

    def penalties(self, asked):
        rows = [self.one(asked, repetition_penalty=penalty) for penalty in (1.0, 1.5, 3.0)]
        if rows[-1]["ids"] == rows[0]["ids"]:
            raise Unfit
        return rows

    def batch(self, asked):
        prompts = [self.write([{"role": "user", "content": text}]) for text in asked]
        rows = self.generate(prompts)
        for text, row in zip(asked, rows):
            assert row["ids"] == self.one(text)["ids"], "padding changed an answer"
        return [{"user": text, **row} for text, row in zip(asked, rows)]

    def chat(self):
        penalties = self.penalties(" ".join(TEXT.split()))
        first = self.one("is there a tree?")
        ends = [2, first["ids"][7], first["ids"][4]]
        return {
            "torch": torch.__version__, "transformers": transformers.__version__, "max_new_tokens": NEW,
            "conversations": [
                self.turns(None, ["the quick brown fox", "which one has a dog?", "read the text."]),
                self.turns("You see birds.", ["  how many birds do you see? ", "yes"]),
            ],
            "stops": [self.stop("what is the colour of the sky?", 3), self.stop("read the text.", 5)],
            "penalties": penalties,
            "ends": self.one("is there a tree?", eos_token_id=ends),
            "batch": self.batch(["yes", "the water is cold and clear in the morning", "five birds", "no"]),
        }


def made():
    for seed in range(1000):
        try:
            maker = Maker(seed)
            return maker, maker.chat()
        except Unfit:
            continue
    raise SystemExit("no seed fits")


def main():
    maker, chat = made()
    shutil.rmtree(FOLDER, ignore_errors=True)
    maker.model.save_pretrained(FOLDER)
    maker.tokens.save_pretrained(FOLDER)
    (FOLDER / "chat.json").write_text(json.dumps(chat, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
