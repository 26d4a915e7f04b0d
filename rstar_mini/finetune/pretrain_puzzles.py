"""Make the base of the `puzzles` recipe from scratch: random play, and a few worked solutions.

Loss is taken on the interpreter's output too. The base so learns what a decision leads to; search then shows it which
decisions are worth taking. `python -m rstar_mini.finetune.pretrain_puzzles --out DIR` makes the shipped weights again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from transformers import Phi3ForCausalLM, set_seed

from rstar_mini.code_cot import split_steps
from rstar_mini.finetune.induction import plant_induction_head
from rstar_mini.finetune.number_features import plant_number_features
from rstar_mini.finetune.plays import plays
from rstar_mini.finetune.pretrain import Pretrained, run_command, tiny_config
from rstar_mini.finetune.sft import encode_trajectory, sft_trainer
from rstar_mini.finetune.tokenizer import NUMBERS, build_tokenizer
from rstar_mini.policy.prefix_cache import cached_encoder
from rstar_mini.problems import load_problems
from rstar_mini.problems.puzzles.follow import read_puzzles
from rstar_mini.progress import Progress
from rstar_mini.prompts import PLAIN
from rstar_mini.recipes.schema import Training
from rstar_mini.training import run_trainer

PLAYS = 9000
WORKED_REPEATS = 2
SETTINGS = Training(epochs=1, batch=32, lr=3e-3, warmup=50, schedule="linear", weight_decay=0.1)


def pretrain_on_plays(count: int, settings: Training, seed: int, progress: Progress, checkpoints: Path) -> Pretrained:
    """Train tokenizer and model on so many random plays; no puzzle of the validation or test split is among them."""
    avoid = {puzzle.key for split in ("validation", "test") for puzzle in read_puzzles(split).values()}
    worked = [(PLAIN.format(question=p.question), p.solution) for p in load_problems("puzzles") if p.solution]
    texts = [*plays(count, Random(f"plays-{seed}"), avoid), *worked * WORKED_REPEATS]
    tokenizer = build_tokenizer(context + text for context, text in texts)
    encode = cached_encoder(tokenizer.encode)
    rows = [encode_trajectory(encode, context, split_steps(text), mask_output=False) for context, text in texts]
    set_seed(seed)
    model = Phi3ForCausalLM(config := tiny_config(tokenizer))
    plant_induction_head(model)
    vocabulary = tokenizer.get_vocab()
    numbers = [vocabulary[number] for number in NUMBERS]
    plant_number_features(model.model.embed_tokens.weight, numbers, config.initializer_range)
    trainer = sft_trainer(model, tokenizer, rows, settings, seed, checkpoints)
    return model, tokenizer, run_trainer(trainer, progress, "pretraining", settings.checkpoint_seconds)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: pretrain and save weights and tokenizer."""

    def make(settings: Training, seed: int, progress: Progress, checkpoints: Path) -> Pretrained:
        return pretrain_on_plays(PLAYS, settings, seed, progress, checkpoints)

    run_command("Make the base of the puzzles recipe from scratch.", SETTINGS, make, argv)


if __name__ == "__main__":
    main()
