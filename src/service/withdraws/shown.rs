//! A withdraw request as it is shown to its creator, LNURL included.

use super::WithdrawService;
use crate::domain::{Secret, Unclaimable, WithdrawView};

/// A withdraw request and what is computed for showing it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request and its open or last attempt.
    pub view: WithdrawView,
    /// The bearer secret and its forms; none if its master key is gone (closed requests only: the
    /// server does not start without the keys of open ones).
    pub links: Option<Links>,
    /// Why it cannot be claimed now.
    pub unclaimable: Option<Unclaimable>,
}

/// The forms in which a request is handed to a customer.
#[derive(Clone, Debug)]
pub struct Links {
    /// `k1`, `ott`.
    pub secret: Secret,
    /// Bech32, upper case. As secret as the secret.
    pub lnurl: Link,
    /// LUD-17.
    pub lnurlw: Link,
}

/// A text that carries a bearer secret and does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(pub String);

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

impl WithdrawService {
    /// Adds the links, formed from the present public URL, and the present claimability.
    pub(super) fn show(&self, view: WithdrawView) -> Shown {
        let secret = self.keyring.secret(&view.withdraw.key, view.withdraw.id);
        let links = secret.map(|secret| Links {
            lnurl: Link(self.public_url.lnurl(&secret)),
            lnurlw: Link(self.public_url.lnurlw(&secret)),
            secret,
        });
        let unclaimable = view.withdraw.unclaimable(self.runtime.clock.now());
        Shown { view, links, unclaimable }
    }
}
