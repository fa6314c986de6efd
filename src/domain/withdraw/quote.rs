//! The value of an order in satoshis at a rate: the second step from a draft to terms.

use super::{Order, Terms};
use crate::domain::{Amount, Currency, Sat, SatRange, Violation, WithdrawField};

/// The value of one unit of a currency in satoshis, fixed when the request is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The currency.
    pub currency: Currency,
    /// Satoshis per unit of it.
    pub sats: Amount,
}

impl Rate {
    /// One satoshi per satoshi.
    pub const PAR: Self = Self { currency: Currency::Sats, sats: Amount::ONE };
}

/// An order with its value in satoshis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    /// The order.
    pub order: Order,
    /// The rate used.
    pub rate: Rate,
    /// `min_amount` in whole satoshis, rounded up.
    pub target_min: Sat,
    /// `max_amount` in whole satoshis, rounded down.
    pub target_max: Sat,
}

impl Order {
    /// Its value at `rate`, where one request may pay out at most `most`.
    pub fn quote(self, rate: Rate, most: Sat) -> Result<Quote, Vec<Violation>> {
        let SatRange { min, max } = targets(self.min_amount, self.max_amount, rate, most)?;
        Ok(Quote { order: self, rate, target_min: min, target_max: max })
    }
}

/// What two amounts come to at `rate`, where one request may pay out `most`.
pub(super) fn targets(
    min: Amount,
    max: Amount,
    rate: Rate,
    most: Sat,
) -> Result<SatRange, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut target = |field, amount: Amount| {
        let sat = in_sats(amount, rate).filter(|sat| sat.get() > 0 && *sat <= most);
        if sat.is_none() {
            violations.push(Violation::new(field, format!("must be from 1 to {most}")));
        }
        sat
    };
    let target_max = target(WithdrawField::MaxAmount, max);
    // Absent, it is the other: one violation is enough.
    let target_min = if min == max { target_max } else { target(WithdrawField::MinAmount, min) };
    match (target_min, target_max) {
        (Some(min), Some(max)) => Ok(SatRange { min, max }),
        (None, _) | (_, None) => Err(violations),
    }
}

/// Satoshis are the only currency so far: the amount must be whole.
fn in_sats(amount: Amount, rate: Rate) -> Option<Sat> {
    match rate.currency {
        Currency::Sats => amount.as_whole().and_then(Sat::new),
    }
}

impl Quote {
    /// The request id, and the terms for the new request.
    pub fn into_terms(self) -> (Option<String>, Terms) {
        let Self { order, rate, target_min, target_max } = self;
        let terms = Terms {
            min_amount: order.min_amount,
            max_amount: order.max_amount,
            currency: order.currency,
            target_currency: Currency::Sats,
            exchange_rate: rate.sats,
            ttl_s: order.ttl_s,
            target_min,
            target_max,
            memo: order.memo,
            statement_descriptor: order.statement_descriptor,
            pass_thru: order.pass_thru,
        };
        (order.request_id, terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Draft, Field};

    fn order(min: &str, max: &str) -> Order {
        let draft = Draft { min_amount: min.into(), max_amount: max.into(), ..Draft::default() };
        draft.validate().unwrap()
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let most = |max: &str, most| order("", max).quote(Rate::PAR, most);
        assert!(most("2100000000000000", Sat::MAX).is_ok());
        assert!(most("2100000000000001", Sat::MAX).is_err());
        let limit = Sat::new(20).unwrap();
        assert!(most("20", limit).is_ok());
        let over = order("21", "22").quote(Rate::PAR, limit).unwrap_err();
        let fields: Vec<Field> = over.iter().map(|violation| violation.field).collect();
        assert_eq!(fields, [WithdrawField::MaxAmount.into(), WithdrawField::MinAmount.into()]);
        assert_eq!(over[0].rule, "must be from 1 to 20");
    }
}
