"""Expansion: ask the policy for candidates, run their code, keep the steps that work, score them with the PPM.

Leaves of many trees are at work together. While a policy on an accelerator or a server writes for some, the candidates
of those that it finished before are run and scored; one on these very cores does better without the competition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from rstar_mini.answers import Verdict, compare, contradicts
from rstar_mini.code_cot import (
    END_ANSWER,
    END_CODE,
    STOPS,
    boxed_answer,
    computes,
    output_block,
    own_stdout,
    program,
    shown,
)
from rstar_mini.policy.base import Caching, Policy, Request, noise_key
from rstar_mini.ppm.base import Scorer
from rstar_mini.types import Execution, Node, Problem, Step, Tree


class Runner(Protocol):
    """What search asks of a sandbox."""

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """Run the programs; results in the order of `codes`."""
        ...


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
        self, policy: Policy, box: Runner, ppm: Scorer | None = None, seed: str = "0", ground_truth: bool = True
    ) -> None:
        self.policy, self.box, self.ppm, self.seed, self.ground_truth = policy, box, ppm, seed, ground_truth
        self.programs: set[str] = set()
        self.faults: Counter[tuple[int, str]] = Counter()
        self._asked: dict[int, _Leaf] = {}
        self._written: list[_Written] = []
        models: tuple[object, ...] = (policy, ppm)
        self._caching = [model for model in models if isinstance(model, Caching)]
        self._failed: list[tuple[Problem, tuple[Step, ...]]] = []
        self._beside = ThreadPoolExecutor(1, "expander")

    @property
    def busy(self) -> bool:
        """Whether some leaf that was submitted has not been collected yet."""
        return bool(self._asked)

    def expand(self, leaves: Sequence[tuple[Tree, Node, int]], temperature: float) -> None:
        """Give each (tree, leaf, n) its children, and wait until all have them."""
        self.submit(leaves, temperature)
        while self.busy:
            self.collect()

    def submit(self, leaves: Sequence[tuple[Tree, Node, int]], temperature: float) -> None:
        """Ask for `n` candidates after each (tree, leaf, n)."""
        asked = [_Leaf(tree, node, self._request(tree, node, n)) for tree, node, n in leaves]
        self._asked |= {id(leaf.request): leaf for leaf in asked}
        self.policy.submit([leaf.request for leaf in asked], temperature)

    def collect(self) -> list[tuple[Tree, Node]]:
        """Let the policy write for a while; returns the leaves whose children are there, if there are any.

        A leaf whose candidates all failed stays without children. What is returned depends on what was submitted, not
        on how long anything took.
        """
        if self.policy.elsewhere:
            written = self._write_and_finish()
        else:
            written = self._write()
            self._finish(written)
        for leaf, _ in written:
            del self._asked[id(leaf.request)]
        self._tell(self._failed)
        self._failed = []
        return [(leaf.tree, leaf.node) for leaf, _ in written]

    def _write(self) -> list[_Written]:
        """What the policy finishes, but for requests of a search that was broken off."""
        answers = [(self._asked.get(id(request)), steps) for request, steps in self.policy.collect()]
        return [(leaf, steps) for leaf, steps in answers if leaf is not None]

    def _write_and_finish(self) -> list[_Written]:
        """Run and score what the policy finished in the call before, while it writes."""
        before, self._written = self._written, []
        if len(before) == len(self._asked):  # nothing is left to write meanwhile
            self._finish(before)
        else:
            finishing = self._beside.submit(self._finish, before)
            self._written = self._write()
            finishing.result()
        return before

    def release(self, ended: Sequence[tuple[Tree, Node]]) -> None:
        """Tell the models of nodes from which search will never go on."""
        if self._caching:
            self._tell([(tree.problem, node.steps()) for tree, node in ended])

    def _tell(self, ended: Sequence[tuple[Problem, tuple[Step, ...]]]) -> None:
        for model in self._caching:
            model.release(ended)

    def _finish(self, written: Sequence[_Written]) -> None:
        """Run what was written, make children of what ran, and score them."""
        unique = [_distinct(steps) for _, steps in written]
        codes = [
            program((*leaf.request.steps, step))
            for (leaf, _), group in zip(written, unique, strict=True)
            for step in group
        ]
        self.programs.update(codes)
        executions = iter(self.box.run_many(codes))
        for (leaf, steps), group in zip(written, unique, strict=True):
            leaf.tree.tokens += sum(step.tokens for step in steps)
            self._grow(leaf, {replace(step, execution=next(executions)): count for step, count in group.items()})
        if self.ppm is not None:
            self._score([leaf for leaf, _ in written])

    def _grow(self, leaf: _Leaf, ran: dict[Step, int]) -> None:
        """Children of the leaf from the candidates that are worth keeping; the others are counted and forgotten."""
        prefix = leaf.request.steps
        leaf.node.expanded = True
        for step, count in ran.items():
            if kept := finish_step(step, prefix):
                leaf.node.children.append(self._child(leaf.tree, leaf.node, kept, count))
            else:
                self.faults[len(prefix) + 1, fault(step, prefix)] += count
                self._failed.append((leaf.tree.problem, (*prefix, step)))
        leaf.node.dropped = leaf.request.n - sum(child.multiplicity for child in leaf.node.children)

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

    def _score(self, leaves: Sequence[_Leaf]) -> None:
        """Eq. 3: q(s)^0 = PPM(s), as one pseudo-visit, so that Q is the PPM's score before any rollout passed."""
        assert self.ppm is not None
        parents = [leaf for leaf in leaves if leaf.node.children]
        asked = [
            (leaf.tree.problem, leaf.request.steps, [child.step for child in leaf.node.children]) for leaf in parents
        ]
        for leaf, scores in zip(parents, self.ppm.score(asked) if asked else [], strict=True):
            for child, score in zip(leaf.node.children, scores, strict=True):
                child.prior, child.value, child.visits = score, score, 1


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    tree: Tree
    node: Node
    request: Request


_Written = tuple[_Leaf, list[Step]]


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
        answer, last = boxed_answer(step.text), prefix[-1]
        if not answer:
            return "no boxed answer"
        lucky = last.execution and contradicts(answer, own_stdout(last, prefix[:-1]))
        return "boxed is not printed" if lucky else ""
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
    return "" if own_stdout(step, prefix).strip() else "prints nothing"


def finish_step(step: Step, prefix: Sequence[Step]) -> Step | None:
    """The candidate as a step of the tree, with its answer or the output that follows it; None for one with a fault."""
    if fault(step, prefix):
        return None
    if answer := boxed_answer(step.text):
        return replace(step, answer=answer, execution=None)
    stdout = own_stdout(step, prefix)
    if step.text.endswith(END_CODE):
        return replace(step, output=output_block(stdout))
    return replace(step, output=shown(stdout)) if stdout.strip() else step
