//! A caller's request to create a withdraw request, and its rules. All violations are reported at once,
//! by field.
//!
//! The bounds are constants, not configuration. A replay is compared after its defaults are filled in,
//! so a default that changed between two calls would turn a replay into a conflict. The maximum payout
//! per request is configured, since it is never filled in.

use serde_json::{Map, Value};

use super::{Order, Quote, Rate, quote::targets};
use crate::domain::{Amount, Currency, PassThru, PassThruFault, Sat, Violation, WithdrawField};

const MIN_TTL_S: i64 = 180;
const MAX_TTL_S: i64 = 365 * 24 * 3600;
const DEFAULT_TTL_S: i64 = 600;
/// The capacity of BOLT11's description: wallets copy the memo into the invoice.
const MAX_MEMO_BYTES: usize = 639;
const MAX_STATEMENT_DESCRIPTOR_BYTES: usize = 255;
const MAX_REQUEST_ID_CHARS: usize = 128;
/// The rule for request ids, as violations state it.
pub const REQUEST_ID_RULE: &str = "must be 1 to 128 visible ASCII characters";

/// A request as received. Empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The caller's idempotency key.
    pub request_id: String,
    /// Default: `max_amount`.
    pub min_amount: String,
    /// Required.
    pub max_amount: String,
    /// Default: SATS.
    pub currency: String,
    /// Default: 600 s.
    pub ttl: Option<DraftTtl>,
    /// LUD-03's `defaultDescription`.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: String,
    /// The creator's own data, or why JSON cannot carry it.
    pub pass_thru: Option<Result<Map<String, Value>, PassThruFault>>,
}

/// A duration as the wire carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftTtl {
    /// Whole seconds.
    pub seconds: i64,
    /// The fraction of a second; must be 0.
    pub nanos: i32,
}

impl Draft {
    /// Checks every field and reports every violation.
    pub fn validate(self) -> Result<Order, Vec<Violation>> {
        let (order, violations) = self.read(|_| Vec::new());
        order.ok_or(violations)
    }

    /// The same, and what the order comes to: what is wrong with the amounts at this rate is reported with
    /// the rest. One request may pay out `most`.
    pub fn quote(self, rate: Rate, most: Sat) -> Result<Quote, Vec<Violation>> {
        let targets = |amounts: &Amounts| targets(amounts.min, amounts.max, rate, most);
        let (order, violations) = self.read(|amounts| targets(amounts).err().unwrap_or_default());
        order.ok_or(violations)?.quote(rate, most)
    }

    /// The order, or what is wrong; `judge` adds what is wrong with amounts that can be read.
    fn read(
        self,
        judge: impl FnOnce(&Amounts) -> Vec<Violation>,
    ) -> (Option<Order>, Vec<Violation>) {
        let mut found = Violations(Vec::new());
        let request_id = found.keep(WithdrawField::RequestId, request_id(self.request_id));
        let currency = found.keep(WithdrawField::Currency, currency(&self.currency));
        let amounts = amounts(&mut found, &self.min_amount, &self.max_amount, currency);
        if let Some(amounts) = &amounts {
            found.0.extend(judge(amounts));
        }
        let ttl_s = found.keep(WithdrawField::Ttl, ttl(self.ttl));
        let memo = found.keep(WithdrawField::Memo, text(self.memo, MAX_MEMO_BYTES));
        let descriptor = text(self.statement_descriptor, MAX_STATEMENT_DESCRIPTOR_BYTES);
        let descriptor = found.keep(WithdrawField::StatementDescriptor, descriptor);
        let pass_thru = found.keep(WithdrawField::PassThru, pass_thru(self.pass_thru));

        match (request_id, currency, amounts, ttl_s, memo, descriptor, pass_thru) {
            (
                Some(request_id),
                Some(currency),
                Some(Amounts { min, max }),
                Some(ttl_s),
                Some(memo),
                Some(descriptor),
                Some(pass_thru),
            ) if found.0.is_empty() => {
                let order = Order {
                    request_id,
                    min_amount: min,
                    max_amount: max,
                    currency,
                    ttl_s,
                    memo,
                    statement_descriptor: Some(descriptor).filter(|text| !text.is_empty()),
                    pass_thru,
                };
                (Some(order), found.0)
            }
            _ => (None, found.0),
        }
    }
}

/// Collects violations while the other fields are still checked.
struct Violations(Vec<Violation>);

impl Violations {
    fn keep<T>(&mut self, field: WithdrawField, read: Result<T, String>) -> Option<T> {
        read.map_err(|rule| self.0.push(Violation::new(field, rule))).ok()
    }
}

#[derive(Clone, Copy)]
struct Amounts {
    min: Amount,
    max: Amount,
}

/// Checks both amounts and their order. The number of decimals is checked only if the currency is
/// valid.
fn amounts(
    found: &mut Violations,
    min: &str,
    max: &str,
    currency: Option<Currency>,
) -> Option<Amounts> {
    let max_read =
        if max.is_empty() { Err("is required".to_owned()) } else { amount(max, currency) };
    let max_read = found.keep(WithdrawField::MaxAmount, max_read);
    let min_read = if min.is_empty() {
        max_read
    } else {
        found.keep(WithdrawField::MinAmount, amount(min, currency))
    };
    let (max, min) = (max_read?, min_read?);
    if min > max {
        found.keep::<()>(WithdrawField::MinAmount, Err("must not be above max_amount".to_owned()));
        return None;
    }
    Some(Amounts { min, max })
}

