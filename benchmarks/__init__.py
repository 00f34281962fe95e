"""Speed, measured: one command each, a table out."""
