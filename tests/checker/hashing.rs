//! A fast hash for small keys, without protection against chosen collisions.

use std::hash::{BuildHasherDefault, Hasher};

pub type Mixer = BuildHasherDefault<Mix>;

#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        // The table takes the upper bits as well as the lower ones.
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_isize(&mut self, value: isize) {
        // The variant of an enum.
        self.write_u64(value.unsigned_abs() as u64);
    }
}

/// Where a state belongs in the table.
pub fn of_state(bits: u128) -> usize {
    let mut mix = Mix::default();
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    mix.write_u64(half(bits));
    mix.write_u64(half(bits >> 64));
    usize::try_from(mix.finish() >> 16).unwrap_or(usize::MAX)
}
