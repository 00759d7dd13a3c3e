//! Progress for people: the stage in work and the wait for the peer, as a bar or as lines, shown by one quiet thread.

use super::Progress;
use crate::data::Side;
use crate::data::wording::grouped;
use colift_channel::tls::{Attempts, Pulse};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two lines where stderr is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Time between two looks at the numbers on a terminal.
const BARS_EVERY: Duration = Duration::from_millis(200);
/// A wait of this length is shown where something is shown anyhow.
const WAIT_SHOWN: Duration = Duration::from_secs(2);
/// A wait of this length gets a line of its own.
const WAIT_NAMED: Duration = Duration::from_secs(4);
/// A peer that was not heard for so long, though its keep-alives come every five seconds, is told apart from one that computes.
const SILENT: Duration = Duration::from_secs(8);

/// Bars on a terminal, otherwise one line every five seconds and one when a stage begins and ends; or events for programs. Clones are the
/// same one; it ends with the last.
#[derive(Clone)]
pub struct Terminal(Arc<Painter>);

/// The state and the thread that shows it.
struct Painter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Progress of one party on stderr; its lines begin with the party's name.
    #[must_use]
    pub fn new(side: Side) -> Self {
        if std::io::stderr().is_terminal() {
            Self::on(side, Face::Bars { open: None, target: ProgressDrawTarget::stderr, out: Box::new(std::io::stderr()) }, BARS_EVERY)
        } else {
            Self::lines(side)
        }
    }

    /// Lines on stderr even on a terminal: where both programs share it.
    #[must_use]
    pub fn lines(side: Side) -> Self {
        Self::on(side, Face::Lines(Box::new(std::io::stderr())), LINES_EVERY)
    }

    /// One JSON object a line on stderr, every five seconds and whenever something begins or ends: `time` (UTC), `side`, `event` (`stage`,
    /// `progress`, `done`, `waiting`, `note`) and what belongs to it; `cause` says in words what is done or waited for.
    #[must_use]
    pub fn events(side: Side) -> Self {
        Self::on(side, Face::Events(Box::new(std::io::stderr())), LINES_EVERY)
    }

    /// Lines under another name than a party's: of a program that starts both.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        let terminal = Self::lines(Side::Owner);
        terminal.0.shared.lock().name = name;
        terminal
    }

    /// From now on a wait for the peer tells why it was not met yet.
    pub fn trying(&self, attempts: Attempts) {
        self.0.shared.lock().attempts = Some(attempts);
    }

    /// From now on the peer hears what is in work here, and what it says is shown while it is waited for. The wait for it is over.
    pub fn connected(&self, pulse: Pulse) {
        let mut state = self.0.shared.lock();
        state.waiting = None;
        state.attempts = None;
        state.pulse = Some(pulse);
    }

    /// From now on this is done outside any stage; shown only where it takes long.
    pub fn busy(&self, what: &'static str) {
        let mut state = self.0.shared.lock();
        state.waiting = None;
        state.aside = Some(Aside { text: what.to_owned(), since: Instant::now() });
    }

    pub(super) fn on(side: Side, face: Face, every: Duration) -> Self {
        let state = State {
            side,
            name: side.name(),
            face,
            every,
            said: Instant::now(),
            stage: None,
            aside: None,
            waiting: None,
            waited: Duration::ZERO,
            ended: false,
            pulse: None,
            attempts: None,
        };
        let shared = Arc::new(Shared {
            name: AtomicPtr::default(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            state: Mutex::new(state),
            end: Condvar::new(),
        });
        let (painted, look) = (shared.clone(), every.min(LOOK_EVERY));
        let paint = move || {
            let mut state = painted.lock();
            while !state.ended {
                let (again, waited) = painted.end.wait_timeout(state, look).unwrap_or_else(PoisonError::into_inner);
                state = again;
                if waited.timed_out() && !state.ended {
                    let done = painted.done.load(Ordering::Relaxed);
                    state.paint(done);
                }
            }
        };
        // Without the thread the lines at a stage's begin and end remain.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(paint).ok();
        Self(Arc::new(Painter { shared, thread }))
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.face.close();
        drop(state);
        self.shared.end.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Progress for Terminal {
    fn stage(&self, name: &'static str, done: u64, total: u64) {
        let shared = &self.0.shared;
        let known = shared.name.load(Ordering::Relaxed) == name.as_ptr().cast_mut() && shared.total.load(Ordering::Relaxed) == total;
        if known && (done < total || total == 0) {
            shared.done.fetch_max(done, Ordering::Relaxed);
            return;
        }
        let mut state = shared.lock();
        state.waiting = None;
        state.advance(name, total);
        shared.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        shared.total.store(total, Ordering::Relaxed);
        shared.done.store(done, Ordering::Relaxed);
        if total > 0 && done >= total {
            state.end_stage();
            shared.name.store(std::ptr::null_mut(), Ordering::Relaxed);
        }
    }

    fn note(&self, text: &str) {
        self.0.shared.lock().say(text);
    }

    fn waiting(&self, what: &'static str) {
        self.0.shared.lock().waiting = Some(Wait::new(what, false));
    }

    fn sending(&self, what: &'static str) {
        self.0.shared.lock().waiting = Some(Wait::new(what, true));
    }

    fn arrived(&self) {
        let mut state = self.0.shared.lock();
        if let Some(wait) = state.waiting.take() {
            state.waited += wait.since.elapsed();
        }
    }
}

struct Shared {
    /// Address of the open stage's name: tells a known stage without the lock.
    name: AtomicPtr<u8>,
    done: AtomicU64,
    total: AtomicU64,
    state: Mutex<State>,
    end: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Stage {
    name: &'static str,
    total: u64,
    began: Instant,
}

/// A wait for the peer.
struct Wait {
    what: &'static str,
    /// To take it, not to send it.
    taking: bool,
    since: Instant,
    /// Whether it has had a line.
    named: bool,
}

impl Wait {
    fn new(what: &'static str, taking: bool) -> Self {
        Self { what, taking, since: Instant::now(), named: false }
    }
}

/// Work outside any stage.
struct Aside {
    text: String,
    since: Instant,
}

struct State {
    side: Side,
    /// What lines begin with.
    name: &'static str,
    face: Face,
    /// Longest time between two lines.
    every: Duration,
    /// When something was last said.
    said: Instant,
    stage: Option<Stage>,
    aside: Option<Aside>,
    waiting: Option<Wait>,
    /// All waits for the peer since the stage, or the work after it, began.
    waited: Duration,
    ended: bool,
    /// What both sides tell each other about their work, once they are connected.
    pulse: Option<Pulse>,
    /// Why the peer was not met yet, while it is not.
    attempts: Option<Attempts>,
}

impl State {
    /// Goes on with the open stage of this name, or ends it and begins a new one.
    fn advance(&mut self, name: &'static str, total: u64) {
        match &mut self.stage {
            Some(stage) if stage.name == name => {
                stage.total = total;
                self.face.resize(total);
            }
            _ => {
                self.end_stage();
                (self.aside, self.waited) = (None, Duration::ZERO);
                self.stage = Some(Stage { name, total, began: Instant::now() });
                match self.face {
                    Face::Lines(_) => self.say(&format!("{name} begins")),
                    Face::Events(_) => self.event(json!({ "event": "stage", "stage": name, "steps": total })),
                    Face::Bars { .. } => self.face.open(self.side, name, total),
                }
            }
        }
    }

    fn end_stage(&mut self) {
        if let Some(stage) = self.stage.take() {
            self.face.close();
            let took = stage.began.elapsed();
            match self.face {
                Face::Events(_) => self.event(json!({ "event": "done", "stage": stage.name, "seconds": took.as_secs_f64() })),
                _ => self.say(&format!("{} done in {} s", stage.name, took.as_secs())),
            }
            self.aside = Some(Aside { text: format!("work after {}", stage.name), since: Instant::now() });
            self.waited = Duration::ZERO;
        }
    }

    /// Shows how far the run is; called twice a second, or some times a second for a bar.
    fn paint(&mut self, done: u64) {
        self.tell(done);
        let wait = self.waiting.as_ref().map(|wait| (wait.since.elapsed(), wait.named)).filter(|(time, _)| *time >= WAIT_SHOWN);
        if let Face::Bars { .. } = self.face {
            self.paint_bar(done, wait.map(|(time, _)| time));
            return;
        }
        let fresh = wait.is_some_and(|(time, named)| time >= WAIT_NAMED && !named);
        if !fresh && self.said.elapsed() < self.every {
            return;
        }
        match wait {
            Some((time, _)) => {
                let cause = self.cause(time);
                if let Some(wait) = &mut self.waiting {
                    wait.named = true;
                }
                match self.face {
                    Face::Events(_) => self.waiting_event(time, &cause),
                    _ => self.say(&cause),
                }
            }
            None => self.paint_work(done),
        }
    }

    /// A wait in words: how long, for what, and what is known about the peer.
    fn cause(&self, time: Duration) -> String {
        let Some(wait) = &self.waiting else { return String::new() };
        let (peer, seconds) = (self.side.peer(), time.as_secs());
        let met = match (&self.pulse, &self.attempts) {
            (Some(pulse), _) if pulse.silent_for() >= SILENT => format!(" (not heard for {} s)", pulse.silent_for().as_secs()),
            (Some(pulse), _) => pulse.heard().map_or_else(String::new, |words| format!(" ({words})")),
            (None, Some(attempts)) => attempts.last().map_or_else(String::new, |why| format!(" ({why})")),
            (None, None) => String::new(),
        };
        match wait.what.strip_prefix("the peer ") {
            Some(doing) => format!("waiting {seconds} s for the {peer} {doing}{met}"),
            None if wait.taking => format!("waiting {seconds} s for the {peer} to take: {}{met}", wait.what),
            None => format!("waiting {seconds} s for the {peer}: {}{met}", wait.what),
        }
    }

    fn paint_bar(&mut self, done: u64, wait: Option<Duration>) {
        let wait = wait.map(|time| self.cause(time));
        match (&self.stage, wait) {
            (Some(stage), wait) => {
                let message = wait.map_or(stage.name.to_owned(), |wait| format!("{}, {wait}", stage.name));
                self.face.update(done, message);
            }
            (None, wait) => {
                let aside = self.aside.as_ref().filter(|aside| aside.since.elapsed() >= WAIT_SHOWN).map(|aside| aside.text.clone());
                match wait.or(aside) {
                    Some(message) => {
                        if matches!(self.face, Face::Bars { open: None, .. }) {
                            self.face.open(self.side, "", 0);
                        }
                        self.face.update(0, message);
                    }
                    None => self.face.close(),
                }
            }
        }
    }

    /// Own work, as a line or an event.
    fn paint_work(&mut self, done: u64) {
        let event = matches!(self.face, Face::Events(_));
        match (&self.stage, &self.aside) {
            (Some(Stage { name, total, began }), _) => {
                let line = format!("{name}: {}{}", steps(done, *total), self.took(*began));
                if event {
                    let seconds = began.elapsed().as_secs_f64();
                    self.event(
                        json!({ "event": "progress", "stage": name, "step": done, "steps": total, "seconds": seconds, "cause": line }),
                    );
                } else {
                    self.say(&line);
                }
            }
            (None, Some(aside)) => {
                let line = format!("{}: {}", aside.text, self.took(aside.since));
                if event {
                    let seconds = aside.since.elapsed().as_secs_f64();
                    self.event(json!({ "event": "progress", "stage": null, "seconds": seconds, "cause": line }));
                } else {
                    self.say(&line);
                }
            }
            (None, None) => {}
        }
    }

    /// How long it has taken, and how much of that went into waits, each too short to be named, where they are a good part of it.
    fn took(&self, since: Instant) -> String {
        let (took, waited) = (since.elapsed(), self.waited);
        if waited >= WAIT_SHOWN && 4 * waited >= took {
            return format!("{} s, {} s of it waiting for the {} and the line", took.as_secs(), waited.as_secs(), self.side.peer());
        }
        format!("{} s", took.as_secs())
    }

    /// Tells the peer what is in work.
    fn tell(&self, done: u64) {
        let Some(pulse) = &self.pulse else { return };
        match (&self.stage, &self.waiting, &self.aside) {
            (_, Some(wait), _) if wait.since.elapsed() >= WAIT_SHOWN => pulse.tell(&format!("waits for {}", wait.what)),
            (Some(Stage { name, total: total @ 2.., .. }), ..) => pulse.tell(&format!("{name}, {} %", 100 * done.min(*total) / total)),
            (Some(Stage { name, .. }), ..) => pulse.tell(name),
            (None, _, Some(aside)) => pulse.tell(&aside.text),
            (None, _, None) => pulse.tell("between two stages"),
        }
    }

    /// A wait for programs.
    fn waiting_event(&mut self, time: Duration, cause: &str) {
        let Some(wait) = &self.waiting else { return };
        let stage = self.stage.as_ref().map(|stage| stage.name);
        let heard = self.pulse.as_ref().and_then(Pulse::heard);
        self.event(json!({
            "event": "waiting", "for": wait.what, "seconds": time.as_secs_f64(), "stage": stage, "peer": heard, "cause": cause,
        }));
    }

    /// Writes one event.
    fn event(&mut self, mut event: Value) {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("time".to_owned(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into());
            fields.insert("side".to_owned(), self.side.name().into());
        }
        self.said = Instant::now();
        self.face.say(&event.to_string());
    }

    /// Writes one line.
    fn say(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Face::Events(_) = self.face {
            self.event(json!({ "event": "note", "text": text }));
            return;
        }
        self.said = Instant::now();
        self.face.say(&format!("{}: {text}", self.name));
    }
}

/// How far a stage is; nothing where it has one step or none is known.
fn steps(done: u64, total: u64) -> String {
    if total > 1 { format!("step {} of {}, ", grouped(done), grouped(total)) } else { String::new() }
}

/// Where it is shown.
pub(super) enum Face {
    /// Lines.
    Lines(Box<dyn Write + Send>),
    /// One JSON object a line.
    Events(Box<dyn Write + Send>),
    /// One bar, and lines above it.
    Bars {
        /// The open stage's bar.
        open: Option<ProgressBar>,
        /// Where a new bar is drawn.
        target: fn() -> ProgressDrawTarget,
        /// Where lines go while there is no bar.
        out: Box<dyn Write + Send>,
    },
}

impl Face {
    fn open(&mut self, side: Side, name: &'static str, total: u64) {
        self.close();
        if let Self::Bars { open, target, .. } = self {
            let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target());
            let shape = if total > 0 { "{prefix}: [{bar:30}] {pos}/{len} {elapsed} {msg}" } else { "{prefix}: {spinner} {elapsed} {msg}" };
            if let Ok(style) = ProgressStyle::with_template(shape) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(side.name());
            bar.set_message(name);
            bar.tick();
            *open = Some(bar);
        }
    }

    fn resize(&mut self, total: u64) {
        if let Self::Bars { open: Some(bar), .. } = self {
            bar.set_length(total);
        }
    }

    fn update(&mut self, done: u64, message: String) {
        if let Self::Bars { open: Some(bar), .. } = self {
            bar.set_position(done);
            bar.set_message(message);
            bar.tick();
        }
    }

    /// Takes the bar away.
    fn close(&mut self) {
        if let Self::Bars { open, .. } = self
            && let Some(bar) = open.take()
        {
            bar.finish_and_clear();
        }
    }

    /// One line; a stderr that is gone does not end the run.
    fn say(&mut self, line: &str) {
        let out = match self {
            Self::Bars { open: Some(bar), .. } => return bar.println(line),
            Self::Bars { out, .. } | Self::Lines(out) | Self::Events(out) => out,
        };
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
