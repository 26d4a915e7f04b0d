"""Problem synthesis (section 3.4.1): a model rewrites seed problems, and answers that agree become the labels.

The paper had GPT-4 write new problems after the competition problems that it had, sampled ten solutions of each, and
kept those for which at least three agree on the final answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rstar_mini.answers import answer_key
from rstar_mini.code_cot import END_ANSWER, TAGS
from rstar_mini.policy import Policy
from rstar_mini.policy.base import Propose, Request, noise_key
from rstar_mini.problems.decontaminate import Contamination, normalised
from rstar_mini.search import Selection, choose
from rstar_mini.types import Problem, Step, Tree

REWRITE = f"""Write a new maths problem after the given one. \
Change the story and the numbers, keep the kind of reasoning, and ask for one final answer.

Problem: A baker fills 6 trays with 12 rolls each and sells 50 rolls. How many rolls are left?
New problem: A school orders 9 boxes with 24 pencils each and gives away 130. How many does it keep?{END_ANSWER}

Problem: Solve for $x$: $3x + 5 = 26$.
New problem: Find the number $y$ for which $4(y - 2) = 3y + 11$.{END_ANSWER}

Problem: {{question}}
New problem:"""
"""The prompt. A policy stops at the closing tags of our format, so a new problem ends with the last of them."""


def rewrite(
    seeds: Sequence[Problem], writer: Policy, per_problem: int, temperature: float, seed: str
) -> list[list[Step]]:
    """What a model with the prompt `REWRITE` writes, `per_problem` texts for each seed problem."""
    requests = [Request(problem, (), per_problem, noise_key(seed, problem.id)) for problem in seeds]
    return Propose.propose(writer, requests, temperature)


def question_in(text: str) -> str | None:
    """The new question: what stands before the closing tag or, as small models forget it, the first of many paragraphs.

    None when nothing stands there, when it is not finished, or when a solution or further problems come with it.
    """
    before, tag, _ = text.partition(END_ANSWER)
    first, gap, _ = before.strip().partition("\n\n")
    question = before.strip() if tag else first.strip() if gap else ""
    more = any(tag in question for tag in TAGS) or "problem:" in question.lower()
    return question if question and not more else None


def new_problems(
    written: Iterable[tuple[str, str]], known: Iterable[Problem], contamination: Contamination
) -> tuple[list[Problem], Counter[str]]:
    """The problems, still without answers, in (seed problem's id, text written) pairs; and what became of the texts.

    Counted are `asked`, `malformed`, `duplicate` (of a known problem or an earlier new one) and `contaminated`.
    """
    seen = {normalised(problem.question) for problem in known}
    counts: Counter[str] = Counter()
    problems: list[Problem] = []
    for seed_id, text in written:
        counts["asked"] += 1
        question = question_in(text)
        if question is None:
            counts["malformed"] += 1
        elif normalised(question) in seen:
            counts["duplicate"] += 1
        elif contamination.find(question):
            counts["contaminated"] += 1
        else:
            seen.add(normalised(question))
            problems.append(Problem(f"{seed_id}-new-{counts['asked']}", question, ""))
    return problems, counts


def most_agreed(tree: Tree) -> tuple[str, int]:
    """The final answer that most samples of a tree of plain samples reach, and how many do; ("", 0) without any."""
    best = choose(tree.terminals(), Selection.VOTE)
    answer = best.step.answer or "" if best else ""
    key = answer_key(answer)
    return answer, sum(node.multiplicity for node in tree.terminals() if answer_key(node.step.answer or "") == key)
