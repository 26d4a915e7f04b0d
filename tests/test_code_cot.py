"""The format: text, steps and program."""

import pytest

from rstar_mini.code_cot import boxed_answer, computes, output_block, program, split_steps

TEXT = (
    "<code>\n# Find the cost\ncost = 4 * 3\n<end_of_step>\n# Now print the final answer\nprint(cost + 2)\n<end_of_code>"
    "\n<output>14<end_of_output>\n<answer>The answer is \\boxed{14}<end_of_answer>"
)


def test_text_steps_and_program_round_trip():
    steps = split_steps(TEXT)
    assert "".join(step.full_text for step in steps) == TEXT
    assert [step.output for step in steps] == ["", "\n<output>14<end_of_output>\n", ""]
    assert steps[-1].answer == "14"
    assert program(steps) == "# Find the cost\ncost = 4 * 3\n# Now print the final answer\nprint(cost + 2)\n"


def test_indented_blocks_stay_runnable_over_steps():
    steps = split_steps(
        "<code>\ntotal = 0\nfor i in range(3):\n    total += i\n<end_of_step>\nprint(total)\n<end_of_code>"
    )
    assert program(steps) == "total = 0\nfor i in range(3):\n    total += i\nprint(total)\n"


def test_text_without_a_closing_tag_is_refused():
    with pytest.raises(ValueError, match="no closing tag"):
        split_steps("<code>\nx = 1\n")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>\\boxed{\\frac{1}{2}}.<end_of_answer>", "\\frac{1}{2}"),
        ("<answer>\\boxed{1} no, \\boxed{2}<end_of_answer>", "2"),
        ("<answer>\\boxed{3<end_of_answer>", None),
        ("<answer>4<end_of_answer>", None),
        ("x = '\\boxed{5}'\n<end_of_step>", None),
    ],
)
def test_boxed_answer(text, answer):
    assert boxed_answer(text) == answer


def test_printed_tags_are_not_taken_for_tags():
    assert (
        split_steps("<code>\nprint('')\n<end_of_code>" + output_block("<end_of_answer>"))[0].output.count("<end_of")
        == 1
    )


def test_comments_alone_compute_nothing():
    assert not computes("# one\n  # two\n\n") and computes("# one\nx = 1")
