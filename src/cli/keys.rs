//! `init`, `pair`, `peers`: keys and whom this side trusts.

use crate::cli::flags::{PairByCode, PairFlags, PeersFlags};
use crate::cli::say;
use crate::contract::ProxyChoice;
use crate::data::Side;
use crate::data::wording::grouped;
use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::session::past_runs::KnownSet;
use crate::session::{Home, Identity, LinkSpec, PairingView, PastRuns, Pins, SpokenCode, pair as meet, pair_by_code};
use colift_channel::StopFlag;
use colift_channel::tls::{Fingerprint, Limits};
use std::io::{BufRead, IsTerminal};

/// Makes the identity key.
pub fn init() -> Result<(), Failure> {
    let home = Home::from_env()?;
    let identity = Identity::init(&home)?;
    eprintln!("identity key made in {}", home.path().display());
    eprintln!("fingerprint  {}", identity.fingerprint().groups());
    eprintln!("the same in one piece, for job files:");
    say(&identity.fingerprint().to_string());
    Ok(())
}

/// Meets the other side, asks the person, pins.
pub fn pair(side: Side, flags: &PairFlags, stop: &StopFlag) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let identity = Identity::load(&home)?;
    if let Some(by_code) = &flags.by_code {
        return pair_with_code(side, &home, &identity, by_code, stop);
    }
    let spec = spec(flags.listen.as_deref(), flags.dial.as_deref(), flags.proxy.as_deref())?;
    let expected = match &flags.expect {
        Some(text) => Some(text.parse::<Fingerprint>().map_err(|_| {
            Failure::new(Exit::Usage, 912, "--expect is not a fingerprint").hint("64 hex digits, blanks allowed, in quotes")
        })?),
        None => None,
    };
    if expected.is_none() && !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, 913, "there is no terminal to ask a person")
            .hint("add --expect FINGERPRINT with what the other side's person told"));
    }
    let name = flags.name.clone().unwrap_or_else(|| side.peer().name().to_owned());
    eprintln!("own fingerprint   {}", identity.fingerprint().groups());
    eprintln!("waiting for the {}…", side.peer());
    let mut confirm = |view: &PairingView| confirm(view, expected);
    let progress = waits(side, &spec);
    let pin = meet(&home, &identity, side, &name, &spec, &Limits::default(), stop, &progress, &mut confirm)?;
    eprintln!("pinned as \"{}\"; in one piece, for job files:", pin.name);
    say(&pin.fingerprint.to_string());
    Ok(())
}

/// Waits are told line by line even on a terminal, where a question may be asked in between.
fn waits(side: Side, spec: &LinkSpec) -> Terminal {
    let progress = Terminal::lines(side);
    progress.trying(spec.attempts());
    progress
}

fn spec(listen: Option<&str>, dial: Option<&str>, proxy: Option<&str>) -> Result<LinkSpec, Failure> {
    match (listen, dial) {
        (Some(address), _) => Ok(LinkSpec::listen(address)),
        (None, Some(address)) => Ok(LinkSpec::dial(address, ProxyChoice::read(proxy, "--proxy")?)),
        (None, None) => Err(Failure::new(Exit::Usage, 911, "pair needs --listen or --dial")),
    }
}

/// Pairs by a short spoken code: the inviting side prints it, the accepting side is told it.
fn pair_with_code(side: Side, home: &Home, identity: &Identity, by_code: &PairByCode, stop: &StopFlag) -> Result<(), Failure> {
    let (meet, code, invites) = match by_code {
        PairByCode::Invite(meet) => (meet, SpokenCode::draw()?, true),
        PairByCode::Accept(flags) => (&flags.meet, SpokenCode::parse(&flags.code)?, false),
    };
    let name = meet.name.clone().unwrap_or_else(|| side.peer().name().to_owned());
    let spec = spec(meet.listen.as_deref(), meet.dial.as_deref(), meet.proxy.as_deref())?;
    eprintln!("own fingerprint    {}", identity.fingerprint().groups());
    if invites {
        eprintln!("code               {code}");
        eprintln!("Read the code to the other side's person by phone. They type: colift-{} pair accept {code} …", side.peer());
    }
    eprintln!("waiting for the {}…", side.peer());
    let progress = waits(side, &spec);
    let pin = pair_by_code(home, identity, side, &name, &spec, (&code, invites), &Limits::default(), stop, &progress)?;
    eprintln!("peer's fingerprint {}", pin.fingerprint.groups());
    eprintln!("both sides know the code; pinned as \"{}\"; in one piece, for job files:", pin.name);
    say(&pin.fingerprint.to_string());
    Ok(())
}

/// Shows both fingerprints and asks, or compares with what was told.
fn confirm(view: &PairingView, expected: Option<Fingerprint>) -> bool {
    eprintln!("peer's fingerprint {}   (the {}, version {})", view.peer.groups(), view.peer_side, view.peer_version);
    eprintln!("comparison code    {}", view.code);
    if let Some(expected) = expected {
        return expected == view.peer;
    }
    eprint!("Read the code to the other side's person by phone. Do they see the same one? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Lists or revokes.
pub fn peers(flags: &PeersFlags) -> Result<(), Failure> {
    let home = Home::from_env()?;
    let mut pins = Pins::load(&home)?;
    if flags.runs {
        return runs(&home, &pins);
    }
    if let Some(peer) = &flags.revoke {
        let pin = pins.revoke(peer)?;
        eprintln!("revoked \"{}\"", pin.name);
        return Ok(());
    }
    for pin in pins.list() {
        say(&format!("{}\t{}\t{}\t{}", pin.name, pin.fingerprint, pin.pinned_at, if pin.revoked { "revoked" } else { "pinned" }));
    }
    Ok(())
}

/// The ledger of runs of all peers as a table.
fn runs(home: &Home, pins: &Pins) -> Result<(), Failure> {
    let row = |cells: [&str; 8]| {
        let [peer, set, ids, runs, tasks, first, last, difference] = cells;
        say(&format!("{peer:<16} {set:<8} {ids:>13} {runs:>10}  {first:<20} {last:<20} {difference:>10}  {tasks}"));
    };
    row(["peer", "set", "ids", "runs", "tasks", "first run", "last run", "difference"]);
    for pin in pins.list() {
        for set in PastRuns::known(home, pin.fingerprint)? {
            let KnownSet { name, ids, runs, tasks, first, last, most_runs, min_difference } = set;
            let runs = most_runs.map_or_else(|| runs.to_string(), |most| format!("{runs} of {most}"));
            let tasks: Vec<String> = tasks.iter().map(|(task, count)| format!("{count} {task}")).collect();
            row([&pin.name, &name, &grouped(ids), &runs, &tasks.join(", "), &first, &last, &min_difference.to_string()]);
        }
    }
    Ok(())
}
