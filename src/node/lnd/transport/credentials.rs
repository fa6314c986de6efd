//! The macaroon and lnd's certificate, and the files that they are read from.
//!
//! lnd renews its certificate, and an operator may bake a new macaroon, at the same paths. So the files are
//! read again before every connection, and when lnd does not permit a call. If they cannot be used,
//! the previous credentials stay in use.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::ClientConfig;

use super::{macaroon::Macaroon, tls};

const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The files to read the credentials from again.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// `lnd.macaroon`.
    pub macaroon: PathBuf,
    /// `lnd.tls_cert`; None if the public roots are trusted.
    pub tls_cert: Option<PathBuf>,
}

/// The credentials of one connection.
pub(crate) struct Credentials {
    pub(crate) macaroon: Macaroon,
    pub(crate) tls: Arc<ClientConfig>,
    pinned_pem: Option<Vec<u8>>,
}

impl Credentials {
    /// The error says what is wrong with the certificate.
    pub(crate) fn new(macaroon: Macaroon, pinned_pem: Option<Vec<u8>>) -> Result<Self, String> {
        let tls = Arc::new(tls::client_config(pinned_pem.as_deref())?);
        Ok(Self { macaroon, tls, pinned_pem })
    }
}

/// Holds the current credentials, and reloads them.
pub(crate) struct CredentialStore {
    files: Option<CredentialFiles>,
    current: Mutex<Arc<Credentials>>,
    warned: AtomicBool,
}

impl CredentialStore {
    /// Without `files` the credentials never change.
    pub(crate) fn new(credentials: Credentials, files: Option<CredentialFiles>) -> Self {
        let current = Mutex::new(Arc::new(credentials));
        Self { files, current, warned: AtomicBool::new(false) }
    }

    /// The credentials that were read last.
    pub(crate) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Returns whether the credentials have changed.
    pub(crate) async fn reload(&self) -> bool {
        let Some(files) = &self.files else { return false };
        match read(files).await {
            Ok((macaroon, pinned_pem)) => {
                self.warned.store(false, Ordering::Relaxed);
                self.replace(macaroon, pinned_pem)
            }
            Err(fault) => {
                self.warn_once(&fault);
                false
            }
        }
    }

    fn replace(&self, macaroon: Macaroon, pinned_pem: Option<Vec<u8>>) -> bool {
        let old = self.current();
        if old.macaroon == macaroon && old.pinned_pem == pinned_pem {
            return false;
        }
        match Credentials::new(macaroon, pinned_pem) {
            Ok(credentials) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(credentials);
                tracing::info!("lnd's certificate or macaroon has changed; it was loaded again");
                true
            }
            Err(fault) => {
                self.warn_once(&format!("lnd.tls_cert: {fault}"));
                false
            }
        }
    }

    /// Warns once, not for every connection attempt.
    fn warn_once(&self, fault: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                fault,
                "lnd's credentials cannot be loaded again; the previous ones stay in use"
            );
        }
    }
}

/// The error names the option and what is wrong with its file. It repeats none of the file's content.
async fn read(files: &CredentialFiles) -> Result<(Macaroon, Option<Vec<u8>>), String> {
    let file =
        read_file(&files.macaroon).await.map_err(|fault| format!("lnd.macaroon: {fault}"))?;
    let macaroon = Macaroon::parse(&file).map_err(|fault| format!("lnd.macaroon: {fault}"))?;
    let pinned_pem = match &files.tls_cert {
        None => None,
        Some(path) => {
            Some(read_file(path).await.map_err(|fault| format!("lnd.tls_cert: {fault}"))?)
        }
    };
    Ok((macaroon, pinned_pem))
}

async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let metadata = tokio::fs::metadata(path).await.map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(format!("{}: is not a file of at most 64 KiB", path.display()));
    }
    tokio::fs::read(path).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACAROON: &str =
        "0202026964000006200000000000000000000000000000000000000000000000000000000000000000";

    fn pem() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem().into_bytes()
    }

    fn store(files: Option<CredentialFiles>, pem: Vec<u8>) -> CredentialStore {
        let macaroon = Macaroon::parse(MACAROON.as_bytes()).unwrap();
        CredentialStore::new(Credentials::new(macaroon, Some(pem)).unwrap(), files)
    }

    #[tokio::test]
    async fn changed_files_are_used_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = CredentialFiles {
            macaroon: dir.path().join("macaroon"),
            tls_cert: Some(dir.path().join("tls.cert")),
        };
        let (old, new) = (pem(), pem());
        let store = store(Some(files.clone()), old.clone());
        let is_pinned = |pem: &Vec<u8>| store.current().pinned_pem.as_ref() == Some(pem);

        assert!(!store.reload().await, "no files exist");
        std::fs::write(&files.macaroon, MACAROON).unwrap();
        std::fs::write(files.tls_cert.as_ref().unwrap(), &old).unwrap();
        assert!(!store.reload().await, "the files hold the same credentials");

        std::fs::write(files.tls_cert.as_ref().unwrap(), &new).unwrap();
        assert!(store.reload().await);
        assert!(is_pinned(&new));

        // A file that is being copied is incomplete for a moment.
        for incomplete in [b"".as_slice(), &new[..100], &vec![0; 70_000]] {
            std::fs::write(files.tls_cert.as_ref().unwrap(), incomplete).unwrap();
            assert!(!store.reload().await);
            assert!(is_pinned(&new));
        }
        std::fs::write(files.tls_cert.as_ref().unwrap(), &new).unwrap();
        for broken in ["", "oops", &MACAROON[..20]] {
            std::fs::write(&files.macaroon, broken).unwrap();
            assert!(!store.reload().await);
        }
        let other = MACAROON.replace("6964", "6965");
        std::fs::write(&files.macaroon, &other).unwrap();
        assert!(store.reload().await);
        assert_eq!(store.current().macaroon.expose_hex(), other);
    }

    #[tokio::test]
    async fn without_files_nothing_changes() {
        let pem = pem();
        let store = store(None, pem.clone());
        assert!(!store.reload().await);
        assert_eq!(store.current().pinned_pem, Some(pem));
    }
}
