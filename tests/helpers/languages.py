"""The interpreters and compilers that the helpers are tested with, and the commands that start the test program of each.

scripts/lib.sh (`helper_languages`) unpacks the Debian packages of Go, Ruby, Mono and BusyBox into .tools/languages, and installs the
.NET runtime from PyPI into .tools/python-dotnet. An interpreter on PATH is preferred.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import standin

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HELPERS = ROOT / "helpers"
PROGRAMS = HERE / "programs"
TOOLS = ROOT / ".tools"
UNPACKED = TOOLS / "languages" / "root"
CPU_LIBRARIES = next(iter(sorted((UNPACKED / "usr/lib").glob("*-linux-gnu"))), UNPACKED / "usr/lib")


class Missing(Exception):
    """An interpreter or compiler is not installed."""


@dataclass
class Program:
    """Command of the test program, without its arguments, and its environment."""

    command: list[str]
    version: str
    environment: dict[str, str] = field(default_factory=dict)
    has_tls: bool = True


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    ran = subprocess.run(command, env={**os.environ, **(environment or {})}, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return (ran.stdout + ran.stderr).strip()


def on_path(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed")
    return found


def unpacked(name: str, path: str) -> Path:
    """Returns a program that scripts/lib.sh unpacked."""
    program = UNPACKED / path
    if not program.exists():
        raise Missing(f"{name} is neither on PATH nor in {UNPACKED}")
    return program


def python(_: Path) -> Program:
    return Program([sys.executable, str(PROGRAMS / "app.py")], f"Python {sys.version.split()[0]}", {"PYTHONPATH": str(HELPERS)})


def node(_: Path) -> Program:
    command = on_path("node")
    return Program([command, str(PROGRAMS / "app.cjs")], f"Node {run([command, '--version'])}")


def java(folder: Path) -> Program:
    compiler = on_path("javac")
    run([compiler, "-Xlint:all", "-Werror", "--release", "11", "-d", str(folder), str(HELPERS / "SidecarlessStats.java"), str(PROGRAMS / "App.java")])
    # Small heap and one compiler: the tests start several programs at once.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m"]
    # Java ignores the environment variables that set certificate authorities.
    store = folder / "trusted.p12"
    certificate = f"{standin.certificate(standin.TRUSTED)}.crt"
    run([on_path("keytool"), "-importcert", "-noprompt", "-alias", "trusted", "-file", certificate, "-keystore", str(store), "-storepass", "trusted"])
    options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=trusted"]
    return Program([on_path("java"), *options, "-cp", str(folder), "App"], run(["java", "-version"]).splitlines()[0])


def go(folder: Path) -> Program:
    compiler = shutil.which("go")
    environment = {"GOCACHE": str(TOOLS / "go-cache"), "GOPATH": str(folder / "path"), "GO111MODULE": "on", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    if not compiler:
        root = max((UNPACKED / "usr/lib").glob("go-*"), default=UNPACKED / "usr/lib/go")
        compiler, environment["GOROOT"] = str(unpacked("Go", str(root.relative_to(UNPACKED) / "bin/go"))), str(root)
    (folder / "sidecarless").mkdir()
    shutil.copy(HELPERS / "sidecarless_stats.go", folder / "sidecarless")
    shutil.copy(PROGRAMS / "app.go", folder)
    (folder / "go.mod").write_text("module app\n\ngo 1.16\n")
    run([compiler, "vet", "./..."], environment, folder)
    run([compiler, "build", "-o", "app", "."], environment, folder)
    return Program([str(folder / "app")], run([compiler, "version"], environment))


def ruby(_: Path) -> Program:
    command, environment = shutil.which("ruby"), {}
    if not command:
        command = str(unpacked("Ruby", "usr/bin/ruby"))
        (version,) = (path.name for path in (UNPACKED / "usr/lib/ruby").glob("[0-9]*"))
        folders = [UNPACKED / "usr/lib/ruby" / version, CPU_LIBRARIES / "ruby" / version, UNPACKED / "usr/lib/ruby/vendor_ruby"]
        environment = {"LD_LIBRARY_PATH": str(CPU_LIBRARIES), "RUBYLIB": ":".join(map(str, folders))}
    return Program([command, "-w", str(PROGRAMS / "app.rb")], run([command, "--version"], environment), environment)


def mono_environment() -> dict[str, str]:
    if shutil.which("mono") and shutil.which("mcs"):
        return {}
    unpacked("Mono", "usr/bin/mono-sgen")
    libraries = UNPACKED / "usr/lib/mono/4.5"
    return {"MONO_CFG_DIR": str(UNPACKED / "etc"), "MONO_PATH": str(libraries), "LD_LIBRARY_PATH": str(UNPACKED / "usr/lib")}


def compile_csharp(folder: Path) -> None:
    """Writes app.dll, with the compiler of Mono."""
    environment = mono_environment()
    command = str(UNPACKED / "usr/bin/mono-sgen") if environment else "mono"
    compiler = [command, str(UNPACKED / "usr/lib/mono/4.5/mcs.exe")] if environment else ["mcs"]
    sources = [str(HELPERS / "SidecarlessStats.cs"), str(PROGRAMS / "App.cs")]
    run([*compiler, "-warnaserror", "-langversion:7", "-r:System.Net.Http.dll", f"-out:{folder / 'app.exe'}", *sources], environment)
    (folder / "app.exe").rename(folder / "app.dll")


def dotnet(folder: Path) -> Program:
    """The runtime of Microsoft. Debian has no compiler for it, so that the compiler of Mono writes the assembly."""
    command = shutil.which("dotnet")
    if not command:
        found = next(TOOLS.glob("python-dotnet/lib/python*/site-packages/dotnetcore2/bin/dotnet"), None)
        if not found:
            raise Missing(f"the .NET runtime is neither on PATH nor in {TOOLS}")
        # The package does not mark the program as executable.
        found.chmod(0o755)
        command = str(found)
    compile_csharp(folder)
    (folder / "app.runtimeconfig.json").write_text(
        '{"runtimeOptions": {"rollForward": "LatestMajor", "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},'
        ' "configProperties": {"System.Globalization.Invariant": true}}}'
    )
    version = run([command, "--list-runtimes"]).splitlines()[0].split(" [")[0]
    # Version 3.1 needs OpenSSL 1.1, and ends the process without it. Debian 12 has OpenSSL 3.
    has_tls = not version.startswith("Microsoft.NETCore.App 3.1")
    return Program([command, str(folder / "app.dll")], version, {"DOTNET_CLI_TELEMETRY_OPTOUT": "1"}, has_tls)


LANGUAGES: dict[str, Callable[[Path], Program]] = {
    "python": python, "node": node, "java": java, "go": go, "ruby": ruby, "dotnet": dotnet,
}


def busybox() -> str:
    return shutil.which("busybox") or str(unpacked("BusyBox", "bin/busybox"))
