"""Puzzles in which search pays: a wrong decision runs without an error and shows only later."""
