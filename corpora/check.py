#!/usr/bin/env python3
"""Checks that the sample documents are what the manifest says, and that every question can be answered from them.

    python3 corpora/check.py            check everything, exit 1 on a fault
    python3 corpora/check.py --update   write the sha256 of changed files into MANIFEST.tsv (new files need a line first)

What is checked:
1. every file under tour/ and hostile/ has one line in MANIFEST.tsv, every line has its file, and the sha256 agrees;
2. every licence named there is explained in licences/;
3. every question names a document of tour/, ids are unique, and the phrase is in that document's text;
4. every document of answerability/ has a title of its own, and sections with as many questions of both kinds as the README says.

Text, Markdown, source code, HTML and DOCX are read here with the standard library alone. PDF is not: its phrases are
only looked at for being present, unless `pdftotext` (poppler) is installed.
"""

import argparse
import csv
import hashlib
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
MANIFEST = HERE / "MANIFEST.tsv"
COLUMNS = ["path", "title", "source", "author", "licence", "sha256", "conversion"]
# Each set: file, whether its questions have an answer in the documents (None: the line says so itself).
QUESTION_SETS = [
    ("tour-questions.jsonl", True),
    ("tour-unanswerable.jsonl", False),
    ("tour-qa.jsonl", None),
    ("tour-qa2.jsonl", None),
]


class TextOfHtml(html.parser.HTMLParser):
    """Collects what a reader sees: everything but scripts and styles."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = []
        self.hidden = 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def text_of(path):
    """The text of a document, or None where the standard library cannot tell."""
    if path.suffix == ".pdf":
        if shutil.which("pdftotext") is None:
            return None
        return subprocess.run(["pdftotext", "-q", str(path), "-"], capture_output=True, check=True).stdout.decode("utf-8")
    if path.suffix == ".docx":
        word = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
        with zipfile.ZipFile(path) as archive:
            root = xml.etree.ElementTree.fromstring(archive.read("word/document.xml"))
        return "\n".join("".join(t.text or "" for t in p.iter(word + "t")) for p in root.iter(word + "p"))
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".html", ".htm"):
        parser = TextOfHtml()
        parser.feed(text)
        return "".join(parser.parts)
    return text


def collapse(text):
    """Runs of white space as one space, typographic ligatures and soft line ends as plain letters."""
    for ligature, letters in (("\ufb01", "fi"), ("\ufb02", "fl"), ("\ufb00", "ff"), ("\ufb03", "ffi"), ("\ufb04", "ffl")):
        text = text.replace(ligature, letters)
    return re.sub(r"\s+", " ", text).strip()


def check_manifest(update):
    faults = []
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if reader.fieldnames != COLUMNS:
            return [f"MANIFEST.tsv: the columns must be {', '.join(COLUMNS)}"]
        rows = list(reader)
    listed = {}
    licences = {path.stem for path in (HERE / "licences").iterdir()}
    for row in rows:
        name = row["path"]
        if name in listed:
            faults.append(f"{name}: listed twice in MANIFEST.tsv")
        listed[name] = row
        if any(not row[column] for column in COLUMNS if column != "sha256"):
            faults.append(f"{name}: an empty column in MANIFEST.tsv")
        for licence in row["licence"].split(" OR "):
            if licence not in licences:
                faults.append(f"{name}: licence {licence!r} is not explained in licences/")
        path = HERE / name
        if not path.is_file():
            faults.append(f"{name}: listed in MANIFEST.tsv but not there")
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if update:
            row["sha256"] = digest
        elif digest != row["sha256"]:
            faults.append(f"{name}: its sha256 is {digest}, MANIFEST.tsv says {row['sha256']}")
    for folder in ("tour", "hostile"):
        for path in sorted((HERE / folder).rglob("*")):
            name = path.relative_to(HERE).as_posix()
            if path.is_file() and name not in listed:
                faults.append(f"{name}: not listed in MANIFEST.tsv")
    if update:
        lines = ["\t".join(COLUMNS)] + ["\t".join(row[column] for column in COLUMNS) for row in rows]
        MANIFEST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return faults


def check_questions(notes):
    faults, texts, seen = [], {}, {}
    for set_name, answerable in QUESTION_SETS:
        path = HERE / set_name
        if not path.exists():
            faults.append(f"{set_name}: missing")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{set_name}:{number}"
            try:
                question = json.loads(line)
            except json.JSONDecodeError as error:
                faults.append(f"{where}: not JSON: {error}")
                continue
            identity = question.get("id")
            if not identity or not question.get("question"):
                faults.append(f"{where}: a question needs an id and a text")
            elif identity in seen:
                faults.append(f"{where}: id {identity} is used at {seen[identity]} too")
            seen[identity] = where
            if not (question.get("answerable") if answerable is None else answerable):
                if "path" in question:
                    faults.append(f"{where}: a question without an answer must not name a document")
                continue
            document = HERE / "tour" / question.get("path", "")
            if not question.get("phrase") or not question.get("answer") or not document.is_file():
                faults.append(f"{where}: needs a phrase, an answer and the path of a document in tour/")
                continue
            if document not in texts:
                text = text_of(document)
                texts[document] = None if text is None else collapse(text)
                if text is None:
                    notes.append(f"{question['path']}: phrases not looked up, pdftotext is not installed")
            if texts[document] is not None and collapse(question["phrase"]) not in texts[document]:
                faults.append(f"{where}: the phrase is not in {question['path']}: {question['phrase']!r}")
    notes.append(f"{len(seen)} questions")
    return faults


def check_answerability(notes):
    faults, titles = [], set()
    for path in sorted((HERE / "answerability").glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            document = json.loads(line)
            if document["title"] in titles:
                faults.append(f"answerability/{path.name}:{number}: the title {document['title']!r} is there twice")
            titles.add(document["title"])
            sections = document["sections"]
            is_whole = lambda section: section["text"] and len(section["yes"]) == len(section["no"]) == 3
            if len(sections) != 5 or not all(map(is_whole, sections)):
                faults.append(f"answerability/{path.name}:{number}: needs 5 sections with a text and 3 questions of both kinds")
    notes.append(f"{len(titles)} documents with questions to train on")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the sha256 of changed files into MANIFEST.tsv")
    update = parser.parse_args().update
    notes = []
    faults = check_manifest(update) + check_questions(notes) + check_answerability(notes)
    for note in notes:
        print(f"note: {note}")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    print("corpora: " + (f"{len(faults)} faults" if faults else "all well"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
