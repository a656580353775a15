//! Checkpoints by hub id: fetched by crate `hf-hub` into the cache that other tools share, and read from there.
//!
//! Small files (configuration, tokenizer, templates) are fetched when the repository is opened, weights when somebody
//! opens them: a plan needs no weights, and weights that are there twice are fetched once. Every file must have the
//! size that the hub lists; one that has not is removed. Without network the copy in the cache is used, with a
//! warning. The crate runs a thread of its own while it downloads. What errors say is in `hub_error`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFClient, HFError, HFRepositorySync, split_id};

use super::hub_error::{explain, unreachable};
use super::read::{Files, Pending, ReadAt, check_name};
use super::{Directory, clip};
use crate::{Error, Result};

/// Endings of the small files of a checkpoint.
const SMALL: [&str; 5] = [".json", ".jinja", ".txt", ".model", ".tiktoken"];
const WEIGHTS: &str = ".safetensors";
const REVISION: &str = "main";
/// Times that a request is repeated; each waits twice as long as the one before, from a fifth of a second on.
const REPEATS: usize = 3;

/// Where hub ids are looked up, and where copies are kept. What is `None` comes from the environment or the usual
/// default of the hub's tools: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_CACHE` or `HF_HOME`.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    /// Address of the hub.
    pub endpoint: Option<String>,
    /// Token of a user, for gated and private models.
    pub token: Option<String>,
    /// Folder of the cache.
    pub cache: Option<PathBuf>,
    /// Ask nobody, take what the cache has.
    pub offline: bool,
}

impl Hub {
    /// As the environment says; `HF_HUB_OFFLINE=1` asks for no network.
    pub fn from_env() -> Self {
        let offline = std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
        Self { offline, ..Self::default() }
    }

    /// The checkpoint of id `owner/name` at its main revision. Blocks until the small files are there.
    ///
    /// # Errors
    /// [`Error::Io`] if the hub refuses or cannot be reached and the cache has no copy, or if a file comes in part;
    /// [`Error::Malformed`] for an answer that is not one of a hub. The text names the id and says what to do.
    pub fn open(&self, id: &str) -> Result<HubFiles> {
        let repository = Repository::new(self, id)?;
        if self.offline {
            let reason = "HF_HUB_OFFLINE is set";
            return repository.cached(reason).ok_or_else(|| repository.absent(reason));
        }
        let listed = match repository.listing() {
            Ok(listed) => listed,
            Err(error) if unreachable(&error) => {
                let reason = explain(&error);
                let cached = repository.cached(&reason).ok_or_else(|| repository.absent(&reason))?;
                tracing::warn!("{}: {reason}; the copy in the cache is used", repository.what());
                return Ok(cached);
            }
            Err(error) => return Err(repository.refused(&error)),
        };
        let (commit, files) = repository.checked(listed)?;
        let snapshot = repository.folder.join("snapshots").join(&commit);
        let found = HubFiles { place: repository.what(), snapshot, remote: Some(Remote { repository, commit, files }) };
        found.fetch_small()?;
        Ok(found)
    }
}

/// The checkpoint of a hub id: its listing, and the copies in the cache.
pub struct HubFiles {
    place: String,
    snapshot: PathBuf,
    /// None without network.
    remote: Option<Remote>,
}

struct Remote {
    repository: Repository,
    commit: String,
    files: BTreeMap<String, Listed>,
}

/// A file as the hub lists it.
struct Listed {
    bytes: u64,
    /// Name of its copy in the cache.
    blob: String,
}

/// A repository of the hub, and its folder in the cache.
struct Repository {
    id: String,
    model: HFRepositorySync<RepoTypeModel>,
    folder: PathBuf,
}

