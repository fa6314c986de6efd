//! Configuration: flags > environment > file > defaults. The example file has the defaults.
//!
//! Each section has a file: what is read, and how it is checked. [`Config::check`] turns all of it into
//! [`Settings`] before anything is bound or written, and reports every mistake at once, each with its
//! section, its key, and the place where it was set.

mod admin;
mod check;
mod database_url;
mod grpc;
mod keys;
mod limits;
mod listen;
mod lnd;
mod lnurl;
mod log;
mod names;
mod node;
mod payments;
mod places;
mod roles;
mod settings;
mod shutdown;
mod store;
mod types;
pub mod variables;

use std::path::{Path, PathBuf};

use config::{
    Config as Builder, ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind,
};
use serde::Deserialize;

use places::Places;

pub use admin::Admin;
pub use check::{Mistake, Mistakes};
pub use grpc::{Grpc, GrpcSettings};
pub use keys::{KeySettings, Keys, read_keys};
pub use limits::Limits;
pub use lnd::{Lnd, LndSettings};
pub use lnurl::{Lnurl, LnurlSettings};
pub use log::Log;
pub use node::{Backend, Node, NodeSettings};
pub use payments::Payments;
pub use roles::{InvalidRoles, Roles};
pub use settings::{PublicUrlSetting, Settings};
pub use shutdown::{Shutdown, ShutdownSettings};
pub use store::{Store, StoreSettings};

/// The example file: defaults, manual and test fixture at once.
pub const EXAMPLE: &str = include_str!("../../withdrawd.example.toml");

/// Everything that can be configured, as it was given. The example file documents the keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Config {
    pub roles: String,
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
    /// Unknown keys, and values of wrong types: reported with all other mistakes.
    #[serde(skip)]
    mistakes: Vec<Mistake>,
}

/// Why a configuration cannot be read at all. The parser's copy of the line that it does not understand is
/// left out, since that line may hold a key.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be read: {0}")]
pub struct Unreadable(String);

/// A key and its value, as flags give them.
pub type Override = (&'static str, String);

impl Config {
    /// Reads the example's defaults, then the file, then the environment, then `overrides`.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Self, Unreadable> {
        check_texts(std::env::vars_os())?;
        let given = file.map(read).transpose()?;
        // Texts stay texts until a field asks for a number: a key of 64 decimal digits is no float.
        let environment =
            Environment::with_prefix("WITHDRAWD").prefix_separator("__").separator("__");
        let read = Self::from_sources(given.clone(), Some(environment), overrides);
        // What stands in the environment may be a secret: only its place is told.
        let mut config = read.map_err(|_| Unreadable("the environment".to_owned()))?;
        let in_file = given.map(|given| names::leaves(&given)).unwrap_or_default();
        config.places = Places::new(file, in_file, overrides);
        Ok(config)
    }

    /// The defaults, with `overrides`; no file and no environment.
    pub fn defaults(overrides: &[Override]) -> Result<Self, ConfigError> {
        Self::from_sources(None, None, overrides)
    }

    fn from_sources(
        file: Option<Map<String, Value>>,
        environment: Option<Environment>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let example = File::from_str(EXAMPLE, FileFormat::Toml);
        let defaults = example.collect()?;
        let mut source = Builder::builder().add_source(example);
        if let Some(file) = file {
            source = source.add_source(Given(file));
        }
        if let Some(environment) = environment {
            source = source.add_source(environment);
        }
        for (key, value) in overrides {
            source = source.set_override(*key, value.as_str())?;
        }
        let mut given: Map<String, Value> = source.build()?.collect()?;
        let mistakes = types::check_types(&mut given, &defaults);
        let read = Self::deserialize(Value::new(None, ValueKind::Table(given)))?;
        Ok(Self { mistakes, ..read })
    }
}

/// What a file says, as a source.
#[derive(Clone, Debug)]
struct Given(Map<String, Value>);

impl Source for Given {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Reads a file. A parser shows the line that it does not understand: it is left out, since it may hold a
/// key.
fn read(file: &Path) -> Result<Map<String, Value>, Unreadable> {
    let place = file.display();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Unreadable(format!("{place}: {error}")))?;
    File::from_str(&text, FileFormat::Toml).collect().map_err(|error| {
        let error = match &error {
            ConfigError::FileParse { cause, .. } => cause.to_string(),
            _ => "it is not valid TOML".to_owned(),
        };
        let shown = error.lines().filter(|line| !line.contains('|')).map(str::trim);
        Unreadable(format!("{place}: {}", shown.collect::<Vec<_>>().join(" ")))
    })
}

