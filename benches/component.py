"""The component beside raw requests, both in one engine: `component.py LIBRARY RAW URL ROUNDS BATCH` prints ms as JSON."""

import json
import os
import random
import socket
import sys
import threading
import time

import wasmtime
from wasmtime import component as c

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/component"))
import guest  # noqa: E402

IMAGE = b"eighteen-byte-body"
OWNER = "7d6f2b8e-1111-4222-8333-444455556666"
REQUEST = {"date": "2026-05-11", "slug": "lighthouse", "seed": 42, "prompt": "p", "backend": "b"}
ARGUMENTS = sys.argv[1:]


class Library:
    """A sink of the component, and the call that is measured."""

    def __init__(self, engine, url):
        self.store, self.instance = guest.instantiate(ARGUMENTS[0], wasmtime.WasiConfig(), engine)
        self.exported = self.instance.get_export_index(self.store, guest.SINKS)
        connect, (_, options) = self.find("[static]sink.connect")
        given = guest.lower(options, {"url": url, "apiKey": "key", "ownerUserId": OWNER, "maxRetries": 0})
        connected = connect(self.store, given)
        self.sink = getattr(connected, "payload", connected)
        # Its arguments are made once: what Python needs for that is no part of a call.
        self.sync, _, (_, request), (_, options) = self.find("[method]sink.sync")
        self.request, self.options = guest.lower(request, {**REQUEST, "image": ""}), guest.lower(options, {})
        self.request.image = IMAGE

    def find(self, name):
        index = self.instance.get_export_index(self.store, name, self.exported)
        function = self.instance.get_func(self.store, index)
        return [function, *function.type(self.store).params]

    def send(self):
        return self.sync(self.store, self.sink, self.request, self.options)


class Raw:
    """The same two requests by `wasi:http`."""

    def __init__(self, engine, url):
        self.store, instance = guest.instantiate(ARGUMENTS[1], wasmtime.WasiConfig(), engine)
        self.call = instance.get_func(self.store, instance.get_export_index(self.store, "send"))
        self.authority = url.removeprefix("http://")

    def send(self):
        return self.call(self.store, self.authority, IMAGE)


CONTENDERS = {"component": Library, "raw": Raw}


def check(answer):
    """Nothing that failed is to be measured."""
    if isinstance(answer, c.Variant) and answer.tag != "ok":
        sys.exit(f"a call failed: {answer.payload}")
    if isinstance(answer, str) or hasattr(answer, "retryable"):
        sys.exit(f"a call failed: {getattr(answer, 'message', answer)}")


def turns(rounds):
    """All contenders in each round, in another order each time."""
    for number in range(-2, rounds):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            yield number >= 0, name


def calls(url, rounds, batch):
    """Of a call, once it is set up."""
    engine = wasmtime.Engine()
    peers = {name: make(engine, url) for name, make in CONTENDERS.items()}
    samples = {name: [] for name in CONTENDERS}
    for counts, name in turns(rounds):
        start = time.perf_counter()
        answers = [peers[name].send() for _ in range(batch)]
        ms = (time.perf_counter() - start) * 1000 / batch
        for answer in answers:
            check(answer)
        if counts:
            samples[name].append(ms)
    return samples


def first_byte(make):
    """From nothing but machine code in a file to the first byte of the first request."""
    server = socket.create_server(("127.0.0.1", 0))
    seen = []

    def serve():
        client, _ = server.accept()
        client.recv(1)
        seen.append(time.perf_counter())
        # What is refused for good ends the call.
        client.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        while client.recv(65536):
            pass
        client.close()

    answering = threading.Thread(target=serve)
    answering.start()
    start = time.perf_counter()
    make(wasmtime.Engine(), f"http://127.0.0.1:{server.getsockname()[1]}").send()
    answering.join()
    server.close()
    return (seen[0] - start) * 1000


def starts(rounds):
    samples = {name: [] for name in CONTENDERS}
    for counts, name in turns(rounds):
        ms = first_byte(CONTENDERS[name])
        if counts:
            samples[name].append(ms)
    return samples


def compiling(rounds):
    """What the engine needs once, before it keeps the machine code."""
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        c.Component.from_file(wasmtime.Engine(), ARGUMENTS[0])
        samples.append((time.perf_counter() - start) * 1000)
    return samples


if __name__ == "__main__":
    url, rounds, batch = ARGUMENTS[2], int(ARGUMENTS[3]), int(ARGUMENTS[4])
    print(json.dumps({"call": calls(url, rounds, batch), "start": starts(rounds), "compiling": compiling(3)}))
