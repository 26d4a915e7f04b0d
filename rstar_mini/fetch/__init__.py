"""Fetching what a recipe needs and the package does not bring: weights, data sets, and wheels for another machine."""

from rstar_mini.fetch.room import fetch

__all__ = ["fetch"]
