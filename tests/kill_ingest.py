#!/usr/bin/env python3
"""Kills an ingestion at random instants, changes the folder in between, and holds what comes out against an index built in one go.

    tests/kill_ingest.py                           200 kills, 2,000 files
    tests/kill_ingest.py --kills 12 --files 120    the small version

A folder of files of one to six paragraphs, pieces of corpora/tour and variants of them, is added; `docent update` is killed (SIGKILL)
after a random time, some files are written, edited, deleted and renamed, and so on. Now and then `doctor --index --dry-run` looks at what
a killed process left: nothing may be wrong with the stores, whatever the files on disk are by then. After a last `update`,
`doctor --index` must find nothing at all, and the index must hold what one built in one go holds: the same files with the same
texts, passages, places, vectors (cosine above 0.9999) and hits (near copies apart: see `unmatched`).

Also told: how much was done twice. Needs the embedding model in --models (a folder as `docent models path` names it, above the model's
own), or it is pulled. The catalog is read with SQLite, as indexes/README.md draws it.
"""

import argparse
import array
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORDS = "harbour ledger copper meadow winter kettle orbit violin granite lantern saffron tunnel orchard pigeon".split()


def paragraphs():
    """Real text: the paragraphs of the sample folder's plain documents."""
    found = []
    for path in sorted((ROOT / "corpora" / "tour").rglob("*")):
        if path.suffix in (".md", ".txt", ".rst", ".org"):
            parts = path.read_text(errors="replace").split("\n\n")
            found += [part.strip() for part in parts if 80 < len(part.strip()) < 900]
    return found


class Folder:
    """The documents, changed at random with a fixed seed."""

    def __init__(self, path, seed, n_files):
        self.path, self.random, self.pieces = path, random.Random(seed), paragraphs()
        self.names, self.serial = [], 0
        for _ in range(n_files):
            self.add()

    def text(self):
        chosen = self.random.choices(self.pieces, k=self.random.choice([1, 1, 1, 2, 2, 6]))
        parts = []
        for piece in chosen:
            words = piece.split(" ")
            for _ in range(3):  # a variant: no two files are alike, so every passage has to be embedded
                words.insert(self.random.randrange(len(words) + 1), self.random.choice(WORDS))
            parts.append(" ".join(words))
        return "\n\n".join(parts) + "\n"

    def add(self):
        self.serial += 1
        ending = self.random.choice(["md", "txt", "txt", "rst"])
        name = f"{self.random.choice(WORDS)}/{self.serial:05}-{self.random.choice(WORDS)}.{ending}"
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text())
        self.names.append(name)

    def change(self, n):
        for _ in range(n):
            what = self.random.choice(["add", "edit", "delete", "rename"])
            if what == "add" or len(self.names) < 10:
                self.add()
                continue
            at = self.random.randrange(len(self.names))
            file = self.path / self.names[at]
            if what == "edit":
                file.write_text(self.text())
            elif what == "delete":
                file.unlink()
                self.names.pop(at)
            else:
                self.serial += 1
                to = self.path / self.random.choice(WORDS) / f"{self.serial:05}-moved{file.suffix}"
                to.parent.mkdir(parents=True, exist_ok=True)
                file.rename(to)
                self.names[at] = str(to.relative_to(self.path))


