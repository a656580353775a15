//! The bytes of a planned session, as the ledger of its device would count them.

use super::PlannedBytes;
use crate::Caps;
use crate::blocks::cache_names;
use crate::graph::stored_bytes;
use crate::kernels::TensorType;
use std::collections::BTreeMap;

/// Live bytes, as the ledger of a device would count them.
pub(super) struct Tally<'t> {
    caps: &'t Caps,
    weights: u64,
    states: BTreeMap<String, u64>,
    pool: Vec<u64>,
    /// Bytes of params, constants and readback of all programs.
    pub own: u64,
    /// Most bytes of buffers that are live for one operation only.
    passing: u64,
    peak: u64,
}

impl<'t> Tally<'t> {
    /// Nothing but the weights.
    pub fn new(caps: &'t Caps, weights: u64) -> Self {
        Self { caps, weights, states: BTreeMap::new(), pool: Vec::new(), own: 0, passing: 0, peak: weights }
    }
    fn live(&self) -> u64 {
        self.weights + self.states.values().sum::<u64>() + self.pool.iter().sum::<u64>() + self.own
    }
    pub fn note(&mut self, more: u64) {
        self.peak = self.peak.max(self.live() + more);
    }
    pub fn passing(&mut self, bytes: u64) {
        self.passing = self.passing.max(bytes);
        self.note(bytes);
    }
    /// As `Store::ensure`: a larger buffer is made before the smaller one is let go.
    pub fn ensure(&mut self, name: &str, ty: &TensorType) {
        if self.states.get(name).is_some_and(|bytes| *bytes >= ty.bytes()) {
            return;
        }
        let bytes = stored_bytes(ty, self.caps);
        self.note(bytes);
        self.states.insert(name.to_owned(), bytes);
    }
    /// Lets a buffer go; its bytes count as those of an operation.
    pub fn release(&mut self, name: &str) {
        if let Some(bytes) = self.states.remove(name) {
            self.passing = self.passing.max(bytes);
        }
    }
    /// As `Pool::grow`.
    pub fn grow(&mut self, slots: &[u64]) {
        for (i, bytes) in slots.iter().enumerate() {
            if self.pool.get(i).is_some_and(|have| have >= bytes) {
                continue;
            }
            self.note(*bytes);
            if i < self.pool.len() { self.pool[i] = *bytes } else { self.pool.push(*bytes) }
        }
    }
    pub fn bytes(&self, layers: usize) -> PlannedBytes {
        let kv = (0..layers).flat_map(cache_names).filter_map(|name| self.states.get(&name)).sum();
        let states = self.states.values().sum::<u64>() - kv;
        let slots = self.pool.iter().sum();
        PlannedBytes { weights: self.weights, slots, kv, staging: states + self.own + self.passing, peak: self.peak }
    }
}
