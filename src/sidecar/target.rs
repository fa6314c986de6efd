//! What a request's URL asks for. Wallets, proxies and people write one URL in many ways, so it is
//! normalised before it is matched.
//!
//! The rules: percent-encoding is decoded once; repeated slashes count as one; slashes and white space at
//! the end are dropped; upper case becomes lower case, since QR codes are often in upper case (a secret has
//! none); an encoded `?` begins the query, too. A path with `.` or `..` in it is unknown: it is never
//! resolved, so that it cannot lead anywhere. The path of the public URL may be there or not, since a proxy
//! may strip it.

use percent_encoding::percent_decode_str;

/// What a URL asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// The offer of this secret.
    Withdraw(String),
    /// A claim, with the query as it came.
    Callback(String),
    /// Not one of our URLs.
    Unknown,
}

/// `Debug` prints no secret.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Withdraw(_) => "Withdraw(…)",
            Self::Callback(_) => "Callback(…)",
            Self::Unknown => "Unknown",
        })
    }
}

/// The path of the public URL, normalised for comparison.
#[derive(Clone, Debug)]
pub struct Base(Vec<String>);

impl Base {
    /// From a path such as `/pay/out`; empty for none.
    pub fn new(path: &str) -> Self {
        Self(segments(&decoded(path)).unwrap_or_default())
    }

    /// Reads the path and the query of a request.
    pub fn target(&self, path: &str, query: &str) -> Target {
        let path = decoded(path);
        let (path, early) = path.split_once('?').unwrap_or((path.as_str(), ""));
        let query = if early.is_empty() { query.to_owned() } else { format!("{early}&{query}") };
        let Some(segments) = segments(path) else {
            return Target::Unknown;
        };
        let below = segments.strip_prefix(self.0.as_slice());
        // Below the public URL's path first, since that path may itself look like one of ours.
        let found =
            below.and_then(|below| route(below, &query)).or_else(|| route(&segments, &query));
        found.unwrap_or(Target::Unknown)
    }
}

fn route(segments: &[String], query: &str) -> Option<Target> {
    match segments {
        [only] if only == "cb" => Some(Target::Callback(query.to_owned())),
        [first, secret @ ..] if first == "w" => Some(Target::Withdraw(secret.join("/"))),
        _ => None,
    }
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// None for a path with `.` or `..` in it.
fn segments(path: &str) -> Option<Vec<String>> {
    let parts = path.trim().split('/').filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(str::to_ascii_lowercase).collect();
    let leads_away = parts.iter().any(|part| matches!(part.trim(), "." | ".."));
    (!leads_away).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdefghjkmnpqrs";

    /// A small random generator with the same numbers each time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }

        /// The path as somebody might write it.
        fn rewritten(&mut self, path: &str) -> String {
            let mut written = String::new();
            for letter in path.chars() {
                match (letter, self.below(4)) {
                    ('/', 0) => written.push_str("//"),
                    ('/', 1) => written.push_str("///"),
                    ('/', 2) => written.push_str("%2F"),
                    (_, 0) => written.extend(format!("%{:02x}", u32::from(letter)).chars()),
                    (_, 1) => written.extend(format!("%{:02X}", u32::from(letter)).chars()),
                    (_, 2) => written.push(letter.to_ascii_uppercase()),
                    _ => written.push(letter),
                }
            }
            // A path begins with a slash, or hyper refuses it.
            let tail =
                ["", "/", "//", "%20", "/%20", "%0a"][usize::try_from(self.below(6)).unwrap()];
            format!("/{written}{tail}")
        }
    }

    fn bases() -> [&'static str; 6] {
        ["", "/pay", "/Pay/Out", "/w", "/cb", "/p%61y//out/"]
    }

    #[test]
    fn every_way_to_write_a_path_asks_for_the_same() {
        let mut dice = Dice(7);
        for base in bases() {
            let read = Base::new(base);
            for prefix in ["", base] {
                for _ in 0..500 {
                    let path = dice.rewritten(&format!("{}/w/{SECRET}", decoded(prefix)));
                    let target = read.target(&path, "x=y");
                    assert!(target == Target::Withdraw(SECRET.to_owned()), "{path}");
                    let path = dice.rewritten(&format!("{}/cb", decoded(prefix)));
                    let target = read.target(&path, "k1=a&pr=b");
                    assert!(target == Target::Callback("k1=a&pr=b".to_owned()), "{path}");
                }
            }
        }
    }

    /// Unknown, however it is written, and whatever comes before and after.
    #[test]
    fn a_path_that_would_lead_elsewhere_is_unknown() {
        let mut dice = Dice(11);
        for base in bases() {
            let read = Base::new(base);
            for step in ["..", "."] {
                for path in [
                    format!("/{step}/w/{SECRET}"),
                    format!("/w/{step}/{SECRET}"),
                    format!("/w/{SECRET}/{step}"),
                    format!("/w/{SECRET}/{step}/cb"),
                    format!("/{step}/cb"),
                    format!("/w/{step}/cb"),
                    format!("{base}/{step}/cb"),
                ] {
                    for _ in 0..100 {
                        let path = dice.rewritten(&path);
                        assert_eq!(read.target(&path, ""), Target::Unknown, "{path}");
                    }
                }
            }
        }
    }

    /// No input panics, and only a path with our letters in it can match.
    #[test]
    fn no_path_is_too_odd() {
        let (mut dice, read) = (Dice(13), Base::new("/pay"));
        let letters = [
            "/", "w", "c", "b", ".", "%", "%2", "%2e", "%2F", "%3f", "?", "é", "%ff", "W", "pay",
            "\\",
        ];
        for _ in 0..20_000 {
            let count = dice.below(9);
            let path: String =
                (0..count).map(|_| letters[usize::try_from(dice.below(16)).unwrap()]).collect();
            match read.target(&path, "") {
                Target::Withdraw(_) => assert!(path.to_lowercase().contains('w'), "{path}"),
                Target::Callback(_) => assert!(path.contains('b'), "{path}"),
                Target::Unknown => {}
            }
        }
    }

    #[test]
    fn encoding_is_undone_once_and_a_question_mark_begins_the_query() {
        let read = Base::new("");
        assert_eq!(read.target("/%2577/x", ""), Target::Unknown);
        for (path, query) in
            [("/cb%3Fk1=a&pr=b", ""), ("/cb%3fk1%3Da%26pr%3Db", ""), ("/cb/%3Fk1=a", "pr=b")]
        {
            let Target::Callback(query) = read.target(path, query) else { panic!("{path}") };
            let asked = super::super::query::Callback::parse(&query).unwrap();
            assert_eq!((asked.k1.as_str(), asked.pr.as_str()), ("a", "b"), "{path}");
        }
        let offer = read.target(&format!("/w/{SECRET}%3Flightning=x"), "");
        assert!(offer == Target::Withdraw(SECRET.to_owned()));
        for path in ["/", "", "/x", "/wx", "/cb2", "/cb/x", "/w2/x", "*", "/.git/config"] {
            assert_eq!(read.target(path, ""), Target::Unknown, "{path}");
        }
    }
}
