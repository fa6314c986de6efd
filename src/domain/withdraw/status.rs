//! The status of a request, and why it cannot be claimed or deactivated.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{PaymentId, Timestamp};

/// The status of a request. Expiry is not a status, since it follows from the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Neither paid nor deactivated.
    Active,
    /// The payee has the money.
    Paid,
    /// Deactivated by its creator.
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
    /// The attempt's id.
    pub id: PaymentId,
    /// Whether it still holds the request.
    pub hold: Hold,
}

/// How an attempt holds its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Hold {
    /// The attempt has ended.
    Released,
    /// The attempt is RESERVED, SENDING or IN_FLIGHT.
    Open,
    /// The attempt is NEEDS_OPERATOR.
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
    /// It has expired.
    AlreadyExpired,
    /// An accepted invoice is being paid.
    PaymentInFlight,
    /// It is paid.
    AlreadyPaid,
    /// It is deactivated.
    AlreadyDeactivated,
    /// The last attempt's invoice might still be paid until this instant.
    ReopensLater(Timestamp),
    /// An attempt is in doubt, or an operator must decide about the request.
    NeedsOperator,
}

/// Why a request cannot be deactivated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotDeactivatable {
    /// It is paid.
    AlreadyPaid,
    /// An accepted invoice is being paid.
    PaymentInFlight,
    /// An attempt is in doubt, or an operator must decide about the request.
    NeedsOperator,
}
