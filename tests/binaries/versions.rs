//! Wire versions as the real programs meet them: those they do not speak are refused, and what both send is as much as is recorded.

use crate::world::{Ended, HANG, SIDES, World, overlap_only, results, together};
use colift::data::Side;
use colift::session::WIRE_VERSIONS;
use colift_channel::tls::{ExpectedPeer, IdentityKey, Limits, Listener, TlsChannel, dial};
use colift_channel::{Channel, Kind, StopFlag};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const GREETING: Kind = Kind { code: 0x0101, name: "greeting" };
/// The first message that the receipt does not count.
const RECEIPT: &str = "0x0124";

/// A file of the committed recordings of the version that two programs of today speak (tests/recorded); None where there are none yet.
fn recording(name: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/wire/v{}", WIRE_VERSIONS.1));
    let path = folder.join(name);
    let read = || std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    folder.exists().then(|| serde_json::from_str(&read()).unwrap())
}

/// The greeting of a peer that speaks one wire version only; made by hand after docs/WIRE.md.
fn greeting(wire: u16, role: Side, program: &str) -> Vec<u8> {
    let version = wire.to_le_bytes();
    [&b"colift//"[..], &version, &version, &[role as u8 + 1, program.len() as u8], program.as_bytes()].concat()
}

/// How a side's program ends that meets the right key which speaks as it likes.
fn meets(side: Side, speak: impl FnOnce(&mut TlsChannel)) -> Ended {
    let world = World::new();
    world.jobs(|_, job| overlap_only(job));
    let key = IdentityKey::from_pkcs8(&std::fs::read(world.home(side.peer()).join("identity.pkcs8")).unwrap()).unwrap();
    let expected = ExpectedPeer::Pinned(world.print(side).parse().unwrap());
    let address = format!("127.0.0.1:{}", world.port);
    let limits = Limits { connect: Duration::from_secs(20), idle: Duration::from_secs(10), ..Limits::default() };
    // The owner listens.
    let listener = (side == Side::Partner).then(|| Listener::bind(&address).unwrap());
    let program = world.start_run(side, &[]);
    let mut link = match listener {
        Some(listener) => listener.accept(&key, expected, &limits, &StopFlag::new()),
        None => dial(&address, &key, expected, &limits, &StopFlag::new()),
    }
    .unwrap();
    speak(&mut link);
    let ended = program.ended(HANG);
    world.left_nothing(side, "another version");
    ended
}

#[test]
fn versions_that_are_not_spoken_are_refused_naming_both() {
    let _machine = together();
    let (low, high) = WIRE_VERSIONS;
    let ours = if low == high { format!("(wire {low})") } else { format!("(wire {low} to {high})") };
    for (wire, program, remedy) in [
        (0, "0.0.1", "the other side's program is an unreleased version"),
        (1, "0.0.9", "the other side's program is an unreleased version"),
        (high + 1, "9.9.9", "install the newer"),
    ] {
        for role in SIDES {
            let ended = meets(role.peer(), |link| link.send(GREETING, &greeting(wire, role, program)).unwrap());
            let theirs = format!("the peer's is {program} (wire {wire})");
            ended.failed(&[16], &["versions do not meet", &ours, &theirs, remedy], &format!("wire {wire} of the {role}"));
        }
    }
}

/// Messages and bytes that the recorded parties sent each other between greeting and receipt, the owner's first.
fn recorded_traffic(conversation: &Value) -> [(u64, u64); 2] {
    SIDES.map(|side| {
        let lines = conversation[side.name()]["sent"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        // The greeting stands first.
        let lengths = lines.skip(1).take_while(|line| !line.starts_with(RECEIPT)).map(|line| line.split(' ').nth(1).unwrap());
        lengths.fold((0, 0), |(messages, bytes), length| (messages + 1, bytes + length.parse::<u64>().unwrap()))
    })
}

/// Masks differ from run to run, sizes do not: both programs on the recorded files send as many messages and bytes as were recorded.
/// A message that the programs gain and the recorded steps lack is found here.
#[test]
fn both_programs_send_as_much_as_is_recorded() {
    let _machine = together();
    for (name, command) in [("overlap.json", "run"), ("score_ecdh.json", "score"), ("score_vole.json", "score")] {
        let Some(conversation) = recording(name) else {
            println!("no recordings of wire version {} are committed yet: it is unreleased", WIRE_VERSIONS.1);
            return;
        };
        let world = World::new();
        let job: toml::Table = conversation["owner"]["files"]["job.toml"].as_str().unwrap().parse().unwrap();
        let prints = SIDES.map(|side| job["shared"]["peers"][side.name()].as_str().unwrap().to_owned());
        let programs = SIDES.map(|side| {
            for (file, text) in conversation[side.name()]["files"].as_object().unwrap() {
                let mut text = text.as_str().unwrap().replace("127.0.0.1:7411", &format!("127.0.0.1:{}", world.port));
                for side in SIDES {
                    text = text.replace(&prints[side as usize], world.print(side));
                }
                std::fs::write(world.place(side).join(file), text).unwrap();
            }
            world.sign(side, "job.toml");
            world.start(side, &[command, "--job", "job.toml", "--lines", "--connect-timeout", "20", "--idle-timeout", "10"])
        });
        let recorded = recorded_traffic(&conversation);
        for program in programs {
            let side = program.side;
            let ended = program.ended(HANG);
            let text = std::fs::read_to_string(results(&world, side, ended.fine()).join("receipt.json")).unwrap();
            let receipt: Value = serde_json::from_str(&text).unwrap();
            let transcript = receipt["entries"].as_array().unwrap().iter().find(|entry| entry["entry"] == "transcript").unwrap();
            let sent = ["owner_to_partner", "partner_to_owner"]
                .map(|way| (transcript[way]["messages"].as_u64().unwrap(), transcript[way]["bytes"].as_u64().unwrap()));
            assert_eq!(
                sent, recorded,
                "{name}, {side}: the programs do not send what is recorded. Bring `steps` of tests/recorded/party.rs in step with \
                 src/cli/meeting.rs and record again (docs/WIRE.md)"
            );
        }
    }
}
