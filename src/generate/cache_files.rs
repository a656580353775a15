//! Files of encoded pictures: one safetensors file a picture, with a checksum of its bytes.

use crate::checkpoint::{TensorBytes, write_safetensors};
use crate::kernels::TensorType;
use crate::{DType, Error, Result};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

const TENSOR: &str = "features";
const SUFFIX: &str = "features.safetensors";
const FORMAT: &str = "omma-features-1";

/// A folder of them.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    budget: u64,
}

impl Folder {
    pub fn new(path: PathBuf, budget: u64) -> Self {
        Self { path, budget }
    }
    fn file(&self, key: &str) -> PathBuf {
        self.path.join(format!("{key}.{SUFFIX}"))
    }
    /// The rows of a picture. Whatever is wrong with its file, it is passed over: the picture is encoded again.
    pub fn read(&self, key: &str, ty: &TensorType) -> Option<Vec<u8>> {
        let path = self.file(key);
        // A file of another size cannot be it, and is not read.
        let bytes = std::fs::metadata(&path).ok()?.len();
        if bytes < ty.bytes() || bytes > ty.bytes() + (1 << 16) {
            return None;
        }
        let rows = checked(&std::fs::read(&path).ok()?, key, ty);
        if rows.is_none() {
            tracing::warn!("{} is damaged: the picture is encoded again", path.display());
        }
        rows
    }
    /// Writes the rows of a picture, then removes the oldest files beyond the budget.
    pub fn write(&self, key: &str, ty: &TensorType, rows: &[u8]) -> Result<()> {
        std::fs::create_dir_all(&self.path).map_err(|e| Error::io(self.path.display().to_string(), &e))?;
        let texts = [("format", FORMAT), ("key", key), ("blake3", &blake3::hash(rows).to_hex())]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let tensor = TensorBytes { name: TENSOR, dtype: ty.dtype, shape: &ty.shape, bytes: rows };
        write_safetensors(&self.file(key), &[tensor], &BTreeMap::from(texts))?;
        self.trim();
        Ok(())
    }
    /// Removes the oldest files beyond the budget. One that cannot be removed stays.
    fn trim(&self) {
        let Ok(list) = std::fs::read_dir(&self.path) else { return };
        let ours = list.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(SUFFIX));
        let facts = ours.filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), entry.path()))
        });
        let mut files: Vec<(SystemTime, u64, PathBuf)> = facts.collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= self.budget {
                return;
            }
            if std::fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
    }
}

/// The bytes of a file's tensor, if all of it is what it should be.
fn checked(file: &[u8], key: &str, ty: &TensorType) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(file).ok()?;
    let texts = header.metadata().as_ref()?;
    let tensors = SafeTensors::deserialize(file).ok()?;
    let view = tensors.tensor(TENSOR).ok()?;
    let dtype = match ty.dtype {
        DType::F16 => Dtype::F16,
        _ => Dtype::F32,
    };
    let same = texts.get("format").is_some_and(|f| f == FORMAT)
        && texts.get("key").is_some_and(|k| k == key)
        && texts.get("blake3").is_some_and(|hash| *hash == *blake3::hash(view.data()).to_hex())
        && view.dtype() == dtype
        && view.shape() == ty.shape;
    same.then(|| view.data().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed_and_the_oldest_go_first() {
        let path = std::env::temp_dir().join(format!("omma-features-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let folder = Folder::new(path.clone(), 1200);
        let ty = TensorType::f32(&[5, 20]);
        let rows: Vec<u8> = (0..400u32).map(|i| (i * 7) as u8).collect();
        folder.write("a", &ty, &rows).unwrap();
        assert_eq!(folder.read("a", &ty).as_deref(), Some(rows.as_slice()));
        assert_eq!(folder.read("a", &TensorType::f32(&[4, 25])), None, "another shape");
        assert_eq!(folder.read("b", &ty), None, "not there");
        let file = folder.file("a");
        let whole = std::fs::read(&file).unwrap();
        for at in [0, 9, 40, whole.len() - 1] {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            std::fs::write(&file, &bad).unwrap();
            assert_eq!(folder.read("a", &ty), None, "a bit of byte {at}");
        }
        std::fs::write(&file, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(folder.read("a", &ty), None, "cut short");
        for key in ["a", "c", "d"] {
            folder.write(key, &ty, &rows).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(!folder.file("a").exists() && folder.file("d").exists(), "two fit 1200 bytes");
        std::fs::remove_dir_all(&path).unwrap();
    }
}
