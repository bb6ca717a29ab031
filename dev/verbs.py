"""The verbs of `./run` and `make`, in one table. Standard library only: it works before there is an environment."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

from dev import ROOT
from dev.installation import BIN, call, hand_over, install, lock, passing_on, start
from dev.release import environment_file

Step = tuple[str, Sequence[str]]
AT_ONCE = 3
PYTEST = ("python", "-m", "pytest", "-q")
TYPED = """
    -p economic -p dev -p deploy -p simulator -p containers -p tests.support.faults -p tests.model -p tests.faults
    -p tests.dags.scheduler -p tests.web.page -p tests.web.browser -p tests.soak -m tests.dags.backfill.test_backfill
    -m tests.support.invariants
"""
CHECKS: tuple[Step, ...] = (
    ("container files", (*PYTEST, "tests/containers/test_file.py")),
    ("mypy", ("mypy", *TYPED.split())),
    ("sqlfluff", ("sqlfluff", "lint", "--disable-progress-bar", "include/sql", "deploy")),
    ("documentation site", ("python", "-m", "dev.docs")),
    ("layers", ("lint-imports", "--no-cache")),
    ("ruff", ("ruff", "check", ".", "run")),
    ("format", ("ruff", "format", "--check", ".", "run")),
)
QUICK_TESTS: tuple[Step, ...] = (
    ("integration tests", (*PYTEST, "tests/integration")),
    ("unit tests", (*PYTEST, "tests/unit")),
)
SYSTEM_TESTS: tuple[Step, ...] = (
    ("fault catalogue", (*PYTEST, "tests/faults")),
    ("tests under a real scheduler", (*PYTEST, "tests/dags/scheduler")),
    ("tests through real Airflow", (*PYTEST, "tests/dags/tasks")),
    ("the page, also in a real browser", (*PYTEST, "-rs", "tests/web/page", "tests/web/browser")),
)
MODELS: Step = ("models of lease and scan", (*PYTEST, "tests/model"))
FORMAT: tuple[Sequence[str], ...] = (
    ("ruff", "format", ".", "run"),
    ("ruff", "check", "--fix", ".", "run"),
    ("sqlfluff", "fix", "include/sql"),
)


def steps(todo: Sequence[Step]) -> int:
    """Run every step, whatever the results of the others, and print a summary.

    Three run at a time: each has its own servers and often waits for them. The longest come first, so that no long one is
    left over at the end. The output of a step is printed when it has ended.
    """
    install()
    results: list[tuple[str, int, float]] = []
    waiting = list(todo)
    children: list[subprocess.Popen[bytes]] = []
    running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes], float]] = {}
    with ExitStack() as stack:
        interrupted = stack.enter_context(passing_on(children))
        while running or (waiting and not interrupted):
            while waiting and len(running) < AT_ONCE and not interrupted:
                name, command = waiting.pop(0)
                print(f"\n.. {name}: started", flush=True)
                output: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                child = start(*command, output=output)
                children.append(child)
                running[name] = child, output, time.monotonic()
            time.sleep(0.2)
            for name, (child, output, began) in list(running.items()):
                if child.poll() is not None:
                    del running[name]
                    results.append((name, child.returncode, time.monotonic() - began))
                    output.seek(0)
                    print(f"\n== {name}\n{output.read().decode(errors='replace')}", flush=True)
    print("\n== summary")
    for name, code, seconds in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {seconds:6.1f} s  {name}")
    failed = sum(code != 0 for _, code, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


Action = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Verb:
    """A verb.

    :param act: takes the words after the verb.
    :param options: by the first word after the verb, used instead of `act` with the words after that.
    :param words: an example of what `act` takes; empty if it takes none.
    """

    text: str
    act: Action
    options: Mapping[str, Action] = field(default_factory=dict)
    words: str = ""

    def run(self, words: Sequence[str]) -> int:
        if words and words[0] in self.options:
            return self.options[words[0]](words[1:])
        if words and not self.words:
            known = ", ".join(self.options) or "nothing after its name"
            raise SystemExit(f"{words[0]!r} is not known here: the verb takes {known}.")
        return self.act(words)


def python(*command: str) -> Action:
    """Run a module in the project's environment."""

    def act(words: Sequence[str]) -> int:
        install()
        return hand_over("python", "-m", *command, *words)

    return act


