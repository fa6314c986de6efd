//! LNURLs: the bech32 form (LUD-01), the `lnurlw` URI (LUD-17), and the URLs inside them.

use std::{fmt, net::IpAddr};

use bech32::{Bech32, Hrp};
use url::{Host, Url};

use super::Secret;

const HRP: Hrp = Hrp::parse_unchecked("lnurl");

/// Keeps the LNURL well under the 1,023 characters that the bech32 crate accepts.
const MAX_PUBLIC_URL_BYTES: usize = 400;
/// The longest text that is worth decoding.
const MAX_LNURL_CHARS: usize = 1023;

/// Where wallets reach this service. Configured by the operator, never taken from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a trailing slash.
    base: String,
    path: String,
}

/// Why a text is not a [`PublicUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// It does not parse.
    #[error("not a URL")]
    NotAUrl,
    /// No scheme, as in `pay.example.com`.
    #[error("https:// is missing: it must be a whole URL, such as https://pay.example.com")]
    NoScheme,
    /// Wallets refuse plain http, except for onion services and loopback.
    #[error("must be https (plain http is for .onion hosts and loopback addresses only)")]
    NotSecure,
    /// LUD-17 maps `lnurlw://` links of onion hosts to http. With https here, wallets would use http
    /// from the link but https from the LNURL.
    #[error("must be http for an .onion host: there lnurlw:// links mean http, and Tor encrypts")]
    OnionOverTls,
    /// A user name, password, query or fragment, which would break the URLs built from it.
    #[error("must have no user name, password, query or fragment")]
    Superfluous,
    /// Too long for the LNURL to fit into bech32.
    #[error("must be at most {MAX_PUBLIC_URL_BYTES} bytes long")]
    TooLong,
}

impl PublicUrl {
    /// Accepts an https URL, or an http URL of an onion service or a loopback address.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        // The URL parser would take `host` in `host:8080/path` as the scheme.
        if !text.contains("://") {
            return Err(InvalidPublicUrl::NoScheme);
        }
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl::NotAUrl)?;
        let host = url.host().ok_or(InvalidPublicUrl::NotAUrl)?;
        if url.scheme() == "https" && is_onion(&host) {
            return Err(InvalidPublicUrl::OnionOverTls);
        }
        let secure = match url.scheme() {
            "https" => true,
            "http" => is_onion(&host) || is_loopback(&host),
            _ => false,
        };
        if !secure {
            return Err(InvalidPublicUrl::NotSecure);
        }
        let superfluous = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if superfluous {
            return Err(InvalidPublicUrl::Superfluous);
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        if base.len() > MAX_PUBLIC_URL_BYTES {
            return Err(InvalidPublicUrl::TooLong);
        }
        Ok(Self { base, path: url.path().trim_end_matches('/').to_owned() })
    }

    /// Its path, without a trailing slash; empty if there is none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// LUD-03's `callback`.
    pub fn callback(&self) -> String {
        format!("{}/cb", self.base)
    }

    /// The URL that the LNURL of this secret decodes to.
    pub fn withdraw(&self, secret: &Secret) -> String {
        format!("{}/w/{}", self.base, secret.expose())
    }

    /// The LNURL (LUD-01) of this secret, in upper case for compact QR codes.
    pub fn lnurl(&self, secret: &Secret) -> String {
        encode(&self.withdraw(secret))
    }

    /// The `lnurlw` URI (LUD-17) of this secret.
    pub fn lnurlw(&self, secret: &Secret) -> String {
        let url = self.withdraw(secret);
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        format!("lnurlw://{rest}")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

fn is_onion(host: &Host<&str>) -> bool {
    let is_onion = |name: &str| name.trim_end_matches('.').rsplit('.').next() == Some("onion");
    matches!(host, Host::Domain(name) if is_onion(name))
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(ip) => IpAddr::V4(*ip).is_loopback(),
        Host::Ipv6(ip) => IpAddr::V6(*ip).is_loopback(),
    }
}

/// Encodes a URL as upper-case bech32.
fn encode(url: &str) -> String {
    #[expect(clippy::expect_used, reason = "the length is capped by PublicUrl")]
    bech32::encode_upper::<Bech32>(HRP, url.as_bytes()).expect("a capped URL fits into bech32")
}

/// Why a text is not an LNURL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLnurl {
    /// Longer than any LNURL that the decoder accepts.
    #[error("longer than {MAX_LNURL_CHARS} characters")]
    TooLong,
    /// Mixed case, a wrong character or checksum.
    #[error("not valid bech32 (a character is wrong or missing)")]
    Bech32,
    /// Valid bech32 of something else.
    #[error("not an LNURL: it does not start with lnurl1 or lnurlw://")]
    NotAnLnurl,
    /// Its content is not a URL.
    #[error("its content is not an http or https URL")]
    NotAUrl,
}

/// Decodes an LNURL as wallets do: bech32 in either case, with or without `lightning:`, or `lnurlw://`.
pub fn decode(text: &str) -> Result<Url, InvalidLnurl> {
    let text = text.trim();
    if text.len() > MAX_LNURL_CHARS {
        return Err(InvalidLnurl::TooLong);
    }
    if let Some(rest) = strip_prefix_ignoring_case(text, "lnurlw://") {
        return decode_lnurlw(rest);
    }
    let text = strip_prefix_ignoring_case(text, "lightning:").unwrap_or(text);
    if strip_prefix_ignoring_case(text, "lnurl1").is_none() {
        return Err(InvalidLnurl::NotAnLnurl);
    }
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
        .map_err(|_| InvalidLnurl::Bech32)?;
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let url = String::from_utf8(bytes).map_err(|_| InvalidLnurl::NotAUrl)?;
    http_url(&url)
}

