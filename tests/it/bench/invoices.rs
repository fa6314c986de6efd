//! Real BOLT11 invoices, signed by a fresh key, of whatever kind a test wants.

use std::time::Duration;

use bitcoin::{
    hashes::{Hash, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use withdrawd::{
    domain::{PaymentHash, Timestamp, invoice},
    node::simulated::preimage_of,
};

/// What an invoice says. The defaults make one that the simulated rule settles.
#[derive(Clone)]
pub struct InvoiceDraft {
    pub amount_msat: Option<u64>,
    pub made_at: Timestamp,
    pub expiry_s: u64,
    pub currency: Currency,
    pub final_cltv: u64,
    /// False: the payment hash follows no rule, and the simulated node finds no route.
    pub payable: bool,
    pub key: [u8; 32],
    /// What the simulated rule makes the preimage of.
    pub secret: [u8; 32],
}

impl InvoiceDraft {
    pub fn new(amount_msat: u64, made_at: Timestamp) -> Self {
        Self {
            amount_msat: Some(amount_msat),
            made_at,
            expiry_s: 3600,
            currency: Currency::Regtest,
            final_cltv: 80,
            payable: true,
            key: rand::random(),
            secret: rand::random(),
        }
    }

    pub fn build(self) -> String {
        let secret = self.secret;
        let hash =
            if self.payable { *preimage_of(&secret).hash().as_bytes() } else { rand::random() };
        let key = SecretKey::from_slice(&self.key).unwrap();
        let builder = InvoiceBuilder::new(self.currency)
            .description("test".into())
            .payment_hash(sha256::Hash::from_byte_array(hash))
            .payment_secret(PaymentSecret(secret))
            .duration_since_epoch(Duration::from_millis(self.made_at.as_ms().try_into().unwrap()))
            .expiry_time(Duration::from_secs(self.expiry_s))
            .min_final_cltv_expiry_delta(self.final_cltv);
        let builder = match self.amount_msat {
            Some(msat) => builder.amount_milli_satoshis(msat),
            None => builder,
        };
        let sign = |message: &_| Secp256k1::new().sign_ecdsa_recoverable(message, &key);
        builder.build_signed(sign).unwrap().to_string()
    }
}

/// The payment hash of an invoice.
pub fn hash_of(text: &str) -> PaymentHash {
    invoice::payment_hash(&invoice::parse(text).unwrap())
}
