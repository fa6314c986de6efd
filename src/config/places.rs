//! Where an option got its value, for messages that say what to change.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Config, Override,
    check::{Mistake, Mistakes},
    names::variable_of,
};

/// The options that were set, by place.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    file: Option<PathBuf>,
    in_file: BTreeSet<String>,
    by_flags: BTreeSet<&'static str>,
}

impl Places {
    pub(super) fn new(
        file: Option<&Path>,
        in_file: BTreeSet<String>,
        overrides: &[Override],
    ) -> Self {
        let by_flags = overrides.iter().map(|(key, _)| *key).collect();
        Self { file: file.map(Path::to_owned), in_file, by_flags }
    }
}

impl Config {
    /// Where the configuration comes from, for the log of a start.
    pub fn source(&self) -> String {
        self.places.file.as_ref().map_or_else(
            || "no file (defaults, environment and flags)".to_owned(),
            |file| format!("{} (environment and flags win over it)", file.display()),
        )
    }

    /// The same mistakes, each with the place where the option was set.
    pub(super) fn with_places(&self, Mistakes(mistakes): Mistakes) -> Mistakes {
        Mistakes(mistakes.into_iter().map(|mistake| self.with_place(mistake)).collect())
    }

    /// The same mistake, with the place where the option was set.
    pub fn with_place(&self, mistake: Mistake) -> Mistake {
        // The flag's name may follow.
        let option = mistake.option.split(' ').next().unwrap_or(&mistake.option);
        let variable = variable_of(option);
        let set = |name: &str| {
            std::env::vars_os().any(|(given, _)| given.to_string_lossy().to_uppercase() == name)
        };
        let place = if self.places.by_flags.contains(option) {
            "set by a flag".to_owned()
        } else if set(&variable) {
            format!("set by {variable}")
        } else if let Some(file) = &self.places.file
            && self.places.in_file.contains(option)
        {
            format!("set in {}", file.display())
        } else {
            return mistake;
        };
        Mistake { rule: format!("{} ({place})", mistake.rule), ..mistake }
    }
}
