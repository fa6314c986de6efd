//! What internal services may do with withdraw requests.

mod create;
mod deactivate;
mod error;
mod list;
mod shown;

use std::sync::Arc;

use crate::{
    domain::{CommonField, Keyring, PublicUrl, Sat, Violation, WithdrawId},
    ports::Store,
    runtime::Runtime,
};

pub use error::WithdrawError;
pub use list::{Page, PageRequest};
pub use shown::Shown;

/// The use cases.
#[derive(Clone)]
pub struct WithdrawService {
    store: Arc<dyn Store>,
    keyring: Keyring,
    public_url: PublicUrl,
    max_amount: Sat,
    runtime: Runtime,
}

impl WithdrawService {
    /// Use cases over this store. LNURLs are made from this public URL, and a request may be of
    /// `max_amount` at most.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Keyring,
        public_url: PublicUrl,
        max_amount: Option<Sat>,
        runtime: Runtime,
    ) -> Self {
        Self { store, keyring, public_url, max_amount: max_amount.unwrap_or(Sat::MAX), runtime }
    }
}

/// Parses an id; the error says what an id looks like.
fn read_id(text: &str) -> Result<WithdrawId, WithdrawError> {
    WithdrawId::parse(text)
        .map_err(|fault| WithdrawError::Invalid(vec![Violation::new(CommonField::Id, fault)]))
}
