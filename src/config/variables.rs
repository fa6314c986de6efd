//! Checks the environment. A variable that begins with `WITHDRAWD_` is meant for this program. One that
//! nothing reads is a mistake: the limit that it was meant to set would not hold.
//!
//! Options and the variables of the command line are known. Kubernetes adds "service links" to every pod for
//! a Service of this name (`WITHDRAWD_PORT=tcp://…`); these are recognized and ignored. The tests' own
//! variables are refused, since tests do not pass them on to this program.

use std::net::IpAddr;

use super::names::{likely, options, variable_of};

const PREFIX: &str = "WITHDRAWD_";
/// A name without our prefix, but with our double underscores, is a typo if it is this close to an option's
/// name.
const NEAR: usize = 2;

/// Variables that nothing reads. Their values may be secret, and are not repeated.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct UnreadVariables(Vec<String>);

/// Checks the environment. `commands` are the variables that the command line itself reads.
pub fn check<'c>(
    commands: impl IntoIterator<Item = &'c str>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), UnreadVariables> {
    let commands: Vec<&str> = commands.into_iter().collect();
    let options: Vec<String> = options().iter().map(|option| variable_of(option)).collect();
    let known = || options.iter().map(String::as_str).chain(commands.iter().copied());
    let mut unread = Vec::new();
    for (name, value) in environment {
        let upper = name.to_uppercase();
        let read = options.contains(&upper) || commands.contains(&name.as_str());
        let ours = upper.starts_with(PREFIX);
        if read || ours && is_service_link(&name, &value) {
            continue;
        }
        let meant = if ours {
            likely(&name, known())
        } else if upper.contains("__") {
            let near = |option: &&str| strsim::damerau_levenshtein(&upper, option) <= NEAR;
            options.iter().map(String::as_str).find(near)
        } else {
            None
        };
        let advice = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None if ours => {
                "options are WITHDRAWD__SECTION__KEY, as in withdrawd.example.toml".to_owned()
            }
            None => continue,
        };
        unread.push(format!("{name} is set, and nothing reads it: {advice}"));
    }
    unread.sort();
    if unread.is_empty() { Ok(()) } else { Err(UnreadVariables(unread)) }
}

/// Whether this is a service link of Kubernetes, for a Service whose name begins with withdrawd. Name **and**
/// value must match, so that a mistyped option is not taken for one.
fn is_service_link(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    if rest.starts_with('_') || rest.contains("__") || !rest.bytes().all(is_link_byte) {
        return false;
    }
    let rest = format!("_{rest}");
    let is_number = |text: &str| text.parse::<u16>().is_ok();
    let is_address = || value.parse::<IpAddr>().is_ok();
    let is_url = || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if rest.ends_with("_SERVICE_HOST") {
        return is_address();
    }
    // The port's name may follow.
    if rest.ends_with("_SERVICE_PORT") || rest.contains("_SERVICE_PORT_") {
        return is_number(value);
    }
    if rest.ends_with("_PORT") && is_url() {
        return true;
    }
    // _PORT_50051_TCP, alone or with _PROTO, _PORT or _ADDR behind it.
    let Some((_, port)) = rest.rsplit_once("_PORT_").filter(|(_, port)| starts_with_digit(port))
    else {
        return false;
    };
    match port.split('_').collect::<Vec<_>>()[..] {
        [port, "TCP" | "UDP" | "SCTP"] => is_number(port) && is_url(),
        [port, "TCP" | "UDP" | "SCTP", "PROTO"] => {
            is_number(port) && matches!(value, "tcp" | "udp" | "sctp")
        }
        [port, "TCP" | "UDP" | "SCTP", "PORT"] => is_number(port) && is_number(value),
        [port, "TCP" | "UDP" | "SCTP", "ADDR"] => is_number(port) && is_address(),
        _ => false,
    }
}

