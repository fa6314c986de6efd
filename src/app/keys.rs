//! Master keys: from the configuration, from a file, or generated at the very first start.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::StartError;
use crate::{
    config::{KeySettings, read_keys},
    domain::{KeyId, Keyring, MasterKey},
    ports::Store,
    runtime::Runtime,
};

/// The keys of this process, which must include every key that an open request derives from. Records in the
/// store that new requests derive from the first one.
pub async fn keyring(
    settings: &KeySettings,
    store: &dyn Store,
    runtime: &Runtime,
) -> Result<Keyring, StartError> {
    let (keyring, generated) = read_or_generate(settings, store, runtime).await?;
    let recorded = record_deriving_key(settings, store, runtime, &keyring).await;
    if let (Err(StartError::OtherKey { .. }), Some(path)) = (&recorded, generated) {
        // Another process recorded its key first. Nothing derives from ours, and at the next start its file
        // would be taken for the configured key.
        std::fs::remove_file(&path).map_err(|source| StartError::File {
            doing: "remove a master key that was made too late",
            path,
            source,
        })?;
    }
    recorded?;
    for key in store.keys_in_use().await? {
        if !keyring.holds(&key) {
            return Err(StartError::MissingKey { missing: key.as_str().to_owned() });
        }
    }
    Ok(keyring)
}

/// The configured keys; or, for an empty store, a new one, with the file that it was written to.
async fn read_or_generate(
    settings: &KeySettings,
    store: &dyn Store,
    runtime: &Runtime,
) -> Result<(Keyring, Option<PathBuf>), StartError> {
    let mut generated = None;
    let keys = match settings {
        KeySettings::Given(keys) => keys.clone(),
        KeySettings::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => {
                warn_if_world_readable(path);
                parse(path, &text)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = path.clone();
                if let Some(recorded) = store.deriving_key().await? {
                    let recorded = recorded.as_str().to_owned();
                    return Err(StartError::NoRecordedKey { path, recorded });
                }
                if !store.is_empty().await? {
                    return Err(StartError::NoKey { path });
                }
                let key = generate(&path, runtime)?;
                generated = Some(path);
                vec![key]
            }
            Err(source) => {
                let path = path.clone();
                return Err(StartError::File { doing: "read the keys", path, source });
            }
        },
    };
    let mut keys = keys.into_iter();
    let first = keys.next().ok_or_else(|| StartError::Empty { place: settings.place() })?;
    Ok((Keyring::new(first, keys), generated))
}

/// Records that new requests derive from our first key. Fails if we do not hold the key that is recorded:
/// then this database belongs to another service, or two processes without a key were started at the same
/// time.
async fn record_deriving_key(
    settings: &KeySettings,
    store: &dyn Store,
    runtime: &Runtime,
    keyring: &Keyring,
) -> Result<(), StartError> {
    let ours = keyring.current();
    loop {
        let recorded = store.deriving_key().await?;
        match &recorded {
            Some(recorded) if recorded == ours => return Ok(()),
            Some(recorded) if !keyring.holds(recorded) => {
                return Err(StartError::OtherKey {
                    place: settings.place(),
                    recorded: recorded.as_str().to_owned(),
                    ours: keyring.ids().map(KeyId::as_str).collect::<Vec<_>>().join(", "),
                });
            }
            Some(_) | None => {}
        }
        // False if another process has recorded its key meanwhile: check whether we hold that one.
        if store.derive_from(ours, recorded.as_ref(), runtime.clock.now()).await? {
            return Ok(());
        }
    }
}

/// Warns if every user can read the key file. It is not an error: a Kubernetes Secret is mounted with 0644,
/// and its container may have no other user. Access by the group is not checked, since secrets are often
/// given to a service's user that way.
fn warn_if_world_readable(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{mode:04o}"),
            "every user of this machine can read or write the master keys and, with a copy of the database, \
             claim all withdraw requests; use chmod 600"
        );
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<MasterKey>, StartError> {
    read_keys(text.lines()).map_err(|(line, source)| StartError::Key {
        place: path.display().to_string(),
        line,
        source,
    })
}

/// Generates a key file that only this user can read. The file is durable before anything derives from the
/// key; a crash leaves either the complete file or none of this name.
fn generate(path: &Path, runtime: &Runtime) -> Result<MasterKey, StartError> {
    let mut bytes = [0; 32];
    runtime.entropy.fill(&mut bytes);
    let key = MasterKey::from_bytes(bytes);
    // A random name, since two processes may do this in one directory at the same time.
    let mut nonce = [0; 8];
    runtime.entropy.fill(&mut nonce);
    let temporary = path.with_extension(format!("new-{}", hex::encode(nonce)));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{}", key.expose_hex())?;
        file.sync_all()?;
        // Unlike a rename, a hard link never replaces a key that another process has made meanwhile.
        let linked = std::fs::hard_link(&temporary, path);
        std::fs::remove_file(&temporary)?;
        linked?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| StartError::File {
        doing: "write a new master key",
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
}
