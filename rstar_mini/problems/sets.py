"""The named problem sets: where each lies on the Hub, what its columns are called, and how its final answer is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

BOXED = "\\boxed"


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a source are called.

    Several `question` columns are joined by a space. The final answer is the text of column `answer` (what follows
    "####" when it has that), or all items of a list when `listed`; without such a column it stands in `solution`, in
    the last box or after `mark`.
    """

    question: tuple[str, ...] = ("question",)
    answer: str = "answer"
    listed: bool = False
    solution: str = "solution"
    mark: str = BOXED
    level: str = "level"
    family: str = "family"

    def fit(self, names: Collection[str]) -> tuple[bool, int]:
        """How well rows with these column names fit; more is better, and the question counts first."""
        others = (self.answer, self.solution, self.level, self.family)
        return all(name in names for name in self.question), sum(name in names for name in others)


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """A data set of the Hub. `splits` gives the Hub's name for each of ours: some test sets are called train there."""

    about: str
    licence: str
    hub: str
    splits: Mapping[str, str]
    columns: Columns = field(default_factory=Columns)
    config: str | None = None


BOTH, TEST = {"train": "train", "test": "test"}, {"test": "test"}
TEST_CALLED_TRAIN = {"test": "train"}

SETS: Mapping[str, ProblemSet] = {
    "gsm8k": ProblemSet("grade-school word problems", "MIT", "openai/gsm8k", BOTH, config="main"),
    "math": ProblemSet(
        "competition problems of levels 1 to 5",
        "MIT",
        "DigitalLearningGmbH/MATH-lighteval",
        BOTH,
        Columns(("problem",), family="type"),
    ),
    "math500": ProblemSet(
        "500 problems of MATH's test set, the paper's MATH",
        "MIT",
        "HuggingFaceH4/MATH-500",
        TEST,
        Columns(("problem",), family="subject"),
    ),
    "aime2024": ProblemSet(
        "both American invitational examinations of 2024",
        "see its card",
        "HuggingFaceH4/aime_2024",
        TEST_CALLED_TRAIN,
        Columns(("problem",)),
    ),
    "amc23": ProblemSet("American competitions of 2023", "see its card", "math-ai/amc23", TEST),
    "olympiadbench": ProblemSet(
        "olympiad problems in English without pictures, answers only",
        "Apache-2.0",
        "Hothan/OlympiadBench",
        TEST_CALLED_TRAIN,
        Columns(answer="final_answer", listed=True, family="subfield"),
        config="OE_TO_maths_en_COMP",
    ),
    "collegemath": ProblemSet(
        "exercises of college textbooks",
        "Apache-2.0",
        "di-zhang-fdu/College_Math_Test",
        TEST,
        Columns(family="data_topic"),
    ),
    "gaokao2023en": ProblemSet(
        "Chinese entrance examinations of 2023, translated",
        "MIT",
        "MARIO-Math-Reasoning/Gaokao2023-Math-En",
        TEST_CALLED_TRAIN,
    ),
    "omnimath": ProblemSet(
        "olympiad problems of difficulty 1 to 10; 4.5 counts as level 4",
        "Apache-2.0",
        "KbsdJames/Omni-MATH",
        TEST,
        Columns(("problem",), level="difficulty"),
    ),
    "svamp": ProblemSet(
        "short word problems that vary in one thing",
        "MIT",
        "ChilleD/SVAMP",
        BOTH,
        Columns(("Body", "Question"), answer="Answer", family="Type"),
    ),
    "numinamath": ProblemSet(
        "860,000 problems of many sources; the paper takes competitions alone: families such as olympiads and amc_aime",
        "Apache-2.0",
        "AI-MO/NuminaMath-CoT",
        BOTH,
        Columns(("problem",), family="source"),
    ),
    "metamath": ProblemSet(
        "395,000 problems made from the training sets of GSM8K and MATH",
        "MIT",
        "meta-math/MetaMathQA",
        {"train": "train"},
        Columns(("query",), solution="response", mark="The answer is:", family="type"),
    ),
}


def config_of(hub: str) -> str | None:
    """The configuration to name when this data set of the Hub, or a local folder of that name, is loaded."""
    return next((known.config for known in SETS.values() if f"/{hub}".endswith(f"/{known.hub}")), None)


@cache
def fitting(names: tuple[str, ...]) -> Columns:
    """The columns that fit rows with these names best, so that a known set is read alike from the Hub and from JSONL.

    Nothing fits: the plain names, with which the errors will be about `question` and `answer`.
    """
    return max((Columns(), *(known.columns for known in SETS.values())), key=lambda columns: columns.fit(names))
