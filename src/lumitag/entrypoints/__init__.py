"""Where the outside comes in: they translate and call, nothing else."""
