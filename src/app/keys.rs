//! Master keys: from the configuration, from a file, or made at the very first start.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::StartError;
use crate::{
    config::Config,
    domain::{Keyring, MasterKey},
    ports::Store,
    runtime::Runtime,
};

/// The keys in force, all that open requests need among them.
pub async fn keyring(
    config: &Config,
    store: &dyn Store,
    runtime: &Runtime,
) -> Result<Keyring, StartError> {
    let keys = if config.keys.master.is_empty() {
        let path = path(config);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                warn_of_readers(&path);
                parse(&path.display().to_string(), text.lines())?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !store.is_empty().await? {
                    return Err(StartError::NoKey { path });
                }
                vec![make(&path, runtime)?]
            }
            Err(source) => {
                return Err(StartError::File { doing: "read the keys", path, source });
            }
        }
    } else {
        parse("keys.master", config.keys.master.split(','))?
    };
    let mut keys = keys.into_iter();
    let Some(first) = keys.next() else {
        return Err(StartError::NoKey { path: path(config) });
    };
    let keyring = Keyring::new(first, keys);
    for key in store.keys_in_use().await? {
        if !keyring.holds(&key) {
            return Err(StartError::MissingKey { missing: key.as_str().to_owned() });
        }
    }
    Ok(keyring)
}

/// A warning and no refusal: in a container nobody else may be there to read a file that its mount
/// made readable (a Secret of Kubernetes has 0644), and a service that does not start pays nobody. The
/// owner's group is left alone, since that is how secrets are handed to a service's user.
fn warn_of_readers(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{mode:04o}"),
            "every user of this machine can read or write the master keys, and with a copy of the database \
             claim all withdraw requests: chmod 600 expected"
        );
    }
}

fn path(config: &Config) -> PathBuf {
    if config.keys.file.as_os_str().is_empty() {
        config.data_dir.join("master.key")
    } else {
        config.keys.file.clone()
    }
}

/// One key per line; blank lines and comments are skipped.
fn parse<'a>(
    place: &str,
    lines: impl Iterator<Item = &'a str>,
) -> Result<Vec<MasterKey>, StartError> {
    let mut keys = Vec::new();
    for (index, line) in lines.enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        keys.push(MasterKey::parse(line).map_err(|source| StartError::Key {
            place: place.to_owned(),
            line: index + 1,
            source,
        })?);
    }
    Ok(keys)
}

/// Makes a key that only this user can read, whole and durable before it derives anything: a crash
/// leaves either no file of this name or the whole key.
fn make(path: &Path, runtime: &Runtime) -> Result<MasterKey, StartError> {
    let mut bytes = [0; 32];
    runtime.entropy.fill(&mut bytes);
    let key = MasterKey::from_bytes(bytes);
    let temporary = path.with_extension("new");
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{}", key.expose_hex())?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces a key that somebody made meanwhile.
        std::fs::hard_link(&temporary, path)?;
        std::fs::remove_file(&temporary)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| StartError::File {
        doing: "write a new master key",
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
}
