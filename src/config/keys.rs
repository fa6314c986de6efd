//! `[keys]`: the master keys that secrets derive from.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{check::Check, lnd::is_hex};
use crate::domain::{InvalidKey, MasterKey};

/// `[keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Keys {
    pub master: SecretString,
    pub file: PathBuf,
}

/// Where the master keys come from.
#[derive(Clone)]
pub enum KeySettings {
    /// The configuration itself. New secrets derive from the first key.
    Given(Vec<MasterKey>),
    /// A file, which is generated at the very first start.
    File(PathBuf),
}

impl std::fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySettings")
    }
}

impl KeySettings {
    /// The option or file, for messages.
    pub fn place(&self) -> String {
        match self {
            Self::Given(_) => "keys.master".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl Keys {
    pub(super) fn check(&self, data_dir: &Path, check: &mut Check) -> KeySettings {
        let text = self.master.expose_secret();
        if text.is_empty() {
            let path = &self.file;
            if is_hex(path) {
                check.refuse("keys.file", "must be the path of a file, not a key");
            }
            let named = !path.as_os_str().is_empty();
            return KeySettings::File(if named {
                path.clone()
            } else {
                data_dir.join("master.key")
            });
        }
        let keys = read_keys(text.split(','));
        let keys = check.keep(
            "keys.master",
            keys.map_err(|(number, fault)| format!("entry {number} is not a master key: {fault}")),
        );
        if keys.as_ref().is_some_and(Vec::is_empty) {
            check.refuse("keys.master", "there is no master key in it");
        }
        KeySettings::Given(keys.unwrap_or_default())
    }
}

/// One key per entry; blank entries and comments are skipped. Fails with the number of the invalid entry,
/// counted from 1.
pub fn read_keys<'a>(
    entries: impl Iterator<Item = &'a str>,
) -> Result<Vec<MasterKey>, (usize, InvalidKey)> {
    let mut keys = Vec::new();
    for (index, entry) in entries.map(str::trim).enumerate() {
        if !entry.is_empty() && !entry.starts_with('#') {
            keys.push(MasterKey::parse(entry).map_err(|fault| (index + 1, fault))?);
        }
    }
    Ok(keys)
}
