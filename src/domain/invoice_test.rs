//! The rules of invoices, each at its edge, on real invoices that a test key has signed.

mod maker;

use lightning_invoice::{Currency, SiPrefix};

use self::maker::{Asked, asked, payee};
use super::{
    InvoiceFault, InvoiceRules, Millis, Msat, Network, NodeId, PaymentHash, Sat, SatRange,
    Timestamp,
    invoice::{Invoice, normalise},
};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
fn rules() -> InvoiceRules {
    InvoiceRules {
        network: Network::Regtest,
        min_life: Millis::from_secs(90),
        cltv_limit: 1008,
        max_route_hints: 3,
    }
}

fn sats(min: i64, max: i64) -> SatRange {
    SatRange { min: Sat::new(min).unwrap(), max: Sat::new(max).unwrap() }
}

/// Against an offer of 5 to 10 sats.
fn check(text: &str) -> Result<Invoice, InvoiceFault> {
    rules().check(text, sats(5, 10), None, NOW)
}

impl Asked {
    fn checked(&self) -> Result<Invoice, InvoiceFault> {
        check(&self.text())
    }
}

#[test]
fn an_ordinary_invoice_is_read_to_the_last_fact() {
    let text = asked().text();
    let invoice = check(&text).unwrap();

    assert_eq!(invoice.text, text);
    assert_eq!(invoice.amount, Msat::new(10_000).unwrap());
    assert_eq!(invoice.payment_hash, PaymentHash::from_bytes([3; 32]));
    assert_eq!(invoice.expires_at, NOW.plus(Millis::from_secs(3600)));
}

/// Phones hand over what stands in a QR code or behind a link. All of it is one invoice, so that a
/// second tap is recognised whatever it looks like.
#[test]
fn a_prefix_capitals_and_white_space_around_it_do_not_matter() {
    let text = asked().text();
    let shouted = text.to_uppercase();
    let presented = [
        format!("lightning:{text}"),
        format!("LIGHTNING:{shouted}"),
        format!("Lightning:{shouted}"),
        format!(" \r\n\t{text}\n"),
        format!("  lightning:{text}  "),
        shouted,
    ];
    for presented in presented {
        assert_eq!(check(&presented).unwrap().text, text, "{presented:?}");
    }
}

#[test]
fn what_is_no_invoice_is_refused() {
    let text = asked().text();
    let half = text.len() / 2;
    let garbled = text.replacen(&text[half..=half], other(&text[half..=half]), 1);
    let inside = [&text[..half], " ", &text[half..]].concat();
    let mixed = [&text[..half], &text[half..].to_uppercase()].concat();
    let bad = [
        text[..text.len() - 1].to_owned(),
        text[..half].to_owned(),
        format!("{text}q"),
        garbled,
        inside,
        mixed,
        format!("lightning: {text}"),
        format!("lightning:lightning:{text}"),
        text.replace('1', "١"),
        format!("{text}é"),
        "lightningé".to_owned(),
        "lnbcrt".to_owned(),
        "1".to_owned(),
        "lnurl1dp68gurn8ghj7um9".to_owned(),
    ];
    for bad in bad {
        assert_eq!(check(&bad), Err(InvoiceFault::Invalid), "{bad:?}");
    }
}

fn other(letter: &str) -> &'static str {
    if letter == "q" { "p" } else { "q" }
}

#[test]
fn nothing_is_not_an_invoice_and_neither_is_a_novel() {
    for nothing in ["", "  \n", "lightning:", " LIGHTNING: "] {
        assert_eq!(check(nothing), Err(InvoiceFault::Missing), "{nothing:?}");
    }
    let novel = "l".repeat(5_000);
    assert_eq!(check(&novel), Err(InvoiceFault::TooLong));
    assert_eq!(check(&format!("lightning:{novel}")), Err(InvoiceFault::TooLong));
    // The longest text that is looked at, white space around it aside.
    assert_eq!(check(&format!("  {}  ", "l".repeat(4_096))), Err(InvoiceFault::Invalid));
    assert_eq!(normalise(&"l".repeat(4_097)), Err(InvoiceFault::TooLong));
}

