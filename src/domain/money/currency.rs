//! Currencies: what amounts are written in, and what is paid out.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// A currency that amounts can be in.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, Default, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Currency {
    /// Satoshis: what is paid out, whatever amounts are written in.
    #[default]
    #[strum(serialize = "SATS")]
    Sats,
}

impl Currency {
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// How many decimals an amount may have.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Sats => 0,
        }
    }

    /// All names, for an error.
    pub fn names() -> String {
        let names: Vec<&str> = Self::VARIANTS.iter().map(|currency| currency.name()).collect();
        names.join(", ")
    }
}
