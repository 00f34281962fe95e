"""What the command line is made of: one module a job, and what they share."""
