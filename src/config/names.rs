//! The names of all options, and which one a mistyped name probably means.

use std::collections::BTreeSet;

use config::{File, FileFormat, Map, Source, Value, ValueKind};

use super::EXAMPLE;

/// Every option, as `section.key`: those of the example file.
pub fn options() -> BTreeSet<String> {
    let example = File::from_str(EXAMPLE, FileFormat::Toml).collect();
    leaves(&example.unwrap_or_default())
}

/// The environment variable of an option.
pub fn variable_of(option: &str) -> String {
    format!("WITHDRAWD__{}", option.replace('.', "__").to_uppercase())
}

/// The keys of a file that hold a value, as `section.key`.
pub fn leaves(table: &Map<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(inner) => {
                found.extend(leaves(inner).into_iter().map(|inner| format!("{key}.{inner}")));
            }
            _ => {
                found.insert(key.clone());
            }
        }
    }
    found
}

/// The known name that `name` most likely means, if one is close. A name without its section, or with
/// another one, is close.
pub fn likely<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = plain(name);
    let last = |known: &str| {
        let key = known.rsplit(['.']).next().unwrap_or(known);
        plain(key.rsplit("__").next().unwrap_or(key))
    };
    let ranked = known.into_iter().map(|known| {
        let whole = plain(known);
        let distance = strsim::damerau_levenshtein(&name, &whole);
        let is_part = whole.starts_with(&format!("{name}_"))
            || name == last(known)
            || name.ends_with(&format!("_{}", last(known)));
        (!is_part, distance, known)
    });
    let (no_part, distance, known) = ranked.min()?;
    let near = name.len().max(9) / 3;
    (!no_part || distance <= near).then_some(known)
}

/// Case, repeated underscores and our prefix do not matter.
fn plain(name: &str) -> String {
    let name = name.to_uppercase();
    let parts = name.split(['_', '.', '-']).filter(|part| !part.is_empty());
    parts.skip_while(|part| *part == "WITHDRAWD").collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_options_are_known_by_both_names() {
        let options = options();
        for option in ["network", "limits.max_amount_sat", "payments.late_looks_s", "log.format"] {
            assert!(options.contains(option), "{option}");
        }
        assert_eq!(variable_of("limits.max_amount_sat"), "WITHDRAWD__LIMITS__MAX_AMOUNT_SAT");
    }

    #[test]
    fn a_typo_means_the_nearest_option() {
        let options = options();
        let meant = |name| likely(name, options.iter().map(String::as_str));
        for (typo, option) in [
            ("payments.fee_pmm", "payments.fee_ppm"),
            ("payment.fee_ppm", "payments.fee_ppm"),
            ("fee_ppm", "payments.fee_ppm"),
            ("database_url", "store.database_url"),
            ("limits.rolling_24_sat", "limits.rolling_24h_sat"),
            ("publicurl", "public_url"),
        ] {
            assert_eq!(meant(typo), Some(option), "{typo}");
        }
        for far in ["x", "webhooks.secret_rotation_days", "unrelated_entirely"] {
            assert_eq!(meant(far), None, "{far}");
        }
    }
}
