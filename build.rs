//! What a receipt says about the program: the commit it was built from, where that is known, and the target.

use std::process::Command;

fn main() {
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|out| out.status.success());
    let commit =
        commit.and_then(|out| String::from_utf8(out.stdout).ok()).map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    println!("cargo:rustc-env=COLIFT_COMMIT={commit}");
    println!("cargo:rustc-env=COLIFT_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    // Only where there is a repository: a missing path would rerun this at every build.
    if std::path::Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    } else {
        println!("cargo:rerun-if-changed=build.rs");
    }
}
