#!/usr/bin/env python3
"""Fits and reports when docent says "This is not in your documents".

    benches/not_found.py weigh --home DIR --out WEIGHED.jsonl [--half b]
    benches/not_found.py fit WEIGHED.jsonl [--signals a,b,c]
    benches/not_found.py gather --home DIR --out ANSWERS.jsonl [--half b] [-- extra arguments of `docent ask`]
    benches/not_found.py report ANSWERS.jsonl --half b

The sets are those about corpora/tour. Half a is what is tuned on: all but the odd ids of tour-qa2.jsonl, which are half b and for reporting alone.
`weigh` keeps what `docent debug held` says of each question: words, passages, sentences and the signals of the verdict, so that others can be
tried by a script; the folder must be indexed. `fit` fits a logistic regression with an L2 penalty, and prints weights for
crates/docent/src/found/weights.rs, with precision and recall of leaving a tenth out at several thresholds. `gather` asks each question and keeps
what `docent ask --json` says: status, citations and signals. `report` counts what docent itself decided: precision and recall of "not found",
and for how many of the answerable questions a verified citation names the document that holds the answer.
"""

import argparse
import json
import math
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOUR = ROOT / "corpora" / "tour"
SETS = ["tour-qa", "tour-qa2", "tour-questions", "tour-unanswerable"]
CHOSEN = ["cosine", "cosine_of_kind", "meaning", "absent", "numbers_absent", "answers"]
L2 = 1.0


