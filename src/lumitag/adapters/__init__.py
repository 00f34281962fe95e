"""What the pipeline needs from the outside, one folder a platform; each lists the same five names."""
