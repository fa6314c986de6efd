//! Invoices of a history: made by its seed and their number alone.

use withdrawd::{
    domain::{Millis, Msat, invoice},
    node::simulated::preimage_of,
};

use super::{
    history::{History, SAT},
    node::InvoiceFacts,
    rng::Rng,
    world::BEGIN,
};
use crate::invoices::{InvoiceDraft, hash_of};

impl History {
    /// The text of an invoice; made now if it was not yet. Every fifth does not last long.
    pub(super) fn invoice(&mut self, index: usize) -> String {
        let mut inner = self.world.lock();
        while inner.node.invoices.len() <= index {
            let number = inner.node.invoices.len();
            let mut rng = Rng::new(self.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
            let made_at = BEGIN.plus(Millis::from_ms(inner.now_ms));
            let mut wanted = InvoiceDraft::new(SAT * 1000, made_at);
            rng.fill(&mut wanted.key);
            rng.fill(&mut wanted.secret);
            if number % 5 == 4 {
                wanted.expiry_s = 100;
            }
            let preimage = preimage_of(&wanted.secret);
            let text = wanted.build();
            let facts = InvoiceFacts {
                hash: hash_of(&text),
                expires_at: invoice::expires_at(&invoice::parse(&text).unwrap()),
                amount: Msat::new(i64::try_from(SAT).unwrap() * 1000).unwrap(),
                preimage,
                text,
            };
            inner.node.invoices.push(facts);
        }
        inner.node.invoices[index].text.clone()
    }
}
