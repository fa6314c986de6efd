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

/// The keys of this process, which must include all that open requests need. Records in the store that new
/// requests derive from the first of them.
pub async fn keyring(
    settings: &KeySettings,
    store: &dyn Store,
    runtime: &Runtime,
) -> Result<Keyring, StartError> {
    let (keyring, made) = read_or_make(settings, store, runtime).await?;
    let agreed = agree(settings, store, runtime, &keyring).await;
    if let (Err(StartError::OtherKey { .. }), Some(path)) = (&agreed, made) {
        // It has derived nothing, and would stand in the way of the right key.
        std::fs::remove_file(&path).map_err(|source| StartError::File {
            doing: "remove a master key that was made too late",
            path,
            source,
        })?;
    }
    agreed?;
    for key in store.keys_in_use().await? {
        if !keyring.holds(&key) {
            return Err(StartError::MissingKey { missing: key.as_str().to_owned() });
        }
    }
    Ok(keyring)
}

/// The configured keys; or, for an empty store, a new one, with the file that it was written to.
async fn read_or_make(
    settings: &KeySettings,
    store: &dyn Store,
    runtime: &Runtime,
) -> Result<(Keyring, Option<PathBuf>), StartError> {
    let mut made = None;
    let keys = match settings {
        KeySettings::Given(keys) => keys.clone(),
        KeySettings::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => {
                warn_of_readers(path);
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
                let key = make(&path, runtime)?;
                made = Some(path);
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
    Ok((Keyring::new(first, keys), made))
}

/// Records that new requests derive from our first key. A process that does not hold the key recorded so
/// far belongs to another service, or is one of two that were started without a key at the same time.
async fn agree(
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

/// A warning, not an error: in a container there may be no other user to read a file that its mount made
/// readable (a Kubernetes Secret has 0644), and a service that does not start pays nobody. Access by the
/// group is not checked, since that is how secrets are given to a service's user.
fn warn_of_readers(path: &Path) {
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

/// Generates a key that only this user can read. It is whole and durable before anything derives from it: a
/// crash leaves either no file of this name or the whole key.
fn make(path: &Path, runtime: &Runtime) -> Result<MasterKey, StartError> {
    let mut bytes = [0; 32];
    runtime.entropy.fill(&mut bytes);
    let key = MasterKey::from_bytes(bytes);
    // A name of its own: two processes may do this in one directory at the same time.
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
