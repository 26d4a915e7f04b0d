"""Expansion: ask the policy for candidates, run their code, keep the steps that work, score them with the PPM.

Every live problem contributes one leaf to a wave, so that one policy call, one sandbox call and one PPM call serve all
of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rstar_mini.answers import Verdict, compare, contradicts
from rstar_mini.code_cot import END_ANSWER, END_CODE, STOPS, boxed_answer, computes, output_block, program
from rstar_mini.policy.base import Policy, Request, noise_key
from rstar_mini.ppm.base import Scorer
from rstar_mini.types import Node, Step, Tree

if TYPE_CHECKING:
    from rstar_mini.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one search may spend (App. A.1): candidates a node, rollouts, depth, UCT's c, sampling temperature.

    `extra_rollouts` are added once when no rollout reached the right answer. `unvisited_first` False is the released
    code's rule, under which an unvisited child scores 0.
    """

    candidates: int = 8
    rollouts: int = 16
    extra_rollouts: int = 0
    depth: int = 16
    c: float = 2.0
    temperature: float = 1.0
    unvisited_first: bool = True


class Expander:
    """The models and the sandbox behind a search.

    `seed` names the noise: (run seed, round, ...). `ppm` None is terminal-guided annotation (Eq. 2), otherwise a new
    node starts from the PPM's score (Eq. 3). `ground_truth` says whether terminals are judged by the known answer
    (making data) or not (test time). `programs` collects the distinct programs that were asked for, `faults` counts
    the dropped candidates by step number and reason.
    """

    def __init__(
        self, policy: Policy, box: Sandbox, ppm: Scorer | None = None, seed: str = "0", ground_truth: bool = True
    ) -> None:
        self.policy, self.box, self.ppm, self.seed, self.ground_truth = policy, box, ppm, seed, ground_truth
        self.programs: set[str] = set()
        self.faults: Counter[tuple[int, str]] = Counter()

    def expand(self, leaves: Sequence[tuple[Tree, Node, int]], temperature: float) -> None:
        """Give each (tree, leaf, n) its children; a leaf whose candidates all failed stays without any."""
        requests = [self._request(tree, node, n) for tree, node, n in leaves]
        proposals = self.policy.propose(requests, temperature)
        for (tree, _, _), steps in zip(leaves, proposals, strict=True):
            tree.tokens += sum(step.tokens for step in steps)
        unique = [_distinct(steps) for steps in proposals]
        codes = [
            program((*request.steps, step)) for request, group in zip(requests, unique, strict=True) for step in group
        ]
        self.programs.update(codes)
        executions = iter(self.box.run_many(codes))
        for (tree, node, n), request, group in zip(leaves, requests, unique, strict=True):
            ran = [(replace(step, execution=next(executions)), count) for step, count in group.items()]
            node.expanded = True
            for step, count in ran:
                if kept := finish_step(step, request.steps):
                    node.children.append(self._child(tree, node, kept, count))
                else:
                    self.faults[len(request.steps) + 1, fault(step, request.steps)] += count
            node.dropped = n - sum(child.multiplicity for child in node.children)
        if self.ppm is not None:
            self._score(leaves)

    def _request(self, tree: Tree, node: Node, n: int) -> Request:
        steps = node.steps()
        path = "".join(step.full_text for step in steps)
        return Request(tree.problem, steps, n, noise_key(self.seed, tree.problem.id, path))

    def _child(self, tree: Tree, parent: Node, step: Step, count: int) -> Node:
        child = Node(step, parent, multiplicity=count)
        if child.terminal and self.ground_truth:
            verdict = compare(step.answer or "", tree.problem.answer)
            child.correct = None if verdict is Verdict.UNDECIDED else verdict is Verdict.EQUAL
        return child

    def _score(self, leaves: Sequence[tuple[Tree, Node, int]]) -> None:
        """Eq. 3: q(s)^0 = PPM(s), as one pseudo-visit, so that Q is the PPM's score before any rollout passed."""
        assert self.ppm is not None
        parents = [(tree, node) for tree, node, _ in leaves if node.children]
        asked = [(tree.problem, node.steps(), [child.step for child in node.children]) for tree, node in parents]
        for (_, node), scores in zip(parents, self.ppm.score(asked), strict=True):
            for child, score in zip(node.children, scores, strict=True):
                child.prior, child.value, child.visits = score, score, 1


def _distinct(steps: Sequence[Step]) -> dict[Step, int]:
    """Each distinct candidate with the number of times it was sampled, in order of first appearance."""
    counts: dict[Step, int] = {}
    for step in steps:
        counts[step] = counts.get(step, 0) + 1
    return counts


def fault(step: Step, prefix: Sequence[Step]) -> str:
    """Why a candidate must be dropped, "" for one to keep (section 3.1: only steps that run are kept).

    Before `<end_of_code>` a step must be code that runs; the step that ends the code must have printed something; after
    it only a boxed answer may follow, and not another number than the one printed: else code that went wrong would be
    verified by a lucky slip of the pen.
    """
    if prefix and prefix[-1].text.endswith(END_CODE):
        answer, last = boxed_answer(step.text), prefix[-1].execution
        if not answer:
            return "no boxed answer"
        return "boxed is not printed" if last and contradicts(answer, last.stdout) else ""
    if not step.text.endswith(STOPS):
        return "no closing tag"
    if step.text.endswith(END_ANSWER):
        return "answer before the code's end"
    if step.execution is None or not step.execution.ok:
        return str(step.execution.status) if step.execution else "not run"
    if not step.text.endswith(END_CODE):
        return ""
    if not computes(program((*prefix, step))):
        return "computes nothing"
    return "" if step.execution.stdout.strip() else "prints nothing"


def finish_step(step: Step, prefix: Sequence[Step]) -> Step | None:
    """The candidate as a step of the tree, with its answer or the output that follows it; None for one with a fault."""
    if fault(step, prefix):
        return None
    if answer := boxed_answer(step.text):
        return replace(step, answer=answer, execution=None)
    if step.execution and step.text.endswith(END_CODE):
        return replace(step, output=output_block(step.execution.stdout))
    return step
