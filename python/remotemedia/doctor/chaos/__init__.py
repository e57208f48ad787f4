"""The matrix: what a node may do wrong, times the moments at which it may do it.

`misbehaviours` has what nodes do wrong, `moments` the nodes that do it at a given moment, `table`
the expected outcome of each pair on both interpreters. `lab` runs pairs and compares, `traces`
finds what they left behind, `report` shows the results. `remotemedia doctor --chaos` and
`tests/python/matrix` run the same table.
"""
