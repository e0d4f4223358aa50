#!/usr/bin/env python3
"""Samples passages and looks whether their anchors point to where their words are.

    tests/anchors.py FOLDER... [--docent target/release/docent] [--blocks 20] [--seed 1] [--json]

Of each file at most `--blocks` blocks of `docent extract --json` are drawn and held against the file, read by other means:

    in place (same_as_file)   the bytes of the file at the block's span are the block's text
    pdf                       pdftotext's words of the page it cites hold at least four fifths of the block's words, and no other page more
    pptx, odp, xlsx, ods      the words are on the slide or in the sheet of that number, as the file's own XML tells it
    spreadsheets              the cells of the range it cites hold the words of its rows (XLSX, CSV), read by themselves

A block of fewer than four words says too little about a page, and is not drawn there. Formats without pages or spans of the file (HTML, DOCX, mail, ...)
have nothing to check. The exit status is 0 if at least 99 % of the sampled anchors are right.
"""

import argparse
import collections
import csv
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

WORD = re.compile(r"\w+")
ENOUGH = 0.8
# A date as docent shows it, its words parted by blanks, and as XLSX keeps it: a number of days.
DATE = re.compile(r"\b\d{4} \d\d \d\d\b")
SERIAL = re.compile(r"[2-5]\d{4}")
PAGED = {"pdf", "pptx", "xlsx", "ods", "odp"}


def words(text):
    return [word.casefold() for word in WORD.findall(text)]


def share(wanted, there):
    """How much of `wanted` is `there`, counted with repetitions."""
    wanted, there = collections.Counter(wanted), collections.Counter(there)
    return sum((wanted & there).values()) / max(1, sum(wanted.values()))


def pdf_pages(path):
    text = subprocess.run(["pdftotext", "-q", path, "-"], capture_output=True).stdout.decode("utf-8", "replace")
    # A word cut at a line's end is mended by docent, and ligatures are letters.
    return [words(re.sub(r"-\n\s*", "", page)) + words(page) for page in text.split("\f")]


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def xml_text(element):
    return words(" ".join("".join(p.itertext()) for p in element.iter() if local(p) in ("p", "t", "v")) + " " + " ".join(element.itertext()))


def related(archive, part, kind):
    """Targets of a part's relationships of a kind, by id."""
    folder, _, name = part.rpartition("/")
    root = ElementTree.fromstring(archive.read(f"{folder}/_rels/{name}.rels"))
    wanted = [r for r in root if r.get("Type", "").endswith(kind)]
    return {r.get("Id"): (r.get("Target").lstrip("/") if r.get("Target").startswith("/") else f"{folder}/{r.get('Target')}") for r in wanted}


def in_order(archive, part, kind, element):
    targets = related(archive, part, kind)
    ids = [[v for k, v in e.attrib.items() if k.endswith("}id")] for e in ElementTree.fromstring(archive.read(part)).iter() if local(e) == element]
    return [targets[i[0]] for i in ids if i and i[0] in targets]


def pptx_pages(path):
    with zipfile.ZipFile(path) as archive:
        pages = []
        for part in in_order(archive, "ppt/presentation.xml", "/slide", "sldId"):
            text = xml_text(ElementTree.fromstring(archive.read(part)))
            try:
                for notes in related(archive, part, "/notesSlide").values():
                    text += xml_text(ElementTree.fromstring(archive.read(notes.replace("slides/../", ""))))
            except KeyError:  # no notes
                pass
            pages.append(text)
        return pages


def column_of(letters):
    n = 0
    for letter in letters:
        n = n * 26 + ord(letter) - 64
    return n


