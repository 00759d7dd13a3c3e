//! `doctor`: what a run needs from this machine and, where asked, from the way to the peer, looked at one by one.

use crate::cli::flags::DoctorFlags;
use crate::cli::{say, versions};
use crate::contract::{Job, Link, ProxyChoice};
use crate::data::Side;
use crate::data::wording::counted;
use crate::error::{Exit, Failure};
use crate::progress::{Progress, Terminal, Watched};
use crate::report::bytes;
use crate::session::receipt::this_program;
use crate::session::{Home, Identity, LinkSpec, Pins, can_listen, connect, greet};
use colift_channel::tls::{Fingerprint, Limits};
use colift_channel::{Channel, Kind, StopFlag};
use jiff::Timestamp;
use std::time::{Duration, Instant};

const PING: Kind = Kind { code: 0x0138, name: "doctor's ping" };
const PINGS: usize = 5;
/// Less free memory than this is worth a word.
const LITTLE_MEMORY: u64 = 1 << 30;
/// Less free space for temporary files.
const LITTLE_SPACE: u64 = 1 << 30;

/// The findings so far.
struct Findings {
    failures: Vec<Failure>,
}

impl Findings {
    fn fine(&self, what: &str, text: &str) {
        say(&format!("ok      {what:<12} {text}"));
    }

    fn doubtful(&self, what: &str, text: &str) {
        say(&format!("doubt   {what:<12} {text}"));
    }

    /// Shows a result; what failed is kept.
    fn take<T>(&mut self, what: &str, result: Result<T, Failure>, text: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.fine(what, &text(&value));
                Some(value)
            }
            Err(failure) => {
                say(&format!("FAILED  {what:<12} {}", failure.what));
                if let Some(remedy) = &failure.remedy {
                    say(&format!("        {:<12} try: {remedy}", ""));
                }
                self.failures.push(failure);
                None
            }
        }
    }
}

/// Looks at everything.
///
/// # Errors
/// The first check that failed, with its exit code, after all were shown.
pub fn doctor(side: Side, flags: &DoctorFlags, stop: &StopFlag) -> Result<(), Failure> {
    let mut findings = Findings { failures: Vec::new() };
    let program = this_program();
    findings.fine("program", &format!("colift-{side} {}, commit {}, {}", versions(), program.commit, program.target));
    if program.features.is_empty() {
        findings.doubtful("processor", "neither AES nor AVX2: portable code, several times slower");
    } else {
        findings.fine("processor", &program.features.join(", "));
    }
    findings.fine(
        "clock",
        &format!("{} UTC; keys are pinned and do not expire, contracts may", Timestamp::now().strftime("%Y-%m-%d %H:%M:%S")),
    );
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match available_memory() {
        Some(memory) if memory < LITTLE_MEMORY => {
            findings.doubtful(
                "memory",
                &format!("{} free, {}: enough for small files only", bytes(memory), counted(cores as u64, "core", "cores")),
            );
        }
        Some(memory) => findings.fine("memory", &format!("{} free, {}", bytes(memory), counted(cores as u64, "core", "cores"))),
        None => findings.doubtful("memory", "the system does not tell"),
    }
    let temporary = std::env::temp_dir();
    match nix::sys::statvfs::statvfs(&temporary).map(|found| found.blocks_available().saturating_mul(found.fragment_size())) {
        Ok(space) if space < LITTLE_SPACE => {
            findings.doubtful("temporary", &format!("{} free in {}; TMPDIR names another folder", bytes(space), temporary.display()));
        }
        Ok(space) => findings.fine("temporary", &format!("{} free in {}", bytes(space), temporary.display())),
        Err(error) => findings.doubtful("temporary", &format!("{}: {error}", temporary.display())),
    }
    let home = findings.take("home", Home::from_env(), |home| home.path().display().to_string());
    let identity = home.as_ref().and_then(|home| findings.take("key", Identity::load(home), |key| key.fingerprint().groups()));
    let pins = home.as_ref().and_then(|home| {
        findings.take("peers", Pins::load(home), |pins| {
            let good: Vec<&str> = pins.good().map(|pin| pin.name.as_str()).collect();
            if good.is_empty() { "none pinned yet: `pair`".to_owned() } else { format!("pinned: {}", good.join(", ")) }
        })
    });
    let job = flags.job.as_ref().and_then(|path| {
        findings.take("job", Job::load(path, side), |job| format!("\"{}\", task {}", job.shared().terms().name, job.shared().task_name()))
    });
    if let Some(memory) = job.as_ref().and_then(|job| job.private().max_memory) {
        findings.fine("cap", &format!("the table may take {}", bytes(memory)));
    }
    let link = match (&flags.listen, &flags.dial, &job) {
        (Some(address), ..) => Some(Link::Listen(address.clone())),
        (_, Some(address), _) => {
            Some(Link::Dial { address: address.clone(), proxy: ProxyChoice::read(flags.proxy.as_deref(), "--proxy")? })
        }
        (None, None, Some(job)) => Some(job.private().link.clone()),
        (None, None, None) => None,
    };
    match (&link, &identity, &pins) {
        (None, ..) => findings.doubtful("link", "not tried: --job, --listen or --dial, and the same on the other side at the same time"),
        (Some(link), Some(identity), Some(pins)) => {
            if let Link::Listen(address) = link {
                findings.take("port", can_listen(address), |()| format!("{address} can be listened on"));
            }
            let peer = peer(side, job.as_ref(), pins);
            if let Some(peer) = findings.take("peer", peer, |peer| peer.groups()) {
                eprintln!("waiting up to {} s for the {} to run `doctor` as well…", flags.connect_timeout, side.peer());
                let probed = probe(side, identity, pins, peer, link, Duration::from_secs(flags.connect_timeout), stop);
                findings.take("link", probed, |(version, round_trip)| {
                    format!("the peer's key is the pinned one, its program is {version}, round trip {:.1} ms", 1e3 * round_trip)
                });
            }
        }
        _ => findings.doubtful("link", "not tried: no key, or no readable list of peers"),
    }
    match findings.failures.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(first),
    }
}

