"""YAML that others may have sent: bounded in size, also when all its aliases are written out."""

from __future__ import annotations

from typing import Any

import yaml

MOST = 100_000  # characters and values; the longest recipe that is shipped has 3,000


def load_yaml(text: str, most: int = MOST) -> Any:
    """The data in a YAML text of so many characters and values at most.

    Raises:
        yaml.YAMLError: it is none, or it is too large.
    """
    if len(text) > most:
        raise yaml.YAMLError(f"it has more than {most:,} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}, most) > most:
            raise yaml.YAMLError(f"with its aliases written out it has more than {most:,} characters")
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    except (ValueError, TypeError, OverflowError) as error:  # such as a date of month 13
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int], most: int) -> int:
    """Characters and values below a node, those behind aliases each time that they occur."""
    if id(node) not in known:
        known[id(node)] = most + 1  # seen again before it is known, it contains itself: that has no end
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        scalar = isinstance(node, yaml.ScalarNode)
        known[id(node)] = 1 + (len(node.value) if scalar else sum(_size(part, known, most) for part in below))
    return known[id(node)]
