"""Builds the packages: a wheel, npm packages and a Debian package, each with the binary, manual pages and completions.

    python3 deploy/packages/build.py [--binary FILE] [--platform NAME] [--profile NAME] [wheel] [npm] [deb]

They go to target/packages. Without a word all are built whose tools are there. The binary is that of `cargo build --profile dist`,
or FILE; maturin builds that of a wheel itself. Another `--profile`, such as `dev`, is for trying packages out. `--platform` is npm's
name of the platform that FILE is for (`linux-arm64`); without it, this machine's. Version, description and licence are those of Cargo.toml. Needs Python 3.9; a wheel maturin, a Debian package
dpkg-deb and objdump.
"""

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OUT = TARGET / "packages"
CARGO = os.environ.get("CARGO", "cargo")
LICENSES = ["LICENSE-APACHE", "LICENSE-MIT"]

# npm's name: of the system and the processor there, and of the processor at Debian.
PLATFORMS = {
    "linux-x64": {"os": "linux", "cpu": "x64", "libc": "glibc", "debian": "amd64"},
    "linux-arm64": {"os": "linux", "cpu": "arm64", "libc": "glibc", "debian": "arm64"},
    "darwin-x64": {"os": "darwin", "cpu": "x64"},
    "darwin-arm64": {"os": "darwin", "cpu": "arm64"},
}
COMPLETIONS = {
    "bash": "bash-completion/completions/pointsman",
    "zsh": "zsh/site-functions/_pointsman",
    "fish": "fish/vendor_completions.d/pointsman.fish",
}


def run(*command, **more):
    """What a command prints; it must not fail."""
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def package():
    """What Cargo.toml says of the package."""
    read = json.loads(run(CARGO, "metadata", "--no-deps", "--format-version", "1", cwd=ROOT))
    return next(one for one in read["packages"] if one["name"] == "pointsman")


def this_platform():
    """npm's name of this machine."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{platform.system().lower()}-{machine.get(platform.machine().lower(), platform.machine())}"


def built(profile):
    """The binary of this profile."""
    subprocess.run([CARGO, "build", "--locked", "--profile", profile, "--bin", "pointsman"], cwd=ROOT, check=True)
    return TARGET / ("debug" if profile == "dev" else profile) / "pointsman"


def fresh(folder):
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def put(source, to, mode=0o644):
    """Copies a file, with these rights."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, to)
    to.chmod(mode)


def share(binary, folder):
    """Manual pages and completions, as they lie below `share`."""
    pages = folder / "man" / "man1"
    pages.mkdir(parents=True)
    run(binary, "man", "--all", pages)
    for shell, place in COMPLETIONS.items():
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text(run(binary, "completions", shell))
    return sorted(pages.iterdir())


def wheel(about, binary, given):
    """The wheel, by maturin. It reads this package's Cargo.toml, and finds the binary of its profile built."""
    here, out = HERE / "wheel", fresh(OUT / "wheel")
    try:
        share(binary, fresh(here / "data") / "data" / "share")
        # It takes none from a folder above its own.
        for name in LICENSES:
            put(ROOT / name, here / name)
        subprocess.run(["maturin", "build", "--profile", given.profile, "--out", out], cwd=here, check=True)
    finally:
        # Generated: the tree stays as it was.
        shutil.rmtree(here / "data", ignore_errors=True)
        for name in LICENSES:
            (here / name).unlink(missing_ok=True)
    return sorted(out.iterdir())


def npm(about, binary, given):
    """The package that people install, and the one with the binary of a platform."""
    out = fresh(OUT / "npm")
    common = {
        "version": about["version"],
        "description": about["description"],
        "license": f"({about['license']})",
        "keywords": about["keywords"],
    }
    name = given.platform
    where = PLATFORMS[name]
    own = out / name
    put(binary, own / "bin" / "pointsman", 0o755)
    fits = {key: [where[key]] for key in ("os", "cpu", "libc") if key in where}
    write_package(own, {"name": f"@pointsman/{name}", **common, **fits})
    main = out / "pointsman"
    put(HERE / "npm" / "pointsman.js", main / "bin" / "pointsman.js", 0o755)
    pages = share(binary, main / "share")
    write_package(main, {
        "name": "pointsman",
        **common,
        "bin": {"pointsman": "bin/pointsman.js"},
        "man": [str(page.relative_to(main)) for page in pages],
        "engines": {"node": ">=18"},
        "optionalDependencies": {f"@pointsman/{one}": about["version"] for one in PLATFORMS},
    })
    shutil.copy(ROOT / "README.md", main)
    for folder in (own, main):
        run("npm", "pack", "--silent", "--pack-destination", out, cwd=folder)
    return sorted(out.glob("*.tgz"))


