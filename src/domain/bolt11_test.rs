//! What is an invoice and what is not, as lnd reads it.

use lightning_invoice::Bolt11Invoice as OfLibrary;

use super::{
    maker::{Pieces, features, number, ordinary, packed, path, payee},
    *,
};
use crate::domain::{
    InvoiceFault, InvoiceRules, Millis, Network, NodeId, Sat, SatRange, Timestamp,
};

const MADE_AT_S: u64 = 1_795_851_074;

/// Made by lnd v0.21 with `addinvoice --blind`, two channels away.
const BLINDED: &str = "lnbcrt1u1p4s4q6zpp53jq8fase68pdafukwgsshsgwntjlv9a9j6l87ee6928dcr2lt9wqdqqxqyz5vq5juqqqq3xgqqqqqxqgrqqqqqqqqqqzycqqqqqqr2xu5cqqqqqnwwltn6p3958qqn4amjy9d88ae78dvwwklq3aksnxv93gm728w4qpsyy6y0vntpj5r7tk3k3j2nc08a56n78z7v2na8f2muz9r32sv5atdgl6dskagdsuu28x24zuzzcjcs7rd62d2698ph00vj50784c8r05gp7zwy4d6m0dva2agwcaq96wx573y0qhm0elrc3x6fc5j6334fjledyvhe90zj5hs80h32khhz6z9dsxhtru2un7448pw049lt690szt64e5uk0pq3pmtg7xjw36dg7wdn9kvs0g7y6u36mm2k55nwyl9ukn590qkurjsfqllal2q9w499zfnefdj8tv9ny3rgzas78ehfrw29c7jrc6gkldy096sc50snupxjugq8wpyulfjhpkh5zpm5k8led0jgg2q2kccwmpswmymlpegcy9639l0glzyws3v82egwr8rhzyrrtaswkcfat33pfsjje8u0nag2a749cyq0cmk3069k82wvkxj872f8cyslsqd9lzh7w09l7ughy4dn9ap5g0hwswac4kk6pxq9p4yqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqs9qgquukh6de6p8nkyx06m7rwudpxydcmevdcfh82x279w55r53xye2m3juse2qhj6tmmcaxakzsa76hw5sg3vxrjm3qf0z2sv05mgdd550cqs84dam";

fn ours() -> Pieces {
    ordinary(MADE_AT_S, [3; 32])
}

fn blinded(path: &[u8]) -> Pieces {
    ours().without('s').with('9', features(&[8, 15, 17, 24, 262])).and('5', packed(path))
}

fn check(text: &str, own: Option<&str>) -> Result<(), InvoiceFault> {
    let rules = InvoiceRules {
        network: Network::Regtest,
        min_life: Millis::from_secs(60),
        cltv_limit: 1008,
        max_route_hints: 20,
    };
    let bounds = SatRange { min: Sat::new(1).unwrap(), max: Sat::new(1_000).unwrap() };
    let now = Timestamp::from_ms(i64::try_from(MADE_AT_S).unwrap() * 1_000);
    let own = own.map(|own| NodeId::parse(own).unwrap());
    rules.check(text, bounds, own.as_ref(), now).map(drop)
}

#[test]
fn an_invoice_with_blinded_paths_is_read_and_may_be_paid() {
    let invoice = Bolt11Invoice::read(BLINDED).unwrap();
    let first = "0213447b26b0ca83f2ed1b464a9e1e7ed353f1c5e62a7d3a55be08a38aa0ca756d";
    assert_eq!(
        invoice.payee.to_string(),
        "036ca470e76fc5163cdb1c2610e140ac8e6ca81cfd1dd83a8135d6317bb3adc45c"
    );
    assert_eq!(
        hex::encode(invoice.payment_hash),
        "8c8074f619d1c2dea79672210bc10e9ae5f617a596be7f673a2a8edc0d5f595c"
    );
    assert_eq!((invoice.msat, invoice.made_at_s), (Some(100_000), MADE_AT_S));
    assert_eq!((invoice.expiry_s, invoice.final_cltv, invoice.hints), (86_400, 24, 0));
    assert_eq!(invoice.payment_secret, None);
    let [path] = &invoice.paths[..] else { panic!("{invoice:?}") };
    assert_eq!((path.first.to_string().as_str(), path.hops, path.cltv_delta), (first, 3, 259));
    assert!(path.features.is_empty());

    assert_eq!(check(BLINDED, None), Ok(()));
    let payer = "03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(check(BLINDED, Some(payer)), Ok(()));
    assert_eq!(check(BLINDED, Some(first)), Err(InvoiceFault::OwnNode), "it begins at us");
}

