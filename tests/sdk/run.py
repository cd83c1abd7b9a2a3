"""The official SDKs, LangChain and BorgLLM against Pointsman, over upstreams of each dialect.

    python3 tests/sdk/run.py [PROGRAM] [WORD …]

PROGRAM is the binary to test (target/debug/pointsman); with words, only checks whose name has them all run. The SDKs are
installed below target/sdk, at the versions of requirements.txt, frameworks.txt and package-lock.json. Without the registries nothing is
checked: the last line then begins with SKIPPED and says why, and the exit code is 77. Needs Python 3.10 with venv, and
Node.js 20 with npm for the SDKs in JavaScript.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

# The work tree stays as it is.
sys.dont_write_bytecode = True
from upstream import server  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "sdk"
SKIPPED = 77
TOKEN = "sdk-token"
INSTALL_SECONDS = 120
CHECK_SECONDS = 150

MODELS = {
    "openai": ("v1", "qwen3-vl-235b"),
    "anthropic": ("v1", "claude-sonnet-4-5"),
    "gemini": ("v1beta", "gemini-3-pro-preview"),
    "responses": ("v1", "gpt-5.2"),
}
FAILURES = [400, 429, 503, 529]

CONFIG = """
server: {{listen: 127.0.0.1:0, admin_listen: off, max_body: 1MiB}}
log: {{format: json, level: info}}
clients: [{{name: sdk, token: {token}}}]
dispatch: {{await_cooldown: 0s}}
llm:
  providers:
{providers}
"""


class Skipped(Exception):
    """What the checks need cannot be had."""


def providers(root):
    """Each dialect with a provider that answers, and one for each failure."""
    for dialect, (version, model) in MODELS.items():
        where = f"dialect: {dialect}, base_url: {root}/{dialect}/{version}, model: {model}"
        yield f"    - {{name: up-{dialect}, {where}, api_key: good}}"
        for status in FAILURES:
            yield f"    - {{name: up-{dialect}-{status}, {where}, api_key: fail-{status}, retry: {{same_upstream: 0}}}}"


def installed(name, files, commands):
    """A folder below target/sdk into which the commands have put what the files say; kept while they stay the same."""
    folder = PLACE / name
    stamp = hashlib.sha256(b"".join((HERE / file).read_bytes() for file in files)).hexdigest()
    mark = folder / "stamp"
    if mark.exists() and mark.read_text() == stamp:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(HERE / file, folder)
    for command in commands:
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Skipped(f"the SDKs cannot be installed: {error}") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
            first = next((line for line in said if "error" in line.lower()), said[-1])
            raise Skipped(f"the SDKs cannot be installed: {Path(command[0]).name}: {first}")
    mark.write_text(stamp)
    return folder


def python_checks():
    """The command that checks the SDKs in Python."""
    if sys.version_info < (3, 10):
        raise Skipped("Python is older than 3.10")
    pip = ["venv/bin/python", "-m", "pip", "install", "--quiet", "--no-input", "-r", "requirements.txt"]
    folder = installed("python", ["requirements.txt"], [[sys.executable, "-m", "venv", "venv"], pip])
    return [str(folder / "venv/bin/python"), str(HERE / "python_checks.py")]


def framework_checks():
    """The command that checks what is built on them; it runs in the environment of the SDKs in Python."""
    python = python_checks()[0]
    pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--target", "packages", "-r", "frameworks.txt"]
    folder = installed("frameworks", ["frameworks.txt"], [pip])
    return [python, str(HERE / "framework_checks.py"), str(folder / "packages")]


def node_checks():
    """The command that checks the SDKs in JavaScript. It runs where they are, as its imports are looked for there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Skipped("there is no Node.js with npm")
    major = subprocess.run([node, "-p", "parseInt(process.versions.node)"], capture_output=True, text=True, check=True)
    if int(major.stdout) < 20:
        raise Skipped("Node.js is older than 20")
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    folder = installed("node", ["package.json", "package-lock.json"], [command])
    for file in HERE.glob("*.mjs"):
        shutil.copy(file, folder)
    return [node, str(folder / "node_checks.mjs")]


def gateway(program, root, folder):
    """The gateway, and the URL that it listens at. Its log is read to its end, so that it never waits for a reader."""
    config = Path(folder) / "pointsman.yaml"
    config.write_text(CONFIG.format(token=TOKEN, providers="\n".join(providers(root))))
    command = [program, "serve", "--config", str(config)]
    environment = {"PATH": os.environ["PATH"]}
    running = subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines, found, ready = [], [], threading.Event()

    def read():
        for line in running.stdout:
            lines.append(line)
            if '"address":"' in line and not found:
                found.append("http://" + line.split('"address":"')[1].split('"')[0])
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    ready.wait(20)
    if not found:
        running.kill()
        sys.exit("pointsman does not listen:\n" + "".join(lines))
    return running, found[0], lines


def check(prepare, environment):
    """Runs checks, passes their lines on, and counts them."""
    try:
        command = prepare()
    except Skipped as skipped:
        print(f"skip  {prepare.__name__}: {skipped}", flush=True)
        return 0, 0, str(skipped)
    passed = failed = 0
    running = subprocess.Popen(command, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE)
    timer = threading.Timer(CHECK_SECONDS, running.kill)
    timer.start()
    for line in running.stdout:
        print(line, end="", flush=True)
        passed += line.startswith("ok    ")
        failed += line.startswith("FAIL  ")
    timer.cancel()
    if running.wait() != 0 and not failed:
        print(f"FAIL  {prepare.__name__}: it ended with {running.returncode}")
        failed = 1
    return passed, failed, None


def main():
    """Everything; the exit code says how it went."""
    began = time.monotonic()
    program, *words = sys.argv[1:] or [str(ROOT / "target/debug/pointsman")]
    upstream, root = server.start()
    passed = failed = 0
    skipped = []
    with tempfile.TemporaryDirectory() as folder:
        running, url, lines = gateway(str(Path(program).resolve()), root, folder)
        only = json.dumps(words)
        environment = {"POINTSMAN_URL": url, "POINTSMAN_TOKEN": TOKEN, "ONLY": only, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            for prepare in (python_checks, framework_checks, node_checks):
                good, bad, missing = check(prepare, environment)
                passed, failed = passed + good, failed + bad
                skipped += [missing] if missing else []
            if running.poll() is not None:
                failed += 1
                print("FAIL  pointsman ended:\n" + "".join(lines[-20:]))
        finally:
            running.terminate()
            running.wait(20)
            upstream.shutdown()
    print(f"{time.monotonic() - began:.0f} s")
    if skipped and not passed + failed:
        print(f"SKIPPED: {'; '.join(skipped)}")
        sys.exit(SKIPPED)
    print(f"sdk: {passed} passed, {failed} failed, {len(skipped)} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
