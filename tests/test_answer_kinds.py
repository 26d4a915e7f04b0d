"""Kinds of answers that public bug reports are about, and attacks on a checker: no wrong one counts as right."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random

import pytest

from rstar_mini.answers import Verdict, answer_key, compare, comparison, contradicts, worker
from rstar_mini.answers.extract import boxed_answer, said_answer
from rstar_mini.files import read_jsonl
from rstar_mini.paths import data_file
from rstar_mini.problems import load_problems
from rstar_mini.problems.load import read_problems

PAIRS = read_jsonl(data_file("answer_pairs.jsonl"))
DEADLINE = 5.0  # seconds of CPU time
KINDS = (
    "letters",
    "time",
    "no value",
    "other unit",
    "any unit",
    "no unit",
    "solutions",
    "characters",
    "degrees",
)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_a_kind_in_both_orders(kind: str) -> None:
    pairs = [pair for pair in PAIRS if pair["kind"] == kind]
    assert len(pairs) >= 20
    right = 0
    for pair in pairs:
        verdicts = (compare(pair["predicted"], pair["gold"]), compare(pair["gold"], pair["predicted"]))
        assert pair["label"] == "equal" or Verdict.EQUAL not in verdicts, pair
        wanted = {"undecided", "different"} if pair["label"] == "undecided" else {pair["label"]}
        right += wanted.issuperset(verdicts)
    assert right >= 0.9 * len(pairs)


@pytest.mark.parametrize(
    ("predicted", "gold", "verdict"),
    [
        ("x", "X", "undecided"),  # two variables, or a choice
        ("Aa", "AA", "undecided"),
        ("Eve and Tom", "Vee and Tom", "different"),
        ("6:00", "6:00 PM", "undecided"),
        ("7 PM", "19:00", "equal"),
        ("5 m", "5 min", "undecided"),
        ("5m", "5", "undecided"),  # a length, or a product
        ("5 xyz", "5", "different"),
        ("5 ft 3 in", "5 ft 4 in", "undecided"),
        ("£5", "5 lb", "undecided"),
        ("£5", "5 pounds", "equal"),
        ("4 pounds", "4 lb", "equal"),
        ("5 million dollars", r"\$5,000,000", "equal"),
        (r"\sqrt{25} m", "5 cm", "undecided"),
        ("x<3", "y<3", "different"),
        ("x > 1 and x < 4", "(1, 4)", "equal"),
        ("x < 1.00000001", "x < 1", "different"),
        ("(12,34,567)", "1234567", "different"),
        ("1, 234", "1234", "different"),
        ("3,5", "5, 3", "equal"),
        ("1/0", "1/0", "different"),
        ("B2", "2B", "different"),
        ("2:3:4", "4:6:8", "equal"),
        (r"1 \pm \sqrt{2}", r"1-\sqrt{2}, 1+\sqrt{2}", "equal"),
    ],
)
def test_where_kinds_meet(predicted: str, gold: str, verdict: str) -> None:
    assert (compare(predicted, gold), compare(gold, predicted)) == (verdict, verdict)


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [
        ("x " + "hrs " * 24 + "total", "5"),
        ("5 " + "sq " * 4000, "5"),
        ("{1," * 20 + "2" + "}" * 20, "{1," * 20 + "3" + "}" * 20),
        ("(" * 5000 + "5" + ")" * 5000, "5"),
        ("$" * 20_000, "5"),
        (" " * 19_000 + "^", "5"),
        ("1" * 300 + "/" + "1" * 289 + "x", "5"),
        ("1," * 9_000 + "1", "1," * 9_000 + "2"),
        (",".join(map(str, range(3000))), ",".join(map(str, range(3000, 0, -1)))),
        (r"\text{" * 3000, r"\frac{" * 3000),
        (f"{{{','.join(f'{{{n}}}' for n in range(2000))}}}", f"{{{','.join(f'{{{-n}}}' for n in range(2000))}}}"),
        ("x" * 10**6, "5"),
    ],
    ids="units squares nested parentheses dollars spaces digits list backwards commands sets long".split(),
)
def test_no_text_keeps_this_process_busy(predicted: str, gold: str) -> None:
    for first, second in (predicted, gold), (gold, predicted):
        start = time.process_time()
        assert compare(first, second) is not Verdict.EQUAL
        assert time.process_time() - start < DEADLINE


def test_everything_nested_shares_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def slow(predicted: str, gold: str, seconds: float) -> tuple[bool | None, float]:
        asked.append(seconds)
        return None, 1.0

    monkeypatch.setattr(comparison, "same_expression", slow)
    hard = [rf"\sqrt{{x^{n}+{n}}}" for n in range(30)]
    assert compare(", ".join(hard[:15]), ", ".join(hard[15:])) is Verdict.UNDECIDED
    assert len(asked) == worker.SECONDS and all(seconds <= worker.SECONDS - i for i, seconds in enumerate(asked))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of a process where Linux shows them")
def test_the_worker_has_a_memory_limit() -> None:
    assert compare(r"\sqrt{8}+1", r"1+2\sqrt{2}") is Verdict.EQUAL
    process = worker._WORKER.process
    assert process
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max address space")).split()[3] == str(2**31)


BITS = list("0123456789abxyEe+-*/^_=<>≤≠(){}[],.;:!|&%$°'\" \\\n½²√π∞∪±\u2009¢€") + [
    *("\\frac", "\\sqrt", "\\text{", "\\boxed{", "\\left(", "\\pm ", "{1,", "^{", "hrs ", "sq ", "per ", " and "),
    *("\\cup", "000 ", "\\begin{pmatrix}", "1/0", "nan", " cm^2", "!", " a "),
]


def _mutated(text: str, texts: list[str], rng: Random) -> str:
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        start, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        other = rng.choice(texts)
        new = (
            rng.choice(BITS),
            "",
            text[start:end] * rng.choice((2, 3, 20)),
            other[: rng.randrange(len(other) + 1)],
            rng.choice(BITS) * rng.choice((2, 30, 300, 3000)),
            text[start:end][::-1],
        )
        text = text[:start] + rng.choice(new) + text[end:]
    return text[:30_000]


def _mutations(n: int, seed: int) -> list[tuple[str, str]]:
    rng = Random(seed)
    texts = [text for pair in PAIRS for text in (pair["predicted"], pair["gold"]) if len(text) < 3000]
    return [(_mutated(text, texts, rng), text) for text in rng.choices(texts, k=n)]


def test_readers_take_any_text() -> None:
    for mutated, text in _mutations(150, seed=0):
        start = time.process_time()
        answer_key(mutated), said_answer(mutated), boxed_answer(mutated), contradicts(mutated, text)
        assert time.process_time() - start < DEADLINE, mutated[:200]


@pytest.mark.slow
def test_mutated_answers_are_compared_within_the_deadline() -> None:
    for mutated, text in _mutations(1000, seed=1):
        start = time.process_time()
        compare(mutated, text)
        assert time.process_time() - start < DEADLINE, mutated[:200]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So x = −5.", "-5"),
        ("So x = - 5.", "- 5"),
        ("so 3,5", "3, 5"),
        ("The roots are 3 and 5.", "3, 5"),
        ("Adding 3 and 5 gives 8.", "8"),
        ("It is .5", ".5"),
        ("It weighs .5 kg.", ".5"),
        ("That is $1,234.50.", "1234.50"),
        ("That makes 1 234 567 people.", "1234567"),
        ("So ½ of them.", "1/2"),
        ("In all 2 million people", "2 million"),
        (r"So $x = \frac{1}{2}$.", r"\frac{1}{2}"),
        (r"so x = 2\sqrt{3}", r"2\sqrt{3}"),
        ("which is 10^5.", "10^5"),
        ("Answer: **73**", "73"),
        ("It is 42!", "42"),
        ("- 5 apples", "5"),
        ("They leave at 6:30", "6:30"),
        (r"\boxed{7}, which I put in \boxed{}.", "7"),
        (r"\boxed{3} and \boxed{5}", "3, 5"),
        (r"\boxed{3}. No: \boxed{5}", "5"),
        (r"\boxed{7", "7"),
        ("no number", ""),
    ],
)
def test_the_answer_of_free_text(text: str, answer: str) -> None:
    assert said_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$\boxed 7$", "7"),
        (r"So $\boxed 12$.", "12"),
        (r"\boxed 7, so", "7"),
        (r"$\boxed \frac{1}{2}$", r"\frac{1}{2}"),
        (r"\boxed {7}", "7"),
        (r"\fbox{7}", "7"),
        (r"\framebox{7}", "7"),
        (r"$\boxed{3}$ or $\boxed{5}$", "3, 5"),
        (r"\boxed{x=1},\ \boxed{y=2}", "x=1, y=2"),
        (r"\boxed{7}, \boxed{7}", "7"),
        (r"\boxed{\boxed{8}}", r"\boxed{8}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{5} and then \boxed{6", None),
        (r"\boxed{}", None),
        (r"\boxedtext{7}", None),
    ],
)
def test_boxes(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"answer": "x\n#### 3, 5"}, "3, 5"),
        ({"answer": "x\n#### 7\nSo there are 7."}, "7"),
        ({"answer": "x\n####\n7. So there are 7."}, "7"),
        ({"answer": "x\n#### $1,234"}, "$1234"),
        ({"answer": "x\n#### 1,2,3"}, "1,2,3"),
        ({"solution": r"So \boxed{3} and \boxed{5}."}, "3, 5"),
        ({"solution": r"So $\boxed {7}$."}, "7"),
        ({"solution": r"So $\boxed 7$."}, "7"),
        ({"answer": float("nan"), "solution": r"\fbox{7}"}, "7"),
    ],
)
def test_gold_answers(tmp_path: Path, row: dict[str, object], answer: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"question": "What?"} | row))
    assert load_problems(str(path))[0].answer == answer


def test_an_answer_that_is_not_a_number_is_a_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(f'{{"question": "What?", "answer": {answer}}}\n' for answer in ("NaN", '"nan"', "5")))
    problems, without_answer = read_problems(str(path))
    assert ([problem.answer for problem in problems], without_answer) == (["5"], 2)
