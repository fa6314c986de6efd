//! Opens connections to lnd, one attempt at a time, shared by all callers that wait for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{connection::LndConnection, credentials::CredentialStore, target::Target};
use crate::ports::{Connection, NodeError};

type Opening = Shared<BoxFuture<'static, Result<Arc<LndConnection>, Arc<NodeError>>>>;

/// Opens connections, and keeps the latest one.
pub(crate) struct Connector {
    target: Arc<Target>,
    credentials: Arc<CredentialStore>,
    /// How many attempts were made.
    attempts: AtomicU64,
    /// The latest attempt: in progress, open or failed.
    latest: Mutex<Option<Opening>>,
}

impl Connector {
    pub(crate) fn new(target: Target, credentials: CredentialStore) -> Self {
        Self {
            target: Arc::new(target),
            credentials: Arc::new(credentials),
            attempts: AtomicU64::new(0),
            latest: Mutex::new(None),
        }
    }

    /// Reads the credentials again. Returns whether the next connection will use new ones.
    pub(crate) async fn reload_credentials(&self) -> bool {
        self.credentials.reload().await
    }

    /// The current connection, or the outcome of one attempt, which all waiting callers share: a node that
    /// is down gets one attempt, not one per caller.
    pub(crate) async fn connection(&self) -> Result<Arc<LndConnection>, NodeError> {
        let opening = self.opening();
        opening.await.map_err(|error| copy_of(&error))
    }

    fn opening(&self) -> Opening {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.as_ref() {
            Some(opening) if is_current(opening) => opening.clone(),
            Some(_) | None => {
                let opening = self.open();
                *latest = Some(opening.clone());
                opening
            }
        }
    }

    /// Makes progress only while a caller waits for it. The next caller continues what was left.
    fn open(&self) -> Opening {
        let number = Connection(self.attempts.fetch_add(1, Ordering::Relaxed) + 1);
        let (target, credentials) = (Arc::clone(&self.target), Arc::clone(&self.credentials));
        let opening = async move {
            credentials.reload().await;
            LndConnection::open(target, credentials.current(), number).await
        };
        opening.map(|opened| opened.map(Arc::new).map_err(Arc::new)).boxed().shared()
    }
}

fn is_current(opening: &Opening) -> bool {
    match opening.peek() {
        None => true,
        Some(Ok(connection)) => connection.is_usable(),
        Some(Err(_)) => false,
    }
}

/// [`NodeError`] is not `Clone`; every waiting caller gets the same one.
fn copy_of(error: &NodeError) -> NodeError {
    match error {
        NodeError::Unreachable(why) => NodeError::Unreachable(why.clone()),
        NodeError::Timeout => NodeError::Timeout,
        NodeError::WrongNetwork { found, expected } => {
            NodeError::WrongNetwork { found: found.clone(), expected: *expected }
        }
        NodeError::OtherNode { found, expected } => {
            NodeError::OtherNode { found: found.clone(), expected: expected.clone() }
        }
        NodeError::OtherConnection => NodeError::OtherConnection,
        NodeError::Refused(why) => NodeError::Refused(why.clone()),
        NodeError::NotPermitted(call) => NodeError::NotPermitted(call),
        NodeError::Barred(trouble) => NodeError::Barred(trouble.clone()),
        NodeError::Garbled(why) => NodeError::Garbled(why.clone()),
    }
}