/// Refuses variables of ours that are not UTF-8, by their name: the library that reads the environment would
/// repeat the value, which may be a secret.
fn check_texts(
    environment: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<(), Unreadable> {
    for (name, value) in environment {
        let name = name.to_string_lossy();
        if name.to_uppercase().starts_with("WITHDRAWD") && value.to_str().is_none() {
            return Err(Unreadable(format!("{name} is not UTF-8")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_complete_and_valid() {
        let settings = Config::defaults(&[]).unwrap().check().unwrap();
        assert_eq!(settings.grpc.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(settings.roles, Roles::ALL);
    }

    fn mistakes_of(config: &Config) -> Vec<String> {
        config.check().unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn overrides_win_and_unknown_keys_are_errors() {
        let config = Config::defaults(&[("payments.fee_ppm", "7".into())]).unwrap();
        assert_eq!(config.payments.fee_ppm, 7);
        let unknown = Config::defaults(&[("payments.fee_pmm", "7".into())]).unwrap();
        assert_eq!(
            mistakes_of(&unknown),
            ["payments.fee_pmm: is not an option (did you mean payments.fee_ppm?)"]
        );
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
    fn mistakes_in_a_file_are_reported_with_file_section_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        let reported = |text: &str| {
            std::fs::write(&file, text).unwrap();
            mistakes_of(&Config::load(Some(&file), &[]).unwrap())
        };
        let here = format!("(set in {})", file.display());
        for (text, words) in [
            (
                "[payments]\nfee_pmm = 7\n",
                "payments.fee_pmm: is not an option (did you mean payments.fee_ppm?)",
            ),
            (
                "[payment]\nfee_ppm = 7\n",
                "payment.fee_ppm: is not an option (did you mean payments.fee_ppm?)",
            ),
            (
                "max_amount_sat = 7\n",
                "max_amount_sat: is not an option (did you mean limits.max_amount_sat?)",
            ),
            (
                "[payments]\nfee_ppm = \"much\"\n",
                "payments.fee_ppm: must be an integer, but it is a string",
            ),
            ("[log]\nlevel = [1]\n", "log.level: must be a string, but it is a list"),
            (
                "[store]\nmigrate = 1\n",
                "store.migrate: must be true or false, but it is an integer",
            ),
            ("[keys]\nmaster = [\"hunter2\"]\n", "keys.master: must be a string, but it is a list"),
            ("keys = \"hunter2\"\n", "keys: must be a section, but it is a string"),
            ("[payments]\nfee_ppm = 2000000\n", "payments.fee_ppm: must be from 0 to 1000000"),
        ] {
            assert_eq!(reported(text), [format!("{words} {here}")]);
        }
    }

    #[test]
    fn a_secret_in_the_place_of_its_files_path_is_not_repeated() {
        let hex = "0201036c6e64".repeat(20);
        for (key, words) in [
            ("lnd.macaroon", "lnd.macaroon: must be the path of a file, not what is in it"),
            ("keys.file", "keys.file: must be the path of a file, not a key"),
        ] {
            let config = Config::defaults(&[("node.backend", "lnd".into()), (key, hex.clone())]);
            let reported = mistakes_of(&config.unwrap());
            assert!(reported.iter().any(|line| line == words), "{reported:?}");
            assert!(!reported.iter().any(|line| line.contains(&hex)), "{reported:?}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_a_mistake_and_is_not_repeated() {
        use std::{ffi::OsString, os::unix::ffi::OsStringExt};

        let checked = |name: &str| {
            let value = OsString::from_vec(b"hunter2\xff".to_vec());
            check_texts([(name.into(), value)].into_iter()).map_err(|error| error.to_string())
        };
        let refused = checked("WITHDRAWD__KEYS__MASTER").unwrap_err();
        assert!(refused.ends_with("WITHDRAWD__KEYS__MASTER is not UTF-8"), "{refused}");
        assert_eq!(checked("ELSEWHERE"), Ok(()));
    }

    /// Whoever fixes a configuration sees all mistakes at once.
    #[test]
    fn all_mistakes_are_reported_at_once() {
        let config = Config::defaults(&[
            ("roles", "everything".into()),
            ("network", "mars".into()),
            ("public_url", "ftp://example.org".into()),
            ("store.database_url", "mysql://u:hunter2@h/d".into()),
            ("keys.master", "hunter2".into()),
            ("grpc.listen", "nowhere".into()),
            ("node.backend", "abacus".into()),
            ("payments.fee_ppm", "much".into()),
            ("payments.feee_ppm", "7".into()),
            ("payments.lease_ms", "1".into()),
            ("log.format", "xml".into()),
        ]);
        let reported = mistakes_of(&config.unwrap());
        for option in [
            "roles (--roles)",
            "network",
            "public_url",
            "store.database_url",
            "keys.master",
            "grpc.listen (--grpc-listen)",
            "node.backend",
            "payments.fee_ppm",
            "payments.feee_ppm",
            "payments.lease_ms",
            "log.format",
        ] {
            let of_option = reported.iter().filter(|line| line.starts_with(&format!("{option}: ")));
            assert_eq!(of_option.count(), 1, "{option}: {reported:?}");
        }
        assert_eq!(reported.len(), 11, "{reported:?}");
        assert!(!reported.iter().any(|line| line.contains("hunter2")), "{reported:?}");
    }

    #[test]
    fn roles_ask_for_what_they_need_and_for_nothing_else() {
        let url = || ("store.database_url", "postgres://user@host/db".to_owned());
        let with = |roles: &str, more: &[Override]| {
            let mut settings =
                vec![("roles", roles.to_owned()), ("node.backend", "lnd".to_owned())];
            settings.extend_from_slice(more);
            Config::defaults(&settings).unwrap()
        };
        let lnurl =
            with("lnurl", &[url(), ("keys.master", "not read".to_owned())]).check().unwrap();
        assert!(lnurl.node.is_none() && lnurl.keys.is_none());
        let public_url = ("public_url", "https://pay.example".to_owned());
        let grpc = with("grpc", &[url(), public_url]).check().unwrap();
        assert!(grpc.node.is_none() && grpc.keys.is_some());
        for (roles, settings, words) in [
            ("payer", vec![url()], "lnd.macaroon (--lnd-macaroon): is required with lnd"),
            ("grpc", vec![url()], "public_url: is required with the role grpc and without lnurl"),
            ("lnurl", vec![], "set store.database_url"),
        ] {
            let reported = mistakes_of(&with(roles, &settings));
            assert!(reported.len() == 1 && reported[0].contains(words), "{roles}: {reported:?}");
        }
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
            let Mistakes(wrong) =
                Config::defaults(&[(key, value.into())]).unwrap().check().unwrap_err();
            assert!(wrong.iter().any(|mistake| mistake.option == key), "{key}: {wrong:?}");
        }
    }
}
