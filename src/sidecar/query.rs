//! The callback's query: UTF-8, with each parameter at most once.

use percent_encoding::percent_decode_str;

/// The parameters of the callback.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Callback {
    /// The bearer secret.
    pub k1: String,
    /// The invoice.
    pub pr: String,
}

/// `Debug` prints no secret.
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

impl Callback {
    /// Reads a raw query. Unknown parameters are ignored, since wallets add some. Neither a secret nor an
    /// invoice contains `?`, `&` or white space, so a wallet that appends its parameters with another `?`,
    /// or takes them from HTML, is understood.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let (mut k1, mut pr) = (None, None);
        for pair in query.split(['&', '?']) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key)?.to_ascii_lowercase();
            let slot = match key.strip_prefix("amp;").unwrap_or(&key) {
                "k1" => &mut k1,
                "pr" => &mut pr,
                _ => continue,
            };
            if slot.replace(decode(value)?.trim().to_owned()).is_some() {
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

/// Percent-decoding, with `+` for a space, as in forms.
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
        for same in [
            "%6b1=%61bc&pr=%6cnbc1",
            "K1=abc&PR=lnbc1",
            "?k1=abc&pr=lnbc1",
            "??k1=abc&&pr=lnbc1?",
            "x=1?k1=abc?pr=lnbc1",
            "k1=abc&amp;pr=lnbc1",
            "&pr=lnbc1%20&k1=+abc",
            "tag=withdrawRequest&k1=abc&pr=lnbc1&balanceNotify=https%3A%2F%2Fx.example%3Fa%3Db",
        ] {
            let same = Callback::parse(same).unwrap();
            assert_eq!((same.k1.as_str(), same.pr.as_str()), ("abc", "lnbc1"));
        }

        for bad in [
            "",
            "k1=a",
            "pr=b",
            "k1=&pr=b",
            "k1=a&pr=",
            "k1=a&k1=a&pr=b",
            "k1=a&pr=b&pr=b",
            "k1=a&K1=a&pr=b",
            "k1=a&pr=b?k1=a",
            "k1=+&pr=b",
            "k1=a&pr=%ff",
            "&&&",
            "k1&pr",
        ] {
            assert!(Callback::parse(bad).is_err(), "{bad:?}");
        }
    }
}
