"""The plain data that travels through the loop: problems, steps, executions, trajectories, and the search tree.

One problem travels one way: `Problem` -> candidate `Step`s, each with its `Execution` -> `Node`s of a `Tree` ->
`Trajectory`s for fine-tuning and pairs for the PPM. Everything here is JSON both ways and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rstar_mini.search import Budget
    from rstar_mini.show.picture import Picture


class Status(StrEnum):
    """How a program ended, decided by the supervisor's own clocks and wait status, never by what was printed."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    KILLED = "killed"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Execution:
    """The result of one program.

    `seconds` is wall-clock time; it is left out of JSON because files that must be reproducible carry no time.
    """

    status: Status
    stdout: str = ""
    error: str = ""
    seconds: float = 0.0
    isolation: str = ""

    @property
    def ok(self) -> bool:
        """True when the program ran to its end without an error."""
        return self.status is Status.OK

    def to_json(self) -> dict[str, Any]:
        """A dict without the timing."""
        return {"status": str(self.status), "stdout": self.stdout, "error": self.error}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Execution:
        """The inverse of `to_json`."""
        return cls(Status(row["status"]), row["stdout"], row["error"])


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its final answer as text.

    `solution` is a worked code-augmented trajectory text when one is known (a small share of the problems). `unseen`
    marks test problems whose phrasing never occurs in training. `agreement` is the share of votes behind a label that
    came from agreement instead of from a source; None means the label is given.
    """

    id: str
    question: str
    answer: str
    level: int | None = None
    family: str | None = None
    solution: str | None = None
    unseen: bool = False
    agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A dict without the fields that hold their default."""
        row: dict[str, Any] = {"id": self.id, "question": self.question, "answer": self.answer}
        optional = {"level": self.level, "family": self.family, "solution": self.solution, "agreement": self.agreement}
        row |= {key: value for key, value in optional.items() if value is not None}
        return row | ({"unseen": True} if self.unseen else {})

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Problem:
        """The inverse of `to_json`; unknown keys are ignored, so that other sources' rows load."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__ if name in row})


@dataclass(frozen=True, slots=True)
class Step:
    """One reasoning step: `text` exactly as it was sampled, closing tag included, and what running it gave.

    `output` is the interpreter output block that follows the step's text in the trajectory ('' unless the step ends
    the code). `answer` is the content of the last `\\boxed{}` when the step is terminal. `tokens` counts the sampled
    tokens.
    """

    text: str
    output: str = ""
    answer: str | None = None
    execution: Execution | None = None
    tokens: int = 0

    @property
    def full_text(self) -> str:
        """The step with the interpreter output that follows it."""
        return self.text + self.output

    def to_json(self) -> dict[str, Any]:
        """A dict without the fields that hold their default."""
        row: dict[str, Any] = {"text": self.text}
        optional = {"output": self.output, "answer": self.answer, "tokens": self.tokens}
        row |= {key: value for key, value in optional.items() if value}
        return row | ({"execution": self.execution.to_json()} if self.execution else {})

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Step:
        """The inverse of `to_json`."""
        execution = Execution.from_json(row["execution"]) if "execution" in row else None
        return cls(row["text"], row.get("output", ""), row.get("answer"), execution, row.get("tokens", 0))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A whole solution: the steps from the question to the boxed answer, with each step's Q-value."""

    problem: Problem
    steps: tuple[Step, ...]
    qs: tuple[float, ...] = ()
    correct: bool | None = None

    @property
    def text(self) -> str:
        """The solution as the policy would have to write it, interpreter output included."""
        return "".join(step.full_text for step in self.steps)

    @property
    def answer(self) -> str | None:
        """The final answer, or None when the trajectory never reached one."""
        return self.steps[-1].answer if self.steps else None

    @property
    def mean_q(self) -> float:
        """Mean of the steps' Q-values, the paper's order for choosing SFT data (section 3.2)."""
        return sum(self.qs) / len(self.qs) if self.qs else 0.0


