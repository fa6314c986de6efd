//! What a caller asks for, and the rules that it must fulfil: all violations at once, by field.
//!
//! The bounds are constants, not configuration: a replay is compared with its defaults filled in,
//! and a default that changed between two calls would turn a replay into a conflict. The most that one
//! request may pay out is configured: it fills nothing in.

use serde_json::{Map, Value};

use crate::domain::{Amount, Field, PassThru, PassThruFault, Sat, Terms, Violation};

const MIN_TTL_S: i64 = 180;
const MAX_TTL_S: i64 = 365 * 24 * 3600;
const DEFAULT_TTL_S: i64 = 600;
/// What BOLT11's description holds: wallets put the memo on the invoice.
const MAX_MEMO_BYTES: usize = 639;
const MAX_STATEMENT_DESCRIPTOR_BYTES: usize = 255;
const MAX_REQUEST_ID_CHARS: usize = 128;
/// What a request id looks like.
pub const REQUEST_ID_RULE: &str = "must be 1 to 128 visible ASCII characters";
const SATS: &str = "SATS";

/// What a caller asks for, as it came. Empty texts are absent ones.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The caller's name for it.
    pub request_id: String,
    /// Absent: as `max_amount`.
    pub min_amount: String,
    /// Required.
    pub max_amount: String,
    /// Absent: SATS.
    pub currency: String,
    /// Absent: 600 s.
    pub ttl: Option<DraftTtl>,
    /// LUD-03's defaultDescription.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: String,
    /// The creator's own data, or what of it JSON cannot carry.
    pub pass_thru: Option<Result<Map<String, Value>, PassThruFault>>,
}

/// A duration as the wire carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftTtl {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest; must be 0.
    pub nanos: i32,
}

/// What a draft becomes when it fulfils all rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Valid {
    /// The caller's name for it.
    pub request_id: Option<String>,
    /// With all defaults filled in.
    pub terms: Terms,
}

impl Draft {
    /// Checks every field and reports every violation. `most` is what one request may pay out here.
    pub fn validate(self, most: Sat) -> Result<Valid, Vec<Violation>> {
        let mut found = Findings(Vec::new());
        let request_id = found.keep(Field::RequestId, request_id(self.request_id));
        let currency = found.keep(Field::Currency, currency(self.currency));
        // Whether an amount must be whole is known only where the currency is.
        let amounts = if currency.is_some() {
            amounts(&mut found, &self.min_amount, &self.max_amount, most)
        } else {
            shapes(&mut found, &self.min_amount, &self.max_amount);
            None
        };
        let ttl_s = found.keep(Field::Ttl, ttl(self.ttl));
        let memo = found.keep(Field::Memo, text(self.memo, MAX_MEMO_BYTES));
        let descriptor = text(self.statement_descriptor, MAX_STATEMENT_DESCRIPTOR_BYTES);
        let descriptor = found.keep(Field::StatementDescriptor, descriptor);
        let pass_thru = found.keep(Field::PassThru, pass_thru(self.pass_thru));

        match (request_id, currency, amounts, ttl_s, memo, descriptor, pass_thru) {
            (
                Some(request_id),
                Some(currency),
                Some(amounts),
                Some(ttl_s),
                Some(memo),
                Some(descriptor),
                Some(pass_thru),
            ) => Ok(Valid {
                request_id,
                terms: Terms {
                    min_amount: amounts.min,
                    max_amount: amounts.max,
                    currency,
                    target_currency: SATS.to_owned(),
                    exchange_rate: Amount::ONE,
                    ttl_s,
                    target_min: amounts.target_min,
                    target_max: amounts.target_max,
                    memo,
                    statement_descriptor: Some(descriptor).filter(|text| !text.is_empty()),
                    pass_thru,
                },
            }),
            _ => Err(found.0),
        }
    }
}

/// Collects violations while the other fields are read on.
struct Findings(Vec<Violation>);

impl Findings {
    fn keep<T>(&mut self, field: Field, read: Result<T, String>) -> Option<T> {
        read.map_err(|rule| self.0.push(Violation::new(field, rule))).ok()
    }
}

/// Checks amounts of an unknown currency by their grammar alone.
fn shapes(found: &mut Findings, min: &str, max: &str) {
    let read = |text: &str| match Amount::parse(text) {
        Ok(amount) if amount.is_zero() => Err("must be above 0".to_owned()),
        Ok(amount) => Ok(amount),
        Err(fault) => Err(fault.to_string()),
    };
    let max = if max.is_empty() { Err("is required".to_owned()) } else { read(max) };
    found.keep(Field::MaxAmount, max);
    if !min.is_empty() {
        found.keep(Field::MinAmount, read(min));
    }
}

struct Amounts {
    min: Amount,
    max: Amount,
    target_min: Sat,
    target_max: Sat,
}

fn amounts(found: &mut Findings, min: &str, max: &str, most: Sat) -> Option<Amounts> {
    let max_read = if max.is_empty() { Err("is required".to_owned()) } else { sats(max, most) };
    let max_read = found.keep(Field::MaxAmount, max_read);
    let min_read =
        if min.is_empty() { max_read } else { found.keep(Field::MinAmount, sats(min, most)) };
    let ((max, target_max), (min, target_min)) = (max_read?, min_read?);
    if min > max {
        found.keep::<()>(Field::MinAmount, Err("must not be above max_amount".to_owned()));
        return None;
    }
    Some(Amounts { min, max, target_min, target_max })
}

