"""The making of the tiny base: what it reads before any round, and the head that lets it copy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import Phi3ForCausalLM, set_seed

from rstar_mini.finetune.induction import plant_induction_head
from rstar_mini.finetune.pretrain import build_tokenizer, corpus, main, snippet, tiny_config
from rstar_mini.paths import data_file
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import generate
from rstar_mini.sandbox import Sandbox

PROBLEMS = load_problems("generated", "train", limit=60, families=["money", "ages"], levels=[1, 2, 3])


def test_the_corpus_holds_every_question_but_only_the_worked_solutions() -> None:
    texts = corpus(PROBLEMS, Random(0))
    shown = " ".join(context for context, _ in texts)
    assert all(problem.question in shown for problem in PROBLEMS)
    solved = {problem.question + "\n" for problem in PROBLEMS if problem.solution}
    assert {context for context, _ in texts if not context.startswith('"""')} == solved
    assert corpus(PROBLEMS, Random(0)) == texts


def test_the_small_programs_run_and_print_what_they_say() -> None:
    rng = Random(1)
    texts = [snippet(problem.question, rng) for problem in PROBLEMS for _ in range(4)]
    quoted = [text.rsplit("\n", 1) for _, text in texts if not text.startswith("<code>")]
    calculations = [re.sub(r"<\w+>", "", text) for _, text in texts if text.startswith("<code>")]
    assert len(quoted) > 50 and len(calculations) > 50
    with Sandbox() as box:
        outputs = box.run_many([code for code, _ in quoted])
        assert [output.stdout.strip() for output in outputs] == [printed for _, printed in quoted]
        errors = [result.error for result in box.run_many(calculations) if not result.ok]
    assert all("ZeroDivisionError" in str(error) for error in errors)


def test_programs_calculate_with_numbers_of_the_question_in_their_order() -> None:
    for seed in range(30):
        question = generate("inventory", 3, Random(seed)).question
        _, text = snippet(question, Random(seed))
        if text.startswith("<code>"):
            told = re.findall(r"\d+", question)
            used = re.findall(r"= .*?(\d+)\n", text)
            positions = [told.index(number) for number in used if number in told]
            assert positions == sorted(positions) or len(set(told)) < len(told)


def test_a_model_with_the_head_copies_what_followed_before_any_training() -> None:
    tokenizer = build_tokenizer(problem.question for problem in PROBLEMS)

    def hits(planted: bool) -> float:
        set_seed(0)
        model = Phi3ForCausalLM(tiny_config(tokenizer))
        if planted:
            plant_induction_head(model)
        segment = torch.randint(0, len(tokenizer), (8, 40), generator=torch.Generator().manual_seed(0))
        ids = torch.cat([segment, segment], dim=1)
        with torch.no_grad():
            best = model(input_ids=ids).logits[:, 40:-1].topk(5).indices
        return float((best == ids[:, 41:, None]).any(-1).float().mean())

    assert hits(planted=True) > 0.5 > 0.1 > hits(planted=False)


def test_a_folder_in_the_way_is_refused_before_any_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path)])
    assert stopped.value.code == 2 and "is there already" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_shipped_base_has_the_shape_that_the_code_makes() -> None:
    shipped = json.loads((data_file("tiny-base") / "config.json").read_text())
    tokenizer = build_tokenizer(problem.question for problem in PROBLEMS)
    made = tiny_config(tokenizer).to_dict()
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    assert {name: shipped[name] for name in names} == {name: made[name] for name in names}
