#!/usr/bin/env python3
"""How fast docent reads files of each format, beside poppler's pdftotext and Microsoft's markitdown.

    benches/extraction.py FOLDER... [--docent target/release/docent] [--markitdown PYTHON] [--reps 3] [--limit 40] [--processes 2]

Files are grouped by extension. Every program reads the files of a group in `--processes` processes at the same time, each with its share of
them: docent one process a share, pdftotext one a file, as it takes one, markitdown processes that were started before and stay, as
starting takes it seconds. Printed are the medians of `--reps` rounds, in which the programs take turns: MB/s of the files as they
are, files/s, the processors' seconds that the group took, and how many times those the peer's are: on a busy machine they are what
counts. PYTHON is an interpreter that has markitdown
(pip install 'markitdown[pdf,docx,pptx,xlsx]').
"""

import argparse
import collections
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

# Reads lines of JSON lists of files, and answers each with how many gave text.
MARKITDOWN = """
import json, sys, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from markitdown import MarkItDown
reader = MarkItDown()
print("ready", flush=True)
for line in sys.stdin:
    n = 0
    for name in json.loads(line):
        try:
            n += bool(reader.convert(name).text_content.strip())
        except Exception:
            pass
    print(n, flush=True)
"""


class Readers:
    """Processes that stay, so that what they take to start (seconds, for markitdown) is not what is measured."""

    def __init__(self, python, n):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.running = [subprocess.Popen([python, "-c", MARKITDOWN], **pipes) for _ in range(n)]
        for process in self.running:
            assert process.stdout.readline().strip() == "ready", "markitdown does not start"

    def cpu(self):
        """Seconds of processor time so far (proc(5): utime, stime and those of children)."""
        fields = [pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split() for process in self.running]
        return sum(int(tick) for row in fields for tick in row[11:15]) / os.sysconf("SC_CLK_TCK")

    def timed(self, files):
        begin, cpu = time.monotonic(), self.cpu()
        busy = list(zip(self.running, shares(files, len(self.running))))
        for process, share in busy:
            process.stdin.write(json.dumps(share) + "\n")
            process.stdin.flush()
        n_read = sum(int(process.stdout.readline()) for process, _ in busy)
        return time.monotonic() - begin, self.cpu() - cpu, n_read


def timed(commands):
    """Seconds until all have ended, run side by side, their processor time, and what they print."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    begin, cpu = time.monotonic(), used()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") for command in commands]
    outs = [process.communicate()[0] for process in running]
    return time.monotonic() - begin, used() - cpu, outs


def shares(files, n):
    return [share for share in (files[i::n] for i in range(n)) if share]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--markitdown", metavar="PYTHON")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--limit", type=int, default=40, help="files of each format")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    groups = collections.defaultdict(list)
    for folder in args.folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink() and file.suffix:
                groups[file.suffix[1:].lower()].append(str(file))
    programs = {"docent": lambda files: [[args.docent, "extract", "--json", *share] for share in shares(files, args.processes)]}
    programs["pdftotext"] = lambda files: [
        ["sh", "-c", 'for f; do pdftotext -q "$f" -; done', "sh", *share] for share in shares(files, args.processes)]
    readers = Readers(args.markitdown, args.processes) if args.markitdown else None
    print(f"{'format':8} {'files':>5} {'MB':>7}  {'program':10} {'MB/s':>8} {'files/s':>8} {'cpu s':>8} {'takes':>10}")
    for extension, files in sorted(groups.items()):
        files = files[: args.limit]
        megabytes = sum(pathlib.Path(file).stat().st_size for file in files) / 1e6
        names = ["docent"] + ["pdftotext"] * (extension == "pdf") + ["markitdown"] * bool(readers)
        seconds, cpus = {name: [] for name in names}, {name: [] for name in names}
        n_read = {}
        for _ in range(args.reps):
            for name in names:
                if name == "markitdown":
                    took, cpu, n_read[name] = readers.timed(files)
                else:
                    took, cpu, outs = timed(programs[name](files))
                if name == "docent":
                    n_read[name] = sum(out.count('"outcome":"text"') for out in outs)
                seconds[name].append(took)
                cpus[name].append(cpu)
        medians = {name: statistics.median(took) for name, took in seconds.items()}
        cpu = {name: statistics.median(used) for name, used in cpus.items()}
        for name in names:
            speed = f"{cpu[name] / cpu['docent']:9.1f}x" if name != "docent" else ""
            read = f" ({n_read[name]} with text)" if name in n_read else ""
            print(f"{extension:8} {len(files):5} {megabytes:7.1f}  {name:10} {megabytes / medians[name]:8.1f} {len(files) / medians[name]:8.1f} {cpu[name]:8.3f} {speed}{read}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
