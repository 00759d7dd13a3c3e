//! One hash of everything that a run takes from a table: whether a file is the same as before, without keeping it.

use super::{Column, Split, Table, Values};
use ring::digest::{Context, SHA256};

/// Numbers hashed at a time.
const BATCH: usize = 1 << 13;

impl Table {
    /// SHA-256 of ids, keys, columns, labels and parts. Low-entropy tables could be guessed from it: it is never told without a salt.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Parts(Context::new(&SHA256));
        hash.texts(&self.ids);
        hash.length(self.keys.len());
        self.keys.iter().for_each(|key| hash.texts(key));
        hash.length(self.columns.len());
        self.columns.iter().for_each(|column| hash.column(column));
        hash.length(self.labels.len());
        self.labels.iter().for_each(|label| hash.numbers(label));
        hash.length(usize::from(self.channel.is_some()));
        self.channel.iter().for_each(|column| hash.column(column));
        hash.length(self.split.as_ref().map_or(0, Vec::len));
        let parts: Vec<u8> = self.split.iter().flatten().map(|part| u8::from(*part == Split::Test)).collect();
        hash.0.update(&parts);
        let mut out = [0; 32];
        out.copy_from_slice(hash.0.finish().as_ref());
        out
    }
}

/// A hash of parts, each after its length.
struct Parts(Context);

impl Parts {
    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.length(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    fn numbers(&mut self, numbers: &[f64]) {
        self.length(numbers.len());
        for batch in numbers.chunks(BATCH) {
            let bytes: Vec<u8> = batch.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
            self.0.update(&bytes);
        }
    }

    fn column(&mut self, column: &Column) {
        self.text(&column.name);
        match &column.values {
            Values::Number(numbers) => {
                self.length(0);
                self.numbers(numbers);
            }
            Values::Text { codes, levels } => {
                self.length(1);
                self.texts(levels);
                self.length(codes.len());
                for batch in codes.chunks(BATCH) {
                    let bytes: Vec<u8> = batch.iter().flat_map(|code| code.to_le_bytes()).collect();
                    self.0.update(&bytes);
                }
            }
        }
    }
}
