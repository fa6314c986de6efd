//! Why a configuration cannot be read: the file, the section and the key, and never a secret.

use std::path::Path;

use config::ConfigError;

use super::names::{likely, options, variable_of};

/// Why the configuration cannot be read. A parser shows the line that it does not understand, and
/// that line may hold a key: it is left out.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be read: {0}")]
pub struct Unreadable(String);

impl Unreadable {
    /// Keys of a file that no option has.
    pub(super) fn unknown(file: &Path, keys: &[&String]) -> Self {
        let known = options();
        let told = keys.iter().map(|key| {
            let (section, name) = match key.rsplit_once('.') {
                Some((section, name)) => (format!("in section [{section}], "), name),
                None => (String::new(), key.as_str()),
            };
            let meant = likely(key, known.iter().map(String::as_str));
            let meant = meant.map(|meant| format!(" (do you mean {meant}?)")).unwrap_or_default();
            format!("{section}{name} is no option{meant}")
        });
        Self(format!("{}: {}", file.display(), told.collect::<Vec<_>>().join("; ")))
    }

    /// What the parser says of a value or a file. It shortens the file's path: it is told as it was given.
    pub(super) fn new(error: &ConfigError, file: Option<&Path>) -> Self {
        let file = || file.map(|file| file.display().to_string());
        match error {
            ConfigError::Type { origin, unexpected, expected, key: Some(key) } => {
                let place = match origin.as_deref() {
                    Some("the environment") => format!("in the environment, {}", variable_of(key)),
                    Some(_) => format!("{}: {key}", file().unwrap_or_default()),
                    None => key.clone(),
                };
                let secret = matches!(key.as_str(), "keys.master" | "store.database_url");
                let found =
                    if secret { String::new() } else { format!(", and it is {unexpected}") };
                Self(format!("{place} must be {expected}{found}"))
            }
            ConfigError::FileParse { cause, .. } => {
                let place = file().map(|file| format!("{file}: ")).unwrap_or_default();
                Self(place + &without_sources(&cause.to_string()))
            }
            other => Self(without_sources(&other.to_string())),
        }
    }
}

fn without_sources(text: &str) -> String {
    let shown = text.lines().filter(|line| !line.contains('|'));
    shown.map(str::trim).collect::<Vec<_>>().join(" ")
}
