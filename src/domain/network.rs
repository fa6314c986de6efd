//! The Bitcoin networks, and the identity of a node.

use std::{fmt, str::FromStr};

use super::bolt11::Currency;

/// A Bitcoin network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Network {
    /// Real money.
    Bitcoin,
    /// The test network.
    Testnet,
    /// The signed test network.
    Signet,
    /// A private local network.
    Regtest,
}

/// Why a text is not a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be bitcoin (or mainnet), testnet, signet or regtest")]
pub struct InvalidNetwork;

impl Network {
    /// The name in configuration, database and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The currency in this network's invoices. Compared by currency, because the address format alone
    /// does not distinguish simnet from regtest.
    pub const fn currency(self) -> Currency {
        match self {
            Self::Bitcoin => Currency::Bitcoin,
            Self::Testnet => Currency::Testnet,
            Self::Signet => Currency::Signet,
            Self::Regtest => Currency::Regtest,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            // lnd says mainnet, bitcoind says main.
            "bitcoin" | "mainnet" => Ok(Self::Bitcoin),
            "testnet" => Ok(Self::Testnet),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(InvalidNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A node's identity: its public key, 33 bytes as lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(String);

/// Why a text is not a [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's identity is 66 hexadecimal digits")]
pub struct InvalidNodeId;

impl NodeId {
    /// Parses 66 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidNodeId> {
        let fits = text.len() == 66 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidNodeId) }
    }

    /// The value for a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        Self::parse(text)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
