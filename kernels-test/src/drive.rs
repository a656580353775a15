//! Running exported cases by a runner in another language, and judging each as it comes. The runner says on its standard
//! output what it begins and what it has ended; one that stands too long at something is stopped and started anew behind
//! it. What has been said is kept beside the cases, so that a later run can leave out what passed.

mod judge;
mod runner;

use crate::jobs::Manifest;
use judge::Judge;
use omma::{Error, Result};
use runner::{Event, Item, Runner};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that `export` wrote.
    pub folder: PathBuf,
    /// The runner's program and arguments.
    pub runner: Vec<String>,
    /// How long it may stand at one shader or job.
    pub limit: Duration,
    /// Leaves out what passed before, on the same text and the same bytes.
    pub resume: bool,
}

/// Shaders and jobs by what became of them.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Verdict {
    /// Shaders that were compiled, refused, and not tried for want of a feature.
    pub shaders: [usize; 3],
    /// Jobs that passed, failed, and could not run for want of a feature.
    pub jobs: [usize; 3],
}

/// What begins the reason of a runner that lacks a feature.
const UNSUPPORTED: &str = "unsupported: ";
/// The file of what has been said, in the folder.
const SAID: &str = "said.jsonl";
/// After this long at one thing, its name is printed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A line of that file.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// Digest of the shader's text, or of a job's shaders and bytes.
    digest: String,
    name: String,
    /// Why it did not pass.
    reason: Option<String>,
    seconds: f64,
}

/// What is known of the shaders and jobs of a manifest.
struct State {
    manifest: Manifest,
    /// By item: nothing yet, passed, or why not.
    said: BTreeMap<Item, Option<String>>,
    file: File,
    tally: Option<Tally>,
}

/// Items of one kernel that came one after the other.
struct Tally {
    kernel: String,
    verdict: Verdict,
    begun: Instant,
}

/// Runs everything, prints a line for whatever does not pass as soon as it is known, and one for each kernel.
///
/// Errors: the folder is malformed, the runner does not start, or says something that is not of its cases.
pub fn drive(options: &Options) -> Result<Verdict> {
    let mut state = State::open(&options.folder, options.resume)?;
    let judge = Judge::new();
    while state.left() > 0 {
        state.write_skips(&options.folder)?;
        let runner = Runner::start(&options.runner)?;
        let ended = state.follow(runner, options, &judge)?;
        if ended {
            break;
        }
    }
    state.close();
    Ok(state.verdict())
}

fn kind(reason: Option<&String>) -> usize {
    reason.map_or(0, |r| if r.starts_with(UNSUPPORTED) { 2 } else { 1 })
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let name = path.to_string_lossy().into_owned();
    move |e| Error::io(&*name, &e)
}

