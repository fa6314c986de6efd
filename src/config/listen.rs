//! The addresses to listen on: `HOST:PORT`, where the host may be a name.

use std::net::{SocketAddr, ToSocketAddrs};

use super::check::Check;

/// The rule, for messages.
const RULE: &str = "must be HOST:PORT, such as 127.0.0.1:50051, localhost:50051 or [::1]:50051";

/// The address of an option.
pub(super) fn check(option: &'static str, text: &str, check: &mut Check) -> SocketAddr {
    let address = check.keep(option, resolve(text));
    address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A name resolves to one address, to IPv4 if there is one: `localhost` is 127.0.0.1, where the command
/// line's `--server` connects.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or(RULE)?;
    let port: u16 = port.parse().map_err(|_| RULE)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(RULE.to_owned());
    }
    let unknown = |why: &str| format!("the host {host} {why}");
    let found = (host, port).to_socket_addrs();
    let found: Vec<_> =
        found.map_err(|error| unknown(&format!("has no address: {error}")))?.collect();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
    address.copied().ok_or_else(|| unknown("has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_names_or_addresses() {
        for (text, address) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("[::1]:0", "[::1]:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:50051", "127.0.0.1:50051"),
        ] {
            assert_eq!(resolve(text).unwrap(), address.parse().unwrap());
        }
        for text in [
            "",
            "nowhere",
            ":50051",
            "localhost",
            "localhost:",
            "localhost:65536",
            "a b:1",
            "::1:80",
        ] {
            let wrong = resolve(text).unwrap_err();
            assert!(wrong.contains("HOST:PORT"), "{text}: {wrong}");
        }
        let wrong = resolve("no-such-host.invalid:1").unwrap_err();
        assert!(wrong.contains("the host no-such-host.invalid has no address"), "{wrong}");
    }
}
