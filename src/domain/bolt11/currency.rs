//! The networks in invoices' prefixes. Simnet is one of its own, so that it is not taken for regtest.

use std::fmt;

/// The network, by the prefix that follows `ln`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    /// `bc`
    Bitcoin,
    /// `tb`
    Testnet,
    /// `tbs`
    Signet,
    /// `bcrt`
    Regtest,
    /// `sb`: btcd's private test network. Parsed only to be refused, since no node here pays on it.
    Simnet,
}

impl Currency {
    const ALL: [Self; 5] =
        [Self::Bitcoin, Self::Testnet, Self::Signet, Self::Regtest, Self::Simnet];

    /// As invoices write it.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Bitcoin => "bc",
            Self::Testnet => "tb",
            Self::Signet => "tbs",
            Self::Regtest => "bcrt",
            Self::Simnet => "sb",
        }
    }

    pub(super) fn read(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|currency| currency.prefix() == prefix)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix())
    }
}
