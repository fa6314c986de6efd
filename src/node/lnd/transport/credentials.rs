//! What lnd is met with, its certificate and a macaroon, and the files that both come from.
//!
//! lnd makes a new certificate when the old one expires, and an operator bakes a new macaroon, at the
//! paths of the old ones. So the files are read again before every connection, and whenever lnd does not
//! permit a call. What cannot be read or used then leaves in place what was there.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::ClientConfig;

use super::{macaroon::Macaroon, tls};

/// Neither file is ever so long.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where the credentials are read again.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// `lnd.macaroon`.
    pub macaroon: PathBuf,
    /// `lnd.tls_cert`; none where the public roots are trusted.
    pub tls_cert: Option<PathBuf>,
}

/// What one connection is made with.
pub(crate) struct Credentials {
    pub(crate) macaroon: Macaroon,
    pub(crate) tls: Arc<ClientConfig>,
    pinned_pem: Option<Vec<u8>>,
}

impl Credentials {
    /// Fails with what is wrong with the certificate.
    pub(crate) fn new(macaroon: Macaroon, pinned_pem: Option<Vec<u8>>) -> Result<Self, String> {
        let tls = Arc::new(tls::client_config(pinned_pem.as_deref())?);
        Ok(Self { macaroon, tls, pinned_pem })
    }
}

/// The newest credentials.
pub(crate) struct Keeper {
    files: Option<CredentialFiles>,
    latest: Mutex<Arc<Credentials>>,
    has_told: AtomicBool,
}

impl Keeper {
    /// Without files the credentials stay as they are.
    pub(crate) fn new(credentials: Credentials, files: Option<CredentialFiles>) -> Self {
        let latest = Mutex::new(Arc::new(credentials));
        Self { files, latest, has_told: AtomicBool::new(false) }
    }

    /// The newest credentials, as far as the files were read.
    pub(crate) fn latest(&self) -> Arc<Credentials> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Whether they hold something new.
    pub(crate) async fn refresh(&self) -> bool {
        let Some(files) = &self.files else { return false };
        match read(files).await {
            Ok((macaroon, pinned_pem)) => {
                self.has_told.store(false, Ordering::Relaxed);
                self.replace(macaroon, pinned_pem)
            }
            Err(fault) => {
                self.tell(&fault);
                false
            }
        }
    }

    fn replace(&self, macaroon: Macaroon, pinned_pem: Option<Vec<u8>>) -> bool {
        let old = self.latest();
        if old.macaroon == macaroon && old.pinned_pem == pinned_pem {
            return false;
        }
        match Credentials::new(macaroon, pinned_pem) {
            Ok(credentials) => {
                let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
                *latest = Arc::new(credentials);
                tracing::info!("lnd's certificate or macaroon has changed, and was read again");
                true
            }
            Err(fault) => {
                self.tell(&format!("lnd.tls_cert: {fault}"));
                false
            }
        }
    }

    /// Once, not for every connection that is tried.
    fn tell(&self, fault: &str) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(fault, "lnd's credentials cannot be read again; the old ones are used");
        }
    }
}

/// Fails with the option and what is wrong with its file, of which nothing is repeated.
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
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let found = tokio::fs::metadata(path).await.map_err(told)?;
    if !found.is_file() || found.len() > MAX_FILE_BYTES {
        return Err(format!("{}: is no file of 64 KiB at most", path.display()));
    }
    tokio::fs::read(path).await.map_err(told)
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

    fn keeper(files: Option<CredentialFiles>, pem: Vec<u8>) -> Keeper {
        let macaroon = Macaroon::parse(MACAROON.as_bytes()).unwrap();
        Keeper::new(Credentials::new(macaroon, Some(pem)).unwrap(), files)
    }

    #[tokio::test]
    async fn what_has_changed_in_the_files_is_used_and_what_is_broken_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = CredentialFiles {
            macaroon: dir.path().join("macaroon"),
            tls_cert: Some(dir.path().join("tls.cert")),
        };
        let (old, new) = (pem(), pem());
        let keeper = keeper(Some(files.clone()), old.clone());
        let is_pinned = |pem: &Vec<u8>| keeper.latest().pinned_pem.as_ref() == Some(pem);

        assert!(!keeper.refresh().await, "no file is there");
        std::fs::write(&files.macaroon, MACAROON).unwrap();
        std::fs::write(files.tls_cert.as_ref().unwrap(), &old).unwrap();
        assert!(!keeper.refresh().await, "the files hold what there was");

        std::fs::write(files.tls_cert.as_ref().unwrap(), &new).unwrap();
        assert!(keeper.refresh().await);
        assert!(is_pinned(&new));

        // Half a file, as a copy leaves it for a moment.
        for half in [b"".as_slice(), &new[..100], &vec![0; 70_000]] {
            std::fs::write(files.tls_cert.as_ref().unwrap(), half).unwrap();
            assert!(!keeper.refresh().await);
            assert!(is_pinned(&new));
        }
        std::fs::write(files.tls_cert.as_ref().unwrap(), &new).unwrap();
        for broken in ["", "oops", &MACAROON[..20]] {
            std::fs::write(&files.macaroon, broken).unwrap();
            assert!(!keeper.refresh().await);
        }
        let other = MACAROON.replace("6964", "6965");
        std::fs::write(&files.macaroon, &other).unwrap();
        assert!(keeper.refresh().await);
        assert_eq!(keeper.latest().macaroon.expose_hex(), other);
    }

    #[tokio::test]
    async fn without_files_nothing_changes() {
        let pem = pem();
        let keeper = keeper(None, pem.clone());
        assert!(!keeper.refresh().await);
        assert_eq!(keeper.latest().pinned_pem, Some(pem));
    }
}
