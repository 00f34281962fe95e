"""Recognition on this machine: bytes to pixels to labels. Pure computation: no network, no files but its own data."""
