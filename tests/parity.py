#!/usr/bin/env python3
"""Holds docent's numbers and token ids against llama.cpp and against reference logits: long runs, and a peer to build.

    tests/parity.py chunks   --docent D --model M.gguf --tokens IDS [--reference R.npy]
    tests/parity.py logits   --docent D --model M.gguf --tokens IDS --reference R.npy [--model ... per seed]
    tests/parity.py nll      --docent D --model M.gguf --text PAGE.txt [--limit N]
    tests/parity.py tokens   --docent D --model M.gguf [--seed S] [--source FILE ...]

chunks   every prefill in pieces of 1 to 64 tokens, and every N + M with M = 1, 2, 3 around the ends of blocks, gives the
         bits of one prefill, with f32 and with f16 keys and values; the largest difference to the reference.
logits   distance to the reference and agreement of the top token, beside llama.cpp's; --model and --reference may be repeated.
nll      mean negative log-likelihood of the same tokens, beside llama.cpp's.
tokens   ids of 1,000 varied strings, beside llama.cpp's without special tokens.

Run it with a Python that has numpy, and for all but `chunks` llama-cpp-python. The exit status is 0 only if what
docs promise holds. References are float64 logits, saved as float32: (n_tokens, n_vocab).
"""

import argparse
import ctypes
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np

# Characters and snippets that tokenizers split in ways of their own.
WORDS = "the of and to in is that it was for on are as with his they be this from have or by one had not but what all".split()
SCRIPTS = [
    "中文字符测试一二三", "日本語のテキストです", "한국어 문장입니다", "العربية نص تجريبي ١٢٣", "עברית שלום", "ไทยภาษา", "हिन्दी पाठ",
    "Ελληνικά", "русский текст", "👩‍👩‍👧‍👦🇫🇷🏳️‍🌈😀", "naïve café façade", "x²½Ⅷ①㊿", "İıſßẞǅ", "e\u0301\u0300a\u0308",
    "\u200b\u200d\ufeff", "\u00a0\u2003\u3000\u2028", "𝒜𝓑𝕏 𐍈", "𠮷野家", "∑∫√≠≤→", "“quotes” ‘x’ — –…",
]
CODE = [
    'fn main() {\n    println!("{}", x);\n}\n', "def f(x):\n\treturn x**2  # ok\n", '<div class="a">&nbsp;</div>',
    "SELECT * FROM t WHERE a=1;", "0x1F 3.14e-10 1_000_000", "a->b::c<T>&&!d||e", "/* c */ // d\r\n", "#include <stdio.h>",
    '{"k": [1, 2.5, null]}', "'s 'S 're 'LL 'VE don't DON'T I'M we'D", "<|im_end|> <s> </s> [INST]",
]
CONTROLS = [chr(i) for i in range(32)] + ["\x7f", "\x80", "\x85", "\x9f"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["chunks", "logits", "nll", "tokens"])
    parser.add_argument("--docent", default="docent", help="the docent command")
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--tokens", help="file of token ids")
    parser.add_argument("--reference", action="append", default=[])
    parser.add_argument("--text", help="file of text")
    parser.add_argument("--limit", type=int, default=1024, help="tokens of the text")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", action="append", default=[], help="files to take excerpts from")
    a = parser.parse_args()
    holds = {"chunks": chunks, "logits": logits, "nll": nll, "tokens": tokens}[a.what](a)
    return 0 if holds else 1


# ---------------------------------------------------------------------- docent

def ours(a, model, ids, folder, *more):
    """Logits of every position, (n_tokens, n_vocab)."""
    out = pathlib.Path(folder) / "logits.npy"
    command = [a.docent, "debug", "logits", "-m", model, "--tokens", ids, "--out", str(out), *more]
    subprocess.run(command, check=True)
    return np.load(out)


def read_ids(path):
    return [int(word) for word in pathlib.Path(path).read_text().replace(",", " ").split()]


def write_ids(path, ids):
    pathlib.Path(path).write_text(" ".join(map(str, ids)))
    return str(path)


# ---------------------------------------------------------------------- llama.cpp

