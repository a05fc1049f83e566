"""Sessions for every supported Python: `nox -s tests`, `nox -s lint`, `nox -s cpp`."""

import nox

nox.options.sessions = ["lint", "cpp", "tests"]
nox.options.default_venv_backend = "venv"


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The default tests on one Python."""
    session.run("python", "scripts/fetch_headers.py", "--optional")
    session.run("python", "scripts/fetch_viewer.py", "--optional")
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Style and types of Python and C++."""
    session.run("make", "lint", external=True)


@nox.session(python=False)
@nox.parametrize("preset", ["default", "asan", "tsan", "aarch64"])
def cpp(session: nox.Session, preset: str) -> None:
    """The C++ tests: optimised, under sanitizers, and for aarch64 under qemu."""
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)
    session.run("ctest", "--preset", preset)
