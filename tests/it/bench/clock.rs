//! A clock that stands still until a test moves it.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::watch;
use withdrawd::{
    domain::{Millis, Timestamp},
    runtime::Clock,
};

/// Begins at a fixed instant; wall and monotonic time move together unless a test says otherwise.
pub struct TestClock {
    wall: Mutex<Timestamp>,
    monotonic: watch::Sender<Millis>,
}

impl TestClock {
    pub fn new() -> Self {
        let start = Timestamp::from_ms(1_800_000_000_000);
        Self { wall: Mutex::new(start), monotonic: watch::Sender::new(Millis::ZERO) }
    }

    /// Lets time pass.
    pub fn advance(&self, span: Millis) {
        self.jump(span);
        self.monotonic.send_modify(|monotonic| *monotonic = monotonic.plus(span));
    }

    /// Moves the wall clock alone.
    pub fn jump(&self, span: Millis) {
        let mut wall = self.wall.lock().unwrap();
        *wall = wall.plus(span);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.wall.lock().unwrap()
    }

    fn monotonic(&self) -> Millis {
        *self.monotonic.borrow()
    }

    async fn sleep(&self, span: Millis) {
        let until = self.monotonic().plus(span);
        let mut moved = self.monotonic.subscribe();
        // The clock outlives the sleepers of a test.
        let _ = moved.wait_for(|monotonic| *monotonic >= until).await;
    }
}
