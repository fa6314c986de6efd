//! The claim: a wallet presents an invoice for a withdraw request.
//!
//! Whoever holds the secret may claim, so every refusal is a sentence for the person with the wallet.

use crate::domain::{
    Bolt11Invoice, Change, FeePolicy, HaltReason, InstanceStatus, Invoice, InvoiceFault,
    InvoiceRules, Millis, Msat, PayingLimits, Payment, PaymentHash, PaymentId, Sat, SatRange,
    Sends, State, Timestamp, TraceContext, Unclaimable, WithdrawView, invoice,
};

/// The rules for every claim.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRules {
    /// The rules for the invoice.
    pub invoice: InvoiceRules,
    /// The limit on routing fees.
    pub fees: FeePolicy,
    /// No send is committed later than this after the claim.
    pub send_for: Millis,
    /// No send is committed with less time than this left until the invoice expires.
    pub min_life_at_send: Millis,
    /// The limits on what the instance pays.
    pub paying: PayingLimits,
}

/// The period of the rolling limit.
const LIMIT_SPAN: Millis = Millis::from_secs(24 * 3600);

/// A claim: every row of its transaction.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The request, now held by the attempt, and the event.
    pub change: Change,
    /// The attempt, RESERVED.
    pub payment: Payment,
    /// The rolling limit, if there is one; the database checks it.
    pub allowance: Option<Allowance>,
}

impl Claim {
    /// The same, made in this span.
    #[must_use]
    pub fn traced(mut self, trace_parent: Option<TraceContext>) -> Self {
        self.payment.trace_parent = trace_parent;
        self
    }
}

/// A limit on what is accepted in a period of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// The start of the period.
    pub since: Timestamp,
    /// The maximum, this claim included.
    pub most: Msat,
}

/// Why a claim is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No request has this secret. Also returned for malformed secrets.
    #[error("this withdrawal link is unknown")]
    Unknown,
    /// The request cannot be claimed now.
    #[error("{}", Sentence(.0, *.1))]
    Unclaimable(Unclaimable, Timestamp),
    /// The invoice breaks a rule.
    #[error("{0}")]
    Invoice(InvoiceFault),
    /// Its payment hash was used in an earlier claim.
    #[error("this invoice was already used, please make a new one")]
    InvoiceUsed,
    /// The instance accepts no claims, or cannot pay even this request's minimum. The public is not
    /// given the reason.
    #[error("cannot pay at the moment, please try again later")]
    CannotPay(HaltReason),
    /// The request allows more than can be paid now.
    #[error("at most {0} sat can be paid at the moment")]
    OnlyLess(Sat),
}

impl Refusal {
    /// Its name in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Unclaimable(why, _) => match why {
                Unclaimable::AlreadyExpired => "EXPIRED",
                Unclaimable::PaymentInFlight => "PAYMENT_IN_FLIGHT",
                Unclaimable::AlreadyPaid => "PAID",
                Unclaimable::AlreadyDeactivated => "DEACTIVATED",
                Unclaimable::ReopensLater(_) => "REOPENS_LATER",
                Unclaimable::NeedsOperator => "NEEDS_OPERATOR",
            },
            Self::Invoice(_) => "BAD_INVOICE",
            Self::InvoiceUsed => "INVOICE_USED",
            Self::CannotPay(_) => "CANNOT_PAY",
            Self::OnlyLess(_) => "ONLY_LESS",
        }
    }
}

/// Displays a reason as a sentence; the timestamp is the present.
struct Sentence<'a>(&'a Unclaimable, Timestamp);

impl std::fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Unclaimable::AlreadyExpired => f.write_str("this withdrawal has expired"),
            Unclaimable::PaymentInFlight => {
                f.write_str("this withdrawal is being paid to another invoice already")
            }
            Unclaimable::AlreadyPaid => f.write_str("this withdrawal has already been paid"),
            Unclaimable::AlreadyDeactivated => f.write_str("this withdrawal was deactivated"),
            Unclaimable::ReopensLater(Timestamp::MAX) | Unclaimable::NeedsOperator => f.write_str(
                "this withdrawal is being looked into, please contact whoever gave it to you",
            ),
            Unclaimable::ReopensLater(at) => {
                let seconds = at.since(self.1).as_secs_rounded_up().max(1);
                write!(f, "the last payment failed, please try again in {seconds} seconds")
            }
        }
    }
}

