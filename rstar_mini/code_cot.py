"""The code-augmented chain of thought (section 3.1): text <-> steps <-> runnable program.

A trajectory is the paper's shape, tags included; natural language lives in Python comments:

    <code>
    # Find the cost of the pens
    cost = 4 * 3
    <end_of_step>
    # Now print the final answer
    print(cost + 2)
    <end_of_code>
    <output>14<end_of_output>
    <answer>The answer is \\boxed{14}<end_of_answer>

A step is a slice of that text up to and with a closing tag, so joining the steps gives the text back exactly. A step
that prints before the code ends shows it at once, in such a block after `<end_of_step>`. The paper shows output only
after the code; puzzles need it sooner, because policy and PPM must see the state that a decision leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rstar_mini.answers import extract
from rstar_mini.types import Step

CODE, END_STEP, END_CODE = "<code>", "<end_of_step>", "<end_of_code>"
OUTPUT, END_OUTPUT = "<output>", "<end_of_output>"
ANSWER, END_ANSWER = "<answer>", "<end_of_answer>"
TAGS = (CODE, END_STEP, END_CODE, OUTPUT, END_OUTPUT, ANSWER, END_ANSWER)
STOPS = (END_STEP, END_CODE, END_ANSWER)
MAX_OUTPUT = 1024  # characters of interpreter output kept in the text, as in the released code

_STEP = re.compile("(?s).*?(?:" + "|".join(map(re.escape, STOPS)) + ")")
_SHOWN = re.compile(f"(?s)\n{re.escape(OUTPUT)}(.*?){re.escape(END_OUTPUT)}")


def split_steps(text: str) -> list[Step]:
    """Cut a trajectory's text into steps; `"".join(s.full_text for s in steps) == text` always holds.

    Raises:
        ValueError: the text does not end with a closing tag.
    """
    steps, position = [], 0
    while position < len(text):
        found = _STEP.match(text, position)
        if not found:
            raise ValueError(f"the text after character {position} has no closing tag ({', '.join(STOPS)})")
        block = _SHOWN.match(text, found.end())
        end = block.end() if block else found.end()
        end += bool(block) and found[0].endswith(END_CODE)  # the line break before <answer>
        steps.append(Step(found[0], output=text[found.end() : end], answer=boxed_answer(found[0])))
        position = end
    return steps


def first_step(text: str) -> str | None:
    """The text up to and with its first closing tag; None when it has none."""
    found = _STEP.match(text)
    return found[0] if found else None


def program(steps: Iterable[Step]) -> str:
    """The runnable Python of the code steps, tags and answer text removed."""
    parts = []
    for step in steps:
        if not step.text.endswith(END_ANSWER):
            parts.append(step.text.removesuffix(END_CODE).removesuffix(END_STEP).removeprefix(CODE).strip("\n"))
    return "\n".join(parts) + "\n"


def write_solution(steps: Iterable[tuple[str, str]], result: str, answer: str) -> str:
    """A whole trajectory from computing steps (comment, code), the variable to print, and what that prints."""
    code = "\n".join(f"# {comment}\n{line}\n{END_STEP}" for comment, line in steps)
    end = f"# Now print the final answer\nprint({result})\n{END_CODE}{output_block(answer)}"
    return f"{CODE}\n{code}\n{end}{answer_step(answer)}"


def answer_step(answer: str) -> str:
    """The last step of a trajectory."""
    return f"{ANSWER}The answer is \\boxed{{{answer}}}{END_ANSWER}"


def output_block(stdout: str) -> str:
    """The text that the interpreter adds after `<end_of_code>`."""
    return shown(stdout) + "\n"


def shown(stdout: str) -> str:
    """The text that the interpreter adds after `<end_of_step>`; tags in the output are broken up, so none is forged."""
    return f"\n{OUTPUT}{stdout.strip()[:MAX_OUTPUT].replace('<', '< ')}{END_OUTPUT}"


def own_stdout(step: Step, prefix: Sequence[Step]) -> str:
    """What the step itself printed: a program runs from its beginning, so it prints again what its prefix printed."""
    assert step.execution
    before = next((earlier.execution.stdout for earlier in reversed(prefix) if earlier.execution), "")
    return step.execution.stdout.removeprefix(before)


def judged_text(step: Step) -> str:
    """The step as the PPM reads it: with what it printed, but for the end of the code, of which it reads no output."""
    return step.text if step.text.endswith(END_CODE) else step.full_text


def boxed_answer(text: str) -> str | None:
    """The content of the last box of an answer step, or of the neighbouring boxes there; None when there is none."""
    return extract.boxed_answer(text.removesuffix(END_ANSWER)) if text.endswith(END_ANSWER) else None


def computes(code: str) -> bool:
    """True when the program does something besides commenting: a trajectory must compute its answer."""
    return any(line.strip() and not line.strip().startswith("#") for line in code.splitlines())
