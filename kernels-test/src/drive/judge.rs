//! The outputs that a runner left, compared with the oracle of their case.

use crate::case::Case;
use crate::cases::CASES;
use crate::jobs::{Job, types};
use crate::run::{Outcome, judge};
use omma::graph::decode;
use omma::reference::Array;
use omma::{Caps, Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Every case by `kernel/name`.
pub struct Judge(BTreeMap<String, Case>);

impl Judge {
    pub fn new() -> Self {
        let all = CASES.iter().flat_map(|(_, cases)| cases());
        Self(all.map(|case| (format!("{}/{}", case.kernel.name(), case.name), case)).collect())
    }

    /// Why the outputs of a job are wrong, if they are.
    pub fn judge(&self, job: &Job, folder: &Path) -> Result<Option<String>> {
        let case = self.0.get(&job.name).ok_or_else(|| Error::argument("job", format!("no case {}", job.name)))?;
        let path = folder.join(&job.blob).with_extension("out");
        let bytes = std::fs::read(&path).map_err(|e| Error::io(path.to_string_lossy(), &e))?;
        let (_, types) = types(case)?;
        let (mut at, mut got) = (0, Vec::<Array>::new());
        for (operand, ty) in job.operands.iter().filter(|o| o.output).zip(&types) {
            let end = at + operand.bytes as usize;
            let piece = bytes.get(at..end).ok_or_else(|| Error::malformed(path.to_string_lossy(), "it ends early"))?;
            got.push(decode(ty, &[piece.to_vec()], &Caps::floor())?);
            at = end;
        }
        Ok(match judge(case, &case.arrays(), &got) {
            Outcome::Fail(reason) | Outcome::Unsupported(reason) => Some(reason),
            Outcome::Pass(_) => None,
        })
    }
}
