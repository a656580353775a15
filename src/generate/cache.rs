//! Encoded pictures that are asked about again: their feature rows, by what the picture, the model and the plan are.
//!
//! Rows stay on the device up to a budget of bytes, the ones used last. With a folder they outlive the process: a file a
//! picture, written by [`Session::save_pictures`](super::Session::save_pictures), read when it is asked for. A file that is damaged, cut short or of another
//! model is passed over and written anew.

use super::pictures::{PictureSource, Pixels};
use super::{Model, Session};
use crate::gpu::{Device, Slice, Use};
use crate::kernels::TensorType;
use crate::models::{TowerInputs, names};
use crate::{DType, Result};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureKey([u8; 32]);

impl PictureKey {
    /// The key of a picture of this model; `None` where its pixels are on the device, which may change unseen, and for a
    /// model that cannot be told from others.
    pub(super) fn of(model: &Model, picture: &Pixels) -> Option<Self> {
        let PictureSource::Host(pixels) = &picture.source else { return None };
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"omma features 1");
        hasher.update(&model.fingerprint?);
        hasher.update(model.compute.name().as_bytes());
        // What is done to the picture, whatever policy asked for it.
        hasher.update(format!("{:?} {:?}", picture.inputs, picture.plan.order).as_bytes());
        hasher.update(&pixels.width.to_le_bytes());
        hasher.update(bytemuck::cast_slice(&pixels.pixels));
        Some(Self(*hasher.finalize().as_bytes()))
    }
    /// The key in hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An entry: feature rows on the device.
#[derive(Debug, Clone)]
struct Entry {
    key: PictureKey,
    rows: Slice,
    /// A file holds it.
    #[cfg(feature = "disk-cache")]
    saved: bool,
}