class Docent:
    def __init__(self, program, home, models):
        self.program, self.home = program, home
        if models:
            (home / "cache").mkdir(parents=True, exist_ok=True)
            (home / "cache" / "models").symlink_to(models)

    def command(self, *arguments):
        return [str(self.program), "--home", str(self.home), "--quiet", *map(str, arguments)]

    def run(self, *arguments, codes=(0,)):
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode not in codes:
            sys.exit(f"docent {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def kill_after(self, seconds, *arguments):
        """Whether it was still running then, and for how long it ran."""
        started = time.monotonic()
        process = subprocess.Popen(
            self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(seconds)
            return False, time.monotonic() - started
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its own workers too: nobody is left to finish anything
            process.wait()
            return True, seconds


def content(home, folder):
    """Everything an index holds, without its numbers."""
    index = home / "data" / "index"
    catalog = sqlite3.connect(index / "catalog.sqlite")
    catalog.text_factory = lambda raw: raw.decode()
    serial, dim = catalog.execute("SELECT vector_serial, vector_dim FROM state").fetchone()
    raw = (index / "vectors" / f"{serial}.f32").read_bytes()[64:]
    numbers = array.array("f", raw[: len(raw) // 4 * 4])
    held, vectors = {}, {}
    files = catalog.execute(
        "SELECT id, path, size, hash, fate, reason, format, title, language, same_as_file, pages, n_chunks, n_bytes_text FROM files"
    ).fetchall()
    for doc, path, *line in files:
        name = os.fsdecode(path).removeprefix(str(folder) + "/")
        text = b"".join(row[0] for row in catalog.execute("SELECT data FROM texts WHERE doc = ? ORDER BY block", [doc]))
        chunks = catalog.execute(
            "SELECT start, end, line_start, line_end, page, headings, vector_row FROM chunks WHERE doc = ? ORDER BY id", [doc]
        ).fetchall()
        held[name] = (tuple(line), text, tuple(chunk[:6] for chunk in chunks))
        for chunk in chunks:
            row = chunk[6]
            vectors[name, chunk[0]] = None if row is None else numbers[row * dim : (row + 1) * dim]
    return held, vectors


def shingles(text):
    words = text.lower().split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def unmatched(hits, others):
    """The hits that are neither among the others nor a near copy of one of them.

    Of near copies (nine tenths of their five-word runs in common) search shows the one that it ranks first, and the ranking of equals
    depends on the order in which they came into the index: the one thing that may differ.
    """
    known = [shingles(text) for text in others.values()]
    lost = []
    for place in set(hits) - set(others):
        mine = shingles(hits[place])
        if not any(len(mine & theirs) >= 0.899 * len(mine | theirs) for theirs in known):
            lost.append(place)
    return lost


def differences(docent, other, folder):
    (held, vectors), (held_once, vectors_once) = content(docent.home, folder), content(other.home, folder)
    found = []
    for name in sorted(set(held) | set(held_once)):
        if held.get(name) != held_once.get(name):
            found.append(f"{name}: {held.get(name)} is not {held_once.get(name)}")
    for key in sorted(set(vectors) & set(vectors_once)):
        a, b = vectors[key], vectors_once[key]
        if a is None or b is None or sum(x * y for x, y in zip(a, b)) < 0.9999:
            found.append(f"{key}: another vector")
    # Folder by folder: a page holds 1000 hits, and of more than that which come is decided by scores that depend on history.
    asked = [(query, place) for query in WORDS + ["the notice period", "photosynthesis", "00017"] for place in WORDS]
    for query, place in asked:
        hits = [
            {(hit["path"], hit["byte_start"], hit["byte_end"]): hit["text"] for hit in found_by.run(
                "search", "--json", "--mode", "lexical", "-n", 1000, "--path", folder / place, query, codes=(0, 1))["hits"]}
            for found_by in (docent, other)
        ]
        too_many, too_few = unmatched(*hits), unmatched(*reversed(hits))
        if too_many or too_few:
            found.append(f"{query!r} in {place}: hits too many {too_many}, too few {too_few}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--changes", type=int, default=20, help="files changed between two kills, on average")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--docent", type=pathlib.Path, default=ROOT / "target" / "release" / "docent")
    parser.add_argument("--models", type=pathlib.Path, help="a folder with all-minilm-l6-v2")
    options = parser.parse_args()
    chance = random.Random(options.seed + 1)
    with tempfile.TemporaryDirectory(prefix="docent-kill-") as work:
        work = pathlib.Path(work).resolve()
        documents = work / "documents"
        folder = Folder(documents, options.seed, options.files)
        docent = Docent(options.docent.resolve(), work / "killed", options.models and options.models.resolve())
        docent.run("models", "pull", "all-minilm-l6-v2")
        started = time.monotonic()
        n_killed = n_looked = 0
        longest = at_most = max(2.0, options.files / 100)
        add = ["add", documents]
        while n_killed < options.kills:
            killed, lasted = docent.kill_after(chance.uniform(0.05, longest), *add)
            n_killed += killed
            # Instants are spread over what an ingestion takes now: minutes at first, then what the changes take.
            longest = min(longest * 1.2, at_most) if killed else max(lasted, 0.5)
            if (documents.parent / "killed" / "data" / "index" / "catalog.sqlite").exists() and chance.random() < 0.1:
                check = docent.run("doctor", "--index", "--dry-run", "--json", codes=(0, 1))
                broken = [fault for fault in check["faults"] if fault["store"] != "files"]
                if broken:
                    sys.exit(f"after kill {n_killed}: {broken}")
                n_looked += 1
            folder.change(chance.randrange(2 * options.changes))
            if killed and n_killed % 20 == 0:
                print(f"{n_killed} kills, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        last = docent.run("add", documents, "--json")
        again = docent.run("update", "--json")
        check = docent.run("doctor", "--index", "--json", codes=(0, 1))
        once = Docent(docent.program, work / "once", options.models and options.models.resolve())
        once.run("models", "pull", "all-minilm-l6-v2")
        once.run("add", documents)
        found = differences(docent, once, documents)
        n_passages = check["passages"]
        print(f"{n_killed} kills, {n_looked} looks at what a killed process left: nothing wrong with the stores")
        print(f"after the last update: {check['documents']} documents, {n_passages} passages, {len(check['faults'])} faults")
        print(f"the last add did {json.dumps(last)}")
        print(f"against an index built in one go: {len(found)} differences")
        for line in found[:20]:
            print(f"  {line[:400]}")
        settled = all(again[key] == 0 for key in ("added", "changed", "renamed", "removed", "embedded_passages"))
        if not settled:
            print(f"an update with nothing to do did {json.dumps(again)}")
        return 0 if check["clean"] and not found and settled else 1


if __name__ == "__main__":
    sys.exit(main())