class LlamaCpp:
    """llama.cpp with f32 keys and values and two threads."""

    def __init__(self, model, vocabulary_only=False):
        import llama_cpp
        self.lib = llama_cpp
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        settings.vocab_only = vocabulary_only
        self.model = llama_cpp.llama_model_load_from_file(str(model).encode(), settings)
        if not self.model:
            sys.exit(f"llama.cpp could not load {model}")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(self.vocabulary)

    def logits(self, ids):
        lib = self.lib
        settings = lib.llama_context_default_params()
        settings.n_ctx = len(ids) + 8
        settings.n_batch = settings.n_ubatch = 512
        settings.n_threads = settings.n_threads_batch = 2
        settings.type_k = settings.type_v = 0                         # GGML_TYPE_F32
        settings.flash_attn_type = 0
        context = lib.llama_init_from_model(self.model, settings)
        batch = lib.llama_batch_init(512, 0, 1)
        rows = np.empty((len(ids), self.n_vocab), np.float32)
        for start in range(0, len(ids), 512):
            piece = ids[start:start + 512]
            batch.n_tokens = len(piece)
            for i, token in enumerate(piece):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, start + i, 1, 1
                batch.seq_id[i][0] = 0
            if lib.llama_decode(context, batch):
                sys.exit("llama_decode failed")
            for i in range(len(piece)):
                row = lib.llama_get_logits_ith(context, i)
                rows[start + i] = np.ctypeslib.as_array(row, shape=(self.n_vocab,))
        lib.llama_free(context)
        return rows

    def tokens(self, text):
        data = text.encode()
        room = (self.lib.llama_token * (len(data) + 8))()
        n = self.lib.llama_tokenize(self.vocabulary, data, len(data), room, len(room), False, False)
        return list(room[:n])

    def recognised_in_text(self):
        """What llama.cpp takes from plain text all the same: user-defined tokens. docent does not, on purpose."""
        attribute = self.lib.llama_vocab_get_attr
        ids = (i for i in range(self.n_vocab) if attribute(self.vocabulary, i) & 16)      # USER_DEFINED
        return [self.lib.llama_vocab_get_text(self.vocabulary, i).decode() for i in ids]


# ---------------------------------------------------------------------- checks

def chunks(a):
    ids, holds = read_ids(a.tokens), True
    with tempfile.TemporaryDirectory() as folder:
        for kv, bound in (("f32", 1e-4), ("f16", 3e-3)):
            whole = ours(a, a.model[0], a.tokens, folder, "--kv", kv)
            differing = [n for n in range(1, 65)
                         if ours(a, a.model[0], a.tokens, folder, "--kv", kv, "--chunk", str(n)).tobytes() != whole.tobytes()]
            print(f"{kv}: {len(ids)} tokens in pieces of 1 to 64: {64 - len(differing)} of 64 give the same bits {differing or ''}")
            holds &= not differing
            if a.reference:
                largest = np.abs(whole - np.load(a.reference[0])).max()
                print(f"{kv}: largest difference to the reference {largest:.2e} (bound {bound:.0e})")
                holds &= bool(largest < bound)
            # A prefill of N and then one of M is a prefill of N + M cut at N: pieces of N, of which the second holds M.
            n_cuts = n_same = 0
            for n in (1, 2, 3, 17, 254, 255, 256, 257, 258, 511, 512, 513):
                for m in (1, 2, 3):
                    if n + m > len(ids) or m > n:
                        continue
                    cut = write_ids(pathlib.Path(folder) / "cut.txt", ids[:n + m])
                    pieces = ours(a, a.model[0], cut, folder, "--kv", kv, "--chunk", str(n))
                    n_cuts += 1
                    n_same += pieces.tobytes() == whole[:n + m].tobytes()
            print(f"{kv}: {n_same} of {n_cuts} prefills of N then M equal those of N + M")
            holds &= n_same == n_cuts
    return holds


def distance(logits, reference):
    return (np.linalg.norm(logits - reference) / np.linalg.norm(reference),
            (logits.argmax(1) == reference.argmax(1)).mean())


