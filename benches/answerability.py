#!/usr/bin/env python3
"""Trains the reader that tells whether a passage answers a question, or is only about the same subject.

    benches/answerability.py train --model DIR --out TUNED.safetensors [--epochs 2] [--seed 0] [--start EARLIER.safetensors]
    benches/answerability.py export TUNED.safetensors --model DIR [--rank 32]
    benches/answerability.py score --model DIR [--golden]

Needs PyTorch, safetensors, tokenizers and blake3 from PyPI. DIR is all-MiniLM-L6-v2 as `docent models path` names it. All its layers but the word
and position embeddings are trained on pairs of question and section from corpora/answerability (what a line holds: corpora/README.md), with a
layer of its own that makes a score of the first token; held-out.jsonl there is for `score` alone. `export` keeps of each matrix's change the
part of rank 32, in f16, and writes crates/embed/src/answerability.safetensors; `score` prints the area under the curve of what that file holds, for
the held-out pairs, or writes the scores of a few of them to crates/embed/tests/answerability.json.
"""

import argparse
import json
import math
import pathlib
import random
import sys
import time

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETS = ROOT / "corpora" / "answerability"
EXPORTED = ROOT / "crates" / "embed" / "src" / "answerability.safetensors"
GOLDEN, N_GOLDEN = ROOT / "crates" / "embed" / "tests" / "answerability.json", 12
HIDDEN, LAYERS, HEADS, EPSILON = 384, 6, 12, 1e-12
MAX_TOKENS, MAX_ASKED = 160, 40
DROPOUT, BATCH, RATE, RATE_OF_HEAD, WARM_UP, DECAY = 0.1, 32, 1.5e-4, 4.5e-4, 0.1, 0.01
FROZEN = ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight")


def read(paths):
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def for_training():
    return read(path for path in sorted(SETS.glob("*.jsonl")) if path.name != "held-out.jsonl")


def passage(document, section, with_title):
    above = [document["title"] if with_title else "", section["heading"]]
    above = " > ".join(part for part in above if part)
    return (above + ". " if above else "") + section["text"]


def pairs(documents, rng):
    """(question, passage, 1 or 0): each question with its own section, and some with another one of the same document."""
    out = []
    for document in documents:
        sections = document["sections"]
        for section in sections:
            others = [other for other in sections if other is not section]
            for kind, share_of_others in (("yes", 0.6), ("no", 0.2)):
                for question in section[kind]:
                    with_title = rng.random() < 0.7
                    out.append((question, passage(document, section, with_title), int(kind == "yes")))
                    if rng.random() < share_of_others:
                        out.append((question, passage(document, rng.choice(others), with_title), 0))
    return out


class Reader:
    """BERT over pairs, with a score of the first token. `weights` by the names of the file."""

    def __init__(self, folder, weights=None):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items() if tensor.is_floating_point()}
        torch.manual_seed(0)
        self.weights["pooler.dense.weight"] = torch.randn(HIDDEN, HIDDEN) * 0.02
        self.weights["pooler.dense.bias"] = torch.zeros(HIDDEN)
        self.weights["classifier.weight"] = torch.randn(1, HIDDEN) * 0.02
        self.weights["classifier.bias"] = torch.zeros(1)
        self.weights.update(weights or {})
        self.trained = [name for name in self.weights if name not in FROZEN]
        self.dropout = 0.0

    def encode(self, question, text):
        asked = self.tokenizer.encode(question, add_special_tokens=False).ids[:MAX_ASKED]
        read = self.tokenizer.encode(text, add_special_tokens=False).ids[: MAX_TOKENS - 3 - len(asked)]
        return [101, *asked, 102, *read, 102], len(asked) + 2

    def linear(self, x, name):
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, x, name):
        return functional.layer_norm(x, (HIDDEN,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], EPSILON)

    def drop(self, x):
        return functional.dropout(x, self.dropout, self.dropout > 0)

    def scores(self, encoded):
        """Log odds that the second text of each pair answers the first."""
        n, longest = len(encoded), max(len(ids) for ids, _ in encoded)
        ids, kinds = torch.zeros(n, longest, dtype=torch.long), torch.zeros(n, longest, dtype=torch.long)
        mask = torch.zeros(n, 1, 1, longest, dtype=torch.bool)
        for row, (tokens, second) in enumerate(encoded):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            kinds[row, second : len(tokens)] = 1
            mask[row, ..., : len(tokens)] = True
        embedded = lambda name, index: functional.embedding(index, self.weights[f"embeddings.{name}_embeddings.weight"])
        x = embedded("word", ids) + embedded("position", torch.arange(longest)) + embedded("token_type", kinds)
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(LAYERS):
            at = f"encoder.layer.{i}."
            q, k, v = (
                self.linear(x, f"{at}attention.self.{part}").view(n, longest, HEADS, -1).transpose(1, 2) for part in ("query", "key", "value")
            )
            attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, longest, HIDDEN)
            x = self.norm(x + self.drop(self.linear(attended, f"{at}attention.output.dense")), f"{at}attention.output.LayerNorm")
            wide = functional.gelu(self.linear(x, f"{at}intermediate.dense"))
            x = self.norm(x + self.drop(self.linear(wide, f"{at}output.dense")), f"{at}output.LayerNorm")
        pooled = torch.tanh(self.linear(self.drop(x[:, 0]), "pooler.dense"))
        return self.linear(self.drop(pooled), "classifier").squeeze(-1)


