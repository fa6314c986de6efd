//! Configuration: flags > environment > file > defaults, the defaults being the example file itself.

mod database_url;
mod listen;
mod names;
mod options;
mod places;
mod unreadable;
pub mod variables;

use std::path::{Path, PathBuf};

use config::{Config as Builder, ConfigError, Environment, File, FileFormat, Source};
use serde::Deserialize;

use places::Places;

pub use unreadable::Unreadable;

/// Defaults, manual and test fixture at once.
pub const EXAMPLE: &str = include_str!("../../withdrawd.example.toml");

/// Everything that can be configured. What the keys mean stands in the example file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Config {
    pub data_dir: PathBuf,
    pub network: String,
    pub public_url: String,
    pub store: Store,
    pub keys: Keys,
    pub grpc: Grpc,
    pub lnurl: Lnurl,
    pub admin: Admin,
    pub node: Node,
    pub limits: Limits,
    pub lnd: Lnd,
    pub payments: Payments,
    pub shutdown: Shutdown,
    pub log: Log,
    #[serde(skip)]
    places: Places,
}

/// `[store]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Store {
    pub database_url: String,
    pub migrate: bool,
    pub max_connections: u32,
    pub acquire_timeout_ms: i64,
    pub statement_timeout_ms: i64,
    pub allow_losing_commits_in_a_crash: bool,
}

/// `[keys]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Keys {
    pub master: String,
    pub file: PathBuf,
}

/// `[grpc]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Grpc {
    pub listen: String,
    pub timeout_ms: i64,
    pub max_concurrent_streams: u32,
    pub max_connection_age_s: i64,
}

/// `[lnurl]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Lnurl {
    pub listen: String,
    pub max_connections: usize,
    pub header_timeout_ms: i64,
    pub answer_timeout_ms: i64,
}

/// `[admin]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Admin {
    pub listen: String,
}

/// `[node]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Node {
    pub backend: String,
    pub expected_identity: String,
    pub heartbeat_ms: i64,
    pub heartbeat_stale_ms: i64,
    pub shared: bool,
}

/// `[limits]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Limits {
    pub max_amount_sat: i64,
    pub rolling_24h_sat: i64,
}

/// `[lnd]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Lnd {
    pub endpoint: String,
    pub tls_cert: PathBuf,
    pub macaroon: PathBuf,
    pub connect_timeout_ms: i64,
    pub call_timeout_ms: i64,
    pub payment_timeout_s: i64,
    pub max_parts: u32,
}

/// `[payments]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Payments {
    pub fee_ppm: u32,
    pub fee_floor_msat: i64,
    pub cltv_limit: u32,
    pub min_invoice_life_at_send_s: i64,
    pub max_route_hints: usize,
    pub send_for_s: i64,
    pub send_life_ms: i64,
    pub clock_skew_ms: i64,
    pub node_slack_ms: i64,
    pub max_send_refusals: usize,
    pub answer_overdue_ms: i64,
    pub doubt_after_s: i64,
    pub max_sending: usize,
    pub max_following: usize,
    pub max_in_flight_per_channel: i64,
    pub lease_ms: i64,
    pub poll_ms: i64,
    pub first_look_ms: i64,
    pub slowest_look_ms: i64,
    pub fresh_for_s: i64,
    pub slow_look_s: i64,
    pub late_looks_s: [i64; 2],
    pub claim_grace_s: i64,
    pub expiry_poll_ms: i64,
}

/// `[shutdown]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Shutdown {
    pub wait_ms: i64,
    pub drain_ms: i64,
}

/// `[log]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Log {
    pub level: String,
    pub format: String,
}

/// A setting that cannot be used: names the option, never repeats a secret.
#[derive(Debug, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct BadOption {
    /// As in the example file.
    pub option: &'static str,
    /// What is wrong, or allowed.
    pub rule: String,
}

impl BadOption {
    /// A rule that an option breaks.
    pub fn new(option: &'static str, rule: impl std::fmt::Display) -> Self {
        Self { option, rule: rule.to_string() }
    }
}