/// What both read is the same, to the last fact.
#[test]
fn ordinary_invoices_are_read_as_the_library_reads_them() {
    let hop = [&payee().serialize()[..], &[1; 18]].concat();
    let variants = [
        ours(),
        ours().headed("lnbcrt1m"),
        ours().headed("lnbcrt20u"),
        ours().headed("lnbcrt10p"),
        ours().headed("lnbcrt3"),
        ours().headed("lnbc1"),
        ours().headed("lntbs70n"),
        ours().headed("lntb"),
        ours().and('x', number(60, 2)),
        ours().and('x', number(u64::MAX.into(), 13)),
        ours().and('c', number(144, 2)),
        ours().and('n', packed(&payee().serialize())),
        ours().with('d', packed("für Käse ☕".as_bytes())),
        ours().without('d').and('h', packed(&[5; 32])),
        ours().and('r', packed(&hop)).and('r', packed(&[&hop[..], &hop].concat())),
        ours().and('m', packed(b"metadata")),
        ours().and('f', [vec![17], packed(&[6; 20])].concat()),
        ours().and('f', [vec![0], packed(&[6; 32])].concat()),
        ours().and('y', vec![1, 2, 3]),
        // Of a length that its kind does not have: passed over.
        ours().and('p', vec![0; 51]).and('s', vec![0; 53]).and('h', vec![0; 4]),
    ];
    for pieces in variants {
        let text = pieces.text();
        let theirs: OfLibrary = text.parse().unwrap();
        let read = Bolt11Invoice::read(&text).unwrap();
        assert_eq!(read.currency.prefix(), theirs.currency().to_string());
        assert_eq!(read.msat, theirs.amount_milli_satoshis());
        assert_eq!(read.made_at_s, theirs.duration_since_epoch().as_secs());
        assert_eq!(read.payee, theirs.recover_payee_pub_key());
        assert_eq!(&read.payment_hash, AsRef::<[u8; 32]>::as_ref(theirs.payment_hash()));
        assert_eq!(read.payment_secret, Some(theirs.payment_secret().0));
        assert_eq!(read.expiry_s, theirs.expiry_time().as_secs());
        // Where none is named, lnd assumes more than BOLT11.
        let theirs_cltv = theirs.min_final_cltv_expiry_delta();
        assert_eq!(read.final_cltv, if theirs_cltv == 18 { 24 } else { theirs_cltv });
        assert_eq!(read.hints, theirs.private_routes().len());
    }
}

/// The library reads what the test wallet makes, and so do we.
#[test]
fn what_is_made_is_read_by_the_library_and_by_us() {
    let key = secp256k1::SecretKey::from_slice(&[7; 32]).unwrap();
    let made = |msat, description| NewInvoice {
        currency: Currency::Regtest,
        msat,
        made_at_s: MADE_AT_S,
        payment_hash: &[3; 32],
        payment_secret: &[4; 32],
        description,
        final_cltv: 80,
    };
    let long = "x".repeat(639);
    for (msat, head, description) in [
        (1, "lnbcrt10p1", ""),
        (15, "lnbcrt150p1", "für Käse ☕"),
        (100, "lnbcrt1n1", "a\tb"),
        (10_000, "lnbcrt100n1", "test"),
        (100_000, "lnbcrt1u1", "test"),
        (123_400_000, "lnbcrt1234u1", "test"),
        (100_000_000, "lnbcrt1m1", "test"),
        (300_000_000_000, "lnbcrt31", "test"),
        (1_000_000_000_000_000, "lnbcrt100001", &long),
    ] {
        let text = made(msat, description).sign(&key).unwrap();
        assert!(text.starts_with(head), "{text}");
        let theirs: OfLibrary = text.parse().unwrap();
        assert_eq!(theirs.to_string(), text, "the library would write the same");
        theirs.check_signature().unwrap();
        assert_eq!(theirs.currency(), lightning_invoice::Currency::Regtest);
        assert_eq!(theirs.amount_milli_satoshis(), Some(msat));
        assert_eq!(theirs.duration_since_epoch().as_secs(), MADE_AT_S);
        assert_eq!(AsRef::<[u8; 32]>::as_ref(theirs.payment_hash()), &[3; 32]);
        assert_eq!(theirs.payment_secret().0, [4; 32]);
        assert_eq!(theirs.min_final_cltv_expiry_delta(), 80);
        assert_eq!(
            theirs.description().to_string(),
            description.replace('\t', "\u{fffd}"),
            "what the library shows for control characters"
        );
        let features = theirs.features().unwrap();
        assert!(features.requires_variable_length_onion() && features.requires_payment_secret());
        let payee = key.public_key(&secp256k1::Secp256k1::new());
        assert_eq!(theirs.recover_payee_pub_key(), payee);

        let read = Bolt11Invoice::read(&text).unwrap();
        assert_eq!((read.currency, read.msat, read.payee), (Currency::Regtest, Some(msat), payee));
        assert_eq!((read.payment_hash, read.payment_secret), ([3; 32], Some([4; 32])));
        assert_eq!((read.description.as_str(), read.final_cltv), (description, 80));
        assert_eq!((read.made_at_s, read.expiry_s), (MADE_AT_S, 3_600));
    }
    assert_eq!(check(&made(10_000, "test").sign(&key).unwrap(), None), Ok(()));
    // 1,023 letters are 639 bytes.
    let longer = "x".repeat(640);
    assert_eq!(made(1, &longer).sign(&key), Err(Unwritable("description")));
    let late = NewInvoice { made_at_s: 1 << 35, ..made(1, "") };
    assert_eq!(late.sign(&key), Err(Unwritable("time")));
}

