"""UCT, back-up and whole searches, against numbers worked out by hand from the paper's equations."""

import json
import math
import subprocess
import sys

import pytest

from rstar_mini.paths import data_file
from rstar_mini.policy import ScriptedPolicy
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, Selection, backup, choose, sample, search, select, uct
from rstar_mini.types import Node, Problem, Step, Tree

PROBLEM = Problem("p", "Tom has 3 pens and buys 4 more. How many pens does he have?", "7")
GOLDEN = data_file("golden-tree.json")


def script(question: str, text: str) -> list[str]:
    """Two ways to begin, one of them wrong; a step that does not run; then print and answer."""
    if not text:
        return [
            "<code>\n# Add\nx = 3 + 4\n<end_of_step>",
            "<code>\n# Subtract\nx = 4 - 3\n<end_of_step>",
            "<code>\nx = y\n<end_of_step>",
        ]
    if text.endswith("<end_of_step>"):
        return ["\n# Now print the final answer\nprint(x)\n<end_of_code>"]
    output = text.split("<output>")[1].split("<")[0]
    return [f"<answer>The answer is \\boxed{{{output}}}<end_of_answer>"]


class OraclePPM:
    """Scores a step +0.5 when it adds, -0.5 when it subtracts, 0 elsewhere."""

    def score(self, siblings):
        return [[0.5 if "+" in s.text else -0.5 if "-" in s.text else 0.0 for s in steps] for _, _, steps in siblings]


@pytest.fixture(scope="module")
def box():
    with Sandbox() as box:
        yield box


def family() -> tuple[Node, Node, Node]:
    root = Node.root()
    a, b = Node(Step("a"), root), Node(Step("b"), root)
    root.children, root.expanded = [a, b], True
    return root, a, b


def test_uct_is_equation_1():
    root, a, b = family()
    root.visits, a.visits, a.value = 10, 4, 2.0
    assert uct(a, c=2.0) == pytest.approx(0.5 + 2 * math.sqrt(math.log(10) / 4))
    assert uct(b, c=2.0) == math.inf
    assert uct(b, c=2.0, unvisited_first=False) == 0.0


def test_backup_is_equation_2():
    root, a, _ = family()
    leaf = Node(Step("leaf", answer="7"), a)
    a.children, a.expanded = [leaf], True
    for reward in (1.0, -1.0, 1.0):
        backup(leaf, reward)
    assert [(n.value, n.visits) for n in (leaf, a, root)] == [(1.0, 3)] * 3
    assert leaf.q == pytest.approx(1 / 3)


def test_a_branch_without_open_ends_closes_and_is_not_walked_again():
    root, a, b = family()
    backup(a, -1.0)
    assert a.closed and not root.closed
    assert select(root, Budget()) is b
    backup(b, -1.0)
    assert root.closed


def test_the_ppm_score_starts_q_as_one_visit(box):
    [tree] = search(
        [PROBLEM], Expander(ScriptedPolicy(script), box, OraclePPM()), Budget(candidates=3, rollouts=1, c=0.0)
    )
    good, bad = tree.root.children
    assert (good.prior, bad.prior) == (0.5, -0.5)
    assert good.q == pytest.approx((0.5 + 1) / 2)  # Eq. 3: the PPM's score, then +1 from the right terminal
    assert (bad.q, bad.visits) == (-0.5, 1)


def test_unvisited_first_visits_every_child_and_the_released_rule_starves_them(box):
    first = search([PROBLEM], Expander(ScriptedPolicy(script), box), Budget(candidates=3, rollouts=2))[0]
    assert [child.visits for child in first.root.children] == [1, 1]
    [starved] = search(
        [PROBLEM], Expander(ScriptedPolicy(script), box), Budget(candidates=3, rollouts=1, unvisited_first=False)
    )
    assert uct(starved.root.children[0], 2.0, False) > uct(starved.root.children[1], 2.0, False)


def test_steps_that_do_not_run_are_dropped_and_counted(box):
    [tree] = search([PROBLEM], Expander(ScriptedPolicy(script), box), Budget(candidates=6, rollouts=4))
    assert [child.step.text.split("\n")[1] for child in tree.root.children] == ["# Add", "# Subtract"]
    assert tree.root.dropped == 2 and [child.multiplicity for child in tree.root.children] == [2, 2]


def test_dropped_candidates_are_counted_by_step_and_reason(box):
    texts = [
        "<code>\n# only words\n<end_of_code>",
        "<code>\nx = 7\n<end_of_code>",
        "<code>\nprint(y)\n<end_of_code>",
        "<code>\nimport os\n<end_of_step>",
        "<code>\nx = 7",
        "<answer>\\boxed{7}<end_of_answer>",
        "<code>\nprint(7)\n<end_of_code>",
    ]
    after = ["<answer>\\boxed{6}<end_of_answer>", "<answer>seven<end_of_answer>", "<answer>\\boxed{7}<end_of_answer>"]
    expander = Expander(ScriptedPolicy(lambda question, text: after if text else texts), box)
    [tree] = search([PROBLEM], expander, Budget(candidates=7, rollouts=1))
    first = (
        "computes nothing",
        "prints nothing",
        "error",
        "forbidden",
        "no closing tag",
        "answer before the code's end",
    )
    second = {(2, "boxed is not printed"): 2 + 1, (2, "no boxed answer"): 2}  # three candidates, asked for seven times
    assert expander.faults == {(1, reason): 1 for reason in first} | second
    assert expander.faults.total() == sum(node.dropped for node in tree.nodes())