/// Whom the job names, else the one pinned peer.
fn peer(side: Side, job: Option<&Job>, pins: &Pins) -> Result<Fingerprint, Failure> {
    if let Some(job) = job {
        return job.shared().key(side.peer());
    }
    let good: Vec<_> = pins.good().collect();
    match good[..] {
        [pin] => Ok(pin.fingerprint),
        [] => Err(Failure::new(Exit::PeerKey, 413, "no peer is pinned here").hint("run `pair` on both sides first")),
        _ => Err(Failure::new(Exit::Usage, 826, format!("{} peers are pinned", good.len())).hint("--job names one of them")),
    }
}

/// The peer's program version and the round trip in seconds.
fn probe(
    side: Side,
    identity: &Identity,
    pins: &Pins,
    peer: Fingerprint,
    link: &Link,
    wait: Duration,
    stop: &StopFlag,
) -> Result<(String, f64), Failure> {
    let limits = Limits { connect: wait, idle: Duration::from_secs(10), ..Limits::default() };
    let (spec, progress) = (LinkSpec::from(link), Terminal::lines(side));
    progress.trying(spec.attempts());
    progress.waiting(spec.awaited());
    let mut link = connect(identity, pins, peer, &spec, &limits, stop)?;
    progress.connected(link.pulse());
    let mut channel = Watched::new(&mut link, &progress);
    let greeting = greet(&mut channel, side)?;
    let mut times = Vec::new();
    for _ in 0..PINGS {
        let began = Instant::now();
        channel.send(PING, &[])?;
        channel.receive(PING, 0)?;
        times.push(began.elapsed().as_secs_f64());
    }
    progress.waiting("the peer to take the last messages");
    link.close();
    times.sort_by(f64::total_cmp);
    Ok((greeting.peer_version, times.get(PINGS / 2).copied().unwrap_or_default()))
}

/// Memory that programs can still have, where the system tells.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