def batches(encoded, rng=None):
    """Places of pairs of about the same length; in any order where there is a generator."""
    order = list(range(len(encoded)))
    if not rng:
        order.sort(key=lambda i: len(encoded[i][0]))
        return [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    rng.shuffle(order)
    parts = [sorted(order[at : at + 20 * BATCH], key=lambda i: len(encoded[i][0])) for at in range(0, len(order), 20 * BATCH)]
    cut = [part[at : at + BATCH] for part in parts for at in range(0, len(part), BATCH)]
    rng.shuffle(cut)
    return cut


def area(scores, labels):
    """Area under the receiver operating curve."""
    below, sum_of_below = 0, 0
    for _, label in sorted(zip(scores, labels)):
        below, sum_of_below = below + (not label), sum_of_below + below * label
    return sum_of_below / (sum(labels) * (len(labels) - sum(labels)))


def train(arguments):
    earlier = load_file(arguments.start) if arguments.start else None
    reader, rng = Reader(arguments.model, earlier), random.Random(arguments.seed)
    torch.manual_seed(arguments.seed)
    reader.dropout = DROPOUT
    for name in reader.trained:
        reader.weights[name].requires_grad_()
    is_head = lambda name: name.startswith(("pooler", "classifier"))
    groups = [
        {"params": [reader.weights[name] for name in reader.trained if is_head(name) == head], "rate": rate}
        for head, rate in ((False, RATE), (True, RATE_OF_HEAD))
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    documents, step, losses, begun = for_training(), 0, [], time.time()
    n_steps = arguments.epochs * math.ceil(len(pairs(documents, random.Random(0))) / BATCH)
    for epoch in range(arguments.epochs):
        examples = pairs(documents, rng)
        encoded = [reader.encode(question, text) for question, text, _ in examples]
        for batch in batches(encoded, rng):
            step += 1
            factor = min(step / (WARM_UP * n_steps), max(0.0, 1 - step / n_steps))
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * factor
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = reader.scores([encoded[i] for i in batch])
            labels = torch.tensor([float(examples[i][2]) for i in batch])
            loss = functional.binary_cross_entropy_with_logits(scores.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([reader.weights[name] for name in reader.trained], 1.0)
            optimizer.step()
            losses.append(loss.item())
            if step % 50 == 0:
                left = (time.time() - begun) / step * (n_steps - step)
                print(f"step {step} of {n_steps}: loss {sum(losses[-50:]) / 50:.3f}, {left / 60:.0f} min left", flush=True)
        save_file({name: reader.weights[name].detach().contiguous() for name in reader.trained}, arguments.out)
        print(f"epoch {epoch + 1} of {arguments.epochs} is in {arguments.out}", flush=True)


def export(arguments):
    import blake3

    base, tuned = Reader(arguments.model).weights, load_file(arguments.tuned)
    out = {}
    for name, tensor in tuned.items():
        is_new = name.startswith(("pooler", "classifier"))
        if tensor.dim() == 2 and not is_new and min(tensor.shape) > arguments.rank:
            u, s, v = torch.linalg.svd(tensor - base[name], full_matrices=False)
            root = s[: arguments.rank].sqrt()
            out[f"{name}.up"], out[f"{name}.down"] = u[:, : arguments.rank] * root, root[:, None] * v[: arguments.rank]
        else:
            out[name] = tensor
    # As crates/embed/src/weights.rs names a model.
    base_hash = blake3.blake3((arguments.model / "model.safetensors").read_bytes())
    base_hash.update((arguments.model / "tokenizer.json").read_bytes())
    metadata = {"base": base_hash.hexdigest()[:32]}
    save_file({name: tensor.half().contiguous() for name, tensor in out.items()}, EXPORTED, metadata=metadata)
    print(f"{EXPORTED}: {EXPORTED.stat().st_size / 1e6:.2f} MB")


def exported(folder):
    """The reader as the program has it."""
    stored = {name: tensor.float() for name, tensor in load_file(EXPORTED).items()}
    weights = {name: tensor for name, tensor in stored.items() if not name.endswith((".up", ".down"))}
    base = Reader(folder).weights
    for name in (name.removesuffix(".up") for name in stored if name.endswith(".up")):
        weights[name] = base[name] + stored[f"{name}.up"] @ stored[f"{name}.down"]
    return Reader(folder, weights)


def score(arguments):
    reader = exported(arguments.model)
    examples = pairs(read([SETS / "held-out.jsonl"]), random.Random(0))
    if arguments.golden:
        examples = examples[:: len(examples) // N_GOLDEN][:N_GOLDEN]
    encoded = [reader.encode(question, text) for question, text, _ in examples]
    scores = [0.0] * len(examples)
    with torch.no_grad():
        for batch in batches(encoded):
            for i, value in zip(batch, reader.scores([encoded[i] for i in batch]).tolist()):
                scores[i] = value
    if arguments.golden:
        rows = [{"question": q, "text": text, "score": round(value, 4)} for (q, text, _), value in zip(examples, scores)]
        GOLDEN.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    labels = [label for *_, label in examples]
    print(f"{len(labels)} pairs, {sum(labels)} answered: area {area(scores, labels):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("train", train), ("export", export), ("score", score)):
        one = commands.add_parser(name)
        one.add_argument("--model", type=pathlib.Path, required=True)
        if name == "train":
            one.add_argument("--out", required=True)
            one.add_argument("--epochs", type=int, default=2)
            one.add_argument("--seed", type=int, default=0)
            one.add_argument("--start")
        elif name == "export":
            one.add_argument("tuned")
            one.add_argument("--rank", type=int, default=32)
        else:
            one.add_argument("--golden", action="store_true")
        one.set_defaults(run=run)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