/// Each is refused by lnd, though its signature is right.
#[test]
fn what_lnd_cannot_decode_is_no_invoice() {
    let mut padded = packed(&[3; 32]);
    *padded.last_mut().unwrap() |= 1;
    let hop = [&payee().serialize()[..], &[1; 18]].concat();
    let first = payee();
    let spoilt_path = |at: usize, byte: u8| {
        let mut bytes = path(first, 2, &[]);
        bytes[at] = byte;
        blinded(&bytes)
    };
    let cases = [
        ("no payment hash", ours().without('p')),
        ("two payment hashes", ours().and('p', packed(&[3; 32]))),
        ("padding", ours().with('p', padded.clone())),
        ("padding of the secret", ours().with('s', padded)),
        ("no description", ours().without('d')),
        ("a description and a hash", ours().and('h', packed(&[5; 32]))),
        ("no text", ours().with('d', packed(&[0xff, 0xfe]))),
        ("too many letters of padding", ours().with('d', vec![0])),
        ("an expiry of 14 letters", ours().and('x', number(60, 14))),
        ("an expiry above 64 bits", ours().and('x', vec![31; 13])),
        ("a CLTV above 64 bits", ours().and('c', vec![31; 13])),
        ("no key", ours().and('n', packed(&[5; 33]))),
        ("another's key", ours().and('n', packed(&[&[2][..], &[1; 32]].concat()))),
        ("an empty hint", ours().and('r', Vec::new())),
        ("half a hint", ours().and('r', packed(&hop[..50]))),
        ("a hint without a key", ours().and('r', packed(&[7; 51]))),
        ("an empty fallback", ours().and('f', Vec::new())),
        ("a fallback of one letter", ours().and('f', vec![17])),
        ("a fallback of 21 bytes", ours().and('f', [vec![17], packed(&[6; 21])].concat())),
        ("a program of 30 bytes", ours().and('f', [vec![0], packed(&[6; 30])].concat())),
        ("a key program of 20 bytes", ours().and('f', [vec![1], packed(&[6; 20])].concat())),
        ("less than 10p", ours().headed("lnbcrt9p")),
        ("no whole msat", ours().headed("lnbcrt15p")),
        ("an unknown unit", ours().headed("lnbcrt1k")),
        ("an unknown network", ours().headed("lnxy100n")),
        ("another prefix", ours().headed("xxbcrt100n")),
        ("hints and paths", blinded(&path(first, 2, &[])).and('r', packed(&hop))),
        // In lnd this is a panic.
        ("a path without hops", blinded(&path(first, 0, &[]))),
        ("half a path", blinded(&path(first, 2, &[])[..60])),
        ("a path with the least above the most", spoilt_path(10, 0xff)),
        ("a hop's secret that is longer than the path", spoilt_path(95, 0xfc)),
    ];
    for (what, pieces) in cases {
        let text = pieces.text();
        assert!(Bolt11Invoice::read(&text).is_err(), "{what}");
    }
    assert!(Bolt11Invoice::read(&blinded(&path(first, 2, &[])).text()).is_ok());
}

#[test]
fn what_lnd_finds_no_way_to_pay_is_told_in_words() {
    let other =
        "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619".parse().unwrap();
    let paths = |first, hops, features: &[u8]| blinded(&path(first, hops, features)).text();
    assert_eq!(check(&paths(other, 2, &[]), None), Ok(()));
    let own = payee().to_string();
    // Signed by a key that is used once; this one is our own.
    assert_eq!(check(&paths(other, 2, &[]), Some(&own)), Err(InvoiceFault::OwnNode));
    assert_eq!(check(&paths(other, 1, &[]), Some(&other.to_string())), Err(InvoiceFault::OwnNode));

    // Trampoline, needed along the path.
    let trampoline = paths(other, 2, &[1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(check(&trampoline, None), Err(InvoiceFault::Unpayable(56)));
    let two = blinded(&path(other, 2, &[])).and('5', packed(&path(other, 2, &[2, 0])));
    assert_eq!(check(&two.text(), None), Err(InvoiceFault::Invalid), "lnd wants the same of all");

    let bits = |bits: &[u32]| ours().with('9', features(bits)).text();
    assert_eq!(check(&ours().without('s').text(), None), Err(InvoiceFault::Outdated));
    assert_eq!(check(&ours().without('9').text(), None), Err(InvoiceFault::Outdated));
    assert_eq!(check(&bits(&[14]), None), Err(InvoiceFault::Outdated), "no onions");
    assert_eq!(check(&bits(&[8, 16]), None), Err(InvoiceFault::Outdated), "no secret");
    assert_eq!(check(&bits(&[8, 14, 262]), None), Err(InvoiceFault::Outdated), "no blinding");
    assert_eq!(check(&bits(&[8, 14, 30]), None), Err(InvoiceFault::Amp));
    assert_eq!(check(&bits(&[9, 15, 17]), None), Ok(()));
}