/// Simnet's reads as regtest's when only the address format is looked at.
#[test]
fn money_of_another_network_is_refused_on_each() {
    let networks = [
        (Network::Bitcoin, Currency::Bitcoin),
        (Network::Testnet, Currency::BitcoinTestnet),
        (Network::Signet, Currency::Signet),
        (Network::Regtest, Currency::Regtest),
    ];
    let currencies = networks.clone().map(|(_, currency)| currency);
    for (network, own) in networks {
        let rules = InvoiceRules { network, ..rules() };
        for currency in currencies.iter().chain([&Currency::Simnet]).cloned() {
            let asked = Asked { currency: currency.clone(), ..asked() };
            let checked = rules.check(&asked.text(), sats(5, 10), None, NOW);
            if currency == own {
                assert!(checked.is_ok(), "{network}: {checked:?}");
            } else {
                let fault = InvoiceFault::OtherNetwork(network);
                assert_eq!(checked, Err(fault), "{currency:?}");
            }
        }
    }
}

#[test]
fn an_amount_must_be_named() {
    let none = Asked { msat: None, ..asked() };
    assert_eq!(none.checked(), Err(InvoiceFault::NoAmount));
    // So many bitcoins that the library reads no amount at all: they are not the payer's choice.
    let overflowing = Asked { spelled: Some((u64::MAX, None)), ..asked() };
    assert_eq!(overflowing.checked(), Err(InvoiceFault::NoAmount));
    let zero = Asked { spelled: Some((0, Some(SiPrefix::Nano))), ..asked() };
    assert_eq!(zero.checked(), Err(InvoiceFault::NoAmount));
}

/// The bounds are whole satoshis, invoices count in thousandths: not one may be above or below.
#[test]
fn bounds_are_inclusive_to_the_millisatoshi() {
    for (msat, inside) in [
        (1, false),
        (4_999, false),
        (5_000, true),
        (5_001, true),
        (9_999, true),
        (10_000, true),
        (10_001, false),
        (10_000_000, false),
    ] {
        let asked = Asked { msat: Some(msat), ..asked() };
        assert_eq!(asked.checked().is_ok(), inside, "{msat} msat");
    }
    let exact = |msat| {
        let asked = Asked { msat: Some(msat), ..asked() };
        rules().check(&asked.text(), sats(7, 7), None, NOW).is_ok()
    };
    assert_eq!((exact(6_999), exact(7_000), exact(7_001)), (false, true, false));
    // The largest amounts that the format holds are amounts like any other.
    let absurd = Asked { spelled: Some((18_000_000, None)), ..asked() };
    let all = SatRange { min: Sat::new(1).unwrap(), max: Sat::MAX };
    let checked = rules().check(&absurd.text(), all, None, NOW);
    assert!(checked.is_ok(), "18,000,000 BTC: {checked:?}");
}

/// Nobody routes AMP invoices by their payment hash.
#[test]
fn amp_is_refused_in_both_spellings() {
    let with = |bit| Asked { more_bits: vec![bit], ..asked() };
    assert_eq!(with(31).checked(), Err(InvoiceFault::Amp));
    assert_eq!(with(30).checked(), Err(InvoiceFault::Amp));
    // Its neighbours mean something else: 29 is unknown here, and optional.
    assert!(with(29).checked().is_ok());
    assert!(with(33).checked().is_ok());
}

#[test]
fn a_payees_clock_may_be_ten_minutes_ahead() {
    let ahead = |s: i64| Asked { made_at_s: asked().made_at_s + s, ..asked() };
    assert!(ahead(600).checked().is_ok());
    assert_eq!(ahead(601).checked(), Err(InvoiceFault::FromTheFuture));
    // The year 2920, which the library takes.
    let far = Asked { made_at_s: 29_980_000_000, ..asked() };
    assert_eq!(far.checked(), Err(InvoiceFault::FromTheFuture));
}

#[test]
fn there_must_be_time_left_to_pay() {
    // Made an hour ago, so that `left` seconds are left.
    let with =
        |s: u64| Asked { made_at_s: asked().made_at_s - 3600, expiry_s: 3600 + s, ..asked() };
    let expired = Asked { expiry_s: 3599, ..with(0) };
    assert_eq!(expired.checked(), Err(InvoiceFault::Expired));
    assert_eq!(with(0).checked(), Err(InvoiceFault::Expired), "to the second");
    for s in [1, 89] {
        let [left, lasts, needs] =
            [s, 3600 + s, 90].map(|s: u64| Millis::from_secs(s.cast_signed()));
        let too_soon = InvoiceFault::ExpiresSoon { left, lasts, needs };
        assert_eq!(with(s).checked(), Err(too_soon));
    }
    assert!(with(90).checked().is_ok());
}

