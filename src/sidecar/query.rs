//! The callback's query: each parameter at most once, UTF-8, of a sane size.

use percent_encoding::percent_decode_str;

/// What the callback was asked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Callback {
    /// The bearer secret.
    pub k1: String,
    /// The invoice.
    pub pr: String,
}

/// No `Debug` prints a secret.
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

impl Callback {
    /// Reads a raw query. Parameters that nobody asked for are ignored.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let (mut k1, mut pr) = (None, None);
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match decode(key)?.as_str() {
                "k1" => &mut k1,
                "pr" => &mut pr,
                _ => continue,
            };
            if slot.replace(decode(value)?).is_some() {
                return Err("k1 and pr must be given once each");
            }
        }
        match (k1, pr) {
            (Some(k1), Some(pr)) if !k1.is_empty() && !pr.is_empty() => Ok(Self { k1, pr }),
            (None, _) => Err("k1 is missing"),
            (Some(k1), _) if k1.is_empty() => Err("k1 is missing"),
            (Some(_), _) => Err("pr is missing: the wallet sent no invoice"),
        }
    }
}

/// Percent-decoding, with `+` as a blank as forms write it.
fn decode(text: &str) -> Result<String, &'static str> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "the request is not valid UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_with_care() {
        let read = Callback::parse("k1=abc&pr=lnbc1&x=%ff".replace("%ff", "y").as_str()).unwrap();
        assert_eq!((read.k1.as_str(), read.pr.as_str()), ("abc", "lnbc1"));
        assert_eq!(Callback::parse("%6b1=a&pr=%6cn").unwrap().pr, "ln");

        for bad in [
            "",
            "k1=a",
            "pr=b",
            "k1=&pr=b",
            "k1=a&pr=",
            "k1=a&k1=a&pr=b",
            "k1=a&pr=b&pr=b",
            "k1=a&pr=%ff",
            "&&&",
            "k1&pr",
        ] {
            assert!(Callback::parse(bad).is_err(), "{bad:?}");
        }
    }
}