def test_extra_rollouts_only_when_nothing_was_right(box):
    hard = Problem("q", PROBLEM.question, "1")
    budget = Budget(candidates=3, rollouts=1, extra_rollouts=5)
    easy_tree, hard_tree = search([PROBLEM, hard], Expander(ScriptedPolicy(script), box), budget)
    assert easy_tree.rollouts == 1 and easy_tree.solved
    assert hard_tree.rollouts == 2 and hard_tree.solved  # its second rollout was right and exhausted the tree


@pytest.mark.parametrize(
    "texts",
    [
        ["<answer>\\boxed{7}<end_of_answer>"],  # no code before the answer
        ["<code>\nx = 1\n"],  # never ends
        ["<code>\n# only words\n<end_of_code>"],  # computes nothing
        ["<code>\nx = 7\n<end_of_code>"],  # prints nothing
    ],
)
def test_malformed_candidates_never_enter_the_tree(box, texts):
    [tree] = search([PROBLEM], Expander(ScriptedPolicy(lambda q, t: texts), box), Budget(candidates=2, rollouts=3))
    assert tree.root.children == [] and tree.root.dropped == 2 and not tree.solved


def test_many_problems_are_at_work_a_few_at_a_time_with_the_same_trees(box, monkeypatch):
    """More trees in flight than fill a batch would only take memory; the next begins when one is finished."""
    problems = [Problem(f"p{i}", PROBLEM.question, PROBLEM.answer) for i in range(7)]
    at_work, most, done = set(), 0, []

    class Watching(ScriptedPolicy):
        def submit(self, requests, temperature):
            nonlocal most
            at_work.update(request.problem.id for request in requests)
            most = max(most, len(at_work))
            super().submit(requests, temperature)

    def finished(tree):
        done.append(tree.problem.id)
        at_work.discard(tree.problem.id)

    def texts(trees):
        return [[(node.step.text, node.visits, node.value) for node in tree.nodes()] for tree in trees]

    budget = Budget(candidates=3, rollouts=3)
    at_once = search(problems, Expander(ScriptedPolicy(script), box), budget)
    monkeypatch.setattr("rstar_mini.search.mcts.IN_FLIGHT", 3)
    in_turn = search(problems, Expander(Watching(script), box), budget, finished)
    assert most == 3
    assert sorted(done) == [problem.id for problem in problems]
    assert texts(in_turn) == texts(at_once)


def test_at_test_time_the_terminal_is_worth_its_ppm_score(box):
    expander = Expander(ScriptedPolicy(script), box, OraclePPM(), ground_truth=False)
    [tree] = search([PROBLEM], expander, Budget(candidates=3, rollouts=4))
    assert all(node.correct is None for node in tree.terminals())
    assert tree.root.value == pytest.approx(sum(node.prior for node in tree.terminals()))


def test_golden_tree(box):
    """A whole tree, node by node, as it is saved."""
    [tree] = search([PROBLEM], Expander(ScriptedPolicy(script), box, OraclePPM()), Budget(candidates=4, rollouts=3))
    assert tree.to_json() == json.loads(GOLDEN.read_text())
    assert Tree.from_json(tree.to_json()).to_json() == tree.to_json()


def test_samples_that_agree_share_a_node(box):
    policy = ScriptedPolicy(script)
    [tree] = sample([PROBLEM], Expander(policy, box, ground_truth=True), 6, 1.0)
    assert sorted((n.multiplicity, n.correct) for n in tree.terminals()) == [(2, False), (2, True)]
    assert policy.requests == 5  # the root, then two live nodes at each of two depths
    [greedy] = sample([PROBLEM], Expander(policy, box), 1, 0.0)
    assert greedy.solved and len(greedy.terminals()) == 1


def test_an_answer_that_is_not_what_the_code_printed_is_dropped(box):
    def slips(question, text):
        if not text:
            return ["<code>\nprint(3 - 10)\n<end_of_code>"]
        return [f"<answer>The answer is \\boxed{{{answer}}}<end_of_answer>" for answer in ("7", "-7", "seven")]

    [tree] = search([PROBLEM], Expander(ScriptedPolicy(slips), box), Budget(candidates=3, rollouts=3))
    assert [(node.step.answer, node.correct) for node in tree.terminals()] == [("-7", False), ("seven", False)]
    assert tree.root.children[0].dropped == 1


def test_choice_by_ppm_vote_and_weighted_vote():
    root = Node.root()
    root.dropped = 2  # of eight candidates
    for answer, prior, multiplicity in (("1", -0.9, 3), ("7", 0.6, 1), ("7.0", 0.4, 1), ("5", 0.9, 1)):
        root.children.append(Node(Step("", answer=answer), root, prior=prior, multiplicity=multiplicity))
    nodes = root.children
    assert [node.votes for node in nodes] == [3 / 8, 1 / 8, 1 / 8, 1 / 8]
    # exp(r) votes: 3 exp(-0.9) = 1.22 against exp(0.6) + exp(0.4) = 3.31 and exp(0.9) = 2.46
    chosen = {how: choose(nodes, how).step.answer for how in Selection}
    assert chosen == {Selection.PPM: "5", Selection.VOTE: "1", Selection.WEIGHTED: "7"}
    assert choose([], Selection.VOTE) is None


def test_votes_are_shares_of_samples_all_the_way_up():
    root = Node.root(6)
    left, right = (Node(Step(text), root, multiplicity=m) for text, m in (("a", 4), ("b", 2)))
    root.children += [left, right]
    leaf = Node(Step("c", answer="1"), left, multiplicity=3)
    left.children.append(leaf)
    left.dropped = 1
    assert leaf.votes == 3  # of six samples, as many as ended here
    root.multiplicity = 1
    assert leaf.votes == 4 / 6 * 3 / 4


def test_importing_search_loads_no_model_library():
    check = "import rstar_mini.search, sys; assert not {'torch','trl','vllm','ray','transformers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True).returncode == 0
