"""What is passed on holds no run of more than eight words of a problem's text."""

from __future__ import annotations

from rstar_mini.share.quotes import LEFT_OUT, Quotes

QUESTION = "Tom has 3 boxes with 8 pens in each box, and he buys 2 + 3 + 4 more of them. How many pens has Tom now?"
WORDS = QUESTION.split()


def longest(text: str) -> int:
    """Words in a row, as they are typed, that stand in the question too."""
    said, most = text.split(), 0
    for i in range(len(said)):
        for j in range(i + most, len(said)):
            if " ".join(said[i : j + 1]) in QUESTION:
                most = max(most, j + 1 - i)
    return most


def test_long_quotations_are_left_out_and_short_ones_stay() -> None:
    quotes = Quotes([QUESTION])
    for begin in range(len(WORDS)):
        for end in range(begin + 1, len(WORDS) + 1):
            quoted = f"# We know: {' '.join(WORDS[begin:end])}\nx = 3"
            left = quotes.left_out(quoted)
            assert longest(left) <= 8 and left.startswith("# We know: ") and left.endswith("\nx = 3")
            assert left == quoted or end - begin > 6  # punctuation between the words does not count as words


def test_other_punctuation_lines_and_letters_do_not_hide_a_quotation() -> None:
    quotes = Quotes([QUESTION])
    for told in (
        "TOM HAS 3 BOXES WITH 8 PENS IN EACH BOX",
        "tom_has_3_boxes_with_8_pens_in_each_box = 24",
        "# Tom has 3 boxes\n# with 8 pens\n# in each box",
        '"Tom" "has" "3" "boxes" "with" "8" "pens" "in" "each" "box"',
    ):
        assert LEFT_OUT in quotes.left_out(told) and "boxes" not in quotes.left_out(told).lower()
    assert (
        quotes.left_out("Ann has 3 boxes with 8 pens, and he buys pens.")
        == "Ann has 3 boxes with 8 pens, and he buys pens."
    )


def test_two_quotations_and_data() -> None:
    quotes = Quotes([QUESTION])
    assert quotes.left_out(f"{QUESTION} So: {QUESTION} End") == "[...]? So: [...]? End"
    data = {"a": [QUESTION, 3, None, {"b": f"x {QUESTION}"}]}
    assert quotes.left_out_of(data) == {"a": ["[...]?", 3, None, {"b": "x [...]?"}]}
