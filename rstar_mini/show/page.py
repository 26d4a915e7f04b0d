"""Self-contained HTML pages: headings, tables, pictures, and text that is never markup."""

from __future__ import annotations

import html
from collections.abc import Iterable

from rstar_mini.show.picture import Picture

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;display:block;overflow-x:auto}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
th{border-bottom:2px solid #888}
img{max-width:100%}
pre,code{font:13px/1.4 ui-monospace,monospace}
pre{white-space:pre-wrap;margin:0}
"""


def whole_page(title: str, sections: Iterable[tuple[str, str]]) -> str:
    """The page of these sections, each a heading and HTML."""
    body = "".join(f"<h2>{escaped(heading)}</h2>\n{content}\n" for heading, content in sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escaped(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{escaped(title)}</h1>\n{body}</body></html>\n"
    )


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; `headers` are text, the cells of `rows` are HTML already."""
    head = "".join(f"<th>{escaped(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"


def image(figure: Picture, description: str) -> str:
    """A picture and what it shows, in words."""
    return f"<p>{figure.html(description)}</p>\n"


def preformatted(text: str) -> str:
    """Text whose lines stay as they are."""
    return f"<pre>{escaped(text)}</pre>"


def escaped(text: str) -> str:
    """Text that is shown as it is."""
    return html.escape(text)
