"""`doctor`: what this machine can do, what is missing, and the command that installs it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from launch.arguments import Subparsers, add_json, add_store, command, open_store, print_json

MORE = """\
The exit code is 1 if something that every recipe needs is missing. The other lines matter for some recipes only.

  reasoning-train doctor
  reasoning-train doctor --verify    read every file of the store again and compare its digest
"""


def add(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = command(subparsers, "doctor", run, "tell what this machine can do and what is missing", MORE)
    parser.add_argument("--verify", action="store_true", help="check the bytes of all artifacts in the store")
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 1 if something required is missing."""
    from launch.checkup import artifact_findings, findings

    found = list(artifact_findings(open_store(arguments)) if arguments.verify else findings(arguments.store))
    if arguments.json:
        print_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            mark = "ok     " if finding.ok else "PROBLEM" if finding.needed else "absent "
            print(
                f"{mark}  {finding.name:<14} {finding.detail}"
                + (f"\n{'':25}-> {finding.remedy}" if not finding.ok else "")
            )
    return 0 if all(finding.ok or not finding.needed for finding in found) else 1
