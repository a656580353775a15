"""The byte-level BPE: trained on generated texts and questions, written as tokenizer.json."""

import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import scenes
import words

PAD, START, END, IMAGE, ANSWER = "<pad>", "<s>", "</s>", "<image>", "<answer>"
VOCAB = 768


def corpus(seed=7, count=60000):
    rng = random.Random(seed)
    for _ in range(count):
        yield words.phrase(rng)
    for kind in scenes.KINDS:
        if kind not in ("strip", "dense"):
            for _ in range(120):
                for question, answer in scenes.make(rng, kind, (300, 210)).asks:
                    yield question
                    yield answer


def train(path):
    tokenizer = Tokenizer(models.BPE())
    split = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[PAD, START, END, IMAGE, ANSWER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.save(str(path))


def load(path):
    return Tokenizer.from_file(str(path))
