//! The addresses to listen on: `HOST:PORT`, where the host may have a name.

use std::net::{SocketAddr, ToSocketAddrs};

use super::{BadOption, Config};

/// What must be written.
const RULE: &str = "must be HOST:PORT, such as 127.0.0.1:50051, localhost:50051 or [::1]:50051";

impl Config {
    /// Where gRPC listens.
    pub fn grpc_listen(&self) -> Result<SocketAddr, BadOption> {
        resolve("grpc.listen (--grpc-listen)", &self.grpc.listen)
    }

    /// Where the public side listens.
    pub fn lnurl_listen(&self) -> Result<SocketAddr, BadOption> {
        resolve("lnurl.listen (--lnurl-listen)", &self.lnurl.listen)
    }

    /// Where probes and Prometheus ask.
    pub fn admin_listen(&self) -> Result<SocketAddr, BadOption> {
        resolve("admin.listen (--admin-listen)", &self.admin.listen)
    }
}

/// A name stands for one address, of IPv4 if it has one: `localhost` is 127.0.0.1, where the command
/// line's `--server` asks.
fn resolve(option: &'static str, text: &str) -> Result<SocketAddr, BadOption> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| BadOption::new(option, RULE))?;
    let port: u16 = port.parse().map_err(|_| BadOption::new(option, RULE))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(BadOption::new(option, RULE));
    }
    let unknown = |why: &str| BadOption::new(option, format!("the host {host} {why}"));
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
            assert_eq!(resolve("grpc.listen", text).unwrap(), address.parse().unwrap());
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
            let wrong = resolve("grpc.listen", text).unwrap_err().to_string();
            assert!(wrong.contains("HOST:PORT"), "{text}: {wrong}");
        }
        let wrong = resolve("grpc.listen", "no-such-host.invalid:1").unwrap_err().to_string();
        assert!(wrong.contains("the host no-such-host.invalid has no address"), "{wrong}");
    }
}
