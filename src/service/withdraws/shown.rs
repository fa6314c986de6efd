//! A withdraw request as its creator sees it, LNURL included.

use super::WithdrawService;
use crate::domain::{Secret, Unclaimable, WithdrawView};

/// A withdraw request, and what is computed to show it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request and its open or last attempt.
    pub view: WithdrawView,
    /// The bearer secret and its forms. None if its master key is gone, which only happens to closed
    /// requests: the server does not start without the keys of open ones.
    pub links: Option<Links>,
    /// Why it cannot be claimed now.
    pub unclaimable: Option<Unclaimable>,
}

/// The forms in which a request is handed to a customer.
#[derive(Clone, Debug)]
pub struct Links {
    /// The bearer secret: `k1` in LNURL, `ott` over gRPC.
    pub secret: Secret,
    /// Bech32, upper case. Whoever has it has the secret.
    pub lnurl: Link,
    /// LUD-17.
    pub lnurlw: Link,
}

/// A text that contains a bearer secret; `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(pub String);

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

impl WithdrawService {
    /// Adds the links, made from the current public URL, and whether the request can be claimed now.
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