/// An invoice from a wallet, parsed but not yet checked against any rule.
#[derive(Clone, Debug)]
pub struct Presented {
    text: String,
    hash: PaymentHash,
    parsed: Bolt11Invoice,
}

impl Presented {
    /// Normalises and parses. Whether the invoice may be paid is checked later.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let text = invoice::normalise(text).map_err(Refusal::Invoice)?;
        let parsed = invoice::parse(&text).map_err(Refusal::Invoice)?;
        Ok(Self { hash: invoice::payment_hash(&parsed), text, parsed })
    }

    /// Whether the wallet repeats an accepted claim: the invoice is that of the open or paid attempt.
    /// The answer is OK, before any other check.
    pub fn is_repeat(&self, view: &WithdrawView) -> bool {
        view.payment.as_ref().is_some_and(|payment| {
            !matches!(payment.state, State::Failed { .. }) && payment.is_of(&self.text, self.hash)
        })
    }

    /// Decides the claim.
    pub fn claim(
        &self,
        view: WithdrawView,
        rules: &ClaimRules,
        status: &InstanceStatus,
        payment: PaymentId,
        now: Timestamp,
    ) -> Result<Claim, Refusal> {
        let WithdrawView { withdraw, payment: last } = view;
        let bounds = withdraw.terms.bounds();
        let id = withdraw.id;
        let change = withdraw.claim(payment, now).map_err(|why| Refusal::Unclaimable(why, now))?;
        let most = rules.most_now(status, bounds, now)?;
        // Checked before the other rules, since only a new invoice helps. The store checks for invoices
        // of older attempts and of other requests.
        if last.is_some_and(|last| last.payment_hash == self.hash) {
            return Err(Refusal::InvoiceUsed);
        }
        let text = self.text.clone();
        let own_node = status.node.as_ref();
        let invoice = rules.invoice.check_parsed(text, &self.parsed, bounds, own_node, now);
        let invoice = invoice.map_err(Refusal::Invoice)?;
        if invoice.amount > most.to_msat() {
            return Err(Refusal::OnlyLess(most));
        }
        let payment = rules.reserve(payment, id, invoice, now);
        let allowance = rules.allowance_since(now).zip(rules.paying.rolling_24h);
        let allowance = allowance.map(|(since, most)| Allowance { since, most: most.to_msat() });
        Ok(Claim { change, payment, allowance })
    }
}

impl ClaimRules {
    /// The most that can be claimed of a request with these bounds now.
    pub fn most_now(
        &self,
        status: &InstanceStatus,
        SatRange { min, max }: SatRange,
        now: Timestamp,
    ) -> Result<Sat, Refusal> {
        let capacity =
            status.capacity(&self.paying, &self.fees, now).map_err(Refusal::CannotPay)?;
        if capacity.most < min {
            Err(Refusal::CannotPay(capacity.bound))
        } else {
            Ok(max.min(capacity.most))
        }
    }

    /// The start of the rolling limit's period, if there is such a limit.
    pub fn allowance_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.paying.rolling_24h.map(|_| now.minus(LIMIT_SPAN))
    }

    fn reserve(
        &self,
        id: PaymentId,
        withdraw: super::WithdrawId,
        invoice: Invoice,
        now: Timestamp,
    ) -> Payment {
        let last_send = invoice.expires_at.minus(self.min_life_at_send);
        Payment {
            id,
            version: 1,
            withdraw,
            payment_hash: invoice.payment_hash,
            amount: invoice.amount,
            fee_limit: self.fees.limit_for(invoice.amount),
            invoice_expires_at: invoice.expires_at,
            send_until: last_send.min(now.plus(self.send_for)),
            invoice: invoice.text,
            state: State::Reserved,
            noted: None,
            sends: Sends::default(),
            trace_parent: None,
        }
    }
}