def logits(a):
    if len(a.model) != len(a.reference):
        sys.exit("as many --reference as --model are needed")
    rows = []
    print("file                     docent: distance, top    llama.cpp: distance, top")
    with tempfile.TemporaryDirectory() as folder:
        for model, reference in zip(a.model, a.reference):
            reference = np.load(reference)
            mine = distance(ours(a, model, a.tokens, folder, "--kv", "f32"), reference)
            theirs = distance(LlamaCpp(model).logits(read_ids(a.tokens)), reference)
            rows.append((*mine, *theirs))
            print(f"{pathlib.Path(model).name:24} {mine[0]:.4f}  {mine[1]:.3f}            {theirs[0]:.4f}  {theirs[1]:.3f}")
    mean = np.mean(rows, 0)
    print(f"{'mean':24} {mean[0]:.4f}  {mean[1]:.3f}            {mean[2]:.4f}  {mean[3]:.3f}")
    return bool(mean[0] <= 1.1 * mean[2] and 1 - mean[1] <= 1.1 * (1 - mean[3]))


def nll(a):
    with tempfile.TemporaryDirectory() as folder:
        command = [a.docent, "debug", "tokenize", "-m", a.model[0], a.text]
        ids = [int(word) for word in subprocess.check_output(command, text=True).split()][:a.limit]
        path = write_ids(pathlib.Path(folder) / "ids.txt", ids)
        mine = [json.loads(subprocess.check_output(
            [a.docent, "debug", "likelihood", "-m", a.model[0], "--tokens", path, "--kv", kv], text=True))["nll"]
            for kv in ("f32", "f16")]
        rows = LlamaCpp(a.model[0]).logits(ids)[:-1]
    largest = rows.max(1, keepdims=True)
    likelihoods = rows[np.arange(len(ids) - 1), ids[1:]] - largest[:, 0] - np.log(
        np.exp((rows - largest).astype(np.float64)).sum(1))
    theirs = -likelihoods.mean()
    print(f"{len(ids)} tokens: docent {mine[0]:.6f} (f32), {mine[1]:.6f} (f16), llama.cpp {theirs:.6f}: "
          f"{100 * (mine[0] / theirs - 1):+.3f} %")
    return bool(abs(mine[0] / theirs - 1) < 0.005 and abs(mine[1] / theirs - 1) < 0.005)


def piece(rng, source):
    kind = rng.random()
    if kind < 0.3:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12)))
    if kind < 0.45:
        return rng.choice(SCRIPTS)
    if kind < 0.55:
        return rng.choice(CODE)
    if kind < 0.62:
        return "".join(rng.choice(CONTROLS) for _ in range(rng.randint(1, 4)))
    if kind < 0.72:
        return rng.choice([" ", "\n", "\t", "\r\n", "\u00a0", "  \n"]) * rng.randint(1, 200)
    if kind < 0.8:
        return str(rng.randint(0, 10 ** rng.randint(1, 20)))
    if kind < 0.85 and source:
        start = rng.randrange(len(source))
        return source[start:start + rng.randint(1, 200)]
    if kind < 0.9:
        return rng.choice("a!=-_.#*中é") * rng.randint(1, 300)
    ranges = (lambda: rng.randint(0, 0x10FFFF), lambda: rng.randint(0, 0x2FFF))
    codes = (ranges[rng.random() > 0.3]() for _ in range(rng.randint(1, 20)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


def tokens(a):
    rng = random.Random(a.seed)
    source = "".join(pathlib.Path(path).read_text() for path in a.source)
    texts = [rng.choice(["", " ", ""]).join(piece(rng, source) for _ in range(rng.randint(1, 8))) for _ in range(1000)]
    command = [a.docent, "debug", "tokenize", "-m", a.model[0], "--json"]
    mine = json.loads(subprocess.run(command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True).stdout)
    peer = LlamaCpp(a.model[0], vocabulary_only=True)
    recognised = peer.recognised_in_text()
    n_same, wrong, spelled = 0, [], []
    for text, ids in zip(texts, mine):
        if ids == peer.tokens(text):
            n_same += 1
        elif any(special in text for special in recognised):
            spelled.append(text)
        else:
            wrong.append(text)
    print(f"{n_same} of {len(texts)} strings ({sum(map(len, mine))} tokens) identical; "
          f"{len(spelled)} differ because they spell a user-defined token, {len(wrong)} otherwise")
    for text in wrong[:10]:
        print("differs:", repr(text)[:200])
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
