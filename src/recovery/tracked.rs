//! Progress that is also written down, for `status`.

use super::Seen;
use crate::progress::Progress;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Least time between two writes, in milliseconds.
const EVERY_MS: u64 = 1000;

/// Progress that goes on to another, and now and then to the folder of the unfinished run.
pub struct Tracked<'a> {
    shown: &'a dyn Progress,
    folder: PathBuf,
    began: Instant,
    /// When it was last written, in milliseconds since then.
    written: AtomicU64,
    now: Mutex<(String, u64, u64)>,
}

impl<'a> Tracked<'a> {
    /// Writes to this folder.
    pub fn new(shown: &'a dyn Progress, folder: PathBuf) -> Self {
        Self { shown, folder, began: Instant::now(), written: AtomicU64::new(0), now: Mutex::default() }
    }

    /// Whether it is time to write again; true for one caller only.
    fn due(&self, at_once: bool) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.written.load(Ordering::Relaxed);
        (at_once || now.saturating_sub(before) >= EVERY_MS)
            && self.written.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn write(&self, (stage, done, total): (String, u64, u64), waiting: Option<&str>) {
        let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Seen { stage, done, total, waiting: waiting.map(str::to_owned), at }.write(&self.folder);
    }
}

impl Progress for Tracked<'_> {
    fn stage(&self, name: &'static str, done: u64, total: u64) {
        self.shown.stage(name, done, total);
        if self.due(done == 0) {
            let now = (name.to_owned(), done, total);
            self.now.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&now);
            self.write(now, None);
        }
    }

    fn note(&self, text: &str) {
        self.shown.note(text);
    }

    fn waiting(&self, what: &'static str) {
        self.shown.waiting(what);
        if self.due(false) {
            let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.write(now, Some(what));
        }
    }

    fn sending(&self, what: &'static str) {
        self.shown.sending(what);
    }

    fn arrived(&self) {
        self.shown.arrived();
    }
}
