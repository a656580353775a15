//! The other process: started, listened to, stopped.

use omma::{Error, Result};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What a runner works on: a place in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Shader(usize),
    Job(usize),
}

/// What is heard of a runner.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// It begins this.
    Begin(Item, Instant),
    /// It has ended this; why it could not, if it could not.
    End(Item, Option<String>, Instant),
    /// Nothing for as long as was waited.
    Quiet,
    /// It has gone, with this status.
    Closed(String),
}

/// A line of its output.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Begin(Place),
    End(Place, Option<String>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Shader(usize),
    Job(usize),
}

/// A runner at work. Dropping it stops it.
pub struct Runner {
    child: Child,
    lines: Receiver<(Instant, std::io::Result<String>)>,
}

impl Runner {
    /// Starts one.
    pub fn start(command: &[String]) -> Result<Self> {
        let [program, arguments @ ..] = command else { return Err(Error::argument("runner", "no program")) };
        let mut start = Command::new(program);
        start.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = start.spawn().map_err(|e| Error::io(program.as_str(), &e))?;
        let output = child.stdout.take().ok_or_else(|| Error::argument("runner", "it has no output"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || listen(BufReader::new(output), &sender));
        Ok(Self { child, lines })
    }

    /// What it says next, within `wait`.
    pub fn next(&mut self, wait: Duration) -> Result<Event> {
        match self.lines.recv_timeout(wait) {
            Ok((when, line)) => event(&line.map_err(|e| Error::io("the runner's output", &e))?, when),
            Err(RecvTimeoutError::Timeout) => Ok(Event::Quiet),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(|e| Error::io("the runner", &e))?;
                Ok(Event::Closed(status.code().map_or(status.to_string(), |code| code.to_string())))
            }
        }
    }

    /// Ends it, whatever it does.
    pub fn stop(&mut self) {
        // It may have gone by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(output: impl BufRead, sender: &Sender<(Instant, std::io::Result<String>)>) {
    for line in output.lines() {
        if sender.send((Instant::now(), line)).is_err() {
            return;
        }
    }
}

fn event(line: &str, when: Instant) -> Result<Event> {
    let item = |place| match place {
        Place::Shader(i) => Item::Shader(i),
        Place::Job(i) => Item::Job(i),
    };
    match serde_json::from_str(line) {
        Ok(Line::Begin(place)) => Ok(Event::Begin(item(place), when)),
        Ok(Line::End(place, reason)) => Ok(Event::End(item(place), reason, when)),
        Err(e) => Err(Error::malformed("a line of the runner", format!("{e}: {line}"))),
    }
}
