"""How a command ended, for whoever called it."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
SOME_FAILED: Final = 1
WRONG_USE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE
