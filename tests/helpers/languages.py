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
SIGNING = HELPERS / "signing"
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


def python(_: Path, program: str = "app.py") -> Program:
    return Program([sys.executable, str(PROGRAMS / program)], f"Python {sys.version.split()[0]}", {"PYTHONPATH": str(HELPERS if program == "app.py" else SIGNING)})


def node(_: Path, program: str = "app.cjs") -> Program:
    command = on_path("node")
    return Program([command, str(PROGRAMS / program)], f"Node {run([command, '--version'])}")


def java(folder: Path, helper: Path = HELPERS / "SidecarlessStats.java", program: str = "App", *libraries: Path) -> Program:
    compiler = on_path("javac")
    sources = map(str, (helper, PROGRAMS / f"{program}.java", *libraries))
    run([compiler, "-Xlint:all", "-Werror", "--release", "11", "-d", str(folder), *sources])
    # Small heap and one compiler: the tests start several programs at once.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m"]
    # Java ignores the environment variables that set certificate authorities.
    store = folder / "trusted.p12"
    certificate = f"{standin.certificate(standin.TRUSTED)}.crt"
    run([on_path("keytool"), "-importcert", "-noprompt", "-alias", "trusted", "-file", certificate, "-keystore", str(store), "-storepass", "trusted"])
    options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=trusted"]
    return Program([on_path("java"), *options, "-cp", str(folder), program], run(["java", "-version"]).splitlines()[0])


def go_environment(folder: Path) -> tuple[str, dict[str, str]]:
    """Returns the compiler and its environment."""
    compiler = shutil.which("go")
    environment = {"GOCACHE": str(TOOLS / "go-cache"), "GOPATH": str(folder / "path"), "GO111MODULE": "on", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    if not compiler:
        root = max((UNPACKED / "usr/lib").glob("go-*"), default=UNPACKED / "usr/lib/go")
        compiler, environment["GOROOT"] = str(unpacked("Go", str(root.relative_to(UNPACKED) / "bin/go"))), str(root)
    return compiler, environment


def go(folder: Path, helper: Path = HELPERS / "sidecarless_stats.go", program: str = "app.go") -> Program:
    compiler, environment = go_environment(folder)
    (folder / "sidecarless").mkdir()
    shutil.copy(helper, folder / "sidecarless")
    shutil.copy(PROGRAMS / program, folder)
    (folder / "go.mod").write_text("module app\n\ngo 1.16\n")
    run([compiler, "vet", "./..."], environment, folder)
    run([compiler, "build", "-o", "app", "."], environment, folder)
    return Program([str(folder / "app")], run([compiler, "version"], environment))


def ruby(_: Path, program: str = "app.rb") -> Program:
    command, environment = shutil.which("ruby"), {}
    if not command:
        command = str(unpacked("Ruby", "usr/bin/ruby"))
        (version,) = (path.name for path in (UNPACKED / "usr/lib/ruby").glob("[0-9]*"))
        folders = [UNPACKED / "usr/lib/ruby" / version, CPU_LIBRARIES / "ruby" / version, UNPACKED / "usr/lib/ruby/vendor_ruby"]
        environment = {"LD_LIBRARY_PATH": str(CPU_LIBRARIES), "RUBYLIB": ":".join(map(str, folders))}
    return Program([command, "-w", str(PROGRAMS / program)], run([command, "--version"], environment), environment)


def mono_environment() -> dict[str, str]:
    if shutil.which("mono") and shutil.which("mcs"):
        return {}
    unpacked("Mono", "usr/bin/mono-sgen")
    libraries = UNPACKED / "usr/lib/mono/4.5"
    return {"MONO_CFG_DIR": str(UNPACKED / "etc"), "MONO_PATH": str(libraries), "LD_LIBRARY_PATH": str(UNPACKED / "usr/lib")}


def compile_csharp(folder: Path, *sources: Path) -> None:
    """Writes app.dll, with the compiler of Mono."""
    environment = mono_environment()
    command = str(UNPACKED / "usr/bin/mono-sgen") if environment else "mono"
    compiler = [command, str(UNPACKED / "usr/lib/mono/4.5/mcs.exe")] if environment else ["mcs"]
    run([*compiler, "-warnaserror", "-langversion:7", "-r:System.Net.Http.dll", f"-out:{folder / 'app.exe'}", *map(str, sources)], environment)
    (folder / "app.exe").rename(folder / "app.dll")


def dotnet(folder: Path) -> Program:
    compile_csharp(folder, HELPERS / "SidecarlessStats.cs", PROGRAMS / "App.cs")
    return dotnet_program(folder)


def dotnet_program(folder: Path) -> Program:
    """The runtime of Microsoft. Debian has no compiler for it, so that the compiler of Mono writes the assembly."""
    command = shutil.which("dotnet")
    if not command:
        found = next(TOOLS.glob("python-dotnet/lib/python*/site-packages/dotnetcore2/bin/dotnet"), None)
        if not found:
            raise Missing(f"the .NET runtime is neither on PATH nor in {TOOLS}")
        # The package does not mark the program as executable.
        found.chmod(0o755)
        command = str(found)
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


def java_signing(folder: Path) -> Program:
    """With the declarations of the SDK, and the file with which its exporters find the sender."""
    services = folder / "META-INF" / "services"
    services.mkdir(parents=True)
    (services / "io.opentelemetry.sdk.common.export.HttpSenderProvider").write_text("SidecarlessSigning\n")
    return java(folder, SIGNING / "SidecarlessSigning.java", "Signing", *sorted((PROGRAMS / "opentelemetry").rglob("*.java")))


def mono_signing(folder: Path) -> Program:
    """With the runtime of Mono: that of Microsoft, version 3.1, calculates digests with OpenSSL 1.1, which Debian 12 does not have."""
    compile_csharp(folder, SIGNING / "SidecarlessSigning.cs", PROGRAMS / "Signing.cs")
    environment = mono_environment()
    command = str(UNPACKED / "usr/bin/mono-sgen") if environment else "mono"
    return Program([command, str(folder / "app.dll")], run([command, "--version"], environment).split(" (")[0], environment)


# Programs that sign requests.
SIGNERS: dict[str, Callable[[Path], Program]] = {
    "python": lambda folder: python(folder, "signing.py"),
    "node": lambda folder: node(folder, "signing.cjs"),
    "java": java_signing,
    "go": lambda folder: go(folder, SIGNING / "sidecarless_signing.go", "signing.go"),
    "ruby": lambda folder: ruby(folder, "signing.rb"),
    "dotnet": mono_signing,
}


def busybox() -> str:
    return shutil.which("busybox") or str(unpacked("BusyBox", "bin/busybox"))