/// A key and its value, as flags give them.
pub type Override = (&'static str, String);

impl Config {
    /// Reads the example's defaults, then the file, then the environment, then `overrides`.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Self, Unreadable> {
        let in_file = file.map(keys_of).transpose()?.unwrap_or_default();
        // Texts stay texts until a field asks for a number: a key of 64 decimal digits is no float.
        let environment =
            Environment::with_prefix("WITHDRAWD").prefix_separator("__").separator("__");
        let read = Self::from_sources(file, Some(environment), overrides);
        let mut config = read.map_err(|error| Unreadable::new(&error, file))?;
        config.places = Places::new(file, in_file, overrides);
        Ok(config)
    }

    /// The defaults, with `overrides`; no file and no environment.
    pub fn defaults(overrides: &[Override]) -> Result<Self, ConfigError> {
        Self::from_sources(None, None, overrides)
    }

    fn from_sources(
        file: Option<&Path>,
        environment: Option<Environment>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let mut source = Builder::builder().add_source(File::from_str(EXAMPLE, FileFormat::Toml));
        if let Some(file) = file {
            source = source.add_source(toml(file));
        }
        if let Some(environment) = environment {
            source = source.add_source(environment);
        }
        for (key, value) in overrides {
            source = source.set_override(*key, value.as_str())?;
        }
        source.build()?.try_deserialize()
    }
}

fn toml(file: &Path) -> File<config::FileSourceFile, FileFormat> {
    File::from(file).format(FileFormat::Toml).required(true)
}

/// The options that a file sets; an error if it sets what is none.
fn keys_of(file: &Path) -> Result<std::collections::BTreeSet<String>, Unreadable> {
    let table = toml(file).collect().map_err(|error| Unreadable::new(&error, Some(file)))?;
    let (keys, known) = (names::leaves(&table), names::options());
    let unknown: Vec<_> = keys.difference(&known).collect();
    if unknown.is_empty() { Ok(keys) } else { Err(Unreadable::unknown(file, &unknown)) }
}

/// Database URL and keys are secrets.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_complete_and_valid() {
        let config = Config::defaults(&[]).unwrap();
        assert_eq!(config.grpc_listen().unwrap().to_string(), "127.0.0.1:50051");
        config.payer_options().unwrap();
        config.claim_rules().unwrap();
    }

    #[test]
    fn overrides_win_and_unknown_keys_are_errors() {
        let config = Config::defaults(&[("payments.fee_ppm", "7".into())]).unwrap();
        assert_eq!(config.payments.fee_ppm, 7);
        let unknown = Config::defaults(&[("payments.fee_pmm", "7".into())]);
        assert!(unknown.unwrap_err().to_string().contains("fee_pmm"));
    }

    #[test]
    fn a_line_that_does_not_parse_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "[keys]\nmaster = \"hunter2\" oops\n").unwrap();
        let error = Config::load(Some(&file), &[]).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_file_section_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        let told = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load(Some(&file), &[]).unwrap_err().to_string()
        };
        for (text, words) in [
            (
                "[payments]\nfee_pmm = 7\n",
                "in section [payments], fee_pmm is no option (do you mean payments.fee_ppm?)",
            ),
            (
                "[payment]\nfee_ppm = 7\n",
                "in section [payment], fee_ppm is no option (do you mean payments.fee_ppm?)",
            ),
            (
                "max_amount_sat = 7\n",
                "max_amount_sat is no option (do you mean limits.max_amount_sat?)",
            ),
            (
                "[payments]\nfee_ppm = \"much\"\n",
                "payments.fee_ppm must be an integer, and it is string \"much\"",
            ),
            ("[limits]\nmax_amount_sat = true\nmax_fee = 1\n", "max_fee"),
            ("[log]\nlevel = [1]\n", "log.level must be a string"),
        ] {
            let told = told(text);
            assert!(told.contains(file.to_str().unwrap()) && told.contains(words), "{told}");
        }
        let secret = told("[keys]\nmaster = [\"hunter2\"]\n");
        assert!(secret.contains("keys.master must be a string"), "{secret}");
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn settings_that_make_no_sense_name_their_option() {
        for (key, value) in [
            ("payments.lease_ms", "1000"),
            ("payments.fee_floor_msat", "-1"),
            ("payments.max_sending", "0"),
            ("payments.poll_ms", "0"),
            ("payments.fee_ppm", "1000001"),
            ("payments.max_in_flight_per_channel", "0"),
            ("limits.max_amount_sat", "-1"),
            ("limits.rolling_24h_sat", "2100000000000001"),
            ("node.heartbeat_stale_ms", "1000"),
        ] {
            let config = Config::defaults(&[(key, value.into())]).unwrap();
            assert_eq!(config.schedule().err().or(config.claim_rules().err()).unwrap().option, key);
        }
    }
}
