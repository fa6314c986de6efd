//! What is accepted at the claim, lnd does not refuse at once; and an invoice whose path is blinded is paid.

use futures_util::StreamExt;

use super::{
    LndNode,
    lab_test::{Lab, now},
};
use crate::{
    domain::{
        InvoiceRules, Millis, Network, Sat, SatRange,
        bolt11::maker::{Pieces, features, number, ordinary, packed, path, payee},
        payment::RecordState,
    },
    ports::{LightningNode, NodeError, SendOrder, SendUpdate},
};

const RULES: InvoiceRules = InvoiceRules {
    network: Network::Regtest,
    min_life: Millis::from_secs(30),
    cltv_limit: 1_000,
    max_route_hints: 20,
};

/// Each field at its edges, alone.
///
/// No way leads to any of them: an HTLC that fails would make lnd avoid the channels of other tests.
fn edges(ordinary: &Pieces, stranger: &str) -> Vec<Pieces> {
    let (stranger, payee) = (stranger.parse().unwrap(), payee());
    let with = |tag, letters| ordinary.clone().with(tag, letters);
    let hop = [&payee.serialize()[..], &[1; 18]].concat();
    let mut all = vec![ordinary.clone()];
    let (max, ns) = (u128::from(u64::MAX), 9_223_372_036_u128);
    let expiries =
        [60, 3_600, 86_400, ns - 1, ns, ns + 1, 2 * ns, 2 * ns + 3_600, max / 1_000, max];
    all.extend(expiries.map(|expiry| with('x', number(expiry, 13))));
    all.push(with('x', number(60, 14)));
    let cltvs = [0, 18, 990, 996, 997, 1_000, 65_533, 65_535, 65_536, 65_554, max];
    all.extend(cltvs.map(|cltv| with('c', number(cltv, 13))));
    for bits in 0..64_u32 {
        all.push(with('9', features(&[8, 14, bits])));
    }
    for bits in [&[][..], &[14], &[9, 15], &[8, 16], &[9, 15, 17], &[8, 14, 24, 262], &[8, 14, 262]]
    {
        all.push(with('9', features(bits)));
    }
    all.extend(
        ["", "9p", "10p", "15p", "10u", "1m", "1k"]
            .map(|amount| ordinary.clone().headed(&format!("lnbcrt{amount}"))),
    );
    all.extend([0, 1, 638].map(|length| with('d', packed(&vec![b'x'; length]))));
    all.extend([vec![0], vec![31; 8], packed(&[0xff])].map(|letters| with('d', letters)));
    for version in 0..32_u8 {
        for length in [0, 19, 20, 21, 32, 33] {
            all.push(with('f', [vec![version], packed(&vec![6; length])].concat()));
        }
    }
    all.extend([0, 50, 51, 52, 102].map(|length| with('r', packed(&hop.repeat(2)[..length]))));
    all.push(with('n', packed(&payee.serialize())));
    all.push(with('m', packed(b"metadata")));
    all.push(with('m', vec![31; 3]));
    all.extend(['p', 's', 'd', '9'].map(|tag| ordinary.clone().without(tag)));
    let blinded = ordinary.clone().without('s').with('9', features(&[8, 15, 17, 24, 262]));
    for first in [stranger, payee] {
        for hops in 1..4 {
            all.push(blinded.clone().and('5', packed(&path(first, hops, &[]))));
        }
    }
    all.push(blinded.clone().and('5', packed(&path(stranger, 2, &[1]))));
    let two = blinded.and('5', packed(&path(stranger, 2, &[])));
    all.push(two.clone().and('5', packed(&path(payee, 2, &[]))));
    all.push(two.clone().and('5', packed(&path(payee, 2, &[2, 0]))));
    all.push(two.and('r', packed(&hop)));
    all
}

/// Refused here or taken by lnd: nothing is accepted, and then refused by lnd at once.
#[tokio::test]
async fn what_is_accepted_lnd_does_not_refuse_at_once() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let made_at_s = u64::try_from(now().as_ms() / 1_000).unwrap();
    let like = lab.order("payee", 120_000);
    let own = Some(&like.node);
    let (mut accepted, mut refused) = (0_u64, 0);
    let connection = node.introduce().await.unwrap().connection;
    let base = ordinary(made_at_s, rand::random());
    for mut pieces in edges(&base, lab.text("stranger", "pubkey")) {
        // A hash of its own, or lnd would know it.
        if let Some((_, hash)) = pieces.fields.iter_mut().find(|(tag, _)| *tag == 'p') {
            *hash = packed(&rand::random::<[u8; 32]>());
        }
        let text = pieces.text();
        let bounds = SatRange { min: Sat::new(1).unwrap(), max: Sat::new(1_000).unwrap() };
        let Ok(invoice) = RULES.check(&text, bounds, own, now()) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        let order = SendOrder {
            connection,
            invoice: invoice.text,
            payment_hash: invoice.payment_hash,
            amount: invoice.amount,
            send_deadline: now().plus(Millis::from_secs(30)),
            ..like.clone()
        };
        let first = node.send(order).await.next().await;
        assert!(matches!(first, Some(SendUpdate::Record(_))), "{first:?}: {pieces:?}");
    }
    assert!(accepted > 100 && refused > 50, "{accepted} accepted, {refused} refused");
}

/// lnd alone says so of an invoice like the one of the bug: three sends, each refused.
#[tokio::test]
async fn lnd_refuses_an_expiry_that_it_cannot_count() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let made_at_s = u64::try_from(now().as_ms() / 1_000).unwrap();
    let hash = rand::random();
    let lasting = ordinary(made_at_s, hash).with('x', number(9_223_372_037, 13)).text();
    let like = lab.order("payee", 15_000);
    let payment_hash = crate::domain::PaymentHash::from_bytes(hash);
    let first = node.send(SendOrder { invoice: lasting, payment_hash, ..like }).await.next().await;
    match first {
        Some(SendUpdate::Refused(NodeError::Refused(why))) => {
            assert!(why.contains("invoice expired"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

/// `hidden` is two channels away, and tells no more than that payee's lnd leads to it.
#[tokio::test]
async fn an_invoice_with_a_blinded_path_is_paid() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let made = lab.lncli("hidden", &["addinvoice", "--amt", "21", "--blind"]);
    let text = made["payment_request"].as_str().unwrap();
    let like = lab.order("payee", 15_000);
    let bounds = SatRange { min: Sat::new(21).unwrap(), max: Sat::new(21).unwrap() };
    let invoice = RULES.check(text, bounds, Some(&like.node), now()).unwrap();
    assert_eq!(invoice.payment_hash.to_string(), made["r_hash"].as_str().unwrap());

    let (payment_hash, amount) = (invoice.payment_hash, invoice.amount);
    let order = SendOrder { invoice: invoice.text, payment_hash, amount, ..like };
    let updates: Vec<_> = node.send(order).await.collect().await;
    match updates.last() {
        Some(SendUpdate::Record(record)) => match record.state {
            RecordState::Succeeded { preimage, .. } => assert_eq!(preimage.hash(), payment_hash),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let settled = lab.lncli("hidden", &["lookupinvoice", made["r_hash"].as_str().unwrap()]);
    // The fees of the hops that the payee made up are the payee's.
    assert_eq!(settled["state"], "SETTLED", "{settled}");
}
