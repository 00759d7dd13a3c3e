//! Progress for people: the stage in work and the wait for the peer, as a bar or as lines, shown by one quiet thread.

use super::Progress;
use crate::data::Side;
use crate::data::wording::grouped;
use colift_channel::tls::Pulse;
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
/// Time between two looks at the numbers on a terminal.
const BARS_EVERY: Duration = Duration::from_millis(200);
/// A wait of this length is shown.
const WAIT_SHOWN: Duration = Duration::from_secs(2);

/// Bars on a terminal, otherwise one line every five seconds and one when a stage begins and ends; or events for programs.
pub struct Terminal {
    shared: Arc<Shared>,
    painter: Option<JoinHandle<()>>,
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
    /// `progress`, `done`, `waiting`, `note`) and what belongs to it.
    #[must_use]
    pub fn events(side: Side) -> Self {
        Self::on(side, Face::Events(Box::new(std::io::stderr())), LINES_EVERY)
    }

    /// From now on the peer hears what is in work here, and what it says is shown while it is waited for.
    pub fn connected(&self, pulse: Pulse) {
        self.shared.lock().pulse = Some(pulse);
    }

    pub(super) fn on(side: Side, face: Face, every: Duration) -> Self {
        let state = State { side, face, stage: None, waiting: None, ended: false, pulse: None };
        let shared = Arc::new(Shared {
            name: AtomicPtr::default(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            state: Mutex::new(state),
            end: Condvar::new(),
        });
        let painted = shared.clone();
        let paint = move || {
            let mut state = painted.lock();
            while !state.ended {
                let (again, waited) = painted.end.wait_timeout(state, every).unwrap_or_else(PoisonError::into_inner);
                state = again;
                if waited.timed_out() && !state.ended {
                    let done = painted.done.load(Ordering::Relaxed);
                    state.paint(done);
                }
            }
        };
        // Without the thread the lines at a stage's begin and end remain.
        let painter = std::thread::Builder::new().name("progress".into()).spawn(paint).ok();
        Self { shared, painter }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.face.close();
        drop(state);
        self.shared.end.notify_all();
        if let Some(painter) = self.painter.take() {
            let _ = painter.join();
        }
    }
}

impl Progress for Terminal {
    fn stage(&self, name: &'static str, done: u64, total: u64) {
        let shared = &self.shared;
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
        self.shared.lock().say(text);
    }

    fn waiting(&self, what: &'static str) {
        self.shared.lock().waiting = Some((what, Instant::now()));
    }

    fn arrived(&self) {
        self.shared.lock().waiting = None;
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

struct State {
    side: Side,
    face: Face,
    stage: Option<Stage>,
    waiting: Option<(&'static str, Instant)>,
    ended: bool,
    /// What both sides tell each other about their work, once they are connected.
    pulse: Option<Pulse>,
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
        }
    }

    /// Shows how far the run is; called every few seconds, or some times a second for a bar.
    fn paint(&mut self, done: u64) {
        self.tell(done);
        if let Face::Events(_) = self.face {
            self.paint_events(done);
            return;
        }
        let peer = self.side.peer();
        let wait = self.waiting.map(|(what, since)| (what, since.elapsed())).filter(|(_, time)| *time >= WAIT_SHOWN);
        let heard = self.pulse.as_ref().and_then(Pulse::heard).map_or_else(String::new, |words| format!(" ({words})"));
        let wait = wait.map(|(what, time)| format!("waiting {} s for the {peer}: {what}{heard}", time.as_secs()));
        match (&self.face, &self.stage, wait) {
            (Face::Bars { .. }, Some(stage), wait) => {
                let message = wait.map_or(stage.name.to_owned(), |wait| format!("{}, {wait}", stage.name));
                self.face.update(done, message);
            }
            (Face::Bars { open, .. }, None, Some(wait)) => {
                if open.is_none() {
                    self.face.open(self.side, "", 0);
                }
                self.face.update(0, wait);
            }
            (Face::Bars { .. }, None, None) => self.face.close(),
            (Face::Lines(_) | Face::Events(_), None, None) | (Face::Events(_), ..) => {}
            (Face::Lines(_), _, Some(wait)) => self.say(&wait),
            (Face::Lines(_), Some(Stage { name, total, began }), None) => {
                let steps = if *total > 0 { format!("step {} of {}, ", grouped(done), grouped(*total)) } else { String::new() };
                let line = format!("{name}: {steps}{} s", began.elapsed().as_secs());
                self.say(&line);
            }
        }
    }

    /// Tells the peer what is in work.
    fn tell(&self, done: u64) {
        let Some(pulse) = &self.pulse else { return };
        match (&self.stage, self.waiting) {
            (_, Some((what, since))) if since.elapsed() >= WAIT_SHOWN => pulse.tell(&format!("waits for {what}")),
            (Some(Stage { name, total: total @ 1.., .. }), _) => pulse.tell(&format!("{name}, {} %", 100 * done.min(*total) / total)),
            (Some(Stage { name, .. }), _) => pulse.tell(name),
            (None, _) => pulse.tell("between two stages"),
        }
    }

    /// The same for programs.
    fn paint_events(&mut self, done: u64) {
        let wait = self.waiting.map(|(what, since)| (what, since.elapsed())).filter(|(_, time)| *time >= WAIT_SHOWN);
        if let Some((what, time)) = wait {
            let stage = self.stage.as_ref().map(|stage| stage.name);
            let heard = self.pulse.as_ref().and_then(Pulse::heard);
            self.event(json!({ "event": "waiting", "for": what, "seconds": time.as_secs_f64(), "stage": stage, "peer": heard }));
        } else if let Some(stage) = &self.stage {
            let (name, total, seconds) = (stage.name, stage.total, stage.began.elapsed().as_secs_f64());
            self.event(json!({ "event": "progress", "stage": name, "step": done, "steps": total, "seconds": seconds }));
        }
    }

    /// Writes one event.
    fn event(&mut self, mut event: Value) {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("time".to_owned(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into());
            fields.insert("side".to_owned(), self.side.name().into());
        }
        self.face.say(&event.to_string());
    }

    /// Writes one line.
    fn say(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Face::Events(_) = self.face {
            self.event(json!({ "event": "note", "text": text }));
            return;
        }
        self.face.say(&format!("{}: {text}", self.side));
    }
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