impl Entry {
    fn new(key: PictureKey, rows: Slice, saved: bool) -> Self {
        // Without files nothing is saved.
        let _ = saved;
        Self {
            key,
            rows,
            #[cfg(feature = "disk-cache")]
            saved,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// The one used last comes first.
    entries: VecDeque<Entry>,
    hits: u64,
    misses: u64,
}

/// A cache of encoded pictures. Shared by sessions of one device; Send and Sync.
#[derive(Debug, Default)]
pub struct PictureCache {
    budget: u64,
    #[cfg(feature = "disk-cache")]
    folder: Option<super::cache_files::Folder>,
    state: Mutex<State>,
}

/// How often pictures were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Found, in memory or on disk.
    pub hits: u64,
    /// Encoded.
    pub misses: u64,
    /// Pictures in memory.
    pub pictures: usize,
    /// Their bytes on the device.
    pub bytes: u64,
}

impl PictureCache {
    /// Keeps at most `budget` bytes of features on the device.
    pub fn new(budget: u64) -> Self {
        Self { budget, ..Self::default() }
    }
    /// Also reads and writes files in `folder`, of at most `budget` bytes together: the oldest are removed.
    #[cfg(feature = "disk-cache")]
    pub fn with_folder(budget: u64, folder: impl Into<std::path::PathBuf>) -> Self {
        Self { budget, folder: Some(super::cache_files::Folder::new(folder.into(), budget)), ..Self::default() }
    }
    /// Counts since the cache was made.
    pub fn counts(&self) -> CacheCounts {
        let state = self.state();
        let bytes = state.entries.iter().map(|e| e.rows.bytes).sum();
        CacheCounts { hits: state.hits, misses: state.misses, pictures: state.entries.len(), bytes }
    }
    /// Forgets what is in memory; files stay.
    pub fn clear(&self) {
        self.state().entries.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the list whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The rows of a picture, `bytes` long.
    async fn find(&self, device: &Device, key: PictureKey, ty: &TensorType) -> Result<Option<Slice>> {
        if let Some(rows) = self.recent(key, ty.bytes()) {
            return Ok(Some(rows));
        }
        #[cfg(feature = "disk-cache")]
        if let Some(bytes) = self.folder.as_ref().and_then(|folder| folder.read(&key.hex(), ty)) {
            let rows = Slice::first(device.buffer("cached features", ty.bytes(), Use::Storage).await?, ty.bytes());
            device.write(&rows.buffer, 0, &bytes);
            self.state().hits += 1;
            self.insert(Entry::new(key, rows.clone(), true));
            return Ok(Some(rows));
        }
        self.state().misses += 1;
        let _ = device;
        Ok(None)
    }
    fn recent(&self, key: PictureKey, bytes: u64) -> Option<Slice> {
        let mut state = self.state();
        let at = state.entries.iter().position(|e| e.key == key && e.rows.bytes == bytes)?;
        let entry = state.entries.remove(at)?;
        let rows = entry.rows.clone();
        state.entries.push_front(entry);
        state.hits += 1;
        Some(rows)
    }
    /// Takes an entry in, and lets those go that were used longest ago.
    fn insert(&self, entry: Entry) {
        let mut state = self.state();
        state.entries.retain(|e| e.key != entry.key);
        state.entries.push_front(entry);
        let mut bytes = 0;
        state.entries.retain(|e| {
            bytes += e.rows.bytes;
            bytes <= self.budget
        });
    }
    /// Entries that no file holds yet.
    #[cfg(feature = "disk-cache")]
    fn unsaved(&self) -> Vec<Entry> {
        self.state().entries.iter().filter(|e| !e.saved).cloned().collect()
    }
    #[cfg(feature = "disk-cache")]
    fn mark_saved(&self, key: PictureKey) {
        self.state().entries.iter_mut().filter(|e| e.key == key).for_each(|e| e.saved = true);
    }
}

impl Session {
    /// Features of these pictures in [`names::FEATURES`]: those that the session's cache lacks are preprocessed and
    /// encoded, together. Returns the inputs that went through the tower.
    pub async fn encode_pictures(&mut self, pictures: &[Pixels], watch: &mut dyn FnMut(bool)) -> Result<usize> {
        let cache = self.options.pictures.clone().filter(|_| self.model.spec.connector.is_some());
        let mut found: Vec<(Option<PictureKey>, Option<Slice>)> = vec![(None, None); pictures.len()];
        if let Some(cache) = &cache {
            for (picture, (key, rows)) in pictures.iter().zip(&mut found) {
                *key = PictureKey::of(&self.model, picture);
                if let Some(key) = *key {
                    let ty = self.rows_type(self.model.feature_rows(std::slice::from_ref(picture))?);
                    *rows = cache.find(&self.device(), key, &ty).await?;
                }
            }
        }
        let missing: Vec<Pixels> =
            pictures.iter().zip(&found).filter(|(_, (_, rows))| rows.is_none()).map(|(p, _)| p.clone()).collect();
        let mut inputs = TowerInputs::default();
        if !missing.is_empty() {
            inputs = self.preprocess(&missing).await?;
            self.device().idle().await?;
            watch(true);
            self.encode(&inputs, &|_| false).await?;
        }
        if let Some(cache) = cache {
            self.keep_pictures(&cache, pictures, found, missing.len()).await?;
        }
        self.device().idle().await?;
        watch(false);
        Ok(inputs.sizes.len())
    }

    fn rows_type(&self, rows: usize) -> TensorType {
        TensorType::new(self.model.compute, &[rows, self.model.spec.decoder.as_ref().map_or(0, |d| d.width)])
    }

