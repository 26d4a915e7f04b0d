"""The making of the tiny base: what it reads before any round, and the head that lets it copy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import Phi3ForCausalLM, set_seed

from rstar_mini.code_cot import program, split_steps
from rstar_mini.finetune.corpus import corpus, snippet
from rstar_mini.finetune.induction import plant_induction_head
from rstar_mini.finetune.pretrain import build_tokenizer, main, tiny_config
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
    solutions = [split_steps(snippet(problem.question, rng)[1]) for problem in PROBLEMS for _ in range(4)]
    with Sandbox() as box:
        results = box.run_many([program(steps) for steps in solutions])
    for steps, result in zip(solutions, results, strict=True):
        assert result.ok, result.error
        assert result.stdout.strip() == steps[-1].answer
        assert steps[-2].output == f"\n<output>{steps[-1].answer}<end_of_output>\n"


def test_the_small_programs_quote_the_question_in_order_and_calculate_with_what_they_quote() -> None:
    for seed in range(60):
        context, text = snippet(generate("inventory", 3, Random(seed)).question, Random(seed))
        question = context.strip().strip('"')  # in some, the words of each sentence are shuffled
        place, known = 0, set()
        for comment, name, expression in re.findall(r"^# (.*)\n(\w+) = (.*)$", text, flags=re.M):
            sentences = re.split(r"(?<=[.?]) ", comment)
            assert all(sentence in question for sentence in sentences)
            assert question.index(sentences[0]) >= place
            place = question.index(sentences[-1]) + len(sentences[-1])
            told = set(re.findall(r"\d+", comment)) | ({"2"} if re.search("half|twice", comment) else set())
            assert set(re.findall(r"\w+", expression)) <= told | known
            known.add(name)


def test_the_small_programs_do_not_give_the_answers_away() -> None:
    right = [
        split_steps(snippet(problem.question, Random(seed))[1])[-1].answer == problem.answer
        for problem in PROBLEMS
        for seed in range(5)
    ]
    assert 0 < sum(right) / len(right) < 0.3


def test_dollars_come_back_from_the_tokenizer_as_they_went_in() -> None:
    tokenizer = build_tokenizer(problem.question for problem in PROBLEMS)
    text = "# Tom gets $12 from Mia.\ntotal = pay + 12\n<end_of_step>"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode("$12")[-1] == tokenizer.encode("+ 12")[-1]


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
