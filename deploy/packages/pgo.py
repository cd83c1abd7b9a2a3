"""Builds the program by a profile of its own work (profile-guided optimisation).

    python3 deploy/packages/pgo.py [--profile NAME] [--requests N]

The program is built with counters, serves N requests of each kind between two processes of this machine (whole and streamed answers of
three dialects, kept answers, a provider that is away), and is built again by what was counted. The path of the result is printed:
`build.py --binary` packs it. `--profile` is Cargo's, `dist` without a word; both builds have it, as a profile is of no use to another.

Needs Python 3.9, and `llvm-profdata` of the same major version as rustc's LLVM: `rustup component add llvm-tools`, or the path to one in
LLVM_PROFDATA. Another version reads nothing of it, so none is used.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "pgo"
CARGO = os.environ.get("CARGO", "cargo")
RUSTC = os.environ.get("RUSTC", "rustc")
CONNECTIONS = 16
START = 30

UPSTREAM = """
log: {format: json}
server: {listen: "127.0.0.1:0", admin_listen: off}
llm:
  default_model: m
  providers: [{name: echo, dialect: echo, models: [m]}]
  virtual: [{name: m, upstreams: ["echo:m"]}]
"""
GATEWAY = """
log: {format: json}
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0"}
llm:
  default_model: plain
  providers:
    - {name: up, base_url: "http://ADDRESS/v1", models: [m], api_keys: [k1, k2, k3], price: {input: 1, output: 2}}
    - {name: kept, base_url: "http://ADDRESS/v1", models: [m], api_key: k4, cache: {ttl: 1h}}
    - {name: away, base_url: "http://127.0.0.1:9/v1", models: [m], api_key: k5}
  virtual:
    - {name: plain, upstreams: ["up:m"]}
    - {name: chain, upstreams: ["away:m", "up:m"]}
    - {name: cached, upstreams: ["kept:m"]}
"""
TEXT = "Say hello, and then say it again, as often as you like and in as many ways as there are. " * 4


def requests():
    """Kinds of requests: path and body."""
    messages = [{"role": "user", "content": TEXT}]
    chat = "/v1/chat/completions"
    for target in ["plain", "up", "chain"]:
        yield chat, {"model": target, "messages": messages, "temperature": 0.5}
    for _ in range(2):
        yield chat, {"model": "plain", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    yield chat, {"model": "cached", "messages": messages, "temperature": 0}
    yield "/v1/messages", {"model": "plain", "messages": messages, "max_tokens": 500}
    yield "/v1/messages", {"model": "plain", "messages": messages, "max_tokens": 500, "stream": True}
    yield "/v1/responses", {"model": "plain", "input": TEXT}


def fail(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(1)


def rustc():
    """The host and the major version of LLVM."""
    text = subprocess.run([RUSTC, "-vV"], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    host = re.search(r"^host: (\S+)$", text, re.M)
    llvm = re.search(r"^LLVM version: (\d+)", text, re.M)
    if not host or not llvm:
        fail(f"`{RUSTC} -vV` names neither a host nor a version of LLVM")
    return host[1], llvm[1]


def profdata(host, llvm):
    """The path of an llvm-profdata of that version."""
    sysroot = subprocess.run([RUSTC, "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.strip()
    known = [os.environ.get("LLVM_PROFDATA"), f"{sysroot}/lib/rustlib/{host}/bin/llvm-profdata", f"llvm-profdata-{llvm}", "llvm-profdata"]
    for path in filter(None, known):
        found = shutil.which(path)
        # Some answer `show --version` alone.
        for words in (["--version"], ["show", "--version"]) if found else []:
            told = subprocess.run([found, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
            if re.search(rf"LLVM version {llvm}\.", told):
                return found
    fail(f"there is no llvm-profdata of LLVM {llvm}: `rustup component add llvm-tools`, or name one in LLVM_PROFDATA")


def build(profile, host, flags):
    """Builds the binary; its path. With a target of their own, build scripts are built without the flags."""
    env = {**os.environ, "RUSTFLAGS": f"{os.environ.get('RUSTFLAGS', '')} {flags}".strip(), "CARGO_TARGET_DIR": str(TARGET)}
    words = ["build", "--locked", "--bin", "pointsman", "--profile", profile, "--target", host]
    subprocess.run([CARGO, *words], check=True, cwd=ROOT, env=env)
    return TARGET / host / ("debug" if profile == "dev" else profile) / "pointsman"


class Process:
    """A process of the program, and where it listens."""

    def __init__(self, binary, config, profiles, scratch):
        file = Path(scratch) / f"{profiles.name}.yaml"
        file.write_text(config)
        env = {**os.environ, "LLVM_PROFILE_FILE": str(profiles)}
        self.log = open(file.with_suffix(".log"), "w+")
        self.child = subprocess.Popen([binary, "serve", "--config", file], env=env, stdout=self.log, stderr=self.log)
        self.address = self.listening()

    def listening(self):
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self.child.poll() is None:
            self.log.seek(0)
            for line in self.log:
                if '"listener":"data"' in line and (found := re.search(r'"address":"(127[^"]*)"', line)):
                    return found[1]
            time.sleep(0.05)
        self.log.seek(0)
        fail(f"a process did not start:\n{self.log.read()}")

    def end(self):
        """By a signal, so that it writes what it has counted."""
        self.child.send_signal(signal.SIGTERM)
        if self.child.wait(60) != 0:
            fail(f"a process ended with {self.child.returncode}")


def ask(address, kinds, count, refused):
    """`count` requests of each kind, one after the other, over one connection."""
    link = http.client.HTTPConnection(address, timeout=60)
    for _ in range(count):
        for path, body in kinds:
            link.request("POST", path, json.dumps(body), {"content-type": "application/json", "authorization": "Bearer x"})
            answer = link.getresponse()
            text = answer.read()
            if answer.status != 200:
                refused.append(f"{path}: {answer.status} {text[:300]}")
                return
    link.close()


def train(binary, profiles, count):
    """Serves requests with a binary that counts."""
    with tempfile.TemporaryDirectory() as scratch:
        # What the upstream does is nobody's work.
        upstream = Process(binary, UPSTREAM, Path(scratch) / "upstream-%p.profraw", scratch)
        gateway = Process(binary, GATEWAY.replace("ADDRESS", upstream.address), profiles / "gateway-%p.profraw", scratch)
        refused = []
        share = max(count // CONNECTIONS, 1)
        threads = [threading.Thread(target=ask, args=(gateway.address, list(requests()), share, refused)) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gateway.end()
        upstream.end()
    if refused:
        fail(f"a request was not served: {refused[0]}")


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--profile", default="dist", help="Cargo's profile of both builds")
    words.add_argument("--requests", type=int, default=4000, help="of each kind")
    given = words.parse_args()
    host, llvm = rustc()
    tool = profdata(host, llvm)
    profiles = TARGET / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    train(build(given.profile, host, f"-Cprofile-generate={profiles}"), profiles, given.requests)
    raw = profiles / "merged.profdata"
    subprocess.run([tool, "merge", "-o", raw, *profiles.glob("gateway-*.profraw")], check=True)
    # Cargo builds anew when flags change, not when a file does that they name.
    merged = raw.rename(profiles / f"{hashlib.sha256(raw.read_bytes()).hexdigest()[:16]}.profdata")
    print(build(given.profile, host, f"-Cprofile-use={merged}"))


if __name__ == "__main__":
    main()
