#!/usr/bin/env python3
"""How much of the text of PDFs docent reads, and in which order, beside poppler's pdftotext.

    benches/pdf_quality.py FILE-OR-FOLDER... [--docent target/release/docent] [--worst N] [--json]
    benches/pdf_quality.py FOLDER --peer pdfium        pypdfium2's text beside docent's, where that is installed

For each file: the F1 of words and of pairs of neighbouring words against pdftotext's, as multisets. What both do to a word
is undone first: ligatures and other compatibility forms (NFKC), hyphens (one at a line's end may be the word's or the
typesetter's), case. A character of Chinese or Japanese is a word. docent drops running heads and page numbers, so lines that
pdftotext gives at the top or bottom of at least a fifth of the pages (digits aside) count in neither text.
"""

import argparse
import collections
import json
import pathlib
import re
import statistics
import subprocess
import sys
import unicodedata

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
EDGE = 2  # lines at either end of a page that may be a running head


def words(text):
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "-")
    text = re.sub(r"(?<=\w)[-\u2010\u2011]+\s*\n\s*(?=\w)", "", text)
    text = re.sub(r"(?<=\w)[-\u2010\u2011](?=\w)", "", text)
    return WORD.findall(text.lower())


def without_heads(text):
    """Pages of pdftotext without lines that come back at their edges."""
    pages = [[line for line in page.splitlines() if line.strip()] for page in text.split("\f")]
    key = lambda line: re.sub(r"\d+", "#", line.strip())
    edges = lambda page: set(range(min(EDGE, len(page)))) | set(range(max(0, len(page) - EDGE), len(page)))
    seen = collections.Counter()
    for page in pages:
        seen.update({key(page[i]) for i in edges(page)} if len(page) > 2 * EDGE else set())
    needed = max(3, len(pages) // 5)
    keep = lambda page, i: len(page) <= 2 * EDGE or i not in edges(page) or seen[key(page[i])] < needed
    return "\n".join("\n".join(line for i, line in enumerate(page) if keep(page, i)) + "\n" for page in pages)


def f1(ours, theirs):
    if not ours or not theirs:
        return 0.0
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values()))


def score(text, reference):
    ours, theirs = words(text), words(reference)
    pairs = lambda all_words: collections.Counter(zip(all_words, all_words[1:]))
    return f1(collections.Counter(ours), collections.Counter(theirs)), f1(pairs(ours), pairs(theirs))


def by_pdfium(path):
    import pypdfium2

    with pypdfium2.PdfDocument(path) as pdf:
        return "\n".join(page.get_textpage().get_text_range() for page in pdf)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--peer", choices=["pdfium"])
    parser.add_argument("--min-words", type=int, default=100, help="files with fewer words by pdftotext are left out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    files = [f for path in args.paths for f in (sorted(path.rglob("*.pdf")) if path.is_dir() else [path])]
    rows = []
    for file in files:
        run = subprocess.run(["pdftotext", "-q", file, "-"], capture_output=True)
        reference = run.stdout.decode("utf-8", "replace")
        if len(words(reference)) < args.min_words:
            continue
        told = json.loads(subprocess.run([args.docent, "extract", "--json", file], capture_output=True).stdout or "{}")
        reference = without_heads(reference)
        row = {"file": str(file), "reason": told.get("reason"), "docent": score(told.get("text", ""), reference)}
        row["words"] = len(words(reference))
        if args.peer:
            try:
                row["peer"] = score(by_pdfium(file), reference)
            except Exception as error:  # a peer that fails has read nothing
                row["peer"] = (0.0, 0.0)
                row["peer_error"] = str(error)
        rows.append(row)
        if args.json:
            print(json.dumps(row), flush=True)
    if args.json or not rows:
        return 0 if rows else 1
    rows.sort(key=lambda row: row["docent"])
    print(f"{'docent':>12} {'peer':>12}  {'words':>7}  file")
    for row in rows:
        pair = lambda name: "{:.3f}/{:.3f}".format(*row[name]) if name in row else ""
        print(f"{pair('docent'):>12} {pair('peer'):>12}  {row['words']:>7}  {row['file']} {row['reason'] or ''}")
    for name in ("docent", "peer"):
        scores = [row[name] for row in rows if name in row]
        if scores:
            medians = [statistics.median(column) for column in zip(*scores)]
            below = sum(1 for word, pair in scores if word < 0.9 or pair < 0.7)
            print(f"{name}: median {medians[0]:.3f}/{medians[1]:.3f} of {len(scores)} files, {below} below .9/.7")
    return 0


if __name__ == "__main__":
    sys.exit(main())
