#!/usr/bin/env python3
"""A server under search: requests a second, latencies, errors and memory while documents come in.

    benches/search_load.py --home HOME [--connections 64] [--seconds 60] [--requests 100000] [--queries FILE]

HOME has an index, of any size; the models are in it, too. Three parts, each a line of JSON:

1. `quiet`: so many connections search for so many seconds.
2. `update`: the same while `docent add` takes in 2,000 files of one to six paragraphs (made of corpora/tour), which are forgotten afterwards.
   The bench fails if the adding ends before the searching does, or does not end well.
3. `many`: so many requests as are wished for, and the server's resident memory (MiB) after each tenth of them.

Queries are the first words of the index's own documents, a thousand of them, or FILE's lines; each connection goes through them in turn. Any status but
200 and any answer without hits is an error. Needs `wrk` (https://github.com/wg/wrk, a package of most systems).
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from kill_ingest import Folder  # noqa: E402
from serving import command  # noqa: E402

# wrk counts statuses above 399 by itself; an empty answer is counted here, in the thread that read it.
SCRIPT = """
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local threads, at = {}, 0
empty = 0
function setup(thread) threads[#threads + 1] = thread end
function init() math.randomseed(os.time()); at = math.random(#bodies) end
function request()
  at = at % #bodies + 1
  return wrk.format("POST", "/v1/search", {["Content-Type"] = "application/json"}, bodies[at])
end
function response(status, headers, body)
  if status == 200 and not body:find('"path"', 1, true) then empty = empty + 1 end
end
function done(summary, latency)
  local without = 0
  for _, thread in ipairs(threads) do without = without + thread:get("empty") end
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "seconds": %.1f, "p50_ms": %.1f, "p99_ms": %.1f, "p99.9_ms": %.1f, "status_errors": %d, "connection_errors": %d, "empty": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout, without))
end
"""


def queries(docent, given):
    if given:
        return [line for line in given.read_text().splitlines() if line.strip()]
    documents = json.loads(subprocess.check_output([*docent, "ls", "--json"]))["documents"]
    found = []
    for document in documents[:: max(1, len(documents) // 1000)]:
        try:
            words = pathlib.Path(document["path"]).read_text(errors="replace").split()
        except OSError:
            continue
        if words:
            found.append(" ".join(words[:8]))
    return found


def resident_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def search(address, folder, bodies, connections, seconds):
    script = folder / "post.lua"
    script.write_text(SCRIPT)
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", script, address]
    output = subprocess.check_output(arguments, text=True, env={**os.environ, "BODIES": str(bodies)})
    found = json.loads(output.strip().splitlines()[-1])
    found["requests_a_second"] = round(found["requests"] / found["seconds"], 1)
    return found


def faults(found):
    return found["status_errors"] + found["connection_errors"] + found["empty"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--docent")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--queries", type=pathlib.Path)
    parser.add_argument("--parts", default="quiet,update,many")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not here: install it, it is a package of most systems")
    docent = [command(options.docent), "--home", str(options.home)]
    work = pathlib.Path(tempfile.mkdtemp(prefix="docent-load-")).resolve()
    n_faults = 0
    bodies = work / "bodies.jsonl"
    bodies.write_text("".join(json.dumps({"query": query}) + "\n" for query in queries(docent, options.queries)))
    with open(work / "log", "w") as log:
        serve = [*docent, "serve", "--listen", "127.0.0.1:0", "--log", "off"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
        address = server.stdout.readline().strip()
    if not address:
        sys.exit(f"the server did not start: {(work / 'log').read_text()}")
    try:
        search(address, work, bodies, 2, 2)  # models are open and files in memory
        for part in options.parts.split(","):
            before, found = resident_mib(server), {}
            if part == "quiet":
                found = search(address, work, bodies, options.connections, options.seconds)
            elif part == "update":
                made = Folder(work / "made", 7, 2000)
                adding = subprocess.Popen([*docent, "add", made.path, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                time.sleep(2)
                found = search(address, work, bodies, options.connections, options.seconds)
                found["still_adding"] = adding.poll() is None
                said = adding.communicate()[1]
                found["added"] = adding.returncode == 0
                subprocess.run([*docent, "rm", made.path], check=True, capture_output=True)
                n_faults += not (found["still_adding"] and found["added"])
                if not found["added"]:
                    print(said, file=sys.stderr)
            elif part == "many":
                found = dict.fromkeys(["requests", "seconds", "status_errors", "connection_errors", "empty"], 0)
                memory = [round(before)]
                while found["requests"] < options.requests:
                    piece = search(address, work, bodies, options.connections, 20)
                    found = {key: round(number + piece[key], 1) for key, number in found.items()}
                    reached = 10 * found["requests"] // options.requests
                    memory += [round(resident_mib(server))] * (reached + 1 - len(memory))
                found["resident_mib"] = memory
            n_faults += faults(found)
            print(json.dumps({"what": part, **found, "mib_before": round(before), "mib_after": round(resident_mib(server))}), flush=True)
    finally:
        server.terminate()
        ended = server.wait(60)
        shutil.rmtree(work)
    print("ok" if not n_faults and ended == 0 else f"failed: {n_faults} faults, the server ended with {ended}")
    return 0 if not n_faults and ended == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
