"""The resident service's ground: jobs in a journal that outlives the process, messages and arrays between processes.

job says what is asked for and sent out, journal keeps it. channel carries small messages and descriptors,
shared_arrays the memory behind those.
"""
