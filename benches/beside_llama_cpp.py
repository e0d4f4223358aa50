#!/usr/bin/env python3
"""docent beside llama.cpp: the same file, the same threads, one after the other, three rounds, medians, ratios.

    python3 -m venv peer && peer/bin/pip install llama-cpp-python      # builds llama.cpp for this processor
    cargo build --release -p docent-cli
    benches/beside_llama_cpp.py --python peer/bin/python --model MODEL.gguf --depth 0,8192 [--pp 64,512] [--tg 32] [--threads 2]

llama.cpp runs with flash attention on and off, its weights not repacked; each figure is held against the better of the
two. Repacking halves its prefill of a mixture of experts and doubles its memory; --repack measures it all the same.

Nothing else should run: the last line of every round tells how much of the processors' time others took.
"""
import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time


def peer(arguments):
    """Runs in the other Python: one JSON object a depth, with the keys of `docent bench model --json`."""
    import llama_cpp as llama

    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model_parameters = llama.llama_model_default_params()
    model_parameters.use_extra_bufts = arguments.repack
    start = time.perf_counter()
    model = llama.llama_model_load_from_file(arguments.model.encode(), model_parameters)
    if not model:
        sys.exit(f"llama.cpp could not load {arguments.model}")
    load_s = time.perf_counter() - start
    depths = sorted(int(depth) for depth in arguments.depth.split(","))
    parameters = llama.llama_context_default_params()
    prefills = [int(pp) for pp in arguments.pp.split(",")]
    parameters.n_ctx = depths[-1] + sum(prefills) + len(prefills) * arguments.tg + 512
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_threads = parameters.n_threads_batch = arguments.threads
    parameters.flash_attn_type = 1 if arguments.flash == "on" else 0
    context = llama.llama_init_from_model(model, parameters)
    n_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    memory = llama.llama_get_memory(context)
    source = random.Random(1)

    def seconds(n):
        tokens = (llama.llama_token * n)(*[source.randrange(300, min(40000, n_vocab)) for _ in range(n)])
        start = time.perf_counter()
        if llama.llama_decode(context, llama.llama_batch_get_one(tokens, n)):
            sys.exit("llama.cpp failed")
        llama.llama_synchronize(context)
        return time.perf_counter() - start

    seconds(min(max(prefills), 512))  # warm-up: pages in the weights
    llama.llama_memory_clear(memory, True)
    at, fill_s = 0, 0.0
    for depth in depths:
        while at < depth:
            n = min(512, depth - at)
            fill_s += seconds(n)
            at += n
        for pp in prefills:
            read, written = seconds(pp), sum(seconds(1) for _ in range(arguments.tg))
            # It cannot forget a part of a sequence in a recurrent layer, so it goes on from here.
            at += pp + arguments.tg
            with open("/proc/self/status") as status:
                peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            print(json.dumps({
                "engine": "llama.cpp", "depth": depth, "pp": pp, "pp_tok_s": round(pp / read, 2),
                "tg_tok_s": round(arguments.tg / written, 2) if written else 0, "flash": arguments.flash,
                "threads": arguments.threads, "load_s": round(load_s, 2), "rss_gib": round(peak / 2**20, 2),
                "fill_s": round(fill_s, 2),
            }), flush=True)


def processor_seconds():
    """Busy time of all processors and that of this process's children."""
    with open("/proc/stat") as stat:
        user, nice, system = (int(field) for field in stat.readline().split()[1:4])
    children = os.times()
    return (user + nice + system) / os.sysconf("SC_CLK_TCK"), children[2] + children[3]


def lines_of(command):
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def compare(arguments):
    options = ["--model", arguments.model, "--depth", arguments.depth, "--pp", arguments.pp,
               "--tg", str(arguments.tg), "--threads", str(arguments.threads)]
    ours = [arguments.docent, "bench", "model", *options, "--json"]
    theirs = {
        flash: [arguments.python, __file__, "--peer", "--flash", flash, *options]
        + (["--repack"] if arguments.repack else [])
        for flash in arguments.flash.split(",")
    }
    figures = {}  # (engine, (depth, prefill), key) -> values of the rounds
    for round_number in range(1, arguments.rounds + 1):
        busy, own = processor_seconds()
        start = time.monotonic()
        for command in [ours, *theirs.values()]:
            for line in lines_of(command):
                engine = line["engine"] + (f" flash {line['flash']}" if "flash" in line else "")
                for key in ("pp_tok_s", "tg_tok_s", "rss_gib", "load_s", "fill_s"):
                    figures.setdefault((engine, (line["depth"], line["pp"]), key), []).append(line[key])
                print(f"round {round_number}: {json.dumps(line)}", flush=True)
        now_busy, now_own = processor_seconds()
        others = max(0.0, (now_busy - busy) - (now_own - own)) / (time.monotonic() - start)
        print(f"round {round_number}: others kept {others:.2f} processors busy", flush=True)
    report(figures)


def report(figures):
    engines = sorted({engine for engine, _, _ in figures})
    peers = [engine for engine in engines if engine != "docent"]
    for depth, pp in sorted({at for _, at, _ in figures}):
        for key, what in (("pp_tok_s", "read, tokens/s"), ("tg_tok_s", "written, tokens/s"),
                          ("rss_gib", "resident, GiB"), ("load_s", "load, s"), ("fill_s", "fill from 0, s")):
            median = {engine: statistics.median(figures[engine, (depth, pp), key]) for engine in engines}
            line = f"depth {depth:6} + {pp:4} {what:18}" + "".join(f"  {e} {median[e]:8.2f}" for e in engines)
            best = max(median[engine] for engine in peers) if key.endswith("tok_s") else None
            print(line + (f"  ratio {median['docent'] / best:.2f}" if best else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a Python that has llama-cpp-python")
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--model", required=True)
    parser.add_argument("--depth", default="0")
    parser.add_argument("--pp", default="512", help="tokens of prefills, e.g. 64,512")
    parser.add_argument("--tg", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flash", default="on,off", help="llama.cpp's flash attention: on, off or both")
    parser.add_argument("--repack", action="store_true", help="let llama.cpp repack its weights")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    (peer if arguments.peer else compare)(arguments)


if __name__ == "__main__":
    main()
