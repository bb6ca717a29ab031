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
Result = tuple[str, int, float]
PYTEST = ("python", "-m", "pytest", "-q")
CHECKS: tuple[Step, ...] = (
    ("ruff", ("ruff", "check", ".", "run")),
    ("format", ("ruff", "format", "--check", ".", "run")),
    ("mypy", ("mypy", "plugins/economic", "dev", "deploy", "tests/simulator", "tests/containers")),
    (
        "mypy of the tests' kit",
        (
            "mypy",
            *(
                "-p",
                "tests.support.faults",
                "-p",
                "tests.model",
                "-p",
                "tests.faults",
                "-p",
                "tests.dags.scheduler",
            ),
            *("-p", "tests.web.page", "-p", "tests.web.browser", "-p", "tests.soak"),
            *("-m", "tests.dags.backfill.test_backfill", "-m", "tests.support.invariants"),
        ),
    ),
    ("layers", ("lint-imports", "--no-cache")),
    (
        "sqlfluff",
        ("sqlfluff", "lint", "--processes", "2", "--disable-progress-bar", "include/sql", "deploy"),
    ),
    ("container files", (*PYTEST, "tests/containers/test_file.py")),
)
QUICK_TESTS: tuple[Step, ...] = (
    ("integration tests", (*PYTEST, "tests/integration")),
    ("unit tests", (*PYTEST, "tests/unit")),
)
SYSTEM_TESTS: tuple[Step, ...] = (
    ("fault catalogue", (*PYTEST, "tests/faults")),
    ("the page, also in a real browser", (*PYTEST, "-rs", "tests/web/page", "tests/web/browser")),
    ("tests through real Airflow", (*PYTEST, "tests/dags/tasks")),
    ("tests under a real scheduler", (*PYTEST, "tests/dags/scheduler")),
    ("models of lease and scan", (*PYTEST, "tests/model")),
)
FORMAT: tuple[Sequence[str], ...] = (
    ("ruff", "format", ".", "run"),
    ("ruff", "check", "--fix", ".", "run"),
    ("sqlfluff", "fix", "include/sql"),
)


def steps(todo: Sequence[Step], side_by_side: Sequence[Step] = ()) -> int:
    """Run every step, whatever the ones before said; the summary comes last.

    :param side_by_side: run after the others, two at a time: each has servers of its own and mostly waits for them.
    """
    install()
    results: list[Result] = []
    for name, command in todo:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        code = call(*command)
        results.append((name, code, time.monotonic() - began))
    results += two_at_a_time(side_by_side)
    print("\n== summary")
    for name, code, seconds in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {seconds:6.1f} s  {name}")
    failed = sum(code != 0 for _, code, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def two_at_a_time(todo: Sequence[Step]) -> list[Result]:
    """Run steps beside each other; what one has said is shown when it has ended."""
    results: list[Result] = []
    waiting = list(todo)
    children: list[subprocess.Popen[bytes]] = []
    running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes], float]] = {}
    with ExitStack() as stack:
        asked = stack.enter_context(passing_on(children))
        while running or (waiting and not asked):
            while waiting and len(running) < 2 and not asked:
                name, command = waiting.pop(0)
                print(f"\n.. {name}: started", flush=True)
                said: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                child = start(*command, output=said)
                children.append(child)
                running[name] = child, said, time.monotonic()
            time.sleep(0.2)
            for name, (child, said, began) in list(running.items()):
                if child.poll() is not None:
                    del running[name]
                    results.append((name, child.returncode, time.monotonic() - began))
                    said.seek(0)
                    print(f"\n== {name}\n{said.read().decode(errors='replace')}", flush=True)
    return results


Action = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Verb:
    """A verb.

    :param act: takes the words after the verb.
    :param options: instead of `act`, by the first word after the verb; they take the words after that.
    :param words: what `act` itself takes, for people; empty when it takes none.
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
        lambda words: steps(CHECKS, QUICK_TESTS),
        {"--format": reformat},
    ),
    "test": Verb(
        "check, and all tests with real Airflow and a real browser (a quarter of an hour)",
        lambda words: steps(CHECKS, (*QUICK_TESTS, *SYSTEM_TESTS)),
        {
            "--soak": python("tests.soak"),
            "--backfill": python("pytest", "-q", "-s", "-m", "long", "tests/dags/backfill"),
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
            "airflow": python("dev.bench.airflow"),
            "scale": python(
                *["dev.bench.airflow", "5000", "--agreements", "200", "--workers", "2", "--repetitions", "1"]
            ),
        },
    ),
    "env": Verb("write .env for docker-compose.yaml, with fresh random secrets", write_environment),
    "dist": Verb("build the wheel and the source archive, and try both", python("dev.release.distribution")),
    "install": Verb(
        "make .venv with everything pinned (the other verbs do it by themselves)",
        lambda words: install(),
        {"--lock": lambda words: lock()},
    ),
    "clean": Verb(
        "remove the environment and the data of demo and start",
        clean,
        {"--yes": lambda words: clean(["--yes"])},
    ),
}


def listing() -> str:
    """All verbs, a line each, and what may follow them."""
    lines = ["./run VERB ..., or make VERB ARGS=..."]
    for name, verb in VERBS.items():
        lines.append(f"  {name:9} {verb.text}")
        if verb.options:
            lines.append(f"  {'':9}   {' | '.join(verb.options)}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run a verb; its exit code."""
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
