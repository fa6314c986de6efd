//! Collects every mistake in a configuration: checking goes on after the first one.
//!
//! A check that fails records a [`Mistake`] and returns a placeholder. The placeholder is never used, since
//! a configuration with a mistake yields no settings.

use std::{fmt, ops::RangeInclusive};

use crate::domain::{Millis, Sat};

/// The longest time that an option may have: sums of longer ones could overflow.
const LONGEST: Millis = Millis::from_secs(366 * 24 * 3600);

/// A setting that cannot be used. Names the option and never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {rule}")]
pub struct Mistake {
    /// As in the example file.
    pub option: String,
    /// What is wrong, or allowed.
    pub rule: String,
}

impl Mistake {
    /// A rule that an option breaks.
    pub fn new(option: impl Into<String>, rule: impl fmt::Display) -> Self {
        Self { option: option.into(), rule: rule.to_string() }
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => only.fmt(f),
            all => {
                write!(f, "{} settings cannot be used:", all.len())?;
                all.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

/// The mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Check(Vec<Mistake>);

impl Check {
    /// Continues with these.
    pub const fn of(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes)
    }

    /// The settings, or all mistakes.
    pub fn finish<T>(self, settings: T) -> Result<T, Mistakes> {
        if self.0.is_empty() { Ok(settings) } else { Err(Mistakes(self.0)) }
    }

    pub fn refuse(&mut self, option: impl Into<String>, rule: impl fmt::Display) {
        let mistake = Mistake::new(option, rule);
        // One option may be read for several settings.
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// What was read; or none, and the mistake is recorded.
    pub fn keep<T>(
        &mut self,
        option: &'static str,
        read: Result<T, impl fmt::Display>,
    ) -> Option<T> {
        read.map_err(|rule| self.refuse(option, rule)).ok()
    }

    pub fn within(
        &mut self,
        option: &'static str,
        value: i64,
        allowed: &RangeInclusive<i64>,
    ) -> i64 {
        if !allowed.contains(&value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.refuse(option, format!("must be from {least} to {most}"));
        }
        value.clamp(*allowed.start(), *allowed.end())
    }

    pub fn ms(&mut self, option: &'static str, value: i64) -> Millis {
        self.ms_of_at_least(option, value, 1)
    }

    pub fn ms_of_at_least(&mut self, option: &'static str, value: i64, least: i64) -> Millis {
        Millis::from_ms(self.within(option, value, &(least..=LONGEST.as_ms())))
    }

    pub fn s(&mut self, option: &'static str, value: i64) -> Millis {
        Millis::from_secs(self.within(option, value, &(1..=LONGEST.as_secs_rounded_up())))
    }

    /// A number of concurrent things. A million fits into a semaphore and is more than anybody needs.
    pub fn count(&mut self, option: &'static str, value: i64) -> usize {
        usize::try_from(self.within(option, value, &(1..=1_000_000))).unwrap_or(1)
    }

    pub fn number(
        &mut self,
        option: &'static str,
        value: i64,
        allowed: &RangeInclusive<i64>,
    ) -> u32 {
        u32::try_from(self.within(option, value, allowed)).unwrap_or(u32::MAX)
    }

    /// 0 means no limit.
    pub fn limit(&mut self, option: &'static str, value: i64) -> Option<Sat> {
        let sat = self.within(option, value, &(0..=Sat::MAX.get()));
        Sat::new(sat).filter(|sat| sat.get() > 0)
    }
}
