"""One self-contained HTML page: its typography, and the few parts that it is put together from.

Every function that takes text escapes it; only `Html` values, which these functions made, are inserted as
they are. Pictures become data URIs inside `<img>`, where a browser runs no scripts of theirs.
"""

import base64
from collections.abc import Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)
"""Markup whose text has been escaped."""

_STYLE = """
:root { color-scheme: light dark; --ink: #0f172a; --soft: #475569; --line: #e2e8f0; --paper: #ffffff;
  --tint: #f8fafc; --accent: #2563eb; --mark: #eff4ff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9fb0c5; --line: #2b3749;
  --paper: #0d1420; --tint: #141d2c; --accent: #8ab0ff; --mark: #17243d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: Inter, "Helvetica Neue", Helvetica, "Segoe UI", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .2rem; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 3rem 0 .8rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, th { color: var(--soft); }
.headline { margin: 1.8rem 0 1.2rem; padding: 1.4rem 1.6rem; background: var(--mark); border-radius: 12px;
  border-left: 5px solid var(--accent); }
.headline strong { display: block; font-size: 2.7rem; line-height: 1.1; letter-spacing: -.02em;
  font-weight: 650; font-variant-numeric: tabular-nums; }
.headline p { margin: .5rem 0 0; font-size: 1.02rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.2rem, 1fr)); gap: .7rem;
  margin: 1rem 0; }
.facts div { background: var(--tint); border: 1px solid var(--line); border-radius: 10px;
  padding: .6rem .85rem; }
.facts span { display: block; font-size: .8rem; color: var(--soft); }
.facts b { font-size: 1.08rem; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: .82rem; border-bottom: 1.5px solid var(--soft); }
th, td { padding: .42rem .8rem .42rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th:not(:first-child), td:not(:first-child) { text-align: right; white-space: nowrap; }
table.text td:not(:first-child) { text-align: left; white-space: normal; }
tr.marked td { background: var(--mark); font-weight: 600; }
tr.marked td:first-child { box-shadow: inset 3px 0 var(--accent); padding-left: .7rem; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure.framed img { background: #fff; border-radius: 10px; border: 1px solid var(--line);
  padding: .6rem; }
figcaption { font-size: .87rem; margin-top: .45rem; max-width: 46rem; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem;
  overflow-x: auto; font-size: .84rem; line-height: 1.5; max-height: 34rem; }
code, pre { font-family: "JetBrains Mono", ui-monospace, SFMono-Regular, Menlo, monospace; }
@media print { body { font-size: 11pt; } main { padding: 0; max-width: none; } h2 { break-after: avoid; }
  figure, .headline, tr { break-inside: avoid; } pre { max-height: none; white-space: pre-wrap; } }
"""


def page(title: str, *body: Html) -> Html:
    """The whole document."""
    return Html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(text: str, below: str) -> Html:
    """The title of the page with a quieter line below."""
    return Html(f'<h1>{escape(text)}</h1>\n<p class="soft">{escape(below)}</p>')


def section(title: str, *parts: Html) -> Html:
    """A titled part of the page."""
    return Html(f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>")


def headline(figure: str, text: str) -> Html:
    """The one number of the page, and the sentence that says what it is."""
    return Html(f'<div class="headline"><strong>{escape(figure)}</strong><p>{escape(text)}</p></div>')


def paragraph(text: str) -> Html:
    """Running text."""
    return Html(f"<p>{escape(text)}</p>")


def code(text: str) -> Html:
    """Commands or a file, as they stand."""
    return Html(f"<pre><code>{escape(text.rstrip())}</code></pre>")


def facts(pairs: Sequence[tuple[str, str]]) -> Html:
    """Small named values, side by side."""
    cells = "".join(f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in pairs)
    return Html(f'<div class="facts">{cells}</div>')


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None = None, *, is_text: bool = False
) -> Html:
    """A table; `marked` is the index of a row to stand out, `is_text` aligns every column to the left."""
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f'<tr class="marked">{cells}</tr>' if i == marked else f"<tr>{cells}</tr>")
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    kind = ' class="text"' if is_text else ""
    top = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    return Html(f'<div class="wide"><table{kind}>{top}<tbody>{"".join(lines)}</tbody></table></div>')


def picture(svg: bytes, alt: str, caption: str = "", *, is_framed: bool = True) -> Html:
    """An SVG picture, inside the page; without a frame when it brings its own."""
    data = base64.b64encode(svg).decode()
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    kind = ' class="framed"' if is_framed else ""
    return Html(f'<figure{kind}><img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">{below}</figure>')
