//! Where a request stands, and why it cannot be claimed or ended.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{PaymentId, Timestamp};

/// The seed's three statuses. Expiry is none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Until it is paid or deactivated.
    Active,
    /// The payee has the money.
    Paid,
    /// Ended by its creator.
    Deactivated,
}

impl Status {
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The open or the last attempt of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Which.
    pub id: PaymentId,
    /// Whether it still holds the request.
    pub hold: Hold,
}

/// How an attempt holds its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Hold {
    /// It ended.
    Released,
    /// RESERVED, SENDING or IN_FLIGHT.
    Open,
    /// NEEDS_OPERATOR.
    InDoubt,
}

impl Hold {
    /// The name that SQL uses.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why a request cannot be claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unclaimable {
    /// Its time ran out.
    AlreadyExpired,
    /// An accepted invoice is being paid.
    PaymentInFlight,
    /// It is paid.
    AlreadyPaid,
    /// It is deactivated.
    AlreadyDeactivated,
    /// The last attempt's invoice might still be paid until then.
    ReopensLater(Timestamp),
    /// An attempt is in doubt.
    NeedsOperator,
}

/// Why a request cannot be deactivated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotDeactivatable {
    /// It is paid.
    AlreadyPaid,
    /// An accepted invoice is being paid.
    PaymentInFlight,
    /// An attempt is in doubt.
    NeedsOperator,
}
