//! Currencies that amounts are given in and paid out in.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// A currency for amounts.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, Default, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Currency {
    /// Satoshis. Payouts are always in satoshis, whatever the currency of the amounts.
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

    /// All names, for error messages.
    pub fn names() -> String {
        let names: Vec<&str> = Self::VARIANTS.iter().map(|currency| currency.name()).collect();
        names.join(", ")
    }
}
