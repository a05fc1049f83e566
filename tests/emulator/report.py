"""What a launch moved and how well."""

from __future__ import annotations

from dataclasses import dataclass

from . import structures

SECTOR_BYTES = 32


@dataclass(frozen=True)
class BufferReport:
    """Traffic of one buffer, counted a warp access at a time.

    `bytes_*` are distinct bytes within a warp access and `sectors_*` distinct 32-byte sectors, so an efficiency never
    exceeds 1. `*_requests` are the warp accesses. `atomics` are single threads' operations and in no other number but
    `distinct_sectors_atomic`. `distinct_sectors_*` count a sector once for the whole launch (its counted blocks): what
    memory has to deliver or take at least, with caches that lose nothing in between.
    """

    read_requests: int
    bytes_read: int
    sectors_read: int
    distinct_sectors_read: int
    write_requests: int
    bytes_written: int
    sectors_written: int
    distinct_sectors_written: int
    atomics: int
    distinct_sectors_atomic: int

    @property
    def read_efficiency(self) -> float:
        """Useful bytes over bytes moved; 1.0 where nothing was read."""
        return self.bytes_read / (SECTOR_BYTES * self.sectors_read) if self.sectors_read else 1.0

    @property
    def write_efficiency(self) -> float:
        """Useful bytes over bytes moved; 1.0 where nothing was written."""
        return self.bytes_written / (SECTOR_BYTES * self.sectors_written) if self.sectors_written else 1.0

    @property
    def read_reuse(self) -> float:
        """How often a sector that is read is asked for, by warp accesses: what caches serve; 0.0 where nothing was."""
        return self.sectors_read / self.distinct_sectors_read if self.distinct_sectors_read else 0.0

    @property
    def least_bytes_moved(self) -> int:
        """Between memory and caches, at least: each sector read or written once, and changed atomically both."""
        return SECTOR_BYTES * (
            self.distinct_sectors_read + self.distinct_sectors_written + 2 * self.distinct_sectors_atomic
        )


@dataclass(frozen=True)
class SharedReport:
    """Traffic of shared memory: warp accesses, distinct bytes, and wavefronts that bank conflicts add."""

    read_requests: int
    bytes_read: int
    write_requests: int
    bytes_written: int
    atomics: int
    bank_conflicts: int


@dataclass(frozen=True)
class Report:
    """A launch that went well. In fast mode only `threads`, `blocks`, `barriers` and `collectives` count.

    `buffers` holds, by name, every buffer that was an argument or was touched, and nothing where nothing was counted.
    `barriers` are block-wide ones, `collectives` a warp's. `counted_blocks` of the blocks gave the traffic.
    """

    kernel: str
    threads: int
    blocks: int
    counted_blocks: int
    barriers: int
    collectives: int
    buffers: dict[str, BufferReport]
    shared: SharedReport


def buffer_report(entry: structures.BufferEntry) -> BufferReport:
    """A buffer's counts as the runtime left them."""
    reads, writes = entry.reads, entry.writes
    return BufferReport(
        reads.requests,
        reads.bytes,
        reads.sectors,
        reads.distinct,
        writes.requests,
        writes.bytes,
        writes.sectors,
        writes.distinct,
        entry.atomics,
        entry.atomic_sectors,
    )


def shared_report(counts: structures.SharedCounts) -> SharedReport:
    """Shared memory's counts as the runtime left them."""
    reads, writes = counts.reads, counts.writes
    return SharedReport(
        reads.requests, reads.bytes, writes.requests, writes.bytes, counts.atomics, counts.bank_conflicts
    )
