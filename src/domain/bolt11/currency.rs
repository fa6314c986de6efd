//! The networks that invoices are made for, simnet apart from regtest.

use std::fmt;

/// What stands behind `ln`.
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
    /// `sb`, btcd's network of one's own, which is no network here: no node pays on it.
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