    /// Puts the rows of encoded pictures into the cache, and those of all pictures in their order.
    async fn keep_pictures(
        &mut self,
        cache: &PictureCache,
        pictures: &[Pixels],
        mut found: Vec<(Option<PictureKey>, Option<Slice>)>,
        missing: usize,
    ) -> Result<()> {
        let device = self.device();
        let mut offset = 0;
        for (picture, (key, rows)) in pictures.iter().zip(&mut found) {
            if rows.is_some() {
                continue;
            }
            let bytes = self.rows_type(self.model.feature_rows(std::slice::from_ref(picture))?).bytes();
            let features = self.store.slice(names::FEATURES)?.clone();
            let from = Slice { offset: features.offset + offset, bytes, ..features };
            offset += bytes;
            // Rows that are kept, or have to move, need a buffer of their own.
            if key.is_some_and(|_| bytes <= cache.budget) || missing < pictures.len() {
                let own = Slice::first(device.buffer("cached features", bytes, Use::Storage).await?, bytes);
                device.submit("features", |r| r.copy(&from, &own, bytes)).await?;
                if let Some(key) = key.filter(|_| bytes <= cache.budget) {
                    cache.insert(Entry::new(key, own.clone(), false));
                }
                *rows = Some(own);
            }
        }
        if missing == pictures.len() {
            return Ok(());
        }
        let rows = self.model.feature_rows(pictures)?;
        self.store.ensure(&device, names::FEATURES, &self.rows_type(rows)).await?;
        let (target, mut offset) = (self.store.slice(names::FEATURES)?.clone(), 0);
        for rows in found.into_iter().filter_map(|(_, rows)| rows) {
            let to = Slice { offset: target.offset + offset, ..target.clone() };
            device.submit("features", |r| r.copy(&rows, &to, rows.bytes)).await?;
            offset += rows.bytes;
        }
        self.feature_rows = rows;
        Ok(())
    }

    /// Writes encoded pictures that have no file yet into the folder of the session's cache.
    ///
    /// # Errors
    /// [`crate::Error::Io`], and what the device reports.
    #[cfg(feature = "disk-cache")]
    pub async fn save_pictures(&self) -> Result<()> {
        let Some(cache) = &self.options.pictures else { return Ok(()) };
        let Some(folder) = &cache.folder else { return Ok(()) };
        let width = self.rows_type(1).bytes();
        for entry in cache.unsaved() {
            let bytes = self.model.device.read(&entry.rows).await?;
            folder.write(&entry.key.hex(), &self.rows_type((entry.rows.bytes / width.max(1)) as usize), &bytes)?;
            cache.mark_saved(entry.key);
        }
        Ok(())
    }
}

/// A model's identity: its configuration, and of every tensor of its tower and connector name, type, shape, and the first
/// and the last bytes, of each section where it is quantized. `None` where a tensor is kept in a format that cannot be
/// read in part.
pub(super) async fn fingerprint(
    checkpoint: &crate::checkpoint::Checkpoint,
    config: &crate::checkpoint::Config,
    weights: &[String],
) -> Result<Option<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(config.value().to_string().as_bytes());
    let mut names: Vec<&str> = weights.iter().flat_map(|name| name.split(['+', '(', ',', ')'])).collect();
    names.sort_unstable();
    names.dedup();
    for entry in names.iter().filter_map(|name| checkpoint.find(name)) {
        hasher.update(format!("{} {} {:?}", entry.name, entry.dtype, entry.shape).as_bytes());
        let Some(packed) = &entry.packed else {
            if !matches!(entry.dtype, DType::F32 | DType::F16 | DType::BF16) {
                return Ok(None);
            }
            for (offset, len) in ends((entry.elements() * entry.dtype.size()) as u64) {
                let mut piece = vec![0u8; len];
                checkpoint.read_into(entry, offset, &mut piece).await?;
                hasher.update(&piece);
            }
            continue;
        };
        hasher.update(packed.packing.name().as_bytes());
        for (section, kept) in packed.sections.iter().enumerate() {
            for (offset, len) in ends(kept.bytes()) {
                let mut piece = vec![0u8; len];
                checkpoint.read_section(entry, section, offset, &mut piece).await?;
                hasher.update(&piece);
            }
        }
    }
    Ok(Some(*hasher.finalize().as_bytes()))
}

/// Offset and length of the first and the last piece of so many bytes.
fn ends(bytes: u64) -> [(u64, usize); 2] {
    let len = bytes.min(1024);
    [0, bytes - len].map(|offset| (offset, len as usize))
}
