#!/usr/bin/env python3
"""How fast a folder is indexed, how large the index is, and how long searches take.

    benches/ingest.py                      5,000 files of one to six paragraphs, made of corpora/tour (tests/kill_ingest.py)
    benches/ingest.py --folder DIR         a folder of your own

Prints one JSON object a line: the first ingestion (seconds, files and passages a second, bytes of index for each byte of the files, by
store), an update with nothing to do, one with 1 % of the files edited, and the milliseconds of a search, median and 99th percentile, for
each mode with 1 and 8 clients in one process. Build first:

    cargo build --release --bin docent && cargo build --release -p docent --example search_latency
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from kill_ingest import Docent, Folder  # noqa: E402

STORES = {"catalog": ["catalog.sqlite"], "postings": ["postings/*"], "vectors": ["vectors/*"]}


def timed(docent, *arguments):
    started = time.monotonic()
    done = docent.run(*arguments, "--json", codes=(0, 3))
    return done, time.monotonic() - started


def tell(what, **figures):
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "release")
    parser.add_argument("--models", type=pathlib.Path, help="a folder with all-minilm-l6-v2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="docent-ingest-") as work:
        work = pathlib.Path(work).resolve()
        made = None if options.folder else Folder(work / "documents", 7, options.files)
        folder = (options.folder or work / "documents").resolve()
        docent = Docent(options.programs.resolve() / "docent", work / "home", options.models and options.models.resolve())
        docent.run("models", "pull", "all-minilm-l6-v2")

        summary, seconds = timed(docent, "add", folder)
        status = docent.run("status", "--json")
        n_files = summary["added"] + summary["skipped"] + summary["failed"]
        n_bytes = sum(document["bytes"] for document in docent.run("ls", "--json")["documents"])
        index = work / "home" / "data" / "index"
        sizes = {
            store: sum(file.stat().st_size for pattern in patterns for file in index.glob(pattern))
            for store, patterns in STORES.items()
        }
        tell(
            "ingest", files=n_files, indexed=summary["added"], passages=status["passages"], bytes=n_bytes, seconds=seconds,
            files_per_s=n_files / seconds, passages_per_s=status["passages"] / seconds,
            index_bytes_per_input_byte=sum(sizes.values()) / n_bytes,
            **{f"{store}_per_input_byte": size / n_bytes for store, size in sizes.items()},
        )
        _, seconds = timed(docent, "update")
        tell("update with nothing to do", seconds=seconds)
        if made:
            for name in made.random.sample(made.names, max(1, len(made.names) // 100)):
                (folder / name).write_text(made.text())
            summary, seconds = timed(docent, "update")
            tell("update with 1 % edited", changed=summary["changed"], seconds=seconds)
        questions = (ROOT / "corpora" / "tour-questions.jsonl").read_text().splitlines()
        questions = "\n".join(json.loads(line)["question"] for line in questions)
        program = options.programs / "examples" / "search_latency"
        for mode in ("lexical", "vector", "hybrid"):
            for clients in (1, 8):
                command = [str(program), str(docent.home), mode, str(clients), str(options.searches)]
                line = subprocess.run(command, input=questions, stdout=subprocess.PIPE, text=True, check=True).stdout
                tell("search", **json.loads(line))


if __name__ == "__main__":
    main()
