//! Why invoices are refused, in words for the person with the wallet.

use std::fmt;

use crate::domain::{Millis, Msat, Network, Sat};

/// From the making of an invoice to its claim: what a slow wallet on a slow network may take, with a
/// clock that is somewhat off. A person is told to make one that lasts so much longer than it must.
const ON_ITS_WAY: Millis = Millis::from_secs(20);

/// Why an invoice is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceFault {
    /// Nothing was sent.
    #[error("the invoice is missing")]
    Missing,
    /// Too long to be one.
    #[error("the invoice is too long")]
    TooLong,
    /// It does not parse, or its signature is wrong.
    #[error("this is not a valid Lightning invoice")]
    Invalid,
    /// Made for another Bitcoin network.
    #[error("the invoice is for another network, not for {0}")]
    OtherNetwork(Network),
    /// The payer would choose the amount.
    #[error("the invoice has no amount, please make one with an amount")]
    NoAmount,
    /// Outside of what the request offers.
    #[error("the invoice's amount of {amount} sats is outside {}", Bounds(*.min, *.max))]
    AmountOutside {
        /// What it asks for.
        amount: Msat,
        /// The least that is offered.
        min: Sat,
        /// The most that is offered.
        max: Sat,
    },
    /// The payment hash is not what would be paid.
    #[error("AMP invoices cannot be paid here, please make an ordinary one")]
    Amp,
    /// It needs what lnd does not know, or what is no matter of payments.
    #[error(
        "the invoice needs a feature that cannot be paid here (number {0}), please use another wallet"
    )]
    Unpayable(u32),
    /// It names no payment secret and no blinded path, or not the features that go with them.
    #[error("the invoice lacks what payments need today, please use a newer wallet")]
    Outdated,
    /// lnd could not count how long.
    #[error("the invoice lasts for more than 292 years, please make one that expires sooner")]
    LastsTooLong,
    /// Made in the future.
    #[error("the invoice's time is in the future, please check the clock of your wallet")]
    FromTheFuture,
    /// It has expired.
    #[error("the invoice has expired, please make a new one")]
    Expired,
    /// There is not enough time to pay it.
    #[error("{}", Soon(*.left, *.lasts, *.needs))]
    ExpiresSoon {
        /// Until it expires.
        left: Millis,
        /// From its making until it expires.
        lasts: Millis,
        /// What must be left.
        needs: Millis,
    },
    /// The payee wants the money locked for longer than this service allows.
    #[error("the invoice asks to lock the payment for too many blocks")]
    CltvTooLarge,
    /// Too many routes of hints.
    #[error("the invoice carries too many route hints")]
    TooManyHints,
    /// The payee is the paying node.
    #[error("the invoice was made by the node that would pay it")]
    OwnNode,
}

/// `10 sats` or `10–20 sats`.
struct Bounds(Sat, Sat);

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(min, max) = self;
        if min == max {
            write!(f, "the {max} sats offered")
        } else {
            write!(f, "{min}–{max} sats")
        }
    }
}

/// What is left, of how much, and what must be left. Nobody is told to make an invoice that lasts as
/// long as the one at hand.
struct Soon(Millis, Millis, Millis);

impl fmt::Display for Soon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(left, lasts, needs) = self;
        let (left, advised) = (left.as_secs_rounded_up(), needs.plus(ON_ITS_WAY));
        if *lasts < advised {
            let advised = advised.as_secs_rounded_up();
            write!(
                f,
                "the invoice expires too soon, please make one that lasts at least {advised} seconds"
            )
        } else {
            let needs = needs.as_secs_rounded_up();
            write!(
                f,
                "the invoice expires in {left} seconds, and {needs} must be left: please make a new \
                 one now, and check the clock of your wallet if this happens again"
            )
        }
    }
}
