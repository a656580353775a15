//! A hub on a port of this machine: one repository in memory, with the addresses and headers that clients rely on,
//! and with the faults that a network has.

use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Commit of the repository.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the hub does wrong with the files whose name ends in [`Hub::victim`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// The repository is gated: metadata is public, files are not.
    Gated,
    /// Listed, but not there.
    Missing,
    /// The connection breaks in the middle of a body whose length was announced.
    Dropped,
    /// The body ends early, and its length was not announced.
    Truncated,
    /// The file is an error page.
    Broken,
    /// Every answer is an error of the server.
    Overloaded,
}

/// The state of the hub, which tests change as they go.
pub struct Hub {
    pub id: String,
    pub files: BTreeMap<String, Vec<u8>>,
    pub fault: Fault,
    pub victim: String,
    /// Requests so far, as `METHOD path`.
    pub log: Vec<String>,
}

/// A running hub.
pub struct Server {
    pub state: Arc<Mutex<Hub>>,
    pub address: String,
}

impl Server {
    pub fn start(id: &str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let hub = Hub { id: id.into(), files, fault: Fault::None, victim: ".safetensors".into(), log: Vec::new() };
        let state = Arc::new(Mutex::new(hub));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = state.clone();
        // Ends with the process; the port is closed to later clients by `stop`.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.lock().unwrap().id.is_empty() {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Self { state, address }
    }
    pub fn set(&self, fault: Fault, victim: &str) {
        let mut hub = self.state.lock().unwrap();
        (hub.fault, hub.victim) = (fault, victim.into());
    }
    /// Requests since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
    /// Closes the port.
    pub fn stop(&self) {
        self.state.lock().unwrap().id.clear();
        // Wakes the listener, which then returns.
        drop(TcpStream::connect(self.address.trim_start_matches("http://")));
    }
}

/// Status line, headers, body; how many bytes of the body are sent, and whether its length is announced.
struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    sent: Option<usize>,
    announced: bool,
}

impl Reply {
    fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), sent: None, announced: true }
    }
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Hub>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
    let mut range = None;
    for line in lines.by_ref() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
    }
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let path = path.split([' ', '?']).next().unwrap_or_default();
    let reply = {
        let mut hub = shared.lock().unwrap();
        hub.log.push(format!("{method} {path}"));
        hub.reply(method, path, range.as_deref())
    };
    write!(stream, "HTTP/1.1 {}\r\nConnection: close\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    if reply.announced {
        write!(stream, "Content-Length: {}\r\n", reply.body.len())?;
    }
    write!(stream, "\r\n")?;
    if method != "HEAD" {
        stream.write_all(&reply.body[..reply.sent.unwrap_or(reply.body.len())])?;
    }
    stream.flush()
}

impl Hub {
    fn reply(&self, method: &str, path: &str, range: Option<&str>) -> Reply {
        if self.fault == Fault::Overloaded {
            return Reply::new("503 Service Unavailable", "later");
        }
        let info = format!("/api/models/{}", self.id);
        let named = [info.clone(), format!("{info}/revision/main"), format!("{info}/revision/{COMMIT}")];
        if named.iter().any(|name| name == path) {
            return Reply::new("200 OK", self.info().to_string());
        }
        if path == format!("{info}/tree/{COMMIT}") {
            return Reply::new("200 OK", self.tree().to_string());
        }
        let resolve = format!("/{}/resolve/{COMMIT}/", self.id);
        // The hub moves files of renamed repositories, and redirects: here all, by a relative address.
        if let Some(name) = path.strip_prefix(&resolve) {
            let target = format!("/moved/{name}");
            return Reply::new("307 Temporary Redirect", "").with("Location", target);
        }
        match path.strip_prefix("/moved/").and_then(|name| Some((name, self.files.get(name)?))) {
            Some((name, bytes)) => self.file(method, name, bytes, range),
            // What the hub says to strangers of a model that is not there.
            None => Reply::new("401 Unauthorized", r#"{"error": "Invalid username or password."}"#)
                .with("X-Error-Code", "RepoNotFound"),
        }
    }
    fn info(&self) -> serde_json::Value {
        let siblings: Vec<_> = self.files.keys().map(|name| json!({ "rfilename": name })).collect();
        json!({ "id": self.id, "modelId": self.id, "sha": COMMIT, "private": false, "siblings": siblings })
    }
    fn tree(&self) -> serde_json::Value {
        let file = |(name, bytes): (&String, &Vec<u8>)| match large(name) {
            true => json!({ "type": "file", "oid": etag(name), "size": bytes.len(), "path": name,
                "lfs": { "oid": etag(name), "size": bytes.len(), "pointerSize": 134 } }),
            false => json!({ "type": "file", "oid": etag(name), "size": bytes.len(), "path": name }),
        };
        let folder = json!({ "type": "directory", "oid": "0", "size": 0, "path": "onnx" });
        self.files.iter().map(file).chain([folder]).collect()
    }
    fn file(&self, method: &str, name: &str, bytes: &[u8], range: Option<&str>) -> Reply {
        let fault = if name.ends_with(&self.victim) { self.fault } else { Fault::None };
        let get = method == "GET";
        let mut reply = match (fault, range) {
            (Fault::Missing, _) => {
                return Reply::new("404 Not Found", "")
                    .with("X-Error-Code", "EntryNotFound")
                    .with("X-Repo-Commit", COMMIT);
            }
            (Fault::Gated, _) => {
                return Reply::new("403 Forbidden", "restricted").with("X-Error-Code", "GatedRepo");
            }
            (Fault::Broken, _) if get => return Reply::new("500 Internal Server Error", "<html>sorry</html>"),
            (_, Some(range)) => {
                let (from, to) = range.split_once('-').unwrap_or((range, ""));
                let from = from.parse().unwrap_or(0).min(bytes.len());
                let to = to.parse::<usize>().map_or(bytes.len(), |to| to + 1).clamp(from, bytes.len());
                let part = format!("bytes {from}-{}/{}", to.max(1) - 1, bytes.len());
                Reply::new("206 Partial Content", &bytes[from..to]).with("Content-Range", part)
            }
            _ => Reply::new("200 OK", bytes),
        };
        if get && matches!(fault, Fault::Dropped | Fault::Truncated) {
            reply.sent = Some(reply.body.len() / 2);
            reply.announced = fault == Fault::Dropped;
        }
        let reply = reply.with("X-Repo-Commit", COMMIT).with("Accept-Ranges", "bytes");
        let reply = reply.with("ETag", format!("\"{}\"", etag(name)));
        match large(name) {
            true => reply
                .with("X-Linked-Etag", format!("\"{}\"", etag(name)))
                .with("X-Linked-Size", bytes.len().to_string()),
            false => reply,
        }
    }
}

fn large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}

/// A tag for a file: of letters and digits, as those of the hub.
fn etag(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}
