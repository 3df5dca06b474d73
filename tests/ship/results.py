"""What the checks found: passed, failed with details, or skipped with the sentence that says why."""

from tools import Unavailable


class Results:
    """Every check prints its line when it is known."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, name, problems):
        """`problems` is a list of lines; an empty one is a pass."""
        problems = list(problems)
        if problems:
            self.failed += 1
        else:
            self.passed += 1
        print(f"{'FAILED' if problems else 'ok    '}  {name}", flush=True)
        for problem in problems[:40]:
            print(f"          {problem}")

    def group(self, name, checks):
        """Runs `checks(self)`; a tool that cannot be had skips the rest of the group."""
        try:
            checks(self)
        except Unavailable as why:
            self.skipped += 1
            print(f"SKIPPED {name}: {why}", flush=True)
        except Exception as error:  # A check that breaks is a failure, and the others are run all the same.
            self.add(name, [f"{type(error).__name__}: {error}"])

    def summary(self):
        """The closing line."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def of(done, *expected):
    """Problems of a finished command: its output unless it ended with 0 and said what is expected."""
    output = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0:
        return [f"exit code {done.returncode}", *output]
    return [f"it does not say {text!r}" for text in expected if text not in done.stdout + done.stderr]
