#!/usr/bin/env python3
"""Vector search beside hnswlib, usearch and faiss: the same vectors, the same questions, the same run.

    cargo build --release -p docent-index --example vectors
    benches/vectors.py --rows 100000 [--peers hnswlib,usearch,faiss-hnsw,faiss-ivf] [--threads 2]
    benches/vectors.py --rows 100000 --real INDEX/vectors/1.f32 [--questions QUESTIONS.f32]

Without --real the vectors are made: a field for every 2,000 rows, a topic for every fifty, which is .3 to .6 its field and the rest its own, and
rows that are .25 to .65 their topic (drawn anew for each) and the rest their own. All have the spectrum of all-MiniLM-L6-v2's vectors (the i-th
variance falls as i^-0.72). Made so they are as hard to search as real ones: of 503 clusters of 16,000 rows, the numbers needed for
.98 and .99 of the hits of questions made of rows were 40 and 69; with as many real rows 42 and 63. The benchmark's questions are made like rows
and are none of them; the median `cosines` of their first and tenth hit are printed.
With --real they are the rows of an index's file; questions that are not given are every hundredth row, left out of the rest.

Graphs have M 24, efConstruction 200, ef 128; faiss's inverted file as many lists as ours, and looks at the fewest lists (a power of two) that
find .98 of the questions' nearest. Peers hold f32 numbers and search with one thread a client, we with as many as there are while only one
client asks. Prints one JSON object a line: seconds to build, milliseconds to open, milliseconds of a search with 1 and 8 clients,
processor milliseconds of one (what it costs where others use the machine too), recall@10 against exact products, memory, and the same after a tenth of the rows was deleted. A build that takes longer than --cap
seconds is ended, and said so.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIM, K = 384, 10
PEERS = ["hnswlib", "usearch", "faiss-hnsw", "faiss-ivf"]


def tell(**figures):
    print(json.dumps(figures), flush=True)


def unit(rows):
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def made(n):
    random = np.random.default_rng(7)
    scales = (np.arange(1, DIM + 1) ** -0.36).astype(np.float32)

    def within(above, n, low, high):
        rows = np.empty((n, DIM), dtype=np.float32)
        for start in range(0, n, 50_000):
            end = min(start + 50_000, n)
            own = unit(random.standard_normal((end - start, DIM), dtype=np.float32) * scales)
            share = random.uniform(low, high, (end - start, 1)).astype(np.float32)
            rows[start:end] = unit(share * above[random.integers(0, len(above), end - start)] + (1 - share) * own)
        return rows

    fields = unit(random.standard_normal((max(1, n // 2000), DIM), dtype=np.float32) * scales)
    return within(within(fields, max(1, n // 50), 0.3, 0.6), n, 0.25, 0.65)


def vectors(args):
    if not args.real:
        all_rows = made(args.rows + args.n_questions)
        return all_rows[: args.rows], all_rows[args.rows :]
    rows = np.concatenate([np.fromfile(path, dtype="<f4", offset=64).reshape(-1, DIM) for path in args.real])
    rows = rows[np.linalg.norm(rows, axis=1) > 0.9]
    if args.questions:
        return rows[: args.rows], np.fromfile(args.questions, dtype="<f4").reshape(-1, DIM)[: args.n_questions]
    is_question = np.arange(len(rows)) % 100 == 50
    return rows[~is_question][: args.rows], rows[is_question][: args.n_questions]


def exact(rows, questions):
    best = np.empty((len(questions), K), dtype=np.uint64)
    for start in range(0, len(questions), 50):
        products = questions[start : start + 50] @ rows.T
        top = np.argpartition(-products, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(products, top, axis=1), axis=1)
        best[start : start + 50] = np.take_along_axis(top, order, axis=1)
    return best


def memory():
    """Of this process, in MiB: what is its own, and what is mapped."""
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return {"anonymous_mib": int(status["RssAnon"].split()[0]) // 1024, "mapped_mib": int(status["RssFile"].split()[0]) // 1024}


def recall(search, questions, right):
    found = [set(map(int, search(question))) for question in questions]
    return sum(len(set(map(int, wanted)) & got) for wanted, got in zip(right, found)) / right.size


def timed(pipe, name, state, search, questions, right):
    rate = recall(search, questions, right)
    for n_clients in (1, 8):
        times, lock, left = [], threading.Lock(), iter(range(len(questions)))

        def client():
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                start = time.perf_counter()
                search(questions[number])
                took = (time.perf_counter() - start) * 1e3
                with lock:
                    times.append(took)

        start, cpu = time.perf_counter(), time.process_time()
        clients = [threading.Thread(target=client) for _ in range(n_clients)]
        [each.start() for each in clients]
        [each.join() for each in clients]
        per_s = len(questions) / (time.perf_counter() - start)
        cpu_ms = (time.process_time() - cpu) * 1e3 / len(questions)
        times.sort()
        pipe.send({"name": name, "state": state, "clients": n_clients, "p50_ms": round(times[len(times) // 2], 3),
                   "p99_ms": round(times[len(times) * 99 // 100], 3), "cpu_ms": round(cpu_ms, 3), "per_s": round(per_s), "recall@10": round(rate, 4), **memory()})


def build(name, rows, n_threads, path):
    """Builds, saves and opens again; gives the seconds to build, the milliseconds to open, how to search and how to delete."""
    start = time.perf_counter()
    if name == "hnswlib":
        import hnswlib

        index = hnswlib.Index("ip", DIM)
        index.init_index(len(rows), M=24, ef_construction=200)
        index.add_items(rows, num_threads=n_threads)
        built = time.perf_counter() - start
        index.save_index(path)
        start = time.perf_counter()
        index = hnswlib.Index("ip", DIM)
        index.load_index(path)
        index.set_ef(128)
        search = lambda question: index.knn_query(question, k=K, num_threads=1)[0][0]
        delete = lambda dead: [index.mark_deleted(int(row)) for row in dead]
    elif name == "usearch":
        from usearch.index import Index

        kind = dict(ndim=DIM, metric="ip", dtype="f32", connectivity=24, expansion_add=200, expansion_search=128)
        index = Index(**kind)
        index.add(np.arange(len(rows)), rows, threads=n_threads)
        built = time.perf_counter() - start
        index.save(path)
        start = time.perf_counter()
        index = Index(**kind)
        index.load(path)
        search = lambda question: index.search(question, K, threads=1).keys
        delete = lambda dead: index.remove(dead)
    else:
        import faiss

        faiss.omp_set_num_threads(n_threads)
        if name == "faiss-hnsw":
            index = faiss.IndexHNSWFlat(DIM, 24, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = 200
        else:
            index = faiss.index_factory(DIM, f"IVF{int(4 * len(rows) ** 0.5)},Flat", faiss.METRIC_INNER_PRODUCT)
            index.train(rows)
        index.add(rows)
        built = time.perf_counter() - start
        faiss.write_index(index, path)
        start = time.perf_counter()
        index = faiss.read_index(path)
        if name == "faiss-hnsw":
            index.hnsw.efSearch = 128
        faiss.omp_set_num_threads(1)
        search = lambda question: index.search(question[None], K)[1][0]
        delete = None if name == "faiss-hnsw" else lambda dead: index.remove_ids(dead)  # its graph cannot
    opened = (time.perf_counter() - start) * 1e3
    return index, built, opened, search, delete


def peer(name, args, folder, pipe):
    rows = np.fromfile(f"{folder}/rows.f32", dtype="<f4").reshape(-1, DIM)
    questions = np.fromfile(f"{folder}/questions.f32", dtype="<f4").reshape(-1, DIM)
    nearest, after = np.load(f"{folder}/nearest.npy"), np.load(f"{folder}/after.npy")
    before = memory()["anonymous_mib"]
    cpu = time.process_time()
    index, built, opened, search, delete = build(name, rows, args.threads, f"{folder}/{name}")
    n_rows = len(rows)
    del rows
    figures = {"name": name, "build_s": round(built, 1), "build_cpu_s": round(time.process_time() - cpu, 1), "open_ms": round(opened, 1), "bytes": os.path.getsize(f"{folder}/{name}")}
    if name == "faiss-ivf":
        index.nprobe = 1
        while index.nprobe < 4096 and recall(search, questions, nearest) < 0.98:
            index.nprobe *= 2
        figures["looked_at"] = index.nprobe
    pipe.send({**figures, "before_mib": before})
    timed(pipe, name, "all", search, questions, nearest)
    if delete:
        start = time.perf_counter()
        delete(np.arange(0, n_rows, 10))
        pipe.send({"name": name, "delete_ms": round((time.perf_counter() - start) * 1e3, 1)})
        timed(pipe, name, "a tenth deleted", search, questions[: len(after)], after)
    pipe.send(None)


def run_peer(name, args, folder):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=peer, args=(name, args, folder, theirs))
    process.start()
    theirs.close()
    try:
        while ours.poll(args.cap) and (line := ours.recv()) is not None:
            tell(**line)
        if process.is_alive() and not ours.poll(0):
            process.join(5)
        if process.is_alive():
            process.kill()
            tell(name=name, ended_after_s=args.cap)
    except EOFError:
        tell(name=name, failed=True)
    process.join()


def run_docent(program, how, args, folder, n_rows):
    place = pathlib.Path(folder) / f"docent-{how}"
    threads, dim = str(args.threads), str(DIM)
    lists = ["lists"] if how == "lists" else []
    for command in (
        ["build", str(place), f"{folder}/rows.f32", dim, threads, *lists],
        ["search", str(place), str(n_rows), dim, f"{folder}/questions.f32", f"{folder}/nearest.u64"],
    ):
        for line in subprocess.check_output([str(program), *command], text=True).splitlines():
            tell(name=f"docent, {how}", **json.loads(line))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target" / "release" / "examples" / "vectors")
    parser.add_argument("--real", nargs="+")
    parser.add_argument("--questions")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--n-questions", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--cap", type=float, default=1800)
    parser.add_argument("--folder", help="where to work [default: a temporary folder]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        rows, questions = vectors(args)
        rows.tofile(f"{folder}/rows.f32")
        questions.tofile(f"{folder}/questions.f32")
        nearest = exact(rows, questions)
        nearest.tofile(f"{folder}/nearest.u64")
        np.save(f"{folder}/nearest.npy", nearest)
        alive = np.arange(len(rows))[np.arange(len(rows)) % 10 != 0]
        np.save(f"{folder}/after.npy", alive[exact(rows[alive], questions[:50]).astype(np.int64)])
        cosines = np.einsum("qkd,qd->qk", rows[nearest.astype(np.int64)], questions)
        tell(rows=len(rows), questions=len(questions), threads=args.threads, real=bool(args.real),
             cosines={f"of the {place}.": round(float(np.median(cosines[:, place - 1])), 2) for place in (1, 10)},
             load=os.getloadavg()[0])
        n_rows = len(rows)
        del rows, alive
        for how in ("scan", "lists"):
            run_docent(args.program, how, args, folder, n_rows)
        for name in filter(None, args.peers.split(",")):
            run_peer(name, args, folder)


if __name__ == "__main__":
    main()