/// An amount in SATS: whole, above nothing, below everything.
fn sats(text: &str, most: Sat) -> Result<(Amount, Sat), String> {
    let amount = Amount::parse(text).map_err(|fault| fault.to_string())?;
    let whole = amount.as_whole().ok_or("must be whole: SATS have no decimals")?;
    let sat = Sat::new(whole).filter(|sat| sat.get() > 0 && *sat <= most);
    let sat = sat.ok_or_else(|| format!("must be from 1 to {most}"))?;
    Ok((amount, sat))
}

fn request_id(text: String) -> Result<Option<String>, String> {
    match text {
        text if text.is_empty() => Ok(None),
        text if is_request_id(&text) => Ok(Some(text)),
        _ => Err(REQUEST_ID_RULE.to_owned()),
    }
}

/// Whether a text can name a request.
pub fn is_request_id(text: &str) -> bool {
    (1..=MAX_REQUEST_ID_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn currency(text: String) -> Result<String, String> {
    match text.as_str() {
        "" => Ok(SATS.to_owned()),
        SATS => Ok(text),
        _ => Err(format!("is not supported; supported: {SATS}")),
    }
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

/// One line for a person: wallets show it, invoices carry it, terminals and logs print it.
fn text(text: String, max_bytes: usize) -> Result<String, String> {
    if text.len() > max_bytes {
        Err(format!("must be at most {max_bytes} bytes of UTF-8"))
    } else if text.contains(char::is_control) {
        Err("must have no control characters (tab and newline are such, too)".to_owned())
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
    let kept = object.and_then(|object| PassThru::new(&object));
    kept.map(Some).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft { max_amount: "20".into(), ..Draft::default() }
    }

    #[test]
    fn defaults_are_filled_in() {
        let valid = draft().validate(Sat::MAX).unwrap();
        assert_eq!(valid.request_id, None);
        assert_eq!(valid.terms.min_amount, valid.terms.max_amount);
        assert_eq!((valid.terms.currency.as_str(), valid.terms.ttl_s), ("SATS", 600));
        assert_eq!(valid.terms.statement_descriptor, None);
    }

    #[test]
    fn equal_amounts_are_the_same_content_however_written() {
        let a = draft().validate(Sat::MAX).unwrap();
        let b = Draft { max_amount: "20.0".into(), min_amount: "20.00".into(), ..draft() };
        assert!(a.terms.same_content(&b.validate(Sat::MAX).unwrap().terms));
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
        let fields: Vec<Field> =
            bad.validate(Sat::MAX).unwrap_err().iter().map(|v| v.field).collect();
        for field in [
            Field::RequestId,
            Field::MinAmount,
            Field::MaxAmount,
            Field::Currency,
            Field::Ttl,
            Field::Memo,
            Field::StatementDescriptor,
            Field::PassThru,
        ] {
            assert!(fields.contains(&field), "{field:?} is not reported");
        }
    }

    /// 639 bytes are what a BOLT11 description holds. The proto states the same rule.
    #[test]
    fn memo_and_statement_descriptor_are_one_line_of_so_many_bytes() {
        type Set = fn(String) -> Draft;
        let fields: [(Field, usize, Set); 2] = [
            (Field::Memo, 639, |memo| Draft { memo, ..draft() }),
            (Field::StatementDescriptor, 255, |text| Draft {
                statement_descriptor: text,
                ..draft()
            }),
        ];
        for (field, most, with) in fields {
            let found = |text: String| match with(text).validate(Sat::MAX) {
                Ok(_) => vec![],
                Err(found) => found.iter().map(|violation| violation.field).collect(),
            };
            assert!(found("x".repeat(most)).is_empty());
            assert_eq!(found("x".repeat(most + 1)), [field]);
            // Bytes, not characters.
            assert!(found(format!("{}x", "é".repeat(most / 2))).is_empty());
            assert_eq!(found("é".repeat(most / 2 + 1)), [field]);
            for control in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
                assert_eq!(found(format!("a{control}b")), [field], "{control:?}");
            }
            assert!(found("Ünïcödé 💸, \"quoted\" \\ and so on".to_owned()).is_empty());
        }
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let with = |ttl: i64| Draft { ttl: Some(DraftTtl { seconds: ttl, nanos: 0 }), ..draft() };
        assert!(
            with(180).validate(Sat::MAX).is_ok() && with(31_536_000).validate(Sat::MAX).is_ok()
        );
        assert!(with(31_536_001).validate(Sat::MAX).is_err());
        let nanos = Draft { ttl: Some(DraftTtl { seconds: 200, nanos: 1 }), ..draft() };
        assert!(nanos.validate(Sat::MAX).is_err());
        let most = |max: &str| Draft { max_amount: max.into(), ..draft() }.validate(Sat::MAX);
        assert!(most("2100000000000000").is_ok() && most("2100000000000001").is_err());
        let over = Draft { min_amount: "21".into(), ..draft() }.validate(Sat::MAX).unwrap_err();
        assert_eq!(over[0].field, Field::MinAmount);
    }
}
