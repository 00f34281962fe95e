"""How good a recognizer is: pure computation over what is true and what was recognized, and the reports of it."""
