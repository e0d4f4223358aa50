#!/usr/bin/env python3
"""The second question about the same text, in a new process: docent's prefix store beside llama.cpp's saved sequence state.

    cargo build --release -p docent-cli
    benches/prefix_store.py --model MODEL.gguf --tokens 8192 [--question 64] [--python peer/bin/python] [--threads 2]

Both engines read TOKENS tokens and a question, keep what they can, end; then a new process is asked another question behind the
same tokens. Seconds are from the start of the process until the logits of the last token are there: time to first token. llama.cpp
saves the sequence's state to a file after the tokens (llama_state_seq_save_file) and loads it in the new process; the better of
flash attention on and off counts. --python names a Python that has llama-cpp-python; without it docent runs alone.
"""
import argparse
import ctypes
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time


def peer(arguments):
    """Runs in the other Python: reads or restores, answers, tells."""
    import llama_cpp as llama

    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model_parameters = llama.llama_model_default_params()
    model_parameters.use_extra_bufts = False  # repacking doubles memory and halves its prefill of experts
    model = llama.llama_model_load_from_file(arguments.model.encode(), model_parameters)
    prompt = [int(token) for token in pathlib.Path(arguments.ids).read_text().split()]
    n = arguments.tokens
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = len(prompt) + 64
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.n_threads = parameters.n_threads_batch = arguments.threads
    parameters.flash_attn_type = 1 if arguments.flash == "on" else 0
    context = llama.llama_init_from_model(model, parameters)

    def read(tokens):
        for start in range(0, len(tokens), 512):
            piece = tokens[start:start + 512]
            array = (llama.llama_token * len(piece))(*piece)
            if llama.llama_decode(context, llama.llama_batch_get_one(array, len(piece))):
                sys.exit("llama.cpp failed")
        llama.llama_synchronize(context)

    kept = (llama.llama_token * n)(*prompt[:n])
    saved_s = 0.0
    if os.path.exists(arguments.state):
        n_out = ctypes.c_size_t(0)
        if not llama.llama_state_seq_load_file(context, arguments.state.encode(), 0, kept, n, ctypes.byref(n_out)):
            sys.exit("llama.cpp could not load its state")
    else:
        read(prompt[:n])
        start = time.perf_counter()
        llama.llama_state_seq_save_file(context, arguments.state.encode(), 0, kept, n)
        saved_s = time.perf_counter() - start
    read(prompt[n:])
    logits = llama.llama_get_logits_ith(context, -1)
    print(json.dumps({"at": time.time() - saved_s, "logit": logits[0]}))


def run(command):
    """Runs a process: seconds from its start, peak resident bytes, bytes read from disk, its output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        started = time.time()
        child = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.time() - started
        out.seek(0)
        errors.seek(0)
        text, told = out.read().decode(), errors.read().decode()
    if status:
        sys.exit(f"{' '.join(map(str, command))}: {told}")
    return {"seconds": seconds, "resident": usage.ru_maxrss * 1024, "read": usage.ru_inblock * 512,
            "started": started, "out": text, "told": told.strip()}


def tell(who, what, ran, note=""):
    print(f"{who:22} {what:5} {ran['seconds']:8.2f} s   resident {ran['resident'] / 2**30:5.2f} GiB   "
          f"from disk {ran['read'] / 2**20:7.1f} MiB   {note}", flush=True)


def docent(arguments, folder, prompts):
    base = [arguments.docent, "--home", folder / "home", "--threads", str(arguments.threads)]
    figures = []
    for idx, prompt in enumerate(prompts):
        out = folder / f"docent-{idx}.npy"
        ran = run([*base, "debug", "logits", "-m", arguments.model, "--tokens", prompt, "--last", "--out", out])
        tell("docent", "cold" if idx == 0 else "warm", ran, ran["told"])
        figures.append(ran["seconds"])
    cold = folder / "cold.npy"
    if arguments.check:
        run([*base, "--no-cache", "debug", "logits", "-m", arguments.model, "--tokens", prompts[-1], "--last", "--out", cold])
        same = cold.read_bytes() == out.read_bytes()
        print(f"{'docent':22} warm logits are the cold ones, bit for bit: {same}", flush=True)
    status = json.loads(run([*base, "cache", "status", "--json"])["out"])
    tokens = sum(model["tokens"] for model in status["models"])
    print(f"{'docent':22} {status['bytes']} bytes kept for {tokens} tokens: {status['bytes'] / tokens / 1024:.2f} KiB a token")
    return figures


def llama_cpp(arguments, folder, prompts, flash):
    state = folder / f"state-{flash}"
    figures = []
    for idx, prompt in enumerate(prompts):
        ran = run([arguments.python, __file__, "--peer", "--model", arguments.model, "--tokens", str(arguments.tokens),
                   "--ids", prompt, "--state", state, "--flash", flash, "--threads", str(arguments.threads)])
        ran["seconds"] = json.loads(ran["out"])["at"] - ran["started"]
        note = f"state of {state.stat().st_size / 2**20:.0f} MiB"
        tell(f"llama.cpp, flash {flash}", "cold" if idx == 0 else "warm", ran, note)
        figures.append(ran["seconds"])
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="a Python that has llama-cpp-python")
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--question", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="questions behind the kept tokens; the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--vocabulary", type=int, default=40000, help="token ids are drawn from 300 up to this")
    parser.add_argument("--check", action="store_true", help="compute the last question without the store too, and compare bits")
    parser.add_argument("--flash", default="on,off")
    for hidden in ("--ids", "--state"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments)
    source = random.Random(1)
    draw = lambda n: [source.randrange(300, arguments.vocabulary) for _ in range(n)]
    text = draw(arguments.tokens)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        prompts = []
        for idx in range(arguments.repeats + 1):
            prompts.append(folder / f"prompt-{idx}.txt")
            prompts[-1].write_text(" ".join(map(str, text + draw(arguments.question))))
        figures = {"docent": docent(arguments, folder, prompts)}
        for flash in arguments.flash.split(",") if arguments.python else []:
            figures[f"llama.cpp, flash {flash}"] = llama_cpp(arguments, folder, prompts, flash)
    for engine, (cold, *warm) in figures.items():
        warm = statistics.median(warm)
        print(f"{engine:22} cold {cold:.2f} s, warm {warm:.2f} s: 1/{cold / warm:.1f}")
    best = min((statistics.median(warm) for engine, (_, *warm) in figures.items() if engine != "docent"), default=None)
    if best:
        print(f"llama.cpp's best warm start takes {best / statistics.median(figures['docent'][1:]):.2f} times docent's")


if __name__ == "__main__":
    main()