@dataclass(slots=True, eq=False)
class Node:
    """A step in the tree with its statistics (Eq. 1-3): `visits` is N, `value` is q, and Q = q / N.

    `prior` is the PPM's score of the step, q(s)^0 of Eq. 3, or None under terminal-guided annotation. `correct` is the
    ground truth of a terminal node, None elsewhere. `closed` says that nothing below is left to explore,
    `dropped` how many candidates failed, `multiplicity` how many siblings sampled this same text.
    """

    step: Step
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    value: float = 0.0
    prior: float | None = None
    correct: bool | None = None
    expanded: bool = False
    closed: bool = False
    dropped: int = 0
    multiplicity: int = 1

    @property
    def q(self) -> float:
        """Q = q / N; an unvisited node has its prior, or 0 without one."""
        if self.visits:
            return self.value / self.visits
        return self.prior or 0.0

    @property
    def terminal(self) -> bool:
        """True when the step gave a final answer."""
        return self.step.answer is not None

    @property
    def votes(self) -> float:
        """How many of the policy's samples come to this node, as expected from its siblings all the way up.

        A node was proposed `multiplicity` times out of all that its parent was asked for, those that failed included.
        In a tree of plain samples this is the number of samples that end here; in a search tree, the share of them.
        """
        if self.parent is None:
            return float(self.multiplicity)
        asked = self.parent.dropped + sum(child.multiplicity for child in self.parent.children)
        return self.parent.votes * self.multiplicity / asked

    @classmethod
    def root(cls, multiplicity: int = 1) -> Node:
        """The node of the bare question."""
        return cls(Step(""), multiplicity=multiplicity)

    @property
    def depth(self) -> int:
        """Number of steps from the question (the root has depth 0)."""
        return sum(1 for _ in self.path())

    def path(self) -> list[Node]:
        """Nodes from the first step to this one; the root, which has no step of its own, is left out."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def steps(self) -> tuple[Step, ...]:
        """The steps from the question to this node."""
        return tuple(node.step for node in self.path())


@dataclass(slots=True, eq=False)
class Tree:
    """The search tree of one problem. `tokens` counts every token sampled for it, dropped candidates included."""

    problem: Problem
    root: Node = field(default_factory=Node.root)
    tokens: int = 0
    rollouts: int = 0

    def nodes(self) -> Iterator[Node]:
        """All nodes, parents before children, siblings in the order they were made. Iterative: trees may be deep."""
        stack = [self.root]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def terminals(self) -> list[Node]:
        """The nodes that gave a final answer."""
        return [node for node in self.nodes() if node.terminal]

    def trajectory(self, node: Node) -> Trajectory:
        """The trajectory that ends in `node`."""
        path = node.path()
        return Trajectory(self.problem, tuple(n.step for n in path), tuple(n.q for n in path), node.correct)

    @property
    def solved(self) -> bool:
        """True when some trajectory reached the right answer."""
        return any(node.correct for node in self.terminals())

    def draw(self) -> Picture:
        """The tree as a matplotlib figure (`rstar_mini.show.tree_plot.draw_tree`)."""
        from rstar_mini.show.tree_plot import draw_tree

        return draw_tree(self)

    def to_html(self, path: str | Path, budget: Budget | None = None) -> Path:
        """Write the tree as one page that works offline (`rstar_mini.show.tree_html.tree_page`); returns its path."""
        from rstar_mini.show.tree_html import tree_page

        Path(path).write_text(tree_page(self, budget), encoding="utf-8")
        return Path(path)

    def __str__(self) -> str:
        from rstar_mini.show.tree_text import tree_text

        return tree_text(self)

    def to_json(self) -> dict[str, Any]:
        """The whole tree as flat rows, each naming its parent by index."""
        nodes = list(self.nodes())
        index = {id(node): i for i, node in enumerate(nodes)}
        rows = [_node_row(node, index.get(id(node.parent))) for node in nodes]
        return {"problem": self.problem.to_json(), "tokens": self.tokens, "rollouts": self.rollouts, "nodes": rows}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Tree:
        """The inverse of `to_json`."""
        nodes: list[Node] = []
        for entry in row["nodes"]:
            parent = nodes[entry["parent"]] if entry["parent"] is not None else None
            node = Node(Step.from_json(entry["step"]), parent, **{key: entry[key] for key in _NODE_FIELDS})
            nodes.append(node)
            if parent is not None:
                parent.children.append(node)
        return cls(Problem.from_json(row["problem"]), nodes[0], row["tokens"], row["rollouts"])


_NODE_FIELDS = ("visits", "value", "prior", "correct", "expanded", "closed", "dropped", "multiplicity")


def _node_row(node: Node, parent: int | None) -> dict[str, Any]:
    return {"parent": parent, "step": node.step.to_json()} | {key: getattr(node, key) for key in _NODE_FIELDS}
