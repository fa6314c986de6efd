//! A wallet that makes any invoice that a test asks for, and signs it.

use std::time::Duration;

use bitcoin::{
    hashes::{Hash, sha256},
    secp256k1::{PublicKey, Secp256k1, SecretKey},
};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RawTaggedField, RouteHint, RouteHintHop, RoutingFees,
    SiPrefix, TaggedField,
};

use super::NOW;

/// Variable onion and payment secret, both required: what every invoice has.
const USUAL_BITS: [u8; 2] = [8, 14];

/// An invoice as a wallet might make it. Unchanged, it fulfils all rules.
#[derive(Clone)]
pub struct Asked {
    pub currency: Currency,
    pub msat: Option<u64>,
    /// Instead of `msat`: the amount as the text itself spells it.
    pub spelled: Option<(u64, Option<SiPrefix>)>,
    pub made_at_s: i64,
    pub expiry_s: u64,
    pub final_cltv: u64,
    pub hints: u8,
    pub more_bits: Vec<u8>,
}

pub fn asked() -> Asked {
    Asked {
        currency: Currency::Regtest,
        msat: Some(10_000),
        spelled: None,
        made_at_s: NOW.as_ms() / 1000,
        expiry_s: 3600,
        final_cltv: 18,
        hints: 0,
        more_bits: Vec::new(),
    }
}

fn key() -> SecretKey {
    SecretKey::from_slice(&[9; 32]).unwrap()
}

pub fn payee() -> PublicKey {
    key().public_key(&Secp256k1::new())
}

impl Asked {
    pub fn text(&self) -> String {
        let mut builder = InvoiceBuilder::new(self.currency.clone())
            .description("test".into())
            .payment_hash(sha256::Hash::from_byte_array([3; 32]))
            .payment_secret(PaymentSecret([4; 32]))
            .duration_since_epoch(Duration::from_secs(self.made_at_s.try_into().unwrap()))
            .expiry_time(Duration::from_secs(self.expiry_s))
            .min_final_cltv_expiry_delta(self.final_cltv);
        if let Some(msat) = self.msat {
            builder = builder.amount_milli_satoshis(msat);
        }
        for number in 0..self.hints {
            builder = builder.private_route(hint(number));
        }
        let mut raw = builder.build_raw().unwrap();
        if let Some((number, prefix)) = self.spelled {
            raw.hrp.raw_amount = Some(number);
            raw.hrp.si_prefix = prefix;
        }
        let is_features = |field: &RawTaggedField| {
            matches!(field, RawTaggedField::KnownSemantics(TaggedField::Features(_)))
        };
        raw.data.tagged_fields.retain(|field| !is_features(field));
        raw.data.tagged_fields.push(features(&self.more_bits));
        let sign = |message: &_| {
            Ok::<_, std::convert::Infallible>(
                Secp256k1::new().sign_ecdsa_recoverable(message, &key()),
            )
        };
        raw.sign(sign).unwrap().to_string()
    }
}

/// The field `9` by hand, since the library sets no bit that it does not know. Without leading zeros:
/// the library hashes what it would have written itself, and would find another payee.
fn features(more_bits: &[u8]) -> RawTaggedField {
    let bits = USUAL_BITS.iter().chain(more_bits);
    let flags = bits.fold(0_u64, |flags, bit| flags | (1 << bit));
    let five = |place: u32| u8::try_from((flags >> (5 * place)) & 31).unwrap();
    let values: Vec<u8> = (0..13).rev().map(five).skip_while(|v| *v == 0).collect();
    let length = u8::try_from(values.len()).unwrap();
    let field = [5, 0, length].into_iter().chain(values);
    let field = field.map(|value| bech32::Fe32::try_from(value).unwrap());
    RawTaggedField::UnknownSemantics(field.collect())
}

fn hint(number: u8) -> RouteHint {
    RouteHint(vec![RouteHintHop {
        src_node_id: payee(),
        short_channel_id: number.into(),
        fees: RoutingFees { base_msat: 0, proportional_millionths: 0 },
        cltv_expiry_delta: 80,
        htlc_minimum_msat: None,
        htlc_maximum_msat: None,
    }])
}
