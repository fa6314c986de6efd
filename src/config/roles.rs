//! What a process does. One process may do all of it, or several share one database.

use std::str::FromStr;

/// The roles of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Serves internal services and operators over gRPC. Needs the master key, and no node.
    pub grpc: bool,
    /// Serves wallets: the public LNURL endpoints. Needs neither node nor master key.
    pub lnurl: bool,
    /// Pays: asks the node, verifies the database, writes heartbeats and expiries. Needs the node.
    pub payer: bool,
}

/// An invalid list of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be all, or some of grpc, lnurl and payer, separated by commas")]
pub struct InvalidRoles;

impl Roles {
    /// One process does everything.
    pub const ALL: Self = Self { grpc: true, lnurl: true, payer: true };

    /// Whether other processes have the remaining roles.
    pub fn is_partial(self) -> bool {
        self != Self::ALL
    }
}

impl FromStr for Roles {
    type Err = InvalidRoles;

    fn from_str(text: &str) -> Result<Self, InvalidRoles> {
        if text.trim() == "all" {
            return Ok(Self::ALL);
        }
        let mut roles = Self { grpc: false, lnurl: false, payer: false };
        for name in text.split(',') {
            let role = match name.trim() {
                "grpc" => &mut roles.grpc,
                "lnurl" => &mut roles.lnurl,
                "payer" => &mut roles.payer,
                _ => return Err(InvalidRoles),
            };
            *role = true;
        }
        Ok(roles)
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let roles = [("grpc", self.grpc), ("lnurl", self.lnurl), ("payer", self.payer)];
        let names: Vec<&str> = roles.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_shown_alike() {
        for text in ["all", "grpc", "lnurl,payer", "grpc,payer"] {
            assert_eq!(text.parse::<Roles>().unwrap().to_string(), text);
        }
        assert_eq!(" payer , grpc ".parse::<Roles>().unwrap().to_string(), "grpc,payer");
        assert_eq!("grpc,lnurl,payer".parse(), Ok(Roles::ALL));
        for text in ["", "none", "grpc,", "grpc;payer", "all,grpc", "GRPC"] {
            assert_eq!(text.parse::<Roles>(), Err(InvalidRoles), "{text}");
        }
    }
}