fn decode_lnurlw(rest: &str) -> Result<Url, InvalidLnurl> {
    let https = http_url(&format!("https://{rest}"))?;
    match https.host() {
        // LUD-17 requires http for onion hosts; development uses http on loopback.
        Some(host) if is_onion(&host) || is_loopback(&host) => http_url(&format!("http://{rest}")),
        _ => Ok(https),
    }
}

fn http_url(text: &str) -> Result<Url, InvalidLnurl> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(InvalidLnurl::NotAUrl),
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_wallet("0123456789abcdefghjkmnpqrs").unwrap()
    }

    #[test]
    fn an_lnurl_decodes_to_the_url_of_its_secret() {
        let url = PublicUrl::parse("https://pay.example.com/out/").unwrap();
        let lnurl = url.lnurl(&secret());

        assert_eq!(lnurl, lnurl.to_uppercase());
        for form in [lnurl.clone(), lnurl.to_lowercase(), format!("lightning:{lnurl}")] {
            let decoded = decode(&form).unwrap();
            assert_eq!(
                decoded.as_str(),
                "https://pay.example.com/out/w/0123456789abcdefghjkmnpqrs"
            );
        }
        assert_eq!(decode(&url.lnurlw(&secret())), decode(&lnurl));
        assert_eq!(url.callback(), "https://pay.example.com/out/cb");
    }

    /// An LNURL made by LNPay.
    #[test]
    fn an_lnurl_of_lnpay_decodes() {
        let lnurl = "LNURL1DP68GURN8GHJ7MRWWPSHJTNRDUHHVVF0W4EK2U30WASKCMR9WSHHWC2LFACXUM35DDR5736ZF4HX\
                    VS6VGEV8GU6YDE49GC30D3H82UNV94C8YMMRV4EHX0M0W36R66MGD95KS4JGFADRS4ZRFEXK2SN2FFUX\
                    USMHFA98XDZ8D3T9SDECWVHR43";
        let url = decode(lnurl).unwrap();
        assert_eq!(url.host_str(), Some("lnpay.co"));
        assert!(url.path().ends_with("/lnurl-process"));
    }

    #[test]
    fn damaged_lnurls_are_refused() {
        let good = PublicUrl::parse("https://a.example").unwrap().lnurl(&secret());
        let mut wrong = good.clone();
        wrong.replace_range(20..21, if &good[20..21] == "Q" { "P" } else { "Q" });
        assert_eq!(decode(&wrong), Err(InvalidLnurl::Bech32));
        let mixed = format!("{}{}", &good[..20], good[20..].to_lowercase());
        assert_eq!(decode(&mixed), Err(InvalidLnurl::Bech32));
        assert_eq!(decode("lnbc1abc"), Err(InvalidLnurl::NotAnLnurl));
        assert_eq!(decode(&"L".repeat(2000)), Err(InvalidLnurl::TooLong));
        let ftp = bech32::encode_upper::<Bech32>(HRP, b"ftp://x.example").unwrap();
        assert_eq!(decode(&ftp), Err(InvalidLnurl::NotAUrl));
    }

    #[test]
    fn public_urls_are_https_or_onion_or_loopback() {
        let good = [
            "https://x.example",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:8080/a",
            "http://abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefab.onion/pay",
        ];
        for text in good {
            assert!(PublicUrl::parse(text).is_ok(), "{text}");
        }
        let bad = [
            ("http://x.example", InvalidPublicUrl::NotSecure),
            ("ftp://x.example", InvalidPublicUrl::NotSecure),
            ("http://192.168.1.2", InvalidPublicUrl::NotSecure),
            ("x.example", InvalidPublicUrl::NoScheme),
            ("x.example:8080/pay", InvalidPublicUrl::NoScheme),
            ("localhost:8080", InvalidPublicUrl::NoScheme),
            ("https://", InvalidPublicUrl::NotAUrl),
            ("https://abcdef.onion/pay", InvalidPublicUrl::OnionOverTls),
            ("https://sub.abcdef.ONION", InvalidPublicUrl::OnionOverTls),
            ("https://abcdef.onion.", InvalidPublicUrl::OnionOverTls),
            ("https://u:p@x.example", InvalidPublicUrl::Superfluous),
            ("https://x.example/?q=1", InvalidPublicUrl::Superfluous),
        ];
        for (text, why) in bad {
            assert_eq!(PublicUrl::parse(text), Err(why), "{text}");
        }
        let long = format!("https://x.example/{}", "a".repeat(400));
        assert_eq!(PublicUrl::parse(&long), Err(InvalidPublicUrl::TooLong));
    }

    /// A wallet that follows LUD-17 requests the same URL that the LNURL contains.
    #[test]
    fn both_forms_lead_to_the_same_url() {
        for text in [
            "https://pay.example.com",
            "https://pay.example.com:8443/out",
            "https://203.0.113.7/pay",
            "https://onion.example.com",
            "http://abcdef.onion",
            "http://sub.abcdef.onion:81/pay",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080/a",
        ] {
            let url = PublicUrl::parse(text).unwrap();
            let lnurl = decode(&url.lnurl(&secret())).unwrap();
            assert_eq!(decode(&url.lnurlw(&secret())), Ok(lnurl), "{text}");
        }
    }

    /// The longest public URL still gives an LNURL that wallets can decode.
    #[test]
    fn the_longest_public_url_fits() {
        let long = format!("https://x.example/{}", "a".repeat(380));
        let url = PublicUrl::parse(&long).unwrap();
        assert!(decode(&url.lnurl(&secret())).is_ok());
    }
}