impl State {
    fn open(folder: &Path, resume: bool) -> Result<Self> {
        let manifest: Manifest = crate::jobs::read(&folder.join("manifest.json"))?;
        let path = folder.join(SAID);
        let before = if resume { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        let passed: BTreeMap<String, Said> = before
            .lines()
            // A line that a stopped run left unfinished says nothing.
            .filter_map(|line| serde_json::from_str::<Said>(line).ok())
            .map(|said| (said.digest.clone(), said))
            .filter(|(_, said)| said.reason.is_none())
            .collect();
        let file = OpenOptions::new().create(true).append(resume).write(true).truncate(!resume).open(&path);
        let shaders = manifest.shaders.iter().enumerate().map(|(i, s)| (Item::Shader(i), &s.digest));
        let jobs = manifest.jobs.iter().enumerate().map(|(i, j)| (Item::Job(i), &j.digest));
        let said = shaders.chain(jobs).filter(|(_, digest)| passed.contains_key(*digest)).map(|(item, _)| (item, None));
        Ok(Self { said: said.collect(), file: file.map_err(io(&path))?, manifest, tally: None })
    }

    fn left(&self) -> usize {
        self.manifest.shaders.len() + self.manifest.jobs.len() - self.said.len()
    }

    /// Tells the next runner what is known: shaders with what was said of them, and jobs.
    fn write_skips(&self, folder: &Path) -> Result<()> {
        let mut shaders = BTreeMap::new();
        let mut jobs = Vec::new();
        for (item, reason) in &self.said {
            match item {
                Item::Shader(i) => drop(shaders.insert(*i, reason)),
                Item::Job(i) => jobs.push(*i),
            }
        }
        let text = serde_json::json!({ "shaders": shaders, "jobs": jobs }).to_string();
        let path = folder.join("skip.json");
        std::fs::write(&path, text).map_err(io(&path))
    }

    /// Follows one runner; false when it has to be started again for what is left.
    fn follow(&mut self, mut runner: Runner, options: &Options, judge: &Judge) -> Result<bool> {
        let mut at: Option<Item> = None;
        let mut since = Instant::now();
        let mut told = false;
        let mut heard = 0;
        loop {
            let wait = if told { options.limit } else { PATIENCE.min(options.limit) };
            match runner.next(wait.saturating_sub(since.elapsed()))? {
                Event::Begin(item, when) => {
                    (at, since, told, heard) = (Some(self.known(item)?), when, false, heard + 1)
                }
                Event::End(item, reason, when) => {
                    let reason = match (self.known(item)?, reason) {
                        (Item::Job(i), None) => judge.judge(&self.manifest.jobs[i], &options.folder)?,
                        (_, reason) => reason,
                    };
                    self.put(item, reason, when.saturating_duration_since(since))?;
                    (at, since, told) = (None, when, false);
                }
                Event::Quiet if since.elapsed() < options.limit => {
                    told = true;
                    eprintln!("at {} for {:.0} s", self.title(at), since.elapsed().as_secs_f64());
                }
                Event::Quiet => {
                    runner.stop();
                    let reason = format!("it stood for {} s, which is its limit", options.limit.as_secs());
                    return self.lost(at, reason, since, heard);
                }
                Event::Closed(status) if status == 0.to_string() => return self.all_heard(),
                Event::Closed(status) => {
                    return self.lost(at, format!("the runner ended at it ({status})"), since, heard);
                }
            }
        }
    }

    /// A runner went away: what it was at has failed. One that had begun nothing would go away again.
    fn lost(&mut self, at: Option<Item>, reason: String, since: Instant, heard: usize) -> Result<bool> {
        match at {
            Some(item) => self.put(item, Some(reason), since.elapsed())?,
            None if heard == 0 => return Err(Error::argument("runner", format!("before it began anything: {reason}"))),
            None => {}
        }
        Ok(false)
    }

    fn all_heard(&self) -> Result<bool> {
        match self.left() {
            0 => Ok(true),
            left => Err(Error::argument("runner", format!("it ended well and said nothing of {left} items"))),
        }
    }

    fn known(&self, item: Item) -> Result<Item> {
        let there = match item {
            Item::Shader(i) => i < self.manifest.shaders.len(),
            Item::Job(i) => i < self.manifest.jobs.len(),
        };
        if there { Ok(item) } else { Err(Error::argument("runner", format!("it names {item:?}, which is not there"))) }
    }

    fn title(&self, item: Option<Item>) -> String {
        match item {
            Some(Item::Shader(i)) => format!("shader {i}, {}", self.manifest.shaders[i].title),
            Some(Item::Job(i)) => format!("job {i}, {}", self.manifest.jobs[i].name),
            None => "nothing that has a name".into(),
        }
    }

    /// Takes down what became of an item, and prints it unless it passed.
    fn put(&mut self, item: Item, reason: Option<String>, time: Duration) -> Result<()> {
        let (name, kernel, digest) = match item {
            Item::Shader(i) => {
                let s = &self.manifest.shaders[i];
                (format!("{} ({})", s.title, s.file), s.title.split(' ').next().unwrap_or_default(), &s.digest)
            }
            Item::Job(i) => {
                let j = &self.manifest.jobs[i];
                (format!("{} ({})", j.name, j.blob), j.name.split('/').next().unwrap_or_default(), &j.digest)
            }
        };
        let (kernel, digest) = (kernel.to_owned(), digest.clone());
        if self.tally.as_ref().is_none_or(|t| t.kernel != kernel) {
            self.close();
            self.tally = Some(Tally { kernel, verdict: Verdict::default(), begun: Instant::now() });
        }
        if let Some(reason) = &reason {
            let word = ["pass", "FAIL", "out"][kind(Some(reason))];
            println!("{word:5} {name}: {reason}");
        }
        // A shader is compiled again for each runner: it counts once.
        if !self.said.contains_key(&item)
            && let Some(tally) = &mut self.tally
        {
            tally.verdict.count(item, reason.as_ref());
        }
        let said = Said { digest, name, reason: reason.clone(), seconds: time.as_secs_f64() };
        let line = serde_json::to_string(&said).map_err(|e| Error::malformed(SAID, e.to_string()))?;
        writeln!(self.file, "{line}").map_err(|e| Error::io(SAID, &e))?;
        self.said.insert(item, reason);
        Ok(())
    }

    /// Prints the line of the kernel that ended.
    fn close(&mut self) {
        let Some(Tally { kernel, verdict, begun }) = self.tally.take() else { return };
        let ([compiled, refused, _], [passed, failed, out]) = (verdict.shaders, verdict.jobs);
        let word = if refused + failed == 0 { "pass" } else { "FAIL" };
        println!(
            "{word:5} {kernel:18} {compiled} compiled, {refused} refused; {passed} jobs passed, {failed} failed, {out} unsupported; {:.1} s",
            begun.elapsed().as_secs_f64()
        );
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        self.said.iter().for_each(|(item, reason)| verdict.count(*item, reason.as_ref()));
        verdict
    }
}

impl Verdict {
    fn count(&mut self, item: Item, reason: Option<&String>) {
        match item {
            Item::Shader(_) => self.shaders[kind(reason)] += 1,
            Item::Job(_) => self.jobs[kind(reason)] += 1,
        }
    }
    /// Whether nothing failed and, of what there was, something passed; a folder may have no jobs, or nothing at all.
    pub fn good(&self) -> bool {
        let fine = |[passed, failed, lacking]: [usize; 3]| failed == 0 && (passed > 0 || lacking == 0);
        fine(self.shaders) && fine(self.jobs)
    }
    /// The closing lines.
    pub fn summary(&self) -> String {
        let ([compiled, refused, out], [passed, failed, not]) = (self.shaders, self.jobs);
        format!(
            "shaders: {compiled} compiled, {refused} refused, {out} unsupported\n\
             jobs: {passed} passed, {failed} failed, {not} unsupported"
        )
    }
}
