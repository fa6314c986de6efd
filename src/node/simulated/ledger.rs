//! The simulated node's memory: a line of JSON for each payment, flushed before it is told.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::domain::{
    Msat, PaymentHash, Preimage, Timestamp,
    payment::{Record, RecordState},
};

/// A line. Absent preimage: it failed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    payment_hash: String,
    amount_msat: i64,
    created_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_msat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// Absent in what an earlier version wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    invoice: String,
}

/// A payment as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of its line: a payment that is tried anew gets another.
    pub number: u64,
    /// What became of it.
    pub record: Record,
    /// BOLT11.
    pub invoice: String,
}

/// All payments, in a file and in memory.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    entries: HashMap<PaymentHash, Entry>,
    lines: u64,
}

impl Ledger {
    /// Reads the file. A last line that a crash cut short was never told to anybody: it is dropped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut entries = HashMap::new();
        let mut lines = 0;
        let mut reader = BufReader::new(&file);
        let (mut text, mut whole) = (String::new(), 0_u64);
        loop {
            text.clear();
            let read = reader.read_line(&mut text)?;
            if read == 0 || !text.ends_with('\n') {
                break;
            }
            let (record, invoice) = parse(&text).ok_or_else(|| {
                let what = format!("{}: a line is damaged", path.display());
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            lines += 1;
            entries.insert(record.payment_hash, Entry { number: lines, record, invoice });
            whole += read as u64;
        }
        file.set_len(whole)?;
        (&file).seek(SeekFrom::End(0))?;
        Ok(Self { file, entries, lines })
    }

    /// What is known of a payment.
    pub fn find(&self, hash: PaymentHash) -> Option<&Record> {
        self.entries.get(&hash).map(|entry| &entry.record)
    }

    /// All payments, the oldest first.
    pub fn list(&self) -> Vec<&Entry> {
        let mut list: Vec<_> = self.entries.values().collect();
        list.sort_unstable_by_key(|entry| entry.number);
        list
    }

    /// Writes a payment, durably, before anybody hears of it.
    pub fn append(&mut self, record: &Record, invoice: &str) -> io::Result<()> {
        let mut line = serde_json::to_string(&line(record, invoice))?;
        line.push('\n');
        let whole = self.file.metadata()?.len();
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line would make the next one unreadable.
            self.file.set_len(whole)?;
            return Err(error);
        }
        self.lines += 1;
        let (record, invoice) = (record.clone(), invoice.to_owned());
        let entry = Entry { number: self.lines, record, invoice };
        self.entries.insert(entry.record.payment_hash, entry);
        Ok(())
    }
}

fn line(record: &Record, invoice: &str) -> Line {
    let (preimage, fee, failure) = match record.state {
        RecordState::Succeeded { preimage, fee } => {
            (Some(preimage.to_string()), Some(fee.get()), None)
        }
        RecordState::Failed(reason) => (None, None, Some(reason.name().to_owned())),
        // Neither ever stands here: each payment ends as it begins, and no result is lost.
        RecordState::InFlight | RecordState::ResultLost => (None, None, None),
    };
    Line {
        payment_hash: record.payment_hash.to_string(),
        amount_msat: record.amount.get(),
        created_ms: record.created.as_ms(),
        preimage,
        fee_msat: fee,
        failure,
        invoice: invoice.to_owned(),
    }
}

fn parse(text: &str) -> Option<(Record, String)> {
    let line: Line = serde_json::from_str(text).ok()?;
    let state = match (line.preimage, line.failure) {
        (Some(preimage), None) => RecordState::Succeeded {
            preimage: Preimage::from_bytes(bytes32(&preimage)?),
            fee: Msat::new(line.fee_msat?)?,
        },
        (None, Some(reason)) => RecordState::Failed(reason.parse().ok()?),
        (None, None) => RecordState::InFlight,
        (Some(_), Some(_)) => return None,
    };
    let record = Record {
        payment_hash: PaymentHash::from_bytes(bytes32(&line.payment_hash)?),
        amount: Msat::new(line.amount_msat)?,
        created: Timestamp::from_ms(line.created_ms),
        state,
    };
    Some((record, line.invoice))
}

fn bytes32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureReason;

    fn record(byte: u8, state: RecordState) -> Record {
        Record {
            payment_hash: PaymentHash::from_bytes([byte; 32]),
            amount: Msat::new(1000).unwrap(),
            created: Timestamp::from_ms(5),
            state,
        }
    }

    #[test]
    fn a_restart_does_not_forget_and_a_torn_line_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let preimage = Preimage::from_bytes([7; 32]);
        let paid = record(1, RecordState::Succeeded { preimage, fee: Msat::new(1).unwrap() });
        let failed = record(2, RecordState::Failed(FailureReason::NoRoute));
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&paid, "lnbcrt1").unwrap();
        ledger.append(&failed, "").unwrap();
        ledger.file.write_all(b"{\"payment_hash\":\"03").unwrap();
        drop(ledger);

        let mut again = Ledger::open(&path).unwrap();
        assert_eq!(again.find(paid.payment_hash), Some(&paid));
        assert_eq!(again.find(failed.payment_hash), Some(&failed));
        again.append(&failed, "lnbcrt2").unwrap();
        again.append(&record(4, RecordState::Failed(FailureReason::Timeout)), "").unwrap();
        let whole = Ledger::open(&path).unwrap();
        let listed: Vec<_> = whole
            .list()
            .into_iter()
            .map(|entry| (entry.number, entry.record.payment_hash.as_bytes()[0], &*entry.invoice))
            .collect();
        assert_eq!(listed, [(1, 1, "lnbcrt1"), (3, 2, "lnbcrt2"), (4, 4, "")]);
    }

    #[test]
    fn a_damaged_ledger_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        std::fs::write(&path, "not json\n").unwrap();
        assert!(Ledger::open(&path).is_err());
    }
}
