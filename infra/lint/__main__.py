"""`python -m infra.lint [PATHS]`: print `file:line: rule: sentence` for what breaks a house rule; exit code 1 if any."""

import subprocess
import sys
from pathlib import Path

from infra.lint.check import ROOT, check_all, read_sources


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Check the files below the paths, or all of the checkout; return the exit code."""
    try:
        sources = list(read_sources(root, [Path(each).resolve() for each in arguments]))
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "stderr", None) or error
        sys.stderr.write(f"The files cannot be listed, which needs git and a checkout: {reason}\n")
        return 2
    findings = check_all(sources)
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
