#!/usr/bin/env python3
"""Draws docs/session.svg, the picture in README: runs docent on the sample folder and sets what it prints as a terminal.

    docs/session.py [--binary target/release/docent] [--home DIR]

Standard output is drawn bright, notes (standard error) dim. The models must have been pulled.
"""

import argparse
import html
import pathlib
import subprocess
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUESTIONS = [
    "Where do I turn off the water in the house?",
    "How many days a year may I work from another country?",
]
COLUMNS = 112
LINE, CHARACTER, MARGIN = 19, 8.05, 16
COLOURS = {"prompt": "#7ee787", "out": "#e6edf3", "note": "#8b949e"}


def session(binary, home):
    """(kind, line) pairs of the whole session, wrapped."""
    for question in QUESTIONS:
        command = [binary, *(["--home", home] if home else []), "ask", "--in", "corpora/tour", question]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        yield "prompt", f'$ docent ask --in corpora/tour "{question}"'
        for kind, text in (("out", run.stdout), ("note", run.stderr)):
            for line in text.splitlines():
                indent = " " * (len(line) - len(line.lstrip()))
                for part in textwrap.wrap(line, COLUMNS, subsequent_indent=indent) or [""]:
                    yield kind, part
        yield "out", ""


def svg(lines):
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    rows = [
        f'<text x="{MARGIN}" y="{MARGIN + (n + 1) * LINE - 5}" fill="{COLOURS[kind]}" xml:space="preserve">{html.escape(line)}</text>'
        for n, (kind, line) in enumerate(lines)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}" '
            'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13.4">',
            '<title>docent answers two questions about a folder</title>',
            f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#0d1117"/>',
            *rows,
            "</svg>",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "docent"))
    parser.add_argument("--home")
    arguments = parser.parse_args()
    lines = list(session(arguments.binary, arguments.home))[:-1]
    (ROOT / "docs" / "session.svg").write_text(svg(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
