#!/usr/bin/env python3
"""Searches from several clients while eight others ask: five wait for their answers, two give theirs up, one stalls.

    tests/serve_load.py [--seconds N] [--searchers N] [--docent COMMAND]

Prints requests per second, latencies and the server's memory. Fails if a search fails or finds something else than before, if an answer
that was waited for is wrong, or if the model goes on for a client that has gone.
"""

import argparse
import http.client
import json
import socket
import sys
import threading
import time

from serving import ROOT, Serving

QUERIES = ["working from another country", "notice period", "who keeps the key", "kernel modules", "the right to education", "boiling point"]
QUESTION = "How many days a year may I work from another country?"


def post(address, path, body, client):
    connection = http.client.HTTPConnection(address, timeout=300)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "X-Client-Id": client})
    response = connection.getresponse()
    return connection, response


def searcher(address, name, until, times, faults, expected):
    connection = http.client.HTTPConnection(address, timeout=60)
    at = 0
    while time.monotonic() < until:
        query = QUERIES[at % len(QUERIES)]
        at += 1
        started = time.monotonic()
        head = {"Content-Type": "application/json", "X-Client-Id": name}
        connection.request("POST", "/v1/search", json.dumps({"query": query}), head)
        response = connection.getresponse()
        body = response.read()
        times.append(time.monotonic() - started)
        found = [hit["path"] for hit in json.loads(body).get("hits", [])]
        if response.status != 200 or expected.setdefault(query, found) != found:
            faults.append((query, response.status, body[:200]))


def asker(address, name, until, gives_up, answers, faults, expected):
    while time.monotonic() < until:
        connection, response = post(address, "/v1/ask", {"question": QUESTION, "stream": True}, name)
        if gives_up:
            response.read1(200)
            response.close()  # the response has the socket, too
            connection.close()
            time.sleep(0.5)
            continue
        body = response.read().decode()
        results = [json.loads(event.split("data: ", 1)[1]) for event in body.split("\n\n") if event.startswith("event: result")]
        answer = results[0]["answer"] if results else body[-200:]
        if expected.setdefault("answer", answer) != answer:
            faults.append((name, answer))
        answers.append(name)


def staller(address, until):
    """Asks and reads nothing, and beside that begins a request that it does not end."""
    host, port = address.split(":")
    body = json.dumps({"question": QUESTION, "stream": True})
    head = f"POST /v1/ask HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nX-Client-Id: stalls\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as silent, socket.create_connection((host, int(port))) as slow:
        silent.sendall((head + body).encode())
        slow.sendall((head + body[:9]).encode())
        time.sleep(max(0, until - time.monotonic()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--searchers", type=int, default=8)
    parser.add_argument("--docent")
    arguments = parser.parse_args()
    with Serving(arguments.docent, [ROOT / "corpora" / "tour" / name for name in ("work", "home", "software")]) as serving:
        address = serving.url.removeprefix("http://")
        expected, times, answers, faults = {}, [], [], []
        for query in QUERIES:  # once each, so that models are open and results known
            post(address, "/v1/search", {"query": query}, "first")[1].read()
        post(address, "/v1/ask", {"question": QUESTION}, "first")[1].read()
        before = serving.memory()
        until = time.monotonic() + arguments.seconds
        threads = [
            threading.Thread(target=searcher, args=(address, f"search-{i}", until, times, faults, expected))
            for i in range(arguments.searchers)
        ]
        threads += [
            threading.Thread(target=asker, args=(address, f"ask-{i}", until, i >= 5, answers, faults, expected)) for i in range(7)
        ]
        threads.append(threading.Thread(target=staller, args=(address, until)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deadline = time.monotonic() + 60
        while serving.metric("docent_model_busy") and time.monotonic() < deadline:
            time.sleep(0.05)
        is_free = serving.metric("docent_model_busy") == 0
        times.sort()
        at = lambda share: 1000 * times[min(len(times) - 1, int(share * len(times)))]
        print(f"{len(times)} searches by {arguments.searchers} clients in {arguments.seconds:.0f} s: {len(times) / arguments.seconds:.0f}/s, "
              f"p50 {at(.5):.0f} ms, p99 {at(.99):.0f} ms, p99.9 {at(.999):.0f} ms")
        print(f"{len(answers)} answers to {len(set(answers))} clients, {serving.metric('docent_answers_cancelled_total'):.0f} given up")
        print(f"memory {before >> 20} MiB before, {serving.memory() >> 20} MiB after")
    for fault in faults[:5]:
        print("FAULT", fault)
    if not is_free:
        print("FAULT the model still computes though nobody waits")
    ok = not faults and is_free and len(set(answers)) == 5 and serving.ended == 0
    print("ok" if ok else f"failed: {len(faults)} faults, the server ended with {serving.ended}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
