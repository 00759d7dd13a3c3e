//! Every command of docs/PREP.md and of the README's part about event logs runs as it stands there.

use crate::labels::log;
use crate::world::World;
use std::process::Command;

/// The indented lines of a document that begin with the program's name, with the lines that they go on in.
fn commands(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("    ").filter(|rest| open || rest.starts_with("colift-prep ")) {
            let goes_on = rest.trim_end().ends_with('\\');
            let rest = rest.trim().trim_end_matches('\\').trim();
            match found.last_mut().filter(|_| open) {
                Some(last) => *last = format!("{last} {rest}"),
                None => found.push(rest.to_owned()),
            }
            open = goes_on;
        } else {
            open = false;
        }
    }
    found
}

#[test]
fn the_documents_commands_run_as_they_stand() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for (name, least) in [("docs/PREP.md", 8), ("README.md", 1)] {
        let world = World::new();
        log(&world, "events.csv");
        world.write("days/day=2026-05-01/part-0.csv", "user_id,clicks\nu0000001,3\n");
        world.write("crm.csv", "user_id,as_of,segment\nu0000001,2026-05-31,gold\nu0000002,2026-05-31,silver\n");
        let found = commands(&std::fs::read_to_string(root.join(name)).unwrap());
        let bin = std::path::Path::new(crate::world::PROGRAM).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        for command in found.iter().filter(|command| !command.contains("s3://") && !command.contains(" bench ")) {
            let done = Command::new("sh").args(["-c", command]).current_dir(world.path("")).env("PATH", &path).output().unwrap();
            assert!(done.status.success(), "{name}: {command}\n{}", String::from_utf8_lossy(&done.stderr));
            count += 1;
        }
        assert!(found.len() >= least, "{name}: {} commands are too few", found.len());
    }
    assert!(count >= 8, "{count} commands ran");
}
