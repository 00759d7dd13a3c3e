//! Starting both programs of a benchmark: keys and specifications in a private folder, the link between them, their results.

use super::line;
use super::party::{PartySpec, Work};
use crate::cli::bench::LinkName;
use crate::data::Side;
use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::rehearse::programs::{self, Sides};
use crate::results::write_private;
use crate::session::{Home, Identity, Pins};
use colift_channel::shaper::{LinkShape, Shaper};
use serde::de::DeserializeOwned;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder for keys and specifications that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("colift-bench-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| programs::failed("make", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It holds keys of this benchmark only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts both programs on one piece of work and reads the line that each prints.
///
/// # Errors
/// The worse of both programs' exit codes; exit 2 where a program is missing.
pub fn both_programs<R: DeserializeOwned>(link: LinkName, work: &Work) -> Result<Sides<R>, Failure> {
    let folder = Scratch::create()?;
    let scratch = &folder.0;
    let programs = Sides { owner: programs::find("colift-owner")?, partner: programs::find("colift-partner")? };
    let homes = Sides { owner: Home::at(scratch.join("owner")), partner: Home::at(scratch.join("partner")) };
    let keys = Sides { owner: Identity::init(&homes.owner)?, partner: Identity::init(&homes.partner)? };
    Pins::load(&homes.owner)?.add("partner", keys.partner.fingerprint())?;
    Pins::load(&homes.partner)?.add("owner", keys.owner.fingerprint())?;
    let port = programs::free_port()?;
    let listening = format!("127.0.0.1:{port}");
    let shape = match link {
        LinkName::Loopback => None,
        LinkName::Lan => Some(LinkShape::LAN),
        LinkName::Wan => Some(LinkShape::WAN),
    };
    let target = listening.parse().map_err(|_| Failure::new(Exit::Internal, 965, "a loopback address that cannot be read"))?;
    let shaper = shape.map(|shape| Shaper::start(target, shape)).transpose()?;
    let dialled = shaper.as_ref().map_or_else(|| listening.clone(), |shaper| shaper.address().to_string());
    let start = |side: Side, address: String| {
        let peer = keys.of(side.peer()).fingerprint().to_string();
        let spec = PartySpec { work: work.clone(), address, peer };
        let path = scratch.join(format!("{}.json", side.name()));
        write_private(&path, line(&spec)?.as_bytes())?;
        let mut command = Command::new(programs.of(side));
        command.arg("bench-party").arg("--spec").arg(&path).env("COLIFT_HOME", homes.of(side).path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(|error| programs::failed("start", programs.of(side), &error))
    };
    let owner = start(Side::Owner, listening)?;
    let partner = match start(Side::Partner, dialled) {
        Ok(partner) => partner,
        Err(failure) => {
            let mut owner = owner;
            programs::end(&mut owner);
            return Err(failure);
        }
    };
    let progress = Terminal::named("bench");
    progress.busy("both programs at work");
    // One that fails closes the link, which ends the other. Ctrl-C reaches both: they are in this process's group.
    let waiting = std::thread::spawn(move || partner.wait_with_output());
    let owner = owner.wait_with_output();
    let partner = waiting.join().map_err(|_| Failure::new(Exit::Internal, 966, "the wait for a program was lost"))?;
    drop(progress);
    let ended = |output: std::io::Result<Output>| output.map_err(|error| Failure::new(Exit::Internal, 966, error.to_string()));
    let outputs = Sides { owner: ended(owner)?, partner: ended(partner)? };
    if let Some(failure) = programs::Ended::of(outputs.owner.status, outputs.partner.status).worse() {
        return Err(failure);
    }
    let read = |output: &Output| {
        serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(Exit::Internal, 967, format!("a program's result: {error}")))
    };
    Ok(Sides { owner: read(&outputs.owner)?, partner: read(&outputs.partner)? })
}