/// lnd's nanoseconds overflow: to it such an invoice has expired, or lasts for another time.
#[test]
fn an_expiry_that_lnd_cannot_count_is_refused_at_once() {
    let lasting = |expiry_s| Asked { expiry_s, ..asked() }.checked();
    let longest = lasting(9_223_372_036).unwrap();
    assert_eq!(longest.expires_at, NOW.plus(Millis::from_secs(9_223_372_036)));
    for expiry_s in [9_223_372_037, 18_446_744_073, 300_000_000_000, u64::MAX] {
        assert_eq!(lasting(expiry_s), Err(InvoiceFault::LastsTooLong), "{expiry_s}");
    }
}

/// It is an invoice, and the person learns what is wrong with it.
#[test]
fn what_needs_more_than_can_be_paid_here_is_told_from_what_is_malformed() {
    let with = |bit| Asked { more_bits: vec![bit], ..asked() }.checked();
    // Trampoline, and bits of channels: anchors, a channel type.
    for bit in [56, 50, 44, 22, 20, 12, 4, 32, 2, 0] {
        assert_eq!(with(bit), Err(InvoiceFault::Unpayable(bit.into())), "{bit}");
        assert!(with(bit + 1).is_ok(), "{bit} is offered, not needed");
    }
    for bit in [16, 17, 24, 25, 48, 49] {
        assert!(with(bit).is_ok(), "{bit}");
    }
    let said = InvoiceFault::Unpayable(56).to_string();
    assert!(said.contains("number 56") && said.contains("another wallet"), "{said}");
}

/// lnd adds three blocks, and refuses what reaches its limit.
#[test]
fn the_payee_may_not_lock_the_money_for_too_long() {
    let cltv = |blocks| Asked { final_cltv: blocks, ..asked() }.checked();
    assert!(cltv(1004).is_ok());
    for blocks in [1005, 1008, 65_545, u64::MAX] {
        assert_eq!(cltv(blocks), Err(InvoiceFault::CltvTooLarge), "{blocks}");
    }
}

#[test]
fn hints_are_counted() {
    let hints = |hints| Asked { hints, ..asked() }.checked().map(|invoice| invoice.amount);
    assert!(hints(3).is_ok());
    assert_eq!(hints(4), Err(InvoiceFault::TooManyHints));
}

#[test]
fn the_paying_node_does_not_pay_itself() {
    let text = asked().text();
    let own = NodeId::parse(&payee().to_string().to_uppercase()).unwrap();
    let another = NodeId::parse(&format!("02{}", "ab".repeat(32))).unwrap();
    let check = |node| rules().check(&text, sats(5, 10), node, NOW);

    assert_eq!(check(Some(&own)), Err(InvoiceFault::OwnNode));
    assert!(check(Some(&another)).is_ok());
    assert!(check(None).is_ok(), "no node was seen yet");
}

/// Each refusal ends up on a phone: it says what is wrong in the units of the person who reads it.
#[test]
fn refusals_are_sentences_for_people() {
    let outside = |msat, SatRange { min, max }| {
        let amount = Msat::new(msat).unwrap();
        InvoiceFault::AmountOutside { amount, min, max }.to_string()
    };
    let said = outside(10_001, sats(5, 10));
    assert!(said.contains("10.001 sats") && said.contains("5–10 sats"), "{said}");
    let said = outside(6_000, sats(7, 7));
    assert!(said.contains("6 sats") && said.contains("the 7 sats offered"), "{said}");

    let soon = |lasts, left| {
        let [left, lasts, needs] = [left, lasts, 40].map(Millis::from_secs);
        InvoiceFault::ExpiresSoon { left, lasts, needs }.to_string()
    };
    let said = soon(30, 29);
    assert!(said.contains("please make one that lasts at least 60 seconds"), "{said}");
    // An invoice that lasts so long is not told to be one.
    for lasts in [60, 61, 3600] {
        let said = soon(lasts, 12);
        assert!(said.contains("expires in 12 seconds, and 40 must be left"), "{said}");
        assert!(!said.contains("lasts"), "{said}");
    }
    let said = InvoiceFault::OtherNetwork(Network::Bitcoin).to_string();
    assert!(said.contains("not for bitcoin"), "{said}");
    let amountless = InvoiceFault::NoAmount.to_string();
    assert!(amountless.contains("with an amount"), "{amountless}");
}
