"""Measurement of the whole job, with the conditions that a number needs: times, throughput, memory.

`measure` and `cold_start` take samples, `conditions` says under what, `statistics` reduces them and `run` does all that
in turn. `document` is what is kept of it, `comparison` puts two documents side by side, `legend` and `plot` present
one. Times are milliseconds of the host's monotonic clock unless a name says otherwise.
"""
