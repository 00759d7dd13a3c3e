//! Tests of the lines and bars, on a buffer in place of stderr.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::terminal::Face;
use super::*;
use crate::data::Side;
use colift_channel::memory;
use indicatif::{ProgressDrawTarget, TermLike};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A buffer that can be read while the progress writes to it.
#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the text holds something that another thread writes.
    fn expect(&self, part: &str) {
        let start = Instant::now();
        while !self.text().contains(part) {
            assert!(start.elapsed() < Duration::from_secs(30), "{part:?} never came in {:?}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn lines(side: Side, every: Duration) -> (Terminal, Buffer) {
    let buffer = Buffer::default();
    (Terminal::on(side, Face::Lines(Box::new(buffer.clone())), every), buffer)
}

const NEVER: Duration = Duration::from_secs(3_600);

#[test]
fn a_stage_has_a_line_at_its_begin_and_its_end() {
    let (progress, buffer) = lines(Side::Owner, NEVER);
    progress.stage("matching", 0, 2);
    progress.stage("matching", 1, 2);
    progress.stage("matching", 2, 2);
    progress.note("16,000 users are shared\u{1b}[2J");
    progress.stage("reading", 0, 0);
    progress.stage("training", 0, 9); // ends the stage before
    progress.stage("training", 9, 9);
    progress.stage("training", 1, 9); // once more
    drop(progress);
    let expected = [
        "owner: matching begins",
        "owner: matching done in",
        "owner: 16,000 users are shared [2J",
        "owner: reading begins",
        "owner: reading done in",
        "owner: training begins",
        "owner: training done in",
        "owner: training begins",
    ];
    let text = buffer.text();
    let seen: Vec<&str> =
        text.lines().map(|line| line.trim_end_matches(" s").trim_end_matches(|c: char| c == ' ' || c.is_ascii_digit())).collect();
    assert_eq!(seen, expected, "a stage that a failure cut short is not called done");
}

#[test]
fn lines_between_tell_step_and_seconds() {
    let (progress, buffer) = lines(Side::Partner, Duration::from_millis(20));
    progress.stage("training", 0, 12_000);
    progress.stage("training", 3_000, 12_000);
    buffer.expect("partner: training: step 3,000 of 12,000, ");
    progress.stage("training", 2_999, 12_000); // from a slower thread
    progress.stage("training", 3_001, 12_000);
    buffer.expect("step 3,001 of 12,000, ");
    assert!(!buffer.text().contains("2,999"));
    progress.stage("training", 3_001, 14_000);
    buffer.expect("step 3,001 of 14,000, ");
    progress.stage("counting", 5, 0);
    buffer.expect("partner: counting: ");
    assert_eq!(buffer.text().matches("training begins").count(), 1);
}

#[test]
fn a_long_wait_names_the_peer_and_the_message() {
    let (progress, buffer) = lines(Side::Owner, Duration::from_millis(100));
    progress.stage("matching", 0, 3);
    progress.waiting("double-masked points");
    buffer.expect("owner: matching: step 0 of 3, ");
    buffer.expect(" s for the partner: double-masked points\n");
    assert!(buffer.text().contains("owner: waiting "));
    progress.arrived();
    let seen = buffer.text().len();
    progress.stage("matching", 1, 3);
    buffer.expect("step 1 of 3, ");
    assert!(!buffer.text()[seen..].contains("owner: waiting"));
}

#[test]
fn a_wait_has_a_line_of_its_own_soon_whatever_was_said_before() {
    let (progress, buffer) = lines(Side::Partner, NEVER);
    progress.stage("matching", 0, 3);
    let start = Instant::now();
    progress.waiting("the peer to dial");
    buffer.expect("partner: waiting 4 s for the owner to dial\n");
    assert!(start.elapsed() > Duration::from_millis(3_900), "{:?}", start.elapsed());
    progress.sending("products");
    buffer.expect("partner: waiting 4 s for the owner to take: products\n");
    assert_eq!(buffer.text().matches("to dial").count(), 1);
}

#[test]
fn work_outside_the_stages_is_not_silent() {
    let (progress, buffer) = lines(Side::Owner, Duration::from_millis(20));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(buffer.text(), "", "nothing is in work yet");
    progress.busy("making the files");
    buffer.expect("owner: making the files: 0 s\n");
    progress.stage("matching", 0, 1);
    buffer.expect("owner: matching: 0 s\n");
    progress.stage("matching", 1, 1);
    buffer.expect("owner: work after matching: 0 s\n");
    // Waits too short to be named add up.
    progress.stage("scoring", 0, 1);
    progress.waiting("products");
    std::thread::sleep(Duration::from_millis(2_100));
    progress.arrived();
    buffer.expect("owner: scoring: 2 s, 2 s of it waiting for the partner and the line\n");
    let copy = progress.clone();
    drop(progress);
    copy.stage("training", 0, 2);
    buffer.expect("owner: training: step 0 of 2, 0 s\n");
    drop(copy);
    // As events, with a cause.
    let buffer = Buffer::default();
    let progress = Terminal::on(Side::Owner, Face::Events(Box::new(buffer.clone())), Duration::from_millis(20));
    progress.stage("matching", 0, 1);
    buffer.expect("\"cause\":\"matching: 0 s\"");
    progress.stage("matching", 1, 1);
    buffer.expect("\"cause\":\"work after matching: 0 s\"");
    progress.waiting("products");
    buffer.expect("\"cause\":\"waiting 2 s for the partner: products\"");
}

#[test]
fn a_watched_channel_tells_every_wait() {
    #[derive(Default)]
    struct Calls(Mutex<Vec<String>>);
    impl Progress for Calls {
        fn stage(&self, _: &'static str, _: u64, _: u64) {}
        fn note(&self, _: &str) {}
        fn waiting(&self, what: &'static str) {
            self.0.lock().unwrap().push(what.to_owned());
        }
        fn sending(&self, what: &'static str) {
            self.0.lock().unwrap().push(format!("> {what}"));
        }
        fn arrived(&self) {
            self.0.lock().unwrap().push("-".to_owned());
        }
    }
    const HELLO: Kind = Kind { code: 0x0501, name: "hello" };
    let calls = Calls::default();
    let (a, mut b) = memory::pair();
    let mut a = Watched::new(a, &calls);
    b.send(HELLO, b"hi").unwrap();
    a.send(HELLO, b"you").unwrap();
    assert_eq!(a.receive(HELLO, 2).unwrap(), b"hi");
    drop(b);
    assert!(a.receive(HELLO, 2).is_err(), "the peer is gone");
    assert_eq!(*calls.0.lock().unwrap(), ["> hello", "-", "hello", "-", "hello", "-"]);
    assert_eq!(a.counters().messages_received, 1);
    assert_eq!(a.inner().counters(), a.into_inner().counters());
}

#[test]
fn a_million_calls_cost_next_to_nothing() {
    let (progress, buffer) = lines(Side::Owner, NEVER);
    let start = Instant::now();
    for step in 0..1_000_000 {
        progress.stage("training", step, 1_000_000);
    }
    for _ in 0..100_000 {
        progress.waiting("products");
        progress.arrived();
    }
    progress.stage("training", 1_000_000, 1_000_000);
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?} on a shared machine; 20 ms alone", start.elapsed());
    assert_eq!(buffer.text().lines().count(), 2);
    Silent.stage("training", 1, 1);
}

#[test]
fn dropping_stops_the_thread_at_once() {
    let start = Instant::now();
    drop(lines(Side::Owner, NEVER));
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// A terminal that keeps what is drawn.
static SCREEN: Mutex<String> = Mutex::new(String::new());

#[derive(Debug)]
struct Screen;

impl TermLike for Screen {
    fn width(&self) -> u16 {
        120
    }
    fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> std::io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }
    fn write_str(&self, text: &str) -> std::io::Result<()> {
        SCREEN.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> std::io::Result<()> {
        self.write_str("\n")
    }
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn bars_show_position_wait_and_notes() {
    let below = Buffer::default();
    let target = || ProgressDrawTarget::term_like(Box::new(Screen));
    let face = Face::Bars { open: None, target, out: Box::new(below.clone()) };
    let progress = Terminal::on(Side::Owner, face, Duration::from_millis(20));
    let shows = |part: &str| {
        let start = Instant::now();
        while !SCREEN.lock().unwrap().contains(part) {
            assert!(start.elapsed() < Duration::from_secs(30), "{part:?} never came in {:?}", SCREEN.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    progress.note("before any bar");
    progress.waiting("the link");
    shows(" s for the partner: the link");
    progress.arrived();
    progress.stage("training", 3, 9);
    shows("3/9");
    shows("owner: [");
    progress.note("above the bar");
    shows("owner: above the bar");
    progress.waiting("products");
    shows(" s for the partner: products");
    shows("training, waiting ");
    progress.stage("training", 9, 9);
    progress.stage("evaluation", 0, 0);
    shows("evaluation");
    drop(progress);
    assert!(below.text().starts_with("owner: before any bar\nowner: training done in "), "{}", below.text());
    assert_eq!(below.text().lines().count(), 2, "the stage that was cut short leaves no line");
}