def reformat(words: Sequence[str]) -> int:
    install()
    return next((code for command in FORMAT if (code := call(*command))), 0)


def clean(words: Sequence[str]) -> int:
    # Without an environment nothing was started that would have to be looked for.
    python = BIN / "python" if (BIN / "python").exists() else sys.executable
    return subprocess.run([python, "-m", "dev.clean", *words], cwd=ROOT).returncode


def write_environment(words: Sequence[str]) -> int:
    return environment_file.main()


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "set everything up, and run the real DAG once on embedded parts", python("dev.demo"), words="--help"
    ),
    "start": Verb(
        "set everything up, and start the whole Airflow, until Ctrl-C", python("dev.start"), words="--help"
    ),
    "airflow": Verb(
        "Airflow's command line, against the started one", python("dev.airflow_command"), words="dags list"
    ),
    "psql": Verb("psql on the invoices of demo and start", python("dev.psql", "psql"), words="-c '...'"),
    "economic": Verb("`python -m economic` on them", python("dev.psql", "economic"), words="status"),
    "check": Verb(
        "lint, types, layers, SQL, unit and integration tests (two minutes)",
        lambda words: steps((*QUICK_TESTS, *CHECKS)),
        {"--format": reformat, "--dictionary": python("dev.dictionary")},
    ),
    "test": Verb(
        "check, and all tests with real Airflow and a real browser (up to half an hour)",
        lambda words: steps((*SYSTEM_TESTS, QUICK_TESTS[0], MODELS, *QUICK_TESTS[1:], *CHECKS)),
        {
            "--soak": python("tests.soak"),
            "--backfill": python("pytest", "-q", "-s", "-m", "long", "tests/dags"),
            "--compose": python("pytest", "-v", "-s", "tests/containers"),
            "--matrix": python("dev.release.matrix"),
            "--pictures": python("pytest", "-q", "-rs", "tests/web/browser/pictures.py"),
        },
    ),
    "bench": Verb(
        "measure a sync, and print the tables of docs/benchmarks.md",
        python("dev.bench"),
        {
            "sync": python("dev.bench"),
            "growth": python("dev.bench.growth"),
            "lines": python("dev.bench.lines"),
            "answers": python("dev.bench.answers"),
            "airflow": python("dev.bench.airflow"),
            "scale": python(
                *["dev.bench.airflow", "5000", "--agreements", "200", "--workers", "2", "--repetitions", "1"]
            ),
        },
    ),
    "docs": Verb(
        "build the documentation site, and find broken links, anchors and headings", python("dev.docs")
    ),
    "dist": Verb("build the wheel and the source archive, and try both", python("dev.release.distribution")),
    "install": Verb(
        "make .venv with everything pinned (the other verbs do so too), or .env for Docker",
        lambda words: install(),
        {"--env": write_environment, "--lock": lambda words: lock()},
    ),
    "clean": Verb(
        "remove the environment and the data of demo and start",
        clean,
        {"--yes": lambda words: clean(["--yes"])},
    ),
}


def listing() -> str:
    """Return all verbs, a line each, and what may follow them."""
    lines = ["./run VERB ..., or make VERB ARGS=..."]
    for name, verb in VERBS.items():
        lines.append(f"  {name:9} {verb.text}")
        if verb.options:
            lines.append(f"  {'':9}   {' | '.join(verb.options)}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run a verb; return its exit code."""
    name, *words = arguments or ["help"]
    if name in {"help", "-h", "--help"}:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `./run | head` is no error
        print(listing())
        return 0
    if name not in VERBS:
        sys.stderr.write(f"{name!r} is not a verb. The verbs are:\n\n{listing()}\n")
        return 2
    try:
        return VERBS[name].run(words)
    except KeyboardInterrupt:
        return 130
