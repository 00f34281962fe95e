"""A recognizer process that takes a minute to start. It runs in place of the real process."""

import time

if __name__ == "__main__":
    time.sleep(60)