fn amount(text: &str, currency: Option<Currency>) -> Result<Amount, String> {
    let amount = Amount::parse(text).map_err(|fault| fault.to_string())?;
    if amount.is_zero() {
        return Err("must be above 0".to_owned());
    }
    match currency {
        Some(currency) if amount.decimals() > currency.decimals() => {
            Err(match currency.decimals() {
                0 => format!("must be whole: {} have no decimals", currency.name()),
                most => format!("must have at most {most} decimals"),
            })
        }
        Some(_) | None => Ok(amount),
    }
}

fn request_id(text: String) -> Result<Option<String>, String> {
    match text {
        text if text.is_empty() => Ok(None),
        text if is_request_id(&text) => Ok(Some(text)),
        _ => Err(REQUEST_ID_RULE.to_owned()),
    }
}

/// Whether a text is a valid request id.
pub fn is_request_id(text: &str) -> bool {
    (1..=MAX_REQUEST_ID_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn currency(text: &str) -> Result<Currency, String> {
    if text.is_empty() {
        return Ok(Currency::default());
    }
    text.parse().map_err(|_| format!("is not supported; supported: {}", Currency::names()))
}

fn ttl(ttl: Option<DraftTtl>) -> Result<i64, String> {
    match ttl {
        None => Ok(DEFAULT_TTL_S),
        Some(DraftTtl { seconds, nanos: 0 }) if (MIN_TTL_S..=MAX_TTL_S).contains(&seconds) => {
            Ok(seconds)
        }
        Some(_) => Err(format!("must be whole seconds from {MIN_TTL_S} to {MAX_TTL_S}")),
    }
}

/// Checks a single-line text, which wallets show, invoices contain, and terminals and logs print.
fn text(text: String, max_bytes: usize) -> Result<String, String> {
    if text.len() > max_bytes {
        Err(format!("must be at most {max_bytes} bytes of UTF-8"))
    } else if text.contains(char::is_control) {
        Err("must have no control characters (including tab and newline)".to_owned())
    } else {
        Ok(text)
    }
}

fn pass_thru(
    object: Option<Result<Map<String, Value>, PassThruFault>>,
) -> Result<Option<PassThru>, String> {
    let Some(object) = object else {
        return Ok(None);
    };
    let pass_thru = object.and_then(|object| PassThru::new(&object));
    pass_thru.map(Some).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Field;

    fn draft() -> Draft {
        Draft { max_amount: "20".into(), ..Draft::default() }
    }

    #[test]
    fn defaults_are_filled_in() {
        let order = draft().validate().unwrap();
        assert_eq!(order.request_id, None);
        assert_eq!(order.min_amount, order.max_amount);
        assert_eq!((order.currency, order.ttl_s), (Currency::Sats, 600));
        assert_eq!(order.statement_descriptor, None);
    }

    #[test]
    fn equal_amounts_are_the_same_content_however_written() {
        let a = draft().validate().unwrap();
        let b = Draft { max_amount: "20.0".into(), min_amount: "20.00".into(), ..draft() };
        assert_eq!(a, b.validate().unwrap());
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let bad = Draft {
            request_id: "has space".into(),
            min_amount: "0".into(),
            max_amount: "1e5".into(),
            currency: "EUR".into(),
            ttl: Some(DraftTtl { seconds: 179, nanos: 0 }),
            memo: "x".repeat(640),
            statement_descriptor: "\u{7}".into(),
            pass_thru: Some(Err(PassThruFault::NotFinite)),
        };
        let fields: Vec<Field> = bad.validate().unwrap_err().iter().map(|v| v.field).collect();
        for field in [
            WithdrawField::RequestId,
            WithdrawField::MinAmount,
            WithdrawField::MaxAmount,
            WithdrawField::Currency,
            WithdrawField::Ttl,
            WithdrawField::Memo,
            WithdrawField::StatementDescriptor,
            WithdrawField::PassThru,
        ] {
            assert!(fields.contains(&field.into()), "{field:?} is not reported");
        }
    }

    /// A BOLT11 description holds 639 bytes. The proto states the same rule.
    #[test]
    fn memo_and_statement_descriptor_are_one_line_of_limited_length() {
        type Set = fn(String) -> Draft;
        let fields: [(WithdrawField, usize, Set); 2] = [
            (WithdrawField::Memo, 639, |memo| Draft { memo, ..draft() }),
            (WithdrawField::StatementDescriptor, 255, |text| Draft {
                statement_descriptor: text,
                ..draft()
            }),
        ];
        for (field, most, with) in fields {
            let found = |text: String| match with(text).validate() {
                Ok(_) => vec![],
                Err(found) => found.iter().map(|violation| violation.field).collect(),
            };
            assert!(found("x".repeat(most)).is_empty());
            assert_eq!(found("x".repeat(most + 1)), [field.into()]);
            // The limit is in bytes, not characters.
            assert!(found(format!("{}x", "é".repeat(most / 2))).is_empty());
            assert_eq!(found("é".repeat(most / 2 + 1)), [field.into()]);
            for control in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
                assert_eq!(found(format!("a{control}b")), [field.into()], "{control:?}");
            }
            assert!(found("Ünïcödé 💸, \"quoted\" \\ and so on".to_owned()).is_empty());
        }
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let with = |ttl: i64| Draft { ttl: Some(DraftTtl { seconds: ttl, nanos: 0 }), ..draft() };
        assert!(with(180).validate().is_ok() && with(31_536_000).validate().is_ok());
        assert!(with(31_536_001).validate().is_err());
        let nanos = Draft { ttl: Some(DraftTtl { seconds: 200, nanos: 1 }), ..draft() };
        assert!(nanos.validate().is_err());
        let over = Draft { min_amount: "21".into(), ..draft() }.validate().unwrap_err();
        assert_eq!(over[0].field, WithdrawField::MinAmount.into());
    }
}
