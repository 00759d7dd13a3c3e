//! What this process has used: time, processor, memory, by stage for the report; and no core dumps while it holds secrets.

use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::report::{Cost, Ordered, PerParty, StageCost};
use colift_channel::Counters;
use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use std::time::Instant;

/// A reading of the clocks.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The wall clock.
    pub wall: Instant,
    /// User + system seconds of all threads of this process since it began.
    pub cpu_s: f64,
}

impl Usage {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        // The system refuses this call for bad addresses only, and there is none.
        let cpu_s = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
            let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
            seconds(usage.user_time()) + seconds(usage.system_time())
        });
        Self { wall: Instant::now(), cpu_s }
    }
}

/// Largest resident memory of this process so far, in MB (10⁶ bytes).
#[must_use]
pub fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Not ru_maxrss where it can be avoided: a child process inherits its parent's peak there.
    let kib = peak_of(&status).unwrap_or_else(|| getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| usage.max_rss() as f64));
    kib * 1024.0 / 1e6
}

/// The peak in KiB from the text of `/proc/self/status`.
fn peak_of(status: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Collects what each stage of a run costs, in order. Counters are readings of one link, so the stages add up to the whole:
/// traffic between two stages belongs to the later one.
#[derive(Clone, Debug)]
pub struct StageClock {
    side: Side,
    start: Instant,
    open: Option<(&'static str, Usage)>,
    counted: Counters,
    stages: Vec<(&'static str, StageSum)>,
}

/// One side's sums of one stage.
#[derive(Clone, Copy, Debug, Default)]
struct StageSum {
    wall_s: f64,
    cpu_s: f64,
    bytes_sent: u64,
    rounds: u64,
}

impl StageClock {
    /// Starts the clock of the whole run.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self { side, start: Instant::now(), open: None, counted: Counters::default(), stages: Vec::new() }
    }

    /// Begins a stage: `read`, `match`, `train` or `evaluate`. One still open ends; one of the same name goes on.
    pub fn begin(&mut self, name: &'static str) {
        self.end(self.counted);
        self.open = Some((name, Usage::now()));
    }

    /// Ends the open stage with the link's counters as they are now; all zero before there is a link.
    pub fn end(&mut self, counters: Counters) {
        let Some((name, began)) = self.open.take() else { return };
        let now = Usage::now();
        let traffic = counters.since(self.counted);
        self.counted = counters;
        let at = self.stages.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.stages.push((name, StageSum::default()));
            self.stages.len() - 1
        });
        if let Some((_, sum)) = self.stages.get_mut(at) {
            sum.wall_s += now.wall.duration_since(began.wall).as_secs_f64();
            sum.cpu_s += now.cpu_s - began.cpu_s;
            sum.bytes_sent += traffic.bytes_sent;
            sum.rounds += traffic.rounds;
        }
    }

    /// What the whole run has cost this side so far, the stages among it. The processor's time counts from the process's begin.
    #[must_use]
    pub fn cost(&self, counters: Counters) -> Cost {
        let stage = |sum: &StageSum| StageCost {
            wall_s: sum.wall_s,
            cpu_s: self.own(sum.cpu_s),
            bytes_sent: self.own(sum.bytes_sent),
            rounds: sum.rounds,
        };
        Cost {
            wall_s: self.start.elapsed().as_secs_f64(),
            cpu_s: self.own(Usage::now().cpu_s),
            bytes_sent: self.own(counters.bytes_sent),
            rounds: counters.rounds,
            peak_rss_mb: self.own(peak_rss_mb()),
            stages: self.stages.iter().map(|(name, sum)| ((*name).to_owned(), stage(sum))).collect::<Ordered<_>>(),
        }
    }

    fn own<T>(&self, value: T) -> PerParty<T> {
        match self.side {
            Side::Owner => PerParty { owner: Some(value), partner: None },
            Side::Partner => PerParty { owner: None, partner: Some(value) },
        }
    }
}

/// Keeps this process's memory out of core dumps and away from other processes of the same user.
///
/// # Errors
/// Exit 1, E0730: the system refuses.
pub fn disable_core_dumps() -> Result<(), Failure> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
        .and_then(|()| prctl::set_dumpable(false))
        .map_err(|error| Failure::new(Exit::Internal, 730, format!("core dumps cannot be switched off: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use nix::sys::resource::getrlimit;
    use std::time::Duration;

    fn counters(bytes_sent: u64, rounds: u64) -> Counters {
        Counters { bytes_sent, rounds, ..Counters::default() }
    }

    /// Keeps one processor busy.
    fn work(seconds: f64) {
        let start = Instant::now();
        let mut x = 1.0f64;
        while start.elapsed().as_secs_f64() < seconds {
            x = std::hint::black_box(x * 1.000_000_1);
        }
    }

    #[test]
    fn processor_time_counts_all_threads_and_never_runs_back() {
        let before = Usage::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| work(0.15));
            }
        });
        let used = Usage::now().cpu_s - before.cpu_s;
        assert!(used > 0.02, "{used} s of two busy threads on a shared machine");
        assert!(Usage::now().wall > before.wall);
    }

    #[test]
    fn the_peak_holds_memory_that_was_used_once() {
        let block = std::hint::black_box(vec![1u8; 200_000_000]);
        drop(block);
        let peak = peak_rss_mb();
        assert!((200.0..100_000.0).contains(&peak), "{peak} MB");
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048.0));
        assert_eq!(peak_of("VmHWM:\t many\n"), None);
    }

    #[test]
    fn stages_keep_their_order_and_add_up_to_the_whole() {
        let mut clock = StageClock::new(Side::Partner);
        clock.begin("read");
        std::thread::sleep(Duration::from_millis(30));
        clock.end(Counters::default());
        clock.begin("match");
        clock.end(counters(1_000, 4)); // a handshake before the stage is in it too
        clock.begin("train");
        work(0.05);
        clock.begin("evaluate"); // ends the stage before, whose traffic is not known yet
        clock.end(counters(1_500, 9));
        clock.begin("match");
        clock.end(counters(1_501, 10));
        clock.end(counters(9_999, 99)); // nothing is open
        let cost = clock.cost(counters(1_501, 10));

        let names: Vec<&str> = cost.stages.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["read", "match", "train", "evaluate"]);
        let traffic: Vec<_> = cost.stages.0.iter().map(|(_, stage)| (stage.bytes_sent.partner, stage.rounds)).collect();
        assert_eq!(traffic, [(Some(0), 0), (Some(1_001), 5), (Some(0), 0), (Some(500), 5)]);
        assert_eq!((cost.bytes_sent, cost.rounds), (PerParty { owner: None, partner: Some(1_501) }, 10));
        assert!(cost.stages.0[0].1.wall_s >= 0.03 && cost.stages.0[2].1.wall_s >= 0.05);
        assert!(cost.stages.0.iter().map(|(_, stage)| stage.wall_s).sum::<f64>() <= cost.wall_s);
        assert!(cost.peak_rss_mb.partner.unwrap() > 1.0 && cost.peak_rss_mb.owner.is_none());
        let used = cost.stages.0[2].1.cpu_s.partner.unwrap();
        assert!(used > 0.0 && used <= cost.cpu_s.partner.unwrap());
        assert!(StageClock::new(Side::Owner).cost(counters(7, 1)).bytes_sent.owner == Some(7));
    }

    #[test]
    fn core_dumps_are_off_for_good() {
        disable_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!prctl::get_dumpable().unwrap());
        disable_core_dumps().unwrap();
    }
}
