//! The connection in use, and how the next one is made: once for all who wait for it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{connection::Link, credentials::Keeper, target::Target};
use crate::ports::{Connection, NodeError};

type Opening = Shared<BoxFuture<'static, Result<Arc<Link>, Arc<NodeError>>>>;

/// Makes connections, one at a time.
pub(crate) struct Connector {
    target: Arc<Target>,
    keeper: Arc<Keeper>,
    opened: AtomicU64,
    /// The connection in use, or how it is being made; afterwards what came of that.
    latest: Mutex<Option<Opening>>,
}

impl Connector {
    pub(crate) fn new(target: Target, keeper: Keeper) -> Self {
        Self {
            target: Arc::new(target),
            keeper: Arc::new(keeper),
            opened: AtomicU64::new(0),
            latest: Mutex::new(None),
        }
    }

    /// Reads the credentials again. Whether there are new ones, for the next connection.
    pub(crate) async fn refresh(&self) -> bool {
        self.keeper.refresh().await
    }

    /// The connection in use. If there is none, one attempt is made, and all who wait share it: a
    /// node that is down is not asked once for every caller.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, NodeError> {
        let opening = self.opening();
        opening.await.map_err(|error| again(&error))
    }

    fn opening(&self) -> Opening {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.as_ref() {
            Some(opening) if is_worth_waiting_for(opening) => opening.clone(),
            Some(_) | None => {
                let opening = self.open();
                *latest = Some(opening.clone());
                opening
            }
        }
    }

    /// Goes on for as long as anybody waits for it; whoever comes next takes up what was left.
    fn open(&self) -> Opening {
        let number = Connection(self.opened.fetch_add(1, Ordering::Relaxed) + 1);
        let (target, keeper) = (Arc::clone(&self.target), Arc::clone(&self.keeper));
        let opening = async move {
            keeper.refresh().await;
            Link::open(target, keeper.latest(), number).await
        };
        opening.map(|opened| opened.map(Arc::new).map_err(Arc::new)).boxed().shared()
    }
}

fn is_worth_waiting_for(opening: &Opening) -> bool {
    match opening.peek() {
        None => true,
        Some(Ok(link)) => link.is_usable(),
        Some(Err(_)) => false,
    }
}

/// The same error for one more caller.
fn again(error: &NodeError) -> NodeError {
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