def write_package(folder, fields):
    """The package.json, and the licences."""
    for name in LICENSES:
        put(ROOT / name, folder / name)
    (folder / "package.json").write_text(json.dumps(fields, indent=2) + "\n")


def deb(about, binary, given):
    """The Debian package: the binary, the service, which is not started before it has a configuration."""
    architecture = PLATFORMS[given.platform]["debian"]
    root = fresh(OUT / "deb" / "root")
    usr = root / "usr"
    put(binary, usr / "bin" / "pointsman", 0o755)
    for page in share(binary, usr / "share"):
        packed(page)
    for page in ("changelog", "copyright"):
        (usr / "share" / "doc" / "pointsman").mkdir(parents=True, exist_ok=True)
    put(ROOT / "CHANGELOG.md", usr / "share" / "doc" / "pointsman" / "changelog")
    packed(usr / "share" / "doc" / "pointsman" / "changelog")
    licenses = "\n\n".join((ROOT / name).read_text() for name in LICENSES)
    (usr / "share" / "doc" / "pointsman" / "copyright").write_text(f"License: {about['license']}\n\n{licenses}")
    for unit in ("pointsman.service", "pointsman.socket"):
        text = (ROOT / "deploy" / "systemd" / unit).read_text().replace("/usr/local/bin/", "/usr/bin/")
        place = usr / "lib" / "systemd" / "system" / unit
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    etc = root / "etc" / "pointsman"
    put(ROOT / "deploy" / "systemd" / "pointsman.yaml", etc / "pointsman.yaml")
    (etc / "keys").mkdir(mode=0o700)
    control = root / "DEBIAN"
    control.mkdir()
    (control / "conffiles").write_text("/etc/pointsman/pointsman.yaml\n")
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) // 1024
    fields = {
        "Package": "pointsman",
        "Version": about["version"],
        "Architecture": architecture,
        "Maintainer": ", ".join(about["authors"]) or "Pointsman's contributors",
        "Installed-Size": size,
        "Depends": f"libc6 (>= {newest_libc(binary)}), libgcc-s1, ca-certificates",
        "Section": "net",
        "Priority": "optional",
        "Description": about["description"],
    }
    (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    for folder in root.rglob("*"):
        if folder.is_dir() and folder.name != "keys":
            folder.chmod(0o755)
    file = OUT / "deb" / f"pointsman_{about['version']}_{architecture}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, file)
    return [file]


def packed(file):
    """The same file with gzip, without a time in it."""
    file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    file.unlink()


def newest_libc(binary):
    """The version of the C library that the binary asks for."""
    found = re.findall(r"GLIBC_(\d+)\.(\d+)", run("objdump", "-T", binary))
    return ".".join(str(number) for number in max((int(major), int(minor)) for major, minor in found))


BUILDERS = {"wheel": (wheel, ["maturin"]), "npm": (npm, ["npm"]), "deb": (deb, ["dpkg-deb", "objdump"])}


def main():
    """Builds what was asked for; prints the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--platform", choices=PLATFORMS, default=this_platform())
    parser.add_argument("--profile", default="dist")
    parser.add_argument("kinds", nargs="*", choices=[[], *BUILDERS], metavar="wheel, npm, deb")
    given = parser.parse_args()
    wanted = given.kinds or list(BUILDERS)
    missing = {kind: [tool for tool in BUILDERS[kind][1] if not shutil.which(tool)] for kind in wanted}
    if given.kinds and any(missing.values()):
        sys.exit(f"these tools are missing: {', '.join(tool for tools in missing.values() for tool in tools)}")
    about = package()
    binary = given.binary.resolve() if given.binary else built(given.profile)
    stripped = fresh(OUT / "bin") / "pointsman"
    shutil.copy(binary, stripped)
    if shutil.which("strip"):
        run("strip", stripped)
    for kind in wanted:
        if missing[kind]:
            print(f"left out: {kind}: there is no {' and no '.join(missing[kind])}")
            continue
        for file in BUILDERS[kind][0](about, stripped, given):
            print(f"{file}  {file.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
