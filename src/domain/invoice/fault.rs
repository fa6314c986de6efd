//! Why invoices are refused, in sentences for the person with the wallet.

use std::fmt;

use crate::domain::{Millis, Msat, Network, Sat};

/// The time from creating an invoice to its claim, for a slow wallet on a slow network with a clock
/// that is slightly off. A refusal recommends an expiry that is longer than required by this much.
const TIME_TO_CLAIM: Millis = Millis::from_secs(20);

/// Why an invoice is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceFault {
    /// No invoice was sent.
    #[error("the invoice is missing")]
    Missing,
    /// The text is too long for an invoice.
    #[error("the invoice is too long")]
    TooLong,
    /// It does not parse, or its signature is wrong.
    #[error("this is not a valid Lightning invoice")]
    Invalid,
    /// Made for another Bitcoin network.
    #[error("the invoice is for another network, not for {0}")]
    OtherNetwork(Network),
    /// It has no amount: the payer would choose it.
    #[error("the invoice has no amount, please make one with an amount")]
    NoAmount,
    /// The amount is outside the request's range.
    #[error("the invoice's amount of {amount} sats is outside {}", Bounds(*.min, *.max))]
    AmountOutside {
        /// The invoice's amount.
        amount: Msat,
        /// The least that is offered.
        min: Sat,
        /// The most that is offered.
        max: Sat,
    },
    /// AMP: the invoice's payment hash is not the one that is paid.
    #[error("AMP invoices cannot be paid here, please make an ordinary one")]
    Amp,
    /// It requires a feature that lnd does not know or that does not concern payments.
    #[error(
        "the invoice needs a feature that cannot be paid here (number {0}), please use another wallet"
    )]
    Unpayable(u32),
    /// It has neither a payment secret nor a blinded path, or lacks the features that go with them.
    #[error("the invoice lacks what payments need today, please use a newer wallet")]
    Outdated,
    /// It expires later than lnd can represent.
    #[error("the invoice lasts for more than 292 years, please make one that expires sooner")]
    LastsTooLong,
    /// Created in the future.
    #[error("the invoice's time is in the future, please check the clock of your wallet")]
    FromTheFuture,
    /// It has expired.
    #[error("the invoice has expired, please make a new one")]
    Expired,
    /// It expires too soon to be paid.
    #[error("{}", Soon(*.left, *.lasts, *.needs))]
    ExpiresSoon {
        /// The time until it expires.
        left: Millis,
        /// The time from its creation until it expires.
        lasts: Millis,
        /// The minimum time left.
        needs: Millis,
    },
    /// The payee wants the money locked for longer than this service allows.
    #[error("the invoice asks to lock the payment for too many blocks")]
    CltvTooLarge,
    /// It has more route hints than allowed.
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

/// The time left, the whole validity, and the minimum time left. Recommends a longer expiry only if the
/// invoice's whole validity is too short.
struct Soon(Millis, Millis, Millis);

impl fmt::Display for Soon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(left, lasts, needs) = self;
        let (left, advised) = (left.as_secs_rounded_up(), needs.plus(TIME_TO_CLAIM));
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
