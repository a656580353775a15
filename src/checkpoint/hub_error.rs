//! What went wrong with a hub, in a line for a person, with what to do.

use hf_hub::HFError;

/// Whether nobody answered who could say no: then a copy in the cache is as good as it gets.
pub(super) fn unreachable(error: &HFError) -> bool {
    match error {
        HFError::Request { .. } | HFError::RateLimited { .. } => true,
        HFError::Http { context } => context.status.is_server_error(),
        _ => false,
    }
}

/// Why a request failed, and what to do.
pub(super) fn explain(error: &HFError) -> String {
    match error {
        HFError::AuthRequired { context } | HFError::Forbidden { context } => {
            match (context.error_code.as_deref(), error) {
                (Some("GatedRepo"), _) => "its owner asks for consent first: accept the terms on its page of the hub, \
                     then set HF_TOKEN to a token of that account"
                    .into(),
                // The hub does not tell strangers whether a private model exists.
                (_, HFError::AuthRequired { .. }) => "there is no such model, or it is private; check the spelling, \
                     and set HF_TOKEN for a private one"
                    .into(),
                _ => "the token may not read it; set HF_TOKEN to one that may".into(),
            }
        }
        HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } => {
            "there is no such model on the hub; check the spelling of owner/name".into()
        }
        HFError::EntryNotFound { .. } => {
            "the hub lists this file and does not have it; run the command again later, or tell the model's owner"
                .into()
        }
        HFError::RateLimited { retry_after, .. } => {
            let wait = retry_after.map_or("a while".to_owned(), |wait| format!("{} s", wait.as_secs()));
            format!("the hub asks to wait for {wait}; a token in HF_TOKEN is given more")
        }
        HFError::Http { context } => format!("the hub answers {}; run the command again later", context.status),
        HFError::Request { source, .. } if source.is_connect() => {
            format!("the hub cannot be reached ({})", innermost(source))
        }
        HFError::Request { source, .. } => {
            format!(
                "the connection to the hub broke ({}); run the command again: whole files are kept",
                innermost(source)
            )
        }
        HFError::Json(error) => format!("the answer is not one of a hub ({error}); check HF_ENDPOINT"),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// The error at the bottom, which says what happened.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
