//! Directories on disk and model arguments.

use std::path::PathBuf;

use super::*;
use crate::checkpoint::source::is_hub_id;
use crate::{DType, Error};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("omma-checkpoint-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_is_read_as_memory_is() {
    let folder = Folder::new("read");
    let bytes: Vec<u8> = (0..=255).collect();
    let tensors = [TensorBytes { name: "w", dtype: DType::U8, shape: &[16, 16], bytes: &bytes }];
    write_safetensors(&folder.0.join("model.safetensors"), &tensors, &Default::default()).unwrap();
    std::fs::write(folder.0.join("config.json"), b"{\"a\":1}").unwrap();
    std::fs::write(folder.0.join("empty.txt"), b"").unwrap();
    std::fs::create_dir_all(folder.0.join("sub.safetensors")).unwrap();
    let files = open_model(folder.0.to_str().unwrap()).unwrap();
    assert_eq!(wait(files.list()).unwrap(), ["config.json", "empty.txt", "model.safetensors"]);
    assert_eq!(wait(files.read("config.json")).unwrap().unwrap(), b"{\"a\":1}");
    assert_eq!(wait(files.read("empty.txt")).unwrap().unwrap(), b"");
    assert_eq!(wait(files.read("other.json")).unwrap(), None);
    assert!(matches!(wait(files.read("sub.safetensors")), Err(Error::Io { .. })));
    assert!(matches!(wait(files.read("../x")), Err(Error::Malformed { .. })));
    let checkpoint = wait(Checkpoint::open(&*files)).unwrap();
    let entry = checkpoint.entry("w").unwrap();
    let mut out = [0; 100];
    wait(checkpoint.read_into(entry, 33, &mut out)).unwrap();
    assert_eq!(out, bytes[33..133]);
    assert_eq!(checkpoint.bytes_of(entry).is_some(), cfg!(feature = "mmap"));
    let source = wait(files.open("model.safetensors")).unwrap().unwrap();
    assert!(wait(source.read_at(source.len() - 50, &mut out)).is_err());
    assert!(wait(source.read_at(u64::MAX, &mut out)).is_err());
    assert!(!folder.0.join("model.safetensors.part").exists());
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let folder = Folder::new("write");
    let error = write_safetensors(&folder.0.join("no/such/out.safetensors"), &[], &Default::default()).unwrap_err();
    assert!(error.to_string().contains("out.safetensors"), "{error}");
    // A folder stands where the file should go.
    std::fs::create_dir_all(folder.0.join("out.safetensors/x")).unwrap();
    assert!(write_safetensors(&folder.0.join("out.safetensors"), &[], &Default::default()).is_err());
    assert!(!folder.0.join("out.safetensors.part").exists());
}

#[test]
fn model_arguments() {
    let says = |argument: &str| open_model(argument).err().expect(argument).to_string();
    assert!(says("/no/such/folder").contains("no such directory"));
    assert!(says("models/llama.gguf").contains("models/llama.gguf"));
    let folder = Folder::new("argument");
    let file = folder.0.join("model.safetensors");
    std::fs::write(&file, b"x").unwrap();
    assert!(says(file.to_str().unwrap()).contains("folder"));
    #[cfg(not(feature = "hub"))]
    assert!(says("owner/name-1.5").contains("--features hub"));
    for id in ["owner/name", "llava-hf/llava-1.5-7b-hf", "a/b_c.d"] {
        assert!(is_hub_id(id), "{id}");
    }
    for text in ["name", "a/b/c", "./a", "../a", "a/..", "a/", "/a", "a b/c", "a/b..c", "C:\\x/y", "~/x"] {
        assert!(!is_hub_id(text), "{text}");
    }
}
