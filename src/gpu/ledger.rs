//! The ledger of live GPU memory: every buffer of the engine is entered when it is made and struck out when it
//! is dropped. It enforces the memory limit and can be told to fail, for tests of out-of-memory handling.

use crate::{Error, Result};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Bytes of GPU buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Sum of the sizes of live buffers.
    pub live: u64,
    /// Largest value of `live` so far.
    pub peak: u64,
    /// Buffers made so far.
    pub allocations: u64,
}

/// Counts live bytes; shared by all clones of a device.
#[derive(Debug)]
pub struct Ledger {
    live: AtomicU64,
    peak: AtomicU64,
    allocations: AtomicU64,
    limit: AtomicU64,
    fail_after: AtomicI64,
}

impl Ledger {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            live: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
            limit: AtomicU64::new(limit.unwrap_or(u64::MAX)),
            fail_after: AtomicI64::new(i64::MAX),
        }
    }
    /// Current and peak use.
    pub fn memory(&self) -> Memory {
        Memory {
            live: self.live.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
            allocations: self.allocations.load(Ordering::Relaxed),
        }
    }
    /// Sets or lifts the limit in bytes. Buffers that are live stay.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    /// Makes every allocation after the next `count` fail as if memory had run out, until `None` is set.
    pub fn fail_after(&self, count: Option<u32>) {
        self.fail_after.store(count.map_or(i64::MAX, i64::from), Ordering::Relaxed);
    }
    /// Forgets the peak: it becomes what is live now.
    pub fn reset_peak(&self) {
        self.peak.store(self.live.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    pub(super) fn enter(&self, what: &str, bytes: u64) -> Result<()> {
        let refuse = |live, limit| Error::OutOfMemory { what: what.into(), bytes, live, limit };
        let live = self.live.fetch_add(bytes, Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        if live.saturating_add(bytes) > limit {
            self.leave(bytes);
            return Err(refuse(live, Some(limit)));
        }
        let left = self.fail_after.load(Ordering::Relaxed);
        if left != i64::MAX && self.fail_after.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.leave(bytes);
            return Err(refuse(live, None));
        }
        self.allocations.fetch_add(1, Ordering::Relaxed);
        self.peak.fetch_max(live + bytes, Ordering::Relaxed);
        Ok(())
    }
    pub(super) fn leave(&self, bytes: u64) {
        self.live.fetch_sub(bytes, Ordering::Relaxed);
    }
}
