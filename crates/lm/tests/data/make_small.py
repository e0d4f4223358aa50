#!/usr/bin/env python3
"""Writes the small models of the other architectures and the logits they must give: `make_small.py DIR`.

Random weights; logits by a plain float64 forward pass, written from the formulas of transformers' `models/{llama,
qwen2,qwen3,lfm2}`. Needs `pip install numpy gguf`; the tests need neither, the results are committed.
"""
import sys
from pathlib import Path

import gguf
import numpy as np

VOCAB, WIDTH, N_FF, N_HEADS, N_KV, THETA, EPS = 96, 32, 48, 4, 2, 10000.0, 1e-5
# name: layers (a = attention, c = convolution), head width, what the architecture adds
MODELS = {
    "llama": dict(layers="aa", head=8, neox=False, untied=True, freqs=True),
    "qwen2": dict(layers="aa", head=8, neox=True, bias=True),
    "qwen3": dict(layers="aa", head=12, neox=True, norm=True),
    "lfm2": dict(layers="cca", head=8, neox=True, norm=True),
}


def tensors(m, rng):
    matrix = lambda rows, cols: rng.standard_normal((rows, cols)) / np.sqrt(cols)
    norm = lambda n: 1 + 0.1 * rng.standard_normal(n)
    d, q, kv = WIDTH, N_HEADS * m["head"], N_KV * m["head"]
    t = {"token_embd.weight": matrix(VOCAB, d) * 4}
    t["token_embd_norm.weight" if "c" in m["layers"] else "output_norm.weight"] = norm(d)
    if m.get("untied"):
        t["output.weight"] = matrix(VOCAB, d) * 4
    if m.get("freqs"):
        t["rope_freqs.weight"] = np.linspace(1, 8, m["head"] // 2)
    for i, kind in enumerate(m["layers"]):
        b = f"blk.{i}."
        t |= {b + "attn_norm.weight": norm(d), b + "ffn_norm.weight": norm(d)}
        t |= {b + "ffn_gate.weight": matrix(N_FF, d), b + "ffn_up.weight": matrix(N_FF, d)}
        t |= {b + "ffn_down.weight": matrix(d, N_FF)}
        if kind == "c":
            t |= {b + "shortconv.in_proj.weight": matrix(3 * d, d), b + "shortconv.out_proj.weight": matrix(d, d)}
            t |= {b + "shortconv.conv.weight": rng.standard_normal((d, 3)) / 2}
            continue
        t |= {b + "attn_q.weight": 2 * matrix(q, d), b + "attn_k.weight": 2 * matrix(kv, d)}
        t |= {b + "attn_v.weight": matrix(kv, d), b + "attn_output.weight": matrix(d, q)}
        if m.get("bias"):
            t |= {b + f"attn_{x}.bias": rng.standard_normal(n) for x, n in (("q", q), ("k", kv), ("v", kv))}
        if m.get("norm"):
            t |= {b + "attn_q_norm.weight": norm(m["head"]), b + "attn_k_norm.weight": norm(m["head"])}
    return {name: x.astype(np.float32) for name, x in t.items()}


def write(path, arch, m, t):
    w = gguf.GGUFWriter(path, arch)
    w.add_name(f"small {arch} (random weights)")
    w.add_block_count(len(m["layers"]))
    w.add_context_length(1024)
    w.add_embedding_length(WIDTH)
    w.add_feed_forward_length(N_FF)
    w.add_head_count(N_HEADS)
    w.add_head_count_kv([N_KV * (k == "a") for k in m["layers"]] if "c" in m["layers"] else N_KV)
    if m["head"] != WIDTH // N_HEADS:
        w.add_key_length(m["head"])
        w.add_value_length(m["head"])
    w.add_rope_freq_base(THETA)
    w.add_layer_norm_rms_eps(EPS)
    if "c" in m["layers"]:
        w.add_shortconv_l_cache(3)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list([chr(33 + i) for i in range(94)] + ["<|a|>", "<|b|>"])
    w.add_token_types([1] * 94 + [3] * 2)
    w.add_token_merges([])
    w.add_bos_token_id(94)
    w.add_eos_token_id(95)
    for name, x in t.items():
        w.add_tensor(name, x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def rms(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * w


def rope(x, m, freqs):
    n, half = len(x), m["head"] // 2
    angle = np.arange(n)[:, None] * THETA ** (-np.arange(half) / half) / freqs
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    first, second = (np.s_[..., :half], np.s_[..., half:]) if m["neox"] else (np.s_[..., ::2], np.s_[..., 1::2])
    out = np.empty_like(x)
    out[first], out[second] = x[first] * cos - x[second] * sin, x[first] * sin + x[second] * cos
    return out


def forward(m, t, ids):
    t = {name: x.astype(np.float64) for name, x in t.items()}
    h, n = t["token_embd.weight"][ids], len(ids)
    for i, kind in enumerate(m["layers"]):
        w = lambda name: t[f"blk.{i}.{name}"]
        u = rms(h, w("attn_norm.weight"))
        if kind == "c":
            B, C, x = np.split(u @ w("shortconv.in_proj.weight").T, 3, axis=-1)
            g, k = np.vstack([np.zeros((2, WIDTH)), B * x]), w("shortconv.conv.weight")
            mixed = C * (g[:n] * k[:, 0] + g[1:n + 1] * k[:, 1] + g[2:] * k[:, 2])
            h = h + mixed @ w("shortconv.out_proj.weight").T
        else:
            q, k, v = (u @ w(f"attn_{x}.weight").T for x in "qkv")
            if m.get("bias"):
                q, k, v = (x + w(f"attn_{name}.bias") for x, name in ((q, "q"), (k, "k"), (v, "v")))
            q, k, v = (x.reshape(n, -1, m["head"]) for x in (q, k, v))
            if m.get("norm"):
                q, k = rms(q, w("attn_q_norm.weight")), rms(k, w("attn_k_norm.weight"))
            q, k = (rope(x, m, t.get("rope_freqs.weight", 1.0)) for x in (q, k))
            out = np.empty_like(q)
            for head in range(N_HEADS):
                kv = head * N_KV // N_HEADS
                s = q[:, head] @ k[:, kv].T / np.sqrt(m["head"])
                s[np.triu_indices(n, 1)] = -np.inf
                p = np.exp(s - s.max(-1, keepdims=True))
                out[:, head] = p / p.sum(-1, keepdims=True) @ v[:, kv]
            h = h + out.reshape(n, -1) @ w("attn_output.weight").T
        f = rms(h, w("ffn_norm.weight"))
        gate = f @ w("ffn_gate.weight").T
        h = h + (gate / (1 + np.exp(-gate)) * (f @ w("ffn_up.weight").T)) @ w("ffn_down.weight").T
    final = t["token_embd_norm.weight" if "c" in m["layers"] else "output_norm.weight"]
    return rms(h, final) @ t.get("output.weight", t["token_embd.weight"]).T


def main():
    out = Path(sys.argv[1])
    for seed, (arch, m) in enumerate(MODELS.items()):
        rng = np.random.default_rng(seed)
        t = tensors(m, rng)
        write(out / f"small-{arch}.gguf", arch, m, t)
        # The tests know the same ids: multiples of 7 from 1 on.
        ids = (1 + 7 * np.arange(40)) % VOCAB
        np.save(out / f"small-{arch}.logits.npy", forward(m, t, ids).astype(np.float32))


if __name__ == "__main__":
    main()