def xlsx_sheets(path):
    """For each sheet, what its cells hold: {(row, column): words}. Dates are numbers there, and are compared nowhere."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        strings = []
        if "xl/sharedStrings.xml" in names:
            for item in ElementTree.fromstring(archive.read("xl/sharedStrings.xml")):
                strings.append("".join(t.text or "" for t in item.iter() if local(t) == "t"))
        sheets = []
        for part in in_order(archive, "xl/workbook.xml", "/worksheet", "sheet"):
            cells = {}
            for cell in (e for e in ElementTree.fromstring(archive.read(part)).iter() if local(e) == "c"):
                value = "".join(v.text or "" for v in cell.iter() if local(v) in ("v", "t"))
                value = strings[int(value)] if cell.get("t") == "s" and value else value
                letters, row = re.match(r"([A-Z]+)(\d+)", cell.get("r")).groups()
                cells[int(row), column_of(letters)] = words(value)
            sheets.append(cells)
        return sheets


def csv_sheet(path):
    text = path.read_bytes().decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    separator = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    return {(row, column): words(cell) for row, cells in enumerate(reader, 1) for column, cell in enumerate(cells, 1)}


def odf_pages(path, element):
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("content.xml"))
    return [xml_text(page) for page in root.iter() if local(page) == element]


def in_range(cells, text):
    first, _, last = text.partition(":")
    (left, top), (right, bottom) = (re.match(r"([A-Z]+)(\d+)$", cell).groups() for cell in (first, last or first))
    rows, columns = range(int(top), int(bottom) + 1), range(column_of(left), column_of(right) + 1)
    return [word for row in rows for column in columns for word in cells.get((row, column), [])]


class File:
    """A file, its blocks, and what is known of its pages and cells by other means."""

    def __init__(self, path, told):
        self.path, self.told = path, told
        self.text = told["text"].encode()
        self.format = told["format"]
        self.bytes = path.read_bytes() if told["same_as_file"] else b""
        self.pages, self.sheets = [], None
        if self.format == "pdf":
            self.pages = pdf_pages(path)
        elif self.format == "pptx":
            self.pages = pptx_pages(path)
        elif self.format in ("odp", "ods"):
            self.pages = odf_pages(path, "page" if self.format == "odp" else "table")
        elif self.format == "xlsx":
            self.sheets = xlsx_sheets(path)
        elif self.format == "csv":
            self.sheets = [csv_sheet(path)]

    def checked(self, block):
        """The anchors of a block: (kind, right or not) for each."""
        text = self.text[block["byte_start"]:block["byte_end"]]
        said = words(text.decode())
        if self.told["same_as_file"]:
            yield "span", self.bytes[block["byte_start"]:block["byte_end"]] == text
        if self.pages and len(said) >= 4:
            yield f"{self.format} page", self.page_is_right(said, block["page"])
        if self.sheets is not None and block.get("cells"):
            sheet = self.sheets[(block["page"] or 1) - 1]
            there = [word for word in in_range(sheet, block["cells"]) if not SERIAL.fullmatch(word)]
            # Neither more nor less than its rows; a header that is repeated stands elsewhere.
            body = words(re.sub(r"\A.*\n\|( --- \|)+\n", "", text.decode())) if self.format != "csv" else said
            body, said = words(DATE.sub("", " ".join(body))), words(DATE.sub("", " ".join(said)))
            yield f"{self.format} cells", share(body, there) >= ENOUGH and share(there, said) >= ENOUGH

    def page_is_right(self, said, page):
        if page is None or page > len(self.pages):
            return False
        here = share(said, self.pages[page - 1])
        # A page that merely repeats the words is as good; one that holds clearly more of them is where they are.
        best = max(share(said, other) for other in self.pages[max(0, page - 3):page + 2])
        return here >= ENOUGH and here >= best - 0.1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object a line for each anchor that is wrong")
    args = parser.parse_args()
    random.seed(args.seed)
    right, wrong = collections.Counter(), []
    n_files = 0
    for path in sorted(f for folder in args.folders for f in (folder.rglob("*") if folder.is_dir() else [folder])):
        if not path.is_file() or path.is_symlink():
            continue
        out = subprocess.run([args.docent, "extract", "--json", path], capture_output=True).stdout
        told = json.loads(out or '{"outcome": "failed"}')
        if told["outcome"] != "text" or not (told["same_as_file"] or told["format"] in PAGED | {"csv"}):
            continue
        n_files += 1
        file = File(path, told)
        for block in random.sample(told["blocks"], min(args.blocks, len(told["blocks"]))):
            for kind, is_right in file.checked(block):
                right[kind] += is_right
                if not is_right:
                    words_of = file.text[block["byte_start"]:block["byte_end"]].decode()[:100]
                    wrong.append({"file": str(path), "kind": kind, "page": block["page"], "cells": block.get("cells"), "text": words_of})
    of = collections.Counter(row["kind"] for row in wrong)
    for row in wrong:
        print(json.dumps(row) if args.json else f"{row['kind']}: {row['file']} page {row['page']} {row['cells'] or ''}: {row['text']!r}")
    for kind in sorted(right | of):
        print(f"{kind:12} {right[kind]:6} of {right[kind] + of[kind]:6} right")
    n_all = sum(right.values()) + len(wrong)
    print(f"{n_files} files, {n_all} anchors, {sum(right.values()) / max(1, n_all):.2%} right")
    return 0 if n_all and sum(right.values()) >= 0.99 * n_all else 1


if __name__ == "__main__":
    sys.exit(main())
