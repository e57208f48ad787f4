"""`remotemedia doctor`: is this machine fit, what is not, and what to do about it.

`software`, `limits` and `kernel` look at the environment, `selftest` runs a small pipeline,
`command` prints the findings. `chaos` is `doctor --chaos`: it has nodes misbehave in every way.
"""
