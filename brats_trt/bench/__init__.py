"""Measurement of the whole job, with the conditions that a number needs: times, throughput, memory.

`statistics` reduces samples, `measure` and `cold_start` take them, `conditions` says where, `document` is what is kept of
it, `comparison` puts two documents side by side, `plot` draws one, and `run` does all that in turn. Times are
milliseconds of the host's monotonic clock unless a name says otherwise.
"""
