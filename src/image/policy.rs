//! Names of tiling policies: how one picture becomes one or several inputs of a vision tower.
//!
//! Only the names and their parameters are read here; what each does to a picture is geometry (`plan`).

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A tiling policy as the command line and checkpoints name it. A parameter that was not given is `None`, and
/// then the policy's own default or the checkpoint's value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub enum Policy {
    /// What the checkpoint says.
    #[default]
    Auto,
    /// The whole picture through the checkpoint's own resize and crop.
    None,
    /// LLaVA's `expand2square`: padded to a square with the mean colour first.
    Pad,
    /// LLaVA-NeXT grids; `max` bounds the tiles (`anyres_max_9`).
    AnyRes {
        max: Option<u32>,
    },
    Hd,
    /// LLaVA-UHD as released.
    Uhd {
        max: Option<u32>,
        size: Option<u32>,
        patch: Option<u32>,
    },
    /// LLaVA-UHD as its paper describes it.
    UhdPaper {
        max: Option<u32>,
        size: Option<u32>,
        patch: Option<u32>,
    },
    Monkey,
    MiniCpmV,
    InternVl,
    /// Qwen2-VL: one picture of its own size.
    Native,
    Fuyu,
    Idefics2,
    Idefics3,
    Pixtral,
    Mllama,
    XComposer,
    XComposer4Khd,
}

/// Every policy without parameters, in the order in which messages list them.
const POLICIES: &[Policy] = &[
    Policy::Auto,
    Policy::None,
    Policy::Pad,
    Policy::AnyRes { max: None },
    Policy::Hd,
    Policy::Uhd { max: None, size: None, patch: None },
    Policy::UhdPaper { max: None, size: None, patch: None },
    Policy::Monkey,
    Policy::MiniCpmV,
    Policy::InternVl,
    Policy::Native,
    Policy::Fuyu,
    Policy::Idefics2,
    Policy::Idefics3,
    Policy::Pixtral,
    Policy::Mllama,
    Policy::XComposer,
    Policy::XComposer4Khd,
];

impl Policy {
    /// The name without parameters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Pad => "pad",
            Self::AnyRes { .. } => "anyres",
            Self::Hd => "hd",
            Self::Uhd { .. } => "uhd",
            Self::UhdPaper { .. } => "uhd-paper",
            Self::Monkey => "monkey",
            Self::MiniCpmV => "minicpmv",
            Self::InternVl => "internvl",
            Self::Native => "native",
            Self::Fuyu => "fuyu",
            Self::Idefics2 => "idefics2",
            Self::Idefics3 => "idefics3",
            Self::Pixtral => "pixtral",
            Self::Mllama => "mllama",
            Self::XComposer => "xcomposer",
            Self::XComposer4Khd => "xcomposer-4khd",
        }
    }
    /// Names of all policies.
    pub fn names() -> Vec<&'static str> {
        POLICIES.iter().map(Policy::name).collect()
    }

    /// The parameters this policy takes, with their values.
    fn parameters(&mut self) -> Vec<(&'static str, &mut Option<u32>)> {
        match self {
            Self::AnyRes { max } => vec![("max", max)],
            Self::Uhd { max, size, patch } | Self::UhdPaper { max, size, patch } => {
                vec![("max", max), ("size", size), ("patch", patch)]
            }
            _ => Vec::new(),
        }
    }
}

impl FromStr for Policy {
    type Err = Error;

    /// Reads `name` or `name:key=number,key=number`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, parameters) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let Some(found) = POLICIES.iter().find(|p| p.name() == name) else {
            return Err(Error::argument(format!("tiling policy `{name}`"), format!("known: {}", names_list())));
        };
        let mut policy = *found;
        for part in parameters.into_iter().flat_map(|p| p.split(',')) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let what = || format!("tiling policy `{text}`");
            let mut known = policy.parameters();
            let keys = known.iter().map(|(k, _)| *k).collect::<Vec<_>>().join(", ");
            let Some((_, slot)) = known.iter_mut().find(|(k, _)| *k == key) else {
                let takes = if keys.is_empty() { "no parameters".into() } else { format!("only {keys}") };
                return Err(Error::argument(what(), format!("no parameter `{key}`; `{name}` takes {takes}")));
            };
            let number = value.parse::<u32>().ok().filter(|n| (1..=65_536).contains(n));
            let wrong = || Error::argument(what(), format!("`{key}` must be a number from 1 to 65536"));
            **slot = Some(number.ok_or_else(wrong)?);
        }
        Ok(policy)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = *self;
        let given = copy.parameters().into_iter().filter_map(|(k, v)| v.map(|v| format!("{k}={v}")));
        let given = given.collect::<Vec<_>>().join(",");
        let colon = if given.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{given}", self.name())
    }
}

fn names_list() -> String {
    Policy::names().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for policy in POLICIES {
            assert_eq!(policy.name().parse::<Policy>().as_ref(), Ok(policy));
            assert_eq!(policy.to_string(), policy.name());
        }
        let uhd = "uhd:max=9,size=448,patch=14".parse::<Policy>().unwrap();
        assert_eq!(uhd, Policy::Uhd { max: Some(9), size: Some(448), patch: Some(14) });
        assert_eq!(uhd.to_string(), "uhd:max=9,size=448,patch=14");
        assert_eq!("anyres:max=9".parse::<Policy>().unwrap(), Policy::AnyRes { max: Some(9) });
    }

    #[test]
    fn wrong_names_say_what_is_right() {
        let message = |text: &str| text.parse::<Policy>().unwrap_err().to_string();
        assert!(message("tiles").contains("anyres"), "{}", message("tiles"));
        assert!(message("anyres:min=2").contains("only max"), "{}", message("anyres:min=2"));
        assert!(message("pad:max=2").contains("no parameters"), "{}", message("pad:max=2"));
        for text in ["anyres:max=0", "anyres:max=-1", "anyres:max=", "anyres:max", "anyres:", "anyres:max=99999999999"]
        {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }
}
