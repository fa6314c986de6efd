//! Which payments a list shows. Filters on time become bounds on ids, since ids carry their creation
//! time.

use strum::{EnumString, IntoStaticStr, VariantArray};

use uuid::Uuid;

use super::PaymentView;
use crate::domain::{Fingerprint, Millis, PaymentHash, PaymentId, State, Timestamp, WithdrawId};

/// The state of an attempt, without its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum StateKind {
    /// [`State::Reserved`]
    Reserved,
    /// [`State::Sending`]
    Sending,
    /// [`State::InFlight`]
    InFlight,
    /// [`State::Paid`]
    Paid,
    /// [`State::Failed`]
    Failed,
    /// [`State::NeedsOperator`]
    NeedsOperator,
}

impl StateKind {
    /// The states of open attempts.
    pub const OPEN: [Self; 4] =
        [Self::Reserved, Self::Sending, Self::InFlight, Self::NeedsOperator];

    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether an attempt in this state still holds its request.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Reserved | Self::Sending | Self::InFlight | Self::NeedsOperator => true,
            Self::Paid | Self::Failed => false,
        }
    }
}

/// Which payments a list shows. All conditions must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PaymentFilter {
    /// Only in this state.
    pub state: Option<StateKind>,
    /// Only attempts to pay this request.
    pub withdraw: Option<WithdrawId>,
    /// Only the one with this payment hash.
    pub payment_hash: Option<PaymentHash>,
    /// Inclusive.
    pub created_after: Option<Timestamp>,
    /// Exclusive.
    pub created_before: Option<Timestamp>,
    /// Only open ones that were accepted at least this long ago.
    pub open_longer_than: Option<Millis>,
    /// Only failed ones that were paid late.
    pub late_success: bool,
}

/// A list of payments to read, newest first.
#[derive(Clone, Debug)]
pub struct PaymentQuery {
    /// The filter.
    pub filter: PaymentFilter,
    /// Start after this one, going back in time.
    pub after: Option<PaymentId>,
    /// The maximum number of rows.
    pub limit: i64,
    /// The present, for `open_longer_than`.
    pub now: Timestamp,
}

/// The states that a list shows, as the conditions of its filter select them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateSelection {
    /// All states.
    Any,
    /// This state.
    One(StateKind),
    /// All open states.
    Open,
    /// FAILED, but paid late.
    Late,
    /// The conditions exclude each other.
    None,
}

impl PaymentFilter {
    /// What a page token is bound to.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&format!("payments|{self:?}"))
    }

    /// The states that match the conditions.
    pub fn states(&self) -> StateSelection {
        match (self.state, self.open_longer_than.is_some(), self.late_success) {
            (None, false, false) => StateSelection::Any,
            (None, true, false) => StateSelection::Open,
            (None | Some(StateKind::Failed), false, true) => StateSelection::Late,
            (Some(state), false, false) => StateSelection::One(state),
            (Some(state), true, false) if state.is_open() => StateSelection::One(state),
            (Some(_), _, _) | (None, true, true) => StateSelection::None,
        }
    }
}

impl PaymentQuery {
    /// Whether an attempt matches, for lists that the payment hash has narrowed to one attempt.
    pub fn admits(&self, payment: &PaymentView) -> bool {
        let late = matches!(payment.state, State::Failed { late: Some(_), .. });
        let in_states = match self.filter.states() {
            StateSelection::Any => true,
            StateSelection::One(state) => payment.state.kind() == state,
            StateSelection::Open => payment.state.is_open(),
            StateSelection::Late => late,
            StateSelection::None => false,
        };
        in_states
            && payment.id >= self.lowest()
            && payment.id < self.bound()
            && self.filter.withdraw.is_none_or(|withdraw| withdraw == payment.withdraw)
            && self.filter.payment_hash.is_none_or(|hash| hash == payment.payment_hash)
    }

    /// The least id of the list, inclusive.
    pub fn lowest(&self) -> PaymentId {
        PaymentId::first_at(self.filter.created_after.unwrap_or(Timestamp::MIN))
    }

    /// The upper bound of the list's ids, exclusive.
    pub fn bound(&self) -> PaymentId {
        let newest = PaymentId::from_uuid(Uuid::max());
        let before = self.filter.created_before.map_or(newest, PaymentId::first_at);
        let aged = self.filter.open_longer_than.map_or(newest, |age| {
            // An age of exactly `open_longer_than` matches.
            let last = Timestamp::from_ms(self.now.as_ms().saturating_sub(age.as_ms()));
            PaymentId::first_at(last.plus(Millis::from_ms(1)))
        });
        let bound = before.min(aged);
        self.after.map_or(bound, |after| after.min(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(state: Option<StateKind>, open: bool, late_success: bool) -> PaymentFilter {
        let open_longer_than = open.then_some(Millis::ZERO);
        PaymentFilter { state, open_longer_than, late_success, ..PaymentFilter::default() }
    }

    #[test]
    fn conditions_that_exclude_each_other_find_nothing() {
        assert_eq!(by(None, false, false).states(), StateSelection::Any);
        assert_eq!(by(None, true, false).states(), StateSelection::Open);
        assert_eq!(by(None, false, true).states(), StateSelection::Late);
        assert_eq!(by(None, true, true).states(), StateSelection::None);
        for state in
            [StateKind::Sending, StateKind::NeedsOperator, StateKind::Paid, StateKind::Failed]
        {
            let (ended, failed) = (!state.is_open(), state == StateKind::Failed);
            let (one, none) = (StateSelection::One(state), StateSelection::None);
            assert_eq!(by(Some(state), false, false).states(), one);
            assert_eq!(by(Some(state), true, false).states(), if ended { none } else { one });
            assert_eq!(
                by(Some(state), false, true).states(),
                if failed { StateSelection::Late } else { none }
            );
            assert_eq!(by(Some(state), true, true).states(), none);
        }
    }

    #[test]
    fn an_age_is_a_bound_that_includes_its_edge() {
        let now = Timestamp::from_ms(1_800_000_000_000);
        let query = |age_s: i64| PaymentQuery {
            filter: PaymentFilter {
                open_longer_than: Some(Millis::from_secs(age_s)),
                ..PaymentFilter::default()
            },
            after: None,
            limit: 1,
            now,
        };
        let accepted = PaymentId::new(now.minus(Millis::from_secs(10)), &[0xff; 10]);
        assert!(accepted < query(10).bound() && accepted > query(11).bound());
        assert_eq!(query(i64::MAX).bound(), PaymentId::first_at(Timestamp::MIN));
    }
}
