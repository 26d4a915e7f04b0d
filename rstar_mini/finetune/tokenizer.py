"""The tokenizer of the `tiny` base: whole words, numbers of one spelling, and whole lines of the format.

Every number to 999 is one token, the same after a space, a bracket or a dollar sign: the space before it belongs to the
token before. So to copy a number is to copy a token, and numbers can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rstar_mini.code_cot import TAGS
from rstar_mini.problems.puzzles.generate import FAMILIES
from rstar_mini.problems.puzzles.puzzle import SETUP, Family, State

PAD, EOS = "<pad>", "<eos>"
NUMBERS = [str(number) for number in range(1000)]
SPACE = r"(?: (?=[0-9]|\z))?"  # before a number; training texts hold the numbers, later they are cut out before
PRETOKENS = Regex(
    r"\n# Now print the final answer\nprint\(|The answer is \\boxed\{|\n[a-z]+ =" + SPACE + r"|\n#|"
    r" ?[A-Za-z_]+" + SPACE + r"|[0-9]{1,3}| ?[^\sA-Za-z0-9_]+" + SPACE + r"|\n| +"
)


def build_tokenizer(texts: Iterable[str], vocab_size: int = 1400) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer of words, with a token for each tag, number and line of a puzzle's code."""
    lines = puzzle_lines()
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(PRETOKENS, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS, *TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    between = re.compile("|".join(map(re.escape, sorted(lines, key=len, reverse=True))) + r"|\d+")
    tokenizer.train_from_iterator((part for text in texts for part in between.split(text)), trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*NUMBERS, *lines)])
    return as_fast_tokenizer(tokenizer)


def as_fast_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers loads it, with padding, end of text and the tags of the format."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=list(TAGS),
        clean_up_tokenization_spaces=False,
    )


def puzzle_lines() -> list[str]:
    """The lines of the puzzles' code, without the numbers of a puzzle: a model of this size need not spell them."""
    return list(dict.fromkeys(line for family in FAMILIES.values() for line in _lines(family)))


def _lines(family: Family) -> Iterator[str]:
    start = family.start(5, Random(0))
    marks = State(7001, 7002, 7003, tuple(range(7004, 7004 + len(start.numbers))))
    yield from (part for part in re.split(r"70\d\d", f"\n# {SETUP}\n{family.setup(marks)}\n") if len(part) > 3)
    for decision in family.decisions(replace(start, now=40)):
        yield f"\n# {decision.comment}\n"
        yield re.sub(r"\((\d+)\)$", "(", decision.code) + ("" if re.search(r"\(\d+\)$", decision.code) else "\n")
