"""The resident service's ground: jobs in a journal that outlives kills, and workers whose ends cost one case each.

job says what is asked for and sent out, journal keeps it. worker runs a process, of which worker_main is the other
side, and segmenting what it runs; channel carries their messages, shared_arrays the volumes.
"""
