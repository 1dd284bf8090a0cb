"""`python -m tests.cases [ID ...]`: a table of the cases, what happens and whether it is right."""

import sys
import tempfile
from pathlib import Path

from tests.cases import CASES
from tests.cases.case import FILES, Case
from tests.cases.trained import TINY


def main(ids: list[str]) -> int:
    """Print the table; returns the number of cases that are not right."""
    wrong = 0
    print("| id | command | what happens | right? |\n| --- | --- | --- | --- |")
    for case in CASES:
        if ids and case.id not in ids:
            continue
        happens, right = outcome(case)
        wrong += right.startswith("no")
        command = "; ".join(f"bench {line}" for line in case.bench).replace("{files}/", "")
        command = command.replace(TINY, "...")
        cells = (cell.replace("|", "\\|") for cell in (case.id, f"`{command}`", happens, right))
        print(f"| {' | '.join(cells)} |", flush=True)
    return wrong


def outcome(case: Case) -> tuple[str, str]:
    """What the last command of a case does, in short, and `yes`, or `no` and what is amiss."""
    if case.missing:
        return "", f"not run: {', '.join(case.missing)}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            status, output = case.run(Path(folder))
        except Exception as error:
            return f"traceback: {type(error).__name__}: {error}", "no: a traceback"
        output = output.replace(str(FILES), "").replace(folder, ".")
    lines = [line for line in output.splitlines() if line.strip()]
    said = [line for line in lines if case.says_in(line)]
    problems = case.wrong(status, output)
    text = " / ".join(" ".join(line.split()) for line in said or lines[-1:])
    return f"exit {status}: {text[:300]}", "no: " + "; ".join(problems) if problems else "yes"


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