impl Repository {
    fn new(hub: &Hub, id: &str) -> Result<Self> {
        let (owner, name) = split_id(id);
        let cache = hub.cache.clone().unwrap_or_else(hf_hub::resolve_cache_dir);
        let mut builder = HFClient::builder().cache_dir(&cache).retry_max_attempts(REPEATS);
        if let Some(endpoint) = &hub.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(token) = &hub.token {
            builder = builder.token(token);
        }
        let failed = |error: HFError| Error::Io { path: format!("hub id {id}"), reason: explain(&error) };
        let model = builder.build_sync().map_err(failed)?.model(owner, name);
        Ok(Self { id: id.into(), model, folder: cache.join(format!("models--{owner}--{name}")) })
    }
    fn what(&self) -> String {
        format!("hub id {}", self.id)
    }
    fn mark(&self) -> PathBuf {
        self.folder.join("refs").join(REVISION)
    }
    fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::malformed(self.what(), reason)
    }

    /// The copy in the cache that was whole when it was made.
    fn cached(&self, reason: &str) -> Option<HubFiles> {
        let commit = std::fs::read_to_string(self.mark()).ok()?;
        let snapshot = self.folder.join("snapshots").join(commit.trim());
        let place = format!("{} (the copy in the cache, {}; {reason})", self.what(), snapshot.display());
        snapshot.is_dir().then_some(HubFiles { place, snapshot, remote: None })
    }
    fn absent(&self, reason: &str) -> Error {
        let reason = format!(
            "{reason}, and no copy is in the cache; check the network, or run `hf download {} --local-dir FOLDER` \
             where there is one and give that folder instead",
            self.id
        );
        Error::Io { path: self.what(), reason }
    }
    /// The hub said no: a copy in the cache is named, not taken.
    fn refused(&self, error: &HFError) -> Error {
        let copy = self.cached("").map(|copy| format!("; an earlier copy is in {}", copy.snapshot.display()));
        Error::Io { path: self.what(), reason: format!("{}{}", explain(error), copy.unwrap_or_default()) }
    }

    fn listing(&self) -> std::result::Result<(Option<String>, Vec<RepoTreeEntry>), HFError> {
        let info = self.model.info().revision(REVISION).send()?;
        let Some(commit) = info.sha else { return Ok((None, Vec::new())) };
        // Not the sub-folders: they hold other formats and duplicates.
        let entries = self.model.list_tree().revision(&commit).send()?;
        Ok((Some(commit), entries))
    }

    fn checked(
        &self,
        (commit, entries): (Option<String>, Vec<RepoTreeEntry>),
    ) -> Result<(String, BTreeMap<String, Listed>)> {
        let commit = commit.unwrap_or_default();
        if commit.len() != 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(self.malformed(format!("its commit is `{}`, not 40 hex digits", clip(&commit))));
        }
        let mut files = BTreeMap::new();
        for entry in entries {
            let RepoTreeEntry::File { path, size, lfs, oid, .. } = entry else { continue };
            check_name(&self.what(), &path)?;
            let blob = lfs.and_then(|lfs| lfs.sha256).unwrap_or(oid);
            files.insert(path, Listed { bytes: size, blob });
        }
        Ok((commit, files))
    }
}

impl Remote {
    /// Fetches a file unless the cache has it whole.
    fn fetch(&self, name: &str, listed: &Listed) -> Result<()> {
        let repository = &self.repository;
        let what = || format!("{}/{}", repository.what(), clip(name));
        let file = repository.model.download_file().filename(name).revision(&self.commit).send();
        let path = file.map_err(|error| Error::Io { path: what(), reason: explain(&error) })?;
        let bytes = std::fs::metadata(&path).map_err(|error| Error::io(path.display().to_string(), &error))?.len();
        if bytes == listed.bytes {
            return Ok(());
        }
        self.discard(&path, &listed.blob);
        let reason = format!(
            "{bytes} bytes came of the {} that the hub lists; they are thrown away. Run the command again",
            listed.bytes
        );
        Err(Error::Io { path: what(), reason })
    }

    /// Removes a copy that is not whole: the link, what it points to, and the blob, which on systems without links is
    /// a file of its own. What cannot be removed is found again by its size.
    fn discard(&self, path: &Path, blob: &str) {
        let target = std::fs::canonicalize(path);
        let plain = blob.chars().all(|c| c.is_ascii_alphanumeric());
        let blob = plain.then(|| self.repository.folder.join("blobs").join(blob));
        for file in [Some(path.to_path_buf()), target.ok(), blob].into_iter().flatten() {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl HubFiles {
    /// Folder of the copies.
    pub fn path(&self) -> &Path {
        &self.snapshot
    }

    /// Fetches the small files and marks the commit as the one to use without network.
    fn fetch_small(&self) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        for (name, listed) in &remote.files {
            if SMALL.iter().any(|ending| name.ends_with(ending)) {
                remote.fetch(name, listed)?;
            }
        }
        let mark = remote.repository.mark();
        let written = mark.parent().map_or(Ok(()), std::fs::create_dir_all);
        written
            .and_then(|()| std::fs::write(&mark, &remote.commit))
            .map_err(|error| Error::io(mark.display().to_string(), &error))
    }

    fn find(&self, name: &str) -> Result<bool> {
        check_name(&self.place, name)?;
        let Some(remote) = &self.remote else { return Ok(self.snapshot.is_dir()) };
        let Some(listed) = remote.files.get(name) else { return Ok(false) };
        if name.ends_with(WEIGHTS) {
            tracing::info!(bytes = listed.bytes, "{}/{name} is fetched unless the cache has it", self.place);
        }
        remote.fetch(name, listed)?;
        Ok(true)
    }
}

impl Files for HubFiles {
    fn describe(&self) -> String {
        self.place.clone()
    }
    fn copy_command(&self) -> Option<String> {
        let remote = self.remote.as_ref()?;
        Some(format!("hf download {} --local-dir FOLDER", remote.repository.id))
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(async move {
            match self.find(name)? {
                true => Directory::open(&self.snapshot)?.open(name).await,
                false => Ok(None),
            }
        })
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        Box::pin(async move {
            match &self.remote {
                Some(remote) => Ok(remote.files.keys().cloned().collect()),
                None => Directory::open(&self.snapshot)?.list().await,
            }
        })
    }
}
