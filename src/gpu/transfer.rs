//! Moving bytes between host and device.

use super::device::lock;
use super::{Buffer, Device, Slice, Use, Waiting};
use crate::{Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A result that a callback of wgpu delivers.
#[derive(Debug)]
struct Delivery<T>(Mutex<(Option<T>, Option<Waker>)>);

impl<T> Delivery<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((None, None))))
    }
    fn deliver(&self, value: T) {
        let mut state = lock(&self.0);
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

/// Waits for a [`Delivery`].
struct Arrival<T>(Arc<Delivery<T>>);

impl<T> Future for Arrival<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = lock(&self.0.0);
        match state.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A readback buffer that is being mapped.
pub(crate) struct Reading {
    staging: Arc<Buffer>,
    bytes: u64,
    arrival: Arrival<Result<(), wgpu::BufferAsyncError>>,
}

impl Device {
    /// Writes `bytes` at `offset` through wgpu's staging; ordered before the next submit. A length that is
    /// not a multiple of 4 is padded with zeros. What the device reports is the error of the next call that has one.
    pub fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) {
        let whole = bytes.len() / 4 * 4;
        if whole > 0 {
            self.scoped_later("write", || self.queue().write_buffer(&buffer.raw, offset, &bytes[..whole]));
        }
        if whole < bytes.len() {
            let mut tail = [0; 4];
            tail[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.scoped_later("write", || self.queue().write_buffer(&buffer.raw, offset + whole as u64, &tail));
        }
    }

    /// Submits what was written and waits until wgpu's staging memory is free again.
    pub async fn flush(&self) -> Result<()> {
        self.queue().submit([]);
        self.idle().await
    }

    /// Waits until everything that was submitted is done.
    pub async fn idle(&self) -> Result<()> {
        let delivery = Delivery::new();
        let sender = delivery.clone();
        self.queue().on_submitted_work_done(move || sender.deliver(()));
        self.block(None)?;
        Arrival(delivery).await;
        self.check_lost()
    }

    /// Where the engine may block: waits for a submission, or for the newest.
    pub(crate) fn block(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        if self.waiting() == Waiting::Host {
            return Ok(());
        }
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: None };
        match self.wgpu().poll(wait) {
            Ok(_) => self.check_lost(),
            Err(error) => {
                self.check_lost()?;
                Err(Error::DeviceLost { reason: error.to_string() })
            }
        }
    }

    /// Reads a slice back through a staging buffer.
    pub async fn read(&self, slice: &Slice) -> Result<Vec<u8>> {
        let staging = self.buffer("readback", slice.bytes.max(4), Use::Readback).await?;
        let target = Slice::first(staging.clone(), slice.bytes);
        self.submit("readback", |r| r.copy(slice, &target, slice.bytes)).await?;
        self.read_staging(&staging, slice.bytes).await
    }

    /// Starts to map the first `bytes` bytes of a readback buffer; finish with [`Device::finish_read`].
    pub(crate) fn begin_read(&self, staging: Arc<Buffer>, bytes: u64) -> Reading {
        Reading { arrival: self.map(&staging, bytes), staging, bytes }
    }
    /// Waits for a mapping, and for the submission before it where the engine may block.
    pub(crate) async fn finish_read(&self, reading: Reading, submission: wgpu::SubmissionIndex) -> Result<Vec<u8>> {
        self.block(Some(submission))?;
        self.take(&reading.staging, reading.bytes, reading.arrival.await)
    }

    /// Maps a readback buffer, copies its first `bytes` bytes out and unmaps it.
    pub async fn read_staging(&self, staging: &Buffer, bytes: u64) -> Result<Vec<u8>> {
        let arrival = self.map(staging, bytes);
        self.block(None)?;
        self.take(staging, bytes, arrival.await)
    }

    fn map(&self, staging: &Buffer, bytes: u64) -> Arrival<Result<(), wgpu::BufferAsyncError>> {
        let delivery = Delivery::new();
        let sender = delivery.clone();
        let map = || staging.raw.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| sender.deliver(result));
        // What goes wrong is delivered as well; the scope keeps it from the host's handler of uncaptured errors.
        self.scoped_later("readback", map);
        Arrival(delivery)
    }

    fn take(&self, staging: &Buffer, bytes: u64, mapped: Result<(), wgpu::BufferAsyncError>) -> Result<Vec<u8>> {
        let failed = |reason: String| {
            self.notice_loss(true);
            match self.check_lost() {
                Err(lost) => lost,
                Ok(()) => Error::DeviceLost { reason },
            }
        };
        mapped.map_err(|e| failed(e.to_string()))?;
        let view = staging.raw.slice(..bytes).get_mapped_range().map_err(|e| failed(e.to_string()))?;
        let data = view.to_vec();
        drop(view);
        staging.raw.unmap();
        Ok(data)
    }
}
