#!/usr/bin/env python3
"""Writes blocks.bin: random blocks of every format, and the floats gguf-py makes of them.

    pip install gguf && python3 make_golden.py      # made with gguf 0.19.0, numpy 2.4.6, seed 7

Layout, little-endian, for each format in the order of FORMATS: the blocks (512 values), then 512 f32.
Bytes are random (every code and scale pattern is legal); only the f16 scales are drawn as numbers of normal size.
"""
import numpy as np
from gguf import GGMLQuantizationType as T, quants

FORMATS = [("F16", 1, 2, []), ("BF16", 1, 2, []), ("Q8_0", 32, 34, [0]), ("Q4_0", 32, 18, [0]), ("Q4_1", 32, 20, [0, 2]),
           ("Q5_0", 32, 22, [0]), ("Q5_1", 32, 24, [0, 2]), ("Q4_K", 256, 144, [0, 2]), ("Q5_K", 256, 176, [0, 2]),
           ("Q6_K", 256, 210, [208])]
rng = np.random.default_rng(7)
with open("blocks.bin", "wb") as out:
    for name, length, size, scales in FORMATS:
        n = 512 // length
        if scales:
            blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
            for at in scales:
                blocks[:, at:at + 2] = rng.normal(0, 0.02, (n, 1)).astype(np.float16).view(np.uint8)
        else:
            values = rng.normal(0, 1, n).astype(np.float32)
            blocks = quants.quantize(values, getattr(T, name)).view(np.uint8).reshape(n, size)
        floats = quants.dequantize(blocks.reshape(1, -1), getattr(T, name)).reshape(-1)
        assert floats.shape == (512,) and np.isfinite(floats).all()
        out.write(blocks.tobytes())
        out.write(floats.astype("<f4").tobytes())
