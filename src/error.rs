//! The one error type of the engine.
//!
//! Every variant says what went wrong, where, and where it helps what to do. Nothing in the library panics
//! on input; nothing is printed. The text of an error is one line and is meant for a person.

/// Result of every fallible function of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by kind.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or stream could not be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// File, or the name of a byte source.
        path: String,
        /// What the system said, and what to do.
        reason: String,
    },
    /// Bytes that do not follow their format: a truncated safetensors header, broken JSON, ...
    #[error("{path}: malformed: {reason}")]
    Malformed {
        /// File, and tensor or field where known.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint has no tensor of that name.
    #[error("tensor `{name}` is not in {path}{}", near_names(near))]
    MissingTensor {
        /// The checkpoint.
        path: String,
        /// The name looked for.
        name: String,
        /// The nearest names that are there.
        near: Vec<String>,
    },
    /// A tensor has another shape than the configuration implies.
    #[error("tensor `{name}` has shape {got:?}, the configuration implies {want:?}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// Shape in the checkpoint.
        got: Vec<usize>,
        /// Shape that the configuration implies.
        want: Vec<usize>,
    },
    /// A valid checkpoint, option or request that this engine does not do.
    #[error("{what} is not supported: {reason}")]
    Unsupported {
        /// The option, e.g. "rope_scaling.rope_type = \"su\"".
        what: String,
        /// Why, and what is supported instead.
        reason: String,
    },
    /// No family of the registry reads this `model_type` / `architectures`.
    #[error("unknown architecture {name}; known: {}", known.join(", "))]
    UnknownArchitecture {
        /// What config.json says.
        name: String,
        /// The model types that are known.
        known: Vec<String>,
    },
    /// An argument of the caller.
    #[error("{what}: {reason}")]
    InvalidArgument {
        /// The argument.
        what: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// Bytes that no picture decoder accepts, or a picture beyond the limits.
    #[error("{path}: not a readable picture: {reason}")]
    Picture {
        /// File or "picture <n>".
        path: String,
        /// What the decoder said.
        reason: String,
    },
    /// The prompt with its image tokens (and room to answer) does not fit.
    #[error("the prompt has {tokens} tokens, the context {context}; shorten the prompt or use fewer image tokens")]
    PromptTooLong {
        /// Tokens of the prompt, image tokens included.
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A chat template refused the conversation (`raise_exception`) or could not be run.
    #[error("chat template: {reason}")]
    Template {
        /// The template's own message, or the reason it could not be run.
        reason: String,
    },
    /// No adapter, or none of that name.
    #[error("no GPU adapter{}: {hint}", wanted_found(wanted, found))]
    NoAdapter {
        /// The adapter asked for.
        wanted: Option<String>,
        /// Adapters that are there.
        found: Vec<String>,
        /// How to get one.
        hint: String,
    },
    /// The device lacks a feature or a limit that has no other way around.
    #[error("{what} needs {needs}, the device has {has}")]
    MissingCapability {
        /// What needs it.
        what: String,
        /// Feature or limit with its value.
        needs: String,
        /// What the device offers.
        has: String,
    },
    /// A buffer could not be had, by the device or by the memory limit that was set.
    #[error("out of GPU memory: {what} needs {bytes} bytes, {live} bytes are in use{}", limit_text(*limit))]
    OutOfMemory {
        /// What the buffer was for.
        what: String,
        /// Its size.
        bytes: u64,
        /// Sum of the live buffers' sizes.
        live: u64,
        /// The limit that was set, if it was this limit that refused.
        limit: Option<u64>,
    },
    /// The device is gone; weights and programs have to be built again on a new one.
    #[error("the GPU device was lost: {reason}; rebuild the engine on a new device")]
    DeviceLost {
        /// What the driver said.
        reason: String,
    },
    /// The device refused something that the engine believed valid. A bug of the engine or of the driver.
    #[error("{what}: the device reports: {reason}")]
    Device {
        /// Shader, step or buffer.
        what: String,
        /// The first line of the report.
        reason: String,
    },
    /// A shader that does not link, does not validate or breaks a limit.
    #[error("shader {name}: {reason}")]
    Shader {
        /// Kernel, and file:line where known.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A graph that cannot be built or planned.
    #[error("graph: {at}: {reason}")]
    Graph {
        /// Node or value.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// The caller cancelled the work between two pieces.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub fn argument(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { what: what.into(), reason: reason.into() }
    }
    /// An [`Error::Malformed`].
    pub fn malformed(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), reason: reason.into() }
    }
    /// An [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), reason: reason.into() }
    }
    /// An [`Error::Io`] from the system's error.
    pub fn io(path: impl Into<String>, error: &std::io::Error) -> Self {
        Self::Io { path: path.into(), reason: error.to_string() }
    }
    /// An [`Error::Graph`].
    pub fn graph(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Graph { at: at.into(), reason: reason.into() }
    }
}

fn near_names(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) }
}

fn wanted_found(wanted: &Option<String>, found: &[String]) -> String {
    let wanted = wanted.as_ref().map(|w| format!(" `{w}`")).unwrap_or_default();
    let found = if found.is_empty() { String::new() } else { format!(" (there are: {})", found.join(", ")) };
    format!("{wanted}{found}")
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map(|l| format!(", the limit is {l}")).unwrap_or_default()
}