const fn is_link_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(name: &str, value: &str) -> Option<String> {
        let environment =
            [(name.to_owned(), value.to_owned()), ("PATH".to_owned(), "/bin".to_owned())];
        check(["WITHDRAWD_CONFIG", "WITHDRAWD_SERVER"], environment)
            .err()
            .map(|reported| reported.to_string())
    }

    #[test]
    fn a_variable_that_nothing_reads_is_reported_with_the_likely_one() {
        for (name, meant) in [
            ("WITHDRAWD_LIMITS__MAX_AMOUNT_SAT", "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT"),
            ("WITHDRAWD__LIMITS_MAX_AMOUNT_SAT", "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT"),
            ("WITHDRAWD__LIMIT__MAX_AMOUNT_SATS", "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT"),
            ("WITHDRAWD___LIMITS__ROLLING_24H_SAT", "WITHDRAWD__LIMITS__ROLLING_24H_SAT"),
            ("WITHDRAWD__MAX_AMOUNT_SAT", "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT"),
            ("WITHDRAWD_DATABASE_URL", "WITHDRAWD__STORE__DATABASE_URL"),
            ("WITHDRAWD_NETWORK", "WITHDRAWD__NETWORK"),
            ("WITHDRAWD_LOG", "WITHDRAWD__LOG__LEVEL"),
            ("WITHDRAWD__PAYMENTS__FEE_PMM", "WITHDRAWD__PAYMENTS__FEE_PPM"),
            ("WITHDRAWD__SERVER", "WITHDRAWD_SERVER"),
            ("withdrawd_config", "WITHDRAWD_CONFIG"),
            ("WITHDRAWD_CONFG", "WITHDRAWD_CONFIG"),
            // Without our prefix, yet close to our options.
            ("WITHDRAW__LIMITS__MAX_AMOUNT_SAT", "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT"),
            ("WITHDRAWAD__NETWORK", "WITHDRAWD__NETWORK"),
        ] {
            let reported = reported(name, "hunter2").unwrap_or_else(|| panic!("{name} is ignored"));
            assert!(reported.contains(&format!("{name} is set")), "{reported}");
            assert!(reported.ends_with(&format!("did you mean {meant}?")), "{reported}");
            assert!(!reported.contains("hunter2"), "{reported}");
        }
        for name in ["WITHDRAWD_", "WITHDRAWD_TEST_POSTGRES_URL", "WITHDRAWD_XYZZY_PLUGH_FROBOZZ"] {
            assert!(reported(name, "1").unwrap().contains(name), "{name}");
        }
    }

    #[test]
    fn known_variables_and_those_of_others_are_no_mistake() {
        for name in [
            "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT",
            "WITHDRAWD__PAYMENTS__LATE_LOOKS_S",
            // The case of an option's variable does not matter; that of the others does.
            "withdrawd__network",
            "WITHDRAWD_CONFIG",
            "WITHDRAWD_SERVER",
            "WITHDRAW_FROM",
            "OTHERD__LIMITS__MAX_AMOUNT_SAT",
            "HOME",
        ] {
            assert_eq!(reported(name, "1"), None, "{name}");
        }
    }

    /// What the kubelet writes for the Services `withdrawd` and `withdrawd-grpc`.
    #[test]
    fn service_links_of_kubernetes_are_ignored_and_nothing_that_only_looks_like_one() {
        for (name, value) in [
            ("WITHDRAWD_SERVICE_HOST", "10.0.171.239"),
            ("WITHDRAWD_SERVICE_HOST", "fd00::7"),
            ("WITHDRAWD_SERVICE_PORT", "50051"),
            ("WITHDRAWD_SERVICE_PORT_GRPC", "50051"),
            ("WITHDRAWD_PORT", "tcp://10.0.171.239:50051"),
            ("WITHDRAWD_PORT_50051_TCP", "tcp://10.0.171.239:50051"),
            ("WITHDRAWD_PORT_50051_TCP_PROTO", "tcp"),
            ("WITHDRAWD_PORT_50051_TCP_PORT", "50051"),
            ("WITHDRAWD_PORT_50051_TCP_ADDR", "10.0.171.239"),
            ("WITHDRAWD_GRPC_SERVICE_HOST", "10.0.171.239"),
            ("WITHDRAWD_GRPC_SERVICE_PORT_HTTP2", "443"),
            ("WITHDRAWD_GRPC_PORT", "tcp://[fd00::7]:50051"),
            ("WITHDRAWD_GRPC_PORT_53_UDP_ADDR", "fd00::7"),
        ] {
            assert_eq!(reported(name, value), None, "{name}={value}");
        }
        for (name, value) in [
            ("WITHDRAWD_PORT", "50051"),
            ("WITHDRAWD_SERVICE_HOST", "localhost"),
            ("WITHDRAWD_SERVICE_PORT", "tcp"),
            ("WITHDRAWD_PORT_GRPC_TCP", "tcp://10.0.171.239:50051"),
            ("WITHDRAWD__SERVICE_HOST", "10.0.171.239"),
            ("withdrawd_port", "tcp://10.0.171.239:50051"),
            ("WITHDRAWD_LIMITS", "tcp://10.0.171.239:50051"),
        ] {
            assert!(reported(name, value).is_some(), "{name}={value}");
        }
    }

    #[test]
    fn all_of_them_are_reported_at_once() {
        let environment =
            ["WITHDRAWD_A", "WITHDRAWD_B"].map(|name| (name.to_owned(), String::new()));
        let reported = check([], environment).unwrap_err().to_string();
        assert!(
            reported.contains("WITHDRAWD_A is set") && reported.contains("WITHDRAWD_B is set"),
            "{reported}"
        );
    }
}
