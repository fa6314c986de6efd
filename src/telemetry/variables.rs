//! The environment variables of OpenTelemetry's specification. The SDK itself reads those of its sampler,
//! its queue and its resource, and ignores what it does not understand; here a mistake is reported.

use std::path::PathBuf;

use http::HeaderName;

use super::InvalidVariable;

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Variables that must be numbers. The SDK and its exporter ignore anything else.
const NUMBERS: [&str; 5] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
];

const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// What the variables set, beyond what the SDK and its exporter read themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// The variable that names the collector, and its value. None: nothing is exported.
    pub endpoint: Option<(&'static str, String)>,
    /// The CA of the collector's certificate, instead of those that browsers trust.
    pub certificate: Option<(&'static str, PathBuf)>,
    /// Our client certificate and its key.
    pub identity: Option<[(&'static str, PathBuf); 2]>,
}

impl Variables {
    /// From the environment of this process.
    pub fn read() -> Result<Self, InvalidVariable> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, InvalidVariable> {
        // An empty variable counts as unset.
        let get =
            |name| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let either = |[first, second]: [&'static str; 2]| get(first).or_else(|| get(second));
        let file = |names| either(names).map(|(name, path)| (name, PathBuf::from(path)));

        if get("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        match get("OTEL_TRACES_EXPORTER") {
            None => {}
            Some((_, exporter)) if exporter == "otlp" => {}
            Some((_, exporter)) if exporter == "none" => return Ok(Self::default()),
            Some((name, _)) => return Err(InvalidVariable::new(name, "must be otlp or none")),
        }
        let Some(endpoint) =
            either(["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
        else {
            return Ok(Self::default());
        };
        let protocol =
            either(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]);
        if let Some((name, protocol)) = protocol
            && protocol != "grpc"
        {
            return Err(InvalidVariable::new(name, "must be grpc (port 4317 of most collectors)"));
        }
        check_sampler(get("OTEL_TRACES_SAMPLER"), get("OTEL_TRACES_SAMPLER_ARG"))?;
        for (name, number) in NUMBERS.into_iter().filter_map(get) {
            if number.parse::<u64>().is_err() {
                return Err(InvalidVariable::new(name, "must be a whole number"));
            }
        }
        for (name, headers) in HEADERS.into_iter().filter_map(get) {
            check_headers(name, &headers)?;
        }
        let certificate =
            file(["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);
        let client = file([
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ]);
        let key = file(["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]);
        let identity = match (client, key) {
            (Some(client), Some(key)) => Some([client, key]),
            (None, None) => None,
            (Some((name, _)), None) | (None, Some((name, _))) => {
                return Err(InvalidVariable::new(
                    name,
                    "client certificate and client key must be set together",
                ));
            }
        };
        Ok(Self { endpoint: Some(endpoint), certificate, identity })
    }
}

fn check_sampler(
    sampler: Option<(&'static str, String)>,
    argument: Option<(&'static str, String)>,
) -> Result<(), InvalidVariable> {
    let Some((name, sampler)) = sampler else { return Ok(()) };
    if !SAMPLERS.contains(&sampler.as_str()) {
        return Err(InvalidVariable::new(name, format!("must be one of {}", SAMPLERS.join(", "))));
    }
    let is_share = |text: &str| text.parse().is_ok_and(|share: f64| (0.0..=1.0).contains(&share));
    match argument {
        Some((name, share)) if sampler.ends_with("traceidratio") && !is_share(&share) => {
            Err(InvalidVariable::new(name, "must be a number from 0 to 1"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses malformed headers: an ignored one may hold the credential. No value is ever repeated.
fn check_headers(name: &'static str, headers: &str) -> Result<(), InvalidVariable> {
    let is_header = |entry: &str| {
        let Some((key, value)) = entry.split_once('=') else { return false };
        HeaderName::from_bytes(key.trim().as_bytes()).is_ok() && !value.trim().is_empty()
    };
    if headers.split(',').all(|entry| entry.trim().is_empty() || is_header(entry)) {
        return Ok(());
    }
    Err(InvalidVariable::new(name, "must be KEY=VALUE, separated by commas"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Variables, String> {
        let find = |name: &str| given.iter().find(|(given, _)| *given == name);
        let read = Variables::of(|name| find(name).map(|(_, value)| (*value).to_owned()));
        read.map_err(|wrong| wrong.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    #[test]
    fn nothing_is_exported_unless_a_collector_is_named() {
        let silent = Ok(Variables::default());
        assert_eq!(read(&[]), silent);
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), silent);
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]), silent);
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), silent);
        // Then nothing else is checked.
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), silent);
    }

    #[test]
    fn the_variables_of_traces_win_over_those_of_everything() {
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces:4317");
        let both = read(&[
            ENDPOINT,
            own,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ]);
        let both = both.unwrap();
        assert_eq!(both.endpoint, Some((own.0, own.1.to_owned())));
        assert_eq!(both.certificate.unwrap().1, PathBuf::from("/ca.pem"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_reported_with_its_variable() {
        for wrong in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5e3"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2,048"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer swordfish"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=payouts,swordfish"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x tenant=swordfish"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization="),
        ] {
            let said = read(&[ENDPOINT, wrong]).unwrap_err();
            assert!(said.starts_with(wrong.0), "{said}");
            assert!(!said.contains("swordfish"), "{said}");
        }
        for right in [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x==, x-tenant = payouts,"),
        ] {
            read(&[ENDPOINT, right]).unwrap();
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
        assert!(read(&[ENDPOINT, ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.25")]).is_ok());
        for share in ["1.5", "-1", "a quarter", "NaN"] {
            let said = read(&[ENDPOINT, ratio, ("OTEL_TRACES_SAMPLER_ARG", share)]);
            assert!(said.unwrap_err().starts_with("OTEL_TRACES_SAMPLER_ARG"), "{share}");
        }
    }
}