def questions(half):
    for name in SETS:
        for line in (ROOT / "corpora" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            question = json.loads(line)
            question.setdefault("answerable", name == "tour-questions")
            is_odd = int(question["id"].split("-")[-1]) % 2
            question["half"] = "b" if name == "tour-qa2" and is_odd else "a"
            if question["half"] == half:
                yield question


def docent(arguments):
    home = ["--home", arguments.home] if arguments.home else []
    return [arguments.binary or ROOT / "target" / "release" / "docent", *home, "--quiet"]


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()


def weigh(arguments):
    asked = list(questions(arguments.half))
    lines = "".join(question["question"] + "\n" for question in asked)
    command = [*docent(arguments), "debug", "held", "--in", str(TOUR)]
    run = subprocess.run(command, input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    weighed = map(json.loads, run.stdout.splitlines())
    write_rows(arguments.out, ({**question, "result": result} for question, result in zip(asked, weighed, strict=True)))


def gather(arguments):
    def answered(question):
        command = [*docent(arguments), "ask", "--json", "--no-history", "--in", str(TOUR)]
        run = subprocess.run([*command, *arguments.extra, question["question"]], capture_output=True, text=True)
        if run.returncode not in (0, 1):
            raise SystemExit(f"{question['id']}: exit {run.returncode}: {run.stderr}")
        answer = json.loads(run.stdout)
        return {**question, "result": {key: answer[key] for key in ("status", "answer", "held", "citations", "timing")}}

    write_rows(arguments.out, map(answered, questions(arguments.half)))


def fit_weights(rows, labels):
    """Weights and bias of P(absent) = 1 / (1 + exp(-(w x + b))), by Newton's method on standardised signals, in their own units."""
    n = len(rows[0])
    means = [sum(row[i] for row in rows) / len(rows) for i in range(n)]
    deviations = [math.sqrt(sum((row[i] - means[i]) ** 2 for row in rows) / len(rows)) or 1.0 for i in range(n)]
    scaled = [[1.0] + [(row[i] - means[i]) / deviations[i] for i in range(n)] for row in rows]
    weights = [0.0] * (n + 1)
    for _ in range(30):
        gradient = [0.0] + [L2 * w for w in weights[1:]]
        hessian = [[(L2 if i == j and i else 1e-9 if i == j else 0.0) for j in range(n + 1)] for i in range(n + 1)]
        for row, label in zip(scaled, labels):
            p = 1 / (1 + math.exp(-sum(w * x for w, x in zip(weights, row))))
            for i, x in enumerate(row):
                gradient[i] += (p - label) * x
                for j, other in enumerate(row):
                    hessian[i][j] += p * (1 - p) * x * other
        step = solve(hessian, gradient)
        weights = [w - s for w, s in zip(weights, step)]
    own = [w / d for w, d in zip(weights[1:], deviations)]
    return own, weights[0] - sum(w * m for w, m in zip(own, means))


def solve(matrix, right):
    """Gauss elimination with pivots."""
    rows = [row[:] + [value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(len(rows)):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def probability(weights, bias, row):
    return 1 / (1 + math.exp(-(sum(w * x for w, x in zip(weights, row)) + bias)))


def precision_recall(said, labels):
    right = sum(1 for s, label in zip(said, labels) if s and label)
    return right / max(1, sum(said)), right / max(1, sum(labels))


def read(path, half):
    rows = [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if half in (None, row["half"])]


def is_understood(row):
    return row["result"]["held"]["signals"].get("understood", 1.0) >= 0.5


def area(values, labels):
    """Area under the receiver operating curve of one signal."""
    absent = [v for v, label in zip(values, labels) if label]
    held = [v for v, label in zip(values, labels) if not label]
    return sum((a > h) + 0.5 * (a == h) for a in absent for h in held) / (len(absent) * len(held))


def fit(arguments):
    # Where the embedding model does not know the script the words alone decide: weights.rs says how.
    answers = [row for row in read(arguments.answers, "a") if is_understood(row)]
    names = arguments.signals.split(",")
    rows = [[row["result"]["held"]["signals"].get(name) or 0.0 for name in names] for row in answers]
    labels = [0 if row["answerable"] else 1 for row in answers]
    for i, name in enumerate(names):
        print(f"{name:16} area {area([row[i] for row in rows], labels):.3f}")
    out_of_fold = [0.0] * len(rows)
    for repeat in range(5):
        order = list(range(len(rows)))
        random.Random(repeat).shuffle(order)
        for fold in range(10):
            left_out = set(order[fold::10])
            kept = [i for i in order if i not in left_out]
            weights, bias = fit_weights([rows[i] for i in kept], [labels[i] for i in kept])
            for i in left_out:
                out_of_fold[i] += probability(weights, bias, rows[i]) / 5
    loss = -sum(math.log(p if y else 1 - p) for p, y in zip(out_of_fold, labels)) / len(labels)
    print(f"{sum(labels)} of {len(labels)} absent; left out: log loss {loss:.3f}, area {area(out_of_fold, labels):.3f}")
    for threshold in [t / 100 for t in range(30, 70, 2)]:
        said = [p >= threshold for p in out_of_fold]
        precision, recall = precision_recall(said, labels)
        n_right = sum(1 for s, label in zip(said, labels) if s and label)
        print(f"  from {threshold:.2f}: precision {precision:.3f} recall {recall:.3f}; {n_right} noticed, {sum(said) - n_right} turned away")
    weights, bias = fit_weights(rows, labels)
    print(f"    bias: {bias:.2f},")
    for name, weight in zip(names, weights):
        print(f"    {name}: {weight:.2f},")
    if arguments.show:
        for p, row in sorted(zip(out_of_fold, answers), key=lambda pair: -pair[0]):
            print(f"{p:.2f} {'held  ' if row['answerable'] else 'ABSENT'} {row['question'][:90]}")


def report(arguments):
    answers = read(arguments.answers, arguments.half)
    absent = [not row["answerable"] for row in answers]
    said = [row["result"]["status"] == "not_found" for row in answers]
    precision, recall = precision_recall(said, absent)
    answerable = [row for row in answers if row["answerable"]]
    cited = 0
    for row in answerable:
        expected = (TOUR / row["path"]).resolve()
        is_right = lambda c: c["check"] in ("verified", "repaired") and pathlib.Path(c["path"]) == expected
        cited += row["result"]["status"] != "not_found" and any(map(is_right, row["result"]["citations"]))
    counts = {s: sum(row["result"]["status"] == s for row in answers) for s in ("answered", "partly", "not_found")}
    print(f"{len(answers)} questions, {sum(absent)} without an answer: {counts}")
    print(f"not found: precision {precision:.2f}, recall {recall:.2f}")
    print(f"a verified citation of the right document: {cited} of {len(answerable)} ({cited / len(answerable):.2f})")
    if arguments.show:
        for row, s, a in zip(answers, said, absent):
            if s != a:
                print(f"  {'wrongly not found' if s else 'wrongly answered '} {row['question']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("weigh", weigh), ("gather", gather)):
        one = commands.add_parser(name)
        one.add_argument("--home")
        one.add_argument("--binary")
        one.add_argument("--out", required=True)
        one.add_argument("--half", choices=["a", "b"], default="a")
        if name == "gather":
            one.add_argument("extra", nargs="*")
        one.set_defaults(run=run)
    for name, run in (("fit", fit), ("report", report)):
        one = commands.add_parser(name)
        one.add_argument("answers")
        if name == "report":
            one.add_argument("--half", choices=["a", "b"])
        else:
            one.add_argument("--signals", default=",".join(CHOSEN))
        one.add_argument("--show", action="store_true")
        one.set_defaults(run=run)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
