"""`python -m lumitag` is the command line."""

from __future__ import annotations

import sys

from lumitag.entrypoints.cli import main

if __name__ == "__main__":
    sys.exit(main())
