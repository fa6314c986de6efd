//! Reads a database URL as libpq does, and as managed databases print it.
//!
//! In addition to `postgres://user:password@host:5432/database` there is the form whose host is in the
//! query: `postgres://user:password@/database?host=/socket/directory`. sqlx's parser refuses this form, so
//! user and password are moved to the query, too. Parameters that the parser would ignore, with their
//! values in the log, are refused here by name. No message repeats what could be a password.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgConnectOptions;
use url::form_urlencoded;

const RULE: &str = "must be postgres://USER:PASSWORD@HOST:5432/DATABASE, or \
    postgres://USER:PASSWORD@/DATABASE?host=/SOCKET/DIRECTORY; in a name or password, @ is written %40, \
    : %3A, / %2F, ? %3F, # %23 and % %25";

/// The parameters that sqlx's parser knows.
const KNOWN: [&str; 18] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
];

/// Parameters that managed databases print and that change nothing here: we have a timeout of our own, and
/// connect to one server, which is tested for writes. The driver does not support channel binding: if the
/// URL requires it ([`wants_channel_binding`]), a warning is logged at the start.
const IGNORED: [&str; 3] = ["connect_timeout", "target_session_attrs", "channel_binding"];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Whether the URL requires SCRAM bound to the TLS channel, which is not supported.
pub fn wants_channel_binding(url: &str) -> bool {
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    query.split('&').any(|pair| pair == "channel_binding=require")
}

/// Parses a URL, or says what is wrong with it.
pub fn parse(url: &str) -> Result<PgConnectOptions, String> {
    let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or_else(|| RULE.to_owned())?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    let stray = user.contains('@')
        || database.contains('@')
        || rest.contains('#')
        || (user.is_empty() && query.contains('@') && !query.contains("user="));
    if stray {
        return Err(format!("has an @ or a # in a wrong place; it {RULE}"));
    }
    let mut pairs = parameters(query)?;
    if server.contains(',') {
        return Err(several_hosts());
    }
    let server = match server.strip_prefix(':') {
        Some(port) => {
            pairs.push(("port".to_owned(), port.to_owned()));
            ""
        }
        None => server,
    };
    let mut authority = authority;
    if server.is_empty() {
        authority = "";
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        for (key, encoded) in [("user", name), ("password", password)] {
            if !encoded.is_empty() {
                let text = percent_decode_str(encoded).decode_utf8();
                let text = text.map_err(|_| format!("is not UTF-8; it {RULE}"))?;
                pairs.push((key.to_owned(), text.into_owned()));
            }
        }
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let options = PgConnectOptions::from_str(&format!("postgres://{authority}/{database}?{query}"))
        .map_err(|_| format!("is not a Postgres URL; it {RULE}"))?;
    // An IPv6 address is in brackets in a URL, which no resolver understands.
    let bare = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let bare = bare.map(str::to_owned);
    Ok(match bare {
        Some(host) => options.host(&host),
        None => options,
    })
}

/// The parameters of the query, without the ignored ones.
fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut kept = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let key = key.into_owned();
        let option = key.strip_prefix("options[").is_some_and(|rest| rest.ends_with(']'));
        if IGNORED.contains(&key.as_str()) {
            continue;
        }
        if !KNOWN.contains(&key.as_str()) && !option {
            // It may be part of a password with a ? in it, so it is not repeated.
            return Err(format!(
                "has a parameter that is not among these: {}, {}",
                KNOWN.join(", "),
                IGNORED.join(", ")
            ));
        }
        if matches!(key.as_str(), "sslmode" | "ssl-mode") && !SSL_MODES.contains(&&*value) {
            return Err(format!(
                "has an sslmode that is not among these: {}",
                SSL_MODES.join(", ")
            ));
        }
        if matches!(key.as_str(), "host" | "hostaddr" | "port") && value.contains(',') {
            return Err(several_hosts());
        }
        if key == "port" && value.parse::<u16>().is_err() {
            return Err("has a port that is not a number from 1 to 65535".to_owned());
        }
        kept.push((key, value.into_owned()));
    }
    Ok(kept)
}

fn several_hosts() -> String {
    "names several hosts; name only the one that leads to the server that takes writes".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> PgConnectOptions {
        parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn socket(options: &PgConnectOptions) -> Option<&str> {
        options.get_socket().and_then(|path| path.to_str())
    }

    #[test]
    fn libpqs_form_names_the_server_in_the_query() {
        for url in [
            "postgres://user:p%40s%2Bs@/db?host=/socket/dir",
            "postgresql://user:p%40s%2Bs@/db?host=%2Fsocket%2Fdir&sslmode=disable",
            "postgres://user:p%40s%2Bs@:5433/db?host=/socket/dir&connect_timeout=10",
            "postgres:///db?host=/socket/dir&user=user&password=p%40s%2Bs",
            "postgres://user:p%40s%2Bs@%2Fsocket%2Fdir/db",
        ] {
            let options = read(url);
            assert_eq!(socket(&options), Some("/socket/dir"), "{url}");
            let port = if url.contains("5433") { 5433 } else { 5432 };
            let found = (options.get_username(), options.get_database(), options.get_port());
            assert_eq!(found, ("user", Some("db"), port), "{url}");
            // Only `Debug` shows the password.
            assert!(format!("{options:?}").contains("p@s+s"), "{url}: {options:?}");
        }
    }

    #[test]
    fn a_host_may_stand_in_either_place() {
        for (url, host, port) in [
            ("postgres://user@host.example:5433/db", "host.example", 5433),
            ("postgres://user@/db?host=host.example&port=5433", "host.example", 5433),
            (
                "postgres://user:pw@host.example/db?sslmode=require&channel_binding=require",
                "host.example",
                5432,
            ),
            ("postgres://user@[2001:db8::1]:5433/db", "2001:db8::1", 5433),
        ] {
            let options = read(url);
            assert_eq!((options.get_host(), options.get_port()), (host, port), "{url}");
            assert_eq!(socket(&options), None, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_is_shown() {
        for (url, part) in [
            ("mysql://user:hunter2@host/db", "postgres://"),
            ("postgres://user:hunter2@one:5432,two:5432/db", "several hosts"),
            ("postgres://user:hunter2@/db?host=/one,/two", "several hosts"),
            ("postgres://user:hunter2@host:no/db", "HOST:5432"),
            ("postgres://user:hunter2@/db?host=/one&port=no", "65535"),
            ("postgres://user:hunter2@host/db?sslmode=yes", "verify-full"),
            ("postgres://user:hunter2@host/db?sslpassword=hunter2", "sslrootcert"),
            ("postgres://user:hun/hunter2@host/db", "%2F"),
            ("postgres://user:hun?hunter2@host/db", "%3F"),
            ("postgres://user:hun#hunter2@host/db", "%23"),
            ("postgres://user:hun@hunter2@host/db", "%40"),
        ] {
            let said = parse(url).map(|options| options.get_host().to_owned()).unwrap_err();
            assert!(said.contains(part) && !said.contains("hunter2"), "{url}: {said}");
        }
    }
}
