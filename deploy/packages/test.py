"""Installs the packages of target/packages where nothing else is, and runs what they installed.

    python3 deploy/packages/test.py [wheel] [npm] [deb]

Without a word, those that are there. Needs Python with venv for the wheel, npm, and dpkg-deb. No network.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
from build import COMPLETIONS, LICENSES, OUT, ROOT, this_platform  # noqa: E402

VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
LICENSE = re.search(r'^license = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
SECONDS = 30


def run(*command, **more):
    """What a command prints; it must not fail."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def serves(command, folder):
    """The command is the program of this version, which serves and ends when it is told to."""
    command = [str(word) for word in command]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    said = run(*command, "--version", cwd=folder, env=environment).strip()
    assert said == f"pointsman {VERSION}", said
    serving = [*command, "serve", "--demo", "--listen", "127.0.0.1:0", "--admin-listen", "off"]
    running = subprocess.Popen(serving, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        address = next(found.group(1) for line in running.stdout if (found := re.search(r'listening.*address="?([\d.:]+)', line)))
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
        with urllib.request.urlopen(f"http://{address}/v1/chat/completions", body, timeout=SECONDS) as answer:
            text = json.load(answer)["choices"][0]["message"]["content"]
        assert text.endswith("hello"), text
        running.send_signal(signal.SIGTERM)
        running.stdout.read()
        assert running.wait(SECONDS) == 0, running.returncode
        # Nobody serves there any more: the signal has reached the program itself.
        try:
            urllib.request.urlopen(f"http://{address}/health", timeout=SECONDS)
        except OSError:
            return
        raise AssertionError("it still serves")
    finally:
        running.kill()


def shares(folder, zipped=""):
    """Manual pages and completions are there."""
    pages = {file.name for file in (folder / "man" / "man1").iterdir()}
    assert {f"pointsman.1{zipped}", f"pointsman-serve.1{zipped}", f"pointsman-cache-purge.1{zipped}"} <= pages, pages
    for place in COMPLETIONS.values():
        assert "pointsman" in (folder / place).read_text(), place


def licensed(folder):
    """The licences are there, word for word."""
    for name in LICENSES:
        assert (folder / name).read_text() == (ROOT / name).read_text(), name


def wheel(folder):
    """In a virtual environment of its own."""
    (file,) = (OUT / "wheel").glob("pointsman-*.whl")
    assert file.name.startswith(f"pointsman-{VERSION}-"), file.name
    run(sys.executable, "-m", "venv", folder / "venv")
    run(folder / "venv/bin/pip", "install", "--quiet", "--no-index", file)
    serves([folder / "venv/bin/pointsman"], folder)
    shares(folder / "venv" / "share")
    told = run(folder / "venv/bin/pip", "show", "--verbose", "--files", "pointsman")
    assert f"Version: {VERSION}" in told, told
    (about,) = (folder / "venv").glob("lib/python*/site-packages/pointsman-*.dist-info")
    licensed(about / "licenses")
    fields = (about / "METADATA").read_text()
    assert f"License: {LICENSE}" in fields and fields.count("License-File: LICENSE-") == 2, fields


def npm(folder):
    """In a project of its own. The packages of other platforms are in no registry yet; npm takes that for a package that does not
    fit, and goes on."""
    main, own = OUT / "npm" / f"pointsman-{VERSION}.tgz", OUT / "npm" / f"pointsman-{this_platform()}-{VERSION}.tgz"
    (folder / "package.json").write_text('{"name": "somebody", "private": true}')
    run("npm", "install", "--offline", "--no-audit", "--no-fund", own, main, cwd=folder)
    serves([folder / "node_modules/.bin/pointsman"], folder)
    shares(folder / "node_modules" / "pointsman" / "share")
    licensed(folder / "node_modules" / "pointsman")
    licensed(folder / "node_modules" / "@pointsman" / this_platform())
    # Without its platform it says so.
    shutil.rmtree(folder / "node_modules" / "@pointsman")
    alone = subprocess.run([folder / "node_modules/.bin/pointsman"], capture_output=True, text=True, check=False)
    assert alone.returncode == 69 and "--omit=optional" in alone.stderr, alone


def deb(folder):
    """Below a root of its own."""
    (file,) = (OUT / "deb").glob("*.deb")
    assert run("dpkg-deb", "--field", file, "Version").strip() == VERSION
    contents = run("dpkg-deb", "--contents", file)
    assert all(line.split()[1] == "root/root" for line in contents.splitlines()), contents
    run("dpkg-deb", "--extract", file, folder)
    serves([folder / "usr/bin/pointsman"], folder)
    shares(folder / "usr" / "share", ".gz")
    told = (folder / "usr/share/doc/pointsman/copyright").read_text()
    assert all((ROOT / name).read_text() in told for name in LICENSES), told
    unit = (folder / "usr/lib/systemd/system/pointsman.service").read_text()
    assert "ExecStart=/usr/bin/pointsman serve --config /etc/pointsman/pointsman.yaml" in unit
    assert (folder / "etc/pointsman/keys").stat().st_mode & 0o777 == 0o700
    (folder / "groq_api_keys").write_text("k1\n")
    environment = {"CREDENTIALS_DIRECTORY": str(folder)}
    run(folder / "usr/bin/pointsman", "check", "--config", folder / "etc/pointsman/pointsman.yaml", env=environment)
    if os.geteuid() == 0 and shutil.which("dpkg"):
        # As dpkg installs it, with a database of its own; what it needs of others is not below that root.
        root = folder / "root"
        for name in ("updates", "info"):
            (root / "var/lib/dpkg" / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        run("dpkg", f"--root={root}", "--force-depends", "--install", file)
        serves([root / "usr/bin/pointsman"], folder)
        run("dpkg", f"--root={root}", "--purge", "pointsman")
        assert not (root / "usr/bin/pointsman").exists() and not (root / "etc/pointsman").exists()


def main():
    """Each package; one line each."""
    all_kinds = {"wheel": wheel, "npm": npm, "deb": deb}
    wanted = sys.argv[1:] or [kind for kind in all_kinds if (OUT / kind).is_dir()]
    assert wanted, "there are no packages: python3 deploy/packages/build.py"
    for kind in wanted:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            all_kinds[kind](Path(folder))
        print(f"ok    {kind}  {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
